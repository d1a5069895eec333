"""A simulation again from its start, with one fault more right after one of its records.

A crash between two records of one instant has no time of its own, so it is told by the
number of the write it follows; the simulation is run once more to learn that number.
All of it is done in slices, so that whoever waits can be shown how far it has come.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from wfsim.engine.ports import Effect
from wfsim.errors import UsageError
from wfsim.model.journal import Journal
from wfsim.model.record import Record
from wfsim.model.resource import Key
from wfsim.model.run import Change, Run
from wfsim.sim.calls import Call
from wfsim.sim.fault_plan import FaultyPorts
from wfsim.sim.fault_wrappers import Writes
from wfsim.sim.faults import CrashAt, Fault
from wfsim.sim.prefix import mixed
from wfsim.sim.simulation import Simulation
from wfsim.sim.world import World

MOMENT = 0.001
"""How long after a record, in seconds, a fault comes that no write can place."""

NOT_AGAIN = (
    "run again, the simulation does not come to this record: it depends on more than its "
    "scenario, seed, faults and calls; act on it with act() only"
)

AROUND = 20
"""Of so many records before and after one the past is kept, too."""

SLICE = 400
"""So many events of the clock, some 30 ms of them, are done at a time."""


class Place:
    """Right after the record at *index* of *origin*: when and at which write that is.

    It is learnt from *probe*, which has come to that record, and from the *numbers* of
    the writes of its records; so many of the *calls* of *origin* were made by then.
    """

    def __init__(
        self, probe: Simulation, numbers: dict[int, int], index: int, calls: int
    ) -> None:
        self._probe = probe
        self._numbers = numbers
        self._index = index
        self._moment: float | None = None
        self.calls = calls

    @property
    def moment(self) -> float:
        """A time in seconds when all is done that happens in the instant of the record.

        Nothing else happens between that instant and it.
        """
        if self._moment is None:
            probe = self._probe
            now = probe.log[self._index].time
            with probe.unrecorded():
                while probe.advance(now):
                    pass
            moment = now + min(MOMENT, (probe.clock.peek() - now) / 2)
            rounded = round(moment, 6)  # for whoever reads it
            self._moment = rounded if rounded > now else moment
        return self._moment

    @property
    def next_write(self) -> int:
        """The number of the first write after the record."""
        _ = self.moment
        later = [number for at, number in self._numbers.items() if at > self._index]
        earlier = [number for at, number in self._numbers.items() if at <= self._index]
        return min(later) if later else max(earlier, default=0) + 1

    def crash(self, restart_after: float | None = 10.0) -> CrashAt:
        """Return the crash that comes right after the record, before all else."""
        if self._index in self._numbers:
            write = self._numbers[self._index]
            return CrashAt(write=write, restart_after=restart_after)
        moment = self.moment
        if any(at > self._index for at in self._numbers):
            return CrashAt(
                write=self.next_write, when="before", restart_after=restart_after
            )
        return CrashAt(t=moment, restart_after=restart_after)


class Fork:
    """*origin* again with one fault more right after the record at *index*, and on.

    *fault* makes it of the `Place`.  What was called on *origin* from outside before that
    record is called on it too, what was called later is not.  Iterating makes it: each
    item is the share that is done, from 0 to 1; then `simulation` is there.  It runs no
    further than *origin* has: to its end if that has come to its own, else to the time
    at which that stands.
    """

    def __init__(
        self, origin: Simulation, index: int, fault: Callable[[Place], Fault]
    ) -> None:
        self.origin = origin
        self._index = index
        self._fault = fault
        self.simulation: Simulation | None = None

    def __iter__(self) -> Iterator[float]:
        twin = yield from self._begun(0.5)
        yield from self._on(twin)
        self.simulation = twin

    def _begun(self, share: float) -> Generator[float, None, Simulation]:
        """Return the simulation with the fault, not begun; the origin's calls made."""
        origin = self.origin
        reached = yield from _reached(origin, self._index, share)
        fault = self._fault(reached)
        if fault in origin.faults:
            raise UsageError(f"{fault!r} is in the plan already")
        twin = _again(origin, (*origin.given_faults, fault))
        for call in origin.calls.kept[: reached.calls]:
            yield from _sliced(twin, call.events, call.time, (share, 1.0))
            twin.repeat(call)
        return twin

    def _on(self, twin: Simulation) -> Iterator[float]:
        origin = self.origin
        is_over = origin.clock.peek() > origin.scenario.horizon
        end = None if is_over else origin.now
        limit = origin.scenario.horizon if end is None else end
        yield from _sliced(twin, None, limit, (0.5, 1.0), origin.clock.events)
        twin.run(end)


