"""Defects as wrappers and subclasses: what an explorer must be able to find.

Each is a maker: a function that takes faults and returns a simulation of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import wfsim


class Cloud(wfsim.World):
    """Volumes, and places in which one copies."""

    def __init__(self) -> None:
        super().__init__()
        self.volumes: dict[str, str] = {}
        self.made = 0

    def create(self, name: str | None = None) -> str:
        name = name or f"vol-{self.made}"
        self.made += 1
        self.volumes.setdefault(name, "empty")
        self.changed()
        return name

    def essence(self) -> Any:
        return {"volumes": self.volumes}


@wfsim.step("MakeVolume")
def make_volume(ctx):
    """Looks before it creates, and calls it after its run: safe to repeat."""
    yield from ctx.sleep(3)
    name = ctx.world.create(f"{ctx.resource.name}-{ctx.run}")
    yield from ctx.sleep(2)
    return {"volume": name}


@wfsim.step("MakeVolume")
def creates_again(ctx):
    """Not idempotent: each attempt creates one more."""
    yield from ctx.sleep(3)
    name = ctx.world.create()
    yield from ctx.sleep(2)
    return {"volume": name}


@wfsim.step("MakeVolume")
def named_after_the_attempt(ctx):
    """The mend that is none: each attempt has a new name."""
    yield from ctx.sleep(3)
    name = ctx.world.create(f"{ctx.resource.name}-{ctx.attempt}")
    yield from ctx.sleep(2)
    return {"volume": name}


@wfsim.step("MakeVolume")
def named_after_the_time(ctx):
    """Depends on the clock."""
    yield from ctx.sleep(3)
    name = ctx.world.create(f"{ctx.resource.name}-{ctx.clock.now:g}")
    yield from ctx.sleep(2)
    return {"volume": name}


@wfsim.step("MakeVolume")
def refuses_what_is_there(ctx):
    """Fails on what it has made itself: it can never be repeated."""
    yield from ctx.sleep(3)
    name = f"{ctx.resource.name}-{ctx.run}"
    if name in ctx.world.volumes:
        raise RuntimeError(f"{name} is there already")
    ctx.world.create(name)
    yield from ctx.sleep(2)
    return {"volume": name}


@wfsim.step("MakeVolume")
def waits_for_ever(ctx):
    """What was begun by another attempt is waited for, and nobody will end it."""
    name = f"{ctx.resource.name}-{ctx.run}"
    if name in ctx.world.volumes:
        raise wfsim.Waiting(1.0)
    yield from ctx.sleep(3)
    ctx.world.create(name)
    yield from ctx.sleep(2)
    return {"volume": name}


@wfsim.step("CopyData")
def copy_data(ctx):
    yield from ctx.sleep(30)
    ctx.world.volumes[ctx.inputs["volume"]] = "full"
    ctx.world.changed()


@wfsim.step("CopyData")
def copies_on_top(ctx):
    """Adds to what is there instead of putting it there."""
    yield from ctx.sleep(30)
    ctx.world.volumes[ctx.inputs["volume"]] += ", full"
    ctx.world.changed()
    yield from ctx.sleep(1)


@wfsim.step("Announce")
def announce(ctx):
    yield from ctx.update(annotations={"volume": ctx.inputs["volume"]})


@wfsim.step("Announce")
def announces_the_newest(ctx):
    """Reads what is there now instead of what it was given."""
    yield from ctx.sleep(1)
    yield from ctx.update(annotations={"volume": sorted(ctx.world.volumes)[-1]})


SOUND = {"MakeVolume": make_volume, "CopyData": copy_data, "Announce": announce}


def scenario(**steps: Any) -> wfsim.Scenario:
    """Return a backup of one database, with *steps* in place of sound ones."""
    machine = (
        wfsim.StateMachine("db")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="Backup", then="Running")
    )
    return wfsim.Scenario(
        resources=[wfsim.Resource("db", "orders")],
        machine=machine,
        flows=[wfsim.Flow("Backup", tuple(wfsim.Step(name) for name in SOUND))],
        steps={**SOUND, **steps}.values(),
        world=Cloud,
    )


class Deaf:
    """A store of runs whose errors nobody hears: they are only logged."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.entries, self.keys, self.remove = inner.entries, inner.keys, inner.remove

    def append(self, run: Any, change: Any, token: int) -> Any:
        try:
            yield from self._inner.append(run, change, token)
        except wfsim.errors.Unavailable:
            return


class DeafEngine(wfsim.Simulation):
    """T9 of the reference: errors of persistence are only logged."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.plane.wrappers.append(lambda ports: ports._replace(runs=Deaf(ports.runs)))


def deaf(faults: Iterable[wfsim.types.Fault]) -> wfsim.Simulation:
    return DeafEngine(scenario(), seed=1, faults=faults)


class Mutant(NamedTuple):
    """A defect: what makes it, and the invariant by which it is found."""

    subject: Any
    invariant: str


MUTANTS: Mapping[str, Mutant] = {
    "creates again": Mutant(scenario(MakeVolume=creates_again), "S13"),
    "named after the attempt": Mutant(
        scenario(MakeVolume=named_after_the_attempt), "S13"
    ),
    "named after the time": Mutant(scenario(MakeVolume=named_after_the_time), "S13"),
    "refuses what is there": Mutant(scenario(MakeVolume=refuses_what_is_there), "S12"),
    "waits for ever": Mutant(scenario(MakeVolume=waits_for_ever), "L3"),
    "copies on top": Mutant(scenario(CopyData=copies_on_top), "S27"),
    "announces the newest": Mutant(
        scenario(MakeVolume=creates_again, Announce=announces_the_newest), "S13"
    ),
    "errors of persistence are only logged": Mutant(deaf, "L1"),
}

sound = scenario()
unsound = scenario(MakeVolume=creates_again)
