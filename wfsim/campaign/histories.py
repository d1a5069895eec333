"""What must be true of the records of a run, whatever interrupted it.

Codes are those of the catalogue of invariants: S for safety, L for liveness.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from wfsim.campaign.verdict import Check, Checked, Violation, violation
from wfsim.engine.flow_status import ENDED
from wfsim.model.flow import Flow
from wfsim.model.journal import Create, Edit, Move
from wfsim.model.memento import RunStatus, StepStatus
from wfsim.model.record import Kind, PoolState, Record
from wfsim.sim.faults import AskAt, CancelAt, EditAt

OF_RUNS = frozenset(
    kind
    for kind in Kind
    if kind.value.startswith(("run.", "step.")) and kind is not Kind.RUN_QUARANTINED
)
"""The kinds of records that are asked here: those of runs and of their steps."""

CLOSED = frozenset({Kind.RUN_COMPLETED, Kind.RUN_SUPERSEDED, Kind.RUN_FAILED})
STOPPED = CLOSED | {Kind.RUN_CANCELLED, Kind.RUN_INTERRUPTED, Kind.RUN_PRUNED}
STEP_ENDS = frozenset(
    {Kind.STEP_COMPLETED, Kind.STEP_FAILED, Kind.STEP_CANCELLED, Kind.STEP_WAITING}
)
CLOSING = STEP_ENDS | STOPPED | {Kind.RUN_RECOVERED}
REQUESTS = (AskAt, CancelAt, EditAt)
LEAST = 1e-6
"""So many seconds may be lost to rounding."""

Name = tuple[str, str]


def _name(record: Record) -> Name:
    return record.resource, record.run


def _flow(run: Checked, record: Record) -> Flow | None:
    return run.sim.flows.get(record.flow)


def _is_asked(run: Checked) -> bool:
    """Whether somebody asked for something meanwhile."""
    return any(isinstance(fault, REQUESTS) for fault in run.faults)


def steps_start_in_order(run: Checked) -> Iterator[Violation]:
    """S2: a step of a linear flow starts when the completion of all before is durable."""
    for record in run.records:
        if record.kind is Kind.STEP_STARTED:
            flow = _flow(run, record)
            before = record.value.steps[: record.value.cursor]
            if flow is None or not flow.is_linear:
                continue
            for step in before:
                if step.status is not StepStatus.COMPLETED:
                    text = f"{record.step} starts before {step.name} is completed"
                    yield violation("S2", text, record.seq)


def one_run_is_under_way(run: Checked) -> Iterator[Violation]:
    """S4: a resource has one run under way at most."""
    under_way: dict[str, str] = {}
    for record in run.records:
        if record.kind in STOPPED:
            if under_way.get(record.resource) == record.run:
                del under_way[record.resource]
        elif record.kind in (Kind.RUN_CREATED, Kind.RUN_RECOVERED):
            other = under_way.setdefault(record.resource, record.run)
            if other != record.run:
                text = f"{record.run} of {record.resource} begins beside {other}"
                yield violation("S4", text, record.seq)


def nothing_follows_the_end(run: Checked) -> Iterator[Violation]:
    """S5 and S9: of a run that has ended there is nothing more, but that it is pruned."""
    over: set[Name] = set()
    for record in run.records:
        name = _name(record)
        if record.kind in (Kind.RUN_CREATED, Kind.RUN_RECOVERED):
            over.discard(name)
        elif name in over and record.kind not in (Kind.RUN_PRUNED, Kind.STEP_STARTED):
            code = "S5" if record.kind is Kind.STEP_LOG else "S9"
            text = f"{'/'.join(name)} has ended, and there is {record.kind.value}"
            yield violation(code, text, record.seq)
        if record.kind in (Kind.RUN_COMPLETED, Kind.RUN_SUPERSEDED):
            over.add(name)


def inputs_stay_the_same(run: Checked) -> Iterator[Violation]:
    """S7: each attempt at a step of a linear flow is given the same."""
    if _is_asked(run):
        return
    given: dict[tuple[str, str, str], Any] = {}
    for record in run.records:
        if record.kind is not Kind.STEP_STARTED:
            continue
        flow = _flow(run, record)
        if flow is None or not flow.is_linear:
            continue
        memento, name = record.value, (*_name(record), record.step)
        outputs = [step.output for step in memento.steps[: memento.cursor]]
        now = memento.context, outputs
        if given.setdefault(name, now) != now:
            text = f"{record.step} is given something else in attempt {record.attempt}"
            yield violation("S7", text, record.seq)


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


def moves_are_in_the_graph(run: Checked) -> Iterator[Violation]:
    """S8 and S9: a resource moves along an arrow of its state graph, a flow not on."""
    machines = run.sim.scenario.machines
    arrows = {
        kind: {(edge.source, edge.target) for edge in machine.edges()}
        for kind, machine in machines.items()
    }
    for seq, (_, subject, change, token) in enumerate(run.sim.journal.entries()):
        if subject is not None or type(change) is not Move:
            continue
        before, after = change.before.state, change.after.state
        known = arrows.get(change.after.kind)
        if known is None:
            if before in ENDED:
                text = f"{change.after.key} was {before}, and is {after}"
                yield violation("S9", text, seq)
        elif token and (before or "Creating", after) not in known:
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
    for record in run.records:
        if record.kind is not Kind.RUN_COMPLETED:
            continue
        if _flow(run, record) is None:
            text = f"{'/'.join(_name(record))} is completed; nobody knows {record.flow!r}"
            yield violation("S15", text, record.seq)
        ended = [step for step in record.value.steps if step.finished is not None]
        latest = max((step.finished for step in ended), default=None)
        last = [step for step in ended if step.finished == latest]
        if last and all(step.status is not StepStatus.COMPLETED for step in last):
            text = f"{'/'.join(_name(record))} is completed, and {last[-1].name} is not"
            yield violation("S12", text, record.seq)


def definitions_are_the_same(run: Checked) -> Iterator[Violation]:
    """S24: a run is completed by the definition that it says it is of."""
    for record in run.records:
        flow = _flow(run, record)
        if record.kind is Kind.RUN_COMPLETED and flow is not None:
            digest = record.value.digest
            if digest and digest != flow.digest:
                text = f"{'/'.join(_name(record))} is of another {record.flow}"
                yield violation("S24", text, record.seq)


def cancels_are_obeyed(run: Checked) -> Iterator[Violation]:
    """S16 and S17: after a cancel, and a tick, no step of a linear flow starts."""
    faults = run.faults
    if not faults or not all(isinstance(fault, CancelAt) for fault in faults):
        return
    journal, policy = run.sim.journal, run.sim.scenario.policy
    asked = {repr(fault): fault for fault in faults}
    fired = [
        (record.time, asked[record.text].resource)
        for record in journal.of_kinds({Kind.FAULT_FIRED})
        if record.text in asked
    ]
    lag = policy.cancel_tick + run.sim.scenario.lag + LEAST
    created: dict[Name, float] = {}
    for record in run.records:
        if record.kind is Kind.RUN_CREATED:
            created[_name(record)] = record.time
        if record.kind is not Kind.STEP_STARTED:
            continue
        flow = _flow(run, record)
        if flow is None or not flow.is_linear or run.sim.scenario.is_service:
            continue
        for time, resource in fired:
            if resource in (None, record.resource) and record.time > time + lag:
                text = f"{record.step} starts at {record.time:g} s, cancelled at {time:g}"
                yield violation("S17", text, record.seq)
                return


def one_attempt_is_open(run: Checked) -> Iterator[Violation]:
    """S18: by one lease, an attempt starts when the one before has ended."""
    opened: dict[Name, Record] = {}
    for record in run.records:
        name = _name(record)
        if record.kind is Kind.STEP_STARTED:
            other = opened.get(name)
            if other is not None and other.token == record.token:
                text = f"{record.step} starts while {other.step} is under way"
                yield violation("S18", text, record.seq)
            opened[name] = record
        elif (
            record.kind in STEP_ENDS
            or record.kind in STOPPED
            or record.kind is Kind.RUN_RECOVERED
        ):
            opened.pop(name, None)


def failures_are_counted(run: Checked) -> Iterator[Violation]:
    """S19: a step fails no more often than it may, and waits before it is tried again."""
    failed: Counter[tuple[str, str, str]] = Counter()
    wake: dict[Name, float] = {}
    policy = run.sim.scenario.policy
    for record in run.records:
        name = _name(record)
        if record.kind in (Kind.RUN_RECOVERED, Kind.RUN_CREATED):
            wake.pop(name, None)
            for key in [key for key in failed if key[:2] == name]:
                del failed[key]
        flow = _flow(run, record)
        if flow is None:
            continue
        if record.kind is Kind.STEP_FAILED:
            key = (*name, record.step)
            failed[key] += 1
            usual = flow.retry or policy.retry
            own = next((s.retry for s in flow.steps if s.name == record.step), None)
            limit = (own or usual).limit
            if own is None and flow.retry is None and not flow.is_linear:
                limit = 0
            if failed[key] > limit + 1:
                text = (
                    f"{record.step} has failed {failed[key]} times; {limit} are allowed"
                )
                yield violation("S19", text, record.seq)
            if record.value.wake is not None:
                wake[name] = record.value.wake
        elif record.kind is Kind.STEP_STARTED:
            due = wake.pop(name, None)
            if due is not None and record.time < due - LEAST:
                text = f"{record.step} is tried again before its pause is over"
                yield violation("S19", text, record.seq)


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


def limits_are_kept(run: Checked) -> Iterator[Violation]:
    """S21: no attempt that is completed took longer than it may."""
    slow = {"ApiDown", "PauseController", "FailSave", "LoseLease", "CrashAt"}
    if any(type(fault).__name__ in slow for fault in run.faults):
        return
    if run.sim.scenario.api_rate is not None or run.sim.scenario.settings:
        return
    began: dict[tuple[str, str, str], float] = {}
    for record in run.records:
        key = (*_name(record), record.step)
        if record.kind is Kind.STEP_STARTED:
            began[key] = record.time
        elif record.kind is Kind.STEP_COMPLETED and key in began:
            flow = _flow(run, record)
            step = (
                next((s for s in flow.steps if s.name == record.step), None)
                if flow
                else None
            )
            limit = step and (step.timeout or (flow and flow.timeout))
            took = record.time - began.pop(key)
            if limit and took > limit + LEAST and not run.sim.pools:
                text = f"{record.step} took {took:g} s; it may take {limit:g}"
                yield violation("S21", text, record.seq)


def edges_are_followed(run: Checked) -> Iterator[Violation]:
    """S22: after a step of a flow with edges comes what its edge says."""
    if _is_asked(run):
        return
    expected: dict[Name, tuple[str, frozenset[str]]] = {}
    for record in run.records:
        name, flow = _name(record), _flow(run, record)
        if flow is None or flow.is_linear or record.step not in flow.names:
            continue
        targets = flow.following[flow.index(record.step)]
        match record.kind:
            case Kind.STEP_STARTED:
                last, steps = expected.pop(name, ("", frozenset({record.step})))
                if record.step not in steps:
                    text = f"{record.step} follows {last}: no edge says so"
                    yield violation("S22", text, record.seq)
                expected[name] = record.step, frozenset({record.step})
            case Kind.STEP_COMPLETED:
                expected[name] = record.step, _names(flow, targets[0])
            case Kind.STEP_FAILED | Kind.STEP_CANCELLED:
                # It may be tried again, too.
                others = frozenset().union(*(_names(flow, it) for it in targets[1:]))
                expected[name] = record.step, others | {record.step}


def _names(flow: Flow, target: int | None) -> frozenset[str]:
    return frozenset() if target is None else frozenset({flow.names[target]})


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
"""What is asked of the records of a run, in this order."""


__all__ = ["HISTORIES", "OF_RUNS"]
