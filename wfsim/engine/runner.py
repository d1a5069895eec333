"""Drive one run of a flow through its steps.

The runner holds no state of its own: it reads a memento, and whatever it learns
it commits to the memento store before it goes on.  Dropping a runner at any
moment and giving the latest memento to a new one is therefore a restart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from wfsim.engine.attempt import (
    OPERATION,
    body_of,
    checked_output,
    describe,
    signal_of,
    unknown_class,
    watch,
)
from wfsim.engine.committing import Committer
from wfsim.engine.place import advance
from wfsim.engine.ports import Draws, Effect, StepFunction
from wfsim.engine.steps import StepContext
from wfsim.engine.turn import Ports, Turn
from wfsim.engine.way import Way, Ways
from wfsim.errors import (
    Cancelled,
    Interrupted,
    NotFound,
    TimedOut,
    Waiting,
)
from wfsim.model import memento as reasons
from wfsim.model.flow import Flow, Polling
from wfsim.model.frozen import EMPTY, Frozen
from wfsim.model.machine import did_you_mean
from wfsim.model.memento import Memento, StepMemento, StepStatus
from wfsim.model.policy import Retry
from wfsim.model.record import Kind
from wfsim.model.resource import CANCEL_REASON, Key, Resource


class FlowRunner:
    """Runs flows step by step, one commit before and one after each step.

    A step of a linear flow that has failed too often, or is cancelled, interrupts the
    run until an operator recovers it.  One of a flow with edges, or of any flow if not
    *interrupts*, is over: its edge says what follows, and in the end the run is in
    error, or cancelled.  Off its main path a run is cleaning up: nothing cancels it.
    """

    def __init__(self, ports: Ports, interrupts: bool = True) -> None:
        self._ports = ports
        self._clock = ports.clock
        self._resources = ports.resources
        self._steps = ports.steps
        self._policy = ports.policy
        self._hooks = ports.hooks
        self._interrupts = interrupts
        self._ways = Ways(ports.steps, ports.policy)
        self.commit = Committer(ports).commit

    def run(self, run: Memento, flow: Flow, turn: Turn) -> Effect[Memento]:
        """Carry *run* on until it ends, waits, fails, or the turn may begin no more."""
        clock, ways = self._clock, self._ways.through(flow)
        draws = self._ports.draws.within(*run.resource, flow.draws_of(run.key))
        graph = not (self._interrupts and flow.is_linear)
        index: int | None = 0 if flow.steps else None
        inputs, astray, seen = run.context, None, None
        while turn.left > 0:
            if index is not None and run.steps[index].status is not _PREPARED:
                index, inputs, astray = advance(run, flow, index, inputs, astray, graph)
            if index is None:
                return (yield from self._finish(run, turn, astray))
            way, step, stop = ways[index], run.steps[index], None
            try:
                resource = yield from self._resources.get(turn.key)
            except NotFound:
                return (yield from self.interrupt(run, index, turn, *_GONE))
            if turn.left <= 0:
                return run  # it was stopped while a slow store answered
            # A snapshot that has been looked at is as fine for the next step.
            usual = resource is seen and step.status is _PREPARED
            if not usual or way.body is None or run.deadline is not None:
                stop = self._reason_to_stop(run, step, way, resource, astray)
            seen = resource
            if stop is None and step.status is not _WAITING:
                run = run.start_step(index, clock.now)
                yield from self.commit(run, turn)
                if self._hooks:
                    self.tell("on_step_init", run, run.steps[index])
                if turn.look_again:
                    stop = yield from self._look_again(turn, astray)
            if stop is not None:
                run, seen = (yield from self._end(run, index, turn, graph, *stop)), None
                continue
            attempt, body, call_off = self._open(
                run, index, way, resource, inputs, draws, turn, astray
            )
            try:
                end: Any = yield from body(attempt)
                end = EMPTY if end is None else checked_output(way.spec, end)
            except (Cancelled, TimedOut, Exception) as error:
                end = error
            finally:
                turn.attempt, attempt.is_open = None, False
                if call_off is not None:
                    call_off()
            if type(end) is not Frozen or way.spec.polling is not None:
                run, end = yield from self._judge(
                    run, index, turn, way, attempt, end, graph
                )
                if end is None:
                    continue
            run = run.complete_step(index, clock.now, end)
            yield from self.commit(run, turn)
            if self._hooks:
                self.tell("on_step_completed", run, run.steps[index])
            inputs = Frozen({**inputs, **end}) if end else inputs
            index = flow.following[index].success
            turn.left -= 1
        return run

    def _judge(
        self,
        run: Memento,
        index: int,
        turn: Turn,
        way: Way,
        attempt: StepContext,
        end: Any,
        graph: bool,
    ) -> Effect[tuple[Memento, Any]]:
        """Return the run and the output that complete the step; None if nothing does.

        *end* is what an attempt has failed with, or what one that polls has returned.
        """
        if isinstance(end, BaseException):
            return (yield from self._stop(run, index, turn, way.retry, end, graph)), None
        if attempt.operation:
            return run, Frozen({**run.steps[run.cursor].output, **end})
        if OPERATION in end and way.spec.polling is not None:
            return (
                yield from self._launch(run, index, way.spec.polling, end, turn)
            ), None
        return run, end

    def _finish(
        self, run: Memento, turn: Turn, astray: StepMemento | None
    ) -> Effect[Memento]:
        """End *run*, all of whose steps are over."""
        now = self._clock.now
        run = run.complete(now) if astray is None else self._ended(run, astray)
        yield from self.commit(run, turn)
        if self._hooks:
            self.tell("on_run_interrupt" if astray else "on_run_completed", run)
        return run

    def _ended(self, run: Memento, astray: StepMemento) -> Memento:
        """Return *run* ended, as the step says with which it left its main path."""
        now = self._clock.now
        if astray.status is StepStatus.CANCELLED:
            return run.cancel(now, astray.error)
        return run.fail(now, astray.error)

    def _launch(
        self,
        run: Memento,
        index: int,
        polling: Polling,
        output: Mapping[str, Any],
        turn: Turn,
    ) -> Effect[Memento]:
        """Make durable what the step has launched, before the first look at it."""
        first = self._clock.now + polling.interval
        rest = Frozen((k, v) for k, v in output.items() if k != OPERATION)
        run = run.launch_step(index, str(output[OPERATION]), rest, first)
        yield from self.commit(run, turn)
        self.tell("on_step_waiting", run, run.steps[index])
        return run

    def interrupt(
        self, run: Memento, index: int, turn: Turn, reason: str, message: str
    ) -> Effect[Memento]:
        """End *run* at step *index* until an operator recovers it."""
        turn.left = 0
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

    def _end(
        self, run: Memento, index: int, turn: Turn, graph: bool, reason: str, text: str
    ) -> Effect[Memento]:
        """End step *index* for good, and with it the run if that is to be interrupted."""
        if not graph or (reason, text) == _GONE:
            return (yield from self.interrupt(run, index, turn, reason, text))
        cancelled = reason == reasons.CANCELLED
        status = StepStatus.CANCELLED if cancelled else StepStatus.FAILED
        ran = run.steps[index].status in _BEGUN
        run = run.close_step(index, self._clock.now, status, text)
        yield from self.commit(run, turn)
        if ran:
            self.tell("on_step_completed", run, run.steps[index])
        if not cancelled:
            turn.left -= 1
        return run

    def _look_again(
        self, turn: Turn, astray: StepMemento | None
    ) -> Effect[tuple[str, str] | None]:
        """Return why not to go on with a step that should have been cancelled."""
        turn.look_again = False
        live = yield from self._look(turn.key)
        if astray is not None or not (live is None or live.cancelled):
            return None
        return _CANCELLED if live is None else _cancelled(live)

    def _look(self, key: Key) -> Effect[Resource | None]:
        try:
            return (yield from self._resources.get(key))
        except NotFound:
            return None

    def _reason_to_stop(
        self,
        run: Memento,
        step: StepMemento,
        way: Way,
        resource: Resource,
        astray: StepMemento | None,
    ) -> tuple[str, str] | None:
        if resource.uid != run.owner:
            return _GONE
        if resource.cancelled and astray is None:
            return _cancelled(resource)
        # Recovered, a step has its budget anew: with a limit of 0 it runs once more.
        spec, retry, _, body = way
        if step.status is StepStatus.FAILED and step.retries >= (retry.limit or 1):
            return reasons.MANY_RETRY, run.error
        if step.status is StepStatus.INITED and step.restarts >= retry.restarts:
            times = step.restarts + 1
            return reasons.MANY_RESTARTS, f"{step.name} was cut short {times} times"
        late = run.deadline is not None and self._clock.now >= run.deadline
        if late and astray is None:
            return reasons.DEADLINE, f"not complete by {run.deadline:g} s"
        if (
            body is None
            and spec.class_name not in self._steps
            and (name := unknown_class(spec, self._steps))
        ):
            near = did_you_mean(name, self._steps)
            return reasons.UNKNOWN_TASK, f"no code for {name!r}{near}"
        return None

    def _open(
        self,
        run: Memento,
        index: int,
        way: Way,
        resource: Resource,
        inputs: Mapping[str, Any],
        draws: Draws,
        turn: Turn,
        astray: StepMemento | None,
    ) -> tuple[StepContext, StepFunction, Callable[[], None] | None]:
        """Return the next attempt, what it is to do, and how to call off its time-out."""
        ports, step = self._ports, run.steps[index]
        attempt = turn.attempt = StepContext(
            ports, resource, inputs, step.attempts, run.key, run.flow, way.spec, draws,
            turn.token, step.operation,
        )  # fmt: skip
        turn.sheltered = astray is not None
        limit, body, call_off = way.limit, way.body, None
        deadline = None if turn.sheltered else run.deadline
        if limit is not None or deadline is not None:
            call_off = watch(self._clock, attempt, limit, deadline, turn)
        if body is None or step.operation:
            first = self._clock.now if run.wake is None else run.wake
            body = body_of(ports, attempt, first, turn)
        return attempt, body, call_off

    def _stop(
        self,
        run: Memento,
        index: int,
        turn: Turn,
        retry: Retry,
        error: BaseException,
        graph: bool,
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
                live = yield from self._look(turn.key)
                why = _CANCELLED if live is None else _cancelled(live)
                return (yield from self._end(run, index, turn, graph, *why))
            case TimedOut(deadline=True) if run.deadline is not None:
                late = reasons.DEADLINE, f"not complete by {run.deadline:g} s"
                return (yield from self._end(run, index, turn, graph, *late))
            case TimedOut(limit=limit):
                text = f"no end after {limit:g} s"
            case _:
                text = describe(error)
        return (yield from self._fail(run, index, turn, retry, text, graph))

    def _wait(
        self, run: Memento, index: int, turn: Turn, after: float | None
    ) -> Effect[Memento]:
        """Park the step; as in the reference, only its first wait is written down."""
        turn.left = 0
        wake = None if after is None else self._clock.now + max(after, 0.0)
        if run.steps[index].status is StepStatus.WAITING:
            return run._replace(wake=wake)
        run = run.wait_step(index, wake)
        yield from self.commit(run, turn)
        self.tell("on_step_waiting", run, run.steps[index])
        return run

    def _fail(
        self,
        run: Memento,
        index: int,
        turn: Turn,
        retry: Retry,
        text: str,
        graph: bool,
    ) -> Effect[Memento]:
        step = run.steps[index]
        text = f"step {step.name} fail: {text}"
        failures = step.retries + 1
        if failures > retry.limit:
            many = reasons.MANY_RETRY
            return (yield from self._end(run, index, turn, graph, many, text))
        now = self._clock.now
        turn.left = 0
        run = run.fail_step(index, now, text, now + retry.after(failures))
        yield from self.commit(run, turn)
        self.tell("on_step_completed", run, run.steps[index])
        return run


_PREPARED, _WAITING = StepStatus.PREPARED, StepStatus.WAITING
_BEGUN = (StepStatus.INITED, StepStatus.WAITING)
_CANCELLED = (reasons.CANCELLED, "the resource was cancelled")
_GONE = (reasons.CANCELLED, "the resource is gone")


def _is_time(after: Any) -> bool:
    return isinstance(after, (int, float)) and not math.isnan(after)


def _cancelled(resource: Resource) -> tuple[str, str]:
    """Return that *resource* was cancelled, and why if whoever did it has said so."""
    why = resource.annotations.get(CANCEL_REASON)
    return (reasons.CANCELLED, why) if why else _CANCELLED
