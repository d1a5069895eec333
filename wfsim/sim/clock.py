"""SimPy environments that can also throw into a process, call back, and hold one."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from operator import attrgetter
from time import monotonic
from types import MethodType
from typing import TYPE_CHECKING, Any

import simpy
from simpy.core import Infinity
from simpy.events import NORMAL, URGENT, Event, Initialize, Interruption
from simpy.rt import RealtimeEnvironment

from wfsim.errors import UsageError
from wfsim.model.bounds import Seconds, argument, seconds
from wfsim.text import short

if TYPE_CHECKING:
    from wfsim.engine.ports import Clock


class _Throw(Interruption):
    """Like SimPy's own interruption, but of any exception, ``BaseException`` too."""

    def __init__(self, process: simpy.Process, exception: BaseException) -> None:
        super().__init__(process, None)
        self._value = exception

    def _interrupt(self, event: Event) -> None:
        held = self.process.env._held  # type: ignore[attr-defined]
        if self.process not in held:
            super()._interrupt(event)
        elif held[self.process] is None:
            held[self.process] = self._value


class Process(simpy.Process):
    """SimPy's own, but who yields no event is told so there, by a `UsageError`."""

    def _resume(self, event: Event) -> None:
        # SimPy's loop written out: what wraps it would cost a call for each event.
        environment: Any = self.env
        environment._active_proc = self
        generator: Any = self._generator
        while True:
            try:
                if event._ok:
                    event = generator.send(event._value)
                else:
                    event._defused = True
                    # One of its own, as others that wait for the event have theirs.
                    error = type(event._value)(*event._value.args)
                    error.__cause__ = event._value
                    event = generator.throw(error)
            except StopIteration as end:
                self._ok, self._value = True, end.value
                environment.schedule(self)
                self._target = None  # type: ignore[assignment]
                break
            except BaseException as error:
                traceback = error.__traceback__
                error.__traceback__ = traceback and traceback.tb_next
                self._ok, self._value = False, error
                environment.schedule(self)
                self._target = None  # type: ignore[assignment]
                break
            try:
                if event.callbacks is not None:
                    event.callbacks.append(self._resume)
                    self._target = event
                    break
            except AttributeError:
                refused = Event(environment)
                refused._ok, refused._value = False, UsageError(no_event(event))
                event = refused
        environment._active_proc = None


def no_event(value: Any) -> str:
    """Return what is wrong with yielding *value*, and what to write."""
    if value is None:
        return (
            "it yields nothing, and so waits for nothing; write yield from ctx.sleep(1)"
        )
    if hasattr(value, "send") or hasattr(value, "__await__"):
        name = getattr(value, "__name__", type(value).__name__)
        return f"it yields {name}(...), which is never begun; write yield from"
    if isinstance(value, (int, float)):
        sleep = f"write yield from ctx.sleep({value!r})"
        return f"it yields {value!r}, which is no event; {sleep}"
    return f"it yields {short(value)}, which is no event; write yield from ctx.sleep(1)"


class Timeout(simpy.Timeout):
    """SimPy's own, which takes NaN for a time, with a check in the same call."""

    def __init__(self, env: simpy.Environment, delay: float, value: Any = None) -> None:
        if type(delay) is not float or not 0.0 <= delay <= 1e12:
            delay = seconds(delay, "a wait")
        self.env = env
        self.callbacks = []
        self._value = value
        self._delay = delay
        self._ok = True
        # As `Environment.schedule` does: a call less for each wait.
        heappush(env._queue, (env._now + delay, NORMAL, next(env._eid), self))


class _Beginning(Event):
    """Takes the place of an `Initialize` that a held process has missed."""


