"""What a scenario says of single steps, and the places that they hold."""

from __future__ import annotations

import pytest

import wfsim
from wfsim import DefinitionError, Kind
from wfsim.demand import StepSettings


@wfsim.step
def Work(ctx):
    yield from ctx.sleep(10.0)
    return {"done": ctx.attempt}


@wfsim.step
def Undo(ctx):
    yield from ctx.sleep(1.0)


def scenario(steps=("Work",), count=1, code=(Work, Undo), **given):
    listed = [wfsim.Step(each) if isinstance(each, str) else each for each in steps]
    return wfsim.Scenario(
        [wfsim.Resource("db", f"r{number}") for number in range(count)],
        wfsim.StateMachine("db")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="Flow"),
        [wfsim.Flow("Flow", tuple(listed), retry=wfsim.Retry(delay=2.0))],
        code,
        **given,
    )


def attempts(log):
    kinds = (Kind.STEP_STARTED, Kind.STEP_COMPLETED, Kind.STEP_FAILED)
    return [
        (r.time, r.kind.value.partition(".")[2], r.text) for r in log if r.kind in kinds
    ]


def test_a_duration_passes_before_the_code_of_a_step_runs():
    log = wfsim.simulate(scenario(settings={"Work": {"duration": 5}}))
    assert attempts(log) == [(0.0, "started", ""), (15.0, "completed", "")]


def test_an_attempt_fails_before_it_does_its_work():
    log = wfsim.simulate(scenario(settings={"Work": {"failure": 0.5}}), seed=1)
    assert attempts(log) == [
        (0.0, "started", ""),
        (0.0, "failed", "step Work fail: Work fails with probability 0.5"),
        (2.0, "started", ""),
        (12.0, "completed", ""),
    ]


def test_as_many_attempts_fail_as_the_probability_says():
    log = wfsim.simulate(scenario(count=500, settings={"Work": {"failure": 0.2}}))
    started = len(log.filter(Kind.STEP_STARTED))
    failed = len(log.filter(Kind.STEP_FAILED))
    assert started - failed == 500
    # Four standard errors of a share of 0.2 among 625.
    assert failed / started == pytest.approx(0.2, abs=4 * 0.016)


def test_a_step_without_code_takes_what_the_settings_say():
    settings = {"Copy": {"duration": 7}}
    log = wfsim.simulate(scenario(["Copy"], settings=settings))
    assert attempts(log) == [(0.0, "started", ""), (7.0, "completed", "")]
    written = wfsim.Step("Copy", duration=wfsim.Duration.parse(3), failure=0.9)
    tuned = scenario([written], settings={"Copy": StepSettings(failure=0.0)})
    assert attempts(wfsim.simulate(tuned)) == [
        (0.0, "started", ""),
        (3.0, "completed", ""),
    ]
    assert tuned.flows["Flow"].digest == scenario([written]).flows["Flow"].digest


def test_the_name_of_a_step_goes_before_its_class():
    steps = [wfsim.Step("First", "Work"), wfsim.Step("Second", "Work")]
    settings = {"Work": {"duration": 1}, "Second": {"duration": 5}}
    log = wfsim.simulate(scenario(steps, settings=settings))
    assert [r.time for r in log.filter(Kind.STEP_COMPLETED)] == [11.0, 26.0]


def test_of_several_classes_the_first_is_delayed_and_an_undo_is_not():
    steps = [wfsim.Step("Both", "Work+Undo", undo="Undo")]
    log = wfsim.simulate(scenario(steps, settings={"Both": {"duration": 5}}))
    assert attempts(log) == [(0.0, "started", ""), (16.0, "completed", "")]


def test_attempts_hold_the_places_of_a_pool_that_their_step_uses():
    settings = {"Work": {"uses": {"uplink": 2}}}
    log = wfsim.simulate(scenario(count=3, pools={"uplink": 4}, settings=settings))
    assert [r.time for r in log.filter(Kind.STEP_COMPLETED)] == [10.0, 10.0, 20.0]
    assert [(r.time, r.text) for r in log.filter(Kind.POOL_CHANGED)] == [
        (0.0, "uplink 2/4, queue 0"),
        (0.0, "uplink 4/4, queue 0"),
        (0.0, "uplink 4/4, queue 1"),
        (10.0, "uplink 4/4, queue 0"),
        (10.0, "uplink 2/4, queue 0"),
        (20.0, "uplink 0/4, queue 0"),
    ]


