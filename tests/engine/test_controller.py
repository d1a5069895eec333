"""The controller: its queue, workers, timers, leases, and how it dies."""

from __future__ import annotations

from collections import Counter

import pytest

import wfsim
from wfsim.engine.controller import next_tick
from wfsim.errors import UsageError
from wfsim.model.record import Kind
from wfsim.sim.simulation import Simulation


def scenario(work, *, names=("db-0",), steps=("A",), policy=None, machine=None, **other):
    """Resources that each run a flow of *steps*, whose code is *work*, once."""
    machine = machine or wfsim.StateMachine("db").stable("Running", "Interrupt")
    machine.unstable("Creating", run="Create")
    flow = wfsim.Flow("Create", tuple(wfsim.Step(name, "Work") for name in steps))
    held = tuple(other.pop("finalizers", ()))
    resources = [wfsim.Resource("db", name, finalizers=held) for name in names]
    return wfsim.Scenario(
        resources, machine, [flow], [wfsim.step("Work")(work)], policy=policy, **other
    )


def take(seconds):
    def work(context):
        yield from context.sleep(seconds)

    return work


def rows(log, *kinds):
    """What the engine did, as (time, kind, resource, step, attempt)."""
    left_out = {Kind.RESOURCE_CREATED, Kind.FAULT_ARMED, Kind.CONTROLLER_STARTED}
    return [
        (record.time, record.kind.value, record.resource, record.step, record.attempt)
        for record in log
        if (record.kind in kinds if kinds else record.kind not in left_out)
    ]


def starts(log):
    return [(record.time, record.resource) for record in log.filter(Kind.STEP_STARTED)]


def names(count):
    return tuple(f"db-{number:02d}" for number in range(count))


# The queue and the workers.


@pytest.mark.parametrize(
    ("now", "began", "every", "tick"),
    [
        (6.2, 0.0, 5.0, 10.0),
        (5.0, 0.0, 5.0, 5.0),
        (0.0, 0.0, 5.0, 0.0),
        (7.3, 2.0, 0.0, 7.3),
        (0.1 + 3 * 0.1, 0.1, 0.1, 0.1 + 3 * 0.1),
        (1e6 + 0.3, 0.1, 0.1, 1e6 + 0.3),
    ],
)
def test_a_tick_is_the_first_one_that_is_not_before_now(now, began, every, tick):
    assert next_tick(now, began, every) == pytest.approx(tick)
    assert next_tick(now, began, every) >= now


def test_every_tick_is_its_own_next_tick():
    for began in (0.0, 0.1, 1 / 3, 12.7):
        for every in (0.1, 0.3, 1.1, 5.0):
            ticks = [began + count * every for count in range(300)]
            assert [next_tick(tick, began, every) for tick in ticks] == ticks


def test_a_twenty_seventh_resource_waits_for_a_worker():
    log = wfsim.simulate(scenario(take(10), names=names(28)))
    assert Counter(time for time, _ in starts(log)) == {0: 26, 10: 2}
    assert starts(log)[-2:] == [(10, "db-26"), (10, "db-27")]


def test_the_number_of_workers_can_be_set():
    policy = wfsim.Policy(workers=1)
    log = wfsim.simulate(scenario(take(10), names=names(3), policy=policy))
    assert starts(log) == [(0, "db-00"), (10, "db-01"), (20, "db-02")]


def test_a_resource_touched_during_its_pass_is_looked_at_again_at_once():
    looks = []

    def look(resource):
        looks.append(resource.spec.get("size", 0))
        return False

    def work(context):
        yield from context.sleep(5)

    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    machine.transition("Running", "Growing", when=look, run="Create")
    simulation = Simulation(scenario(work, machine=machine))
    simulation.run(2)
    for size in (1, 2, 3):
        simulation.edit(spec={"size": size})
    simulation.run()
    assert looks == [3]
    assert simulation.now == 5


