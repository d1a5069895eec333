"""A scenario of clusters, hosts and all flows, in which anything may be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import wfsim
from fake_resources.fakes import durations, probabilities
from fake_resources.tiem.asks import OUTSIDE
from fake_resources.tiem.callers import begin, recall
from fake_resources.tiem.cluster import Backup, ChangeFeed, Cluster, Instance
from fake_resources.tiem.entries import instances
from fake_resources.tiem.steps import STEPS
from fake_resources.tiem.world import LATENCIES, Host, Stranger, TiemWorld

STANDING = {"PD": 1, "TiDB": 1, "TiKV": 3}
"""How many instances of each type a cluster of `scenario` has."""


def scenario(
    slaves: int = 2,
    *,
    operation_failure: float = 0.0,
    latencies: Mapping[str, Any] | None = None,
    failures: Mapping[str, float] | None = None,
    policy: wfsim.Policy | None = None,
) -> wfsim.Scenario:
    """Return the platform with all 27 flows, in which nothing has been asked for yet.

    There are a master ``cluster-1`` and its *slaves* ``cluster-2`` and on, which run;
    a backup ``backup-0`` of the master; ``stranger-1``, a cluster that somebody else has
    deployed; hosts for all of them, and ``host-spare``, which nothing runs on.
    *latencies* (seconds, or what `Duration.parse` reads) replaces entries of
    `LATENCIES`.

    *failures* is the probability that an operation fails, by its name in `LATENCIES`,
    such as ``{"Deploy": 0.05}``; none is 0.  *operation_failure* is that of the kinds of
    operations that are launched and polled, where *failures* names them not: it covers
    all names but ``call``, ``back up``, ``restore``, ``move data`` and ``catch up``.
    What fails takes its time and has done nothing.  A launched operation ends with 9995,
    else the executor fails that does it or waits for it.  Failures of what no step
    waits for affect no flow: ``Prune``, ``Push``, the start after an offline upgrade, the
    change back of a configuration.
    Raises `DefinitionError` naming every problem.
    """
    _check(slaves, operation_failure)
    drawn = durations(LATENCIES, latencies or {})
    shares = probabilities(LATENCIES, failures or {})
    return wfsim.Scenario(
        flows=shipped().values(),
        steps=STEPS,
        world=partial(
            world,
            slaves,
            operation_failure=operation_failure,
            latencies=drawn,
            failures=shares,
        ),
        policy=policy,
        title=f"TiUniManager, 1 + {slaves} clusters",
        begin=begin,
        recall=recall,
        requests=OUTSIDE,
    )


def world(slaves: int = 2, **more: Any) -> TiemWorld:
    """Return the world that `scenario` begins with."""
    names = [f"cluster-{number}" for number in range(1, slaves + 2)]
    hosts = [_host(f"host-{number}", 8) for number in range(1, len(names) + 3)]
    clusters = [
        _cluster(name, host.name) for name, host in zip(names, hosts, strict=False)
    ]
    for slave in clusters[1:]:
        slave.master, slave.read_only = names[0], True
    stranger = Cluster("stranger-1")
    for instance in _placed("stranger-1", hosts[-1].name):
        stranger.add(instance)
    built = TiemWorld(
        [*hosts, _host("host-spare", 0)],
        clusters,
        feeds=[
            ChangeFeed(f"feed-{names[0]}-{name}", names[0], name) for name in names[1:]
        ],
        strangers=[Stranger("stranger-1", stranger.plan())],
        **more,
    )
    built.backups["backup-0"] = Backup("backup-0", names[0], "Finished", "rows of old")
    return built


def _host(name: str, capacity: int) -> Host:
    """Return a host that has been imported."""
    host = Host(name, capacity, "Online")
    host.authorized = host.prepared = host.software = host.filebeat = True
    return host


def _placed(cluster: str, host: str) -> list[Instance]:
    placed = instances(cluster, STANDING)
    for instance in placed:
        instance.host = host
    return placed


def _cluster(name: str, host: str) -> Cluster:
    """Return a cluster that runs."""
    cluster = Cluster(name, status="Running", binary="v5.4.0", keyed=True)
    for instance in _placed(name, host):
        instance.status, instance.deployed, instance.up = "Running", True, True
        instance.store = "Up" if instance.type == "TiKV" else ""
        cluster.add(instance)
    cluster.topology = cluster.plan()
    cluster.accounts = ["root"]
    cluster.rows, cluster.backup_strategy = f"rows of {name}", "daily"
    return cluster


def _check(slaves: int, operation_failure: float) -> None:
    problems = []
    if isinstance(slaves, bool) or int(slaves) != slaves or slaves < 0:
        text, cure = f"slaves is {slaves!r}", "give a whole number from 0 on"
        problems.append(wfsim.errors.Problem(text, cure, ("slaves",)))
    if not 0.0 <= operation_failure <= 1.0:
        text = f"operation_failure is {operation_failure!r}"
        cure = "give a probability from 0 to 1"
        problems.append(wfsim.errors.Problem(text, cure, ("operation_failure",)))
    if problems:
        raise wfsim.DefinitionError(*problems)


@cache
def shipped() -> Mapping[str, wfsim.Flow]:
    """Return all 27 flows by name."""
    package = Path(__file__).parents[1]
    # Inside the package in a wheel, else beside it.
    folders = [package / "flows", package.parent / "flows"]
    folder = next(folder for folder in folders if folder.is_dir()) / "tiem"
    return {
        flow.name: flow
        for kind in ("cluster", "host", "platform")
        for flow in wfsim.load_flows(folder / kind).values()
    }


__all__ = ["scenario", "shipped", "world"]
