"""Which point is best, and how sure that is."""

from __future__ import annotations

import math
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from wfsim.errors import UsageError
from wfsim.report.frames import frame
from wfsim.study.interval import check_confidence
from wfsim.study.sample import Samples
from wfsim.study.summary import intervals_of

if TYPE_CHECKING:
    import pandas as pd

    from wfsim.study.study import Study

RESAMPLES = 4_999
_AT_A_TIME = 200
LARGEST = frozenset({"success"})
"""Measures of which more is better; of all others less is."""


def rank(
    study: Study, measure: str, largest: bool | None, confidence: float
) -> pd.DataFrame:
    """Return what `Study.rank` does."""
    check_confidence(confidence)
    samples = Samples(study, measure)
    every = [samples.at(point) for point in range(len(study.points))]
    # A point that never has the measure is not the best, and no reason to say nothing.
    able = [at for at, each in enumerate(every) if not math.isnan(each.estimate)]
    if not able:
        raise UsageError(
            f"no point has a {measure!r}, as where no run completes; give runs more "
            "time, or take another measure such as 'success'"
        )
    numbers = reduce(np.intersect1d, [every[at].numbers for at in able])
    if not len(numbers):
        raise UsageError(
            f"no replication has a {measure!r} at every point; replicate more often"
        )
    most = measure in LARGEST if largest is None else largest
    sign = -1.0 if most else 1.0
    common = [every[at].only(numbers) for at in able]
    best = np.zeros(len(every))
    draws = np.random.default_rng(len(numbers))
    for begin in range(0, RESAMPLES, _AT_A_TIME):
        rows = min(_AT_A_TIME, RESAMPLES - begin)
        drawn = draws.integers(len(numbers), size=(rows, len(numbers)))
        # The same replications of every point: they belong together.
        values = sign * np.array([each.of(drawn) for each in common])
        values = np.where(np.isnan(values), np.inf, values)
        first = np.isclose(values, values.min(axis=0), rtol=1e-12, atol=0.0)
        best[able] += (first / first.sum(axis=0)).sum(axis=1)
    found = intervals_of(study, measure, confidence)
    estimates = sign * np.array([each.estimate for each in found])
    order = np.argsort(estimates, kind="stable")  # NaN comes last
    columns: dict[str, Any] = {
        name: [study.points[name].tolist()[at] for at in order] for name in study.over
    }
    columns |= {
        "rank": list(range(1, len(order) + 1)),
        measure: [found[at].estimate for at in order],
        "low": [found[at].low for at in order],
        "high": [found[at].high for at in order],
        "best": [float(best[at]) / RESAMPLES for at in order],
    }
    dtypes = {name: study.points[name].dtype for name in study.over}
    numbers_of = dict.fromkeys((measure, "low", "high", "best"), "float64")
    return frame(columns, {**numbers_of, "rank": "int64", **dtypes})
