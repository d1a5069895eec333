"""One run through its steps: what is tried, how often, when, and what is written down."""

from __future__ import annotations

import math

import pytest

import wfsim
from tests.changes import many
from wfsim import Flow, Interrupted, Kind, Policy, Retry, Simulation, Step, Waiting
from wfsim.engine.steps import describe, signal_of, storable

ONE = Retry(limit=1)


def starts(log, step):
    return [record.time for record in log.filter(Kind.STEP_STARTED, step=step)]


def newest(simulation):
    return simulation.mementos()[-1]


def test_a_clean_run_of_two_steps_is_these_rows(scenario, rows, body):
    log = wfsim.simulate(scenario(body("A"), body("B", takes=2.5)))
    assert rows(log) == [
        (0.0, "run.created", "1-Build"),
        (0.0, "step.started", "A"),
        (1.0, "step.completed", "A"),
        (1.0, "step.started", "B"),
        (3.5, "step.completed", "B"),
        (3.5, "run.completed", "1-Build"),
        (3.5, "resource.state", "-> Running"),
    ]


@pytest.mark.parametrize("steps", [0, 1, 2, 7])
def test_a_clean_run_of_n_steps_writes_its_memento_2n_plus_2_times(scenario, body, steps):
    simulation = Simulation(scenario(*(body(f"S{index}") for index in range(steps))))
    simulation.run()
    assert len(simulation.mementos()) == 2 * steps + 2


def test_an_empty_flow_completes_at_once(scenario, rows):
    assert rows(wfsim.simulate(scenario())) == [
        (0.0, "run.created", "1-Build"),
        (0.0, "run.completed", "1-Build"),
        (0.0, "resource.state", "-> Running"),
    ]


def test_each_transition_is_durable_before_the_next_begins(scenario, body):
    simulation = Simulation(scenario(body("A", {"a": 1}), body("B")))
    simulation.run()
    assert [
        (run.status.value, *(step.status.value for step in run.steps))
        for run in simulation.mementos()
    ] == [
        ("prepared", "prepared", "prepared"),
        ("running", "inited", "prepared"),
        ("running", "completed", "prepared"),
        ("running", "completed", "inited"),
        ("running", "completed", "completed"),
        ("completed", "completed", "completed"),
    ]


def test_a_step_that_always_fails_runs_11_times_then_interrupts_in_the_same_pass(
    scenario, rows, body
):
    simulation = Simulation(scenario(body("A", ValueError("no luck"))))
    log = simulation.run()
    assert starts(log, "A") == [2.0 * n for n in range(11)]
    assert rows(log)[-3:] == [
        (20.0, "step.started", "A #11"),
        (21.0, "run.interrupted", many("ValueError: no luck", retries=10, flow="Build")),
        (21.0, "resource.state", "-> Interrupt"),
    ]
    step = newest(simulation).steps[0]
    assert (step.retries, step.restarts, step.attempts) == (10, 0, 11)
    assert newest(simulation).retries == 10


def test_each_step_has_a_budget_of_its_own(scenario, body):
    six = [ValueError("early")] * 6
    simulation = Simulation(scenario(body("A", *six, None), body("B", ValueError("x"))))
    log = simulation.run()
    assert (len(starts(log, "A")), len(starts(log, "B"))) == (7, 11)
    assert newest(simulation).reason == "MANY_RETRY"
    assert newest(simulation).retries == 16


@pytest.mark.parametrize("executions", [1, 2, 5])
def test_the_limit_counts_the_executions_that_follow_the_first(
    scenario, body, executions
):
    policy = Policy(retry=Retry(limit=executions - 1))
    log = wfsim.simulate(scenario(body("A", ValueError()), policy=policy))
    assert len(starts(log, "A")) == executions


def test_back_off_grows_by_its_factor_up_to_its_cap(scenario, body):
    policy = Policy(retry=Retry(limit=4, delay=1.0, factor=3.0, cap=5.0))
    log = wfsim.simulate(scenario(body("A", ValueError(), takes=0.0), policy=policy))
    assert starts(log, "A") == [0.0, 1.0, 4.0, 9.0, 14.0]


