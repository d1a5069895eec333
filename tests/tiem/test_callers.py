"""What callers do: locks taken and refused, books kept, batches of hosts."""

from __future__ import annotations

import pytest

import wfsim
from fake_resources import tiem
from tests.tiem.begun import Begun, begun, simulation

LOCKED = {
    "CreateCluster": {"cluster-new": "Creating"},
    "DeleteCluster": {"cluster-1": "Deleting"},
    "RestartCluster": {"cluster-1": "Restarting"},
    "StopCluster": {"cluster-1": "Stopping"},
    "ScaleOutCluster": {"cluster-1": "ScaleOut"},
    "ScaleInCluster": {"cluster-1": "ScaleIn"},
    "CloneCluster": {"cluster-1": "BeingCloned", "cluster-new": "Cloning"},
    "TakeoverCluster": {"cluster-new": "Takeover"},
    "OnlineInPlaceUpgradeCluster": {"cluster-1": "Upgrading"},
    "OfflineInPlaceUpgradeCluster": {"cluster-1": "Upgrading"},
    "BackupCluster": {"cluster-1": "BackUp"},
    "ModifyParameters": {"cluster-1": "ModifyParameterRestarting"},
    **{
        flow: dict.fromkeys(("cluster-1", "cluster-2", "cluster-3"), "Switching")
        for flow in tiem.CALLERS
        if flow.startswith(("SwitchoverN", "SwitchoverF"))
    },
    "SwitchoverRollback": dict.fromkeys(
        ("cluster-1", "cluster-2", "cluster-3"), "SwitchoverRollback"
    ),
    "ImportHosts": {"hosts": "ImportHosts host-new"},
    "ImportHostsWithoutInit": {"hosts": "ImportHostsWithoutInit host-new"},
    "TakeOverHosts": {"hosts": "TakeOverHosts host-new"},
    "DeleteHosts": {"hosts": "DeleteHosts host-spare"},
    "DeleteHostsByForce": {"hosts": "DeleteHostsByForce host-spare"},
}


@pytest.mark.parametrize("flow", tiem.CALLERS)
def test_a_caller_takes_the_locks_of_its_flow(flow):
    assert begun(flow).locks == LOCKED.get(flow, {})


@pytest.mark.parametrize("flow", ["BackupCluster", "ModifyParameters"])
def test_a_lock_that_is_not_asked_for_is_not_taken(flow):
    run = begun(flow, lock=False)
    assert run.locks == {}
    assert run.ended().status == "Finished"


def test_a_second_flow_on_a_cluster_is_refused_and_leaves_nothing_behind():
    run = begun("RestartCluster")
    for flow in ("StopCluster", "ScaleOutCluster", "CloneCluster", "DeleteCluster"):
        with pytest.raises(
            wfsim.errors.ServiceError, match=r"\[20114\].*cluster-1 is Restarting"
        ) as at:
            tiem.begin(run.sim, flow)
        assert at.value.code == 20114
    assert run.locks == {"cluster-1": "Restarting"}
    assert [*run.world.clusters] == ["cluster-1", "cluster-2", "cluster-3"]
    assert len(run.world.clusters["cluster-1"].instances) == 5
    assert run.ended().status == "Finished"


def test_a_switchover_locks_all_clusters_or_none():
    run = begun("RestartCluster", subject="cluster-3")
    with pytest.raises(wfsim.errors.ServiceError, match="cluster-3 is Restarting"):
        tiem.begin(run.sim, "SwitchoverNormal")
    assert run.locks == {"cluster-3": "Restarting"}


def test_a_deletion_by_force_takes_the_lock_over_and_the_other_flow_fails():
    run = begun("RestartCluster")
    deletion = Begun(run.sim, tiem.begin(run.sim, "DeleteCluster", force=True))
    assert run.locks == {"cluster-1": "Deleting"}
    with pytest.raises(wfsim.errors.ServiceError, match="cluster-1 is Deleting"):
        tiem.begin(run.sim, "DeleteCluster", force=True)
    run.ended()
    assert (deletion.status, run.status) == ("Finished", "Error")
    assert "cluster-1" not in run.world.clusters


