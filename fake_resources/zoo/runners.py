"""Runners with one defect each, as a reference has it or we had it.

Each is a subclass of a part of the engine, or wraps the bodies of its steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import wfsim
from fake_resources.zoo.engines import Engine, Looks, Plane, Port, Reconciler
from wfsim.engine.context import StepContext, Turn, rewrite
from wfsim.engine.controller import Controller
from wfsim.engine.ports import Effect, Nothing, Ports
from wfsim.engine.progress import Progress
from wfsim.engine.reconciler import Result
from wfsim.engine.runner import CompiledStep, FlowRunner, Stop
from wfsim.engine.service import ChildFlows
from wfsim.engine.watch import WatchLoop
from wfsim.model.frozen import Frozen
from wfsim.model.memento import RunStatus, StepMemento, StepStatus
from wfsim.model.policy import Retry
from wfsim.model.resource import INTERRUPT, PREVIOUS, RECOVER, Key, Resource
from wfsim.model.run import (
    Adoption,
    CancelRun,
    Cause,
    CompleteRun,
    Interrupt,
    Launch,
    Recover,
    Run,
)
from wfsim.sim.storage import Storage

StoreError = wfsim.errors.StoreError
Conflict, Unavailable = wfsim.errors.Conflict, wfsim.errors.Unavailable


def left_running(body: Any) -> Any:
    """A step runs in a goroutine that nobody ends (PolarDB B7)."""

    def effect(ctx: StepContext) -> Effect[Any]:
        done = ctx.clock.event()

        def goroutine() -> Any:
            try:
                returned = yield from body(ctx)
            except wfsim.errors.Killed:
                return  # the process that it is in has died
            except Exception as error:
                returned = error
            if not done.triggered:
                done.succeed(returned)

        ctx.clock.process(goroutine())
        returned = yield done
        if isinstance(returned, Exception):
            raise returned
        return returned

    return effect


def not_awaited(body: Any) -> Any:
    """What a step begins is not awaited: its failure is nobody's (TiUniManager B38)."""

    def effect(ctx: StepContext) -> Effect[Any]:
        try:
            return (yield from body(ctx))
        except wfsim.errors.StepFailed:
            return {"volume": ctx.inputs.get("volume", "none")}

    return effect


# -- progress --------------------------------------------------------------------------


class StateFirst(Progress):
    """The state is set before the run is closed (PolarDB B6)."""

    def finish(self) -> Effect[float | None]:
        """Move the resource, and only then end the run."""
        live = yield from self.ports.resources.get(self.turn.key)
        if self.astray is None and live.state in ("", "Creating"):
            yield from self.ports.resources.update(live.move("Running"), self.turn.token)
        return (yield from super().finish())


class Dormant(Reconciler):
    """A run that is not closed sleeps where its resource has gone on (PolarDB B6)."""

    progress_type = StateFirst

    def _carry_on(self, resource: Resource, run: Run, turn: Turn) -> Effect[Any]:
        if self._machines[resource.kind].is_stable(resource.state):
            return Result()
        return (yield from super()._carry_on(resource, run, turn))


class InterruptFirst(FlowRunner):
    """The resource is interrupted before its memento says so (PolarDB B3, P2)."""

    def interrupt(
        self, run: Run, index: int, turn: Turn, stop: Stop, adoption: Adoption | None
    ) -> Effect[None]:
        """Interrupt the resource, and only then the run."""

        def change(live: Resource) -> Resource:
            return live.interrupt(stop.reason, stop.text)

        yield from rewrite(self.ports.resources, turn.key, change, turn.token)
        yield from super().interrupt(run, index, turn, stop, adoption)


class NotesFirst(Reconciler):
    """A recovery drops its request before the state goes back (PolarDB B3, R2 to R3)."""

    def _recover(self, resource: Resource, run: Run | None, turn: Turn) -> Effect[Result]:
        live = yield from self._resources.get(resource.key)
        if live.state == INTERRUPT and live.wants_recovery and run is not None:
            flow = self._flows[run.flow]
            yield from self._runner.commit(run, turn, Recover(flow is None, None))
            previous = live.annotations[PREVIOUS]
            bare = live.annotate(RECOVER, PREVIOUS)
            bare = bare.annotate(**{RECOVER: "F"})
            bare = yield from self._resources.update(bare, turn.token)
            yield from self._resources.update(bare.recover(previous), turn.token)
        return Result()


