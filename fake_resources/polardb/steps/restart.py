"""The steps that restart engines, tell them parameters, and grow their file systems."""

from __future__ import annotations

from typing import Any

import wfsim
from fake_resources.pods import Engine
from fake_resources.polardb import members, requests
from fake_resources.polardb.steps.create import params_of
from fake_resources.polardb.steps.instance import (
    POD_LOST,
    Effect,
    calls,
    class_wanted,
    params_wanted,
    restart,
    start_again,
    until_pod,
    until_well,
    volume_of,
)

_RUNNING = (Engine.RUNNING, Engine.STARTING)


@wfsim.step("RestartIns")
def restart_ins(ctx: wfsim.StepContext) -> Effect:
    """Restart the instance that is named; one that is not known is passed over.

    Repeats.
    """
    resource = yield from ctx.fetch()
    name = requests.target_of(ctx)
    if name in members.instances(resource):
        yield from restart(ctx, name)
    else:
        yield from calls(ctx, "look")


@wfsim.step("RestartCluster")
def restart_cluster(ctx: wfsim.StepContext) -> Effect:
    """Stop the followers, restart the leader, start the followers.  Repeats."""
    yield from _restart_all(ctx)


@wfsim.step("RestartClusterIfNeed")
def restart_cluster_if_need(ctx: wfsim.StepContext) -> Effect:
    """Do the same if the flush of parameters has asked for it.  Repeats."""
    resource = yield from ctx.fetch()
    if resource.annotations.get(requests.RESTART_AFTER_FLUSH) == "true":
        yield from _restart_all(ctx)


def _restart_all(ctx: wfsim.StepContext) -> Effect:
    resource = yield from ctx.fetch()
    pods, followers = ctx.world.pods, members.followers(resource)
    for name in followers:
        if name not in pods:
            raise wfsim.Interrupted(POD_LOST, f"{name} is gone")
        if pods[name].engine not in _RUNNING:
            continue
        pods[name].halt()
        yield from until_pod(
            ctx,
            name,
            lambda pod: pod.engine not in _RUNNING,
            every=0.0,
            timeout=10.0,
            what="stopped",
            operation="stop engine",
        )
    for name in members.instances(resource):
        yield from restart(ctx, name)


@wfsim.step("FlushParams")
def flush_params(ctx: wfsim.StepContext) -> Effect:
    """Tell every engine the parameters that have changed.

    Converges: that a restart is needed is noted down before anybody is told.
    """
    resource = yield from ctx.fetch()
    wanted, pods = dict(params_wanted(ctx)), ctx.world.pods
    told = [name for name in members.instances(resource) if name in pods]
    if any(_needs_restart(pods[name].params, wanted) for name in told):
        yield from ctx.update(annotations={requests.RESTART_AFTER_FLUSH: "true"})
    for name in told:
        yield from calls(ctx, f"push {name}")
        if name in pods:
            pods[name].params = dict(wanted)
        start_again(ctx.world, name)
        yield from until_well(ctx, name)


@wfsim.step("FlushParamsIfNecessary")
def flush_params_if_necessary(ctx: wfsim.StepContext) -> Effect:
    """Restart every engine if the new class changes what only a restart changes.

    Repeats.  Followers must never take fewer connections than the leader: so they come
    first if there will be more, and last if there will be fewer.
    """
    resource = yield from ctx.fetch()
    before = params_of(requests.spec_of(ctx)["classInfo"])
    after = params_of(class_wanted(ctx))
    if not _needs_restart(before, after):
        return
    order = members.instances(resource)
    if after["max_connections"] > before["max_connections"]:
        order = [*order[1:], order[0]]
    for name in order:
        if name in ctx.world.pods:
            ctx.world.pods[name].params = dict(after)
        yield from restart(ctx, name)


def _needs_restart(before: dict[str, Any], after: dict[str, Any]) -> bool:
    return before.get("max_connections") != after.get("max_connections")


@wfsim.step("SaveParamsLastUpdateTime")
def save_params_last_update_time(ctx: wfsim.StepContext) -> Effect:
    """Note down when the parameters were flushed.  Converges."""
    yield from calls(ctx, "save")
    manager = ctx.world.managers.get(ctx.resource.name)
    if manager is not None:
        manager.params_saved = ctx.clock.now


@wfsim.step("ExtendStorageFs")
def extend_storage_fs(ctx: wfsim.StepContext) -> Effect:
    """Grow every file system to the volume as it is now, the leader's last.

    Repeats.  Returns the size of the volume, in GB.
    """
    resource = yield from ctx.fetch()
    size, pods = volume_of(ctx).size, ctx.world.pods
    for name in [*members.followers(resource), members.leader(resource)]:
        if name not in pods:
            raise LookupError(f"{name} has no pod to run a command in")
        pods[name].grow(size)
        yield from until_pod(
            ctx,
            name,
            lambda pod: pod.disk == size,
            every=3.0,
            timeout=300.0,
            what="grown",
            operation="grow file system",
        )
    return {"sizeGb": size}


STEPS = (
    restart_ins,
    restart_cluster,
    restart_cluster_if_need,
    flush_params,
    flush_params_if_necessary,
    save_params_last_update_time,
    extend_storage_fs,
)

__all__ = ["STEPS"]
