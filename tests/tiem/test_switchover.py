"""A slave takes its master's place, and gives it back when something fails."""

from __future__ import annotations

from typing import Any

import pytest

import wfsim
from fake_resources import tiem
from tests.tiem.begun import Begun, asked_for, begun, broken_switchover, simulation

BEFORE = {
    "masters": {"cluster-1": "", "cluster-2": "cluster-1", "cluster-3": "cluster-1"},
    "read only": ["cluster-2", "cluster-3"],
    "feeds": {"feed-cluster-1-cluster-2": "Normal", "feed-cluster-1-cluster-3": "Normal"},
}
STEPS = tiem.shipped()["SwitchoverNormal"].main_path()


def relations(world: tiem.TiemWorld) -> dict[str, Any]:
    """Who is whose master, who takes no writes, and what sends changes."""
    clusters = sorted(world.clusters.values(), key=lambda each: each.name)
    return {
        "masters": {each.name: each.master for each in clusters},
        "read only": [each.name for each in clusters if each.read_only],
        "feeds": {each.name: each.status for _, each in sorted(world.feeds.items())},
    }


def test_the_world_begins_with_a_master_and_its_slaves():
    assert relations(tiem.world()) == BEFORE


@pytest.mark.parametrize("flow", ["SwitchoverNormal", "SwitchoverForce"])
def test_the_slave_becomes_the_master_of_all_others(flow):
    run = begun(flow).ended()
    assert relations(run.world) == {
        "masters": {"cluster-1": "cluster-2", "cluster-2": "", "cluster-3": "cluster-2"},
        "read only": ["cluster-1", "cluster-3"],
        "feeds": {
            "feed-cluster-1-cluster-2": "Stopped",
            "feed-cluster-2-cluster-1": "Normal",
            "feed-cluster-2-cluster-3": "Normal",
        },
    }


def test_a_master_that_is_lost_is_left_as_it_is_by_force():
    run = begun("SwitchoverForceWithMasterUnavailable").ended()
    assert relations(run.world)["masters"]["cluster-2"] == ""
    assert relations(run.world)["read only"] == ["cluster-3"]


def test_a_master_that_is_lost_lets_a_switchover_without_force_fail():
    run = begun("SwitchoverNormal")
    run.world.clusters["cluster-1"].lose()
    run.ended()
    assert run.path[-2:] == ["setOldMasterReadOnly", "fail"]
    assert relations(run.world) == BEFORE


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", STEPS[:-1])
def test_whatever_was_done_up_to_a_failure_is_taken_back(step, after):
    fault = wfsim.FailStep(step, after=after)
    run = asked_for(simulation(fault), "SwitchoverNormal").ended()
    assert run.path[-2:] == [step, "fail"]
    assert relations(run.world) == BEFORE
    record = run.world.switchovers[run.flow_id]
    assert (record.status, record.undo, record.rolled_back) == ("Failed", [], True)


def test_a_slave_that_is_far_behind_is_looked_at_four_times():
    run = begun("SwitchoverNormal")
    run.world.feeds["feed-cluster-1-cluster-2"].lag = 31.0
    run.ended()
    assert run.path[-2:] == ["checkSyncChangeFeedTaskMaxLagTime", "fail"]


def test_a_feed_that_does_not_send_is_looked_at_for_a_minute():
    run = begun("SwitchoverNormal")
    run.world.feeds["feed-cluster-1-cluster-2"].fail()
    run.until(12 * 5.0 + 11 * 0.5)
    assert run.path[-1] == "checkHealthStatus"
    run.ended()
    assert run.path[-2:] == ["checkHealthStatus", "fail"]


def test_a_feed_that_sends_again_in_time_is_good_enough():
    run = begun("SwitchoverNormal")
    feed = run.world.feeds["feed-cluster-1-cluster-2"]
    feed.fail()
    run.until(40.0)
    feed.recover()
    assert run.ended().status == "Finished"


def test_what_cannot_be_taken_back_is_kept_for_later_and_the_locks_are_free():
    run = broken_switchover(simulation())
    record = run.world.switchovers[run.flow_id]
    assert run.status == "Error"
    assert (record.undo, record.rolled_back) == (
        [["read_only", "cluster-1", False]],
        False,
    )
    assert run.locks == {}


def test_a_rollback_takes_back_what_the_switchover_could_not():
    run = begun("SwitchoverRollback")
    assert run.locks == dict.fromkeys(
        ("cluster-1", "cluster-2", "cluster-3"), "SwitchoverRollback"
    )
    run.ended()
    assert relations(run.world) == BEFORE


def test_only_a_switchover_that_there_was_can_be_taken_back():
    sim = simulation()
    with pytest.raises(wfsim.UsageError, match="'flow-7' is no flow of a switchover"):
        tiem.begin(sim, "SwitchoverRollback", failed="flow-7")
    assert Begun(sim, "").locks == {}
