"""Histories of real and simulated runs, whatever they are written in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wfsim.errors import DefinitionError, UsageError
from wfsim.history import csv, lines, tiem, xes
from wfsim.history.attempts import COLUMNS, PastRuns, attempt_frame, judged
from wfsim.model.document import hint
from wfsim.model.log import EventLog
from wfsim.model.log_lines import FORMAT
from wfsim.model.record import Kind

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("lines", "log", "csv", "tiem", "xes")
_TAKEN = {
    "csv": ("columns", "statuses"),
    "xes": ("columns", "statuses"),
    "tiem": ("flows",),
}
_SUFFIXES = {
    **dict.fromkeys((".db", ".sqlite", ".sqlite3"), "tiem"),
    ".csv": "csv",
    ".xes": "xes",
    ".jsonl": "log",
}


def read_history(
    source: Any,
    *,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    statuses: Mapping[str, str] | None = None,
    flows: str | Path | None = None,
) -> PastRuns:
    """Return the attempts of steps that *source* tells of.

    ========= ==================================================================
    ``lines`` the reference's ``mpd_workflow.txt``, one JSON object a line
    ``log``   a log of wfsim as JSON Lines
    ``csv``   any event log, with *columns*; see `csv.read_csv`
    ``tiem``  an SQLite file of TiEM, opened read only; or a CSV dump of its nodes,
              with *flows* a CSV dump of its flows
    ``xes``   an event log of process mining; *columns* where it differs
    ========= ==================================================================

    *source* is a path, whose *format* is found out if it is not given; or an `EventLog`,
    or several; or the frame of another `PastRuns`, perhaps filtered.  Raises
    `DefinitionError` with file and line for what cannot be read, and `UsageError` for a
    call that says too little.
    """
    if isinstance(source, PastRuns):
        return source
    if isinstance(source, EventLog):
        return read_logs([source])
    if hasattr(source, "columns") and hasattr(source, "iloc"):
        return _given(source)
    if not isinstance(source, (str, Path)):
        if not isinstance(source, Iterable):
            raise UsageError(f"a history is a path, a log or logs, not {source!r:.80}")
        return read_logs(source)
    path = Path(source)
    chosen = format or _format(path, columns)
    if chosen not in FORMATS:
        raise UsageError(f"format: unknown {chosen!r}; {hint(str(chosen), FORMATS)}")
    _check_given(path, chosen, columns=columns, statuses=statuses, flows=flows)
    if chosen == "lines":
        return lines.read_lines(path)
    if chosen == "log":
        return read_logs([EventLog.from_jsonl(path)], str(path))
    if chosen == "xes":
        return xes.read_xes(path, columns, statuses=statuses)
    if chosen == "csv":
        if columns is None:
            raise UsageError(
                f"{path}: say which column holds what: columns={{'case': ..., 'step': "
                "..., 'start': ..., 'end': ...}"
            )
        return csv.read_csv(path, columns, statuses=statuses)
    return _read_tiem(path, flows)


def _check_given(path: Path, format: str, **given: Any) -> None:
    """Raise `UsageError` for what is *given* and says nothing of that *format*."""
    for name, value in given.items():
        if value is not None and name not in _TAKEN.get(format, ()):
            raise UsageError(
                f"{path}: {name} says nothing of a history in {format!r}; leave it out, "
                "or say which format it is in"
            )


def read_logs(logs: Iterable[EventLog], source: str = "") -> PastRuns:
    """Return what *logs* of simulations tell; their seconds are kept as they are.

    An attempt that is under way at the end of its log is known until then; one that its
    step's limit of time ended has timed out.
    """
    rows: list[tuple[Any, ...]] = []
    listed = list(logs)
    for number, log in enumerate(listed):
        if not isinstance(log, EventLog):
            raise UsageError(f"a history is a path, a log or logs, not {log!r:.80}")
        rows += _rows(log, f"{number}/" if len(listed) > 1 else "")
    if not rows:
        raise DefinitionError(
            f"{source or 'log'}:1: tells of no attempt of a step; give one in which a "
            "step has begun"
        )
    return PastRuns(attempt_frame(rows), (), source)


def _rows(log: EventLog, prefix: str) -> list[tuple[Any, ...]]:
    from wfsim.report import tables

    last = log.records[-1].time if log.records else 0.0
    parked: dict[tuple[str, str, str, int], float] = {}
    for record in log.filter(Kind.STEP_WAITING):
        key = (record.resource, record.run, record.step, record.attempt)
        parked.setdefault(key, record.time)
    rows: list[tuple[Any, ...]] = []
    times: dict[tuple[str, str], int] = {}
    for item in tables.steps(log).itertuples(index=False):
        row: Any = item
        case = f"{prefix}{row.resource} {row.run}"
        times[case, row.step] = number = times.get((case, row.step), 0) + 1
        end = last if math.isnan(row.end) else row.end
        since = parked.get((row.resource, row.run, row.step, row.attempt), end)
        status = row.status
        if status in ("failed", "interrupted"):
            reason = "" if status == "failed" else row.error.partition(":")[0]
            status = judged(reason, row.error)
        waited = max(end - since, 0.0)
        name = (case, row.flow, row.resource, row.step, number, status)
        censored = status not in ("completed", "failed")
        # To nanoseconds, so that what took equally long is equal.
        duration = round(max(end - row.start - waited, 0.0), 9)
        rows.append((*name, row.start, end, duration, waited, censored))
    return rows


def _format(path: Path, columns: Mapping[str, str] | None) -> str:
    """Return what the file at *path* is in, by suffix, *columns* or its first line."""
    found = _SUFFIXES.get(path.suffix.lower())
    if found is None:
        with lines.opened(path) as file:
            first = file.readline(1000)
        if columns is not None:
            return "xes" if first.lstrip().startswith(b"<") else "csv"
        return "log" if FORMAT.encode() in first else "lines"
    if found != "csv" or columns is not None:
        return found
    with lines.opened(path) as file:
        return "tiem" if b"parent_id" in file.readline(10_000).lower() else "csv"


def _read_tiem(path: Path, flows: str | Path | None) -> PastRuns:
    if path.suffix.lower() != ".csv":
        return tiem.read_database(path)
    nodes = [row for _, row in csv.table_rows(path)]
    found = [row for _, row in csv.table_rows(Path(flows))] if flows else []
    return tiem.rows_to_runs(map(_lower, nodes), map(_lower, found), str(path))


def _lower(row: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in row.items()}


def _given(frame: pd.DataFrame) -> PastRuns:
    """Return *frame*, which has the columns of `PastRuns`, as such; or `UsageError`."""
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise UsageError(f"the frame has no column {missing[0]!r}; it needs {COLUMNS}")
    return PastRuns(frame[list(COLUMNS)].reset_index(drop=True))
