"""Distributions that are made of others, or of percentiles."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import Any

from wfsim.model.distributions import (
    NARROW,
    NORMAL,
    TINY,
    Family,
    Params,
    Parse,
    phi,
    seconds,
)

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
        low, high = seconds(given.get("low", 0.0)), given.get("high")
        high = math.inf if high is None else seconds(high)
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
    percent, time = float(text[1:]), seconds(value)
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
