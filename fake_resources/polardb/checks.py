"""The checks of the stable states: each says whether its operation is wanted, and how.

The same check is asked again when the state is entered, before its flow begins.
"""

from __future__ import annotations

import wfsim
from fake_resources.polardb import members, requests
from fake_resources.polardb.requests import PREVIOUS


def check_install(resource: wfsim.Resource) -> bool:
    """Whether the cluster is yet to be created."""
    return resource.state in ("Init", "", "Creating")


def check_rebuild(resource: wfsim.Resource) -> bool:
    """Whether it is to be built again: by request, or because all of it has failed.

    A rebuild that was interrupted waits for an operator, who recovers it.  The reference
    begins another one at once, and so for ever, since the request still stands.
    """
    if resource.state == "Rebuild":
        return True
    if resource.state == "Interrupt" and resource.annotations.get(PREVIOUS) == "Rebuild":
        return False
    noted = members.entries(resource)
    if not noted or not members.leader(resource):
        return False
    all_failed = len(members.failed(resource)) == len(noted)
    return all_failed or requests.is_on(resource, "forceRebuild")


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
    return wfsim.Event("RestartIns", {"insId": name}) if name else None


def check_flush_params(resource: wfsim.Resource) -> bool:
    """Whether changed parameters are to be told to the engines."""
    return requests.is_on(resource, "flushParams")


def check_switch_rw(resource: wfsim.Resource) -> wfsim.Event | None:
    """Whether somebody else is to lead; as in the reference, an unknown one counts."""
    name = resource.annotations.get("switchRw")
    if name is None or name == members.leader(resource):
        return None
    return wfsim.Event("SwitchRw", {"insId": name})


def check_migrate_ro(resource: wfsim.Resource) -> bool:
    """Whether a follower is to go to another node."""
    return _migrates(resource, members.followers(resource))


def check_migrate_rw(resource: wfsim.Resource) -> bool:
    """Whether the leader is to go to another node."""
    return _migrates(resource, [members.leader(resource)])


def check_upgrade_minor_version(resource: wfsim.Resource) -> wfsim.Event | None:
    """Whether another version is wanted than the one that it has."""
    wanted = resource.spec.get("versionCfgModifyTo", {}).get("versionName")
    if not wanted or wanted == resource.spec.get("versionCfg", {}).get("versionName"):
        return None
    return wfsim.Event("UpgradeMinorVersion", {"upgrade": True})


def check_rebuild_ro(resource: wfsim.Resource) -> bool:
    """Whether the leader is well and anybody else, a temporary one too, has failed."""
    failed = members.failed(resource)
    return bool(failed) and members.leader(resource) not in failed


def check_add_ro(resource: wfsim.Resource) -> bool:
    """Whether more followers are wanted than there are; a run adds one of them."""
    wanted = resource.spec.get("followerNum", 0)
    return bool(wanted > len(members.followers(resource)))


def check_remove_ro(resource: wfsim.Resource) -> bool:
    """Whether a follower is to go, be there such a one or not."""
    return bool(resource.annotations.get("removeIns"))


def check_extend_storage(resource: wfsim.Resource) -> bool:
    """Whether the file systems are to hear that the volume has grown."""
    return requests.is_on(resource, "extendStorage")


def _migrates(resource: wfsim.Resource, among: list[str]) -> bool:
    wanted = requests.migration(resource)
    if wanted is None or wanted[0] not in among:
        return False
    name, node = wanted
    return members.entries(resource).get(name, {}).get("node") != node


__all__ = [
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
