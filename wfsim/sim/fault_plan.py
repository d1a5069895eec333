"""Put the faults of a plan in place: around the ports, and on the clock."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, NamedTuple, Protocol, assert_never

from wfsim.engine.context import StepContext
from wfsim.engine.controller import Controller
from wfsim.engine.ports import ResourceStore, RunStore, Steps
from wfsim.errors import (
    AlreadyExists,
    DefinitionError,
    Killed,
    NotFound,
    ServiceError,
    StoreError,
    UsageError,
)
from wfsim.model.frozen import EMPTY, thaw
from wfsim.model.journal import Create
from wfsim.model.record import Kind
from wfsim.model.resource import Key, Resource
from wfsim.sim.fault_wrappers import (
    Api,
    FaultyResources,
    FaultyRuns,
    FaultySteps,
    LimitedResources,
    LimitedRuns,
    View,
    Writes,
)
from wfsim.sim.faults import (
    ApiDown,
    AskAt,
    BreakOne,
    CancelAt,
    CrashAt,
    DropWatch,
    EditAt,
    Fault,
    LoseLease,
    MomentFault,
    PauseController,
    StaleRead,
    StepFault,
    TimedFault,
)
from wfsim.sim.sites import KINDS, TIMER, WAIT, Name, Site, Sites
from wfsim.sim.storage import Storage, immediately
from wfsim.sim.world import World
from wfsim.text import suggest

ASKED = ("cancel", "uncancel", "recover", "delete")
"""What may be asked of a simulation about a resource."""

SERVED = ("cancel", "stop", "start")
"""What may be asked of a service about a flow."""


class Progress(NamedTuple):
    """How many *writes* were counted, how often each fault of a step is *left*.

    *seen* is how often each site was reached, by its name without a number.
    """

    writes: int
    left: tuple[int, ...]
    seen: Mapping[str, int]


class Operator(Protocol):
    """What faults do to a simulation, as somebody who operates it would."""

    @property
    def names(self) -> tuple[str, ...]:
        """What the controllers are called."""

    @property
    def world(self) -> World | None:
        """The fake world, if there is one."""

    def controller(self, name: str | None = None) -> Controller:
        """Return a controller by name (None: the first)."""

    def crash(self, controller: str | None = None) -> None:
        """Kill a controller."""

    def restart(self, controller: str | None = None) -> None:
        """Start a controller anew."""

    def pause(self, controller: str | None = None) -> object:
        """Hold a controller still; return what tells this pause from a later one."""

    def unpause(self, controller: str | None = None, *, zombie: bool = False) -> None:
        """Resume a paused controller, a *zombie* with what others have taken over."""

    def is_paused(self, controller: str, pause: object = None) -> bool:
        """Whether a controller is held still, by that *pause* if it is given."""

    def cancel(self, resource: str | None = None) -> None:
        """Ask that the resource's flow be cancelled."""

    def edit(
        self,
        resource: str | None = None,
        *,
        spec: Mapping[str, Any] = EMPTY,
        status: Mapping[str, Any] = EMPTY,
        annotations: Mapping[str, str | None] = EMPTY,
    ) -> Resource:
        """Set keys of the resource."""

    def delete(self, resource: str | None = None) -> None:
        """Delete the resource."""


def _have_sites(faults: Sequence[Fault]) -> bool:
    return any(getattr(fault, "site", None) is not None for fault in faults)


