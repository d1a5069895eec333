"""The terminal: a bar that shows how far a run is, and Ctrl-C, which ends it."""

from __future__ import annotations

import sys
import threading
from _thread import interrupt_main
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from signal import SIGINT, default_int_handler, getsignal, signal
from typing import Any

from wfsim.engine.steps import line_of
from wfsim.errors import Halted

PATIENCE = 1.0
"""Seconds that the event under way has to come to its end after Ctrl-C."""


def in_sight(progress: bool | None) -> bool:
    """Return whether a bar is to be shown: *progress* or, for None, if in a terminal.

    In a notebook, a file or a pipe a bar would be kept among the outputs, and whether it
    is there would depend on the speed of the machine.
    """
    if progress is None:
        return sys.stderr is not None and sys.stderr.isatty()
    return progress


class Progress:
    """A bar of records and virtual time; a short run never gets to make one."""

    def __init__(self, progress: bool | None = None) -> None:
        self._in_sight = in_sight(progress)
        self._bar: Any = None

    def show(self, records: int, now: float) -> None:
        """Say that there are so many *records* and that it is *now* seconds."""
        if not self._in_sight:
            return
        if self._bar is None:
            from tqdm.auto import tqdm

            self._bar = tqdm(unit=" records", delay=2.0, leave=False)
        self._bar.set_postfix_str(f"{now:,.0f} s of virtual time", refresh=False)
        self._bar.update(records - self._bar.n)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()


@contextmanager
def interruptible(stop: Callable[[], None]) -> Iterator[None]:
    """Call *stop* on Ctrl-C, and give what is under way `PATIENCE` to come to its end.

    After that, or at a second Ctrl-C, `Halted` is raised where it spins: a step fails by
    it, at that line.  Another handler of Ctrl-C than Python's own is left alone.
    """
    usual = default_int_handler
    main = threading.current_thread() is threading.main_thread()
    if not main or getsignal(SIGINT) is not usual:
        yield
        return
    timers: list[threading.Timer] = []

    def interrupt(*_: Any) -> None:
        if timers:
            signal(SIGINT, usual)
            raise Halted
        timers.append(threading.Timer(PATIENCE, interrupt_main))
        timers[0].daemon = True
        timers[0].start()
        stop()

    signal(SIGINT, interrupt)
    try:
        yield
    except Halted as halted:
        raise KeyboardInterrupt(f"{halted} ({line_of(halted)})") from halted
    finally:
        for timer in timers:
            timer.cancel()
        signal(SIGINT, usual)
