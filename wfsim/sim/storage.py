"""The stores of one simulation, in memory or in a file, and what is in them by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from wfsim.engine.service import key_of
from wfsim.errors import DefinitionError, NotFound, UsageError
from wfsim.model.bounds import argument
from wfsim.model.flow import Flow
from wfsim.model.journal import Create, Journal, Quarantine
from wfsim.model.memento import OPEN_STEPS, Memento, Quarantined, RunStatus, StepStatus
from wfsim.model.resource import INTERRUPT, Key, Recovery, Resource, key_called
from wfsim.sim.clock import VirtualClock, WallClock
from wfsim.sim.demand import keys_arriving
from wfsim.sim.scenario import Scenario
from wfsim.sim.stores import InMemoryLeases, InMemoryResources, InMemoryRuns
from wfsim.sim.world import World
from wfsim.text import suggest

if TYPE_CHECKING:
    from wfsim.sim.sqlite import Database

Stores: TypeAlias = tuple[InMemoryLeases, InMemoryResources, InMemoryRuns]


class Standing(NamedTuple):
    """A resource as a controller that starts finds it, and what is kept of its runs."""

    resource: Resource
    entries: tuple[Memento | Quarantined, ...] = ()


class Storage:
    """Resources, mementos and leases of a scenario, and the record of their changes.

    *standing* is what stands already when it begins, by mementos.
    """

    def __init__(
        self,
        scenario: Scenario,
        clock: VirtualClock | WallClock,
        db: str | Path | None = None,
        journal_type: type[Journal] = Journal,
    ) -> None:
        self.scenario = scenario
        self.clock = clock
        self.flows = dict(scenario.flows)
        """The flows that there are: a service may be given more of them."""
        self.standing: tuple[Standing, ...] = ()
        self.database: Database | None = None
        self.journal: Journal
        self.leases, self.resources, self.runs = self._stores(db, journal_type)
        self.is_reopened = self.database is not None and self.database.begun

    def _stores(self, db: str | Path | None, journal_type: type[Journal]) -> Stores:
        scenario, clock = self.scenario, self.clock
        policy = scenario.policy
        terms = {"length": policy.lease, "renew": policy.renew}
        if db is None:
            leases = InMemoryLeases(clock, **terms)
            journal = journal_type(clock, leases.tokens, leases.holder)
            self.journal = journal
            resources = InMemoryResources(clock, journal, lag=scenario.lag)
            return leases, resources, InMemoryRuns(journal)
        from wfsim.sim import sqlite

        file = self.database = sqlite.Database(db)
        clock.go_on_from(file.time)
        durable = sqlite.SqliteLeases(file, clock, **terms)
        journal = self.journal = Journal(clock, durable.tokens, durable.holder)
        resources = sqlite.SqliteResources(file, clock, journal, lag=scenario.lag)
        try:
            scenario.check(filter(None, map(resources.peek, resources.keys())))
        except DefinitionError as error:
            file.close()
            raise DefinitionError(*(f"{db}: {it}" for it in error.problems)) from None
        return durable, resources, sqlite.SqliteRuns(file, clock, journal)

    @property
    def step_names(self) -> frozenset[str]:
        """The names of the steps of its flows, and of their classes."""
        if len(self.flows) == len(self.scenario.flows):
            return self.scenario.step_names
        steps = [step for flow in self.flows.values() for step in flow.steps]
        classes = {name for step in steps for name in step.all_classes}
        return frozenset({step.name for step in steps} | classes)

    def populate(self) -> None:
        """Create what is standing, or what the scenario has; a file has it already."""
        file = self.database
        if file is not None:
            self._recall(file)
        fresh = (Standing(resource) for resource in self.scenario.resources)
        for resource, entries in self.standing or fresh:
            if file and (file.begun or self.resources.peek(resource.key)):
                continue
            immediately(self.resources.create(resource))
            for entry in entries:
                self.runs.put(entry)
        if file and not file.begun:
            file.begin(float(self.clock.now))

    def _recall(self, file: Database) -> None:
        """Record what the file holds as if it had been written now."""
        for bad in file.unreadable.values():
            self.journal.write(Quarantine(bad))
        loaded = self.runs.loaded()
        for key in sorted({*self.resources.keys(), *loaded}):
            resource = self.resources.peek(key)
            if resource is not None:
                self.journal.write(Create(resource))
            entries = loaded.get(key, [])
            flows = self.flows
            for entry in entries:
                self.runs.recall(trusted(entry, flows))
            if resource is None or not entries or self.scenario.is_service:
                continue
            newest = trusted(entries[-1], flows)
            serves = getattr(entries[-1], "entered", None) == resource.entered
            if isinstance(newest, Quarantined) and serves:
                notes = self.scenario.machines[key.kind].notes
                waiting = doubted(resource, newest, notes)
                immediately(self.resources.update(waiting))

    def world_as_left(self, world: World) -> World:
        """Return *world*, which is new, as it was when the file was last written to."""
        from wfsim.sim import world_text

        file = self.database
        if file is None or not (content := file.world_as_left()):
            return world
        try:
            return world_text.load(content, world)
        except DefinitionError as error:
            raise DefinitionError(
                *(f"{file.path}: {it}" for it in error.problems)
            ) from None

    def keep_world(self, world: World) -> None:
        """Keep *world* in the file from now on, if there is one."""
        from wfsim.sim import world_text

        if self.database is not None:
            self.database.world = partial(world_text.dump, world)

    def tell(self, world: World) -> None:
        """Tell *world* of every write, and first of what a file has."""
        if type(world).heard is World.heard:
            return
        keys = self.resources.keys()
        for key in keys:
            world.heard(None, self.resources.peek(key))
        self.resources.subscribe(world.heard)

    # What there is, by name.

    def resource(self, name: str | None = None) -> Resource:
        """Return the resource as it is now; `NotFound` if there is none."""
        resource = self.resources.peek(self.key(name))
        assert resource is not None
        return resource

    def key(self, name: str | None, gone: Iterable[Key] = ()) -> Key:
        """Return the key of the resource called *name*, also if it is one of *gone*.

        None is the scenario's first resource, or the first there is without that.
        """
        if name is None and self.scenario.is_service:
            return self._first(gone, key_of(""))
        if name is None:
            first = self.scenario.first.key
            return first if self.named(str(first)) else self._first(gone, first)
        # Measured: to look at each of a thousand names takes 0.4 ms.
        if key := self.named(argument("resource", name, str)):
            return key
        keys = [*self.resources.keys(), *gone]
        if key := key_called(name, keys):
            return key
        near = suggest(name, sorted({str(key) for key in keys}))
        raise NotFound(f"no resource {name!r}{near}")

    def known_names(self) -> set[str]:
        """Return what the resources are called that are there or begin with."""
        return {str(key) for key in self._known_keys()}

    def key_meant(self, name: str) -> Key | None:
        """Return the key of the resource called *name* that is, was, or will arrive.

        It is None if there is none, and `UsageError` if there are several.
        """
        arriving = keys_arriving(name, self.scenario.arrivals)
        return key_called(name, [*self._known_keys(), *arriving])

    def _known_keys(self) -> list[Key]:
        return [
            *(resource.key for resource in self.scenario.resources),
            *(each.resource.key for each in self.standing),
            *self.resources.keys(),
        ]

    def named(self, name: str) -> Key | None:
        """Return the key of the resource that is there under *name*, None if none is."""
        namespace, slash, rest = name.rpartition("/")
        for kind in sorted(self.scenario.kinds):
            key = Key(kind, namespace if slash else "default", rest)
            if self.resources.peek(key) is not None:
                return key
        return None

    def _first(self, gone: Iterable[Key], otherwise: Key) -> Key:
        keys = [*self.resources.keys(), *gone]
        if not keys:
            raise NotFound(f"no resource {otherwise}: there is none left; create() one")
        return otherwise if otherwise in keys else keys[0]


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


def doubted(resource: Resource, newest: Quarantined, notes: Recovery) -> Resource:
    """Return *resource* waiting for an operator, if *newest* of its runs demands it."""
    if not newest.code or resource.state == INTERRUPT:
        return resource
    return notes.interrupt(resource, newest.code, f"{newest.key}: {newest.reason}")


def immediately(effect: Any) -> Any:
    """Run an effect that takes no time from outside the clock and return its result."""
    try:
        event = next(effect)
    except StopIteration as stop:
        return stop.value
    raise UsageError(f"an in-memory store waited for {event!r}")
