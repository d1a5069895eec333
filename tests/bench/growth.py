"""What a step of workload W costs in a run of a given length, in a process of its own.

``python -m tests.bench.growth seconds 143 10`` prints the CPU seconds of each step of 143
instances in 10 runs, ``... bytes 143 1`` the bytes that are still held for it when the
run is over: the log, every version of the mementos, and what the stores hold.
"""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import wfsim
from tests.bench import workload

ROOT = Path(__file__).parent.parent.parent


def of_a_step(what, instances, runs=1):
    """Return what a step costs in *runs* of so many instances, by a fresh process."""
    command = [
        sys.executable,
        "-m",
        "tests.bench.growth",
        what,
        str(instances),
        str(runs),
    ]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(told.stdout)


def spent(what, instances, runs):
    workload.simulation(100, seed=2).run()
    measure = {"seconds": seconds, "bytes": held}[what]
    total = 0.0
    for _ in range(runs):
        log, cost = measure(instances)
        ended = wfsim.tables.runs(log)["status"].isin(["completed", "interrupted"])
        assert len(ended) == instances
        assert ended.all()
        total += cost
    return total / (runs * instances * len(workload.STEPS))


def seconds(instances):
    simulation = workload.simulation(instances, seed=1)
    began = time.process_time()
    log = simulation.run()
    return log, time.process_time() - began


def held(instances):
    tracemalloc.start()
    simulation = workload.simulation(instances, seed=1)
    log = simulation.run()
    found, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return log, found


if __name__ == "__main__":
    print(spent(sys.argv[1], *map(int, sys.argv[2:])))
