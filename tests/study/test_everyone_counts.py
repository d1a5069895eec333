"""Everyone who was called for is in every measure, whether or not a worker came."""

from __future__ import annotations

import math
from functools import partial

import pytest

import wfsim
from tests.sizes import FULL
from wfsim.errors import DefinitionError, UsageError
from wfsim.study.objective import Objective


def queue(load=0.5, horizon=4000.0, workers=2, **more):
    """An M/M/c: jobs of 10 s on average, *load* times what the workers can bear."""
    machine = wfsim.StateMachine("job").stable("Running", "Interrupt")
    machine.unstable("Creating", run="F")
    serve = wfsim.Step(
        "Serve", "Serve", duration=wfsim.Duration.parse({"exponential": 10})
    )
    times = wfsim.demand.Times(mean=10.0 / workers / load)
    arrivals = [wfsim.demand.Arrivals(wfsim.Resource("job", "job-{n}"), times)]
    return wfsim.Scenario(
        machine=machine, flows=[wfsim.Flow("F", (serve,))], arrivals=arrivals,
        policy=wfsim.Policy(workers=workers), horizon=horizon, **more,
    )  # fmt: skip


def test_success_falls_with_the_load_as_what_workers_can_bear_does():
    make = partial(queue, horizon=4000.0 if FULL else 2000.0)
    study = wfsim.sweep(make, {"load": [0.5, 2.0, 4.0, 8.0]}, replications=3)
    success = study.summary()["success"].tolist()
    # Beyond a load of 1 the workers are always busy: 1 of *load* is done.
    assert success == pytest.approx([1.0, 1 / 2, 1 / 4, 1 / 8], abs=0.04)
    assert study.summary()["total_p95"].tolist()[1:] == [math.inf] * 3
    assert study.utilisation()["share"].tolist() == pytest.approx(
        [0.5, 1.0, 1.0, 1.0], abs=0.05
    )


def test_who_is_not_begun_by_the_horizon_is_a_run_that_was_not_done():
    log = wfsim.simulate(queue(4.0, horizon=400.0, workers=1), seed=1)
    created = len(log.filter(wfsim.Kind.RESOURCE_CREATED))
    runs = wfsim.tables.runs(log)
    assert len(runs) == created == len(wfsim.tables.breakdown(log))
    waiting = runs[runs["status"] == "prepared"]
    assert len(waiting) == created - len(log.filter(wfsim.Kind.RUN_CREATED)) > 0
    assert waiting["start"].isna().all()
    parts = wfsim.tables.breakdown(log).tail(len(waiting))
    assert parts["queued"].tolist() == parts["duration"].tolist()


def test_who_goes_before_a_worker_comes_has_cancelled():
    sim = wfsim.Simulation(queue(8.0, workers=1), seed=1)
    sim.run(until=60.0)
    last = wfsim.tables.runs(sim.log)["resource"].iloc[-1]
    sim.delete(last)
    sim.run(until=61.0)
    row = wfsim.tables.runs(sim.log).set_index("resource").loc[last]
    assert (row["status"], row["run"], row["end"]) == ("cancelled", "", 60.0)


def test_who_recovers_from_an_interruption_is_not_called_for_twice():
    step = wfsim.Step("Serve", "Serve", duration=wfsim.Duration.parse(10), failure=1.0)
    flow = wfsim.Flow("F", (step,), retry=wfsim.Retry(limit=0))
    sim = wfsim.Simulation(wfsim.Scenario.of_flow(flow), seed=1)
    sim.run()
    sim.recover()
    assert len(wfsim.tables.runs(sim.log)) == 1
    sim.run()
    assert len(wfsim.tables.runs(sim.log)) == 1


def test_of_those_completed_is_a_choice_with_its_own_name():
    study = wfsim.sweep(lambda: queue(2.0), replications=3)
    assert study.rank("completed_total_p95")["completed_total_p95"].iloc[0] < 4000.0
    assert study.rank("total_p95")["total_p95"].iloc[0] == math.inf
    assert study.rank("total_p10")["total_p10"].iloc[0] < 4000.0


