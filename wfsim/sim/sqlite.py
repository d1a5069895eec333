"""Stores that outlive their process: the in-memory ones, with a file behind them.

Every write is one transaction, committed before it is applied in memory and told of;
whatever is read comes from memory.  So the file is never behind what anybody knows.
"""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Any

from wfsim.engine.ports import Clock, Effect, Grant, Nothing
from wfsim.errors import AlreadyExists, StoreError, Unavailable
from wfsim.model import json_text
from wfsim.model.frozen import MAX_DEPTH, freeze, is_json
from wfsim.model.journal import Journal, refuse_old
from wfsim.model.memento import Memento, Quarantined, number_of
from wfsim.model.memento_json import MAX_BYTES
from wfsim.model.resource import Key, Resource
from wfsim.model.run import Change, Run
from wfsim.sim.database import Database, text
from wfsim.sim.stores import (
    InMemoryLeases,
    InMemoryResources,
    InMemoryRuns,
    read_entry,
)

# What is longer than its limit is read no further.
_RESOURCES = "SELECT kind, namespace, name, substr(text, 1, ?), NULL FROM resources"
_PUT_RESOURCE = "INSERT OR REPLACE INTO resources VALUES (?, ?, ?, ?)"
_DELETE_RESOURCE = "DELETE FROM resources WHERE kind = ? AND namespace = ? AND name = ?"
_MEMENTOS = "SELECT kind, namespace, name, run, substr(text, 1, ?) FROM mementos"
_PUT_MEMENTO = "INSERT OR REPLACE INTO mementos VALUES (?, ?, ?, ?, ?)"
_DELETE_MEMENTO = (
    "DELETE FROM mementos WHERE kind = ? AND namespace = ? AND name = ? AND run = ?"
)
_TOKENS = "SELECT kind, namespace, name, token, NULL FROM tokens"
_PUT_TOKEN = "INSERT OR REPLACE INTO tokens VALUES (?, ?, ?, ?)"


class SqliteResources(InMemoryResources):
    """Resources in a file; *journal* and *lag* as in memory."""

    def __init__(
        self, file: Database, clock: Clock, journal: Journal, *, lag: float = 0.0
    ) -> None:
        super().__init__(clock, journal, lag=lag)
        self._file = file
        self.reload()

    def reload(self) -> None:
        """Read everything back from the file, as a process that starts would."""
        self._revision, self._uids = self._file.counters()
        self._objects.clear()
        self._file.unreadable.clear()
        for key, raw, _ in self._file.read(_RESOURCES, MAX_BYTES + 1):
            found = _resource(key, raw)
            if isinstance(found, Quarantined):
                self._file.unreadable[key] = found
            else:
                self._objects[key] = found

    def create(self, resource: Resource) -> Effect[Resource]:
        """Keep a new resource and return it with uid and revision."""
        if bad := self._file.unreadable.get(resource.key):
            raise AlreadyExists(
                f"resource {bad.resource} exists, but {self._file.path} has it in a way "
                f"that cannot be read: {bad.reason}"
            )
        return (yield from super().create(resource))

    def _put(self, before: Resource | None, after: Resource, token: int) -> Resource:
        revision = self._revision + 1
        if _ends(after):
            # `_take_away` follows; here, since both are one change and one commit.
            self._write(_DELETE_RESOURCE, after.key, revision + 1)
        else:
            written = _text(after._replace(revision=revision))
            self._write(_PUT_RESOURCE, (*after.key, written), revision)
        return super()._put(before, after, token)

    def _take_away(self, resource: Resource, token: int) -> None:
        if not _ends(resource):
            self._write(_DELETE_RESOURCE, resource.key, self._revision + 1)
        super()._take_away(resource, token)

    def _write(self, sql: str, values: tuple[str, ...], revision: int) -> None:
        now = self._clock.now
        self._file.write(now, sql, values, revision=revision, uids=self._uids)


def _ends(resource: Resource) -> bool:
    return resource.deleted is not None and not resource.finalizers


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


def _text(resource: Resource) -> str:
    fields = {name: getattr(resource, name) for name in _FIELDS}
    if not is_json(fields, MAX_DEPTH + 1):
        raise StoreError(f"{resource.key} holds what JSON cannot")
    try:
        return _bounded(json_text.dump(fields), resource.key)
    except ValueError as error:  # a number of more digits than Python writes
        raise StoreError(f"{resource.key}: {error}") from None