def test_a_lock_that_no_step_gives_back_is_free_when_its_flow_has_ended():
    run = begun("ScaleInCluster", "end")
    while "end" not in run.path:
        run.until(run.sim.clock.now + 1.0)
    # The step that gives it back has failed; the flow ends a tick later.
    assert (run.status, run.locks) == ("Processing", {"cluster-1": "ScaleIn"})
    run.ended()
    assert (run.status, run.locks) == ("Error", {})
    again = Begun(run.sim, tiem.begin(run.sim, "StopCluster")).ended()
    assert again.status == "Finished"


def test_a_flow_that_is_cancelled_frees_its_lock_though_no_handler_does():
    run = begun("StopCluster").until(6.0)
    run.sim.service.cancel(run.flow_id, "wrong cluster")
    assert run.locks == {"cluster-1": "Stopping"}
    run.ended()
    assert (run.status, run.path) == ("Canceled", ["clusterStop"])
    assert run.locks == {}
    # What was launched goes on without it.
    assert not run.world.clusters["cluster-1"].is_up


def test_a_lock_is_free_though_all_died_when_its_flow_had_just_ended(tmp_path):
    file = tmp_path / "flows.db"
    faults = [wfsim.FailStep("end")]
    sim = wfsim.Simulation(tiem.scenario(), seed=1, faults=faults, db=file)
    tiem.begin(sim, "ScaleInCluster")
    sim.run(until=wfsim.state_entered("Error"))
    again = wfsim.Simulation(tiem.scenario(), seed=1, db=file)
    assert again.service.detail("1-ScaleInCluster").status == "Error"
    assert Begun(again, "1-ScaleInCluster").locks == {}


def test_a_flow_that_ends_leaves_the_lock_of_another_flow_alone():
    run = begun("StopCluster", "setClusterOffline")
    run.until(6.0)
    other = Begun(run.sim, tiem.begin(run.sim, "DeleteCluster", force=True))
    while run.status != "Error":
        run.until(run.sim.clock.now + 1.0)
    assert other.status == "Processing"
    assert run.locks == {"cluster-1": "Deleting"}
    assert other.ended().locks == {}


def test_a_lock_that_was_given_back_and_taken_again_is_not_freed_by_the_flow_before():
    run = begun("StopCluster")
    while run.locks:
        run.until(run.sim.clock.now + 0.1)
    # Its last step is over, and the tick at which it ends is yet to come.
    again = Begun(run.sim, tiem.begin(run.sim, "StopCluster"))
    assert run.status == "Processing"
    run.until(run.sim.clock.now + 5.0)
    assert (run.status, again.locks) == ("Finished", {"cluster-1": "Stopping"})


def test_a_flow_that_is_stopped_keeps_its_lock_and_goes_on_when_it_is_started():
    run = begun("StopCluster").until(6.0)
    run.sim.service.stop(run.flow_id)
    run.until(300.0)
    assert (run.status, run.locks) == ("Stopped", {"cluster-1": "Stopping"})
    run.sim.service.start(run.flow_id)
    run.ended()
    assert (run.status, run.locks) == ("Finished", {})
    assert [*run.world.operations] == ["stop-cluster-1-1"]


def test_two_batches_of_hosts_are_refused():
    run = begun("ImportHosts")
    with pytest.raises(
        wfsim.errors.ServiceError, match=r"\[9993\].*ImportHosts host-new"
    ):
        tiem.begin(run.sim, "DeleteHosts")
    assert run.ended().locks == {}
    again = Begun(run.sim, tiem.begin(run.sim, "DeleteHosts"))
    assert again.ended().status == "Finished"


def test_the_flows_of_a_batch_are_started_one_after_the_other():
    sim = simulation()
    first, second = (
        Begun(sim, flow_id)
        for flow_id in tiem.begin_hosts(sim, "ImportHosts", ["host-a", "host-b"])
    )
    first.until(5.0)
    assert (first.status, second.status) == ("Processing", "Initializing")
    first.ended()
    assert (first.status, second.status) == ("Finished", "Finished")
    assert {sim.world.hosts[name].status for name in ("host-a", "host-b")} == {"Online"}
    assert first.locks == {}


