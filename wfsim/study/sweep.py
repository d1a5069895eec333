"""What if: one scenario at many points, each replicated, in one study."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from wfsim.errors import UsageError
from wfsim.sim.faults import Fault
from wfsim.sim.simulation import in_sight
from wfsim.study.cache import Cache, missing
from wfsim.study.design import Design
from wfsim.study.execution import Span, in_parallel, serially, tasks
from wfsim.study.grid import Over
from wfsim.study.plan import Make, Plan, plan_of
from wfsim.study.precision import Precision
from wfsim.study.replication import TALLY_DTYPES, Measure, Rows, replicate
from wfsim.study.sample import is_taken, sampled
from wfsim.study.study import Study

ROUND = 20
"""With a precision to reach, so many replications are made before it is looked at."""


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
    progress: bool | None = None,
    independent: bool = False,
) -> Study:
    """Simulate what *make* returns at each point of *over*, *replications* times.

    *make* is called with the values of a point by name; or it is a scenario file, whose
    parameters are dotted paths.  *over* is a mapping of names to lists of values (each
    combination is a point), a list of points, or a `design`.  Replication r has the same
    seed at every point, so that points differ by what was varied and by nothing else
    (common random numbers); *independent* gives each point seeds of its own instead.

    *faults* happen in each replication; with a *flow* only its runs count.  *measure* is
    a function of a log to a number, or to numbers by name, or such functions by name:
    columns of ``replications``.  With a *precision* a point is replicated only as often
    as that takes, *replications* times at most.

    *jobs* processes share the work (-1: one for each core; None: what
    ``joblib.parallel_config`` says), or a cluster does where that names one, with
    ``backend="dask"`` or ``"ray"``; the study is the same, byte for byte.  *cache* is a
    folder that keeps each replication; *key* stands for code that cannot be compared.
    *progress* is that of `Simulation.run`.  Ctrl-C returns what is
    complete, marked ``interrupted``; with a cache the same call goes on from there.

    Raises `UsageError` or `DefinitionError` for wrong arguments, before anything runs,
    `UsageError` for a measure that is no number, `WfsimError` where workers go on dying.
    """
    plan = plan_of(
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
    work = _Work(plan, plan.cache(cache, key), progress)
    work.run()
    return work.study(over if isinstance(over, Design) else None)


class _Work:
    """A plan under way: what is done of each point, and how far each is to go."""

    def __init__(self, plan: Plan, cache: Cache | None, progress: bool | None) -> None:
        self.plan = plan
        self.cache = cache
        self.done: dict[int, list[Rows]] = {
            point: cache.load(point) if cache else [] for point in plan.numbers
        }
        self.settled: dict[int, bool] = {}
        self.interrupted = False
        self._stops = dict.fromkeys(plan.numbers, plan.replications)
        self._records = 0
        self._names: set[str] | None = None
        for rows in (each for listed in self.done.values() for each in listed):
            self._check(rows)
        self._bar: Any = None
        if in_sight(progress):
            from tqdm.auto import tqdm

            total = None if plan.precision else len(plan.numbers) * plan.replications
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

    def study(self, design: Design | None) -> Study:
        """Return the study of what is done of each point, as far as it was to go."""
        done = {
            point: [rows.part(0, stop) for rows in self.done[point] if rows.first < stop]
            for point, stop in self._stops.items()
        }
        return Study.of(
            self.plan.grid,
            done,
            design=design,
            seed=self.plan.seed,
            interrupted=self.interrupted,
            settled=self.settled if self.plan.precision else None,
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
            gaps = missing(self.done[point], 0, stop)
            wanted += [self.plan.span(point, *gap) for gap in gaps]
        if self._bar is not None and not self.plan.precision:
            total = sum(self._stops.values())
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
        cut = tasks(plan.job, todo, self._records, plan.jobs)
        if plan.jobs == 1:
            yield from serially(cut, plan.scenarios)
        else:
            yield from in_parallel(cut, plan.jobs)
