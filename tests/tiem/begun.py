"""A flow that has been asked for as its caller does, and where it went."""

from __future__ import annotations

from typing import Any, NamedTuple

import wfsim
from fake_resources import tiem


class Begun(NamedTuple):
    """A simulation, and the id of the flow that was asked for in it."""

    sim: wfsim.Simulation
    flow_id: str

    @property
    def world(self) -> tiem.TiemWorld:
        return self.sim.world

    @property
    def path(self) -> list[str]:
        """The steps that were begun, in order."""
        nodes = self.sim.service.detail(self.flow_id).nodes
        return [node.name for node in nodes]

    @property
    def status(self) -> str:
        return self.sim.service.detail(self.flow_id).status.value

    @property
    def locks(self) -> dict[str, str]:
        """Who is locked, and for what."""
        held = {each.name: each.maintenance for each in self.world.clusters.values()}
        held["hosts"] = self.world.host_batch
        return {name: status for name, status in sorted(held.items()) if status}

    @property
    def children(self) -> list[tuple[str, str]]:
        """The flows that it has started, with how they ended."""
        began = self.sim.service.detail(self.flow_id).info.created
        flows = reversed(self.sim.service.list(page_size=100).flows)
        return [(each.name, each.status.value) for each in flows if each.created > began]

    def until(self, time: float) -> Begun:
        """Go on until *time*, in seconds of virtual time."""
        self.sim.run(time)
        return self

    def ended(self) -> Begun:
        """Go on until nothing happens any more."""
        self.sim.run()
        return self


def simulation(*faults: wfsim.types.Fault, **more: Any) -> wfsim.Simulation:
    """A scenario in which nothing has been asked for yet."""
    return wfsim.Simulation(tiem.scenario(**more), seed=1, faults=faults)


def asked_for(
    sim: wfsim.Simulation, flow: str, subject: str | None = None, **asked: Any
) -> Begun:
    """A flow that has just been asked for, in a world in which it can go well."""
    if flow == "SwitchoverForceWithMasterUnavailable":
        sim.act(lambda sim: sim.world.clusters["cluster-1"].lose())
    if flow == "SwitchoverRollback":
        asked = {"failed": broken_switchover(sim).flow_id, **asked}
    return Begun(sim, tiem.begin(sim, flow, subject, **asked))


def begun(flow: str, *failing: str, subject: str | None = None, **asked: Any) -> Begun:
    """The same, but its steps that are called as one of *failing* fail."""
    number = 2 if flow == "SwitchoverRollback" else 1
    flow_id = f"{number}-{flow}"
    # The steps of other flows have the same names.
    faults = [wfsim.FailStep(step, resource=flow_id) for step in failing]
    return asked_for(simulation(*faults), flow, subject, **asked)


def broken_switchover(sim: wfsim.Simulation) -> Begun:
    """A switchover that failed and was not taken back; what broke it is over.

    Both masters are lost while the new change feed is looked at.
    """
    broken = Begun(sim, tiem.begin(sim, "SwitchoverNormal"))
    while "checkNewSyncChangeFeedTaskHealth" not in broken.path:
        broken.until(sim.clock.now + 1.0)
    for name in ("cluster-1", "cluster-2"):
        sim.act(lambda sim, name=name: sim.world.clusters[name].lose())
    broken.until(sim.clock.now + 60.0)
    for name in ("cluster-1", "cluster-2"):
        sim.act(lambda sim, name=name: sim.world.clusters[name].recover())
    return broken
