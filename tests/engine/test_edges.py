"""A run over the edges of its flow: what follows what, and how it ends."""

from __future__ import annotations

import pytest

import wfsim
from wfsim import CrashAt, Flow, Interrupted, Kind, Retry, Simulation, Step
from wfsim.types import RunStatus

ON = {"on_success": "B", "on_failure": "Fail"}


def flow(*steps, **rest):
    return Flow("Build", steps, **rest)


GRAPH = flow(Step("A", **ON), Step("B", on_failure="Fail"), Step("Fail"))
CANCEL = flow(
    Step("A", on_success="B", on_failure="Fail", on_cancel="Clean"),
    Step("B", on_failure="Fail", on_cancel="Clean"),
    Step("Fail"),
    Step("Clean"),
)


def of_steps(rows, log):
    return rows(log, "step.", "run.f", "run.c", "run.i", "resource.state")


def test_a_run_without_a_failure_takes_the_main_path_alone(scenario, rows, body):
    made = scenario(body("A"), body("B"), body("Fail"), flow=GRAPH)
    assert rows(wfsim.simulate(made)) == [
        (0.0, "run.created", "1-Build"),
        (0.0, "step.started", "A"),
        (1.0, "step.completed", "A"),
        (1.0, "step.started", "B"),
        (2.0, "step.completed", "B"),
        (2.0, "run.completed", "1-Build"),
        (2.0, "resource.state", "-> Running"),
    ]


def test_a_step_that_fails_into_pause_interrupts_and_runs_again_on_recovery(
    scenario, rows, body
):
    pausing = flow(Step("A", on_success="B", on_failure="pause"), Step("B"))
    made = scenario(body("A", OSError("full"), None), body("B"), flow=pausing)
    simulation = Simulation(made)
    simulation.run()
    simulation.recover()
    many = "too many times retry [0] to do [Build], last err step[A], "
    text = f"MANY_RETRY: {many}err:[step A fail: OSError: full]"
    assert rows(simulation.run())[2:] == [
        (1.0, "run.interrupted", text),
        (1.0, "resource.state", "-> Interrupt"),
        (1.0, "resource.edited", "annotations"),
        (1.0, "run.recovered", "1-Build"),
        (1.0, "resource.state", "Interrupt -> Creating"),
        (1.0, "step.started", "A #2"),
        (2.0, "step.completed", "A #2"),
        (2.0, "step.started", "B"),
        (3.0, "step.completed", "B"),
        (3.0, "run.completed", "1-Build"),
        (3.0, "resource.state", "Creating -> Running"),
    ]


def test_a_failed_step_leads_to_its_handler_and_the_run_ends_in_error(
    scenario, rows, body
):
    made = scenario(body("A"), body("B", OSError("full")), body("Fail"), flow=GRAPH)
    simulation = Simulation(made)
    assert rows(simulation.run())[3:] == [
        (1.0, "step.started", "B"),
        (2.0, "step.failed", "step B fail: OSError: full"),
        (2.0, "step.started", "Fail"),
        (3.0, "step.completed", "Fail"),
        (3.0, "run.failed", "step B fail: OSError: full"),
        (3.0, "resource.state", "-> Interrupt"),
    ]
    run = simulation.mementos()[-1]
    assert run.status is RunStatus.ERROR
    assert [step.status.value for step in run.steps] == [
        "completed", "failed", "completed",
    ]  # fmt: skip


def test_a_failed_step_without_a_handler_ends_the_run_in_error(scenario, rows, body):
    lone = flow(Step("A", on_success="B"), Step("B"))
    made = scenario(body("A", OSError("full")), body("B"), flow=lone)
    assert rows(wfsim.simulate(made))[2:] == [
        (1.0, "step.failed", "step A fail: OSError: full"),
        (1.0, "run.failed", "step A fail: OSError: full"),
        (1.0, "resource.state", "-> Interrupt"),
    ]


def test_a_handler_that_fails_ends_the_run_with_the_error_that_led_to_it(
    scenario, rows, body
):
    made = scenario(
        body("A", OSError("full")), body("B"), body("Fail", KeyError("x")), flow=GRAPH
    )
    assert rows(wfsim.simulate(made))[-3:] == [
        (2.0, "step.failed", "step Fail fail: KeyError: 'x'"),
        (2.0, "run.failed", "step A fail: OSError: full"),
        (2.0, "resource.state", "-> Interrupt"),
    ]


def test_a_step_with_a_retry_of_its_own_is_tried_again_before_its_handler_runs(
    scenario, rows, body
):
    tried = flow(Step("A", retry=Retry(limit=1), **ON), Step("B"), Step("Fail"))
    made = scenario(body("A", OSError("full")), body("B"), body("Fail"), flow=tried)
    assert rows(wfsim.simulate(made), "step.") == [
        (0.0, "step.started", "A"),
        (1.0, "step.failed", "step A fail: OSError: full"),
        (2.0, "step.started", "A #2"),
        (3.0, "step.failed", "step A fail: OSError: full"),
        (3.0, "step.started", "Fail"),
        (4.0, "step.completed", "Fail"),
    ]


