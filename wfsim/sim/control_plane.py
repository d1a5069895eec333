"""Stores and controllers on one clock, and what somebody outside may do to them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial, wraps
from inspect import isgenerator
from pathlib import Path
from typing import (
    Any,
    Concatenate,
    NamedTuple,
    ParamSpec,
    TypeVar,
    cast,
)

from wfsim.engine.context import rewrite
from wfsim.engine.controller import Controller
from wfsim.engine.ports import Ports
from wfsim.engine.reconciler import FlowReconciler
from wfsim.engine.service import WorkflowService, key_of
from wfsim.engine.watch import PickUp, WatchLoop
from wfsim.errors import Killed, NotFound, StoreError, UsageError
from wfsim.model.frozen import EMPTY, is_json
from wfsim.model.resource import CANCEL, INTERRUPT, RECOVER, Key, Resource, key_called
from wfsim.sim.clock import VirtualClock, WallClock
from wfsim.sim.demand import keys_arriving
from wfsim.sim.draws import KeyedDraws
from wfsim.sim.fault_plan import Plan
from wfsim.sim.faults import Fault
from wfsim.sim.pool import Pool
from wfsim.sim.scenario import WORKERS, Scenario
from wfsim.sim.service import SimulatedService
from wfsim.sim.storage import Storage, immediately
from wfsim.sim.world import World
from wfsim.text import suggest

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
        self.begin()
        if self._unrecorded:
            return method(self, *args, **keywords)
        self._calls.append(
            Call(self.clock.events, self.now, method.__name__, args, keywords)
        )
        self._unrecorded = True
        try:
            return method(self, *args, **keywords)
        except (UsageError, StoreError):
            # Refused: nothing has happened that could be repeated.
            self._calls.pop()
            raise
        finally:
            self._unrecorded = False

    return cast("Callable[Concatenate[S, P], T]", call)


class ControlPlane(Storage, ABC):
    """The controllers of one scenario, their stores, and the faults around them."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int | None,
        faults: tuple[Fault, ...],
        controllers: int,
        clock: VirtualClock | WallClock,
        world: World | None,
        db: str | Path | None = None,
    ) -> None:
        super().__init__(scenario, seed, clock, db)
        self.draws = KeyedDraws(self.seed)
        self.world = world
        self.flows = dict(scenario.flows)
        self._service = WorkflowService(clock, self.resources, self.stored, self.flows)
        self.names = tuple(f"controller-{number}" for number in range(controllers))
        self.controllers: dict[str, Controller] = {}
        self.pools = {name: Pool(size) for name, size in scenario.pools.items()}
        self.workers = scenario.policy.workers
        for name, pool in self.pools.items():
            pool.attach(clock, self.journal, name)
        self.given_faults = faults
        self.faults = (*scenario.faults_in(self.draws, self.names), *faults)
        self.plan = Plan(self, self.faults)
        self._count = controllers
        self._calls: list[Call] = []
        self._unrecorded = False

    @abstractmethod
    def begin(self) -> None:
        """Start the controllers, if that has not been done."""

    @contextmanager
    def unrecorded(self) -> Iterator[None]:
        """Take what is done meanwhile as the consequence of something else."""
        before, self._unrecorded = self._unrecorded, True
        try:
            yield
        finally:
            self._unrecorded = before

    def _start(self, name: str) -> None:
        controller = self.controllers[name] = self._controller(name)
        controller.start()

    def _controller(self, name: str) -> Controller:
        """Return a new controller of that name, which knows nothing and does nothing."""
        scenario = self.scenario
        resources = self.plan.resources(self.resources, name)
        runs = self.plan.runs(self.stored, name)
        ports = Ports(
            self.clock,
            resources,
            runs,
            self.plan.steps(scenario.set_steps(self.pools)),
            self.journal,
            self.draws,
            scenario.policy,
            scenario.hooks,
            self.world,
            scenario.polls(),
        )
        if scenario.is_service:
            seen = self._service.through(resources, runs)
            pick_up = PickUp(ports._replace(flows=seen), self.flows, scenario.migrations)
            made: Controller = WatchLoop(name, ports, pick_up, self.leases)
        else:
            reconciler = FlowReconciler(
                ports, scenario.machines, scenario.flows, scenario.migrations
            )
            rank = self._rank if scenario.has_priorities else None
            made = Controller(name, ports, reconciler, self.leases, rank)
        made.workers = self.workers
        return made

    def _rank(self, key: Key) -> float:
        """Return which of the resources that wait for a worker goes before others."""
        resource = self.resources.peek(key)
        return 0.0 if resource is None else resource.priority

    def resize(self, server: str, places: int) -> None:
        """Have so many places of a pool, or so many workers of each controller."""
        if server != WORKERS:
            self.pools[server].resize(places)
            return
        self.workers = places
        for controller in self.controllers.values():
            controller.resize(places)

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
        self.begin()
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
        """Start a controller anew: what the stores hold is all that it knows."""
        victim = self.controller(controller)
        if victim.alive:
            raise UsageError(f"{victim.name} is running; crash() it first")
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
        """Ask that an interrupted resource go on: annotation ``interrupt.recover``.

        Raises `UsageError` for one that is not interrupted: the request would stand until
        it is, and undo that at once.
        """
        live = self.resource(resource)
        if live.state != INTERRUPT:
            raise UsageError(
                f"{live.key} is in state {live.state!r}, not interrupted; recover() it "
                "once it is"
            )
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
        if self.scenario.is_service:
            raise UsageError("flows are what a service has: call service.create()")
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
        self.begin()
        if name is None:
            return next(iter(self.controllers.values()))
        if name not in self.controllers:
            raise UsageError(f"no controller {name!r}{suggest(name, self.controllers)}")
        return self.controllers[name]

    def resource(self, name: str | None = None) -> Resource:
        """Return the resource as it is now; `NotFound` if there is none."""
        self.begin()
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
            first = self.scenario.first.key
            return first if self._named(str(first)) else self._first(gone, first)
        # Measured: to look at each of a thousand names takes 0.4 ms.
        if key := self._named(name):
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
            *self.standing_keys(),
            *self.resources.keys(),
        ]

    def standing_keys(self) -> list[Key]:
        """Return the keys of what stands already when it begins, by mementos."""
        return []

    def _named(self, name: str) -> Key | None:
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


def _refuse_odd(**parts: Any) -> None:
    for name, part in parts.items():
        if not isinstance(part, Mapping) or not is_json(part):
            raise UsageError(
                f"{name} is {part!r}; give a mapping of keys to what JSON can hold"
            )
