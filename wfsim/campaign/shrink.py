"""A failing plan as small as it gets: no fault can go, none can be weaker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace

from wfsim.sim.faults import Fault

Plan = tuple[Fault, ...]

RUNS = 100
"""So many runs are tried at most."""


def shrink(plan: Plan, fails: Callable[[Plan], bool], runs: int = RUNS) -> Plan:
    """Return the smallest plan found below *plan* of which *fails* is still true.

    Halves go first, then single faults, then each fault is made weaker.
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
    """Yield *fault* once instead of often, and for half as long, to the whole second."""
    names = {item.name for item in fields(fault)}  # type: ignore[arg-type]
    if "times" in names and fault.times > 1:  # type: ignore[attr-defined]
        yield replace(fault, times=1)  # type: ignore[type-var]
        yield replace(fault, times=fault.times // 2)  # type: ignore[type-var,attr-defined]
    for name in ("for_", "by"):
        length = getattr(fault, name, None)
        if length is not None and length >= 2.0:
            yield replace(fault, **{name: float(length // 2)})  # type: ignore[type-var]
