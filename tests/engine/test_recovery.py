"""Interrupts, recovery, and every place at which a controller can die (spec 5.5)."""

from __future__ import annotations

import itertools
import json
from types import SimpleNamespace

import pytest

import wfsim
from tests.changes import after, new
from wfsim import (
    CrashAt,
    Flow,
    Interrupted,
    Kind,
    Memento,
    Policy,
    Resource,
    Retry,
    Simulation,
    Step,
    Waiting,
)
from wfsim.model.run import (
    Cause,
    Complete,
    CompleteRun,
    Fail,
    Interrupt,
    Recover,
    Start,
)
from wfsim.types import Key, Recovery

ORDERS = Key("db", "default", "orders")
AB = Flow("Build", (Step("A"), Step("B")))
NOTES = {
    "interrupt.message": "pod is lost",
    "interrupt.previous.status": "Creating",
    "interrupt.reason": "LOST",
    "interrupt.recover": "F",
}


def first_run(*changes, flow=AB):
    return after(new(flow, ORDERS), *changes)


DONE = (1.0, Complete(0)), (2.0, Complete(1)), (2.0, CompleteRun())
LOST = (1.0, Interrupt(0, "LOST", "pod is lost", Cause.STEP))


def as_the_reference_wrote_it(run):
    """Without the object that only we write, read back from its text."""
    document = json.loads(run.to_json())
    del document["wfsim"]
    return Memento.from_json(run.key, json.dumps(document), kind="db")


def machine():
    """From Init to Creating to Running; Rebuild on request, whatever else goes on."""

    def created(resource):
        return True

    def rebuild(resource):
        return "rebuild" in resource.annotations

    return (
        wfsim.StateMachine("db")
        .stable("Init", "Running", "Interrupt")
        .transition("Init", "Creating", when=created)
        .unstable("Creating", run="Build")
        .transition(
            "Interrupt", "Rebuild", when=rebuild, run="Again", ignore_unfinished=True
        )
    )


AGAIN = Flow("Again", (Step("R"),))


def scenario_of(bodies, resource, flow=AB, **rest):
    return wfsim.Scenario([resource], machine(), [flow, AGAIN], bodies, **rest)


@pytest.fixture
def bodies(body):
    return [body("A", {"a": 1}), body("B", {"b": 2}), body("R")]


def found(bodies, *runs, state="", annotations=None, **rest):
    """A store as somebody left it: the resource in *state*, and *runs*."""
    resource = Resource("db", "orders", state=state, annotations=annotations or {})
    simulation = Simulation(scenario_of(bodies, resource, **rest))
    for run in runs:
        simulation.stored.put(run)
    return simulation


def started(log, *names):
    return [
        (record.time, record.step)
        for record in log.filter(Kind.STEP_STARTED)
        if record.step in names or not names
    ]


# Interrupt and recovery without accidents.


def test_an_interrupted_resource_says_why_and_where_it_was(scenario, body):
    simulation = Simulation(scenario(body("A", Interrupted("LOST", "pod is lost"))))
    simulation.run()
    assert simulation.resource().state == "Interrupt"
    assert simulation.resource().annotations == NOTES


def test_the_state_before_is_kept_by_its_name(body):
    def R(ctx):
        yield from ctx.update(annotations={"rebuild": None})
        raise Interrupted("X")

    notes = {**NOTES, "rebuild": "now"}
    simulation = found([body("A"), body("B"), R], state="Interrupt", annotations=notes)
    simulation.run()
    assert simulation.resource().annotations["interrupt.previous.status"] == "Rebuild"


REBUILD = {**NOTES, "interrupt.previous.status": "Rebuild", "rebuild": "now"}


def test_a_rebuild_that_is_recovered_is_another_run_and_the_old_one_stays(bodies, rows):
    asked = {**REBUILD, "interrupt.recover": "T"}
    lost = as_the_reference_wrote_it(after(new(AGAIN, ORDERS), (0.0, Start(0)), LOST))
    simulation = found(bodies, lost, state="Interrupt", annotations=asked)
    assert rows(simulation.run())[-6:] == [
        (0.0, "resource.state", "Interrupt -> Rebuild"),
        (0.0, "run.created", "2-Again"),
        (0.0, "step.started", "R"),
        (1.0, "step.completed", "R"),
        (1.0, "run.completed", "2-Again"),
        (1.0, "resource.state", "Rebuild -> Running"),
    ]
    assert simulation.mementos()[0] == lost