class FaultyPorts:
    """The ports of every controller, wrapped where a fault needs it.

    *wrap_all* wraps every port, whether or not a fault for it is known yet.  `crash` is
    what kills the controller that makes a write; who kills controllers says so.
    """

    def __init__(
        self,
        faults: Sequence[Fault],
        storage: Storage,
    ) -> None:
        self.wrap_all = False
        self.faults = list(faults)
        self.writes = Writes(self.faults, self.fired, self.crash_in_write)
        self.api = Api(storage.clock, storage.scenario.api_rate)
        self.faulty_steps: FaultySteps | None = None
        self.crash: Callable[[CrashAt, str], None] | None = None
        self.act: Callable[[Any, str], Callable[[], None]] | None = None
        self._storage = storage
        self._view: View | None = None
        if _have_sites(faults):
            self.writes = Writes(faults, self.fired, self.crash_in_write, self.sites)

    @cached_property
    def sites(self) -> Sites:
        """The places of this run that have a name, made where one is asked for."""
        sites = self.writes.sites = Sites(self.faults, self, self._storage.journal)
        return sites

    @property
    def _is_sited(self) -> bool:
        return "sites" in vars(self) and self.sites.is_on

    def add(self, faults: Sequence[Fault]) -> None:
        """Make room for *faults* too; everything was wrapped for that."""
        self.faults += faults
        if "sites" in vars(self):
            self.sites.add(faults)
        elif _have_sites(faults):
            self.writes.sites = self.sites
        self.writes.add(faults)
        if self.faulty_steps is not None:
            self.faulty_steps.add(_of_steps(faults))

    def keep_sites(self, mark: Callable[[str, str], None] | None = None) -> list[Site]:
        """Keep the sites that are passed from now on; return the list of them.

        *mark* is told of calls and waits as they come.
        """
        self.wrap_all, self.sites.mark = True, mark
        passed = self.sites.keep()
        self.writes.add(())
        return passed

    def begin(self, fault: MomentFault, controller: str) -> None:
        """Do what *fault* does, `later` seconds after *controller* was at its site.

        Somebody else acts between two things that a controller does; only the controller
        itself is left to come to where it waits.
        """
        assert self.act is not None
        act = self.act(fault, controller)
        if fault.later or isinstance(fault, (CrashAt, PauseController)):
            self._storage.clock.call(fault.later, act)
        else:
            act()

    def writer(self, context: StepContext) -> str:
        """Return which controller runs the attempt."""
        return self._storage.leases.holder(context.resource.key, context.token)

    def fired(self, fault: Fault) -> None:
        """Record that *fault* has fired."""
        self._storage.journal.note(Kind.FAULT_FIRED, text=repr(fault))

    def steps(self, inner: Steps) -> Steps:
        """Return *inner*, wrapped if a fault needs it."""
        wanted = _of_steps(self.faults)
        if self.faulty_steps is None and (wanted or self.wrap_all or self._is_sited):
            key_of, sites = self._storage.key_meant, self.sites
            self.faulty_steps = FaultySteps(inner, wanted, self.fired, key_of, sites)
        return self.faulty_steps or inner

    def runs(self, inner: RunStore, controller: str) -> RunStore:
        """Return *inner* as *controller* sees it, wrapped if a fault needs it."""
        if self._counts_writes():
            inner = FaultyRuns(inner, self.writes, controller)
        return LimitedRuns(inner, self.api) if self._limits() else inner

    def resources(self, inner: ResourceStore, controller: str) -> ResourceStore:
        """Return *inner* as *controller* sees it, wrapped if a fault needs it."""
        seen = (StaleRead, DropWatch, ApiDown)
        views = any(isinstance(fault, seen) for fault in self.faults)
        if views or self._counts_writes() or self.wrap_all:
            if self._view is None:
                self._view = View(inner, self._storage.clock)
            inner = FaultyResources(inner, self._view, self.writes, controller)
        return LimitedResources(inner, self.api) if self._limits() else inner

    @property
    def view(self) -> View:
        """What controllers see of the resources."""
        assert self._view is not None
        return self._view

    def _limits(self) -> bool:
        limited = self.wrap_all or self._storage.scenario.api_rate is not None
        return limited or any(isinstance(fault, ApiDown) for fault in self.faults)

    def _counts_writes(self) -> bool:
        return (
            self.wrap_all
            or self._is_sited
            or any(getattr(fault, "write", None) is not None for fault in self.faults)
        )

    def crash_in_write(self, fault: CrashAt, writer: str) -> None:
        """Crash the controller that writes; its process does not live to see it."""
        assert self.crash is not None
        self.crash(fault, writer)
        raise Killed


