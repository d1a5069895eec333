"""Drive one run of a flow through its steps.

The runner holds no state of its own: it reads a memento, and whatever it learns
it commits to the memento store before it goes on.  Dropping a runner at any
moment and giving the latest memento to a new one is therefore a restart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from wfsim.engine.hooks import Hooks
from wfsim.engine.ports import (
    Clock,
    Draws,
    Effect,
    Journal,
    MementoStore,
    ResourceStore,
    Steps,
)
from wfsim.engine.steps import StepContext, storable
from wfsim.errors import (
    Cancelled,
    Conflict,
    Interrupted,
    NotFound,
    StepSignal,
    TimedOut,
    Unavailable,
    Waiting,
)
from wfsim.model import memento as reasons
from wfsim.model.flow import Flow, Step
from wfsim.model.frozen import EMPTY, Frozen
from wfsim.model.machine import did_you_mean
from wfsim.model.memento import Memento, StepMemento, StepStatus
from wfsim.model.policy import Policy, Retry
from wfsim.model.record import Kind
from wfsim.model.resource import Key, Resource


class Turn:
    """One worker's go at one resource: the lease it holds and the process it runs in.

    *attempt* is set while the process is inside the body of a step, the only place
    where an exception may be thrown at it; *look_again* is set when somebody would
    have cancelled one there, had it begun already.
    """

    __slots__ = ("attempt", "began", "key", "look_again", "process", "token")

    def __init__(self, key: Key, began: float) -> None:
        self.key = key
        self.began = began
        self.token = 0
        self.process: Any = None
        self.attempt: StepContext | None = None
        self.look_again = False

    @property
    def stepping(self) -> bool:
        """Whether the process is inside the body of a step."""
        return self.attempt is not None

    def fence(self) -> None:
        """Refuse what the process may still write, in a ``finally``: it is dead."""
        self.token = _NO_LEASE
        if self.attempt is not None:
            self.attempt.close()


class Ports(NamedTuple):
    """The ports and values that the engine works with."""

    clock: Clock
    resources: ResourceStore
    mementos: MementoStore
    steps: Steps
    journal: Journal
    draws: Draws
    policy: Policy = Policy()
    hooks: tuple[Hooks, ...] = ()
    world: Any = None


class FlowRunner:
    """Runs flows step by step, one commit before and one after each step."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._clock = ports.clock
        self._resources = ports.resources
        self._mementos = ports.mementos
        self._steps = ports.steps
        self._policy = ports.policy
        self._hooks = ports.hooks

    def run(self, run: Memento, flow: Flow, turn: Turn) -> Effect[Memento]:
        """Carry *run* on until it completes, waits, fails or is interrupted."""
        ports, inputs = self._ports, run.context
        for index, spec in enumerate(flow.steps):
            step = run.steps[index]
            if step.status is StepStatus.COMPLETED:
                inputs = Frozen({**inputs, **step.output}) if step.output else inputs
                continue
            retry = spec.retry or flow.retry or self._policy.retry
            try:
                resource = yield from self._resources.get(turn.key)
            except NotFound:
                return (yield from self.interrupt(run, index, turn, *_GONE))
            stop = self._reason_to_stop(run, step, spec, retry, resource)
            if stop is not None:
                return (yield from self.interrupt(run, index, turn, *stop))
            if step.status is not StepStatus.WAITING:
                run = run.start_step(index, self._clock.now)
                yield from self.commit(run, turn)
                if self._hooks:
                    self.tell("on_step_init", run, run.steps[index])
                if turn.look_again:
                    turn.look_again = False
                    live = yield from self._look(turn.key)
                    if live is None or live.cancelled:
                        return (yield from self.interrupt(run, index, turn, *_CANCELLED))
            attempt = StepContext(
                self._clock, resource, inputs, run.steps[index].attempts, run.key,
                run.flow, spec, ports.world, self._resources, ports.journal,
                ports.draws, turn.token,
            )  # fmt: skip
            try:
                output = yield from self._execute(attempt, flow, run.deadline, turn)
            except (Cancelled, TimedOut, Exception) as error:
                return (yield from self._stop(run, index, turn, retry, error))
            run = run.complete_step(index, self._clock.now, output)
            yield from self.commit(run, turn)
            if self._hooks:
                self.tell("on_step_completed", run, run.steps[index])
            inputs = Frozen({**inputs, **output}) if output else inputs
        run = run.complete(self._clock.now)
        yield from self.commit(run, turn)
        if self._hooks:
            self.tell("on_run_completed", run)
        return run

    def commit(self, run: Memento, turn: Turn) -> Effect[None]:
        """Make *run* durable: every transition passes here, and nothing else does.

        A store that does not answer well is asked again: a memento is a whole value,
        so writing it twice is writing it once.
        """
        delay = self._policy.redrive
        for failures in range(1, delay.limit + 1):
            try:
                yield from self._mementos.save(run, turn.token)
                return
            except (Unavailable, Conflict):
                yield self._clock.timeout(delay.after(failures))
        yield from self._mementos.save(run, turn.token)

    def interrupt(
        self, run: Memento, index: int, turn: Turn, reason: str, message: str
    ) -> Effect[Memento]:
        """End *run* at step *index* until an operator recovers it."""
        ran = index < len(run.steps) and run.steps[index].status in _BEGUN
        run = run.interrupt(index, self._clock.now, reason, message)
        yield from self.commit(run, turn)
        self.tell("on_step_completed", run, run.steps[index] if ran else None)
        self.tell("on_run_interrupt", run)
        return run

    def tell(self, hook: str, *args: Any) -> None:
        """Call *hook* of every observer; what goes wrong there is only recorded."""
        for hooks in self._hooks:
            try:
                getattr(hooks, hook)(*args)
            except Exception as error:
                run = args[0]
                self._ports.journal.note(
                    Kind.HOOK_FAILED,
                    resource=str(run.resource),
                    run=run.key,
                    flow=run.flow,
                    text=f"{hook}: {error!r}",
                )

    def _look(self, key: Key) -> Effect[Resource | None]:
        try:
            return (yield from self._resources.get(key))
        except NotFound:
            return None

    def _reason_to_stop(
        self,
        run: Memento,
        step: StepMemento,
        spec: Step,
        retry: Retry,
        resource: Resource,
    ) -> tuple[str, str] | None:
        if resource.uid != run.owner:
            return _GONE
        if resource.cancelled:
            return _CANCELLED
        if step.status is StepStatus.FAILED and step.retries >= retry.limit:
            return reasons.MANY_RETRY, run.error
        if step.status is StepStatus.INITED and step.restarts >= retry.restarts:
            times = step.restarts + 1
            return reasons.MANY_RESTARTS, f"{step.name} was cut short {times} times"
        if run.deadline is not None and self._clock.now >= run.deadline:
            return reasons.DEADLINE, f"not complete by {run.deadline:g} s"
        if spec.class_name not in self._steps:
            near = did_you_mean(spec.class_name, self._steps)
            return reasons.UNKNOWN_TASK, f"no code for {spec.class_name!r}{near}"
        return None

    def _execute(
        self, attempt: StepContext, flow: Flow, deadline: float | None, turn: Turn
    ) -> Effect[Mapping[str, Any]]:
        spec = attempt.spec
        limit = spec.timeout or flow.timeout or self._policy.timeout
        call_off = None
        if limit is not None or deadline is not None:
            call_off = self._watch(attempt, limit, deadline, turn)
        body = self._steps[spec.class_name]
        turn.attempt = attempt
        try:
            output = yield from body(attempt)
        finally:
            turn.attempt = None
            attempt.is_open = False
            if call_off is not None:
                call_off()
        return EMPTY if output is None else checked_output(spec, output)

    def _watch(
        self,
        attempt: StepContext,
        limit: float | None,
        deadline: float | None,
        turn: Turn,
    ) -> Callable[[], None]:
        """Throw `TimedOut` into the attempt when its time is up; return how not to."""
        left = math.inf if deadline is None else deadline - self._clock.now
        limit = math.inf if limit is None else limit
        signal = TimedOut(min(left, limit), left <= limit)

        def bite() -> None:
            if turn.attempt is attempt:
                self._clock.throw(turn.process, signal)

        return self._clock.call(signal.limit, bite)

    def _stop(
        self, run: Memento, index: int, turn: Turn, retry: Retry, error: BaseException
    ) -> Effect[Memento]:
        """Take note of what ended an attempt before its time.

        ===================== ==================================================
        `Waiting`             the step is asked again, at no cost
        `Interrupted`         the run stops for an operator; so it does for
        `Cancelled`           ... a cancelled resource
        `TimedOut`            ... a deadline; else as any other error:
        anything else         a failure, retried within its budget
        ===================== ==================================================
        """
        match signal_of(error):
            case Waiting(after=after) if after is None or _is_time(after):
                return (yield from self._wait(run, index, turn, after))
            case Waiting(after=after):
                text = f"Waiting takes seconds, not {after!r}"
            case Interrupted(reason=reason, message=message):
                stopped = str(reason), str(message)
                return (yield from self.interrupt(run, index, turn, *stopped))
            case Cancelled():
                return (yield from self.interrupt(run, index, turn, *_CANCELLED))
            case TimedOut(deadline=True) if run.deadline is not None:
                late = reasons.DEADLINE, f"not complete by {run.deadline:g} s"
                return (yield from self.interrupt(run, index, turn, *late))
            case TimedOut(limit=limit):
                text = f"no end after {limit:g} s"
            case _:
                text = describe(error)
        return (yield from self._fail(run, index, turn, retry, text))

    def _wait(
        self, run: Memento, index: int, turn: Turn, after: float | None
    ) -> Effect[Memento]:
        """Park the step; as in the reference, only its first wait is written down."""
        wake = None if after is None else self._clock.now + max(after, 0.0)
        if run.steps[index].status is StepStatus.WAITING:
            return run._replace(wake=wake)
        run = run.wait_step(index, wake)
        yield from self.commit(run, turn)
        self.tell("on_step_waiting", run, run.steps[index])
        return run

    def _fail(
        self, run: Memento, index: int, turn: Turn, retry: Retry, text: str
    ) -> Effect[Memento]:
        step = run.steps[index]
        text = f"step {step.name} fail: {text}"
        failures = step.retries + 1
        if failures > retry.limit:
            return (yield from self.interrupt(run, index, turn, reasons.MANY_RETRY, text))
        now = self._clock.now
        run = run.fail_step(index, now, text, now + retry.after(failures))
        yield from self.commit(run, turn)
        self.tell("on_step_completed", run, run.steps[index])
        return run


_BEGUN = (StepStatus.INITED, StepStatus.WAITING)
_CANCELLED = (reasons.CANCELLED, "the resource was cancelled")
_GONE = (reasons.CANCELLED, "the resource is gone")
_NO_LEASE = -1


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
    try:
        return storable(output)  # type: ignore[no-any-return]
    except (TypeError, UnicodeEncodeError) as error:
        raise TypeError(
            f"step {spec.name!r} returned what JSON cannot hold: {error}"
        ) from None


def _is_time(after: Any) -> bool:
    return isinstance(after, (int, float)) and not math.isnan(after)
