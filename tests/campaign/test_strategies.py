"""Hypothesis finds what explore finds, and random flows converge from every crash."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings

import wfsim
from fake_resources.zoo import MUTANTS, backup
from tests.sizes import FULL
from wfsim.campaign import strategies
from wfsim.testing import plans, scenarios

CALM = settings(
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


def one_volume(scenario, plan):
    sim = wfsim.Simulation(scenario, seed=1, faults=plan)
    sim.run(for_=600)
    return len(sim.world.volumes) == 1


def test_the_falsifying_plan_of_hypothesis_is_as_small_as_that_of_explore():
    mutant = MUTANTS["creates_again"]
    scenario = mutant.subject
    found = find(
        plans(scenario, ["CrashAt", "ApiDown"], seed=1, most=1),
        lambda plan: not one_volume(scenario, plan),
        settings=settings(CALM, max_examples=500),
    )
    smallest = mutant.explore().failures[0].faults
    assert [type(fault) for fault in found] == [type(fault) for fault in smallest]
    assert found[0].site.startswith("orders/1-Backup/MakeVolume#1 ")


@settings(CALM, max_examples=50)
@given(plan=plans(backup(), ["CrashAt", "FailStep", "PauseController"], seed=1))
def test_a_sound_step_survives_two_faults(plan):
    assert one_volume(backup(), plan)


def test_where_no_fault_applies_it_says_so():
    with pytest.raises(wfsim.UsageError, match="none of HangStep applies to Backup"):
        plans(backup(), ["HangStep"], seed=1)


@settings(CALM, max_examples=1000 if FULL else 50, phases=[Phase.generate])
@given(scenario=scenarios())
def test_every_crash_point_of_a_random_flow_converges(scenario):
    subject = partial(_asked, scenario) if scenario.is_service else scenario
    report = wfsim.explore(subject, ["CrashAt"])
    assert report.failures == []
    assert report.counts["void"] == 0


def _asked(scenario, faults):
    sim = wfsim.Simulation(scenario, faults=faults)
    sim.service.begin("Parent", "thing-1")
    return sim


def test_random_flows_have_edges_polls_children_and_groups():
    drawn: list[wfsim.Scenario] = []

    @settings(CALM, max_examples=200, phases=[Phase.generate])
    @given(scenario=scenarios())
    def draw(scenario):
        drawn.append(scenario)

    draw()
    steps = [
        step for each in drawn for flow in each.flows.values() for step in flow.steps
    ]
    assert any(step.on_failure for step in steps)
    assert any(step.polling for step in steps)
    assert any(step.child for step in steps)
    assert any(len(step.class_names) > 1 for step in steps)


def test_explore_needs_fewer_runs_than_twelve_lines_of_hypothesis():
    mutant = MUTANTS["creates_again"]
    runs = {"hypothesis": 0}

    def fails(plan):
        runs["hypothesis"] += 1
        return not one_volume(mutant.subject, plan)

    every = plans(mutant.subject, seed=1, most=1)
    quick = settings(CALM, max_examples=500, phases=[Phase.generate])
    find(every, fails, settings=quick)
    outcomes = mutant.explore().outcomes
    runs["explore"] = next(n for n, o in enumerate(outcomes, 1) if o.violations)
    print(runs)
    assert runs["explore"] <= runs["hypothesis"]
    # What was measured with twelve lines of Hypothesis over the same kinds of faults.
    assert runs["explore"] < 55


def test_a_bug_that_needs_two_crashes_is_found_in_fewer_runs_than_477():
    @wfsim.step("MakeVolume")
    def third_time_unlucky(ctx):
        yield from ctx.sleep(3)
        name = ctx.world.create(f"{ctx.resource.name}-{ctx.attempt // 3}")
        yield from ctx.sleep(2)
        return {"volume": name}

    scenario = backup(MakeVolume=third_time_unlucky)
    outcomes = wfsim.explore(scenario, depth=2, seed=1).outcomes
    assert next(n for n, o in enumerate(outcomes, 1) if o.violations) < 477


@wfsim.step("Put")
def put_once_more(context):
    """Put in one more at each attempt, which is no repetition."""
    yield from context.sleep(2)
    name = f"{context.resource.name}/{context.step}"
    entries = context.world.entries
    entries[name] = entries.get(name, 0) + 1
    context.world.changed()
    yield from context.sleep(1)


@settings(CALM, max_examples=60 if FULL else 2, phases=[Phase.generate])
@given(scenario=scenarios())
def test_a_random_flow_with_a_bug_fails_where_nothing_joins_too(scenario):
    others = [body for body in strategies.BODIES if body is not strategies.put]
    broken = scenario.but(steps=[*others, put_once_more])
    subject = partial(_asked, broken) if broken.is_service else broken
    depth = 1 if len(broken.flows) > 1 else 2
    pruned, whole = (
        wfsim.explore(subject, ["CrashAt"], depth, join=join) for join in (True, False)
    )
    fail = [
        {each.point.plan: bool(each.violations) for each in report.outcomes}
        for report in (pruned, whole)
    ]
    assert fail[0] == fail[1]
    has_bug = any("Put" in step.class_names for step in broken.flows["Random"].steps)
    assert bool(pruned.failures) == has_bug
