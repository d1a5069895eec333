"""Operations of the PolarDB world that fail with a probability of their own."""

from __future__ import annotations

from functools import cache

import pytest

import wfsim
from fake_resources import polardb
from fake_resources.polardb.cluster import PolarWorld
from tests.fake_resources.operations import FLOWS, OPERATIONS, completed, going_on
from tests.sizes import FULL, four_deviations
from wfsim.sim.draws import KeyedDraws
from wfsim.sim.world_text import dump, load

FAILED = wfsim.Kind.STEP_FAILED

CREATING = {
    "format volume": ("PrepareStorage", "format volume for pv-mpd-0 failed"),
    "create pod": ("CreateRwPod", "mpd-0-rw failed (generation 1)"),
    "launch pod": ("CreateRwPod", "mpd-0-rw failed (generation 1)"),
    "attach volume": ("CreateRwPod", "attach volume for mpd-0-rw failed"),
    "lock volume": ("CreateRwPod", "lock volume for mpd-0-rw failed"),
    "install database": ("CreateRwPod", "install database for mpd-0-rw failed"),
    "deploy manager": ("AddToClusterManager", "deploy manager for mpd-0 failed"),
    "register member": ("AddToClusterManager", "register member for mpd-0-rw failed"),
}
"""By operations of the creation: the step that fails first, and what it says."""

LATER = {
    "stop pod": ("RemoveRo", "RemoveRo", "stop pod for mpd-0-ro-1 failed"),
    "stop engine": (
        "RestartCluster",
        "RestartCluster",
        "stop engine for mpd-0-ro-1 failed",
    ),
    "restart pod": ("RestartIns", "RestartIns", "mpd-0-ro-1 failed (generation 1)"),
    "grow file system": (
        "ExtendStorage",
        "ExtendStorageFs",
        "grow file system for mpd-0-ro-1 failed",
    ),
    "switch leader": ("SwitchRw", "SwitchRw", "switch leader for mpd-0 failed"),
}
"""The same by operations of flows of a cluster that runs, and the state of the flow."""

APART = {
    "start engine": "an engine that does not start interrupts its flow",
    "fail over": "no flow asks for it: a cluster manager does so by itself",
}


def test_every_operation_is_seen_to_fail_here_or_told_apart():
    assert {*CREATING} | {*LATER} | {*APART} == {*polardb.LATENCIES}


def simulation(seed: int = 1, **failures: float) -> wfsim.Simulation:
    """A creation; in the name of an operation that may fail, spaces are underscores."""
    named = {name.replace("_", " "): chance for name, chance in failures.items()}
    return wfsim.Simulation(polardb.scenario(1, failures=named), seed=seed)


def asked(state: str, operation: str, chance: float, seed: int = 1) -> wfsim.Simulation:
    """A cluster of three that runs and has been asked for what leads to *state*."""
    sim = wfsim.Simulation(_running(operation, chance), seed=seed)
    sim.run(until=0.0)
    OPERATIONS[state].ask(sim)
    return sim


@cache
def _running(operation: str, chance: float) -> wfsim.Scenario:
    return running({operation: chance})


def running(named: dict[str, float]) -> wfsim.Scenario:
    """A cluster of three that was created in peace; from now on operations may fail."""
    sim = wfsim.Simulation(polardb.scenario(replicas=2, nodes=4), seed=1)
    sim.run()
    text, rough = dump(sim.world), polardb.scenario(nodes=4, failures=named).world
    return going_on(sim).but(world=lambda: load(text, rough()))


def failures(sim: wfsim.Simulation) -> list[tuple[str, str]]:
    """The steps that failed, in order, and what they said last."""
    found = sim.log.filter(FAILED)
    return [(each.step, each.text.rpartition(": ")[2]) for each in found]


# -- each of them ------------------------------------------------------------------------


