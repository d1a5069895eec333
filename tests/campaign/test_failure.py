"""A failure says in the words of the step and its line what went wrong, and when."""

from __future__ import annotations

import re

import pytest

import wfsim
from fake_resources.zoo import MUTANTS, backup

USERS = {
    # not idempotent
    "creates_again": (
        "before it, attempt 1, `name = ctx.world.create()`: world.volumes.vol-0 is there",
        "after it, attempt 2, `name = ctx.world.create()`: world.volumes.vol-1 is there",
        "`name = ctx.world.create()` was run in two attempts",
    ),
    # forgets to release
    "forgets_to_release": (
        "`claim = yield from ctx.world.uplink.acquire()`: uplink is 'uplink 1/1",
        "`yield from ctx.sleep(COPYING)`: Killed came here",
    ),
    # reads a live annotation
    "reads_a_live_annotation": (
        "in attempt 1 of Announce",
        "`return  # somebody verifies it, who will announce it too`: returned",
    ),
    # reads its own cache
    "reads_its_own_cache": (
        '`return {"volume": made[ctx.run]}`: returned',
        "Without any fault a second run ends badly, too: a step keeps something of its",
    ),
    # swallows the cancel
    "swallows_the_cancel": (
        "`yield from ctx.sleep(COPYING)`: Cancelled came here",
        '`ctx.world.fill(ctx.inputs["volume"])`: world.volumes.orders-1-Backup is',
    ),
    # depends on the clock
    "named_after_the_time": (
        '`name = ctx.world.create(f"{ctx.resource.name}-{ctx.clock.now:g}")`',
        "world.volumes.orders-13 is there",
    ),
    # not safe against its own zombie
    "tidies_up_when_dead": (
        "PauseController(site=",
        "after it, attempt 1, `ctx.world.volumes.pop(scratch, None)`: world.volumes.orde",
    ),
    # acts before it is durable
    "acts_before_it_is_durable": (
        "in attempt 1 of Announce.",
        'attempt 2, `ctx.world.send(f"invoice {ctx.attempt}")`: world.letters is',
    ),
}


@pytest.mark.parametrize("name", USERS)
def test_a_bug_of_a_user_is_explained_by_the_lines_of_the_step(name: str) -> None:
    failure = MUTANTS[name].explore().failures[0]
    text = re.sub(r"steps\.py:[0-9]+ ", "", failure.explanation)
    assert "steps.py:" in failure.explanation
    assert [part for part in USERS[name] if part not in text] == [], text


def test_the_outcome_is_inevitable_from_a_record_on() -> None:
    failure = MUTANTS["creates_again"].explore(faults=["CrashAt"]).failures[0]
    doom = failure.inevitable
    assert doom.record is not None
    assert (doom.record.time, doom.record.kind) == (5.0, wfsim.Kind.FAULT_FIRED)
    assert doom.runs <= 6
    # It stops at the record, and what came in the same instant is there.
    assert doom.record in failure.replay().log.records[-2:]


def test_a_request_that_a_step_drops_is_lost_from_its_write_on() -> None:
    mutant = MUTANTS["reads_a_live_annotation"]
    failure = mutant.explore(faults=["RefuseWrite"]).failures[0]
    record = failure.inevitable.record
    assert record is not None
    assert (record.kind, record.step) == (wfsim.Kind.STEP_COMPLETED, "Announce")


def test_what_is_not_as_in_the_reference_is_laid_beside_it() -> None:
    failure = MUTANTS["creates_again"].explore(faults=["CrashAt"]).failures[0]
    rows = failure.diff()
    assert list(rows.columns) == [
        *("which", "seq", "time", "kind", "step", "attempt", "text")
    ]
    assert rows[["which", "time", "kind", "attempt"]].values.tolist()[:3] == [
        ["failure", 0.0, "fault.armed", 0],
        ["reference", 5.0, "step.completed", 1],
        ["failure", 5.0, "fault.fired", 0],
    ]


