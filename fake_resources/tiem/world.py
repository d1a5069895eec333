"""The world that TiUniManager manages: hosts, clusters, their records, their locks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import wfsim
from fake_resources.fakes import Fake, durations, probabilities
from fake_resources.operations import Operation, OperationWorld
from fake_resources.tiem.cluster import (
    Backup,
    ChangeFeed,
    Cluster,
    Switchover,
    Transfer,
)

LATENCIES: Mapping[str, Any] = {
    "call": {"percentiles": {"p50": 0.2, "p99": 1.5}},
    "Deploy": {"percentiles": {"p50": 120, "p99": 400}},
    "Start": {"percentiles": {"p50": 15, "p99": 45}},
    "Restart": {"percentiles": {"p50": 30, "p99": 90}},
    "Stop": {"percentiles": {"p50": 12, "p99": 40}},
    "Destroy": {"percentiles": {"p50": 25, "p99": 80}},
    "ScaleOut": {"percentiles": {"p50": 90, "p99": 250}},
    "ScaleIn": {"percentiles": {"p50": 40, "p99": 120}},
    "Prune": {"percentiles": {"p50": 20, "p99": 60}},
    "Upgrade": {"percentiles": {"p50": 400, "p99": 1500}},
    "EditConfig": {"percentiles": {"p50": 4, "p99": 15}},
    "Reload": {"percentiles": {"p50": 25, "p99": 90}},
    "Push": {"percentiles": {"p50": 2, "p99": 8}},
    "Dumpling": {"percentiles": {"p50": 300, "p99": 1800}},
    "Lightning": {"percentiles": {"p50": 600, "p99": 3600}},
    "EM ScaleOut": {"percentiles": {"p50": 45, "p99": 150}},
    "EM ScaleIn": {"percentiles": {"p50": 25, "p99": 80}},
    "back up": {"percentiles": {"p50": 60, "p99": 300}},
    "restore": {"percentiles": {"p50": 90, "p99": 400}},
    "move data": {"percentiles": {"p50": 120, "p99": 900}},
    "catch up": {"percentiles": {"p50": 5, "p99": 20}},
}
"""How long what is asked of the world takes, in seconds, as `Duration.parse` reads it.

