"""What to decide by a study: which point, how sure, at what cost; and the page of it."""

from __future__ import annotations

import math
import re

import pytest

import wfsim
from wfsim.errors import DefinitionError, UsageError
from wfsim.types import Cost


def make(workers=1, jobs=4, failure=0.0, horizon=1e6, disk=2):
    """So many jobs at once, of 10 s each, which need a place of a pool too."""
    machine = wfsim.StateMachine("job").stable("Running", "Interrupt")
    machine.unstable("Creating", run="F")
    step = wfsim.Step("Serve", "Serve", duration=10, failure=failure)
    return wfsim.Scenario(
        [wfsim.Resource("job", f"j{number}") for number in range(jobs)],
        machine,
        [wfsim.Flow("F", (step,), retry=wfsim.Retry(limit=0))],
        settings={"Serve": wfsim.demand.StepSettings(uses={"disk": 1})},
        pools={"disk": disk},
        policy=wfsim.Policy(workers=workers),
        horizon=horizon,
    )


@pytest.fixture(scope="module")
def study():
    return wfsim.sweep(make, {"workers": [1, 2]}, replications=10, progress=False)


def test_what_is_there_costs_as_long_as_it_is_there(study):
    cost = Cost(worker=0.5, places={"disk": 0.1}, failure=7, currency="EUR")
    rows = study.costs(cost)
    columns = ["workers", "worker_seconds", "place_seconds", "undone", "cost"]
    # 40 s with one worker and two places; 20 s with two of each.
    assert rows[columns].round(1).values.tolist() == [
        [1, 40.0, 80.0, 0.0, 28.0],
        [2, 40.0, 40.0, 0.0, 24.0],
    ]
    assert rows[["worker", "place", "failure"]].round(1).values.tolist() == [
        [20.0, 8.0, 0.0],
        [20.0, 4.0, 0.0],
    ]
    assert (rows["low"] <= rows["cost"] + 1e-9).all()


def test_what_is_not_done_has_its_price_and_an_unbounded_crew_costs_what_it_works():
    half = wfsim.sweep(
        lambda: make(jobs=100, failure=0.5, disk=100, workers=10**9),
        replications=10, progress=False,
    )  # fmt: skip
    (row,) = half.costs(Cost(failure=2.0, worker=1.0)).to_dict("records")
    undone = (half.runs["status"] != "completed").sum() / 10
    assert (row["undone"], row["failure"]) == pytest.approx((undone, 2.0 * undone))
    assert row["worker_seconds"] == pytest.approx(1000.0)


def test_the_cheapest_of_those_that_meet_an_objective_is_taken(study):
    dear = Cost(worker=0.5, places={"disk": 0.1}, currency="EUR")
    decision = study.decision("total <= 100", cost=dear)
    assert decision.point == 1
    assert decision.answer == (
        "Take workers 2: it meets total <= 100 and costs 24.00 EUR a time."
    )
    assert decision.reasons[1] == (
        "The next, workers 1, costs 4.00 EUR more (4.00 EUR to 4.00 EUR): surely more."
    )
    assert decision.points["meets"].tolist() == ["yes", "yes"]
    only = study.decision("total <= 20", cost=dear)
    assert (only.point, only.points["meets"].tolist()) == (1, ["no", "yes"])
    assert only.question == "What is the least that meets total <= 20?"


def test_without_prices_the_fewest_seconds_of_workers_are_the_least(study):
    free = study.decision("total <= 100")
    assert free.point == 1 or free.costs["worker_seconds"].is_monotonic_increasing
    assert free.answer.endswith(": it is the least that meets total <= 100.")
    assert "cost" not in free.points


def test_where_none_meets_it_or_it_is_open_no_point_is_taken(study):
    none = study.decision("total <= 1")
    assert (none.point, none.answer) == (None, "No point meets total <= 1.")
    some = wfsim.sweep(
        make, {"failure": [0.4, 0.6]}, replications=3, progress=False
    ).decision("success >= 0.6")
    assert some.point is None
    assert some.answer == "No point is known to meet success >= 0.6."
    assert some.reasons[0].startswith("Of 2 points it is open whether success >= 0.6")
    assert any("3 replications of a point are few" in each for each in some.reasons)


def test_who_is_not_done_keeps_a_point_from_being_taken():
    study = wfsim.sweep(
        lambda workers: make(workers, horizon=15.0), {"workers": [1, 4]},
        replications=10, progress=False,
    )  # fmt: skip
    decision = study.decision("total_p95 <= 100", cost=Cost(worker=1))
    assert decision.point is None
    assert decision.points["total_p95"].tolist() == [math.inf, math.inf]
    assert decision.points["meets"].tolist() == ["no", "no"]
    dear = study.decision(cost=Cost(worker=1, failure=100))
    assert dear.answer.startswith("Take workers 4: it costs ")


