"""Every exception wfsim raises, and the signals a step may raise.

* WfsimError
  x DefinitionError     a flow, machine, scenario or plan is wrong; nothing has run
  x MementoError        a memento's text cannot be read
  x UsageError          a call that makes no sense now, such as restarting what runs
  x StoreError
    - NotFound
    - AlreadyExists
    - Conflict          the object moved on since it was read
    - Fenced            somebody else holds the lease, or the attempt is over
    - Unavailable       the store did not take the write, or did and said otherwise
* StepSignal
  x Waiting             look again later
  x Interrupted         stop until an operator recovers the run
* PollError             a look at an operation came to nothing; the step may tolerate it
* StepFailed            what an injected or configured failure raises
* Cancelled             (BaseException) the resource was cancelled
* TimedOut              (BaseException) a step took longer than its policy allows
* Killed                (BaseException) the controller died

SimPy re-creates an exception as ``type(exc)(*exc.args)`` whenever it crosses a
process boundary, so every class here is built from positional arguments alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

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


class UsageError(WfsimError):
    """The call makes no sense in the state the object is in."""


class StoreError(WfsimError):
    """Base class of what a store may answer instead of doing as it was told."""


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


class Killed(BaseException):
    """Thrown into every process of a controller that crashes."""
