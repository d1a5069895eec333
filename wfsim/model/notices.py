"""Notices: what would be noticed too late, read off a log, each once with a count.

A notice is no error: the run went on.  But somebody who reads the outcome alone would
take it for what it is not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from wfsim.model.memento import UNDER_WAY, Memento, RunStatus
from wfsim.model.record import Kind, Record
from wfsim.model.resource import CREATING

if TYPE_CHECKING:
    from wfsim.model.log import EventLog, Snapshot

SAME_EVENT = 20
"""So many runs for the same event are noticed if nobody edits the resource meanwhile."""

MOST_NAMED = 3
"""Of more subjects the first are named."""


_Move: TypeAlias = tuple[str, str]


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
    """Yield the checks that were true again whenever a run was over."""
    labels = {
        (source, target): label
        for edges in log.meta.get("edges", {}).values()
        for source, target, via, label in edges
        if via == "check"
    }
    if not labels:
        return  # no check moves anything
    # Of each resource: the moves by checks since somebody edited it, and when first.
    moves: defaultdict[str, Counter[_Move]] = defaultdict(Counter)
    since: dict[tuple[str, _Move], float] = {}
    most: dict[_Move, dict[str, int]] = {}
    for record in log.filter(Kind.RESOURCE_STATE, Kind.RESOURCE_EDITED):
        name = record.resource
        if record.kind is Kind.RESOURCE_EDITED:
            if not record.controller:
                moves[name].clear()  # somebody has asked for something
            continue
        move = record.before or CREATING, record.value.state
        if move in labels:
            moves[name][move] += 1
            if moves[name][move] == 1:
                since[name, move] = record.time
            if moves[name][move] >= SAME_EVENT:
                most.setdefault(move, {})[name] = moves[name][move]
    for move, times in most.items():
        source, target = move
        check = labels[move] or f"the check of {source} -> {target}"
        text = (
            f"{target} is entered over and over, though nobody edits the resource; is "
            f"{check!r} ever false?"
        )
        count, first = sum(times.values()), min(since[name, move] for name in times)
        yield Notice(NoticeKind.SAME_EVENT, _names(times), text, count, first)


def _failed_checks(log: EventLog) -> Iterator[Notice]:
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in log.filter(Kind.CHECK_FAILED):
        groups.setdefault((record.text, record.where), []).append(record)
    for (text, where), records in groups.items():
        subject = _names(dict.fromkeys(record.resource for record in records))
        advice = f"the check {text}; it says nothing until it stops raising"
        first = records[0].time
        count = len(records)
        yield Notice(NoticeKind.CHECK_FAILED, subject, advice, count, first, where)


def _unfinished(log: EventLog) -> Iterator[Notice]:
    """Yield the runs that are not over, and resources that nothing moves any more."""
    durable = log.fold()
    runs = {name: run for name, run in durable.mementos.items() if not run.is_final}
    stuck = _stuck(log, durable, {name for name, _ in runs})
    if log.is_cut_off:
        text = "under way when the horizon cut the simulation off; give a later horizon"
        names = [f"{name} {key}" for name, key in runs]
        names += [name for each in stuck.values() for name in each]
        yield Notice(NoticeKind.UNFINISHED, _names(names), text, len(names), durable.time)
        return
    gone = _without_controller(log) if runs else None
    reasons: dict[tuple[NoticeKind, str], dict[str, float]] = {}
    for (name, key), run in runs.items():
        kind, text, since = _waiting(run, gone)
        since = durable.time if since is None else since
        reasons.setdefault((kind, text), {})[f"{name} {key}"] = since
    for (kind, text), waiting in reasons.items():
        first = min(waiting.values())
        yield Notice(kind, _names(waiting), text, len(waiting), first)
    for state, names in stuck.items():
        text = f"stuck in the unstable state {state!r}: no run of it is under way"
        yield Notice(NoticeKind.STUCK, _names(names), text, len(names), durable.time)


def _stuck(log: EventLog, durable: Snapshot, busy: set[str]) -> dict[str, list[str]]:
    """Return by unstable state the resources in it that are not *busy* with a run."""
    unstable = {
        source
        for edges in log.meta.get("edges", {}).values()
        for source, _, via, _ in edges
        if via == "done"
    }
    names_of: dict[str, list[str]] = {}
    for name, resource in durable.resources.items():
        state = resource.state or CREATING
        if state in unstable and name not in busy:
            names_of.setdefault(state, []).append(name)
    return names_of


def _without_controller(log: EventLog) -> float | None:
    """Return since when no controller is up, None if one is."""
    up: set[str] = set()
    since = None
    for record in log.filter(Kind.CONTROLLER_STARTED, Kind.CONTROLLER_CRASHED):
        if record.kind is Kind.CONTROLLER_STARTED:
            up.add(record.text)
        else:
            up.discard(record.text)
        since = None if up else record.time
    return since


def _waiting(run: Memento, gone: float | None) -> tuple[NoticeKind, str, float | None]:
    """Return why *run* is not over though nothing more is going to happen.

    That is a kind, a text and since when; *gone* is since when no controller is up.
    """
    step = run.step
    if gone is not None:
        text = (
            f"no controller is up since {gone:g} s; give restart_after, or call restart()"
        )
        return NoticeKind.STUCK, text, gone
    if step is None or step.status not in UNDER_WAY:
        text = f"stuck, {run.status.value}; nothing goes on"
        return NoticeKind.STUCK, text, run.started
    if run.status is RunStatus.WAITING:
        text = (
            f"step {step.name!r} waits for a change that nobody makes; raise "
            "Waiting(after=SECONDS), or let something change its resource"
        )
    else:
        text = (
            f"step {step.name!r} has begun and nothing ends it: it waits for what never "
            "happens"
        )
    return NoticeKind.WAITS_FOR_NOBODY, text, step.started


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


def _names(names: Collection[str]) -> str:
    first = [*names][:MOST_NAMED]
    more = len(names) - len(first)
    return ", ".join(first) + (f" and {more:,} more" if more else "")


__all__ = ["Notice", "NoticeKind", "Notices", "notices_of"]
