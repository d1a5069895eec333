"""What arrives and what is changed as time goes by."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wfsim
from tests.sizes import FULL
from wfsim import DefinitionError, Kind, Resource
from wfsim.demand import Arrivals, FlowRequest, Times, Trigger
from wfsim.sim.draws import KeyedDraws


def times(seed=1, purpose="p", **given):
    return list(Times(**given).each(KeyedDraws(seed), purpose))


def test_times_are_listed_regular_or_random():
    assert times(at=(30, 10, 20)) == [10.0, 20.0, 30.0]
    assert times(every=60, until=200) == [0.0, 60.0, 120.0, 180.0]
    assert times(every=60, start=5, count=2) == [5.0, 65.0]
    assert times(mean=10, count=3) == times(rate=0.1, count=3)
    assert times(mean=10, count=3) != times(mean=10, count=3, seed=2)
    assert times(mean=10, count=3) != times(mean=10, count=3, purpose="q")
    assert times(at=(10, 20, 30), until=20) == [10.0, 20.0]
    assert times(at=(10, 20, 30, 40), start=15, count=2) == [20.0, 30.0]


def test_more_random_times_begin_with_the_fewer():
    assert times(mean=10, count=9)[:4] == times(mean=10, count=4)
    assert times(mean=20, count=4) == pytest.approx(
        [2 * time for time in times(mean=10, count=4)]
    )


def test_random_times_are_a_poisson_process():
    counted = [len(times(seed, mean=10, until=100)) for seed in range(2000)]
    mean = sum(counted) / 2000
    spread = sum((each - mean) ** 2 for each in counted) / 1999
    # 100 s at one in 10 s: mean and variance are 10; these are four standard errors.
    assert mean == pytest.approx(10, abs=4 * math.sqrt(10 / 2000))
    assert spread == pytest.approx(10, abs=4 * math.sqrt(2 * 10**2 / 2000 + 10 / 2000))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "Times: give one of at, every, mean, rate, between and rates"),
        (
            {"at": (1,), "every": 2},
            "Times: give one of at, every, mean, rate, between and rates",
        ),
        (
            {"mean": 1, "rate": 2},
            "Times: give one of at, every, mean, rate, between and rates",
        ),
        ({"at": (-1,)}, "Times: at is (-1,); give a list, each item seconds from 0"),
        ({"at": "12"}, "Times: at is '12'; give a list"),
        ({"every": 0}, "Times: every is 0; give seconds from 0.001 to"),
        ({"rate": 5000}, "Times: rate is 5000; give a number from 1e-12 to 1000"),
        ({"rate": 0}, "Times: rate is 0; give a number from 1e-12 to 1000"),
        ({"mean": math.nan}, "Times: mean is nan; give seconds from 0.001"),
        ({"mean": True}, "Times: mean is True; give seconds from 0.001"),
        ({"every": 1, "count": 0}, "Times: count is 0; give a whole number from 1 to"),
        ({"every": 1, "until": -1}, "Times: until is -1; give seconds from 0"),
        ({"every": 1, "start": 60, "until": 50}, "Times: until is 50, before start, 60"),
    ],
)
def test_times_that_make_no_sense_are_refused(given, problem):
    with pytest.raises(DefinitionError) as refused:
        Times(**given)
    assert str(refused.value).startswith(problem)


def backups(**given):
    copy = wfsim.Step("Copy", duration=wfsim.Duration.parse(10))
    flows = [wfsim.Flow("Backup", (copy,)), wfsim.Flow("Create", (copy,))]
    machine = (
        wfsim.StateMachine("db")
        .stable("Running", "Interrupt")
        .transition(
            "Running",
            "BackingUp",
            when=lambda db: db.annotations.get("backup") != db.status.get("backup"),
            run="Backup",
        )
        .unstable("Creating", run="Create")
    )
    return wfsim.Scenario(**{"machine": machine, "flows": flows, **given})


def rows(log, *kinds):
    return [(r.time, r.resource, r.text) for r in log if r.kind in kinds]


LATE = Resource("db", "late-{n}", spec={"call": "it {n}", "size": [1, "{n}"]})


def test_resources_arrive_and_are_carried_on():
    log = wfsim.simulate(backups(arrivals=[Arrivals(LATE, Times(at=(5, 25)))]))
    assert rows(log, Kind.RESOURCE_CREATED, Kind.RUN_COMPLETED) == [
        (5.0, "late-0", "->"),
        (15.0, "late-0", ""),
        (25.0, "late-1", "->"),
        (35.0, "late-1", ""),
    ]
    assert log.fold().resources["late-1"].spec == {"call": "it 1", "size": (1, "1")}


@pytest.mark.parametrize(("name", "clashes"), [("late-1", True), ("late-2", False)])
def test_what_stands_there_is_not_called_as_what_arrives(name, clashes):
    def made():
        return backups(
            resources=[Resource("db", name, state="Running")],
            arrivals=[Arrivals(LATE, Times(at=(5, 25)))],
        )

    if not clashes:
        assert len(wfsim.tables.runs(wfsim.simulate(made()))) == 2
        return
    with pytest.raises(
        DefinitionError, match="late-1: number 1 of the arrivals would be called so too"
    ):
        made()


def test_arrivals_and_triggers_come_in_the_order_in_which_they_are_listed():
    scenario = backups(
        resources=[Resource("db", "orders", state="Running")],
        arrivals=[Arrivals(Resource("db", "b"), Times(at=(5,)))],
        triggers=[
            Trigger(Times(at=(5,)), resource="each", status={"seen": "{n}"}),
            Trigger(Times(at=(5,)), annotations={"note": "{n}"}),
        ],
    )
    log = wfsim.simulate(scenario, until=5.0)
    assert rows(log, Kind.RESOURCE_CREATED, Kind.RESOURCE_EDITED) == [
        (0.0, "orders", "-> Running"),
        (5.0, "b", "->"),
        (5.0, "b", "status"),
        (5.0, "orders", "status"),
        (5.0, "orders", "annotations"),
    ]


def test_a_trigger_changes_one_each_or_any_and_leaves_what_is_gone_alone():
    names = [f"r{number}" for number in range(4)]

    def changed(seed, resource):
        scenario = backups(
            resources=[Resource("db", name, state="Running") for name in names],
            triggers=[Trigger(Times(every=10, count=20), resource, status={"x": "{n}"})],
        )
        log = wfsim.simulate(scenario, seed=seed)
        return [r.resource for r in log.filter(Kind.RESOURCE_EDITED)]

    assert changed(1, None) == ["r0"] * 20
    assert changed(1, "r2") == ["r2"] * 20
    assert changed(1, "each") == names * 20
    assert changed(1, "gone") == []
    assert set(changed(2, "any")) == set(names)
    assert changed(1, "any") == changed(1, "any") != changed(2, "any")


def test_a_service_is_asked_for_flows():
    flow = wfsim.Flow("Backup", (wfsim.Step("Copy", duration=wfsim.Duration.parse(2)),))
    asked = FlowRequest("Backup", "cluster-{n}", context={"size": 3, "to": "s-{n}"})
    scenario = wfsim.Scenario(
        flows=[flow], arrivals=[Arrivals(asked, Times(every=20, count=2))]
    )
    sim = wfsim.Simulation(scenario)
    sim.run()
    # A look every 5 s finds a flow to begin, and then one to end.
    assert rows(sim.log, Kind.RUN_COMPLETED) == [
        (10.0, sim.service.list(biz_id="cluster-0").flows[0].id, ""),
        (30.0, sim.service.list(biz_id="cluster-1").flows[0].id, ""),
    ]
    contexts = [run.context for run in sim.log.fold().mementos.values()]
    assert [(each["size"], each["to"]) for each in contexts] == [(3, "s-0"), (3, "s-1")]


def test_what_a_service_refuses_is_in_the_log():
    flow = wfsim.Flow("Backup", (wfsim.Step("Copy"),), biz_type="cluster")
    scenario = wfsim.Scenario(
        flows=[flow],
        steps=[wfsim.step("Copy")(lambda ctx: None)],
        arrivals=[Arrivals(FlowRequest("Backup", "h", biz_type="host"), Times(at=(3,)))],
    )
    log = wfsim.simulate(scenario)
    assert [(r.time, r.text) for r in log.filter(Kind.PASS_FAILED)] == [
        (
            3.0,
            "Backup of h: [10001]parameter is invalid\t"
            "Backup is about a cluster, not a host",
        )
    ]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (
            {"arrivals": [Arrivals(LATE._replace(kind="bd"), Times(at=(1,)))]},
            "late-0: no state machine for the kind 'bd'; did you mean 'db'?",
        ),
        (
            {"arrivals": [Arrivals(FlowRequest("Backup"), Times(at=(1,)))]},
            "Arrivals 0: no service; let resources arrive, not flows",
        ),
        (
            {"arrivals": [Arrivals(LATE, Times(every=0.01))]},
            "Arrivals 0: more than 10000000 times; give until or count",
        ),
        ({"triggers": ["now"]}, "'now': give Arrivals(...) or Trigger(...)"),
    ],
)
def test_demands_that_make_no_sense_are_refused(given, problem):
    resources = [Resource("db", "orders")]
    with pytest.raises(DefinitionError) as refused:
        backups(resources=resources, **given)
    assert str(refused.value) == problem


def test_a_name_that_comes_twice_is_refused():
    with pytest.raises(DefinitionError, match=r"a name such as 'late-\{n\}'"):
        Arrivals(Resource("db", "late"), Times(every=3))
    with pytest.raises(DefinitionError, match="give annotations, spec or status"):
        Trigger(Times(every=3))
    with pytest.raises(DefinitionError, match="keys to texts, None to remove one"):
        Trigger(Times(every=3), annotations={"backup": 1})


BUSY = {
    "resources": [Resource("db", f"r{number}", state="Running") for number in range(3)],
    "arrivals": [Arrivals(LATE, Times(mean=40, until=200))],
    "triggers": [
        Trigger(Times(mean=30, until=200), "any", annotations={"backup": "{n}"}),
        Trigger(Times(every=50, until=200), "each", status={"tick": "{n}"}),
    ],
    "rates": {"controller": wfsim.demand.Rate(mtbf=60, mttr=5, until=200)},
    "pools": {"uplink": 1},
    "settings": {"Copy": {"failure": 0.2, "uses": {"uplink": 1}}},
    "horizon": 400.0,
}


@settings(deadline=None, derandomize=True, max_examples=25 if FULL else 6)
@given(seconds=st.floats(0, 250), seed=st.integers(0, 3))
def test_a_fork_repeats_what_arrives(seconds, seed):
    sim = wfsim.Simulation(backups(**BUSY), seed=seed)
    sim.run(until=seconds)
    twin = sim.fork()
    assert twin.run().digest() == sim.run().digest()
    assert {r.resource for r in sim.log if r.resource.startswith("late")}


def test_what_has_arrived_goes_on_from_its_mementos():
    scenario = backups(arrivals=[Arrivals(LATE, Times(at=(5, 25)))])
    sim = wfsim.Simulation(scenario)
    sim.run(until=28.0)
    mementos = [*sim.mementos("late-0"), *sim.mementos("late-1")]
    again = wfsim.Simulation.resume(scenario, mementos)
    log = again.run()
    assert rows(log, Kind.RESOURCE_CREATED) == [
        (0.0, "late-0", "-> Running"),
        (0.0, "late-1", "-> Creating"),
    ]
    assert log.fold().resources["late-1"].spec["call"] == "it 1"


def test_a_file_that_is_opened_again_gets_what_has_yet_to_arrive(tmp_path):
    scenario = backups(arrivals=[Arrivals(LATE, Times(at=(5, 25, 45)))])
    first = wfsim.Simulation(scenario, db=tmp_path / "s.db")
    first.run(until=26.0)
    second = wfsim.Simulation(scenario, db=tmp_path / "s.db")
    log = second.run()
    assert rows(log, Kind.RUN_COMPLETED) == [(35.0, "late-1", ""), (55.0, "late-2", "")]


def test_without_arrivals_and_triggers_nothing_else_changes():
    busy = backups(**BUSY)
    calm = busy.but(arrivals=[], triggers=[], rates={})
    log = wfsim.simulate(calm, seed=1)
    assert {record.resource for record in log if record.resource} == {"r0", "r1", "r2"}
    assert busy.arrivals
    assert busy.but().title == busy.title == "Backup, Create"
