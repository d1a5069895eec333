"""Drive one run of a flow through its steps.

What drives it holds no state of its own: it reads a run, and whatever it learns it
appends to the journal before it goes on.  Dropping it at any moment and giving the run to
a new one is therefore a restart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from wfsim.engine.context import StepContext, Turn
from wfsim.engine.ports import Draws, Effect, Nothing, StepFunction
from wfsim.engine.runner import GONE, CompiledStep, FlowRunner, Stop
from wfsim.engine.steps import (
    OPERATION,
    InitFailed,
    TimeLimit,
    body_of,
    checked_output,
    describe,
    line_of,
    signal_of,
    unknown_class,
)
from wfsim.errors import (
    Cancelled,
    Halted,
    Interrupted,
    NotFound,
    TimedOut,
    UsageError,
    Waiting,
)
from wfsim.model import memento as reasons
from wfsim.model.bounds import seconds
from wfsim.model.flow import Flow, Polling, Step
from wfsim.model.frozen import EMPTY, Frozen
from wfsim.model.memento import UNDER_WAY, RunStatus, StepMemento, StepStatus
from wfsim.model.policy import Retry
from wfsim.model.resource import CANCEL_REASON, Resource
from wfsim.model.run import (
    Adopt,
    Adoption,
    CancelRun,
    Cause,
    Change,
    Close,
    Complete,
    CompleteRun,
    Fail,
    FailRun,
    Launch,
    Run,
    Wait,
)
from wfsim.text import suggest

# Python 3.11 makes a call of each look at the member of an enum.
_PREPARED, _WAITING = StepStatus.PREPARED, StepStatus.WAITING
_COMPLETED, _CANCELLED = StepStatus.COMPLETED, StepStatus.CANCELLED


class Raised(NamedTuple):
    """The end of an attempt that raised an error."""

    error: BaseException


class Progress:
    """One run being carried on by one pass.

    *run* is where it stands: a draft of its own until what was found on taking it up
    has been written with the first change.  *inputs* is what the next step is given,
    *astray* the step that led off the main path.
    """

    def __init__(
        self,
        runner: FlowRunner,
        run: Run,
        flow: Flow,
        turn: Turn,
        adoption: Adoption | None,
    ) -> None:
        self.runner = runner
        self.ports = runner.ports
        self.stored = self.run = run
        self.flow = flow
        self.turn = turn
        self.steps = runner.compiled(flow)
        self.adoption = adoption
        self.wake: float | None = None
        self.graph = not (runner.interrupts and flow.is_linear)
        self.astray: StepMemento | None = None
        if adoption is not None:
            self.run = adoption.draft(run)
        self.inputs = self.run.context

    def commit(self, change: Change) -> Nothing:
        """Append *change*, and with the first one what was found on taking the run up."""
        if self.adoption is not None:
            change = Adopt(self.adoption, change)
            self.taken_up()
        return self.runner.commit(self.stored, self.turn, change)

    def taken_up(self) -> Adoption | None:
        """Go on with the run instead of its draft; return what is to be written."""
        adoption, self.adoption, self.run = self.adoption, None, self.stored
        return adoption

    def carry_on(self) -> Effect[float | None]:
        """Do step after step; return when to look again, None for when it changes."""
        ports, turn, key, steps = self.ports, self.turn, self.turn.key, self.steps
        peek, is_local = ports.resources.peek, ports.resources.is_local
        append, insist = ports.runs.append, self.runner.insist
        draws = ports.draws.within(*key, self.flow.draws_of(self.run.key))
        is_plain = is_local and not ports.hooks and self.run.deadline is None
        run, index = self.run, 0 if steps else None
        seen: Any = None
        resource: Any
        end: Any
        while turn.left > 0:
            usual = is_plain
            if index is None or (step := run.steps[index]).status is not _PREPARED:
                index = self.advance(index)
                if index is None:
                    return (yield from self.finish())
                step = run.steps[index]
                usual = is_plain and step.status is _PREPARED
            compiled = steps[index]
            resource = peek(key) if is_local else (yield from self.look())
            # What has been looked at is as fine for the next step.
            if usual and resource is seen and compiled.call is not None:
                written = append(run, compiled.start, turn.token)
                if written:
                    yield from insist(written, run, turn, compiled.start)
                attempt = turn.attempt = StepContext(
                    ports, resource, self.inputs, step.attempts + 1, run, compiled.spec,
                    draws, turn.token,
                )  # fmt: skip
                body, call_off = compiled.call, None
            elif turn.left <= 0:
                break  # it was stopped while a slow store answered
            else:
                seen = yield from self.enter(index, compiled, resource)
                run, usual = self.run, is_plain and compiled.call is not None
                if seen is None:
                    continue
                attempt, body, call_off = self.open(index, compiled, seen, draws)
            try:
                end = yield from body(attempt)
            except (Cancelled, TimedOut, Halted, Exception) as error:
                end = Raised(error)
            finally:
                turn.attempt, attempt.is_open = None, False
                if call_off is not None:
                    call_off()
            if usual and end is None and self.adoption is None:
                written = append(run, compiled.complete, turn.token)
                if written:
                    yield from insist(written, run, turn, compiled.complete)
            elif not (yield from self.close(index, compiled, attempt, end)):
                run = self.run
                continue
            else:
                run = self.run
            index = compiled.success
            if turn.left is not math.inf:
                turn.left -= 1
        return self.run.wake if self.wake is None else self.wake

    def close(
        self, index: int, compiled: CompiledStep, attempt: StepContext, end: Any
    ) -> Effect[bool]:
        """Make durable how an attempt has ended; return whether the step is completed."""
        output = yield from self.judge(index, compiled, attempt, end)
        if output is None:
            return False
        yield from self.commit(Complete(index, output) if output else compiled.complete)
        if output:
            self.inputs = Frozen({**self.inputs, **output})
        self.runner.tell_step(self.turn, "on_step_completed", self.run, index)
        return True

    def output_of(self, spec: Step, output: Any) -> Mapping[str, Any] | Raised:
        """Return *output* frozen, or what is wrong with keeping it."""
        try:
            frozen = checked_output(spec, EMPTY if output is None else output)
            if frozen:
                self.ports.runs.refuse_large(self.run, frozen)
        except Exception as error:
            return Raised(error)
        return frozen

    def enter(
        self, index: int, compiled: CompiledStep, resource: Resource | None
    ) -> Effect[Resource | None]:
        """Begin the step and return its *resource*; end it, None, if it may not go on."""
        run, turn = self.run, self.turn
        step = run.steps[index]
        stop = self.reason_to_stop(step, compiled, resource) if resource else GONE
        if stop is None and step.status is not _WAITING:
            yield from self.commit(compiled.start)
            self.runner.tell_step(turn, "on_step_init", self.run, index)
            if turn.look_again:
                stop = yield from self.look_again()
        if stop is None:
            return resource
        yield from self.end(index, stop)
        return None

    def advance(self, index: int | None) -> int | None:
        """Go from step *index* along the edges to the first one that is not over."""
        following, run = self.flow.following, self.run
        while index is not None:
            step = run.steps[index]
            if step.status is _COMPLETED:
                if step.output:
                    self.inputs = Frozen({**self.inputs, **step.output})
                index = following[index].success
            elif self.graph and is_over(run, index):
                self.astray = self.astray or step
                self.turn.sheltered = True
                targets = following[index]
                cancelled = step.status is _CANCELLED
                index = targets.cancel if cancelled else targets.failure
            else:
                break
        return index

    def judge(
        self, index: int, compiled: CompiledStep, attempt: StepContext, end: Any
    ) -> Effect[Mapping[str, Any] | None]:
        """Return the output that completes the step; None if nothing does.

        *end* is what an attempt has returned, or that it `Raised` an error.
        """
        if type(end) is not Raised:
            end = self.output_of(compiled.spec, end)
        if type(end) is Raised:
            yield from self.stop(index, compiled.retry, end.error)
            return None
        if attempt.operation:
            return Frozen({**self.run.steps[index].output, **end})
        if OPERATION in end and compiled.spec.polling is not None:
            yield from self.launch(index, compiled.spec.polling, end)
            return None
        return end  # type: ignore[no-any-return]

    def finish(self) -> Effect[float | None]:
        """End the run, all of whose steps are over."""
        astray = self.astray
        change: Change
        if astray is None:
            change = CompleteRun()
        elif astray.status is _CANCELLED:
            change = CancelRun(astray.error)
        else:
            change = FailRun(astray.error, *end_of(self.run, astray.name))
        yield from self.commit(change)
        hook = "on_run_interrupt" if astray else "on_run_completed"
        self.runner.tell_run(self.turn, hook, self.run)
        return self.run.wake

    def launch(
        self, index: int, polling: Polling, output: Mapping[str, Any]
    ) -> Effect[None]:
        """Make durable what the step has launched, before the first look at it."""
        first = self.ports.clock.now + polling.interval
        rest = Frozen((k, v) for k, v in output.items() if k != OPERATION)
        yield from self.commit(Launch(index, str(output[OPERATION]), rest, first))
        self.runner.tell_step(self.turn, "on_step_waiting", self.run, index)

    def interrupt(self, index: int, stop: Stop) -> Effect[None]:
        """End the run at step *index* until an operator recovers it."""
        self.turn.left = 0
        adoption = self.taken_up()
        yield from self.runner.interrupt(self.run, index, self.turn, stop, adoption)

    def end(self, index: int, stop: Stop) -> Effect[None]:
        """End step *index* for good, and with it the run if that is to be interrupted."""
        failed = stop.cause not in (Cause.CANCEL, Cause.DEADLINE)
        paused = failed and self.flow.steps[index].pauses
        if not self.graph or paused or stop.cause is Cause.GONE:
            yield from self.interrupt(index, stop)
            return
        cancelled = stop.reason == reasons.CANCELLED
        status = _CANCELLED if cancelled else StepStatus.FAILED
        ran = self.run.steps[index].status in UNDER_WAY
        yield from self.commit(Close(index, status, *stop[1:]))
        if ran:
            self.runner.tell_step(self.turn, "on_step_completed", self.run, index)
        if not cancelled:
            self.turn.left -= 1

    def look_again(self) -> Effect[Stop | None]:
        """Return why not to go on with a step that should have been cancelled."""
        self.turn.look_again = False
        live = yield from self.look()
        if self.astray is not None or not (live is None or live.cancelled):
            return None
        return cancellation(live)

    def look(self) -> Effect[Resource | None]:
        """Return the resource as it is now, None if it is gone, whoever has its name."""
        turn = self.turn
        try:
            live = yield from self.ports.resources.get(turn.key)
        except NotFound:
            return None
        return live if turn.owner in ("", live.uid) else None

    def reason_to_stop(
        self, step: StepMemento, compiled: CompiledStep, resource: Resource
    ) -> Stop | None:
        """Return why the step is not to be begun, None if there is nothing against it."""
        run, astray, now = self.run, self.astray, self.ports.clock.now
        if resource.uid != run.owner:
            return GONE
        if resource.cancelled and astray is None:
            return cancellation(resource)
        # Recovered, a step has its budget anew: with a limit of 0 it runs once more.
        spec, retry, body = compiled.spec, compiled.retry, compiled.body
        if step.status is StepStatus.FAILED and step.retries >= (retry.limit or 1):
            return Stop(reasons.MANY_RETRY, run.error, Cause.RETRIES)
        if step.status is StepStatus.INITED and step.restarts >= retry.restarts:
            text = f"{step.name} was cut short {step.restarts + 1} times"
            return Stop(reasons.MANY_RESTARTS, text, Cause.RESTARTS)
        late = run.deadline is not None and now >= run.deadline
        if late and astray is None:
            return self.lateness()
        steps = self.ports.steps
        if (
            body is None
            and spec.class_name not in steps
            and (name := unknown_class(spec, steps))
        ):
            near = suggest(name, steps)
            text = (
                f"[{spec.name} {name}]can not find step meta in type resistry! "
                f"no code for {name!r}{near}"
            )
            return Stop(reasons.UNKNOWN_TASK, text, Cause.DEFINITION)
        return None

    def lateness(self) -> Stop:
        """Return that the run is not complete by its deadline."""
        text = f"not complete by {self.run.deadline:g} s"
        limit = self.flow.deadline or self.ports.policy.deadline
        return Stop(reasons.DEADLINE, text, Cause.DEADLINE, limit)

    def open(
        self, index: int, compiled: CompiledStep, resource: Resource, draws: Draws
    ) -> tuple[StepContext, StepFunction, Callable[[], None] | None]:
        """Return a new attempt, what it is to do, and how to call off its time-out."""
        ports, run, turn, call_off = self.ports, self.run, self.turn, None
        step, limit, body = run.steps[index], compiled.limit, compiled.body
        attempt = turn.attempt = StepContext(
            ports, resource, self.inputs, step.attempts, run, compiled.spec, draws,
            turn.token, step.operation,
        )  # fmt: skip
        deadline = None if turn.sheltered else run.deadline
        if limit is not None or deadline is not None:
            # An attempt that waits is the same one each time that it is asked.
            began = step.started if step.status is _WAITING else None
            began = ports.clock.now if began is None else began
            timer = TimeLimit(ports.clock, attempt, limit, began, deadline, turn)
            attempt.time_limit, call_off = timer, timer.call_off
        if body is None or attempt.operation:
            first = ports.clock.now if run.wake is None else run.wake
            body = body_of(ports, attempt, first, turn)
        return attempt, body, call_off

    def stop(self, index: int, retry: Retry, error: BaseException) -> Effect[None]:
        """Write what ended an attempt before its time.

        ===================== ==================================================
        `Waiting`             the step is asked again, at no cost
        `Interrupted`         the run stops for an operator; so it does for
        `Cancelled`           ... a cancelled resource
        `TimedOut`            ... a deadline; else as any other error:
        anything else         a failure, retried within its budget
        ===================== ==================================================
        """
        cause = Cause.ERROR
        limit: float | None = None
        match signal_of(error):
            case Waiting(after=after):
                try:
                    # It may be what is left until a time that is past by now.
                    pause = None if after is None else seconds(max(after, 0), "")
                except (UsageError, TypeError):
                    text = f"Waiting takes seconds, not {after!r}"
                else:
                    limit = self.steps[index].limit
                    started = self.run.steps[index].started
                    if limit is None or started is None:
                        return (yield from self.wait(index, pause, math.inf))
                    if self.ports.clock.now < started + limit:
                        return (yield from self.wait(index, pause, started + limit))
                    cause, text = Cause.TIMEOUT, f"no end after {limit:g} s"
            case Interrupted(reason=reason, message=message):
                where = line_of(error)
                stop = Stop(str(reason), str(message), Cause.STEP, None, where)
                yield from self.interrupt(index, stop)
                return None
            case Cancelled():
                stop = cancellation((yield from self.look()))
                return (yield from self.end(index, stop))
            case TimedOut(deadline=True) if self.run.deadline is not None:
                return (yield from self.end(index, self.lateness()))
            case TimedOut() as late:
                limit, cause = late.limit, Cause.TIMEOUT
                text = f"no end after {limit:g} s"
            case _:
                text = describe(error)
        if self.runner.interrupts and not isinstance(error, InitFailed):
            text = f"step {self.run.steps[index].name} fail: {text}"
        where = line_of(error)
        return (yield from self.fail(index, retry, text, cause, limit, where))

    def wait(self, index: int, after: float | None, end: float) -> Effect[None]:
        """Park the step, until *end* at most.

        As in the reference, only its first wait is written down.
        """
        self.turn.left = 0
        wake = None if after is None else min(self.ports.clock.now + after, end)
        if wake is None and end < math.inf:
            self.wake = end
        if self.run.steps[index].status is _WAITING:
            self.wake = end if wake is None else wake
            return
        yield from self.commit(Wait(index, wake))
        self.runner.tell_step(self.turn, "on_step_waiting", self.run, index)

    def fail(
        self,
        index: int,
        retry: Retry,
        text: str,
        cause: Cause,
        limit: float | None,
        where: str,
    ) -> Effect[None]:
        """End the attempt badly: to be tried again, unless it was one too many."""
        step = self.run.steps[index]
        failures = step.retries + 1
        if failures > retry.limit:
            many = Stop(reasons.MANY_RETRY, text, Cause.RETRIES, limit, where)
            return (yield from self.end(index, many))
        now, draw = self.ports.clock.now, 0.0
        if retry.jitter:
            whose = (*self.turn.key, self.flow.draws_of(self.run.key))
            draw = self.ports.draws.uniform(*whose, step.name, step.attempts, "jitter")
        self.turn.left = 0
        again = now + retry.after(failures, draw)
        yield from self.commit(Fail(index, text, again, cause, limit, where))
        self.runner.tell_step(self.turn, "on_step_completed", self.run, index)


def end_of(run: Run, name: str) -> tuple[Cause, float | None]:
    """Return why the step called *name* was closed, and what limit it exceeded."""
    for change in reversed(run.changes):
        while hasattr(change, "change"):
            change = change.change
        if isinstance(change, Close) and run.steps[change.index].name == name:
            return change.cause, change.limit
    return Cause.ERROR, None


def is_over(run: Run, index: int) -> bool:
    """Whether step *index* has ended badly, and is not to be tried again."""
    status = run.steps[index].status
    again = run.status is RunStatus.FAILED and run.cursor == index
    return status is _CANCELLED or (status is StepStatus.FAILED and not again)


def cancellation(resource: Resource | None) -> Stop:
    """Return that *resource* was cancelled, and why if whoever did it has said so."""
    why = None if resource is None else resource.annotations.get(CANCEL_REASON)
    return Stop(reasons.CANCELLED, why or "the resource was cancelled", Cause.CANCEL)
