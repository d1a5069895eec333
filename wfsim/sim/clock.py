"""SimPy environments that can also throw into a process, call back, and hold one still."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from types import MethodType
from typing import TYPE_CHECKING, Any

import simpy
from simpy.events import Event, Interruption, Timeout
from simpy.rt import RealtimeEnvironment

if TYPE_CHECKING:
    from wfsim.engine.ports import Clock


class _Throw(Interruption):
    """Like SimPy's own interruption, but of any exception, ``BaseException`` too."""

    def __init__(self, process: simpy.Process, exception: BaseException) -> None:
        super().__init__(process, None)
        self._value = exception


class _More(simpy.Environment):
    # In C, where SimPy's own property and descriptor are Python calls: a step asks for
    # the time five times and for a timeout once (tests/bench/test_calls.py).
    now = property(attrgetter("_now"))  # type: ignore[assignment]

    def _quicken(self) -> None:
        self.timeout = MethodType(Timeout, self)
        self.process = MethodType(simpy.Process, self)

    def throw(self, process: simpy.Process, exception: BaseException) -> None:
        """Raise *exception* where *process* waits; a finished process is left alone."""
        if process is self.active_process:
            raise exception
        if process.is_alive:
            _Throw(process, exception)

    def call(self, delay: float, action: Callable[[], Any]) -> None:
        """Call *action* after *delay* seconds of virtual time."""
        timeout = Timeout(self, delay)
        assert timeout.callbacks is not None
        timeout.callbacks.append(lambda _: action())

    def hold(self, process: simpy.Process) -> Callable[[], None]:
        """Keep *process* from going on, whatever happens; return what lets it go on.

        What it waits for may happen meanwhile; the process learns of it on release.
        """
        target = process.target
        if target is None or target.callbacks is None or not process.is_alive:
            return _nothing
        wake = process._resume
        index = target.callbacks.index(wake)
        missed: list[Event] = []
        target.callbacks[index] = missed.append

        def release() -> None:
            if not process.is_alive or process.target is not target:
                return
            if missed:
                target.callbacks = [wake]
                self.schedule(target)
            elif target.callbacks is not None and missed.append in target.callbacks:
                target.callbacks[target.callbacks.index(missed.append)] = wake

        return release


class VirtualClock(_More):
    """Time that jumps from event to event."""

    def __init__(self) -> None:
        super().__init__()
        self._quicken()


class WallClock(_More, RealtimeEnvironment):
    """Time that passes: one virtual second takes *factor* seconds."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__(factor=factor, strict=False)
        self._quicken()


def _nothing() -> None:
    return None


if TYPE_CHECKING:
    _clocks: tuple[type[Clock], ...] = (VirtualClock, WallClock)
