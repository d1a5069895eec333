"""A world as text: all of it that is plain values, and what is pending.

>>> class Depot(World):
...     disks = None
>>> depot = Depot()
>>> depot.disks = {"sda": (1, 2.0)}
>>> dump(depot)
'{"pending":[],"numbers":0,"state":{"disks":{"sda":{"$":"tuple","of":[1,2.0]}}}}'
>>> load(dump(depot), Depot()).disks
{'sda': (1, 2.0)}
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from wfsim.errors import DefinitionError, UsageError
from wfsim.model import json_text
from wfsim.model.frozen import Frozen, is_json
from wfsim.sim.world import Completion, World

W = TypeVar("W", bound=World)

_TAG, _OF = "$", "of"
_PLAIN = (bool, int, type(None))
_MAPPINGS: dict[str, Callable[[Any], Any]] = {
    kind.__name__: kind for kind in (dict, Counter, Frozen)
}
_SERIES: dict[str, Callable[[Any], Any]] = {
    kind.__name__: kind for kind in (tuple, set, frozenset)
}


def dump(world: World) -> str:
    """Return the public attributes of *world* as text, as far as they are plain values.

    Those are JSON values, tuples, sets, counters, dataclasses and enums of a module.
    An attribute that holds anything else is left out.  Raises `UsageError` if something
    else is among the arguments of what is pending.
    """
    state = {}
    for name, value in vars(world).items():
        if name[0] != "_" and name != "pending":
            try:
                state[name] = _encoded(value)
            except _NotPlain:
                continue
    try:
        pending = [[*item[:3], _encoded(item.args)] for item in world.pending]
    except _NotPlain as odd:
        raise UsageError(
            f"something is pending in the world with {odd.args[0]!r}; a world that a "
            "file is to keep has plain values only"
        ) from None
    return json_text.dump({"pending": pending, "numbers": world._numbers, "state": state})


def load(text: str, world: W) -> W:
    """Return *world*, which is new, with all that *text* tells of.

    Raises `DefinitionError` if it is the text of another world.
    """
    package = type(world).__module__.partition(".")[0]
    try:
        document = json_text.load(text)
        state = {name: _decoded(it, package) for name, it in document["state"].items()}
        pending = [
            Completion(due, number, action, _decoded(args, package))
            for due, number, action, args in document["pending"]
        ]
        if any(name[0] == "_" for name in state):
            raise ValueError("an attribute is private")
        for item in pending:
            if not callable(getattr(world, item.action, None)) or item.action[0] == "_":
                raise ValueError(f"no method {item.action!r}")
        numbers = int(document["numbers"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DefinitionError(
            f"what is kept is no {type(world).__name__}: {error}; give another file"
        ) from None
    vars(world).update(state)
    world.pending, world._numbers = pending, numbers
    return world


class _NotPlain(Exception):
    """A value that is of no kind that is kept."""


def _encoded(value: Any) -> Any:
    kind: Any = type(value)
    if kind in _PLAIN or (kind is str and value.isascii()):
        return value
    if kind is list:
        return [_encoded(item) for item in value]
    if kind is dict and _TAG not in value and all(type(key) is str for key in value):
        return {key: _encoded(item) for key, item in value.items()}
    if kind in (str, float):
        return _encoded_odd(value)
    name = kind.__name__
    if name in _MAPPINGS and kind is _MAPPINGS[name]:
        pairs = [[_encoded(key), _encoded(item)] for key, item in value.items()]
        return {_TAG: name, _OF: pairs}
    if name in _SERIES and kind is _SERIES[name]:
        return {_TAG: name, _OF: [_encoded(item) for item in value]}
    tag, names = _shape(kind)
    if not tag:
        raise _NotPlain(value)
    if names is None:
        return {_TAG: tag, _OF: _encoded(value.value)}
    return {_TAG: tag, _OF: {name: _encoded(getattr(value, name)) for name in names}}


def _encoded_odd(value: str | float) -> Any:
    if isinstance(value, str):
        if not is_json(value):  # half a character
            raise _NotPlain(value)
        return value
    odd = value - value != 0.0
    return {_TAG: "float", _OF: repr(value)} if odd else value


@cache
def _shape(kind: Any) -> tuple[str, tuple[str, ...] | None]:
    """Return where another process finds *kind*, and its fields, None for an enum.

    That is "" if it would not find it, and if it is neither enum nor dataclass.
    """
    names = None
    if is_dataclass(kind):
        names = tuple(item.name for item in fields(kind))
    elif not issubclass(kind, Enum):
        return "", None
    there = _found(kind.__module__, kind.__qualname__) is kind
    return (f"{kind.__module__}:{kind.__qualname__}" if there else "", names)


def _found(module: str, name: str) -> Any:
    value: Any = sys.modules.get(module)
    for part in name.split("."):
        value = getattr(value, part, None)
    return value


def _decoded(value: Any, package: str) -> Any:
    if isinstance(value, list):
        return [_decoded(item, package) for item in value]
    if not isinstance(value, dict):
        return value
    if _TAG not in value:
        return {key: _decoded(item, package) for key, item in value.items()}
    name, inner = value[_TAG], _decoded(value[_OF], package)
    if name == "float":
        return float(inner)
    if name in _MAPPINGS:
        return _MAPPINGS[name](dict(inner))
    if name in _SERIES:
        return _SERIES[name](inner)
    return _made(name, inner, package)


def _made(tag: str, values: Any, package: str) -> Any:
    """Return the enum member or dataclass instance that *values* describes.

    Only those of the world's own *package*, and only where they are loaded already: a
    file is to give values, not to choose what code is run.
    """
    module, _, name = tag.partition(":")
    kind = _found(module, name) if module.partition(".")[0] == package else None
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(values)
    if not (
        isinstance(kind, type) and is_dataclass(kind) and isinstance(values, Mapping)
    ):
        raise ValueError(f"{tag!r} is nothing that it may hold")
    given = {item.name: values[item.name] for item in fields(kind) if item.init}
    instance = kind(**given)
    for item in fields(kind):
        if not item.init:
            object.__setattr__(instance, item.name, values[item.name])
    return instance


__all__ = ["dump", "load"]
