"""Runs and attempts as a log tells of them, in one pass over its records.

What no record says outright is worked out here: which attempt died with its
controller, and when.  An attempt is lost when the last controller that was up when it
began has crashed, or when the same step is begun again without it having ended.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from wfsim.model.log import EventLog
from wfsim.model.memento import CANCELLED, MANY_RESTARTS, Memento
from wfsim.model.record import Kind, Record

NAN = math.nan


class Run:
    """One run of a flow; times are seconds of virtual time, NaN for not yet."""

    __slots__ = (
        "end", "error", "flow", "last", "resource", "restarts", "retries", "run", "start",
        "status",
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
        self.last: Attempt | None = None


class Attempt:
    """One attempt of a step; *crew* are the controllers that may be carrying it out."""

    __slots__ = (
        "attempt", "crew", "end", "error", "of", "start", "status", "step", "struck",
    )  # fmt: skip

    def __init__(
        self, of: Run, step: str, attempt: int, start: float, crew: frozenset[str]
    ) -> None:
        self.of = of
        self.step = step
        self.attempt = attempt
        self.start = start
        self.end = NAN
        self.status = "running"
        self.error = ""
        self.crew = crew
        self.struck: float | None = None

    def close(self, status: str, end: float, error: str = "") -> None:
        self.status = status
        self.end = end
        self.error = error

    def lose(self, time: float) -> None:
        """End it as cut short: by the crash that struck, or else noticed at *time*."""
        self.close("crashed", time if self.struck is None else self.struck)

    def strike(self, controller: str, time: float) -> None:
        """Take note that *controller* died at *time*."""
        if self.status == "running":
            self.crew -= {controller}
            self.struck = time
            if not self.crew:
                self.lose(time)


class History:
    """The runs and the attempts of *log*, each in order of appearance."""

    def __init__(self, log: EventLog) -> None:
        self.runs: list[Run] = []
        self.attempts: list[Attempt] = []
        self._known: dict[tuple[str, str], Run] = {}
        self._alive: frozenset[str] = frozenset()
        self._read(log.records)

    def _read(self, records: Iterable[Record]) -> None:
        for record in records:
            kind = record.kind
            # Told apart by identity: an enum's hash is computed in Python.
            if kind is Kind.STEP_STARTED:
                self._begin(self._run(record), record)
            elif kind is Kind.STEP_COMPLETED:
                run = self._run(record)
                self._at(run, record).close("completed", record.time)
            elif kind is Kind.STEP_LOG:
                continue
            elif kind is Kind.STEP_FAILED:
                run = self._run(record)
                self._at(run, record).close("failed", record.time, record.text)
                run.status, run.error = "failed", record.text
            elif kind is Kind.CONTROLLER_CRASHED:
                self._crash(record.text, record.time)
            elif kind is Kind.CONTROLLER_STARTED:
                self._alive |= {record.text}
            elif kind in _TURNS:
                self._turn(self._run(record), record)

    def _run(self, record: Record) -> Run:
        run = self._known.get((record.resource, record.run))
        return self._new_run(record) if run is None else run

    def _new_run(self, record: Record) -> Run:
        value, start = record.value, record.time
        run = Run(record.resource, record.run, record.flow, start)
        if isinstance(value, Memento) and record.kind is not Kind.RUN_CREATED:
            # The log begins in the middle of the run.
            began = value.started
            run.start = began if began is not None and began <= start else start
        self.runs.append(run)
        self._known[record.resource, record.run] = run
        return run

    def _begin(self, run: Run, record: Record) -> None:
        step, time = record.step, record.time
        before = run.last
        if before is not None:
            if before.status in _OPEN:
                before.lose(time)
            if before.step == step:
                run.retries += before.status == "failed"
                run.restarts += before.status == "crashed"
        run.last = begun = Attempt(run, step, record.attempt, time, self._alive)
        run.status, run.error, run.end = "running", "", NAN
        self.attempts.append(begun)

    def _at(self, run: Run, record: Record) -> Attempt:
        """Return the attempt that *record* is about, also if its start is not told of."""
        last = run.last
        if last is None or (last.step, last.attempt) != (record.step, record.attempt):
            start = _start(record)
            last = Attempt(run, record.step, record.attempt, start, self._alive)
            run.last = last
            self.attempts.append(last)
        return last

    def _turn(self, run: Run, record: Record) -> None:
        """Take note of what *record* says of the run as a whole."""
        kind, last, value = record.kind, run.last, record.value
        if kind is Kind.STEP_WAITING:
            self._at(run, record).status = run.status = "waiting"
            return
        if last is not None and last.status in _OPEN:
            self._stop(last, record)
        if kind is Kind.RUN_PRUNED:
            # A namesake of the resource may have a run of that key again.
            del self._known[record.resource, record.run]
            return
        run.status, run.error = _TURNS[kind], record.text
        if kind is Kind.RUN_RECOVERED:
            run.last = None
            run.end = NAN
        elif kind is Kind.RUN_CREATED:
            # Not prepared: it was found so when the log began.
            if isinstance(value, Memento):
                run.status = value.status.value
        else:
            run.end = record.time

    def _stop(self, attempt: Attempt, record: Record) -> None:
        """End *attempt*, which was under way when its run ended."""
        reason = record.text.partition(":")[0]
        if record.kind is Kind.RUN_INTERRUPTED and reason != MANY_RESTARTS:
            status = "cancelled" if reason == CANCELLED else "interrupted"
            attempt.close(status, record.time, record.text)
        elif attempt.status == "waiting":
            attempt.close("superseded", record.time)
        else:
            attempt.lose(record.time)

    def _crash(self, controller: str, time: float) -> None:
        self._alive -= {controller}
        for run in self._known.values():
            if run.last is not None:
                run.last.strike(controller, time)


def _start(record: Record) -> float:
    """Return when the attempt that *record* ends began, as far as its memento tells."""
    value: Any = record.value
    if not isinstance(value, Memento) or value.step is None:
        return NAN
    step = value.step
    if step.started is None or step.finished not in (None, record.time):
        return NAN
    return step.started if step.started <= record.time else NAN


_OPEN = ("running", "waiting")
_TURNS = {
    Kind.STEP_WAITING: "waiting",
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
            alive.discard(record.text)
            if not alive:
                found.append(Outage(record.time, math.inf))
        else:
            if not alive and found and found[-1].until == math.inf:
                found[-1] = found[-1]._replace(until=record.time)
            alive.add(record.text)
    return found