@pytest.mark.parametrize("operation", CREATING)
def test_a_creation_whose_operation_always_fails_uses_up_its_retries(operation):
    sim = simulation(**{operation: 1})
    sim.run()
    assert failures(sim)[0] == CREATING[operation]
    assert {step for step, _ in failures(sim)} == {CREATING[operation][0]}
    assert len(failures(sim)) == 10
    assert sim.resource().annotations["interrupt.reason"] == "MANY_RETRY"


@pytest.mark.parametrize("operation", LATER)
def test_a_flow_whose_operation_always_fails_uses_up_its_retries(operation):
    state, step, text = LATER[operation]
    sim = asked(state, operation, 1)
    sim.run()
    assert failures(sim) == [(step, text)] * 10
    assert sim.resource().annotations["interrupt.reason"] == "MANY_RETRY"
    assert completed(sim) == []


@pytest.mark.parametrize("operation", CREATING)
def test_a_creation_whose_operation_fails_at_times_ends_running(operation):
    sims = [simulation(seed, **{operation: 0.3}) for seed in range(20)]
    assert sum(map(_ends_well, sims)) >= 3


def _ends_well(sim: wfsim.Simulation) -> bool:
    """Whether something failed; the cluster is whole whatever did."""
    sim.run()
    assert sim.resource().state == "Running"
    assert polardb.problems(sim.world, sim.resource()) == []
    return bool(failures(sim))


@pytest.mark.parametrize("operation", LATER)
def test_a_flow_whose_operation_fails_at_times_ends_running(operation):
    state = LATER[operation][0]
    failing = 0
    for seed in range(20):
        sim = asked(state, operation, 0.3, seed)
        failing += _ends_well(sim)
        assert completed(sim) == [FLOWS[state]]
        OPERATIONS[state].promise(sim)
    assert failing >= 3


@pytest.mark.parametrize("state", OPERATIONS)
def test_a_flow_among_failures_of_all_kinds_does_what_it_is_asked_for(state):
    # Nobody waits for the last move of a cluster manager, see below.
    left_out = (*APART, "deploy manager")
    scenario = running({op: 0.2 for op in polardb.LATENCIES if op not in left_out})
    failing = 0
    for seed in range(20):
        sim = wfsim.Simulation(scenario, seed=seed)
        sim.run(until=0.0)
        OPERATIONS[state].ask(sim)
        failing += _ends_well(sim)
        assert completed(sim) == [FLOWS[state]]
    assert failing >= 1


def test_a_manager_that_is_down_after_its_move_is_deployed_by_who_needs_it_next():
    sim = asked("MigrateRw", "deploy manager", 0.5)
    sim.run()
    assert polardb.problems(sim.world, sim.resource()) == ["mpd-0: no cluster manager"]
    assert completed(sim) == [FLOWS["MigrateRw"]]
    sim.edit(annotations={"restartIns": "mpd-0-ro-1"})
    sim.run()
    assert failures(sim)[0] == ("DisableHA", "deploy manager for mpd-0 failed")
    assert completed(sim) == [FLOWS["MigrateRw"], FLOWS["RestartIns"]]
    assert polardb.problems(sim.world, sim.resource()) == []


def test_what_fails_takes_its_time_first():
    takes = dict.fromkeys(polardb.LATENCIES, 0) | {"format volume": 7}
    base = polardb.scenario(0, latencies=takes, failures={"format volume": 1})
    sim = wfsim.Simulation(base, seed=1)
    sim.run(until=60)
    begun = sim.log.filter(wfsim.Kind.STEP_STARTED, step="PrepareStorage")
    ended = sim.log.filter(FAILED)
    # It is looked at every 5 s.
    took = [b.time - a.time for a, b in zip(begun, ended, strict=False)]
    assert took == pytest.approx([10.0] * len(ended))
    assert sim.world.counts["format volume", "pv-mpd-0"] == len(begun)


def test_a_step_hears_of_a_failure_that_came_before_it_looked():
    sim = simulation(deploy_manager=1)
    sim.run(until=wfsim.step_started("AddToClusterManager"))
    sim.crash()
    sim.run(for_=60)
    sim.restart()
    began = sim.now
    assert sim.world.has_failed("deploy manager", "mpd-0")
    sim.run(until=lambda record: record.kind is FAILED)
    assert sim.now == began
    # It was deployed again for the retry.
    assert sim.world.counts["deploy manager", "mpd-0"] == 2
    assert not sim.world.has_failed("deploy manager", "mpd-0")


