"""The executors of replications: this process, or as many as joblib has.

joblib is the seam: processes of this machine by default (loky), or whatever backend
``joblib.parallel_config(backend=...)`` names, such as Dask or Ray.  What comes
back is put into order by its reader, so it makes no difference who did what when.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from importlib import import_module
from typing import Any, NamedTuple

from wfsim.errors import UsageError, WfsimError
from wfsim.sim.faults import Fault
from wfsim.sim.scenario import Scenario
from wfsim.study.replication import Measure, Rows, replicate

RECORDS = 6_000
"""A task makes about so many records of logs, which takes from 50 ms on.

Measured: at one replication a task a pool is slower than none.
"""

ATTEMPTS = 3
"""How often a task is tried whose worker process died."""


class Span(NamedTuple):
    """Replications *first* and following of the point numbered *point*, by *seeds*."""

    point: int
    first: int
    seeds: tuple[int, ...]


class Job(NamedTuple):
    """What is the same for all replications of a study."""

    make: Any
    values: tuple[dict[str, Any], ...]
    faults: tuple[Fault, ...]
    measures: Mapping[str, Measure]
    flow: str | None = None


class Task(NamedTuple):
    """What is done in one go: some spans, and what to make the scenarios with."""

    job: Job
    spans: tuple[Span, ...]


def check_jobs(jobs: Any) -> None:
    """Raise `UsageError` for *jobs* that are none, or without a joblib."""
    if jobs is not None and (type(jobs) is not int or jobs == 0):
        raise UsageError(f"jobs is {jobs!r}; give 1 or more, -1 for all cores, or None")
    if jobs != 1:
        _joblib()


def scenario_of(make: Any, values: Mapping[str, Any]) -> Scenario:
    """Return the scenario of the point of those *values*."""
    scenario = make(**values)
    if not isinstance(scenario, Scenario):
        raise UsageError(f"make({values!r}) is {scenario!r}; return a wfsim.Scenario")
    return scenario


def carry_out(task: Task, scenarios: Mapping[int, Scenario] | None = None) -> list[Rows]:
    """Do *task*, with those of *scenarios* that are there and new ones of the others."""
    job, done = task.job, []
    known = dict(scenarios or {})
    for span in task.spans:
        if span.point not in known:
            known[span.point] = scenario_of(job.make, job.values[span.point])
        scenario = known[span.point]
        rows, _ = replicate(scenario, *span, job.faults, job.measures, job.flow)
        done.append(rows)
    return done


def tasks(
    job: Job, wanted: Iterable[Span], records: int, jobs: int | None
) -> Iterator[Task]:
    """Yield tasks that do what is *wanted*, of about equal size.

    *records* is what one replication was seen to make.  Points take turns, so that a
    study that is cut short has seen all of them about equally often.
    """
    spans = list(wanted)
    total = sum(len(span.seeds) for span in spans)
    most = max(1, RECORDS // max(records, 1))
    if jobs != 1:
        most = max(1, min(most, -(-total // (4 * workers(jobs)))))
    group: list[Span] = []
    room = most
    longest = max((len(span.seeds) for span in spans), default=0)
    for begin in range(0, longest, most):
        for span in spans:
            seeds = span.seeds[begin : begin + most]
            if seeds and len(seeds) > room:
                yield Task(_only(job, group), tuple(group))
                group, room = [], most
            if seeds:
                group.append(Span(span.point, span.first + begin, seeds))
                room -= len(seeds)
    if group:
        yield Task(_only(job, group), tuple(group))


def _only(job: Job, spans: Sequence[Span]) -> Job:
    """Return *job* without what *spans* need not, since it is sent to a process."""
    points = {span.point for span in spans}
    values = (item if at in points else {} for at, item in enumerate(job.values))
    return job._replace(values=tuple(values))


def serially(todo: Iterable[Task], scenarios: Mapping[int, Scenario]) -> Iterator[Rows]:
    """Yield what comes of the tasks *todo*, done here."""
    for task in todo:
        yield from carry_out(task, scenarios)


def in_parallel(todo: Iterable[Task], jobs: int | None) -> Iterator[Rows]:
    """Yield what comes of the tasks *todo* as it comes, done by *jobs* processes.

    What a process that died was about is done again.  Raises `WfsimError` if they go on
    dying.
    """
    joblib = _joblib()
    backend, is_dask = _cluster(joblib)
    if is_dask:
        for done in _on_dask(backend.client, todo):
            yield from done
        return
    # Where a backend hands over nothing before the end, as Ray's, it is taken then.
    return_as = "generator_unordered" if backend.supports_return_generator else "list"
    waiting = dict(enumerate(todo))
    for attempt in range(ATTEMPTS):
        pool = joblib.Parallel(n_jobs=jobs, return_as=return_as, batch_size=1)
        work = joblib.delayed(_carry_out_numbered)
        results: Any = ()
        try:
            results = pool(work(number, task) for number, task in [*waiting.items()])
            for number, done in results:
                del waiting[number]
                yield from done
            return
        except BrokenProcessPool as error:
            if attempt + 1 == ATTEMPTS:
                point, first, seeds = next(iter(waiting.values())).spans[0]
                raise WfsimError(
                    f"worker processes died {ATTEMPTS} times, the last time with "
                    f"{len(waiting)} tasks to do, first of all replications {first} to "
                    f"{first + len(seeds) - 1} of point {point}; if it was for want of "
                    "memory, give fewer jobs, else try jobs=1"
                ) from error
        finally:
            if isinstance(results, Generator):
                results.close()


def _carry_out_numbered(number: int, task: Task) -> tuple[int, list[Rows]]:
    return number, carry_out(task)


def workers(jobs: int | None) -> int:
    """Return how many processes *jobs* are here, as joblib counts them."""
    return max(1, int(_joblib().effective_n_jobs(jobs)))


def _joblib() -> Any:
    return library("joblib", "more than one job")


def _cluster(joblib: Any) -> tuple[Any, bool]:
    """Return the backend that joblib would use, and whether it is a Dask cluster's."""
    backend, _ = joblib.parallel.get_active_backend()
    return backend, type(backend).__name__ == "DaskDistributedBackend"


