"""Where runs and their steps stand, and the reasons why runs are stopped."""

from __future__ import annotations

from enum import StrEnum

CANCELLED = "CANCELLED"
DEADLINE = "DEADLINE"
DEFINITION_CHANGED = "DEFINITION_CHANGED"
MANY_RESTARTS = "MANY_RESTARTS"
MANY_RETRY = "MANY_RETRY"
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
