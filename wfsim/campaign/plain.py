"""Worlds and resources as plain values, and where two of them differ first."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from fnmatch import translate
from functools import cache, lru_cache
from typing import Any

from wfsim.sim.clock import VirtualClock
from wfsim.sim.world import World

_ATOMS = frozenset({str, int, float, bool, type(None)})


class _Paths(dict[str, bool]):
    """Whether a dotted path is one of those left out, worked out once for each."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        super().__init__()
        self._match = re.compile("|".join(map(translate, patterns))).match

    def __missing__(self, path: str) -> bool:
        hit = self[path] = self._match(path) is not None
        return hit


@lru_cache(maxsize=64)
def _paths(patterns: tuple[str, ...], at: str) -> _Paths | None:
    """Return those that are at or below *at*; None if there are none."""
    first = at.partition(".")[0]
    heads = [pattern.partition(".")[0] for pattern in patterns]
    near = tuple(
        pattern
        for pattern, head in zip(patterns, heads, strict=True)
        if not first or head == first or not head.isidentifier()
    )
    return _Paths(near) if near else None


def plain(value: Any, but: Collection[str] = (), at: str = "") -> Any:
    """Return *value* as mappings in order, lists and what has no parts.

    *but* are dotted paths that are left out, ``*`` in them is any name.
    """
    if type(value) in _ATOMS:
        return value
    paths = _paths(tuple(but), at) if but else None
    return _form(type(value))(value, paths, tuple(but), at, {})  # type: ignore[arg-type]


def _part(
    value: Any, paths: _Paths | None, but: tuple[str, ...], at: str, around: Any
) -> Any:
    kind = type(value)
    if kind in _ATOMS:
        return value
    return _form(kind)(value, paths, but, at, around)  # type: ignore[arg-type]


def _parts(
    value: Any,
    items: Iterable[tuple[Any, Any]],
    paths: _Paths | None,
    but: tuple[str, ...],
    at: str,
    around: dict[int, None],
) -> Any:
    if id(value) in around:
        return "..."
    around[id(value)] = None
    atoms, made = _ATOMS, {}
    for name, item in items:
        path, below = "", paths
        if paths is not None:
            path = f"{at}.{name}" if at else str(name)
            if paths[path]:
                continue
            if not at:
                below = _paths(but, path)
        made[name if type(name) is str else str(name)] = (
            item
            if type(item) in atoms
            else _form(type(item))(item, below, but, path, around)  # type: ignore[arg-type]
        )
    del around[id(value)]
    return made


def _name(item: tuple[Any, Any]) -> str:
    name = item[0]
    return name if type(name) is str else str(name)


def _of_mapping(value: Mapping[Any, Any], *rest: Any) -> Any:
    return _parts(value, sorted(value.items(), key=_name), *rest)


def _of_named(value: Any, *rest: Any) -> Any:
    return _parts(value, zip(value._fields, value, strict=True), *rest)


def _of_set(value: Any, paths: Any, but: Any, at: str, around: Any) -> Any:
    return sorted((_part(each, paths, but, at, around) for each in value), key=repr)


def _of_list(value: Any, paths: Any, but: Any, at: str, around: Any) -> Any:
    if id(value) in around:
        return "..."
    around[id(value)] = None
    if paths is None:
        atoms = _ATOMS
        made = [
            it if type(it) in atoms else _form(type(it))(it, None, but, "", around)  # type: ignore[arg-type]
            for it in value
        ]
    else:
        made = [
            _part(each, paths, but, f"{at}.{number}", around)
            for number, each in enumerate(value)
        ]
    del around[id(value)]
    return made


def _of_dataclass(value: Any, *rest: Any) -> Any:
    names = _fields(type(value))  # type: ignore[arg-type]
    return _parts(value, [(name, getattr(value, name, None)) for name in names], *rest)


@cache
def _fields(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _of_world(value: Any, paths: Any, but: Any, at: str, around: Any) -> Any:
    if around:
        return "..."
    return _of_object(value, paths, but, at, around)


def _of_object(value: Any, *rest: Any) -> Any:
    own = getattr(value, "__dict__", None)
    if not own:
        return str(value)
    return _parts(
        value, [(name, own[name]) for name in sorted(own) if name[0] != "_"], *rest
    )


def _of_function(value: Any, *_: Any) -> Any:
    return getattr(value, "__qualname__", type(value).__name__)


def _as_it_is(value: Any, *_: Any) -> Any:
    return value


@cache
def _form(kind: type) -> Callable[..., Any]:
    """Return what makes a plain value of one of just that *kind*."""
    if issubclass(kind, (str, int, float, type(None))):
        return _as_it_is
    if issubclass(kind, (World, VirtualClock)):
        return _of_world
    if issubclass(kind, Mapping):
        return _of_mapping
    if hasattr(kind, "_fields"):
        return _of_named
    if issubclass(kind, (set, frozenset)):
        return _of_set
    if issubclass(kind, (list, tuple)):
        return _of_list
    if is_dataclass(kind):
        return _of_dataclass
    if issubclass(kind, Enum):
        return lambda value, *_: str(value)
    if issubclass(kind, type) or "__call__" in dir(kind):
        return _of_function
    return _of_object


def difference(now: Any, then: Any, at: str = "") -> tuple[str, str] | None:
    """Return the first path at which *now* is not as *then*, and what is there."""
    if isinstance(now, dict) and isinstance(then, dict):
        for name in sorted({*now, *then}):
            path = f"{at}.{name}" if at else name
            if name not in now:
                return path, f"{glimpse(then[name])} is missing"
            if name not in then:
                return path, f"{glimpse(now[name])} is too many"
            if found := difference(now[name], then[name], path):
                return found
        return None
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        for number, (one, other) in enumerate(zip(now, then, strict=True)):
            if found := difference(one, other, f"{at}.{number}"):
                return found
        return None
    return None if now == then else (at, f"{glimpse(now)}, not {glimpse(then)}")


def glimpse(value: Any) -> str:
    """Return what *value* is, in 60 characters at most."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
