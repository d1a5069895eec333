"""The log of a run: the journal, looked at.

A log cannot disagree with the stores, since both are folds of the same entries;
folding any prefix of it gives what was durable at that moment.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar, overload

from wfsim.errors import DefinitionError, UsageError
from wfsim.model import json_text
from wfsim.model.frozen import EMPTY, Frozen, freeze
from wfsim.model.glance import as_html, glance, of_log
from wfsim.model.journal import Journal
from wfsim.model.memento import Memento, RunStatus, StepMemento
from wfsim.model.notices import Notices, notices_of
from wfsim.model.record import Kind, PoolState, Record
from wfsim.model.resource import CREATING, Key, Resource

MAX_BYTES = 1 << 30
"""A log file larger than 1 GiB is refused rather than read into memory."""


class Snapshot(NamedTuple):
    """What was durable after a prefix of a log.

    *resources* is keyed by name, *mementos* by (name, key of the run).
    """

    time: float
    resources: Mapping[str, Resource]
    mementos: Mapping[tuple[str, str], Memento]

    def __repr__(self) -> str:
        resources, runs = len(self.resources), len(self.mementos)
        head = (
            f"<Snapshot at {self.time:.3f} s: {resources:,} resource"
            f"{'s' * (resources != 1)}, {runs:,} memento{'s' * (runs != 1)}>"
        )
        lines = [
            f"  {name} {resource.state or CREATING}"
            for name, resource in self.resources.items()
        ]
        lines += [f"  {run!r}" for run in self.mementos.values()]
        return glance(head, lines, "snapshot.resources[NAME], .mementos[NAME, RUN]")

    def _repr_html_(self) -> str:
        return as_html(repr(self))


class EventLog:
    """Records in order; *meta* says what ran (title, seed, state graph, flows)."""

    def __init__(
        self, records: Iterable[Record] = (), meta: Mapping[str, Any] = EMPTY
    ) -> None:
        self.records: Sequence[Record] = (
            records if isinstance(records, Journal) else list(records)
        )
        # Only values that nobody can change are put into one.
        self.meta = meta if type(meta) is Frozen else freeze(meta)
        self.origin: Any = None
        self._digested: tuple[int, str] | None = None

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> EventLog: ...
    def __getitem__(self, index: int | slice) -> Record | EventLog:
        if isinstance(index, slice):
            return EventLog(self.records[index], self.meta)
        return self.records[index]

    def __repr__(self) -> str:
        if not self.records:
            return str(self)
        then = "wfsim.tables.steps(log), wfsim.charts.gantt(log), wfsim.Debugger(log)"
        return glance(str(self), of_log(self), then)

    def _repr_html_(self) -> str:
        return as_html(repr(self))

    def __str__(self) -> str:
        end = self.records[-1].time if self.records else 0.0
        cut = ", cut off by the horizon" if self.is_cut_off else ""
        text = f"{len(self)} records, {end:.3f} s{cut}, digest {self.digest()}"
        return f"<EventLog {text}>"

    @property
    def is_cut_off(self) -> bool:
        """Whether the horizon keeps runs that are under way from going on.

        It is the simulation that knows; of records that were read nobody does.
        """
        return self.origin is not None and bool(self.origin.is_cut_off)

    @property
    def notices(self) -> Notices:
        """What would be noticed too late, each once with a count.

        ``assert not log.notices`` says that there is nothing; `wfsim.tables.notices` is
        the same as a frame.
        """
        return notices_of(self)

    def kinds(self) -> list[Kind]:
        """Return the kind of each record, in order."""
        if isinstance(self.records, Journal):
            return self.records.kinds(0)
        return [record.kind for record in self.records]

    def filter(
        self, *kinds: Kind, resource: str = "", run: str = "", step: str = ""
    ) -> list[Record]:
        """Return the records of any of *kinds* (all, if none) and of what else is set.

        The last part of a *resource*'s name will do where it fits one only; raises
        `UsageError` with the whole names where it fits several.
        """
        records: Iterable[Record] = self.records
        if kinds and isinstance(self.records, Journal):
            records = self.records.of_kinds(kinds)
        if resource:
            resource = self._whole_name(resource)
        return [
            record
            for record in records
            if (not kinds or record.kind in kinds)
            and (not resource or record.resource == resource)
            and (not run or record.run == run)
            and (not step or record.step == step)
        ]

    def _whole_name(self, resource: str) -> str:
        names = dict.fromkeys(record.resource for record in self.records)
        if resource in names:
            return resource
        fitting = [name for name in names if name.rpartition("/")[2] == resource]
        if len(fitting) > 1:
            text = f"{resource!r} fits {' and '.join(sorted(fitting))}"
            raise UsageError(f"{text}; give the whole name")
        return fitting[0] if fitting else resource

    def fold(self, upto: int | None = None) -> Snapshot:
        """Return what was durable after the first *upto* records (None: after all)."""
        resources: dict[str, Resource] = {}
        mementos: dict[tuple[str, str], Memento] = {}
        if isinstance(self.records, Journal):
            return Snapshot(*self.records.fold(upto))
        time = 0.0
        for record in self.records[:upto]:
            time = record.time
            if record.kind is Kind.RESOURCE_DELETED:
                resources.pop(record.resource, None)
            elif record.kind is Kind.RUN_PRUNED:
                mementos.pop((record.resource, record.run), None)
            elif isinstance(record.value, Memento):
                mementos[record.resource, record.run] = record.value
            elif isinstance(record.value, Resource):
                resources[record.resource] = record.value
        return Snapshot(time, resources, mementos)

    def lines(self) -> Iterator[str]:
        """Yield the log as JSON Lines, the head first; values as what changed in them."""
        return lines(self.records, self.meta)

    def digest(self) -> str:
        """Return sixteen hex digits that any difference between two logs changes.

        Lines of code are none: a comment above a step changes nothing of what it does.
        """
        if self._digested is None or self._digested[0] != len(self.records):
            digest = hashlib.blake2b(digest_size=8)
            for line in lines(self.records, self.meta, where=False):
                digest.update(line.encode())
            self._digested = len(self.records), digest.hexdigest()
        return self._digested[1]

    def to_jsonl(self, path: str | Path) -> Path:
        """Write the log to *path*, one JSON object a line, whole or not at all.

        Raises `UsageError` if it cannot be written there.
        """
        target = Path(path)
        if target.is_dir():
            raise UsageError(f"{target} is a folder; give the name of a file in it")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            draft = target.with_name(target.name + ".part")
            with draft.open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(f"{line}\n" for line in self.lines())
            draft.replace(target)
        except OSError as error:
            text = f"{target}: cannot be written: {error.strerror or error}"
            raise UsageError(f"{text}; give another file") from None
        return target

    @classmethod
    def from_jsonl(cls, path: str | Path) -> EventLog:
        """Read what `to_jsonl` wrote.

        Raises `DefinitionError` naming file and line of the first one it cannot read.
        """
        source = Path(path)
        try:
            if source.stat().st_size > MAX_BYTES:
                raise DefinitionError(
                    f"{source}:1: larger than {MAX_BYTES} bytes; slice the log first"
                )
            with source.open("rb") as file:
                records, meta = read(file, str(source))
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise DefinitionError(
                f"{source}:1: cannot be read: {why}; give what to_jsonl() wrote"
            ) from None
        return cls(records, meta)


class HasLog(Protocol):
    """What keeps a log: a Simulation, for one."""

    @property
    def log(self) -> EventLog:
        """The log so far."""
        ...


def log_of(source: EventLog | HasLog) -> EventLog:
    """Return *source* if it is a log, or else the log that it keeps.

    Raises `UsageError` for anything else, naming what to give.

    >>> log_of(EventLog())
    <EventLog 0 records, 0.000 s, digest d4c3c83af43cd346>
    >>> log_of(42)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    wfsim.errors.UsageError: int is no log; give one, such as wfsim.simulate(...)...
    """
    log = getattr(source, "log", source)
    if isinstance(log, EventLog):
        return log
    raise UsageError(
        f"{type(source).__name__} is no log; give one, such as wfsim.simulate(...) "
        "returns, or a Simulation"
    )


FORMAT = "wfsim-log"
VERSION = 1

Value: TypeAlias = Memento | Resource
V = TypeVar("V", Memento, Resource, StepMemento)
Known: TypeAlias = dict[tuple[str, ...], Value]

_TEXTS = ("resource", "run", "flow", "step", "text")
_AFTERWARDS = ("cause", "controller", "before", "where")
_NO_STEP = StepMemento("")
_NO_RUN = Memento("", Key("", "", ""), "", RunStatus.PREPARED, ())
_NO_RESOURCE = Resource("", "")


def lines(
    records: Sequence[Record], meta: Mapping[str, Any], where: bool = True
) -> Iterator[str]:
    """Yield the lines of *records*, the head first, with lines of code if *where*."""
    head = {"format": FORMAT, "version": VERSION, "records": len(records)}
    yield json_text.dump(head | {"meta": meta})
    known: Known = {}
    for record in records:
        row = _row(record, known)
        if not where:
            row.pop("where", None)
        yield json_text.dump(row)


def _row(record: Record, known: Known) -> dict[str, Any]:
    (
        seq, time, kind, resource, run, flow, step, attempt, text, value,
        cause, limit, controller, token, left, where,
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
    if where:
        row["where"] = where
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
    edges, flows = row["meta"].get("edges", {}), row["meta"].get("flows", {})
    for listed, is_one in ((edges, _is_edge), (flows, _is_name)):
        if not isinstance(listed, dict) or not all(
            isinstance(each, list) and all(map(is_one, each)) for each in listed.values()
        ):
            raise ValueError("the edges or flows in meta are not lists as wfsim writes")
    return _of(int, row["records"], "records"), row["meta"]


def _is_edge(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(map(_is_name, value))


def _is_name(value: Any) -> bool:
    return isinstance(value, str)


def _record(row: Any, known: Known, last: Record | None) -> Record:
    if not isinstance(row, dict):
        raise ValueError("it is not an object")
    row = dict(row)
    seq, time = row.pop("seq"), float(_of((int, float), row.pop("time"), "time"))
    kind, attempt = Kind(row.pop("kind")), _of(int, row.pop("attempt", 0), "attempt")
    texts = [_of(str, row.pop(name, ""), name) for name in _TEXTS]
    if last is not None and (_of(int, seq, "seq") <= last.seq or time < last.time):
        raise ValueError(f"record {seq} at {time:g} s cannot follow {last.seq}")
    cause, controller, left, where = (
        _of(str, row.pop(name, ""), name) for name in _AFTERWARDS
    )
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
        cause, limit, controller, token, left, where,
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


__all__ = ["EventLog", "HasLog", "Snapshot", "log_of"]