``call`` is what every executor takes before anything else: the way there and back.
"""

_STATUS = wfsim.types.FlowStatus
ENDED = (_STATUS.FINISHED, _STATUS.ERROR, _STATUS.CANCELED)
"""Where a flow stands that goes nowhere from there."""

LOOK, LOOKS = 5.0, 1000
"""How often, in seconds, a batch of hosts looks at the flow under way, and how long."""

INSTANT: Mapping[str, Any] = dict.fromkeys(LATENCIES, 0)
"""Latencies with which nothing takes time but what executors sleep and wait."""


@dataclass
class Host(Fake):
    """A machine for *capacity* instances.

    *status* is ``Init``, ``Online``, ``Failed`` or ``Deleting``.  *filebeat* says that it
    has joined the cluster of the platform itself, *logs* whose logs it collects.
    *sound* is what can be broken by hand: whether it passes the checks.
    """

    name: str
    capacity: int = 8
    status: str = "Init"
    reachable: bool = True
    sound: bool = True
    authorized: bool = False
    prepared: bool = False
    software: bool = False
    filebeat: bool = False
    logs: list[str] = field(default_factory=list)

    def lose(self) -> None:
        """Lose touch with it."""
        self.reachable = False

    def recover(self) -> None:
        """Get in touch again."""
        self.reachable = True

    def done(self, operation: Operation) -> None:
        """Change as *operation* does, which has gone well."""
        match operation.kind:
            case "EM ScaleOut":
                self.filebeat = True
            case "EM ScaleIn":
                self.filebeat = False
            case "Push" if operation.arguments["cluster"] in self.world.clusters:
                self.logs = sorted({*self.logs, operation.arguments["cluster"]})


@dataclass
class Stranger(Fake):
    """A cluster that somebody else deployed; *topology* is as `Cluster.plan` gives it."""

    name: str
    topology: str
    version: str = "v5.4.0"
    reachable: bool = True

    def lose(self) -> None:
        """Lose touch with it."""
        self.reachable = False


@dataclass
class Report(Fake):
    """A report of a check: ``Creating``, ``Completed`` or ``Failure``, with findings."""

    name: str
    status: str = "Creating"
    findings: dict[str, Any] = field(default_factory=dict)


class TiemWorld(OperationWorld):
    """`clusters`, `hosts` and `strangers` by name, and the records that are kept of them.

    Of a deleted cluster there is left, on purpose, what the platform knows of its past:
    `transfers`, `reports`, `switchovers`, `operations`, `counts` and `failed`, and the
    backups that whoever has deleted it wanted to keep.

    The records: `backups`, `feeds`, `transfers`, `reports`, and `switchovers` by flow.
    *host_batch* names the batch of hosts under way, "" if there is none; *host_flows* are
    those of its flows that have not ended.
    *latencies* replaces entries of `LATENCIES`; *failures* is the probability that an
    operation fails, by its name in `LATENCIES`.  Raises `DefinitionError`.
    """

    def __init__(
        self,
        hosts: Iterable[Host] = (),
        clusters: Iterable[Cluster] = (),
        *,
        feeds: Iterable[ChangeFeed] = (),
        strangers: Iterable[Stranger] = (),
        operation_failure: float = 0.0,
        latencies: Mapping[str, Any] | None = None,
        failures: Mapping[str, Any] | None = None,
    ) -> None:
        takes = durations(LATENCIES, latencies or {})
        fails = probabilities(LATENCIES, failures or {})
        super().__init__(takes, operation_failure, fails)
        self.hosts = {host.name: host for host in hosts}
        self.clusters = {cluster.name: cluster for cluster in clusters}
        self.feeds = {feed.name: feed for feed in feeds}
        self.strangers = {stranger.name: stranger for stranger in strangers}
        self.backups: dict[str, Backup] = {}
        self.transfers: dict[str, Transfer] = {}
        self.reports: dict[str, Report] = {}
        self.switchovers: dict[str, Switchover] = {}
        self.host_batch = ""
        self.host_flows: list[str] = []

    def attach(self, clock: Any, draws: Any, journal: Any = None) -> None:
        """Live on *clock* from now on; a batch of hosts died with its caller."""
        self.host_batch, self.host_flows = "", []
        super().attach(clock, draws, journal)

    def over(self, operation: Operation) -> None:
        """Change its target as *operation* does, if it is still there."""
        target = self.clusters.get(operation.target) or self.hosts.get(operation.target)
        if target is not None:
            target.done(operation)

    def call_takes(self, drawn: float) -> float:
        """Return how long the call takes for which *drawn* was drawn, in seconds."""
        return self._latencies["call"].draw(drawn)

    @property
    def call_failure(self) -> float:
        """The probability that a call fails."""
        return self._failures.get("call", 0.0)

    # Things that come and go.

    def keep(self, kind: str, thing: Any) -> Any:
        """Put *thing* into the dictionary that is called *kind*, and return it."""
        getattr(self, kind)[thing.name] = self.adopt(thing, kind, thing.name)
        for inner in getattr(thing, "instances", {}).values():
            thing.add(inner)
        self.changed()
        return thing

    def drop(self, kind: str, name: str) -> None:
        """Remove the thing of that name, if it is there."""
        if getattr(self, kind).pop(name, None) is not None:
            self.changed()

    def feeds_of(self, source: str, target: str | None = None) -> list[ChangeFeed]:
        """Return the change feeds from *source*, to *target* if that is given."""
        return [
            feed
            for _, feed in sorted(self.feeds.items())
            if feed.source == source and target in (None, feed.target)
        ]

    def unlink(self, cluster: str) -> None:
        """Remove the change feeds of *cluster*; its slaves have no master then."""
        for feed in list(self.feeds.values()):
            if cluster in (feed.source, feed.target):
                self.drop("feeds", feed.name)
        for other in self.clusters.values():
            if other.master == cluster:
                other.master = ""

    # Locks.

    def lock(self, status: str, *clusters: str) -> None:
        """Take the maintenance lock of all *clusters*, or of none: `ServiceError` 20114.

        Who is about to delete a cluster takes its lock over from anybody else.
        """
        for name in clusters:
            held = self.clusters[name].maintenance
            if held and (status != "Deleting" or held == "Deleting"):
                raise wfsim.errors.ServiceError(20114, f"{name} is {held}")
        for name in clusters:
            self.clusters[name].maintenance = status
            self.clusters[name].holder = ""

    def claim(self, flow_id: str, *clusters: str) -> None:
        """Bind the locks of *clusters*, which have just been taken, to the flow."""
        for name in clusters:
            self.clusters[name].holder = flow_id

    def heard(self, before: Any, after: Any) -> None:
        """Free what a flow that has ended still holds, however it ended.

        That is the locks of clusters, what it has saved of their configuration, and the
        history that a cluster keeps for a clone that will not come any more.
        """
        if after is None or after.state not in ENDED:
            return
        self.host_flows = [flow for flow in self.host_flows if flow != after.name]
        for cluster in self.clusters.values():
            cluster.forget(after.name)
            if cluster.holder == after.name:
                if cluster.maintenance == "BeingCloned":
                    cluster.keep_history(0.0)
                cluster.maintenance = cluster.holder = ""

    def unlock(self, status: str, *clusters: str) -> None:
        """Give the lock of *clusters* back; one that is free or gone is passed over.

        Raises `ServiceError` 20114 if a lock is held for something else by now.
        """
        there = [self.clusters[name] for name in clusters if name in self.clusters]
        for cluster in there:
            if cluster.maintenance not in ("", status):
                raise wfsim.errors.ServiceError(
                    20114,
                    f"{cluster.name} is {cluster.maintenance}, not {status}",
                )
        for cluster in there:
            cluster.maintenance = cluster.holder = ""

    # Batches of hosts.

    def begin_batch(self, name: str, flows: Iterable[str]) -> None:
        """Keep every other batch off until *flows* have ended, or for 5000 s each."""
        self.host_batch, self.host_flows = name, list(flows)
        self.later(LOOK, "look_at_batch", name, LOOKS * len(self.host_flows))

    def look_at_batch(self, name: str, left: int) -> None:
        """Begin the next batch if that of *name* is over; else look again."""
        if self.host_batch != name:
            return
        if self.host_flows and left > 1:
            self.later(LOOK, "look_at_batch", name, left - 1)
        else:
            self.host_batch, self.host_flows = "", []

    # Room on hosts.

    def room(self, host: str) -> int:
        """Return how many more instances *host* can take."""
        return self.hosts[host].capacity - len(self.instances_on(host))

    def instances_on(self, host: str) -> list[str]:
        """Return the instances that have a place on *host*, by name."""
        return sorted(
            instance.name
            for cluster in self.clusters.values()
            for instance in cluster.instances.values()
            if instance.host == host
        )

    def house(self, cluster: Cluster) -> None:
        """Give every instance of *cluster* a place, the emptiest host first.

        Raises `LookupError` if there is no room; nothing has changed then.
        """
        online = [host for host in self.hosts.values() if host.status == "Online"]
        room = {host.name: self.room(host.name) for host in online if host.reachable}
        places = {}
        for name, instance in sorted(cluster.instances.items()):
            if not instance.host:
                host = min(room, key=lambda each: (-room[each], each), default="")
                if not host or not room[host]:
                    raise LookupError(f"{name}: no host with room is online")
                room[host] -= 1
                places[name] = host
        for name, host in places.items():
            cluster.instances[name].host = host


__all__ = [
    "ENDED",
    "INSTANT",
    "LATENCIES",
    "LOOK",
    "LOOKS",
    "Host",
    "Report",
    "Stranger",
    "TiemWorld",
]
