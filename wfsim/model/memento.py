"""A memento: all that must survive a restart to carry a run of a flow on.

Mementos are values.  Each transition returns a new one and leaves the old one
as it was, so a store may keep them by reference and a log may compare them.

>>> from wfsim.model.flow import Flow, Step
>>> from wfsim.model.resource import Key
>>> flow = Flow("Create", (Step("InitMeta"), Step("StartPod")))
>>> run = Memento.new(1, flow, Key("mpd", "default", "mpd-0"), now=0.0)
>>> run.key, run.status.value
('1-Create', 'prepared')
>>> run = run.start_step(0, now=0.0)
>>> run.steps[0].status.value, run.steps[0].attempts
('inited', 1)
>>> run.start_step(0, now=5.0).steps[0].restarts  # a restart found the step half done
1
>>> run.complete_step(0, now=2.0, output={"id": 7}).steps[0].output
{'id': 7}
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from wfsim.model.flow import Flow
from wfsim.model.frozen import EMPTY, Frozen, freeze, replacing
from wfsim.model.resource import Key
from wfsim.model.status import (
    CANCELLED,
    DEADLINE,
    DEFINITION_CHANGED,
    FINAL,
    MANY_RESTARTS,
    MANY_RETRY,
    OURS,
    UNKNOWN_FLOW,
    UNKNOWN_TASK,
    RunStatus,
    StepStatus,
)

# A NamedTuple's own constructor is a Python function; this one is not, and a step
# makes four of them (measured: tests/bench/test_calls.py).
_new = tuple.__new__


# Python 3.11 makes a call of each look at the member of an enum.
_RUNNING = RunStatus.RUNNING
_INITED, _FAILED, _COMPLETED = StepStatus.INITED, StepStatus.FAILED, StepStatus.COMPLETED


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
    """A memento's text that cannot be read, kept as it is, and why."""

    key: str
    resource: Key
    text: str
    reason: str


