"""Estimates of what a study has measured at one point, and their confidence intervals.

A measure is the mean over replications of a column of ``replications``; the quantiles
``p50``, ``p95`` and so on are those of all runs together, since a replication may consist
of a single run; ``total_p95`` is that of the times from when they were called for.  A run
that was not done is right-censored: it takes longer than all that were, so a quantile
that lies among such runs is infinite.  ``within_7200`` or ``within_2h`` is the share of
all runs that were done so many seconds, ``min`` or ``h`` after they were called for.
``completed_p95`` and ``completed_total_p95`` are
those of the runs that were done, and of no others.  Resampling is over replications,
since the runs of one depend on each other (a cluster bootstrap: Davison and Hinkley 1997,
3.8).

=========== =======================================================================
a mean      Student's t on the means of replications (Law 2015, 4.5)
a quantile  order statistics, which assume no distribution, where each replication has
            one run (David and Nagaraja 2003, 7.1); else Woodruff's interval: that of
            the share of runs below, by replications, turned back into durations
            (Woodruff 1952; Francisco and Fuller 1991), on the scale of logits, where
            it does not end beyond 0 or 1 (as `svyquantile` has it: Lumley 2010, 2.4)
a share     Wilson's score interval (Wilson 1927), of runs where each replication has
            one, else of as many independent runs as would vary as replications do,
            with Student's t (Korn and Graubard 1998; Dean and Pagano 2015)
=========== =======================================================================

An end beyond what the data can tell is infinite: of 50 runs none bounds the p95.  How
often intervals hold the truth was measured (``tests/study/coverage.txt``): at 95 % those
of the mean, p50, p95 and success of a queue of which 2 % are not done in 91 to 98 % of
300 studies of 10, 20 and 60 replications; the mean of ten exponential runs in 86 %.  The
p95 of the same queue where all are done is held in about 80, 84 and 92 % (of 400): few
replications do not show what its tail is like.

What the field calls them, and what each includes:

=================== ===================== ===========================================
of the field        here                  includes
=================== ===================== ===========================================
time in system      ``total``             all from when a run is called for until it
                    ``total_p95``         ends, or the log; sojourn, response or flow
                                          time: ``queued`` ``pool_queue`` ``steps``
                                          ``retries_seconds`` ``recovery`` ``waiting``
                                          ``other``
time in process     ``duration`` ``mean`` the same but for what was before a worker
                    ``p50`` ``p95``       first took the run up, in ``queued`` or
                                          ``recovery``; ``mean`` is of completed runs
wait for a worker   ``queued``            nothing is in the way but that no worker
                    ``queue``             takes it up, first or again; how many wait
wait for a place    ``pool_queue``        in the queue of a pool, within attempts;
                    ``queue``             how many wait
service time        ``steps``             attempts that complete or are under way,
                                          without their time in queues of pools
rework              ``retries_seconds``   attempts that fail and the pauses after them;
                    ``retries``           how many there are
repair              ``recovery``          attempts that a crash cuts short until they
                    ``restarts``          begin again; no controller; interrupted
external delay      ``waiting``           steps that wait for something outside
lost time           ``other``             attempts that a cancel or an interruption ends
makespan            ``makespan``          from second 0 until the last run ends
service level       ``success``           completed runs, of all that are called for;
                    ``within_2h``         of these, by ``total``, within so long
work in process     ``in_system``         runs called for and not over, over time
backlog             ``unfinished``        of ``runs``, those not over at the log's end
arrival rate        ``arrivals``          runs called for, per second
throughput          ``departures``        runs that are over, per second
offered load        ``arrivals``          per second, times ``steps``: how many servers
                    ``steps``             that would keep busy; beyond the ``places``
                                          queues grow without end
utilisation         ``share``             ``busy`` of the ``places``, on average over
                    ``busy`` ``places``   the window of so many ``seconds``
=================== ===================== ===========================================

What a user waits for is ``total``: it is the measure where none is named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from wfsim.errors import UsageError
from wfsim.model.distributions import stats
from wfsim.report.grouping import (
    is_of_completed,
    limit_of,
    quantile,
    share_of,
    times_of,
)
from wfsim.study.replication import RESERVED, Rows
from wfsim.text import suggest

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from wfsim.study.study import Study

_TIME = "time that counts"
_CELLS = 4_000_000
"""So many weights are kept at a time while quantiles of resamples are taken."""


def is_taken(name: str) -> bool:
    """Whether frames of studies have a column of that *name*, or a measure is called so.

    >>> [is_taken(name) for name in ("mean", "p99", "total_low", "best", "replicas")]
    [True, True, True, True, False]
    """
    stem = name.removesuffix("_low").removesuffix("_high")
    is_made_of_runs = share_of(stem) is not None or limit_of(stem) is not None
    return stem in RESERVED or is_made_of_runs


class Sample:
    """Values by replication; *numbers* are those of the replications.

    Of a quantile, *values* are durations of runs and *owners* the places of their
    replications among *numbers*; of a mean there is a value for each replication, and of
    a success rate how many *runs* that is a share of, too.
    """

    def __init__(
        self,
        numbers: NDArray[Any],
        values: NDArray[Any],
        owners: NDArray[Any] | None = None,
        share: float | None = None,
        runs: NDArray[Any] | None = None,
    ) -> None:
        self.numbers = numbers
        self.share = share
        self.runs = runs
        self.values = values
        self.owners = owners
        if share is not None and owners is not None:
            order = np.argsort(values, kind="stable")
            self.values, self.owners = values[order], owners[order]

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def is_simple(self) -> bool:
        """Whether each replication is one number, so that its numbers are independent."""
        return self.owners is None or (
            len(np.unique(self.owners)) == len(self.owners) == len(self.numbers)
        )

    @property
    def estimate(self) -> float:
        """The measure, NaN where nothing has it."""
        if not len(self.values):
            return math.nan
        if self.share is None:
            return float(np.mean(self.values))
        return quantile(self.values.tolist(), self.share)

    def only(self, numbers: NDArray[Any]) -> Sample:
        """Return what was seen in the replications *numbers*, in their order."""
        places = {int(number): place for place, number in enumerate(self.numbers)}
        wanted = np.array([places[int(number)] for number in numbers], dtype=np.intp)
        if self.owners is None:
            runs = None if self.runs is None else self.runs[wanted]
            return Sample(numbers, self.values[wanted], None, self.share, runs)
        back = np.full(len(self.numbers), -1, dtype=np.intp)
        back[wanted] = np.arange(len(wanted))
        owners = back[self.owners]
        kept = owners >= 0
        return Sample(numbers, self.values[kept], owners[kept], self.share)

    def of(self, places: NDArray[Any]) -> NDArray[Any]:
        """Return the measure of each row of *places*, replications drawn with repeats."""
        if self.owners is None:
            return np.asarray(self.values[places].mean(axis=-1))
        flat = places.reshape(-1, places.shape[-1])
        block = max(1, _CELLS // max(len(self.values), 1))
        found = [
            self._quantiles(flat[begin : begin + block])
            for begin in range(0, len(flat), block)
        ]
        return np.concatenate(found).reshape(places.shape[:-1])

    def _quantiles(self, places: NDArray[Any]) -> NDArray[Any]:
        rows, size = len(places), len(self.numbers)
        offsets = places + np.arange(rows)[:, None] * size
        counts = np.bincount(offsets.ravel(), minlength=rows * size).reshape(rows, size)
        if not len(self.values):
            return np.full(rows, math.nan)
        upto = np.cumsum(counts[:, self.owners], axis=1)
        total = upto[:, -1]
        # The linear quantile of numpy, of values that are there several times.
        rank = (total - 1).clip(0) * self.share
        below = np.floor(rank)
        above = np.minimum(below + 1, total - 1)
        low = self.values[(upto > below[:, None]).argmax(axis=1)]
        high = self.values[(upto > above[:, None]).argmax(axis=1)]
        part = rank - below
        with np.errstate(invalid="ignore"):  # of what is infinite: see the next line
            between = low + (high - low) * part
        between = np.where((part == 0.0) | np.isinf(low), low, between)
        return np.where(total > 0, between, math.nan)


class Samples:
    """The samples of *measure* of a *study*, one for each point."""

    def __init__(self, study: Study, measure: str) -> None:
        self.share, self.limit = share_of(measure), limit_of(measure)
        known = [
            *("p50", "p95", "total_p95"),
            *(name for name in study.replications.columns if name not in study.over),
        ]
        is_made_of_runs = self.share is not None or self.limit is not None
        if not is_made_of_runs and measure not in known:
            raise UsageError(
                f"no measure {measure!r}{suggest(measure, known)}; a quantile is "
                "written p95, and a share within_7200 or within_2h"
            )
        self.measure = measure
        tallies = study.by_point("replications")
        self._tallies = dict(list(tallies.groupby("point", sort=False)))
        self._runs: dict[Any, pd.DataFrame] = {}
        if is_made_of_runs:
            runs = study.by_point("runs")
            name = times_of(measure) if self.limit is None else "total"
            times = censored(runs[name], runs["status"])
            counted = runs.assign(**{_TIME: times})
            if is_of_completed(measure):
                counted = counted[counted["status"] == "completed"]
            self._runs = dict(list(counted.groupby("point", sort=False)))

    def at(self, point: int) -> Sample:
        """Return the sample of the point numbered *point*."""
        tallies = self._tallies.get(point)
        if tallies is None:
            return Sample(np.array([], dtype=np.int64), np.array([]), None, None)
        numbers = tallies["replication"].to_numpy()
        if self.share is None and self.limit is None:
            values = tallies[self.measure].to_numpy(dtype="float64")
            counts = tallies["runs"].to_numpy()
            return _known(numbers, values, counts if self.measure == "success" else None)
        runs = self._runs.get(point)
        if runs is None:
            empty = np.array([], dtype=np.intp)
            numbers = numbers if self.limit is None else empty
            return Sample(numbers, np.array([]), empty, self.share)
        owners = np.searchsorted(numbers, runs["replication"].to_numpy())
        values = runs[_TIME].to_numpy()
        if self.limit is not None:
            return _inside(numbers, owners, values <= self.limit)
        return Sample(numbers, values, owners, self.share)


def sampled(rows: Sequence[Rows], measure: str) -> Sample:
    """Return what *rows* of one point hold of *measure*.

    Raises `UsageError` for a measure that there is not.
    """
    ordered = sorted(rows, key=lambda each: each.first)
    numbers = np.concatenate([np.arange(each.first, each.stop) for each in ordered])
    share, limit = share_of(measure), limit_of(measure)
    if share is None and limit is None:
        known = ordered[0].tallies
        if measure not in known:
            raise UsageError(f"no measure {measure!r}{suggest(measure, known)}")
        values = np.concatenate([each.tallies[measure] for each in ordered]).astype(float)
        counts = np.concatenate([each.tallies["runs"] for each in ordered])
        return _known(numbers, values, counts if measure == "success" else None)
    only_completed = is_of_completed(measure)
    names = ("replication", "status", times_of(measure) if limit is None else "total")
    counted = [
        (number, seconds if status == "completed" else math.inf)
        for each in ordered
        for number, status, seconds in zip(
            *(each.runs[name] for name in names), strict=True
        )
        if status == "completed" or not only_completed
    ]
    owners = np.searchsorted(numbers, [number for number, _ in counted])
    times = np.array([seconds for _, seconds in counted], dtype=float)
    if limit is not None:
        return _inside(numbers, owners, times <= limit)
    return Sample(numbers, times, owners, share)


def _inside(
    numbers: NDArray[Any], owners: NDArray[Any], is_inside: NDArray[Any]
) -> Sample:
    """Return the sample of the share of runs that are inside, by replication."""
    runs = np.bincount(owners, minlength=len(numbers))
    inside = np.bincount(owners, weights=is_inside, minlength=len(numbers))
    there = runs > 0
    counts = runs[there]
    return Sample(numbers[there], inside[there] / counts, runs=counts)


def censored(times: pd.Series[float], status: pd.Series[str]) -> pd.Series[float]:
    """Return *times* of runs, infinite for those whose *status* is not completed."""
    return times.where(status == "completed", math.inf)


def _known(
    numbers: NDArray[Any], values: NDArray[Any], runs: NDArray[Any] | None
) -> Sample:
    """Return the sample of the replications that have a value."""
    there = ~np.isnan(values)
    counts = None if runs is None else runs[there]
    return Sample(numbers[there], values[there], runs=counts)


class Interval(NamedTuple):
    """An *estimate* and the ends of its confidence interval; NaN where unknown."""

    estimate: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half of the distance from *low* to *high*."""
        return (self.high - self.low) / 2.0


