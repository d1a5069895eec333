"""Many resources in one small world: arrivals, pools, rates, hooks, steps by chance."""

from __future__ import annotations

from typing import Any

import wfsim
from wfsim import errors
from wfsim.sim.demand import Arrivals, Times, Trigger
from wfsim.sim.rates import Rate


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
        raise errors.StepFailed("no end after 5 s")
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
    impatient = wfsim.Retry(limit=2, delay=1.5)
    create = wfsim.Flow(
        "Create", tuple(map(wfsim.Step, ("prepare", "configure", "check")))
    )
    grow = wfsim.Flow(
        "Grow",
        (
            wfsim.Step("check"),
            wfsim.Step("Slow", "slow", timeout=6.0, retry=impatient),
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


def busy(**more: Any) -> wfsim.Scenario:
    """Return racks with arrivals, triggers, faults at rates, pools and settings."""
    times = Times
    return racks(
        arrivals=[Arrivals(wfsim.Resource("rack", "late-{n}"), times(mean=30, count=9))],
        triggers=[
            Trigger(times(mean=25, until=500), "any", annotations={"grow": "{n}"}),
            Trigger(times(every=60), "each", status={"tick": "{n}"}),
        ],
        rates={
            "controller": Rate(mtbf=60, mttr=4, until=200),
            "api": Rate(mtbf=80, mttr=3, count=2),
        },
        pools={"hands": 2, "tools": 3},
        settings={
            "configure": {"failure": 0.2, "uses": {"tools": 2, "hands": 1}},
            "check": {"duration": {"exponential": 2}, "uses": {"hands": 1}},
        },
        api_rate=40,
        **more,
    )
