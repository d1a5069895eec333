"""The breakdown of the time of runs: in which part of it, and in which step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

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
    ``queued``     float64 it could have gone on, but no worker was free (in a service:
                           the next tick had not come)
    ``pool_queue`` float64 in attempts that stood in the queue of a pool
    ``steps``      float64 in attempts that completed, or are under way at the end
    ``retries``    float64 in attempts that failed, and in the pauses after them
    ``recovery``   float64 see below
    ``waiting``    float64 in steps that waited for something outside, or were polled
    ``other``      float64 in the attempt that ended the run: its last failure, a
                           cancel, a time-out; a superseded run
    ``duration``   float64 the sum of these
    ============== ======= =======================================================

    Time counts from the request to the end of the run, or of the log.  The request is
    the last change of the resource before it entered the state that the run serves.

    Recovery is the time

    * of attempts whose controller died, until they began again, so it includes the work
      that was lost;
    * without any controller;
    * interrupted, until somebody asked for recovery;
    * after a store failed, until the next step began.
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
    ``pool_queue`` float64 of these, in the queue of a pool
    ``share``      float64 of the time of all runs of the flow, from 0 to 1
    ``tail``       float64 the same, of the runs that last as long as p95 or longer
    ``bottleneck`` bool    whether its share is the largest of the flow
    ============== ======= =======================================================

    A step's time runs from its first attempt to the start of the next step.  It includes
    failures, waits and recovery, and not the queue for a worker.
    """
    rows: list[tuple[Any, ...]] = []
    for flow, group in by_flow(courses(log_of(log))).items():
        total = in_steps(group)
        limit = _p95([course.end - course.begin for course in group])
        slow = [course for course in group if course.end - course.begin >= limit]
        late = in_steps(slow)
        whole = sum(course.end - course.begin for course in group)
        end = sum(course.end - course.begin for course in slow)
        most = max((each.seconds for each in total.values()), default=0.0)
        worst = next((name for name in total if total[name].seconds == most), "")
        for step, (seconds, runs, queue) in total.items():
            share = seconds / whole if whole else 0.0
            tail = late[step].seconds / end if end and step in late else 0.0
            means = seconds / len(group), queue / len(group)
            is_worst = step == worst and most > 0
            rows.append((flow, step, runs, *means, share, tail, is_worst))
    of_time = ("mean", "pool_queue", "share", "tail")
    columns = ("flow", "step", "runs", *of_time, "bottleneck")
    dtypes = dict.fromkeys(("pool_queue", "tail"), "float64")
    return table(columns, rows, {**dtypes, "bottleneck": "bool"})


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


class StepTime(NamedTuple):
    """The *seconds* that *runs* spent in a step, *pool_queue* of them in a pool's."""

    seconds: float = 0.0
    runs: int = 0
    pool_queue: float = 0.0


def in_steps(group: Iterable[Course]) -> dict[str, StepTime]:
    """Return the time that the runs of *group* spent in each step that one began."""
    time_of: dict[str, StepTime] = {}
    for course in group:
        for step in course.steps:
            seconds, runs, queue = time_of.get(step, StepTime())
            time_of[step] = StepTime(seconds, runs + 1, queue)
        for what, step, start, end in course.stretches:
            if step and what != QUEUED:
                seconds, runs, queue = time_of[step]
                queue += end - start if what == POOL else 0.0
                time_of[step] = StepTime(seconds + end - start, runs, queue)
    return time_of


def _p95(durations: list[float]) -> float:
    return float(pd.Series(durations).quantile(0.95))
