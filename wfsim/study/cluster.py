"""Tasks on a Dask or Ray cluster, where ``parallel_config(backend=...)`` names one.

They are given to the cluster itself.  What joblib (1.6) gives Dask and Dask gives up,
since one worker after the other died of it, is never heard of again, and joblib waits for
ever.  What it gives Ray (2.60) it hands over when all is done and not before, and all of
it is lost where one worker dies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from itertools import islice
from typing import Any, TypeVar

from wfsim.errors import UsageError, WfsimError

T = TypeVar("T")
R = TypeVar("R")

DASK, RAY = "DaskDistributedBackend", "RayBackend"


def check_backend(joblib: Any) -> None:
    """Raise `UsageError` if the backend that joblib would use keeps back what is done."""
    backend, kind = _backend(joblib)
    known = kind in (DASK, RAY, "SequentialBackend")
    if not (known or backend.supports_return_generator):
        raise UsageError(
            f"joblib's {kind} keeps what is done until all is; take the backend 'loky', "
            "'dask' or 'ray'"
        )


def on_cluster(
    joblib: Any, work: Callable[[T], R], tasks: Iterable[T], jobs: int | None
) -> Iterator[R] | None:
    """Return what *work* makes of each of *tasks*, as it comes; None without a cluster.

    What a worker that dies was about, or has not handed over yet, is done again by
    another.  On Ray *jobs* tasks are under way at a time; Dask uses all that it has.
    While it is read, raises `WfsimError` where the cluster gives up (by default when four
    workers died of the same task), and what *work* raises.
    """
    backend, kind = _backend(joblib)
    if kind == DASK:
        return _on_dask(backend.client, work, tasks)
    if kind == RAY:
        import ray

        # Until then Ray cannot say how many workers there are.
        if not ray.is_initialized():
            ray.init()
        places = joblib.effective_n_jobs(jobs)
        return _on_ray(backend.ray_remote_args or {}, work, tasks, places)
    return None


def _backend(joblib: Any) -> tuple[Any, str]:
    """Return the backend that joblib would use, and of which kind it is."""
    backend, _ = joblib.parallel.get_active_backend()
    return backend, type(backend).__name__


def _on_dask(client: Any, work: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
    from distributed import KilledWorker, as_completed

    futures = [client.submit(work, task, pure=False) for task in tasks]
    try:
        for future in as_completed(futures):  # type: ignore[no-untyped-call]
            yield future.result()
            future.release()
    except KilledWorker as error:
        raise _given_up(error) from error
    except CancelledError as error:
        raise WfsimError(f"the cluster has let go of its tasks: {error}") from error
    finally:
        client.cancel(futures)


def _on_ray(
    options: dict[str, Any], work: Callable[[T], R], tasks: Iterable[T], places: int
) -> Iterator[R]:
    import ray

    remote = ray.remote(work).options(**options)
    waiting = iter(tasks)
    under_way = [remote.remote(task) for task in islice(waiting, places)]
    try:
        while under_way:
            done, under_way = ray.wait(under_way)
            under_way += [remote.remote(task) for task in islice(waiting, len(done))]
            yield from ray.get(done)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except (
        ray.exceptions.NodeDiedError,
        ray.exceptions.OutOfMemoryError,
        ray.exceptions.WorkerCrashedError,
    ) as error:
        raise _given_up(error) from error
    except ray.exceptions.RayError as error:
        raise WfsimError(f"Ray has given a task up: {error}") from error
    finally:
        for each in under_way:
            ray.cancel(each)


def _given_up(error: Exception) -> WfsimError:
    return WfsimError(
        f"workers of the cluster died one after the other: {error}; if it was for "
        "want of memory, give workers more, else try jobs=1 without the cluster"
    )
