"""A scenario of shared-storage clusters, ready to run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import wfsim
from fake_resources.polardb.cluster import PolarWorld, durations
from fake_resources.polardb.machine import KIND, machine
from fake_resources.polardb.steps import STEPS

SIZE_GB = 100
"""What the volume of one cluster takes."""


def scenario(
    replicas: int = 2,
    *,
    name: str = "mpd-0",
    clusters: int = 1,
    state: str = "",
    pod_failure: float = 0.0,
    nodes: int = 3,
    pods_per_node: int | None = None,
    storage_gb: int | None = None,
    latencies: Mapping[str, Any] | None = None,
    policy: wfsim.Policy | None = None,
    flows: str | Path | None = None,
) -> wfsim.Scenario:
    """Return clusters of one leader and *replicas* followers that are to be created.

    The first cluster is called *name*; further ones count on from its number.  *state*
    is the one they begin in: "" (read as ``Creating``) or ``Init``.  *pod_failure* is
    the probability that a pod fails to start, which its step retries with a new pod.
    *pods_per_node* and *storage_gb* are ample if not given.  *latencies* (seconds, or
    what `Duration.parse` reads) replaces entries of `LATENCIES`.  *flows* is a folder of
    flow files other than the seed's.  Raises `DefinitionError` naming every problem.
    """
    _check(replicas=replicas, clusters=clusters, nodes=nodes, pod_failure=pod_failure)
    durations(latencies or {})
    pods = clusters * (replicas + 1)
    room = max(pods, 8) if pods_per_node is None else pods_per_node
    make_world = partial(
        PolarWorld,
        nodes={f"node-{number}": room for number in range(1, nodes + 1)},
        storage=2 * clusters * SIZE_GB if storage_gb is None else storage_gb,
        pod_failure=pod_failure,
        latencies=latencies,
    )
    spec = {
        "dbClusterType": "share",
        "followerNum": int(replicas),
        "classInfo": {"className": "polar.o.x4.medium", "cpu": 4, "memoryGb": 16},
        "sharedStorage": {"sizeGb": SIZE_GB},
    }
    return wfsim.Scenario(
        resources=[
            wfsim.Resource(KIND, each, state=state).edit(spec=spec)
            for each in _names(name, clusters)
        ],
        machine=machine(),
        flows=_seed_flows() if flows is None else flows,
        steps=STEPS,
        world=make_world,
        policy=policy,
        title=f"PolarDB, {clusters} x (1 + {replicas})",
    )


def _names(first: str, clusters: int) -> list[str]:
    stem, _, number = first.rpartition("-")
    if not (stem and number.isascii() and number.isdigit()):
        return [first, *(f"{first}-{index}" for index in range(1, clusters))]
    return [
        f"{stem}-{int(number) + index}" if index else first for index in range(clusters)
    ]


def _check(*, replicas: int, clusters: int, nodes: int, pod_failure: float) -> None:
    """Raise `DefinitionError` for numbers that describe nothing."""
    problems = [
        f"{name} is {value!r}; give a whole number from {least} on"
        for name, value, least in (
            ("replicas", replicas, 0),
            ("clusters", clusters, 1),
            ("nodes", nodes, 1),
        )
        if int(value) != value or value < least
    ]
    if not 0.0 <= pod_failure <= 1.0:
        problems.append(f"pod_failure is {pod_failure!r}; give a probability from 0 to 1")
    if problems:
        raise wfsim.DefinitionError(*problems)


@cache
def _seed_flows() -> tuple[wfsim.Flow, ...]:
    """Return the flows that come with the package: inside a wheel, beside a checkout."""
    package = Path(__file__).parents[1]
    folders = [package / "flows", package.parent / "flows"]
    found = next(folder for folder in folders if folder.is_dir())
    return tuple(wfsim.load_flows(found / "polardb" / "shared").values())


__all__ = ["scenario"]
