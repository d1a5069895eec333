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
from wfsim.model.run import Adopt, Begin, Cause, Complete, CompleteRun, Fail, Start

NAN = math.nan

UNFINISHED = ("prepared", "running", "waiting", "failed", "quarantined")
"""The statuses of a `Run` that has neither ended nor been interrupted."""


class Run:
    """One run of a flow; times are seconds of virtual time, NaN for not yet.

    *last* is its newest attempt, None if it has none.  While that is under way, *crew*
    are the controllers that may be carrying it out, and *struck* is when the last one of
    them died.  *count* is how many attempts it has had, *incidents* what else there is to
    tell of it, and *entered* the revision at which its resource entered the state that
    it serves (-1: not known).
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
        self.last: Row | None = None
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


Row = list[Any]
"""An attempt that may still go on, field by field.

Measured: with an object for each, building a table takes twice as long.
"""


# The places of what changes in a row; the others are those of an `Attempt`.
_STATUS, _END, _ERROR, _WHERE = 3, 5, 6, 7


class History:
    """The runs and the attempts of *log*, each in order of appearance."""

    def __init__(self, log: EventLog) -> None:
        self.runs: list[Run] = []
        self.rows: list[Row] = []
        self._known: dict[tuple[str, str], Run] = {}
        self._alive: frozenset[str] = frozenset()
        self._read(log.records)

    @property
    def attempts(self) -> Iterator[Attempt]:
        """The attempts of all runs."""
        return map(Attempt._make, self.rows)

    def _read(self, records: Sequence[Record]) -> None:
        if not isinstance(records, Journal):
            for record in records:
                self._take(record)
            return
        # Nearly all entries are of steps that begin or end well.  No records are made of
        # them, which would take twice as long as the whole table does.
        rows = self.rows
        # By run of the journal: what it is here, its steps' names, their attempts so far.
        known: dict[Any, tuple[Run, list[str], list[int]]] = {}
        for seq, (time, kept, change, _) in enumerate(records.entries()):
            kind, of = type(change), known.get(kept)
            if kind is Adopt and change.adoption.migrated is None:
                change = change.change
                kind = type(change)
            if kind is Start and of is not None:
                run, names, counts = of
                index = change.index
                counts[index] = count = counts[index] + 1
                name, last = names[index], run.last
                if last is not None and last[_STATUS] != "completed":
                    self._resume(run, last, name, time)
                run.last = row = [run, name, count, "running", time, NAN, "", ""]
                rows.append(row)
                run.count += 1
                if run.status != "running" or run.crew is not self._alive:
                    self._go_on(run)
            elif kind is Complete and of is not None and (last := of[0].last):
                last[_STATUS], last[_END] = "completed", time
            elif kind is CompleteRun and of is not None:
                self._complete(of[0], time)
            elif kind is Begin and not change.memento.is_begun:
                memento = change.memento
                key = records.name(memento.resource), memento.key
                run = self._add(Run(*key, memento.flow, time), memento.entered)
                names = [step.name for step in memento.steps]
                known[kept] = run, names, [0] * len(names)
            elif kind is Fail and of is not None and _is_running(of[0].last):
                self._fail(of[0], time, change)
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
            row = self._attempt_of(self._run_of(record), record)
            close(row, "completed", record.time)

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
        assert run.last is not None
        close(run.last, "failed", time, change.error, change.where)
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
        if run.last is not None and run.last[_STATUS] != "completed":
            self._resume(run, run.last, step, time)
        self._append(run, step, number, time)
        self._go_on(run)

    def _append(self, run: Run, step: str, number: int, start: float) -> Row:
        run.last = row = [run, step, number, "running", start, NAN, "", ""]
        run.count += 1
        self.rows.append(row)
        return row

    def _resume(self, run: Run, last: Row, step: str, time: float) -> None:
        """Count that *step* begins after an attempt that did not complete."""
        if last[_STATUS] in _OPEN:
            lose(run, last, time)
        if last[1] == step:
            run.retries += last[_STATUS] == "failed"
            run.restarts += last[_STATUS] == "crashed"

    def _go_on(self, run: Run) -> None:
        run.status, run.error, run.end = "running", "", NAN
        run.crew, run.struck = self._alive, None

    def _at(self, run: Run, step: str, number: int, value: Any, time: float) -> Row:
        """Return the attempt that a record is about, also if its start is not told of."""
        if run.last is None or run.last[1:3] != [step, number]:
            return self._append(run, step, number, _start(value, time))
        return run.last

    def _attempt_of(self, run: Run, record: Record) -> Row:
        return self._at(run, record.step, record.attempt, record.value, record.time)

    def _incident(self, run: Run, record: Record) -> None:
        """Apply what *record* says of the run as a whole."""
        kind, value = record.kind, record.value
        if kind is Kind.STEP_WAITING:
            self._attempt_of(run, record)[_STATUS] = run.status = "waiting"
            run.incidents.append(Incident(run.count, record.time, kind))
            return
        if kind is Kind.STEP_FAILED or kind is Kind.STEP_CANCELLED:
            status = _TURNS[kind]
            if record.attempt:
                row = self._attempt_of(run, record)
                close(row, status, record.time, record.text, record.where)
            run.status, run.error = status, record.text
            wake = value.wake if isinstance(value, Memento) else None
            run.incidents.append(Incident(run.count, record.time, kind, wake))
            return
        if run.last is not None and run.last[_STATUS] in _OPEN:
            self._stop(run, run.last, record)
        if kind is Kind.RUN_PRUNED:
            # A namesake of the resource may have a run of that key again.
            del self._known[record.resource, record.run]
            return
        run.status, run.error = _TURNS[kind], record.text
        if kind is Kind.RUN_INTERRUPTED and _is_cancelled(record):
            run.status = "cancelled"
        run.incidents.append(Incident(run.count, record.time, kind))
        if kind is Kind.RUN_RECOVERED:
            run.last = None
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
            run.status = "interrupted" if memento.reason != CANCELLED else "cancelled"
        last = memento.step
        ended = memento.finished if last is None else memento.finished or last.finished
        # The reference writes ends in whole seconds: one may lie before its start.
        run.end = max(run.start, time if ended is None else min(ended, time))

    def _stop(self, run: Run, last: Row, record: Record) -> None:
        """End the attempt that was under way when its run ended."""
        time = record.time
        if record.kind is Kind.RUN_INTERRUPTED and not _is(
            record, MANY_RESTARTS, Cause.RESTARTS
        ):
            status = "cancelled" if _is_cancelled(record) else "interrupted"
            close(last, status, time, record.text, record.where)
        elif last[_STATUS] == "waiting":
            close(last, "superseded", time)
        else:
            lose(run, last, time)

    def _crash(self, controller: str, time: float) -> None:
        self._alive -= {controller}
        for run in self._known.values():
            if run.last is not None and _is_running(run.last):
                run.crew -= {controller}
                run.struck = time
                if not run.crew:
                    lose(run, run.last, time)


def close(row: Row, status: str, end: float, error: str = "", where: str = "") -> None:
    """End an attempt."""
    row[_STATUS], row[_END] = status, end
    if error:
        row[_ERROR], row[_WHERE] = error, where


def lose(run: Run, row: Row, time: float) -> None:
    """End the last attempt of *run* as cut short: when struck, or noticed at *time*."""
    close(row, "crashed", time if run.struck is None else run.struck)


def _is_running(row: Row | None) -> bool:
    return row is not None and row[_STATUS] == "running"


def _is(record: Record, reason: str, *causes: Cause) -> bool:
    """Whether a run was interrupted for one of *causes*, or *reason* if none is given."""
    if record.cause:
        return record.cause in causes
    return isinstance(record.value, Memento) and record.value.reason == reason


def _is_cancelled(record: Record) -> bool:
    return _is(record, CANCELLED, Cause.CANCEL, Cause.GONE)


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
