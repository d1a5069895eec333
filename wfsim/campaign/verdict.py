"""The verdict on a run: what it is judged by, and what may be wrong with it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from wfsim.campaign.plain import plain
from wfsim.model.memento import Memento, StepStatus
from wfsim.model.resource import Resource
from wfsim.sim.simulation import Simulation

CALM = frozenset(
    {
        *("CrashAt", "DelayStep", "FailSave", "RefuseWrite", "StaleRead", "DropWatch"),
        *("ApiDown", "PauseController", "LoseLease", "RepeatCall"),
    }
)
"""Faults after which all must end as if they had not been."""


class Violation(NamedTuple):
    """An invariant that does not hold: at the record of number *seq*, None at the end.

    *cause* is what the violations of other runs with the same cause have in common.
    """

    invariant: str
    text: str
    seq: int | None = None
    cause: str = ""


class End(NamedTuple):
    """What two runs are compared by: resources, statuses of runs, the essence."""

    resources: Mapping[str, Any]
    runs: Mapping[str, str]
    world: Any

    @classmethod
    def of(
        cls, sim: Simulation, but: Collection[str] = (), alike: Collection[str] = ()
    ) -> End:
        """Return that of *sim*, without the dotted paths *but*.

        Names that match one of the patterns *alike* are numbered in their order.
        """
        return cls.folded(sim, sim.journal.fold(), but, alike)

    @classmethod
    def folded(
        cls,
        sim: Simulation,
        fold: tuple[float, Mapping[str, Resource], Mapping[tuple[str, str], Memento]],
        but: Collection[str],
        alike: Collection[str],
    ) -> End:
        """Return the same from the *fold* of its journal."""
        resources, runs = {}, {}
        _, present, mementos = fold
        for key, resource in sorted(present.items()):
            whole = resource._replace(uid="", revision=0, entered=0, deleted=None)
            times = ("*.status.created", "*.status.updated")
            drop = (*but, *times) if sim.scenario.is_service else but
            resources[key] = plain(whole, drop, f"resources.{key}")
        for name, memento in mementos.items():
            runs["/".join(name)] = memento.status.value
        world = None if sim.world is None else plain(sim.world.essence(), but)
        if not alike:
            return cls(resources, runs, world)
        numbers: dict[str, str] = {}
        text = re.sub(
            "|".join(f"(?:{pattern})" for pattern in alike),
            lambda hit: numbers.setdefault(hit[0], f"~{len(numbers) + 1}"),
            json.dumps([resources, runs, world]),
        )
        return cls(*json.loads(text))


class Checked(NamedTuple):
    """A run that has settled, or not: *settled*; *calm* is the end of the reference."""

    sim: Simulation
    end: End
    calm: End | None
    settled: bool
    faults: tuple[Any, ...]
    resources: Mapping[str, Resource]
    mementos: Mapping[tuple[str, str], Memento]
    readable: dict[Any, list[Memento]]
    """What is known to read back, by run and step; runs of one campaign share it."""
    entries: Sequence[Any] = ()
    """What the journal says of runs, in order: see `histories.Entry`."""

    @property
    def is_comparable(self) -> bool:
        """Whether it must have ended as the reference did.

        A step that asks in vain while the API is down, and is not tried again as often
        as that lasts, ends its flow in another way: nothing is wrong with the engine.
        """
        names = {type(fault).__name__ for fault in self.faults}
        return names <= CALM and not ("ApiDown" in names and self._has_failed)

    @property
    def _has_failed(self) -> bool:
        """Whether a step of any run has failed for good."""
        steps = chain.from_iterable(memento.steps for memento in self.mementos.values())
        return any(step.status is StepStatus.FAILED for step in steps)


Check = Callable[[Checked], Iterator[Violation]]


def broken_down(error: Exception) -> Violation:
    """Return that the engine, or what it runs, has broken down with *error*."""
    return violation("error", f"{type(error).__name__}: {error}")


def bare(change: Any) -> Any:
    """Return what is said by a change that is said with something else."""
    while hasattr(change, "change"):
        change = change.change
    return change


def violation(code: str, text: str, seq: int | None = None, cause: str = "") -> Violation:
    """Return that the invariant of that *code* is violated; numbers are no cause."""
    return Violation(code, text, seq, re.sub(r"\d+", "N", cause or f"{code} {text}"))


__all__ = ["Check", "Checked", "End", "Violation", "bare", "broken_down", "violation"]
