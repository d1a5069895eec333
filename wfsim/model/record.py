"""One change, one row: what a log is made of."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple


class Kind(StrEnum):
    """What a record says has happened."""

    RESOURCE_CREATED = "resource.created"
    RESOURCE_STATE = "resource.state"
    RESOURCE_EDITED = "resource.edited"
    RESOURCE_DELETED = "resource.deleted"
    RUN_CREATED = "run.created"
    RUN_COMPLETED = "run.completed"
    RUN_INTERRUPTED = "run.interrupted"
    RUN_RECOVERED = "run.recovered"
    RUN_FAILED = "run.failed"
    RUN_CANCELLED = "run.cancelled"
    RUN_SUPERSEDED = "run.superseded"
    RUN_PRUNED = "run.pruned"
    RUN_QUARANTINED = "run.quarantined"
    STEP_STARTED = "step.started"
    STEP_COMPLETED = "step.completed"
    STEP_WAITING = "step.waiting"
    STEP_FAILED = "step.failed"
    STEP_CANCELLED = "step.cancelled"
    STEP_LOG = "step.log"
    HOOK_FAILED = "hook.failed"
    PASS_FAILED = "pass.failed"
    CHECK_FAILED = "check.failed"
    CONTROLLER_STARTED = "controller.started"
    CONTROLLER_CRASHED = "controller.crashed"
    CONTROLLER_PAUSED = "controller.paused"
    CONTROLLER_RESUMED = "controller.resumed"
    FAULT_ARMED = "fault.armed"
    FAULT_FIRED = "fault.fired"
    POOL_CHANGED = "pool.changed"
    POOL_QUEUED = "pool.queued"
    POOL_GRANTED = "pool.granted"


OF_RESOURCES = frozenset(
    {Kind.RESOURCE_CREATED, Kind.RESOURCE_STATE, Kind.RESOURCE_EDITED}
)
"""What the write of a resource may be; that it was deleted has no value to keep."""

OF_RUNS = frozenset(kind for kind in Kind if kind.value.startswith(("run.", "step."))) - {
    Kind.RUN_PRUNED,
    Kind.RUN_QUARANTINED,
    Kind.STEP_LOG,
}
"""What the write of a memento may be."""


class PoolState(NamedTuple):
    """What a pool tells of itself; a record's text, made when somebody looks."""

    name: str
    held: int
    capacity: int
    queue: int

    @property
    def kind(self) -> Kind:
        """That of its record."""
        return Kind.POOL_CHANGED

    def __str__(self) -> str:
        return f"{self.name} {self.held}/{self.capacity}, queue {self.queue}"


class Record(NamedTuple):
    """One row of a log.

    *time* is in seconds of virtual time.  *run* is a memento's key, *attempt* counts
    from 1.  *value* is what the store holds after the change, a `Memento` or a
    `Resource`, or the `PoolState`; other records have None.  *cause* says why a step or
    run ended before its time (`Cause`), *limit* how many seconds it might have taken if
    that was too long.  *controller* is who wrote it, by the lease with that *token*,
    *before* the state that a resource has left.  *where* is the line of the user's code
    at which a step failed, such as ``job.py:12``.
    """

    seq: int
    time: float
    kind: Kind
    resource: str = ""
    run: str = ""
    flow: str = ""
    step: str = ""
    attempt: int = 0
    text: str = ""
    value: Any = None
    cause: str = ""
    limit: float | None = None
    controller: str = ""
    token: int = 0
    before: str = ""
    where: str = ""

    def __str__(self) -> str:
        of = " ".join(filter(None, (self.resource, self.run, self.step)))
        again = f" attempt {self.attempt}" if self.attempt > 1 else ""
        text = f": {self.text}" if self.text else ""
        what = f"{self.kind.value} {of}".rstrip()
        where = f" ({self.where})" if self.where else ""
        return f"#{self.seq} {self.time:.3f} s {what}{again}{text}{where}"

    def __repr__(self) -> str:
        return f"<Record {self}>"
