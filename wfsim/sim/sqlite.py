"""Stores that outlive their process: the in-memory ones, with a file behind them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wfsim.engine.ports import Clock, Effect, Grant, Nothing
from wfsim.engine.service import KIND
from wfsim.errors import AlreadyExists, StoreError, Unavailable
from wfsim.model import change_json
from wfsim.model.journal import (
    Create,
    Delete,
    Edit,
    Journal,
    Move,
    Prune,
    Quarantine,
    refuse_old,
)
from wfsim.model.memento import Memento, Quarantined
from wfsim.model.memento_json import MAX_BYTES
from wfsim.model.record import Kind
from wfsim.model.resource import Key, Resource
from wfsim.model.run import Adopt, Begin, Change, Late, Run
from wfsim.sim.database import Database, Lost
from wfsim.sim.entry_table import ACQUIRE, FOLD, MOST, Entry
from wfsim.sim.stores import InMemoryLeases, InMemoryResources, InMemoryRuns

EACH = 100
"""A run of so many entries since its last fold is folded again."""


class SqliteResources(InMemoryResources):
    """Resources in a file; *journal* and *lag* as in memory."""

    def __init__(
        self, file: Database, clock: Clock, journal: Journal, *, lag: float = 0.0
    ) -> None:
        super().__init__(clock, journal, lag=lag)
        self._file = file
        self._load()

    def reload(self) -> None:
        """Read everything back from the file, as a process that starts would."""
        self._file.reread()
        self._load()

    def _load(self) -> None:
        file, contents = self._file, self._file.kept
        self._revision, self._uids = file.revision, file.uids
        file.unreadable.clear()
        file.unreadable.update(contents.unreadable)
        # A flow says itself that its run cannot be read.  Any other resource would begin
        # another run, and so make steps again of which nobody knows any more.
        file.unreadable.update(
            {key: bad for key, bad in contents.damaged.items() if key.kind != KIND}
        )
        self._objects.clear()
        self._objects.update(
            {
                key: resource
                for key, resource in contents.resources.items()
                if key not in file.unreadable
            }
        )

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
        if before is not None and _ends(after):
            # `_take_away` follows; here, since both are one change and one commit.
            self._write(after.key, Delete(after), token, revision + 1)
        else:
            written = after._replace(revision=revision)
            if before is None:
                change: Any = Create(written)
            else:
                kind = Edit if before.state == after.state else Move
                change = kind(before, written)
            self._write(after.key, change, token, revision)
        return super()._put(before, after, token)

    def _take_away(self, resource: Resource, token: int) -> None:
        if not _ends(resource):
            self._write(resource.key, Delete(resource), token, self._revision + 1)
        super()._take_away(resource, token)

    def _write(self, key: Key, change: Any, token: int, revision: int) -> None:
        entry = _entry(key, None, change, token)
        self._file.write(self._clock.now, entry, revision=revision, uids=self._uids)


def _ends(resource: Resource) -> bool:
    return resource.deleted is not None and not resource.finalizers


class SqliteRuns(InMemoryRuns):
    """Runs in a file: their changes, and now and then where they stand."""

    def __init__(self, file: Database, clock: Clock, journal: Journal) -> None:
        super().__init__(journal)
        self._file = file
        self._clock = clock
        self.append = self._append_to_file
        self._since: dict[Run, int] = {}
        """How many entries of a run under way there are since its last fold."""
        self._loaded = {
            key: runs
            for key, runs in file.kept.runs.items()
            if key not in file.unreadable
        }

    def loaded(self) -> dict[Key, list[Memento | Quarantined]]:
        """Return what the file held when it was opened, oldest run first."""
        return self._loaded

    def remove(self, key: Key, run: str, token: int) -> Nothing:
        """Forget the run, if it is there."""
        refuse_old(token, key, self._tokens)
        former = self._journal.runs.get(key, {}).get(run)
        if former is not None:
            entry = _entry(key, run, Prune(key, run), token)
            self._file.write(self._clock.now, entry)
            if isinstance(former, Run):
                self._since.pop(former, None)
        return super().remove(key, run, token)

    def put(self, entry: Memento | Quarantined) -> None:
        """Keep *entry* as it was found, before anything runs."""
        change = Quarantine(entry) if isinstance(entry, Quarantined) else Begin(entry)
        self._file.write(self._clock.now, _entry(entry.resource, entry.key, change, 0))
        self.recall(entry)

    def _append_to_file(self, run: Run, change: Change, token: int) -> Nothing:
        """Apply *change* to *run* and keep it, or raise `Fenced`."""
        refuse_old(token, run.resource, self._tokens)
        if self._journal.keeps(run, change):
            return ()
        entries = [_entry(run.resource, run.key, change, token)]
        since = self._since.get(run, 0) + 1
        if since >= EACH or change.kind in _ENDS:
            entries += self._fold(run, change, token)
            since = 0
        # The file first: what it does not take has not happened.
        try:
            self._file.write(self._clock.now, *entries)
        except Unavailable as error:
            return _failing(error)
        self._journal.append(run, change, token)
        if change.kind in _ENDS:
            self._since.pop(run, None)
        else:
            self._since[run] = since
        return ()

    def _fold(self, run: Run, change: Change, token: int) -> list[Entry]:
        """Return where *change* leaves *run*; nothing if that is too long to be read."""
        draft = run.copy()
        change.apply(draft, self._clock.now)
        _, written = change_json.encode(Begin(draft.memento()))
        if len(written) > MAX_BYTES:
            return []
        return [Entry(run.resource, run.key, FOLD, written, token)]


_ENDS = frozenset(
    {
        Kind.RUN_COMPLETED,
        Kind.RUN_FAILED,
        Kind.RUN_CANCELLED,
        Kind.RUN_SUPERSEDED,
        Kind.RUN_INTERRUPTED,
    }
)
"""What ends a run; of one that has ended nothing but the last fold is read."""


def _failing(error: Exception) -> Effect[None]:
    """Return the write that fails with *error*."""
    raise error
    yield


class SqliteLeases(InMemoryLeases):
    """Leases of this process, with tokens that are new to every later one too."""

    def __init__(
        self, file: Database, clock: Clock, *, length: float, renew: float
    ) -> None:
        super().__init__(clock, length=length, renew=renew)
        self._file = file
        self.tokens.update(file.kept.tokens)
        file.holder = self.holder

    def acquire(self, key: Key, holder: str, freed: Callable[[], None]) -> Effect[Grant]:
        """Return a new token, or call *freed* once when it is worth asking again."""
        grant = yield from super().acquire(key, holder, freed)
        if grant.token is not None:
            # Before anybody knows of it: no later process gives the same one again.
            entry = Entry(key, None, ACQUIRE, "{}", grant.token)
            self._file.write(self._clock.now, entry)
        return grant


def _entry(key: Key, run: str | None, change: Any, token: int) -> Entry:
    """Return what the file is to keep, or raise `StoreError`."""
    what = key if run is None else run
    try:
        name, written = change_json.encode(change)
    except (TypeError, ValueError) as error:
        raise StoreError(f"{what}: {error}") from error
    inner = change.change if isinstance(change, Late) else change
    most = MOST if isinstance(inner, Adopt) else MAX_BYTES
    if len(written) > most:
        raise StoreError(f"{what} has {len(written)} characters; {most} are kept")
    return Entry(key, run, name, written, token or 0)


__all__ = ["Database", "Lost", "SqliteLeases", "SqliteResources", "SqliteRuns"]
