"""Stores and controllers on one clock, and what somebody outside may do to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial, wraps
from inspect import isgenerator
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    NamedTuple,
    ParamSpec,
    TypeAlias,
    TypeVar,
    cast,
)

from wfsim.engine.controller import Controller
from wfsim.engine.reconciler import FlowReconciler
from wfsim.engine.service import WorkflowService, key_of
from wfsim.engine.steps import rewrite
from wfsim.engine.turn import Ports
from wfsim.engine.watch import PickUp, WatchLoop
from wfsim.errors import DefinitionError, Killed, NotFound, StoreError, UsageError
from wfsim.model.frozen import EMPTY, is_json
from wfsim.model.log import EventLog
from wfsim.model.machine import did_you_mean
from wfsim.model.memento import Quarantined
from wfsim.model.resource import CANCEL, RECOVER, Key, Resource
from wfsim.sim.arming import Plan
from wfsim.sim.clock import VirtualClock, WallClock
from wfsim.sim.faults import Fault
from wfsim.sim.recording import Recorder
from wfsim.sim.resumption import Entry, Found, found
from wfsim.sim.scenario import Scenario
from wfsim.sim.service import SimulatedService
from wfsim.sim.stores import InMemoryLeases, InMemoryMementos, InMemoryResources
from wfsim.sim.streams import KeyedDraws
from wfsim.sim.world import World

if TYPE_CHECKING:
    from wfsim.sim.database import Database

Stores: TypeAlias = tuple[InMemoryLeases, InMemoryResources, InMemoryMementos]
P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound="ControlPlane")


class Call(NamedTuple):
    """What was done from outside, after *events* events of the clock, at *time*."""

    events: int
    time: float
    method: str
    args: tuple[Any, ...]
    keywords: dict[str, Any]


def from_outside(
    method: Callable[Concatenate[S, P], T],
) -> Callable[Concatenate[S, P], T]:
    """Begin, and keep the call in mind for `fork`, unless it is part of another one."""

    @wraps(method)
    def call(self: S, *args: P.args, **keywords: P.kwargs) -> T:
        self._begin()
        if self._unrecorded:
            return method(self, *args, **keywords)
        self._calls.append(Call(self._events, self.now, method.__name__, args, keywords))
        try:
            with self.unrecorded():
                return method(self, *args, **keywords)
        except (UsageError, StoreError):
            # Refused: nothing has happened that could be repeated.
            self._calls.pop()
            raise

    return cast("Callable[Concatenate[S, P], T]", call)


class ControlPlane:
    """The controllers of one scenario, their stores, and the faults around them."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        faults: tuple[Fault, ...],
        controllers: int,
        clock: VirtualClock | WallClock,
        world: World | None,
        db: str | Path | None = None,
    ) -> None:
        self.scenario = scenario
        self.seed = seed
        self.faults = faults
        self.clock = clock
        self.log = EventLog(meta=scenario.meta() | {"seed": seed})
        self.recorder = Recorder(self.log, clock)
        self.draws = KeyedDraws(seed)
        self.world = world
        self.database: Database | None = None
        self.leases, self.resources, self.stored = self._stores(db)
        self._reopened = self.database is not None and self.database.begun
        self.resources.subscribe(self.recorder.resource)
        self.stored.on_save += (self.recorder.memento,)
        self.stored.on_remove += (self.recorder.removed,)
        self.stored.on_quarantine += (self.recorder.quarantined,)
        self.flows = dict(scenario.flows)
        self._service = WorkflowService(clock, self.resources, self.stored, self.flows)
        self.names = tuple(f"controller-{number}" for number in range(controllers))
        self.controllers: dict[str, Controller] = {}
        self.plan = Plan(self, faults)
        self._count = controllers
        self._events = 0
        self._calls: list[Call] = []
        self._unrecorded = False

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

    @property
    def now(self) -> float:
        """The virtual time, in seconds."""
        return float(self.clock.now)

    def _begin(self) -> None:
        """Start the controllers, if that has not been done."""
        raise NotImplementedError

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

    @contextmanager
    def unrecorded(self) -> Iterator[None]:
        """Take what is done meanwhile as the consequence of something else."""
        before, self._unrecorded = self._unrecorded, True
        try:
            yield
        finally:
            self._unrecorded = before

    def _start(self, name: str) -> None:
        scenario = self.scenario
        resources = self.plan.resources(self.resources, name)
        mementos = self.plan.mementos(self.stored, name)
        ports = Ports(
            self.clock,
            resources,
            mementos,
            self.plan.steps(scenario.bodies()),
            self.recorder,
            self.draws,
            scenario.policy,
            scenario.hooks,
            self.world,
            scenario.polls(),
        )
        if scenario.is_service:
            seen = WorkflowService(self.clock, resources, mementos, self.flows)
            pick_up = PickUp(ports._replace(flows=seen), self.flows, scenario.migrations)
            controller: Controller = WatchLoop(name, ports, pick_up, self.leases)
        else:
            reconciler = FlowReconciler(
                ports, scenario.machines, scenario.flows, scenario.migrations
            )
            controller = Controller(name, ports, reconciler, self.leases)
        self.controllers[name] = controller
        controller.start()

    # What may be asked of a service.

    @property
    def service(self) -> SimulatedService:
        """The service, as whoever asks for flows sees it; `UsageError` without one."""
        if not self.scenario.is_service:
            raise UsageError(
                "this scenario has resources and no service; a service has flows alone"
            )
        return SimulatedService(self)

    @from_outside
    def request(self, operation: str, *args: Any, **keywords: Any) -> Any:
        """Ask the service for *operation*, in a way that `fork` repeats."""
        return self.look(operation, *args, **keywords)

    def look(self, operation: str, *args: Any, **keywords: Any) -> Any:
        """Ask the service for *operation*, which changes nothing."""
        self._begin()
        answer = getattr(self._service, operation)(*args, **keywords)
        return immediately(answer) if isgenerator(answer) else answer

    # What may be done to controllers.

    @from_outside
    def crash(self, controller: str | None = None) -> None:
        """Kill a controller (None: the first): all is lost but the stores."""
        victim = self.controller(controller)
        if not victim.alive:
            raise UsageError(f"{victim.name} is not running; restart() it first")
        self.plan.release(victim.name)
        processes = victim.crash()
        self.leases.stop_renewing(victim.name)
        suicide = False
        for process in processes:
            if process is self.clock.active_process:
                suicide = True
            else:
                self.clock.throw(process, Killed())
        if suicide:
            raise Killed

    @from_outside
    def restart(self, controller: str | None = None) -> None:
        """Build a controller anew from what the stores hold, read back from its text."""
        victim = self.controller(controller)
        if victim.alive:
            raise UsageError(f"{victim.name} is running; crash() it first")
        self.stored.reload()
        self._start(victim.name)

    @from_outside
    def pause(self, controller: str | None = None) -> None:
        """Let a controller's process stand still; the world and its lease go on."""
        held = self.controller(controller)
        if not held.alive:
            raise UsageError(f"{held.name} is not running; restart() it first")
        if not self.plan.pause(held):
            raise UsageError(f"{held.name} stands still already; unpause() it first")

    @from_outside
    def unpause(self, controller: str | None = None) -> None:
        """Let a paused controller go on."""
        held = self.controller(controller)
        if not self.plan.unpause(held):
            raise UsageError(f"{held.name} does not stand still; pause() it first")

    # What may be done to resources.

    @from_outside
    def cancel(self, resource: str | None = None) -> None:
        """Ask that the resource's flow be cancelled: annotation ``cancelled``."""
        self.edit(resource, annotations={CANCEL: "true"})

    @from_outside
    def uncancel(self, resource: str | None = None) -> None:
        """Take the request of `cancel` back."""
        self.edit(resource, annotations={CANCEL: None})

    @from_outside
    def recover(self, resource: str | None = None) -> None:
        """Ask that an interrupted resource go on: annotation ``interrupt.recover``."""
        self.edit(resource, annotations={RECOVER: "T"})

    @from_outside
    def edit(
        self,
        resource: str | None = None,
        *,
        spec: Mapping[str, Any] = EMPTY,
        status: Mapping[str, Any] = EMPTY,
        annotations: Mapping[str, str | None] = EMPTY,
    ) -> Resource:
        """Set keys of the resource as any user may (None removes one); return it.

        Raises `UsageError` for a value that JSON cannot hold.
        """
        _refuse_odd(spec=spec, status=status, annotations=annotations)
        change = partial(Resource.edit, spec=spec, status=status, annotations=annotations)
        changed: Resource = immediately(
            rewrite(self.resources, self._key(resource), change, None)
        )
        return changed

    @from_outside
    def create(self, resource: Resource) -> Resource:
        """Create one more resource; its kind must have a state machine."""
        self.scenario.check([resource])
        if self._named(str(resource.key)):
            raise UsageError(
                f"there is a resource {resource.key} already; delete() it first"
            )
        created: Resource = immediately(self.resources.create(resource))
        return created

    @from_outside
    def delete(self, resource: str | None = None) -> None:
        """Delete the resource; finalizers hold it until the controller drops them."""
        immediately(self.resources.delete(self._key(resource)))

    # Looking.

    def controller(self, name: str | None = None) -> Controller:
        """Return a controller by name (None: the first)."""
        self._begin()
        if name is None:
            return next(iter(self.controllers.values()))
        if name not in self.controllers:
            raise UsageError(
                f"no controller {name!r}{did_you_mean(name, self.controllers)}"
            )
        return self.controllers[name]

    def resource(self, name: str | None = None) -> Resource:
        """Return the resource as it is now; `NotFound` if there is none."""
        self._begin()
        found = self.resources.peek(self._key(name))
        assert found is not None
        return found

    def _key(self, name: str | None, gone: Iterable[Key] = ()) -> Key:
        """Return the key of the resource called *name*, also if it is one of *gone*.

        None is the scenario's first resource, or the first there is without that.
        """
        if name is None and self.scenario.is_service:
            return self._first(gone, key_of(""))
        if name is None:
            first = self.scenario.resources[0].key
            return first if self._named(str(first)) else self._first(gone, first)
        if found := self._named(name):
            return found
        keys = [*self.resources.keys(), *gone]
        for key in keys:
            if name in (str(key), key.name):
                return key
        near = did_you_mean(name, sorted({str(key) for key in keys}))
        raise NotFound(f"no resource {name!r}{near}")

    def _named(self, name: str) -> Key | None:
        namespace, slash, rest = name.rpartition("/")
        for kind in self.scenario.kinds:
            key = Key(kind, namespace if slash else "default", rest)
            if self.resources.peek(key) is not None:
                return key
        return None

    def _first(self, gone: Iterable[Key], otherwise: Key) -> Key:
        keys = [*self.resources.keys(), *gone]
        if not keys:
            raise NotFound(f"no resource {otherwise}: there is none left; create() one")
        return otherwise if otherwise in keys else keys[0]


def _refuse_odd(**parts: Any) -> None:
    for name, part in parts.items():
        if not isinstance(part, Mapping) or not is_json(part):
            raise UsageError(
                f"{name} is {part!r}; give a mapping of keys to what JSON can hold"
            )


def immediately(effect: Any) -> Any:
    """Run an effect that takes no time from outside the clock and return its result."""
    try:
        event = next(effect)
    except StopIteration as stop:
        return stop.value
    raise UsageError(f"an in-memory store waited for {event!r}")
