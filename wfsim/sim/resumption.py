"""Where resources and their world stand, given the mementos of their runs alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

from wfsim.engine.attempt import describe
from wfsim.engine.ports import Effect
from wfsim.engine.steps import StepContext
from wfsim.errors import UsageError, Waiting
from wfsim.model.flow import Step
from wfsim.model.log import EventLog
from wfsim.model.memento import Memento, Quarantined, RunStatus, StepMemento, StepStatus
from wfsim.model.resource import Key, Resource
from wfsim.sim.clock import VirtualClock
from wfsim.sim.recording import Recorder
from wfsim.sim.scenario import Scenario
from wfsim.sim.stores import InMemoryResources
from wfsim.sim.streams import KeyedDraws
from wfsim.sim.world import World

ATTEMPTS = 100
"""How often a completed step is tried while its effects are applied again."""

Entry: TypeAlias = Memento | Quarantined


class Found(NamedTuple):
    """A resource as a controller that starts finds it, and what is kept of its runs."""

    resource: Resource
    entries: tuple[Entry, ...]


def found(
    scenario: Scenario,
    mementos: Iterable[Entry],
    seed: int,
    world: World | None,
    resources: Iterable[Resource],
) -> tuple[tuple[Found, ...], World | None]:
    """Return all resources of *scenario* and the world, as *mementos* have them.

    *resources* take the place of their namesakes in the scenario.  Times move so that
    second 0 is when the last thing happened that the mementos tell of.
    """
    listed = [*getattr(mementos, "quarantined", ()), *mementos]
    entries = _newest_of_each(listed)
    standing = _standing(scenario, entries, list(resources))
    if world is None:
        past = _Past(scenario, seed)
        past.apply(standing)
        standing, world = past.standing(standing), past.world
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
) -> list[Found]:
    """Return the resources of *scenario*, each with its entries, and those it lacks."""
    scenario.check(given)
    resources = {each.key: each for each in (*scenario.resources, *given)}
    of: dict[Key, list[Entry]] = {key: [] for key in resources}
    known = list(resources.values())
    for entry in entries:
        key = _key_among(known, entry)
        if key not in of:
            # Somebody else's: it is taken for one like the scenario's first.
            resources[key] = scenario.resources[0]._replace(
                name=key.name, namespace=key.namespace
            )
            of[key] = []
        of[key].append(_moved(entry, key))
    unlike = len(of) > len(known)
    return [
        Found(resource, tuple(of[key]))
        for key, resource in resources.items()
        # What it is taken for is not there a second time.
        if not (unlike and key == scenario.resources[0].key and not of[key])
    ]


def _key_among(known: Sequence[Resource], entry: Entry) -> Key:
    """Return the key of the resource of *entry*, if it is one of *known* as it is there.

    A dump does not know what kind the scenario calls it.
    """
    _, namespace, name = entry.resource
    for resource in known:
        if resource.key == entry.resource:
            return entry.resource
    for resource in known:
        if (resource.namespace, resource.name) == (namespace, name):
            return resource.key
    return Key(known[0].kind, namespace, name)


def _moved(entry: Entry, key: Key) -> Entry:
    """Return *entry* as one of the resource *key*, which is yet to be created."""
    if isinstance(entry, Quarantined):
        return entry._replace(resource=key)
    return entry._replace(resource=key, entered=-1, owner="", wake=None)


class _Past:
    """Carries out completed steps on a clock of its own.

    What they took there is no time at all to the simulation that goes on from it.
    """

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.clock = VirtualClock()
        self.draws = KeyedDraws(seed)
        self.store = InMemoryResources(self.clock, defaultdict(int))
        self.recorder = Recorder(EventLog(), self.clock)
        self.world = scenario.world() if scenario.world else None
        if self.world is not None:
            self.world.attach(self.clock, self.draws)
        self.bodies = scenario.bodies()

    def apply(self, standing: Sequence[Found]) -> None:
        """Carry out the completed steps of every run, one after the other."""
        doing = self.clock.process(self._all(standing))
        horizon = self.scenario.horizon
        while doing.is_alive and self.clock.peek() <= horizon:
            self.clock.step()
        if doing.is_alive:
            raise UsageError(
                f"{self._at}: a step that had completed does not end when its effects "
                f"are applied again; {_CURE}"
            )
        if isinstance(doing.value, BaseException):
            raise doing.value

    def standing(self, before: Sequence[Found]) -> list[Found]:
        """Return the resources as the steps left them."""
        after = []
        for each in before:
            left = self.store.peek(each.resource.key)
            assert left is not None
            # They may have changed all of it but the state, which is not theirs.
            after.append(each._replace(resource=left._replace(state=each.resource.state)))
        return after

    def _all(self, standing: Sequence[Found]) -> Effect[None]:
        for resource, entries in standing:
            yield from self.store.create(resource)
            for run in entries:
                if isinstance(run, Memento):
                    yield from self._run(run, resource.key)

    def _run(self, run: Memento, key: Key) -> Effect[None]:
        flow = self.scenario.flows.get(run.flow)
        specs = {spec.name: spec for spec in flow.steps} if flow else {}
        state = self.scenario.machines[key.kind].state_running(run.flow)
        live = yield from self.store.get(key)
        yield from self.store.update(live.move(state or live.state))
        inputs = dict(run.context)
        for step in run.steps:
            if step.status is StepStatus.COMPLETED:
                if step.name in specs:
                    self._at = f"{run.key}, {step.name}"
                    yield from self._step(run, step, specs[step.name], inputs, key)
                inputs |= step.output

    def _step(
        self, run: Memento, step: StepMemento, spec: Step, inputs: Any, key: Key
    ) -> Effect[None]:
        first = max(step.attempts, 1)
        draws = self.draws.within(*key, run.key)
        why = ""
        # The attempt that succeeded comes first: with the same seed it does again.
        for attempt in range(first, first + ATTEMPTS):
            live = yield from self.store.get(key)
            context = StepContext(
                self.clock, live, inputs, attempt, run.key, run.flow, spec, self.world,
                self.store, self.recorder, draws, 0,
            )  # fmt: skip
            try:
                yield from self.bodies[spec.class_name](context)
                return
            except Waiting as signal:
                why = "it waits"
                yield self.clock.timeout(max(signal.after or 0.0, 1.0))
            except Exception as error:
                why = describe(error)
                yield self.clock.timeout(1.0)
            finally:
                context.close()
        raise UsageError(
            f"{self._at}: a step that had completed fails when its effects are applied "
            f"again, {ATTEMPTS} times, with {why}; {_CURE}"
        )

    _at = ""


_CURE = "give what stood, resume(..., world=..., resources=...)"


def _settled(scenario: Scenario, each: Found, shift: float) -> Found:
    runs = [_earlier(e, shift) if isinstance(e, Memento) else e for e in each.entries]
    resource = _state(
        scenario, each.resource, [r for r in runs if isinstance(r, Memento)]
    )
    return Found(resource._replace(uid="", revision=0, entered=0), tuple(runs))


def _state(scenario: Scenario, resource: Resource, runs: Sequence[Memento]) -> Resource:
    """Return *resource* in the state that the newest of *runs* implies."""
    if not runs:
        return resource
    newest = runs[-1]
    machine = scenario.machines[resource.kind]
    state = machine.state_running(newest.flow) or resource.state
    action = machine.action(state)
    if newest.status is RunStatus.INTERRUPTED:
        return resource.move(state).interrupt(newest.reason, newest.error)
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
