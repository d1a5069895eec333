"""What interrupts the flows of a cluster, and the ways out: recovery and rebuild."""

from __future__ import annotations

import pytest

import wfsim
from fake_resources import polardb
from tests.fake_resources.operations import (
    FLOWS,
    OPERATIONS,
    asked,
    completed,
    created,
    is_done,
    spare,
)

SHIPPED = polardb.scenario().flows


@pytest.mark.parametrize("state", OPERATIONS)
def test_a_cancelled_flow_goes_on_when_that_is_taken_back_and_it_is_recovered(state):
    sim = asked(state)
    sim.run(for_=4.0)
    sim.cancel()
    sim.run()
    assert sim.resource().state == "Interrupt"
    assert sim.resource().annotations["interrupt.reason"] == "CANCELLED"
    sim.uncancel()
    sim.recover()
    sim.run()
    assert completed(sim) == [FLOWS[state]]
    is_done(sim, state)


SLOW = [
    ("RestartCluster", "RestartCluster", {"stop_engine": 12}, "stopped", 10),
    ("ExtendStorage", "ExtendStorageFs", {"grow_file_system": 310}, "grown", 300),
    ("RemoveRo", "RemoveRo", {"stop_pod": 80}, "gone", 70),
    ("Rebuild", "RemoveAllInsPod", {"stop_pod": 80}, "gone", 60),
    ("SwitchRw", "SwitchRw", {"switch_leader": 31}, "leading", 30),
    ("RestartIns", "RestartIns", {"restart_pod": 1000}, "ready", 900),
]


@pytest.mark.parametrize(("state", "step", "slow", "what", "limit"), SLOW)
def test_a_step_waits_as_long_as_the_reference_does_and_then_fails(
    state, step, slow, what, limit
):
    sim = asked(state, **slow)
    sim.run(until=lambda record: record.kind is wfsim.Kind.STEP_FAILED)
    failed = sim.log.filter(wfsim.Kind.STEP_FAILED)[0]
    assert failed.step == step
    assert failed.text.endswith(f"{what}: not within {limit} s")


@pytest.mark.parametrize(
    ("state", "step"), [("RestartIns", "DisableHA"), ("ModifyClass", "ConvertTempRoToRo")]
)
def test_a_cluster_manager_that_is_down_is_waited_for_180_s_at_a_time(state, step):
    sim = asked(state)
    if step != "DisableHA":
        sim.run(until=wfsim.step_started("CreateTempRoForRw"))
    sim.act(lambda each: each.world.managers["mpd-0"].fail())
    sim.run(until=lambda record: record.kind is wfsim.Kind.STEP_FAILED)
    failed = sim.log.filter(wfsim.Kind.STEP_FAILED)[0]
    assert failed.step == step
    assert failed.text.endswith("cluster manager of mpd-0 ready: not within 180 s")
    sim.act(lambda each: each.world.managers["mpd-0"].recover())
    sim.run()
    is_done(sim, state)


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


def test_a_rebuild_out_of_a_change_of_class_gives_the_parameters_of_the_old_one():
    sim = asked("ModifyClass", wfsim.InterruptStep("SwitchNewRoToRw"))
    sim.run()
    sim.edit(annotations={"forceRebuild": "T"})
    sim.run()
    params = {"shared_buffers_gb": 4, "max_connections": 800}
    assert sim.resource().spec["engineParams"] == params
    assert [pod.params for pod in sim.world.pods.values()] == [params] * 3


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
    ended = {run.key: run.status.value for run in sim.mementos()}
    assert ended[f"1-{FLOWS['Rebuild']}"] == "failedAndCompleted"
    assert ended[f"2-{FLOWS['Rebuild']}"] == "completed"


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
    (
        "RestartCluster",
        "RestartCluster",
        lose("mpd-0-ro-2"),
        "RestartCluster",
        "POD_LOST",
    ),
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
