"""Steps: the registry of their bodies, and the effect that a body becomes.

A body is a function of one `StepContext`, or a class with ``init``, ``do_step`` and
``output``; each may be plain, a generator or ``async def``.
"""

from __future__ import annotations

import inspect
import math
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar, overload

from wfsim.engine.context import StepContext, Turn, rewrite
from wfsim.engine.effects import Undriven, WatchedEffect, watched
from wfsim.engine.ports import (
    Clock,
    Effect,
    Ports,
    StepFunction,
    Steps,
)
from wfsim.errors import (
    POLLING_TIME_OUT,
    TASK_FAILED,
    DefinitionError,
    PollError,
    ServiceError,
    StepFailed,
    StepSignal,
    TimedOut,
    Waiting,
)
from wfsim.model.duration import Duration
from wfsim.model.flow import Flow, Polling, Step
from wfsim.model.frozen import EMPTY, Frozen, storable
from wfsim.text import place_of, suggest

T = TypeVar("T")
B = TypeVar("B", bound=Callable[..., Any])

DEFAULT_DURATION = Duration("constant", (1.0,))
"""What a step takes that has neither code nor a duration in its file: one second."""

NO_TIME = Duration("constant", (0.0,))

_NAME = "__wfsim_step__"
_POLL = "__wfsim_poll__"


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
        self._given: dict[str, Callable[..., Any]] = {}
        for body in bodies:
            name = name_of(body)
            if name in self._bodies:
                raise DefinitionError(f"step {name!r} is registered twice")
            self._given[name] = body
            self._bodies[name] = as_effect(body)
            if poll := _poll_effect(body):
                self._polls[name] = poll

    def joined(self, bodies: Iterable[Callable[..., Any]]) -> StepRegistry:
        """Return one with *bodies* beside its own; one that it has is no second one."""
        more = [body for body in bodies if self._given.get(name_of(body)) is not body]
        return StepRegistry([*self._given.values(), *more]) if more else self

    def polls(self, names: Iterable[str]) -> dict[str, StepFunction]:
        """Return how to look at what is launched by those of *names* that say so."""
        by_name = {name: self._polls.get(name.rpartition(".")[2]) for name in names}
        by_name |= {name: self._polls[name] for name in by_name if name in self._polls}
        return {name: poll for name, poll in by_name.items() if poll is not None}

    def __getitem__(self, name: str) -> StepFunction:
        body = self._bodies.get(name) or self._bodies.get(name.rpartition(".")[2])
        if body is None:
            raise KeyError(f"step {name!r} is not registered{suggest(name, self)}")
        return body

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


class Executors:
    """The code of the flows of a service, of which more may come with a definition.

    *bodies* and *polls* are by the class names that flows use, as `Ports` has them.
    """

    def __init__(
        self,
        registry: StepRegistry,
        bodies: Mapping[str, StepFunction],
        polls: Mapping[str, StepFunction],
    ) -> None:
        self._registry = registry
        self.bodies = dict(bodies)
        self.polls = dict(polls)

    def add(self, flow: Flow, steps: Iterable[Callable[..., Any]]) -> None:
        """Take up what *flow* needs of *steps*, beside the code that there is.

        Raises `DefinitionError` if they are no steps, if one has the name of another one,
        or if a class of *flow* has neither code nor a duration.
        """
        registry = self._registry.joined(steps)
        names = {name for spec in flow.steps for name in spec.all_classes}
        for spec in flow.steps:
            simulated = spec.duration, spec.failure, spec.child
            missing = unknown_class(spec, registry)
            if missing and all(each is None for each in simulated):
                near = suggest(missing, registry)
                text = f"the class {missing!r} has no code and no duration{near}"
                whose = f"step {spec.name!r} of flow {flow.name!r}"
                raise DefinitionError(f"{whose}: {text}; give steps=[...]")
        self._registry = registry
        for name in sorted(names - self.bodies.keys()):
            self.bodies[name] = registry.get(name, timed)
        self.polls |= registry.polls(names)


class InitFailed(StepFailed):
    """The ``init`` of a step failed, in the words of the reference's wf_runtime.go."""

    @classmethod
    def of(cls, spec: Step, error: Exception) -> InitFailed:
        """Return what *error* in the ``init`` of the step *spec* becomes."""
        meta = f"&{{{spec.class_name} {spec.name}}}"
        return cls(f"init step context fail for {meta}: {describe(error)}")


def as_effect(body: Callable[..., Any]) -> StepFunction:
    """Return *body*, whatever its shape, as a generator function of a context."""
    if inspect.isclass(body):
        return watched(body, _class_effect(body))
    if inspect.isgeneratorfunction(body):
        return watched(body, body)

    def effect(context: StepContext) -> Effect[Any]:
        return (yield from driven(body(context)))

    return watched(body, effect)