def test_a_resource_is_worked_on_by_one_worker_at_a_time():
    inside = []

    def work(context):
        inside.append(context.attempt)
        for number in range(3):
            yield from context.sleep(1)
            yield from context.update(status={"number": number})
        assert inside == [context.attempt]
        inside.remove(context.attempt)

    log = wfsim.simulate(scenario(work, steps=("A", "B")))
    assert log.fold().resources["db-0"].state == "Running"
    assert inside == []


def test_a_resource_is_not_looked_at_while_nothing_happens_to_it():
    simulation = Simulation(scenario(take(10)))
    simulation.run(600_000)
    assert simulation.log[-1].time == 10


def test_work_that_takes_no_time_and_never_ends_is_an_error_that_names_the_cure():
    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    machine.transition("Running", "Creating", when=lambda resource: True)
    with pytest.raises(UsageError, match="db-0 was worked on 1000 times at 0 s without"):
        wfsim.simulate(scenario(lambda context: None, machine=machine))


# What stores do to a pass.


def test_a_failed_pass_is_recorded_and_made_again_a_second_later():
    faults = [wfsim.FailSave(write=4, times=1)]
    log = wfsim.simulate(scenario(take(10)), faults=faults)
    assert rows(log) == [
        (0, "run.created", "db-0", "", 0),
        (0, "step.started", "db-0", "A", 1),
        (10, "step.completed", "db-0", "A", 1),
        (10, "fault.fired", "", "", 0),
        (11, "run.completed", "db-0", "", 0),
        (11, "resource.state", "db-0", "", 0),
    ]
    faults = [wfsim.FailSave(write=5, times=2)]
    log = wfsim.simulate(scenario(take(10)), faults=faults)
    assert rows(log)[3:] == [
        (10, "run.completed", "db-0", "", 0),
        (10, "fault.fired", "", "", 0),
        (10, "pass.failed", "db-0", "", 0),
        (11, "fault.fired", "", "", 0),
        (11, "pass.failed", "db-0", "", 0),
        (12, "resource.state", "db-0", "", 0),
    ]


def test_failed_passes_back_off_and_begin_anew_after_a_good_one():
    policy = wfsim.Policy(redrive=wfsim.Retry(delay=1, factor=2, cap=6))
    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    machine.transition("Running", "Growing", when=lambda it: "grow" in it.annotations)
    machine.unstable("Growing", run="Create")
    simulation = Simulation(
        scenario(take(10), policy=policy, machine=machine),
        faults=[wfsim.FailSave(write=5, times=5), wfsim.FailSave(write=11, times=2)],
    )
    simulation.run(50)
    simulation.edit(annotations={"grow": "now"})
    simulation.run(60)
    failed = simulation.log.filter(Kind.PASS_FAILED)
    assert [record.time for record in failed] == [10, 11, 13, 17, 23, 50, 51]
    assert failed[0].text == "controller-0: Unavailable: injected failure of write 5"
    assert [time for time, _ in starts(simulation.log)] == [0, 53]


def test_a_pass_that_fails_keeps_no_other_controller_from_the_resource():
    faults = [wfsim.FailSave(write=5, times=1)]
    log = wfsim.simulate(scenario(take(10)), faults=faults, controllers=2)
    assert rows(log)[-2:] == [
        (10, "pass.failed", "db-0", "", 0),
        (10, "resource.state", "db-0", "", 0),
    ]


# Cancels.


@pytest.mark.parametrize(("cancelled", "noticed"), [(0.5, 5), (5, 5), (5.5, 10), (9, 10)])
def test_a_cancel_is_noticed_at_the_tick_at_which_a_poll_would_see_it(cancelled, noticed):
    faults = [wfsim.CancelAt(t=cancelled)]
    log = wfsim.simulate(scenario(take(100)), faults=faults)
    assert rows(log, Kind.RUN_INTERRUPTED) == [
        (noticed, "run.interrupted", "db-0", "A", 1)
    ]


