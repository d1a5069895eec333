"""The seed's flow on its world: what happens, how long it takes, what a rerun shows."""

from __future__ import annotations

import pytest

import wfsim
from fake_resources import polardb

FLOW = "CreateSharedStorageCluster"
STEPS = [
    *("InitMeta", "PrepareStorage", "CreateRwPod", "CreateRoPods"),
    *("CreateClusterManager", "AddToClusterManager", "UpdateRunningStatus"),
]


def rows(log: wfsim.EventLog) -> list[tuple[float, str, str]]:
    return [
        (round(record.time, 1), record.kind.value, record.step or record.text)
        for record in log
    ]


def finished(
    *faults: wfsim.types.Fault, seed: int = 1, **keywords: object
) -> wfsim.Simulation:
    sim = wfsim.Simulation(polardb.scenario(**keywords), seed=seed, faults=faults)
    sim.run()
    return sim


def test_the_seed_flow_runs_its_seven_steps_and_the_cluster_is_running():
    sim = finished(replicas=2)
    assert rows(sim.log) == [
        (0.0, "resource.created", "->"),
        (0.0, "controller.started", "controller-0"),
        (0.0, "run.created", ""),
        (0.0, "step.started", "InitMeta"),
        (0.8, "resource.edited", "spec, status, annotations, finalizers"),
        (0.8, "step.completed", "InitMeta"),
        (0.8, "step.started", "PrepareStorage"),
        (5.8, "step.completed", "PrepareStorage"),
        (5.8, "step.started", "CreateRwPod"),
        (65.2, "resource.edited", "status"),
        (65.2, "step.completed", "CreateRwPod"),
        (65.2, "step.started", "CreateRoPods"),
        (99.9, "resource.edited", "status"),
        (131.2, "resource.edited", "status"),
        (131.2, "step.completed", "CreateRoPods"),
        (131.2, "step.started", "CreateClusterManager"),
        (132.0, "step.completed", "CreateClusterManager"),
        (132.0, "step.started", "AddToClusterManager"),
        (139.0, "step.completed", "AddToClusterManager"),
        (139.0, "step.started", "UpdateRunningStatus"),
        (139.0, "resource.edited", "status"),
        (139.0, "step.completed", "UpdateRunningStatus"),
        (139.0, "run.completed", ""),
        (139.0, "resource.state", "-> Running"),
    ]


def test_the_flow_file_has_the_seven_steps_of_the_seed_in_its_order():
    flow = polardb.scenario().flows[FLOW]
    assert [*flow.names] == STEPS
    assert [step.class_name for step in flow.steps] == [
        f"workflow_shared.{name}" for name in STEPS
    ]
    assert not flow.recover_from_first_step


def test_the_cluster_has_all_that_a_user_wants_and_nothing_else():
    sim = finished(replicas=2)
    world, resource = sim.world, sim.resource()
    assert polardb.problems(world, resource) == []
    assert resource.finalizers == ("polardb/release",)
    assert resource.status["leader"] == "mpd-0-rw"
    assert resource.status["followers"] == ("mpd-0-ro-1", "mpd-0-ro-2")
    assert resource.status["ready"] == ("mpd-0-rw", "mpd-0-ro-1", "mpd-0-ro-2")
    assert resource.status["endpoint"] == "mpd-0-rw:1521"
    assert {pod.node for pod in world.pods.values()} == {"node-1", "node-2", "node-3"}
    assert world.storage.volumes["pv-mpd-0"].writer == "mpd-0-rw"
    assert world.managers["mpd-0"].members == ["mpd-0-ro-1", "mpd-0-ro-2", "mpd-0-rw"]
    assert set(world.counts.values()) == {1}


