"""Event logs in XES (IEEE 1849), as process mining tools and `export.to_xes` write them.

A document type is refused, and with it every entity: nothing in a file can grow, or
name another file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.parsers import expat

from wfsim.errors import DefinitionError, UsageError
from wfsim.history.attempts import (
    Attempt,
    Event,
    PastRuns,
    numbered,
    paired,
    past_runs,
)
from wfsim.history.csv import TRANSITIONS, event_of, execution_of, known_statuses
from wfsim.history.source import MOST_EVENTS, Problems, opened
from wfsim.history.times import TimeFormat
from wfsim.text import suggest

MAX_DEPTH = 50
MAX_TEXT = 1000
COLUMNS: Mapping[str, str] = {
    "case": "trace concept:name",
    "flow": "trace flow",
    "resource": "trace resource",
    "step": "concept:name",
    "instance": "concept:instance",
    "start": "start_timestamp",
    "time": "time:timestamp",
    "transition": "lifecycle:transition",
    "status": "status",
}
"""Which attribute of an event, or with ``trace`` before it of a trace, holds what.

An event that is an end and has a ``start`` of its own is a whole execution; ``end`` may
be given for ``time``.
"""

_VALUES = {"string", "date", "int", "float", "boolean", "id"}


def read_xes(
    path: str | Path,
    columns: Mapping[str, str] | None = None,
    *,
    statuses: Mapping[str, str] | None = None,
    times: TimeFormat | None = None,
) -> PastRuns:
    """Return the attempts in the XES file at *path*.

    *columns* replaces entries of `COLUMNS`, *statuses* maps what the file says to one of
    our statuses, *times* says how times are written that are not in ISO 8601.  Where a
    trace has no resource, it is its name without the last word, as `export.to_xes`
    writes it.  An event that cannot be read is passed over and reported.  Raises
    `DefinitionError` for a file that cannot be read.
    """
    keys = {**COLUMNS, "end": "", "waited": ""}
    for key in columns or ():
        if key not in keys:
            raise UsageError(f"columns: unknown {key!r}{suggest(str(key), keys)}")
    known, times = {**COLUMNS, **(columns or {})}, times or TimeFormat()
    runs = _read(Path(path), known, known_statuses(statuses), times)
    if times.learned:
        # What a later event has shown of the format holds for those before it.
        runs = _read(Path(path), known, known_statuses(statuses), times)
    return runs


def _read(
    source: Path,
    columns: Mapping[str, str],
    statuses: Mapping[str, str],
    times: TimeFormat,
) -> PastRuns:
    reader = _Reader(columns, statuses, times, str(source))
    parser = expat.ParserCreate()
    reader.attach(parser)
    with opened(source) as file:
        try:
            parser.ParseFile(file)
        except expat.ExpatError as error:
            raise DefinitionError(
                f"{source}:{error.lineno}: not XML: {expat.ErrorString(error.code)}"
            ) from None
    texts = reader.problems.of(reader.read, "an event of XES")
    attempts = numbered([*paired(reader.events), *reader.executions])
    return past_runs(attempts, texts, str(source))


class _Reader:
    """Takes elements as they come; keeps the attributes of one trace and one event."""

    def __init__(
        self,
        columns: Mapping[str, str],
        statuses: Mapping[str, str],
        times: TimeFormat,
        name: str,
    ) -> None:
        self.columns = columns
        self.statuses = statuses
        self.times = times
        self.name = name
        self.problems = Problems(name)
        self.events: list[Event] = []
        self.executions: list[Attempt] = []
        self.read = 0
        self.path: list[str] = []
        self.trace: dict[str, str] = {}
        self.event: dict[str, str] = {}
        self.traces = 0
        self.namesakes: Counter[str] = Counter()
        self.case = ""

    def attach(self, parser: Any) -> None:
        self.parser = parser
        parser.StartDoctypeDeclHandler = self.refuse
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end

    def refuse(self, *_: Any) -> None:
        line = self.parser.CurrentLineNumber
        raise DefinitionError(
            f"{self.name}:{line}: has a document type, which is not taken; remove it"
        )

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self.path) >= MAX_DEPTH:
            line = self.parser.CurrentLineNumber
            raise DefinitionError(
                f"{self.name}:{line}: nested more than {MAX_DEPTH} deep; flatten it"
            )
        tag = name.rpartition(":")[2]
        inside = self.path[-1] if self.path else ""
        if tag in _VALUES and inside in ("trace", "event"):
            into = self.trace if inside == "trace" else self.event
            value = attributes.get("value", "")[:MAX_TEXT]
            into[attributes.get("key", "")[:MAX_TEXT]] = value
        elif tag == "trace":
            self.trace, self.case = {}, ""
            self.traces += 1
        elif tag == "event":
            self.event = {}
        self.path.append(tag)

    def end(self, _: str) -> None:
        if self.path.pop() != "event":
            return
        line = self.parser.CurrentLineNumber
        try:
            self.take(self.cells())
            self.read += 1
        except ValueError as error:
            self.problems.add(line, error)
        if len(self.events) + len(self.executions) > MOST_EVENTS:
            raise DefinitionError(
                f"{self.name}:{line}: more than {MOST_EVENTS} events; split it by trace"
            )

    def take(self, cells: dict[str, str]) -> None:
        transition = cells["transition"].strip().lower()
        if cells.get("start") and transition not in TRANSITIONS:
            cells["status"] = cells["status"] or transition
            self.executions.append(execution_of(cells, self.statuses, self.times))
        else:
            self.events += event_of(cells, self.statuses, self.times)

    def cells(self) -> dict[str, str]:
        """Return what the event says, by our names."""
        cells: dict[str, str] = {}
        for key, name in self.columns.items():
            of_trace = name.startswith("trace ")
            attributes = self.trace if of_trace else self.event
            cells[key] = attributes.get(name.removeprefix("trace "), "")
        # A log that knows no transitions tells of ends.
        cells["transition"] = cells["transition"] or "complete"
        name = cells["case"] or f"trace {self.traces}"
        cells["resource"] = cells["resource"] or name.rpartition(" ")[0]
        if self.columns["case"].startswith("trace "):
            name = self.name_of_trace(name)
        cells["case"] = name
        return cells

    def name_of_trace(self, name: str) -> str:
        """Return *name*, with a number if another trace has it, too."""
        if not self.case:
            self.namesakes[name] += 1
            number = self.namesakes[name]
            self.case = name if number == 1 else f"{name} ({number})"
        return self.case
