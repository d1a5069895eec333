"""Steps of a user with one bug each, in the place of those of `grounds`."""

from __future__ import annotations

from typing import Any

import wfsim
from fake_resources.zoo.grounds import COPYING


@wfsim.step("MakeVolume")
def creates_again(ctx: wfsim.StepContext) -> Any:
    """Not idempotent: each attempt creates one more."""
    yield from ctx.sleep(3)
    name = ctx.world.create()
    yield from ctx.sleep(2)
    return {"volume": name}


@wfsim.step("MakeVolume")
def named_after_the_attempt(ctx: wfsim.StepContext) -> Any:
    """The mend that is none: each attempt has a new name."""
    yield from ctx.sleep(3)
    name = ctx.world.create(f"{ctx.resource.name}-{ctx.attempt}")
    yield from ctx.sleep(2)
    return {"volume": name}


@wfsim.step("MakeVolume")
def named_after_the_time(ctx: wfsim.StepContext) -> Any:
    """Depends on the clock."""
    yield from ctx.sleep(3)
    name = ctx.world.create(f"{ctx.resource.name}-{ctx.clock.now:g}")
    yield from ctx.sleep(2)
    return {"volume": name}


@wfsim.step("MakeVolume")
def named_by_chance(ctx: wfsim.StepContext) -> Any:
    """Draws a name, and another one in the next attempt."""
    yield from ctx.sleep(3)
    name = ctx.world.create(f"vol-{ctx.draw():.6f}")
    yield from ctx.sleep(2)
    return {"volume": name}


@wfsim.step("MakeVolume")
def refuses_what_is_there(ctx: wfsim.StepContext) -> Any:
    """Fails on what it has made itself: it can never be repeated."""
    yield from ctx.sleep(3)
    name = f"{ctx.resource.name}-{ctx.run}"
    if name in ctx.world.volumes:
        raise RuntimeError(f"{name} is there already")
    ctx.world.create(name)
    yield from ctx.sleep(2)
    return {"volume": name}


@wfsim.step("MakeVolume")
def waits_for_ever(ctx: wfsim.StepContext) -> Any:
    """What was begun by another attempt is waited for, and nobody will end it."""
    name = f"{ctx.resource.name}-{ctx.run}"
    if name in ctx.world.volumes:
        raise wfsim.Waiting(1.0)
    yield from ctx.sleep(3)
    ctx.world.create(name)
    yield from ctx.sleep(2)
    return {"volume": name}


@wfsim.step("MakeVolume")
def checks_the_first_of_two(ctx: wfsim.StepContext) -> Any:
    """Makes two things, and takes both for made where the first one is."""
    name = f"{ctx.resource.name}-{ctx.run}"
    if name not in ctx.world.volumes:
        ctx.world.create(name)
        yield from ctx.sleep(3)
        yield from ctx.update(status={"volumes": [name, f"{name}-log"]})
        ctx.world.create(f"{name}-log")
    yield from ctx.sleep(2)
    return {"volume": name}


@wfsim.step("MakeVolume")
def clears_what_is_there(ctx: wfsim.StepContext) -> Any:
    """Says that it has made something only where it has."""
    yield from ctx.sleep(3)
    name = f"{ctx.resource.name}-{ctx.run}"
    output = {} if name in ctx.world.volumes else {"volume": ctx.world.create(name)}
    yield from ctx.sleep(2)
    return output


def reads_its_own_cache() -> Any:
    """Reads its own cache, which knows nothing of the world as it is."""
    made: dict[str, str] = {}

    @wfsim.step("MakeVolume")
    def make(ctx: wfsim.StepContext) -> Any:
        """Reads its own cache, which knows nothing of the world as it is."""
        yield from ctx.sleep(3)
        if ctx.run not in made:
            made[ctx.run] = ctx.world.create()
        yield from ctx.sleep(2)
        return {"volume": made[ctx.run]}

    return make


@wfsim.step("CopyData")
def copies_on_top(ctx: wfsim.StepContext) -> Any:
    """Adds to what is there instead of putting it there."""
    yield from ctx.sleep(COPYING)
    ctx.world.volumes[ctx.inputs["volume"]] += ", full"
    ctx.world.changed()
    yield from ctx.sleep(1)


@wfsim.step("CopyData")
def forgets_to_release(ctx: wfsim.StepContext) -> Any:
    """Takes a place and gives it back only where all goes well."""
    claim = yield from ctx.world.uplink.acquire()
    yield from ctx.sleep(COPYING)
    ctx.world.fill(ctx.inputs["volume"])
    claim.release()


@wfsim.step("CopyData")
def swallows_the_cancel(ctx: wfsim.StepContext) -> Any:
    """Takes a cancel for an error that it may pass over."""
    for _ in range(2):
        try:
            yield from ctx.sleep(COPYING)
            break
        except wfsim.errors.Cancelled:
            continue
    ctx.world.fill(ctx.inputs["volume"])


@wfsim.step("CopyData")
def tidies_up_when_dead(ctx: wfsim.StepContext) -> Any:
    """Not safe against its own zombie: its ``finally`` takes what the next one needs."""
    scratch = f"{ctx.inputs['volume']}-scratch"
    ctx.world.create(scratch)
    try:
        yield from ctx.sleep(COPYING)
        if scratch not in ctx.world.volumes:
            raise wfsim.Interrupted("SCRATCH_LOST", scratch)
        ctx.world.fill(ctx.inputs["volume"])
    finally:
        ctx.world.volumes.pop(scratch, None)


@wfsim.step("Announce")
def announces_the_newest(ctx: wfsim.StepContext) -> Any:
    """Reads what is there now instead of what it was given."""
    yield from ctx.sleep(1)
    yield from ctx.update(annotations={"volume": sorted(ctx.world.volumes)[-1]})


@wfsim.step("Announce")
def reads_a_live_annotation(ctx: wfsim.StepContext) -> Any:
    """Goes by an annotation that anybody may change while it runs."""
    asked = "verify" in ctx.resource.annotations
    yield from ctx.sleep(1)
    live = yield from ctx.fetch()
    if not asked and "verify" in live.annotations:
        return  # somebody verifies it, who will announce it too
    yield from ctx.update(annotations={"volume": ctx.inputs["volume"]})


@wfsim.step("Announce")
def acts_before_it_is_durable(ctx: wfsim.StepContext) -> Any:
    """Tells the world what it has not yet written down, and may not write so."""
    ctx.world.send(f"invoice {ctx.attempt}")
    yield from ctx.sleep(1)
    yield from ctx.update(annotations={"volume": ctx.inputs["volume"]})