def test_a_cancel_taken_back_before_the_tick_is_not_noticed():
    simulation = Simulation(scenario(take(12)))
    simulation.run(6)
    simulation.cancel()
    simulation.run(8)
    simulation.uncancel()
    simulation.run()
    assert rows(simulation.log)[-1] == (12, "resource.state", "db-0", "", 0)
    assert simulation.resource().state == "Running"


def test_a_step_that_cleans_up_after_a_cancel_is_left_to_it_and_may_not_write():
    told = []

    def work(context):
        try:
            yield from context.sleep(100)
        finally:
            for _ in range(3):
                yield from context.sleep(4)
            told.append(context.clock.now)
            try:
                yield from context.update(status={"last": "words"})
            except wfsim.errors.Fenced as error:
                told.append(str(error))

    simulation = Simulation(scenario(work))
    simulation.run(1)
    simulation.cancel()
    for time in (6, 11, 12, 14):
        simulation.run(time)
        simulation.edit(status={"time": time})
    simulation.run()
    assert told == [17, "A: this attempt is over; it may not write"]
    assert simulation.resource().status == {"time": 14}
    assert simulation.resource().state == "Interrupt"


def test_a_deleted_resource_is_let_go_once_its_finalizers_have_run():
    released = []

    def release(context):
        yield from context.sleep(2)
        released.append((context.clock.now, context.resource.name))

    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    machine.finalizer("disk", release)
    simulation = Simulation(
        scenario(take(100), machine=machine, finalizers=("disk", "pod"))
    )
    machine.finalizer("pod", release)
    simulation.run(1)
    simulation.delete()
    simulation.run()
    assert released == [(7, "db-0"), (9, "db-0")]
    assert rows(simulation.log)[2:] == [
        (1, "resource.edited", "db-0", "", 0),
        (5, "run.interrupted", "db-0", "A", 1),
        (5, "resource.state", "db-0", "", 0),
        (7, "resource.edited", "db-0", "", 0),
        (9, "resource.edited", "db-0", "", 0),
        (9, "resource.deleted", "db-0", "", 0),
        (9, "run.pruned", "db-0", "", 0),
    ]


# Dying.


def test_a_crash_loses_everything_but_the_stores_and_a_restart_builds_from_them():
    simulation = Simulation(scenario(take(10), steps=("A", "B")))
    simulation.run(12)
    before = simulation.mementos()[-1]
    simulation.crash()
    simulation.run(20)
    simulation.restart()
    simulation.run()
    assert rows(simulation.log)[2:] == [
        (10, "step.completed", "db-0", "A", 1),
        (10, "step.started", "db-0", "B", 1),
        (12, "controller.crashed", "", "", 0),
        (20, "step.started", "db-0", "B", 2),
        (30, "step.completed", "db-0", "B", 2),
        (30, "run.completed", "db-0", "", 0),
        (30, "resource.state", "db-0", "", 0),
    ]
    assert before.steps[0] == simulation.mementos()[-1].steps[0]


def test_a_restart_takes_a_run_up_with_all_that_was_kept_of_it():
    simulation = Simulation(scenario(take(10)))
    simulation.run(5)
    simulation.crash()
    memento = simulation.mementos()[-1]
    simulation.restart()
    simulation.run(6)
    kept = simulation.mementos()[-1]
    assert kept.steps[0].restarts == 1
    assert (kept.context, kept.started) == (memento.context, memento.started)


def test_a_key_that_was_queued_when_the_controller_died_is_worked_on_after_the_restart():
    policy = wfsim.Policy(workers=1)
    faults = [wfsim.CrashAt(t=5, restart_after=2)]
    log = wfsim.simulate(scenario(take(10), names=names(2), policy=policy), faults=faults)
    assert starts(log) == [(0, "db-00"), (7, "db-00"), (17, "db-01")]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("write", range(1, 13))
def test_a_controller_that_dies_in_a_write_does_nothing_more(write, when):
    crash = wfsim.CrashAt(write=write, when=when, restart_after=30)
    log = wfsim.simulate(
        scenario(take(10), names=names(3), steps=("A", "B")), faults=[crash]
    )
    rest = [record.kind for record in log]
    dead = rest[rest.index(Kind.CONTROLLER_CRASHED) + 1 :]
    assert dead[0] is Kind.CONTROLLER_STARTED
    states = [resource.state for resource in log.fold().resources.values()]
    assert states == ["Running"] * 3