def test_every_part_that_is_missing_or_too_many_is_complained_of():
    sim = finished(replicas=1)
    world, resource = sim.world, sim.resource()
    world.create_pod("mpd-0-ro-9", "mpd-0", "ro")
    world.storage.volumes["pv-mpd-0"].writer = ""
    world.managers["mpd-0"].members = ["mpd-0-rw"]
    assert polardb.problems(world, resource) == [
        "mpd-0: the write lock is with nobody",
        "mpd-0-ro-1: not a member",
        "mpd-0-ro-9: belongs to nothing",
    ]
    world.storage.release("pv-mpd-0")
    world.remove_manager("mpd-0")
    assert polardb.problems(world, resource)[:2] == [
        "mpd-0: no volume",
        "mpd-0: no cluster manager",
    ]


HUGE = {"className": "huge", "cpu": 16, "memoryGb": 64}
DIFFERENCES = [
    (
        {"followerNum": 3},
        ["mpd-0: the number of followers is 1, not 3"],
    ),
    (
        {"followerNum": 0},
        ["mpd-0: the number of followers is 1, not 0"],
    ),
    (
        {"classInfo": HUGE},
        [
            "mpd-0-rw: class is polar.o.x4.medium, not huge",
            "mpd-0-ro-1: class is polar.o.x4.medium, not huge",
        ],
    ),
    (
        {"versionCfg": {"versionName": "2"}},
        [
            "mpd-0: the manager's version is 1.1.20, not 2",
            "mpd-0-rw: version is 1.1.20, not 2",
            "mpd-0-ro-1: version is 1.1.20, not 2",
        ],
    ),
    (
        {"engineParams": {"max_connections": 7, "shared_buffers_gb": 4}},
        [
            "mpd-0-rw: max_connections is 800, not 7",
            "mpd-0-ro-1: max_connections is 800, not 7",
        ],
    ),
    (
        {"engineParams": {"max_connections": 800}},
        [
            "mpd-0-rw: shared_buffers_gb is 4, not None",
            "mpd-0-ro-1: shared_buffers_gb is 4, not None",
        ],
    ),
    (
        {"sharedStorage": {"sizeGb": 300}},
        ["mpd-0: the size of the volume is 100, not 300"],
    ),
]


@pytest.mark.parametrize(("spec", "complaints"), DIFFERENCES)
def test_what_is_not_as_the_spec_says_is_complained_of(spec, complaints):
    sim = finished(replicas=1)
    wanted = sim.resource().edit(spec=spec)
    assert polardb.problems(sim.world, wanted) == complaints


def test_two_leaders_and_a_file_system_that_is_too_small_are_complained_of():
    sim = finished(replicas=1)
    sim.world.pods["mpd-0-ro-1"].role = "rw"
    sim.world.managers["mpd-0"].leader = "mpd-0-ro-1"
    sim.world.storage.extend("pv-mpd-0", 200)
    assert polardb.problems(sim.world, sim.resource()) == [
        "mpd-0-ro-1: the size of the file system is 100, not 200",
        "mpd-0-rw: the size of the file system is 100, not 200",
        "mpd-0: the manager's leader is mpd-0-ro-1",
        "mpd-0: the role of leader is with mpd-0-ro-1, mpd-0-rw",
    ]


def test_an_instance_on_local_storage_needs_no_volume_and_no_manager():
    sim = wfsim.Simulation(polardb.local_scenario(), seed=1)
    sim.run()
    assert polardb.problems(sim.world, sim.resource()) == []
    sim.world.pods["mpd-local-0-0"].fail()
    assert polardb.problems(sim.world, sim.resource()) == ["mpd-local-0-0: out of order"]


def test_a_cluster_without_followers_is_a_cluster():
    sim = finished(replicas=0)
    assert [*sim.world.pods] == ["mpd-0-rw"]
    assert polardb.problems(sim.world, sim.resource()) == []


def test_a_cluster_in_init_is_moved_to_creating_by_the_check():
    sim = finished(replicas=0, state="Init")
    moves = sim.log.filter(wfsim.Kind.RESOURCE_STATE)
    assert [record.value.state for record in moves] == ["Creating", "Running"]


