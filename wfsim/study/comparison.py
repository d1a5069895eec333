"""Points of a study against each other: in pairs, in a ranking, parameter by parameter.

Replication r had the same seed at both, so what is compared are pairs.  The interval of a
difference is the bias-corrected and accelerated bootstrap over replications (Efron 1987),
its p-value that of a permutation test that swaps the two of a pair, both by scipy.stats;
p-values of many comparisons are corrected as by Holm (1979).  All of it is seeded.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from wfsim.errors import UsageError
from wfsim.model.distributions import stats
from wfsim.report.frames import TEXT, frame
from wfsim.report.grouping import in_seconds, limit_of, quantile
from wfsim.study.design import Design, problem
from wfsim.study.estimates import (
    Interval,
    Sample,
    Samples,
    check_confidence,
    interval,
    intervals_of,
)
from wfsim.study.execution import library
from wfsim.study.grid import label_of
from wfsim.study.summary import groups

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from wfsim.study.study import Study

RESAMPLES = 1_999
PERMUTATIONS = 4_999
"""The smallest p-value that can be found is two in one more than so many."""

_AT_A_TIME = 2_000_000


def compare(
    study: Study,
    baseline: Any,
    measure: str,
    parameters: Sequence[str],
    by: Sequence[str],
    confidence: float,
) -> pd.DataFrame:
    """Return what `Study.compare` does, of the *parameters* and *by* flow or class."""
    check_confidence(confidence)
    names = _varied(study, parameters)
    rows = [
        row | dict(of)
        for of, part in groups(study, by)
        for row in _compared(part, baseline, measure, names, confidence)
    ]
    if not rows:
        which = " and ".join(by)
        raise UsageError(f"there is nothing to compare: no two points have one {which}")
    for row, corrected in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = corrected
    others = [name for name in study.over if name not in names]
    numbers = ("at_a", "at_b", "difference", "low", "high", "relative", "p", "p_holm")
    columns = [*others, *by, "a", "b", *numbers, "replications"]
    dtypes = {
        **{name: study.points[name].dtype for name in others},
        **dict.fromkeys((*by, "a", "b"), TEXT),
        **dict.fromkeys(numbers, "float64"),
        "replications": "int64",
    }
    pairs = frame({name: [row[name] for row in rows] for name in columns}, dtypes)
    # What a chart of it is in, and what a and b are values of, if they do not say it.
    pairs.attrs.update(measure=measure, by=names[0] if len(names) == 1 else "")
    return pairs


def _compared(
    study: Study, baseline: Any, measure: str, names: Sequence[str], confidence: float
) -> Iterator[dict[str, Any]]:
    """Yield the row of each pair of points of *study*."""
    samples = Samples(study, measure)
    runs = study.by_point("replications").groupby("point")["runs"].sum()
    for group, pair in _pairs(study, names, baseline):
        if not all(runs.get(point, 0) for point in pair):
            continue
        a, b = (samples.at(point) for point in pair)
        a, b = paired(a, b)
        texts = [study.label(point, names) for point in pair]
        gap = difference(a, b, confidence)
        yield {
            **group,
            "a": texts[0],
            "b": texts[1],
            "at_a": a.estimate,
            "at_b": b.estimate,
            "difference": gap.estimate,
            "low": gap.low,
            "high": gap.high,
            "relative": gap.estimate / a.estimate if a.estimate else math.nan,
            "p": p_value(a, b),
            "replications": len(a),
        }


def paired(a: Sample, b: Sample) -> tuple[Sample, Sample]:
    """Return *a* and *b* in the replications that both have."""
    both = np.intersect1d(a.numbers, b.numbers)
    return a.only(both), b.only(both)


def difference(a: Sample, b: Sample, confidence: float = 0.95) -> Interval:
    """Return the measure of *b* less that of *a*, both of the same replications."""
    size = len(a)
    estimate = b.estimate - a.estimate
    if size < 2 or not math.isfinite(estimate):
        return Interval(estimate, math.nan, math.nan)

    def statistic(places: NDArray[Any], axis: int = -1) -> NDArray[Any]:
        drawn = np.moveaxis(places, axis, -1).astype(np.intp)
        return _less(b.of(drawn), a.of(drawn))

    with warnings.catch_warnings():
        # Of replications that all say the same: what is done then is below.
        warnings.simplefilter("ignore")
        resampled = stats().bootstrap(
            (np.arange(size),),
            statistic,
            vectorized=True,
            n_resamples=RESAMPLES,
            batch=max(1, _AT_A_TIME // size),
            confidence_level=confidence,
            method="BCa",
            random_state=np.random.default_rng(size),
        )
    low, high = map(float, resampled.confidence_interval)
    if math.isnan(low) or math.isnan(high):
        tail = (1.0 - confidence) / 2.0
        spread = np.sort(resampled.bootstrap_distribution).tolist()
        low, high = (quantile(spread, q) for q in (tail, 1.0 - tail))
    return Interval(estimate, low, high)


def p_value(a: Sample, b: Sample) -> float:
    """Return how likely so large a difference is if it makes none which is which."""
    size = len(a)
    if size < 2 or not math.isfinite(b.estimate - a.estimate):
        return math.nan
    both = _joined(a, b)

    def statistic(x: NDArray[Any], y: NDArray[Any], axis: int = -1) -> NDArray[Any]:
        ours, theirs = (
            both.of(np.moveaxis(each, axis, -1).astype(np.intp)) for each in (x, y)
        )
        # Without rounding, sums of the same numbers in another order would differ.
        return np.asarray(np.round(_less(theirs, ours), 9))

    test = stats().permutation_test(
        (np.arange(size), np.arange(size) + size),
        statistic,
        permutation_type="samples",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        batch=max(1, _AT_A_TIME // size),
        random_state=np.random.default_rng(size),
    )
    return float(test.pvalue)


def _less(b: NDArray[Any], a: NDArray[Any]) -> NDArray[Any]:
    """Return *b* less *a*, nothing where both are infinite."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(a) & np.isinf(b), 0.0, b - a)


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


