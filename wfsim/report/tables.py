"""Tables of a log: pure functions from a log to a tidy DataFrame.

Each takes what keeps a log as well, such as a `Simulation`.

Times and durations are seconds of virtual time, float64, NaN where nothing is known
yet.  Counts are int64.  Texts have pandas' own dtype for text (``str`` from pandas 3
on, ``object`` before) and are empty rather than missing.  Columns and dtypes are the
same for a log without records.  A run is identified by its resource and its key.

An *attempt* of a step, and with it the run that it belongs to, has one of these
statuses: ``completed``, ``failed``, ``interrupted`` (its run stopped for an operator),
``cancelled`` (that, because the resource was cancelled), ``crashed`` (its controller
died), ``superseded`` (its run gave way to another), ``waiting`` and ``running``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter, sub
from typing import TYPE_CHECKING, Any

from wfsim.model.log import EventLog, HasLog, log_of
from wfsim.model.record import OF_RESOURCES, Kind
from wfsim.model.resource import CREATING
from wfsim.report.breakdown import breakdown, critical
from wfsim.report.frames import frame, table
from wfsim.report.history import NAN, UNFINISHED, Attempt, History
from wfsim.report.lineage import lineage
from wfsim.report.load import utilisation
from wfsim.report.stretches import AttemptName, called_for, pool_queues

if TYPE_CHECKING:
    import pandas as pd


def runs(log: EventLog | HasLog) -> pd.DataFrame:
    """Return one row per run, in order of appearance; last those that none has begun.

    A run is there from its request on: one that no worker has taken up has no key, and
    is prepared (cancelled if its resource is gone meanwhile).

    ============ ======= =========================================================
    ``run``      text    key of its memento, such as ``1-NightlyBackup``
    ``flow``     text
    ``resource`` text
    ``status``   text    prepared, running, waiting, failed (to be tried again),
                         interrupted, cancelled (also if its resource was),
                         completed, superseded, quarantined, error (in a handler)
    ``start``    float64 when it was created
    ``end``      float64 when it completed, was superseded or last interrupted
    ``duration`` float64 *end* - *start*
    ``retries``  int64   attempts begun because the one before failed
    ``restarts`` int64   attempts begun because the one before was cut short
    ``error``    text    what the run failed with, or why it was interrupted
    ============ ======= =========================================================
    """
    found = called_for(log_of(log))
    start, end = [r.start for r in found], [r.end for r in found]
    return frame(
        {
            "run": [r.run for r in found],
            "flow": [r.flow for r in found],
            "resource": [r.resource for r in found],
            "status": [r.status for r in found],
            "start": start,
            "end": end,
            "duration": _durations(start, end),
            "retries": [r.retries for r in found],
            "restarts": [r.restarts for r in found],
            "error": [r.error for r in found],
        }
    )


def steps(log: EventLog | HasLog) -> pd.DataFrame:
    """Return one row per attempt of a step, in the order in which they began.

    ============== ======= =======================================================
    ``run``        text    key of the memento of its run
    ``flow``       text
    ``resource``   text
    ``step``       text
    ``attempt``    int64   1, 2, 3, ...; not reset by a recovery
    ``status``     text    see the head of this module
    ``start``      float64 NaN if the log begins after it
    ``end``        float64 NaN while running or waiting; for a crashed one the time of
                           the crash
    ``duration``   float64 *end* - *start*
    ``pool_queue`` float64 of these, in the queue of a pool
    ``error``      text    what it failed with, or why its run was interrupted
    ``where``      text    the line of your code at which it failed: ``job.py:12``
    ============== ======= =======================================================

    An attempt that waited and then went on is one row.
    """
    log = log_of(log)
    history = History(log)
    queues = pool_queues(log)
    last = log.records[-1].time if queues else NAN
    columns = zip(*history.rows, strict=True)
    of, step, attempt, status, start, end, error, where = [*columns] or [()] * 8
    return frame(
        {
            "run": [*map(attrgetter("run"), of)],
            "flow": [*map(attrgetter("flow"), of)],
            "resource": [*map(attrgetter("resource"), of)],
            "step": step,
            "attempt": attempt,
            "status": status,
            "start": start,
            "end": end,
            "duration": _durations(start, end),
            "pool_queue": [_in_queues(each, queues, last) for each in history.attempts]
            if queues
            else [0.0] * len(of),
            "error": error,
            "where": where,
        },
        {"pool_queue": "float64"},
    )


def _in_queues(
    attempt: Attempt,
    queues: Mapping[AttemptName, Sequence[tuple[float, float]]],
    last: float,
) -> float:
    """Return the seconds that *attempt* was in *queues*, until *last* at most."""
    run = attempt.of
    spans = queues.get((run.resource, run.run, attempt.step, attempt.attempt), ())
    over = last if math.isnan(attempt.end) else attempt.end
    return sum((over if math.isnan(end) else end) - since for since, end in spans)


def states(log: EventLog | HasLog) -> pd.DataFrame:
    """Return one row per change of a resource's state, in order.

    ============ ======= =========================================================
    ``resource`` text
    ``time``     float64
    ``before``   text    empty in the row that tells of its creation
    ``after``    text    empty in the row that tells of its deletion
    ``event``    text    what made it move: an event, a flow's name, a reason
    ============ ======= =========================================================

    An empty state of a resource reads as ``Creating``.
    """
    rows = []
    known: dict[str, str] = {}
    for record in log_of(log).filter(*OF_RESOURCES, Kind.RESOURCE_DELETED):
        name, value = record.resource, record.value
        if record.kind is Kind.RESOURCE_DELETED:
            rows.append((name, record.time, known.pop(name, ""), "", ""))
        else:
            state = value.state or CREATING
            before = known.get(name, "")
            if not before and record.kind is Kind.RESOURCE_STATE:
                # The log begins after the resource was created.
                before = record.before
            if before != state:
                rows.append((name, record.time, before, state, value.event))
                known[name] = state
    return table(("resource", "time", "before", "after", "event"), rows)


def faults(log: EventLog | HasLog) -> pd.DataFrame:
    """Return one row per fault of the plan, in the order in which they were armed.

    ============ ======= =========================================================
    ``fault``    text    the call that makes it
    ``armed``    float64 when it was put in place
    ``fired``    float64 when it first did something, NaN if it never did
    ``times``    int64   how often it did
    ``status``   text    ``fired`` or ``never fired``
    ============ ======= =========================================================
    """
    rows: list[list[Any]] = []
    named: dict[str, list[list[Any]]] = {}
    for record in log_of(log).filter(Kind.FAULT_ARMED, Kind.FAULT_FIRED):
        twins = named.setdefault(record.text, [])
        if record.kind is Kind.FAULT_ARMED or not twins:
            armed = record.time if record.kind is Kind.FAULT_ARMED else NAN
            rows.append([record.text, armed, NAN, 0, "never fired"])
            twins.append(rows[-1])
        if record.kind is Kind.FAULT_FIRED:
            # Equal faults cannot be told apart: they take turns.
            row = min(twins, key=lambda twin: twin[3])
            row[2:] = [record.time if not row[3] else row[2], row[3] + 1, "fired"]
    return table(("fault", "armed", "fired", "times", "status"), rows)


def notices(log: EventLog | HasLog) -> pd.DataFrame:
    """Return one row per notice: what would be noticed too late.

    ============ ======= =========================================================
    ``kind``     text    same event, check failed, unfinished, stuck, waits for
                         nobody, never fired
    ``subject``  text    the resource, run or fault that it is about
    ``text``     text    what was noticed, and what to ask or do
    ``times``    int64   how often
    ``time``     float64 when first
    ``where``    text    the line of your code, empty if there is none
    ============ ======= =========================================================
    """
    rows = [
        (str(kind), subject, text, times, time, where)
        for kind, subject, text, times, time, where in log_of(log).notices
    ]
    return table(("kind", "subject", "text", "times", "time", "where"), rows)


def summary(log: EventLog | HasLog) -> pd.DataFrame:
    """Return one row per flow that has runs, in order of appearance.

    =============== ======= ======================================================
    ``flow``        text
    ``runs``        int64
    ``completed``   int64
    ``interrupted`` int64   still so at the end of the log
    ``errors``      int64   ended after a failure, in a handler or without one
    ``cancelled``   int64   by an operator, or since their resources are gone
    ``superseded``  int64
    ``unfinished``  int64   all others
    ``success``     float64 share of the runs that completed, from 0 to 1
    ``mean``        float64 duration of completed runs
    ``p50``         float64 their median
    ``p95``         float64 what 95 % of them do not exceed
    ``retries``     int64   of all runs together
    ``restarts``    int64   of all runs together
    =============== ======= ======================================================
    """
    rows = []
    for flow, group in runs(log).groupby("flow", sort=False):
        status = group["status"]
        completed = status == "completed"
        durations = group.loc[completed, "duration"]
        rows.append(
            (
                flow,
                len(group),
                completed.sum(),
                (status == "interrupted").sum(),
                (status == "error").sum(),
                (status == "cancelled").sum(),
                (status == "superseded").sum(),
                status.isin(UNFINISHED).sum(),
                completed.mean(),
                *_spread(durations),
                group["retries"].sum(),
                group["restarts"].sum(),
            )
        )
    columns = (
        *("flow", "runs", "completed", "interrupted", "errors", "cancelled"),
        *(
            "superseded",
            "unfinished",
            "success",
            "mean",
            "p50",
            "p95",
            "retries",
            "restarts",
        ),
    )
    return table(columns, rows)


def latency(log: EventLog | HasLog) -> pd.DataFrame:
    """Return one row per step of each flow, in order of appearance.

    ============= ======= ========================================================
    ``flow``      text
    ``step``      text
    ``attempts``  int64   in all runs
    ``completed`` int64   attempts
    ``mean``      float64 duration of completed attempts
    ``p50``       float64 their median
    ``p95``       float64 what 95 % of them do not exceed
    ``max``       float64 the longest of them
    ============= ======= ========================================================
    """
    rows = []
    for (flow, step), group in steps(log).groupby(["flow", "step"], sort=False):
        completed = group["status"] == "completed"
        durations = group.loc[completed, "duration"]
        spread = (*_spread(durations), durations.max())
        rows.append((flow, step, len(group), completed.sum(), *spread))
    columns = ("flow", "step", "attempts", "completed", "mean", "p50", "p95", "max")
    return table(columns, rows)


def _durations(start: Iterable[float], end: Iterable[float]) -> list[float]:
    return [*map(sub, end, start)]


def _spread(durations: pd.Series[float]) -> tuple[float, float, float]:
    if durations.empty:
        return math.nan, math.nan, math.nan
    p50, p95 = durations.quantile([0.5, 0.95])
    return durations.mean(), p50, p95


__all__ = [
    "breakdown",
    "critical",
    "faults",
    "latency",
    "lineage",
    "notices",
    "runs",
    "states",
    "steps",
    "summary",
    "utilisation",
]


def __dir__() -> list[str]:
    """Return what a notebook is to complete."""
    return __all__
