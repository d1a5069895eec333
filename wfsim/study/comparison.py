"""Points of a study against each other, replication by replication.

Replication r had the same seed at both, so what is compared are pairs.  The interval of a
difference is the bias-corrected and accelerated bootstrap over replications (Efron 1987),
its p-value that of a permutation test that swaps the two of a pair, both by scipy.stats;
p-values of many comparisons are corrected as by Holm (1979).  All of it is seeded.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from wfsim.errors import UsageError
from wfsim.model.distributions import stats
from wfsim.report.frames import TEXT, frame
from wfsim.study.interval import Interval, check_confidence
from wfsim.study.sample import Sample, Samples

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from wfsim.study.study import Study

RESAMPLES = 1_999
PERMUTATIONS = 4_999
"""The smallest p-value that can be found is two in one more than so many."""

_AT_A_TIME = 2_000_000


def compare(
    study: Study, baseline: Any, measure: str, by: str | None, confidence: float
) -> pd.DataFrame:
    """Return what `Study.compare` does."""
    check_confidence(confidence)
    names = _varied(study, by)
    samples = Samples(study, measure)
    rows: list[dict[str, Any]] = []
    for group, pair in _pairs(study, names, baseline):
        a, b = (samples.at(point) for point in pair)
        a, b = paired(a, b)
        texts = [study.label(point, names) for point in pair]
        found = difference(a, b, confidence)
        rows.append(
            {
                **group,
                "a": texts[0],
                "b": texts[1],
                "at_a": a.estimate,
                "at_b": b.estimate,
                "difference": found.estimate,
                "low": found.low,
                "high": found.high,
                "relative": found.estimate / a.estimate if a.estimate else math.nan,
                "p": p_value(a, b),
                "replications": len(a),
            }
        )
    for row, corrected in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = corrected
    others = [name for name in study.over if name not in names]
    numbers = ("at_a", "at_b", "difference", "low", "high", "relative", "p", "p_holm")
    columns = [*others, "a", "b", *numbers, "replications"]
    dtypes = {
        **{name: study.points[name].dtype for name in others},
        **dict.fromkeys(("a", "b"), TEXT),
        **dict.fromkeys(numbers, "float64"),
        "replications": "int64",
    }
    pairs = frame({name: [row[name] for row in rows] for name in columns}, dtypes)
    pairs.attrs["measure"] = measure  # what a chart of it is in
    return pairs


def paired(a: Sample, b: Sample) -> tuple[Sample, Sample]:
    """Return *a* and *b* in the replications that both have."""
    both = np.intersect1d(a.numbers, b.numbers)
    return a.only(both), b.only(both)


def difference(a: Sample, b: Sample, confidence: float = 0.95) -> Interval:
    """Return the measure of *b* less that of *a*, both of the same replications."""
    size = len(a)
    estimate = b.estimate - a.estimate
    if size < 2 or math.isnan(estimate):
        return Interval(estimate, math.nan, math.nan)

    def statistic(places: NDArray[Any], axis: int = -1) -> NDArray[Any]:
        drawn = np.moveaxis(places, axis, -1).astype(np.intp)
        return np.asarray(b.of(drawn) - a.of(drawn))

    with warnings.catch_warnings():
        # Of replications that all say the same: what is done then is below.
        warnings.simplefilter("ignore")
        found = stats().bootstrap(
            (np.arange(size),),
            statistic,
            vectorized=True,
            n_resamples=RESAMPLES,
            batch=max(1, _AT_A_TIME // size),
            confidence_level=confidence,
            method="BCa",
            random_state=np.random.default_rng(size),
        )
    low, high = map(float, found.confidence_interval)
    if math.isnan(low) or math.isnan(high):
        tail = (1.0 - confidence) / 2.0
        spread = found.bootstrap_distribution
        low, high = (float(np.quantile(spread, q)) for q in (tail, 1.0 - tail))
    return Interval(estimate, low, high)


def p_value(a: Sample, b: Sample) -> float:
    """Return how likely so large a difference is if it makes none which is which."""
    size = len(a)
    if size < 2 or math.isnan(b.estimate - a.estimate):
        return math.nan
    both = _joined(a, b)

    def statistic(x: NDArray[Any], y: NDArray[Any], axis: int = -1) -> NDArray[Any]:
        ours, theirs = (
            both.of(np.moveaxis(each, axis, -1).astype(np.intp)) for each in (x, y)
        )
        # Without rounding, sums of the same numbers in another order would differ.
        return np.asarray(np.round(theirs - ours, 9))

    found = stats().permutation_test(
        (np.arange(size), np.arange(size) + size),
        statistic,
        permutation_type="samples",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        batch=max(1, _AT_A_TIME // size),
        random_state=np.random.default_rng(size),
    )
    return float(found.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return *p_values* as corrected by Holm (1979) for there being several.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    known = [at for at, p in enumerate(p_values) if not math.isnan(p)]
    corrected = list(p_values)
    reached = 0.0
    order = sorted(known, key=lambda at: p_values[at])
    for rank, at in enumerate(order):
        reached = max(reached, min(1.0, (len(known) - rank) * p_values[at]))
        corrected[at] = reached
    return corrected


def _joined(a: Sample, b: Sample) -> Sample:
    """Return a sample of the replications of *a*, then of *b*."""
    numbers = np.arange(len(a) + len(b))
    values = np.concatenate([a.values, b.values])
    if a.owners is None or b.owners is None:
        return Sample(numbers, values, None, a.share)
    owners = np.concatenate([a.owners, b.owners + len(a)])
    return Sample(numbers, values, owners, a.share)


def _varied(study: Study, by: str | None) -> tuple[str, ...]:
    if by is None:
        return study.over
    study.check_parameter(by)
    return (by,)


def _pairs(
    study: Study, names: Sequence[str], baseline: Any
) -> Iterator[tuple[Mapping[str, Any], tuple[int, int]]]:
    """Yield what two points have in common, and their numbers."""
    others = [name for name in study.over if name not in names]
    groups: dict[tuple[Any, ...], list[int]] = {}
    for number, point in enumerate(study.points[others].to_dict("records")):
        groups.setdefault(tuple(point.values()), []).append(number)
    found = False
    for key, numbers in groups.items():
        common = dict(zip(others, key, strict=True))
        base = None if baseline is None else study.find(baseline, numbers, names)
        if base is None and baseline is not None:
            continue
        pairs = (
            combinations(numbers, 2)
            if base is None
            else ((base, each) for each in numbers if each != base)
        )
        for pair in pairs:
            found = True
            yield common, pair
    if not found:
        raise UsageError(f"there is nothing to compare{_why(study, names, baseline)}")


def _why(study: Study, names: Sequence[str], baseline: Any) -> str:
    if len(study.points) == 1:
        return ": there is one point; sweep over two at least"
    if baseline is not None:
        return f" with the baseline {baseline!r}; study.points has what points there are"
    return f": no two points differ in {names[0]} alone; sweep over two values of it"
