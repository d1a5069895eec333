"""Where a run can be interrupted, and by what: sites and the points at them.

A site has a name that is the same in every run that comes there: resource, run, step,
attempt, what is written, and the how-manieth of these it is where there are several::

    mpd-0/1-CreateSharedStorageCluster/CreateRwPod#1 step.started
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from wfsim.errors import UsageError
from wfsim.model.flow import Flow, Step
from wfsim.model.record import Kind, Record
from wfsim.sim import faults as kinds
from wfsim.sim.faults import FAULTS, Fault
from wfsim.sim.prefix import Tape
from wfsim.sim.scenario import Scenario
from wfsim.sim.world import World
from wfsim.text import suggest

NOTES = frozenset({Kind.STEP_LOG, Kind.HOOK_FAILED, Kind.PASS_FAILED, Kind.CHECK_FAILED})
"""What a controller says without writing anything."""

MOMENT = 0.001
"""So many seconds after a write, at most, comes what cannot come with it."""

CRASH = "CrashAt"


class Site(NamedTuple):
    """A write of a controller: its entries in the journal of the calm run, its number.

    *after* is a time, in seconds, at which it has been made and the next one has not.
    """

    name: str
    resource: str
    run: str
    step: str
    attempt: int
    kind: str
    time: float
    after: float
    write: int
    first: int
    last: int


class Point(NamedTuple):
    """One way to interrupt: the *plan*, which is of *fault* at *site*."""

    site: str
    fault: str
    plan: tuple[Fault, ...]
    step: str = ""
    kind: str = ""


def sites_of(tape: Tape, begun: int) -> tuple[Site, ...]:
    """Return the writes on *tape* from its entry number *begun* on, in order."""
    records = tape.simulation.log.records
    writes: dict[int, list[int]] = {}
    for entry in range(begun, len(tape)):
        record = records[entry]
        if record.token and record.kind not in NOTES:
            writes.setdefault(tape.moment(entry).faults[0], []).append(entry)
    sites, seen = [], dict[str, int]()
    for number, entries in writes.items():
        record = records[entries[0]]
        name = _name(record)
        seen[name] = seen.get(name, 0) + 1
        name = name if seen[name] == 1 else f"{name} ~{seen[name]}"
        later = (tape.moment(entry).time for entry in range(entries[-1] + 1, len(tape)))
        ahead = next((time for time in later if time > record.time), record.time + 1.0)
        after = record.time + min(MOMENT, (ahead - record.time) / 2)
        rounded = round(after, 6)  # for whoever reads it
        sites.append(
            Site(
                name,
                record.resource,
                record.run,
                record.step,
                record.attempt,
                record.kind.value,
                record.time,
                rounded if record.time < rounded < ahead else after,
                number,
                entries[0],
                entries[-1],
            )
        )
    return tuple(sites)


def _name(record: Record) -> str:
    step = f"/{record.step}#{record.attempt}" if record.step else ""
    run = f"/{record.run}" if record.run else ""
    return f"{record.resource}{run}{step} {record.kind.value}"


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
    return {name: found[name] for name in names if name in found}


def _steps(scenario: Scenario) -> Iterator[tuple[Flow, Step]]:
    return ((flow, step) for flow in scenario.flows.values() for step in flow.steps)


def _limit(scenario: Scenario, flow: Flow, step: Step) -> bool:
    limits = (step.timeout, flow.timeout, flow.deadline, scenario.policy.deadline)
    return any(limit is not None for limit in limits)


def crashes(sites: Iterable[Site], restart_after: float) -> Iterator[Point]:
    """Return a crash before and one after each write."""
    for site in sites:
        for when in ("before", "after"):
            crash = kinds.CrashAt(
                write=site.write,
                when=when,
                restart_after=restart_after,
            )
            yield Point(site.name, f"{CRASH} {when}", (crash,), site.step, site.kind)


def points(
    names: Collection[str], sites: Iterable[Site], scenario: Scenario, away: float
) -> Iterator[Point]:
    """Return every fault of *names* at every site where it applies, crashes excepted."""
    limited = {
        step.name for flow, step in _steps(scenario) if _limit(scenario, flow, step)
    }
    for site in sites:
        for label, fault in _at(site, away, limited):
            if type(fault).__name__ in names:
                yield Point(site.name, label, (fault,), site.step, site.kind)


def _at(site: Site, away: float, limited: Collection[str]) -> Iterator[tuple[str, Fault]]:
    t, resource = site.after, site.resource
    yield "FailSave", kinds.FailSave(site.write)
    yield "FailSave applied", kinds.FailSave(site.write, applied=True)
    yield "RefuseWrite", kinds.RefuseWrite(site.write)
    yield "CancelAt", kinds.CancelAt(t, resource)
    for kind in (kinds.StaleRead, kinds.DropWatch, kinds.ApiDown, kinds.PauseController):
        yield kind.__name__, kind(t, away)
    yield "BreakOne", kinds.BreakOne(t, for_=away)
    if site.kind == Kind.STEP_STARTED:
        name, where = site.step, {"attempt": site.attempt, "resource": resource}
        yield "FailStep", kinds.FailStep(name, **where)  # type: ignore[arg-type]
        yield "FailStep after", kinds.FailStep(name, after=True, **where)  # type: ignore[arg-type]
        yield "DelayStep", kinds.DelayStep(name, by=away, **where)  # type: ignore[arg-type]
        yield "InterruptStep", kinds.InterruptStep(name, **where)  # type: ignore[arg-type]
        if name in limited:
            yield "HangStep", kinds.HangStep(name, **where)  # type: ignore[arg-type]
