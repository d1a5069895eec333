"""What executors do to the world, how long they wait, and when they do nothing."""

from __future__ import annotations

from typing import Any

import pytest

from fake_resources import tiem
from fake_resources.tiem.world import Host
from tests.tiem.begun import Begun, begun, simulation

FIRST = "exportDataFromCluster"
TIUP = {"log.level": "warn"}
SQL = {"tidb_mem_quota_query": 2**30}


def cluster(run: Begun, name: str = "cluster-1") -> Any:
    return run.world.clusters[name]


def launched(run: Begun) -> list[str]:
    """What was launched, by kind, in order."""
    return [operation.kind for operation in run.world.operations.values()]


# What the flows promise.


def test_a_created_cluster_runs_with_accounts_parameters_and_a_log_configuration():
    run = begun("CreateCluster").ended()
    new = cluster(run, "cluster-new")
    assert (new.status, new.is_up, new.binary) == ("Running", True, "v5.4.0")
    assert new.topology == new.plan() != ""
    assert new.accounts == [
        *("EM_Backup_Restore", "EM_Data_Sync", "EM_Parameter_Management", "root")
    ]
    assert new.parameters == {"group": "default", "max-replicas": 3}
    assert launched(run) == ["Deploy", "Start", "EditConfig", *(["Push"] * 2)]
    for host in {each.host for each in new.instances.values()}:
        assert run.world.hosts[host].logs == ["cluster-new"]


def test_a_cluster_may_be_made_of_a_backup():
    run = begun("CreateCluster", backup="backup-0").ended()
    assert cluster(run, "cluster-new").rows == "rows of old"
    assert ("RestoreExistCluster", "Finished") in run.children


def test_a_deleted_cluster_is_gone_with_its_links_and_backups():
    run = begun("DeleteCluster").ended()
    assert "cluster-1" not in run.world.clusters
    assert run.world.feeds == {}
    assert run.world.backups == {}
    assert cluster(run, "cluster-2").master == ""
    assert run.world.instances_on("host-1") == []


def test_a_deleted_cluster_may_leave_a_backup():
    run = begun("DeleteCluster", autoBackup=True).ended()
    assert [each.rows for each in run.world.backups.values()] == ["rows of cluster-1"]
    assert run.children == [("BackupCluster", "Finished")]


def test_a_cluster_that_was_never_deployed_is_deleted_at_once():
    run = begun("DeleteCluster")
    cluster(run).topology = ""
    run.ended()
    assert (run.status, launched(run), run.children) == ("Finished", [], [])


def test_a_stopped_cluster_is_down_until_it_is_restarted():
    run = begun("StopCluster").ended()
    assert (cluster(run).status, cluster(run).is_up) == ("Stopped", False)
    run = Begun(run.sim, tiem.begin(run.sim, "RestartCluster")).ended()
    assert (cluster(run).status, cluster(run).is_up) == ("Running", True)
    assert cluster(run).restarts == 1


def test_a_first_instance_of_a_type_has_the_parameters_fitted():
    run = begun("ScaleOutCluster", instances={"TiFlash": 1}).ended()
    assert cluster(run).instances["cluster-1-tiflash-1"].up
    assert ("ModifyParameters", "Finished") in run.children
    run = begun("ScaleOutCluster", instances={"TiDB": 1}).ended()
    assert cluster(run).instances["cluster-1-tidb-2"].up
    assert run.children == [("BuildLogConfig", "Finished")]


def test_an_instance_that_holds_data_goes_when_its_data_has_moved():
    run = begun("ScaleInCluster").ended()
    assert "cluster-1-tikv-3" not in cluster(run).instances
    assert launched(run) == ["ScaleIn", "Prune"]


def test_an_instance_that_holds_no_data_goes_at_once():
    run = begun("ScaleInCluster", instance="cluster-1-tidb-1").ended()
    assert launched(run) == ["ScaleIn"]
    assert len(cluster(run).instances) == 4


