"""PolarDB clusters on shared storage: the world, all their flows, scenarios.

>>> from fake_resources import polardb
>>> print(polardb.scenario(replicas=2, clusters=2))
<Scenario PolarDB, 2 x (1 + 2): mpd-0, mpd-1>
"""

from fake_resources.polardb.asks import OUTSIDE, ask, asks
from fake_resources.polardb.cluster import LATENCIES, PolarWorld, problems
from fake_resources.polardb.machine import OPERATIONS, local_machine, machine
from fake_resources.polardb.members import observe
from fake_resources.polardb.setup import CURRENT, local_scenario, scenario
from fake_resources.polardb.steps import STEPS

__all__ = [
    "CURRENT",
    "LATENCIES",
    "OPERATIONS",
    "OUTSIDE",
    "STEPS",
    "PolarWorld",
    "ask",
    "asks",
    "local_machine",
    "local_scenario",
    "machine",
    "observe",
    "problems",
    "scenario",
]