def test_an_ecdf_ends_where_the_share_of_done_runs_does():
    study = wfsim.sweep(lambda: queue(2.0), replications=1)
    curve = wfsim.charts.ecdf(study, value="total").frame
    assert curve["share"].iloc[-1] == study.replications["success"].iloc[0] < 0.6


def test_a_heat_map_shows_no_quantile_of_those_alone_that_were_done():
    study = wfsim.sweep(
        lambda load, workers: queue(load, workers=workers, horizon=1000.0),
        {"load": [0.5, 2.0], "workers": [1, 2]}, replications=2, progress=False,
    )  # fmt: skip
    cells = wfsim.charts.heatmap(study, "load", "workers").frame
    summary = study.summary().set_index(["load", "workers"])["total_p95"]
    for cell in cells.to_dict("records"):
        assert cell["total_p95"] == summary[cell["load"], cell["workers"]]
    assert cells["total_p95"].tolist()[1::2] == [math.inf] * 2
    done = wfsim.charts.heatmap(study, "load", "workers", "completed_total_p95").frame
    assert done["completed_total_p95"].max() < 1000.0
    inside = wfsim.charts.heatmap(study, "load", "workers", "within_60")
    assert inside.frame["within_60"].between(0.0, 1.0).all()


def test_the_share_done_within_so_long_is_a_measure_of_all_who_were_called_for():
    study = wfsim.sweep(queue, {"load": [0.5, 2.0]}, replications=10, progress=False)
    ranked = study.rank("within_1min")
    assert ranked["load"].tolist() == [0.5, 2.0]
    runs = study.runs
    inside = (runs["status"] == "completed") & (runs["total"] <= 60.0)
    shares = inside.groupby([runs["load"], runs["replication"]]).mean()
    expected = shares.groupby("load").mean().tolist()
    assert ranked["within_1min"].tolist() == pytest.approx(expected)
    assert study.compare("within_60")["at_a"].tolist() == pytest.approx(expected[:1])
    assert study.smallest("load", "within_60 >= 0.9").value == 0.5
    assert study.decision("within_60 >= 0.9").point == 0
    assert (
        Objective.parse("within_60_low < 0.9").violations(study)[0].startswith("load 2")
    )
    settled = wfsim.sweep(queue, precision="within_60 within 5 %", progress=False)
    assert settled.settled == (True,)
    with pytest.raises(UsageError, match=r"a share within_7200 or within_2h"):
        study.rank("within_2days")
    with pytest.raises(UsageError, match="'within_2h' is a column"):
        wfsim.sweep(lambda within_2h: queue(), {"within_2h": [1]})


def test_a_point_that_does_less_is_not_the_best_though_its_times_are_shorter():
    def make(failure):
        step = wfsim.Step(
            "Serve", "Serve", duration=wfsim.Duration.parse({"exponential": 10}),
            failure=failure,
        )  # fmt: skip
        flow = wfsim.Flow("F", (step, wfsim.Step("More", "More", duration=step.duration)))
        made = wfsim.Scenario.of_flow(flow)
        return made.but(policy=wfsim.Policy(retry=wfsim.Retry(limit=0)))

    ranked = wfsim.sweep(make, {"failure": [0.9, 0.0]}, replications=30).rank()
    assert ranked["failure"].tolist() == [0.0, 0.9]
    assert ranked["best"].tolist() == [1.0, 0.0]
    assert ranked["total"].iloc[0] > ranked["total"].iloc[1]
    assert ranked["success"].iloc[0] == 1.0


def test_after_the_drain_nothing_arrives_and_all_is_done():
    made = queue(1.5, horizon=100_000.0, drain=1000.0)
    study = wfsim.sweep(lambda: made, replications=2)
    assert study.replications["success"].tolist() == [1.0, 1.0]
    assert (study.runs["end"] - study.runs["total"]).max() <= 1000.0
    assert study.runs["end"].max() > 1000.0
    # Workers are busy in nearly all of the window, which ends with the arrivals.
    assert study.utilisation()["share"].iloc[0] == pytest.approx(1.0, abs=0.05)