def test_a_handler_sees_the_context_and_the_outputs_of_the_steps_that_went_well(
    scenario, body
):
    seen = []

    def Fail(ctx):
        seen.append({k: v for k, v in ctx.inputs.items() if not k.startswith("_")})

    made = scenario(body("A", {"disk": 7}), body("B", OSError("full")), Fail, flow=GRAPH)
    wfsim.simulate(made)
    assert seen == [{"disk": 7}]


def test_a_recovered_run_begins_again_with_the_step_that_had_failed(scenario, rows, body):
    made = scenario(body("A"), body("B", OSError("full"), None), body("Fail"), flow=GRAPH)
    simulation = Simulation(made)
    simulation.run()
    simulation.recover()
    assert rows(simulation.run())[-5:] == [
        (3.0, "resource.state", "Interrupt -> Creating"),
        (3.0, "step.started", "B #2"),
        (4.0, "step.completed", "B #2"),
        (4.0, "run.completed", "1-Build"),
        (4.0, "resource.state", "Creating -> Running"),
    ]


def test_a_cancel_closes_the_step_that_ran_and_leads_to_its_handler(scenario, rows, body):
    made = scenario(
        body("A"), body("B", takes=60.0), body("Fail"), body("Clean"), flow=CANCEL
    )
    log = wfsim.simulate(made, [wfsim.CancelAt(t=7.0)])
    assert rows(log, "step.", "run.", "resource.state")[4:] == [
        (10.0, "step.cancelled", "the resource was cancelled"),
        (10.0, "step.started", "Clean"),
        (11.0, "step.completed", "Clean"),
        (11.0, "run.cancelled", "CANCELLED: the resource was cancelled"),
        (11.0, "resource.state", "-> Interrupt"),
    ]


def test_a_cancel_without_a_handler_for_it_runs_none(scenario, rows, body):
    made = scenario(body("A", takes=60.0), body("B"), body("Fail"), flow=GRAPH)
    log = wfsim.simulate(made, [wfsim.CancelAt(t=7.0)])
    assert rows(log, "step.", "run.f", "run.ca") == [
        (0.0, "step.started", "A"),
        (10.0, "step.cancelled", "the resource was cancelled"),
        (10.0, "run.cancelled", "CANCELLED: the resource was cancelled"),
    ]


def test_a_cancel_does_not_reach_a_handler_at_work(scenario, rows, body):
    made = scenario(
        body("A", OSError("full")), body("B"), body("Fail", takes=30.0), flow=GRAPH
    )
    log = wfsim.simulate(made, [wfsim.CancelAt(t=7.0)])
    assert rows(log, "step.", "run.f")[-2:] == [
        (31.0, "step.completed", "Fail"),
        (31.0, "run.failed", "step A fail: OSError: full"),
    ]


def test_a_deadline_leads_to_the_handler_which_has_the_time_it_takes(
    scenario, rows, body
):
    late = flow(*GRAPH.steps, deadline=5.0)
    made = scenario(body("A", takes=9.0), body("B"), body("Fail", takes=9.0), flow=late)
    assert rows(wfsim.simulate(made), "step.", "run.f") == [
        (0.0, "step.started", "A"),
        (5.0, "step.failed", "not complete by 5 s"),
        (5.0, "step.started", "Fail"),
        (14.0, "step.completed", "Fail"),
        (14.0, "run.failed", "not complete by 5 s"),
    ]


def test_a_timeout_takes_back_what_was_done_and_leads_to_the_handler(
    scenario, rows, body
):
    slow = flow(Step("A", timeout=2.0, undo="Undo", on_failure="Fail"), Step("Fail"))
    made = scenario(body("A", takes=9.0), body("Undo"), body("Fail"), flow=slow)
    assert rows(wfsim.simulate(made), "step.") == [
        (0.0, "step.started", "A"),
        (3.0, "step.failed", "step A fail: no end after 2 s"),
        (3.0, "step.started", "Fail"),
        (4.0, "step.completed", "Fail"),
    ]


def test_a_step_that_was_cut_short_too_often_leads_to_its_handler(scenario, rows, body):
    once = flow(Step("A", retry=Retry(limit=0, restarts=1), **ON), *GRAPH.steps[1:])
    made = scenario(body("A", takes=9.0), body("B"), body("Fail"), flow=once)
    crashes = [CrashAt(t=t, restart_after=1.0) for t in (3.0, 7.0)]
    assert rows(wfsim.simulate(made, crashes), "step.")[2:] == [
        (8.0, "step.failed", "A was cut short 2 times"),
        (8.0, "step.started", "Fail"),
        (9.0, "step.completed", "Fail"),
    ]


def test_every_memento_and_the_log_of_such_a_run_are_read_back_as_they_were(
    scenario, body, tmp_path
):
    bad = scenario(body("A"), body("B", OSError("full")), body("Fail"), flow=GRAPH)
    slow = scenario(
        body("A"), body("B", takes=60.0), body("Fail"), body("Clean"), flow=CANCEL
    )
    for made, faults in [(bad, ()), (slow, [wfsim.CancelAt(t=7.0)])]:
        simulation = Simulation(made, faults=faults)
        log = simulation.run()
        for run in simulation.mementos():
            again = wfsim.Memento.from_json(run.key, run.to_json(), kind="db")
            assert again == run
        assert list(wfsim.EventLog.from_jsonl(log.to_jsonl(tmp_path / "log"))) == list(
            log
        )