def _varied(study: Study, parameters: Sequence[str]) -> tuple[str, ...]:
    for name in parameters:
        study.check_parameter(name)
    return tuple(parameters) or study.over


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


RANKINGS = 4_999
"""So many bootstrap samples say how likely each point is the best."""

_BLOCK = 200


def is_better_large(measure: str) -> bool:
    """Whether more of *measure* is better; of times and of one's own measures less is."""
    return measure == "success" or limit_of(measure) is not None


def rank(
    study: Study, measure: str, largest: bool | None, confidence: float
) -> pd.DataFrame:
    """Return what `Study.rank` does."""
    check_confidence(confidence)
    samples = Samples(study, measure)
    every = [samples.at(point) for point in range(len(study.points))]
    success = intervals_of(study, "success", confidence)
    is_eligible = _as_reliable(success, measure)
    # A point that never has the measure is not the best, and no reason to say nothing.
    able = [
        at
        for at, each in enumerate(every)
        if not math.isnan(each.estimate) and is_eligible[at]
    ]
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
    most = is_better_large(measure) if largest is None else largest
    sign = -1.0 if most else 1.0
    best = np.zeros(len(every))
    best[able] = best_of([every[at].only(numbers) for at in able], sign)
    intervals = [interval(each, confidence) for each in every]
    estimates = sign * np.array([each.estimate for each in intervals])
    # NaN comes last, and whatever fails more often after all that does not.
    order = np.lexsort((estimates, ~np.array(is_eligible)))
    columns: dict[str, Any] = {
        name: [study.points[name].tolist()[at] for at in order] for name in study.over
    }
    columns |= {
        "rank": list(range(1, len(order) + 1)),
        measure: [intervals[at].estimate for at in order],
        "low": [intervals[at].low for at in order],
        "high": [intervals[at].high for at in order],
        "best": [float(best[at]) for at in order],
    }
    if measure != "success":
        columns["success"] = [success[at].estimate for at in order]
    dtypes = {name: study.points[name].dtype for name in study.over}
    numbers_of = dict.fromkeys((measure, "low", "high", "best", "success"), "float64")
    return frame(columns, {**numbers_of, "rank": "int64", **dtypes})


