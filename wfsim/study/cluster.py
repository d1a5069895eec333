"""Tasks on a Dask cluster, where ``joblib.parallel_config(backend="dask")`` names one.

They are given to Dask itself: what joblib (1.6) gives it and Dask gives up, since one
worker after the other died of it, is never heard of again, and joblib waits for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from typing import Any, TypeVar

from wfsim.errors import WfsimError

T = TypeVar("T")
R = TypeVar("R")


def client_of(joblib: Any) -> Any:
    """Return the client of the cluster that joblib would use, None if it uses none."""
    backend, _ = joblib.parallel.get_active_backend()
    is_dask = type(backend).__name__ == "DaskDistributedBackend"
    return backend.client if is_dask else None


def on_cluster(client: Any, work: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
    """Yield what *work* makes of each of *tasks*, as it comes.

    What a worker that dies was about, or has not handed over yet, is done again by
    another.  Raises `WfsimError` where Dask gives up (by default when four workers died
    of the same task), and what *work* raises.
    """
    from distributed import KilledWorker, as_completed

    futures = [client.submit(work, task, pure=False) for task in tasks]
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
        raise WfsimError(f"the cluster has let go of its tasks: {error}") from error
    finally:
        client.cancel(futures)
