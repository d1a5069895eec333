"""The plugin for pytest, end to end: each test here runs pytest on files of its own."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

# The runs are in this process, which forgets what they load: some cannot be loaded twice.
import wfsim
import wfsim.campaign.explore
import wfsim.report.tables
import wfsim.sim.simulation
import wfsim.testing.assertions
import wfsim.testing.plugin
from fake_resources.zoo import backup

pytest_plugins = ["pytester"]

IDLE = [
    *("anyio", "cacheprovider", "hypothesispytest", "nbval", "pytest_cov"),
    *("schemathesis", "xdist"),
]
"""Plugins that each run would load anew, for nothing."""


def without(*plugins):
    return [word for name in plugins for word in ("-p", f"no:{name}")]


BACKUP = """
import pytest
import wfsim
from fake_resources.zoo import MUTANTS, backup


def log(**more):
    return wfsim.simulate(backup(), seed=1, **more)
"""


@pytest.fixture
def run(pytester):
    """Run pytest on the text of a file of tests."""
    pytester.makeini("[pytest]\nfilterwarnings = error\n")

    def on(tests: str, *words: str) -> pytest.RunResult:
        pytester.makepyfile(test_it=BACKUP + tests)
        return pytester.runpytest_inprocess("-q", *without(*IDLE), *words)

    return on


def test_pytest_finds_it_by_its_entry_point():
    found = {each.name: each.value for each in entry_points(group="pytest11")}
    assert found["wfsim"] == "wfsim.testing.plugin"


GOLDEN = """
def test_calm(assert_digest):
    assert_digest(log())
"""


def test_a_golden_log_is_written_when_that_is_asked_for_and_held_to_from_then_on(
    run, pytester
):
    missing = run(GOLDEN)
    missing.assert_outcomes(failed=1)
    missing.stdout.fnmatch_lines(["*there is no golden log *calm.jsonl; look at*"])
    assert not (pytester.path / "golden").exists()
    run(GOLDEN, "--wfsim-update").assert_outcomes(passed=1)
    kept = pytester.path / "golden/test_it/test_calm.jsonl"
    calm = wfsim.simulate(backup(), seed=1)
    assert wfsim.EventLog.from_jsonl(kept).digest() == calm.digest()
    run(GOLDEN).assert_outcomes(passed=1)


def test_a_log_that_differs_is_shown_record_by_record(run):
    run(GOLDEN, "--wfsim-update").assert_outcomes(passed=1)
    crash = "[wfsim.CrashAt(t=20, restart_after=10)]"
    differs = run(GOLDEN.replace("log()", f"log(faults={crash})"))
    differs.assert_outcomes(failed=1)
    differs.stdout.fnmatch_lines(
        [
            "E *the log is not the golden one in golden/test_it/test_calm.jsonl",
            "E *digest ???????????????? instead of ????????????????",
            "E *records: 6 same, 5 moved, 1 only in the golden log, 6 only in this one",
            "E * + #8 20.000 s controller.crashed: controller-0",
            "E * - #6 35.000 s step.completed orders 1-Backup CopyData",
            "E *   #7 35.000 s step.started orders 1-Backup Announce: +25.000 s",
            "E *diff(wfsim.EventLog.from_jsonl('golden/test_it/test_calm.jsonl'), log)",
            "E *if it is meant so: pytest --wfsim-update",
        ]
    )


def test_values_that_differ_are_shown_and_so_is_what_ran(run):
    run(GOLDEN, "--wfsim-update").assert_outcomes(passed=1)
    other = """
def test_calm(assert_digest):
    scenario = backup().but(title="Nightly")
    resource = wfsim.Resource("db", "orders", spec={"size": 3})
    assert_digest(wfsim.simulate(scenario.but(resources=[resource]), seed=2))
"""
    run(other).stdout.fnmatch_lines(
        [
            "E *what ran is not the same: title '* Verify' -> 'Nightly', seed 1 -> 2",
            "E *#0 0.000 s resource.created orders: ->: spec.size None -> 3*",
        ]
    )


def test_a_log_may_have_a_name_and_a_test_many_logs(run, pytester):
    tests = """
@pytest.mark.parametrize("path", ["a/b", "c d"])
def test_named(assert_digest, path):
    assert_digest(log())
    assert_digest(log(faults=[wfsim.CrashAt(t=7)]))
    assert_digest(log(), "kept/calm.jsonl")


