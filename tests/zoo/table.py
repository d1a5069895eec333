"""The table of the zoo: mutant, invariant, smallest plan, runs needed.

``python -m tests.zoo.table [NAME ...]`` prints it.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from fake_resources.zoo import MUTANTS


class Row(NamedTuple):
    """What exploring a mutant came to; *runs* until the first point that fails."""

    name: str
    invariant: str
    others: tuple[str, ...]
    plan: str
    faults: int
    runs: int
    of: int
    is_replayed: bool

    def __str__(self) -> str:
        plan = " ".join(self.plan.split())
        needed = f"{self.runs} of {self.of}"
        return f"{self.name:26} {self.invariant:17} {needed:>12}  {plan}"


def invariant(failure: Any) -> str:
    """Return the code of the oracle, or the name of the wish."""
    code: str = failure.violation.invariant
    return failure.cause.split()[-1] if code == "eventually" else code


def row(name: str, **more: Any) -> Row:
    """Explore the mutant of that name with the defaults."""
    report = MUTANTS[name].explore(**more)
    wanted = MUTANTS[name].invariant
    names = tuple(invariant(each) for each in report.failures)
    hit = names.index(wanted) if wanted in names else None
    first = [bool(each.violations) for each in report.outcomes]
    failure = None if hit is None else report.failures[hit]
    return Row(
        name,
        wanted if failure else "NOT FOUND",
        names,
        failure.plan if failure else "",
        max((len(each.faults) for each in report.failures), default=0),
        first.index(True) + 1 if True in first else 0,
        len(first),
        all(each.is_replayed for each in report.failures),
    )


if __name__ == "__main__":
    for name in sys.argv[1:] or MUTANTS:
        print(row(name), flush=True)