def _resource(key: Key, raw: bytes) -> Resource | Quarantined:
    """Return the resource that *raw* describes, or the text and what is wrong with it."""
    try:
        written = raw.decode()
        if len(written) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} characters")
        fields = json_text.load(written)
        if not isinstance(fields, dict) or fields.keys() != _FIELDS.keys():
            raise ValueError(f"not an object with {', '.join(_FIELDS)}")
        for name, kind in _FIELDS.items():
            if not isinstance(fields[name], kind) or isinstance(fields[name], bool):
                raise ValueError(f"{name} is {json_text.dump(fields[name])[:60]}")
        if not all(isinstance(v, str) for v in fields["annotations"].values()):
            raise ValueError("an annotation is not a string")
        if not all(isinstance(name, str) for name in fields["finalizers"]):
            raise ValueError("a finalizer is not a string")
    except ValueError as error:
        return Quarantined("", key, text(raw), str(error))
    return Resource(key.kind, key.name, key.namespace, **freeze(fields))


class SqliteRuns(InMemoryRuns):
    """Runs in a file, each as the reference text of where it stands."""

    def __init__(self, file: Database, clock: Clock, journal: Journal) -> None:
        super().__init__(journal)
        self._file = file
        self._clock = clock
        self.append = self._append_to_file
        self._loaded = self._load()

    def loaded(self) -> dict[Key, list[Memento | Quarantined]]:
        """Return what the file held when it was opened, oldest run first."""
        return self._loaded

    def remove(self, key: Key, run: str, token: int) -> Nothing:
        """Forget the run, if it is there."""
        refuse_old(token, key, self._tokens)
        if run in self._journal.runs.get(key, {}):
            self._file.write(self._clock.now, _DELETE_MEMENTO, (*key, run))
        return super().remove(key, run, token)

    def put(self, entry: Memento | Quarantined) -> None:
        """Keep *entry* as it was found, before anything runs."""
        self._write(entry, entry.to_json() if isinstance(entry, Memento) else entry.text)
        self.recall(entry)

    def _append_to_file(self, run: Run, change: Change, token: int) -> Nothing:
        """Apply *change* to *run* and keep it, or raise `Fenced`."""
        refuse_old(token, run.resource, self._tokens)
        if self._journal.keeps(run, change):
            return ()
        draft = run.copy()
        change.apply(draft, self._clock.now)
        after = draft.memento()
        # The file first: what it does not take has not happened.
        try:
            self._write(after, after.to_json())
        except Unavailable as error:
            return _failing(error)
        return self._journal.append(run, change, token)

    def _load(self) -> dict[Key, list[Memento | Quarantined]]:
        loaded: dict[Key, list[Memento | Quarantined]] = {}
        for key, name, raw in self._file.read(_MEMENTOS, MAX_BYTES + 1):
            if key not in self._file.unreadable:
                loaded.setdefault(key, []).append(_entry(key, text(name), raw))
        for runs in loaded.values():
            runs.sort(key=lambda entry: (number_of(entry.key), entry.key))
        return loaded

    def _write(self, entry: Memento | Quarantined, written: str) -> None:
        values = (*entry.resource, entry.key, _bounded(written, entry.key))
        self._file.write(self._clock.now, _PUT_MEMENTO, values)


def _failing(error: Exception) -> Effect[None]:
    """Return the write that fails with *error*."""
    raise error
    yield


def _entry(key: Key, run: str, raw: bytes) -> Memento | Quarantined:
    try:
        return read_entry(key, run, raw.decode())
    except UnicodeDecodeError as error:
        return Quarantined(run, key, text(raw), str(error))


class SqliteLeases(InMemoryLeases):
    """Leases of this process, with tokens that are new to every later one too."""

    def __init__(
        self, file: Database, clock: Clock, *, length: float, renew: float
    ) -> None:
        super().__init__(clock, length=length, renew=renew)
        self._file = file
        self.tokens.update({key: token for key, token, _ in file.read(_TOKENS)})

    def acquire(self, key: Key, holder: str, freed: Callable[[], None]) -> Effect[Grant]:
        """Return a new token, or call *freed* once when it is worth asking again."""
        grant = yield from super().acquire(key, holder, freed)
        if grant.token is not None:
            # Before anybody knows of it: no later process gives the same one again.
            self._file.write(self._clock.now, _PUT_TOKEN, (*key, grant.token))
        return grant


def _bounded(written: str, what: object) -> str:
    if len(written) > MAX_BYTES:
        raise StoreError(f"{what} has {len(written)} characters; {MAX_BYTES} are kept")
    return written
