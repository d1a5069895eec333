"""Attempts of steps, whoever wrote of them, and how events become attempts."""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from wfsim.errors import UsageError
from wfsim.history.times import SECOND
from wfsim.report.text import count

if TYPE_CHECKING:
    import pandas as pd

SEEN = ("completed", "failed")
"""The statuses of attempts that came to an end of their own; others are censored."""

OPEN = ("running", "waiting")
"""The statuses of attempts that have not ended."""

COLUMNS = (
    *("case", "flow", "resource", "step", "attempt", "status"),
    *("start", "end", "duration", "waited", "censored"),
)


class Event(NamedTuple):
    """One event of a history; *time* is in nanoseconds.

    *kind* is ``begin`` (of an attempt), ``wait``, ``resume``, ``end`` (with a *status*)
    or ``refuse`` (an end of what perhaps never began).  *instance* tells apart the
    executions of one step that a case has at the same time.  The reference's history has
    also ``start`` (a run is begun or taken up again) and ``stop`` (of a run, with the
    *status* of what was under way).
    """

    time: int
    kind: str
    case: str
    flow: str
    resource: str
    step: str = ""
    status: str = ""
    instance: str = ""


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

    def turn(self, kind: str, time: int) -> None:
        """Begin (*kind* ``wait``) or end (``resume``) a wait, if that can be."""
        if kind == "wait" and self.status == "running":
            self.status, self.waiting = "waiting", time
        elif kind == "resume" and self.status == "waiting":
            self.resume(time)
            self.status = "running"

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
    ``start``    float64 seconds since the history began, NaN if it is not known
    ``end``      float64 until when it is known to have gone on or waited
    ``duration`` float64 seconds from start to end without waiting; NaN without both
    ``waited``   float64 seconds in which it waited for something else
    ``censored`` bool    whether it would have taken longer: all but completed, failed
    ============ ======= =========================================================

    *problems* are the lines that were passed over, each with its file, line and cause,
    *logs* how many logs it was read from, each with a clock of its own.
    """

    def __init__(
        self,
        attempts: pd.DataFrame,
        problems: Iterable[str] = (),
        source: str = "",
        logs: int = 1,
    ) -> None:
        self.attempts = attempts
        self.problems = tuple(problems)
        self.source = source
        self.logs = logs

    def __len__(self) -> int:
        return len(self.attempts)

    def split(self, share: float) -> tuple[PastRuns, PastRuns]:
        """Return the runs that began first, that *share* of all, and the others.

        What is fitted to the first can be held against the second.  The times of both
        stay as they are.  Raises `UsageError` unless both have a run.
        """
        frame = self.attempts
        begun = frame["start"].fillna(frame["end"]).groupby(frame["case"], sort=False)
        cases = begun.min().sort_values(kind="stable").index.tolist()
        size = round(share * len(cases)) if 0.0 < share < 1.0 else 0
        if not 0 < size < len(cases):
            raise UsageError(
                f"share is {share!r} of {count(len(cases), 'run')}; give a number "
                "between 0 and 1 that leaves runs on both sides"
            )
        early = frame["case"].isin(cases[:size])
        rest = (self.problems, self.source, self.logs)
        first, second = frame[early], frame[~early]
        return (
            PastRuns(first.reset_index(drop=True), *rest),
            PastRuns(second.reset_index(drop=True), *rest),
        )

    def __repr__(self) -> str:
        frame = self.attempts
        steps = frame[["flow", "step"]].drop_duplicates()
        times = Counter(frame["status"].tolist())
        statuses = ", ".join(f"{times[name]:,} {name}" for name in sorted(times))
        parts = (
            (len(frame), "attempt"),
            (len(steps), "step"),
            (frame["case"].nunique(), "run"),
            (len(self.problems), "problem"),
        )
        counts = [count(*part) for part in parts]
        wrong = f"; {counts[3]}" if self.problems else ""
        return (
            f"<PastRuns: {counts[0]} of {counts[1]} in {counts[2]}: {statuses or 'none'}"
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


def in_order(events: Sequence[Event]) -> list[Event]:
    """Return *events* by time, those of one moment in the order in which they happened.

    That is the order of their file, or its reverse where the file begins with the newest.
    """
    falling = bool(events) and events[0].time > events[-1].time
    falling = falling and all(a.time >= b.time for a, b in pairwise(events))
    return sorted(reversed(events) if falling else events, key=lambda event: event.time)


def paired(events: Sequence[Event]) -> list[Attempt]:
    """Return the executions that *events* of any log, in any order, tell of.

    Every end is one.  It began with the first start of its case, step and instance that
    has no end yet; without one nobody knows when.  Where there are fewer ends than
    starts a step was begun again without having ended: then an end belongs to the newest
    start.  A start without an end was cut short if its case went on to begin another
    step, the last known of it being what the case had told before; else it is under way.
    """
    ordered = in_order(events)
    without_end: Counter[_Key] = Counter()
    for event in ordered:
        if event.kind == "begin":
            without_end[_key(event)] += 1
        elif event.kind in ("end", "refuse") and without_end[_key(event)]:
            without_end[_key(event)] -= 1
    attempts: list[Attempt] = []
    under_way: defaultdict[_Key, deque[Attempt]] = defaultdict(deque)
    newest: dict[str, Attempt] = {}
    cut: dict[Attempt, int] = {}
    last: dict[str, int] = {}
    for event in ordered:
        key, kind, case = _key(event), event.kind, event.case
        queue = under_way[key]
        if kind == "begin":
            before = newest.get(case)
            if before is not None and (
                before.status == "running"
                or (before.status == "waiting" and before.step == event.step)
            ):
                cut.setdefault(before, last[case])
            name = (case, event.flow, event.resource, event.step)
            attempt = Attempt(*name, 1, event.time)
            newest[case] = attempt
            attempts.append(attempt)
            queue.append(attempt)
        elif kind == "wait" or kind == "resume":
            if queue:
                queue[-1].turn(kind, event.time)
        elif queue:
            attempt = queue.pop() if without_end[key] else queue.popleft()
            attempt.close(event.status, event.time)
        elif kind == "end":
            name = (case, event.flow, event.resource, event.step)
            attempts.append(Attempt(*name, 1, None, event.status, event.time))
        last[case] = event.time
    for attempt in attempts:
        if attempt.status in OPEN and attempt in cut:
            attempt.close("crashed", max(cut[attempt], attempt.start or 0))
        elif attempt.status in OPEN:
            attempt.close(attempt.status, ordered[-1].time)
    return attempts


_Key: TypeAlias = tuple[str, str, str]


def _key(event: Event) -> _Key:
    return event.case, event.step, event.instance


def numbered(attempts: Iterable[Attempt]) -> list[Attempt]:
    """Return *attempts* in the order in which they began, with numbers per case and step.

    Where nobody knows when one began its end stands for that.  What is under way is
    known until the last time of all; of what was cut short at an unknown time nothing
    more is known than that it began.
    """
    ordered = sorted(attempts, key=_beginning)
    last = max((item.end or item.start or 0 for item in ordered), default=0)
    counts: Counter[tuple[str, str]] = Counter()
    for item in ordered:
        counts[item.case, item.step] += 1
        item.attempt = counts[item.case, item.step]
        if item.end is None and item.status not in SEEN:
            item.end = last if item.status in OPEN else item.start
    return ordered


def _beginning(attempt: Attempt) -> int:
    time = attempt.end if attempt.start is None else attempt.start
    return 0 if time is None else time


def _seconds(time: int | None, zero: int) -> float:
    return math.nan if time is None else (time - zero) / SECOND
