"""Lines of a user's steps: what each did, in which attempt, and what cut it short.

A simulation is run once more with its steps watched line by line: Python tells of each
line before it is run, and what has changed in the world by then was done by the last one.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator, Mapping
from inspect import unwrap
from types import CodeType, FrameType
from typing import Any, NamedTuple

from wfsim.campaign.plain import glimpse, plain
from wfsim.engine.ports import Effect, Ports, StepFunction
from wfsim.model.record import Kind, Record
from wfsim.sim.control_plane import ControlPlane
from wfsim.sim.pool import pools
from wfsim.sim.prefix import mixed
from wfsim.sim.simulation import Simulation
from wfsim.text import place_of

OURS = ("wfsim", "simpy")
"""Packages whose lines are nobody's step."""


class Line(NamedTuple):
    """A line of a step, and what it *changed* first of world or resource, as a phrase.

    *entries* is how many records there were before it, *end* says how the attempt ended
    if it did so here: ``returned``, or with which error.
    """

    step: str
    attempt: int
    file: str
    number: int
    source: str
    entries: int
    changed: str = ""
    end: str = ""

    @property
    def where(self) -> str:
        """File, number and text; a cell of a notebook is no file with a name."""
        return f"{place_of(self.file, self.number)} `{self.source}`"


