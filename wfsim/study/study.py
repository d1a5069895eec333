"""A study: what came of many replications at some points, as tidy frames."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from wfsim.errors import UsageError
from wfsim.model.glance import glance
from wfsim.report.frames import frame
from wfsim.report.grouping import column, label
from wfsim.report.text import count, frame_digest
from wfsim.study.estimates import check_confidence, compact, intervals_of
from wfsim.study.grid import FrameByPoint, Grid, frame_by_point, replications_by_point
from wfsim.study.replication import (
    LOAD_COLUMNS,
    LOAD_DTYPES,
    PART_COLUMNS,
    RUN_COLUMNS,
    RUN_DTYPES,
    STEP_COLUMNS,
    STEP_DTYPES,
    TALLY_DTYPES,
    Rows,
)
from wfsim.text import suggest

if TYPE_CHECKING:
    import pandas as pd

    from wfsim.study.design import Design
    from wfsim.study.objective import Smallest

More: TypeAlias = Callable[[Mapping[int, tuple[int, int]]], "Study"]
"""Returns the study of further replications: the first and the stop of each point."""

FEW_REPLICATIONS = 10
"""With fewer of them, one of two equal points is called the best far too often."""


MOST_TOLD = 3
"""Points of which a study tells one by one that nothing is done there."""


class Study:
    """What came of many replications at some points; made by `sweep`.

    ``over`` are the names of the parameters that were varied; they are the first columns
    of each frame.  ``points`` has a row for each point.

    ``runs`` has a row per run that was called for, whether a worker has begun it or not:
    ``replication`` (int64), ``resource``, ``run``, ``flow``, ``status``, ``error``,
    ``start``, ``end``, ``duration``, ``retries`` and ``restarts`` as in `tables.runs`;
    ``queued``, ``pool_queue``, ``steps``, ``retries_seconds``, ``recovery``, ``waiting``,
    ``other`` and ``total``, their sum, as in `tables.breakdown`.  Runs that were called
    for during the scenario's warm-up are left out.

    ``replications`` has a row per point and replication:

    =============== ======= ======================================================
    ``replication`` int64   from 0
    ``seed``        int64   `simulate` with it does the same again
    ``runs``        int64   that were called for
    ``unfinished``  int64   of them, not begun or under way when the log ended
    ``success``     float64 share of all of them that completed, NaN without any
    ``mean``        float64 duration of completed runs from when a worker took them up,
                            NaN without any
    ``p50``         float64 the duration that half of all runs do not exceed: infinite
                            where more than that were not done
    ``p95``         float64 the same of 95 %
    ``total``       float64 time in system (sojourn): the mean over all of them from
                            when they were called for until they ended, or the log
    ``makespan``    float64 when the last run had ended, or the log
    ``retries``     int64   of all runs together
    ``restarts``    int64   of all runs together
    =============== ======= ======================================================

    and a float64 column for each measure of one's own.

    ``steps`` has a row per point, replication, ``flow`` and ``step``: how many ``runs``
    began it (int64), the ``seconds`` that they spent in it, and of these in a
    ``pool_queue`` (float64).  ``loads`` has
    one per point, replication and ``server``, that is ``workers`` or a pool: how many
    were ``busy`` and how many waited in the ``queue``, on average from the warm-up to the
    end, and how many ``places`` there are, NaN without a bound (float64).  They say what
    `tables.critical` and `tables.utilisation` do of one log, and cost a replication about
    a twentieth of its time.

    Times are seconds of virtual time.  ``interrupted`` tells of a study that Ctrl-C has
    cut short, and ``settled`` (a bool for each row of ``points``, None without a
    precision) where it was reached.  `notices` are sentences about what may be other than
    it was meant.
    """

    def __init__(
        self,
        over: Sequence[str],
        points: pd.DataFrame,
        frames: Mapping[str, FrameByPoint],
        *,
        design: Design | None = None,
        seed: int = 0,
        interrupted: bool = False,
        settled: Mapping[int, bool] | None = None,
        notices: Sequence[str] = (),
        more: More | None = None,
        numbers: Sequence[int] | None = None,
    ) -> None:
        self.over = tuple(over)
        self.points = points
        self.runs = frames["runs"].frame
        self.replications = frames["replications"].frame
        self.steps = frames["steps"].frame
        self.loads = frames["loads"].frame
        self._of = {name: of for name, (_, of) in frames.items()}
        self.design = design
        self.seed = seed
        self.interrupted = interrupted
        self._notices = tuple(notices)
        # What replicates further, and what it calls each of the points.
        self._more = more
        self._numbers = tuple(range(len(points)) if numbers is None else numbers)
        self.settled: tuple[bool, ...] | None = None
        if settled is not None:
            self.settled = tuple(settled.get(row, False) for row in range(len(points)))

    @classmethod
    def of(
        cls,
        grid: Grid,
        done: Mapping[int, Sequence[Rows]],
        **more: Any,
    ) -> Study:
        """Return the study of what was *done* at each point, in whatever order."""
        ordered = [
            rows
            for point in range(len(grid.points))
            for rows in sorted(done.get(point, ()), key=lambda rows: rows.first)
        ]
        every = range(len(grid.points))
        # A frame without columns has no rows but by its index.
        points = frame(grid.columns(every), grid.dtypes).reindex(every)
        frames = {
            "runs": frame_by_point(grid, ordered, "runs", RUN_COLUMNS, RUN_DTYPES),
            "steps": frame_by_point(grid, ordered, "steps", STEP_COLUMNS, STEP_DTYPES),
            "loads": frame_by_point(grid, ordered, "loads", LOAD_COLUMNS, LOAD_DTYPES),
            "replications": replications_by_point(grid, ordered),
        }
        return cls(grid.names, points, frames, **more)

    @property
    def digest(self) -> str:
        """Eight hex digits that a change of any number in ``replications`` changes."""
        return frame_digest(self.replications)

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences about what has no effect, never succeeds, or is known too badly."""
        counts = self.by_point("replications").groupby("point").size()
        few = int(counts.min()) if len(counts) > 1 else FEW_REPLICATIONS
        hasty = (
            f"{count(few, 'replication')} of a point are few to compare points by: give "
            f"{FEW_REPLICATIONS} or more",
        ) * (few < FEW_REPLICATIONS)
        return (*self._notices, *self._inert(), *self._hopeless(), *hasty)

    def _inert(self) -> Iterator[str]:
        """Yield a sentence for each parameter that nothing hangs on."""
        for name in self.inert():
            yield (
                f"{name} makes no difference: points that differ in it alone have "
                "the same replications; perhaps nothing in the scenario reads it"
            )

    def inert(self) -> list[str]:
        """Return the parameters that make no difference to any replication."""
        inert = []
        tallies = self.by_point("replications").drop(columns=list(self.over))
        seen = {
            point: rows.drop(columns="point").to_csv(index=False)
            for point, rows in tallies.groupby("point")
        }
        for name in self.over:
            others = [each for each in self.over if each != name]
            alike: dict[tuple[Any, ...], list[int]] = {}
            for point, row in enumerate(self.points[others].to_dict("records")):
                alike.setdefault(tuple(row.values()), []).append(point)
            groups = [each for each in alike.values() if len(each) > 1]
            if groups and all(
                len({seen.get(point) for point in group}) == 1 for group in groups
            ):
                inert.append(name)
        return inert

    def _hopeless(self) -> Iterator[str]:
        """Yield a sentence for each flow of which no run is done, with its error.

        It is told once for the whole study, or by point where it is so at some alone.
        """
        failed = self.by_point("runs")
        done = failed.loc[failed["status"] == "completed", ["point", "flow"]]
        failed = failed[failed["error"] != ""]
        for flow, runs in failed.groupby("flow", sort=False):
            at = set(done.loc[done["flow"] == flow, "point"])
            if not at:
                where = "" if len(self.points) < 2 else " at any point"
                yield f"no run of {flow} is done{where}; {_commonest(runs['error'])}"
                continue
            hopeless = [each for each in runs["point"].unique() if each not in at]
            for point in hopeless[:MOST_TOLD]:
                errors = runs.loc[runs["point"] == point, "error"]
                label = self.label(point, self.over)
                yield f"{label}: no run of {flow} is done; {_commonest(errors)}"
            if len(hopeless) > MOST_TOLD:
                more = count(len(hopeless) - MOST_TOLD, "more point")
                yield f"no run of {flow} is done at {more} either"

    def by_point(self, name: str) -> pd.DataFrame:
        """Return the frame of that *name*, such as ``runs``, with a column ``point``.

        It holds the number of the point's row in ``points``, int64.
        """
        of: pd.DataFrame = getattr(self, name)
        return of.assign(point=self._of[name])

    def where(self, **labels: Any) -> Study:
        """Return the study of the points alone that have those *labels*.

        Raises `UsageError` for a parameter that there is not, or if no point is left.
        """
        for name in labels:
            self.check_parameter(name)
        points = self.points.to_dict("records")
        kept = [
            number
            for number, point in enumerate(points)
            if all(_is(point[name], each) for name, each in labels.items())
        ]
        if not kept:
            raise UsageError(f"no point has {labels!r}; {self._there(labels)}")
        return self._at(kept)

    def _at(self, kept: Sequence[int]) -> Study:
        """Return the study of the points alone that are numbered so."""
        place = {number: at for at, number in enumerate(kept)}
        frames = {}
        for name, of in self._of.items():
            inside = [number in place for number in of]
            whole: pd.DataFrame = getattr(self, name)
            frames[name] = FrameByPoint(
                whole[inside].reset_index(drop=True),
                [place[each] for each in of if each in place],
            )
        settled = self.settled
        return Study(
            self.over,
            self.points.iloc[list(kept)].reset_index(drop=True),
            frames,
            seed=self.seed,
            interrupted=self.interrupted,
            settled=None
            if settled is None
            else {at: settled[number] for number, at in place.items()},
            more=self._more,
            numbers=[self._numbers[number] for number in kept],
        )

    def counts(self) -> list[int]:
        """Return how many replications each point has."""
        sizes = self.by_point("replications").groupby("point").size()
        return [int(sizes.get(point, 0)) for point in range(len(self.points))]

    def extended(self, stops: Mapping[int, int]) -> Study:
        """Return this study with so many replications at the points of those numbers.

        They are what `sweep` with as many would have made.  Raises `UsageError` for a
        study that was not made by `sweep` in this process.
        """
        if self._more is None:
            raise UsageError(
                "this study cannot replicate further; only what sweep returns can, in "
                "the process in which it was called"
            )
        counts = self.counts()
        spans = {
            self._numbers[point]: (counts[point], stop)
            for point, stop in stops.items()
            if stop > counts[point]
        }
        if not spans:
            return self
        more = self._more(spans)._at(self._numbers)
        import pandas as pd

        frames = {}
        for name in self._of:
            both = pd.concat([self.by_point(name), more.by_point(name)])
            # Stable: what is of one replication keeps its order.
            both = both.sort_values(["point", "replication"], kind="stable")
            of = both.pop("point").tolist()
            frames[name] = FrameByPoint(both.reset_index(drop=True), of)
        return Study(
            self.over,
            self.points,
            frames,
            design=self.design,
            seed=self.seed,
            interrupted=self.interrupted or more.interrupted,
            notices=self._notices,
            more=self._more,
            numbers=self._numbers,
        )

    def __getstate__(self) -> dict[str, Any]:
        # What replicates further is code, which need not be possible to pickle.
        return {**vars(self), "_more": None}

    def summary(self, confidence: float = 0.95) -> pd.DataFrame:
        """Return one row per point: what was measured there, with its intervals.

        After the parameters come ``replications``, ``runs`` and ``unfinished``, runs
        still under way at the end, which count as not successful (int64); then ``mean``,
        ``p50``, ``p95``, ``total``, ``total_p95``, ``success`` and measures of one's own
        (float64), each followed by the ends of its interval of that *confidence*, as in
        ``mean_low`` and ``mean_high``.  ``mean`` and ``total`` are those of the means of
        replications; quantiles are those of all runs, and infinite where they lie among
        those that were not done.
        `wfsim.study.estimates` says how intervals are made.  Raises `UsageError` if scipy
        (the extra ``study``) is not installed.
        """
        check_confidence(confidence)
        own = own_measures(self)
        points = range(len(self.points))
        measures = ("mean", "p50", "p95", "total", "total_p95", "success", *own)
        intervals = {name: intervals_of(self, name, confidence) for name in measures}
        tallies = self.by_point("replications").groupby("point")
        columns: dict[str, Any] = {
            name: self.points[name].tolist() for name in self.points.columns
        }
        columns["replications"] = tallies.size().reindex(points, fill_value=0).tolist()
        for name in COUNTS:
            columns[name] = tallies[name].sum().reindex(points, fill_value=0).tolist()
        for name, found in intervals.items():
            columns[name] = [each.estimate for each in found]
            columns[f"{name}_low"] = [each.low for each in found]
            columns[f"{name}_high"] = [each.high for each in found]
        dtypes = {name: self.points[name].dtype for name in self.points.columns}
        numbers = dict.fromkeys(columns, "float64")
        counts = dict.fromkeys(("replications", *COUNTS), "int64")
        return frame(columns, {**numbers, **counts, **dtypes})

    def compare(
        self,
        measure: str = "total",
        *,
        baseline: Any = None,
        by: str | None = None,
        confidence: float = 0.95,
    ) -> pd.DataFrame:
        """Return one row per pair of points: what *measure* is at *b* less that at *a*.

        *baseline*, a mapping of parameters to labels or the label of the one that is
        compared, is *a* of each pair; without it each two points are a pair.  With *by*
        only points are that differ in this parameter alone; the others are columns then.

        ================ ======= =====================================================
        ``a``, ``b``     text    the two points
        ``at_a``         float64 the measure there; ``at_b`` too
        ``difference``   float64 in the unit of the measure: seconds, or a share
        ``low``          float64 its BCa bootstrap interval; ``high`` too
        ``relative``     float64 *difference* / *at_a*
        ``p``            float64 of a permutation test within pairs
        ``p_holm``       float64 the same, corrected for the number of rows
        ``replications`` int64   that both have
        ================ ======= =====================================================

        *measure* is a column of ``replications``, or a quantile of all runs: of their
        durations such as ``p99``, of ``total`` such as ``total_p99``; of the completed
        ones alone, ``completed_p99`` and ``completed_total_p99``.
        Raises `UsageError`.
        """
        from wfsim.study.comparison import compare

        return compare(self, baseline, measure, by, confidence)

    def rank(
        self,
        measure: str = "total",
        *,
        largest: bool | None = None,
        confidence: float = 0.95,
    ) -> pd.DataFrame:
        """Return one row per point, the best first.

        After the parameters come ``rank`` (int64), *measure*, the ends ``low`` and
        ``high`` of its interval, ``best``, the probability that it is the best of all,
        and ``success``, the share of its runs that were done (float64).  *best* is the
        share of 4,999 bootstrap samples of replications, the same for all points, in
        which it is; points that are equally good share it.  Less is better but for
        ``success``; *largest* says otherwise.  If *measure* is a time, a point whose
        share of done runs is known to be smaller than another's comes after all others,
        and is never the best.  Raises `UsageError`.
        """
        from wfsim.study.comparison import rank

        return rank(self, measure, largest, confidence)

    def smallest(
        self,
        parameter: str,
        objective: str,
        *,
        confidence: float = 0.95,
        replications: int = 10_000,
    ) -> Smallest:
        """Return the smallest value of *parameter* that meets the *objective*.

        That is a sentence such as ``total_p95 <= 7200``.  Where it is open, the points
        are replicated further, up to *replications* times; what it costs hangs on how
        near to the limit they are.  With a probability of at least *confidence* every
        answer is right.  A value exactly at the limit stays open.
        `wfsim.study.objective` says how it is done.  Raises `UsageError` where another
        parameter varies too, or for a study that cannot replicate further, and
        `DefinitionError` for an objective that is none.
        """
        from wfsim.study.objective import smallest

        return smallest(self, parameter, objective, confidence, replications)

    def sensitivity(
        self, measure: str = "total", *, confidence: float = 0.95
    ) -> pd.DataFrame:
        """Return one row per parameter of a `design.saltelli`: its Sobol indices.

        ``first`` is the share of the variance of *measure* that this parameter explains
        alone, ``total`` the same with its interactions; each with the ends of its
        bootstrap interval, as in ``first_low`` (float64); ``notice``
        explains an index of exactly 0, or is empty.  By SALib:
        Sobol (2001), Saltelli et al. (2010).  Where points are replicated a few times
        only, chance counts as well.  Raises `UsageError` for another design.
        """
        from wfsim.study.comparison import sensitivity

        return sensitivity(self, measure, confidence)

    def tornado(self, measure: str = "total") -> pd.DataFrame:
        """Return one row per parameter, for `charts.tornado`.

        ``parameter``, its values ``low`` and ``high``, what *measure* is there,
        ``at_low`` and ``at_high``, and ``base`` (float64).  Of `design.one_at_a_time` all
        else is as at its base; otherwise *measure* is averaged over all else, and
        ``base`` is its average.  Raises `UsageError`, also where there is nothing to
        average, as in a Latin hypercube.
        """
        from wfsim.study.comparison import tornado

        return tornado(self, measure)

    def breakdown(self, by: str | Sequence[str] | None = None) -> pd.DataFrame:
        """Return where the time goes: seconds of a run on average, by the columns *by*.

        *by* are the parameters if not given.  ``runs`` (int64), then the float64 columns
        ``queued``, ``pool_queue``, ``steps``, ``retries_seconds``, ``recovery``,
        ``waiting``, ``other`` and ``total``, the sum of these.  Raises `UsageError` for
        an unknown column.
        """
        names = self._columns(by)
        runs = self.runs
        if not names:
            means = runs[list(PART_COLUMNS)].mean().to_frame().T
            means.insert(0, "runs", len(runs))
            return means
        groups = runs.groupby(names, sort=False)
        means = groups[list(PART_COLUMNS)].mean()
        means.insert(0, "runs", groups.size())
        return means.reset_index()

    def critical(self, by: str | Sequence[str] | None = None) -> pd.DataFrame:
        """Return which steps the time goes to, one row per group, flow and step.

        Groups are made by the columns *by*, the parameters if not given.  ``flow``,
        ``step``, ``runs`` that began it (int64), ``mean``, the seconds that a run of the
        flow spends in it, ``pool_queue``, those of them in the queue of a pool, ``share``
        of the time of all these runs (float64), and whether it is the flow's
        ``bottleneck``, with the largest share (bool); as `tables.critical` has it.
        Raises `UsageError` for an unknown column.
        """
        names = [*self._columns(by, "flow", "step"), "flow"]
        of_flows = self.runs.groupby(names, sort=False)["total"].agg(["size", "sum"])
        steps = self.steps.groupby([*names, "step"], sort=False)[
            ["runs", "seconds", "pool_queue"]
        ].sum()
        steps = steps.reset_index().join(of_flows, on=names)
        seconds, whole = steps.pop("seconds"), steps.pop("sum")
        queue, size = steps.pop("pool_queue"), steps.pop("size")
        steps["mean"], steps["pool_queue"] = seconds / size, queue / size
        steps["share"] = (seconds / whole).where(whole > 0, 0.0)
        most = seconds.groupby([steps[name] for name in names], sort=False).transform(
            "max"
        )
        worst = (seconds == most) & (most > 0)
        again = steps.assign(worst=worst)[[*names, "worst"]].duplicated()
        return steps.assign(bottleneck=worst & ~again)

    def utilisation(self, by: str | Sequence[str] | None = None) -> pd.DataFrame:
        """Return how busy workers and pools are, one row per group and ``server``.

        Groups are made by the columns *by*, the parameters if not given.  ``busy``,
        ``queue`` and ``places`` are as in ``loads``, ``share`` is what of the places is
        busy (NaN without a bound); all are means over replications (float64).  Raises
        `UsageError` for an unknown column.
        """
        names = [*self._columns(by, "server"), "server"]
        found = self.loads.assign(share=self.loads["busy"] / self.loads["places"])
        means = found.groupby(names, sort=False)[[*LOAD_DTYPES, "share"]].mean()
        return means.reset_index()

    def _columns(self, by: str | Sequence[str] | None, *apart: str) -> list[str]:
        """Return the columns *by* of runs, or the parameters, that are not *apart*."""
        names = [by] if isinstance(by, str) else list(self.over if by is None else by)
        for name in names:
            column(self.runs, name)
        return [name for name in names if name not in apart]

    def _there(self, labels: Mapping[str, Any]) -> str:
        """Return what points have instead of those of *labels* that none has."""
        for name, wanted in labels.items():
            if not any(_is(each, wanted) for each in self.points[name]):
                near = suggest(str(wanted), map(str, self.points[name]))
                return f"{name} is never {wanted}{near}"
        return "it has each of them, but at different points"

    def check_parameter(self, name: str) -> None:
        """Raise `UsageError` if *name* is not that of a parameter."""
        if name not in self.over:
            raise UsageError(f"no parameter {name!r}{suggest(name, self.over)}")

    def label(self, point: int, names: Sequence[str]) -> str:
        """Return what the point of that number is called by the parameters *names*."""
        row = self.points.iloc[point]
        if len(names) == 1:
            return str(label(row[names[0]]))
        return ", ".join(f"{name} {label(row[name])}" for name in names)

    def find(self, wanted: Any, among: Sequence[int], names: Sequence[str]) -> int | None:
        """Return the one of the points *among* that *wanted* names, None for none.

        It is a mapping of parameters to labels, or the label of the only one of *names*.
        Raises `UsageError` if it names a parameter that there is not, or several points.
        """
        if not isinstance(wanted, Mapping):
            if len(names) != 1:
                raise UsageError(
                    f"{wanted!r} names no point; give a mapping of {', '.join(names)}"
                )
            wanted = {names[0]: wanted}
        for name in wanted:
            self.check_parameter(name)
        points = self.points.to_dict("records")
        found = [
            number
            for number in among
            if all(_is(points[number][name], each) for name, each in wanted.items())
        ]
        if len(found) > 1:
            raise UsageError(f"{dict(wanted)!r} names {len(found)} points; give more")
        return found[0] if found else None

    def __repr__(self) -> str:
        then = "study.summary(), study.compare(by=...), wfsim.charts.ecdf(study)"
        return glance(str(self), self._compact(), then)

    def _compact(self) -> list[str]:
        """Return a line per point: estimates with their intervals, at 95 %."""
        try:
            rows = [
                [compact(each, scale) for each in intervals_of(self, name, 0.95)]
                for name, scale in (("mean", 1), ("p95", 1), ("success", 100))
            ]
        except UsageError:  # without scipy there are no intervals
            return []
        points = [
            ", ".join(f"{name} {value}" for name, value in point.items())
            for point in self.points.to_dict("records")
        ] or ["all"]
        columns = [
            ["", *points],
            *([title, *row] for title, row in zip(_TITLES, rows, strict=True)),
        ]
        widths = [max(map(len, column)) for column in columns]
        return [
            "  " + "  ".join(f"{c:{w}}" for c, w in zip(row, widths, strict=True))
            for row in zip(*columns, strict=True)
        ]

    def __str__(self) -> str:
        said = f" over {', '.join(self.over)}" if self.over else ""
        cut = ", interrupted" if self.interrupted else ""
        return (
            f"<Study{said}: {count(len(self.points), 'point')}, "
            f"{count(len(self.replications), 'replication')}, "
            f"{count(len(self.runs), 'run')}{cut} [{self.digest}]>"
        )

    def _repr_html_(self) -> str:
        said = f"<p>{html.escape(str(self))}</p>"
        try:
            return said + self.summary().to_html(index=False)
        except UsageError:  # without scipy there are no intervals
            return said


def _is(label: Any, wanted: Any) -> bool:
    """Whether *label* of a point is *wanted*, or is what a column of text made of it."""
    return bool(label == wanted) or (isinstance(label, str) and label == str(wanted))


def _commonest(errors: pd.Series[str]) -> str:
    """Return how many of *errors* are what the commonest of them is."""
    number = errors.value_counts()
    which = f"{number.iloc[0]:,} of them end" if len(number) > 1 else "each ends"
    return f"{which} with: {number.index[0]}"


_TITLES = ("mean [s]", "p95 [s]", "success [%]")

COUNTS = ("runs", "unfinished")
"""Of what a summary tells how many there were."""


def own_measures(study: Study) -> list[str]:
    """Return the names of the columns that ``measure=`` has added."""
    usual = {*study.over, *TALLY_DTYPES, "replication"}
    return [str(name) for name in study.replications.columns if name not in usual]
