"""The parts that executors are made of.

The one rule: business objects live in the world, and the context of a flow holds their
names, so an executor acts on what it reads in the world and may be run again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import wraps
from inspect import isgenerator
from typing import Any, TypeAlias

import wfsim
from fake_resources.fakes import OperationFailed
from fake_resources.tiem.cluster import Cluster

Context: TypeAlias = wfsim.StepContext
Effect: TypeAlias = Generator[Any, Any, Any]
Body: TypeAlias = Callable[..., Any]

MONTH = 2_592_000.0
"""How long whatever waits inside an executor does so, in seconds; 30 days."""
LOOK = 10.0
"""How often it looks, in seconds."""


class Executors(list[Body]):
    """The executors of one *package* of the reference, as steps.

    ``@management("buildConfig")`` makes a step of a function, plain or a generator,
    which is called when the way to whatever it talks to has taken its time.
    """

    def __init__(self, package: str) -> None:
        super().__init__()
        self.package = package

    def __call__(self, *names: str) -> Callable[[Body], Body]:
        """Add a function under each of *names*."""

        def add(body: Body) -> Body:
            self.extend(_step(f"{self.package}.{name}", body) for name in names)
            return body

        return add


def _step(name: str, body: Body) -> Body:
    @wfsim.step(name)
    @wraps(body)
    def effect(ctx: Context) -> Effect:
        # By the name of the executor: those of a composite step draw apart.
        yield from ctx.sleep(ctx.world.call_takes(ctx.draw(f"call {name}")))
        chance = ctx.world.call_failure
        if chance and ctx.draw(f"call failure {name}") < chance:
            raise OperationFailed(f"call for {name} failed")
        result = body(ctx)
        return (yield from result) if isgenerator(result) else result

    return effect


def meta_of(ctx: Context) -> Any:
    """Return what the context says of the flow's cluster: ``id``, ``maintenance``."""
    # Two of the packages spell the key with a small letter.
    return ctx.inputs.get("ClusterMeta") or ctx.inputs["clusterMeta"]


def cluster_of(ctx: Context) -> Cluster:
    """Return the cluster that the flow is about; `LookupError` if it is gone."""
    return named(ctx, meta_of(ctx)["id"])


def source_of(ctx: Context) -> Cluster:
    """Return the cluster that is cloned; `LookupError` if it is gone."""
    return named(ctx, ctx.inputs["SourceClusterMeta"]["id"])


def named(ctx: Context, name: str) -> Cluster:
    """Return the cluster called *name*; `LookupError` if it is gone."""
    cluster: Cluster | None = ctx.world.clusters.get(name)
    if cluster is None:
        raise LookupError(f"there is no cluster {name}")
    return cluster


def last(ctx: Context, operation: str, name: str) -> Effect:
    """Do *operation* on *name* to its end; raises `OperationFailed` if it fails."""
    takes, fails = ctx.world.takes(operation, name), ctx.world.fails(operation, name)
    yield from ctx.sleep(takes)
    if fails:
        raise OperationFailed(f"{operation} for {name} failed")


def launch(ctx: Context, kind: str, limit: float = 0.0, **told: Any) -> dict[str, str]:
    """Launch an operation on the flow's cluster; return what is to be polled."""
    target = cluster_of(ctx).name
    return {"operation": ctx.world.launch(kind, target, limit, **told)}


def start_flow(ctx: Context, flow: str, cluster: Cluster, **context: Any) -> Effect:
    """Start *flow* on *cluster* as a child without a lock of its own; return its id."""
    return (yield from ctx.flows.start(flow, biz_id=cluster.name, context=context))


def wait_flow(ctx: Context, flow_id: str) -> Effect:
    """Wait until the child has ended; raises unless it is Finished."""
    yield from ctx.flows.wait(flow_id, every=LOOK, timeout=MONTH)


def modify(ctx: Context, cluster: Cluster, parameters: dict[str, Any]) -> Effect:
    """Start a child that gives *cluster* those *parameters*; return its id."""
    return (
        yield from start_flow(
            ctx,
            "ModifyParameters",
            cluster,
            ClusterMeta={"id": cluster.name},
            ModifyParameters=parameters,
            MaintenanceStatusChange=False,
            HasApplyParameter=True,
        )
    )


__all__ = [
    "LOOK",
    "MONTH",
    "Context",
    "Effect",
    "Executors",
    "cluster_of",
    "last",
    "launch",
    "meta_of",
    "modify",
    "named",
    "source_of",
    "start_flow",
    "wait_flow",
]
