"""What wf_runtime_test asks, where no other test of ours answers it."""

from __future__ import annotations

import json

import pytest

import wfsim
from tests.changes import many
from wfsim import FailSave, Interrupted, Memento, Waiting
from wfsim.types import Key

ORDERS = Key("db", "default", "orders")


def written(flow, status, *steps, retries=0):
    """A memento as the reference writes it: each step is status and retryTimes."""
    document = {
        "flowStatus": status,
        "retryTimes": retries,
        "flowName": flow,
        "initContext": {"_resourceName": "orders", "_resourceNameSpace": "default"},
        "runningSteps": [
            {"StepName": f"Step{i}", "stepStatus": status, "retryTimes": times}
            for i, (status, times) in enumerate(steps, start=1)
        ],
    }
    return Memento.from_json(f"1-{flow}", json.dumps(document), kind="db")


def of_steps(run):
    return [(step.status.value, step.retries, step.restarts) for step in run.steps]


@pytest.mark.parametrize("faults", [(), (FailSave(write=1, times=3),)])
def test_a_run_of_a_flow_that_is_gone_interrupts_though_the_store_is_deaf(
    simulation, rows, faults
):
    gone = written("WF11", "running", ("inited", 1))
    log = simulation(gone, faults=faults).run()
    then = 3.0 if faults else 0.0
    assert rows(log, "run.i", "resource.state") == [
        (then, "run.interrupted", "UNKNOWN_FLOW: no flow 'WF11'; did you mean 'WF1'?"),
        (then, "resource.state", "Creating -> Interrupt"),
    ]


def test_a_wait_after_a_crash_has_cost_a_restart_and_the_next_step_is_untouched(
    simulation,
):
    run = written("WF1", "running", ("inited", 1), ("prepared", 0))
    sim = simulation(run, Step1=[Waiting()])
    sim.run()
    last = sim.mementos()[-1]
    assert last.status == "waiting"
    # 1 + 1 = 2 starts are what the reference calls retry 2.
    assert of_steps(last) == [("waiting", 1, 1), ("prepared", 0, 0)]


def test_a_step_that_was_prepared_again_with_ten_retries_is_begun(simulation, rows):
    # Row 18 as it is there, where it ends with MANY_RETRY before the step begins.  Here
    # a limit is for what has failed: who prepares a step anew wants it to be tried.
    run = written("WF1", "running", ("completed", 0), ("prepared", 10), retries=1)
    sim = simulation(run, Step2=[ValueError("x")])
    assert rows(sim.run(), "step", "run.i") == [
        (0.0, "step.started", "Step2"),
        (
            1.0,
            "run.interrupted",
            many("ValueError: x", retries=1, flow="WF1", step="Step2"),
        ),
    ]
    assert of_steps(sim.mementos()[-1]) == [("completed", 0, 0), ("failed", 10, 0)]


def test_a_step_that_was_under_way_at_the_ninth_retry_has_one_more(simulation, rows):
    # Row 36 as it is there: an inited step of nine retries, and a flow of nine.  There a
    # crash costs a retry, so the first failure is the last; here it has a budget of its
    # own, so the step fails twice.
    run = written("WF1", "running", ("inited", 9), ("prepared", 0), retries=9)
    sim = simulation(
        run, resource=wfsim.Resource("db", "orders"), Step1=[ValueError("x")]
    )
    assert rows(sim.run(), "step", "run.i", "resource.state") == [
        (0.0, "step.started", "Step1"),
        (1.0, "step.failed", "step Step1 fail: ValueError: x"),
        (2.0, "step.started", "Step1"),
        (
            3.0,
            "run.interrupted",
            many("ValueError: x", retries=10, flow="WF1", step="Step1"),
        ),
        (3.0, "resource.state", "-> Interrupt"),
    ]
    last = sim.mementos()[-1]
    assert (last.status, last.retries, last.restarts) == ("failedAndCompleted", 10, 1)
    assert of_steps(last) == [("failed", 10, 1), ("prepared", 0, 0)]
    assert sim.resource().annotations["interrupt.previous.status"] == "Creating"