def test_a_run_that_a_rebuild_left_unfinished_is_superseded_on_recovery(bodies, rows):
    under_way = after(new(AGAIN, ORDERS), (0.0, Start(0)))
    asked = {**REBUILD, "interrupt.recover": "T"}
    simulation = found(
        bodies,
        as_the_reference_wrote_it(under_way),
        state="Interrupt",
        annotations=asked,
    )
    assert rows(simulation.run())[-7:-4] == [
        (0.0, "run.superseded", "1-Again"),
        (0.0, "resource.state", "Interrupt -> Rebuild"),
        (0.0, "run.created", "2-Again"),
    ]


def rebuilt_twice(faults):
    """Rebuilt at 10 s, which asks for help; asked to go on, and anew, at 30 s."""

    def a(context):
        yield from context.sleep(2)
        raise Interrupted("X")

    def r(context):
        yield from context.sleep(3)
        yield from context.update(annotations={"rebuild": None})
        if "fixed" not in context.resource.annotations:
            raise Interrupted("Y")

    a.__name__, r.__name__ = "A", "R"
    build = Flow("Build", (Step("A"),))
    scenario = scenario_of([a, r], Resource("db", "orders", state="Init"), build)
    again = {"fixed": "yes", "rebuild": "anew", "interrupt.recover": "T"}
    edits = [
        wfsim.EditAt(10, "orders", annotations={"rebuild": "now"}),
        wfsim.EditAt(30, "orders", annotations=again),
    ]
    return Simulation(scenario, faults=[*edits, *faults])


def test_a_rebuild_that_is_recovered_ends_alike_whatever_cuts_in():
    calm = rebuilt_twice(())
    calm.run()
    keys = dict.fromkeys(memento.key for memento in calm.mementos())
    assert [*keys] == ["1-Build", "2-Again", "3-Again"]
    assert calm.resource().state == "Running"
    requests = {
        "recover": [("recover", {})],
        "rebuild": [("edit", {"annotations": {"rebuild": "once more"}})],
        "recover and delete": [("recover", {}), ("delete", {})],
    }
    asks = {name: SimpleNamespace(calls=calls) for name, calls in requests.items()}
    report = wfsim.explore(rebuilt_twice, ["CrashAt"], restart_after=3, asks=asks)
    assert report.failures == []
    assert report.counts["planned"] > 100
    assert report.counts["void"] == 0


OURS = Recovery(
    reason="ops/reason", message="ops/message", previous="ops/was", recover="ops/go-on"
)


class InStatus(Recovery):
    """Keeps its notes in the status, and goes on once somebody has signed."""

    def interrupt(self, resource, reason, message):
        stopped = resource.edit(
            status={"stopped": reason, "was": resource.state or "Init"}
        )
        return stopped.move("Interrupt", reason)

    def is_noted(self, resource):
        return "stopped" in resource.status

    def is_wanted(self, resource):
        return "signed" in resource.status

    def state_before(self, resource):
        return ""

    def ask(self, resource):
        return resource.edit(status={"signed": "me"})

    def go_on(self, resource, state):
        bare = resource.edit(status={"stopped": None, "signed": None, "was": None})
        return bare.move(state, "recover")


@pytest.mark.parametrize("recovery", [OURS, InStatus()])
@pytest.mark.parametrize(
    "faults", [(), *((CrashAt(write=n, restart_after=1),) for n in range(1, 9))]
)
def test_a_recovery_may_have_names_and_a_rule_of_its_own(
    scenario, body, recovery, faults
):
    built = wfsim.StateMachine("db").stable("Running", "Interrupt")
    built.unstable("Creating", run="Build").recovery(recovery)
    made = scenario(body("A", Interrupted("LOST", "?"), None), machine=built)
    simulation = Simulation(made, faults=faults)
    simulation.run()
    stopped = simulation.resource()
    assert stopped.state == "Interrupt"
    assert not {*NOTES} & {*stopped.annotations}
    simulation.edit(annotations={"interrupt.recover": "T"})
    simulation.run()
    assert simulation.resource().state == "Interrupt"
    simulation.recover()
    simulation.run()
    ended = simulation.resource()
    assert (ended.state, ended.status) == ("Running", {})
    assert dict(ended.annotations) == {"interrupt.recover": "T"}
    assert [run.key for run in simulation.mementos()[-1:]] == ["1-Build"]


def test_explore_asks_for_recovery_as_the_machine_wants_it(scenario, body):
    built = wfsim.StateMachine("db").stable("Running", "Interrupt")
    built.unstable("Creating", run="Build").recovery(InStatus())
    made = scenario(body("A", Interrupted("LOST", "?"), None), machine=built)
    again = SimpleNamespace(calls=[("recover", {})])
    report = wfsim.explore(made, ["CrashAt"], asks={"again": again})
    plans = [
        each.point.plan for each in report.outcomes if each.point.fault == "ask again"
    ]
    assert plans
    assert {tuple(fault.status.items()) for (fault,) in plans} == {(("signed", "me"),)}


