"""Recorded runs, from which others branch off where the controller dies in a write.

A branch begins where its trunk stood then, and ends where it has come to stand as its
trunk, or the one before that, stood once: what follows is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeGuard

from wfsim.campaign.oracles import Violation
from wfsim.campaign.sites import CRASH, Point, Site, sites_of
from wfsim.campaign.standing import Standings, Stood, is_open
from wfsim.model.record import Kind
from wfsim.sim.faults import CrashAt, Fault
from wfsim.sim.prefix import Prefix, Tape
from wfsim.sim.simulation import Simulation

if TYPE_CHECKING:
    from wfsim.campaign.lab import Lab

Plan = tuple[Fault, ...]

KEPT = 256
"""So many trunks are kept, and what has come of their branches: 30 MB at most."""

LOOKS = 6
"""So often may a run come near another one and not join it; most do at the first."""


class Outcome(NamedTuple):
    """What has come of a point: it ran to its end, joined a run before, or was void."""

    point: Point
    how: Literal["ran", "joined", "void"]
    violations: tuple[Violation, ...] = ()
    extra: float = 0.0
    """How many seconds later than the calm run its last record is."""
    moves: frozenset[tuple[str, str, str]] = frozenset()
    """Kind, state and next state of the moves of resources that the calm run has not."""


@dataclass(frozen=True)
class Tail:
    """What a run has in common with *trunk*: all that came after that stood *there*.

    Its writes have numbers higher by *writes*, and times later by *seconds*.
    """

    trunk: Trunk
    there: Stood
    writes: int
    seconds: float

    def sites(self) -> Iterator[Site]:
        """Yield the sites of the trunk that come later, as they are in the other run."""
        for site in self.trunk.sites:
            if site.write > self.there.writes:
                yield site._replace(
                    write=site.write + self.writes,
                    time=site.time + self.seconds,
                    after=site.after + self.seconds,
                )


@dataclass
class Trunk:
    """The run of *plan*: its moments on *tape*, where it stood, how it goes on.

    Its entries from number *begun* on are sites.  One that came to stand where another
    one did ends there, and has a *tail*; *below* is the one that it branched off.
    """

    plan: Plan
    tape: Tape
    begun: int
    standings: Standings
    below: Trunk | None = None
    tail: Tail | None = None
    outcomes: dict[CrashAt, Outcome] = field(default_factory=dict, repr=False)
    """What has come of the crashes in its own writes."""

    @cached_property
    def own(self) -> tuple[Site, ...]:
        """The writes that are on the tape, in order."""
        return sites_of(self.tape, self.begun)

    @property
    def sites(self) -> tuple[Site, ...]:
        """The writes on the tape, and those of the tail."""
        return self.own if self.tail is None else (*self.own, *self.tail.sites())

    def entry(self, crash: CrashAt) -> int | None:
        """Return the entry before which all ends by *crash*, if that is on the tape."""
        site = self._by_write.get(crash.write)
        if site is None:
            return None
        return site.first if crash.when == "before" else site.last + 1

    @cached_property
    def _by_write(self) -> dict[int | None, Site]:
        return {site.write: site for site in self.own}

    def same(self, crash: CrashAt, *, later: bool) -> CrashAt | None:
        """Return the crash after the write before, if that leaves all where this does.

        That is so if nothing has happened in between, or *later*, nothing but time.
        """
        entry = self.entry(crash)
        if crash.when == "after" or entry is None or entry >= len(self.tape):
            return None
        if not (self.tape.is_still(entry) or (later and self._is_idle(entry))):
            return None
        writes = [site.write for site in self.own if site.last + 1 == entry]
        return replace(crash, write=writes[0], when="after") if writes else None

    def _is_idle(self, entry: int) -> bool:
        """Whether there is nothing before *entry* for which it counts how late it is."""
        tape, sim = self.tape, self.tape.simulation
        if entry <= tape.first or sim.scenario.lag:
            return False
        before, now = tape.moment(entry - 1), tape.moment(entry)
        if before.world is not now.world or before.asked != now.asked:
            return False
        if now.world is not None and now.world.pending:
            return False
        mementos = sim.journal.fold(entry)[2].values()
        return not any(
            run.wake is not None or any(map(is_open, run.steps)) for run in mementos
        )

    def prefix(self, crash: CrashAt, *, recorded: bool = False) -> Prefix:
        """Return where all stood when the controller dies by *crash*."""
        entry = self.entry(crash)
        assert entry is not None
        cut = self.tape.before if crash.when == "before" else self.tape.after
        return cut(entry, recorded=recorded)


class Branches:
    """Runs each crash of a lab from its trunk."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.kept: dict[Plan, Trunk] = {}
        """The trunks used last, the latest at the end."""

    def outcome(self, point: Point) -> Outcome:
        """Return what comes of *point*, whose last fault `is_in_a_write`."""
        crash = point.plan[-1]
        assert is_in_a_write(crash)
        return self._crashed(self.trunk(point.plan[:-1]), crash)._replace(point=point)

    def after(self, point: Point, away: float) -> Iterator[Point]:
        """Yield *point* with a crash before and after each write that follows it."""
        for site in self.trunk(point.plan).sites:
            for when in ("before", "after"):
                crash = CrashAt(write=site.write, when=when, restart_after=away)
                yield Point(
                    f"{point.site}, {site.name}",
                    f"{point.fault}, {CRASH} {when}",
                    (*point.plan, crash),
                    site.step,
                    site.kind,
                )

    def trunk(self, plan: Plan) -> Trunk:
        """Return the run of *plan*; those used last are kept."""
        if not plan:
            return self._lab.trunk
        trunk = self.kept.pop(plan, None) or self._grown(plan)
        self.kept[plan] = trunk
        if len(self.kept) > KEPT:
            del self.kept[next(iter(self.kept))]
        return trunk

    def _grown(self, plan: Plan) -> Trunk:
        """Return the run of *plan*: a branch itself, if it ends in such a crash."""
        lab, crash = self._lab, plan[-1]
        below = self.trunk(plan[:-1]) if is_in_a_write(crash) else None
        if below is None or below.entry(crash) is None:
            sim, standings = lab.recorded(plan), lab.standings()
            for _ in lab.turns(sim):
                standings.add(sim, 0.0)
            lab.settle(sim)
            fired = [record.seq for record in sim.journal.of_kinds({Kind.FAULT_FIRED})]
            begun = fired[-1] if fired else len(sim.journal)
            return Trunk(plan, Tape(sim), begun, standings)
        sim = below.prefix(crash, recorded=True)
        begun = len(sim.journal)
        began = lab.restart(sim, crash)
        trunk = Trunk(plan, Tape(sim, begun), begun, lab.standings(), below)
        looks = LOOKS
        for _ in lab.turns(sim):
            near = below.standings.near(sim) if looks and lab.can_join else ()
            looks -= bool(near)
            there = below.standings.where(sim, began, near) if near else None
            if there is not None:
                writes = sim.plan.progress[0] - there.writes
                trunk.tail = Tail(below, there, writes, sim.now - there.time)
                return trunk
            trunk.standings.add(sim, began)
        lab.settle(sim)
        return trunk

    def _crashed(self, trunk: Trunk, crash: CrashAt) -> Outcome:
        """Return what comes of *crash* in the run that is *trunk*."""
        assert crash.write is not None
        if trunk.entry(crash) is None:
            tail = trunk.tail
            if tail is None:
                return Outcome(Point("", "", (*trunk.plan, crash)), "void")
            # From there on it is a run that is known.
            earlier = replace(crash, write=crash.write - tail.writes)
            outcome = self._crashed(tail.trunk, earlier)
            return outcome if outcome.how == "void" else outcome._replace(how="joined")
        lab = self._lab
        same = trunk.same(crash, later=lab.can_join) if lab.joining else None
        if same is not None:
            return self._crashed(trunk, same)._replace(how="joined")
        if crash not in trunk.outcomes:
            trunk.outcomes[crash] = self._run(trunk, crash)
        return trunk.outcomes[crash]

    def _run(self, trunk: Trunk, crash: CrashAt) -> Outcome:
        """Run on from *trunk*; what fails so is run from the start, as its plan says."""
        lab, point = self._lab, Point("", "", (*trunk.plan, crash))
        sim = trunk.prefix(crash)
        joined = self._joined(trunk, sim, lab.restart(sim, crash))
        if joined is None:
            lab.settle(sim)
            outcome = lab.ran(point, sim)
        else:
            outcome = lab.joined(point, sim, self._ending(joined))
        return lab.afresh(point) if outcome.violations else outcome

    def _ending(self, trunk: Trunk) -> tuple[Violation, ...]:
        """Return what is wrong with the end of *trunk*."""
        if trunk.tail is not None:
            return self._ending(trunk.tail.trunk)
        if not trunk.plan:
            return ()
        return self._lab.outcome(Point("", "", trunk.plan)).violations

    def _joined(self, trunk: Trunk, sim: Simulation, began: float) -> Trunk | None:
        """Run *sim* on; return the run that it comes to stand as, which was known."""
        lab = self._lab
        known = (trunk,) if trunk.below is None else (trunk, trunk.below)
        looks = LOOKS if lab.can_join else 0
        for _ in lab.turns(sim) if looks else ():
            for each in known:
                near = each.standings.near(sim)
                if near and each.standings.where(sim, began, near) is not None:
                    return each
                looks -= bool(near)
            if looks <= 0:
                break
        return None


def is_in_a_write(fault: Fault) -> TypeGuard[CrashAt]:
    """Whether *fault* kills the controller in a write, to come back later."""
    return (
        isinstance(fault, CrashAt)
        and fault.write is not None
        and fault.restart_after is not None
        and fault.controller is None
    )


__all__ = ["Branches", "Outcome", "Trunk", "is_in_a_write"]
