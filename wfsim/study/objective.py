"""An objective: a sentence about a measure, such as ``total_p95 <= 7200``.

As a gate it says what no point of a study may fulfil.  It may be about an end of the
measure's interval, ``total_p95_high``, which is what a decision should rest on.

`smallest` searches for the smallest value of a parameter that meets one, and replicates
where that is open: a feasibility check as of Andradottir and Kim (2010, Naval Research
Logistics 57, 403 to 421), but by repeated confidence intervals (Jennison and Turnbull
1984, Controlled Clinical Trials 5, 33 to 45), so that it takes quantiles and shares too.
Of K points the interval of one at its look j may be wrong with probability
a / (K j (j + 1)); over all points and looks these sum to a, 1 less the confidence.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from wfsim.errors import DefinitionError, Problem, UsageError
from wfsim.report.frames import TEXT, frame
from wfsim.report.grouping import label, limit_of, share_of
from wfsim.study.estimates import (
    Interval,
    Samples,
    check_confidence,
    interval,
    intervals_of,
)
from wfsim.text import suggest

if TYPE_CHECKING:
    import pandas as pd

    from wfsim.study.study import Study

GROWTH = 1.5
"""So many times the replications that there were before a point is looked at again."""

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
    def parse(cls, text: str, subject: str = "objective") -> Objective:
        """Read a measure, one of > >= < <=, and a number.

        Raises `DefinitionError`, in which *subject* is what the text was given as.
        """
        parts = _SENTENCE.fullmatch(text) if isinstance(text, str) else None
        try:
            limit = float(parts[3].replace("_", "x")) if parts else math.nan
        except ValueError:
            limit = math.nan
        if parts is None or math.isnan(limit):
            cure = (
                "write a measure, one of > >= < <=, and a number, such as 'p95 > 300' or "
                "'success < 0.99'"
            )
            raise DefinitionError(Problem(repr(text), cure, subject=subject))
        return cls(parts[1], parts[2], limit)

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
        intervals = intervals_of(study, measure, confidence)
        return [float(getattr(each, end)) for each in intervals]

    def holds(self, value: float) -> bool:
        """Whether it is true of *value*; of NaN it is not."""
        return _SIGNS[self.sign](value, self.limit)

    def meets(self, found: Interval) -> str:
        """Return whether all that lies in *found* is so: yes, no, or open if some is."""
        ends = {self.holds(found.low), self.holds(found.high)}
        if len(ends) > 1 or math.isnan(found.low) or math.isnan(found.high):
            return "open"
        return "yes" if ends.pop() else "no"

    def check(self, known: list[str], subject: str = "objective") -> None:
        """Raise `DefinitionError` if it is about none of the measures *known*."""
        measure, _ = self.end
        is_of_runs = share_of(measure) is not None or limit_of(measure) is not None
        if not is_of_runs and measure not in known:
            near = suggest(self.measure, known)
            text = f"no measure {self.measure!r}{near}"
            raise DefinitionError(Problem(text, subject=subject))

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


class Smallest(NamedTuple):
    """The smallest value that meets an objective, as `Study.smallest` has found it.

    ``value`` is None where none is known to meet it.  ``is_certain`` tells whether each
    smaller one (all, where none meets it) is known not to.  ``points`` has a row per
    value, in order: the parameter, ``replications`` (int64), the measure, the ends
    ``low`` and ``high`` of the interval that was looked at last (float64), and ``meets``:
    yes, no, or open.  ``study`` holds all that was replicated.
    """

    value: Any
    is_certain: bool
    points: pd.DataFrame
    study: Study


def smallest(
    study: Study, parameter: str, text: str, confidence: float, replications: int
) -> Smallest:
    """Return what `Study.smallest` does."""
    objective = _checked(study, parameter, text, confidence, replications)
    order = [int(at) for at in study.points[parameter].argsort(kind="stable")]
    intervals: dict[int, Interval] = {}
    looks, answers = dict.fromkeys(order, 0), dict.fromkeys(order, "open")
    while True:
        counts = study.counts()
        samples = Samples(study, objective.measure)
        for point in _undecided(order, answers):
            looks[point] += 1
            # Each end may be wrong, but only one of them makes the answer wrong.
            wrong = (1.0 - confidence) / (len(order) * looks[point] * (looks[point] + 1))
            intervals[point] = interval(samples.at(point), 1.0 - 2.0 * wrong)
            answers[point] = objective.meets(intervals[point])
        stops = {
            point: min(math.ceil(GROWTH * max(counts[point], 2)), replications)
            for point in _undecided(order, answers)
            if counts[point] < replications
        }
        if not stops or study.interrupted:
            break
        study = study.extended(stops)
    met = [point for point in order if answers[point] == "yes"]
    label_of = study.points[parameter].tolist()
    rows = frame(
        {
            parameter: [label_of[point] for point in order],
            "replications": [counts[point] for point in order],
            objective.measure: [intervals[point].estimate for point in order],
            "low": [intervals[point].low for point in order],
            "high": [intervals[point].high for point in order],
            "meets": [answers[point] for point in order],
        },
        {
            **dict.fromkeys((objective.measure, "low", "high"), "float64"),
            parameter: study.points[parameter].dtype,
            "replications": "int64",
            "meets": TEXT,
        },
    )
    value = label_of[met[0]] if met else None
    return Smallest(value, not _undecided(order, answers), rows, study)


def _undecided(order: list[int], answers: dict[int, str]) -> list[int]:
    """Return the open points before the first one, by *order*, that meets it."""
    undecided = []
    for point in order:
        if answers[point] == "yes":
            break
        if answers[point] == "open":
            undecided.append(point)
    return undecided


def _checked(
    study: Study, parameter: str, text: str, confidence: float, replications: int
) -> Objective:
    check_confidence(confidence)
    study.check_parameter(parameter)
    others = [name for name in study.over if name != parameter]
    varied = [name for name in others if study.points[name].nunique() > 1]
    if varied:
        raise UsageError(
            f"smallest: {', '.join(varied)} varies too; take one value of it, as in "
            f"study.where({varied[0]}={study.points[varied[0]].tolist()[0]!r})"
        )
    if study.points[parameter].dtype.kind not in "iuf":
        raise UsageError(f"smallest: {parameter} has values that are no numbers")
    if type(replications) is not int or replications < 1:
        raise UsageError(f"replications is {replications!r}; give a whole number from 1")
    objective = Objective.parse(text)
    measure, end = objective.end
    if end:
        raise UsageError(
            f"smallest: {objective.measure!r} is an end of the interval, which it looks "
            f"at anyway; write {measure!r}"
        )
    return objective
