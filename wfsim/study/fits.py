"""Distributions fitted to durations by maximum likelihood, censored ones included.

A duration whose end nobody saw says that it was longer: it adds the logarithm of the
survival function to the likelihood (`scipy.stats.CensoredData`).  The uncertainty of the
parameters is the inverse of the observed information, in logarithms of what must be
positive, so that an interval never leaves its range.
"""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from wfsim.model.distributions import MOST_VALUES, stats
from wfsim.model.duration import Duration

CANDIDATES = ("lognormal", "gamma", "weibull", "exponential")
DIGITS = 5
"""Parameters are kept to so many digits: more are noise, and differ between machines."""

_LEAST = {"lognormal": 3, "gamma": 3, "weibull": 3, "exponential": 1}
_STEP = 1e-4

Matrix = tuple[tuple[float, ...], ...]


class Sample(NamedTuple):
    """Durations in seconds: those that were *seen* to their end and those *cut* short.

    Both are sorted.  What took no time that its clock could show took less than the
    shortest that did.
    """

    seen: tuple[float, ...]
    cut: tuple[float, ...] = ()

    @property
    def timed(self) -> tuple[float, ...]:
        """Those of the seen ones that took some time."""
        return self.seen[bisect_right(self.seen, 0.0) :]

    def data(self, scale: float) -> Any:
        """Return it as `scipy.stats.CensoredData`, in units of *scale* seconds."""
        timed, cut = self.timed, [value / scale for value in self.cut]
        short = [timed[0] / scale] * (len(self.seen) - len(timed))
        seen = [value / scale for value in timed]
        return stats().CensoredData(seen, left=short, right=cut)

    def steps(self) -> Any:
        """Return the sample's own distribution function, as `scipy.stats.ecdf` has it."""
        return stats().ecdf(stats().CensoredData(self.seen, right=self.cut)).cdf


class Fit(NamedTuple):
    """A distribution that was fitted.

    *aic* is Akaike's criterion with its correction for small samples (the smaller the
    better), *ks* the largest distance between its distribution function and that of the
    sample (Kaplan and Meier's, if some are censored).  *spread* is the covariance of
    the parameters; see `free` for the scale that it is on.  Without it nothing is known
    of their uncertainty.
    """

    duration: Duration
    aic: float
    ks: float
    spread: Matrix = ()

    @property
    def name(self) -> str:
        """The name of the distribution."""
        return self.duration.name

    def interval(self, level: float) -> list[tuple[float, float, float]]:
        """Return (value, low, high) of each parameter, the interval at *level*."""
        if not self.spread:
            return []
        z = stats().norm.ppf(0.5 + level / 2.0)
        at = free(self.duration)
        found = []
        for place, value in enumerate(self.duration.params):
            width = z * math.sqrt(self.spread[place][place])
            ends = []
            for end in (at[place] - width, at[place] + width):
                moved = [*at[:place], end, *at[place + 1 :]]
                ends.append(_rounded(bound(self.name, moved).params[place], 4))
            found.append((float(value), ends[0], ends[1]))
        return found

    def drawn(self, normals: Sequence[float]) -> Duration:
        """Return the distribution with parameters drawn from their uncertainty.

        *normals* are independent draws from the standard normal distribution.
        """
        if not self.spread:
            return self.duration
        import numpy as np

        root = np.linalg.cholesky(np.array(self.spread))
        moved = np.array(free(self.duration)) + root @ np.array(normals[: len(root)])
        return bound(self.name, [float(value) for value in moved])


def free(duration: Duration) -> list[float]:
    """Return the parameters of a fitted *duration* on a scale without bounds.

    That is their logarithm, but for the mean of a lognormal's logarithm.
    """
    p = duration.params
    if duration.name == "lognormal":
        return [p[0], math.log(p[1])]
    return [math.log(value) for value in p]


def bound(name: str, values: Sequence[float]) -> Duration:
    """Return the distribution *name* whose `free` parameters are *values*."""
    if name == "lognormal":
        return Duration(name, (values[0], math.exp(values[1])))
    return Duration(name, tuple(math.exp(value) for value in values))


def fitted(sample: Sample, candidates: Sequence[str] = CANDIDATES) -> tuple[Fit, ...]:
    """Return the fits of *candidates* to *sample*, the best (of the least AIC) first.

    What never varies is a constant, what fits none of them empirical; both are without
    uncertainty.  Without a duration that was seen to its end there is no fit.
    """
    if not sample.seen:
        return ()
    longest = max(sample.seen)
    if longest - min(sample.seen) <= 1e-9 * longest:
        return (given(sample, Duration.parse(_rounded(longest, DIGITS))),)
    with warnings.catch_warnings():
        # On its way the optimiser looks at parameters that overflow.
        warnings.simplefilter("ignore")
        found = [fit for name in candidates if (fit := _fit(sample, name))]
    found.sort(key=lambda fit: fit.aic)
    return tuple(found) or (empirical(sample),)


