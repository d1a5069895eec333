"""What is asked of a cluster by annotations, and what flows note down there meanwhile."""

from __future__ import annotations

import json

import wfsim

TRUE = ("1", "T", "true")
"""What a request that is only on or off takes for on."""

TEMP_IDS = "tempRoIds"
RESTART_AFTER_FLUSH = "flushParamsRestartCluster"

REQUESTS = {
    "Rebuild": "forceRebuild",
    "RestartCluster": "restartCluster",
    "RestartIns": "restartIns",
    "FlushParams": "flushParams",
    "SwitchRw": "switchRw",
    "MigrateRo": "migrate",
    "MigrateRw": "migrate",
    "RemoveRo": "removeIns",
    "ExtendStorage": "extendStorage",
}
"""The annotation that leads to a state, for states that an annotation leads to."""

NOTES = (TEMP_IDS, RESTART_AFTER_FLUSH)
"""The annotations in which a flow keeps what only it needs."""

PREVIOUS = "interrupt.previous.status"
INTERRUPT_NOTES = ("interrupt.recover", "interrupt.reason", "interrupt.message", PREVIOUS)


def is_on(resource: wfsim.Resource, annotation: str) -> bool:
    """Whether a request that is only on or off is on."""
    return resource.annotations.get(annotation) in TRUE


def migration(resource: wfsim.Resource) -> tuple[str, str] | None:
    """Return which instance is to go to which node, None if that is not said.

    >>> migration(wfsim.Resource("mpd", "mpd-0", annotations={"migrate": "a|node-2"}))
    ('a', 'node-2')
    """
    name, bar, node = resource.annotations.get("migrate", "").partition("|")
    return (name, node) if name and bar and node else None


def temp_ids(resource: wfsim.Resource) -> dict[str, str]:
    """Return the names of the temporary instances by the physical id they stand for."""
    found: dict[str, str] = json.loads(resource.annotations.get(TEMP_IDS, "{}"))
    return {place: found[place] for place in sorted(found)}


__all__ = [
    "INTERRUPT_NOTES",
    "NOTES",
    "PREVIOUS",
    "REQUESTS",
    "RESTART_AFTER_FLUSH",
    "TEMP_IDS",
    "TRUE",
    "is_on",
    "migration",
    "temp_ids",
]
