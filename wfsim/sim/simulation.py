"""A scenario under way on a clock: step it, run it, break it, look at it."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from signal import SIGINT, default_int_handler, getsignal, signal
from typing import TYPE_CHECKING, Any, TypeAlias

from wfsim.errors import UsageError
from wfsim.model.bounds import LEAST_GAP
from wfsim.model.log import EventLog
from wfsim.model.memento import Memento, Quarantined
from wfsim.model.record import Kind, Record
from wfsim.model.resource import Key, Resource
from wfsim.model.run import Run
from wfsim.sim.clock import VirtualClock, WallClock
from wfsim.sim.control_plane import ControlPlane, from_outside
from wfsim.sim.faults import Fault
from wfsim.sim.redo import Found
from wfsim.sim.resume import detached, found
from wfsim.sim.scenario import Scenario
from wfsim.sim.schedule import Asking
from wfsim.sim.world import World
from wfsim.text import suggest

if TYPE_CHECKING:
    from wfsim.sim.prefix import Prefix, Tape

Condition: TypeAlias = Callable[[Record], bool]
Until: TypeAlias = float | Condition | None


EVENTS = 1 << 14
"""After so many events of the clock, a quarter of a second or so, the bar is told."""

MAX_IDLE = 1 << 20
"""So many events may happen without a record or time passing before it is a bug."""


def in_sight(progress: bool | None) -> bool:
    """Return whether a bar is to be shown: *progress* or, for None, if in a terminal.

    In a notebook, a file or a pipe a bar would be kept among the outputs, and whether it
    is there would depend on the speed of the machine.
    """
    if progress is None:
        return sys.stderr is not None and sys.stderr.isatty()
    return progress


class Progress:
    """A bar of records and virtual time; a short run never gets to make one."""

    def __init__(self, progress: bool | None = None) -> None:
        self._in_sight = in_sight(progress)
        self._bar: Any = None

    def show(self, records: int, now: float) -> None:
        """Say that there are so many *records* and that it is *now* seconds."""
        if not self._in_sight:
            return
        if self._bar is None:
            from tqdm.auto import tqdm

            self._bar = tqdm(unit=" records", delay=2.0, leave=False)
        self._bar.set_postfix_str(f"{now:,.0f} s of virtual time", refresh=False)
        self._bar.update(records - self._bar.n)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()


@dataclass(frozen=True)
class Reached:
    """A condition for `Simulation.run`: a record of one of *kinds* of what is named."""

    kinds: tuple[Kind, ...]
    step: str | None = None
    state: str | None = None
    resource: str | None = None

    def __call__(self, record: Record) -> bool:
        return (
            record.kind in self.kinds
            and self.step in (None, record.step)
            and (self.state is None or record.value.state == self.state)
            and self.resource in (None, record.resource)
        )


def step_started(step: str, *, resource: str | None = None) -> Condition:
    """Return a condition for `Simulation.run`: an attempt of *step* has begun."""
    return Reached((Kind.STEP_STARTED,), step=step, resource=resource)


def step_completed(step: str, *, resource: str | None = None) -> Condition:
    """Return a condition for `Simulation.run`: *step* is complete."""
    return Reached((Kind.STEP_COMPLETED,), step=step, resource=resource)


def state_entered(state: str, *, resource: str | None = None) -> Condition:
    """Return a condition for `Simulation.run`: a resource has entered *state*."""
    kinds = (Kind.RESOURCE_STATE, Kind.RESOURCE_CREATED)
    return Reached(kinds, state=state, resource=resource)


class Simulation(ControlPlane):
    """A scenario under way: step it, run it, break it, look at it.

    Times are seconds of virtual time.  Whatever is called on it happens at `now`;
    everything that follows is a function of scenario, seed, faults and those calls.
    With *db*, the name of an SQLite file, its stores outlive the process: another
    simulation over the same file goes on where this one was dropped, at the time of
    the last write, and this one can write no more.  The world is in the file too, as of
    that write; what in it is no plain value begins anew.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        seed: int | None = None,
        faults: Iterable[Fault] = (),
        controllers: int = 1,
        clock: VirtualClock | WallClock | None = None,
        world: World | None = None,
        db: str | Path | None = None,
    ) -> None:
        if not isinstance(scenario, Scenario):
            raise UsageError(f"{scenario!r} is no scenario; give a wfsim.Scenario")
        if seed is not None and type(seed) is not int:
            raise UsageError(f"seed is {seed!r}; give a whole number")
        plan = _checked(faults)
        if controllers < 1:
            raise UsageError(f"controllers is {controllers!r}; a simulation needs one")
        # What is given is left as it is, and so is what fork() begins with.
        self._given_world = None if world is None else detached(world)
        if self._given_world is not None:
            world = self._given_world.copy()
        elif scenario.world is not None:
            world = scenario.world()
        super().__init__(
            scenario, seed, plan, controllers, clock or VirtualClock(), world, db
        )
        self.log.origin = self
        self.asking = Asking(self)
        self._tape: Tape | None = None
        self._found: tuple[Found, ...] = ()
        self._shown = 0
        self._begun = False
        self._running = False
        self._stopped = False

    def __repr__(self) -> str:
        at = f"at {self.now:.3f} s, {len(self.log)} records"
        end = ", cut off by the horizon" if self.is_cut_off else ""
        return f"<Simulation {self.scenario.title} {at}{end}>"

    @property
    def is_cut_off(self) -> bool:
        """Whether the horizon keeps runs that are under way from going on."""
        due = self.clock.peek()
        if due <= self.scenario.horizon or due == math.inf:
            return False
        runs = (run for each in self.journal.runs.values() for run in each.values())
        return any(isinstance(run, Run) and not run.is_final for run in runs)

    # Going on.

    def step(self) -> Record | None:
        """Go on to the next record and return it; None when nothing more happens.

        Each record is returned once, those of manual calls too.
        """
        self.begin()
        records = self.log.records
        with self.whole_events():
            while self._shown >= len(records):
                if not self.advance(self.scenario.horizon):
                    return None
        self._shown += 1
        return records[self._shown - 1]

    def run(
        self,
        until: Until = None,
        *,
        for_: float | None = None,
        progress: bool | None = None,
    ) -> EventLog:
        """Go on until *until* (a time, or a record that it accepts), or *for_* seconds.

        Without either, until nothing is left to happen or the scenario's horizon is
        reached.  `step` goes on after the record at which this stopped; what happened
        in the same instant may be in the log already.  Ctrl-C stops it between two
        events, so that it can go on.  With *progress* a run of more than two seconds
        shows how far it has come; None does so in a terminal only, so that no output of
        a notebook depends on the speed of the machine.  Returns the log.
        """
        self.begin()
        if callable(until) and for_ is None:
            if isinstance(until, Reached):
                until = self._known(until)
            self._run_to(until)
            return self.log
        end = self._end(until, for_)
        limit = self.scenario.horizon if end is None else end
        with self.whole_events():
            self._run_on(limit, Progress(progress))
            if end is not None and not self._stopped:
                self._wait_until(end)
        self._shown = len(self.log)
        return self.log

    def _run_on(self, limit: float, progress: Progress) -> None:
        clock = self.clock
        before = len(self.log), self.now
        idle = 0
        try:
            while not self._stopped:
                if clock.advance_many(limit, EVENTS) < EVENTS:
                    break
                progress.show(len(self.log), self.now)
                if len(self.log) > before[0] or self.now > before[1] + LEAST_GAP:
                    before, idle = (len(self.log), self.now), 0
                    continue
                idle += EVENTS
                if idle >= MAX_IDLE:
                    raise UsageError(self._spinning(idle))
        finally:
            progress.close()

    def _spinning(self, events: int) -> str:
        """Return what is under way while *events* have changed nothing."""
        steps = [
            f"step {run.step.name!r} of {run.resource} {run.key}"
            for each in self.journal.runs.values()
            for run in each.values()
            if isinstance(run, Run) and not run.is_final and run.step
        ]
        more = f" and {len(steps) - 3} more" if len(steps) > 3 else ""
        at_work = f"{', '.join(steps[:3])}{more}" if steps else "the world"
        return (
            f"{events} events at {self.now:g} s without a record or time passing: "
            f"{at_work} sleeps for no time, over and over; let it take time"
        )

    def _end(self, until: Any, for_: Any) -> float | None:
        """Return the time at which to stop, None for the end."""
        if until is None and for_ is None:
            return None
        if until is not None and for_ is not None:
            raise UsageError("run() takes either until or for_; leave one out")
        name, value = ("until", until) if for_ is None else ("for_", for_)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise UsageError(
                f"run({name}={value!r}): give seconds, or as until a condition such as "
                "wfsim.step_started('InitMeta')"
            )
        try:
            end = float(value) if for_ is None else self.now + value
        except OverflowError:
            end = math.inf
        if not math.isfinite(end):
            raise UsageError(f"run({name}={value!r}): give a finite number of seconds")
        if end < self.now:
            raise UsageError(f"run({name}={value:g}): it is {self.now:g} s already")
        if end > self.scenario.horizon:
            raise UsageError(
                f"run({name}={value:g}): the scenario ends at "
                f"{self.scenario.horizon:g} s; give it a later horizon"
            )
        return end

    def _known(self, reached: Reached) -> Reached:
        """Return *reached* with the whole name of its resource.

        Raises `UsageError` if a step, state or resource that it names is not there.
        """
        scenario, step, state = self.scenario, reached.step, reached.state
        if step is not None and step not in scenario.step_names:
            near = suggest(step, scenario.step_names)
            raise UsageError(f"run(until=...): no step {step!r}{near}")
        states = {name for item in scenario.machines.values() for name in item.states}
        if state and state not in states and not scenario.is_service:
            near = suggest(state, states)
            raise UsageError(f"run(until=...): no state {state!r}{near}")
        name = reached.resource
        if name is None or scenario.is_service:
            return reached
        key = self.key_meant(name)
        if key is None:
            near = suggest(name, self.known_names())
            raise UsageError(f"run(until=...): no resource {name!r}{near}")
        return replace(reached, resource=str(key))

    def _run_to(self, wanted: Callable[[Record], bool]) -> None:
        records, limit = self.log.records, self.scenario.horizon
        with self.whole_events():
            while True:
                while self._shown < len(records):
                    self._shown += 1
                    if wanted(records[self._shown - 1]):
                        return
                if not self.advance(limit):
                    return

    @contextmanager
    def whole_events(self) -> Iterator[None]:
        """Let Ctrl-C wait until the event under way is over; a second one does not."""
        if self._running:
            raise UsageError("the simulation runs already; a step must not run() it")
        self.clock.sync()
        usual = default_int_handler
        patient = (
            threading.current_thread() is threading.main_thread()
            and getsignal(SIGINT) is usual
            # Between two events it sleeps, which Ctrl-C may well cut short.
            and not isinstance(self.clock, WallClock)
        )

        def stop(*_: Any) -> None:
            self._stopped = True
            self.clock.halt()
            signal(SIGINT, usual)

        if patient:
            signal(SIGINT, stop)
        self._running = True
        try:
            with self.unrecorded():
                yield
        finally:
            self._running = False
            if patient:
                signal(SIGINT, usual)
        if self._stopped:
            self._stopped = False
            raise KeyboardInterrupt

    def advance(self, limit: float) -> bool:
        """Let one event of the clock happen, unless none is left before *limit*."""
        if self._stopped or not self.clock.advance(limit):
            return False
        self.clock.events += 1
        return True

    def _wait_until(self, time: float) -> None:
        """Let the clock show *time* though nothing happens then: that is no event."""
        if time > self.now:
            self.clock.call(time - self.now, lambda: None)
            self.clock.advance(time)

    def begin(self) -> None:
        """Populate the stores and start the controllers, if that has not been done.

        Whatever is called on a simulation does so first.
        """
        if self._begun:
            return
        self._begun = True
        if self._reopened and self.world is not None and self._given_world is None:
            self.world = self._world_as_left(self.world)
        if self.world is not None:
            self.world.attach(self.clock, self.draws, self.journal)
            self._keep_world(self.world)
            self._tell(self.world)
        self.plan.start()
        self._populate(self._found or _fresh(self.scenario.resources))
        for name in self.names:
            self._start(name)
        self.asking.start(over=self.now if self._reopened else -1.0)

    def standing_keys(self) -> list[Key]:
        """Return the keys of what stands already when it begins, by mementos."""
        return [each.resource.key for each in self._found]

    # Acting from outside: see also `ControlPlane`.

    @from_outside
    def act(self, action: Callable[[Simulation], Any]) -> Any:
        """Do anything else to the simulation or its world, so that `fork` repeats it.

        *action* gets the simulation; it must act on that, not on another one.
        """
        return action(self)

    @from_outside
    def inject(self, *faults: Fault) -> None:
        """Arm *faults* in a simulation that `fork` or `resume` returned."""
        self.plan.add(_checked(faults))

    # Looking.

    def mementos(self, resource: str | None = None) -> list[Memento]:
        """Return every memento that was made durable for the resource, newest last.

        Each is the state of a run after one write; any prefix of the list is what a
        crash at that moment would have left behind.
        """
        self.begin()
        written = [
            (record.resource, record.value)
            for record in self.log.records
            if isinstance(record.value, Memento)
        ]
        name = str(self._key(resource, (run.resource for _, run in written)))
        return [run for of, run in written if of == name]

    # Other simulations.

    def fork(self, faults: Iterable[Fault] = ()) -> Simulation:
        """Return a simulation that has come as far as this one, with *faults* to come.

        It is run again from the start with the same seed and calls, since generators
        cannot be copied; steps, hooks and actions are called again too.  Writes are
        counted from the start.  Raises `UsageError` if it does not come out the same.
        """
        twin = self.twin()
        if twin.log.records != self.log.records:
            raise UsageError(
                "run again, the simulation does not come to the same records: it depends "
                "on more than its scenario, seed, faults and calls; act on it with act()"
            )
        more = tuple(faults)
        if more:
            twin.inject(*more)
        return twin

    def twin(self, kind: type[Simulation] | None = None) -> Simulation:
        """Return one of *kind*, this one's own if None, run as far as this one has come.

        Raises `UsageError` if what it began with is not kept.
        """
        if self._reopened:
            raise UsageError(
                "what the file had when it was opened is not kept, so it cannot be run "
                "again from there; resume() from sim.mementos() instead"
            )
        self.begin()
        given = self._given_world
        twin = (kind or type(self))(
            self.scenario,
            seed=self.seed,
            faults=self.given_faults,
            controllers=self._count,
            world=None if given is None else given.copy(),
        )
        twin._found = self._found
        twin.plan.wrap_all = True
        for call in self._calls:
            twin._repeat(call)
        twin._replay(self.clock.events, self.now)
        # Wrapped for faults, it may look at a resource once more: an event that is none
        # of this one.
        with twin.unrecorded():
            while len(twin.log) < len(self.log) and twin.advance(self.now):
                pass
        twin._shown = self._shown
        return twin

    def _repeat(
        self, call: tuple[int, float, str, tuple[Any, ...], dict[str, Any]]
    ) -> None:
        """Do once more what was done to another simulation, when it was done."""
        events, time, method, args, keywords = call
        self._replay(events, time)
        # Whoever called it has seen the exception, and went on.
        with suppress(Exception):
            getattr(self, method)(*args, **keywords)

    def _replay(self, events: int, time: float) -> None:
        """Come as far as another simulation had come when it had seen *events*."""
        self.begin()
        with self.unrecorded():
            self._catch_up(events, time)

    def _catch_up(self, events: int, time: float) -> None:
        while self.clock.events < events and self.advance(time):
            pass
        self._wait_until(time)

    def prefix(self, entries: int) -> Prefix:
        """Return a simulation that stands where this one stood after so many *entries*.

        Its log has those records; stores, world and clock are as they were, what is
        pending is due when it was, and of demand and faults only the rest is to come.
        No controller is up: `restart` one, and it is as if all had died at that moment.
        The first call runs a twin of this simulation, with the same seed and calls, and
        keeps the world of each moment; what follows costs no run.  Raises `UsageError`
        for a number that the log does not have, or what cannot be run again.
        """
        from wfsim.sim.prefix import Tape

        self.begin()
        if self._tape is None or len(self._tape) < entries:
            self._tape = Tape.of(self)
        return self._tape.after(entries)

    @classmethod
    def resume(
        cls,
        scenario: Scenario,
        mementos: Iterable[Memento | Quarantined],
        *,
        seed: int | None = None,
        faults: Iterable[Fault] = (),
        world: World | None = None,
        resources: Iterable[Resource] = (),
    ) -> Simulation:
        """Return a simulation that goes on from *mementos*, as after a restart.

        *mementos* is any prefix of `mementos`, or what `load_mementos` returns; the
        last one of each run counts.  Their resource stands in the state whose action
        runs that flow, and the world where the mementos say it is: the effects of
        completed steps are applied first, in no time.  A *world* may be given instead,
        and with it the *resources* as those steps left them.
        Second 0 is when the last thing happened that the mementos tell of; the
        scenario's other resources begin as the scenario has them.

        A flow of a service stands in the status that its run says, its operations are
        launched once more, and the world is told first what its caller had done, by
        the scenario's *recall*; children of which no memento is given have finished.

        Raises `UsageError` if a completed step cannot be applied again, or what had
        been launched cannot be launched again.
        """
        seed = scenario.seed if seed is None else seed
        standing, there = found(scenario, mementos, seed, world, resources)
        simulation = cls(scenario, seed=seed, faults=faults, world=there)
        simulation._found = standing
        return simulation


def _checked(faults: Any) -> tuple[Fault, ...]:
    is_one = isinstance(faults, (Fault, str)) or not isinstance(faults, Iterable)
    listed = [faults] if is_one else faults
    plan = tuple(listed)
    for fault in plan:
        if not isinstance(fault, Fault):
            raise UsageError(
                f"{fault!r} is not a fault; give some, such as [wfsim.CrashAt(t=40)], or "
                "what wfsim.load_plan(file) returns"
            )
    return plan


def _fresh(resources: Iterable[Resource]) -> tuple[Found, ...]:
    return tuple(Found(resource, ()) for resource in resources)


def simulate(
    scenario: Scenario,
    faults: Iterable[Fault] = (),
    seed: int | None = None,
    *,
    until: float | None = None,
    controllers: int = 1,
    progress: bool | None = None,
) -> EventLog:
    """Run *scenario* with *faults* to its end, or to *until* seconds; return the log.

    *faults* come on top of those that the scenario has; with None as *seed* it is the
    scenario's own.  *progress* is that of `Simulation.run`.
    """
    simulation = Simulation(scenario, seed=seed, faults=faults, controllers=controllers)
    return simulation.run(until, progress=progress)