def test_other_kinds_of_files_are_refused(assert_digest):
    with pytest.raises(wfsim.UsageError, match="give one called"):
        assert_digest(log(), "d4c3c83af43cd346")
"""
    run(tests, "--wfsim-update").assert_outcomes(passed=3)
    run(tests).assert_outcomes(passed=3)
    written = sorted(pytester.path.rglob("*.jsonl"))
    assert [path.relative_to(pytester.path).as_posix() for path in written] == [
        "golden/test_it/test_named-a-b-2.jsonl",
        "golden/test_it/test_named-a-b.jsonl",
        "golden/test_it/test_named-c-d-2.jsonl",
        "golden/test_it/test_named-c-d.jsonl",
        "kept/calm.jsonl",
    ]


def test_lines_of_code_are_in_no_golden_log(run, pytester):
    run(GOLDEN, "--wfsim-update")
    (kept,) = pytester.path.rglob("*.jsonl")
    assert '"where"' not in kept.read_text()


def test_expectations_are_written_anew_too(run, pytester):
    tests = """
def test_expected():
    sim = wfsim.Simulation(backup(), seed=1)
    sim.run()
    sim.expect("backup.yaml")
"""
    (pytester.path / "backup.yaml").write_text("orders: {}\n")
    run(tests).assert_outcomes(failed=1)
    run(tests, "--wfsim-update").assert_outcomes(passed=1)
    run(tests).assert_outcomes(passed=1)


CONVERGES = """
def test_of_what_is_right(assert_converges):
    report = assert_converges(backup(), "CrashAt", seed=1)
    assert report.counts["failed"] == 0
    assert assert_converges(backup(), [wfsim.CrashAt(t=20, restart_after=5)]) is None


def test_of_what_creates_twice(assert_converges):
    assert_converges(MUTANTS["creates_again"].subject, "CrashAt", seed=1)


def test_of_one_plan(assert_converges):
    crash = wfsim.CrashAt(write=3, when="before", restart_after=10)
    assert_converges(MUTANTS["creates_again"].subject, [crash], seed=1)


def test_of_nothing(assert_converges):
    assert_converges(backup(), "CrashAt", budget=0)
"""


def test_a_scenario_that_does_not_converge_is_told_with_its_smallest_plan(run):
    told = run(CONVERGES)
    told.assert_outcomes(passed=1, failed=3)
    told.stdout.fnmatch_lines(
        [
            "E *it does not converge",
            "E *- CrashAt: {site: *MakeVolume#1 step.completed*, when: before, *}",
            "E *it does not converge: CrashAt(write=3, when='before', restart_after=10)",
            "E *nothing was interrupted",
        ]
    )


def test_a_fake_world_lives_on_a_clock_of_its_own(run):
    run(
        """
class Buckets(wfsim.World):
    def __init__(self):
        super().__init__()
        self.ready = []

    def create(self, name):
        self.later(10 + self.draw(name), "created", name)

    def created(self, name):
        self.ready.append(name)
        self.changed()


def test_a_bucket_takes_ten_seconds(wfsim_world):
    buckets, others = wfsim_world(Buckets), wfsim_world(Buckets(), seed=2)
    buckets.create("b-1")
    buckets.clock.run(until=10)
    assert buckets.ready == []
    buckets.clock.run(until=11)
    assert buckets.ready == ["b-1"]
    assert others.clock.now == 0
    assert others.draw("b-1") != buckets.draw("b-1")
"""
    ).assert_outcomes(passed=1)


NOTEBOOK = """{
 "cells": [{"cell_type": "code", "execution_count": %s, "id": "a", "metadata": {%s},
   "outputs": [], "source": ["1 + 1"]}],
 "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python",
   "name": "python3"}},
 "nbformat": 4, "nbformat_minor": 5
}"""


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        (("null", ""), "have no saved run"),
        (("1", '"tags": ["nbval-ignore-output"]'), "have an output that is not compared"),
        (("1", '"tags": ["nbval-skip"]'), "have an output that is not compared"),
    ],
)
def test_a_cell_of_a_notebook_that_would_not_be_compared_is_refused(pytester, cell, why):
    pytester.makeconftest(
        "from wfsim.testing.notebooks import pytest_collection_modifyitems\n"
        "from wfsim.testing.notebooks import pytest_configure\n"
    )
    (pytester.path / "one.ipynb").write_text(NOTEBOOK % cell)
    refused = pytester.runpytest_inprocess("--nbval", *without(*{*IDLE} - {"nbval"}))
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines([f"ERROR: one.ipynb: cells *0* {why}"])
