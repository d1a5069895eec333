"""Every operation of a cluster: what asks for it, and what is so when it is done."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import wfsim
from fake_resources import polardb

BIG = {"className": "polar.o.x8.large", "cpu": 8, "memoryGb": 32}
FLOWS = {operation.state: operation.flow for operation in polardb.OPERATIONS}


class Asked(NamedTuple):
    """How somebody asks for it, and what the world then looks like."""

    ask: Callable[[wfsim.Simulation], object]
    promise: Callable[[wfsim.Simulation], object]


def created(
    *faults: wfsim.types.Fault, nodes: int = 4, **latencies: float
) -> wfsim.Simulation:
    """A cluster of three that is running, with a node to spare.

    In the name of an operation that takes long, spaces are underscores.
    """
    scenario = _running(nodes, tuple(latencies.items()))
    return wfsim.Simulation(scenario, seed=1, faults=faults)


@cache
def _running(nodes: int, slow: tuple[tuple[str, float], ...]) -> wfsim.Scenario:
    """A scenario that begins where the creation of the cluster has ended."""
    latencies = {name.replace("_", " "): seconds for name, seconds in slow}
    base = polardb.scenario(replicas=2, nodes=nodes, latencies=latencies)
    sim = wfsim.Simulation(base, seed=1)
    sim.run()
    return going_on(sim)


def going_on(sim: wfsim.Simulation) -> wfsim.Scenario:
    """A scenario that begins with the resource and the world as they are in *sim*."""
    return wfsim.Scenario(
        resources=[sim.resource()._replace(uid="", revision=0, entered=0)],
        machine=sim.scenario.machines.values(),
        flows=sim.scenario.flows.values(),
        steps=polardb.STEPS,
        world=sim.world.copy().copy,
    )


def asked(state: str, *faults: wfsim.types.Fault, **latencies: float) -> wfsim.Simulation:
    """A cluster that stands in *state*, of which nothing has been done."""
    sim = created(*faults, **latencies)
    sim.run(until=0.0)
    OPERATIONS[state].ask(sim)
    sim.run(until=wfsim.state_entered(state))
    return sim


def completed(sim: wfsim.Simulation) -> list[str]:
    """The flows that were completed, in order."""
    return [record.flow for record in sim.log.filter(wfsim.Kind.RUN_COMPLETED)]


def is_done(sim: wfsim.Simulation, state: str) -> None:
    """Assert that what *state* is for has been done, and nothing else is amiss."""
    resource = sim.resource()
    assert resource.state == "Running"
    assert polardb.problems(sim.world, resource) == []
    assert sim.world.managers["mpd-0"].ha
    assert dict(resource.annotations) == {"clusterManagerPort": "5500"}
    assert not [name for name in resource.spec if name.endswith("ModifyTo")]
    roles = [entry["role"] for entry in resource.status["instances"].values()]
    assert sorted(roles) == ["ro"] * len(resource.status["followers"]) + ["rw"]
    OPERATIONS[state].promise(sim)


def names(sim: wfsim.Simulation) -> list[str]:
    """The leader and the followers."""
    return [sim.resource().status["leader"], *sim.resource().status["followers"]]


def spare(sim: wfsim.Simulation) -> str:
    """A node on which there is no pod."""
    used = {pod.node for pod in sim.world.pods.values()}
    return next(node for node in sim.world.nodes if node not in used)


def _fail(name: str) -> Callable[[wfsim.Simulation], object]:
    def happens(sim: wfsim.Simulation) -> None:
        sim.world.pods[name].fail()
        polardb.observe(sim)

    return lambda sim: sim.act(happens)


def _extend(sim: wfsim.Simulation) -> None:
    sim.act(lambda each: each.world.storage.extend("pv-mpd-0", 200))
    sim.edit(annotations={"extendStorage": "true"})


def _flush(sim: wfsim.Simulation) -> None:
    params = {"shared_buffers_gb": 6, "max_connections": 900}
    sim.edit(spec={"engineParams": params}, annotations={"flushParams": "1"})


def _restarted(*wanted: str) -> Callable[[wfsim.Simulation], object]:
    def promise(sim: wfsim.Simulation) -> None:
        times = {pod.name: pod.restarts for pod in sim.world.pods.values()}
        assert {name for name in times if times[name]} == set(wanted)

    return promise


def _generations(sim: wfsim.Simulation) -> None:
    # Once more where a recovery has begun with the first step again.
    assert {pod.generation for pod in sim.world.pods.values()} <= {2, 3}
    assert len(sim.world.pods) == 3


def _all(attribute: str, value: object) -> Callable[[wfsim.Simulation], object]:
    def promise(sim: wfsim.Simulation) -> None:
        found = {name: getattr(pod, attribute) for name, pod in sim.world.pods.items()}
        assert found == dict.fromkeys(names(sim), value)
        assert len(found) == 3

    return promise


def _big(sim: wfsim.Simulation) -> None:
    _all("flavour", BIG["className"])(sim)
    _all("params", {"shared_buffers_gb": 8, "max_connections": 1600})(sim)
    assert dict(sim.resource().spec["classInfo"]) == BIG
    assert sim.world.managers["mpd-0"].params_saved > 0


def _upgraded(sim: wfsim.Simulation) -> None:
    _all("image", "1.1.21")(sim)
    assert sim.world.managers["mpd-0"].image == "1.1.21"
    assert sim.resource().spec["versionCfg"]["versionName"] == "1.1.21"


def _flushed(sim: wfsim.Simulation) -> None:
    _all("params", {"shared_buffers_gb": 6, "max_connections": 900})(sim)
    _restarted(*names(sim))(sim)
    assert sim.world.managers["mpd-0"].params_saved > 0


def _switched(sim: wfsim.Simulation) -> None:
    assert names(sim) == ["mpd-0-ro-1", "mpd-0-rw", "mpd-0-ro-2"]
    roles = {pod.name: pod.role for pod in sim.world.pods.values()}
    assert roles == {"mpd-0-ro-1": "rw", "mpd-0-rw": "ro", "mpd-0-ro-2": "ro"}


def _replaced(at: int) -> Callable[[wfsim.Simulation], object]:
    """Whoever had place *at* is another one now, alone on what was the spare node."""

    def promise(sim: wfsim.Simulation) -> None:
        before = ["mpd-0-rw", "mpd-0-ro-1", "mpd-0-ro-2"]
        after = names(sim)
        assert [a == b for a, b in zip(after, before, strict=True)] == [
            index != at for index in range(3)
        ]
        homes = {pod.name: pod.node for pod in sim.world.pods.values()}
        assert sim.resource().status["instances"][after[at]]["node"] == homes[after[at]]
        assert len(set(homes.values())) == 3

    return promise


def _count(followers: int) -> Callable[[wfsim.Simulation], object]:
    def promise(sim: wfsim.Simulation) -> None:
        assert len(sim.resource().status["followers"]) == followers
        assert sim.resource().spec["followerNum"] == followers
        assert len(sim.world.pods) == followers + 1
        assert "mpd-0-ro-2" in sim.world.pods

    return promise


def _annotate(**annotations: str) -> Callable[[wfsim.Simulation], object]:
    return lambda sim: sim.edit(annotations=annotations)


OPERATIONS = {
    "Rebuild": Asked(_annotate(forceRebuild="T"), _generations),
    "ModifyClass": Asked(lambda sim: sim.edit(spec={"classInfoModifyTo": BIG}), _big),
    "RestartCluster": Asked(
        _annotate(restartCluster="true"),
        _restarted("mpd-0-rw", "mpd-0-ro-1", "mpd-0-ro-2"),
    ),
    "RestartIns": Asked(_annotate(restartIns="mpd-0-ro-1"), _restarted("mpd-0-ro-1")),
    "FlushParams": Asked(_flush, _flushed),
    "SwitchRw": Asked(_annotate(switchRw="mpd-0-ro-1"), _switched),
    "MigrateRo": Asked(
        lambda sim: sim.edit(annotations={"migrate": f"mpd-0-ro-1|{spare(sim)}"}),
        _replaced(1),
    ),
    "MigrateRw": Asked(
        lambda sim: sim.edit(annotations={"migrate": f"mpd-0-rw|{spare(sim)}"}),
        _replaced(0),
    ),
    "UpgradeMinorVersion": Asked(
        lambda sim: sim.edit(spec={"versionCfgModifyTo": {"versionName": "1.1.21"}}),
        _upgraded,
    ),
    "RebuildRo": Asked(_fail("mpd-0-ro-1"), _replaced(1)),
    "AddRo": Asked(lambda sim: sim.edit(spec={"followerNum": 3}), _count(3)),
    "RemoveRo": Asked(_annotate(removeIns="mpd-0-ro-1"), _count(1)),
    "ExtendStorage": Asked(_extend, _all("disk", 200)),
}
"""By the state that it leads to, in the order of the checks."""
