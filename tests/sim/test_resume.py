"""Going on from mementos: of another simulation, of the reference, of a dump."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import wfsim
from fake_resources import polardb
from tests.changes import after, new
from wfsim import Kind
from wfsim.model.frozen import Frozen
from wfsim.model.run import Complete, Recover, Start, Supersede

GOLDEN = Path(__file__).parents[1] / "golden"
DUMP = GOLDEN / "configmap-mpd-0-workflow.yaml"
STEPS = [
    "InitMeta", "PrepareStorage", "CreateRwPod", "CreateRoPods", "CreateClusterManager",
    "AddToClusterManager", "UpdateRunningStatus",
]  # fmt: skip


def scenario(**given):
    return polardb.scenario(replicas=2, **given)


def original(*faults):
    sim = wfsim.Simulation(scenario(), seed=5, faults=faults)
    sim.run()
    return sim


def resumed(mementos, **given):
    return wfsim.Simulation.resume(scenario(), mementos, seed=5, **given)


def steps(sim, kind=Kind.STEP_COMPLETED):
    return [record.step for record in sim.log.filter(kind)]


def completed(run):
    return [step.name for step in run.steps if step.status == "completed"]


WRITES = 16


@pytest.fixture(scope="module")
def whole():
    return original()


def test_the_whole_flow_makes_sixteen_mementos(whole):
    assert len(whole.mementos()) == WRITES


@pytest.mark.parametrize("prefix", range(WRITES + 1))
def test_any_prefix_goes_on_and_executes_no_completed_step_again(whole, prefix):
    mementos = whole.mementos("mpd-0")[:prefix]
    done = completed(mementos[-1]) if mementos else []
    sim = resumed(mementos)
    sim.run()
    assert steps(sim) == STEPS[len(done) :]
    assert sim.resource().state == "Running"
    assert polardb.problems(sim.world, sim.resource()) == []
    assert sim.world.state() == whole.world.state()


def test_no_memento_at_all_is_a_fresh_start():
    fresh = wfsim.simulate(scenario(clusters=2), seed=5)
    sim = wfsim.Simulation.resume(scenario(clusters=2), [], seed=5)
    assert sim.run().records == fresh.records


def test_the_resource_stands_in_the_state_whose_action_runs_the_flow(whole):
    sim = resumed(whole.mementos()[:6])
    sim.step()
    assert [(r.time, r.kind.value, r.text) for r in sim.log][:3] == [
        (0.0, "resource.created", "-> Creating"),
        (0.0, "run.created", ""),
        (0.0, "controller.started", "controller-0"),
    ]


def test_the_world_stands_where_the_mementos_say_and_no_time_has_passed(whole):
    sim = resumed(whole.mementos()[:7])
    sim.step()
    assert sim.now == 0.0
    assert sorted(sim.world.pods) == ["mpd-0-rw"]
    assert sim.resource().status["leader"] == "mpd-0-rw"
    assert sim.resource().finalizers == whole.resource().finalizers


def test_what_is_pending_in_the_world_is_due_as_long_from_now_as_it_was():
    def begins(ctx):
        ctx.world.later(30.0, "finish")

    def ends(ctx):
        yield from ctx.world.until(lambda: ctx.world.finished)

    class Slow(wfsim.World):
        finished = False

        def finish(self):
            self.finished = True

    slow = wfsim.Scenario(
        [wfsim.Resource("db", "orders")],
        wfsim.StateMachine("db")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="Create"),
        [wfsim.Flow("Create", (wfsim.Step("begins"), wfsim.Step("ends")))],
        [begins, ends],
        world=Slow,
    )
    first = wfsim.Simulation(slow)
    first.run()
    sim = wfsim.Simulation.resume(slow, first.mementos()[:3])
    assert sim.run()[-1].time == 30.0


def test_second_0_is_when_the_last_thing_happened(whole):
    mementos = whole.mementos()[:7]
    sim = resumed(mementos)
    sim.step()
    before, after = mementos[-1], sim.mementos()[0]
    end = before.steps[2].finished
    assert after.started == pytest.approx(before.started - end, abs=1e-6)
    assert after.steps[2].finished == 0.0
    assert after.steps[1].started == pytest.approx(
        before.steps[1].started - end, abs=1e-6
    )
    frame = wfsim.tables.runs(sim.run())
    assert frame["status"].tolist() == ["completed"]


def test_a_deadline_is_as_far_away_as_it_was():
    policy = wfsim.Policy(deadline=100.0)
    first = wfsim.Simulation(scenario(policy=policy), seed=5)
    first.run(until=wfsim.step_completed("CreateRwPod"))
    left = first.mementos()[-1].deadline - first.log[-1].time
    sim = wfsim.Simulation.resume(scenario(policy=policy), first.mementos(), seed=5)
    sim.step()
    assert sim.mementos()[-1].deadline == pytest.approx(left, abs=1e-6)


def test_an_interrupted_run_waits_for_an_operator():
    first = original(
        wfsim.InterruptStep("CreateRoPods", reason="NO_NODE", message="none")
    )
    sim = resumed(first.mementos())
    sim.run()
    notes = sim.resource().annotations
    assert sim.resource().state == "Interrupt"
    assert {key: notes[f"interrupt.{key}"] for key in ("reason", "message")} == {
        "reason": "NO_NODE",
        "message": "none",
    }
    assert notes["interrupt.previous.status"] == "Creating"
    sim.recover()
    sim.run()
    assert (sim.resource().state, steps(sim)) == ("Running", STEPS[3:])
    assert polardb.problems(sim.world, sim.resource()) == []


def test_faults_and_another_seed_may_be_given(whole):
    sim = wfsim.Simulation.resume(
        scenario(),
        whole.mementos()[:9],
        seed=6,
        faults=[wfsim.CrashAt(t=1, restart_after=1)],
    )
    sim.run()
    assert steps(sim) == STEPS[4:]
    assert len(sim.log.filter(Kind.FAULT_FIRED)) == 1


def test_a_world_may_be_given_and_is_left_as_it_is():
    first = wfsim.Simulation(scenario(), seed=5)
    first.run(until=wfsim.step_completed("PrepareStorage"))
    there = first.world.state()
    sim = resumed(
        first.mementos(), world=first.world, resources=[first.resource("mpd-0")]
    )
    sim.run()
    assert first.world.state() == there
    assert steps(sim) == STEPS[2:]
    assert polardb.problems(sim.world, sim.resource()) == []


def test_a_resource_that_is_given_must_have_a_state_machine():
    with pytest.raises(wfsim.DefinitionError, match="no state machine for the kind 'x'"):
        resumed([], resources=[wfsim.Resource("x", "y")])


WRITTEN = (GOLDEN / "reference_engine.jsonl").read_text()
REFERENCE = [json.loads(line) for line in WRITTEN.rstrip("\n").split("\n")]
SCENARIOS = sorted({row["scenario"] for row in REFERENCE})


def of_the_reference(name):
    return [
        wfsim.Memento.from_json(row["key"], row["value"], kind="mpd")
        for row in REFERENCE
        if row["op"] == "memento" and row["scenario"] == name
    ]


@pytest.mark.parametrize("name", SCENARIOS)
def test_any_prefix_of_what_the_reference_wrote_goes_on_too(name):
    mementos = of_the_reference(name)
    for prefix in range(1, len(mementos) + 1):
        last = mementos[prefix - 1]
        sim = resumed(mementos[:prefix])
        sim.run()
        if last.status == "failedAndCompleted":
            assert sim.resource().state == "Interrupt"
            sim.recover()
            sim.run()
        assert sim.resource().state == "Running"
        assert steps(sim) == [step for step in STEPS if step not in completed(last)]
        assert polardb.problems(sim.world, sim.resource()) == []


def test_a_dump_of_the_reference_goes_on_after_recovery():
    dump = wfsim.load_mementos(DUMP)
    sim = resumed(dump)
    sim.run()
    assert sim.resource().annotations["interrupt.reason"] == "CM_LOST"
    sim.recover()
    sim.run()
    assert sim.resource().state == "Running"
    assert steps(sim) == STEPS[4:]
    assert [(run.key[0], run.status) for run in sim.mementos()[:2]] == [
        ("1", "completed"),
        ("2", "failedAndCompleted"),
    ]
    assert sim.mementos()[-1].key == "2-CreateSharedStorageCluster"


def test_what_a_dump_has_quarantined_is_found_and_reported(tmp_path):
    path = tmp_path / "dump.yaml"
    text = DUMP.read_text().replace('"flowStatus":"completed"', '"flowStatus":"comp', 1)
    path.write_text(text)
    sim = resumed(wfsim.load_mementos(path))
    sim.run()
    (bad,) = sim.log.filter(Kind.RUN_QUARANTINED)
    assert (bad.run, bad.resource) == ("1-CreateSharedStorageCluster", "mpd-0")
    sim.recover()
    sim.run()
    assert sim.resource().state == "Running"


def test_mementos_of_a_stranger_stand_for_a_resource_like_the_first(whole):
    mementos = [
        run._replace(resource=wfsim.types.Key("MPDCluster", "prod", "pc-7"))
        for run in whole.mementos()[:7]
    ]
    sim = resumed(mementos)
    sim.run()
    assert sim.resources.keys() == [("mpd", "prod", "pc-7")]
    assert sim.resource("pc-7").state == "Running"
    assert sim.resource("pc-7").spec["followerNum"] == 2
    assert steps(sim) == STEPS[3:]


def test_mementos_of_several_resources_go_on_and_the_others_begin():
    three = scenario(clusters=3)
    first = wfsim.Simulation(three, seed=5)
    first.run(until=wfsim.step_completed("CreateRwPod", resource="mpd-1"))
    mementos = [*first.mementos("mpd-0"), *first.mementos("mpd-1")]
    done = len(completed(mementos[-1]))
    sim = wfsim.Simulation.resume(three, mementos, seed=5)
    sim.run()
    names = ["mpd-0", "mpd-1", "mpd-2"]
    assert [sim.resource(name).state for name in names] == ["Running"] * 3
    started = [r.step for r in sim.log.filter(Kind.STEP_COMPLETED, resource="mpd-1")]
    assert started == STEPS[done:]
    assert len(sim.log.filter(Kind.STEP_COMPLETED, resource="mpd-2")) == 7


def small(body, **given):
    @wfsim.step
    def Last(ctx):
        yield from ctx.sleep(1)

    return wfsim.Scenario(
        [wfsim.Resource("db", "orders")],
        wfsim.StateMachine("db")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="Create")
        .unstable("Rebuild", run="Rebuild", ignore_unfinished=True)
        .transition("Interrupt", "Rebuild", when=lambda it: "rebuild" in it.annotations),
        [
            wfsim.Flow(
                "Create", (wfsim.Step("First", body.__name__), wfsim.Step("Last"))
            ),
            wfsim.Flow("Rebuild", (wfsim.Step("Last"),)),
        ],
        [body, Last],
        **given,
    )


def after_first(it):
    flow = it.flows["Create"]
    key = wfsim.types.Key("db", "default", "orders")
    return after(new(flow, key), (0.0, Start(0)), (5.0, Complete(0, Frozen(id=7))))


def test_a_step_sees_the_resource_as_it_saw_it_then():
    seen = []

    def body(ctx):
        seen.append((ctx.resource.state, ctx.attempt, ctx.run))
        yield from ctx.update(status={"first": "done"})

    it = small(body)
    sim = wfsim.Simulation.resume(it, [after_first(it)])
    sim.run()
    assert seen == [("Creating", 1, "1-Create")]
    assert sim.resource().status == {"first": "done"}


def test_a_step_that_waits_or_fails_by_chance_is_asked_again():
    def body(ctx):
        if ctx.attempt < 3:
            raise (
                wfsim.Waiting(after=5) if ctx.attempt == 1 else RuntimeError("by chance")
            )

    it = small(body)
    sim = wfsim.Simulation.resume(it, [after_first(it)])
    sim.run()
    assert steps(sim) == ["Last"]


def always_failing(ctx):
    raise RuntimeError("no such volume")


def always_interrupting(ctx):
    raise wfsim.Interrupted("LOST", "by all")


def hanging(ctx):
    yield ctx.clock.event()


def polling(ctx):
    while True:
        yield from ctx.sleep(3600)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (always_failing, "100 times, with RuntimeError: no such volume"),
        (always_interrupting, "100 times, with Interrupted"),
        (hanging, "does not end when its effects are applied again"),
        (polling, "does not end when its effects are applied again"),
    ],
)
def test_a_completed_step_that_cannot_be_applied_again_is_named_with_a_cure(body, why):
    it = small(body)
    with pytest.raises(wfsim.UsageError) as caught:
        wfsim.Simulation.resume(it, [after_first(it)])
    assert str(caught.value).startswith("1-Create, First: a step that had completed")
    assert why in str(caught.value)
    assert "give what stood, resume(..., world=..., resources=...)" in str(caught.value)


def test_with_a_world_no_completed_step_is_applied_again():
    it = small(always_failing, world=wfsim.World)
    sim = wfsim.Simulation.resume(it, [after_first(it)], world=wfsim.World())
    sim.run()
    assert steps(sim) == ["Last"]


def test_a_superseded_run_means_the_state_that_superseded_it():
    it = small(always_failing)
    run = after(after_first(it), Recover(from_first_step=True), (6.0, Supersede()))
    sim = wfsim.Simulation.resume(it, [run])
    sim.run()
    assert sim.mementos()[-1].key == "2-Rebuild"
    assert sim.resource().state == "Running"


def test_a_run_of_a_flow_that_the_scenario_lacks_interrupts():
    it = small(always_failing)
    run = after_first(it)._replace(flow="Gone", key="1-Gone")
    sim = wfsim.Simulation.resume(it, [run])
    sim.run()
    assert sim.resource().annotations["interrupt.reason"] == "UNKNOWN_FLOW"


@pytest.mark.parametrize("wrong", [[5], ["text"], [None]])
def test_what_is_no_memento_is_refused(wrong):
    with pytest.raises(wfsim.UsageError, match=r"is not a memento; give some of sim.mem"):
        resumed(wrong)


def test_a_memento_that_is_completed_with_open_steps_is_quarantined_naming_them():
    sim = wfsim.Simulation(polardb.scenario(replicas=2), seed=1)
    sim.run()
    early = sim.mementos("mpd-0")[2]
    edited = early._replace(status=wfsim.types.RunStatus.COMPLETED)
    resumed = wfsim.Simulation.resume(polardb.scenario(replicas=2), mementos=[edited])
    (bad,) = resumed.run().filter(wfsim.Kind.RUN_QUARANTINED)
    assert bad.text.startswith("it is completed, but its steps PrepareStorage, ")
    # Nothing is begun anew unless somebody who has seen that says so.
    assert resumed.log.filter(wfsim.Kind.STEP_STARTED) == []
    waiting = resumed.resource()
    assert (waiting.state, waiting.annotations["interrupt.reason"]) == (
        *("Interrupt", "OPEN_STEPS"),
    )
    assert "its steps PrepareStorage, " in waiting.annotations["interrupt.message"]
    resumed.recover()
    resumed.run()
    first = resumed.log.filter(wfsim.Kind.STEP_COMPLETED)[0]
    assert (first.run, first.step) == ("2-CreateSharedStorageCluster", "InitMeta")
    assert resumed.resource().state == "Running"


def test_a_completed_memento_that_lists_no_step_is_not_believed_either():
    sim = wfsim.Simulation(polardb.scenario(replicas=2), seed=1)
    sim.run()
    edited = sim.mementos("mpd-0")[-1]._replace(steps=())
    resumed = wfsim.Simulation.resume(polardb.scenario(replicas=2), mementos=[edited])
    resumed.run()
    assert resumed.resource().annotations["interrupt.reason"] == "OPEN_STEPS"


def test_an_older_run_that_is_not_what_it_says_is_only_kept_out_of_the_way():
    sim = wfsim.Simulation(polardb.scenario(replicas=2), seed=1)
    sim.run()
    early, whole = sim.mementos("mpd-0")[2], sim.mementos("mpd-0")[-1]
    edited = early._replace(status=wfsim.types.RunStatus.COMPLETED)
    newer = whole._replace(key="2-CreateSharedStorageCluster")
    resumed = wfsim.Simulation.resume(
        polardb.scenario(replicas=2), mementos=[edited, newer]
    )
    assert resumed.run().filter(wfsim.Kind.RUN_QUARANTINED)
    assert resumed.resource().state == "Running"
    assert resumed.log.filter(wfsim.Kind.STEP_STARTED) == []
