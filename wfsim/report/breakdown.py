"""Where the time of runs goes: in which part of it, and in which step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from wfsim.model.log import EventLog, HasLog, log_of
from wfsim.report.frames import frame, table
from wfsim.report.stretches import (
    CRASHED,
    DOWN,
    INTERRUPTED,
    OTHER,
    PAUSE,
    POOL,
    QUEUED,
    REFUSED,
    RESTART,
    RETRY,
    STEP,
    WAITING,
    Course,
    courses,
)

PARTS = ("queued", "pool_queue", "steps", "retries", "recovery", "waiting", "other")
"""What the time of a run is split into, in this order."""

_PART = {
    QUEUED: "queued",
    POOL: "pool_queue",
    STEP: "steps",
    RETRY: "retries",
    PAUSE: "retries",
    CRASHED: "recovery",
    DOWN: "recovery",
    RESTART: "recovery",
    REFUSED: "recovery",
    INTERRUPTED: "recovery",
    WAITING: "waiting",
    OTHER: "other",
}


def breakdown(log: EventLog | HasLog) -> pd.DataFrame:
    """Return where the time of each run went, one row per run, as in `tables.runs`.

    ============== ======= =======================================================
    ``run``        text       key of its memento, such as ``1-NightlyBackup``
    ``flow``       text
    ``resource``   text
    ``queued``     float64 nothing was in its way but that no worker had taken it up
    ``pool_queue`` float64 in attempts that stood in the queue of a pool
    ``steps``      float64 in attempts that completed, or are under way at the end
    ``retries``    float64 in attempts that failed, and in the pauses after them
    ``recovery``   float64 in attempts whose controller died, until they began again;
                           without any controller; interrupted, until recovered;
                           after a store failed, until the next step began
    ``waiting``    float64 in steps that waited for something outside, or were polled
    ``other``      float64 in attempts cut short on purpose
    ``duration``   float64 the sum of these
    ============== ======= =======================================================

    A run's time is counted from when it was called for, which may be before it was
    created: when its resource entered the state that it serves or, where a check led
    there, when the resource last changed before; until it ended, or the log.
    """
    found = courses(log_of(log))
    parts = [spent(course) for course in found]
    columns: dict[str, list[Any]] = {
        "run": [course.run.run for course in found],
        "flow": [course.run.flow for course in found],
        "resource": [course.run.resource for course in found],
    }
    columns |= {part: [row[part] for row in parts] for part in PARTS}
    columns["duration"] = [course.end - course.begin for course in found]
    return frame(columns, dict.fromkeys(PARTS, "float64"))


def critical(log: EventLog | HasLog) -> pd.DataFrame:
    """Return one row per step of each flow: which of them the time of its runs goes to.

    ============== ======= =======================================================
    ``flow``       text
    ``step``       text
    ``runs``       int64   that began it
    ``mean``       float64 seconds that a run of the flow spends in it
    ``share``      float64 of the time of all runs of the flow, from 0 to 1
    ``tail``       float64 the same, of the runs that last as long as p95 or longer
    ``bottleneck`` bool    whether its share is the largest of the flow
    ============== ======= =======================================================

    A run is in a step from when that first begins until the next one does, also while
    it fails, waits and recovers, but not while no worker takes it up.
    """
    rows: list[tuple[Any, ...]] = []
    for flow, group in by_flow(courses(log_of(log))).items():
        total = in_steps(group)
        limit = _p95([course.end - course.begin for course in group])
        slow = [course for course in group if course.end - course.begin >= limit]
        late = in_steps(slow)
        whole = sum(course.end - course.begin for course in group)
        end = sum(course.end - course.begin for course in slow)
        most = max((seconds for seconds, _ in total.values()), default=0.0)
        worst = next((name for name, (each, _) in total.items() if each == most), "")
        for step, (seconds, runs) in total.items():
            share = seconds / whole if whole else 0.0
            tail = late.get(step, (0.0, 0))[0] / end if end else 0.0
            mean = seconds / len(group)
            rows.append((flow, step, runs, mean, share, tail, step == worst and most > 0))
    columns = ("flow", "step", "runs", "mean", "share", "tail", "bottleneck")
    return table(columns, rows, {"tail": "float64", "bottleneck": "bool"})


def spent(course: Course) -> dict[str, float]:
    """Return the seconds of *course* by part, in the order of `PARTS`."""
    parts = dict.fromkeys(PARTS, 0.0)
    for what, _, start, end in course.stretches:
        parts[_PART[what]] += end - start
    return parts


def by_flow(found: Iterable[Course]) -> dict[str, list[Course]]:
    """Return the courses *found* of each flow, in order of appearance."""
    groups: dict[str, list[Course]] = {}
    for course in found:
        groups.setdefault(course.run.flow, []).append(course)
    return groups


def in_steps(group: Iterable[Course]) -> dict[str, tuple[float, int]]:
    """Return the seconds that runs spent in each step, and how many runs began it."""
    spent: dict[str, tuple[float, int]] = {}
    for course in group:
        for step in course.steps:
            seconds, runs = spent.get(step, (0.0, 0))
            spent[step] = seconds, runs + 1
        for what, step, start, end in course.stretches:
            if step and what != QUEUED:
                seconds, runs = spent[step]
                spent[step] = seconds + end - start, runs
    return spent


def _p95(durations: list[float]) -> float:
    return float(pd.Series(durations).quantile(0.95))
