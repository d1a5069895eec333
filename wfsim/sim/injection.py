"""Ports that misbehave: wrappers around the real ones, one for each port.

A wrapper is put on only if the plan has a fault for its port, so that a run without
faults pays nothing for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from wfsim import errors
from wfsim.engine.ports import (
    Effect,
    Listener,
    MementoStore,
    ResourceStore,
    StepFunction,
    Steps,
)
from wfsim.engine.steps import StepContext
from wfsim.model.memento import Memento, Quarantined
from wfsim.model.resource import Key, Resource
from wfsim.sim.faults import (
    Conflict,
    CrashAt,
    DelayStep,
    FailSave,
    FailStep,
    Fault,
    HangStep,
    InterruptStep,
    StepFault,
)

Fired = Callable[[Fault], None]


class FaultySteps(Mapping[str, StepFunction]):
    """Steps of which some fail, hang, come late or ask for an operator."""

    def __init__(self, steps: Steps, faults: Sequence[StepFault], fired: Fired) -> None:
        self._steps = steps
        self._left: list[list[Any]] = [[fault, fault.times] for fault in faults]
        self._fired = fired

    def add(self, faults: Sequence[StepFault]) -> None:
        """Let *faults* happen too, from now on."""
        self._left += [[fault, fault.times] for fault in faults]

    def __iter__(self) -> Iterator[str]:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, name: str) -> StepFunction:
        body = self._steps[name]

        def effect(context: StepContext) -> Effect[Any]:
            return (yield from self._run(body, context))

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
        output = yield from body(context)
        if ends_badly is not None:
            raise errors.StepFailed(ends_badly)
        return output

    def _due(self, context: StepContext) -> Iterator[Any]:
        for row in self._left:
            fault, left = row
            if (
                left > 0
                and fault.step in (context.step, context.spec.class_name)
                and fault.attempt in (None, context.attempt)
                and fault.resource
                in (None, context.resource.name, str(context.resource.key))
            ):
                row[1] = left - 1
                yield fault


class Writes:
    """Every write of every controller, counted from 1; some of them go wrong."""

    def __init__(
        self, faults: Sequence[Fault], fired: Fired, crash: Callable[[CrashAt], None]
    ) -> None:
        self.count = 0
        self._faults = faults
        self._fired = fired
        self._crash = crash

    def through(self, write: Callable[[], Any]) -> Effect[Any]:
        """Make *write*, or what the faults make of it."""
        self.count += 1
        due = [fault for fault in self._faults if _hits(fault, self.count)]
        for fault in due:
            if isinstance(fault, CrashAt) and fault.when == "before":
                self._fired(fault)
                self._crash(fault)
            elif isinstance(fault, Conflict):
                self._fired(fault)
                raise errors.Conflict(f"injected conflict on write {self.count}")
            elif isinstance(fault, FailSave) and not fault.applied:
                self._fired(fault)
                raise errors.Unavailable(f"injected failure of write {self.count}")
        result = yield from write()
        for fault in due:
            if isinstance(fault, CrashAt) and fault.when == "after":
                self._fired(fault)
                self._crash(fault)
            elif isinstance(fault, FailSave) and fault.applied:
                self._fired(fault)
                raise errors.Unavailable(f"injected silence after write {self.count}")
        return result


def _hits(fault: Fault, count: int) -> bool:
    first = getattr(fault, "write", None)
    return first is not None and first <= count < first + getattr(fault, "times", 1)


class FaultyMementos:
    """A memento store whose writes go through `Writes`."""

    def __init__(self, inner: MementoStore, writes: Writes) -> None:
        self._inner = inner
        self._writes = writes

    def save(self, memento: Memento, token: int) -> Effect[None]:
        """As the port says, if the faults let it."""
        return self._writes.through(lambda: self._inner.save(memento, token))

    def entries(self, key: Key) -> Effect[list[Memento | Quarantined]]:
        """As the port says."""
        return self._inner.entries(key)

    def remove(self, key: Key, run: str, token: int) -> Effect[None]:
        """As the port says, if the faults let it."""
        return self._writes.through(lambda: self._inner.remove(key, run, token))


class FaultyResources:
    """A resource store with failing writes, a cache that stands still, a deaf watch."""

    def __init__(self, inner: ResourceStore, writes: Writes | None) -> None:
        self._inner = inner
        self._writes = writes
        self._frozen: dict[Key, Resource | None] | None = None
        self._deaf = False
        self._listeners: list[Listener] = []

    def freeze(self) -> None:
        """Let the cache show from now on what is there now."""
        self._frozen = {key: self._inner.peek(key) for key in self._inner.keys()}

    def thaw(self) -> None:
        """Let the cache show the truth again, and tell of what was missed."""
        self._frozen = None
        self.relist()

    def drop(self) -> None:
        """Tell no watch of any change from now on."""
        self._deaf = True

    def reconnect(self) -> None:
        """Tell the watches of changes again, of everything that is there first."""
        self._deaf = False
        self.relist()

    def relist(self) -> None:
        """Tell every watch of every resource, as a client that lost track asks for."""
        for key in self._inner.keys():
            for listener in tuple(self._listeners):
                listener(None, self._inner.peek(key))

    def get(self, key: Key) -> Effect[Resource]:
        """As the port says."""
        return self._inner.get(key)

    def cached(self, key: Key) -> Effect[Resource]:
        """As the port says, as of `freeze` while that lasts."""
        if self._frozen is None:
            return (yield from self._inner.cached(key))
        found = self._frozen.get(key)
        if found is None:
            raise errors.NotFound(f"no resource {key}")
        return found

    def create(self, resource: Resource) -> Effect[Resource]:
        """As the port says."""
        return self._inner.create(resource)

    def update(self, resource: Resource, token: int | None = None) -> Effect[Resource]:
        """As the port says, if the faults let it; writes from outside always pass."""
        if self._writes is None or token is None:
            return self._inner.update(resource, token)
        return self._writes.through(lambda: self._inner.update(resource, token))

    def delete(self, key: Key) -> Effect[None]:
        """As the port says."""
        return self._inner.delete(key)

    def keys(self) -> list[Key]:
        """As the port says."""
        return self._inner.keys()

    def peek(self, key: Key) -> Resource | None:
        """As the port says."""
        return self._inner.peek(key)

    def watch(self, listener: Listener) -> Callable[[], None]:
        """As the port says, but deaf between `drop` and `reconnect`."""

        def hear(before: Resource | None, after: Resource | None) -> None:
            if not self._deaf:
                listener(before, after)

        self._listeners.append(listener)
        stop = self._inner.watch(hear)

        def stop_both() -> None:
            self._listeners.remove(listener)
            stop()

        return stop_both

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """As the port says."""
        return self._inner.subscribe(listener)
