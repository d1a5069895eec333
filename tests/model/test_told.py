"""The log that keeps transitions, against one that keeps every memento whole."""

from __future__ import annotations

import pytest

import wfsim
from wfsim.model.log import EventLog
from wfsim.model.told import WHOLE

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
    for table in ("runs", "steps", "states", "summary", "latency", "faults"):
        make = getattr(wfsim.tables, table)
        assert make(log).equals(make(whole))


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
