"""Which parameter matters: Sobol indices, and one parameter at a time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from wfsim.errors import UsageError
from wfsim.report.frames import frame
from wfsim.study.design import Design, problem
from wfsim.study.grid import label_of
from wfsim.study.interval import check_confidence
from wfsim.study.library import library
from wfsim.study.sample import Samples

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from wfsim.study.study import Study


def sensitivity(study: Study, measure: str, confidence: float) -> pd.DataFrame:
    """Return what `Study.sensitivity` does."""
    check_confidence(confidence)
    design = study.design
    if design is None or design.kind != "saltelli":
        raise UsageError(
            "Sobol indices need their own points; sweep over "
            "wfsim.design.saltelli({'name': (low, high)}, 64)"
        )
    values = _values(study, design, measure)
    names = [axis.name for axis in design.axes]
    kinds = ("first", "total")
    ends = [f"{kind}{end}" for kind in kinds for end in ("", "_low", "_high")]
    dtypes = dict.fromkeys(ends, "float64")
    if (values == values[0]).all():
        columns: dict[str, Any] = {name: [0.0] * len(names) for name in ends}
        return frame({"parameter": names, **columns}, dtypes)
    found = library("SALib.analyze.sobol").analyze(
        problem(design.axes),
        values,
        calc_second_order=False,
        conf_level=confidence,
        num_resamples=1000,
        seed=len(values),
    )
    columns = {"parameter": names}
    for kind, short in (("first", "S1"), ("total", "ST")):
        index, reach = found[short], found[f"{short}_conf"]
        columns[kind] = [float(each) for each in index]
        columns[f"{kind}_low"] = [float(each) for each in index - reach]
        columns[f"{kind}_high"] = [float(each) for each in index + reach]
    return frame(columns, dtypes)


def tornado(study: Study, measure: str) -> pd.DataFrame:
    """Return what `Study.tornado` does."""
    samples = Samples(study, measure)
    values = [samples.at(point).estimate for point in range(len(study.points))]
    if study.design is not None and study.design.kind == "one at a time":
        rows = _one_at_a_time(study, study.design, values)
    else:
        rows = _averaged(study, np.array(values))
    if not rows:
        raise UsageError("no parameter has two values; sweep over two of one at least")
    names = ("parameter", "low", "high", "at_low", "at_high", "base")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    numbers = dict.fromkeys(("at_low", "at_high", "base"), "float64")
    numeric = all(isinstance(row[at], (int, float)) for row in rows for at in (1, 2))
    if numeric:
        numbers |= dict.fromkeys(("low", "high"), "float64")
    else:
        columns |= {name: tuple(map(str, columns[name])) for name in ("low", "high")}
    return frame(columns, numbers)


def _one_at_a_time(
    study: Study, design: Design, values: list[float]
) -> list[tuple[Any, ...]]:
    base, rows = values[0], []
    for at, axis in enumerate(design.axes):
        low, high = values[1 + 2 * at], values[2 + 2 * at]
        labels = [label_of(axis.name, axis.levels[place]) for place in (0, 2)]
        rows.append((axis.name, *labels, low, high, base))
    return rows


def _averaged(study: Study, values: NDArray[Any]) -> list[tuple[Any, ...]]:
    """Compare the smallest and the largest value of each, averaged over the others."""
    rows = []
    base = _mean(values)
    levels = {name: list(dict.fromkeys(study.points[name])) for name in study.over}
    varied = {name: each for name, each in levels.items() if len(each) > 1}
    for name, distinct in varied.items():
        column = study.points[name]
        low, high = distinct[0], distinct[-1]
        if not isinstance(low, str):
            low, high = min(distinct), max(distinct)
        if len(varied) > 1 and min((column == low).sum(), (column == high).sum()) < 2:
            raise UsageError(
                f"{name} is at {low} or {high} at one point alone, where all else may be "
                "anything; sweep over a grid or wfsim.design.one_at_a_time, or ask for "
                "the sensitivity over wfsim.design.saltelli"
            )
        means = [_mean(values[(column == each).to_numpy()]) for each in (low, high)]
        rows.append((name, low, high, *means, base))
    return rows


def _mean(values: NDArray[Any]) -> float:
    """Return the mean of those *values* that are known, NaN if none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


def _values(study: Study, design: Design, measure: str) -> NDArray[Any]:
    """Return the estimate of *measure* at each row of *design*, in its order."""
    samples = Samples(study, measure)
    estimates = [samples.at(point).estimate for point in range(len(study.points))]
    points = study.points.itertuples(index=False, name=None)
    known = dict(zip(points, estimates, strict=True))
    values = []
    for row in design.rows:
        labels = (label_of(name, row[name]) for name in study.over)
        key = tuple(
            str(label) if isinstance(study.points[name].iloc[0], str) else label
            for name, label in zip(study.over, labels, strict=True)
        )
        values.append(known[key])
    found = np.array(values)
    if np.isnan(found).any():
        raise UsageError(
            f"{int(np.isnan(found).sum())} of {len(found)} points have no {measure!r}; "
            "replicate more often, or take another measure"
        )
    return found
