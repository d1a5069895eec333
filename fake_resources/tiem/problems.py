"""Problems: where the books of the platform and its clusters and hosts disagree.

>>> from fake_resources import tiem
>>> world = tiem.world()
>>> tiem.problems(world)
[]
>>> world.clusters["cluster-1"].binary = "v5.3.0"
>>> tiem.problems(world)
['cluster-1: the version is v5.3.0, not v5.4.0']
"""

from __future__ import annotations

from collections.abc import Iterator

import wfsim
from fake_resources.tiem.cluster import STORES, Cluster, Instance
from fake_resources.tiem.world import Host, TiemWorld


def problems(world: TiemWorld, cluster: str = "") -> list[str]:
    """Return what a user of the platform would complain of, [] if nothing.

    That is whatever is out of order or half done, and whatever of the *world* is not as
    the books say: status, version, topology, instances and their places, parameters,
    feeds between master and slaves.  *cluster* names one; else it is all of them, and the
    hosts.  Raises `UsageError` for a cluster that is not there.
    """
    if cluster and cluster not in world.clusters:
        raise wfsim.UsageError(f"there is no cluster {cluster}")
    names = [cluster] if cluster else sorted(world.clusters)
    found = []
    for name in names:
        each = world.clusters[name]
        texts = [*_of_cluster(each), *_of_links(world, each)]
        for _, instance in sorted(each.instances.items()):
            about = _of_instance(world, each, instance)
            texts += [f"{instance.name} {text}" for text in about]
        found += [f"{name}: {text}" for text in texts]
    hosts = [] if cluster else [world.hosts[name] for name in sorted(world.hosts)]
    return found + [f"{host.name}: {text}" for host in hosts for text in _of(world, host)]


def _of_cluster(cluster: Cluster) -> Iterator[str]:
    if cluster.maintenance:
        yield f"is locked: {cluster.maintenance}"
    match cluster.status:
        case "Running":
            if not cluster.is_up:
                yield "does not answer"
        case "Stopped":
            if any(instance.up for instance in cluster.instances.values()):
                yield "is up, though it is Stopped"
        case status:
            yield f"is {status}"
    if not cluster.healthy:
        yield "a region lacks a replica"
    if cluster.binary != cluster.version:
        yield f"the version is {cluster.binary or 'none'}, not {cluster.version}"
    # As in the reference, nothing takes a snapshot when an instance has gone.
    if not {*cluster.plan().splitlines()} <= {*cluster.topology.splitlines()}:
        yield "the topology lacks some of its instances"
    have = {**cluster.config, **cluster.database}
    for name, wanted in sorted(cluster.parameters.items()):
        if have.get(name) != wanted:
            yield f"{name} is {have.get(name)}, not {wanted}"
    if cluster.saved:
        yield f"a configuration is being changed by {', '.join(sorted(cluster.saved))}"
    if cluster.saved_gc_life:
        yield f"the GC life is {cluster.gc_life:g} s, not {cluster.saved_gc_life:g} s"


def _of_links(world: TiemWorld, cluster: Cluster) -> Iterator[str]:
    if not cluster.master:
        if cluster.read_only:
            yield "takes no writes, though it has no master"
        return
    if cluster.master not in world.clusters:
        yield f"its master {cluster.master} is gone"
    feeds = world.feeds_of(cluster.master, cluster.name)
    if not any(feed.status == "Normal" for feed in feeds):
        yield f"its master {cluster.master} does not feed it"


def _of_instance(world: TiemWorld, cluster: Cluster, instance: Instance) -> Iterator[str]:
    host = world.hosts.get(instance.host)
    if host is None:
        yield f"is on {instance.host}, which is gone" if instance.host else "has no host"
    elif not host.reachable:
        yield f"is on {host.name}, which cannot be reached"
    if not instance.deployed:
        yield "is not deployed"
    if instance.status != cluster.status:
        yield f"is {instance.status}, not {cluster.status}"
    if instance.type in STORES and instance.store not in ("", "Up"):
        yield f"is a store that is {instance.store}"


def _of(world: TiemWorld, host: Host) -> Iterator[str]:
    if host.status != "Online":
        yield f"is {host.status}"
    if not host.reachable:
        yield "cannot be reached"
    if world.room(host.name) < 0:
        yield f"has no room for {-world.room(host.name)} of what is on it"
    for name in host.logs:
        if name not in world.clusters:
            yield f"collects logs of {name}, which is gone"


__all__ = ["problems"]
