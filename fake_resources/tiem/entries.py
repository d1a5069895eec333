"""Entries of callers in the books before a flow starts, and the context it gets.

Every function here gets the world, the subject and what is asked for, and returns the
context: the keys of the reference, with names of things in place of whole things.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from itertools import count, islice
from typing import Any, TypeAlias

import wfsim
from fake_resources.tiem.cluster import Backup, Cluster, Instance, Transfer
from fake_resources.tiem.world import Host, Report, TiemWorld

Asked: TypeAlias = dict[str, Any]


def meta(world: TiemWorld, name: str, asked: Asked) -> Asked:
    """Return the context of a flow that needs nothing but its cluster."""
    return {"ClusterMeta": {"id": name, "maintenance": asked["status"]}}


def instances(
    cluster: str, wanted: Mapping[str, int], taken: Container[str] = ()
) -> list[Instance]:
    """Return as many new instances of each type as *wanted*, by names not *taken*."""
    made = []
    for kind, number in wanted.items():
        names = (f"{cluster}-{kind.lower()}-{each}" for each in count(1))
        free = (name for name in names if name not in taken)
        made += [Instance(name, kind) for name in islice(free, number)]
    return made


def _enter(world: TiemWorld, cluster: Cluster, made: list[Instance]) -> Asked:
    """Enter a new *cluster*, locked as it is, and return its context."""
    cluster.instances = {instance.name: instance for instance in made}
    world.keep("clusters", cluster)
    return meta(world, cluster.name, {"status": cluster.maintenance})


def create(world: TiemWorld, name: str, asked: Asked) -> Asked:
    """Enter a cluster of those ``instances``; it may be made of a ``backup``."""
    cluster = Cluster(name, asked["version"], maintenance=asked["status"])
    context = _enter(world, cluster, instances(name, asked["instances"]))
    return context | ({"BackupID": asked["backup"]} if asked["backup"] else {})


def clone(world: TiemWorld, name: str, asked: Asked) -> Asked:
    """Enter a cluster like the ``source``, which is locked by now."""
    source = world.clusters[asked["source"]]
    wanted: dict[str, int] = {}
    for instance in source.instances.values():
        wanted[instance.type] = wanted.get(instance.type, 0) + 1
    cluster = Cluster(name, source.version, maintenance="Cloning")
    return {
        **_enter(world, cluster, instances(name, wanted)),
        "SourceClusterMeta": {"id": source.name},
        "CloneStrategy": asked["strategy"],
        "SourceClusterMaintenanceStatus": asked["status"],
    }


def take_over(world: TiemWorld, name: str, asked: Asked) -> Asked:
    """Enter a cluster of which nothing is known yet."""
    context = _enter(world, Cluster(name, maintenance=asked["status"]), [])
    return context | {"TakeoverRequest": {"stranger": asked["stranger"]}}


def delete(world: TiemWorld, name: str, asked: Asked) -> Asked:
    """Return the context with the request."""
    keys = ("autoBackup", "keepHistoryBackupRecords", "force")
    request = {key: asked[key] for key in keys}
    return meta(world, name, asked) | {"DeleteRequest": request}


def scale_out(world: TiemWorld, name: str, asked: Asked) -> Asked:
    """Enter those ``instances`` beside the ones that are there."""
    cluster = world.clusters[name]
    for made in instances(name, asked["instances"], cluster.instances):
        cluster.add(made)
    return meta(world, name, asked)


def scale_in(world: TiemWorld, name: str, asked: Asked) -> Asked:
    """Return the context with the ``instance`` that is to go."""
    if asked["instance"] not in world.clusters[name].instances:
        raise wfsim.UsageError(f"{name} has no instance {asked['instance']}")
    return meta(world, name, asked) | {"InstanceID": asked["instance"]}


def upgrade(world: TiemWorld, name: str, asked: Asked) -> Asked:
    """Return the context with what is now and what is wanted."""
    cluster = world.clusters[name]
    return {
        **meta(world, name, asked),
        "OriginalParamGroupId": cluster.parameter_group,
        "OriginalVersion": cluster.version,
        "UpgradeVersion": asked["version"],
        "UpgradeConfigs": asked["configs"],
    }


def backup(world: TiemWorld, name: str, asked: Asked) -> Asked:
    """Enter a backup."""
    world.keep("backups", Backup(asked["backup"], name))
    return _of_backup(name, asked)


def restore(world: TiemWorld, name: str, asked: Asked) -> Asked:
    """Return the context with a ``backup`` that there is."""
    if asked["backup"] not in world.backups:
        raise wfsim.UsageError(f"there is no backup {asked['backup']}")
    return _of_backup(name, asked)


def _of_backup(name: str, asked: Asked) -> Asked:
    return {
        "backupRecord": asked["backup"],
        "clusterMeta": {"id": name, "maintenance": asked["status"]},
        "maintenanceStatusChange": bool(asked["status"]),
    }


def transfer(world: TiemWorld, name: str, asked: Asked) -> Asked:
    """Enter the record of an import or an export."""
    record = Transfer(f"transfer-{len(world.transfers) + 1}", name)
    world.keep("transfers", record)
    return {"clusterMeta": {"id": name}, "transportRecord": record.name}


def modify(world: TiemWorld, name: str, asked: Asked) -> Asked:
    """Return the context with the parameters that are wanted."""
    return {
        **meta(world, name, asked),
        "ModifyParameters": {key: asked[key] for key in ("tiup", "sql", "reboot")},
        "MaintenanceStatusChange": bool(asked["status"]),
        "HasApplyParameter": False,
    }


def check_platform(world: TiemWorld, name: str, asked: Asked) -> Asked:
    """Enter a report."""
    world.keep("reports", Report(name))
    return {"CheckID": name}


def check_cluster(world: TiemWorld, name: str, asked: Asked) -> Asked:
    """Enter a report on a ``cluster``."""
    return check_platform(world, name, asked) | {"ClusterID": asked["cluster"]}


def import_host(world: TiemWorld, name: str, asked: Asked) -> Asked:
    """Enter a host."""
    world.keep("hosts", Host(name))
    return _of_host(name) | {"checkHostIgnoreWarns": asked["ignoreWarns"]}


def delete_host(world: TiemWorld, name: str, asked: Asked) -> Asked:
    """Return the context of a host that there is."""
    return _of_host(name)


def _of_host(name: str) -> Asked:
    return {"hostIDArray": [name], "hostInfoArray": [{"id": name}]}


def switchover(world: TiemWorld, name: str, asked: Asked) -> Asked:
    """Return the context of a switchover from *name* to ``target``."""
    target = asked["target"]
    feeds = {feed.target: feed.name for feed in world.feeds_of(name)}
    if world.clusters[target].master != name or target not in feeds:
        raise wfsim.UsageError(f"{target} is no slave of {name}; name one")
    return {
        "wfContextReqKey": {
            "sourceClusterID": name,
            "targetClusterID": target,
            "force": asked["force"],
        },
        "wfContextOldSyncChangeFeedTaskIDKey": feeds.pop(target),
        "wfContextOtherSlavesMapToOldSyncCDCTaskKey": feeds,
        "wfContextOldMasterPreviousMaintenanceStatusKey": "",
        "wfContextOldSlavePreviousMaintenanceStatusKey": "",
    }


def rollback(world: TiemWorld, name: str, asked: Asked) -> Asked:
    """Return the context with the switchover that is to be taken back."""
    return {
        "wfContextReqKey": {"rollbackWorkFlowID": asked["failed"]},
        "wfContextOldMasterPreviousMaintenanceStatusKey": "",
        "wfContextOldSlavePreviousMaintenanceStatusKey": "",
    }
