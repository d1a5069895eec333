"""Forks in the Debugger: any fault at the cursor, in a tree, side by side, and live."""

from __future__ import annotations

import asyncio
import re
from html import unescape

import pytest

import wfsim
from fake_resources.zoo import MUTANTS
from wfsim import Debugger, Kind
from wfsim.notebook.injection import fault_maker, injections


def text(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


@pytest.fixture
def debugger(log) -> Debugger:
    """The cursor is where the first attempt of Attach begins."""
    return Debugger(log, at=log.filter(Kind.STEP_STARTED, step="Attach")[0])


def said(debugger: Debugger) -> str:
    return text(debugger.controls.notice.value)


def test_what_applies_at_the_cursor_is_offered_with_its_arguments(debugger):
    assert injections(debugger.player) == {
        "FailStep": "step: Attach, attempt: 1, resource: orders, "
        "error: injected failure, after: false",
        "DelayStep": "step: Attach, attempt: 1, resource: orders, by: 60",
        "HangStep": "step: Attach, attempt: 1, resource: orders",
        "InterruptStep": "step: Attach, attempt: 1, resource: orders, reason: INJECTED",
        "CancelAt": "t: here, resource: orders",
        "EditAt": "t: here, resource: orders, annotations: {note: edited}",
        "AskAt": "t: here, resource: orders, call: cancel",
        "CrashAt": "restart_after: 10",
        "FailSave": "write: here, applied: false",
        "RefuseWrite": "write: here",
        "StaleRead": "t: here, for_: 10",
        "DropWatch": "t: here, for_: 10",
        "PauseController": "t: here, for_: 60",
        "LoseLease": "t: here",
        "ApiDown": "t: here, for_: 10",
    }


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("FailStep", wfsim.FailStep("Attach", attempt=1, resource="orders")),
        ("DelayStep", wfsim.DelayStep("Attach", attempt=1, resource="orders")),
        ("HangStep", wfsim.HangStep("Attach", attempt=1, resource="orders")),
        ("InterruptStep", wfsim.InterruptStep("Attach", attempt=1, resource="orders")),
        ("CancelAt", wfsim.CancelAt(t=0.001, resource="orders")),
        (
            "EditAt",
            wfsim.EditAt(t=0.001, resource="orders", annotations={"note": "edited"}),
        ),
        ("CrashAt", wfsim.CrashAt(write=4, restart_after=10)),
        ("FailSave", wfsim.FailSave(write=5)),
        ("RefuseWrite", wfsim.RefuseWrite(write=5)),
        ("StaleRead", wfsim.StaleRead(t=0.001, for_=10)),
        ("DropWatch", wfsim.DropWatch(t=0.001, for_=10)),
        ("PauseController", wfsim.PauseController(t=0.001, for_=60)),
        ("ApiDown", wfsim.ApiDown(t=0.001, for_=10)),
    ],
)
def test_each_kind_is_injected_where_the_cursor_is(debugger, kind, fault):
    debugger.controls.fault.value = kind
    debugger.controls.inject_button.click()
    assert len(debugger.runs) == 2, said(debugger)
    fired = debugger.runs[1].filter(Kind.FAULT_FIRED)
    assert [record.text for record in fired] == [repr(fault)]
    assert debugger.player.time >= fired[0].time


def test_the_arguments_can_be_edited(debugger):
    debugger.controls.fault.value = "FailStep"
    debugger.controls.arguments.value = "step: Attach, times: 2, error: 'no disk'"
    debugger.controls.inject_button.click()
    errors = wfsim.tables.steps(debugger.runs[1])["error"].tolist()
    assert errors.count("step Attach fail: no disk") == 2


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("CrashAt", "restart: 10", "CrashAt has no 'restart'"),
        ("CrashAt", "}{", "are no arguments; write 'restart_after: 10, t: 40'"),
        ("CrashAtt", "", "no fault 'CrashAtt'; did you mean 'CrashAt'?"),
        ("FailStep", "step: Attac", "no step 'Attac'; did you mean 'Attach'?"),
        ("CrashAt", "restart_after: -1", "restart_after"),
    ],
)
def test_what_is_wrong_with_arguments_is_said(debugger, name, arguments, message):
    assert debugger.inject(name, arguments) is None
    assert len(debugger.runs) == 1
    assert message in said(debugger)


