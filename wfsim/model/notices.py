"""What would be noticed too late: read off a log, each once with a count.

A notice is no error: the run went on.  But somebody who reads the outcome alone would
take it for what it is not.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
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
    found = [*_same_events(log), *_failed_checks(log)]
    origin = log.origin
    if origin is None or origin.is_over:
        found += _unfinished(log)
        found += _never_fired(log)
    return Notices(found)


class _Chain:
    """The moves of a resource by checks, as long as it does not rest between them.

    *moves* counts each (from, to), and *since* says when it was first made; *came* is
    when the resource came to the state where it is.
    """

    def __init__(self) -> None:
        self.moves: Counter[tuple[str, str]] = Counter()
        self.since: dict[tuple[str, str], float] = {}
        self.came = -math.inf

    def made(self, move: tuple[str, str], time: float) -> None:
        if self.came != time:
            self.moves.clear()
        if not self.moves[move]:
            self.since[move] = time
        self.moves[move] += 1


def _same_events(log: EventLog) -> Iterator[Notice]:
    """Yield the checks that were true again as soon as a run was over."""
    labels = {
        (source, target): label
        for edges in log.meta.get("edges", {}).values()
        for source, target, via, label in edges
        if via == "check"
    }
    chains: defaultdict[str, _Chain] = defaultdict(_Chain)
    # Of each move: how often each resource has made it in one chain, and when first.
    found: dict[tuple[str, str], dict[str, tuple[int, float]]] = {}
    for record in log.filter(Kind.RESOURCE_STATE, Kind.RESOURCE_EDITED):
        chain = chains[record.resource]
        if record.kind is Kind.RESOURCE_EDITED:
            if not record.controller:
                chain.moves.clear()  # somebody has asked for something
            continue
        move = record.before or CREATING, record.value.state
        if move in labels:
            chain.made(move, record.time)
            if chain.moves[move] >= SAME_EVENT:
                times = chain.moves[move], chain.since[move]
                found.setdefault(move, {})[record.resource] = times
        chain.came = record.time
    for (source, target), by_name in found.items():
        check = labels[source, target] or f"the check of {source} -> {target}"
        text = (
            f"{target} is entered over and over, each time as soon as the run before is "
            f"over; is {check!r} ever false?"
        )
        count = sum(times for times, _ in by_name.values())
        first = min(since for _, since in by_name.values())
        yield Notice(NoticeKind.SAME_EVENT, _names(by_name), text, count, first)


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
        text = "under way when the horizon cut the simulation off; give a later horizon"
        count = len(open_runs)
        yield Notice(NoticeKind.UNFINISHED, subject, text, count, durable.time)
    busy = {name for name, _ in open_runs}
    if not log.is_cut_off:
        gone = _without_controller(log)
        reasons: dict[tuple[NoticeKind, str], dict[str, float]] = {}
        for (name, key), run in open_runs.items():
            kind, text, since = _waiting(run, gone)
            since = durable.time if since is None else since
            reasons.setdefault((kind, text), {})[f"{name} {key}"] = since
        for (kind, text), runs in reasons.items():
            yield Notice(kind, _names(runs), text, len(runs), min(runs.values()))
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
    if step is None or step.status not in (StepStatus.WAITING, StepStatus.INITED):
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


def _names(names: Mapping[str, Any]) -> str:
    first = [*names][:MOST_NAMED]
    more = len(names) - len(first)
    return ", ".join(first) + (f" and {more:,} more" if more else "")


__all__ = ["Notice", "NoticeKind", "Notices", "notices_of"]
