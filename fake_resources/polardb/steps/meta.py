"""The steps that only write the resource: what is wanted, and that it has been served.

A request is dropped by the flow that has served it, and only as it was served: one that
came meanwhile stands.  That is the text of the annotation, and what it is about: other
parameters than were flushed, or a volume that has grown once more, are another request.
The reference drops every request there is, see `hazards`.
"""

from __future__ import annotations

from typing import Any

import wfsim
from fake_resources.polardb import members, requests
from fake_resources.polardb.steps.create import params_of, params_unless_edited
from fake_resources.polardb.steps.instance import (
    Effect,
    calls,
    params_wanted,
    until_gone,
    volume_of,
)

_WANTED_IN = {
    "ModifyClass": "classInfoModifyTo",
    "UpgradeMinorVersion": "versionCfgModifyTo",
}
"""The part of a spec that leads to a state, for states that one leads to."""


@wfsim.step("UpdateModifyClassMeta")
def update_modify_class_meta(ctx: wfsim.StepContext) -> Effect:
    """Set the engine's parameters for the new class.  Converges.

    Returns class and parameters, which later steps take from here: somebody may want
    yet another.
    """
    yield from ctx.fetch()
    begun = requests.spec_of(ctx)
    wanted = begun.get("classInfoModifyTo") or begun["classInfo"]
    params = params_of(wanted)
    yield from ctx.update(spec=params_unless_edited(ctx, params))
    return {"classInfo": dict(wanted), "engineParams": params}


@wfsim.step("CleanModifyClassTempMeta")
def clean_modify_class_temp_meta(ctx: wfsim.StepContext) -> Effect:
    """Make the new class the class; drop the request.  A noop once that is so."""
    yield from _have(ctx, "classInfo", "className")


@wfsim.step("InitUpgradeImages")
def init_upgrade_images(ctx: wfsim.StepContext) -> Effect:
    """Look up the images of the new version.  Converges.

    Returns the version, which later steps take from here.
    """
    yield from calls(ctx, "look up")
    resource = yield from ctx.fetch()
    begun = requests.spec_of(ctx)
    wanted = begun.get("versionCfgModifyTo") or begun["versionCfg"]
    name = wanted["versionName"]
    found = {**wanted, "images": {"engine": f"polardb:{name}", "manager": f"cm:{name}"}}
    if resource.spec.get("versionCfgModifyTo", {}).get("versionName") == name:
        yield from ctx.update(spec={"versionCfgModifyTo": found})
    return {"versionCfg": found}


@wfsim.step("CleanUpgradeTempMeta")
def clean_upgrade_temp_meta(ctx: wfsim.StepContext) -> Effect:
    """Make the new version the version; drop the request.  A noop once that is so."""
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
    resource = yield from ctx.fetch()
    if not requests.is_on(resource, "forceRebuild"):
        yield from ctx.update(annotations={"forceRebuild": _tag(ctx)})


def _tag(ctx: wfsim.StepContext) -> str:
    return ctx.inputs.get("request") or "T"


@wfsim.step("CleanOldTempMeta")
def clean_old_temp_meta(ctx: wfsim.StepContext) -> Effect:
    """Give up the operation that was interrupted, if one was.  A noop once that is so.

    Returns the parameters with which it is to be built again.
    """
    resource = yield from ctx.fetch()
    begun, stopped = requests.spec_of(ctx), ctx.inputs.get("previous", "")
    spec: dict[str, Any] = {}
    params = params_wanted(ctx)
    if stopped == "ModifyClass":
        # They may be those of the other class by now.
        params = params_of(begun["classInfo"])
        spec = params_unless_edited(ctx, params)
    part = {
        "ModifyClass": "classInfoModifyTo",
        "UpgradeMinorVersion": "versionCfgModifyTo",
    }
    given_up = part.get(stopped, "")
    if given_up and resource.spec.get(given_up) == begun.get(given_up):
        spec[given_up] = None
    dropped = {*requests.NOTES, *requests.INTERRUPT_NOTES}
    request = requests.REQUESTS.get(stopped, "")
    stands = resource.annotations.get(request)
    if stopped != "Rebuild" and stands == ctx.inputs.get("previousRequest"):
        dropped.add(request)
    yield from ctx.update(spec=spec, annotations=dict.fromkeys(sorted(dropped - {""})))
    return {"engineParams": dict(params)}


@wfsim.step("CleanAllTempMeta")
def clean_all_temp_meta(ctx: wfsim.StepContext) -> Effect:
    """Drop the request that the flow has served, and its notes.  A noop after that.

    If the request was withdrawn, but what it is about is another than was served, the
    flow asks for that itself.
    """
    resource = yield from ctx.fetch()
    dropped = {*requests.NOTES, *requests.INTERRUPT_NOTES}
    notes: dict[str, str | None] = dict.fromkeys(sorted(dropped))
    request = requests.REQUESTS.get(resource.state, "")
    stands = resource.annotations.get(request)
    if not _is_served(ctx):
        notes[request] = stands or "T"
    elif stands is not None and stands == _served(ctx):
        notes[request] = None
    yield from ctx.update(annotations=notes)


def _served(ctx: wfsim.StepContext) -> str:
    """Return the text of the request that the run has served."""
    tag = _tag(ctx) if ctx.resource.state == "Rebuild" else ctx.inputs.get("request")
    return str(tag)


def _is_served(ctx: wfsim.StepContext) -> bool:
    """Whether what the request is about is still what the run has worked towards."""
    match ctx.resource.state:
        case "FlushParams":
            return bool(ctx.resource.spec.get("engineParams", {}) == params_wanted(ctx))
        case "ExtendStorage":
            return bool(ctx.inputs.get("sizeGb") == volume_of(ctx).size)
    return True


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
