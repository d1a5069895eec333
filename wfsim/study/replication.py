"""One replication: a simulation of one point under one seed, as plain values.

Nothing here is a DataFrame: measured, one for each replication would cost more than
many a simulation does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from itertools import compress
from statistics import fmean
from typing import Any, NamedTuple, TypeAlias

from wfsim.errors import UsageError
from wfsim.model.log import EventLog
from wfsim.model.resource import Resource
from wfsim.report.breakdown import PARTS, in_steps, spent
from wfsim.report.grouping import quantile
from wfsim.report.history import UNFINISHED, Run
from wfsim.report.load import loads
from wfsim.report.stretches import Course, courses
from wfsim.sim.demand import PLACE
from wfsim.sim.faults import Fault
from wfsim.sim.scenario import Scenario
from wfsim.sim.simulation import Simulation

Measure: TypeAlias = Callable[[EventLog], Any]

_SECONDS = ("called", "start", "end", "duration")
PART_COLUMNS = (
    *(f"{part}_seconds" if part == "retries" else part for part in PARTS),
    "total",
)
"""Where the time of a run went, and the sum of that."""

RUN_DTYPES: Mapping[str, str] = {
    **dict.fromkeys(_SECONDS, "float64"),
    **dict.fromkeys(("retries", "restarts"), "int64"),
    **dict.fromkeys(PART_COLUMNS, "float64"),
}
RUN_COLUMNS = ("resource", "run", "flow", "class", "status", "error", *RUN_DTYPES)
"""What is known of a run, as in `tables.runs` and `tables.breakdown`."""

TALLY_DTYPES: Mapping[str, str] = {
    "seed": "int64",
    "runs": "int64",
    "unfinished": "int64",
    "success": "float64",
    "mean": "float64",
    "p50": "float64",
    "p95": "float64",
    "total": "float64",
    "makespan": "float64",
    "retries": "int64",
    "restarts": "int64",
}
STEP_DTYPES: Mapping[str, str] = {
    "runs": "int64",
    "seconds": "float64",
    "pool_queue": "float64",
}
STEP_COLUMNS = ("flow", "class", "step", *STEP_DTYPES)
"""What is known of a step: how many runs began it, and the seconds they spent in it,
and of these in the queue of a pool."""

LOAD_DTYPES: Mapping[str, str] = dict.fromkeys(
    ("busy", "queue", "places", "seconds"), "float64"
)
LOAD_COLUMNS = ("server", *LOAD_DTYPES)
"""What is known of workers and pools: how many were busy and waited for, on average over
a window of so many seconds."""

_ANSWERS = (
    *("replications", "share", "a", "b", "at_a", "at_b", "difference", "relative"),
    *("p", "p_holm", "rank", "low", "high", "best", "bottleneck"),
)
RESERVED = {
    *("replication", "point", *_ANSWERS),
    *(*RUN_COLUMNS, *TALLY_DTYPES, *STEP_COLUMNS, *LOAD_COLUMNS),
}


class Rows(NamedTuple):
    """The replications *first*, *first* + 1 and so on of the point numbered *point*.

    Each of the others holds a list per column; *tallies* an entry per replication, while
    *runs*, *steps* and *loads* have a column ``replication`` of their own.
    """

    point: int
    first: int
    runs: dict[str, list[Any]]
    tallies: dict[str, list[Any]]
    steps: dict[str, list[Any]]
    loads: dict[str, list[Any]]

    @property
    def size(self) -> int:
        """How many replications there are."""
        return len(self.tallies["seed"])

    @property
    def stop(self) -> int:
        """The number after that of the last one."""
        return self.first + self.size

    def part(self, first: int, stop: int) -> Rows:
        """Return those of its replications that are from *first* to before *stop*."""
        if first <= self.first and stop >= self.stop:
            return self
        first, stop = max(first, self.first), min(stop, self.stop)
        begin, end = first - self.first, stop - self.first
        tallies = {name: each[begin:end] for name, each in self.tallies.items()}
        runs, steps, loads = (
            _between(columns, first, stop)
            for columns in (self.runs, self.steps, self.loads)
        )
        return Rows(self.point, first, runs, tallies, steps, loads)


def _between(
    columns: Mapping[str, list[Any]], first: int, stop: int
) -> dict[str, list[Any]]:
    """Return those rows of *columns* that are of the replications from *first* on."""
    kept = [first <= number < stop for number in columns["replication"]]
    return {name: list(compress(each, kept)) for name, each in columns.items()}


def seed_of(seed: int, replication: int, point: str = "") -> int:
    """Return the seed of a replication, of 48 bits; the same for all points.

    Only where draws shall be independent from point to point is *point* given.

    >>> seed_of(0, 0), seed_of(0, 1) == seed_of(1, 0)
    (40628143318916, False)
    """
    purpose = repr((seed, replication, point)).encode()
    return int.from_bytes(blake2b(purpose, digest_size=6).digest(), "big")


def replicate(
    scenario: Scenario,
    point: int,
    first: int,
    seeds: Sequence[int],
    faults: Iterable[Fault] = (),
    measures: Mapping[str, Measure] | None = None,
    flow: str | None = None,
) -> tuple[Rows, int]:
    """Simulate *scenario* with each of *seeds*; with *flow* only its runs count.

    Return what came of it, and how many records all logs had.
    """
    rows = Rows(
        point,
        first,
        _columns("replication", *RUN_COLUMNS),
        _columns(*TALLY_DTYPES),
        _columns("replication", *STEP_COLUMNS),
        _columns("replication", *LOAD_COLUMNS),
    )
    tallies, records, class_of = rows.tallies, 0, Classes(scenario)
    for number, seed in enumerate(seeds, start=first):
        try:
            log = Simulation(scenario, seed=seed, faults=faults).run(progress=False)
            if measures:
                # A log makes its records whenever they are read; each measure may do so.
                log.records = list(log.records)
            found = courses(log)
            counted = [
                course
                for course in found
                if course.begin >= scenario.warm_up
                and (flow is None or course.run.flow == flow)
            ]
            # One that has not ended lasts as long as the log does.
            last = max((course.end for course in found), default=0.0)
            classes = [class_of(course.run) for course in counted]
            _add_runs(rows, number, seed, counted, classes, last)
            _add_steps(rows, number, counted, classes)
            _add_loads(rows, number, log, found, scenario)
            for name, value in _measured(measures or {}, log).items():
                tallies.setdefault(name, []).append(value)
        except Exception as error:
            error.add_note(
                f"in replication {number} of point {point}; wfsim.simulate(scenario, "
                f"faults, seed={seed}) does it again"
            )
            raise
        records += len(log)
    for name, values in tallies.items():
        if len(values) != len(seeds):
            raise UsageError(
                f"measure: {name!r} is not there in each replication; give NaN instead"
            )
    return rows, records


def _columns(*names: str) -> dict[str, list[Any]]:
    return {name: [] for name in names}


def _append(columns: dict[str, list[Any]], row: Iterable[Any]) -> None:
    for column, value in zip(columns.values(), row, strict=True):
        column.append(value)


class Classes:
    """The classes of customers of *scenario*: which of them a run belongs to.

    It is the name of the arrivals that have brought its resource, without the number; of
    a resource that is there from the beginning its kind; of a service the flow; of what
    nobody but a flow has made, nothing.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._is_service = scenario.is_service
        self._known: dict[str, str] = {
            each.name: each.key.kind for each in scenario.resources
        }
        self._groups: list[tuple[str, str, str, str]] = [
            (*each.what.name.partition(PLACE), each.group)
            for each in scenario.arrivals
            if isinstance(each.what, Resource)
        ]

    def __call__(self, run: Run) -> str:
        """Return the class of *run*."""
        if self._is_service:
            return run.flow
        name = run.resource
        if name not in self._known:
            self._known[name] = self._arrived(name)
        return self._known[name]

    def _arrived(self, name: str) -> str:
        for before, place, after, group in self._groups:
            if place and name.startswith(before) and name.endswith(after):
                number = name[len(before) : len(name) - len(after)]
                if number.isascii() and number.isdigit():
                    return group
            elif name == before:
                return group
        return ""


