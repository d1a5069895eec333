"""Results by flow and by class of customers, in summaries, comparisons and parts."""

from __future__ import annotations

import math

import pytest

import wfsim
from fake_resources import tiem
from wfsim.errors import UsageError

GOLD, TIN, DUMP = "gold-{n}", "tin-{n}", "{n}-dump"


def arrivals(name, kind, at, **more):
    times = wfsim.demand.Times(at=at)
    return wfsim.demand.Arrivals(wfsim.Resource(kind, name), times, **more)


def make(workers=1):
    """At second 1 gold, tin and a dump wait behind what is there from the beginning."""
    machines = [
        wfsim.StateMachine(kind)
        .stable("Running", "Interrupt")
        .unstable("Creating", run=flow)
        for kind, flow in (("job", "F"), ("store", "G"))
    ]
    flows = [
        wfsim.Flow(flow, (wfsim.Step(step, step, duration=seconds),))
        for flow, step, seconds in (("F", "Serve", 10), ("G", "Dump", 20))
    ]
    return wfsim.Scenario(
        [wfsim.Resource("store", "first")],
        machines,
        flows,
        arrivals=[
            arrivals(TIN, "job", (1, 2), priority=1),
            arrivals(GOLD, "job", (3,)),
            arrivals(DUMP, "store", (1,), priority=2),
        ],
        policy=wfsim.Policy(workers=workers),
    )


@pytest.fixture(scope="module")
def study():
    return wfsim.sweep(make, {"workers": [1, 9]}, replications=2, progress=False)


def test_a_run_has_the_class_of_the_arrivals_that_brought_it(study):
    runs = study.runs[["resource", "class", "called", "total"]].head(5).round(1)
    assert runs.values.tolist() == [
        ["first", "store", 0.0, 20.0],
        ["gold-0", "gold", 3.0, 27.0],
        ["tin-0", "tin", 1.0, 39.0],
        ["tin-1", "tin", 2.0, 48.0],
        ["0-dump", "dump", 1.0, 69.0],
    ]


def test_a_summary_by_class_has_a_row_for_each_at_each_point(study):
    rows = study.summary(by="class")
    assert rows[["workers", "class", "runs", "total"]].round(1).values.tolist() == [
        [1, "store", 2, 20.0],
        [1, "gold", 2, 27.0],
        [1, "tin", 4, 43.5],
        [1, "dump", 2, 69.0],
        [9, "store", 2, 20.0],
        [9, "gold", 2, 10.0],
        [9, "tin", 4, 10.0],
        [9, "dump", 2, 20.0],
    ]
    both = study.summary(by=["flow", "class"])
    assert both["flow"].tolist() == ["G", "F", "F", "G"] * 2
    assert study.summary(by="flow")["runs"].tolist() == [4, 6, 4, 6]


def test_points_are_compared_class_by_class(study):
    rows = study.compare(by="class", baseline={"workers": 1})
    assert rows[["class", "a", "b", "difference"]].round(1).values.tolist() == [
        ["store", "1", "9", 0.0],
        ["gold", "1", "9", -17.0],
        ["tin", "1", "9", -33.5],
        ["dump", "1", "9", -49.0],
    ]
    again = study.compare("success", by=["workers", "flow"], baseline=1)
    assert again["flow"].tolist() == ["G", "F"]
    assert "of total of 4 pairs, 3 with" in wfsim.charts.comparison(rows).sentence


def test_a_part_of_a_study_is_a_study_that_can_go_on(study):
    part = study.only({"class": "tin"})
    assert part.replications["runs"].tolist() == [2, 2, 2, 2]
    assert part.replications["makespan"].tolist() == [50.0, 50.0, 12.0, 12.0]
    assert part.critical()["step"].tolist() == ["Serve", "Serve"]
    assert part.extended({0: 5}).counts() == [5, 2]
    assert study.only(flow="F").smallest("workers", "total <= 30").value == 9


def test_the_whole_tallied_again_is_what_it_was():
    whole = wfsim.sweep(lambda: make().but(arrivals=()), replications=3)
    part = whole.only(flow="G")
    assert part.digest == whole.digest


def test_a_class_that_a_replication_has_nobody_of_has_no_numbers_there():
    def rarely():
        times = wfsim.demand.Times(mean=100.0)
        rare = wfsim.demand.Arrivals(wfsim.Resource("job", "rare-{n}"), times)
        return make().but(arrivals=[rare], horizon=60.0)

    study = wfsim.sweep(rarely, replications=20, progress=False)
    part = study.only({"class": "rare"}).replications
    none = part[part["runs"] == 0]
    assert len(part) == 20 > len(none) > 0
    assert none[["success", "total", "p95"]].isna().all(axis=None)
    row = study.summary(by="class").set_index("class").loc["rare"]
    assert row["replications"] == 20
    assert not math.isnan(row["total"])


def test_a_point_without_a_run_of_a_flow_has_no_row_for_it():
    def version(name):
        step = wfsim.Step("Serve", "Serve", duration=1)
        return wfsim.Scenario.of_flow(wfsim.Flow(name, (step,), draws="F"))

    study = wfsim.sweep(version, {"name": ["One", "Two"]}, replications=2)
    assert study.summary(by="flow")[["name", "flow"]].values.tolist() == [
        ["One", "One"],
        ["Two", "Two"],
    ]
    assert len(study.compare()) == 1
    with pytest.raises(UsageError, match="no two points have one flow"):
        study.compare(by="flow")


def test_of_a_service_the_class_is_the_flow():
    asked = wfsim.demand.Arrivals(
        wfsim.demand.FlowRequest("CreateCluster"), wfsim.demand.Times(at=(0,))
    )
    made = tiem.scenario().but(arrivals=[asked])
    study = wfsim.sweep(lambda: made, replications=1, progress=False)
    assert study.runs["class"].tolist() == study.runs["flow"].tolist() != []


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda study: study.summary(by="clas"), "no 'clas'; did you mean 'class'"),
        (lambda study: study.only(flow="X"), "no flow 'X'; known: 'F', 'G'"),
        (lambda study: study.only(resource="a"), "told apart by flow and class"),
        (lambda study: study.only(), "give a flow or a class"),
        (lambda study: study.only("F"), "'F' is no mapping; give {'class'"),
        (lambda study: study.summary(by=3), "by is 3; give a name such as 'flow'"),
        (lambda study: study.compare(by=3), "by is 3; give a name such as 'flow'"),
    ],
)
def test_what_no_run_is_of_is_refused(study, call, words):
    with pytest.raises(UsageError, match=words):
        call(study)
