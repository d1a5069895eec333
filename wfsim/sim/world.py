"""Fake resources as data: what is, and what is about to be.

A world keeps its state in plain attributes and what it has begun in a list of
pending completions, never inside a generator.  So it can be copied, compared, and
go on from a copy; and it goes on when the controller that asked for something dies.
"""

from __future__ import annotations

import copy
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping
from functools import partial
from math import inf
from operator import attrgetter
from typing import Any, NamedTuple, Self

from wfsim.engine.controller import next_tick
from wfsim.engine.ports import Clock, Draws, Effect, Notes
from wfsim.errors import UsageError
from wfsim.model.bounds import seconds
from wfsim.model.glance import as_html, glance, words
from wfsim.model.resource import Resource
from wfsim.sim.copies import copied
from wfsim.sim.pool import pools
from wfsim.text import plain

# A NamedTuple's own constructor is a Python function; this one is not.
_new = tuple.__new__


class Completion(NamedTuple):
    """At *due* (seconds of virtual time) the method *action* is called with *args*."""

    due: float
    number: int
    action: str
    args: tuple[Any, ...]


class _Wait:
    """What somebody waits for, who looks every so many seconds from *began* on."""

    __slots__ = ("began", "condition", "deadline", "every", "late", "look")

    def __init__(
        self, condition: Callable[[], bool], began: float, every: float, deadline: float
    ) -> None:
        self.condition = condition
        self.began = began
        self.every = every
        self.deadline = deadline
        self.look = -inf
        self.late = False

    def next_look(self, now: float) -> float:
        """Return when a change is seen, that of now or an earlier one not yet seen."""
        if now > self.look:
            tick = min(next_tick(now, self.began, self.every), self.deadline)
            self.look = now + (tick - now) if tick > now else now
        return self.look


def _at_a_glance(value: Any) -> str:
    """Return how many there are of what can be counted, and the first ones' names."""
    if isinstance(value, Mapping) and value:
        return f"{len(value):,}: {words([str(name) for name in value], between=', ')}"
    if isinstance(value, Collection) and not isinstance(value, str) and value:
        return f"{len(value):,}"
    return plain(value)


