"""Clusters, and what belongs to them: instances, backups, change feeds, transfers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fake_resources.fakes import Fake, counter
from fake_resources.operations import Operation

STORES = ("TiKV", "TiFlash")
"""The types of instances that hold data, which must be moved before they may go."""


@dataclass
class Instance(Fake):
    """One process of a cluster; *host* is "" as long as it has no place.

    *deployed* and *up* are what is so, *status* is what the books say.  *store* is, of
    one that holds data, ``Up``, ``Offline`` while its data moves away, or ``Tombstone``.
    """

    name: str
    type: str
    host: str = ""
    status: str = "Initializing"
    deployed: bool = False
    up: bool = False
    store: str = ""

    def leave(self) -> None:
        """Begin to go: what holds data lets it move away first."""
        if self.type not in STORES:
            self.up = False
        elif self.store == "Up":
            self.store = "Offline"
            self.ask("move data", self.name, "end_leave")

    def end_leave(self) -> None:
        """Become a tombstone: the data has moved."""
        self.store, self.up = "Tombstone", False

    def end_badly(self, operation: str, name: str, number: int, *args: Any) -> None:
        """Stay, with the data that could not be moved."""
        if self.store == "Offline":
            self.store = "Up"
        super().end_badly(operation, name, number)

    def fail(self) -> None:
        """Kill the process; it stays dead until the cluster is started."""
        self.up = False


@dataclass
class Cluster(Fake):
    """A cluster as the books have it, and as it is.

    *status* is ``Initializing``, ``Running``, ``Stopped`` or ``Failure``; *maintenance*
    is its lock, "" if nobody holds it, and *holder* the flow that does.  *version* is
    what the books say, *binary* what is installed; *topology* is the snapshot, "" before
    the first.  *parameters* are what the books say, *config* what TiUP has and
    *saved* what it had before, of what each flow under way changes (None: nothing);
    *database* is what was set by SQL.  *gc_life* is in seconds; *saved_gc_life* is what
    it was before a clone (0: no clone).  *master* is the cluster that it is a slave of.
    """

    name: str
    version: str = "v5.4.0"
    status: str = "Initializing"
    maintenance: str = ""
    holder: str = ""
    instances: dict[str, Instance] = field(default_factory=dict)
    binary: str = ""
    topology: str = ""
    keyed: bool = False
    accounts: list[str] = field(default_factory=list)
    parameter_group: str = "default"
    parameters: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    saved: dict[str, dict[str, Any]] = field(default_factory=dict)
    database: dict[str, Any] = field(default_factory=dict)
    rows: str = ""
    backup_strategy: str = ""
    gc_life: float = 600.0
    saved_gc_life: float = 0.0
    read_only: bool = False
    master: str = ""
    reachable: bool = True
    healthy: bool = True
    deploys: int = counter()
    restarts: int = counter()
    reloads: int = counter()
    saves: int = counter()

    @property
    def is_up(self) -> bool:
        """Whether a client could use it."""
        up = [instance.up for instance in self.instances.values() if instance.deployed]
        return self.reachable and bool(up) and all(up)

    def connect(self) -> None:
        """Talk to it as a client; raises `ConnectionError` if that cannot be."""
        if not self.is_up:
            raise ConnectionError(f"{self.name} does not answer")

    def add(self, instance: Instance) -> Instance:
        """Add an instance to the books, and return it."""
        self.instances[instance.name] = instance
        if self._world is not None:
            place = ("clusters", self.name, "instances", instance.name)
            self.world.adopt(instance, *place)
            self.world.changed()
        return instance

    def remove(self, instance: str) -> None:
        """Remove that instance, if it is there; its place is free then."""
        if self.instances.pop(instance, None) is not None:
            self.world.changed()

    def keep_history(self, seconds: float) -> None:
        """Keep what is overwritten for *seconds*; 0: as long as before a clone."""
        if seconds and not self.saved_gc_life:
            self.saved_gc_life, self.gc_life = self.gc_life, seconds
        elif not seconds and self.saved_gc_life:
            self.gc_life, self.saved_gc_life = self.saved_gc_life, 0.0

    def save(self, flow: str, names: Iterable[str]) -> None:
        """Keep what its configuration says of *names*, unless *flow* did so before."""
        if flow not in self.saved:
            before = {name: self.config.get(name) for name in names}
            self.saved = {**self.saved, flow: before}

    def forget(self, flow: str) -> None:
        """Keep no longer what *flow* has saved, if it has saved anything."""
        if flow in self.saved:
            self.saved = {key: self.saved[key] for key in self.saved if key != flow}

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Change those values of its configuration, and no others; None removes one."""
        merged = {**self.config, **changes}
        self.config = {name: merged[name] for name in merged if merged[name] is not None}

    def plan(self) -> str:
        """Return its topology as text, an instance with its host a line."""
        rows = sorted(
            (item.type, item.name, item.host) for item in self.instances.values()
        )
        return "\n".join(" ".join(row) for row in rows)

    # -- what breaks it, by hand, and mends it --------------------------------------

    def lose(self) -> None:
        """Lose touch with it; what it does goes on."""
        self.reachable = False

    def sicken(self) -> None:
        """Take a replica from some of its regions."""
        self.healthy = False

    def recover(self) -> None:
        """Get in touch again, and well."""
        self.reachable = self.healthy = True

    # -- what an operation on it has done when it is over -----------------------------

    def done(self, operation: Operation) -> None:
        """Change as *operation* does, which has gone well."""
        told = operation.arguments
        match operation.kind:
            case "Deploy":
                self.deploys += 1
                self.binary = self.version
                self._each(self._placed(), deployed=True)
            case "ScaleOut":
                self._each(self._placed(), deployed=True, up=True)
            case "Start":
                self._each(self._deployed(), up=True)
            case "Restart":
                self.restarts += 1
                self._each(self._deployed(), up=True)
            case "Stop":
                self._each(self._deployed(), up=False)
            case "Destroy":
                self._each(self._deployed(), up=False, deployed=False, store="")
                self.rows = ""
            case "ScaleIn" if told["instance"] in self.instances:
                self.instances[told["instance"]].leave()
            case "Upgrade":
                self.binary = told["version"]
            case "EditConfig":
                self.configure(told["changes"])
            case "Reload":
                self.reloads += 1
            case "Lightning":
                self.rows = told["rows"]

    def _placed(self) -> Iterator[Instance]:
        return (item for item in self.instances.values() if item.host)

    def _deployed(self) -> Iterator[Instance]:
        return (item for item in self.instances.values() if item.deployed)

    def _each(self, instances: Iterator[Instance], **values: Any) -> None:
        for instance in instances:
            for name, value in values.items():
                setattr(instance, name, value)
            if instance.up and instance.type in STORES and not instance.store:
                instance.store = "Up"


