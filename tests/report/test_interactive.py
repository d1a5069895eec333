"""The interactive twin of the Gantt chart: it shows what the still one does."""

from __future__ import annotations

import json
import sys

import pytest

import wfsim
from wfsim import Kind, charts
from wfsim.errors import UsageError
from wfsim.types import Record


def values(chart, layer):
    """The rows that *layer* of an interactive *chart* shows."""
    shown = chart._repr_mimebundle_()["application/vnd.vegalite.v5.json"]
    (found,) = (each for each in shown["layer"] if each["name"] == layer)
    return found["data"]["values"]


def test_it_has_the_sentence_the_digest_and_the_frame_of_the_still_chart(crashed):
    chart, still = charts.interactive_gantt(crashed), charts.gantt(crashed)
    assert repr(chart) == repr(still)
    assert chart.frame.equals(still.frame)
    assert chart._repr_mimebundle_()["text/plain"] == repr(still)


def test_a_bar_says_what_its_attempt_was(crashed):
    chart = charts.interactive_gantt(crashed)
    steps = wfsim.tables.steps(crashed)
    told = [
        (each["step"], each["attempt"], each["status"], each["start"], each["end"])
        for each in sorted(values(chart, "attempts"), key=lambda each: each["start"])
    ]
    columns = ["step", "attempt", "status", "start", "end"]
    assert told == [*steps[columns].itertuples(index=False, name=None)]


def test_crashes_outages_and_faults_are_where_the_log_has_them(crashed):
    chart = charts.interactive_gantt(crashed)
    (crash,) = crashed.filter(Kind.CONTROLLER_CRASHED)
    back = crashed.filter(Kind.CONTROLLER_STARTED)[-1]
    assert [each["at"] for each in values(chart, "crashes")] == [crash.time]
    assert [(each["start"], each["end"]) for each in values(chart, "outages")] == [
        (crash.time, back.time)
    ]
    fired = crashed.filter(Kind.FAULT_FIRED)
    assert [each["fault"] for each in values(chart, "faults")] == [r.text for r in fired]


def test_an_attempt_that_is_open_ends_with_the_chart():
    records = [
        Record(0, 1.0, Kind.STEP_STARTED, "db", "1-F", "F", "Long", 1),
        Record(1, 9.0, Kind.STEP_LOG),
    ]
    (bar,) = values(charts.interactive_gantt(wfsim.EventLog(records)), "attempts")
    assert (bar["start"], bar["end"], bar["duration"]) == (1.0, 9.0, None)


def test_it_is_the_same_each_time_and_is_saved_as_a_page_or_as_text(tmp_path, crashed):
    one, other = (charts.interactive_gantt(crashed) for _ in range(2))
    assert one._repr_mimebundle_() == other._repr_mimebundle_()
    assert one.sentence in one.save(tmp_path / "new" / "a.html").read_text()
    assert json.loads(one.save(tmp_path / "a.json").read_text())["layer"]
    with pytest.raises(UsageError, match=r"saved as .html or .json; a picture is"):
        one.save(tmp_path / "a.png")


def test_of_nothing_it_says_so(empty):
    chart = charts.interactive_gantt(empty)
    assert chart.sentence == "Gantt chart of a log in which no step has begun."
    assert values(chart, "attempts") == []


def test_without_altair_it_says_what_to_install(monkeypatch, crashed):
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(UsageError, match=r"needs altair; pip install 'wfsim-lab\[altair"):
        charts.interactive_gantt(crashed)
