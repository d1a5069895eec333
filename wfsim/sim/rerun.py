"""A simulation again from its start, with a crash right after one of its records.

A crash between two records of one instant has no time of its own, so it is told by the
number of the write it follows; the simulation is run once more to learn that number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wfsim.engine.ports import Effect
from wfsim.errors import UsageError
from wfsim.model.record import Record
from wfsim.sim.calls import Call
from wfsim.sim.fault_plan import FaultyPorts
from wfsim.sim.fault_wrappers import Writes
from wfsim.sim.faults import CrashAt, Fault
from wfsim.sim.simulation import Simulation

MOMENT = 0.001
"""How long after a record, in seconds, a crash comes that no write can place."""


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
    probe = _again(origin, origin.given_faults)
    numbers = _number(probe)
    calls = _reach(probe, origin, index)
    fault = _crash(probe, numbers, index, restart_after)
    if fault in origin.faults:
        raise UsageError(f"{fault!r} is what happens here already")
    twin = _again(origin, (*origin.given_faults, fault))
    for call in origin.calls.kept[:calls]:
        twin.repeat(call)
    return twin


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
    made = "wfsim.Simulation.resume" if resumed else "wfsim.Simulation"
    return f"sim = {made}(\n{inside})\n{''.join(calls)}log = sim.run()"


def _said(call: Call) -> str:
    said = [repr(arg) for arg in call.args if arg is not None]
    said += [f"{name}={value!r}" for name, value in call.keywords.items() if value]
    return f"{call.method}({', '.join(said)})"


class NumberedWrites(Writes):
    """Writes that remember which record came of which of them."""

    def __init__(self, ports: FaultyPorts, records: Sequence[Record]) -> None:
        super().__init__(ports.faults, ports.fired, ports.crash_in_write)
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


def _again(origin: Simulation, faults: tuple[Fault, ...]) -> Simulation:
    world = origin.given_world
    twin = type(origin)(
        origin.scenario,
        seed=origin.seed,
        faults=faults,
        controllers=len(origin.names),
        world=None if world is None else world.copy(),
    )
    twin.storage.standing = origin.storage.standing
    twin.plan.ports.wrap_all = bool(origin.calls.kept)  # one of them may arm a fault
    return twin


def _reach(probe: Simulation, origin: Simulation, index: int) -> int:
    """Let *probe* come to the record at *index*; return how many calls that took."""
    log = probe.log
    probe.begin()
    made = 0
    for call in origin.calls.kept:
        with probe.unrecorded():
            while len(log) <= index and probe.clock.events < call.events:
                if not probe.advance(call.time):
                    break
        if len(log) > index:
            break
        probe.repeat(call)
        made += 1
    with probe.unrecorded():
        while len(log) <= index and probe.advance(probe.scenario.horizon):
            pass
    if len(log) <= index or log[index] != origin.log[index]:
        raise UsageError(
            "run again, the simulation does not come to this record: it depends on more "
            "than its scenario, seed, faults and calls; act on it with act() only"
        )
    return made


def _crash(
    probe: Simulation, numbers: dict[int, int], index: int, restart_after: float | None
) -> CrashAt:
    """Return the crash that comes right after the record at *index*."""
    if index in numbers:
        return CrashAt(write=numbers[index], restart_after=restart_after)
    now = probe.log[index].time
    with probe.unrecorded():
        while probe.advance(now):
            pass
    later = [number for at, number in numbers.items() if at > index]
    if later:
        return CrashAt(write=min(later), when="before", restart_after=restart_after)
    moment = now + min(MOMENT, (probe.clock.peek() - now) / 2)
    rounded = round(moment, 6)  # for whoever reads it
    return CrashAt(t=rounded if rounded > now else moment, restart_after=restart_after)
