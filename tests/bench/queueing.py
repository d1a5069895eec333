"""Workload W of `workload`, plain or through a pool, by wfsim and by hand on SimPy.

With *servers*, each attempt holds one of them while it works, and waits for one first
come first served; it holds none while it waits to be tried again.  Every program gives
an `Outcome`: a row for each attempt (it starts when it asks for a server) and the latest
status of each instance.

The theory of the queue: instances arrive as a Poisson stream, all service times are
exponential of one mean, the delay before a retry has a place for everybody.  That is a
network of product form (Baskett, Chandy, Muntz and Palacios, 1975), so an attempt waits
as long as in M/M/c of the same load: Erlang's C over the rate that is left.
"""

from __future__ import annotations

import math
import random
from functools import partial
from typing import NamedTuple

import pandas as pd
import simpy

import wfsim
from tests.bench import workload
from tests.bench.workload import DELAY, MEAN, RETRIES, STEPS, P
from wfsim.errors import StepFailed

SERVERS = 50
FAULTS = (wfsim.FailSave(write=10**9), wfsim.FailStep("S3", resource="first", attempt=99))
COLUMNS = ("run", "step", "attempt", "start", "end", "failed")


class Outcome(NamedTuple):
    attempts: pd.DataFrame
    latest: pd.DataFrame


def outcome(rows, latest):
    return Outcome(
        pd.DataFrame(rows, columns=list(COLUMNS)),
        pd.DataFrame(list(latest.items()), columns=["run", "status"]),
    )


def theory(servers=None):
    """Return the mean latency of an instance in seconds."""
    if servers is None:
        return workload.THEORY
    attempts = len(STEPS) * (1 + P + P**2 + P**3)
    load = attempts * MEAN
    blocked = 1.0
    for place in range(1, servers + 1):
        blocked = load * blocked / (place + load * blocked)
    waits = blocked / (1 - load / servers * (1 - blocked))
    return workload.THEORY + attempts * waits / (servers / MEAN - attempts)


def by_hand(instances, seed, servers=None):
    """Return what a careful SimPy user would write down."""
    environment = simpy.Environment()
    stream = random.Random(seed + 1)
    pool = simpy.Resource(environment, servers) if servers else None
    rows, latest = [], {}

    def attempt(name, step, number):
        start = environment.now
        yield environment.timeout(stream.expovariate(1.0 / MEAN))
        failed = stream.random() < P
        rows.append((name, step, number, start, environment.now, failed))
        return failed

    def queued(name, step, number):
        start = environment.now
        with pool.request() as request:
            yield request
            yield environment.timeout(stream.expovariate(1.0 / MEAN))
        failed = stream.random() < P
        rows.append((name, step, number, start, environment.now, failed))
        return failed

    def instance(name, arrival, tried):
        yield environment.timeout(arrival)
        for step in STEPS:
            latest[name] = step
            for number in range(1, RETRIES + 2):
                if not (yield from tried(name, step, number)):
                    break
                yield environment.timeout(DELAY)
        latest[name] = "completed"

    tried = queued if servers else attempt
    for index, arrival in enumerate(workload.arrivals(instances, seed)):
        environment.process(instance(f"r{index}", arrival, tried))
    environment.run()
    return outcome(rows, latest)


def by_wfsim(instances, seed, servers=None):
    """Return the same, everything on: mementos, log, cancel checks, leases, faults.

    The faults are armed and never fire: each write of a controller is counted.
    """
    made = simulation(instances, seed, servers)
    attempts = wfsim.tables.steps(made.run())
    names = ["first", *(f"r{index}" for index in range(instances - 1))]
    latest = [(name, made.resource(name).state) for name in names]
    return Outcome(attempts, pd.DataFrame(latest, columns=["run", "status"]))


class Site(wfsim.World):
    def __init__(self, servers):
        super().__init__()
        self.servers = wfsim.Pool(servers)


def queued(name):
    def body(context):
        seconds = -MEAN * math.log1p(-context.draw("duration"))
        yield from context.world.servers.hold(context, seconds)
        if context.draw("failure") < P:
            raise StepFailed("by chance")

    body.__name__ = name
    return body


def simulation(instances, seed, servers=None):
    """Return the simulation at second 0, its instances still to arrive."""
    if servers is None:
        return workload.simulation(instances, seed, FAULTS)
    flow = wfsim.Flow(
        "W",
        tuple(map(wfsim.Step, STEPS)),
        retry=wfsim.Retry(limit=RETRIES, delay=DELAY),
    )
    machine = wfsim.StateMachine("w").stable("Running", "Interrupt")
    scenario = wfsim.Scenario(
        [wfsim.Resource("w", "first")],
        machine.unstable("Creating", run="W"),
        [flow],
        map(queued, STEPS),
        policy=wfsim.Policy(workers=10**9),
        world=partial(Site, servers),
    )
    made = wfsim.Simulation(scenario, seed=seed, faults=FAULTS)
    made.step()
    for index, arrival in enumerate(workload.arrivals(instances - 1, seed)):
        resource = wfsim.Resource("w", f"r{index}")
        made.clock.call(arrival, partial(made.create, resource))
    return made


def interval(found):
    """Return the mean latency and the half-width of its 99.7 % confidence interval."""
    latencies = workload.latencies(found.attempts)
    return latencies.mean(), 3.0 * latencies.std() / len(latencies) ** 0.5


def check(found, instances, servers=None):
    """Return the mean latency, in whose interval the theory must lie."""
    assert len(found.latest) == instances
    assert set(found.latest["status"]) in ({"completed"}, {"Running"})
    assert len(found.attempts) >= instances * len(STEPS)
    mean, half_width = interval(found)
    assert abs(mean - theory(servers)) < half_width, (mean, half_width, theory(servers))
    return mean
