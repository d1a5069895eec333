"""Recorded runs, from which others branch off where the controller dies in a write.

A branch begins where its trunk stood then, and ends where it has come to stand as its
trunk, or the one before that, stood once: what follows is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeGuard

from wfsim.campaign.sites import CALL, TIME, WAIT, Point, crashes, sites_of
from wfsim.campaign.standing import Standings, Stood, is_open
from wfsim.campaign.verdict import Violation
from wfsim.model.record import Kind
from wfsim.sim.faults import CrashAt, Fault
from wfsim.sim.prefix import Cut, Tape
from wfsim.sim.simulation import Simulation
from wfsim.sim.sites import TIMER, Site

if TYPE_CHECKING:
    from wfsim.campaign.lab import Lab

Plan = tuple[Fault, ...]

KEPT = 256
"""So many trunks are kept, and what has come of their branches: 30 MB at most."""

LOOKS = 6
"""How often a run may come near another one and not join it; most join at the first."""


class Outcome(NamedTuple):
    """What has come of a point: it ran to its end, joined a run before, or was void."""

    point: Point
    how: Literal["ran", "joined", "void"]
    violations: tuple[Violation, ...] = ()
    extra: float = 0.0
    """How many seconds later than the calm run its last record is."""
    moves: frozenset[tuple[str, str, str]] = frozenset()
    """Kind, state and next state of the moves of resources that the calm run has not."""
    reached: frozenset[str] = frozenset()
    """Which of the user's ``sometimes`` were true at one of its records."""


@dataclass(frozen=True)
class Tail:
    """What a run has in common with *trunk*: all that came after that stood *there*.

    That is where the run stands *now*: its writes have other numbers, and so have sites
    that have been reached more often.
    """

    trunk: Trunk
    there: Stood
    now: Stood

    def sites(self) -> Iterator[Site]:
        """Yield the sites of the trunk that come later, as they are in the other run."""
        writes = self.now.faults.writes - self.there.faults.writes
        for site in self.trunk.sites:
            if site.first >= self.there.entries:
                yield site._replace(
                    name=self._named(site.name, 1),
                    time=site.time + self.now.time - self.there.time,
                    write=site.write and site.write + writes,
                )

    def earlier(self, crash: CrashAt) -> CrashAt:
        """Return *crash* as it is in the run of the trunk."""
        if crash.site is not None:
            return replace(crash, site=self._named(crash.site, -1))
        assert crash.write is not None
        later = self.now.faults.writes - self.there.faults.writes
        return replace(crash, write=max(crash.write - later, 1))

    def _named(self, site: str, sign: int) -> str:
        """Return what *site* is called in the other run (1), or in the trunk (-1)."""
        bare = site.removesuffix(TIMER)
        base, _, number = bare.partition(" ~")
        more = self.now.faults.seen.get(base, 0) - self.there.faults.seen.get(base, 0)
        if not more:
            return site
        count = int(number or 1) + sign * more
        other = f"{base} ~{count}" if count > 1 else base
        return other + site[len(bare) :]


