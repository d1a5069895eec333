"""What goes wrong with the operator, at the record where it does; and what does not."""

from __future__ import annotations

import pytest

import wfsim
from fake_resources.polardb import hazards, members, requests
from tests.changes import many


def simulation(hazard: hazards.Hazard) -> wfsim.Simulation:
    return wfsim.Simulation(hazard.scenario, seed=1, faults=hazard.faults)


def at_fault(hazard: hazards.Hazard) -> tuple[wfsim.Simulation, wfsim.types.Record]:
    """The simulation at the record that shows the hazard."""
    sim = simulation(hazard)
    shown = next(record for record in iter(sim.step, None) if hazard.wrong(record))
    return sim, shown


def flows(sim: wfsim.Simulation) -> list[str]:
    made = sim.log.filter(wfsim.Kind.RUN_COMPLETED)
    return [record.run.replace("SharedStorageCluster", "") for record in made]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("make", hazards.HAZARDS)
def test_every_hazard_shows_whatever_the_seed(make, seed):
    hazard = make()
    log = wfsim.simulate(hazard.scenario, hazard.faults, seed)
    assert any(map(hazard.wrong, log))


def test_a_request_that_comes_while_a_flow_runs_is_dropped_by_its_last_steps():
    sim, shown = at_fault(hazards.lost_request())
    assert shown.text == "annotations"
    assert shown.value.state == "FlushParams"
    begun = sim.log[: shown.seq].filter(wfsim.Kind.STEP_STARTED)
    assert begun[-1].step == "CleanAllTempMeta"
    sim.run()
    assert flows(sim) == ["1-Create", "2-FlushParams"]


def test_our_step_leaves_that_request_and_it_is_served_next():
    sim = simulation(hazards.lost_request(sound=True))
    sim.run()
    assert flows(sim) == ["1-Create", "2-FlushParams", "3-RestartCluster"]
    assert not any(map(hazards.lost_request().wrong, sim.log))


def test_a_leader_that_is_lost_while_the_flow_is_interrupted_is_not_replaced():
    sim, shown = at_fault(hazards.ha_left_off())
    assert (shown.value.state, shown.value.event) == ("Interrupt", "POD_LOST")
    manager = sim.world.managers["mpd-0"]
    assert not manager.ha
    sim.act(lambda each: each.world.pods["mpd-0-rw"].fail())
    sim.run(for_=600)
    assert manager.leader == "mpd-0-rw"
    sim.recover()
    sim.run()
    assert (manager.ha, manager.leader) == (True, "mpd-0-ro-1")


def test_what_a_user_wants_is_overwritten_by_what_a_step_read_before():
    sim, shown = at_fault(hazards.stale_write_back())
    assert shown.text == "spec, status"
    begun = sim.log[: shown.seq].filter(wfsim.Kind.STEP_STARTED)
    assert begun[-1].step == "CreateRoPods"
    sim.run()
    assert flows(sim) == ["1-Create"]
    assert len(sim.resource().status["followers"]) == 2


def test_our_step_leaves_what_the_user_wants_and_the_follower_is_added():
    sim = simulation(hazards.stale_write_back(sound=True))
    sim.run()
    assert flows(sim) == ["1-Create", "2-AddRo"]
    assert len(sim.resource().status["followers"]) == 3


def test_a_temporary_follower_that_failed_is_rebuilt_without_end_or_effect():
    sim, shown = at_fault(hazards.endless_rebuild_ro())
    assert shown.flow == "SharedStorageClusterRebuildRo"
    counts = sim.world.counts.copy()
    sim.run()
    assert sim.world.counts == counts
    assert len(flows(sim)) > 20
    assert {name.partition("-")[2] for name in flows(sim)[1:]} == {"RebuildRo"}
    assert "mpd-0-ins-4" in sim.resource().status["instances"]


def test_a_leader_whom_nobody_knows_is_waited_for_eleven_times():
    sim, shown = at_fault(hazards.unknown_leader())
    sim.run()
    assert shown.text == many(
        "TimeoutError: 'mpd-9-rw' leading: not within 30 s",
        retries=10,
        flow="SharedStorageClusterSwitchRw",
        step="SwitchRw",
    )
    starts = sim.log.filter(wfsim.Kind.STEP_STARTED, step="SwitchRw")
    assert [record.attempt for record in starts] == [*range(1, 12)]
    assert shown.time - starts[0].time == pytest.approx(11 * 30 + 10)
    assert ("switch leader", "mpd-0") not in sim.world.counts


def test_a_stand_in_of_a_follower_is_promoted_and_the_leaders_never_leads():
    sim, shown = at_fault(hazards.wrong_stand_in())
    stand_ins = requests.temp_ids(shown.value)
    assert stand_ins == {
        "mpd-0-ro-1": "mpd-0-ins-5",
        "mpd-0-ro-2": "mpd-0-ins-6",
        "mpd-0-rw": "mpd-0-ins-4",
    }
    assert members.followers(shown.value)[-1] == "mpd-0-ins-6"
    begun = sim.log[: shown.seq].filter(wfsim.Kind.STEP_STARTED)
    assert begun[-1].step == "ConvertTempRoToRo"
    sim.run()
    (stopped,) = sim.log.filter(wfsim.Kind.RUN_INTERRUPTED)
    assert stopped.text == many(
        "TimeoutError: 'mpd-0-ins-4' leading: not within 30 s",
        retries=10,
        flow="SharedStorageClusterModifyClass",
        step="SwitchNewRoToRw",
    )
    assert members.leader(sim.resource()) == "mpd-0-rw"
    assert not sim.world.managers["mpd-0"].ha


def test_our_step_promotes_the_leaders_stand_in_which_leads():
    sim = simulation(hazards.wrong_stand_in(sound=True))
    assert not any(map(hazards.wrong_stand_in().wrong, sim.run()))
    assert flows(sim) == ["1-Create", "2-ModifyClass"]
    assert members.leader(sim.resource()) == "mpd-0-ins-4"


def test_a_step_that_kills_its_process_kills_it_eleven_times():
    sim, shown = at_fault(hazards.nil_annotations())
    assert shown.text == "MANY_RESTARTS: GenerateTempRoIds was cut short 11 times"
    assert len(sim.log.filter(wfsim.Kind.CONTROLLER_CRASHED)) == 11
    starts = sim.log.filter(wfsim.Kind.STEP_STARTED, step="GenerateTempRoIds")
    assert [record.time for record in starts] == [600.0 + 11 * n for n in range(11)]
    sim.run()
    assert flows(sim) == ["1-Create"]


def test_our_step_needs_no_annotation():
    sim = simulation(hazards.nil_annotations(sound=True))
    sim.run()
    assert flows(sim) == ["1-Create", "2-ModifyClass"]


def test_the_27th_cluster_waits_for_the_first_of_26_long_flows_to_end():
    sim, shown = at_fault(hazards.starvation())
    assert shown.resource == "mpd-9"
    ended = sim.log.filter(wfsim.Kind.RUN_COMPLETED)
    assert [record.time for record in ended] == [shown.time]
    made = sim.log.filter(wfsim.Kind.RUN_CREATED)
    assert [record.time for record in made] == [0.0] * 26 + [shown.time]
    assert shown.time > 1200.0


def test_a_worker_more_serves_the_27th_cluster_at_once():
    log = simulation(hazards.starvation(sound=True)).run()
    made = log.filter(wfsim.Kind.RUN_CREATED)
    assert [record.time for record in made] == [0.0] * 27
