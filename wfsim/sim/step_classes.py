"""The classes that a step names, and whether somebody has written their code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wfsim.engine.steps import StepRegistry
from wfsim.model.flow import Flow, Step
from wfsim.model.machine import did_you_mean


def has_code(step: Step, steps: StepRegistry) -> bool:
    """Whether every class of *step* is one of *steps*."""
    return all(name in steps for name in step.all_classes)


def unknown_steps(flows: Iterable[Flow], steps: StepRegistry) -> list[str]:
    """Return a problem for each class that has neither code nor a duration."""
    return [
        f"{step.source}: step {step.name!r} of flow {flow.name!r}: the class "
        f"{name!r} has no code and no duration{did_you_mean(name, steps)}"
        for flow in flows
        for step in flow.steps
        if step.duration is None and step.failure is None and step.child is None
        for name in step.all_classes
        if name not in steps
    ]


def wrong_children(
    flows: Mapping[str, Flow], steps: StepRegistry, is_service: bool
) -> list[str]:
    """Return a problem for each step that cannot start the flow that it names."""
    waits = {
        flow.name: [step.child for step in flow.steps if step.child and step.waits]
        for flow in flows.values()
    }
    problems = []
    for flow in flows.values():
        for step in flow.steps:
            if step.child is None:
                continue
            why = ""
            if not is_service:
                why = "which takes a service: a scenario of flows, without resources"
            elif step.child not in flows:
                why = f"which is not there{did_you_mean(step.child, flows)}"
            elif has_code(step, steps):
                why = f"but {step.class_name!r} has code; let that start it"
            elif step.waits and flow.name in _reached(step.child, waits):
                why = f"which waits for {flow.name!r} in turn; add 'wait: false'"
            if why:
                problems.append(
                    f"{step.source}: step {step.name!r} of flow {flow.name!r} starts "
                    f"{step.child!r}, {why}"
                )
    return problems


def _reached(flow: str, waits: Mapping[str, list[str]]) -> set[str]:
    """Return *flow* and all that it waits for, directly or not."""
    found, left = {flow}, [flow]
    while left:
        new = set(waits.get(left.pop(), ())) - found
        found |= new
        left += sorted(new)
    return found