class FaultPlan:
    """The faults of one simulation; each is recorded when armed and when it fires.

    *operator* carries them out, but for those that *ports* play themselves.
    """

    def __init__(self, ports: FaultyPorts, storage: Storage, operator: Operator) -> None:
        self.ports = ports
        self._storage = storage
        self._operator = operator
        ports.crash, ports.act = self._crash, self._action
        self.known_sites: Callable[[], Collection[str]] = tuple
        """Returns the sites of a run without faults, for who has written another one."""
        self.simulation: Any = None
        """What is asked of by an `AskAt`."""
        self._refuse_unknown(ports.faults)

    def start(self) -> None:
        """Record what is armed, and set the clock for what has a time."""
        self._refuse_unknown_resources(self.ports.faults)
        self._refuse_unknown_sites(self.ports.faults)
        self._place(self.ports.faults)

    @property
    def progress(self) -> Progress:
        """How far the faults are just now."""
        steps, ports = self.ports.faulty_steps, self.ports
        left = () if steps is None else steps.left
        return Progress(ports.writes.count, left, ports.sites.seen)

    def go_on(self, progress: Progress) -> None:
        """Go on from a `progress`; faults were armed, those of an earlier time are over.

        Raises `UsageError` if one is not over just now.
        """
        now = self._storage.clock.now
        for fault in self.ports.faults:
            since, lasts = getattr(fault, "t", None), getattr(fault, "for_", None)
            if since is not None and since <= now < since + (lasts or 0.0):
                raise UsageError(f"{fault!r} is not over at {now:g} s; go on from later")
        self.ports.writes.go_on(progress.writes)
        self.ports.sites.go_on(progress.seen)
        if self.ports.faulty_steps is not None:
            self.ports.faulty_steps.go_on(progress.left)
        self._set_clock([it for it in self.ports.faults if getattr(it, "t", None) != now])

    def add(self, faults: Sequence[Fault]) -> None:
        """Arm *faults* in a simulation that is under way (and was wrapped for it)."""
        self._refuse_unknown(faults)
        self._refuse_unknown_resources(faults)
        self._refuse_unknown_sites(faults)
        self._refuse_past(faults)
        if not self.ports.wrap_all:
            raise UsageError(
                "faults are armed before the start, or in a fork(faults=...)"
            )
        self.ports.add(faults)
        self._place(faults)

    def _refuse_unknown(self, faults: Sequence[Fault]) -> None:
        """Refuse faults in controllers and steps that are not there: none could fire."""
        names = self._operator.names
        known: frozenset[str] = frozenset()
        if any(isinstance(fault, StepFault) for fault in faults):
            known = self._storage.step_names
        for fault in faults:
            name = getattr(fault, "controller", None)
            if name is not None and name not in names:
                raise UsageError(
                    f"{fault!r}: there is no such controller; known: {', '.join(names)}"
                )
            if isinstance(fault, AskAt):
                self._refuse_unknown_call(fault)
            if isinstance(fault, StepFault) and fault.step and fault.step not in known:
                near = suggest(fault.step, known)
                raise DefinitionError(f"{fault!r}: no step {fault.step!r}{near}")

    def _refuse_unknown_call(self, fault: AskAt) -> None:
        scenario = self._storage.scenario
        own = SERVED if scenario.is_service else ASKED
        calls = {*own, *scenario.requests}
        if fault.call not in calls:
            near = suggest(fault.call, calls)
            raise DefinitionError(f"{fault!r}: no request {fault.call!r}{near}")

    def _refuse_unknown_resources(self, faults: Sequence[Fault]) -> None:
        for fault in faults:
            name = getattr(fault, "resource", None)
            if name is None or self._storage.scenario.is_service:
                continue  # what flows will be called is not known yet
            try:
                if self._storage.key_meant(name) is None:
                    near = suggest(name, self._storage.known_names())
                    raise DefinitionError(f"{fault!r}: no resource {name!r}{near}")
            except UsageError as error:
                raise DefinitionError(f"{fault!r}: {error}") from None

    def _refuse_unknown_sites(self, faults: Sequence[Fault]) -> None:
        """Refuse faults at sites at which nothing of this scenario could come."""
        for fault in faults:
            site = getattr(fault, "site", None)
            if site is not None and not self._may_be(site):
                near = suggest(site, self.known_sites())
                raise DefinitionError(f"{fault!r}: no site {site!r}{near}")

    def _may_be(self, site: str) -> bool:
        name, scenario = Name.of(site.removesuffix(TIMER)), self._storage.scenario
        if name is None:
            return False
        if not scenario.is_service and self._storage.key_meant(name.resource) is None:
            return False
        if not name.run:
            return name.what.startswith("resource.") and name.what in KINDS
        flow = scenario.flows.get(name.run.partition("-")[2])
        if flow is None:
            return False
        if not name.step:
            return name.what.startswith("run.") and name.what in KINDS
        if name.step not in {step.name for step in flow.steps}:
            return False
        return name.what in (*KINDS, WAIT) or self._may_call(name.what)

    def _may_call(self, what: str) -> bool:
        first = what.split()[0].partition(".")[0]
        return hasattr(self._operator.world, first)

    def _refuse_past(self, faults: Sequence[Fault]) -> None:
        """Raise `UsageError` for a fault whose time, or whose write, is past."""
        now, writes = self._storage.clock.now, self.ports.writes.count
        for fault in faults:
            at, write = getattr(fault, "t", None), getattr(fault, "write", None)
            controller = getattr(fault, "controller", None)  # of whose writes it counts
            if at is not None and at < now:
                raise UsageError(
                    f"{fault!r}: it is {now:g} s already; give a later time, or fork "
                    "earlier"
                )
            if write is not None and write <= writes and not controller:
                raise UsageError(
                    f"{fault!r}: there have been {writes} writes already; give a later "
                    "one, or fork earlier"
                )

    def _place(self, faults: Sequence[Fault]) -> None:
        for fault in faults:
            self._storage.journal.note(Kind.FAULT_ARMED, text=repr(fault))
        self._set_clock(faults)

    def _set_clock(self, faults: Sequence[Fault]) -> None:
        clock = self._storage.clock
        for fault in faults:
            if not isinstance(fault, TimedFault) or fault.t is None:
                continue
            if fault.t >= clock.now:
                clock.call(fault.t - clock.now, self._action(fault))

    def _action(self, fault: TimedFault, here: str | None = None) -> Callable[[], None]:
        """Return what does *fault*, to the controller *here* if it names no other one."""
        controller = getattr(fault, "controller", None) or here

        def act() -> None:
            """Do what *fault* does at its time; it fires if there is something to do."""
            match fault:
                case CancelAt() | EditAt():
                    self._edit(fault)
                case AskAt():
                    self.ports.fired(fault)
                    self._ask(fault)
                case CrashAt():
                    victim = self._operator.controller(controller)
                    if victim.alive:
                        self.ports.fired(fault)
                        self._crash(fault, victim.name)
                case StaleRead():
                    self.ports.fired(fault)
                    self.ports.view.freeze(fault.for_, self._past(fault.back))
                case DropWatch():
                    self.ports.fired(fault)
                    self.ports.view.drop(fault.for_)
                case ApiDown():
                    self.ports.fired(fault)
                    self.ports.api.down(fault.for_)
                    self.ports.view.drop(fault.for_)
                case BreakOne():
                    self._break(fault)
                case PauseController():
                    self._pause(fault, controller)
                case LoseLease():
                    self._lose(fault, controller)
                case _:
                    assert_never(fault)

        return act

    def _edit(self, fault: CancelAt | EditAt) -> None:
        try:
            self._storage.resource(fault.resource)
        except NotFound:
            return
        self.ports.fired(fault)
        if isinstance(fault, CancelAt):
            self._operator.cancel(fault.resource)
        elif fault.replace:
            self._replace(self._storage.resource(fault.resource), fault)
        elif fault.delete:
            self._operator.delete(fault.resource)
        else:
            self._operator.edit(
                fault.resource,
                spec=fault.spec,
                status=fault.status,
                annotations=fault.annotations,
            )

    def _ask(self, fault: AskAt) -> None:
        """Ask for what *fault* says; whoever asks lives with a refusal."""
        sim, scenario = self.simulation, self._storage.scenario
        request = scenario.requests.get(fault.call)
        with suppress(ServiceError, StoreError, UsageError), sim.calls.consequences():
            if request is not None:
                request(sim, **thaw(fault.inputs))
                return
            name = fault.resource or str(next(iter(self._storage.resources.keys())))
            getattr(sim.service if scenario.is_service else sim, fault.call)(name)

    def _replace(self, old: Resource, fault: EditAt) -> None:
        """Delete *old*, and create it anew as soon as nothing holds it any more."""
        new = self._as_created(old).edit(
            spec=fault.spec, status=fault.status, annotations=fault.annotations
        )

        def create() -> None:
            # Somebody else may have been faster.
            with suppress(AlreadyExists):
                immediately(self._storage.resources.create(new))

        def gone(before: Resource | None, after: Resource | None) -> None:
            if after is None and before is not None and before.uid == old.uid:
                stop()
                self._storage.clock.call(0.0, create)

        if not old.finalizers:
            immediately(self._storage.resources.delete(old.key))
            create()
            return
        stop = self._storage.resources.subscribe(gone)
        immediately(self._storage.resources.delete(old.key))

    def _as_created(self, old: Resource) -> Resource:
        """Return the resource as it is written down: as the scenario has it, or began."""
        scenario = self._storage.scenario
        named = [each for each in scenario.resources if each.key == old.key]
        arrived = scenario.arrived(old.key)
        began = [
            change.after
            for _, _, change, _ in self._storage.journal.entries()
            if isinstance(change, Create) and change.after.key == old.key
        ]
        return [old, *began[-1:], *filter(None, [arrived]), *named][-1]

    def _past(self, back: float) -> dict[Key, Resource | None] | None:
        """Return the resources as they were so many seconds ago; None for now."""
        if not back:
            return None
        journal, until = self._storage.journal, self._storage.clock.now - back
        entries = sum(time <= until for time, *_ in journal.entries())
        _, resources, _ = journal.fold(entries)
        return {resource.key: resource for resource in resources.values()}

    def _break(self, fault: BreakOne) -> None:
        world = self._operator.world
        broken = "" if world is None else world.break_one(fault.draw)
        if world is None or not broken:
            return
        self.ports.fired(fault)
        if fault.for_ is not None:
            self._storage.clock.call(fault.for_, lambda: world.mend(broken))

    def _pause(self, fault: PauseController, controller: str | None) -> None:
        victim = self._operator.controller(controller)
        if not victim.alive or self._operator.is_paused(victim.name):
            return
        leases = self._storage.leases
        # Who has come to a site is at work, with a lease or as a zombie without one.
        is_idle = fault.site is None and not leases.held(victim.name)
        if not is_idle:
            self.ports.fired(fault)
        pause = self._operator.pause(victim.name)

        def unpause() -> None:
            # It may have died since, and stand still again for another reason.
            if not self._operator.is_paused(victim.name, pause):
                return
            # Somebody else would have done what is left.
            is_needed = any(map(leases.is_free, victim.queued))
            if is_idle and is_needed and not self._is_anybody_at_work():
                self.ports.fired(fault)
            self._operator.unpause(victim.name, zombie=fault.zombie)

        self._storage.clock.call(fault.for_, unpause)

    def _is_anybody_at_work(self) -> bool:
        """Whether a controller is alive and does not stand still."""
        operator = self._operator
        return any(
            operator.controller(name).alive and not operator.is_paused(name)
            for name in operator.names
        )

    def _lose(self, fault: LoseLease, controller: str | None) -> None:
        storage, key = self._storage, None
        if fault.resource is not None:
            key = storage.key_meant(fault.resource)
            if key is None:
                return
        # What it frees is taken at once: that is told first.
        taken = storage.leases.held(controller, key)
        if taken:
            self.ports.fired(fault)
            storage.leases.lose(taken)

    def _crash(self, fault: CrashAt, name: str) -> None:
        if fault.restart_after is not None:

            def restart() -> None:
                if not self._operator.controller(name).alive:
                    self._operator.restart(name)

            self._storage.clock.call(fault.restart_after, restart)
        self._operator.crash(name)


def _of_steps(faults: Sequence[Fault]) -> list[StepFault]:
    return [fault for fault in faults if isinstance(fault, StepFault)]
