"""Executors of ``management``: place, deploy, start, stop, scale, delete; the lock."""

from __future__ import annotations

from typing import Any

from fake_resources.tiem.cluster import STORES
from fake_resources.tiem.steps.executors import (
    LOOK,
    MONTH,
    Context,
    Effect,
    Executors,
    cluster_of,
    launch,
    meta_of,
    named,
    start_flow,
    wait_flow,
)

SETTLE = 60.0
"""Seconds for which a cluster that has just been started is left alone."""

management = Executors("management")


# Places and configuration.


@management("prepareResource")
def prepare_resource(ctx: Context) -> None:
    """Give every instance that has none a place; raises `LookupError` without room."""
    ctx.world.house(cluster_of(ctx))


@management("revertResourceAfterFailure")
def revert_resource(ctx: Context) -> None:
    """Take the places back that were given; what was to join a cluster is forgotten."""
    cluster = cluster_of(ctx)
    for instance in list(cluster.instances.values()):
        if instance.status == "Initializing":
            instance.host, instance.deployed, instance.up = "", False, False
            if cluster.status == "Running":
                cluster.remove(instance.name)


@management("freedClusterResource")
def free_cluster(ctx: Context) -> None:
    """Take the places of all its instances back."""
    for instance in cluster_of(ctx).instances.values():
        instance.host = ""


@management("buildConfig")
def build_config(ctx: Context) -> dict[str, str]:
    """Write down the topology that is to be deployed."""
    return {"Topology": cluster_of(ctx).plan()}


@management("syncTopology")
def sync_topology(ctx: Context) -> None:
    """Take the snapshot of the topology."""
    cluster = cluster_of(ctx)
    cluster.topology = cluster.plan()


@management("syncConnectionKey")
def sync_connection_key(ctx: Context) -> None:
    """Keep the key by which its hosts can be reached."""
    cluster_of(ctx).keyed = True


# Operations.


@management("deployCluster")
def deploy(ctx: Context) -> dict[str, str]:
    """Launch the deployment of the topology; `LookupError` if there is none."""
    _check_topology(ctx)
    return launch(ctx, "Deploy", 600.0)


@management("scaleOutCluster")
def scale_out(ctx: Context) -> dict[str, str]:
    """Launch the start of new instances; `LookupError` if there is no topology."""
    _check_topology(ctx)
    return launch(ctx, "ScaleOut", 360.0)


def _check_topology(ctx: Context) -> None:
    # The reference launches nothing, and finds out when it looks at that.
    if not ctx.inputs.get("Topology"):
        raise LookupError("there is no topology to deploy")


@management("startCluster")
def start(ctx: Context) -> dict[str, str]:
    """Launch the start of all instances."""
    return launch(ctx, "Start", 360.0)


@management("restartCluster")
def restart(ctx: Context) -> dict[str, str]:
    """Launch the restart of all instances, up or not."""
    return launch(ctx, "Restart", 360.0)


@management("stopCluster")
def stop(ctx: Context) -> dict[str, str]:
    """Launch the stop of all instances."""
    return launch(ctx, "Stop", 360.0)


@management("scaleInCluster")
def scale_in(ctx: Context) -> dict[str, str]:
    """Launch the leave of one instance."""
    return launch(ctx, "ScaleIn", 360.0, instance=ctx.inputs["InstanceID"])


@management("destroyCluster")
def destroy(ctx: Context) -> dict[str, str] | None:
    """Launch the end of the cluster; over at once if it was never deployed."""
    return launch(ctx, "Destroy", 360.0) if cluster_of(ctx).topology else None


# After operations.


@management("setClusterOnline")
def set_online(ctx: Context) -> Effect:
    """Enter in the books that it runs, a minute later if it was just deployed."""
    cluster = cluster_of(ctx)
    if cluster.status == "Initializing" or cluster.maintenance == "Upgrading":
        yield from ctx.sleep(SETTLE)
    cluster.status = "Running"
    for instance in cluster.instances.values():
        instance.status = "Running"


@management("setClusterOffline")
def set_offline(ctx: Context) -> None:
    """Enter in the books that it is stopped."""
    cluster = cluster_of(ctx)
    cluster.status = "Stopped"
    for instance in cluster.instances.values():
        instance.status = "Stopped"


@management("setClusterFailure")
def set_failure(ctx: Context) -> None:
    """Enter in the books that something has gone wrong."""
    cluster_of(ctx).status = "Failure"


@management("getFirstScaleOutTypes")
def first_types(ctx: Context) -> dict[str, list[str]]:
    """Find the types of which the cluster had no instance before."""
    instances = cluster_of(ctx).instances.values()
    old = {item.type for item in instances if item.status != "Initializing"}
    return {"FirstScaleOutTypes": sorted({item.type for item in instances} - old)}