def test_without_an_objective_the_best_by_time_in_system_or_cost_is_taken(study):
    best = study.decision()
    assert best.question == "Which of 2 points is the best by total?"
    assert best.answer == "Take workers 2: a total of 15.0 s is the least of all."
    assert "best of all with a probability of 100.0% (bootstrap)" in best.reasons[1]
    alone = wfsim.sweep(make, replications=2, progress=False).decision()
    assert alone.question == "What is to be expected?"
    assert alone.answer == "Expect a total of 25.0 s."
    assert alone.points["label"].tolist() == ["the only point"]


def test_dotted_names_are_called_by_their_last_part():
    study = wfsim.sweep(
        "flows/scenarios/backup_capacity.yaml",
        {"capacities.workers": [2, 8], "capacities.pools.uplink": [2]},
        replications=2, progress=False,
    )  # fmt: skip
    labels = study.decision().points["label"].tolist()
    assert labels == ["workers 2, uplink 2", "workers 8, uplink 2"]


def test_the_page_stands_alone_with_three_charts(study, tmp_path):
    prices = Cost(worker=0.5, places={"disk": 0.1}, failure=7, currency="<EUR>")
    path = wfsim.export.decision_page(
        study, tmp_path / "decision.html", "total <= 100", cost=prices,
        question="How many <workers>?",
    )  # fmt: skip
    text = path.read_text(encoding="utf-8")
    headings = re.findall("<h[12]>(.*?)</h[12]>", text)
    assert headings == [
        *("How many &lt;workers&gt;?", "How sure that is", "What it costs"),
        "How long users wait",
    ]
    assert text.count("<figure>") == 3
    assert "Take workers 2: it meets total &lt;= 100 and costs 24.00 &lt;EUR&gt;" in text
    assert "0.5 for a second of a worker, 0.1 for one of a place of disk, 7 for a" in text
    assert re.findall(r'(?:src|href)="(?!data:)', text) == []
    assert "<EUR>" not in text
    again = wfsim.export.decision_page(study, tmp_path / "free.html")
    assert "No prices were given" in again.read_text(encoding="utf-8")
    assert again.read_text(encoding="utf-8").count("<figure>") == 3


def test_the_charts_say_what_they_show(study):
    decision = study.decision("total <= 20", cost=Cost(worker=0.5, failure=1))
    chart = wfsim.charts.estimates(decision.points, "total", 20.0, chosen=1)
    assert chart.sentence == (
        "total of 2 points with intervals against a limit of 20.0 s: 1 meets it, "
        "1 does not."
    )
    assert [each.get_text() for each in chart.axes.get_yticklabels()] == [
        "workers 1",
        "workers 2",
    ]
    spent = wfsim.charts.costs(decision.costs, ["one", "two"], currency="EUR")
    assert spent.sentence.startswith("Costs of 2 points, on average of a replication: ")
    assert spent.axes.get_xlabel() == "cost EUR"
    nothing = wfsim.charts.costs(study.costs(Cost()), ["one", "two"])
    assert nothing.sentence == "Costs of nothing."


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda of: of.decision("total"), DefinitionError, "write a measure, one of"),
        (lambda of: of.decision(3), DefinitionError, "objective: 3; write a measure"),
        (lambda of: of.decision(question=3), UsageError, "question is 3; give a text"),
        (lambda of: wfsim.export.decision_page(3), UsageError, "int is no study; give"),
        (lambda of: of.decision("total_high <= 1"), UsageError, "write 'total'"),
        (lambda of: of.decision("totl <= 1"), UsageError, "no measure 'totl'"),
        (lambda of: of.decision(cost=3), UsageError, r"cost is 3; give wfsim.types.Cost"),
        (lambda of: of.costs(Cost(places={"dsk": 1})), UsageError, "no pool 'dsk'; did"),
        (lambda of: Cost(worker=-1), DefinitionError, "worker is -1; give a price"),
        (lambda of: Cost(worker="a"), DefinitionError, "give a price, from 0"),
        (lambda of: Cost(places={"a": math.nan}), DefinitionError, "a price, from 0, by"),
        (lambda of: of.decision(confidence=95), UsageError, "confidence is 95"),
    ],
)
def test_what_makes_no_sense_is_refused(study, call, error, words):
    with pytest.raises(error, match=words):
        call(study)
