"""The text of a memento: the reference engine's JSON, byte for byte, both ways.

The reference is written in Go: its encoder keeps the order of struct fields, sorts
the keys of maps, leaves out zero values and escapes ``<``, ``>`` and ``&``.  What a
memento of ours has beyond that goes into one object under the key ``wfsim``, which
the reference ignores: exact times, attempts, the digest of the flow, and so on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from wfsim.errors import MementoError
from wfsim.model import json_text
from wfsim.model.bounds import MAX_COUNT
from wfsim.model.frozen import EMPTY, freeze
from wfsim.model.memento import OURS as OUR_STATUSES
from wfsim.model.memento import UNDER_WAY, Memento, RunStatus, StepMemento, StepStatus
from wfsim.model.resource import Key

EPOCH = datetime(2026, 1, 1)
"""What virtual second 0 is called in a memento's text."""

_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{3})?", re.ASCII)
_LARGEST = 2**63 - 1
_OURS = (*OUR_STATUSES, StepStatus.CANCELLED)

OURS = "wfsim"
VERSION = 1
MAX_BYTES = 1 << 20
"""A ConfigMap, and so any memento in it, is never larger than 1 MiB."""

_MILLISECOND = timedelta(milliseconds=1)
_EARLIEST = (datetime.min - EPOCH) // _MILLISECOND
_LATEST = (datetime.max - EPOCH) // _MILLISECOND
_KEY = re.compile(r"([0-9]{1,9})-(.*)", re.DOTALL)
_INTERRUPT = re.compile(r"reson: (.*?), message: (.*)", re.DOTALL)  # sic

_RUN_KEYS = (
    "flowStatus",
    "retryTimes",
    "flowName",
    "startTime",
    "completeTime",
    "errorMessage",
    "initContext",
    "runningSteps",
)
_STEP_KEYS = (
    "StepName",
    "stepStatus",
    "stepStartTime",
    "lastStepCompleteTime",
    "contextOutput",
    "retryTimes",
)


def encode(run: Memento) -> str:
    """Return the text of *run*."""
    return json_text.dump_as_go(to_dict(run))


def to_dict(run: Memento) -> dict[str, Any]:
    """Return *run* as a document of plain JSON values, in the order of the reference."""
    document = _reference_part(run)
    # Untouched, it reads back as it is, and so it has nothing that is ours.
    if run.digest or _read_back(document, run) != run:
        document[OURS] = _ours(run, document)
    return document


def _reference_part(run: Memento) -> dict[str, Any]:
    # To the reference such a run is over: it must never be taken up again.
    status = RunStatus.INTERRUPTED if run.status in OUR_STATUSES else run.status
    error = run.error
    if run.reason:
        error = f"reson: {run.reason}, message: {run.error}"
    more = run.extra.get("runningSteps", EMPTY)
    document = {
        "flowStatus": status.value,
        "retryTimes": run.retries + run.restarts,
        "flowName": run.flow,
        "startTime": _stamp(run.started, "milliseconds"),
        "completeTime": _stamp(run.finished, "seconds"),
        "errorMessage": error,
        "initContext": _sorted(run.context),
        "runningSteps": [
            _step_to_dict(step) | _sorted(more.get(str(index), EMPTY))
            for index, step in enumerate(run.steps)
        ],
    }
    others = {k: _sorted(v) for k, v in run.extra.items() if k not in _RUN_KEYS}
    return {key: value for key, value in document.items() if value} | others


def _step_to_dict(step: StepMemento) -> dict[str, Any]:
    last = step.finished
    if last is None and step.status is not StepStatus.PREPARED:
        last = step.started
    status = step.status
    if status is StepStatus.CANCELLED:
        status = StepStatus.FAILED
    document = {
        "StepName": step.name,
        "stepStatus": status.value,
        "stepStartTime": _stamp(step.started, "seconds"),
        "lastStepCompleteTime": _stamp(last, "seconds"),
        "contextOutput": _sorted(step.output),
        "retryTimes": step.retries + step.restarts,
    }
    return {key: value for key, value in document.items() if value}


def _ours(run: Memento, document: Mapping[str, Any]) -> dict[str, Any]:
    touched = [
        (index, step)
        for index, step in enumerate(run.steps)
        if step.attempts or step.restarts or (step.started, step.finished) != (None, None)
    ]
    ours: dict[str, Any] = {
        "version": VERSION,
        "digest": run.digest,
        "entered": run.entered,
        "restarts": run.restarts,
        "cursor": run.cursor,
        "owner": run.owner or None,
        "deadline": run.deadline,
        "status": run.status.value if run.status in OUR_STATUSES else None,
        "wake": run.wake,
        "times": [run.started, run.finished],
        "steps": [
            [step.attempts, step.restarts, step.started, step.finished]
            for _, step in touched
        ],
        "of": [index for index, _ in touched],
        "more": [more for index, step in touched if (more := _more(index, step))],
    }
    if _reason_and_error(document.get("errorMessage", "")) != (run.reason, run.error):
        ours |= {"reason": run.reason, "error": run.error}
    return {key: value for key, value in ours.items() if value not in (None, [])}


