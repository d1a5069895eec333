"""What if: one scenario at many points, each replicated, in one study."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, overload

from wfsim.errors import UsageError
from wfsim.files.document import read_document
from wfsim.report.grouping import limit_of, share_of
from wfsim.sim.faults import Fault
from wfsim.sim.scenario import Scenario
from wfsim.sim.scenario_loader import is_scenario, load_flow_as_scenario
from wfsim.sim.terminal import in_sight
from wfsim.study.cache import FORMAT, Cache, Fingerprints, missing
from wfsim.study.design import Design
from wfsim.study.digest import Digest, digest
from wfsim.study.estimates import is_taken, sampled
from wfsim.study.execution import (
    Job,
    Span,
    check_jobs,
    scenario_of,
    simulated,
)
from wfsim.study.grid import Grid, Over, Point, grid_of
from wfsim.study.precision import Precision
from wfsim.study.replication import TALLY_DTYPES, Measure, Rows, replicate, seed_of
from wfsim.study.study import More, Study
from wfsim.text import suggest

Make: TypeAlias = Callable[..., Scenario]

MOST = 1_000_000
"""Replications of a point; a study keeps a row for each in memory."""

ROUND = 20
"""With a precision to reach, so many replications are made before it is looked at."""


@overload
def sweep(
    make: Make | str | Path,
    over: Over = None,
    *,
    replications: int = 100,
    seed: int = 0,
    faults: Iterable[Fault] = (),
    flow: str | None = None,
    measure: Measure | Mapping[str, Measure] | None = None,
    precision: Precision | str | None = None,
    jobs: int | None = 1,
    cache: str | Path | None = None,
    key: str | None = None,
    keep: Literal["runs"] = "runs",
    progress: bool | None = None,
    independent: bool = False,
) -> Study: ...
@overload
def sweep(
    make: Make | str | Path,
    over: Over = None,
    *,
    replications: int = 100,
    seed: int = 0,
    faults: Iterable[Fault] = (),
    flow: str | None = None,
    measure: Measure | Mapping[str, Measure] | None = None,
    precision: Precision | str | None = None,
    jobs: int | None = 1,
    cache: str | Path | None = None,
    key: str | None = None,
    keep: Literal["summary"],
    progress: bool | None = None,
    independent: bool = False,
) -> Digest: ...
def sweep(
    make: Make | str | Path,
    over: Over = None,
    *,
    replications: int = 100,
    seed: int = 0,
    faults: Iterable[Fault] = (),
    flow: str | None = None,
    measure: Measure | Mapping[str, Measure] | None = None,
    precision: Precision | str | None = None,
    jobs: int | None = 1,
    cache: str | Path | None = None,
    key: str | None = None,
    keep: Literal["runs", "summary"] = "runs",
    progress: bool | None = None,
    independent: bool = False,
) -> Study | Digest:
    """Simulate what *make* returns at each point of *over*, *replications* times.

    *make* is called with the values of a point by name; or it is a scenario file, whose
    parameters are dotted paths; ``flow``, the flow file itself, is called ``flow_file``
    in the study, and all have the same draws.  *over* is a mapping of names to lists of
    values (each combination is a point), a list of points, or a `design`.  Replication r
    has the same seed at every point, so that points differ by what was varied and by
    nothing else (common random numbers); *independent* gives each point seeds of its own.

    *faults* happen in each replication; with a *flow* only its runs count.  *measure* is
    a function of a log to a number, or to numbers by name, or such functions by name:
    columns of ``replications``.  A *precision* may end it before so many *replications*.

    *jobs* processes share the work (-1: one for each core; None: what
    ``joblib.parallel_config`` says), or the backend that this names, such as a cluster's;
    the study is the same, byte for byte.  *cache* is a folder that keeps each
    replication; *key* stands for code that cannot be compared.  With ``summary`` to
    *keep* only that is, and memory does not grow with the number of replications.
    *progress* is that of `Simulation.run`.  Ctrl-C returns what is complete, marked
    ``interrupted``; with a cache the same call goes on from there.

    Raises `UsageError` or `DefinitionError` for wrong arguments, before anything runs,
    `UsageError` for a measure that is no number, `WfsimError` where workers go on dying.
    """
    plan = plan_of_sweep(
        make,
        over,
        replications=replications,
        seed=seed,
        faults=faults,
        flow=flow,
        measure=measure,
        precision=precision,
        jobs=jobs,
        independent=independent,
    )
    kept = plan.cache(cache, key)
    if _is_summary(keep, plan, kept):
        return digest(plan, progress)
    work = _Work(plan, kept, progress)
    work.run()
    design = over if isinstance(over, Design) else None
    return work.study(design, partial(_more, plan, kept, progress))


def _is_summary(keep: Any, plan: SweepPlan, cache: Cache | None) -> bool:
    """Whether to *keep* the summary alone.

    Raises `UsageError` if that is nothing to keep, or not with the rest.
    """
    if keep not in ("runs", "summary"):
        raise UsageError(f"keep is {keep!r}; give 'runs' or 'summary'")
    if keep == "summary" and (plan.precision is not None or cache is not None):
        what = "cache" if plan.precision is None else "precision"
        raise UsageError(f"keep='summary' keeps nothing for a {what}; leave it out")
    return bool(keep == "summary")


def _more(
    plan: SweepPlan,
    cache: Cache | None,
    progress: bool | None,
    spans: Mapping[int, tuple[int, int]],
) -> Study:
    """Return the study of the replications alone that are in *spans*, by point."""
    work = _Work(plan._replace(precision=None), cache, progress, spans)
    work.run()
    return work.study(None, None)


class _Work:
    """A plan under way: what is done of each point, and how far each is to go.

    *spans* are the replications, from the first to before the stop, of the points that
    are wanted; without them those of the plan.
    """

    def __init__(
        self,
        plan: SweepPlan,
        cache: Cache | None,
        progress: bool | None,
        spans: Mapping[int, tuple[int, int]] | None = None,
    ) -> None:
        self.plan = plan
        self.cache = cache
        whole = dict.fromkeys(plan.numbers, (0, plan.replications))
        wanted = whole if spans is None else spans
        self.done: dict[int, list[Rows]] = {
            point: cache.load(point) if cache else [] for point in wanted
        }
        self.settled: dict[int, bool] = {}
        self.interrupted = False
        self._firsts = {point: first for point, (first, _) in wanted.items()}
        self._stops = {point: stop for point, (_, stop) in wanted.items()}
        self._records = 0
        self._names: set[str] | None = None
        for rows in (each for listed in self.done.values() for each in listed):
            self._check(rows)
        self._bar: Any = None
        if in_sight(progress):
            from tqdm.auto import tqdm

            total = None
            if not plan.precision:
                total = sum(stop - first for first, stop in wanted.values())
            self._bar = tqdm(total=total, unit=" replications", delay=2.0, leave=False)

    def run(self) -> None:
        """Carry out all of it, or what is done before Ctrl-C if that is anything."""
        try:
            self._carry_out()
        except KeyboardInterrupt:
            if not any(self.done.values()):
                raise
            self.interrupted = True
        finally:
            if self._bar is not None:
                self._bar.close()

    def study(self, design: Design | None, more: More | None) -> Study:
        """Return the study of what is done of each point, as far as it was to go."""
        done = {
            point: [
                rows.part(self._firsts[point], stop)
                for rows in self.done[point]
                if rows.first < stop and rows.stop > self._firsts[point]
            ]
            for point, stop in self._stops.items()
        }
        return Study.of(
            self.plan.grid,
            done,
            design=design,
            seed=self.plan.seed,
            interrupted=self.interrupted,
            noted=self.plan.notices,
            settled=self.settled if self.plan.precision else None,
            more=more,
        )

    def _carry_out(self) -> None:
        """Simulate what is missing; with a precision to reach, in rounds."""
        rule, most = self.plan.precision, self.plan.replications
        if rule is None:
            self._reach()
            return
        open_points = set(self.plan.numbers)
        self._stops = dict.fromkeys(open_points, min(ROUND, most))
        while open_points:
            self._reach()
            for point, enough in self._enough(rule, sorted(open_points)).items():
                stop = self._stops[point]
                if enough or stop == most:
                    self._stops[point] = enough or most
                    self.settled[point] = enough > 0
                    open_points.remove(point)
                else:
                    # The rounds are the same for any number of jobs.
                    self._stops[point] = min(most, math.ceil(stop * 1.5))

    def _enough(self, rule: Precision, points: Sequence[int]) -> dict[int, int]:
        """Return how many replications are enough for each of *points*, 0 if unknown."""
        if self.plan.between is None:
            return {point: self._enough_at(rule, point) for point in points}
        a, b = (sampled(self.done[each], rule.measure) for each in self.plan.between)
        at = partial(rule.difference, a, b)
        return dict.fromkeys(points, rule.enough(at, self._stops[points[0]]))

    def _enough_at(self, rule: Precision, point: int) -> int:
        sample = sampled(self.done[point], rule.measure)
        return rule.enough(partial(rule.of, sample), self._stops[point])

    def _reach(self) -> None:
        """Simulate what is missing before the stop of each point."""
        wanted = []
        for point, stop in self._stops.items():
            gaps = missing(self.done[point], self._firsts[point], stop)
            wanted += [self.plan.span(point, *gap) for gap in gaps]
        if self._bar is not None and not self.plan.precision:
            total = sum(self._stops.values()) - sum(self._firsts.values())
            self._bar.update(total - sum(len(span.seeds) for span in wanted))
        for rows in self._simulated(wanted):
            self._check(rows)
            self.done[rows.point].append(rows)
            if self.cache is not None:
                self.cache.store(rows)
            if self._bar is not None:
                self._bar.update(rows.size)

    def _check(self, rows: Rows) -> None:
        """Raise `UsageError` if measures of *rows* are not those of the first ones."""
        names = {*rows.tallies} - {*TALLY_DTYPES}
        if self._names is None:
            self._names = names
            parameters = {*self.plan.grid.names}
            for name in sorted(names):
                ends = {f"{name}_low", f"{name}_high"}
                if is_taken(name) or parameters & {name, *ends} or names & ends:
                    raise UsageError(
                        f"measure: {name!r}, or an end of its interval, is called like "
                        "a column or a parameter; take another name"
                    )
        for name in sorted(names ^ self._names):
            raise UsageError(
                f"measure: {name!r} is not there in each replication; give NaN instead"
            )

    def _simulated(self, wanted: Sequence[Span]) -> Iterator[Rows]:
        """Yield what comes of the spans *wanted*, the very first one by itself."""
        if not wanted:
            return
        plan, todo = self.plan, list(wanted)
        if not self._records:
            point, first, seeds = todo.pop(0)
            job, scenario = plan.job, plan.scenarios[point]
            # How long its log is says how many make a task.
            rows, self._records = replicate(
                *(scenario, point, first, seeds[:1], job.faults, job.measures, job.flow)
            )
            yield rows
            if len(seeds) > 1:
                todo.insert(0, Span(point, first + 1, seeds[1:]))
        yield from simulated(plan.job, todo, self._records, plan.jobs, plan.scenarios)


class SweepPlan(NamedTuple):
    """The arguments of `sweep`, looked at."""

    job: Job
    grid: Grid
    scenarios: Mapping[int, Scenario]
    seed: int
    jobs: int | None
    replications: int
    independent: bool
    precision: Precision | None
    between: tuple[int, int] | None

    @property
    def notices(self) -> list[str]:
        """Sentences about what a scenario says and nothing reads."""
        each = (scenario.notices for scenario in self.scenarios.values())
        return [*dict.fromkeys(sentence for notices in each for sentence in notices)]

    @property
    def numbers(self) -> range:
        """The numbers of the points."""
        return range(len(self.grid.points))

    def span(self, point: int, first: int, stop: int) -> Span:
        """Return the replications from *first* to before *stop* of *point*."""
        name = str(self.grid.points[point]) if self.independent else ""
        seeds = tuple(seed_of(self.seed, each, name) for each in range(first, stop))
        return Span(point, first, seeds)

    def cache(self, folder: str | Path | None, key: str | None) -> Cache | None:
        """Return the cache in *folder*, each point's cell told by what goes into it.

        With a *key* that and the labels of the point stand for the scenario and its
        code.  Raises `UsageError` for what cannot be told.
        """
        if folder is not None and not isinstance(folder, (str, Path)):
            raise UsageError(f"cache is {folder!r}; give the path of a folder")
        if folder is None:
            if key is not None:
                raise UsageError("key names what is in a cache; give cache='folder' too")
            return None
        fingerprints = Fingerprints()
        cells = []
        for number in self.numbers:
            point = self.grid.points[number]
            what: Any = (self.scenarios[number], self.job.measures)
            if key is not None:
                what = (key, self.grid.names, point.labels, tuple(self.job.measures))
            own = str(point) if self.independent else ""
            cells.append(
                fingerprints.of(
                    FORMAT, what, self.seed, own, self.job.faults, self.job.flow
                )
            )
        return Cache(folder, cells)


def plan_of_sweep(
    make: Make | str | Path,
    over: Over,
    *,
    replications: int,
    seed: int,
    faults: Iterable[Fault],
    flow: str | None,
    measure: Any,
    precision: Precision | str | None,
    jobs: int | None,
    independent: bool,
) -> SweepPlan:
    """Return the plan of a sweep with those arguments; raise for wrong ones."""
    _check_number("replications", replications, 1)
    if replications > MOST:
        raise UsageError(
            f"replications is {replications:,}; give at most {MOST:,}; a precision "
            "such as 'p95 within 5 %' says how many that takes"
        )
    _check_number("seed", seed, None)
    check_jobs(jobs)
    maker = _maker(make)
    if isinstance(maker, ScenarioSource):
        over = _with_flow_files(over)
    grid = grid_of(over, is_taken)
    _check_names(maker, grid.names)
    scenarios = {
        number: _scenario_at(maker, point) for number, point in enumerate(grid.points)
    }
    values = tuple(point.values for point in grid.points)
    _check_flow(flow, scenarios.values())
    job = Job(maker, values, _fault_list(faults), _measures(measure), flow)
    rule, between = _precision(precision, grid, job.measures)
    return SweepPlan(
        job=job,
        grid=grid,
        scenarios=scenarios,
        seed=seed,
        jobs=jobs,
        replications=replications,
        independent=independent,
        precision=rule,
        between=between,
    )


def _precision(
    precision: Any, grid: Grid, measures: Mapping[str, Measure]
) -> tuple[Precision | None, tuple[int, int] | None]:
    if precision is None:
        return None, None
    rule = Precision.parse(precision) if isinstance(precision, str) else precision
    if not isinstance(rule, Precision):
        raise UsageError(
            f"precision is {precision!r}; give wfsim.types.Precision('p95', "
            "relative=0.05) or 'p95 within 5 %'"
        )
    known = [*TALLY_DTYPES, *measures]
    # A measure that is not called as its function may come from one of several numbers.
    is_of_runs = share_of(rule.measure) is not None or limit_of(rule.measure) is not None
    if not is_of_runs and rule.measure not in known and not measures:
        raise UsageError(
            f"precision: no measure {rule.measure!r}{suggest(rule.measure, known)}"
        )
    if rule.between is None:
        return rule, None
    labels = {
        number: dict(zip(grid.names, point.labels, strict=True))
        for number, point in enumerate(grid.points)
    }
    a, b = (rule.names(each, labels) for each in rule.between)
    if a == b:
        raise UsageError(f"precision: {rule.between!r} are one point; give two")
    return rule, (a, b)


def _check_number(name: str, value: Any, least: int | None) -> None:
    if type(value) is not int or (least is not None and value < least):
        what = "a whole number" if least is None else f"a whole number from {least} on"
        raise UsageError(f"{name} is {value!r}; give {what}")


def _maker(make: Any) -> Make:
    if isinstance(make, (str, Path)):
        return ScenarioSource(str(make))
    if isinstance(make, Scenario):
        raise UsageError(
            "make is a scenario; give what makes one, such as polardb.scenario or "
            "lambda: scenario"
        )
    if not callable(make):
        raise UsageError(f"make is {make!r}; give a function that returns a Scenario")
    maker: Make = make
    return maker


FLOW_FILE = "flow_file"
"""What a study calls the flow file where that is varied; ``flow`` are those of runs."""


def _with_flow_files(over: Over) -> Over:
    """Return *over* with what it calls ``flow`` by the name that frames have for it."""

    def renamed(row: Mapping[str, Any]) -> Mapping[str, Any]:
        return {FLOW_FILE if name == "flow" else name: row[name] for name in row}

    if isinstance(over, Mapping):
        return renamed(over)
    if over is None or isinstance(over, (Design, str, bytes)):
        return over
    return [renamed(row) if isinstance(row, Mapping) else row for row in over]


def _check_names(make: Make, names: Sequence[str]) -> None:
    """Raise `UsageError` for a name of a parameter that *make* has not."""
    try:
        parameters = inspect.signature(make).parameters
    except (TypeError, ValueError):  # of something built in
        return
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return
    for name in names:
        if name not in parameters:
            what = getattr(make, "__qualname__", repr(make))
            near = suggest(name, list(parameters))
            raise UsageError(f"over: {what} has no parameter {name!r}{near}")


def _scenario_at(make: Make, point: Point) -> Scenario:
    try:
        scenario = scenario_of(make, point.values)
        if scenario.is_service and not (scenario.arrivals or scenario.triggers):
            raise UsageError(
                f"nobody asks the service {scenario.title!r} for a flow; give it some, "
                "as in scenario.but(arrivals=[Arrivals(FlowRequest('...'), Times(...))]) "
                "with the names of wfsim.demand, or take a scenario file with arrivals"
            )
        return scenario
    except Exception as error:
        error.add_note(f"at the point ({point})")
        raise


def _check_flow(flow: Any, scenarios: Iterable[Scenario]) -> None:
    """Raise `UsageError` for a flow that no point has."""
    known = {name for scenario in scenarios for name in scenario.flows}
    if flow is not None and flow not in known:
        raise UsageError(f"no flow {flow!r}{suggest(str(flow), known)}")


def _fault_list(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    is_one = isinstance(faults, Fault) or not isinstance(faults, Iterable)
    listed: tuple[Any, ...] = (faults,) if is_one else tuple(faults)
    for fault in listed:
        if not isinstance(fault, Fault):
            raise UsageError(
                f"faults: {fault!r} is not a fault; give some, such as "
                "[wfsim.CrashAt(t=40)]"
            )
    return listed


def _measures(measure: Any) -> dict[str, Measure]:
    named = measure if isinstance(measure, Mapping) else {}
    if callable(measure):
        name = getattr(measure, "__name__", "measure")
        named = {"measure" if name == "<lambda>" else name: measure}
    elif measure is not None and not isinstance(measure, Mapping):
        raise UsageError(f"measure is {measure!r}; give a function of a log")
    for name, each in named.items():
        if not callable(each):
            raise UsageError(f"measure: {name!r} is {each!r}; give a function of a log")
    return dict(named)


class ScenarioSource:
    """Makes scenarios of a file: parameters are dotted paths into a scenario file.

    A flow file counts as a scenario file that says no more than to run that flow.  Where
    the flow file itself is a parameter, `FLOW_FILE`, the draws of all have one key, the
    name of the file's own flow: versions of a flow are compared in pairs.
    Raises `DefinitionError` for a file that cannot be read.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        document = read_document(path)
        self._load = Scenario.load if is_scenario(document) else load_flow_as_scenario
        self._has_draws = isinstance(document.data, dict) and "draws" in document.data

    def __repr__(self) -> str:
        return f"ScenarioSource({self.path!r})"

    def __call__(self, **values: Any) -> Scenario:
        """Return the scenario of the file with *values* in place of what it says."""
        if FLOW_FILE in values:
            values["flow"] = values.pop(FLOW_FILE)
            if not self._has_draws:
                values.setdefault("draws", self._key)
        return self._load(self.path, values)

    @cached_property
    def _key(self) -> str:
        """What draws are keyed by: the name of the flow that the file itself runs."""
        (name, *_) = self._load(self.path).flows
        return name
