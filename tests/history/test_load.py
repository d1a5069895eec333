"""How often runs arrive and processes crash, as a history tells it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import wfsim
from tests.sizes import FULL, four_deviations
from wfsim.history.attempts import COLUMNS
from wfsim.history.load import is_poisson


def past_of(*attempts):
    """A history of attempts (case, status, start, end)."""
    rows = [
        (case, "F", "r", "A", 1, status, start, end, end - start, 0.0,
         status not in ("completed", "failed"))
        for case, status, start, end in attempts
    ]  # fmt: skip
    return wfsim.read_history(pd.DataFrame(rows, columns=list(COLUMNS)))


SMALL = past_of(
    ("1", "completed", 0.0, 10.0),
    ("2", "crashed", 4.0, 20.0),
    ("3", "crashed", 15.0, 20.0),
    ("2", "completed", 26.0, 30.0),
    ("3", "completed", 28.0, 40.0),
)


def test_a_small_history_gives_its_means_with_intervals():
    load = wfsim.calibrate(SMALL).load
    assert repr(load) == "<Load of 40 s: 3 runs, 1 crash, 2 workers>"
    rows = [tuple(row) for row in load.frame.round(2).itertuples(index=False)]
    # 2 * 40 / chi2(0.975, 8) and 2 * 40 / chi2(0.025, 6)
    assert rows == [
        ("mean between arrivals", "F", 3, 13.33, 4.56, 64.65, False),
        ("mean until a crash", "", 1, 34.0, 6.1, 1342.93, False),
        ("mean until work goes on", "", 1, 6.0, 1.63, 236.99, False),
        ("workers", "", 2, 2.0, 2.0, math.inf, False),
    ]
    assert load.arrivals() == load.arrivals("F") == wfsim.demand.Times(mean=40.0 / 3)
    assert load.crashes() == wfsim.demand.Rate(mtbf=34.0, mttr=6.0)


def test_what_a_log_was_simulated_with_is_inside_its_interval():
    flow = wfsim.Flow("F", (wfsim.Step("A", duration=wfsim.Duration.parse(5)),))
    arrivals = wfsim.demand.Arrivals(
        wfsim.Resource("db", "db-{n}"), wfsim.demand.Times(mean=20.0)
    )
    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    scenario = wfsim.Scenario(
        [],
        machine.unstable("Creating", run="F"),
        [flow],
        arrivals=[arrivals],
        policy=wfsim.Policy(workers=3),
    )
    load = wfsim.calibrate(wfsim.simulate(scenario, seed=3, until=20_000)).load
    row = load.frame.iloc[0]
    assert row["count"] > 900
    assert row["low"] < 20.0 < row["high"]
    assert row["high"] - row["low"] < 3.0
    assert load.workers == 3


def starts(*times):
    """A history of runs that begin then."""
    return wfsim.calibrate(
        past_of(*((str(n), "completed", t, t + 1.0) for n, t in enumerate(times)))
    ).load


def test_gaps_that_are_not_exponential_are_doubtful_and_may_be_resampled():
    draws = np.random.default_rng(1)
    poisson = starts(*np.cumsum(draws.exponential(60.0, 200)).tolist())
    assert poisson.frame["doubtful"].tolist() == [False] * 4
    every = starts(*(60.0 * number for number in range(200)))
    assert every.frame["doubtful"].tolist() == [True, False, False, False]
    times = every.arrivals("F", resampled=True)
    assert times == wfsim.demand.Times.resampled([60.0 * n for n in range(200)])
    assert times.gap == pytest.approx(60.0)
    with pytest.raises(wfsim.UsageError, match="at one time only"):
        starts(5.0, 5.0).arrivals(resampled=True)


def test_a_poisson_process_is_doubted_in_one_of_twenty_cases():
    draws = np.random.default_rng(2)
    gaps = draws.exponential(1.0, (2000 if FULL else 400, 50))
    doubted = sum(not is_poisson(np.cumsum(row).tolist()) for row in gaps)
    share = doubted / len(gaps)
    print(f"{share:.1%} of {len(gaps)}")
    assert share == pytest.approx(0.05, abs=four_deviations(0.05, len(gaps)))


def test_load_is_refused_where_there_is_none_to_tell_of():
    load = wfsim.calibrate(past_of(("1", "completed", 0.0, 10.0))).load
    with pytest.raises(wfsim.UsageError, match="tells of no crash after which work went"):
        load.crashes()
    with pytest.raises(wfsim.UsageError, match="no flow 'G'; known: 'F'"):
        load.arrivals("G")
    frame = load.frame.set_index("measure")
    assert frame.loc["mean until a crash", "estimate"] == math.inf
    flow = wfsim.Flow("F", (wfsim.Step("A", duration=wfsim.Duration.parse(5)),))
    log = wfsim.simulate(wfsim.Scenario.of_flow(flow))
    with pytest.raises(wfsim.UsageError, match="load is of one history, and this was ma"):
        _ = wfsim.calibrate([log, log]).load
