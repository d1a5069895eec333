"""One world, wired up: stores, controllers, fakes and faults on one clock."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from wfsim.engine.controller import Controller
from wfsim.engine.reconciler import FlowReconciler
from wfsim.engine.runner import Ports
from wfsim.engine.steps import rewrite
from wfsim.errors import Killed, NotFound, UsageError
from wfsim.model.frozen import EMPTY
from wfsim.model.log import EventLog
from wfsim.model.machine import did_you_mean
from wfsim.model.memento import Memento, Quarantined
from wfsim.model.record import Kind, Record
from wfsim.model.resource import CANCEL, RECOVER, Key, Resource
from wfsim.sim.arming import Plan
from wfsim.sim.clock import VirtualClock, WallClock
from wfsim.sim.faults import Fault
from wfsim.sim.recording import Recorder
from wfsim.sim.resumption import found
from wfsim.sim.scenario import Scenario
from wfsim.sim.stores import InMemoryLeases, InMemoryMementos, InMemoryResources
from wfsim.sim.streams import KeyedDraws
from wfsim.sim.world import World

Until = float | Callable[[Record], bool] | None


class Simulation:
    """A scenario under way: step it, run it, break it, look at it.

    Times are seconds of virtual time.  Whatever is called on it happens at `now`;
    everything that follows is a function of scenario, seed, faults and those calls.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        seed: int = 0,
        faults: Iterable[Fault] = (),
        controllers: int = 1,
        clock: VirtualClock | WallClock | None = None,
        world: World | None = None,
    ) -> None:
        self.scenario = scenario
        self.seed = seed
        self.faults = tuple(faults)
        self.clock = clock or VirtualClock()
        self.log = EventLog(meta=scenario.meta() | {"seed": seed})
        self.log.origin = self
        self.recorder = Recorder(self.log, self.clock)
        self.draws = KeyedDraws(seed)
        self.world = world or (scenario.world() if scenario.world else None)
        self._count = controllers
        # What is given would be changed by the time that fork() wants it as it was.
        self._given_world = None if world is None else world.copy()
        self._found: tuple[Resource, tuple[Memento | Quarantined, ...]] | None = None
        self._wire()
        self._shown = 0
        self._events = 0
        self._calls: list[tuple[int, float, str, tuple[Any, ...], dict[str, Any]]] = []
        self._begun = False

    def _wire(self) -> None:
        policy = self.scenario.policy
        self.leases = InMemoryLeases(self.clock, length=policy.lease, renew=policy.renew)
        self.resources = InMemoryResources(
            self.clock, self.leases.tokens, lag=self.scenario.lag
        )
        self.stored = InMemoryMementos(self.leases.tokens)
        self.resources.subscribe(self.recorder.resource)
        self.stored.on_save += (self.recorder.memento,)
        self.stored.on_remove += (self.recorder.removed,)
        self.stored.on_quarantine += (self.recorder.quarantined,)
        self.plan = Plan(self, self.faults)
        self.controllers: dict[str, Controller] = {}

    def __repr__(self) -> str:
        return f"<Simulation {self.scenario.title} at {self.now:.3f} s, {len(self.log)} records>"

    @property
    def now(self) -> float:
        """The virtual time, in seconds."""
        return float(self.clock.now)

    # -- going on ---------------------------------------------------------------

    def step(self) -> Record | None:
        """Go on to the next record and return it; None when nothing more happens."""
        self._begin()
        records = self.log.records
        while self._shown >= len(records):
            if not self._advance(self.scenario.horizon):
                return None
        self._shown += 1
        return records[self._shown - 1]

    def run(self, until: Until = None, *, for_: float | None = None) -> EventLog:
        """Go on until *until* (a time, or a record that it accepts), or *for_* seconds.

        Without either, until nothing is left to happen or the scenario's horizon is
        reached.  Ctrl-C leaves the simulation as far as it came.  Returns the log.
        """
        self._begin()
        limit = self.scenario.horizon
        if for_ is not None:
            until = self.now + for_
        if isinstance(until, (int, float)):
            if until < self.now:
                raise UsageError(f"run(until={until:g}): it is {self.now:g} s already")
            limit = float(until)
        thresholds = gc.get_threshold()
        # Measured: with the default thresholds the collector takes a tenth of a run.
        gc.set_threshold(50_000, 20, 20)
        try:
            if callable(until):
                self._run_to(until, limit)
            else:
                while self._advance(limit):
                    pass
                if isinstance(until, (int, float)):
                    self._wait_until(limit)
        finally:
            gc.set_threshold(*thresholds)
        self._shown = (
            max(self._shown, len(self.log)) if not callable(until) else self._shown
        )
        return self.log

    def _run_to(self, wanted: Callable[[Record], bool], limit: float) -> None:
        records = self.log.records
        while True:
            while self._shown < len(records):
                self._shown += 1
                if wanted(records[self._shown - 1]):
                    return
            if not self._advance(limit):
                return

    def _advance(self, limit: float) -> bool:
        """Let one event of the clock happen, unless none is left before *limit*."""
        if self.clock.peek() > limit:
            return False
        self._events += 1
        self.clock.step()
        return True

    def _wait_until(self, time: float) -> None:
        """Let the clock show *time* though nothing happens then."""
        if time > self.now:
            self.clock.call(time - self.now, _nothing)
            while self.now < time:
                self._events += 1
                self.clock.step()

    def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        if self.world is not None:
            self.world.attach(self.clock, self.draws)
        self.plan.start()
        if self._found is not None:
            resource, entries = self._found
            _now(self.resources.create(resource))
            for entry in entries:
                self.stored.put(entry)
        else:
            for resource in self.scenario.resources:
                _now(self.resources.create(resource))
        for number in range(self._count):
            self._start(f"controller-{number}")

    def _start(self, name: str) -> None:
        scenario = self.scenario
        ports = Ports(
            self.clock,
            self.plan.resources(self.resources),
            self.plan.mementos(self.stored),
            self.plan.steps(scenario.bodies()),
            self.recorder,
            self.draws,
            scenario.policy,
            scenario.hooks,
            self.world,
        )
        reconciler = FlowReconciler(
            ports, scenario.machines, scenario.flows, scenario.migrations
        )
        self.leases.renew_again(name)
        self.controllers[name] = Controller(name, ports, reconciler, self.leases)
        self.controllers[name].start()

    # -- acting from outside ------------------------------------------------------

    def crash(self, controller: str | None = None) -> None:
        """Kill a controller (None: the first): all is lost but the stores."""
        self._note("crash", controller)
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

    def restart(self, controller: str | None = None) -> None:
        """Build a controller anew from what the stores hold, read back from its text."""
        self._note("restart", controller)
        victim = self.controller(controller)
        if victim.alive:
            raise UsageError(f"{victim.name} is running; crash() it first")
        self.stored.reload()
        self._start(victim.name)

    def pause(self, controller: str | None = None) -> None:
        """Let a controller's process stand still; the world and its lease go on."""
        self._note("pause", controller)
        self.plan.pause(self.controller(controller))

    def unpause(self, controller: str | None = None) -> None:
        """Let a paused controller go on."""
        self._note("unpause", controller)
        self.plan.unpause(self.controller(controller))

    def cancel(self, resource: str | None = None) -> None:
        """Ask that the resource's flow be cancelled: annotation ``cancelled``."""
        self.edit(resource, annotations={CANCEL: "true"})

    def uncancel(self, resource: str | None = None) -> None:
        """Take the request of `cancel` back."""
        self.edit(resource, annotations={CANCEL: None})

    def recover(self, resource: str | None = None) -> None:
        """Ask that an interrupted resource go on: annotation ``interrupt.recover``."""
        self.edit(resource, annotations={RECOVER: "T"})

    def edit(
        self,
        resource: str | None = None,
        *,
        spec: Mapping[str, Any] = EMPTY,
        status: Mapping[str, Any] = EMPTY,
        annotations: Mapping[str, str | None] = EMPTY,
    ) -> Resource:
        """Set keys of the resource as any user may (None removes one); return it."""
        self._note("edit", resource, spec=spec, status=status, annotations=annotations)
        change = partial(Resource.edit, spec=spec, status=status, annotations=annotations)
        changed: Resource = _now(
            rewrite(self.resources, self._key(resource), change, None)
        )
        return changed

    def create(self, resource: Resource) -> Resource:
        """Create one more resource."""
        self._note("create", resource)
        created: Resource = _now(self.resources.create(resource))
        return created

    def delete(self, resource: str | None = None) -> None:
        """Delete the resource; finalizers hold it back until the controller drops them."""
        self._note("delete", resource)
        _now(self.resources.delete(self._key(resource)))

    def act(self, action: Callable[[Simulation], Any]) -> Any:
        """Do anything else to the simulation or its world, so that `fork` repeats it.

        *action* gets the simulation; it must act on that, not on another one.
        """
        self._note("act", action)
        return action(self)

    # -- looking -------------------------------------------------------------------

    def resource(self, name: str | None = None) -> Resource:
        """Return the resource as it is now; `NotFound` if there is none."""
        self._begin()
        found = self.resources.peek(self._key(name))
        assert found is not None
        return found

    def mementos(self, resource: str | None = None) -> list[Memento]:
        """Return every memento that was made durable for the resource, newest last.

        Each is the state of a run after one write; any prefix of the list is what a
        crash at that moment would have left behind.
        """
        self._begin()
        name = str(self._key(resource, gone_too=True))
        return [
            record.value
            for record in self.log.records
            if record.resource == name and isinstance(record.value, Memento)
        ]

    # -- other simulations -----------------------------------------------------------

    def fork(self, faults: Iterable[Fault] = ()) -> Simulation:
        """Return a simulation that has come as far as this one, with *faults* to come.

        It is run again from the start with the same seed and calls, since generators
        cannot be copied; writes are counted from the start.
        """
        self._begin()
        given = self._given_world
        twin = type(self)(
            self.scenario,
            seed=self.seed,
            faults=self.faults,
            controllers=self._count,
            world=None if given is None else given.copy(),
        )
        twin._found = self._found
        twin.plan.wrap_all = True
        for events, time, method, args, keywords in self._calls:
            twin._replay(events, time)
            getattr(twin, method)(*args, **keywords)
        twin._replay(self._events, self.now)
        twin._shown = self._shown
        twin.plan.add(tuple(faults))
        return twin

    def _replay(self, events: int, time: float) -> None:
        """Come as far as another simulation had come when it had seen *events*."""
        self._begin()
        while self._events < events:
            peeked = self.clock.peek()
            if peeked > time or peeked == float("inf"):
                # There a wait of nothing but time was one of the events.
                self.clock.call(time - self.now, _nothing)
            self._events += 1
            self.clock.step()

    @classmethod
    def resume(
        cls,
        scenario: Scenario,
        mementos: Iterable[Memento | Quarantined],
        *,
        seed: int = 0,
        faults: Iterable[Fault] = (),
        world: World | None = None,
    ) -> Simulation:
        """Return a simulation that goes on from *mementos*, as after a restart.

        *mementos* is any prefix of `mementos`, or what `load_mementos` returns; the
        last one of each run counts.  The resource stands in the state whose action
        runs that flow, and the world where the mementos say it is: the effects of
        completed steps are applied first, in no time.  A *world* may be given instead.
        """
        resource, entries, there = found(scenario, mementos, seed, world)
        simulation = cls(scenario, seed=seed, faults=faults, world=there)
        simulation._found = (resource, entries)
        return simulation

    def _note(self, method: str, *args: Any, **keywords: Any) -> None:
        """Keep in mind that *method* was called from outside, for `fork`."""
        self._begin()
        if not self.plan.acting:
            self._calls.append((self._events, self.now, method, args, keywords))

    def controller(self, name: str | None = None) -> Controller:
        """Return a controller by name (None: the first)."""
        if name is None:
            return next(iter(self.controllers.values()))
        if name not in self.controllers:
            near = did_you_mean(name, self.controllers)
            raise UsageError(f"no controller {name!r}{near}")
        return self.controllers[name]

    def _key(self, name: str | None, *, gone_too: bool = False) -> Key:
        keys = self.resources.keys()
        if gone_too:
            keys += [r.resource for r in map(_value, self.log) if isinstance(r, Memento)]
        for key in keys:
            if name is None or str(key) == name or key.name == name:
                return key
        near = did_you_mean(name or "", [str(key) for key in keys])
        raise NotFound(f"no resource {name!r}{near}")


