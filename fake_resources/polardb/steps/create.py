"""The steps that create a cluster on shared storage, or an instance on local storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import wfsim
from fake_resources.pods import Engine
from fake_resources.polardb import members, requests
from fake_resources.polardb.cluster import volume_name
from fake_resources.polardb.steps.instance import (
    CALLS,
    Effect,
    bring_up,
    calls,
    enlist,
    until_pod,
    version_wanted,
)
from fake_resources.storage import StorageFull

FINALIZER = "polardb/release"
"""Holds a deleted cluster back until its pods, manager and volume are gone."""


@wfsim.step("InitMeta")
def init_meta(ctx: wfsim.StepContext) -> Effect:
    """Name the instances, set the engine's parameters, hold the cluster by a finalizer.

    The parameters are those of the class, unless the spec gave others when the run began.
    Converges: names are kept once there is a leader, parameters are set again.  Returns
    the parameters, which later steps take from here.
    """
    yield from ctx.sleep(CALLS.draw(ctx.draw("accounts")))
    resource = yield from ctx.fetch()
    begun = requests.spec_of(ctx)
    params = begun.get("engineParams") or params_of(begun["classInfo"])
    status: dict[str, Any] = {}
    if "leader" not in resource.status:
        followers = range(1, begun["followerNum"] + 1)
        status = {
            "leader": f"{resource.name}-rw",
            "followers": [f"{resource.name}-ro-{number}" for number in followers],
            "instances": {},
        }
    yield from ctx.update(
        spec=params_unless_edited(ctx, params),
        status=status,
        annotations={"clusterManagerPort": "5500"},
        finalizers={*resource.finalizers, FINALIZER},
    )
    return {"engineParams": dict(params)}


def params_of(class_info: Mapping[str, Any]) -> dict[str, int]:
    """Return the parameters of an engine of the class *class_info*."""
    memory = int(class_info["memoryGb"])
    return {"shared_buffers_gb": memory // 4, "max_connections": 50 * memory}


def params_unless_edited(
    ctx: wfsim.StepContext, params: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what to write into the spec to have *params* there.

    That is nothing if somebody has asked for others since the run began.
    """
    edited = ctx.resource.spec.get("engineParams")
    if edited != requests.spec_of(ctx).get("engineParams"):
        return {}
    return {"engineParams": dict(params)}


@wfsim.step("PrepareStorage")
def prepare_storage(ctx: wfsim.StepContext) -> Effect:
    """Bind and format the volume: 4 requests 2 s apart, then polls for 60 s.

    Repeats: the volume is formatted again.
    """
    storage, name = ctx.world.storage, volume_name(ctx.resource.name)
    for last in (False, False, False, True):
        try:
            storage.prepare(name, requests.spec_of(ctx)["sharedStorage"]["sizeGb"])
            break
        except StorageFull as error:
            if last:
                raise
            ctx.log(f"{error}; asking again")
            yield from ctx.sleep(2.0)

    def ready() -> bool:
        return name in storage.volumes and storage.volumes[name].ready

    yield from ctx.world.until(
        ctx.world.failing_with("format volume", name, ready),
        every=5.0,
        timeout=60.0,
        what=f"{name} ready",
    )
    return {"volume": name}


@wfsim.step("CreateRwPod")
def create_rw_pod(ctx: wfsim.StepContext) -> Effect:
    """Bring the leader up, and register it if there is a cluster manager already.

    Converges: a pod that lives is used, an engine that is installed is not touched.
    """
    yield from _create(ctx, ctx.resource.status["leader"], "rw")


@wfsim.step("CreateRoPods")
def create_ro_pods(ctx: wfsim.StepContext) -> Effect:
    """Bring the followers up, one after the other.  Converges like `create_rw_pod`."""
    for follower in ctx.resource.status["followers"]:
        yield from _create(ctx, follower, "ro")


def _create(ctx: wfsim.StepContext, name: str, role: str) -> Effect:
    yield from bring_up(ctx, name, role)
    if ctx.resource.name in ctx.world.managers:
        yield from enlist(ctx, name)


@wfsim.step
class CreateClusterManager:
    """Deploy the cluster manager without waiting for it.  Converges."""

    def init(self, ctx: wfsim.StepContext) -> Effect:
        """Make its role, binding and config maps."""
        yield from ctx.sleep(CALLS.draw(ctx.draw("roles")))

    def do_step(self, ctx: wfsim.StepContext) -> None:
        """Ask for the deployment, unless there is one."""
        version = version_wanted(ctx).get("versionName", "")
        ctx.world.deploy_manager(ctx.resource.name, version)


