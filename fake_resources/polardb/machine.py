"""Which states a shared-storage cluster has, and what leads from one to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import wfsim
from fake_resources.polardb.steps import FINALIZER, release

KIND = "mpd"


class Operation(NamedTuple):
    """An unstable *state*, the *flow* that it runs, and what leads there from where."""

    state: str
    flow: str
    sources: tuple[str, ...]
    check: Callable[[wfsim.Resource], bool]


def check_install(resource: wfsim.Resource) -> bool:
    """Whether the cluster is yet to be created."""
    return resource.state in ("Init", "", "Creating")


OPERATIONS = (
    Operation("Creating", "CreateSharedStorageCluster", ("Init",), check_install),
)
"""In the order in which the checks of a stable state are asked."""


def machine() -> wfsim.StateMachine:
    """Return the state machine of the kind ``mpd``."""
    built = wfsim.StateMachine(KIND).stable("Running", "Interrupt", "Init")
    for operation in OPERATIONS:
        state, check = operation.state, operation.check
        built.unstable(state, run=operation.flow, when=check)
        for source in operation.sources:
            built.transition(source, state, when=check)
    return built.finalizer(FINALIZER, release)


__all__ = ["KIND", "OPERATIONS", "machine"]
