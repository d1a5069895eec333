"""Mementos as values: what each transition makes of one, and what a simulation keeps."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wfsim
from wfsim import RunStatus, StepStatus

unhurried = settings(deadline=None, derandomize=True, max_examples=60)
MPD = wfsim.Key("mpd", "default", "mpd-0")
FLOW = wfsim.Flow("Create", tuple(map(wfsim.Step, "ABC")))


def new():
    return wfsim.Memento.new(4, FLOW, MPD, now=2.0, params={"size": [1, 2]})


def statuses(run):
    return [run.status.value, *(step.status.value for step in run.steps)]


def test_a_new_run_has_all_that_is_needed_to_take_it_up():
    run = new()
    assert (run.key, run.number, run.started, run.digest) == (
        "4-Create",
        4,
        2.0,
        FLOW.digest,
    )
    assert run.context == {
        "_flowSaveNumberKey": "4-Create",
        "_flowSaveResourceNameKey": "mpd-0-workflow",
        "_flowSaveResourceNameSpaceKey": "default",
        "_resourceName": "mpd-0",
        "_resourceNameSpace": "default",
        "size": (1, 2),
    }
    assert statuses(run) == ["prepared"] * 4
    assert not run.is_final


def test_a_transition_leaves_the_run_as_it_was():
    run = new()
    before = tuple(run)
    run.start_step(0, 1.0).complete_step(0, 2.0, {"a": 1}).complete(3.0)
    assert tuple(run) == before


def test_a_step_begins_and_completes():
    run = new().start_step(0, 3.0)
    assert statuses(run) == ["running", "inited", "prepared", "prepared"]
    assert (run.step.name, run.step.attempts, run.step.started) == ("A", 1, 3.0)
    run = run.complete_step(0, 5.0, {"id": 7})
    assert statuses(run) == ["running", "completed", "prepared", "prepared"]
    assert (run.step.finished, run.step.output, run.first_open()) == (5.0, {"id": 7}, 1)


def test_failures_and_crashes_are_counted_apart():
    run = new().start_step(0, 0.0).fail_step(0, 1.0, "no", 2.0).start_step(0, 2.0)
    assert (run.steps[0].retries, run.steps[0].restarts, run.steps[0].attempts) == (
        1,
        0,
        2,
    )
    run = run.start_step(0, 9.0)
    assert (run.steps[0].retries, run.steps[0].restarts, run.steps[0].attempts) == (
        1,
        1,
        3,
    )
    assert (run.error, run.wake) == ("", None)


@pytest.mark.parametrize(
    ("run", "retries", "restarts"),
    [
        (new(), 0, 0),
        (new().start_step(0, 0.0), 0, 1),
        (new().start_step(0, 0.0).fail_step(0, 1.0, "no", 2.0), 1, 0),
        (new().start_step(0, 0.0).wait_step(0, None), 0, 0),
    ],
)
def test_taking_a_run_up_costs_a_retry_or_a_restart_as_in_the_reference(
    run, retries, restarts
):
    resumed = run.resume(9, "digest", "uid-2")
    assert (resumed.retries, resumed.restarts) == (retries, restarts)
    assert (resumed.entered, resumed.digest, resumed.owner) == (9, "digest", "uid-2")


def test_a_step_waits_and_fails_until_it_is_time():
    waiting = new().start_step(1, 0.0).wait_step(1, 7.0)
    assert (waiting.wake, statuses(waiting)[0], statuses(waiting)[2]) == (
        7.0, "waiting", "waiting",
    )  # fmt: skip
    failed = new().start_step(1, 0.0).fail_step(1, 1.0, "no", 2.0)
    assert (failed.wake, failed.error, statuses(failed)[0]) == (2.0, "no", "failed")


@pytest.mark.parametrize("begin", [False, True])
def test_an_interrupted_run_says_why_and_ends_the_step_that_was_under_way(begin):
    run = new().start_step(0, 0.0) if begin else new()
    run = run.interrupt(0, 4.0, "LOST", "by all")
    step = run.steps[0]
    assert run.is_final
    assert (run.reason, run.error, run.wake) == ("LOST", "by all", None)
    assert (step.status.value, step.finished) == (
        ("failed", 4.0) if begin else ("prepared", None)
    )


def test_a_run_may_be_interrupted_after_its_last_step():
    run = new().interrupt(3, 4.0, "LOST", "")
    assert (run.status, run.step) == (RunStatus.INTERRUPTED, None)


def test_recovery_goes_on_with_budgets_anew_from_the_failed_or_the_first_step():
    run = new().start_step(0, 0.0).complete_step(0, 1.0, {"a": 1}).start_step(1, 1.0)
    run = run.fail_step(1, 2.0, "no", 3.0).start_step(1, 3.0).interrupt(1, 4.0, "X", "y")
    on = run.recover(from_first_step=False, deadline=50.0)
    assert statuses(on) == ["failed", "completed", "failed", "prepared"]
    assert (on.cursor, on.steps[1].retries, on.steps[1].attempts) == (1, 0, 2)
    assert on.deadline == 50.0
    over = run.recover(from_first_step=True)
    assert statuses(over) == ["failed", "prepared", "prepared", "prepared"]
    assert (over.cursor, over.steps[0].output) == (0, {"a": 1})


@pytest.mark.parametrize(
    ("run", "final"),
    [
        (new().complete(3.0), True),
        (new().supersede(3.0), True),
        (new().interrupt(0, 3.0, "X", ""), True),
        (new().start_step(0, 1.0), False),
    ],
)
def test_a_run_that_is_over_is_final(run, final):
    assert run.is_final is final


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=6,
)
FAULT = st.one_of(
    st.builds(wfsim.FailStep, st.sampled_from("ABC"), times=st.integers(1, 12)),
    st.builds(
        wfsim.FailStep, st.sampled_from("ABC"), error=st.text(), after=st.booleans()
    ),
    st.builds(wfsim.InterruptStep, st.sampled_from("ABC"), reason=st.text(min_size=1)),
    st.builds(wfsim.HangStep, st.sampled_from("ABC")),
    st.builds(wfsim.CancelAt, t=st.floats(0, 40)),
    st.builds(wfsim.CrashAt, t=st.floats(0, 40), restart_after=st.floats(0, 10)),
    st.builds(
        wfsim.CrashAt,
        write=st.integers(1, 20),
        when=st.sampled_from(["before", "after"]),
        restart_after=st.floats(0, 10),
    ),
    st.builds(wfsim.FailSave, write=st.integers(1, 20), applied=st.booleans()),
    st.builds(wfsim.RefuseWrite, write=st.integers(1, 20)),
    st.builds(wfsim.PauseController, t=st.floats(0, 40), for_=st.floats(0.1, 40)),
)


def simulation(faults, outputs, asked_again):
    def A(ctx):
        yield from ctx.sleep(5.3)
        return outputs[0]

    def B(ctx):
        if asked_again and ctx.clock.now < 30:
            raise wfsim.Waiting(after=asked_again)
        yield from ctx.sleep(7.1)
        return outputs[1]

    def C(ctx):
        yield from ctx.update(status=outputs[2])

    scenario = wfsim.Scenario(
        [wfsim.Resource("mpd", "mpd-0")],
        wfsim.StateMachine("mpd")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="Create"),
        [wfsim.Flow("Create", FLOW.steps, timeout=20.0, deadline=500.0)],
        [A, B, C],
    )
    sim = wfsim.Simulation(scenario, faults=faults)
    sim.run(until=60)
    sim.uncancel()
    sim.recover()
    sim.run(until=400)
    return sim


def typed(value):
    """Tell 1 from 1.0 and True, which are equal to Python."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [typed(item) for item in value]
    return (type(value), value)


