"""Executors of ``management``: accounts, parameters and data of a cluster; clones."""

from __future__ import annotations

from typing import Any

from fake_resources.tiem.cluster import Backup, ChangeFeed, Cluster
from fake_resources.tiem.steps.executors import (
    LOOK,
    MONTH,
    Context,
    Effect,
    Executors,
    cluster_of,
    modify,
    source_of,
    start_flow,
    wait_flow,
)
from fake_resources.tiem.steps.lifecycle import start_backup

ACCOUNTS = ("EM_Backup_Restore", "EM_Data_Sync", "EM_Parameter_Management")
"""What the platform itself connects as."""
CLONE_GC_LIFE = 3 * 86400.0
"""How long, in seconds, a cluster that is cloned keeps what has been overwritten."""

management = Executors("management")


@management("testConnectivity")
def test_connectivity(ctx: Context) -> None:
    """Connect as a client; raises `ConnectionError` if the cluster does not answer."""
    cluster_of(ctx).connect()


@management("initRootAccount")
def init_root(ctx: Context) -> None:
    """Give root a password."""
    _grant(cluster_of(ctx), "root")


@management("initDatabaseAccount")
def init_accounts(ctx: Context) -> None:
    """Create the accounts of the platform."""
    _grant(cluster_of(ctx), *ACCOUNTS)


def _grant(cluster: Cluster, *accounts: str) -> None:
    cluster.connect()
    cluster.accounts = sorted({*cluster.accounts, *accounts})


# Parameters.


def sized(cluster: Cluster) -> dict[str, Any]:
    """Return the parameters that follow from how many instances *cluster* has."""
    stores = [item for item in cluster.instances.values() if item.type == "TiKV"]
    return {"reboot": False, "sql": {}, "tiup": {"max-replicas": min(3, len(stores))}}


@management("applyParameterGroup")
def apply_group(ctx: Context) -> Effect:
    """Set the parameters of its group; waits for the child that does so."""
    cluster = cluster_of(ctx)
    wanted = {"reboot": False, "tiup": {}, "sql": {"group": cluster.parameter_group}}
    yield from wait_flow(ctx, (yield from modify(ctx, cluster, wanted)))


@management("applyParameterGroupForTakeover")
def take_group(ctx: Context) -> None:
    """Note down the parameters that a cluster taken over has, whatever they are."""
    cluster = cluster_of(ctx)
    cluster.parameters = {**cluster.config, **cluster.database}


@management("adjustParameters", "adjustParametersAfterUpgrade")
def adjust(ctx: Context) -> Effect:
    """Fit its parameters to its size; waits for the child that sets them."""
    cluster = cluster_of(ctx)
    yield from wait_flow(ctx, (yield from modify(ctx, cluster, sized(cluster))))


@management("updateClusterParameters")
def update_parameters(ctx: Context) -> Effect:
    """Do the same if there is a first instance of some type."""
    if ctx.inputs["FirstScaleOutTypes"]:
        yield from adjust(ctx)


# Data that a new cluster begins with.


@management("initDatabaseData")
def init_data(ctx: Context) -> Effect:
    """Start to restore the backup that it is to be made of, if there is one."""
    return (yield from _restore(ctx, ctx.inputs.get("BackupID")))


@management("restoreCluster")
def restore(ctx: Context) -> Effect:
    """Start to restore the backup of the source, unless only topology is cloned."""
    only_topology = ctx.inputs["CloneStrategy"] == "TopologyClone"
    backup = None if only_topology else ctx.inputs.get("BackupID")
    return (yield from _restore(ctx, backup))


def _restore(ctx: Context, backup: str | None) -> Effect:
    if not backup:
        return None
    cluster = cluster_of(ctx)
    child = yield from start_flow(
        ctx,
        "RestoreExistCluster",
        cluster,
        backupRecord=backup,
        clusterMeta={"id": cluster.name},
        maintenanceStatusChange=False,
    )
    return {"WorkflowID": child}


@management("waitWorkFlow", "waitInitDatabaseData")
def wait_workflow(ctx: Context) -> Effect:
    """Wait for the child that an earlier step has started, if it has."""
    child = ctx.inputs.get("WorkflowID")
    if child:
        yield from wait_flow(ctx, child)


# Clones.


@management("modifySourceClusterGCTime")
def keep_history(ctx: Context) -> None:
    """Make the source keep what is overwritten until the clone has it."""
    source_of(ctx).keep_history(CLONE_GC_LIFE)


@management("recoverSourceClusterGCTime")
def forget_history(ctx: Context) -> None:
    """Make the source forget what is overwritten as it did before."""
    source_of(ctx).keep_history(0.0)


@management("backupSourceCluster")
def backup_source(ctx: Context) -> Effect:
    """Start a backup of the source, unless only its topology is cloned."""
    if ctx.inputs["CloneStrategy"] == "TopologyClone":
        return None
    source = source_of(ctx)
    child, backup = yield from start_backup(ctx, source.name)
    if backup not in ctx.world.backups:
        ctx.world.keep("backups", Backup(backup, source.name))
    return {"WorkflowID": child, "BackupID": backup}


@management("syncBackupStrategy")
def sync_strategy(ctx: Context) -> None:
    """Back the clone up as the source is."""
    cluster_of(ctx).backup_strategy = source_of(ctx).backup_strategy


@management("syncParameters")
def sync_parameters(ctx: Context) -> Effect:
    """Start to give the clone the source's parameters, if they are of one version."""
    cluster, source = cluster_of(ctx), source_of(ctx)
    if cluster.version != source.version:
        return None
    wanted = {
        "reboot": False,
        "tiup": dict(source.config),
        "sql": dict(source.database),
    }
    return {"WorkflowID": (yield from modify(ctx, cluster, wanted))}


@management("syncIncrData")
def sync_increments(ctx: Context) -> Effect:
    """Feed the changes of the source to the clone until it is nearly up to date."""
    if ctx.inputs["CloneStrategy"] != "CDCSync":
        return
    cluster, source = cluster_of(ctx), source_of(ctx)
    name = f"feed-{source.name}-{cluster.name}"
    # One that was made right before a crash sends nothing yet.
    begun = name in ctx.world.feeds and ("catch up", name) in ctx.world.counts
    if not begun or ctx.world.has_failed("catch up", name):
        feed = ChangeFeed(name, source.name, cluster.name, lag=source.gc_life)
        ctx.world.keep("feeds", feed).catch_up()

    def near() -> bool:
        return bool(ctx.world.feeds[name].lag <= source.gc_life / 2)

    yield from ctx.world.until(
        ctx.world.failing_with("catch up", name, near),
        every=LOOK,
        timeout=MONTH,
        what=f"{name} nearly caught up",
    )
    # Somebody may have deleted one of them meanwhile.
    cluster_of(ctx).master = source_of(ctx).name


__all__ = ["ACCOUNTS", "CLONE_GC_LIFE", "management"]