def test_three_clusters_are_created_side_by_side_each_as_if_alone():
    sim = finished(clusters=3, replicas=1)
    ends = {
        record.resource: record.time
        for record in sim.log.filter(wfsim.Kind.RUN_COMPLETED)
    }
    assert sorted(ends) == ["mpd-0", "mpd-1", "mpd-2"]
    assert [polardb.problems(sim.world, sim.resource(name)) for name in ends] == [[]] * 3
    alone = {
        name: finished(replicas=1, name=name).log.filter(wfsim.Kind.RUN_COMPLETED)[0].time
        for name in ends
    }
    assert ends == alone


def test_the_same_seed_gives_the_same_log_and_another_seed_another():
    digests = [finished(replicas=1, seed=seed).log.digest() for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]


def test_what_one_cluster_goes_through_changes_no_draw_of_another():
    calm = finished(replicas=1, clusters=2)
    rough = finished(
        wfsim.FailStep("PrepareStorage", resource="mpd-0", times=3),
        replicas=1,
        clusters=2,
    )
    assert rough.log.filter(wfsim.Kind.STEP_FAILED)
    times = [
        [
            (record.time, record.kind, record.step)
            for record in sim.log.filter(resource="mpd-1")
        ]
        for sim in (calm, rough)
    ]
    assert times[0] == times[1]
    assert rough.world.essence() == calm.world.essence()


# -- what a second run of a step shows -------------------------------------------------


def rerun(step: str, **keywords: object) -> wfsim.Simulation:
    """The flow with *step* run twice: its first result is lost when all was done."""
    sim = finished(wfsim.FailStep(step, after=True), replicas=1, **keywords)
    assert [record.step for record in sim.log.filter(wfsim.Kind.STEP_FAILED)] == [step]
    assert polardb.problems(sim.world, sim.resource()) == []
    return sim


@pytest.mark.parametrize("step", [name for name in STEPS if name != "PrepareStorage"])
def test_a_second_run_of_every_other_step_asks_nothing_of_the_world_twice(step: str):
    once, twice = finished(replicas=1), rerun(step)
    assert twice.world.counts == once.world.counts
    assert twice.world.state() == once.world.state()
    assert twice.resource().status == once.resource().status


def test_a_second_run_of_prepare_storage_formats_the_volume_again():
    once, twice = finished(replicas=1), rerun("PrepareStorage")
    assert once.world.storage.volumes["pv-mpd-0"].formats == 1
    assert twice.world.storage.volumes["pv-mpd-0"].formats == 2
    assert twice.world.counts - once.world.counts == {("format volume", "pv-mpd-0"): 1}
    assert twice.world.essence() == once.world.essence()


def test_a_pod_goes_on_starting_while_the_controller_is_dead_and_is_used_then():
    sim = wfsim.Simulation(
        polardb.scenario(replicas=2),
        seed=1,
        faults=[wfsim.CrashAt(t=40, restart_after=10)],
    )
    sim.run(until=39.9)
    assert sim.world.pods["mpd-0-rw"].phase == "Pending"
    sim.run(until=49.9)
    assert sim.world.pods["mpd-0-rw"].phase == "Running"
    sim.run()
    attempts = sim.log.filter(wfsim.Kind.STEP_STARTED, step="CreateRwPod")
    assert [(record.time, record.attempt) for record in attempts] == [
        (pytest.approx(5.8, abs=0.1), 1),
        (50.0, 2),
    ]
    assert [record.text for record in sim.log.filter(wfsim.Kind.STEP_LOG)] == [
        "mpd-0-rw is there already: Running, engine none"
    ]
    assert sim.world.counts["create pod", "mpd-0-rw"] == 1
    assert sim.resource().state == "Running"