def test_the_step_overrides_the_flow_and_the_flow_the_policy(scenario, body):
    steps = (Step("A", retry=Retry(limit=2, delay=7.0)), Step("B"), Step("C"))
    flow = Flow("Build", steps, retry=Retry(limit=1, delay=3.0))
    fails_once = ValueError(), None
    bodies = [body(name, *fails_once, takes=0.0) for name in "ABC"]
    log = wfsim.simulate(scenario(*bodies, flow=flow))
    assert [starts(log, name) for name in "ABC"] == [
        [0.0, 7.0],
        [7.0, 10.0],
        [10.0, 13.0],
    ]
    log = wfsim.simulate(
        scenario(body("A"), body("B", ValueError()), body("C"), flow=flow)
    )
    assert starts(log, "B") == [1.0, 5.0]


def test_an_edit_during_the_back_off_does_not_bring_the_retry_forward(scenario, body):
    policy = Policy(retry=Retry(delay=30.0))
    simulation = Simulation(scenario(body("A", ValueError(), None), policy=policy))
    simulation.run(until=10.0)
    simulation.edit(spec={"size": 2})
    assert starts(simulation.run(), "A") == [0.0, 31.0]


def test_the_back_off_lasts_over_a_restart(scenario, body):
    policy = Policy(retry=Retry(delay=30.0))
    simulation = Simulation(scenario(body("A", ValueError(), None), policy=policy))
    simulation.run(until=10.0)
    simulation.crash()
    simulation.restart()
    assert starts(simulation.run(), "A") == [0.0, 31.0]
    step = newest(simulation).steps[0]
    assert (step.retries, step.restarts) == (1, 0)


def test_a_crash_costs_a_restart_and_no_retry(scenario, body):
    simulation = Simulation(scenario(body("A", takes=10.0)))
    for until in (5.0, 12.0):
        simulation.run(until=until)
        simulation.crash()
        simulation.restart()
    assert starts(simulation.run(), "A") == [0.0, 5.0, 12.0]
    step = newest(simulation).steps[0]
    assert (step.retries, step.restarts, step.attempts) == (0, 2, 3)


def test_a_step_that_kills_its_controller_is_stopped_after_11_starts(
    scenario, rows, body
):
    simulation = Simulation(scenario(body("A", takes=10.0)))
    for _ in range(11):
        simulation.run(for_=1.0)
        simulation.crash()
        simulation.restart()
    log = simulation.run()
    assert len(starts(log, "A")) == 11
    assert rows(log)[-2:] == [
        (11.0, "run.interrupted", "MANY_RESTARTS: A was cut short 11 times"),
        (11.0, "resource.state", "-> Interrupt"),
    ]


def test_crashes_leave_the_budget_of_retries_alone(scenario, body):
    policy = Policy(retry=Retry(limit=2, restarts=5))
    simulation = Simulation(scenario(body("A", ValueError(), takes=10.0), policy=policy))
    for _ in range(4):
        simulation.run(for_=5.0)
        simulation.crash()
        simulation.restart()
    log = simulation.run()
    step = newest(simulation).steps[0]
    assert (step.retries, step.restarts, len(starts(log, "A"))) == (2, 4, 7)
    assert newest(simulation).reason == "MANY_RETRY"


def test_a_limit_that_was_lowered_stops_a_failed_step_before_it_runs(scenario, body):
    simulation = Simulation(scenario(body("A", ValueError())))
    simulation.run(until=7.5)
    failed = simulation.mementos()
    assert failed[-1].steps[0].retries == 3
    stricter = scenario(body("A"), policy=Policy(retry=Retry(limit=3)))
    resumed = Simulation.resume(stricter, failed)
    log = resumed.run()
    assert starts(log, "A") == []
    assert newest(resumed).reason == "MANY_RETRY"
    assert newest(resumed).error == (
        "[default/orders]too many times retry [4] to do [Build], last error step [A], "
        "err: [step A fail: ValueError]"
    )


