"""The executors of all flows, by package of the reference, each as a step.

The one rule: an executor acts on what it reads in the world and may be run again.
"""

from fake_resources.tiem.steps import (
    database,
    hosts,
    lifecycle,
    parameters,
    platform,
    records,
    switchover,
    upgrade,
)

STEPS = (
    *lifecycle.management,
    *database.management,
    *upgrade.management,
    *records.backuprestore,
    *records.importexport,
    *parameters.parameter,
    *platform.check,
    *platform.log,
    *hosts.resourcepool,
    *switchover.switchover,
)

__all__ = ["STEPS"]