@pytest.mark.parametrize("names", [{"recover": ""}, {"recover": "interrupt.reason"}])
def test_names_of_a_recovery_that_cannot_be_told_apart_are_refused(names):
    with pytest.raises(wfsim.DefinitionError, match="give four names, each another one"):
        Recovery(**names)


@pytest.mark.parametrize("answer", ["T", "", "f", "yes"])
def test_any_value_but_F_asks_for_recovery_an_empty_one_too(body, rows, answer):
    simulation = found([body("A"), body("B", Interrupted("LOST"), None), body("R")])
    simulation.run()
    simulation.edit(annotations={"interrupt.recover": answer})
    assert rows(simulation.run())[-6:] == [
        (2.0, "run.recovered", "1-Build"),
        (2.0, "resource.state", "Interrupt -> Creating"),
        (2.0, "step.started", "B #2"),
        (3.0, "step.completed", "B #2"),
        (3.0, "run.completed", "1-Build"),
        (3.0, "resource.state", "Creating -> Running"),
    ]
    assert simulation.resource().annotations == {}


@pytest.mark.parametrize("answer", ["F", None])
def test_F_or_no_annotation_asks_for_nothing(body, answer):
    simulation = found([body("A"), body("B", Interrupted("LOST"), None), body("R")])
    simulation.run()
    simulation.edit(
        annotations={"interrupt.recover": answer, "note": "looked at by an operator"}
    )
    written = len(simulation.mementos())
    simulation.run()
    assert simulation.resource().state == "Interrupt"
    assert len(simulation.mementos()) == written


def test_recovery_goes_on_from_the_failed_step_with_what_the_others_left(body):
    seen = []

    def C(ctx):
        seen.append((ctx.inputs["a"], ctx.inputs["b"]))
        if ctx.attempt == 1:
            raise Interrupted("LOST")

    flow = Flow("Build", (*AB.steps, Step("C")))
    bodies = [body("A", {"a": 1}), body("B", {"b": 2}), C, body("R")]
    simulation = found(bodies, flow=flow)
    simulation.run()
    simulation.recover()
    simulation.run()
    assert started(simulation.log) == [(0.0, "A"), (1.0, "B"), (2.0, "C"), (2.0, "C")]
    assert seen == [(1, 2), (1, 2)]


def test_recovery_goes_back_to_the_first_step_if_the_flow_says_so(body):
    flow = Flow("Build", AB.steps, recover_from_first_step=True)
    outputs = body("A", {"a": 1}, {"a": 9}), body("B", Interrupted("LOST"), None)
    simulation = found([*outputs, body("R")], flow=flow)
    simulation.run()
    simulation.recover()
    simulation.run()
    assert started(simulation.log) == [(0.0, "A"), (1.0, "B"), (2.0, "A"), (3.0, "B")]
    last = simulation.mementos()[-1]
    assert [(step.output, step.attempts) for step in last.steps] == [
        ({"a": 9}, 2),
        ({}, 2),
    ]


def test_recovery_gives_back_the_budget_of_retries(body):
    simulation = found([body("A", ValueError("x")), body("B"), body("R")])
    simulation.run()
    simulation.recover()
    simulation.run()
    # The first execution after a recovery is a retry, as in the reference.
    assert len(started(simulation.log, "A")) == 11 + 10
    simulation.recover()
    simulation.run()
    assert len(started(simulation.log, "A")) == 11 + 10 + 10
    assert simulation.mementos()[-1].reason == "MANY_RETRY"


def test_recovery_gives_back_the_budget_of_restarts(body):
    policy = Policy(retry=Retry(restarts=1))
    simulation = found([body("A", takes=9.0), body("B"), body("R")], policy=policy)
    for _ in range(2):
        simulation.run(for_=1.0)
        simulation.crash()
        simulation.restart()
    simulation.run()
    assert simulation.mementos()[-1].reason == "MANY_RESTARTS"
    simulation.recover()
    simulation.run(for_=1.0)
    simulation.crash()
    simulation.restart()
    simulation.run()
    assert simulation.resource().state == "Running"


def test_a_second_interruption_takes_the_place_of_the_first(body):
    raises = body("B", Interrupted("ONE", "1"), Interrupted("TWO", "2"))
    simulation = found([body("A"), raises, body("R")])
    simulation.run()
    simulation.recover()
    simulation.run()
    assert simulation.resource().annotations == {
        "interrupt.message": "2",
        "interrupt.previous.status": "Creating",
        "interrupt.reason": "TWO",
        "interrupt.recover": "F",
    }


