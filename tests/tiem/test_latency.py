"""How long flows take of themselves: ticks, polls, sleeps, and waits for children."""

from __future__ import annotations

import pytest

from fake_resources import tiem
from tests.tiem.begun import asked_for, simulation

# What executors sleep and wait; all else takes no time here, but every node its tick.
LATENCY = {
    "BackupCluster": 20,
    "BuildLogConfig": 15,
    "CheckCluster": 15,
    "CheckPlatform": 20,
    "DeleteCluster": 35,
    "DeleteHosts": 20,
    "ExportData": 20,
    "ImportData": 25,
    "ImportHosts": 40,
    "ImportHostsWithoutInit": 10,
    "ModifyParameters": 30,
    "RestartCluster": 20,
    "RestoreExistCluster": 15,
    "ScaleInCluster": 25,
    "StopCluster": 20,
    "SwitchoverForceWithMasterUnavailable": 30,
    "TakeOverHosts": 25,
    "TakeoverCluster": 50,
}


def end_of(flow: str, **latencies: float) -> float:
    """When the flow has ended that was started at second 0, if nothing takes time."""
    run = asked_for(simulation(latencies={**tiem.INSTANT, **latencies}), flow).ended()
    assert run.status == "Finished"
    return run.sim.log.filter(run=run.flow_id)[-1].time


@pytest.mark.parametrize("flow", LATENCY)
def test_a_flow_of_nodes_that_take_no_time_takes_a_tick_for_each_and_one_more(flow):
    assert end_of(flow) == LATENCY[flow] == 5 * len(tiem.shipped()[flow].main_path()) + 5


def test_creating_a_cluster_in_no_time_takes_200_seconds():
    """Sixteen ticks, a minute of sleep, two children that are looked at every 10 s."""
    assert end_of("CreateCluster") == 200


@pytest.mark.parametrize(
    ("takes", "end"), [(0, 20), (2, 20), (3, 20), (4, 25), (6, 25), (7, 25), (10, 30)]
)
def test_an_operation_costs_the_polls_of_3_s_and_then_the_ticks_of_5_s(takes, end):
    assert end_of("StopCluster", Stop=takes) == end


@pytest.mark.parametrize(("strategy", "end"), [("TopologyClone", 270), ("CDCSync", 290)])
def test_what_a_strategy_leaves_out_costs_its_ticks_all_the_same(strategy, end):
    sim = simulation(latencies=tiem.INSTANT)
    run = asked_for(sim, "CloneCluster", strategy=strategy).ended()
    assert run.sim.log.filter(run=run.flow_id)[-1].time == end
