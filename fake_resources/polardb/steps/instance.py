"""Effects on one instance: bring it up, restart it, let it go, and wait for that.

Waits are those of the reference, poll / at most; polls are computed by the world.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Any

import wfsim
from fake_resources.fakes import OperationFailed
from fake_resources.pods import Engine, Phase, Pod
from fake_resources.polardb import members, requests
from fake_resources.polardb.cluster import PolarWorld, volume_name
from fake_resources.storage import Volume

DB_START_FAIL = "DB_START_FAIL"
NO_AVAILABLE_NODE = "NO_AVAILABLE_NODE"
POD_LOST = "POD_LOST"
POD_UNSCHEDULED = "POD_UNSCHEDULED"
TARGET_NODE_UNAVAILABLE = "TARGET_NODE_UNAVAILABLE"

CALLS = wfsim.Duration.parse({"percentiles": {"p50": 1.5, "p99": 6}})
"""Seconds that a handful of calls take, of which the world keeps nothing."""

Effect = Generator[Any, Any, Any]


class PodFailed(Exception):
    """A pod has failed: an ordinary failure, which the retry meets with a new pod."""


def calls(ctx: wfsim.StepContext, purpose: str) -> Effect:
    """Make a handful of calls."""
    yield from ctx.sleep(CALLS.draw(ctx.draw(purpose)))


def volume_of(ctx: wfsim.StepContext) -> Volume:
    """Return the volume that `PrepareStorage` has prepared."""
    volumes: dict[str, Volume] = ctx.world.storage.volumes
    return volumes[volume_name(ctx.resource.name)]


def bring_up(ctx: wfsim.StepContext, name: str, role: str) -> Effect:
    """Bring the instance *name* up: pod, volume, engine; skip what is there already.

    Waits as the reference does, poll / at most: pod ready 0 / 900 s, volume 3 / 60 s,
    write lock 5 / 60 s, engine installed 3 / 300 s, leader healthy 5 / 300 s.
    """
    world, volume = ctx.world, volume_of(ctx)

    until = partial(until_pod, ctx, name)

    _ensure_pod(ctx, name, role)
    yield from until(lambda pod: pod.ready, 0.0, 900.0, "ready")
    if name not in volume.attached:
        volume.attach(name)
        yield from until(
            lambda _: name in volume.attached, 3.0, 60.0, "attached", "attach volume"
        )
    if role == "rw" and volume.writer != name:
        volume.lock(name)
        yield from until(
            lambda _: volume.writer == name,
            *(5.0, 60.0, "holding the write lock", "lock volume"),
        )
    world.pods[name].install()
    yield from until(
        lambda pod: pod.installed, 3.0, 300.0, "installed", "install database"
    )
    if role == "rw":
        yield from until(lambda pod: pod.healthy, 5.0, 300.0, "healthy")
    resource = yield from ctx.fetch()
    noted = members.entries(resource)
    known = {key: value for key, value in noted.get(name, {}).items() if key != "state"}
    noted[name] = {**known, "role": role, "node": world.pods[name].node}
    yield from ctx.update(status={"instances": noted})


def enlist(ctx: wfsim.StepContext, member: str) -> Effect:
    """Register *member* with the cluster manager, which has 180 s to be ready.

    Converges: a member that is known is not registered again.
    """
    world, cluster = ctx.world, ctx.resource.name

    def registered() -> bool:
        manager = world.managers.get(cluster)
        return manager is not None and manager.ready and member in manager.members

    yield from until_manager(ctx, every=1.0)
    if not registered():
        world.managers[cluster].register(member)
        yield from world.until(
            world.failing_with("register member", member, registered),
            every=1.0,
            timeout=180.0,
            what=f"{member} registered",
        )


def until_manager(ctx: wfsim.StepContext, every: float) -> Effect:
    """Wait until the cluster manager is ready, *every* / 180 s.

    One that has failed to come up is deployed again, for the retry to wait for.
    """
    world, cluster = ctx.world, ctx.resource.name

    def ready() -> bool:
        return cluster in world.managers and world.managers[cluster].ready

    try:
        yield from world.until(
            world.failing_with("deploy manager", cluster, ready),
            every=every,
            timeout=180.0,
            what=f"cluster manager of {cluster} ready",
        )
    except OperationFailed:
        if cluster in world.managers:
            world.managers[cluster].deploy()
        raise


def restart(ctx: wfsim.StepContext, name: str) -> Effect:
    """Restart *name* in place: ready within 900 s, healthy 5 / 300 s.  Repeats."""
    start_again(ctx.world, name)
    trouble = trouble_with(ctx.world, name)
    if trouble is not None and not isinstance(trouble, PodFailed):
        raise trouble
    ctx.world.pods[name].restart()
    yield from until_pod(
        ctx, name, lambda pod: pod.ready, every=0.0, timeout=900.0, what="ready"
    )
    yield from until_well(ctx, name)


def until_well(ctx: wfsim.StepContext, name: str, timeout: float = 300.0) -> Effect:
    """Wait until a client could use *name*, 5 / *timeout* s."""
    yield from until_pod(
        ctx, name, lambda pod: pod.healthy, every=5.0, timeout=timeout, what="healthy"
    )


def dismiss(ctx: wfsim.StepContext, name: str) -> Effect:
    """Unregister *name* and have its pod gone: 10 s to stop, 60 s to go.  Converges."""
    world, cluster = ctx.world, ctx.resource.name
    if cluster in world.managers:
        world.managers[cluster].unregister(name)
    if name in world.pods:
        world.pods[name].delete()
    yield from until_gone(ctx, name, timeout=70.0)


def until_gone(ctx: wfsim.StepContext, name: str, timeout: float) -> Effect:
    """Wait until there is no pod *name*, for *timeout* seconds."""
    world = ctx.world

    def gone() -> bool:
        return name not in world.pods

    gone = world.failing_with("stop pod", name, gone)
    yield from world.until(gone, timeout=timeout, what=f"{name} gone")


def class_wanted(ctx: wfsim.StepContext) -> Mapping[str, Any]:
    """Return the class that this run works towards, as an earlier step may say."""
    return _wanted(ctx, "classInfo")


def version_wanted(ctx: wfsim.StepContext) -> Mapping[str, Any]:
    """Return the version that this run works towards, as an earlier step may say."""
    return _wanted(ctx, "versionCfg")


def params_wanted(ctx: wfsim.StepContext) -> Mapping[str, Any]:
    """Return the parameters that this run works towards, as an earlier step may say."""
    return _wanted(ctx, "engineParams")


def _wanted(ctx: wfsim.StepContext, part: str) -> Mapping[str, Any]:
    wanted: Mapping[str, Any] = ctx.inputs.get(part, {})
    return wanted or requests.spec_of(ctx).get(part, {})


def _ensure_pod(ctx: wfsim.StepContext, name: str, role: str) -> None:
    """Ask for the pod, unless one lives or is on its way.

    A node is looked for first, so that an operator hears of it before any pod waits.
    """
    world = ctx.world
    pod: Pod | None = world.pods.get(name)
    dead = pod is not None and (
        pod.phase in (Phase.FAILED, Phase.TERMINATING)
        or pod.unschedulable
        or not pod.reachable
    )
    if pod is not None and not dead:
        pod.start_again()
        ctx.log(f"{name} is there already: {pod.phase}, engine {pod.engine}")
        return
    # Where the run moves it to, or else where whoever operates the nodes wants it now.
    noted = members.entry(ctx.resource, name).get("target", "")
    target = noted or ctx.resource.spec.get("targetNodes", {}).get(name, "")
    nodes = world.nodes
    if target and not (target in nodes and nodes[target].schedulable):
        raise wfsim.Interrupted(TARGET_NODE_UNAVAILABLE, f"{name}: {target} is not ready")
    if not any(node.schedulable for node in nodes.values()):
        raise wfsim.Interrupted(NO_AVAILABLE_NODE, f"{name}: no node is ready")
    world.create_pod(
        name,
        ctx.resource.name,
        "rw" if role == "rw" else "ro",
        target,
        flavour=class_wanted(ctx).get("className", ""),
        image=version_wanted(ctx).get("versionName", ""),
        params=dict(params_wanted(ctx)),
    )


def until_pod(
    ctx: wfsim.StepContext,
    name: str,
    done: Callable[[Pod], bool],
    every: float,
    timeout: float,
    what: str,
    operation: str = "",
) -> Effect:
    """Wait until *done* holds for the pod, or raise what stands in its way.

    That is also that *operation*, by which it should come to hold, has failed.
    """
    world, trouble = ctx.world, None

    def settled() -> bool:
        nonlocal trouble
        trouble = trouble_with(world, name)
        return trouble is not None or done(world.pods[name])

    over = world.failing_with(operation, name, settled) if operation else settled
    yield from world.until(over, every=every, timeout=timeout, what=f"{name} {what}")
    if trouble is not None:
        raise trouble


def start_again(world: PolarWorld, name: str) -> None:
    """Start the engine of *name* again, if it has failed to start."""
    if name in world.pods:
        world.pods[name].start_again()


def trouble_with(world: PolarWorld, name: str) -> Exception | None:
    """Return what keeps the pod from ever being ready, as a step would raise it.

    A pod that fails, of itself or by hand, is an ordinary failure: the retry replaces it.
    What a new pod would not mend is an interrupt for an operator.
    """
    pod = world.pods.get(name)
    if pod is not None and pod.can_become_healthy:
        return None
    if pod is None or pod.phase is Phase.TERMINATING:
        return wfsim.Interrupted(POD_LOST, f"{name} is gone")
    if not pod.reachable:
        return wfsim.Interrupted(POD_LOST, f"{name} is on {pod.node}, which is not ready")
    if pod.unschedulable:
        return wfsim.Interrupted(POD_UNSCHEDULED, f"{name}: no node has room")
    if pod.engine is Engine.FAILED:
        return wfsim.Interrupted(DB_START_FAIL, f"{name}: the engine does not start")
    return PodFailed(f"{name} failed (generation {pod.generation})")


__all__ = [
    "CALLS",
    "DB_START_FAIL",
    "NO_AVAILABLE_NODE",
    "POD_LOST",
    "POD_UNSCHEDULED",
    "TARGET_NODE_UNAVAILABLE",
    "Effect",
    "PodFailed",
    "bring_up",
    "calls",
    "class_wanted",
    "dismiss",
    "enlist",
    "params_wanted",
    "restart",
    "start_again",
    "trouble_with",
    "until_gone",
    "until_manager",
    "until_pod",
    "until_well",
    "version_wanted",
    "volume_of",
]
