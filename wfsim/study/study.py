"""A study: what came of many replications at some points, as tidy frames."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from wfsim.errors import UsageError
from wfsim.model.glance import glance
from wfsim.report.frames import frame
from wfsim.report.grouping import column, label
from wfsim.report.text import count, frame_digest
from wfsim.study import notices
from wfsim.study.estimates import compact, intervals_of
from wfsim.study.grid import FrameByPoint, Grid, frame_by_point, replications_by_point
from wfsim.study.replication import (
    LOAD_COLUMNS,
    LOAD_DTYPES,
    RUN_COLUMNS,
    RUN_DTYPES,
    STEP_COLUMNS,
    STEP_DTYPES,
    Rows,
)
from wfsim.study.summary import GROUPS, breakdown, critical, named, utilisation
from wfsim.text import suggest

if TYPE_CHECKING:
    import pandas as pd

    from wfsim.study.decision import Cost, Decision
    from wfsim.study.design import Design
    from wfsim.study.objective import Smallest

More: TypeAlias = Callable[[Mapping[int, tuple[int, int]]], "Study"]
"""Returns the study of further replications: the first and the stop of each point."""


class Study:
    """What came of many replications at some points; made by `sweep`.

    ``over`` are the names of the parameters that were varied; they are the first columns
    of each frame.  ``points`` has a row for each point.

    ``runs`` has a row per run that was called for, whether a worker has begun it or not:
    ``replication`` (int64), ``resource``, ``run``, ``flow``, ``status``, ``error``,
    ``start``, ``end``, ``duration``, ``retries`` and ``restarts`` as in `tables.runs`;
    ``class``, the name of the arrivals that brought the resource, without its number (the
    kind of one that was there from the beginning; the flow, of a service); ``called``,
    when it was called for;
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

    ``steps`` has a row per point, replication, ``flow``, ``class`` and ``step``: how many
    ``runs`` began it (int64), the ``seconds`` that they spent in it, and of these in a
    ``pool_queue`` (float64).  ``loads`` has
    one per point, replication and ``server``, that is ``workers`` or a pool: how many
    were ``busy`` and how many waited in the ``queue``, on average from the warm-up to the
    end, how many ``places`` there are, NaN without a bound, and how many ``seconds`` that
    window has (float64).  They say what
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
        noted: Sequence[str] = (),
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
        self._notices = tuple(noted)
        # What replicates further, if anything does, and what it calls each of the points.
        self.more = more
        self.numbers = tuple(range(len(points)) if numbers is None else numbers)
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
        return (*self._notices, *notices.of_study(self))

    def inert(self) -> list[str]:
        """Return the parameters that make no difference to any replication."""
        return notices.inert(self)

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

    def only(self, of: Mapping[str, str] | None = None, **more: str) -> Study:
        """Return the study of those runs alone that are of one ``flow`` or ``class``.

        *of* and *more* are such names and what they are, as in ``only(flow="Backup")``
        and ``only({"class": "nightly"})``.  ``loads`` stay those of all runs together,
        since they had the same workers and pools, and measures of one's own are left out.
        Raises `UsageError` for what no run is of.
        """
        from wfsim.study.summary import only

        return only(self, of, more)

    def _groups(self, by: str | Sequence[str]) -> tuple[str, ...]:
        """Return *by* as names of columns; raise `UsageError` unless of `GROUPS`."""
        names = named(by)
        for name in names:
            if name not in GROUPS:
                near = suggest(str(name), GROUPS)
                raise UsageError(f"by: no {name!r}{near}; points are told apart anyway")
        return names

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
            more=self.more,
            numbers=[self.numbers[number] for number in kept],
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
        if self.more is None:
            raise UsageError(
                "this study cannot replicate further; only what sweep returns can, in "
                "the process in which it was called"
            )
        counts = self.counts()
        spans = {
            self.numbers[point]: (counts[point], stop)
            for point, stop in stops.items()
            if stop > counts[point]
        }
        if not spans:
            return self
        more = self.more(spans)._at(self.numbers)
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
            noted=self._notices,
            more=self.more,
            numbers=self.numbers,
        )

    def __getstate__(self) -> dict[str, Any]:
        # What replicates further is code, which need not be possible to pickle.
        return {**vars(self), "more": None}

    def summary(
        self, confidence: float = 0.95, *, by: str | Sequence[str] = ()
    ) -> pd.DataFrame:
        """Return one row per point: what was measured there, with its intervals.

        After the parameters come ``replications``, ``runs`` and ``unfinished``, runs
        still under way at the end, which count as not successful (int64); then ``mean``,
        ``p50``, ``p95``, ``total``, ``total_p95``, ``success`` and measures of one's own
        (float64), each followed by the ends of its interval of that *confidence*, as in
        ``mean_low`` and ``mean_high``.  ``mean`` and ``total`` are those of the means of
        replications; quantiles are those of all runs, and infinite where they lie among
        those that were not done.  *by* ``flow``, ``class`` or both there is a row for
        each of these at each point, and no measure of one's own, which is of a whole log.
        `wfsim.study.estimates` says how intervals are made.  Raises `UsageError`, also
        if scipy (the extra ``study``) is not installed.
        """
        from wfsim.study.summary import summary

        return summary(self, self._groups(by), confidence)

    def compare(
        self,
        measure: str = "total",
        *,
        baseline: Any = None,
        by: str | Sequence[str] = (),
        confidence: float = 0.95,
    ) -> pd.DataFrame:
        """Return one row per pair of points: what *measure* is at *b* less that at *a*.

        *baseline*, a mapping of parameters to labels or the label of the one that is
        compared, is *a* of each pair; without it each two points are a pair.  With *by* a
        parameter only points are that differ in it alone; the others are columns then.
        *by* ``flow`` or ``class`` there is a row for each of these, a column as well.

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

        *measure* is a column of ``replications``, a quantile of all runs: of their
        durations such as ``p99``, of ``total`` such as ``total_p99``; of the completed
        ones alone, ``completed_p99`` and ``completed_total_p99``; or the share of all
        that are done in time, ``within_7200`` or ``within_2h``.
        Raises `UsageError`.
        """
        from wfsim.study.comparison import compare

        names = named(by)
        groups = [name for name in names if name in GROUPS]
        parameters = [name for name in names if name not in groups]
        return compare(self, baseline, measure, parameters, groups, confidence)

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
        share of 4,999 bootstrap samples of replications, the same for all points and
        stretched as Student's t is, in which it is; points that are equally good share
        it, and of one replication it is NaN.  Less is better but for
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
        return breakdown(self, self._columns(by))

    def critical(self, by: str | Sequence[str] | None = None) -> pd.DataFrame:
        """Return which steps the time goes to, one row per group, flow and step.

        Groups are made by the columns *by*, the parameters if not given.  ``flow``,
        ``step``, ``runs`` that began it (int64), ``mean``, the seconds that a run of the
        flow spends in it, ``pool_queue``, those of them in the queue of a pool, ``share``
        of the time of all these runs (float64), and whether it is the flow's
        ``bottleneck``, with the largest share (bool); as `tables.critical` has it.
        Raises `UsageError` for an unknown column.
        """
        return critical(self, [*self._columns(by, "flow", "step"), "flow"])

    def utilisation(self, by: str | Sequence[str] | None = None) -> pd.DataFrame:
        """Return how busy workers and pools are, one row per group and ``server``.

        Groups are made by the columns *by*, the parameters if not given.  ``busy``,
        ``queue`` and ``places`` are as in ``loads``, ``share`` is what of the places is
        busy (NaN without a bound); all are means over replications (float64).  Raises
        `UsageError` for an unknown column.
        """
        return utilisation(self, [*self._columns(by, "server"), "server"])

    def costs(self, cost: Cost, *, confidence: float = 0.95) -> pd.DataFrame:
        """Return what each point costs: one row per point, means over replications.

        How many ``worker_seconds`` and ``place_seconds`` were there between the warm-up
        and the end, and how many runs were ``undone``; what the ``worker``, the ``place``
        and the ``failure`` of these come to by *cost*; and their sum, ``cost``, with the
        ends of its interval, ``low`` and ``high`` (Student's; all float64).  Raises
        `UsageError`.
        """
        from wfsim.study.decision import costs

        return costs(self, cost, confidence)

    def decision(
        self,
        objective: str | None = None,
        *,
        cost: Cost | None = None,
        question: str | None = None,
        confidence: float = 0.95,
    ) -> Decision:
        """Return which point to take, how sure that is, and what it costs.

        With an *objective* such as ``total_p95 <= 7200`` it is the cheapest of the points
        that meet it with the *confidence*, for all points at once; without prices the one
        with the fewest seconds of workers.  Without an objective it is the cheapest of
        all, or the best by ``total``.  *question* is asked in place of this one.  Raises
        `UsageError`, and `DefinitionError` for an objective that is none.
        """
        from wfsim.study.decision import decide

        return decide(self, objective, cost, question, confidence)

    def welch(self, measure: str = "total", *, window: int | None = None) -> pd.DataFrame:
        """Return Welch's plot, for `charts.welch`: one row per point and run.

        ``number`` (int64) of the run, from 1, in the order in which runs were called for,
        as many as each replication has; ``mean`` of its *measure* over replications, and
        ``moving``, the average of the *window* runs on both sides (a tenth of all, if not
        given; float64).  *measure* is a time of ``runs``, such as ``queued``.  Raises
        `UsageError`.
        """
        from wfsim.study.steady import welch

        return welch(self, measure, window)

    def warm_up(self, measure: str = "total") -> pd.DataFrame:
        """Return how long warming up takes, by MSER-5: one row per point.

        ``runs`` that were looked at and how many to have ``deleted`` (int64);
        ``seconds``, when the first of the others was called for, on average over
        replications, to be the ``warm_up`` of a scenario; ``mean`` of the *measure* of
        the others (float64); and ``is_enough``, whether runs are deleted from the first
        half alone: if not, the replications are too short (bool).  The study is of a
        scenario without a warm-up.  `wfsim.study.steady` has the sources.  Raises
        `UsageError`.
        """
        from wfsim.study.steady import warm_up

        return warm_up(self, measure)

    def batch_means(
        self, measure: str = "total", *, batches: int = 20, confidence: float = 0.95
    ) -> pd.DataFrame:
        """Return the mean of each replication, a long one, with its interval.

        After the parameters come ``replication``, ``runs`` and how many of them, the
        ``size``, make each of the *batches* (int64); the mean of *measure*, a time of
        ``runs``; ``low`` and ``high``, the ends of its interval; and the ``correlation``
        of a batch with the next, which should be no more than 2 / sqrt(*batches*)
        (float64).  Raises `UsageError`.
        """
        from wfsim.study.steady import batched

        return batched(self, measure, batches, confidence)

    def over_time(
        self,
        measure: str = "in_system",
        *,
        every: float | None = None,
        confidence: float = 0.95,
    ) -> pd.DataFrame:
        """Return a measure over virtual time, for `charts.over_time`.

        There is a row per point and part of the time, *every* so many seconds (a
        fiftieth, if not given): its ``start`` and ``end``, the ``mean`` over replications
        and the ends of its interval, ``low`` and ``high`` (Student's; float64), and
        how many ``replications`` know it (int64).  *measure* is ``in_system``, how many
        runs are called for and not over; ``arrivals`` or ``departures`` per second; or a
        time of the runs that were called for meanwhile, such as ``total``.  Raises
        `UsageError`.
        """
        from wfsim.study.steady import over_time

        return over_time(self, measure, every, confidence)

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
                known = ", ".join(dict.fromkeys(map(str, self.points[name])))
                return f"{name} is never {wanted}; known: {known}"
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
                for name, scale in (("total", 1), ("total_p95", 1), ("success", 100))
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


_TITLES = ("total [s]", "total_p95 [s]", "success [%]")
