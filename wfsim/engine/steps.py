"""What a step is told, and how its body becomes an effect.

A body is a function of one `StepContext`, or a class with ``init``, ``do_step`` and
``output``; each may be plain, a generator or ``async def``.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from wfsim.engine.ports import Draws, Effect, ResourceStore, StepFunction
from wfsim.engine.storable import storable
from wfsim.errors import (
    Conflict,
    DefinitionError,
    Fenced,
    NotFound,
    StepFailed,
    UsageError,
)
from wfsim.model.duration import Duration
from wfsim.model.flow import Step
from wfsim.model.frozen import EMPTY
from wfsim.model.record import Kind
from wfsim.model.resource import Resource
from wfsim.text import suggest

if TYPE_CHECKING:
    from wfsim.engine.children import ChildFlows
    from wfsim.engine.turn import Ports

T = TypeVar("T")
B = TypeVar("B", bound=Callable[..., Any])

DEFAULT_DURATION = Duration("constant", (1.0,))
"""What a step takes that has neither code nor a duration in its file: one second."""

NO_TIME = Duration("constant", (0.0,))

CONFLICTS = 100
"""How often a change is tried on a resource that others change at the same time."""

_NAME = "__wfsim_step__"
_POLL = "__wfsim_poll__"


class StepContext:
    """What one attempt of a step is told.

    ``clock``, ``world`` (the fake resources), ``resource`` (a snapshot taken when the
    attempt began), ``inputs`` (initial context and outputs of all earlier steps,
    immutable), ``attempt`` (from 1), ``run`` (key of the memento), ``flow``, ``step``,
    ``is_open`` (the attempt is still under way and may write), ``operation`` (what a
    polling step has launched, while it is looked at).  *draws* are those of the run.
    """

    __slots__ = (
        "_draws",
        "_ports",
        "_token",
        "attempt",
        "clock",
        "flow",
        "inputs",
        "is_open",
        "operation",
        "resource",
        "run",
        "spec",
        "world",
    )

    def __init__(
        self,
        ports: Ports,
        resource: Resource,
        inputs: Mapping[str, Any],
        attempt: int,
        run: str,
        flow: str,
        spec: Step,
        draws: Draws,
        token: int,
        operation: str = "",
    ) -> None:
        self._ports = ports
        self.clock = ports.clock
        self.world = ports.world
        self.resource = resource
        self.inputs = inputs
        self.attempt = attempt
        self.run = run
        self.flow = flow
        self.spec = spec
        self._draws = draws
        self._token = token
        self.operation = operation
        self.is_open = True

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
        """Let *seconds* of virtual time pass (``yield from`` or ``await`` it)."""
        yield self.clock.timeout(seconds)

    @types.coroutine
    def wait(self, event: Any) -> Effect[Any]:
        """Wait for an event of the clock and return its value (or ``await`` it)."""
        return (yield event)

    @types.coroutine
    def fetch(self) -> Effect[Resource]:
        """Return the resource as it is now (``yield from`` or ``await`` it)."""
        self.resource = yield from self._ports.resources.get(self.resource.key)
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
        key = self.resource.key

        def change(resource: Resource) -> Resource:
            if not self.is_open:
                raise Fenced(f"{self.step}: this attempt is over; it may not write")
            if resource.uid != self.resource.uid:
                raise NotFound(f"{key} is gone; what is there now only has its name")
            edited = resource.edit(spec=spec, status=status, annotations=annotations)
            if finalizers is None:
                return edited
            return edited._replace(finalizers=tuple(sorted(finalizers)))

        resources, token = self._ports.resources, self._token
        self.resource = yield from rewrite(resources, key, change, token)
        return self.resource

    def log(self, text: str) -> None:
        """Write a line into the log of the run."""
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


@overload
def step(body: str) -> Callable[[B], B]: ...
@overload
def step(body: B) -> B: ...
def step(body: B | str) -> Any:
    """Mark a function or class as a step: ``@step``, or ``@step("pkg.Name")``.

    Without a name the step is called as its function or class.  A function that
    launches an operation may say how to look at it: ``@Launch.poll`` marks a function of
    the context and the operation; a class has a method ``poll`` of the same.
    """
    if isinstance(body, str):
        return partial(_marked, body)
    return _marked(name_of(body), body)


def _marked(name: str, body: Any) -> Any:
    setattr(body, _NAME, name)
    if not inspect.isclass(body):
        body.poll = partial(setattr, body, _POLL)
    return body


def name_of(body: Callable[..., Any]) -> str:
    """Return the class name under which flows refer to *body*.

    A class does not inherit it.  Raises `DefinitionError` for what cannot be a step.
    """
    if not callable(body):
        raise DefinitionError(f"a step is a function or a class, not {body!r}")
    name = getattr(body, "__dict__", EMPTY).get(_NAME) or getattr(body, "__name__", None)
    if name is None:
        raise DefinitionError(f"{body!r} has no name; give it one: step('Name')(...)")
    return str(name)


class StepRegistry(Mapping[str, StepFunction]):
    """Step bodies by the class names that flows use.

    A name with a package, such as ``workflow_shared.InitMeta``, finds a body of that
    name, else one called ``InitMeta``.
    """

    def __init__(self, bodies: Iterable[Callable[..., Any]] = ()) -> None:
        self._bodies: dict[str, StepFunction] = {}
        self._polls: dict[str, StepFunction] = {}
        for body in bodies:
            name = name_of(body)
            if name in self._bodies:
                raise DefinitionError(f"step {name!r} is registered twice")
            self._bodies[name] = as_effect(body)
            if poll := _poll_effect(body):
                self._polls[name] = poll

    def polls(self, names: Iterable[str]) -> dict[str, StepFunction]:
        """Return how to look at what is launched by those of *names* that say so."""
        found = {name: self._polls.get(name.rpartition(".")[2]) for name in names}
        found |= {name: self._polls[name] for name in found if name in self._polls}
        return {name: poll for name, poll in found.items() if poll is not None}

    def __getitem__(self, name: str) -> StepFunction:
        found = self._bodies.get(name) or self._bodies.get(name.rpartition(".")[2])
        if found is None:
            raise KeyError(f"step {name!r} is not registered{suggest(name, self)}")
        return found

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (
            name in self._bodies or name.rpartition(".")[2] in self._bodies
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._bodies)

    def __len__(self) -> int:
        return len(self._bodies)

    def __repr__(self) -> str:
        return f"StepRegistry({sorted(self._bodies)})"


def as_effect(body: Callable[..., Any]) -> StepFunction:
    """Return *body*, whatever its shape, as a generator function of a context."""
    if inspect.isclass(body):
        return _class_effect(body)
    if inspect.isgeneratorfunction(body):
        return body

    def effect(context: StepContext) -> Effect[Any]:
        return (yield from driven(body(context)))

    return effect


def _class_effect(cls: type) -> StepFunction:
    if not callable(getattr(cls, "do_step", None)):
        raise DefinitionError(f"step class {cls.__name__!r} has no method 'do_step'")

    def effect(context: StepContext) -> Effect[Any]:
        instance = cls()
        for name in ("init", "do_step"):
            method = getattr(instance, name, None)
            if method is not None:
                returned = yield from driven(method(context))
        output = getattr(instance, "output", None)
        return returned if output is None else (yield from driven(output(context)))

    return effect


def _poll_effect(body: Any) -> StepFunction | None:
    """Return how to look at what *body* has launched, if it says so."""
    made = inspect.isclass(body)
    poll = getattr(body, "poll" if made else _POLL, None)
    if poll is None:
        return None

    def effect(context: StepContext) -> Effect[Any]:
        look = body().poll if made else poll
        return (yield from driven(look(context, context.operation)))

    return effect


def driven(result: Any) -> Effect[Any]:
    """Return what a body returned, once it is over if it takes time."""
    if inspect.isgenerator(result):
        return (yield from result)
    if inspect.iscoroutine(result):
        return (yield from result.__await__())
    return result


def timed(context: StepContext) -> Effect[Mapping[str, Any]]:
    """Take the place of a step without code: its duration, then perhaps its failure."""
    spec = context.spec
    usual = DEFAULT_DURATION if spec.child is None else NO_TIME
    yield context.clock.timeout((spec.duration or usual).draw(context.draw("duration")))
    if spec.failure and context.draw("failure") < spec.failure:
        raise StepFailed(f"{spec.name} fails with probability {spec.failure:g}")
    return EMPTY if spec.child is None else (yield from _called(context, spec.child))


def _called(context: StepContext, flow: str) -> Effect[Mapping[str, Any]]:
    """Start *flow*, or find it started by an attempt before; wait if that is asked."""
    flow_id = yield from context.flows.start(flow)
    if context.spec.waits:
        yield from context.flows.wait(flow_id)
    return {"flow": flow_id}


__all__ = [
    "DEFAULT_DURATION",
    "StepContext",
    "StepRegistry",
    "as_effect",
    "name_of",
    "rewrite",
    "step",
    "storable",
    "timed",
]
