"""Hazards of the operator itself, each as a scenario to load and look at.

>>> from fake_resources.polardb import hazards
>>> hazard = hazards.ha_left_off()
>>> sim = wfsim.Simulation(hazard.scenario, seed=1, faults=hazard.faults)
>>> sim.run(until=hazard.wrong)[-1].kind
<Kind.RESOURCE_STATE: 'resource.state'>
>>> sim.world.managers["mpd-0"].ha
False

Where the fault is one of the reference's code, a step of it takes the place of ours; the
engine is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import wfsim
from fake_resources.polardb import members, requests
from fake_resources.polardb.setup import scenario
from fake_resources.polardb.steps import STEPS
from fake_resources.polardb.steps.create import create_ro_pods
from fake_resources.polardb.steps.instance import Effect, enlist
from fake_resources.polardb.steps.meta import clean_all_temp_meta
from fake_resources.polardb.steps.replicas import (
    convert_temp_ro_to_ro,
    generate_temp_ro_ids,
)

CREATED = 600.0
"""The second by which the cluster is there, whatever the seed."""

LARGE = {"className": "polar.o.x4.large", "cpu": 8, "memoryGb": 32}
"""A class that nobody has yet."""


class Hazard(NamedTuple):
    """A *scenario*, the *faults* that bring it out, and which record shows it (*wrong*).

    ``sim.run(until=hazard.wrong)`` stops at that record.  *said* is one sentence on it.
    """

    said: str
    scenario: wfsim.Scenario
    faults: tuple[wfsim.types.Fault, ...]
    wrong: Callable[[wfsim.types.Record], bool]


def lost_request(sound: bool = False) -> Hazard:
    """Return the flush of parameters whose last steps drop a request for a restart.

    With *sound*, the same with our step, which drops what its flow has served.
    """

    def wrong(record: wfsim.types.Record) -> bool:
        return (
            record.kind is wfsim.Kind.RESOURCE_EDITED
            and record.time > CREATED + 5
            and "restartCluster" not in record.value.annotations
            and record.value.state != "RestartCluster"
        )

    return Hazard(
        "CleanAllTempMeta drops a request that came while the flow ran.",
        _with(clean_all_temp_meta, clean_all_temp_meta if sound else drop_every_request),
        (
            wfsim.EditAt(t=CREATED, annotations={"flushParams": "T"}),
            wfsim.EditAt(t=CREATED + 5, annotations={"restartCluster": "T"}),
        ),
        wrong,
    )


def ha_left_off() -> Hazard:
    """Return a restart that is interrupted between DisableHA and EnableHA."""

    def wrong(record: wfsim.types.Record) -> bool:
        return record.kind is wfsim.Kind.RESOURCE_STATE and record.text.endswith(
            "-> Interrupt"
        )

    return Hazard(
        "The flow is interrupted while nobody would replace a leader that is lost.",
        _with(),
        (
            wfsim.EditAt(t=CREATED, annotations={"restartIns": "mpd-0-ro-1"}),
            wfsim.InterruptStep("RestartIns", reason="POD_LOST", message="gone"),
        ),
        wrong,
    )


def stale_write_back(sound: bool = False) -> Hazard:
    """Return a step that writes back how many followers were wanted when it began.

    With *sound*, the same with our step, which writes what it has to say.
    """

    def wrong(record: wfsim.types.Record) -> bool:
        return (
            record.kind is wfsim.Kind.RESOURCE_EDITED
            and record.time > 120.0
            and record.value.spec["followerNum"] == 2
        )

    return Hazard(
        "A step writes back what it read at its beginning, over what a user wants now.",
        _with(
            create_ro_pods,
            create_ro_pods if sound else write_back,
            # A leader that takes this long is there before 120 s, its followers are not.
            latencies={"launch pod": 60},
        ),
        (wfsim.EditAt(t=120, spec={"followerNum": 3}),),
        wrong,
    )


def endless_rebuild_ro() -> Hazard:
    """Return a temporary follower that failed, and a flow that does nothing about it."""

    def wrong(record: wfsim.types.Record) -> bool:
        return record.kind is wfsim.Kind.RUN_CREATED and record.run.startswith("3-")

    instances = {
        "mpd-0-rw": {"role": "rw"},
        "mpd-0-ro-1": {"role": "ro"},
        "mpd-0-ro-2": {"role": "ro"},
        "mpd-0-ins-4": {"role": "temp", "physical": "mpd-0-ro-1", "state": "failed"},
    }
    return Hazard(
        "RebuildRo has nobody to rebuild, completes, and is wanted again, for ever.",
        _with(horizon=CREATED + 600),
        (wfsim.EditAt(t=CREATED, status={"instances": instances}),),
        wrong,
    )


def unknown_leader() -> Hazard:
    """Return a request to promote an instance that does not exist: 11 waits of 30 s."""

    def wrong(record: wfsim.types.Record) -> bool:
        return record.kind is wfsim.Kind.RUN_INTERRUPTED

    return Hazard(
        "SwitchRw asks for nothing, waits for it eleven times, and is interrupted.",
        _with(),
        (wfsim.EditAt(t=CREATED, annotations={"switchRw": "mpd-9-rw"}),),
        wrong,
    )


def wrong_stand_in(sound: bool = False) -> Hazard:
    """Return a change of class that promotes the stand-in of a follower.

    With *sound*, the same with our step, which takes the leader's.
    """

    def wrong(record: wfsim.types.Record) -> bool:
        if record.kind is not wfsim.Kind.RESOURCE_EDITED or record.time < CREATED:
            return False
        leader, stand_ins = members.leader(record.value), requests.temp_ids(record.value)
        heir = stand_ins.get(members.physical(record.value, leader), leader)
        followers = members.followers(record.value)
        return (
            heir != leader
            and heir not in followers
            and any(name in followers for name in stand_ins.values())
        )

    return Hazard(
        "ConvertTempRoToRo promotes a follower's stand-in; the leader's never leads.",
        _with(convert_temp_ro_to_ro, convert_temp_ro_to_ro if sound else promote_another),
        (wfsim.EditAt(t=CREATED, spec={"classInfoModifyTo": LARGE}),),
        wrong,
    )


def nil_annotations(sound: bool = False) -> Hazard:
    """Return a step that panics where a cluster has no annotation: a crash loop of 11.

    A user has removed the only annotation, which names a port.  With *sound*, the same
    with our step, which needs none.
    """

    def wrong(record: wfsim.types.Record) -> bool:
        return record.kind is wfsim.Kind.RUN_INTERRUPTED

    panics = [
        wfsim.CrashAt(t=CREATED + 1 + 11 * number, restart_after=10)
        for number in range(11)
    ]
    return Hazard(
        "The process dies in GenerateTempRoIds, is started again, and dies there again.",
        _with(generate_temp_ro_ids, generate_temp_ro_ids if sound else panic_without),
        (
            wfsim.EditAt(t=CREATED - 1, annotations={"clusterManagerPort": None}),
            wfsim.EditAt(t=CREATED, spec={"classInfoModifyTo": LARGE}),
            *(() if sound else panics),
        ),
        wrong,
    )


def starvation(sound: bool = False) -> Hazard:
    """Return 27 clusters, of which 26 take long: the last one gets no worker.

    With *sound*, the same with a worker more.
    """

    def wrong(record: wfsim.types.Record) -> bool:
        return record.kind is wfsim.Kind.RUN_CREATED and record.time > CREATED

    return Hazard(
        "A flow holds its worker until it ends; 26 long ones keep all others waiting.",
        _with(
            clusters=27,
            replicas=1,
            # A pod that takes ten minutes is rare, and seldom alone.
            latencies={"launch pod": CREATED},
            policy=wfsim.Policy(workers=27 if sound else 26),
        ),
        (),
        wrong,
    )


HAZARDS = (
    lost_request,
    ha_left_off,
    stale_write_back,
    endless_rebuild_ro,
    unknown_leader,
    wrong_stand_in,
    nil_annotations,
    starvation,
)


@wfsim.step("CleanAllTempMeta")
def drop_every_request(ctx: wfsim.StepContext) -> Effect:
    """Drop every request there is, as the reference does (``rebuild.go:139-189``)."""
    gone = {*requests.REQUESTS.values(), *requests.NOTES, *requests.INTERRUPT_NOTES}
    yield from ctx.update(
        spec={"classInfoModifyTo": None, "versionCfgModifyTo": None},
        annotations=dict.fromkeys(sorted(gone)),
    )


@wfsim.step("ConvertTempRoToRo")
def promote_another(ctx: wfsim.StepContext) -> Effect:
    """Promote whichever temporary follower the map gives (``:302-316``): here the last.

    That of the leader is the first; the order of a map in Go is any order.
    """
    resource = yield from ctx.fetch()
    noted = members.entries(resource)
    name = members.temporary(resource)[-1]
    noted[name] = {**noted[name], "role": members.FOLLOWER}
    followers = [*members.followers(resource), name]
    yield from ctx.update(status={"instances": noted, "followers": followers})
    yield from enlist(ctx, name)


@wfsim.step("GenerateTempRoIds")
def panic_without(ctx: wfsim.StepContext) -> Effect:
    """Write into the map of annotations, of which there is none (``:197``).

    What that does to the process, a fault must do: the step stays where it would die.
    """
    resource = yield from ctx.fetch()
    if not resource.annotations:
        yield from ctx.wait(ctx.clock.event())
    yield from generate_temp_ro_ids(ctx)


@wfsim.step("CreateRoPods")
def write_back(ctx: wfsim.StepContext) -> Effect:
    """Create the followers; every write also writes what was read at the beginning.

    As the reference does (``shared_storage_cluster_repository.go:202-204``).
    """
    yield from create_ro_pods(_WritesBack(ctx))  # type: ignore[arg-type]


class _WritesBack:
    """A step context that writes back what its spec was when the step began."""

    def __init__(self, ctx: wfsim.StepContext) -> None:
        self._ctx = ctx
        self._read = {"followerNum": ctx.resource.spec["followerNum"]}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)

    def update(self, *, spec: Any = None, **parts: Any) -> Effect:
        return (yield from self._ctx.update(spec={**self._read, **(spec or {})}, **parts))


def _with(
    ours: object = None,
    theirs: Callable[..., Any] | None = None,
    horizon: float = 7 * 86400.0,
    **keywords: Any,
) -> wfsim.Scenario:
    """Return the scenario of one cluster, the step *theirs* in the place of *ours*."""
    base = scenario(**keywords)
    return wfsim.Scenario(
        resources=base.resources,
        machine=base.machines.values(),
        flows=base.flows.values(),
        steps=[theirs if theirs and body is ours else body for body in STEPS],
        world=base.world,
        policy=base.policy,
        title=base.title,
        horizon=horizon,
    )


__all__ = [
    "HAZARDS",
    "Hazard",
    "drop_every_request",
    "endless_rebuild_ro",
    "ha_left_off",
    "lost_request",
    "nil_annotations",
    "panic_without",
    "promote_another",
    "stale_write_back",
    "starvation",
    "unknown_leader",
    "write_back",
    "wrong_stand_in",
]
