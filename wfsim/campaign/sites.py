"""Sites of a calm run, and the points at them: where it is interrupted, and by what.

A point that does not apply is told of with the reason, so that no cell of a matrix of
faults by steps is empty without one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from wfsim.errors import UsageError
from wfsim.model.flow import Flow, Step
from wfsim.model.record import Kind
from wfsim.model.resource import CANCEL, RECOVERY, Recovery, Resource
from wfsim.sim import faults as kinds
from wfsim.sim.faults import FAULTS, EditAt, Fault
from wfsim.sim.prefix import Recorded, RecordedJournal, mixed
from wfsim.sim.scenario import Scenario
from wfsim.sim.simulation import Simulation
from wfsim.sim.sites import KINDS, TIMER, Site
from wfsim.sim.world import World
from wfsim.text import suggest

CRASH = "CrashAt"

LASTS = 10.0
"""So many seconds lasts what has a length."""

CALL, WAIT, TIME = "call", "wait", "timer"
"""The kinds of sites that are no writes."""


class Point(NamedTuple):
    """One way to interrupt: the *plan*, which is of *fault* at *site*."""

    site: str
    fault: str
    plan: tuple[Fault, ...]
    step: str = ""
    kind: str = ""

    def then(self, later: Point) -> Point:
        """Return *later*, after this one."""
        return later._replace(
            site=f"{self.site}, {later.site}",
            fault=f"{self.fault}, {later.fault}",
            plan=(*self.plan, *later.plan),
        )


class Surveyed(Recorded):
    """A recorded simulation that keeps its sites too, in the order they were passed."""

    kept: list[Site]
    journal: RecordedJournal

    def begin(self) -> None:
        if not self._begun:
            assert isinstance(self.journal, RecordedJournal)
            self.kept = self.plan.ports.keep_sites(self.journal.mark)
        super().begin()


def surveyed(origin: Simulation) -> Surveyed:
    """Return a twin of *origin*, as far as that has come, of which the sites are kept."""
    twin = origin.twin(mixed(Surveyed, type(origin)))  # type: ignore[arg-type]
    assert isinstance(twin, Surveyed)
    return twin


def sites_of(kept: Iterable[Site], begun: int) -> tuple[Site, ...]:
    """Return the sites that a run has *kept*, from its entry number *begun* on, in order.

    Calls are those that have changed the world or raised an error.
    """
    ordered = sorted(kept, key=lambda site: (site.time, site.first))
    timers = [*_timers(ordered)]
    ordered = sorted([*ordered, *timers], key=lambda site: (site.time, site.first))
    return tuple(site for site in ordered if site.first >= begun)


def _timers(ordered: Sequence[Site]) -> Iterator[Site]:
    """Yield the time after each write in which nobody does anything for its resource."""
    by_resource: dict[str, list[Site]] = {}
    for site in ordered:
        by_resource.setdefault(site.resource, []).append(site)
    for sites in by_resource.values():
        busy = 0.0
        for site, later in pairwise(sites):
            busy = max(busy, site.time + site.lasts)
            if site.write and busy < later.time:
                yield site._replace(
                    name=f"{site.name}{TIMER}",
                    kind=TIME,
                    time=busy,
                    lasts=later.time - busy,
                    write=0,
                )


def singles(
    names: Collection[str],
    asks: Mapping[str, Any],
    sites: Sequence[Site],
    scenario: Scenario,
    world: World | None,
    away: float,
) -> tuple[list[Point], dict[str, str]]:
    """Return all points of one fault or request, and why other kinds are nowhere."""
    never = unfit(names, scenario, world)
    listed = [*crashes(sites, away)] if CRASH in names else []
    others = [name for name in names if name not in never]
    listed += points(others, sites, scenario, LASTS)
    asked, unsaid = requests(asks, sites, scenario)
    return [*listed, *asked], never | unsaid


def wanted(faults: str | Iterable[str | type[Fault]]) -> tuple[str, ...]:
    """Return the names of *faults*, "all" or some; `UsageError` for an unknown one."""
    if faults == "all":
        return tuple(FAULTS)
    listed = [faults] if isinstance(faults, (str, type)) else faults
    names = [each if isinstance(each, str) else each.__name__ for each in listed]
    for name in names:
        if name not in FAULTS:
            raise UsageError(f"no fault {name!r}{suggest(name, FAULTS)}")
    return tuple(name for name in FAULTS if name in names)


def unfit(
    names: Collection[str], scenario: Scenario, world: World | None
) -> dict[str, str]:
    """Return those of *names* that apply nowhere in *scenario*, with the reason."""
    found = {
        "EditAt": "what may be edited nobody knows; say so in asks=",
        "BreakOne": "the world breaks nothing: it has no break_one() of its own",
        "HangStep": "no step has a time limit, so nothing would end it",
        "LoseLease": "there is one controller, so nobody would take the lease",
    }
    if world is not None and type(world).break_one is not World.break_one:
        del found["BreakOne"]
    if any(_limit(scenario, flow, step) for flow, step in _steps(scenario)):
        del found["HangStep"]
    if world is None:
        found["RepeatCall"] = "there is no world that is called"
    return {name: found[name] for name in names if name in found}


def _steps(scenario: Scenario) -> Iterator[tuple[Flow, Step]]:
    return ((flow, step) for flow in scenario.flows.values() for step in flow.steps)


def _limit(scenario: Scenario, flow: Flow, step: Step) -> bool:
    limits = (step.timeout, flow.timeout, flow.deadline, scenario.policy.deadline)
    return any(limit is not None for limit in limits)


def crashes(sites: Iterable[Site], restart_after: float) -> Iterator[Point]:
    """Return a crash before and one after each write and call, and one in each wait."""
    for site in sites:
        if site.kind in (WAIT, TIME):
            crash = kinds.CrashAt(
                site=site.name, later=middle(site), restart_after=restart_after
            )
            yield Point(site.name, f"{CRASH} in", (crash,), site.step, site.kind)
            continue
        for when in ("before", "after"):
            crash = kinds.CrashAt(site=site.name, when=when, restart_after=restart_after)
            yield Point(site.name, f"{CRASH} {when}", (crash,), site.step, site.kind)


def middle(site: Site) -> float:
    """Return half the seconds that *site* lasts, as a number one can read."""
    half = site.lasts / 2
    return round(half, 3) or half


class Cell(NamedTuple):
    """A kind of fault at a site: the *fault* itself, or *why* there is none."""

    label: str
    fault: Fault | None
    why: str = ""


def points(
    names: Collection[str], sites: Iterable[Site], scenario: Scenario, away: float
) -> Iterator[Point]:
    """Return every fault of *names* at every site where it applies, crashes excepted."""
    limited = _limited(scenario)
    for site in sites:
        for label, fault, _ in _cells(site, away, limited):
            if fault is not None and type(fault).__name__ in names:
                yield Point(site.name, label, (fault,), site.step, site.kind)


def reasons(
    names: Collection[str], sites: Iterable[Site], scenario: Scenario
) -> dict[tuple[str, str], str]:
    """Return why a fault of *names* is at no site of a step, by fault and step.

    A step is "-" between steps.
    """
    limited = _limited(scenario)
    why: dict[tuple[str, str], str] = {}
    applies = set()
    for site in sites:
        for label, fault, reason in _cells(site, 1.0, limited):
            if label.split()[0] in names:
                cell = label, site.step or "-"
                if fault is None:
                    why.setdefault(cell, reason)
                else:
                    applies.add(cell)
    return {cell: reason for cell, reason in why.items() if cell not in applies}


def _limited(scenario: Scenario) -> set[str]:
    return {step.name for flow, step in _steps(scenario) if _limit(scenario, flow, step)}


_NO_WRITE = "nothing is written there"
_NO_CALL = "the world is not called there"
_NO_STEP = "no step is at work there"
_NO_LIMIT = "the step has no time limit, so nothing would end it"
_NO_TIME = "a call of the world takes no time that could be longer"


def _cells(site: Site, away: float, limited: Collection[str]) -> Iterator[Cell]:
    """Yield every kind of fault at *site*, crashes excepted."""
    name, kind = site.name, site.kind
    at: dict[str, Any] = {"site": name}
    is_write = kind in KINDS
    of_writes: dict[str, Fault] = {
        "FailSave": kinds.FailSave(**at),
        "FailSave applied": kinds.FailSave(**at, applied=True),
        "RefuseWrite": kinds.RefuseWrite(**at),
    }
    for label, fault in of_writes.items():
        yield Cell(label, fault if is_write else None, _NO_WRITE)
    called = site.call is not None and site.call.repeat is not None
    yield Cell("RepeatCall", kinds.RepeatCall(**at) if called else None, _NO_CALL)
    is_step = kind in (Kind.STEP_STARTED, WAIT, CALL)
    of_steps: dict[str, Fault] = {
        "FailStep": kinds.FailStep(**at),
        "FailStep after": kinds.FailStep(**at, after=True),
        "InterruptStep": kinds.InterruptStep(**at),
    }
    for label, fault in of_steps.items():
        yield Cell(label, fault if is_step else None, _NO_STEP)
    lasts = kind in (Kind.STEP_STARTED, WAIT)
    why = _NO_TIME if kind == CALL else _NO_STEP
    delay = kinds.DelayStep(**at, by=away) if lasts else None
    yield Cell("DelayStep", delay, why)
    hangs = lasts and site.step in limited
    hang = kinds.HangStep(**at) if hangs else None
    yield Cell("HangStep", hang, _NO_LIMIT if lasts else why)
    if kind in (WAIT, TIME):
        at["later"] = middle(site)
    yield Cell("CancelAt", kinds.CancelAt(**at, resource=site.resource))
    for each in (kinds.StaleRead, kinds.DropWatch, kinds.ApiDown, kinds.PauseController):
        yield Cell(each.__name__, each(**at, for_=away))
    yield Cell("BreakOne", kinds.BreakOne(**at, for_=away))


def requests(
    asks: Mapping[str, Any], sites: Sequence[Site], scenario: Scenario
) -> tuple[list[Point], dict[str, str]]:
    """Return each of *asks* at each of *sites*, and those that no plan can say."""
    listed, never = [], {}
    for name, ask in asks.items():
        for site in sites:
            recovery = recovery_of(scenario, site.resource)
            plan = tuple(_asked(ask.calls, site, recovery))
            if not plan:
                never[f"ask {name}"] = "it asks for nothing"
                break
            listed.append(Point(site.name, f"ask {name}", plan, site.step, site.kind))
    return listed, never


def recovery_of(scenario: Scenario, resource: str) -> Recovery:
    """Return how *resource* is asked to go on; one that arrives is of the only kind."""
    machines = scenario.machines
    kinds_of = [each.kind for each in scenario.resources if str(each.key) == resource]
    (kind,) = kinds_of or [*machines][:1] or [""]
    return machines[kind].notes if kind in machines else RECOVERY


Calls = Sequence[tuple[str, Mapping[str, Any]]]


def _asked(calls: Calls, site: Site, recovery: Recovery) -> Iterator[Fault]:
    """Yield a fault for each of *calls*; to create what was deleted is to replace it."""
    at: dict[str, Any] = {"site": site.name, "resource": site.resource}
    if site.kind in (WAIT, TIME):
        at["later"] = middle(site)
    match calls:
        case (("delete", _), ("create", given)):
            yield EditAt(**at, spec=given.get("spec", {}), replace=True)
        case (("begin", first), ("begin", then)):
            yield kinds.AskAt(**at, call="begin", inputs={**first, "then": dict(then)})
        case _:
            for call, given in calls:
                yield _request(call, given, at, recovery)


def _request(
    call: str, given: Mapping[str, Any], at: Mapping[str, Any], recovery: Recovery
) -> Fault:
    match call:
        case "edit":
            return EditAt(**at, **given)
        case "uncancel":
            return EditAt(**at, annotations={CANCEL: None})
        case "recover":
            asked = recovery.ask(Resource("", ""))
            parts = {"spec": asked.spec, "status": asked.status}
            changed: dict[str, Any] = {k: part for k, part in parts.items() if part}
            return EditAt(**at, annotations=asked.annotations, **changed)
        case "delete":
            return EditAt(**at, delete=True)
    return kinds.AskAt(**at, call=call, inputs=dict(given))
