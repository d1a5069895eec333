"""What a history tells of attempts of steps, whoever wrote it.

A reader turns its file into events; one fold makes attempts of them, so that retries,
waits and attempts that nobody saw the end of mean the same for all.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from wfsim.errors import DefinitionError
from wfsim.model.memento import CANCELLED, MANY_RETRY
from wfsim.report.text import count
from wfsim.study.stamps import SECOND

if TYPE_CHECKING:
    import pandas as pd

SEEN = ("completed", "failed")
"""The statuses of attempts that came to an end of their own; others are censored."""

_OPEN = ("running", "waiting")
_NO_END = re.compile(r"no end after [0-9.e+]+ s$")

COLUMNS = (
    *("case", "flow", "resource", "step", "attempt", "status"),
    *("start", "end", "duration", "waited", "censored"),
)
MOST_EVENTS = 2_000_000
MOST_PROBLEMS = 20


class Event(NamedTuple):
    """One line of a history; *time* is in nanoseconds.

    *kind* is ``start`` (of a run, or it is taken up again), ``begin`` (of an attempt),
    ``wait``, ``resume``, ``end`` (with a *status*), ``refuse`` (an end of what perhaps
    never began) or ``stop`` (of a run, with the *status* of what was under way).
    """

    time: int
    kind: str
    case: str
    flow: str
    resource: str
    step: str = ""
    status: str = ""


class Attempt:
    """One attempt while it is being read; times in nanoseconds, None for not known."""

    __slots__ = (
        "attempt", "case", "end", "flow", "resource", "start", "status", "step",
        "waited", "waiting",
    )  # fmt: skip

    def __init__(
        self, case: str, flow: str, resource: str, step: str, attempt: int,
        start: int | None, status: str = "running", end: int | None = None,
    ) -> None:  # fmt: skip
        self.case = case
        self.flow = flow
        self.resource = resource
        self.step = step
        self.attempt = attempt
        self.start = start
        self.status = status
        self.end = end
        self.waited = 0
        self.waiting: int | None = None

    def resume(self, time: int) -> None:
        """End a wait, if there is one."""
        if self.waiting is not None:
            self.waited += time - self.waiting
            self.waiting = None

    def close(self, status: str, time: int) -> None:
        """End it at *time*."""
        self.resume(time)
        self.status, self.end = status, time

    def row(self, zero: int) -> tuple[Any, ...]:
        """Return it in the order of `COLUMNS`, in seconds since *zero*."""
        start, end = _seconds(self.start, zero), _seconds(self.end, zero)
        waited, duration = self.waited / SECOND, math.nan
        if self.start is not None and self.end is not None:
            # In whole nanoseconds, so that what took equally long is equal.
            duration = max(self.end - self.start - self.waited, 0) / SECOND
        censored = self.status not in SEEN
        name = (self.case, self.flow, self.resource, self.step, self.attempt)
        return (*name, self.status, start, end, duration, waited, censored)


class PastRuns:
    """Attempts of steps that a history tells of.

    *attempts* is a DataFrame, one row per attempt in the order in which they began:

    ============ ======= =========================================================
    ``case``     text    the run that it belongs to
    ``flow``     text
    ``resource`` text
    ``step``     text
    ``attempt``  int64   from 1, per case and step
    ``status``   text    completed, failed, timed out, cancelled, interrupted,
                         crashed, superseded, waiting or running
    ``start``    float64 seconds since the history began, NaN if not told of
    ``end``      float64 until when it is known to have gone on or waited
    ``duration`` float64 seconds from start to end without waiting; NaN without both
    ``waited``   float64 seconds in which it waited for something else
    ``censored`` bool    whether it would have taken longer: all but completed, failed
    ============ ======= =========================================================

    *problems* are the lines that were passed over, each with its file, line and cause.
    """

    def __init__(
        self, attempts: pd.DataFrame, problems: Iterable[str] = (), source: str = ""
    ) -> None:
        self.attempts = attempts
        self.problems = tuple(problems)
        self.source = source

    def __len__(self) -> int:
        return len(self.attempts)

    def __repr__(self) -> str:
        frame = self.attempts
        steps = frame[["flow", "step"]].drop_duplicates()
        times = Counter(frame["status"].tolist())
        told = ", ".join(f"{times[name]:,} {name}" for name in sorted(times))
        parts = (
            (len(frame), "attempt"),
            (len(steps), "step"),
            (frame["case"].nunique(), "run"),
            (len(self.problems), "problem"),
        )
        counts = [count(*part) for part in parts]
        wrong = f"; {counts[3]}" if self.problems else ""
        return (
            f"<PastRuns: {counts[0]} of {counts[1]} in {counts[2]}: {told or 'none'}"
            f"{wrong}>"
        )


def past_runs(
    attempts: Iterable[Attempt], problems: Iterable[str] = (), source: str = ""
) -> PastRuns:
    """Return *attempts* as `PastRuns`; second 0 is when the first one began."""
    listed = list(attempts)
    times = [
        time for item in listed for time in (item.start, item.end) if time is not None
    ]
    zero = min(times, default=0)
    return PastRuns(attempt_frame([item.row(zero) for item in listed]), problems, source)


def attempt_frame(rows: Iterable[tuple[Any, ...]]) -> pd.DataFrame:
    """Return *rows* as the frame of `PastRuns`."""
    from wfsim.report.frames import table

    return table(COLUMNS, list(rows), {"waited": "float64", "censored": "bool"})


def fold(events: list[Event], shared: bool) -> list[Attempt]:
    """Return the attempts that *events*, which need not be in order, tell of.

    *shared* says that one process writes it all, so that an attempt that is begun again
    tells of a crash of all that was under way; the last line before it is the last that
    is known of them.  Else that is what the run itself has last told, and a run may have
    several steps under way: one that was taken for dead when another began is alive if
    more is told of it.
    """
    reading = _Fold(shared)
    for event in sorted(events, key=lambda event: event.time):
        reading.take(event)
    return reading.ended()


class _Fold:
    def __init__(self, shared: bool) -> None:
        self.shared = shared
        self.found: list[Attempt] = []
        self.newest: dict[str, Attempt] = {}
        self.of_step: dict[tuple[str, str], Attempt] = {}
        self.counts: Counter[tuple[str, str]] = Counter()
        self.told: dict[str, int] = {}
        self.last = 0

    def take(self, event: Event) -> None:
        now, case = event.time, event.case
        attempt = self.newest.get(case)
        if event.step and event.kind not in ("begin", "start") and not self.shared:
            attempt = self.of_step.get((case, event.step))
            if attempt is not None and attempt.status == "crashed":
                attempt.status = "running"
        under_way = attempt is not None and attempt.status in _OPEN
        if event.kind in ("begin", "start"):
            if attempt is not None and attempt.status == "running":
                self.crash(attempt)
            elif attempt is not None and under_way and self.is_lost(attempt, event):
                attempt.close("crashed", max(self.last, attempt.start or 0))
            if event.kind == "begin":
                self.begin(event, now)
        elif event.kind == "wait":
            if attempt is not None and under_way and attempt.waiting is None:
                attempt.status, attempt.waiting = "waiting", now
        elif event.kind == "resume":
            if attempt is not None and attempt.status == "waiting":
                attempt.resume(now)
                attempt.status = "running"
        elif event.kind == "stop":
            if attempt is not None and under_way:
                attempt.close(event.status, now)
        else:
            self.end(event, attempt)
        self.told[case] = self.last = now

    def begin(self, event: Event, start: int | None) -> Attempt:
        self.counts[event.case, event.step] += 1
        number = self.counts[event.case, event.step]
        name = (event.case, event.flow, event.resource, event.step, number)
        attempt = Attempt(*name, start)
        self.newest[event.case] = self.of_step[event.case, event.step] = attempt
        self.found.append(attempt)
        return attempt

    def is_lost(self, waiting: Attempt, event: Event) -> bool:
        """Whether *event* is a beginning that tells of the end of what is *waiting*."""
        return event.kind == "begin" and (self.shared or waiting.step == event.step)

    def end(self, event: Event, attempt: Attempt | None) -> None:
        newest = self.newest.get(event.case)
        if attempt is None or attempt.step != event.step:
            attempt = None
        if attempt is not None and attempt.status in (*_OPEN, "crashed"):
            # What was taken for dead has come to its end after all.
            attempt.close(event.status, event.time)
        elif attempt is not None and attempt is newest and attempt.status == "completed":
            # A hook that fails after a success makes it a failure, and it is done again.
            attempt.status = event.status
        elif event.kind != "refuse":
            self.begin(event, None).close(event.status, event.time)

    def crash(self, attempt: Attempt) -> None:
        lost = self.newest.values() if self.shared else (attempt,)
        for other in lost:
            if other.status == "running":
                seen = self.last if self.shared else self.told[other.case]
                other.close("crashed", max(seen, other.start or seen))

    def ended(self) -> list[Attempt]:
        """Return all attempts, those that are under way known to be until the end."""
        for attempt in self.found:
            if attempt.status in _OPEN:
                attempt.close(attempt.status, self.last)
        return self.found


class Problems:
    """What is wrong with a file, line by line; it is refused if nothing can be read."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.listed: list[str] = []
        self.more = 0

    def add(self, line: int, text: object) -> None:
        """Take note of *text*, which is about *line*."""
        if len(self.listed) < MOST_PROBLEMS:
            self.listed.append(f"{self.name}:{line}: {' '.join(str(text).split())[:300]}")
        else:
            self.more += 1

    def told(self, found: int, what: str) -> tuple[str, ...]:
        """Return the problems; raise `DefinitionError` with them if *found* is 0."""
        if self.more:
            self.listed.append(f"{self.name}:1: {self.more} more problems")
        if not found:
            problems = self.listed[:3] or [f"{self.name}:1: the file is empty"]
            raise DefinitionError(*problems, f"{self.name}:1: no line is {what}")
        return tuple(self.listed)


def judged(reason: str, text: str) -> str:
    """Return how an attempt ended whose run stopped for *reason*, "" if it did not.

    >>> judged("", "disk full"), judged("MANY_RETRY", "step A fail: no end after 2 s")
    ('failed', 'timed out')
    >>> judged("CANCELLED", ""), judged("DEADLINE", ""), judged("CAPACITY", "")
    ('cancelled', 'timed out', 'interrupted')
    """
    if reason in ("", MANY_RETRY):
        return "timed out" if _NO_END.search(text[-200:]) else "failed"
    named = {CANCELLED: "cancelled", "DEADLINE": "timed out"}
    return named.get(reason, "interrupted")


def _seconds(time: int | None, zero: int) -> float:
    return math.nan if time is None else (time - zero) / SECOND
