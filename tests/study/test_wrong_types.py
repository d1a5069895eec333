"""What has the wrong type is refused where it is given, or taken for what it means."""

from __future__ import annotations

import pytest

import wfsim
from tests.changes import many
from wfsim import Flow, Policy, Resource, Scenario, Step, WfsimError
from wfsim.demand import Arrivals, Times

MACHINE = wfsim.StateMachine("job").stable("Running", "Interrupt")
MACHINE.unstable("Creating", run="F")
JOB = Resource("job", "a")
FLOW = Flow("F", (Step("S", "S", duration=10),))


def scenario(**changes):
    return Scenario(**{"resources": [JOB], "machine": MACHINE, "flows": [FLOW]} | changes)


@pytest.mark.parametrize(
    ("give", "sentence"),
    [
        (lambda: Step("S", duration="10"), "Step: duration is '10'; give seconds or"),
        (lambda: Flow("F", ("S",)), "Flow: steps is .*; give a list, each item Step"),
        (lambda: Policy(workers=2.5), "Policy: workers is 2.5; give a whole number"),
        (
            lambda: Times(start=60, until=50),
            "until is 50, before start, 60; give",
        ),
        (lambda: Times(at=5), "Times: at is 5; give a list"),
        (lambda: scenario(pools=["a"]), "pools is .*; give a mapping by name"),
        (lambda: scenario(settings=[3]), "settings is .*; give a mapping by name"),
        (lambda: scenario(rates=[3]), "rates is .*; give a mapping by name"),
        (lambda: scenario(hooks=3), "hooks is 3; give a list: hooks="),
        (
            lambda: scenario(machine="job"),
            "machine is 'job'; give a list: machine=",
        ),
        (lambda: scenario(steps="job"), "steps is 'job'; give a list"),
        (lambda: scenario(arrivals=3), "arrivals is 3; give a list: arrivals="),
        (lambda: scenario(title=3), "title is 3; give a text"),
        (
            lambda: scenario(world=wfsim.World()),
            "world is .*; give the class, or",
        ),
        (lambda: scenario(resources=[Resource(3, "x")]), "Resource 'x': kind is 3; give"),
        (
            lambda: scenario(resources=[Resource("job", "a", spec=3)]),
            "Resource 'a': spec is 3; give a mapping",
        ),
        (lambda: wfsim.Simulation("x"), "'x' is no scenario; give wfsim.Scenario"),
        (
            lambda: wfsim.simulate(scenario(), seed="x"),
            "seed is 'x'; give a whole",
        ),
        (lambda: wfsim.simulate(scenario(), faults=3), "3 is not a fault; give some"),
        (lambda: wfsim.sweep(scenario, faults=3), "3 is not a fault; give some"),
        (lambda: wfsim.sweep(scenario, cache=3), "cache is 3; give the path of a folder"),
    ],
)
def test_it_is_refused_where_it_is_given(give, sentence):
    with pytest.raises(WfsimError, match=sentence):
        give()


def test_numbers_stand_for_durations_and_one_fault_for_a_plan_of_one():
    assert Step("S", duration=10).duration.mean == 10.0
    assert Step("S", duration={"uniform": [2, 4]}).duration.mean == 3.0
    arrivals = Arrivals(Resource("job", "b-{n}"), Times(at=[5]))
    fault = wfsim.CrashAt(t=1, restart_after=1)
    log = wfsim.simulate(scenario(arrivals=[arrivals]), faults=fault)
    runs = wfsim.tables.runs(log)
    assert runs["resource"].tolist() == ["a", "b-0"]
    assert set(runs["status"]) == {"completed"}


def failing(failure, second=0.0):
    steps = (
        Step("S", duration=1, failure=failure),
        Step("T", duration=1, failure=second),
    )
    flow = Flow("F", steps, retry=wfsim.Retry(limit=0))
    return Scenario.of_flow(flow)


def test_a_step_that_fails_in_every_run_is_told_once_with_its_error():
    study = wfsim.sweep(failing, {"failure": [1.0], "second": [0.0, 0.1]})
    assert study.notices[1:] == (
        "no run of F is done at any point; each ends with: "
        + many("S fails with probability 1", step="S"),
    )


def test_a_step_that_fails_at_some_points_is_told_for_the_first_three_of_them():
    study = wfsim.sweep(lambda n: failing(float(n > 0)), {"n": range(5)}, replications=9)
    told = [notice for notice in study.notices if "no run of F" in notice]
    assert told[0].startswith("1: no run of F is done; each ends with: MANY_RETRY")
    assert told[3] == "no run of F is done at 1 more point either"
