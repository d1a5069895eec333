"""The steps of all flows, each of which may be cut short anywhere and run again.

The one rule: a step acts on what it reads in the world, never on what it remembers.
What a second run does is said for each, in the words of the reference's catalogue:
it is a *noop*, it *converges*, or it *repeats* what it did.
"""

from fake_resources.polardb.steps import create, leader, meta, replicas, restart
from fake_resources.polardb.steps.create import FINALIZER, release

STEPS = (
    *create.STEPS,
    *replicas.STEPS,
    *leader.STEPS,
    *restart.STEPS,
    *meta.STEPS,
)

__all__ = ["FINALIZER", "STEPS", "release"]
