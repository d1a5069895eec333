"""The log that keeps transitions, against one that keeps every memento whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from wfsim.model.told import WHOLE

import wfsim
from wfsim.model.log import EventLog

CAPACITY = Path(__file__).parents[2] / "flows/scenarios/backup_capacity.yaml"
STEPS = tuple(f"S{number}" for number in range(2 * WHOLE + 3))
HORIZON = 1000.0


def body(name):
    waited = set()

    def step(context):
        yield from context.sleep(1.0 + context.draw())
        if context.draw("luck") < 0.2:
            raise wfsim.StepFailed("bad luck")
        if name == "S4" and context.resource.name not in waited:
            waited.add(context.resource.name)
            raise wfsim.Waiting(after=2.0)
        return {name: [context.attempt, {"b": 1, "a": None}]} if len(name) == 2 else None

    step.__name__ = name
    return step


def simulation(*faults, controllers=1, names=STEPS):
    machine = wfsim.StateMachine("w").stable("Running", "Interrupt")
    scenario = wfsim.Scenario(
        [wfsim.Resource("w", f"w-{number}") for number in range(3)],
        machine.unstable("Creating", run="Walk"),
        [wfsim.Flow("Walk", tuple(map(wfsim.Step, names)))],
        map(body, names),
        horizon=HORIZON,
    )
    sim = wfsim.Simulation(scenario, seed=2, faults=faults, controllers=controllers)
    sim.kept = []
    sim.stored.on_save += (lambda _, after: sim.kept.append(after),)
    return sim


FAULTS = {
    "calm": (),
    "crashes": [wfsim.CrashAt(write=at, restart_after=1) for at in (4, 5, 30, 61, 90)],
    "saves": (wfsim.FailSave(write=9, times=3), wfsim.FailSave(write=31, applied=True)),
    "stops": (
        wfsim.InterruptStep("S9", resource="w-1"),
        wfsim.CancelAt(t=31, resource="w-2"),
        wfsim.EditAt(t=44, resource="w-0", delete=True),
    ),
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("controllers", [1, 2])
def test_every_memento_that_was_written_is_told_again_to_the_last_character(
    faults, controllers
):
    sim = simulation(*faults, controllers=controllers)
    sim.run()
    for name in ("w-1", "w-2"):
        if sim.resource(name).state == "Interrupt":
            sim.recover(name)
    log = sim.run()
    told = [record.value for record in log if isinstance(record.value, wfsim.Memento)]
    assert list(map(repr, told)) == list(map(repr, sim.kept))
    assert len(told) > 100


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_tables_are_those_of_a_log_of_whole_records(faults):
    log = simulation(*faults).run()
    whole = EventLog(list(log), log.meta)
    for table in (
        *("runs", "steps", "states", "summary", "latency", "faults"),
        *("breakdown", "utilisation", "critical"),
    ):
        make = getattr(wfsim.tables, table)
        assert make(log).equals(make(whole))


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_records_of_some_kinds_are_those_of_all_records(faults):
    sim = simulation(*faults)
    sim.run(until=20.0)
    sim.edit("w-0", annotations={"a": "b"})
    log = sim.run()
    busy = wfsim.simulate(wfsim.Scenario.load(CAPACITY), seed=1)
    for each in (log, busy):
        for kind in wfsim.Kind:
            found = [record for record in each.records if record.kind is kind]
            assert each.filter(kind) == found
        assert each.filter(*wfsim.Kind) == list(each.records)
        assert each.filter(wfsim.Kind.STEP_LOG, wfsim.Kind.STEP_STARTED) == [
            record
            for record in each.records
            if record.kind in (wfsim.Kind.STEP_LOG, wfsim.Kind.STEP_STARTED)
        ]
    assert {record.kind for record in (*log, *busy)} >= {
        *(wfsim.Kind.STEP_STARTED, wfsim.Kind.STEP_WAITING, wfsim.Kind.RUN_COMPLETED),
        *(wfsim.Kind.RESOURCE_EDITED, wfsim.Kind.POOL_CHANGED),
    }


def test_records_are_a_list_to_whoever_looks():
    log = simulation().run()
    records = log.records
    assert [record.seq for record in records] == list(range(len(log)))
    assert records[-1] == records[len(log) - 1] == list(records)[-1]
    assert records[3:9:2] == [records[3], records[5], records[7]]
    assert (records == list(records), records == simulation().run().records) == (
        True,
    ) * 2
    assert records != list(records)[:-1]
    with pytest.raises(IndexError):
        records[len(log)]


def test_most_mementos_are_not_kept_and_none_is_far_from_one_that_is():
    rows = [after for _, _, after in simulation().run().records.rows()]
    kept = [after for after in rows if isinstance(after, wfsim.Memento)]
    made_again = [after for after in rows if isinstance(after, int | tuple)]
    made_again = [after for after in made_again if not isinstance(after, wfsim.Memento)]
    assert len(made_again) > len(kept)
    assert {after.cursor % WHOLE for after in kept} >= {WHOLE - 1}
