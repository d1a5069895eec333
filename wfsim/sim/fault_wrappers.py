"""Ports that misbehave: wrappers around the real ones, one for each port.

A wrapper is put on only if the plan has a fault for its port, so that a run without
faults pays nothing for them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, assert_never

from wfsim import errors
from wfsim.engine.context import StepContext
from wfsim.engine.ports import (
    Clock,
    Effect,
    Listener,
    Nothing,
    ResourceStore,
    RunStore,
    StepFunction,
    Steps,
)
from wfsim.errors import Unavailable
from wfsim.model.bounds import PerSecond, PositiveCount, check
from wfsim.model.memento import Quarantined
from wfsim.model.record import Kind
from wfsim.model.resource import Key, Resource
from wfsim.model.run import Change, Late, Run
from wfsim.sim.faults import (
    AnyStepFault,
    CrashAt,
    DelayStep,
    FailSave,
    FailStep,
    Fault,
    HangStep,
    InterruptStep,
    RefuseWrite,
    StepFault,
)
from wfsim.sim.sites import Name, Sites, is_at_once

_NEVER = 10**18

Fired = Callable[[Fault], None]


class FaultySteps(Mapping[str, StepFunction]):
    """Steps of which some fail, hang, come late or ask for an operator."""

    def __init__(
        self,
        steps: Steps,
        faults: Sequence[StepFault],
        fired: Fired,
        key_of: Callable[[str], Key | None],
        sites: Sites,
    ) -> None:
        self._steps = steps
        self._sites = sites
        self._left: list[list[Any]] = []
        self._named: set[str] = set()
        self._fired = fired
        self._key_of = key_of
        self.add(faults)

    def add(self, faults: Sequence[StepFault]) -> None:
        """Add *faults* to those that happen, from now on."""
        for fault in faults:
            key = None if fault.resource is None else self._key_of(fault.resource)
            self._left.append([fault, fault.times, key])
        self._named |= {fault.step for fault in faults if fault.step is not None}

    @property
    def left(self) -> tuple[int, ...]:
        """How often each fault may still happen."""
        return tuple(row[1] for row in self._left)

    def go_on(self, left: tuple[int, ...]) -> None:
        """Go on as if each fault could happen so often, in the order of `left`."""
        for row, times in zip(self._left, left, strict=False):
            row[1] = times

    def __iter__(self) -> Iterator[str]:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, name: str) -> StepFunction:
        body, sites = self._steps[name], self._sites

        def effect(context: StepContext) -> Effect[Any]:
            if sites.is_on and sites.looks_into(context):
                return self._run(lambda it: sites.driven(body(it), it), context)
            # Most steps have no fault: a generator less, for each of their waits.
            spec = context.spec
            if spec.name in self._named or spec.class_name in self._named:
                return self._run(body, context)
            return body(context)

        return effect

    def _run(self, body: StepFunction, context: StepContext) -> Effect[Any]:
        ends_badly = None
        for fault in self._due(context):
            self._fired(fault)
            match fault:
                case DelayStep():
                    yield context.clock.timeout(fault.by)
                case HangStep():
                    yield context.clock.event()
                case InterruptStep():
                    raise errors.Interrupted(fault.reason, fault.message)
                case FailStep(after=True):
                    ends_badly = fault.error
                case FailStep():
                    raise errors.StepFailed(fault.error)
                case _:
                    assert_never(fault)
        output = yield from body(context)
        if ends_badly is not None:
            raise errors.StepFailed(ends_badly)
        return output

    def _due(self, context: StepContext) -> Iterator[AnyStepFault]:
        for row in self._left:
            fault, left, key = row
            if fault.site is not None:
                is_here = left > 0 and self._sites.starts(context, fault.site)
                if is_here:
                    row[1] = 0
                    yield fault
                continue
            if (
                left > 0
                and fault.step in (context.step, context.spec.class_name)
                and fault.attempt in (None, context.attempt)
                and (
                    context.resource.key == key
                    if key is not None
                    else fault.resource
                    in (None, context.resource.name, str(context.resource.key))
                )
            ):
                row[1] = left - 1
                yield fault


class Writes:
    """Every write of every controller, counted from 1; some of them go wrong.

    A `CrashAt` that names a controller counts the writes of that one alone.
    """

    def __init__(
        self,
        faults: Sequence[Fault],
        fired: Fired,
        crash: Callable[[CrashAt, str], None],
        sites: Sites | None = None,
    ) -> None:
        self.sites = sites
        self._name: Name | None = None
        self._placed: list[tuple[Fault, int]] = []
        """Faults of a site that has been reached, and at which write."""
        self.calm = 0
        """How many of the next writes are not to be looked at."""
        self._count = 0
        self._by: defaultdict[str, int] = defaultdict(int)
        self._calm_once = 0
        self._faults: list[Fault] = []
        self._fired = fired
        self._crash = crash
        self.add(faults)

    def add(self, faults: Sequence[Fault]) -> None:
        """Count for *faults* too, from now on."""
        self._faults += faults
        numbers = [getattr(fault, "write", None) for fault in self._faults]
        first = min((it for it in numbers if it is not None), default=_NEVER)
        self._count += self._calm_once - self.calm
        # Where one asks who writes, every write is looked at.
        named = any(getattr(fault, "controller", None) for fault in self._faults)
        is_each = named or (self.sites is not None and self.sites.is_on)
        self.calm = self._calm_once = 0 if is_each else max(first - self._count - 1, 0)

    def go_on(self, count: int) -> None:
        """Go on as if so many writes had been counted."""
        self._count = count
        self.add(())

    @property
    def count(self) -> int:
        """How many writes there have been."""
        return self._count + self._calm_once - self.calm

    def counted(
        self,
        write: Callable[[], Any],
        writer: str,
        name: Callable[[Sites], Name | None],
    ) -> Any:
        """Count *write* by *writer*, a controller; make it, or what faults make of it.

        *name* is that of its site, which is asked for if anybody wants to know.
        """
        if self.calm > 0:
            self.calm -= 1
            return write()
        self._count += 1
        self._by[writer] += 1
        if self.sites is not None and self.sites.is_on:
            self._name = name(self.sites)
        return self.through(write, writer)

    def through(self, write: Callable[[], Any], writer: str = "") -> Any:
        """Make *write*, which has been counted, or what the faults make of it."""
        name, self._name = self._name, None
        if name is not None:
            return self._at_site(write, writer, name)
        due = [fault for fault in self._faults if self._hits(fault, writer)]
        return self._go_wrong(write, writer, due, self.count) if due else write()

    def _at_site(self, write: Callable[[], Any], writer: str, name: Name) -> Effect[Any]:
        sites, number = self.sites, self.count
        assert sites is not None
        site, entries = sites.reached(name), sites.entries
        for fault in sites.due(site, CrashAt, FailSave, RefuseWrite):
            if not isinstance(fault, CrashAt) or is_at_once(fault):
                sites.forget(fault)
                self._placed.append((fault, number))
        due = [fault for fault in self._faults if self._hits(fault, writer)]

        def passing() -> Effect[Any]:
            result = yield from write()
            sites.written(name, site, number, entries, writer)
            return result

        return (yield from self._go_wrong(passing, writer, due, number))

    def _go_wrong(
        self, write: Callable[[], Any], writer: str, due: list[Fault], number: int
    ) -> Effect[Any]:
        for fault in due:
            if isinstance(fault, CrashAt) and fault.when == "before":
                self._fired(fault)
                self._crash(fault, writer)
            elif isinstance(fault, RefuseWrite):
                self._fired(fault)
                raise errors.Conflict(f"injected conflict on write {number}")
            elif isinstance(fault, FailSave) and not fault.applied:
                self._fired(fault)
                raise errors.Unavailable(f"injected failure of write {number}")
        result = yield from write()
        for fault in due:
            if isinstance(fault, CrashAt) and fault.when == "after":
                self._fired(fault)
                self._crash(fault, writer)
            elif isinstance(fault, FailSave) and fault.applied:
                self._fired(fault)
                raise errors.Unavailable(f"injected silence after write {number}")
        return result

    def _hits(self, fault: Fault, writer: str) -> bool:
        first = getattr(fault, "write", None)
        if first is None:
            placed = (number for it, number in self._placed if it is fault)
            first = next(placed, None)
        if first is None:
            return False
        count, times = self.count, getattr(fault, "times", 1)
        if isinstance(fault, CrashAt) and fault.controller is not None:
            if fault.controller != writer:
                return False
            count = self._by[writer]
        return bool(first <= count < first + times)


class FaultyRuns:
    """The store of runs of one controller, whose writes go through `Writes`."""

    def __init__(self, inner: RunStore, writes: Writes, controller: str) -> None:
        self._inner = inner
        self._writes = writes
        self._controller = controller
        self._append = inner.append
        self.entries, self.keys = inner.entries, inner.keys
        self.refuse_large = inner.refuse_large

    def append(self, run: Run, change: Change, token: int) -> Nothing:
        """As the port says, if the faults let it."""
        # Armed faults are to cost next to nothing until one is due.
        writes = self._writes
        if writes.calm > 0:
            writes.calm -= 1
            return self._append(run, change, token)
        written: Nothing = writes.counted(
            lambda: self._append(run, change, token),
            self._controller,
            lambda sites: sites.of_run(run, change),
        )
        return written

    def remove(self, key: Key, run: str, token: int) -> Nothing:
        """As the port says, if the faults let it."""
        removed: Nothing = self._writes.counted(
            lambda: self._inner.remove(key, run, token),
            self._controller,
            lambda _: Name(str(key), run, what=Kind.RUN_PRUNED.value),
        )
        return removed


class View:
    """What controllers see of a store: a cache that may stand still, a deaf watch."""

    def __init__(self, inner: ResourceStore, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock
        # What the cache shows, and what the watches last told of, while that is the past.
        self._frozen: dict[Key, Resource | None] | None = None
        self._told: dict[Key, Resource | None] | None = None
        self._stale_until = self._deaf_until = 0.0
        self._gone: dict[Key, Resource | None] = {}
        self._listeners: list[Listener] = []

    def freeze(
        self, seconds: float, earlier: dict[Key, Resource | None] | None = None
    ) -> None:
        """Freeze the cache as it is now, for so long; then it shows the truth again.

        With *earlier* it shows that instead of what is there now.

        Like `drop`, it ends with a new list of everything, as after a new connection.
        """
        if earlier is not None:
            self._frozen = earlier
        elif self._frozen is None:
            self._frozen = self._there()
        self._stale_until = max(self._stale_until, self._clock.now + seconds)
        self._clock.call(seconds, self._thaw)

    def _thaw(self) -> None:
        if self._clock.now >= self._stale_until:
            self._frozen = None
            # While it is deaf, the list is made when it hears again.
            if self._told is None:
                self._relist()

    def drop(self, seconds: float) -> None:
        """Tell no watch of any change, for so long."""
        if self._told is None:
            self._told = self._there()
        self._deaf_until = max(self._deaf_until, self._clock.now + seconds)
        self._clock.call(seconds, self._reconnect)

    def _reconnect(self) -> None:
        if self._clock.now >= self._deaf_until:
            self._told = None
            self._relist()

    def _relist(self) -> None:
        """Tell every watch of every resource, and of those that went unseen."""
        seen = self._there()
        gone, self._gone = self._gone, {}
        for listener in tuple(self._listeners):
            for resource in seen.values():
                listener(None, resource)
            for key, resource in gone.items():
                if key not in seen:
                    listener(resource, None)

    def _there(self) -> dict[Key, Resource | None]:
        keys = self._inner.keys()
        return {key: self._inner.peek(key) for key in keys}

    def cached(self, key: Key) -> Effect[Resource]:
        """As the port of resources says, as of `freeze` while that lasts."""
        if self._frozen is None:
            return (yield from self._inner.cached(key))
        resource = self._frozen.get(key)
        if resource is None:
            raise errors.NotFound(f"no resource {key}")
        return resource

    def seen(self, key: Key) -> Resource | None:
        """As the port of resources says: as of `freeze` or `drop` while that lasts."""
        former = self._told if self._frozen is None else self._frozen
        return self._inner.seen(key) if former is None else former.get(key)

    def watch(self, listener: Listener) -> Callable[[], None]:
        """As the port of resources says, but deaf during `drop`."""

        def hear(before: Resource | None, after: Resource | None) -> None:
            if self._told is None:
                listener(before, after)
            elif after is None and before is not None:
                self._gone[before.key] = before

        return self._listen(listener, self._inner.watch(hear))

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """As the port of resources says, but deaf during `freeze` and `drop`."""

        def hear(before: Resource | None, after: Resource | None) -> None:
            if self._told is None and self._frozen is None:
                listener(before, after)
            elif after is None and before is not None:
                self._gone[before.key] = before

        return self._listen(listener, self._inner.subscribe(hear))

    def _listen(self, listener: Listener, stop: Callable[[], None]) -> Callable[[], None]:
        self._listeners.append(listener)

        def stop_both() -> None:
            self._listeners.remove(listener)
            stop()

        return stop_both


class FaultyResources:
    """The resource store of one controller: its writes may fail, it may see the past."""

    def __init__(
        self, inner: ResourceStore, view: View, writes: Writes, controller: str
    ) -> None:
        self._inner = inner
        self._view = view
        self._writes = writes
        self._controller = controller
        self.is_local = inner.is_local
        self.cached, self.seen = view.cached, view.seen
        self.watch, self.subscribe = view.watch, view.subscribe
        # What nothing can go wrong with is the store's own, without a call in between.
        self.get, self.peek, self.keys = inner.get, inner.peek, inner.keys
        self.create, self.delete = inner.create, inner.delete
        self.called_for = inner.called_for

    def update(self, resource: Resource, token: int | None = None) -> Effect[Resource]:
        """As the port says, if the faults let it; writes from outside always pass."""
        if token is None:
            return self._inner.update(resource, token)
        written: Effect[Resource] = self._writes.counted(
            lambda: self._inner.update(resource, token),
            self._controller,
            lambda sites: sites.of_resource(resource, self._inner.peek(resource.key)),
        )
        return written


@dataclass(frozen=True)
class ApiRate:
    """How many requests the API takes *per_second*, and how many at once (*burst*).

    All controllers share it.  Raises `DefinitionError` for numbers that make no sense.
    """

    per_second: PerSecond
    burst: PositiveCount = 1

    def __post_init__(self) -> None:
        check(self)


class Api:
    """Admits requests: a token bucket whose waits are computed, and times without it."""

    def __init__(self, clock: Clock, rate: ApiRate | None) -> None:
        self.clock = clock
        self._gap = 0.0 if rate is None else 1.0 / rate.per_second
        self._ahead = 0.0 if rate is None else (rate.burst - 1) * self._gap
        self._next = -inf
        self._down_until = -1.0

    def down(self, seconds: float) -> None:
        """Refuse every request for so long."""
        self._down_until = max(self._down_until, self.clock.now + seconds)

    def admit(self) -> Effect[None]:
        """Wait until there is a token; raise `Unavailable` while the API is down."""
        clock = self.clock
        if self._gap:
            now = clock.now
            turn = max(self._next, now - self._ahead)
            self._next = turn + self._gap
            if turn > now:
                yield clock.timeout(turn - now)
        self.refuse()

    def refuse(self) -> None:
        """Raise `Unavailable` while the API is down."""
        if self.clock.now < self._down_until:
            raise Unavailable("the API is down")


class LimitedRuns:
    """A store of runs whose requests go through an `Api`."""

    def __init__(self, inner: RunStore, api: Api) -> None:
        self._clock = api.clock
        self._inner = inner
        self._api = api
        self.keys, self.refuse_large = inner.keys, inner.refuse_large

    def append(self, run: Run, change: Change, token: int) -> Effect[None]:
        """As the port says, once the API admits it."""
        began, entries = self._clock.now, len(run.changes)
        yield from self._api.admit()
        if self._clock.now != began and type(change) is not Late:
            change = Late(began, entries, change)
        yield from self._inner.append(run, change, token)

    def entries(self, key: Key, since: str = "") -> Effect[list[Run | Quarantined]]:
        """As the port says, once the API admits it."""
        yield from self._api.admit()
        return (yield from self._inner.entries(key, since))

    def remove(self, key: Key, run: str, token: int) -> Effect[None]:
        """As the port says, once the API admits it."""
        yield from self._api.admit()
        yield from self._inner.remove(key, run, token)


class LimitedResources:
    """A resource store whose requests go through an `Api`; its cache costs none."""

    is_local = False

    def __init__(self, inner: ResourceStore, api: Api) -> None:
        self._inner = inner
        self._api = api
        self.keys = inner.keys
        self.peek, self.cached = inner.peek, inner.cached
        self.called_for = inner.called_for

    def get(self, key: Key) -> Effect[Resource]:
        """As the port says, once the API admits it."""
        yield from self._api.admit()
        return (yield from self._inner.get(key))

    def create(self, resource: Resource) -> Effect[Resource]:
        """As the port says, once the API admits it."""
        yield from self._api.admit()
        return (yield from self._inner.create(resource))

    def update(self, resource: Resource, token: int | None = None) -> Effect[Resource]:
        """As the port says, once the API admits it."""
        yield from self._api.admit()
        return (yield from self._inner.update(resource, token))

    def delete(self, key: Key) -> Effect[None]:
        """As the port says, once the API admits it."""
        yield from self._api.admit()
        yield from self._inner.delete(key)

    def seen(self, key: Key) -> Resource | None:
        """As the port says; it costs no request."""
        self._api.refuse()
        return self._inner.seen(key)

    def watch(self, listener: Listener) -> Callable[[], None]:
        """As the port says."""
        return self._inner.watch(listener)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """As the port says."""
        return self._inner.subscribe(listener)
