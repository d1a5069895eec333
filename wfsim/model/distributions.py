"""The distributions that a `Duration` may have, each by what its parameters mean.

A distribution is known by its quantile function, its distribution function and the
part of its mean that lies below a value; everything else follows from these three.
Formulas are those of `scipy.stats`, with which the tests compare them.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Mapping
from statistics import NormalDist
from typing import Any, TypeAlias

from wfsim.errors import UsageError

Params: TypeAlias = tuple[Any, ...]
Parse: TypeAlias = Callable[[Any], Any]

TINY = 2.0**-54
NARROW = 1e-12
NORMAL = NormalDist()
MOST_SECONDS = 1e12
MOST_VALUES = 100_000


class Family(ABC):
    """One kind of distribution; *p* are its parameters.

    Values are seconds, *u* is a share from 0 to below 1.
    """

    name: str
    takes: tuple[str, ...]
    """What its parameters are called, in the order in which they are given."""

    def read(self, given: Any, parse: Parse) -> Params:
        """Return the parameters that *given* says, or raise `ValueError`."""
        listed = given if isinstance(given, (list, tuple)) else [given]
        if len(listed) != len(self.takes) or isinstance(given, Mapping):
            raise ValueError(
                f"{self.name} takes [{', '.join(self.takes)}], numbers in a list, got "
                f"{given!r}"
            )
        p = tuple(seconds(item) for item in listed)
        self.check(p)
        return p

    def check(self, p: Params) -> None:
        """Raise `ValueError` unless *p* are non-negative numbers in rising order."""
        if p[0] < 0:
            raise ValueError(f"a duration is not negative, got {p[0]:g}")
        if list(p) != sorted(p):
            raise ValueError(f"{self.name} takes its numbers in rising order, got {p}")

    def spec(self, p: Params) -> Any:
        """Return what `read` reads back."""
        return list(p)

    def text(self, p: Params) -> str:
        """Return a distribution as a short text for readers."""
        return f"{self.name}({', '.join(f'{item:g}' for item in p)})"

    @abstractmethod
    def quantile(self, p: Params, u: float) -> float:
        """Return the least value up to which a share of at least *u* lies."""

    @abstractmethod
    def cdf(self, p: Params, x: float) -> float:
        """Return the share of values up to *x*."""

    @abstractmethod
    def below(self, p: Params, x: float) -> float:
        """Return what values up to *x* add to the mean."""

    def mean(self, p: Params) -> float:
        """Return the mean."""
        return self.below(p, math.inf)

    def highest(self, p: Params) -> float:
        """Return the value that none exceeds."""
        return math.inf

    def dist(self, p: Params, stats: Any) -> Any:
        """Return the frozen distribution of *stats*, None if it has none."""
        return None


class Constant(Family):
    name, takes = "constant", ("seconds",)

    def text(self, p: Params) -> str:
        return f"{p[0]:g} s"

    def quantile(self, p: Params, u: float) -> float:
        return float(p[0])

    def cdf(self, p: Params, x: float) -> float:
        return float(x >= p[0])

    def below(self, p: Params, x: float) -> float:
        return float(p[0]) if x >= p[0] else 0.0

    def highest(self, p: Params) -> float:
        return float(p[0])


class Uniform(Family):
    name, takes = "uniform", ("low", "high")

    def quantile(self, p: Params, u: float) -> float:
        return float(p[0] + (p[1] - p[0]) * u)

    def cdf(self, p: Params, x: float) -> float:
        if x >= p[1]:
            return 1.0
        return float((x - p[0]) / (p[1] - p[0])) if x > p[0] else 0.0

    def below(self, p: Params, x: float) -> float:
        return self.cdf(p, x) * (p[0] + min(x, p[1])) / 2.0 if x >= p[0] else 0.0

    def highest(self, p: Params) -> float:
        return float(p[1])

    def dist(self, p: Params, stats: Any) -> Any:
        return stats.uniform(p[0], p[1] - p[0]) if p[1] > p[0] else None


class Triangular(Family):
    name, takes = "triangular", ("low", "mode", "high")

    def quantile(self, p: Params, u: float) -> float:
        low, mode, high = p
        width = high - low
        if width == 0.0:
            return float(low)
        if u < (mode - low) / width:
            return float(low + math.sqrt(u * width * (mode - low)))
        return float(high - math.sqrt((1.0 - u) * width * (high - mode)))

    def cdf(self, p: Params, x: float) -> float:
        low, mode, high = p
        if x >= high:
            return 1.0
        if x >= mode:
            return float(1.0 - (high - x) / (high - low) * ((high - x) / (high - mode)))
        if x <= low:
            return 0.0
        return float((x - low) / (high - low) * ((x - low) / (mode - low)))

    def below(self, p: Params, x: float) -> float:
        low, mode, high = p
        if x >= high:
            return float(low + mode + high) / 3.0
        if x >= mode:
            rest = (1.0 - self.cdf(p, x)) * (2.0 * x + high) / 3.0
            return float((low + mode + high) / 3.0 - rest)
        if x <= low:
            return 0.0
        return float(self.cdf(p, x) * (2.0 * x + low) / 3.0)

    def highest(self, p: Params) -> float:
        return float(p[2])

    def dist(self, p: Params, stats: Any) -> Any:
        low, mode, high = p
        width = high - low
        return stats.triang((mode - low) / width, low, width) if width else None


class Exponential(Family):
    name, takes = "exponential", ("mean",)

    def quantile(self, p: Params, u: float) -> float:
        return float(-p[0] * math.log1p(-u))

    def cdf(self, p: Params, x: float) -> float:
        if p[0] == 0.0 or x <= 0.0:
            return float(p[0] == 0.0 and x >= 0.0)
        return -math.expm1(-x / p[0])

    def below(self, p: Params, x: float) -> float:
        if p[0] == 0.0 or x <= 0.0:
            return 0.0
        if x == math.inf:
            return float(p[0])
        ratio = x / p[0]
        return float(p[0] * (-math.expm1(-ratio) - ratio * math.exp(-ratio)))

    def dist(self, p: Params, stats: Any) -> Any:
        return stats.expon(scale=p[0]) if p[0] else None


class Lognormal(Family):
    name, takes = "lognormal", ("mu", "sigma")

    def check(self, p: Params) -> None:
        if p[1] < 0 or abs(p[0]) > 100 or p[1] > 100:
            raise ValueError(
                "lognormal takes the mean and a deviation >= 0 of a logarithm"
            )

    def quantile(self, p: Params, u: float) -> float:
        return math.exp(p[0] + p[1] * NORMAL.inv_cdf(max(u, TINY)))

    def cdf(self, p: Params, x: float) -> float:
        mu, sigma = p
        if x <= 0.0:
            return 0.0
        if sigma == 0.0:
            return float(x >= math.exp(mu))
        if x == math.inf:
            return 1.0
        if sigma < NARROW:
            # A double cannot tell its values apart.
            return float(math.log(x) >= mu - 10.0 * NARROW)
        return phi((math.log(x) - mu) / sigma)

    def below(self, p: Params, x: float) -> float:
        if x <= 0.0:
            return 0.0
        if p[1] < NARROW:
            return self.cdf(p, x) * math.exp(p[0])
        share = phi((math.log(x) - p[0]) / p[1] - p[1]) if x < math.inf else 1.0
        return _exp(p[0] + p[1] ** 2 / 2.0) * share

    def dist(self, p: Params, stats: Any) -> Any:
        return stats.lognorm(p[1], scale=math.exp(p[0])) if p[1] else None


class Gamma(Family):
    name, takes = "gamma", ("shape", "scale")

    def check(self, p: Params) -> None:
        if not (1e-3 <= p[0] <= 1e6 and p[1] > 0.0):
            raise ValueError(
                "gamma takes a shape from 0.001 to 1e6 and a scale above 0 in seconds, "
                f"got {p[0]:g} and {p[1]:g}"
            )

    def quantile(self, p: Params, u: float) -> float:
        return float(p[1] * _special().gammaincinv(p[0], u))

    def cdf(self, p: Params, x: float) -> float:
        return float(_special().gammainc(p[0], x / p[1])) if x > 0.0 else 0.0

    def below(self, p: Params, x: float) -> float:
        if x <= 0.0:
            return 0.0
        return float(p[0] * p[1] * _special().gammainc(p[0] + 1.0, x / p[1]))

    def mean(self, p: Params) -> float:
        return float(p[0] * p[1])

    def dist(self, p: Params, stats: Any) -> Any:
        return stats.gamma(p[0], scale=p[1])


class Weibull(Family):
    name, takes = "weibull", ("shape", "scale")

    def check(self, p: Params) -> None:
        if not (0.05 <= p[0] <= 1e3 and p[1] > 0.0):
            raise ValueError(
                "weibull takes a shape from 0.05 to 1000 and a scale above 0 in seconds, "
                f"got {p[0]:g} and {p[1]:g}"
            )

    def quantile(self, p: Params, u: float) -> float:
        return float(p[1] * (-math.log1p(-u)) ** (1.0 / p[0]))

    def cdf(self, p: Params, x: float) -> float:
        return -math.expm1(-((x / p[1]) ** p[0])) if x > 0.0 else 0.0

    def below(self, p: Params, x: float) -> float:
        if x <= 0.0:
            return 0.0
        power = (x / p[1]) ** p[0] if x < math.inf else math.inf
        return float(self.mean(p) * _special().gammainc(1.0 + 1.0 / p[0], power))

    def mean(self, p: Params) -> float:
        return float(p[1] * math.gamma(1.0 + 1.0 / p[0]))

    def dist(self, p: Params, stats: Any) -> Any:
        return stats.weibull_min(p[0], scale=p[1])


class Empirical(Family):
    """Values that were seen, each as likely as any other; *p* are they, sorted."""

    name = "empirical"

    def read(self, given: Any, parse: Parse) -> Params:
        listed = given if isinstance(given, (list, tuple)) else [given]
        if not 1 <= len(listed) <= MOST_VALUES:
            raise ValueError(
                f"empirical takes 1 to {MOST_VALUES} values, got {len(listed)}"
            )
        p = tuple(sorted(seconds(item) for item in listed))
        if p[0] < 0:
            raise ValueError(f"a duration is not negative, got {p[0]:g}")
        return p

    def text(self, p: Params) -> str:
        values = "1 value" if len(p) == 1 else f"{len(p)} values"
        return f"empirical({values} from {p[0]:g} to {p[-1]:g})"

    def quantile(self, p: Params, u: float) -> float:
        return float(p[max(math.ceil(u * len(p)) - 1, 0)])

    def cdf(self, p: Params, x: float) -> float:
        return bisect_right(p, x) / len(p)

    def below(self, p: Params, x: float) -> float:
        return math.fsum(p[: bisect_right(p, x)]) / len(p)

    def highest(self, p: Params) -> float:
        return float(p[-1])


def phi(z: float) -> float:
    """Return the share of a standard normal distribution below *z*."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def seconds(value: Any) -> float:
    """Return *value* as a finite number, or raise `ValueError`."""
    # bool is an int in Python, but `duration: true` is a mistake.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"a duration is a number of seconds, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or abs(number) > MOST_SECONDS:
        raise ValueError(f"a duration is a finite number of seconds, got {value!r}")
    return number


def stats() -> Any:
    """Return `scipy.stats`; raise `UsageError` if it is not installed."""
    try:
        import scipy.stats
    except ImportError as error:
        raise UsageError(f"{_EXTRA} ({error})") from None
    return scipy.stats


_EXTRA = "this needs scipy; install it with the extra: pip install 'wfsim-lab[study]'"


def _special() -> Any:
    try:
        import scipy.special
    except ImportError as error:
        raise UsageError(f"{_EXTRA} ({error})") from None
    return scipy.special


def _exp(power: float) -> float:
    return math.exp(power) if power < 709.0 else math.inf