def test_an_engine_that_does_not_start_interrupts_and_is_started_by_the_recovery():
    sim = simulation(seed=4, start_engine=0.5)
    sim.run()
    notes = sim.resource().annotations
    assert notes["interrupt.reason"] == "DB_START_FAIL"
    assert notes["interrupt.message"] == "mpd-0-rw: the engine does not start"
    tries = 0
    while sim.resource().state == "Interrupt":
        tries += 1
        sim.recover()
        sim.run()
    assert sim.resource().state == "Running"
    pod = sim.world.pods["mpd-0-rw"]
    assert (pod.healthy, pod.generation) == (True, 1)
    assert sim.world.counts["start engine", "mpd-0-rw"] == 1 + tries


def test_an_engine_that_died_of_its_disk_is_not_started_by_a_recovery():
    sim = simulation(start_engine=1e-9)
    sim.run(until=54)
    sim.world.pods["mpd-0-rw"].corrupt()
    for _ in range(2):
        sim.run()
        assert sim.resource().annotations["interrupt.reason"] == "DB_START_FAIL"
        sim.recover()
    assert sim.world.counts["start engine", "mpd-0-rw"] == 1


def test_a_restart_whose_engine_does_not_start_is_recovered_by_another_restart():
    sim = asked("RestartIns", "start engine", 0.5, seed=1)
    sim.run()
    assert sim.resource().annotations["interrupt.reason"] == "DB_START_FAIL"
    while sim.resource().state == "Interrupt":
        sim.recover()
        sim.run()
    assert sim.resource().state == "Running"
    assert polardb.problems(sim.world, sim.resource()) == []


@pytest.mark.parametrize("chance", [0, 1])
def test_a_fail_over_that_fails_leaves_the_cluster_without_a_leader(chance):
    sim = wfsim.Simulation(_running("fail over", chance), seed=1)
    sim.run(until=0.0)
    sim.act(lambda each: each.world.pods["mpd-0-rw"].fail())
    sim.run()
    assert sim.world.has_failed("fail over", "mpd-0") is bool(chance)
    led = "mpd-0-rw" if chance else "mpd-0-ro-1"
    assert sim.world.managers["mpd-0"].leader == led


def test_a_cluster_that_is_deleted_goes_though_its_pods_fail_to_stop_at_times():
    sim = asked("RemoveRo", "stop pod", 0.5, seed=3)
    sim.run()
    sim.delete()
    sim.run()
    told = [r.text for r in sim.log.filter(wfsim.Kind.PASS_FAILED)]
    assert "stop pod for mpd-0-" in told[-1]
    assert not sim.world.pods
    assert not sim.world.storage.volumes


@pytest.mark.parametrize(
    ("operation", "step"),
    [
        ("create pod", "workflow_local.CreatePod"),
        ("install database", "workflow_local.InstallDBEngine"),
    ],
)
def test_the_operations_of_a_local_instance_may_fail_too(operation, step):
    sim = wfsim.Simulation(polardb.local_scenario(failures={operation: 1}), seed=1)
    sim.run()
    (flow,) = sim.scenario.flows.values()
    spec = {each.name: each.class_name for each in flow.steps}
    assert {spec[name] for name, _ in failures(sim)} == {step}
    sim = wfsim.Simulation(polardb.local_scenario(failures={operation: 0.3}), seed=1)
    sim.run()
    assert sim.resource().state == "Running"


# -- how often, and of what that does not depend -----------------------------------------


def outcome(seed: int, operation: str, share: float, name: str = "a") -> bool:
    """Whether the first *operation* fails that is asked of a new world."""
    world = PolarWorld({}, 0, failures={operation: share})
    world.attach(wfsim.clock.VirtualClock(), KeyedDraws(seed))
    world.takes(operation, name)
    return world.fails(operation, name)


