"""One change, one row: what a log is made of."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from wfsim.model.memento import Memento, RunStatus, StepStatus
from wfsim.model.resource import Resource


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

    def __str__(self) -> str:
        return f"{self.name} {self.held}/{self.capacity}, queue {self.queue}"


class Record(NamedTuple):
    """One row of a log.

    *time* is in seconds of virtual time.  *run* is a memento's key, *attempt* counts
    from 1.  *value* is what the store holds after the change, a `Memento` or a
    `Resource`; other records have None.
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

    def __str__(self) -> str:
        where = " ".join(filter(None, (self.resource, self.run, self.step)))
        again = f" attempt {self.attempt}" if self.attempt > 1 else ""
        text = f": {self.text}" if self.text else ""
        what = f"{self.kind.value} {where}".rstrip()
        return f"#{self.seq} {self.time:.3f} s {what}{again}{text}"

    def __repr__(self) -> str:
        return f"<Record {self}>"


_STEP = {
    StepStatus.INITED: Kind.STEP_STARTED,
    StepStatus.COMPLETED: Kind.STEP_COMPLETED,
    StepStatus.WAITING: Kind.STEP_WAITING,
    StepStatus.FAILED: Kind.STEP_FAILED,
    StepStatus.CANCELLED: Kind.STEP_CANCELLED,
}
_RUN = {
    RunStatus.COMPLETED: Kind.RUN_COMPLETED,
    RunStatus.INTERRUPTED: Kind.RUN_INTERRUPTED,
    RunStatus.SUPERSEDED: Kind.RUN_SUPERSEDED,
    RunStatus.ERROR: Kind.RUN_FAILED,
    RunStatus.CANCELLED: Kind.RUN_CANCELLED,
}


def run_kind(before: Memento | None, after: Memento) -> Kind:
    """Return what the write of *after* over *before* means."""
    status = after.status
    if before is None or status is RunStatus.PREPARED:
        return Kind.RUN_CREATED
    if status is RunStatus.RUNNING or status is RunStatus.WAITING:
        return _STEP[after.steps[after.cursor].status]
    if status is RunStatus.FAILED:
        began, now = before.step, after.step
        failed = began and now and began.status is not now.status is StepStatus.FAILED
        return Kind.STEP_FAILED if failed else Kind.RUN_RECOVERED
    return _RUN[status]


def resource_kind(before: Resource | None, after: Resource) -> Kind:
    """Return what the write of *after* over *before* means."""
    if before is None:
        return Kind.RESOURCE_CREATED
    if before.state != after.state:
        return Kind.RESOURCE_STATE
    return Kind.RESOURCE_EDITED