@pytest.mark.parametrize(
    ("strategy", "children", "rows", "master"),
    [
        ("TopologyClone", [], "", ""),
        ("SnapshotClone", ["BackupCluster", "RestoreExistCluster"], "same", ""),
        ("CDCSync", ["BackupCluster", "RestoreExistCluster"], "same", "cluster-1"),
    ],
)
def test_a_clone_has_what_its_strategy_says(strategy, children, rows, master):
    run = begun("CloneCluster", strategy=strategy).ended()
    new, source = cluster(run, "cluster-new"), cluster(run)
    assert run.status == "Finished"
    data = [name for name, _ in run.children if name in (*children, "BackupCluster")]
    assert data == children
    assert new.rows == (source.rows if rows else "")
    assert new.master == master
    assert new.backup_strategy == "daily"
    assert (source.gc_life, source.saved_gc_life) == (600.0, 0.0)


def test_a_clone_of_another_version_keeps_parameters_of_its_own():
    run = begun("CloneCluster")
    cluster(run, "cluster-new").version = "v5.5.0"
    run.ended()
    assert run.status == "Finished"
    assert [name for name, _ in run.children].count("ModifyParameters") == 2


def test_a_cluster_that_is_taken_over_is_managed_as_it_is():
    run = begun("TakeoverCluster").ended()
    taken = cluster(run, "cluster-new")
    assert taken.topology == run.world.strangers["stranger-1"].topology
    assert (taken.status, taken.is_up, taken.deploys) == ("Running", True, 0)


def test_a_takeover_that_fails_forgets_the_cluster():
    run = begun("TakeoverCluster")
    run.world.strangers["stranger-1"].lose()
    run.ended()
    assert run.path == ["fetchTopologyFile", "revert"]
    assert "cluster-new" not in run.world.clusters


@pytest.mark.parametrize(
    "flow", ["OnlineInPlaceUpgradeCluster", "OfflineInPlaceUpgradeCluster"]
)
def test_an_upgraded_cluster_has_the_new_version_and_configuration(flow):
    run = begun(flow).ended()
    assert (cluster(run).version, cluster(run).binary) == ("v6.1.0", "v6.1.0")
    assert cluster(run).config["enable-new-charset"] is True
    assert cluster(run).is_up


def test_a_cluster_whose_regions_are_sick_is_not_upgraded_and_keeps_its_configuration():
    run = begun("OnlineInPlaceUpgradeCluster")
    cluster(run).sicken()
    run.ended()
    assert run.path[-2:] == ["checkRegionHealth", "fail"]
    assert (cluster(run).config, cluster(run).binary) == ({}, "v5.4.0")


def test_a_backup_is_restored_into_the_same_cluster():
    run = begun("BackupCluster").ended()
    assert run.world.backups["backup-1"].status == "Finished"
    run = Begun(run.sim, tiem.begin(run.sim, "RestoreExistCluster")).ended()
    assert cluster(run).rows == "rows of old"


def test_a_backup_that_fails_is_not_restored():
    run = begun("BackupCluster", "backup").ended()
    assert run.world.backups["backup-1"].status == "Failed"
    asked = {"backup": "backup-1"}
    again = Begun(run.sim, tiem.begin(run.sim, "RestoreExistCluster", **asked)).ended()
    assert again.status == "Error"
    assert cluster(again).rows == "rows of cluster-1"


def test_the_record_of_a_transfer_says_how_it_went():
    for flow in ("ImportData", "ExportData"):
        run = begun(flow).ended()
        assert run.world.transfers["transfer-1"].status == "Finished"
        run = begun(flow, tiem.shipped()[flow].main_path()[-2]).ended()
        assert run.world.transfers["transfer-1"].status == "Failed"


def test_parameters_are_set_where_they_belong():
    run = begun("ModifyParameters").ended()
    assert (cluster(run).config, cluster(run).database) == (TIUP, SQL)
    assert cluster(run).parameters == TIUP | SQL
    assert cluster(run).reloads == 1


@pytest.mark.parametrize(
    ("asked", "operations"),
    [
        ({}, ["EditConfig", "Reload"]),
        ({"reboot": False}, ["EditConfig"]),
        ({"tiup": {}}, ["Reload"]),
        ({"tiup": {}, "reboot": False}, []),
    ],
)
def test_parameters_launch_only_what_is_needed(asked, operations):
    run = begun("ModifyParameters", **asked).ended()
    assert (run.status, launched(run)) == ("Finished", operations)


