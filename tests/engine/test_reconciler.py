"""One pass over one resource: which row applies, and what it leads to."""

from __future__ import annotations

from dataclasses import replace

import pytest

import wfsim
from tests.changes import after, new
from wfsim import (
    EditAt,
    Event,
    Flow,
    Kind,
    Policy,
    Resource,
    Retry,
    Simulation,
    StateMachine,
    Step,
    Waiting,
)
from wfsim.model.run import Complete, CompleteRun, Start, Supersede, Wait
from wfsim.types import Key

ORDERS = Key("db", "default", "orders")


def wants(name):
    """Whether the spec asks for *name*, with what it asks for as parameters."""

    def check(resource):
        asked = resource.spec.get(name)
        return None if asked is None else Event(name, {"asked": asked})

    check.__name__ = f"wants_{name}"
    return check


def machine(**ignore):
    """Resize and Move from Running, each on request until it is done."""
    return (
        StateMachine("db")
        .stable("Running", "Interrupt")
        .transition("Running", "Resizing", when=wants("size"), run="Resize")
        .transition("Running", "Moving", when=wants("zone"), run="Move", **ignore)
    )


def done(name):
    def body(ctx):
        yield from ctx.sleep(1.0)
        yield from ctx.update(spec={name: None})

    body.__name__ = f"Do{name}"
    return body


FLOWS = [Flow("Resize", (Step("Dosize"),)), Flow("Move", (Step("Dozone"),))]
BODIES = (done("size"), done("zone"))


def scenario_of(resource=None, states=None, flows=FLOWS, bodies=BODIES, **rest):
    resource = resource or Resource("db", "orders", state="Running")
    return wfsim.Scenario([resource], states or machine(), flows, bodies, **rest)


def asking(state="Running", **spec):
    return Resource("db", "orders", state=state, spec=spec)


def begun(number, flow, *, waiting=False):
    run = after(new(flow, ORDERS, number), (0.0, Start(0)))
    return after(run, Wait(0, None)) if waiting else run


# Stable states.


def test_a_check_only_writes_the_state_and_the_next_pass_acts_on_it(rows):
    assert rows(wfsim.simulate(scenario_of(asking(size=3)))) == [
        (0.0, "resource.state", "Running -> Resizing"),
        (0.0, "run.created", "1-Resize"),
        (0.0, "step.started", "Dosize"),
        (1.0, "resource.edited", "spec"),
        (1.0, "step.completed", "Dosize"),
        (1.0, "run.completed", "1-Resize"),
        (1.0, "resource.state", "Resizing -> Running"),
    ]


def test_a_pass_between_state_and_run_shows_the_state_alone():
    simulation = Simulation(scenario_of(asking(size=3)))
    simulation.run(until=wfsim.state_entered("Resizing"))
    assert simulation.resource().state == "Resizing"
    assert simulation.resource().event == "size"


def test_the_first_check_that_has_an_event_wins_and_the_other_is_next(rows):
    states = rows(wfsim.simulate(scenario_of(asking(size=3, zone="b"))), "resource.state")
    assert [text for _, _, text in states] == [
        "Running -> Resizing",
        "Resizing -> Running",
        "Running -> Moving",
        "Moving -> Running",
    ]


def test_an_ignored_event_does_not_stop_the_scan(rows):
    states = machine().ignore("size")
    log = wfsim.simulate(scenario_of(asking(size=3, zone="b"), states))
    assert [text for _, _, text in rows(log, "resource.state")] == [
        "Running -> Moving",
        "Moving -> Running",
    ]


def broken(resource):
    raise LookupError("no such pod")


def test_a_check_that_fails_is_recorded_and_does_not_stop_the_scan(rows):
    states = StateMachine("db").stable("Running", "Interrupt")
    states.transition("Running", "Interrupt", when=broken)
    states.transition("Running", "Moving", when=wants("zone"), run="Move")
    log = wfsim.simulate(scenario_of(asking(zone="b"), states), until=0.5)
    assert rows(log) == [
        (0.0, "check.failed", "broken: LookupError: no such pod"),
        (0.0, "resource.state", "Running -> Moving"),
        (0.0, "run.created", "1-Move"),
        (0.0, "step.started", "Dozone"),
    ]