def test_recovery_without_the_previous_state_goes_where_the_flow_is_run(body, rows):
    simulation = found([body("A"), body("B", Interrupted("LOST"), None), body("R")])
    simulation.run()
    simulation.edit(
        annotations={"interrupt.previous.status": None, "interrupt.recover": "T"}
    )
    assert rows(simulation.run(), "resource.state")[-2:] == [
        (2.0, "resource.state", "Interrupt -> Creating"),
        (3.0, "resource.state", "Creating -> Running"),
    ]


@pytest.mark.parametrize("previous", [{}, {"interrupt.previous.status": ""}])
def test_recovery_of_a_resource_without_a_run_goes_to_running(bodies, rows, previous):
    asked = {**previous, "interrupt.recover": "T"}
    simulation = found(bodies, state="Interrupt", annotations=asked)
    assert rows(simulation.run()) == [(0.0, "resource.state", "Interrupt -> Running")]
    assert simulation.resource().annotations == {}


def test_recovery_leaves_a_completed_run_alone(bodies, rows):
    done = first_run(*DONE)
    simulation = found(
        bodies,
        done,
        state="Interrupt",
        annotations={
            **NOTES,
            "interrupt.recover": "T",
            "interrupt.previous.status": "Running",
        },
    )
    assert rows(simulation.run(), "resource", "step") == [
        (0.0, "resource.state", "Interrupt -> Running")
    ]
    assert simulation.mementos() == [done]


def test_recovery_of_a_flow_that_is_no_more_interrupts_again(bodies, rows):
    gone = first_run((0.0, Start(0)), LOST, flow=Flow("Bild", AB.steps))
    gone = as_the_reference_wrote_it(gone)
    asked = {**NOTES, "interrupt.recover": "T"}
    simulation = found(bodies, gone, state="Interrupt", annotations=asked)
    assert rows(simulation.run(), "run.i", "resource.state") == [
        (0.0, "resource.state", "Interrupt -> Creating"),
        (0.0, "run.interrupted", "UNKNOWN_FLOW: no flow 'Bild'; did you mean 'Build'?"),
        (0.0, "resource.state", "Creating -> Interrupt"),
    ]


# Crash points: our own engine dies at each of its writes and is started again.

W0_TO_W4 = [
    # what spec 5.5 calls it, write, when, starts of A and B, executions of A and B
    ("before W0", 1, "before", (1, 1), (1, 1)),
    ("W0..W1", 1, "after", (1, 1), (1, 1)),
    ("W0..W1", 2, "before", (1, 1), (1, 1)),
    ("after W1, before W2.1", 2, "after", (1, 1), (1, 1)),
    ("after W1, before W2.1", 3, "before", (1, 1), (1, 1)),
    ("after W2.1, before DoStep", 3, "after", (2, 1), (1, 1)),
    ("after DoStep, before W3.1", 4, "before", (2, 1), (2, 1)),
    ("after W3.1, before W2.2", 4, "after", (1, 1), (1, 1)),
    ("after W3.1, before W2.2", 5, "before", (1, 1), (1, 1)),
    ("after W2.2, before DoStep", 5, "after", (1, 2), (1, 1)),
    ("after the last step, before W3.2", 6, "before", (1, 2), (1, 2)),
    ("after W3.2, W4 missing", 6, "after", (1, 1), (1, 1)),
    ("after W3.2, W4 missing", 7, "before", (1, 1), (1, 1)),
    ("after W4, before OnWfCompleted", 7, "after", (1, 1), (1, 1)),
    ("after W4, before the state", 8, "before", (1, 1), (1, 1)),
    ("after the state", 8, "after", (1, 1), (1, 1)),
]


def counting(ran, name, *deeds):
    times = itertools.count()

    def body(ctx):
        yield from ctx.sleep(1.0)
        ran.append(name)
        deed = deeds[min(next(times), len(deeds) - 1)] if deeds else {name.lower(): 1}
        if isinstance(deed, Exception):
            raise deed
        return deed

    body.__name__ = name
    return body


def crashed(bodies, write, when, *, flow=AB):
    """A run from Init on whose controller dies at that write and comes back."""
    simulation = Simulation(
        scenario_of(bodies, Resource("db", "orders", state="Init"), flow=flow),
        faults=[CrashAt(write=write, when=when, restart_after=10.0)],
    )
    simulation.run()
    assert len(simulation.log.filter(Kind.FAULT_FIRED)) == 1
    return simulation


