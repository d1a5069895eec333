"""The world of shared-storage clusters: nodes, pods, storage, cluster managers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import wfsim
from fake_resources.fakes import Fake, counter, durations, probabilities
from fake_resources.pods import Pod, PodWorld
from fake_resources.storage import Storage, Volume

LATENCIES: Mapping[str, Any] = {
    "format volume": {"percentiles": {"p50": 6, "p99": 20}},
    "create pod": {"percentiles": {"p50": 0.8, "p99": 3}},
    "launch pod": {"percentiles": {"p50": 25, "p99": 75}},
    "attach volume": {"percentiles": {"p50": 1.5, "p99": 6}},
    "lock volume": {"percentiles": {"p50": 0.5, "p99": 3}},
    "install database": {"percentiles": {"p50": 7, "p99": 20}},
    "start engine": {"percentiles": {"p50": 4, "p99": 15}},
    "stop pod": {"percentiles": {"p50": 4, "p99": 12}},
    "stop engine": {"uniform": [1, 8]},
    "restart pod": {"percentiles": {"p50": 12, "p99": 40}},
    "grow file system": {"percentiles": {"p50": 3, "p99": 15}},
    "deploy manager": {"percentiles": {"p50": 6, "p99": 20}},
    "register member": {"percentiles": {"p50": 0.6, "p99": 2}},
    "switch leader": {"percentiles": {"p50": 4, "p99": 15}},
    "fail over": {"percentiles": {"p50": 8, "p99": 25}},
}
"""How long what is asked of the world takes, in seconds, as `Duration.parse` reads it."""


@dataclass
class ClusterManager(Fake):
    """Knows the members of *cluster* and who leads it.

    While *ha* is on, a leader that is lost is replaced by a member that is well.
    *params_saved* is the time (seconds) of the last flush of parameters it was told of.
    """

    cluster: str
    image: str = ""
    node: str = ""
    ready: bool = False
    broken: bool = False
    ha: bool = True
    leader: str = ""
    members: list[str] = field(default_factory=list)
    params_saved: float = counter()

    # -- what is asked of it -------------------------------------------------------

    def deploy(self) -> None:
        """Begin to come up, wherever there is room."""
        self.ready, self.node = False, ""
        self.ask("deploy manager", self.cluster, "end_deploy")

    def upgrade(self, image: str) -> None:
        """Begin to come up as *image*, unless it is that already."""
        if self.image != image:
            self.image = image
            self.deploy()

    def register(self, member: str) -> None:
        """Begin to take *member* on."""
        self.ask("register member", member, "end_register", member)

    def unregister(self, member: str) -> None:
        """Forget *member*."""
        self.members = [name for name in self.members if name != member]

    def switch(self, member: str) -> None:
        """Begin to make *member* the leader; one that it does not know is passed over."""
        if member in self.members:
            self.ask("switch leader", self.cluster, "end_switch", member)

    # -- what breaks it, by hand, and mends it --------------------------------------

    def fail(self) -> None:
        """Go down, and stay down."""
        self.broken, self.ready = True, False

    def recover(self) -> None:
        """Come up again; the members are remembered."""
        self.broken = False
        self.deploy()

    # -- what happens of itself ------------------------------------------------------

    def notice(self) -> None:
        """Begin to replace the leader, if that is what is out of order."""
        if self.ready and self.ha and self._headless():
            self.ask("fail over", self.cluster, "end_failover")

    def end_deploy(self) -> None:
        """Become ready, unless it is broken."""
        self.ready = not self.broken
        self.node = self.world.home(self.cluster)
        self.notice()

    def end_register(self, member: str) -> None:
        """Add *member*, once only."""
        self.members = sorted({*self.members, member})
        pod = self.world.pods.get(member)
        if pod is not None and pod.role == "rw":
            self.leader = member
        # One that leads may have died before anybody watched it.
        self.notice()

    def end_switch(self, member: str) -> None:
        """Make *member* the leader, if it is well."""
        if self._is_well(member):
            self.world.lead(self.cluster, member)

    def end_failover(self) -> None:
        """Make another member the leader, if that is still wanted and there is one."""
        well = [name for name in self.members if self._is_well(name)]
        if self.ready and self.ha and self._headless() and well:
            self.world.lead(self.cluster, well[0])

    def _headless(self) -> bool:
        return bool(self.leader) and not self._is_well(self.leader)

    def _is_well(self, member: str) -> bool:
        pod = self.world.pods.get(member)
        return pod is not None and bool(pod.healthy)


class PolarWorld(PodWorld):
    """`nodes`, `pods`, `storage` with its volumes, and `managers` by cluster.

    Of a deleted cluster nothing is left but `counts` and `failed`, on purpose: a namesake
    draws anew.

    *nodes* maps names to how many pods each holds, *storage* is in GB, *latencies*
    replaces entries of `LATENCIES`, *failures* is the probability that an operation
    fails, by its name in `LATENCIES`.  Raises `DefinitionError`.
    """

    def __init__(
        self,
        nodes: Mapping[str, int],
        storage: int,
        pod_failure: float = 0.0,
        latencies: Mapping[str, Any] | None = None,
        failures: Mapping[str, Any] | None = None,
    ) -> None:
        takes = durations(LATENCIES, latencies or {})
        fails = probabilities(LATENCIES, failures or {})
        super().__init__(takes, nodes, pod_failure, fails)
        self.storage = Storage(storage)
        self.managers: dict[str, ClusterManager] = {}

    def remove_pod(self, name: str) -> None:
        """Remove the pod, and what it held of volumes with it."""
        pod = self.pods.get(name)
        volume = pod and self.storage.volumes.get(volume_name(pod.cluster))
        if volume:
            volume.detach(name)
        super().remove_pod(name)

    def on_pod_change(self, pod: Pod) -> None:
        """Tell the manager of its cluster, which may have to replace a leader."""
        manager = self.managers.get(pod.cluster)
        if manager is not None:
            manager.notice()

    def lead(self, cluster: str, leader: str) -> None:
        """Give *leader* the write lock, and write down everywhere that it leads."""
        self.storage.volumes[volume_name(cluster)].writer = leader
        for pod in self.pods_of(cluster):
            pod.role = "rw" if pod.name == leader else "ro"
        self.managers[cluster].leader = leader

    def home(self, cluster: str) -> str:
        """Return a node for the manager of *cluster*: not the leader's, if it may be.

        The leader's failure is what the manager is there for.
        """
        usable = [name for name, node in self.nodes.items() if node.schedulable]
        leading = {pod.node for pod in self.pods_of(cluster) if pod.role == "rw"}
        apart = [name for name in usable if name not in leading]
        return self.preferred(apart or usable, "home", cluster)

    def deploy_manager(self, cluster: str, image: str = "") -> None:
        """Ask for a cluster manager, unless there is one."""
        if cluster not in self.managers:
            made = ClusterManager(cluster, image)
            manager = self.adopt(made, "managers", cluster)
            self.managers[cluster] = manager
            manager.deploy()
            self.changed()

    def remove_manager(self, cluster: str) -> None:
        """Remove the cluster manager, if it is there."""
        if self.managers.pop(cluster, None) is not None:
            self.changed()


def volume_name(cluster: str) -> str:
    """Return the name of the volume that all instances of *cluster* share."""
    return f"pv-{cluster}"


def problems(world: PolarWorld, resource: wfsim.Resource) -> list[str]:
    """Return what a user of the cluster *resource* would complain of, [] if nothing.

    That is whatever is out of order, and whatever of the world is not as the spec says:
    how many followers, parameters, class, version, sizes in GB.
    """
    spec, status = resource.spec, resource.status
    found = [] if spec.get("dbClusterType") == "local" else _shared(world, resource)
    followers = len(status.get("followers", ()))
    if spec.get("followerNum", followers) != followers:
        wanted = f"not {spec['followerNum']}"
        found.append(f"{resource.name}: the number of followers is {followers}, {wanted}")
    instances = [status.get("leader"), *status.get("followers", ())]
    for instance in instances:
        pod = world.pods.get(instance or "")
        if pod is None or not pod.healthy:
            found.append(f"{instance}: out of order")
        if pod is not None:
            found += [f"{instance}: {text}" for text in _differences(pod, spec)]
    stray = {pod.name for pod in world.pods_of(resource.name)} - set(instances)
    return found + [f"{pod}: belongs to nothing" for pod in sorted(stray)]


def _shared(world: PolarWorld, resource: wfsim.Resource) -> list[str]:
    """Return what is amiss with what the instances of *resource* share."""
    name, found = resource.name, []
    leader = resource.status.get("leader")
    instances = [leader, *resource.status.get("followers", ())]
    volume = world.storage.volumes.get(volume_name(name))
    manager = world.managers.get(name)
    if volume is None or not volume.ready:
        found.append(f"{name}: no volume")
    else:
        found += _of_volume(world, volume, resource)
    if manager is None or not manager.ready:
        found.append(f"{name}: no cluster manager")
    if manager is not None:
        strangers = [each for each in instances if each not in manager.members]
        found += [f"{each}: not a member" for each in strangers]
        if manager.leader != leader:
            found.append(f"{name}: the manager's leader is {manager.leader or 'nobody'}")
        version = resource.spec.get("versionCfg", {}).get("versionName", manager.image)
        if manager.image != version:
            found.append(
                f"{name}: the manager's version is {manager.image}, not {version}"
            )
    roles = [pod.name for pod in world.pods_of(name) if pod.role == "rw"]
    if roles != [leader]:
        found.append(f"{name}: the role of leader is with {', '.join(roles) or 'nobody'}")
    return found


def _of_volume(world: PolarWorld, volume: Volume, resource: wfsim.Resource) -> list[str]:
    name, found = resource.name, []
    if volume.writer != resource.status.get("leader"):
        found.append(f"{name}: the write lock is with {volume.writer or 'nobody'}")
    size = resource.spec.get("sharedStorage", {}).get("sizeGb", volume.size)
    # It may be larger, as long as the spec has not heard that it has been extended.
    if volume.size < size:
        found.append(f"{name}: the size of the volume is {volume.size}, not {size}")
    instances = [resource.status.get("leader"), *resource.status.get("followers", ())]
    for pod in world.pods_of(name):
        if pod.name in instances and pod.disk != volume.size:
            text = f"the size of the file system is {pod.disk}, not {volume.size}"
            found.append(f"{pod.name}: {text}")
    return found


def _differences(pod: Pod, spec: Mapping[str, Any]) -> list[str]:
    """Return in what *pod* is not as *spec* says."""
    wanted: dict[str, tuple[Any, Any]] = {
        "class": (pod.flavour, spec.get("classInfo", {}).get("className")),
        "version": (pod.image, spec.get("versionCfg", {}).get("versionName")),
    }
    params = spec.get("engineParams", {})
    for name in sorted({*params, *(pod.params if params else ())}):
        wanted[name] = (pod.params.get(name), params.get(name))
    return [
        f"{name} is {have}, not {want}"
        for name, (have, want) in wanted.items()
        if have != want and (want is not None or name in pod.params)
    ]


__all__ = ["LATENCIES", "ClusterManager", "PolarWorld", "problems", "volume_name"]
