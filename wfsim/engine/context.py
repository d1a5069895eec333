"""The context of one attempt of a step, and the turn of a worker in which it runs."""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from wfsim.engine.ports import Draws, Effect, Ports, ResourceStore
from wfsim.errors import Conflict, Fenced, NotFound, UsageError
from wfsim.model import bounds
from wfsim.model.flow import Step
from wfsim.model.frozen import EMPTY
from wfsim.model.record import Kind
from wfsim.model.resource import Key, Resource
from wfsim.model.run import Run

if TYPE_CHECKING:
    from wfsim.engine.service import ChildFlows
    from wfsim.engine.steps import TimeLimit

MOST_AT_ONCE = 10_000
"""So much may an attempt write and read within a millisecond before it is a bug."""

CONFLICTS = 100
"""How often a change is tried on a resource that others change at the same time."""


class StepContext:
    """What a step gets: resource, inputs, world and clock of one attempt.

    ``clock``, ``world`` (the fake resources), ``resource`` (a snapshot taken when the
    attempt began), ``inputs`` (initial context and outputs of all earlier steps,
    immutable), ``attempt`` (from 1), ``run`` (key of the memento), ``flow``, ``step``,
    ``is_open`` (the attempt is still under way and may write), ``operation`` (what a
    polling step has launched, while it is looked at).  *draws* are those of the run.
    """

    __slots__ = (
        "_busy",  # set for an attempt that has written or read something
        "_draws",
        "_ports",
        "_run",
        "_token",
        "attempt",
        "inputs",
        "is_open",
        "operation",
        "resource",
        "spec",
        "time_limit",  # set for an attempt that has one
        "undriven",
    )

    time_limit: TimeLimit
    _busy: tuple[float, int]

    # Not of Python: each attempt of each step may look, and all are made.
    clock: Any = property(attrgetter("_ports.clock"), doc="The clock.")
    world: Any = property(attrgetter("_ports.world"), doc="The fake resources.")
    run = property(attrgetter("_run.key"), doc="The key of the run.")
    flow = property(attrgetter("_run.flow"), doc="The name of the flow.")
    token = property(attrgetter("_token"), doc="That of the lease it runs by.")

    def __init__(
        self,
        ports: Ports,
        resource: Resource,
        inputs: Mapping[str, Any],
        attempt: int,
        run: Run,
        spec: Step,
        draws: Draws,
        token: int,
        operation: str = "",
    ) -> None:
        self._ports = ports
        self.resource = resource
        self.inputs = inputs
        self.attempt = attempt
        self._run = run
        self.spec = spec
        self._draws = draws
        self._token = token
        self.operation = operation
        self.is_open = True
        # Set for a step that may leave an effect undriven, and only then.
        self.undriven: list[Any]

    def __repr__(self) -> str:
        return f"<StepContext {self.resource.key} {self.run} {self.step} {self.attempt}>"

    @property
    def step(self) -> str:
        """The name of the step."""
        return self.spec.name

    @property
    def flows(self) -> ChildFlows:
        """The service that runs this flow, to start others from here and wait for them.

        Raises `UsageError` in a flow that no service runs.
        """
        service = self._ports.flows
        if service is None:
            raise UsageError(f"flow {self.flow!r} is not run by a service")
        children: ChildFlows = service.of(self)
        return children

    @types.coroutine
    def sleep(self, seconds: float) -> Effect[None]:
        """Wait *seconds* of virtual time (``yield from`` or ``await`` it).

        Raises `UsageError` for what is no number from 0 to 1e12.
        """
        if type(seconds) is not float or not 0.0 <= seconds <= 1e12:
            seconds = bounds.seconds(seconds, "ctx.sleep()")
        yield self.clock.timeout(seconds)

    @types.coroutine
    def wait(self, event: Any) -> Effect[Any]:
        """Wait for an event of the clock and return its value (or ``await`` it)."""
        return (yield event)

    @types.coroutine
    def fetch(self) -> Effect[Resource]:
        """Return the resource as it is now (``yield from`` or ``await`` it).

        Raises `NotFound` if it is gone, even if another one has its name by now.
        """
        self._refuse_to_spin("has fetched its resource")
        live = yield from self._ports.resources.get(self.resource.key)
        self.resource = self._own(live)
        return self.resource

    @types.coroutine
    def update(
        self,
        *,
        spec: Mapping[str, Any] = EMPTY,
        status: Mapping[str, Any] = EMPTY,
        annotations: Mapping[str, str | None] = EMPTY,
        finalizers: Iterable[str] | None = None,
    ) -> Effect[Resource]:
        """Set keys of the resource as it is now (None removes one) and return it.

        Raises `Fenced` once the attempt is over or the lease has passed on, `NotFound`
        if the resource is gone.
        """
        self._refuse_to_spin("has written its resource")
        key = self.resource.key

        def change(resource: Resource) -> Resource:
            if not self.is_open:
                raise Fenced(f"{self.step}: this attempt is over; it may not write")
            own = self._own(resource)
            edited = own.edit(spec=spec, status=status, annotations=annotations)
            if finalizers is None:
                return edited
            return edited._replace(finalizers=tuple(sorted(finalizers)))

        resources, token = self._ports.resources, self._token
        self.resource = yield from rewrite(resources, key, change, token)
        return self.resource

    def log(self, text: str) -> None:
        """Write a line into the log of the run."""
        self._refuse_to_spin("has logged a line")
        self._ports.notes.note(
            Kind.STEP_LOG,
            resource=self.resource.key,
            run=self.run,
            flow=self.flow,
            step=self.step,
            attempt=self.attempt,
            text=str(text),
            token=self._token,
        )

    def draw(self, purpose: str = "") -> float:
        """Return a number in [0, 1) that is this attempt's own for *purpose*.

        It depends on seed, resource, run, step, attempt and purpose, and on nothing
        that happened before: changing one policy leaves every other draw as it was.
        """
        return self._draws.uniform(self.spec.name, self.attempt, purpose)

    def _refuse_to_spin(self, deed: str) -> None:
        """Raise `UsageError` if the attempt does this over and over in no time."""
        now = self.clock.now
        since, count = getattr(self, "_busy", (now, 0))
        self._busy = (since, count + 1) if now <= since + 0.001 else (now, 1)
        if count >= MOST_AT_ONCE:
            raise UsageError(
                f"step {self.step!r} of {self.resource.key} {self.run} {deed} {count} "
                "times without time passing; let it take time: ctx.sleep(seconds)"
            )

    def _own(self, resource: Resource) -> Resource:
        if resource.uid != self.resource.uid:
            text = f"{resource.key} is gone; what is there now only has its name"
            raise NotFound(text)
        return resource

    def close(self) -> None:
        """Refuse whatever the attempt still tries to write."""
        self.is_open = False


