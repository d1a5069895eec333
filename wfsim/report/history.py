"""Runs and attempts as a log tells of them, in one pass over its records.

What no record says outright is worked out here: which attempt died with its
controller, and when.  An attempt is lost when the last controller that was up when it
began has crashed, or when the same step is begun again without it having ended.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from wfsim.model.journal import OF_RESOURCES, Journal
from wfsim.model.log import EventLog
from wfsim.model.memento import CANCELLED, MANY_RESTARTS, Memento, RunStatus
from wfsim.model.record import Kind, Record
from wfsim.model.run import Begin, Cause, Complete, CompleteRun, Fail, Start
from wfsim.model.run import Run as Kept

NAN = math.nan

UNFINISHED = ("prepared", "running", "waiting", "failed", "quarantined")
"""The statuses of a `Run` that has neither ended nor been interrupted."""


class Run:
    """One run of a flow; times are seconds of virtual time, NaN for not yet.

    *last* is the place of its newest attempt, -1 if it has none.  While that is under
    way, *crew* are the controllers that may be carrying it out, and *struck* is when
    the last one of them died.  *count* is how many attempts it has had, *incidents* what
    else there is to tell of it, and *entered* the revision at which its resource entered
    the state that it serves (-1: not known).
    """

    __slots__ = (
        "count",
        "crew",
        "end",
        "entered",
        "error",
        "flow",
        "incidents",
        "last",
        "resource",
        "restarts",
        "retries",
        "run",
        "start",
        "status",
        "struck",
    )  # fmt: skip

    def __init__(self, resource: str, run: str, flow: str, start: float) -> None:
        self.resource = resource
        self.run = run
        self.flow = flow or run.partition("-")[2]
        self.start = start
        self.end = NAN
        self.status = "prepared"
        self.error = ""
        self.retries = 0
        self.restarts = 0
        self.last = -1
        self.crew: frozenset[str] = frozenset()
        self.struck: float | None = None
        self.count = 0
        self.incidents: list[Incident] = []
        self.entered = -1


class Incident(NamedTuple):
    """A step of a run began to wait or failed, or the run was interrupted or recovered.

    *after* is how many attempts the run had had, *wake* when a failed step may be tried
    again.
    """

    after: int
    time: float
    kind: Kind
    wake: float | None = None


class Attempt(NamedTuple):
    """One attempt of a step of the run *of*; times as those of a `Run`."""

    of: Run
    step: str
    attempt: int
    status: str
    start: float
    end: float
    error: str
    where: str


class Attempts:
    """Attempts of steps in order of appearance, one list per column.

    Measured: with an object for each, building a table takes twice as long.
    """

    def __init__(self) -> None:
        self.of: list[Run] = []
        self.step: list[str] = []
        self.attempt: list[int] = []
        self.status: list[str] = []
        self.start: list[float] = []
        self.end: list[float] = []
        self.error: list[str] = []
        self.where: list[str] = []

    def __iter__(self) -> Iterator[Attempt]:
        columns = (self.of, self.step, self.attempt, self.status)
        times = (self.start, self.end)
        rows = zip(*columns, *times, self.error, self.where, strict=True)
        return map(Attempt._make, rows)

    def begin(self, run: Run, step: str, attempt: int, start: float) -> None:
        run.last = len(self.of)
        run.count += 1
        self.of.append(run)
        self.step.append(step)
        self.attempt.append(attempt)
        self.status.append("running")
        self.start.append(start)
        self.end.append(NAN)
        self.error.append("")
        self.where.append("")

    def close(
        self, at: int, status: str, end: float, error: str = "", where: str = ""
    ) -> None:
        self.status[at] = status
        self.end[at] = end
        if error:
            self.error[at] = error
        if where:
            self.where[at] = where

    def lose(self, run: Run, time: float) -> None:
        """End the last one of *run* as cut short: when struck, or noticed at *time*."""
        self.close(run.last, "crashed", time if run.struck is None else run.struck)


class History:
    """The runs and the attempts of *log*, each in order of appearance."""

    def __init__(self, log: EventLog) -> None:
        self.runs: list[Run] = []
        self.attempts = Attempts()
        self._known: dict[tuple[str, str], Run] = {}
        self._alive: frozenset[str] = frozenset()
        self._read(log.records)

    def _read(self, records: Sequence[Record]) -> None:
        if not isinstance(records, Journal):
            for record in records:
                self._take(record)
            return
        # Nearly all entries are of steps that begin or end well.  No records are made of
        # them, which would take twice as long as the whole table does.
        attempts, begin = self.attempts, self._begin
        status, end = attempts.status, attempts.end
        # By run of the journal: what it is here, its steps' names, their attempts so far.
        known: dict[Kept, tuple[Run, list[str], list[int]]] = {}
        for seq, (time, kept, change, _) in enumerate(records.entries()):
            kind = type(change)
            if kind is Start and kept in known:
                run, names, counts = known[kept]
                index = change.index
                counts[index] += 1
                begin(run, names[index], counts[index], time)
            elif kind is Complete and kept in known:
                last = known[kept][0].last
                status[last] = "completed"
                end[last] = time
            elif kind is CompleteRun and kept in known:
                self._complete(known[kept][0], time)
            elif kind is Begin and not change.memento.is_begun:
                memento = change.memento
                key = records.name(memento.resource), memento.key
                run = self._add(Run(*key, memento.flow, time), memento.entered)
                names, counts = [s.name for s in memento.steps], [0] * len(memento.steps)
                known[kept] = run, names, counts  # type: ignore[index]
            elif (
                kind is Fail
                and kept in known
                and status[known[kept][0].last] == "running"
            ):
                self._fail(known[kept][0], time, change)
            elif kept is not None or kind not in OF_RESOURCES:
                record = records.made(seq)
                self._take(record)
                if kept is not None:
                    steps = record.value.steps
                    names = [step.name for step in steps]
                    counts = [step.attempts for step in steps]
                    known[kept] = self._run_of(record), names, counts

    def _take(self, record: Record) -> None:
        kind = record.kind
        if kind is Kind.STEP_LOG:
            return
        if kind is Kind.CONTROLLER_CRASHED:
            self._crash(record.controller or record.text, record.time)
        elif kind is Kind.CONTROLLER_STARTED:
            self._alive |= {record.controller or record.text}
        elif kind in _TURNS:
            self._incident(self._run_of(record), record)
        elif kind is Kind.STEP_STARTED:
            self._begin(self._run_of(record), record.step, record.attempt, record.time)
        elif kind is Kind.STEP_COMPLETED:
            at = self._attempt_of(self._run_of(record), record)
            self.attempts.close(at, "completed", record.time)

    def _add(self, run: Run, entered: int) -> Run:
        run.entered = entered
        run.incidents.append(Incident(0, run.start, Kind.RUN_CREATED))
        self.runs.append(run)
        self._known[run.resource, run.run] = run
        return run

    def _complete(self, run: Run, time: float) -> None:
        run.status, run.error, run.end = "completed", "", time
        run.incidents.append(Incident(run.count, time, Kind.RUN_COMPLETED))

    def _fail(self, run: Run, time: float, change: Fail) -> None:
        """End the attempt under way, and the run for now."""
        self.attempts.close(run.last, "failed", time, change.error, change.where)
        run.status, run.error = "failed", change.error
        run.incidents.append(Incident(run.count, time, change.kind, change.wake))

    def _run_of(self, record: Record) -> Run:
        return self._known.get((record.resource, record.run)) or self._new_run(record)

    def _new_run(self, record: Record) -> Run:
        value, start = record.value, record.time
        run = Run(record.resource, record.run, record.flow, start)
        if isinstance(value, Memento) and record.kind is not Kind.RUN_CREATED:
            # The log begins in the middle of the run.
            began = value.started
            run.start = began if began is not None and began <= start else start
        if isinstance(value, Memento):
            run.entered = value.entered
        self.runs.append(run)
        self._known[record.resource, record.run] = run
        return run

    def _begin(self, run: Run, step: str, number: int, time: float) -> None:
        attempts, at = self.attempts, run.last
        if at >= 0 and attempts.status[at] != "completed":
            if attempts.status[at] in _OPEN:
                attempts.lose(run, time)
            if attempts.step[at] == step:
                run.retries += attempts.status[at] == "failed"
                run.restarts += attempts.status[at] == "crashed"
        attempts.begin(run, step, number, time)
        run.status, run.error, run.end = "running", "", NAN
        run.crew, run.struck = self._alive, None

    def _at(self, run: Run, step: str, number: int, value: Any, time: float) -> int:
        """Return the attempt that a record is about, also if its start is not told of."""
        attempts, at = self.attempts, run.last
        if at < 0 or attempts.step[at] != step or attempts.attempt[at] != number:
            attempts.begin(run, step, number, _start(value, time))
        return run.last

    def _attempt_of(self, run: Run, record: Record) -> int:
        return self._at(run, record.step, record.attempt, record.value, record.time)

    def _incident(self, run: Run, record: Record) -> None:
        """Take note of what *record* says of the run as a whole."""
        kind, value = record.kind, record.value
        if kind is Kind.STEP_WAITING:
            self.attempts.status[self._attempt_of(run, record)] = run.status = "waiting"
            run.incidents.append(Incident(run.count, record.time, kind))
            return
        if kind is Kind.STEP_FAILED or kind is Kind.STEP_CANCELLED:
            status = _TURNS[kind]
            if record.attempt:
                at = self._attempt_of(run, record)
                self.attempts.close(at, status, record.time, record.text, record.where)
            run.status, run.error = status, record.text
            wake = value.wake if isinstance(value, Memento) else None
            run.incidents.append(Incident(run.count, record.time, kind, wake))
            return
        if run.last >= 0 and self.attempts.status[run.last] in _OPEN:
            self._stop(run, record)
        if kind is Kind.RUN_PRUNED:
            # A namesake of the resource may have a run of that key again.
            del self._known[record.resource, record.run]
            return
        run.status, run.error = _TURNS[kind], record.text
        run.incidents.append(Incident(run.count, record.time, kind))
        if kind is Kind.RUN_RECOVERED:
            run.last = -1
            run.end = NAN
        elif kind is Kind.RUN_CREATED:
            if isinstance(value, Memento) and value.status is not RunStatus.PREPARED:
                self._found(run, value, record.time)
        else:
            run.end = record.time

    def _found(self, run: Run, memento: Memento, time: float) -> None:
        """Tell of a run that stood so when the log began."""
        run.status = memento.status.value
        if memento.started is not None and memento.started <= time:
            run.start = memento.started
        if not memento.is_final:
            return
        if memento.status is RunStatus.INTERRUPTED:
            run.status = "interrupted"
        last = memento.step
        ended = memento.finished if last is None else memento.finished or last.finished
        # The reference writes ends in whole seconds: one may lie before its start.
        run.end = max(run.start, time if ended is None else min(ended, time))

    def _stop(self, run: Run, record: Record) -> None:
        """End the attempt that was under way when its run ended."""
        attempts, at, time = self.attempts, run.last, record.time
        if record.kind is Kind.RUN_INTERRUPTED and not _is(
            record, MANY_RESTARTS, Cause.RESTARTS
        ):
            cancelled = _is(record, CANCELLED, Cause.CANCEL, Cause.GONE)
            status = "cancelled" if cancelled else "interrupted"
            attempts.close(at, status, time, record.text, record.where)
        elif attempts.status[at] == "waiting":
            attempts.close(at, "superseded", time)
        else:
            attempts.lose(run, time)

    def _crash(self, controller: str, time: float) -> None:
        self._alive -= {controller}
        for run in self._known.values():
            if run.last >= 0 and self.attempts.status[run.last] == "running":
                run.crew -= {controller}
                run.struck = time
                if not run.crew:
                    self.attempts.lose(run, time)


def _is(record: Record, reason: str, *causes: Cause) -> bool:
    """Whether a run was interrupted for one of *causes*, or *reason* if none is given."""
    if record.cause:
        return record.cause in causes
    return isinstance(record.value, Memento) and record.value.reason == reason


def _start(value: Any, time: float) -> float:
    """Return when the attempt that ends at *time* began, as far as its memento tells."""
    if not isinstance(value, Memento) or value.step is None:
        return NAN
    step = value.step
    if step.started is None or step.finished not in (None, time):
        return NAN
    return step.started if step.started <= time else NAN


_OPEN = ("running", "waiting")
_TURNS = {
    Kind.STEP_WAITING: "waiting",
    Kind.STEP_FAILED: "failed",
    Kind.STEP_CANCELLED: "cancelled",
    Kind.RUN_FAILED: "error",
    Kind.RUN_CANCELLED: "cancelled",
    Kind.RUN_CREATED: "prepared",
    Kind.RUN_COMPLETED: "completed",
    Kind.RUN_INTERRUPTED: "interrupted",
    Kind.RUN_RECOVERED: "failed",
    Kind.RUN_SUPERSEDED: "superseded",
    Kind.RUN_QUARANTINED: "quarantined",
    Kind.RUN_PRUNED: "",
}


class Outage(NamedTuple):
    """A time during which no controller was up; *until* is infinite if none came back."""

    since: float
    until: float


def outages(log: EventLog) -> list[Outage]:
    """Return the times during which no controller was up, after the first was."""
    alive: set[str] = set()
    found: list[Outage] = []
    for record in log.filter(Kind.CONTROLLER_STARTED, Kind.CONTROLLER_CRASHED):
        if record.kind is Kind.CONTROLLER_CRASHED:
            alive.discard(record.controller or record.text)
            if not alive:
                found.append(Outage(record.time, math.inf))
        else:
            if not alive and found and found[-1].until == math.inf:
                found[-1] = found[-1]._replace(until=record.time)
            alive.add(record.controller or record.text)
    return found
