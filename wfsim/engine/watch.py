"""The watch loop of a service: which flow is taken up when, and what for.

Nothing is polled: the tick at which the reference's loop would find something to do is
computed when there is something to do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

from wfsim.engine.context import Turn, rewrite
from wfsim.engine.controller import Controller, next_tick
from wfsim.engine.flow_status import WATCHED, FlowStatus, status_of
from wfsim.engine.ports import Effect, Ports
from wfsim.engine.progress import Progress
from wfsim.engine.reconciler import Migration, Result, Work, deadline_of, migrated
from wfsim.engine.runner import FlowRunner, Stop, to_run_again
from wfsim.engine.service import context_of, number_of
from wfsim.errors import NotFound, StoreError
from wfsim.model.flow import Flow
from wfsim.model.frozen import EMPTY, Frozen
from wfsim.model.memento import RunStatus, StepStatus
from wfsim.model.resource import Key, Resource
from wfsim.model.run import Adopt, Adoption, Begin, Recover, Run
from wfsim.text import suggest

_DONE = Result()
_TO_DO = (FlowStatus.PROCESSING, FlowStatus.CANCELING)


class PickUp:
    """One pick-up of one flow, as this table; the first row that applies is done.

    ====================================== =========================================
    it is neither Processing nor Canceling nothing
    it is cancelled, and was never begun   Canceled
    its definition or its run is broken    Error
    its run is over                        write the state that the run led to
    its run was paused, and started again  run the step again that asked for it
    otherwise                              carry the run on by ``nodes_per_tick``
    ====================================== =========================================
    """

    def __init__(
        self,
        ports: Ports,
        flows: Mapping[str, Flow],
        migrations: Mapping[str, Migration] = EMPTY,
    ) -> None:
        self._ports = ports
        self._clock = ports.clock
        self._flows = flows
        self._migrations = migrations
        self._runner = FlowRunner(ports, interrupts=False)

    def choose(self, key: Key, turn: Turn) -> Effect[Result | Progress]:
        """Make a move that takes no run, or return the run to be carried on."""
        try:
            resource = yield from self._ports.resources.get(key)
        except NotFound:
            return _DONE
        if resource.state not in _TO_DO:
            return _DONE
        turn.left = self._ports.policy.nodes_per_tick or math.inf
        work = yield from self._take_up(resource, turn)
        if isinstance(work, str):
            status = FlowStatus.CANCELED if resource.cancelled else FlowStatus.ERROR
            return (yield from self._settle(key, status, work, turn))
        run, adoption = work
        early = run.wake is not None and run.wake > self._clock.now
        if early and not resource.cancelled and not (run.step and run.step.operation):
            return Result((run.wake or 0.0) - self._clock.now)
        if run.is_final:
            return (yield from self.finish(run, run.wake, turn))
        turn.owner = run.owner if adoption is None else adoption.owner
        return Progress(self._runner, run, self._flows[run.flow], turn, adoption)

    def finish(self, run: Run, wake: float | None, turn: Turn) -> Effect[Result]:
        """Bring the flow into line with where its run stands after this pass."""
        key = turn.key
        if run.is_final:
            text = "" if run.status is RunStatus.COMPLETED else run.error
            return (yield from self._settle(key, status_of(run), text, turn))
        live = self._ports.resources.peek(key)
        if live is None or live.state not in _TO_DO:
            return _DONE
        return Result(max((wake or 0.0) - self._clock.now, 0.0))

    def is_settled(self, key: Key) -> bool:
        """Whether there is nothing more to do: a flow that is over is never touched."""
        return False

    def _take_up(self, resource: Resource, turn: Turn) -> Effect[Work | str]:
        """Return the run to be carried on, or why there is none."""
        key = resource.key
        entries = yield from self._ports.runs.entries(key)
        context = resource.spec.get("context", EMPTY)
        if not entries:
            if resource.cancelled:
                return "canceled before it began"
            return (yield from self._begin(resource, turn))
        run = entries[-1]
        if not isinstance(run, Run):
            return f"its memento cannot be read: {run.reason}"
        # One that was resumed from mementos alone has no owner yet.
        adoption = Adoption.of(run)._replace(owner=run.owner or resource.uid)
        paused = run.status is RunStatus.INTERRUPTED and run.entered != resource.entered
        if run.is_final and not paused:
            return Work(run)
        fit = migrated(run, self._flows, self._migrations)
        if isinstance(fit, Stop):
            if run.is_final:
                return fit.text
            index = run.first_open()
            yield from self._runner.interrupt(run, index, turn, fit, adoption)
            return Work(run)
        if fit is not None:
            adoption = adoption._replace(digest=fit.digest, migrated=fit)
        present = run.context if fit is None else fit.context
        if {key: present.get(key) for key in context} != context:
            adoption = adoption._replace(context=Frozen({**present, **context}))
        if paused:
            draft, flow = adoption.draft(run), self._flows[run.flow]
            again = to_run_again(draft, flow)
            recovered = Recover(False, draft.deadline, again, resource.entered)
            yield from self._runner.commit(run, turn, Adopt(adoption, recovered))
            return Work(run)
        step = run.step if fit is None else fit.step
        if step is not None and step.status is StepStatus.INITED:
            counted = Adoption.once_more(run, resource.entered, adoption.owner)
            adoption = counted._replace(
                digest=adoption.digest, context=adoption.context, migrated=fit
            )
        adoption = adoption._replace(entered=resource.entered)
        return Work(run, None if adoption == Adoption.of(run) else adoption)

    def _begin(self, resource: Resource, turn: Turn) -> Effect[Work | str]:
        name = resource.spec["flow"]
        flow = self._flows.get(name)
        if flow is None:
            return f"no flow {name!r}{suggest(name, self._flows)}"
        run = Run(f"{number_of(resource.key)}-{flow.name}", resource.key)
        context = context_of(resource)
        try:
            self._ports.runs.refuse_large(run, context)
        except StoreError as error:
            return str(error)
        begin = Begin.of(
            flow,
            run.key,
            run.resource,
            params=context,
            entered=resource.entered,
            owner=resource.uid,
            deadline=deadline_of(flow, resource, self._ports),
        )
        yield from self._runner.commit(run, turn, begin)
        self._runner.tell_run(turn, "on_run_init", run)
        return Work(run)

    def _settle(
        self, key: Key, status: FlowStatus, text: str, turn: Turn
    ) -> Effect[Result]:
        """Write what the run led to; a cancel wins over any other end, a stop stays."""

        def change(live: Resource) -> Resource:
            if live.state not in _TO_DO:
                return live
            canceling = live.state == FlowStatus.CANCELING
            end = FlowStatus.CANCELED if canceling else status
            changes = {"updated": self._clock.now, **({"error": text} if text else {})}
            return live.edit(status=changes).move(end.value, "watch")

        yield from rewrite(self._ports.resources, key, change, turn.token)
        return _DONE


class WatchLoop(Controller):
    """Takes up, at each tick, the flows that there is something to do for.

    Ticks are ``policy.watch_tick`` seconds apart from its start; a flow is taken up at
    the first one after it was last touched.  Canceling flows go first, then Stopped, then
    Processing ones, of each the newest first.
    """

    def start(self) -> None:
        """Begin to tick, and take up what is there at the first tick."""
        self._began = self._clock.now
        self._ticks: dict[float, dict[Key, None]] = {}
        self._ended: dict[Key, float] = {}
        self._missed: dict[Key, None] = {}
        super().start()
        self._stops.append(self._ports.resources.subscribe(self._hold_back))

    def crash(self) -> list[Any]:
        """Die: lose the ticks that were computed, too."""
        self._ticks.clear()
        return super().crash()

    def enqueue(self, key: Key) -> None:
        """Take the flow up at the next tick, if there is something to do."""
        self._look_again(key, 0.0)

    def _look_again(self, key: Key, after: float) -> None:
        live = self._ports.resources.peek(key)
        if not self.alive or live is None or live.state not in _TO_DO:
            return
        now, every = self._clock.now, self._policy.watch_tick
        tick = next_tick(now + after, self._began, every)
        if tick <= now:
            tick += every
        if tick not in self._ticks:
            self._ticks[tick] = {}
            self._clock.call(tick - now, partial(self._sweep, tick))
        self._ticks[tick][key] = None

    def _passed(self, key: Key, result: Result) -> None:
        """Remember when a pass ended while there is more to do."""
        self._ended.pop(key, None)
        if result.after is not None:
            self._ended[key] = self._clock.now
        if key in self._missed:
            del self._missed[key]
            self.enqueue(key)

    def _sweep(self, tick: float) -> None:
        for key in sorted(self._ticks.pop(tick, ()), key=self._rank):
            if self._is_early(key):
                self.enqueue(key)
            elif key in self._active:
                self._missed[key] = None
            else:
                self._queue[key] = None
        self._dispatch()

    def _is_early(self, key: Key) -> bool:
        """Whether the node before has ended at this very tick; the next one is its."""
        if not self._policy.watch_tick or self._ended.get(key) != self._clock.now:
            return False
        live = self._ports.resources.peek(key)
        return live is not None and live.state == FlowStatus.PROCESSING

    def _rank(self, key: Key) -> tuple[int, int]:
        live = self._ports.resources.peek(key)
        watched = live is not None and live.state in WATCHED
        order = (
            WATCHED.index(FlowStatus(live.state)) if live and watched else len(WATCHED)
        )
        return order, -number_of(key)

    def _hold_back(self, before: Resource | None, after: Resource | None) -> None:
        """Keep a flow at work that is stopped from beginning more steps."""
        turn = None if after is None else self._active.get(after.key)
        if turn is None or after is None:
            return
        if after.state == FlowStatus.STOPPED:
            turn.left = 0
        elif before and before.state == FlowStatus.STOPPED and turn.stepping:
            turn.left = self._policy.nodes_per_tick or math.inf
