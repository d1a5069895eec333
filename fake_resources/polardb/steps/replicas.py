"""The steps that replace instances by new ones, add some, and let some go."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import wfsim
from fake_resources.polardb import members, requests
from fake_resources.polardb.steps.instance import Effect, bring_up, calls, dismiss, enlist

RO_META_INVALID = "RO_META_INVALID"
TEMP_RO_FOR_RW_MEAT_LOST = "TEMP_RO_FOR_RW_MEAT_LOST"  # sic


@wfsim.step("GenerateTempRoIds")
def generate_temp_ro_ids(ctx: wfsim.StepContext) -> Effect:
    """Name a temporary follower for each instance.  A noop once that was noted down."""
    resource = yield from ctx.fetch()
    places = [members.physical(resource, name) for name in members.instances(resource)]
    yield from _allocate(ctx, places)


@wfsim.step("GenerateMigrateTempId")
def generate_migrate_temp_id(ctx: wfsim.StepContext) -> Effect:
    """Name a temporary follower for the instance that is to move.

    A noop once that was noted down.
    """
    resource = yield from ctx.fetch()
    yield from _allocate(ctx, [members.physical(resource, requests.target_of(ctx))])


@wfsim.step("GenerateRebuildRoTempId")
def generate_rebuild_ro_temp_id(ctx: wfsim.StepContext) -> Effect:
    """Name a temporary follower for the one that had failed when the run began.

    Repeats: another name is taken, the first one is lost.  As in the reference, a
    temporary follower that has failed gets nobody to replace it, and so the flow has
    nothing to do, ends well, and is wanted again.
    """
    resource = yield from ctx.fetch()
    name = requests.target_of(ctx)
    lasting = [name] if name in members.followers(resource) else []
    places = [members.physical(resource, each) for each in lasting]
    yield from _allocate(ctx, places, again=True)


@wfsim.step("GenerateAddRoTempId")
def generate_add_ro_temp_id(ctx: wfsim.StepContext) -> Effect:
    """Name a follower and a physical id for it.

    Repeats: another pair is taken, the first one is lost.
    """
    resource = yield from ctx.fetch()
    used = _names_used(resource)
    yield from _allocate(ctx, [f"{resource.name}-phy-{used + 1}"], again=True)


def _allocate(
    ctx: wfsim.StepContext, places: Iterable[str], again: bool = False
) -> Effect:
    """Note down a new name for each physical id in *places*."""
    resource = ctx.resource
    if requests.TEMP_IDS in resource.annotations and not again:
        return
    used = _names_used(resource)
    named = {
        place: f"{resource.name}-ins-{used + number}"
        for number, place in enumerate(places, start=1)
    }
    yield from ctx.update(
        annotations={requests.TEMP_IDS: json.dumps(named, sort_keys=True)},
        status={"namesUsed": used + len(named)},
    )


def _names_used(resource: wfsim.Resource) -> int:
    first = len(members.instances(resource))
    return int(resource.status.get("namesUsed", first))


@wfsim.step("InitTempRoMeta")
def init_temp_ro_meta(ctx: wfsim.StepContext) -> Effect:
    """Write the temporary followers into the status.  Converges."""
    resource = yield from ctx.fetch()
    noted, node = members.entries(resource), ctx.inputs.get("node", "")
    for place, name in requests.temp_ids(resource).items():
        entry: dict[str, Any] = {"role": "temp", "physical": place}
        if node:
            entry["target"] = node
        noted.setdefault(name, entry)
    yield from ctx.update(status={"instances": noted})


@wfsim.step("CreateTempRoForRw")
def create_temp_ro_for_rw(ctx: wfsim.StepContext) -> Effect:
    """Bring up the temporary follower that will take the leader's place.

    Converges, until it has become an ordinary follower; then it interrupts.
    """
    resource = yield from ctx.fetch()
    name = _stand_in(resource)
    if name not in members.temporary(resource):
        text = f"{members.leader(resource)} has no temporary follower"
        raise wfsim.Interrupted(TEMP_RO_FOR_RW_MEAT_LOST, text)
    yield from bring_up(ctx, name, "temp")


@wfsim.step("ConvertTempRoToRo")
def convert_temp_ro_to_ro(ctx: wfsim.StepContext) -> Effect:
    """Make the leader's temporary follower an ordinary one, and register it.

    Converges.  The reference takes whichever temporary follower comes first in a map.
    """
    resource = yield from ctx.fetch()
    name = _stand_in(resource)
    noted = members.entries(resource)
    if name in members.temporary(resource):
        noted[name] = _settled(noted[name])
        followers = [*members.followers(resource), name]
        yield from ctx.update(status={"instances": noted, "followers": followers})
    if name:
        yield from enlist(ctx, name)


@wfsim.step("DeleteOldRw")
def delete_old_rw(ctx: wfsim.StepContext) -> Effect:
    """Remove the old leader, once another leads in its place.  Converges."""
    resource = yield from ctx.fetch()
    leader = members.leader(resource)
    place = members.physical(resource, leader)
    old = members.follower_in_place_of(resource, place, but=leader)
    if old:
        yield from dismiss(ctx, old)
        yield from _without(ctx, old)
    elif leader != requests.temp_ids(resource).get(place):
        raise wfsim.Interrupted(RO_META_INVALID, f"{leader} has replaced nobody")


@wfsim.step("EnsureNewRoUpToDate")
def ensure_new_ro_up_to_date(ctx: wfsim.StepContext) -> Effect:
    """Put every other temporary follower in its place, one after the other.

    Converges: what is done for one of them is written down before the next.
    """
    yield from replace_followers(ctx)


@wfsim.step("EnsureRoMigrate")
def ensure_ro_migrate(ctx: wfsim.StepContext) -> Effect:
    """Pin the temporary followers to the node that is asked for, then the same."""
    resource = yield from ctx.fetch()
    node = ctx.inputs["node"]
    pinned = dict.fromkeys(requests.temp_ids(resource).values(), node)
    yield from ctx.update(
        spec={"targetNodes": {**resource.spec.get("targetNodes", {}), **pinned}}
    )
    yield from replace_followers(ctx)


def replace_followers(ctx: wfsim.StepContext) -> Effect:
    """Bring temporary followers up; each replaces whoever is in its place, if anyone."""
    resource = yield from ctx.fetch()
    leading = members.physical(resource, members.leader(resource))
    for place, name in requests.temp_ids(resource).items():
        if place == leading:
            continue
        if name not in members.followers(resource):
            yield from bring_up(ctx, name, "temp")
            resource = yield from ctx.fetch()
            old = members.follower_in_place_of(resource, place, but=name)
            yield from enlist(ctx, name)
            if old:
                yield from dismiss(ctx, old)
            yield from _swapped(ctx, old, name)
        resource = yield from ctx.fetch()


def _swapped(ctx: wfsim.StepContext, old: str, new: str) -> Effect:
    resource = yield from ctx.fetch()
    noted, kept = members.entries(resource), members.followers(resource)
    noted.pop(old, None)
    noted[new] = _settled(noted.get(new, {}))
    followers = [new if name == old else name for name in kept]
    if new not in followers:
        followers.append(new)
    yield from ctx.update(status={"instances": noted, "followers": followers})


def _settled(entry: dict[str, Any]) -> dict[str, Any]:
    """Return *entry* of a temporary follower as that of one that is there to stay."""
    kept = {key: value for key, value in entry.items() if key != "target"}
    return {**kept, "role": "ro"}


@wfsim.step("StopOldRo")
def stop_old_ro(ctx: wfsim.StepContext) -> Effect:
    """Delete the pods that are to be replaced; what is written of them stays.

    Converges.
    """
    resource = yield from ctx.fetch()
    for place, name in requests.temp_ids(resource).items():
        old = members.follower_in_place_of(resource, place, but=name)
        if not old:
            raise wfsim.Interrupted(RO_META_INVALID, f"{name} would replace nobody")
        yield from dismiss(ctx, old)


@wfsim.step("RemoveRo")
def remove_ro(ctx: wfsim.StepContext) -> Effect:
    """Remove the follower that is named, and want one less.

    A noop once it is gone; one that is not known is passed over.  How many are wanted
    is left to whoever has said so since the run began.
    """
    resource = yield from ctx.fetch()
    name = requests.target_of(ctx)
    if name in members.followers(resource):
        yield from dismiss(ctx, name)
        yield from _without(ctx, name, wanted=ctx.inputs["followerNum"])
    else:
        yield from calls(ctx, "look")


def _without(ctx: wfsim.StepContext, name: str, wanted: int | None = None) -> Effect:
    """Write *name* off, and how many followers are *wanted* now: in one write."""
    resource = yield from ctx.fetch()
    noted = members.entries(resource)
    noted.pop(name, None)
    followers = [each for each in members.followers(resource) if each != name]
    begun = requests.spec_of(ctx).get("followerNum")
    edited = resource.spec.get("followerNum") != begun
    yield from ctx.update(
        spec={} if wanted is None or edited else {"followerNum": wanted},
        status={"instances": noted, "followers": followers},
    )


def _stand_in(resource: wfsim.Resource) -> str:
    """Return the name of who is to take the leader's place, "" if nobody is named."""
    place = members.physical(resource, members.leader(resource))
    return requests.temp_ids(resource).get(place, "")


STEPS = (
    generate_temp_ro_ids,
    generate_migrate_temp_id,
    generate_rebuild_ro_temp_id,
    generate_add_ro_temp_id,
    init_temp_ro_meta,
    create_temp_ro_for_rw,
    convert_temp_ro_to_ro,
    delete_old_rw,
    ensure_new_ro_up_to_date,
    ensure_ro_migrate,
    stop_old_ro,
    remove_ro,
)

__all__ = ["STEPS", "replace_followers"]
