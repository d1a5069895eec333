"""Lineage: what a record depends on, and what depended on it.

Links are read off the fields of records, never off their texts.  The rules:

============== ===================================================================
``run``        a record of a run goes on from the one of that run before it
``request``    a run is created because of the state that its resource has entered
``value``      the write of a resource goes on from the one before it
``step``       what is written under the lease of a run is written by its step
``written``    a step or run that ends has written its resource before
``move``       a resource moves because its run has ended, or was interrupted
``controller`` the first record under a new lease needs the controller to be up
``crash``      a controller starts anew because it has crashed
``fault``      what happens right when a fault fires is its doing
``armed``      a fault fires because it was armed
``pool``       a place in a pool is granted to who queued for it
============== ===================================================================
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from wfsim.errors import UsageError
from wfsim.model.log import EventLog, HasLog, log_of
from wfsim.model.memento import Memento
from wfsim.model.record import OF_RESOURCES, OF_RUNS, Kind, PoolState, Record
from wfsim.model.resource import Resource

if TYPE_CHECKING:
    import pandas as pd

NEEDED, FOLLOWED = "needed", "followed"

_MOVES = frozenset(
    {
        *(Kind.RUN_COMPLETED, Kind.RUN_INTERRUPTED, Kind.RUN_FAILED, Kind.RUN_CANCELLED),
        *(Kind.RUN_RECOVERED, Kind.RUN_SUPERSEDED, Kind.RUN_QUARANTINED),
    }
)
_NOTES_OF_FAULTS = frozenset({Kind.FAULT_ARMED, Kind.FAULT_FIRED})


class Link(NamedTuple):
    """The record *after* depends on the record *before*, both by index, by *rule*."""

    before: int
    after: int
    rule: str


def links(log: EventLog) -> list[Link]:
    """Return every link between two records of *log*, by the record that depends."""
    reader = _Reader()
    for index, record in enumerate(log.records):
        reader.take(index, record)
    return reader.links


class _Reader:
    """What has been read so far: the newest record of each run, resource, controller."""

    def __init__(self) -> None:
        self.links: list[Link] = []
        self._run: dict[tuple[str, str], int] = {}
        self._ended: dict[str, int] = {}
        self._value: dict[str, int] = {}
        self._entered: dict[tuple[str, int], int] = {}
        self._at_work: dict[tuple[str, int], int] = {}
        self._wrote: dict[tuple[str, int], int] = {}
        self._started: dict[str, int] = {}
        self._crashed: dict[str, int] = {}
        self._token: dict[str, int] = {}
        self._armed: dict[str, int] = {}
        self._queued: dict[tuple[str, ...], int] = {}
        self._fired: tuple[int, float] | None = None

    def take(self, index: int, record: Record) -> None:
        kind = record.kind
        fired = self._fired
        if fired is not None and kind not in _NOTES_OF_FAULTS:
            self._fired = None
            if fired[1] == record.time:
                self._link(fired[0], index, "fault")
        if kind is Kind.FAULT_ARMED:
            self._armed[record.text] = index
        elif kind is Kind.FAULT_FIRED:
            self._link(self._armed.get(record.text), index, "armed")
            self._fired = index, record.time
        elif kind is Kind.CONTROLLER_CRASHED:
            name = record.controller or record.text
            self._link(self._started.pop(name, None), index, "controller")
            self._crashed[name] = index
        elif kind is Kind.CONTROLLER_STARTED:
            name = record.controller or record.text
            self._link(self._crashed.pop(name, None), index, "crash")
            self._started[name] = index
        elif record.resource:
            self._of_resource(index, record)

    def _of_resource(self, index: int, record: Record) -> None:
        kind, name = record.kind, record.resource
        if record.controller and self._token.get(name) != record.token:
            self._token[name] = record.token
            self._link(self._started.get(record.controller), index, "controller")
        if isinstance(record.value, Resource) or kind is Kind.RESOURCE_DELETED:
            self._written(index, record)
        elif record.run:
            self._in_run(index, record)
        if isinstance(record.value, PoolState):
            self._pooled(index, record)

    def _in_run(self, index: int, record: Record) -> None:
        run = record.resource, record.run
        lease = record.resource, record.token
        last = self._run.get(run)
        if last is None and isinstance(record.value, Memento):
            place = record.resource, record.value.entered
            cause = self._entered.get(place, self._value.get(record.resource))
            self._link(cause, index, "request")
        self._link(last, index, "run")
        if record.token and record.kind in OF_RUNS:
            self._link(self._wrote.pop(lease, None), index, "written")
            self._at_work[lease] = index
        self._run[run] = index
        if record.kind in _MOVES:
            self._ended[record.resource] = index

    def _written(self, index: int, record: Record) -> None:
        name = record.resource
        self._link(self._value.get(name), index, "value")
        if record.kind is Kind.RESOURCE_DELETED:
            self._value.pop(name, None)
            return
        self._value[name] = index
        lease = name, record.token
        if record.kind is Kind.RESOURCE_STATE:
            self._link(self._ended.pop(name, None), index, "move")
        elif record.token:
            self._link(self._at_work.get(lease), index, "step")
            self._wrote[lease] = index
        if record.kind in OF_RESOURCES:
            self._entered.setdefault((name, record.value.entered), index)

    def _pooled(self, index: int, record: Record) -> None:
        who = record.resource, record.run, record.step, record.value.name
        if record.kind is Kind.POOL_QUEUED:
            self._queued[who] = index
        elif record.kind is Kind.POOL_GRANTED:
            self._link(self._queued.pop(who, None), index, "pool")

    def _link(self, before: int | None, after: int, rule: str) -> None:
        if before is not None:
            self.links.append(Link(before, after, rule))


class Lineage:
    """All links of *log*, to be asked for those of one record after the other."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self._before: dict[int, list[Link]] = defaultdict(list)
        self._after: dict[int, list[Link]] = defaultdict(list)
        for link in links(log):
            self._before[link.after].append(link)
            self._after[link.before].append(link)

    def of(self, record: Record | int, depth: int | None = None) -> pd.DataFrame:
        """Return what `lineage` does of *record*."""
        from wfsim.report.frames import table

        index = _index(self.log, record)
        if depth is not None and depth < 1:
            raise UsageError(f"depth is {depth!r}; give 1 or more, or None for all")
        rows = [
            *_walk(self.log, index, self._before, depth, 0),
            *_walk(self.log, index, self._after, depth, 1),
        ]
        return table(COLUMNS, rows, _DTYPES)


