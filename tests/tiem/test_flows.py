"""Every flow, asked for as its caller does: when all goes well, and when a step fails."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import wfsim
from fake_resources import tiem
from tests.tiem.begun import begun

KNOWN = yaml.safe_load(
    (Path(__file__).parents[1] / "flows" / "tiem_main_paths.yaml").read_text()
)
CHILDREN = {
    "CreateCluster": ["ModifyParameters", "ModifyParameters", "BuildLogConfig"],
    "RestartCluster": ["BuildLogConfig"],
    "ScaleOutCluster": ["ModifyParameters", "BuildLogConfig"],
    "CloneCluster": [
        *("BackupCluster", "ModifyParameters", "ModifyParameters", "ModifyParameters"),
        *("RestoreExistCluster", "BuildLogConfig"),
    ],
    "TakeoverCluster": ["BuildLogConfig"],
    "OnlineInPlaceUpgradeCluster": ["ModifyParameters", "ModifyParameters"],
    "OfflineInPlaceUpgradeCluster": ["ModifyParameters", "ModifyParameters"],
}
MAIN_STEPS = [(flow, step) for flow, known in KNOWN.items() for step in known["mainPath"]]


def handler_of(flow: str, step: str) -> list[str]:
    """The handler that a failure of the step leads to, if there is one."""
    failures = KNOWN[flow]["failures"]
    return [handler for handler, steps in failures.items() if step in steps]


def test_there_is_a_caller_for_every_flow():
    assert tiem.CALLERS.keys() == KNOWN.keys() == tiem.shipped().keys()
    for flow, caller in tiem.CALLERS.items():
        assert caller.biz_type == KNOWN[flow]["bizType"]


@pytest.mark.parametrize("flow", KNOWN)
def test_a_flow_that_goes_well_takes_its_main_path_and_frees_its_locks(flow):
    run = begun(flow).ended()
    assert run.path == KNOWN[flow]["mainPath"]
    assert run.status == "Finished"
    assert run.locks == {}
    assert run.children == [(name, "Finished") for name in CHILDREN.get(flow, [])]


@pytest.mark.parametrize("flow", CHILDREN)
def test_children_are_waited_for_but_for_those_that_distribute_log_configurations(flow):
    run = begun(flow).ended()
    ends = {
        record.flow: record.time
        for record in run.sim.log.filter(wfsim.Kind.RUN_COMPLETED)
    }
    assert set(ends) == {flow, *CHILDREN[flow]}
    parent_end = ends[flow]
    for child, end in ends.items():
        if child != flow:
            assert (end < parent_end) == (child != "BuildLogConfig")


@pytest.mark.parametrize(("flow", "step"), MAIN_STEPS)
def test_a_step_that_fails_leads_to_its_handler_and_the_flow_to_an_error(flow, step):
    run = begun(flow, step).ended()
    main = KNOWN[flow]["mainPath"]
    assert run.path == main[: main.index(step) + 1] + handler_of(flow, step)
    assert run.status == "Error"
    assert run.locks == {}


@pytest.mark.parametrize(("flow", "step"), MAIN_STEPS)
def test_a_flow_that_is_cancelled_at_a_step_goes_no_further_and_frees_its_locks(
    flow, step
):
    run = begun(flow)
    here = wfsim.step_started(step, resource=run.flow_id)
    run.sim.run(until=here)
    run.sim.service.cancel(run.flow_id, "not wanted any more")
    run.ended()
    main = KNOWN[flow]["mainPath"]
    assert run.path == main[: main.index(step) + 1]
    assert (run.status, run.locks) == ("Canceled", {})


@pytest.mark.parametrize(
    ("flow", "handler"),
    [(flow, name) for flow, known in KNOWN.items() for name in known["failures"]],
)
def test_a_handler_that_fails_ends_in_an_error_too(flow, handler):
    step = KNOWN[flow]["failures"][handler][0]
    run = begun(flow, step, handler).ended()
    assert run.path[-2:] == [step, handler]
    assert (run.status, run.locks) == ("Error", {})
