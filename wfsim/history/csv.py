"""CSV files: event logs of any kind through a mapping of columns, and dumps of TiEM.

A mapping says which column holds what: ``{"step": "activity", "case": "order", ...}``.
A row is an attempt, if there are columns for its ``start`` and ``end``, or an event, if
there are columns for its ``time`` and its ``transition``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from wfsim.errors import DefinitionError, UsageError
from wfsim.history.attempts import (
    MOST_EVENTS,
    SEEN,
    Attempt,
    Event,
    PastRuns,
    Problems,
    fold,
    past_runs,
    stamp,
)
from wfsim.history.lines import opened
from wfsim.model.document import hint

KEYS = (
    *("case", "flow", "resource", "step", "status"),
    *("start", "end", "waited", "time", "transition"),
)
STATUSES: Mapping[str, str] = {
    **dict.fromkeys(("completed", "complete", "finished", "success", "ok"), "completed"),
    **dict.fromkeys(("failed", "fail", "failure", "error"), "failed"),
    **dict.fromkeys(("cancelled", "canceled", "cancel", "withdraw"), "cancelled"),
    **dict.fromkeys(("timed out", "timeout", "timed_out"), "timed out"),
    **dict.fromkeys(("crashed", "ate_abort", "pi_abort", "abort"), "crashed"),
    **dict.fromkeys(("running", "started", "processing", "in progress"), "running"),
    **{name: name for name in ("interrupted", "superseded", "waiting")},
}
"""What is read as which status, in any case of letters."""
TRANSITIONS: Mapping[str, str] = {
    **dict.fromkeys(("start", "started", "begin"), "begin"),
    **dict.fromkeys(("suspend", "wait", "waiting"), "wait"),
    **dict.fromkeys(("resume",), "resume"),
    **dict.fromkeys(
        ("schedule", "assign", "reassign", "autoskip", "manualskip", "unknown"), ""
    ),
}
"""What is read as which kind of event; whatever is a status ends an attempt."""


def read_csv(
    path: str | Path,
    columns: Mapping[str, str],
    *,
    statuses: Mapping[str, str] | None = None,
) -> PastRuns:
    """Return what the CSV file at *path*, in UTF-8 with a head, tells.

    *columns* maps ``case``, ``step`` and either ``start`` and ``end`` or ``time`` and
    ``transition`` to the names of its columns; ``flow``, ``resource``, ``status`` and
    ``waited`` (seconds) may be there.  *statuses* maps what the file says to one of
    ours.  Times are seconds or dates of ISO 8601.  Without a status an attempt with an
    end has completed.  Raises `UsageError` for a mapping that says too little and
    `DefinitionError` for a file that cannot be read.
    """
    check_columns(columns)
    known = known_statuses(statuses)
    source = Path(path)
    rows = table_rows(source)
    problems = Problems(str(source))
    by_event = "time" in columns
    attempts: list[Attempt] = []
    events: list[Event] = []
    read = 0
    for number, row in rows:
        missing = next((name for name in columns.values() if name not in row), None)
        if missing is not None:
            raise DefinitionError(
                f"{source}:1: no column {missing!r}; {hint(missing, row)}"
            )
        told = {key: row[name] for key, name in columns.items()}
        try:
            if by_event:
                events += event_of(told, known)
            else:
                attempts.append(_attempt(told, known))
            read += 1
        except ValueError as error:
            problems.add(number, error)
    wrong = problems.told(read, "a row of an event log")
    if by_event:
        return past_runs(fold(events, shared=False), wrong, str(source))
    return past_runs(_counted(attempts), wrong, str(source))


def check_columns(columns: Mapping[str, str]) -> None:
    """Raise `UsageError` unless *columns* says where to find a step and its times."""
    for key in columns:
        if key not in KEYS:
            raise UsageError(f"columns: unknown {key!r}; {hint(str(key), KEYS)}")
    pairs = ({"start", "end"}, {"time", "transition"})
    if not {"case", "step"} <= set(columns) or not any(
        pair <= set(columns) for pair in pairs
    ):
        raise UsageError(
            "columns says where to find 'case', 'step' and either 'start' and 'end' or "
            f"'time' and 'transition', got {sorted(columns)}"
        )


def known_statuses(given: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return what is read as which status, what is *given* first."""
    ours = set(STATUSES.values())
    for name, status in (given or {}).items():
        if status not in ours:
            raise UsageError(f"statuses: {name!r} is {status!r}; {hint(status, ours)}")
    return {**STATUSES, **{name.lower(): value for name, value in (given or {}).items()}}


