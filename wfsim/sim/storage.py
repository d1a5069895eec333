"""The stores of one simulation, in memory or in a file, and the log they feed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from wfsim.errors import DefinitionError, UsageError
from wfsim.model.flow import Flow
from wfsim.model.frozen import Frozen
from wfsim.model.journal import Create, Journal, Quarantine
from wfsim.model.log import EventLog
from wfsim.model.memento import OPEN_STEPS, Memento, Quarantined, RunStatus, StepStatus
from wfsim.model.resource import INTERRUPT, Resource
from wfsim.sim.clock import VirtualClock, WallClock
from wfsim.sim.redo import Found
from wfsim.sim.scenario import Scenario
from wfsim.sim.stores import InMemoryLeases, InMemoryResources, InMemoryRuns
from wfsim.sim.world import World

if TYPE_CHECKING:
    from wfsim.sim.sqlite import Database

Stores: TypeAlias = tuple[InMemoryLeases, InMemoryResources, InMemoryRuns]


class Storage:
    """Resources, mementos and leases of a scenario, and the record of their changes."""

    journal_type: type[Journal] = Journal

    def __init__(
        self,
        scenario: Scenario,
        seed: int | None,
        clock: VirtualClock | WallClock,
        db: str | Path | None,
    ) -> None:
        self.scenario = scenario
        self.seed = scenario.seed if seed is None else seed
        self.clock = clock
        self.database: Database | None = None
        self.leases, self.resources, self.stored = self._stores(db)
        meta = Frozen({**scenario.meta(), "seed": self.seed})
        self.log = EventLog(self.journal, meta=meta)
        self._reopened = self.database is not None and self.database.begun

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
            journal = self.journal_type(clock, leases.tokens, leases.holder)
            self.journal = journal
            resources = InMemoryResources(clock, journal, lag=scenario.lag)
            return leases, resources, InMemoryRuns(journal)
        from wfsim.sim import sqlite

        file = self.database = sqlite.Database(db)
        clock.go_on_from(file.time)
        durable = sqlite.SqliteLeases(file, clock, **terms)
        journal = self.journal = Journal(clock, durable.tokens, durable.holder)
        kept = sqlite.SqliteResources(file, clock, journal, lag=scenario.lag)
        try:
            scenario.check(filter(None, map(kept.peek, kept.keys())))
        except DefinitionError as error:
            file.close()
            raise DefinitionError(*(f"{db}: {it}" for it in error.problems)) from None
        return durable, kept, sqlite.SqliteRuns(file, clock, journal)

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
            self.journal.write(Quarantine(bad))
        loaded = self.stored.loaded()
        for key in sorted({*self.resources.keys(), *loaded}):
            resource = self.resources.peek(key)
            if resource is not None:
                self.journal.write(Create(resource))
            entries = loaded.get(key, [])
            flows = self.scenario.flows
            for entry in entries:
                self.stored.recall(trusted(entry, flows))
            if resource is None or not entries or self.scenario.is_service:
                continue
            newest = trusted(entries[-1], flows)
            serves = getattr(entries[-1], "entered", None) == resource.entered
            if isinstance(newest, Quarantined) and serves:
                waiting = doubted(resource, newest)
                immediately(self.resources.update(waiting))

    def _world_as_left(self, world: World) -> World:
        """Return *world*, which is new, as it was when the file was last written to."""
        from wfsim.sim import world_text

        file = self.database
        if file is None or not (kept := file.world_as_left()):
            return world
        try:
            return world_text.load(kept, world)
        except DefinitionError as error:
            raise DefinitionError(
                *(f"{file.path}: {it}" for it in error.problems)
            ) from None

    def _keep_world(self, world: World) -> None:
        """Have the file keep *world* from now on, if there is one."""
        from wfsim.sim import world_text

        if self.database is not None:
            self.database.world = partial(world_text.dump, world)

    def _tell(self, world: World) -> None:
        """Have *world* hear of every write, and first of what a file has."""
        if type(world).heard is World.heard:
            return
        keys = self.resources.keys()
        for key in keys:
            world.heard(None, self.resources.peek(key))
        self.resources.subscribe(world.heard)


def trusted(
    entry: Memento | Quarantined, flows: Mapping[str, Flow]
) -> Memento | Quarantined:
    """Return *entry*, quarantined if it says that it is complete and is not.

    Such a text has been edited: the steps that it leaves open would never be run.
    """
    if not isinstance(entry, Memento) or entry.status is not RunStatus.COMPLETED:
        return entry
    steps = {step.name: step.status for step in entry.steps}
    flow, done = flows.get(entry.flow), StepStatus.COMPLETED
    path = flow.main_path() if flow else ()
    # What it does not list may be new in the flow since.
    is_whole = not steps or (flow is not None and entry.digest == flow.digest)
    unlisted = StepStatus.PREPARED if is_whole else done
    left = [name for name in path if steps.get(name, unlisted) is not done]
    if not left:
        return entry
    reason = f"it is completed, but its steps {', '.join(left)} are not"
    text = entry.to_json()
    return Quarantined(entry.key, entry.resource, text, reason, OPEN_STEPS)


def doubted(resource: Resource, newest: Quarantined) -> Resource:
    """Return *resource* waiting for an operator, if *newest* of its runs demands it."""
    if not newest.code or resource.state == INTERRUPT:
        return resource
    return resource.interrupt(newest.code, f"{newest.key}: {newest.reason}")


def immediately(effect: Any) -> Any:
    """Run an effect that takes no time from outside the clock and return its result."""
    try:
        event = next(effect)
    except StopIteration as stop:
        return stop.value
    raise UsageError(f"an in-memory store waited for {event!r}")
