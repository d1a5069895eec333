"""CSV files: event logs of any kind through a mapping of columns, and dumps of TiEM.

A mapping says which column holds what: ``{"step": "activity", "case": "order", ...}``.
A row is an execution, if there is a column for its ``start``, or else an event, at its
``time`` and of the kind that its ``transition`` says.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator, Mapping
from hashlib import blake2b
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from wfsim.errors import DefinitionError, UsageError
from wfsim.history.attempts import (
    Attempt,
    Event,
    PastRuns,
    numbered,
    paired,
    past_runs,
)
from wfsim.history.source import MOST_EVENTS, Problems, opened
from wfsim.history.times import TimeFormat
from wfsim.text import suggest

KEYS = (
    *("case", "flow", "resource", "step", "instance", "status"),
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
    # What is withdrawn need not have begun.
    **dict.fromkeys(("withdraw",), "refuse"),
    **dict.fromkeys(
        ("schedule", "assign", "reassign", "autoskip", "manualskip", "unknown"), ""
    ),
}
"""What is read as which kind of event; whatever is a status ends an attempt."""

DELIMITERS = (",", ";", "\t", "|")
_SEPARATOR = re.compile(r'\ufeff?"?sep=(.)"?\s*', re.IGNORECASE)


def read_csv(
    path: str | Path,
    columns: Mapping[str, str],
    *,
    statuses: Mapping[str, str] | None = None,
    delimiter: str | None = None,
    times: TimeFormat | None = None,
    duplicates: Literal["drop", "keep"] = "drop",
) -> PastRuns:
    """Return the attempts in the CSV file at *path*, in UTF-8 with a head.

    *columns* maps ``case``, ``step`` and either ``start`` and ``end`` or ``time`` to the
    names of its columns; ``flow``, ``resource``, ``status``, ``waited`` (seconds) may be
    there, and for events ``transition`` (without it every row is an end) and
    ``instance``, which tells apart what is carried out at the same time.  *statuses*
    maps what the file says to one of ours.  *delimiter* is taken from the columns in the
    head if it is not given; *times* says how times are written.  Without a status what
    has an end has completed.  A row that is wholly like one before is counted once
    unless *duplicates* is ``"keep"``.  Raises `UsageError` for a mapping that says too
    little and `DefinitionError` for a file that cannot be read.
    """
    check_columns(columns)
    if duplicates not in ("drop", "keep"):
        raise UsageError(f"duplicates is {duplicates!r}; give 'drop' or 'keep'")
    known, source, times = known_statuses(statuses), Path(path), times or TimeFormat()
    runs = _read(source, columns, known, delimiter, times, duplicates)
    if times.learned:
        # What a later row has shown of the format holds for those before it.
        runs = _read(source, columns, known, delimiter, times, duplicates)
    return runs


def _read(
    source: Path,
    columns: Mapping[str, str],
    statuses: Mapping[str, str],
    delimiter: str | None,
    times: TimeFormat,
    duplicates: str,
) -> PastRuns:
    problems = Problems(str(source))
    digests: set[bytes] = set()
    attempts: list[Attempt] = []
    events: list[Event] = []
    read = 0
    for line, row, surplus in table_rows(source, columns.values(), delimiter):
        if surplus:
            text = f"it has {surplus} cells more than the head; quote a cell with commas"
            problems.add(line, text)
            continue
        digest = blake2b("\0".join(row.values()).encode(), digest_size=16).digest()
        if digest in digests and duplicates == "drop":
            problems.repeat(line)
            continue
        digests.add(digest)
        cells = {key: row[name] for key, name in columns.items()}
        try:
            if "start" in columns:
                attempts.append(execution_of(cells, statuses, times))
            else:
                events += event_of(cells, statuses, times)
            read += 1
        except ValueError as error:
            problems.add(line, error)
    texts = problems.of(read, "a row of an event log")
    return past_runs(numbered(attempts or paired(events)), texts, str(source))


def check_columns(columns: Mapping[str, str]) -> None:
    """Raise `UsageError` unless *columns* says where to find a step and its times."""
    for key in columns:
        if key not in KEYS:
            raise UsageError(f"columns: unknown {key!r}{suggest(str(key), KEYS)}")
    if not {"case", "step"} <= set(columns) or not {"end", "time"} & set(columns):
        raise UsageError(
            "columns says where to find 'case', 'step' and either 'start' and 'end' or "
            f"'time' (and 'transition'), got {sorted(columns)}"
        )


def known_statuses(given: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return what is read as which status, what is *given* first."""
    ours = set(STATUSES.values())
    for name, status in (given or {}).items():
        if status not in ours:
            raise UsageError(f"statuses: {name!r} is {status!r}{suggest(status, ours)}")
    return {**STATUSES, **{name.lower(): value for name, value in (given or {}).items()}}


