"""A log as JSON Lines: a head, then one record a line, with what changed in its value.

The first value of a resource or run is told whole, each later one as the fields that
differ from the one before; of the steps of a run, those that differ, by their index.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import NoneType
from typing import Any, TypeAlias, TypeVar

from wfsim.errors import DefinitionError
from wfsim.model import json_text
from wfsim.model.frozen import freeze
from wfsim.model.memento import Memento, RunStatus, StepMemento
from wfsim.model.record import Kind, PoolState, Record
from wfsim.model.resource import Key, Resource

FORMAT = "wfsim-log"
VERSION = 1

Value: TypeAlias = Memento | Resource
V = TypeVar("V", Memento, Resource, StepMemento)
Known: TypeAlias = dict[tuple[str, ...], Value]

_TEXTS = ("resource", "run", "flow", "step", "text")
_AFTERWARDS = ("cause", "controller", "before")
_NO_STEP = StepMemento("")
_NO_RUN = Memento("", Key("", "", ""), "", RunStatus.PREPARED, ())
_NO_RESOURCE = Resource("", "")


def lines(records: Sequence[Record], meta: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of *records*, the head first."""
    head = {"format": FORMAT, "version": VERSION, "records": len(records)}
    yield json_text.dump(head | {"meta": meta})
    known: Known = {}
    for record in records:
        yield json_text.dump(_row(record, known))


def _row(record: Record, known: Known) -> dict[str, Any]:
    (
        seq, time, kind, resource, run, flow, step, attempt, text, value,
        cause, limit, controller, token, left,
    ) = record  # fmt: skip
    row: dict[str, Any] = {"seq": seq, "time": float(time), "kind": kind.value}
    if resource:
        row["resource"] = resource
    if run:
        row["run"] = run
    if flow:
        row["flow"] = flow
    if step:
        row["step"] = step
    if attempt:
        row["attempt"] = attempt
    if text:
        row["text"] = text
    if isinstance(value, Memento):
        before = known.get((resource, run), _NO_RUN)
        assert isinstance(before, Memento)
        row["memento"] = _changes(before, value)
        known[resource, run] = value
    elif isinstance(value, Resource):
        before = known.get((resource,), _NO_RESOURCE)
        row["object"] = _changes(before, value)
        known[resource,] = value
    elif isinstance(value, PoolState):
        row["pool"] = value._asdict()
    if left:
        row["before"] = left
    if cause:
        row["cause"] = str(cause)
    if limit is not None:
        row["limit"] = limit
    if controller:
        row["controller"] = controller
    if token:
        row["token"] = token
    return row


def _changes(before: Any, after: Any) -> dict[str, Any]:
    """Return the fields of *after* that are not as in *before*."""
    return {
        name: _steps(old, new) if name == "steps" else new
        for name, old, new in zip(after._fields, before, after, strict=True)
        if new is not old and not _same(old, new)
    }


def _steps(before: tuple[StepMemento, ...], after: tuple[StepMemento, ...]) -> Any:
    if len(before) != len(after):
        return [_changes(_NO_STEP, step) for step in after]
    return {
        str(index): _changes(old, new)
        for index, (old, new) in enumerate(zip(before, after, strict=True))
        if new is not old and not _same(old, new)
    }


def _same(old: Any, new: Any) -> bool:
    if old != new:
        return False
    # To Python 1 == 1.0 == True; to whoever reads the JSON they are three things.
    if isinstance(new, (Mapping, tuple)):
        return not new or json_text.dump(old) == json_text.dump(new)
    return isinstance(new, str) or type(old) is type(new)


def read(file: Iterable[bytes], name: str) -> tuple[list[Record], Any]:
    """Return the records and the meta data in *file*, which is called *name*.

    Raises `DefinitionError` naming the first line that cannot be read.
    """
    records: list[Record] = []
    known: Known = {}
    meta: Any = None
    count, number = 0, 0
    for number, line in enumerate(file, start=1):
        try:
            row = json_text.load(line.decode())
            if number == 1:
                count, meta = _head(row)
            else:
                last = records[-1] if records else None
                records.append(_record(row, known, last))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            text = " ".join(str(error).split())
            raise DefinitionError(
                f"{name}:{number}: not a line of a wfsim log: {text[:200]}; "
                "write it again with to_jsonl()"
            ) from None
    if len(records) != count or not number:
        raise DefinitionError(
            f"{name}:{max(number, 1)}: {len(records)} of {count} records; "
            "the file was cut short, or lines were taken out"
        )
    return records, meta


