"""Ports: the clock, the stores, the steps and the draws that the engine works on.

An ``Effect[T]`` is a generator that may let time pass and then returns a ``T``;
run it with ``yield from``.  Whatever could take time on a real system is an
effect, even where the in-memory version returns at once; where there is nothing
to return, that version may be an empty tuple, which costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

from wfsim.model.frozen import EMPTY
from wfsim.model.memento import Memento, Quarantined, StepMemento
from wfsim.model.policy import Policy
from wfsim.model.record import Kind, PoolState
from wfsim.model.resource import Key, Resource
from wfsim.model.run import Change, Run

T = TypeVar("T")
Effect: TypeAlias = Generator[Any, Any, T]
Nothing: TypeAlias = Iterable[Any]


class Clock(Protocol):
    """Time, and waiting for it: ``simpy.Environment`` and a few verbs more."""

    @property
    def now(self) -> float: ...
    @property
    def timeout(self) -> Callable[[float], Any]: ...
    @property
    def event(self) -> Callable[[], Any]: ...
    @property
    def process(self) -> Callable[[Effect[Any]], Any]: ...

    def throw(self, process: Any, exception: BaseException) -> None:
        """Raise *exception* where *process* waits; a finished process is left alone."""
        ...

    def fire(self, event: Any, at: float) -> None:
        """Schedule *event*, which has not happened, *at* that time, now or later."""
        ...

    def call(self, delay: float, action: Callable[[], Any]) -> Callable[[], None]:
        """Call *action* after *delay* seconds; return how to call that off."""
        ...


Listener: TypeAlias = Callable[[Resource | None, Resource | None], None]


class ResourceStore(Protocol):
    """Where resources live: an API server as far as a controller can tell.

    Every write raises `Fenced` if *token* is older than the newest lease of the
    resource; None is a write from outside the engine, which needs no lease.
    """

    @property
    def is_local(self) -> bool:
        """Whether `peek` tells what `get` would, since no server is asked either way."""
        ...

    def get(self, key: Key) -> Effect[Resource]:
        """Return the resource as it is now, or raise `NotFound`."""
        ...

    def cached(self, key: Key) -> Effect[Resource]:
        """Return the resource as a cache knows it, which may lag, or raise `NotFound`."""
        ...

    def create(self, resource: Resource) -> Effect[Resource]:
        """Keep a new resource and return it with a uid and revision of its own.

        Raises `AlreadyExists`.
        """
        ...

    def update(self, resource: Resource, token: int | None = None) -> Effect[Resource]:
        """Replace the resource of that revision and return what is now there.

        Raises `Conflict` if it has another revision, `NotFound` if it is gone, even if
        another one has its name by now.  An update that changes nothing is no write;
        ``entered`` and ``deleted`` are the store's to change.  A deleted resource
        without finalizers goes away.
        """
        ...

    def delete(self, key: Key) -> Effect[None]:
        """Remove the resource, or mark it as deleted while finalizers hold it."""
        ...

    def keys(self) -> list[Key]:
        """Return the keys of all resources, sorted."""
        ...

    def peek(self, key: Key) -> Resource | None:
        """Return the resource as it is now without asking a server."""
        ...

    def called_for(self, resource: Resource) -> float:
        """Return the second at which *resource* was asked to be in its present state.

        Where a check led there that is when it last changed before, since a check looks
        at nothing else.
        """
        ...

    def seen(self, key: Key) -> Resource | None:
        """Return the resource as `subscribe` last told of it; None if it is gone.

        Raises `Unavailable` while nothing can be seen.
        """
        ...

    def watch(self, listener: Listener) -> Callable[[], None]:
        """Tell *listener* of every change (before, after); return how to stop it.

        Events may come late or be lost; a client then lists everything again, so a
        listener must be able to live with seeing a resource that has not changed.
        """
        ...

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell *listener* of every change as soon as a controller can see it.

        While it can see nothing it is told nothing, and then of everything, as by
        `watch`.  Returns how to stop it.
        """
        ...