def best_of(common: Sequence[Sample], sign: float) -> NDArray[Any]:
    """Return how likely each of the samples is the least, or the most if *sign* is -1.

    They are of the same replications, which are drawn for all together.  How far what is
    drawn lies from the estimate is stretched as Student's t is against the normal: with
    few replications nothing else says that their spread is not known either.  One alone
    says nothing: NaN.
    """
    size = len(common[0])
    if size < 2 and len(common) > 1:
        return np.full(len(common), math.nan)
    draws = np.random.default_rng(size)
    estimates = np.array([[each.estimate] for each in common])
    best = np.zeros(len(common))
    for begin in range(0, RANKINGS, _BLOCK):
        rows = min(_BLOCK, RANKINGS - begin)
        drawn = draws.integers(size, size=(rows, size))
        values = np.array([each.of(drawn) for each in common])
        if size > 1:
            stretch = np.sqrt(size / draws.chisquare(size - 1, size=rows))
            with np.errstate(invalid="ignore"):  # of what is infinite
                stretched = estimates + (values - estimates) * stretch
            values = np.where(np.isfinite(stretched), stretched, values)
        values = np.where(np.isnan(values), np.inf, sign * values)
        first = np.isclose(values, values.min(axis=0), rtol=1e-12, atol=0.0)
        best += (first / first.sum(axis=0)).sum(axis=1)
    return best / RANKINGS


def _as_reliable(success: Sequence[Interval], measure: str) -> list[bool]:
    """Return whether each point may do as many of its runs as any other does.

    Times of runs say little where others are not done at all: which of two points is
    quicker is asked only if neither is known to do a smaller share of its runs.
    """
    if not in_seconds(measure):
        return [True] * len(success)
    most = max((each.low for each in success if not math.isnan(each.low)), default=0.0)
    some = any(each.estimate > 0.0 for each in success)
    return [
        math.isnan(each.estimate)
        or (each.high >= most and (each.estimate > 0.0 or not some))
        for each in success
    ]


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
    dtypes = {**dict.fromkeys(ends, "float64"), "notice": TEXT}
    inert = study.inert()
    notices = [f"{name} makes no difference at all" * (name in inert) for name in names]
    if (values == values[0]).all():
        columns: dict[str, Any] = {name: [0.0] * len(names) for name in ends}
        same = f"{measure} is the same at every point"
        notices = [notice or same for notice in notices]
        return frame({"parameter": names, **columns, "notice": notices}, dtypes)
    indices = library("SALib.analyze.sobol").analyze(
        problem(design.axes),
        values,
        calc_second_order=False,
        conf_level=confidence,
        num_resamples=1000,
        seed=len(values),
    )
    columns = {"parameter": names}
    for kind, short in (("first", "S1"), ("total", "ST")):
        index, reach = indices[short], indices[f"{short}_conf"]
        columns[kind] = [float(each) for each in index]
        columns[f"{kind}_low"] = [float(each) for each in index - reach]
        columns[f"{kind}_high"] = [float(each) for each in index + reach]
    columns["notice"] = notices
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
    drawn = frame(columns, numbers)
    drawn.attrs["measure"] = measure  # what a chart of it is in
    return drawn


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
    numbers = np.array(values)
    if np.isnan(numbers).any():
        unknown = int(np.isnan(numbers).sum())
        raise UsageError(
            f"{unknown} of {len(numbers)} points have no {measure!r}; replicate "
            "more often, or take another measure"
        )
    return numbers
