"""Whether a memento is what its text would say, told without writing the text.

A restart reads every memento back from its text.  For nearly all of them that gives an
equal value, at the price of a third of a millisecond; so it is done only where it could
give anything else.  The rules here are on the safe side: whatever they do not know is
written and read (`tests/model/test_read_back.py` compares the two).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, isfinite
from types import NoneType
from typing import Any

from wfsim.model.frozen import MAX_DEPTH, Frozen
from wfsim.model.memento import Memento, StepMemento, StepStatus
from wfsim.model.memento_json import MAX_BYTES

_LARGEST = 2**63 - 1
_TIME = {float, NoneType}
_HEAD, _ROW = 4096, 512
"""What the fixed parts of a text take at most: those of a run, those of a step."""


def reads_back(run: Memento) -> bool:
    """Whether the text of *run* is sure to be read as *run*, in the same order too."""
    number, _, name = run.key.partition("-")
    context = run.context
    counts = (run.retries, run.restarts, run.cursor, max(run.entered, 0))
    texts = (run.key, run.reason, run.error, run.digest, run.owner)
    times = (run.started, run.finished, run.wake, run.deadline)
    certain = (
        number.isascii()
        and number.isdigit()
        and len(number) <= 9
        and name == run.flow != ""
        and run.digest != ""
        and not run.extra
        and type(run.extra) is Frozen
        and run.cursor < max(len(run.steps), 1)
        and run.entered >= -1
        and _are_counts(counts)
        and {*map(type, times)} <= _TIME
        and type(context.get("_resourceName", "")) is str
        and type(context.get("_resourceNameSpace", "")) is str
        and all(map(_is_certain, run.steps))
    )
    if not certain:
        return False
    size = _HEAD + _most_of((*texts, *times, context), MAX_DEPTH)
    for step in run.steps:
        size += _ROW + _most(step.name, MAX_DEPTH) + _most_of(step[5:], MAX_DEPTH)
    return size <= MAX_BYTES


def _is_certain(step: StepMemento) -> bool:
    counts, times = step[2:5], step[5:7]
    told = step.operation or step.error or step.status is StepStatus.CANCELLED
    return (
        step.name != ""
        and _are_counts(counts)
        and {*map(type, times)} <= _TIME
        # The text has these of a step only if it was begun.
        and not (told and not step.attempts)
    )


def _are_counts(numbers: tuple[Any, ...]) -> bool:
    return {*map(type, numbers)} == {int} and 0 <= min(numbers) <= max(numbers) < 2**62


def _most(value: Any, depth: int) -> float:
    """Return what *value* takes as text at most; infinity if it could be read otherwise.

    A character takes six at most.
    """
    kind = type(value)
    if kind is str:
        # Two halves of a character would be read as a whole one.
        whole = value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)
        return 6 * len(value) + 3 if whole else inf
    if value is None or kind is bool:
        return 6
    if kind is int:
        return 21 if -_LARGEST <= value <= _LARGEST else inf
    if kind is float:
        return 32 if isfinite(value) else inf
    if not depth:
        return inf
    if kind is tuple:
        return _most_of(value, depth - 1)
    if kind is not Frozen or {*map(type, value)} - {str} or [*value] != sorted(value):
        return inf
    return _most_of(value, 1) + _most_of(value.values(), depth - 1)


def _most_of(values: Iterable[Any], depth: int) -> float:
    most: float = 3
    for value in values:
        # Most are these; to look here saves a call for each.
        if value is None:
            most += 6
        elif type(value) is str and value.isascii():
            most += 6 * len(value) + 3
        else:
            most += _most(value, depth)
    return most


__all__ = ["reads_back"]
