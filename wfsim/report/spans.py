"""A log for trace viewers: Chrome's trace events, and spans of OpenTelemetry."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC
from hashlib import blake2b
from pathlib import Path
from typing import Any

from wfsim.model.log import EventLog, HasLog, log_of
from wfsim.model.record import Kind, Record
from wfsim.report import tables
from wfsim.report.history import UNFINISHED
from wfsim.report.process_mining import EPOCH
from wfsim.report.text import write_json

INTERNAL, OK, ERROR = 1, 1, 2
"""A span's kind, and codes of its status, by the numbers that OTLP has for them."""

_BEGINNING = int(EPOCH.replace(tzinfo=UTC).timestamp()) * 10**9
_OF_CONTROLLERS = (
    *(Kind.CONTROLLER_STARTED, Kind.CONTROLLER_CRASHED, Kind.CONTROLLER_PAUSED),
    *(Kind.CONTROLLER_RESUMED, Kind.FAULT_FIRED),
)
_NOTED = (
    *(Kind.STEP_LOG, Kind.STEP_WAITING, Kind.POOL_QUEUED, Kind.POOL_GRANTED),
    *(Kind.HOOK_FAILED, Kind.PASS_FAILED, Kind.CHECK_FAILED),
)
"""Kinds of what happens within a run and is neither begin nor end of an attempt."""


def to_chrome_trace(log: EventLog | HasLog, path: str | Path) -> Path:
    """Write *log* to *path* as Chrome trace events, for Perfetto or ``chrome://tracing``.

    A resource is a process, a run a thread, an attempt a slice; a crash and a fault are
    instants.  An attempt without an end lasts until the end of the log.
    """
    log = log_of(log)
    end = log.records[-1].time if log.records else 0.0
    processes: dict[str, int] = {}
    threads: dict[tuple[str, str], int] = {}
    events: list[dict[str, Any]] = []
    for item in tables.steps(log).itertuples():
        row: Any = item
        pid = processes.setdefault(row.resource, len(processes) + 1)
        tid = threads.setdefault((row.resource, row.run), len(threads) + 1)
        start = 0.0 if math.isnan(row.start) else row.start
        until = end if math.isnan(row.end) else row.end
        args = {"attempt": row.attempt, "status": row.status, "error": row.error}
        events.append(
            {
                "name": row.step,
                "cat": row.flow,
                "ph": "X",
                "ts": start * 1e6,
                "dur": (until - start) * 1e6,
                "pid": pid,
                "tid": tid,
                "args": args,
            }
        )
    for record in log.filter(Kind.CONTROLLER_CRASHED, Kind.FAULT_FIRED):
        name = f"{record.kind.value}: {record.text}"
        event = {"name": name, "ph": "i", "s": "g", "ts": record.time * 1e6}
        events.append(event | {"pid": 0, "tid": 0})
    names = [(0, 0, "process_name", "control plane")]
    names += [(pid, 0, "process_name", name) for name, pid in processes.items()]
    names += [
        (processes[resource], tid, "thread_name", run)
        for (resource, run), tid in threads.items()
    ]
    events += [
        {"name": what, "ph": "M", "pid": pid, "tid": tid, "args": {"name": name}}
        for pid, tid, what, name in names
    ]
    document = {"displayTimeUnit": "ms", "traceEvents": events}
    return write_json(path, document)


def to_otlp(log: EventLog | HasLog, path: str | Path) -> Path:
    """Write *log* to *path* as spans of OpenTelemetry, in OTLP's JSON.

    That is one ``ExportTraceServiceRequest``: a collector takes it at ``/v1/traces``, and
    the receiver for OTLP files, Jaeger and Tempo read it.  A run is a trace; its root
    span is the run, each attempt is a child, and what a step notes, waits for or queues
    for an event in it.  What happened to controllers is a trace of its own.  Ids follow
    from the log's digest, times count from `EPOCH`.  What had not ended when the log did
    ends there, and has no status.
    """
    log = log_of(log)
    scope = {"name": "wfsim", "attributes": _attributes({"wfsim.digest": log.digest()})}
    title = str(log.meta.get("title") or "wfsim")
    resource = {"attributes": _attributes({"service.name": title})}
    spans = [*_spans(log), *_control_plane(log)]
    request = {
        "resourceSpans": [
            {"resource": resource, "scopeSpans": [{"scope": scope, "spans": spans}]}
        ]
    }
    return write_json(path, request)


