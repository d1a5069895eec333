"""Sound scenarios, small enough to be explored in full: where the defects live.

Each has one more way of going on than the one before it: it waits, it polls, it is
interrupted and recovered, it is asked for a second flow, it is a service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import wfsim

COPYING = 30.0
"""How many seconds it takes to copy the data of a volume."""

ASKED = 500.0
"""The second at which somebody asks for more, long after whatever was before."""


class Cloud(wfsim.World):
    """Volumes by name, how often each was copied, and what somebody else copies."""

    def __init__(self) -> None:
        super().__init__()
        self.volumes: dict[str, str] = {}
        self.copies: dict[str, int] = {}
        self.copying: list[str] = []
        self.restored: list[str] = []
        self.letters: list[str] = []
        self.uplink = wfsim.Pool(1, "uplink")
        self.created = 0

    def create(self, name: str | None = None) -> str:
        """Create a volume, called by a number without *name*; return its name."""
        name = name or f"vol-{self.created}"
        self.created += 1
        self.volumes.setdefault(name, "empty")
        self.changed()
        return name

    def fill(self, name: str) -> None:
        """Put the data into the volume; `KeyError` if there is none of that name."""
        if name not in self.volumes:
            raise KeyError(name)
        self.volumes[name] = "full"
        self.copies[name] = self.copies.get(name, 0) + 1
        self.changed()

    def copy_to(self, name: str) -> None:
        """Begin to fill the volume, unless that is under way."""
        if name not in self.copying:
            self.copying.append(name)
            self.later(COPYING, "fill", name)

    def restore(self, key: str) -> str:
        """Begin to restore what *key* says; one that is under way is the same one."""
        running = [item.args[0] for item in self.pending if item.action == "over"]
        name = next((each for each in running if each.endswith(f" {key}")), "")
        if not name:
            name = f"{len(self.restored)} {key}"
            self.restored.append(name)
            self.later(COPYING, "over", name)
        return name

    def over(self, name: str) -> None:
        """End the operation of that name: its volume is full."""
        self.fill(name.partition(" ")[2])

    def poll(self, operation: str) -> bool:
        """Return whether the operation is over."""
        return all(operation not in item.args for item in self.pending)

    def send(self, letter: str) -> None:
        """Send a letter, which cannot be taken back."""
        self.letters.append(letter)
        self.changed()

    def essence(self) -> Any:
        """Return all but how often a volume was made and filled."""
        parts = (self.volumes, self.restored, sorted(set(self.letters)))
        return dict(zip(("volumes", "restored", "letters"), parts, strict=True))


class FrailCloud(Cloud):
    """A cloud that cannot be reached for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False

    def break_one(self, draw: float) -> str:
        """Break the only thing that can: the way to it."""
        self.broken = True
        return "uplink"

    def mend(self, name: str) -> None:
        """Make it reachable again."""
        self.broken = False

    def poll(self, operation: str) -> bool:
        """Return whether the operation is over; `PollError` while nobody can know."""
        if self.broken:
            raise wfsim.errors.PollError("it cannot be reached")
        return super().poll(operation)


class Fussy(wfsim.Hooks):
    """An observer that fails at the second attempt of anything."""

    def on_step_completed(self, run: wfsim.Memento, step: Any) -> None:
        """Fail unless all went well at once."""
        if step is not None and step.attempts > 1:
            raise RuntimeError(f"{step.name} took {step.attempts} attempts")


# -- sound steps -----------------------------------------------------------------------


@wfsim.step("MakeVolume")
def make_volume(ctx: wfsim.StepContext) -> Any:
    """Create a volume that is called after its run, if it is not there."""
    yield from ctx.sleep(3)
    name = ctx.world.create(f"{ctx.resource.name}-{ctx.run}")
    yield from ctx.sleep(2)
    return {"volume": name}


@wfsim.step("CopyData")
def copy_data(ctx: wfsim.StepContext) -> Any:
    """Fill the volume, as often as that is asked for."""
    yield from ctx.sleep(COPYING)
    ctx.world.fill(ctx.inputs["volume"])


@wfsim.step("CopyData")
def wait_for_copy(ctx: wfsim.StepContext) -> Any:
    """Fill the volume; asked again every 5 seconds until it is full."""
    name = ctx.inputs["volume"]
    ctx.world.copy_to(name)
    if ctx.world.volumes[name] != "full":
        raise wfsim.Waiting(5.0)


@wfsim.step("CopyData")
def fail_twice(ctx: wfsim.StepContext) -> Any:
    """Fail in the first two attempts, as something does that is not there yet."""
    yield from ctx.sleep(5)
    if ctx.attempt <= 2:
        raise RuntimeError("the target is not mounted yet")
    yield from copy_data(ctx)


@wfsim.step("CopyData")
def ask_for_an_operator(ctx: wfsim.StepContext) -> Any:
    """Stop until somebody has mounted the target, and says so."""
    yield from ctx.sleep(5)
    if "mounted" not in ctx.resource.annotations:
        raise wfsim.Interrupted("NOT_MOUNTED", "mount the target")
    yield from copy_data(ctx)


@wfsim.step("CopyData")
def fail_until_mounted(ctx: wfsim.StepContext) -> Any:
    """Fail until somebody has mounted the target, and says so."""
    yield from ctx.sleep(5)
    if "mounted" not in ctx.resource.annotations:
        raise RuntimeError("the target is not mounted")
    yield from copy_data(ctx)


@wfsim.step("CopyData")
def copy_and_say(ctx: wfsim.StepContext) -> Any:
    """Fill the volume, and write a line when that is done."""
    yield from copy_data(ctx)
    ctx.log("copied")