def rewrite(
    resources: ResourceStore,
    key: Any,
    change: Callable[[Resource], Resource],
    token: int | None,
) -> Effect[Resource]:
    """Apply *change* to the resource as it is now, again after each conflict.

    Raises `Conflict` if somebody else was faster `CONFLICTS` times in a row.
    """
    conflicts = 0
    while True:
        resource = yield from resources.get(key)
        changed = change(resource)
        if changed == resource:
            return resource
        try:
            return (yield from resources.update(changed, token))
        except Conflict:
            conflicts += 1
            if conflicts == CONFLICTS:
                raise


_NO_LEASE = -1


class Turn:
    """One worker's go at one resource: the lease it holds and the process it runs in.

    *attempt* is set while the process is inside the body of a step, the only place
    where an exception may be thrown at it; *look_again* is set when somebody would
    have cancelled one there, had it begun already.  *owner* is the uid of the resource
    that its run serves, "" before there is a run.  *left* is how many more steps it
    may begin: none, once somebody has stopped it.  *sheltered* says that what it does
    cleans up after something, so that a cancel is not to reach it.
    """

    __slots__ = (
        "attempt",
        "began",
        "key",
        "left",
        "look_again",
        "owner",
        "process",
        "sheltered",
        "token",
    )

    def __init__(self, key: Key, began: float) -> None:
        self.key = key
        self.began = began
        self.token = 0
        self.owner = ""
        self.process: Any = None
        self.attempt: StepContext | None = None
        self.look_again = False
        self.left = math.inf
        self.sheltered = False

    def is_stopped_by(self, resource: Resource | None) -> bool:
        """Whether its run is to be cancelled, now that *resource* has its name."""
        if resource is None or resource.cancelled:
            return True
        return self.owner not in ("", resource.uid)

    @property
    def stepping(self) -> bool:
        """Whether the process is inside the body of a step."""
        return self.attempt is not None

    def fence(self) -> None:
        """Refuse what the process may still write, in a ``finally``: it is dead."""
        self.token = _NO_LEASE
        if self.attempt is not None:
            self.attempt.close()