def test_a_flow_that_is_cancelled_before_its_turn_does_not_stop_its_batch():
    sim = simulation()
    flows = tiem.begin_hosts(sim, "ImportHosts", ["host-a", "host-b", "host-c"])
    sim.service.cancel(flows[1])
    runs = [Begun(sim, flow_id).ended() for flow_id in flows]
    assert [run.status for run in runs] == ["Finished", "Canceled", "Finished"]
    assert runs[0].locks == {}


@pytest.mark.parametrize(
    ("flow", "hosts"),
    [
        ("ImportHosts", []),
        ("ImportHosts", ["host-a", "host-a"]),
        ("ImportHosts", ["host-a", "host-1"]),
        ("StopCluster", ["cluster-1"]),
    ],
)
def test_a_batch_that_makes_no_sense_is_refused_whole(flow, hosts):
    sim = simulation()
    before = sim.world.state()
    with pytest.raises(wfsim.UsageError):
        tiem.begin_hosts(sim, flow, hosts)
    assert sim.world.state() == before


def test_a_host_that_fails_does_not_stop_its_batch():
    sim = simulation()
    flows = tiem.begin_hosts(sim, "ImportHosts", ["host-a", "host-b"])
    sim.world.hosts["host-a"].lose()
    runs = [Begun(sim, flow_id).ended() for flow_id in flows]
    assert [run.status for run in runs] == ["Error", "Finished"]
    assert sim.world.hosts["host-a"].status == "Failed"


@pytest.mark.parametrize(
    ("flow", "subject", "asked", "said"),
    [
        ("CreateClutser", None, {}, "no flow 'CreateClutser'"),
        ("StopCluster", "cluster-9", {}, "no cluster cluster-9; one of cluster-1"),
        ("StopCluster", None, {"hard": True}, "no 'hard' can be asked for, but nothing"),
        ("CreateCluster", "cluster-1", {}, "a cluster cluster-1 already"),
        ("CloneCluster", None, {"source": "x"}, "no cluster x"),
        ("ScaleInCluster", None, {"instance": "x"}, "cluster-1 has no instance x"),
        ("RestoreExistCluster", None, {"backup": "x"}, "no backup x"),
        ("SwitchoverNormal", "cluster-2", {}, "cluster-2 is no slave of cluster-2"),
        ("ImportHosts", "host-1", {}, "a host host-1 already"),
        ("DeleteHosts", "host-x", {}, "no host host-x"),
    ],
)
def test_what_nobody_can_ask_for_is_said_and_nothing_has_happened(
    flow, subject, asked, said
):
    sim = simulation()
    before = sim.world.state()
    with pytest.raises(wfsim.UsageError, match=said):
        tiem.begin(sim, flow, subject, **asked)
    assert sim.world.state() == before


def test_a_fork_repeats_what_was_asked_for():
    sim = simulation()
    tiem.begin_hosts(sim, "ImportHosts", ["host-a", "host-b"])
    tiem.begin(sim, "CloneCluster")
    sim.run(until=50.0)
    twin = sim.fork()
    assert twin.run().digest() == sim.run().digest()
    assert twin.world.state() == sim.world.state()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"slaves": -1}, "slaves is -1"),
        ({"operation_failure": 2.0}, "operation_failure is 2.0"),
        ({"latencies": {"Deplyo": 1}}, "no operation 'Deplyo'"),
        ({"latencies": {"Deploy": -1}}, "latencies: Deploy"),
    ],
)
def test_a_scenario_that_makes_no_sense_is_refused(wrong, said):
    with pytest.raises(wfsim.DefinitionError, match=said):
        tiem.scenario(**wrong)


def test_a_platform_may_have_one_cluster_alone():
    sim = wfsim.Simulation(tiem.scenario(slaves=0), seed=1)
    assert Begun(sim, tiem.begin(sim, "CreateCluster")).ended().status == "Finished"


def test_no_two_flows_have_one_number_whoever_created_them():
    run = begun("RestartCluster").ended()
    tiem.begin(run.sim, "StopCluster", "cluster-2")
    flows = [each.id for each in run.sim.service.list().flows]
    assert flows == ["3-StopCluster", "2-BuildLogConfig", "1-RestartCluster"]
