"""The watch loop: when a flow is taken up, and what a stop or a cancel does to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import wfsim
from wfsim import (
    CrashAt,
    FailSave,
    Flow,
    Interrupted,
    Kind,
    Policy,
    Polling,
    Simulation,
    Step,
)
from wfsim.errors import ServiceError  # fmt: skip

FLOWS = Path(__file__).parents[2] / "flows" / "tiem"
SHIPPED = {
    name: flow
    for kind in ("cluster", "host", "platform")
    for name, flow in wfsim.load_flows(FLOWS / kind).items()
}
TWO = Flow(
    "Two",
    (
        Step("A", on_success="B", on_failure="F"),
        Step("B", on_failure="F"),
        Step("F"),
    ),
)
CLEAN = Flow("Clean", (Step("A", on_success="B", on_cancel="F"), Step("B"), Step("F")))


def named(name, deed=None, takes=0.0):
    times = []

    def body(ctx):
        times.append(ctx.clock.now)
        if takes:
            yield from ctx.sleep(takes)
        act = deed[min(len(times), len(deed)) - 1] if isinstance(deed, list) else deed
        if isinstance(act, BaseException):
            raise act
        return act

    body.times = times
    return wfsim.step(name)(body)


def instantaneous(flows):
    names = {
        name
        for flow in flows
        for step in flow.steps
        for name in (*step.class_names, *filter(None, [step.undo]))
    }
    return [named(name) for name in sorted(names)]


def service(*bodies, flow=TWO, faults=(), **rest):
    names = {body.__wfsim_step__ for body in bodies}
    more = [named(name) for name in ("A", "B", "F") if name not in names]
    made = wfsim.Scenario(flows=[flow], steps=[*bodies, *more], **rest)
    return Simulation(made, faults=faults)


def begun(sim, at=0.0):
    """Start the flow at that time; return its id."""
    name, first = next(iter(sim.flows.items()))
    flow = sim.service.create("c1", first.biz_type or "cluster", name)
    if at:
        sim.run(until=at)
    sim.service.start(flow)
    return flow


def told(log):
    """The runs, the steps and the states of flows, as (time, kind, step or text)."""
    plain = ("run.created", "run.completed", "step.started", "step.completed")
    return [
        (
            record.time,
            record.kind.value,
            record.step if record.kind in plain else record.text,
        )
        for record in log
        if record.kind.value.startswith(("step.", "run.", "resource.state"))
    ]


@pytest.mark.parametrize("at", [0.0, 0.1, 3.75, 5.0])
@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_n_nodes_of_no_duration_take_5_n_and_what_is_left_of_a_tick(name, at):
    flow = SHIPPED[name]
    made = wfsim.Scenario(flows=[flow], steps=instantaneous([flow]))
    sim = Simulation(made)
    begun(sim, at)
    log = sim.run()
    nodes = flow.main_path()
    first = 10.0 if at == 5.0 else 5.0
    started = [(record.time, record.step) for record in log.filter(Kind.STEP_STARTED)]
    assert started == [(first + 5.0 * n, node) for n, node in enumerate(nodes)]
    finished = log.records[-1]
    assert (finished.text, finished.time) == (
        "Processing -> Finished", first + 5.0 * len(nodes),
    )  # fmt: skip
    assert 0 < finished.time - at - 5.0 * len(nodes) <= 5.0


def test_a_node_costs_the_next_tick_after_it_has_ended():
    sim = service(named("A", takes=5.0), named("B", takes=12.5))
    begun(sim)
    assert told(sim.run())[1:] == [
        (5.0, "run.created", ""),
        (5.0, "step.started", "A"),
        (10.0, "step.completed", "A"),
        (15.0, "step.started", "B"),
        (27.5, "step.completed", "B"),
        (30.0, "run.completed", ""),
        (30.0, "resource.state", "Processing -> Finished"),
    ]


def test_an_operation_of_length_c_costs_the_next_multiple_of_3_and_then_a_tick():
    flow = Flow("Poll", (Step("A", polling=Polling(), on_success="B"), Step("B")))

    @wfsim.step
    def A(ctx):
        return {"operation": "op"}

    A.poll(lambda ctx, operation: ctx.clock.now >= 5.0 + 7.0)
    sim = service(A, flow=flow)
    begun(sim)
    log = sim.run()
    assert [(r.time, r.step) for r in log.filter(Kind.STEP_COMPLETED)] == [
        (14.0, "A"),
        (15.0, "B"),
    ]


def test_a_policy_may_go_on_at_once():
    sim = service(policy=Policy.service(nodes_per_tick=None))
    begun(sim, at=3.0)
    assert told(sim.run())[1:] == [
        (5.0, "run.created", ""),
        (5.0, "step.started", "A"),
        (5.0, "step.completed", "A"),
        (5.0, "step.started", "B"),
        (5.0, "step.completed", "B"),
        (5.0, "run.completed", ""),
        (5.0, "resource.state", "Processing -> Finished"),
    ]


def test_a_policy_may_have_no_ticks():
    sim = service(policy=Policy.service(watch_tick=0.0))
    begun(sim, at=3.0)
    assert {record.time for record in sim.run() if record.run} == {3.0}


def test_a_tick_goes_through_canceling_flows_first_and_the_newest_first():
    sim = service()
    flows = [begun(sim) for _ in range(4)]
    sim.service.cancel(flows[1])
    sim.service.cancel(flows[2])
    log = sim.run(until=5.0)
    assert [
        (record.resource, record.text or record.step)
        for record in log
        if record.time == 5.0 and record.kind in (Kind.RESOURCE_STATE, Kind.STEP_STARTED)
    ] == [
        ("3-Two", "Canceling -> Canceled"),
        ("2-Two", "Canceling -> Canceled"),
        ("4-Two", "A"),
        ("1-Two", "A"),
    ]


def test_nothing_is_left_to_happen_once_all_flows_have_ended():
    sim = service()
    begun(sim)
    sim.run()
    assert sim.now == 15.0


def test_a_step_that_waits_is_asked_again_at_the_first_tick_after_its_time():
    slow = named("A", [wfsim.Waiting(after=7.0), None])
    sim = service(slow)
    begun(sim)
    sim.run()
    assert slow.times == [5.0, 15.0]


def test_a_node_with_a_retry_is_tried_again_at_the_first_tick_after_its_delay():
    retry = wfsim.Retry(limit=1, delay=7.0)
    flow = Flow("Two", (Step("A", retry=retry, on_failure="F"), Step("F")))
    slow = named("A", [OSError("full"), None])
    sim = service(slow, flow=flow)
    made = begun(sim)
    sim.run()
    assert slow.times == [5.0, 15.0]
    assert sim.service.detail(made).status == "Finished"


# What ends a flow.


def test_a_failed_node_takes_a_tick_and_so_does_its_handler():
    sim = service(named("A", OSError("full")))
    begun(sim)
    text = "OSError: full"
    assert told(sim.run())[2:] == [
        (5.0, "step.started", "A"),
        (5.0, "step.failed", text),
        (10.0, "step.started", "F"),
        (10.0, "step.completed", "F"),
        (15.0, "run.failed", text),
        (15.0, "resource.state", "Processing -> Error"),
    ]


@pytest.mark.parametrize("flow", [Flow("One", (Step("A"),)), CLEAN])
def test_a_failed_node_without_a_handler_ends_in_error_not_finished(flow):
    sim = service(named("A", OSError("full")), flow=flow)
    made = begun(sim)
    assert told(sim.run())[-2:] == [
        (10.0, "run.failed", "OSError: full"),
        (10.0, "resource.state", "Processing -> Error"),
    ]
    assert sim.service.detail(made).nodes[0].status == "Error"


def test_a_body_that_blows_up_is_one_failed_node_and_is_not_run_for_ever():
    sim = service(named("A", RecursionError("deep")))
    flow = begun(sim)
    sim.run()
    assert [(n.name, n.attempts) for n in sim.service.detail(flow).nodes] == [
        ("A", 1),
        ("F", 1),
    ]


# Stop and start, in each situation.


def test_stop_while_a_node_runs_lets_it_end_and_begins_no_other():
    sim = service(named("A", takes=20.0))
    flow = begun(sim)
    sim.run(until=8)
    sim.service.stop(flow)
    assert sim.service.detail(flow).status == "Stopped"
    log = sim.run(until=60)
    assert told(log)[-2:] == [
        (8.0, "resource.state", "Processing -> Stopped"),
        (25.0, "step.completed", "A"),
    ]


def test_start_goes_on_with_the_next_node_when_the_last_had_ended_well():
    sim = service(named("A", takes=20.0))
    flow = begun(sim)
    sim.run(until=8)
    sim.service.stop(flow)
    sim.run(until=61)
    sim.service.start(flow)
    assert told(sim.run())[-4:] == [
        (65.0, "step.started", "B"),
        (65.0, "step.completed", "B"),
        (70.0, "run.completed", ""),
        (70.0, "resource.state", "Processing -> Finished"),
    ]


def test_start_goes_on_with_the_handler_when_the_last_node_had_failed():
    sim = service(named("A", OSError("full"), takes=20.0))
    flow = begun(sim)
    sim.run(until=8)
    sim.service.stop(flow)
    sim.run(until=61)
    sim.service.start(flow)
    assert [(r.time, r.step) for r in sim.run().filter(Kind.STEP_STARTED)] == [
        (5.0, "A"),
        (65.0, "F"),
    ]


def test_start_only_ends_a_flow_whose_last_node_had_ended():
    sim = service(named("B", takes=20.0))
    flow = begun(sim)
    sim.run(until=12)
    sim.service.stop(flow)
    sim.run(until=61)
    assert sim.service.detail(flow).status == "Stopped"
    sim.service.start(flow)
    assert told(sim.run())[-3:] == [
        (61.0, "resource.state", "Stopped -> Processing"),
        (65.0, "run.completed", ""),
        (65.0, "resource.state", "Processing -> Finished"),
    ]


@pytest.mark.parametrize("again", [8.5, 14.0, 24.0])
def test_start_while_the_node_still_runs_runs_it_once(again):
    slow = named("A", takes=20.0)
    sim = service(slow)
    flow = begun(sim)
    sim.run(until=8)
    sim.service.stop(flow)
    sim.run(until=again)
    sim.service.start(flow)
    log = sim.run()
    assert slow.times == [5.0]
    assert [(r.time, r.step) for r in log.filter(Kind.STEP_STARTED)] == [
        (5.0, "A"),
        (30.0, "B"),
    ]
    assert sim.service.detail(flow).status == "Finished"


def test_stop_before_the_first_pick_up_and_start_begins_at_the_start():
    sim = service()
    flow = begun(sim)
    sim.service.stop(flow)
    log = sim.run(until=12)
    assert not list(log.filter(Kind.STEP_STARTED))
    sim.service.start(flow)
    assert [(r.time, r.step) for r in sim.run().filter(Kind.STEP_STARTED)] == [
        (15.0, "A"),
        (20.0, "B"),
    ]


def test_a_stop_that_comes_while_a_slow_store_answers_begins_no_node():
    sim = service()
    flow = begun(sim)
    get = sim.resources.get

    def slow(key):
        yield sim.clock.timeout(0.5)
        return (yield from get(key))

    sim.resources.get, sim.resources.is_local = slow, False
    sim.run(until=5.7)
    sim.resources.get, sim.resources.is_local = get, True
    sim.service.stop(flow)
    assert not list(sim.run().filter(Kind.STEP_STARTED))
    assert sim.service.detail(flow).status == "Stopped"


def test_stop_reaches_a_policy_that_goes_on_at_once():
    sim = service(named("A", takes=9.0), policy=Policy.service(nodes_per_tick=None))
    flow = begun(sim)
    sim.run(until=7)
    sim.service.stop(flow)
    log = sim.run()
    assert [r.step for r in log.filter(Kind.STEP_STARTED)] == ["A"]
    sim.service.start(flow)
    sim.run()
    assert sim.service.detail(flow).status == "Finished"


def poller(length, polling=None):
    """A flow of a step that launches what takes so long, and one more."""
    looks = []

    @wfsim.step
    def A(ctx):
        return {"operation": f"op-{ctx.clock.now:g}"}

    def look(ctx, operation):
        looks.append(ctx.clock.now)
        return ctx.clock.now >= 5.0 + length

    A.poll(look)
    A.looks = looks
    step = Step("A", polling=polling or Polling(), on_success="B", on_failure="F")
    return A, Flow("Poll", (step, Step("B"), Step("F")))


def test_stop_reaches_the_looks_and_start_resumes_them_without_a_launch():
    launch, flow = poller(40.0)
    sim = service(launch, flow=flow)
    made = begun(sim)
    sim.run(until=9)
    sim.service.stop(made)
    sim.run(until=31)
    assert launch.looks == [8.0]
    sim.service.start(made)
    log = sim.run()
    assert launch.looks == [8.0, 35.0, 38.0, 41.0, 44.0, 47.0]
    assert [(r.step, r.attempt) for r in log.filter(Kind.STEP_STARTED)] == [
        ("A", 1),
        ("B", 1),
    ]
    assert sim.service.detail(made).nodes[0].operation == "op-5"


# Cancel.


def test_cancel_while_a_node_runs_closes_that_node_within_a_tick():
    sim = service(named("A", takes=60.0))
    flow = begun(sim)
    sim.run(until=12)
    sim.service.cancel(flow, "no longer wanted")
    assert told(sim.run())[-4:] == [
        (12.0, "resource.state", "Processing -> Canceling"),
        (15.0, "step.cancelled", "no longer wanted"),
        (15.0, "run.cancelled", "CANCELLED: no longer wanted"),
        (15.0, "resource.state", "Canceling -> Canceled"),
    ]
    (node,) = sim.service.detail(flow).nodes
    assert (node.status, node.finished) == ("Canceled", 15.0)


def test_cancel_runs_the_handler_for_it_to_its_end():
    sim = service(named("A", takes=60.0), named("F", takes=7.0), flow=CLEAN)
    flow = begun(sim)
    sim.run(until=12)
    sim.service.cancel(flow)
    assert told(sim.run())[-5:] == [
        (15.0, "step.cancelled", "the resource was cancelled"),
        (15.0, "step.started", "F"),
        (22.0, "step.completed", "F"),
        (25.0, "run.cancelled", "CANCELLED: the resource was cancelled"),
        (25.0, "resource.state", "Canceling -> Canceled"),
    ]
    assert sim.service.detail(flow).status == "Canceled"


def test_cancel_reaches_the_looks():
    launch, flow = poller(1000.0)
    sim = service(launch, flow=flow)
    made = begun(sim)
    sim.run(until=12)
    sim.service.cancel(made)
    sim.run()
    assert sim.service.detail(made).status == "Canceled"
    assert launch.looks == [8.0, 11.0, 14.0]


def test_a_stopped_flow_can_be_cancelled():
    sim = service()
    flow = begun(sim)
    sim.run(until=7)
    sim.service.stop(flow)
    sim.run(until=21)
    sim.service.cancel(flow, "why not")
    sim.run()
    assert told(sim.log)[-3:] == [
        (25.0, "step.cancelled", "why not"),
        (25.0, "run.cancelled", "CANCELLED: why not"),
        (25.0, "resource.state", "Canceling -> Canceled"),
    ]


def test_a_flow_that_is_cancelled_before_it_is_taken_up_is_canceled():
    sim = service(faults=[wfsim.CancelAt(t=2.0)])
    begun(sim)
    assert told(sim.run()) == [
        (0.0, "resource.state", "Initializing -> Processing"),
        (5.0, "resource.state", "Processing -> Canceled"),
    ]


def test_a_cancel_wins_over_the_end_that_it_races_with():
    sim = service(named("B", takes=4.0))
    flow = begun(sim)
    sim.run(until=14.5)
    sim.service.cancel(flow)
    log = sim.run()
    assert not list(log.filter(Kind.RUN_FAILED))
    assert told(log)[-2:] == [
        (15.0, "run.completed", ""),
        (15.0, "resource.state", "Canceling -> Canceled"),
    ]


def test_a_cancel_does_not_reach_a_failure_handler():
    sim = service(named("A", OSError("full")), named("F", takes=30.0))
    flow = begun(sim)
    sim.run(until=12)
    sim.service.cancel(flow)
    assert told(sim.run())[-3:] == [
        (40.0, "step.completed", "F"),
        (45.0, "run.failed", "OSError: full"),
        (45.0, "resource.state", "Canceling -> Canceled"),
    ]


# A step that asks for an operator: the reference's `pause`.


def test_a_paused_flow_is_stopped_and_runs_the_same_node_again_when_started():
    sim = service(named("A", [Interrupted("ASK", "disk?"), None]))
    flow = begun(sim)
    sim.run(until=21)
    assert sim.service.detail(flow).status == "Stopped"
    sim.service.start(flow)
    assert told(sim.run())[3:] == [
        (5.0, "run.interrupted", "ASK: disk?"),
        (5.0, "resource.state", "Processing -> Stopped"),
        (21.0, "resource.state", "Stopped -> Processing"),
        (25.0, "run.recovered", "ASK: disk?"),
        (25.0, "step.started", "A"),
        (25.0, "step.completed", "A"),
        (30.0, "step.started", "B"),
        (30.0, "step.completed", "B"),
        (35.0, "run.completed", ""),
        (35.0, "resource.state", "Processing -> Finished"),
    ]


PAUSES = Flow(
    "Two",
    (
        Step("A", on_success="B", on_failure="pause"),
        Step("B", on_failure="F"),
        Step("F"),
    ),
)


def test_a_node_that_fails_into_pause_stops_its_flow_and_is_run_again_when_started():
    sim = service(named("A", [OSError("full"), None]), flow=PAUSES)
    flow = begun(sim)
    sim.run(until=21)
    assert ended(sim, flow) == ("Stopped", [("A", "Error", "OSError: full\n")])
    sim.service.start(flow)
    assert told(sim.run())[3:8] == [
        (5.0, "run.interrupted", "MANY_RETRY: OSError: full"),
        (5.0, "resource.state", "Processing -> Stopped"),
        (21.0, "resource.state", "Stopped -> Processing"),
        (25.0, "run.recovered", "MANY_RETRY: OSError: full"),
        (25.0, "step.started", "A"),
    ]
    assert ended(sim, flow) == (
        "Finished",
        [("A", "Finished", "Completed.\n"), ("B", "Finished", "Completed.\n")],
    )


def test_a_node_that_pauses_is_tried_first_as_often_as_its_file_says():
    steps = replace(PAUSES.steps[0], retry=wfsim.Retry(limit=2)), *PAUSES.steps[1:]
    worker = named("A", OSError("full"))
    sim = service(worker, flow=replace(PAUSES, steps=steps))
    flow = begun(sim)
    sim.run()
    assert (len(worker.times), sim.service.detail(flow).status) == (3, "Stopped")


def test_a_cancel_and_a_deadline_end_a_flow_that_would_pause():
    slow = named("A", takes=50.0)
    sim = service(slow, flow=PAUSES)
    flow = begun(sim)
    sim.run(until=7)
    sim.service.cancel(flow)
    sim.run()
    assert sim.service.detail(flow).status == "Canceled"
    sim = service(slow, flow=replace(PAUSES, deadline=20.0))
    flow = begun(sim)
    sim.run()
    assert sim.service.detail(flow).status == "Error"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_write_of_a_pause_ends_as_without_one(when):
    def run(*faults):
        sim = service(named("A", [OSError("full"), None]), flow=PAUSES, faults=faults)
        flow = begun(sim)
        sim.run(until=100)
        stopped = sim.service.detail(flow).status == "Stopped"
        if stopped:
            sim.service.start(flow)
        sim.run()
        return stopped, ended(sim, flow), len(sim.log)

    whole = run()
    for write in range(1, 12):
        assert run(CrashAt(write=write, when=when, restart_after=2.0))[1] == whole[1]


# Restart.


def test_after_a_restart_the_node_that_was_cut_short_runs_again_at_the_first_tick():
    slow = named("A", takes=20.0)
    sim = service(slow, faults=[CrashAt(t=12.0, restart_after=1.0)])
    flow = begun(sim)
    log = sim.run()
    assert slow.times == [5.0, 18.0]
    assert [(r.time, r.step, r.attempt) for r in log.filter(Kind.STEP_STARTED)] == [
        (5.0, "A", 1),
        (18.0, "A", 2),
        (43.0, "B", 1),
    ]
    assert sim.service.detail(flow).status == "Finished"


def test_after_a_restart_the_looks_go_on_and_nothing_is_launched_again():
    launch, flow = poller(20.0)
    sim = service(launch, flow=flow, faults=[CrashAt(t=9.0, restart_after=1.0)])
    made = begun(sim)
    sim.run()
    assert launch.looks == [8.0, 17.0, 20.0, 23.0, 26.0]
    assert sim.service.detail(made).nodes[0].operation == "op-5"


def test_a_restart_takes_up_what_runs_and_what_is_canceling_and_leaves_the_rest():
    sim = service(named("A", takes=20.0))
    flows = [begun(sim) for _ in range(4)]
    sim.service.stop(flows[0])
    sim.service.stop(flows[1])
    sim.service.cancel(flows[2])
    sim.crash()
    sim.run(until=32)
    sim.restart()
    sim.run()
    assert [sim.service.detail(flow).status.value for flow in flows] == [
        "Stopped", "Stopped", "Canceled", "Finished",
    ]  # fmt: skip


def ended(sim, flow):
    found = sim.service.detail(flow)
    return found.status, [(node.name, node.status, node.result) for node in found.nodes]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("deed", [None, OSError("full"), [Interrupted("ASK"), None]])
def test_a_crash_at_any_write_ends_as_a_flow_without_one(deed, when):
    def run(*faults):
        sim = service(named("B", deed), faults=faults)
        flow = begun(sim)
        sim.run(until=200)
        if sim.service.detail(flow).status == "Stopped":
            sim.service.start(flow)
            sim.run()
        return sim, flow

    sim, flow = run()
    whole = ended(sim, flow)
    written = [r for r in sim.log if r.value is not None and r.resource == flow]
    for write in range(1, len(written) - 1):
        sim, flow = run(CrashAt(write=write, when=when, restart_after=2.0))
        assert ended(sim, flow) == whole, write
        assert len(list(sim.log.filter(Kind.CONTROLLER_CRASHED))) <= 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("bad", ["", "management.destroyCluster"])
def test_a_crash_at_any_write_of_a_flow_that_is_shipped_launches_nothing_twice(when, bad):
    flow = SHIPPED["DeleteCluster"]
    launched = []

    def run(*faults):
        @wfsim.step("management.destroyCluster")
        def destroy(ctx):
            launched.append(ctx.attempt)
            return {"operation": "op"}

        @destroy.poll
        def look(ctx, operation):
            if bad:
                raise OSError("exit 1")
            return {"result": "operation finished"}

        bodies = [
            b for b in instantaneous([flow]) if b.__wfsim_step__ != destroy.__wfsim_step__
        ]
        made = wfsim.Scenario(flows=[flow], steps=[destroy, *bodies])
        sim = Simulation(made, faults=faults)
        flow_id = begun(sim)
        sim.run()
        return sim, flow_id

    sim, flow_id = run()
    whole = ended(sim, flow_id)
    assert whole[0] == ("Error" if bad else "Finished")
    for write in range(1, sum(r.value is not None for r in sim.log) - 1):
        launched.clear()
        sim, flow_id = run(CrashAt(write=write, when=when, restart_after=2.0))
        assert ended(sim, flow_id) == whole, write
        # Only if it dies between the launch and the write that tells of it.
        assert launched in ([1], [2], [1, 2])
        saved = [run for run in sim.mementos(flow_id) if run.steps[1].operation]
        assert {run.steps[1].attempts for run in saved} == {launched[-1]}


# What one flow does to others.


def test_a_flow_that_cannot_be_made_sense_of_is_in_error_and_holds_no_other_up():
    sim = service()
    sim.service.register(Flow("Gone", (Step("A"),)))
    gone = sim.service.create("c1", "cluster", "Gone")
    sim.service.start(gone)
    fine = begun(sim)
    del sim.flows["Gone"]
    sim.run()
    assert sim.service.detail(gone).info.error == "no flow 'Gone'; known: 'Two'"
    assert sim.service.detail(gone).status == "Error"
    assert sim.service.detail(fine).status == "Finished"


def test_a_flow_that_was_changed_under_way_is_in_error():
    sim = service()
    flow = begun(sim)
    sim.run(until=7)
    sim.flows["Two"] = Flow("Two", (Step("A"), Step("B")))
    sim.run()
    assert sim.service.detail(flow).status == "Error"
    assert "the run began with the steps" in sim.service.detail(flow).info.error


def test_a_store_that_is_down_is_asked_again_and_not_without_end():
    sim = service(faults=[FailSave(write=1, times=15)])
    flow = begun(sim)
    sim.run()
    assert sim.service.detail(flow).status == "Finished"
    assert len(list(sim.log.filter(Kind.PASS_FAILED))) == 1


def test_two_controllers_run_each_node_once():
    slow = named("A", takes=7.0)
    made = wfsim.Scenario(flows=[TWO], steps=[slow, named("B"), named("F")])
    sim = Simulation(made, controllers=2)
    flow = begun(sim)
    sim.run()
    assert slow.times == [5.0]
    assert sim.service.detail(flow).status == "Finished"


def test_a_deaf_watch_does_no_more_than_delay():
    sim = service(faults=[wfsim.DropWatch(t=0.0, for_=22.0)])
    flow = begun(sim, at=1.0)
    sim.run()
    assert sim.service.detail(flow).status == "Finished"
    assert sim.service.detail(flow).info.updated > 22.0


def test_a_service_without_flows_is_refused():
    with pytest.raises(wfsim.DefinitionError, match="a service needs at least one flow"):
        wfsim.Scenario()


def test_a_flow_that_is_deleted_is_let_go():
    sim = service(named("A", takes=3.0))
    flow = begun(sim)
    sim.run(until=1)
    sim.delete(flow)
    assert not list(sim.run().filter(Kind.STEP_STARTED))


def test_a_flow_that_is_deleted_while_a_node_runs_ends_with_that_node():
    sim = service(named("A", takes=9.0))
    flow = begun(sim)
    sim.run(until=7)
    sim.delete(flow)
    (cut,) = sim.run().filter(Kind.RUN_INTERRUPTED, Kind.STEP_CANCELLED)
    assert (cut.time, cut.text) == (10.0, "the resource was cancelled")


def test_a_memento_that_cannot_be_read_puts_its_flow_in_error():
    sim = service()
    flow = begun(sim)
    sim.run(until=7)
    (key,) = sim.stored.keys()
    sim.crash()
    sim.stored.load(key, flow, "{")
    sim.restart()
    sim.run()
    found = sim.service.detail(flow)
    assert found.status == "Error"
    assert found.info.error.startswith("its memento cannot be read: not JSON")


def test_a_paused_flow_whose_definition_is_gone_is_in_error_once_it_is_started():
    sim = service(named("A", Interrupted("ASK")))
    flow = begun(sim)
    sim.run()
    del sim.flows["Two"]
    sim.service.start(flow)
    sim.run()
    assert sim.service.detail(flow).info.error == "no flow 'Two'; known: none"


def test_a_node_that_pauses_a_stopped_flow_leaves_it_stopped_and_is_run_again():
    slow = named("A", [Interrupted("ASK"), None], takes=9.0)
    sim = service(slow)
    flow = begun(sim)
    sim.run(until=7)
    sim.service.stop(flow)
    sim.run(until=31)
    assert sim.service.detail(flow).status == "Stopped"
    sim.service.start(flow)
    sim.run()
    assert slow.times == [5.0, 35.0]
    assert sim.service.detail(flow).status == "Finished"


def test_a_touch_does_not_wake_a_flow_before_its_time():
    slow = named("A", [wfsim.Waiting(after=50.0), None])
    sim = service(slow)
    flow = begun(sim)
    sim.run(until=12)
    sim.service.init_context(flow, "k", 1)
    sim.run()
    assert slow.times == [5.0, 55.0]


# Flows that start flows.

CHILD = Flow("Child", (Step("C"),))
PARENT = Flow("Parent", (Step("P", on_failure="F"), Step("F")))


def family(child=None, *, faults=(), start_only=False, **wait):
    """A parent that starts a child in its first step, and waits for it."""

    def P(ctx):
        made = yield from ctx.flows.start("Child", biz_id="c9", context={"n": 1})
        if not start_only:
            yield from ctx.flows.wait(made, **wait)
        return {"child": made}

    bodies = [P, child or named("C"), named("F")]
    made = wfsim.Scenario(flows=[PARENT, CHILD], steps=bodies)
    return Simulation(made, faults=faults)


def children(sim):
    return [flow.id for flow in sim.service.list(flow_name="Child").flows]


def test_a_parent_waits_for_its_child_with_a_look_every_10_seconds():
    sim = family()
    parent = begun(sim)
    log = sim.run()
    ends = [(r.time, r.resource) for r in log if r.text == "Processing -> Finished"]
    assert ends == [(15.0, "2-Child"), (20.0, parent)]
    assert sim.service.detail("2-Child").info[2:4] == ("c9", "cluster")
    assert sim.mementos(parent)[-1].steps[0].output == {"child": "2-Child"}


def test_a_step_that_is_run_again_after_a_crash_finds_its_child():
    sim = family(faults=[CrashAt(t=7.0, restart_after=1.0)])
    parent = begun(sim)
    sim.run()
    assert children(sim) == ["2-Child"]
    assert sim.service.detail(parent).status == "Finished"


def test_a_child_may_be_started_and_left_alone():
    sim = family(named("C", OSError("full")), start_only=True)
    parent = begun(sim)
    sim.run()
    assert sim.service.detail(parent).status == "Finished"
    assert sim.service.detail("2-Child").status == "Error"


@pytest.mark.parametrize("request_", ["stop", "cancel", None])
def test_a_child_that_does_not_finish_fails_the_step_that_waits(request_):
    sim = family(named("C", OSError("full")))
    parent = begun(sim)
    sim.run(until=7)
    if request_:
        getattr(sim.service, request_)("2-Child")
    sim.run()
    status = {"stop": "Stopped", "cancel": "Canceled"}.get(request_, "Error")
    found = sim.service.detail(parent)
    assert found.status == "Error"
    assert f"[40102]workflow detail failed\t2-Child is {status}" in found.info.error


def test_a_child_that_is_stopped_and_started_between_two_looks_is_waited_for():
    sim = family(named("C", takes=30.0))
    parent = begun(sim)
    sim.run(until=16)
    sim.service.stop("2-Child")
    sim.run(until=18)
    sim.service.start("2-Child")
    sim.run()
    assert sim.service.detail(parent).status == "Finished"
    assert sim.service.detail(parent).nodes[0].finished == 45.0


def test_an_attempt_that_is_over_starts_no_flow():
    kept = []

    def P(ctx):
        kept.append(ctx)

    made = wfsim.Scenario(flows=[PARENT, CHILD], steps=[P, named("F"), named("C")])
    sim = Simulation(made)
    begun(sim)
    sim.run()
    with pytest.raises(wfsim.errors.Fenced, match="this attempt is over"):
        next(kept[0].flows.start("Child"))


def test_a_child_that_takes_too_long_is_error_40105():
    sim = family(named("C", takes=500.0), timeout=100.0)
    parent = begun(sim)
    log = sim.run()
    (failed,) = log.filter(Kind.STEP_FAILED)
    assert failed.time == 105.0
    assert "[40105]" in sim.service.detail(parent).info.error


def test_a_cancel_reaches_a_step_that_waits_for_its_child_but_not_the_child():
    sim = family(named("C", takes=100.0))
    parent = begun(sim)
    sim.run(until=22)
    sim.service.cancel(parent)
    sim.run()
    assert sim.service.detail(parent).status == "Canceled"
    assert sim.service.detail("2-Child").status == "Finished"


def test_a_step_that_no_service_runs_has_no_flows(scenario):
    def A(ctx):
        return {"flows": repr(ctx.flows)}

    flow = Flow("Build", (Step("A", on_failure="F"), Step("F")))
    log = wfsim.simulate(scenario(A, named("F"), flow=flow))
    (failed,) = log.filter(Kind.STEP_FAILED)
    assert "is not run by a service" in failed.text


def test_an_unknown_child_is_not_found():
    def P(ctx):
        yield from ctx.flows.wait("9-Nothing")

    made = wfsim.Scenario(flows=[PARENT], steps=[P, named("F")])
    sim = Simulation(made)
    parent = begun(sim)
    sim.run()
    assert "[9996]flow not found" in sim.service.detail(parent).info.error
    with pytest.raises(ServiceError):
        sim.service.detail("9-Nothing")
