"""A flow: the ordered steps that carry a resource through one unstable state.

>>> flow = Flow("Backup", (Step("TakeSnapshot"), Step("CopyAway")))
>>> flow.index("CopyAway"), len(flow.digest)
(1, 12)
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from wfsim.model.duration import Duration
from wfsim.model.policy import Retry


class Source(NamedTuple):
    """Where in which file something was written."""

    path: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.path else "<python>"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a flow, as specified.

    *retry* and *timeout* override those of the flow, which override the policy's.
    *duration* and *failure* (a probability) are what a step without code takes.
    """

    name: str
    class_name: str = ""
    retry: Retry | None = None
    timeout: float | None = None
    duration: Duration | None = None
    failure: float | None = None
    source: Source = field(default=Source(), compare=False)

    def __post_init__(self) -> None:
        if not self.class_name:
            object.__setattr__(self, "class_name", self.name)


@dataclass(frozen=True)
class Flow:
    """A named sequence of steps, as specified."""

    name: str
    steps: tuple[Step, ...]
    recover_from_first_step: bool = False
    retry: Retry | None = None
    timeout: float | None = None
    deadline: float | None = None
    source: Source = field(default=Source(), compare=False)

    @cached_property
    def digest(self) -> str:
        """Twelve hex digits that change with what a run of this flow would execute.

        Numbers (retries, timeouts, durations) may be tuned while runs are under way;
        the steps, their classes and their order may not.
        """
        shape = [self.name, [[step.name, step.class_name] for step in self.steps]]
        return hashlib.blake2b(json.dumps(shape).encode(), digest_size=6).hexdigest()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the steps, in order."""
        return tuple(step.name for step in self.steps)

    def index(self, step: str) -> int:
        """Return the position of *step*."""
        return self.names.index(step)
