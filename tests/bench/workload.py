"""Workload W: instances of a seven-step flow, as a scenario (`queueing` has programs).

Steps are exponential with mean 5 s; each attempt fails with p = 0.05 and is tried
again 10 s later, three times at most; arrivals are Poisson, one a second on average.
The theory says that an instance takes 7 * (5 * 1.052625 + 10 * 0.052625) = 40.525 s on
average.
"""

from __future__ import annotations

import math
import random
from functools import partial

import wfsim
from wfsim.errors import StepFailed

STEPS = tuple(f"S{index}" for index in range(7))
P, MEAN, DELAY, RETRIES = 0.05, 5.0, 10.0, 3
THEORY = 7 * (MEAN * (1 + P + P**2 + P**3) + DELAY * (P + P**2 + P**3))


def arrivals(instances, seed):
    stream, time = random.Random(seed), 0.0
    for _ in range(instances):
        time += stream.expovariate(1.0)
        yield time


def step(name):
    def body(context):
        yield context.clock.timeout(-MEAN * math.log1p(-context.draw("duration")))
        if context.draw("failure") < P:
            raise StepFailed("by chance")

    body.__name__ = name
    return body


def scenario():
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
        map(step, STEPS),
        policy=wfsim.Policy(workers=10**9),
    )


def simulation(instances, seed, faults=()):
    """Return a simulation at second 0, its instances still to arrive."""
    made = wfsim.Simulation(scenario(), seed=seed, faults=faults)
    made.step()
    for index, arrival in enumerate(arrivals(instances - 1, seed)):
        resource = wfsim.Resource("w", f"r{index}")
        made.clock.call(arrival, partial(made.create, resource))
    return made


def latencies(frame):
    """Return how long each instance took, from its first start to its last end."""
    names = "resource" if "resource" in frame else "run"
    grouped = frame.groupby(names, observed=True)
    return grouped["end"].max() - grouped["start"].min()
