"""Faults at rates, an API that is down or slow, and things of the world that break."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

import wfsim
from fake_resources import polardb
from fake_resources.operations import OperationWorld
from wfsim import ApiDown, BreakOne, CrashAt, DefinitionError, Kind
from wfsim.demand import ApiRate, Rate
from wfsim.sim.draws import KeyedDraws
from wfsim.sim.rates import expanded


def scenario(count=1, **given):
    copy = wfsim.Step("Copy", duration=wfsim.Duration.parse(10))
    return wfsim.Scenario(
        [wfsim.Resource("db", f"r{number}") for number in range(count)],
        wfsim.StateMachine("db")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="Flow"),
        [wfsim.Flow("Flow", (copy, wfsim.Step("Check", duration=copy.duration)))],
        **given,
    )


def test_rates_come_to_faults_with_times_that_the_seed_says():
    rates = {"controller": Rate(mtbf=100, mttr=5, count=2), "api": Rate(50, 10, until=60)}
    names = ("controller-0", "controller-1")
    assert expanded(rates, KeyedDraws(2), names, horizon=1000) == [
        ApiDown(t=0.156, for_=7.734),
        CrashAt(t=13.368, restart_after=6.973, controller="controller-1"),
        ApiDown(t=41.512, for_=17.638),
        CrashAt(t=43.379, restart_after=0.281, controller="controller-1"),
        CrashAt(t=115.75, restart_after=14.33, controller="controller-0"),
        CrashAt(t=265.373, restart_after=5.491, controller="controller-0"),
    ]


def test_the_mean_times_are_those_of_the_rate():
    rates = {"pods": Rate(mtbf=90, mttr=10)}
    faults = expanded(rates, KeyedDraws(1), (), horizon=200_000)
    # A failure in 100 s: 2,000 of them, and four standard errors.
    assert len(faults) == pytest.approx(2000, abs=4 * math.sqrt(2000))
    repaired = sum(fault.for_ for fault in faults) / len(faults)
    assert repaired == pytest.approx(10, abs=4 * 10 / math.sqrt(2000))


def test_a_log_shows_the_faults_of_a_rate_as_it_shows_others():
    made = scenario(
        rates={"controller": Rate(mtbf=8, mttr=2, until=15)}, faults=[CrashAt(write=3)]
    )
    sim = wfsim.Simulation(made, faults=[wfsim.CancelAt(t=300)], seed=3)
    sim.run()
    armed = [record.text for record in sim.log.filter(Kind.FAULT_ARMED)]
    assert armed == [repr(fault) for fault in sim.faults]
    assert sim.faults[0] == CrashAt(write=3)
    assert isinstance(sim.faults[1], CrashAt)
    assert sim.faults[-1] == wfsim.CancelAt(t=300)
    assert sim.given_faults == (wfsim.CancelAt(t=300),)


def test_without_its_rates_the_faults_as_a_plan_do_the_same():
    made = scenario(rates={"controller": Rate(mtbf=8, mttr=2, until=30)})
    sim = wfsim.Simulation(made, seed=3)
    log = sim.run()
    calm = made.but(rates={})
    assert wfsim.simulate(calm, sim.faults, seed=3).digest() == log.digest()
    assert wfsim.simulate(calm, sim.faults[:1], seed=3).digest() != log.digest()
    assert len(sim.faults) > 1


def test_a_fork_and_a_crash_elsewhere_do_not_double_them():
    made = scenario(rates={"controller": Rate(mtbf=8, mttr=2, until=30)})
    sim = wfsim.Simulation(made, seed=3)
    sim.run(until=12)
    twin = sim.fork()
    assert twin.faults == sim.faults
    assert twin.run().digest() == sim.run().digest()


@pytest.mark.parametrize(
    ("rates", "problem"),
    [
        (
            {"api": Rate(1, 1)},
            "rates: api: 302400 failures until the horizon; "
            "give until, count or a lower horizon",
        ),
        ({"pod": Rate(1e5, 1)}, "rates: 'pod'; did you mean 'pods'?"),
        ({"api": 3600}, "rates: api is 3600; give Rate(mtbf=..., mttr=...)"),
    ],
)
def test_rates_that_make_no_sense_are_refused(rates, problem):
    with pytest.raises(DefinitionError) as refused:
        scenario(rates=rates)
    assert str(refused.value) == problem


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"mtbf": 0, "mttr": 1}, "mtbf is 0; give seconds from 0.001 to 1e+12"),
        ({"mtbf": 1, "mttr": math.inf}, "mttr is inf; give seconds from 0.001 to 1e+12"),
        (
            {"mtbf": 1, "mttr": 1, "count": 0},
            "count is 0; give a whole number from 1 to 1000000000",
        ),
    ],
)
def test_a_rate_that_makes_no_sense_is_refused(given, problem):
    with pytest.raises(DefinitionError) as refused:
        Rate(**given)
    assert str(refused.value) == f"Rate: {problem}"


def rows(log, *kinds):
    return [(r.time, r.kind.value, r.step or r.text) for r in log if r.kind in kinds]


def test_while_the_api_is_down_no_request_is_answered():
    log = wfsim.simulate(scenario(), [ApiDown(t=9, for_=3.5)])
    kinds = (Kind.FAULT_FIRED, Kind.STEP_STARTED, Kind.STEP_COMPLETED)
    # The step is done at 10 s, and that is asked to be kept every second.
    assert rows(log, *kinds) == [
        (0.0, "step.started", "Copy"),
        (9.0, "fault.fired", "ApiDown(t=9, for_=3.5)"),
        (13.0, "step.completed", "Copy"),
        (13.0, "step.started", "Check"),
        (23.0, "step.completed", "Check"),
    ]


def test_a_pass_that_begins_while_the_api_is_down_is_made_again():
    log = wfsim.simulate(
        scenario(), [CrashAt(t=2, restart_after=1), ApiDown(t=3, for_=2)]
    )
    assert rows(log, Kind.PASS_FAILED, Kind.STEP_STARTED)[:4] == [
        (0.0, "step.started", "Copy"),
        (3.0, "pass.failed", "controller-0: Unavailable: the API is down"),
        (4.0, "pass.failed", "controller-0: Unavailable: the API is down"),
        (5.0, "step.started", "Copy"),
    ]


def test_what_changes_meanwhile_is_seen_when_the_api_is_back():
    down = ApiDown(t=40, for_=60)
    edit = wfsim.EditAt(t=50, annotations={"again": "1"})
    machine = (
        wfsim.StateMachine("db")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="Flow")
        .transition(
            "Running",
            "Working",
            when=lambda db: "again" in db.annotations and db.event != "Again",
            run="Again",
        )
    )
    flows = [*scenario().flows.values()]
    again = wfsim.Flow("Again", flows[0].steps)
    made = scenario().but(machine=machine, flows=[*flows, again])
    log = wfsim.simulate(made, [down, edit], until=110)
    assert [r.time for r in log.filter(Kind.RUN_CREATED)] == [0.0, 100.0]


def test_requests_wait_for_the_rate_of_the_api():
    free = wfsim.simulate(scenario(count=3))
    slow = wfsim.simulate(scenario(count=3, api_rate=2.0))
    begun = [r.time for r in slow.filter(Kind.STEP_STARTED) if r.step == "Copy"]
    assert [r.time for r in free.filter(Kind.STEP_STARTED)][:3] == [0.0, 0.0, 0.0]
    assert all(later - sooner >= 0.5 for sooner, later in pairwise(begun))
    # Every write of a controller, and every read, is half a second apart from the next.
    writes = sorted(r.time for r in slow if r.value is not None and r.run)
    assert all(later - sooner >= 0.5 for sooner, later in pairwise(writes))
    assert [r.text for r in slow.filter(Kind.PASS_FAILED)] == []
    assert len(slow.filter(Kind.RUN_COMPLETED)) == 3


def test_a_burst_goes_through_at_once():
    bursty = wfsim.simulate(scenario(api_rate=ApiRate(0.1, burst=1000)))
    free = wfsim.simulate(scenario())
    assert list(bursty.lines()) == list(free.lines())
    # Ten tokens, one more every ten seconds.
    few = wfsim.simulate(scenario(api_rate=ApiRate(0.1, burst=5)))
    assert few[-1].time > free[-1].time


def test_an_api_rate_that_makes_no_sense_is_refused():
    with pytest.raises(DefinitionError, match="per_second is 0; give a number from"):
        scenario(api_rate=0)
    with pytest.raises(DefinitionError, match="burst is 0; give a whole number"):
        ApiRate(1, burst=0)


def test_a_pod_breaks_and_is_mended():
    faults = [BreakOne(t=200, draw=0.5, for_=30)]
    sim = wfsim.Simulation(polardb.scenario(replicas=1), seed=1, faults=faults)
    sim.run(until=200)
    assert [str(pod.phase) for pod in sim.world.pods_of("mpd-0")] == ["Running", "Failed"]
    sim.run(until=230)
    assert [str(pod.phase) for pod in sim.world.pods_of("mpd-0")] == [
        "Running",
        "Pending",
    ]
    sim.run()
    assert all(pod.healthy for pod in sim.world.pods_of("mpd-0"))
    assert [r.time for r in sim.log.filter(Kind.FAULT_FIRED)] == [200.0]


def test_an_operation_under_way_breaks():
    site = OperationWorld({"Deploy": wfsim.Duration.parse(100)})
    site.attach(wfsim.clock.VirtualClock(), KeyedDraws(1))
    assert site.break_one(0.0) == ""
    names = [site.launch("Deploy", target) for target in ("a", "b")]
    assert site.break_one(0.9) == names[1]
    assert [str(each.status) for each in site.operations.values()] == ["init", "error"]
    site.mend(names[1])
    assert site.break_one(0.9) == names[0]
    assert site.break_one(0.9) == ""


def test_a_world_that_knows_no_breaking_is_left_alone():
    log = wfsim.simulate(scenario(world=wfsim.World), [BreakOne(t=5)])
    assert rows(log, Kind.FAULT_FIRED) == []


def test_pods_that_break_at_a_rate_slow_a_cluster_down_but_do_not_stop_it():
    calm = polardb.scenario(replicas=2)
    rough = calm.but(rates={"pods": Rate(mtbf=60, mttr=20, until=300)})
    logs = [wfsim.simulate(made, seed=4) for made in (calm, rough)]
    ends = [log.filter(Kind.RUN_COMPLETED)[0].time for log in logs]
    assert len(logs[1].filter(Kind.FAULT_FIRED)) > 1
    assert ends[1] > ends[0]
