"""A value at a glance, as a notebook shows it: a head, a few lines, the next calls.

No glance is longer than `MOST_LINES`, and none shows an address in memory.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from wfsim.model.memento import Memento, RunStatus
from wfsim.model.record import Kind
from wfsim.model.resource import CREATING

if TYPE_CHECKING:
    from wfsim.model.log import EventLog, Snapshot

MOST_LINES = 15
MOST_COLUMNS = 100
MOST_RUNS = 5
"""Of so many runs at most each has a bar; more are counted."""
MOST_RECORDS = 20_000
"""A log of more records has no bars: they take a look at each."""
BAR = 40
"""How many characters wide a bar is."""


def glance(head: str, lines: Iterable[str], then: str = "") -> str:
    """Return *head*, as many of *lines* as there is room for, and what to do *then*."""
    listed = [
        line if len(line) <= MOST_COLUMNS else f"{line[: MOST_COLUMNS - 1]}…"
        for line in map(str.rstrip, lines)
    ]
    room = MOST_LINES - 1 - bool(then)
    if len(listed) > room:
        listed[room - 1 :] = [f"  and {len(listed) - room + 1:,} more"]
    return "\n".join([head, *listed, *([f"  next: {then}"] if then else [])])


def as_html(text: str) -> str:
    """Return *text* for a notebook, in the colours of its theme."""
    return f"<pre>{html.escape(text)}</pre>"


def words(names: Sequence[str], most: int = 4, between: str = ", ") -> str:
    """Return *names* in a row, the ones in the middle left out if there are too many.

    >>> words(["a", "b"]), words(["a", "b", "c", "d", "e"], between=" -> ")
    ('a, b', 'a -> b -> ... -> e')
    """
    if len(names) > most:
        names = [*names[: most - 2], "...", names[-1]]
    return between.join(names)


def counted(names: Iterable[str]) -> str:
    """Return how often each of *names* occurs.

    >>> counted(["Running", "Interrupt", "Running"])
    '2 Running, 1 Interrupt'
    """
    return ", ".join(f"{number:,} {name}" for name, number in Counter(names).items())


def of_log(log: EventLog) -> list[str]:
    """Return lines about a log: runs and how they ended, resources, notices."""
    durable = log.fold()
    lines = of_runs(log, durable)
    states = [resource.state or CREATING for resource in durable.resources.values()]
    if 0 < len(states) <= 3:
        pairs = zip(durable.resources, states, strict=True)
        lines.append(f"  {', '.join(f'{name} is {state}' for name, state in pairs)}")
    elif states:
        lines.append(f"  {len(states):,} resources: {counted(states)}")
    notices = log.notices
    lines += [f"  notice: {notice}" for notice in notices[:2]]
    if len(notices) > 2:
        lines.append(f"  and {len(notices) - 2} more: log.notices")
    return lines


def of_run(run: Memento) -> list[str]:
    """Return a line for each step of *run*."""
    width = max((len(step.name) for step in run.steps), default=0)
    return [
        f"  {step.name:{width}}  {step.status.value:9}"
        + ("" if step.started is None else f"  from {step.started:,.1f} s")
        + ("" if step.finished is None else f" to {step.finished:,.1f} s")
        for step in run.steps
    ]


class Bar(NamedTuple):
    """When a run began and ended, in seconds, and when its steps failed."""

    begin: float
    end: float
    failures: tuple[float, ...] = ()


def of_runs(log: EventLog, durable: Snapshot) -> list[str]:
    """Return a bar for each run, or how many there are if those are too many."""
    runs = durable.mementos
    if not runs:
        return ["  no flow has run"]
    if len(runs) > MOST_RUNS or len(log) > MOST_RECORDS:
        return [f"  {len(runs):,} runs: {counted(word(run) for run in runs.values())}"]
    bars: dict[tuple[str, str], Bar] = {}
    crashes = []
    for record in log.records:
        key = record.resource, record.run
        if record.kind is Kind.CONTROLLER_CRASHED:
            crashes.append(record.time)
        elif key in runs:
            bar = bars.get(key, Bar(record.time, record.time))
            failed = (record.time,) if record.kind is Kind.STEP_FAILED else ()
            bars[key] = Bar(bar.begin, record.time, bar.failures + failed)
    width = max(len(f"{name} {run}") for name, run in runs)
    return [
        f"  {f'{name} {run}':{min(width, 36)}.36}  "
        f"|{_drawn(bars[name, run], crashes, durable.time, memento.is_final)}|  "
        f"{word(memento)}"
        for (name, run), memento in runs.items()
    ] + [f"  {'':{min(width, 36)}}  0{f'{durable.time:,.1f} s':>{BAR + 1}}"]


def _drawn(bar: Bar, crashes: Sequence[float], end: float, is_over: bool) -> str:
    """Return *bar* in characters: x is a failure of a step, ! a crash of a controller."""
    scale = BAR / end if end else 0.0
    until = bar.end if is_over else end
    left = min(int(bar.begin * scale), BAR - 1)
    right = max(left + 1, min(round(until * scale), BAR))
    cells = [" "] * left + ["="] * (right - left) + [" "] * (BAR - right)
    for mark, times in (("x", bar.failures), ("!", crashes)):
        for time in times:
            if bar.begin <= time <= until:
                cells[min(int(time * scale), BAR - 1)] = mark
    return "".join(cells)


def word(run: Memento) -> str:
    """Return the word for where *run* stands."""
    return "interrupted" if run.status is RunStatus.INTERRUPTED else run.status.value


__all__ = ["as_html", "counted", "glance", "of_log", "of_run", "word", "words"]
