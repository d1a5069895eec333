"""Flows whose process is dropped again and again end in the world they would have had."""

from __future__ import annotations

import pytest

import wfsim
from fake_resources import tiem
from tests.sizes import FULL
from tests.tiem.begun import Begun, asked_for, simulation
from tests.tiem.test_crash_sweep import outcome

SOME = ("CreateCluster", "ScaleInCluster", "SwitchoverNormal", "CloneCluster")
# The batch of a caller of flows on hosts is a process of the caller's own.
FLOWS = [name for name, each in tiem.CALLERS.items() if each.biz_type != "host"]


@pytest.mark.parametrize("flow", FLOWS if FULL else SOME)
def test_a_flow_ends_in_the_same_world_however_often_its_process_is_dropped(
    flow, tmp_path
):
    wanted = outcome(asked_for(simulation(), flow).ended())
    assert wanted[0] == "Finished"
    db = tmp_path / "flows.db"
    run = asked_for(wfsim.Simulation(tiem.scenario(), seed=1, db=db), flow)
    lives = 0
    while run.status == "Processing":
        run.sim.run(for_=7.0 if lives < 20 else None)
        run = Begun(wfsim.Simulation(tiem.scenario(), seed=1, db=db), run.flow_id)
        lives += 1
    assert lives > 1
    assert outcome(run.ended()) == wanted


def test_a_batch_of_hosts_dies_with_the_process_of_its_caller(tmp_path):
    db = tmp_path / "flows.db"
    first = wfsim.Simulation(tiem.scenario(), seed=1, db=db)
    flow = tiem.begin(first, "ImportHosts")
    first.run(until=12)
    assert first.world.host_batch == "ImportHosts host-new"
    second = wfsim.Simulation(tiem.scenario(), seed=1, db=db)
    second.run()
    assert second.service.detail(flow).status == "Finished"
    after = tiem.begin(second, "DeleteHosts")
    second.run()
    assert second.service.detail(after).status == "Finished"


def test_a_flow_is_no_resource_that_anybody_may_create():
    sim = wfsim.Simulation(tiem.scenario())
    with pytest.raises(wfsim.UsageError, match=r"call service.create\(\)"):
        sim.create(wfsim.Resource("workflow", "1-Mine"))
