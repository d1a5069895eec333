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
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from wfsim.model.distributions import MOST_VALUES, stats
from wfsim.model.duration import Duration

CANDIDATES = ("lognormal", "gamma", "weibull", "exponential", "empirical")
"""What may be fitted; empirical are the values as they were seen."""

DIGITS = 5
"""How many digits parameters have: more are noise, and differ between machines."""

_DOUBTFUL = {"lognormal": 0.9, "weibull": 0.9, "gamma": 0.93, "exponential": 1.1}
"""What a KS distance times the root of n exceeds by chance one time in twenty.

It is less for a distribution that was fitted to the same sample than Kolmogorov's 1.36.
Measured on 300 samples of 60; Lilliefors (1967, 1969) has 0.886 for the normal and 1.06
for the exponential distribution.
"""
_LEAST = {"lognormal": 3, "gamma": 3, "weibull": 3, "exponential": 1}
_STEP = 1e-4

Matrix: TypeAlias = tuple[tuple[float, ...], ...]
Loss: TypeAlias = Callable[[Sequence[float]], float]


class Observed(NamedTuple):
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


def would_complete(
    completed: Sequence[float], failed: Sequence[float], cut: Sequence[float]
) -> list[float]:
    """Return as many of *cut* as would have completed, evenly over them; all are sorted.

    Where failures are left out, all of what was cut short would be too much.  How likely
    one would have completed is the share of those that did among those that ended later,
    weighted by Aalen and Johansen (1978); where none did, among all.

    >>> would_complete([1.0, 9.0], [1.0, 9.0], [5.0, 6.0])
    [5.0]
    >>> would_complete([1.0, 9.0], [1.0, 2.0], [5.0, 6.0])
    [5.0, 6.0]
    """
    tried = len(completed) + len(failed)
    if not (completed and failed and cut):
        return list(cut)
    done, lost, gone = Counter(completed), Counter(failed), Counter(cut)
    at_risk, alive, incidence = tried + len(cut), 1.0, 0.0
    then: dict[float, tuple[float, float]] = {}
    for time in sorted({*done, *lost, *gone}):
        incidence += alive * done[time] / at_risk
        alive *= 1.0 - (done[time] + lost[time]) / at_risk
        then[time] = alive, incidence
        at_risk -= done[time] + lost[time] + gone[time]
    completing, total = [], 0.0
    for time in cut:
        before = math.floor(total + 0.5)
        later = then[time][0] - alive
        share = (incidence - then[time][1]) / later if later > 1e-12 else 0.0
        total += share if later > 1e-12 else len(completed) / tried
        if math.floor(total + 0.5) > before:
            completing.append(time)
    return completing


class Fit(NamedTuple):
    """A distribution that was fitted.

    *aic* is Akaike's criterion with its correction for small samples (the smaller the
    better), *ks* the largest distance between its distribution function and that of the
    sample (Kaplan and Meier's, if some are censored).  *spread* is the covariance of
    the parameters; see `free` for the scale that it is on.  Without it nothing is known
    of their uncertainty.  It is *doubtful* if it is further from the sample than chance
    explains, at 5 %.
    """

    duration: Duration
    aic: float
    ks: float
    spread: Matrix = ()
    doubtful: bool = False

    @property
    def name(self) -> str:
        """The name of the distribution."""
        return self.duration.name

    def interval(self, confidence: float) -> list[tuple[float, float, float]]:
        """Return (value, low, high) of each parameter, the interval at *confidence*."""
        if not self.spread:
            return []
        z = stats().norm.ppf(0.5 + confidence / 2.0)
        at = free(self.duration)
        intervals = []
        for number, value in enumerate(self.duration.params):
            width = z * math.sqrt(self.spread[number][number])
            ends = []
            for end in (at[number] - width, at[number] + width):
                moved = [*at[:number], end, *at[number + 1 :]]
                ends.append(_rounded(bound(self.name, moved).params[number], 4))
            # An end has fewer digits than the value, and may be rounded to beyond it.
            intervals.append((float(value), min(ends[0], value), max(ends[1], value)))
        return intervals

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


def fitted(sample: Observed, candidates: Sequence[str] = CANDIDATES) -> tuple[Fit, ...]:
    """Return the fits of *candidates* to *sample*, the best first.

    That is the one of the least AIC among those that are not doubtful; ``empirical``
    comes after them, and before those that are.  What never varies is a constant, and
    where none of *candidates* can be fitted the sample is taken as it was.  Without a
    duration that was seen to its end there is no fit.
    """
    if not sample.seen:
        return ()
    longest = max(sample.seen)
    alike = longest - min(sample.seen) <= 1e-9 * longest
    # What was cut short after it shows that it does vary.
    if alike and all(value <= longest for value in sample.cut):
        return (Fit(Duration.parse(_rounded(longest, DIGITS)), math.nan, 0.0),)
    with warnings.catch_warnings():
        # The optimiser also looks at parameters that overflow.
        warnings.simplefilter("ignore")
        families = [name for name in candidates if name != "empirical"]
        fits = [fit for name in families if (fit := _fit(sample, name))]
    fits.sort(key=lambda fit: fit.aic)
    if "empirical" in candidates or not fits:
        fits.append(empirical(sample))
    return tuple(sorted(fits, key=lambda fit: fit.doubtful))


def empirical(sample: Observed) -> Fit:
    """Return the durations that were seen as a distribution.

    Where some were cut short its values are quantiles of Kaplan and Meier's estimate;
    what that leaves beyond the last duration that was seen is the longest known.
    """
    import numpy as np

    steps = sample.steps()
    size = min(len(sample.seen) + len(sample.cut), MOST_VALUES)
    shares = (np.arange(size) + 0.5) / size
    places = np.searchsorted(steps.probabilities, shares)
    longest = max(sample.seen[-1:] + sample.cut[-1:])
    known = [*map(float, steps.quantiles), longest]
    values = [_rounded(known[index], 9) for index in places]
    return given(sample, Duration.parse({"empirical": values}))


