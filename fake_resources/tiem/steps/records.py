"""Executors that move data and keep records of it: backup, restore, export, import."""

from __future__ import annotations

from fake_resources.tiem.cluster import Backup, Transfer
from fake_resources.tiem.steps.executors import (
    MONTH,
    Context,
    Effect,
    Executors,
    cluster_of,
    last,
    launch,
    meta_of,
)

backuprestore = Executors("backuprestore")
importexport = Executors("importexport")


def _backup(ctx: Context) -> Backup:
    """Return the record of the backup; `LookupError` if somebody has removed it."""
    name = ctx.inputs["backupRecord"]
    if name not in ctx.world.backups:
        raise LookupError(f"there is no backup {name}")
    found: Backup = ctx.world.backups[name]
    return found


@backuprestore("backupCluster")
def back_up(ctx: Context) -> Effect:
    """Back the cluster up by SQL, which lasts as long as it takes."""
    cluster, name = cluster_of(ctx), ctx.inputs["backupRecord"]
    if name not in ctx.world.backups:
        # It is a child, for which no caller has entered one.
        ctx.world.keep("backups", Backup(name, cluster.name))
    backup = _backup(ctx)
    cluster.connect()
    backup.status = "Processing"
    yield from last(ctx, "back up", cluster.name)
    backup.rows = cluster.rows


@backuprestore("updateBackupRecord")
def update_backup(ctx: Context) -> None:
    """Record that the backup is there."""
    _backup(ctx).status = "Finished"


@backuprestore("restoreFromSrcCluster")
def restore(ctx: Context) -> Effect:
    """Restore the backup by SQL, which lasts as long as it takes."""
    cluster, backup = cluster_of(ctx), _backup(ctx)
    cluster.connect()
    if backup.status != "Finished":
        raise LookupError(f"{backup.name} is {backup.status}; there is no backup")
    yield from last(ctx, "restore", cluster.name)
    cluster.rows = backup.rows


@backuprestore("defaultEnd", "restoreFail")
def give_back(ctx: Context) -> None:
    """Give the lock back, if the caller has taken it."""
    if ctx.inputs["maintenanceStatusChange"]:
        ctx.world.unlock(meta_of(ctx)["maintenance"], meta_of(ctx)["id"])


@backuprestore("backupFail")
def backup_failed(ctx: Context) -> None:
    """Record that there is no backup; give the lock back."""
    if ctx.inputs["backupRecord"] in ctx.world.backups:
        _backup(ctx).status = "Failed"
    give_back(ctx)


def _transfer(ctx: Context) -> Transfer:
    found: Transfer = ctx.world.transfers[ctx.inputs["transportRecord"]]
    return found


@importexport("exportDataFromCluster")
def export(ctx: Context) -> dict[str, str]:
    """Launch the export; it may take 30 days."""
    cluster_of(ctx).connect()
    return launch(ctx, "Dumpling", MONTH)


@importexport("buildDataImportConfig")
def build_import(ctx: Context) -> None:
    """Write down how the import is to be done."""
    _transfer(ctx).config = f"import into {cluster_of(ctx).name}"


@importexport("importDataToCluster")
def import_(ctx: Context) -> dict[str, str]:
    """Launch the import; it may take 30 days."""
    cluster_of(ctx).connect()
    return launch(ctx, "Lightning", MONTH, rows=_transfer(ctx).name)


@importexport("updateDataExportRecord", "updateDataImportRecord")
def transferred(ctx: Context) -> None:
    """Record that it has gone well."""
    _transfer(ctx).status = "Finished"


@importexport("exportDataFailed", "importDataFailed")
def transfer_failed(ctx: Context) -> None:
    """Record that it has not gone well."""
    _transfer(ctx).status = "Failed"


@importexport("defaultEnd")
def end(ctx: Context) -> None:
    """Do nothing, as in the reference."""


__all__ = ["backuprestore", "importexport"]
