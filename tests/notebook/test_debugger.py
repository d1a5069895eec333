"""The Debugger, driven by its widgets, shows what the player says."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pytest

import wfsim
from wfsim import Debugger, Kind

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@wfsim.step("Prepare")
def prepare(ctx):
    return None


@pytest.fixture
def debugger(log) -> Debugger:
    return Debugger(log)


def text(html: str) -> str:
    """Return what a reader sees of *html*."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def go(
    debugger: Debugger, kind: Kind, *, step: str = "", nth: int = 0
) -> wfsim.types.Record:
    """Slide to the *nth* record of *kind*."""
    record = debugger.player.log.filter(kind, step=step)[nth]
    debugger.controls.slider.value = record.seq + 1
    return record


def test_it_begins_at_the_first_record_or_where_it_is_told_to(log):
    assert Debugger(log).player.record == log[0]
    assert Debugger(log, at=5).player.record == log[5]
    assert Debugger(log, at=log[-1]).controls.slider.value == len(log)


def test_the_buttons_step_and_step_back(debugger, log):
    debugger.controls.step_button.click()
    debugger.controls.step_button.click()
    assert (debugger.player.record, debugger.controls.slider.value) == (log[2], 3)
    debugger.controls.back_button.click()
    assert (debugger.player.record, debugger.controls.slider.value) == (log[1], 2)
    assert f"#{log[1].seq} " in text(debugger.controls.record.value)


def test_a_button_that_leads_nowhere_is_disabled(debugger, log):
    assert not debugger.controls.back_button.disabled
    debugger.controls.slider.value = 0
    assert debugger.controls.back_button.disabled
    assert text(debugger.controls.record.value) == "Record before the first record"
    debugger.controls.slider.value = len(log)
    assert debugger.controls.step_button.disabled


def test_playing_moves_the_slider_and_the_slider_what_is_played(debugger, log):
    debugger.controls.play.value = 4
    assert debugger.player.record == log[3]
    debugger.controls.slider.value = 6
    assert (debugger.controls.play.value, debugger.player.record) == (6, log[5])
    assert (debugger.controls.play.min, debugger.controls.play.max) == (0, len(log))


def test_the_speed_is_how_many_records_a_second_are_played(debugger):
    debugger.controls.speed.label = "10 / s"
    assert debugger.controls.play.interval == 100


def test_a_long_log_can_be_played_in_twenty_seconds(scenario):
    names = [f"db-{n}" for n in range(60)]
    debugger = Debugger(wfsim.simulate(scenario(*names)))
    debugger.controls.speed.label = "all in 20 s"
    moves = len(debugger.player) / debugger.controls.play.step
    assert 19.0 <= moves * debugger.controls.play.interval / 1000 <= 30.0


def rows(debugger: Debugger) -> list[str]:
    return re.findall(r'<span title="([^"]*)">', debugger.controls.strip.value)


def test_the_strip_has_a_row_for_each_step_of_one_resource(debugger):
    assert rows(debugger) == ["Prepare", "Attach"]
    assert debugger.controls.strip.value.count("<rect") == 3
    assert "Attach attempt 1: failed" in text(debugger.controls.strip.value)


def test_the_strip_has_a_row_for_each_of_many_resources_in_natural_order(scenario):
    faults = [wfsim.CrashAt(t=3, restart_after=2)]
    names = [f"db-{n}" for n in range(12)]
    debugger = Debugger(wfsim.simulate(scenario(*names), faults=faults))
    assert rows(debugger) == names
    assert debugger.controls.strip.value.count('class="wf-crash"') == 1
    assert debugger.controls.strip.value.count('class="wf-gap"') == 1
    debugger.controls.rows.value = "B-1"
    assert rows(debugger) == ["db-1", "db-10", "db-11"]
    debugger.controls.rows.value = "none"
    assert text(debugger.controls.strip.value) == "no row has that name and status"


def test_the_strip_shows_the_part_of_the_run_that_the_cursor_is_in(debugger):
    debugger.controls.zoom.value = 4
    assert text(debugger.controls.strip.value).endswith("0 s 1 s 2 s 3 s 4 s")
    go(debugger, Kind.STEP_FAILED)
    assert text(debugger.controls.strip.value).endswith("4 s 5 s 6 s 7 s 8 s")
    assert "--at:0.87500" in debugger.controls.cursor.value


