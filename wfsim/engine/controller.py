"""The loop around the reconciler: a work queue of keys, workers, leases, cancels.

It follows the contract of controller-runtime: a key is queued once however often it
is touched, is never worked on twice at a time, and is looked at again after it was
touched during a pass.  Nothing here polls: a cancel is noticed at the tick at which
the reference's poll would have noticed it, computed from when the pass began.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from wfsim.engine.context import Turn
from wfsim.engine.ports import Effect, Leases, Ports
from wfsim.engine.progress import Progress
from wfsim.engine.reconciler import Result
from wfsim.engine.steps import describe
from wfsim.errors import Cancelled, Fenced, Killed, StoreError, Unavailable, UsageError
from wfsim.model.memento import RunStatus
from wfsim.model.record import Kind
from wfsim.model.resource import Key, Resource
from wfsim.model.run import Run

_WAIT = Result()

MAX_PASSES_AT_ONCE = 1000
"""How often a resource may be worked on within `AT_ONCE` before it is a bug."""

AT_ONCE = 0.5
"""Seconds of virtual time."""


def next_tick(now: float, began: float, every: float) -> float:
    """Return the first of the times began, began + every, ... that is not before *now*.

    >>> next_tick(6.2, began=0.0, every=5.0), next_tick(5.0, began=0.0, every=5.0)
    (10.0, 5.0)
    """
    if every <= 0.0:
        return now
    ticks = math.floor((now - began) / every)
    # A quotient may be off by one in its last digit, and with it the tick.
    while began + ticks * every < now:
        ticks += 1
    return began + ticks * every


class Reconciler(Protocol):
    """What one pass over a resource does, holding the lease of a turn."""

    def choose(self, key: Key, turn: Turn) -> Effect[Result | Progress]:
        """Make a move that takes no run, or return the run to be carried on."""
        ...

    def finish(self, run: Run, wake: float | None, turn: Turn) -> Effect[Result]:
        """Bring the resource into line with *run*, to be looked at again at *wake*."""
        ...

    def is_settled(self, key: Key) -> bool:
        """Whether there is nothing more to do, now that the newest run is over."""
        ...


class Controller:
    """Works on every resource of a store until it is stopped or dies.

    It keeps a queue, timers and the processes of its workers; all of that may be lost
    at any moment, since nothing of it is needed to go on.  Who has a lower *rank* is
    taken from the queue first, and then who came first.
    """

    def __init__(
        self,
        name: str,
        ports: Ports,
        reconciler: Reconciler,
        leases: Leases,
        rank: Callable[[Key], float] | None = None,
    ) -> None:
        self.name = name
        self.workers = ports.policy.workers
        self._order = rank
        self._ports = ports
        self._clock = ports.clock
        self._policy = ports.policy
        self._reconciler = reconciler
        self._leases = leases
        self._queue: dict[Key, None] = {}
        self._touched: dict[Key, None] = {}
        self._active: dict[Key, Turn] = {}
        self._due: dict[Key, Callable[[], None]] = {}
        self._failures: dict[Key, int] = {}
        self._spins: dict[Key, int] = {}
        self._spun = -math.inf
        self._last: dict[Key, Run] = {}
        self._stops: list[Callable[[], None]] = []
        self._paused = False
        self.alive = False

    def __repr__(self) -> str:
        state = "paused" if self._paused else "alive" if self.alive else "stopped"
        return f"<Controller {self.name} {state}, {len(self._active)} at work>"

    def start(self) -> None:
        """Watch the store and queue everything that is in it."""
        self.alive = True
        self._note(Kind.CONTROLLER_STARTED)
        resources = self._ports.resources
        self._stops = [resources.watch(self._see), resources.subscribe(self._cancel)]
        run_keys = self._ports.runs.keys()
        # Runs outlive a resource that went away while nobody was watching.
        for key in sorted({*resources.keys(), *run_keys}):
            self.enqueue(key)

    def crash(self) -> list[Any]:
        """Die: lose the queue, the timers and whatever the workers were doing.

        Returns the processes that were at work, to be killed by whoever runs them.
        """
        self.alive = self._paused = False
        for stop in self._stops:
            stop()
        turns = list(self._active.values())
        for turn in turns:
            turn.fence()
        for call_off in self._due.values():
            call_off()
        queues = (self._queue, self._touched, self._active, self._due)
        for memory in (*queues, self._failures, self._last):
            memory.clear()
        self._note(Kind.CONTROLLER_CRASHED)
        return [turn.process for turn in turns]

    def pause(self) -> list[Any]:
        """Take on no more work; return the processes that are at work now."""
        self._paused = True
        self._note(Kind.CONTROLLER_PAUSED)
        return [turn.process for turn in self._active.values()]

    @property
    def queued(self) -> list[Key]:
        """The keys of what it is to work on next."""
        return list(self._queue)

    def resume(self, *, zombie: bool = False) -> None:
        """Go on after `pause`, but with nothing that somebody else has taken over.

        A *zombie* does not look who has the lease: a store will tell.
        """
        self._paused = False
        self._note(Kind.CONTROLLER_RESUMED)
        for turn in self._active.values():
            if zombie or not turn.token or self._leases.holds(turn.key, turn.token):
                continue
            lost = Fenced(f"{turn.key}: the lease was lost in a pause")
            self._throw(turn, Cancelled() if turn.stepping else lost)
        self._dispatch()

    def enqueue(self, key: Key) -> None:
        """Work on the resource as soon as a worker is free; many calls are as one."""
        if not self.alive:
            return
        if key in self._active:
            self._touched[key] = None
        else:
            self._queue[key] = None
            self._dispatch()

    def _note(self, kind: Kind) -> None:
        self._ports.notes.note(kind, text=self.name, controller=self.name)

    def _see(self, before: Resource | None, after: Resource | None) -> None:
        resource = after or before
        if resource is not None:
            self.enqueue(resource.key)

    def resize(self, workers: int) -> None:
        """Work on so many resources at a time from now on; what is begun goes on."""
        self.workers = workers
        if self.alive:
            self._dispatch()

    def _dispatch(self) -> None:
        while self._queue and len(self._active) < self.workers and not self._paused:
            if self._order is None:
                key = next(iter(self._queue))
            else:
                key = min(self._queue, key=self._order)
            del self._queue[key]
            self._refuse_to_spin(key)
            turn = self._active[key] = Turn(key, self._clock.now)
            turn.process = self._clock.process(self._work(turn))

    def _work(self, turn: Turn) -> Effect[None]:
        """Make one pass with the lease of the resource, and see to the next one.

        Only a controller that is still alive begins or ends one.  The next is made

        ==================================== ====================================
        somebody else has the lease          when it is given back, or has lapsed
        a store raises an error, or `Fenced` after ``policy.redrive``
        no error                             as the reconciler says
        ==================================== ====================================
        """
        # One generator: each level of them costs every wait of every step a call.
        key, leases, is_over = turn.key, self._leases, False
        if not self.alive:
            return
        try:
            try:
                freed = partial(self.enqueue, key)
                grant = yield from leases.acquire(key, self.name, freed)
                if grant.token is None:
                    result = _WAIT
                else:
                    turn.token = grant.token
                    chosen = yield from self._reconciler.choose(key, turn)
                    if isinstance(chosen, Progress):
                        wake = yield from chosen.carry_on()
                        run = self._last[key] = chosen.stored
                        chosen = yield from self._reconciler.finish(run, wake, turn)
                        is_over = run.is_final
                    result = chosen
                    if self._failures:
                        self._failures.pop(key, None)
            except StoreError as error:
                result = self._failed(turn, error)
            if turn.token:
                yield from leases.release(key, turn.token)
        except Killed:
            return
        self._passed(key, result)
        if key not in self._active or self._active[key] is not turn:
            return
        del self._active[key]
        if result.after is not None:
            self._look_again(key, result.after)
        if key in self._touched:
            del self._touched[key]
            if not (is_over and self._reconciler.is_settled(key)):
                self._queue[key] = None
        if self._queue:
            self._dispatch()

    def _passed(self, key: Key, result: Result) -> None:
        """Record that a pass is over, whether or not it counts any more."""

    def _failed(self, turn: Turn, error: StoreError) -> Result:
        """Note a pass that a store cut short, and when to make the next one."""
        if not self.alive:
            return _WAIT
        key = turn.key
        self._ports.notes.note(
            Kind.PASS_FAILED,
            resource=key,
            text=f"{self.name}: {describe(error)}",
            controller=self.name,
        )
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        return Result(self._policy.redrive.after(failures))

    def _look_again(self, key: Key, after: float) -> None:
        """Queue the resource in *after* seconds, instead of when was said before."""
        if key in self._due:
            self._due[key]()

        def ring() -> None:
            del self._due[key]
            self.enqueue(key)

        self._due[key] = self._clock.call(after, ring)

    def _cancel(self, before: Resource | None, after: Resource | None) -> None:
        """Throw `Cancelled` into the step at work, at the tick that would see it."""
        resource = after or before
        turn = None if resource is None else self._active.get(resource.key)
        if turn is None or not turn.is_stopped_by(after):
            return
        now = self._clock.now
        tick = next_tick(now, turn.began, self._policy.cancel_tick)

        def bite() -> None:
            try:
                seen = self._ports.resources.seen(turn.key)
            except Unavailable:
                return  # it is told of everything once it can see again
            if not self.alive or not turn.is_stopped_by(seen):
                return
            if turn.stepping and not turn.sheltered:
                self._throw(turn, Cancelled())
            elif not turn.stepping:
                # A slow store holds it between two steps.
                turn.look_again = True

        self._clock.call(tick - now, bite)

    def _throw(self, turn: Turn, exception: BaseException) -> None:
        """Throw *exception* at *turn*; an attempt gets one, and may write no more."""
        if turn.attempt is not None:
            turn.attempt.close()
            turn.attempt = None
        self._clock.throw(turn.process, exception)

    def _refuse_to_spin(self, key: Key) -> None:
        now = self._clock.now
        if now > self._spun + AT_ONCE:
            self._spun = now
            self._spins.clear()
        count = self._spins.get(key, 0)
        self._spins[key] = count + 1
        if count >= MAX_PASSES_AT_ONCE:
            raise UsageError(
                f"{key} was worked on {count} times at {now:g} s without time passing: "
                f"{self._why(key)}; let something take time"
            )

    def _why(self, key: Key) -> str:
        """Return what keeps a resource from coming to rest, as its last run shows."""
        run, live = self._last.get(key), self._ports.resources.peek(key)
        if live is not None and live.deleted is not None:
            names = " and ".join(map(repr, live.finalizers))
            return f"its finalizer {names} fails, and is called again without a delay"
        if run is None and live is not None:
            return f"checks move it on, last to {live.state!r} because of {live.event!r}"
        if run is not None and run.step is not None:
            step, attempts = run.step.name, run.step.attempts
            if run.status is RunStatus.FAILED:
                return (
                    f"step {step!r} has failed {attempts} times and is retried without a "
                    f"delay (last: {run.error})"
                )
            if run.status is RunStatus.WAITING:
                return (
                    f"step {step!r} waits and is asked again at once, since it waits for "
                    "no time, or edits its own resource"
                )
        return "a check that stays true over a flow that takes no time"
