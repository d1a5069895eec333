"""The reference engine's history: one JSON object a line, in ``shared_workflow.txt``.

The file is called after a type of resource; ``local_workflow.txt`` is another.  A line is
written per event of a run or a step.  ``step_id`` is the nanosecond at which that was,
more exact than ``end_time``, which has whole seconds of a local clock that is labelled
UTC.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

from wfsim.errors import DefinitionError
from wfsim.history.attempts import (
    OPEN,
    Attempt,
    Event,
    PastRuns,
    in_order,
    past_runs,
)
from wfsim.history.source import MOST_EVENTS, Problems, opened
from wfsim.history.times import stamp
from wfsim.model import json_text
from wfsim.model.memento import CANCELLED, DEADLINE, MANY_RETRY
from wfsim.text import suggest

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
    """Return the attempts in the history file at *path*.

    A line that cannot be read is passed over and reported as a problem; one that came
    twice counts once.  Raises
    `DefinitionError` if the file cannot be read or has no line of a history.
    """
    source = Path(path)
    with opened(source) as file:
        return lines_of(file, str(source))


def lines_of(file: BinaryIO, name: str) -> PastRuns:
    """Return the attempts in the lines of *file*, which is called *name*."""
    problems = Problems(name)
    events: list[Event] = []
    digests: set[bytes] = set()
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
        digest = blake2b(line.strip(), digest_size=16).digest()
        if digest in digests:
            problems.repeat(number)
        elif event is not None:
            events.append(event)
        digests.add(digest)
        if len(events) > MOST_EVENTS:
            raise DefinitionError(
                f"{name}:{number}: more than {MOST_EVENTS} events; split it by resource"
            )
    texts = problems.of(read, "of a history such as shared_workflow.txt")
    return past_runs(attempts_of(events), texts, name)


def attempts_of(events: Sequence[Event]) -> list[Attempt]:
    """Return the attempts that *events* of the reference, in any order, tell of.

    One process writes it all, so that an attempt that is begun again tells of a crash of
    all that was under way; the last line before it is the last that is known of them.
    """
    history = _History()
    for event in in_order(events):
        history.add(event)
    return history.closed()


class _History:
    """What the lines up to one tell: the attempts, and which is the newest of a run."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.newest: dict[str, Attempt] = {}
        self.counts: Counter[tuple[str, str]] = Counter()
        self.last = 0

    def add(self, event: Event) -> None:
        attempt = self.newest.get(event.case)
        under_way = attempt is not None and attempt.status in OPEN
        if event.kind in ("begin", "start"):
            if attempt is not None and attempt.status == "running":
                self.crash()
            elif attempt is not None and under_way and event.kind == "begin":
                attempt.close("crashed", max(self.last, attempt.start or 0))
            if event.kind == "begin":
                self.begin(event, event.time)
        elif event.kind in ("wait", "resume"):
            if attempt is not None:
                attempt.turn(event.kind, event.time)
        elif event.kind == "stop":
            if attempt is not None and under_way:
                attempt.close(event.status, event.time)
        else:
            self.end(event, attempt)
        self.last = event.time

    def begin(self, event: Event, start: int | None) -> Attempt:
        self.counts[event.case, event.step] += 1
        number = self.counts[event.case, event.step]
        name = (event.case, event.flow, event.resource, event.step, number)
        attempt = Attempt(*name, start)
        self.newest[event.case] = attempt
        self.attempts.append(attempt)
        return attempt

    def end(self, event: Event, attempt: Attempt | None) -> None:
        if attempt is not None and attempt.step != event.step:
            attempt = None
        if attempt is not None and attempt.status in (*OPEN, "crashed"):
            # What seemed to be dead has come to its end after all.
            attempt.close(event.status, event.time)
        elif attempt is not None and attempt.status == "completed":
            # A hook that fails after a success makes it a failure, and it is done again.
            attempt.status = event.status
        elif event.kind != "refuse":
            self.begin(event, None).close(event.status, event.time)

    def crash(self) -> None:
        for attempt in self.newest.values():
            if attempt.status == "running":
                attempt.close("crashed", max(self.last, attempt.start or self.last))

    def closed(self) -> list[Attempt]:
        """Return all attempts, those that are under way known to be until the end."""
        for attempt in self.attempts:
            if attempt.status in OPEN:
                attempt.close(attempt.status, self.last)
        return self.attempts


def _event(row: Any) -> Event | None:
    """Return the event of a line, None for one that tells nothing new."""
    if not isinstance(row, dict):
        raise ValueError("it is not an object")
    kind = _KINDS.get(_text(row, "type"))
    if kind is None:
        raise ValueError(
            f"unknown type {row['type']!r:.60}{suggest(row['type'], _KINDS)}"
        )
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
        status = "completed" if completed else _status(row)
        if MANY_RETRY in str(row.get("error") or "") and kind == "end":
            # The eleventh failure, or a look at the counter before anything was done.
            kind = "refuse"
    return Event(_time(row), kind, case, flow, resource, step, status)


def _status(row: Mapping[str, Any]) -> str:
    """Return how the attempt ended that the error in *row* has ended.

    That a limit of time has cut it short stands in ``extra_ctx``, as `export.to_history`
    writes it; the reference, which has no such limits, leaves that empty.
    """
    reason = _REASON.search(str(row.get("error") or "")[:10_000])
    extra = row.get("extra_ctx")
    limit = extra.get("limit") if isinstance(extra, dict) else None
    return ended_by(reason[1] if reason else "", limit is not None)


def ended_by(reason: str, out_of_time: bool) -> str:
    """Return the status of an attempt whose run was ended by *reason*, "" for none.

    *out_of_time* says that the time limit of its step has cut it short.

    >>> ended_by("", False), ended_by("MANY_RETRY", True)
    ('failed', 'timed out')
    >>> ended_by("CANCELLED", False), ended_by("DEADLINE", False), ended_by("X", False)
    ('cancelled', 'timed out', 'interrupted')
    """
    if reason in ("", MANY_RETRY):
        return "timed out" if out_of_time else "failed"
    return {CANCELLED: "cancelled", DEADLINE: "timed out"}.get(reason, "interrupted")


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
