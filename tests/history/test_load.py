"""How often runs arrive and processes crash, as a history tells it."""

from __future__ import annotations

import math

import pandas as pd
import pytest

import wfsim
from wfsim.history.attempts import COLUMNS


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
        ("mean between arrivals", "F", 3, 13.33, 4.56, 64.65),
        ("mean until a crash", "", 1, 34.0, 6.1, 1342.93),
        ("mean until work goes on", "", 1, 6.0, 1.63, 236.99),
        ("workers", "", 2, 2.0, 2.0, math.inf),
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
