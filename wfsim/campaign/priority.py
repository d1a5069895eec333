"""The priority of points: what may be wrong is run first, to be found early.

Faults take turns, three crashes to one of any other kind; of each, the sites come first
where it tells the most, and no kind of write of a step twice before each has had one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection

from wfsim.campaign.sites import CRASH, Point

BETWEEN = ("run.created", "run.completed", "resource.edited", "run.recovered")
DONE = ("step.completed", "run.interrupted", "resource.state")
BEGUN = ("step.started", "step.waiting")

TELLING = {
    # Work that is done and not written down is done again.
    f"{CRASH} before": (*DONE, *BETWEEN),
    # Of what is written in two parts, one may be missing.
    f"{CRASH} after": (*BETWEEN, *BEGUN),
    "FailSave": (*DONE, *BETWEEN),
    "FailSave applied": (*DONE, *BETWEEN),
    "RefuseWrite": ("resource.state", *DONE),
}
"""At which kinds of write a fault tells the most, the best one first; else `BEGUN`."""

FIRST = (
    *("CancelAt", "FailStep", "PauseController", "FailSave applied", "InterruptStep"),
    *("ApiDown", "RefuseWrite", "FailSave", "FailStep after", "StaleRead", "DropWatch"),
)
"""The order of faults within a round, after crashes and what is asked."""

CRASHES = 3
"""So many points of a crash there are in a round."""


def order(points: Collection[Point]) -> list[Point]:
    """Return *points*, the most telling first; see above."""
    by_fault: defaultdict[str, list[tuple[int, Point]]] = defaultdict(list)
    for number, point in enumerate(points):
        by_fault[point.fault].append((number, point))
    ranked = []
    for fault, listed in by_fault.items():
        a_round = CRASHES if fault.startswith(CRASH) else 1
        for place, (number, point) in enumerate(_telling(fault, listed)):
            ranked.append((place // a_round, _turn(fault), number, point))
    return [row[-1] for row in sorted(ranked, key=lambda row: row[:3])]


def _turn(fault: str) -> int:
    if fault.startswith(CRASH):
        return -2
    if fault.startswith("ask "):
        return -1
    return FIRST.index(fault) if fault in FIRST else len(FIRST)


def _telling(fault: str, listed: list[tuple[int, Point]]) -> list[tuple[int, Point]]:
    """Return the points of one *fault*, those first that tell the most."""
    kinds = TELLING.get(fault, BEGUN)
    middle = len(listed) // 2
    seen: Counter[tuple[str, str]] = Counter()
    rows = []
    for place, (number, point) in enumerate(listed):
        seen[point.step, point.kind] += 1
        kind = kinds.index(point.kind) if point.kind in kinds else len(kinds)
        # A step in the middle has something before it, and something after.
        off = 0 if fault.startswith(CRASH) else abs(place - middle)
        rows.append((seen[point.step, point.kind], kind, off, number, point))
    return [(row[3], row[4]) for row in sorted(rows, key=lambda row: row[:4])]


__all__ = ["order"]
