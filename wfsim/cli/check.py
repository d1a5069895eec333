"""Which kind of file it is, and whether it can be loaded."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import assert_never

from wfsim.errors import DefinitionError, Problem
from wfsim.files.document import read_document
from wfsim.files.flow_loader import (
    GROUP_ENDING,
    folders_of_files,
    load_flow,
    load_flows,
)
from wfsim.model.flow import Flow
from wfsim.sim.faults import load_plan
from wfsim.sim.scenario_loader import is_scenario, load_scenario


class FileKind(StrEnum):
    """What a YAML file may be."""

    FLOW = "flow"
    PLAN = "plan"
    SCENARIO = "scenario"


def kind_of(file: Path) -> FileKind:
    """Return what *file* is by its keys; one that cannot be read is taken for a flow."""
    try:
        document = read_document(file)
    except DefinitionError:
        return FileKind.FLOW
    if isinstance(document.data, list):
        return FileKind.PLAN
    return FileKind.SCENARIO if is_scenario(document) else FileKind.FLOW


def checked(targets: Iterable[Path]) -> list[str]:
    """Load *targets*, files or folders, and return a line for each thing in them.

    A folder holds flows, scenarios and plans, or nothing but folders of such files.
    Raises `DefinitionError` with what is wrong in any of them.
    """
    lines: list[str] = []
    problems: list[Problem] = []
    for target in targets:
        try:
            lines += _folder(target) if target.is_dir() else _file(target)
        except DefinitionError as error:
            problems += error.problems
    if problems:
        raise DefinitionError(*problems)
    return lines


def _folder(folder: Path) -> list[str]:
    files = sorted(folder.glob("*.yaml"))
    if not files and (folders := folders_of_files(folder)):
        return checked(folders)
    if all(kind_of(file) is FileKind.FLOW for file in files):
        # Together, since no two flows of a folder may have one name.
        return [_flow(flow) for flow in load_flows(folder).values()]
    return checked(file for file in files if not file.name.endswith(GROUP_ENDING))


def _file(file: Path) -> list[str]:
    match kind_of(file):
        case FileKind.SCENARIO:
            scenario = load_scenario(file)
            said = f"{len(scenario.resources)} resources"
            flows = f"{len(scenario.flows)} flow{'s' * (len(scenario.flows) != 1)}"
            return [f"{file}: {scenario.title}, {flows}, {said}"]
        case FileKind.PLAN:
            plan = load_plan(file)
            return [f"{file}: a plan of {len(plan)} fault{'s' * (len(plan) != 1)}"]
        case FileKind.FLOW:
            return [_flow(load_flow(file))]
        case unknown:
            assert_never(unknown)


def _flow(flow: Flow) -> str:
    return f"{flow.source.path}: {flow.name}, {len(flow.steps)} steps, {flow.digest}"
