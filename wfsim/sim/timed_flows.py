"""Flows of files whose steps have no code: what such a step takes, how often it fails."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from wfsim.engine.steps import StepRegistry
from wfsim.errors import DefinitionError
from wfsim.model.duration import Duration
from wfsim.model.flow import Flow, Step
from wfsim.sim.step_classes import has_code


def flows_at(path: str | Path) -> list[Flow]:
    """Return the flows in a folder, or the one in a file; raises `DefinitionError`."""
    from wfsim.model.loading import load_flow, load_flows

    where = Path(path)
    if not where.exists():
        text = "there is no such folder or file; give one of flow files"
        raise DefinitionError(f"{where}:1: {text}")
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
    number = isinstance(failure, (int, float)) and not isinstance(failure, bool)
    if not (number and 0.0 <= failure <= 1.0):
        raise DefinitionError(f"failure is a probability from 0 to 1, not {failure!r}")
    try:
        usual = Duration.parse(duration)
    except ValueError as error:
        raise DefinitionError(f"duration: {error}") from error
    assumed: dict[str, Duration] = {}

    def filled(step: Step) -> Step:
        if has_code(step, steps):
            return step
        if step.duration is None:
            assumed[step.name] = usual
        chance = failure if step.failure is None else step.failure
        return replace(step, duration=step.duration or usual, failure=chance)

    found = [replace(flow, steps=tuple(map(filled, flow.steps))) for flow in flows]
    return found, assumed
