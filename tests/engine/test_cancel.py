"""A resource is cancelled: who notices when, and what is left of the step."""

from __future__ import annotations

import contextlib

import pytest

import wfsim
from wfsim import (
    CancelAt,
    EditAt,
    Interrupted,
    Kind,
    Policy,
    Retry,
    Simulation,
    Waiting,
)

CANCELLED = "CANCELLED: workflow cancelled! the resource was cancelled"
GONE = "CANCELLED: the resource is gone"


def interrupted(log):
    return [(record.time, record.text) for record in log.filter(Kind.RUN_INTERRUPTED)]


# Inside a step: at the tick of 5 s at which the reference's poll would have seen it.


@pytest.mark.parametrize(
    ("asked", "noticed"), [(0.1, 5.0), (1.2, 5.0), (5.0, 5.0), (5.1, 10.0), (14.9, 15.0)]
)
def test_inside_a_step_a_cancel_is_noticed_at_the_next_tick_of_the_pass(
    scenario, body, asked, noticed
):
    log = wfsim.simulate(scenario(body("A", takes=60.0)), faults=[CancelAt(asked)])
    assert interrupted(log) == [(noticed, CANCELLED)]


def test_ticks_are_counted_from_the_begin_of_the_pass_not_of_the_step(scenario, body):
    bodies = body("A", takes=7.0), body("B", takes=60.0)
    log = wfsim.simulate(scenario(*bodies), faults=[CancelAt(8.0)])
    assert interrupted(log) == [(10.0, CANCELLED)]


def test_ticks_of_a_later_pass_are_counted_from_its_own_begin(scenario, body):
    bodies = body("A", ValueError(), None, takes=2.0), body("B", takes=60.0)
    log = wfsim.simulate(scenario(*bodies), faults=[CancelAt(4.0)])
    assert interrupted(log) == [(5.0, CANCELLED)]
    log = wfsim.simulate(
        scenario(body("A", ValueError(), None, takes=2.0), body("B", takes=60.0)),
        faults=[CancelAt(9.0)],
    )
    assert interrupted(log) == [(13.0, CANCELLED)]


def test_the_tick_is_one_of_the_policys_numbers(scenario, body):
    policy = Policy(cancel_tick=0.5)
    log = wfsim.simulate(
        scenario(body("A", takes=60.0), policy=policy), faults=[CancelAt(1.2)]
    )
    assert interrupted(log) == [(1.5, CANCELLED)]


def test_a_cancelled_run_is_these_rows_and_its_resource_says_why(scenario, rows, body):
    simulation = Simulation(
        scenario(body("A"), body("B", takes=60.0)), faults=[CancelAt(2.0)]
    )
    assert rows(simulation.run()) == [
        (0.0, "run.created", "1-Build"),
        (0.0, "step.started", "A"),
        (1.0, "step.completed", "A"),
        (1.0, "step.started", "B"),
        (2.0, "resource.edited", "annotations"),
        (5.0, "run.interrupted", CANCELLED),
        (5.0, "resource.state", "-> Interrupt"),
    ]
    assert simulation.resource().annotations == {
        "cancelled": "true",
        "interrupt.message": "workflow cancelled! the resource was cancelled",
        "interrupt.previous.status": "Creating",
        "interrupt.reason": "CANCELLED",
        "interrupt.recover": "F",
    }
    assert [step.status for step in simulation.mementos()[-1].steps] == [
        "completed",
        "failed",
    ]


# Elsewhere: at once.


def test_fast_steps_do_not_outrun_a_cancel(scenario, rows, body):
    bodies = (body(f"S{index}", takes=0.375) for index in range(9))
    log = wfsim.simulate(scenario(*bodies), faults=[CancelAt(1.0)])
    assert rows(log)[-4:] == [
        (1.0, "resource.edited", "annotations"),
        (1.125, "step.completed", "S2"),
        (1.125, "run.interrupted", CANCELLED),
        (1.125, "resource.state", "-> Interrupt"),
    ]


def test_a_waiting_run_is_stopped_when_it_is_cancelled_and_not_asked_again(
    scenario, rows, body
):
    waits = body("A", Waiting(100.0), AssertionError("asked again"), takes=0.0)
    log = wfsim.simulate(scenario(waits), faults=[CancelAt(7.0)])
    assert rows(log)[-3:] == [
        (7.0, "resource.edited", "annotations"),
        (7.0, "run.interrupted", CANCELLED),
        (7.0, "resource.state", "-> Interrupt"),
    ]


def test_a_run_that_pauses_for_its_retry_is_stopped_when_it_is_cancelled(
    scenario, rows, body
):
    policy = Policy(retry=Retry(delay=100.0))
    log = wfsim.simulate(
        scenario(body("A", ValueError()), policy=policy), faults=[CancelAt(7.0)]
    )
    assert interrupted(log) == [(7.0, CANCELLED)]
    assert len(log.filter(Kind.STEP_STARTED)) == 1


