"""The checks of the stable states: each says whether its operation is wanted, and how.

The same check is asked again when the state is entered, before its flow begins; what it
says then, with `requests.begun_with`, is what the run is begun for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeAlias

import wfsim
from fake_resources.polardb import members, requests
from fake_resources.polardb.requests import PREVIOUS

Check: TypeAlias = Callable[[wfsim.Resource], wfsim.Event | bool | None]


def begun_for(check: Check) -> Check:
    """Return *check* with all that a run is to know of what it is begun for."""

    @wraps(check)
    def entry(resource: wfsim.Resource) -> wfsim.Event | None:
        event = check(resource)
        if not event:
            return None
        if not isinstance(event, wfsim.Event):
            event = wfsim.Event(resource.state)
        return event._replace(params={**requests.begun_with(resource), **event.params})

    return entry


def check_install(resource: wfsim.Resource) -> bool:
    """Whether the cluster is yet to be created."""
    return resource.state in ("Init", "", "Creating")


def check_rebuild(resource: wfsim.Resource) -> wfsim.Event | None:
    """Whether it is to be built again: by request, or because all of it has failed.

    A rebuild that was interrupted waits for an operator, who recovers it.  The reference
    begins another one at once, and so for ever, since the request still stands.

    The event says what was interrupted (``previous``) and how that had been asked for.
    """
    previous = resource.annotations.get(PREVIOUS, "")
    request = requests.REQUESTS.get(previous, "")
    asked = resource.annotations.get(request, "")
    event = wfsim.Event("Rebuild", {"previous": previous, "previousRequest": asked})
    if resource.state == "Rebuild":
        return event
    if resource.state == "Interrupt" and previous == "Rebuild":
        return None
    noted = members.entries(resource)
    if not noted or not members.leader(resource):
        return None
    all_failed = len(members.failed(resource)) == len(noted)
    wanted = all_failed or requests.is_on(resource, "forceRebuild")
    return event if wanted else None


def check_modify_class(resource: wfsim.Resource) -> wfsim.Event | None:
    """Whether another class is wanted than the one that it has."""
    wanted = resource.spec.get("classInfoModifyTo", {}).get("className")
    if not wanted or wanted == resource.spec.get("classInfo", {}).get("className"):
        return None
    return wfsim.Event("ModifyClass", {"modifyClass": True})


def check_restart_cluster(resource: wfsim.Resource) -> bool:
    """Whether all of it is to be restarted."""
    return requests.is_on(resource, "restartCluster")


def check_restart_ins(resource: wfsim.Resource) -> wfsim.Event | None:
    """Whether one instance is to be restarted, be there such a one or not."""
    name = resource.annotations.get("restartIns", "")
    target = members.named(resource, name) or name
    return wfsim.Event("RestartIns", {"insId": target}) if name else None


def check_flush_params(resource: wfsim.Resource) -> bool:
    """Whether changed parameters are to be told to the engines."""
    return requests.is_on(resource, "flushParams")


def check_switch_rw(resource: wfsim.Resource) -> wfsim.Event | None:
    """Whether somebody else is to lead; as in the reference, an unknown one counts."""
    name = resource.annotations.get("switchRw")
    if name is None:
        return None
    target = members.named(resource, name) or name
    if target == members.leader(resource):
        return None
    return wfsim.Event("SwitchRw", {"insId": target})


def check_migrate_ro(resource: wfsim.Resource) -> wfsim.Event | None:
    """Whether a follower is to go to another node."""
    return _migrates(resource, "MigrateRo", members.followers(resource))


def check_migrate_rw(resource: wfsim.Resource) -> wfsim.Event | None:
    """Whether the leader is to go to another node."""
    return _migrates(resource, "MigrateRw", [members.leader(resource)])


def check_upgrade_minor_version(resource: wfsim.Resource) -> wfsim.Event | None:
    """Whether another version is wanted than the one that it has."""
    wanted = resource.spec.get("versionCfgModifyTo", {}).get("versionName")
    if not wanted or wanted == resource.spec.get("versionCfg", {}).get("versionName"):
        return None
    return wfsim.Event("UpgradeMinorVersion", {"upgrade": True})


def check_rebuild_ro(resource: wfsim.Resource) -> wfsim.Event | None:
    """Whether the leader is well and anybody else, a temporary one too, has failed."""
    failed = members.failed(resource)
    if not failed or members.leader(resource) in failed:
        return None
    return wfsim.Event("RebuildRo", {"insId": failed[0]})


def check_add_ro(resource: wfsim.Resource) -> bool:
    """Whether more followers are wanted than there are; a run adds one of them."""
    wanted = resource.spec.get("followerNum", 0)
    return bool(wanted > len(members.followers(resource)))


def check_remove_ro(resource: wfsim.Resource) -> wfsim.Event | None:
    """Whether a follower is to go, be there such a one or not.

    That is the one that is named; or, if fewer are wanted than there are, the last one.
    The reference leaves that one there: fewer may be wanted only since somebody has
    thought better of one more, while that was being added.  The event says how many
    are wanted when it has gone (``followerNum``).
    """
    followers = members.followers(resource)
    wanted = resource.spec.get("followerNum", len(followers))
    name = resource.annotations.get("removeIns", "")
    if name:
        target, wanted = members.named(resource, name) or name, wanted - 1
    elif wanted < len(followers):
        target = followers[-1]
    else:
        return None
    return wfsim.Event("RemoveRo", {"insId": target, "followerNum": wanted})


def check_extend_storage(resource: wfsim.Resource) -> bool:
    """Whether the file systems are to hear that the volume has grown."""
    return requests.is_on(resource, "extendStorage")


def _migrates(
    resource: wfsim.Resource, event: str, among: list[str]
) -> wfsim.Event | None:
    wanted = requests.migration(resource)
    if wanted is None:
        return None
    name, node = members.named(resource, wanted[0]), wanted[1]
    if name not in among or members.entry(resource, name).get("node") == node:
        return None
    return wfsim.Event(event, {"insId": name, "node": node})


__all__ = [
    "Check",
    "begun_for",
    "check_add_ro",
    "check_extend_storage",
    "check_flush_params",
    "check_install",
    "check_migrate_ro",
    "check_migrate_rw",
    "check_modify_class",
    "check_rebuild",
    "check_rebuild_ro",
    "check_remove_ro",
    "check_restart_cluster",
    "check_restart_ins",
    "check_switch_rw",
    "check_upgrade_minor_version",
]
