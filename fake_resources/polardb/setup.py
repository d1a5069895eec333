"""A scenario of shared-storage clusters, ready to run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from numbers import Real
from pathlib import Path
from typing import Any

import wfsim
from fake_resources.fakes import durations, probabilities
from fake_resources.polardb.asks import OUTSIDE
from fake_resources.polardb.cluster import LATENCIES, PolarWorld
from fake_resources.polardb.machine import KIND, LOCAL_KIND, local_machine, machine
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
    failures: Mapping[str, float] | None = None,
    policy: wfsim.Policy | None = None,
    flows: str | Path | None = None,
) -> wfsim.Scenario:
    """Return clusters of one leader and *replicas* followers that are to be created.

    The first cluster is called *name*; further ones count on from its number.  *state*
    is the one they begin in: "" (read as ``Creating``) or ``Init``.  *pod_failure* is
    the probability that a pod fails to start, which its step retries with a new pod.
    *pods_per_node* and *storage_gb* are ample if not given.  *latencies* (seconds, or
    what `Duration.parse` reads) replaces entries of `LATENCIES`.  *flows* is a folder of
    flow files that take the place of shipped ones of the same name, such as `CURRENT`.

    *failures* is the probability that an operation fails, by its name in `LATENCIES`,
    such as ``{"format volume": 0.05}``; none is 0.  *pod_failure* is that of ``launch
    pod`` and ``restart pod`` where *failures* names them not.  What fails takes its time
    and has done nothing; the step that waits for it fails, and asks again when it is
    retried.  An engine that does not start interrupts (``DB_START_FAIL``), and is started
    again by the step that is recovered.  Failures of operations that no step waits
    for affect no run: a ``fail over``, an engine of a follower, the last move of a
    cluster manager.
    Raises `DefinitionError` naming every problem.
    """
    _check(replicas=replicas, clusters=clusters, nodes=nodes, pod_failure=pod_failure)
    drawn = durations(LATENCIES, latencies or {})  # here once, not in every world
    shares = probabilities(LATENCIES, failures or {})
    pods = clusters * (replicas + 1)
    room = max(pods, 8) if pods_per_node is None else pods_per_node
    make_world = partial(
        PolarWorld,
        nodes={f"node-{number}": room for number in range(1, nodes + 1)},
        storage=2 * clusters * SIZE_GB if storage_gb is None else storage_gb,
        pod_failure=pod_failure,
        latencies=drawn,
        failures=shares,
    )
    return wfsim.Scenario(
        resources=[
            wfsim.Resource(KIND, each, state=state).edit(spec=_spec(int(replicas)))
            for each in _names(name, clusters)
        ],
        machine=machine(),
        flows=_flows(flows),
        steps=STEPS,
        world=make_world,
        requests=OUTSIDE,
        policy=policy,
        title=f"PolarDB, {clusters} x (1 + {replicas})",
    )


def _spec(replicas: int) -> dict[str, Any]:
    return {
        "dbClusterType": "share",
        "followerNum": replicas,
        "classInfo": {"className": "polar.o.x4.medium", "cpu": 4, "memoryGb": 16},
        "versionCfg": {"versionName": "1.1.20"},
        "sharedStorage": {"sizeGb": SIZE_GB},
    }


def local_scenario(
    *,
    name: str = "mpd-local-0",
    latencies: Mapping[str, Any] | None = None,
    failures: Mapping[str, float] | None = None,
) -> wfsim.Scenario:
    """Return one instance on local storage that is to be created.

    *latencies* and *failures* are those of `scenario`.  Raises `DefinitionError`.
    """
    spec = {"dbClusterType": "local"}
    make_world = partial(
        PolarWorld,
        nodes={"node-1": 8},
        storage=0,
        latencies=durations(LATENCIES, latencies or {}),
        failures=probabilities(LATENCIES, failures or {}),
    )
    return wfsim.Scenario(
        resources=[wfsim.Resource(LOCAL_KIND, name).edit(spec=spec)],
        machine=local_machine(),
        flows=_shipped("local").values(),
        steps=STEPS,
        world=make_world,
        requests=OUTSIDE,
        title="PolarDB on local storage",
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
        wfsim.errors.Problem(
            f"{name} is {value!r}", f"give a whole number from {least} on", (name,)
        )
        for name, value, least in (
            ("replicas", replicas, 0),
            ("clusters", clusters, 1),
            ("nodes", nodes, 1),
        )
        if not (_is_real(value) and value % 1 == 0 and value >= least)
    ]
    if not (_is_real(pod_failure) and 0.0 <= pod_failure <= 1.0):
        text, cure = f"pod_failure is {pod_failure!r}", "give a probability from 0 to 1"
        problems.append(wfsim.errors.Problem(text, cure, ("pod_failure",)))
    if problems:
        raise wfsim.DefinitionError(*problems)


def _is_real(value: Any) -> bool:
    return isinstance(value, Real)


@cache
def _folder() -> Path:
    """Return where the flows are: inside the package in a wheel, else beside it."""
    package = Path(__file__).parents[1]
    folders = [package / "flows", package.parent / "flows"]
    return next(folder for folder in folders if folder.is_dir()) / "polardb"


CURRENT = _folder() / "current"
"""The flows that the operator has changed since the seed was written."""


@cache
def _shipped(folder: str) -> Mapping[str, wfsim.Flow]:
    return wfsim.load_flows(_folder() / folder)


def _flows(folder: str | Path | None) -> list[wfsim.Flow]:
    """Return the shipped flows, those that *folder* has too taken from there."""
    given = {} if folder is None else wfsim.load_flows(folder)
    return [*{**_shipped("shared"), **given}.values()]


__all__ = ["CURRENT", "local_scenario", "scenario"]