def simulated(
    job: Job,
    wanted: Iterable[Span],
    records: int,
    jobs: int | None,
    scenarios: Mapping[int, Scenario],
) -> Iterator[Rows]:
    """Yield what comes of what is *wanted*, done here or by *jobs* processes."""
    todo = tasks(job, wanted, records, jobs)
    return serially(todo, scenarios) if jobs == 1 else in_parallel(todo, jobs)


def _on_dask(client: Any, tasks: Iterable[Task]) -> Iterator[list[Rows]]:
    """Yield what comes of each of *tasks* as it comes, done by a Dask cluster.

    They are given to the cluster itself: what joblib (1.6) gives Dask and Dask gives up,
    since one worker after the other died of it, is never heard of again, and joblib waits
    for ever.  Raises `WfsimError` where the cluster gives up (by default when four
    workers died of the same task).
    """
    from distributed import KilledWorker, as_completed

    futures = [client.submit(carry_out, task, pure=False) for task in tasks]
    try:
        for future in as_completed(futures):  # type: ignore[no-untyped-call]
            yield future.result()
            future.release()
    except KilledWorker as error:
        raise WfsimError(
            f"workers of the cluster died one after the other: {error}; if it was for "
            "want of memory, give workers more, else try jobs=1 without the cluster"
        ) from error
    except CancelledError as error:
        raise WfsimError(f"the cluster lost the tasks: {error}") from error
    finally:
        client.cancel(futures)


def library(name: str, what: str = "this") -> Any:
    """Return the module *name*, which *what* needs.

    Raises `UsageError` where it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise UsageError(
            f"{what} needs {package}; install it with the extra: pip install "
            f"'wfsim-lab[study]' ({error})"
        ) from None
