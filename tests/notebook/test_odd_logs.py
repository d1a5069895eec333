"""The Debugger bears whatever log it is given, and whatever is clicked in it."""

from __future__ import annotations

import pytest

import wfsim
from fake_resources import tiem
from tests.notebook.conftest import small
from wfsim import CrashAt, Debugger, EventLog, Kind
from wfsim.types import Record

STARTED = Record(5, 1e9, Kind.STEP_STARTED, "db", "1-F", "F", "A", 1)
FAILED = STARTED._replace(seq=9, kind=Kind.STEP_FAILED, text="<b>&\x00")


def ran(*names: str, **more) -> EventLog:
    return wfsim.simulate(small(*names), **more)


def from_file(folder) -> EventLog:
    return EventLog.from_jsonl(ran("orders").to_jsonl(folder / "log.jsonl"))


ODD = {
    "an empty log": lambda _: EventLog(),
    "one record that is of nothing": lambda _: EventLog(
        [Record(0, 0.0, Kind.CONTROLLER_STARTED, text="c")]
    ),
    "a step that never ends, late": lambda _: EventLog([STARTED]),
    "numbers with a gap": lambda _: EventLog([STARTED, FAILED]),
    "forty resources": lambda _: ran(*[f"db-{n}" for n in range(40)]),
    "a crash at 0": lambda _: ran("a", "b", faults=[CrashAt(t=0, restart_after=5)]),
    "a crash at 0, for good": lambda _: ran("a", faults=[CrashAt(t=0)]),
    "a log of a file": from_file,
    "a part of a log": lambda _: ran("orders")[5:9],
    "a simulation not begun": lambda _: wfsim.Simulation(small("a", "b")),
    "a service that nobody asks": lambda _: wfsim.Simulation(tiem.scenario()),
}


def use(debugger: Debugger) -> None:
    """Do whatever can be done with each of the widgets."""
    c = debugger.controls

    def everywhere():
        for place in (c.slider.max, c.slider.max // 2, 0):
            c.slider.value = place
            for button in (c.step_button, c.back_button, c.next_button):
                button.click()
            c.previous_button.click()

    for panel in c.panel.options:
        c.panel.value = panel
        everywhere()
    for _, target in c.target.options:
        c.target.value = target
        c.next_button.click()
        c.previous_button.click()
    for words in ("3.5", "#0", "#99999", "[(", "step"):
        c.search.value = words
    for zoom in (64, 1):
        c.zoom.value = zoom
        for clicked in ("0.5 0", "0.7 99", "x y", "1 -1"):
            c.clicked.value = clicked
    for _, status in c.status.options:
        c.status.value = status
    for rows in ("no such row", ""):
        c.rows.value = rows
    c.speed.value = 0
    c.play.value = c.play.max
    for fault in c.fault.options:
        c.fault.value = fault
    c.inject_button.click()
    debugger.inject("CrashAt", "restart_after: 10")
    c.run_choice.value = 0
    for _, run in c.beside.options:
        c.beside.value = run
        everywhere()


@pytest.mark.parametrize("odd", ODD)
def test_it_bears_any_log(odd, tmp_path, caplog):
    debugger = Debugger(ODD[odd](tmp_path))
    caplog.clear()  # of what the runs themselves had to say
    use(debugger)
    # What a click raises is logged, and not seen.
    raised = [each for each in caplog.records if each.exc_info]
    assert raised == []
    assert debugger.controls.bar.layout.display == "none"
    assert {"text/plain", "text/html"} <= {*debugger._repr_mimebundle_()}


def test_without_a_simulation_it_says_why_there_is_no_fork_and_no_world(tmp_path):
    debugger = Debugger(from_file(tmp_path), at=3)
    debugger.controls.panel.value = "world"
    assert "read from a file" in debugger.controls.detail.value
    assert debugger.controls.inject_button.disabled
    assert debugger.inject("CrashAt") is None
    assert "read from a file" in debugger.controls.notice.value
    assert debugger.plan == ""


def test_two_runs_that_are_alike_differ_in_nothing():
    debugger = Debugger(ran("orders"), at=2)
    debugger.inject("FailStep", "step: Attach, attempt: 9")
    frame = debugger.diff()
    assert {*frame["status"]} <= {"same", "only b"}
    assert {*frame[frame["status"] == "only b"]["kind"]} == {"fault.armed"}
    assert "found nothing to do" in debugger.controls.notice.value


def test_rows_of_forty_resources_are_in_natural_order():
    names = [f"db-{n}" for n in range(40)]
    debugger = Debugger(ran(*reversed(names)))
    shown = debugger.controls.strip.value
    assert [shown.index(f'title="{name}"') for name in names] == sorted(
        shown.index(f'title="{name}"') for name in names
    )