def test_what_a_dead_step_still_writes_is_refused():
    def work(context):
        try:
            yield from context.sleep(10)
        finally:
            yield from context.update(status={"last": "words"})

    simulation = Simulation(scenario(work))
    simulation.run(5)
    simulation.crash()
    simulation.run(8)
    assert simulation.log[-1].kind is Kind.CONTROLLER_CRASHED
    assert simulation.resource().status == {}


def test_timers_of_a_dead_controller_do_not_act_on_its_successor():
    policy = wfsim.Policy(retry=wfsim.Retry(delay=10), timeout=20)
    faults = [
        wfsim.FailStep("A"),
        wfsim.CrashAt(t=1, restart_after=1),
        wfsim.CrashAt(t=12, restart_after=1),
    ]
    log = wfsim.simulate(scenario(take(15), policy=policy), faults=faults)
    assert rows(log, Kind.STEP_STARTED, Kind.STEP_FAILED, Kind.STEP_COMPLETED) == [
        (0, "step.started", "db-0", "A", 1),
        (0, "step.failed", "db-0", "A", 1),
        (10, "step.started", "db-0", "A", 2),
        (13, "step.started", "db-0", "A", 3),
        (28, "step.completed", "db-0", "A", 3),
    ]


def test_a_cancel_timer_of_a_dead_controller_does_not_act_on_its_successor():
    simulation = Simulation(scenario(take(100)))
    simulation.run(3)
    simulation.cancel()
    simulation.crash()
    simulation.uncancel()
    simulation.restart()
    simulation.run(4)
    simulation.cancel()
    simulation.run()
    assert rows(simulation.log, Kind.RUN_INTERRUPTED) == [
        (8, "run.interrupted", "db-0", "A", 2)
    ]


def test_the_run_of_a_resource_that_went_away_unseen_is_closed_after_the_restart():
    simulation = Simulation(scenario(take(10)))
    simulation.run(5)
    simulation.crash()
    simulation.delete()
    simulation.run(20)
    simulation.restart()
    simulation.run()
    assert rows(simulation.log)[-3:] == [
        (5, "resource.deleted", "db-0", "", 0),
        (20, "run.interrupted", "db-0", "A", 1),
        (20, "run.pruned", "db-0", "", 0),
    ]


# Standing still.


def test_a_paused_controller_goes_on_if_nobody_took_its_lease():
    faults = [wfsim.PauseController(t=3, for_=50)]
    log = wfsim.simulate(scenario(take(10), steps=("A", "B")), faults=faults)
    assert rows(log)[1:] == [
        (0, "step.started", "db-0", "A", 1),
        (3, "fault.fired", "", "", 0),
        (3, "controller.paused", "", "", 0),
        (53, "controller.resumed", "", "", 0),
        (53, "step.completed", "db-0", "A", 1),
        (53, "step.started", "db-0", "B", 1),
        (63, "step.completed", "db-0", "B", 1),
        (63, "run.completed", "db-0", "", 0),
        (63, "resource.state", "db-0", "", 0),
    ]


def test_a_pause_shorter_than_its_wait_changes_nothing():
    calm = wfsim.simulate(scenario(take(10)))
    paused = wfsim.simulate(
        scenario(take(10)), faults=[wfsim.PauseController(t=3, for_=5)]
    )
    assert rows(calm) == [
        row for row in rows(paused) if row[1].startswith(("run", "step", "resource"))
    ]


def test_a_paused_controller_takes_on_no_work():
    simulation = Simulation(scenario(take(10)))
    simulation.pause()
    simulation.create(wfsim.Resource("db", "late"))
    simulation.run(30)
    assert [start for start in starts(simulation.log) if start[1] == "late"] == []
    simulation.unpause()
    simulation.run()
    assert (30, "late") in starts(simulation.log)


