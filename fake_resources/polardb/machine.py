"""The state machine of a shared-storage cluster: its states, and the ways between."""

from __future__ import annotations

from typing import NamedTuple

import wfsim
from fake_resources.polardb import checks
from fake_resources.polardb.checks import Check, begun_for
from fake_resources.polardb.steps import FINALIZER, release

KIND = "mpd"
LOCAL_KIND = "mpd-local"


class Operation(NamedTuple):
    """An unstable *state*, the *flow* that it runs, and what leads there from where."""

    state: str
    flow: str
    check: Check
    sources: tuple[str, ...] = ("Running",)
    ignore_unfinished: bool = False


CREATING = Operation(
    "Creating", "CreateSharedStorageCluster", checks.check_install, ("Init",)
)
OPERATIONS = (
    CREATING,
    Operation(
        "Rebuild",
        "SharedStorageClusterRebuild",
        checks.check_rebuild,
        ("Interrupt", "Running"),
        ignore_unfinished=True,
    ),
    Operation(
        "ModifyClass", "SharedStorageClusterModifyClass", checks.check_modify_class
    ),
    Operation(
        "RestartCluster",
        "SharedStorageClusterRestartCluster",
        checks.check_restart_cluster,
    ),
    Operation("RestartIns", "SharedStorageClusterRestartIns", checks.check_restart_ins),
    Operation(
        "FlushParams", "SharedStorageClusterFlushParams", checks.check_flush_params
    ),
    Operation("SwitchRw", "SharedStorageClusterSwitchRw", checks.check_switch_rw),
    Operation("MigrateRo", "SharedStorageClusterMigrateRo", checks.check_migrate_ro),
    Operation("MigrateRw", "SharedStorageClusterMigrateRw", checks.check_migrate_rw),
    Operation(
        "UpgradeMinorVersion",
        "SharedStorageClusterUpgradeMinorVersion",
        checks.check_upgrade_minor_version,
    ),
    Operation("RebuildRo", "SharedStorageClusterRebuildRo", checks.check_rebuild_ro),
    Operation("AddRo", "SharedStorageClusterAddRo", checks.check_add_ro),
    Operation("RemoveRo", "SharedStorageClusterRemoveRo", checks.check_remove_ro),
    Operation(
        "ExtendStorage",
        "ExtendStorageSharedStorageCluster",
        checks.check_extend_storage,
        ignore_unfinished=True,
    ),
)
"""In the order in which the checks of a stable state are asked."""


def machine() -> wfsim.StateMachine:
    """Return the state machine of the kind ``mpd``: 3 stable and 14 unstable states."""
    built = wfsim.StateMachine(KIND).stable("Running", "Interrupt", "Init")
    for state, flow, check, sources, ignore in OPERATIONS:
        when = begun_for(check)
        built.unstable(state, run=flow, when=when, ignore_unfinished=ignore)
        for source in sources:
            built.transition(source, state, when=check)
    return built.finalizer(FINALIZER, release)


def local_machine() -> wfsim.StateMachine:
    """Return the state machine of the kind ``mpd-local``, which can only be created.

    The operator ships its flow and does not link the code: there every pass fails.  No
    step of it writes ``Running`` either; here the engine does when the flow is complete.
    """
    built = wfsim.StateMachine(LOCAL_KIND).stable("Running", "Interrupt", "Init")
    flow, check = "CreateLocalStorageDBCluster", checks.check_install
    built.unstable("Creating", run=flow, when=begun_for(check))
    return built.transition("Init", "Creating", when=check).finalizer(FINALIZER, release)


__all__ = ["KIND", "LOCAL_KIND", "OPERATIONS", "Operation", "local_machine", "machine"]
