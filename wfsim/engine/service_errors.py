"""Everything that a service may answer instead of doing as it was told: one table.

Codes, names and texts are those of the reference (``common/errors/errorcode.go``), and
so are the HTTP statuses but for one: what is not there is 404, not 500.
"""

from __future__ import annotations

from typing import NamedTuple

from wfsim.errors import WfsimError


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
    9897: Answer("SYSTEM_STATE_CONFLICT", 500, "system not running"),
    9992: Answer("TASK_CANCELED", 500, "task canceled"),
    9993: Answer("TASK_CONFLICT", 400, "task conflict"),
    9994: Answer("TASK_POLLING_TIME_OUT", 500, "task polling time out"),
    9995: Answer("TASK_FAILED", 500, "task failed"),
    FLOW_NOT_FOUND: Answer("FLOW_NOT_FOUND", 404, "flow not found"),
    9997: Answer("TASK_TIMEOUT", 500, "task timeout"),
    9999: Answer("CLUSTER_SERVER_CALL_ERROR", 500, "cluster server call error"),
    10000: Answer("UNRECOGNIZED_ERROR", 500, "unrecognized error"),
    PARAMETER_INVALID: Answer("PARAMETER_INVALID", 400, "parameter is invalid"),
    MARSHAL_ERROR: Answer("MARSHAL_ERROR", 500, "marshal error"),
    10005: Answer("UNMARSHAL_ERROR", 500, "unmarshal error"),
    20114: Answer("CLUSTER_MAINTENANCE_CONFLICT", 409, "cluster maintenance conflict"),
    70600: Answer("UNAUTHORIZED_USER", 401, "unauthorized user"),
    70602: Answer("ACCESS_TOKEN_EXPIRED", 401, "access token expired"),
    70650: Answer("RBAC_PERMISSION_CHECK_FAILED", 403, "permission check failed"),
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
