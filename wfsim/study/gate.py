"""A gate: a sentence such as ``p95 > 300`` that no point of a study may fulfil."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from wfsim.errors import DefinitionError
from wfsim.model.machine import did_you_mean
from wfsim.report.groups import label
from wfsim.study.sample import Samples, share_of

if TYPE_CHECKING:
    from wfsim.study.study import Study

_SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_SENTENCE = re.compile(r"\s*([A-Za-z]\w*(?:\.\d+)?)\s*(>=|<=|>|<)\s*(\S+)\s*")


class Gate(NamedTuple):
    """*measure* may not be *sign* *limit* at any point.

    >>> Gate.parse("p95 > 300")
    Gate(measure='p95', sign='>', limit=300.0)
    """

    measure: str
    sign: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> Gate:
        """Read a measure, one of > >= < <=, and a number.  Raises `DefinitionError`."""
        found = _SENTENCE.fullmatch(text)
        try:
            limit = float(found[3].replace("_", "x")) if found else float("nan")
        except ValueError:
            limit = float("nan")
        if found is None or limit != limit:
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
            if value != value or _SIGNS[self.sign](value, self.limit):
                where = study.label(number, study.over) or "the only point"
                name = study.over[0] + " " if len(study.over) == 1 else ""
                shown = "unknown" if value != value else label(round(value, 3))
                said.append(
                    f"{name}{where}: {self.measure} is {shown}, "
                    f"{self.sign} {self.limit:g}"
                    if value == value
                    else f"{name}{where}: {self.measure} is {shown}: no run completed"
                )
        return said
