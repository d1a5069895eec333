"""The standing of a simulation, but for its time: what comes of it follows from that.

Draws are keyed by what they are for, so two simulations that stand alike go on alike,
each from its own time on.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from wfsim.campaign.plain import plain
from wfsim.model.memento import StepMemento
from wfsim.model.resource import Key, Resource
from wfsim.model.run import Run
from wfsim.sim.fault_plan import Progress
from wfsim.sim.simulation import Simulation

AT_HAND = 1000
"""So many resources are kept as plain values."""

DIGITS = 6
"""Times that are left are compared to the microsecond."""


class Stood(NamedTuple):
    """When a run stood somewhere: after so many *entries*, at a *time* in seconds.

    *faults* is how far its faults were.
    """

    entries: int
    time: float
    faults: Progress

    @classmethod
    def of(cls, sim: Simulation) -> Stood:
        """Return where *sim* stands now."""
        return cls(len(sim.journal), sim.now, sim.plan.progress)


class Standing:
    """How far the flows of a simulation have come, and how its world is."""

    def __init__(
        self, flows: Any, pending: Any, essence: Any, but: tuple[str, ...], names: Any
    ) -> None:
        self.flows = flows
        self.pending = pending
        self.essence = essence
        self._but = but
        self._names = names

    def is_as(self, other: Standing) -> bool:
        """Whether all is the same but for what may differ."""
        if self.flows != other.flows or self.pending != other.pending:
            return False
        one, two = self.essence, other.essence
        if one == two:
            return True
        if not (
            isinstance(one, dict) and isinstance(two, dict) and one.keys() == two.keys()
        ):
            return bool(plain(one, self._but) == plain(two, self._but))
        # Plain values are made only of what is not the same as it is.
        names = [name for name in one if one[name] != two[name]]
        return all(
            plain({name: one[name]}, self._but) == plain({name: two[name]}, self._but)
            for name in names
        )

    @cached_property
    def text(self) -> str:
        """All of it, names that are alike numbered in their order; "" without any."""
        essence = plain(self.essence, self._but)
        numbers: dict[str, str] = {}
        text, count = self._names.subn(
            lambda hit: numbers.setdefault(hit[0], f"~{len(numbers) + 1}"),
            repr((self.flows, self.pending, essence)),
        )
        return str(text) if count else ""


Near = Sequence[tuple[Standing, Stood]]


class Standings:
    """Those of one run, by how far its flows had come; see `where`.

    *but* are dotted paths that may differ, of resources and of the world's essence, and
    *alike* patterns of names of which only the order counts.  *began* is when the
    controller did: that of a service looks at each tick since.
    """

    def __init__(self, but: Collection[str] = (), alike: Collection[str] = ()) -> None:
        times = ("*.status.created", "*.status.updated")
        self._but = tuple(but)
        self._of_flows = (*but, *times)
        names = "|".join(f"(?:{pattern})" for pattern in alike)
        self._alike = re.compile(names) if names else None
        self._known: dict[tuple[Any, ...], list[tuple[Standing, Stood]]] = {}
        self._resources: dict[int, tuple[Resource, Any]] = {}

    def add(self, sim: Simulation, began: float) -> None:
        """Keep where *sim* stands."""
        standing = self._standing(sim, self._flows(sim, began), _pending(sim))
        row = standing, Stood.of(sim)
        self._known.setdefault(_progress(sim), []).append(row)

    def near(self, sim: Simulation) -> Near:
        """Return where the flows of the run had once come as far as those of *sim*."""
        return self._known.get(_progress(sim), ())

    def where(self, sim: Simulation, began: float, near: Near) -> Stood | None:
        """Return when the run stood where *sim* stands, one of *near*, if it did."""
        flows, pending = self._flows(sim, began), _pending(sim)
        if self._alike is None:
            near = [
                row for row in near if row[0].flows == flows and row[0].pending == pending
            ]
            if not near:
                return None
        here = self._standing(sim, flows, pending)
        for each, stood in near:
            if here.is_as(each):
                return stood
        if self._alike is not None:
            # Those that differ may do so in names alone.
            for each, stood in near:
                if each.text and each.text == here.text:
                    return stood
        return None

    def _flows(self, sim: Simulation, began: float) -> Any:
        now, journal = sim.now, sim.journal
        parts: list[Any] = []
        present = {}
        there = sim.resources.keys()
        for key in there:
            resource = sim.resources.peek(key)
            assert resource is not None
            present[key] = resource.entered
            parts.append(self._resource(key, resource))
        for key, runs in sorted(journal.runs.items()):
            parts.append(sim.leases.is_free(key))
            for run in runs.values():
                if not isinstance(run, Run):
                    parts.append(run)
                    continue
                wake = None if run.wake is None else round(run.wake - now, DIGITS)
                parts.append(
                    (
                        *(key, run.key, run.status.value, run.cursor, wake, run.context),
                        *(run.reason, run.error, run.entered == present.get(key)),
                        tuple([_step(step, now) for step in run.steps]),
                    )
                )
        tick = sim.scenario.policy.watch_tick
        if sim.scenario.is_service and tick and _is_under_way(sim):
            # How long it is until the next look; else it is later by no more than that.
            parts.append(round((now - began) % tick, DIGITS) % tick)
        parts += [(name, pool.held, pool.queue) for name, pool in sim.pools.items()]
        return parts

    def _resource(self, key: Key, resource: Resource) -> Any:
        """Return what counts of *resource*; runs have most of theirs in common."""
        known = self._resources.get(id(resource))
        if known is None:
            whole = resource._replace(uid="", revision=0, entered=0)
            known = resource, plain(whole, self._of_flows, f"resources.{key}")
            if len(self._resources) >= AT_HAND:
                self._resources.clear()
            self._resources[id(resource)] = known
        return known[1]

    def _standing(self, sim: Simulation, flows: Any, pending: Any) -> Standing:
        essence = None if sim.world is None else sim.world.essence()
        return Standing(flows, pending, essence, self._but, self._alike)


def _is_under_way(sim: Simulation) -> bool:
    """Whether anything has begun in the world, or in a step, that is not over."""
    if sim.world is not None and sim.world.pending:
        return True
    return any(
        run.wake is not None or any(map(is_open, run.steps))
        for each in sim.journal.runs.values()
        for run in each.values()
        if isinstance(run, Run) and not run.is_final
    )


def is_open(step: StepMemento) -> bool:
    """Whether *step* has begun and is not over."""
    return step.started is not None and step.finished is None


def _pending(sim: Simulation) -> Any:
    """Return what the world has begun, by the time left."""
    if sim.world is None:
        return []
    now = sim.now
    rows = [
        (round(item.due - now, DIGITS), item.action, plain(item.args))
        for item in sim.world.pending
    ]
    return sorted(rows, key=repr) if len(rows) > 1 else rows


def _step(step: StepMemento, now: float) -> tuple[Any, ...]:
    if step.finished is not None:
        return step.name, step.status, step.output
    if step.started is None:
        return step.name, step.status
    left = round(step.started - now, DIGITS)
    return (*step._replace(started=None), left)


def _progress(sim: Simulation) -> tuple[Any, ...]:
    """Return how far the flows have come, in short: numbers and statuses alone."""
    rows: list[Any] = []
    for key, runs in sim.journal.runs.items():
        for run in runs.values():
            if isinstance(run, Run):
                opened = [
                    (step.name, step.attempts, step.retries)
                    for step in run.steps
                    if is_open(step)
                ]
                is_asleep = run.wake is not None
                rows.append((key, run.key, run.status, run.cursor, is_asleep, *opened))
    return tuple(rows)


__all__ = ["Standing", "Standings", "Stood", "is_open"]