@management("checkInstanceStatus")
def check_instance(ctx: Context) -> Effect:
    """Wait until the data has moved away, then prune, for which nobody waits.

    If the data cannot be moved, another attempt has them moved again.
    """
    instance = cluster_of(ctx).instances.get(ctx.inputs["InstanceID"])
    if instance is None or instance.type not in STORES:
        return None

    if ctx.attempt > 1 and ctx.world.has_failed("move data", instance.name):
        instance.leave()

    def moved() -> bool:
        # Somebody may have deleted the cluster meanwhile: then nothing moves any more.
        there = cluster_of(ctx).instances.get(instance.name)
        return there is None or bool(there.store == "Tombstone")

    yield from ctx.world.until(
        ctx.world.failing_with("move data", instance.name, moved),
        every=LOOK,
        timeout=MONTH,
        what=f"{instance.name} a tombstone",
    )
    return launch(ctx, "Prune", 360.0)


@management("freeInstanceResource")
def free_instance(ctx: Context) -> None:
    """Take the place of the instance back, and strike it out of the books."""
    cluster_of(ctx).remove(ctx.inputs["InstanceID"])


# Delete.


@management("backupBeforeDelete")
def backup_before_delete(ctx: Context) -> Effect:
    """Make a backup, if that was asked for and there is something to back up."""
    cluster = cluster_of(ctx)
    if not (cluster.topology and ctx.inputs["DeleteRequest"].get("autoBackup")):
        return None
    child, backup = yield from start_backup(ctx, cluster.name)
    yield from wait_flow(ctx, child)
    return {"BackupID": backup}


def start_backup(ctx: Context, name: str) -> Effect:
    """Start a backup of the cluster *name*; return the child's id and the backup's."""
    backup = f"backup-{name}-{ctx.run}"
    child = yield from start_flow(
        ctx,
        "BackupCluster",
        named(ctx, name),
        backupRecord=backup,
        clusterMeta={"id": name},
        maintenanceStatusChange=False,
    )
    return child, backup


@management("clearBackupData")
def clear_backups(ctx: Context) -> None:
    """Remove its backups, but for the one just made, or all if they are to be kept."""
    if ctx.inputs["DeleteRequest"].get("keepHistoryBackupRecords"):
        return
    name, kept = meta_of(ctx)["id"], ctx.inputs.get("BackupID")
    for backup in list(ctx.world.backups.values()):
        if backup.cluster == name and backup.name != kept:
            ctx.world.drop("backups", backup.name)


@management("clearCDCLinks")
def clear_feeds(ctx: Context) -> None:
    """Remove the change feeds from it and to it; its slaves are on their own then."""
    ctx.world.unlink(cluster_of(ctx).name)


@management("takeoverRevertMeta")
def revert_takeover(ctx: Context) -> None:
    """Strike it out of the books, unless another flow is deleting it by now."""
    cluster = ctx.world.clusters.get(meta_of(ctx)["id"])
    if cluster is not None and cluster.holder in ("", ctx.run):
        delete(ctx)


@management("deleteCluster")
def delete(ctx: Context) -> None:
    """Strike it out of the books, its lock with it, and all that belongs to it.

    Other flows may have added to that since an earlier step has cleared it.
    """
    name = meta_of(ctx)["id"]
    if "DeleteRequest" in ctx.inputs:
        clear_backups(ctx)
    ctx.world.unlink(name)
    ctx.world.drop("clusters", name)
    for host in ctx.world.hosts.values():
        host.logs = [each for each in host.logs if each != name]


# The books, and the lock.


@management("persistCluster")
def persist(ctx: Context) -> None:
    """Keep what the books say."""
    cluster_of(ctx).saves += 1


@management("endMaintenance")
def end_maintenance(ctx: Context) -> None:
    """Give the lock back, and that of the cluster that was cloned.

    Raises `ServiceError` 20114 if it is somebody else's by now.
    """
    source: Any = ctx.inputs.get("SourceClusterMeta")
    if source:
        ctx.world.unlock(ctx.inputs["SourceClusterMaintenanceStatus"], source["id"])
    ctx.world.unlock(meta_of(ctx)["maintenance"], meta_of(ctx)["id"])


@management("asyncBuildLog")
def build_log(ctx: Context) -> Effect:
    """Start the distribution of its log configuration; nobody waits for it."""
    cluster = cluster_of(ctx)
    yield from start_flow(
        ctx, "BuildLogConfig", cluster, ClusterMeta={"id": cluster.name}
    )


__all__ = ["management", "start_backup"]
