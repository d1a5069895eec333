"""Workload W, plain and with a pool of 50: wfsim, SimPy by hand, salabim and Ciw.

Run by ``make bench-peers``.  One process; in each round every program runs once; CPU
time.  Whatever is measured is checked: all instances completed, the mean latency of the
theory inside the program's interval, and every pair of means as close as their
intervals allow.
"""

from __future__ import annotations

import itertools
import os
import sys
from functools import partial

from tests.bench import queueing
from tests.bench.peers import rounds, with_ciw, with_salabim

PROGRAMS = {
    "SimPy by hand": queueing.by_hand,
    "wfsim, mementos and log": queueing.by_wfsim,
    "Ciw": with_ciw.run,
    "salabim": with_salabim.run,
}


def compare(title, instances, servers, number):
    intervals = {}

    def check(name, found):
        queueing.check(found, instances, servers)
        intervals[name] = queueing.interval(found)

    programs = {
        name: partial(program, instances, 1, servers)
        for name, program in PROGRAMS.items()
    }
    timings = rounds.alternate(programs, number, check)
    for (one, width), (other, other_width) in itertools.combinations(
        intervals.values(), 2
    ):
        assert abs(one - other) < (width**2 + other_width**2) ** 0.5
    scale = 1e6 / (instances * len(queueing.STEPS))
    print(rounds.table(title, timings, "SimPy by hand", "us/step", scale))
    for name, (mean, width) in intervals.items():
        print(f"{name:44}mean latency {mean:.2f} s +- {width:.2f} s")
    print(f"{'theory':44}mean latency {queueing.theory(servers):.2f} s\n", flush=True)


def main():
    instances = 100_000 if os.environ.get("WFSIM_FULL") else 1000
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    told = f"{instances} instances, {number} rounds"
    compare(f"W plain, {told}", instances, None, number)
    compare(
        f"W with a pool of {queueing.SERVERS}, {told}",
        instances,
        queueing.SERVERS,
        number,
    )


if __name__ == "__main__":
    main()
