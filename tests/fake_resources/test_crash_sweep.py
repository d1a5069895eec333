"""The seed's flow, its controller killed before and after every write, and in between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import wfsim
from fake_resources import polardb
from tests.sizes import FULL

REPLICAS = 2 if FULL else 1
SEEDS = (1, 2) if FULL else (1,)
RUN = "1-CreateSharedStorageCluster"


def simulation(seed: int, *faults: wfsim.types.Fault) -> wfsim.Simulation:
    return wfsim.Simulation(polardb.scenario(REPLICAS), seed=seed, faults=faults)


def outcome(sim: wfsim.Simulation) -> tuple[Any, ...]:
    """What a user sees of the cluster when all is quiet."""
    resource = sim.resource()
    return (
        *(resource.state, resource.spec, resource.status, resource.annotations),
        *(resource.finalizers, sim.mementos()[-1].status, sim.world.essence()),
    )


def fired(sim: wfsim.Simulation) -> bool:
    return bool(sim.log.filter(wfsim.Kind.FAULT_FIRED))


def stored(sim: wfsim.Simulation) -> dict[tuple[str, str], wfsim.Memento]:
    """What the store of runs itself holds."""
    key = sim.resource().key
    effect = sim.stored.entries(key)
    try:
        next(effect)
    except StopIteration as stop:
        return {(str(key), run.key): run.memento() for run in stop.value}
    raise AssertionError("an in-memory store takes no time")


def crashes(seed: int, when: str) -> Iterator[tuple[int, wfsim.Simulation]]:
    """One simulation for each write there is, its controller killed at that write."""
    write = 0
    while True:
        write += 1
        fault = wfsim.CrashAt(write=write, when=when, restart_after=5)
        sim = simulation(seed, fault)
        yield write, sim
        if not fired(sim):
            return


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_write_ends_in_the_same_cluster(seed: int, when: str) -> None:
    calm = simulation(seed)
    calm.run()
    wanted = outcome(calm)
    assert wanted[0] == "Running"
    assert wanted[5] is wfsim.types.RunStatus.COMPLETED
    assert polardb.problems(calm.world, calm.resource()) == []
    swept = 0
    for write, sim in crashes(seed, when):
        sim.run()
        assert outcome(sim) == wanted, f"crash {when} write {write}"
        swept += fired(sim)
    changes = [record for record in calm.log if record.value is not None]
    assert swept == len(changes) - 1  # the cluster itself is created from outside


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_log_folds_to_what_the_store_holds_at_every_record(
    seed: int, when: str
) -> None:
    for write, sim in crashes(seed, when):
        while (record := sim.step()) is not None:
            # One event may write more than one record; the store shows all of them.
            folded = sim.log.fold(len(sim.log))
            assert folded.mementos == stored(sim), f"crash at write {write}, {record}"
            assert folded.resources == {"mpd-0": sim.resource()}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_crash_at_any_time_ends_in_the_same_cluster(seed: int) -> None:
    calm = simulation(seed)
    end = calm.run()[-1].time
    every = 1.7 if FULL else 4.3
    for number in range(int(end / every) + 1):
        sim = simulation(seed, wfsim.CrashAt(t=number * every, restart_after=10))
        sim.run()
        assert outcome(sim) == outcome(calm), f"crash at {number * every:g} s"


def test_two_crashes_in_a_row_end_in_the_same_cluster() -> None:
    calm = simulation(1)
    calm.run()
    for write in range(1, 24, 3):
        first = wfsim.CrashAt(write=write, when="after", restart_after=5)
        second = wfsim.CrashAt(write=write + 1, when="before", restart_after=5)
        sim = simulation(1, first, second)
        sim.run()
        assert outcome(sim) == outcome(calm), f"crashes at writes {write} and {write + 1}"


FAILING = dict.fromkeys(
    [
        *("format volume", "create pod", "launch pod", "attach volume", "lock volume"),
        *("install database", "start engine", "deploy manager", "register member"),
    ],
    0.3,
)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_write_among_operations_that_fail_ends_in_a_cluster(
    when: str,
) -> None:
    """What has failed is asked for again, whoever was there to hear of it."""
    scenario = polardb.scenario(REPLICAS, failures=FAILING)
    write, failures = 0, 0
    while True:
        write += 1
        crash = wfsim.CrashAt(write=write, when=when, restart_after=5)
        sim = wfsim.Simulation(scenario, seed=1, faults=[crash])
        sim.run()
        while sim.resource().state == "Interrupt":
            # An engine that does not start waits for an operator.
            reason = sim.resource().annotations["interrupt.reason"]
            assert reason == "DB_START_FAIL", write
            sim.recover()
            sim.run()
        assert sim.resource().state == "Running"
        failures += len(sim.log.filter(wfsim.Kind.STEP_FAILED))
        if not fired(sim):
            break
    assert write > 20
    assert failures > write