def test_a_step_without_code_holds_places_too():
    settings = {"Copy": {"duration": 5, "uses": {"uplink": 1, "disk": 1}}}
    pools = {"uplink": 1, "disk": 2}
    made = scenario(["Copy"], count=3, code=(), pools=pools, settings=settings)
    sim = wfsim.Simulation(made)
    sim.run()
    assert [r.time for r in sim.log.filter(Kind.STEP_COMPLETED)] == [5.0, 10.0, 15.0]
    assert str(sim.pools["disk"]) == "disk 0/2, queue 0"


def test_a_step_with_a_lower_priority_goes_first():
    steps = [wfsim.Step("First", "Work"), wfsim.Step("Second", "Work")]
    uses = {"uses": {"uplink": 1}}

    def order(priority):
        settings = {"First": uses, "Second": {**uses, "priority": priority}}
        made = scenario(steps, count=3, pools={"uplink": 1}, settings=settings)
        log = wfsim.simulate(made)
        return [f"{r.resource} {r.step}" for r in log.filter(Kind.STEP_COMPLETED)]

    firsts, seconds = (
        [f"r{number} {step}" for number in range(3)] for step in ("First", "Second")
    )
    assert order(0) == [*firsts, *seconds]
    # r2 has waited from the start, but the second steps of the others go first.
    assert order(-1) == [
        *("r0 First", "r1 First", "r0 Second"),
        *("r1 Second", "r2 First", "r2 Second"),
    ]


def test_a_crash_gives_the_places_back():
    settings = {"Work": {"uses": {"uplink": 1}}}
    made = scenario(count=2, pools={"uplink": 1}, settings=settings)
    sim = wfsim.Simulation(made, faults=[wfsim.CrashAt(t=3, restart_after=1)])
    sim.run()
    assert [r.time for r in sim.log.filter(Kind.STEP_COMPLETED)] == [14.0, 24.0]
    assert sim.pools["uplink"].held == 0


def test_settings_leave_all_other_draws_as_they_were():
    steps = [
        "Work",
        wfsim.Step("Copy", duration=wfsim.Duration.parse({"uniform": [1, 9]})),
    ]

    def copied(**given):
        log = wfsim.simulate(scenario(steps, **given), seed=3)
        ((began,), (ended,)) = (
            [r.time for r in log.filter(kind) if r.step == "Copy"]
            for kind in (Kind.STEP_STARTED, Kind.STEP_COMPLETED)
        )
        return ended - began

    assert copied() == pytest.approx(copied(settings={"Work": {"failure": 0.7}}))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (
            {"settings": {"Wrk": {"failure": 0.1}}},
            "settings: no step 'Wrk'; did you mean 'Work'?",
        ),
        (
            {"settings": {"Work": {"uses": {"uplnk": 1}}}, "pools": {"uplink": 1}},
            "settings of 'Work': no pool 'uplnk'; did you mean 'uplink'?",
        ),
        (
            {"settings": {"Work": {"uses": {"uplink": 2}}}, "pools": {"uplink": 1}},
            "settings of 'Work': uses 2 of the pool 'uplink', which has 1",
        ),
        (
            {"pools": {"uplink": 0}},
            "pools: 'uplink' has 0 places; give a whole number from 1 on",
        ),
        (
            {"settings": {"Work": {"failur": 0.1}}},
            "settings of 'Work': no 'failur'; did you mean 'failure'?",
        ),
        ({"settings": {"Work": 3}}, "settings of 'Work': 3; give StepSettings()"),
        ({"seed": 0.5}, "seed is 0.5; give a whole number"),
        ({"warm_up": -1}, "warm_up is -1; give seconds from 0 to 1e+12"),
        (
            {"faults": ["CrashAt"]},
            "faults: 'CrashAt' is no fault; give some, such as wfsim.CrashAt(t=40)",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(given, problem):
    with pytest.raises(DefinitionError) as refused:
        scenario(**given)
    assert str(refused.value) == problem


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"failure": 1.5}, "failure is 1.5; give a probability from 0 to 1"),
        ({"failure": True}, "failure is True; give a probability from 0 to 1"),
        (
            {"duration": -1},
            "duration is -1; give seconds or a distribution "
            "(a duration is not negative, got -1)",
        ),
        (
            {"uses": {"uplink": 0}},
            "uses is {'uplink': 0}; give a whole number from 1 on by the name of "
            "each pool",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(given, problem):
    with pytest.raises(DefinitionError) as refused:
        StepSettings(**given)
    assert str(refused.value) == f"StepSettings: {problem}"
