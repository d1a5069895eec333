"""TiUniManager: clusters, hosts, all 27 flows, and the callers that ask for them.

A simulation of `scenario` begins with nothing to do; `begin` asks for something::

    sim = wfsim.Simulation(tiem.scenario(), seed=1)
    flow_id = tiem.begin(sim, "CreateCluster")
    sim.run()
"""

from fake_resources.tiem.asks import OUTSIDE, ask, asks
from fake_resources.tiem.callers import CALLERS, begin, begin_hosts
from fake_resources.tiem.problems import problems
from fake_resources.tiem.setup import scenario, shipped, world
from fake_resources.tiem.steps import STEPS
from fake_resources.tiem.world import INSTANT, LATENCIES, TiemWorld

__all__ = [
    "CALLERS",
    "INSTANT",
    "LATENCIES",
    "OUTSIDE",
    "STEPS",
    "TiemWorld",
    "ask",
    "asks",
    "begin",
    "begin_hosts",
    "problems",
    "scenario",
    "shipped",
    "world",
]