def test_no_step_can_go_from_the_flow_that_still_fails() -> None:
    flow = MUTANTS["creates_again"].explore(faults=["CrashAt"]).failures[0].flow
    assert flow is not None
    assert flow.names == ("MakeVolume", "Announce")


def test_a_report_tells_of_an_engine_that_breaks_down() -> None:
    report = MUTANTS["Spinning"].explore()
    causes = {failure.cause for failure in report.failures}
    # A step that waits for no time, a check that stays true, and checks that move it on.
    assert 2 <= len(causes) <= 3
    failure = report.failures[0]
    assert failure.violation.invariant == "error"
    assert "was worked on 1000 times at" in repr(report)


def test_a_report_says_from_when_on_there_was_no_way_back() -> None:
    report = MUTANTS["reads_a_live_annotation"].explore(faults=["RefuseWrite"])
    assert "No way back from record #11 at 36 s: step.completed Announce." in repr(report)


def test_a_failure_of_a_wish_is_a_test_that_asks_for_it_too() -> None:
    def one_volume(sim):
        return len(sim.world.volumes) == 1

    most = 1

    def few_volumes(sim):
        return len(sim.world.volumes) <= most

    failure = wfsim.explore(
        MUTANTS["creates_again"].subject,
        ["CrashAt"],
        seed=1,
        without=["ends_as_the_reference"],
        but=["resources.*.status.volume"],
        eventually=[one_volume, few_volumes],
    ).failures[0]
    text = failure.as_test()
    assert "def one_volume(sim):" in text
    given: dict[str, object] = {}
    exec(text, given)
    test: object = given["test_it_survives"]
    with pytest.raises(AssertionError):
        test(MUTANTS["creates_again"].subject, few_volumes)  # type: ignore[operator]
    test(backup(), few_volumes)  # type: ignore[operator]


def test_a_failure_is_a_test_that_pytest_runs_and_that_fails(tmp_path, capsys) -> None:
    mutant = MUTANTS["swallows_the_cancel"]
    (tmp_path / "test_kept.py").write_text(mutant.explore().failures[0].as_test())
    (tmp_path / "conftest.py").write_text(
        """
import pytest
from fake_resources.zoo import MUTANTS


@pytest.fixture
def scenario():
    return MUTANTS["swallows_the_cancel"].subject
"""
    )
    quiet = ["-q", "-p", "no:xdist", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    assert pytest.main([*quiet, str(tmp_path)]) == pytest.ExitCode.TESTS_FAILED
    shown = capsys.readouterr().out
    assert "eventually: is_obeyed" in shown
    assert "1 failed" in shown


def test_what_is_wrong_may_have_quotes_in_it(monkeypatch) -> None:
    @wfsim.step("Announce")
    def quoting(ctx):
        ctx.world.send('"""' if ctx.attempt > 1 else "'")

    failure = wfsim.explore(backup(Announce=quoting), ["CrashAt"], seed=1).failures[0]
    compile(failure.as_test(), "test_kept.py", "exec")


def test_a_step_is_explained_beside_one_that_has_no_code(tmp_path) -> None:
    file = tmp_path / "flow.yaml"
    file.write_text(
        """
flowName: Backup
steps:
  - {stepName: Copy, className: Copy}
  - {stepName: Rest, className: Rest, duration: 4}
"""
    )

    class Shelf(wfsim.World):
        def __init__(self):
            super().__init__()
            self.copies = 0

    @wfsim.step("Copy")
    def copy_once_more(ctx):
        ctx.world.copies += 1
        yield from ctx.sleep(3)

    scenario = wfsim.Scenario.of_flow(file).but(steps=[copy_once_more], world=Shelf)
    failure = wfsim.explore(scenario, ["CrashAt"]).failures[0]
    assert "`ctx.world.copies += 1` was run in two attempts" in failure.explanation