def test_the_configuration_is_put_back_when_its_reload_fails_and_nobody_waits_for_that():
    run = begun("ModifyParameters")
    cluster(run).config = {"log.level": "info"}
    while "reload-cluster-1-1" not in run.world.operations:
        run.until(run.world.clock.now + 1.0)
    run.world.operations["reload-cluster-1-1"].fail()
    run.ended()
    assert run.path[-2:] == ["refreshParameter", "failParameter"]
    assert launched(run) == ["EditConfig", "Reload", "EditConfig"]
    assert cluster(run).config == {"log.level": "info"}


def test_a_check_reports_what_is_out_of_order():
    run = begun("CheckPlatform")
    run.world.hosts["host-2"].lose()
    cluster(run).instances["cluster-1-tidb-1"].fail()
    report = run.ended().world.reports["report-1"]
    assert (report.status, report.findings) == (
        "Completed",
        {"clusters": 3, "down": ["cluster-1"], "hosts": 6, "unreachable": ["host-2"]},
    )


def test_an_imported_host_has_all_that_clusters_need():
    host = begun("ImportHosts").ended().world.hosts["host-new"]
    assert host == Host(
        "host-new",
        status="Online",
        authorized=True,
        prepared=True,
        software=True,
        filebeat=True,
    )


def test_a_host_that_does_not_pass_the_checks_is_imported_only_if_that_is_ignored():
    for ignore, status in ((False, "Failed"), (True, "Online")):
        run = begun("ImportHosts", ignoreWarns=ignore)
        run.world.hosts["host-new"].sound = False
        assert run.ended().world.hosts["host-new"].status == status


def test_a_host_that_is_used_is_not_deleted():
    run = begun("DeleteHosts", subject="host-1").ended()
    assert run.path == ["start", "recover"]
    assert run.world.hosts["host-1"].status == "Online"


def test_a_deleted_host_is_gone():
    assert "host-spare" not in begun("DeleteHosts").ended().world.hosts


def test_a_host_that_has_left_before_need_not_leave():
    run = begun("DeleteHosts")
    run.world.hosts["host-spare"].filebeat = False
    assert (run.ended().status, launched(run)) == ("Finished", [])


def test_backups_of_a_deleted_cluster_are_kept_if_that_is_asked_for():
    run = begun("DeleteCluster", keepHistoryBackupRecords=True).ended()
    assert [*run.world.backups] == ["backup-0"]


# What goes wrong.


@pytest.mark.parametrize(
    ("flow", "asked", "broken", "last"),
    [
        ("ModifyParameters", {"sql": {"x": None}}, {}, "validationParameter"),
        ("OnlineInPlaceUpgradeCluster", {"version": "v5.4.0"}, {}, "selectTargetVersion"),
        ("TakeoverCluster", {}, {"hosts host-5": {"capacity": 3}}, "takeoverResource"),
        (
            "TakeoverCluster",
            {},
            {"strangers stranger-1": {"topology": "PD stranger-1-pd-1 host-x"}},
            "validateHostsStatus",
        ),
        ("ImportHosts", {}, {"hosts host-new": {"capacity": 0}}, "start"),
        ("ImportHosts", {}, {"hosts host-new": {"reachable": False}}, "authhosts"),
        ("ExportData", {}, {"clusters cluster-1": {"reachable": False}}, FIRST),
        ("BackupCluster", {}, {"clusters cluster-1": {"reachable": False}}, "backup"),
        (
            "SwitchoverNormal",
            {},
            {"feeds feed-cluster-1-cluster-2": {"status": "Stopped"}},
            "checkHealthStatus",
        ),
        (
            "SwitchoverNormal",
            {},
            {"feeds feed-cluster-1-cluster-3": {"status": "Error"}},
            "waitOldMasterCDCsCaughtUp",
        ),
    ],
)
def test_what_cannot_be_done_leads_to_the_handler(flow, asked, broken, last):
    run = begun(flow, **asked)
    for place, values in broken.items():
        kind, name = place.split()
        for attribute, value in values.items():
            setattr(getattr(run.world, kind)[name], attribute, value)
    run.ended()
    assert run.path[-2] == last
    assert (run.status, run.locks) == ("Error", {})


