"""What resource_workflow_test and the integration tests ask, and no other of ours."""

from __future__ import annotations

from typing import Any

import pytest

import wfsim
from tests.changes import after, new
from wfsim import Event, Interrupted, StateMachine
from wfsim.errors import DefinitionError, Unavailable
from wfsim.model.run import Complete, CompleteRun, Start
from wfsim.types import Key

ORDERS = Key("db", "default", "orders")


def never(resource):
    return None


def moving(check):
    """Creating runs WF1 while *check* has an event; another state runs WF2."""
    machine = StateMachine("db").stable("Running", "Interrupt")
    return machine.unstable("Creating", run="WF1", when=check)


def test_a_move_back_to_running_that_is_not_taken_is_made_again(simulation, rows):
    sim = simulation(machine=moving(never), faults=(wfsim.FailSave(write=1),))
    assert rows(sim.run()) == [
        (0.0, "pass.failed", "controller-0: Unavailable: injected failure of write 1"),
        (1.0, "resource.state", "Creating -> Running"),
    ]


def test_a_run_of_another_flow_that_is_interrupted_keeps_the_new_one_from_beginning(
    simulation, flows, rows
):
    old = after(new(flows["WF2"], ORDERS), (0.0, Start(0)))
    sim = simulation(old, Step1=[Interrupted("LOST", "pod is lost")])
    assert rows(sim.run(), "run", "resource.state")[1:] == [
        (1.0, "run.interrupted", "LOST: pod is lost"),
        (1.0, "resource.state", "Creating -> Interrupt"),
    ]


def test_a_run_of_another_flow_that_fails_keeps_the_new_one_from_beginning(
    simulation, flows, rows
):
    old = after(new(flows["WF2"], ORDERS), (0.0, Start(0)))
    sim = simulation(old, Step1=[ValueError("x"), None])
    assert rows(sim.run(), "run", "step.failed")[1:] == [
        (1.0, "step.failed", "step Step1 fail: ValueError: x"),
        (5.0, "run.completed", "1-WF2"),
        (5.0, "run.created", "2-WF1"),
        (7.0, "run.completed", "2-WF1"),
    ]


def test_a_check_is_not_asked_while_an_old_run_waits(simulation, flows):
    asked = []

    def check(resource):
        asked.append(resource.revision)
        return Event("go")

    old = after(new(flows["WF2"], ORDERS), (0.0, Start(0)))
    sim = simulation(old, machine=moving(check), Step1=[wfsim.Waiting()])
    sim.run()
    assert sim.mementos()[-1].status == "waiting"
    assert asked == []


class Deaf:
    """The stores of a simulation of whose reads the n-th goes unanswered."""

    def __init__(self, sim: wfsim.Simulation, n: int) -> None:
        self.reads = 0
        self.n = n
        # A local store would be looked into instead of asked.
        sim.resources.is_local = False
        for store, name in (
            (sim.resources, "cached"),
            (sim.resources, "get"),
            (sim.stored, "entries"),
        ):
            setattr(store, name, self.once(getattr(store, name)))

    def once(self, read: Any) -> Any:
        def answer(key: Key, *since: str) -> Any:
            self.reads += 1
            if self.reads == self.n:
                raise Unavailable("no answer")
            return read(key, *since)

        return answer


# Seven up to the move to Running, two in the pass that finds nothing left to do.
READS = 9
BEFORE_THE_END = 7


@pytest.mark.parametrize("n", range(1, READS + 2))
def test_a_read_that_is_not_answered_costs_a_second_and_repeats_nothing(
    simulation, rows, n
):
    sim = simulation(machine=moving(lambda resource: True))
    deaf = Deaf(sim, n)
    log = sim.run()
    lost = n <= READS
    assert deaf.reads >= READS
    assert len(rows(log, "pass.failed")) == lost
    assert [(text, kind) for _, kind, text in rows(log, "step", "run.c")] == [
        ("1-WF1", "run.created"),
        ("Step1", "step.started"),
        ("Step1", "step.completed"),
        ("Step2", "step.started"),
        ("Step2", "step.completed"),
        ("1-WF1", "run.completed"),
    ]
    assert rows(log, "resource.state")[-1] == (
        3.0 if n <= BEFORE_THE_END else 2.0,
        "resource.state",
        "Creating -> Running",
    )


@pytest.mark.parametrize("key", ["2-WF1", "nonsense"])
def test_an_unreadable_memento_does_not_keep_a_resource_from_recovery(
    simulation, rows, key
):
    sim = simulation(flow="WF2", GroupStep1=[Interrupted("LOST"), None])
    sim.run()
    sim.stored.load(ORDERS, key, "{truncated")
    sim.recover()
    assert rows(sim.run(), "run.q", "run.r", "resource.state")[2:] == [
        (2.0, "run.recovered", "1-WF2"),
        (2.0, "resource.state", "Interrupt -> Creating"),
        (4.0, "resource.state", "Creating -> Running"),
    ]


# The three integration tests run on a resource that has run WF1 before.


@pytest.fixture
def done(flows):
    run = new(flows["WF1"], ORDERS)
    for index in range(2):
        run = after(run, (0.0, Start(index)), (0.0, Complete(index)))
    return after(run, (0.0, CompleteRun()))


@pytest.mark.parametrize(("flow", "end"), [("WF1", 2.0), ("WF2", 3.0)])
def test_a_flow_is_run_on_a_resource_that_has_run_one_before(
    simulation, rows, done, flow, end
):
    sim = simulation(done, flow=flow)
    assert rows(sim.run(), "run.c", "resource.state")[1:] == [
        (0.0, "run.created", f"2-{flow}"),
        (end, "run.completed", f"2-{flow}"),
        (end, "resource.state", "Creating -> Running"),
    ]


def test_an_unknown_flow_is_refused_before_anything_runs(simulation):
    with pytest.raises(DefinitionError, match="runs the unknown flow 'WF3'; did you"):
        simulation(flow="WF3")


def test_a_class_without_code_is_refused_before_anything_runs(simulation, flows):
    odd = wfsim.Flow("WF2", (wfsim.Step("Step1"), wfsim.Step("CreateStep3")))
    with pytest.raises(DefinitionError, match="the class 'CreateStep3' has no code"):
        simulation(flows=[flows["WF1"], odd])


def test_a_class_whose_code_is_gone_interrupts_the_run(simulation, rows, done):
    sim = simulation(done, flow="WF2")
    bodies = sim.scenario.bodies()
    left = {name: body for name, body in bodies.items() if "GroupStep2" not in name}
    sim.scenario.bodies = lambda: left
    text = (
        "[GroupStep2 main.GroupStep2]can not find step meta in type resistry! "
        "no code for 'main.GroupStep2'; did you mean 'main.GroupStep1'?"
    )
    assert rows(sim.run(), "run.i", "resource.state") == [
        (2.0, "run.interrupted", f"UNKNOWN_TASK: {text}"),
        (2.0, "resource.state", "Creating -> Interrupt"),
    ]
    assert sim.resource().annotations["interrupt.reason"] == "UNKNOWN_TASK"
