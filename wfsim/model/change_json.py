"""The text of a change: what an entry of a journal is in a file, both ways.

A change is written as its name and an object of its fields, and read back equal to what
it was.  Whose it is, a resource or a run of one, is not in the text: who keeps it knows.

>>> encode(Wait(2, wake=9.5))
('Wait', '{"index":2,"wake":9.5}')
>>> decode("Start", '{"index":2}', Key("db", "default", "orders"), "1-Build")
Start(index=2)
>>> decode("Start", '{"index":-2}', Key("db", "default", "orders"), "1-Build")
Traceback (most recent call last):
ValueError: index is -2, not a whole number from 0 on
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from types import NoneType
from typing import Any, get_type_hints

from wfsim.errors import MementoError
from wfsim.model import json_text, memento_json
from wfsim.model.frozen import MAX_DEPTH, freeze, is_json
from wfsim.model.journal import Create, Delete, Edit, Move, Prune, Quarantine
from wfsim.model.memento import Memento, Quarantined, StepStatus
from wfsim.model.resource import Key, Resource
from wfsim.model.run import (
    Adopt,
    Adoption,
    Begin,
    CancelRun,
    Cause,
    Close,
    Complete,
    CompleteRun,
    Fail,
    FailRun,
    Interrupt,
    Late,
    Launch,
    Recover,
    Start,
    Supersede,
    Wait,
)

OF_RUNS: tuple[Any, ...] = (
    Begin, Adopt, Late, Recover, CompleteRun, FailRun, CancelRun, Supersede, Interrupt,
    Start, Complete, Launch, Wait, Fail, Close,
)  # fmt: skip
OF_OTHERS: tuple[Any, ...] = (Create, Move, Edit, Delete, Prune, Quarantine)

_LARGEST = 2**63 - 1


def encode(change: Any) -> tuple[str, str]:
    """Return the name of *change* and the text of its fields, an object on one line.

    What a resource was before is in the entry before.  Raises `TypeError` or
    `ValueError` for what JSON cannot hold.
    """
    return type(change).__name__, json_text.dump(_document(change))


def decode(
    name: str, text: str, key: Key, run: str = "", before: Resource | None = None
) -> Any:
    """Return the change of that *name*, of the resource or of one *run* of it.

    *before* is what the resource was.  Raises `ValueError` saying what is wrong.
    """
    document = json_text.load(text)
    try:
        return _change(name, document, key, run, before)
    except MementoError as error:
        raise ValueError(str(error)) from error


def read_memento(text: str, key: Key, run: str) -> Memento:
    """Return the memento that *text* describes, or raise `ValueError`."""
    try:
        return _memento("memento", json_text.load(text), key, run)
    except MementoError as error:
        raise ValueError(str(error)) from error


def read_resource(text: str, key: Key) -> Resource:
    """Return the resource that *text* describes, or raise `ValueError`."""
    return _resource(json_text.load(text), key)


def _document(change: Any) -> dict[str, Any]:
    match change:
        case Begin(memento=memento):
            return memento_json.to_dict(memento)
        case Create(after=after) | Move(after=after) | Edit(after=after):
            return _of_resource(after)
        case Delete() | Prune():
            return {}
        case Quarantine(entry=entry):
            return {"text": entry.text, "reason": entry.reason}
    return {name: _written(getattr(change, name)) for name in _readers(change.__class__)}


def _written(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Adoption):
        return {name: _written(part) for name, part in value._asdict().items()}
    if isinstance(value, Memento):
        return memento_json.to_dict(value)
    if type(value) in _BY_NAME.values():
        return [type(value).__name__, _document(value)]
    return value


def _change(name: str, document: Any, key: Key, run: str, before: Resource | None) -> Any:
    cls = _BY_NAME.get(name)
    if cls is None:
        raise ValueError(f"{name[:40]!r} is no change that this wfsim knows")
    if cls is Begin:
        return Begin(_memento("memento", document, key, run))
    if cls is Create:
        return Create(_resource(document, key))
    if cls in (Move, Edit, Delete):
        if before is None:
            raise ValueError(f"{name} of a resource that was not there")
        if cls is Delete:
            _exactly((), document)
            return Delete(before)
        return cls(before, _resource(document, key))
    if cls is Prune:
        _exactly((), document)
        return Prune(key, run)
    if cls is Quarantine:
        fields = _exactly(("text", "reason"), document)
        text, reason = (_text(name, value, key, run) for name, value in fields.items())
        return Quarantine(Quarantined(run, key, text, reason))
    return cls(**_read(_readers(cls), document, key, run))


def _read(
    readers: Mapping[str, _Reader], document: Any, key: Key, run: str
) -> dict[str, Any]:
    fields = _exactly(readers, document)
    return {name: readers[name](name, fields[name], key, run) for name in readers}


def _exactly(names: Any, document: Any) -> dict[str, Any]:
    """Return *document* if it is an object of those names and no others."""
    if not isinstance(document, dict) or document.keys() != set(names):
        raise ValueError(f"not an object with {', '.join(names) or 'nothing in it'}")
    return document


# -- what a field may be ---------------------------------------------------------------

_Reader = Callable[[str, Any, Key, str], Any]


def _count(name: str, value: Any, _key: Key, _run: str, least: int = 0) -> int:
    if type(value) is not int or not least <= value <= _LARGEST:
        raise ValueError(f"{name} is {_cut(value)}, not a whole number from {least} on")
    return value


def _entered(name: str, value: Any, key: Key, run: str) -> int:
    return _count(name, value, key, run, -1)


def _time(name: str, value: Any, _key: Key, _run: str) -> float:
    # To Python true is 1.
    if type(value) is not float and (type(value) is not int or abs(value) > _LARGEST):
        raise ValueError(f"{name} is {_cut(value)}, not a time in seconds")
    return value


def _text(name: str, value: Any, _key: Key, _run: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is {_cut(value)}, not a string")
    return value


def _flag(name: str, value: Any, _key: Key, _run: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {_cut(value)}, not true or false")
    return value


def _object(name: str, value: Any, _key: Key, _run: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {_cut(value)}, not an object")
    return freeze(value)  # type: ignore[no-any-return]


def _indices(name: str, value: Any, key: Key, run: str) -> frozenset[int]:
    if not isinstance(value, list):
        raise ValueError(f"{name} is {_cut(value)}, not a list")
    return frozenset(_count(name, item, key, run) for item in value)


def _one_of(kind: type[Cause | StepStatus]) -> _Reader:
    def read(name: str, value: Any, _key: Key, _run: str) -> Any:
        try:
            return kind(value)
        except ValueError:
            known = ", ".join(each.value or "nothing" for each in kind)
            raise ValueError(f"{name} is {_cut(value)}, not one of {known}") from None

    return read


def _memento(_name: str, value: Any, key: Key, run: str) -> Memento:
    read = memento_json.from_dict(run, value, key.kind)
    return read._replace(resource=key)


def _adoption(name: str, value: Any, key: Key, run: str) -> Adoption:
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {_cut(value)}, not an object")
    return Adoption(**_read(_readers(Adoption), value, key, run))


def _nested(name: str, value: Any, key: Key, run: str) -> Any:
    match value:
        case [str(cls), document] if _BY_NAME.get(cls) in OF_RUNS:
            return _change(cls, document, key, run, None)
    raise ValueError(f"{name} is {_cut(value)}, not a change of a run")


def _or_none(read: _Reader) -> _Reader:
    def read_if_any(name: str, value: Any, key: Key, run: str) -> Any:
        return None if value is None else read(name, value, key, run)

    return read_if_any


_OF_TYPE: dict[Any, _Reader] = {
    Any: _nested,
    Adoption: _adoption,
    Cause: _one_of(Cause),
    Mapping[str, Any]: _object,
    Mapping[str, Any] | None: _or_none(_object),
    Memento | None: _or_none(_memento),
    StepStatus: _one_of(StepStatus),
    bool: _flag,
    float: _time,
    float | None: _or_none(_time),
    frozenset[int]: _indices,
    int: _count,
    int | None: _or_none(_entered),
    str: _text,
}


@cache
def _readers(cls: Any) -> dict[str, _Reader]:
    """Return how each field of *cls* is read, by its annotation."""
    hints = get_type_hints(cls)
    if cls is Adoption:
        named = {name: _OF_TYPE[hints[name]] for name in Adoption._fields}
        return named | {"entered": _entered}
    return {each.name: _OF_TYPE[hints[each.name]] for each in fields(cls)}


_BY_NAME: dict[str, Any] = {cls.__name__: cls for cls in (*OF_RUNS, *OF_OTHERS)}


def _cut(value: Any) -> str:
    text = json_text.dump(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


# -- resources -------------------------------------------------------------------------

_FIELDS: dict[str, Any] = {
    "state": str,
    "spec": dict,
    "status": dict,
    "annotations": dict,
    "finalizers": list,
    "deleted": (float, int, NoneType),
    "event": str,
    "uid": str,
    "revision": int,
    "entered": int,
}


def _of_resource(resource: Resource) -> dict[str, Any]:
    document = {name: getattr(resource, name) for name in _FIELDS}
    if not is_json(document, MAX_DEPTH + 1):
        raise TypeError("it holds what JSON cannot")
    return document


def _resource(document: Any, key: Key) -> Resource:
    _exactly(_FIELDS, document)
    for name, kind in _FIELDS.items():
        value = document[name]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"{name} is {_cut(value)}")
    if not all(isinstance(value, str) for value in document["annotations"].values()):
        raise ValueError("an annotation is not a string")
    if not all(isinstance(name, str) for name in document["finalizers"]):
        raise ValueError("a finalizer is not a string")
    return Resource(key.kind, key.name, key.namespace, **freeze(document))