@pytest.mark.parametrize("where", ["policy", "flow", "step"])
def test_a_step_that_takes_too_long_fails_wherever_its_timeout_is_set(
    scenario, rows, body, where
):
    limits = {name: 4.0 if name == where else None for name in ("policy", "flow", "step")}
    if where != "policy":
        limits["policy"] = 90.0
    flow = Flow("Build", (Step("A", timeout=limits["step"]),), timeout=limits["flow"])
    policy = Policy(timeout=limits["policy"], retry=ONE)
    log = wfsim.simulate(scenario(body("A", takes=60.0), flow=flow, policy=policy))
    assert rows(log, "step", "run.interrupted") == [
        (0.0, "step.started", "A"),
        (4.0, "step.failed", "step A fail: no end after 4 s"),
        (5.0, "step.started", "A #2"),
        (9.0, "run.interrupted", many("no end after 4 s", retries=1, flow="Build")),
    ]


def test_a_step_that_ends_in_time_knows_nothing_of_its_timeout(scenario, body):
    bodies = body("A", takes=3.9), body("B", takes=3.0), body("C", takes=3.0)
    log = wfsim.simulate(scenario(*bodies, policy=Policy(timeout=4.0)))
    assert (starts(log, "B"), starts(log, "C")) == ([3.9], [6.9])
    assert log.filter(Kind.STEP_FAILED) == []


def test_a_step_that_ends_when_its_time_is_up_is_too_late(scenario, rows, body):
    policy = Policy(timeout=4.0, retry=Retry(limit=0))
    log = wfsim.simulate(scenario(body("A", takes=4.0), policy=policy))
    assert rows(log, "run.interrupted") == [
        (4.0, "run.interrupted", many("no end after 4 s", flow="Build"))
    ]


def test_a_step_that_catches_every_exception_is_timed_out_all_the_same(scenario, rows):
    def Stubborn(ctx):
        while True:
            try:
                yield from ctx.sleep(1.0)
            except Exception as error:
                ctx.log(f"swallowed {error!r}")

    policy = Policy(timeout=2.5, retry=Retry(limit=0))
    assert rows(wfsim.simulate(scenario(Stubborn, policy=policy)), "step", "run.i") == [
        (0.0, "step.started", "Stubborn"),
        (
            2.5,
            "run.interrupted",
            many("no end after 2.5 s", step="Stubborn", flow="Build"),
        ),
    ]


def test_a_deadline_stops_the_step_that_runs_into_it(scenario, rows, body):
    flow = Flow("Build", (Step("A"), Step("B")), deadline=5.0, timeout=90.0)
    log = wfsim.simulate(scenario(body("A", takes=3.0), body("B", takes=60.0), flow=flow))
    assert rows(log)[-3:] == [
        (3.0, "step.started", "B"),
        (5.0, "run.interrupted", "DEADLINE: not complete by 5 s"),
        (5.0, "resource.state", "-> Interrupt"),
    ]


def test_a_timeout_that_is_shorter_than_what_the_deadline_leaves_comes_first(
    scenario, body, rows
):
    flow = Flow("Build", (Step("A"),), deadline=9.0, timeout=4.0)
    log = wfsim.simulate(scenario(body("A", takes=60.0), flow=flow))
    assert rows(log, "step", "run.interrupted") == [
        (0.0, "step.started", "A"),
        (4.0, "step.failed", "step A fail: no end after 4 s"),
        (5.0, "step.started", "A #2"),
        (9.0, "run.interrupted", "DEADLINE: not complete by 9 s"),
    ]


def test_a_deadline_that_passes_between_two_attempts_does_not_wait_for_the_retry(
    scenario, rows, body
):
    policy = Policy(deadline=5.0, retry=Retry(delay=100.0))
    log = wfsim.simulate(scenario(body("A", ValueError("x")), policy=policy))
    assert rows(log)[-3:] == [
        (1.0, "step.failed", "step A fail: ValueError: x"),
        (5.0, "run.interrupted", "DEADLINE: not complete by 5 s"),
        (5.0, "resource.state", "-> Interrupt"),
    ]


def test_a_deadline_that_passes_while_a_slow_store_begins_a_step_stops_it_at_once(
    scenario, rows, body
):
    # One request in two seconds: the run is 19 s old when its third step is written down.
    slow = scenario(
        *(body(name, takes=1.0) for name in "ABC"),
        policy=Policy(deadline=17.0),
        api_rate=wfsim.demand.ApiRate(0.5),
    )
    log = wfsim.simulate(slow)
    assert rows(log, "step", "run")[-3:] == [
        (16.0, "step.completed", "B"),
        (20.0, "step.started", "C"),
        (22.0, "run.interrupted", "DEADLINE: not complete by 19 s"),
    ]


