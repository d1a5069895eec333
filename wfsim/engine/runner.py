"""The runner: kept writes, hooks and compiled steps, shared by all runs of flows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from wfsim.engine.context import Turn
from wfsim.engine.ports import Effect, Nothing, Ports, StepFunction
from wfsim.engine.steps import line_of
from wfsim.errors import Conflict, Unavailable
from wfsim.model import memento as reasons
from wfsim.model.flow import Flow, Step
from wfsim.model.memento import UNDER_WAY, StepStatus
from wfsim.model.policy import Retry
from wfsim.model.record import Kind
from wfsim.model.run import (
    Adopt,
    Adoption,
    Cause,
    Change,
    Complete,
    Interrupt,
    Late,
    Run,
    Start,
    complete,
    start,
)

# Python 3.11 makes a call of each look at the member of an enum.
_COMPLETED = StepStatus.COMPLETED


@dataclass(slots=True)
class CompiledStep:
    """One step of one flow: its budget, the time it has, its code, its usual changes.

    *body* is None for a step that is more than one call, or has no code; *call* is what
    an attempt calls if there is nothing else to it.  *success* is the step that follows
    if it ends well.
    """

    spec: Step
    retry: Retry
    limit: float | None
    body: StepFunction | None
    call: StepFunction | None
    start: Start
    complete: Complete
    success: int | None


class Stop(NamedTuple):
    """Why a step is not to go on: the code that its resource shows, words, the cause.

    *limit* is the time in seconds that was exceeded, if one was, *where* the line of
    code that failed.
    """

    reason: str
    text: str
    cause: Cause
    limit: float | None = None
    where: str = ""


GONE = Stop(reasons.CANCELLED, "the resource is gone", Cause.GONE)


class FlowRunner:
    """Runs flows step by step, one write before and one after each step.

    A step of a linear flow that has failed too often, or is cancelled, interrupts the
    run until an operator recovers it.  One of a flow with edges, or of any flow if not
    *interrupts*, is over: its edge says what follows, and in the end the run is in
    error, or cancelled.  Off its main path a run is cleaning up: nothing cancels it.
    """

    def __init__(self, ports: Ports, interrupts: bool = True) -> None:
        self.ports = ports
        self.interrupts = interrupts
        self._append = ports.runs.append
        self._delay = ports.policy.redrive
        self._compiled: dict[str, tuple[Flow, tuple[CompiledStep, ...]]] = {}

    def commit(self, run: Run, turn: Turn, change: Change) -> Nothing:
        """Append *change* to *run*, however well the store answers."""
        written = self._append(run, change, turn.token)
        return self.insist(written, run, turn, change) if written else ()

    def insist(
        self, written: Nothing, run: Run, turn: Turn, change: Change
    ) -> Effect[None]:
        """Wait until *change* is *written*, and append it again if that fails.

        Said again, a change that was kept is no entry.
        """
        # The store does nothing before it is asked for it by the effect.
        late = Late(self.ports.clock.now, len(run.changes), change)
        for failures in range(1, self._delay.limit + 1):
            try:
                yield from written
                return
            except (Unavailable, Conflict):
                yield self.ports.clock.timeout(self._delay.after(failures))
            written = self._append(run, late, turn.token)
        yield from written

    def interrupt(
        self, run: Run, index: int, turn: Turn, stop: Stop, adoption: Adoption | None
    ) -> Effect[None]:
        """End *run* at step *index* until an operator recovers it."""
        migrated = None if adoption is None else adoption.migrated
        steps = run.steps if migrated is None else migrated.steps
        ran = index < len(steps) and steps[index].status in UNDER_WAY
        draft = run if adoption is None else adoption
        step = steps[index].name if index < len(steps) else ""
        if self.interrupts:
            text = in_their_words(stop, run, step, draft.retries, ran)
            stop = stop._replace(text=text)
        change: Change = Interrupt(index, *stop)
        if adoption is not None:
            change = Adopt(adoption, change)
        yield from self.commit(run, turn, change)
        self.tell_step(turn, "on_step_completed", run, index if ran else None)
        self.tell_run(turn, "on_run_interrupt", run)

    def tell_run(self, turn: Turn, hook: str, run: Run) -> None:
        """Call *hook* of every observer with the run."""
        if self.ports.hooks:
            self._tell(turn, hook, run, run.memento())

    def tell_step(self, turn: Turn, hook: str, run: Run, index: int | None) -> None:
        """Call *hook* of every observer with the run and step *index*, if it has one."""
        if self.ports.hooks:
            memento = run.memento()
            step = None if index is None else memento.steps[index]
            self._tell(turn, hook, run, memento, step)

    def _tell(self, turn: Turn, hook: str, run: Run, *args: Any) -> None:
        """Call *hook* of every observer; what goes wrong there is only recorded."""
        for observer in self.ports.hooks:
            try:
                getattr(observer, hook)(*args)
            except Exception as error:
                self.ports.notes.note(
                    Kind.HOOK_FAILED,
                    resource=run.resource,
                    run=run.key,
                    flow=run.flow,
                    text=f"{hook}: {error!r}",
                    token=turn.token,
                    where=line_of(error),
                )

    def compiled(self, flow: Flow) -> tuple[CompiledStep, ...]:
        """Return the steps of *flow*, worked out when they are first asked for."""
        known = self._compiled.get(flow.name)
        if known is None or known[0] is not flow:
            usual = flow.retry or self.ports.policy.retry
            if flow.retry is None and not flow.is_linear:
                # As in the reference, a node is not tried again unless its file says so.
                usual = replace(usual, limit=0)
            steps = tuple(
                self._compile(flow, usual, *step) for step in enumerate(flow.steps)
            )
            known = self._compiled[flow.name] = (flow, steps)
        return known[1]

    def _compile(self, flow: Flow, usual: Retry, index: int, spec: Step) -> CompiledStep:
        steps, policy = self.ports.steps, self.ports.policy
        limit = spec.timeout or flow.timeout or policy.timeout
        single = spec.undo is None and spec.class_name in steps
        body = steps[spec.class_name] if single else None
        return CompiledStep(
            spec,
            retry=spec.retry or usual,
            limit=limit,
            body=body,
            call=body if limit is None and spec.polling is None else None,
            start=start(index),
            complete=complete(index),
            success=flow.following[index].success,
        )


def in_their_words(stop: Stop, run: Run, step: str, retries: int, ran: bool) -> str:
    """Return the text of *stop* as the reference has it for people's alerts, then ours.

    Source: wf_runtime.go, ``Start`` and ``doInitedStepIns``.
    """
    text, flow = stop.text, run.flow
    if stop.cause is Cause.CANCEL:
        return f"workflow cancelled! {text}"
    if stop.cause is not Cause.RETRIES:
        return text
    many = f"too many times retry [{retries}] to do [{flow}]"
    if ran:
        return f"{many}, last err step[{step}], err:[{text}]"
    key = run.resource
    return f"[{key.namespace}/{key.name}]{many}, last error step [{step}], err: [{text}]"


def to_run_again(run: Run, flow: Flow) -> frozenset[int]:
    """Return the steps of a flow with edges that a recovered run begins anew.

    Those are all but the completed ones on the main path.
    """
    if flow.is_linear:
        return frozenset()
    handlers = set(flow.handlers())
    return frozenset(
        index
        for index, step in enumerate(run.steps)
        if step.name in handlers or step.status is not _COMPLETED
    )