@dataclass
class Backup(Fake):
    """A backup of *cluster*; *rows* is what was in it."""

    name: str
    cluster: str
    status: str = "Initializing"
    rows: str = ""


@dataclass
class ChangeFeed(Fake):
    """A change feed from *source* to *target*, *lag* seconds behind.

    *status* is ``Normal``, ``Stopped`` or ``Error``.
    """

    name: str
    source: str
    target: str
    status: str = "Normal"
    lag: float = 1.0

    def catch_up(self) -> None:
        """Begin to send what is still to be sent."""
        self.ask("catch up", self.name, "end_catch_up")

    def end_catch_up(self) -> None:
        """Catch up, if it sends at all."""
        if self.status == "Normal":
            self.lag = 0.0

    def end_badly(self, operation: str, name: str, number: int, *args: Any) -> None:
        """Send no more."""
        self.fail()
        super().end_badly(operation, name, number)

    def fail(self) -> None:
        """Send no more, because of an error."""
        self.status = "Error"

    def recover(self) -> None:
        """Send again."""
        self.status = "Normal"


@dataclass
class Transfer(Fake):
    """The record of an import into *cluster* or an export from it."""

    name: str
    cluster: str
    status: str = "Processing"
    config: str = ""


@dataclass
class Switchover(Fake):
    """The record of a switchover of the flow *name*.

    *status* is ``Switching``, ``Finished`` or ``Failed``.  *undo* is what takes it back,
    newest last, each an action and its arguments; *rolled_back* says whether all of that
    has been done.
    """

    name: str
    old: str
    new: str
    others: list[str] = field(default_factory=list)
    status: str = "Switching"
    undo: list[list[Any]] = field(default_factory=list)
    rolled_back: bool = False

    @property
    def clusters(self) -> list[str]:
        """All that it concerns: the old master, the new one, and the other slaves."""
        return [self.old, self.new, *self.others]

    def push(self, action: str, *args: Any) -> None:
        """Note down how to take back what is about to be done."""
        if [action, *args] not in self.undo:
            self.undo = [*self.undo, [action, *args]]


__all__ = [
    "STORES",
    "Backup",
    "ChangeFeed",
    "Cluster",
    "Instance",
    "Switchover",
    "Transfer",
]