def test_checks_that_fail_with_no_event_after_them_are_all_told_and_asked_again(rows):
    def worse(resource):
        raise ValueError("worse")

    states = StateMachine("db").stable("Running", "Interrupt")
    states.transition("Running", "Interrupt", when=broken)
    states.transition("Running", "Running", when=worse)
    log = wfsim.simulate(scenario_of(states=states), until=1.5)
    assert rows(log) == [
        (0.0, "check.failed", "broken: LookupError: no such pod"),
        (0.0, "check.failed", "worse: ValueError: worse"),
        (1.0, "check.failed", "broken: LookupError: no such pod"),
        (1.0, "check.failed", "worse: ValueError: worse"),
    ]


def test_a_resource_without_an_event_is_left_alone(rows):
    assert rows(wfsim.simulate(scenario_of())) == []


def test_an_empty_state_is_read_as_Creating_be_that_stable_or_not(rows):
    states = StateMachine("db").stable("Creating", "Running", "Interrupt")
    states.transition("Creating", "Running", when=lambda resource: True)
    log = wfsim.simulate(scenario_of(Resource("db", "orders"), states))
    assert rows(log) == [(0.0, "resource.state", "-> Running")]


@pytest.mark.parametrize(
    ("kind", "state", "text"),
    [
        ("db", "Runing", "state 'Runing' is not registered; did you mean 'Running'?"),
        ("dbx", "Running", "no state machine for 'dbx'; did you mean 'db'?"),
    ],
)
def test_a_resource_nobody_knows_what_to_do_with_is_reported(rows, kind, state, text):
    # Refused when a scenario begins with it, so it comes later, from elsewhere.
    simulation = Simulation(scenario_of())
    simulation.run()
    list(simulation.resources.create(Resource(kind, "stray", state=state)))
    assert rows(simulation.run(), "pass") == [(0.0, "pass.failed", text)]


# Unstable states: an unfinished run goes first, then the check is asked again.


def test_the_parameters_of_the_event_are_the_initial_context():
    seen = {}

    def Dosize(ctx):
        seen.update(ctx.inputs)
        yield from ctx.update(spec={"size": None})

    asked = asking(size={"gib": [3, 4.0]})
    simulation = Simulation(scenario_of(asked, bodies=(Dosize, BODIES[1])))
    simulation.run()
    assert seen["asked"] == {"gib": (3, 4.0)}
    assert simulation.mementos()[0].context["asked"] == {"gib": (3, 4.0)}


def test_no_event_in_an_unstable_state_means_back_to_Running_without_a_run(rows):
    assert rows(wfsim.simulate(scenario_of(asking(state="Resizing")))) == [
        (0.0, "resource.state", "Resizing -> Running")
    ]


def test_a_check_that_stays_true_runs_its_flow_again(rows):
    def Dosize(ctx):
        yield from ctx.sleep(10.0)

    log = wfsim.simulate(
        scenario_of(asking(size=3), bodies=(Dosize, BODIES[1])), until=25.0
    )
    assert rows(log, "run.created") == [
        (0.0, "run.created", "1-Resize"),
        (10.0, "run.created", "2-Resize"),
        (20.0, "run.created", "3-Resize"),
    ]


def test_a_check_that_fails_in_an_unstable_state_is_recorded_and_asked_again(rows):
    answers = iter([ValueError("not now"), Event("size")])

    def moody(resource):
        answer = next(answers, None)
        if isinstance(answer, Exception):
            raise answer
        return answer

    states = StateMachine("db").stable("Running", "Interrupt")
    states.unstable("Creating", run="Resize", when=moody)
    log = wfsim.simulate(scenario_of(Resource("db", "orders"), states, FLOWS[:1]))
    assert rows(log)[:2] == [
        (0.0, "check.failed", "moody: ValueError: not now"),
        (1.0, "run.created", "1-Resize"),
    ]


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"pods": {1, 2}}, "odd: TypeError: {1, 2} is a set"),
        ({1: "pod"}, "odd: TypeError: the key 1 is not a string"),
    ],
)
def test_parameters_that_cannot_be_kept_are_the_checks_error(rows, params, text):
    def odd(resource):
        return Event("odd", params)

    states = StateMachine("db").stable("Running", "Interrupt")
    states.unstable("Creating", run="Resize", when=odd)
    log = wfsim.simulate(
        scenario_of(Resource("db", "orders"), states, FLOWS[:1]), until=0.5
    )
    assert rows(log) == [(0.0, "check.failed", text)]


