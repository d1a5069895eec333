"""Workload W against raw SimPy in the same run: ratios are printed, means are checked."""

from __future__ import annotations

import gc
import time

import pytest

from tests.bench import workload


def timed(work, *args):
    """Return what *work* returns and its CPU seconds.

    What other tests have left behind is kept from the collector, which would have to
    look through it during the measurement: it made raw SimPy ten times slower.
    """
    gc.collect()
    gc.freeze()
    try:
        began = time.process_time()
        result = work(*args)
        return result, time.process_time() - began
    finally:
        gc.unfreeze()


@pytest.mark.parametrize("instances", [1000, 10_000])
def test_the_engine_gives_the_same_latencies_as_simpy_by_hand(instances, capsys):
    for warm_up in (workload.by_hand, workload.by_wfsim):
        timed(warm_up, 100, 1)
    by_hand, hand_seconds = timed(workload.by_hand, instances, 1)
    by_wfsim, seconds = timed(workload.by_wfsim, instances, 1)
    means = []
    for frame in (by_hand, by_wfsim):
        found = workload.latencies(frame)
        assert len(found) == instances
        half_width = 3.0 * found.std() / instances**0.5
        assert abs(found.mean() - workload.THEORY) < half_width
        means.append(found.mean())
    steps = instances * len(workload.STEPS)
    with capsys.disabled():
        print(
            f"\nW, {instances} instances: {seconds / hand_seconds:.2f} times raw SimPy "
            f"({seconds / steps * 1e6:.1f} against {hand_seconds / steps * 1e6:.1f} us a "
            f"step); mean latency {means[1]:.2f} s against {means[0]:.2f} s, "
            f"theory {workload.THEORY:.2f} s"
        )
