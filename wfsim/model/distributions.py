"""The distributions that a `Duration` may have, each by the meaning of its parameters.

A distribution is known by its quantile function, its distribution function and the
part of its mean that lies below a value; everything else follows from these three.
Formulas are those of `scipy.stats`, with which the tests compare them.
Some distributions are made of others, or of percentiles.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist
from typing import Any, TypeAlias

from wfsim.errors import UsageError
from wfsim.model.bounds import MAX_SECONDS

Params: TypeAlias = tuple[Any, ...]
Parse: TypeAlias = Callable[[Any], Any]

TINY = 2.0**-54
NARROW = 1e-12
NORMAL = NormalDist()
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
        p = tuple(finite(item) for item in listed)
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
        p = tuple(sorted(finite(item) for item in listed))
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


def finite(value: Any) -> float:
    """Return *value* as a finite number, or raise `ValueError`."""
    # bool is an int in Python, but `duration: true` is a mistake.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"a duration is a number of seconds, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or abs(number) > MAX_SECONDS:
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


_LAST = 1.0 - 2.0**-53
_LEAST_SHARE = 1e-9
MOST_PARTS = 100


class Mixture(Family):
    """Several distributions, each with a weight; *p* are pairs (weight, Duration).

    A quantile is found by bisection of the distribution function, down to neighbouring
    floating-point numbers: about 50 looks at each part.
    """

    name = "mixture"

    def read(self, given: Any, parse: Parse) -> Params:
        if not isinstance(given, (list, tuple)) or not 1 <= len(given) <= MOST_PARTS:
            raise ValueError(
                "mixture takes a list such as [{weight: 9, of: 3}, {weight: 1, of: 40}] "
                f"of at most {MOST_PARTS} parts"
            )
        parts = []
        for item in given:
            if not isinstance(item, Mapping) or set(item) != {"weight", "of"}:
                raise ValueError(
                    f"a part of a mixture has a weight and an 'of', got {item!r}"
                )
            weight = item["weight"]
            number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
            if not (number and 0.0 < weight <= 1e9):
                raise ValueError(f"a weight is a number above 0, got {weight!r}")
            parts.append((float(weight), parse(item["of"])))
        return tuple(parts)

    def spec(self, p: Params) -> Any:
        return [{"weight": weight, "of": part.spec()} for weight, part in p]

    def text(self, p: Params) -> str:
        total = _total(p)
        parts = ", ".join(f"{weight / total:.3g} of {part}" for weight, part in p)
        return f"mixture({parts})"

    def quantile(self, p: Params, u: float) -> float:
        among = [part.draw(u) for _, part in p]
        low, high = min(among), max(among)
        if self.cdf(p, low) >= u:
            return float(low)
        while low < (middle := low + (high - low) / 2.0) < high:
            if self.cdf(p, middle) >= u:
                high = middle
            else:
                low = middle
        return float(high)

    def cdf(self, p: Params, x: float) -> float:
        return math.fsum(weight * part.cdf(x) for weight, part in p) / _total(p)

    def below(self, p: Params, x: float) -> float:
        return math.fsum(weight * part.below(x) for weight, part in p) / _total(p)

    def mean(self, p: Params) -> float:
        return math.fsum(weight * part.mean for weight, part in p) / _total(p)

    def highest(self, p: Params) -> float:
        return float(max(part.quantile(1.0) for _, part in p))


class Truncated(Family):
    """Those values of another distribution that lie between two; *p* are (it, low, high).

    The share that lies outside is drawn again, as it were: nothing gathers at the ends.
    """

    name = "truncated"

    def read(self, given: Any, parse: Parse) -> Params:
        keys = set(given) if isinstance(given, Mapping) else set()
        if "of" not in keys or not {"low", "high"} & keys or keys - {"of", "low", "high"}:
            raise ValueError(
                "truncated takes {of: a duration, low: seconds, high: seconds}, where "
                f"low or high may be left out, got {given!r}"
            )
        low, high = finite(given.get("low", 0.0)), given.get("high")
        high = math.inf if high is None else finite(high)
        if not 0.0 <= low <= high:
            raise ValueError(f"truncated goes from low to high, got {low:g} and {high:g}")
        of = parse(given["of"])
        if _share(of, low, high) < _LEAST_SHARE:
            raise ValueError(
                f"nothing of {of} lies between {low:g} and {high:g}; move low or high"
            )
        return (of, low, high)

    def spec(self, p: Params) -> Any:
        of, low, high = p
        ends = {"low": low, "high": high}
        return {"of": of.spec()} | {k: end for k, end in ends.items() if end < math.inf}

    def text(self, p: Params) -> str:
        of, low, high = p
        return f"truncated({of} to {low:g} .. {high:g})"

    def quantile(self, p: Params, u: float) -> float:
        of, low, high = p
        before = _before(of, low)
        share = before + u * (of.cdf(high) - before)
        return float(min(max(of.draw(min(share, _LAST)), low), high))

    def cdf(self, p: Params, x: float) -> float:
        of, low, high = p
        if x < low:
            return 0.0
        return float(min(1.0, _share(of, low, min(x, high)) / _share(of, low, high)))

    def below(self, p: Params, x: float) -> float:
        of, low, high = p
        if x < low:
            return 0.0
        part = of.below(min(x, high)) - of.below(math.nextafter(low, -math.inf))
        return float(part / _share(of, low, high))

    def highest(self, p: Params) -> float:
        return float(min(p[0].quantile(1.0), p[2]))


class Percentiles(Family):
    """Three or more percentiles; *p* are pairs (percent, seconds), rising.

    Between two of them it is the lognormal through both, and beyond the outermost ones
    the lognormal of the nearest two goes on.  So it meets every percentile exactly, has a
    tail, and for two it is the lognormal through them.
    """

    name = "percentiles"

    def read(self, given: Any, parse: Parse) -> Params:
        if not isinstance(given, Mapping) or len(given) < 2:
            raise ValueError(
                "percentiles takes two or more, such as {p50: 3, p90: 9, p99: 40}"
            )
        points = sorted(_point(name, value) for name, value in given.items())
        for (p, a), (q, b) in pairwise(points):
            if p == q or a > b:
                raise ValueError("the higher percentile must have the longer time")
            if _normal(p) >= _normal(q):
                raise ValueError("the two percentiles are too near to each other")
        return tuple(points)

    def spec(self, p: Params) -> Any:
        return {f"p{_digits(percent)}": value for percent, value in p}

    def text(self, p: Params) -> str:
        points = ", ".join(f"p{percent:g} {value:g}" for percent, value in p)
        return f"percentiles({points})"

    def quantile(self, p: Params, u: float) -> float:
        zs, values, slopes = _knots(p)
        z = NORMAL.inv_cdf(max(u, TINY))
        at = min(max(bisect_right(zs, z) - 1, 0), len(slopes) - 1)
        return values[at] * math.exp(slopes[at] * (z - zs[at]))

    def cdf(self, p: Params, x: float) -> float:
        return phi(_z(p, x))

    def below(self, p: Params, x: float) -> float:
        zs, values, slopes = _knots(p)
        end = _z(p, x)
        edges = [-math.inf, *zs[1:-1], math.inf]
        total = 0.0
        for at, slope in enumerate(slopes):
            top = min(edges[at + 1], end)
            if top > edges[at]:
                part = phi(top - slope) - phi(edges[at] - slope)
                total += values[at] * math.exp(slope * (slope / 2.0 - zs[at])) * part
        return total


def lognormal_through(p: Params) -> Params:
    """Return the parameters of the lognormal through two percentiles."""
    (p0, a), (q0, b) = p
    zp, zq = _normal(p0), _normal(q0)
    sigma = (math.log(b) - math.log(a)) / (zq - zp)
    return (math.log(a) - sigma * zp, sigma)


def _point(name: Any, value: Any) -> tuple[float, float]:
    text = str(name)
    digits = text[1:].replace(".", "", 1)
    if text[:1] != "p" or not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"a percentile is written p50 or p99.9, got {name!r}")
    percent, time = float(text[1:]), finite(value)
    if not 0.0 < percent / 100.0 < 1.0 or time <= 0.0:
        raise ValueError(f"{name}: {value!r} is not a percentile with a positive time")
    return percent, time


def _normal(percent: float) -> float:
    return NORMAL.inv_cdf(percent / 100.0)


@lru_cache(maxsize=1024)
def _knots(p: Params) -> tuple[list[float], list[float], list[float]]:
    """Return normal scores, seconds, and the slopes of their logarithm in between.

    What differs by less than a double can resolve is made equal.
    """
    zs = [_normal(percent) for percent, _ in p]
    values: list[float] = []
    for _, value in p:
        near = values and value - values[-1] <= NARROW * value
        values.append(values[-1] if near else float(value))
    slopes = [
        math.log(high / low) / (after - before)
        for (before, after), (low, high) in zip(
            pairwise(zs), pairwise(values), strict=True
        )
    ]
    return zs, values, slopes


def _z(p: Params, x: float) -> float:
    """Return the normal score of *x*; of a value that many share, the highest."""
    if x <= 0.0 or x == math.inf:
        return math.inf if x > 0.0 else -math.inf
    zs, values, slopes = _knots(p)
    last = bisect_right(values, x) - 1
    at = min(max(last, 0), len(slopes) - 1)
    if slopes[at] == 0.0:
        return -math.inf if last < 0 else math.inf
    return zs[at] + math.log(x / values[at]) / slopes[at]


def _digits(number: float) -> str:
    return format(Decimal(repr(number)), "f").removesuffix(".0")


def _total(p: Params) -> float:
    return math.fsum(weight for weight, _ in p)


def _before(of: Any, low: float) -> float:
    """Return the share of *of* that lies below *low*, without what is *low* itself."""
    return float(of.cdf(math.nextafter(low, -math.inf)))


def _share(of: Any, low: float, high: float) -> float:
    return float(of.cdf(high)) - _before(of, low)
