"""Each fake broken by hand: what the flow does then, and once it is mended."""

from __future__ import annotations

import pytest

import wfsim
from fake_resources import polardb

FAILED = wfsim.Kind.STEP_FAILED


def simulation(**keywords: object) -> wfsim.Simulation:
    return wfsim.Simulation(polardb.scenario(**keywords), seed=1)


def at(t: float, **keywords: object) -> wfsim.Simulation:
    sim = simulation(**keywords)
    sim.run(until=t)
    return sim


def interrupted(sim: wfsim.Simulation) -> tuple[str, str, str]:
    """Step, reason and message of the interrupt that the run ended with."""
    sim.run()
    resource, run = sim.resource(), sim.mementos()[-1]
    assert resource.state == "Interrupt"
    notes = resource.annotations
    return run.step.name, notes["interrupt.reason"], notes["interrupt.message"]


def recovered(sim: wfsim.Simulation) -> wfsim.Simulation:
    sim.recover()
    sim.run()
    assert sim.resource().state == "Running"
    assert polardb.problems(sim.world, sim.resource()) == []
    return sim


def failures(sim: wfsim.Simulation) -> list[tuple[str, int, str]]:
    return [
        (record.step, record.attempt, record.text) for record in sim.log.filter(FAILED)
    ]


# -- pods ------------------------------------------------------------------------------


def test_a_pod_that_fails_while_it_is_waited_for_is_replaced_by_the_retry():
    sim = at(20, replicas=1)
    sim.world.pods["mpd-0-rw"].fail()
    sim.run()
    assert failures(sim) == [("CreateRwPod", 1, FAIL.format("mpd-0-rw"))]
    assert sim.world.pods["mpd-0-rw"].generation == 2
    assert sim.resource().state == "Running"
    assert polardb.problems(sim.world, sim.resource()) == []


FAIL = "step CreateRwPod fail: PodFailed: {} failed (generation 1)"


def test_a_pod_that_has_run_and_fails_gives_volume_and_lock_back_when_replaced():
    sim = at(54, replicas=0)
    assert sim.world.storage.volumes["pv-mpd-0"].writer == "mpd-0-rw"
    sim.world.pods["mpd-0-rw"].fail()
    sim.run(until=57)
    assert sim.world.pods["mpd-0-rw"].generation == 2
    assert sim.world.storage.volumes["pv-mpd-0"].writer == ""
    sim.run()
    assert polardb.problems(sim.world, sim.resource()) == []


def test_a_failed_pod_that_is_mended_in_place_comes_back_with_its_engine():
    sim = simulation(replicas=0)
    sim.run()
    pod = sim.world.pods["mpd-0-rw"]
    pod.fail()
    assert polardb.problems(sim.world, sim.resource()) == ["mpd-0-rw: out of order"]
    pod.recover()
    assert not pod.ready
    sim.run(for_=200)
    assert (pod.healthy, pod.generation, pod.restarts) == (True, 1, 1)


def test_a_pod_that_vanishes_interrupts_and_is_created_again_on_recovery():
    sim = at(20, replicas=1)
    sim.world.pods["mpd-0-rw"].lose()
    assert interrupted(sim) == ("CreateRwPod", "POD_LOST", "mpd-0-rw is gone")
    recovered(sim)
    assert sim.world.pods["mpd-0-rw"].generation == 2


def test_a_follower_that_vanishes_interrupts_the_step_of_the_followers():
    sim = at(80, replicas=1)
    sim.world.pods["mpd-0-ro-1"].lose()
    assert interrupted(sim) == ("CreateRoPods", "POD_LOST", "mpd-0-ro-1 is gone")
    recovered(sim)


def test_an_engine_that_dies_interrupts_until_it_is_mended():
    sim = at(54, replicas=0)
    pod = sim.world.pods["mpd-0-rw"]
    pod.corrupt()
    wanted = ("CreateRwPod", "DB_START_FAIL", "mpd-0-rw: the engine does not start")
    assert interrupted(sim) == wanted
    sim.recover()
    assert interrupted(sim) == wanted
    pod.recover()
    recovered(sim)
    assert pod.generation == 1


