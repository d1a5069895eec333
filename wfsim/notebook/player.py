"""A cursor over a log: what was so after each record, forwards and backwards.

The cursor stands after a record, or before the first.  Everything a player shows is
computed from the log alone, so a log read from a file can be played as well.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from typing import Any

from wfsim.errors import UsageError
from wfsim.model.log import EventLog, HasLog, Snapshot, log_of
from wfsim.model.machine import Edge
from wfsim.model.memento import Memento, StepMemento
from wfsim.model.memento_json import to_dict
from wfsim.model.record import Kind, Record
from wfsim.model.resource import Resource
from wfsim.report.changes import Change, changes
from wfsim.report.replay import frames

NEAR = 100
"""So many records ahead each snapshot on the way is kept."""


class Player:
    """A cursor over *log*, or over the log that a Simulation has so far and will have.

    >>> from wfsim.model.record import Kind, Record
    >>> first = Record(0, 1.0, Kind.RESOURCE_CREATED, "mpd-0")
    >>> second = Record(1, 2.5, Kind.STEP_LOG, "mpd-0", step="InitMeta", text="begun")
    >>> player = Player(EventLog([first, second]))
    >>> player
    <Player before the first of 2 records>
    >>> player.step() is first, player.step() is second, player.step()
    (True, True, None)
    >>> player
    <Player at 2 of 2: #1 2.500 s step.log mpd-0 InitMeta: begun>
    >>> player.seek(time=2.0) is first, player.position, player.state.time
    (True, 1, 1.0)
    """

    def __init__(self, log: EventLog | HasLog) -> None:
        self.log = log = log_of(log)
        self._position = 0
        self._frames = frames(log)
        self._snapshots = [Snapshot(0.0, {}, {})]
        self._folded: dict[int, Snapshot] = {}
        self._crews: tuple[int, list[tuple[int, tuple[str, ...]]]] = (-1, [])

    def __len__(self) -> int:
        return len(self.log)

    def __repr__(self) -> str:
        if self.record is None:
            return f"<Player before the first of {len(self)} records>"
        return f"<Player at {self._position} of {len(self)}: {self.record}>"

    def _repr_html_(self) -> str:
        from wfsim.notebook import view

        return view.still(self)

    # -- moving ------------------------------------------------------------------

    def step(self) -> Record | None:
        """Move to the next record and return it; None at the end, where it stays."""
        if self._position == len(self):
            return None
        self._position += 1
        return self.record

    def back(self) -> Record | None:
        """Move to the record before and return it; None when there is none before."""
        if self._position:
            self._position -= 1
        return self.record

    def next(self, where: Callable[[Record], object]) -> Record | None:
        """Move to the next record that *where* accepts and return it.

        *where* is any function of a record, such as `wfsim.step_started` returns.  None,
        and the cursor stays, if there is no such record.
        """
        return self._first(range(self._position, len(self)), where)

    def previous(self, where: Callable[[Record], object]) -> Record | None:
        """Move to the last record before the cursor's that *where* accepts; as `next`."""
        return self._first(range(self._position - 2, -1, -1), where)

    def _first(self, indices: range, where: Callable[[Record], object]) -> Record | None:
        for index in indices:
            if where(self.log.records[index]):
                self._position = index + 1
                return self.record
        return None

    def seek(
        self,
        record: Record | int | None = None,
        *,
        time: float | None = None,
        seq: int | None = None,
    ) -> Record | None:
        """Move to *record*, or to the last one at or before *time* (seconds).

        A number is an index as in ``log[number]``; *seq* is the one that a record bears:
        if there is none of it the cursor stays, and None is returned.  With neither, and
        with a time before the first record, the cursor is put before the first.  Returns
        the record at the cursor.  Raises `UsageError` for what is not in the log.
        """
        if seq is not None:
            index = bisect_left(self.log.records, seq, key=lambda r: r.seq)
            if index == len(self) or self.log.records[index].seq != seq:
                return None
            self._position = index + 1
        elif time is not None:
            if record is not None:
                raise UsageError("seek: give a record or a time, not both")
            self._position = bisect_right(self.log.records, time, key=lambda r: r.time)
        elif record is None:
            self._position = 0
        else:
            self._position = self._index(record) + 1
        return self.record

    def _index(self, record: Record | int) -> int:
        count = len(self)
        if isinstance(record, Record):
            records = self.log.records
            index = bisect_left(records, record.seq, key=lambda r: r.seq)
            if index < count and records[index] == record:
                return index
            raise UsageError(f"seek: {record!r} is not in this log")
        if not isinstance(record, int):
            raise UsageError(f"seek: {record!r} is no index; for a time: seek(time=...)")
        if not -count <= record < count:
            raise UsageError(f"seek: no record {record} in a log of {count} records")
        return record % count

    # -- looking -----------------------------------------------------------------

    @property
    def position(self) -> int:
        """How many records the cursor has behind it: 0 before the first."""
        return self._position

    @property
    def record(self) -> Record | None:
        """The record at the cursor; None before the first."""
        return self.log.records[self._position - 1] if self._position else None

    @property
    def time(self) -> float:
        """The virtual time at the cursor, in seconds."""
        return self.record.time if self.record else 0.0

    @property
    def state(self) -> Snapshot:
        """What was durable at the cursor, as `EventLog.fold` of all up to it gives it."""
        return self._snapshot(self._position)

    @property
    def resource(self) -> Resource | None:
        """The resource that the record at the cursor, or else the last one, is about."""
        return self.state.resources.get(self._subject())

    @property
    def memento(self) -> Memento | None:
        """The run that the record at the cursor is about.

        If it is about none: the newest run of `resource`; None if that has none.
        """
        subject, mementos = self._subject(), self.state.mementos
        if self.record and self.record.run:
            return mementos.get((subject, self.record.run))
        runs = [memento for (name, _), memento in mementos.items() if name == subject]
        return max(runs, key=lambda run: run.number, default=None)

    @property
    def steps(self) -> tuple[StepMemento, ...]:
        """The steps of `memento`: name, status, attempts and times at the cursor."""
        return self.memento.steps if self.memento else ()

    @property
    def memento_changes(self) -> tuple[Change, ...]:
        """What the record at the cursor changed in the text of `memento`.

        A path names keys and positions: ``runningSteps.1.stepStatus``.  Empty if the
        record wrote no memento.
        """
        record = self.record
        if record is None or not isinstance(record.value, Memento):
            return ()
        known = self._snapshot(self._position - 1).mementos
        before = known.get((record.resource, record.run))
        return changes(to_dict(before) if before else {}, to_dict(record.value))

    @property
    def resource_changes(self) -> tuple[Change, ...]:
        """What the record at the cursor changed in `resource`: ``spec.size``.

        Empty if it wrote no resource, or created one.
        """
        record = self.record
        if record is None or not isinstance(record.value, Resource):
            return ()
        before = self._snapshot(self._position - 1).resources.get(record.resource)
        if before is None:
            return ()
        return tuple(
            change
            for change in changes(before, record.value)
            if change.path not in ("revision", "entered")
        )

    @property
    def controllers(self) -> tuple[str, ...]:
        """The names of the controllers that are up at the cursor."""
        if self.record is None:
            return ()
        if self._crews[0] != len(self):
            self._crews = len(self), self._listed_crews()
        crews = self._crews[1]
        at = bisect_right(crews, self.record.seq, key=lambda crew: crew[0])
        return crews[at - 1][1] if at else ()

    def _listed_crews(self) -> list[tuple[int, tuple[str, ...]]]:
        """Return who was up from which record on, by its number."""
        crews: list[tuple[int, tuple[str, ...]]] = []
        up: dict[str, None] = {}
        records = self.log.filter(Kind.CONTROLLER_STARTED, Kind.CONTROLLER_CRASHED)
        for record in records:
            name = record.controller or record.text
            up.pop(name, None)
            if record.kind is Kind.CONTROLLER_STARTED:
                up[name] = None
            crews.append((record.seq, tuple(up)))
        return crews

    @property
    def edges(self) -> tuple[Edge, ...]:
        """The arrows of the state graph of `resource`; empty if the log has none."""
        graphs: Mapping[str, Any] = self.log.meta.get("edges", {})
        if self.resource is not None:
            return tuple(Edge(*edge) for edge in graphs.get(self.resource.kind, ()))
        return tuple(Edge(*edge) for edges in graphs.values() for edge in edges)

    def _subject(self) -> str:
        """The name of the resource that was last spoken of."""
        records = self.log.records
        for index in range(self._position - 1, -1, -1):
            if records[index].resource:
                return records[index].resource
        return ""

    def _snapshot(self, position: int) -> Snapshot:
        """Return what was durable after so many records; the log may have grown."""
        if position >= len(self._snapshots) + NEAR:
            # A jump ahead: to keep each snapshot on the way takes ten times as long.
            if position not in self._folded:
                kept = [*self._folded.items()][-1:]
                self._folded = dict([*kept, (position, self.log.fold(position))])
            return self._folded[position]
        while len(self._snapshots) <= position:
            self._snapshots.append(next(self._frames)[1])
        return self._snapshots[position]
