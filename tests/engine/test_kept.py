"""The controller dies wherever runs of long ago are sorted out: none is lost or left."""

from __future__ import annotations

import pytest

import wfsim
from wfsim import CrashAt, Event, Flow, Kind, Policy, Resource, Simulation, Step

RUNS = 5


def bigger(resource):
    size = resource.spec.get("size")
    return None if size is None else Event("bigger", {"size": size})


@wfsim.step
def Resize(ctx):
    yield from ctx.sleep(1.0)
    yield from ctx.update(spec={"size": None})


def scenario(keep, runs=RUNS):
    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    return wfsim.Scenario(
        [Resource("db", "orders", state="Running")],
        machine.transition("Running", "Resizing", when=bigger, run="Resize"),
        [Flow("Resize", (Step("Resize"),))],
        [Resize],
        policy=Policy(retention=keep),
        triggers=[
            wfsim.demand.Trigger(
                wfsim.demand.Times(every=10.0, start=1.0, count=runs), spec={"size": 3}
            )
        ],
    )


def many(sim):
    """Run after run of one resource."""
    sim.run()


def replaced(sim):
    """Then it is another one of the same name, and nobody saw that there was none."""
    sim.run(until=RUNS * 10.0)
    sim.pause()
    sim.delete()
    sim.create(Resource("db", "orders", state="Running", spec={"size": 3}))
    sim.unpause()
    sim.run()


def deleted(sim):
    """Then it is gone."""
    sim.run(until=RUNS * 10.0)
    sim.delete()
    sim.run()


def kept(sim):
    """The runs that the store keeps, each with its status."""
    try:
        next(sim.stored.entries(wfsim.types.Key("db", "default", "orders")))
    except StopIteration as stop:
        return [(run.key, run.status.value) for run in stop.value]
    raise AssertionError("an in-memory store takes no time")


ALL = [(f"{number}-Resize", "completed") for number in range(1, RUNS + 1)]
LEFT = {
    (many, None): ALL,
    (many, 2): ALL[-2:],
    (replaced, None): ALL[:1],
    (replaced, 2): ALL[:1],
    (deleted, None): [],
    (deleted, 2): [],
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("story", "keep"), LEFT)
def test_a_crash_at_any_write_leaves_the_runs_that_no_crash_leaves(story, keep, when):
    calm = Simulation(scenario(keep))
    story(calm)
    assert kept(calm) == LEFT[story, keep]
    write, crashes = 1, 0
    while True:
        crash = CrashAt(write=write, when=when, restart_after=3.0)
        sim = Simulation(scenario(keep), faults=[crash])
        story(sim)
        if not sim.log.filter(Kind.FAULT_FIRED):
            break
        assert kept(sim) == LEFT[story, keep], write
        ended = sim.log.filter(Kind.RUN_COMPLETED)
        assert len(ended) == RUNS + (story is replaced), write
        write, crashes = write + 1, crashes + 1
    # A run is six writes: the state, its beginning and end, the step's, the state again.
    assert crashes >= 6 * RUNS
