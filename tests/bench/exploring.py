"""What single crashes cost by `explore` and afresh; ``python -m tests.bench.exploring``.

Both run the same plans, each crash before and after each write of a flow, one after the
other in one process; afresh nothing is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import process_time
from typing import Any, NamedTuple

import wfsim
from tests.golden.subjects import LIMIT, Subject, subjects

AWAY = 7.0
NAMES = (r"-(ins|phy)-\d+",)
PATHS = (
    *("resources.*.status.namesUsed", "managers.*.node"),
    *("operations", "feeds.*.lag"),
)


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


def explored(subject: Subject) -> Any:
    """Return what comes of each crash before and after each write of the flow."""
    return wfsim.explore(
        subject.begin, ["CrashAt"], restart_after=AWAY, but=PATHS, alike=NAMES
    )


def afresh(subject: Subject, writes: Sequence[int]) -> None:
    """Run the same from the start."""
    for write in writes:
        for when in ("before", "after"):
            crash = wfsim.CrashAt(write=write, when=when, restart_after=AWAY)  # type: ignore[arg-type]
            subject.begin([crash]).run(for_=LIMIT)


def cost(subject: Subject, measured: Callable[[Callable[[], Any]], float]) -> Cost:
    """Return what the flow costs, as *measured*."""
    report = explored(subject)
    writes = [site.write for site in report.listed]
    once = measured(lambda: explored(subject))
    again = measured(lambda: afresh(subject, writes))
    return Cost(subject.name, len(report.outcomes), once, again)


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
    print(table([cost(each, seconds) for each in subjects() if each.name != "nightly"]))
