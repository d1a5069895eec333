"""The steps that only write the resource: what is wanted, and that it has been served.

A request is dropped by the flow that has served it, and only as it was served: one that
came meanwhile stands.  The reference drops every request there is, see `hazards`.
"""

from __future__ import annotations

from typing import Any

import wfsim
from fake_resources.polardb import members, requests
from fake_resources.polardb.steps.create import params_of
from fake_resources.polardb.steps.instance import Effect, calls, until_gone


@wfsim.step("UpdateModifyClassMeta")
def update_modify_class_meta(ctx: wfsim.StepContext) -> Effect:
    """Set the engine's parameters for the new class.  Converges.

    Returns the class, which later steps take from here: somebody may want yet another.
    """
    resource = yield from ctx.fetch()
    wanted = resource.spec.get("classInfoModifyTo") or resource.spec["classInfo"]
    yield from ctx.update(spec={"engineParams": params_of(wanted)})
    return {"classInfo": dict(wanted)}


@wfsim.step("CleanModifyClassTempMeta")
def clean_modify_class_temp_meta(ctx: wfsim.StepContext) -> Effect:
    """Have the new class as the class; drop the request.  A noop once that is so."""
    yield from _have(ctx, "classInfo", "className")


@wfsim.step("InitUpgradeImages")
def init_upgrade_images(ctx: wfsim.StepContext) -> Effect:
    """Look up the images of the new version.  Converges.

    Returns the version, which later steps take from here.
    """
    yield from calls(ctx, "look up")
    resource = yield from ctx.fetch()
    wanted = resource.spec.get("versionCfgModifyTo") or resource.spec["versionCfg"]
    name = wanted["versionName"]
    found = {**wanted, "images": {"engine": f"polardb:{name}", "manager": f"cm:{name}"}}
    if "versionCfgModifyTo" in resource.spec:
        yield from ctx.update(spec={"versionCfgModifyTo": found})
    return {"versionCfg": found}


@wfsim.step("CleanUpgradeTempMeta")
def clean_upgrade_temp_meta(ctx: wfsim.StepContext) -> Effect:
    """Have the new version as the version; drop the request.  A noop once that is so."""
    yield from _have(ctx, "versionCfg", "versionName")


def _have(ctx: wfsim.StepContext, part: str, identity: str) -> Effect:
    resource = yield from ctx.fetch()
    request = f"{part}ModifyTo"
    wanted = resource.spec.get(request, {})
    served = ctx.inputs.get(part, wanted)
    spec: dict[str, Any] = {part: dict(served)} if served else {}
    if wanted.get(identity) == served.get(identity):
        spec[request] = None
    yield from ctx.update(spec=spec, annotations={requests.TEMP_IDS: None})


@wfsim.step("SetRebuildTag")
def set_rebuild_tag(ctx: wfsim.StepContext) -> Effect:
    """Ask for what has been begun, so that nobody forgets it.  A noop once that is so."""
    yield from ctx.update(annotations={"forceRebuild": "T"})


@wfsim.step("CleanOldTempMeta")
def clean_old_temp_meta(ctx: wfsim.StepContext) -> Effect:
    """Give up the operation that was interrupted, if one was.  A noop once that is so."""
    resource = yield from ctx.fetch()
    stopped = resource.annotations.get(requests.PREVIOUS, "")
    spec: dict[str, Any] = {}
    if stopped == "ModifyClass":
        spec = {"classInfoModifyTo": None}
        # They may be those of the other class by now.
        spec["engineParams"] = params_of(resource.spec["classInfo"])
    elif stopped == "UpgradeMinorVersion":
        spec = {"versionCfgModifyTo": None}
    dropped = {*requests.NOTES, *requests.INTERRUPT_NOTES}
    if stopped in requests.REQUESTS:
        dropped |= {requests.REQUESTS[stopped]} - {requests.REQUESTS["Rebuild"]}
    yield from ctx.update(spec=spec, annotations=dict.fromkeys(sorted(dropped)))


@wfsim.step("CleanAllTempMeta")
def clean_all_temp_meta(ctx: wfsim.StepContext) -> Effect:
    """Drop the request that the flow has served, and its notes.  A noop after that."""
    resource = yield from ctx.fetch()
    dropped = {*requests.NOTES, *requests.INTERRUPT_NOTES}
    request = requests.REQUESTS.get(resource.state, "")
    stands = resource.annotations.get(request)
    if stands is not None and ctx.inputs.get(request, stands) == stands:
        dropped.add(request)
    yield from ctx.update(annotations=dict.fromkeys(sorted(dropped)))


@wfsim.step("RemoveAllInsPod")
def remove_all_ins_pod(ctx: wfsim.StepContext) -> Effect:
    """Delete every pod, 60 s each; forget how the instances were.  Converges."""
    world, cluster = ctx.world, ctx.resource.name
    for pod in world.pods_of(cluster):
        pod.delete()
        yield from until_gone(ctx, pod.name, timeout=60.0)
    resource = yield from ctx.fetch()
    noted = members.entries(resource)
    for entry in noted.values():
        entry.pop("state", None)
    yield from ctx.update(status={"instances": noted})


@wfsim.step("CleanTempRoMeta")
def clean_temp_ro_meta(ctx: wfsim.StepContext) -> Effect:
    """Keep one of those that are in the same place, and nobody who is in no place.

    A noop once that is so.  As in the reference, the name that sorts first is kept.
    """
    resource = yield from ctx.fetch()
    noted, lasting = members.entries(resource), members.instances(resource)
    places = {name: members.physical(resource, name) for name in {*noted, *lasting}}
    first = [min(n for n in places if places[n] == places[each]) for each in lasting]
    leader, *followers = dict.fromkeys(first)
    kept = {name: {**noted.get(name, {}), "role": "ro"} for name in (leader, *followers)}
    kept[leader]["role"] = "rw"
    status = {"leader": leader, "followers": followers, "instances": kept}
    yield from ctx.update(status=status)


STEPS = (
    update_modify_class_meta,
    clean_modify_class_temp_meta,
    init_upgrade_images,
    clean_upgrade_temp_meta,
    set_rebuild_tag,
    clean_old_temp_meta,
    clean_all_temp_meta,
    remove_all_ins_pod,
    clean_temp_ro_meta,
)

__all__ = ["STEPS"]