@pytest.mark.parametrize("taken_back", [False, True])
def test_a_cancel_during_a_pause_is_noticed_on_waking_up(taken_back):
    simulation = Simulation(scenario(take(100)))
    simulation.run(1)
    simulation.pause()
    simulation.cancel()
    simulation.run(30)
    simulation.unpause()
    simulation.run()
    assert rows(simulation.log, Kind.RUN_INTERRUPTED) == [
        (30, "run.interrupted", "db-0", "A", 1)
    ]


def test_a_step_that_timed_out_during_a_pause_fails_on_waking_up():
    policy = wfsim.Policy(timeout=8, retry=wfsim.Retry(limit=0))
    faults = [wfsim.PauseController(t=3, for_=30)]
    log = wfsim.simulate(scenario(take(10), policy=policy), faults=faults)
    assert rows(log, Kind.RUN_INTERRUPTED) == [(33, "run.interrupted", "db-0", "A", 1)]


@pytest.mark.parametrize("restarted", [10, 25])
def test_a_controller_can_die_while_it_stands_still(restarted):
    simulation = Simulation(scenario(take(10)))
    simulation.run(3)
    simulation.pause()
    simulation.run(6)
    simulation.cancel()
    simulation.run(7)
    simulation.crash()
    simulation.uncancel()
    simulation.run(restarted)
    simulation.restart()
    simulation.run()
    assert rows(simulation.log, Kind.STEP_STARTED, Kind.STEP_COMPLETED) == [
        (0, "step.started", "db-0", "A", 1),
        (restarted, "step.started", "db-0", "A", 2),
        (restarted + 10, "step.completed", "db-0", "A", 2),
    ]


# Two controllers.


def two(work, *, steps=("A", "B"), **other):
    return Simulation(scenario(work, steps=steps, **other), controllers=2)


def test_the_second_controller_takes_over_when_the_lease_of_the_first_has_lapsed():
    simulation = two(take(10))
    simulation.run(12)
    simulation.crash("controller-0")
    simulation.run()
    assert rows(simulation.log)[4:] == [
        (12, "controller.crashed", "", "", 0),
        (25, "step.started", "db-0", "B", 2),
        (35, "step.completed", "db-0", "B", 2),
        (35, "run.completed", "db-0", "", 0),
        (35, "resource.state", "db-0", "", 0),
    ]


def test_a_controller_back_under_its_name_goes_on_before_its_lease_has_lapsed():
    simulation = two(take(10))
    simulation.run(12)
    simulation.crash("controller-0")
    simulation.run(15)
    simulation.restart("controller-0")
    simulation.run()
    assert (15, "step.started", "db-0", "B", 2) in rows(simulation.log)
    assert rows(simulation.log)[-1] == (25, "resource.state", "db-0", "", 0)


def test_who_wakes_up_after_the_take_over_is_fenced():
    log = []

    def work(context):
        try:
            for _ in range(10):
                yield from context.sleep(1)
                log.append((context.clock.now, context.attempt))
        except BaseException as error:
            log.append((context.clock.now, context.attempt, type(error).__name__))
            with pytest.raises(wfsim.errors.Fenced):
                yield from context.update(status={"by": "a ghost"})
            raise

    simulation = two(work, steps=("A",))
    simulation.run(3.5)
    simulation.pause("controller-0")
    simulation.run(18.5)
    simulation.unpause("controller-0")
    simulation.run()
    assert log[:4] == [(1, 1), (2, 1), (3, 1), (16, 2)]
    assert [entry for entry in log if entry[1] == 1][3:] == [(18.5, 1, "Cancelled")]
    assert rows(simulation.log)[2:] == [
        (3.5, "controller.paused", "", "", 0),
        (15, "step.started", "db-0", "A", 2),
        (18.5, "controller.resumed", "", "", 0),
        (18.5, "pass.failed", "db-0", "", 0),
        (25, "step.completed", "db-0", "A", 2),
        (25, "run.completed", "db-0", "", 0),
        (25, "resource.state", "db-0", "", 0),
    ]
    (failed,) = simulation.log.filter(Kind.PASS_FAILED)
    assert failed.text == (
        "controller-0: Fenced: db-0: token 1 is older than the lease, 2"
    )
    assert simulation.resource().status == {}


