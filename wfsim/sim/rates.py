"""Faults at rates: what fails now and then, and is mended after a while.

>>> from wfsim.sim.draws import KeyedDraws
>>> rates = {"api": Rate(mtbf=3600, mttr=60, count=1)}
>>> expanded(rates, KeyedDraws(1), ["controller-0"], horizon=86400.0)
[ApiDown(t=1464.14, for_=62.214)]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, NamedTuple

from wfsim.engine.ports import Draws
from wfsim.errors import DefinitionError, Problem
from wfsim.model.bounds import (
    LEAST_GAP,
    MAX_SECONDS,
    Doc,
    Number,
    PositiveCount,
    Seconds,
    check,
    ends_before,
)
from wfsim.model.duration import PARSED, SCHEMA_PLACE, Duration
from wfsim.sim.faults import ApiDown, BreakOne, CrashAt, Fault
from wfsim.text import short, suggest

MAX_FAULTS = 10_000


class _Lifetime(NamedTuple):
    """The bounds of a time: seconds on average, or a `Duration` with such a mean."""

    def accept(self, value: Any) -> float | Duration:
        """Return *value* as it is kept, or raise `ValueError`."""
        if not isinstance(value, (Duration, Mapping)):
            return float(_GAP.accept(value))
        length: Duration = PARSED.accept(value)
        if length.mean < LEAST_GAP:
            raise ValueError(f"seconds, {LEAST_GAP:g} or more on average")
        return length

    def _read(self, value: Any) -> float | Duration:
        try:
            return self.accept(value)
        except ValueError as error:
            raise ValueError(f"is {short(value)}; give {error}") from None

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        function = {"type": "no-info", "function": self._read}
        return {"type": "function-plain", "function": function}

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        return dict(SCHEMA_PLACE)


_GAP = Number("seconds", ge=LEAST_GAP, le=MAX_SECONDS)
LIFETIME = _Lifetime()


def _lifetime(given: float | Duration) -> Duration:
    if isinstance(given, Duration):
        return given
    return Duration("exponential", (float(given),))


@dataclass(frozen=True)
class Rate:
    """How often something fails: up for *mtbf* seconds on average, then down for *mttr*.

    A number is the mean of an exponential time; a `Duration`, or what is read as one such
    as ``{"lognormal": [4, 1]}``, is that distribution.  Each failure has draws of its
    own.  It begins to count at *start*; *until* (None: the horizon) and *count* end it.
    Seconds of virtual time.  Raises `DefinitionError` for numbers that make no sense.
    """

    mtbf: Annotated[
        Annotated[float | Duration, LIFETIME],
        Doc("Seconds that it is up for, on average, or their distribution."),
    ]
    mttr: Annotated[
        Annotated[float | Duration, LIFETIME],
        Doc("Seconds that it is down for then, on average, or their distribution."),
    ]
    start: Annotated[Seconds, Doc("The second from which it counts.")] = 0.0
    until: Annotated[Seconds | None, Doc("The last second; else the horizon.")] = None
    count: Annotated[PositiveCount | None, Doc("How often at most.")] = None

    def __post_init__(self) -> None:
        check(self)
        if self.until is not None and self.until < self.start:
            raise DefinitionError(ends_before(self.start, self.until, "Rate"))

    @property
    def up(self) -> Duration:
        """How long it is up for each time."""
        return _lifetime(self.mtbf)

    @property
    def down(self) -> Duration:
        """How long it is down for each time."""
        return _lifetime(self.mttr)

    def most(self, horizon: float) -> float:
        """Return how many failures there are until *horizon*, on average."""
        end = horizon if self.until is None else min(self.until, horizon)
        most = max(end - self.start, 0.0) / (self.up.mean + self.down.mean)
        return most if self.count is None else min(most, self.count)


RATES = ("controller", "api", "pods")
"""What may fail at a rate: each controller, the API, one thing of the fake world."""


def wrong_rates(
    rates: Mapping[str, Any], faults: Sequence[Any], horizon: float
) -> list[Problem]:
    """Return what is wrong with *rates* and with the *faults* beside them."""
    problems = [
        Problem(
            f"{short(fault)} is no fault",
            "give some, such as wfsim.CrashAt(t=40)",
            ("faults", number),
            "faults",
        )
        for number, fault in enumerate(faults)
        if not isinstance(fault, Fault)
    ]
    for name, rate in rates.items():
        path, subject = ("rates", name), "rates"
        if name not in RATES:
            text = f"{name!r}{suggest(str(name), RATES)}"
            problems.append(Problem(text, path=path, subject=subject))
        elif not isinstance(rate, Rate):
            text, cure = f"{name} is {short(rate)}", "give Rate(mtbf=..., mttr=...)"
            problems.append(Problem(text, cure, path, subject))
        elif rate.most(horizon) > MAX_FAULTS / 2:
            text = f"{rate.most(horizon):.0f} failures until the horizon"
            cure = "give until, count or a lower horizon"
            problems.append(Problem(text, cure, path, f"rates: {name}"))
    return problems


def expanded(
    rates: Mapping[str, Rate],
    draws: Draws,
    controllers: Sequence[str],
    horizon: float,
) -> list[Fault]:
    """Return the faults that *rates* come to until *horizon*, as values, by time."""
    faults: list[Fault] = []
    for name, rate in rates.items():
        for whose in controllers if name == "controller" else ("",):
            drawn = partial(draws.uniform, "rates", name, whose)
            for number, (t, length) in enumerate(_outages(rate, drawn, horizon)):
                if name == "controller":
                    faults.append(CrashAt(t=t, restart_after=length, controller=whose))
                elif name == "api":
                    faults.append(ApiDown(t=t, for_=length))
                else:
                    which = round(drawn("which", number), 6)
                    faults.append(BreakOne(t=t, draw=min(which, 0.999999), for_=length))
    return sorted(faults, key=lambda fault: fault.t)  # type: ignore[attr-defined]


def _outages(rate: Rate, drawn: Any, horizon: float) -> Iterator[tuple[float, float]]:
    """Yield when each failure comes and how long it lasts, to the millisecond."""
    end = horizon if rate.until is None else min(rate.until, horizon)
    t, up, down = rate.start, rate.up, rate.down
    for number in range(rate.count or MAX_FAULTS):
        t += max(up.draw(drawn("up", number)), LEAST_GAP)
        if t > end:
            return
        length = max(down.draw(drawn("down", number)), LEAST_GAP)
        t, length = round(t, 3), round(length, 3)
        yield t, length
        t += length
