"""Another simulation with the same past and another future."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wfsim
from fake_resources import polardb
from wfsim import Kind, UsageError

unhurried = settings(deadline=None, derandomize=True, max_examples=40)


def simulation(*faults, **given):
    return wfsim.Simulation(polardb.scenario(replicas=1), seed=3, faults=faults, **given)


def future(sim):
    """Run on and return what happened from now on, and the world at the end."""
    here = len(sim.log)
    sim.run()
    return sim.log.records[here:], sim.world.state()


def crashed(sim):
    sim.run(until=wfsim.step_started("CreateRwPod"))
    sim.run(for_=3)
    sim.crash()
    sim.run(for_=5)
    sim.restart()


def cancelled(sim):
    sim.run(until=20)
    sim.cancel()
    sim.run(for_=30)
    sim.uncancel()
    sim.recover()
    sim.run(for_=1.5)


def acted(sim):
    sim.step()
    sim.act(lambda it: it.world.later(7.0, "remove_pod", "none"))
    sim.run(for_=30)
    sim.act(lambda it: (it.crash(), it.run(for_=2), it.restart()))
    sim.run(until=wfsim.step_completed("CreateRwPod"))


def stepped(sim):
    for _ in range(7):
        sim.step()


def edited(sim):
    sim.run(until=3)
    sim.edit(spec={"note": 1})
    sim.create(wfsim.Resource("mpd", "more", spec=dict(sim.resource().spec)))
    sim.run(for_=50)
    sim.delete("more")
    sim.run(for_=0.25)
    sim.run(for_=0.25)


def paused(sim):
    sim.run(until=11)
    sim.pause()
    sim.run(for_=9)
    sim.unpause()


def ended(sim):
    sim.run()


def untouched(sim):
    assert len(sim.log) == 0


PASTS = [crashed, cancelled, acted, stepped, edited, paused, ended, untouched]


@pytest.mark.parametrize("past", PASTS, ids=lambda past: past.__name__)
def test_a_fork_has_the_same_past_and_without_faults_the_same_future(past):
    sim = simulation()
    past(sim)
    twin = sim.fork()
    assert (twin.log.records, twin.now) == (sim.log.records, sim.now)
    assert twin.step() == sim.step()
    assert future(twin) == future(sim)
    assert twin.log.digest() == sim.log.digest()


@pytest.mark.parametrize("records", [1, 2, 3])
def test_a_fork_in_the_middle_of_an_instant_after_a_wait_stands_there_too(records):
    # Nothing happens at 33 s; several things do when the controller wakes up at 58.7 s.
    standing = wfsim.PauseController(t=18.7, for_=40)
    sim = simulation(standing, controllers=2)
    sim.run(for_=33)
    for _ in range(records):
        sim.step()
    twin = sim.fork()
    assert (twin.now, twin.log.records) == (sim.now, sim.log.records)
    assert future(twin) == future(sim)


@pytest.mark.parametrize("past", PASTS, ids=lambda past: past.__name__)
def test_a_fork_leaves_the_original_alone(past):
    sim, same = simulation(), simulation()
    past(sim)
    past(same)
    sim.fork([wfsim.CrashAt(t=sim.now + 1)]).run()
    assert sim.run().records == same.run().records
    assert sim.world.state() == same.world.state()


def test_a_fork_has_other_faults():
    sim = simulation(wfsim.FailStep("InitMeta"))
    sim.run(until=wfsim.step_started("CreateRoPods"))
    fault = wfsim.CrashAt(t=sim.now + 5, restart_after=10)
    twin = sim.fork(faults=[fault])
    here = len(sim.log)
    assert twin.log.records[:here] == sim.log.records
    assert [(r.kind, r.text) for r in twin.log[here:]] == [
        (Kind.FAULT_ARMED, repr(fault))
    ]
    twin.run()
    crash = twin.log.filter(Kind.CONTROLLER_CRASHED)[0]
    assert (crash.time, twin.resource().state) == (fault.t, "Running")


@pytest.mark.parametrize(
    "fault",
    [
        wfsim.FailStep("CreateRoPods", error="no more"),
        wfsim.HangStep("CreateRoPods"),
        wfsim.CrashAt(write=12, when="before", restart_after=1),
        wfsim.RefuseWrite(write=12, times=2),
        wfsim.FailSave(write=12, applied=True),
        wfsim.StaleRead(t=20, for_=5),
        wfsim.DropWatch(t=20, for_=5),
        wfsim.PauseController(t=20, for_=5),
        wfsim.CancelAt(t=20),
    ],
    ids=repr,
)
def test_any_fault_fires_in_a_fork(fault):
    sim = simulation()
    sim.run(until=wfsim.step_started("CreateRwPod"))
    twin = sim.fork([fault])
    twin.run()
    assert twin.log.filter(Kind.FAULT_FIRED)[0].text == repr(fault)


@pytest.mark.parametrize("fault", [wfsim.CrashAt(t=5), wfsim.CrashAt(write=1)])
def test_a_fault_for_the_past_is_refused(fault):
    sim = simulation()
    sim.run(until=30)
    with pytest.raises(UsageError, match="already; give a later"):
        sim.fork([fault])


def test_a_fork_of_a_fork_has_the_faults_of_both():
    sim = simulation()
    sim.run(until=0.5)
    child = sim.fork([wfsim.FailStep("PrepareStorage")])
    child.run(for_=1)
    grandchild = child.fork([wfsim.FailStep("CreateRwPod")])
    assert grandchild.log.records[: len(child.log)] == child.log.records
    grandchild.run()
    failed = [record.step for record in grandchild.log.filter(Kind.STEP_FAILED)]
    assert failed == ["PrepareStorage", "CreateRwPod"]


def test_a_fork_after_resume_has_the_same_past():
    first = simulation()
    first.run()
    sim = wfsim.Simulation.resume(first.scenario, first.mementos()[:7], seed=3)
    sim.run(for_=20)
    sim.crash()
    sim.restart()
    sim.run(for_=1)
    twin = sim.fork()
    assert twin.log.records == sim.log.records
    assert future(twin) == future(sim)


def test_a_fork_begins_with_the_world_that_was_given():
    world = polardb.scenario(replicas=1).world()
    world.pending.clear()
    sim = simulation(world=world)
    sim.run(until=40)
    assert future(sim.fork()) == future(sim)


def test_what_happened_behind_its_back_is_found_out():
    sim = simulation()
    sim.run(until=5)
    sim.clock.call(1.0, sim.crash)
    sim.run(until=10)
    with pytest.raises(wfsim.UsageError, match=r"act on it with act\(\)"):
        sim.fork()


def test_what_act_sets_in_motion_is_repeated():
    sim = simulation()
    sim.act(lambda it: it.clock.call(6.0, it.crash))
    sim.run(until=10)
    twin = sim.fork()
    assert twin.log.records == sim.log.records
    assert len(twin.log.filter(Kind.CONTROLLER_CRASHED)) == 1


def test_an_action_that_raised_is_repeated_too():
    def half(it):
        it.edit(annotations={"half": "done"})
        raise RuntimeError("the other half")

    sim = simulation()
    sim.run(until=2)
    with pytest.raises(RuntimeError):
        sim.act(half)
    assert sim.fork().resource().annotations["half"] == "done"


def test_faults_are_armed_in_a_fork_only():
    with pytest.raises(wfsim.UsageError, match=r"before the start, or in a fork"):
        simulation().inject(wfsim.FailStep("InitMeta"))


CALLS = {
    "step": lambda sim: sim.step(),
    "wait": lambda sim: sim.run(for_=4.5),
    "crash": lambda sim: sim.crash(),
    "restart": lambda sim: sim.restart(),
    "pause": lambda sim: sim.pause(),
    "unpause": lambda sim: sim.unpause(),
    "cancel": lambda sim: sim.cancel(),
    "recover": lambda sim: (sim.uncancel(), sim.recover()),
}


@unhurried
@given(st.lists(st.sampled_from(sorted(CALLS)), max_size=12))
def test_whatever_was_called_a_fork_has_the_same_past_and_future(names):
    sim = simulation(wfsim.FailStep("PrepareStorage"))
    for name in names:
        with suppress(wfsim.UsageError):
            CALLS[name](sim)
    twin = sim.fork()
    assert twin.log.records == sim.log.records
    assert future(twin) == future(sim)
