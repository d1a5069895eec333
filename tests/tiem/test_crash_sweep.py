"""Every flow, its controller killed at every write: executors may all be run again."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

import wfsim
from fake_resources import tiem
from tests.sizes import FULL
from tests.tiem.begun import Begun, asked_for, simulation

# Killed before a write, an executor has done all its work and is run again.
MOMENTS = ("before", "after") if FULL else ("before",)
EACH = 1 if FULL else 3
"""Every third write of a flow is one to crash at; of another flow, another third."""


def first_of(flow: str) -> int:
    return 1 if FULL else 1 + len(flow) % EACH


def outcome(run: Begun) -> tuple[Any, ...]:
    """What is to be the same, however often somebody had to begin anew."""
    essence = run.world.essence()
    # How often something was launched, and how far behind a feed was, may well differ.
    essence.pop("operations")
    for feed in essence["feeds"].values():
        feed.pop("lag")
    return run.status, run.path, run.children, run.locks, essence


@pytest.mark.parametrize("when", MOMENTS)
@pytest.mark.parametrize("flow", tiem.CALLERS)
def test_a_crash_at_any_write_ends_in_the_same_world(flow, when):
    calm = asked_for(simulation(), flow).ended()
    wanted = outcome(calm)
    assert wanted[0] == "Finished"
    for write in itertools.count(first_of(flow), EACH):
        crash = wfsim.CrashAt(write=write, when=when, restart_after=7)
        run = asked_for(simulation(crash), flow).ended()
        assert outcome(run) == wanted, f"crash {when} write {write}"
        if not run.sim.log.filter(wfsim.Kind.FAULT_FIRED):
            break
    assert write > 2 * len(wanted[1])


@pytest.mark.parametrize("status", ["Error", "Canceled"])
@pytest.mark.parametrize("flow", tiem.CALLERS)
def test_a_crash_at_any_write_leaves_no_lock_behind_however_the_flow_ends(flow, status):
    calm = asked_for(simulation(), flow).ended()
    half = (calm.sim.now - calm.sim.service.detail(calm.flow_id).info.created) / 2
    # Nobody gives the lock back: not the last step, and it has no handler.
    bad = wfsim.FailStep(calm.path[-1], resource=calm.flow_id, times=9)
    for write in itertools.count(first_of(flow), EACH):
        crash = wfsim.CrashAt(write=write, when=MOMENTS[-1], restart_after=7)
        faults = (crash, bad) if status == "Error" else (crash,)
        run = asked_for(simulation(*faults), flow)
        if status == "Canceled":
            run.until(run.sim.now + half)
            run.sim.service.cancel(run.flow_id)
        run.ended()
        assert (run.status, run.locks) == (status, {}), f"crash at write {write}"
        fired = run.sim.log.filter(wfsim.Kind.FAULT_FIRED)
        if not any("CrashAt" in record.text for record in fired):
            break
    assert write > first_of(flow)


@pytest.mark.parametrize(("t", "restart_after"), [(40, 5), (40, 400), (16, 2)])
def test_an_operation_that_was_launched_is_not_launched_again_by_a_restart(
    t, restart_after
):
    crash = wfsim.CrashAt(t=t, restart_after=restart_after)
    run = asked_for(simulation(crash), "CreateCluster").ended()
    assert run.status == "Finished"
    kinds = [operation.kind for operation in run.world.operations.values()]
    assert kinds.count("Deploy") == kinds.count("Start") == 1
