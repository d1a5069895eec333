"""Stores that outlive their process: the in-memory ones, with a file behind them.

Every write is one transaction, committed before it is applied in memory and told of;
whatever is read comes from memory.  So the file is never behind what anybody knows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import NoneType
from typing import Any, Literal
from weakref import finalize

from wfsim.engine.ports import Clock, Effect, Grant, Nothing
from wfsim.errors import (
    AlreadyExists,
    DefinitionError,
    StoreError,
    Unavailable,
    UsageError,
)
from wfsim.model import json_text
from wfsim.model.frozen import MAX_DEPTH, freeze, is_json
from wfsim.model.journal import Journal, refuse_old
from wfsim.model.memento import Memento, Quarantined, number_of
from wfsim.model.memento_json import MAX_BYTES
from wfsim.model.resource import Key, Resource
from wfsim.model.run import Change, Run
from wfsim.sim.stores import (
    InMemoryLeases,
    InMemoryResources,
    InMemoryRuns,
    read_entry,
)

VERSION = 1

_KEY = "kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL"
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS wfsim (version INTEGER NOT NULL, generation INTEGER NOT "
    "NULL, begun INTEGER NOT NULL, time REAL NOT NULL, revision INTEGER NOT NULL, uids "
    "INTEGER NOT NULL)",
    "INSERT INTO wfsim SELECT 1, 0, 0, 0.0, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM wfsim)",
    f"CREATE TABLE IF NOT EXISTS resources ({_KEY}, text TEXT NOT NULL, "
    "PRIMARY KEY (kind, namespace, name)) WITHOUT ROWID",
    f"CREATE TABLE IF NOT EXISTS mementos ({_KEY}, run TEXT NOT NULL, "
    "text TEXT NOT NULL, PRIMARY KEY (kind, namespace, name, run)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS world (one INTEGER PRIMARY KEY, text TEXT NOT NULL)",
    f"CREATE TABLE IF NOT EXISTS tokens ({_KEY}, token INTEGER NOT NULL, "
    "PRIMARY KEY (kind, namespace, name)) WITHOUT ROWID",
)
_HEAD = "SELECT version, generation, begun, time, revision, uids FROM wfsim"
# The compare-and-set of every write: nothing is kept of a process that was replaced.
_MINE = (
    "UPDATE wfsim SET time = max(time, ?), revision = max(revision, ?), "
    "uids = max(uids, ?) WHERE generation = ?"
)
_BEGUN = "UPDATE wfsim SET begun = 1"
_WORLD = "SELECT text FROM world"
_PUT_WORLD = "INSERT OR REPLACE INTO world VALUES (1, ?)"

_CURES = {
    sqlite3.SQLITE_BUSY: "stop the process that writes to it, or give another file",
    sqlite3.SQLITE_CANTOPEN: "give a file that may be read and written",
    sqlite3.SQLITE_CORRUPT: "restore it, or run sqlite3 with .recover on a copy of it",
    sqlite3.SQLITE_FULL: "make room on the disk",
    sqlite3.SQLITE_NOTADB: "give a file that wfsim has written, or a new one",
    sqlite3.SQLITE_READONLY: "give a file that may be read and written",
}


_PASSING = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_ERROR,
)


class Lost(UsageError):
    """Nothing can be kept from here any more; nobody is to try again."""


class Database:
    """A file that holds resources, mementos, the world and the newest tokens of leases.

    Opening it takes it over: it gets a new generation, and whoever had it open before
    can write no more.  Leases live in the process, so its generation is the token that
    every write is checked against, in the same transaction.  A commit is on the disk
    when it returns; with *synchronous* NORMAL a power cut, but no crash, may undo the
    last ones.  *patience* is how long in real seconds to wait for another writer.

    ``begun`` says whether the first resources have all been created, ``time`` when the
    last write was made, in seconds of virtual time, and ``unreadable`` has the resources
    whose rows cannot be read: they and their runs are let alone.  ``world`` returns the
    text of the world, which is kept with every write: so a file is never of two moments.

    Raises `DefinitionError` naming the file and what to do about it.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        synchronous: Literal["FULL", "NORMAL"] = "FULL",
        patience: float = 5.0,
    ) -> None:
        self.path = Path(path).absolute()
        self.unreadable: dict[Key, Quarantined] = {}
        self.world: Callable[[], str] | None = None
        self._kept_world = ""
        self._is_together = False
        if not self.path.parent.is_dir():
            raise DefinitionError(
                f"{self.path}: there is no folder {self.path.parent}; make it, or give "
                "another file"
            )
        try:
            self._connection = _connect(self.path, patience)
            self._identity = _identity(self.path)
            self._closing = finalize(self, self._connection.close)
            self._take_over(synchronous)
        except sqlite3.Error as error:
            raise DefinitionError(f"{self.path}: {error}; {_cure(error)}") from error

    def __repr__(self) -> str:
        return f"<Database {self.path.name}, generation {self._generation}>"

    def close(self) -> None:
        """Let go of the file; nothing can be written any more."""
        self._closing()

    def _take_over(self, synchronous: str) -> None:
        """Refuse what is not ours before anything in it is changed; then make it ours."""
        execute = self._connection.execute
        tables = {name for (name,) in execute("SELECT name FROM sqlite_master")}
        if b"wfsim" in tables:
            version = execute("SELECT max(version) FROM wfsim").fetchone()[0]
            if version != VERSION:
                raise self._refused(
                    f"its schema has version {version!r}, and this wfsim reads "
                    f"{VERSION}; open it with a newer wfsim, or give another file"
                )
        elif tables:
            raise self._refused(
                "a database of something else than wfsim; give another file"
            )
        (mode,) = execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != b"wal":
            raise self._refused("it cannot have a log of its own; give a local file")
        execute(f"PRAGMA synchronous = {'FULL' if synchronous == 'FULL' else 'NORMAL'}")
        with self._connection:
            execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA:
                execute(statement)
            execute("UPDATE wfsim SET generation = generation + 1")
            row = execute(_HEAD).fetchone()
        self._generation = row[1]
        self.begun = bool(row[2])
        self.time = float(row[3])

    def _refused(self, why: str) -> DefinitionError:
        self.close()
        return DefinitionError(f"{self.path}: {why}")

    def write(
        self,
        now: float,
        sql: str,
        values: tuple[str | int, ...] = (),
        *,
        revision: int = 0,
        uids: int = 0,
    ) -> None:
        """Commit one change, with the time, the counters and the world as of then.

        Raises `Unavailable` if the file did not take it, and `Lost` if it is no longer
        ours.
        """
        mine = (now, revision, uids, self._generation)
        if _identity(self.path) != self._identity:
            raise Lost(
                f"{self.path} has been taken away; nothing can be written any more"
            )
        try:
            with nullcontext() if self._is_together else self._transaction():
                if not self._connection.execute(_MINE, mine).rowcount:
                    raise self._lost()
                self._connection.execute(sql, values)
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _failed(self, error: sqlite3.Error) -> Exception:
        """Return what to raise: to try again helps only against another writer."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_BUSY) & 0xFF
        if code in _PASSING:
            return Unavailable(f"{self.path}: {error}")
        return Lost(f"{self.path}: {error}; {_cure(error)}")

    def check(self) -> None:
        """Raise `Lost` if it is no longer ours: what is in memory may be of the past.

        Raises `Unavailable` if it cannot be read.
        """
        try:
            (row,) = self._connection.execute(_HEAD).fetchall()
        except sqlite3.Error as error:
            raise Unavailable(f"{self.path}: {error}") from error
        if row[1] != self._generation:
            raise self._lost()

    def _lost(self) -> Lost:
        return Lost(
            f"{self.path} has been opened by somebody else since; nothing can be written "
            "from here any more"
        )

    @contextmanager
    def together(self) -> Iterator[None]:
        """Commit all that is written meanwhile at once: a crash leaves all or nothing.

        Raises `Unavailable` if the file takes nothing now, and `Lost` if it does not in
        the end, since by then it has been told of.
        """
        try:
            with self._transaction():
                self._is_together = True
                try:
                    yield
                except Exception as error:
                    # What was written before counts, whatever came of the rest.
                    failed: Exception | None = error
                else:
                    failed = None
        except sqlite3.Error as error:
            if not self._is_together:
                raise Unavailable(f"{self.path}: {error}") from error
            raise Lost(f"{self.path}: {error}; it has less than was told") from error
        finally:
            self._is_together = False
        if failed is not None:
            raise failed

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit what is written meanwhile, with the world as of then, or nothing."""
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            if not self._connection.in_transaction:
                # SQLite has taken it back by itself; a commit would pass without a word.
                raise sqlite3.OperationalError("what was written has been rolled back")
            world = self._kept_world if self.world is None else self.world()
            if world != self._kept_world:
                self._connection.execute(_PUT_WORLD, (world,))
        self._kept_world = world

    def world_as_left(self) -> str:
        """Return the text of the world at the last write, "" if there was none."""
        return "".join(text(raw) for (raw,) in self._rows(_WORLD))

    def begin(self, now: float) -> None:
        """Remember that the first resources have all been created."""
        self.write(now, _BEGUN)
        self.begun = True

    def counters(self) -> tuple[int, int]:
        """Return the newest revision, and how many uids have been given."""
        (row,) = self._rows(_HEAD)
        return row[4], row[5]

    def read(self, sql: str, *values: int) -> Iterator[tuple[Key, Any, Any]]:
        """Yield of each row its key and the two columns after it, texts as bytes."""
        for kind, namespace, name, *rest in self._rows(sql, *values):
            yield Key(text(kind), text(namespace), text(name)), *rest

    def _rows(self, sql: str, *values: int) -> Iterator[Any]:
        try:
            yield from self._connection.execute(sql, values)
        except sqlite3.Error as error:
            raise DefinitionError(f"{self.path}: {error}; {_cure(error)}") from error


def text(raw: bytes) -> str:
    """Return *raw* as text, whatever has become of it."""
    return raw.decode(errors="replace")


def _connect(path: Path, patience: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode=rwc",
        uri=True,
        timeout=patience,
        isolation_level=None,
        # It serialises its calls; whichever thread runs the clock may make them.
        check_same_thread=False,
    )
    # A row that is damaged must not be an error of all the others.
    connection.text_factory = bytes
    return connection


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells the file there from any other; None if there is none."""
    try:
        there = path.stat()
    except OSError:
        return None
    return there.st_dev, there.st_ino


def _cure(error: sqlite3.Error) -> str:
    # What is above eight bits says more of the same kind of error.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return _CURES.get(code, "give another file")


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
            resource = _resource(key, raw)
            if isinstance(resource, Quarantined):
                self._file.unreadable[key] = resource
            else:
                self._objects[key] = resource

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
