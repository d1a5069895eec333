"""A sweep on a Dask cluster of two worker processes, one of which is killed in the middle.

Run as ``python -m tests.study.on_dask FOLDER``; `test_dask` does.  A process of its own:
what Dask leaves behind when it stops (threads, sockets, warnings about either) is not
the business of the tests that follow.  Prints what the test asserts, as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from functools import partial
from hashlib import sha256
from pathlib import Path

import wfsim

REPLICATIONS = 60
POINTS = {"failure": [0.0, 0.3]}
MANY = 10
"""So many replications have been measured when the worker is killed."""


@wfsim.step
def Work(context):
    yield from context.sleep(10.0 * (1.0 + context.draw("duration")))
    if context.draw("failure") < context.resource.spec["failure"]:
        raise wfsim.StepFailed("by chance")


def make(failure):
    machine = wfsim.StateMachine("w").stable("Running", "Interrupt")
    return wfsim.Scenario(
        [wfsim.Resource("w", "one", state="Creating", spec={"failure": failure})],
        machine.unstable("Creating", run="W"),
        [wfsim.Flow("W", (wfsim.Step("Work"),))],
        [Work],
    )


def measured(folder, log):
    """Say in *folder* which process is at work, and take a little while."""
    with Path(folder, "begun").open("a") as file:
        file.write(f"{os.getpid()}\n")
    threading.Event().wait(0.02)
    return float(len(log))


def begun(folder):
    path = Path(folder, "begun")
    return list(map(int, path.read_text().split())) if path.exists() else []


def kill(folder, workers, killed, over):
    """Kill the worker that began last, once `MANY` replications have begun in them."""
    while not over.wait(0.01):
        at_work = [pid for pid in begun(folder) if pid in workers]
        if len(at_work) >= MANY:
            os.kill(at_work[-1], signal.SIGKILL)
            killed.append((at_work[-1], len(at_work)))
            return


def sweep(folder, jobs):
    return wfsim.sweep(
        make,
        over=POINTS,
        replications=REPLICATIONS,
        seed=1,
        measure={"records": partial(measured, folder)},
        jobs=jobs,
        progress=False,
    )


def digest(frame):
    """Return a digest of names, dtypes and every bit of every value."""
    import pandas as pd

    told = [*map(str, frame.dtypes.items())]
    values = pd.util.hash_pandas_object(frame, index=True).to_numpy().tobytes()
    return sha256(repr(told).encode() + values).hexdigest()


def main(folder):
    import joblib
    from distributed import Client, LocalCluster

    killed, over = [], threading.Event()
    with (
        LocalCluster(
            n_workers=2, processes=True, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        Client(cluster),
    ):
        workers = [worker.pid for worker in cluster.workers.values()]
        killer = threading.Thread(target=kill, args=(folder, workers, killed, over))
        killer.start()
        try:
            with joblib.parallel_config(backend="dask"):
                study = sweep(folder, 2)
        finally:
            over.set()
            killer.join()
        at_work = begun(folder)
    serial = sweep(folder, 1)
    found = {
        "workers": workers,
        "killed": killed,
        "at work": sorted(set(at_work)),
        "here": os.getpid(),
        "replications": len(study.replications),
        "digests": [
            [digest(each.runs), digest(each.replications)] for each in (study, serial)
        ],
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