@pytest.mark.parametrize(("place", "write", "when", "starts", "executions"), W0_TO_W4)
def test_a_run_that_is_cut_off_anywhere_is_brought_to_its_end(
    place, write, when, starts, executions
):
    ran = []
    bodies = [counting(ran, "A"), counting(ran, "B"), counting(ran, "R")]
    simulation = crashed(bodies, write, when)
    log = simulation.log
    assert simulation.resource().state == "Running", place
    assert tuple(len(started(log, name)) for name in "AB") == starts
    assert (ran.count("A"), ran.count("B"), ran.count("R")) == (*executions, 0)
    last = simulation.mementos()[-1]
    assert (last.key, last.status) == ("1-Build", "completed")
    assert [step.output for step in last.steps] == [{"a": 1}, {"b": 1}]
    assert sum(step.retries for step in last.steps) == 0
    assert [step.restarts for step in last.steps] == [count - 1 for count in starts]


def test_a_crash_between_completion_and_state_is_settled_by_the_next_pass(bodies, rows):
    simulation = crashed(bodies, 7, "after")
    assert rows(simulation.log)[-2:] == [
        (2.0, "run.completed", "1-Build"),
        (12.0, "resource.state", "Creating -> Running"),
    ]


@pytest.mark.parametrize("vanishes", [True, False])
def test_after_W0_the_check_is_asked_again(bodies, rows, vanishes):
    wanted = {"go": "now"}

    def wants(resource):
        return "go" in resource.annotations

    asked = (
        wfsim.StateMachine("db")
        .stable("Running", "Interrupt")
        .transition("Running", "Building", when=wants, run="Build")
    )
    simulation = Simulation(
        wfsim.Scenario(
            [Resource("db", "orders", state="Running", annotations=wanted)],
            asked,
            [AB],
            bodies,
        ),
        faults=[CrashAt(write=1)],
    )
    simulation.run(until=1.0)
    if vanishes:
        simulation.edit(annotations={"go": None})
    simulation.restart()
    simulation.run(for_=1.5)
    states = rows(simulation.log, "resource.state")
    assert states[0] == (0.0, "resource.state", "Running -> Building")
    assert states[1:] == (
        [(1.0, "resource.state", "Building -> Running")] if vanishes else []
    )
    assert len(started(simulation.log)) == (0 if vanishes else 2)


@pytest.mark.parametrize(
    ("write", "when", "starts", "retries", "restarts"),
    [
        (6, "before", 2, 0, 1),  # a plain failure before W6c': as a crash in DoStep
        (6, "after", 2, 1, 0),
        (7, "before", 2, 1, 0),
        (7, "after", 3, 1, 1),
    ],
)
def test_a_failure_that_is_cut_off_is_tried_again(write, when, starts, retries, restarts):
    ran = []
    bodies = [counting(ran, "A"), counting(ran, "B", ValueError(), {"b": 1})]
    simulation = crashed([*bodies, counting(ran, "R")], write, when)
    step = simulation.mementos()[-1].steps[1]
    assert (step.attempts, step.retries, step.restarts) == (starts, retries, restarts)
    assert simulation.resource().state == "Running"


@pytest.mark.parametrize(
    ("write", "when", "starts", "restarts"),
    [
        (6, "before", 2, 1),  # before W5: executed again
        (6, "after", 1, 0),  # after W5: asked again, for nothing
        (7, "before", 1, 0),
    ],
)
def test_a_wait_that_is_cut_off_is_asked_again(write, when, starts, restarts):
    ran = []
    waits = counting(ran, "B", Waiting(3.0), {"b": 1})
    simulation = crashed([counting(ran, "A"), waits, counting(ran, "R")], write, when)
    step = simulation.mementos()[-1].steps[1]
    assert (step.attempts, step.retries, step.restarts) == (starts, 0, restarts)
    assert simulation.resource().state == "Running"


@pytest.mark.parametrize(
    ("place", "write", "when", "executions"),
    [
        ("before the memento", 6, "before", 2),
        ("memento..resource (W6)", 6, "after", 1),
        ("memento..resource (W6)", 7, "before", 1),
        ("after W6, before the hooks", 7, "after", 1),
    ],
)
def test_an_interruption_that_is_cut_off_is_made_whole(place, write, when, executions):
    ran = []
    raises = counting(ran, "B", Interrupted("LOST", "pod is lost"))
    simulation = crashed([counting(ran, "A"), raises, counting(ran, "R")], write, when)
    assert ran.count("B") == executions, place
    assert simulation.mementos()[-1].status == "failedAndCompleted"
    assert simulation.resource().state == "Interrupt"
    assert simulation.resource().annotations == NOTES


