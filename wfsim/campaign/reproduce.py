"""An incident, explained: the smallest plan of faults and requests that leads there.

What is known of it is a dump of mementos, lines of a history or a predicate on the log.
Single faults are tried first, those first that it speaks of; then, after those that come
nearest, a second one at each site that follows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple, Protocol

from wfsim.campaign.explore import LASTS, requests
from wfsim.campaign.lab import Lab, Maker
from wfsim.campaign.priority import order
from wfsim.campaign.shrink import shrink
from wfsim.campaign.sites import (
    CRASH,
    Point,
    Site,
    crashes,
    points,
    sites_of,
    unfit,
    wanted,
)
from wfsim.errors import UsageError
from wfsim.files.configmap import Caretaker, load_mementos
from wfsim.model import memento as reasons
from wfsim.model.log import EventLog
from wfsim.model.memento import Memento, RunStatus, StepMemento
from wfsim.model.record import Kind, Record
from wfsim.model.run import Run
from wfsim.sim.faults import (
    CancelAt,
    FailStep,
    Fault,
    HangStep,
    InterruptStep,
    dump_plan,
)
from wfsim.sim.prefix import Tape
from wfsim.sim.scenario import Scenario
from wfsim.sim.simulation import Simulation

What = (
    str | os.PathLike[str] | Caretaker | Memento | Sequence[str]
    | EventLog | Callable[[EventLog], Any]
)  # fmt: skip
"""What may be known of an incident."""

RUNS = 3000
"""So many runs are made at most."""

NEAREST = 12
"""So many single faults are followed by a second one."""

ENOUGH = 1.0

MOST = 10
"""So many things that are not so are told."""


class Fit(NamedTuple):
    """How well a run fits: a *share* from 0 to 1, where best, and what is not so there.

    *entries* is how many records there were by then.
    """

    share: float
    entries: int = 0
    unlike: tuple[str, ...] = ()


class Incident(Protocol):
    """What is known of an incident."""

    def fit(self, sim: Simulation) -> Fit:
        """Return how well *sim*, at its end, fits where it fits best."""
        ...

    def hints(self) -> Iterator[Fault]:
        """Yield the faults that it speaks of, wherever they may have come."""
        ...


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
    if depth not in (1, 2):
        raise UsageError(f"depth is {depth!r}; give 1 or 2")
    incident = known(what, state)
    lab = Lab(scenario, seed, restart_after, (), (), {})
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
        ranked = sorted(self.fits.items(), key=lambda row: (-row[1].share, len(row[0])))
        tried = dict(islice(ranked, NEAREST))
        for plan in tried:
            if plan:
                best = self._best(self._after(plan, self._later(plan)))
                if best[1].share >= ENOUGH or self.left <= 0:
                    break
        return max(self.fits.items(), key=lambda row: (row[1].share, -len(row[0])))

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
        for hint in self.incident.hints():
            if hint not in plan and type(hint).__name__ in self.names:
                yield (*plan, hint)
        scenario, world = self.lab.calm.scenario, self.lab.calm.world
        never = unfit(self.names, scenario, world)
        listed: list[Point] = []
        if CRASH in self.names:
            listed += crashes(sites, self.lab.away)
        kinds = [name for name in self.names if name not in never]
        listed += points(kinds, sites, scenario, LASTS)
        listed += requests(self.asks, sites)[0]
        for point in order(listed):
            yield (*plan, *point.plan)

    def _later(self, plan: tuple[Fault, ...]) -> Sequence[Site]:
        """Return the sites of the run of *plan* from when its fault came."""
        sim = self.lab.make(plan)
        try:
            self.lab.judge(sim, plan)
            tape = Tape.of(sim)
        except Exception:
            return ()
        fired = [r.seq for r in sim.journal.of_kinds({Kind.FAULT_FIRED})]
        return sites_of(tape, fired[0] if fired else 0)


# -- what is known ---------------------------------------------------------------------


def known(what: What, state: str | None) -> Incident:
    """Return the incident that *what* tells of; `UsageError` if that is nothing known."""
    if isinstance(what, (str, os.PathLike)):
        what = load_mementos(what)
    if isinstance(what, Memento):
        what = Caretaker(what.resource, [what])
    if isinstance(what, Caretaker):
        if not len(what):
            raise UsageError(f"{what!r} has no memento that could be read")
        return Dumped(tuple(what), state)
    if isinstance(what, EventLog):
        kept = (Kind.STEP_STARTED, Kind.RUN_CREATED, *_ENDS)
        what = [_line(record) for record in what if record.kind in kept]
    if callable(what):
        return Predicate(what)
    lines = [str(line).split() for line in what]
    if not lines:
        raise UsageError("no line of a history was given")
    return Lines(lines)


_ENDS = (
    *(Kind.STEP_COMPLETED, Kind.STEP_FAILED, Kind.STEP_WAITING, Kind.STEP_CANCELLED),
    *(Kind.RUN_COMPLETED, Kind.RUN_INTERRUPTED, Kind.RUN_FAILED, Kind.RUN_CANCELLED),
)


def _line(record: Record) -> str:
    return f"{record.kind.value} {record.run} {record.step}".strip()


class Predicate:
    """A function of the log that is true of the incident, or says how much it is so."""

    def __init__(self, holds: Callable[[EventLog], Any]) -> None:
        self.holds = holds

    def fit(self, sim: Simulation) -> Fit:
        """Return 1 where it holds, or the number from 0 to 1 that it returns."""
        found = self.holds(sim.log)
        share = (
            float(found) if isinstance(found, (bool, int, float)) else float(bool(found))
        )
        return Fit(min(max(share, 0.0), 1.0), len(sim.log))

    def hints(self) -> Iterator[Fault]:
        """Yield nothing: nobody can look into a function."""
        return iter(())


class Lines:
    """Lines of a history, of each of which all words are in one record, in order."""

    def __init__(self, lines: Sequence[Sequence[str]]) -> None:
        self.lines = lines

    def fit(self, sim: Simulation) -> Fit:
        """Return the share of lines that are there, in order."""
        found, entries, missed = 0, 0, []
        records = [_words(record) for record in sim.log]
        for line in self.lines:
            later = range(entries, len(records))
            at = next((n for n in later if records[n].issuperset(line)), -1)
            if at < 0:
                missed.append(f"no record has: {' '.join(line)}")
            else:
                found, entries = found + 1, at + 1
        return Fit(found / len(self.lines), entries, tuple(missed))

    def hints(self) -> Iterator[Fault]:
        """Yield nothing: words are not looked into."""
        return iter(())


def _words(record: Record) -> frozenset[str]:
    attempt = f"#{record.attempt}" if record.attempt else ""
    parts = (record.resource, record.run, record.step, attempt, record.kind.value)
    return frozenset([*parts, *record.text.split()])


class Dumped:
    """The newest memento of a resource, and its *state* then (None: any).

    What its key is counts for nothing: how many runs there were before is not known.
    """

    def __init__(self, mementos: Sequence[Memento], state: str | None) -> None:
        self.newest = mementos[-1]
        self.state = state
        self.features = features(self.newest, state)

    def fit(self, sim: Simulation) -> Fit:
        """Return how much of it was so at once, at the best moment."""
        best, nearest = Fit(0.0), dict[str, Any]()
        for entries, run, state in _moments(sim, self.newest):
            has = features(run, None if self.state is None else state)
            alike = sum(has.get(each) == it for each, it in self.features.items())
            share = alike / max(len(self.features), len(has))
            if share > best.share:
                best, nearest = Fit(share, entries), has
        unlike = tuple(
            f"{each} is {nearest.get(each)!r}, not {it!r}"
            for each, it in self.features.items()
            if nearest.get(each) != it
        )
        return best._replace(unlike=unlike)

    def hints(self) -> Iterator[Fault]:
        """Yield what the newest run speaks of: a failure, a limit, an operator."""
        run = self.newest
        for step in run.steps:
            yield from _of_step(run, step)


def _of_step(run: Memento, step: StepMemento) -> Iterator[Fault]:
    name = step.name
    stuck = run.step is not None and run.step.name == name
    error = run.error if stuck else step.error
    text = error.removeprefix(f"step {name} fail: ") or "injected failure"
    times = step.retries + (run.reason == reasons.MANY_RETRY and stuck)
    if step.status.value == "failed" and not times:
        times = 1
    if times:
        yield FailStep(name, text, times=times)
        yield FailStep(name, text, after=True, times=times)
    if stuck and "no end after" in run.error:
        yield HangStep(name, times=max(times, 1))
    if stuck and run.status is RunStatus.INTERRUPTED and run.reason:
        if run.reason == reasons.CANCELLED:
            yield CancelAt(run.finished or step.started or 0.0)
        else:
            yield InterruptStep(name, run.reason, run.error)


def features(run: Memento | Run, state: str | None) -> dict[str, Any]:
    """Return what counts of a run and of its resource, by what it is called."""
    found: dict[str, Any] = {} if state is None else {"state": state}
    found["flow"] = run.flow
    found["status"] = run.status.value
    found["reason"] = run.reason
    found["error"] = run.error
    for step in run.steps:
        found[f"step {step.name} status"] = step.status.value
        found[f"step {step.name} retries"] = step.retries
        found[f"step {step.name} restarts"] = step.restarts
    return found


def _moments(sim: Simulation, wanted: Memento) -> Iterator[tuple[int, Run, str | None]]:
    """Yield each change of a resource of the name *wanted* has, or of a run of it.

    That is how many entries there were, its newest run as it stood then, its state.
    """
    name, newest, state = wanted.resource.name, None, None
    for seq, (_, run, change, _) in enumerate(sim.journal.entries()):
        if run is not None and run.resource.name == name:
            newest = sim.journal.run_after(seq)
        elif run is None and getattr(change, "after", None) is not None:
            state = change.after.state if change.after.key.name == name else state
        if newest is not None:
            yield seq + 1, newest, state


__all__ = ["Fit", "Reproduction", "reproduce"]