@dataclass
class Trunk:
    """The run of *plan*: its moments on *tape*, its sites, where it stood.

    Its own sites are those from entry number *begun* on, of what is *kept*.  One that
    came to stand where another one did ends there, and has a *tail*; *below* is the one
    that it branched off.
    """

    plan: Plan
    tape: Tape
    kept: Sequence[Site]
    begun: int
    standings: Standings
    below: Trunk | None = None
    tail: Tail | None = None
    outcomes: dict[CrashAt, Outcome] = field(default_factory=dict, repr=False)
    """What has come of the crashes at its own sites."""

    @cached_property
    def own(self) -> tuple[Site, ...]:
        """The sites that it came to itself, in order."""
        own = sites_of(self.kept, self.begun)
        end = inf if self.tail is None else self.tail.now.entries
        return tuple(site for site in own if site.first < end)

    @property
    def sites(self) -> tuple[Site, ...]:
        """Its own sites, and those of the tail."""
        return self.own if self.tail is None else (*self.own, *self.tail.sites())

    def site(self, crash: CrashAt) -> Site | None:
        """Return where *crash* comes, if that is one of its own sites."""
        return self._by_name.get(crash.write if crash.site is None else crash.site)

    @cached_property
    def _by_name(self) -> dict[str | int | None, Site]:
        found: dict[str | int | None, Site] = {site.name: site for site in self.own}
        found.update((site.write, site) for site in self.own if site.write)
        return found

    def entry(self, crash: CrashAt) -> int | None:
        """Return the entry before which all ends by *crash*, if it comes in a write."""
        site = self.site(crash)
        if site is None or not site.write or crash.later:
            return None
        return site.first if crash.when == "before" else site.last + 1

    def cut(self, crash: CrashAt) -> Cut | None:
        """Return where all ends by *crash*, None if that was not, or cannot be, kept.

        Where there is another controller, that one would go on.
        """
        if len(self.tape.simulation.names) > 1:
            return None
        cut = self._cut(crash)
        if cut is None or cut.moment.is_held or not self._is_still(cut):
            return None
        return cut

    def _cut(self, crash: CrashAt) -> Cut | None:
        site, entry = self.site(crash), self.entry(crash)
        if entry is not None:
            is_after = crash.when == "after"
            return Cut(entry, self.tape.moment(entry - is_after), is_after)
        if site is None:
            return None
        cut = None
        if site.kind == CALL and not crash.later:
            cut = self.tape.cut(site.name, crash.when)
        elif site.kind == WAIT and (crash.later or crash.when == "before"):
            cut = self.tape.cut(site.name, "in")
        elif site.kind == TIME:
            write = self._by_name[site.name.removesuffix(TIMER)]
            cut = Cut(write.last + 1, self.tape.moment(write.last), is_after=True)
        return cut and cut._replace(still=crash.later)

    def _is_still(self, cut: Cut) -> bool:
        """Whether nobody did anything while the *cut* says that it was still."""
        if not cut.still:
            return True
        since, until = cut.moment.time, cut.moment.time + cut.still
        written = cut.entries < len(self.tape)
        if written and self.tape.moment(cut.entries).time <= until:
            return False
        return not any(since < site.time <= until for site in self.own)

    def same(self, crash: CrashAt, *, later: bool) -> CrashAt | None:
        """Return the crash after the write before, if that leaves all where this does.

        That is so if nothing has happened in between, or *later*, nothing but time.
        """
        entry = self.entry(crash)
        if crash.when == "after" or entry is None or entry >= len(self.tape):
            return None
        if not (self.tape.is_still(entry) or (later and self._is_idle(entry))):
            return None
        ends = [site for site in self.own if site.write and site.last + 1 == entry]
        if not ends:
            return None
        where = {"write": ends[0].write} if crash.site is None else {"site": ends[0].name}
        return replace(crash, **where, when="after")

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


