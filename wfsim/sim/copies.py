"""Copies of what a world is made of, in a sixth of the time of `copy.deepcopy`.

>>> there = {"pod": ["rw", {"cpu": 2}]}
>>> twin = copied(there, {})
>>> twin["pod"][1]["cpu"] = 4
>>> there
{'pod': ['rw', {'cpu': 2}]}

Measured: a world of TiUniManager with twenty instances takes 0.08 ms instead of 0.5.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from enum import Enum
from functools import cache
from typing import Any

from wfsim.model.frozen import Frozen

_ATOMS = frozenset({str, int, float, bool, complex, bytes, type(None)})
_NOTHING = object()


def copied(value: Any, known: dict[int, Any]) -> Any:
    """Return a copy of *value* that shares with it only what nobody can change.

    *known* has by its id what is not to be copied but to be replaced; copies are put
    there too, so that what refers to one thing twice does so in the copy.
    """
    kind = type(value)
    if kind in _ATOMS:
        return value
    twin = known.get(id(value), _NOTHING)
    return _copier(kind)(value, known) if twin is _NOTHING else twin  # type: ignore[arg-type]


def _dict(value: dict[Any, Any], known: dict[int, Any]) -> dict[Any, Any]:
    twin = known[id(value)] = type(value)()
    _fill(twin, value, known)
    return twin


def _fill(twin: dict[Any, Any], value: dict[Any, Any], known: dict[int, Any]) -> None:
    atoms = _ATOMS  # most names and values are: to look here saves a call for each
    for name, item in value.items():
        own = name if type(name) in atoms else copied(name, known)
        twin[own] = item if type(item) in atoms else copied(item, known)


def _list(value: list[Any], known: dict[int, Any]) -> list[Any]:
    twin = known[id(value)] = []
    atoms = _ATOMS
    twin += [item if type(item) in atoms else copied(item, known) for item in value]
    return twin


def _set(value: Any, known: dict[int, Any]) -> Any:
    twin = known[id(value)] = type(value)(copied(item, known) for item in value)
    return twin


def _tuple(value: tuple[Any, ...], known: dict[int, Any]) -> tuple[Any, ...]:
    atoms = _ATOMS
    if atoms.issuperset(map(type, value)):
        return value
    parts = [copied(item, known) for item in value]
    # Copied in between, if it is a part of itself.
    twin = known.get(id(value), _NOTHING)
    if twin is _NOTHING:
        same = all(part is item for part, item in zip(parts, value, strict=True))
        twin = value if same else tuple.__new__(type(value), parts)
        known[id(value)] = twin
    return twin  # type: ignore[no-any-return]


def _frozen(value: Frozen, known: dict[int, Any]) -> Frozen:
    parts = {name: copied(item, known) for name, item in value.items()}
    same = all(parts[name] is item for name, item in value.items())
    twin = known[id(value)] = value if same else Frozen(parts)
    return twin


def _object(value: Any, known: dict[int, Any]) -> Any:
    kind = type(value)
    twin = known[id(value)] = object.__new__(kind)
    usual = kind.__getstate__ is object.__getstate__  # type: ignore[comparison-overlap]
    # Not by setattr(): that may be the class's own, and do more.
    _fill(vars(twin), vars(value) if usual else value.__getstate__(), known)
    return twin


def _atom(value: Any, _: dict[int, Any]) -> Any:
    return value


@cache
def _copier(kind: type) -> Callable[[Any, dict[int, Any]], Any]:
    """Return what copies a value of just that *kind*."""
    if issubclass(kind, Enum):
        return _atom
    if kind is Frozen:
        return _frozen
    if kind in (dict, Counter):
        return _dict
    if kind is list:
        return _list
    if kind in (set, frozenset):
        return _set
    special = any(
        getattr(kind, name, None) is not getattr(object, name, None)
        for name in ("__deepcopy__", "__reduce_ex__", "__reduce__", "__setstate__")
    )
    if special:
        return copy.deepcopy
    if kind is tuple or (issubclass(kind, tuple) and hasattr(kind, "_fields")):
        return _tuple
    slots = any("__slots__" in vars(each) for each in kind.__mro__[:-1])
    plain = kind.__new__ is object.__new__ and kind.__dictoffset__ != 0 and not slots
    return _object if plain else copy.deepcopy
