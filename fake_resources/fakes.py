"""The base of fake worlds: things of plain values that tell when they change.

The one rule: whatever has been asked for ends by itself.  A request only notes down a
completion that is due later, so it does not matter whether its caller lives that long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import field, fields
from difflib import get_close_matches
from functools import cache
from numbers import Real
from typing import Any, NamedTuple, TypeVar

import wfsim

F = TypeVar("F", bound="Fake")


def counter() -> Any:
    """Return a dataclass field that counts; `FakeWorld.essence` leaves it out."""
    return field(default=0, metadata={"counter": True})


class Ask(NamedTuple):
    """What an operator may ask, as plain data: *calls* are names with their arguments."""

    name: str
    calls: tuple[tuple[str, dict[str, Any]], ...]


class OperationFailed(Exception):
    """An operation has failed: an ordinary failure, which the retry asks for again."""


class Latencies(dict[str, wfsim.Duration]):
    """How long each operation of a world takes, all of them read and checked."""


def durations(known: Mapping[str, Any], given: Mapping[str, Any]) -> Latencies:
    """Return all latencies *known*, those *given* replaced, as distributions.

    What it has returned is returned as it is, since a world is made for each run.
    Raises `wfsim.DefinitionError` naming every operation that is unknown or whose
    latency is no duration.
    """
    if isinstance(given, Latencies):
        return given
    found = Latencies()
    problems = _unknown("latencies", known, given)
    for name, value in {**known, **given}.items():
        try:
            found[name] = wfsim.Duration.parse(value)
        except ValueError as error:
            problems.append(_problem("latencies", name, f"{name}: {error}"))
    if problems:
        raise wfsim.DefinitionError(*problems)
    return found


class Failures(dict[str, float]):
    """How often operations of a world fail, all of them read and checked."""


def probabilities(known: Mapping[str, Any], given: Mapping[str, Any]) -> Failures:
    """Return the probabilities with which operations fail, those *given* and no others.

    What it has returned is returned as it is.  Raises `wfsim.DefinitionError` naming
    every operation that is not among the *known* or has no number from 0 to 1.
    """
    if isinstance(given, Failures):
        return given
    if not isinstance(given, Mapping):
        text, cure = (
            f"failures is {given!r}",
            "give probabilities by the names of operations",
        )
        raise wfsim.DefinitionError(wfsim.errors.Problem(text, cure, ("failures",)))
    problems = _unknown("failures", known, given)
    for name, value in given.items():
        number = isinstance(value, Real) and not isinstance(value, bool)
        if not (number and 0.0 <= value <= 1.0):
            text = f"{name!r} is {value!r}; give a probability from 0 to 1"
            problems.append(_problem("failures", name, text))
    if problems:
        raise wfsim.DefinitionError(*problems)
    return Failures((name, float(value)) for name, value in given.items())


def _unknown(
    what: str, known: Mapping[str, Any], given: Mapping[str, Any]
) -> list[wfsim.errors.Problem]:
    problems = []
    for name in given:
        if name not in known:
            near = get_close_matches(str(name), known, n=1)
            cure = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(known)}"
            text = f"no operation {name!r}; {cure}"
            problems.append(_problem(what, name, text))
    return problems


def _problem(what: str, name: str, text: str) -> wfsim.errors.Problem:
    return wfsim.errors.Problem(text, path=(what, name), subject=what)


class Fake:
    """One thing of a world; subclasses are dataclasses of plain values.

    To set an attribute is to wake whoever waits in the world for it.  Two fakes are
    equal if their values are.  A copy belongs to no world until one is attached.
    """

    _world: Any = None
    _place: tuple[str, ...] = ()

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__[name] = value
        if self._world is not None:
            self._world.changed()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name[0] != "_"}

    @property
    def world(self) -> Any:
        """The world it is part of; `UsageError` while it is part of none that lives."""
        if self._world is None:
            raise wfsim.UsageError(f"{self!r} is in no world that lives on a clock yet")
        return self._world

    def later(self, delay: float, action: str, *args: Any) -> None:
        """Call its method *action* after *delay* seconds, if it is still there then."""
        world = self._world or self.world
        world.later(delay, "happen", self._place, action, *args)

    def ask(self, operation: str, name: str, action: str, *args: Any) -> None:
        """Begin *operation* on *name*; call *action* with *args* when it has gone well.

        When it has failed, `end_badly` is called, with which it was and *args*.
        """
        world = self._world or self.world
        delay = world.takes(operation, name)
        if world._failures and world.fails(operation, name):
            args = (operation, name, world.counts[operation, name], *args)
            action = "end_badly"
        world.later(delay, "happen", self._place, action, *args)

    def end_badly(self, operation: str, name: str, number: int, *args: Any) -> None:
        """Stay as before: *operation*, the *number*-th on *name*, has failed."""
        self.world.fail(operation, name, number)


@cache
def _holds(kind: type) -> bool:
    """Whether there may be fakes in a value of that *kind*."""
    return issubclass(kind, (Fake, dict))


class FakeWorld(wfsim.World):
    """A world whose attributes are fakes, or fakes by name.

    *latencies* says how long each operation takes.  `counts` is how often each was
    asked for, by (operation, name): the n-th time takes what was drawn for the n-th
    time, whatever else happened before.

    *failures* is the probability that an operation fails, by operation, for those that
    may; it is drawn for the n-th time, too.  What fails takes its time first.  `failed`
    is which time was the last that failed, by (operation, name).
    """

    def __init__(
        self,
        latencies: Mapping[str, wfsim.Duration],
        failures: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.counts: Counter[tuple[str, str]] = Counter()
        self.failed: dict[tuple[str, str], int] = {}
        self._latencies = latencies
        self._failures = failures or {}

    def attach(self, clock: Any, draws: Any, journal: Any = None) -> None:
        """Live on *clock* from now on, with everything in it."""
        found: list[tuple[tuple[str, ...], dict[Any, Any]]] = [((), vars(self))]
        atoms = _ATOMS
        for place, values in found:
            for name, value in values.items():
                # Most values are none of these.
                kind = type(value)
                if kind in atoms or not _holds(kind):  # type: ignore[arg-type]
                    continue
                if type(name) is str and name[0] != "_":
                    if isinstance(value, Fake):
                        value = vars(self.adopt(value, *place, name))
                    found.append(((*place, name), value))
        super().attach(clock, draws, journal)

    def adopt(self, fake: F, *place: str) -> F:
        """Return *fake* as part of this world; *place* is the way to it from here."""
        own = fake.__dict__
        own["_world"], own["_place"] = self, place
        return fake

    def takes(self, operation: str, name: str) -> float:
        """Count *operation* on *name* and return the seconds that it takes this time."""
        count = self.counts[operation, name] = self.counts.get((operation, name), 0) + 1
        return self._latencies[operation].draw(self.draw(operation, name, count))

    def fails(self, operation: str, name: str) -> bool:
        """Whether the time that `takes` has just counted is one that fails."""
        chance = self._failures.get(operation, 0.0)
        key = (operation, name, self.counts[operation, name])
        return chance > 0.0 and self.draw("failure", *key) < chance

    def fail(self, operation: str, name: str, number: int) -> None:
        """Mark the *number*-th *operation* on *name* as failed, for those who wait.

        Nobody does if it was asked for again meanwhile.
        """
        self.failed[operation, name] = number
        self.changed()

    def has_failed(self, operation: str, name: str) -> bool:
        """Whether *operation* failed when it was last asked for on *name*."""
        number = self.failed.get((operation, name))
        return number is not None and number == self.counts[operation, name]

    def failing_with(
        self, operation: str, name: str, condition: Callable[[], bool]
    ) -> Callable[[], bool]:
        """Return *condition* for `until`, to raise `OperationFailed` if that has failed.

        That is: if it does not hold, and *operation* on *name* `has_failed`.
        """
        if not self._failures:
            return condition

        def minded() -> bool:
            if condition():
                return True
            if self.has_failed(operation, name):
                raise OperationFailed(f"{operation} for {name} failed")
            return False

        return minded

    def happen(self, place: tuple[str, ...], action: str, *args: Any) -> None:
        """Call *action* of the fake at *place*; what is gone by now is left alone."""
        thing: Any = self
        for name in place:
            thing = thing.get(name) if isinstance(thing, dict) else getattr(thing, name)
            if thing is None:
                return
        getattr(thing, action)(*args)

    def essence(self) -> dict[str, Any]:
        """Return what is, as plain values, without how often it took to get there.

        Left out of `state`: `counts`, `failed`, and fields that are counters (`counter`).
        """
        return {
            name: _essence(value)
            for name, value in vars(self).items()
            if name[0] != "_" and name not in ("counts", "failed", "pending")
        }


def _essence(value: Any) -> Any:
    if isinstance(value, Fake):
        own = vars(value)
        return {
            name: item if type(item) in _ATOMS else _essence(item)
            for name in _counting(type(value))  # type: ignore[arg-type]
            for item in (own[name],)
        }
    if isinstance(value, dict):
        return {name: _essence(value[name]) for name in sorted(value)}
    return list(value) if isinstance(value, list) else value


_ATOMS = frozenset({str, int, float, bool, type(None)})


@cache
def _counting(kind: type[Fake]) -> tuple[str, ...]:
    """Return the fields of *kind* that count when two fakes are compared."""
    return tuple(item.name for item in fields(kind) if "counter" not in item.metadata)  # type: ignore[arg-type]


__all__ = ["Ask", "Fake", "FakeWorld", "OperationFailed", "counter"]
