"""The table of the zoo: mutant, invariant, smallest plan, runs needed.

``python -m tests.zoo.table [NAME ...]`` prints it; with ``--hypothesis`` before the
names it prints how often, in a thousand runs, explore and Hypothesis come upon each.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from fake_resources.zoo import MUTANTS
from wfsim.testing import plans
from wfsim.types import Fault


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


class Rate(NamedTuple):
    """In so many of a thousand runs a mutant was come upon, by explore and beside it."""

    name: str
    explore: float
    hypothesis: float

    def __str__(self) -> str:
        rates = f"explore {self.explore:6.1f}, hypothesis {self.hypothesis:6.1f}"
        return f"{self.name:26} {rates}"


def rate(name: str, runs: int = 1000) -> Rate:
    """Explore the mutant, and run so many plans that Hypothesis draws."""
    from hypothesis import HealthCheck, Phase, given, settings

    from wfsim.campaign.lab import Lab
    from wfsim.campaign.oracles import ORACLES
    from wfsim.campaign.sites import Point

    mutant = MUTANTS[name]
    seed = None if callable(mutant.subject) else 1
    outcomes = mutant.explore().outcomes
    lab = Lab(mutant.subject, seed, 10.0, (), (), ORACLES)
    lab.eventually = mutant.wishes
    failed = []

    @settings(
        max_examples=runs,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(plan=plans(mutant.subject, asks=mutant.asks, seed=seed, most=2))
    def draw(plan: tuple[Fault, ...]) -> None:
        failed.append(bool(lab.afresh(Point("", "", plan)).violations))

    draw()
    found = sum(bool(each.violations) for each in outcomes)
    return Rate(name, 1000 * found / len(outcomes), 1000 * sum(failed) / len(failed))


if __name__ == "__main__":
    names = [name for name in sys.argv[1:] if name in MUTANTS] or list(MUTANTS)
    for name in names:
        print(rate(name) if "--hypothesis" in sys.argv else row(name), flush=True)
