"""A scenario under way on a clock: step it, run it, break it, look at it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from inspect import isgenerator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wfsim.engine.controller import Controller
from wfsim.errors import NoticeError, UsageError
from wfsim.model.bounds import argument
from wfsim.model.frozen import EMPTY, Frozen
from wfsim.model.glance import as_html, glance, of_log
from wfsim.model.journal import Journal
from wfsim.model.log import EventLog
from wfsim.model.memento import Memento, Quarantined
from wfsim.model.record import Record
from wfsim.model.resource import Resource
from wfsim.model.run import Run
from wfsim.sim.calls import Call, Calls, from_outside
from wfsim.sim.clock import VirtualClock, WallClock
from wfsim.sim.conditions import Reached, Until
from wfsim.sim.control_plane import Controllers, ControlPlane
from wfsim.sim.draws import KeyedDraws
from wfsim.sim.fault_plan import FaultPlan, FaultyPorts
from wfsim.sim.faults import Fault
from wfsim.sim.resume import detached, resumed
from wfsim.sim.scenario import Scenario, no_scenario
from wfsim.sim.schedule import Schedule
from wfsim.sim.service import SimulatedService
from wfsim.sim.sites import calm_sites
from wfsim.sim.standstill import EVENTS, MAX_IDLE, Standstill
from wfsim.sim.storage import Storage, immediately
from wfsim.sim.terminal import Progress, interruptible
from wfsim.sim.world import World
from wfsim.text import plain

if TYPE_CHECKING:
    from wfsim.sim.prefix import Prefix, Tape
    from wfsim.sim.sqlite import Database


class Simulation:
    """A scenario under way: step it, run it, break it, look at it.

    Times are seconds of virtual time.  Whatever is called on it happens at `now`;
    everything that follows is a function of scenario, seed, faults and those calls.
    With *db*, the name of an SQLite file, its stores outlive the process: another
    simulation over the same file goes on where this one was dropped, at the time of
    the last write, and this one can write no more.  The world is in the file too, as of
    that write; attributes that are no plain data begin with their initial value.
    """

    journal_type: type[Journal] = Journal
    storage_type: type[Storage] = Storage
    plane_type: type[ControlPlane] = ControlPlane

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
            raise UsageError(no_scenario(scenario))
        if seed is not None and type(seed) is not int:
            raise UsageError(f"seed is {seed!r}; give a whole number")
        given = _checked(faults)
        controllers = argument("controllers", controllers, Controllers)
        # What is given is left as it is, and so is what fork() begins with.
        self.given_world = None if world is None else detached(world)
        own = self._new_world(scenario)
        self.scenario = scenario
        self.seed = scenario.seed if seed is None else seed
        self.clock = clock or VirtualClock()
        self.draws = KeyedDraws(self.seed)
        self.names = tuple(f"controller-{number}" for number in range(controllers))
        self.given_faults = given
        self.faults = (*scenario.faults_in(self.draws, self.names), *given)
        storage = self.storage_type(scenario, self.clock, db, self.journal_type)
        ports = FaultyPorts(self.faults, storage)
        self.plane = self.plane_type(storage, ports, self.draws, self.names, own)
        self.plan = FaultPlan(ports, storage, self.plane)
        self.plan.simulation = self
        self.plan.known_sites = lambda: calm_sites(Simulation(scenario, seed=self.seed))
        self.schedule = Schedule(self.plane, self)
        self.calls = Calls(self.clock)
        self.storage, self.journal = storage, storage.journal
        self.leases, self.resources, self.stored = (
            storage.leases,
            storage.resources,
            storage.runs,
        )
        self.pools, self.flows = self.plane.pools, self.plane.flows
        meta = Frozen({**scenario.meta(), "seed": self.seed})
        self.log = EventLog(self.journal, meta=meta)
        self.log.origin = self
        self._tape: Tape | None = None
        self._shown = 0
        self._begun = self._running = self._stopped = False
        self._still: Standstill | None = None

    def _new_world(self, scenario: Scenario) -> World | None:
        if self.given_world is not None:
            return self.given_world.copy()
        return scenario.new_world()

    def __repr__(self) -> str:
        if not self._begun:
            return glance(str(self), (), "sim.step(), sim.run()")
        then = "sim.step(), sim.run(until=wfsim.step_started(STEP)), sim.fork(faults=[])"
        over = "wfsim.charts.gantt(sim), wfsim.Debugger(sim), sim.mementos()"
        return glance(str(self), of_log(self.log), over if self.is_over else then)

    def _repr_html_(self) -> str:
        return as_html(repr(self))

    def __str__(self) -> str:
        at = f"at {self.now:.3f} s, {len(self.log)} records"
        end = ", cut off by the horizon" if self.is_cut_off else ""
        return f"<Simulation {self.scenario.title} {at}{end}>"

    @property
    def now(self) -> float:
        """The virtual time, in seconds."""
        return float(self.clock.now)

    @property
    def world(self) -> World | None:
        """The fake world that steps act on, None without one."""
        return self.plane.world

    @property
    def database(self) -> Database | None:
        """The file of its stores, None if they are in memory."""
        return self.storage.database

    @property
    def is_cut_off(self) -> bool:
        """Whether the horizon keeps runs that are under way from going on."""
        due = self.clock.peek()
        if due <= self.scenario.horizon or due == math.inf:
            return False
        runs = (run for each in self.journal.runs.values() for run in each.values())
        return any(isinstance(run, Run) and not run.is_final for run in runs)

    @property
    def is_over(self) -> bool:
        """Whether nothing more is going to happen, or not before the horizon."""
        return self._begun and self.clock.peek() > self.scenario.horizon

    # Going on.

    def step(self) -> Record | None:
        """Go on to the next record and return it; None when nothing more happens.

        Each record is returned once, those of manual calls too.
        """
        self.begin()
        records, limit = self.log.records, self.scenario.horizon
        with self.whole_events():
            while self._shown >= len(records):
                if not self._advance(limit):
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
                until = until.whole(self.storage)
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
        try:
            while not self._stopped:
                if clock.advance_many(limit, EVENTS) < EVENTS:
                    break
                progress.show(len(self.log), self.now)
                self._refuse_standstill()
        finally:
            progress.close()

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
            raise UsageError(f"{name}={value:g} is in the past (now {self.now:g} s)")
        if end > self.scenario.horizon:
            raise UsageError(
                f"run({name}={value:g}): the scenario ends at "
                f"{self.scenario.horizon:g} s; give it a later horizon"
            )
        return end

    def _run_to(self, wanted: Callable[[Record], bool]) -> None:
        records, limit = self.log.records, self.scenario.horizon
        with self.whole_events():
            while True:
                while self._shown < len(records):
                    self._shown += 1
                    if wanted(records[self._shown - 1]):
                        return
                if not self._advance(limit):
                    return

    @contextmanager
    def whole_events(self) -> Iterator[None]:
        """Delay Ctrl-C until the event under way is over, for `PATIENCE` at most.

        After that, or at a second Ctrl-C, `Halted` is raised where the event spins: a
        step fails by it, at that line.
        """
        if self._running:
            raise UsageError("the simulation runs already; a step must not run() it")
        self.clock.sync()
        # Between two events it sleeps, which Ctrl-C may well cut short.
        is_patient = not isinstance(self.clock, WallClock)
        self._running = True
        try:
            patience = interruptible(self._stop) if is_patient else nullcontext()
            with patience, self.unrecorded():
                yield
        finally:
            self._running = False
            stopped, self._stopped = self._stopped, False
        if stopped:
            raise KeyboardInterrupt

    def _stop(self) -> None:
        """Begin no other event."""
        self._stopped = True
        self.clock.halt()

    def unrecorded(self) -> AbstractContextManager[None]:
        """Take what is done meanwhile as the consequence of something else."""
        return self.calls.consequences()

    def advance(self, limit: float) -> bool:
        """Process one event of the clock, unless none is left before *limit*."""
        if self._stopped or not self.clock.advance(limit):
            return False
        self.clock.events += 1
        return True

    def _refuse_standstill(self) -> None:
        """Raise `UsageError` if so many events led nowhere; asked after each `EVENTS`."""
        if self._still is None:
            stores = self.log, self.journal, self.clock
            self._still = Standstill(*stores, self.world, MAX_IDLE)
        self._still.after(EVENTS)

    def _advance(self, limit: float) -> bool:
        """`advance`, but notice that it leads nowhere."""
        if self.clock.events and not self.clock.events % EVENTS:
            self._refuse_standstill()
        return self.advance(limit)

    def _wait_until(self, time: float) -> None:
        """Move the clock to *time* though nothing happens then: that is no event."""
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
        storage, plane = self.storage, self.plane
        world = plane.world
        if world is not None:
            if storage.is_reopened and self.given_world is None:
                world = plane.world = storage.world_as_left(world)
            world.attach(self.clock, self.draws, self.journal)
            storage.keep_world(world)
            storage.tell(world)
        self.plan.start()
        storage.populate()
        for name in self.names:
            plane.start(name)
        self.schedule.start(over=self.now if storage.is_reopened else -1.0)

    # Acting from outside.

    @from_outside
    def crash(self, controller: str | None = None) -> None:
        """Kill a controller (None: the first): all is lost but the stores."""
        self.plane.crash(controller)

    @from_outside
    def restart(self, controller: str | None = None) -> None:
        """Start a controller anew: what the stores hold is all that it knows."""
        self.plane.restart(controller)

    @from_outside
    def pause(self, controller: str | None = None) -> None:
        """Pause a controller's process; the world and its lease go on."""
        self.plane.pause(controller)

    @from_outside
    def unpause(self, controller: str | None = None, *, zombie: bool = False) -> None:
        """Resume a paused controller.

        A *zombie* goes on with what somebody else has taken over, until a store refuses
        to write it.
        """
        self.plane.unpause(controller, zombie=zombie)

    @from_outside
    def cancel(self, resource: str | None = None) -> None:
        """Ask that the resource's flow be cancelled: annotation ``cancelled``."""
        self.plane.cancel(resource)

    @from_outside
    def uncancel(self, resource: str | None = None) -> None:
        """Take the request of `cancel` back."""
        self.plane.uncancel(resource)

    @from_outside
    def recover(self, resource: str | None = None) -> None:
        """Ask that an interrupted resource go on, by its machine's recovery.

        That is the annotation ``interrupt.recover`` unless `StateMachine.recovery` says
        otherwise.

        Raises `UsageError` for one that is not interrupted.
        """
        self.plane.recover(resource)

    @from_outside
    def edit(
        self,
        resource: str | None = None,
        *,
        spec: Mapping[str, Any] = EMPTY,
        status: Mapping[str, Any] = EMPTY,
        annotations: Mapping[str, str | None] = EMPTY,
    ) -> Resource:
        """Set keys of the resource as any user may (None removes one); return it.

        Raises `UsageError` for a value that JSON cannot hold.
        """
        return self.plane.edit(
            resource, spec=spec, status=status, annotations=annotations
        )

    @from_outside
    def create(self, resource: Resource) -> Resource:
        """Create one more resource; its kind must have a state machine."""
        return self.plane.create(resource)

    @from_outside
    def delete(self, resource: str | None = None) -> None:
        """Delete the resource; finalizers hold it until the controller drops them."""
        self.plane.delete(resource)

    @property
    def service(self) -> SimulatedService:
        """The service, as whoever asks for flows sees it; `UsageError` without one."""
        if not self.scenario.is_service:
            raise UsageError(
                "this scenario has resources and no service; a service has flows alone"
            )
        return SimulatedService(self)

    @from_outside
    def request(self, operation: str, *args: Any, **keywords: Any) -> Any:
        """Ask the service for *operation*, in a way that `fork` repeats."""
        return self.look(operation, *args, **keywords)

    def look(self, operation: str, *args: Any, **keywords: Any) -> Any:
        """Ask the service for *operation*, which changes nothing."""
        self.begin()
        answer = getattr(self.plane.service, operation)(*args, **keywords)
        return immediately(answer) if isgenerator(answer) else answer

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

    def controller(self, name: str | None = None) -> Controller:
        """Return a controller by name (None: the first)."""
        self.begin()
        return self.plane.controller(name)

    def resource(self, name: str | None = None) -> Resource:
        """Return the resource as it is now; `NotFound` if there is none."""
        self.begin()
        return self.storage.resource(name)

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
        name = str(self.storage.key(resource, (run.resource for _, run in written)))
        return [run for of, run in written if of == name]

    def expect(self, file: str | Path, *, update: bool | None = None) -> None:
        """Compare what it has done with *file*; see `wfsim.testing.expect`."""
        from wfsim.sim import expectation

        expectation.expect(self, file, update=update)

    # Other simulations.

    def fork(self, faults: Iterable[Fault] = ()) -> Simulation:
        """Return a simulation that has come as far as this one, with *faults* to come.

        It is run again from the start with the same seed and calls, since generators
        cannot be copied; steps, hooks and actions are called again too.  Writes are
        counted from the start.  Raises `UsageError` if it does not come out the same.
        """
        more, twin = _checked(faults), self.twin()
        if twin.log.records != self.log.records:
            raise UsageError(
                "run again, the simulation does not come to the same records: it depends "
                "on more than its scenario, seed, faults and calls; act on it with act()"
            )
        if more:
            twin.inject(*more)
        return twin

    def twin(self, kind: type[Simulation] | None = None) -> Simulation:
        """Return one of *kind*, this one's own if None, run as far as this one has come.

        Raises `UsageError` if what it began with is not kept.
        """
        if self.storage.is_reopened:
            raise UsageError(
                "what the file had when it was opened is not kept, so it cannot be run "
                "again from there; resume() from sim.mementos() instead"
            )
        self.begin()
        given = self.given_world
        twin = (kind or type(self))(
            self.scenario,
            seed=self.seed,
            faults=self.given_faults,
            controllers=len(self.names),
            world=None if given is None else given.copy(),
        )
        twin.storage.standing = self.storage.standing
        twin.plan.ports.wrap_all = True
        for call in self.calls.kept:
            twin.repeat(call)
        twin._replay(self.clock.events, self.now)
        # Wrapped for faults, it may look at a resource once more: an event that is none
        # of this one.
        with twin.unrecorded():
            while len(twin.log) < len(self.log) and twin.advance(self.now):
                pass
        twin._shown = self._shown
        return twin

    def repeat(self, call: Call) -> None:
        """Do once more what was done to another simulation, when it was done."""
        self._replay(call.events, call.time)
        # Whoever called it has seen the exception, and went on.
        with suppress(Exception):
            getattr(self, call.method)(*call.args, **call.keywords)

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
        standing, world = resumed(scenario, mementos, seed, world, resources)
        simulation = cls(scenario, seed=seed, faults=faults, world=world)
        simulation.storage.standing = standing
        return simulation