def test_utilisation_is_over_the_whole_window_also_after_the_last_record():
    made = queue(0.01, horizon=10_000.0)
    log = wfsim.simulate(made, seed=1)
    assert log.records[-1].time < 10_000.0
    study = wfsim.sweep(lambda: made, replications=1, seed=0)
    seconds = study.runs["steps"].sum()
    assert study.loads["busy"].iloc[0] == pytest.approx(seconds / 10_000.0)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"warm_up": 4000.0}, "warm_up is 4000 s, and the horizon 4000 s; nothing"),
        ({"warm_up": 600.0, "drain": 500.0}, "and drain 500 s; nothing would count"),
        ({"drain": 5000.0}, "drain is 5000.0; give seconds before the horizon"),
    ],
)
def test_a_window_in_which_nothing_counts_is_refused(more, words):
    with pytest.raises(DefinitionError, match=words):
        queue(**more)


def erlang_c(servers, load):
    """The probability to wait in an M/M/c (Erlang 1917)."""
    offered = servers * load
    terms = [offered**n / math.factorial(n) for n in range(servers)]
    last = offered**servers / math.factorial(servers) / (1.0 - load)
    return last / (sum(terms) + last)


def test_the_time_in_system_of_a_busy_queue_lies_in_its_interval_as_often_as_it_says():
    """An M/M/2 at 0.9: W = C / (2 mu - lambda) + 1 / mu, about 52.6 s."""
    made = queue(0.9, horizon=1e6, warm_up=2000.0, drain=4000.0 if FULL else 3000.0)
    truth = erlang_c(2, 0.9) / (2 / 10 - 0.18) + 10.0
    studies, size = (100, 10) if FULL else (8, 3)
    study = wfsim.sweep(lambda: made, replications=studies * size, progress=False)
    totals = study.replications["total"].to_numpy().reshape(studies, size)
    from wfsim.study.estimates import of_mean

    found = [of_mean(row) for row in totals]
    hits = sum(each.low <= truth <= each.high for each in found)
    print(f"{hits / studies:.1%} of {studies} studies have {truth:.1f} s inside")
    # Binomial: 100 studies at 95 % give 89 or more in 99 of 100 cases, 8 give 6.
    assert hits >= (89 if studies == 100 else 6)


def pooled(width=1, jobs=5):
    """So many jobs of 10 s at once, each of which holds a place of a pool."""
    machine = wfsim.StateMachine("job").stable("Running", "Interrupt")
    machine.unstable("Creating", run="F")
    serve = wfsim.Step("Serve", "Serve", duration=wfsim.Duration.parse(10))
    return wfsim.Scenario(
        [wfsim.Resource("job", f"j{number}") for number in range(jobs)],
        machine,
        [wfsim.Flow("F", (serve,))],
        settings={"Serve": wfsim.demand.StepSettings(uses={"srv": 1})},
        pools={"srv": width},
        policy=wfsim.Policy(workers=100),
    )


def test_time_in_the_queue_of_a_pool_is_a_part_of_its_own():
    log = wfsim.simulate(pooled(), seed=1)
    parts = wfsim.tables.breakdown(log)
    assert parts["steps"].round(3).tolist() == [10.0] * 5
    assert sorted(parts["pool_queue"].round(3)) == [0.0, 10.0, 20.0, 30.0, 40.0]
    study = wfsim.sweep(pooled, {"width": [1, 5]}, replications=1)
    assert study.breakdown()["pool_queue"].tolist() == [20.0, 0.0]


