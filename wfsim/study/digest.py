"""A summary of very many replications, in memory that does not grow with them.

The replications of a point are added up in groups, one after the other in order: of a
group there are the sums of each measure, and how many runs took how long, by bins a
hundredth wide (DDSketch: Masson, Rim and Lee 2019, PVLDB 12), so that a quantile is off
by half of that at most.  When there are more than `GROUPS`, two neighbours become one.
Intervals are those of groups, which are as independent as replications are.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from wfsim.errors import UsageError
from wfsim.report.frames import frame
from wfsim.report.grouping import share_of, times_of
from wfsim.report.text import count
from wfsim.sim.terminal import in_sight
from wfsim.study.estimates import (
    Interval,
    check_confidence,
    of_mean,
    of_success,
    woodruff_ends,
)
from wfsim.study.execution import simulated
from wfsim.study.replication import TALLY_DTYPES, Rows, replicate
from wfsim.study.study import Study
from wfsim.study.summary import COUNTS, MEASURES

if TYPE_CHECKING:
    import pandas as pd

    from wfsim.study.sweep import SweepPlan

GROUPS = 64
"""So many groups of replications of a point there are at most; half as many at least."""

WIDTH = 0.01
"""Each bin reaches this much further than the one before."""

AT_ONCE = 10_000
"""Replications of a point whose seeds are there at the same time."""

_STEP = math.log1p(WIDTH)
_NOTHING, _UNDONE = -(2**40), 2**40
"""The bins of what took no time, and of what was not done."""


class Digest:
    """What `sweep` returns of a study of which the summary alone is kept.

    ``over``, ``points`` and ``interrupted`` are those of a `Study`, and so is what
    `summary` returns, but
    that quantiles are off by half a per cent at most, and that intervals are those of up
    to 64 groups of replications.
    """

    def __init__(self, plan: SweepPlan) -> None:
        grid = plan.grid
        every = range(len(grid.points))
        self.over = grid.names
        self.points = frame(grid.columns(every), grid.dtypes).reindex(every)
        self.notices = tuple(plan.notices)
        self.interrupted = False
        self.of_points = [PointDigest() for _ in every]

    def __repr__(self) -> str:
        said = f" over {', '.join(self.over)}" * bool(self.over)
        return (
            f"<Digest{said}: {count(len(self.points), 'point')}, "
            f"{count(sum(each.number for each in self.of_points), 'replication')}"
            f"{', interrupted' * self.interrupted}; next: digest.summary()>"
        )

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and hasattr(Study, name):
            raise UsageError(
                f"keep='summary' keeps nothing that {name} could be taken from; sweep "
                "with keep='runs'"
            )
        raise AttributeError(name)

    def take(self, rows: Rows) -> None:
        """Add up what *rows* hold of their point."""
        self.of_points[rows.point].take(rows)

    def summary(self, confidence: float = 0.95) -> pd.DataFrame:
        """Return one row per point, with the columns of `Study.summary`."""
        check_confidence(confidence)
        sums = next(each.groups[0].sums for each in self.of_points if each.groups)
        own = [name for name in sums if name not in TALLY_DTYPES]
        columns: dict[str, Any] = {
            name: self.points[name].tolist() for name in self.points.columns
        }
        columns["replications"] = [each.number for each in self.of_points]
        for name in COUNTS:
            columns[name] = [
                round(sum(group.sums[name] for group in each.groups))
                for each in self.of_points
            ]
        for name in (*MEASURES, *own):
            intervals = [each.interval(name, confidence) for each in self.of_points]
            columns[name] = [interval.estimate for interval in intervals]
            columns[f"{name}_low"] = [interval.low for interval in intervals]
            columns[f"{name}_high"] = [interval.high for interval in intervals]
        counts = dict.fromkeys(("replications", *COUNTS), "int64")
        dtypes = {name: self.points[name].dtype for name in self.points.columns}
        return frame(columns, {**dict.fromkeys(columns, "float64"), **counts, **dtypes})


def digest(plan: SweepPlan, progress: bool | None) -> Digest:
    """Carry *plan* out and return its digest; *progress* is that of `Simulation.run`."""
    digest = Digest(plan)
    bar: Any = None
    if in_sight(progress):
        from tqdm.auto import tqdm

        total = plan.replications * len(digest.points)
        bar = tqdm(total=total, unit=" replications", delay=2.0, leave=False)
    try:
        for rows in _replicated(plan):
            digest.take(rows)
            if bar is not None:
                bar.update(rows.size)
    except KeyboardInterrupt:
        if not any(each.number for each in digest.of_points):
            raise
        digest.interrupted = True
    finally:
        if bar is not None:
            bar.close()
    return digest


def _replicated(plan: SweepPlan) -> Iterator[Rows]:
    """Yield what comes of all replications of *plan*, a part of them at a time."""
    job = plan.job
    rows, records = replicate(
        plan.scenarios[0],
        *plan.span(0, 0, 1),
        faults=job.faults,
        measures=job.measures,
        flow=job.flow,
    )
    yield rows
    for begin in range(0, plan.replications, AT_ONCE):
        stop = min(begin + AT_ONCE, plan.replications)
        firsts = (max(begin, int(point == 0)) for point in plan.numbers)
        spans = [
            plan.span(point, first, stop)
            for point, first in enumerate(firsts)
            if first < stop
        ]
        yield from simulated(job, spans, records, plan.jobs, plan.scenarios)


class Group:
    """Some replications of a point, added up.

    ``sums`` are those of each measure, ``known`` how many replications have it, and
    ``bins`` how many runs took so long, by the column of their times.
    """

    __slots__ = ("bins", "known", "sums")

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.known: Counter[str] = Counter()
        self.bins: dict[str, Counter[int]] = {"duration": Counter(), "total": Counter()}

    def add(self, other: Group) -> None:
        """Add up the sums of *other*, not its bins."""
        for name, value in other.sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.known.update(other.known)

    def merge(self, other: Group) -> None:
        """Add up what *other* has."""
        self.add(other)
        for name, counts in other.bins.items():
            self.bins[name].update(counts)

    def mean(self, name: str) -> float:
        """Return the mean over replications of a measure, NaN where none has it."""
        known = self.known[name]
        return self.sums[name] / known if known else math.nan


class PointDigest:
    """What is kept of one point: its groups, each of ``size`` replications, in order."""

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self.size = 1
        self.number = 0
        self._early: dict[int, Rows] = {}

    def take(self, rows: Rows) -> None:
        """Add *rows* up as soon as all before them are there: sums hang on the order."""
        self._early[rows.first] = rows
        while self.number in self._early:
            following = self._early.pop(self.number)
            self._add(following)
            self.number = following.stop

    def _add(self, rows: Rows) -> None:
        for place, number in enumerate(range(rows.first, rows.stop)):
            if number % self.size == 0:
                if len(self.groups) == GROUPS:
                    self._halve()
                self.groups.append(Group())
            group = self.groups[-1]
            for name, values in rows.tallies.items():
                value = float(values[place])
                group.sums.setdefault(name, 0.0)
                if math.isfinite(value):
                    group.sums[name] += value
                    group.known[name] += 1
        runs = rows.runs
        for number, status, *times in zip(
            *(runs[name] for name in ("replication", "status", "duration", "total")),
            strict=True,
        ):
            group = self.groups[number // self.size]
            for counts, seconds in zip(group.bins.values(), times, strict=True):
                counts[_bin(seconds) if status == "completed" else _UNDONE] += 1

    def _halve(self) -> None:
        """Make one group of each two neighbours."""
        pairs = zip(self.groups[::2], self.groups[1::2], strict=True)
        for group, other in pairs:
            group.merge(other)
        self.groups = self.groups[::2]
        self.size *= 2

    def interval(self, measure: str, confidence: float) -> Interval:
        """Return the interval of *measure*; the groups that are full vouch for it."""
        share = share_of(measure)
        if share is not None:
            return self._quantile(times_of(measure), share, confidence)
        whole = Group()
        for group in self.groups:
            whole.add(group)
        means = np.array([each.mean(measure) for each in self._full])
        means = means[~np.isnan(means)]
        if measure == "success":
            runs = np.array([each.sums["runs"] for each in self._full])
            found = of_success(means, runs[runs > 0], confidence)
        else:
            found = of_mean(means, confidence)
        return found._replace(estimate=whole.mean(measure))

    @property
    def _full(self) -> list[Group]:
        is_partial = len(self.groups) * self.size > self.number and len(self.groups) > 1
        return self.groups[:-1] if is_partial else self.groups

    def _quantile(self, times: str, share: float, confidence: float) -> Interval:
        groups = [each.bins[times] for each in self.groups if each.bins[times]]
        whole: Counter[int] = Counter()
        for counts in groups:
            whole.update(counts)
        bins = np.array(sorted(whole))
        if not len(bins):
            return Interval(math.nan, math.nan, math.nan)
        upto = np.cumsum([whole[each] for each in bins.tolist()])

        def bin_of(part: float) -> int:
            place = int(np.searchsorted(upto, part * (upto[-1] - 1), "right"))
            return int(bins[min(place, len(bins) - 1)])

        estimate = _seconds(bin_of(share))
        if len(groups) < 2:
            return Interval(estimate, 0.0, math.inf)
        # Nothing lies above what was not done: there the runs that were are counted.
        most = {part: min(bin_of(part), _UNDONE - 1) for part in (0.5, share)}
        below = {
            part: np.array(
                [sum(n for b, n in each.items() if b <= end) for each in groups], float
            )
            for part, end in most.items()
        }
        runs = np.array([each.total() for each in groups], float)
        low, high, is_bounded = woodruff_ends(below, runs, share, confidence)
        # Where in their bins the ends lie is not known: they are taken apart.
        least, beyond = _seconds(bin_of(low), -0.5), _seconds(bin_of(high), 0.5)
        return Interval(estimate, least, beyond if is_bounded else math.inf)


def _bin(seconds: float) -> int:
    """Return the number of the bin that *seconds* lie in."""
    return math.ceil(math.log(seconds) / _STEP) if seconds > 0.0 else _NOTHING


def _seconds(number: int, off: float = 0.0) -> float:
    """Return the middle of the bin of that *number*, or what is *off* it by so many."""
    if number in (_NOTHING, _UNDONE):
        return 0.0 if number == _NOTHING else math.inf
    return math.exp((number - 0.5 + off) * _STEP)
