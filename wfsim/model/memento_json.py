"""The text of a memento: the reference engine's JSON, byte for byte, both ways.

The reference is written in Go: its encoder keeps the order of struct fields, sorts
the keys of maps, leaves out zero values and escapes ``<``, ``>`` and ``&``.  What a
memento of ours has beyond that goes into one object under the key ``wfsim``, which
the reference ignores: exact times, attempts, the digest of the flow, and so on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from wfsim.errors import MementoError
from wfsim.model.frozen import Frozen, freeze
from wfsim.model.memento import Memento, RunStatus, StepMemento, StepStatus
from wfsim.model.resource import Key

EPOCH = datetime(2026, 1, 1)
"""What virtual second 0 is called in a memento's text."""

OURS = "wfsim"
VERSION = 1
MAX_BYTES = 1 << 20
"""A ConfigMap, and so any memento in it, is never larger than 1 MiB."""

_REFERENCE_KEYS = (
    "flowStatus",
    "retryTimes",
    "flowName",
    "startTime",
    "completeTime",
    "errorMessage",
    "initContext",
    "runningSteps",
)
_INTERRUPT = re.compile(r"reson: (.*?), message: (.*)", re.DOTALL)
_GO_ESCAPES = {"\\b": "\\u0008", "\\f": "\\u000c"}


def encode(run: Memento) -> str:
    """Return the text of *run*."""
    return dump(to_dict(run))


