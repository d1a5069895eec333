"""A failing plan as small as it gets: no fault can go, none can be weaker or earlier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
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
    while (smaller := _weaker(plan, still)) != plan and left > 0:
        plan = smaller
    return smaller


LEAST: Mapping[str, int] = {"times": 1, "for_": 1, "by": 1, "t": 0, "write": 1}
"""The fields of a fault that can be less, and the least whole number to try."""


def _weaker(plan: Plan, still: Callable[[Plan], bool]) -> Plan:
    """Return *plan* with each fault as weak and early as it may be; itself if all are."""
    smallest = plan
    for at in range(len(plan)):
        for name, least in LEAST.items():
            value = getattr(smallest[at], name, None)
            if value is None or value <= least:
                continue
            with_value = partial(_with, smallest, at, name)
            found = _least(value, least, partial(_fails, still, with_value))
            smallest = smallest if found == value else with_value(found)
    return smallest


def _with(plan: Plan, at: int, name: str, value: float) -> Plan:
    fault: Any = replace(plan[at], **{name: value})  # type: ignore[type-var]
    return (*plan[:at], fault, *plan[at + 1 :])


def _fails(
    still: Callable[[Plan], bool], with_value: Callable[[float], Plan], value: float
) -> bool:
    return still(with_value(value))


def _least(value: float, least: int, fails: Callable[[float], bool]) -> float:
    """Return the smallest whole number below *value* of which *fails*, or *value*.

    Of the number below it *fails* is false.
    """
    kind = type(value)
    if fails(kind(least)):
        return kind(least)
    low, high = least, value
    while high - low > 1:
        middle = max(int(low + high) // 2, low + 1)
        if fails(kind(middle)):
            high = kind(middle)
        else:
            low = middle
    return high


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