def compact(interval: Interval, scale: float = 1.0) -> str:
    """Return an estimate and the ends of its interval as a text.

    >>> compact(Interval(96.42, 91.81, 101.0)), compact(Interval(0.5, 0.4, 0.6), 100)
    ('96.4 (91.8 to 101.0)', '50.0 (40.0 to 60.0)')
    """
    estimate, low, high = (f"{each * scale:,.1f}" for each in interval)
    return f"{estimate} ({low} to {high})"


def interval(sample: Sample, confidence: float = 0.95) -> Interval:
    """Return the interval of the mean, share or quantile that *sample* is of."""
    if sample.runs is not None:
        return of_success(sample.values, sample.runs, confidence)
    if sample.share is None:
        return of_mean(sample.values, confidence)
    if sample.is_simple:
        return _order_statistics(sample.values, sample.share, confidence)
    return _woodruff(sample, confidence)


def of_mean(values: NDArray[Any], confidence: float = 0.95) -> Interval:
    """Return Student's interval of the mean of independent *values*."""
    size = len(values)
    if not size:
        return Interval(math.nan, math.nan, math.nan)
    mean = float(np.mean(values))
    if size < 2:
        return Interval(mean, -math.inf, math.inf)
    reach = _t(size - 1, confidence) * float(np.std(values, ddof=1)) / math.sqrt(size)
    return Interval(mean, mean - reach, mean + reach)