def dump(document: Mapping[str, Any]) -> str:
    """Return *document* as Go's encoder writes it."""
    text = json.dumps(
        document, ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return re.sub(r"\\.", lambda match: _GO_ESCAPES.get(match[0], match[0]), text)


def to_dict(run: Memento) -> dict[str, Any]:
    """Return *run* as a document of plain JSON values, in the order of the reference."""
    superseded = run.status is RunStatus.SUPERSEDED
    # To the reference a superseded run is over: it must never be taken up again.
    status = RunStatus.INTERRUPTED if superseded else run.status
    error = run.error
    if run.reason:
        error = f"reson: {run.reason}, message: {run.error}"
    document = {
        "flowStatus": status.value,
        "retryTimes": run.retries + run.restarts,
        "flowName": run.flow,
        "startTime": _stamp(run.started, milliseconds=True),
        "completeTime": _stamp(run.finished),
        "errorMessage": error,
        "initContext": _sorted(run.context),
        "runningSteps": [_step_to_dict(step) for step in run.steps],
    }
    document = {key: value for key, value in document.items() if value or value is False}
    document.update(run.extra)
    if run.digest:
        document[OURS] = _ours(run)
    return document


def _step_to_dict(step: StepMemento) -> dict[str, Any]:
    last = step.finished
    if last is None and step.status is not StepStatus.PREPARED:
        last = step.started
    document = {
        "StepName": step.name,
        "stepStatus": step.status.value,
        "stepStartTime": _stamp(step.started),
        "lastStepCompleteTime": _stamp(last),
        "contextOutput": _sorted(step.output),
        "retryTimes": step.retries + step.restarts,
    }
    return {key: value for key, value in document.items() if value}


def _ours(run: Memento) -> dict[str, Any]:
    ours = {
        "version": VERSION,
        "digest": run.digest,
        "entered": run.entered,
        "restarts": run.restarts,
        "cursor": run.cursor,
        "owner": run.owner or None,
        "deadline": run.deadline,
        "status": "superseded" if run.status is RunStatus.SUPERSEDED else None,
        "wake": run.wake,
        "times": [run.started, run.finished],
        "steps": [
            [step.attempts, step.restarts, step.started, step.finished]
            for step in run.steps
            if step.attempts
        ],
        "of": [index for index, step in enumerate(run.steps) if step.attempts],
    }
    return {key: value for key, value in ours.items() if value not in (None, [])}


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [_sorted(item) for item in value]
    return value


def _stamp(seconds: float | None, *, milliseconds: bool = False) -> str:
    if seconds is None:
        return ""
    # In whole milliseconds first: a float such as 22.174 must not come out as .173.
    moment = EPOCH + timedelta(milliseconds=round(seconds * 1000.0))
    text = moment.strftime("%Y-%m-%d %H:%M:%S")
    return f"{text}.{moment.microsecond // 1000:03d}" if milliseconds else text


def _seconds(text: Any) -> float | None:
    if not text:
        return None
    form = "%Y-%m-%d %H:%M:%S.%f" if "." in text else "%Y-%m-%d %H:%M:%S"
    try:
        return (datetime.strptime(text, form) - EPOCH) / timedelta(seconds=1)
    except (TypeError, ValueError) as error:
        raise MementoError(
            f"{text!r} is not a time such as 2026-01-01 00:00:00"
        ) from error


def decode(key: str, text: str, kind: str = "") -> Memento:
    """Read the *text* kept under *key*, or raise `MementoError` saying what is wrong."""
    if len(text) > MAX_BYTES:
        raise MementoError(f"{len(text)} characters; a memento has {MAX_BYTES} at most")
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MementoError(f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise MementoError(f"a memento is an object, not {type(document).__name__}")
    return from_dict(key, document, kind)


def from_dict(key: str, document: Mapping[str, Any], kind: str = "") -> Memento:
    """Return the memento that *document* describes."""
    ours = _typed(document, OURS, dict, {})
    if ours and ours.get("version") != VERSION:
        raise MementoError(
            f"written by a newer wfsim (version {ours.get('version')!r}, this reads {VERSION})"
        )
    try:
        run = _decode(key, document, kind)
        return _decode_ours(run, ours) if ours else run
    except (TypeError, ValueError, KeyError, IndexError, RecursionError) as error:
        raise MementoError(f"not a memento: {error}") from error


def _decode(key: str, document: Mapping[str, Any], kind: str) -> Memento:
    number, _, flow = key.partition("-")
    name = _typed(document, "flowName", str)
    if not (number.isascii() and number.isdigit()) or flow != name:
        raise MementoError(f"the key {key!r} is not <number>-{name}")
    status = RunStatus(_typed(document, "flowStatus", str))
    context = _typed(document, "initContext", dict, {})
    steps = tuple(
        _step_from_dict(item) for item in _typed(document, "runningSteps", list, [])
    )
    error, reason = _typed(document, "errorMessage", str, ""), ""
    found = _INTERRUPT.fullmatch(error)
    if found:
        reason, error = found.groups()
    started = _seconds(document.get("startTime"))
    run = Memento(
        key,
        Key(
            kind,
            _typed(context, "_resourceNameSpace", str, "default"),
            _typed(context, "_resourceName", str, ""),
        ),
        name,
        status,
        steps,
        freeze(context),
        started=started,
        finished=_seconds(document.get("completeTime")),
        reason=reason,
        error=error,
        retries=_typed(document, "retryTimes", int, 0),
        extra=freeze(
            {k: v for k, v in document.items() if k not in _REFERENCE_KEYS and k != OURS}
        ),
    )
    return run._replace(cursor=_cursor(run))


def _step_from_dict(document: Any) -> StepMemento:
    if not isinstance(document, dict):
        raise MementoError(f"a running step is an object, not {document!r}")
    status = StepStatus(_typed(document, "stepStatus", str))
    started = _seconds(document.get("stepStartTime"))
    finished = _seconds(document.get("lastStepCompleteTime"))
    if status in (StepStatus.INITED, StepStatus.WAITING) and finished == started:
        finished = None
    retries = _typed(document, "retryTimes", int, 0)
    return StepMemento(
        _typed(document, "StepName", str),
        status,
        retries,
        0,
        0 if started is None else retries + 1,
        started,
        finished,
        freeze(_typed(document, "contextOutput", dict, {})),
    )


def _decode_ours(run: Memento, ours: Mapping[str, Any]) -> Memento:
    steps = list(run.steps)
    rows = zip(ours.get("of", []), ours.get("steps", []), strict=True)
    for index, (attempts, restarts, started, finished) in rows:
        steps[index] = steps[index]._replace(
            attempts=int(attempts),
            restarts=int(restarts),
            retries=steps[index].retries - int(restarts),
            started=started,
            finished=finished,
        )
    started, finished = ours["times"]
    restarts = _typed(ours, "restarts", int, 0)
    superseded = ours.get("status") == "superseded"
    return run._replace(
        status=RunStatus.SUPERSEDED if superseded else run.status,
        steps=tuple(steps),
        started=started,
        finished=finished,
        retries=run.retries - restarts,
        restarts=restarts,
        cursor=_typed(ours, "cursor", int, 0),
        wake=ours.get("wake"),
        entered=_typed(ours, "entered", int, -1),
        digest=_typed(ours, "digest", str),
        owner=_typed(ours, "owner", str, ""),
        deadline=ours.get("deadline"),
    )


def _cursor(run: Memento) -> int:
    """Return the step last touched: the one begun and not completed, else the last done."""
    begun = [
        i for i, step in enumerate(run.steps) if step.status is not StepStatus.PREPARED
    ]
    return begun[-1] if begun else 0


def _typed(document: Mapping[str, Any], key: str, kind: type, *default: Any) -> Any:
    if key not in document and default:
        return default[0]
    value = document.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise MementoError(f"{key} is {value!r}, not {_JSON_NAMES[kind]}")
    return value


_JSON_NAMES = {str: "a string", int: "an integer", dict: "an object", list: "a list"}


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


__all__ = ["EPOCH", "Frozen", "decode", "dump", "encode", "from_dict", "to_dict"]