class Past(NamedTuple):
    """What was so just before a record, and no log tells: the world, the leases held."""

    world: World | None
    held: Mapping[Key, Any]

    @classmethod
    def now(cls, simulation: Simulation) -> Past:
        """Return what is so where *simulation* stands; its world is no copy."""
        return cls(simulation.world, simulation.leases.as_they_are().held)


class Pasts:
    """The `Past` of records of *origin*, which is run once more as far as is asked.

    Those of the `AROUND` records before and after it are kept, too, so that stepping asks
    for no other run.
    """

    def __init__(self, origin: Simulation) -> None:
        self.origin = origin
        self._kept: dict[int, Past] = {}

    def has(self, index: int) -> bool:
        """Whether it is known what was so just before the record at *index*.

        After the last record that is what is so now.
        """
        return index in self._kept or index >= len(self.origin.log)

    def at(self, index: int) -> Past:
        """Return what was so just before the record at *index*, which it `has`."""
        if index >= len(self.origin.log):
            return Past.now(self.origin)
        return self._kept[index]

    def load(self, index: int) -> Iterator[float]:
        """Run a twin to the record at *index* and a few on; yield the share that is done.

        Raises `UsageError` if it does not come to it again.
        """
        origin = self.origin
        wanted = range(max(0, index - AROUND), min(index + AROUND, len(origin.log)))
        kind = mixed(_Watched, type(origin))  # type: ignore[arg-type]
        twin = _again(origin, origin.given_faults, kind)
        journal = twin.journal
        assert isinstance(journal, _WatchedJournal)
        journal.watch(twin, wanted)
        twin.plan.ports.wrap_all = True
        yield from _repeated(twin, origin, wanted.stop, 1.0)
        if len(journal) < wanted.stop or twin.log[index] != origin.log[index]:
            raise UsageError(NOT_AGAIN)
        self._kept = journal.kept


class _WatchedJournal(Journal):
    """A journal that keeps what was so just before each of some entries."""

    def watch(self, simulation: Simulation, wanted: range) -> None:
        self.simulation, self.wanted = simulation, wanted
        self.kept: dict[int, Past] = {}

    def append(self, run: Run, change: Change, token: int = 0) -> tuple[()]:
        self._keep()
        return super().append(run, change, token)

    def write(self, change: Any, token: int = 0) -> None:
        self._keep()
        super().write(change, token)

    def _keep(self) -> None:
        if len(self) in self.wanted:
            world, held = Past.now(self.simulation)
            copy = None if world is None else world.copy()
            self.kept[len(self)] = Past(copy, held)


class _Watched(Simulation):
    journal_type = _WatchedJournal


def crash_after(
    origin: Simulation, index: int, *, restart_after: float | None = 10.0
) -> Simulation:
    """Return a simulation, not begun, that is *origin* up to the record at *index*.

    There its controller dies, to come back *restart_after* seconds later (None: never).
    The crash is the last of its `faults`.  What was called on *origin* from outside
    before that record is called on it too, what was called later is not.
    It does not happen if no controller is up then.  Raises `UsageError` if *origin*
    dies just so, or does not come to the record again.
    """
    steps = Fork(origin, index, lambda reached: reached.crash(restart_after))._begun(1.0)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            twin: Simulation = end.value
            return twin


def _sliced(
    sim: Simulation,
    events: int | None,
    limit: float,
    shares: tuple[float, float],
    expected: int = 0,
) -> Iterator[float]:
    """Run *sim* on to so many *events* (None: all), or to *limit*, in slices."""
    expected = events or expected or 1
    first, last = shares
    sim.begin()
    while True:
        with sim.unrecorded():
            for _ in range(SLICE):
                if events is not None and sim.clock.events >= events:
                    return
                if not sim.advance(limit):
                    return
        yield first + (last - first) * min(1.0, sim.clock.events / expected)


