"""What goes wrong with the operator itself, each as a scenario to load and look at.

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
from fake_resources.polardb import requests
from fake_resources.polardb.setup import scenario
from fake_resources.polardb.steps import STEPS
from fake_resources.polardb.steps.create import create_ro_pods
from fake_resources.polardb.steps.instance import Effect
from fake_resources.polardb.steps.meta import clean_all_temp_meta

CREATED = 600.0
"""The second by which the cluster is there, whatever the seed."""


class Hazard(NamedTuple):
    """A *scenario*, the *faults* that bring it out, and which record shows it (*wrong*).

    ``sim.run(until=hazard.wrong)`` stops at that record.  *said* is one sentence on it.
    """

    said: str
    scenario: wfsim.Scenario
    faults: tuple[wfsim.Fault, ...]
    wrong: Callable[[wfsim.Record], bool]


def lost_request(sound: bool = False) -> Hazard:
    """Return the flush of parameters whose last steps drop a request for a restart.

    With *sound*, the same with our step, which drops what its flow has served.
    """

    def wrong(record: wfsim.Record) -> bool:
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

    def wrong(record: wfsim.Record) -> bool:
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

    def wrong(record: wfsim.Record) -> bool:
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

    def wrong(record: wfsim.Record) -> bool:
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
    """Return a request that somebody lead whom nobody knows: eleven waits of 30 s."""

    def wrong(record: wfsim.Record) -> bool:
        return record.kind is wfsim.Kind.RUN_INTERRUPTED

    return Hazard(
        "SwitchRw asks for nothing, waits for it eleven times, and is interrupted.",
        _with(),
        (wfsim.EditAt(t=CREATED, annotations={"switchRw": "mpd-9-rw"}),),
        wrong,
    )


HAZARDS = (
    lost_request,
    ha_left_off,
    stale_write_back,
    endless_rebuild_ro,
    unknown_leader,
)


@wfsim.step("CleanAllTempMeta")
def drop_every_request(ctx: wfsim.StepContext) -> Effect:
    """Drop every request there is, as the reference does (``rebuild.go:139-189``)."""
    gone = {*requests.REQUESTS.values(), *requests.NOTES, *requests.INTERRUPT_NOTES}
    yield from ctx.update(
        spec={"classInfoModifyTo": None, "versionCfgModifyTo": None},
        annotations=dict.fromkeys(sorted(gone)),
    )


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
    "stale_write_back",
    "unknown_leader",
    "write_back",
]
