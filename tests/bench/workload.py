"""Workload W: instances of a seven-step flow, by wfsim and by hand on raw SimPy.

Steps are exponential with mean 5 s; each attempt fails with p = 0.05 and is tried
again 10 s later, three times at most; arrivals are Poisson, one a second on average.
What comes out is a DataFrame with a row for each attempt.  The theory says that an
instance takes 7 * (5 * 1.052625 + 10 * 0.052625) = 40.525 s on average.

In the variant ``queue`` an attempt holds one of 50 places meanwhile.
"""

from __future__ import annotations

import math
import random
from collections import deque
from functools import partial

import pandas as pd
import simpy

import wfsim

STEPS = tuple(f"S{index}" for index in range(7))
P, MEAN, DELAY, RETRIES, PLACES = 0.05, 5.0, 10.0, 3, 50
THEORY = 7 * (MEAN * (1 + P + P**2 + P**3) + DELAY * (P + P**2 + P**3))


def arrivals(instances, seed):
    stream, time = random.Random(seed), 0.0
    for _ in range(instances):
        time += stream.expovariate(1.0)
        yield time


def by_hand(instances, seed, queue=False):
    """Return the rows that a careful SimPy user would write down."""
    environment = simpy.Environment()
    stream = random.Random(seed + 1)
    places = simpy.Resource(environment, PLACES)
    rows = []

    def plain(name, arrival):
        yield environment.timeout(arrival)
        for step in STEPS:
            for attempt in range(1, RETRIES + 2):
                start = environment.now
                yield environment.timeout(stream.expovariate(1.0 / MEAN))
                failed = stream.random() < P
                rows.append((name, step, attempt, start, environment.now, failed))
                if not failed:
                    break
                yield environment.timeout(DELAY)

    def queued(name, arrival):
        yield environment.timeout(arrival)
        for step in STEPS:
            for attempt in range(1, RETRIES + 2):
                start = environment.now
                with places.request() as place:
                    yield place
                    yield environment.timeout(stream.expovariate(1.0 / MEAN))
                failed = stream.random() < P
                rows.append((name, step, attempt, start, environment.now, failed))
                if not failed:
                    break
                yield environment.timeout(DELAY)

    instance = queued if queue else plain
    for index, arrival in enumerate(arrivals(instances, seed)):
        environment.process(instance(f"r{index}", arrival))
    environment.run()
    columns = ["run", "step", "attempt", "start", "end", "failed"]
    return pd.DataFrame(rows, columns=columns)


class Places(wfsim.World):
    """Places that are counted, first come, first served: as lean as a pool can be."""

    def __init__(self):
        super().__init__()
        self.free = PLACES
        self._queue = deque()

    def take(self):
        if self.free:
            self.free -= 1
            return
        event = self.clock.event()
        self._queue.append(event)
        yield event

    def give_back(self):
        if self._queue:
            self._queue.popleft().succeed()
        else:
            self.free += 1


def step(name):
    def body(context):
        yield context.clock.timeout(-MEAN * math.log1p(-context.draw("duration")))
        if context.draw("failure") < P:
            raise wfsim.StepFailed("by chance")

    body.__name__ = name
    return body


def queued_step(name):
    def body(context):
        yield from context.world.take()
        yield context.clock.timeout(-MEAN * math.log1p(-context.draw("duration")))
        context.world.give_back()
        if context.draw("failure") < P:
            raise wfsim.StepFailed("by chance")

    body.__name__ = name
    return body


def scenario(queue=False):
    """Return the flow on one resource; the others arrive in the course of time."""
    flow = wfsim.Flow(
        "W",
        tuple(map(wfsim.Step, STEPS)),
        retry=wfsim.Retry(limit=RETRIES, delay=DELAY),
    )
    machine = wfsim.StateMachine("w").stable("Running", "Interrupt")
    machine.unstable("Creating", run="W")
    return wfsim.Scenario(
        [wfsim.Resource("w", "first")],
        machine,
        [flow],
        map(queued_step if queue else step, STEPS),
        world=Places,
        policy=wfsim.Policy(workers=10**9),
    )


def simulation(instances, seed, faults=(), queue=False):
    """Return a simulation at second 0, its instances still to arrive."""
    made = wfsim.Simulation(scenario(queue), seed=seed, faults=faults)
    made.step()
    for index, arrival in enumerate(arrivals(instances - 1, seed)):
        resource = wfsim.Resource("w", f"r{index}")
        made.clock.call(arrival, partial(made.create, resource))
    return made


def by_wfsim(instances, seed, queue=False):
    """Return the attempts, everything on: mementos, log, cancel checks, leases, faults.

    The faults are armed and never fire: each write of a controller is counted.
    """
    faults = [wfsim.FailSave(write=10**9), wfsim.FailStep("S3", resource="nobody")]
    return wfsim.tables.steps(simulation(instances, seed, faults, queue).run())


def latencies(frame):
    """Return how long each instance took, from its first start to its last end."""
    names = "resource" if "resource" in frame else "run"
    grouped = frame.groupby(names, observed=True)
    return grouped["end"].max() - grouped["start"].min()
