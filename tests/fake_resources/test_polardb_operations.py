"""Each flow from its trigger to Running; through failure, crash and recovery; in turn."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from operations import (
    FLOWS,
    OPERATIONS,
    asked,
    completed,
    created,
    is_done,
    names,
    spare,
)

import wfsim
from fake_resources import polardb

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

NAMES_ONE = ("RestartIns", "SwitchRw", "MigrateRo", "MigrateRw", "RemoveRo")
SETTLED_BY = {
    # All of them have other names by then, and none of them has failed.
    "ModifyClass": (*NAMES_ONE, "RebuildRo"),
    "UpgradeMinorVersion": (*NAMES_ONE, "RebuildRo"),
    "RebuildRo": ("RemoveRo",),
    # The same one is named, and is another one by then, or in another role.
    "SwitchRw": ("MigrateRo", "MigrateRw", "RebuildRo", "RemoveRo"),
    "MigrateRo": ("MigrateRw", "RebuildRo", "RemoveRo"),
    "Rebuild": ("RebuildRo",),
    # They wait for the one that has failed to be well.
    "FlushParams": ("RebuildRo",),
    "RestartCluster": ("RebuildRo",),
    "RestartIns": ("RebuildRo",),
}
"""What is no more to be done, or can no more be done, after which operation."""
PAIRS = [
    (first, second)
    for first, second in combinations(OPERATIONS, 2)
    if second not in SETTLED_BY.get(first, ())
]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_of_two_triggers_at_once_both_are_served_in_the_order_of_the_checks(first, second):
    sim = created()
    OPERATIONS[second].ask(sim)
    OPERATIONS[first].ask(sim)
    sim.run()
    assert completed(sim) == [FLOWS[first], FLOWS[second]]
    assert sim.resource().state == "Running"
    assert polardb.problems(sim.world, sim.resource()) == []
    assert dict(sim.resource().annotations) == {"clusterManagerPort": "5500"}


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


# -- rebuild -----------------------------------------------------------------------------


@pytest.mark.parametrize("state", [state for state in OPERATIONS if state != "Rebuild"])
def test_a_rebuild_leads_out_of_interrupt_and_gives_up_what_was_interrupted(state):
    step = SHIPPED[FLOWS[state]].names[-3]
    sim = asked(state, wfsim.InterruptStep(step, reason="POD_LOST"))
    sim.run()
    assert sim.resource().state == "Interrupt"
    sim.edit(annotations={"forceRebuild": "T"})
    sim.run()
    # What a spec says is wanted until it is there; a rebuild does not change the spec.
    rest = [FLOWS[state]] if state == "AddRo" and step != "EnsureNewRoUpToDate" else []
    assert completed(sim)[0] == FLOWS["Rebuild"]
    assert completed(sim)[1:] in (rest, [FLOWS["AddRo"]])
    assert sim.resource().state == "Running"
    assert polardb.problems(sim.world, sim.resource()) == []
    assert dict(sim.resource().annotations) == {"clusterManagerPort": "5500"}


def test_a_rebuild_out_of_interrupt_leaves_what_else_is_wanted():
    sim = asked("RestartIns", wfsim.InterruptStep("RestartIns", reason="POD_LOST"))
    sim.run()
    sim.edit(annotations={"forceRebuild": "T", "restartCluster": "T"})
    sim.run()
    assert completed(sim) == [FLOWS["Rebuild"], FLOWS["RestartCluster"]]


def test_a_cluster_of_which_all_has_failed_is_rebuilt_unasked():
    sim = created()

    def all_fail(each: wfsim.Simulation) -> None:
        for pod in each.world.pods.values():
            pod.fail()
        polardb.observe(each)

    sim.act(all_fail)
    sim.run()
    assert completed(sim) == [FLOWS["Rebuild"]]
    is_done(sim, "Rebuild")


def test_a_rebuild_that_is_recovered_begins_with_its_first_step():
    sim = asked("Rebuild", wfsim.InterruptStep("CreateRoPods", reason="POD_UNSCHEDULED"))
    sim.run()
    sim.recover()
    stopped = len(sim.log)
    sim.run()
    steps = [record.step for record in sim.log[stopped:].filter(wfsim.Kind.STEP_STARTED)]
    assert steps == [*SHIPPED[FLOWS["Rebuild"]].names]
    assert polardb.problems(sim.world, sim.resource()) == []


# -- what interrupts ---------------------------------------------------------------------


def lose(name):
    return lambda sim: sim.world.pods[name].lose()


def cordon(sim):
    for node in sim.world.nodes.values():
        node.cordon()


def fill(sim):
    for node in sim.world.nodes.values():
        node.capacity = 1 if node.name != spare(sim) else 0


def forget(sim):
    sim.edit(annotations={"tempRoIds": None})


REASONS = [
    ("RestartIns", "RestartIns", lose("mpd-0-ro-1"), "RestartIns", "POD_LOST"),
    ("RestartCluster", "RestartCluster", lose("mpd-0-ro-2"), "RestartCluster", "POD_LOST"),
    ("FlushParams", "FlushParams", lose("mpd-0-ro-2"), "FlushParams", "POD_LOST"),
    (
        *("ModifyClass", "DisableHA", lose("mpd-0-ro-1")),
        *("FlushParamsIfNecessary", "POD_LOST"),
    ),
    (
        *("ModifyClass", "FlushParamsIfNecessary", cordon),
        *("CreateTempRoForRw", "NO_AVAILABLE_NODE"),
    ),
    (
        *("UpgradeMinorVersion", "DeleteOldRw", cordon),
        *("EnsureNewRoUpToDate", "NO_AVAILABLE_NODE"),
    ),
    ("MigrateRo", "DisableHA", cordon, "EnsureRoMigrate", "TARGET_NODE_UNAVAILABLE"),
    ("MigrateRw", "DisableHA", cordon, "CreateTempRoForRw", "TARGET_NODE_UNAVAILABLE"),
    ("AddRo", "EnsureNewRoUpToDate", fill, "EnsureNewRoUpToDate", "POD_UNSCHEDULED"),
    (
        *("ModifyClass", "FlushParamsIfNecessary", forget),
        *("CreateTempRoForRw", "TEMP_RO_FOR_RW_MEAT_LOST"),
    ),
    (
        *("MigrateRw", "ConvertTempRoToRo", forget),
        *("SwitchNewRoToRw", "TEMP_INS_ID_NOT_FOUND"),
    ),
]


@pytest.mark.parametrize(("state", "during", "breaks", "step", "reason"), REASONS)
def test_what_a_retry_would_not_mend_interrupts_with_its_reason(
    state, during, breaks, step, reason
):
    sim = asked(state)
    sim.run(until=wfsim.step_started(during))
    sim.act(breaks)
    sim.run()
    assert sim.mementos()[-1].step.name == step
    assert sim.resource().annotations["interrupt.reason"] == reason


def test_a_failed_follower_that_nobody_knows_interrupts_its_replacement():
    sim = asked("RebuildRo")
    sim.run(until=wfsim.step_started("DisableHA"))
    sim.edit(annotations={"tempRoIds": '{"mpd-0-ro-9": "mpd-0-ins-4"}'})
    sim.run()
    assert sim.resource().annotations["interrupt.reason"] == "RO_META_INVALID"
    assert sim.mementos()[-1].step.name == "StopOldRo"
