"""How far a long run has come: a bar that shows itself after two seconds."""

from __future__ import annotations

import sys
from typing import Any

EVENTS = 1 << 14
"""After so many events of the clock, a quarter of a second or so, the bar is told."""


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