def test_a_click_on_the_strip_goes_to_that_time_in_that_row(scenario):
    debugger = Debugger(wfsim.simulate(scenario("a", "b")))
    debugger.controls.clicked.value = "0.50000 1"
    assert (debugger.player.record.resource, debugger.player.time) == ("b", 7.5)
    debugger.controls.clicked.value = "0.00000 0"
    assert (debugger.player.record.resource, debugger.player.time) == ("a", 0.0)
    at = debugger.player.position
    debugger.controls.clicked.value = "0.5 99"
    debugger.controls.clicked.value = "<b>"
    assert debugger.player.position == at


def test_one_goes_to_the_next_and_the_previous_failure(debugger, log):
    debugger.controls.target.value = "failure"
    debugger.controls.next_button.click()
    assert debugger.player.record == log.filter(Kind.STEP_FAILED)[0]
    debugger.controls.next_button.click()
    assert text(debugger.controls.notice.value) == "No such record: failure"
    debugger.player.seek(-1)
    debugger.controls.previous_button.click()
    assert debugger.player.record == log.filter(Kind.STEP_FAILED)[0]


def test_one_goes_to_a_text_a_record_number_a_time_or_the_same_step(debugger, log):
    debugger.controls.search.value = "not <b>"
    assert debugger.player.record == log.filter(Kind.STEP_LOG)[0]
    debugger.controls.search.value = "#2"
    assert debugger.player.record == log[2]
    debugger.controls.search.value = "8.0 s"
    assert debugger.player.time == 7.5
    debugger.controls.search.value = ""
    debugger.controls.target.value = "step"
    assert debugger.go_on() == log.filter(Kind.STEP_STARTED, step="Attach")[1]


def test_a_notebook_without_a_kernel_shows_the_record_and_the_steps(debugger):
    go(debugger, Kind.STEP_STARTED, step="Attach", nth=1)
    still = debugger._repr_mimebundle_()["text/html"]
    assert still == debugger.player._repr_html_()
    assert text(still).endswith(
        "1-Create: running step status attempts start [s] "
        "Prepare completed 1 0.000 ▸ Attach running 2 8.500"
    )


def test_a_saved_notebook_keeps_the_table_beside_the_widget():
    saved = json.loads((NOTEBOOKS / "02_step_by_step.ipynb").read_text("utf-8"))
    (cell,) = (c for c in saved["cells"] if "Debugger(" in "".join(c["source"][-1:]))
    table, widget = (output["data"] for output in cell["outputs"])
    page = "".join(table["text/html"])
    assert page.startswith("<style>")
    assert "<th>step</th><th>status</th><th>attempts</th>" in page
    assert widget == {"text/plain": ["Its buttons need a running kernel."]}


def test_it_shows_the_log_of_a_simulation(scenario):
    simulation = wfsim.Simulation(scenario("orders"))
    simulation.run()
    assert Debugger(simulation, at=3).player.log is simulation.log
    with pytest.raises(wfsim.UsageError, match="str is no log; give one, such as"):
        Debugger("log.jsonl")


def test_a_large_state_graph_is_shown_around_the_present_state():
    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    machine.unstable("Creating", run="Create")
    for number in range(12):
        machine.transition(
            "Running", f"S{number}", when=lambda resource: False, run=f"F{number}"
        )
    flows = [wfsim.Flow(f"F{n}", (wfsim.Step("Prepare"),)) for n in range(12)]
    create = wfsim.Flow("Create", (wfsim.Step("Wait", duration=wfsim.Duration.parse(1)),))
    resource = wfsim.Resource("db", "orders", state="Creating")
    scenario = wfsim.Scenario(
        resources=[resource], machine=machine, flows=[create, *flows], steps=[prepare]
    )
    debugger = Debugger(wfsim.simulate(scenario), at=2)
    assert "S3" not in debugger.controls.graph.value
    debugger.player.seek(-1)
    debugger.show()
    assert "S3" in debugger.controls.graph.value


def test_the_steps_show_status_and_attempt(debugger):
    go(debugger, Kind.STEP_STARTED, step="Attach", nth=1)
    shown = text(debugger.controls.steps.value)
    assert "1-Create running" in shown
    assert "✓ Prepare completed 1 0.000 0.000" in shown
    assert "▶ Attach running 2 8.500" in shown


