"""PolarDB clusters on shared storage: the world, the flow that creates them, a scenario.

>>> from fake_resources import polardb
>>> polardb.scenario(replicas=2, clusters=2)
<Scenario PolarDB, 2 x (1 + 2): mpd-0, mpd-1>
"""

from fake_resources.polardb.cluster import LATENCIES, PolarWorld, problems
from fake_resources.polardb.machine import machine
from fake_resources.polardb.setup import scenario
from fake_resources.polardb.steps import STEPS

__all__ = ["LATENCIES", "STEPS", "PolarWorld", "machine", "problems", "scenario"]