def test_who_was_fenced_takes_over_again_when_the_other_one_dies():
    simulation = two(take(20), steps=("A",))
    simulation.run(3)
    simulation.pause("controller-0")
    simulation.run(18)
    simulation.unpause("controller-0")
    simulation.run(20)
    simulation.crash("controller-1")
    simulation.run()
    assert rows(simulation.log, Kind.STEP_STARTED, Kind.STEP_COMPLETED) == [
        (0, "step.started", "db-0", "A", 1),
        (15, "step.started", "db-0", "A", 2),
        (30, "step.started", "db-0", "A", 3),
        (50, "step.completed", "db-0", "A", 3),
    ]


class Witness:
    """Sees every slice of every attempt, and that none is of an attempt taken over."""

    def __init__(self):
        self.newest = {}
        self.slices = 0

    def work(self):
        def work(context):
            yield from self.slices_of(context)

        return work

    def slices_of(self, context):
        me = (context.run, context.step, context.attempt)
        name = context.resource.name
        assert self.newest.get(name) != me
        self.newest[name] = me
        for _ in range(4):
            yield from context.sleep(1.5)
            assert self.newest[name] == me, f"{me} goes on beside {self.newest[name]}"
            self.slices += 1


INTERRUPTIONS = [
    lambda t, name: [wfsim.CrashAt(t=t, controller=name)],
    lambda t, name: [wfsim.CrashAt(t=t, controller=name, restart_after=4)],
    lambda t, name: [wfsim.CrashAt(t=t, controller=name, restart_after=40)],
    lambda t, name: [wfsim.PauseController(t=t, for_=8, controller=name)],
    lambda t, name: [wfsim.PauseController(t=t, for_=31, controller=name)],
    lambda t, name: [
        wfsim.PauseController(t=t, for_=20, controller=name),
        wfsim.CrashAt(t=t + 17, controller=name, restart_after=9),
        wfsim.PauseController(t=t + 3, for_=30, controller="controller-1"),
    ],
]


@pytest.mark.parametrize("interruption", INTERRUPTIONS)
def test_two_controllers_never_both_run_a_resource(interruption):
    for tenth in range(0, 260, 7):
        witness = Witness()
        simulation = Simulation(
            scenario(witness.work(), names=names(2), steps=("A", "B")),
            controllers=2,
            faults=interruption(tenth / 10, "controller-0"),
        )
        simulation.run()
        resources = simulation.log.fold().resources.values()
        assert [resource.state for resource in resources] == ["Running"] * 2, tenth
        assert witness.slices >= 16
        unfinished = [
            (record.resource, record.run)
            for record in simulation.log
            if record.kind is Kind.RUN_CREATED
        ]
        assert sorted(unfinished) == [("db-00", "1-Create"), ("db-01", "1-Create")]


def test_a_controller_says_how_it_is():
    sim = wfsim.Simulation(scenario(take(10)))
    sim.run(until=5)
    controller = sim.plane.controller()
    assert repr(controller) == "<Controller controller-0 alive, 1 at work>"
    sim.pause()
    assert repr(controller) == "<Controller controller-0 paused, 1 at work>"
    sim.unpause()
    sim.crash()
    assert repr(controller) == "<Controller controller-0 stopped, 0 at work>"


def test_workers_that_come_while_the_controller_is_down_are_there_when_it_is_back():
    policy = wfsim.Policy(workers=1)
    sim = wfsim.Simulation(scenario(take(10), names=names(3), policy=policy))
    sim.run(until=5)
    sim.crash()
    sim.plane.resize("workers", 3)
    sim.restart()
    sim.run()
    assert starts(sim.log) == [(0, "db-00"), (5, "db-00"), (5, "db-01"), (5, "db-02")]
