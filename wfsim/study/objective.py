"""An objective: a sentence about a measure, such as ``total_p95 <= 7200``.

As a gate it says what no point of a study may fulfil.  It may be about an end of the
measure's interval, ``total_p95_high``, which is what a decision should rest on.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from wfsim.errors import DefinitionError
from wfsim.report.grouping import label, share_of
from wfsim.study.estimates import Samples, intervals_of
from wfsim.text import suggest

if TYPE_CHECKING:
    from wfsim.study.study import Study

_SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_SENTENCE = re.compile(r"\s*([A-Za-z]\w*(?:\.\d+)?)\s*(>=|<=|>|<)\s*(\S+)\s*")


class Objective(NamedTuple):
    """That *measure*, or an end of its interval, is *sign* *limit*.

    >>> Objective.parse("p95 > 300")
    Objective(measure='p95', sign='>', limit=300.0)
    """

    measure: str
    sign: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> Objective:
        """Read a measure, one of > >= < <=, and a number.  Raises `DefinitionError`."""
        found = _SENTENCE.fullmatch(text)
        try:
            limit = float(found[3].replace("_", "x")) if found else math.nan
        except ValueError:
            limit = math.nan
        if found is None or math.isnan(limit):
            raise DefinitionError(
                f"--fail-if: {text!r}; write a measure, one of > >= < <=, and a number, "
                "such as 'p95 > 300' or 'success < 0.99'"
            )
        return cls(found[1], found[2], limit)

    @property
    def end(self) -> tuple[str, str]:
        """The measure itself, and which end of its interval is meant, if any."""
        for end in ("low", "high"):
            if self.measure.endswith(f"_{end}"):
                return self.measure.removesuffix(f"_{end}"), end
        return self.measure, ""

    def values(self, study: Study, confidence: float = 0.95) -> list[float]:
        """Return what it is about at each point of *study*, NaN where unknown."""
        measure, end = self.end
        if not end:
            samples = Samples(study, measure)
            return [samples.at(point).estimate for point in range(len(study.points))]
        found = intervals_of(study, measure, confidence)
        return [float(getattr(each, end)) for each in found]

    def holds(self, value: float) -> bool:
        """Whether it is true of *value*; of NaN it is not."""
        return _SIGNS[self.sign](value, self.limit)

    def check(self, known: list[str]) -> None:
        """Raise `DefinitionError` if it is about none of the measures *known*."""
        measure, _ = self.end
        if share_of(measure) is None and measure not in known:
            near = suggest(self.measure, known)
            raise DefinitionError(f"--fail-if: no measure {self.measure!r}{near}")

    def violations(self, study: Study) -> list[str]:
        """Return a sentence for each point of *study* that fulfils it.

        A measure that is unknown, as where no run completed, does too.
        """
        sentences = []
        for number, value in enumerate(self.values(study)):
            if math.isnan(value):
                text = "unknown, since no run completed"
            elif not self.holds(value):
                continue
            elif math.isinf(value):
                text = f"infinite, since too few runs were done to say, {self._against}"
            else:
                text = f"{label(round(value, 3))}, {self._against}"
            sentences.append(f"{_where(study, number)}: {self.measure} is {text}")
        return sentences

    @property
    def _against(self) -> str:
        return f"which is {self.sign} {self.limit:g}"


def _where(study: Study, number: int) -> str:
    row = study.points.iloc[number]
    pairs = (f"{name} {label(row[name])}" for name in study.over)
    return ", ".join(pairs) or "the only point"