@pytest.mark.parametrize("after", [None, 60.0])
def test_a_deadline_that_passes_while_the_run_waits_wakes_it(scenario, rows, body, after):
    policy = Policy(deadline=5.0)
    log = wfsim.simulate(scenario(body("A", Waiting(after)), policy=policy))
    assert rows(log)[-3:] == [
        (1.0, "step.waiting", "A"),
        (5.0, "run.interrupted", "DEADLINE: not complete by 5 s"),
        (5.0, "resource.state", "-> Interrupt"),
    ]


def test_a_deadline_that_passes_while_no_controller_is_there_is_noticed_on_return(
    scenario, rows, body
):
    simulation = Simulation(scenario(body("A", takes=3.0), policy=Policy(deadline=5.0)))
    simulation.run(until=2.0)
    simulation.crash()
    simulation.run(until=30.0)
    simulation.restart()
    assert rows(simulation.run())[-2:] == [
        (30.0, "run.interrupted", "DEADLINE: not complete by 5 s"),
        (30.0, "resource.state", "-> Interrupt"),
    ]


def test_recovery_begins_the_deadline_anew(scenario, rows, body):
    simulation = Simulation(scenario(body("A", takes=7.0), policy=Policy(deadline=5.0)))
    simulation.run(until=20.0)
    simulation.recover()
    assert rows(simulation.run())[-2:] == [
        (25.0, "run.interrupted", "DEADLINE: not complete by 25 s"),
        (25.0, "resource.state", "Creating -> Interrupt"),
    ]


def test_a_timed_out_signal_of_the_step_itself_is_a_failure(scenario, rows, body):
    raises = body("A", wfsim.errors.TimedOut(3.0, True), None)
    assert rows(wfsim.simulate(scenario(raises)), "step")[1] == (
        1.0,
        "step.failed",
        "step A fail: no end after 3 s",
    )


def test_a_waiting_step_is_asked_again_when_its_time_has_come(scenario, rows, body):
    waits = body("A", Waiting(5.0), Waiting(7.0), Waiting(5), None, takes=0.0)
    simulation = Simulation(scenario(waits))
    assert rows(simulation.run()) == [
        (0.0, "run.created", "1-Build"),
        (0.0, "step.started", "A"),
        (0.0, "step.waiting", "A"),
        (17.0, "step.completed", "A"),
        (17.0, "run.completed", "1-Build"),
        (17.0, "resource.state", "-> Running"),
    ]


def test_a_step_that_waits_for_its_resource_is_asked_again_when_that_changes(
    scenario, rows
):
    def A(ctx):
        if "go" not in ctx.resource.spec:
            raise Waiting

    simulation = Simulation(scenario(A))
    simulation.run(until=100.0)
    simulation.edit(spec={"come": 1})
    simulation.run(until=200.0)
    simulation.edit(spec={"go": 1})
    assert rows(simulation.run()) == [
        (0.0, "run.created", "1-Build"),
        (0.0, "step.started", "A"),
        (0.0, "step.waiting", "A"),
        (100.0, "resource.edited", "spec"),
        (200.0, "resource.edited", "spec"),
        (200.0, "step.completed", "A"),
        (200.0, "run.completed", "1-Build"),
        (200.0, "resource.state", "-> Running"),
    ]


def test_polls_are_free_and_a_failure_after_a_wait_is_the_first(scenario, body):
    polls = [Waiting(1.0)] * 50
    simulation = Simulation(scenario(body("A", *polls, ValueError("x"), None, takes=0.0)))
    simulation.run()
    step = newest(simulation).steps[0]
    assert (step.retries, step.restarts, step.attempts) == (1, 0, 2)
    failed = next(run for run in simulation.mementos() if run.status == "failed")
    assert (failed.retries, failed.steps[0].retries) == (0, 0)


