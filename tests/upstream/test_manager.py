"""What wf_manager_test asks, where no other test of ours answers it."""

from __future__ import annotations

import pytest

import wfsim
from wfsim import FailSave, Interrupted, Policy, Resource, Retry
from wfsim.errors import Unavailable

LOST = {"Step2": [Interrupted("LOST", "pod is lost"), None]}
ASKED = {
    "interrupt.message": "pod is lost",
    "interrupt.previous.status": "Creating",
    "interrupt.reason": "LOST",
    "interrupt.recover": "T",
}


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("Running", []),
        ("Init", []),
        ("Creating", [(2.0, "resource.state", "Creating -> Running")]),
        ("", [(2.0, "resource.state", "-> Running")]),
    ],
)
def test_a_request_to_recover_what_is_not_interrupted_stands_unheard(
    simulation, rows, state, told
):
    asked = Resource("db", "orders", state=state, annotations=ASKED)
    sim = simulation(resource=asked)
    assert rows(sim.run(), "resource", "run.r") == told
    assert sim.resource().annotations == ASKED


def test_a_recovery_out_of_rebuild_clears_the_notes_and_writes_rebuild(simulation):
    asked = {"rebuild": "now"}
    sim = simulation(
        resource=Resource("db", "orders", state="Interrupt", annotations=asked),
        GroupStep1=LOST["Step2"],
    )
    sim.run(until=1.5)
    sim.edit(annotations={"rebuild": None})
    sim.run()
    assert sim.resource().annotations["interrupt.previous.status"] == "Rebuild"
    written = len(sim.log)
    sim.recover()
    sim.run()
    states = [
        (record.value.state, dict(record.value.annotations))
        for record in sim.log[written:].filter(wfsim.Kind.RESOURCE_STATE)
    ]
    assert states[0] == ("Rebuild", {})


def interrupted(simulation, *faults):
    sim = simulation(flow="WF2", GroupStep1=LOST["Step2"], faults=faults)
    sim.run()
    sim.recover()
    return sim


RECOVERED = [
    (2.0, "run.recovered", "1-WF2"),
    (2.0, "resource.state", "Interrupt -> Creating"),
]


def test_a_recovery_whose_mementos_cannot_be_read_is_tried_again(simulation, rows):
    sim = interrupted(simulation)
    read, told = sim.stored.entries, []

    def deaf(key, since=""):
        sim.stored.entries = read
        told.append(dict(sim.resource().annotations))
        raise Unavailable("no answer")

    sim.stored.entries = deaf
    assert rows(sim.run(), "pass", "run.r", "resource.state")[1:] == [
        (2.0, "pass.failed", "controller-0: Unavailable: no answer"),
        (3.0, "run.recovered", "1-WF2"),
        (3.0, "resource.state", "Interrupt -> Creating"),
        (5.0, "resource.state", "Creating -> Running"),
    ]
    assert told == [ASKED]


# Writes 1 to 6: the run; Step1 begun, done; GroupStep1 begun, interrupted; the resource.


def test_a_recovery_whose_memento_is_not_taken_leaves_the_notes(simulation, rows):
    sim = interrupted(simulation, FailSave(write=7, times=2))
    sim.run(until=3.5)
    assert (sim.resource().state, sim.resource().annotations) == ("Interrupt", ASKED)
    assert rows(sim.run(), "run.r", "resource.state")[1:] == [
        (4.0, "run.recovered", "1-WF2"),
        (4.0, "resource.state", "Interrupt -> Creating"),
        (6.0, "resource.state", "Creating -> Running"),
    ]


def test_a_recovery_whose_resource_is_not_taken_leaves_the_notes(simulation, rows):
    sim = interrupted(simulation, FailSave(write=8))
    sim.run(until=2.5)
    assert (sim.resource().state, sim.resource().annotations) == ("Interrupt", ASKED)
    assert rows(sim.run(), "run.r", "resource.state")[1:] == [
        (2.0, "run.recovered", "1-WF2"),
        (3.0, "resource.state", "Interrupt -> Creating"),
        (5.0, "resource.state", "Creating -> Running"),
    ]
    assert sim.resource().annotations == {}


def test_two_simulations_have_policies_of_their_own(simulation):
    stern = simulation(Step1=[ValueError()], policy=Policy(retry=Retry(limit=1)))
    mild = simulation(Step1=[ValueError()])
    for sim in (stern, mild):
        sim.run(until=3.0)
    assert [sim.resource().state for sim in (stern, mild)] == ["Interrupt", "Creating"]


def test_namesakes_in_two_namespaces_run_side_by_side(simulation, rows):
    sim = simulation()
    sim.create(Resource("db", "orders", "prod", state="Creating"))
    sim.run()
    of = [r.resource for r in sim.log.filter(wfsim.Kind.STEP_STARTED)]
    assert of == ["orders", "prod/orders"] * 2
    assert rows(sim.log, "run.completed") == [(2.0, "run.completed", "1-WF1")] * 2
    assert [sim.resource(name).state for name in of[:2]] == ["Running"] * 2