def of_success(
    shares: NDArray[Any], runs: NDArray[Any], confidence: float = 0.95
) -> Interval:
    """Return the interval of a success rate: *shares* of so many *runs* each.

    Where all runs succeed, or none does, nothing says that those of one replication have
    anything to do with each other, and each counts as one.
    """
    shares, runs = shares[runs > 0], runs[runs > 0]
    if not len(shares):
        return Interval(math.nan, math.nan, math.nan)
    mean, size, total = float(np.mean(shares)), len(shares), float(np.sum(runs))
    tail = (1.0 + confidence) / 2.0
    if size == total:
        return Interval(mean, *_wilson(mean, total, float(stats().norm.ppf(tail))))
    if size < 2:
        return Interval(mean, 0.0, 1.0)
    variance = float(np.var(shares, ddof=1)) / size
    alone = mean * (1.0 - mean) / variance if variance > 0.0 else total
    return Interval(mean, *_wilson(mean, min(alone, total), _t(size - 1, confidence)))


def _wilson(share: float, size: float, z: float) -> tuple[float, float]:
    scale = 1.0 + z * z / size
    centre = (share + z * z / (2 * size)) / scale
    spread = share * (1.0 - share) / size + z * z / (4 * size * size)
    reach = z / scale * math.sqrt(spread)
    # At the ends of the scale the formula is exact but for rounding.
    low = 0.0 if share == 0.0 else max(centre - reach, 0.0)
    return low, 1.0 if share == 1.0 else min(centre + reach, 1.0)


