"""A duration: a distribution, drawn from by one uniform number.

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

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, NamedTuple

from wfsim.model import distributions
from wfsim.model.distributions import Family
from wfsim.text import suggest

_FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        distributions.Constant(),
        distributions.Uniform(),
        distributions.Triangular(),
        distributions.Exponential(),
        distributions.Lognormal(),
        distributions.Gamma(),
        distributions.Weibull(),
        distributions.Empirical(),
        distributions.Percentiles(),
        distributions.Mixture(),
        distributions.Truncated(),
    )
}
NAMES = tuple(_FAMILIES)
MOST_NESTED = 10
_LAST = 1.0 - 2.0**-53


class Duration(NamedTuple):
    """A distribution by name with its parameters, in seconds of virtual time.

    ========================= ====================================================
    ``constant: [d]``         always *d*
    ``uniform: [a, b]``       anything from *a* to *b*
    ``triangular: [a, m, b]`` from *a* to *b*, most often *m*
    ``exponential: [mean]``   memoryless
    ``lognormal: [m, s]``     *m* and *s* are of the logarithm
    ``gamma: [k, s]``         shape *k* and scale *s*, mean ``k * s``; needs scipy
    ``weibull: [k, s]``       shape *k* and scale *s*, 63 % lie below *s*
    ``empirical: [...]``      values that were seen, each as likely as any other
    ``percentiles: {...}``    ``{p50: 3, p99: 40}`` is the lognormal through the two;
                              of more, lognormal from each one to the next
    ``mixture: [...]``        ``[{weight: 9, of: 3}, {weight: 1, of: 40}]``
    ``truncated: {...}``      ``{of: {exponential: 5}, low: 1, high: 60}``, one end
                              may be left out
    ========================= ====================================================
    """

    name: str
    params: tuple[Any, ...]

    @classmethod
    def parse(cls, value: Any) -> Duration:
        """Read a number or ``{name: params}``; see the table of the class.

        Raises `ValueError` with a sentence that says what is wrong, and `UsageError`
        where scipy is needed but not installed.
        """
        return _parse(value, 0)

    def draw(self, u: float) -> float:
        """Return the duration below which a share *u* (0 <= u < 1) of all lies."""
        return _FAMILIES[self.name].quantile(self.params, u)

    def quantile(self, q: float) -> float:
        """Return the duration that a share *q* (0 <= q <= 1) of all do not exceed.

        For 1 it is the longest there can be, perhaps infinite.  Raises `ValueError` if
        *q* is no share.
        """
        if not 0.0 <= q <= 1.0:
            raise ValueError(f"a quantile is of a share from 0 to 1, got {q!r}")
        if q == 1.0:
            return _FAMILIES[self.name].highest(self.params)
        return self.draw(q)

    def cdf(self, x: float) -> float:
        """Return the share of durations that do not exceed *x* seconds."""
        return _FAMILIES[self.name].cdf(self.params, x)

    def below(self, x: float) -> float:
        """Return what durations up to *x* seconds add to the mean, in seconds."""
        return _FAMILIES[self.name].below(self.params, x)

    @property
    def mean(self) -> float:
        """The mean in seconds.

        >>> Duration.parse({"truncated": {"of": {"uniform": [0, 8]}, "high": 4}}).mean
        2.0
        """
        return _FAMILIES[self.name].mean(self.params)

    def dist(self) -> Any:
        """Return it as a frozen distribution of `scipy.stats`, None if that has none.

        It has none of what always takes the same, of values and of distributions.  Raises
        `UsageError` if scipy is not installed.
        """
        return _FAMILIES[self.name].dist(self.params, distributions.stats())

    def spec(self) -> Any:
        """Return the plain value, for YAML or JSON, that `parse` reads back as this.

        >>> Duration.parse({"percentiles": {"p50": 3, "p90": 9, "p99": 40}}).spec()
        {'percentiles': {'p50': 3.0, 'p90': 9.0, 'p99': 40.0}}
        """
        if self.name == "constant":
            return self.params[0]
        return {self.name: _FAMILIES[self.name].spec(self.params)}

    def __str__(self) -> str:
        return _FAMILIES[self.name].text(self.params)


class _Parsed(NamedTuple):
    """The bounds of a duration: what `Duration.parse` reads."""

    def accept(self, value: Any) -> Duration:
        try:
            return Duration.parse(value)
        except (ValueError, ArithmeticError) as error:
            raise ValueError(f"seconds or a distribution ({error})") from error

    def _read(self, value: Any) -> Duration:
        try:
            return Duration.parse(value)
        except (ValueError, ArithmeticError) as error:
            raise ValueError(f"is wrong: {error}") from error

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        function = {"type": "no-info", "function": self._read}
        return {"type": "function-plain", "function": function}

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        return dict(SCHEMA_PLACE)


SCHEMA_PLACE = {"$comment": "Duration"}
"""What a JSON Schema has where a duration stands, until that can be written whole."""

PARSED = _Parsed()
Length = Annotated[Duration, PARSED]
"""A duration, or what `Duration.parse` reads as one: a number of seconds, a mapping."""


def _parse(value: Any, depth: int) -> Duration:
    if isinstance(value, Duration):
        return value
    name, given = "constant", value
    if isinstance(value, Mapping):
        if len(value) != 1:
            raise ValueError(f"a duration has one name, got {sorted(map(str, value))}")
        ((name, given),) = value.items()
    family = _FAMILIES.get(name) if isinstance(name, str) else None
    if family is None:
        raise ValueError(f"unknown distribution {name!r}{suggest(str(name), _FAMILIES)}")
    if depth >= MOST_NESTED:
        raise ValueError(f"distributions nested more than {MOST_NESTED} deep; flatten")
    params = family.read(given, partial(_parse, depth=depth + 1))
    if name == "percentiles" and len(params) == 2:
        name, params = "lognormal", distributions.lognormal_through(params)
    duration = Duration(name, params)
    try:
        duration.draw(_LAST)
    except OverflowError:
        # It would stop a run in its middle, some day.
        raise ValueError(
            f"the longest times of {duration} are no numbers; narrow it"
        ) from None
    return duration
