"""Engines with one defect each, as the first reference has it or we have had it.

A defect is a wrapper of a port or a subclass; the engine knows nothing of it.  `Engine`
is where they are put in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import wfsim
from wfsim.engine.context import StepContext, Turn, rewrite
from wfsim.engine.controller import Controller
from wfsim.engine.ports import Effect, Grant, Nothing, Ports
from wfsim.engine.reconciler import FlowReconciler, Result, RunHistory
from wfsim.engine.runner import CompiledStep, FlowRunner, Progress, Stop
from wfsim.engine.service import ChildFlows
from wfsim.engine.watch import PickUp, WatchLoop
from wfsim.model.frozen import Frozen
from wfsim.model.memento import RunStatus, StepMemento, StepStatus
from wfsim.model.policy import Retry
from wfsim.model.resource import INTERRUPT, PREVIOUS, RECOVER, Key, Resource
from wfsim.model.run import (
    Adoption,
    CancelRun,
    Cause,
    Complete,
    CompleteRun,
    Fail,
    Interrupt,
    Launch,
    Recover,
    Run,
)
from wfsim.sim.stores import InMemoryLeases, InMemoryResources, InMemoryRuns

StoreError = wfsim.errors.StoreError
Conflict, Unavailable = wfsim.errors.Conflict, wfsim.errors.Unavailable


class Reconciler(FlowReconciler):
    """The reconciler, of which a subclass replaces runner and progress."""

    runner_type: type[FlowRunner] = FlowRunner
    progress_type: type[Progress] = Progress

    def __init__(self, ports: Ports, *more: Any) -> None:
        super().__init__(ports, *more)
        self._runner = self.runner_type(ports)
        self._history = RunHistory(ports, self._runner)

    def choose(self, key: Key, turn: Turn) -> Effect[Result | Progress]:
        """Return the run to be carried on by `progress_type`."""
        chosen = yield from super().choose(key, turn)
        if not isinstance(chosen, Progress):
            return chosen
        return self.progress_type(
            chosen.runner, chosen.stored, chosen.flow, chosen.turn, chosen.adoption
        )


class Looks(PickUp):
    """What takes up the flows of a service, of which a subclass replaces the progress."""

    progress_type: type[Progress] = Progress

    def choose(self, key: Key, turn: Turn) -> Effect[Result | Progress]:
        """Return the run to be carried on by `progress_type`."""
        chosen = yield from super().choose(key, turn)
        if not isinstance(chosen, Progress):
            return chosen
        return self.progress_type(
            chosen.runner, chosen.stored, chosen.flow, chosen.turn, chosen.adoption
        )


class Engine(wfsim.Simulation):
    """A simulation whose engine is made of these parts; a subclass replaces one."""

    reconciler_type: type[Reconciler] = Reconciler
    controller_type: type[Controller] = Controller
    looks_type: type[Looks] = Looks
    loop_type: type[WatchLoop] = WatchLoop

    def ports(self, name: str) -> Ports:
        """Return what the controller works with, as `wrapped`."""
        return self.wrapped(super().ports(name))

    def wrapped(self, ports: Ports) -> Ports:
        """Return *ports*, of which a subclass wraps one."""
        return ports

    def leased(self) -> Any:
        """Return the leases, which a subclass may wrap."""
        return self.leases

    def _controller(self, name: str) -> Controller:
        scenario, ports = self.scenario, self.ports(name)
        if scenario.is_service:
            looks = self.looks_type(ports, self.flows, scenario.migrations)
            return self.loop_type(name, ports, looks, self.leased())
        reconciler = self.reconciler_type(
            ports, scenario.machines, scenario.flows, scenario.migrations
        )
        return self.controller_type(name, ports, reconciler, self.leased())


class Port:
    """A port that does what *inner* does; a subclass does one thing otherwise."""

    def __init__(self, inner: Any, ports: Ports) -> None:
        self.inner = inner
        self.ports = ports

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def with_runs(wrap: Callable[[Any, Ports], Any]) -> type[Engine]:
    """Return an engine whose store of runs is what *wrap* makes of it."""

    def wrapped(self: Engine, ports: Ports) -> Ports:
        return ports._replace(runs=wrap(ports.runs, ports))

    return type("Runs", (Engine,), {"wrapped": wrapped})


def with_resources(wrap: Callable[[Any, Ports], Any]) -> type[Engine]:
    """Return an engine whose store of resources is what *wrap* makes of it."""

    def wrapped(self: Engine, ports: Ports) -> Ports:
        return ports._replace(resources=wrap(ports.resources, ports))

    return type("Resources", (Engine,), {"wrapped": wrapped})


def with_steps(wrap: Callable[[Any], Any]) -> type[Engine]:
    """Return an engine each body of whose steps is what *wrap* makes of it."""

    def wrapped(self: Engine, ports: Ports) -> Ports:
        return ports._replace(steps=Bodies(ports.steps, wrap))

    return type("Steps", (Engine,), {"wrapped": wrapped})


def with_runner(kind: type[FlowRunner]) -> type[Engine]:
    """Return an engine whose runner is of that *kind*."""
    reconciler = type("Reconciler", (Reconciler,), {"runner_type": kind})
    return type(kind.__name__, (Engine,), {"reconciler_type": reconciler})


def with_progress(progress: type[Progress]) -> type[Engine]:
    """Return an engine whose runs are carried on by *progress*."""
    reconciler = type("Reconciler", (Reconciler,), {"progress_type": progress})
    looks = type("Looks", (Looks,), {"progress_type": progress})
    made = {"reconciler_type": reconciler, "looks_type": looks}
    return type("Progressing", (Engine,), made)


class Bodies(Mapping[str, Any]):
    """Bodies of steps, each of them wrapped."""

    def __init__(self, inner: Mapping[str, Any], wrap: Callable[[Any], Any]) -> None:
        self.inner = inner
        self.wrap = wrap

    def __getitem__(self, name: str) -> Any:
        return self.wrap(self.inner[name])

    def __contains__(self, name: object) -> bool:
        return name in self.inner

    def __iter__(self) -> Any:
        return iter(self.inner)

    def __len__(self) -> int:
        return len(self.inner)


# -- stores ----------------------------------------------------------------------------


class DeafRuns(Port):
    """Errors of persistence are only logged (TiUniManager B18)."""

    def append(self, run: Run, change: Any, token: int) -> Nothing:
        """Append *change*, and go on whatever the store says."""
        try:
            yield from self.inner.append(run, change, token)
        except Unavailable:
            return


class KeylessRuns(Port):
    """The first memento lacks its own keys, and cannot be loaded (PolarDB B1)."""

    def entries(self, key: Key, since: str = "") -> Effect[Any]:
        """Return what can be loaded: no run that has only begun."""
        found = yield from self.inner.entries(key, since)
        if any(isinstance(run, Run) and len(run.history) == 3 for run in found):
            raise StoreError("failed to get flowSaveResourceNameKey by context")
        return found


class BlamingRuns(Port):
    """An error of the save that follows a finished step fails the step (PolarDB P5)."""

    def append(self, run: Run, change: Any, token: int) -> Nothing:
        """Append *change*; a completion that is answered with an error is a failure."""
        try:
            yield from self.inner.append(run, change, token)
        except (Conflict, Unavailable):
            inner = change
            while not isinstance(inner, Complete) and hasattr(inner, "change"):
                inner = inner.change
            if not isinstance(inner, Complete):
                raise
            now = self.ports.clock.now
            failed = Fail(inner.index, "save failed", now, Cause.ERROR)
            yield from self.inner.append(run, failed, token)
            raise StoreError("save failed") from None


class RememberingRuns(Port):
    """The mementos of a resource are loaded once, and never again (PolarDB P4, B20)."""

    def __init__(self, inner: Any, ports: Ports) -> None:
        super().__init__(inner, ports)
        self.known: dict[Key, list[Any]] = {}

    def entries(self, key: Key, since: str = "") -> Effect[Any]:
        """Return what there was at first, and what was appended from here."""
        if key not in self.known:
            self.known[key] = yield from self.inner.entries(key)
        return list(self.known[key])

    def append(self, run: Run, change: Any, token: int) -> Nothing:
        """Append *change*, and know of its run."""
        yield from self.inner.append(run, change, token)
        known = self.known.setdefault(run.resource, [])
        if run not in known:
            known.append(run)


class QuietResources(Port):
    """Writing a state hides the error of the store (PolarDB, section on resources)."""

    def update(self, resource: Resource, token: int | None = None) -> Effect[Resource]:
        """Update *resource*; what the store says of it is not looked at."""
        with suppress(Conflict, Unavailable):
            resource = yield from self.inner.update(resource, token)
        return resource


class SnapshotResources(Port):
    """An interrupt is written on an old snapshot, and dropped (PolarDB B2)."""

    def update(self, resource: Resource, token: int | None = None) -> Effect[Resource]:
        """Update *resource*, unless it is an interrupt and somebody was faster."""
        try:
            resource = yield from self.inner.update(resource, token)
        except Conflict:
            if resource.state != INTERRUPT:
                raise
        return resource


class EdgeResources(Port):
    """What changed is learnt from events alone, never from a list (S26)."""

    def watch(self, listener: Any) -> Any:
        """Tell *listener* of changes; a list says nothing that is new to it."""

        def hear(before: Resource | None, after: Resource | None) -> None:
            if before is not None or (after is not None and after.revision == 1):
                listener(before, after)

        return self.inner.watch(hear)


# -- leases ----------------------------------------------------------------------------


class EternalLeases(InMemoryLeases):
    """A lock is never freed when its holder dies (PolarDB B13)."""

    def acquire(self, key: Key, holder: str, freed: Any) -> Effect[Grant]:
        """Return a token if nobody has the lock, not even a dead one of that name."""
        return super().acquire(key, "nobody" if key in self._held else holder, freed)

    def stop_renewing(self, holder: str) -> None:
        """Let the leases of *holder* be, dead or alive."""


class Eternal(Engine):
    """An engine by `EternalLeases`."""

    def _stores(self, db: Any) -> Any:
        policy, clock = self.scenario.policy, self.clock
        leases = EternalLeases(clock, length=policy.lease, renew=policy.renew)
        self.journal = self.journal_type(clock, leases.tokens, leases.holder)
        resources = InMemoryResources(clock, self.journal, lag=self.scenario.lag)
        return leases, resources, InMemoryRuns(self.journal)


class UnfencedRuns(Port):
    """Who has lost the lock may write on (PolarDB, old leader)."""

    def append(self, run: Run, change: Any, token: int) -> Nothing:
        """Append *change* as if by whoever has the lock now."""
        newest = self.ports.notes.tokens.get(run.resource, token)  # type: ignore[attr-defined]
        return self.inner.append(run, change, newest)  # type: ignore[no-any-return]


class Unfenced(Engine):
    """An engine by `UnfencedRuns`, whose controllers do not ask whether they hold it."""

    def wrapped(self, ports: Ports) -> Ports:
        """Return *ports* with a store of runs that any holder may write to."""
        return ports._replace(runs=UnfencedRuns(ports.runs, ports))

    def leased(self) -> Any:
        """Return leases that say that everybody holds one."""
        leases = Port(self.leases, self.ports(self.names[0]))
        leases.holds = lambda key, token: True  # type: ignore[attr-defined]
        return leases


# -- steps -----------------------------------------------------------------------------


def left_running(body: Any) -> Any:
    """A step runs in a goroutine that nobody ends (PolarDB B7)."""

    def effect(ctx: StepContext) -> Effect[Any]:
        done = ctx.clock.event()

        def goroutine() -> Any:
            try:
                returned = yield from body(ctx)
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
        """Let an error be; the next tick begins the node again."""
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


class ChildBlind(ChildFlows):
    """Who waits knows of Finished and Error alone (TiUniManager B37)."""

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


class Waiting(Engine):
    """An engine whose flows wait by `ChildBlind`."""

    def wrapped(self, ports: Ports) -> Ports:
        """Return *ports* whose service lets children be waited for so."""
        flows = Port(ports.flows, ports)
        flows.of = lambda context: ChildBlind(ports.flows, context)  # type: ignore[attr-defined]
        return ports._replace(flows=flows)


class DeafWorld(Engine):
    """Nobody frees what a flow held that has ended (TiUniManager, locks of clusters)."""

    def _tell(self, world: wfsim.World) -> None:
        """Tell *world* of no write."""


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


def with_looks(kind: type[Looks]) -> type[Engine]:
    """Return an engine whose service takes flows up by *kind*."""
    return type(kind.__name__, (Engine,), {"looks_type": kind})


def with_reconciler(kind: type[Reconciler]) -> type[Engine]:
    """Return an engine with a reconciler of that *kind*."""
    return type(kind.__name__, (Engine,), {"reconciler_type": kind})


def with_controller(kind: type[Controller]) -> type[Engine]:
    """Return an engine with controllers of that *kind*."""
    part = "loop_type" if issubclass(kind, WatchLoop) else "controller_type"
    return type(kind.__name__, (Engine,), {part: kind})