class Memento(NamedTuple):
    """The durable state of one run of a flow.

    *cursor* is the step the last transition was about.  *entered* is the revision at
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

    @classmethod
    def new(
        cls,
        number: int,
        flow: Flow,
        resource: Key,
        *,
        now: float,
        params: Mapping[str, Any] = EMPTY,
        entered: int = -1,
        owner: str = "",
        deadline: float | None = None,
    ) -> Memento:
        """Return the *number*-th run of *resource*, not begun."""
        key = f"{number}-{flow.name}"
        context: Mapping[str, Any] = Frozen(
            {
                "_flowSaveNumberKey": key,
                "_flowSaveResourceNameKey": f"{resource.name}-workflow",
                "_flowSaveResourceNameSpaceKey": resource.namespace,
                "_resourceName": resource.name,
                "_resourceNameSpace": resource.namespace,
                **(freeze(params) if params else EMPTY),
            }
        )
        return cls(
            key,
            resource,
            flow.name,
            RunStatus.PREPARED,
            _prepared(flow.names),
            context,
            started=now,
            entered=entered,
            digest=flow.digest,
            owner=owner,
            deadline=deadline,
        )

    @property
    def number(self) -> int:
        """Its place among the runs of its resource, from 1."""
        return int(self.key.partition("-")[0])

    @property
    def is_final(self) -> bool:
        """Whether only an operator's recovery may carry it on."""
        return self.status in FINAL

    @property
    def step(self) -> StepMemento | None:
        """The step that the last transition was about; None in an empty flow."""
        return self.steps[self.cursor] if self.cursor < len(self.steps) else None

    def resume(self, entered: int, digest: str, owner: str = "") -> Memento:
        """Count one more attempt at an unfinished run; it is stored with what follows.

        As in the reference, a run found failed costs a retry, one found running a
        restart, and one that was prepared or waiting costs nothing.
        """
        retries = self.retries + (self.status is RunStatus.FAILED)
        restarts = self.restarts + (self.status is RunStatus.RUNNING)
        return self._replace(
            retries=retries,
            restarts=restarts,
            entered=entered,
            digest=digest,
            owner=owner,
        )

    # The two transitions that every step makes are written out, whole tuple to whole
    # tuple: 0.7 us each; with slices it was 1.4, with `_replace` more still.

    def start_step(self, index: int, now: float) -> Memento:
        """Begin step *index*, for the first time or again."""
        global latest
        (
            key, resource, flow, _, old, context, started, _, _, _, retries, restarts,
            _, _, entered, digest, owner, deadline, extra,
        ) = self  # fmt: skip
        steps = list(old)
        name, status, failed, cut, attempts, _, _, output, _, _ = steps[index]
        if status is _FAILED:
            failed += 1
        elif status is _INITED:
            cut += 1
        step = (name, _INITED, failed, cut, attempts + 1, now, None, output, "", "")
        steps[index] = _new(StepMemento, step)
        made = _new(Memento, (
            key, resource, flow, _RUNNING, tuple(steps), context, started, None, "", "",
            retries, restarts, index, None, entered, digest, owner, deadline, extra,
        ))  # fmt: skip
        latest = (self, made, now, 2 * index)
        return made

    def complete_step(self, index: int, now: float, output: Mapping[str, Any]) -> Memento:
        """End step *index* well."""
        global latest
        (
            key, resource, flow, _, old, context, started, _, _, _, retries, restarts,
            _, _, entered, digest, owner, deadline, extra,
        ) = self  # fmt: skip
        steps = list(old)
        name, _, failed, cut, attempts, began, _, _, at, _ = steps[index]
        step = (name, _COMPLETED, failed, cut, attempts, began, now, output, at, "")
        steps[index] = _new(StepMemento, step)
        made = _new(Memento, (
            key, resource, flow, _RUNNING, tuple(steps), context, started, None, "", "",
            retries, restarts, index, None, entered, digest, owner, deadline, extra,
        ))  # fmt: skip
        latest = (self, made, now, (index, output) if output else 2 * index + 1)
        return made

    def launch_step(
        self, index: int, operation: str, output: Mapping[str, Any], wake: float
    ) -> Memento:
        """Let step *index* be polled from *wake* on, until its *operation* is over."""
        launched = self.steps[index]._replace(
            status=StepStatus.WAITING, operation=operation, output=output
        )
        return self._with(index, launched, RunStatus.WAITING, wake=wake)

    def wait_step(self, index: int, wake: float | None) -> Memento:
        """Park step *index* until its resource changes, or until *wake*."""
        step = self.steps[index]._replace(status=StepStatus.WAITING)
        return self._with(index, step, RunStatus.WAITING, wake=wake)

    def fail_step(self, index: int, now: float, error: str, wake: float) -> Memento:
        """End step *index* badly, to be tried again at *wake*."""
        step = self.steps[index]._replace(status=StepStatus.FAILED, finished=now)
        return self._with(index, step, RunStatus.FAILED, error=error, wake=wake)

    def close_step(
        self, index: int, now: float, status: StepStatus, error: str
    ) -> Memento:
        """End step *index* for good, failed or cancelled; the run goes on without it."""
        step = self.steps[index]._replace(status=status, finished=now, error=error)
        return self._with(index, step, RunStatus.RUNNING, error=error)

    def interrupt(self, index: int, now: float, reason: str, message: str) -> Memento:
        """End the run at step *index* until an operator recovers it."""
        stopped = self._replace(
            status=RunStatus.INTERRUPTED,
            reason=reason,
            error=message,
            cursor=index,
            wake=None,
            finished=None,
        )
        if index >= len(self.steps):
            return stopped
        step = self.steps[index]
        if step.status in (StepStatus.INITED, StepStatus.WAITING):
            step = step._replace(status=StepStatus.FAILED, finished=now)
        return stopped._replace(
            steps=(*self.steps[:index], step, *self.steps[index + 1 :])
        )

    def complete(self, now: float) -> Memento:
        """End the run well."""
        return self._replace(
            status=RunStatus.COMPLETED, finished=now, reason="", error="", wake=None
        )

    def fail(self, now: float, error: str) -> Memento:
        """End the run badly: a step has failed for good."""
        return self._replace(
            status=RunStatus.ERROR, finished=now, reason="", error=error, wake=None
        )

    def cancel(self, now: float, error: str) -> Memento:
        """End the run because that was asked for."""
        cancelled, reason = RunStatus.CANCELLED, CANCELLED
        return self._replace(
            status=cancelled, finished=now, reason=reason, error=error, wake=None
        )

    def supersede(self, now: float) -> Memento:
        """End the run because another one has taken its place."""
        return self._replace(status=RunStatus.SUPERSEDED, finished=now, wake=None)

    def recover(
        self,
        from_first_step: bool,
        deadline: float | None = None,
        afresh: Container[int] = (),
    ) -> Memento:
        """Make an interrupted run runnable again, with budgets and time anew.

        *from_first_step* runs every step again; else the completed ones stay so, but
        for those in *afresh*.
        """
        prepared = StepStatus.PREPARED
        steps = tuple(
            step._replace(
                status=prepared if from_first_step or index in afresh else step.status,
                retries=0,
                restarts=0,
            )
            for index, step in enumerate(self.steps)
        )
        cursor = 0 if from_first_step else self.first_open()
        return self._replace(
            status=RunStatus.FAILED,
            finished=None if self.status in OURS else self.finished,
            steps=steps,
            cursor=cursor,
            wake=None,
            deadline=deadline,
        )

    def first_open(self) -> int:
        """Return the index of the first step not completed."""
        for index, step in enumerate(self.steps):
            if step.status is not StepStatus.COMPLETED:
                return index
        return len(self.steps)

    def _with(
        self,
        index: int,
        step: StepMemento,
        status: RunStatus,
        *,
        error: str = "",
        wake: float | None = None,
    ) -> Memento:
        return self._replace(
            status=status,
            steps=(*self.steps[:index], step, *self.steps[index + 1 :]),
            finished=None,
            reason="",
            error=error,
            cursor=index,
            wake=wake,
        )

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


@lru_cache(maxsize=256)
def _prepared(names: tuple[str, ...]) -> tuple[StepMemento, ...]:
    return tuple(map(StepMemento, names))


Transition: TypeAlias = int | tuple[int, Mapping[str, Any]]
"""Twice the index of a step that is begun, and one more if it is completed; with an
output, that is a pair of the index and the output."""

latest: tuple[Memento | None, Memento | None, float, Transition] = (None, None, 0.0, 0)
"""The transition made last, of whichever run: of what it made what, when, and how.

Who is told of a write at once can see here, by identity, what it was.
"""

__all__ = [
    "CANCELLED", "DEADLINE", "DEFINITION_CHANGED", "FINAL", "MANY_RESTARTS", "MANY_RETRY",
    "OURS", "UNKNOWN_FLOW", "UNKNOWN_TASK", "Memento", "Quarantined", "RunStatus",
    "StepMemento", "StepStatus", "Transition",
]  # fmt: skip
