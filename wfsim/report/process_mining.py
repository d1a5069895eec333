"""A log for process mining: XES (IEEE 1849) and OCEL 2.0.

In both an event of a step is called as the step is, and its lifecycle transition says
what has happened to the attempt.  Dates count from `EPOCH`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from wfsim.model.log import EventLog, HasLog, log_of
from wfsim.model.memento import Memento
from wfsim.model.record import Kind, PoolState, Record
from wfsim.model.resource import CREATING, Resource
from wfsim.report import tables
from wfsim.report.text import write, write_json

EPOCH = datetime(2026, 1, 1)
"""The date of second 0 where a format demands dates."""

_EXTENSIONS = (("Concept", "concept"), ("Lifecycle", "lifecycle"), ("Time", "time"))
_TRANSITIONS = {
    Kind.STEP_STARTED: "start",
    Kind.STEP_COMPLETED: "complete",
    Kind.STEP_WAITING: "suspend",
    Kind.STEP_FAILED: "ate_abort",
    Kind.STEP_CANCELLED: "ate_abort",
}
_OF_EVENTS = {"lifecycle": "string", "attempt": "integer", "text": "string"}
_OWN_TYPES = ("controller", "fault", "pool", "run")


def date(seconds: float, timespec: str = "milliseconds") -> str:
    """Return the date of so many *seconds* of virtual time, in ISO 8601 and UTC."""
    return f"{(EPOCH + timedelta(seconds=seconds)).isoformat(timespec=timespec)}+00:00"


def to_xes(log: EventLog | HasLog, path: str | Path) -> Path:
    """Write *log* to *path* as XES (IEEE 1849), for process mining: a trace is a run.

    Its events are the starts and ends of attempts; dates count from `EPOCH`.
    """
    root = ElementTree.Element(
        "log", {"xes.version": "1849.2016", "xmlns": "http://www.xes-standard.org/"}
    )
    for name, prefix in _EXTENSIONS:
        uri = f"http://www.xes-standard.org/{prefix}.xesext"
        ElementTree.SubElement(root, "extension", name=name, prefix=prefix, uri=uri)
    for (resource, run), group in tables.steps(log_of(log)).groupby(
        ["resource", "run"], sort=False
    ):
        trace = ElementTree.SubElement(root, "trace")
        _attribute(trace, "string", "concept:name", f"{resource} {run}")
        _attribute(trace, "string", "flow", str(group["flow"].iloc[0]))
        for time, transition, attempt in _events(group.itertuples()):
            event = ElementTree.SubElement(trace, "event")
            _attribute(event, "string", "concept:name", attempt.step)
            _attribute(event, "string", "lifecycle:transition", transition)
            _attribute(event, "date", "time:timestamp", date(time))
            _attribute(event, "int", "attempt", str(attempt.attempt))
            if transition != "start":
                _attribute(event, "string", "status", attempt.status)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return write(path, f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n')


def _events(attempts: Iterable[Any]) -> Iterator[tuple[float, str, Any]]:
    for attempt in attempts:
        end = "complete" if attempt.status == "completed" else "ate_abort"
        for time, transition in ((attempt.start, "start"), (attempt.end, end)):
            if not math.isnan(time):
                yield time, transition, attempt


def _attribute(parent: ElementTree.Element, kind: str, key: str, value: str) -> None:
    # XML has no way to write most control characters, not even escaped.
    clean = "".join(c if c.isprintable() or c in "\t\n" else "\ufffd" for c in value)
    ElementTree.SubElement(parent, kind, key=key, value=clean)


def to_ocel(log: EventLog | HasLog, path: str | Path) -> Path:
    """Write *log* to *path* as OCEL 2.0 (JSON): every record is an event of its objects.

    Objects are resources (their type is the kind of the resource), runs, controllers,
    pools and faults; an event is related to each that it is of, a run to its resource and
    its flow's.  A resource has its ``state`` and a run its ``status`` as they change.  An
    event of a step is of the type that is called as the step is, with ``lifecycle`` and
    ``attempt``; any other one of the type that is its kind, such as ``run.completed``.
    """
    document = _Objects(log_of(log)).document()
    return write_json(path, document)


class _Objects:
    """The objects of a log by their ids, and the events that they are related to."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.objects: dict[str, dict[str, Any]] = {}
        self.event_types: set[str] = set()
        self.kinds = {
            name: kind for record in log.records for name, kind in _kinds(record)
        }

    def document(self) -> dict[str, Any]:
        """Return all of it in the order that the format gives."""
        events = [self._event(record) for record in self.log.records]
        of_types: dict[str, set[str]] = {}
        for item in self.objects.values():
            names = of_types.setdefault(item["type"], set())
            names.update(each["name"] for each in item["attributes"])
        declared = [{"name": k, "type": v} for k, v in _OF_EVENTS.items()]
        return {
            "eventTypes": [
                {"name": name, "attributes": declared}
                for name in sorted(self.event_types)
            ],
            "objectTypes": [
                {
                    "name": name,
                    "attributes": [{"name": n, "type": "string"} for n in sorted(names)],
                }
                for name, names in sorted(of_types.items())
            ],
            "events": events,
            "objects": list(self.objects.values()),
        }

    def _event(self, record: Record) -> dict[str, Any]:
        lifecycle = _TRANSITIONS.get(record.kind, "")
        name = record.step if lifecycle and record.step else record.kind.value
        self.event_types.add(name)
        values = {
            "lifecycle": lifecycle,
            "attempt": str(record.attempt) if record.attempt else "",
            "text": record.text,
        }
        return {
            "id": f"e{record.seq}",
            "type": name,
            "time": date(record.time, "microseconds"),
            # In the schema of the format every value is a text.
            "attributes": [{"name": k, "value": v} for k, v in values.items() if v],
            "relationships": [
                {"objectId": name, "qualifier": qualifier}
                for qualifier, name in self._related(record)
            ],
        }

    def _related(self, record: Record) -> Iterator[tuple[str, str]]:
        """Yield what *record* is of, and keep what it says about that."""
        resource, value = record.resource, record.value
        if resource:
            kind = self.kinds.get(resource, "resource")
            kind = f"{kind} resource" if kind in _OWN_TYPES else kind
            name = self._object(kind, resource)
            if isinstance(value, Resource):
                self._say(name, "state", value.state or CREATING, record.time)
            elif record.kind is Kind.RESOURCE_DELETED:
                self._say(name, "state", "deleted", record.time)
            yield "resource", name
        if record.run:
            run = self._object("run", f"{resource} {record.run}")
            item = self.objects[run]
            if not item["relationships"] and resource:
                item["relationships"] = [{"objectId": name, "qualifier": "of"}]
                self._say(run, "flow", record.flow, record.time)
            if isinstance(value, Memento):
                self._say(run, "status", value.status.value, record.time)
            yield "run", run
        if record.controller or record.kind.value.startswith("controller."):
            yield (
                "controller",
                self._object("controller", record.controller or record.text),
            )
        if isinstance(value, PoolState):
            yield "pool", self._object("pool", value.name)
        if record.kind in (Kind.FAULT_ARMED, Kind.FAULT_FIRED):
            yield "fault", self._object("fault", record.text)

    def _object(self, kind: str, name: str) -> str:
        key = f"{kind}:{name}"
        self.objects.setdefault(
            key, {"id": key, "type": kind, "attributes": [], "relationships": []}
        )
        return key

    def _say(self, key: str, name: str, value: str, time: float) -> None:
        attributes = self.objects[key]["attributes"]
        last = next((a for a in reversed(attributes) if a["name"] == name), None)
        if value and (last is None or last["value"] != value):
            when = date(time, "microseconds")
            attributes.append({"name": name, "time": when, "value": value})


def _kinds(record: Record) -> Iterator[tuple[str, str]]:
    """Yield the kind of the resource that *record* is of, if it says so."""
    value = record.value
    if isinstance(value, Resource):
        yield record.resource, value.kind
    elif isinstance(value, Memento):
        yield record.resource, value.resource.kind


__all__ = ["EPOCH", "to_ocel", "to_xes"]
