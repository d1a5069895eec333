"""The members of a cluster by its status: the leader, followers, temporary ones.

An instance has the name of its pod.  One that takes the place of another has a name of
its own and the *physical* id of the other; whoever came first is its own physical id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import wfsim

LEADER = "rw"
FOLLOWER = "ro"
TEMPORARY = "temp"
FAILED = "failed"


def entries(resource: wfsim.Resource) -> dict[str, dict[str, Any]]:
    """Return what is written down of each instance, by name."""
    noted: Mapping[str, Mapping[str, Any]] = resource.status.get("instances", {})
    return {name: dict(noted[name]) for name in sorted(noted)}


def entry(resource: wfsim.Resource, name: str) -> Mapping[str, Any]:
    """Return what is written down of the instance *name*, nothing if it is unknown."""
    noted: Mapping[str, Mapping[str, Any]] = resource.status.get("instances", {})
    return noted.get(name, {})


def leader(resource: wfsim.Resource) -> str:
    """Return the name of the leader, "" while there is none."""
    return str(resource.status.get("leader", ""))


def followers(resource: wfsim.Resource) -> list[str]:
    """Return the names of the followers, temporary ones left out."""
    return list(resource.status.get("followers", ()))


def instances(resource: wfsim.Resource) -> list[str]:
    """Return the names of the leader and the followers."""
    return [name for name in (leader(resource), *followers(resource)) if name]


def temporary(resource: wfsim.Resource) -> list[str]:
    """Return the names of those that are to take somebody's place, in order."""
    noted = entries(resource)
    return [name for name in noted if noted[name].get("role") == TEMPORARY]


def physical(resource: wfsim.Resource, name: str) -> str:
    """Return whose place *name* has taken, or is to take."""
    return str(entry(resource, name).get("physical", name))


def named(resource: wfsim.Resource, name: str) -> str:
    """Return the instance that a request for *name* means, "" if there is none.

    That is the one of that name, or else the one that has taken its place meanwhile.
    """
    lasting = instances(resource)
    if name in lasting:
        return name
    return next((each for each in lasting if physical(resource, each) == name), "")


def follower_in_place_of(resource: wfsim.Resource, place: str, but: str) -> str:
    """Return the follower of the physical id *place* that is not *but*, "" if none."""
    found = (
        name
        for name in followers(resource)
        if name != but and physical(resource, name) == place
    )
    return next(found, "")


def failed(resource: wfsim.Resource) -> list[str]:
    """Return the names of the instances that were last seen failed, in order."""
    noted = entries(resource)
    return [name for name in noted if noted[name].get("state") == FAILED]


def observe(sim: wfsim.Simulation) -> None:
    """Write down how the instances are and who leads, as the operator's monitor does.

    The reference does so every 60 s; here it is done when somebody says so:
    ``sim.act(polardb.observe)``.
    """
    for name in map(str, sim.resources.keys()):
        resource = sim.resource(name)
        status = seen(sim.world, resource) if resource.status.get("instances") else {}
        if status:
            sim.edit(name, status=status)


def seen(world: Any, resource: wfsim.Resource) -> dict[str, Any]:
    """Return the status of *resource* as whoever looks at the *world* would write it."""
    noted = entries(resource)
    for name, entry in noted.items():
        pod = world.pods.get(name)
        well = pod is not None and pod.healthy
        broken = pod is None or pod.phase == "Failed" or pod.engine == FAILED
        lost = pod is not None and not pod.reachable
        entry["state"] = "running" if well else FAILED if broken or lost else "starting"
    manager = world.managers.get(resource.name)
    head = manager.leader if manager is not None else ""
    if head not in followers(resource):
        return {"instances": noted}
    return led_by(resource, head, noted)


def led_by(
    resource: wfsim.Resource, head: str, noted: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Return the status in which the follower *head* and the leader change places."""
    old = leader(resource)
    rest = [old if name == head else name for name in followers(resource)]
    for name, role in ((old, FOLLOWER), (head, LEADER)):
        noted[name] = {**noted.get(name, {}), "role": role}
    return {"leader": head, "followers": rest, "instances": noted}


__all__ = [
    "entries",
    "entry",
    "failed",
    "follower_in_place_of",
    "followers",
    "instances",
    "leader",
    "led_by",
    "named",
    "observe",
    "physical",
    "seen",
    "temporary",
]
