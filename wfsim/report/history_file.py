"""A log as the history that the reference engine's recorder writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from wfsim.model.log import EventLog, HasLog, log_of
from wfsim.model.memento import Memento
from wfsim.model.record import Kind, Record
from wfsim.report.text import write

EPOCH = datetime(2026, 1, 1)
"""The date of second 0."""

_BEGINNING = datetime(1970, 1, 1)
_NO_TIME = "0001-01-01T00:00:00Z"
_STEPS = {
    Kind.STEP_STARTED: "StepInited",
    Kind.STEP_WAITING: "StepWaiting",
    Kind.STEP_COMPLETED: "StepCompleted",
    Kind.STEP_FAILED: "StepError",
    Kind.STEP_CANCELLED: "StepError",
}
_ENDS = (Kind.STEP_COMPLETED, Kind.STEP_FAILED, Kind.STEP_CANCELLED)


def to_history(log: EventLog | HasLog, path: str | Path) -> Path:
    """Write *log* to *path* as the reference does: a JSON object per event of a run.

    In a folder it is called as there, after the type of the first resource that it is
    about: ``local_workflow.txt`` if its kind ends with ``local``, else
    ``shared_workflow.txt``.  As there, a run that is taken up
    again after a failure or a crash is started once more, and the crash itself has no
    line.  ``extra_ctx`` is null, as there, but for what it has not: ``{"limit": 5.0}``
    says that the step's limit of so many seconds has cut the attempt short.
    """
    log = log_of(log)
    if (target := Path(path)).is_dir():
        target /= f"{_type_of(log)}_workflow.txt"
    return write(target, "".join(f"{_encode(row)}\n" for row in _Recorder().rows(log)))


def _type_of(log: EventLog) -> str:
    values = (record.value for record in log)
    runs = (value for value in values if isinstance(value, Memento))
    first = next(runs, None)
    is_local = first is not None and first.resource.kind.endswith("local")
    return "local" if is_local else "shared"


_encode = json.JSONEncoder(separators=(",", ":")).encode


def time_limit(record: Record) -> float | None:
    """Return the seconds after which a limit cut short the attempt that *record* ends."""
    limit: float | None = getattr(record, "limit", None)
    return limit


class _Recorder:
    def __init__(self) -> None:
        # The runs that will be taken up again, and those with an attempt under way.
        self.again: set[tuple[str, str]] = set()
        self.under_way: set[tuple[str, str]] = set()
        self.attempted: dict[tuple[str, str], Memento] = {}

    def rows(self, log: EventLog) -> Iterator[dict[str, Any]]:
        for record in log:
            if record.kind is Kind.CONTROLLER_CRASHED:
                self.again |= self.under_way
            elif isinstance(record.value, Memento):
                yield from self.lines(record, (record.resource, record.run))
                self.attempted[record.resource, record.run] = record.value

    def lines(self, record: Record, run: tuple[str, str]) -> Iterator[dict[str, Any]]:
        kind = record.kind
        if kind is Kind.RUN_CREATED:
            yield _row(record, "WorkFlowStart", retry=0)
        elif kind in _STEPS:
            if kind is Kind.STEP_STARTED:
                if run in self.again:
                    yield _row(record, "WorkFlowStart", retry=0)
                self.again.discard(run)
                self.under_way.add(run)
            elif kind is not Kind.STEP_WAITING:
                self.under_way.discard(run)
            if kind is Kind.STEP_FAILED or kind is Kind.STEP_CANCELLED:
                self.again.add(run)
            error = record.text if _STEPS[kind] == "StepError" else ""
            limit = time_limit(record) if error else None
            yield _row(record, _STEPS[kind], step=record.step, error=error, limit=limit)
        elif kind is Kind.RUN_INTERRUPTED:
            memento: Memento = record.value
            error = f"reson: {memento.reason}, message: {memento.error}"  # sic
            if run in self.under_way:
                step = self.attempted[run].step
                name = "" if step is None else step.name
                limit = time_limit(record)
                yield _row(record, "StepError", step=name, error=error, limit=limit)
            self.under_way.discard(run)
            self.again.add(run)
            yield _row(record, "WorkFlowInterrupt", error=error)
        elif kind is Kind.RUN_COMPLETED:
            yield _row(record, "WorkFlowCompleted")


def _row(
    record: Record,
    kind: str,
    *,
    step: str = "",
    error: str = "",
    retry: int | None = None,
    limit: float | None = None,
) -> dict[str, Any]:
    """Return the line of *record*, its keys in the order of the reference's logger."""
    run: Memento = record.value
    names = [item.name for item in run.steps]
    started = 0.0 if run.started is None else run.started
    began = run.steps[names.index(step)].started if step in names else started
    now = _date(record.time)
    # An interruption takes no time, and of a completion the start is not recorded.
    fixed = {"WorkFlowInterrupt": now, "WorkFlowCompleted": _NO_TIME}
    start = fixed.get(kind) or _date(began or 0.0)
    return {
        "end_time": now,
        "error": error,
        "extra_ctx": None if limit is None else {"limit": limit},
        "flow_name": record.flow or run.flow,
        "level": "info",
        "msg": "",
        "namespace": run.resource.namespace,
        "resource_name": run.resource.name,
        "retry": run.retries + run.restarts if retry is None else retry,
        "start_time": start,
        "step": names.index(step) + 1 if step in names else 0,
        "step_count": len(names),
        "step_id": str(_nanoseconds(record.time)),
        "step_name": step,
        "time": now,
        "type": kind,
        "workflow_id": str(_nanoseconds(started) // 1_000_000),
    }


def _date(time: float) -> str:
    return (EPOCH + timedelta(seconds=time)).isoformat(timespec="seconds") + "Z"


def _nanoseconds(time: float) -> int:
    return int((EPOCH - _BEGINNING).total_seconds()) * 10**9 + round(time * 1e9)