def resumed(*runs, resource=None, **rest):
    simulation = Simulation(scenario_of(resource, **rest))
    for run in runs:
        simulation.stored.put(run)
    return simulation


def test_the_unfinished_run_of_another_flow_is_finished_before_the_new_one(rows):
    run = begun(4, FLOWS[1])
    simulation = resumed(run, resource=asking(state="Resizing", size=3, zone="b"))
    assert rows(simulation.run(), "step.started", "run.c", "resource.state")[1:] == [
        (0.0, "step.started", "Dozone #2"),
        (1.0, "run.completed", "4-Move"),
        (1.0, "run.created", "5-Resize"),
        (1.0, "step.started", "Dosize"),
        (2.0, "run.completed", "5-Resize"),
        (2.0, "resource.state", "Resizing -> Running"),
    ]


def test_nothing_new_is_begun_while_the_old_run_waits(rows):
    run = begun(1, FLOWS[1], waiting=True)

    def Dozone(ctx):
        raise Waiting

    simulation = resumed(
        run,
        resource=asking(state="Resizing", size=3),
        bodies=(BODIES[0], Dozone),
    )
    simulation.run(until=30.0)
    simulation.edit(status={"changed": 1})
    assert rows(simulation.run(), "step.started", "run.c")[1:] == []


def test_an_action_that_ignores_others_supersedes_their_unfinished_run(rows):
    run = begun(1, FLOWS[0], waiting=True)
    simulation = resumed(
        run,
        resource=asking(state="Moving", zone="b"),
        states=machine(ignore_unfinished=True),
    )
    assert rows(simulation.run(), "step.started", "run", "resource.state")[1:] == [
        (0.0, "run.superseded", "1-Resize"),
        (0.0, "run.created", "2-Move"),
        (0.0, "step.started", "Dozone"),
        (1.0, "run.completed", "2-Move"),
        (1.0, "resource.state", "Moving -> Running"),
    ]


def test_an_action_that_ignores_others_resumes_a_run_of_its_own_flow(rows):
    simulation = resumed(
        begun(1, FLOWS[1]),
        resource=asking(state="Moving", zone="b"),
        states=machine(ignore_unfinished=True),
    )
    assert rows(simulation.run(), "step.started", "run.c", "run.s")[1:] == [
        (0.0, "step.started", "Dozone #2"),
        (1.0, "run.completed", "1-Move"),
    ]


@pytest.mark.parametrize("newest_is_done", [True, False])
def test_of_several_unfinished_runs_the_newest_goes_on_the_others_are_superseded(
    rows, newest_is_done
):
    newest = begun(12, FLOWS[0])
    if newest_is_done:
        newest = after(newest, (1.0, Complete(0)), (1.0, CompleteRun()))
    simulation = resumed(begun(2, FLOWS[0]), begun(3, FLOWS[1], waiting=True), newest)
    log = simulation.run()
    assert rows(log, "run.superseded") == [
        (0.0, "run.superseded", "2-Resize"),
        (0.0, "run.superseded", "3-Move"),
    ]
    carried_on = [(0.0, "step.started", "Dosize #2")]
    assert rows(log, "step.started")[-1:] == ([] if newest_is_done else carried_on)
    statuses = {run.key: run.status for run in simulation.mementos()}
    assert statuses == {
        "2-Resize": "superseded",
        "3-Move": "superseded",
        "12-Resize": "completed",
    }


def test_a_superseded_run_never_comes_back(rows):
    run = after(begun(1, FLOWS[0]), (1.0, Supersede()))
    simulation = resumed(run)
    simulation.run()
    simulation.edit(status={"x": 1})
    assert rows(simulation.run(), "step", "run")[1:] == []


def test_a_run_counts_up_from_the_highest_number_there_is_even_an_unreadable_one(rows):
    simulation = Simulation(scenario_of(asking(size=3)))
    simulation.stored.put(after(begun(3, FLOWS[0]), (0.0, Supersede())))
    simulation.stored.load(ORDERS, "7-Resize", "{truncated")
    simulation.stored.load(ORDERS, "nonsense", "{}")
    assert rows(simulation.run(), "run.quarantined", "run.c")[-2:] == [
        (0.0, "run.created", "8-Resize"),
        (1.0, "run.completed", "8-Resize"),
    ]
    assert len(simulation.log.filter(Kind.RUN_QUARANTINED)) == 2


