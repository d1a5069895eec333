"""Times: when something happens, again and again, and how much there is meanwhile.

>>> from wfsim.sim.draws import KeyedDraws
>>> list(Times(every=60, start=30, count=3).each(KeyedDraws(1)))
[30.0, 90.0, 150.0]
>>> [round(t) for t in Times(mean=60, count=3).each(KeyedDraws(1), "backups")]
[37, 66, 105]
>>> Shifts([[0, 0], [8 * 3600, 3]]).at(9 * 3600)
3
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count, pairwise
from typing import Annotated, Any, NamedTuple, TypeAlias

from wfsim.engine.ports import Draws
from wfsim.errors import DefinitionError, Problem
from wfsim.model.bounds import (
    LEAST_GAP,
    MAX_COUNT,
    MAX_SECONDS,
    Doc,
    Gap,
    Number,
    PositiveSeconds,
    Seconds,
    Whole,
    check,
    ends_before,
)
from wfsim.model.duration import PARSED, Duration
from wfsim.text import short, suggest

MAX_TIMES = 10_000_000
MOST_LEVELS = 10_000
DAY = 86400.0
HIGHEST_RATE = 1.0 / LEAST_GAP
PerSecond = Annotated[float, Number("a number", ge=1 / MAX_SECONDS, le=HIGHEST_RATE)]
TimesCount = Annotated[int, Whole("a whole number", ge=1, le=MAX_TIMES)]

Levels: TypeAlias = tuple[tuple[float, float], ...]
"""What holds from which second of a period on, in order, from second 0."""


class _LevelsRule(NamedTuple):
    """The bounds of `Levels`: pairs of a second and a *level*."""

    level: Number

    def accept(self, value: Any) -> Levels:
        """Return *value* as pairs of numbers, or raise `ValueError`."""
        wanted = (
            "a list of [second, level], the first second 0 and each later than the one "
            f"before, each level {self.level.wanted}"
        )
        try:
            pairs = [(float(second), level) for second, level in value]
            levels = tuple((at, self.level.accept(level)) for at, level in pairs)
        except (TypeError, ValueError):
            raise ValueError(wanted) from None
        seconds = [second for second, _ in levels]
        in_order = all(one < other for one, other in pairwise(seconds))
        if not levels or len(levels) > MOST_LEVELS or seconds[0] or not in_order:
            raise ValueError(wanted)
        return levels

    def _read(self, value: Any) -> Levels:
        try:
            return self.accept(value)
        except ValueError as error:
            raise ValueError(f"is wrong: give {error}") from None

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        function = {"type": "no-info", "function": self._read}
        return {"type": "function-plain", "function": function}

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        pair = {
            "type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2,
        }  # fmt: skip
        return {"type": "array", "items": pair, "minItems": 1, "maxItems": MOST_LEVELS}


_RATES = _LevelsRule(Number("a number", ge=0, le=HIGHEST_RATE))
_PLACES = _LevelsRule(Whole("a whole number", ge=0, le=MAX_COUNT))


def level_at(levels: Levels, second: float) -> float:
    """Return the level that holds at that *second* of the period."""
    return levels[bisect_right(levels, (second, math.inf)) - 1][1]


def mean_level(levels: Levels, period: float) -> float:
    """Return the level that holds on average over a *period* of seconds."""
    ends = [*(second for second, _ in levels[1:]), period]
    return (
        math.fsum(
            level * (end - second)
            for (second, level), end in zip(levels, ends, strict=True)
        )
        / period
    )


@dataclass(frozen=True)
class Shifts:
    """How many there are from which second of a *period* (a day) on, over and over.

    *levels* are pairs of a second and a whole number.  Raises `DefinitionError`.
    """

    levels: Annotated[
        Annotated[Levels, _PLACES],
        Doc("Pairs of a second of the period, from 0, and how many there are then."),
    ]
    period: Annotated[PositiveSeconds, Doc("Seconds after which it begins anew.")] = DAY

    def __post_init__(self) -> None:
        check(self)
        if problem := _beyond(self.levels, self.period, "levels"):
            raise DefinitionError(problem)

    @property
    def most(self) -> int:
        """The highest level."""
        return int(max(level for _, level in self.levels))

    def at(self, time: float) -> int:
        """Return how many there are at that second."""
        return int(level_at(self.levels, time % self.period))

    def changes(self, after: float) -> Iterator[tuple[float, int]]:
        """Yield when the level changes *after* that second, and to what."""
        for number in count(int(after // self.period)):
            for second, level in self.levels:
                time = number * self.period + second
                if time > after:
                    yield time, int(level)

    def mean(self, since: float, until: float) -> float:
        """Return how many there are on average between two seconds."""
        total, time, level = 0.0, since, self.at(since)
        if until <= since:
            return float(level)
        for change, following in self.changes(since):
            total += level * (min(change, until) - time)
            if change >= until:
                break
            time, level = change, following
        return total / (until - since)


def wrong_shifts(shifts: Mapping[str, Any], servers: Collection[str]) -> list[Problem]:
    """Return what is wrong with *shifts* of those *servers*."""
    problems = []
    for name, each in shifts.items():
        path = ("shifts", name)
        if name not in servers:
            text = f"no pool {name!r}{suggest(name, servers)}"
            problems.append(Problem(text, path=path, subject="shifts"))
        elif not isinstance(each, Shifts):
            text = f"{name} is {short(each)}"
            problems.append(Problem(text, "give Shifts(...)", path, "shifts"))
    return problems


def _beyond(levels: Levels, period: float, name: str) -> Problem | None:
    """Return the problem of *levels* of which one begins after the *period*."""
    last = levels[-1][0]
    if last < period:
        return None
    text = f"{name} begin at {last:g} s, and the period ends at {period:g} s"
    return Problem(text, "give seconds within the period", (name,))


@dataclass(frozen=True)
class Times:
    """When something happens, in seconds of virtual time, in one of six ways.

    =========== ===========================================================
    ``at``      at these times
    ``every``   at *start* and again after so many seconds each
    ``mean``    as a Poisson process, with so many seconds between two on average
    ``rate``    the same, with so many in a second on average
    ``between`` as a renewal process: what is between two is drawn from this `Duration`
    ``rates``   as a Poisson process whose rate is that of the second of the *period* (a
                day): pairs of a second, from 0, and how many come in a second from then
                on; by thinning (Lewis and Shedler 1979)
    =========== ===========================================================

    *until* (a second) and *count* end it, the first that is reached; without both it
    goes on until the horizon.  At each time *batch* happen at once: a whole number, or
    drawn from a `Duration` and rounded, 1 at least.  Raises `DefinitionError`.
    """

    at: Annotated[tuple[Seconds, ...], Doc("At these seconds of virtual time.")] = ()
    every: Annotated[Gap | None, Doc("Again after so many seconds each.")] = None
    mean: Annotated[
        Gap | None, Doc("As a Poisson process, so many seconds apart on average.")
    ] = None
    rate: Annotated[
        PerSecond | None, Doc("As a Poisson process, so many in a second on average.")
    ] = None
    start: Annotated[Seconds, Doc("The second from which it counts.")] = 0.0
    until: Annotated[Seconds | None, Doc("The last second; else the horizon.")] = None
    count: Annotated[TimesCount | None, Doc("How often at most.")] = None
    between: Annotated[
        Annotated[Duration, PARSED] | None,
        Doc("As a renewal process, so many seconds apart, drawn from a distribution."),
    ] = None
    rates: Annotated[
        Annotated[Levels, _RATES] | None,
        Doc(
            "As a Poisson process: pairs of a second of the period, from 0, and how many "
            "come in a second from then on."
        ),
    ] = None
    period: Annotated[PositiveSeconds, Doc("Seconds after which rates begin anew.")] = DAY
    batch: Annotated[
        Annotated[Duration, PARSED] | None,
        Doc("How many at each time: a number, or a distribution, which is rounded."),
    ] = None

    def __post_init__(self) -> None:
        check(self)
        object.__setattr__(self, "at", tuple(sorted(map(float, self.at))))
        listed = self.at or None
        given = [listed, self.every, self.mean, self.rate, self.between, self.rates]
        problems = []
        if len(given) - given.count(None) != 1:
            text = "give one of at, every, mean, rate, between and rates"
            problems.append(Problem(text))
        if self.until is not None and self.until < self.start:
            problems.append(ends_before(self.start, self.until, "Times"))
        if self.between is not None and self.between.mean < LEAST_GAP:
            text = f"between is {self.between.mean:g} s on average"
            cure = f"give {LEAST_GAP:g} s or more, and let several come as a batch"
            problems.append(Problem(text, cure, ("between",)))
        if self.rates is not None:
            if not any(rate for _, rate in self.rates):
                problems.append(Problem("rates are 0 at all times", path=("rates",)))
            if problem := _beyond(self.rates, self.period, "rates"):
                problems.append(problem)
        if problems:
            raise DefinitionError(*(replace(each, subject="Times") for each in problems))

    @classmethod
    def resampled(cls, times: Iterable[float], **more: Any) -> Times:
        """Return a renewal process whose gaps are drawn from those between *times*.

        What each had to do with the one before is lost.  *more* are other keywords.
        Raises `DefinitionError` for fewer than two times.
        """
        ordered = sorted(times)
        gaps = [after - before for before, after in pairwise(ordered)]
        if not gaps:
            text, cure = f"{len(ordered)} times have no gap", "give two times or more"
            raise DefinitionError(Problem(text, cure, ("at",), "Times"))
        return cls(between=Duration("empirical", tuple(sorted(gaps))), **more)

    @property
    def gap(self) -> float:
        """The seconds between two times, on average; infinity for those listed."""
        if self.rate is not None:
            return 1.0 / self.rate
        if self.rates is not None:
            return 1.0 / mean_level(self.rates, self.period)
        if self.between is not None:
            return self.between.mean
        return self.mean or self.every or math.inf

    @property
    def once(self) -> bool:
        """Whether it is one time at most."""
        return (len(self.at) == 1 and self.batch is None) or self.count == 1

    def is_endless(self, horizon: float) -> bool:
        """Whether nothing ends it but the *horizon*."""
        ends = self.at or self.count is not None
        return not ends and (self.until is None or self.until >= horizon)

    def most(self, horizon: float) -> float:
        """Return how many there are until *horizon*, on average, if nothing ends it."""
        size = 1.0 if self.batch is None else max(self.batch.mean, 1.0)
        if self.at:
            most = len(self.at) * size
        else:
            end = min(horizon, math.inf if self.until is None else self.until)
            most = max(end - self.start, 0.0) / self.gap * size
        return most if self.count is None else min(most, self.count)

    def each(self, draws: Draws, *purpose: str | int) -> Iterator[float]:
        """Yield the times in order; what is drawn hangs on *purpose*."""
        until = math.inf if self.until is None else self.until
        most = math.inf if self.count is None else self.count
        number, batch = 0, self.batch
        for index, time in enumerate(self._endless(draws, purpose)):
            if time > until or number >= most:
                return
            size = 1
            if batch is not None:
                size = round(batch.draw(draws.uniform(*purpose, "batch", index)))
            for _ in range(max(size, 1)):
                if number >= most:
                    return
                yield time
                number += 1
            if number >= most:
                return

    def _endless(self, draws: Draws, purpose: tuple[str | int, ...]) -> Iterator[float]:
        if self.at:
            yield from (time for time in self.at if time >= self.start)
            return
        time, gap = float(self.start), self.gap
        if self.every is not None:
            yield from (time + number * gap for number in count())
        elif self.between is not None:
            for number in count():
                time += self.between.draw(draws.uniform(*purpose, number))
                yield time
        elif self.rates is not None:
            yield from self._thinned(self.rates, draws, purpose)
        else:
            for number in count():
                time -= gap * math.log1p(-draws.uniform(*purpose, number))
                yield time

    def _thinned(
        self, rates: Levels, draws: Draws, purpose: tuple[str | int, ...]
    ) -> Iterator[float]:
        """Yield those of a process of the highest rate that are left of each rate."""
        highest = max(rate for _, rate in rates)
        time = float(self.start)
        for number in count():
            time -= math.log1p(-draws.uniform(*purpose, number)) / highest
            share = draws.uniform(*purpose, number, "thinning")
            if share * highest < level_at(rates, time % self.period):
                yield time
