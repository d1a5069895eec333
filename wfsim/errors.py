"""Every exception wfsim raises, and the signals a step may raise.

* WfsimError
  x DefinitionError     a flow, machine, scenario or plan is wrong; nothing has run
  x MementoError        a memento's text cannot be read
  x UsageError          a call that makes no sense now, such as restarting what runs
  x NoticeError         a strict run has had notices
  x StoreError
    - NotFound
    - AlreadyExists
    - Conflict          the object moved on since it was read
    - Fenced            somebody else holds the lease, or the attempt is over
    - Unavailable       the store did not take the write, or did and said otherwise
  x ServiceError        what a service of flows answers instead, with its code
* StepSignal
  x Waiting             look again later
  x Interrupted         stop until an operator recovers the run
* PollError             a look at an operation came to nothing; the step may tolerate it
* StepFailed            what an injected or configured failure raises
* Cancelled             (BaseException) the resource was cancelled
* TimedOut              (BaseException) a step took longer than its policy allows
* Halted                (BaseException) Ctrl-C found a step that would not end
* Killed                (BaseException) the controller died

SimPy re-creates an exception as ``type(exc)(*exc.args)`` whenever it crosses a
process boundary, so every class here is built from positional arguments alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

Location: TypeAlias = tuple[str | int, ...]
"""The keys and indices that lead to an item of a document, outermost first."""


class WfsimError(Exception):
    """Base class of all errors."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, where it is, and what to do about it.

    *path* leads to it within what was given: the name of an argument, the keys of a
    document.  *subject* names what was given where there is no *file*.

    >>> print(Problem("'t' is missing", "add it", ("CrashAt", "t"), file="f", line=3))
    f:3: 't' is missing; add it
    """

    text: str
    cure: str = ""
    path: Location = ()
    subject: str = ""
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        said = f"{self.text}; {self.cure}" if self.cure else self.text
        return ": ".join(part for part in (where, self.subject, said) if part)


class DefinitionError(WfsimError):
    """Something that was written down is wrong; every problem found, one a line."""

    def __init__(self, *problems: Problem | str) -> None:
        super().__init__(*problems)
        self.problems = tuple(
            each if isinstance(each, Problem) else Problem(each) for each in problems
        )

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class MementoError(WfsimError):
    """A memento's text is corrupt, truncated or newer than this version."""


class NoticeError(WfsimError):
    """What was noticed in a run that was to be strict; every notice, one a line."""

    def __str__(self) -> str:
        return "\n".join(map(str, self.args))


class UsageError(WfsimError):
    """The call makes no sense in the state the object is in."""


class StoreError(WfsimError):
    """What a store answers instead of doing as it was told.

    One of this class itself says that the object cannot be kept: it is too large, or has
    what JSON cannot hold.
    """


class NotFound(StoreError):
    """No object has that key."""


class AlreadyExists(StoreError):
    """An object with that key is there already."""


class Conflict(StoreError):
    """The object has changed since the revision this write is based on."""


class Fenced(StoreError):
    """The writer has lost the right to write: lease passed on, or attempt ended."""


class Unavailable(StoreError):
    """The store failed; whether the write was applied is unknown to the caller."""


class StepSignal(Exception):
    """Base class of what a step raises to steer its run rather than to fail."""


class Waiting(StepSignal):
    """The step cannot finish yet.

    It is asked again when its resource changes, and *after* seconds of virtual
    time from now if that is given.
    """

    def __init__(self, after: float | None = None) -> None:
        super().__init__(after)
        self.after = after


class Interrupted(StepSignal):
    """The run must stop and wait for an operator."""

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message


class PollError(Exception):
    """A look at an operation that is under way came to nothing.

    It says nothing of the operation; a step tolerates as many in a row as its file says.
    """


class StepFailed(Exception):
    """A step failed because a fault or a failure probability said so."""


class Cancelled(BaseException):
    """Thrown into a step whose resource was cancelled.

    A ``BaseException``, so that ``except Exception`` in a step lets it pass.
    """


class TimedOut(BaseException):
    """Thrown into a step that ran longer than its timeout, or its run's deadline."""

    def __init__(self, limit: float, deadline: bool = False) -> None:
        super().__init__(limit, deadline)
        self.limit = limit
        self.deadline = deadline


class Halted(BaseException):
    """Thrown into a step that takes no virtual time and does not end, by Ctrl-C."""

    def __str__(self) -> str:
        return "stopped by Ctrl-C in a step that did not end"


class Killed(BaseException):
    """Thrown into every process of a controller that crashes."""


class Answer(NamedTuple):
    """What a code of a service says: its *name*, its HTTP status and its *text*.

    Codes, names and texts are those of the reference (``common/errors/errorcode.go``),
    and so are the HTTP statuses but for one: what is not there is 404, not 500.
    """

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
TASK_FAILED = 9995
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
    TASK_FAILED: Answer("TASK_FAILED", 500, "task failed"),
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