def event_of(
    cells: Mapping[str, str], statuses: Mapping[str, str], times: TimeFormat
) -> Iterator[Event]:
    """Yield the event that *cells* are about, if it says anything of an attempt.

    Without a transition it is an end.  Raises `ValueError` for what cannot be read.
    """
    time = times.learned_stamp(cells.get("time") or cells.get("end") or "")
    if time is None:
        raise ValueError("it has no time")
    transition = cells.get("transition", "").strip().lower() or "complete"
    status = statuses.get(transition)
    kind = TRANSITIONS.get(transition, "end" if status else None)
    if kind is None:
        nearest = suggest(transition, (*TRANSITIONS, *statuses))
        raise ValueError(f"unknown transition {transition!r:.60}{nearest}")
    if kind == "end" and cells.get("status"):
        status = _status(cells["status"], statuses)
    if kind:
        name = (_name(cells, "case"), cells.get("flow", ""), cells.get("resource", ""))
        instance = cells.get("instance", "")
        yield Event(time, kind, *name, _name(cells, "step"), status or "", instance)


def execution_of(
    cells: Mapping[str, str], statuses: Mapping[str, str], times: TimeFormat
) -> Attempt:
    """Return the attempt whose start and end stand in *cells*, one of them or both.

    Raises `ValueError` for what cannot be read.
    """
    start = times.learned_stamp(cells.get("start") or "")
    ending = cells.get("end") or cells.get("time") or ""
    end = times.learned_stamp(ending)
    if start is None and end is None:
        raise ValueError("it has no start")
    if start is not None and end is not None and end < start:
        raise ValueError(f"it ends at {ending!r}, before its start")
    status = "completed" if end is not None else "running"
    if cells.get("status"):
        status = _status(cells["status"], statuses)
    name = (_name(cells, "case"), cells.get("flow", ""), cells.get("resource", ""))
    attempt = Attempt(*name, _name(cells, "step"), 1, start, status, end)
    waited = times.seconds(cells.get("waited", "")) or 0
    length = None if start is None or end is None else end - start
    if waited < 0 or (length is not None and waited > length):
        raise ValueError(f"it waited {cells['waited']!r} s, more than it took")
    attempt.waited = waited
    return attempt


def _status(text: str, statuses: Mapping[str, str]) -> str:
    status = statuses.get(text.strip().lower())
    if status is None:
        raise ValueError(
            f"unknown status {text!r:.60}; say what it means, statuses={{{text!r:.60}: "
            "'completed'}"
        )
    return status


def _name(cells: Mapping[str, str], key: str) -> str:
    if not cells[key]:
        raise ValueError(f"it has no {key}")
    return cells[key][:1000]


def table_rows(
    source: Path, columns: Collection[str] = (), delimiter: str | None = None
) -> Iterator[tuple[int, dict[str, Any], int]]:
    """Yield the line and the cells by column of each row of the CSV file *source*.

    The number is of the cells that it has beyond the head.
    Without *delimiter* it is that of `DELIMITERS` with which the head has all *columns*.
    """
    if delimiter is not None and len(delimiter) != 1:
        raise UsageError(f"delimiter is {delimiter!r}; give one character, such as ';'")
    rows = _rows(source, delimiter or _delimiter(source, columns))
    _, head = next(rows, (1, []))
    if len(set(head)) < len(head):
        twice = next(name for name in head if head.count(name) > 1)
        raise DefinitionError(f"{source}:1: two columns are called {twice!r}; rename one")
    missing = next((name for name in columns if name not in head), None)
    if missing is not None and head:
        raise DefinitionError(
            f"{source}:1: no column {missing!r}{suggest(str(missing), head)}"
            f"{_other_delimiter(source, len(head))}"
        )
    for number, (line, cells) in enumerate(rows):
        if number >= MOST_EVENTS:
            raise DefinitionError(
                f"{source}:{line}: more than {MOST_EVENTS} rows; split it by case"
            )
        padded = [*cells, *[""] * (len(head) - len(cells))]
        surplus = len(cells) - len(head) if any(cells[len(head) :]) else 0
        yield line, dict(zip(head, padded, strict=False)), surplus


def _delimiter(source: Path, columns: Collection[str]) -> str:
    for delimiter in DELIMITERS:
        _, head = next(_rows(source, delimiter), (1, []))
        if set(columns) <= set(head):
            return delimiter
    return ","


def _other_delimiter(source: Path, width: int) -> str:
    """Return the cure for a head that has one column, if another delimiter makes more."""
    for delimiter in DELIMITERS:
        _, head = next(_rows(source, delimiter), (1, []))
        if width == 1 and len(head) > 1:
            return f"; with delimiter={delimiter!r} they are {head}"
    return ""


def _rows(source: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the last line and the cells of each row that is not empty, the head first."""
    with opened(source) as raw:
        file = TextIOWrapper(raw, encoding="utf-8-sig", newline="")
        line = 0
        try:
            first = file.readline()
            # What spreadsheets write for each other.
            separator = _SEPARATOR.fullmatch(first)
            lines = file if separator else chain([first], file)
            delimiter = separator[1] if separator else delimiter
            for cells in (reader := csv.reader(lines, delimiter=delimiter, strict=True)):
                line = reader.line_num + bool(separator)
                if cells:
                    yield line, cells
        except (csv.Error, UnicodeDecodeError) as error:
            raise DefinitionError(
                f"{source}:{line + 1}: not CSV in UTF-8: {error}; save it as that"
            ) from None