def script(simulation: Simulation) -> str:
    """Return the Python that runs *simulation* again, given its scenario."""
    resumed = bool(simulation.storage.standing)
    arguments = [
        f"scenario,  # {simulation.scenario.title}",
        *(["mementos,"] if resumed else []),
        f"seed={simulation.seed},",
    ]
    if faults := simulation.given_faults:
        listed = "".join(f"        wfsim.{fault!r},\n" for fault in faults)
        arguments.append(f"faults=[\n{listed}    ],")
    if len(simulation.names) > 1:
        arguments.append(f"controllers={len(simulation.names)},")
    elsewhere = simulation.given_world is not None
    if elsewhere and not resumed:
        arguments.append("world=world,")
    inside = "".join(f"    {argument}\n" for argument in arguments)
    calls = [
        f"# at {call.time:.3f} s: sim.{_said(call)}\n" for call in simulation.calls.kept
    ]
    if not (calls or elsewhere or resumed):
        return f"log = wfsim.simulate(\n{inside})"
    constructor = "wfsim.Simulation.resume" if resumed else "wfsim.Simulation"
    return f"sim = {constructor}(\n{inside})\n{''.join(calls)}log = sim.run()"


def _said(call: Call) -> str:
    arguments = [repr(arg) for arg in call.args if arg is not None]
    arguments += [f"{name}={value!r}" for name, value in call.keywords.items() if value]
    return f"{call.method}({', '.join(arguments)})"


class NumberedWrites(Writes):
    """Writes that remember which record came of which of them."""

    def __init__(self, ports: FaultyPorts, records: Sequence[Record]) -> None:
        super().__init__(ports.faults, ports.fired, ports.crash_in_write, ports.sites)
        self.records = records
        self.numbers: dict[int, int] = {}

    def add(self, faults: Sequence[Fault]) -> None:
        """Count for *faults* too; every write is to go `through`."""
        super().add(faults)
        self.calm = self._calm_once = 0

    def through(self, write: Callable[[], Any], writer: str = "") -> Any:
        """Make *write* as before, and number the records that it makes."""

        def noting() -> Effect[Any]:
            first = len(self.records)
            result = yield from write()
            for index in range(first, len(self.records)):
                self.numbers[index] = self.count
            return result

        return super().through(noting, writer)


def _number(probe: Simulation) -> dict[int, int]:
    """Count the writes of *probe*; return what will be the number for each record."""
    ports = probe.plan.ports
    ports.wrap_all = True
    ports.writes = numbered = NumberedWrites(ports, probe.log.records)
    return numbered.numbers


def _again(
    origin: Simulation,
    faults: tuple[Fault, ...],
    kind: type[Simulation] | None = None,
) -> Simulation:
    world = origin.given_world
    twin = (kind or type(origin))(
        origin.scenario,
        seed=origin.seed,
        faults=faults,
        controllers=len(origin.names),
        world=None if world is None else world.copy(),
    )
    twin.storage.standing = origin.storage.standing
    twin.plan.ports.wrap_all = bool(origin.calls.kept)  # one of them may arm a fault
    return twin


def _reached(
    origin: Simulation, index: int, share: float
) -> Generator[float, None, Place]:
    """Return the `Place` right after the record at *index* of *origin*."""
    probe = _again(origin, origin.given_faults)
    numbers = _number(probe)
    repeated = yield from _repeated(probe, origin, index + 1, share)
    if len(probe.log) <= index or probe.log[index] != origin.log[index]:
        raise UsageError(NOT_AGAIN)
    return Place(probe, numbers, index, repeated)


def _repeated(
    twin: Simulation, origin: Simulation, entries: int, share: float
) -> Generator[float, None, int]:
    """Run *twin* as *origin* was run until it has so many *entries*.

    Return how many of the calls of *origin* were made on the way.
    """
    twin.begin()
    expected, repeated = max(origin.clock.events, 1), 0
    stops = [(call.events, call.time, call) for call in origin.calls.kept]
    for events, time, call in (*stops, (None, twin.scenario.horizon, None)):
        while len(twin.log) < entries:
            if events is not None and twin.clock.events >= events:
                break
            with twin.unrecorded():
                if not twin.advance(time):
                    break
            if twin.clock.events % SLICE == 0:
                yield share * min(1.0, twin.clock.events / expected)
        if len(twin.log) >= entries or call is None:
            break
        twin.repeat(call)
        repeated += 1
    return repeated
