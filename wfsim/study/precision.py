"""Precision: enough replications, by the rule of Hoad, Robinson and Davies.

Replications are added one at a time.  Once the interval is narrow enough, at *n* of them,
it must stay so for the next ones, the look-ahead: 5 of them, or 5 % of *n* beyond 100.
If it does, there are enough; if not, the search goes on from there.  (Automated selection
of the number of replications for a discrete-event simulation.  Journal of the Operational
Research Society 61, 2010, 1632 to 1644.)  The look-ahead is there because an interval
from few replications may be narrow by chance.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from wfsim.errors import UsageError
from wfsim.report.grouping import share_of
from wfsim.study.estimates import Interval, Sample, check_confidence, interval, of_mean

START = 3
"""With fewer replications there is no interval worth the name."""

_WITHIN = re.compile(r"(\w[\w.]*) within ([\d.]+) ?(%|s)")
_BETTER = re.compile(r"is (.+) better than (.+?)(?: by (\w[\w.]*))?\??")


@dataclass(frozen=True)
class Precision:
    """When `sweep` has replicated a point often enough; *replications* is its limit.

    Either half of the interval of *measure* is at most *relative* times its estimate, or
    at most *absolute*; or, with *between*, two points (each a mapping of parameters to
    labels, or the label of the only one), the interval of their paired difference leaves
    zero out.  Checking after every replication raises the chance of a false difference;
    *look_ahead* offsets part of that.  It is that many further
    replications, or per cent of them beyond 100, for which it must stay so.  Raises
    `UsageError`.

    >>> Precision.parse("p95 within 5 %")
    Precision('p95', relative=0.05)
    >>> Precision.parse("is hasty better than patient by mean?").between
    ('hasty', 'patient')
    """

    measure: str = "total"
    relative: float | None = None
    absolute: float | None = None
    between: tuple[Any, Any] | None = None
    confidence: float = 0.95
    look_ahead: int = 5

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        goals = (self.relative, self.absolute, self.between)
        if sum(goal is not None for goal in goals) != 1:
            raise UsageError("Precision: give one of relative, absolute and between")
        for name in ("relative", "absolute"):
            value = getattr(self, name)
            if value is not None and not (
                isinstance(value, (int, float)) and 0 < value < math.inf
            ):
                raise UsageError(f"Precision: {name} is {value!r}; give more than 0")
        if self.between is not None and share_of(self.measure) is not None:
            raise UsageError(
                f"Precision: between compares means over replications, not {self.measure}"
            )
        if type(self.look_ahead) is not int or self.look_ahead < 0:
            raise UsageError(
                f"Precision: look_ahead is {self.look_ahead!r}; give 0 or more"
            )

    def __repr__(self) -> str:
        words = [repr(self.measure)]
        usual = {"confidence": 0.95, "look_ahead": 5}
        for name in ("relative", "absolute", "between", *usual):
            value = getattr(self, name)
            if value != usual.get(name):
                words.append(f"{name}={value!r}")
        return f"Precision({', '.join(words)})"

    @classmethod
    def parse(cls, text: str) -> Precision:
        """Read ``p95 within 5 %``, ``mean within 2 s`` or ``is B better than A``.

        Raises `UsageError` for anything else.
        """
        if within := _WITHIN.fullmatch(text.strip()):
            measure, number, unit = within.groups()
            try:
                value = float(number)
            except ValueError:
                raise UsageError(
                    f"precision: {number!r} is no number; write 'p95 within 5 %'"
                ) from None
            if unit == "%":
                return cls(measure, relative=value / 100.0)
            return cls(measure, absolute=value)
        if within := _BETTER.fullmatch(text.strip()):
            better, than, measure = within.groups()
            return cls(measure or "total", between=(better, than))
        raise UsageError(
            f"precision: {text!r}; write 'p95 within 5 %', 'mean within 2 s' or "
            "'is B better than A'"
        )

    def ahead(self, n: int) -> int:
        """Return how many further replications must bear out what *n* have shown."""
        return self.look_ahead if n <= 100 else math.ceil(self.look_ahead * n / 100)

    def is_met(self, found: Interval) -> bool:
        """Whether *found* is narrow enough, or clear of zero."""
        if self.between is not None:
            return found.low > 0.0 or found.high < 0.0
        if self.absolute is not None:
            return found.half_width <= self.absolute
        return found.half_width <= (self.relative or 0.0) * abs(found.estimate)

    def enough(self, at: Callable[[int], Interval], have: int, begin: int = START) -> int:
        """Return after how many replications, at most *have*, the rule ends; 0 for not.

        *at* gives the interval after the first n replications; *begin* is the first n
        that is looked at.  The look-ahead counts: it has been made.
        """
        n = begin
        while n <= have:
            if not self.is_met(at(n)):
                n += 1
                continue
            last = n + self.ahead(n)
            lost = next(
                (k for k in range(n + 1, min(last, have) + 1) if not self.is_met(at(k))),
                None,
            )
            if lost is None:
                return last if last <= have else 0
            n = lost
        return 0

    def of(self, sample: Sample, n: int) -> Interval:
        """Return the interval of the measure by the replications before number *n*."""
        return interval(sample.only(sample.numbers[sample.numbers < n]), self.confidence)

    def difference(self, a: Sample, b: Sample, n: int) -> Interval:
        """Return that of the mean of *b* less *a*, pairwise, before number *n*."""
        both, of_a, of_b = np.intersect1d(a.numbers, b.numbers, return_indices=True)
        paired = (b.values[of_b] - a.values[of_a])[both < n]
        return of_mean(paired, self.confidence)

    def names(self, label: Any, points: Mapping[int, Mapping[str, Any]]) -> int:
        """Return the number of the one of *points* that *label* names."""
        wanted = label if isinstance(label, Mapping) else None
        found = [
            number
            for number, point in points.items()
            if (
                str(label) in [str(each) for each in point.values()]
                if wanted is None
                else all(point.get(name) == each for name, each in wanted.items())
            )
        ]
        if len(found) != 1:
            what = "no point" if not found else f"{len(found)} points"
            raise UsageError(
                f"precision: {label!r} names {what}; give labels of all parameters, as "
                f"in {dict(next(iter(points.values())))!r}"
            )
        return found[0]
