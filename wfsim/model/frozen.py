"""JSON values that nobody can change: what a step is given and what it leaves behind.

>>> frozen = freeze({"volume": "pv-7", "tags": ["a", 1]})
>>> frozen["tags"]
('a', 1)
>>> frozen["volume"] = "pv-8"
Traceback (most recent call last):
TypeError: this mapping is immutable; return a new one as the step's output
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

MAX_DEPTH = 40

MAX_INTEGER = int(sys.float_info.max)
"""Readers of JSON that take numbers for floats, such as Go, refuse what is beyond."""


class Frozen(dict[str, Any]):
    """A ``dict`` that refuses changes; it compares and encodes as any ``dict``."""

    __slots__ = ()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(
            "this mapping is immutable; return a new one as the step's output"
        )

    __setitem__ = __delitem__ = clear = pop = popitem = setdefault = update = _refuse
    __ior__ = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return Frozen, (dict(self),)


EMPTY: Mapping[str, Any] = Frozen()


def replacing(cls: Any) -> Any:
    """Return a ``_replace`` for the named tuple *cls* that takes half of the time.

    Measured: 0.5 us for two of nineteen fields; the one it comes with takes 1.0.
    """
    new, at = tuple.__new__, {name: index for index, name in enumerate(cls._fields)}

    def _replace(self: Any, /, **changes: Any) -> Any:
        fields = list(self)
        try:
            for name in changes:
                fields[at[name]] = changes[name]
        except KeyError as error:
            raise ValueError(f"Got unexpected field names: [{error}]") from None
        return new(cls, fields)

    return _replace


def freeze(value: Any) -> Any:
    """Return *value* with every mapping in it a `Frozen` and every list a tuple."""
    if type(value) in _ATOMS:
        return value
    if isinstance(value, (dict, Mapping)):
        atoms = _ATOMS  # most values are: to look here saves a call for each
        return Frozen(
            {
                key: item if type(item) in atoms else freeze(item)
                for key, item in value.items()
            }
        )
    if isinstance(value, (list, tuple)):
        return tuple(freeze(item) for item in value)
    return value


_ATOMS = frozenset({str, int, float, bool, type(None)})


def thaw(value: Any) -> Any:
    """Return a private copy of *value* made of plain dicts and lists."""
    if type(value) in _ATOMS:
        return value
    if isinstance(value, Mapping):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [thaw(item) for item in value]
    return value


def is_json(value: Any, depth: int = MAX_DEPTH) -> bool:
    """Whether JSON can hold *value* as it is, nested *depth* deep at most.

    >>> is_json({"tags": ["a", 1, None]}), is_json({1: "a"}), is_json(float("nan"))
    (True, False, False)
    """
    if value is None or value is EMPTY:
        return True
    if isinstance(value, int):
        return -MAX_INTEGER <= value <= MAX_INTEGER
    if isinstance(value, str):
        # Half a character can be written in JSON, but nowhere else.
        return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, float):
        return math.isfinite(value)
    # A dict first: asking for an abstract class takes longer.
    if depth > 0 and isinstance(value, (dict, Mapping)):
        return all(
            isinstance(key, str) and is_json(key) and is_json(item, depth - 1)
            for key, item in value.items()
        )
    if depth > 0 and isinstance(value, (list, tuple)):
        return all(is_json(item, depth - 1) for item in value)
    return False


def storable(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Return *value* frozen and as a restart would read it back.

    Raises `TypeError` or `UnicodeError` for what JSON cannot hold.

    >>> storable({"ready": True, "ports": [1, 2.0]})
    {'ports': (1, 2.0), 'ready': True}
    """
    kind = type(value)
    if kind is int and not -MAX_INTEGER <= value <= MAX_INTEGER:
        text = f"an integer of {value.bit_length()} bits; numbers go up to 1.8e308"
        raise TypeError(text)
    if kind in _PLAIN or value is EMPTY:
        return value
    # A member of an enum, say, must not be another thing after a restart.
    if isinstance(value, str):
        value.isascii() or value.encode()
        return str.__str__(value)
    if isinstance(value, int):
        return storable(int(value))
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"{value!r} is no JSON number")
        return float(value)
    if not depth:
        raise TypeError(f"it is nested more than {MAX_DEPTH} deep")
    if kind is dict or isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is not a string")
            key.isascii() or key.encode()
        keys = sorted(value)
        return Frozen([(str.__str__(k), storable(value[k], depth - 1)) for k in keys])
    if isinstance(value, (list, tuple)):
        return tuple([storable(item, depth - 1) for item in value])
    raise TypeError(f"{value!r} is a {kind.__name__}")


_PLAIN = frozenset({int, bool, type(None)})