class World:
    """Base class of fake worlds; attributes without an underscore are its state.

    ``pending`` are the operations under way, oldest first.
    """

    def __init__(self) -> None:
        self.pending: list[Completion] = []
        self._numbers = 0
        self._clock: Clock | None = None
        self._draws: Draws | None = None
        self._waiting: dict[Any, _Wait] = {}
        self._acting = False

    def __repr__(self) -> str:
        pending = len(vars(self).get("pending", ()))
        lines = (
            f"  {name}: {_at_a_glance(value)}"
            for name, value in vars(self).items()
            if name[0] != "_" and name != "pending"
        )
        return glance(f"<{type(self).__name__}, {pending} pending>", lines)

    def _repr_html_(self) -> str:
        return as_html(repr(self))

    def attach(self, clock: Clock, draws: Draws, notes: Notes | None = None) -> None:
        """Use *clock*; operations that are pending keep their due times.

        Its pools tell *notes* of their changes.  Raises `UsageError` if it lives on
        a clock already.
        """
        if self._clock is not None:
            raise UsageError("this world lives on a clock already; give a copy() of it")
        self._clock, self._draws = clock, draws.within("world")
        for name, pool in pools(vars(self)):
            pool.attach(clock, notes, name)
        for completion in self.pending:
            self._schedule(completion)

    def heard(self, before: Resource | None, after: Resource | None) -> None:
        """React to a write that a store of resources has applied; here nothing follows.

        Override it for what neither steps nor controllers do, such as to free the lock of
        a flow that has ended.  It may be called twice for one write.
        """

    @property
    def clock(self) -> Clock:
        """The clock it lives on; `UsageError` before it lives on one."""
        if self._clock is None:
            raise UsageError("this world has no clock yet; give it to a Simulation")
        return self._clock

    def state(self) -> dict[str, Any]:
        """Return a private copy of what is, without what is pending."""
        state = self._public({id(self): None})
        del state["pending"]
        return state

    def essence(self) -> Any:
        """Return what of it counts, as plain values, when two worlds are compared.

        That is all of `state` here; a subclass may leave out how it came about.
        """
        return self.state()

    def copy(self) -> Self:
        """Return a world of the same state and pending completions, on no clock."""
        twin = copy.copy(self)
        # What refers to this world refers to the other one there.
        vars(twin).update(self._public({id(self): twin}))
        twin._clock, twin._draws, twin._waiting = None, None, {}
        return twin

    def _public(self, known: dict[int, Any]) -> dict[str, Any]:
        public = {name: value for name, value in vars(self).items() if name[0] != "_"}
        return {name: copied(value, known) for name, value in public.items()}

    def draw(self, *purpose: str | int) -> float:
        """Return a number in [0, 1) that depends on the seed and *purpose* alone."""
        if self._draws is None:
            raise UsageError("this world has no seed yet; give it to a Simulation")
        return self._draws.uniform(*purpose)

    def later(self, delay: float, action: str, *args: Any) -> None:
        """Call the method *action* with *args* after *delay* seconds.

        It is called even if the controller crashes or the step is cancelled meanwhile.
        Raises `UsageError` for a *delay* that is no number from 0 to 1e12.
        """
        delay = seconds(delay, "World.later()")
        if not callable(getattr(self, action, None)):
            raise UsageError(f"{type(self).__name__} has no method {action!r} to call")
        number = self._numbers = self._numbers + 1
        due = (self._clock or self.clock).now + delay
        completion = _new(Completion, (due, number, action, args))
        self.pending.append(completion)
        self._schedule(completion)

    def break_one(self, draw: float) -> str:
        """Break one of the things that can break just now and return its name.

        *draw* (0 <= draw < 1) says which.  "" says that there is none, as here; a
        subclass may know better.
        """
        return ""

    def mend(self, name: str) -> None:
        """Mend what `break_one` has broken, if it is still there and broken."""

    def changed(self) -> None:
        """Wake the steps that wait in `until`.

        Call it at the end of every method that changes the world.
        """
        # What a completion changes is looked at when it is done.
        if self._acting or not self._waiting:
            return
        clock = self.clock
        now = clock.now
        for event, wait in tuple(self._waiting.items()):
            look = wait.next_look(now) if wait.every else now
            try:
                over = wait.condition()
            except Exception:
                over = True  # it is raised where it is waited for
            if over:
                del self._waiting[event]
                clock.fire(event, look)

    def until(
        self,
        condition: Callable[[], bool],
        *,
        every: float = 0.0,
        timeout: float | None = None,
        what: str = "condition",
    ) -> Effect[None]:
        """Wait until *condition* holds, as seen by a poll *every* so many seconds.

        The polls are computed, not made: *condition* is asked when the world changes, and
        at the tick that follows if it holds then.  It must change nothing itself.  Raises
        `TimeoutError` naming *what* if it does not hold *timeout* seconds from now, and
        `UsageError` for seconds that are no number from 0 to 1e12.
        """
        every = seconds(every, "every of World.until()")
        if timeout is not None:
            timeout = seconds(timeout, "timeout of World.until()")
        if condition():
            return
        clock = self._clock or self.clock
        began = clock.now
        wait = _Wait(condition, began, every, inf if timeout is None else began + timeout)
        event = clock.event()
        call_off: Callable[[], None] | None = None

        def alarm() -> None:
            wait.late = True
            if self._waiting.pop(event, None):
                clock.fire(event, clock.now)

        try:
            if timeout is not None:
                call_off = clock.call(timeout, alarm)
            while True:
                self._waiting[event] = wait
                yield event
                if condition():
                    return
                if wait.late:
                    raise TimeoutError(f"{what}: not within {timeout:g} s")
                event = clock.event()
        finally:
            self._waiting.pop(event, None)
            if call_off is not None:
                call_off()

    def _schedule(self, completion: Completion) -> None:
        clock = self._clock or self.clock
        event = clock.event()
        event.callbacks.append(partial(self._complete, completion))
        # Not by a delay: it is due at the same time in whatever goes on from a copy.
        clock.fire(event, max(completion.due, clock.now))

    def _complete(self, completion: Completion, _: Any) -> None:
        pending, number = self.pending, completion.number
        # By number, since the list is in that order: a scan would be O(n) each.
        first = pending[0].number == number
        del pending[0 if first else bisect_left(pending, number, key=_number)]
        self._acting = True
        try:
            getattr(self, completion.action)(*completion.args)
        finally:
            self._acting = False
        self.changed()


_number = attrgetter("number")
_NOTHING = object()


def is_same(world: World | None, other: World | None) -> bool:
    """Whether two worlds are alike in all that they are copied by."""
    if world is None or other is None or len(vars(world)) != len(vars(other)):
        return world is other
    own = vars(other)
    return all(
        own.get(name, _NOTHING) == value
        for name, value in vars(world).items()
        if name[0] != "_"
    )
