"""``wfsim.explore``: every interruption of a scenario within a bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal

from wfsim.campaign.execution import Execution
from wfsim.campaign.failure import Failure
from wfsim.campaign.lab import Lab, Maker, Outcome
from wfsim.campaign.oracles import CODES, ORACLES
from wfsim.campaign.priority import order
from wfsim.campaign.report import Report
from wfsim.campaign.schedules import PREEMPTED, preempted_again, preemptions
from wfsim.campaign.shrink import shrink
from wfsim.campaign.sites import (
    CRASH,
    LASTS,
    Point,
    Surveyed,
    reasons,
    singles,
    wanted,
)
from wfsim.campaign.verdict import Check
from wfsim.campaign.views import views
from wfsim.errors import UsageError
from wfsim.model.bounds import MAX_SECONDS, Number, argument
from wfsim.sim.faults import Fault
from wfsim.sim.scenario import Scenario
from wfsim.sim.simulation import Simulation
from wfsim.study.execution import check_jobs
from wfsim.text import called, suggest

Wish = Callable[[Simulation], Any]

POINTS = Number("points, or seconds as a float,", ge=0, le=MAX_SECONDS)
Budget = Annotated[float, POINTS] | None


def explore(
    scenario: Scenario | Maker,
    faults: str | Iterable[str | type[Fault]] = "all",
    depth: int = 1,
    budget: float | None = None,
    jobs: int = 1,
    *,
    seed: int | None = None,
    restart_after: float = 10.0,
    asks: Mapping[str, Any] | None = None,
    always: Iterable[Wish] = (),
    eventually: Iterable[Wish] = (),
    sometimes: Iterable[Wish] = (),
    without: Iterable[str] | Mapping[str, str] = (),
    but: Iterable[str] = (),
    alike: Iterable[str] = (),
    join: bool = True,
    progress: bool | None = None,
    controllers: int = 1,
) -> Report:
    """Interrupt *scenario* in every way within the bound; return what came of it.

    A calm run comes first.  Then the controller dies before and after each write and each
    call of the world and inside each wait, to come back *restart_after* seconds later,
    and every other fault of *faults* ("all", names or classes) happens at each site where
    it applies.  With *depth* 2 each crash and each request is followed by a crash at each
    later site.  Then there are no more faults, and all must settle; *without* names
    invariants not to be asked, by name or code, with reasons if it is a mapping.

    *scenario* may be a function that takes faults and returns a `Simulation` in which
    something has been asked for.  *asks* is what an operator may ask, by name: each has
    *calls* as in ``polardb.asks()``.  *always*, *eventually* and *sometimes* are
    functions of the simulation at each record, at the end, at any record of any run; they
    do not hold if they return False or a text, or assert.  *but* are dotted paths of the
    world's `essence` that may differ from the calm run's, ``*`` for any name, and so are
    ``resources.*.status.name``; *alike* are regular expressions of names, such as those
    with a number that an attempt uses up, which may be others.  *budget* is a number of
    points, or as a float of seconds, the most telling points first; *jobs* the number of
    processes, with the same report; *progress* that of `Simulation.run`.  Ctrl-C leaves a
    report of what has been run.  Without *join* all is run to its end.
    With *controllers*, as many as *depth* pre-emptions take turns between them.
    Raises `UsageError` for wrong arguments or a calm run that breaks an invariant itself.
    """
    argument("depth", depth, Literal[1, 2])
    argument("budget", budget, Budget)
    check_jobs(jobs)
    names = wanted(faults)
    checks, skipped = _asked(without)
    lab = Lab(scenario, seed, restart_after, tuple(but), tuple(alike), checks, join)
    lab.always, lab.eventually = tuple(always), tuple(eventually)
    lab.sometimes, lab.controllers = tuple(sometimes), controllers
    if broken := lab.reference():
        raise UsageError(f"the calm run breaks an invariant itself: {broken[0].text}")
    listed, never, pruned = _planned(lab, names, asks or {})
    with Execution(lab, budget, jobs, progress) as execution:
        execution.run(listed)
        if depth == 2 and not execution.is_late:
            execution.run(_pairs(lab, listed))
    report = _report(lab, execution, never, skipped)
    report.pruned, report.reasons = pruned, reasons(names, lab.sites, lab.calm.scenario)
    return report


def _report(
    lab: Lab, execution: Execution, never: Mapping[str, str], skipped: Mapping[str, str]
) -> Report:
    """Return what *execution* has come to, and what follows from that."""
    scenario = lab.calm.scenario
    report = Report(
        scenario.title,
        lab.sites,
        tuple(execution.outcomes),
        execution.planned,
        never,
        skipped,
        (*lab.but, *lab.alike),
        execution.is_cut_short,
    )
    report.failures = _failures(lab, report.outcomes)
    report.edges, report.moves = edges_of(scenario), lab.moves
    seen = Counter(name for outcome in report.outcomes for name in outcome.reached)
    seen.update(lab.seen)
    report.sometimes = {name: seen[name] for name in map(called, lab.sometimes)}
    return report


def edges_of(scenario: Scenario) -> tuple[tuple[str, str, str], ...]:
    """Return kind, state and next state of each arrow of the state graphs."""
    return tuple(
        dict.fromkeys(
            (kind, edge.source, edge.target)
            for kind, machine in scenario.machines.items()
            for edge in machine.edges()
        )
    )


def problems(
    scenario: Scenario | Maker,
    plan: Iterable[Fault],
    *,
    seed: int | None = None,
    always: Iterable[Wish] = (),
    eventually: Iterable[Wish] = (),
    without: Iterable[str] | Mapping[str, str] = (),
    but: Iterable[str] = (),
    alike: Iterable[str] = (),
) -> list[str]:
    """Return what is wrong with one run of *scenario* by *plan*, as `explore` would say.

    The arguments are those of `explore`.  A plan of which a fault never came is wrong.
    """
    checks, _ = _asked(without)
    lab = Lab(scenario, seed, 0.0, tuple(but), tuple(alike), checks)
    lab.always, lab.eventually = tuple(always), tuple(eventually)
    outcome = lab.afresh(Point("", "", tuple(plan)))
    if outcome.how == "void":
        return ["a fault of the plan never came"]
    return [f"{each.invariant}: {each.text}" for each in outcome.violations]


def _asked(
    without: Iterable[str] | Mapping[str, str],
) -> tuple[dict[str, Check], dict[str, str]]:
    """Return the invariants that are asked, and why the others, *without*, are not."""
    given = without if isinstance(without, Mapping) else dict.fromkeys(without, "")
    skipped: dict[str, str] = {}
    for name, why in given.items():
        names = [name] if name in ORACLES else CODES.get(name, ())
        if not names:
            raise UsageError(f"no invariant {name!r}{suggest(name, (*ORACLES, *CODES))}")
        skipped |= dict.fromkeys(names, why)
    asked = {name: check for name, check in ORACLES.items() if name not in skipped}
    return asked, dict(sorted(skipped.items()))


def _planned(
    lab: Lab, names: Sequence[str], asks: Mapping[str, Any]
) -> tuple[list[Point], dict[str, str], dict[str, str]]:
    """Return all points of one fault, most telling first, and why others are nowhere.

    The last part is of single points that are left out; see `Report.pruned`.
    """
    scenario, world = lab.calm.scenario, lab.calm.world
    listed, never = singles(names, asks, lab.sites, scenario, world, lab.away)
    if len(lab.calm.names) > 1:
        never.pop("LoseLease", None)
    if asks:
        never.pop("EditAt", None)
    more, pruned = _between(lab, frozenset(names))
    return order([*listed, *more]), never, pruned


def _between(lab: Lab, names: frozenset[str]) -> tuple[list[Point], dict[str, str]]:
    """Return what is tried of views and of controllers, and why the rest is not."""
    if names.isdisjoint(("StaleRead", "DropWatch", "LoseLease", "PauseController")):
        return [], {}
    calm = lab.calm
    assert isinstance(calm, Surveyed)
    seen = views(calm, lab.sites, LASTS)
    found, pruned = [*seen.points], dict(seen.pruned)
    if len(lab.calm.names) > 1:
        turns = preemptions(lab.sites, lab.calm.scenario.policy)
        found, pruned = [*found, *turns.points], pruned | turns.pruned
    kinds = [({type(fault).__name__ for fault in it.plan}, it) for it in found]
    return [it for kind, it in kinds if kind <= names], pruned


def _pairs(lab: Lab, listed: Iterable[Point]) -> list[Point]:
    """Return each crash or request of *listed* with a later crash, most telling first."""
    pairs: list[Point] = []
    kinds = {type(fault) for point in listed for fault in point.plan}
    for first in listed:
        # What an engine that breaks down has come to is told of the first fault.
        with suppress(Exception):
            if first.fault.startswith(PREEMPTED):
                turns = preempted_again(first, lab.ended, lab.calm.scenario.policy)
                pairs += [pair for pair in turns.points if type(pair.plan[-1]) in kinds]
            elif first.fault.startswith((CRASH, "ask ")):
                pairs += lab.again(first)
    return order(pairs)


def _failures(lab: Lab, outcomes: Iterable[Outcome]) -> list[Failure]:
    """Return the failures by cause, each with its smallest plan, run from the start."""
    causes: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.violations:
            causes.setdefault(outcome.violations[0].cause, []).append(outcome)
    failures = []
    for cause, members in causes.items():
        smallest = min(members, key=lambda each: len(each.point.plan))

        def fails(plan: tuple[Fault, ...], cause: str = cause) -> bool:
            found = lab.afresh(Point("", "", plan)).violations
            return any(each.cause == cause for each in found)

        plan = smallest.point.plan
        is_same = fails(plan)
        if is_same:
            plan = shrink(plan, fails)
        again = lab.afresh(Point("", "", plan)).violations
        first = next((each for each in again if each.cause == cause), None)
        failures.append(
            Failure(
                cause,
                first or smallest.violations[0],
                plan,
                tuple(each.point for each in members),
                lab,
                is_same,
            )
        )
    return failures
