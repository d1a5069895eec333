"""Resuming: the state of resources and world, given the mementos of runs alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wfsim.engine.service import KIND
from wfsim.errors import UsageError
from wfsim.model.memento import Memento, Quarantined, RunStatus, StepMemento
from wfsim.model.resource import Key, Resource
from wfsim.sim.redo import Entry, Redo
from wfsim.sim.redo_service import ServiceRedo, flow_of
from wfsim.sim.scenario import Scenario
from wfsim.sim.storage import Standing, doubted, trusted
from wfsim.sim.world import World


def resumed(
    scenario: Scenario,
    mementos: Iterable[Entry],
    seed: int,
    world: World | None,
    resources: Iterable[Resource],
) -> tuple[tuple[Standing, ...], World | None]:
    """Return all resources of *scenario* and the world, as *mementos* have them.

    *resources* take the place of their namesakes in the scenario.  Times move so that
    second 0 is when the last thing happened that the mementos tell of.
    """
    listed = [*getattr(mementos, "quarantined", ()), *mementos]
    entries = _newest_of_each(listed)
    standing = _standing(scenario, entries, list(resources))
    if world is None:
        redo = (ServiceRedo if scenario.is_service else Redo)(scenario, seed)
        redo.apply(standing)
        standing, world = redo.standing(standing), redo.world
    world = None if world is None else detached(world)
    shift = _last_time(entries)
    return tuple(_settled(scenario, each, shift) for each in standing), world


def detached(world: World) -> World:
    """Return a copy of *world* on no clock, for one whose second 0 is now."""
    twin = world.copy()
    try:
        now = world.clock.now
    except UsageError:
        return twin
    twin.pending = [item._replace(due=item.due - now) for item in twin.pending]
    return twin


def _newest_of_each(mementos: Iterable[Entry]) -> list[Entry]:
    """Return the last entry of each run, oldest run first."""
    runs: dict[tuple[Key, str], Entry] = {}
    for memento in mementos:
        if not isinstance(memento, (Memento, Quarantined)):
            raise UsageError(
                f"{memento!r} is not a memento; give some of sim.mementos(name), or what "
                "wfsim.load_mementos(file) returns"
            )
        runs[memento.resource, memento.key] = memento
    return sorted(runs.values(), key=_number)


def _number(entry: Entry) -> int:
    number = entry.key.partition("-")[0][:9]
    return int(number) if number.isascii() and number.isdigit() else 0


def _standing(
    scenario: Scenario, entries: Iterable[Entry], given: list[Resource]
) -> list[Standing]:
    """Return the resources of *scenario*, each with its entries, and those it lacks."""
    scenario.check(given)
    resources = {each.key: each for each in (*scenario.resources, *given)}
    of: dict[Key, list[Entry]] = {key: [] for key in resources}
    unlike = False
    known = list(resources.values())
    if not (known or scenario.is_service):
        known = [scenario.first]
    for entry in entries:
        key = _key_among(known, entry, KIND if scenario.is_service else "")
        if key not in of and scenario.is_service:
            resources[key] = flow_of(entry)._replace(kind=KIND)
            of[key] = []
        elif key not in of:
            of[key] = []
            arrived = scenario.arrived(key)
            unlike = unlike or arrived is None
            # Somebody else's: it is taken for one like the scenario's first.
            resources[key] = arrived or scenario.first._replace(
                name=key.name, namespace=key.namespace
            )
        of[key].append(_moved(trusted(entry, scenario.flows), key))
    return [
        Standing(resource, tuple(of[key]))
        for key, resource in resources.items()
        # What it is taken for is not there a second time.
        if not (unlike and key == scenario.first.key and not of[key])
    ]


def _key_among(known: Sequence[Resource], entry: Entry, kind: str) -> Key:
    """Return the key of the resource of *entry*, if it is one of *known* as it is there.

    A dump does not know what kind the scenario calls it: that of the first of *known*, or
    *kind* if there is none.
    """
    _, namespace, name = entry.resource
    for resource in known:
        if resource.key == entry.resource:
            return entry.resource
    for resource in known:
        if (resource.namespace, resource.name) == (namespace, name):
            return resource.key
    return Key(known[0].kind if known else kind, namespace, name)


def _moved(entry: Entry, key: Key) -> Entry:
    """Return *entry* as one of the resource *key*, which is yet to be created."""
    if isinstance(entry, Quarantined):
        return entry._replace(resource=key)
    return entry._replace(resource=key, entered=-1, owner="", wake=None)


def _settled(scenario: Scenario, each: Standing, shift: float) -> Standing:
    runs = [_earlier(e, shift) if isinstance(e, Memento) else e for e in each.entries]
    begun = [r for r in runs if isinstance(r, Memento)]
    if scenario.is_service:
        resource = _earlier_flow(each.resource, shift)
    else:
        resource = _state(scenario, each.resource, begun)
        if runs and isinstance(runs[-1], Quarantined):
            notes = scenario.machines[resource.kind].notes
            resource = doubted(resource, runs[-1], notes)
    return Standing(resource._replace(uid="", revision=0, entered=0), tuple(runs))


def _state(scenario: Scenario, resource: Resource, runs: Sequence[Memento]) -> Resource:
    """Return *resource* in the state that the newest of *runs* implies."""
    if not runs:
        return resource
    newest = runs[-1]
    machine = scenario.machines[resource.kind]
    state = machine.state_running(newest.flow) or resource.state
    action = machine.action(state)
    if newest.status is RunStatus.INTERRUPTED:
        stopped = resource.move(state)
        return machine.notes.interrupt(stopped, newest.reason, newest.error)
    if newest.status is RunStatus.COMPLETED and action is not None:
        return resource.move(action.then, newest.flow)
    if newest.status is RunStatus.SUPERSEDED:
        # Only the action of another state, which was being entered, supersedes a run.
        others = machine.actions.values()
        entered = [
            a.state for a in others if a.ignore_unfinished and a.flow != newest.flow
        ]
        return resource.move(entered[0]) if entered else resource.move(state)
    return resource.move(state)


def _earlier(run: Memento, shift: float) -> Memento:
    """Return *run* with all its times *shift* seconds earlier."""

    def moved(time: float | None) -> float | None:
        # To the microsecond: differences of floats are not what anyone has measured.
        return None if time is None else round(time - shift, 6)

    steps = tuple(
        step._replace(started=moved(step.started), finished=moved(step.finished))
        for step in run.steps
    )
    return run._replace(
        steps=steps,
        started=moved(run.started),
        finished=moved(run.finished),
        deadline=moved(run.deadline),
    )


def _earlier_flow(flow: Resource, shift: float) -> Resource:
    """Return *flow* of a service with its times *shift* seconds earlier."""
    times = {key: flow.status[key] - shift for key in ("created", "updated")}
    return flow.edit(status={key: round(time, 6) for key, time in times.items()})


def _last_time(entries: Iterable[Entry]) -> float:
    """Return the latest time at which anything happened according to *entries*."""
    times = [
        time
        for run in entries
        if isinstance(run, Memento)
        for begun, ended in ((run.started, run.finished), *_times(run.steps))
        for time in (begun, ended)
        if time is not None
    ]
    return max(times, default=0.0)


def _times(steps: Iterable[StepMemento]) -> list[tuple[float | None, float | None]]:
    return [(step.started, step.finished) for step in steps]