def lineage(
    log: EventLog | HasLog, record: Record | int, *, depth: int | None = None
) -> pd.DataFrame:
    """Return what *record* (or the one at that index) depends on, and what did on it.

    One row per link, those that it needed first, each in the order of the log; *depth*
    says how many links away they may be (None: all).  The rules are at the head of
    `wfsim.report.lineage`.

    ============ ======= =========================================================
    ``role``     text    ``needed``: before it; ``followed``: after it
    ``link``     text    by which rule: run, request, value, step, written, move,
                         controller, crash, fault, armed, pool
    ``distance`` int64   how many links from *record*, from 1
    ``record``   int64   the number of the record at the far end
    ``of``       int64   that of the one nearer to *record* that it is linked with
    ``time``     float64 of the one at the far end, in seconds of virtual time
    ``kind``     text    its kind
    ``resource`` text
    ``run``      text    key of the memento of its run
    ``step``     text
    ``attempt``  int64   from 1; 0 for what is of no attempt
    ============ ======= =========================================================

    Raises `UsageError` for a record that is not in the log, or a *depth* below 1.
    """
    return Lineage(log_of(log)).of(record, depth)


COLUMNS = (
    *("role", "link", "distance", "record", "of", "time", "kind", "resource", "run"),
    *("step", "attempt"),
)
_DTYPES = dict.fromkeys(("distance", "record", "of"), "int64")


def _index(log: EventLog, record: Record | int) -> int:
    if isinstance(record, Record):
        index = bisect_left(log.records, record.seq, key=lambda each: each.seq)
        if index < len(log) and log.records[index] == record:
            return index
        raise UsageError(f"lineage: {record!r} is not in this log")
    if not isinstance(record, int) or not -len(log) <= record < len(log):
        raise UsageError(f"lineage: no record {record!r} in a log of {len(log)} records")
    return record % len(log)


def _walk(
    log: EventLog,
    start: int,
    steps: Mapping[int, Sequence[Link]],
    depth: int | None,
    far: int,
) -> Iterable[tuple[Any, ...]]:
    """Return the rows of all that *steps* lead to; *far* is the far end of a link."""
    distances = {start: 0}
    front, found = [start], []
    while front and (depth is None or distances[front[0]] < depth):
        behind: list[int] = []
        for here in front:
            for link in steps.get(here, ()):
                there = (link.before, link.after)[far]
                if there not in distances:
                    distances[there] = distances[here] + 1
                    behind.append(there)
                found.append((there, here, link.rule, distances[here] + 1))
        front = behind
    role = (NEEDED, FOLLOWED)[far]
    rows = []
    for there, here, rule, distance in sorted(found):
        record = log.records[there]
        rows.append(
            (
                *(role, rule, distance, record.seq, log.records[here].seq, record.time),
                *(record.kind.value, record.resource, record.run, record.step),
                record.attempt,
            )
        )
    return rows
