"""What runs mean, as digests: keep them before the engine is redesigned, compare after.

    python -m tests.golden.meaning write FILE [--size small]
    python -m tests.golden.meaning compare FILE [--against OTHER_CHECKOUT]
    python -m tests.golden.meaning compare --against OTHER_CHECKOUT [--size small]
    python -m tests.golden.meaning show SITUATION

``write`` writes one line of JSON for each situation: a digest of the logs of its
simulations and one of all their mementos' texts.  ``compare`` runs again what FILE tells
of and names what differs; with the checkout from which FILE came it also prints the first
line that differs, of both.  Without FILE the other checkout is run first.  ``show``
prints the lines themselves.  ``--only TEXT`` keeps the situations whose name has TEXT in
it; ``--without NAME,NAME`` leaves these fields of the log's lines out of account, so that
a field that is meant to be new hides no difference that is not.

Only what `wfsim` and `fake_resources` export is used, so that this file runs against an
old checkout too: the packages are those that PYTHONPATH finds first.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from weakref import finalize

import wfsim
from fake_resources import polardb, tiem
from fake_resources.polardb import hazards

ROOT = Path(wfsim.__file__).resolve().parents[1]
FLOWS = ROOT / "flows"
SEEDS = 200
LIMIT = 7200.0
"""How many seconds a flow has that somebody broke; a hanging one would go on for days."""


class Situation(NamedTuple):
    """A readable *name*, and what runs it and returns its simulations, in order."""

    name: str
    run: Callable[[], Sequence[wfsim.Simulation]]


# -- one flow, asked for -----------------------------------------------------------------


class Subject(NamedTuple):
    """A flow: *begin* takes faults and returns where it has just been asked for.

    *resource* is what its faults are about; None is the first one.  *seeded* takes a seed
    and returns a whole simulation of it, run to its end, in which operations may fail.
    """

    name: str
    begin: Callable[[Iterable[wfsim.Fault]], wfsim.Simulation]
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


# PolarDB.

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
    )


def asked(state: str, faults: Iterable[wfsim.Fault]) -> wfsim.Simulation:
    sim = wfsim.Simulation(running(), seed=1, faults=faults)
    sim.run(until=0.0)
    ASKED[state](sim)
    return sim


def weather(seed: int) -> dict[str, Any]:
    """Return what comes from outside with *seed*: nothing, or failures by chance."""
    rates = {
        "controller": wfsim.Rate(mtbf=200, mttr=5, count=3),
        "api": wfsim.Rate(mtbf=300, mttr=4, count=2),
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


def on_local_storage(seed: int, chance: float, faults: Iterable[wfsim.Fault] = ()) -> Any:
    failures = dict.fromkeys(polardb.LATENCIES, chance)
    return wfsim.Simulation(
        polardb.local_scenario(failures=failures), seed=seed, faults=faults
    )


def polardb_subjects() -> Iterator[Subject]:
    def fresh(faults: Iterable[wfsim.Fault], **given: Any) -> wfsim.Simulation:
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


# TiUniManager.


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
    except (wfsim.ServiceError, wfsim.Unavailable):
        # By chance there is nothing to ask for, or nobody who hears it.
        sim.run(for_=60.0)
    return sim


def begun(flow: str, faults: Iterable[wfsim.Fault]) -> wfsim.Simulation:
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


# Flows of which there is nothing but the file.


def of_file(path: Path, seed: int, faults: Iterable[wfsim.Fault] = ()) -> Any:
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


# -- what may go wrong with it -----------------------------------------------------------


class Middle(NamedTuple):
    """The middle of a flow that nothing went wrong with: where faults are put."""

    began: float
    time: float
    end: float
    step: str
    write: int
    writes: int
    resource: str | None


@cache
def middle(subject: Subject) -> Middle:
    sim = subject.begin(())
    began, before = sim.now, len(sim.log)
    written = sum(record.value is not None for record in sim.log)
    ended(sim)
    since = [record for record in sim.log.records[before:] if record.value is not None]
    steps = [record.step for record in since if record.kind is wfsim.Kind.STEP_STARTED]
    end = since[-1].time
    return Middle(
        began,
        round((began + end) / 2, 3),
        end,
        steps[len(steps) // 2],
        written + len(since) // 2,
        written + len(since),
        subject.resource,
    )


def refusal() -> Callable[..., wfsim.Fault]:
    """Return the fault of a write that is refused; its name may change."""
    return getattr(wfsim, "Conflict", None) or wfsim.RefuseWrite  # type: ignore[attr-defined]


FAULTS: Mapping[str, Callable[[Middle], tuple[wfsim.Fault, ...]]] = {
    "ApiDown": lambda m: (wfsim.ApiDown(t=m.time, for_=20),),
    "ApiDown from the start": lambda m: (wfsim.ApiDown(t=m.began, for_=45),),
    "BreakOne": lambda m: (wfsim.BreakOne(t=m.time, draw=0.5),),
    "BreakOne, mended": lambda m: (wfsim.BreakOne(t=m.time, draw=0.9, for_=60),),
    "CancelAt": lambda m: (wfsim.CancelAt(t=m.time, resource=m.resource),),
    "CancelAt at once": lambda m: (wfsim.CancelAt(t=m.began, resource=m.resource),),
    "Conflict": lambda m: (refusal()(write=m.write),),
    "Conflict three times": lambda m: (refusal()(write=m.write - 1, times=3),),
    "CrashAt t": lambda m: (wfsim.CrashAt(t=m.time, restart_after=10),),
    "CrashAt t, for good": lambda m: (wfsim.CrashAt(t=m.time),),
    "CrashAt before write": lambda m: (
        wfsim.CrashAt(write=m.write, when="before", restart_after=5),
    ),
    "CrashAt after write": lambda m: (
        wfsim.CrashAt(write=m.write, when="after", restart_after=5),
    ),
    "CrashAt three in a row": lambda m: tuple(
        wfsim.CrashAt(write=m.write + more, when="before", restart_after=2)
        for more in range(3)
    ),
    "DelayStep": lambda m: (wfsim.DelayStep(m.step, by=47.5, resource=m.resource),),
    "DropWatch": lambda m: (wfsim.DropWatch(t=m.time, for_=30),),
    "DropWatch from the start": lambda m: (wfsim.DropWatch(t=m.began, for_=90),),
    "EditAt": lambda m: (
        wfsim.EditAt(t=m.time, resource=m.resource, annotations={"note": "here"}),
    ),
    "EditAt, deleted": lambda m: (
        wfsim.EditAt(t=m.time, resource=m.resource, delete=True),
    ),
    "FailSave": lambda m: (wfsim.FailSave(write=m.write),),
    "FailSave, applied": lambda m: (wfsim.FailSave(write=m.write, applied=True),),
    "FailSave five times": lambda m: (wfsim.FailSave(write=m.write, times=5),),
    "FailStep": lambda m: (wfsim.FailStep(m.step, resource=m.resource),),
    "FailStep, after": lambda m: (
        wfsim.FailStep(m.step, after=True, error="lost", resource=m.resource),
    ),
    "FailStep for good": lambda m: (
        wfsim.FailStep(m.step, times=11, resource=m.resource),
    ),
    "HangStep": lambda m: (wfsim.HangStep(m.step, resource=m.resource),),
    "HangStep, cancelled": lambda m: (
        wfsim.HangStep(m.step, resource=m.resource),
        wfsim.CancelAt(t=m.end + 60, resource=m.resource),
    ),
    "HangStep, crashed": lambda m: (
        wfsim.HangStep(m.step, resource=m.resource),
        wfsim.CrashAt(t=m.end + 60, restart_after=5),
    ),
    "InterruptStep": lambda m: (
        wfsim.InterruptStep(m.step, reason="LOOK", message="well", resource=m.resource),
    ),
    "PauseController": lambda m: (wfsim.PauseController(t=m.time, for_=40),),
    "StaleRead": lambda m: (wfsim.StaleRead(t=m.time, for_=25),),
    "all at once": lambda m: (
        wfsim.FailStep(m.step, times=2, resource=m.resource),
        wfsim.FailSave(write=m.write, applied=True),
        wfsim.DropWatch(t=m.time, for_=15),
        wfsim.StaleRead(t=m.time + 5, for_=15),
        wfsim.CrashAt(t=m.time + 12, restart_after=3),
        wfsim.ApiDown(t=m.time + 20, for_=4),
    ),
}
"""Every kind of fault, put into the middle of a flow."""


def broken(subject: Subject, fault: str) -> list[wfsim.Simulation]:
    return [ended(subject.begin(FAULTS[fault](middle(subject))))]


def of_each_flow(full: bool) -> Iterator[Situation]:
    for number, subject in enumerate(subjects()):
        yield Situation(
            f"{subject.name}: calm", lambda subject=subject: [ended(subject.begin(()))]
        )
        faults = [*FAULTS]
        for fault in faults if full else [faults[number % len(faults)]]:
            yield Situation(f"{subject.name}: {fault}", partial(broken, subject, fault))
        for seed in range(SEEDS) if full else [number]:
            yield Situation(
                f"{subject.name}: seed {seed}",
                lambda subject=subject, seed=seed: [subject.seeded(seed)],
            )


# -- crashes at every write, restarts, forks ---------------------------------------------

SWEPT = (
    *("polardb Creating", "polardb ModifyClass", "polardb MigrateRw"),
    *("tiem CreateCluster", "tiem SwitchoverNormal", "tiem CloneCluster", "nightly"),
)
"""The flows that are looked at from every side."""


def crashed(subject: Subject, write: int, when: Any) -> list[wfsim.Simulation]:
    crash = wfsim.CrashAt(write=write, when=when, restart_after=5)
    return [ended(subject.begin([crash]))]


def resumed(subject: Subject, share: float) -> list[wfsim.Simulation]:
    """Return a simulation and one that goes on from the first *share* of its mementos."""
    sim = ended(subject.begin(()))
    written = [each for name in owners(sim) for each in sim.mementos(name)]
    prefix = written[: round(share * len(written))]
    twin = wfsim.Simulation.resume(sim.scenario, prefix, seed=sim.seed)
    return [sim, ended(twin)]


def forked(subject: Subject, *faults: wfsim.Fault) -> list[wfsim.Simulation]:
    sim = subject.begin(())
    sim.run(until=middle(subject).time)
    twin = sim.fork(faults)
    return [ended(sim), ended(twin)]


def in_a_file(subject: Subject, reopened: bool) -> list[wfsim.Simulation]:
    """Return a simulation over SQLite, and what goes on over its file if *reopened*."""
    scenario, folder = subject.begin(()).scenario, TemporaryDirectory()
    path = Path(folder.name, "stores.db")
    sims = [wfsim.Simulation(scenario, seed=1, db=path)]
    # As long as there is a simulation there is its file.
    finalize(sims[0], folder.cleanup)
    if scenario.is_service:
        asked_for(sims[0], subject.name.removeprefix("tiem "))
    elif (state := subject.name.removeprefix("polardb ")) in ASKED:
        sims[0].run(until=0.0)
        ASKED[state](sims[0])
    if reopened:
        sims[0].run(for_=middle(subject).time - middle(subject).began)
        sims.append(wfsim.Simulation(scenario, seed=1, db=path))
    ended(sims[-1])
    return sims


def from_every_side(full: bool) -> Iterator[Situation]:
    for number, subject in enumerate(each for each in subjects() if each.name in SWEPT):
        name = subject.name
        writes = middle(subject).writes + 1
        for write in range(1, writes + 1) if full else [2 + number]:
            for when in ("before", "after"):
                yield Situation(
                    f"{name}: crash {when} write {write}",
                    partial(crashed, subject, write, when),
                )
        for share in range(0, 101, 4) if full else [48]:
            yield Situation(
                f"{name}: resumed from {share} %", partial(resumed, subject, share / 100)
            )
        later = middle(subject).time + 1.0
        for label, faults in {
            "forked": (),
            "forked, crash": (wfsim.CrashAt(t=later, restart_after=3),),
            "forked, failing": (wfsim.FailStep(middle(subject).step),),
        }.items():
            yield Situation(f"{name}: {label}", partial(forked, subject, *faults))
        yield Situation(f"{name}: in a file", partial(in_a_file, subject, False))
        yield Situation(f"{name}: in a file, reopened", partial(in_a_file, subject, True))
        yield Situation(
            f"{name}: stepped", lambda subject=subject: [stepped(subject.begin(()))]
        )


def stepped(sim: wfsim.Simulation) -> wfsim.Simulation:
    while sim.step() is not None and sim.now < LIMIT:
        pass
    return sim


# -- what an operator does by hand -------------------------------------------------------


def crash_and_restart(sim: wfsim.Simulation) -> None:
    sim.run(until=wfsim.step_started("CreateRwPod"))
    sim.run(for_=3)
    sim.crash()
    sim.run(for_=5)
    sim.restart()


def cancel_and_recover(sim: wfsim.Simulation) -> None:
    sim.run(until=20)
    sim.cancel()
    sim.run(for_=30)
    sim.uncancel()
    sim.recover()


def create_and_delete(sim: wfsim.Simulation) -> None:
    sim.run(until=3)
    sim.edit(spec={"note": 1}, status={"seen": [1, None, {"a": True}]})
    sim.create(wfsim.Resource("mpd", "more", spec=dict(sim.resource().spec)))
    sim.run(for_=50)
    sim.delete("more")
    sim.run(for_=0.25)


def pause_and_go_on(sim: wfsim.Simulation) -> None:
    sim.run(until=11)
    sim.pause()
    sim.run(for_=40)
    sim.unpause()


def rebuild_what_is_interrupted(sim: wfsim.Simulation) -> None:
    sim.run()
    sim.edit(annotations={"restartCluster": "true"})
    sim.run(until=wfsim.state_entered("Interrupt"))
    sim.run(for_=1)
    sim.edit(annotations={"forceRebuild": "T"})


def edit_while_it_runs(sim: wfsim.Simulation) -> None:
    for second in range(0, 60, 7):
        sim.run(until=second)
        sim.edit(annotations={"second": str(second)})


def nothing(sim: wfsim.Simulation) -> None:
    return None


BY_HAND: Mapping[str, Callable[[wfsim.Simulation], object]] = {
    "crash and restart": crash_and_restart,
    "cancel, uncancel, recover": cancel_and_recover,
    "create and delete": create_and_delete,
    "pause and go on": pause_and_go_on,
    "rebuild what is interrupted": rebuild_what_is_interrupted,
    "edit while it runs": edit_while_it_runs,
    "nothing": nothing,
}


def by_hand(label: str, seed: int, controllers: int) -> list[wfsim.Simulation]:
    # Nobody restarts a cluster but where that is to be interrupted.
    look = wfsim.InterruptStep("RestartCluster", reason="LOOK")
    sim = wfsim.Simulation(
        polardb.scenario(1), seed=seed, controllers=controllers, faults=[look]
    )
    BY_HAND[label](sim)
    twin = sim.fork()
    return [ended(sim), ended(twin)]


def service_flows(label: str) -> list[wfsim.Simulation]:
    """Do to flows of a service what its users may do."""
    sim = wfsim.Simulation(tiem.scenario(), seed=2, controllers=2)
    first = tiem.begin(sim, "CreateCluster")
    sim.run(for_=30)
    if label == "cancel":
        sim.service.cancel(first)
    elif label == "stop and start":
        sim.service.stop(first)
        sim.run(for_=100)
        sim.service.start(first)
    elif label == "another":
        tiem.begin(sim, "BackupCluster")
        sim.run(for_=10)
        tiem.begin_hosts(sim, "ImportHosts", ["host-a", "host-b", "host-c"])
    return [ended(sim)]


def at_hand(full: bool) -> Iterator[Situation]:
    for label in BY_HAND:
        for seed in range(10) if full else [1]:
            for controllers in (1, 2):
                yield Situation(
                    f"by hand: {label}, seed {seed}, {controllers} controllers",
                    partial(by_hand, label, seed, controllers),
                )
    for label in ("cancel", "stop and start", "another"):
        yield Situation(f"service: {label}", partial(service_flows, label))


# -- files -------------------------------------------------------------------------------


def loaded(path: Path, seed: int | None, controllers: int = 1) -> list[wfsim.Simulation]:
    sim = wfsim.Simulation(wfsim.Scenario.load(path), seed=seed, controllers=controllers)
    sim.run()
    return [sim]


def of_files(full: bool) -> Iterator[Situation]:
    for path in sorted((FLOWS / "scenarios").glob("*.yaml")):
        name = path.relative_to(FLOWS)
        yield Situation(f"file {name}", partial(loaded, path, None))
        for seed in range(20) if full else []:
            yield Situation(
                f"file {name}: seed {seed}", partial(loaded, path, seed, 1 + seed % 2)
            )
    # A child is started by the code of a step: without it the flow is as good.
    for path in sorted(FLOWS.glob("*/**/*.yaml")):
        name = path.relative_to(FLOWS)
        if name.parts[0] == "scenarios":
            continue
        for seed in range(5) if full else [1]:
            yield Situation(
                f"file {name}: without code, seed {seed}",
                lambda path=path, seed=seed: [ended(of_file(path, seed))],
            )


# -- demand, pools, rates, hooks, odd steps ----------------------------------------------


class Racks(wfsim.World):
    """Disks that come up in their own time."""

    def __init__(self) -> None:
        super().__init__()
        self.disks: dict[str, float] = {}

    def attach_disk(self, name: str, seconds: float) -> None:
        self.later(seconds, "come_up", name)

    def come_up(self, name: str) -> None:
        self.disks[name] = self.clock.now


@wfsim.step
def prepare(context):
    name = context.resource.name
    context.world.attach_disk(name, 2 + 4 * context.draw("disk"))
    yield from context.world.until(lambda: name in context.world.disks, every=0.5)
    context.log(f"disks: {', '.join(sorted(context.world.disks))}")
    return {"disk": context.world.disks[name], "of": {"z": 1, "a": [True, None, 1.5]}}


@wfsim.step
async def configure(context):
    await context.sleep(1 + context.draw())
    await context.update(status={"configured": context.attempt, "by": context.run})
    if context.draw("luck") < 0.4:
        raise ValueError("bad luck")


@wfsim.step
def check(context):
    yield from context.sleep(0.5)
    if context.draw("patience") < 0.3:
        raise wfsim.Waiting(after=3.0)


@wfsim.step
def slow(context):
    """Take longer than the time-out allows, now and then."""
    yield from context.sleep(4.0 + 4.0 * context.draw("slow"))
    if context.draw("end") < 0.1:
        raise wfsim.Interrupted("LOOK", "by chance")
    if context.draw("end") < 0.2:
        raise wfsim.StepFailed("no end after 5 s")
    return {"ä": "ö", "n": context.attempt}


def wants_growth(resource: wfsim.Resource) -> bool:
    if resource.annotations.get("grow") == "3":
        raise ValueError("no check can look at a three")
    return "grow" in resource.annotations


class Nosy(wfsim.Hooks):
    """Looks on, and fails at some of what it sees."""

    def on_step_completed(self, run, step):
        if step is not None and step.attempts > 1:
            raise RuntimeError(f"seen {step.name} before")

    def on_run_completed(self, run):
        raise LookupError(run.key)


def racks(count: int = 3, **more: Any) -> wfsim.Scenario:
    machine = wfsim.StateMachine("rack").stable("Running", "Interrupt")
    machine.unstable("Creating", run="Create")
    machine.transition("Running", "Growing", when=wants_growth, run="Grow")
    create = wfsim.Flow(
        "Create", tuple(map(wfsim.Step, ("prepare", "configure", "check")))
    )
    grow = wfsim.Flow(
        "Grow",
        (
            wfsim.Step("check"),
            wfsim.Step(
                "Slow", "slow", timeout=6.0, retry=wfsim.Retry(limit=2, delay=1.5)
            ),
            wfsim.Step("Forget", "configure"),
        ),
        deadline=60.0,
    )
    given = {
        "policy": wfsim.Policy(
            workers=2, retention=2, retry=wfsim.Retry(limit=4, delay=2.0)
        ),
        "horizon": 600.0,
        **more,
    }
    return wfsim.Scenario(
        [wfsim.Resource("rack", f"rack-{number}") for number in range(count)],
        machine,
        [create, grow],
        [prepare, configure, check, slow],
        world=Racks,
        **given,
    )


def demand() -> Any:
    """Return the module in which the names of arrivals and triggers live."""
    return getattr(wfsim, "demand", wfsim)


def busy(**more: Any) -> wfsim.Scenario:
    """Return racks with arrivals, triggers, faults at rates, pools and settings."""
    made, times = demand(), demand().Times
    return racks(
        arrivals=[
            made.Arrivals(wfsim.Resource("rack", "late-{n}"), times(mean=30, count=9))
        ],
        triggers=[
            made.Trigger(times(mean=25, until=500), "any", annotations={"grow": "{n}"}),
            made.Trigger(times(every=60), "each", status={"tick": "{n}"}),
        ],
        rates={
            "controller": wfsim.Rate(mtbf=60, mttr=4, until=200),
            "api": wfsim.Rate(mtbf=80, mttr=3, count=2),
        },
        pools={"hands": 2, "tools": 3},
        settings={
            "configure": {"failure": 0.2, "uses": {"tools": 2, "hands": 1}},
            "check": {"duration": {"exponential": 2}, "uses": {"hands": 1}},
        },
        api_rate=40,
        **more,
    )


CROWDS: Mapping[str, Callable[[], wfsim.Scenario]] = {
    "racks": racks,
    "racks, eight": lambda: racks(8),
    "busy": busy,
    "busy, hooks": lambda: busy(hooks=[Nosy()]),
    "busy, lag": lambda: busy(lag=1.5),
    "polardb, ten": lambda: polardb.scenario(1, clusters=10, pod_failure=0.1),
    "polardb, few places": lambda: polardb.scenario(
        1, clusters=4, nodes=2, pods_per_node=3, storage_gb=300
    ).but(horizon=3600.0),
}


def crowd(label: str, seed: int, *faults: wfsim.Fault) -> list[wfsim.Simulation]:
    sim = wfsim.Simulation(
        CROWDS[label](), seed=seed, controllers=1 + seed % 3, faults=faults
    )
    return [ended(sim) if sim.scenario.horizon > LIMIT else run(sim)]


def run(sim: wfsim.Simulation) -> wfsim.Simulation:
    sim.run()
    return sim


MISHAPS: Mapping[str, tuple[wfsim.Fault, ...]] = {
    "broken steps": (
        wfsim.FailStep("configure", times=3),
        wfsim.DelayStep("check", by=7.0),
        wfsim.HangStep("prepare", resource="rack-1"),
        wfsim.CancelAt(t=20, resource="rack-1"),
    ),
    "broken stores": (
        wfsim.FailSave(write=7, applied=True, times=2),
        refusal()(write=12),
        wfsim.StaleRead(t=3, for_=9),
        wfsim.DropWatch(t=8, for_=6),
    ),
    "broken controllers": (
        wfsim.CrashAt(write=5, restart_after=6),
        wfsim.PauseController(t=9, for_=25, controller="controller-1"),
        wfsim.EditAt(t=12, resource="rack-2", annotations={"grow": "now"}),
        wfsim.CrashAt(t=31, restart_after=2),
    ),
}


def of_crowds(full: bool) -> Iterator[Situation]:
    for label in CROWDS:
        for seed in range(20) if full else [1]:
            yield Situation(f"crowd {label}: seed {seed}", partial(crowd, label, seed))
    for label, faults in MISHAPS.items():
        for seed in range(1, 60, 3) if full else [1]:
            yield Situation(
                f"crowd racks: {label}, seed {seed}",
                partial(crowd, "racks", seed, *faults),
            )
    for hazard in hazards.HAZARDS:
        yield Situation(f"hazard {hazard.__name__}", partial(hazardous, hazard))


def hazardous(hazard: Callable[[], hazards.Hazard]) -> list[wfsim.Simulation]:
    made = hazard()
    sim = wfsim.Simulation(made.scenario, seed=1, faults=made.faults)
    sim.run(until=min(3 * hazards.CREATED, made.scenario.horizon))
    return [sim]


# -- mementos from elsewhere -------------------------------------------------------------

CONFIG_MAP = Path(__file__).with_name("configmap-mpd-0-workflow.yaml")


def from_config_map(cut: bool) -> list[wfsim.Simulation]:
    """Go on from a ConfigMap of the reference; *cut*: one of whose texts is damaged."""
    text = CONFIG_MAP.read_text(encoding="utf-8")
    with TemporaryDirectory() as folder:
        path = Path(folder, "dump.yaml")
        if cut:
            text = text.replace('"stepName"', '"stepName', 1).replace("{", "[", 1)
        path.write_text(text, encoding="utf-8")
        mementos = wfsim.load_mementos(path)
    return [ended(wfsim.Simulation.resume(polardb.scenario(2), mementos, seed=5))]


def two_unfinished(number: int) -> list[wfsim.Simulation]:
    """Go on where a resource has two runs that are not over: one is superseded."""
    sim = asked("RestartCluster", ())
    sim.run(until=wfsim.step_started("RestartCluster"))
    run = sim.mementos()[-1]
    runs = [run, run._replace(key=f"{number}-{run.flow}")]
    twin = wfsim.Simulation.resume(sim.scenario, runs, seed=1, world=sim.world)
    return [sim, ended(twin)]


def from_elsewhere(full: bool) -> Iterator[Situation]:
    for number in (2, 12):
        name = f"runs 1 and {number} are not over"
        yield Situation(name, partial(two_unfinished, number))
    for cut in (False, True):
        label = "damaged" if cut else "whole"
        yield Situation(f"ConfigMap, {label}", partial(from_config_map, cut))


# -- all of them -------------------------------------------------------------------------


def situations(size: str = "full") -> Iterator[Situation]:
    """Yield all situations; the names of a small size are among those of the full one."""
    full = size == "full"
    for group in (
        *(of_each_flow, from_every_side, at_hand, of_files, of_crowds, from_elsewhere),
    ):
        yield from group(full)


def owners(sim: wfsim.Simulation) -> list[str]:
    """Return the resources of which there are mementos, in the order of the log."""
    return list(
        dict.fromkeys(
            record.resource
            for record in sim.log
            if isinstance(record.value, wfsim.Memento)
        )
    )


def log_lines(sims: Iterable[wfsim.Simulation], without: Sequence[str]) -> Iterator[str]:
    for sim in sims:
        for line in sim.log.lines():
            yield _stripped(line, without) if without else line


def memento_lines(sims: Iterable[wfsim.Simulation]) -> Iterator[str]:
    for sim in sims:
        for name in owners(sim):
            for run in sim.mementos(name):
                yield f"{name} {run.key} {run.to_json()}"


def _stripped(line: str, without: Sequence[str]) -> str:
    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return {name: value for name, value in pairs if name not in without}

    value = json.loads(line, object_pairs_hook=keep)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _sha(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def lines_of(situation: Situation, without: Sequence[str] = ()) -> list[str]:
    """Return the lines of its logs, then its mementos; the error if it raises one."""
    try:
        sims = situation.run()
        return [*log_lines(sims, without), *memento_lines(sims)]
    except Exception as error:  # whatever it is: both sides must come to the same
        return [f"{type(error).__name__}: {error}"]


def digests(situation: Situation, without: Sequence[str] = ()) -> dict[str, str]:
    """Return the line that ``write`` writes for *situation*."""
    try:
        sims = situation.run()
        return {
            "situation": situation.name,
            "log": _sha(log_lines(sims, without)),
            "mementos": _sha(memento_lines(sims)),
        }
    except Exception as error:  # whatever it is: both sides must come to the same
        raised = f"{type(error).__name__}: {error}"
        return {"situation": situation.name, "raised": raised}


# -- the command -------------------------------------------------------------------------


def _write(given: argparse.Namespace) -> int:
    count = raised = 0
    with sys.stdout if given.file == "-" else open(given.file, "w") as file:
        for situation in situations(given.size):
            if given.only in situation.name:
                found = digests(situation, given.without)
                print(json.dumps(found, ensure_ascii=False), file=file, flush=True)
                count, raised = count + 1, raised + ("raised" in found)
    print(f"{count} situations, {raised} of which raise an error", file=sys.stderr)
    return 0


def _elsewhere(checkout: str, *command: str) -> str:
    """Return what this file prints when it is run against the other *checkout*."""
    root = Path(checkout).resolve()
    environment = os.environ | {"PYTHONPATH": str(root)}
    probe = [sys.executable, "-c", "import wfsim; print(wfsim.__file__)"]
    found = subprocess.check_output(probe, cwd=root, env=environment, text=True).strip()
    if not Path(found).is_relative_to(root):
        raise SystemExit(f"{checkout} has no wfsim: {found} is what would be run")
    program = [sys.executable, str(Path(__file__).resolve()), *command]
    return subprocess.check_output(program, cwd=root, env=environment, text=True)


def _compare(given: argparse.Namespace) -> int:
    if given.file is None and given.against is None:
        raise SystemExit("compare with what? give a FILE, or --against a checkout")
    options = [f"--only={given.only}", f"--without={','.join(given.without)}"]
    if given.file is None:
        text = _elsewhere(given.against, "write", "-", f"--size={given.size}", *options)
    else:
        text = Path(given.file).read_text(encoding="utf-8")
    listed = [json.loads(line) for line in text.splitlines()]
    wanted = {
        each["situation"]: each for each in listed if given.only in each["situation"]
    }
    differing, seen = [], set()
    for situation in situations("full"):
        if situation.name in wanted:
            seen.add(situation.name)
            if digests(situation, given.without) != wanted[situation.name]:
                differing.append(situation)
                print(f"differs: {situation.name}", flush=True)
                if given.against and len(differing) <= given.first:
                    _print_difference(situation, given)
        if len(seen) == len(wanted):
            break
    for name in wanted:
        if name not in seen:
            print(f"gone: {name}")
    gone = len(wanted) - len(seen)
    print(f"{len(wanted)} situations: {len(differing)} differ, {gone} are gone")
    return 1 if differing or gone else 0


def _print_difference(situation: Situation, given: argparse.Namespace) -> None:
    without = f"--without={','.join(given.without)}"
    before = _elsewhere(given.against, "show", situation.name, without).splitlines()
    after = lines_of(situation, given.without)
    for number in range(max(len(before), len(after))):
        old, new = (side[number : number + 1] for side in (before, after))
        if old != new:
            print(f"  line {number + 1} there: {old[0] if old else 'the end'}")
            print(
                f"  line {number + 1} here:  {new[0] if new else 'the end'}", flush=True
            )
            return
    print("  the lines are equal: FILE is of another commit than that checkout")


def _show(given: argparse.Namespace) -> int:
    for situation in situations("full"):
        if situation.name == given.situation:
            print(*lines_of(situation, given.without), sep="\n")
            return 0
    raise SystemExit(f"no situation {given.situation!r}; write FILE names them all")


def main(arguments: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--only", default="", metavar="TEXT")
    options.add_argument("--size", default="full", choices=("full", "small"))
    options.add_argument(
        "--without", default=(), metavar="NAME,NAME", type=lambda text: _names(text)
    )
    parser = argparse.ArgumentParser(
        prog="python -m tests.golden.meaning",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True)
    write = commands.add_parser("write", parents=[options])
    write.add_argument("file", help="- for the standard output")
    write.set_defaults(do=_write)
    compare = commands.add_parser("compare", parents=[options])
    compare.add_argument("file", nargs="?")
    compare.add_argument("--against", metavar="OTHER_CHECKOUT")
    compare.add_argument(
        "--first", type=int, default=10, help="of how many the lines are shown"
    )
    compare.set_defaults(do=_compare)
    show = commands.add_parser("show", parents=[options])
    show.add_argument("situation")
    show.set_defaults(do=_show)
    given = parser.parse_args(arguments)
    return int(given.do(given))


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


if __name__ == "__main__":
    sys.exit(main())