def test_a_step_whose_controller_is_gone_is_shown_as_cut_short(scenario):
    log = wfsim.simulate(scenario("orders"), faults=[wfsim.CrashAt(t=3)])
    debugger = Debugger(log, at=-1)
    assert "Attach crashed" in text(debugger.controls.steps.value)
    assert "no controller is up" in text(debugger.controls.record.value)


def test_the_graph_has_the_present_state_alone_in_colour(debugger):
    now = re.compile(r'<g class="wf-\w+ wf-now">.*?<text[^>]*>(\w+)</text>')
    assert now.findall(debugger.controls.graph.value) == ["Creating"]
    go(debugger, Kind.RESOURCE_STATE)
    assert now.findall(debugger.controls.graph.value) == ["Running"]
    assert "→ BackingUp check wants_backup" in text(debugger.controls.graph.value)


def test_the_states_of_several_resources_are_told(scenario):
    debugger = Debugger(wfsim.simulate(scenario("orders", "users")), at=-1)
    assert text(debugger.controls.graph.value).endswith("orders Running users Running")


def test_the_memento_has_what_has_just_changed_marked_and_unfolded(debugger):
    go(debugger, Kind.STEP_STARTED, step="Attach")
    shown = debugger.controls.detail.value
    marked = re.findall(r'wf-leaf wf-changed">(.*?)</div>', shown)
    assert 'stepStatus: "inited"' in [text(line) for line in marked]
    assert shown.count("<details open>") == shown.count(" open>") > 0
    go(debugger, Kind.STEP_LOG)
    assert "wf-changed" not in debugger.controls.detail.value


def test_the_texts_of_a_log_are_escaped(debugger):
    controls = debugger.controls
    go(debugger, Kind.STEP_LOG)
    assert "not &lt;b&gt;bold&lt;/b&gt;" in controls.record.value
    go(debugger, Kind.STEP_FAILED)
    for shown in (
        controls.record,
        controls.steps,
        controls.detail,
    ):
        assert "<i>volume" not in shown.value
        assert "&lt;i&gt;volume&lt;/i&gt; &amp; none" in shown.value


def test_hostile_names_are_escaped():
    name = '"><script>alert(1)</script>'

    def check(resource):
        return "done" not in resource.spec

    check.__name__ = name
    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    flow = wfsim.Flow(name, (wfsim.Step(name, duration=wfsim.Duration.parse(1.0)),))
    scenario = wfsim.Scenario(
        resources=[wfsim.Resource("db", name, state=name)],
        machine=machine.transition("Running", name, when=check, run=name),
        flows=[flow],
        title=name,
        horizon=3.0,
    )
    debugger = Debugger(wfsim.simulate(scenario))
    controls = debugger.controls
    shown = [
        controls.strip,
        controls.record,
        controls.graph,
        controls.steps,
    ]
    shown += [
        controls.detail,
        controls.plan_shown,
        controls.notice,
    ]
    for position in range(len(debugger.player) + 1):
        controls.slider.value = position
        assert not [html for html in shown if "<script" in html.value]


def test_a_crash_makes_a_run_that_is_the_former_one_up_to_the_cursor(debugger, log):
    record = go(debugger, Kind.STEP_COMPLETED, step="Prepare")
    debugger.controls.arguments.value = "restart_after: 4"
    debugger.controls.inject_button.click()
    former, new = debugger.runs
    told = [(r.time, r.kind, r.step) for r in new if r.kind is not Kind.FAULT_ARMED]
    same = [(r.time, r.kind, r.step) for r in former][: record.seq + 1]
    assert former is log
    assert told[: len(same)] == same
    assert told[len(same) : len(same) + 4] == [
        (0.0, Kind.FAULT_FIRED, ""),
        (0.0, Kind.CONTROLLER_CRASHED, ""),
        (4.0, Kind.CONTROLLER_STARTED, ""),
        (4.0, Kind.STEP_STARTED, "Attach"),
    ]
    assert debugger.player.record.kind is Kind.CONTROLLER_CRASHED


def test_the_plan_shown_makes_the_same_log_in_a_script(debugger, scenario):
    go(debugger, Kind.STEP_LOG)
    debugger.controls.inject_button.click()
    assert debugger.plan == (
        "log = wfsim.simulate(\n"
        "    scenario,  # a small database\n"
        "    seed=0,\n"
        "    faults=[\n"
        "        wfsim.CrashAt(write=3, when='before', restart_after=10),\n"
        "    ],\n"
        ")"
    )
    names = {"wfsim": wfsim, "scenario": scenario("orders")}
    exec(debugger.plan, names)
    assert names["log"].digest() == debugger.runs[-1].digest()
    assert "CrashAt(write=3" in text(debugger.controls.plan_shown.value)


