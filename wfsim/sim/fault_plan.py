"""Put the faults of a plan in place: around the ports, and on the clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from wfsim.engine.controller import Controller
from wfsim.engine.ports import ResourceStore, RunStore, Steps
from wfsim.errors import AlreadyExists, DefinitionError, Killed, NotFound, UsageError
from wfsim.model.journal import Create
from wfsim.model.record import Kind
from wfsim.model.resource import Resource
from wfsim.sim.fault_wrappers import (
    Api,
    FaultyResources,
    FaultyRuns,
    FaultySteps,
    LimitedResources,
    LimitedRuns,
    View,
    Writes,
)
from wfsim.sim.faults import (
    ApiDown,
    BreakOne,
    CancelAt,
    CrashAt,
    DropWatch,
    EditAt,
    Fault,
    PauseController,
    StaleRead,
    StepFault,
)
from wfsim.sim.storage import immediately
from wfsim.text import suggest

if TYPE_CHECKING:
    from wfsim.sim.control_plane import ControlPlane


class Plan:
    """The faults of one simulation; each is recorded when armed and when it fires.

    *wrap_all* wraps every port, whether or not a fault for it is known yet.
    """

    def __init__(self, simulation: ControlPlane, faults: Sequence[Fault]) -> None:
        self.wrap_all = False
        self._simulation = simulation
        self._faults = list(faults)
        self._writes = Writes(self._faults, self._fired, self._crash_in_write)
        self._held: dict[str, list[Callable[[], None]]] = {}
        self._steps: FaultySteps | None = None
        self._view: View | None = None
        self._api = Api(simulation.clock, simulation.scenario.api_rate)
        self._refuse_unknown(faults)

    def start(self) -> None:
        """Record what is armed, and set the clock for what has a time."""
        self._refuse_unknown_resources(self._faults)
        self._place(self._faults)

    @property
    def progress(self) -> tuple[int, tuple[int, ...]]:
        """How many writes were counted, and how often each fault of a step is left."""
        return self._writes.count, () if self._steps is None else self._steps.left

    def go_on(self, progress: tuple[int, tuple[int, ...]]) -> None:
        """Go on from a `progress`; faults were armed, those of an earlier time are over.

        Raises `UsageError` if one is not over just now.
        """
        now = self._simulation.now
        for fault in self._faults:
            since, lasts = getattr(fault, "t", None), getattr(fault, "for_", None)
            if since is not None and since <= now < since + (lasts or 0.0):
                raise UsageError(f"{fault!r} is not over at {now:g} s; go on from later")
        self._writes.go_on(progress[0])
        if self._steps is not None:
            self._steps.go_on(progress[1])
        self._set_clock([it for it in self._faults if getattr(it, "t", None) != now])

    def add(self, faults: Sequence[Fault]) -> None:
        """Arm *faults* in a simulation that is under way (and was wrapped for it)."""
        self._refuse_unknown(faults)
        self._refuse_unknown_resources(faults)
        self._refuse_past(faults)
        if not self.wrap_all:
            raise UsageError(
                "faults are armed before the start, or in a fork(faults=...)"
            )
        self._faults += faults
        self._writes.add(faults)
        if self._steps is not None:
            self._steps.add(_of_steps(faults))
        self._place(faults)

    def steps(self, inner: Steps) -> Steps:
        """Return *inner*, wrapped if a fault needs it."""
        wanted = _of_steps(self._faults)
        if self._steps is None and (wanted or self.wrap_all):
            key_of = self._simulation.key_meant
            self._steps = FaultySteps(inner, wanted, self._fired, key_of)
        return self._steps or inner

    def runs(self, inner: RunStore, controller: str) -> RunStore:
        """Return *inner* as *controller* sees it, wrapped if a fault needs it."""
        if self._counts_writes():
            inner = FaultyRuns(inner, self._writes, controller)
        return LimitedRuns(inner, self._api) if self._limits() else inner

    def resources(self, inner: ResourceStore, controller: str) -> ResourceStore:
        """Return *inner* as *controller* sees it, wrapped if a fault needs it."""
        seen = (StaleRead, DropWatch, ApiDown)
        views = any(isinstance(fault, seen) for fault in self._faults)
        if views or self._counts_writes() or self.wrap_all:
            if self._view is None:
                self._view = View(inner, self._simulation.clock)
            inner = FaultyResources(inner, self._view, self._writes, controller)
        return LimitedResources(inner, self._api) if self._limits() else inner

    def _limits(self) -> bool:
        limited = self.wrap_all or self._simulation.scenario.api_rate is not None
        return limited or any(isinstance(fault, ApiDown) for fault in self._faults)

    def _counts_writes(self) -> bool:
        return self.wrap_all or any(
            getattr(fault, "write", None) is not None for fault in self._faults
        )

    def _refuse_unknown(self, faults: Sequence[Fault]) -> None:
        """Refuse faults in controllers and steps that are not there: none could fire."""
        names = self._simulation.names
        known: frozenset[str] = frozenset()
        if any(isinstance(fault, StepFault) for fault in faults):
            known = self._simulation.scenario.step_names
        for fault in faults:
            name = getattr(fault, "controller", None)
            if name is not None and name not in names:
                raise UsageError(
                    f"{fault!r}: there is no such controller; known: {', '.join(names)}"
                )
            if isinstance(fault, StepFault) and fault.step not in known:
                near = suggest(fault.step, known)
                raise DefinitionError(f"{fault!r}: no step {fault.step!r}{near}")

    def _refuse_unknown_resources(self, faults: Sequence[Fault]) -> None:
        for fault in faults:
            name = getattr(fault, "resource", None)
            if name is None or self._simulation.scenario.is_service:
                continue  # what flows will be called is not known yet
            try:
                if self._simulation.key_meant(name) is None:
                    near = suggest(name, self._simulation.known_names())
                    raise DefinitionError(f"{fault!r}: no resource {name!r}{near}")
            except UsageError as error:
                raise DefinitionError(f"{fault!r}: {error}") from None

    def _refuse_past(self, faults: Sequence[Fault]) -> None:
        """Raise `UsageError` for a fault whose time, or whose write, is past."""
        now, writes = self._simulation.now, self._writes.count
        for fault in faults:
            at, write = getattr(fault, "t", None), getattr(fault, "write", None)
            controller = getattr(fault, "controller", None)  # of whose writes it counts
            if at is not None and at < now:
                raise UsageError(
                    f"{fault!r}: it is {now:g} s already; give a later time, or fork "
                    "earlier"
                )
            if write is not None and write <= writes and not controller:
                raise UsageError(
                    f"{fault!r}: there have been {writes} writes already; give a later "
                    "one, or fork earlier"
                )

    def _place(self, faults: Sequence[Fault]) -> None:
        simulation = self._simulation
        for fault in faults:
            simulation.journal.note(Kind.FAULT_ARMED, text=repr(fault))
        self._set_clock(faults)

    def _set_clock(self, faults: Sequence[Fault]) -> None:
        simulation = self._simulation
        for fault in faults:
            at = getattr(fault, "t", None)
            if at is not None and at >= simulation.now:
                simulation.clock.call(at - simulation.now, self._action(fault))

    def _action(self, fault: Fault) -> Callable[[], None]:
        def act() -> None:
            """Do what *fault* does at its time; it fires if there is something to do."""
            simulation = self._simulation
            match fault:
                case CancelAt() | EditAt():
                    self._edit(fault)
                case CrashAt():
                    victim = simulation.controller(fault.controller)
                    if victim.alive:
                        self._fired(fault)
                        self._crash(fault, victim.name)
                case StaleRead():
                    self._fired(fault)
                    self._see.freeze(fault.for_)
                case DropWatch():
                    self._fired(fault)
                    self._see.drop(fault.for_)
                case ApiDown():
                    self._fired(fault)
                    self._api.down(fault.for_)
                    self._see.drop(fault.for_)
                case BreakOne():
                    self._break(fault)
                case PauseController():
                    self._pause(fault)

        return act

    def _edit(self, fault: CancelAt | EditAt) -> None:
        simulation = self._simulation
        try:
            simulation.resource(fault.resource)
        except NotFound:
            return
        self._fired(fault)
        if isinstance(fault, CancelAt):
            simulation.cancel(fault.resource)
        elif fault.replace:
            self._replace(simulation.resource(fault.resource), fault)
        elif fault.delete:
            simulation.delete(fault.resource)
        else:
            simulation.edit(
                fault.resource,
                spec=fault.spec,
                status=fault.status,
                annotations=fault.annotations,
            )

    def _replace(self, old: Resource, fault: EditAt) -> None:
        """Delete *old*, and create it anew as soon as nothing holds it any more."""
        simulation = self._simulation
        new = self._as_created(old).edit(
            spec=fault.spec, status=fault.status, annotations=fault.annotations
        )

        def create() -> None:
            # Somebody else may have been faster.
            with suppress(AlreadyExists):
                immediately(simulation.resources.create(new))

        def gone(before: Resource | None, after: Resource | None) -> None:
            if after is None and before is not None and before.uid == old.uid:
                stop()
                simulation.clock.call(0.0, create)

        if not old.finalizers:
            immediately(simulation.resources.delete(old.key))
            create()
            return
        stop = simulation.resources.subscribe(gone)
        immediately(simulation.resources.delete(old.key))

    def _as_created(self, old: Resource) -> Resource:
        """Return the resource as it is written down: as the scenario has it, or began."""
        scenario = self._simulation.scenario
        named = [each for each in scenario.resources if each.key == old.key]
        arrived = scenario.arrived(old.key)
        began = [
            change.after
            for _, _, change, _ in self._simulation.journal.entries()
            if isinstance(change, Create) and change.after.key == old.key
        ]
        return [old, *began[-1:], *filter(None, [arrived]), *named][-1]

    def _break(self, fault: BreakOne) -> None:
        world = self._simulation.world
        broken = "" if world is None else world.break_one(fault.draw)
        if world is None or not broken:
            return
        self._fired(fault)
        if fault.for_ is not None:
            self._simulation.clock.call(fault.for_, lambda: world.mend(broken))

    def _pause(self, fault: PauseController) -> None:
        victim = self._simulation.controller(fault.controller)
        if not victim.alive or victim.name in self._held:
            return
        self._fired(fault)
        self.pause(victim)
        held = self._held[victim.name]

        def unpause() -> None:
            # It may have died since, and stand still again for another reason.
            if self._held.get(victim.name) is held:
                self.unpause(victim)

        self._simulation.clock.call(fault.for_, unpause)

    def _crash(self, fault: CrashAt, name: str) -> None:
        simulation = self._simulation
        if fault.restart_after is not None:

            def restart() -> None:
                if not simulation.controller(name).alive:
                    simulation.restart(name)

            simulation.clock.call(fault.restart_after, restart)
        simulation.crash(name)

    def _crash_in_write(self, fault: CrashAt, writer: str) -> None:
        """Crash the controller that writes; its process does not live to see it."""
        self._crash(fault, writer)
        raise Killed

    @property
    def _see(self) -> View:
        assert self._view is not None
        return self._view

    def pause(self, controller: Controller) -> bool:
        """Hold every process of *controller* still and let its leases run out.

        Returns whether it was running.
        """
        simulation = self._simulation
        if controller.name in self._held:
            return False
        processes = controller.pause()
        self._held[controller.name] = [simulation.clock.hold(item) for item in processes]
        simulation.leases.stop_renewing(controller.name)
        return True

    def unpause(self, controller: Controller) -> bool:
        """Let the processes of *controller* go on; whether it was paused."""
        held = self.release(controller.name)
        if held and controller.alive:
            self._simulation.leases.renew_again(controller.name)
            controller.resume()
        return held

    def release(self, controller: str) -> bool:
        """Let go of what is held still for *controller*; whether there was anything."""
        held = self._held.pop(controller, None)
        for release in held or ():
            release()
        return held is not None

    def _fired(self, fault: Fault) -> None:
        self._simulation.journal.note(Kind.FAULT_FIRED, text=repr(fault))


def _of_steps(faults: Sequence[Fault]) -> list[StepFault]:
    return [fault for fault in faults if isinstance(fault, StepFault)]
