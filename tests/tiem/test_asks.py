"""What is asked while a flow runs: at every record of it, alone and with a crash.

A run does what it was begun for; what is asked meanwhile is refused in words, or served;
what is withdrawn ends well; what is deleted leaves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import wfsim
from fake_resources import tiem
from tests.sizes import FULL
from tests.tiem.begun import Begun, asked_for, simulation

STRIDE = 1 if FULL else 23
CRASH = pytest.mark.parametrize("crash", [False, True], ids=["alone", "crash"])


def begun(flow: str) -> tuple[Begun, dict[str, Any]]:
    """A flow that has been asked for, and what may be asked meanwhile."""
    run = asked_for(simulation(), flow)
    more = {}
    if flow == "SwitchoverRollback":
        more = {"failed": "1-SwitchoverNormal"}
    return run, tiem.asks(flow, **more)


def at_every_record(flow: str) -> Iterator[tuple[Begun, dict[str, Any]]]:
    """One run for each record of the flow, which stands there, with its asks."""
    calm, _ = begun(flow)
    first = len(calm.sim.log)
    records = len(calm.ended().sim.log) - first
    for number in range(0 if FULL else len(flow) % STRIDE, records, STRIDE):
        run, asks = begun(flow)
        for _ in range(number):
            run.sim.step()
        yield run, asks


def ends(run: Begun, crash: bool) -> None:
    if crash:
        run.sim.run(for_=0.7)
        run.sim.crash()
        run.sim.run(for_=5.0)
        run.sim.restart()
    run.ended()


def refused(run: Begun, ask: Any) -> str:
    """The id of the flow that was begun, "" if it was refused and nothing has changed."""
    before = run.world.state()
    try:
        return tiem.ask(run.sim, ask, run.flow_id)
    except (wfsim.errors.ServiceError, wfsim.UsageError):
        assert run.world.state() == before
        return ""


@CRASH
@pytest.mark.parametrize("name", ["second", "changed"])
@pytest.mark.parametrize("flow", tiem.CALLERS)
def test_what_is_asked_while_a_flow_runs_is_refused_or_served(flow, name, crash):
    for run, asks in at_every_record(flow):
        where = f"{flow}, {name} after {run.sim.log[-1]}"
        other = refused(run, asks[name])
        ends(run, crash)
        assert run.status == "Finished", where
        assert run.locks == {}, where
        if other:
            # What the first has left the second nothing to do for ends in an error.
            end = Begun(run.sim, other).status
            assert end in ("Finished", "Error"), where
            if end == "Finished":
                assert _served(run.world, flow, name), where


def _served(world: tiem.TiemWorld, flow: str, name: str) -> bool:
    """Whether both requests show in the world."""
    cluster = world.clusters.get("cluster-1")
    match flow, name:
        case "ModifyParameters", "changed":
            return cluster.config == {"log.level": "warn", "log.file": "tidb.log"}
        case "BackupCluster", _:
            return world.backups["backup-1"].status == "Finished"
        case "RestoreExistCluster", _:
            return cluster.rows == "rows of old"
        case "ImportData", _:
            return cluster.rows == "transfer-2" or cluster.rows == "transfer-1"
        case (("ExportData" | "ImportData"), _):
            return {each.status for each in world.transfers.values()} == {"Finished"}
        case ("StopCluster", "changed"):
            return world.clusters["cluster-2"].status == "Stopped"
    return True


@CRASH
@pytest.mark.parametrize("flow", tiem.CALLERS)
def test_a_flow_that_is_withdrawn_leaves_nothing_of_its_own_behind(flow, crash):
    for run, asks in at_every_record(flow):
        where = f"{flow}, withdrawn after {run.sim.log[-1]}"
        refused(run, asks["withdrawn"])
        ends(run, crash)
        assert run.status in ("Canceled", "Finished"), where
        assert run.locks == {}, where
        clusters = run.world.clusters.values()
        assert not [each for each in clusters if each.saved or each.holder], where
        assert not any(each.saved_gc_life for each in clusters), where


def traces(world: tiem.TiemWorld, name: str) -> list[str]:
    """What there still is of the cluster or host *name*, records of the past aside."""
    feeds = [each.name for each in world.feeds.values() if name in each.name]
    slaves = [each.name for each in world.clusters.values() if each.master == name]
    backups = [each.name for each in world.backups.values() if each.cluster == name]
    hosts = [each.name for each in world.hosts.values() if name in each.logs]
    housed = [
        each for host in world.hosts for each in world.instances_on(host) if name in each
    ]
    there = [each for each in (*world.clusters, *world.hosts) if each == name]
    return [*there, *feeds, *slaves, *backups, *hosts, *housed]


@CRASH
@pytest.mark.parametrize(
    "flow", [flow for flow in tiem.CALLERS if "delete" in tiem.asks(flow)]
)
def test_what_is_deleted_leaves_nothing(flow, crash):
    name = tiem.CALLERS[flow].subject
    for run, asks in at_every_record(flow):
        where = f"{flow}, delete after {run.sim.log[-1]}"
        other = refused(run, asks["delete"])
        ends(run, crash)
        if not other:
            other = refused(run, asks["delete"]) or run.flow_id
            run.ended()
        assert Begun(run.sim, other).status == "Finished", where
        assert traces(run.world, name) == [], where
        assert run.locks == {}, where
        gone = [each for each in tiem.problems(run.world) if "gone" in each]
        assert gone == [], where


@pytest.mark.parametrize(
    "flow", [flow for flow in tiem.CALLERS if tiem.CALLERS[flow].is_new]
)
def test_a_namesake_of_what_is_deleted_is_as_good_as_new(flow):
    name = tiem.CALLERS[flow].subject
    for run, asks in at_every_record(flow):
        where = f"{flow}, replace after {run.sim.log[-1]}"
        if refused(run, asks["delete"]):
            run.ended()
            again = tiem.ask(
                run.sim, asks["replace"]._replace(calls=asks["replace"].calls[1:])
            )
            run.ended()
            assert Begun(run.sim, again).status == "Finished", where
            found = [each for each in tiem.problems(run.world) if name in each]
            assert found == [], where


def test_what_may_be_asked_is_refused_where_there_is_no_such_flow():
    with pytest.raises(wfsim.UsageError, match="no flow 'StopClutser'; one of Create"):
        tiem.asks("StopClutser")