def test_a_run_that_is_taken_up_after_a_crash_is_stopped_before_its_next_step(
    scenario, rows, body
):
    simulation = Simulation(scenario(body("A", takes=60.0)))
    simulation.run(until=10.0)
    simulation.crash()
    simulation.cancel()
    simulation.run(until=20.0)
    simulation.restart()
    simulation.run()
    assert interrupted(simulation.log) == [(20.0, CANCELLED)]
    assert len(simulation.log.filter(Kind.STEP_STARTED)) == 1


def test_a_resource_that_is_cancelled_before_its_run_begins_has_none(
    scenario, rows, body
):
    resource = wfsim.Resource("db", "orders", annotations={"cancelled": "true"})
    simulation = Simulation(scenario(body("A"), resource=resource))
    assert rows(simulation.run()) == [(0.0, "resource.state", "-> Interrupt")]
    assert simulation.resource().annotations["interrupt.message"] == (
        "workflow cancelled! cancelled before it began"
    )
    simulation.uncancel()
    simulation.recover()
    assert rows(simulation.run())[-1] == (1.0, "resource.state", "Creating -> Running")


@pytest.mark.parametrize("value", ["false", "True", ""])
def test_only_the_value_true_cancels(scenario, body, value):
    resource = wfsim.Resource("db", "orders", annotations={"cancelled": value})
    log = wfsim.simulate(scenario(body("A"), resource=resource))
    assert interrupted(log) == []


def test_a_cancel_that_is_taken_back_before_the_tick_has_no_effect(scenario, rows, body):
    faults = [CancelAt(1.0), EditAt(4.0, annotations={"cancelled": None})]
    log = wfsim.simulate(scenario(body("A", takes=20.0)), faults=faults)
    assert interrupted(log) == []
    assert rows(log)[-1] == (20.0, "resource.state", "-> Running")


def test_a_cancel_that_is_taken_back_and_repeated_counts(scenario, body):
    faults = [
        CancelAt(1.0),
        EditAt(4.0, annotations={"cancelled": None}),
        CancelAt(7.0),
    ]
    log = wfsim.simulate(scenario(body("A", takes=20.0)), faults=faults)
    assert interrupted(log) == [(10.0, CANCELLED)]


def test_a_cancel_after_the_last_step_comes_too_late(scenario, body):
    log = wfsim.simulate(scenario(body("A")), faults=[CancelAt(1.5)])
    assert interrupted(log) == []
    assert log.fold().resources["orders"].state == "Running"


def test_a_cancelled_run_goes_on_after_recovery_once_the_cancel_is_withdrawn(
    scenario, rows, body
):
    simulation = Simulation(
        scenario(body("A"), body("B", takes=60.0)), faults=[CancelAt(2.0)]
    )
    simulation.run(until=30.0)
    simulation.recover()
    simulation.run(until=40.0)
    assert interrupted(simulation.log) == [(5.0, CANCELLED), (30.0, CANCELLED)]
    simulation.uncancel()
    simulation.recover()
    assert rows(simulation.run())[-4:] == [
        (40.0, "step.started", "B #2"),
        (100.0, "step.completed", "B #2"),
        (100.0, "run.completed", "1-Build"),
        (100.0, "resource.state", "Creating -> Running"),
    ]


# The other two ways of cancelling.


def test_a_deletion_that_finalizers_hold_back_cancels_the_step(scenario, rows, body):
    resource = wfsim.Resource("db", "orders", finalizers=("storage",))
    log = wfsim.simulate(
        scenario(body("A", takes=60.0), resource=resource),
        faults=[EditAt(2.0, delete=True)],
    )
    assert rows(log) == [
        (0.0, "run.created", "1-Build"),
        (0.0, "step.started", "A"),
        (2.0, "resource.edited", "deleted"),
        (5.0, "run.interrupted", CANCELLED),
        (5.0, "resource.state", "-> Interrupt"),
    ]


def test_a_resource_that_vanishes_cancels_the_step_and_takes_its_run_along(
    scenario, rows, body
):
    log = wfsim.simulate(
        scenario(body("A", takes=60.0)), faults=[EditAt(2.0, delete=True)]
    )
    assert rows(log) == [
        (0.0, "run.created", "1-Build"),
        (0.0, "step.started", "A"),
        (2.0, "resource.deleted", ""),
        (5.0, "run.interrupted", CANCELLED),
        (5.0, "run.pruned", "1-Build"),
    ]


def test_a_resource_that_vanishes_between_two_steps_stops_the_run(scenario, rows, body):
    log = wfsim.simulate(
        scenario(body("A", takes=3.0), body("B")), faults=[EditAt(2.0, delete=True)]
    )
    assert rows(log, "run") == [
        (0.0, "run.created", "1-Build"),
        (3.0, "run.interrupted", GONE),
        (3.0, "run.pruned", "1-Build"),
    ]


