"""A counting pool: who waits, who goes first, and what an attempt gives back."""

from __future__ import annotations

import re

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

import wfsim
from wfsim import Kind, Pool, UsageError
from wfsim.sim.draws import KeyedDraws


class Site(wfsim.World):
    def __init__(self, capacity=1):
        super().__init__()
        self.uplink = Pool(capacity)


def on_a_clock(capacity=1):
    site = Site(capacity)
    clock = wfsim.clock.VirtualClock()
    site.attach(clock, KeyedDraws(0))
    return clock, site.uplink


def user(clock, pool, log, name, seconds, **how):
    def process():
        with (yield from pool.acquire(**how)):
            log.append((clock.now, name))
            yield clock.timeout(seconds)

    return clock.process(process())


def run(clock):
    while clock.peek() < float("inf"):
        clock.step()


def test_who_finds_no_place_waits_and_goes_in_the_order_of_coming():
    clock, pool = on_a_clock(2)
    log = []
    for name in "abcde":
        user(clock, pool, log, name, 10.0)
    run(clock)
    assert log == [(0.0, "a"), (0.0, "b"), (10.0, "c"), (10.0, "d"), (20.0, "e")]
    assert repr(pool) == "<Pool uplink 0/2, queue 0>"


def test_a_lower_priority_goes_first_among_those_who_wait():
    clock, pool = on_a_clock()
    log = []
    for name, priority in (("first", 9), ("late", 5), ("urgent", 1), ("late too", 5)):
        user(clock, pool, log, name, 10.0, priority=priority)
    run(clock)
    assert log == [(0.0, "first"), (10.0, "urgent"), (20.0, "late"), (30.0, "late too")]


def test_nobody_overtakes_one_who_wants_more():
    clock, pool = on_a_clock(3)
    log = []
    user(clock, pool, log, "two", 10.0, amount=2)
    user(clock, pool, log, "three", 10.0, amount=3)
    user(clock, pool, log, "one", 10.0)
    run(clock)
    assert log == [(0.0, "two"), (10.0, "three"), (20.0, "one")]


def test_whoever_leaves_the_line_lets_those_behind_have_what_is_free():
    clock, pool = on_a_clock(3)
    log = []
    user(clock, pool, log, "two", 10.0, amount=2)
    greedy = user(clock, pool, log, "three", 10.0, amount=3)
    user(clock, pool, log, "one", 10.0)
    clock.call(4.0, lambda: clock.throw(greedy, wfsim.errors.Killed()))
    with pytest.raises(wfsim.errors.Killed):
        run(clock)
    run(clock)
    assert log == [(0.0, "two"), (4.0, "one")]
    assert str(pool) == "uplink 0/3, queue 0"


def test_who_dies_in_the_instant_of_its_turn_gives_the_place_to_the_next():
    clock, pool = on_a_clock()
    log = []
    user(clock, pool, log, "a", 10.0)
    dying = user(clock, pool, log, "b", 10.0)
    user(clock, pool, log, "c", 10.0)
    clock.call(10.0, lambda: clock.call(0.0, lambda: None))
    while clock.now < 10.0 or pool.queue == 2:
        clock.step()
    assert str(pool) == "uplink 1/1, queue 1"
    clock.throw(dying, wfsim.errors.Killed())
    with pytest.raises(wfsim.errors.Killed):
        run(clock)
    run(clock)
    assert log == [(0.0, "a"), (10.0, "c")]
    assert str(pool) == "uplink 0/1, queue 0"


def test_what_there_will_never_be_is_refused():
    _, pool = on_a_clock(2)
    for amount in (0, -1, 3):
        with pytest.raises(UsageError, match=f"{amount} of 'uplink'; it has 2 places"):
            next(pool.acquire(amount))
    with pytest.raises(UsageError, match="uplink: released 1, but only 0 are held"):
        pool.release()
    for capacity in (0, True, 2.0, "2", None):
        with pytest.raises(UsageError, match="give a whole number from 1 on"):
            Pool(capacity)


def test_nobody_waits_in_a_pool_without_a_world():
    pool = Pool(1, "loose")
    with pytest.raises(StopIteration):
        next(pool.acquire())
    with pytest.raises(UsageError, match="<Pool loose 1/1, queue 0> is in no world"):
        next(pool.acquire())


