"""What a state machine accepts, what it refuses, and which move it says applies."""

from __future__ import annotations

import pytest

from wfsim import DefinitionError, Event, Resource, StateMachine
from wfsim.model.machine import Edge


def yes(resource):
    return True


def no(resource):
    return None


def typical():
    return (
        StateMachine("db")
        .stable("Init", "Running", "Interrupt")
        .transition("Init", "Creating", when=yes, run="Create")
        .transition("Running", "Resizing", when=no, run="Resize")
        .transition("Interrupt", "Resizing", when=no)
    )


def problems(machine, *flows):
    with pytest.raises(DefinitionError) as refused:
        machine.validate(flows or None)
    return [str(each) for each in refused.value.problems]


def test_a_sound_machine_is_its_own_validation():
    machine = typical()
    assert machine.validate() is machine
    assert machine.validate(["Create", "Resize"]) is machine


def test_an_unknown_target_is_named_with_the_nearest_state():
    machine = typical().transition("Running", "Resising", when=yes)
    assert problems(machine) == [
        "db: transition from 'Running' goes to the unknown state 'Resising'; "
        "did you mean 'Resizing'?"
    ]


def test_a_target_that_resembles_nothing_is_named_with_all_there_are():
    machine = StateMachine("db").stable("Running").transition("Running", "Xyz", when=yes)
    assert problems(machine) == [
        "db: transition from 'Running' goes to the unknown state 'Xyz'; known: 'Running'"
    ]


@pytest.mark.parametrize(
    ("source", "near"),
    [
        ("Runing", "; did you mean 'Running'?"),
        ("Creating", "; known: 'Init', 'Interrupt', 'Running'"),
    ],
)
def test_a_transition_leaves_a_stable_state_only(source, near):
    machine = typical().transition(source, "Resizing", when=yes)
    assert problems(machine) == [
        f"db: transition {source!r} -> 'Resizing' leaves a state that is not stable{near}"
    ]


def test_a_run_ends_in_a_stable_state():
    machine = StateMachine("db").stable("Running", "Interrupt")
    machine.unstable("Creating", run="Create", then="Runing")
    assert problems(machine) == [
        "db: state 'Creating' ends in 'Runing', which is not a stable state; "
        "did you mean 'Running'?"
    ]


def test_an_unknown_flow_is_named_with_the_nearest_one():
    assert problems(typical(), "Create", "Resized") == [
        "db: state 'Resizing' runs the unknown flow 'Resize'; did you mean 'Resized'?"
    ]
    assert problems(
        StateMachine("db")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="Create"),
        "Xyz",
    ) == ["db: state 'Creating' runs the unknown flow 'Create'; known: 'Xyz'"]


def test_a_machine_with_flows_needs_the_state_for_interruptions():
    machine = StateMachine("db").stable("Running").unstable("Creating", run="Create")
    assert problems(machine) == [
        "db: a flow may be interrupted, but 'Interrupt' is not registered; "
        "add .stable('Interrupt')"
    ]


def test_a_state_with_a_check_needs_the_state_to_go_to_without_an_event():
    machine = StateMachine("db").stable("Ready", "Interrupt")
    machine.unstable("Creating", run="Create", when=yes, then="Ready")
    assert problems(machine) == [
        "db: state 'Creating' is left for 'Running' when its check has no event, but "
        "'Running' is not stable; add .stable('Running')"
    ]


def test_a_state_that_nothing_leads_to_is_unreachable():
    machine = typical().stable("Paused").unstable("Moving", run="Move")
    machine.transition("Paused", "Moving", when=yes)
    assert problems(machine) == [
        "db: state 'Paused' cannot be reached: no transition leads to it",
        "db: state 'Moving' cannot be reached: no transition leads to it",
    ]


def test_a_state_that_a_run_ends_in_is_reached_by_it():
    machine = StateMachine("db").stable("Ready", "Interrupt")
    machine.unstable("Creating", run="Create", then="Ready")
    machine.transition("Ready", "Paused", when=yes).stable("Paused")
    assert machine.validate() is machine


def test_recovery_alone_reaches_no_state():
    machine = typical().unstable("Moving", run="Move")
    assert Edge("Interrupt", "Moving", "recover") in machine.edges()
    assert len(problems(machine)) == 1


def test_all_problems_come_in_one_error_each_with_the_kind():
    machine = StateMachine("db").transition("Runing", "Moving", when=yes)
    machine.unstable("Creating", run="Crate", then="Done", when=no)
    assert problems(machine, "Create") == [
        "db: transition 'Runing' -> 'Moving' leaves a state that is not stable; "
        "known: none",
        "db: transition from 'Runing' goes to the unknown state 'Moving'; "
        "known: 'Creating'",
        "db: state 'Creating' ends in 'Done', which is not a stable state; known: none",
        "db: state 'Creating' runs the unknown flow 'Crate'; did you mean 'Create'?",
        "db: a flow may be interrupted, but 'Interrupt' is not registered; "
        "add .stable('Interrupt')",
        "db: state 'Creating' is left for 'Running' when its check has no event, but "
        "'Running' is not stable; add .stable('Running')",
    ]


