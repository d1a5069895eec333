"""What was held out of a history says how good the forecast is."""

from __future__ import annotations

import pandas as pd
import pytest
from scipy import stats

import wfsim
from wfsim.history.attempts import COLUMNS


def past_of(*attempts, flow="F"):
    """A history of attempts (step, status, duration), each the only one of its run."""
    rows = [
        (f"case {n:04}", flow, "r", step, 1, status, n, n + length, length, 0.0,
         status not in ("completed", "failed"))
        for n, (step, status, length) in enumerate(attempts)
    ]  # fmt: skip
    return wfsim.read_history(pd.DataFrame(rows, columns=list(COLUMNS)))


def completed(dist, count, step="A"):
    """Attempts without luck: as long as evenly spaced quantiles of *dist*."""
    shares = [(n + 0.5) / count for n in range(count)]
    return [(step, "completed", float(dist.ppf(share))) for share in shares]


TEN = stats.expon(scale=10.0)


def test_a_right_forecast_covers_what_its_confidence_says():
    first = past_of(*completed(TEN, 200))
    validation = wfsim.calibrate(first).validate(past_of(*completed(TEN, 400)))
    (row,) = validation.frame.itertuples()
    assert (row.flow, row.step, row.durations) == ("F", "A", 400)
    assert row.coverage == pytest.approx(0.95, abs=0.005)
    assert row.coverage_low < 0.95 < row.coverage_high
    assert (row.ks < 0.02, row.doubtful) == (True, False)
    frame = validation.histogram()
    assert frame["durations"].tolist() == pytest.approx([40.0] * 10, abs=2.0)
    assert frame[["expected", "least", "most"]].iloc[0].tolist() == [40.0, 29.0, 52.0]


def test_durations_that_have_become_longer_are_doubtful_and_lie_to_the_right():
    first = past_of(*completed(TEN, 200))
    later = past_of(*completed(stats.expon(scale=30.0), 60))
    validation = wfsim.calibrate(first).validate(later)
    (row,) = validation.frame.itertuples()
    assert (row.doubtful, row.coverage < 0.85) == (True, True)
    chart = wfsim.charts.pit(validation, "A")
    assert chart.sentence == (
        "PIT of A: 60 durations held out, in 10 bins of 6.0 expected; 1 bin outside the "
        "95% band."
    )
    assert chart.frame["durations"].iloc[-1] > chart.frame["most"].iloc[-1]
    assert chart.png()[:4] == b"\x89PNG"


def test_what_was_cut_short_counts_evenly_above_its_bound():
    first = past_of(*completed(TEN, 200))
    median = TEN.ppf(0.5)
    later = past_of(("A", "completed", median), ("A", "cancelled", median))
    pit = wfsim.calibrate(first).validate(later).pit("A")
    known, cut = pit[["low", "high"]].to_numpy().tolist()
    assert known == pytest.approx([0.5, 0.5], abs=0.01)
    assert cut == pytest.approx([0.5, 1.0], abs=0.01)
    shares = wfsim.calibrate(first).validate(later).histogram(bins=2)["durations"]
    assert shares.sum() == pytest.approx(2.0)


def test_a_constant_that_comes_again_is_forecast_as_well_as_can_be():
    first = past_of(*[("A", "completed", 5.0)] * 20)
    validation = wfsim.calibrate(first).validate(first)
    assert validation.pit()[["low", "high"]].to_numpy().tolist() == [[0.0, 1.0]] * 20
    (row,) = validation.frame.itertuples()
    assert (row.ks, row.doubtful, row.coverage) == (0.0, False, pytest.approx(0.95))


def test_failures_are_held_against_those_that_were_forecast():
    first = past_of(*[("A", "completed", 5.0)] * 95, *[("A", "failed", 5.0)] * 5)
    for failed, p in ((1, 1.0), (10, stats.hypergeom(120, 15, 20).sf(9))):
        later = past_of(
            *[("A", "completed", 5.0)] * (20 - failed), *[("A", "failed", 5.0)] * failed
        )
        (row,) = wfsim.calibrate(first).validate(later).frame.itertuples()
        assert (row.forecast, row.failure) == (0.05, failed / 20)
        assert row.failure_p == pytest.approx(p, rel=0.01)


def test_steps_that_were_not_calibrated_are_missing_and_not_passed_over():
    first = past_of(*completed(TEN, 20), ("C", "crashed", 3.0))
    later = past_of(*completed(TEN, 20), ("B", "completed", 1.0), ("C", "completed", 2.0))
    validation = wfsim.calibrate(first).validate(later)
    assert validation.missing == (("F", "B"),)
    frame = validation.frame.set_index("step")
    assert frame["durations"].to_dict() == {"A": 20, "C": 0}
    assert wfsim.charts.pit(validation, "C").sentence == (
        "PIT of C: no duration was held out."
    )
    with pytest.raises(wfsim.UsageError, match="no step 'D'; known: 'A', 'C'"):
        validation.pit("D")
    with pytest.raises(wfsim.UsageError, match="tells of no step of this calibration, b"):
        wfsim.calibrate(first).validate(past_of(*completed(TEN, 3), flow="G"))


def test_what_counts_as_a_duration_is_as_in_the_calibration():
    first = past_of(*completed(TEN, 20), *[("A", "failed", 1.0)] * 5)
    observed = wfsim.calibrate(first, failed="observed").of("F")
    assert len(observed.validate(first).pit()) == 25
    assert len(wfsim.calibrate(first).validate(first).pit()) == 20


def test_a_history_is_split_by_when_its_runs_began():
    past = past_of(*completed(TEN, 10))
    first, second = past.split(0.7)
    assert (len(first), len(second)) == (7, 3)
    assert first.attempts["start"].max() < second.attempts["start"].min()
    for share in (0.0, 1.0, 0.01, -1):
        with pytest.raises(wfsim.UsageError, match="of 10 runs; give a number between 0"):
            past.split(share)
