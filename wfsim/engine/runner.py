"""Drive one run of a flow through its steps.

The runner holds no state of its own: it reads a memento, and whatever it learns
it commits to the memento store before it goes on.  Dropping a runner at any
moment and giving the latest memento to a new one is therefore a restart.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
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
from wfsim.engine.steps import StepContext
from wfsim.errors import (
    Cancelled,
    Conflict,
    Interrupted,
    NotFound,
    TimedOut,
    Unavailable,
    Waiting,
)
from wfsim.model import memento as reasons
from wfsim.model.flow import Flow, Step
from wfsim.model.frozen import EMPTY, freeze
from wfsim.model.memento import Memento, StepMemento, StepStatus
from wfsim.model.policy import Policy, Retry
from wfsim.model.record import Kind
from wfsim.model.resource import Key, Resource


class Turn:
    """One worker's go at one resource: the lease it holds and the process it runs in.

    *stepping* is true while the process is inside the body of a step, the only place
    where an exception may be thrown at it.
    """

    __slots__ = ("began", "key", "process", "stepping", "token")

    def __init__(self, key: Key, began: float) -> None:
        self.key = key
        self.began = began
        self.token = 0
        self.process: Any = None
        self.stepping = False


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
        self._policy = ports.policy
        self._hooks = ports.hooks

    def run(self, run: Memento, flow: Flow, turn: Turn) -> Effect[Memento]:
        """Carry *run* on until it completes, waits, fails or is interrupted."""
        inputs: Mapping[str, Any] = run.context
        for index, spec in enumerate(flow.steps):
            step = run.steps[index]
            if step.status is StepStatus.COMPLETED:
                inputs = {**inputs, **step.output} if step.output else inputs
                continue
            retry = spec.retry or flow.retry or self._policy.retry
            resource = yield from self._look(turn.key)
            stop = self._reason_to_stop(run, step, retry, resource)
            if stop is not None or resource is None:
                return (yield from self.interrupt(run, index, turn, *(stop or _GONE)))
            if step.status is not StepStatus.WAITING:
                run = run.start_step(index, self._clock.now)
                yield from self.commit(run, turn)
                if self._hooks:
                    self.tell("on_step_init", run, run.steps[index])
            attempt = self._context(run, index, flow, inputs, resource, turn)
            try:
                output = yield from self._execute(attempt, flow, run.deadline, turn)
            except Waiting as signal:
                return (yield from self._wait(run, index, turn, signal.after))
            except Interrupted as signal:
                return (
                    yield from self.interrupt(
                        run, index, turn, signal.reason, signal.message
                    )
                )
            except Cancelled:
                return (yield from self.interrupt(run, index, turn, *_CANCELLED))
            except (TimedOut, Exception) as error:
                return (yield from self._fail(run, index, turn, retry, error))
            run = run.complete_step(index, self._clock.now, output)
            yield from self.commit(run, turn)
            if self._hooks:
                self.tell("on_step_completed", run, run.steps[index])
            inputs = {**inputs, **output} if output else inputs
        run = run.complete(self._clock.now)
        yield from self.commit(run, turn)
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
        self, run: Memento, step: StepMemento, retry: Retry, resource: Resource | None
    ) -> tuple[str, str] | None:
        if resource is None or resource.cancelled:
            return _CANCELLED
        if step.status is StepStatus.FAILED and step.retries >= retry.limit:
            return reasons.MANY_RETRY, run.error
        if step.status is StepStatus.INITED and step.restarts >= retry.restarts:
            return (
                reasons.MANY_RESTARTS,
                f"{step.name} was cut short {step.attempts} times",
            )
        if run.deadline is not None and self._clock.now >= run.deadline:
            return reasons.DEADLINE, f"not complete by {run.deadline:g} s"
        return None

    def _context(
        self,
        run: Memento,
        index: int,
        flow: Flow,
        inputs: Mapping[str, Any],
        resource: Resource,
        turn: Turn,
    ) -> StepContext:
        ports = self._ports
        return StepContext(
            self._clock,
            resource,
            inputs if inputs is run.context else freeze(inputs),
            run.steps[index].attempts,
            run.key,
            run.flow,
            flow.steps[index],
            ports.world,
            self._resources,
            ports.journal,
            ports.draws,
            turn.token,
        )

    def _execute(
        self, attempt: StepContext, flow: Flow, deadline: float | None, turn: Turn
    ) -> Effect[Mapping[str, Any]]:
        spec = attempt.spec
        try:
            body = self._ports.steps[spec.class_name]
        except KeyError as error:
            raise Interrupted(reasons.UNKNOWN_TASK, str(error.args[0])) from error
        limit = spec.timeout or flow.timeout or self._policy.timeout
        if limit is not None or deadline is not None:
            self._watch(attempt, limit, deadline, turn)
        turn.stepping = True
        try:
            output = yield from body(attempt)
        finally:
            turn.stepping = False
            attempt.close()
        return checked_output(spec, output) if output else EMPTY

    def _watch(
        self,
        attempt: StepContext,
        limit: float | None,
        deadline: float | None,
        turn: Turn,
    ) -> None:
        """Throw `TimedOut` into the attempt when its time is up, if it still runs then."""
        now = self._clock.now
        left = None if deadline is None else deadline - now
        by_deadline = left is not None and (limit is None or left <= limit)
        seconds = left if by_deadline else limit

        def bite() -> None:
            if attempt.is_open and turn.stepping:
                self._clock.throw(turn.process, TimedOut(seconds or 0.0, by_deadline))

        self._clock.call(max(seconds or 0.0, 0.0), bite)

    def _wait(
        self, run: Memento, index: int, turn: Turn, after: float | None
    ) -> Effect[Memento]:
        wake = None if after is None else self._clock.now + max(after, 0.0)
        first = run.steps[index].status is not StepStatus.WAITING
        if first or wake != run.wake:
            run = run.wait_step(index, wake)
            yield from self.commit(run, turn)
        if first:
            self.tell("on_step_waiting", run, run.steps[index])
        return run

    def _fail(
        self, run: Memento, index: int, turn: Turn, retry: Retry, error: BaseException
    ) -> Effect[Memento]:
        name = run.steps[index].name
        if isinstance(error, TimedOut):
            if error.deadline:
                text = f"not complete by {run.deadline:g} s"
                return (
                    yield from self.interrupt(run, index, turn, reasons.DEADLINE, text)
                )
            text = f"step {name} fail: no end after {error.limit:g} s"
        else:
            text = f"step {name} fail: {describe(error)}"
        failures = run.steps[index].retries + 1
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


def describe(error: BaseException) -> str:
    """Return *error* in one line, its class included unless it says nothing more."""
    text = " ".join(str(error).split())
    name = type(error).__name__
    return text if name == "StepFailed" and text else f"{name}: {text}" if text else name


def checked_output(spec: Step, output: Any) -> Mapping[str, Any]:
    """Return *output* frozen, or raise `TypeError` if it could not be stored."""
    if not isinstance(output, Mapping) or not all(isinstance(k, str) for k in output):
        raise TypeError(
            f"step {spec.name!r} returned {output!r}; a step returns a mapping with "
            "string keys, or None"
        )
    frozen: Mapping[str, Any] = freeze(output)
    try:
        json.dumps(frozen, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"step {spec.name!r} returned what JSON cannot hold: {error}"
        ) from None
    return frozen
