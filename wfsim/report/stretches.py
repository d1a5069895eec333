"""Stretches of time of each run: what it was doing, from when it was called for.

A run is called for when its resource enters the state that it serves; where a check of
the state machine led there, when the resource last changed before, since a check looks
at nothing else.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from wfsim.model.log import EventLog
from wfsim.model.record import OF_RESOURCES, Kind, Record
from wfsim.model.resource import CREATING
from wfsim.model.resource import INTERRUPT as INTERRUPT_STATE
from wfsim.report.history import Attempt, History, Outage, Run, outages

QUEUED = "queued"
PAUSE = "pause"
STEP = "step"
POOL = "pool"
RETRY = "retry"
WAITING = "waiting"
CRASHED = "crashed"
DOWN = "down"
RESTART = "restart"
REFUSED = "refused"
INTERRUPTED = "interrupted"
OTHER = "other"

_DURING = {
    "completed": STEP,
    "running": STEP,
    "waiting": STEP,
    "failed": RETRY,
    "crashed": CRASHED,
}
_AFTER = {
    "completed": QUEUED,
    "failed": PAUSE,
    "crashed": RESTART,
    "interrupted": INTERRUPTED,
    "cancelled": INTERRUPTED,
}


class Stretch(NamedTuple):
    """*what* a run was at from *start* until *end*, in seconds of virtual time.

    *step* is the one that it had begun last, empty before the first one.

    =========== ===============================================================
    queued      it could have gone on, but no worker was free, or no tick had come
    step        in an attempt that completed, or is under way at the end
    retry       in an attempt that failed
    pause       the policy's pause after a failure
    pool        in an attempt that stands in the queue of a pool
    waiting     in a step that waits for something outside, or is polled
    crashed     in an attempt whose controller died
    down        no controller was up
    refused     taken up, but a store failed; until its next step began
    restart     after such an attempt, until its step began again
    interrupted until an operator recovered it
    other       in the attempt that ended the run, and what none of these is
    =========== ===============================================================
    """

    what: str
    step: str
    start: float
    end: float


class Course(NamedTuple):
    """A run, when it was called for, when it or the log ended, and what it did between.

    *steps* are those that it began.  The stretches follow each other without a gap from
    *begin* to *end*.
    """

    run: Run
    begin: float
    end: float
    steps: tuple[str, ...]
    stretches: list[Stretch]


def courses(log: EventLog) -> list[Course]:
    """Return the course of each run of *log*, in order of appearance.

    A run is there from when it was called for: those that no worker has begun come last,
    with an empty key, ``prepared``, or ``cancelled`` or ``superseded`` if their resource
    was deleted or moved on meanwhile.
    """
    if not log.records:
        return []
    history = History(log)
    attempts: dict[int, list[Attempt]] = {id(run): [] for run in history.runs}
    for attempt in history.attempts:
        attempts[id(attempt.of)].append(attempt)
    calls, down, last = _calls(log), outages(log), log.records[-1].time
    refusals: dict[str, list[float]] = {}
    for record in log.filter(Kind.PASS_FAILED):
        refusals.setdefault(record.resource, []).append(record.time)
    pools: dict[tuple[str, str], list[Record]] = {}
    for record in log.filter(Kind.POOL_QUEUED, Kind.POOL_GRANTED):
        pools.setdefault((record.resource, record.run), []).append(record)
    found = []
    for run in [*history.runs, *_unserved(log, history.runs, calls)]:
        called = calls.get((run.resource, run.entered), run.start)
        begin = called if math.isnan(run.start) else min(called, run.start)
        end = max(last if math.isnan(run.end) else run.end, begin)
        own = attempts.get(id(run), [])
        steps = tuple(dict.fromkeys(attempt.step for attempt in own))
        hurdles = _Hurdles(down, refusals.get(run.resource, []))
        queues = pools.get((run.resource, run.run), [])
        moments = _moments(run, own, begin, queues)
        stretches = list(_stretches(moments, end, hurdles))
        found.append(Course(run, begin, end, steps, stretches))
    return found


def called_for(log: EventLog) -> list[Run]:
    """Return the runs of *log* in order of appearance, then those nobody has begun."""
    runs = History(log).runs
    return [*runs, *_unserved(log, runs, _calls(log))]


AttemptName: TypeAlias = tuple[str, str, str, int]
"""An attempt by its resource, run, step and number."""


def pool_queues(log: EventLog) -> dict[AttemptName, list[tuple[float, float]]]:
    """Return from when to when attempts stood in the queues of pools, in seconds.

    The end is NaN where an attempt has got no place: it ended there, or the log did.
    """
    queues: dict[AttemptName, list[tuple[float, float]]] = {}
    for record in log.filter(Kind.POOL_QUEUED, Kind.POOL_GRANTED):
        name = (record.resource, record.run, record.step, record.attempt)
        spans = queues.setdefault(name, [])
        if record.kind is Kind.POOL_QUEUED:
            spans.append((record.time, math.nan))
        elif spans:
            spans[-1] = spans[-1][0], record.time
    return queues


class _Hurdles(NamedTuple):
    """What may keep a run from being taken up: outages, and when a store failed it."""

    down: list[Outage]
    refusals: list[float]


class _Moment(NamedTuple):
    """From *time* on a run is at *what*; a pause ends at *wake* by itself."""

    time: float
    what: str
    step: str
    wake: float | None = None


def _calls(log: EventLog) -> dict[tuple[str, int], float]:
    """Return when each entry of a state was called for, by name and revision."""
    checks = {
        (edge[0], edge[1])
        for edges in log.meta.get("edges", {}).values()
        for edge in edges
        if edge[2] == "check"
    }
    calls: dict[tuple[str, int], float] = {}
    before: dict[str, tuple[float, str]] = {}
    for record in log.filter(*OF_RESOURCES):
        value = record.value
        time, state = before.get(record.resource, (record.time, ""))
        moved = record.kind is Kind.RESOURCE_STATE and (state, value.state) in checks
        entry = record.resource, value.entered
        calls.setdefault(entry, time if moved else record.time)
        before[record.resource] = record.time, value.state
    return calls


def _unserved(
    log: EventLog, runs: Iterable[Run], calls: Mapping[tuple[str, int], float]
) -> Iterator[Run]:
    """Yield the runs that were called for and that no worker has begun.

    A resource that comes back from an interruption calls for no other run than the one
    that was interrupted; one that leaves for a stable state had nothing to do.
    """
    flows = {
        (kind, edge[0]): edge[3]
        for kind, edges in log.meta.get("edges", {}).items()
        for edge in edges
        if edge[2] == "done"
    }
    begun = {(run.resource, run.entered) for run in runs}
    waiting: dict[str, Run] = {}
    states: dict[str, str] = {}
    for record in log.filter(*OF_RESOURCES, Kind.RESOURCE_DELETED):
        name, live = record.resource, record.value
        before = waiting.get(name)
        if live is None:
            states.pop(name, None)
            if before is not None:
                yield _given_up(waiting.pop(name), "cancelled", record.time)
            continue
        if before is not None and before.entered == live.entered:
            continue
        state, last = live.state or CREATING, states.get(name)
        states[name] = state
        flow = flows.get((live.kind, state))
        if before is not None:
            del waiting[name]
            if flow is not None:
                yield _given_up(before, "superseded", record.time)
        entry = name, live.entered
        if flow is not None and last != INTERRUPT_STATE and entry not in begun:
            begun.add(entry)
            waiting[name] = Run(name, "", flow, math.nan)
            waiting[name].entered = live.entered
    yield from sorted(waiting.values(), key=lambda run: calls[run.resource, run.entered])


def _given_up(run: Run, status: str, time: float) -> Run:
    run.status, run.end = status, time
    return run


def _moments(
    run: Run, attempts: Iterable[Attempt], begin: float, queues: Sequence[Record]
) -> Iterator[_Moment]:
    yield _Moment(begin, QUEUED, "")
    yield from _between(run, 0, "")
    for place, attempt in enumerate(attempts, start=1):
        step, status = attempt.step, attempt.status
        during = _DURING.get(status, OTHER)
        yield _Moment(attempt.start, during, step)
        for record in queues:
            if (record.step, record.attempt) == (step, attempt.attempt):
                what = POOL if record.kind is Kind.POOL_QUEUED else during
                yield _Moment(record.time, what, step)
        incidents = [each for each in run.incidents if each.after == place]
        for each in incidents:
            if each.kind is Kind.STEP_WAITING:
                yield _Moment(each.time, WAITING, step)
        if not math.isnan(attempt.end):
            wakes = (each.wake for each in incidents if each.kind is Kind.STEP_FAILED)
            after = _AFTER.get(status, OTHER)
            yield _Moment(attempt.end, after, step, next(wakes, None))
        yield from _between(run, place, step)


def _between(run: Run, place: int, step: str) -> Iterator[_Moment]:
    """Yield what befell *run* as a whole after so many attempts."""
    for each in run.incidents:
        if each.after == place and each.kind in _BEFALLS:
            yield _Moment(each.time, _BEFALLS[each.kind], step)


_BEFALLS = {Kind.RUN_INTERRUPTED: INTERRUPTED, Kind.RUN_RECOVERED: QUEUED}


def _stretches(
    moments: Iterable[_Moment], end: float, hurdles: _Hurdles
) -> Iterator[Stretch]:
    """Yield what lies between *moments*; none goes back in time, or beyond *end*."""
    present: _Moment | None = None
    for moment in [*moments, _Moment(end, OTHER, "")]:
        time = moment.time
        if present is not None:
            time = present.time if math.isnan(time) else max(time, present.time)
            time = min(time, end)
            if time > present.time:
                yield from _parts(present, time, hurdles)
        present = _Moment(time, *moment[1:])


def _parts(present: _Moment, end: float, hurdles: _Hurdles) -> Iterator[Stretch]:
    """Yield the stretch from *present* until *end*, in parts if it has several."""
    start, what, step, wake = present
    if what == PAUSE and wake is not None and wake < end:
        wake = max(wake, start)
        yield from _parts(_Moment(start, PAUSE, step), wake, hurdles)
        yield from _parts(_Moment(wake, QUEUED, step), end, hurdles)
        return
    if what == QUEUED:
        place = bisect_left(hurdles.refusals, start)
        refused = [time for time in hurdles.refusals[place : place + 1] if time < end]
        if refused:
            yield from _clear(_Moment(start, QUEUED, step), refused[0], hurdles.down)
            present = _Moment(refused[0], REFUSED, step)
    yield from _clear(present, end, hurdles.down)


def _clear(present: _Moment, end: float, down: list[Outage]) -> Iterator[Stretch]:
    """Yield the stretch from *present* until *end*, without controllers or with."""
    start, what, step, _ = present
    if what in (QUEUED, PAUSE, RESTART, REFUSED):
        for outage in down:
            since, until = max(outage.since, start), min(outage.until, end)
            if since < until:
                yield from _if_any(what, step, start, since)
                yield Stretch(DOWN, step, since, until)
                start = until
    yield from _if_any(what, step, start, end)


def _if_any(what: str, step: str, start: float, end: float) -> Iterator[Stretch]:
    if start < end:
        yield Stretch(what, step, start, end)