def _more(index: int, step: StepMemento) -> dict[str, Any]:
    """Return what else a step with edges or polls has, and where; mostly nothing."""
    cancelled = step.status is StepStatus.CANCELLED
    parts = {
        "operation": step.operation,
        "error": step.error,
        "status": step.status.value if cancelled else "",
    }
    given = {name: part for name, part in parts.items() if part}
    return {"of": index, **given} if given else given


def _read_back(document: Mapping[str, Any], run: Memento) -> Memento | None:
    try:
        read = _decode(run.key, document, run.resource.kind)
    except MementoError:
        return None
    return read._replace(resource=run.resource)


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [_sorted(item) for item in value]
    return value


def _stamp(seconds: float | None, unit: str) -> str:
    if seconds is None:
        return ""
    # In whole milliseconds first: a float such as 22.174 must not come out as .173.
    count = min(max(round(seconds * 1000.0), _EARLIEST), _LATEST)
    return (EPOCH + count * _MILLISECOND).isoformat(" ", unit)


def decode(key: str, text: str, kind: str = "") -> Memento:
    """Read the *text* kept under *key*, or raise `MementoError` saying what is wrong."""
    if len(text) > MAX_BYTES:
        raise MementoError(f"{len(text)} characters; a memento has {MAX_BYTES} at most")
    try:
        document = json_text.load(text)
    except ValueError as error:
        raise MementoError(f"not JSON: {error}") from error
    return from_dict(key, document, kind)


def from_dict(key: str, document: Any, kind: str = "") -> Memento:
    """Read what `to_dict` has made, or raise `MementoError` saying what is wrong."""
    if not isinstance(document, dict):
        raise MementoError(f"a memento is an object, not {type(document).__name__}")
    ours = _typed(document, OURS, dict, None)
    run = _decode(key, document, kind)
    if ours is None:
        return run
    version = ours.get("version")
    if version != VERSION:
        newer = "a newer wfsim" if _is_int(version) and version > VERSION else "no wfsim"
        raise MementoError(
            f"written by {newer}: version {version!r}, this reads {VERSION}"
        )
    return _decode_ours(run, ours)


def _decode(key: str, document: Mapping[str, Any], kind: str) -> Memento:
    name = _typed(document, "flowName", str)
    parts = _KEY.fullmatch(key)
    if parts is None or parts[2] != name:
        raise MementoError(f"the key {key!r} is not <number>-{name}")
    context = _typed(document, "initContext", dict, {})
    items = _typed(document, "runningSteps", list, [])
    steps = tuple(map(_step_from_dict, items))
    reason, error = _reason_and_error(_typed(document, "errorMessage", str, ""))
    return Memento(
        key,
        Key(
            kind,
            _typed(context, "_resourceNameSpace", str, "default"),
            _typed(context, "_resourceName", str, ""),
        ),
        name,
        _status_of(RunStatus, document, "flowStatus"),
        steps,
        freeze(context),
        started=_date(document, "startTime"),
        finished=_date(document, "completeTime"),
        reason=reason,
        error=error,
        retries=_count(document, "retryTimes"),
        cursor=_cursor(steps),
        extra=freeze(_unknown(document, items)),
    )


def _unknown(document: Mapping[str, Any], items: list[Any]) -> dict[str, Any]:
    """Return what other keys there are, those of the steps under ``runningSteps``."""
    others = {k: v for k, v in document.items() if k not in (*_RUN_KEYS, OURS)}
    more = {
        str(index): {k: v for k, v in item.items() if k not in _STEP_KEYS}
        for index, item in enumerate(items)
    }
    more = {index: unknown for index, unknown in more.items() if unknown}
    return others | ({"runningSteps": more} if more else {})


def _step_from_dict(document: Any) -> StepMemento:
    if not isinstance(document, dict):
        raise MementoError(f"a running step is an object, not {_shown(document)}")
    status = _status_of(StepStatus, document, "stepStatus")
    started = _date(document, "stepStartTime")
    finished = _date(document, "lastStepCompleteTime")
    if status in UNDER_WAY and finished == started:
        finished = None
    retries = _count(document, "retryTimes")
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
    for index, (attempts, restarts, started, finished) in _rows(ours, len(steps)):
        steps[index] = steps[index]._replace(
            attempts=attempts,
            restarts=restarts,
            retries=_minus(steps[index].retries, restarts),
            started=started,
            finished=finished,
        )
    for more in _typed(ours, "more", list, []):
        if not isinstance(more, dict):
            raise MementoError(f"{_shown(more)} is not an object")
        index = _index_of(more.get("of"), len(steps))
        steps[index] = _with_more(steps[index], more)
    started, finished = map(_time, _listed(ours.get("times"), 2))
    restarts = _count(ours, "restarts")
    status = _typed(ours, "status", str, "")
    return run._replace(
        status=RunStatus(status) if status in OUR_STATUSES else run.status,
        steps=tuple(steps),
        started=started,
        finished=finished,
        reason=_typed(ours, "reason", str, run.reason),
        error=_typed(ours, "error", str, run.error),
        retries=_minus(run.retries, restarts),
        restarts=restarts,
        cursor=_index_of(ours.get("cursor", 0), max(len(steps), 1)),
        wake=_time(ours.get("wake")),
        entered=_count(ours, "entered", least=-1),
        digest=_typed(ours, "digest", str, ""),
        owner=_typed(ours, "owner", str, ""),
        deadline=_time(ours.get("deadline")),
    )