def test_forks_are_a_tree_with_names(debugger):
    debugger.controls.name.value = "dies"
    debugger.inject("CrashAt", "restart_after: 10")
    debugger.inject("CancelAt", "t: 30")
    debugger.controls.run_choice.label = "as it was"
    debugger.inject(wfsim.FailStep("Attach", times=3), name="fails")
    assert debugger.names == ["as it was", "dies", "CancelAt after #9", "fails"]
    assert [label for label, _ in debugger.controls.run_choice.options] == [
        "as it was",
        "└ dies",
        "  └ CancelAt after #9",
        "└ fails",
    ]
    assert debugger.controls.run_choice.label == "└ fails"


def test_two_of_one_name_are_told_apart(debugger):
    for _ in range(2):
        debugger.inject("CrashAt", "restart_after: 3", name="crash")
        debugger.controls.run_choice.label = "as it was"
        debugger.player.step()
    assert debugger.names == ["as it was", "crash", "crash (2)"]


def test_a_fork_runs_no_further_than_what_it_comes_from(scenario):
    sim = wfsim.Simulation(scenario("orders"))
    sim.run(until=8.0)
    debugger = Debugger(sim.log, at=-1)
    fork = debugger.inject("CrashAt", "restart_after: 0.25")
    assert (fork.origin.now, fork[-1].time <= 8.0) == (8.0, True)


def test_two_runs_stand_side_by_side(debugger, log):
    debugger.inject("CrashAt", "restart_after: 4", name="dies")
    controls = debugger.controls
    controls.run_choice.label = "as it was"
    controls.beside.label = "└ dies"
    shown = text(controls.compared.value)
    assert shown.startswith("as it was and dies 7 same, ")
    assert "only in dies" in shown
    assert controls.compared.layout.display == "block"
    assert controls.steps.layout.display == "none"
    assert 'aria-label="as it was above, dies below: 7 same' in controls.compared.value
    assert debugger.diff().equals(wfsim.diff(log, debugger.runs[1]))
    assert debugger.diff("as it was", "dies").equals(debugger.diff())
    controls.beside.label = "beside nothing"
    assert controls.steps.layout.display is None
    with pytest.raises(wfsim.UsageError, match="no run 'x'; there are 'as it was'"):
        debugger.diff("x")
    with pytest.raises(wfsim.UsageError, match="no run 7; there are 2"):
        debugger.diff(7)


def test_a_simulation_is_driven_on(scenario):
    sim = wfsim.Simulation(scenario("orders"))
    debugger = Debugger(sim)
    assert [record.kind for record in sim.log] == [
        Kind.RESOURCE_CREATED,
        Kind.CONTROLLER_STARTED,
    ]
    debugger.step()
    debugger.step()
    assert debugger.player.record.kind is Kind.RUN_CREATED
    debugger.controls.search.value = "step.failed Attach 1-Create"
    assert debugger.player.record.kind is Kind.STEP_FAILED
    assert sim.now == 7.5
    debugger.controls.search.value = "9.0"
    assert (debugger.player.time, sim.now) == (8.5, 16.0)
    debugger.controls.search.value = "no such words"
    assert said(debugger) == "No such record: no such words"
    debugger.player.seek(-1)
    debugger.show()
    assert debugger.controls.step_button.disabled
    assert sim.log.digest() == wfsim.simulate(scenario("orders")).digest()


def test_what_is_done_to_a_live_simulation_is_seen(scenario):
    sim = wfsim.Simulation(scenario("orders"))
    debugger = Debugger(sim)
    debugger.controls.search.value = "step.started Attach"
    sim.crash()
    debugger.show()
    debugger.controls.target.value = "crash"
    debugger.controls.search.value = ""
    assert debugger.go_on().kind is Kind.CONTROLLER_CRASHED


def test_playing_stops_at_a_breakpoint(log):
    debugger = Debugger(log, breakpoints=[wfsim.step_completed("Prepare")])
    debugger.controls.play.playing = True
    for value in range(2, len(log) + 1):
        if debugger.controls.play.playing:
            debugger.controls.play.value = value
    assert debugger.player.record == log.filter(Kind.STEP_COMPLETED, step="Prepare")[0]
    debugger.controls.slider.value = len(log)
    debugger.controls.target.value = "breakpoint"
    assert debugger.go_back().step == "Prepare"
    debugger.breakpoints.append(lambda record: record.attempt == 2)
    assert debugger.go_on().attempt == 2


def test_the_third_panel_shows_resource_and_what_changed_in_it(log):
    debugger = Debugger(log, at=log.filter(Kind.RESOURCE_STATE)[-1])
    debugger.controls.panel.value = "resource"
    shown = text(debugger.controls.detail.value)
    assert shown.startswith('Resource orders state "Creating" → "Running"')
    assert text(debugger.controls.record.value).endswith('event "" → "Create"')


