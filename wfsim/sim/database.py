"""A file of SQLite that keeps the journal of a simulation, its world and its time.

Every write is one transaction, committed before it is applied in memory and told of;
whatever is read comes from memory.  So the file is never behind what anybody knows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Literal, NamedTuple
from weakref import finalize

from wfsim.errors import DefinitionError, Unavailable, UsageError
from wfsim.model.memento import Quarantined
from wfsim.model.resource import Key
from wfsim.sim import entry_table
from wfsim.sim.entry_table import RESTORE, Entry, EntryReader, Subject, checksum

VERSION = 2

_HEAD_TABLE = (
    "CREATE TABLE wfsim (version INTEGER, generation INTEGER, begun INTEGER, time REAL, "
    "revision INTEGER, uids INTEGER, entries INTEGER, last BLOB, world BLOB, "
    "checksum BLOB)"
)
_WORLD_TABLE = "CREATE TABLE world (one INTEGER PRIMARY KEY, text TEXT)"
_SCHEMA = {
    "wfsim": _HEAD_TABLE,
    "entries": entry_table.SCHEMA,
    "world": _WORLD_TABLE,
}
_PUT_HEAD = "INSERT INTO wfsim VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SET_HEAD = (
    "UPDATE wfsim SET (version, generation, begun, time, revision, uids, entries, last, "
    "world, checksum) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_HEAD = (
    "SELECT version, generation, begun, time, revision, uids, entries, last, world, "
    "checksum FROM wfsim"
)
_GENERATION = "SELECT generation FROM wfsim"
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


class Head(NamedTuple):
    """What is true of the file as a whole, as of its last write.

    *last* is the checksum of the last of so many *entries*, *world* that of the world.
    """

    version: int = VERSION
    generation: int = 0
    begun: int = 0
    time: float = 0.0
    revision: int = 0
    uids: int = 0
    entries: int = 0
    last: bytes = b""
    world: bytes = b""


class Database:
    """A file that holds the entries of a journal, and the world as of the last one.

    Opening it takes it over: it gets a new generation, and whoever had it open before
    can write no more.  Leases live in the process, so its generation is the token that
    every write is checked against, in the same transaction.  A commit is on the disk
    when it returns; with *synchronous* NORMAL a power cut, but no crash, may undo the
    last ones.  *patience* is how long in real seconds to wait for another writer.

    ``kept`` is what it held when it was opened.  Every row has a checksum: where one is
    damaged, missing or of another file, the run that it is of is quarantined, or the
    file is refused.  ``unreadable`` has the resources that cannot be read: they and
    their runs are let alone.  ``begun`` says whether the first resources have all been
    created, ``time`` when the last write was made, in seconds of virtual time.
    ``world`` returns the text of the world, which is kept with every write: so a file
    is never of two moments.  ``holder`` says who got the lease of a token.

    A file of version 1 is taken over into this one in one transaction.  Raises
    `DefinitionError` naming the file and what to do about it.
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
        self.holder: Callable[[Key, int], str] = _nobody
        self._is_together = False
        self._lost = ""
        self._undo: list[tuple[Subject, int]] = []
        self._head: Head = Head()
        self._places: dict[Subject, int] = {}
        self._kept_world = ""
        if not self.path.parent.is_dir():
            raise DefinitionError(
                f"{self.path}: there is no folder {self.path.parent}; make it, or give "
                "another file"
            )
        try:
            self._connection = _connect(self.path, patience)
            self._closing = finalize(self, self._connection.close)
            self._take_over(synchronous)
            self._own = _State.of(self.path)
        # What it says of a damaged file may be damaged itself.
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise DefinitionError(f"{self.path}: {error}; {_cure(error)}") from error
        except DefinitionError:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"<Database {self.path.name}, generation {self._head.generation}>"

    def close(self) -> None:
        """Close the file; nothing can be written any more."""
        self._closing()

    @property
    def begun(self) -> bool:
        """Whether the first resources have all been created."""
        return bool(self._head.begun)

    @property
    def time(self) -> float:
        """When the last write was made, in seconds of virtual time."""
        return self._head.time

    @property
    def revision(self) -> int:
        """The newest revision of a resource."""
        return self._head.revision

    @property
    def uids(self) -> int:
        """How many uids have been given."""
        return self._head.uids

    # -- opening -----------------------------------------------------------------------

    def _take_over(self, synchronous: str) -> None:
        """Refuse what is not ours before anything in it is changed; then make it ours."""
        execute = self._connection.execute
        version = self._version()
        (mode,) = execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != b"wal":
            raise self._refused("it cannot have a log of its own; give a local file")
        execute(f"PRAGMA synchronous = {'FULL' if synchronous == 'FULL' else 'NORMAL'}")
        with self._connection:
            execute("BEGIN IMMEDIATE")
            # Another process may have made it in the meantime.
            version = self._version()
            if version == 1:
                self._migrate()
            elif version is None:
                self._make(Head())
            self._read()
            self._head = self._head._replace(generation=self._head.generation + 1)
            self._put_head()

    def _version(self) -> int | None:
        """Return the version of the file, None if it is new; refuse what is not ours."""
        execute = self._connection.execute
        tables = {text(name) for (name,) in execute("SELECT name FROM sqlite_master")}
        if "wfsim" not in tables:
            if tables:
                raise self._refused(
                    "a database of something else than wfsim; give another file"
                )
            return None
        version = execute("SELECT max(version) FROM wfsim").fetchone()[0]
        if version not in (1, VERSION):
            raise self._refused(
                f"its schema has version {version!r}, and this wfsim reads 1 and "
                f"{VERSION}; open it with a newer wfsim, or give another file"
            )
        return int(version)

    def _make(self, head: Head) -> None:
        for statement in _SCHEMA.values():
            self._connection.execute(statement)
        self._connection.execute(_PUT_HEAD, (*head, checksum(head)))
        self._head, self._places, self._kept_world = head, {}, ""

    def _migrate(self) -> None:
        """Make a file of version 1 one of this version, in the same transaction."""
        from wfsim.sim import sqlite_v1

        before = sqlite_v1.read(self._connection)
        for table in ("wfsim", "world", *sqlite_v1.TABLES):
            self._connection.execute(f"DROP TABLE {table}")
        self._make(
            Head(VERSION, before.generation, before.begun, before.time, before.revision,
                 before.uids)
        )  # fmt: skip
        for entry in before.entries:
            self._insert(before.time, entry)
        if before.world:
            self._put_world(before.world)
        self._put_head()

    def _read(self) -> None:
        """Read all that the file holds, and refuse what cannot be trusted."""
        execute = self._connection.execute
        tables = dict(execute("SELECT name, sql FROM sqlite_master"))
        for name, sql in _SCHEMA.items():
            if tables.get(name.encode()) != sql.encode():
                raise self._refused(
                    f"its table {name} is not as wfsim made it; {RESTORE}"
                )
        heads = execute(_HEAD).fetchall()
        if len(heads) != 1 or heads[0][-1] != checksum(heads[0][:-1]):
            raise self._refused(
                f"the row of its table wfsim is damaged, missing or foreign; {RESTORE}"
            )
        self._head = Head(*heads[0][:-1])
        worlds = execute(_WORLD).fetchall()
        world = b"".join(raw if isinstance(raw, bytes) else b"?" for (raw,) in worlds)
        if self._head.world != (checksum((), world) if worlds else b""):
            raise self._refused(
                f"the row of its table world is damaged, missing or foreign; {RESTORE}"
            )
        self._kept_world = text(world)
        rows = execute(entry_table.SELECT)
        head = self._head
        reader = EntryReader(rows, head.entries, head.last, self._refused)
        self.kept = reader.read()
        self._places = self.kept.places

    def reread(self) -> None:
        """Read all again, as a process that starts would.

        Raises `DefinitionError` like the constructor.
        """
        try:
            self._read()
        except sqlite3.Error as error:
            raise DefinitionError(f"{self.path}: {error}; {_cure(error)}") from error

    def _refused(self, why: str) -> DefinitionError:
        return DefinitionError(f"{self.path}: {why}")

    # -- writing -----------------------------------------------------------------------

    def write(
        self,
        now: float,
        *entries: Entry,
        revision: int = 0,
        uids: int = 0,
        begun: bool = False,
    ) -> None:
        """Commit *entries* as one change, with time, counters and world as of then.

        Raises `Unavailable` if the file did not take it, and `Lost` if it is no longer
        ours.
        """
        if not self._own.is_there(_State.of(self.path)):
            raise Lost(
                f"{self.path} has been taken away; nothing can be written any more"
            )
        try:
            with nullcontext() if self._is_together else self._transaction():
                for entry in entries:
                    self._insert(now, entry)
                head = self._head
                self._head = head._replace(
                    begun=int(begun or head.begun),
                    time=max(head.time, float(now)),
                    revision=max(head.revision, revision),
                    uids=max(head.uids, uids),
                )
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _insert(self, now: float, entry: Entry) -> None:
        head, subject = self._head, (entry.key, entry.run)
        seq, ordinal = head.entries + 1, self._places.get(subject, 0) + 1
        controller = self.holder(entry.key, entry.token) if entry.token else ""
        row = entry_table.row(entry, seq, ordinal, float(now), controller, head.last)
        self._connection.execute(entry_table.INSERT, row)
        self._undo.append((subject, ordinal - 1))
        self._places[subject] = ordinal
        if entry.change == "Prune":
            del self._places[subject]
        self._head = head._replace(entries=seq, last=row[-1])

    def _put_world(self, world: str) -> None:
        self._connection.execute(_PUT_WORLD, (world,))
        self._head = self._head._replace(world=checksum((), world.encode()))

    def _put_head(self) -> None:
        self._connection.execute(_SET_HEAD, (*self._head, checksum(self._head)))

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
            self._check()
        except sqlite3.Error as error:
            raise Unavailable(f"{self.path}: {error}") from error

    def _check(self) -> None:
        """The compare of every write: nothing is kept of a process that was replaced."""
        (row,) = self._connection.execute(_GENERATION).fetchall()
        if row[0] != self._head.generation:
            raise Lost(
                f"{self.path} has been opened by somebody else since; nothing can be "
                "written from here any more"
            )
        if self._lost:
            raise Lost(self._lost)

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
            self._lost = f"{self.path}: {error}; it has less than was told"
            raise Lost(self._lost) from error
        finally:
            self._is_together = False
        if failed is not None:
            raise failed

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit what is written meanwhile, with the world as of then, or nothing."""
        before = self._head
        self._undo.clear()
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                self._check()
                yield
                if not self._connection.in_transaction:
                    # SQLite has taken it back by itself; a commit would pass in silence.
                    raise sqlite3.OperationalError("what was written was rolled back")
                world = self._kept_world if self.world is None else self.world()
                if world != self._kept_world:
                    self._put_world(world)
                self._put_head()
        except BaseException:
            self._head = before
            for subject, ordinal in reversed(self._undo):
                self._places[subject] = ordinal
            raise
        self._kept_world = world

    def world_as_left(self) -> str:
        """Return the text of the world at the last write, "" if there was none."""
        return self._kept_world

    def begin(self, now: float) -> None:
        """Remember that the first resources have all been created."""
        self.write(now, begun=True)


def text(raw: bytes) -> str:
    """Return *raw* as text, whatever has become of it."""
    return raw.decode(errors="replace")


def _nobody(_key: Key, _token: int) -> str:
    return ""


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


class _State(NamedTuple):
    """What tells a file from any other, and how many bytes it has."""

    device: int = -1
    inode: int = -1
    size: int = 0

    @classmethod
    def of(cls, path: Path) -> _State:
        """Return that of the file at *path*, which may not be there."""
        try:
            there = path.stat()
        except OSError:
            return cls()
        return cls(there.st_dev, there.st_ino, there.st_size)

    def is_there(self, now: _State) -> bool:
        """Whether it is the same file *now*, and has not been cut short."""
        return now[:2] == self[:2] and now.size >= self.size


def _cure(error: Exception) -> str:
    # What is above eight bits says more of the same kind of error.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return _CURES.get(code, "give another file")
