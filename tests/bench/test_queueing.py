"""Workload W through a pool of 50: wfsim, SimPy by hand and the theory agree."""

from __future__ import annotations

import pytest
from scipy.stats import poisson

from tests.bench import queueing

PROGRAMS = {"by hand": queueing.by_hand, "wfsim": queueing.by_wfsim}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_mean_latency_of_the_queue_is_that_of_the_theory(name):
    found = PROGRAMS[name](1000, 1, queueing.SERVERS)
    queueing.check(found, 1000, queueing.SERVERS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_scarce_pool_takes_as_long_as_the_work_divided_by_its_places(name):
    # 100 instances bring 3,684 s of work on average, within 100 s; 5 do it in 737 s.
    attempts = PROGRAMS[name](100, 1, 5).attempts
    assert 650.0 < attempts["end"].max() < 830.0


def test_the_theory_of_the_queue_is_erlangs():
    load = (queueing.theory() - 7 * 10.0 * (0.05 + 0.05**2 + 0.05**3)) / 1.0
    blocked = poisson.pmf(50, load) / poisson.cdf(50, load)
    waits = blocked / (1.0 - load / 50 * (1.0 - blocked))
    seconds = load / 5.0 * waits / (50 / 5.0 - load / 5.0)
    assert queueing.theory(50) == pytest.approx(queueing.theory() + seconds)
    assert seconds == pytest.approx(0.0723, abs=1e-4)
