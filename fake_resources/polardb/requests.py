"""Requests to a cluster, what a run was begun for, and the notes that flows keep.

A run serves the request that it was begun for, as it stood then.  So its context holds
what it reads of it: ``request``, the text of the annotation, ``spec``, the specification
of the cluster, and what the event of its check says.  Edits of either that come later
are another request, which stands until a run of its own has served it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

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


def begun_with(resource: wfsim.Resource) -> dict[str, Any]:
    """Return what a run that begins in the state of *resource* is to know of it."""
    annotation = REQUESTS.get(resource.state, "")
    return {
        "request": resource.annotations.get(annotation, ""),
        "spec": resource.spec,
    }


def spec_of(ctx: wfsim.StepContext) -> Mapping[str, Any]:
    """Return the specification with which the run of *ctx* was begun.

    A run that an earlier version began knows of none; then it is the one there is.
    """
    begun: Mapping[str, Any] = ctx.inputs.get("spec", ctx.resource.spec)
    return begun


def target_of(ctx: wfsim.StepContext) -> str:
    """Return the name of the instance that the run of *ctx* was begun for, "" if none."""
    return str(ctx.inputs.get("insId", ""))


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
    "begun_with",
    "is_on",
    "migration",
    "spec_of",
    "target_of",
    "temp_ids",
]
