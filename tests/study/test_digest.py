"""A study of which only the summary is kept: the same numbers, in flat memory."""

from __future__ import annotations

import tracemalloc
from functools import partial

import numpy as np
import pytest

import wfsim
from tests.sizes import FULL
from wfsim.errors import UsageError
from wfsim.study.digest import GROUPS, PointDigest
from wfsim.study.replication import Outcome, Rows, tally


def flow(pace=10, failure=0.0):
    steps = [
        wfsim.Step(name, name, duration={"exponential": pace}, failure=failure)
        for name in ("First", "Second")
    ]
    made = wfsim.Flow("F", tuple(steps), retry=wfsim.Retry(limit=1))
    return wfsim.Scenario.of_flow(made)


def test_it_says_what_a_whole_study_says():
    over, size = {"pace": [10, 20]}, 300
    make = partial(flow, failure=0.05)
    study = wfsim.sweep(make, over, replications=size, measure=len, progress=False)
    kept = wfsim.sweep(
        make, over, replications=size, measure=len, keep="summary", progress=False
    )
    whole, part = study.summary(), kept.summary()
    assert list(whole.columns) == list(part.columns)
    assert whole.dtypes.tolist() == part.dtypes.tolist()
    for name in ("pace", "replications", "runs", "unfinished"):
        assert whole[name].tolist() == part[name].tolist()
    for name in ("mean", "total", "success", "len"):
        assert part[name].tolist() == pytest.approx(whole[name].tolist(), abs=1e-9)
    for name in ("p50", "p95", "total_p95"):
        assert part[name].tolist() == pytest.approx(whole[name].tolist(), rel=0.02)
    for name in ("mean", "p50", "total_p95", "success"):
        widths = [
            (of[f"{name}_high"] - of[f"{name}_low"]).tolist() for of in (whole, part)
        ]
        assert widths[1] == pytest.approx(widths[0], rel=0.5)
    assert repr(kept) == (
        "<Digest over pace: 2 points, 600 replications; next: digest.summary()>"
    )
    assert len(kept.points) == 2


def test_memory_ends_however_many_replications_there_are():
    """A point, filled without a simulation: there are only so many groups and bins."""
    draws = np.random.default_rng(1)
    point, sizes = PointDigest(), {}
    marks = (4_000, 100_000) if FULL else (4_000, 12_000)
    tracemalloc.start()
    for number in range(marks[-1]):
        point.take(rows_of(number, [float(draws.uniform(9.0, 11.0))]))
        if number + 1 in marks:
            sizes[number + 1] = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    few, many = sizes.values()
    assert many < 1.25 * few
    assert many < 2_000_000
    assert GROUPS / 2 <= len(point.groups) <= GROUPS
    p95 = point.interval("p95", 0.95)
    assert p95.low < 10.9 < p95.high
    assert p95.estimate == pytest.approx(10.9, rel=0.01)


def rows_of(number, totals, statuses=None):
    """The rows of one replication of the first point."""
    outcomes = [
        Outcome(status, total, total, 0, 0)
        for total, status in zip(
            totals, statuses or ["completed"] * len(totals), strict=True
        )
    ]
    runs = {
        "replication": [number] * len(totals),
        "status": [each.status for each in outcomes],
        "duration": totals,
        "total": totals,
    }
    tallies = {
        name: [value]
        for name, value in tally(0, outcomes, max(totals, default=0)).items()
    }
    return Rows(0, number, runs, tallies, {}, {})


def test_it_hangs_on_no_order_in_which_replications_come():
    draws = np.random.default_rng(2)
    rows = [rows_of(number, draws.exponential(1.0, 3).tolist()) for number in range(300)]
    orders = rows, rows[:50] + rows[:49:-1]
    intervals = []
    for order in orders:
        digest = PointDigest()
        for each in order:
            digest.take(each)
        assert digest.number == 300
        assert GROUPS / 2 <= len(digest.groups) <= GROUPS
        intervals.append([digest.interval(name, 0.95) for name in ("total", "p95")])
    assert intervals[0] == intervals[1]


def test_what_was_not_done_is_beyond_all_that_was():
    digest = PointDigest()
    for number in range(200):
        statuses = ["completed", "completed", "interrupted"]
        digest.take(rows_of(number, [10.0, 20.0, 5.0], statuses))
    assert digest.interval("p50", 0.95).estimate == pytest.approx(20.0, rel=0.01)
    assert digest.interval("p95", 0.95)[::2] == (np.inf, np.inf)
    assert digest.interval("success", 0.95).estimate == pytest.approx(2 / 3)
    nothing = PointDigest()
    nothing.take(rows_of(0, []))
    assert np.isnan(nothing.interval("p50", 0.95).estimate)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"keep": "all"}, "keep is 'all'; give 'runs' or 'summary'"),
        ({"keep": "summary", "precision": "total within 5 %"}, "nothing for a precision"),
        ({"keep": "summary", "cache": "there"}, "keeps nothing for a cache"),
    ],
)
def test_what_it_cannot_keep_is_refused(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=words):
        wfsim.sweep(flow, replications=1, **arguments)


def test_ctrl_c_leaves_what_is_complete():
    calls = []

    def measure(log):
        calls.append(log)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return 1.0

    # A task that is cut short is lost, so that each is a replication here.
    over = {"pace": [1.0, 2.0]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wfsim.study.execution.RECORDS", 1)
        kept = wfsim.sweep(
            flow, over, replications=3, measure=measure, keep="summary", progress=False
        )
    assert kept.interrupted
    assert kept.summary()["replications"].sum() == 3
    assert "interrupted" in repr(kept)


def test_what_would_need_the_runs_says_so():
    kept = wfsim.sweep(flow, replications=2, keep="summary", progress=False)
    with pytest.raises(UsageError, match="keeps nothing that rank could be taken from"):
        kept.rank()
    with pytest.raises(AttributeError):
        _ = kept.nothing
