"""Oracles, by name: what must be true of a run whatever interrupted it.

Codes are those of the catalogue: S for safety, L for liveness once faults are over.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from math import inf
from typing import Any

from wfsim.campaign.histories import HISTORIES
from wfsim.campaign.plain import difference
from wfsim.campaign.verdict import Check, Checked, Violation, bare, violation
from wfsim.engine.flow_status import FlowStatus
from wfsim.model.memento import Memento, RunStatus, StepStatus
from wfsim.model.record import Kind
from wfsim.model.resource import INTERRUPT
from wfsim.model.run import Adopt
from wfsim.sim.pool import pools

TERMINAL = frozenset({RunStatus.COMPLETED, RunStatus.CANCELLED, RunStatus.SUPERSEDED})
UNDER_WAY = frozenset({RunStatus.PREPARED, RunStatus.RUNNING, RunStatus.FAILED})
_ENDED = ("Finished", "Error", "Canceled", "Stopped")


def times_do_not_go_back(run: Checked) -> Iterator[Violation]:
    """S10: the times of entries never decrease."""
    last = -inf
    for seq, (time, _, _, _) in enumerate(run.sim.journal.entries()):
        if time < last:
            yield violation("S10", f"an entry of {time:g} s after one of {last:g} s", seq)
        last = time


def tokens_grow(run: Checked) -> Iterator[Violation]:
    """S4: what has an older lease of a resource writes no more."""
    newest: dict[Any, int] = {}
    for seq, (_, subject, _, token) in enumerate(run.sim.journal.entries()):
        if subject is None or not token:
            continue
        key = subject.resource
        if token < newest.get(key, 0):
            yield violation("S4", f"{key}: token {token} after {newest[key]}", seq)
        newest[key] = max(token, newest.get(key, 0))


def nothing_runs_twice(run: Checked) -> Iterator[Violation]:
    """S3 and S9: a step that is completed does not start again, nor what has ended."""
    done: dict[tuple[Any, str], set[int]] = {}
    over: set[tuple[Any, str]] = set()
    flows = run.sim.scenario.flows
    for seq, (_, of, change, _) in enumerate(run.sim.journal.entries()):
        if of is None:
            continue
        name, kind = (of.resource, of.key), change.kind
        if type(change) is Adopt and change.adoption.migrated is not None:
            done[name] = _completed(change.adoption.migrated)
        if kind is Kind.STEP_COMPLETED:
            done.setdefault(name, set()).add(bare(change).index)
        elif kind in (Kind.RUN_RECOVERED, Kind.RUN_CREATED):
            over.discard(name)
            done.pop(name, None)
        elif kind in (Kind.RUN_COMPLETED, Kind.RUN_SUPERSEDED):
            over.add(name)
        elif kind is Kind.STEP_STARTED:
            again = bare(change).index in done.get(name, ())
            if name not in over and not again:
                continue
            record = run.sim.journal.made(seq)
            if name in over:
                whose = f"{record.resource}/{record.run}"
                yield violation("S9", f"{whose} has ended, and {record.step} starts", seq)
            flow = flows.get(record.flow)
            if again and flow is not None and flow.is_linear:
                text = f"{record.step} starts though it was completed"
                yield violation("S3", text, seq)


def _completed(memento: Memento) -> set[int]:
    """Return the places of the steps that are completed."""
    steps = enumerate(memento.steps)
    return {place for place, step in steps if step.status is StepStatus.COMPLETED}


def no_step_is_skipped(run: Checked) -> Iterator[Violation]:
    """S1: of a linear flow that is completed, each step is."""
    flows = run.sim.scenario.flows
    for name, memento in run.mementos.items():
        flow = flows.get(memento.flow)
        if memento.status is not RunStatus.COMPLETED or not (flow and flow.is_linear):
            continue
        for step in memento.steps:
            if step.status is not StepStatus.COMPLETED:
                yield violation(
                    "S1", f"{'/'.join(name)} is completed without {step.name}"
                )


def mementos_can_be_read(run: Checked) -> Iterator[Violation]:
    """S11: what is kept reads back as what it is."""
    for (name, key), memento in run.mementos.items():
        shape = _timeless(memento)
        known = run.readable.setdefault((name, key, memento.cursor), [])
        if shape in known:
            continue
        known.append(shape)
        text = memento.to_json()
        back = Memento.from_json(key, text, kind=memento.resource.kind)
        if back.to_json() != text:
            yield violation("S11", f"{name}/{key} does not read back")


def _timeless(memento: Memento) -> Memento:
    """Return *memento* as of no time: what a text is like does not depend on that."""
    steps = tuple(
        step._replace(started=step.started and 0.5, finished=step.finished and 0.5)
        for step in memento.steps
    )
    return memento._replace(
        steps=steps,
        started=memento.started and 0.5,
        finished=memento.finished and 0.5,
        wake=memento.wake and 0.5,
        deadline=memento.deadline and 0.5,
    )


def resources_agree_with_runs(run: Checked) -> Iterator[Violation]:
    """S13: when all is quiet no run has ended without its resource showing it."""
    if not run.settled or run.sim.scenario.is_service:
        return
    for (name, key), memento in run.mementos.items():
        resource = run.resources.get(name)
        ended = memento.status in TERMINAL or memento.status is RunStatus.INTERRUPTED
        if resource and ended and resource.entered == memento.entered:
            text = f"{name} is {resource.state!r}, {key} is {memento.status.value}"
            yield violation("S13", text)


def all_ends(run: Checked) -> Iterator[Violation]:
    """L1 and L3: what has begun comes to an end, without turning in a circle."""
    if not run.settled:
        last = Counter(
            f"{record.kind.value} {record.step or record.resource}"
            for record in run.sim.log.records[-200:]
        )
        turns = ", ".join(f"{what} ({n})" for what, n in last.most_common(3))
        text = f"it does not settle; of the last 200 records: {turns}"
        yield violation("L3", text, cause="L3 it does not settle")
        return
    for name, memento in run.mementos.items():
        resource = run.resources.get(name[0])
        if resource is not None and resource.state == FlowStatus.STOPPED:
            continue  # it waits for somebody to start it
        if memento.status in UNDER_WAY:
            text = f"{'/'.join(name)} is {memento.status.value} and nothing happens"
            yield violation("L1", text)


def resources_are_stable(run: Checked) -> Iterator[Violation]:
    """L2: every resource is in a stable state."""
    if not run.settled:
        return
    for key, resource in sorted(run.resources.items()):
        machine = run.sim.scenario.machines.get(resource.kind)
        if machine is not None and machine.is_stable(resource.state):
            continue
        if machine is None and resource.state in (*_ENDED, FlowStatus.INITIALIZING):
            continue
        yield violation("L2", f"{key} is {resource.state!r} and nothing happens")


def places_are_free(run: Checked) -> Iterator[Violation]:
    """L5: nobody holds a lease or a place of a pool when all is quiet."""
    if not run.settled:
        return
    for key, lease in sorted(run.sim.leases.as_they_are().held.items()):
        if not lease.lapsed:
            yield violation("L5", f"{lease.holder} holds the lease of {key}")
    named = {**run.sim.pools, **dict(pools(vars(run.sim.world or run.sim)))}
    for name, pool in named.items():
        if pool.held or pool.queue:
            yield violation("L5", f"pool {name}: {pool}")


def ends_as_the_reference(run: Checked) -> Iterator[Violation]:
    """S12 and S27: runs, resources and world are those of the calm run."""
    if run.calm is None or not run.settled or not run.is_comparable:
        return
    rows = (("S12", "runs"), ("S13", "resources"), ("S27", "world"))
    for code, part in rows:
        now, then = getattr(run.end, part), getattr(run.calm, part)
        if now != then and (found := difference(now, then)):
            where = f"{part}.{found[0]}" if found[0] else part
            yield violation(code, f"{where}: {found[1]}", cause=f"{code} {where}")
            return


def only_what_is_live_is_touched(run: Checked) -> Iterator[Violation]:
    """S25: who saw an old view of the world ends as the reference all the same."""
    yield from _ends_alike_after(run, "S25", ("StaleRead",))


def decisions_are_level_triggered(run: Checked) -> Iterator[Violation]:
    """S26: who missed events ends as the reference all the same."""
    yield from _ends_alike_after(run, "S26", ("DropWatch", "ApiDown"))


def _ends_alike_after(
    run: Checked, code: str, kinds: tuple[str, ...]
) -> Iterator[Violation]:
    names = {type(fault).__name__ for fault in run.faults}
    if run.calm is None or not run.settled or names.isdisjoint(kinds):
        return
    if not run.is_comparable:
        return
    if not names <= {*kinds, "CrashAt"}:  # a restart is what travels in time
        return
    if found := difference(run.end._asdict(), run.calm._asdict()):
        yield violation(code, f"{found[0]}: {found[1]}", cause=f"{code} {found[0]}")


def others_go_on(run: Checked) -> Iterator[Violation]:
    """L4: what goes wrong with one resource keeps no other one from its end."""
    hit = {getattr(fault, "resource", None) for fault in run.faults}
    if run.calm is None or not run.settled or len(hit) != 1 or None in hit:
        return
    for name, resource in run.calm.resources.items():
        now = run.end.resources.get(name)
        if name in hit or run.sim.scenario.is_service or now is None:
            continue
        if now["state"] != resource["state"]:
            text = f"{name} is {now['state']!r}, not {resource['state']!r}"
            yield violation("L4", f"{text}, though it was {', '.join(hit)} that was hit")  # type: ignore[arg-type]


SOON = 60.0
"""So many seconds after it was asked for, what was interrupted has gone on."""


def operators_are_heard(run: Checked) -> Iterator[Violation]:
    """L6: what is interrupted goes on if an operator asks, and what is stopped starts.

    The simulation is not as it was then: this is asked last.
    """
    sim = run.sim
    if not run.settled or sim.now + SOON > sim.scenario.horizon:
        return
    is_service = sim.scenario.is_service
    state = FlowStatus.STOPPED if is_service else INTERRUPT
    stuck = [name for name, each in run.resources.items() if each.state == state]
    before = len(sim.journal)
    if not stuck:
        return
    try:
        for name in stuck:
            (sim.service.start if is_service else sim.recover)(name)
        sim.run(sim.now + SOON)
    except Exception as error:  # what is wrong already may break down now
        yield violation("L6", f"an operator who asks gets {type(error).__name__}")
        return
    moved = {record.resource for record in sim.log.records[before:] if record.token}
    for name in stuck:
        if name not in moved:
            yield violation("L6", f"{name} is {state}, and nobody hears an operator")


ORACLES: Mapping[str, Check] = {
    check.__name__: check
    for check in (
        times_do_not_go_back,
        tokens_grow,
        nothing_runs_twice,
        no_step_is_skipped,
        mementos_can_be_read,
        all_ends,
        resources_are_stable,
        resources_agree_with_runs,
        places_are_free,
        ends_as_the_reference,
        *HISTORIES,
        only_what_is_live_is_touched,
        decisions_are_level_triggered,
        others_go_on,
        operators_are_heard,
    )
}
"""Every invariant by its name, in the order in which they are asked."""

OF_THE_WAY: frozenset[Check] = frozenset(
    {times_do_not_go_back, tokens_grow, nothing_runs_twice, *HISTORIES}
)
"""Those of how a run has come to where it is; the others are of its end."""

CODES: Mapping[str, tuple[str, ...]] = {
    code: tuple(
        name
        for name, check in ORACLES.items()
        if code in re.findall(r"[SL]\d+", str(check.__doc__).partition(":")[0])
    )
    for code in (
        *(f"S{number}" for number in range(1, 28)),
        *(f"L{number}" for number in range(1, 7)),
    )
}
"""The names of the invariants by the codes of the catalogue."""
