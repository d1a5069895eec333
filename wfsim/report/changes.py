"""Changes of a value by one write: the fields that differ, by their path.

A path names fields and keys: ``spec.size`` of a resource, ``steps.Attach.status`` of a
memento.  What is empty is a leaf too; None stands for "not there".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from wfsim.model.memento import Memento, StepMemento
from wfsim.model.resource import Resource

_MISSING: Any = None


class Change(NamedTuple):
    """One value that differs; None stands for "not there"."""

    path: str
    before: Any
    after: Any


def changes(before: Any, after: Any) -> tuple[Change, ...]:
    """Return what differs between two values, in the order of *after*.

    They are resources, mementos, mappings or lists; None is nothing at all.

    >>> changes({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3, "d": ()}})
    (Change(path='b.c', before=2, after=3), Change(path='b.d', before=None, after=()))
    """
    return tuple(_changes(before, after, ""))


def _changes(before: Any, after: Any, path: str) -> Iterator[Change]:
    if before is after:
        return
    old, new = _items(before), _items(after)
    if not old and not new:
        if before != after or type(before) is not type(after):
            yield Change(path, before, after)
        return
    if new is None or old is None:
        # A leaf in the place of what has parts, or the other way round.
        if before is not None and old is None:
            yield Change(path, before, None)
        if after is not None and new is None:
            yield Change(path, None, after)
    old, new = old or {}, new or {}
    for key in dict.fromkeys((*new, *old)):
        inner = f"{path}.{key}" if path else key
        yield from _changes(old.get(key, _MISSING), new.get(key, _MISSING), inner)


def _items(value: Any) -> Mapping[str, Any] | None:
    """Return the parts of *value* by name; None if it has none."""
    if isinstance(value, Memento):
        return value._asdict() | {"steps": {step.name: step for step in value.steps}}
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    if isinstance(value, (Resource, StepMemento)):
        return value._asdict()
    if isinstance(value, (list, tuple)):
        return {str(number): item for number, item in enumerate(value)}
    return None