def _with_more(step: StepMemento, more: Mapping[str, Any]) -> StepMemento:
    cancelled = more.get("status") == StepStatus.CANCELLED
    return step._replace(
        status=StepStatus.CANCELLED if cancelled else step.status,
        operation=_typed(more, "operation", str, ""),
        error=_typed(more, "error", str, ""),
    )


def _rows(ours: Mapping[str, Any], steps: int) -> Iterator[tuple[int, list[Any]]]:
    indices = _typed(ours, "of", list, [])
    rows = _typed(ours, "steps", list, [])
    if len(indices) != len(rows):
        raise MementoError(f"{len(rows)} rows of steps for {len(indices)} indices")
    for at, row in zip(indices, rows, strict=True):
        attempts, restarts, started, finished = _listed(row, 4)
        counts = {"attempts": attempts, "restarts": restarts}
        numbers = [_count(counts, name) for name in counts]
        yield _index_of(at, steps), [*numbers, _time(started), _time(finished)]


def _cursor(steps: tuple[StepMemento, ...]) -> int:
    """Return the step last touched: the one that is not completed, else the last."""
    begun = [i for i, step in enumerate(steps) if step.status is not StepStatus.PREPARED]
    return begun[-1] if begun else 0


def _reason_and_error(text: str) -> tuple[str, str]:
    parts = _INTERRUPT.fullmatch(text)
    return (parts[1], parts[2]) if parts else ("", text)


# -- what the parts of a text may be; everything else raises `MementoError` --------------


def _typed(document: Mapping[str, Any], key: str, kind: type, *default: Any) -> Any:
    """Return the value of *key*, if it is of that *kind* or there is a *default*."""
    value = document.get(key)
    if value is None and default:
        return default[0]
    if not isinstance(value, kind):
        raise MementoError(f"{key} is {_shown(value)}, not {_NAMES[kind]}")
    return value


def _status_of(kind: Any, document: Mapping[str, Any], key: str) -> Any:
    """Return the status of that *kind* that *key* says."""
    try:
        status = kind(_typed(document, key, str))
    except ValueError:
        known = ", ".join(status for status in kind if status not in _OURS)
        raise MementoError(
            f"{key} is {_shown(document[key])}, not one of {known}"
        ) from None
    if status in _OURS:
        raise MementoError(f"{key} is {status.value!r}, which no memento says there")
    return status


def _count(document: Mapping[str, Any], key: str, least: int = 0) -> int:
    """Return the whole number at *key*, *least* if there is none."""
    value = document.get(key)
    if value is None:
        return least
    if not _is_int(value) or not least <= value <= MAX_COUNT:
        raise MementoError(
            f"{key} is {_shown(value)}, not a whole number from {least} to {MAX_COUNT}"
        )
    return int(value)


def _index_of(value: Any, size: int) -> int:
    """Return *value* if it is the index of one of *size* steps."""
    if not _is_int(value) or not 0 <= value < size:
        raise MementoError(f"{_shown(value)} is not one of {size} steps")
    return int(value)


def _listed(value: Any, size: int) -> list[Any]:
    """Return *value* if it is a list of *size*."""
    if not isinstance(value, list) or len(value) != size:
        raise MementoError(f"{_shown(value)} is not a list of {size}")
    return value


def _minus(number: int, part: int) -> int:
    """Return *number* without the *part* of it."""
    if part > number:
        raise MementoError(f"retryTimes is {number}, with {part} restarts in it")
    return number - part


def _time(value: Any) -> float | None:
    """Return *value* if it is None or a time in seconds."""
    if value is None or isinstance(value, float):
        return value
    if not _is_int(value) or abs(value) > _LARGEST:
        raise MementoError(f"{_shown(value)} is not a time in seconds")
    return int(value)


def _date(document: Mapping[str, Any], key: str) -> float | None:
    """Return the seconds that the date at *key* stands for."""
    text = _typed(document, key, str, "")
    if not text:
        return None
    try:
        if not _DATE.fullmatch(text):
            raise ValueError(text)
        return (datetime.fromisoformat(text) - EPOCH) / timedelta(seconds=1)
    except ValueError:
        raise MementoError(
            f"{key} is {_shown(text)}, not a time such as 2026-01-01 00:00:00"
        ) from None


def _is_int(value: Any) -> bool:
    """Whether *value* is a whole number."""
    # To Python true is 1.
    return type(value) is int


def _shown(value: Any) -> str:
    """Return *value* as JSON, cut short."""
    text = json_text.dump(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_NAMES: dict[type, str] = {str: "a string", dict: "an object", list: "a list"}


__all__ = ["EPOCH", "MAX_BYTES", "decode", "encode", "from_dict", "to_dict"]