# The definition is pinned.


def two_steps(body, *names):
    return Flow("Build", tuple(map(Step, names))), [body(name) for name in names]


def carried_over(body, names, **rest):
    """A run of A and B that has done A, under a flow of the steps *names*."""
    old, bodies = two_steps(body, "A", "B")
    states = StateMachine("db").stable("Running", "Interrupt")
    states.unstable("Creating", run="Build")
    before = Simulation(scenario_of(Resource("db", "orders"), states, [old], bodies))
    before.run(until=1.5)
    flow, bodies = two_steps(body, *names)
    after = scenario_of(Resource("db", "orders"), states, [flow], bodies, **rest)
    return Simulation.resume(after, before.mementos())


def test_an_unchanged_definition_is_carried_on(body, rows):
    log = carried_over(body, "AB").run()
    assert rows(log, "step.started")[-1] == (0.0, "step.started", "B #2")
    assert log.fold().resources["orders"].state == "Running"


@pytest.mark.parametrize("names", ["ABC", "BA", "A", "AC", "ABB2"])
def test_a_changed_definition_interrupts_the_run(body, rows, names):
    names = ["A", "B", "B2"] if names == "ABB2" else list(names)
    log = carried_over(body, names).run()
    digest = two_steps(body, *names)[0].digest
    assert rows(log, "run.i", "resource.state") == [
        (
            0.0,
            "run.interrupted",
            "DEFINITION_CHANGED: the run began with the steps A, B; the flow now has "
            f"{', '.join(names)} (digest {digest}); give a migration",
        ),
        (0.0, "resource.state", "Creating -> Interrupt"),
    ]


def test_a_changed_class_is_a_changed_definition(body, rows):
    old, bodies = two_steps(body, "A", "B")
    states = StateMachine("db").stable("Running", "Interrupt")
    states.unstable("Creating", run="Build")
    before = Simulation(scenario_of(Resource("db", "orders"), states, [old], bodies))
    before.run(until=1.5)
    new = replace(old, steps=(Step("A"), Step("B", "A")))
    after = scenario_of(Resource("db", "orders"), states, [new], bodies)
    log = Simulation.resume(after, before.mementos()).run()
    assert rows(log, "run.i")[0][2].startswith("DEFINITION_CHANGED")


def test_numbers_may_change_while_a_run_is_under_way(body, rows):
    old, bodies = two_steps(body, "A", "B")
    states = StateMachine("db").stable("Running", "Interrupt")
    states.unstable("Creating", run="Build")
    before = Simulation(scenario_of(Resource("db", "orders"), states, [old], bodies))
    before.run(until=1.5)
    new = replace(old, retry=Retry(limit=2), steps=(Step("A", timeout=5.0), Step("B")))
    after = scenario_of(Resource("db", "orders"), states, [new], bodies)
    log = Simulation.resume(after, before.mementos()).run()
    assert rows(log, "run.i") == []


def test_a_migration_makes_the_run_fit(body, rows):
    def migrate(run, flow):
        done, open_ = run.steps
        added = wfsim.types.StepMemento("C")
        return run._replace(steps=(done, open_, added))

    log = carried_over(body, "ABC", migrations={"Build": migrate}).run()
    assert rows(log, "step.started", "run.i")[-2:] == [
        (0.0, "step.started", "B #2"),
        (1.0, "step.started", "C"),
    ]


def test_a_migrated_run_is_pinned_to_the_new_definition(body):
    def migrate(run, flow):
        return run._replace(steps=(*run.steps, wfsim.types.StepMemento("C")))

    simulation = carried_over(body, "ABC", migrations={"Build": migrate})
    simulation.run()
    assert simulation.mementos()[-1].digest == two_steps(body, *"ABC")[0].digest


