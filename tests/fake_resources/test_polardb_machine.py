"""The state graph, its checks, and the flow files beside what the operator ships."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import wfsim
from fake_resources import polardb
from fake_resources.polardb import checks
from wfsim.engine.steps import name_of
from wfsim.files.document import read_document

ROOT = Path(__file__).parents[2]
SHIPPED = read_document(ROOT / "tests/files/polardb_flows.yaml").data
STABLE = ["Running", "Interrupt", "Init"]
IN_ORDER = [
    *("Rebuild", "ModifyClass", "RestartCluster", "RestartIns", "FlushParams"),
    *("SwitchRw", "MigrateRo", "MigrateRw", "UpgradeMinorVersion", "RebuildRo"),
    *("AddRo", "RemoveRo", "ExtendStorage"),
]


def edges(via: str) -> list[tuple[str, str]]:
    return [(e.source, e.target) for e in polardb.machine().edges() if e.via == via]


def test_there_are_three_stable_and_fourteen_unstable_states():
    machine = polardb.machine()
    assert list(machine.stable_states) == STABLE
    assert sorted(machine.actions) == sorted(["Creating", *IN_ORDER])


def test_the_checks_of_running_are_asked_in_the_order_of_the_operator():
    assert [
        target for source, target in edges("check") if source == "Running"
    ] == IN_ORDER
    others = [edge for edge in edges("check") if edge[0] != "Running"]
    assert others == [("Init", "Creating"), ("Interrupt", "Rebuild")]


def test_every_unstable_state_leads_to_running_and_to_interrupt_and_back():
    unstable = ["Creating", *IN_ORDER]
    assert edges("done") == [(state, "Running") for state in unstable]
    assert edges("interrupt") == [(state, "Interrupt") for state in unstable]
    assert edges("recover") == [("Interrupt", state) for state in unstable]


def test_rebuild_and_extend_storage_pass_over_unfinished_runs_and_nothing_else_does():
    actions = polardb.machine().actions.values()
    assert [a.state for a in actions if a.ignore_unfinished] == [
        *("Rebuild", "ExtendStorage")
    ]


@pytest.mark.parametrize("name", SHIPPED)
def test_each_flow_of_the_operator_is_there_step_by_step(name):
    wanted = SHIPPED[name]
    folder = Path(wanted["file"]).parent
    flows = wfsim.load_flows(ROOT / "flows/polardb" / folder, classes=None)
    if name == "CreateSharedStorageCluster":
        flows = wfsim.load_flows(polardb.CURRENT)
    flow = flows[name]
    assert [*flow.names] == wanted["steps"]
    classes = [step.class_name for step in flow.steps]
    assert classes == [f"{wanted['package']}.{step}" for step in wanted["steps"]]
    assert flow.recover_from_first_step == wanted["recoverFromFirstStep"]


def test_there_are_fifteen_flows_and_every_class_of_theirs_has_code():
    flows = {**polardb.scenario().flows, **polardb.local_scenario().flows}
    assert sorted(flows) == sorted(SHIPPED)
    assert len(flows) == 15


def test_every_step_of_the_operator_has_code_and_the_seed_has_one_more():
    shipped = {step for flow in SHIPPED.values() for step in flow["steps"]}
    coded = {name_of(body).rpartition(".")[2] for body in polardb.STEPS}
    assert coded - shipped == {"AddToClusterManager", "CreateNetwork"}
    assert shipped <= coded
    assert len(coded) == 46


# -- checks ------------------------------------------------------------------------------

CREATED = {
    "leader": "a",
    "followers": ["b"],
    "instances": {
        "a": {"role": "rw", "node": "node-1"},
        "b": {"role": "ro", "node": "node-2"},
    },
}
SPEC = {"followerNum": 1, "classInfo": {"className": "s"}, "versionCfg": {}}


def cluster(state: str = "Running", **parts: object) -> wfsim.Resource:
    made = wfsim.Resource("mpd", "mpd-0", state=state).edit(spec=SPEC, status=CREATED)
    return made.edit(**parts)


def failed(*names: str) -> dict[str, object]:
    noted = {name: dict(entry) for name, entry in CREATED["instances"].items()}
    for name in names:
        noted[name] = {**noted.get(name, {"role": "temp"}), "state": "failed"}
    return {"status": {"instances": noted}}


def note(**annotations: str) -> dict[str, object]:
    return {"annotations": annotations}


WANTED = [
    (checks.check_rebuild, note(forceRebuild="T")),
    (checks.check_rebuild, note(forceRebuild="1")),
    (checks.check_rebuild, note(forceRebuild="true")),
    (checks.check_rebuild, failed("a", "b")),
    (checks.check_modify_class, {"spec": {"classInfoModifyTo": {"className": "l"}}}),
    (checks.check_restart_cluster, note(restartCluster="T")),
    (checks.check_restart_ins, note(restartIns="whoever")),
    (checks.check_flush_params, note(flushParams="T")),
    (checks.check_switch_rw, note(switchRw="b")),
    (checks.check_switch_rw, note(switchRw="")),
    (checks.check_migrate_ro, note(migrate="b|node-3")),
    (checks.check_migrate_rw, note(migrate="a|node-3")),
    (
        checks.check_upgrade_minor_version,
        {"spec": {"versionCfgModifyTo": {"versionName": "2"}}},
    ),
    (checks.check_rebuild_ro, failed("b")),
    (checks.check_rebuild_ro, failed("t")),
    (checks.check_add_ro, {"spec": {"followerNum": 2}}),
    (checks.check_remove_ro, note(removeIns="whoever")),
    (checks.check_extend_storage, note(extendStorage="T")),
]
NOT_WANTED = [
    (checks.check_rebuild, note(forceRebuild="yes")),
    (checks.check_rebuild, failed("a")),
    (checks.check_modify_class, {"spec": {"classInfoModifyTo": {"className": "s"}}}),
    (checks.check_modify_class, {"spec": {"classInfoModifyTo": {"className": ""}}}),
    (checks.check_restart_ins, note(restartIns="")),
    (checks.check_switch_rw, note(switchRw="a")),
    (checks.check_migrate_ro, note(migrate="b|node-2")),
    (checks.check_migrate_ro, note(migrate="b")),
    (checks.check_migrate_ro, note(migrate="a|node-3")),
    (checks.check_migrate_rw, note(migrate="b|node-3")),
    (checks.check_rebuild_ro, failed("a", "b")),
    (checks.check_add_ro, {"spec": {"followerNum": 0}}),
    (checks.check_remove_ro, note(removeIns="")),
]


@pytest.mark.parametrize(("check", "parts"), WANTED)
def test_a_check_has_an_event_when_its_operation_is_wanted(check, parts):
    assert check(cluster(**parts))


@pytest.mark.parametrize(("check", "parts"), NOT_WANTED)
def test_a_check_has_none_when_it_is_not(check, parts):
    assert not check(cluster(**parts))


@pytest.mark.parametrize("operation", polardb.OPERATIONS[1:])
def test_a_cluster_of_which_nothing_is_wanted_stays_where_it_is(operation):
    assert not operation.check(cluster())


def test_an_event_brings_what_the_flow_is_to_know():
    assert checks.check_modify_class(cluster(**WANTED[4][1])).params == {
        "modifyClass": True
    }
    assert checks.check_upgrade_minor_version(cluster(**WANTED[12][1])).params == {
        "upgrade": True
    }
    assert checks.check_restart_ins(cluster(**note(restartIns="b"))).params == {
        "insId": "b"
    }
    assert checks.check_switch_rw(cluster(**note(switchRw="b"))).params == {"insId": "b"}


def test_an_interrupted_rebuild_waits_for_an_operator_and_others_may_be_rebuilt():
    ask = {"forceRebuild": "T"}
    others = note(**ask, **{"interrupt.previous.status": "AddRo"})
    assert checks.check_rebuild(cluster("Interrupt", **others))
    rebuild = note(**ask, **{"interrupt.previous.status": "Rebuild"})
    assert not checks.check_rebuild(cluster("Interrupt", **rebuild))
    assert checks.check_rebuild(cluster("Rebuild"))


# -- the two flows that the seed does not have -------------------------------------------


def test_the_operators_six_steps_create_the_same_cluster_as_the_seeds_seven():
    seeds = wfsim.Simulation(polardb.scenario(replicas=1), seed=1)
    scenario = polardb.scenario(replicas=1, flows=polardb.CURRENT)
    todays = wfsim.Simulation(scenario, seed=1)
    for sim in (seeds, todays):
        sim.run()
    steps = [step.name for step in todays.mementos()[-1].steps]
    assert steps == SHIPPED["CreateSharedStorageCluster"]["steps"]
    assert polardb.problems(todays.world, todays.resource()) == []
    assert todays.resource().status == seeds.resource().status
    assert todays.world.counts == seeds.world.counts


def local(*faults: wfsim.types.Fault) -> wfsim.Simulation:
    sim = wfsim.Simulation(polardb.local_scenario(), seed=1, faults=faults)
    sim.run()
    return sim


def test_an_instance_on_local_storage_is_created_and_running():
    sim = local()
    assert sim.resource().state == "Running"
    assert sim.world.pods["mpd-local-0-0"].healthy
    assert set(sim.world.counts.values()) == {1}


@pytest.mark.parametrize("step", ["InitStatusInfo", "CreatePod", "InstallDBEngine"])
def test_a_local_step_that_fails_for_good_interrupts_and_recovery_completes(step):
    sim = local(wfsim.FailStep(step, times=11))
    assert sim.resource().state == "Interrupt"
    sim.recover()
    sim.run()
    assert sim.resource().state == "Running"
    assert sim.world.pods["mpd-local-0-0"].healthy


def test_a_second_run_of_the_local_install_installs_once_more():
    sim = local(wfsim.FailStep("InstallDBEngine", after=True))
    assert sim.world.counts["install database", "mpd-local-0-0"] == 2
    assert sim.world.counts["create pod", "mpd-local-0-0"] == 1


# -- the monitor and the manager ---------------------------------------------------------


def running() -> wfsim.Simulation:
    sim = wfsim.Simulation(polardb.scenario(replicas=2), seed=1)
    sim.run()
    return sim


def test_a_leader_that_is_lost_is_replaced_and_the_monitor_writes_who_leads():
    sim = running()
    sim.act(lambda each: each.world.pods["mpd-0-rw"].fail())
    sim.run(for_=60)
    assert sim.world.managers["mpd-0"].leader == "mpd-0-ro-1"
    assert sim.resource().status["leader"] == "mpd-0-rw"
    sim.act(polardb.observe)
    status = sim.resource().status
    assert (status["leader"], status["followers"]) == (
        "mpd-0-ro-1",
        ("mpd-0-rw", "mpd-0-ro-2"),
    )
    states = {name: entry["state"] for name, entry in status["instances"].items()}
    assert states == {
        "mpd-0-ro-1": "running",
        "mpd-0-ro-2": "running",
        "mpd-0-rw": "failed",
    }
    sim.run()
    assert sim.mementos()[-1].flow == "SharedStorageClusterRebuildRo"
    assert polardb.problems(sim.world, sim.resource()) == []


def test_a_leader_that_is_lost_while_ha_is_off_is_replaced_when_it_is_on_again():
    sim = running()
    sim.edit(annotations={"restartIns": "mpd-0-ro-2"})
    sim.run(until=wfsim.step_started("RestartIns"))
    sim.act(lambda each: each.world.nodes[each.world.pods["mpd-0-rw"].node].unready())
    sim.run(until=wfsim.step_started("EnableHA"))
    assert sim.world.managers["mpd-0"].leader == "mpd-0-rw"
    sim.run()
    assert sim.world.managers["mpd-0"].leader == "mpd-0-ro-1"


def test_what_is_observed_is_observed_again_in_a_fork():
    sim = running()
    sim.act(lambda each: each.world.pods["mpd-0-ro-1"].fail())
    sim.act(polardb.observe)
    sim.run(for_=20)
    twin = sim.fork()
    assert twin.run().digest() == sim.run().digest()


def test_the_context_of_a_run_says_what_its_event_brought():
    sim = running()
    sim.edit(annotations={"switchRw": "mpd-0-ro-2"})
    sim.run()
    text = json.loads(sim.mementos()[-1].to_json())
    assert text["initContext"]["insId"] == "mpd-0-ro-2"
