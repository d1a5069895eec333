"""A crash right after any record leaves all up to that record as it was."""

from __future__ import annotations

import pytest

import wfsim
from fake_resources import polardb
from wfsim import CrashAt, EditAt, FailSave, Kind
from wfsim.sim.prefix import Tape
from wfsim.sim.rerun import Pasts, crash_after, script


@wfsim.step("Prepare")
def prepare(ctx):
    ctx.log("begun")
    yield from ctx.sleep(2)
    ctx.log("half way")
    yield from ctx.update(status={"prepared": True})


@wfsim.step("Attach")
def attach(ctx):
    yield from ctx.sleep(5)


def scenario(*names: str) -> wfsim.Scenario:
    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    return wfsim.Scenario(
        resources=[
            wfsim.Resource("db", n, state="Creating") for n in names or ["orders"]
        ],
        machine=machine.unstable("Creating", run="Create"),
        flows=[wfsim.Flow("Create", (wfsim.Step("Prepare"), wfsim.Step("Attach")))],
        steps=[prepare, attach],
        title="two steps",
    )


def told(log: wfsim.EventLog) -> list[tuple[object, ...]]:
    """Return all but the numbers and what was armed, which one fault more changes."""
    return [record[1:] for record in log if record.kind is not Kind.FAULT_ARMED]


def crash_everywhere(log: wfsim.EventLog) -> list[str]:
    """Crash after each record; return what came of those where that cannot be done."""
    idle = []
    armed = len(log.filter(Kind.FAULT_ARMED))
    for index in range(armed, len(log)):
        try:
            simulation = crash_after(log.origin, index, restart_after=3.0)
        except wfsim.UsageError as error:
            idle.append(f"{log[index].kind}: {error}")
            continue
        again = simulation.run()
        fault = repr(simulation.faults[-1])
        fired = [r for r in again.filter(Kind.FAULT_FIRED) if r.text == fault]
        if not fired:
            idle.append(f"{log[index].kind}: idle")
            continue
        prefix = told(log)[: index + 1 - armed]
        assert told(again)[: len(prefix)] == prefix
        between = again.records[len(prefix) + armed + 1 : fired[0].seq]
        assert all(record.time == log[index].time for record in between)
        assert not any(isinstance(record.value, wfsim.Memento) for record in between)
        resource = again.fold().resources["orders"]
        assert (resource.state, resource.status) == ("Running", {"prepared": True})
    return idle


def test_the_crash_comes_right_after_the_record_wherever_that_is():
    log = wfsim.simulate(scenario())
    assert crash_everywhere(log) == []


def test_writes_are_counted_that_left_no_record_and_edits_are_not():
    faults = [
        FailSave(write=2),
        EditAt(t=1.0, spec={"size": 2}),
        EditAt(t=4.0, spec={"a": 1}),
    ]
    log = wfsim.simulate(scenario(), faults=faults)
    assert crash_everywhere(log) == []


def test_it_is_the_controller_that_wrote_who_dies():
    simulation = wfsim.Simulation(scenario("orders", "users"), controllers=2)
    assert crash_everywhere(simulation.run()) == []


def test_a_crash_between_two_writes_of_one_instant_has_the_number_of_a_write():
    log = wfsim.simulate(scenario())
    index = log.filter(Kind.STEP_COMPLETED, step="Prepare")[0].seq
    assert log[index].time == log[index + 1].time
    crashed = crash_after(log.origin, index)
    assert crashed.faults == (CrashAt(write=4, restart_after=10.0),)


def test_a_crash_after_a_line_of_a_step_comes_before_anything_else_is_written():
    log = wfsim.simulate(scenario())
    begun, half_way = (record.seq for record in log.filter(Kind.STEP_LOG))
    assert crash_after(log.origin, begun).faults == (
        CrashAt(t=0.001, restart_after=10.0),
    )
    assert crash_after(log.origin, half_way, restart_after=None).faults == (
        CrashAt(write=3, when="before"),
    )


