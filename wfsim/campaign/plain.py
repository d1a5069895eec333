"""Worlds and resources as plain values, and where two of them differ first."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from fnmatch import fnmatchcase
from typing import Any

from wfsim.sim.clock import VirtualClock
from wfsim.sim.world import World


def plain(value: Any, but: Collection[str] = (), at: str = "") -> Any:
    """Return *value* as mappings in order, lists and what has no parts.

    *but* are dotted paths that are left out, ``*`` in them is any name.
    """
    return _plain(value, but, at, ())


def _plain(value: Any, but: Collection[str], at: str, around: tuple[int, ...]) -> Any:
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    if id(value) in around or (isinstance(value, (World, VirtualClock)) and around):
        return "..."
    around = (*around, id(value))

    def parts(items: Any) -> dict[str, Any]:
        made = {}
        if not but:
            return {str(name): _plain(item, but, at, around) for name, item in items}
        for name, item in items:
            path = f"{at}.{name}" if at else str(name)
            if not any(fnmatchcase(path, pattern) for pattern in but):
                made[str(name)] = _plain(item, but, path, around)
        return made

    if isinstance(value, Mapping):
        return parts(sorted(value.items(), key=lambda item: str(item[0])))
    if hasattr(value, "_fields"):
        return parts(zip(value._fields, value, strict=True))
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(each, but, at, around) for each in value), key=repr)
    if isinstance(value, (list, tuple)):
        return [_plain(each, but, f"{at}.{n}", around) for n, each in enumerate(value)]
    if is_dataclass(value):
        names = [field.name for field in fields(value)]
        return parts((name, getattr(value, name, None)) for name in names)
    if callable(value):
        return getattr(value, "__qualname__", type(value).__name__)
    own = getattr(value, "__dict__", None)
    if own:
        return parts((name, own[name]) for name in sorted(own) if name[0] != "_")
    return str(value)


def difference(now: Any, then: Any, at: str = "") -> tuple[str, str] | None:
    """Return the first path at which *now* is not as *then*, and what is there."""
    if isinstance(now, dict) and isinstance(then, dict):
        for name in sorted({*now, *then}):
            path = f"{at}.{name}" if at else name
            if name not in now:
                return path, f"{_short(then[name])} is missing"
            if name not in then:
                return path, f"{_short(now[name])} is too many"
            if found := difference(now[name], then[name], path):
                return found
        return None
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        for number, (one, other) in enumerate(zip(now, then, strict=True)):
            if found := difference(one, other, f"{at}.{number}"):
                return found
        return None
    return None if now == then else (at, f"{_short(now)}, not {_short(then)}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