class Outcome(NamedTuple):
    """How a run ended, and its numbers, as in a row of ``runs``."""

    status: str
    duration: float
    total: float
    retries: int
    restarts: int


def tally(seed: int, outcomes: Sequence[Outcome], last: float) -> dict[str, float]:
    """Return the row of ``replications`` of the runs with these *outcomes*."""
    durations = sorted(each.duration for each in outcomes if each.status == "completed")
    size, done = len(outcomes), len(durations)
    mean = fmean(durations) if durations else math.nan
    durations += [math.inf] * (size - done)
    return {
        "seed": seed,
        "runs": size,
        "unfinished": sum(each.status in UNFINISHED for each in outcomes),
        "success": done / size if outcomes else math.nan,
        "mean": mean,
        "p50": quantile(durations, 0.5),
        "p95": quantile(durations, 0.95),
        "total": fmean(each.total for each in outcomes) if outcomes else math.nan,
        "makespan": last,
        "retries": sum(each.retries for each in outcomes),
        "restarts": sum(each.restarts for each in outcomes),
    }


def _add_runs(
    rows: Rows,
    number: int,
    seed: int,
    counted: Sequence[Course],
    classes: Sequence[str],
    last: float,
) -> None:
    outcomes = []
    for course, of_class in zip(counted, classes, strict=True):
        run, parts = course.run, spent(course)
        duration, total = run.end - run.start, course.end - course.begin
        outcomes.append(Outcome(run.status, duration, total, run.retries, run.restarts))
        row = {
            "replication": number,
            "resource": run.resource,
            "run": run.run,
            "flow": run.flow,
            "class": of_class,
            "status": run.status,
            "error": run.error,
            "called": course.begin,
            "start": run.start,
            "end": run.end,
            "duration": duration,
            "retries": run.retries,
            "restarts": run.restarts,
            **dict(zip(PART_COLUMNS, parts.values(), strict=False)),
            "total": total,
        }
        _append(rows.runs, row.values())
    for name, value in tally(seed, outcomes, last).items():
        rows.tallies[name].append(value)


