"""Two logs side by side: by what records are of, not by when they are."""

from __future__ import annotations

import pytest

import wfsim
from wfsim import charts
from wfsim.report.changes import changes
from wfsim.report.diff import COLUMNS, STATUSES


def rows(frame, *columns):
    return list(frame[list(columns)].itertuples(index=False, name=None))


def test_a_log_is_the_same_as_itself(crashed):
    frame = wfsim.diff(crashed, crashed)
    assert {*frame["status"]} == {"same"}
    assert frame["record_a"].tolist() == list(range(len(crashed)))
    assert charts.diff(crashed, crashed).sentence == (
        f"Diff of {len(crashed)} records with {len(crashed)} records: "
        f"{len(crashed)} same."
    )


def test_what_a_crash_puts_off_is_moved_and_its_second_attempt_only_there(plain):
    faults = [wfsim.CrashAt(t=40.0, restart_after=10.0)]
    frame = wfsim.diff(plain, wfsim.simulate(plain.origin.scenario, faults=faults))
    steps = frame[frame["step"] != ""]
    assert rows(steps, "status", "kind", "step", "attempt") == [
        ("same", "step.started", "TakeSnapshot", 1),
        ("same", "step.completed", "TakeSnapshot", 1),
        ("same", "step.started", "CopyAway", 1),
        ("only b", "step.started", "CopyAway", 2),
        ("only b", "step.completed", "CopyAway", 2),
        ("only a", "step.completed", "CopyAway", 1),
        ("moved", "step.started", "Verify", 1),
        ("moved", "step.completed", "Verify", 1),
    ]
    assert steps["shift"].dropna().tolist() == [0.0, 0.0, 0.0, 20.0, 20.0]


def test_an_edit_has_another_value_under_its_path(scenario):
    def log(size):
        sim = wfsim.Simulation(scenario())
        sim.run(until=3.0)
        sim.edit("orders", spec={"size": size, "kept": 1})
        return sim.run()

    frame = wfsim.diff(log(1), log(2))
    changed = frame[frame["status"] != "same"]
    assert rows(changed, "status", "kind", "changed") == [
        ("changed", "resource.edited", "spec.size")
    ]


def test_an_edit_between_two_others_is_only_there(scenario):
    def log(*sizes):
        sim = wfsim.Simulation(scenario())
        for number, size in enumerate(sizes, start=1):
            sim.run(until=float(number))
            sim.edit("orders", spec={"size": size})
        return sim.run()

    frame = wfsim.diff(log(1, 3), log(1, 2, 3))
    edits = frame[(frame["kind"] == "resource.edited") & (frame["status"] != "same")]
    assert rows(edits, "status", "time_a", "time_b")[0][:1] == ("only b",)
    assert rows(edits, "status", "shift")[1] == ("moved", 1.0)


def test_the_columns_are_the_same_without_records(empty, plain):
    frame = wfsim.diff(empty, empty)
    assert tuple(frame.columns) == COLUMNS
    assert list(frame.dtypes) == list(wfsim.diff(plain, empty).dtypes)
    assert {*wfsim.diff(plain, empty)["status"]} == {"only a"}
    assert {*wfsim.diff(empty, plain)["record_a"]} == {-1}
    assert charts.diff(empty, empty).sentence == "Diff of two logs without records."


def test_simulations_do_as_well_and_nothing_else(plain, scenario):
    sim = wfsim.Simulation(scenario())
    sim.run()
    assert {*wfsim.diff(plain, sim)["status"]} == {"same"}
    with pytest.raises(wfsim.UsageError, match="str is no log"):
        wfsim.diff(plain, "log.jsonl")


def test_every_record_of_either_is_in_exactly_one_row(plain, interrupted, crashed):
    for a in (plain, interrupted, crashed):
        for b in (plain, interrupted, crashed):
            frame = wfsim.diff(a, b)
            for column, log in (("record_a", a), ("record_b", b)):
                numbers = [n for n in frame[column] if n >= 0]
                assert sorted(numbers) == list(range(len(log)))
            assert {*frame["status"]} <= {*STATUSES}


def test_the_chart_says_where_they_part_and_how_far_things_moved(plain):
    faults = [wfsim.CrashAt(t=40.0, restart_after=10.0)]
    other = wfsim.simulate(plain.origin.scenario, faults=faults)
    chart = charts.diff(plain, other, names=("as it was", "crashed"))
    assert chart.sentence == (
        "Diff of 13 records with 18 records: 7 same, 5 moved, 1 only a, 6 only b; they "
        "part at 40.0 s with fault.fired; moved by up to +20.0 s."
    )
    assert [t.get_text() for t in chart.axes.get_yticklabels()] == [
        "as it was", "crashed",
    ]  # fmt: skip


def test_a_leaf_in_the_place_of_a_tree_is_two_changes():
    assert changes({"a": {"b": 1}}, {"a": 2}) == (("a", None, 2), ("a.b", 1, None))
    assert changes({"a": 1}, {"a": True}) == (("a", 1, True),)
    assert changes(None, {"a": [1]}) == (("a.0", None, 1),)
