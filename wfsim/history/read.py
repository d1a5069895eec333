"""Histories of real and simulated runs, whatever they are written in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wfsim.errors import DefinitionError, UsageError
from wfsim.history import csv, lines, tiem, xes
from wfsim.history.attempts import COLUMNS, SEEN, PastRuns, attempt_frame
from wfsim.history.lines import ended_by
from wfsim.history.source import opened
from wfsim.history.times import TimeFormat
from wfsim.model.log import FORMAT, EventLog
from wfsim.model.log import read as read_records
from wfsim.model.memento import Memento
from wfsim.model.record import Kind
from wfsim.report.history_file import time_limit
from wfsim.text import suggest

if TYPE_CHECKING:
    import pandas as pd

BY_STEP = "step"
"""The cause of an interruption that the code of a step has asked for."""

FORMATS = ("lines", "log", "csv", "tiem", "xes")
_TAKEN = {
    "csv": (
        *("columns", "statuses", "delimiter", "decimal", "date_format", "unit"),
        "duplicates",
    ),
    "xes": ("columns", "statuses", "decimal", "date_format", "unit"),
    "tiem": ("flows", "delimiter"),
}
_SUFFIXES = {
    **dict.fromkeys((".db", ".sqlite", ".sqlite3"), "tiem"),
    **dict.fromkeys((".csv", ".tsv"), "csv"),
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
    delimiter: str | None = None,
    decimal: str | None = None,
    date_format: str | None = None,
    unit: str | None = None,
    duplicates: Literal["drop", "keep"] | None = None,
) -> PastRuns:
    """Return the attempts of steps that *source* tells of.

    ========= ==================================================================
    ``lines`` the reference's ``shared_workflow.txt``, one JSON object a line
    ``log``   a log of wfsim as JSON Lines
    ``csv``   any event log, with *columns*; see `history.csv.read_csv`
    ``tiem``  an SQLite file of TiEM, opened read only; or a CSV dump of its nodes,
              with *flows* a CSV dump of its flows
    ``xes``   an event log of process mining; *columns* where it differs
    ========= ==================================================================

    *source* is a path, whose *format* is worked out if it is not given; or an `EventLog`,
    or several; or the frame of another `PastRuns`, perhaps filtered.  All but SQLite may
    be packed by gzip.

    How a file is written is worked out where that is certain, and can be given:
    *delimiter* of a CSV; *decimal*, the mark before fractions; *date_format* as
    `datetime.strptime` has it; *unit* of numbers that are times (ns, us, ms, s, min, h,
    d); *duplicates*, whether a row of a CSV that is wholly like one before counts
    (``keep``) or not (``drop``).

    Raises `DefinitionError` with file and line for what cannot be read, and `UsageError`
    for a call that says too little.
    """
    if isinstance(source, PastRuns):
        return source
    if isinstance(source, EventLog):
        return read_logs([source])
    if hasattr(source, "columns") and hasattr(source, "iloc"):
        return _of_frame(source)
    if not isinstance(source, (str, Path)):
        if not isinstance(source, Iterable):
            raise UsageError(f"a history is a path, a log or logs, not {source!r:.80}")
        return read_logs(source)
    path = Path(source)
    chosen = format or _format(path, columns)
    if chosen not in FORMATS:
        raise UsageError(f"format: unknown {chosen!r}{suggest(str(chosen), FORMATS)}")
    how = {
        "columns": columns, "statuses": statuses, "flows": flows, "delimiter": delimiter,
        "decimal": decimal, "date_format": date_format, "unit": unit,
        "duplicates": duplicates,
    }  # fmt: skip
    given = {name: value for name, value in how.items() if value is not None}
    _check_given(path, chosen, given)
    return _read(path, chosen, given)


def _read(path: Path, format: str, given: dict[str, Any]) -> PastRuns:
    """Return the attempts in the file at *path*, read as *given* says."""
    if format == "lines":
        return lines.read_lines(path)
    if format == "log":
        with opened(path) as file:
            log = EventLog(*read_records(file, str(path)))
        return read_logs([log], str(path))
    if format == "tiem":
        return _read_tiem(path, given.get("flows"), given.get("delimiter"))
    given["times"] = TimeFormat(
        given.pop("date_format", None),
        given.pop("unit", None),
        given.pop("decimal", None),
    )
    if format == "xes":
        return xes.read_xes(path, **given)
    if "columns" not in given:
        raise UsageError(
            f"{path}: say which column holds what: columns={{'case': ..., 'step': "
            "..., 'start': ..., 'end': ...}"
        )
    return csv.read_csv(path, **given)


def _check_given(path: Path, format: str, given: Mapping[str, Any]) -> None:
    """Raise `UsageError` for what is *given* and says nothing of that *format*."""
    for name in given:
        if name not in _TAKEN.get(format, ()):
            raise UsageError(
                f"{path}: {name} says nothing of a history in {format!r}; leave it out, "
                "or say which format it is in"
            )


def read_logs(logs: Iterable[EventLog], source: str = "") -> PastRuns:
    """Return the attempts in *logs* of simulations; their seconds stay as they are.

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
    return PastRuns(attempt_frame(rows), (), source, len(listed))