def _add_steps(
    rows: Rows, number: int, counted: Sequence[Course], classes: Sequence[str]
) -> None:
    groups: dict[tuple[str, str], list[Course]] = {}
    for course, of_class in zip(counted, classes, strict=True):
        groups.setdefault((course.run.flow, of_class), []).append(course)
    for name, group in groups.items():
        for step, (seconds, runs, queue) in in_steps(group).items():
            _append(rows.steps, (number, *name, step, runs, seconds, queue))


def _add_loads(
    rows: Rows, number: int, log: EventLog, found: Sequence[Course], scenario: Scenario
) -> None:
    for load in loads(log, found, scenario.warm_up, scenario.window):
        end, since = scenario.window or log.records[-1].time, scenario.warm_up
        places = scenario.places(load.name, since, end)
        if places is None:
            places = load.capacity
        window = max(end - since, 0.0)
        _append(rows.loads, (number, load.name, load.busy, load.queue, places, window))


def _measured(measures: Mapping[str, Measure], log: EventLog) -> dict[str, float]:
    """Return what *measures* say of *log*; one may say several things by name."""
    found: dict[str, float] = {}
    for name, measure in measures.items():
        value = measure(log)
        several = value if isinstance(value, Mapping) else {name: value}
        for key, number in several.items():
            if key in RESERVED or key in found:
                raise UsageError(
                    f"measure: there is a column {key!r} already; take another name"
                )
            try:
                found[str(key)] = float(number)
            except (TypeError, ValueError):
                raise UsageError(
                    f"measure: {key!r} is {number!r}; give a number"
                ) from None
    return found
