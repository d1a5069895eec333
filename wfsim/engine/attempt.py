"""One attempt of a step that is more than one call: several classes, an undo, polls.

A launched operation is looked at at computed times: the first look is one interval
after the launch, and a restart or a stop leaves the times of the others as they were.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from wfsim.engine.flow_status import POLLING_TIME_OUT, ServiceError
from wfsim.engine.ports import Clock, Effect, StepFunction, Steps
from wfsim.engine.steps import NO_TIME, StepContext, driven, storable
from wfsim.engine.turn import Ports, Turn
from wfsim.errors import PollError, StepFailed, StepSignal, TimedOut, Waiting
from wfsim.model.flow import Polling, Step
from wfsim.model.frozen import EMPTY, Frozen

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


def watch(
    clock: Clock,
    attempt: StepContext,
    limit: float | None,
    deadline: float | None,
    turn: Turn,
) -> Callable[[], None]:
    """Throw `TimedOut` into the attempt when its time is up; return how not to."""
    left = math.inf if deadline is None else deadline - clock.now
    limit = math.inf if limit is None else limit
    signal = TimedOut(min(left, limit), left <= limit)

    def bite() -> None:
        if turn.attempt is attempt:
            clock.throw(turn.process, signal)

    # A slow store may have begun the attempt after its deadline.
    return clock.call(max(signal.limit, 0.0), bite)


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
    """Return *error* in one line, its class included unless it says nothing more."""
    text = " ".join(str(error).split())
    name = type(error).__name__
    return text if name == "StepFailed" and text else f"{name}: {text}" if text else name


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
