"""Workload W by Ciw: a node where attempts are served, a node where retries wait."""

from __future__ import annotations

import itertools
import math

import ciw

from tests.bench import workload
from tests.bench.queueing import outcome
from tests.bench.workload import DELAY, MEAN, RETRIES, STEPS, P


class Attempts(ciw.routing.NodeRouting):
    """From the service to the next step, to the delay before a retry, or out."""

    def __init__(self, rows, latest):
        self.rows, self.latest = rows, latest

    def next_node(self, individual):
        step, number = getattr(individual, "at", (0, 1))
        failed = ciw.rng.random() < P
        name = individual.id_number
        start, end = individual.arrival_date, individual.service_end_date
        self.rows.append((name, STEPS[step], number, start, end, failed))
        if failed and number <= RETRIES:
            individual.at = step, number + 1
            return self.simulation.nodes[2]
        individual.at = step + 1, 1
        if step + 1 < len(STEPS):
            self.latest[name] = STEPS[step + 1]
            return self.simulation.nodes[1]
        self.latest[name] = "completed"
        return self.simulation.nodes[-1]


def run(instances, seed, servers=None):
    """Return the outcome; Ciw keeps its own record of each visit as well, as always."""
    ciw.seed(seed + 1)
    rows, latest = [], {}
    times = [0.0, *workload.arrivals(instances, seed)]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    back = ciw.routing.Direct(to=1)
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Sequential([*gaps, math.inf]), None],
        service_distributions=[
            ciw.dists.Exponential(rate=1.0 / MEAN),
            ciw.dists.Deterministic(value=DELAY),
        ],
        number_of_servers=[servers or math.inf, math.inf],
        routing=ciw.routing.NetworkRouting(routers=[Attempts(rows, latest), back]),
    )
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_time(1e9)
    return outcome(rows, latest)
