"""Stores and leases with one defect each, as the first reference has it or we had it.

Each is a wrapper of a port; the engine knows nothing of it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

import wfsim
from fake_resources.zoo.engines import Engine, Plane, Port
from wfsim.campaign.verdict import bare
from wfsim.engine.ports import Effect, Grant, Nothing, Ports
from wfsim.model.journal import Journal
from wfsim.model.resource import INTERRUPT, Key, Resource
from wfsim.model.run import (
    Cause,
    Complete,
    Fail,
    Run,
)
from wfsim.sim.storage import Storage
from wfsim.sim.stores import InMemoryLeases, InMemoryResources, InMemoryRuns

StoreError = wfsim.errors.StoreError
Conflict, Unavailable = wfsim.errors.Conflict, wfsim.errors.Unavailable


class DeafRuns(Port):
    """Errors of persistence are only logged (TiUniManager B18)."""

    def append(self, run: Run, change: Any, token: int) -> Nothing:
        """Append *change*, and go on whatever the store says."""
        try:
            yield from self.inner.append(run, change, token)
        except Unavailable:
            return


class KeylessRuns(Port):
    """The first memento lacks its own keys, and cannot be loaded (PolarDB B1)."""

    def entries(self, key: Key, since: str = "") -> Effect[Any]:
        """Return what can be loaded: no run that has only begun."""
        found = yield from self.inner.entries(key, since)
        if any(isinstance(run, Run) and len(run.changes) == 1 for run in found):
            raise StoreError("failed to get flowSaveResourceNameKey by context")
        return found


class BlamingRuns(Port):
    """An error of the save that follows a finished step fails the step (PolarDB P5)."""

    def append(self, run: Run, change: Any, token: int) -> Nothing:
        """Append *change*; a completion that is answered with an error is a failure."""
        try:
            yield from self.inner.append(run, change, token)
        except (Conflict, Unavailable):
            inner = bare(change)
            if not isinstance(inner, Complete):
                raise
            now = self.ports.clock.now
            failed = Fail(inner.index, "save failed", now, Cause.ERROR)
            yield from self.inner.append(run, failed, token)
            raise StoreError("save failed") from None


class RememberingRuns(Port):
    """The mementos of a resource are loaded once, and never again (PolarDB P4, B20)."""

    def __init__(self, inner: Any, ports: Ports) -> None:
        super().__init__(inner, ports)
        self.known: dict[Key, list[Any]] = {}

    def entries(self, key: Key, since: str = "") -> Effect[Any]:
        """Return what there was at first, and what was appended from here."""
        if key not in self.known:
            self.known[key] = yield from self.inner.entries(key)
        return list(self.known[key])

    def append(self, run: Run, change: Any, token: int) -> Nothing:
        """Append *change*, and know of its run."""
        yield from self.inner.append(run, change, token)
        known = self.known.setdefault(run.resource, [])
        if run not in known:
            known.append(run)


class QuietResources(Port):
    """Writing a state hides the error of the store (PolarDB, section on resources)."""

    def update(self, resource: Resource, token: int | None = None) -> Effect[Resource]:
        """Update *resource*; what the store says of it is not looked at."""
        with suppress(Conflict, Unavailable):
            resource = yield from self.inner.update(resource, token)
        return resource


class SnapshotResources(Port):
    """An interrupt is written on an old snapshot, and dropped (PolarDB B2)."""

    def update(self, resource: Resource, token: int | None = None) -> Effect[Resource]:
        """Update *resource*, unless it is an interrupt and somebody was faster."""
        try:
            resource = yield from self.inner.update(resource, token)
        except Conflict:
            if resource.state != INTERRUPT:
                raise
        return resource


class EdgeResources(Port):
    """What changed is learnt from events alone, never from a list (S26)."""

    def watch(self, listener: Any) -> Any:
        """Tell *listener* of changes; a list says nothing that is new to it."""

        def hear(before: Resource | None, after: Resource | None) -> None:
            if before is not None or (after is not None and after.revision == 1):
                listener(before, after)

        return self.inner.watch(hear)


# -- leases ----------------------------------------------------------------------------


class EternalLeases(InMemoryLeases):
    """A lock is never freed when its holder dies (PolarDB B13)."""

    def acquire(self, key: Key, holder: str, freed: Any) -> Effect[Grant]:
        """Return a token if nobody has the lock, not even a dead one of that name."""
        return super().acquire(key, "nobody" if key in self._held else holder, freed)

    def stop_renewing(self, holder: str) -> None:
        """Keep the leases of *holder*, dead or alive."""


class EternalStorage(Storage):
    """Stores with `EternalLeases`."""

    def _stores(self, db: Any, journal_type: type[Journal]) -> Any:
        policy, clock = self.scenario.policy, self.clock
        leases = EternalLeases(clock, length=policy.lease, renew=policy.renew)
        self.journal = journal_type(clock, leases.tokens, leases.holder)
        resources = InMemoryResources(clock, self.journal, lag=self.scenario.lag)
        return leases, resources, InMemoryRuns(self.journal)


class Eternal(Engine):
    """An engine over `EternalStorage`."""

    storage_type = EternalStorage


class UnfencedRuns(Port):
    """A controller that has lost the lock may write on (PolarDB, old leader)."""

    def append(self, run: Run, change: Any, token: int) -> Nothing:
        """Append *change* as if by whoever has the lock now."""
        newest = self.ports.notes.tokens.get(run.resource, token)  # type: ignore[attr-defined]
        return self.inner.append(run, change, newest)  # type: ignore[no-any-return]


class UnfencedPlane(Plane):
    """Controllers that do not ask whether they still hold a lock."""

    def leased(self) -> Any:
        """Return leases that say that everybody holds one."""
        leases = Port(self.storage.leases, self.ports(self.names[0]))
        leases.holds = lambda key, token: True  # type: ignore[attr-defined]
        return leases


class Unfenced(Engine):
    """An engine by `UnfencedRuns`, whose controllers do not ask whether they hold it."""

    class plane_type(UnfencedPlane):  # noqa: N801
        """Controllers over a store of runs that any holder may write to."""

        def wrapped(self, ports: Ports) -> Ports:
            """Return *ports* with that store."""
            return ports._replace(runs=UnfencedRuns(ports.runs, ports))


class LaxJournal(Journal):
    """A write is not checked against who has the lock now (PolarDB B13)."""

    def append(self, run: Run, change: Any, token: int = 0) -> tuple[()]:
        """Append *change*, whoever writes."""
        tokens, self.tokens = self.tokens, {}
        try:
            return super().append(run, change, token)
        finally:
            self.tokens = tokens


class Lax(Engine):
    """An engine by `LaxJournal`."""

    journal_type = LaxJournal
    plane_type = UnfencedPlane


class SkewedJournal(Journal):
    """Two machines have clocks that differ, and times decide (TiUniManager B43)."""

    def append(self, run: Run, change: Any, token: int = 0) -> tuple[()]:
        """Append *change* at the time that the machine of its writer shows."""
        clock = self.clock
        if self._controller(run.resource, token) == "controller-1":
            self.clock = Behind(clock.now)
        try:
            return super().append(run, change, token)
        finally:
            self.clock = clock


class Behind(NamedTuple):
    """A clock that is *behind* by some seconds, as it is at one moment."""

    true: float

    @property
    def now(self) -> float:
        """The time that it shows."""
        return max(self.true - 8.0, 0.0)


class Skewed(Engine):
    """An engine by `SkewedJournal`."""

    journal_type = SkewedJournal
