"""Each flow from its trigger to Running; through failure, crash and recovery; in turn."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest

import wfsim
from fake_resources import polardb
from tests.fake_resources.operations import (
    FLOWS,
    OPERATIONS,
    asked,
    completed,
    created,
    going_on,
    is_done,
    names,
)

SHIPPED = polardb.scenario().flows
EVERY_STEP = [
    (state, step) for state in OPERATIONS for step in SHIPPED[FLOWS[state]].names
]
REPEATS = {
    "RestartIns": "restart pod",
    "RestartCluster": "restart pod",
    "RestartClusterIfNeed": "restart pod",
    "FlushParamsIfNecessary": "restart pod",
    "ExtendStorageFs": "grow file system",
}
"""The steps whose second run does again what it did, and what that is."""


def operations(sim: wfsim.Simulation) -> Counter[str]:
    """How often each operation was asked of the world, of whomever."""
    counted: Counter[str] = Counter()
    for (operation, _), times in sim.world.counts.items():
        counted[operation] += times
    return counted


@pytest.mark.parametrize("state", OPERATIONS)
def test_a_flow_does_what_its_trigger_asks_for_and_the_trigger_is_gone(state):
    sim = asked(state)
    sim.run()
    assert completed(sim) == [FLOWS[state]]
    is_done(sim, state)
    run = sim.mementos()[-1]
    assert tuple(step.name for step in run.steps) == SHIPPED[FLOWS[state]].names
    assert {step.attempts for step in run.steps} == {1}


@pytest.mark.parametrize(("state", "step"), EVERY_STEP)
def test_a_step_that_fails_for_good_interrupts_and_recovery_completes(state, step):
    sim = asked(state, wfsim.FailStep(step, times=11))
    sim.run()
    notes = sim.resource().annotations
    assert sim.resource().state == "Interrupt"
    assert notes["interrupt.reason"] == "MANY_RETRY"
    assert notes["interrupt.previous.status"] == state
    sim.recover()
    sim.run()
    assert completed(sim) == [FLOWS[state]]
    is_done(sim, state)


@pytest.mark.parametrize(("state", "step"), EVERY_STEP)
def test_a_step_whose_success_was_lost_is_run_again_and_repeats_what_it_must(state, step):
    calm, again = asked(state), asked(state, wfsim.FailStep(step, after=True))
    for sim in (calm, again):
        sim.run()
        is_done(sim, state)
    more = operations(again) - operations(calm)
    follows = {"start engine", "stop engine"}
    assert {*more} - follows == ({REPEATS[step]} if step in REPEATS else set())


@pytest.mark.parametrize(("state", "step"), EVERY_STEP)
def test_a_crash_in_the_middle_of_a_step_loses_nothing(state, step):
    calm, sim = asked(state), asked(state)
    calm.run()
    sim.run(until=wfsim.step_started(step))
    sim.run(for_=2.0)
    sim.crash()
    sim.run(for_=5.0)
    sim.restart()
    sim.run()
    assert completed(sim) == [FLOWS[state]]
    is_done(sim, state)
    more = {*(operations(sim) - operations(calm))}
    # A step may take less than that, so that it is a later one which is cut short.
    repeats = {REPEATS.get(name, "") for name in SHIPPED[FLOWS[state]].names}
    assert more <= {"start engine", "stop engine", "switch leader", *repeats}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("state", OPERATIONS)
def test_a_crash_at_any_write_ends_with_what_was_asked_for(state, when):
    calm = asked(state)
    calm.run()
    writes = [record for record in calm.log if record.value is not None]
    # The cluster itself, and its trigger, come from outside.
    for write in range(1, len(writes) - 1):
        crash = wfsim.CrashAt(write=write, when=when, restart_after=5)
        sim = asked(state, crash)
        sim.run()
        assert sim.log.filter(wfsim.Kind.FAULT_FIRED)
        assert completed(sim) == [FLOWS[state]], f"crash {when} write {write}"
        is_done(sim, state)


@pytest.mark.parametrize("state", OPERATIONS)
def test_a_run_goes_on_from_any_of_its_mementos_if_the_resource_is_as_it_was(state):
    sim = created()
    sim.run(until=0.0)
    OPERATIONS[state].ask(sim)
    scenario = going_on(sim)
    sim = wfsim.Simulation(scenario, seed=1)
    sim.run()
    mementos = sim.mementos()
    for number in range(1, len(mementos) + 1):
        resumed = wfsim.Simulation.resume(scenario, mementos[:number], seed=1)
        resumed.run()
        is_done(resumed, state)


@pytest.mark.parametrize("step", REPEATS)
def test_a_crash_in_the_middle_of_a_disruptive_step_disrupts_once_more(step):
    state = next(state for state, of in EVERY_STEP if of == step)
    sim = asked(state)
    sim.run(until=wfsim.step_started(step))
    operation = REPEATS[step]
    while not any(what == operation for what, _ in sim.world.counts):
        sim.run(for_=0.5)
    sim.crash()
    sim.restart()
    sim.run()
    assert polardb.problems(sim.world, sim.resource()) == []
    of_one = [n for (what, _), n in sim.world.counts.items() if what == operation]
    assert max(of_one) == 2


def test_a_cluster_manager_that_cannot_but_follow_the_leader_is_moved_at_every_rerun():
    again = wfsim.FailStep("EnsureCmRwAffinity", after=True, times=2)
    sim = created(again, nodes=1)
    sim.edit(annotations={"switchRw": "mpd-0-ro-1"})
    sim.run(until=wfsim.step_started("EnsureCmRwAffinity"))
    before = sim.world.counts["deploy manager", "mpd-0"]
    sim.run()
    assert 1 <= sim.world.counts["deploy manager", "mpd-0"] - before <= 3


@pytest.mark.parametrize("step", ["GenerateAddRoTempId", "GenerateRebuildRoTempId"])
def test_names_that_were_given_before_a_rerun_are_lost(step):
    state = "AddRo" if step == "GenerateAddRoTempId" else "RebuildRo"
    sim = asked(state, wfsim.FailStep(step, after=True, times=2))
    sim.run()
    assert sim.resource().status["namesUsed"] == 3 + 3
    assert "mpd-0-ins-6" in names(sim)


# -- two at once -------------------------------------------------------------------------

OTHERWISE = {
    # Nobody has failed any more.
    ("Rebuild", "RebuildRo"): ["Rebuild"],
    ("ModifyClass", "RebuildRo"): ["ModifyClass"],
    ("UpgradeMinorVersion", "RebuildRo"): ["UpgradeMinorVersion"],
    ("MigrateRo", "RebuildRo"): ["MigrateRo"],
    # Who has taken the place of the one that is named is on that node already.
    ("ModifyClass", "MigrateRw"): ["ModifyClass"],
    # Whoever is named has another role by then.
    ("SwitchRw", "MigrateRo"): ["SwitchRw", "MigrateRw"],
    ("SwitchRw", "MigrateRw"): ["SwitchRw", "MigrateRo"],
    # They wait in vain for the one that has failed.
    ("FlushParams", "RebuildRo"): ["FlushParams"],
    ("SwitchRw", "RebuildRo"): ["SwitchRw"],
    # There is one annotation for both, and so one request.
    ("MigrateRo", "MigrateRw"): ["MigrateRo"],
}
"""The runs where the first of two leaves the second nothing to do, or is in its way."""
PAIRS = [pair for pair in combinations(OPERATIONS, 2) if pair not in OTHERWISE]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_of_two_triggers_at_once_both_are_served_in_the_order_of_the_checks(
    first, second
):
    sim = created()
    OPERATIONS[second].ask(sim)
    OPERATIONS[first].ask(sim)
    sim.run()
    assert completed(sim) == [FLOWS[first], FLOWS[second]]
    assert sim.resource().state == "Running"
    assert polardb.problems(sim.world, sim.resource()) == []
    assert dict(sim.resource().annotations) == {"clusterManagerPort": "5500"}


@pytest.mark.parametrize(("first", "second"), OTHERWISE)
def test_a_trigger_that_the_first_flow_makes_void_is_not_lost_in_silence(first, second):
    sim = created()
    OPERATIONS[second].ask(sim)
    OPERATIONS[first].ask(sim)
    sim.run()
    made = [record.flow for record in sim.log.filter(wfsim.Kind.RUN_CREATED)]
    assert made == [FLOWS[state] for state in OTHERWISE[first, second]]
    served = sim.resource().state == "Running" and not polardb.problems(
        sim.world, sim.resource()
    )
    assert served or sim.resource().annotations["interrupt.reason"] == "MANY_RETRY"


@pytest.mark.parametrize("state", [state for state in OPERATIONS if state != "Rebuild"])
def test_a_request_that_comes_while_a_flow_runs_is_served_after_it(state):
    sim = asked(state)
    sim.run(until=wfsim.step_started("UpdateRunningStatus"))
    sim.edit(annotations={"forceRebuild": "1"})
    sim.run()
    assert completed(sim) == [FLOWS[state], FLOWS["Rebuild"]]
    assert polardb.problems(sim.world, sim.resource()) == []


def test_another_instance_named_after_the_first_was_served_is_served_too():
    sim = asked("RestartIns")
    sim.run(until=wfsim.step_started("EnableHA"))
    sim.edit(annotations={"restartIns": "mpd-0-ro-2"})
    sim.run()
    assert completed(sim) == [FLOWS["RestartIns"]] * 2
    restarts = {pod.name: pod.restarts for pod in sim.world.pods.values()}
    assert restarts == {"mpd-0-rw": 0, "mpd-0-ro-1": 1, "mpd-0-ro-2": 1}


def test_another_class_wanted_while_one_is_being_given_is_given_next():
    sim = asked("ModifyClass")
    sim.run(until=wfsim.step_started("CreateTempRoForRw"))
    huge = {"className": "polar.o.x16.huge", "cpu": 16, "memoryGb": 64}
    sim.edit(spec={"classInfoModifyTo": huge})
    sim.run()
    assert completed(sim) == [FLOWS["ModifyClass"]] * 2
    assert {pod.flavour for pod in sim.world.pods.values()} == {"polar.o.x16.huge"}
    assert polardb.problems(sim.world, sim.resource()) == []


def test_three_followers_that_are_missing_are_three_runs():
    sim = created()
    sim.edit(spec={"followerNum": 5})
    sim.run()
    assert completed(sim) == [FLOWS["AddRo"]] * 3
    assert len(sim.world.pods) == 6