@wfsim.step("AddToClusterManager")
def add_to_cluster_manager(ctx: wfsim.StepContext) -> Effect:
    """Register every instance with the cluster manager, which has 180 s to be ready.

    Converges.  Newer versions of the operator have no such step: there the steps that
    create instances register them.
    """
    for member in members.instances(ctx.resource):
        yield from enlist(ctx, member)


@wfsim.step("CreateNetwork")
def create_network(ctx: wfsim.StepContext) -> None:
    """Do nothing: the operator registers this step, and no flow has it.  A noop."""


@wfsim.step
class UpdateRunningStatus:
    """Write down what is there; the engine writes the state, together with completion.

    Converges.  As in the reference, it does not care whether the instances still live.
    There it writes the state itself, and does so however late it is replayed.
    """

    def init(self, ctx: wfsim.StepContext) -> Effect:
        """Read the resource anew."""
        yield from ctx.fetch()

    def do_step(self, ctx: wfsim.StepContext) -> Effect:
        """Write which instances are ready, and where the leader is to be found."""
        pods, leader = ctx.world.pods, ctx.resource.status["leader"]
        self.ready = [
            name
            for name in members.instances(ctx.resource)
            if name in pods and pods[name].ready and pods[name].reachable
        ]
        yield from ctx.update(status={"ready": self.ready, "endpoint": f"{leader}:1521"})

    def output(self, ctx: wfsim.StepContext) -> dict[str, Any]:
        """Return what the log should show of it."""
        return {"ready": len(self.ready)}


def release(ctx: wfsim.StepContext) -> Effect:
    """Give back what a deleted cluster holds: manager, pods, volume.  Converges."""
    world, cluster = ctx.world, ctx.resource.name
    world.remove_manager(cluster)

    def gone() -> bool:
        return not world.pods_of(cluster)

    for pod in world.pods_of(cluster):
        pod.delete()
        gone = world.failing_with("stop pod", pod.name, gone)
    yield from world.until(gone)
    world.storage.release(volume_name(cluster))


# -- one instance on local storage ------------------------------------------------------


@wfsim.step("workflow_local.InitStatusInfo")
def init_status_info(ctx: wfsim.StepContext) -> Effect:
    """Name the instance, give it a port, hold it by a finalizer.  Converges."""
    yield from calls(ctx, "ids")
    name = f"{ctx.resource.name}-0"
    yield from ctx.update(
        status={"leader": name, "followers": [], "endpoint": f"{name}:1521"},
        finalizers={*ctx.resource.finalizers, FINALIZER},
    )


@wfsim.step("workflow_local.CreatePod")
def create_pod(ctx: wfsim.StepContext) -> Effect:
    """Bring its pod up within 900 s.  Converges: one that lives is used."""
    name = ctx.resource.status["leader"]
    pod = ctx.world.pods.get(name)
    if pod is None or pod.phase in ("Failed", "Terminating") or not pod.reachable:
        ctx.world.create_pod(name, ctx.resource.name, "rw")
    yield from until_pod(
        ctx, name, lambda pod: pod.ready, every=0.0, timeout=900.0, what="ready"
    )


@wfsim.step("workflow_local.InstallDBEngine")
def install_db_engine(ctx: wfsim.StepContext) -> Effect:
    """Install the engine in the pod, 3 / 300 s.  Repeats: it is installed once more."""
    name = ctx.resource.status["leader"]
    if name in ctx.world.pods:
        ctx.world.pods[name].engine = Engine.NONE
        ctx.world.pods[name].install()
    yield from until_pod(
        ctx,
        name,
        lambda pod: pod.healthy,
        every=3.0,
        timeout=300.0,
        what="installed",
        operation="install database",
    )


STEPS = (
    init_meta,
    prepare_storage,
    create_rw_pod,
    create_ro_pods,
    CreateClusterManager,
    add_to_cluster_manager,
    create_network,
    UpdateRunningStatus,
    init_status_info,
    create_pod,
    install_db_engine,
)

__all__ = ["FINALIZER", "STEPS", "params_of", "params_unless_edited", "release"]
