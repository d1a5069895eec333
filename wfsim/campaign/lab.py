"""Where points are run: a calm reference, its tape, and what each point comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from typing import Any, Literal, NamedTuple

from wfsim.campaign.histories import entries_of
from wfsim.campaign.sites import CRASH, Point, Surveyed, crashes, sites_of, surveyed
from wfsim.campaign.standing import Standings
from wfsim.campaign.verdict import Check, Checked, End, Violation, broken_down
from wfsim.errors import UsageError
from wfsim.model.journal import Move
from wfsim.model.memento import Memento
from wfsim.model.record import Kind
from wfsim.sim.faults import CrashAt, Fault
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


class Outcome(NamedTuple):
    """What has come of a point: it ran to its end, joined the calm run, or was void."""

    point: Point
    how: Literal["ran", "joined", "void"]
    violations: tuple[Violation, ...] = ()
    extra: float = 0.0
    """How many seconds later than the calm run its last record is."""
    moves: frozenset[tuple[str, str, str]] = frozenset()
    """Kind, state and next state of the moves of resources that the calm run has not."""
    reached: frozenset[str] = frozenset()
    """Which of the user's ``sometimes`` were true at one of its records."""


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
    _witness: Witness | None = field(default=None, init=False, repr=False)
    """Of the run that was begun last, if there is anything to look for."""
    runs: int = field(default=0, init=False)
    _outcomes: dict[int, Outcome] = field(default_factory=dict, init=False, repr=False)
    """Of crashes after so many entries, where it is the same just before the next."""
    _readable: dict[Any, list[Memento]] = field(
        default_factory=dict, init=False, repr=False
    )

    def make(self, plan: Iterable[Fault] = ()) -> Simulation:
        """Return a new simulation, begun, with the faults of *plan*."""
        if isinstance(self.subject, Scenario):
            made = Simulation(self.subject, seed=self.seed, faults=plan)
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
    def tape(self) -> Tape:
        """The calm run, recorded, at its end."""
        sim = surveyed(self.make())
        self._begun = len(sim.log)
        self._began = sim.now
        self._standings = Standings(self.but, self.alike)
        limit = sim.scenario.horizon
        if self._witness is None:
            for _ in turns(sim, limit):
                self._standings.add(sim, 0.0)
        self._settle(sim, limit=limit)
        self._seen = frozenset(self._witness.reached if self._witness else ())
        return Tape(sim)

    @property
    def calm(self) -> Simulation:
        """The calm run at its end."""
        return self.tape.simulation

    @cached_property
    def length(self) -> float:
        """How many seconds the calm run takes from when it was asked for."""
        return _last(self.calm) - self._began

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        """Every site of the calm run from when it was asked for."""
        calm = self.calm
        assert isinstance(calm, Surveyed)
        return sites_of(calm, self._begun)

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
        return self._seen if self.tape else frozenset()

    def reference(self) -> tuple[Violation, ...]:
        """Return what is wrong with the calm run itself."""
        return self._asked(self.calm, (), None)

    # -- points ------------------------------------------------------------------------

    def outcome(self, point: Point) -> Outcome:
        """Run *point*, from a prefix where it is a single crash."""
        single = point.fault.startswith(CRASH) and len(point.plan) == 1
        single = single and point.site in self._writes
        if self.always or self.sometimes:  # all of it is to be looked at
            single = False
        return self._caught(self._crashed if single else self._afresh, point)

    def afresh(self, point: Point) -> Outcome:
        """Run *point* from the start."""
        return self._caught(self._afresh, point)

    def judge(self, sim: Simulation, plan: tuple[Fault, ...]) -> tuple[Violation, ...]:
        """Run *sim*, of that *plan*, until it has settled; return what is wrong then."""
        self._settle(sim)
        return self._asked(sim, plan, self.end)

    def _caught(self, run: Callable[[Point], Outcome], point: Point) -> Outcome:
        """Return what *run* does; an engine that breaks down has violated something."""
        self.runs += 1
        try:
            return run(point)
        except Exception as error:
            return Outcome(point, "ran", (broken_down(error),))

    def _afresh(self, point: Point) -> Outcome:
        sim = self.make(point.plan)
        self._settle(sim)
        fired = {record.text for record in sim.journal.of_kinds({Kind.FAULT_FIRED})}
        if any(repr(fault) not in fired for fault in point.plan):
            return Outcome(point, "void")
        return self._ran(point, sim)

    def _ran(self, point: Point, sim: Simulation) -> Outcome:
        extra = round(_last(sim) - _last(self.calm), 6)
        moves = moves_of(sim) - self.moves
        asked = self._asked(sim, point.plan, self.end, is_last=True)
        witness = self._witness
        reached = frozenset(() if witness is None else witness.reached)
        return Outcome(point, "ran", asked, extra, moves, reached)

    @cached_property
    def moves(self) -> frozenset[tuple[str, str, str]]:
        """Kind, state and next state of each move of a resource in the calm run."""
        return moves_of(self.calm)

    def _crashed(self, point: Point) -> Outcome:
        (crash,) = point.plan
        assert isinstance(crash, CrashAt)
        site = self._writes[point.site]
        before = crash.when == "before"
        entries = site.first if before else site.last + 1
        same = entries in self._outcomes or (
            entries < len(self.tape) and self.tape.is_still(entries)
        )
        if same and entries in self._outcomes:
            return self._outcomes[entries]._replace(point=point, how="joined")
        sim = self.tape.before(entries) if before else self.tape.after(entries)
        outcome = self._gone_on(point, sim, crash)
        if same and self.joining:
            self._outcomes[entries] = outcome
        return outcome

    @cached_property
    def _writes(self) -> Mapping[str, Site]:
        return {site.name: site for site in self.sites if site.write}

    def _gone_on(self, point: Point, sim: Prefix, crash: CrashAt) -> Outcome:
        back = self._restart(sim, crash)
        if self.joining and self._can_join and self._joins(sim, back):
            return Outcome(point, "joined", extra=0.0)
        self._settle(sim)
        return self._ran(point, sim)

    def _restart(self, sim: Prefix, crash: CrashAt) -> float:
        sim.run(for_=crash.restart_after)
        sim.restart()
        return sim.now

    def again(self, point: Point) -> Iterator[Point]:
        """Return *point* with a crash at each site that follows it."""
        sim = self.make(point.plan)
        self._settle(sim)
        fired = [r.seq for r in sim.journal.of_kinds({Kind.FAULT_FIRED})]
        later = sites_of(surveyed(sim), fired[-1] if fired else len(sim.journal))
        for crash in crashes(later, self.away):
            yield crash._replace(
                site=f"{point.site}, {crash.site}",
                fault=f"{point.fault}, {crash.fault}",
                plan=(*point.plan, *crash.plan),
            )

    # -- settling ----------------------------------------------------------------------

    def _settle(self, sim: Simulation, limit: float | None = None) -> bool:
        """Run *sim* until nothing is left to happen, in bounds; whether it came so."""
        horizon = sim.scenario.horizon
        most = EVENTS if limit is not None else EVENTS + 50 * self.calm.clock.events
        first = 60.0 if limit is not None else 2 * self.length + 2 * self.away
        end = limit or min(_last(self.calm) + 10 * self.length + SETTLE, horizon)
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
    def _can_join(self) -> bool:
        """Whether what comes later depends on where all stands, not on the time."""
        scenario, sim = self.calm.scenario, self.calm
        return not (
            scenario.arrivals
            or scenario.triggers
            or sim.faults
            or len(sim.names) > 1
            or scenario.policy.deadline
            or any(flow.deadline for flow in scenario.flows.values())
            or self.always
            or self.sometimes
        )

    def _joins(self, sim: Simulation, back: float) -> bool:
        """Run *sim* on; whether it comes to stand where the calm run stood once."""
        late = sim.now + 2 * self.length
        looks = 0
        for _ in turns(sim, late):
            is_there = self._standings.has(sim, back)
            if is_there:
                return True
            looks += is_there is not None
            if looks == LOOKS:
                break
        return False


LAST = "operators_are_heard"
"""The invariant that acts on the simulation that it is asked of."""

LOOKS = 6
"""How often a run may come near the calm one and not join it; most join at the first."""

TURNS = frozenset({Kind.STEP_STARTED, Kind.STEP_COMPLETED})
"""After these nothing counts but what is durable and the world: no step is half done."""


def turns(sim: Simulation, limit: float) -> Iterator[None]:
    """Run *sim* until *limit* or its horizon; yield at `TURNS`, and at the end."""
    journal, advance = sim.journal, sim.advance
    limit = min(limit, sim.scenario.horizon)
    seen = len(journal)
    sim.begin()
    with sim.unrecorded():
        while advance(limit):
            if len(journal) > seen:
                turned = not TURNS.isdisjoint(journal.kinds(seen))
                seen = len(journal)
                if turned:
                    yield
        if _is_quiet(sim):
            yield


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
