"""The steps that create a single instance on local storage."""

from __future__ import annotations

import wfsim
from fake_resources.pods import Engine
from fake_resources.polardb.steps.create import FINALIZER
from fake_resources.polardb.steps.instance import Effect, calls, until_pod


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


STEPS = (init_status_info, create_pod, install_db_engine)

__all__ = ["STEPS"]
