"""Going on from the mementos of flows of a service, and nothing else."""

from __future__ import annotations

from collections import Counter

import pytest

import wfsim
from fake_resources import tiem
from tests.tiem.begun import Begun, asked_for, simulation
from wfsim import Flow, Kind, Polling, Scenario, Simulation, Step
from wfsim.engine.flow_status import status_of

# What somebody broke by hand, or a node did that failed, is in no memento.
BY_HAND = ("SwitchoverForceWithMasterUnavailable", "SwitchoverRollback")


def resumed(mementos, seed=1, **given):
    return Simulation.resume(tiem.scenario(), mementos, seed=seed, **given)


def outcome(run):
    essence = run.world.essence()
    for operation in essence["operations"].values():
        operation.pop("launched", None)
    for feed in essence["feeds"].values():
        feed.pop("lag")
    return run.status, run.path, run.locks, essence


@pytest.mark.parametrize("flow", [name for name in tiem.CALLERS if name not in BY_HAND])
def test_any_prefix_of_a_flow_comes_to_the_same_end_in_the_same_world(flow):
    calm = asked_for(simulation(), flow).ended()
    wanted, mementos = outcome(calm), calm.sim.mementos(calm.flow_id)
    assert wanted[0] == "Finished"
    for end in range(1, len(mementos) + 1):
        sim = resumed(mementos[:end])
        stood = sim.resource(calm.flow_id).state
        assert stood == status_of(mementos[end - 1])
        done = {
            step.name for step in mementos[end - 1].steps if step.finished is not None
        }
        again = Begun(sim, calm.flow_id).ended()
        # The names of the operations too: nothing was launched that had been before.
        assert outcome(again) == wanted, f"{end} mementos"
        begun = {
            record.step
            for record in sim.log.filter(Kind.STEP_STARTED, resource=calm.flow_id)
        }
        assert begun.isdisjoint(done)


def test_an_operation_is_launched_once_more_as_old_as_it_was_and_looked_at():
    calm = asked_for(simulation(), "StopCluster").ended()
    (launched,) = (
        number
        for number, run in enumerate(calm.sim.mementos(calm.flow_id), 1)
        if run.status == "waiting"
    )
    sim = resumed(calm.sim.mementos(calm.flow_id)[:launched])
    sim.step()
    operation = sim.world.operations["stop-cluster-1-1"]
    assert not operation.is_over
    assert sim.world.clusters["cluster-1"].maintenance == "Stopping"
    sim.run()
    assert operation.is_over
    assert [*sim.world.operations] == ["stop-cluster-1-1"]
    assert not sim.log.filter(Kind.STEP_STARTED, step="clusterStop")


def test_a_world_that_cannot_be_made_again_may_be_given():
    run = asked_for(simulation(), "SwitchoverForceWithMasterUnavailable").until(12.0)
    flow = run.sim.resource(run.flow_id)
    mementos = run.sim.mementos(run.flow_id)
    sim = resumed(mementos, world=run.world, resources=[flow])
    again = Begun(sim, run.flow_id).ended()
    assert outcome(again) == outcome(run.ended())
    assert not again.world.clusters["cluster-1"].is_up


def test_another_seed_draws_otherwise_and_comes_to_its_own_end():
    calm = asked_for(simulation(), "ScaleInCluster").ended()
    sim = resumed(calm.sim.mementos(calm.flow_id)[:5], seed=9)
    again = Begun(sim, calm.flow_id).ended()
    assert (again.status, again.path) == ("Finished", calm.path)
    assert sim.now != calm.sim.now


def test_flows_side_by_side_stand_where_each_of_them_stood():
    sim = simulation()
    one = Begun(sim, tiem.begin(sim, "StopCluster"))
    two = Begun(sim, tiem.begin(sim, "RestartCluster", "cluster-2"))
    sim.run(until=17.0)
    mementos = [*sim.mementos(one.flow_id), *sim.mementos(two.flow_id)]
    again = resumed(mementos)
    again.run()
    sim.run()
    assert outcome(Begun(again, one.flow_id))[:3] == outcome(one)[:3]
    assert outcome(Begun(again, two.flow_id)) == outcome(two)


def test_a_child_without_a_memento_has_finished_and_is_found_by_who_waits_for_it():
    calm = asked_for(simulation(), "CloneCluster").ended()
    mementos = calm.sim.mementos(calm.flow_id)
    (until,) = (
        number
        for number, run in enumerate(mementos, 1)
        if run.step.name == "backupSourceCluster" and run.step.status == "completed"
    )
    sim = resumed(mementos[:until])
    child = sim.service.detail("2-BackupCluster").info
    assert (child.status, child.biz_id) == ("Finished", "cluster-1")
    assert child.created == 0.0
    made = {name: backup.status for name, backup in sim.world.backups.items()}
    assert made == {"backup-0": "Finished", "backup-cluster-1-1-CloneCluster": "Finished"}
    assert Begun(sim, calm.flow_id).ended().status == "Finished"


