"""One worker's go at one resource, and what it works with."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from wfsim.engine.hooks import Hooks
from wfsim.engine.ports import (
    Clock,
    Draws,
    Notes,
    ResourceStore,
    RunStore,
    Steps,
)
from wfsim.engine.steps import StepContext
from wfsim.model.frozen import EMPTY
from wfsim.model.policy import Policy
from wfsim.model.resource import Key

_NO_LEASE = -1


class Turn:
    """One worker's go at one resource: the lease it holds and the process it runs in.

    *attempt* is set while the process is inside the body of a step, the only place
    where an exception may be thrown at it; *look_again* is set when somebody would
    have cancelled one there, had it begun already.  *left* is how many more steps it
    may begin: none, once somebody has stopped it.  *sheltered* says that what it does
    cleans up after something, so that a cancel is not to reach it.
    """

    __slots__ = (
        "attempt",
        "began",
        "key",
        "left",
        "look_again",
        "process",
        "sheltered",
        "token",
    )

    def __init__(self, key: Key, began: float) -> None:
        self.key = key
        self.began = began
        self.token = 0
        self.process: Any = None
        self.attempt: StepContext | None = None
        self.look_again = False
        self.left = math.inf
        self.sheltered = False

    @property
    def stepping(self) -> bool:
        """Whether the process is inside the body of a step."""
        return self.attempt is not None

    def fence(self) -> None:
        """Refuse what the process may still write, in a ``finally``: it is dead."""
        self.token = _NO_LEASE
        if self.attempt is not None:
            self.attempt.close()


class Ports(NamedTuple):
    """The ports and values that the engine works with.

    *polls* are the looks at operations by the class that launches them; for one that is
    not there the *world* is asked.  *flows* is the service as its own steps see it.
    """

    clock: Clock
    resources: ResourceStore
    runs: RunStore
    steps: Steps
    notes: Notes
    draws: Draws
    policy: Policy = Policy()
    hooks: tuple[Hooks, ...] = ()
    world: Any = None
    polls: Steps = EMPTY
    flows: Any = None
