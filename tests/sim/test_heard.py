"""A world hears of the writes that the store of resources has applied."""

from __future__ import annotations

import pytest

import wfsim
from wfsim import (
    CrashAt,
    Flow,
    RefuseWrite,
    Resource,
    Simulation,
    StateMachine,
    Step,
    World,
)


class Attentive(World):
    """Keeps what it has heard of: the states of resources, before and after."""

    def __init__(self):
        super().__init__()
        self.heard_of = []

    def heard(self, before, after):
        self.heard_of.append((before and before.state, after and after.state))


@wfsim.step
def Look(ctx):
    yield from ctx.sleep(1)
    yield from ctx.update(status={"seen": True})


def scenario():
    return wfsim.Scenario(
        resources=[Resource("db", "orders")],
        machine=StateMachine("db")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="Make"),
        flows=[Flow("Make", (Step("Look"),))],
        steps=[Look],
        world=Attentive,
    )


ALL = [(None, ""), ("", ""), ("", "Running")]


def test_a_world_hears_of_what_steps_and_the_engine_write_and_of_what_goes():
    sim = Simulation(scenario())
    sim.run()
    sim.delete()
    assert sim.world.heard_of == [*ALL, ("Running", None)]


@pytest.mark.parametrize("applied", [True, False])
def test_a_write_is_heard_of_if_it_was_applied_whatever_the_store_answered(applied):
    fault = wfsim.FailSave(write=2, applied=applied)
    sim = Simulation(scenario(), faults=[fault])
    sim.run()
    assert sim.world.heard_of == ALL


def test_a_write_that_was_refused_is_not_heard_of():
    sim = Simulation(scenario(), faults=[RefuseWrite(write=1)])
    sim.run()
    assert sim.world.heard_of == ALL


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("write", range(1, 6))
def test_a_world_goes_on_listening_when_a_controller_dies(write, when):
    crash = CrashAt(write=write, when=when, restart_after=3.0)
    sim = Simulation(scenario(), faults=[crash])
    sim.run()
    assert sim.world.heard_of[0] == ALL[0]
    assert sim.world.heard_of[-1] == ALL[-1]
    heard = [record for record in sim.log if isinstance(record.value, Resource)]
    assert len(sim.world.heard_of) == len(heard)


def test_a_world_that_was_found_with_a_file_hears_of_what_is_in_it(tmp_path):
    file = tmp_path / "orders.db"
    Simulation(scenario(), db=file).run()
    again = Simulation(scenario(), db=file)
    again.run()
    # It had heard all but the last write when that was made, and is told of its outcome.
    assert again.world.heard_of[-1] == (None, "Running")
