"""Two logs side by side, aligned by what their records are of and not by when they are.

A record is the same one in both logs if it is of the same kind, resource, run, step and
attempt, and is as often so: an attempt that a crash has put off is *moved*, not another
one.  What it wrote is compared as what it changed, times left out.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, NamedTuple

from wfsim.model.log import EventLog, HasLog, log_of
from wfsim.model.memento import Memento
from wfsim.model.record import Kind, PoolState, Record
from wfsim.model.resource import Resource
from wfsim.report.changes import Change, changes

if TYPE_CHECKING:
    import pandas as pd

SAME, MOVED, CHANGED, ONLY_A, ONLY_B = "same", "moved", "changed", "only a", "only b"
STATUSES = (SAME, MOVED, CHANGED, ONLY_A, ONLY_B)
"""What may be said of a record of one of two logs, or of one that both have."""

MOST_ALIKE = 1000
"""Of more records of one identity the n-th is taken for the n-th, without a search."""

_TIMES = frozenset({"started", "finished", "wake", "deadline", "deleted"})
_COUNTERS = frozenset({"revision", "entered", "uid", "owner"})
_NOTED = frozenset(
    {
        *(Kind.CONTROLLER_STARTED, Kind.CONTROLLER_CRASHED, Kind.CONTROLLER_PAUSED),
        *(Kind.CONTROLLER_RESUMED, Kind.FAULT_ARMED, Kind.FAULT_FIRED, Kind.STEP_LOG),
    }
)
"""Kinds of which the text says what they are of."""


class Pair(NamedTuple):
    """One record as both logs have it; None where one has not, and what differs."""

    a: Record | None
    b: Record | None
    changes: tuple[Change, ...] = ()

    @property
    def changed(self) -> tuple[str, ...]:
        """The paths of what differs."""
        return tuple(change.path for change in self.changes)

    @property
    def status(self) -> str:
        """One of `STATUSES`."""
        if self.a is None or self.b is None:
            return ONLY_B if self.a is None else ONLY_A
        if self.changes:
            return CHANGED
        return SAME if self.a.time == self.b.time else MOVED


class _Side:
    """The records of one log by identity, each with what it says but for times."""

    def __init__(self, log: EventLog) -> None:
        self.records = list(log.records)
        self.by_identity: dict[Hashable, list[int]] = {}
        self.contents: list[dict[str, Any]] = []
        known: dict[tuple[str, ...], Any] = {}
        for index, record in enumerate(self.records):
            self.by_identity.setdefault(_identity(record), []).append(index)
            self.contents.append(_content(record, known))


def _identity(record: Record) -> Hashable:
    _, _, kind, resource, run, _, step, attempt, text, value, *_ = record
    if kind in _NOTED:
        return kind, resource, run, step, attempt, text
    if isinstance(value, PoolState):
        return kind, resource, run, step, attempt, value.name
    return kind, resource, run, step, attempt


def _content(record: Record, known: dict[tuple[str, ...], Any]) -> dict[str, Any]:
    """Return what *record* says, by path; *known* has the newest value of each."""
    value = record.value
    said = {"text": record.text, "cause": record.cause, "limit": record.limit}
    said |= {"controller": record.controller, "before": record.before}
    said = {name: part for name, part in said.items() if part not in ("", None)}
    if isinstance(value, (Memento, Resource)):
        of = (
            (record.resource, record.run)
            if isinstance(value, Memento)
            else (record.resource,)
        )
        wrote = changes(known.get(of), value)
        known[of] = value
        for path, _, after in wrote:
            last = path.rpartition(".")[2]
            if last not in _TIMES and path not in _COUNTERS:
                said[path] = after
    elif isinstance(value, PoolState):
        said |= value._asdict()
    return said


def pairs(log_a: EventLog, log_b: EventLog) -> list[Pair]:
    """Return every record of either log, those that both have as one.

    They are in the order of *log_a*; what only *log_b* has stands where it has it.
    """
    a, b = _Side(log_a), _Side(log_b)
    partner: dict[int, int] = {}
    for identity, mine in a.by_identity.items():
        theirs = b.by_identity.get(identity, [])
        partner.update(_aligned(a, mine, b, theirs))
    of_b = {theirs: mine for mine, theirs in partner.items()}
    # What only b has comes right after what both have that stands before it there.
    added: dict[int, list[int]] = {}
    last = -1
    for index in range(len(b.records)):
        if index in of_b:
            last = of_b[index]
        else:
            added.setdefault(last, []).append(index)
    found = [Pair(None, b.records[other]) for other in added.get(-1, ())]
    for index, record in enumerate(a.records):
        there = partner.get(index)
        if there is None:
            found.append(Pair(record, None))
        else:
            said = changes(a.contents[index], b.contents[there])
            found.append(Pair(record, b.records[there], said))
        found += [Pair(None, b.records[other]) for other in added.get(index, ())]
    return found


def _aligned(
    a: _Side, mine: Sequence[int], b: _Side, theirs: Sequence[int]
) -> Iterable[tuple[int, int]]:
    """Pair records of one identity: by what they say if one log has more of them."""
    if len(mine) == len(theirs) or max(len(mine), len(theirs)) > MOST_ALIKE:
        return list(zip(mine, theirs, strict=False))
    texts_a = [repr(a.contents[index]) for index in mine]
    texts_b = [repr(b.contents[index]) for index in theirs]
    matcher = SequenceMatcher(None, texts_a, texts_b, autojunk=False)
    found: list[tuple[int, int]] = []
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        if tag in ("equal", "replace"):
            found += zip(mine[i:i_end], theirs[j:j_end], strict=False)
    return found


def diff(a: EventLog | HasLog, b: EventLog | HasLog) -> pd.DataFrame:
    """Compare two logs, or those of two simulations, record by record.

    They are aligned by what a record is of (kind, resource, run, step, attempt), not by
    time.  One row per record of either, in the order of *a*; what only *b* has stands
    where *b* has it.

    ============ ======= =========================================================
    ``status``   text    ``same``, ``moved`` (in time, and nothing else),
                         ``changed``, ``only a``, ``only b``
    ``kind``     text    such as ``step.started``
    ``resource`` text
    ``run``      text    key of the memento of its run
    ``step``     text
    ``attempt``  int64   from 1; 0 for what is of no attempt
    ``text``     text    of *a*, or of *b* if only that has it
    ``time_a``   float64 seconds of virtual time, NaN if only *b* has it
    ``time_b``   float64 seconds of virtual time, NaN if only *a* has it
    ``shift``    float64 *time_b* - *time_a*
    ``record_a`` int64   its number in *a*, -1 if only *b* has it
    ``record_b`` int64   its number in *b*, -1 if only *a* has it
    ``changed``  text    what differs, by path: ``text, steps.Attach.output.volume``
    ============ ======= =========================================================

    Numbers of records and of revisions, tokens of leases, and times within a memento are
    not compared.  Raises `UsageError` for what is no log.
    """
    from wfsim.report.frames import table

    return table(COLUMNS, [_row(pair) for pair in pairs(log_of(a), log_of(b))], _DTYPES)


COLUMNS = (
    *("status", "kind", "resource", "run", "step", "attempt", "text", "time_a", "time_b"),
    *("shift", "record_a", "record_b", "changed"),
)
_DTYPES = {
    **dict.fromkeys(("time_a", "time_b", "shift"), "float64"),
    **dict.fromkeys(("record_a", "record_b"), "int64"),
}


def _row(pair: Pair) -> tuple[Any, ...]:
    a, b = pair.a, pair.b
    one = a or b
    assert one is not None
    time_a, time_b = (math.nan if r is None else r.time for r in (a, b))
    return (
        *(pair.status, one.kind.value, one.resource, one.run, one.step, one.attempt),
        *(one.text, time_a, time_b, time_b - time_a),
        *(-1 if r is None else r.seq for r in (a, b)),
        ", ".join(pair.changed),
    )