def event_of(told: Mapping[str, str], statuses: Mapping[str, str]) -> Iterator[Event]:
    """Yield the event that *told* is about, if it says anything of an attempt."""
    time, said = stamp(told["time"]), told["transition"].strip().lower()
    if time is None:
        raise ValueError("it has no time")
    ends = statuses.get(said)
    kind = TRANSITIONS.get(said, "end" if ends else None)
    if kind is None:
        known = (*TRANSITIONS, *statuses)
        raise ValueError(f"unknown transition {said!r:.60}; {hint(said, known)}")
    if kind == "end" and told.get("status"):
        ends = _status(told["status"], statuses)
    if kind:
        name = (_name(told, "case"), told.get("flow", ""), told.get("resource", ""))
        yield Event(time, kind, *name, _name(told, "step"), ends or "")


def _attempt(told: Mapping[str, str], statuses: Mapping[str, str]) -> Attempt:
    start, end = stamp(told["start"]), stamp(told["end"])
    if start is None:
        raise ValueError("it has no start")
    if end is not None and end < start:
        raise ValueError(f"it ends at {told['end']!r}, before its start")
    status = "completed" if end is not None else "running"
    if told.get("status"):
        status = _status(told["status"], statuses)
    name = (_name(told, "case"), told.get("flow", ""), told.get("resource", ""))
    attempt = Attempt(*name, _name(told, "step"), 1, start, status, end)
    waited = stamp(told.get("waited", "")) or 0
    if waited < 0 or (end is not None and waited > end - start):
        raise ValueError(f"it waited {told['waited']!r} s, more than it took")
    attempt.waited = waited
    return attempt


def _counted(attempts: list[Attempt]) -> list[Attempt]:
    """Return *attempts* in order of time with numbers, the open ones until the end."""
    attempts.sort(key=lambda item: item.start or 0)
    last = max((item.end or item.start or 0 for item in attempts), default=0)
    times: dict[tuple[str, str], int] = {}
    for item in attempts:
        item.attempt = times[item.case, item.step] = (
            times.get((item.case, item.step), 0) + 1
        )
        if item.end is None and item.status not in SEEN:
            # Of what was cut short nothing more is known than that it began.
            item.end = last if item.status in ("running", "waiting") else item.start
    return attempts


def _status(text: str, statuses: Mapping[str, str]) -> str:
    status = statuses.get(text.strip().lower())
    if status is None:
        raise ValueError(
            f"unknown status {text!r:.60}; say what it means, statuses={{{text!r:.60}: "
            "'completed'}"
        )
    return status


def _name(told: Mapping[str, str], key: str) -> str:
    if not told[key]:
        raise ValueError(f"it has no {key}")
    return told[key][:1000]


def table_rows(source: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the line and the cells by column of each row of the CSV file *source*."""
    with opened(source) as raw:
        file = TextIOWrapper(raw, encoding="utf-8-sig", newline="")
        reader = csv.reader(file, strict=True)
        try:
            head = next(reader, [])
            if len(set(head)) < len(head):
                twice = next(name for name in head if head.count(name) > 1)
                raise DefinitionError(
                    f"{source}:1: two columns are called {twice!r}; rename one"
                )
            for number, cells in enumerate(reader):
                if number >= MOST_EVENTS:
                    raise DefinitionError(
                        f"{source}:{number}: more than {number} rows; split it by case"
                    )
                if cells:
                    padded = [*cells, *[""] * (len(head) - len(cells))]
                    yield reader.line_num, dict(zip(head, padded, strict=False))
        except (csv.Error, UnicodeDecodeError) as error:
            raise DefinitionError(
                f"{source}:{reader.line_num + 1}: not CSV in UTF-8: {error}"
            ) from None
