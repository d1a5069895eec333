"""A failing plan as small as it gets: no fault can go, none can be weaker or earlier."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from wfsim.sim.faults import Fault

Plan = tuple[Fault, ...]

RUNS = 100
"""So many runs are tried at most."""


def shrink(plan: Plan, fails: Callable[[Plan], bool], runs: int = RUNS) -> Plan:
    """Return the smallest plan found below *plan* of which *fails* is still true.

    Halves go first, then single faults; then each fault is made weaker and earlier.
    """
    left = runs

    def still(smaller: Plan) -> bool:
        nonlocal left
        left -= 1
        return left >= 0 and fails(smaller)

    plan = _fewer(plan, still)
    changed = True
    while changed and left > 0:
        changed = False
        for at, fault in enumerate(plan):
            for weaker in _weaker(fault):
                smaller = (*plan[:at], weaker, *plan[at + 1 :])
                if still(smaller):
                    plan, changed = smaller, True
                    break
    return plan


def _fewer(plan: Plan, still: Callable[[Plan], bool]) -> Plan:
    size = len(plan)
    while size > 1 or len(plan) > 1:
        size = max(size // 2, 1)
        at, before = 0, len(plan)
        while at < len(plan) and len(plan) > 1:
            smaller = plan[:at] + plan[at + size :]
            if smaller and still(smaller):
                plan = smaller
            else:
                at += size
        if size == 1 and len(plan) == before:
            return plan
    return plan


def _weaker(fault: Fault) -> Iterator[Fault]:
    """Yield *fault* once instead of often, for half as long, and earlier.

    Times become whole seconds, which are easier to read.
    """
    for name, values in _SMALLER.items():
        value = getattr(fault, name, None)
        if value is None:
            continue
        for smaller in values(value):
            yield replace(fault, **{name: smaller})  # type: ignore[type-var]


def _counts(value: int) -> list[int]:
    """Return smaller counts from 1 on, the smallest first."""
    return sorted({each for each in (1, value // 2, value - 1) if 1 <= each < value})


def _lengths(value: float) -> list[float]:
    """Return shorter whole seconds from 1 on, the shortest first."""
    shorter = {float(value // 2), float(-(-value // 1)) - 1.0}
    return sorted(each for each in shorter if 1.0 <= each < value)


def _seconds(value: float) -> list[float]:
    """Return earlier seconds, the earliest first."""
    whole = float(value // 1)
    earlier = {0.0, float(value // 2), whole - 1.0, whole}
    return sorted(each for each in earlier if 0.0 <= each < value)


_SMALLER: Mapping[str, Callable[[Any], Sequence[float]]] = {
    "times": _counts,
    "for_": _lengths,
    "by": _lengths,
    "t": _seconds,
    "write": _counts,
}
"""What of a fault can be less, and how."""
