"""The steps of the seed's flow, each of which may be cut short anywhere and run again.

The one rule: a step acts on what it reads in the world, never on what it remembers.
What a second run does is said for each, in the words of the reference's catalogue:
it is a *noop*, it *converges*, or it *repeats* what it did.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import wfsim
from fake_resources.pods import Engine, Phase, Pod
from fake_resources.polardb.cluster import PolarWorld, volume_name
from fake_resources.storage import StorageFull, Volume

DB_START_FAIL = "DB_START_FAIL"
NO_AVAILABLE_NODE = "NO_AVAILABLE_NODE"
POD_LOST = "POD_LOST"
POD_UNSCHEDULED = "POD_UNSCHEDULED"
TARGET_NODE_UNAVAILABLE = "TARGET_NODE_UNAVAILABLE"

FINALIZER = "polardb/release"
"""Holds a deleted cluster back until its pods, manager and volume are gone."""

CALLS = wfsim.Duration.parse({"percentiles": {"p50": 1.5, "p99": 6}})
"""Seconds that a handful of calls take, of which the world keeps nothing."""

Effect = Generator[Any, Any, Any]


class PodFailed(Exception):
    """A pod has failed: an ordinary failure, which the retry meets with a new pod."""


@wfsim.step("InitMeta")
def init_meta(ctx: wfsim.StepContext) -> Effect:
    """Name the instances, set the engine's parameters, hold the cluster by a finalizer.

    Converges: names are kept once there is a leader, parameters are set again.
    """
    yield from ctx.sleep(CALLS.draw(ctx.draw("accounts")))
    resource = yield from ctx.fetch()
    status: dict[str, Any] = {}
    if "leader" not in resource.status:
        followers = range(1, resource.spec["followerNum"] + 1)
        status = {
            "leader": f"{resource.name}-rw",
            "followers": [f"{resource.name}-ro-{number}" for number in followers],
            "instances": {},
        }
    memory = resource.spec["classInfo"]["memoryGb"]
    yield from ctx.update(
        spec={"engineParams": {"shared_buffers_gb": memory // 4, "max_connections": 800}},
        status=status,
        annotations={"clusterManagerPort": "5500"},
        finalizers={*resource.finalizers, FINALIZER},
    )


@wfsim.step("PrepareStorage")
def prepare_storage(ctx: wfsim.StepContext) -> Effect:
    """Have the volume bound and formatted: 4 requests 2 s apart, then polls for 60 s.

    Repeats: the volume is formatted again.
    """
    storage, name = ctx.world.storage, volume_name(ctx.resource.name)
    for last in (False, False, False, True):
        try:
            storage.prepare(name, ctx.resource.spec["sharedStorage"]["sizeGb"])
            break
        except StorageFull as error:
            if last:
                raise
            ctx.log(f"{error}; asking again")
            yield from ctx.sleep(2.0)
    yield from ctx.world.until(
        lambda: name in storage.volumes and storage.volumes[name].ready,
        every=5.0,
        timeout=60.0,
        what=f"{name} ready",
    )
    return {"volume": name}


@wfsim.step("CreateRwPod")
def create_rw_pod(ctx: wfsim.StepContext) -> Effect:
    """Bring the leader up.

    Converges: a pod that lives is used, an engine that is installed is not touched.
    """
    yield from bring_up(ctx, ctx.resource.status["leader"], "rw")


@wfsim.step("CreateRoPods")
def create_ro_pods(ctx: wfsim.StepContext) -> Effect:
    """Bring the followers up, one after the other.  Converges like `create_rw_pod`."""
    for follower in ctx.resource.status["followers"]:
        yield from bring_up(ctx, follower, "ro")


@wfsim.step
class CreateClusterManager:
    """Deploy the cluster manager without waiting for it.  Converges."""

    def init(self, ctx: wfsim.StepContext) -> Effect:
        """Have its role, binding and config maps."""
        yield from ctx.sleep(CALLS.draw(ctx.draw("roles")))

    def do_step(self, ctx: wfsim.StepContext) -> None:
        """Ask for the deployment, unless there is one."""
        ctx.world.deploy_manager(ctx.resource.name)


@wfsim.step("AddToClusterManager")
def add_to_cluster_manager(ctx: wfsim.StepContext) -> Effect:
    """Register every instance with the cluster manager, which has 180 s to be ready.

    Converges.  Newer versions of the operator have no such step: there the steps that
    create instances register them.
    """
    world, cluster = ctx.world, ctx.resource.name

    def ready() -> bool:
        return cluster in world.managers and world.managers[cluster].ready

    def registered(member: str) -> bool:
        return ready() and member in world.managers[cluster].members

    wait = {"every": 1.0, "timeout": 180.0}
    yield from world.until(ready, what=f"cluster manager of {cluster} ready", **wait)
    for member in instances(ctx.resource):
        if not registered(member):
            world.managers[cluster].register(member)
            what = f"{member} registered"
            yield from world.until(lambda m=member: registered(m), what=what, **wait)


@wfsim.step
class UpdateRunningStatus:
    """Write down what is there; the engine writes the state, together with completion.

    Converges.  As in the reference, it does not care whether the instances still live.
    """

    def init(self, ctx: wfsim.StepContext) -> Effect:
        """Read the resource anew."""
        yield from ctx.fetch()

    def do_step(self, ctx: wfsim.StepContext) -> Effect:
        """Write which instances are ready, and where the leader is to be found."""
        pods, leader = ctx.world.pods, ctx.resource.status["leader"]
        self.ready = [
            name
            for name in instances(ctx.resource)
            if name in pods and pods[name].ready and pods[name].reachable
        ]
        yield from ctx.update(status={"ready": self.ready, "endpoint": f"{leader}:1521"})

    def output(self, ctx: wfsim.StepContext) -> dict[str, Any]:
        """Return what the log should show of it."""
        return {"ready": len(self.ready)}


STEPS = (
    init_meta,
    prepare_storage,
    create_rw_pod,
    create_ro_pods,
    CreateClusterManager,
    add_to_cluster_manager,
    UpdateRunningStatus,
)


def release(ctx: wfsim.StepContext) -> Effect:
    """Give back what a deleted cluster holds: manager, pods, volume.  Converges."""
    world, cluster = ctx.world, ctx.resource.name
    world.remove_manager(cluster)
    for pod in world.pods_of(cluster):
        pod.delete()
    yield from world.until(lambda: not world.pods_of(cluster))
    world.storage.release(volume_name(cluster))


def instances(resource: wfsim.Resource) -> list[str]:
    """Return the names of the leader and the followers of *resource*."""
    return [resource.status["leader"], *resource.status["followers"]]


def volume_of(ctx: wfsim.StepContext) -> Volume:
    """Return the volume that `PrepareStorage` has prepared."""
    volumes: dict[str, Volume] = ctx.world.storage.volumes
    return volumes[volume_name(ctx.resource.name)]


def bring_up(ctx: wfsim.StepContext, name: str, role: str) -> Effect:
    """Have the instance *name* up: pod, volume, engine; skip what is there already.

    Waits as the reference does, poll / at most: pod ready 0 / 900 s, volume 3 / 60 s,
    write lock 5 / 60 s, engine installed 3 / 300 s, leader healthy 5 / 300 s.
    """
    world, volume = ctx.world, volume_of(ctx)

    def until(
        done: Callable[[Pod], bool], every: float, timeout: float, what: str
    ) -> Effect:
        return _until(ctx, name, done, every=every, timeout=timeout, what=what)

    _ensure_pod(ctx, name, role)
    yield from until(lambda pod: pod.ready, 0.0, 900.0, "ready")
    if name not in volume.attached:
        volume.attach(name)
        yield from until(lambda _: name in volume.attached, 3.0, 60.0, "attached")
    if role == "rw" and volume.writer != name:
        volume.lock(name)
        yield from until(
            lambda _: volume.writer == name, 5.0, 60.0, "holding the write lock"
        )
    world.pods[name].install()
    yield from until(lambda pod: pod.installed, 3.0, 300.0, "installed")
    if role == "rw":
        yield from until(lambda pod: pod.healthy, 5.0, 300.0, "healthy")
    resource = yield from ctx.fetch()
    entry = {"role": role, "node": world.pods[name].node}
    yield from ctx.update(
        status={"instances": {**resource.status["instances"], name: entry}}
    )


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
        ctx.log(f"{name} is there already: {pod.phase}, engine {pod.engine}")
        return
    target = ctx.resource.spec.get("targetNodes", {}).get(name, "")
    usable = [node.name for node in world.nodes.values() if node.schedulable]
    if target and target not in usable:
        raise wfsim.Interrupted(TARGET_NODE_UNAVAILABLE, f"{name}: {target} is not ready")
    if not usable:
        raise wfsim.Interrupted(NO_AVAILABLE_NODE, f"{name}: no node is ready")
    world.create_pod(name, ctx.resource.name, role, target)


def _until(
    ctx: wfsim.StepContext,
    name: str,
    done: Callable[[Pod], bool],
    *,
    every: float,
    timeout: float,
    what: str,
) -> Effect:
    """Wait until *done* holds for the pod, or raise what stands in its way."""
    world = ctx.world

    def settled() -> bool:
        return _trouble(world, name) is not None or done(world.pods[name])

    yield from world.until(settled, every=every, timeout=timeout, what=f"{name} {what}")
    trouble = _trouble(world, name)
    if trouble is not None:
        raise trouble


def _trouble(world: PolarWorld, name: str) -> Exception | None:
    """Return what keeps the pod from ever being ready, as a step would raise it.

    A pod that fails, of itself (``pod_failure``) or by hand, is an ordinary failure: the
    retry replaces it.  What a new pod would not mend is an interrupt for an operator.
    """
    pod = world.pods.get(name)
    if pod is None or pod.phase is Phase.TERMINATING:
        return wfsim.Interrupted(POD_LOST, f"{name} is gone")
    if not pod.reachable:
        return wfsim.Interrupted(POD_LOST, f"{name} is on {pod.node}, which is not ready")
    if pod.unschedulable:
        return wfsim.Interrupted(POD_UNSCHEDULED, f"{name}: no node has room")
    if pod.engine is Engine.FAILED:
        return wfsim.Interrupted(DB_START_FAIL, f"{name}: the engine does not start")
    if pod.phase is Phase.FAILED:
        return PodFailed(f"{name} failed (generation {pod.generation})")
    return None


__all__ = ["FINALIZER", "STEPS", "PodFailed", "bring_up", "instances", "release"]
