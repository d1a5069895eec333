"""Every frame that users get, each of a small run; the data dictionary tells of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import wfsim
from wfsim import tables

if TYPE_CHECKING:
    import pandas as pd

OVER = "longest"
"""The parameter that the study varies; the dictionary calls it {parameter}."""


def scenario(
    longest: float = 10.0, failure: float = 0.2, limit: int = 1
) -> wfsim.Scenario:
    """Two steps on one resource, of which one fails now and then."""
    flow = wfsim.Flow(
        "Copy",
        (
            wfsim.Step("Fetch", duration={"uniform": [1, longest]}, failure=failure),
            wfsim.Step("Store", duration=3),
        ),
    )
    policy = wfsim.Policy(retry=wfsim.Retry(limit=limit))
    return wfsim.Scenario.of_flow(flow, policy=policy)


def of_logs() -> dict[str, pd.DataFrame]:
    """The tables of one log, and two logs beside each other."""
    log = wfsim.simulate(scenario(), faults=[wfsim.CrashAt(t=2, restart_after=5)], seed=1)
    frames = {
        f"tables.{name}": getattr(tables, name)(log)
        for name in tables.__all__
        if name != "lineage"
    }
    frames["tables.lineage"] = tables.lineage(log, -1)
    frames["diff"] = wfsim.diff(log, wfsim.simulate(scenario(), seed=1))
    return frames


def of_studies() -> dict[str, pd.DataFrame]:
    """The frames of a study over the parameter `OVER`."""
    study = wfsim.sweep(scenario, {OVER: [5.0, 10.0]}, replications=6)
    frames = {
        f"Study.{name}": getattr(study, name)
        for name in ("points", "runs", "replications", "steps", "loads")
    }
    for name in ("summary", "breakdown", "critical", "utilisation", "tornado"):
        frames[f"Study.{name}"] = getattr(study, name)()
    frames["Study.compare"] = study.compare("mean", by=OVER)
    frames["Study.rank"] = study.rank("mean")
    for name in ("welch", "warm_up", "over_time"):
        frames[f"Study.{name}"] = getattr(study, name)()
    frames["Study.batch_means"] = study.batch_means("total", batches=2)
    prices = wfsim.types.Cost(worker=1)
    frames["Study.costs"] = study.costs(prices)
    frames["Decision.points"] = study.decision("mean <= 60", cost=prices).points
    frames["Smallest.points"] = study.smallest(OVER, "mean <= 60").points
    axes = {OVER: [5.0, 10.0], "limit": [1, 3]}
    sobol = wfsim.sweep(scenario, wfsim.design.saltelli(axes, 4), replications=1)
    frames["Study.sensitivity"] = sobol.sensitivity("mean")
    return frames


def of_histories() -> dict[str, pd.DataFrame]:
    """The frames of a history, of what is made of it, and of its check."""
    several = [wfsim.Resource("resource", f"copy-{number}") for number in range(8)]
    past = wfsim.read_history(wfsim.simulate(scenario().but(resources=several), seed=1))
    calibration = wfsim.calibrate(past)
    checked = calibration.validate(past)
    return {
        "PastRuns.attempts": past.attempts,
        "Calibration.frame": calibration.frame,
        "Calibration.candidates": calibration.candidates,
        "Calibration.quantiles": calibration.quantiles("Fetch"),
        "Load.frame": calibration.load.frame,
        "Validation.frame": checked.frame,
        "Validation.pit": checked.pit(),
        "Validation.histogram": checked.histogram(),
    }


def is_running(sim: wfsim.Simulation) -> bool:
    """Whether all has gone well."""
    return sim.resource().state == "Running"


class Shelf(wfsim.World):
    """Keeps what is put on it."""

    def __init__(self) -> None:
        super().__init__()
        self.things: list[str] = []

    def put(self, name: str) -> str:
        """Put *name* on it; return how many there are now."""
        self.things.append(name)
        self.changed()
        return str(len(self.things))


def called() -> wfsim.Scenario:
    """One step that calls the world, and is not tried again."""

    @wfsim.step
    def Put(ctx):
        ctx.world.put(ctx.resource.name)
        yield from ctx.sleep(1)

    flow = wfsim.Flow("Put", (wfsim.Step("Put", retry=wfsim.Retry(limit=0)),))
    return wfsim.Scenario.of_flow(flow, steps=[Put]).but(world=Shelf)


def of_campaigns() -> dict[str, pd.DataFrame]:
    """The frames of a report of `explore`, and of one failure of it."""
    report = wfsim.explore(
        called(), ["FailStep"], seed=1, eventually=[is_running], depth=1
    )
    return {
        "Report.sites": report.sites,
        "Report.calls": report.calls,
        "Report.points": report.points,
        "Report.coverage": report.coverage,
        "Failure.diff": report.failures[0].diff(),
    }


FRAMES: tuple[Callable[[], dict[str, pd.DataFrame]], ...] = (
    of_logs,
    of_studies,
    of_histories,
    of_campaigns,
)


def logs() -> list[wfsim.EventLog]:
    """Logs in which most kinds of records are."""
    sim = wfsim.Simulation(
        scenario(failure=0.5, limit=3),
        faults=[
            wfsim.CrashAt(t=1, restart_after=1),
            wfsim.InterruptStep("Store"),
            wfsim.PauseController(t=3, for_=1),
            wfsim.FailSave(write=4),
        ],
        seed=1,
    )
    sim.run()
    sim.recover()
    sim.run(for_=1)
    sim.cancel()
    sim.run()
    sim.uncancel()
    sim.delete()
    sim.run()
    return [sim.log, *wishes()]


def wishes() -> list[wfsim.EventLog]:
    """Logs of a pool that is too small, and of hooks, checks and runs that are wrong."""

    class Wrong(wfsim.Hooks):
        def on_step_init(self, run: wfsim.Memento, step: object) -> None:
            raise ValueError

    def asks(resource: wfsim.Resource) -> bool:
        raise KeyError("size")

    @wfsim.step
    def Wait(ctx):
        ctx.log("looked")
        if ctx.clock.now < 3:
            raise wfsim.Waiting(after=5)

    machine = (
        wfsim.StateMachine("db")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="Go")
        .transition("Running", "Asked", when=asks, run="Go")
    )
    flow = wfsim.Flow("Go", (wfsim.Step("Wait"),))
    wrong = wfsim.Scenario(
        [wfsim.Resource("db", "a")], machine, [flow], [Wait], hooks=[Wrong()]
    )
    two = [wfsim.Resource("resource", name) for name in ("a", "b")]
    crowded = scenario().but(
        resources=two, pools={"uplink": 1}, settings={"Store": {"uses": {"uplink": 1}}}
    )
    tired = scenario(failure=1.0).but(policy=wfsim.Policy(retention=1))
    down = [wfsim.ApiDown(t=1, for_=3)]
    return [wfsim.simulate(each, seed=1, faults=down) for each in (wrong, crowded, tired)]
