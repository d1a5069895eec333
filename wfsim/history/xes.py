"""Event logs in XES (IEEE 1849), as process mining tools and `export.to_xes` write them.

A document type is refused, and with it every entity: nothing in a file can grow, or
name another file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.parsers import expat

from wfsim.errors import DefinitionError, UsageError
from wfsim.history.attempts import MOST_EVENTS, Event, PastRuns, Problems, fold, past_runs
from wfsim.history.csv import KEYS, event_of, known_statuses
from wfsim.history.lines import opened
from wfsim.model.document import hint

MAX_DEPTH = 50
MAX_TEXT = 1000
COLUMNS: Mapping[str, str] = {
    "case": "trace concept:name",
    "flow": "trace flow",
    "resource": "trace resource",
    "step": "concept:name",
    "time": "time:timestamp",
    "transition": "lifecycle:transition",
    "status": "status",
}
"""Which attribute of an event, or with ``trace`` before it of a trace, holds what."""

_VALUES = {"string", "date", "int", "float", "boolean", "id"}


def read_xes(
    path: str | Path,
    columns: Mapping[str, str] | None = None,
    *,
    statuses: Mapping[str, str] | None = None,
) -> PastRuns:
    """Return what the XES file at *path* tells.

    *columns* replaces entries of `COLUMNS`, *statuses* maps what the file says to one of
    our statuses.  Where a trace has no resource, it is its name without the last word,
    as `export.to_xes` writes it.  An event that cannot be read is passed over and
    reported.  Raises `DefinitionError` for a file that cannot be read.
    """
    for key in columns or ():
        if key not in KEYS or key in ("start", "end", "waited"):
            raise UsageError(f"columns: unknown {key!r}; {hint(str(key), COLUMNS)}")
    source = Path(path)
    reader = _Reader(
        {**COLUMNS, **(columns or {})}, known_statuses(statuses), str(source)
    )
    parser = expat.ParserCreate()
    reader.attach(parser)
    with opened(source) as file:
        try:
            parser.ParseFile(file)
        except expat.ExpatError as error:
            raise DefinitionError(
                f"{source}:{error.lineno}: not XML: {expat.ErrorString(error.code)}"
            ) from None
    told = reader.problems.told(reader.read, "an event of XES")
    return past_runs(fold(reader.events, shared=False), told, str(source))


class _Reader:
    """Takes elements as they come; keeps the attributes of one trace and one event."""

    def __init__(
        self, columns: Mapping[str, str], statuses: Mapping[str, str], name: str
    ) -> None:
        self.columns = columns
        self.statuses = statuses
        self.name = name
        self.problems = Problems(name)
        self.events: list[Event] = []
        self.read = 0
        self.path: list[str] = []
        self.trace: dict[str, str] = {}
        self.event: dict[str, str] = {}
        self.traces = 0

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
            self.trace = {}
            self.traces += 1
        elif tag == "event":
            self.event = {}
        self.path.append(tag)

    def end(self, _: str) -> None:
        if self.path.pop() != "event":
            return
        line = self.parser.CurrentLineNumber
        try:
            self.events += event_of(self.told(), self.statuses)
            self.read += 1
        except ValueError as error:
            self.problems.add(line, error)
        if len(self.events) > MOST_EVENTS:
            raise DefinitionError(
                f"{self.name}:{line}: more than {MOST_EVENTS} events; split it by trace"
            )

    def told(self) -> dict[str, str]:
        """Return what the event says, by our names."""
        told: dict[str, str] = {}
        for key, name in self.columns.items():
            of_trace = name.startswith("trace ")
            attributes = self.trace if of_trace else self.event
            told[key] = attributes.get(name.removeprefix("trace "), "")
        # A log that knows no transitions tells of ends.
        told["transition"] = told["transition"] or "complete"
        told["case"] = told["case"] or f"trace {self.traces}"
        told["resource"] = told["resource"] or told["case"].rpartition(" ")[0]
        return told
