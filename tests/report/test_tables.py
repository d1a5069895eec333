"""Tables of logs, row by row."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import wfsim
from fake_resources import polardb
from tests.changes import many, new
from wfsim import Kind, tables
from wfsim.report import frames
from wfsim.report.history import History
from wfsim.types import Record

if TYPE_CHECKING:
    import pandas as pd

NAN = math.nan
ROOT = Path(__file__).parent.parent.parent


def rows(frame: pd.DataFrame, *columns: str) -> list[tuple[object, ...]]:
    """The rows as tuples, None for what is not known."""
    chosen = frame[list(columns)] if columns else frame
    return [
        tuple(None if value != value else value for value in row)
        for row in chosen.itertuples(index=False, name=None)
    ]


def log(*records: tuple[object, ...]) -> wfsim.EventLog:
    """A log of (time, kind, resource, run, step, attempt, text, value, cause) or less."""
    rest = ("", "", "", 0, "", None, "")
    full = [record + rest[len(record) - 2 :] for record in records]
    return wfsim.EventLog(
        Record(seq, time, kind, resource, run, "F" if run else "", step, *more)
        for seq, (time, kind, resource, run, step, *more) in enumerate(full)
    )


def started(time: float, step: str = "A", attempt: int = 1, run: str = "1-F"):
    return (time, Kind.STEP_STARTED, "db", run, step, attempt)


UP = (0.0, Kind.CONTROLLER_STARTED, "", "", "", 0, "c-0")
DOWN = (5.0, Kind.CONTROLLER_CRASHED, "", "", "", 0, "c-0")
INTERRUPTED = Kind.RUN_INTERRUPTED
CUT_SHORT = new(
    wfsim.Flow("F", (wfsim.Step("A"),)), wfsim.types.Key("db", "default", "db")
)
CUT_SHORT = CUT_SHORT._replace(
    reason="MANY_RESTARTS", status=wfsim.types.RunStatus.INTERRUPTED
)
ATTEMPT = ("step", "attempt", "status", "start", "end")


def test_a_run_and_its_steps_over_a_crash_and_two_failures(crashed):
    assert rows(tables.steps(crashed), *ATTEMPT, "duration", "error") == [
        ("TakeSnapshot", 1, "completed", 0.0, 30.0, 30.0, ""),
        ("CopyAway", 1, "crashed", 30.0, 40.0, 10.0, ""),
        ("CopyAway", 2, "completed", 50.0, 70.0, 20.0, ""),
        ("Verify", 1, "failed", 70.0, 70.0, 0.0, "step Verify fail: injected failure"),
        ("Verify", 2, "failed", 71.0, 71.0, 0.0, "step Verify fail: injected failure"),
        ("Verify", 3, "completed", 72.0, 77.0, 5.0, ""),
    ]
    key, flow = "1-NightlyBackup", "NightlyBackup"
    run = (key, flow, "orders", "completed", 0.0, 77.0, 77.0, 2, 1, "")
    assert rows(tables.runs(crashed)) == [run]


def test_states_begin_with_the_creation_of_the_resource(crashed):
    assert rows(tables.states(crashed)) == [
        ("orders", 0.0, "", "Running", ""),
        ("orders", 0.0, "Running", "BackingUp", "BackingUp"),
        ("orders", 77.0, "BackingUp", "Running", "NightlyBackup"),
    ]


def test_states_end_with_the_deletion_of_the_resource(scenario):
    sim = wfsim.Simulation(scenario())
    sim.run(until=10.0)
    sim.delete("orders")
    last = rows(tables.states(sim.run()))[-1]
    assert (last[0], last[2:]) == ("orders", ("BackingUp", "", ""))


def test_an_empty_state_reads_as_creating():
    created = Record(
        0, 0.0, Kind.RESOURCE_CREATED, "db", value=wfsim.Resource("db", "db")
    )
    table = tables.states(wfsim.EventLog([created]))
    assert rows(table) == [("db", 0.0, "", "Creating", "")]


def test_a_fault_that_never_fired_is_told_apart(crashed):
    assert rows(tables.faults(crashed)) == [
        ("CrashAt(t=40, restart_after=10)", 0.0, 40.0, 1, "fired"),
        ("FailStep(step='Verify', times=2)", 0.0, 70.0, 2, "fired"),
        ("FailStep(step='Verify', attempt=9)", 0.0, None, 0, "never fired"),
    ]


def test_equal_faults_are_two_rows_and_take_turns():
    armed = (0.0, Kind.FAULT_ARMED, "", "", "", 0, "F()")
    fired = (3.0, Kind.FAULT_FIRED, "", "", "", 0, "F()")
    assert rows(tables.faults(log(armed, armed, fired))) == [
        ("F()", 0.0, 3.0, 1, "fired"),
        ("F()", 0.0, None, 0, "never fired"),
    ]


def test_the_last_attempt_of_an_interrupted_run_is_interrupted(interrupted):
    steps = tables.steps(interrupted)
    assert rows(steps[steps["step"] == "Verify"], "resource", *ATTEMPT) == [
        ("orders", "Verify", 1, "failed", 50.0, 50.0),
        ("users", "Verify", 1, "completed", 50.0, 55.0),
        ("orders", "Verify", 2, "interrupted", 51.0, 51.0),
    ]
    error = many("injected failure", retries=1, flow="NightlyBackup", step="Verify")
    assert rows(tables.runs(interrupted), "resource", "status", "end", "error") == [
        ("orders", "interrupted", 51.0, error),
        ("users", "completed", 55.0, ""),
    ]


def test_a_cancelled_attempt_is_not_called_interrupted(scenario):
    cancelled = wfsim.simulate(scenario(), faults=[wfsim.CancelAt(t=32.0)])
    assert rows(tables.steps(cancelled), *ATTEMPT)[-1] == (
        "CopyAway", 1, "cancelled", 30.0, 35.0,
    )  # fmt: skip
    assert rows(tables.runs(cancelled), "status", "end") == [("cancelled", 35.0)]


def test_a_recovered_run_is_one_row_that_goes_on(scenario):
    sim = wfsim.Simulation(scenario(), faults=[wfsim.InterruptStep("CopyAway")])
    sim.run()
    sim.recover("orders")
    after = sim.run()
    assert rows(tables.steps(after), *ATTEMPT)[1:3] == [
        ("CopyAway", 1, "interrupted", 30.0, 30.0),
        ("CopyAway", 2, "completed", 30.0, 50.0),
    ]
    columns = ("status", "end", "retries", "restarts", "error")
    assert rows(tables.runs(after), *columns) == [("completed", 55.0, 0, 0, "")]


def test_an_attempt_that_waited_is_one_row():
    waited = log(
        started(1.0),
        (2.0, Kind.STEP_WAITING, "db", "1-F", "A", 1),
        (9.0, Kind.STEP_COMPLETED, "db", "1-F", "A", 1),
    )
    assert rows(tables.steps(waited), *ATTEMPT) == [("A", 1, "completed", 1.0, 9.0)]


@pytest.mark.parametrize(
    ("records", "attempt", "run"),
    [
        ([UP, started(1.0)], ("running", None), "running"),
        ([UP, started(1.0), DOWN], ("crashed", 5.0), "running"),
        ([started(1.0), DOWN], ("crashed", 5.0), "running"),
        (
            [started(1.0), (2.0, Kind.STEP_WAITING, "db", "1-F", "A", 1), DOWN],
            ("waiting", None),
            "waiting",
        ),
        (
            [
                started(1.0),
                (2.0, Kind.STEP_WAITING, "db", "1-F", "A", 1),
                (3.0, Kind.RUN_SUPERSEDED, "db", "1-F"),
            ],
            ("superseded", 3.0),
            "superseded",
        ),
        (
            [
                started(1.0),
                (2.0, INTERRUPTED, "db", "1-F", "A", 1, "R: A", None, "restarts"),
            ],
            ("crashed", 2.0),
            "interrupted",
        ),
        (
            [
                started(1.0),
                (2.0, INTERRUPTED, "db", "1-F", "A", 1, "MANY_RESTARTS: A", None, "step"),
            ],
            ("interrupted", 2.0),
            "interrupted",
        ),
        # The version before wrote no cause.
        (
            [started(1.0), (2.0, INTERRUPTED, "db", "1-F", "A", 1, "", CUT_SHORT)],
            ("crashed", 2.0),
            "interrupted",
        ),
    ],
)
def test_what_is_open_at_the_end_of_the_log(records, attempt, run):
    cut = log(*records)
    assert rows(tables.steps(cut), "status", "end") == [attempt]
    assert rows(tables.runs(cut), "status") == [(run,)]


def test_of_two_controllers_the_one_that_lives_may_have_the_attempt():
    second = (0.0, Kind.CONTROLLER_STARTED, "", "", "", 0, "c-1")
    one_died = [UP, second, started(1.0), DOWN]
    assert rows(tables.steps(log(*one_died)), "status") == [("running",)]
    taken_over = [*one_died, started(20.0, attempt=2)]
    assert rows(tables.steps(log(*taken_over)), "status", "end") == [
        ("crashed", 5.0),
        ("running", None),
    ]
    assert rows(tables.runs(log(*taken_over)), "restarts") == [(1,)]


def test_a_log_that_begins_in_the_middle_of_an_attempt_knows_its_memento(plain):
    rest = wfsim.EventLog(
        record for record in plain if record.kind is not Kind.STEP_STARTED
    )
    assert rows(tables.steps(rest), *ATTEMPT) == rows(tables.steps(plain), *ATTEMPT)
    bare = log((9.0, Kind.STEP_COMPLETED, "db", "1-F", "A", 1))
    assert rows(tables.steps(bare), *ATTEMPT) == [("A", 1, "completed", None, 9.0)]


def test_a_namesake_of_a_dead_resource_has_runs_of_its_own():
    lives = log(
        (0.0, Kind.RUN_CREATED, "db", "1-F"),
        (1.0, Kind.RUN_COMPLETED, "db", "1-F"),
        (2.0, Kind.RUN_PRUNED, "db", "1-F"),
        (3.0, Kind.RUN_CREATED, "db", "1-F"),
    )
    assert rows(tables.runs(lives), "status", "start", "end") == [
        ("completed", 0.0, 1.0),
        ("prepared", 3.0, None),
    ]


def test_a_memento_that_cannot_be_read_is_a_quarantined_run():
    bad = log((0.0, Kind.RUN_QUARANTINED, "db", "3-Create", "", 0, "truncated"))
    assert rows(tables.runs(bad), "run", "status", "error") == [
        ("3-Create", "quarantined", "truncated")
    ]
    assert rows(tables.summary(bad), "runs", "unfinished") == [(1, 1)]


def test_a_summary_counts_runs_and_measures_the_completed_ones(interrupted):
    table = tables.summary(interrupted)
    assert rows(table) == [
        ("NightlyBackup", 2, 1, 1, 0, 0, 0, 0, 0.5, 55.0, 55.0, 55.0, 1, 0)
    ]  # fmt: skip


def test_latency_is_that_of_completed_attempts(crashed):
    assert rows(tables.latency(crashed), "step", "attempts", "completed", "mean") == [
        ("TakeSnapshot", 1, 1, 30.0),
        ("CopyAway", 2, 1, 20.0),
        ("Verify", 3, 1, 5.0),
    ]


@pytest.mark.parametrize(
    "table",
    [
        tables.runs,
        tables.steps,
        tables.states,
        tables.faults,
        tables.summary,
        tables.latency,
        tables.breakdown,
        tables.critical,
        tables.utilisation,
    ],
)
def test_columns_and_dtypes_are_those_documented_for_any_log(table, crashed, empty):
    documented = {}
    for line in table.__doc__.splitlines():
        name, *words = line.split()[:2] or [""]
        if name.startswith("``") and words:
            documented[name.strip("`")] = words[0]
    for log_ in (crashed, empty, crashed[:3]):
        found = table(log_).dtypes
        named = {c: "text" if d == frames.TEXT else str(d) for c, d in found.items()}
        assert named == documented


def test_the_history_behind_the_tables_can_be_walked(crashed):
    walked = [(a.of.resource, a.step, a.status) for a in History(crashed).attempts]
    assert walked == rows(tables.steps(crashed), "resource", "step", "status")


def test_a_run_that_was_found_is_told_as_it_stood_when_the_log_began():
    dump = ROOT / "tests/golden/configmap-mpd-0-workflow.yaml"
    found = wfsim.load_mementos(dump)
    resumed = wfsim.Simulation.resume(polardb.scenario(replicas=2), found, seed=1)
    runs = tables.runs(resumed.run())
    assert runs["status"].tolist() == ["completed", "interrupted"]
    assert runs["end"].notna().all()
    assert (runs["duration"] >= 0).all()
    assert runs["error"].tolist() == ["", "CM_LOST: manager is lost & gone"]
