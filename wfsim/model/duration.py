"""How long something takes: a distribution, drawn from by one uniform number.

One number in, one duration out (the inverse of the distribution function), so that
two scenarios that draw the same number compare like with like.

>>> Duration.parse(3).draw(0.9)
3.0
>>> Duration.parse({"uniform": [2, 4]}).draw(0.5)
3.0
>>> round(Duration.parse({"exponential": 5}).draw(0.5), 3)
3.466
>>> round(Duration.parse({"percentiles": {"p50": 3, "p99": 40}}).draw(0.99), 3)
40.0
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any, NamedTuple

_NORMAL = NormalDist()
_TINY = 2.0**-54


class Duration(NamedTuple):
    """A distribution by name with its parameters, in seconds of virtual time.

    ======================== =========================================
    ``constant: [d]``        always *d*
    ``uniform: [a, b]``      anything from *a* to *b*
    ``triangular: [a, m, b]`` from *a* to *b*, most often *m*
    ``exponential: [mean]``  memoryless
    ``lognormal: [m, s]``    *m* and *s* are of the logarithm
    ======================== =========================================
    """

    name: str
    params: tuple[float, ...]

    @classmethod
    def parse(cls, value: Any) -> Duration:
        """Read a number, ``{name: params}`` or ``{percentiles: {p50: .., p99: ..}}``.

        Raises `ValueError` with a sentence that says what is wrong.
        """
        if isinstance(value, Duration):
            return value
        if isinstance(value, Mapping):
            if len(value) != 1:
                raise ValueError(
                    f"a duration has one name, got {sorted(map(str, value))}"
                )
            ((name, params),) = value.items()
            if name == "percentiles":
                return _from_percentiles(params)
            listed = params if isinstance(params, (list, tuple)) else [params]
        else:
            name, listed = "constant", [value]
        numbers = tuple(_number(item) for item in listed)
        wanted = _ARITY.get(name)
        if wanted is None:
            raise ValueError(f"unknown distribution {name!r}; one of {sorted(_ARITY)}")
        if len(numbers) != wanted:
            raise ValueError(f"{name} takes {wanted} number(s), got {len(numbers)}")
        _check_range(name, numbers)
        return cls(name, numbers)

    def draw(self, u: float) -> float:
        """Return the duration below which a share *u* (0 <= u < 1) of all lies."""
        p = self.params
        match self.name:
            case "constant":
                return p[0]
            case "uniform":
                return p[0] + (p[1] - p[0]) * u
            case "exponential":
                return -p[0] * math.log1p(-u)
            case "triangular":
                return _triangular(u, *p)
            case _:
                return math.exp(p[0] + p[1] * _NORMAL.inv_cdf(max(u, _TINY)))

    def __str__(self) -> str:
        if self.name == "constant":
            return f"{self.params[0]:g} s"
        return f"{self.name}({', '.join(f'{p:g}' for p in self.params)})"


_ARITY = {"constant": 1, "uniform": 2, "triangular": 3, "exponential": 1, "lognormal": 2}


def _number(value: Any) -> float:
    # bool is an int in Python, but `duration: true` is a mistake.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"a duration is a number of seconds, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or abs(number) > 1e12:
        raise ValueError(f"a duration is a finite number of seconds, got {value!r}")
    return number


def _check_range(name: str, numbers: tuple[float, ...]) -> None:
    if name == "lognormal":
        if numbers[1] < 0 or abs(numbers[0]) > 100 or numbers[1] > 100:
            raise ValueError(
                "lognormal takes the mean and a deviation >= 0 of a logarithm"
            )
        return
    if numbers[0] < 0:
        raise ValueError(f"a duration is not negative, got {numbers[0]:g}")
    if list(numbers) != sorted(numbers):
        raise ValueError(f"{name} takes its numbers in rising order, got {numbers}")


def _from_percentiles(params: Any) -> Duration:
    """Return the lognormal through two percentiles, which is what operators have."""
    if not isinstance(params, Mapping) or len(params) != 2:
        raise ValueError("percentiles takes two of them, such as {p50: 3, p99: 40}")
    points = []
    for name, value in params.items():
        text = str(name)
        if text[:1] != "p" or not text[1:].replace(".", "", 1).isdigit():
            raise ValueError(f"a percentile is written p50 or p99.9, got {name!r}")
        share = float(text[1:]) / 100.0
        seconds = _number(value)
        if not 0.0 < share < 1.0 or seconds <= 0.0:
            raise ValueError(
                f"{name}: {value!r} is not a percentile with a positive time"
            )
        points.append((share, seconds))
    (p, a), (q, b) = sorted(points)
    if p == q or a > b:
        raise ValueError("the higher percentile must have the longer time")
    zp, zq = _NORMAL.inv_cdf(p), _NORMAL.inv_cdf(q)
    if zp == zq:
        raise ValueError("the two percentiles are too near to each other")
    sigma = (math.log(b) - math.log(a)) / (zq - zp)
    return Duration("lognormal", (math.log(a) - sigma * zp, sigma))


def _triangular(u: float, low: float, mode: float, high: float) -> float:
    width = high - low
    if width == 0.0:
        return low
    if u < (mode - low) / width:
        return low + math.sqrt(u * width * (mode - low))
    return high - math.sqrt((1.0 - u) * width * (high - mode))