def _order_statistics(values: NDArray[Any], share: float, confidence: float) -> Interval:
    size = len(values)
    if not size:
        return Interval(math.nan, math.nan, math.nan)
    tail = (1.0 - confidence) / 2.0
    binomial = stats().binom(size, share)
    below, above = int(binomial.ppf(tail)), int(binomial.ppf(1.0 - tail)) + 1
    return Interval(
        quantile(values.tolist(), share),
        float(values[below - 1]) if below >= 1 else 0.0,
        float(values[above - 1]) if above <= size else math.inf,
    )


def _woodruff(sample: Sample, confidence: float) -> Interval:
    values, owners, share = sample.values, sample.owners, sample.share
    if not len(values) or owners is None or share is None:
        return Interval(math.nan, math.nan, math.nan)
    size = len(sample)
    ordered = values.tolist()
    estimate = quantile(ordered, share)
    if size < 2:
        return Interval(estimate, 0.0, math.inf)
    runs = np.bincount(owners, minlength=size)

    def below(limit: float) -> NDArray[Any]:
        # Nothing lies above what is infinite: there the runs that were done are counted.
        is_below = values <= limit if math.isfinite(limit) else np.isfinite(values)
        return np.bincount(owners, weights=is_below, minlength=size)

    shares = {each: below(quantile(ordered, each)) for each in (0.5, share)}
    low, high, is_bounded = woodruff_ends(shares, runs, share, confidence)
    return Interval(
        estimate,
        quantile(ordered, low),
        quantile(ordered, high) if is_bounded else math.inf,
    )


