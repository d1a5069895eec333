"""What if: one scenario at many points, each replicated, in one study."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from wfsim.errors import UsageError
from wfsim.model.machine import did_you_mean
from wfsim.sim.faults import Fault
from wfsim.sim.scenario import Scenario
from wfsim.study.execution import Job, Span, in_parallel, made, serially, tasks
from wfsim.study.grid import Grid, Over, Point, grid_of
from wfsim.study.replication import RESERVED, Measure, Rows, replicate, seed_of
from wfsim.study.study import Study

Make = Callable[..., Scenario]


def sweep(
    make: Make | str | Path,
    over: Over = None,
    *,
    replications: int = 100,
    seed: int = 0,
    faults: Iterable[Fault] = (),
    measure: Measure | Mapping[str, Measure] | None = None,
    jobs: int | None = 1,
    progress: bool = True,
    independent: bool = False,
) -> Study:
    """Simulate what *make* returns at each point of *over*, *replications* times.

    *make* is called with the values of a point by name.  *over* is a mapping of names to
    lists of values (each combination is a point), a list of points, or a `design`.

    Replication r has the same seed at every point, so that points differ by what was
    varied and by nothing else (common random numbers); *independent* gives each point
    seeds of its own instead.  *measure* is a function of a log to a number, or to numbers
    by name, or such functions by name: further columns of ``replications``.

    *jobs* processes share the work (-1: one for each core; None: what
    ``joblib.parallel_config`` says); the study is the same, byte for byte.  Ctrl-C ends
    it early and returns what is complete, marked ``interrupted``.

    Raises `UsageError` or `DefinitionError` for wrong arguments, before anything runs.
    """
    plan = _plan(make, over, replications, seed, faults, measure, jobs, independent)
    done: dict[int, list[Rows]] = {}
    interrupted = False
    bar = _Bar(len(plan.grid.points) * replications if progress else 0)
    try:
        wanted = [plan.span(point, 0, replications) for point in plan.numbers]
        for rows in _simulated(plan, wanted):
            done.setdefault(rows.point, []).append(rows)
            bar.add(rows.size)
    except KeyboardInterrupt:
        if not done:
            raise
        interrupted = True
    finally:
        bar.close()
    return Study.of(plan.grid, done, seed=seed, interrupted=interrupted)


class Plan(NamedTuple):
    """The arguments of `sweep`, looked at."""

    job: Job
    grid: Grid
    scenarios: Mapping[int, Scenario]
    seed: int
    jobs: int | None
    independent: bool

    @property
    def numbers(self) -> range:
        """The numbers of the points."""
        return range(len(self.grid.points))

    def span(self, point: int, first: int, stop: int) -> Span:
        """Return the replications from *first* to before *stop* of *point*."""
        name = str(self.grid.points[point]) if self.independent else ""
        seeds = tuple(seed_of(self.seed, each, name) for each in range(first, stop))
        return Span(point, first, seeds)


def _simulated(plan: Plan, wanted: Sequence[Span]) -> Iterator[Rows]:
    """Yield what comes of the spans *wanted*, the first replication by itself."""
    if not wanted:
        return
    point, first, seeds = wanted[0]
    job, scenario = plan.job, plan.scenarios[point]
    # How long its log is says how many make a task.
    rows, records = replicate(scenario, point, first, seeds[:1], job.faults, job.measures)
    yield rows
    rest = [Span(point, first + 1, seeds[1:])] if len(seeds) > 1 else []
    todo = tasks(job, [*rest, *wanted[1:]], records, plan.jobs)
    if plan.jobs == 1:
        yield from serially(todo, plan.scenarios)
    else:
        yield from in_parallel(todo, plan.jobs)


def _plan(
    make: Make | str | Path,
    over: Over,
    replications: int,
    seed: int,
    faults: Iterable[Fault],
    measure: Any,
    jobs: int | None,
    independent: bool,
) -> Plan:
    _check_number("replications", replications, 1)
    _check_number("seed", seed, None)
    if jobs is not None and (type(jobs) is not int or jobs == 0):
        raise UsageError(f"jobs is {jobs!r}; give 1 or more, -1 for all cores, or None")
    grid = grid_of(over, RESERVED)
    maker = _maker(make)
    _check_names(maker, grid.names)
    scenarios = {number: _made(maker, point) for number, point in enumerate(grid.points)}
    values = tuple(point.values for point in grid.points)
    job = Job(maker, values, _checked(faults), _measures(measure))
    return Plan(job, grid, scenarios, seed, jobs, independent)


def _check_number(name: str, value: Any, least: int | None) -> None:
    if type(value) is not int or (least is not None and value < least):
        what = "a whole number" if least is None else f"a whole number from {least} on"
        raise UsageError(f"{name} is {value!r}; give {what}")


def _maker(make: Any) -> Make:
    if isinstance(make, (str, Path)):
        from wfsim.study.scenario_source import ScenarioSource

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
            near = did_you_mean(name, list(parameters))
            raise UsageError(f"over: {what} has no parameter {name!r}{near}")


def _made(make: Make, point: Point) -> Scenario:
    try:
        return made(make, point.values)
    except Exception as error:
        error.add_note(f"at the point ({point})")
        raise


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


class _Bar:
    """A bar of replications that shows itself after two seconds."""

    def __init__(self, total: int) -> None:
        self._bar: Any = None
        if total:
            from tqdm.auto import tqdm

            self._bar = tqdm(total=total, unit=" replications", delay=2.0, leave=False)

    def add(self, count: int) -> None:
        if self._bar is not None:
            self._bar.update(count)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
