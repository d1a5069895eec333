"""Flows that somebody asks for: all that are shipped, each where it just begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import wfsim
from fake_resources import polardb, tiem
from wfsim import errors
from wfsim.sim.faults import Fault
from wfsim.sim.rates import Rate

SERVICE_ERROR = getattr(errors, "ServiceError", None) or wfsim.ServiceError  # as of 0.1

FLOWS = Path(wfsim.__file__).resolve().parents[1] / "flows"
LIMIT = 7200.0
"""How many seconds a flow has that somebody broke; a hanging one would go on for days."""

# A number that an attempt has used up is no fault, nor how often something was launched;
# of the current flow the manager may come to be before or after the leader.
NAMES = (r"-(ins|phy)-\d+",)
PATHS = (
    *("resources.*.status.namesUsed", "managers.*.node"),
    *("operations", "feeds.*.lag"),
)


class Subject(NamedTuple):
    """A flow: *begin* takes faults and returns where it has just been asked for.

    *resource* is what its faults are about; None is the first one.  *seeded* takes a seed
    and returns a whole simulation of it, run to its end, in which operations may fail.
    """

    name: str
    begin: Callable[[Iterable[Fault]], wfsim.Simulation]
    seeded: Callable[[int], wfsim.Simulation]
    resource: str | None = None


def ended(sim: wfsim.Simulation, recoveries: int = 3) -> wfsim.Simulation:
    """Run to the end, or for two hours; an operator recovers what was interrupted."""
    sim.run(for_=LIMIT)
    for _ in range(0 if sim.scenario.is_service else recoveries):
        names = {record.resource for record in sim.log.filter(wfsim.Kind.RUN_INTERRUPTED)}
        there = sim.log.fold().resources
        stuck = [
            name for name in sorted(names & {*there}) if there[name].state == "Interrupt"
        ]
        if not stuck:
            break
        for name in stuck:
            sim.recover(name)
        sim.run(for_=LIMIT)
    return sim


# -- PolarDB -----------------------------------------------------------------------------

LARGE = {"className": "polar.o.x8.large", "cpu": 8, "memoryGb": 32}


def annotate(**annotations: str) -> Callable[[wfsim.Simulation], object]:
    return lambda sim: sim.edit(annotations=annotations)


def migrate(name: str) -> Callable[[wfsim.Simulation], object]:
    """Ask that *name* move to the first node on which there is no pod."""

    def ask(sim: wfsim.Simulation) -> None:
        used = {pod.node for pod in sim.world.pods.values()}
        free = [node for node in sim.world.nodes if node not in used]
        sim.edit(annotations={"migrate": f"{name}|{free[0]}"})

    return ask


def lose_follower(sim: wfsim.Simulation) -> None:
    def happens(there: wfsim.Simulation) -> None:
        there.world.pods["mpd-0-ro-1"].fail()
        polardb.observe(there)

    sim.act(happens)


def extend(sim: wfsim.Simulation) -> None:
    sim.act(lambda there: there.world.storage.extend("pv-mpd-0", 200))
    sim.edit(annotations={"extendStorage": "true"})


def flush(sim: wfsim.Simulation) -> None:
    params = {"shared_buffers_gb": 6, "max_connections": 900}
    sim.edit(spec={"engineParams": params}, annotations={"flushParams": "1"})


ASKED: Mapping[str, Callable[[wfsim.Simulation], object]] = {
    "Rebuild": annotate(forceRebuild="T"),
    "ModifyClass": lambda sim: sim.edit(spec={"classInfoModifyTo": LARGE}),
    "RestartCluster": annotate(restartCluster="true"),
    "RestartIns": annotate(restartIns="mpd-0-ro-1"),
    "FlushParams": flush,
    "SwitchRw": annotate(switchRw="mpd-0-ro-1"),
    "MigrateRo": migrate("mpd-0-ro-1"),
    "MigrateRw": migrate("mpd-0-rw"),
    "UpgradeMinorVersion": lambda sim: sim.edit(
        spec={"versionCfgModifyTo": {"versionName": "1.1.21"}}
    ),
    "RebuildRo": lose_follower,
    "AddRo": lambda sim: sim.edit(spec={"followerNum": 3}),
    "RemoveRo": annotate(removeIns="mpd-0-ro-1"),
    "ExtendStorage": extend,
}
"""How a cluster of three that runs is asked for each operation, by its state."""


@cache
def running() -> wfsim.Scenario:
    """Return a cluster of three that has been created, with a node to spare."""
    sim = wfsim.Simulation(polardb.scenario(replicas=2, nodes=4), seed=1)
    sim.run()
    return wfsim.Scenario(
        resources=[sim.resource()._replace(uid="", revision=0, entered=0)],
        machine=sim.scenario.machines.values(),
        flows=sim.scenario.flows.values(),
        steps=polardb.STEPS,
        world=sim.world.copy().copy,
        **({"requests": sim.scenario.requests} if hasattr(wfsim, "AskAt") else {}),
    )


def asked(state: str, faults: Iterable[Fault]) -> wfsim.Simulation:
    sim = wfsim.Simulation(running(), seed=1, faults=faults)
    sim.run(until=0.0)
    ASKED[state](sim)
    return sim


def weather(seed: int) -> dict[str, Any]:
    """Return what comes from outside with *seed*: nothing, or failures by chance."""
    rates = {
        "controller": Rate(mtbf=200, mttr=5, count=3),
        "api": Rate(mtbf=300, mttr=4, count=2),
    }
    return ({}, {"rates": rates}, {"api_rate": 5}, {"lag": 2.0})[seed % 4]


def created(seed: int) -> wfsim.Simulation:
    """Return a cluster whose operations fail by chance, running if that went well."""
    chance = (0.0, 0.02, 0.1, 0.3)[seed % 4]
    scenario = polardb.scenario(
        replicas=seed % 3,
        nodes=4,
        pod_failure=(0.0, 0.2)[seed % 2],
        failures=dict.fromkeys(polardb.LATENCIES, chance),
    )
    return ended(
        wfsim.Simulation(
            scenario.but(**weather(seed // 4)), seed=seed, controllers=1 + seed % 2
        )
    )


def asked_by_chance(state: str, seed: int) -> wfsim.Simulation:
    chance = (0.0, 0.02, 0.1)[seed % 3]
    scenario = polardb.scenario(
        replicas=2, nodes=4, failures=dict.fromkeys(polardb.LATENCIES, chance)
    )
    sim = ended(wfsim.Simulation(scenario.but(**weather(seed)), seed=seed))
    # What never came to run cannot be asked; then the creation is what counts.
    if sim.resource().state == "Running":
        ASKED[state](sim)
        ended(sim)
    return sim


def on_local_storage(seed: int, chance: float, faults: Iterable[Fault] = ()) -> Any:
    failures = dict.fromkeys(polardb.LATENCIES, chance)
    return wfsim.Simulation(
        polardb.local_scenario(failures=failures), seed=seed, faults=faults
    )


def polardb_subjects() -> Iterator[Subject]:
    def fresh(faults: Iterable[Fault], **given: Any) -> wfsim.Simulation:
        return wfsim.Simulation(polardb.scenario(2, **given), seed=1, faults=faults)

    def current(seed: int) -> wfsim.Simulation:
        scenario = polardb.scenario(
            1, flows=polardb.CURRENT, failures=dict.fromkeys(polardb.LATENCIES, 0.1)
        )
        return ended(wfsim.Simulation(scenario, seed=seed))

    yield Subject("polardb Creating", fresh, created)
    yield Subject(
        "polardb Creating, current", partial(fresh, flows=polardb.CURRENT), current
    )
    yield Subject(
        "polardb Creating, local",
        lambda faults: on_local_storage(1, 0.0, faults),
        lambda seed: ended(on_local_storage(seed, (0.05, 0.3)[seed % 2])),
    )
    for state in ASKED:
        yield Subject(
            f"polardb {state}", partial(asked, state), partial(asked_by_chance, state)
        )


# -- TiUniManager ------------------------------------------------------------------------


def broken_switchover(sim: wfsim.Simulation) -> str:
    """Return the id of a switchover that failed, was not taken back, and may be."""
    flow_id = tiem.begin(sim, "SwitchoverNormal")
    for _ in range(600):
        nodes = sim.service.detail(flow_id).nodes
        if "checkNewSyncChangeFeedTaskHealth" in [node.name for node in nodes]:
            break
        sim.run(for_=1.0)
    for name in ("cluster-1", "cluster-2"):
        sim.act(lambda there, name=name: there.world.clusters[name].lose())
    sim.run(for_=60.0)
    for name in ("cluster-1", "cluster-2"):
        sim.act(lambda there, name=name: there.world.clusters[name].recover())
    return flow_id


def asked_for(sim: wfsim.Simulation, flow: str) -> wfsim.Simulation:
    """Ask for *flow* as its caller does, in a world in which it can go well."""
    told = {}
    if flow == "SwitchoverForceWithMasterUnavailable":
        sim.act(lambda there: there.world.clusters["cluster-1"].lose())
    if flow == "SwitchoverRollback":
        told = {"failed": broken_switchover(sim)}
    try:
        tiem.begin(sim, flow, **told)
    except (SERVICE_ERROR, errors.Unavailable):
        # By chance there is nothing to ask for, or nobody who hears it.
        sim.run(for_=60.0)
    return sim


def begun(flow: str, faults: Iterable[Fault]) -> wfsim.Simulation:
    return asked_for(wfsim.Simulation(tiem.scenario(), seed=1, faults=faults), flow)


def begun_by_chance(flow: str, seed: int) -> wfsim.Simulation:
    chance = (0.0, 0.02, 0.1, 0.3)[seed % 4]
    scenario = tiem.scenario(
        operation_failure=chance, failures=dict.fromkeys(("back up", "restore"), chance)
    )
    more = weather(seed // 4)
    sim = wfsim.Simulation(scenario.but(**more), seed=seed, controllers=1 + seed % 2)
    return ended(asked_for(sim, flow))


def tiem_subjects() -> Iterator[Subject]:
    for flow in tiem.CALLERS:
        number = 2 if flow == "SwitchoverRollback" else 1
        yield Subject(
            f"tiem {flow}",
            partial(begun, flow),
            partial(begun_by_chance, flow),
            f"{number}-{flow}",
        )


# -- flows of which there is nothing but the file ----------------------------------------


def of_file(path: Path, seed: int, faults: Iterable[Fault] = ()) -> Any:
    scenario = wfsim.Scenario.of_flow(path, duration={"uniform": [1, 9]}, failure=0.05)
    return wfsim.Simulation(scenario, seed=seed, faults=faults)


def file_subjects() -> Iterator[Subject]:
    nightly = FLOWS / "backup" / "nightly.yaml"
    yield Subject(
        "nightly",
        lambda faults: of_file(nightly, 1, faults),
        lambda seed: ended(of_file(nightly, seed)),
    )


@cache
def subjects() -> tuple[Subject, ...]:
    return (*polardb_subjects(), *tiem_subjects(), *file_subjects())


def owners(sim: wfsim.Simulation) -> list[str]:
    """Return the resources of which there are mementos, in the order of the log."""
    return list(
        dict.fromkeys(
            record.resource
            for record in sim.log
            if isinstance(record.value, wfsim.Memento)
        )
    )
