"""Intervals and comparisons: against literal figures, and against the truth."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import wfsim
from tests.sizes import FULL
from wfsim.errors import UsageError
from wfsim.report.load import average
from wfsim.study.comparison import best_of, difference, holm, p_value
from wfsim.study.estimates import Sample, interval, of_mean, of_success, share_of
from wfsim.study.grid import FrameByPoint, Rows
from wfsim.study.objective import Objective
from wfsim.study.study import Study

CONFIDENCE = 0.9
STUDIES = 200 if FULL else 60
LEEWAY = 0.07 if FULL else 0.12
"""Binomial: at 90 % 200 studies give 84 % to 95 % in 99 of 100 cases, 60 80 % to 98 %."""


def simple(values, share=None):
    """A sample with one number for each replication."""
    values = np.array(values, dtype=float)
    numbers = np.arange(len(values))
    return Sample(numbers, values, None if share is None else numbers, share)


def scenario(pace=10.0, failure=0.0, flows=1, workers=26):
    """Flows of one exponential step, which may fail for good, on so many workers."""

    def Only(context):
        yield from context.sleep(-pace * math.log1p(-context.draw("duration")))
        if context.draw("failure") < failure:
            raise wfsim.errors.StepFailed("by chance")

    return wfsim.Scenario(
        [wfsim.Resource("w", f"r{number:02}") for number in range(flows)],
        wfsim.StateMachine("w")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="F"),
        [wfsim.Flow("F", (wfsim.Step("Only"),), retry=wfsim.Retry(limit=0))],
        [Only],
        policy=wfsim.Policy(workers=workers),
    )


def test_the_interval_of_a_mean_is_students():
    found = of_mean(np.array([4.0, 6.0, 8.0, 10.0]), 0.95)
    assert found == pytest.approx((7.0, 2.891480, 11.108520), abs=1e-6)
    assert of_mean(np.array([3.0])) == (3.0, -math.inf, math.inf)
    assert all(map(math.isnan, of_mean(np.array([]))))


def test_one_run_each_gives_wilsons_interval_of_a_success_rate():
    shares = np.array([1.0] * 9 + [0.0])
    found = of_success(shares, np.ones(10))
    assert found == pytest.approx((0.9, 0.595850, 0.982124), abs=1e-6)
    never = of_success(np.ones(10), np.ones(10))
    assert never == pytest.approx((1.0, 0.722467, 1.0), abs=1e-6)


def test_several_runs_each_count_as_many_as_would_vary_as_their_replications_do():
    shares, runs = np.array([0.5, 0.75, 1.0, 0.75]), np.full(4, 4)
    # The variance of the mean is 1/96, that of 18 runs: Wilson, with 16 and Student's t.
    found = of_success(shares, runs)
    assert found == pytest.approx((0.75, 0.366611, 0.939574), abs=1e-6)


def test_the_interval_is_not_wider_where_all_succeed_than_where_one_does_not():
    runs = np.full(7, 101)
    every, one_less = np.ones(7), np.array([1.0] * 6 + [100 / 101])
    best, next_best = of_success(every, runs), of_success(one_less, runs)
    assert best.high == 1.0
    assert best.half_width <= next_best.half_width
    assert best.low > next_best.low


def test_the_interval_of_a_quantile_are_order_statistics():
    # Of 1 to 100 the 40th and the 61st bound the median (Conover 1999, 3.2).
    median = interval(simple(range(1, 101), 0.5))
    assert median == (50.5, 40.0, 61.0)
    assert interval(simple(range(1, 21), 0.95)).high == math.inf


def test_runs_of_one_replication_are_no_evidence_of_their_own():
    """A hundred copies of each run say no more than one does."""
    once = simple([float(value * value) for value in range(1, 41)], 0.5)
    copies = Sample(
        np.arange(40), np.repeat(once.values, 100), np.repeat(np.arange(40), 100), 0.5
    )
    naive = interval(Sample(np.arange(4000), copies.values, np.arange(4000), 0.5))
    honest = interval(copies)
    assert honest.half_width > 5 * naive.half_width
    assert honest.half_width == pytest.approx(interval(once).half_width, rel=0.1)


def test_a_resample_of_replications_has_the_quantile_of_their_runs():
    values = np.array([5.0, 1.0, 9.0, 2.0, 7.0])
    sample = Sample(np.arange(3), values, np.array([0, 1, 1, 2, 2]), 0.75)
    drawn = np.array([[0, 0, 1], [2, 2, 2], [1, 0, 2]])
    runs = {0: [5.0], 1: [1.0, 9.0], 2: [2.0, 7.0]}
    expected = [
        np.quantile([value for place in row for value in runs[place]], 0.75)
        for row in drawn.tolist()
    ]
    assert sample.of(drawn).tolist() == pytest.approx(expected)


def test_names_of_quantiles():
    assert [share_of(name) for name in ("p50", "p99.9", "p0", "p100", "pod")] == [
        *(0.5, pytest.approx(0.999), None, None, None)
    ]


def test_the_difference_of_means_is_paired_and_bca():
    noise = np.random.default_rng(1).exponential(size=50)
    shift = np.random.default_rng(2).exponential(size=50)
    a, b = simple(100 * noise), simple(100 * noise + shift)
    found = difference(a, b)
    expected = stats.bootstrap((shift,), np.mean, n_resamples=20_000, rng=1)
    assert found.estimate == pytest.approx(shift.mean())
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=0.03)
    assert found.high == pytest.approx(expected.confidence_interval.high, abs=0.03)
    assert p_value(a, b) == pytest.approx(2 / 5000)
    assert p_value(a, a) == 1.0


def test_where_every_pair_differs_alike_the_interval_is_a_point():
    a = simple([1.0, 2.0, 3.0])
    assert difference(a, simple([2.0, 3.0, 4.0])) == pytest.approx((1.0, 1.0, 1.0))


def test_holms_correction_is_that_of_his_paper():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, math.nan, 0.8])[0] == 1.0


@pytest.fixture(scope="module")
def queue():
    """Thirty exponential jobs on three workers: replications whose runs are alike."""
    return wfsim.sweep(
        partial(scenario, flows=12, workers=3), {"pace": [10.0]},
        replications=40, measure=lambda log: log.records[-1].time,
    )  # fmt: skip


def covered(make, truths, replications, **more):
    """How many of many studies have each of *truths* inside their intervals."""
    hits = dict.fromkeys(truths, 0)
    study = wfsim.sweep(make, replications=replications * STUDIES, progress=False, **more)
    for number in range(STUDIES):
        row = part(study, number * replications, replications).summary(CONFIDENCE).iloc[0]
        for name, truth in truths.items():
            hits[name] += row[f"{name}_low"] <= truth <= row[f"{name}_high"]
    print({name: f"{hit / STUDIES:.1%}" for name, hit in hits.items()})
    return {name: hit / STUDIES for name, hit in hits.items()}


def part(study, first, count):
    """The study of those replications alone."""
    inside = {}
    for name in ("runs", "replications", "steps", "loads"):
        frame = getattr(study, name)
        frame = frame[frame["replication"].between(first, first + count - 1)]
        inside[name] = FrameByPoint(frame, [0] * len(frame))
    return Study((), study.points, inside)


def test_intervals_of_single_exponential_runs_cover_the_truth_as_often_as_they_say():
    # One in five is never done, so the p50 is where 62.5 % of the others are.
    truths = {"mean": 10.0, "p50": -10 * math.log(0.375), "success": 0.8}
    truths["p95"] = math.inf
    share = covered(partial(scenario, failure=0.2), truths, 30)
    # Order statistics and Wilson's interval cover at least as much as they say.
    assert abs(share["mean"] - CONFIDENCE) < LEEWAY
    assert CONFIDENCE - LEEWAY < share["p50"] <= (0.98 if FULL else 1.0)
    assert share["p95"] == 1.0
    assert CONFIDENCE - LEEWAY < share["success"] <= (0.98 if FULL else 1.0)


def test_intervals_of_runs_that_depend_on_each_other_cover_the_truth_as_well():
    """Durations share a factor within a replication, so their runs are one cluster."""

    def make():
        made = scenario(flows=3)

        def Only(context):
            common = -math.log1p(-context.world.draw("common"))
            own = -math.log1p(-context.draw("own"))
            yield from context.sleep(10.0 * common + own)

        return wfsim.Scenario(
            made.resources, made.machines.values(), made.flows.values(), [Only],
            world=wfsim.World,
        )  # fmt: skip

    # The sum of exponentials of mean 10 and 1: its distribution function, solved.
    times = np.linspace(0.0, 60.0, 600_001)
    shares = 1.0 - (10.0 * np.exp(-times / 10.0) - np.exp(-times)) / 9.0
    median = float(times[np.searchsorted(shares, 0.5)])
    share = covered(make, {"mean": 11.0, "p50": median}, 20)
    assert abs(share["mean"] - CONFIDENCE) < LEEWAY
    assert CONFIDENCE - LEEWAY < share["p50"] <= (0.96 if FULL else 1.0)


def test_a_summary_has_a_row_for_each_point_and_each_measure_with_its_interval(queue):
    summary = queue.summary()
    assert list(summary.columns) == [
        *("pace", "replications", "runs", "unfinished"),
        *("mean", "mean_low", "mean_high"),
        *("p50", "p50_low", "p50_high", "p95", "p95_low", "p95_high"),
        *("total", "total_low", "total_high"),
        *("total_p95", "total_p95_low", "total_p95_high"),
        *("success", "success_low", "success_high"),
        *("measure", "measure_low", "measure_high"),
    ]
    row = summary.iloc[0]
    assert (row["replications"], row["runs"], row["unfinished"]) == (40, 480, 0)
    for name in ("mean", "p50", "p95", "success", "measure"):
        assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]


@pytest.fixture(scope="module")
def study():
    over = {"pace": [10.0, 11.0, 20.0], "failure": [0.0, 0.2]}
    return wfsim.sweep(scenario, over, replications=60)


def test_comparing_by_a_parameter_leaves_the_others_as_columns(study):
    pairs = study.compare(by="pace", baseline=10.0)
    assert pairs[["failure", "a", "b", "replications"]].values.tolist()[:2] == [
        [0.0, "10", "11", 60],
        [0.0, "10", "20", 60],
    ]
    # Under the same draws every run takes a tenth longer, so that this is all but sure.
    first = pairs.iloc[0]
    assert first["relative"] == pytest.approx(0.1)
    assert first["difference"] == pytest.approx(first["at_b"] - first["at_a"])
    assert 0 < first["low"] < first["difference"] < first["high"]
    assert (pairs["p_holm"] >= pairs["p"]).all()
    chart = wfsim.charts.comparison(pairs[pairs["failure"] == 0.0])
    assert chart.axes.get_xlabel() == "difference in total [virtual s]"
    shares = wfsim.charts.comparison(study.compare("success", by="pace"))
    assert shares.axes.get_xlabel() == "difference in success"


def test_all_pairs_and_a_baseline_that_is_a_mapping(study):
    assert len(study.compare()) == 15
    base = study.compare("completed_p95", baseline={"pace": 10.0, "failure": 0.0})
    assert len(base) == 5
    assert set(base["a"]) == {"pace 10, failure 0"}


def test_the_best_point_is_ranked_first_with_its_probability(study):
    ranked = study.rank("mean")
    assert ranked["rank"].tolist() == [1, 2, 3, 4, 5, 6]
    assert ranked["best"].sum() == pytest.approx(1.0)
    assert ranked.iloc[0]["pace"] == 10.0
    assert study.rank("success").iloc[0]["failure"] == 0.0


def test_equally_good_points_share_the_probability():
    same = wfsim.sweep(scenario, {"workers": [5, 6]}, replications=5)
    assert same.rank()["best"].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("size", [3, 5, 20])
def test_one_of_two_equal_points_is_surely_the_best_as_rarely_as_it_says(size):
    draws = np.random.default_rng(size)
    trials = 400 if FULL else 120
    samples = [
        [simple(draws.exponential(1.0, size)) for _ in "ab"] for _ in range(trials)
    ]
    sure = sum(best_of(each, 1.0).max() > 0.99 for each in samples)
    print(f"{sure / trials:.1%} of {trials} with {size} replications")
    # By chance 2 in 100; binomial: 120 give at most 7, 400 at most 16 in 99 of 100 cases.
    assert sure <= (16 if FULL else 7)


def test_of_one_replication_nobody_knows_which_point_is_the_best():
    one = wfsim.sweep(scenario, {"pace": [1.0, 2.0]}, replications=1)
    assert one.rank()["best"].isna().all()
    assert "one replication does not tell" in one.decision().reasons[1]
    alone = wfsim.sweep(scenario, replications=1)
    assert alone.rank()["best"].tolist() == [1.0]


def test_sobol_indices_find_the_parameter_that_matters():
    design = wfsim.design.saltelli({"pace": (1.0, 20.0), "workers": range(20, 28)}, 64)
    study = wfsim.sweep(scenario, design, replications=4)
    found = study.sensitivity()
    assert found["parameter"].tolist() == ["pace", "workers"]
    # The mean is the pace times a number that common draws make the same everywhere.
    assert found["first"].tolist() == pytest.approx([1.0, 0.0], abs=0.05)
    assert found["total"].tolist() == pytest.approx([1.0, 0.0], abs=0.05)
    assert (found["total_low"] <= found["total"]).all()


def test_a_design_without_an_effect_has_indices_of_zero():
    design = wfsim.design.saltelli({"workers": range(20, 28)}, 4)
    found = wfsim.sweep(scenario, design, replications=1).sensitivity()
    why = "workers makes no difference at all"
    assert found.values.tolist() == [["workers", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, why]]


def test_a_tornado_of_one_parameter_at_a_time_starts_from_the_base():
    design = wfsim.design.one_at_a_time({"pace": (5.0, 10.0, 20.0), "flows": (1, 2, 3)})
    study = wfsim.sweep(scenario, design, replications=3)
    frame = study.tornado()
    pace = frame.iloc[0]
    assert frame["parameter"].tolist() == ["pace", "flows"]
    assert (pace["low"], pace["high"]) == (5.0, 20.0)
    assert pace["at_low"] == pytest.approx(pace["base"] / 2)
    assert pace["at_high"] == pytest.approx(pace["base"] * 2)
    assert "2 parameters" in repr(wfsim.charts.tornado(frame, "mean"))


def test_a_tornado_of_points_that_differ_in_everything_is_refused():
    design = wfsim.design.latin({"pace": (5.0, 20.0), "flows": range(1, 4)}, 6)
    study = wfsim.sweep(scenario, design, replications=1)
    with pytest.raises(UsageError, match="at one point alone, where all else may be"):
        study.tornado()
    alone = wfsim.sweep(scenario, wfsim.design.latin({"pace": (5.0, 20.0)}, 6))
    assert alone.tornado()["at_high"][0] > alone.tornado()["at_low"][0]


def test_a_tornado_of_nothing_but_failures_is_unknown_and_says_no_more():
    nothing = wfsim.sweep(
        lambda horizon: scenario().but(horizon=horizon),
        {"horizon": [0.1, 0.2]},
        replications=1,
    )
    assert nothing.tornado("mean")[["at_low", "at_high", "base"]].isna().all(axis=None)


def test_the_time_of_runs_goes_into_parts_that_sum_up(queue):
    row = queue.breakdown().iloc[0]
    assert row["runs"] == 480
    parts = ("queued", "steps", "retries_seconds", "recovery", "waiting", "other")
    assert sum(row[part] for part in parts) == pytest.approx(row["total"])
    assert row["queued"] > row["steps"] > 0


def test_the_wait_for_a_worker_is_in_total_and_in_its_quantiles(queue):
    done = queue.runs[queue.runs["status"] == "completed"]
    row = queue.summary().iloc[0]
    assert row["total"] == pytest.approx(done["total"].mean())
    assert row["total_p95"] == pytest.approx(done["total"].quantile(0.95))
    assert row["p95"] == pytest.approx(done["duration"].quantile(0.95))
    assert row["total_low"] < row["total"] < row["total_high"]
    assert row["total"] > 2 * row["mean"]
    (said,) = Objective.parse("total_p95 > 1").violations(queue)
    assert said.startswith("pace 10: total_p95 is ")
    enough = wfsim.sweep(
        partial(scenario, flows=12, workers=3), precision="total_p95 within 20 %"
    )
    assert enough.settled == (True,)


def test_a_study_of_one_log_says_what_its_tables_do_of_steps_workers_and_pools():
    file = "flows/scenarios/backup_capacity.yaml"
    study = wfsim.sweep(file, {"warm_up": [0]}, replications=1)
    seed = int(study.replications["seed"][0])
    log = wfsim.simulate(wfsim.Scenario.load(file, {"warm_up": 0}), seed=seed)
    told = wfsim.tables.critical(log).drop(columns="tail")
    pd.testing.assert_frame_equal(study.critical(by=()), told[study.critical(()).columns])
    assert told["bottleneck"].tolist() == [False, True, False]
    used = wfsim.tables.utilisation(log)
    for row in study.utilisation(by=()).to_dict("records"):
        for name in ("busy", "queue"):
            assert row[name] == pytest.approx(average(used, row["server"], name))
        assert row["share"] == row["busy"] / row["places"]
    places = study.loads.set_index("server")["places"].to_dict()
    assert places == {"workers": 26.0, "uplink": 2.0}


def test_where_the_time_goes_is_told_point_by_point(study):
    steps = study.critical(by="pace")
    assert list(steps.columns) == [
        *("pace", "flow", "step", "runs", "mean", "pool_queue", "share", "bottleneck"),
    ]
    assert steps.groupby("pace")["bottleneck"].sum().tolist() == [1] * len(
        steps["pace"].unique()
    )
    used = study.utilisation()
    assert list(used.columns) == [
        *study.over,
        "server",
        "busy",
        "queue",
        "places",
        "share",
    ]
    assert len(used) == len(study.points)
    one = study.where(**study.points.to_dict("records")[1])
    assert one.utilisation().to_dict("records") == used.to_dict("records")[1:2]


def test_what_happens_in_the_warm_up_is_no_load_and_no_bound_is_no_share():
    busy = scenario().but(warm_up=6e5)
    none = wfsim.sweep(lambda: busy, replications=1)
    assert none.steps.empty
    assert none.critical().empty
    assert none.utilisation()["busy"].isna().tolist() == [True]
    free = wfsim.sweep(
        lambda: busy.but(warm_up=0, policy=wfsim.Policy(workers=10**9)), replications=1
    )
    assert free.utilisation()["share"].isna().tolist() == [True]
    assert free.utilisation()["busy"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda study: study.compare("maen"), "no measure 'maen'; did you mean 'mean'"),
        (
            lambda study: study.compare(by="pce"),
            "no parameter 'pce'; did you mean 'pace'",
        ),
        (lambda study: study.compare(baseline=3), "3 names no point; give a mapping"),
        (
            lambda study: study.compare(by="pace", baseline=3),
            "compare with the baseline 3; ",
        ),
        (lambda study: study.where(pace=10.0).compare(by="pace"), "pace alone; sweep"),
        (lambda study: study.compare(baseline={"x": 3}), "no parameter 'x'"),
        (lambda study: study.compare(baseline={"pace": 10.0}), "names 2 points"),
        (lambda study: study.summary(95), "confidence is 95"),
        (lambda study: study.sensitivity(), "sweep over wfsim.design.saltelli"),
        (lambda study: study.breakdown("x"), "no column 'x'"),
    ],
)
def test_what_makes_no_sense_is_refused(study, call, said):
    with pytest.raises(UsageError, match=said):
        call(study)


def test_a_point_where_nothing_completed_has_no_durations():
    nothing = wfsim.sweep(scenario, {"failure": [0.0, 1.0]}, replications=5)
    row = nothing.summary().iloc[1]
    assert math.isnan(row["mean"])
    assert row["p95"] == row["p95_high"] == math.inf
    assert (row["success"], row["success_low"]) == (0.0, 0.0)
    assert nothing.rank()["best"].tolist()[-1] == 0.0
    assert math.isnan(nothing.compare("mean").iloc[0]["difference"])
    assert nothing.compare("p95").iloc[0]["difference"] == math.inf


def test_rows_can_be_cut():
    runs = {"replication": [3, 3, 4], "duration": [1.0, 2.0, 3.0]}
    steps = {"replication": [3, 4, 4], "seconds": [1.0, 2.0, 3.0]}
    loads = {"replication": [3, 4], "busy": [0.5, 0.25]}
    rows = Rows(0, 3, runs, {"seed": [10, 11]}, steps, loads)
    assert rows.part(4, 9) == Rows(
        0,
        4,
        {"replication": [4], "duration": [3.0]},
        {"seed": [11]},
        {"replication": [4, 4], "seconds": [2.0, 3.0]},
        {"replication": [4], "busy": [0.25]},
    )
