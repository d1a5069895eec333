"""Pods and volumes on their own, without a flow."""

from __future__ import annotations

import pytest

import wfsim
from fake_resources import polardb
from fake_resources.pods import Engine, Phase
from fake_resources.polardb.cluster import PolarWorld
from fake_resources.storage import StorageFull

QUICK = dict.fromkeys(polardb.LATENCIES, 1.0)


def living(capacity: int = 4, **keywords: object) -> PolarWorld:
    """A world on a clock; every operation takes a second."""
    nodes = {"node-1": capacity, "node-2": capacity}
    world = PolarWorld(nodes, storage=100, latencies=QUICK, **keywords)
    scenario = polardb.scenario(name="idle", state="Running")
    sim = wfsim.Simulation(scenario, seed=1, world=world)
    sim.run(until=0.0)
    sim.world._sim = sim
    return sim.world


@pytest.fixture
def world() -> PolarWorld:
    return living()


def wait(world: PolarWorld, seconds: float) -> None:
    world._sim.run(for_=seconds)


def test_a_pod_is_scheduled_starts_installs_and_runs_its_engine(world):
    pod = world.create_pod("p", "c", "rw")
    pod.install()
    pod.install()
    assert (pod.phase, pod.node, pod.engine) == (Phase.PENDING, "", Engine.INSTALLING)
    wait(world, 2.5)
    assert (pod.phase, pod.ready, pod.engine) == (Phase.RUNNING, True, Engine.RUNNING)
    assert pod.node in world.nodes
    assert world.counts["install database", "p"] == 1


def test_pods_of_a_cluster_keep_apart_and_a_full_node_gets_none():
    world = living(capacity=1)
    for name in ("a", "b", "c"):
        world.create_pod(name, "cluster", "ro")
    wait(world, 3)
    assert {world.pods["a"].node, world.pods["b"].node} == {"node-1", "node-2"}
    assert (world.pods["c"].node, world.pods["c"].unschedulable) == ("", True)


def test_where_a_pod_goes_does_not_hang_on_who_came_first():
    homes = []
    for order in ("abc", "cba"):
        world = living()
        for name in order:
            world.create_pod(name, f"cluster-{name}", "rw")
        wait(world, 3)
        homes.append({name: world.pods[name].node for name in "abc"})
    assert homes[0] == homes[1]


def test_a_new_pod_does_not_inherit_what_was_begun_for_the_old_one(world):
    world.create_pod("p", "c", "rw")
    wait(world, 1.5)
    pod = world.create_pod("p", "c", "rw")
    assert (pod.generation, pod.node) == (2, "")
    wait(world, 0.9)  # the start of the first one falls due here
    assert pod.phase is Phase.PENDING
    wait(world, 1.5)
    assert pod.ready


def test_a_pod_that_fails_and_starts_again_is_not_ready_before_its_own_start_ends(world):
    pod = world.create_pod("p", "c", "rw")
    wait(world, 1.5)
    pod.fail()
    pod.recover()
    wait(world, 0.9)
    assert not pod.ready
    wait(world, 0.2)
    assert (pod.ready, pod.restarts) == (True, 1)


def test_a_pod_that_fails_while_it_installs_has_nothing_installed(world):
    pod = world.create_pod("p", "c", "rw")
    wait(world, 2.5)
    pod.install()
    pod.fail()
    wait(world, 2)
    assert pod.engine is Engine.NONE
    pod.recover()
    wait(world, 2)
    assert (pod.ready, pod.installed) == (True, False)


def test_a_deleted_pod_is_gone_when_it_has_stopped_and_is_deleted_once(world):
    pod = world.create_pod("p", "c", "rw")
    wait(world, 3)
    pod.delete()
    pod.delete()
    assert (pod.phase, pod.ready) == (Phase.TERMINATING, False)
    wait(world, 1.5)
    assert "p" not in world.pods
    assert world.counts["stop pod", "p"] == 1


def test_a_pod_on_a_lost_node_is_out_of_reach_until_the_node_is_back(world):
    pod = world.create_pod("p", "c", "rw")
    pod.install()
    wait(world, 3)
    assert pod.healthy
    world.nodes[pod.node].unready()
    assert not pod.healthy
    world.nodes[pod.node].recover()
    assert pod.healthy


def test_a_volume_that_is_formatted_again_is_ready_when_the_last_format_ends(world):
    world.storage.prepare("v", 10)
    wait(world, 0.5)
    world.storage.prepare("v", 10)
    wait(world, 0.7)
    assert not world.storage.volumes["v"].ready
    wait(world, 0.5)
    assert (world.storage.volumes["v"].ready, world.storage.used) == (True, 10)


def test_a_volume_beyond_the_capacity_is_refused_and_a_known_one_is_not(world):
    world.storage.prepare("v", 60)
    with pytest.raises(StorageFull, match="no room for w: 50 GB asked, 40 GB left"):
        world.storage.prepare("w", 50)
    world.storage.fill()
    world.storage.prepare("v", 60)
    assert world.storage.volumes["v"].formats == 2


def test_what_a_pod_asked_of_a_volume_is_void_when_the_pod_has_been_replaced(world):
    world.storage.prepare("pv-c", 10)
    world.create_pod("p", "c", "rw")
    volume = world.storage.volumes["pv-c"]
    volume.attach("p")
    volume.lock("p")
    world.create_pod("p", "c", "rw")
    wait(world, 3)
    assert (volume.attached, volume.writer) == ([], "")


def test_a_pod_that_goes_lets_go_of_its_volume(world):
    world.storage.prepare("pv-c", 10)
    world.create_pod("p", "c", "rw")
    volume = world.storage.volumes["pv-c"]
    volume.attach("p")
    volume.lock("p")
    wait(world, 3)
    assert (volume.attached, volume.writer) == (["p"], "p")
    world.pods["p"].lose()
    assert (volume.attached, volume.writer) == ([], "")


def test_a_broken_manager_stays_down_though_its_deployment_ends(world):
    world.deploy_manager("c")
    world.deploy_manager("c")
    manager = world.managers["c"]
    manager.fail()
    wait(world, 2)
    assert not manager.ready
    manager.recover()
    manager.register("p")
    manager.register("p")
    wait(world, 2)
    assert (manager.ready, manager.members) == (True, ["p"])
    assert world.counts["deploy manager", "c"] == 2
