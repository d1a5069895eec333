"""What would be noticed too late: read off a log, each once with a count.

A notice is no error: the run went on.  But somebody who reads the outcome alone would
take it for what it is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from wfsim.model.memento import Memento, RunStatus, StepStatus
from wfsim.model.record import Kind, Record
from wfsim.model.resource import CREATING

if TYPE_CHECKING:
    from wfsim.model.log import EventLog

SAME_EVENT = 20
"""So many runs in a row for the same event, with no time between them, are noticed."""

MOST_NAMED = 3
"""Of more subjects the first are named."""


class NoticeKind(StrEnum):
    """What a notice is about."""

    SAME_EVENT = "same event"
    CHECK_FAILED = "check failed"
    UNFINISHED = "unfinished"
    STUCK = "stuck"
    WAITS_FOR_NOBODY = "waits for nobody"
    NEVER_FIRED = "never fired"


class Notice(NamedTuple):
    """Something that was noticed *times* times, first at *time* (virtual seconds).

    *subject* is the resource, the run or the fault that it is about (the first ones, if
    there are several), *text* says what was noticed and what to ask oneself, *where* is
    the line of code, if there is one.
    """

    kind: NoticeKind
    subject: str
    text: str
    times: int
    time: float
    where: str = ""

    def __str__(self) -> str:
        times = f" ({self.times:,} times)" if self.times > 1 else ""
        where = f" ({self.where})" if self.where else ""
        return f"{self.subject}: {self.text}{where}{times}"


class Notices(tuple[Notice, ...]):
    """The notices of a log; `wfsim.tables.notices` has them as a frame.

    >>> Notices()
    <no notices>
    """

    __slots__ = ()

    def __repr__(self) -> str:
        if not self:
            return "<no notices>"
        rest = len(self) - 10
        more = [f"  and {rest} more: wfsim.tables.notices(log)"] if rest > 0 else []
        head = f"<{len(self)} notice{'s' * (len(self) > 1)}>"
        return "\n".join([head, *(f"  {each}" for each in self[:10]), *more])


def notices_of(log: EventLog) -> Notices:
    """Return what is to be noticed of *log*.

    What has not happened is noticed only if the simulation of *log* is over, or is not
    there any more: of one under way nobody knows.
    """
    # Every simulation ends with this: most logs have nothing to look for.
    kinds, origin = log.kinds(), log.origin
    is_over = origin is None or origin.is_over
    notices: list[Notice] = []
    if kinds.count(Kind.RESOURCE_STATE) >= SAME_EVENT:
        notices += _same_events(log)
    if Kind.CHECK_FAILED in kinds:
        notices += _failed_checks(log)
    if is_over:
        notices += _unfinished(log)
    if is_over and Kind.FAULT_ARMED in kinds:
        notices += _never_fired(log)
    return Notices(notices)


def _same_events(log: EventLog) -> Iterator[Notice]:
    """Yield the checks that were true again as soon as their run was over."""
    labels = {
        (source, target): label
        for edges in log.meta.get("edges", {}).values()
        for source, target, via, label in edges
        if via == "check"
    }
    # Of each resource: when it came to the state where it is, the move that it has made
    # over and over, how often, and when first.
    came: dict[str, float] = {}
    moves: dict[str, tuple[tuple[str, str], int, float]] = {}
    most: dict[tuple[str, str, str], tuple[int, float]] = {}
    for record in log.filter(Kind.RESOURCE_STATE, Kind.RESOURCE_EDITED):
        name = record.resource
        if record.kind is Kind.RESOURCE_EDITED:
            if not record.controller:
                moves.pop(name, None)  # somebody has asked for something
            continue
        move = record.before or CREATING, record.value.state
        since, came[name] = came.get(name), record.time
        if move not in labels:
            continue
        last, count, first = moves.get(name, (move, 0, record.time))
        again = last == move and since == record.time
        moves[name] = move, count + 1 if again else 1, first if again else record.time
        if moves[name][1] >= SAME_EVENT:
            most[name, *move] = moves[name][1:]
    for (name, source, target), (count, first) in most.items():
        check = labels[source, target] or f"the check of {source} -> {target}"
        text = (
            f"{target} is entered over and over, each time as soon as the run before is "
            f"over; is {check!r} ever false?"
        )
        yield Notice(NoticeKind.SAME_EVENT, name, text, count, first)


def _failed_checks(log: EventLog) -> Iterator[Notice]:
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in log.filter(Kind.CHECK_FAILED):
        groups.setdefault((record.text, record.where), []).append(record)
    for (text, where), records in groups.items():
        subject = _names(dict.fromkeys(record.resource for record in records))
        told = f"the check {text}; it says nothing until it stops raising"
        first = records[0].time
        yield Notice(NoticeKind.CHECK_FAILED, subject, told, len(records), first, where)


def _unfinished(log: EventLog) -> Iterator[Notice]:
    """Yield the runs that are not over, and resources that nothing moves any more."""
    durable = log.fold()
    open_runs = {name: run for name, run in durable.mementos.items() if not run.is_final}
    if log.is_cut_off:
        subject = _names({f"{name} {key}": None for name, key in open_runs})
        text = (
            f"under way when the horizon cut the simulation off at {durable.time:g} s; "
            "give a later horizon"
        )
        count = len(open_runs)
        yield Notice(NoticeKind.UNFINISHED, subject, text, count, durable.time)
    busy = {name for name, _ in open_runs}
    if not log.is_cut_off:
        for (name, key), run in open_runs.items():
            yield _waiting(f"{name} {key}", run, durable.time)
    unstable = {
        source
        for edges in log.meta.get("edges", {}).values()
        for source, _, via, _ in edges
        if via == "done"
    }
    for name, resource in durable.resources.items():
        state = resource.state or CREATING
        if state in unstable and name not in busy:
            text = f"stuck in the unstable state {state!r}: no run of it is under way"
            yield Notice(NoticeKind.STUCK, name, text, 1, durable.time)


def _waiting(subject: str, run: Memento, now: float) -> Notice:
    """Return why *run* is not over though nothing more is going to happen."""
    step = run.step
    kind, since = NoticeKind.WAITS_FOR_NOBODY, run.started
    if step is None or step.status not in (StepStatus.WAITING, StepStatus.INITED):
        kind, text = NoticeKind.STUCK, f"stuck, {run.status.value}; nothing goes on"
    elif run.status is RunStatus.WAITING:
        since = step.started
        text = (
            f"step {step.name!r} waits for a change that nobody makes; raise "
            "Waiting(after=SECONDS), or let something change its resource"
        )
    else:
        since = step.started
        text = (
            f"step {step.name!r} has begun and nothing ends it: it waits for what never "
            "happens, or no controller is up"
        )
    return Notice(kind, subject, text, 1, now if since is None else since)


def _never_fired(log: EventLog) -> Iterator[Notice]:
    armed: dict[str, list[float]] = {}
    fired: set[str] = set()
    for record in log.filter(Kind.FAULT_ARMED, Kind.FAULT_FIRED):
        if record.kind is Kind.FAULT_FIRED:
            fired.add(record.text)
        else:
            armed.setdefault(record.text, []).append(record.time)
    for fault, times in armed.items():
        if fault not in fired:
            text = "never fired; what it was to break has not been tried"
            yield Notice(NoticeKind.NEVER_FIRED, fault, text, len(times), times[0])


def _names(names: Mapping[str, Any]) -> str:
    first = [*names][:MOST_NAMED]
    more = len(names) - len(first)
    return ", ".join(first) + (f" and {more:,} more" if more else "")


__all__ = ["Notice", "NoticeKind", "Notices", "notices_of"]
