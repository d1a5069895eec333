"""An incident: what is known of it, and how well a run fits that.

It is a dump of mementos, lines of a history, or a predicate on the log.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from wfsim.errors import UsageError
from wfsim.files.configmap import Caretaker, load_mementos
from wfsim.model import memento as reasons
from wfsim.model.log import EventLog
from wfsim.model.memento import Memento, RunStatus, StepMemento
from wfsim.model.record import Kind, Record
from wfsim.model.run import Run
from wfsim.sim.faults import CancelAt, FailStep, Fault, HangStep, InterruptStep
from wfsim.sim.scenario import Scenario
from wfsim.sim.simulation import Simulation
from wfsim.text import suggest

What = (
    str | os.PathLike[str] | Caretaker | Memento | Sequence[str]
    | EventLog | Callable[[EventLog], Any]
)  # fmt: skip
"""What may be known of an incident."""


class Fit(NamedTuple):
    """How well a run fits: a *share* from 0 to 1, where best, and what is not so there.

    *entries* is how many records there were by then, *missing* names what *unlike* says.
    """

    share: float
    entries: int = 0
    unlike: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class Incident(Protocol):
    """What is known of an incident."""

    def fit(self, sim: Simulation) -> Fit:
        """Return how well *sim*, at its end, fits where it fits best."""
        ...

    def hints(self) -> Iterator[Fault]:
        """Yield the faults that it speaks of, wherever they may have come."""
        ...


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
        return Fit(found / len(self.lines), entries, tuple(missed), tuple(missed))

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

    def refuse_stranger(self, scenario: Scenario) -> None:
        """Raise `UsageError` if *scenario* has no flow that is called so."""
        flow, flows = self.newest.flow, scenario.flows
        if flow not in flows:
            raise UsageError(
                f"the newest run of the dump is of flow {flow!r}, which {scenario.title} "
                f"has not{suggest(flow, flows)}"
            )

    def fit(self, sim: Simulation) -> Fit:
        """Return how much of it was so at once, at the best moment."""
        best, nearest = Fit(0.0), dict[str, Any]()
        for entries, run, state in _moments(sim, self.newest):
            has = features(run, None if self.state is None else state)
            alike = sum(has.get(each) == it for each, it in self.features.items())
            share = alike / max(len(self.features), len(has))
            if share > best.share:
                best, nearest = Fit(share, entries), has
        missing = tuple(
            each for each, it in self.features.items() if nearest.get(each) != it
        )
        unlike = tuple(
            f"{each} is {nearest.get(each)!r}, not {self.features[each]!r}"
            for each in missing
        )
        return best._replace(unlike=unlike, missing=missing)

    def hints(self) -> Iterator[Fault]:
        """Yield what the newest run speaks of: a failure, a limit, an operator."""
        run = self.newest
        for step in run.steps:
            yield from _of_step(run, step)


def _of_step(run: Memento, step: StepMemento) -> Iterator[Fault]:
    name = step.name
    stuck = run.step is not None and run.step.name == name
    error = run.error if stuck else step.error
    # A dump has no more than the text, in which the reference wraps the last error.
    text = error.rpartition(f"step {name} fail: ")[2] or "injected failure"
    text = text.removesuffix("]") if "err:[" in error else text
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
        else:
            after = getattr(change, "after", None) if run is None else None
            if after is None or after.key.name != name:
                continue
            state = after.state
        if newest is not None:
            yield seq + 1, newest, state


__all__ = ["Fit", "Incident", "What", "known"]