def test_the_last_step_writes_running_though_an_instance_has_died_meanwhile():
    sim = simulation(replicas=1)
    sim.run(until=wfsim.step_started("AddToClusterManager"))
    sim.world.pods["mpd-0-ro-1"].fail()
    sim.run()
    assert sim.resource().state == "Running"
    assert sim.resource().status["ready"] == ("mpd-0-rw",)
    assert polardb.problems(sim.world, sim.resource()) == ["mpd-0-ro-1: out of order"]


def test_pods_that_fail_to_start_are_tried_again_each_with_a_draw_of_its_own():
    sim = simulation(replicas=1, pod_failure=0.6)
    sim.run()
    tries = {pod.name: pod.generation for pod in sim.world.pods.values()}
    assert sum(tries.values()) > 2
    assert len(failures(sim)) == sum(tries.values()) - 2
    assert sim.resource().state == "Running"


def test_pods_that_never_start_use_up_the_retries():
    sim = simulation(replicas=1, pod_failure=1.0)
    step, reason, _ = interrupted(sim)
    assert (step, reason) == ("CreateRwPod", "MANY_RETRY")
    assert sim.world.counts["create pod", "mpd-0-rw"] == 11


def test_more_failures_leave_the_draws_of_what_succeeds_as_they_were():
    few, many = (
        {(r.time, r.step) for r in wfsim.simulate(polardb.scenario(pod_failure=p))}
        for p in (0.0, 1e-9)
    )
    assert few == many


# -- nodes -----------------------------------------------------------------------------


def test_no_ready_node_interrupts_before_any_pod_is_asked_for():
    sim = at(3)
    nodes = sim.world.nodes
    for node, breaks in zip(nodes.values(), ("cordon", "unready", "cordon"), strict=True):
        getattr(node, breaks)()
    assert interrupted(sim) == (
        "CreateRwPod",
        "NO_AVAILABLE_NODE",
        "mpd-0-rw: no node is ready",
    )
    assert not sim.world.pods
    nodes["node-1"].uncordon()
    nodes["node-2"].recover()
    recovered(sim)
    assert {pod.node for pod in sim.world.pods.values()} == {"node-1", "node-2"}


def test_a_pod_that_finds_no_room_interrupts_until_there_is_some():
    sim = simulation(replicas=3, pods_per_node=1)
    assert interrupted(sim) == (
        "CreateRoPods",
        "POD_UNSCHEDULED",
        "mpd-0-ro-3: no node has room",
    )
    sim.world.nodes["node-1"].capacity = 2
    recovered(sim)
    assert sim.world.pods["mpd-0-ro-3"].node == "node-1"


def test_a_node_that_is_lost_takes_its_starting_pod_with_it_and_recovery_moves_it():
    sim = at(20)
    pod = sim.world.pods["mpd-0-rw"]
    home = pod.node
    sim.world.nodes[home].unready()
    step, reason, message = interrupted(sim)
    assert (step, reason) == ("CreateRwPod", "POD_LOST")
    assert message == f"mpd-0-rw is on {home}, which is not ready"
    recovered(sim)
    assert home not in {pod.node for pod in sim.world.pods.values()}


def test_a_cordoned_node_keeps_its_pods_and_gets_no_more():
    sim = at(20)
    home = sim.world.pods["mpd-0-rw"].node
    sim.world.nodes[home].cordon()
    sim.run()
    assert sim.resource().state == "Running"
    homes = [pod.node for pod in sim.world.pods_of("mpd-0")]
    assert homes.count(home) == 1
    assert sim.world.pods["mpd-0-rw"].node == home


def test_a_target_node_is_used_and_interrupts_while_it_is_not_ready():
    sim = at(0, replicas=0)
    sim.edit(spec={"targetNodes": {"mpd-0-rw": "node-2"}})
    sim.world.nodes["node-2"].unready()
    assert interrupted(sim) == (
        "CreateRwPod",
        "TARGET_NODE_UNAVAILABLE",
        "mpd-0-rw: node-2 is not ready",
    )
    sim.world.nodes["node-2"].recover()
    recovered(sim)
    assert sim.world.pods["mpd-0-rw"].node == "node-2"


