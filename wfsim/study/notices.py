"""Sentences about what in a study may be other than it was meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from wfsim.report.text import count

if TYPE_CHECKING:
    import pandas as pd

    from wfsim.study.study import Study

FEW_REPLICATIONS = 10
"""With fewer of them little is certain, and intervals of skewed times are too narrow."""

MOST_TOLD = 3
"""Points of which a study tells one by one that nothing is done there."""


def of_study(study: Study) -> Iterator[str]:
    """Yield what has no effect, what never succeeds, and what is known too badly."""
    yield from _inert(study)
    yield from _hopeless(study)
    yield from _few(study)


def inert(study: Study) -> list[str]:
    """Return the parameters that make no difference to any replication."""
    without_effect = []
    tallies = study.by_point("replications").drop(columns=list(study.over))
    seen = {
        point: rows.drop(columns="point").to_csv(index=False)
        for point, rows in tallies.groupby("point")
    }
    for name in study.over:
        others = [each for each in study.over if each != name]
        alike: dict[tuple[Any, ...], list[int]] = {}
        for point, row in enumerate(study.points[others].to_dict("records")):
            alike.setdefault(tuple(row.values()), []).append(point)
        groups = [each for each in alike.values() if len(each) > 1]
        if groups and all(
            len({seen.get(point) for point in group}) == 1 for group in groups
        ):
            without_effect.append(name)
    return without_effect


def _inert(study: Study) -> Iterator[str]:
    """Yield a sentence for each parameter that nothing hangs on."""
    for name in inert(study):
        yield (
            f"{name} makes no difference: points that differ in it alone have "
            "the same replications; perhaps nothing in the scenario reads it"
        )


def _hopeless(study: Study) -> Iterator[str]:
    """Yield a sentence for each flow of which no run is done, with its error.

    It is told once for the whole study, or by point where it is so at some alone.
    """
    failed = study.by_point("runs")
    done = failed.loc[failed["status"] == "completed", ["point", "flow"]]
    failed = failed[failed["error"] != ""]
    for flow, runs in failed.groupby("flow", sort=False):
        at = set(done.loc[done["flow"] == flow, "point"])
        if not at:
            where = "" if len(study.points) < 2 else " at any point"
            yield f"no run of {flow} is done{where}; {_commonest(runs['error'])}"
            continue
        hopeless = [each for each in runs["point"].unique() if each not in at]
        for point in hopeless[:MOST_TOLD]:
            errors = runs.loc[runs["point"] == point, "error"]
            label = study.label(point, study.over)
            yield f"{label}: no run of {flow} is done; {_commonest(errors)}"
        if len(hopeless) > MOST_TOLD:
            more = count(len(hopeless) - MOST_TOLD, "more point")
            yield f"no run of {flow} is done at {more} either"


def _few(study: Study) -> Iterator[str]:
    """Yield that there are too few replications to compare points by, if so."""
    few = min(study.counts(), default=0)
    if len(study.points) > 1 and 0 < few < FEW_REPLICATIONS:
        yield (
            f"{count(few, 'replication')} of a point are few to compare points by: give "
            f"{FEW_REPLICATIONS} or more"
        )


def _commonest(errors: pd.Series[str]) -> str:
    """Return how many of *errors* are what the commonest of them is."""
    number = errors.value_counts()
    which = f"{number.iloc[0]:,} of them end" if len(number) > 1 else "each ends"
    return f"{which} with: {number.index[0]}"