@pytest.mark.parametrize("share", [0.05, 0.3])
@pytest.mark.parametrize("operation", polardb.LATENCIES)
def test_the_share_of_failures_over_many_seeds_is_the_probability(operation, share):
    seeds = 2000 if FULL else 400
    failing = sum(outcome(seed, operation, share) for seed in range(seeds))
    assert abs(failing / seeds - share) < four_deviations(share, seeds)


@pytest.mark.parametrize("operation", ["launch pod", "format volume"])
def test_the_share_of_simulations_with_a_failure_is_the_probability(operation):
    scenario = polardb.scenario(0, failures={operation: 0.3})

    def ended(record: wfsim.Record) -> bool:
        over = record.kind in (FAILED, wfsim.Kind.STEP_COMPLETED)
        return over and record.step == CREATING[operation][0]

    failing, seeds = 0, 400 if FULL else 80
    for seed in range(seeds):
        sim = wfsim.Simulation(scenario, seed=seed)
        sim.run(until=ended)
        failing += bool(failures(sim))
    assert abs(failing / seeds - 0.3) < four_deviations(0.3, seeds)


def failed(log: wfsim.EventLog, operation: str) -> list[str]:
    """What steps said of that operation, in order."""
    return [r.text for r in log.filter(FAILED) if f" {operation} for " in r.text]


@pytest.mark.parametrize("seed", range(5))
def test_another_probability_leaves_what_else_fails_as_it_was(seed):
    others = {"attach volume": 0.3, "register member": 0.3, "lock volume": 0.2}
    few, many = (
        wfsim.simulate(
            polardb.scenario(2, failures={**others, "format volume": chance}), seed=seed
        )
        for chance in (0.0, 0.6)
    )
    for operation in others:
        assert failed(few, operation) == failed(many, operation)
    assert failed(few, "format volume") == []
    fails = outcome(seed, "format volume", 0.6, "pv-mpd-0")
    assert bool(failed(many, "format volume")) is fails


def test_a_failure_that_never_happens_changes_nothing_at_all():
    plain = wfsim.simulate(polardb.scenario(2), seed=1).digest()
    for chance in (0, 1e-12):
        named = dict.fromkeys(polardb.LATENCIES, chance)
        assert (
            wfsim.simulate(polardb.scenario(2, failures=named), seed=1).digest() == plain
        )


# -- with pod_failure --------------------------------------------------------------------


def test_pod_failure_is_the_probability_of_a_launch_and_of_a_restart():
    one = wfsim.simulate(polardb.scenario(2, pod_failure=0.4), seed=3)
    named = {"launch pod": 0.4, "restart pod": 0.4}
    assert wfsim.simulate(polardb.scenario(2, failures=named), seed=3).digest() == (
        one.digest()
    )
    assert one.filter(FAILED)


@pytest.mark.parametrize(
    "named", [{"launch pod": 0}, {"launch pod": 0.0, "lock volume": 0}]
)
def test_an_operation_that_is_named_is_not_up_to_pod_failure(named):
    sim = wfsim.Simulation(polardb.scenario(1, pod_failure=1.0, failures=named), seed=1)
    sim.run()
    assert (sim.resource().state, failures(sim)) == ("Running", [])
    pod = sim.world.pods["mpd-0-ro-1"]
    pod.restart()
    sim.run(for_=100)
    # Nothing is said of a restart.
    assert pod.phase == "Failed"


# -- crashes, copies, files --------------------------------------------------------------

ROUGH = dict.fromkeys(CREATING, 0.15)


@pytest.mark.parametrize("t", range(2, 120, 13))
def test_a_crash_among_failures_loses_nothing(t):
    crash = wfsim.CrashAt(t=t, restart_after=5)
    scenario = polardb.scenario(1, failures=ROUGH)
    sim = wfsim.Simulation(scenario, seed=2, faults=[crash])
    sim.run()
    assert sim.resource().state == "Running"
    assert polardb.problems(sim.world, sim.resource()) == []
    assert failures(sim)