class Branches:
    """Runs each crash of a lab from its trunk."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.kept: dict[Plan, Trunk] = {}
        """The trunks used last, the latest at the end."""

    def outcome(self, point: Point) -> Outcome:
        """Return what comes of *point*, whose last fault `is_placed`."""
        crash = point.plan[-1]
        assert is_placed(crash)
        return self._crashed(self.trunk(point.plan[:-1]), crash)._replace(point=point)

    def after(self, point: Point, away: float) -> Iterator[Point]:
        """Yield *point* with a crash at each site that follows it."""
        for crash in crashes(self.trunk(point.plan).sites, away):
            yield point.then(crash)

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
        below = cut = None
        if is_placed(crash):
            below = self.trunk(plan[:-1])
            cut = below.cut(crash)
        sim: Any = None
        if below is not None and cut is not None and is_placed(crash):
            sim = below.tape.at(cut, recorded=True)
            begun, began = cut.entries, lab.restart(sim, crash, cut.still)
        else:
            sim, begun, began = lab.recorded(plan), 0, None
        trunk = Trunk(plan, Tape(sim, begun), sim.kept, begun, lab.standings(), below)
        looks = LOOKS if lab.can_join else 0
        for _ in lab.turns(sim):
            if below is not None and looks:
                began = _restarted(sim, plan) if began is None else began
                near = () if began is None else below.standings.near(sim)
                looks -= bool(near)
                there = below.standings.where(sim, began or 0.0, near) if near else None
                if there is not None:
                    trunk.tail = Tail(below, there, Stood.of(sim))
                    # What is between two writes is known with the second one.
                    lab.run_to_a_write(sim)
                    break
            trunk.standings.add(sim, began or 0.0)
        else:
            lab.settle(sim)
        if not begun:
            fired = [record.seq for record in sim.journal.of_kinds({Kind.FAULT_FIRED})]
            trunk.begun = fired[-1] + 1 if fired else len(sim.journal)
        return trunk

    def _crashed(self, trunk: Trunk, crash: CrashAt) -> Outcome:
        """Return what comes of *crash* in the run that is *trunk*."""
        point = Point("", "", (*trunk.plan, crash))
        if trunk.site(crash) is None:
            if trunk.tail is None:
                return Outcome(point, "void")
            # From there on it is a run that is known.
            outcome = self._crashed(trunk.tail.trunk, trunk.tail.earlier(crash))
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
        cut, began = trunk.cut(crash), None
        if cut is not None:
            sim: Simulation = trunk.tape.at(cut)
            began = lab.restart(sim, crash, cut.still)
        else:
            sim = lab.make(point.plan)
        joined = self._joined(trunk, sim, point.plan, began)
        if joined is not None:
            outcome = lab.joined(point, sim, self._ending(joined))
        else:
            outcome = lab.settled(point, sim)
        return lab.afresh(point) if outcome.violations else outcome

    def _ending(self, trunk: Trunk) -> tuple[Violation, ...]:
        """Return what is wrong with the end of *trunk*."""
        if trunk.tail is not None:
            return self._ending(trunk.tail.trunk)
        if not trunk.plan:
            return ()
        return self._lab.outcome(Point("", "", trunk.plan)).violations

    def _joined(
        self, trunk: Trunk, sim: Simulation, plan: Plan, began: float | None
    ) -> Trunk | None:
        """Run *sim* on; return the run that it comes to stand as, which was known.

        *began* is when its controller did, None if that is yet to die by *plan*.
        """
        lab = self._lab
        known = (trunk,) if trunk.below is None else (trunk, trunk.below)
        looks = LOOKS if lab.can_join else 0
        for _ in lab.turns(sim) if looks else ():
            began = _restarted(sim, plan) if began is None else began
            if began is None:
                continue
            for each in known:
                near = each.standings.near(sim)
                if near and each.standings.where(sim, began, near) is not None:
                    return each
                looks -= bool(near)
            if looks <= 0:
                break
        return None


def _restarted(sim: Simulation, plan: Plan) -> float | None:
    """Return when the controller came back from the last fault of *plan*, if it has."""
    crash = plan[-1]
    assert is_placed(crash)
    fired = [*sim.journal.of_kinds({Kind.FAULT_FIRED})]
    if len(fired) < len(plan) or fired[-1].text != repr(crash):
        return None
    back = fired[-1].time + (crash.restart_after or 0.0)
    return back if back <= sim.now else None


def is_placed(fault: Fault) -> TypeGuard[CrashAt]:
    """Whether *fault* kills the controller at a site, to come back later."""
    return (
        isinstance(fault, CrashAt)
        and fault.t is None
        and fault.restart_after is not None
        and fault.controller is None
    )


__all__ = ["Branches", "Outcome", "Trunk", "is_placed"]