@unhurried
@given(
    faults=st.lists(FAULT, max_size=3),
    outputs=st.lists(
        st.dictionaries(st.text(), JSON, max_size=3), min_size=3, max_size=3
    ),
    asked_again=st.none() | st.floats(0.5, 20),
)
def test_whatever_an_engine_makes_durable_reads_back_as_it_was(
    tmp_path_factory, faults, outputs, asked_again
):
    sim = simulation(faults, outputs, asked_again)
    runs = sim.mementos("mpd-0")
    assert runs
    for run in runs:
        again = wfsim.Memento.from_json(run.key, run.to_json(), kind="mpd")
        assert typed(again) == typed(run)
        assert again.to_json() == run.to_json()
    path = sim.log.to_jsonl(tmp_path_factory.mktemp("log") / "log.jsonl")
    back = wfsim.EventLog.from_jsonl(path)
    assert back.records == sim.log.records
    assert back.digest() == sim.log.digest()
    assert back.fold() == sim.log.fold()


def test_statuses_are_those_of_the_reference_and_those_of_ours():
    assert [status.value for status in StepStatus] == [
        "prepared", "inited", "waiting", "failed", "completed", "cancelled",
    ]  # fmt: skip
    assert [status.value for status in RunStatus] == [
        "prepared", "running", "waiting", "failed", "failedAndCompleted", "completed",
        "superseded", "error", "cancelled",
    ]  # fmt: skip