@pytest.mark.parametrize(
    ("migrate", "problem"),
    [
        (lambda run, flow: run, "the migration left the steps A, B"),
        (lambda run, flow: run.nothing, "the migration failed: AttributeError: "),
        (lambda run, flow: None, "the migration failed: AttributeError: "),
    ],
)
def test_a_migration_that_does_not_help_interrupts_the_run(body, rows, migrate, problem):
    log = carried_over(body, "ABC", migrations={"Build": migrate}).run()
    assert rows(log, "run.i")[0][2].startswith(f"DEFINITION_CHANGED: {problem}")


def test_a_run_of_an_unknown_flow_is_interrupted(rows):
    gone = Flow("Risize", FLOWS[0].steps)
    simulation = resumed(begun(1, gone))
    assert rows(simulation.run(), "run.i", "resource.state") == [
        (
            0.0,
            "run.interrupted",
            "UNKNOWN_FLOW: no flow 'Risize'; did you mean 'Resize'?",
        ),
        (0.0, "resource.state", "Running -> Interrupt"),
    ]


# Retention.


@pytest.mark.parametrize(
    ("keep", "left"),
    [(None, [1, 2, 3, 4, 5]), (2, [4, 5]), (1, [5]), (9, [1, 2, 3, 4, 5])],
)
def test_the_newest_finished_runs_are_kept(keep, left):
    simulation = Simulation(scenario_of(policy=Policy(retention=keep)))
    for _ in range(5):
        simulation.edit(spec={"size": 3})
        simulation.run()
    (entries,) = _entries(simulation)
    assert [run.number for run in entries] == left


def _entries(simulation):
    try:
        next(simulation.stored.entries(ORDERS))
    except StopIteration as stop:
        yield stop.value


def test_passes_read_no_further_back_than_the_newest_run_that_has_ended():
    simulation = Simulation(scenario_of())
    read, entries = [], simulation.stored.entries

    def counted(key, since=""):
        found = yield from entries(key, since)
        read.append([entry.number for entry in found])
        return found

    simulation.stored.entries = counted
    for _ in range(4):
        simulation.edit(spec={"size": 3})
        simulation.run()
    # Passes: to the state, through the run, and after it.
    assert read[-3:] == [[3], [3], [3, 4]]
    simulation.crash()
    simulation.restart()
    simulation.run()
    assert [run.number for run in next(iter(_entries(simulation)))] == [1, 2, 3, 4]


def test_the_runs_of_a_namesake_that_died_after_many_are_all_forgotten(rows):
    simulation = Simulation(scenario_of())
    for _ in range(3):
        simulation.edit(spec={"size": 3})
        simulation.run()
    # Nobody sees that there was none for a moment.
    simulation.pause()
    simulation.delete()
    simulation.create(asking(size=3))
    simulation.unpause()
    assert rows(simulation.run(), "run")[-5:] == [
        (3.0, "run.pruned", "1-Resize"),
        (3.0, "run.pruned", "2-Resize"),
        (3.0, "run.pruned", "3-Resize"),
        (3.0, "run.created", "1-Resize"),
        (4.0, "run.completed", "1-Resize"),
    ]


def test_all_runs_of_a_resource_that_is_gone_are_forgotten(rows):
    simulation = Simulation(scenario_of())
    for _ in range(3):
        simulation.edit(spec={"size": 3})
        simulation.run()
    simulation.delete()
    assert rows(simulation.run(), "run.pruned") == [
        (3.0, "run.pruned", "1-Resize"),
        (3.0, "run.pruned", "2-Resize"),
        (3.0, "run.pruned", "3-Resize"),
    ]


def test_an_unfinished_run_is_not_pruned_and_does_not_count():
    ended = [
        after(begun(number, FLOWS[0]), (1.0, Complete(0)), (1.0, CompleteRun()))
        for number in (1, 2, 3)
    ]

    def Dosize(ctx):
        raise Waiting

    simulation = resumed(
        *ended,
        begun(4, FLOWS[0], waiting=True),
        policy=Policy(retention=2),
        bodies=(Dosize, BODIES[1]),
    )
    simulation.run()
    (entries,) = _entries(simulation)
    assert [(run.number, run.status.value) for run in entries] == [
        (2, "completed"),
        (3, "completed"),
        (4, "waiting"),
    ]


# Resources that go away, and others that take their names.


