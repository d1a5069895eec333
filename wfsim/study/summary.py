"""A study in one row per point: estimates and their confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wfsim.report.frames import frame
from wfsim.report.groups import column
from wfsim.study.interval import Interval, check_confidence, interval
from wfsim.study.replication import LOAD_DTYPES, PART_COLUMNS, TALLY_DTYPES
from wfsim.study.sample import Samples

if TYPE_CHECKING:
    import pandas as pd

    from wfsim.study.study import Study


COUNTS = ("runs", "unfinished")
"""Of what a summary tells how many there were."""


def summary(study: Study, confidence: float = 0.95) -> pd.DataFrame:
    """Return what `Study.summary` does."""
    check_confidence(confidence)
    own = own_measures(study)
    points = range(len(study.points))
    measures = ("mean", "p50", "p95", "total", "total_p95", "success", *own)
    intervals = {name: intervals_of(study, name, confidence) for name in measures}
    tallies = study.numbered("replications").groupby("point")
    columns: dict[str, Any] = {
        name: study.points[name].tolist() for name in study.points.columns
    }
    columns["replications"] = tallies.size().reindex(points, fill_value=0).tolist()
    for name in COUNTS:
        columns[name] = tallies[name].sum().reindex(points, fill_value=0).tolist()
    for name, found in intervals.items():
        columns[name] = [each.estimate for each in found]
        columns[f"{name}_low"] = [each.low for each in found]
        columns[f"{name}_high"] = [each.high for each in found]
    dtypes = {name: study.points[name].dtype for name in study.points.columns}
    numbers = dict.fromkeys(columns, "float64")
    counts = dict.fromkeys(("replications", *COUNTS), "int64")
    return frame(columns, {**numbers, **counts, **dtypes})


def own_measures(study: Study) -> list[str]:
    """Return the names of the columns that ``measure=`` has added."""
    usual = {*study.over, *TALLY_DTYPES, "replication"}
    return [str(name) for name in study.replications.columns if name not in usual]


def intervals_of(study: Study, measure: str, confidence: float) -> list[Interval]:
    """Return the interval of *measure* at each point of *study*, in their order."""
    samples = Samples(study, measure)
    points = range(len(study.points))
    return [interval(samples.at(point), confidence) for point in points]


def breakdown(study: Study, by: str | Sequence[str]) -> pd.DataFrame:
    """Return what `Study.breakdown` does."""
    names = _columns(study, by)
    runs = study.runs
    if not names:
        means = runs[list(PART_COLUMNS)].mean().to_frame().T
        means.insert(0, "runs", len(runs))
        return means
    groups = runs.groupby(names, sort=False)
    means = groups[list(PART_COLUMNS)].mean()
    means.insert(0, "runs", groups.size())
    return means.reset_index()


def critical(study: Study, by: str | Sequence[str]) -> pd.DataFrame:
    """Return what `Study.critical` does."""
    names = [*_columns(study, by, "flow", "step"), "flow"]
    of_flows = study.runs.groupby(names, sort=False)["total"].agg(["size", "sum"])
    steps = study.steps.groupby([*names, "step"], sort=False)[["runs", "seconds"]].sum()
    steps = steps.reset_index().join(of_flows, on=names)
    seconds, whole = steps.pop("seconds"), steps.pop("sum")
    steps["mean"] = seconds / steps.pop("size")
    steps["share"] = (seconds / whole).where(whole > 0, 0.0)
    most = seconds.groupby([steps[name] for name in names], sort=False).transform("max")
    worst = (seconds == most) & (most > 0)
    again = steps.assign(worst=worst)[[*names, "worst"]].duplicated()
    return steps.assign(bottleneck=worst & ~again)


def utilisation(study: Study, by: str | Sequence[str]) -> pd.DataFrame:
    """Return what `Study.utilisation` does."""
    names = [*_columns(study, by, "server"), "server"]
    found = study.loads.assign(share=study.loads["busy"] / study.loads["places"])
    means = found.groupby(names, sort=False)[[*LOAD_DTYPES, "share"]].mean()
    return means.reset_index()


def _columns(study: Study, by: str | Sequence[str], *apart: str) -> list[str]:
    """Return the columns *by* of runs that are not *apart* anyway."""
    names = [by] if isinstance(by, str) else list(by)
    for name in names:
        column(study.runs, name)
    return [name for name in names if name not in apart]
