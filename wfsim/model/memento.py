"""A memento: all that must survive a restart to carry a run of a flow on.

Mementos are values in the reference's format: what a run looks like after one entry of
the journal.  They are made from a `Run` where somebody asks for one, and read from the
texts that others have written.

>>> text = '{"flowName": "Create", "flowStatus": "prepared"}'
>>> run = Memento.from_json("1-Create", text)
>>> run.number, run.status.value, run.is_final
(1, 'prepared', False)
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from wfsim.model.frozen import EMPTY, replacing
from wfsim.model.resource import Key

CANCELLED = "CANCELLED"
DEADLINE = "DEADLINE"
DEFINITION_CHANGED = "DEFINITION_CHANGED"
MANY_RESTARTS = "MANY_RESTARTS"
MANY_RETRY = "MANY_RETRY"
OPEN_STEPS = "OPEN_STEPS"
UNKNOWN_FLOW = "UNKNOWN_FLOW"
UNKNOWN_TASK = "UNKNOWN_TASK"


class StepStatus(StrEnum):
    """Where one step of a run stands; the values are those of the reference."""

    PREPARED = "prepared"
    INITED = "inited"
    WAITING = "waiting"
    FAILED = "failed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class RunStatus(StrEnum):
    """Where a run stands; the last three are ours, the others the reference's.

    A run that is ``FAILED`` goes on; one that has left its main path ends in ``ERROR``.
    """

    PREPARED = "prepared"
    RUNNING = "running"
    WAITING = "waiting"
    FAILED = "failed"
    INTERRUPTED = "failedAndCompleted"
    COMPLETED = "completed"
    SUPERSEDED = "superseded"
    ERROR = "error"
    CANCELLED = "cancelled"


OURS = frozenset({RunStatus.SUPERSEDED, RunStatus.ERROR, RunStatus.CANCELLED})
FINAL = OURS | {RunStatus.INTERRUPTED, RunStatus.COMPLETED}
UNDER_WAY = frozenset({StepStatus.INITED, StepStatus.WAITING})
"""A step with one of these has begun and is not over."""


class StepMemento(NamedTuple):
    """One step's part of a memento.

    *retries* and *restarts* are what has been used of the two budgets since the run
    began or was last recovered; *attempts* counts every start and is never reset.
    *operation* is what a polling step has launched, *error* why a step is over for good
    that did not end well.  Times are seconds of virtual time.
    """

    name: str
    status: StepStatus = StepStatus.PREPARED
    retries: int = 0
    restarts: int = 0
    attempts: int = 0
    started: float | None = None
    finished: float | None = None
    output: Mapping[str, Any] = EMPTY
    operation: str = ""
    error: str = ""


class Quarantined(NamedTuple):
    """A memento's text that cannot be read or believed, kept as it is, and why.

    *code* is why its resource waits for an operator if it is the newest; "" if it does
    not, and a new run may begin.
    """

    key: str
    resource: Key
    text: str
    reason: str
    code: str = ""


class Memento(NamedTuple):
    """The durable state of one run of a flow.

    *cursor* is the step the last change was about.  *entered* is the revision at
    which the resource entered the state that this run serves, *digest* that of the
    flow it began with, *wake* the time before which a failed run is not tried again
    and at which a waiting one is asked again.  *owner* is the uid of the resource,
    *deadline* the time at which the run is interrupted, *extra* what else the text had.
    """

    key: str
    resource: Key
    flow: str
    status: RunStatus
    steps: tuple[StepMemento, ...]
    context: Mapping[str, Any] = EMPTY
    started: float | None = None
    finished: float | None = None
    reason: str = ""
    error: str = ""
    retries: int = 0
    restarts: int = 0
    cursor: int = 0
    wake: float | None = None
    entered: int = -1
    digest: str = ""
    owner: str = ""
    deadline: float | None = None
    extra: Mapping[str, Any] = EMPTY

    def __repr__(self) -> str:
        interrupted = self.status is RunStatus.INTERRUPTED
        status = "interrupted" if interrupted else self.status.value
        done = sum(step.status is StepStatus.COMPLETED for step in self.steps)
        at = ""
        if self.step is not None and self.status is not RunStatus.COMPLETED:
            at = f", at {self.step.name} (attempt {self.step.attempts})"
        why = f": {self.reason or self.error}"[:40] if self.reason or self.error else ""
        return (
            f"<Memento {self.resource} {self.key} {status}{why}, {done} of "
            f"{len(self.steps)} steps completed{at}>"
        )

    def _repr_html_(self) -> str:
        from wfsim.model.glance import as_html, glance, of_run

        then = "wfsim.Simulation.resume(scenario, [memento]), memento.to_json()"
        return as_html(glance(repr(self), of_run(self), then))

    @property
    def number(self) -> int:
        """Its place among the runs of its resource, from 1; 0 if its key has none."""
        return number_of(self.key)

    @property
    def is_final(self) -> bool:
        """Whether only an operator's recovery may carry it on."""
        return self.status in FINAL

    @property
    def is_begun(self) -> bool:
        """Whether anything has been done in it."""
        return self.status is not RunStatus.PREPARED

    @property
    def step(self) -> StepMemento | None:
        """The step that the last change was about; None in an empty flow."""
        return self.steps[self.cursor] if self.cursor < len(self.steps) else None

    def to_json(self) -> str:
        """Return its text in the reference format; what was read is written back."""
        from wfsim.model.memento_json import encode

        return encode(self)

    @classmethod
    def from_json(cls, key: str, text: str, *, kind: str = "") -> Memento:
        """Read the *text* kept under *key*; `MementoError` says what is wrong with it.

        The text does not tell the *kind* of the resource, so the caller does.
        """
        from wfsim.model.memento_json import decode

        return decode(key, text, kind)


StepMemento._replace = replacing(StepMemento)  # type: ignore[method-assign]
Memento._replace = replacing(Memento)  # type: ignore[method-assign]


def number_of(key: str) -> int:
    """Return the number in the key of a run or of a flow, ``3-Create``; 0 without one.

    >>> number_of("3-Create"), number_of("Create")
    (3, 0)
    """
    number = key.partition("-")[0]
    return int(number[:18]) if number.isascii() and number.isdigit() else 0
