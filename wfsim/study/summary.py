"""The summary of a study: each measure at each point, of all runs, by flow and class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wfsim.errors import UsageError
from wfsim.report.frames import TEXT, frame
from wfsim.study.estimates import check_confidence, intervals_of
from wfsim.study.grid import FrameByPoint
from wfsim.study.replication import (
    PART_COLUMNS,
    STEP_DTYPES,
    TALLY_DTYPES,
    Outcome,
    tally,
)
from wfsim.text import suggest

if TYPE_CHECKING:
    import pandas as pd

    from wfsim.study.study import Study

MEASURES = ("mean", "p50", "p95", "total", "total_p95", "success")
"""What a summary tells of each point, beside measures of one's own."""

COUNTS = ("runs", "unfinished")
"""Of what a summary tells how many there were."""

GROUPS = ("flow", "class")
"""Columns of ``runs`` by which results are told apart, beside the parameters."""


def summary(study: Study, by: Sequence[str], confidence: float) -> pd.DataFrame:
    """Return what `Study.summary` does."""
    check_confidence(confidence)
    if not by:
        return _summary(study, {}, confidence)
    import pandas as pd

    parts = [_summary(part, of, confidence) for of, part in groups(study, by)]
    if not parts:
        return _summary(study, dict.fromkeys(by, ""), confidence).head(0)
    # Stable: the groups of a point keep their order.
    both = pd.concat(parts).sort_index(kind="stable")
    return both[both["runs"] > 0].reset_index(drop=True)


def _summary(study: Study, of: Mapping[str, str], confidence: float) -> pd.DataFrame:
    """Return a row per point of *study*, whose runs are those *of* one flow or class."""
    measures = (*MEASURES, *own_measures(study))
    intervals = {name: intervals_of(study, name, confidence) for name in measures}
    points = range(len(study.points))
    tallies = study.by_point("replications").groupby("point")
    columns: dict[str, Any] = {
        name: study.points[name].tolist() for name in study.points.columns
    }
    columns |= {name: [value] * len(points) for name, value in of.items()}
    columns["replications"] = tallies.size().reindex(points, fill_value=0).tolist()
    for name in COUNTS:
        columns[name] = tallies[name].sum().reindex(points, fill_value=0).tolist()
    for name, each in intervals.items():
        columns[name] = [interval.estimate for interval in each]
        columns[f"{name}_low"] = [interval.low for interval in each]
        columns[f"{name}_high"] = [interval.high for interval in each]
    dtypes = {name: study.points[name].dtype for name in study.points.columns}
    numbers = dict.fromkeys(columns, "float64")
    counts = dict.fromkeys(("replications", *COUNTS), "int64")
    return frame(columns, {**numbers, **counts, **dtypes, **dict.fromkeys(of, TEXT)})


def own_measures(study: Study) -> list[str]:
    """Return the names of the columns that ``measure=`` has added."""
    usual = {*study.over, *TALLY_DTYPES, "replication"}
    return [str(name) for name in study.replications.columns if name not in usual]


def breakdown(study: Study, names: list[str]) -> pd.DataFrame:
    """Return what `Study.breakdown` does, by the columns *names* of ``runs``."""
    parts = list(PART_COLUMNS)
    if not names:
        whole = study.runs[parts].mean().to_frame().T
        whole.insert(0, "runs", len(study.runs))
        return whole
    by_name = study.runs.groupby(names, sort=False)
    means = by_name[parts].mean()
    means.insert(0, "runs", by_name.size())
    return means.reset_index()


def critical(study: Study, names: list[str]) -> pd.DataFrame:
    """Return what `Study.critical` does, by the columns *names*, one of which is flow."""
    of_flows = study.runs.groupby(names, sort=False)["total"].agg(["size", "sum"])
    steps = study.steps.groupby([*names, "step"], sort=False)[list(STEP_DTYPES)].sum()
    steps = steps.reset_index().join(of_flows, on=names)
    seconds, whole = steps.pop("seconds"), steps.pop("sum")
    queue, size = steps.pop("pool_queue"), steps.pop("size")
    steps["mean"], steps["pool_queue"] = seconds / size, queue / size
    steps["share"] = (seconds / whole).where(whole > 0, 0.0)
    most = seconds.groupby([steps[name] for name in names], sort=False).transform("max")
    worst = (seconds == most) & (most > 0)
    again = steps.assign(worst=worst)[[*names, "worst"]].duplicated()
    return steps.assign(bottleneck=worst & ~again)


