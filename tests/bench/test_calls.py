"""The gate: how many calls a step costs.  Calls are counted, so the figure is exact."""

from __future__ import annotations

import cProfile
import gc
import pstats

import simpy

import wfsim
from tests.bench import workload

BUDGET = 75
STEPS = tuple(f"S{index}" for index in range(7))


def calls(work):
    profile = cProfile.Profile()
    # Hypothesis listens to the garbage collector, and its listener would be counted.
    gc.disable()
    try:
        profile.runcall(work)
    finally:
        gc.enable()
    return pstats.Stats(profile).total_calls


def raw(instances):
    environment = simpy.Environment()

    def run():
        for _ in STEPS:
            yield environment.timeout(5.0)

    for _ in range(instances):
        environment.process(run())
    environment.run()


def engine(instances):
    def body(name):
        def step(context):
            yield from context.sleep(5.0)

        step.__name__ = name
        return step

    flow = wfsim.Flow("W", tuple(map(wfsim.Step, STEPS)))
    machine = wfsim.StateMachine("w").stable("Running", "Interrupt")
    scenario = wfsim.Scenario(
        [wfsim.Resource("w", f"r{index}") for index in range(instances)],
        machine.unstable("Creating", run="W"),
        [flow],
        map(body, STEPS),
    )
    simulation = wfsim.Simulation(scenario)
    simulation.step()
    return simulation


def test_a_step_costs_no_more_calls_than_its_budget(capsys):
    instances = 100
    per_raw = calls(lambda: raw(instances)) / (instances * len(STEPS))
    per_step = calls(engine(instances).run) / (instances * len(STEPS))
    with capsys.disabled():
        print(f"\ncalls a step: {per_step:.1f} (raw {per_raw:.1f}, budget {BUDGET})")
    assert per_step <= BUDGET


def test_a_step_costs_as_many_calls_among_ten_times_as_many():
    few, many = (
        calls(workload.simulation(instances, seed=1).run) / instances
        for instances in (100, 1000)
    )
    assert many <= few * 1.05
