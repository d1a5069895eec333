"""Put the faults of a plan in place: around the ports, and on the clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from wfsim.engine.controller import Controller
from wfsim.engine.ports import MementoStore, ResourceStore, Steps
from wfsim.errors import Killed, NotFound
from wfsim.model.record import Kind
from wfsim.sim.faults import (
    CancelAt,
    CrashAt,
    DropWatch,
    EditAt,
    Fault,
    PauseController,
    StaleRead,
    StepFault,
)
from wfsim.sim.injection import FaultyMementos, FaultyResources, FaultySteps, Writes

if TYPE_CHECKING:
    from wfsim.sim.simulation import Simulation


class Plan:
    """The faults of one simulation; each is recorded when armed and when it fires.

    *wrap_all* wraps every port, whether or not a fault for it is known yet.
    """

    def __init__(self, simulation: Simulation, faults: Sequence[Fault]) -> None:
        self.wrap_all = False
        self.acting = False
        self._simulation = simulation
        self._faults = list(faults)
        self._writes = Writes(self._faults, self._fired, self._crash_in_write)
        self._held: dict[str, list[Callable[[], None]]] = {}
        self._steps: FaultySteps | None = None
        self._resources: FaultyResources | None = None

    def start(self) -> None:
        """Record what is armed, and set the clock for what has a time."""
        self._place(self._faults)

    def add(self, faults: Sequence[Fault]) -> None:
        """Arm *faults* in a simulation that is under way (and was wrapped for it)."""
        self._faults += faults
        if self._steps is not None:
            self._steps.add(_of_steps(faults))
        self._place(faults)

    def steps(self, inner: Steps) -> Steps:
        """Return *inner*, wrapped if a fault needs it."""
        wanted = _of_steps(self._faults)
        if self._steps is None and (wanted or self.wrap_all):
            self._steps = FaultySteps(inner, wanted, self._fired)
        return self._steps or inner

    def mementos(self, inner: MementoStore) -> MementoStore:
        """Return *inner*, wrapped if a fault needs it."""
        return FaultyMementos(inner, self._writes) if self._counts_writes() else inner

    def resources(self, inner: ResourceStore) -> ResourceStore:
        """Return *inner*, wrapped if a fault needs it."""
        views = any(isinstance(fault, (StaleRead, DropWatch)) for fault in self._faults)
        counts = self._counts_writes()
        if self._resources is None and (views or counts or self.wrap_all):
            self._resources = FaultyResources(inner, self._writes if counts else None)
        return self._resources or inner

    def _counts_writes(self) -> bool:
        return self.wrap_all or any(
            getattr(fault, "write", None) is not None for fault in self._faults
        )

    def _place(self, faults: Sequence[Fault]) -> None:
        simulation = self._simulation
        for fault in faults:
            simulation.recorder.note(Kind.FAULT_ARMED, text=repr(fault))
        for fault in faults:
            at = getattr(fault, "t", None)
            if at is not None and at >= simulation.now:
                simulation.clock.call(at - simulation.now, self._action(fault))

    def _action(self, fault: Fault) -> Callable[[], None]:
        def act() -> None:
            self.acting = True
            try:
                self._act(fault)
            finally:
                self.acting = False

        return act

    def _act(self, fault: Fault) -> None:
        """Do what *fault* does at its time, and fire it if there was something to do."""
        simulation = self._simulation
        match fault:
            case CancelAt() | EditAt():
                self._edit(fault)
            case CrashAt():
                victim = simulation.controller(fault.controller)
                if victim.alive:
                    self._fired(fault)
                    self._crash(fault)
            case StaleRead():
                self._fired(fault)
                self._views.freeze()
                self._later(fault.for_, self._views.thaw)
            case DropWatch():
                self._fired(fault)
                self._views.drop()
                self._later(fault.for_, self._views.reconnect)
            case PauseController():
                victim = simulation.controller(fault.controller)
                if victim.alive and victim.name not in self._held:
                    self._fired(fault)
                    self.pause(victim)
                    self._later(fault.for_, lambda: self.unpause(victim))

    def _edit(self, fault: CancelAt | EditAt) -> None:
        simulation = self._simulation
        try:
            simulation.resource(fault.resource)
        except NotFound:
            return
        self._fired(fault)
        if isinstance(fault, CancelAt):
            simulation.cancel(fault.resource)
        elif fault.delete:
            simulation.delete(fault.resource)
        else:
            simulation.edit(
                fault.resource,
                spec=fault.spec,
                status=fault.status,
                annotations=fault.annotations,
            )

    def _crash(self, fault: CrashAt) -> None:
        simulation = self._simulation
        if fault.restart_after is not None:
            name = simulation.controller(fault.controller).name

            def restart() -> None:
                if not simulation.controller(name).alive:
                    simulation.restart(name)

            self._later(fault.restart_after, restart)
        simulation.crash(fault.controller)

    def _crash_in_write(self, fault: CrashAt) -> None:
        """Crash the controller that writes; its process does not live to see it."""
        self.acting = True
        try:
            self._crash(fault)
        finally:
            self.acting = False
        raise Killed

    def _later(self, delay: float, action: Callable[[], None]) -> None:
        def act() -> None:
            self.acting = True
            try:
                action()
            finally:
                self.acting = False

        self._simulation.clock.call(delay, act)

    @property
    def _views(self) -> FaultyResources:
        assert self._resources is not None
        return self._resources

    def pause(self, controller: Controller) -> None:
        """Hold every process of *controller* still and let its leases run out."""
        simulation = self._simulation
        processes = controller.pause()
        self._held[controller.name] = [simulation.clock.hold(item) for item in processes]
        simulation.leases.stop_renewing(controller.name)

    def unpause(self, controller: Controller) -> None:
        """Let the processes of *controller* go on, if it was paused."""
        if self.release(controller.name):
            self._simulation.leases.renew_again(controller.name)
            controller.resume()

    def release(self, controller: str) -> bool:
        """Let go of what is held still for *controller*; whether there was anything."""
        held = self._held.pop(controller, None)
        for release in held or ():
            release()
        return held is not None

    def _fired(self, fault: Fault) -> None:
        self._simulation.recorder.note(Kind.FAULT_FIRED, text=repr(fault))


def _of_steps(faults: Sequence[Fault]) -> list[StepFault]:
    return [fault for fault in faults if isinstance(fault, StepFault)]
