"""An incident, explained: the smallest plan of faults and requests that leads there.

What is known of it is a dump of mementos, lines of a history or a predicate on the log.
Single faults are tried first, those first that it speaks of; then, after those that come
nearest, a second one at each site that follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

from wfsim.campaign.incident import Dumped, Fit, Incident, What, known
from wfsim.campaign.lab import Lab, Maker
from wfsim.campaign.priority import order
from wfsim.campaign.shrink import shrink
from wfsim.campaign.sites import (
    singles,
    sites_of,
    wanted,
)
from wfsim.model.bounds import argument
from wfsim.model.record import Kind
from wfsim.sim.faults import (
    Fault,
    dump_plan,
)
from wfsim.sim.scenario import Scenario
from wfsim.sim.simulation import Simulation
from wfsim.sim.sites import Site

RUNS = 3000
"""So many runs are made at most."""

NEAREST = 12
"""So many single faults are followed by a second one."""

ENOUGH = 1.0

MOST = 10
"""So many things that are not so are told."""


@dataclass
class Reproduction:
    """The smallest plan found that leads to an incident, and how well that fits.

    *fit* is 1 where all that is known is so; *runs* is how many runs it took.
    """

    title: str
    faults: tuple[Fault, ...]
    fit: Fit
    runs: int
    _lab: Lab = field(repr=False)

    @property
    def is_exact(self) -> bool:
        """Whether all that is known of the incident is so."""
        return self.fit.share >= ENOUGH

    @property
    def plan(self) -> str:
        """The plan, as YAML that `load_plan` reads."""
        return dump_plan(self.faults)

    def replay(self) -> Simulation:
        """Return a simulation stopped where it fits best."""
        sim = self._lab.make(self.faults)
        last = self.fit.entries - 1
        sim.run(until=lambda record: record.seq >= last)
        return sim

    def __repr__(self) -> str:
        well = "exactly" if self.is_exact else f"to {self.fit.share:.0%}"
        lines = [f"{self.title}: reproduced {well} in {self.runs} runs by"]
        lines += [f"    {line}" for line in self.plan.splitlines()]
        lines += [f"not so: {each}" for each in self.fit.unlike[:MOST]]
        if left := self.fit.unlike[MOST:]:
            lines.append(f"and {len(left)} more")
        return "\n".join(lines)


def reproduce(
    scenario: Scenario | Maker,
    what: What,
    *,
    state: str | None = None,
    faults: str | Iterable[str | type[Fault]] = "all",
    asks: Mapping[str, Any] | None = None,
    depth: int = 2,
    seed: int | None = None,
    restart_after: float = 10.0,
    runs: int = RUNS,
) -> Reproduction:
    """Return the smallest plan of *faults* and requests that leads to an incident.

    *what* is known of it: the file of a ConfigMap dump, or what `load_mementos` has read
    of it, whose newest run counts, with the resource's *state* if that is known; lines of
    a history in order, of each of which all words must be in one record; a log, whose
    starts and ends of steps are such lines; or a function of the log that is true of it.
    Times count for nothing, nor what is written down of outputs.

    *scenario*, *asks* and *restart_after* (seconds) are those of `explore`.  With *depth*
    1 a single fault must do.  At most so many *runs* are made; the best plan found is
    returned, with what is not so after it.  Raises `UsageError` for wrong arguments.
    """
    argument("depth", depth, Literal[1, 2])
    incident = known(what, state)
    lab = Lab(scenario, seed, restart_after, (), (), {})
    if isinstance(incident, Dumped):
        incident.refuse_stranger(lab.calm.scenario)
    search = _Search(lab, incident, wanted(faults), asks or {}, runs)
    plan, fit = search.single()
    if fit.share < ENOUGH and depth == 2:
        plan, fit = search.double()
    if fit.share >= ENOUGH:
        plan = shrink(plan, lambda each: search.fit(each).share >= ENOUGH)
        fit = search.fit(plan)
    return Reproduction(lab.calm.scenario.title, plan, fit, lab.runs, lab)


class _Search:
    """Tries plans, and remembers how well each fits."""

    def __init__(
        self,
        lab: Lab,
        incident: Incident,
        names: Sequence[str],
        asks: Mapping[str, Any],
        runs: int,
    ) -> None:
        self.lab, self.incident, self.names, self.asks = lab, incident, names, asks
        self.left = runs
        self.fits: dict[tuple[Fault, ...], Fit] = {}

    def fit(self, plan: tuple[Fault, ...]) -> Fit:
        """Return how well the run of *plan* fits; one that breaks down does not."""
        if plan not in self.fits:
            self.lab.runs += 1
            self.left -= 1
            self.fits[plan] = self._fit(plan)
        return self.fits[plan]

    def _fit(self, plan: tuple[Fault, ...]) -> Fit:
        try:
            sim = self.lab.make(plan)
            self.lab.judge(sim, plan)
        except Exception:
            # What the fault makes of such a plan is the explorer's to find.
            return Fit(0.0)
        return self.incident.fit(sim)

    def single(self) -> tuple[tuple[Fault, ...], Fit]:
        """Return the best plan of one fault, or of none."""
        return self._best([(), *self._after((), self.lab.sites)])

    def double(self) -> tuple[tuple[Fault, ...], Fit]:
        """Return the best plan of two, of which the first comes near by itself."""
        firsts = self._firsts()
        spoken_of = ((*plan, hint) for plan in firsts for hint in self._hints(plan))
        if self._best(spoken_of)[1].share < ENOUGH:
            for plan in firsts:
                best = self._best(self._after(plan, self._later(plan)))
                if best[1].share >= ENOUGH or self.left <= 0:
                    break
        return max(self.fits.items(), key=lambda row: (row[1].share, -len(row[0])))

    def _firsts(self) -> list[tuple[Fault, ...]]:
        """Return the single faults that come nearest, no two alike in what is missing.

        Only then come others: what one of them lacks, the next one will lack, too.
        """
        single = [(plan, fit) for plan, fit in self.fits.items() if plan]
        single.sort(key=lambda row: (-row[1].share, len(row[0])))
        kinds: dict[tuple[str, ...], tuple[Fault, ...]] = {}
        for plan, fit in single:
            kinds.setdefault(fit.missing, plan)
        listed = dict.fromkeys([*kinds.values(), *(plan for plan, _ in single)])
        return [*islice(listed, NEAREST)]

    def _best(self, plans: Iterable[tuple[Fault, ...]]) -> tuple[tuple[Fault, ...], Fit]:
        best: tuple[tuple[Fault, ...], Fit] = ((), Fit(0.0))
        for plan in plans:
            if self.left <= 0:
                break
            fit = self.fit(plan)
            if fit.share > best[1].share:
                best = (plan, fit)
            if fit.share >= ENOUGH:
                break
        return best

    def _after(
        self, plan: tuple[Fault, ...], sites: Sequence[Site]
    ) -> Iterator[tuple[Fault, ...]]:
        """Yield *plan* with one fault more: what is spoken of, then all at *sites*."""
        for hint in self._hints(plan):
            yield (*plan, hint)
        scenario, world = self.lab.calm.scenario, self.lab.calm.world
        # What is known of an incident was written: between two writes all looks alike.
        sites = [site for site in sites if site.write]
        listed, _ = singles(self.names, self.asks, sites, scenario, world, self.lab.away)
        for point in order(listed):
            yield (*plan, *point.plan)

    def _hints(self, plan: tuple[Fault, ...]) -> Iterator[Fault]:
        """Yield what the incident speaks of, and *plan* has not."""
        for hint in self.incident.hints():
            if hint not in plan and type(hint).__name__ in self.names:
                yield hint

    def _later(self, plan: tuple[Fault, ...]) -> Sequence[Site]:
        """Return the sites of the run of *plan* from when its fault came."""
        try:
            sim = self.lab.ended(plan)
        except Exception:
            return ()
        fired = [r.seq for r in sim.journal.of_kinds({Kind.FAULT_FIRED})]
        return sites_of(sim.kept, fired[0] if fired else 0)


__all__ = ["Fit", "Reproduction", "reproduce"]
