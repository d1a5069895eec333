"""Flow and node rows of TiEM: its SQLite file, or a dump of its tables as CSV.

A row is an attempt; a node that is carried out again has a new row, and the old one
stays as it was.  What its last update says is the last that is known of it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from wfsim.errors import DefinitionError
from wfsim.history.attempts import Attempt, PastRuns, past_runs
from wfsim.history.source import MOST_EVENTS, Problems
from wfsim.history.times import stamp

FLOWS, NODES = "work_flows", "work_flow_nodes"
_FLOW_COLUMNS = ("id", "name", "status", "biz_id", "deleted_at")
_NODE_COLUMNS = (
    *("id", "parent_id", "name", "status", "created_at", "updated_at", "deleted_at"),
    *("start_time", "end_time", "biz_id"),
)
_ENDED = {"Finished": "completed", "Error": "failed"}
_UNDER_WAY = ("Initializing", "Processing")

Row = Mapping[str, Any]


def read_database(
    path: str | Path, *, flows: str = FLOWS, nodes: str = NODES
) -> PastRuns:
    """Return the attempts in the SQLite file at *path*; it is opened read only.

    *flows* and *nodes* are the names of its tables.  Raises `DefinitionError` if they
    cannot be read or hold no node.
    """
    source = Path(path)
    try:
        connection = sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            flow_rows = list(_rows(connection, str(source), flows, _FLOW_COLUMNS))
            node_rows = list(_rows(connection, str(source), nodes, _NODE_COLUMNS))
        finally:
            connection.close()
    except (sqlite3.Error, OSError, ValueError) as error:
        raise DefinitionError(
            f"{source}:1: cannot be read: {error}; give an SQLite file of TiEM"
        ) from None
    return rows_to_runs(node_rows, flow_rows, str(source))


def _rows(
    connection: sqlite3.Connection, source: str, table: str, columns: tuple[str, ...]
) -> Iterator[Row]:
    # A view could run for ever.
    query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    tables = [name for (name,) in connection.execute(query)]
    if table not in tables:
        listed = ", ".join(map(repr, tables[:20])) or "none"
        raise DefinitionError(f"{source}:1: has no table {table!r}; tables: {listed}")
    quoted = '"' + table.replace('"', '""') + '"'
    present = {str(row[1]) for row in connection.execute(f"PRAGMA table_info({quoted})")}
    if missing := {"id", "name", "status"} - present:
        raise DefinitionError(
            f"{source}:1: table {table!r} has no column {min(missing)!r}; give an SQLite "
            "file of TiEM"
        )
    known = [name for name in columns if name in present]
    select = f"SELECT {', '.join(known)} FROM {quoted} LIMIT {MOST_EVENTS + 1}"
    for number, values in enumerate(connection.execute(select)):
        if number >= MOST_EVENTS:
            raise DefinitionError(
                f"{source}:1: more than {MOST_EVENTS} rows in {table!r}; give a copy "
                "with fewer"
            )
        yield dict(zip(known, values, strict=True))


def rows_to_runs(nodes: Iterable[Row], flows: Iterable[Row], source: str) -> PastRuns:
    """Return the attempts in rows of nodes, and of the *flows* that they belong to.

    Two rows with one ``id`` are one node, and the one that was updated last counts.
    Without a row of its flow a node has a flow without a name.  A row that cannot be
    read is passed over; its number stands in the problem as the line.
    """
    problems = Problems(source)
    flow_of = {str(row["id"]): row for row in flows if not row.get("deleted_at")}
    readings: dict[str, tuple[int, Attempt, Row]] = {}
    for number, row in enumerate(nodes, start=1):
        if row.get("deleted_at"):
            continue
        try:
            reading = _attempt(row, flow_of)
        except (ValueError, KeyError, TypeError) as error:
            text = f"{error.args[0]!r} is missing" if type(error) is KeyError else error
            problems.add(number, f"not a row of a node: {text}")
            continue
        # A node has one row; of several dumps of it the last update counts.
        name = str(row.get("id") or number)
        if name in readings:
            problems.repeat(number)
        if name not in readings or _last(reading[1]) >= _last(readings[name][1]):
            readings[name] = reading
    texts = problems.of(len(readings), "a node of TiEM")
    ordered = sorted(readings.values(), key=lambda reading: reading[0])
    newest: dict[str, Attempt] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for _, attempt, _ in ordered:
        counts[attempt.case, attempt.step] += 1
        attempt.attempt = counts[attempt.case, attempt.step]
        newest[attempt.case] = attempt
    for _, attempt, row in ordered:
        if attempt.status == "running":
            _judge(attempt, newest[attempt.case], row, flow_of)
    return past_runs((attempt for _, attempt, _ in ordered), texts, source)


def _last(attempt: Attempt) -> int:
    return attempt.end or attempt.start or 0


def _attempt(row: Row, flows: Mapping[str, Row]) -> tuple[int, Attempt, Row]:
    """Return when the node was begun, the attempt that it is, and its row."""
    case, step, status = (str(row[key])[:1000] for key in ("parent_id", "name", "status"))
    if status not in _ENDED and status not in _UNDER_WAY:
        known = ", ".join((*_UNDER_WAY, *_ENDED))
        raise ValueError(f"status is {status!r:.60}, not one of {known}")
    start, created = _at(row, "start_time"), _at(row, "created_at")
    start = created if start is None else start
    if start is None:
        raise ValueError("it has neither a start_time nor a created_at")
    end = _at(row, "end_time" if status in _ENDED else "updated_at")
    if status in _ENDED and end is None:
        end = _at(row, "updated_at")
    flow = flows.get(case, {})
    resource = str(row.get("biz_id") or flow.get("biz_id") or "")[:1000]
    name = (case, str(flow.get("name") or "")[:1000], resource, step)
    last = None if end is None else max(end, start)
    attempt = Attempt(*name, 1, start, _ENDED.get(status, "running"), last)
    return (start if created is None else created), attempt, row


def _judge(attempt: Attempt, newest: Attempt, row: Row, flows: Mapping[str, Row]) -> None:
    """Set the status of *attempt*, a node without an end, to what became of it."""
    if attempt.end is None:
        attempt.end = attempt.start
    status = str(flows.get(attempt.case, {}).get("status") or "")
    if attempt is not newest:
        attempt.status = "crashed"
    elif status in ("Canceling", "Canceled"):
        attempt.status = "cancelled"
    elif status in ("Finished", "Error", "Stopped"):
        attempt.status = "interrupted"


def _at(row: Row, key: str) -> int | None:
    value = row.get(key)
    return None if value is None else stamp(value)
