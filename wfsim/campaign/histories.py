"""Invariants of the history of a run: how it may come to where it is.

Codes are those of the catalogue of invariants: S for safety, L for liveness.  It is asked
of the entries of the journal: records are made of those that are told of.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from wfsim.campaign.verdict import Check, Checked, Violation, bare, violation
from wfsim.engine.flow_status import ENDED
from wfsim.model.flow import Flow
from wfsim.model.journal import Create, Edit, Journal, Move, Prune
from wfsim.model.memento import RunStatus, StepStatus
from wfsim.model.record import Kind, PoolState, Record
from wfsim.model.run import Adopt, Begin, Close, Fail, Late, Recover, Run
from wfsim.sim.faults import AskAt, CancelAt, EditAt

STOPPED = frozenset(
    {
        *(Kind.RUN_COMPLETED, Kind.RUN_SUPERSEDED, Kind.RUN_FAILED),
        *(Kind.RUN_CANCELLED, Kind.RUN_INTERRUPTED, Kind.RUN_PRUNED),
    }
)
"""After these a run is under way no more."""

STEP_ENDS = frozenset(
    {Kind.STEP_COMPLETED, Kind.STEP_FAILED, Kind.STEP_CANCELLED, Kind.STEP_WAITING}
)
BEGINNINGS = (Kind.RUN_CREATED, Kind.RUN_RECOVERED)
REQUESTS = (AskAt, CancelAt, EditAt)
LEAST = 1e-6
"""So many seconds may be lost to rounding."""


class Entry(NamedTuple):
    """An entry of a run, or of a line that a step wrote; *place* is that of its step.

    It is -1 for what is of no step.  *name* is that of resource and run.
    """

    seq: int
    time: float
    name: tuple[Any, str]
    kind: Kind
    place: int
    change: Any
    token: int
    of: Run | None

    @property
    def whose(self) -> str:
        """Resource and run, as a text."""
        return f"{self.name[0]}/{self.name[1]}"

    def step(self) -> str:
        """Return the name of the step."""
        names = self.of.names if self.of is not None else ()
        return names[self.place] if 0 <= self.place < len(names) else ""


def entries_of(journal: Journal) -> list[Entry]:
    """Return what *journal* says of runs, in order."""
    entries = []
    for seq, (time, of, change, token) in enumerate(journal.entries()):
        if of is not None:
            own = bare(change)
            index = getattr(own, "index", -1)
            name = (of.resource, of.key)
            entries.append(Entry(seq, time, name, change.kind, index, own, token, of))
            if type(change) is Late and type(change.change) is Adopt:
                change = change.change
            if type(change) is Adopt and change.adoption.migrated is not None:
                entries[-1] = entries[-1]._replace(change=change)
        elif type(change) is Prune:
            name = (change.resource, change.run)
            entries.append(Entry(seq, time, name, change.kind, -1, change, token, None))
        elif type(change) is Record and change.kind is Kind.STEP_LOG:
            keys = [key for key in journal.runs if str(key) == change.resource]
            for key in keys:
                name = (key, change.run)
                entries.append(Entry(seq, time, name, change.kind, -1, change, 0, None))
    return entries


def _flow(run: Checked, entry: Entry) -> Flow | None:
    return None if entry.of is None else run.sim.flows.get(entry.of.flow)


def _is_asked(run: Checked) -> bool:
    """Whether somebody asked for something meanwhile."""
    return any(isinstance(fault, REQUESTS) for fault in run.faults)


def steps_start_in_order(run: Checked) -> Iterator[Violation]:
    """S2: a step of a linear flow starts when the completion of all before is durable."""
    done: dict[Any, set[int]] = defaultdict(set)
    for entry in run.entries:
        if type(entry.change) is Adopt:  # it was fitted to another definition
            done[entry.name] = set(range(10_000))
        if entry.kind is Kind.RUN_CREATED and type(entry.change) is Begin:
            steps = enumerate(entry.change.memento.steps)
            complete = StepStatus.COMPLETED
            done[entry.name] = {at for at, step in steps if step.status is complete}
        elif entry.kind is Kind.STEP_COMPLETED:
            done[entry.name].add(entry.place)
        elif entry.kind is Kind.STEP_STARTED:
            before = set(range(entry.place)) - done[entry.name]
            flow = _flow(run, entry) if before else None
            if flow is not None and flow.is_linear:
                names = flow.names
                text = f"{names[entry.place]} starts before {names[min(before)]}"
                yield violation("S2", f"{text} is completed", entry.seq)


def one_run_is_under_way(run: Checked) -> Iterator[Violation]:
    """S4: a resource has one run under way at most."""
    under_way: dict[Any, str] = {}
    for entry in run.entries:
        resource, key = entry.name
        if entry.kind in STOPPED:
            if under_way.get(resource) == key:
                del under_way[resource]
        elif entry.kind in BEGINNINGS:
            other = under_way.setdefault(resource, key)
            if other != key:
                text = f"{key} of {resource} begins beside {other}"
                yield violation("S4", text, entry.seq)


def nothing_follows_the_end(run: Checked) -> Iterator[Violation]:
    """S5 and S9: of a run that has ended there is nothing more, but that it is pruned."""
    over: set[Any] = set()
    for entry in run.entries:
        name, kind = entry.name, entry.kind
        if kind in BEGINNINGS:
            over.discard(name)
        elif name in over and kind not in (Kind.RUN_PRUNED, Kind.STEP_STARTED):
            code = "S5" if kind is Kind.STEP_LOG else "S9"
            text = f"{entry.whose} has ended, and there is {kind.value}"
            yield violation(code, text, entry.seq)
        if kind in (Kind.RUN_COMPLETED, Kind.RUN_SUPERSEDED):
            over.add(name)


def calls_stay_the_same(run: Checked) -> Iterator[Violation]:
    """S6: another attempt calls the world with what the first one called it with.

    That is asked where calls are kept, as they are of a calm run.
    """
    given: dict[tuple[str, ...], str] = {}
    counts: Counter[tuple[str, ...]] = Counter()
    for site in getattr(run.sim, "kept", ()):
        if site.call is None:
            continue
        attempt = (site.resource, site.run, site.step, site.call.name, str(site.attempt))
        counts[attempt] += 1
        place = (*attempt[:-1], str(counts[attempt]))
        if given.setdefault(place, site.call.input) != site.call.input:
            text = f"{site.name} is called with {site.call.input}, not {given[place]}"
            yield violation("S6", text, site.first)


def inputs_stay_the_same(run: Checked) -> Iterator[Violation]:
    """S7: each attempt at a step of a linear flow is given the same."""
    if _is_asked(run):
        return
    first: dict[Any, int] = {}
    journal = run.sim.journal
    for entry in run.entries:
        if entry.kind in BEGINNINGS or type(entry.change) is Adopt:
            first = {place: at for place, at in first.items() if place[0] != entry.name}
        if entry.kind is not Kind.STEP_STARTED:
            continue
        since = first.setdefault((entry.name, entry.place), entry.seq)
        flow = _flow(run, entry) if since != entry.seq else None
        if flow is None or not flow.is_linear:
            continue
        given = []
        for seq in (since, entry.seq):
            past = journal.run_after(seq)
            assert past is not None
            outputs = [step.output for step in past.steps[: entry.place]]
            given.append((past.context, outputs))
        if given[0] != given[1]:
            text = f"{entry.step()} is given something else in another attempt"
            yield violation("S7", text, entry.seq)


def moves_are_in_the_graph(run: Checked) -> Iterator[Violation]:
    """S8 and S9: a resource moves along an arrow of its state graph, a flow not on."""
    machines = run.sim.scenario.machines
    arrows: dict[str, set[tuple[str, str]]] = {}
    for seq, (_, subject, change, token) in enumerate(run.sim.journal.entries()):
        if subject is not None or type(change) is not Move:
            continue
        before, after = change.before.state, change.after.state
        kind = change.after.kind
        if kind not in machines:
            if before in ENDED:
                text = f"{change.after.key} was {before}, and is {after}"
                yield violation("S9", text, seq)
            continue
        if kind not in arrows:
            edges = machines[kind].edges()
            arrows[kind] = {(edge.source, edge.target) for edge in edges}
        if token and (before or "Creating", after) not in arrows[kind]:
            text = f"{change.after.key} goes from {before!r} to {after!r}: no such arrow"
            yield violation("S8", text, seq)


def no_update_is_lost(run: Checked) -> Iterator[Violation]:
    """S14: who writes a resource has seen the write before."""
    last: dict[Any, int] = {}
    for seq, (_, subject, change, _) in enumerate(run.sim.journal.entries()):
        if subject is not None or type(change) not in (Create, Move, Edit):
            continue
        after = change.after
        own = after.key, after.uid
        seen = last.get(own)
        if type(change) is not Create and seen is not None:
            was = change.before.revision
            if was != seen:
                text = f"{after.key}: revision {was} is written over, not {seen}"
                yield violation("S14", text, seq)
        last[own] = after.revision


def ends_are_true(run: Checked) -> Iterator[Violation]:
    """S12 and S15: what is completed ended with a step that was, of a known flow."""
    last: dict[Any, Entry] = {}
    for entry in run.entries:
        kind = entry.kind
        if kind in BEGINNINGS:
            last.pop(entry.name, None)
        elif kind in STEP_ENDS:
            last[entry.name] = entry
        elif kind is Kind.RUN_COMPLETED:
            flow = None if entry.of is None else entry.of.flow
            if _flow(run, entry) is None:
                text = f"{entry.whose} is completed; nobody knows {flow!r}"
                yield violation("S15", text, entry.seq)
            end = last.get(entry.name)
            if end is not None and end.kind is not Kind.STEP_COMPLETED:
                text = f"{entry.whose} is completed, and {end.step()} is not"
                yield violation("S12", text, entry.seq)


def definitions_are_the_same(run: Checked) -> Iterator[Violation]:
    """S24: a run is completed by the definition that it says it is of."""
    for entry in run.entries:
        if entry.kind is Kind.RUN_COMPLETED and entry.of is not None:
            flow, digest = _flow(run, entry), entry.of.digest
            if flow is not None and digest and digest != flow.digest:
                text = f"{entry.whose} is of another {entry.of.flow}"
                yield violation("S24", text, entry.seq)


def cancels_are_obeyed(run: Checked) -> Iterator[Violation]:
    """S16 and S17: after a cancel, and a tick, no step of a linear flow starts."""
    faults, scenario = run.faults, run.sim.scenario
    if not faults or not all(isinstance(fault, CancelAt) for fault in faults):
        return
    if scenario.is_service:
        return
    asked = {repr(fault): fault for fault in faults}
    fired = [
        (record.time, asked[record.text].resource)
        for record in run.sim.journal.of_kinds({Kind.FAULT_FIRED})
        if record.text in asked
    ]
    lag = scenario.policy.cancel_tick + scenario.lag + LEAST
    for entry in run.entries:
        if entry.kind is not Kind.STEP_STARTED:
            continue
        for time, resource in fired:
            if entry.time <= time + lag or resource not in (None, str(entry.name[0])):
                continue
            flow = _flow(run, entry)
            if flow is not None and flow.is_linear:
                text = f"{entry.step()} starts at {entry.time:g} s, cancelled at {time:g}"
                yield violation("S17", text, entry.seq)
                return


def one_attempt_is_open(run: Checked) -> Iterator[Violation]:
    """S18: by one lease, an attempt starts when the one before has ended."""
    opened: dict[Any, Entry] = {}
    for entry in run.entries:
        name, kind = entry.name, entry.kind
        if kind is Kind.STEP_STARTED:
            other = opened.get(name)
            if other is not None and other.token == entry.token:
                text = f"{entry.step()} starts while {other.step()} is under way"
                yield violation("S18", text, entry.seq)
            opened[name] = entry
        elif kind in STEP_ENDS or kind in STOPPED or kind is Kind.RUN_RECOVERED:
            opened.pop(name, None)


def failures_are_counted(run: Checked) -> Iterator[Violation]:
    """S19: a step fails no more often than it may, and waits before it is tried again."""
    failed: Counter[Any] = Counter()
    wake: dict[Any, float] = {}
    for entry in run.entries:
        name, kind = entry.name, entry.kind
        if kind in BEGINNINGS and (failed or wake):
            wake.pop(name, None)
            for place in [place for place in failed if place[0] == name]:
                del failed[place]
        elif kind is Kind.STEP_FAILED:
            place = name, entry.place
            failed[place] += 1
            limit = _limit(run, entry)
            if limit is not None and failed[place] > limit + 1:
                text = f"{entry.step()} has failed {failed[place]} times, not {limit}"
                yield violation("S19", text, entry.seq)
            if type(entry.change) is Fail:
                wake[name] = entry.change.wake
        elif kind is Kind.STEP_STARTED:
            due = wake.pop(name, 0.0)
            if entry.time < due - LEAST:
                text = f"{entry.step()} is tried again before its pause is over"
                yield violation("S19", text, entry.seq)


def _limit(run: Checked, entry: Entry) -> int | None:
    """Return how often the step of *entry* may fail and be tried again."""
    flow = _flow(run, entry)
    if flow is None or not 0 <= entry.place < len(flow.steps):
        return None
    own = flow.steps[entry.place].retry
    if own is None and flow.retry is None and not flow.is_linear:
        return 0
    return int((own or flow.retry or run.sim.scenario.policy.retry).limit)


def timers_are_kept(run: Checked) -> Iterator[Violation]:
    """S20: nobody sleeps on when it is time to go on."""
    if not run.settled:
        return
    for (name, key), memento in run.mementos.items():
        resource = run.resources.get(name)
        is_open = memento.status in (RunStatus.WAITING, RunStatus.FAILED)
        if memento.wake is None or not is_open or resource is None:
            continue
        if resource.state != "Stopped" and memento.wake < run.sim.now - LEAST:
            yield violation("S20", f"{name}/{key} sleeps on", cause="S20 it sleeps on")


SLOW = frozenset({"ApiDown", "PauseController", "FailSave", "LoseLease", "CrashAt"})
"""After these an attempt may have taken longer than it did."""


def limits_are_kept(run: Checked) -> Iterator[Violation]:
    """S21: no attempt that is completed took longer than it may."""
    scenario = run.sim.scenario
    if any(type(fault).__name__ in SLOW for fault in run.faults):
        return
    if scenario.api_rate is not None or scenario.pools or scenario.settings:
        return
    began: dict[Any, float] = {}
    for entry in run.entries:
        if entry.kind is Kind.STEP_STARTED:
            began[entry.name] = entry.time
        elif entry.kind is Kind.STEP_COMPLETED and entry.name in began:
            took = entry.time - began.pop(entry.name)
            flow = _flow(run, entry)
            if flow is None or not 0 <= entry.place < len(flow.steps):
                continue
            limit = flow.steps[entry.place].timeout or flow.timeout
            if limit and took > limit + LEAST:
                text = f"{entry.step()} took {took:g} s; it may take {limit:g}"
                yield violation("S21", text, entry.seq)


def edges_are_followed(run: Checked) -> Iterator[Violation]:
    """S22: after a step of a flow with edges comes what its edge says."""
    if _is_asked(run):
        return
    expected: dict[Any, tuple[int, frozenset[int | None]]] = {}
    for entry in run.entries:
        kind, name = entry.kind, entry.name
        if type(entry.change) in (Adopt, Recover):
            expected.pop(name, None)
            continue
        if kind is not Kind.STEP_STARTED and kind not in STEP_ENDS:
            continue
        flow = _flow(run, entry)
        if flow is None or flow.is_linear or not 0 <= entry.place < len(flow.steps):
            continue
        targets, own = flow.following[entry.place], entry.place
        if kind is Kind.STEP_STARTED:
            last, steps = expected.get(name, (own, frozenset({own})))
            if own not in steps:
                text = f"{entry.step()} follows {flow.names[last]}: no edge says so"
                yield violation("S22", text, entry.seq)
            expected[name] = own, frozenset({own})
        elif kind is Kind.STEP_COMPLETED:
            expected[name] = own, frozenset({targets.success})
        elif type(entry.change) is Close:
            expected[name] = own, frozenset({targets.failure, targets.cancel, own})
        else:
            expected[name] = own, frozenset({own})


def pools_are_not_overrun(run: Checked) -> Iterator[Violation]:
    """S23: no more places of a pool are taken than there are."""
    held: defaultdict[str, int] = defaultdict(int)
    for seq, (_, subject, change, _) in enumerate(run.sim.journal.entries()):
        if subject is None and type(change) is PoolState:
            if change.held > max(change.capacity, held[change.name]):
                yield violation("S23", f"pool {change}", seq)
            held[change.name] = change.held


HISTORIES: tuple[Check, ...] = (
    steps_start_in_order,
    one_run_is_under_way,
    nothing_follows_the_end,
    calls_stay_the_same,
    inputs_stay_the_same,
    moves_are_in_the_graph,
    no_update_is_lost,
    ends_are_true,
    definitions_are_the_same,
    cancels_are_obeyed,
    one_attempt_is_open,
    failures_are_counted,
    timers_are_kept,
    limits_are_kept,
    edges_are_followed,
    pools_are_not_overrun,
)
"""What is asked of the way of a run, in this order."""


__all__ = ["HISTORIES", "Entry", "entries_of"]