def test_an_install_that_was_begun_is_waited_for_and_not_begun_again():
    calm = wfsim.Simulation(polardb.scenario(replicas=0), seed=1)
    calm.step()
    while calm.world.counts["install database", "mpd-0-rw"] == 0:
        calm.run(for_=0.5)
    sim = finished(wfsim.CrashAt(t=calm.now, restart_after=0.5), replicas=0)
    assert [record.text for record in sim.log.filter(wfsim.Kind.STEP_LOG)] == [
        "mpd-0-rw is there already: Running, engine installing"
    ]
    assert sim.world.counts["install database", "mpd-0-rw"] == 1


# -- deletion --------------------------------------------------------------------------


def test_a_deleted_cluster_gives_everything_back_before_it_goes():
    sim = finished(replicas=2)
    began = sim.now
    sim.delete("mpd-0")
    assert sim.resource().deleted == began
    sim.run()
    assert not sim.world.pods
    assert not sim.world.managers
    assert not sim.world.storage.volumes
    gone = sim.log.filter(wfsim.Kind.RESOURCE_DELETED)
    assert [record.resource for record in gone] == ["mpd-0"]
    assert gone[0].time > began


@pytest.mark.parametrize("t", [3.0, 20.0, 45.0, 60.0, 90.0])
def test_a_cluster_deleted_while_it_is_created_leaves_nothing_behind(t: float):
    sim = finished(wfsim.EditAt(t=t, delete=True), replicas=2)
    assert [record.kind for record in sim.log][-1] in (
        wfsim.Kind.RESOURCE_DELETED,
        wfsim.Kind.RUN_PRUNED,
    )
    assert not sim.world.pods
    assert not sim.world.managers
    assert not sim.world.storage.volumes


def test_a_crash_while_the_finalizer_works_leaves_nothing_behind_either():
    sim = finished(replicas=2)
    sim.delete()
    sim.run(for_=1)
    assert {pod.phase for pod in sim.world.pods.values()} == {"Terminating"}
    sim.crash()
    sim.run(for_=30)
    sim.restart()
    sim.run()
    assert not sim.world.storage.volumes
    assert sim.log.filter(wfsim.Kind.RESOURCE_DELETED)


def test_a_namesake_of_a_deleted_cluster_begins_with_nothing_and_new_draws():
    sim = finished(replicas=0)
    first = sim.resource()
    sim.delete()
    sim.run()
    again = wfsim.Resource("mpd", "mpd-0").edit(spec={**first.spec, "followerNum": 0})
    sim.create(again)
    sim.run()
    assert polardb.problems(sim.world, sim.resource()) == []
    assert sim.world.pods["mpd-0-rw"].generation == 2


# -- the scenario ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"replicas": -1}, "replicas is -1"),
        ({"replicas": 1.5}, "replicas is 1.5"),
        ({"clusters": 0}, "clusters is 0"),
        ({"nodes": 0}, "nodes is 0"),
        ({"pod_failure": 1.2}, "pod_failure is 1.2"),
        ({"latencies": {"boot": 3}}, "no operation 'boot'; one of format volume,"),
        ({"latencies": {"stop pod": -3}}, "stop pod: a duration is not negative"),
    ],
)
def test_numbers_that_describe_nothing_are_refused(keywords, said):
    with pytest.raises(wfsim.DefinitionError, match=said):
        polardb.scenario(**keywords)


def test_clusters_count_on_from_the_name_of_the_first():
    def names(**keywords: object) -> list[str]:
        return [item.name for item in polardb.scenario(**keywords).resources]

    assert names(name="mpd-7", clusters=3) == ["mpd-7", "mpd-8", "mpd-9"]
    assert names(name="orders", clusters=2) == ["orders", "orders-1"]
    assert names(name="orders") == ["orders"]


def test_latencies_are_given_as_numbers_or_distributions():
    quick = dict.fromkeys(polardb.LATENCIES, 0) | {"launch pod": {"uniform": [10, 10]}}
    sim = finished(replicas=0, latencies=quick)
    rw = sim.log.filter(step="CreateRwPod")
    assert rw[-1].time - rw[0].time == pytest.approx(10.0)
