"""Replay: what was durable at any moment of a log.

>>> from wfsim.model.log import EventLog
>>> from wfsim.model.record import Kind, Record
>>> one = EventLog([Record(0, 0.0, Kind.CONTROLLER_STARTED, text="controller-0")])
>>> two = EventLog([Record(0, 1.0, Kind.CONTROLLER_STARTED, text="controller-0")])
>>> diff(one, two)
the logs part at record 0, in time:
  a  #0 0.000 s controller.started: controller-0
  b  #0 1.000 s controller.started: controller-0
>>> diff(one, one) is None
True
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterator, Mapping
from itertools import zip_longest
from typing import Any, Generic, NamedTuple, TypeVar

from wfsim.model.log import EventLog, HasLog, Snapshot, log_of
from wfsim.model.memento import Memento
from wfsim.model.record import Kind, Record
from wfsim.model.resource import Resource

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def state_at(log: EventLog | HasLog, t: float) -> Snapshot:
    """Return what was durable at *t* seconds of virtual time, when all was done then.

    Its *time* is that of the last record; before the first one nothing was durable.
    """
    log = log_of(log)
    return log.fold(bisect_right(log.records, t, key=lambda record: record.time))


def frames(log: EventLog | HasLog) -> Iterator[tuple[Record, Snapshot]]:
    """Yield each record with what was durable after it; equal to folding every prefix.

    Every snapshot stays as it was, and none is copied: one costs no more than a record.
    """
    resources: _Feed[str, Resource] = _Feed()
    mementos: _Feed[tuple[str, str], Memento] = _Feed()
    for number, record in enumerate(log_of(log).records):
        value = record.value
        if record.kind is Kind.RESOURCE_DELETED:
            resources.put(number, record.resource, None)
        elif record.kind is Kind.RUN_PRUNED:
            mementos.put(number, (record.resource, record.run), None)
        elif isinstance(value, Memento):
            mementos.put(number, (record.resource, record.run), value)
        elif isinstance(value, Resource):
            resources.put(number, record.resource, value)
        yield record, Snapshot(record.time, resources.at(number), mementos.at(number))


class _Feed(Generic[K, V]):
    """Every version of every key, by the number of the record that brought it."""

    def __init__(self) -> None:
        self.versions: dict[K, tuple[list[int], list[V | None]]] = {}

    def put(self, number: int, key: K, value: V | None) -> None:
        numbers, values = self.versions.setdefault(key, ([], []))
        numbers.append(number)
        values.append(value)

    def at(self, number: int) -> Mapping[K, V]:
        return _AsOf(self.versions, number)


class _AsOf(Mapping[K, V]):
    """The newest version of each key as of one record; later ones are not seen."""

    __slots__ = ("_number", "_versions")

    def __init__(
        self, versions: Mapping[K, tuple[list[int], list[V | None]]], number: int
    ) -> None:
        self._versions = versions
        self._number = number

    def __getitem__(self, key: K) -> V:
        numbers, values = self._versions[key]
        place = bisect_right(numbers, self._number)
        value = values[place - 1] if place else None
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[K]:
        return (key for key in list(self._versions) if self.get(key) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))


class Difference(NamedTuple):
    """Where two logs part: a record's number, and each log's record (None: over)."""

    number: int
    a: Record | None
    b: Record | None

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields that differ; none if one of the logs is over."""
        if self.a is None or self.b is None:
            return ()
        pairs: Any = zip(Record._fields, self.a, self.b, strict=True)
        return tuple(name for name, mine, theirs in pairs if mine != theirs)

    def __repr__(self) -> str:
        where = f", in {', '.join(self.fields)}" if self.fields else ""
        return "\n".join(
            (
                f"the logs part at record {self.number}{where}:",
                f"  a  {'(over)' if self.a is None else self.a}",
                f"  b  {'(over)' if self.b is None else self.b}",
            )
        )


def diff(log_a: EventLog | HasLog, log_b: EventLog | HasLog) -> Difference | None:
    """Return the first record at which the logs part, None if all records are equal.

    What ran (the logs' *meta*) is not compared.
    """
    pairs = zip_longest(log_of(log_a).records, log_of(log_b).records)
    for number, (a, b) in enumerate(pairs):
        if a != b:
            return Difference(number, a, b)
    return None
