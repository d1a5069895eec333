"""The controllers of a simulation, and what an operator may do to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Annotated, Any

from wfsim.engine.context import rewrite
from wfsim.engine.controller import Controller
from wfsim.engine.ports import Ports
from wfsim.engine.reconciler import FlowReconciler
from wfsim.engine.service import WorkflowService
from wfsim.engine.steps import Executors
from wfsim.engine.watch import PickUp, WatchLoop
from wfsim.errors import Killed, UsageError
from wfsim.model.bounds import Whole, argument
from wfsim.model.frozen import EMPTY, is_json
from wfsim.model.resource import CANCEL, INTERRUPT, Key, Resource
from wfsim.sim.draws import KeyedDraws
from wfsim.sim.fault_plan import FaultyPorts
from wfsim.sim.pool import Pool
from wfsim.sim.scenario import WORKERS
from wfsim.sim.storage import Storage, immediately
from wfsim.sim.world import World
from wfsim.text import short, suggest

Controllers = Annotated[int, Whole("a whole number", ge=1, le=1000)]


class ControlPlane:
    """The controllers of one scenario, and its service, over the stores they share."""

    def __init__(
        self,
        storage: Storage,
        ports: FaultyPorts,
        draws: KeyedDraws,
        names: tuple[str, ...],
        world: World | None,
    ) -> None:
        scenario, clock = storage.scenario, storage.clock
        self.scenario = scenario
        self.storage = storage
        self.draws = draws
        self.world = world
        self.flows = storage.flows
        self.names = names
        self.controllers: dict[str, Controller] = {}
        self.pools = {name: Pool(size) for name, size in scenario.pools.items()}
        self.workers = scenario.policy.workers
        for name, pool in self.pools.items():
            pool.attach(clock, storage.journal, name)
        self.wrappers: list[Callable[[Ports], Ports]] = []
        """What a controller works with is put through each of these."""
        self._ports = ports
        self._held: dict[str, list[Callable[[], None]]] = {}

    @cached_property
    def service(self) -> WorkflowService:
        """What flows are asked for at, if the scenario is that of a service."""
        storage = self.storage
        stores = storage.resources, storage.runs
        return WorkflowService(storage.clock, *stores, self.flows, self.executors)

    @cached_property
    def executors(self) -> Executors:
        """The code that its flows have, if the scenario is that of a service."""
        scenario = self.scenario
        return Executors(scenario.steps, scenario.bodies(), scenario.polls())

    def set_up(self) -> None:
        """Make a controller of each name; none is started."""
        self.controllers.update({name: self._controller(name) for name in self.names})

    def start(self, name: str) -> None:
        """Start a controller of that name; what the stores hold is all that it knows."""
        controller = self.controllers[name] = self._controller(name)
        controller.start()

    def ports(self, name: str) -> Ports:
        """Return what the controller of that name works with, faults around it."""
        scenario, storage = self.scenario, self.storage
        bodies, polls = scenario.bodies(), scenario.polls()
        if scenario.is_service:
            bodies, polls = self.executors.bodies, self.executors.polls
        resources = self._ports.resources(storage.resources, name)
        runs = self._ports.runs(storage.runs, name)
        ports = Ports(
            storage.clock,
            resources,
            runs,
            self._ports.steps(scenario.set_steps(bodies, self.pools)),
            storage.journal,
            self.draws,
            scenario.policy,
            scenario.hooks,
            self.world,
            polls,
        )
        if scenario.is_service:
            ports = ports._replace(flows=self.service.through(resources, runs))
        for wrap in self.wrappers:
            ports = wrap(ports)
        return ports

    def _controller(self, name: str) -> Controller:
        """Return a new controller of that name, which knows nothing and does nothing."""
        scenario, ports, leases = self.scenario, self.ports(name), self.storage.leases
        if scenario.is_service:
            pick_up = PickUp(ports, self.flows, scenario.migrations)
            controller: Controller = WatchLoop(name, ports, pick_up, leases)
        else:
            reconciler = FlowReconciler(
                ports, scenario.machines, scenario.flows, scenario.migrations
            )
            rank = self._rank if scenario.has_priorities else None
            controller = Controller(name, ports, reconciler, leases, rank)
        controller.workers = self.workers
        return controller

    def _rank(self, key: Key) -> float:
        """Return which of the resources that wait for a worker goes before others."""
        resource = self.storage.resources.peek(key)
        return 0.0 if resource is None else resource.priority

    def resize(self, server: str, places: int) -> None:
        """Change the places of a pool, or the workers of each controller."""
        if server != WORKERS:
            self.pools[server].resize(places)
            return
        self.workers = places
        for controller in self.controllers.values():
            controller.resize(places)

    # What may be done to controllers.

    def crash(self, controller: str | None = None) -> None:
        """Kill a controller (None: the first): all is lost but the stores."""
        victim = self.controller(controller)
        if not victim.alive:
            raise UsageError(f"{victim.name} is not running; restart() it first")
        self._let_go(victim.name)
        processes = victim.crash()
        self.storage.leases.stop_renewing(victim.name)
        suicide = False
        for process in processes:
            if process is self.storage.clock.active_process:
                suicide = True
            else:
                self.storage.clock.throw(process, Killed())
        if suicide:
            raise Killed

    def restart(self, controller: str | None = None) -> None:
        """Start a controller anew: what the stores hold is all that it knows."""
        victim = self.controller(controller)
        if victim.alive:
            raise UsageError(f"{victim.name} is running; crash() it first")
        self.start(victim.name)

    def pause(self, controller: str | None = None) -> object:
        """Hold every process of a controller still and let its leases run out.

        Returns what tells this pause from a later one; see `is_paused`.
        """
        held = self.controller(controller)
        if not held.alive:
            raise UsageError(f"{held.name} is not running; restart() it first")
        if self.is_paused(held.name):
            raise UsageError(f"{held.name} stands still already; unpause() it first")
        clock = self.storage.clock
        pause = self._held[held.name] = [clock.hold(each) for each in held.pause()]
        self.storage.leases.stop_renewing(held.name)
        return pause

    def unpause(self, controller: str | None = None, *, zombie: bool = False) -> None:
        """Resume a paused controller.

        A *zombie* goes on with what somebody else has taken over, until a store refuses
        to write it.
        """
        held = self.controller(controller)
        if not self._let_go(held.name):
            raise UsageError(f"{held.name} does not stand still; pause() it first")
        if held.alive:
            self.storage.leases.renew_again(held.name)
            held.resume(zombie=zombie)

    def is_paused(self, controller: str, pause: object = None) -> bool:
        """Whether a controller is held still, by that *pause* if it is given."""
        held = self._held.get(controller)
        return held is not None and (pause is None or held is pause)

    def _let_go(self, controller: str) -> bool:
        """Release what is held still for *controller*; whether there was anything."""
        held = self._held.pop(controller, None)
        for release in held or ():
            release()
        return held is not None

    # What may be done to resources.

    def cancel(self, resource: str | None = None) -> None:
        """Ask that the resource's flow be cancelled: annotation ``cancelled``."""
        self.edit(resource, annotations={CANCEL: "true"})

    def uncancel(self, resource: str | None = None) -> None:
        """Take the request of `cancel` back."""
        self.edit(resource, annotations={CANCEL: None})

    def recover(self, resource: str | None = None) -> None:
        """Ask that an interrupted resource go on, by its machine's recovery.

        Raises `UsageError` for one that is not interrupted: the request would stand until
        it is, and undo that at once.
        """
        live = self.storage.resource(resource)
        if live.state != INTERRUPT:
            raise UsageError(
                f"{live.key} is in state {live.state!r}, not interrupted; recover() it "
                "once it is"
            )
        ask = self.scenario.machines[live.kind].notes.ask
        immediately(rewrite(self.storage.resources, live.key, ask, None))

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
            rewrite(self.storage.resources, self.storage.key(resource), change, None)
        )
        return changed

    def create(self, resource: Resource) -> Resource:
        """Create one more resource; its kind must have a state machine."""
        if self.scenario.is_service:
            raise UsageError("flows are what a service has: call service.create()")
        self.scenario.check([resource])
        if self.storage.named(str(resource.key)):
            raise UsageError(
                f"there is a resource {resource.key} already; delete() it first"
            )
        created: Resource = immediately(self.storage.resources.create(resource))
        return created

    def delete(self, resource: str | None = None) -> None:
        """Delete the resource; finalizers hold it until the controller drops them."""
        immediately(self.storage.resources.delete(self.storage.key(resource)))

    # Looking.

    def controller(self, name: str | None = None) -> Controller:
        """Return a controller by name (None: the first)."""
        if name is None:
            return next(iter(self.controllers.values()))
        if argument("controller", name, str) not in self.controllers:
            raise UsageError(f"no controller {name!r}{suggest(name, self.controllers)}")
        return self.controllers[name]


def _refuse_odd(**parts: Any) -> None:
    for name, part in parts.items():
        if not isinstance(part, Mapping) or not is_json(part):
            raise UsageError(
                f"{name} is {short(part)}; give a mapping of keys to what JSON can hold"
            )
        if name == "annotations":
            for key, value in part.items():
                if not isinstance(value, str | None):
                    text = f"the annotation {key!r} is {short(value)}"
                    raise UsageError(f"{text}; give a text, or None to remove it")
