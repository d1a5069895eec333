"""How many calls a step costs, of raw SimPy and of the engine: a figure that is exact.

``python -m tests.bench.calls`` prints both.
"""

from __future__ import annotations

import cProfile
import gc

import simpy

import wfsim

STEPS = tuple(f"S{index}" for index in range(7))


def calls(work):
    profile = cProfile.Profile()
    profile.runcall(work)
    # Not by pstats, to which functions of one name on one line of "<string>" are one, as
    # the constructors of dataclasses are: it counts any one of them.
    return sum(entry.callcount for entry in profile.getstats())


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


def measure():
    instances = 100
    # Nothing is imported while calls are counted, and no simulation of before is cleared.
    engine(instances).run()
    gc.collect()
    steps = instances * len(STEPS)
    return calls(lambda: raw(instances)) / steps, calls(engine(instances).run) / steps


if __name__ == "__main__":
    print(*measure())
