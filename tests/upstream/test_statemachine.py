"""What statemachine_test asks, where no other test of ours answers it."""

from __future__ import annotations

import wfsim
from wfsim import FailSave, Resource, StateMachine
from wfsim.errors import Unavailable

RUNNING = Resource("db", "orders", state="Running")


def wants_grow(resource):
    return wfsim.Event("grow") if "size" in resource.spec else None


def growing():
    machine = StateMachine("db").stable("Running", "Grown")
    return machine.transition("Running", "Grown", when=wants_grow)


def test_an_empty_state_of_a_machine_without_creating_is_reported(simulation, rows):
    sim = simulation(machine=StateMachine("db").stable("Running"), resource=RUNNING)
    sim.run()
    list(sim.resources.create(Resource("db", "stray")))
    assert rows(sim.run()) == [
        (0.0, "pass.failed", "state '' is not registered; known: 'Running'")
    ]
    assert sim.resource("stray").state == ""


def test_a_stable_state_without_a_transition_is_left_alone(simulation, rows):
    machine = StateMachine("db").stable("Running")
    assert rows(simulation(machine=machine, resource=RUNNING).run()) == []


def test_an_event_that_is_ignored_writes_nothing(simulation, rows):
    asked = RUNNING.edit(spec={"size": 2})
    sim = simulation(machine=growing().ignore("grow"), resource=asked)
    revision = sim.resource().revision
    assert rows(sim.run()) == []
    assert sim.resource().revision == revision


def test_an_interrupted_resource_is_moved_to_rebuild_once(simulation, rows):
    asked = Resource("db", "orders", state="Interrupt", annotations={"rebuild": "now"})
    sim = simulation(resource=asked)
    assert rows(sim.run(until=0.5), "resource") == [
        (0.0, "resource.state", "Interrupt -> Rebuild")
    ]


def test_a_resource_that_cannot_be_read_is_looked_at_again_a_second_later(
    simulation, rows
):
    sim = simulation(machine=growing(), resource=RUNNING.edit(spec={"size": 2}))
    read = sim.resources.cached

    def deaf(key):
        sim.resources.cached = read
        raise Unavailable("no answer")

    sim.resources.cached = deaf
    assert rows(sim.run()) == [
        (0.0, "pass.failed", "controller-0: Unavailable: no answer"),
        (1.0, "resource.state", "Running -> Grown"),
    ]


def test_a_state_that_is_not_taken_is_written_again_a_second_later(simulation, rows):
    asked = RUNNING.edit(spec={"size": 2})
    faults = (FailSave(write=1),)
    sim = simulation(machine=growing(), resource=asked, faults=faults)
    assert rows(sim.run()) == [
        (0.0, "pass.failed", "controller-0: Unavailable: injected failure of write 1"),
        (1.0, "resource.state", "Running -> Grown"),
    ]


def test_a_transition_to_the_state_it_leaves_is_written_at_most_once(simulation, rows):
    machine = StateMachine("db").stable("Running")
    machine.transition("Running", "Running", when=wants_grow)
    sim = simulation(machine=machine, resource=RUNNING.edit(spec={"size": 2}))
    assert rows(sim.run()) == [(0.0, "resource.edited", "")]
    assert (sim.resource().state, sim.resource().event) == ("Running", "grow")