def given(sample: Observed, duration: Duration) -> Fit:
    """Return *duration*, which was not fitted to *sample*, with its distance from it."""
    ks = distance(sample, duration)
    return Fit(duration, math.nan, ks, doubtful=_is_doubtful(ks, sample, 1.36))


def _is_doubtful(ks: float, sample: Observed, most: float) -> bool:
    return bool(ks * math.sqrt(len(sample.seen)) > most)


def distance(sample: Observed, duration: Duration) -> float:
    """Return the KS distance between *sample* and *duration*, from 0 to 1."""
    steps = sample.steps()
    worst, before = 0.0, 0.0
    for x, share in zip(steps.quantiles, steps.probabilities, strict=True):
        left = duration.cdf(math.nextafter(x, -math.inf))
        worst = max(worst, abs(duration.cdf(x) - share), abs(left - before))
        before = float(share)
    return float(worst)


def _fit(sample: Observed, name: str) -> Fit | None:
    """Return the fit of *name*, None if *sample* has too little for it."""
    if len(sample.timed) < _LEAST[name]:
        return None
    scale = sum(sample.timed) / len(sample.timed)
    loss = _loss(sample, name)
    try:
        best, curvature = _polished(loss, _likeliest(sample, name, scale))
        duration, spread = _to_digits(bound(name, best)), _inverse(curvature)
    except (ArithmeticError, ValueError, stats().FitError):
        return None
    if spread is None:
        return None
    count, size = len(duration.params), len(sample.seen)
    aic = 2.0 * loss(free(duration)) + 2.0 * count
    aic += 2.0 * count * (count + 1) / max(size - count - 1, 1)
    ks = distance(sample, duration)
    return Fit(duration, aic, ks, spread, _is_doubtful(ks, sample, _DOUBTFUL[name]))


def _likeliest(sample: Observed, name: str, scale: float) -> list[float]:
    """Return the free parameters that scipy's optimiser finds."""
    parameters = _families()[name].fit(sample.data(scale), floc=0.0)
    values = [float(parameters[-1]) * scale]
    if name == "lognormal":
        return [math.log(values[0]), math.log(float(parameters[0]))]
    return [math.log(value) for value in (*map(float, parameters[:-2]), *values)]


def _to_digits(duration: Duration) -> Duration:
    values = [_rounded(value, DIGITS) for value in duration.params]
    return Duration.parse({duration.name: values})


def _families() -> dict[str, Any]:
    family = stats()
    return {
        "lognormal": family.lognorm,
        "gamma": family.gamma,
        "weibull": family.weibull_min,
        "exponential": family.expon,
    }


def _loss(sample: Observed, name: str) -> Loss:
    """Return minus the log-likelihood of *sample* as a function of free parameters."""
    import numpy as np

    timed, cut = np.array(sample.timed), np.array(sample.cut)
    short = len(sample.seen) - len(timed)

    family = _families()[name]

    def loss(values: Sequence[float]) -> float:
        shape, scale = [math.exp(value) for value in values[:-1]], math.exp(values[-1])
        if name == "lognormal":
            shape, scale = [scale], math.exp(values[0])
        likelihood = family.logpdf(timed, *shape, scale=scale).sum()
        if len(cut):
            likelihood += family.logsf(cut, *shape, scale=scale).sum()
        if short:
            likelihood += short * family.logcdf(timed[0], *shape, scale=scale)
        return -float(likelihood)

    return loss


def _polished(loss: Loss, at: list[float]) -> tuple[list[float], Any]:
    """Return where *loss* is least, near *at*, and its second derivatives there.

    By Newton's method: scipy's simplex stops at four digits, and where it stops may
    differ between machines.
    """
    import numpy as np

    slope, curvature = _derivatives(loss, at)
    for _ in range(5):
        step = np.linalg.solve(curvature, slope)
        if not np.isfinite(step).all() or np.abs(step).max() > 1.0:
            break
        at = [float(value) for value in np.array(at) - step]
        slope, curvature = _derivatives(loss, at)
        if np.abs(step).max() < 1e-7:
            break
    return at, curvature


def _derivatives(loss: Loss, at: list[float]) -> tuple[Any, Any]:
    """Return the first and second derivatives of *loss*, by central differences."""
    import numpy as np

    size, h = len(at), _STEP
    middle = loss(at)

    def moved(*steps: tuple[int, float]) -> float:
        values = list(at)
        for number, step in steps:
            values[number] += step
        return loss(values)

    slope, curvature = np.empty(size), np.empty((size, size))
    for i in range(size):
        more, less = moved((i, h)), moved((i, -h))
        slope[i] = (more - less) / (2.0 * h)
        curvature[i, i] = (more - 2.0 * middle + less) / (h * h)
        for j in range(i):
            corners = moved((i, h), (j, h)) - moved((i, h), (j, -h))
            corners += moved((i, -h), (j, -h)) - moved((i, -h), (j, h))
            curvature[i, j] = curvature[j, i] = corners / (4.0 * h * h)
    return slope, curvature


def _inverse(curvature: Any) -> Matrix | None:
    """Return the inverse, None unless the point is a minimum."""
    import numpy as np

    if not np.isfinite(curvature).all() or (np.linalg.eigvalsh(curvature) <= 0.0).any():
        return None
    inverse = np.linalg.inv(curvature)
    return tuple(tuple(_rounded(float(value), 4) for value in row) for row in inverse)


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")
