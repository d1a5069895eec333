"""The flows of a scenario: which there are, and whether its steps can be carried out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from wfsim.engine.steps import StepRegistry
from wfsim.errors import DefinitionError, Problem
from wfsim.model.bounds import Share, listed, problems_in
from wfsim.model.duration import Duration, Length
from wfsim.model.flow import Flow, Step
from wfsim.text import short, suggest


def flows_given(
    flows: str | Path | Iterable[Flow], steps: StepRegistry, has_settings: bool
) -> dict[str, Flow]:
    """Return *flows* by name: those in a folder, or those that are given."""
    if isinstance(flows, (str, Path)):
        from wfsim.files.flow_loader import load_flows

        # A step may yet get its duration from the settings; that is looked at later.
        return load_flows(flows, classes=None if has_settings else steps)
    by_name: dict[str, Flow] = {}
    for flow in listed("flows", flows, "Flow(...)"):
        if not isinstance(flow, Flow):
            text = f"{short(flow)} is among the flows"
            raise DefinitionError(Problem(text, "give Flow(...)", ("flows",)))
        if flow.name in by_name:
            text = f"two flows are called {flow.name!r}"
            raise DefinitionError(Problem(text, "rename one"))
        by_name[flow.name] = flow
    return by_name


def has_code(step: Step, steps: StepRegistry) -> bool:
    """Whether every class of *step* is one of *steps*."""
    return all(name in steps for name in step.all_classes)


def unknown_steps(flows: Iterable[Flow], steps: StepRegistry) -> list[Problem]:
    """Return a problem for each class that has neither code nor a duration."""
    return [
        _of_step(flow, step, f": the class {name!r} has no code and no duration", near)
        for flow in flows
        for step in flow.steps
        if step.duration is None and step.failure is None and step.child is None
        for name in step.all_classes
        if name not in steps
        for near in (suggest(name, steps),)
    ]


def _of_step(flow: Flow, step: Step, text: str, near: str = "") -> Problem:
    """Return the problem *text* of *step*, where that stands."""
    subject = "" if step.source.path else str(step.source)
    text = f"step {step.name!r} of flow {flow.name!r}{text}{near}"
    return Problem(text, subject=subject, file=step.source.path, line=step.source.line)


def wrong_children(
    flows: Mapping[str, Flow],
    steps: StepRegistry,
    is_service: bool,
    of: Iterable[Flow] | None = None,
) -> list[Problem]:
    """Return a problem for each step that cannot start the flow that it names.

    Those are the steps of *flows*, or only those of some *of* them.
    """
    waits = {
        flow.name: [step.child for step in flow.steps if step.child and step.waits]
        for flow in flows.values()
    }
    problems = []
    for flow in flows.values() if of is None else of:
        for step in flow.steps:
            if step.child is None:
                continue
            why = ""
            if not is_service:
                why = "which takes a service: a scenario of flows, without resources"
            elif step.child not in flows:
                why = f"which is not there{suggest(step.child, flows)}"
            elif has_code(step, steps):
                why = f"but {step.class_name!r} has code; let that start it"
            elif step.waits and flow.name in _reached(step.child, waits):
                why = f"which waits for {flow.name!r} in turn; add 'wait: false'"
            if why:
                problems.append(_of_step(flow, step, f" starts {step.child!r}, {why}"))
    return problems


def _reached(flow: str, waits: Mapping[str, list[str]]) -> set[str]:
    """Return *flow* and all that it waits for, directly or not."""
    names, left = {flow}, [flow]
    while left:
        new = set(waits.get(left.pop(), ())) - names
        names |= new
        left += sorted(new)
    return names


def flows_at(path: str | Path) -> list[Flow]:
    """Return the flows in a folder, or the one in a file; raises `DefinitionError`."""
    from wfsim.files.flow_loader import load_flow, load_flows

    where = Path(path)
    if not where.exists():
        text, cure = "there is no such folder or file", "give one of flow files"
        raise DefinitionError(Problem(text, cure, file=str(where), line=1))
    return [*load_flows(where).values()] if where.is_dir() else [load_flow(where)]


def timed_flows(
    flows: Iterable[Flow],
    steps: StepRegistry,
    duration: float | Mapping[str, Any] | Duration,
    failure: float,
) -> tuple[list[Flow], dict[str, Duration]]:
    """Return *flows* with what each step without code takes and how often it fails.

    That is what its file says, or else *duration* and *failure*.  Also returns the
    durations of which no file speaks, by step.  Raises `DefinitionError`.
    """
    given = {"duration": duration, "failure": failure}
    if problems := [*problems_in(given, {"duration": Length, "failure": Share})]:
        raise DefinitionError(*problems)
    usual = Duration.parse(duration)
    assumed: dict[str, Duration] = {}

    def filled(step: Step) -> Step:
        if has_code(step, steps):
            return step
        if step.duration is None:
            assumed[step.name] = usual
        chance = failure if step.failure is None else step.failure
        return replace(step, duration=step.duration or usual, failure=chance)

    timed = [replace(flow, steps=tuple(map(filled, flow.steps))) for flow in flows]
    return timed, assumed
