"""Confidence intervals of what a study has measured at one point.

=========== =======================================================================
a mean      Student's t on the means of replications (Law 2015, 4.5)
a quantile  order statistics, which assume no distribution, where each replication has
            one run (David and Nagaraja 2003, 7.1); else Woodruff's interval: that of
            the share of runs below, by replications, turned back into durations
            (Woodruff 1952; Francisco and Fuller 1991)
a share     Wilson's score interval (Wilson 1927) where each replication has one run;
            else Student's t on the shares of replications
=========== =======================================================================

An end beyond what the data can tell is infinite: of 50 runs none bounds the p95.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from wfsim.errors import UsageError
from wfsim.model.distributions import stats
from wfsim.study.sample import Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Interval(NamedTuple):
    """An *estimate* and the ends of its confidence interval; NaN where unknown."""

    estimate: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half of the distance from *low* to *high*."""
        return (self.high - self.low) / 2.0


def interval(sample: Sample, confidence: float = 0.95) -> Interval:
    """Return the interval of the mean, share or quantile that *sample* is of."""
    if sample.runs is not None:
        return of_success(sample.values, sample.runs, confidence)
    if sample.share is None:
        return of_mean(sample.values, confidence)
    if sample.is_simple:
        return _order_statistics(sample.values, sample.share, confidence)
    return _woodruff(sample, confidence)


def of_mean(values: NDArray[Any], confidence: float = 0.95) -> Interval:
    """Return Student's interval of the mean of independent *values*."""
    size = len(values)
    if not size:
        return Interval(math.nan, math.nan, math.nan)
    mean = float(np.mean(values))
    if size < 2:
        return Interval(mean, -math.inf, math.inf)
    reach = _t(size - 1, confidence) * float(np.std(values, ddof=1)) / math.sqrt(size)
    return Interval(mean, mean - reach, mean + reach)


def of_success(
    shares: NDArray[Any], runs: NDArray[Any], confidence: float = 0.95
) -> Interval:
    """Return the interval of a success rate: *shares* of so many *runs* each.

    Where all shares are equal their spread says nothing, and each replication counts
    as one run.
    """
    shares, runs = shares[runs > 0], runs[runs > 0]
    if not len(shares):
        return Interval(math.nan, math.nan, math.nan)
    mean = float(np.mean(shares))
    if (runs == 1).all() or (shares == shares[0]).all():
        return Interval(mean, *_wilson(mean, len(shares), confidence))
    _, low, high = of_mean(shares, confidence)
    return Interval(mean, max(low, 0.0), min(high, 1.0))


def _wilson(share: float, size: int, confidence: float) -> tuple[float, float]:
    z = float(stats().norm.ppf((1.0 + confidence) / 2.0))
    scale = 1.0 + z * z / size
    centre = (share + z * z / (2 * size)) / scale
    spread = share * (1.0 - share) / size + z * z / (4 * size * size)
    reach = z / scale * math.sqrt(spread)
    # At the ends of the scale the formula is exact but for rounding.
    low = 0.0 if share == 0.0 else max(centre - reach, 0.0)
    return low, 1.0 if share == 1.0 else min(centre + reach, 1.0)


def _order_statistics(values: NDArray[Any], share: float, confidence: float) -> Interval:
    size = len(values)
    if not size:
        return Interval(math.nan, math.nan, math.nan)
    tail = (1.0 - confidence) / 2.0
    binomial = stats().binom(size, share)
    below, above = int(binomial.ppf(tail)), int(binomial.ppf(1.0 - tail)) + 1
    return Interval(
        float(np.quantile(values, share)),
        float(values[below - 1]) if below >= 1 else 0.0,
        float(values[above - 1]) if above <= size else math.inf,
    )


def _woodruff(sample: Sample, confidence: float) -> Interval:
    values, owners, share = sample.values, sample.owners, sample.share
    if not len(values) or owners is None or share is None:
        return Interval(math.nan, math.nan, math.nan)
    size = len(sample)
    estimate = float(np.quantile(values, share))
    if size < 2:
        return Interval(estimate, 0.0, math.inf)
    runs = np.bincount(owners, minlength=size)
    below = np.bincount(owners, weights=values <= estimate, minlength=size)
    # The share of runs below is a ratio of two means over replications.
    rest = (below - below.sum() / runs.sum() * runs) / runs.mean()
    reach = _t(size - 1, confidence) * float(np.sqrt((rest**2).sum() / (size - 1) / size))
    low, high = share - reach, share + reach
    return Interval(
        estimate,
        float(np.quantile(values, low)) if low > 0.0 else 0.0,
        float(np.quantile(values, high)) if high < 1.0 else math.inf,
    )


def _t(freedom: int, confidence: float) -> float:
    return float(stats().t.ppf((1.0 + confidence) / 2.0, freedom))


def check_confidence(confidence: Any) -> None:
    """Raise `UsageError` for what is not between 0 and 1."""
    if not (isinstance(confidence, float) and 0.0 < confidence < 1.0):
        raise UsageError(
            f"confidence is {confidence!r}; give a number between 0 and 1, such as 0.95"
        )
