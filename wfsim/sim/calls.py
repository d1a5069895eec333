"""Calls from outside: what is done to a simulation, kept so that a fork repeats it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any, Concatenate, NamedTuple, ParamSpec, Protocol, TypeVar, cast

from wfsim.errors import StoreError, UsageError
from wfsim.sim.clock import VirtualClock, WallClock

P = ParamSpec("P")
T = TypeVar("T")


class Call(NamedTuple):
    """What was done from outside, after *events* events of the clock, at *time*."""

    events: int
    time: float
    method: str
    args: tuple[Any, ...]
    keywords: dict[str, Any]


class Calls:
    """The calls that were made from outside, in order: `kept`."""

    def __init__(self, clock: VirtualClock | WallClock) -> None:
        self._clock = clock
        self._is_consequence = False
        self.kept: list[Call] = []

    @contextmanager
    def consequences(self) -> Iterator[None]:
        """Take what is called meanwhile as the consequence of something else."""
        before, self._is_consequence = self._is_consequence, True
        try:
            yield
        finally:
            self._is_consequence = before

    def make(
        self,
        function: Callable[..., T],
        method: str,
        args: tuple[Any, ...],
        keywords: dict[str, Any],
    ) -> T:
        """Make a call and keep it, unless it is a consequence or is refused."""
        if self._is_consequence:
            return function(*args, **keywords)
        clock = self._clock
        self.kept.append(Call(clock.events, float(clock.now), method, args, keywords))
        try:
            with self.consequences():
                return function(*args, **keywords)
        except (UsageError, StoreError):
            # Refused: nothing has happened that could be repeated.
            self.kept.pop()
            raise


class Called(Protocol):
    """What has methods that are called from outside."""

    calls: Calls

    def begin(self) -> None:
        """Get ready for calls, if that has not been done."""


S = TypeVar("S", bound=Called)


def from_outside(
    method: Callable[Concatenate[S, P], T],
) -> Callable[Concatenate[S, P], T]:
    """Begin, and keep each call of *method* for `fork`."""

    @wraps(method)
    def call(self: S, *args: P.args, **keywords: P.kwargs) -> T:
        self.begin()
        bound = partial(method, self)
        return self.calls.make(bound, method.__name__, args, keywords)

    return cast("Callable[Concatenate[S, P], T]", call)