def test_a_file_that_is_opened_again_goes_on_in_the_world_as_it_was_left(tmp_path):
    for until in (7.0, 41.0, 133.0, 420.0):
        file = tmp_path / f"{until}.db"
        sim = Simulation(tiem.scenario(), seed=1, db=file)
        flow = tiem.begin(sim, "CreateCluster")
        sim.run(until=until)
        again = Begun(Simulation(tiem.scenario(), seed=1, db=file), flow).ended()
        assert (again.status, again.locks) == ("Finished", {})
        kinds = Counter(each.kind for each in again.world.operations.values())
        assert (kinds["Deploy"], kinds["Start"]) == (1, 1)
        assert again.world.clusters["cluster-new"].is_up


# Services of a few lines.


class Cloud(wfsim.World):
    """Operations of 7 s, called by number as they are launched."""

    def __init__(self, first=0):
        super().__init__()
        self.first, self.over, self.looks = first, {}, []

    def launch(self):
        name = f"op-{self.first + len(self.over)}"
        self.over[name] = False
        self.later(7.0, "end", name)
        return name

    def end(self, name):
        self.over[name] = True

    def poll(self, operation):
        self.looks.append(self.clock.now)
        return {"result": "done"} if self.over[operation] else None


@wfsim.step
def Launch(ctx):
    yield from ctx.sleep(1)
    return {"operation": ctx.world.launch(), "asked": ctx.resource.spec["bizId"]}


@wfsim.step
def End(ctx):
    return {"told": ctx.inputs["asked"]}


BUILD = Flow("Build", (Step("Launch", polling=Polling()), Step("End")))


def cloud(world=Cloud, flow=BUILD, *bodies, **rest):
    return Scenario(flows=[flow], steps=[Launch, End, *bodies], world=world, **rest)


def begun(scenario, until=None):
    sim = Simulation(scenario)
    flow = sim.service.create("c1", "cluster", "Build", tenant="acme")
    sim.service.init_context(flow, "size", 9, tenant="acme")
    sim.service.start(flow, tenant="acme")
    sim.run(until)
    return sim, flow


def test_the_memento_tells_who_asked_for_the_flow_and_about_what():
    sim, flow = begun(cloud(), until=6.5)
    again = Simulation.resume(sim.scenario, sim.mementos())
    detail = again.service.detail(flow, tenant="acme")
    assert (detail.info.biz_id, detail.info.biz_type, detail.status) == (
        "c1", "cluster", "Processing",
    )  # fmt: skip
    assert again.resource().spec["context"] == {"Em-X-Tenant-Id": "acme", "size": 9}
    assert [(it.due, it.args) for it in again.world.pending] == [(7.0, ("op-0",))]
    again.run()
    ended = again.mementos()[-1]
    assert [step.output for step in ended.steps] == [
        {"asked": "c1", "result": "done"},
        {"told": "c1"},
    ]
    assert again.world.looks == [5.0, 8.0]


def test_what_had_been_launched_and_cannot_be_launched_again_is_said():
    sim, _ = begun(cloud(), until=6.5)
    with pytest.raises(
        wfsim.UsageError,
        match=r"1-Build, Launch: the operation op-0 cannot be made again: its launch "
        r"makes op-7; give what stood, resume\(..., world=..., resources=...\)",
    ):
        Simulation.resume(cloud(lambda: Cloud(first=7)), sim.mementos())


def test_a_flow_that_was_paused_is_stopped_and_goes_on_when_it_is_started():
    asked = []

    @wfsim.step("End")
    def ask(ctx):
        asked.append(ctx.attempt)
        if len(asked) == 1:
            raise wfsim.Interrupted("ASK")

    scenario = Scenario(flows=[BUILD], steps=[Launch, ask], world=Cloud)
    sim, flow = begun(scenario)
    again = Simulation.resume(scenario, sim.mementos())
    again.run()
    assert again.service.detail(flow, tenant="acme").status == "Stopped"
    again.service.start(flow, tenant="acme")
    again.run()
    assert again.service.detail(flow, tenant="acme").status == "Finished"
    assert asked == [1, 2]


def test_a_flow_that_has_ended_stays_as_it_ended():
    sim, flow = begun(cloud(), until=6.5)
    sim.service.cancel(flow, "enough", tenant="acme")
    sim.run()
    again = Simulation.resume(sim.scenario, sim.mementos())
    again.run()
    assert again.service.detail(flow, tenant="acme").status == "Canceled"
    assert not again.log.filter(Kind.RESOURCE_STATE)


def test_a_memento_that_cannot_be_read_puts_its_flow_in_error():
    sim, flow = begun(cloud(), until=6.5)
    (*_, run) = sim.mementos()
    bad = wfsim.types.Quarantined(run.key, run.resource, "{", "cut short")
    again = Simulation.resume(sim.scenario, [bad])
    again.run()
    detail = again.service.detail(flow, tenant="acme")
    assert (detail.status, detail.info.error) == (
        "Error", "its memento cannot be read: cut short",
    )  # fmt: skip


def test_a_step_that_does_not_do_again_what_it_did_is_named():
    sim, _ = begun(cloud())

    @wfsim.step("End")
    def fails(ctx):
        raise OSError("gone")

    other = Scenario(flows=[BUILD], steps=[Launch, fails], world=Cloud)
    with pytest.raises(wfsim.UsageError, match="1-Build, End: a step that had completed"):
        Simulation.resume(other, sim.mementos())


def test_no_mementos_are_a_service_with_nothing_to_do():
    sim = Simulation.resume(cloud(), [])
    assert [record.kind for record in sim.run()] == [Kind.CONTROLLER_STARTED]