def _class_effect(cls: type) -> StepFunction:
    if not callable(getattr(cls, "do_step", None)):
        raise DefinitionError(f"step class {cls.__name__!r} has no method 'do_step'")

    def effect(context: StepContext) -> Effect[Any]:
        instance = cls()
        init = getattr(instance, "init", None)
        if init is not None:
            try:
                yield from driven(init(context))
            except Exception as error:
                if isinstance(signal_of(error), StepSignal):
                    raise
                raise InitFailed.of(context.spec, error) from error
        returned = yield from driven(instance.do_step(context))
        output = getattr(instance, "output", None)
        return returned if output is None else (yield from driven(output(context)))

    return effect


def _poll_effect(body: Any) -> StepFunction | None:
    """Return how to look at what *body* has launched, if it says so."""
    is_class = inspect.isclass(body)
    poll = getattr(body, "poll" if is_class else _POLL, None)
    if poll is None:
        return None

    def effect(context: StepContext) -> Effect[Any]:
        look = body().poll if is_class else poll
        return (yield from driven(look(context, context.operation)))

    return effect


def driven(result: Any) -> Effect[Any]:
    """Return what a body returned, once it is over if it takes time."""
    if inspect.isgenerator(result) or type(result) is WatchedEffect:
        return (yield from result)
    if inspect.iscoroutine(result):
        return (yield from result.__await__())
    return result


def timed(context: StepContext) -> Effect[Mapping[str, Any] | None]:
    """Take the place of a step without code: its duration, then perhaps its failure."""
    spec = context.spec
    usual = DEFAULT_DURATION if spec.child is None else NO_TIME
    yield context.clock.timeout((spec.duration or usual).draw(context.draw("duration")))
    if spec.failure and context.draw("failure") < spec.failure:
        raise StepFailed(f"{spec.name} fails with probability {spec.failure:g}")
    return None if spec.child is None else (yield from _called(context, spec.child))


def _called(context: StepContext, flow: str) -> Effect[Mapping[str, Any]]:
    """Start *flow*, or find it started by an attempt before; wait if that is asked."""
    flow_id = yield from context.flows.start(flow)
    if context.spec.waits:
        yield from context.flows.wait(flow_id)
    return {"flow": flow_id}


OPERATION = "operation"
"""The key in the output of a polling step under which it names what it launched."""


def unknown_class(spec: Step, steps: Steps) -> str | None:
    """Return the first class of *spec* that *steps* has no body for."""
    return next((name for name in spec.all_classes if name not in steps), None)


def body_of(ports: Ports, attempt: StepContext, first: float, turn: Turn) -> StepFunction:
    """Return what *attempt* is to do: all its classes, or polls from *first* on."""
    work: StepFunction = partial(_in_order, ports.steps)
    if attempt.operation:
        work = partial(_poll, ports, first, turn)
    return partial(_undoing, ports.steps, work)


class TimeLimit:
    """Throws `TimedOut` into an attempt when its time is up, unless it is called off.

    That is *limit* seconds after it *began*, or the *deadline* of its run.  The limit,
    but not the deadline, stands still while the attempt is in the queue of a pool.
    """

    __slots__ = (
        "_attempt",
        "_clock",
        "_deadline",
        "_forget",
        "_left",
        "_limit",
        "_since",
        "_turn",
    )

    def __init__(
        self,
        clock: Clock,
        attempt: StepContext,
        limit: float | None,
        began: float,
        deadline: float | None,
        turn: Turn,
    ) -> None:
        self._clock = clock
        self._attempt = attempt
        self._turn = turn
        self._deadline = math.inf if deadline is None else deadline
        self._limit = math.inf if limit is None else limit
        now = self._since = clock.now
        self._left = began + self._limit - now if began < now else self._limit
        self._forget: Callable[[], None] = self._set(self._left)

    def _set(self, pause: float) -> Callable[[], None]:
        """Throw after *pause* seconds, or at the deadline; return how not to."""
        clock, attempt, turn = self._clock, self._attempt, self._turn
        left = self._deadline - clock.now
        if left == pause == math.inf:
            return lambda: None
        signal = TimedOut(min(left, self._limit), left <= pause)

        def bite() -> None:
            if turn.attempt is attempt:
                clock.throw(turn.process, signal)

        # A slow store may have begun the attempt after its deadline.
        return clock.call(max(min(left, pause), 0.0), bite)

    def call_off(self) -> None:
        """Throw nothing any more."""
        self._forget()

    def stand_still(self) -> None:
        """Stop counting time towards the limit until `go_on`."""
        self._forget()
        self._left -= self._clock.now - self._since
        self._forget = self._set(math.inf)

    def go_on(self) -> None:
        """Count time again."""
        self._forget()
        self._since = self._clock.now
        self._forget = self._set(self._left)


def _in_order(steps: Steps, attempt: StepContext) -> Effect[Mapping[str, Any]]:
    """Run the classes of the step; duration and failure of a file are the whole's."""
    spec, output = attempt.spec, EMPTY
    part = spec
    for name in spec.class_names:
        attempt.spec = replace(part, class_name=name)
        returned = yield from steps[name](attempt)
        if returned is not None:
            output = Frozen({**output, **checked_output(spec, returned)})
        part = replace(spec, duration=NO_TIME, failure=None)
    attempt.spec = spec
    return output


