"""All that is run before and after a redesign, each by a readable name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from weakref import finalize

import wfsim
from fake_resources import polardb, tiem
from fake_resources.polardb import hazards
from tests.golden.mishaps import FAULTS, REFUSE_WRITE, middle
from tests.golden.racks import Nosy, busy, racks
from tests.golden.subjects import (
    ASKED,
    FLOWS,
    LIMIT,
    Subject,
    asked,
    asked_for,
    ended,
    of_file,
    owners,
    subjects,
)
from wfsim.sim.faults import Fault

SEEDS = 200


class Situation(NamedTuple):
    """A readable *name*, and what runs it and returns its simulations, in order."""

    name: str
    run: Callable[[], Sequence[wfsim.Simulation]]


# -- each flow, calm, broken and by chance -----------------------------------------------


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
    """Return a simulation that goes on from the first *share* of the mementos alone."""
    sim = ended(subject.begin(()))
    written = [each for name in owners(sim) for each in sim.mementos(name)]
    prefix = written[: round(share * len(written))]
    return [ended(wfsim.Simulation.resume(sim.scenario, prefix, seed=sim.seed))]


def resumed_in_its_world(subject: Subject, share: float) -> list[wfsim.Simulation]:
    """Return what goes on from mementos, resources and world as they stood then."""
    sim, where = subject.begin(()), middle(subject)
    sim.run(until=where.began + share * (where.end - where.began))
    there = owners(sim)
    twin = wfsim.Simulation.resume(
        sim.scenario,
        [each for name in there for each in sim.mementos(name)],
        seed=sim.seed,
        world=sim.world,
        resources=[sim.resource(name) for name in there],
    )
    return [ended(sim), ended(twin)]


def forked(subject: Subject, *faults: Fault) -> list[wfsim.Simulation]:
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
        # The effects of steps are applied again, in a world that can be made anew.
        if name.removeprefix("polardb ") not in ASKED:
            for share in range(0, 101, 4) if full else [48]:
                yield Situation(
                    f"{name}: resumed from {share} %",
                    partial(resumed, subject, share / 100),
                )
        for share in range(0, 101, 4) if full else [48]:
            yield Situation(
                f"{name}: resumed from {share} %, in its world",
                partial(resumed_in_its_world, subject, share / 100),
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


TICKS: Mapping[str, wfsim.Policy | None] = {
    "": None,
    ", at once": wfsim.Policy.service(watch_tick=0.0, nodes_per_tick=None),
    ", three nodes a tick": wfsim.Policy.service(watch_tick=2.0, nodes_per_tick=3),
}


def service_flows(label: str, ticks: str) -> list[wfsim.Simulation]:
    """Do to flows of a service what its users may do."""
    scenario = tiem.scenario(policy=TICKS[ticks])
    sim = wfsim.Simulation(scenario, seed=2, controllers=2)
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
    for ticks in TICKS:
        for label in ("cancel", "stop and start", "another"):
            yield Situation(
                f"service: {label}{ticks}", partial(service_flows, label, ticks)
            )


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


# -- crowds ------------------------------------------------------------------------------

STRICT = wfsim.Policy(
    retry=wfsim.Retry(limit=5, delay=1.5, factor=2.0, cap=9.0),
    timeout=5.5,
    deadline=90.0,
    cancel_tick=1.25,
    redrive=wfsim.Retry(limit=4, delay=0.5, factor=3.0, cap=20.0),
    workers=3,
    retention=1,
    lease=6.0,
    renew=2.5,
)
"""No number is its default, nor the same as another."""

CROWDS: Mapping[str, Callable[[], wfsim.Scenario]] = {
    "racks": racks,
    "racks, eight": lambda: racks(8),
    "racks, strict": lambda: racks(policy=STRICT, lag=0.5),
    "busy": busy,
    "busy, strict": lambda: busy(policy=STRICT),
    "busy, hooks": lambda: busy(hooks=[Nosy()]),
    "busy, lag": lambda: busy(lag=1.5),
    "polardb, ten": lambda: polardb.scenario(1, clusters=10, pod_failure=0.1),
    "polardb, few places": lambda: polardb.scenario(
        1, clusters=4, nodes=2, pods_per_node=3, storage_gb=300
    ).but(horizon=3600.0),
}


def crowd(label: str, seed: int, *faults: Fault) -> list[wfsim.Simulation]:
    sim = wfsim.Simulation(
        CROWDS[label](), seed=seed, controllers=1 + seed % 3, faults=faults
    )
    return [ended(sim) if sim.scenario.horizon > LIMIT else run(sim)]


def run(sim: wfsim.Simulation) -> wfsim.Simulation:
    sim.run()
    return sim


MISHAPS: Mapping[str, tuple[Fault, ...]] = {
    "broken steps": (
        wfsim.FailStep("configure", times=3),
        wfsim.DelayStep("check", by=7.0),
        wfsim.HangStep("prepare", resource="rack-1"),
        wfsim.CancelAt(t=20, resource="rack-1"),
    ),
    "broken stores": (
        wfsim.FailSave(write=7, applied=True, times=2),
        REFUSE_WRITE(write=12),
        wfsim.StaleRead(t=3, for_=9),
        wfsim.DropWatch(t=8, for_=6),
    ),
    "broken controllers": (
        wfsim.CrashAt(write=5, restart_after=6),
        wfsim.PauseController(t=9, for_=25, controller="controller-1"),
        wfsim.EditAt(t=12, resource="rack-2", annotations={"grow": "now"}),
        wfsim.CrashAt(t=31, restart_after=2),
    ),
    "stores that are away": (
        wfsim.ApiDown(t=2.5, for_=7),
        wfsim.FailSave(write=14, times=3),
        wfsim.ApiDown(t=15, for_=40),
        wfsim.CrashAt(t=58, restart_after=1),
        wfsim.ApiDown(t=60, for_=3),
    ),
}


def of_crowds(full: bool) -> Iterator[Situation]:
    for label in CROWDS:
        for seed in range(20) if full else [1]:
            yield Situation(f"crowd {label}: seed {seed}", partial(crowd, label, seed))
    for crew in ("racks", "racks, strict"):
        for label, faults in MISHAPS.items():
            for seed in range(1, 60, 3) if full else [1]:
                yield Situation(
                    f"crowd {crew}: {label}, seed {seed}",
                    partial(crowd, crew, seed, *faults),
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


def checked_badly() -> list[wfsim.Simulation]:
    """A check that raises moves nothing, and is told."""

    def wants_more(resource: Any) -> bool:
        return bool(resource.spec["size"] > 1)

    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    machine.transition("Running", "Growing", when=wants_more, run="Grow")
    flow = wfsim.Flow("Grow", (wfsim.Step("A", duration=wfsim.Duration.parse(1)),))
    orders = wfsim.Resource("db", "orders", state="Running")
    sim = wfsim.Simulation(wfsim.Scenario([orders], machine, [flow]), seed=1)
    sim.run(until=5)
    sim.edit("orders", spec={"size": 2})
    return [ended(sim)]


def from_elsewhere(full: bool) -> Iterator[Situation]:
    yield Situation("a check that raises", checked_badly)
    for number in (2, 12):
        name = f"runs 1 and {number} are not over"
        yield Situation(name, partial(two_unfinished, number))
    for cut in (False, True):
        label = "damaged" if cut else "whole"
        yield Situation(f"ConfigMap, {label}", partial(from_config_map, cut))


def situations(size: str = "full") -> Iterator[Situation]:
    """Yield all situations; the names of a small size are among those of the full one."""
    full = size == "full"
    yield from of_each_flow(full)
    yield from from_every_side(full)
    yield from at_hand(full)
    yield from of_files(full)
    yield from of_crowds(full)
    yield from from_elsewhere(full)