def test_the_runs_of_a_dead_namesake_are_closed_and_forgotten(rows):
    old = begun(1, FLOWS[0])._replace(owner="uid-of-old")
    simulation = resumed(old, resource=asking(size=3))
    assert rows(simulation.run(), "run", "step.started")[1:] == [
        (0.0, "run.interrupted", "CANCELLED: the resource is gone"),
        (0.0, "run.pruned", "1-Resize"),
        (0.0, "run.created", "1-Resize"),
        (0.0, "step.started", "Dosize"),
        (1.0, "run.completed", "1-Resize"),
    ]


def finalized(*releases, **rest):
    states = machine()
    names = []
    for number, release in enumerate(releases):
        names.append(f"f{number}")
        if release is not None:
            states.finalizer(names[-1], release)
    resource = Resource("db", "orders", state="Running", finalizers=tuple(names))
    return Simulation(scenario_of(resource, states), faults=[EditAt(2.0, delete=True)])


def test_a_deleted_resource_goes_when_its_finalizers_have_released_what_they_hold(rows):
    freed = []

    def storage(ctx):
        yield from ctx.sleep(3.0)
        freed.append((ctx.resource.name, ctx.clock.now))

    assert rows(finalized(storage).run()) == [
        (2.0, "resource.edited", "deleted"),
        (5.0, "resource.edited", "finalizers"),
        (5.0, "resource.deleted", ""),
    ]
    assert freed == [("orders", 5.0)]


def test_each_finalizer_is_dropped_by_itself(rows):
    async def second(ctx):
        await ctx.sleep(1.0)

    assert rows(finalized(lambda ctx: None, second).run()) == [
        (2.0, "resource.edited", "deleted"),
        (2.0, "resource.edited", "finalizers"),
        (3.0, "resource.edited", "finalizers"),
        (3.0, "resource.deleted", ""),
    ]


def test_a_finalizer_of_somebody_else_holds_the_resource(rows):
    simulation = finalized(lambda ctx: None, None)
    assert rows(simulation.run()) == [
        (2.0, "resource.edited", "deleted"),
        (2.0, "resource.edited", "finalizers"),
    ]
    assert simulation.resource().finalizers == ("f1",)


def test_a_finalizer_that_fails_is_reported_and_tried_again(rows):
    left = [OSError("disk is busy")] * 2

    def storage(ctx):
        if left:
            raise left.pop()

    assert rows(finalized(storage).run()) == [
        (2.0, "resource.edited", "deleted"),
        (2.0, "pass.failed", "finalizer 'f0': OSError: disk is busy"),
        (3.0, "pass.failed", "finalizer 'f0': OSError: disk is busy"),
        (4.0, "resource.edited", "finalizers"),
        (4.0, "resource.deleted", ""),
    ]


def test_deletion_closes_the_run_that_waits_before_anything_is_released(rows):
    def Dosize(ctx):
        raise Waiting

    def storage(ctx):
        ctx.log("released")

    resource = Resource(
        "db", "orders", state="Running", spec={"size": 3}, finalizers=("disk",)
    )
    states = machine().finalizer("disk", storage)
    log = wfsim.simulate(
        scenario_of(resource, states, bodies=(Dosize, BODIES[1])),
        faults=[EditAt(2.0, delete=True)],
    )
    assert rows(log)[-6:] == [
        (2.0, "resource.edited", "deleted"),
        (2.0, "run.interrupted", "CANCELLED: the resource is gone"),
        (2.0, "step.log", "released"),
        (2.0, "resource.edited", "finalizers"),
        (2.0, "resource.deleted", ""),
        (2.0, "run.pruned", "1-Resize"),
    ]


# A cache that lags.


@pytest.mark.parametrize("lag", [0.25, 3.0])
def test_a_lagging_cache_delays_and_does_no_harm(rows, lag):
    simulation = Simulation(scenario_of(asking(size=3, zone="b"), lag=lag))
    log = simulation.run()
    assert [text for _, _, text in rows(log, "resource.state")] == [
        "Running -> Resizing",
        "Resizing -> Running",
        "Running -> Moving",
        "Moving -> Running",
    ]
    assert len(log.filter(Kind.STEP_STARTED)) == 2


def test_the_check_of_an_unstable_state_is_asked_of_the_live_resource():
    seen = []

    def Dosize(ctx):
        seen.append(ctx.inputs["asked"])
        yield from ctx.update(spec={"size": None})

    faults = [wfsim.StaleRead(0.25, for_=5.0)]
    waiting = asking(state="Resizing", size=3)
    simulation = Simulation(
        scenario_of(waiting, bodies=(Dosize, BODIES[1])), faults=faults
    )
    simulation.run(until=0.1)
    assert seen == [3]


