"""The decision of a study: which point to take, how sure that is, what it costs.

Intervals of several points hold all at once with the confidence that was asked for: of K
points that of each may be wrong with a K-th of what is left (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np

from wfsim.errors import UsageError
from wfsim.model.bounds import Doc, Keys, Number, Text, check
from wfsim.model.frozen import EMPTY
from wfsim.report.frames import TEXT, frame
from wfsim.report.grouping import AMOUNTS, COST_PARTS, amount, in_seconds, is_share, label
from wfsim.report.load import WORKERS
from wfsim.report.text import count
from wfsim.study.comparison import is_better_large, rank
from wfsim.study.estimates import Interval, check_confidence, intervals_of, of_mean
from wfsim.study.objective import Objective
from wfsim.text import suggest

if TYPE_CHECKING:
    import pandas as pd

    from wfsim.study.study import Study

_PRICE = Number("a price, from 0", ge=0.0, le=1e12)
_PRICES = "a price, from 0, by the name of each pool"

Price = Annotated[float, _PRICE]
Prices = Annotated[Mapping[str, float], Keys(_PRICES, _PRICE.accept)]


@dataclass(frozen=True)
class Cost:
    """What is paid: for each worker and place that is there, and for what goes wrong.

    Workers and places cost as long as they are there, busy or not; without a bound, as
    long as they are busy.  Raises `DefinitionError`.

    >>> Cost(worker=0.01, places={"uplink": 0.002}, failure=25).currency
    ''
    """

    worker: Annotated[Price, Doc("Of a second of a worker.")] = 0.0
    places: Annotated[Prices, Doc("Of a second of a place, by pool.")] = field(
        default_factory=lambda: EMPTY
    )
    failure: Annotated[Price, Doc("Of a run that is called for and not done.")] = 0.0
    currency: Annotated[Text, Doc("What stands behind a price.")] = ""

    def __post_init__(self) -> None:
        check(self)

    @property
    def is_free(self) -> bool:
        """Whether nothing costs anything."""
        return not (self.worker or self.failure or any(self.places.values()))


def costs(study: Study, cost: Cost, confidence: float) -> pd.DataFrame:
    """Return what `Study.costs` does."""
    check_confidence(confidence)
    if not isinstance(cost, Cost):
        raise UsageError(f"cost is {cost!r}; give wfsim.types.Cost(worker=0.01, ...)")
    spent = _spent(study, cost)
    labels = study.points.to_dict("list")
    groups = dict(list(spent.groupby("point")))
    columns: dict[str, list[Any]] = {name: labels[name] for name in study.over}
    names = (*AMOUNTS, *COST_PARTS, "cost", "low", "high")
    columns |= {name: [] for name in names}
    for point in range(len(study.points)):
        of_point = groups.get(point, spent.head(0))
        for name in (*AMOUNTS, *COST_PARTS):
            columns[name].append(float(of_point[name].mean()))
        interval = of_mean(of_point["cost"].to_numpy(), confidence)
        for name, value in zip(("cost", "low", "high"), interval, strict=True):
            columns[name].append(value)
    dtypes = {name: study.points[name].dtype for name in study.over}
    return frame(columns, {**dict.fromkeys(names, "float64"), **dtypes})


def _spent(study: Study, cost: Cost) -> pd.DataFrame:
    """Return `AMOUNTS`, `COST_PARTS`, ``cost``; a row per ``point``, ``replication``."""
    servers = study.loads["server"].unique().tolist()
    pools = [name for name in servers if name != WORKERS]
    for name in cost.places:
        if name not in pools:
            raise UsageError(f"cost: no pool {name!r}{suggest(name, pools)}")
    prices = {WORKERS: cost.worker, **cost.places}
    loads = study.by_point("loads")
    # Without a bound only those that are busy are there.
    there = loads["places"].where(loads["places"].notna(), loads["busy"])
    seconds = loads["seconds"] * there
    is_worker = loads["server"] == WORKERS
    paid = seconds * loads["server"].map(lambda name: prices.get(name, 0.0))
    keys = ["point", "replication"]
    sums = (
        loads[keys]
        .assign(
            worker_seconds=seconds.where(is_worker, 0.0),
            place_seconds=seconds.where(~is_worker, 0.0),
            worker=paid.where(is_worker, 0.0),
            place=paid.where(~is_worker, 0.0),
        )
        .groupby(keys)
        .sum()
    )
    tallies = study.by_point("replications").set_index(keys)
    undone = tallies["runs"] * (1.0 - tallies["success"].fillna(1.0))
    spent = sums.reindex(tallies.index).fillna(0.0)
    spent = spent.assign(undone=undone, failure=undone * cost.failure)
    spent["cost"] = spent[list(COST_PARTS)].sum(axis=1)
    return spent.reset_index()


class Decision(NamedTuple):
    """A *question*, its *answer*, *reasons* how sure that is, and what it costs.

    ``point`` is the number of the point that was chosen, None where none is.  ``points``
    has a row per point: its ``label``, the *measure* and the ends of its interval,
    ``low`` and ``high``, ``success`` and, with prices, ``cost`` (float64), and whether
    it ``meets`` the objective: yes, no, or open (empty without one).  ``costs`` is what
    `Study.costs` returns, and *limit* that of the objective, NaN without one.
    """

    question: str
    answer: str
    reasons: tuple[str, ...]
    point: int | None
    points: pd.DataFrame
    costs: pd.DataFrame
    measure: str
    limit: float
    cost: Cost


def decide(
    study: Study,
    objective: str | None,
    cost: Cost | None,
    question: str | None,
    confidence: float,
) -> Decision:
    """Return what `Study.decision` does."""
    check_confidence(confidence)
    if question is not None and not isinstance(question, str):
        raise UsageError(f"question is {question!r}; give a text")
    goal = None if objective is None else Objective.parse(objective)
    if goal is not None and goal.end[1]:
        raise UsageError(
            f"decision: {goal.measure!r} is an end of the interval, which it looks at "
            f"anyway; write {goal.end[0]!r}"
        )
    measure = "total" if goal is None else goal.measure
    prices = cost or Cost()
    every = costs(study, prices, confidence)
    size = len(study.points)
    intervals = intervals_of(study, measure, 1.0 - (1.0 - confidence) / size)
    success = [each.estimate for each in intervals_of(study, "success", confidence)]
    labels = _labels(study)
    verdicts = [""] * size if goal is None else [goal.meets(each) for each in intervals]
    columns: dict[str, Any] = {
        "label": labels,
        measure: [each.estimate for each in intervals],
        "low": [each.low for each in intervals],
        "high": [each.high for each in intervals],
        "success": success,
        "meets": verdicts,
    }
    numbers = dict.fromkeys((measure, "low", "high", "success", "cost"), "float64")
    if not prices.is_free:
        columns["cost"] = every["cost"].tolist()
    points = frame(columns, {**numbers, "label": TEXT, "meets": TEXT})
    choice = _Choice(study, prices, every, measure, confidence)
    if goal is None:
        point, answer, reasons = choice.best(labels)
        asked = choice.question
    else:
        point, answer, reasons = choice.sufficient(
            goal, objective or "", verdicts, labels
        )
        asked = f"What is the least that meets {objective}?"
    if point is not None:
        reasons = (_known(measure, intervals[point], confidence, size), *reasons)
        reasons += (
            f"{success[point]:.1%} of the runs that are called for are done there.",
        )
    replications = len(study.replications)
    reasons += (
        f"This rests on {count(len(study.runs), 'run')} in "
        f"{count(replications, 'replication')} of {count(size, 'point')}.",
        *(f"{notice[0].upper()}{notice[1:]}." for notice in study.notices),
    )
    limit = math.nan if goal is None else goal.limit
    return Decision(
        question or asked, answer, reasons, point, points, every, measure, limit, prices
    )


def _labels(study: Study) -> list[str]:
    """Return what a reader calls the points: dotted names by their last part."""
    last = [name.rpartition(".")[2] for name in study.over]
    names = last if len(set(last)) == len(last) else list(study.over)
    rows = study.points.itertuples(index=False, name=None)
    pairs = [zip(names, map(label, row), strict=True) for row in rows]
    return [", ".join(map(" ".join, row)) or "the only point" for row in pairs]


class _Choice(NamedTuple):
    """How one of the points of a *study* is chosen by what it costs or measures."""

    study: Study
    prices: Cost
    costs: pd.DataFrame
    measure: str
    confidence: float

    @property
    def question(self) -> str:
        """What is asked where there is no objective."""
        if len(self.study.points) == 1:
            return "What is to be expected?"
        which = f"Which of {count(len(self.study.points), 'point')}"
        if self.prices.is_free:
            return f"{which} is the best by {self.measure}?"
        return f"{which} costs the least?"

    def best(self, labels: Sequence[str]) -> tuple[int | None, str, tuple[str, ...]]:
        """Return the best point, that as a sentence, and how sure it is."""
        if len(labels) == 1:
            return 0, f"Expect {self._value(0)}.", ()
        if not self.prices.is_free:
            point = int(np.nanargmin(self.costs["cost"]))
            row = self.costs.iloc[point]
            answer = f"Take {labels[point]}: it costs {self.money(row['cost'])} a time."
            return point, answer, (self._against_next(point, labels),)
        ranked = rank(self.study, self.measure, None, self.confidence)
        point = self._number(ranked.iloc[0])
        best = float(ranked["best"].iloc[0])
        most = "most" if is_better_large(self.measure) else "least"
        answer = f"Take {labels[point]}: {self._value(point)} is the {most} of all."
        reason = f"It is the best of all with a probability of {best:.1%} (bootstrap)."
        if math.isnan(best):
            reason = "How sure that is one replication does not tell: give more."
        return point, answer, (reason,)

    def sufficient(
        self, goal: Objective, text: str, verdicts: Sequence[str], labels: Sequence[str]
    ) -> tuple[int | None, str, tuple[str, ...]]:
        """Return the least point that meets *goal*, that as a sentence, and why."""
        met = [point for point, each in enumerate(verdicts) if each == "yes"]
        still_open = [labels[at] for at, each in enumerate(verdicts) if each == "open"]
        reasons: tuple[str, ...] = ()
        if still_open:
            which = ", ".join(still_open[:5]) + ", ..." * (len(still_open) > 5)
            reasons = (
                f"Of {count(len(still_open), 'point')} it is open whether {text} holds "
                f"({which}): more replications would tell.",
            )
        if not met:
            certain = "is known to meet" if still_open else "meets"
            return None, f"No point {certain} {text}.", reasons
        price = "cost" if not self.prices.is_free else "worker_seconds"
        order = self.costs[[price, "place_seconds"]].to_numpy()
        point = min(met, key=lambda at: (*order[at], at))
        answer = f"Take {labels[point]}: it is the least that meets {text}."
        if not self.prices.is_free:
            paid = self.money(self.costs["cost"].iloc[point])
            answer = f"Take {labels[point]}: it meets {text} and costs {paid} a time."
            if len(met) > 1:
                reasons = (self._against_next(point, labels, met), *reasons)
        return point, answer, reasons

    def money(self, value: float) -> str:
        """Return a price as a reader writes it."""
        return f"{value:,.2f} {self.prices.currency}".strip()

    def _value(self, point: int) -> str:
        intervals = intervals_of(self.study, self.measure, self.confidence)
        return f"a {self.measure} of {amount(self.measure, intervals[point].estimate)}"

    def _number(self, row: Any) -> int:
        """Return the number of the point that has the labels of *row*."""
        wanted = [row[name] for name in self.study.over]
        rows = self.study.points.itertuples(index=False, name=None)
        return next(at for at, each in enumerate(rows) if list(each) == wanted)

    def _against_next(
        self, point: int, labels: Sequence[str], among: Sequence[int] = ()
    ) -> str:
        """Return how much less the *point* costs than the next of them."""
        others = [at for at in among or range(len(labels)) if at != point]
        following = min(others, key=lambda at: float(self.costs["cost"].iloc[at]))
        spent = _spent(self.study, self.prices).set_index("replication")
        own, other = (
            spent.loc[spent["point"] == at, "cost"] for at in (point, following)
        )
        # The same replication had the same seed at both.
        more = of_mean((other - own).dropna().to_numpy(), self.confidence)
        low, high = self.money(more.low), self.money(more.high)
        surely = "surely" if more.low > 0.0 else "not surely"
        return (
            f"The next, {labels[following]}, costs {self.money(more.estimate)} more "
            f"({low} to {high}): {surely} more."
        )


def _known(measure: str, interval: Interval, confidence: float, size: int) -> str:
    """Return how well *measure* is known, as a sentence."""
    low, high = (amount(measure, each) for each in (interval.low, interval.high))
    unit = "" if in_seconds(measure) or is_share(measure) else f" {measure}"
    together = f", for all {size} points at once" * (size > 1)
    return (
        f"With a confidence of {confidence:.0%}{together}, {measure} lies between {low} "
        f"and {high}{unit}; {amount(measure, interval.estimate)} was measured."
    )
