"""Executors of ``resourcepool``: hosts that come and go."""

from __future__ import annotations

from typing import Any

from fake_resources.tiem.steps.executors import Context, Executors
from fake_resources.tiem.world import Host

resourcepool = Executors("resourcepool")


def _hosts(ctx: Context) -> list[Host]:
    return [ctx.world.hosts[name] for name in ctx.inputs["hostIDArray"]]


def _reach(host: Host) -> None:
    if not host.reachable:
        raise ConnectionError(f"{host.name} cannot be reached")


@resourcepool("validateHostInfo")
def validate(ctx: Context) -> None:
    """Raise `ValueError` if what is said of a host makes no sense."""
    for host in _hosts(ctx):
        if host.capacity < 1:
            raise ValueError(f"{host.name} has room for {host.capacity} instances")


@resourcepool("authHosts")
def authorize(ctx: Context) -> None:
    """Put the platform's key on the host."""
    for host in _hosts(ctx):
        _reach(host)
        host.authorized = True


@resourcepool("prepare")
def prepare(ctx: Context) -> None:
    """Set the host up as clusters need it."""
    for host in _hosts(ctx):
        _reach(host)
        host.prepared = True


@resourcepool("verifyHosts")
def verify(ctx: Context) -> None:
    """Raise `RuntimeError` if a check finds something and that matters."""
    for host in _hosts(ctx):
        if not host.sound and not ctx.inputs["checkHostIgnoreWarns"]:
            raise RuntimeError(f"{host.name} does not pass the checks")


@resourcepool("installSoftware")
def install(ctx: Context) -> None:
    """Install what clusters need."""
    for host in _hosts(ctx):
        _reach(host)
        host.software = True


@resourcepool("joinEmCluster")
def join(ctx: Context) -> dict[str, str] | None:
    """Launch its join of the platform's own cluster, unless it has joined."""
    return _launch(ctx, "EM ScaleOut", [not host.filebeat for host in _hosts(ctx)])


@resourcepool("leaveEmCluster")
def leave(ctx: Context) -> dict[str, str] | None:
    """Launch its leave of the platform's own cluster, unless it has left."""
    return _launch(ctx, "EM ScaleIn", [host.filebeat for host in _hosts(ctx)])


def _launch(ctx: Context, kind: str, wanted: list[Any]) -> dict[str, str] | None:
    # A flow is about one host, though its context has room for several.
    if not any(wanted):
        return None
    host = ctx.inputs["hostIDArray"][0]
    return {"operation": ctx.world.launch(kind, host, 360.0)}


@resourcepool("setHostsOnline")
def online(ctx: Context) -> None:
    """Open the host to clusters."""
    for host in _hosts(ctx):
        host.status = "Online"


@resourcepool("setHostsFail")
def failed(ctx: Context) -> None:
    """Close the host to clusters: it has failed."""
    for host in _hosts(ctx):
        host.status = "Failed"


@resourcepool("checkHostBeforeDelete")
def check_unused(ctx: Context) -> None:
    """Close the host to clusters; raises `RuntimeError` if one of them uses it."""
    for host in _hosts(ctx):
        users = ctx.world.instances_on(host.name)
        if users:
            raise RuntimeError(f"{host.name} is used by {', '.join(users)}")
        host.status = "Deleting"


@resourcepool("deleteHosts")
def delete(ctx: Context) -> None:
    """Strike the host out of the books."""
    for name in ctx.inputs["hostIDArray"]:
        ctx.world.drop("hosts", name)


__all__ = ["resourcepool"]
