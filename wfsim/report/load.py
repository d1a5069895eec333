"""The load of workers and pools over time, and how many wait for them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from wfsim.model.log import EventLog, HasLog, log_of
from wfsim.model.record import Kind, PoolState
from wfsim.report.frames import table
from wfsim.report.stretches import (
    CRASHED,
    OTHER,
    POOL,
    QUEUED,
    RESTART,
    RETRY,
    STEP,
    Course,
    courses,
)

if TYPE_CHECKING:
    import pandas as pd

WORKERS = "workers"

_AT_WORK = {STEP, POOL, RETRY, CRASHED, OTHER}
_IN_QUEUE = {QUEUED, RESTART}


def utilisation(log: EventLog | HasLog) -> pd.DataFrame:
    """Return how many of what is scarce were busy, and how many waited, over time.

    ============ ======= =========================================================
    ``name``     text    ``workers``, or the name of a pool
    ``start``    float64
    ``end``      float64 from *start* until then nothing changed
    ``duration`` float64 *end* - *start*
    ``busy``     int64   runs with an attempt under way; what a pool has given out
    ``queue``    int64   runs that wait for a worker; requests that wait for a pool
    ``capacity`` float64 of the pool; NaN for workers, which no log tells
    ============ ======= =========================================================

    The rows of one name follow each other without a gap from 0 to the end of the log.
    """
    log = log_of(log)
    return _frame(_rows(log, courses(log)))


class Load(NamedTuple):
    """How many of *name* were *busy* and how many waited in the *queue*, on average."""

    name: str
    busy: float
    queue: float
    capacity: float


def loads(
    log: EventLog,
    found: Iterable[Course],
    since: float = 0.0,
    until: float | None = None,
) -> list[Load]:
    """Return the means over time of what `utilisation` tells, in a window of seconds.

    *found* are the `courses` of *log*.  The window is from *since* until *until*, which
    may lie beyond the last record, or to that if it is not given.  NaN if it is empty.
    """
    if not log.records:
        return []
    end = log.records[-1].time if until is None else until
    time = end - since
    sums: dict[str, tuple[float, float, float]] = {}
    for name, start, stop, _, busy, queue, capacity in _rows(log, found):
        at_work, waiting, _ = sums.get(name, (0.0, 0.0, 0.0))
        inside = max(min(stop, end) - max(start, since), 0.0)
        sums[name] = at_work + busy * inside, waiting + queue * inside, capacity
    return [
        Load(name, busy / time, queue / time, capacity)
        if time > 0.0
        else Load(name, math.nan, math.nan, capacity)
        for name, (busy, queue, capacity) in sums.items()
    ]


def _rows(log: EventLog, found: Iterable[Course]) -> list[tuple[Any, ...]]:
    """Return the rows of `utilisation`."""
    if not log.records:
        return []
    end = log.records[-1].time
    changes: list[tuple[float, int, int]] = []
    for course in found:
        for what, _, start, until in course.stretches:
            busy, queue = int(what in _AT_WORK), int(what in _IN_QUEUE)
            if busy or queue:
                changes += [(start, busy, queue), (until, -busy, -queue)]
    of_workers = [(*level, math.nan) for level in _totals(changes)]
    rows = _pieces(WORKERS, of_workers, end)
    for name, levels in _pools(log).items():
        rows += _pieces(name, levels, end)
    return rows


def average(frame: pd.DataFrame, name: str, column: str) -> float:
    """Return the mean over time of *column* of the rows of *frame* called *name*.

    *frame* is what `utilisation` returns.  NaN if no time has passed.
    """
    part = frame[frame["name"] == name]
    time = float(part["duration"].sum())
    return float((part[column] * part["duration"]).sum()) / time if time else math.nan


def _frame(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    columns = ("name", "start", "end", "duration", "busy", "queue", "capacity")
    dtypes = {"busy": "int64", "queue": "int64", "capacity": "float64"}
    return table(columns, rows, dtypes)


def _totals(changes: Iterable[tuple[float, int, int]]) -> list[tuple[float, int, int]]:
    """Return what holds from each time on at which something changed."""
    busy = queue = 0
    levels: dict[float, tuple[int, int]] = {}
    for time, more, longer in sorted(changes):
        busy, queue = busy + more, queue + longer
        levels[time] = busy, queue
    return [(time, *level) for time, level in levels.items()]


Level: TypeAlias = tuple[float, int, int, float]
"""From a time on: how many are busy and in the queue, and of how many."""


def _pools(log: EventLog) -> dict[str, list[Level]]:
    """Return the levels of each pool that the log tells of."""
    levels: dict[str, dict[float, Level]] = {}
    for record in log.filter(Kind.POOL_CHANGED):
        pool = record.value
        if isinstance(pool, PoolState):
            name = pool.name if pool.name != WORKERS else f"pool {WORKERS}"
            level = (record.time, pool.held, pool.queue, float(pool.capacity))
            levels.setdefault(name, {})[record.time] = level
    return {name: [*of.values()] for name, of in levels.items()}


def _pieces(name: str, levels: Sequence[Level], end: float) -> list[tuple[Any, ...]]:
    """Return rows of `utilisation` from 0 until *end*; equal neighbours are one."""
    start = min(0.0, *(level[0] for level in levels), 0.0)
    state: tuple[int, int, float] = (0, 0, levels[0][3] if levels else math.nan)
    rows = []
    for time, *now in [*levels, (end, -1, -1, math.nan)]:
        if now[:2] == [*state[:2]] and (now[2] == state[2] or math.isnan(state[2])):
            continue
        if time > start:
            rows.append((name, start, time, time - start, *state))
        start, state = time, (int(now[0]), int(now[1]), now[2])
    return rows