def test_who_holds_a_pool_by_its_context_has_waited_for_it_too(tmp_path):
    class Wired(wfsim.World):
        def __init__(self):
            super().__init__()
            self.uplink = wfsim.Pool(1)

    @wfsim.step
    def Copy(context):
        yield from context.world.uplink.hold(context, 10.0)

    machine = wfsim.StateMachine("job").stable("Running", "Interrupt")
    machine.unstable("Creating", run="F")
    made = wfsim.Scenario(
        [wfsim.Resource("job", "a"), wfsim.Resource("job", "b")],
        machine, [wfsim.Flow("F", (wfsim.Step("Copy"),))], [Copy], world=Wired,
    )  # fmt: skip
    log = wfsim.simulate(made, seed=1)
    assert wfsim.tables.breakdown(log)["pool_queue"].tolist() == [0.0, 10.0]
    again = wfsim.EventLog.from_jsonl(log.to_jsonl(tmp_path / "log.jsonl"))
    assert wfsim.tables.breakdown(again)["pool_queue"].tolist() == [0.0, 10.0]


def test_versions_of_a_flow_with_one_key_of_draws_differ_by_their_steps_alone():
    def make(name, draws, inserted=()):
        step = wfsim.Step(
            "Serve", "Serve", duration=wfsim.Duration.parse({"exponential": 10})
        )
        flow = wfsim.Flow(name, (*inserted, step), draws=draws)
        return wfsim.Scenario.of_flow(flow)

    first = wfsim.sweep(lambda: make("One", None), replications=5)
    second = wfsim.sweep(lambda: make("Two", "One"), replications=5)
    other = wfsim.sweep(lambda: make("Two", None), replications=5)
    assert first.runs["total"].tolist() == second.runs["total"].tolist()
    assert first.runs["total"].tolist() != other.runs["total"].tolist()
    more = wfsim.Step("Check", "Check", duration=wfsim.Duration.parse(2))
    longer = wfsim.sweep(lambda: make("Two", "One", (more,)), replications=5)
    assert (longer.runs["total"] - first.runs["total"]).tolist() == pytest.approx([2] * 5)


def test_arrivals_are_drawn_by_what_arrives_and_not_by_their_place_in_a_list():
    def job(name):
        times = wfsim.demand.Times(mean=60, count=5)
        return wfsim.demand.Arrivals(wfsim.Resource("job", name), times)

    def days(made):
        log = wfsim.simulate(made, seed=3)
        created = log.filter(wfsim.Kind.RESOURCE_CREATED)
        return [each.time for each in created if each.resource.startswith("day")]

    both = queue(0.5).but(arrivals=[job("night-{n}"), job("day-{n}")])
    assert days(both) == days(both.but(arrivals=[job("day-{n}")]))
    assert days(both) == days(both.but(arrivals=[job("day-{n}"), job("night-{n}")]))


def test_what_no_step_reads_and_what_never_succeeds_is_told():
    step = wfsim.Step("Copy", "Copy", duration=wfsim.Duration.parse(1), failure=1.0)
    flow = wfsim.Flow("Nightly", (step,), retry=wfsim.Retry(limit=0))

    def make(limit):
        made = wfsim.Scenario.of_flow(flow)
        return made.but(policy=wfsim.Policy(retry=wfsim.Retry(limit=limit)))

    notices = wfsim.sweep(make, {"limit": [0, 10]}, replications=10).notices
    assert notices[0] == (
        "policy.retry is read by no step: each of Nightly has its own retry; in a "
        "scenario file retry stands for that of its flows"
    )
    assert notices[1].startswith("limit makes no difference: points that differ in it")
    assert notices[2].startswith(
        "no run of Nightly is done at any point; each ends with: MANY_RETRY: too many"
    )
    assert len(notices) == 3


def test_a_gate_on_the_end_of_an_interval_is_about_what_may_be_so():
    study = wfsim.sweep(lambda: queue(0.9, horizon=2000.0), replications=5)
    row = study.summary().iloc[0]
    limit = (row["total"] + row["total_high"]) / 2
    assert not Objective.parse(f"total > {limit}").violations(study)
    (sentence,) = Objective.parse(f"total_high > {limit}").violations(study)
    assert sentence.startswith("the only point: total_high is ")
    (never,) = Objective.parse("p99.9 > 1e9").violations(study)
    assert "p99.9 is infinite, since too few runs were done to say" in never