def _value(record: Record) -> Any:
    return record.value


def _nothing() -> None:
    return None


def _now(effect: Any) -> Any:
    """Run an effect that takes no time from outside the clock and return its result."""
    try:
        event = next(effect)
    except StopIteration as stop:
        return stop.value
    raise UsageError(f"an in-memory store waited for {event!r}")


def simulate(
    scenario: Scenario,
    faults: Iterable[Fault] = (),
    seed: int = 0,
    *,
    until: float | None = None,
    controllers: int = 1,
) -> EventLog:
    """Run *scenario* with *faults* to its end, or to *until* seconds; return the log."""
    simulation = Simulation(scenario, seed=seed, faults=faults, controllers=controllers)
    return simulation.run(until)


def step_started(step: str, *, resource: str | None = None) -> Callable[[Record], bool]:
    """Return a condition for `Simulation.run`: an attempt of *step* has begun."""
    return _condition(Kind.STEP_STARTED, "step", step, resource)


def step_completed(step: str, *, resource: str | None = None) -> Callable[[Record], bool]:
    """Return a condition for `Simulation.run`: *step* is complete."""
    return _condition(Kind.STEP_COMPLETED, "step", step, resource)


def state_entered(state: str, *, resource: str | None = None) -> Callable[[Record], bool]:
    """Return a condition for `Simulation.run`: a resource has entered *state*."""

    def reached(record: Record) -> bool:
        changed = record.kind in (Kind.RESOURCE_STATE, Kind.RESOURCE_CREATED)
        return (
            changed
            and record.value.state == state
            and resource in (None, record.resource)
        )

    return reached


def _condition(
    kind: Kind, field: str, wanted: str, resource: str | None
) -> Callable[[Record], bool]:
    def reached(record: Record) -> bool:
        return (
            record.kind is kind
            and getattr(record, field) == wanted
            and resource in (None, record.resource)
        )

    return reached
