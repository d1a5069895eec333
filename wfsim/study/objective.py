"""A gate: a sentence such as ``p95 > 300`` that no point of a study may fulfil."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from wfsim.errors import DefinitionError
from wfsim.model.machine import did_you_mean
from wfsim.report.grouping import label, share_of
from wfsim.study.estimates import Samples

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
    """*measure* may not be *sign* *limit* at any point.

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

    def check(self, known: list[str]) -> None:
        """Raise `DefinitionError` if it is about none of the measures *known*."""
        if share_of(self.measure) is None and self.measure not in known:
            near = did_you_mean(self.measure, known)
            raise DefinitionError(f"--fail-if: no measure {self.measure!r}{near}")

    def violations(self, study: Study) -> list[str]:
        """Return a sentence for each point of *study* that fulfils it.

        A measure that is unknown, as where no run completed, does too.
        """
        samples = Samples(study, self.measure)
        said = []
        for number in range(len(study.points)):
            value = samples.at(number).estimate
            unknown = math.isnan(value)
            if unknown or _SIGNS[self.sign](value, self.limit):
                found = (
                    "unknown, since no run completed"
                    if unknown
                    else f"{label(round(value, 3))}, which is {self.sign} {self.limit:g}"
                )
                said.append(f"{_where(study, number)}: {self.measure} is {found}")
        return said


def _where(study: Study, number: int) -> str:
    row = study.points.iloc[number]
    pairs = (f"{name} {label(row[name])}" for name in study.over)
    return ", ".join(pairs) or "the only point"
