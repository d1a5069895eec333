"""What a step returns, as a restart would read it back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from wfsim.model.frozen import EMPTY, MAX_DEPTH, Frozen


def storable(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Return *value* frozen and as a restart would read it back.

    Raises `TypeError` or `UnicodeError` for what JSON cannot hold.

    >>> storable({"ready": True, "ports": [1, 2.0]})
    {'ports': (1, 2.0), 'ready': True}
    """
    kind = type(value)
    if kind in _PLAIN or value is EMPTY:
        return value
    # A member of an enum, say, must not be another thing after a restart.
    if isinstance(value, str):
        value.isascii() or value.encode()
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
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
