"""What the parts of a memento's text may be; everything else raises `MementoError`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from wfsim.errors import MementoError
from wfsim.model import json_text
from wfsim.model.memento import OURS, StepStatus

EPOCH = datetime(2026, 1, 1)
"""What virtual second 0 is called in a memento's text."""

_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{3})?", re.ASCII)
_LARGEST = 2**63 - 1
_OURS = (*OURS, StepStatus.CANCELLED)


def typed(document: Mapping[str, Any], key: str, kind: type, *default: Any) -> Any:
    """Return the value of *key*, if it is of that *kind* or there is a *default*."""
    value = document.get(key)
    if value is None and default:
        return default[0]
    if not isinstance(value, kind):
        raise MementoError(f"{key} is {shown(value)}, not {_NAMES[kind]}")
    return value


def status_of(kind: Any, document: Mapping[str, Any], key: str) -> Any:
    """Return the status of that *kind* that *key* says."""
    try:
        status = kind(typed(document, key, str))
    except ValueError:
        known = ", ".join(status for status in kind if status not in _OURS)
        raise MementoError(
            f"{key} is {shown(document[key])}, not one of {known}"
        ) from None
    if status in _OURS:
        raise MementoError(f"{key} is {status.value!r}, which no memento says there")
    return status


def count(document: Mapping[str, Any], key: str, least: int = 0) -> int:
    """Return the whole number at *key*, *least* if there is none."""
    value = document.get(key)
    if value is None:
        return least
    if not is_int(value) or not least <= value <= _LARGEST:
        raise MementoError(f"{key} is {shown(value)}, not a whole number from {least} on")
    return int(value)


def index_of(value: Any, size: int) -> int:
    """Return *value* if it is the index of one of *size* steps."""
    if not is_int(value) or not 0 <= value < size:
        raise MementoError(f"{shown(value)} is not one of {size} steps")
    return int(value)


def listed(value: Any, size: int) -> list[Any]:
    """Return *value* if it is a list of *size*."""
    if not isinstance(value, list) or len(value) != size:
        raise MementoError(f"{shown(value)} is not a list of {size}")
    return value


def less(number: int, part: int) -> int:
    """Return *number* without the *part* of it."""
    if part > number:
        raise MementoError(f"retryTimes is {number}, with {part} restarts in it")
    return number - part


def time(value: Any) -> float | None:
    """Return *value* if it is None or a time in seconds."""
    if value is None or isinstance(value, float):
        return value
    if not is_int(value) or abs(value) > _LARGEST:
        raise MementoError(f"{shown(value)} is not a time in seconds")
    return int(value)


def date(document: Mapping[str, Any], key: str) -> float | None:
    """Return the seconds that the date at *key* stands for."""
    text = typed(document, key, str, "")
    if not text:
        return None
    try:
        if not _DATE.fullmatch(text):
            raise ValueError(text)
        return (datetime.fromisoformat(text) - EPOCH) / timedelta(seconds=1)
    except ValueError:
        raise MementoError(
            f"{key} is {shown(text)}, not a time such as 2026-01-01 00:00:00"
        ) from None


def is_int(value: Any) -> bool:
    """Whether *value* is a whole number."""
    # To Python true is 1.
    return type(value) is int


def shown(value: Any) -> str:
    """Return *value* as JSON, cut short."""
    text = json_text.dump(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_NAMES: dict[type, str] = {str: "a string", dict: "an object", list: "a list"}
