"""Executors of ``management``: upgrade a cluster in place; take one over."""

from __future__ import annotations

import wfsim
from fake_resources.tiem.cluster import Instance
from fake_resources.tiem.steps.executors import (
    Context,
    Effect,
    Executors,
    cluster_of,
    launch,
)

PATIENCE = 300.0
"""How long a host may take to be online, in seconds."""

management = Executors("management")


@management("initializeUpgrade", "checkUpgradeMD5", "checkUpgradeTime")
def nothing(ctx: Context) -> None:
    """Do nothing, as in the reference."""


@management("selectTargetUpgradeVersion")
def select_version(ctx: Context) -> None:
    """Raise `ValueError` unless the version is another one than is installed."""
    cluster, wanted = cluster_of(ctx), ctx.inputs["UpgradeVersion"]
    if wanted == cluster.version:
        raise ValueError(f"{cluster.name} is {wanted} already")


@management("mergeUpgradeConfig")
def merge_config(ctx: Context) -> None:
    """Add what the new version asks for to its configuration, and keep the old one."""
    cluster, wanted = cluster_of(ctx), ctx.inputs["UpgradeConfigs"]
    cluster.save(ctx.run, wanted)
    cluster.configure(wanted)


@management("checkRegionHealth")
def check_regions(ctx: Context) -> None:
    """Raise `RuntimeError` if a region lacks a replica."""
    cluster = cluster_of(ctx)
    if not cluster.healthy:
        raise RuntimeError(f"{cluster.name}: a region lacks a replica")


@management("upgradeCluster")
def upgrade(ctx: Context) -> dict[str, str]:
    """Launch the upgrade."""
    return launch(ctx, "Upgrade", 3600.0, version=ctx.inputs["UpgradeVersion"])


@management("checkUpgradeVersion")
def check_version(ctx: Context) -> None:
    """Enter in the books the version that is installed; it must be the wanted one."""
    cluster, wanted = cluster_of(ctx), ctx.inputs["UpgradeVersion"]
    if cluster.binary != wanted:
        raise RuntimeError(f"{cluster.name} is {cluster.binary}, not {wanted}")
    cluster.version = wanted


@management("checkUpgradeConfig")
def check_config(ctx: Context) -> None:
    """Settle on the new configuration."""
    cluster_of(ctx).forget(ctx.run)


@management("revertConfigAfterFailure")
def revert_config(ctx: Context) -> None:
    """Put the configuration back as it was before, whatever has been upgraded."""
    cluster = cluster_of(ctx)
    if ctx.run in cluster.saved:
        cluster.configure(cluster.saved[ctx.run])
        cluster.forget(ctx.run)
    cluster.parameter_group = ctx.inputs["OriginalParamGroupId"]


# Take over.


@management("fetchTopologyFile")
def fetch_topology(ctx: Context) -> dict[str, str]:
    """Read the topology of the cluster that somebody else deployed."""
    name = ctx.inputs["TakeoverRequest"]["stranger"]
    stranger = ctx.world.strangers.get(name)
    if stranger is None or not stranger.reachable:
        raise ConnectionError(f"{name} cannot be reached")
    return {"TopologyFile": stranger.topology, "Version": stranger.version}


@management("rebuildTopologyFromConfig")
def rebuild_topology(ctx: Context) -> None:
    """Enter its instances in the books: they are deployed, and they run."""
    cluster = cluster_of(ctx)
    cluster.version = cluster.binary = ctx.inputs["Version"]
    for line in ctx.inputs["TopologyFile"].splitlines():
        kind, name, host = line.split()
        found = Instance(name, kind, host, deployed=True, up=True)
        found.store = "Up" if kind == "TiKV" else ""
        cluster.add(found)


@management("validateHostsStatus")
def validate_hosts(ctx: Context) -> Effect:
    """Wait until each of its hosts is online, five minutes for each.

    Raises `ServiceError` 9997 if one is not by then.
    """
    instances = cluster_of(ctx).instances.values()
    for name in sorted({instance.host for instance in instances}):
        host = ctx.world.hosts.get(name)
        if host is None:
            raise LookupError(f"there is no host {name}")
        try:
            yield from ctx.world.until(
                lambda host=host: host.status == "Online", every=3.0, timeout=PATIENCE
            )
        except TimeoutError:
            text = f"{name} is {host.status}, not Online"
            raise wfsim.errors.ServiceError(9997, text) from None


@management("takeoverResource")
def take_places(ctx: Context) -> None:
    """Count its places as taken; raises `LookupError` if a host has too little room."""
    for name in sorted({item.host for item in cluster_of(ctx).instances.values()}):
        if ctx.world.room(name) < 0:
            raise LookupError(f"{name} has no room for what is on it")


@management("rebuildTiupSpaceForCluster")
def rebuild_space(ctx: Context) -> None:
    """Take the snapshot of its topology, from which it is managed from now on."""
    cluster = cluster_of(ctx)
    cluster.topology, cluster.status, cluster.keyed = cluster.plan(), "Running", True
    for instance in cluster.instances.values():
        instance.status = "Running"


__all__ = ["management"]
