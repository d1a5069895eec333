"""What a step of workload W costs in runs of a given length, in a process of its own.

``python -m tests.bench.growth 143 10`` prints the CPU seconds of each step of 143
instances, in 10 runs.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import wfsim
from tests.bench import workload

ROOT = Path(__file__).parent.parent.parent


def of_a_step(instances, runs=1):
    """Return the CPU seconds of a step in *runs* of so many, by a fresh process."""
    command = [sys.executable, "-m", "tests.bench.growth", str(instances), str(runs)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(told.stdout)


def measure(instances, runs):
    workload.simulation(100, seed=2).run()
    spent = 0.0
    for _ in range(runs):
        simulation = workload.simulation(instances, seed=1)
        began = time.process_time()
        log = simulation.run()
        spent += time.process_time() - began
        ended = wfsim.tables.runs(log)["status"].isin(["completed", "interrupted"])
        assert len(ended) == instances
        assert ended.all()
    return spent / (runs * instances * len(workload.STEPS))


if __name__ == "__main__":
    print(measure(*map(int, sys.argv[1:])))
