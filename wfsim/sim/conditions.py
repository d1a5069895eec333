"""Conditions for `Simulation.run`: a record of a step or a state has been made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from wfsim.errors import UsageError
from wfsim.model.record import Kind, Record
from wfsim.sim.storage import Storage
from wfsim.text import suggest

Condition: TypeAlias = Callable[[Record], bool]
Until: TypeAlias = float | Condition | None


@dataclass(frozen=True)
class Reached:
    """A condition for `Simulation.run`: a record of one of *kinds* of what is named."""

    kinds: tuple[Kind, ...]
    step: str | None = None
    state: str | None = None
    resource: str | None = None

    def __call__(self, record: Record) -> bool:
        return (
            record.kind in self.kinds
            and self.step in (None, record.step)
            and (self.state is None or record.value.state == self.state)
            and self.resource in (None, record.resource)
        )

    def whole(self, storage: Storage) -> Reached:
        """Return this condition with the whole name of its resource.

        Raises `UsageError` if a step, state or resource that it names is not there.
        """
        scenario, step, state = storage.scenario, self.step, self.state
        if step is not None and step not in storage.step_names:
            near = suggest(step, storage.step_names)
            raise UsageError(f"run(until=...): no step {step!r}{near}")
        states = {name for item in scenario.machines.values() for name in item.states}
        if state and state not in states and not scenario.is_service:
            near = suggest(state, states)
            raise UsageError(f"run(until=...): no state {state!r}{near}")
        name = self.resource
        if name is None or scenario.is_service:
            return self
        key = storage.key_meant(name)
        if key is None:
            near = suggest(name, storage.known_names())
            raise UsageError(f"run(until=...): no resource {name!r}{near}")
        return replace(self, resource=str(key))


def step_started(step: str, *, resource: str | None = None) -> Condition:
    """Return a condition for `Simulation.run`: an attempt of *step* has begun."""
    return Reached((Kind.STEP_STARTED,), step=step, resource=resource)


def step_completed(step: str, *, resource: str | None = None) -> Condition:
    """Return a condition for `Simulation.run`: *step* is complete."""
    return Reached((Kind.STEP_COMPLETED,), step=step, resource=resource)


def state_entered(state: str, *, resource: str | None = None) -> Condition:
    """Return a condition for `Simulation.run`: a resource has entered *state*."""
    kinds = (Kind.RESOURCE_STATE, Kind.RESOURCE_CREATED)
    return Reached(kinds, state=state, resource=resource)
