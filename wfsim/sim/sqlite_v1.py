"""Files of version 1, with a memento for each run, and what they are as entries."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any, NamedTuple

from wfsim.errors import MementoError
from wfsim.model import change_json
from wfsim.model.journal import Quarantine
from wfsim.model.memento import Memento, Quarantined, number_of
from wfsim.model.memento_json import MAX_BYTES
from wfsim.model.resource import Key
from wfsim.model.run import Begin
from wfsim.sim.entry_table import ACQUIRE, Entry

TABLES = ("resources", "mementos", "tokens")

_HEAD = "SELECT generation, begun, time, revision, uids FROM wfsim"
_WORLD = "SELECT text FROM world"
# What is longer than its limit is read no further.
_RESOURCES = "SELECT kind, namespace, name, substr(text, 1, ?), NULL FROM resources"
_MEMENTOS = "SELECT kind, namespace, name, substr(text, 1, ?), run FROM mementos"
_TOKENS = "SELECT kind, namespace, name, token, NULL FROM tokens"


class FirstVersion(NamedTuple):
    """What such a file holds."""

    generation: int
    begun: int
    time: float
    revision: int
    uids: int
    world: str
    entries: list[Entry]


def read(connection: sqlite3.Connection) -> FirstVersion:
    """Return what the file of version 1 holds; a text is bytes to *connection*."""
    (head,) = connection.execute(_HEAD).fetchall()
    world = b"".join(raw for (raw,) in connection.execute(_WORLD))
    entries = [
        # One that cannot be read is kept as it is, and is let alone as before.
        Entry(key, None, "Create", _text(raw))
        for key, raw, _ in _rows(connection, _RESOURCES, MAX_BYTES + 1)
    ]
    for key, token, _ in _rows(connection, _TOKENS):
        entries.append(Entry(key, None, ACQUIRE, "{}", token))
    mementos = _rows(connection, _MEMENTOS, MAX_BYTES + 1)
    runs = [(key, _text(run), raw) for key, raw, run in mementos]
    runs.sort(key=lambda each: (each[0], number_of(each[1]), each[1]))
    entries += [_run(key, run, raw) for key, run, raw in runs]
    generation, begun, time, revision, uids = head
    return FirstVersion(generation, begun, time, revision, uids, _text(world), entries)


def _rows(
    connection: sqlite3.Connection, sql: str, *values: int
) -> Iterator[tuple[Key, Any, Any]]:
    for kind, namespace, name, text, rest in connection.execute(sql, values):
        yield Key(_text(kind), _text(namespace), _text(name)), text, rest


def _run(key: Key, run: str, raw: bytes) -> Entry:
    try:
        memento = Memento.from_json(run, raw.decode(), kind=key.kind)
    except (MementoError, UnicodeDecodeError) as error:
        change: Any = Quarantine(Quarantined(run, key, _text(raw), str(error)))
    else:
        change = Begin(memento._replace(resource=key))
    return Entry(key, run, *change_json.encode(change))


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")
