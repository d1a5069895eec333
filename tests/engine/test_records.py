"""What records say beside what has happened: why, past which limit, and by whom."""

from __future__ import annotations

import pytest

import wfsim
from wfsim import (
    CancelAt,
    CrashAt,
    EditAt,
    FailStep,
    Flow,
    Interrupted,
    Kind,
    Retry,
    Step,
)


def whys(log):
    """What ended before its time, as (kind, step, cause, limit)."""
    return [
        (record.kind.value, record.step, str(record.cause), record.limit)
        for record in log
        if record.cause or record.limit is not None
    ]


def build(*names, **keywords):
    return Flow("Build", tuple(map(Step, names)), **keywords)


def test_an_attempt_that_failed_says_so_and_the_run_that_its_budget_is_used_up(
    scenario, body
):
    flow = build("A", retry=Retry(limit=1, delay=1.0))
    log = wfsim.simulate(scenario(body("A", ValueError("no")), flow=flow))
    assert whys(log) == [
        ("step.failed", "A", "error", None),
        ("run.interrupted", "A", "retries", None),
    ]


def test_a_step_that_took_too_long_says_how_long_it_might_have_taken(scenario, body):
    flow = build("A", retry=Retry(limit=1, delay=1.0), timeout=5.0)
    log = wfsim.simulate(scenario(body("A", takes=60.0), flow=flow))
    assert whys(log) == [
        ("step.failed", "A", "timeout", 5.0),
        ("run.interrupted", "A", "retries", 5.0),
    ]


def test_an_error_that_reads_like_a_time_out_has_no_limit(scenario, body):
    fault = FailStep("A", error="no end after 5 s")
    log = wfsim.simulate(scenario(body("A")), faults=[fault])
    assert whys(log) == [("step.failed", "A", "error", None)]
    (failed,) = log.filter(Kind.STEP_FAILED)
    assert failed.text.endswith("no end after 5 s")


def test_a_cancelled_run_says_so(scenario, body):
    log = wfsim.simulate(scenario(body("A", takes=60.0)), faults=[CancelAt(3.0)])
    assert whys(log) == [("run.interrupted", "A", "cancel", None)]


def test_a_run_whose_resource_has_vanished_says_so(scenario, body):
    bodies = body("A", takes=3.0), body("B")
    log = wfsim.simulate(scenario(*bodies), faults=[EditAt(2.0, delete=True)])
    assert whys(log) == [("run.interrupted", "B", "gone", None)]


def test_a_run_past_its_deadline_says_so(scenario, body):
    flow = build("A", deadline=7.0)
    log = wfsim.simulate(scenario(body("A", takes=60.0), flow=flow))
    assert whys(log)[0][:3] == ("run.interrupted", "A", "deadline")


def test_a_step_that_asks_for_an_operator_says_so(scenario, body):
    log = wfsim.simulate(scenario(body("A", Interrupted("DISK_LOST", "both"))))
    assert whys(log) == [("run.interrupted", "A", "step", None)]


@pytest.mark.parametrize("reason", ["CANCELLED", "MANY_RESTARTS", "DEADLINE"])
def test_a_step_that_borrows_a_reason_of_ours_is_interrupted_all_the_same(
    scenario, body, reason
):
    log = wfsim.simulate(scenario(body("A", Interrupted(reason, "by me"))))
    assert whys(log) == [("run.interrupted", "A", "step", None)]
    steps, runs = wfsim.tables.steps(log), wfsim.tables.runs(log)
    assert list(steps["status"]) == list(runs["status"]) == ["interrupted"]
    assert list(steps["error"]) == [f"{reason}: by me"]
    assert list(steps["end"]) == [1.0]


def test_a_run_that_was_cut_short_too_often_says_so(scenario, body):
    flow = build("A", retry=Retry(limit=1, restarts=1, delay=1.0))
    crashes = [CrashAt(t=t, restart_after=1.0) for t in (5.0, 10.0)]
    log = wfsim.simulate(scenario(body("A", takes=60.0), flow=flow), faults=crashes)
    assert whys(log) == [("run.interrupted", "A", "restarts", None)]
    assert list(wfsim.tables.steps(log)["status"]) == ["crashed", "crashed"]


def test_a_step_without_code_is_a_matter_of_the_definition(scenario, body):
    begun = wfsim.Simulation(scenario(body("A"), body("Verify")))
    begun.run(until=1.5)
    other = scenario(body("A"), body("Verify"))
    other.bodies = lambda: {"A": None}
    resumed = wfsim.Simulation.resume(other, begun.mementos()[:3], world=wfsim.World())
    assert whys(resumed.run()) == [("run.interrupted", "Verify", "definition", None)]


GRAPH = Flow(
    "Build",
    (
        Step("A", on_success="B", on_failure="C", on_cancel="C"),
        Step("B"),
        Step("C"),
    ),
    timeout=7.0,
)


