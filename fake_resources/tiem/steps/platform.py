"""Executors of ``check`` and ``log``: look at everything; collect logs."""

from __future__ import annotations

from typing import Any

from fake_resources.tiem.steps.executors import Context, Executors, cluster_of, named
from fake_resources.tiem.world import Report

check = Executors("check")
log = Executors("log")


def _found(ctx: Context, **findings: Any) -> None:
    report: Report = ctx.world.reports[ctx.inputs["CheckID"]]
    report.findings = {**report.findings, **findings}


@check("checkTenants")
def check_tenants(ctx: Context) -> None:
    """Report the clusters of each tenant that are not as they ought to be."""
    clusters = sorted(ctx.world.clusters.values(), key=lambda each: each.name)
    bad = [each.name for each in clusters if each.status == "Running" and not each.is_up]
    _found(ctx, clusters=len(clusters), down=bad)


@check("checkHosts")
def check_hosts(ctx: Context) -> None:
    """Report the hosts that cannot be reached."""
    hosts = sorted(ctx.world.hosts.values(), key=lambda each: each.name)
    _found(
        ctx,
        hosts=len(hosts),
        unreachable=[each.name for each in hosts if not each.reachable],
    )


@check("checkCluster")
def check_cluster(ctx: Context) -> None:
    """Report how one cluster is."""
    cluster = named(ctx, ctx.inputs["ClusterID"])
    _found(ctx, cluster=cluster.name, up=cluster.is_up, healthy=cluster.healthy)


@check("endCheck")
def end_check(ctx: Context) -> None:
    """Complete the report."""
    ctx.world.reports[ctx.inputs["CheckID"]].status = "Completed"


@check("handleFail")
def check_failed(ctx: Context) -> None:
    """Record in the report that it could not be made."""
    ctx.world.reports[ctx.inputs["CheckID"]].status = "Failure"


@log("collectorClusterLogConfig")
def collect(ctx: Context) -> None:
    """Launch a push of the configuration to each host; nobody waits for them."""
    cluster = cluster_of(ctx)
    for host in sorted({each.host for each in cluster.instances.values()} - {""}):
        ctx.world.launch("Push", host, cluster=cluster.name)


@log("defaultEnd")
def end_log(ctx: Context) -> None:
    """Do nothing, as in the reference."""


__all__ = ["check", "log"]
