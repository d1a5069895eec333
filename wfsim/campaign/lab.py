"""The lab that runs points: a calm reference, and what each point comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from typing import Any

from wfsim.campaign.histories import entries_of
from wfsim.campaign.oracles import OF_THE_WAY
from wfsim.campaign.sites import Point, Surveyed, surveyed
from wfsim.campaign.standing import Standings
from wfsim.campaign.trunk import Branches, Outcome, Trunk, is_placed
from wfsim.campaign.verdict import Check, Checked, End, Violation, broken_down
from wfsim.errors import UsageError
from wfsim.model.journal import Move
from wfsim.model.memento import Memento
from wfsim.model.record import Kind
from wfsim.sim.faults import AskAt, CrashAt, EditAt, Fault
from wfsim.sim.prefix import Prefix, Tape
from wfsim.sim.scenario import Scenario
from wfsim.sim.simulation import Simulation
from wfsim.sim.sites import Site
from wfsim.text import called

Maker = Callable[[Iterable[Fault]], Simulation]

SETTLE = 7200.0
"""So many seconds of virtual time a run has to settle after it should have ended."""

EVENTS = 20_000
"""So many events of the clock, and fifty times those of the calm run, it has."""


class Witness:
    """Looks at a simulation at each of its records, for what the user wants to hold.

    *violations* are of what was to be ``always`` so, the first one of each; *reached*
    are names of those of *sometimes* that have been so.
    """

    def __init__(
        self,
        always: tuple[Callable[[Simulation], Any], ...],
        sometimes: tuple[Callable[[Simulation], Any], ...],
    ) -> None:
        self._always = list(always)
        self._sometimes = list(sometimes)
        self.violations: list[Violation] = []
        self.reached: set[str] = set()

    def look(self, sim: Simulation) -> None:
        """Look at *sim* as it is now."""
        for wish in [*self._always]:
            for broken in _broken(wish, sim, "always"):
                self.violations.append(broken._replace(seq=len(sim.journal) - 1))
                self._always.remove(wish)
        for wish in [*self._sometimes]:
            if not _broken(wish, sim, "sometimes"):
                self.reached.add(called(wish))
                self._sometimes.remove(wish)

    def watch(self, sim: Simulation, end: float) -> None:
        """Run *sim* until *end*, and look whenever there is a record more."""
        journal, advance = sim.journal, sim.advance
        limit = min(end, sim.scenario.horizon)
        seen = len(journal)
        self.look(sim)
        with sim.unrecorded():
            while (self._always or self._sometimes) and advance(limit):
                if len(journal) > seen:
                    seen = len(journal)
                    self.look(sim)
        sim.run(end)


@dataclass
class Lab:
    """Runs the points of one scenario, or of what *subject* makes with faults.

    *away* is how long a controller is down, in seconds; *but* are dotted paths of the
    world that may differ, *alike* patterns of names that may; *checks* are asked of
    every run.
    """

    subject: Scenario | Maker
    seed: int | None
    away: float
    but: tuple[str, ...]
    alike: tuple[str, ...]
    checks: Mapping[str, Check]
    joining: bool = True
    always: tuple[Callable[[Simulation], Any], ...] = ()
    eventually: tuple[Callable[[Simulation], Any], ...] = ()
    sometimes: tuple[Callable[[Simulation], Any], ...] = ()
    controllers: int = 1
    """So many controllers a scenario has; what makes a simulation says so itself."""
    _witness: Witness | None = field(default=None, init=False, repr=False)
    """Of the run that was begun last, if there is anything to look for."""
    runs: int = field(default=0, init=False)
    _readable: dict[Any, list[Memento]] = field(
        default_factory=dict, init=False, repr=False
    )

    def make(self, plan: Iterable[Fault] = ()) -> Simulation:
        """Return a new simulation, begun, with the faults of *plan*."""
        if isinstance(self.subject, Scenario):
            made = Simulation(
                self.subject,
                seed=self.seed,
                faults=plan,
                controllers=self.controllers,
            )
        else:
            made = self.subject(tuple(plan))
        if not isinstance(made, Simulation):
            raise UsageError(f"{made!r} is no Simulation; explore(f) calls f(faults)")
        made.controller()
        self._watch()
        return made

    def _watch(self) -> None:
        """Look anew, in the run that is about to be."""
        wanted = self.always or self.sometimes
        self._witness = Witness(self.always, self.sometimes) if wanted else None

    # -- the reference -----------------------------------------------------------------

    @cached_property
    def trunk(self) -> Trunk:
        """The calm run, recorded, at its end."""
        sim = self.recorded(())
        begun, self._began = len(sim.log), sim.now
        standings, limit = self.standings(), sim.scenario.horizon
        if self._witness is None:
            for _ in turns(sim, limit):
                standings.add(sim, 0.0)
        self.settle(sim, limit=limit)
        self._seen = frozenset(self._witness.reached if self._witness else ())
        return Trunk((), Tape(sim), sim.kept, begun, standings)

    @cached_property
    def branches(self) -> Branches:
        """What runs crashes from a prefix."""
        return Branches(self)

    def recorded(self, plan: Iterable[Fault]) -> Surveyed:
        """Return a new simulation, begun, with the faults of *plan*, for a tape."""
        return surveyed(self.make(plan))

    def ended(self, plan: Iterable[Fault]) -> Surveyed:
        """Return the run of *plan* when it has settled, its sites kept."""
        sim = self.recorded(plan)
        self.settle(sim)
        return sim

    def standings(self) -> Standings:
        """Return where a run has stood, which has yet to begin."""
        return Standings(self.but, self.alike)

    @property
    def calm(self) -> Simulation:
        """The calm run at its end."""
        return self.trunk.tape.simulation

    @cached_property
    def length(self) -> float:
        """How many seconds the calm run takes from when it was asked for."""
        return _last(self.calm) - self._began

    @property
    def sites(self) -> tuple[Site, ...]:
        """Every site of the calm run from when it was asked for."""
        return self.trunk.sites

    @cached_property
    def end(self) -> End:
        """The end of the calm run."""
        return End.of(self.calm, self.but, self.alike)

    @cached_property
    def is_quiet(self) -> bool:
        """Whether nothing is left to happen at the end of the calm run."""
        return _is_quiet(self.calm)

    @property
    def seen(self) -> frozenset[str]:
        """Which of the user's ``sometimes`` the calm run has come to."""
        return self._seen if self.trunk else frozenset()

    def reference(self) -> tuple[Violation, ...]:
        """Return what is wrong with the calm run itself."""
        return self._asked(self.calm, (), None)

    # -- points ------------------------------------------------------------------------

    def outcome(self, point: Point) -> Outcome:
        """Run *point*, from a prefix if its last fault is a crash at a site.

        What is to be looked at in all of its records is run from the start, and so is
        what somebody has yet to go on with: a prefix knows nothing of that.
        """
        is_branch = is_placed(point.plan[-1]) and not (self.always or self.sometimes)
        is_branch = is_branch and not any(map(_lingers, point.plan[:-1]))
        return self._caught(self.branches.outcome if is_branch else self._afresh, point)

    def afresh(self, point: Point) -> Outcome:
        """Run *point* from the start."""
        return self._caught(self._afresh, point)

    def judge(self, sim: Simulation, plan: tuple[Fault, ...]) -> tuple[Violation, ...]:
        """Run *sim*, of that *plan*, until it has settled; return what is wrong then."""
        self.settle(sim)
        return self._asked(sim, plan, self.end)

    def _caught(self, run: Callable[[Point], Outcome], point: Point) -> Outcome:
        """Return what *run* does; an engine that breaks down has violated something."""
        self.runs += 1
        try:
            return run(point)
        except Exception as error:
            return Outcome(point, "ran", (broken_down(error),))

    def _afresh(self, point: Point) -> Outcome:
        return self.settled(point, self.make(point.plan))

    def settled(self, point: Point, sim: Simulation) -> Outcome:
        """Return what has come of *point* when *sim*, its run, has settled."""
        self.settle(sim)
        if isinstance(sim, Prefix):
            return self._ran(point, sim)
        fired = {record.text for record in sim.journal.of_kinds({Kind.FAULT_FIRED})}
        if any(repr(fault) not in fired for fault in point.plan):
            return Outcome(point, "void")
        return self._ran(point, sim)

    def _ran(self, point: Point, sim: Simulation) -> Outcome:
        """Return what has come of *point*, whose run *sim* has settled."""
        extra = round(_last(sim) - _last(self.calm), 6)
        moves = moves_of(sim) - self.moves
        asked = self._asked(sim, point.plan, self.end, is_last=True)
        witness = self._witness
        reached = frozenset(() if witness is None else witness.reached)
        return Outcome(point, "ran", asked, extra, moves, reached)

    def joined(
        self, point: Point, sim: Simulation, follow: tuple[Violation, ...]
    ) -> Outcome:
        """Return what has come of *point*, of which *sim* is the way; all *follow*."""
        end = End({}, {}, None)
        run = Checked(sim, end, None, False, point.plan, {}, {}, self._readable)
        run = run._replace(entries=entries_of(sim.journal))
        checks = [check for check in self.checks.values() if check in OF_THE_WAY]
        broken = [each for check in checks for each in check(run)]
        asked = tuple(sorted([*broken, *follow], key=_seq))
        return Outcome(point, "joined", asked, 0.0, moves_of(sim) - self.moves)

    @cached_property
    def moves(self) -> frozenset[tuple[str, str, str]]:
        """Kind, state and next state of each move of a resource in the calm run."""
        return moves_of(self.calm)

    def restart(self, sim: Simulation, crash: CrashAt, still: float = 0.0) -> float:
        """Start the controller of *sim* that *crash* killed, later by *still*."""
        sim.run(for_=still + (crash.restart_after or 0.0))
        sim.restart()
        return sim.now

    def again(self, point: Point) -> Iterator[Point]:
        """Return *point* with a crash at each site that follows it."""
        return self.branches.after(point, self.away)

    # -- settling ----------------------------------------------------------------------

    def turns(self, sim: Simulation) -> Iterator[None]:
        """Run *sim* in the bounds of `settle`; yield where it may join another run."""
        return turns(sim, self._latest, self._most)

    def run_to_a_write(self, sim: Simulation) -> None:
        """Run *sim* until a controller has written once more, if any does."""
        writes = sim.plan.progress.writes
        with sim.unrecorded():
            while sim.plan.progress.writes == writes and sim.advance(self._latest):
                pass

    @cached_property
    def _latest(self) -> float:
        """The time by which all must have settled, in seconds."""
        late = _last(self.calm) + 10 * self.length + SETTLE
        return float(min(late, self.calm.scenario.horizon))

    @cached_property
    def _most(self) -> int:
        return EVENTS + 50 * self.calm.clock.events

    def settle(self, sim: Simulation, limit: float | None = None) -> bool:
        """Run *sim* until nothing is left to happen, in bounds; whether it came so."""
        most = EVENTS if limit is not None else self._most
        first = 60.0 if limit is not None else 2 * self.length + 2 * self.away
        end = limit or self._latest
        span = max(first, 1.0)
        while not _is_quiet(sim) and sim.now < end and sim.clock.events < most:
            until = min(sim.now + span, end)
            if self._witness is None:
                sim.run(until)
            else:
                self._witness.watch(sim, until)
            span *= 2
        return _is_quiet(sim)

    def _asked(
        self,
        sim: Simulation,
        plan: tuple[Fault, ...],
        calm: End | None,
        *,
        is_last: bool = False,
    ) -> tuple[Violation, ...]:
        """Return what is wrong with *sim*; if last, nothing is done with it any more."""
        settled = _is_quiet(sim) or not (calm is None or self.is_quiet)
        fold = sim.journal.fold()
        end = End.folded(sim, fold, self.but, self.alike)
        run = Checked(sim, end, calm, settled, plan, *fold[1:], self._readable)
        run = run._replace(entries=entries_of(sim.journal))
        checks = [check for name, check in self.checks.items() if name != LAST]
        broken = [each for check in checks for each in check(run)]
        for wish in self.eventually:
            broken += _broken(wish, sim, "eventually")
        if self._witness is not None:
            self._witness.look(sim)
            broken += self._witness.violations
        if is_last and LAST in self.checks:
            broken += self.checks[LAST](run)
        return tuple(sorted(broken, key=_seq))

    # -- joining -----------------------------------------------------------------------

    @cached_property
    def can_join(self) -> bool:
        """Whether what comes later depends on where all stands, not on the time.

        What a user asks of an end may depend on all that came before.
        """
        scenario, sim = self.calm.scenario, self.calm
        return self.joining and not (
            scenario.arrivals
            or scenario.triggers
            or sim.faults
            or len(sim.names) > 1
            or scenario.policy.deadline
            or any(flow.deadline for flow in scenario.flows.values())
            or self.always
            or self.eventually
            or self.sometimes
        )


