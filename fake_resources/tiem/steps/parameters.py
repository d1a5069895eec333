"""Executors of ``parameter``: change the parameters of a cluster."""

from __future__ import annotations

from typing import Any

from fake_resources.tiem.steps.executors import (
    Context,
    Executors,
    cluster_of,
    launch,
    meta_of,
)

parameter = Executors("parameter")


def _wanted(ctx: Context) -> Any:
    """Return what is wanted: ``tiup`` and ``sql`` by name, and whether to ``reboot``."""
    return ctx.inputs["ModifyParameters"]


@parameter("validationParameter")
def validate(ctx: Context) -> None:
    """Raise `ValueError` for a parameter without a value."""
    wanted = {**_wanted(ctx)["tiup"], **_wanted(ctx)["sql"]}
    empty = sorted(name for name, value in wanted.items() if value is None)
    if empty:
        raise ValueError(f"no value for {', '.join(empty)}")


@parameter("modifyParameters")
def modify(ctx: Context) -> dict[str, str] | None:
    """Set what SQL can set; launch the change of what TiUP must set, if there is any."""
    cluster, wanted = cluster_of(ctx), _wanted(ctx)
    if wanted["sql"]:
        cluster.connect()
        cluster.database = {**cluster.database, **wanted["sql"]}
    if not wanted["tiup"]:
        return None
    cluster.save(ctx.run, wanted["tiup"])
    return launch(ctx, "EditConfig", changes=wanted["tiup"])


@parameter("refreshParameter")
def refresh(ctx: Context) -> dict[str, str] | None:
    """Launch the reload of the configuration, if a restart is asked for."""
    return launch(ctx, "Reload") if _wanted(ctx)["reboot"] else None


@parameter("persistParameter")
def persist(ctx: Context) -> None:
    """Enter in the books what is set."""
    cluster, wanted = cluster_of(ctx), _wanted(ctx)
    cluster.parameters = {**cluster.parameters, **wanted["tiup"], **wanted["sql"]}


@parameter("parameterFail")
def put_back(ctx: Context) -> None:
    """Launch the change back to the configuration before; nobody waits for it."""
    cluster = cluster_of(ctx)
    if ctx.run in cluster.saved:
        launch(ctx, "EditConfig", changes=cluster.saved[ctx.run])


@parameter("defaultEnd")
def end(ctx: Context) -> None:
    """Forget the configuration before; give the lock back, if the caller took it."""
    cluster_of(ctx).forget(ctx.run)
    if ctx.inputs["MaintenanceStatusChange"]:
        ctx.world.unlock(meta_of(ctx)["maintenance"], meta_of(ctx)["id"])


__all__ = ["parameter"]
