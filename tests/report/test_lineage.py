"""What a record depends on and what depended on it, read off fields."""

from __future__ import annotations

import pytest

import wfsim
from wfsim import Kind, charts, tables
from wfsim.model.record import PoolState
from wfsim.report.lineage import COLUMNS, links
from wfsim.types import Record


def needed(log, record, depth=None):
    frame = tables.lineage(log, record, depth=depth)
    frame = frame[frame["role"] == "needed"]
    return list(frame[["link", "kind", "step"]].itertuples(index=False, name=None))


def test_a_second_attempt_needs_the_first_and_the_controller_that_came_back(crashed):
    (record,) = [
        r for r in crashed.filter(Kind.STEP_STARTED, step="CopyAway") if r.attempt == 2
    ]
    assert needed(crashed, record, 1) == [
        ("run", "step.started", "CopyAway"),
        ("controller", "controller.started", ""),
    ]
    assert ("crash", "controller.crashed", "") in needed(crashed, record)
    assert ("fault", "fault.fired", "") in needed(crashed, record)
    assert ("armed", "fault.armed", "") in needed(crashed, record)


def test_a_failure_needs_the_fault_that_fired(crashed):
    failed = crashed.filter(Kind.STEP_FAILED)[0]
    assert ("fault", "fault.fired", "") in needed(crashed, failed, 1)


def test_a_change_of_state_needs_the_end_of_the_run(plain):
    last = plain.filter(Kind.RESOURCE_STATE)[-1]
    assert ("move", "run.completed", "") in needed(plain, last, 1)


def test_what_a_step_has_written_needs_it_and_its_end_needs_that(plain):
    (edited,) = plain.filter(Kind.RESOURCE_EDITED)
    frame = tables.lineage(plain, edited, depth=1)
    assert [*zip(frame["role"], frame["link"], frame["kind"], strict=True)] == [
        ("needed", "value", "resource.state"),
        ("needed", "step", "step.started"),
        ("followed", "written", "step.completed"),
        ("followed", "value", "resource.state"),
    ]


def test_a_run_is_created_because_of_the_state_entered(plain):
    (created,) = plain.filter(Kind.RUN_CREATED)
    assert needed(plain, created, 1) == [
        ("controller", "controller.started", ""),
        ("request", "resource.state", ""),
    ]


def test_runs_of_different_resources_do_not_depend_on_each_other(interrupted):
    last = interrupted.filter(Kind.STEP_STARTED, resource="users")[-1]
    frame = tables.lineage(interrupted, last)
    assert {*frame["resource"]} == {"users", ""}


def test_a_place_in_a_pool_needs_the_queueing_of_the_same_step():
    state = PoolState("disk", 1, 1, 1)
    log = wfsim.EventLog(
        [
            Record(0, 0.0, Kind.POOL_QUEUED, "a", "1-F", step="S", value=state),
            Record(1, 0.0, Kind.POOL_QUEUED, "b", "1-F", step="S", value=state),
            Record(2, 9.0, Kind.POOL_GRANTED, "a", "1-F", step="S", value=state),
        ]
    )
    assert [link for link in links(log) if link.rule == "pool"] == [(0, 2, "pool")]


def test_links_lead_back_in_time_only(crashed, interrupted):
    for log in (crashed, interrupted):
        assert all(link.before < link.after for link in links(log))


def test_a_log_read_from_a_file_has_the_same_lineage(crashed, tmp_path):
    read = wfsim.EventLog.from_jsonl(crashed.to_jsonl(tmp_path / "log.jsonl"))
    assert tables.lineage(read, -1).equals(tables.lineage(crashed, -1))


def test_a_record_that_is_not_there_is_refused(plain, crashed):
    assert tuple(tables.lineage(plain, 0).columns) == COLUMNS
    with pytest.raises(wfsim.UsageError, match="no record 99 in a log of 13 records"):
        tables.lineage(plain, 99)
    with pytest.raises(wfsim.UsageError, match="is not in this log"):
        tables.lineage(plain, crashed[-1])
    with pytest.raises(wfsim.UsageError, match="depth is 0; give 1 or more"):
        tables.lineage(plain, 0, depth=0)


def test_the_chart_says_how_many_links_there_are(crashed):
    failed = crashed.filter(Kind.STEP_FAILED)[0]
    chart = charts.lineage(crashed, failed, depth=2)
    assert chart.sentence == (
        f"Lineage of record #{failed.seq}, step.failed orders 1-NightlyBackup Verify: "
        "4 links to what it needed, 2 links to what followed, at most 2 links away."
    )
    labels = [label.get_text() for label in chart.axes.get_yticklabels()]
    assert "orders Verify" in labels
    assert charts.lineage(crashed, 0, depth=None).sentence.endswith("what followed.")