def test_the_last_retry_that_the_reference_left_is_the_last_here(simulation, rows):
    run = written("WF1", "failed", ("failed", 9), ("prepared", 0), retries=9)
    sim = simulation(
        run, resource=wfsim.Resource("db", "orders"), Step1=[ValueError("x")]
    )
    assert rows(sim.run(), "step", "run.i", "resource.state") == [
        (0.0, "step.started", "Step1"),
        (
            1.0,
            "run.interrupted",
            many("ValueError: x", retries=10, flow="WF1", step="Step1"),
        ),
        (1.0, "resource.state", "-> Interrupt"),
    ]
    last = sim.mementos()[-1]
    assert (last.status, last.retries) == ("failedAndCompleted", 10)
    assert of_steps(last) == [("failed", 10, 0), ("prepared", 0, 0)]
    assert sim.resource().annotations["interrupt.previous.status"] == "Creating"


def test_a_step_that_has_no_retry_left_is_not_begun_again(simulation, rows):
    run = written("WF1", "failed", ("failed", 10), ("prepared", 0), retries=10)
    assert rows(simulation(run).run(), "step", "run.i") == [
        (
            *(0.0, "run.interrupted"),
            "MANY_RETRY: [default/orders]too many times retry [11] to do [WF1], "
            "last error step [Step1], err: []",
        )
    ]


def test_a_run_found_running_completes_with_a_restart_for_the_run_and_the_step(
    simulation,
):
    run = written("WF1", "running", ("inited", 1), ("prepared", 0), retries=1)
    sim = simulation(run)
    sim.run()
    last = sim.mementos()[-1]
    assert (last.status, last.retries, last.restarts) == ("completed", 1, 1)
    assert of_steps(last) == [("completed", 1, 1), ("completed", 0, 0)]


@pytest.mark.parametrize("applied", [True, False])
def test_an_interruption_that_the_resource_does_not_take_keeps_its_own_reason(
    simulation, rows, applied
):
    # Writes: the run, Step1 begun, the interruption, and what it says to the resource.
    sim = simulation(
        Step1=[Interrupted("LOST", "pod is lost")],
        faults=(FailSave(write=4, applied=applied),),
    )
    log = sim.run()
    assert rows(log, "run.i", "pass", "resource.state")[:2] == [
        (1.0, "run.interrupted", "LOST: pod is lost"),
        (1.0, "resource.state", "Creating -> Interrupt")
        if applied
        else (
            1.0,
            "pass.failed",
            "controller-0: Unavailable: injected failure of write 4",
        ),
    ]
    assert sim.resource().state == "Interrupt"
    assert sim.resource().annotations["interrupt.reason"] == "LOST"
    assert len(log.filter(wfsim.Kind.STEP_STARTED)) == 1


def test_init_that_always_fails_runs_as_often_as_do_step_does(flows):
    class Step1:
        def init(self, ctx):
            raise ValueError("no luck")

        def do_step(self, ctx):
            raise AssertionError("never")

    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    machine.unstable("Creating", run="One")
    flow = wfsim.Flow("One", (wfsim.Step("Step1"),))
    scenario = wfsim.Scenario([wfsim.Resource("db", "orders")], machine, [flow], [Step1])
    sim = wfsim.Simulation(scenario)
    log = sim.run()
    assert len(log.filter(wfsim.Kind.STEP_STARTED)) == 11
    sim.recover()
    assert len(sim.run().filter(wfsim.Kind.STEP_STARTED)) == 11 + 10


@pytest.mark.parametrize(("key", "reads"), [("x-WF1", False), ("1-WF1", True)])
def test_a_key_that_is_no_number_is_put_aside_and_counts_for_nothing(
    simulation, rows, key, reads
):
    sim = simulation()
    sim.stored.load(ORDERS, key, written("WF1", "completed").to_json())
    created = (0.0, "run.created", "2-WF1" if reads else "1-WF1")
    assert rows(sim.run(), "run.created")[-1] == created
    assert len(sim.log.filter(wfsim.Kind.RUN_QUARANTINED)) == (not reads)