def test_a_claim_is_given_back_once():
    _, pool = on_a_clock(2)
    with pytest.raises(StopIteration) as taken:
        next(pool.acquire(2))
    claim = taken.value.value
    assert pool.held == 2
    claim.release()
    claim.release()
    assert pool.held == 0


def test_a_copy_of_a_world_has_its_pool_empty_and_apart():
    clock = wfsim.clock.VirtualClock()
    site = Site()
    site.attach(clock, KeyedDraws(0))
    user(clock, site.uplink, [], "a", 10.0)
    user(clock, site.uplink, [], "b", 10.0)
    clock.step()
    clock.step()
    twin = site.copy()
    assert str(site.uplink) == "uplink 1/1, queue 1"
    assert str(twin.uplink) == "uplink 0/1, queue 0"
    assert site.state() == {"uplink": Pool(1)} != {"uplink": Pool(2)}


def test_pools_in_a_mapping_are_called_by_their_keys():
    class Sites(wfsim.World):
        def __init__(self):
            super().__init__()
            self.links = {"north": Pool(1), "south": Pool(2), "none": None}

    sites = Sites()
    sites.attach(wfsim.clock.VirtualClock(), KeyedDraws(0))
    assert list(map(str, sites.links.values())) == [
        "north 0/1, queue 0",
        "south 0/2, queue 0",
        "None",
    ]


JOBS = st.lists(
    st.tuples(
        st.integers(0, 20), st.integers(1, 9), st.integers(0, 3), st.integers(1, 3)
    ),
    max_size=12,
)
unhurried = settings(deadline=None, derandomize=True, max_examples=150)


@unhurried
@given(jobs=JOBS, capacity=st.integers(1, 4))
def test_everybody_is_served_when_a_priority_resource_of_simpy_would(jobs, capacity):
    clock, pool = on_a_clock(capacity)
    theirs = simpy.PriorityResource(clock, capacity)
    got, expected = [], []

    def ours(number, come, stay, priority):
        yield clock.timeout(come)
        with (yield from pool.acquire(priority=priority)):
            got.append((number, clock.now))
            yield clock.timeout(stay)

    def simpys(number, come, stay, priority):
        yield clock.timeout(come)
        with theirs.request(priority) as turn:
            yield turn
            expected.append((number, clock.now))
            yield clock.timeout(stay)

    for number, (come, stay, priority, _) in enumerate(jobs):
        clock.process(ours(number, come, stay, priority))
        clock.process(simpys(number, come, stay, priority))
    run(clock)
    assert sorted(got) == sorted(expected)
    assert str(pool) == f"uplink 0/{capacity}, queue 0"


@unhurried
@given(jobs=JOBS, kills=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 11))))
def test_whoever_dies_whenever_nothing_is_lost_and_nothing_given_twice(jobs, kills):
    clock, pool = on_a_clock(3)
    inside = {}
    alive = []

    def job(number, come, stay, priority, amount):
        try:
            yield clock.timeout(come)
            with (yield from pool.acquire(amount, priority)):
                inside[number] = amount
                try:
                    yield clock.timeout(stay)
                finally:
                    del inside[number]
        except wfsim.errors.Killed:
            return

    for number, each in enumerate(jobs):
        alive.append(clock.process(job(number, *each)))
    for time, victim in kills:
        if victim < len(alive):
            clock.call(
                time, lambda it=alive[victim]: clock.throw(it, wfsim.errors.Killed())
            )
    while clock.peek() < float("inf"):
        clock.step()
        held, queue = map(int, re.findall(r" (\d+)", str(pool).replace("/3,", "")))
        assert sum(inside.values()) <= held <= 3
        assert queue == pool.queue >= 0
    assert (pool.held, pool.queue, inside) == (0, 0, {})


@wfsim.step
def Copy(ctx):
    yield from ctx.world.uplink.hold(ctx, 10.0)


@wfsim.step("Copy")
async def AsyncCopy(ctx):
    with await ctx.world.uplink.acquire():
        await ctx.sleep(10.0)


def clusters(count, timeout=None, body=Copy, counts=False):
    step = wfsim.Step("Copy", timeout=timeout, timeout_counts_queue=counts)
    return wfsim.Scenario(
        [wfsim.Resource("db", f"r{number}") for number in range(count)],
        wfsim.StateMachine("db")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="Backup"),
        [wfsim.Flow("Backup", (step,))],
        [body],
        world=Site,
    )


def changes(log):
    return [
        (record.time, record.text) for record in log if record.kind is Kind.POOL_CHANGED
    ]


