"""The steady state: how long warming up takes, one long run, and measures over time.

================ ====================================================================
Welch's plot     the mean over replications of the i-th run's measure, in the order in
                 which runs were called for, and its moving average (Welch 1983, in
                 The Computer Performance Modeling Handbook; Law 2015, 9.5.1)
MSER-5           the number of runs to delete at which the standard error of the mean
                 of the rest is least, over means of 5 (White 1997, Simulation 69;
                 White, Cobb and Spratt 2000, WSC), but for the last 5 of these; a
                 number in the second half says that the run was too short (Hoad,
                 Robinson and Davies 2010, J. Simulation 4)
batch means      Student's interval of the means of some 10 to 30 equal parts of one
                 long run (Schmeiser 1982, Operations Research 30; Law 2015, 9.5.3)
================ ====================================================================

All are about a study without a warm-up, which would have deleted what is looked for.  Of
each replication the runs are looked at that were called for before the first of those
that are not over at its end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from wfsim.errors import UsageError
from wfsim.report.frames import frame
from wfsim.report.grouping import column
from wfsim.report.history import UNFINISHED
from wfsim.study.estimates import Interval, check_confidence, of_mean
from wfsim.text import suggest

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from wfsim.study.study import Study

BATCH = 5
"""MSER-5 looks at means of so many."""

LAST = 5
"""So few means that are left may be alike by chance."""

BINS = 50
"""Parts of the time that `over_time` has, if nothing else is said."""

MOST_BINS = 100_000

LEVELS = ("in_system", "arrivals", "departures")
"""What is counted over time, beside the times of runs."""


def mser(values: NDArray[Any], batch: int = BATCH) -> int:
    """Return how many of *values* to delete from the front, by MSER of so many a batch.

    It is the number of all of them if there are fewer than two batches.

    >>> mser(np.array([9.0] * 5 + [1, 2] * 25))
    5
    """
    size = len(values) // batch
    if size < 2:
        return len(values)
    means = values[: size * batch].reshape(size, batch).mean(axis=1)
    # Sums from each batch to the last one.
    kept = np.arange(size, 0, -1)
    total = np.cumsum(means[::-1])[::-1]
    squares = np.cumsum(means[::-1] ** 2)[::-1]
    errors = (squares - total**2 / kept) / kept**2
    return int(np.argmin(errors[: max(size - LAST, 1)])) * batch


def batch_means(
    values: NDArray[Any], batches: int = 20, confidence: float = 0.95
) -> tuple[Interval, float]:
    """Return the interval of the mean of *values* of one run, by means of *batches*.

    With it comes the correlation of one batch with the next: if that is more than
    about 2 / sqrt(*batches*), the batches are too short to be independent.  What is left
    over of whole batches is deleted from the front.
    """
    size = len(values) // batches
    if not size:
        return Interval(float(np.mean(values)) if len(values) else math.nan, *_NONE), (
            math.nan
        )
    means = values[len(values) - size * batches :].reshape(batches, size).mean(axis=1)
    rest = means - means.mean()
    spread = float((rest**2).sum())
    correlation = float((rest[1:] * rest[:-1]).sum()) / spread if spread else 0.0
    return of_mean(means, confidence), correlation


_NONE = (-math.inf, math.inf)


def welch(study: Study, measure: str, window: int | None) -> pd.DataFrame:
    """Return what `Study.welch` does."""
    if window is not None and (type(window) is not int or window < 0):
        raise UsageError(f"window is {window!r}; give a whole number of runs, from 0")
    rows: list[tuple[Any, ...]] = []
    for point, series in _series(study, measure):
        means = series[measure].mean(axis=0)
        reach = len(means) // 10 if window is None else window
        labels = tuple(study.points.iloc[point])
        of = zip(means.tolist(), _moving(means, reach), strict=True)
        rows += [(*labels, number, *each) for number, each in enumerate(of, start=1)]
    columns = (*study.over, "number", "mean", "moving")
    found = _frame(study, columns, rows, {"number": "int64"})
    found.attrs["measure"] = measure  # what a chart of it is in
    return found


def _moving(means: NDArray[Any], window: int) -> list[float]:
    """Return the mean of as many neighbours on both sides, *window* of them at most."""
    sums = np.concatenate([[0.0], np.cumsum(means)])
    size = len(means)
    places = np.arange(size)
    # Towards the end there are fewer neighbours after than before.
    reach = np.minimum(np.minimum(places, size - 1 - places), window)
    return list((sums[places + reach + 1] - sums[places - reach]) / (2 * reach + 1))


def warm_up(study: Study, measure: str) -> pd.DataFrame:
    """Return what `Study.warm_up` does."""
    rows = []
    for point, series in _series(study, measure):
        means = series[measure].mean(axis=0)
        number = mser(means)
        kept = means[number:]
        is_enough = number <= len(means) / 2
        called = series["called"].mean(axis=0)
        seconds = float(called[number]) if number < len(called) else math.nan
        labels = tuple(study.points.iloc[point])
        mean = float(kept.mean()) if len(kept) else math.nan
        rows.append((*labels, len(means), number, seconds, mean, is_enough))
    columns = (*study.over, "runs", "deleted", "seconds", "mean", "is_enough")
    dtypes = {"runs": "int64", "deleted": "int64", "is_enough": "bool"}
    return _frame(study, columns, rows, dtypes)


def batched(study: Study, measure: str, batches: int, confidence: float) -> pd.DataFrame:
    """Return what `Study.batch_means` does."""
    check_confidence(confidence)
    if type(batches) is not int or batches < 2:
        raise UsageError(f"batches is {batches!r}; give a whole number from 2")
    rows = []
    for point, series in _series(study, measure, together=False):
        for number, values in zip(series["replication"], series[measure], strict=True):
            interval, correlation = batch_means(values, batches, confidence)
            labels = tuple(study.points.iloc[point])
            size = len(values) // batches
            rows.append((*labels, number, len(values), size, *interval, correlation))
    columns = (
        *(*study.over, "replication", "runs", "size"),
        *(measure, "low", "high", "correlation"),
    )
    dtypes = dict.fromkeys(("replication", "runs", "size"), "int64")
    return _frame(study, columns, rows, dtypes)


def over_time(
    study: Study, measure: str, every: float | None, confidence: float
) -> pd.DataFrame:
    """Return what `Study.over_time` does."""
    check_confidence(confidence)
    if every is not None and not (isinstance(every, (int, float)) and every > 0):
        raise UsageError(f"every is {every!r}; give a number of seconds, more than 0")
    if measure not in LEVELS:
        _check_time(study, measure, LEVELS)
    replications = study.by_point("replications")
    runs = _by_point(study.by_point("runs"))
    rows: list[tuple[Any, ...]] = []
    for point, tallies in _by_point(replications).items():
        makespan = tallies["makespan"]
        of_point = runs.get(point)
        if of_point is None:
            continue
        is_over = ~of_point["status"].isin(UNFINISHED)
        # Where all is done nobody is there afterwards; else nobody knows.
        end = float(makespan.max() if is_over.all() else makespan.min())
        if end <= 0.0:
            continue
        step = end / BINS if every is None else float(every)
        if end > MOST_BINS * step:
            raise UsageError(
                f"every is {every!r}: {end / step:,.0f} parts of {end:,.0f} s; give "
                f"{end / MOST_BINS:.3g} or more"
            )
        edges = np.arange(math.floor(end / step * (1.0 + 1e-9)) + 1) * step
        levels = np.array(
            [_levels(each, measure, edges) for _, each in of_point.groupby("replication")]
        ).reshape(-1, len(edges) - 1)
        missing = len(makespan) - len(levels)
        if missing and measure in LEVELS:  # nobody was called for at all
            levels = np.vstack([levels, np.zeros((missing, len(edges) - 1))])
        labels = tuple(study.points.iloc[point])
        for start, values in zip(edges.tolist(), levels.T, strict=False):
            known = values[~np.isnan(values)]
            interval = of_mean(known, confidence)
            rows.append((*labels, start, start + step, *interval, len(known)))
    names = (*study.over, "start", "end", "mean", "low", "high", "replications")
    found = _frame(study, names, rows, {"replications": "int64"})
    found.attrs |= {"measure": measure, "confidence": confidence}
    return found


def _levels(runs: pd.DataFrame, measure: str, edges: NDArray[Any]) -> NDArray[Any]:
    """Return *measure* of the runs of one replication in each bin between *edges*."""
    called = np.sort(runs["called"].to_numpy())
    widths = np.diff(edges)
    if measure in LEVELS:
        is_over = ~runs["status"].isin(UNFINISHED).to_numpy()
        ends = np.sort((runs["called"] + runs["total"]).to_numpy()[is_over])
        if measure == "arrivals":
            return np.asarray(np.diff(np.searchsorted(called, edges, "left")) / widths)
        if measure == "departures":
            return np.asarray(np.diff(np.searchsorted(ends, edges, "left")) / widths)
        there = _seconds_since(called, edges) - _seconds_since(ends, edges)
        return np.asarray(np.diff(there) / widths)
    times = runs["called"].to_numpy()
    bins = np.searchsorted(edges, times, "right") - 1
    values = runs[measure].to_numpy(dtype="float64")
    inside = (bins < len(widths)) & ~np.isnan(values)
    counts = np.bincount(bins[inside], minlength=len(widths))
    sums = np.bincount(bins[inside], values[inside], len(widths))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(counts > 0, sums / counts, math.nan))


def _seconds_since(times: NDArray[Any], edges: NDArray[Any]) -> NDArray[Any]:
    """Return for each of *edges* how many seconds have passed since all *times*."""
    number = np.searchsorted(times, edges, "right")
    sums = np.concatenate([[0.0], np.cumsum(times)])
    return np.asarray(number * edges - sums[number])


def _check_time(study: Study, measure: str, others: tuple[str, ...] = ()) -> None:
    """Raise `UsageError` unless *measure* is a time that ``runs`` has."""
    times = [
        str(name)
        for name in study.runs.columns
        if study.runs[name].dtype == "float64"
        and name not in (*study.over, "called", "start", "end")
    ]
    if measure not in times:
        known = suggest(str(measure), [*others, *times])
        raise UsageError(f"no time {measure!r} of a run{known}")
    column(study.runs, measure)


def _by_point(rows: pd.DataFrame) -> dict[int, pd.DataFrame]:
    """Return the *rows* of each point."""
    groups: Any = rows.groupby("point")
    return dict(list(groups))


def _series(
    study: Study, measure: str, *, together: bool = True
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each point with *measure* and ``called`` of its runs, in order of calls.

    Both have a row for each ``replication``; *together* these are as long as the
    shortest, and make an array.  Raises `UsageError` where nothing is left.
    """
    _check_time(study, measure)
    for point, runs in _by_point(study.by_point("runs")).items():
        series: dict[str, Any] = {"replication": [], measure: [], "called": []}
        for number, each in runs.groupby("replication"):
            ordered = each.sort_values("called", kind="stable")
            is_open = ordered["status"].isin(UNFINISHED).to_numpy()
            stop = int(np.argmax(is_open)) if is_open.any() else len(ordered)
            series["replication"].append(number)
            for name in (measure, "called"):
                series[name].append(ordered[name].to_numpy(dtype="float64")[:stop])
        if together:
            size = min(map(len, series[measure]))
            if not size:
                raise UsageError(
                    "the first run of a replication is not over at its end, so that "
                    f"nothing is known of the {measure} of those after it; give a later "
                    "horizon, or a drain"
                )
            for name in (measure, "called"):
                series[name] = np.array([each[:size] for each in series[name]])
        yield point, series


def _frame(
    study: Study, columns: tuple[str, ...], rows: list[Any], dtypes: dict[str, str]
) -> pd.DataFrame:
    """Return *rows* as a frame, numbers as float64 unless *dtypes* says otherwise."""
    values = zip(*rows, strict=True) if rows else ((),) * len(columns)
    of = {name: study.points[name].dtype for name in study.over}
    usual = dict.fromkeys(columns, "float64")
    named = dict(zip(columns, values, strict=True))
    return frame(named, {**usual, **dtypes, **of})