def test_a_step_off_whose_main_path_a_run_goes_on_says_why_it_is_over(scenario, body):
    bodies = body("A", takes=60.0), body("B"), body("C")
    log = wfsim.simulate(scenario(*bodies, flow=GRAPH))
    assert whys(log) == [
        ("step.failed", "A", "retries", 7.0),
        ("run.failed", "C", "retries", 7.0),
    ]
    log = wfsim.simulate(scenario(*bodies, flow=GRAPH), faults=[CancelAt(1.0)])
    assert whys(log) == [
        ("step.cancelled", "A", "cancel", None),
        ("run.cancelled", "C", "cancel", None),
    ]


def test_what_goes_well_has_no_cause(scenario, body):
    assert whys(wfsim.simulate(scenario(body("A"), body("B")))) == []


# By whom.


def writers(log, *kinds):
    return [
        (record.time, record.kind.value, record.controller, record.token)
        for record in log
        if record.kind.value.startswith(kinds)
    ]


def test_each_record_says_which_controller_wrote_it_under_which_lease(scenario, body):
    fault = CrashAt(t=9.0, controller="controller-0")
    log = wfsim.simulate(
        scenario(body("A"), body("B", takes=20.0)), faults=[fault], controllers=2
    )
    assert writers(log, "run.", "step.", "resource.") == [
        (0.0, "resource.created", "", 0),
        (0.0, "run.created", "controller-0", 1),
        (0.0, "step.started", "controller-0", 1),
        (1.0, "step.completed", "controller-0", 1),
        (1.0, "step.started", "controller-0", 1),
        (15.0, "step.started", "controller-1", 2),
        (35.0, "step.completed", "controller-1", 2),
        (35.0, "run.completed", "controller-1", 2),
        (35.0, "resource.state", "controller-1", 2),
    ]


def test_what_somebody_outside_has_done_has_no_controller(scenario, body):
    sim = wfsim.Simulation(scenario(body("A", takes=8.0)))
    sim.run(until=3.0)
    sim.edit(spec={"size": 2})
    sim.cancel()
    assert writers(sim.run(), "resource.") == [
        (0.0, "resource.created", "", 0),
        (3.0, "resource.edited", "", 0),
        (3.0, "resource.edited", "", 0),
        (5.0, "resource.state", "controller-0", 1),
    ]


def test_controllers_that_come_and_go_say_who_they_are(scenario, body):
    sim = wfsim.Simulation(scenario(body("A", takes=8.0)), controllers=2)
    sim.run(until=1.0)
    sim.pause("controller-1")
    sim.unpause("controller-1")
    sim.crash("controller-0")
    assert writers(sim.log, "controller.") == [
        (0.0, "controller.started", "controller-0", 0),
        (0.0, "controller.started", "controller-1", 0),
        (1.0, "controller.paused", "controller-1", 0),
        (1.0, "controller.resumed", "controller-1", 0),
        (1.0, "controller.crashed", "controller-0", 0),
    ]


def test_a_step_that_writes_its_resource_does_so_under_the_lease_of_its_pass(scenario):
    def A(context):
        yield from context.sleep(1.0)
        yield from context.update(status={"ready": True})
        context.log("hello")

    log = wfsim.simulate(scenario(A))
    assert writers(log, "resource.edited", "step.log") == [
        (1.0, "resource.edited", "controller-0", 1),
        (1.0, "step.log", "controller-0", 1),
    ]


def test_a_change_of_state_says_which_one_was_left(scenario, body):
    sim = wfsim.Simulation(scenario(body("A", Interrupted("X", "y"), None)))
    sim.run()
    sim.recover()
    rows = [(r.text, r.before) for r in sim.run().filter(Kind.RESOURCE_STATE)]
    assert rows == [
        ("-> Interrupt", ""),
        ("Interrupt -> Creating", "Interrupt"),
        ("Creating -> Running", "Creating"),
    ]


def test_all_that_records_say_comes_back_from_json_lines(scenario, body, tmp_path):
    flow = build("A", "B", retry=Retry(limit=2, delay=1.0), timeout=5.0)
    bodies = body("A", takes=60.0), body("B")
    sim = wfsim.Simulation(
        scenario(*bodies, flow=flow, pools={"cpu": 1}),
        faults=[CrashAt(t=2.0, controller="controller-0"), CancelAt(40.0)],
        controllers=2,
    )
    log = sim.run()
    back = wfsim.EventLog.from_jsonl(log.to_jsonl(tmp_path / "log.jsonl"))
    assert [tuple(record) for record in back] == [tuple(record) for record in log]
    assert {record.limit for record in back} == {None, 5.0}
    assert {record.controller for record in back} >= {"controller-0", "controller-1"}
    assert {str(record.cause) for record in back} == {"", "timeout", "retries"}
    assert back.digest() == log.digest()
    for table in ("runs", "steps", "breakdown"):
        make = getattr(wfsim.tables, table)
        assert make(back).equals(make(log))
