"""Where a flow of a service stands, where it may go, and what a refusal says.

>>> after(FlowStatus.STOPPED, Request.CANCEL).value
'Canceling'
>>> try:
...     after(FlowStatus.CANCELING, Request.START)
... except ServiceError as error:
...     error.code, error.message
(40103, 'it is Canceling')

Codes, names and texts are those of the reference (``common/errors/errorcode.go``), and
so are the HTTP statuses but for one: what is not there is 404, not 500.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from wfsim.errors import WfsimError
from wfsim.model import memento as reasons
from wfsim.model.memento import Memento, RunStatus, StepStatus
from wfsim.model.run import Run


class Answer(NamedTuple):
    """One row: the *name* of a code, its HTTP status and its *text*."""

    name: str
    http: int
    text: str


CREATE_FAILED = 40100
QUERY_FAILED = 40101
DETAIL_FAILED = 40102
START_FAILED = 40103
DEFINE_NOT_FOUND = 40104
POLLING_TIME_OUT = 40105
STOP_FAILED = 40106
CANCEL_FAILED = 40107
SERVER_CALL_FAILED = 9999
UNRECOGNIZED = 10000
UNAUTHORIZED = 70600
FORBIDDEN = 70650
FLOW_NOT_FOUND = 9996
PARAMETER_INVALID = 10001
MARSHAL_ERROR = 10004

ANSWERS = {
    CREATE_FAILED: Answer("WORKFLOW_CREATE_FAILED", 500, "workflow create failed"),
    QUERY_FAILED: Answer("WORKFLOW_QUERY_FAILED", 500, "workflow query failed"),
    DETAIL_FAILED: Answer("WORKFLOW_DETAIL_FAILED", 500, "workflow detail failed"),
    START_FAILED: Answer("WORKFLOW_START_FAILED", 500, "workflow start failed"),
    DEFINE_NOT_FOUND: Answer(
        "WORKFLOW_DEFINE_NOT_FOUND", 404, "workflow define not found"
    ),
    POLLING_TIME_OUT: Answer(
        "WORKFLOW_NODE_POLLING_TIME_OUT", 500, "workflow node polling time out"
    ),
    STOP_FAILED: Answer("WORKFLOW_STOP_FAILED", 500, "workflow stop failed"),
    CANCEL_FAILED: Answer("WORKFLOW_CANCEL_FAILED", 500, "workflow cancel failed"),
    -1: Answer("PANIC", 500, "panic"),
    9897: Answer("SYSTEM_STATE_CONFLICT", 500, "system state conflict"),
    9992: Answer("TASK_CANCELED", 500, "task canceled"),
    9993: Answer("TASK_CONFLICT", 400, "task conflict"),
    9994: Answer("TASK_POLLING_TIME_OUT", 500, "task polling time out"),
    9995: Answer("TASK_FAILED", 500, "task failed"),
    FLOW_NOT_FOUND: Answer("FLOW_NOT_FOUND", 404, "flow not found"),
    9997: Answer("TASK_TIMEOUT", 500, "task timeout"),
    SERVER_CALL_FAILED: Answer(
        "CLUSTER_SERVER_CALL_ERROR", 500, "call cluster-Server failed"
    ),
    UNRECOGNIZED: Answer("UNRECOGNIZED_ERROR", 500, "unrecognized error"),
    PARAMETER_INVALID: Answer("PARAMETER_INVALID", 400, "parameter is invalid"),
    MARSHAL_ERROR: Answer("MARSHAL_ERROR", 500, "marshal error"),
    10005: Answer("UNMARSHAL_ERROR", 500, "marshal error"),
    20114: Answer("CLUSTER_MAINTENANCE_CONFLICT", 409, "maintenance status conflict"),
    UNAUTHORIZED: Answer("UNAUTHORIZED_USER", 401, "unauthorized"),
    70602: Answer("ACCESS_TOKEN_EXPIRED", 401, "access token has been expired"),
    FORBIDDEN: Answer(
        "RBAC_PERMISSION_CHECK_FAILED", 403, "rbac permission check failed"
    ),
}


class ServiceError(WfsimError):
    r"""What a service answers instead: ``code``, ``name``, ``http``, ``message``.

    >>> error = ServiceError(DEFINE_NOT_FOUND, "no flow 'Stpo'")
    >>> error.name, error.http, str(error)
    ('WORKFLOW_DEFINE_NOT_FOUND', 404, "[40104]workflow define not found\tno flow 'Stpo'")
    """

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.name, self.http, self.text = ANSWERS[code]

    def __str__(self) -> str:
        return "\t".join(filter(None, (f"[{self.code}]{self.text}", self.message)))


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