def woodruff_ends(
    below: Mapping[float, NDArray[Any]],
    runs: NDArray[Any],
    share: float,
    confidence: float,
) -> tuple[float, float, bool]:
    """Return the shares of runs between which the true quantile of *share* may lie.

    *below* are how many of the *runs* of each replication, two at least, lie below the
    estimate of the median and that of *share*.  With them comes whether so many runs
    bound it at all.  Few replications show little of a tail, so runs are taken to depend
    on each other there as much as they do at the median, if that is more.
    """
    size = len(runs)
    variance = 0.0
    for at, counts in below.items():
        # The share of runs below is a ratio of two means over replications.
        rest = (counts - counts.sum() / runs.sum() * runs) / runs.mean()
        of = float((rest**2).sum() / (size - 1) / size) / (at * (1.0 - at))
        variance = max(variance, of)
    reach = _t(size - 1, confidence) * math.sqrt(variance / (share * (1.0 - share)))
    odds = math.log(share / (1.0 - share))
    low, high = (_logistic(odds + each) for each in (-reach, reach))
    # Even if all runs were independent, so few may all lie below.
    return low, high, share ** float(runs.sum()) < (1.0 - confidence) / 2.0


def _logistic(odds: float) -> float:
    return 0.5 + 0.5 * math.tanh(odds / 2.0)


def _t(freedom: int, confidence: float) -> float:
    return float(stats().t.ppf((1.0 + confidence) / 2.0, freedom))


def intervals_of(study: Study, measure: str, confidence: float) -> list[Interval]:
    """Return the interval of *measure* at each point of *study*, in their order."""
    samples = Samples(study, measure)
    points = range(len(study.points))
    return [interval(samples.at(point), confidence) for point in points]


def check_confidence(confidence: Any) -> None:
    """Raise `UsageError` for what is not between 0 and 1."""
    if not (isinstance(confidence, float) and 0.0 < confidence < 1.0):
        raise UsageError(
            f"confidence is {confidence!r}; give a number between 0 and 1, such as 0.95"
        )
