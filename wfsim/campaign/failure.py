"""All points that fail for one cause: the smallest plan, when, where and why it fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from wfsim.campaign.lab import Lab
from wfsim.campaign.lines import Trace
from wfsim.campaign.regression import regression
from wfsim.campaign.sites import Point
from wfsim.campaign.verdict import Violation, broken_down
from wfsim.model.flow import Flow
from wfsim.model.record import Kind, Record
from wfsim.sim.faults import Fault, dump_plan
from wfsim.sim.prefix import Tape
from wfsim.sim.scenario import Scenario
from wfsim.sim.simulation import Simulation

if TYPE_CHECKING:
    import pandas as pd

BESIDE = ("time", "kind", "step", "attempt", "text")
"""The fields of a record that are compared with those of the reference."""


REPEATED = (
    "Without any fault a second run ends badly, too: a step keeps something of its own "
    "that outlives a run, such as a cache or a global."
)


class Doom(NamedTuple):
    """The first *record* after which it had to end so, found in so many *runs*."""

    record: Record | None
    runs: int


@dataclass
class Failure:
    """All points that fail for one *cause*, and the smallest plan that does.

    *faults* are those of the plan; *is_replayed* says that the plan, run from the start,
    fails just so.
    """

    cause: str
    violation: Violation
    faults: tuple[Fault, ...]
    points: tuple[Point, ...]
    _lab: Lab = field(repr=False)
    is_replayed: bool = True

    @property
    def plan(self) -> str:
        """The smallest plan, as YAML that `load_plan` reads."""
        return dump_plan(self.faults)

    def is_by(self, fault: str, step: str) -> bool:
        """Whether a point of that *fault* in *step* ("-": between steps) fails so."""
        return any((p.fault, p.step or "-") == (fault, step) for p in self.points)

    @property
    def seed(self) -> int:
        """The seed of its runs."""
        return self._lab.calm.seed

    def replay(self) -> Simulation:
        """Return a simulation stopped where the outcome had become inevitable.

        That is at the first record of which `inevitable` says so, or at the end.
        """
        sim = self._lab.make(self.faults)
        record = self.inevitable.record
        if record is None:
            self._causes(sim)
        else:
            seq = record.seq
            sim.run(until=lambda found: found.seq >= seq)
        return sim

    def _causes(self, sim: Simulation) -> set[str]:
        """Run *sim* to its end; return the causes of what is wrong then."""
        try:
            found = self._lab.judge(sim, self.faults)
        except Exception as error:  # an engine that breaks down is a finding, too
            return {broken_down(error).cause}
        return {each.cause for each in found}

    @property
    def calm(self) -> Simulation:
        """The run without any fault, at its end."""
        return self._lab.calm

    def ended(self) -> Simulation:
        """Return a simulation of the plan at its end."""
        sim = self._lab.make(self.faults)
        self._causes(sim)
        return sim

    @cached_property
    def inevitable(self) -> Doom:
        """The first record from which a new controller, without faults, ends so too.

        It is looked for by bisection over the prefixes of the plan's own run.
        """
        try:
            tape = Tape.of(self.ended())
        except Exception:  # an engine that breaks down leaves nothing to go on from
            return Doom(None, 0)
        tape.simulation.given_faults = ()
        low, high, runs = 0, len(tape), 0
        while low < high:
            middle, runs = (low + high) // 2, runs + 1
            if self._is_doomed(tape, middle + 1):
                high = middle
            else:
                low = middle + 1
        found = None if low >= len(tape) else tape.simulation.log.records[low]
        return Doom(found, runs)

    def _is_doomed(self, tape: Tape, entries: int) -> bool:
        sim = tape.after(entries)
        for name in sim.names:
            sim.restart(name)
        return self.cause in self._causes(sim)

    def diff(self) -> pd.DataFrame:
        """Return the records of the plan's run beside those of the reference.

        One row for each where they differ, in order: ``which`` (``reference`` or
        ``failure``, str), ``seq`` (int), ``time`` (float, seconds), ``kind``, ``step``,
        ``text`` (str), ``attempt`` (int).
        """
        import pandas as pd

        rows = [
            {"which": which, "seq": record.seq}
            | {name: getattr(record, name) for name in BESIDE}
            for which, record in self._differing()
        ]
        frame = pd.DataFrame(rows, columns=["which", "seq", *BESIDE])
        frame["kind"] = [str(getattr(kind, "value", kind)) for kind in frame["kind"]]
        return frame

    def _differing(self) -> Iterator[tuple[str, Record]]:
        from difflib import SequenceMatcher

        then, now = list(self._lab.calm.log), list(self.ended().log)
        one, other = ([_face(each) for each in log] for log in (then, now))
        matcher = SequenceMatcher(None, one, other, autojunk=False)
        for tag, i1, i2, j1, j2 in matcher.get_opcodes():
            if tag != "equal":
                yield from (("reference", record) for record in then[i1:i2])
                yield from (("failure", record) for record in now[j1:j2])

    @property
    def said(self) -> str:
        """What is not as it ought to be, as one line."""
        return f"{self.violation.invariant}: {self.violation.text}"

    @cached_property
    def explanation(self) -> str:
        """The same in the words of the step that was at work, and of its lines.

        It is empty if no step was, or none has lines of a user.
        """
        trace = Trace(self._lab.make(self.faults))
        self._causes(trace.simulation)
        said = trace.explained()
        again = self._causes(self._lab.make())
        return f"{said}\n{REPEATED}" if again and said else said

    @cached_property
    def flow(self) -> Flow | None:
        """The flow without every step that can go, while the plan still fails so.

        It is None where the scenario has several flows or one with edges, or was given
        as a function.
        """
        subject = self._lab.subject
        if not isinstance(subject, Scenario):
            return None
        ran = {each.flow for each in self._lab.calm.log.filter(Kind.RUN_CREATED)}
        flow = subject.flows[min(ran)] if len(ran) == 1 else None
        if flow is None or not flow.is_linear:
            return None
        for step in reversed(flow.steps):
            left = tuple(each for each in flow.steps if each.name != step.name)
            if left and self._still_fails(subject, replace(flow, steps=left)):
                flow = replace(flow, steps=left)
        return flow

    def _still_fails(self, subject: Scenario, flow: Flow) -> bool:
        others = [each for each in subject.flows.values() if each.name != flow.name]
        smaller = replace(self._lab, subject=subject.but(flows=[flow, *others]))
        if smaller.reference():
            return False
        outcome = smaller.afresh(Point("", "", self.faults))
        code = self.violation.invariant
        return any(each.invariant == code for each in outcome.violations)

    def as_test(self, name: str = "test_it_survives") -> str:
        """Return a test for pytest, of the fixture ``scenario``, that fails by now.

        What was asked of each run is asked there; functions that are in no module are
        written out, or fixtures if they need more than that.
        """
        return regression(name, self.said, self.faults, self._lab)

    @property
    def story(self) -> list[str]:
        """Lines that say when there was no way back, and what was at work."""
        record = self.inevitable.record
        lines = self.explanation.splitlines()
        if record is not None:
            what = " ".join(f"{record.kind.value} {record.step} {record.text}".split())
            lines.append(
                f"No way back from record #{record.seq} at {record.time:g} s: {what}."
            )
        return lines

    def __str__(self) -> str:
        return f"{self.said}\n{self.plan}"


def _face(record: Record) -> tuple[object, ...]:
    """Return what of *record* is alike in two runs that differ in time alone."""
    names = ("kind", "resource", "run", "step", "attempt", "text")
    return tuple(getattr(record, name) for name in names)
