"""The controller dies while runs arrive and queue: no run is lost, and no place."""

from __future__ import annotations

from pathlib import Path

import pytest

import wfsim
from tests.sizes import FULL
from wfsim import Kind

FILE = Path(__file__).parents[2] / "flows" / "scenarios" / "backup_capacity.yaml"
# A prime, so that what repeats from run to run is not met at one place only.
EACH = 1 if FULL else 23


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


FLOW = """\
flowName: NAME
steps:
- {stepName: Build, duration: 10, failure: FAILURE, onSuccess: Rollout, onFailure: Tell}
- {stepName: Rollout, childFlow: Backup, onFailure: Tell}
- {stepName: Tell, duration: 1}
"""
CHILD = "flowName: Backup\nsteps: [{stepName: Copy, duration: 4}]\n"
SERVICE = """\
flows: own
arrivals:
- {flow: Release, biz_id: 'app-{n}', every: 15, count: 3}
- {flow: Broken, biz_id: 'bad-{n}', every: 20, count: 2}
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_write_of_a_service_of_flow_files_ends_every_flow(when, tmp_path):
    (tmp_path / "own").mkdir()
    for name, failure in (("Release", "0"), ("Broken", "1")):
        text = FLOW.replace("NAME", name).replace("FAILURE", failure)
        (tmp_path / "own" / f"{name}.yaml".lower()).write_text(text)
    (tmp_path / "own" / "backup.yaml").write_text(CHILD)
    (tmp_path / "service.yaml").write_text(SERVICE)
    scenario = wfsim.Scenario.load(tmp_path / "service.yaml")
    calm = wfsim.tables.runs(wfsim.simulate(scenario, seed=1))
    wanted = sorted(zip(calm["flow"], calm["status"], strict=True))
    assert (
        wanted
        == ([("Backup", "completed")] * 3 + [("Broken", "error")] * 2)
        + [("Release", "completed")] * 3
    )
    write = 0
    while True:
        write += 1
        crash = wfsim.CrashAt(write=write, when=when, restart_after=5)
        log = wfsim.simulate(scenario, [crash], seed=1)
        runs = wfsim.tables.runs(log)
        ended = sorted(zip(runs["flow"], runs["status"], strict=True))
        assert ended == wanted, write
        if not log.filter(Kind.FAULT_FIRED):
            break
    assert write > 20


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_write_to_a_slow_api_under_a_deadline_ends_every_run(when):
    steps = tuple(wfsim.Step(name, duration=wfsim.Duration.parse(1)) for name in "ABC")
    scenario = wfsim.Scenario.of_flow(wfsim.Flow("F", steps, deadline=17.0)).but(
        api_rate=wfsim.demand.ApiRate(0.5)
    )
    write = 0
    while True:
        write += 1
        crash = wfsim.CrashAt(write=write, when=when, restart_after=5)
        log = wfsim.simulate(scenario, [crash])
        run = wfsim.tables.runs(log).iloc[-1]
        assert run["status"] in ("completed", "interrupted"), write
        assert "DEADLINE" in run["error"] or run["status"] == "completed", write
        if not log.filter(Kind.FAULT_FIRED):
            break
    assert run["error"] == "DEADLINE: not complete by 19 s"
    assert write > 8