def test_a_run_is_resumed_from_any_of_its_mementos_among_failures():
    scenario = polardb.scenario(1, failures=ROUGH)
    sim = wfsim.Simulation(scenario, seed=2)
    sim.run()
    mementos = sim.mementos()
    for number in range(1, len(mementos)):
        resumed = wfsim.Simulation.resume(scenario, mementos[:number], seed=2)
        resumed.run()
        assert resumed.resource().state == "Running"
        assert polardb.problems(resumed.world, resumed.resource()) == []


def test_what_is_asked_again_meanwhile_is_not_said_to_have_failed():
    world = PolarWorld({}, 10, latencies={"format volume": 5}, failures=ROUGH)
    world._failures = {"format volume": 1.0}
    world.attach(wfsim.clock.VirtualClock(), KeyedDraws(1))
    world.storage.prepare("disk", 1)
    world.clock.run(until=3)
    world.storage.prepare("disk", 1)
    world.clock.run(until=6)
    assert not world.has_failed("format volume", "disk")
    world.clock.run(until=9)
    assert world.has_failed("format volume", "disk")
    assert world.failed == {("format volume", "disk"): 2}


def test_failures_go_on_in_a_fork_and_are_kept_in_a_file():
    scenario = polardb.scenario(1, failures=dict.fromkeys(CREATING, 0.4))
    sim = wfsim.Simulation(scenario, seed=2)
    pending = set()
    while sim.resource().state in ("", "Creating"):
        sim.run(for_=3.0)
        pending |= {item.args[1] for item in sim.world.pending}
        kept = load(dump(sim.world), scenario.world())
        assert (kept.state(), kept.pending) == (sim.world.state(), sim.world.pending)
        twin = sim.fork()
        assert twin.world.state() == sim.world.state()
    assert "end_badly" in pending
    assert sim.world.failed
    sim = wfsim.Simulation(scenario, seed=2)
    sim.run(until=50)
    assert sim.fork().run().digest() == sim.run().digest()


# -- what makes no sense -----------------------------------------------------------------


@pytest.mark.parametrize("make", [polardb.scenario, polardb.local_scenario])
@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"creat pod": 0.1}, "no operation 'creat pod'; did you mean 'create pod'?"),
        ({"boot": 0.1}, f"no operation 'boot'; one of {', '.join(polardb.LATENCIES)}"),
        ({3: 0.1}, f"no operation 3; one of {', '.join(polardb.LATENCIES)}"),
        ({"stop pod": 1.01}, "'stop pod' is 1.01; give a probability from 0 to 1"),
        ({"stop pod": -0.1}, "'stop pod' is -0.1; give a probability from 0 to 1"),
        ({"stop pod": True}, "'stop pod' is True; give a probability from 0 to 1"),
        ({"stop pod": "0.1"}, "'stop pod' is '0.1'; give a probability from 0 to 1"),
        ({"stop pod": None}, "'stop pod' is None; give a probability from 0 to 1"),
        (
            {"stop pod": float("nan")},
            "'stop pod' is nan; give a probability from 0 to 1",
        ),
    ],
)
def test_probabilities_that_are_none_are_refused(make, named, said):
    with pytest.raises(wfsim.DefinitionError) as error:
        make(failures=named)
    assert str(error.value) == f"failures: {said}"


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(wfsim.DefinitionError) as error:
        polardb.scenario(failures={"creat pod": 2, "stop pod": 2})
    assert len(error.value.problems) == 3


def test_a_list_of_probabilities_is_refused():
    with pytest.raises(wfsim.DefinitionError, match="give probabilities by the names"):
        polardb.scenario(failures=["stop pod"])


def test_a_study_sweeps_probabilities_of_single_operations():
    study = wfsim.sweep(
        polardb.scenario,
        {"failures": [{}, {"format volume": 0.5}], "replicas": [0]},
        replications=20,
        seed=1,
    )
    retries = study.replications["retries"].tolist()
    assert sum(retries[:20]) == 0 < sum(retries[20:])
