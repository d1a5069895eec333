"""Faults at rates: what fails now and then, and is mended after a while.

>>> from wfsim.sim.draws import KeyedDraws
>>> rates = {"api": Rate(mtbf=3600, mttr=60, count=1)}
>>> expanded(rates, KeyedDraws(1), ["controller-0"], horizon=86400.0)
[ApiDown(t=1464.14, for_=62.214)]
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from wfsim.engine.ports import Draws
from wfsim.errors import DefinitionError
from wfsim.model.machine import did_you_mean
from wfsim.sim.faults import MAX_SECONDS, ApiDown, BreakOne, CrashAt, Fault

MAX_FAULTS = 10_000
LEAST = 0.001
"""Seconds: no outage is shorter, and none comes sooner after the one before."""


@dataclass(frozen=True)
class Rate:
    """How often something fails: up for *mtbf* seconds on average, then down for *mttr*.

    Both times are exponential, and drawn from the seed for each failure.  It begins to
    count at *start*; *until* (None: the horizon) and *count* end it.  Seconds of virtual
    time.  Raises `DefinitionError` for numbers that make no sense.
    """

    mtbf: float
    mttr: float
    start: float = 0.0
    until: float | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("mtbf", LEAST), ("mttr", LEAST), ("start", 0.0)):
            self._demand(name, least)
        if self.until is not None:
            self._demand("until", 0.0)
        if self.count is not None and not (type(self.count) is int and self.count > 0):
            raise DefinitionError(
                f"Rate: count is {self.count!r}; give a whole number from 1 on"
            )

    def _demand(self, name: str, least: float) -> None:
        value = getattr(self, name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (number and least <= value <= MAX_SECONDS):
            raise DefinitionError(
                f"Rate: {name} is {value!r}; give seconds from {least:g} on"
            )

    def most(self, horizon: float) -> float:
        """Return how many failures there are until *horizon*, on average."""
        end = horizon if self.until is None else min(self.until, horizon)
        most = max(end - self.start, 0.0) / (self.mtbf + self.mttr)
        return most if self.count is None else min(most, self.count)


RATES = ("controller", "api", "pods")
"""What may fail at a rate: each controller, the API, one thing of the fake world."""


def wrong_rates(
    rates: Mapping[str, Any], faults: Sequence[Any], horizon: float
) -> list[str]:
    """Return what is wrong with *rates* and with the *faults* beside them."""
    problems = [
        f"faults: {fault!r} is no fault; give some, such as wfsim.CrashAt(t=40)"
        for fault in faults
        if not isinstance(fault, Fault)
    ]
    for name, rate in rates.items():
        if name not in RATES:
            problems.append(f"rates: {name!r}{did_you_mean(name, RATES)}")
        elif not isinstance(rate, Rate):
            problems.append(f"rates: {name} is {rate!r}; give Rate(mtbf=..., mttr=...)")
        elif rate.most(horizon) > MAX_FAULTS / 2:
            problems.append(
                f"rates: {name}: {rate.most(horizon):.0f} failures until the horizon; "
                "give until, count or a lower horizon"
            )
    return problems


def expanded(
    rates: Mapping[str, Rate],
    draws: Draws,
    controllers: Sequence[str],
    horizon: float,
) -> list[Fault]:
    """Return the faults that *rates* come to until *horizon*, as values, by time."""
    found: list[Fault] = []
    for name, rate in rates.items():
        for whose in controllers if name == "controller" else ("",):
            drawn = partial(draws.uniform, "rates", name, whose)
            for number, (t, length) in enumerate(_outages(rate, drawn, horizon)):
                if name == "controller":
                    found.append(CrashAt(t=t, restart_after=length, controller=whose))
                elif name == "api":
                    found.append(ApiDown(t=t, for_=length))
                else:
                    which = round(drawn("which", number), 6)
                    found.append(BreakOne(t=t, draw=min(which, 0.999999), for_=length))
    return sorted(found, key=lambda fault: fault.t)  # type: ignore[attr-defined]


def _outages(rate: Rate, drawn: Any, horizon: float) -> Iterator[tuple[float, float]]:
    """Yield when each failure comes and how long it lasts, to the millisecond."""
    end = horizon if rate.until is None else min(rate.until, horizon)
    t = rate.start
    for number in range(rate.count or MAX_FAULTS):
        t += max(-rate.mtbf * math.log1p(-drawn("up", number)), LEAST)
        if t > end:
            return
        length = max(-rate.mttr * math.log1p(-drawn("down", number)), LEAST)
        t, length = round(t, 3), round(length, 3)
        yield t, length
        t += length
