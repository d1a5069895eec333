"""A campaign is the same wherever it runs, and may be cut short at any point."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import tracemalloc
from functools import partial

import pytest

import wfsim
from fake_resources.zoo import MUTANTS, backup
from tests.sizes import FULL
from wfsim.campaign import execution
from wfsim.campaign.lab import Lab

DIGEST = textwrap.dedent(
    """
    import sys
    from functools import partial

    import wfsim
    from tests.campaign.test_execution import begun

    report = wfsim.explore(
        partial(begun, "refuses_what_is_there"), ["CrashAt", "FailStep"], depth=2,
        jobs=int(sys.argv[1]),
    )
    print(report.digest())
    """
)


def begun(name, faults):
    subject = backup() if name == "sound" else MUTANTS[name].subject
    return wfsim.Simulation(subject, seed=1, faults=faults)


def digest(hash_seed, jobs):
    run = subprocess.run(
        [sys.executable, "-c", DIGEST, str(jobs)],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout


def test_a_campaign_is_the_same_over_hash_seeds_and_processes():
    # In processes there is another test; each takes seconds to begin.
    seeds = range(5) if FULL else (0, 3)
    digests = {digest(seed, jobs=2 if FULL and seed > 2 else 1) for seed in seeds}
    assert len(digests) == 1


def test_ctrl_c_leaves_a_report_of_what_has_been_run(monkeypatch):
    outcome = Lab.outcome

    def third_time_unlucky(lab, point):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(point)
        return outcome(lab, point)

    done = []
    monkeypatch.setattr(Lab, "outcome", third_time_unlucky)
    report = wfsim.explore(backup(), ["CrashAt"], seed=1)
    assert report.interrupted
    assert [each.point for each in report.outcomes] == done
    assert report.counts["planned"] == 28
    assert "3 of 28 points" in repr(report)
    assert "(cut short by Ctrl-C)" in repr(report)


@pytest.fixture
def at_a_terminal():
    """Take Ctrl-C as Python does, also where a shell has put the tests into the back."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_in_the_middle_of_a_run_leaves_a_report(at_a_terminal):
    """As somebody at a terminal does it: the event under way is not torn apart."""

    @wfsim.step("CopyData")
    def interrupted(ctx):
        if ctx.attempt == 2:
            os.kill(os.getpid(), signal.SIGINT)
        yield from ctx.sleep(30)
        ctx.world.fill(ctx.inputs["volume"])

    report = wfsim.explore(backup(CopyData=interrupted), ["CrashAt"], seed=1)
    assert report.interrupted
    assert 0 < len(report.outcomes) < 20


def test_ctrl_c_between_two_faults_leaves_a_report_of_the_first_ones(monkeypatch):
    def interrupt(lab, point):
        raise KeyboardInterrupt

    monkeypatch.setattr(Lab, "again", interrupt)
    report = wfsim.explore(backup(), ["CrashAt"], seed=1, depth=2)
    assert report.interrupted
    assert len(report.outcomes) == report.counts["planned"] == 28


@pytest.mark.parametrize("jobs", [1, 2] if FULL else [1])
def test_a_budget_of_seconds_ends_a_campaign_early(jobs, monkeypatch):
    monkeypatch.setattr(execution, "CHUNK", 4)
    monkeypatch.setattr(execution, "monotonic", partial(next, iter(range(10**9))))
    maker = partial(begun, "sound")
    report = wfsim.explore(maker, ["CrashAt"], budget=5.0, jobs=jobs)
    assert 0 < len(report.outcomes) < 20
    assert not report.interrupted
    whole = wfsim.explore(maker, ["CrashAt"])
    assert report.outcomes == whole.outcomes[: len(report.outcomes)]


def test_a_budget_of_points_takes_the_most_telling_ones():
    whole = wfsim.explore(backup(), ["CrashAt"], seed=1, depth=2)
    some = wfsim.explore(backup(), ["CrashAt"], seed=1, depth=2, budget=50)
    assert some.outcomes == whole.outcomes[:50]
    assert some.counts["planned"] == whole.counts["planned"]


def test_a_point_more_takes_no_more_memory_than_its_row():
    """Runs are not kept: those of two hundred points take as much as those of few."""
    most = {}
    for budget in (20, 200):
        tracemalloc.start()
        wfsim.explore(backup(), ["CrashAt"], seed=1, depth=2, budget=budget, join=False)
        most[budget] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert (most[200] - most[20]) / 180 < 4000  # bytes


def test_an_engine_that_breaks_down_is_told_of_at_depth_two():
    report = MUTANTS["Listening"].explore(faults=["CrashAt"], depth=2)
    assert {each.violation.invariant for each in report.failures} == {"error"}