def utilisation(study: Study, names: list[str]) -> pd.DataFrame:
    """Return what `Study.utilisation` does, by the columns *names* of ``loads``."""
    shares = study.loads.assign(share=study.loads["busy"] / study.loads["places"])
    columns = ["busy", "queue", "places", "share"]
    return shares.groupby(names, sort=False)[columns].mean().reset_index()


def groups(study: Study, by: Sequence[str]) -> Iterator[tuple[dict[str, str], Study]]:
    """Yield what the runs of a part of *study* have in common, and that part.

    *by* are some of `GROUPS`; without any there is one part, the whole.
    """
    if not by:
        yield {}, study
        return
    for row in study.runs[list(by)].drop_duplicates().to_dict("records"):
        of = {str(name): str(value) for name, value in row.items()}
        yield of, only(study, of, {})


def named(by: Any) -> tuple[str, ...]:
    """Return *by*, a name of a column or several; raise `UsageError` otherwise."""
    names = (by,) if isinstance(by, str) else by or ()
    if not isinstance(names, (list, tuple)):
        raise UsageError(f"by is {by!r}; give a name such as 'flow', or a list of names")
    return tuple(names)


def only(study: Study, given: Any, more: Mapping[str, str]) -> Study:
    """Return what `Study.only` does."""
    from wfsim.study.study import Study

    if given is not None and not isinstance(given, Mapping):
        raise UsageError(f"only: {given!r} is no mapping; give {{'class': 'nightly'}}")
    of = {**(given or {}), **more}
    if not of:
        raise UsageError("give a flow or a class, as in only(flow='Backup')")
    for name, value in of.items():
        if name not in GROUPS:
            raise UsageError(f"runs are told apart by flow and class, not by {name!r}")
        known = study.runs[name].unique().tolist()
        if value not in known:
            raise UsageError(f"no {name} {value!r}{suggest(str(value), known)}")
    frames = {name: study.by_point(name) for name in ("runs", "steps", "loads")}
    for name in ("runs", "steps"):
        for column, value in of.items():
            frames[name] = frames[name][frames[name][column] == value]
    frames["replications"] = _tallies(study, frames["runs"])
    further = study.more
    return Study(
        study.over,
        study.points,
        {
            name: FrameByPoint(
                each.drop(columns="point").reset_index(drop=True), each["point"].tolist()
            )
            for name, each in frames.items()
        },
        seed=study.seed,
        interrupted=study.interrupted,
        more=further and (lambda spans: only(further(spans), of, {})),
        numbers=study.numbers,
    )


def _tallies(study: Study, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of ``replications``, with a column ``point``, of *runs* alone."""
    whole = study.by_point("replications")
    outcomes: dict[tuple[int, int], list[Outcome]] = {}
    ends: dict[tuple[int, int], float] = {}
    fields = ("point", "replication", "called", *Outcome._fields)
    for point, number, called, *outcome in zip(
        *(runs[name].tolist() for name in fields), strict=True
    ):
        key, ended = (point, number), Outcome(*outcome)
        outcomes.setdefault(key, []).append(ended)
        ends[key] = max(ends.get(key, 0.0), called + ended.total)
    keys = [*zip(whole["point"].tolist(), whole["replication"].tolist(), strict=True)]
    rows = [
        tally(seed, outcomes.get(key, []), ends.get(key, 0.0))
        for key, seed in zip(keys, whole["seed"].tolist(), strict=True)
    ]
    columns = {name: [row[name] for row in rows] for name in TALLY_DTYPES}
    usual = whole[["point", *study.over, "replication"]]
    return usual.join(frame(columns, TALLY_DTYPES).set_index(usual.index))