@pytest.mark.parametrize("from_first", [False, True])
@pytest.mark.parametrize(
    ("write", "when"),
    [(8, "before"), (8, "after"), (9, "before"), (9, "after")],
)
def test_a_recovery_that_is_cut_off_is_repeated(write, when, from_first):
    ran = []
    flow = Flow("Build", AB.steps, recover_from_first_step=from_first)
    raises = counting(ran, "B", Interrupted("LOST", "pod is lost"), {"b": 1})
    simulation = Simulation(
        scenario_of(
            [counting(ran, "A"), raises, counting(ran, "R")],
            Resource("db", "orders", state="Init"),
            flow=flow,
        ),
        faults=[CrashAt(write=write, when=when, restart_after=10.0)],
    )
    simulation.run()
    simulation.recover()
    simulation.run()
    assert len(simulation.log.filter(Kind.FAULT_FIRED)) == 1
    assert simulation.resource().state == "Running"
    assert simulation.resource().annotations == {}
    assert ran == ["A", "B", "A", "B"] if from_first else ["A", "B", "B"]
    last = simulation.mementos()[-1]
    assert [step.restarts for step in last.steps] == [0, 0]


# Torn states as the reference engine leaves them: a store is found, nothing is known.


def test_a_first_memento_without_keys_of_its_own_is_carried_on(bodies, rows):
    bare = first_run()
    context = {k: v for k, v in bare.context.items() if not k.startswith("_flowSave")}
    bare = as_the_reference_wrote_it(bare._replace(context=context))
    simulation = found(bodies, bare, state="Creating")
    assert rows(simulation.run(), "step", "resource.state") == [
        (0.0, "step.started", "A"),
        (1.0, "step.completed", "A"),
        (1.0, "step.started", "B"),
        (2.0, "step.completed", "B"),
        (2.0, "resource.state", "Creating -> Running"),
    ]


def test_W6a_to_W6b_stale_notes_on_a_resource_that_is_not_interrupted_do_no_harm(
    bodies, rows
):
    torn = as_the_reference_wrote_it(first_run((0.0, Start(0))))
    simulation = found(bodies, torn, state="Creating", annotations=NOTES)
    assert rows(simulation.run(), "step.started", "resource.state") == [
        (0.0, "step.started", "A #2"),
        (1.0, "step.started", "B"),
        (2.0, "resource.state", "Creating -> Running"),
    ]


@pytest.fixture
def half_interrupted(bodies):
    """W6b..W6c: the resource is interrupted, its run does not know yet."""
    torn = first_run((0.0, Start(0)), (1.0, Complete(0)), (1.0, Start(1)))
    torn = as_the_reference_wrote_it(torn)
    simulation = found(bodies, torn, state="Interrupt", annotations=NOTES)
    simulation.run()
    return simulation


def test_W6b_to_W6c_waits_for_an_operator(half_interrupted):
    assert started(half_interrupted.log, "A", "R") == []
    assert half_interrupted.resource().state == "Interrupt"
    assert len(half_interrupted.mementos()) == 1


def test_W6b_to_W6c_is_recovered_with_all_budgets_anew(half_interrupted, rows):
    half_interrupted.recover()
    assert rows(half_interrupted.run())[-6:] == [
        (0.0, "run.recovered", "1-Build"),
        (0.0, "resource.state", "Interrupt -> Creating"),
        (0.0, "step.started", "B #2"),
        (1.0, "step.completed", "B #2"),
        (1.0, "run.completed", "1-Build"),
        (1.0, "resource.state", "Creating -> Running"),
    ]
    assert half_interrupted.mementos()[1].steps[1].retries == 0


def test_W6b_to_W6c_followed_by_another_flow_is_superseded_and_never_comes_back(
    half_interrupted, rows
):
    half_interrupted.edit(annotations={"rebuild": "now"})
    assert rows(half_interrupted.run())[-7:] == [
        (0.0, "resource.state", "Interrupt -> Rebuild"),
        (0.0, "run.superseded", "1-Build"),
        (0.0, "run.created", "2-Again"),
        (0.0, "step.started", "R"),
        (1.0, "step.completed", "R"),
        (1.0, "run.completed", "2-Again"),
        (1.0, "resource.state", "Rebuild -> Running"),
    ]
    half_interrupted.edit(spec={"size": 2})
    assert rows(half_interrupted.run())[-1][1] == "resource.edited"


def recovered(run):
    return as_the_reference_wrote_it(after(run, (0.0, Start(0)), LOST, Recover(False)))


def test_R1_to_R2_recovery_is_repeated(bodies, rows):
    asked = {**NOTES, "interrupt.recover": "T"}
    simulation = found(
        bodies, recovered(first_run()), state="Interrupt", annotations=asked
    )
    assert rows(simulation.run(), "step.started", "resource.state") == [
        (0.0, "resource.state", "Interrupt -> Creating"),
        (0.0, "step.started", "A #2"),
        (1.0, "step.started", "B"),
        (2.0, "resource.state", "Creating -> Running"),
    ]


