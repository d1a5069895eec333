"""Both clocks: throwing into a process, calling back, holding a process still."""

from __future__ import annotations

import pytest
import simpy.rt

import wfsim
import wfsim.sim.clock
from wfsim.errors import Cancelled, Interrupted, Killed, TimedOut, UsageError
from wfsim.sim.clock import VirtualClock, WallClock


class Wall:
    """Real time that passes only while somebody sleeps."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def wall(monkeypatch):
    wall = Wall()
    monkeypatch.setattr(simpy.rt, "monotonic", wall.monotonic)
    monkeypatch.setattr(simpy.rt, "sleep", wall.sleep)
    monkeypatch.setattr(wfsim.sim.clock, "monotonic", wall.monotonic)
    return wall


@pytest.fixture(params=[VirtualClock, WallClock])
def clock(request, wall):
    return request.param()


class Walker:
    """Waits for one thing after another and writes down when it could go on."""

    def __init__(self, clock, *waits):
        self.log = []
        self.clock = clock
        self.process = clock.process(self.walk(waits))

    def walk(self, waits):
        try:
            for wait in waits:
                event = wait if hasattr(wait, "callbacks") else self.clock.timeout(wait)
                try:
                    value = yield event
                except Exception as error:
                    value = repr(error)
                self.log.append((self.clock.now, value))
        except BaseException as error:
            self.log.append((self.clock.now, type(error).__name__))


def throw_at(walker):
    return lambda: walker.clock.throw(walker.process, Killed())


def test_time_is_a_float_from_the_start(clock):
    assert isinstance(clock.now, float)
    Walker(clock, 3)
    clock.run()
    assert (clock.now, type(clock.now)) == (3.0, float)


def test_a_thrown_exception_arrives_where_the_process_waits(clock):
    walker = Walker(clock, 1, 100)
    clock.call(2, lambda: clock.throw(walker.process, Cancelled()))
    clock.run(until=3)
    assert walker.log == [(1, None), (2, "Cancelled")]


@pytest.mark.parametrize(
    "thrown", [Cancelled(), Killed(), TimedOut(3.0, True), Interrupted("A", "b")]
)
def test_a_thrown_exception_keeps_its_arguments(thrown):
    clock = VirtualClock()
    caught = []

    def wait():
        try:
            yield clock.event()
        except BaseException as error:
            caught.append(error)

    process = clock.process(wait())
    clock.call(1, lambda: clock.throw(process, thrown))
    clock.run()
    assert [(type(error), error.args) for error in caught] == [
        (type(thrown), thrown.args)
    ]


def test_a_finished_process_is_left_alone(clock):
    walker = Walker(clock, 1)
    clock.call(2, lambda: clock.throw(walker.process, Killed()))
    clock.run()
    assert walker.log == [(1, None)]


def test_a_process_that_throws_at_itself_raises_at_once(clock):
    log = []

    def suicidal():
        yield clock.timeout(1)
        try:
            clock.throw(clock.active_process, Killed())
        except Killed:
            log.append(clock.now)

    clock.process(suicidal())
    clock.run()
    assert log == [1]


def test_two_exceptions_at_one_time_arrive_one_after_the_other(clock):
    log = []

    def stubborn():
        for _ in range(2):
            try:
                yield clock.event()
            except BaseException as error:
                log.append((clock.now, type(error).__name__))

    process = clock.process(stubborn())

    def both():
        clock.throw(process, Cancelled())
        clock.throw(process, Killed())

    clock.call(1, both)
    clock.run()
    assert log == [(1, "Cancelled"), (1, "Killed")]


def test_calls_happen_in_order_of_time_and_then_of_asking(clock):
    log = []
    for name, delay in (("late", 2), ("first", 1), ("second", 1), ("now", 0)):
        clock.call(delay, lambda name=name: log.append((clock.now, name)))
    clock.run()
    assert log == [(0, "now"), (1, "first"), (1, "second"), (2, "late")]


def test_a_held_process_learns_on_release_of_what_it_waited_for(clock):
    walker = Walker(clock, clock.timeout(2, "two"), 1)
    clock.call(1, lambda: clock.call(4, clock.hold(walker.process)))
    clock.run()
    assert walker.log == [(5, "two"), (6, None)]


def test_a_process_held_and_released_before_its_event_notices_nothing(clock):
    walker = Walker(clock, 4, 1)
    clock.call(1, lambda: clock.call(2, clock.hold(walker.process)))
    clock.run()
    assert walker.log == [(4, None), (5, None)]


def test_a_process_held_again_and_again_still_takes_every_step(clock):
    walker = Walker(clock, 2, 2, 2)
    for start in (1, 4, 7):
        clock.call(start, lambda: clock.call(1.5, clock.hold(walker.process)))
    clock.run()
    assert walker.log == [(2.5, None), (5.5, None), (8.5, None)]


def test_others_who_wait_for_the_same_event_go_on_in_time(clock):
    event = clock.event()
    held, free = Walker(clock, event), Walker(clock, event)
    clock.call(1, lambda: clock.call(4, clock.hold(held.process)))
    clock.call(2, lambda: event.succeed("news"))
    clock.run()
    assert free.log == [(2, "news")]
    assert held.log == [(5, "news")]


def test_a_failure_that_only_a_held_process_waits_for_reaches_it_on_release(clock):
    event = clock.event()
    walker = Walker(clock, event, 1)
    clock.call(1, lambda: clock.call(4, clock.hold(walker.process)))
    clock.call(2, lambda: event.fail(ValueError("lost")))
    clock.run()
    assert walker.log == [(5, "ValueError('lost')"), (6, None)]


def test_a_process_held_before_it_began_begins_on_release(clock):
    walker = Walker(clock, 1)
    clock.call(4, clock.hold(walker.process))
    clock.run()
    assert walker.log == [(5, None)]


@pytest.mark.parametrize("held", [True, False], ids=["held", "released"])
def test_a_process_held_before_it_began_begins_before_anything_is_thrown_at_it(
    clock, held
):
    walker = Walker(clock, 1)
    first = clock.hold(walker.process)

    def hold_again():
        first()
        release = clock.hold(walker.process)
        throw = throw_at(walker)
        for action in [throw, release] if held else [release, throw]:
            clock.call(2, action)

    clock.call(2, hold_again)
    clock.run()
    assert walker.log == [(4, "Killed")]


@pytest.mark.parametrize("waits_for", [3, 100], ids=["missed", "pending"])
def test_what_is_thrown_at_a_held_process_arrives_on_release_before_all_else(
    clock, waits_for
):
    walker = Walker(clock, waits_for, 1)
    clock.call(1, lambda: clock.call(5, clock.hold(walker.process)))
    clock.call(2, lambda: clock.throw(walker.process, Cancelled()))
    clock.run(until=10)
    assert walker.log == [(6, "Cancelled")]


def test_what_was_thrown_at_a_process_just_before_it_was_held_arrives_on_release(clock):
    walker = Walker(clock, 100)

    def act():
        clock.throw(walker.process, Cancelled())
        clock.call(3, clock.hold(walker.process))

    clock.call(1, act)
    clock.run(until=10)
    assert walker.log == [(4, "Cancelled")]


def test_of_what_is_thrown_at_a_held_process_the_last_one_counts(clock):
    walker = Walker(clock, 100)
    clock.call(1, lambda: clock.call(5, clock.hold(walker.process)))
    clock.call(2, lambda: clock.throw(walker.process, Cancelled()))
    clock.call(3, lambda: clock.throw(walker.process, Killed()))
    clock.run(until=10)
    assert walker.log == [(6, "Killed")]


@pytest.mark.parametrize("event_at", [3, 50], ids=["missed", "pending"])
def test_a_process_can_be_killed_right_after_its_release(clock, event_at):
    walker = Walker(clock, event_at)
    release = []
    clock.call(1, lambda: release.append(clock.hold(walker.process)))

    def end():
        release[0]()
        clock.throw(walker.process, Killed())

    clock.call(5, end)
    clock.run(until=60)
    assert walker.log == [(5, "Killed")]


def test_a_second_release_does_nothing(clock):
    walker = Walker(clock, 2, 100)
    release = []
    clock.call(1, lambda: release.append(clock.hold(walker.process)))
    clock.call(5, lambda: (release[0](), release[0]()))
    clock.run(until=20)
    assert walker.log == [(5, None)]


def test_holding_a_finished_process_changes_nothing(clock):
    walker = Walker(clock, 1)
    clock.run()
    clock.hold(walker.process)()
    assert walker.log == [(1, None)]


def test_a_process_cannot_be_held_twice(clock):
    walker = Walker(clock, 5)
    clock.hold(walker.process)
    with pytest.raises(UsageError, match="held already"):
        clock.hold(walker.process)


def test_a_process_cannot_be_held_by_itself(clock):
    raised = []

    def proud():
        yield clock.timeout(1)
        try:
            clock.hold(clock.active_process)
        except UsageError as error:
            raised.append(str(error))

    clock.process(proud())
    clock.run()
    assert [text.partition("; ")[2] for text in raised] == [
        "it can be held where it waits only"
    ]


def test_a_second_of_a_wall_clock_takes_as_long_as_its_factor_says(wall):
    clock = WallClock(factor=0.5)
    Walker(clock, 2, 5)
    clock.run()
    assert (clock.now, wall.now) == (7, 1003.5)


def test_a_virtual_clock_takes_no_time(wall):
    clock = VirtualClock()
    Walker(clock, 2, 5)
    clock.run()
    clock.sync()
    assert (clock.now, wall.now) == (7, 1000)


def test_a_wall_clock_makes_up_for_lost_time_unless_it_is_synchronised(wall):
    ends = []
    for synchronised in (False, True):
        clock = WallClock()
        began = wall.now
        Walker(clock, 2, 5)
        clock.run(until=2)
        wall.now += 3
        if synchronised:
            clock.sync()
        clock.run()
        ends.append((clock.now, wall.now - began))
    assert ends == [(7, 7), (7, 10)]


def test_a_simulation_on_a_wall_clock_does_not_hurry_after_a_break(wall):
    simulation = wfsim.Simulation(one_step_of(10.0), clock=WallClock(factor=0.5))
    simulation.run(4)
    wall.now += 60
    simulation.run()
    assert (simulation.now, wall.now) == (10, 1000 + 2 + 60 + 3)


def one_step_of(seconds):
    flow = wfsim.Flow("Create", (wfsim.Step("Wait"),))
    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    machine.unstable("Creating", run="Create")

    @wfsim.step("Wait")
    def wait(context):
        yield from context.sleep(seconds)

    return wfsim.Scenario([wfsim.Resource("db", "a")], machine, [flow], [wait])


def run_dry(clock):
    while clock.peek() < float("inf"):
        clock.step()
    return clock.now


def test_a_timer_that_was_called_off_neither_rings_nor_lets_time_run_on_to_it(clock):
    rung = []
    clock.call(900.0, lambda: rung.append("late"))()
    call_off = clock.call(5.0, lambda: rung.append("soon"))
    assert run_dry(clock) == 5.0
    call_off()
    assert rung == ["soon"]


def test_time_does_not_run_on_to_what_a_dead_process_waited_for(clock):
    walker = Walker(clock, 900.0)
    clock.call(3.0, throw_at(walker))
    assert run_dry(clock) == 3.0
    assert walker.log == [(3.0, "Killed")]


def test_what_others_wait_for_too_still_happens(clock):
    shared = clock.timeout(20.0, "both")
    dead, alive = Walker(clock, shared), Walker(clock, shared)
    clock.call(3.0, throw_at(dead))
    assert run_dry(clock) == 20.0
    assert alive.log == [(20.0, "both")]


def test_an_interrupted_run_is_over_when_it_is_interrupted_not_at_its_timeouts():
    def Wait(ctx):
        yield from ctx.sleep(900.0)

    scenario = wfsim.Scenario(
        [wfsim.Resource("db", "orders")],
        wfsim.StateMachine("db")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="Slow"),
        [wfsim.Flow("Slow", (wfsim.Step("Wait", timeout=800.0),))],
        [Wait],
    )
    simulation = wfsim.Simulation(scenario, faults=[wfsim.CancelAt(t=12.0)])
    simulation.run()
    assert simulation.now == 15.0
    assert simulation.resource("orders").state == "Interrupt"


def let_happen(clock):
    while clock.advance(1.0):
        pass


@pytest.mark.parametrize("clock", [VirtualClock, WallClock])
def test_what_a_process_fails_with_comes_out_of_the_clock(clock):
    clock = clock()

    def fail():
        yield clock.timeout(0.0)
        raise UsageError("no good")

    process = clock.process(fail())
    with pytest.raises(UsageError, match="no good"):
        let_happen(clock)
    assert not process.is_alive


@pytest.mark.parametrize("clock", [VirtualClock, WallClock])
def test_who_waits_for_a_process_that_fails_may_take_it(clock):
    clock = clock()
    seen = []

    def fail():
        yield clock.timeout(0.0)
        raise UsageError("no good")

    def wait():
        try:
            yield clock.process(fail())
        except UsageError as error:
            seen.append(str(error))

    clock.process(wait())
    let_happen(clock)
    assert seen == ["no good"]


def test_a_timer_thrown_out_of_and_waited_for_by_another_happens_once():
    clock, log = VirtualClock(), []
    timer = clock.timeout(5.0)

    def wait(name):
        try:
            yield timer
            log.append((name, clock.now))
        except RuntimeError:
            log.append((name, "thrown"))

    first = clock.process(wait("first"))
    clock.process(wait("second"))
    clock.advance_many(1.0, 10)
    clock.throw(first, RuntimeError())
    assert clock.advance_many(100.0, 10) < 10
    assert log == [("first", "thrown"), ("second", 5.0)]
