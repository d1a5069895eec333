"""The controller dies while runs arrive and queue: no run is lost, and no place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import wfsim
from wfsim import Kind

FILE = Path(__file__).parents[2] / "flows" / "scenarios" / "backup_capacity.yaml"
# A prime, so that what repeats from run to run is not met at one place only.
EACH = 1 if os.environ.get("WFSIM_FULL") == "1" else 23


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_write_loses_no_run_that_arrives_and_keeps_no_place(when):
    scenario = wfsim.Scenario.load(FILE)
    arrived = set(wfsim.tables.runs(wfsim.simulate(scenario, seed=3))["resource"])
    write, crashes = 1, 0
    while True:
        crash = wfsim.CrashAt(write=write, when=when, restart_after=5)
        log = wfsim.simulate(scenario, [crash], seed=3)
        if not log.filter(Kind.FAULT_FIRED):
            break
        runs = wfsim.tables.runs(log)
        assert set(runs["resource"]) == arrived, write
        assert set(runs["status"]) == {"completed"}, write
        assert " 0/" in log.filter(Kind.POOL_CHANGED)[-1].text, write
        write, crashes = write + EACH, crashes + 1
    assert crashes > 10
