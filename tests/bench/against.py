"""What this checkout costs beside another one, both measured in the same rounds.

``python -m tests.bench.against OTHER_CHECKOUT [ROUNDS [INSTANCES]]`` starts a worker with
the packages of each and lets them take turns, round after round, so that what else the
machine does is no one's advantage.  Of each figure the least of all rounds counts: CPU
time, or calls and bytes, which are exact and taken once.  Less is better, so a ratio
above 1 says how many times better this checkout is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from functools import cache, partial
from time import process_time

import wfsim
from fake_resources import polardb
from tests import elsewhere
from tests.bench import calls, memory, queueing, workload
from tests.bench.peers import rounds

RUNS = 200
"""How many simulations are timed at once where one takes less than a millisecond."""


def microseconds(work, times):
    """Return the CPU time of each of so many calls of *work*."""
    everything = partial(list, map(work, range(times)))
    return rounds.timed(everything, process_time)[1] / times * 1e6


@cache
def scenarios():
    return {"seven steps": workload.scenario(), "PolarDB": polardb.scenario(replicas=2)}


def fresh(name, _):
    scenario = scenarios()[name]
    return microseconds(lambda seed: wfsim.simulate(scenario, seed=seed), RUNS)


def crashed(name, _):
    """Kill the controller at one write after the other; each run recovers."""
    scenario = scenarios()[name]
    plans = [[wfsim.CrashAt(write=1 + k % 16, restart_after=5)] for k in range(RUNS)]
    return microseconds(lambda k: wfsim.simulate(scenario, plans[k], seed=1), RUNS)


def of_a_step(program, servers, instances):
    """Take a step of workload W, with the table of its attempts."""
    steps = instances * len(workload.STEPS)
    return microseconds(lambda _: program(instances, 1, servers), 1) / steps


TIMES = {
    "fresh world, one instance of seven steps, us": partial(fresh, "seven steps"),
    "crash at k and recover, the same, us": partial(crashed, "seven steps"),
    "fresh world, PolarDB cluster of three, us": partial(fresh, "PolarDB"),
    "crash at k and recover, PolarDB cluster of three, us": partial(crashed, "PolarDB"),
    "W plain, us a step": partial(of_a_step, queueing.by_wfsim, None),
    "SimPy by hand, us a step": partial(of_a_step, queueing.by_hand, None),
    "W with a pool of 50, us a step": partial(
        of_a_step, queueing.by_wfsim, queueing.SERVERS
    ),
    "SimPy by hand with a pool of 50, us a step": partial(
        of_a_step, queueing.by_hand, queueing.SERVERS
    ),
}
EXACT = {
    "memory of a recorded step, bytes": memory.of_a_step,
    "calls of a step": lambda _: calls.measure()[1],
}
BY_HAND = {
    "W plain, ratio to SimPy by hand": ("W plain, us a step", "SimPy by hand, us a step"),
    "W with a pool of 50, ratio to SimPy by hand": (
        "W with a pool of 50, us a step",
        "SimPy by hand with a pool of 50, us a step",
    ),
}


class Worker:
    """A process that measures what it is asked for with the packages of *checkout*."""

    def __init__(self, checkout, instances):
        command = elsewhere.command(checkout, "tests.bench.against", "--worker")
        self.process = subprocess.Popen(
            [*command, str(instances)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def measure(self, name):
        print(name, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{name} cannot be measured in one of the checkouts: see above")
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def work(instances):
    """Answer each line of the standard input, the name of a figure, with its value."""
    measures = TIMES | EXACT
    for line in sys.stdin:
        print(json.dumps(measures[line.rstrip("\n")](instances)), flush=True)


def compared(checkout, number=7, instances=1000, names=(*TIMES, *EXACT)):
    """Return by name what each figure is (there, here), the least of *number* rounds."""
    found = {}
    with ExitStack() as stack:
        workers = [
            stack.enter_context(Worker(root, instances))
            for root in (checkout, elsewhere.HERE)
        ]

        def measured(name):
            return [worker.measure(name) for worker in workers]

        # The first round imports and warms up.
        timed = [
            {name: measured(name) for name in names if name in TIMES}
            for _ in range(number + 1)
        ][1:]
        for name in names:
            values = [each[name] for each in timed] if name in TIMES else [measured(name)]
            found[name] = tuple(map(min, zip(*values, strict=True)))
    for name, (program, hand) in BY_HAND.items():
        if {program, hand} <= {*found}:
            pairs = zip(found[program], found[hand], strict=True)
            found[name] = tuple(ours / theirs for ours, theirs in pairs)
    return found


def table(found):
    lines = [f"{'':54}{'there':>10}{'here':>10}{'ratio':>8}"]
    lines += [
        f"{name:54}{there:10.2f}{here:10.2f}{there / here:8.2f}"
        for name, (there, here) in found.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1] == "--worker":
        work(int(sys.argv[2]))
    else:
        print(table(compared(sys.argv[1], *map(int, sys.argv[2:]))))
