"""A sweep on a Ray of two workers: one is killed, and another sweep has its Ctrl-C.

Run as ``python -m tests.study.on_ray FOLDER``; `test_ray` does.  A process of its own, as
for Dask.  Prints what the test asserts, as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

from tests.study import on_dask

MANY = 50
"""So many replications have begun when Ctrl-C is pressed; a task has 15."""


def impatient(folder, parent, log):
    """Press Ctrl-C in the middle, once; from then on be busy until it is heard of."""
    with Path(folder, "begun").open("a") as file:
        file.write(f"{os.getpid()}\n")
    if len(on_dask.begun(folder)) >= MANY:
        with suppress(FileExistsError):
            Path(folder, "pressed").touch(exist_ok=False)
            os.kill(parent, signal.SIGINT)
        while True:
            threading.Event().wait(0.01)
    return float(len(log))


def wordy(parent, log):
    """Have no number to say, but for *parent*."""
    return 0.0 if os.getpid() == parent else "a text"


def refused():
    """Return the error, and its notes, of a measure that is wrong on a worker."""
    try:
        return [repr(on_dask.sweep(partial(wordy, os.getpid()), jobs=2))]
    except Exception as error:
        return [type(error).__name__, str(error), *error.__notes__]


def frames(study):
    return (study.runs, study.replications, study.steps, study.loads)


def main(folder):
    import joblib
    import ray
    from ray.util.joblib import register_ray

    killed, cut = Path(folder, "killed"), Path(folder, "cut")
    killed.mkdir()
    cut.mkdir()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    register_ray()
    with joblib.parallel_config(backend="ray"):
        study = on_dask.survived(killed)
        at_work = on_dask.begun(killed)
        interrupted = on_dask.sweep(partial(impatient, cut, os.getpid()), jobs=2)
        error = refused()
        said = on_dask.given_up()
    ray.shutdown()
    serial = on_dask.sweep(partial(on_dask.measured, killed))
    found = {
        "here": at_work.count(os.getpid()),
        "workers": len({*at_work} - {os.getpid()}),
        "killed": at_work.count(int(Path(killed, "killed").read_text())),
        "at work": len(at_work),
        "replications": len(study.replications),
        "digests": [list(map(on_dask.digest, frames(each))) for each in (study, serial)],
        "interrupted": interrupted.interrupted,
        "kept": len(interrupted.replications),
        "refused": error,
        "given up": said,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