def _spans(log: EventLog) -> Iterator[dict[str, Any]]:
    last = log.records[-1].time if log.records else 0.0
    digest = log.digest()
    notes: dict[tuple[str, str, str], list[Record]] = {}
    for record in log.filter(*_NOTED):
        notes.setdefault((record.resource, record.run, record.step), []).append(record)
    attempts: dict[tuple[str, str], list[Any]] = {}
    for item in tables.steps(log).itertuples():
        attempt: Any = item
        attempts.setdefault((attempt.resource, attempt.run), []).append(attempt)
    for item in tables.runs(log).itertuples():
        run: Any = item
        if not run.run:
            continue  # called for, and never begun
        trace = _id(16, digest, run.resource, run.run)
        about = {"wfsim.resource": run.resource, "wfsim.run": run.run}
        about |= {"wfsim.flow": run.flow, "wfsim.status": run.status}
        end = math.nan if run.status in UNFINISHED else run.end
        root = _span(trace, run, run.flow, last, end)
        within = notes.get((run.resource, run.run, ""), [])
        own = {"attributes": _attributes(about), "events": [*map(_event, within)]}
        yield root | own
        for attempt in attempts.get((run.resource, run.run), ()):
            span = _span(trace, attempt, attempt.step, last, attempt.end)
            about = {"wfsim.resource": run.resource, "wfsim.run": run.run}
            about |= {"wfsim.step": attempt.step, "wfsim.attempt": attempt.attempt}
            about |= {"wfsim.status": attempt.status, "code.filepath": attempt.where}
            within = [
                record
                for record in notes.get((run.resource, run.run, attempt.step), ())
                if record.attempt == attempt.attempt
            ]
            own = {"attributes": _attributes(about), "events": [*map(_event, within)]}
            yield span | {"parentSpanId": root["spanId"]} | own


def _span(trace: str, row: Any, name: str, last: float, end: float) -> dict[str, Any]:
    """Return the span of a run or an attempt, a *row* of its table, to its *end*.

    That is NaN if it had not ended when the log did, at *last*.
    """
    start = 0.0 if math.isnan(row.start) else row.start
    until = last if math.isnan(end) else end
    span: dict[str, Any] = {
        "traceId": trace,
        "spanId": _id(8, trace, name, str(getattr(row, "attempt", 0))),
        "name": name or row.run,
        "kind": INTERNAL,
        "startTimeUnixNano": _nanoseconds(start),
        "endTimeUnixNano": _nanoseconds(max(start, until)),
    }
    if row.status == "completed":
        span["status"] = {"code": OK}
    elif not math.isnan(end):
        span["status"] = {"code": ERROR, "message": row.error or row.status}
    return span


def _control_plane(log: EventLog) -> Iterator[dict[str, Any]]:
    """Yield a span that lasts as long as the log, with what happened to controllers."""
    records = log.filter(*_OF_CONTROLLERS)
    if records:
        trace = _id(16, log.digest(), "control plane")
        yield {
            "traceId": trace,
            "spanId": _id(8, trace),
            "name": "control plane",
            "kind": INTERNAL,
            "startTimeUnixNano": _nanoseconds(log.records[0].time),
            "endTimeUnixNano": _nanoseconds(log.records[-1].time),
            "events": [*map(_event, records)],
        }


def _event(record: Record) -> dict[str, Any]:
    return {
        "timeUnixNano": _nanoseconds(record.time),
        "name": record.kind.value,
        "attributes": _attributes({"wfsim.text": record.text}),
    }


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return *values* as OTLP has them; 64-bit numbers are texts in its JSON."""
    return [
        {
            "key": key,
            "value": {"intValue": str(value)}
            if isinstance(value, int)
            else {"stringValue": value},
        }
        for key, value in values.items()
        if value != ""
    ]


def _nanoseconds(seconds: float) -> str:
    return str(_BEGINNING + round(seconds * 1e9))


def _id(size: int, *parts: str) -> str:
    """Return the id of so many bytes that follows from *parts*, in hex."""
    text = "\0".join(parts).encode(errors="surrogatepass")
    return blake2b(text, digest_size=size).hexdigest()


__all__ = ["to_chrome_trace", "to_otlp"]
