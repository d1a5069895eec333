"""The classes that a step names, and whether somebody has written their code."""

from __future__ import annotations

from collections.abc import Iterable

from wfsim.engine.steps import StepRegistry
from wfsim.model.flow import Flow, Step
from wfsim.model.machine import did_you_mean


def classes_of(step: Step) -> tuple[str, ...]:
    """Return the names of all classes of *step*, that of its undo included."""
    return step.class_names if step.undo is None else (*step.class_names, step.undo)


def has_code(step: Step, steps: StepRegistry) -> bool:
    """Whether every class of *step* is one of *steps*."""
    return all(name in steps for name in classes_of(step))


def unknown_steps(flows: Iterable[Flow], steps: StepRegistry) -> list[str]:
    """Return a problem for each class that has neither code nor a duration."""
    return [
        f"{step.source}: step {step.name!r} of flow {flow.name!r}: the class "
        f"{name!r} has no code and no duration{did_you_mean(name, steps)}"
        for flow in flows
        for step in flow.steps
        if step.duration is None and step.failure is None
        for name in classes_of(step)
        if name not in steps
    ]