class Forgetful(Reconciler):
    """A recovery that fails ends the pass, and nobody comes back (PolarDB B23)."""

    def _recover(self, resource: Resource, run: Run | None, turn: Turn) -> Effect[Result]:
        try:
            return (yield from super()._recover(resource, run, turn))
        except StoreError:
            return Result()


class OneBudget(Progress):
    """Crashes consume the budget of retries (PolarDB P6)."""

    def reason_to_stop(
        self, step: StepMemento, compiled: CompiledStep, resource: Resource
    ) -> Stop | None:
        """Return that there is no attempt left, however the others have ended."""
        tried = step.retries + step.restarts + 1
        if step.status is StepStatus.INITED and tried > compiled.retry.limit:
            return Stop("MANY_RETRY", "cut short too often", Cause.RETRIES)
        return super().reason_to_stop(step, compiled, resource)


class LastingRecover(Recover):
    """A recovery after which a failed step has a single attempt left."""

    def apply(self, run: Run, at: float) -> None:
        """Recover *run*, but for what its steps have used up."""
        before = [step.retries for step in run.steps]
        super().apply(run, at)
        run.steps = [
            step._replace(retries=max(retries - 1, 0))
            for step, retries in zip(run.steps, before, strict=True)
        ]


class LastingCount(FlowRunner):
    """The count of retries survives a recovery (PolarDB B4)."""

    def commit(self, run: Run, turn: Turn, change: Any) -> Nothing:
        """Append *change*; a recovery resets nothing."""
        if type(change) is Recover:
            change = LastingRecover(
                change.from_first_step, change.deadline, change.afresh, change.entered
            )
        return super().commit(run, turn, change)


class LastOutput(Progress):
    """A step sees the output of the one before it alone once restarted (PolarDB B21)."""

    def advance(self, index: int | None) -> int | None:
        """Go on, with what the last completed step has returned."""
        taken_up = self.adoption is not None
        index = super().advance(index)
        if taken_up and index:
            self.inputs = Frozen(self.run.steps[index - 1].output)
        return index


class BlindToCancel(Progress):
    """A cancel is seen inside a step only: one more is begun (PolarDB B18)."""

    def reason_to_stop(
        self, step: StepMemento, compiled: CompiledStep, resource: Resource
    ) -> Stop | None:
        """Return why not to begin, but for a cancel."""
        calm = resource.annotate("cancelled")
        return super().reason_to_stop(step, compiled, calm)


class LastFinished(Progress):
    """A flow whose last step fails is Finished (TiUniManager B1)."""

    def finish(self) -> Effect[float | None]:
        """End the run well, whatever led off its path."""
        self.astray = None
        return (yield from super().finish())


class LaterKept(Progress):
    """The id of an operation is kept when it is over (TiUniManager B14)."""

    def launch(self, index: int, polling: Any, output: Mapping[str, Any]) -> Effect[None]:
        """Look until the operation is over, and only then write it down."""
        operation = str(output["operation"])
        while not self.ports.world.poll(operation):
            yield self.ports.clock.timeout(polling.interval)
        rest = Frozen((k, v) for k, v in output.items() if k != "operation")
        now = self.ports.clock.now
        yield from self.commit(Launch(index, operation, rest, now))


class OpenInterrupt(Interrupt):
    """An interrupt that leaves the step as it is."""

    def apply(self, run: Run, at: float) -> None:
        """Interrupt *run* alone."""
        before = list(run.steps)
        super().apply(run, at)
        run.steps = before


class OpenRows(FlowRunner):
    """A cancel leaves the row of what was at work as it is (TiUniManager B12)."""

    def commit(self, run: Run, turn: Turn, change: Any) -> Nothing:
        """Append *change*; a cancel closes the run alone."""
        if type(change) is Interrupt and change.cause is Cause.CANCEL:
            change = OpenInterrupt(
                change.index, change.reason, change.error, change.cause, change.limit
            )
        return super().commit(run, turn, change)


class Swallowed(Progress):
    """A panic of an executor is never persisted (TiUniManager B3)."""

    def stop(self, index: int, retry: Retry, error: BaseException) -> Effect[None]:
        """Ignore an error; the next tick begins the node again."""
        if isinstance(error, wfsim.errors.StepFailed):
            self.turn.left = 0
            return None
        return (yield from super().stop(index, retry, error))