@pytest.mark.parametrize(
    ("register", "problem"),
    [
        (lambda m: m.stable("Running"), "db: state 'Running' is registered twice"),
        (lambda m: m.stable("Creating"), "db: state 'Creating' is registered twice"),
        (
            lambda m: m.unstable("Running", run="X"),
            "db: state 'Running' is registered twice",
        ),
        (
            lambda m: m.transition("Running", "Creating", when=yes, run="X"),
            "db: state 'Creating' is registered twice",
        ),
        (
            lambda m: m.transition("Running", "Resizing", when=no),
            "db: transition 'Running' -> 'Resizing' is registered twice",
        ),
        (lambda m: m.stable(""), "db: a state must have a name"),
        (lambda m: m.unstable("", run="X"), "db: a state must have a name"),
        (
            lambda m: m.finalizer("disk", yes).finalizer("disk", yes),
            "db: finalizer 'disk' is registered twice",
        ),
    ],
)
def test_what_is_registered_twice_or_nameless_is_refused_at_once(register, problem):
    with pytest.raises(DefinitionError) as refused:
        register(typical())
    assert str(refused.value) == problem


def test_the_edges_are_all_moves_in_the_order_of_registration():
    machine = StateMachine("db").stable("Running", "Interrupt", "Small")
    machine.unstable("Creating", run="Create")
    machine.transition("Running", "Shrinking", when=no, run="Shrink", then="Small")
    assert machine.edges() == [
        ("Running", "Shrinking", "check", "no"),
        ("Creating", "Running", "done", "Create"),
        ("Creating", "Interrupt", "interrupt", ""),
        ("Interrupt", "Creating", "recover", ""),
        ("Shrinking", "Small", "done", "Shrink"),
        ("Shrinking", "Running", "no event", ""),
        ("Shrinking", "Interrupt", "interrupt", ""),
        ("Interrupt", "Shrinking", "recover", ""),
    ]


def test_a_check_without_a_name_is_called_as_its_class():
    class Wants:
        def __call__(self, resource):
            return None

    machine = StateMachine("db").stable("A", "B").transition("A", "B", when=Wants())
    assert machine.edges() == [Edge("A", "B", "check", "Wants")]


def test_a_machine_knows_its_states():
    machine = typical()
    assert machine.states == ("Init", "Running", "Interrupt", "Creating", "Resizing")
    assert machine.is_stable("Running")
    assert not machine.is_stable("Creating")
    assert machine.action("Resizing").flow == "Resize"
    assert machine.action("Running") is None
    assert machine.state_running("Resize") == "Resizing"
    assert machine.state_running("Move") is None
    assert repr(machine).splitlines()[:3] == [
        "<StateMachine db: 5 states>",
        "  stable: Init, Running, Interrupt",
        "  Creating: runs Create, then Running",
    ]


def test_an_empty_state_is_read_as_creating():
    assert typical().action("").state == "Creating"
    assert not typical().is_stable("")
    stable = StateMachine("db").stable("Creating", "Running")
    stable.transition("Creating", "Running", when=yes)
    assert stable.is_stable("")
    (said,) = stable.events(Resource("db", "orders"))
    assert said[1] == Event("Running")


def test_an_action_passes_over_runs_of_other_flows_only_if_it_says_so():
    machine = typical().unstable("Moving", run="Move", ignore_unfinished=True)
    assert machine.ignores("Moving", "Create")
    assert not machine.ignores("Moving", "Move")
    assert not machine.ignores("Resizing", "Create")
    assert not machine.ignores("Running", "Create")


def answers(*checks, ignore=()):
    machine = StateMachine("db").stable("Running", *"ABCD").ignore(*ignore)
    for target, check in zip("ABCD", checks, strict=False):
        machine.transition("Running", target, when=check)
    said = machine.events(Resource("db", "orders", state="Running"))
    return [(transition.target, answer) for transition, answer in said]


def fails(resource):
    raise LookupError("gone")


def test_the_first_event_ends_the_scan():
    named = Event("grow", {"by": 2})
    assert answers(no, lambda resource: named, yes) == [("B", named)]


def test_a_bare_true_is_an_event_called_as_its_target():
    assert answers(yes) == [("A", Event("A"))]
    assert answers(lambda resource: False) == []


def test_an_ignored_event_is_passed_over_and_the_scan_goes_on():
    grow = Event("grow")
    assert answers(lambda resource: grow, yes, ignore=["grow"]) == [("B", Event("B"))]
    assert answers(yes, ignore=["A"]) == []


def test_every_check_that_fails_before_the_event_is_listed():
    listed = answers(fails, no, fails, yes)
    assert [(target, str(answer)) for target, answer in listed[:2]] == [
        ("A", "gone"),
        ("C", "gone"),
    ]
    assert listed[2] == ("D", Event("D"))
    assert len(answers(fails, fails)) == 2


def test_a_check_is_asked_in_its_own_state_only():
    machine = typical()
    assert machine.events(Resource("db", "orders", state="Creating")) == []
    (said,) = machine.events(Resource("db", "orders", state="Init"))
    assert said[1] == Event("Creating")


def test_the_reason_for_an_unstable_state_is_asked_of_its_own_check():
    machine = typical().unstable("Moving", run="Move")
    at = Resource("db", "orders", state="Moving")
    assert machine.entry(at) == Event("Moving")
    assert machine.entry(at.move("Resizing")) is None
    assert machine.entry(at.move("Creating")) == Event("Creating")
    assert machine.entry(at.move("")) == Event("Creating")
    assert machine.entry(at.move("Running")) == Event("Running")