def _undoing(steps: Steps, work: StepFunction, attempt: StepContext) -> Effect[Any]:
    """Do *work*, and take back what it has done if it fails; signals are no failure."""
    spec = attempt.spec
    try:
        return (yield from work(attempt))
    except (Exception, TimedOut) as error:
        if spec.undo is None or isinstance(signal_of(error), StepSignal):
            raise
        attempt.spec = replace(
            spec, class_name=spec.undo, duration=NO_TIME, failure=None, child=None
        )
        try:
            yield from steps[spec.undo](attempt)
        except Exception as second:
            text = f"{describe(error)}; its undo {spec.undo}: {describe(second)}"
            raise StepFailed(text) from second
        raise


def _poll(
    ports: Ports, first: float, turn: Turn, attempt: StepContext
) -> Effect[Mapping[str, Any]]:
    """Look at the operation until it is over, fails, or has been looked at too often.

    Raises `Waiting` once the turn may do no more, and the error of a look.
    """
    spec = attempt.spec
    polling = spec.polling or Polling()
    clock, look = ports.clock, _look_of(ports, spec)
    number = _looks_by(clock, first, polling.interval)
    errors = 0
    while True:
        pause = first + number * polling.interval - clock.now
        if pause > 0.0:
            yield clock.timeout(pause)
        if turn.left <= 0:
            raise Waiting
        if number >= polling.limit:
            text = f"{attempt.operation} is under way after {polling.limit} polls"
            raise ServiceError(POLLING_TIME_OUT, text)
        try:
            seen = yield from look(attempt)
            errors = 0
        except PollError:
            errors += 1
            if errors > polling.tolerated_errors:
                raise
            seen = None
        if seen is not None and seen is not False:
            return EMPTY if seen is True else checked_output(spec, seen)
        number += 1


def _looks_by(clock: Clock, first: float, interval: float) -> int:
    """Return how many looks are past, those that a restart has missed included."""
    number = max(int((clock.now - first) / interval), 0)
    while first + number * interval < clock.now:
        number += 1
    return number


def _look_of(ports: Ports, spec: Step) -> StepFunction:
    for name in spec.class_names:
        if name in ports.polls:
            return ports.polls[name]

    def ask(attempt: StepContext) -> Effect[Any]:
        return (yield from driven(ports.world.poll(attempt.operation)))

    return ask


def signal_of(error: BaseException) -> BaseException:
    """Return the signal that *error* was raised from, or *error* itself.

    As in the reference, a step may wrap a signal into an error of its own.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, StepSignal):
        cause = cause.__cause__
    return cause or error


def describe(error: BaseException) -> str:
    """Return *error* in one line, its class included unless it says nothing more.

    What a service says has its code instead; so has a look that came to nothing, as in
    the reference (``workflow2/meta.go``, ``Execute``).
    """
    name = type(error).__name__
    try:
        text = " ".join(str(error).split())
    except Exception as second:
        text = f"(its __str__ raises {type(second).__name__})"
    if isinstance(error, PollError):
        error = ServiceError(TASK_FAILED, text)
    if isinstance(error, ServiceError):
        return "\t".join(" ".join(part.split()) for part in str(error).split("\t"))
    if text and isinstance(error, StepFailed):
        return text
    return f"{name}: {text}" if text else name


def line_of(error: BaseException) -> str:
    """Return the innermost line of the user's that *error* came through, as file:line.

    It is "" if there is none.  A line of a library counts only if no other one does.
    """
    if isinstance(error, Undriven):
        return error.where
    lines = [
        (frame.f_code.co_filename, number)
        for frame, number in traceback.walk_tb(error.__traceback__)
        if not frame.f_globals.get("__name__", "").startswith("wfsim.")
    ]
    if len(lines) > 1:
        paths = sysconfig.get_paths()
        libraries = *(paths[name] for name in _LIBRARIES), "<frozen"
        lines = [each for each in lines if not each[0].startswith(libraries)] or lines
    return place_of(*lines[-1]) if lines else ""


_LIBRARIES = ("stdlib", "platstdlib", "purelib", "platlib")


def checked_output(spec: Step, output: Any) -> Mapping[str, Any]:
    """Return *output* frozen, or raise `TypeError` if it could not be stored."""
    if type(output) is not dict and not isinstance(output, Mapping):
        raise TypeError(
            f"step {spec.name!r} returned {output!r}; a step returns a mapping with "
            "string keys, or None"
        )
    if spec.polling is not None and OPERATION in output:
        operation = output[OPERATION]
        if not isinstance(operation, str) or not operation:
            raise TypeError(
                f"step {spec.name!r} launched {operation!r}; an operation's id is a "
                "text that is not empty"
            )
    try:
        return storable(output)  # type: ignore[no-any-return]
    except (TypeError, UnicodeEncodeError) as error:
        raise TypeError(
            f"step {spec.name!r} returned what JSON cannot hold: {error}"
        ) from None


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
