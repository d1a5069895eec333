"""When there are enough replications."""

from __future__ import annotations

import math

import pytest

import wfsim
from fake_resources import polardb
from wfsim.errors import UsageError
from wfsim.study.estimates import Interval
from wfsim.types import Precision


def widths(*halves):
    """Intervals around 100 of those half-widths, after 3, 4, 5 ... replications."""
    return lambda n: Interval(100.0, 100.0 - halves[n - 3], 100.0 + halves[n - 3])


def test_the_rule_ends_when_a_narrow_interval_has_stayed_narrow():
    rule = Precision("mean", relative=0.05, look_ahead=2)
    #                3  4  5  6  7  8
    at = widths(*[9, 5, 4, 6, 5, 4, 3])
    # At 4 it is narrow, but lost at 6; from 7 on it stays, and 8 and 9 bear it out.
    assert rule.enough(at, 9) == 9
    assert rule.enough(at, 8) == 0


def test_the_look_ahead_grows_beyond_a_hundred():
    rule = Precision("mean", relative=0.05)
    assert [rule.ahead(n) for n in (3, 100, 101, 200)] == [5, 5, 6, 10]


def test_a_point_is_replicated_until_its_measure_is_known_well_enough():
    study = wfsim.sweep(
        polardb.scenario,
        {"replicas": [1, 2]},
        replications=500,
        precision="mean within 4 %",
    )
    row = study.summary().iloc[0]
    assert study.settled == (True, True)
    assert row["replications"] < 500
    assert (row["mean_high"] - row["mean_low"]) / 2 <= 0.04 * row["mean"]
    exactly = wfsim.sweep(
        polardb.scenario, {"replicas": [1]}, replications=int(row["replications"])
    )
    assert exactly.summary().iloc[0].tolist() == study.summary().iloc[0].tolist()


def test_a_success_rate_is_not_known_for_sure_since_nothing_has_failed_yet():
    study = wfsim.sweep(
        polardb.scenario, replications=300, precision=Precision("success", absolute=0.05)
    )
    row = study.summary().iloc[0]
    assert study.settled == (True,)
    assert row["success"] == 1.0
    assert 0.9 <= row["success_low"] < 0.95
    assert row["replications"] > 30


def test_it_ends_at_the_limit_and_says_that_it_was_not_reached():
    study = wfsim.sweep(
        polardb.scenario, replications=25, precision=Precision("p95", relative=0.01)
    )
    assert study.settled == (False,)
    assert len(study.replications) == 25


def test_it_ends_when_it_is_clear_which_of_two_is_better():
    study = wfsim.sweep(
        polardb.scenario,
        {"pod_failure": [0.0, 0.2]},
        replications=500,
        precision="is 0.0 better than 0.2?",
    )
    counts = study.summary()["replications"].tolist()
    assert study.settled == (True, True)
    assert counts[0] == counts[1] < 100
    (pair,) = study.compare().to_dict("records")
    assert pair["low"] > 0


def test_the_number_of_processes_changes_nothing():
    over = {"replicas": [1, 2]}
    serial, parallel = (
        wfsim.sweep(
            polardb.scenario, over, replications=60, precision="p50 within 8 %", jobs=jobs
        )
        for jobs in (1, 2)
    )
    assert serial.replications.to_csv() == parallel.replications.to_csv()
    assert serial.settled == parallel.settled


def test_a_precision_says_what_it_is():
    assert repr(Precision.parse("mean within 2 s")) == "Precision('mean', absolute=2.0)"
    assert Precision.parse("p95 within 5%") == Precision("p95", relative=0.05)
    rule = Precision("mean", between=("a", "b"), confidence=0.9)
    assert repr(rule) == "Precision('mean', between=('a', 'b'), confidence=0.9)"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "give one of relative, absolute and between"),
        ({"relative": 0.1, "absolute": 1.0}, "give one of"),
        ({"relative": 0.0}, "relative is 0.0; give more than 0"),
        ({"absolute": math.inf}, "absolute is inf"),
        ({"relative": 0.1, "confidence": 95}, "confidence is 95"),
        ({"relative": 0.1, "look_ahead": -1}, "look_ahead is -1"),
        ({"measure": "p95", "between": ("a", "b")}, "compares means"),
    ],
)
def test_a_precision_that_makes_no_sense_is_refused(arguments, said):
    with pytest.raises(UsageError, match=said):
        Precision(**arguments)