def test_a_wait_of_less_than_nothing_is_one_of_no_time(scenario, rows, body):
    log = wfsim.simulate(scenario(body("A", Waiting(-1.0), None)))
    assert rows(log, "step") == [
        (0.0, "step.started", "A"),
        (1.0, "step.waiting", "A"),
        (2.0, "step.completed", "A"),
    ]


@pytest.mark.parametrize("after", ["storage is not ready", math.nan])
def test_waiting_for_what_is_no_time_is_a_failure(scenario, rows, body, after):
    log = wfsim.simulate(scenario(body("A", Waiting(after), None)))
    text = f"step A fail: Waiting takes seconds, not {after!r}"
    assert rows(log, "step")[1] == (1.0, "step.failed", text)


def test_an_interruption_stops_the_run_for_an_operator(scenario, rows, body):
    log = wfsim.simulate(scenario(body("A", Interrupted("POD_LOST", "pod-1 is lost"))))
    assert rows(log)[-2:] == [
        (1.0, "run.interrupted", "POD_LOST: pod-1 is lost"),
        (1.0, "resource.state", "-> Interrupt"),
    ]


def test_an_error_raised_from_a_signal_is_that_signal(scenario, rows):
    def A(ctx):
        try:
            raise Interrupted("POD_LOST", "pod-1")
        except Interrupted as error:
            raise RuntimeError("create failed") from error

    assert rows(wfsim.simulate(scenario(A)), "run.interrupted") == [
        (0.0, "run.interrupted", "POD_LOST: pod-1")
    ]
    plain = ValueError("x")
    assert signal_of(plain) is plain


def test_an_unknown_class_interrupts_before_the_step_begins(scenario, rows, body):
    simulation = Simulation(scenario(body("CreatePod"), body("Verify")))
    simulation.run(until=1.5)
    begun = simulation.mementos()[:3]
    unknown = Flow("Build", (Step("CreatePod"), Step("Verify")))
    other = scenario(body("CreatePod"), body("Verify"), flow=unknown)
    other.bodies = lambda: {"CreatePod": None, "Verifi": None}
    resumed = Simulation.resume(other, begun, world=wfsim.World())
    assert rows(resumed.run(), "step.started", "run.i") == [
        (
            0.0,
            "run.interrupted",
            "UNKNOWN_TASK: [Verify Verify]can not find step meta in type resistry! "
            "no code for 'Verify'; did you mean 'Verifi'?",
        )
    ]
    assert newest(resumed).steps[1].status == "prepared"


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        (7, "returned 7; a step returns a mapping with string keys, or None"),
        (False, "returned False; a step returns a mapping with string keys, or None"),
        ([("a", 1)], "returned [('a', 1)]; a step returns a mapping"),
        ({1: "a"}, "JSON cannot hold: the key 1 is not a string"),
        ({"a": {"b": {2: 3}}}, "JSON cannot hold: the key 2 is not a string"),
        ({"a": {1, 2}}, "JSON cannot hold: {1, 2} is a set"),
        ({"a": [b"x"]}, "JSON cannot hold: b'x' is a bytes"),
        ({"a": math.nan}, "JSON cannot hold: nan is no JSON number"),
        ({"a": -math.inf}, "JSON cannot hold: -inf is no JSON number"),
        ({"a": "half \ud83d"}, "surrogates not allowed"),
        ({"half \ud83d": "a"}, "surrogates not allowed"),
    ],
)
def test_a_step_that_returns_what_cannot_be_kept_has_failed(
    scenario, rows, body, output, problem
):
    log = wfsim.simulate(scenario(body("A", output, None)))
    (_, started), (when, failed, text) = rows(log, "step")[0][:2], rows(log, "step")[1]
    assert (started, when, failed) == ("step.started", 1.0, "step.failed")
    assert problem in text
    assert text.startswith("step A fail: TypeError: step 'A' returned")


def test_an_output_that_contains_itself_is_a_failure(scenario, rows, body):
    endless = {}
    endless["again"] = endless
    log = wfsim.simulate(scenario(body("A", endless, None)))
    assert "nested more than 40 deep" in rows(log, "step.failed")[0][2]