class Unclosed(Progress):
    """A cancel ends the flow, and the node at work stays so (TiUniManager B12)."""

    def end(self, index: int, stop: Stop) -> Effect[None]:
        """End the run at once where it is cancelled, whatever is under way."""
        if stop.reason != "CANCELLED":
            yield from super().end(index, stop)
            return
        self.turn.left = 0
        yield from self.commit(CancelRun(stop.text))


class NotCalledOff(Progress):
    """A cancel runs no handler (TiUniManager B12)."""

    def advance(self, index: int | None) -> int | None:
        """Go on, unless a step was cancelled."""
        index = super().advance(index)
        if self.astray is not None and self.astray.status is StepStatus.CANCELLED:
            return None
        return index


class Impatient(Progress):
    """The first look that fails, fails the node (TiUniManager B15)."""

    def open(self, index: int, compiled: CompiledStep, *more: Any) -> Any:
        """Return an attempt that tolerates nothing, and what it is to do."""
        polling = compiled.spec.polling
        if polling is not None:
            once = replace(polling, tolerated_errors=0)
            compiled = replace(compiled, spec=replace(compiled.spec, polling=once))
        return super().open(index, compiled, *more)


class Listening(FlowRunner):
    """What goes wrong in an observer goes wrong in the flow (PolarDB B26)."""

    def _tell(self, turn: Turn, hook: str, run: Run, *args: Any) -> None:
        for observer in self.ports.hooks:
            getattr(observer, hook)(*args)


class ChildBlind(ChildFlows):
    """A waiting flow knows of Finished and Error alone (TiUniManager B37)."""

    def wait(self, flow_id: str, *, every: float = 10.0, timeout: float = 1e6) -> Any:
        """Look every so many seconds, until the flow is Finished or in Error."""
        context = self._context
        own = context.resource.key
        key = Key(own.kind, own.namespace, flow_id)
        while True:
            yield from context.sleep(every)
            live = self._service.resources.peek(key)
            if live is None or live.state in ("Finished", "Error"):
                return


class WaitingPlane(Plane):
    """Controllers whose flows wait by `ChildBlind`."""

    def wrapped(self, ports: Ports) -> Ports:
        """Return *ports* whose service lets children be waited for so."""
        flows = Port(ports.flows, ports)
        flows.of = lambda context: ChildBlind(ports.flows, context)  # type: ignore[attr-defined]
        return ports._replace(flows=flows)


class Waiting(Engine):
    """An engine by `WaitingPlane`."""

    plane_type = WaitingPlane


class DeafStorage(Storage):
    """Stores that tell a world of nothing."""

    def tell(self, world: wfsim.World) -> None:
        """Tell *world* of no write."""


class DeafWorld(Engine):
    """Nobody frees what a flow held that has ended (TiUniManager, locks of clusters)."""

    storage_type = DeafStorage


# -- controllers -----------------------------------------------------------------------


class Timerless(Controller):
    """Timers of what waits are lost over a restart (PolarDB B17)."""

    def start(self) -> None:
        """Begin; what was begun before is asked again when it changes."""
        self._restarted = self._clock.now > 0.0
        super().start()

    def _look_again(self, key: Key, after: float) -> None:
        run = self._last.get(key)
        if self._restarted and run is not None and run.status is RunStatus.WAITING:
            return
        super()._look_again(key, after)


class Spinning(Controller):
    """A failed pass is made again at once (TiUniManager B7)."""

    def _failed(self, turn: Turn, error: StoreError) -> Result:
        super()._failed(turn, error)
        return Result(0.0)


class Starving(WatchLoop):
    """A flow that cannot be loaded ends the whole sweep (TiUniManager B6)."""

    def _failed(self, turn: Turn, error: StoreError) -> Result:
        self._queue.clear()
        return super()._failed(turn, error)


class Once(Controller):
    """A failed pass is not made again."""

    def _failed(self, turn: Turn, error: StoreError) -> Result:
        super()._failed(turn, error)
        return Result()


class Paused(Looks):
    """A flow that was paused and is started again is Finished (TiUniManager B13)."""

    def choose(self, key: Key, turn: Turn) -> Effect[Result | Progress]:
        """End the flow well if its run was interrupted, and somebody has started it."""
        entries = yield from self._ports.runs.entries(key)
        live = self._ports.resources.peek(key)
        run = entries[-1] if entries else None
        is_started = live is not None and live.state == "Processing"
        if not isinstance(run, Run) or not is_started:
            return (yield from super().choose(key, turn))
        if run.status is RunStatus.INTERRUPTED:
            yield from self._runner.commit(run, turn, CompleteRun())
        return (yield from super().choose(key, turn))