def test_what_was_done_by_hand_before_the_record_is_done_again_and_later_things_are_not():
    simulation = wfsim.Simulation(scenario(), seed=3)
    simulation.run(until=1.0)
    simulation.edit(spec={"size": 2})
    simulation.run(until=4.0)
    simulation.cancel()
    log = simulation.run()
    index = log.filter(Kind.STEP_COMPLETED, step="Prepare")[0].seq
    crashed = crash_after(simulation, index)
    after = crashed.run()
    assert told(after)[: index + 1] == told(log)[: index + 1]
    assert after.fold().resources["orders"].state == "Running"
    assert after.fold().resources["orders"].spec == {"size": 2}
    assert script(crashed) == (
        "sim = wfsim.Simulation(\n"
        "    scenario,  # two steps\n"
        "    seed=3,\n"
        "    faults=[\n"
        "        wfsim.CrashAt(write=4, restart_after=10),\n"
        "    ],\n"
        ")\n"
        "# at 1.000 s: sim.edit(spec={'size': 2})\n"
        "log = sim.run()"
    )


def test_a_fork_keeps_the_faults_that_it_was_given():
    simulation = wfsim.Simulation(scenario())
    simulation.run(until=3.0)
    faults = [wfsim.FailStep("Attach", attempt=2), CrashAt(t=4.0, restart_after=1.0)]
    log = simulation.fork(faults).run()
    index = log.filter(Kind.STEP_FAILED)[0].seq
    crashed = crash_after(log.origin, index)
    assert told(crashed.run())[: index - 1] == told(log[: index + 1])
    assert "# at 3.000 s: sim.inject(FailStep(" in script(crashed)


def test_a_resumed_simulation_is_resumed_again():
    mementos = wfsim.simulate(scenario()).origin.mementos()[:4]
    simulation = wfsim.Simulation.resume(scenario(), mementos)
    log = simulation.run()
    index = log.filter(Kind.STEP_STARTED)[-1].seq
    crashed = crash_after(simulation, index)
    assert told(crashed.run())[: index + 1] == told(log)[: index + 1]
    assert script(crashed).startswith(
        "sim = wfsim.Simulation.resume(\n    scenario,  # two steps\n    mementos,\n"
    )


def test_the_very_crash_that_comes_anyway_is_refused():
    log = wfsim.simulate(scenario(), faults=[CrashAt(write=3, restart_after=10.0)])
    fired = log.filter(Kind.FAULT_FIRED)[0].seq
    with pytest.raises(
        wfsim.UsageError, match=r"CrashAt\(write=3, .* is in the plan already"
    ):
        crash_after(log.origin, fired - 1)


def test_a_record_that_does_not_come_again_is_refused():
    simulation = wfsim.Simulation(scenario())
    simulation.run(until=1.0)
    simulation.journal.note(Kind.STEP_LOG, text="from nowhere")
    log = simulation.run()
    with pytest.raises(wfsim.UsageError, match="does not come to this record"):
        crash_after(simulation, len(log) - 1)


def test_the_past_of_a_record_is_what_was_so_just_before_it():
    sim = wfsim.Simulation(
        polardb.scenario(1), seed=1, faults=[wfsim.CrashAt(t=40, restart_after=5)]
    )
    sim.run(until=60)
    sim.cancel("mpd-0")
    sim.run(until=90)
    tape, pasts = Tape.of(sim), Pasts(sim)
    shares = [share for index in (3, len(sim.log) - 2) for share in pasts.load(index)]
    assert all(0.0 <= share <= 1.0 for share in shares)
    known = [index for index in range(len(sim.log)) if pasts.has(index)]
    assert known[-1] == len(sim.log) - 1
    for index in known:
        moment, past = tape.moment(index), pasts.at(index)
        assert past.world.state() == moment.world.state()
        assert past.world.pending == moment.world.pending
        assert {*past.held} == {*moment.leased.held}
    assert pasts.at(len(sim.log)).world is sim.world
