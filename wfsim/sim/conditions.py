"""Conditions for `Simulation.run`: which record to stop at."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from wfsim.model.record import Kind, Record

Condition: TypeAlias = Callable[[Record], bool]


def step_started(step: str, *, resource: str | None = None) -> Condition:
    """Return a condition for `Simulation.run`: an attempt of *step* has begun."""
    return _step(Kind.STEP_STARTED, step, resource)


def step_completed(step: str, *, resource: str | None = None) -> Condition:
    """Return a condition for `Simulation.run`: *step* is complete."""
    return _step(Kind.STEP_COMPLETED, step, resource)


def state_entered(state: str, *, resource: str | None = None) -> Condition:
    """Return a condition for `Simulation.run`: a resource has entered *state*."""

    def reached(record: Record) -> bool:
        return (
            record.kind in (Kind.RESOURCE_STATE, Kind.RESOURCE_CREATED)
            and record.value.state == state
            and resource in (None, record.resource)
        )

    return reached


def _step(kind: Kind, step: str, resource: str | None) -> Condition:
    def reached(record: Record) -> bool:
        return (
            record.kind is kind
            and record.step == step
            and resource in (None, record.resource)
        )

    return reached
