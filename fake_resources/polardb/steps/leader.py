"""The steps that ask the cluster manager for something: who leads, and whether it may."""

from __future__ import annotations

import wfsim
from fake_resources.polardb import members, requests
from fake_resources.polardb.steps.instance import (
    Effect,
    calls,
    start_again,
    until_manager,
    until_well,
    version_wanted,
)

TEMP_INS_ID_NOT_FOUND = "TEMP_INS_ID_NOT_FOUND"


@wfsim.step("DisableHA")
def disable_ha(ctx: wfsim.StepContext) -> Effect:
    """Tell the cluster manager to leave the leader alone.  A noop once it does."""
    yield from _set_ha(ctx, on=False)


@wfsim.step("EnableHA")
def enable_ha(ctx: wfsim.StepContext) -> Effect:
    """Tell the cluster manager to replace a leader that is lost.  A noop once it does."""
    yield from _set_ha(ctx, on=True)


def _set_ha(ctx: wfsim.StepContext, on: bool) -> Effect:
    managers, cluster = ctx.world.managers, ctx.resource.name
    yield from until_manager(ctx, every=2.0)
    yield from calls(ctx, "request")
    if cluster not in managers:
        raise LookupError(f"{cluster} has no cluster manager any more")
    managers[cluster].ha = on
    # A leader may have been lost while nobody was to replace it.
    managers[cluster].notice()


@wfsim.step("SwitchRw")
def switch_rw(ctx: wfsim.StepContext) -> Effect:
    """Make the instance that is named the leader, and wait for it.

    A noop once it does.  As in the reference, an unknown one is not asked for, but waited
    for all the same.
    """
    resource = yield from ctx.fetch()
    name = requests.target_of(ctx)
    if name != members.leader(resource):
        yield from _switch(ctx, name)


@wfsim.step("SwitchNewRoToRw")
def switch_new_ro_to_rw(ctx: wfsim.StepContext) -> Effect:
    """Make the one that is to take the leader's place the leader.  A noop once it is."""
    resource = yield from ctx.fetch()
    place = members.physical(resource, members.leader(resource))
    name = requests.temp_ids(resource).get(place)
    if name is None:
        text = f"nobody is to take the place of {members.leader(resource)}"
        raise wfsim.Interrupted(TEMP_INS_ID_NOT_FOUND, text)
    if name != members.leader(resource):
        yield from _switch(ctx, name)


def _switch(ctx: wfsim.StepContext, name: str) -> Effect:
    """Make *name* the leader: it is well 5 / 300 s, leads 2 / 30 s, is well 5 / 300 s.

    In the reference a call of the manager writes the new leader into the status; here the
    step does, when it sees it.
    """
    world, cluster = ctx.world, ctx.resource.name
    known = name in members.followers(ctx.resource)
    if known:
        start_again(world, name)
        yield from until_well(ctx, name)

    def leads() -> bool:
        return cluster in world.managers and world.managers[cluster].leader == name

    if known and not leads():
        world.managers[cluster].switch(name)
        leads = world.failing_with("switch leader", cluster, leads)
    yield from world.until(leads, every=2.0, timeout=30.0, what=f"{name!r} leading")
    yield from until_well(ctx, name)
    resource = yield from ctx.fetch()
    if members.leader(resource) != name:
        noted = members.entries(resource)
        yield from ctx.update(status=members.led_by(resource, name, noted))


@wfsim.step("EnsureCmRwAffinity")
def ensure_cm_rw_affinity(ctx: wfsim.StepContext) -> Effect:
    """Move the cluster manager if it is where the leader is; do not wait for it.

    Repeats if it came to the leader's node again.
    """
    yield from calls(ctx, "look")
    manager = ctx.world.managers.get(ctx.resource.name)
    leader = ctx.world.pods.get(members.leader(ctx.resource))
    if manager and leader and manager.ready and manager.node == leader.node:
        manager.deploy()


@wfsim.step("UpgradeCmVersion")
def upgrade_cm_version(ctx: wfsim.StepContext) -> Effect:
    """Give the cluster manager the new version.  A noop once it has it."""
    yield from calls(ctx, "patch")
    manager = ctx.world.managers.get(ctx.resource.name)
    if manager is not None:
        manager.upgrade(version_wanted(ctx).get("versionName", ""))


@wfsim.step("RemoveClusterManager")
def remove_cluster_manager(ctx: wfsim.StepContext) -> Effect:
    """Delete the cluster manager and its config maps.  A noop once it is gone."""
    yield from calls(ctx, "delete")
    ctx.world.remove_manager(ctx.resource.name)


STEPS = (
    disable_ha,
    enable_ha,
    switch_rw,
    switch_new_ro_to_rw,
    ensure_cm_rw_affinity,
    upgrade_cm_version,
    remove_cluster_manager,
)

__all__ = ["STEPS"]