def test_a_crash_can_be_injected_into_the_run_of_another(debugger):
    for _ in range(2):
        go(debugger, Kind.STEP_STARTED, step="Attach", nth=-1)
        debugger.controls.inject_button.click()
    assert [len(log.filter(Kind.CONTROLLER_CRASHED)) for log in debugger.runs] == [
        0,
        1,
        2,
    ]


def test_one_can_go_back_to_the_former_run_and_its_cursor(debugger, log):
    controls = debugger.controls
    record = go(debugger, Kind.STEP_COMPLETED, step="Prepare")
    assert controls.run_choice.disabled
    controls.inject_button.click()
    assert controls.run_choice.label == f"└ CrashAt after #{record.seq}"
    controls.run_choice.label = "as it was"
    assert debugger.player.log is log
    assert (debugger.player.record, controls.slider.max) == (record, len(log))
    assert (
        debugger.plan
        == "log = wfsim.simulate(\n    scenario,  # a small database\n    seed=0,\n)"
    )


def test_a_log_from_a_file_can_be_shown_but_not_run_on(log, tmp_path):
    debugger = Debugger(wfsim.EventLog.from_jsonl(log.to_jsonl(tmp_path / "log.jsonl")))
    controls = debugger.controls
    assert controls.inject_button.disabled
    assert "no simulation to run again" in controls.inject_button.tooltip
    assert controls.inject_button.tooltip in text(controls.notice.value)
    assert debugger.crash() is None
    assert (len(debugger.runs), debugger.plan, controls.plan_shown.value) == (
        1,
        "",
        "",
    )


def test_nothing_can_be_crashed_where_no_controller_is_up(debugger):
    assert debugger.player.record.kind is Kind.RESOURCE_CREATED
    assert "CrashAt" not in debugger.controls.fault.options
    assert debugger.controls.fault.options == ("CancelAt", "EditAt", "AskAt")


def test_a_simulation_that_cannot_be_run_again_is_said_to_be_so(scenario):
    simulation = wfsim.Simulation(scenario("orders"))
    # Past the methods of the simulation, so a second run does not know of it.
    simulation.run(until=1.0)
    simulation.journal.note(Kind.STEP_LOG, text="from nowhere")
    simulation.run()
    debugger = Debugger(simulation.log, at=-1)
    debugger.controls.inject_button.click()
    assert len(debugger.runs) == 1
    assert "does not come to this record" in text(debugger.controls.notice.value)
    assert not debugger.controls.inject_button.disabled


def test_an_empty_log_can_be_shown():
    debugger = Debugger(wfsim.EventLog())
    assert "before the first record" in text(debugger.controls.record.value)
    assert debugger.controls.step_button.disabled


def test_what_a_notebook_compares_is_the_same_each_time(scenario):
    def shown() -> str:
        debugger = Debugger(wfsim.simulate(scenario("orders")))
        return debugger._repr_mimebundle_()["text/plain"]

    assert shown() == shown()
    assert re.fullmatch(
        r"<Debugger of <EventLog \d+ records, 16.000 s, digest [0-9a-f]{16}>, "
        r"run 1 of 1, <Player at 1 of \d+: .*>>",
        shown(),
    )


def test_every_part_can_be_found_in_the_page_by_its_class(debugger):
    controls = debugger.controls
    parts = [
        controls.box,
        controls.play,
        controls.back_button,
        controls.step_button,
    ]
    parts += [
        controls.slider,
        controls.readout,
        controls.run_choice,
        controls.strip,
    ]
    parts += [
        controls.record,
        controls.graph,
        controls.steps,
        controls.detail,
    ]
    parts += [
        controls.rows,
        controls.status,
        controls.zoom,
        controls.target,
    ]
    parts += [
        controls.search,
        controls.previous_button,
        controls.next_button,
    ]
    parts += [
        controls.cursor,
        controls.inject_button,
        controls.fault,
        controls.arguments,
        controls.name,
        controls.bar,
        controls.beside,
        controls.panel,
        controls.compared,
        controls.plan_shown,
    ]
    classes = [part._dom_classes for part in parts]
    assert [names for names in classes if not names[0].startswith("wfsim-")] == []
    assert len(set(classes)) == len(parts)