def test_the_third_panel_shows_the_world_and_what_changed_in_it():
    from fake_resources import polardb

    sim = wfsim.Simulation(polardb.scenario(replicas=1), seed=1)
    sim.run()
    at = sim.log.filter(Kind.STEP_STARTED, step="CreateRwPod")[0]
    debugger = Debugger(sim.log, at=at)
    debugger.controls.panel.value = "world"
    shown = text(debugger.controls.detail.value)
    assert shown.startswith("World appeared")
    assert "mpd-0-rw" in shown
    assert debugger.controls.bar.layout.display == "none"
    debugger.player.seek(0)
    debugger.show()
    assert "mpd-0-rw" not in text(debugger.controls.detail.value)
    assert "BreakOne" in debugger.controls.fault.options


def test_the_third_panel_shows_leases_and_the_queue(debugger):
    debugger.controls.panel.value = "queue, leases"
    assert text(debugger.controls.detail.value) == (
        "Queue and leases controllers up: controller-0 at work: 1 in the queue: 0 "
        "lease of holder token orders controller-0 1"
    )


def test_the_third_panel_shows_the_lineage(debugger):
    debugger.controls.panel.value = "lineage"
    shown = text(debugger.controls.detail.value)
    assert shown.startswith("Lineage #6 needed #")
    assert "run step.completed orders Prepare" in shown
    assert "led to #7 run step.failed orders Attach" in shown


def test_a_world_that_cannot_be_had_is_said_to_be_so(log, tmp_path):
    read = wfsim.EventLog.from_jsonl(log.to_jsonl(tmp_path / "log.jsonl"))
    debugger = Debugger(read)
    debugger.controls.panel.value = "world"
    assert "there is no simulation" in text(debugger.controls.detail.value)


def test_in_a_notebook_the_loop_goes_on_while_a_fork_is_made(debugger):
    turns = []

    async def other():
        while debugger._task is not None:
            turns.append(debugger.controls.bar.value)
            await asyncio.sleep(0)

    async def click():
        debugger.controls.inject_button.click()
        assert debugger.controls.inject_button.description != "Inject" or debugger._task
        await other()

    asyncio.run(click())
    assert len(debugger.runs) == 2
    assert turns
    assert debugger.controls.inject_button.description == "Inject"


def test_making_a_fork_can_be_stopped(debugger):
    async def click_twice():
        debugger.controls.inject_button.click()
        assert debugger.controls.inject_button.description == "Stop"
        debugger.controls.inject_button.click()
        while debugger._task is not None:
            await asyncio.sleep(0)

    asyncio.run(click_twice())
    assert said(debugger) == "Stopped: there is no such fork."
    assert (len(debugger.runs), debugger.controls.inject_button.description) == (
        1,
        "Inject",
    )


def test_the_place_of_a_timed_fault_is_after_all_of_its_instant(debugger, log):
    make = fault_maker("CancelAt", "t: here")
    debugger.player.seek(0)
    debugger.show()
    fork = debugger.inject("CancelAt", "t: here")
    cancelled = fork.filter(Kind.FAULT_FIRED)[0]
    before = [r for r in log if r.time == 0.0]
    assert (callable(make), cancelled.time) == (True, 0.001)
    assert len([r for r in fork if r.time == 0.0 and r.kind is not Kind.FAULT_ARMED]) == (
        len(before)
    )


@pytest.mark.parametrize("name", ["creates_again", "named_after_the_attempt"])
def test_a_failure_of_explore_opens_where_it_became_inevitable(name):
    (failure, *_) = MUTANTS[name].explore().failures
    debugger = wfsim.Debugger(failure)
    assert debugger.player.record == failure.inevitable.record
    assert debugger.player.position < len(debugger.player)
    assert failure.violation.text in unescape(debugger.controls.notice.value)
    assert debugger.names == ["as it was", "without faults"]
    debugger.controls.beside.value = 1
    assert "only in as it was" in debugger.controls.compared.value
    fork = debugger.inject("DelayStep", "step: CopyData, attempt: 1, by: 5")
    assert fork is not None
    assert wfsim.Debugger(failure, at=2).player.record.seq == 2


def test_a_failure_that_no_record_made_inevitable_opens_where_it_was_first_wrong():
    (failure, *_) = MUTANTS["LaxJournal"].explore().failures
    assert failure.inevitable.record is None
    assert Debugger(failure).player.record.seq == failure.violation.seq