def test_an_upgrade_that_has_not_upgraded_is_found_out():
    run = begun("OnlineInPlaceUpgradeCluster")
    while "upgrade-cluster-1-1" not in run.world.operations:
        run.until(run.world.clock.now + 1.0)
    run.world.operations["upgrade-cluster-1-1"].arguments["version"] = "v5.4.1"
    run.ended()
    assert run.path[-2:] == ["checkVersion", "failAfterUpgrade"]
    assert (cluster(run).status, cluster(run).version) == ("Failure", "v5.4.0")


def test_a_deployment_that_takes_too_long_is_killed_and_its_places_are_free():
    sim = simulation(latencies={"Deploy": 601})
    run = Begun(sim, tiem.begin(sim, "CreateCluster")).ended()
    assert run.path[-2:] == ["deployCluster", "fail"]
    assert run.world.operations["deploy-cluster-new-1"].error == (
        "Deploy of cluster-new: killed after 600 s"
    )
    new = cluster(run, "cluster-new")
    assert new.status == "Failure"
    assert {each.host for each in new.instances.values()} == {""}


def test_a_status_file_that_cannot_be_read_fails_the_step_as_nothing_is_tolerated():
    run = begun("StopCluster").until(6.0)
    run.world.operations["stop-cluster-1-1"].garble()
    run.ended()
    assert run.path == ["clusterStop", "fail"]
    assert (cluster(run).status, run.locks) == ("Failure", {})


def test_a_status_file_that_nobody_writes_any_more_is_polled_for_days():
    run = begun("StopCluster").until(6.0)
    run.world.operations["stop-cluster-1-1"].silence()
    run.ended()
    assert (run.path, run.status) == (["clusterStop"], "Processing")
    assert not cluster(run).is_up


def test_a_process_that_hangs_is_killed_and_its_flow_ends_in_an_error():
    run = begun("StopCluster").until(6.0)
    run.world.operations["stop-cluster-1-1"].hang()
    run.until(360.0)
    assert run.status == "Processing"
    assert run.ended().path == ["clusterStop", "fail"]


def test_the_seed_may_fail_operations():
    sim = simulation(operation_failure=1.0)
    run = Begun(sim, tiem.begin(sim, "CreateCluster")).ended()
    assert run.path[-2:] == ["deployCluster", "fail"]


def test_a_cluster_without_room_is_not_deployed():
    run = begun("CreateCluster", instances={"TiKV": 99}).ended()
    assert run.path == ["prepareResource", "fail"]
    assert launched(run) == []


def test_a_child_that_fails_fails_the_step_that_waits_for_it():
    run = begun("ScaleOutCluster")
    while "editconfig-cluster-1-1" not in run.world.operations:
        run.until(run.world.clock.now + 1.0)
    run.world.operations["editconfig-cluster-1-1"].fail()
    run.ended()
    assert run.children == [("ModifyParameters", "Error")]
    assert run.path[-2:] == ["updateClusterParameters", "failAfterScale"]
    assert run.locks == {}


@pytest.mark.parametrize(
    ("start", "last"),
    [(50, ["syncTopology", "end"]), (150, ["initDatabaseAccount", "failAfterUpgrade"])],
)
def test_a_start_that_nobody_waits_for_may_come_too_late_for_an_upgrade(start, last):
    sim = simulation(latencies={**tiem.INSTANT, "Start": start})
    run = Begun(sim, tiem.begin(sim, "OfflineInPlaceUpgradeCluster")).ended()
    assert run.path[-2:] == last


def test_a_host_that_is_not_online_is_waited_for_five_minutes():
    for minutes, status in ((4, "Finished"), (6, "Error")):
        run = begun("TakeoverCluster")
        run.world.hosts["host-5"].status = "Init"
        run.until(60.0 * minutes)
        run.world.hosts["host-5"].status = "Online"
        assert run.ended().status == status


def test_the_world_is_the_same_whenever_it_is_made():
    one, two = (begun("CloneCluster").ended().world.state() for _ in range(2))
    assert one == two
