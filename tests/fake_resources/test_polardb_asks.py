"""What is asked while a flow runs: at every record of it, alone and with a crash.

A run does what it was begun for; what is asked meanwhile is served next; what is
withdrawn ends well; what is deleted leaves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import wfsim
from fake_resources import polardb
from tests.fake_resources.operations import OPERATIONS, asked, created
from tests.sizes import FULL

STRIDE = 1 if FULL else 7
STATES = [operation.state for operation in polardb.OPERATIONS]
FLOWS = {operation.state: operation.flow for operation in polardb.OPERATIONS}
NOTES = {"clusterManagerPort"}
VOID = {"switchRw", "migrate"}


def begun(state: str) -> tuple[wfsim.Simulation, dict[str, object]]:
    """A cluster of three of which *state* is asked, and what may be asked meanwhile."""
    if state == "Creating":
        sim = wfsim.Simulation(polardb.scenario(replicas=2, nodes=4), seed=1)
    elif state == "local":
        sim, state = wfsim.Simulation(polardb.local_scenario(), seed=1), "Creating"
    else:
        sim = created()
        sim.run(until=0.0)
    asks = polardb.asks(state, sim.resource(), sim.world)
    polardb.ask(sim, asks["begin"])
    return sim, asks


def ends(sim: wfsim.Simulation, crash: bool) -> None:
    if crash:
        sim.run(for_=0.7)
        sim.crash()
        sim.run(for_=5.0)
        sim.restart()
    sim.run()


def at_every_record(state: str) -> Iterator[tuple[wfsim.Simulation, dict[str, object]]]:
    """One simulation for each record of the run, which stands there, with its asks."""
    calm, _ = begun(state)
    first = len(calm.log)
    records = len(calm.run()) - first
    for number in range(0 if FULL else len(state) % STRIDE, records, STRIDE):
        sim, asks = begun(state)
        for _ in range(number):
            sim.step()
        yield sim, asks


def is_well(sim: wfsim.Simulation, where: object) -> None:
    resource = sim.resource()
    assert resource.state == "Running", where
    assert polardb.problems(sim.world, resource) == [], where
    # Who leads already, or is on that node already, is not asked for by a run.
    assert {*resource.annotations} - VOID == NOTES, where
    for part in ("classInfo", "versionCfg"):
        # What is wanted may have been there already when it was asked for.
        assert resource.spec.get(f"{part}ModifyTo") in (None, resource.spec[part]), where
    assert sim.world.managers["mpd-0"].ha, where


def restarts(sim: wfsim.Simulation) -> dict[str, int]:
    return {name: pod.restarts for name, pod in sorted(sim.world.pods.items())}


def places(sim: wfsim.Simulation) -> dict[str, str]:
    """The node of whoever is in a place now."""
    status = sim.resource().status["instances"]
    return {
        status[name].get("physical", name): pod.node
        for name, pod in sorted(sim.world.pods.items())
    }


def node_of(asks: dict[str, object], name: str) -> str:
    return asks[name].calls[0][1]["annotations"]["migrate"].partition("|")[2]


def all_are(attribute: str, value: object) -> Callable[..., object]:
    return lambda sim, asks: (
        {getattr(pod, attribute) for pod in sim.world.pods.values()} == {value}
    )


def all_of(*wanted: Callable[..., object]) -> Callable[..., object]:
    return lambda sim, asks: all(holds(sim, asks) for holds in wanted)


def params(*connections: int) -> Callable[..., object]:
    def holds(sim: wfsim.Simulation, asks: object) -> bool:
        found = {pod.params["max_connections"] for pod in sim.world.pods.values()}
        return len(found) == 1 and found <= {*connections}

    return holds


def leads(*names: str) -> Callable[..., object]:
    return lambda sim, asks: sim.resource().status["leader"] in names


def restarted(*names: str) -> Callable[..., object]:
    return lambda sim, asks: all(restarts(sim)[f"mpd-0-{name}"] for name in names)


def followers(*numbers: int) -> Callable[..., object]:
    return lambda sim, asks: len(sim.resource().status["followers"]) in numbers


def moved(place: str, *requests: str) -> Callable[..., object]:
    return lambda sim, asks: places(sim)[place] in {node_of(asks, r) for r in requests}


def anything(sim: wfsim.Simulation, asks: object) -> bool:
    return True


SERVED = {
    ("Creating", "second"): all_of(followers(3), params(1234)),
    ("Creating", "changed"): all_of(followers(1), all_are("flavour", "polar.o.x8.large")),
    ("Rebuild", "second"): anything,
    ("Rebuild", "changed"): anything,
    ("ModifyClass", "second"): all_are("flavour", "polar.o.x16.huge"),
    ("ModifyClass", "changed"): all_are("flavour", "polar.o.x4.medium"),
    ("RestartCluster", "second"): restarted("rw", "ro-1", "ro-2"),
    ("RestartCluster", "changed"): restarted("rw", "ro-1", "ro-2"),
    ("RestartIns", "second"): restarted("rw"),
    ("RestartIns", "changed"): restarted("ro-2"),
    ("FlushParams", "second"): params(1234),
    ("FlushParams", "changed"): params(800),
    ("SwitchRw", "second"): leads("mpd-0-rw"),
    ("SwitchRw", "changed"): leads("mpd-0-ro-2"),
    ("MigrateRo", "second"): moved("mpd-0-ro-1", "second"),
    ("MigrateRo", "changed"): moved("mpd-0-ro-2", "changed"),
    ("MigrateRw", "second"): moved("mpd-0-rw", "second"),
    ("MigrateRw", "changed"): moved("mpd-0-ro-2", "changed"),
    ("UpgradeMinorVersion", "second"): all_are("image", "1.1.22"),
    ("UpgradeMinorVersion", "changed"): all_are("image", "1.1.20"),
    ("RebuildRo", "second"): followers(2),
    ("RebuildRo", "changed"): followers(2),
    ("AddRo", "second"): followers(4),
    ("AddRo", "changed"): followers(1),
    ("RemoveRo", "second"): followers(0, 1),
    ("RemoveRo", "changed"): followers(0, 1),
    ("ExtendStorage", "second"): all_are("disk", 300),
    ("ExtendStorage", "changed"): all_are("disk", 400),
}
"""What must hold of the world at the end, by state and by what was asked meanwhile."""


@pytest.mark.parametrize("crash", [False, True], ids=["alone", "crash"])
@pytest.mark.parametrize(("state", "name"), SERVED)
def test_what_is_asked_while_a_flow_runs_is_served_in_the_end(state, name, crash):
    for sim, asks in at_every_record(state):
        where = f"{state}, {name} after {sim.log[-1]}"
        polardb.ask(sim, asks[name])
        ends(sim, crash)
        is_well(sim, where)
        assert SERVED[state, name](sim, asks), where


@pytest.mark.parametrize("crash", [False, True], ids=["alone", "crash"])
@pytest.mark.parametrize("name", ["second", "changed", "withdrawn"])
@pytest.mark.parametrize(
    # How many are wanted, and how large the volume is, the promise reads as they are now.
    "state",
    [state for state in OPERATIONS if state not in ("AddRo", "ExtendStorage")],
)
def test_a_run_does_what_it_was_begun_for_whatever_is_asked_meanwhile(state, name, crash):
    calm = asked(state)
    records = len(calm.run())
    stop = wfsim.Kind.RUN_COMPLETED
    for number in range(len(asked(state).log), records, STRIDE):
        sim = asked(state)
        asks = polardb.asks(state, sim.resource(), sim.world)
        while len(sim.log) < number:
            sim.step()
        if not sim.mementos() or sim.mementos()[-1].is_final:
            continue
        where = f"{state}, {name} after {sim.log[-1]}"
        polardb.ask(sim, asks[name])
        if crash:
            sim.run(for_=0.7)
            sim.crash()
            sim.restart()
        if not sim.log.filter(stop):
            sim.run(until=lambda record: record.kind is stop)
        assert sim.log.filter(stop), where
        OPERATIONS[state].promise(sim)


@pytest.mark.parametrize("crash", [False, True], ids=["alone", "crash"])
@pytest.mark.parametrize("state", STATES[1:])
def test_a_request_that_is_withdrawn_ends_well(state, crash):
    for sim, asks in at_every_record(state):
        where = f"{state}, withdrawn after {sim.log[-1]}"
        if any(run.is_final for run in sim.mementos()):
            break  # it has been served
        polardb.ask(sim, asks["withdrawn"])
        ends(sim, crash)
        if state == "ExtendStorage" and not sim.mementos():
            # A volume has grown by itself, and nobody asks that file systems do, too.
            continue
        is_well(sim, where)
        assert {run.flow for run in sim.mementos()} <= {FLOWS[state], FLOWS["RemoveRo"]}


@pytest.mark.parametrize("crash", [False, True], ids=["alone", "crash"])
@pytest.mark.parametrize("state", STATES)
def test_a_request_of_another_kind_is_served_after_the_flow(state, crash):
    for sim, asks in at_every_record(state):
        where = f"{state}, edit after {sim.log[-1]}"
        polardb.ask(sim, asks["edit"])
        ends(sim, crash)
        is_well(sim, where)


@pytest.mark.parametrize("crash", [False, True], ids=["alone", "crash"])
@pytest.mark.parametrize("state", [*STATES, "local"])
def test_what_is_deleted_leaves_nothing(state, crash):
    for sim, asks in at_every_record(state):
        where = f"{state}, delete after {sim.log[-1]}"
        polardb.ask(sim, asks["delete"])
        ends(sim, crash)
        assert not [*sim.resources.keys()], where
        nodes = {name: node.capacity for name, node in sim.world.nodes.items()}
        empty = polardb.PolarWorld(nodes, sim.world.storage.capacity)
        assert sim.world.essence() == empty.essence(), where


@pytest.mark.parametrize("state", STATES)
def test_a_namesake_of_what_is_deleted_is_a_cluster_like_any_other(state):
    for sim, asks in at_every_record(state):
        where = f"{state}, replace after {sim.log[-1]}"
        polardb.ask(sim, asks["replace"])
        ends(sim, crash=False)
        is_well(sim, where)


@pytest.mark.parametrize("state", STATES)
def test_a_flow_that_is_cancelled_and_recovered_does_what_it_was_begun_for(state):
    for sim, asks in at_every_record(state):
        where = f"{state}, cancel after {sim.log[-1]}"
        polardb.ask(sim, asks["cancel"])
        sim.run()
        if sim.resource().state == "Interrupt":
            polardb.ask(sim, asks["recover"])
        else:
            sim.uncancel()
        sim.run()
        is_well(sim, where)


@pytest.mark.parametrize("state", ["SwitchRw", "MigrateRw", "RebuildRo", "RemoveRo"])
def test_what_takes_two_followers_is_not_asked_of_one(state):
    sim = wfsim.Simulation(polardb.scenario(replicas=1), seed=1)
    sim.run()
    with pytest.raises(wfsim.UsageError, match="has 1 followers; ask a cluster that has"):
        polardb.asks(state, sim.resource(), sim.world)