def test_the_tables_tell_of_such_runs(scenario, body):
    slow = scenario(
        body("A"), body("B", takes=60.0), body("Fail"), body("Clean"), flow=CANCEL
    )
    log = wfsim.simulate(slow, [wfsim.CancelAt(t=7.0)])
    steps = wfsim.tables.steps(log)
    assert list(zip(steps["step"], steps["status"], steps["end"], strict=True)) == [
        ("A", "completed", 1.0),
        ("B", "cancelled", 10.0),
        ("Clean", "completed", 11.0),
    ]
    assert list(wfsim.tables.runs(log)["status"]) == ["cancelled"]
    bad = scenario(body("A", OSError("full")), body("B"), body("Fail"), flow=GRAPH)
    (run,) = wfsim.tables.runs(wfsim.simulate(bad)).itertuples()
    assert (run.status, run.error, run.end) == (
        "error", "step A fail: OSError: full", 2.0,
    )  # fmt: skip


def test_the_classes_of_a_step_run_in_order_within_one_attempt(scenario, rows, body):
    joined = flow(Step("end", "One+Two"))
    simulation = Simulation(
        scenario(body("One", {"a": 1, "b": 1}), body("Two", {"b": 2}), flow=joined)
    )
    assert rows(simulation.run(), "step.") == [
        (0.0, "step.started", "end"),
        (2.0, "step.completed", "end"),
    ]
    assert simulation.mementos()[-1].steps[0].output == {"a": 1, "b": 2}


def test_the_first_error_among_the_classes_of_a_step_ends_it(scenario, rows, body):
    joined = flow(Step("end", "One+Two", on_failure="Fail"), Step("Fail"))
    made = scenario(body("One", OSError("full")), body("Two"), body("Fail"), flow=joined)
    assert rows(wfsim.simulate(made), "step.") == [
        (0.0, "step.started", "end"),
        (1.0, "step.failed", "step end fail: OSError: full"),
        (1.0, "step.started", "Fail"),
        (2.0, "step.completed", "Fail"),
    ]


@pytest.mark.parametrize(
    ("undo", "text"),
    [
        (None, "step A fail: OSError: full"),
        (KeyError("x"), "step A fail: OSError: full; its undo Undo: KeyError: 'x'"),
    ],
)
def test_an_undo_runs_within_the_attempt_that_has_failed(
    scenario, rows, body, undo, text
):
    undone = flow(Step("A", undo="Undo", on_failure="Fail"), Step("Fail"))
    made = scenario(
        body("A", OSError("full")), body("Undo", undo), body("Fail"), flow=undone
    )
    assert rows(wfsim.simulate(made), "step.") == [
        (0.0, "step.started", "A"),
        (2.0, "step.failed", text),
        (2.0, "step.started", "Fail"),
        (3.0, "step.completed", "Fail"),
    ]


def test_a_signal_is_no_failure_that_an_undo_takes_back(scenario, rows, body):
    undone = flow(Step("A", undo="Undo", on_failure="Fail"), Step("Fail"))
    made = scenario(
        body("A", Interrupted("ASK")), body("Undo"), body("Fail"), flow=undone
    )
    assert rows(wfsim.simulate(made), "step.", "run.i") == [
        (0.0, "step.started", "A"),
        (1.0, "run.interrupted", "ASK"),
    ]


def test_a_step_of_several_classes_without_code_takes_its_duration_once():
    lasting = wfsim.Duration("constant", (4.0,))
    step = Step("end", "One+Two", duration=lasting, undo="Undo")
    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    made = wfsim.Scenario(
        [wfsim.Resource("db", "orders")],
        machine.unstable("Creating", run="Build"),
        [flow(step)],
    )
    (done,) = wfsim.simulate(made).filter(Kind.STEP_COMPLETED)
    assert done.time == 4.0


def outcome(log):
    run = [record.value for record in log if isinstance(record.value, wfsim.Memento)][-1]
    return run.status, [step.status.value for step in run.steps], run.error


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("failing", ["A", "B", "B Fail", ""])
def test_a_crash_at_any_write_ends_as_a_run_without_one(scenario, body, failing, when):
    def made():
        bad = {name: [OSError("full")] for name in failing.split()}
        return scenario(
            *(body(n, *bad.get(n, ())) for n in ("A", "B", "Fail")), flow=GRAPH
        )

    whole = wfsim.simulate(made())
    writes = sum(record.value is not None for record in whole) - 1
    for write in range(1, writes + 1):
        crash = CrashAt(write=write, when=when, restart_after=3.0)
        log = wfsim.simulate(made(), [crash])
        assert outcome(log) == outcome(whole), write
        assert len(list(log.filter(Kind.CONTROLLER_CRASHED))) == 1
