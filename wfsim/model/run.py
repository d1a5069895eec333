"""A run of a flow as the fold of its changes, and what may change in it.

A `Run` is changed in one way only: the `Journal` applies a change to it and keeps that
as an entry.  Each change is a small value with a verb for its name; the kind of a record
is read off it.

>>> from wfsim.model.flow import Flow, Step
>>> run = Run("1-Create", Key("mpd", "default", "mpd-0"))
>>> flow = Flow("Create", (Step("InitMeta"), Step("StartPod")))
>>> begin = Begin.of(flow, run.key, run.resource)
>>> changes = [begin, Start(0), Start(0), Complete(0, Frozen(id=7))]
>>> for time, change in enumerate(changes):
...     change.apply(run, at=float(time))
>>> run.steps[0].restarts  # the second start found the step half done
1
>>> run.memento().steps[0].output
{'id': 7}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, Protocol

from wfsim.model.flow import Flow
from wfsim.model.frozen import EMPTY, Frozen, freeze
from wfsim.model.memento import (
    CANCELLED,
    FINAL,
    OURS,
    UNDER_WAY,
    Memento,
    RunStatus,
    StepMemento,
    StepStatus,
    number_of,
)
from wfsim.model.record import Kind
from wfsim.model.resource import Key

# A NamedTuple's own constructor is a Python function; this one is not, and a step
# makes four of them (measured: tests/bench/test_calls.py).
_new = tuple.__new__

# Python 3.11 makes a call of each look at the member of an enum.
_RUNNING, _WAITING, _RUN_FAILED = RunStatus.RUNNING, RunStatus.WAITING, RunStatus.FAILED
_PREPARED, _INITED = StepStatus.PREPARED, StepStatus.INITED
_FAILED, _COMPLETED = StepStatus.FAILED, StepStatus.COMPLETED


class Cause(StrEnum):
    """Why a step or a run ended before its time; empty where nothing did."""

    NONE = ""
    ERROR = "error"  # the step raised an error
    TIMEOUT = "timeout"  # the step took longer than its limit
    STEP = "step"  # the step asked for an operator
    CANCEL = "cancel"  # an operator cancelled or deleted the resource
    GONE = "gone"  # the resource is no longer there
    RETRIES = "retries"  # the budget of retries is used up
    RESTARTS = "restarts"  # the budget of restarts is used up
    DEADLINE = "deadline"  # the run took longer than it may
    DEFINITION = "definition"  # the flow or the code of a step is not what it was


class Change(Protocol):
    """One change of a run.

    *kind* is that of its record; its entry says when it was made.  A change that ends
    something before its time has the *cause*, and the *limit* in seconds of what took
    too long.
    """

    @property
    def kind(self) -> Kind: ...

    def apply(self, run: Run, at: float) -> None:
        """Change *run* at that time; only a journal may do so to one that it keeps."""
        ...


class Run:
    """Where one run of a flow stands: the fold of its changes, all fields of a `Memento`.

    *changes* are those that led there, oldest first.
    """

    __slots__ = (
        "changes",
        "context",
        "cursor",
        "deadline",
        "digest",
        "entered",
        "error",
        "extra",
        "finished",
        "flow",
        "key",
        "owner",
        "reason",
        "resource",
        "restarts",
        "retries",
        "started",
        "status",
        "steps",
        "wake",
    )

    def __init__(self, key: str, resource: Key, flow: str = "") -> None:
        # All else is set by the first change, which is a `Begin`.
        self.key = key
        self.resource = resource
        self.flow = flow
        self.changes: list[Any] = []

    def __repr__(self) -> str:
        status = self.status.value if hasattr(self, "status") else "not begun"
        return f"<Run {self.resource} {self.key} {status}>"

    def load(self, memento: Memento) -> None:
        """Stand as *memento* says, but for key and resource."""
        self.steps: list[StepMemento]
        (
            _, _, self.flow, self.status, steps, self.context, self.started,
            self.finished, self.reason, self.error, self.retries, self.restarts,
            self.cursor, self.wake, self.entered, self.digest, self.owner, self.deadline,
            self.extra,
        ) = memento  # fmt: skip
        self.steps = list(steps)

    def memento(self) -> Memento:
        """Return where the run stands as a value in the reference's format."""
        return _new(Memento, (
            self.key, self.resource, self.flow, self.status, tuple(self.steps),
            self.context, self.started, self.finished, self.reason, self.error,
            self.retries, self.restarts, self.cursor, self.wake, self.entered,
            self.digest, self.owner, self.deadline, self.extra,
        ))  # fmt: skip

    def copy(self) -> Run:
        """Return a run of its own that stands where this one stands, without changes."""
        twin = Run(self.key, self.resource)
        if self.changes:
            twin.load(self.memento())
        return twin

    def forget(self) -> None:
        """Keep of its changes only where they have led."""
        self.changes[:] = [Begin(self.memento())]

    @property
    def number(self) -> int:
        """Its place among the runs of its resource, from 1; 0 if its key has none."""
        return number_of(self.key)

    @property
    def is_final(self) -> bool:
        """Whether only an operator's recovery may carry it on."""
        return self.status in FINAL

    @property
    def step(self) -> StepMemento | None:
        """The step that the last change was about; None in an empty flow."""
        return self.steps[self.cursor] if self.cursor < len(self.steps) else None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its steps, in order."""
        return tuple([step.name for step in self.steps])

    def first_open(self) -> int:
        """Return the index of the first step not completed."""
        for index, step in enumerate(self.steps):
            if step.status is not _COMPLETED:
                return index
        return len(self.steps)

    def go_on(self) -> None:
        """Be under way, whatever was before."""
        self.status = _RUNNING
        self.finished = self.wake = None
        self.reason = self.error = ""

    def set_step(
        self,
        index: int,
        step: StepMemento,
        status: RunStatus,
        *,
        error: str = "",
        wake: float | None = None,
    ) -> None:
        """Put *step* in place, and the run as a whole where that leaves it."""
        self.steps[index] = step
        self.status = status
        self.finished = None
        self.reason = ""
        self.error = error
        self.cursor = index
        self.wake = wake


# -- of a run as a whole ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begin:
    """A run was created, as *memento* says, or taken over from what others wrote."""

    memento: Memento

    kind: ClassVar[Kind] = Kind.RUN_CREATED

    @classmethod
    def of(
        cls,
        flow: Flow,
        key: str,
        resource: Key,
        *,
        params: Mapping[str, Any] = EMPTY,
        entered: int = -1,
        owner: str = "",
        deadline: float | None = None,
    ) -> Begin:
        """Return the beginning of a run of *flow* that has done nothing yet."""
        context = Frozen(
            {
                "_flowSaveNumberKey": key,
                "_flowSaveResourceNameKey": f"{resource.name}-workflow",
                "_flowSaveResourceNameSpaceKey": resource.namespace,
                "_resourceName": resource.name,
                "_resourceNameSpace": resource.namespace,
                **(freeze(params) if params else EMPTY),
            }
        )
        return cls(_new(Memento, (
            key, resource, flow.name, RunStatus.PREPARED, _prepared(flow.names), context,
            None, None, "", "", 0, 0, 0, None, entered, flow.digest, owner, deadline,
            EMPTY,
        )))  # fmt: skip

    def apply(self, run: Run, at: float) -> None:
        """Stand as the memento says; one that has done nothing begins now."""
        run.load(self.memento)
        if not self.memento.is_begun and run.started is None:
            run.started = at


@lru_cache(maxsize=256)
def _prepared(names: tuple[str, ...]) -> tuple[StepMemento, ...]:
    return tuple(map(StepMemento, names))


class Adoption(NamedTuple):
    """What a pass found when it took up a run that another one had left.

    *context* is None where it stays as it is; *migrated* is where the run stands once it
    fits the flow as it is now, None if it fits already.
    """

    retries: int
    restarts: int
    entered: int
    digest: str
    owner: str
    context: Mapping[str, Any] | None = None
    migrated: Memento | None = None

    @classmethod
    def of(cls, run: Run) -> Adoption:
        """Return the one that leaves *run* as it is."""
        return cls(run.retries, run.restarts, run.entered, run.digest, run.owner)

    @classmethod
    def once_more(cls, run: Run, entered: int, owner: str) -> Adoption:
        """Return what taking *run* up once more changes.

        As in the reference, a run found failed costs a retry, one found running a
        restart, and one that was prepared or waiting costs nothing.
        """
        retries = run.retries + (run.status is _RUN_FAILED)
        restarts = run.restarts + (run.status is _RUNNING)
        return cls(retries, restarts, entered, run.digest, owner)

    def draft(self, run: Run) -> Run:
        """Return a copy of *run* that has been taken up."""
        twin = run.copy()
        self.apply(twin)
        return twin

    def apply(self, run: Run) -> None:
        """Count the attempt at the run, and make it serve what the resource is now."""
        if self.migrated is not None:
            run.load(self.migrated)
        run.retries, run.restarts = self.retries, self.restarts
        run.entered, run.digest, run.owner = self.entered, self.digest, self.owner
        if self.context is not None:
            run.context = self.context


@dataclass(frozen=True, slots=True)
class Adopt:
    """The first change after a pass has taken up a run: one write for both."""

    adoption: Adoption
    change: Any

    @property
    def kind(self) -> Kind:
        """The kind of the change proper."""
        return self.change.kind  # type: ignore[no-any-return]

    def apply(self, run: Run, at: float) -> None:
        """Take the run up, then change it."""
        self.adoption.apply(run)
        self.change.apply(run, at)


@dataclass(frozen=True, slots=True)
class Late:
    """A change that was decided *at* a time, and kept later by a slow store.

    *entries* is how many entries its run had then: it is kept if there are more, so who
    does not know whether it was may say it again.
    """

    at: float
    entries: int
    change: Any

    @property
    def kind(self) -> Kind:
        """The kind of the change proper."""
        return self.change.kind  # type: ignore[no-any-return]

    def apply(self, run: Run, at: float) -> None:
        """Change *run* as of when that was decided."""
        self.change.apply(run, self.at)


@dataclass(frozen=True, slots=True)
class Recover:
    """An interrupted run was made runnable again, with budgets and time anew.

    *from_first_step* runs every step again; else the completed ones stay so, but for
    those in *afresh*.  *entered* is that of the state which the run serves from now on,
    None if that is not known yet.
    """

    from_first_step: bool
    deadline: float | None = None
    afresh: frozenset[int] = frozenset()
    entered: int | None = None

    kind: ClassVar[Kind] = Kind.RUN_RECOVERED

    def apply(self, run: Run, at: float) -> None:
        """Prepare what is to run again."""
        prepared, first = StepStatus.PREPARED, self.from_first_step
        run.cursor = 0 if first else run.first_open()
        run.steps = [
            step._replace(
                status=prepared if first or index in self.afresh else step.status,
                retries=0,
                restarts=0,
            )
            for index, step in enumerate(run.steps)
        ]
        if run.status in OURS:
            run.finished = None
        run.status = _RUN_FAILED
        run.wake = None
        run.deadline = self.deadline
        if self.entered is not None:
            run.entered = self.entered


@dataclass(frozen=True, slots=True)
class CompleteRun:
    """A run ended well."""

    kind: ClassVar[Kind] = Kind.RUN_COMPLETED

    def apply(self, run: Run, at: float) -> None:
        """End the run."""
        run.status, run.finished = RunStatus.COMPLETED, at
        run.reason = run.error = ""
        run.wake = None


@dataclass(frozen=True, slots=True)
class FailRun:
    """A run ended badly: a step had failed for good."""

    error: str
    cause: Cause = Cause.ERROR
    limit: float | None = None

    kind: ClassVar[Kind] = Kind.RUN_FAILED

    def apply(self, run: Run, at: float) -> None:
        """End the run."""
        run.status, run.finished = RunStatus.ERROR, at
        run.reason, run.error, run.wake = "", self.error, None


@dataclass(frozen=True, slots=True)
class CancelRun:
    """A run ended because that was asked for."""

    error: str

    kind: ClassVar[Kind] = Kind.RUN_CANCELLED
    cause: ClassVar[Cause] = Cause.CANCEL

    def apply(self, run: Run, at: float) -> None:
        """End the run."""
        run.status, run.finished = RunStatus.CANCELLED, at
        run.reason, run.error, run.wake = CANCELLED, self.error, None


@dataclass(frozen=True, slots=True)
class Supersede:
    """A run ended because another one has taken its place."""

    kind: ClassVar[Kind] = Kind.RUN_SUPERSEDED

    def apply(self, run: Run, at: float) -> None:
        """End the run."""
        run.status, run.finished, run.wake = RunStatus.SUPERSEDED, at, None


@dataclass(frozen=True, slots=True)
class Interrupt:
    """A run ended at step *index* until an operator recovers it.

    *reason* is the code that the resource shows, *cause* why, *limit* the time in
    seconds that was exceeded, if one was, *where* the line of code that failed.
    """

    index: int
    reason: str
    error: str
    cause: Cause
    limit: float | None = None
    where: str = ""

    kind: ClassVar[Kind] = Kind.RUN_INTERRUPTED

    def apply(self, run: Run, at: float) -> None:
        """End the run, and the step if it was under way."""
        index = self.index
        run.status = RunStatus.INTERRUPTED
        run.reason, run.error = self.reason, self.error
        run.cursor, run.wake, run.finished = index, None, None
        if index < len(run.steps):
            step = run.steps[index]
            if step.status in UNDER_WAY:
                run.steps[index] = step._replace(status=_FAILED, finished=at)


# -- of a step -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """Step *index* was begun, for the first time or again."""

    index: int

    kind: ClassVar[Kind] = Kind.STEP_STARTED

    # The two changes that every step makes are written out: 0.7 us each, measured.

    def apply(self, run: Run, at: float) -> None:
        """Count the attempt, against one of the budgets unless it is the first."""
        index = self.index
        name, status, retries, restarts, attempts, _, _, output, _, _ = run.steps[index]
        if status is not _PREPARED:
            retries += status is _FAILED
            restarts += status is _INITED
        run.steps[index] = _new(StepMemento, (
            name, _INITED, retries, restarts, attempts + 1, at, None, output, "", "",
        ))  # fmt: skip
        run.cursor = index
        if run.status is not _RUNNING or run.error:
            run.go_on()


@dataclass(frozen=True, slots=True)
class Complete:
    """Step *index* ended well."""

    index: int
    output: Mapping[str, Any] = field(default_factory=lambda: EMPTY)

    kind: ClassVar[Kind] = Kind.STEP_COMPLETED

    def apply(self, run: Run, at: float) -> None:
        """End the step, and keep its output."""
        index, output = self.index, self.output
        name, _, retries, restarts, attempts, began, _, _, operation, _ = run.steps[index]
        run.steps[index] = _new(StepMemento, (
            name, _COMPLETED, retries, restarts, attempts, began, at, output, operation,
            "",
        ))  # fmt: skip
        run.cursor = index
        if run.status is not _RUNNING or run.error:
            run.go_on()


# Every run of a flow of seven steps makes the same fourteen of these.
start = lru_cache(maxsize=1024)(Start)
complete = lru_cache(maxsize=1024)(Complete)


@dataclass(frozen=True, slots=True)
class Launch:
    """Step *index* is polled from *wake* on, until its *operation* is over."""

    index: int
    operation: str
    output: Mapping[str, Any]
    wake: float

    kind: ClassVar[Kind] = Kind.STEP_WAITING

    def apply(self, run: Run, at: float) -> None:
        """Park the step."""
        index = self.index
        step = run.steps[index]._replace(
            status=StepStatus.WAITING, operation=self.operation, output=self.output
        )
        run.set_step(index, step, _WAITING, wake=self.wake)


@dataclass(frozen=True, slots=True)
class Wait:
    """Step *index* waits until its resource changes, or until *wake*."""

    index: int
    wake: float | None

    kind: ClassVar[Kind] = Kind.STEP_WAITING

    def apply(self, run: Run, at: float) -> None:
        """Park the step."""
        step = run.steps[self.index]._replace(status=StepStatus.WAITING)
        run.set_step(self.index, step, _WAITING, wake=self.wake)


@dataclass(frozen=True, slots=True)
class Fail:
    """Step *index* ended badly, to be tried again at *wake*.

    *limit* is the time in seconds that it may take, if it took longer, *where* the line
    of code that failed, if it was one of the user's.
    """

    index: int
    error: str
    wake: float
    cause: Cause = Cause.ERROR
    limit: float | None = None
    where: str = ""

    kind: ClassVar[Kind] = Kind.STEP_FAILED

    def apply(self, run: Run, at: float) -> None:
        """End the attempt."""
        step = run.steps[self.index]._replace(status=_FAILED, finished=at)
        run.set_step(self.index, step, _RUN_FAILED, error=self.error, wake=self.wake)


@dataclass(frozen=True, slots=True)
class Close:
    """Step *index* ended for good, failed or cancelled; the run goes on without it."""

    index: int
    status: StepStatus
    error: str
    cause: Cause
    limit: float | None = None
    where: str = ""

    @property
    def kind(self) -> Kind:
        """Whether the step failed or was cancelled."""
        cancelled = self.status is StepStatus.CANCELLED
        return Kind.STEP_CANCELLED if cancelled else Kind.STEP_FAILED

    def apply(self, run: Run, at: float) -> None:
        """End the step."""
        step = run.steps[self.index]._replace(
            status=self.status, finished=at, error=self.error
        )
        run.set_step(self.index, step, _RUNNING, error=self.error)