LAST = "operators_are_heard"
"""The invariant that acts on the simulation that it is asked of."""


def turns(sim: Simulation, limit: float, most: int = EVENTS) -> Iterator[None]:
    """Run *sim* until *limit*, its horizon or *most* events; yield where it may join.

    That is where a step is over, so that none is half done that was cut short, and at
    the end.  What counts there is what is durable, and the world.
    """
    journal, advance = sim.journal, sim.advance
    limit = min(limit, sim.scenario.horizon)
    seen = len(journal)
    sim.begin()
    with sim.unrecorded():
        while sim.clock.events < most and advance(limit):
            if len(journal) > seen:
                turned = Kind.STEP_COMPLETED in journal.kinds(seen)
                seen = len(journal)
                if turned:
                    yield
        if _is_quiet(sim):
            yield


def _lingers(fault: Fault) -> bool:
    """Whether whoever asks by *fault* asks for more as soon as something has ended."""
    return (isinstance(fault, EditAt) and fault.replace) or (
        isinstance(fault, AskAt) and "then" in fault.inputs
    )


def _is_quiet(sim: Simulation) -> bool:
    """Whether nothing is left to happen before the horizon."""
    return bool(sim.clock.peek() > sim.scenario.horizon)


def moves_of(sim: Simulation) -> frozenset[tuple[str, str, str]]:
    """Return kind, state and next state of each move of a resource."""
    return frozenset(
        (change.after.kind, change.before.state, change.after.state)
        for _, run, change, _ in sim.journal.entries()
        if run is None and type(change) is Move
    )


def _seq(violation: Violation) -> float:
    return inf if violation.seq is None else violation.seq


def _last(sim: Simulation) -> float:
    records = sim.journal
    return records.time(len(records) - 1) if len(records) else 0.0


def _broken(wish: Callable[[Simulation], Any], sim: Simulation, name: str) -> list[Any]:
    """Return that *wish* does not hold: it returns False or a text, or asserts."""
    name_of_it = called(wish)
    try:
        answer = wish(sim)
    except AssertionError as error:
        answer = str(error) or False
    if answer is False or (isinstance(answer, str) and answer):
        text = f"{name_of_it}: {answer}" if answer else f"{name_of_it} does not hold"
        return [Violation(name, text, None, f"{name} {name_of_it}")]
    return []


__all__ = ["Lab", "Maker", "Outcome"]
