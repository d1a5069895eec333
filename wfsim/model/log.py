"""The log of a run: the journal, looked at.

A log cannot disagree with the stores, since both are folds of the same entries;
folding any prefix of it gives what was durable at that moment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, overload

from wfsim.errors import DefinitionError, UsageError
from wfsim.model.frozen import EMPTY, Frozen, freeze
from wfsim.model.journal import Journal
from wfsim.model.memento import Memento
from wfsim.model.record import Kind, Record
from wfsim.model.resource import Resource

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
        end = self.records[-1].time if self.records else 0.0
        return f"<EventLog {len(self)} records, {end:.3f} s, digest {self.digest()}>"

    def filter(
        self, *kinds: Kind, resource: str = "", run: str = "", step: str = ""
    ) -> list[Record]:
        """Return the records of any of *kinds* (all, if none) and of what else is set."""
        records: Iterable[Record] = self.records
        if kinds and isinstance(self.records, Journal):
            records = self.records.of_kinds(kinds)
        return [
            record
            for record in records
            if (not kinds or record.kind in kinds)
            and (not resource or record.resource == resource)
            and (not run or record.run == run)
            and (not step or record.step == step)
        ]

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
        from wfsim.model.log_lines import lines

        return lines(self.records, self.meta)

    def digest(self) -> str:
        """Return sixteen hex digits that any difference between two logs changes."""
        if self._digested is None or self._digested[0] != len(self.records):
            digest = hashlib.blake2b(digest_size=8)
            for line in self.lines():
                digest.update(line.encode())
            self._digested = len(self.records), digest.hexdigest()
        return self._digested[1]

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
        from wfsim.model.log_lines import read

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


__all__ = ["EventLog", "HasLog", "Snapshot", "log_of"]