@pytest.mark.parametrize("asked_again", [False, True])
def test_R2_to_R3_recovery_is_finished_though_the_notes_are_gone(
    bodies, rows, asked_again
):
    asked = {"interrupt.recover": "T"} if asked_again else {}
    simulation = found(
        bodies, recovered(first_run()), state="Interrupt", annotations=asked
    )
    assert rows(simulation.run(), "step.started", "resource.state") == [
        (0.0, "resource.state", "Interrupt -> Creating"),
        (0.0, "step.started", "A #2"),
        (1.0, "step.started", "B"),
        (2.0, "resource.state", "Creating -> Running"),
    ]


@pytest.mark.parametrize("status", ["inited", "failed", "completed"])
def test_a_dormant_run_is_finished_in_the_stable_state_before_anything_else(
    body, rows, status
):
    """The last step of the reference sets Running itself, before its memento says so."""
    run = first_run((0.0, Start(0)), (1.0, Complete(0)), (1.0, Start(1)))
    if status == "failed":
        run = after(run, (2.0, Fail(1, "save failed", 2.0)))
    if status == "completed":
        run = after(run, (2.0, Complete(1)))
    calm = as_the_reference_wrote_it(run)

    def wants(resource):
        return "size" in resource.spec and resource.status != resource.spec

    def Resize(ctx):
        yield from ctx.sleep(1.0)
        yield from ctx.update(status=ctx.resource.spec)

    states = (
        wfsim.StateMachine("db")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="Build")
        .transition("Running", "Resizing", when=wants, run="Resize")
    )
    simulation = Simulation(
        wfsim.Scenario(
            [Resource("db", "orders", state="Running", spec={"size": 2})],
            states,
            [AB, Flow("Resize", (Step("Resize"),))],
            [body("A"), body("B"), Resize],
        )
    )
    simulation.stored.put(calm)
    log = simulation.run()
    replayed = [] if status == "completed" else [(0.0, "step.started", "B #2")]
    then = 0.0 if status == "completed" else 1.0
    assert rows(log, "step.started", "run.c", "resource.state")[1:] == [
        *replayed,
        (then, "run.completed", "1-Build"),
        (then, "resource.state", "Running -> Resizing"),
        (then, "run.created", "2-Resize"),
        (then, "step.started", "Resize"),
        (then + 1.0, "run.completed", "2-Resize"),
        (then + 1.0, "resource.state", "Resizing -> Running"),
    ]


def test_a_dormant_run_that_fails_for_good_interrupts_the_stable_state(body, rows):
    run = as_the_reference_wrote_it(first_run((0.0, Start(0))))
    raises = body("A", Interrupted("LOST"), None)
    simulation = found([raises, body("B"), body("R")], run, state="Running")
    simulation.run()
    simulation.recover()
    assert rows(simulation.run(), "resource.state") == [
        (1.0, "resource.state", "Running -> Interrupt"),
        (1.0, "resource.state", "Interrupt -> Running"),
    ]
    assert simulation.mementos()[-1].status == "completed"


def test_after_W4_an_unstable_resource_whose_run_is_complete_asks_its_check(bodies, rows):
    """The reference knows no state to go to; with a check, its answer decides."""
    done = first_run(*DONE)
    done = as_the_reference_wrote_it(done)

    def never(resource):
        return None

    states = (
        wfsim.StateMachine("db")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="Build", when=never)
    )
    simulation = Simulation(
        wfsim.Scenario([Resource("db", "orders")], states, [AB], bodies[:2])
    )
    simulation.stored.put(done)
    assert rows(simulation.run(), "resource", "step") == [
        (0.0, "resource.state", "-> Running")
    ]


def test_a_leader_that_lost_its_lease_does_not_write_over_the_new_one(body):
    simulation = Simulation(
        scenario_of(
            [body("A", takes=10.0), body("B", takes=50.0), body("R")],
            Resource("db", "orders"),
        ),
        controllers=2,
        faults=[wfsim.PauseController(5.0, for_=40.0, controller="controller-0")],
    )
    simulation.run()
    last = simulation.mementos()[-1]
    assert simulation.resource().state == "Running"
    assert (last.status, [step.attempts for step in last.steps]) == ("completed", [2, 1])


# All of it at once: a failure, a wait, an interruption and a recovery, cut off anywhere.

EVENTFUL = Flow("Build", tuple(map(Step, ("Fails", "Waits", "Stops", "Last"))))
WRITES = 24