class Watched(Simulation):
    """A simulation that keeps the *lines* of its steps."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        assert isinstance(self.plane, WatchedPlane)
        self.lines: list[Line] = []
        self.plane.watched = self


class WatchedPlane(ControlPlane):
    """The controllers of a *watched* simulation."""

    watched: Watched

    def ports(self, name: str) -> Ports:
        """Return what the controller works with, its steps watched."""
        ports = super().ports(name)
        return ports._replace(steps=WatchedSteps(ports.steps, self.watched))


class WatchedSteps(Mapping[str, StepFunction]):
    """Bodies of steps, each driven line by line."""

    def __init__(self, steps: Mapping[str, StepFunction], simulation: Watched) -> None:
        self._steps = steps
        self._simulation = simulation

    def __getitem__(self, name: str) -> StepFunction:
        body, simulation = self._steps[name], self._simulation
        own = simulation.scenario.steps
        code = _code(own[name]) if name in own else None

        def effect(context: Any) -> Effect[Any]:
            return (yield from _Attempt(simulation, context, code).driven(body(context)))

        return effect

    def __contains__(self, name: object) -> bool:
        return name in self._steps

    def __iter__(self) -> Iterator[str]:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)


def _code(body: Any) -> CodeType | None:
    """Return the code that a user wrote of *body*, decorated or not; None if unknown."""
    function = unwrap(body)
    if str(getattr(function, "__module__", "wfsim")).partition(".")[0] in OURS:
        return None
    return getattr(function, "__code__", None)


class _Attempt:
    """One attempt of a step: at which line of its *code* it is, and how all was then.

    Where the code is not known it is the first that is not ours.
    """

    def __init__(self, simulation: Watched, context: Any, code: CodeType | None) -> None:
        self._simulation = simulation
        self._name, self._number = context.step, context.attempt
        self._key = context.resource.key
        self._code = code
        self._at: tuple[str, int] = ("", 0)
        self._world: Any = None

    def driven(self, body: Effect[Any]) -> Effect[Any]:
        """Run *body*, and keep what each of its lines does."""
        given: Any = None
        error: BaseException | None = None
        while True:
            self._world = self._seen()
            before = sys.gettrace()
            sys.settrace(self._called)
            try:
                event = body.send(given) if error is None else body.throw(error)
            except StopIteration as stop:
                sys.settrace(before)
                self._keep(end="returned")
                return stop.value
            except BaseException as raised:
                sys.settrace(before)
                self._keep(end=f"{type(raised).__name__}: {raised}".rstrip(": "))
                raise
            finally:
                sys.settrace(before)
            self._keep()
            given, error = None, None
            try:
                given = yield event
            except BaseException as thrown:
                error = thrown
                if not isinstance(thrown, GeneratorExit):
                    self._world = self._seen()  # what others did meanwhile
                    self._keep(end=f"{type(thrown).__name__} came here")

    def _called(self, frame: FrameType, event: str, arg: Any) -> Any:
        if self._code is None:
            name = str(frame.f_globals.get("__name__", ""))
            if name.partition(".")[0] in OURS or frame.f_code.co_filename[:1] == "<":
                return None
            self._code = frame.f_code
        if frame.f_code is not self._code:
            return None
        self._at = self._at if self._at[1] else (frame.f_code.co_filename, frame.f_lineno)
        return self._lined

    def _lined(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line":
            self._keep()
            self._at = (frame.f_code.co_filename, frame.f_lineno)
        return self._lined

    def _keep(self, end: str = "") -> None:
        """Keep the line if the world has changed since it began, or the attempt ends."""
        file, number = self._at
        world = self._seen()
        changed = _change(world, self._world) if world != self._world else ""
        self._world = world
        if not file or not (changed or end):
            return
        source = linecache.getline(file, number).strip()
        entries = len(self._simulation.journal)
        self._simulation.lines.append(
            Line(
                *(self._name, self._number, file, number, source, entries),
                changed,
                end,
            )
        )

    def _seen(self) -> Any:
        world, live = self._simulation.world, self._simulation.resources.peek(self._key)
        seen: dict[str, Any] = {}
        if world is not None:
            seen["world"] = plain(world.essence())
            seen |= {name: str(pool) for name, pool in pools(vars(world))}
        if live is not None:
            parts = ("spec", "status", "annotations")
            seen |= {part: plain(getattr(live, part)) for part in parts}
        return seen


class Trace:
    """A run watched line by line; *simulation* is to be run to its end."""

    def __init__(self, origin: Simulation) -> None:
        own = type(origin)
        plane = type("Plane", (WatchedPlane, own.plane_type), {})
        kind = type("Watched", (mixed(Watched, own),), {"plane_type": plane})  # type: ignore[arg-type]
        self.simulation = origin.twin(kind)

    def explained(self) -> str:
        """Return what came in which attempt, and what was done before and after it."""
        assert isinstance(self.simulation, Watched)
        lines, records = self.simulation.lines, self.simulation.log.records
        fired = next((r for r in records if r.kind is Kind.FAULT_FIRED), None)
        if fired is None or not lines:
            return ""
        cut = _under_way(records, fired.seq)
        if cut is None:
            return f"{fired.text} came while no step was under way."
        name, number = cut.step, cut.attempt
        own = [line for line in lines if line.step == name]
        said = [f"{fired.text} came at {fired.time:g} s, in attempt {number} of {name}."]
        said += [_told(line, line.entries <= fired.seq) for line in own[:MOST]]
        repeated = _twice(own)
        if repeated is not None:
            said.append(
                f"{repeated.where} was run in two attempts, and changed the world in "
                "both: what it does must be the same when it is done again."
            )
        return "\n".join(said)


MOST = 8
"""So many lines of a step are told of."""


def _under_way(records: Any, seq: int) -> Record | None:
    """Return the beginning of the attempt during which record *seq* came."""
    open_: Record | None = None
    ends = (Kind.STEP_COMPLETED, Kind.STEP_FAILED, Kind.STEP_CANCELLED)
    for record in records[: seq + 1]:
        if record.kind is Kind.STEP_STARTED:
            open_ = record
        elif record.kind in ends and open_ and record.step == open_.step:
            open_ = None
    if open_ is None:  # it came right before one began
        later = (r for r in records[seq:] if r.kind is Kind.STEP_STARTED)
        open_ = next(later, None)
    return open_


def _told(line: Line, before: bool) -> str:
    when = "before it" if before else "after it"
    what = "; ".join(part for part in (line.changed, line.end) if part)
    return f"  {when}, attempt {line.attempt}, {line.where}: {what}"


def _change(now: Any, then: Any, at: str = "") -> str:
    """Return the first thing that is in *now* and not in *then*, or the other way."""
    if not (isinstance(now, dict) and isinstance(then, dict)):
        return f"{at or 'the world'} is {glimpse(now)} now"
    for name in sorted({*now, *then}):
        path = f"{at}.{name}" if at else name
        if name not in now:
            return f"{path} is gone"
        if name not in then:
            return f"{path} is there, {glimpse(now[name])}"
        if now[name] != then[name]:
            return _change(now[name], then[name], path)
    return ""


def _twice(lines: list[Line]) -> Line | None:
    """Return the first line that changed the world in two attempts."""
    first: dict[int, int] = {}
    for line in lines:
        if line.changed and first.setdefault(line.number, line.attempt) != line.attempt:
            return line
    return None