class _More(simpy.Environment):
    # SimPy's own are Python calls; a step asks for the time five times and for a timeout
    # once, and the calls of a step are counted (tests/bench/test_calls.py).
    now = property(attrgetter("_now"))

    def __init__(self, **keywords: Any) -> None:
        # A float from the start: records of time 0 and of time 0.0 would differ.
        super().__init__(initial_time=0.0, **keywords)
        self.timeout = MethodType(Timeout, self)  # type: ignore[method-assign]
        self.process = MethodType(Process, self)  # type: ignore[method-assign]
        self.event = MethodType(Event, self)  # type: ignore[method-assign]
        self._held: dict[simpy.Process, BaseException | None] = {}
        self._void: set[Event] = set()
        self.events = 0
        """How many events have happened by `advance_many`, and what else was counted."""
        self._last = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.now:.3f} s>"

    def halt(self) -> None:
        """Stop `advance_many` before the next event; for the handler of Ctrl-C."""
        self._last = 0

    def peek(self) -> float:
        """Return the time of the next event, infinity if there is none.

        Timers that were called off, and those of processes that have been thrown out of
        waiting for them, go unnoticed: SimPy would let time run on to them.
        """
        queue, void = self._queue, self._void
        while queue and void and queue[0][3] in void and not queue[0][3].callbacks:
            void.remove(heappop(queue)[3])
        return queue[0][0] if queue else Infinity

    def advance(self, limit: float) -> bool:
        """Process the next event, unless there is none until *limit*."""
        queue, void = self._queue, self._void
        if void and queue and queue[0][3] in void:
            self.peek()
        if not queue or queue[0][0] > limit:
            return False
        self.step()
        return True

    def advance_many(self, limit: float, most: int) -> int:
        """Run up to *most* events until *limit* or `halt`; return how many."""
        first = self.events
        self._last = first + most
        while self.events < self._last and self.advance(limit):
            self.events += 1
        return self.events - first

    def go_on_from(self, time: float) -> None:
        """Move on to *time* or later, as if a clock that has stopped went on."""
        if self._queue:
            raise UsageError("this clock is in use already; give a new one")
        self._now = max(float(time), self._now)

    def throw(self, process: simpy.Process, exception: BaseException) -> None:
        """Raise *exception* where *process* waits; a finished process is left alone.

        A process that is held learns of it on release, and of the last one only.
        """
        if process is self.active_process:
            raise exception
        if process in self._held:
            self._held[process] = exception
        elif process.is_alive:
            self._void.add(process.target)
            _Throw(process, exception)

    def fire(self, event: Event, at: float) -> None:
        """Schedule *event*, which has not happened, *at* that time, now or later."""
        event._ok, event._value = True, None
        # Not by a delay: the sum of that and of now may be another time.
        heappush(self._queue, (at, NORMAL, next(self._eid), event))

    def call(self, delay: float, action: Callable[[], Any]) -> Callable[[], None]:
        """Call *action* after *delay* virtual seconds; return how to call that off."""
        timeout = Timeout(self, delay)
        timeout.callbacks = [lambda _: action()]

        def call_off() -> None:
            if timeout.callbacks:
                timeout.callbacks.clear()
                self._void.add(timeout)

        return call_off

    def hold(self, process: simpy.Process) -> Callable[[], None]:
        """Keep *process* from going on, whatever happens; return what lets it go on.

        What it waits for may happen meanwhile, and exceptions may be thrown at it; it
        learns of that on release, an exception before anything else.  Raises
        `UsageError` for a process that is held already, or is running at this moment.
        """
        if not process.is_alive:
            return _nothing
        target = process.target
        if process in self._held:
            raise UsageError(f"{process} is held already")
        if process is self.active_process or target.callbacks is None:
            raise UsageError(f"{process} is running; it can be held where it waits only")
        self._held[process] = None
        wake = process._resume
        missed: list[Event] = []

        def miss(event: Event) -> None:
            event.defused = True  # whoever waited for it is yet to be told
            missed.append(event)

        target.callbacks[target.callbacks.index(wake)] = miss

        def release() -> None:
            if process not in self._held:
                return
            exception = self._held.pop(process)
            if missed:
                # The event is over for everybody else; this one stands in for it.
                begins = isinstance(target, Initialize | _Beginning)
                late = _Beginning(self) if begins else Event(self)
                late.callbacks = [wake]
                process._target = late
                # As in SimPy, a process begins before anything is thrown at it.
                if begins or exception is None:
                    late._ok, late._value = target._ok, target._value
                    self.schedule(late, URGENT if begins else NORMAL)
            elif target.callbacks is not None:
                target.callbacks[target.callbacks.index(miss)] = wake
            if exception is not None:
                _Throw(process, exception)

        return release


class VirtualClock(_More):
    """Time that jumps from event to event."""

    def advance(self, limit: float) -> bool:
        """Process the next event, unless there is none until *limit*."""
        # As above with SimPy's own step() written out: a call less for each event.
        queue, void = self._queue, self._void
        if void and queue and queue[0][3] in void:
            self.peek()
        if not queue or queue[0][0] > limit:
            return False
        self._now, _, _, event = heappop(queue)
        callbacks, event.callbacks = event.callbacks, None  # type: ignore[assignment]
        for callback in callbacks:
            callback(event)
        if not event._ok and not hasattr(event, "_defused"):
            raise type(event._value)(*event._value.args) from event._value
        return True

    def advance_many(self, limit: float, most: int) -> int:
        """Run up to *most* events until *limit* or `halt`; return how many."""
        # `advance` written out once more: a call less for each event.
        queue, void, first = self._queue, self._void, self.events
        self._last = first + most
        while queue and self.events < self._last:
            if void and queue[0][3] in void:
                self.peek()
                if not queue:
                    break
            entry = heappop(queue)
            now, _, _, event = entry
            if now > limit:
                heappush(queue, entry)
                break
            self._now = now
            callbacks, event.callbacks = event.callbacks, None  # type: ignore[assignment]
            self.events += 1
            for callback in callbacks:
                callback(event)
            if not event._ok and not hasattr(event, "_defused"):
                raise type(event._value)(*event._value.args) from event._value
        return self.events - first

    def sync(self) -> None:
        """Do nothing: this clock is never late."""


class WallClock(_More, RealtimeEnvironment):
    """Time that passes: one virtual second takes *factor* seconds."""

    def __init__(self, factor: float = 1.0) -> None:
        factor = argument("factor", factor, Seconds)
        super().__init__(factor=factor, strict=False)

    def sync(self) -> None:
        """Count time from `now` on from this moment, whatever has passed before.

        SimPy's own version takes it for granted that nothing has happened yet.
        """
        self.real_start = monotonic() - (self.now - self.env_start) * self.factor

    def ahead(self) -> float:
        """Return in how many real seconds the next event is due; infinity without one."""
        due = self.real_start + (self.peek() - self.env_start) * self.factor
        return max(due - monotonic(), 0.0)

    def catch_up(self) -> None:
        """Move on by the time that has passed, but no further than the next event."""
        passed = self.env_start + (monotonic() - self.real_start) / self.factor
        self._now = max(self._now, min(passed, self.peek()))


def _nothing() -> None:
    return None


if TYPE_CHECKING:
    _clocks: tuple[type[Clock], ...] = (VirtualClock, WallClock)
