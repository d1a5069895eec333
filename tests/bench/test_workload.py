"""What it costs, against raw SimPy in the same run; means and memory are checked."""

from __future__ import annotations

import gc
import time
from functools import partial
from statistics import median

import pytest

import wfsim
from fake_resources import polardb
from tests.bench import memory, parts, queueing, workload
from tests.sizes import FULL

ROUNDS = 7 if FULL else 2
MANY = 1000 if FULL else 250
DAY = 86_400.0


def timed(work, *args):
    """Return what *work* returns and its CPU seconds.

    What other tests have left behind is kept from the collector, which would have to
    look through it during the measurement: it made raw SimPy ten times slower.
    """
    gc.collect()
    gc.freeze()
    try:
        began = time.process_time()
        result = work(*args)
        return result, time.process_time() - began
    finally:
        gc.unfreeze()


def compared(instances, *works):
    """Return the outcomes of *works* and the least CPU seconds of each in some rounds.

    They take turns, so that what else the machine does is no one's advantage.
    """
    for work in works:
        work(100, 1)
    rounds = [[timed(work, instances, 1) for work in works] for _ in range(ROUNDS)]
    seconds = [[taken for _, taken in each] for each in rounds]
    outcomes = [found for found, _ in rounds[0]]
    return outcomes, [min(each) for each in zip(*seconds, strict=True)]


def told(name, instances, seconds, hand):
    scale = 1e6 / (instances * len(workload.STEPS))
    return (
        f"\n{name}, {instances} instances: {seconds / hand:.2f} times raw SimPy "
        f"({seconds * scale:.1f} against {hand * scale:.1f} us a step)"
    )


@pytest.mark.parametrize(
    ("instances", "servers"),
    [(MANY, None), (MANY, queueing.SERVERS), *([(10_000, None)] if FULL else [])],
)
def test_the_engine_gives_the_same_latencies_as_simpy_by_hand(instances, servers, capsys):
    programs = (queueing.by_hand, parts.by_parts, queueing.by_wfsim)
    works = [partial(program, servers=servers) for program in programs]
    outcomes, (hand, made_of, engine) = compared(instances, *works)
    for found in outcomes:
        queueing.check(found, instances, servers)
    kind = "W with a pool" if servers else "W plain"
    with capsys.disabled():
        print(told(kind, instances, engine, hand))
        print(told(f"what {kind} is made of, by hand", instances, made_of, hand))


def per_second(work, times):
    """Return how often *work* is done in a CPU second: the best of some rounds."""
    work(0)
    return max(
        times / timed(lambda: [work(number) for number in range(times)])[1]
        for _ in range(ROUNDS)
    )


SCENARIOS = {"seven steps": workload.scenario(), "PolarDB": polardb.scenario(replicas=2)}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_fresh_world_and_a_crash_cost_little(name, capsys):
    scenario = SCENARIOS[name]
    crashes = [wfsim.CrashAt(write=write, restart_after=5) for write in range(1, 17)]

    def fresh(seed):
        return wfsim.simulate(scenario, seed=seed)

    def crash(number):
        return wfsim.simulate(scenario, [crashes[number % len(crashes)]], seed=1)

    # Checked apart: to look at every record takes as long as to make them.
    for number in range(len(crashes)):
        for log, died in ((fresh(number), 0), (crash(number), 1)):
            assert len(log.filter(wfsim.Kind.CONTROLLER_CRASHED)) == died
            assert log.records[-1].text.endswith("-> Running")
    with capsys.disabled():
        print(f"\n{name}, fresh worlds: {per_second(fresh, MANY // 25):.0f} a second")
        recoveries = per_second(crash, MANY // 25)
        print(f"{name}, crash at a write and recover: {recoveries:.0f} a second")


def test_ten_steps_that_wait_for_a_day_are_over_at_once(capsys):
    def body(name):
        def step(context):
            yield from context.sleep(DAY)

        step.__name__ = name
        return step

    names = [f"Wait{number}" for number in range(10)]
    machine = wfsim.StateMachine("w").stable("Running", "Interrupt")
    scenario = wfsim.Scenario(
        [wfsim.Resource("w", "w-0")],
        machine.unstable("Creating", run="Wait"),
        [wfsim.Flow("Wait", tuple(map(wfsim.Step, names)))],
        map(body, names),
        horizon=20 * DAY,
    )
    wfsim.simulate(scenario)
    runs = [timed(wfsim.simulate, scenario) for _ in range(5)]
    assert {log.records[-1].time for log, _ in runs} == {10 * DAY}
    milliseconds = median(seconds for _, seconds in runs) * 1e3
    with capsys.disabled():
        print(f"\nten steps with ten one-day waits: {milliseconds:.2f} ms")
    assert milliseconds < 84  # ten times the aim, for the slowest of machines


def test_a_step_that_is_recorded_takes_at_most_600_bytes(capsys):
    each = memory.of_a_step(10_000 if FULL else 1000)
    with capsys.disabled():
        print(f"\nmemory, log and mementos: {each:.0f} bytes a step")
    assert each <= 600


def test_a_step_takes_as_long_among_ten_times_as_many(capsys):
    sizes = (143, 1429, 14_286, 142_857) if FULL else (143, 1429)
    costs = []
    for instances in sizes:
        rounds = 1 if instances > 20_000 else ROUNDS
        simulations = [workload.simulation(instances, seed=1) for _ in range(rounds)]
        seconds = min(timed(each.run)[1] for each in simulations)
        costs.append(seconds / (instances * len(workload.STEPS)) * 1e6)
    with capsys.disabled():
        listed = ", ".join(f"{cost:.1f}" for cost in costs)
        print(f"\nus a step among {', '.join(str(7 * size) for size in sizes)}: {listed}")
    # The calls are what is asserted exactly (test_calls.py); time is only for show.
    assert costs[-1] < 3 * costs[0]