def eventful(*faults):
    """A run that has seen everything, recovered by an operator at 60 s and at 120 s."""
    deeds = {
        "Fails": [ValueError("x"), {"a": 1}],
        "Waits": [Waiting(5.0), {"b": 2}],
        "Stops": [Interrupted("LOST", "pod is lost"), {"c": 3}],
        "Last": [{"d": 4}],
    }
    seen = {name: set() for name in deeds}

    def body_of(name):
        def body(ctx):
            yield from ctx.sleep(1.0)
            deed = deeds[name][min(len(seen[name]), len(deeds[name]) - 1)]
            # What a crash cuts off before it is written down happens again.
            seen[name].add((ctx.attempt, ctx.clock.now))
            if isinstance(deed, Exception):
                raise deed
            yield from ctx.update(status={name: "done"})
            return deed

        body.__name__ = name
        return body

    recover = {"interrupt.recover": "T"}
    simulation = Simulation(
        scenario_of(
            [*map(body_of, deeds), body_of_R],
            Resource("db", "orders", state="Init"),
            flow=EVENTFUL,
        ),
        faults=[
            *faults,
            wfsim.EditAt(60.0, annotations=recover),
            wfsim.EditAt(120.0, annotations=recover),
        ],
    )
    simulation.run()
    return simulation


def body_of_R(ctx):
    raise AssertionError("not asked for")


body_of_R.__name__ = "R"


def outcome(simulation):
    """Where it ended, annotations of the second, idle request apart."""
    live, last = simulation.resource(), simulation.mementos()[-1]
    return (
        live.state,
        dict(live.status),
        last.key,
        last.status,
        [(step.status, step.output) for step in last.steps],
    )


def test_an_eventful_run_makes_this_many_writes():
    simulation = eventful(wfsim.FailSave(write=WRITES + 1))
    last = eventful(wfsim.FailSave(write=WRITES))
    fired = [len(sim.log.filter(Kind.FAULT_FIRED)) for sim in (last, simulation)]
    assert fired == [3, 2]
    assert outcome(simulation) == (
        "Running",
        {"Fails": "done", "Waits": "done", "Stops": "done", "Last": "done"},
        "1-Build",
        "completed",
        [("completed", output) for output in ({"a": 1}, {"b": 2}, {"c": 3}, {"d": 4})],
    )


@pytest.mark.parametrize("write", range(1, WRITES + 1))
@pytest.mark.parametrize(
    "fault",
    [
        lambda k: CrashAt(write=k, when="before", restart_after=3.0),
        lambda k: CrashAt(write=k, when="after", restart_after=3.0),
        lambda k: wfsim.FailSave(write=k, applied=True),
        lambda k: wfsim.FailSave(write=k, applied=False),
        lambda k: wfsim.FailSave(write=k, times=12),
        lambda k: wfsim.RefuseWrite(write=k),
    ],
    ids=["dies before", "dies after", "silent", "refused", "deaf", "conflict"],
)
def test_whatever_befalls_a_write_the_end_is_the_same(write, fault):
    simulation = eventful(fault(write))
    assert len(simulation.log.filter(Kind.FAULT_FIRED)) >= 3
    assert outcome(simulation) == outcome(eventful())
    statuses = simulation.log.fold().mementos
    assert set(statuses) == {("orders", "1-Build")}


def test_an_older_run_of_another_state_is_not_recovered_for_one_that_is_unreadable():
    def body(name, *deeds):
        left = list(deeds)

        def step(ctx):
            yield from ctx.sleep(1.0)
            if left:
                raise left.pop(0)

        step.__name__ = name
        return step

    def redo(resource):
        return "redo" in resource.annotations

    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    machine.unstable("Creating", run="Build")
    machine.transition("Interrupt", "Rebuild", when=redo, run="Redo")
    simulation = wfsim.Simulation(
        wfsim.Scenario(
            [wfsim.Resource("db", "orders")],
            machine,
            [
                wfsim.Flow("Build", (wfsim.Step("A"),)),
                wfsim.Flow("Redo", (wfsim.Step("R"),)),
            ],
            [body("A", wfsim.Interrupted("ONE")), body("R", wfsim.Interrupted("TWO"))],
        )
    )
    simulation.run()
    simulation.edit("orders", annotations={"redo": "now"})
    simulation.run(for_=0.5)
    simulation.edit("orders", annotations={"redo": None})
    simulation.run()
    assert [run.key for run in simulation.mementos("orders")[-1:]] == ["2-Redo"]
    key = simulation.resource("orders").key
    simulation.act(lambda sim: sim.stored.load(key, "2-Redo", '{"flowStatus"'))
    simulation.edit("orders", annotations={"redo": "now", "interrupt.recover": "T"})
    log = simulation.run()
    assert simulation.resource("orders").state == "Running"
    assert log.filter(wfsim.Kind.RUN_RECOVERED) == []
    assert [r.run for r in log.filter(wfsim.Kind.RUN_COMPLETED)] == ["3-Redo"]
