"""What must be true of a run whatever interrupted it, by name.

Codes are those of the catalogue: S for safety, L for liveness once faults are over.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from math import inf
from typing import Any, NamedTuple

from wfsim.campaign.plain import difference, plain
from wfsim.engine.flow_status import FlowStatus
from wfsim.model.memento import Memento, RunStatus, StepStatus
from wfsim.model.record import Kind
from wfsim.model.resource import Resource
from wfsim.model.run import Adopt
from wfsim.sim.pool import pools
from wfsim.sim.simulation import Simulation

TERMINAL = frozenset({RunStatus.COMPLETED, RunStatus.CANCELLED, RunStatus.SUPERSEDED})
UNDER_WAY = frozenset({RunStatus.PREPARED, RunStatus.RUNNING, RunStatus.FAILED})
_ENDED = ("Finished", "Error", "Canceled", "Stopped")
CALM = frozenset(
    {
        *("CrashAt", "DelayStep", "FailSave", "RefuseWrite", "StaleRead", "DropWatch"),
        *("ApiDown", "PauseController", "RepeatCall"),
    }
)
"""Faults after which all must end as if they had not been."""


class Violation(NamedTuple):
    """An invariant that does not hold: at the record of number *seq*, None at the end.

    *cause* is what the violations of other runs with the same cause have in common.
    """

    invariant: str
    text: str
    seq: int | None = None
    cause: str = ""


class End(NamedTuple):
    """What two runs are compared by: resources, statuses of runs, the essence."""

    resources: Mapping[str, Any]
    runs: Mapping[str, str]
    world: Any

    @classmethod
    def of(
        cls, sim: Simulation, but: Collection[str] = (), alike: Collection[str] = ()
    ) -> End:
        """Return that of *sim*, without the dotted paths *but*.

        Names that match one of the patterns *alike* are numbered in their order.
        """
        return cls.folded(sim, sim.journal.fold(), but, alike)

    @classmethod
    def folded(
        cls,
        sim: Simulation,
        fold: tuple[float, Mapping[str, Resource], Mapping[tuple[str, str], Memento]],
        but: Collection[str],
        alike: Collection[str],
    ) -> End:
        """Return the same from the *fold* of its journal."""
        resources, runs = {}, {}
        _, present, mementos = fold
        for key, resource in sorted(present.items()):
            whole = resource._replace(uid="", revision=0, entered=0, deleted=None)
            times = ("*.status.created", "*.status.updated")
            drop = (*but, *times) if sim.scenario.is_service else but
            resources[key] = plain(whole, drop, f"resources.{key}")
        for name, memento in mementos.items():
            runs["/".join(name)] = memento.status.value
        world = None if sim.world is None else plain(sim.world.essence(), but)
        if not alike:
            return cls(resources, runs, world)
        numbers: dict[str, str] = {}
        text = re.sub(
            "|".join(f"(?:{pattern})" for pattern in alike),
            lambda hit: numbers.setdefault(hit[0], f"~{len(numbers) + 1}"),
            json.dumps([resources, runs, world]),
        )
        return cls(*json.loads(text))


class Checked(NamedTuple):
    """A run that has settled, or not: *settled*; *calm* is the end of the reference."""

    sim: Simulation
    end: End
    calm: End | None
    settled: bool
    faults: tuple[Any, ...]
    resources: Mapping[str, Resource]
    mementos: Mapping[tuple[str, str], Memento]
    readable: dict[Any, list[Memento]]
    """What is known to read back, by run and step; runs of one campaign share it."""

    @property
    def is_comparable(self) -> bool:
        """Whether it must have ended as the reference did."""
        return all(type(fault).__name__ in CALM for fault in self.faults)


Check = Callable[[Checked], Iterator[Violation]]


def times_do_not_go_back(run: Checked) -> Iterator[Violation]:
    """S10: the times of entries never decrease."""
    last = -inf
    for seq, (time, _, _, _) in enumerate(run.sim.journal.entries()):
        if time < last:
            yield _at("S10", f"an entry of {time:g} s after one of {last:g} s", seq)
        last = time


def tokens_grow(run: Checked) -> Iterator[Violation]:
    """S4: what has an older lease of a resource writes no more."""
    newest: dict[Any, int] = {}
    for seq, (_, subject, _, token) in enumerate(run.sim.journal.entries()):
        if subject is None or not token:
            continue
        key = subject.resource
        if token < newest.get(key, 0):
            yield _at("S4", f"{key}: token {token} after {newest[key]}", seq)
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
            done.setdefault(name, set()).add(_bare(change).index)
        elif kind in (Kind.RUN_RECOVERED, Kind.RUN_CREATED):
            over.discard(name)
            done.pop(name, None)
        elif kind in (Kind.RUN_COMPLETED, Kind.RUN_SUPERSEDED):
            over.add(name)
        elif kind is Kind.STEP_STARTED:
            again = _bare(change).index in done.get(name, ())
            if name not in over and not again:
                continue
            record = run.sim.journal.made(seq)
            if name in over:
                whose = f"{record.resource}/{record.run}"
                yield _at("S9", f"{whose} has ended, and {record.step} starts", seq)
            flow = flows.get(record.flow)
            if again and flow is not None and flow.is_linear:
                yield _at("S3", f"{record.step} starts though it was completed", seq)


def _completed(memento: Memento) -> set[int]:
    """Return the places of the steps that are completed."""
    steps = enumerate(memento.steps)
    return {place for place, step in steps if step.status is StepStatus.COMPLETED}


def _bare(change: Any) -> Any:
    """Return what is said by a change that is said with something else."""
    while hasattr(change, "change"):
        change = change.change
    return change


def no_step_is_skipped(run: Checked) -> Iterator[Violation]:
    """S1: of a linear flow that is completed, each step is."""
    flows = run.sim.scenario.flows
    for name, memento in run.mementos.items():
        flow = flows.get(memento.flow)
        if memento.status is not RunStatus.COMPLETED or not (flow and flow.is_linear):
            continue
        for step in memento.steps:
            if step.status is not StepStatus.COMPLETED:
                yield _at("S1", f"{'/'.join(name)} is completed without {step.name}")


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
            yield _at("S11", f"{name}/{key} does not read back")


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
            yield _at("S13", text)


def all_ends(run: Checked) -> Iterator[Violation]:
    """L1 and L3: what has begun comes to an end, without turning in a circle."""
    if not run.settled:
        last = Counter(
            f"{record.kind.value} {record.step or record.resource}"
            for record in run.sim.log.records[-200:]
        )
        turns = ", ".join(f"{what} ({n})" for what, n in last.most_common(3))
        text = f"it does not settle; of the last 200 records: {turns}"
        yield _at("L3", text, cause="L3 it does not settle")
        return
    for name, memento in run.mementos.items():
        resource = run.resources.get(name[0])
        if resource is not None and resource.state == FlowStatus.STOPPED:
            continue  # it waits for somebody to start it
        if memento.status in UNDER_WAY:
            text = f"{'/'.join(name)} is {memento.status.value} and nothing happens"
            yield _at("L1", text)


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
        yield _at("L2", f"{key} is {resource.state!r} and nothing happens")


def places_are_free(run: Checked) -> Iterator[Violation]:
    """L5: nobody holds a lease or a place of a pool when all is quiet."""
    if not run.settled:
        return
    for key, lease in sorted(run.sim.leases.as_they_are().held.items()):
        if not lease.lapsed:
            yield _at("L5", f"{lease.holder} holds the lease of {key}")
    named = {**run.sim.pools, **dict(pools(vars(run.sim.world or run.sim)))}
    for name, pool in named.items():
        if pool.held or pool.queue:
            yield _at("L5", f"pool {name}: {pool}")


def ends_as_the_reference(run: Checked) -> Iterator[Violation]:
    """S12 and S27: runs, resources and world are those of the calm run."""
    if run.calm is None or not run.settled or not run.is_comparable:
        return
    rows = (("S12", "runs"), ("S13", "resources"), ("S27", "world"))
    for code, part in rows:
        now, then = getattr(run.end, part), getattr(run.calm, part)
        if now != then and (found := difference(now, then)):
            where = f"{part}.{found[0]}" if found[0] else part
            yield _at(code, f"{where}: {found[1]}", cause=f"{code} {where}")
            return


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
    )
}
"""Every invariant by its name, in the order in which they are asked."""

OF_THE_WAY: frozenset[Check] = frozenset(
    {times_do_not_go_back, tokens_grow, nothing_runs_twice}
)
"""Those of how a run has come to where it is; the others are of its end."""


def broken_down(error: Exception) -> Violation:
    """Return that the engine, or what it runs, has broken down with *error*."""
    return _at("error", f"{type(error).__name__}: {error}")


def _at(code: str, text: str, seq: int | None = None, cause: str = "") -> Violation:
    return Violation(code, text, seq, re.sub(r"\d+", "N", cause or f"{code} {text}"))
