"""The log of a run: every change of every store, in order.

A log cannot disagree with the stores, since it is their change feed; folding any
prefix of it gives what was durable at that moment.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, overload

from wfsim.errors import DefinitionError
from wfsim.model.frozen import EMPTY, freeze, thaw
from wfsim.model.memento import Memento
from wfsim.model.memento_json import from_dict, to_dict
from wfsim.model.record import Kind, Record
from wfsim.model.resource import Key, Resource

FORMAT = "wfsim-log"
VERSION = 1
MAX_BYTES = 1 << 30
"""A log file larger than 1 GiB is refused rather than read into memory."""


class Snapshot(NamedTuple):
    """What was durable after a prefix of a log.

    *resources* is keyed by name, *mementos* by (name, key of the run).
    """

    time: float
    resources: Mapping[str, Resource]
    mementos: Mapping[tuple[str, str], Memento]


class EventLog:
    """Records in order; *meta* says what ran (title, seed, state graph, flows)."""

    def __init__(
        self, records: Iterable[Record] = (), meta: Mapping[str, Any] = EMPTY
    ) -> None:
        self.records = list(records)
        self.meta = freeze(meta)
        self.origin: Any = None

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
        end = self.records[-1].time if self.records else 0.0
        return f"<EventLog {len(self)} records, {end:.3f} s, digest {self.digest()}>"

    def filter(
        self, *kinds: Kind, resource: str = "", run: str = "", step: str = ""
    ) -> list[Record]:
        """Return the records of any of *kinds* (all, if none) and of what else is given."""
        return [
            record
            for record in self.records
            if (not kinds or record.kind in kinds)
            and (not resource or record.resource == resource)
            and (not run or record.run == run)
            and (not step or record.step == step)
        ]

    def fold(self, upto: int | None = None) -> Snapshot:
        """Return what was durable after the first *upto* records (None: after all)."""
        resources: dict[str, Resource] = {}
        mementos: dict[tuple[str, str], Memento] = {}
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
        head = {"format": FORMAT, "version": VERSION, "meta": thaw(self.meta)}
        yield _dump(head)
        known: dict[tuple[str, ...], dict[str, Any]] = {}
        for record in self.records:
            yield _dump(_row(record, known))

    def digest(self) -> str:
        """Return sixteen hex digits that any difference between two logs changes."""
        digest = hashlib.blake2b(digest_size=8)
        for line in self.lines():
            digest.update(line.encode())
        return digest.hexdigest()

    def to_jsonl(self, path: str | Path) -> Path:
        """Write the log to *path*, one JSON object a line, whole or not at all."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(target.name + ".part")
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{line}\n" for line in self.lines())
        draft.replace(target)
        return target

    @classmethod
    def from_jsonl(cls, path: str | Path) -> EventLog:
        """Read what `to_jsonl` wrote.

        Raises `DefinitionError` naming file and line of the first one it cannot read.
        """
        source = Path(path)
        if not source.is_file():
            raise DefinitionError(f"{source}: no such file")
        if source.stat().st_size > MAX_BYTES:
            raise DefinitionError(f"{source}: larger than {MAX_BYTES} bytes")
        log = cls()
        known: dict[tuple[str, ...], dict[str, Any]] = {}
        number = 0
        try:
            with source.open(encoding="utf-8") as file:
                for number, line in enumerate(file, start=1):
                    document = json.loads(line)
                    if number == 1:
                        log.meta = freeze(_head(document))
                    else:
                        log.records.append(_record(document, known))
        except DefinitionError as error:
            raise DefinitionError(f"{source}:{number}: {error}") from error
        except (ValueError, KeyError, TypeError, RecursionError, AttributeError) as error:
            raise DefinitionError(
                f"{source}:{number}: not a record of a wfsim log: {error!r}"
            ) from error
        if not number:
            raise DefinitionError(f"{source}:1: empty; a log has a head")
        return log


def _dump(document: Mapping[str, Any]) -> str:
    return json.dumps(
        document, ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )


def _head(document: Any) -> Any:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DefinitionError(f"not a wfsim log: the head has no format {FORMAT!r}")
    if document.get("version") != VERSION:
        raise DefinitionError(
            f"written by another wfsim: version {document.get('version')!r}, "
            f"this one reads {VERSION}"
        )
    return document["meta"]


_TEXTS = ("resource", "run", "flow", "step", "attempt", "text")
_Known = dict[tuple[str, ...], dict[str, Any]]


def _row(record: Record, known: _Known) -> dict[str, Any]:
    row: dict[str, Any] = {
        "seq": record.seq,
        "time": record.time,
        "kind": record.kind.value,
    }
    row |= {name: value for name in _TEXTS if (value := getattr(record, name))}
    if isinstance(record.value, Memento):
        now = {"of": record.value.resource.kind, **to_dict(record.value)}
        name, where = "memento", (record.resource, record.run)
    elif isinstance(record.value, Resource):
        now = resource_to_dict(record.value)
        name, where = "object", (record.resource,)
    else:
        return row
    row[name] = _difference(known.get(where), now)
    known[where] = now
    return row


def _record(document: Any, known: _Known) -> Record:
    texts = {name: document[name] for name in _TEXTS if name in document}
    value: Any = None
    if "memento" in document:
        where: tuple[str, ...] = (document["resource"], document["run"])
        known[where] = _applied(known.get(where), document["memento"])
        plain = dict(known[where])
        kind = plain.pop("of")
        value = from_dict(document["run"], plain, kind)
    elif "object" in document:
        where = (document["resource"],)
        known[where] = _applied(known.get(where), document["object"])
        value = resource_from_dict(known[where])
    time = float(document["time"])
    return Record(document["seq"], time, Kind(document["kind"]), value=value, **texts)


def _difference(before: Any, after: Any) -> Any:
    """Return what to set in *before*, and under ``-`` what to take away, to get *after*."""
    if before is None:
        return after
    changed = {}
    for key, value in after.items():
        old = before.get(key)
        if key in before and _same(old, value):
            continue
        if isinstance(value, list) and isinstance(old, list) and len(old) == len(value):
            pairs = enumerate(zip(old, value, strict=True))
            changed[key] = {str(i): new for i, (was, new) in pairs if not _same(was, new)}
        else:
            changed[key] = value
    removed = [key for key in before if key not in after]
    return changed | ({"-": removed} if removed else {})


def _same(a: Any, b: Any) -> bool:
    # To Python 1 == 1.0 == True; to whoever reads the JSON they are three things.
    return bool(a == b) and json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def _applied(before: dict[str, Any] | None, change: dict[str, Any]) -> dict[str, Any]:
    if before is None:
        return dict(change)
    after = {k: v for k, v in before.items() if k not in change.get("-", ())}
    for key, value in change.items():
        if key == "-":
            continue
        old = after.get(key)
        if isinstance(value, dict) and isinstance(old, list):
            value = [value.get(str(index), item) for index, item in enumerate(old)]
        after[key] = value
    return after


def resource_to_dict(resource: Resource) -> dict[str, Any]:
    """Return *resource* as a document of plain JSON values."""
    return {name: thaw(value) for name, value in resource._asdict().items()}


def resource_from_dict(document: Mapping[str, Any]) -> Resource:
    """Return the resource that *document* describes."""
    return Resource(**{key: freeze(value) for key, value in document.items()})


__all__ = ["EventLog", "Key", "Snapshot", "resource_from_dict", "resource_to_dict"]