@pytest.mark.parametrize("deed", [Waiting(100.0), ValueError()])
def test_a_resource_that_vanishes_between_two_passes_closes_the_run(
    scenario, rows, body, deed
):
    policy = Policy(retry=Retry(delay=100.0))
    log = wfsim.simulate(
        scenario(body("A", deed), policy=policy), faults=[EditAt(2.0, delete=True)]
    )
    assert rows(log, "run") == [
        (0.0, "run.created", "1-Build"),
        (2.0, "run.interrupted", GONE),
        (2.0, "run.pruned", "1-Build"),
    ]


# What becomes of the step.


def test_the_generator_unwinds_through_finally_and_with(scenario):
    seen = []

    @contextlib.contextmanager
    def lock(ctx):
        seen.append(("locked", ctx.clock.now))
        try:
            yield
        finally:
            seen.append(("unlocked", ctx.clock.now))

    def inner(ctx):
        try:
            yield from ctx.sleep(60.0)
        except Exception:
            seen.append("swallowed")
        finally:
            seen.append(("inner", ctx.clock.now))

    def A(ctx):
        with lock(ctx):
            yield from inner(ctx)
            seen.append("went on")

    wfsim.simulate(scenario(A), faults=[CancelAt(2.0)])
    assert seen == [("locked", 0.0), ("inner", 5.0), ("unlocked", 5.0)]


def test_an_async_step_unwinds_too(scenario):
    seen = []

    async def A(ctx):
        try:
            await ctx.sleep(60.0)
        finally:
            seen.append(ctx.clock.now)

    log = wfsim.simulate(scenario(A), faults=[CancelAt(2.0)])
    assert (seen, interrupted(log)) == ([5.0], [(5.0, CANCELLED)])


def test_a_step_may_take_time_to_clean_up(scenario, rows):
    def A(ctx):
        try:
            yield from ctx.sleep(60.0)
        finally:
            yield from ctx.sleep(2.0)
            ctx.log("cleaned up")

    log = wfsim.simulate(scenario(A), faults=[CancelAt(2.0)])
    assert rows(log, "step.log", "run.i") == [
        (7.0, "step.log", "cleaned up"),
        (7.0, "run.interrupted", CANCELLED),
    ]


@pytest.mark.parametrize("deed", [None, ValueError("cleanup failed")])
def test_a_step_that_does_not_let_the_cancel_pass_is_stopped_after_it(scenario, deed):
    def A(ctx):
        try:
            yield from ctx.sleep(60.0)
        except BaseException:
            if deed:
                raise deed from None

    def B(ctx):
        raise AssertionError("begun though the resource was cancelled")

    log = wfsim.simulate(scenario(A, B), faults=[CancelAt(2.0)])
    assert interrupted(log) == [(5.0, CANCELLED)]


def test_what_a_step_left_behind_may_not_write_any_more(scenario):
    refused = []

    def straggler(ctx):
        yield from ctx.sleep(20.0)
        try:
            yield from ctx.update(status={"late": True})
        except wfsim.errors.Fenced as error:
            refused.append((ctx.clock.now, str(error)))

    def A(ctx):
        ctx.clock.process(straggler(ctx))
        yield from ctx.sleep(60.0)

    simulation = Simulation(scenario(A), faults=[CancelAt(2.0)])
    simulation.run()
    assert refused == [(20.0, "A: this attempt is over; it may not write")]
    assert simulation.resource().status == {}


def test_what_a_step_started_in_the_world_goes_on(scenario):
    class Pods(wfsim.World):
        ready = 0

        def boot(self):
            self.ready += 1

    def A(ctx):
        ctx.world.later(30.0, "boot")
        yield from ctx.world.until(lambda: ctx.world.ready)

    simulation = Simulation(scenario(A, world=Pods), faults=[CancelAt(2.0)])
    simulation.run()
    assert interrupted(simulation.log) == [(5.0, CANCELLED)]
    assert simulation.world.ready == 1


def test_an_interruption_of_the_steps_own_is_not_taken_for_a_cancel(scenario, body):
    log = wfsim.simulate(
        scenario(body("A", Interrupted("LOST", "pod"), takes=3.0)), faults=[CancelAt(1.0)]
    )
    assert interrupted(log) == [(3.0, "LOST: pod")]


def test_a_cancel_while_the_store_is_deaf_is_not_missed_by_the_step_that_follows(
    scenario, body
):
    faults = [wfsim.FailSave(write=2, times=8), CancelAt(1.5)]
    log = wfsim.simulate(scenario(body("A", takes=60.0)), faults=faults)
    assert interrupted(log) == [(8.0, CANCELLED)]


def test_a_cancel_while_the_store_is_deaf_that_is_taken_back_has_no_effect(
    scenario, rows, body
):
    faults = [
        wfsim.FailSave(write=2, times=8),
        CancelAt(1.5),
        EditAt(6.0, annotations={"cancelled": None}),
    ]
    log = wfsim.simulate(scenario(body("A", takes=60.0)), faults=faults)
    assert interrupted(log) == []
    assert rows(log)[-1] == (68.0, "resource.state", "-> Running")
