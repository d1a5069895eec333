"""The steady state, held against the theory of the M/M/1."""

from __future__ import annotations

import math

import numpy as np
import pytest

import wfsim
from tests.sizes import FULL
from wfsim.errors import UsageError
from wfsim.study.steady import batch_means, mser


def queue(load=0.5, mean=10.0, until=40_000.0, initial=0):
    """An M/M/1 that is run until it is empty, with so many there at the beginning."""
    machine = wfsim.StateMachine("job").stable("Running", "Interrupt")
    machine.unstable("Creating", run="F")
    service = wfsim.Duration.parse({"exponential": mean})
    times = wfsim.demand.Times(mean=mean / load)
    return wfsim.Scenario(
        [wfsim.Resource("job", f"there-{number:03}") for number in range(initial)],
        machine,
        [wfsim.Flow("F", (wfsim.Step("Serve", "Serve", duration=service),))],
        arrivals=[wfsim.demand.Arrivals(wfsim.Resource("job", "job-{n}"), times)],
        policy=wfsim.Policy(workers=1),
        horizon=1e6,
        drain=until,
    )


def waits(size, load, seed):
    """The waiting times of an M/M/1 with a service of 1 s, by Lindley's recursion."""
    draws = np.random.default_rng(seed)
    steps = draws.exponential(1.0, size) - draws.exponential(1.0 / load, size)
    sums = np.concatenate([[0.0], np.cumsum(steps)])
    return (sums - np.minimum.accumulate(sums))[:-1]


@pytest.fixture(scope="module")
def emptying():
    """Sixty are there at the beginning: the queue has to get rid of them first."""
    return wfsim.sweep(
        lambda: queue(0.6, until=16_000.0, initial=60), replications=3, progress=False
    )


def test_mser_deletes_what_is_unlike_the_rest_and_no_more():
    noise = np.random.default_rng(1).normal(10.0, 1.0, 500)
    biased = noise.copy()
    biased[:40] += np.linspace(30.0, 1.0, 40)
    assert mser(biased) in range(35, 50)
    assert mser(noise) < 50
    assert mser(np.arange(9.0)) == 9


def test_the_interval_of_batch_means_covers_the_wait_of_an_mm1_as_often_as_it_says():
    truth = 0.5 / (1.0 - 0.5)  # Wq = rho / (mu - lambda)
    studies = 400 if FULL else 60
    runs = [waits(20_000, 0.5, seed) for seed in range(studies)]
    hits = sum(low <= truth <= high for (_, low, high), _ in map(batch_means, runs))
    print(f"{hits / studies:.1%} of {studies} runs of 20,000 have {truth:.1f} s inside")
    # Binomial: at 95 % 60 give 53 or more in 99 of 100 cases, 400 give 369.
    assert hits >= (369 if FULL else 53)


def test_batches_that_are_too_short_to_be_independent_are_told_by_their_correlation():
    of = waits(20_000, 0.9, 1)
    assert batch_means(of, 400)[1] > 2 / math.sqrt(400)
    assert abs(batch_means(of, 10)[1]) < 2 / math.sqrt(10)


