"""The command ``wfsim check``: load each target, and list what is in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import assert_never

from wfsim.cli.target import Target, TargetKind, find_target, kind_of
from wfsim.engine.steps import StepRegistry
from wfsim.errors import DefinitionError, Problem
from wfsim.files.flow_loader import (
    GROUP_ENDING,
    folders_of_files,
    load_flow,
    load_flows,
)
from wfsim.model.flow import Flow
from wfsim.sim.faults import load_plan
from wfsim.sim.scenario_flows import wrong_children


def checked(targets: Iterable[str]) -> list[str]:
    """Load *targets* and return a line for each thing in them.

    A folder holds flows, scenarios and plans, or nothing but folders of such files.
    Raises `DefinitionError` with what is wrong in any of them.
    """
    lines: list[str] = []
    problems: list[Problem] = []
    for text in targets:
        try:
            lines += _described(find_target(text))
        except DefinitionError as error:
            problems += error.problems
    if problems:
        raise DefinitionError(*problems)
    return lines


def _described(target: Target) -> list[str]:
    match target.kind:
        case TargetKind.FOLDER:
            return _folder(target.source)
        case TargetKind.PLAN:
            plan = load_plan(target.source)
            return [f"{target.text}: a plan of {_count(len(plan), 'fault')}"]
        case TargetKind.FLOW:
            return [_flow(_alone(target.source))]
        case TargetKind.INSTALLED | TargetKind.PYTHON | TargetKind.SCENARIO:
            scenario = target.scenario()
            flows = _count(len(scenario.flows), "flow")
            resources = _count(len(scenario.resources), "resource")
            return [f"{target.text}: {scenario.title}, {flows}, {resources}"]
        case _:
            assert_never(target.kind)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _folder(folder: Path) -> list[str]:
    files = sorted(folder.glob("*.yaml"))
    if not files and (folders := folders_of_files(folder)):
        return checked(map(str, folders))
    if all(kind_of(file) is TargetKind.FLOW for file in files):
        # Together, since no two flows of a folder may have one name.
        flows = load_flows(folder)
        _refuse_wrong_children(flows)
        return [_flow(flow) for flow in flows.values()]
    return checked(str(file) for file in files if not file.name.endswith(GROUP_ENDING))


def _alone(file: Path) -> Flow:
    """Return the flow in *file*; what it starts must be in the flow files beside it."""
    flow = load_flow(file)
    if any(step.child for step in flow.steps):
        beside = [
            load_flow(each)
            for each in sorted(file.parent.glob("*.yaml"))
            if each.name != file.name and kind_of(each) is TargetKind.FLOW
            if not each.name.endswith(GROUP_ENDING)
        ]
        flows = {each.name: each for each in (*beside, flow)}
        _refuse_wrong_children(flows, [flow])
    return flow


def _refuse_wrong_children(
    flows: Mapping[str, Flow], of: Iterable[Flow] | None = None
) -> None:
    """Raise what a service of *flows* refuses of the flows that they start."""
    problems = wrong_children(flows, StepRegistry(()), is_service=True, of=of)
    if problems:
        raise DefinitionError(*problems)


def _flow(flow: Flow) -> str:
    return f"{flow.source.path}: {flow.name}, {len(flow.steps)} steps, {flow.digest}"
