"""Callers of the service: take the lock, create a flow, fill its context, start.

How that is done for each flow is in `CALLERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import wfsim
from fake_resources.tiem import entries
from fake_resources.tiem.entries import Asked
from fake_resources.tiem.world import LOOK, LOOKS, TiemWorld

Locks: TypeAlias = Callable[[TiemWorld, str, Asked], Iterable[str]]

ASKED = "Asked"
"""The key in the context of a flow under which stands what it was asked for with."""


class Caller(NamedTuple):
    """How a flow is asked for.

    *subject* is what it is about if nobody says, *asked* what else is asked for then.
    *books* is where the subject stands in the world, and *is_new* says that it must not
    be there yet.  *status* is taken as the lock of all that *locked* tells of, unless
    *asked* says ``lock=False``; then *enter* writes into the books and returns the
    context.
    """

    biz_type: str
    subject: str
    enter: Callable[[TiemWorld, str, Asked], Asked]
    status: str = ""
    locked: Locks = lambda world, name, asked: (name,)
    asked: Mapping[str, Any] = {}
    books: str = "clusters"
    is_new: bool = False

    def check(self, world: TiemWorld, name: str, asked: Asked) -> None:
        """Raise `UsageError` or `ServiceError` for what cannot be begun as things are."""
        if self.books != "reports":  # of which there is a new one every time
            _check_there(world, self.books, name, self.is_new)
        for other in ("source", "target", "cluster"):
            if other in asked:
                _check_there(world, "clusters", asked[other])
        if "failed" in asked and asked["failed"] not in world.switchovers:
            raise wfsim.UsageError(f"{asked['failed']!r} is no flow of a switchover")
        if self.status == "Deleting" and not asked["force"]:
            held = world.clusters[name].maintenance
            if held:
                raise wfsim.errors.ServiceError(20114, f"{name} is {held}")


def _check_there(world: TiemWorld, books: str, name: str, is_new: bool = False) -> None:
    things, kind = getattr(world, books), books.removesuffix("s")
    if is_new and name in things:
        raise wfsim.UsageError(f"there is a {kind} {name} already; name another one")
    if not is_new and name not in things:
        one_of = ", ".join(sorted(things))
        raise wfsim.UsageError(f"there is no {kind} {name}; one of {one_of}")


def begin(
    sim: wfsim.Simulation, flow: str, subject: str | None = None, **asked: Any
) -> str:
    """Ask for *flow* as its caller in the reference does; return the id of the flow.

    That is: take the lock, register new objects, create the flow, fill its
    context, start it.  *subject* is a cluster, a host or a report; None is one that
    there is in every `scenario`.  *asked* replaces entries of ``CALLERS[flow].asked``.

    Raises `ServiceError` 20114 (a cluster) or 9993 (a host) if somebody else has the
    lock, `UsageError` for what nobody can ask for; nothing has happened then.
    """
    caller = _caller(flow, asked)
    name = caller.subject if subject is None else subject
    if caller.biz_type == "host":
        return begin_hosts(sim, flow, [name], **asked)[0]
    told = {**caller.asked, **asked}
    return str(sim.act(lambda there: _begin(there, flow, name, told)))


def begin_hosts(
    sim: wfsim.Simulation, flow: str, hosts: Sequence[str], **asked: Any
) -> list[str]:
    """Ask for *flow* on each of *hosts*, one after the other; return the flows' ids.

    One batch at a time: `ServiceError` 9993 while another one is under way.  The next
    flow is started when a look, every 5 s, finds the one before at its end, or after
    5000 s.
    """
    caller = _caller(flow, asked)
    told = {**caller.asked, **asked}
    if caller.biz_type != "host" or len({*hosts}) < max(len(hosts), 1):
        raise wfsim.UsageError(f"{flow} on {hosts!r}: give a flow on hosts, each once")

    def act(there: Any) -> list[str]:
        for host in hosts:
            caller.check(there.world, host, told)
        if there.world.host_batch:
            raise wfsim.errors.ServiceError(
                9993, f"{there.world.host_batch} is under way"
            )
        contexts = [
            {**caller.enter(there.world, host, told), ASKED: told} for host in hosts
        ]
        flows = [
            _create(there, flow, "host", host, context)
            for host, context in zip(hosts, contexts, strict=True)
        ]
        there.world.begin_batch(f"{flow} {', '.join(hosts)}", flows)
        _start(there, flows[0])
        if len(flows) > 1:
            there.clock.process(_start_in_turn(there, flows))
        return flows

    return list(sim.act(act))


def _start_in_turn(sim: Any, flows: Sequence[str]) -> Any:
    for before, flow_id in pairwise(flows):

        def has_ended(before: str = before) -> bool:
            return before not in sim.world.host_flows

        with suppress(TimeoutError):
            yield from sim.world.until(has_ended, every=LOOK, timeout=LOOK * LOOKS)
        _start(sim, flow_id)


def _start(sim: Any, flow_id: str) -> None:
    # Somebody may have cancelled it by now, so that it cannot be started.
    with suppress(wfsim.errors.ServiceError):
        sim.service.start(flow_id)


def _begin(sim: Any, flow: str, name: str, told: Asked) -> str:
    caller = CALLERS[flow]
    caller.check(sim.world, name, told)
    status, locked = _lock(sim.world, caller, name, told)
    try:
        context = caller.enter(sim.world, name, told | {"status": status})
        flow_id = _create(sim, flow, caller.biz_type, name, {**context, ASKED: told})
        if status:
            sim.world.claim(flow_id, name, *locked)
        sim.service.start(flow_id)
    except Exception:
        sim.world.unlock(status, *locked)
        if caller.is_new:
            sim.world.drop("clusters", name)
        raise
    return flow_id


def _lock(
    world: TiemWorld, caller: Caller, name: str, told: Asked
) -> tuple[str, tuple[str, ...]]:
    """Take the lock; return for what, and of which clusters."""
    status = caller.status if told.get("lock", True) else ""
    locked = tuple(caller.locked(world, name, told)) if status else ()
    world.lock(status, *locked)
    return status, locked


def recall(world: TiemWorld, flow: wfsim.Resource) -> None:
    """Do to *world* what the caller of *flow* had done to it; a child had no caller.

    A batch of hosts is not taken up again: as in the reference, it died with its caller.
    """
    told = flow.spec["context"].get(ASKED)
    caller = CALLERS.get(flow.spec["flow"])
    if told is None or caller is None:
        return
    name = flow.spec["bizId"]
    status, locked = _lock(world, caller, name, told)
    caller.enter(world, name, {**told, "status": status})
    if status:
        world.claim(flow.name, name, *locked)


def _create(sim: Any, flow: str, biz_type: str, name: str, context: Asked) -> str:
    flow_id: str = sim.service.create(name, biz_type, flow)
    for key, value in context.items():
        sim.service.init_context(flow_id, key, value)
    return flow_id


def _caller(flow: str, asked: Asked) -> Caller:
    if flow not in CALLERS:
        raise wfsim.UsageError(f"no flow {flow!r}; one of {', '.join(CALLERS)}")
    known = CALLERS[flow].asked
    for name in asked:
        if name not in known:
            one_of = ", ".join(known) or "nothing"
            raise wfsim.UsageError(f"{flow}: no {name!r} can be asked for, but {one_of}")
    return CALLERS[flow]


def _nothing(world: TiemWorld, name: str, told: Asked) -> Iterable[str]:
    """Lock nothing: what is new is locked when it is entered."""
    return ()


def _source(world: TiemWorld, name: str, told: Asked) -> Iterable[str]:
    return (told["source"],)


def _slaves(world: TiemWorld, name: str, told: Asked) -> Iterable[str]:
    """Lock the old master and all its slaves."""
    slaves = [each.name for each in world.clusters.values() if each.master == name]
    return (name, *sorted(slaves))


def _switched(world: TiemWorld, name: str, told: Asked) -> Iterable[str]:
    """Lock all that the switchover that is to be taken back was about."""
    return world.switchovers[told["failed"]].clusters


def _managed(status: str, **asked: Any) -> Caller:
    return Caller("cluster", "cluster-1", entries.meta, status, asked=asked)


_UPGRADE = Caller(
    "cluster",
    "cluster-1",
    entries.upgrade,
    "Upgrading",
    asked={"version": "v6.1.0", "configs": {"enable-new-charset": True}},
)
_SWITCH = Caller(
    "cluster",
    "cluster-1",
    entries.switchover,
    "Switching",
    _slaves,
    {"target": "cluster-2", "force": True},
)

_IMPORT = Caller(
    "host",
    "host-new",
    entries.import_host,
    asked={"ignoreWarns": False},
    books="hosts",
    is_new=True,
)

CALLERS: Mapping[str, Caller] = {
    "CreateCluster": Caller(
        "cluster",
        "cluster-new",
        entries.create,
        "Creating",
        _nothing,
        {
            "instances": {"PD": 1, "TiDB": 1, "TiKV": 3},
            "version": "v5.4.0",
            "backup": None,
        },
        is_new=True,
    ),
    "DeleteCluster": Caller(
        "cluster",
        "cluster-1",
        entries.delete,
        "Deleting",
        asked={"autoBackup": False, "keepHistoryBackupRecords": False, "force": False},
    ),
    "RestartCluster": _managed("Restarting"),
    "StopCluster": _managed("Stopping"),
    "ScaleOutCluster": Caller(
        "cluster",
        "cluster-1",
        entries.scale_out,
        "ScaleOut",
        asked={"instances": {"TiFlash": 1}},
    ),
    "ScaleInCluster": Caller(
        "cluster",
        "cluster-1",
        entries.scale_in,
        "ScaleIn",
        asked={"instance": "cluster-1-tikv-3"},
    ),
    "CloneCluster": Caller(
        "cluster",
        "cluster-new",
        entries.clone,
        "BeingCloned",
        _source,
        {"source": "cluster-1", "strategy": "CDCSync"},
        is_new=True,
    ),
    "TakeoverCluster": Caller(
        "cluster",
        "cluster-new",
        entries.take_over,
        "Takeover",
        _nothing,
        {"stranger": "stranger-1"},
        is_new=True,
    ),
    "OnlineInPlaceUpgradeCluster": _UPGRADE,
    "OfflineInPlaceUpgradeCluster": _UPGRADE,
    "BackupCluster": Caller(
        "cluster",
        "cluster-1",
        entries.backup,
        "BackUp",
        asked={"backup": "backup-1", "lock": True},
    ),
    "RestoreExistCluster": Caller(
        "cluster",
        "cluster-1",
        entries.restore,
        "Restore",
        asked={"backup": "backup-0", "lock": False},
    ),
    "ExportData": Caller("cluster", "cluster-1", entries.transfer),
    "ImportData": Caller("cluster", "cluster-1", entries.transfer),
    "ModifyParameters": Caller(
        "cluster",
        "cluster-1",
        entries.modify,
        "ModifyParameterRestarting",
        asked={
            "tiup": {"log.level": "warn"},
            "sql": {"tidb_mem_quota_query": 2**30},
            "reboot": True,
            "lock": True,
        },
    ),
    "BuildLogConfig": Caller("cluster", "cluster-1", entries.meta),
    "CheckPlatform": Caller(
        "platform", "report-1", entries.check_platform, books="reports"
    ),
    "CheckCluster": Caller(
        "cluster",
        "report-1",
        entries.check_cluster,
        asked={"cluster": "cluster-1"},
        books="reports",
    ),
    "ImportHosts": _IMPORT,
    "ImportHostsWithoutInit": _IMPORT,
    "TakeOverHosts": _IMPORT,
    "DeleteHosts": Caller("host", "host-spare", entries.delete_host, books="hosts"),
    "DeleteHostsByForce": Caller(
        "host", "host-spare", entries.delete_host, books="hosts"
    ),
    "SwitchoverNormal": _SWITCH._replace(asked={**_SWITCH.asked, "force": False}),
    "SwitchoverForce": _SWITCH,
    "SwitchoverForceWithMasterUnavailable": _SWITCH,
    "SwitchoverRollback": Caller(
        "cluster",
        "cluster-1",
        entries.rollback,
        "SwitchoverRollback",
        _switched,
        {"failed": ""},
    ),
}

__all__ = ["CALLERS", "Caller", "begin", "begin_hosts", "recall"]
