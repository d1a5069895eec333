"""The table of entries in a file: what its rows hold, and how damage in it is noticed.

A row is an entry of the journal: its number in the file, whose it is (a resource, or a
run of one) and its place among the entries of that, then time, token and holder of the
lease, and the change.  ``checksum`` is of all that and of ``before``, the checksum of the
row before it; ``owner`` is of number, subject and place alone, so that a row whose change
is damaged still tells whose it was.  Two kinds of rows are no changes: a `FOLD` is where
a run stood, so that nothing before it need be read, an `ACQUIRE` a lease that was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple, TypeAlias

from wfsim.errors import DefinitionError
from wfsim.model import change_json
from wfsim.model.memento import Memento, Quarantined, number_of
from wfsim.model.memento_json import MAX_BYTES
from wfsim.model.resource import Key, Resource
from wfsim.model.run import Run

FOLD = "Fold"
ACQUIRE = "Acquire"

MOST = 3 * MAX_BYTES
"""So many characters has the text of a change at most: an adoption has three parts."""

SCHEMA = (
    "CREATE TABLE entries (seq INTEGER PRIMARY KEY, kind TEXT, namespace TEXT, "
    "name TEXT, run TEXT, place INTEGER, time REAL, token INTEGER, controller TEXT, "
    "change TEXT, before BLOB, fields TEXT, owner BLOB, checksum BLOB)"
)
INSERT = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
SELECT = (
    "SELECT seq, kind, namespace, name, run, place, time, token, controller, change, "
    f"before, substr(fields, 1, {MOST + 1}), owner, checksum FROM entries ORDER BY seq"
)

_OWNER = 6  # so many columns tell whose the row is
_FIELDS = 11  # so many columns are before the text of the change

Subject: TypeAlias = tuple[Key, str | None]
"""Whose an entry is: a run, or (None) the resource itself."""


class Entry(NamedTuple):
    """What is to be kept: a *change* by its name, with the text of its fields."""

    key: Key
    run: str | None
    change: str
    fields: str
    token: int = 0


class Kept(NamedTuple):
    """What a file holds.

    *places* has how many entries there are of each subject, *damaged* the newest runs
    of resources that cannot be read, *unreadable* the resources of which that is true.
    """

    resources: dict[Key, Resource]
    unreadable: dict[Key, Quarantined]
    runs: dict[Key, list[Memento | Quarantined]]
    damaged: dict[Key, Quarantined]
    tokens: dict[Key, int]
    places: dict[Subject, int]


def checksum(columns: Iterable[Any], text: bytes = b"") -> bytes:
    """Return what tells a row with *columns* and that *text* from any other."""
    hashed = blake2b(repr(tuple(columns)).encode(), digest_size=8)
    hashed.update(text)
    return hashed.digest()


def row(
    entry: Entry, seq: int, ordinal: int, time: float, controller: str, before: bytes
) -> tuple[Any, ...]:
    """Return the row of *entry*, in the order of `INSERT`."""
    columns = (
        seq, *entry.key, entry.run, ordinal, time, entry.token, controller, entry.change,
        before,
    )  # fmt: skip
    raw = [each.encode() if type(each) is str else each for each in columns]
    sums = checksum(raw[:_OWNER]), checksum(raw, entry.fields.encode())
    return (*columns, entry.fields, *sums)


@dataclass(slots=True)
class _Chain:
    """The entries of one subject, as far as they still count."""

    place: int = 0
    seq: int = 0
    token: int = 0
    rows: list[tuple[int, float, str, bytes]] = field(default_factory=list)
    damage: str = ""
    text: bytes = b""

    def add(self, seq: int, time: float, token: int, change: str, fields: bytes) -> None:
        self.token = max(self.token, token)
        if change == ACQUIRE:
            return
        # Nothing before such an entry has a part in what it leads to.
        if change in _WHOLE:
            self.rows.clear()
        if change in _ENDS:
            self.damage, self.text = "", b""
        else:
            self.rows.append((seq, time, change, fields))


_ENDS = ("Delete", "Prune")
_WHOLE = (FOLD, "Begin", "Quarantine", "Create", "Move", "Edit", *_ENDS)


class EntryReader:
    """Reads all rows, and finds out what of them can be trusted.

    *rows* are those of `SELECT`, of which there should be *count*, the last with the
    checksum *last*.  *refused* makes an error of a text.  Where it is certain which runs
    and resources have lost an entry those are quarantined; else the file is refused.
    """

    def __init__(
        self,
        rows: Iterator[Any],
        count: int,
        last: bytes,
        refused: Callable[[str], DefinitionError],
    ) -> None:
        self._rows = rows
        self._count = count
        self._last = last
        self._refused = refused
        self._chains: dict[Subject, _Chain] = {}
        self._lost: list[int] = []
        """The rows of which nothing tells whose they were, in order."""
        self._missed = 0
        """How many entries runs and resources are known to have lost."""

    def read(self) -> Kept:
        """Return what the file holds, or raise `DefinitionError`."""
        self._link()
        if self._missed != len(self._lost):
            raise self._refused(
                f"{_rows_named(self._lost)} missing or damaged, and nothing tells whose "
                f"entry that was; {RESTORE}"
            )
        contents = Kept({}, {}, {}, {}, {}, {})
        damaged: dict[tuple[Key, str], Quarantined] = {}
        for (key, run), chain in self._chains.items():
            contents.places[key, run] = chain.place
            if run is None:
                self._keep_resource(contents, key, chain)
            elif chain.rows or chain.damage:
                entry, sound = _run_of(key, run, chain)
                contents.runs.setdefault(key, []).append(entry)
                if not sound and isinstance(entry, Quarantined):
                    damaged[key, run] = entry
        for key, runs in contents.runs.items():
            runs.sort(key=lambda entry: (number_of(entry.key), entry.key))
            if (key, runs[-1].key) in damaged:
                contents.damaged[key] = damaged[key, runs[-1].key]
        return contents

    def _keep_resource(self, contents: Kept, key: Key, chain: _Chain) -> None:
        if chain.token:
            contents.tokens[key] = chain.token
        if chain.damage:
            contents.unreadable[key] = _quarantined(key, "", chain.text, chain.damage)
        elif chain.rows:
            seq, _, change, raw = chain.rows[-1]
            try:
                contents.resources[key] = change_json.read_resource(raw.decode(), key)
            except ValueError as error:
                why = f"row {seq} is no {change} that can be read: {error}"
                contents.unreadable[key] = _quarantined(key, "", raw, why)

    def _link(self) -> None:
        """Put each row into the chain of its subject."""
        expected, before, sound = 1, b"", True
        for row in self._rows:
            seq = row[0]
            if not isinstance(seq, int) or not 1 <= seq <= self._count:
                raise self._refused(
                    f"row {seq} of its entries is not one of the {self._count} that "
                    "wfsim has written; delete it, or restore the file from a copy"
                )
            if seq < expected:
                raise self._refused(f"row {seq} is there twice; {RESTORE}")
            follows = sound and seq == expected
            self._lost.extend(range(expected, seq))
            expected = seq + 1
            fields, owner, own = row[_FIELDS:]
            sound = isinstance(fields, bytes)
            sound = sound and own == checksum(row[:_FIELDS], fields)
            if sound:
                if follows and row[_FIELDS - 1] != before:
                    raise self._refused(
                        f"row {seq} does not follow row {seq - 1}: one of them is of "
                        f"another file, or of another time of this one; {RESTORE}"
                    )
                self._add(row)
            elif owner == checksum(row[:_OWNER]):
                self._damage(row)
            else:
                self._lost.append(seq)
            before = own
        self._lost.extend(range(expected, self._count + 1))
        if sound and expected > self._count and before != self._last:
            raise self._refused(
                f"row {self._count} is not the last one that was written; {RESTORE}"
            )

    def _add(self, row: Any) -> None:
        """Add a row that is sound."""
        seq, kind, namespace, name, run, ordinal, time, token, _, change, _, fields = row[
            : _FIELDS + 1
        ]
        subject = _subject(kind, namespace, name, run)
        chain = self._at(subject, seq, ordinal)
        chain.add(seq, time, token, change.decode(), fields)
        if change == b"Prune":
            # A run may have the key of one that is gone.
            del self._chains[subject]

    def _damage(self, row: Any) -> None:
        """Mark the subject of a row that is damaged, but tells whose it is."""
        seq, kind, namespace, name, run, ordinal = row[:_OWNER]
        fields = row[_FIELDS]
        chain = self._at(_subject(kind, namespace, name, run), seq, ordinal)
        chain.damage = chain.damage or f"row {seq} is damaged: its checksum does not fit"
        chain.text = chain.text or (fields if isinstance(fields, bytes) else b"")

    def _at(self, subject: Subject, seq: int, ordinal: int) -> _Chain:
        """Return the chain, which now has an entry at *place*."""
        chain = self._chains.setdefault(subject, _Chain())
        missed = ordinal - chain.place - 1
        if missed < 0 and not (chain.damage and ordinal == 1):
            raise self._refused(
                f"row {seq} is entry {ordinal} of {_named(subject)}, as was "
                f"row {chain.seq}; {RESTORE}"
            )
        if missed > 0:
            self._missed += missed
            among = [number for number in self._lost if chain.seq < number < seq]
            chain.damage = chain.damage or f"{_rows_named(among)} missing or damaged"
        chain.place, chain.seq = ordinal, seq
        return chain


RESTORE = "restore the file from a copy, or give another one"


def _subject(kind: bytes, namespace: bytes, name: bytes, run: bytes | None) -> Subject:
    key = Key(kind.decode(), namespace.decode(), name.decode())
    return key, None if run is None else run.decode()


def _named(subject: Subject) -> str:
    key, run = subject
    return f"{key} {run}" if run else str(key)


def _rows_named(numbers: list[int]) -> str:
    """Return which rows these are, with the verb: of many not each is named."""
    if len(numbers) == 1:
        return f"row {numbers[0]} is"
    if not numbers:
        return "a row is"
    if numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"rows {numbers[0]} to {numbers[-1]} are"
    shown = [*map(str, numbers[:5]), "more"][: min(len(numbers), 6)]
    return f"rows {', '.join(shown[:-1])} and {shown[-1]} are"


def _quarantined(key: Key, run: str, raw: bytes, why: str) -> Quarantined:
    return Quarantined(run, key, raw.decode(errors="replace"), f"{why}; {_CURE}")


_CURE = "restore the file from a copy to go on with it"


def _run_of(key: Key, name: str, chain: _Chain) -> tuple[Memento | Quarantined, bool]:
    """Return what the entries fold to, and whether it is what was kept."""
    if chain.damage:
        return _quarantined(key, name, chain.text, chain.damage), False
    run = Run(name, key)
    for seq, time, change, raw in chain.rows:
        try:
            text = raw.decode()
            if change == FOLD:
                run.load(change_json.read_memento(text, key, name))
                continue
            decoded = change_json.decode(change, text, key, name)
            if change == "Quarantine":
                return decoded.entry, True
            decoded.apply(run, time)
        except (ValueError, IndexError, AttributeError) as error:
            why = f"row {seq} is no {change} that can be read: {error}"
            return _quarantined(key, name, raw, why), False
    return run.memento(), True
