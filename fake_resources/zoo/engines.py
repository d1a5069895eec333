"""Defects of the engine: simulations of which a part is replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import wfsim
from wfsim.engine.context import Turn
from wfsim.engine.controller import Controller
from wfsim.engine.ports import Effect, Ports
from wfsim.engine.progress import Progress
from wfsim.engine.reconciler import FlowReconciler, Result, RunHistory
from wfsim.engine.runner import FlowRunner
from wfsim.engine.watch import PickUp, WatchLoop
from wfsim.model.resource import Key
from wfsim.sim.control_plane import ControlPlane


def carried_on(chosen: Result | Progress, by: type[Progress]) -> Result | Progress:
    """Return the run that was chosen, to be carried on *by* that type; or the result."""
    if not isinstance(chosen, Progress):
        return chosen
    return by(chosen.runner, chosen.stored, chosen.flow, chosen.turn, chosen.adoption)


class Reconciler(FlowReconciler):
    """The reconciler, of which a subclass replaces runner and progress."""

    runner_type: type[FlowRunner] = FlowRunner
    progress_type: type[Progress] = Progress

    def __init__(self, ports: Ports, *more: Any) -> None:
        super().__init__(ports, *more)
        self._runner = self.runner_type(ports)
        self._history = RunHistory(ports, self._runner)

    def choose(self, key: Key, turn: Turn) -> Effect[Result | Progress]:
        """Return the run to be carried on by `progress_type`."""
        chosen = yield from super().choose(key, turn)
        return carried_on(chosen, self.progress_type)


class Looks(PickUp):
    """What takes up the flows of a service, of which a subclass replaces the progress."""

    progress_type: type[Progress] = Progress

    def choose(self, key: Key, turn: Turn) -> Effect[Result | Progress]:
        """Return the run to be carried on by `progress_type`."""
        chosen = yield from super().choose(key, turn)
        return carried_on(chosen, self.progress_type)


class Plane(ControlPlane):
    """A control plane of whose controllers' parts a subclass replaces one."""

    reconciler_type: type[Reconciler] = Reconciler
    controller_type: type[Controller] = Controller
    looks_type: type[Looks] = Looks
    loop_type: type[WatchLoop] = WatchLoop

    def ports(self, name: str) -> Ports:
        """Return what the controller works with, as `wrapped`."""
        return self.wrapped(super().ports(name))

    def wrapped(self, ports: Ports) -> Ports:
        """Return *ports*, of which a subclass wraps one."""
        return ports

    def leased(self) -> Any:
        """Return the leases, which a subclass may wrap."""
        return self.storage.leases

    def _controller(self, name: str) -> Controller:
        scenario, ports = self.scenario, self.ports(name)
        if scenario.is_service:
            looks = self.looks_type(ports, self.flows, scenario.migrations)
            return self.loop_type(name, ports, looks, self.leased())
        reconciler = self.reconciler_type(
            ports, scenario.machines, scenario.flows, scenario.migrations
        )
        return self.controller_type(name, ports, reconciler, self.leased())


class Engine(wfsim.Simulation):
    """A simulation by a control plane of which a part is replaced."""

    plane_type: type[ControlPlane] = Plane


def engine(name: str, plane: type[Plane] = Plane, **parts: Any) -> type[Engine]:
    """Return an engine called *name* by a *plane* with those *parts* replaced."""
    own = type(name, (plane,), parts)
    return type(name, (Engine,), {"plane_type": own})


class Port:
    """A port that does what *inner* does; a subclass does one thing otherwise."""

    def __init__(self, inner: Any, ports: Ports) -> None:
        self.inner = inner
        self.ports = ports

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def with_runs(wrap: Callable[[Any, Ports], Any]) -> type[Engine]:
    """Return an engine whose store of runs is what *wrap* makes of it."""

    def wrapped(self: Plane, ports: Ports) -> Ports:
        return ports._replace(runs=wrap(ports.runs, ports))

    return engine("Runs", wrapped=wrapped)


def with_resources(wrap: Callable[[Any, Ports], Any]) -> type[Engine]:
    """Return an engine whose store of resources is what *wrap* makes of it."""

    def wrapped(self: Plane, ports: Ports) -> Ports:
        return ports._replace(resources=wrap(ports.resources, ports))

    return engine("Resources", wrapped=wrapped)


def with_steps(wrap: Callable[[Any], Any]) -> type[Engine]:
    """Return an engine each body of whose steps is what *wrap* makes of it."""

    def wrapped(self: Plane, ports: Ports) -> Ports:
        return ports._replace(steps=Bodies(ports.steps, wrap))

    return engine("Steps", wrapped=wrapped)


def with_runner(kind: type[FlowRunner]) -> type[Engine]:
    """Return an engine whose runner is of that *kind*."""
    reconciler = type("Reconciler", (Reconciler,), {"runner_type": kind})
    return engine(kind.__name__, reconciler_type=reconciler)


def with_progress(progress: type[Progress]) -> type[Engine]:
    """Return an engine whose runs are carried on by *progress*."""
    reconciler = type("Reconciler", (Reconciler,), {"progress_type": progress})
    looks = type("Looks", (Looks,), {"progress_type": progress})
    return engine("Progressing", reconciler_type=reconciler, looks_type=looks)


class Bodies(Mapping[str, Any]):
    """Bodies of steps, each of them wrapped."""

    def __init__(self, inner: Mapping[str, Any], wrap: Callable[[Any], Any]) -> None:
        self.inner = inner
        self.wrap = wrap

    def __getitem__(self, name: str) -> Any:
        return self.wrap(self.inner[name])

    def __contains__(self, name: object) -> bool:
        return name in self.inner

    def __iter__(self) -> Any:
        return iter(self.inner)

    def __len__(self) -> int:
        return len(self.inner)


def with_looks(kind: type[Looks]) -> type[Engine]:
    """Return an engine whose service takes flows up by *kind*."""
    return engine(kind.__name__, looks_type=kind)


def with_reconciler(kind: type[Reconciler]) -> type[Engine]:
    """Return an engine with a reconciler of that *kind*."""
    return engine(kind.__name__, reconciler_type=kind)


def with_controller(kind: type[Controller]) -> type[Engine]:
    """Return an engine with controllers of that *kind*."""
    if issubclass(kind, WatchLoop):
        return engine(kind.__name__, loop_type=kind)
    return engine(kind.__name__, controller_type=kind)
