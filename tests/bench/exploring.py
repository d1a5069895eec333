"""What crashes cost by `explore` and afresh; ``python -m tests.bench.exploring``.

Both run the same plans, each crash at each site of a flow, one after the other in one
process; afresh nothing is compared.  With ``--pairs`` these are all pairs of crashes of
the flows of PolarDB, of which every twentieth is run afresh.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from time import process_time
from typing import Any, NamedTuple

import wfsim
from tests.golden.subjects import LIMIT, NAMES, PATHS, Subject, subjects

AWAY = 7.0


class Cost(NamedTuple):
    """What the points of a flow have cost, explored and afresh."""

    flow: str
    points: int
    explored: float
    afresh: float

    @property
    def ratio(self) -> float:
        """How many times as many points are explored for what one costs afresh."""
        return self.afresh / self.explored


def explored(subject: Subject, depth: int = 1) -> Any:
    """Return what comes of each crash at each site of the flow."""
    return wfsim.explore(
        subject.begin, ["CrashAt"], depth, restart_after=AWAY, but=PATHS, alike=NAMES
    )


def afresh(subject: Subject, plans: Sequence[Any]) -> None:
    """Run the same from the start."""
    for plan in plans:
        subject.begin(plan).run(for_=LIMIT)


def cost(
    subject: Subject,
    measured: Callable[[Callable[[], Any]], float],
    depth: int = 1,
    every: int = 1,
) -> Cost:
    """Return what the flow costs, as *measured*; *every* so manieth is run afresh."""
    plans = [each.point.plan for each in explored(subject, depth).outcomes]
    some = plans[::every]
    once = measured(lambda: explored(subject, depth))
    again = measured(lambda: afresh(subject, some)) * len(plans) / len(some)
    return Cost(subject.name, len(plans), once, again)


def seconds(run: Callable[[], Any]) -> float:
    """Return how many seconds of the processor *run* takes."""
    began = process_time()
    run()
    return process_time() - began


def table(costs: Sequence[Cost]) -> str:
    """Return a line a flow, and one for all of them."""
    points = sum(each.points for each in costs)
    spent = sum(each.explored for each in costs)
    other = sum(each.afresh for each in costs)
    rows = [
        *sorted(costs, key=lambda each: each.ratio),
        Cost("all", points, spent, other),
    ]
    return "\n".join(
        f"{each.flow:<44}{each.points:6} points {each.explored:8.2f} s by explore "
        f"{each.afresh:8.2f} s afresh {each.ratio:6.1f}"
        for each in rows
    )


if __name__ == "__main__":
    flows = [each for each in subjects() if each.name != "nightly"]
    if "--pairs" in sys.argv:
        polardb = [each for each in flows if each.name.startswith("polardb")]
        print(table([cost(each, seconds, 2, 20) for each in polardb]))
    else:
        print(table([cost(each, seconds) for each in flows]))
