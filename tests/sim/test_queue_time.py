"""Waiting is waiting: the queue of a pool is no time of a step's work."""

from __future__ import annotations

import pytest

import wfsim
from tests.changes import many
from wfsim import tables


def one_place(count=3, seconds=10.0, *, timeout=None, counts=False, **more):
    """*count* jobs at once, each of which needs the only place for *seconds*."""
    step = wfsim.Step(
        "Serve", "Serve", duration=wfsim.Duration.parse(seconds), timeout=timeout,
        timeout_counts_queue=counts,
    )  # fmt: skip
    machine = wfsim.StateMachine("job").stable("Running", "Interrupt")
    machine.unstable("Creating", run="F")
    return wfsim.Scenario(
        [wfsim.Resource("job", f"j{number}") for number in range(count)],
        machine,
        [wfsim.Flow("F", (step,), retry=wfsim.Retry(limit=0))],
        settings={"Serve": {"uses": {"place": 1}}},
        pools={"place": 1},
        **more,
    )


def test_time_in_the_queue_of_a_pool_is_a_column_of_every_table():
    log = wfsim.simulate(one_place())
    assert tables.steps(log)["pool_queue"].tolist() == [0.0, 10.0, 20.0]
    assert tables.steps(log)["duration"].tolist() == [10.0, 20.0, 30.0]
    assert tables.breakdown(log)["pool_queue"].tolist() == [0.0, 10.0, 20.0]
    assert tables.breakdown(log)["steps"].tolist() == [10.0] * 3
    row = tables.critical(log).iloc[0]
    assert (row["mean"], row["pool_queue"]) == (20.0, 10.0)


def test_a_study_has_it_too():
    study = wfsim.sweep(one_place, {"count": [1, 3]}, replications=2, progress=False)
    assert study.critical()["pool_queue"].tolist() == [0.0, 10.0]
    assert study.steps["pool_queue"].tolist() == [0.0, 0.0, 30.0, 30.0]


def test_who_is_in_the_queue_at_the_end_of_the_log_has_waited_until_then():
    sim = wfsim.Simulation(one_place())
    log = sim.run(until=14.0)
    log = log[: len(log)]
    assert tables.steps(log)["pool_queue"].tolist() == [0.0, 10.0, log.records[-1].time]


def test_the_gantt_chart_draws_it_in_the_bars_and_its_digest_knows_of_it():
    one = wfsim.charts.gantt(wfsim.simulate(one_place()))
    assert "30.0 s of it in the queues of pools" in one.sentence
    labels = [each.get_text() for each in one.axes.get_legend().get_texts()]
    assert labels == ["completed", "in the queue of a pool"]
    pale = [bar for bar in one.axes.patches if bar.get_hatch() == "---"]
    assert [(bar.get_x(), bar.get_width()) for bar in pale] == [(0.0, 10.0), (0.0, 20.0)]


def test_the_queue_of_a_pool_does_not_count_towards_the_timeout_of_a_step():
    runs = tables.runs(wfsim.simulate(one_place(timeout=12.0)))
    assert runs["status"].tolist() == ["completed"] * 3
    assert runs["end"].tolist() == [10.0, 20.0, 30.0]


def test_it_counts_if_the_step_says_so():
    runs = tables.runs(wfsim.simulate(one_place(timeout=12.0, counts=True)))
    assert runs["status"].tolist() == ["completed", "interrupted", "interrupted"]
    assert runs["end"].tolist() == [10.0, 12.0, 12.0]
    assert runs["error"].tolist()[1] == many("no end after 12 s", step="Serve")


def test_after_the_queue_there_is_as_much_time_left_as_before_it():
    runs = tables.runs(wfsim.simulate(one_place(seconds=13.0, timeout=12.0)))
    # The first ends at 12, in time for the second, which has its own 12 s then.
    assert runs["end"].tolist() == [12.0, 24.0, 36.0]
    assert set(runs["error"]) == {many("no end after 12 s", step="Serve")}


def test_a_deadline_counts_in_the_queue_too():
    policy = wfsim.Policy(deadline=15.0)
    runs = tables.runs(wfsim.simulate(one_place(timeout=12.0, policy=policy)))
    assert runs["end"].tolist() == [10.0, 15.0, 15.0]
    assert runs["error"].tolist()[1] == "DEADLINE: not complete by 15 s"


def test_a_flow_file_says_that_the_queue_counts(tmp_path):
    (tmp_path / "f.yaml").write_text(
        "flowName: F\nsteps:\n"
        "- {stepName: Serve, duration: 10, timeout: 12, timeoutCountsQueue: true}\n"
    )
    (step,) = wfsim.load_flow(tmp_path / "f.yaml").steps
    assert (step.timeout, step.timeout_counts_queue) == (12, True)


@pytest.mark.parametrize("where", ["flow", "policy"])
def test_a_deadline_may_count_from_the_request(where):
    """One worker, jobs of 10 s: the third is begun 20 s after it was asked for."""
    made = one_place(policy=wfsim.Policy(workers=1, deadline=25.0))
    ends = tables.runs(wfsim.simulate(made))["end"].tolist()
    assert ends == [10.0, 20.0, 30.0]
    if where == "policy":
        policy = wfsim.Policy(workers=1, deadline=25.0, deadline_from="request")
        made = one_place(policy=policy)
    else:
        (flow,) = made.flows.values()
        late = wfsim.Flow("F", flow.steps, deadline=25.0, deadline_from="request")
        made = made.but(flows=[late])
    runs = tables.runs(wfsim.simulate(made))
    assert runs["end"].tolist() == [10.0, 20.0, 25.0]
    assert runs["error"].tolist()[2] == "DEADLINE: not complete by 25 s"


def test_a_request_is_made_when_the_resource_is_edited_not_when_it_is_there():
    """Both are edited at 100 s; the second gets the only worker at 110 s."""
    step = wfsim.Step("Serve", "Serve", duration=wfsim.Duration.parse(10))
    flow = wfsim.Flow("F", (step,), deadline=15.0, deadline_from="request")
    machine = wfsim.StateMachine("job").stable("Running", "Interrupt")
    machine.transition(
        "Running", "Changing", when=lambda job: job.spec.get("size") == 2, run="F",
        then="Interrupt",
    )  # fmt: skip
    made = wfsim.Scenario(
        [wfsim.Resource("job", name, state="Running") for name in "ab"],
        machine,
        [flow],
        triggers=[
            wfsim.demand.Trigger(wfsim.demand.Times(at=[100.0]), "each", spec={"size": 2})
        ],
        policy=wfsim.Policy(workers=1),
    )
    runs = tables.runs(wfsim.simulate(made))
    assert runs[["resource", "start", "end"]].values.tolist() == [
        ["a", 100.0, 110.0],
        ["b", 110.0, 115.0],
    ]
