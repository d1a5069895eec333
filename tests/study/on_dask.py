"""A sweep on a Dask cluster of two worker processes; one is killed in the middle.

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
"""So many replications have begun when the worker is killed."""


@wfsim.step
def Work(context):
    yield from context.sleep(10.0 * (1.0 + context.draw("duration")))
    if context.draw("failure") < context.resource.spec["failure"]:
        raise wfsim.errors.StepFailed("by chance")


def make(failure):
    machine = wfsim.StateMachine("w").stable("Running", "Interrupt")
    return wfsim.Scenario(
        [wfsim.Resource("w", "one", state="Creating", spec={"failure": failure})],
        machine.unstable("Creating", run="W"),
        [wfsim.Flow("W", (wfsim.Step("Work"),))],
        [Work],
    )


def measured(folder, log):
    """Say in *folder* which process is at work; from `MANY` on wait for the murder."""
    with Path(folder, "begun").open("a") as file:
        file.write(f"{os.getpid()}\n")
    while len(begun(folder)) >= MANY and not Path(folder, "killed").exists():
        threading.Event().wait(0.01)
    return float(len(log))


def begun(folder):
    path = Path(folder, "begun")
    return list(map(int, path.read_text().split())) if path.exists() else []


def kill_one(folder, over):
    """Kill the worker that began last, in the middle of the replication it is at."""
    while not over.wait(0.01):
        if len(begun(folder)) >= MANY:
            victim = begun(folder)[-1]
            os.kill(victim, signal.SIGKILL)
            Path(folder, "killed").write_text(str(victim))
            return


def deadly(parent, log):
    """Kill every process but *parent*."""
    if os.getpid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
    return float(len(log))


def sweep(measure, replications=REPLICATIONS, jobs=1):
    return wfsim.sweep(
        make,
        over=POINTS,
        replications=replications,
        seed=1,
        measure={"records": measure},
        jobs=jobs,
        progress=False,
    )


def digest(frame):
    """Return a digest of names, dtypes and every bit of every value."""
    import pandas as pd

    told = [*map(str, frame.dtypes.items())]
    values = pd.util.hash_pandas_object(frame, index=True).to_numpy().tobytes()
    return sha256(repr(told).encode() + values).hexdigest()


def survived(folder):
    """Return the study that outlived one of its workers."""
    over = threading.Event()
    killer = threading.Thread(target=kill_one, args=(folder, over))
    killer.start()
    try:
        return sweep(partial(measured, folder), jobs=2)
    finally:
        over.set()
        killer.join()


def given_up():
    """Return what is said where each worker dies that takes a task up."""
    try:
        return repr(sweep(partial(deadly, os.getpid()), replications=3, jobs=2))
    except wfsim.WfsimError as error:
        return str(error)


def main(folder):
    import joblib
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2, processes=True, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        workers = [worker.pid for worker in cluster.workers.values()]
        study = survived(folder)
        at_work = begun(folder)
        cluster.scheduler.allowed_failures = 0  # by default it takes four workers
        said = given_up()
    serial = sweep(partial(measured, folder))
    found = {
        "workers": workers,
        "killed": int(Path(folder, "killed").read_text()),
        "here": at_work.count(os.getpid()),
        "at work": len(at_work),
        "replications": len(study.replications),
        "digests": [
            [digest(each.runs), digest(each.replications)] for each in (study, serial)
        ],
        "given up": said,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
