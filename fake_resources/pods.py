"""Nodes, and pods that are scheduled, start, run an engine, fail and go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import wfsim
from fake_resources.fakes import Fake, FakeWorld, counter


class Phase(StrEnum):
    """Where a pod stands; the values are those of Kubernetes."""

    PENDING = "Pending"
    RUNNING = "Running"
    FAILED = "Failed"
    TERMINATING = "Terminating"


class Engine(StrEnum):
    """Where the database engine in a pod stands."""

    NONE = "none"
    INSTALLING = "installing"
    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    FAILED = "failed"


STARTS = ("launch pod", "restart pod")
"""The operations at the end of which a pod is ready."""

# Looked up once: waits look at every change.
_PENDING, _RUNNING = Phase.PENDING, Phase.RUNNING
_ENGINE_FAILED = Engine.FAILED


@dataclass
class Node(Fake):
    """A machine for *capacity* pods; ``up`` and ``cordoned`` are what one can break."""

    name: str
    capacity: int
    up: bool = True
    cordoned: bool = False

    def cordon(self) -> None:
        """Close the node to new pods; those that are there stay."""
        self.cordoned = True

    def uncordon(self) -> None:
        """Open the node to new pods again."""
        self.cordoned = False

    def unready(self) -> None:
        """Lose touch with the node: its pods are lost until it is back."""
        self.up = False
        for pod in self._pods():
            self._world.on_pod_change(pod)

    def recover(self) -> None:
        """Come back, with the pods that were there."""
        self.up = True
        for pod in self._pods():
            self._world.on_pod_change(pod)

    @property
    def schedulable(self) -> bool:
        """Whether pods may come, if there is room."""
        return self.up and not self.cordoned

    def _pods(self) -> list[Pod]:
        # It may be lost before its world lives; then nobody is there to notice.
        pods = () if self._world is None else self._world.pods.values()
        return [pod for pod in pods if pod.node == self.name]


@dataclass
class Pod(Fake):
    """A pod of *cluster* and the engine in it.

    *target* is the one node it may run on ("": any).  *flavour*, *image* and *params* are
    its size, its version and the parameters of its engine; *disk* is how many GB of the
    volume its file system spans.  *generation* counts the pods that have had this name,
    *restarts* how often this one was started again in place.
    """

    name: str
    cluster: str
    role: str
    target: str = ""
    node: str = ""
    phase: Phase = Phase.PENDING
    unschedulable: bool = False
    ready: bool = False
    engine: Engine = Engine.NONE
    flavour: str = ""
    image: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    disk: int = 0
    generation: int = counter()
    restarts: int = counter()

    @property
    def installed(self) -> bool:
        """Whether the engine is installed, running or not."""
        return self.engine not in (Engine.NONE, Engine.INSTALLING)

    @property
    def reachable(self) -> bool:
        """Whether its node, if it has one, is in touch."""
        world = self._world or self.world
        return self.node == "" or bool(world.nodes[self.node].up)

    @property
    def can_become_healthy(self) -> bool:
        """Whether it is healthy, or will be if nothing else happens."""
        well = self.phase is _RUNNING or self.phase is _PENDING
        return (
            well
            and not self.unschedulable
            and self.engine is not _ENGINE_FAILED
            and self.reachable
        )

    @property
    def healthy(self) -> bool:
        """Whether a client could use it."""
        return self.ready and self.reachable and self.engine is Engine.RUNNING

    # -- what is asked of it -------------------------------------------------------

    def install(self) -> None:
        """Begin to install the engine, unless that was begun before; it then starts."""
        if self.engine is Engine.NONE:
            self.engine = Engine.INSTALLING
            self._soon("install database", "end_install")

    def delete(self) -> None:
        """Begin to stop; it is gone when it has stopped."""
        ending = self.phase is Phase.TERMINATING
        if not ending or self.world.has_failed("stop pod", self.name):
            self.phase, self.ready = Phase.TERMINATING, False
            self._soon("stop pod", "end_stop")

    def halt(self) -> None:
        """Begin to stop the engine, and nothing but the engine."""
        if self.engine in (Engine.RUNNING, Engine.STARTING):
            self._soon("stop engine", "end_halt")

    def restart(self) -> None:
        """Begin to start it again in place, with the engine that it has."""
        self.restarts += 1
        self.phase, self.ready = Phase.PENDING, False
        self.engine = Engine.STOPPED if self.installed else Engine.NONE
        self._soon("restart pod", "end_start")

    def start_again(self) -> None:
        """Begin to start an engine that did not start; one that died stays dead."""
        unstarted = self.engine is Engine.FAILED
        if unstarted and self.world.has_failed("start engine", self.name):
            self._start_engine()

    def grow(self, size: int) -> None:
        """Begin to let its file system span *size* GB."""
        self._soon("grow file system", "end_grow", size)

    # -- what breaks it, by hand, and mends it --------------------------------------

    def fail(self) -> None:
        """Kill its containers; they stay dead."""
        self.phase, self.ready = Phase.FAILED, False
        self.engine = Engine.STOPPED if self.installed else Engine.NONE
        self._tell()

    def corrupt(self) -> None:
        """Kill the engine by what it finds on its disk."""
        self.engine = Engine.FAILED
        self._tell()

    def lose(self) -> None:
        """Vanish at once, as if somebody had deleted it by force."""
        world = self.world
        world.remove_pod(self.name)
        world.on_pod_change(self)

    def recover(self) -> None:
        """Start what is dead again in place: the containers, or else the engine."""
        if self.phase is Phase.FAILED:
            self.restarts += 1
            self.phase = Phase.PENDING
            self._soon("launch pod", "end_start")
        elif self.engine is Engine.FAILED:
            self._start_engine()

    # -- what happens of itself ------------------------------------------------------

    def schedule(self, life: tuple[int, int]) -> None:
        """Find a node and start there, or be unschedulable."""
        if self._is(life) and self.phase is Phase.PENDING:
            self.node = self.world.place(self)
            self.unschedulable = not self.node
            if self.node:
                self._soon("launch pod", "end_start")

    def end_start(self, life: tuple[int, int]) -> None:
        """Become ready."""
        if not self._is(life) or self.phase is not Phase.PENDING:
            return
        self.phase, self.ready = Phase.RUNNING, True
        if self.engine is Engine.STOPPED:
            self._start_engine()

    def end_install(self, life: tuple[int, int]) -> None:
        """Finish the installation of the engine, which starts at once."""
        if self._is(life) and self.engine is Engine.INSTALLING:
            self._start_engine()

    def end_engine_start(self, life: tuple[int, int]) -> None:
        """Mark the engine as running."""
        if self._is(life) and self.engine is Engine.STARTING:
            self.engine = Engine.RUNNING
            self.world.on_pod_change(self)

    def end_halt(self, life: tuple[int, int]) -> None:
        """Mark the engine as stopped."""
        if self._is(life) and self.engine in (Engine.RUNNING, Engine.STARTING):
            self.engine = Engine.STOPPED

    def end_grow(self, life: tuple[int, int], size: int) -> None:
        """Set the size of its file system to *size* GB."""
        if self._is(life):
            self.disk = size

    def end_stop(self, life: tuple[int, int]) -> None:
        """Go: the pod has stopped."""
        if self._is(life):
            self.world.remove_pod(self.name)

    def end_badly(self, operation: str, name: str, number: int, *args: Any) -> None:
        """Go out of order as a pod does whose *operation* has failed."""
        if not self._is(args[0]):
            return
        match operation:
            case "create pod" | "launch pod" | "restart pod":
                if self.phase is Phase.PENDING:
                    self.phase = Phase.FAILED
            case "install database" if self.engine is Engine.INSTALLING:
                self.engine = Engine.NONE
            case "start engine" if self.engine is Engine.STARTING:
                self.engine = Engine.FAILED
        super().end_badly(operation, name, number)

    def _start_engine(self) -> None:
        self.engine = Engine.STARTING
        self._soon("start engine", "end_engine_start")

    def _tell(self) -> None:
        if self._world is not None:
            self._world.on_pod_change(self)

    def _soon(self, operation: str, action: str, *args: Any) -> None:
        life = (self.generation, self.restarts)
        self.ask(operation, self.name, action, life, *args)

    def _is(self, life: tuple[int, int]) -> bool:
        """Whether *life* is this one; what was begun in an earlier one is void."""
        return life == (self.generation, self.restarts)


class PodWorld(FakeWorld):
    """A world of `nodes` and `pods`, each by name.

    *pod_failure* is the probability that a pod fails to start, drawn for each
    generation and restart of each name: that of the operations `STARTS` of which
    *failures* says nothing.
    """

    def __init__(
        self,
        latencies: Mapping[str, wfsim.Duration],
        nodes: Mapping[str, int],
        pod_failure: float = 0.0,
        failures: Mapping[str, float] | None = None,
    ) -> None:
        starts = dict.fromkeys(STARTS, pod_failure) if pod_failure else {}
        super().__init__(latencies, {**starts, **(failures or {})})
        self.nodes = {name: Node(name, capacity) for name, capacity in nodes.items()}
        self.pods: dict[str, Pod] = {}

    def create_pod(
        self, name: str, cluster: str, role: str, target: str = "", **made: Any
    ) -> Pod:
        """Ask for a pod, in place of a dead one of that name; it schedules and starts.

        *made* is what else is known of it: ``flavour``, ``image``, ``params``.
        """
        self.remove_pod(name)
        pod = Pod(name, cluster, role, target, **made)
        pod.generation = self.counts["create pod", name] + 1
        self.pods[name] = self.adopt(pod, "pods", name)
        pod._soon("create pod", "schedule")
        self.changed()
        return pod

    def remove_pod(self, name: str) -> None:
        """Remove the pod, if it is there."""
        if self.pods.pop(name, None) is not None:
            self.changed()

    def break_one(self, draw: float) -> str:
        """Kill the containers of one running pod and return its name."""
        names = sorted(
            name for name, pod in self.pods.items() if pod.phase is Phase.RUNNING
        )
        if not names:
            return ""
        name = names[int(draw * len(names))]
        self.pods[name].fail()
        return name

    def mend(self, name: str) -> None:
        """Start the pod again in place, if it is there and dead."""
        if name in self.pods:
            self.pods[name].recover()

    def on_pod_change(self, pod: Pod) -> None:
        """Hear that *pod* is out of order, or well again; a subclass may act on it."""

    def pods_of(self, cluster: str) -> list[Pod]:
        """Return the pods of *cluster* by name."""
        pods = (self.pods[name] for name in sorted(self.pods))
        return [pod for pod in pods if pod.cluster == cluster]

    def place(self, pod: Pod) -> str:
        """Return the node for *pod*, "" if none has room.

        Pods of one cluster keep apart; else each pod has nodes of its own liking, so
        that where it goes does not hang on which of many came first.
        """
        load, mates = dict.fromkeys(self.nodes, 0), dict.fromkeys(self.nodes, 0)
        for other in self.pods.values():
            if other.node:
                load[other.node] += 1
                mates[other.node] += other.cluster == pod.cluster
        fit = [
            name
            for name, node in self.nodes.items()
            if node.schedulable
            and load[name] < node.capacity
            and pod.target in ("", name)
        ]
        least = min((mates[name] for name in fit), default=0)
        best = [name for name in fit if mates[name] == least]
        return self.preferred(best, "place", pod.name)

    def preferred(self, nodes: list[str], *purpose: str) -> str:
        """Return the one of *nodes* that the seed prefers for *purpose*, "" of none."""
        if len(nodes) < 2:  # so that nothing is drawn for no choice
            return nodes[0] if nodes else ""
        return min(nodes, key=lambda name: self.draw(*purpose, name))

    def fails(self, operation: str, name: str) -> bool:
        """Whether the time that was just counted fails; a start, by the pod's life."""
        pod = self.pods.get(name)
        if operation not in STARTS or pod is None:
            return super().fails(operation, name)
        chance = self._failures.get(operation, 0.0)
        life = (pod.generation, pod.restarts)
        return chance > 0.0 and self.draw("pod failure", name, *life) < chance


__all__ = ["STARTS", "Engine", "Node", "Phase", "Pod", "PodWorld"]