@wfsim.step("CopyData")
def restore(ctx: wfsim.StepContext) -> Any:
    """Launch what fills the volume; it is looked at every 3 seconds."""
    yield from ctx.sleep(2)
    return {"operation": ctx.world.restore(ctx.inputs["volume"])}


@wfsim.step("Announce")
def announce(ctx: wfsim.StepContext) -> Any:
    """Note at the resource which volume it was."""
    yield from ctx.sleep(1)
    yield from ctx.update(annotations={"volume": ctx.inputs["volume"]})


@wfsim.step("Announce")
def write(ctx: wfsim.StepContext) -> Any:
    """Write a letter that says which volume it was."""
    yield from ctx.sleep(1)
    ctx.world.send(ctx.inputs["volume"])


@wfsim.step("Undo")
def undo(ctx: wfsim.StepContext) -> Any:
    """Write that the backup was called off."""
    yield from ctx.sleep(1)
    ctx.world.send("called off")


@wfsim.step("Check")
def check(ctx: wfsim.StepContext) -> Any:
    """Take a second to look."""
    yield from ctx.sleep(1)


SOUND: Mapping[str, Any] = {
    "MakeVolume": make_volume,
    "CopyData": copy_data,
    "Announce": announce,
}


# -- scenarios -------------------------------------------------------------------------


def backup(
    engine: type[wfsim.Simulation] | None = None,
    *before: wfsim.types.Fault,
    controllers: int = 1,
    polling: bool = False,
    policy: wfsim.Policy | None = None,
    world: type[Cloud] = Cloud,
    hooks: tuple[wfsim.Hooks, ...] = (),
    **steps: Any,
) -> Any:
    """Return a backup of one database, with *steps* in the place of sound ones.

    Without *engine* it is a scenario, else a maker: what takes faults and returns a
    simulation by that engine, in which *before* happens in any case.  With *polling* the
    copy is launched and looked at.
    """
    flow = wfsim.Flow("Backup", tuple(_steps(polling)))
    scenario = wfsim.Scenario(
        resources=[wfsim.Resource("db", "orders")],
        machine=_machine(),
        flows=[flow, wfsim.Flow("Verify", (wfsim.Step("Check"),))],
        steps=[*{**SOUND, **steps}.values(), check],
        world=world,
        policy=policy,
        hooks=hooks,
    )
    if engine is None and not before and controllers == 1:
        return scenario
    made = engine or wfsim.Simulation
    return partial(begun, made, scenario, before, controllers)


def _steps(polling: bool) -> Iterable[wfsim.Step]:
    for name in SOUND:
        looked_at = polling and name == "CopyData"
        looks = wfsim.Polling(interval=3.0, tolerated_errors=9) if looked_at else None
        yield wfsim.Step(name, polling=looks)


def _machine() -> wfsim.StateMachine:
    """Return a database that is created, and verified when somebody asks for it."""
    return (
        wfsim.StateMachine("db")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="Backup")
        .transition("Running", "Verifying", when=wants_verify)
        .unstable("Verifying", run="Verify", then="Verified")
        .stable("Verified")
    )


def wants_verify(resource: wfsim.Resource) -> wfsim.Event | None:
    """Return an event if somebody asks that *resource* be verified."""
    return wfsim.Event("verify") if "verify" in resource.annotations else None


def begun(
    engine: type[wfsim.Simulation],
    scenario: wfsim.Scenario,
    before: tuple[wfsim.types.Fault, ...],
    controllers: int,
    faults: Iterable[wfsim.types.Fault],
) -> wfsim.Simulation:
    """Return a simulation by *engine*, in which *before* and *faults* happen."""
    return engine(scenario, seed=1, faults=(*before, *faults), controllers=controllers)


RECOVERY = wfsim.EditAt(t=ASKED, annotations={"mounted": "T", "interrupt.recover": "T"})
"""An operator who has done what `ask_for_an_operator` wants."""

VERIFY = wfsim.EditAt(t=ASKED, annotations={"verify": "T"})
"""Somebody who asks for the second flow."""


def service(
    engine: type[wfsim.Simulation] = wfsim.Simulation,
    *flows: wfsim.Flow,
    asked: Iterable[str] = ("Backup",),
    policy: wfsim.Policy | None = None,
    **steps: Any,
) -> Any:
    """Return a maker of a service whose flow *asked* was begun; see `backup`."""
    scenario = wfsim.Scenario(
        flows=flows or [wfsim.Flow("Backup", tuple(_steps(False)))],
        steps=[*{**SOUND, "Announce": write, **steps}.values(), undo],
        world=Cloud,
        policy=policy,
    )
    return partial(served, engine, scenario, tuple(asked))


def served(
    engine: type[wfsim.Simulation],
    scenario: wfsim.Scenario,
    asked: tuple[str, ...],
    faults: Iterable[wfsim.types.Fault],
) -> wfsim.Simulation:
    """Return a service by *engine* in which the flows *asked* were begun."""
    sim = engine(scenario, seed=1, faults=faults)
    for name in asked:
        sim.service.begin(name, "orders")
    return sim


def started_again(
    engine: type[wfsim.Simulation],
    scenario: wfsim.Scenario,
    asked: tuple[str, ...],
    faults: Iterable[wfsim.types.Fault],
) -> wfsim.Simulation:
    """Return what `served` does; somebody starts again what is Stopped by then."""
    sim = served(engine, scenario, asked, faults)

    def start() -> None:
        for flow in sim.service.list(status="Stopped").flows:
            sim.service.start(flow.id)

    sim.clock.call(ASKED, start)
    return sim


__all__ = ["SOUND", "Cloud", "backup", "service"]
