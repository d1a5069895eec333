"""From a history to steps with durations and failures: fitted, chosen, written, drawn."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

import wfsim
from tests.sizes import FULL
from wfsim.history.attempts import COLUMNS
from wfsim.history.fits import Observed, fitted

ROOT = Path(__file__).parents[2]
HISTORY = ROOT / "notebooks/shared_workflow.txt"
CREATE = ROOT / "flows/polardb/shared/create_shared_storage_cluster.yaml"
NIGHTLY = ROOT / "flows/backup/nightly.yaml"


def quantiles(dist, count=60):
    """A sample without luck: evenly spaced quantiles of *dist*."""
    return tuple(float(dist.ppf((n + 0.5) / count)) for n in range(count))


def past_of(*attempts, flow="F"):
    """A history of attempts (step, status, duration) or with (..., waited, case)."""
    rows = []
    for number, (step, status, duration, *more) in enumerate(attempts):
        waited, case = (*more, *(0.0, f"case {number}")[len(more) :])
        censored = status not in ("completed", "failed")
        times = (0.0, duration + waited, duration, waited, censored)
        rows.append((case, flow, "r", step, 1, status, *times))
    return wfsim.read_history(pd.DataFrame(rows, columns=list(COLUMNS)))


@pytest.mark.parametrize(
    ("dist", "name"),
    [
        (stats.lognorm(0.8, scale=30), "lognormal"),
        (stats.gamma(5, scale=4), "gamma"),
        (stats.weibull_min(3.5, scale=20), "weibull"),
        (stats.expon(scale=7), "exponential"),
    ],
)
def test_the_distribution_that_made_a_sample_is_chosen_with_its_parameters(dist, name):
    best = fitted(Observed(quantiles(dist)))[0]
    assert best.name == name
    assert best.duration.mean == pytest.approx(dist.mean(), rel=0.05)
    assert best.ks < 0.02


def test_an_exponential_mean_is_all_time_over_all_ends():
    sample = Observed((1.0, 2.0, 6.0), (9.0, 12.0))
    (fit,) = fitted(sample, ["exponential"])
    assert fit.duration.params == (10.0,)
    # The information of the logarithm of the mean is the number of ends.
    assert fit.spread == ((pytest.approx(1 / 3, rel=1e-3),),)
    assert fit.aic == pytest.approx(2 * (3 * math.log(10) + 3) + 2 + 4, rel=1e-9)


def test_without_censoring_a_lognormal_is_mean_and_deviation_of_logarithms():
    seen = (3.0, 5.0, 8.0, 20.0)
    (fit,) = fitted(Observed(seen), ["lognormal"])
    logs = [math.log(x) for x in seen]
    mean = sum(logs) / 4
    deviation = math.sqrt(sum((x - mean) ** 2 for x in logs) / 4)
    assert fit.duration.params == pytest.approx((mean, deviation), rel=1e-4)
    half = 1.959964 * deviation / 2
    assert fit.interval(0.95)[0][1:] == pytest.approx(
        (mean - half, mean + half), rel=1e-3
    )


def test_an_attempt_that_was_cut_short_makes_a_duration_longer_not_shorter():
    seen = quantiles(stats.gamma(4, scale=5), 30)
    (without,) = fitted(Observed(seen), ["gamma"])
    (with_cut,) = fitted(Observed(seen, (25.0,) * 10), ["gamma"])
    assert without.duration.mean < with_cut.duration.mean


def test_what_took_no_time_took_less_than_the_shortest_that_did():
    (fit,) = fitted(Observed((0.0, 0.0, 4.0, 5.0, 6.0, 8.0)), ["weibull"])
    data = stats.CensoredData([4.0, 5.0, 6.0, 8.0], left=[4.0, 4.0])
    shape, _, scale = stats.weibull_min.fit(data, floc=0)
    assert fit.duration.params == pytest.approx((shape, scale), rel=1e-3)


def test_what_never_varies_is_a_constant_at_no_distance():
    (fit,) = fitted(Observed((0.123456789,) * 3))
    assert (fit.duration, fit.ks) == (wfsim.Duration.parse(0.12346), 0.0)


def test_too_little_is_fitted_with_less():
    assert fitted(Observed(())) == ()
    assert str(fitted(Observed((3.0, 3.0), (2.0,)))[0].duration) == "3 s"
    assert str(fitted(Observed((3.0, 3.0), (9.0,)))[0].duration) == "exponential(7.5)"
    names = [fit.name for fit in fitted(Observed((3.0, 4.0)))]
    assert names == ["exponential", "empirical"]
    (fit,) = fitted(Observed((0.0, 2.0)), ["gamma"])
    assert (fit.name, fit.spread, fit.interval(0.95)) == ("empirical", (), [])


def test_what_is_like_no_distribution_is_taken_as_it_was():
    # Two kinds of jobs: short ones and long ones, nothing between.
    seen = (*(1.0 + n / 64 for n in range(40)), *(900.0 + n for n in range(20)))
    fits = fitted(Observed(seen))
    assert fits[0].duration.params == pytest.approx(seen)
    assert (fits[0].name, fits[0].doubtful) == ("empirical", False)
    assert fits[0].ks < 1e-9
    assert all(fit.doubtful for fit in fits[1:])
    assert [fit.name for fit in fits] == ["empirical", *(fit.name for fit in fits[1:])]
    (only,) = fitted(Observed(seen), ["lognormal"])
    assert (only.name, only.doubtful) == ("lognormal", True)


def test_what_is_taken_as_it_was_counts_what_was_cut_short_as_longer():
    (fit,) = fitted(Observed((1.0, 2.0, 3.0, 4.0), (2.5, 2.5, 6.0)), ["empirical"])
    # Kaplan and Meier: 1/7, 2/7, then 5/7 * 2/3 and * 1/2 are left; the rest is longer.
    assert fit.duration.params == (1.0, 2.0, 3.0, 3.0, 4.0, 6.0, 6.0)
    (fit,) = fitted(Observed((2.0, 1.0)[::-1]), ["empirical"])
    assert fit.duration.params == (1.0, 2.0)


def test_durations_as_they_were_can_be_asked_for_by_name():
    past = past_of(*[("A", "completed", float(n)) for n in range(1, 9)])
    row = wfsim.calibrate(past, candidates=["empirical"]).frame.iloc[0]
    assert (row.chosen, row["mean"], row.p95) == ("empirical", 4.5, 8.0)


def test_failures_have_wilson_s_interval_and_cut_attempts_no_part_in_it():
    past = past_of(
        *[("A", "completed", 2.0 + n) for n in range(9)],
        ("A", "failed", 1.0),
        ("A", "cancelled", 1.0),
        ("A", "timed out", 30.0),
    )
    row = wfsim.calibrate(past).frame.iloc[0]
    assert (row.attempts, row.failures, row.censored, row.failure) == (12, 1, 2, 0.1)
    assert (row.failure_low, row.failure_high) == pytest.approx(
        (0.0179, 0.4042), abs=1e-3
    )


def test_what_a_failed_attempt_took_is_left_out_observed_or_a_lower_bound():
    past = past_of(("A", "completed", 4.0), ("A", "completed", 6.0), ("A", "failed", 2.0))
    means = {
        how: wfsim.calibrate(past, candidates=["exponential"], failed=how)
        .durations["A"]
        .mean
        for how in ("left out", "observed", "censored")
    }
    assert means == {"left out": 5.0, "observed": 4.0, "censored": 6.0}


def test_waiting_is_apart_unless_it_is_asked_for():
    past = past_of(("A", "completed", 1.0, 9.0), ("A", "completed", 3.0, 7.0))
    apart = wfsim.calibrate(past, candidates=["exponential"])
    assert apart.durations["A"].mean == 2.0
    assert apart.frame["waited"].tolist() == [8.0]
    included = wfsim.calibrate(past, waiting="included")
    assert str(included.durations["A"]) == "10 s"


def test_what_follows_a_crash_may_be_left_out():
    past = past_of(
        ("A", "crashed", 5.0, 0.0, "x"),
        ("A", "completed", 1.0, 0.0, "x"),
        ("A", "completed", 9.0, 0.0, "y"),
        ("A", "completed", 3.0, 0.0, "z"),
    )
    for how, mean in (("observed", 6.0), ("left out", 8.5)):
        found = wfsim.calibrate(past, candidates=["exponential"], resumed=how)
        assert found.durations["A"].mean == mean


def test_ends_without_a_beginning_are_not_taken_for_no_end_at_all(tmp_path):
    file = tmp_path / "ends.csv"
    file.write_text("c,s,t,tr\n1,A,5,complete\n2,A,9,complete\n1,B,9,fail\n")
    columns = {"case": "c", "step": "s", "time": "t", "transition": "tr"}
    found = wfsim.calibrate(file, columns=columns)
    assert repr(found) == (
        "<Calibration from 3 attempts: A of unknown duration, B never completed>"
    )
    assert found.text().splitlines()[1:] == [
        "A     0.0%     of unknown duration",
        "B     100.0%   never completed",
    ]


def test_failures_and_limits_of_time_together_leave_durations_as_they_were():
    flow = wfsim.Flow("N", (wfsim.Step("S"),))
    nap = wfsim.Scenario.of_flow(
        flow, duration={"exponential": 10.0}, failure=0.3, policy=wfsim.Policy(timeout=15)
    )
    logs = [wfsim.simulate(nap, seed=seed) for seed in range(400)]
    row = wfsim.calibrate(logs, candidates=["exponential"]).frame.iloc[0]
    assert (row["attempts"], row["failures"], row["censored"]) == (804, 208, 196)
    assert row["p1_low"] < 10.0 < row["p1_high"]
    assert row["p1"] == pytest.approx(10.277)


@pytest.fixture(scope="module")
def calibration():
    return wfsim.calibrate(HISTORY, resumed="left out")


def test_the_history_in_the_repository_is_what_its_script_makes(tmp_path):
    place = ROOT / "notebooks/history.py"
    spec = importlib.util.spec_from_file_location("history", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.make(tmp_path / "again.txt").read_bytes() == HISTORY.read_bytes()


def test_a_history_gives_a_row_per_step(calibration):
    columns = ["step", "attempts", "censored", "failures", "chosen", "doubtful"]
    assert [tuple(row) for row in calibration.frame[columns].itertuples(index=False)] == [
        ("InitMeta", 41, 1, 0, "lognormal", False),
        ("PrepareStorage", 42, 2, 0, "empirical", False),
        ("CreateRwPod", 45, 2, 3, "lognormal", False),
        ("CreateRoPods", 60, 18, 3, "lognormal", False),
        ("CreateClusterManager", 40, 1, 0, "gamma", False),
        ("AddToClusterManager", 42, 3, 0, "lognormal", False),
        ("UpdateRunningStatus", 39, 0, 0, "constant", False),
    ]
    assert repr(calibration).startswith("<Calibration from 309 attempts: InitMeta logno")
    assert calibration.text().splitlines()[2].split() == [
        *("PrepareStorage", "0.0%", "empirical(39", "values", "from", "5", "to", "25)"),
        *("20.0", "s", "0.010"),
    ]


def test_all_candidates_are_there_to_choose_from(calibration):
    frame = calibration.candidates
    part = frame[frame["step"] == "CreateRwPod"]
    names = ["lognormal", "gamma", "weibull", "empirical", "exponential"]
    assert part["candidate"].tolist() == names
    assert part["chosen"].tolist() == [True, False, False, False, False]
    assert part["aic"].dropna().is_monotonic_increasing
    other = calibration.choose("CreateRwPod", "gamma")
    assert other.durations["CreateRwPod"].name == "gamma"
    assert calibration.durations["CreateRwPod"].name == "lognormal"
    seen = calibration.choose("CreateRwPod", "empirical").durations["CreateRwPod"]
    sample = calibration.estimate("CreateRwPod").sample
    assert len(seen.params) == len(sample.seen) + len(sample.cut) == 40
    given = calibration.choose("CreateRwPod", {"uniform": [40, 90]})
    row = given.frame.set_index("step").loc["CreateRwPod"]
    assert (row.chosen, math.isnan(row.p1), row.ks > 0.3) == ("uniform", True, True)


def test_a_wrong_name_is_refused_with_a_hint(calibration):
    for call, told in (
        (lambda: calibration.estimate("CreateRwPods"), "did you mean 'CreateRwPod'"),
        (lambda: calibration.choose("InitMeta", "normal"), "did you mean 'lognormal'"),
        (lambda: calibration.choose("InitMeta", {"gauss": 1}), "unknown distribution"),
        (lambda: calibration.of("Create"), "did you mean 'CreateShared|known: 'Create"),
        (lambda: wfsim.calibrate(HISTORY, candidates=["normal"]), "candidates: unknown"),
        (
            lambda: wfsim.calibrate(HISTORY, confidence=95),
            "confidence is 95; give a number",
        ),
        (lambda: wfsim.calibrate(HISTORY, waiting="in"), "waiting: unknown 'in'"),
        (lambda: calibration.flow(NIGHTLY), "tells of no step of the flow 'NightlyBac"),
    ):
        with pytest.raises(wfsim.UsageError, match=told):
            call()


def test_a_step_of_two_flows_needs_the_name_of_its_flow():
    frames = [
        past_of(
            ("A", "completed", 2.0), ("A", "completed", 2.0 + n), flow=f"F{n}"
        ).attempts
        for n in (1, 2)
    ]
    both = wfsim.calibrate(pd.concat(frames))
    with pytest.raises(wfsim.UsageError, match="'A' is in several flows; take one with"):
        _ = both.durations
    with pytest.raises(
        wfsim.UsageError, match=r"in the flows 'F1', 'F2'; give \(flow, s"
    ):
        both.estimate("A")
    assert [line.split()[:2] for line in both.text().splitlines()[1:]] == [
        ["F1:", "A"],
        ["F2:", "A"],
    ]
    assert both.of("F2").durations["A"] == both.estimate(("F2", "A")).chosen.duration


def test_a_step_that_never_completed_has_no_duration():
    found = wfsim.calibrate(past_of(("A", "crashed", 3.0), ("B", "completed", 1.0)))
    assert list(found.durations) == ["B"]
    assert found.failures == {"A": 0.0, "B": 0.0}
    assert found.frame["chosen"].tolist() == ["", "constant"]
    assert "never completed" in found.text()
    assert found.resampled(1).frame["chosen"].tolist() == ["", "constant"]


def test_the_numbers_run_as_a_flow_and_as_a_file(calibration, tmp_path):
    scenario = calibration.scenario(CREATE)
    (flow,) = scenario.flows.values()
    assert {step.name: step.duration for step in flow.steps} == calibration.durations
    assert dict(scenario.assumed) == {}
    log = wfsim.simulate(scenario, seed=4)
    assert log.fold().resources["resource-0"].state == "Running"
    file = calibration.to_yaml(tmp_path / "create.yaml", flow=CREATE)
    read = {step.name: step for step in wfsim.load_flow(file).steps}
    assert {name: step.duration for name, step in read.items()} == calibration.durations
    assert read["CreateRwPod"].failure == pytest.approx(3 / 43, rel=1e-5)


def test_the_numbers_are_the_steps_of_a_scenario_file(tmp_path):
    found = wfsim.calibrate(
        past_of(
            ("A", "completed", 2.0), ("A", "completed", 2.0), ("A", "failed", 2.0),
            ("B", "completed", 1.0), ("B", "completed", 4.0), ("C", "crashed", 1.0),
        )
    ).choose("B", "empirical")  # fmt: skip
    assert found.to_yaml(tmp_path / "steps.yaml").read_text() == (
        "steps:\n"
        "  A: {duration: 2.0, failure: 0.333333}\n"
        "  B:\n"
        "    duration:\n"
        "      empirical: [1.0, 4.0]\n"
        "    failure: 0.0\n"
        "  C: {failure: 0.0}\n"
    )


def test_the_section_of_steps_is_taken_by_a_scenario_file(calibration, tmp_path):
    file = calibration.to_yaml(tmp_path / "scenario.yaml")
    file.write_text(f"flow: {CREATE}\n{file.read_text()}")
    (flow,) = wfsim.Scenario.load(file).flows.values()
    assert {step.name: step.duration for step in flow.steps} == calibration.durations


def test_numbers_of_a_step_from_a_group_are_not_lost_in_silence(tmp_path):
    (tmp_path / "g_step_group.yaml").write_text(
        "groupName: G\nsteps:\n- {stepName: A, duration: 1}\n"
    )
    file = tmp_path / "f.yaml"
    file.write_text("flowName: F\nsteps:\n- groupName: G\n")
    found = wfsim.calibrate(past_of(("A", "completed", 2.0)))
    assert found.scenario(file).flows["F"].steps[0].duration == wfsim.Duration.parse(2)
    with pytest.raises(wfsim.UsageError, match="step 'A' comes from a group"):
        found.to_yaml(tmp_path / "out.yaml", flow=file)


def test_what_is_drawn_from_the_uncertainty_spreads_as_far_as_it_is(calibration):
    kept = calibration.choose("InitMeta", "empirical")
    drawn = [kept.resampled(seed) for seed in range(200)]
    item = calibration.estimate("CreateRwPod")
    values = pd.Series([each.durations["CreateRwPod"].params[0] for each in drawn])
    deviation = math.sqrt(item.chosen.spread[0][0])
    # The mean of 200 draws is off by more than 4/sqrt(200) deviations once in 16,000.
    assert abs(values.mean() - item.chosen.duration.params[0]) < 0.29 * deviation
    assert 0.8 * deviation < values.std() < 1.2 * deviation
    failures = pd.Series([each.failures["CreateRwPod"] for each in drawn])
    posterior = stats.beta(3.5, 40.5)
    assert stats.kstest(failures, posterior.cdf).pvalue > 0.001
    assert len({each.durations["InitMeta"] for each in drawn}) == 200
    again = kept.resampled(7)
    assert again.durations == drawn[7].durations
    # A draw for one step does not depend on what is chosen for another.
    assert calibration.resampled(7).failures == again.failures


def test_quantiles_of_a_good_fit_lie_in_their_band(calibration):
    frame = calibration.quantiles("CreateRwPod")
    assert len(frame) == len(calibration.estimate("CreateRwPod").sample.seen)
    assert frame["share"].is_monotonic_increasing
    assert ((frame["low"] < frame["fitted"]) & (frame["fitted"] < frame["high"])).all()
    inside = (frame["low"] <= frame["observed"]) & (frame["observed"] <= frame["high"])
    assert inside.mean() >= 0.95


def test_a_qq_plot_says_how_many_durations_are_outside_its_band(calibration):
    chosen = calibration.choose("PrepareStorage", "lognormal")
    chart = wfsim.charts.qq(chosen, "PrepareStorage")
    assert chart.sentence == (
        "Q-Q plot of step PrepareStorage against lognormal(2.1613, 0.48949): 38 "
        "durations from 5.0 s to 25.0 s and 1 that were cut short; 10 outside the 95% "
        "band; KS distance 0.255."
    )
    assert list(chart.frame.columns) == ["share", "observed", "fitted", "low", "high"]
    assert chart.axes.get_xlabel() == "quantile of the fitted distribution [s]"
    marks = [mark.get_offsets() for mark in chart.axes.collections[1:]]
    assert [len(places) for places in marks] == [28, 10]
    assert chart.png()[:4] == b"\x89PNG"


def test_a_qq_plot_of_nothing_says_so():
    found = wfsim.calibrate(past_of(("A", "crashed", 3.0)))
    chart = wfsim.charts.qq(found, "A")
    assert chart.sentence == "Q-Q plot of step A: never completed."
    zero = wfsim.calibrate(past_of(("A", "completed", 0.0)))
    assert wfsim.charts.qq(zero, "A").axes.get_xlim() == (0.0, 1.0)


@pytest.mark.parametrize(
    ("durations", "limits", "scale"),
    [
        ([1000.0, 1004.0, 1002.0, 1001.0], (999.0, 1005.0), "linear"),
        ([10.0, 60.0, 30.0, 20.0], (0.0, 70.0), "linear"),
        ([1.0, 900.0, 30.0, 5.0], (0.1, 9000.0), "log"),
    ],
)
def test_the_axes_of_a_qq_plot_fit_what_is_seen(durations, limits, scale):
    found = wfsim.calibrate(past_of(*(("A", "completed", each) for each in durations)))
    chart = wfsim.charts.qq(found.choose("A", "empirical"), "A")
    low, high = chart.axes.get_xlim()
    assert (low, high) == chart.axes.get_ylim()
    assert limits[0] <= low < min(durations) < max(durations) < high <= limits[1]
    assert chart.axes.get_xscale() == scale
    assert ("on a logarithmic axis" in chart.sentence) == (scale == "log")


lengths = st.one_of(st.floats(0.0, 1e6), st.sampled_from([0.0, 1.0, 5.0, 1e-9]))


@settings(max_examples=25 if FULL else 10, deadline=None)
@example([954903.0, 955179.0, 957883.0], [])
@given(st.lists(lengths, max_size=30), st.lists(lengths, max_size=10))
def test_whatever_the_sample_what_is_fitted_is_a_duration(seen, cut):
    fits = fitted(Observed(tuple(sorted(seen)), tuple(sorted(x for x in cut if x > 0.0))))
    assert bool(fits) == bool(seen)
    for fit in fits:
        assert wfsim.Duration.parse(fit.duration.spec()) == fit.duration
        assert 0.0 <= fit.ks <= 1.0
        for value, low, high in fit.interval(0.95):
            assert low <= value <= high
