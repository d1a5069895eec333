"""The stores of one simulation, in memory or in a file, and the log they feed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from wfsim.errors import DefinitionError, UsageError
from wfsim.model.frozen import Frozen
from wfsim.model.log import EventLog
from wfsim.model.memento import Quarantined
from wfsim.model.resource import Resource
from wfsim.sim.clock import VirtualClock, WallClock
from wfsim.sim.recording import Recorder
from wfsim.sim.resumption import Entry, Found, found
from wfsim.sim.scenario import Scenario
from wfsim.sim.stores import InMemoryLeases, InMemoryMementos, InMemoryResources
from wfsim.sim.world import World

if TYPE_CHECKING:
    from wfsim.sim.database import Database

Stores: TypeAlias = tuple[InMemoryLeases, InMemoryResources, InMemoryMementos]


class Storage:
    """Resources, mementos and leases of a scenario, and the record of their changes."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        clock: VirtualClock | WallClock,
        db: str | Path | None,
    ) -> None:
        self.scenario = scenario
        self.seed = seed
        self.clock = clock
        self.log = EventLog(meta=Frozen({**scenario.meta(), "seed": seed}))
        self.recorder = Recorder(self.log, clock)
        self.database: Database | None = None
        self.leases, self.resources, self.stored = self._stores(db)
        self._reopened = self.database is not None and self.database.begun
        self.resources.subscribe(self.recorder.resource)
        self.stored.on_save += (self.recorder.memento,)
        self.stored.on_remove += (self.recorder.removed,)
        self.stored.on_quarantine += (self.recorder.quarantined,)

    @property
    def now(self) -> float:
        """The virtual time, in seconds."""
        return float(self.clock.now)

    def _stores(self, db: str | Path | None) -> Stores:
        scenario, clock = self.scenario, self.clock
        policy = scenario.policy
        terms = {"length": policy.lease, "renew": policy.renew}
        if db is None:
            leases = InMemoryLeases(clock, **terms)
            tokens = leases.tokens
            resources = InMemoryResources(clock, tokens, lag=scenario.lag)
            return leases, resources, InMemoryMementos(tokens)
        from wfsim.sim import database, sqlite

        file = self.database = database.Database(db)
        clock.go_on_from(file.time)
        durable = sqlite.SqliteLeases(file, clock, **terms)
        tokens = durable.tokens
        kept = sqlite.SqliteResources(file, clock, tokens, lag=scenario.lag)
        try:
            scenario.check(filter(None, map(kept.peek, kept.keys())))
        except DefinitionError as error:
            file.close()
            raise DefinitionError(*(f"{db}: {it}" for it in error.problems)) from None
        return durable, kept, sqlite.SqliteMementos(file, clock, tokens)

    def _populate(self, standing: Iterable[Found]) -> None:
        """Create what is *standing*; a file that has had it goes on with what it has."""
        file = self.database
        if file is not None:
            self._recall(file)
        for resource, entries in standing:
            if file and (file.begun or self.resources.peek(resource.key)):
                continue
            immediately(self.resources.create(resource))
            for entry in entries:
                self.stored.put(entry)
        if file and not file.begun:
            file.begin(self.now)

    def _recall(self, file: Database) -> None:
        """Record what the file holds as if it had been written now."""
        for bad in file.unreadable.values():
            self.recorder.quarantined(bad)
        for resource, entries in self._kept():
            if resource is not None:
                self.recorder.resource(None, resource)
            for entry in entries:
                if isinstance(entry, Quarantined):
                    self.recorder.quarantined(entry)
                else:
                    self.recorder.memento(None, entry)

    def _world_as_left(self) -> World | None:
        """Return the world with the effects of all steps that the file has completed."""
        kept = [(resource, runs) for resource, runs in self._kept() if resource]
        runs = [run for _, entries in kept for run in entries]
        resources = [resource for resource, _ in kept]
        world = found(self.scenario, runs, self.seed, None, resources)[1]
        if world is not None:
            now = self.now
            world.pending = [item._replace(due=item.due + now) for item in world.pending]
        return world

    def _kept(self) -> Iterator[tuple[Resource | None, list[Entry]]]:
        """Yield each resource in the stores, None if it is gone, and its entries."""
        for key in sorted({*self.resources.keys(), *self.stored.keys()}):
            yield self.resources.peek(key), immediately(self.stored.entries(key))


def immediately(effect: Any) -> Any:
    """Run an effect that takes no time from outside the clock and return its result."""
    try:
        event = next(effect)
    except StopIteration as stop:
        return stop.value
    raise UsageError(f"an in-memory store waited for {event!r}")
