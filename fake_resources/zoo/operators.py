"""The operators of the references with one defect each: a step of theirs for ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import wfsim
from fake_resources import polardb, tiem
from fake_resources.fakes import Ask
from fake_resources.polardb import hazards
from fake_resources.polardb.cluster import volume_name
from fake_resources.zoo import runners
from fake_resources.zoo.grounds import begun

Row = tuple[Any, str, str, tuple[Callable[[Any], Any], ...], Mapping[str, Ask]]
"""A subject, what it is found by, a sentence, wishes and requests: see `Mutant`."""


# -- steps -----------------------------------------------------------------------------


@wfsim.step("InitMeta")
def names_again(ctx: wfsim.StepContext) -> Any:
    """Names the instances in every attempt, after the attempt."""
    yield from body_of("InitMeta")(ctx)
    live = yield from ctx.fetch()
    if ctx.attempt > 1:
        yield from ctx.update(status={"leader": f"{live.name}-rw-{ctx.attempt}"})
    return {"engineParams": dict(live.spec["engineParams"])}


@wfsim.step("PrepareStorage")
def another_volume(ctx: wfsim.StepContext) -> Any:
    """Asks for a volume more when it is not known whether the first one came."""
    if ctx.attempt > 1:
        ctx.world.storage.prepare(f"{volume_name(ctx.resource.name)}-{ctx.attempt}", 1)
    return (yield from body_of("PrepareStorage")(ctx))


@wfsim.step("InitMeta")
def holds_nothing(ctx: wfsim.StepContext) -> Any:
    """Forgets the finalizer: a deleted cluster leaves all that it had."""
    returned = yield from body_of("InitMeta")(ctx)
    yield from ctx.update(finalizers=())
    return returned


def body_of(name: str) -> Any:
    """Return our step of that name."""
    return next(each for each in polardb.STEPS if name_of(each) == name)


# -- wishes ----------------------------------------------------------------------------


def is_served(sim: wfsim.Simulation) -> str:
    """A restart that was asked for was made."""
    fired = [r.text for r in sim.log if r.kind is wfsim.Kind.FAULT_FIRED]
    asked = any("restartCluster" in text for text in fired)
    runs = {memento.flow for memento in sim.log.fold().mementos.values()}
    live = next(iter(sim.log.fold().resources.values()), None)
    if not asked or live is None or live.state != "Running":
        return ""
    made = any("RestartCluster" in flow for flow in runs)
    return "" if made else "a restart was asked for, and never made"


def is_wanted(sim: wfsim.Simulation) -> str:
    """A cluster that runs has as many followers as were asked for at last."""
    fired = [r.text for r in sim.log if r.kind is wfsim.Kind.FAULT_FIRED]
    for live in sim.log.fold().resources.values():
        asked = any("'followerNum': 2" in text for text in fired)
        have = len(live.status.get("followers", ()))
        if live.state == "Running" and asked and have < 2:
            return f"{live.name} has {have} followers, not 2"
    return ""


def is_gone(sim: wfsim.Simulation) -> str:
    """Of a cluster that is deleted there is no pod."""
    there = sim.log.fold().resources
    left = sorted(getattr(sim.world, "pods", ()))
    return f"nobody has {', '.join(left)} any more" if left and not there else ""


def is_unlocked(sim: wfsim.Simulation) -> str:
    """When all flows have ended, no cluster is locked."""
    world: Any = sim.world
    locked = [text for text in tiem.problems(world) if "is locked" in text]
    return "; ".join(locked)


# -- the table -------------------------------------------------------------------------


def with_step(base: wfsim.Scenario, body: Any) -> wfsim.Scenario:
    """Return *base* with the step *body* in the place of ours of its name."""
    name = name_of(body)
    kept = [each for each in polardb.STEPS if name_of(each) != name]
    return base.but(steps=[*kept, body])


def name_of(body: Any) -> str:
    """Return how flows call *body*."""
    return str(getattr(body, "__wfsim_step__", body.__name__))


def asked(
    scenario: wfsim.Scenario,
    flow: str,
    engine: type[wfsim.Simulation],
    faults: Iterable[wfsim.types.Fault],
) -> wfsim.Simulation:
    """Return the platform by *engine* in which *flow* was asked for."""
    sim = engine(scenario, seed=1, faults=faults)
    tiem.begin(sim, flow)
    return sim


def edit(**parts: Any) -> dict[str, Ask]:
    """Return the one request that edits *parts*."""
    return {"edit": Ask("edit", (("edit", parts),))}


def row(subject: Any, code: str, why: Any, wish: Any = None, **asks: Any) -> Row:
    """Return a defect that *why* tells of; see `Mutant`."""
    wishes = () if wish is None else (wish,)
    return (
        subject,
        code or wish.__name__,
        str(why.__doc__).partition("\n")[0],
        wishes,
        asks,
    )


SMALL = polardb.scenario(replicas=0)
REPLICA = polardb.scenario(replicas=1)
LOST = hazards.lost_request()
DELETE = {"delete": Ask("delete", (("delete", {}),))}

OPERATORS: Mapping[str, Row] = {
    "names_again": row(with_step(SMALL, names_again), "S13", names_again),
    "another_volume": row(with_step(SMALL, another_volume), "S27", another_volume),
    "holds_nothing": row(
        with_step(SMALL, holds_nothing), "", holds_nothing, is_gone, **DELETE
    ),
    "write_back": row(
        with_step(REPLICA, hazards.write_back),
        "",
        hazards.write_back,
        is_wanted,
        **edit(spec={"followerNum": 2}),
    ),
    "drop_every_request": row(
        partial(begun, wfsim.Simulation, LOST.scenario, LOST.faults[:1], 1),
        "",
        hazards.drop_every_request,
        is_served,
        **edit(annotations={"restartCluster": "T"}),
    ),
    "DeafWorld": row(
        partial(asked, tiem.scenario(), "BackupCluster", runners.DeafWorld),
        "",
        runners.DeafWorld,
        is_unlocked,
    ),
}

__all__ = ["OPERATORS"]
