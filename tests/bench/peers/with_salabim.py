"""Workload W by salabim: a component per instance, a resource for the pool."""

from __future__ import annotations

import random

import salabim

from tests.bench import workload
from tests.bench.queueing import outcome
from tests.bench.workload import DELAY, MEAN, RETRIES, STEPS, P


class Instance(salabim.Component):
    def setup(self, rows, latest, stream, pool):
        self.rows, self.latest, self.stream, self.pool = rows, latest, stream, pool

    def process(self):
        for step in STEPS:
            self.latest[self.name()] = step
            for number in range(1, RETRIES + 2):
                start = self.env.now()
                if self.pool is not None:
                    yield self.request(self.pool)
                yield self.hold(self.stream.expovariate(1.0 / MEAN))
                if self.pool is not None:
                    self.release(self.pool)
                failed = self.stream.random() < P
                row = (self.name(), step, number, start, self.env.now(), failed)
                self.rows.append(row)
                if not failed:
                    break
                yield self.hold(DELAY)
        self.latest[self.name()] = "completed"


def run(instances, seed, servers=None):
    """Return the outcome, by generators; salabim's greenlets take about as long."""
    environment = salabim.Environment(trace=False, yieldless=False)
    rows, latest, stream = [], {}, random.Random(seed + 1)
    pool = (
        salabim.Resource("pool", capacity=servers, env=environment) if servers else None
    )
    for index, arrival in enumerate(workload.arrivals(instances, seed)):
        Instance(
            name=f"r{index}",
            at=arrival,
            env=environment,
            rows=rows,
            latest=latest,
            stream=stream,
            pool=pool,
        )
    environment.run()
    return outcome(rows, latest)
