"""The arguments of a sweep, looked at before anything runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from wfsim.errors import UsageError
from wfsim.report.groups import share_of
from wfsim.sim.faults import Fault
from wfsim.sim.scenario import Scenario
from wfsim.study.cache import FORMAT, Cache
from wfsim.study.execution import Job, Span, check_jobs, made
from wfsim.study.fingerprint import Fingerprints
from wfsim.study.grid import Grid, Over, Point, grid_of
from wfsim.study.precision import Precision
from wfsim.study.replication import TALLY_DTYPES, Measure, seed_of
from wfsim.study.sample import is_taken
from wfsim.study.scenario_source import ScenarioSource
from wfsim.text import suggest

Make: TypeAlias = Callable[..., Scenario]

MOST = 1_000_000
"""Replications of a point; a study keeps a row for each in memory."""


class Plan(NamedTuple):
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
        if folder is None:
            if key is not None:
                raise UsageError("key names what is in a cache; give cache='folder' too")
            return None
        told = Fingerprints()
        cells = []
        for number in self.numbers:
            point = self.grid.points[number]
            what: Any = (self.scenarios[number], self.job.measures)
            if key is not None:
                what = (key, self.grid.names, point.labels, tuple(self.job.measures))
            own = str(point) if self.independent else ""
            cells.append(
                told.of(FORMAT, what, self.seed, own, self.job.faults, self.job.flow)
            )
        return Cache(folder, cells)


def plan_of(
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
) -> Plan:
    """Return the plan of a sweep with those arguments; raise for wrong ones."""
    _check_number("replications", replications, 1)
    if replications > MOST:
        raise UsageError(
            f"replications is {replications:,}; give at most {MOST:,}; a precision "
            "such as 'p95 within 5 %' says how many that takes"
        )
    _check_number("seed", seed, None)
    check_jobs(jobs)
    grid = grid_of(over, is_taken)
    maker = _maker(make)
    _check_names(maker, grid.names)
    scenarios = {number: _made(maker, point) for number, point in enumerate(grid.points)}
    values = tuple(point.values for point in grid.points)
    _check_flow(flow, scenarios.values())
    job = Job(maker, values, _checked(faults), _measures(measure), flow)
    rule, between = _precision(precision, grid, job.measures)
    return Plan(
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
            f"precision is {precision!r}; give 'p95 within 5 %' "
            "or wfsim.types.Precision('p95', relative=0.05)"
        )
    known = [*TALLY_DTYPES, *measures]
    # A measure that is not called as its function may come from one of several numbers.
    if share_of(rule.measure) is None and rule.measure not in known and not measures:
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


def _made(make: Make, point: Point) -> Scenario:
    try:
        scenario = made(make, point.values)
        if scenario.is_service and not (scenario.arrivals or scenario.triggers):
            raise UsageError(
                f"nobody asks the service {scenario.title!r} for a flow; give it some, "
                "as in but(arrivals=[Arrivals(FlowRequest('...'), Times(at=(0,)))]) with "
                "those of wfsim.demand, or take a scenario file that has arrivals"
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


def _checked(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    listed = (faults,) if isinstance(faults, Fault) else tuple(faults)
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