def _head(row: Any) -> tuple[int, Any]:
    if not isinstance(row, dict) or row.get("format") != FORMAT:
        raise ValueError(f"the head has no format {FORMAT!r}")
    if row.get("version") != VERSION:
        raise ValueError(f"it has version {row.get('version')!r}, not {VERSION}")
    if not isinstance(row["meta"], dict):
        raise ValueError("meta is not an object")
    return _of(int, row["records"], "records"), row["meta"]


def _record(row: Any, known: Known, last: Record | None) -> Record:
    if not isinstance(row, dict):
        raise ValueError("it is not an object")
    row = dict(row)
    seq, time = row.pop("seq"), float(_of((int, float), row.pop("time"), "time"))
    kind, attempt = Kind(row.pop("kind")), _of(int, row.pop("attempt", 0), "attempt")
    texts = [_of(str, row.pop(name, ""), name) for name in _TEXTS]
    if last is not None and (_of(int, seq, "seq") <= last.seq or time < last.time):
        raise ValueError(f"record {seq} at {time:g} s cannot follow {last.seq}")
    cause, controller, left = (_of(str, row.pop(name, ""), name) for name in _AFTERWARDS)
    limit, token = row.pop("limit", None), _of(int, row.pop("token", 0), "token")
    if limit is not None:
        limit = float(_of((int, float), limit, "limit"))
    value: Value | PoolState | None = None
    if "memento" in row:
        run = known.get((texts[0], texts[1]), _NO_RUN)
        assert isinstance(run, Memento)
        value = known[texts[0], texts[1]] = _changed(run, row.pop("memento"))
    elif "object" in row:
        resource = known.get((texts[0],), _NO_RESOURCE)
        assert isinstance(resource, Resource)
        value = known[texts[0],] = _changed(resource, row.pop("object"))
    elif "pool" in row:
        value = _pool(row.pop("pool"))
    if row:
        raise ValueError(f"unknown key {next(iter(row))!r}")
    resource_name, run_key, flow, step, text = texts
    return Record(
        seq, time, kind, resource_name, run_key, flow, step, attempt, text, value,
        cause, limit, controller, token, left,
    )  # fmt: skip


def _pool(row: Any) -> PoolState:
    fields = dict(_of(dict, row, "pool"))
    name = _of(str, fields.pop("name"), "name")
    counts = [_of(int, fields.pop(key), key) for key in PoolState._fields[1:]]
    if fields:
        raise ValueError(f"unknown field {next(iter(fields))!r}")
    return PoolState(name, *counts)


def _changed(before: V, changes: Any) -> V:
    """Return *before* with the fields that *changes* names."""
    fields: dict[str, Any] = {}
    for name, value in _of(dict, changes, "a value").items():
        if name not in before._fields:
            raise ValueError(f"unknown field {name!r}")
        if name == "steps":
            assert isinstance(before, Memento)
            fields[name] = _changed_steps(before.steps, value)
        elif name == "status" and not isinstance(before, Resource):
            fields[name] = type(before.status)(value)
        else:
            fields[name] = _field(name, value)
    return before._replace(**fields)


def _changed_steps(before: tuple[StepMemento, ...], changes: Any) -> Any:
    if isinstance(changes, list):
        return tuple(_changed(_NO_STEP, step) for step in changes)
    steps = list(before)
    for index, change in _of(dict, changes, "steps").items():
        if not index.isdecimal() or int(index) >= len(steps):
            raise ValueError(f"no step {index!r}")
        steps[int(index)] = _changed(steps[int(index)], change)
    return tuple(steps)


_NUMBER = (int, float, NoneType)
_KINDS: dict[str, Any] = {
    **dict.fromkeys(("started", "finished", "wake", "deadline", "deleted"), _NUMBER),
    **dict.fromkeys(("retries", "restarts", "attempts", "cursor"), int),
    **dict.fromkeys(("entered", "revision"), int),
    **dict.fromkeys(("context", "output", "extra"), dict),
    **dict.fromkeys(("spec", "status", "annotations"), dict),
    "finalizers": list,
}


def _field(name: str, value: Any) -> Any:
    if name == "resource":
        kind, namespace, called = _of(list, value, name)
        return Key(*(_of(str, part, name) for part in (kind, namespace, called)))
    return freeze(_of(_KINDS.get(name, str), value, name))


def _of(kind: Any, value: Any, name: str) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}"[:80])
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} is {value!r}")
    return value