class RunStore(Protocol):
    """Where runs outlive the controller that carries them on.

    A `Run` that is read here is the store's own: it is changed by `append` alone, and
    whoever holds one sees that.
    """

    def append(self, run: Run, change: Change, token: int) -> Nothing:
        """Apply *change* to *run* and keep it, or raise `Fenced`.

        A run without changes is a new one.  A `Late` change that is kept already is no
        write, nor is a `Recover` that is like the last change.  What the store cannot do
        just now (`Unavailable`, `Conflict`) is raised by the effect, not by the call;
        `StoreError` for what cannot be kept.
        """
        ...

    def refuse_large(self, run: Run, output: Mapping[str, Any]) -> None:
        """Raise `StoreError` if there is no room for *output* beside what is kept."""
        ...

    def entries(self, key: Key, since: str = "") -> Effect[list[Run | Quarantined]]:
        """Return what is kept for the resource, oldest run first.

        With the key of a run that is there, only that one and what is newer.
        """
        ...

    def keys(self) -> list[Key]:
        """Return the keys of all resources that something is kept for, sorted."""
        ...

    def remove(self, key: Key, run: str, token: int) -> Nothing:
        """Forget the run, if it is there, or raise `Fenced`."""
        ...


class Grant(NamedTuple):
    """The answer to a request for a lease: a token, or None and nothing but to wait."""

    token: int | None


class Leases(Protocol):
    """The right to work on a resource.  Tokens of one resource only ever grow."""

    def acquire(self, key: Key, holder: str, freed: Callable[[], None]) -> Effect[Grant]:
        """Return a new token, or call *freed* once when it is worth asking again."""
        ...

    def holds(self, key: Key, token: int) -> bool:
        """Whether *token* is still the newest of *key*, without asking a server."""
        ...

    def release(self, key: Key, token: int) -> Nothing:
        """Give the lease back, if *token* is still the newest."""
        ...

    def holder(self, key: Key, token: int) -> str:
        """Return who got *token*; "" if that was in a process that is no more."""
        ...


class Notes(Protocol):
    """Where the engine writes down what no store shows: log lines, failed hooks."""

    def note(
        self,
        kind: Kind,
        *,
        resource: Key | None = None,
        run: str = "",
        flow: str = "",
        step: str = "",
        attempt: int = 0,
        text: str = "",
        controller: str = "",
        token: int = 0,
        where: str = "",
    ) -> None: ...

    def pool(self, state: PoolState) -> None:
        """Write down what a pool tells of itself, each time that it changes."""
        ...


class Draws(Protocol):
    """Random numbers as a pure function of what they are for."""

    def uniform(self, *purpose: str | int) -> float:
        """Return a number in [0, 1) that depends on the seed and *purpose* alone."""
        ...

    def within(self, *purpose: str | int) -> Draws:
        """Return the draws of which each purpose begins with *purpose*."""
        ...


StepFunction: TypeAlias = Callable[..., Effect[Any]]
Steps: TypeAlias = Mapping[str, StepFunction]


class Hooks:
    """Base class of observers; override what is of interest.

    Called after the write that they are about, as in the reference
    (``OnWfInit``, ``OnStepInit``, ``OnStepWaiting``, ``OnStepCompleted``,
    ``OnWfInterrupt``, ``OnWfCompleted``).  An exception in a hook becomes a record of
    the log and nothing else.
    """

    def on_run_init(self, run: Memento) -> None:
        """A run was created, or taken up again."""

    def on_step_init(self, run: Memento, step: StepMemento) -> None:
        """An attempt of *step* begins."""

    def on_step_waiting(self, run: Memento, step: StepMemento) -> None:
        """*step* began to wait."""

    def on_step_completed(self, run: Memento, step: StepMemento | None) -> None:
        """An attempt of *step* is over, well or badly: see its status."""

    def on_run_interrupt(self, run: Memento) -> None:
        """The run was interrupted: see its reason."""

    def on_run_completed(self, run: Memento) -> None:
        """The run is complete."""


class Ports(NamedTuple):
    """The ports and values that the engine works with.

    *polls* are the looks at operations by the class that launches them; for one that is
    not there the *world* is asked.  *flows* is the service as its own steps see it.
    """

    clock: Clock
    resources: ResourceStore
    runs: RunStore
    steps: Steps
    notes: Notes
    draws: Draws
    policy: Policy = Policy()
    hooks: tuple[Hooks, ...] = ()
    world: Any = None
    polls: Steps = EMPTY
    flows: Any = None
