"""What a crash costs from a prefix and afresh; ``python -m tests.bench.prefix``."""

from __future__ import annotations

from time import perf_counter

import wfsim
from fake_resources import polardb
from wfsim.sim.prefix import Recorded, Tape


def crashes_afresh(scenario: wfsim.Scenario) -> int:
    """Run each crash after a write from the start; return how many there were."""
    write = 0
    while True:
        write += 1
        crash = wfsim.CrashAt(write=write, restart_after=5)
        sim = wfsim.Simulation(scenario, seed=1, faults=[crash])
        sim.run()
        if not sim.log.filter(wfsim.Kind.FAULT_FIRED):
            return write - 1


def crashes_from_prefixes(scenario: wfsim.Scenario) -> int:
    """The same, each gone on with from the moment of the crash."""
    calm = wfsim.Simulation(scenario, seed=1).twin(Recorded)
    calm.run()
    tape, count = Tape(calm), 0
    for entry, record in enumerate(calm.log):
        if record.token:
            sim = tape.after(entry + 1)
            sim.run(for_=5)
            sim.restart()
            sim.run()
            count += 1
    return count


def explored(scenario: wfsim.Scenario) -> int:
    """The same by `explore`: also before each write, all ends compared; return half."""
    report = wfsim.explore(scenario, ["CrashAt"], seed=1, restart_after=5)
    return sum(report.counts[how] for how in ("ran", "joined")) // 2


WAYS = {
    "afresh": crashes_afresh,
    "from prefixes": crashes_from_prefixes,
    "explore, joining": explored,
}


def measured(rounds: int = 5, replicas: int = 2) -> dict[str, float]:
    """Return the least milliseconds a point of each way, in the same rounds."""
    scenario = polardb.scenario(replicas)
    found: dict[str, float] = {}
    for way in WAYS.values():
        way(scenario)
    for _ in range(rounds):
        for name, way in WAYS.items():
            began = perf_counter()
            points = way(scenario)
            points *= 2 if way is explored else 1
            spent = (perf_counter() - began) * 1e3 / points
            found[name] = min(spent, found.get(name, spent))
    return found


def table(found: dict[str, float]) -> str:
    """Return the figures, and each way as a multiple of the points a second afresh."""
    afresh = found["afresh"]
    return "\n".join(
        f"{name:<20}{each:8.3f} ms a point{afresh / each:8.2f} times as many a second"
        for name, each in found.items()
    )


if __name__ == "__main__":
    print(table(measured()))
