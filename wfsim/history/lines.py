"""The reference engine's history: one JSON object a line, in ``mpd_workflow.txt``.

A line is written per event of a run or a step.  ``step_id`` is the nanosecond at which
that was, more exact than ``end_time``, which has whole seconds of a local clock that is
labelled UTC.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, BinaryIO

from wfsim.errors import DefinitionError
from wfsim.history.attempts import (
    MOST_EVENTS,
    Event,
    PastRuns,
    Problems,
    fold,
    judged,
    past_runs,
    stamp,
)
from wfsim.model import json_text
from wfsim.model.document import hint
from wfsim.model.memento import MANY_RETRY

MAX_BYTES = 1 << 30
MAX_LINE = 1 << 20

_KINDS = {
    "WorkFlowStart": "start",
    "WorkFlowInterrupt": "stop",
    "WorkFlowCompleted": "",
    "StepInited": "begin",
    "StepWaiting": "wait",
    "StepError": "end",
    "StepCompleted": "end",
}
_REASON = re.compile(r"reson: ([^,]{1,80}), message: ")  # sic


def read_lines(path: str | Path) -> PastRuns:
    """Return what the history file at *path* tells.

    A line that cannot be read is passed over and reported as a problem.  Raises
    `DefinitionError` if the file cannot be read or has no line of a history.
    """
    source = Path(path)
    with opened(source) as file:
        return lines_of(file, str(source))


def opened(source: Path) -> BinaryIO:
    """Return the file *source* opened for reading, unless it is too large."""
    try:
        if source.stat().st_size > MAX_BYTES:
            raise DefinitionError(
                f"{source}:1: larger than {MAX_BYTES} bytes; split it by resource"
            )
        return source.open("rb")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DefinitionError(
            f"{source}:1: cannot be read: {why}; give the path of a history"
        ) from None


def lines_of(file: BinaryIO, name: str) -> PastRuns:
    """Return what the lines of *file*, which is called *name*, tell."""
    problems = Problems(name)
    events: list[Event] = []
    number, read = 0, 0
    while line := file.readline(MAX_LINE):
        number += 1
        if not line.strip():
            continue
        if len(line) == MAX_LINE:
            problems.add(number, f"longer than {MAX_LINE} bytes; it is cut into several")
            continue
        try:
            event = _event(json_text.load(line.decode()))
        except (ValueError, KeyError) as error:
            text = f"{error.args[0]!r} is missing" if type(error) is KeyError else error
            problems.add(number, f"not a line of a history: {text}")
            continue
        read += 1
        if event is not None:
            events.append(event)
        if len(events) > MOST_EVENTS:
            raise DefinitionError(
                f"{name}:{number}: more than {MOST_EVENTS} events; split it by resource"
            )
    told = problems.told(read, "of a history such as mpd_workflow.txt")
    return past_runs(fold(events, shared=True), told, name)


def _event(row: Any) -> Event | None:
    """Return the event of a line, None for one that tells nothing new."""
    if not isinstance(row, dict):
        raise ValueError("it is not an object")
    kind = _KINDS.get(_text(row, "type"))
    if kind is None:
        raise ValueError(f"unknown type {row['type']!r:.60}; {hint(row['type'], _KINDS)}")
    if not kind:
        # A false one is left behind by failures; a genuine one says nothing of steps.
        return None
    resource, flow = _text(row, "resource_name"), _text(row, "flow_name")
    number = row["workflow_id"]
    if isinstance(number, bool) or not isinstance(number, (int, str)):
        raise ValueError(f"workflow_id is {number!r:.60}")
    case = f"{_text(row, 'namespace')}/{resource}/{number!s:.40}"
    step = "" if kind in ("start", "stop") else _text(row, "step_name")
    if kind not in ("start", "stop") and not step:
        raise ValueError("step_name is empty")
    status = ""
    if kind in ("end", "stop"):
        completed = row["type"] == "StepCompleted"
        status = "completed" if completed else _status(str(row.get("error") or ""))
        if MANY_RETRY in str(row.get("error") or "") and kind == "end":
            # The eleventh failure, or a look at the counter before anything was done.
            kind = "refuse"
    return Event(_time(row), kind, case, flow, resource, step, status)


def _status(error: str) -> str:
    """Return how an attempt ended whose run failed with *error*."""
    reason = _REASON.search(error[:10_000])
    return judged(reason[1] if reason else "", error)


def _time(row: dict[str, Any]) -> int:
    exact = row.get("step_id")
    if isinstance(exact, str) and exact.isascii() and exact.isdigit():
        exact = int(exact[:30])
    if isinstance(exact, int) and not isinstance(exact, bool) and 0 < exact < 2**63:
        return exact
    time = stamp(row["end_time"])
    if time is None:
        raise ValueError("it has neither a step_id nor an end_time")
    return time


def _text(row: dict[str, Any], key: str) -> str:
    value = row[key]
    if not isinstance(value, str) or len(value) > 1000:
        raise ValueError(f"{key} is {value!r:.60}")
    return value
