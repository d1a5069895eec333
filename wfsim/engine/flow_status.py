"""The status of a flow of a service: its values, its transitions, its refusals.

>>> after(FlowStatus.STOPPED, Request.CANCEL).value
'Canceling'
>>> try:
...     after(FlowStatus.CANCELING, Request.START)
... except ServiceError as error:
...     error.code, error.message
(40103, 'it is Canceling')
"""

from __future__ import annotations

from enum import StrEnum

from wfsim.errors import CANCEL_FAILED, START_FAILED, STOP_FAILED, ServiceError
from wfsim.model import memento as reasons
from wfsim.model.memento import Memento, RunStatus, StepStatus
from wfsim.model.run import Run


class FlowStatus(StrEnum):
    """Where a flow stands, as its users see it, or one of its nodes."""

    INITIALIZING = "Initializing"
    PROCESSING = "Processing"
    FINISHED = "Finished"
    ERROR = "Error"
    CANCELING = "Canceling"
    CANCELED = "Canceled"
    STOPPED = "Stopped"


class Request(StrEnum):
    """What may be asked of a flow."""

    START = "start"
    STOP = "stop"
    CANCEL = "cancel"


ENDED = frozenset({FlowStatus.FINISHED, FlowStatus.ERROR, FlowStatus.CANCELED})
WATCHED = (FlowStatus.CANCELING, FlowStatus.STOPPED, FlowStatus.PROCESSING)
"""The statuses in the order in which a tick goes through them."""

_REFUSED = {
    Request.START: START_FAILED,
    Request.STOP: STOP_FAILED,
    Request.CANCEL: CANCEL_FAILED,
}
_ALLOWED = {
    Request.START: {
        FlowStatus.INITIALIZING: FlowStatus.PROCESSING,
        FlowStatus.PROCESSING: FlowStatus.PROCESSING,
        FlowStatus.STOPPED: FlowStatus.PROCESSING,
    },
    Request.STOP: {
        FlowStatus.INITIALIZING: FlowStatus.STOPPED,
        FlowStatus.PROCESSING: FlowStatus.STOPPED,
        FlowStatus.STOPPED: FlowStatus.STOPPED,
    },
    Request.CANCEL: {
        FlowStatus.INITIALIZING: FlowStatus.CANCELING,
        FlowStatus.PROCESSING: FlowStatus.CANCELING,
        FlowStatus.STOPPED: FlowStatus.CANCELING,
        FlowStatus.CANCELING: FlowStatus.CANCELING,
    },
}


def after(status: FlowStatus, request: Request) -> FlowStatus:
    """Return where *request* takes a flow; raises `ServiceError` if it is refused."""
    target = _ALLOWED[request].get(status)
    if target is None:
        raise ServiceError(_REFUSED[request], f"it is {status.value}")
    return target


_ENDS = {
    RunStatus.COMPLETED: FlowStatus.FINISHED,
    RunStatus.CANCELLED: FlowStatus.CANCELED,
    RunStatus.ERROR: FlowStatus.ERROR,
    RunStatus.SUPERSEDED: FlowStatus.ERROR,
}
_BROKEN = (reasons.DEFINITION_CHANGED, reasons.UNKNOWN_FLOW, reasons.CANCELLED)


def status_of(run: Run | Memento) -> FlowStatus:
    """Return where the flow of *run* stands, as far as the run alone tells.

    A run is interrupted when a step has asked for an operator, or can no longer be made
    sense of.
    """
    if run.status is RunStatus.INTERRUPTED:
        return FlowStatus.ERROR if run.reason in _BROKEN else FlowStatus.STOPPED
    return _ENDS.get(run.status, FlowStatus.PROCESSING)


NODE_STATUS = {
    StepStatus.PREPARED: FlowStatus.INITIALIZING,
    StepStatus.INITED: FlowStatus.PROCESSING,
    StepStatus.WAITING: FlowStatus.PROCESSING,
    StepStatus.COMPLETED: FlowStatus.FINISHED,
    StepStatus.FAILED: FlowStatus.ERROR,
    StepStatus.CANCELLED: FlowStatus.CANCELED,
}
