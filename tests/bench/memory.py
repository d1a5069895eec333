"""How many bytes a recorded step of workload W takes, its mementos included."""

from __future__ import annotations

import gc
import tracemalloc

import wfsim
from tests.bench import workload


def of_a_step(instances):
    """Return what is left of a run, divided by the attempts in its log."""
    workload.simulation(2400, seed=1).run()  # what is imported on the way is not counted
    simulation = workload.simulation(instances, seed=1)
    gc.collect()
    tracemalloc.start()
    try:
        log = simulation.run()
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    return taken / len(log.filter(wfsim.Kind.STEP_STARTED))