def test_a_cache_that_shows_a_resource_that_is_gone_begins_nothing(rows):
    faults = [wfsim.StaleRead(1.0, for_=5.0), EditAt(2.0, delete=True)]
    simulation = Simulation(scenario_of(), faults=faults)
    log = simulation.run()
    assert rows(log, "run", "step", "pass") == []


def test_a_cache_that_shows_an_old_state_does_not_carry_a_run_on_elsewhere(rows):
    """The run of a resource that has moved on is put off until the cache shows it."""
    faults = [wfsim.StaleRead(0.5, for_=6.0), EditAt(3.0, status={"poke": 1})]
    simulation = Simulation(scenario_of(asking(size=3)), faults=faults)
    log = simulation.run()
    assert [text for _, _, text in rows(log, "resource.state")] == [
        "Running -> Resizing",
        "Resizing -> Running",
    ]
    assert len(log.filter(Kind.STEP_STARTED)) == 1


def test_a_cache_that_does_not_show_a_resource_yet_does_not_bury_its_runs(rows):
    faults = [wfsim.StaleRead(1.0, for_=5.0)]
    simulation = Simulation(
        scenario_of(Resource("db", "other", state="Running")), faults=faults
    )
    simulation.run(until=2.0)
    simulation.create(asking(state="Resizing", size=3))
    simulation.stored.put(begun(1, FLOWS[0], waiting=True))
    assert rows(simulation.run(), "run", "step")[1:] == [
        (7.0, "step.completed", "Dosize"),
        (7.0, "run.completed", "1-Resize"),
    ]


@pytest.mark.parametrize("namesake", [False, True])
def test_a_cache_that_still_shows_a_dead_resource_does_not_carry_its_run_on(
    rows, namesake
):
    def Dosize(ctx):
        if ctx.clock.now > 1.0:
            raise AssertionError("asked for a resource that is gone")
        raise Waiting(3.0)

    faults = [wfsim.StaleRead(1.0, for_=5.0), EditAt(2.0, delete=True)]
    simulation = Simulation(
        scenario_of(asking(size=3), bodies=(Dosize, BODIES[1])), faults=faults
    )
    simulation.run(until=2.0)
    if namesake:
        simulation.create(asking())
    assert rows(simulation.run(), "run")[1:] == [
        (6.0, "run.interrupted", "CANCELLED: the resource is gone"),
        (6.0, "run.pruned", "1-Resize"),
    ]
    assert rows(simulation.log, "step.failed", "pass") == []


def test_a_cache_that_still_shows_a_dead_resource_begins_no_run_for_it(rows):
    states = StateMachine("db").stable("Running", "Interrupt")
    states.unstable("Creating", run="Resize", when=broken)
    simulation = Simulation(
        scenario_of(Resource("db", "orders"), states, FLOWS[:1]),
        faults=[wfsim.StaleRead(0.5, for_=3.0), EditAt(0.75, delete=True)],
    )
    assert rows(simulation.run()) == [
        (0.0, "check.failed", "broken: LookupError: no such pod"),
        (0.75, "resource.deleted", ""),
    ]


def test_a_cache_that_still_shows_the_request_does_not_recover_twice(rows, body):
    flow, bodies = two_steps(body, "A")
    bodies = [body("A", wfsim.Interrupted("LOST"), None)]
    states = StateMachine("db").stable("Running", "Interrupt")
    states.unstable("Creating", run="Build")
    simulation = Simulation(
        scenario_of(Resource("db", "orders"), states, [flow], bodies),
        faults=[wfsim.StaleRead(30.0, for_=5.0)],
    )
    simulation.run(until=20.0)
    simulation.crash()
    simulation.recover()
    simulation.run(until=31.0)
    simulation.restart()
    assert rows(simulation.run(), "run.r", "resource.state", "step.started")[2:] == [
        (31.0, "run.recovered", "1-Build"),
        (31.0, "resource.state", "Interrupt -> Creating"),
        (35.0, "step.started", "A #2"),
        (36.0, "resource.state", "Creating -> Running"),
    ]
