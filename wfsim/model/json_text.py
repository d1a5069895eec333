r"""JSON as text, checked on the way in, on one line on the way out.

>>> dump({"a": "<&>", "b": [1e-7, 3.0, 3, None]})
'{"a":"<&>","b":[1e-07,3.0,3,null]}'
>>> dump_as_go({"a": "<&>", "b": [1e-7, 3.0, 3, None]})
'{"a":"\\u003c\\u0026\\u003e","b":[1e-7,3.0,3,null]}'
>>> load("[1e999]")
Traceback (most recent call last):
ValueError: 1e999 is beyond the range of numbers
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NoReturn

MAX_DEPTH = 100


def load(text: str | bytes) -> Any:
    """Return the value that *text* describes, or raise `ValueError`."""
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError(f"nested more than {MAX_DEPTH} deep") from None
    if isinstance(value, (dict, list)) and _is_deep(value):
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    return value


_encode = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False
).encode


def dump(value: Any) -> str:
    """Return *value* on one line that any reader of UTF-8 takes as one."""
    text = _encode(value)
    # Nearly all text is ASCII, which a string knows of itself.
    return text if text.isascii() else _BREAKS.sub(_escape, text)


def dump_as_go(value: Any) -> str:
    """Return *value* as Go's encoder does, but a float never looks like an integer."""
    text = _encode(value)
    if _EXPONENT.search(text):
        text = _dump(value)
    return _ODD.sub(_escape, text) if _ODD.search(text) else text


def _dump(value: Any) -> str:
    """As `_encode`, but with floats as Go writes them."""
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, Mapping):
        items = [f"{_encode(key)}:{_dump(item)}" for key, item in value.items()]
        return f"{{{','.join(items)}}}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join([_dump(item) for item in value])}]"
    return _encode(value)


_EXPONENT = re.compile("[0-9]e[-+]")
# Half a character (a lone surrogate) has no place in a file, so it is escaped too.
_BREAKS = re.compile("[\u2028\u2029\ud800-\udfff]")
_ODD = re.compile("\\\\.|[<>&\u2028\u2029\ud800-\udfff]")


def _escape(match: re.Match[str]) -> str:
    text = match[0]
    if text[0] == "\\":
        return {"\\b": "\\u0008", "\\f": "\\u000c"}.get(text, text)
    return f"\\u{ord(text):04x}"


def _float(number: float) -> str:
    # Go turns to exponents below 1e-6 and from 1e21 on, Python sooner.
    text = repr(number)
    if "e" not in text:
        return text
    if 1e-6 <= abs(number) < 1e21:
        plain = format(Decimal(text), "f")
        return plain if "." in plain else f"{plain}.0"
    return text.replace("e-0", "e-")


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for item in level
            for inner in (item.values() if isinstance(item, dict) else item)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(number: str | float) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{str(number)[:40]} is beyond the range of numbers")
    return value