@pytest.mark.parametrize("body", [Copy, AsyncCopy])
def test_every_change_is_a_record(body):
    log = wfsim.simulate(clusters(3, body=body))
    assert changes(log) == [
        (0.0, "uplink 1/1, queue 0"),
        (0.0, "uplink 1/1, queue 1"),
        (0.0, "uplink 1/1, queue 2"),
        (10.0, "uplink 1/1, queue 1"),
        (20.0, "uplink 1/1, queue 0"),
        (30.0, "uplink 0/1, queue 0"),
    ]
    assert all(row.state == "Running" for row in log.fold().resources.values())


def test_a_log_with_pools_is_read_back_as_it_was_written(tmp_path):
    log = wfsim.simulate(clusters(2))
    again = wfsim.EventLog.from_jsonl(log.to_jsonl(tmp_path / "log.jsonl"))
    assert again.digest() == log.digest()


def test_an_attempt_that_times_out_leaves_the_line_or_gives_back_what_it_holds():
    log = wfsim.simulate(clusters(2, timeout=4.0, counts=True), until=6.0)
    assert changes(log) == [
        (0.0, "uplink 1/1, queue 0"),
        (0.0, "uplink 1/1, queue 1"),
        (4.0, "uplink 1/1, queue 0"),
        (4.0, "uplink 0/1, queue 0"),
        (5.0, "uplink 1/1, queue 0"),
        (5.0, "uplink 1/1, queue 1"),
    ]


def test_the_time_in_the_line_is_none_of_the_time_that_an_attempt_has():
    log = wfsim.simulate(clusters(2, timeout=4.0), until=9.5)
    assert changes(log) == [
        (0.0, "uplink 1/1, queue 0"),
        (0.0, "uplink 1/1, queue 1"),
        (4.0, "uplink 1/1, queue 0"),  # the second has 4 s from now on
        (5.0, "uplink 1/1, queue 1"),
        (8.0, "uplink 1/1, queue 0"),
        (9.0, "uplink 1/1, queue 1"),
    ]


def test_a_cancelled_attempt_leaves_the_line():
    sim = wfsim.Simulation(clusters(3))
    sim.run(until=2.0)
    sim.cancel("r1")
    sim.run()
    assert changes(sim.log)[3:] == [
        (5.0, "uplink 1/1, queue 1"),
        (10.0, "uplink 1/1, queue 0"),
        (20.0, "uplink 0/1, queue 0"),
    ]


def test_a_crash_frees_what_the_attempts_of_the_controller_held():
    sim = wfsim.Simulation(clusters(2), faults=[wfsim.CrashAt(t=3, restart_after=4)])
    sim.run()
    assert changes(sim.log) == [
        (0.0, "uplink 1/1, queue 0"),
        (0.0, "uplink 1/1, queue 1"),
        (3.0, "uplink 1/1, queue 0"),
        (3.0, "uplink 0/1, queue 0"),
        (7.0, "uplink 1/1, queue 0"),
        (7.0, "uplink 1/1, queue 1"),
        (17.0, "uplink 1/1, queue 0"),
        (27.0, "uplink 0/1, queue 0"),
    ]
    assert sim.world.uplink == Pool(1)


def test_a_controller_that_stands_still_keeps_its_place():
    pause = wfsim.PauseController(t=3, for_=12)
    log = wfsim.simulate(clusters(1), [pause])
    assert changes(log) == [
        (0.0, "uplink 1/1, queue 0"),
        (15.0, "uplink 0/1, queue 0"),
    ]


def test_a_fork_comes_to_the_same_line():
    sim = wfsim.Simulation(clusters(3))
    sim.run(until=12.0)
    twin = sim.fork()
    assert str(twin.world.uplink) == str(sim.world.uplink) == "uplink 1/1, queue 1"
    assert twin.run().digest() == sim.run().digest()


def test_a_pool_is_empty_when_a_file_is_opened_again(tmp_path):
    first = wfsim.Simulation(clusters(3), db=tmp_path / "s.db")
    first.run(until=12.0)
    assert str(first.world.uplink) == "uplink 1/1, queue 1"
    second = wfsim.Simulation(clusters(3), db=tmp_path / "s.db")
    assert changes(second.run()) == [
        (10.0, "uplink 1/1, queue 0"),
        (10.0, "uplink 1/1, queue 1"),
        (20.0, "uplink 1/1, queue 0"),
        (30.0, "uplink 0/1, queue 0"),
    ]