def _checked(faults: Any) -> tuple[Fault, ...]:
    single = isinstance(faults, (Fault, str, type)) or not isinstance(faults, Iterable)
    plan = (faults,) if single else tuple(faults)
    for fault in plan:
        if not isinstance(fault, Fault):
            raise UsageError(
                f"{plain(fault)} is not a fault; give some, such as "
                "[wfsim.CrashAt(t=40)], or what wfsim.load_plan(file) returns"
            )
    return plan


def simulate(
    scenario: Scenario,
    faults: Iterable[Fault] = (),
    seed: int | None = None,
    *,
    until: float | None = None,
    controllers: int = 1,
    progress: bool | None = None,
    strict: bool = False,
) -> EventLog:
    """Run *scenario* with *faults* to its end, or to *until* seconds; return the log.

    *faults* come on top of those that the scenario has; with None as *seed* it is the
    scenario's own.  *progress* is that of `Simulation.run`.  The notices of the log are
    shown, by the logger ``wfsim``; if *strict*, they are raised as a `NoticeError`.
    """
    simulation = Simulation(scenario, seed=seed, faults=faults, controllers=controllers)
    log = simulation.run(until, progress=progress)
    if notices := log.notices:
        if strict:
            raise NoticeError(*map(str, notices))
        import logging

        logger = logging.getLogger("wfsim")
        for notice in notices:
            logger.warning("notice: %s", notice)
    return log