def test_what_is_kept_is_of_plain_immutable_types():
    class Port(int):
        pass

    class Name(str):
        __slots__ = ()

    class Ratio(float):
        pass

    kept = storable({Name("n"): [Port(1), Name("x"), Ratio(0.5), True, None, (2, {})]})
    assert kept == {"n": (1, "x", 0.5, True, None, (2, {}))}
    assert [type(item) for item in kept["n"][:5]] == [int, str, float, bool, type(None)]
    assert type(next(iter(kept))) is str
    with pytest.raises(TypeError, match="immutable"):
        kept["n"][5][1]["late"] = 1


def test_an_error_is_described_in_one_line():
    assert describe(ValueError("a\n  b")) == "ValueError: a b"
    assert describe(KeyError()) == "KeyError"
    assert describe(wfsim.errors.StepFailed("on purpose")) == "on purpose"
    assert describe(wfsim.errors.StepFailed()) == "StepFailed"


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("write", range(1, 7))
def test_a_memento_that_was_not_taken_is_written_again(scenario, body, applied, write):
    faults = [wfsim.FailSave(write=write, applied=applied)]
    simulation = Simulation(scenario(body("A"), body("B")), faults=faults)
    log = simulation.run()
    assert (len(starts(log, "A")), len(starts(log, "B"))) == (1, 1)
    assert simulation.resource().state == "Running"
    assert simulation.now >= 3.0


def test_a_store_that_stays_deaf_costs_the_pass_and_nothing_that_was_kept(
    scenario, rows, body
):
    faults = [wfsim.FailSave(write=3, times=11)]
    simulation = Simulation(scenario(body("A")), faults=faults)
    assert rows(simulation.run(), "step", "pass", "run") == [
        (0.0, "run.created", "1-Build"),
        (0.0, "step.started", "A"),
        (11.0, "pass.failed", "controller-0: Unavailable: injected failure of write 13"),
        (12.0, "step.started", "A #2"),
        (13.0, "step.completed", "A #2"),
        (13.0, "run.completed", "1-Build"),
    ]


def test_a_conflict_on_a_memento_is_tried_again(scenario, rows, body):
    faults = [wfsim.RefuseWrite(write=2, times=2)]
    simulation = Simulation(scenario(body("A")), faults=faults)
    assert rows(simulation.run(), "step") == [
        (2.0, "step.started", "A"),
        (3.0, "step.completed", "A"),
    ]


def test_what_a_dead_controllers_step_does_in_its_finally_is_refused(scenario):
    refused = []

    def A(ctx):
        try:
            yield from ctx.sleep(10.0)
        finally:
            try:
                yield from ctx.update(spec={"late": 1})
            except wfsim.errors.Fenced as error:
                refused.append(str(error))

    simulation = Simulation(scenario(A))
    simulation.run(until=5.0)
    simulation.crash()
    simulation.run(until=20.0)
    assert refused == ["A: this attempt is over; it may not write"]
    assert simulation.resource().spec == {}


def test_a_step_that_survives_the_death_of_its_controller_is_not_completed(
    scenario, rows
):
    def A(ctx):
        try:
            yield from ctx.sleep(10.0)
        finally:
            return {"undead": True}  # noqa: B012

    simulation = Simulation(scenario(A))
    simulation.run(until=5.0)
    simulation.crash()
    simulation.run(until=20.0)
    assert rows(simulation.log, "step", "pass") == [(0.0, "step.started", "A")]
    simulation.restart()
    assert rows(simulation.run(), "step")[1:] == [
        (20.0, "step.started", "A #2"),
        (30.0, "step.completed", "A #2"),
    ]


def test_a_run_is_not_carried_on_for_another_resource_of_the_same_name(
    scenario, rows, body
):
    simulation = Simulation(scenario(body("A", takes=3.0), body("B")))
    simulation.run(until=2.0)
    simulation.delete()
    simulation.create(wfsim.Resource("db", "orders", state="Running"))
    assert rows(simulation.run(), "step", "run") == [
        (0.0, "run.created", "1-Build"),
        (0.0, "step.started", "A"),
        (3.0, "step.completed", "A"),
        (3.0, "run.interrupted", "CANCELLED: the resource is gone"),
        (3.0, "run.pruned", "1-Build"),
    ]
    assert simulation.resource().state == "Running"
