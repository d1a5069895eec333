"""Where a resource and its world stand, given the mementos of its runs alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from wfsim.engine.runner import checked_output
from wfsim.engine.steps import StepContext
from wfsim.errors import Interrupted, UsageError, Waiting
from wfsim.model.frozen import EMPTY
from wfsim.model.log import EventLog
from wfsim.model.memento import Memento, Quarantined, RunStatus, StepStatus
from wfsim.model.resource import INTERRUPT, Key, Resource
from wfsim.sim.clock import VirtualClock
from wfsim.sim.recording import Recorder
from wfsim.sim.scenario import Scenario
from wfsim.sim.stores import InMemoryResources
from wfsim.sim.streams import KeyedDraws
from wfsim.sim.world import World

ATTEMPTS = 100
"""How often a completed step is tried while its effects are applied again."""

Entry = Memento | Quarantined


def newest_of_each(mementos: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the last entry of each run, oldest run first."""
    runs: dict[str, Entry] = {}
    for memento in mementos:
        runs.pop(memento.key, None)
        runs[memento.key] = memento
    return tuple(runs.values())


def resource_of(scenario: Scenario, entries: Sequence[Entry]) -> Resource:
    """Return the scenario's resource that *entries* are of, not yet in any state."""
    names = {entry.resource.name for entry in entries}
    if len(names) > 1:
        raise UsageError(f"mementos of several resources: {', '.join(sorted(names))}")
    for resource in scenario.resources:
        if not names or resource.name in names:
            return resource
    kind = next(iter(scenario.machines))
    found = entries[0].resource
    return Resource(kind, found.name, found.namespace)


def state_in(scenario: Scenario, resource: Resource, runs: Sequence[Memento]) -> Resource:
    """Return *resource* in the state that the newest of *runs* implies."""
    if not runs:
        return resource
    newest = runs[-1]
    machine = scenario.machines[resource.kind]
    state = machine.state_running(newest.flow) or resource.state
    action = machine.action(state)
    match newest.status:
        case RunStatus.COMPLETED | RunStatus.SUPERSEDED:
            return resource.move(action.then if action else state, newest.flow)
        case RunStatus.INTERRUPTED:
            return resource.move(state).interrupt(newest.reason, newest.error)
        case _:
            return resource.move(state)


def apply_completed(
    scenario: Scenario, resource: Resource, runs: Sequence[Memento], seed: int
) -> tuple[Resource, World | None, float]:
    """Carry out the completed steps of *runs* on a clock of their own.

    Returns the resource as those steps left it, the world, and how long it took there,
    which is no time at all to the simulation that goes on from it.
    """
    clock = VirtualClock()
    draws = KeyedDraws(seed)
    world = scenario.world() if scenario.world else None
    if world is not None:
        world.attach(clock, draws)
    store = InMemoryResources(clock, {})
    key = resource.key

    def work() -> Any:
        yield from store.create(resource)
        for run in runs:
            yield from _apply_run(scenario, run, key, clock, store, world, draws)

    clock.run(clock.process(work()))
    left = store.peek(key)
    assert left is not None
    return left, world, float(clock.now)


def _apply_run(
    scenario: Scenario,
    run: Memento,
    key: Key,
    clock: VirtualClock,
    store: InMemoryResources,
    world: World | None,
    draws: KeyedDraws,
) -> Any:
    flow = scenario.flows.get(run.flow)
    if flow is None:
        return
    bodies = scenario.bodies()
    specs = {spec.name: spec for spec in flow.steps}
    inputs = dict(run.context)
    recorder = Recorder(EventLog(), clock)
    for step in run.steps:
        spec = specs.get(step.name)
        if step.status is not StepStatus.COMPLETED or spec is None:
            continue
        for attempt in range(max(step.attempts, 1), max(step.attempts, 1) + ATTEMPTS):
            live = yield from store.get(key)
            context = StepContext(
                clock, live, inputs, attempt, run.key, run.flow, spec, world, store,
                recorder, draws, 0,
            )  # fmt: skip
            try:
                output = yield from bodies[spec.class_name](context)
            except (Waiting, Exception) as error:
                if isinstance(error, Interrupted):
                    raise UsageError(
                        f"{step.name} cannot be applied again: {error}"
                    ) from error
                yield clock.timeout(1.0)
                continue
            checked_output(spec, output or EMPTY)
            break
        else:
            raise UsageError(f"{step.name} did not succeed again in {ATTEMPTS} attempts")
        inputs |= step.output


def found(
    scenario: Scenario, mementos: Iterable[Entry], seed: int, world: World | None
) -> tuple[Resource, tuple[Entry, ...], World | None]:
    """Return resource, entries and world as a controller that starts finds them.

    Times move so that the new simulation's second 0 is when the last memento was written.
    """
    entries = newest_of_each(mementos)
    resource = resource_of(scenario, entries)
    runs = sorted(
        (entry for entry in entries if isinstance(entry, Memento)),
        key=lambda run: run.number,
    )
    took = 0.0
    if world is None:
        resource, world, took = apply_completed(scenario, resource, runs, seed)
        if world is not None:
            world = world.copy()
            world.pending = [item._replace(due=item.due - took) for item in world.pending]
    stands = state_in(scenario, resource, runs)._replace(uid="", revision=0)
    adopted = tuple(
        entry._replace(resource=resource.key, entered=-1, owner="", wake=None)
        if isinstance(entry, Memento)
        else entry._replace(resource=resource.key)
        for entry in entries
    )
    return stands, adopted, world


__all__ = ["INTERRUPT", "apply_completed", "found", "newest_of_each"]