def empirical(sample: Sample) -> Fit:
    """Return the durations that were seen as a distribution; censored ones are lost."""
    # Of very many every so manieth says the same.
    thin = -(-len(sample.seen) // MOST_VALUES)
    values = [_rounded(value, 9) for value in sample.seen[::thin]]
    return given(sample, Duration.parse({"empirical": values}))


def given(sample: Sample, duration: Duration) -> Fit:
    """Return *duration*, which was not fitted to *sample*, with its distance from it."""
    return Fit(duration, math.nan, distance(sample, duration))


def distance(sample: Sample, duration: Duration) -> float:
    """Return the KS distance between *sample* and *duration*, from 0 to 1."""
    steps = sample.steps()
    worst, before = 0.0, 0.0
    for x, share in zip(steps.quantiles, steps.probabilities, strict=True):
        left = duration.cdf(math.nextafter(x, -math.inf))
        worst = max(worst, abs(duration.cdf(x) - share), abs(left - before))
        before = float(share)
    return float(worst)


def _fit(sample: Sample, name: str) -> Fit | None:
    """Return the fit of *name*, None if *sample* has too little for it."""
    if len(sample.timed) < _LEAST[name]:
        return None
    scale = sum(sample.timed) / len(sample.timed)
    loss = _loss(sample, name)
    try:
        duration = _likeliest(sample, name, scale)
        spread = _inverse(_curvature(loss, free(duration)))
    except (ArithmeticError, ValueError):
        return None
    if spread is None:
        return None
    count, size = len(duration.params), len(sample.seen)
    aic = 2.0 * loss(free(duration)) + 2.0 * count
    aic += 2.0 * count * (count + 1) / max(size - count - 1, 1)
    return Fit(duration, aic, distance(sample, duration), spread)


def _likeliest(sample: Sample, name: str, scale: float) -> Duration:
    from scipy.optimize import fmin

    # Tighter than scipy's own, so that machines agree on the digits that are kept.
    search = partial(fmin, xtol=1e-9, ftol=1e-9, maxiter=2000, maxfun=2000)
    found = _families()[name].fit(sample.data(scale), floc=0.0, optimizer=search)
    shape, wide = found[:-2], float(found[-1]) * scale
    values = [float(value) for value in (*shape, wide)]
    if name == "lognormal":
        values = [math.log(wide), values[0]]
    return Duration.parse({name: [_rounded(value, DIGITS) for value in values]})


def _families() -> dict[str, Any]:
    family = stats()
    return {
        "lognormal": family.lognorm,
        "gamma": family.gamma,
        "weibull": family.weibull_min,
        "exponential": family.expon,
    }


def _loss(sample: Sample, name: str) -> Callable[[Sequence[float]], float]:
    """Return minus the log-likelihood of *sample* as a function of free parameters."""
    import numpy as np

    timed, cut = np.array(sample.timed), np.array(sample.cut)
    short = len(sample.seen) - len(timed)

    def loss(values: Sequence[float]) -> float:
        dist = bound(name, values).dist()
        left = short * dist.logcdf(timed[0])
        return -float(dist.logpdf(timed).sum() + left + dist.logsf(cut).sum())

    return loss


def _curvature(loss: Callable[[Sequence[float]], float], at: list[float]) -> Any:
    """Return the second derivatives of *loss*, by central differences."""
    import numpy as np

    size = len(at)
    found = np.empty((size, size))

    def moved(*steps: tuple[int, float]) -> float:
        values = list(at)
        for place, step in steps:
            values[place] += step
        return loss(values)

    h = _STEP
    for i in range(size):
        for j in range(size):
            corners = moved((i, h), (j, h)) - moved((i, h), (j, -h))
            corners += moved((i, -h), (j, -h)) - moved((i, -h), (j, h))
            found[i, j] = corners / (4.0 * h * h)
    return (found + found.T) / 2.0


def _inverse(curvature: Any) -> Matrix | None:
    """Return the inverse, None unless the point is a minimum."""
    import numpy as np

    if not np.isfinite(curvature).all() or (np.linalg.eigvalsh(curvature) <= 0.0).any():
        return None
    inverse = np.linalg.inv(curvature)
    return tuple(tuple(_rounded(float(value), 4) for value in row) for row in inverse)


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")