def _rows(log: EventLog, prefix: str) -> list[tuple[Any, ...]]:
    from wfsim.report import tables

    last = log.records[-1].time if log.records else 0.0
    parked: dict[tuple[str, str, str, int], float] = {}
    for record in log.filter(Kind.STEP_WAITING):
        key = (record.resource, record.run, record.step, record.attempt)
        parked.setdefault(key, record.time)
    endings = _endings(log)
    rows: list[tuple[Any, ...]] = []
    counts: dict[tuple[str, str], int] = {}
    for item in tables.steps(log).itertuples(index=False):
        row: Any = item
        case = f"{prefix}{row.resource} {row.run}"
        counts[case, row.step] = number = counts.get((case, row.step), 0) + 1
        end = last if math.isnan(row.end) else row.end
        since = parked.get((row.resource, row.run, row.step, row.attempt), end)
        status = row.status
        if status in ("failed", "interrupted"):
            status = endings.get((row.resource, row.run, row.end), status)
        waited = max(end - since, 0.0)
        name = (case, row.flow, row.resource, row.step, number, status)
        censored = status not in SEEN
        # To nanoseconds, so that what took equally long is equal.
        duration = round(max(end - row.start - waited, 0.0), 9)
        rows.append((*name, row.start, end, duration, waited, censored))
    return rows


def _endings(log: EventLog) -> dict[tuple[str, str, float], str]:
    """Return the status of the attempt of a run that ended at a time without success."""
    endings: dict[tuple[str, str, float], str] = {}
    for record in log.filter(Kind.STEP_FAILED, Kind.RUN_INTERRUPTED):
        memento = record.value
        if isinstance(memento, Memento):
            reason = memento.reason if record.kind is Kind.RUN_INTERRUPTED else ""
            status = ended_by(reason, time_limit(record) is not None)
            if getattr(record, "cause", "") == BY_STEP:
                # Whatever reason it has given.
                status = "interrupted"
            # A failure that is the last one allowed interrupts its run at once.
            endings.setdefault((record.resource, record.run, record.time), status)
    return endings


def _format(path: Path, columns: Mapping[str, str] | None) -> str:
    """Return what the file at *path* is in, by suffix, *columns* or its first line."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    format = _SUFFIXES.get(suffixes[-1]) if suffixes else None
    if format is None:
        with opened(path) as file:
            first = file.readline(1000)
        if first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            return "xes"
        if columns is not None:
            return "csv"
        return "log" if FORMAT.encode() in first else "lines"
    if format != "csv" or columns is not None:
        return format
    with opened(path) as file:
        return "tiem" if b"parent_id" in file.readline(10_000).lower() else "csv"


def _read_tiem(path: Path, flows: str | Path | None, delimiter: str | None) -> PastRuns:
    if not {".csv", ".tsv"} & {suffix.lower() for suffix in path.suffixes}:
        return tiem.read_database(path)
    flow_rows = _table(Path(flows), delimiter) if flows else []
    return tiem.rows_to_runs(_table(path, delimiter), flow_rows, str(path))


def _table(path: Path, delimiter: str | None) -> list[dict[str, str]]:
    """Return the rows of a dump, their columns in small letters."""
    rows = csv.table_rows(path, (), delimiter)
    return [{name.lower(): value for name, value in row.items()} for _, row, _ in rows]


def _of_frame(frame: pd.DataFrame) -> PastRuns:
    """Return *frame*, which has the columns of `PastRuns`, as such; or `UsageError`."""
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise UsageError(f"the frame has no column {missing[0]!r}; it needs {COLUMNS}")
    return PastRuns(frame[list(COLUMNS)].reset_index(drop=True))