def test_one_long_run_has_the_time_in_system_of_an_mm1_in_its_interval():
    study = wfsim.sweep(queue, {"load": [0.3, 0.6]}, replications=1, progress=False)
    rows = study.batch_means(confidence=0.99)
    for row in rows.to_dict("records"):
        truth = 10.0 / (1.0 - row["load"])  # W = 1 / (mu - lambda)
        assert row["low"] < truth < row["high"] < truth + 12.0
    assert rows[["replication", "size"]].values.tolist() == [
        [0, rows["runs"][0] // 20],
        [0, rows["runs"][1] // 20],
    ]
    # Little's law: what is in the system is what arrives times how long it stays.
    means, arrivals = (
        study.over_time(each, every=100.0).groupby("load")["mean"].mean()
        for each in ("in_system", "arrivals")
    )
    stays = study.runs.groupby("load")["total"].mean()
    assert means.tolist() == pytest.approx((arrivals * stays).tolist(), rel=0.01)


def test_warming_up_ends_when_those_who_were_there_are_gone(emptying):
    (row,) = emptying.warm_up().to_dict("records")
    assert row["is_enough"]
    # 60 at 10 s, while 0.06 a second arrive: empty after about 60 * 10 / 0.4 = 1500 s.
    assert 750 < row["seconds"] < 3000
    assert row["deleted"] < row["runs"] / 2
    assert row["mean"] < emptying.summary()["total"].iloc[0] / 2


def test_welchs_average_falls_to_the_level_that_is_left_after_warming_up(emptying):
    frame = emptying.welch(window=20)
    assert list(frame.columns) == ["number", "mean", "moving"]
    assert frame["number"].tolist() == list(range(1, len(frame) + 1))
    middle = frame["mean"].iloc[100 - 20 : 100 + 21].mean()
    assert frame["moving"].iloc[100] == pytest.approx(middle)
    assert frame["moving"].iloc[0] == frame["mean"].iloc[0]
    assert frame["moving"].iloc[60] > 5 * frame["moving"].iloc[-30]
    chart = wfsim.charts.welch(frame)
    assert chart.sentence.startswith("Welch's plot of total over ")
    assert chart.axes.get_ylabel() == "total [virtual s]"


def test_what_is_in_the_system_over_time_has_a_band(emptying):
    frame = emptying.over_time(every=500.0)
    assert frame["replications"].unique().tolist() == [3]
    assert (frame["end"] - frame["start"]).unique().tolist() == [500.0]
    assert (frame["low"] <= frame["mean"]).all()
    assert 40 < frame["mean"][0] < 60
    chart = wfsim.charts.over_time(frame)
    assert chart.sentence.startswith("Runs in the system over ")
    assert "mean of 3 replications with a 95% band" in chart.sentence
    waiting = emptying.over_time("queued", every=500.0)
    assert waiting["mean"][0] > waiting["mean"].iloc[-1]


def test_points_have_a_curve_each():
    study = wfsim.sweep(
        lambda load: queue(load, until=2000.0), {"load": [0.2, 0.6]}, replications=2,
        progress=False,
    )  # fmt: skip
    assert study.welch()["load"].unique().tolist() == [0.2, 0.6]
    assert "load 0.2 from" in wfsim.charts.welch(study.welch()).sentence
    assert "load 0.2 " in wfsim.charts.over_time(study.over_time()).sentence
    assert len(study.warm_up()) == 2


def test_who_is_not_done_at_the_end_says_nothing_of_the_steady_state():
    made = queue(2.0).but(drain=None, horizon=1000.0)
    study = wfsim.sweep(lambda: made, replications=2, progress=False)
    known = study.welch()["number"].max()
    assert 0 < known < study.replications["runs"].min()
    never = wfsim.sweep(
        lambda: made.but(
            horizon=2.0, arrivals=(), resources=[wfsim.Resource("job", "a")]
        ),
        replications=1,
        progress=False,
    )
    with pytest.raises(UsageError, match=r"is not over at its end, .* a later horizon"):
        never.warm_up()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda study: study.welch("totl"), "no time 'totl' of a run; did you mean"),
        (lambda study: study.welch(window=-1), "window is -1; give a whole number"),
        (lambda study: study.batch_means(batches=1), "batches is 1; give a whole"),
        (lambda study: study.over_time("flow"), "no time 'flow' of a run"),
        (lambda study: study.over_time(every=0), "every is 0; give a number of seconds"),
        (lambda study: study.over_time(confidence=95), "confidence is 95"),
        (lambda study: study.over_time(every=1e-9), "every is 1e-09: .* give 0.16 or"),
    ],
)
def test_what_makes_no_sense_is_refused(emptying, call, words):
    with pytest.raises(UsageError, match=words):
        call(emptying)