# -- storage and the cluster manager ---------------------------------------------------


def test_full_storage_fails_the_step_until_there_is_room_again():
    sim = at(0)
    sim.world.storage.fill()
    sim.run(until=20)
    full = "no room for pv-mpd-0: 100 GB asked, 0 GB left"
    assert failures(sim) == [
        ("PrepareStorage", 1, f"step PrepareStorage fail: StorageFull: {full}"),
        ("PrepareStorage", 2, f"step PrepareStorage fail: StorageFull: {full}"),
    ]
    sim.world.storage.recover()
    sim.run()
    assert sim.resource().state == "Running"
    assert polardb.problems(sim.world, sim.resource()) == []


def test_storage_that_stays_full_uses_up_the_retries():
    sim = at(0)
    sim.world.storage.fill()
    step, reason, _ = interrupted(sim)
    assert (step, reason) == ("PrepareStorage", "MANY_RETRY")
    assert not sim.world.storage.volumes


def test_a_cluster_more_than_the_storage_holds_is_the_one_that_fails():
    sim = simulation(clusters=2, storage_gb=100, replicas=0)
    sim.run()
    states = sorted(sim.resource(name).state for name in ("mpd-0", "mpd-1"))
    assert states == ["Interrupt", "Running"]


def test_a_cluster_manager_that_is_down_times_the_step_out_until_it_is_up():
    sim = simulation(replicas=1)
    sim.run(until=wfsim.step_started("AddToClusterManager"))
    manager = sim.world.managers["mpd-0"]
    manager.fail()
    sim.run(for_=200)
    text = "cluster manager of mpd-0 ready: not within 180 s"
    assert failures(sim) == [
        ("AddToClusterManager", 1, f"step AddToClusterManager fail: TimeoutError: {text}")
    ]
    manager.recover()
    sim.run()
    assert sim.resource().state == "Running"
    assert polardb.problems(sim.world, sim.resource()) == []


def led(sim: wfsim.Simulation) -> str:
    """Who leads when nothing happens any more."""
    sim.run()
    return str(sim.world.managers["mpd-0"].leader)


def test_a_leader_that_died_before_anybody_watched_it_is_replaced():
    sim = simulation(replicas=2)
    sim.run(until=wfsim.step_started("CreateRoPods"))
    sim.world.pods["mpd-0-rw"].fail()
    assert sim.world.managers == {}
    assert led(sim) == "mpd-0-ro-1"
    sim.act(polardb.observe)
    assert sim.resource().status["leader"] == "mpd-0-ro-1"


@pytest.mark.parametrize("mended", ["pod", "node"])
def test_a_leader_is_replaced_once_there_is_somebody_who_could_lead(mended):
    sim = simulation(replicas=1)
    sim.run()
    follower, leader = sim.world.pods["mpd-0-ro-1"], sim.world.pods["mpd-0-rw"]
    broken = follower if mended == "pod" else sim.world.nodes[follower.node]
    sim.act(lambda sim: broken.fail() if mended == "pod" else broken.unready())
    sim.act(lambda sim: leader.fail())
    assert led(sim) == "mpd-0-rw"
    sim.act(lambda sim: broken.recover())
    assert led(sim) == "mpd-0-ro-1"


def test_what_is_broken_by_hand_is_broken_again_in_a_fork():
    sim = at(20, replicas=1)
    sim.act(lambda each: each.world.pods["mpd-0-rw"].fail())
    sim.run(until=30)
    twin = sim.fork()
    assert twin.world.state() == sim.world.state()
    assert twin.run().digest() == sim.run().digest()


@pytest.mark.parametrize("steps", range(1, 8))
def test_a_run_resumed_from_its_mementos_finds_the_world_where_they_say_it_is(steps: int):
    sim = simulation(replicas=1)
    sim.run()
    mementos = sim.mementos()[: 2 * steps + 1]
    resumed = wfsim.Simulation.resume(polardb.scenario(1), mementos, seed=1)
    resumed.run()
    assert resumed.resource().state == "Running"
    assert resumed.world.essence() == sim.world.essence()
    assert resumed.world.counts == sim.world.counts
