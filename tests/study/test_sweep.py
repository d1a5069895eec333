"""Sweeps: the same scenario at many points, and what comes of it."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
from functools import partial

import joblib
import pandas as pd
import pytest

import wfsim
from fake_resources import polardb, tiem
from tests.sizes import FULL
from wfsim.errors import UsageError
from wfsim.study.replication import seed_of

STEPS = ("Prepare", "Copy", "Check", "Publish")


def body(name, mean, failure):
    def step(context):
        yield from context.sleep(-mean * math.log1p(-context.draw("duration")))
        if context.draw("failure") < failure:
            raise wfsim.errors.StepFailed("by chance")

    step.__name__ = name
    return step


def scenario(pace=10.0, failure=0.1, flows=1, workers=4, retry=None, steps=STEPS):
    """Flows of some steps, each of which may fail and is tried again, on few workers."""
    flow = wfsim.Flow(
        "F", tuple(map(wfsim.Step, steps)), retry=retry or wfsim.Retry(limit=3, delay=5)
    )
    return wfsim.Scenario(
        [wfsim.Resource("w", f"r{number:02}") for number in range(flows)],
        wfsim.StateMachine("w")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="F"),
        [flow],
        [body(name, pace, failure) for name in steps],
        policy=wfsim.Policy(workers=workers),
    )


def texts(study):
    """The frames as CSV, and their dtypes: what two equal studies have in common."""
    frames = (study.points, study.runs, study.replications, study.steps, study.loads)
    return [(frame.to_csv(), frame.dtypes.astype(str).tolist()) for frame in frames]


def test_a_grid_is_every_combination_and_the_last_name_varies_fastest():
    study = wfsim.sweep(
        scenario, over={"pace": [1.0, 2.0], "flows": [1, 2]}, replications=2
    )
    assert study.points.to_dict("records") == [
        {"pace": 1.0, "flows": 1},
        {"pace": 1.0, "flows": 2},
        {"pace": 2.0, "flows": 1},
        {"pace": 2.0, "flows": 2},
    ]
    assert study.over == ("pace", "flows")
    rows = study.replications[["pace", "flows", "replication", "runs"]]
    assert rows.values.tolist() == [
        [1.0, 1, 0, 1], [1.0, 1, 1, 1], [1.0, 2, 0, 2], [1.0, 2, 1, 2],
        [2.0, 1, 0, 1], [2.0, 1, 1, 1], [2.0, 2, 0, 2], [2.0, 2, 1, 2],
    ]  # fmt: skip


def test_a_replication_is_what_simulate_does_with_its_seed():
    study = wfsim.sweep(scenario, over={"flows": [3]}, replications=2, seed=7)
    second = study.replications.iloc[1]
    assert second["seed"] == seed_of(7, 1)
    log = wfsim.simulate(scenario(flows=3), seed=int(second["seed"]))
    runs = study.runs[study.runs["replication"] == 1].reset_index(drop=True)
    alone = wfsim.tables.runs(log)
    for name in ("run", "flow", "resource", "status", "start", "end", "duration"):
        assert runs[name].tolist() == alone[name].tolist()
    parts = wfsim.tables.breakdown(log)
    assert runs["retries_seconds"].tolist() == parts["retries"].tolist()
    assert runs["total"].tolist() == parts["duration"].tolist()
    summary = wfsim.tables.summary(log).iloc[0]
    for name in ("runs", "success", "mean", "p50", "p95", "retries", "restarts"):
        assert second[name] == pytest.approx(summary[name], rel=1e-12)
    assert second["makespan"] == alone["end"].max()


def test_every_point_has_the_same_seeds_unless_they_are_to_be_independent():
    over = {"pace": [1.0, 2.0]}
    common = wfsim.sweep(scenario, over, replications=3).replications
    apart = wfsim.sweep(scenario, over, replications=3, independent=True).replications
    assert common["seed"].tolist() == [seed_of(0, r) for r in range(3)] * 2
    assert apart["seed"].nunique() == 6


def test_doubled_durations_under_the_same_draws_double_every_run():
    study = wfsim.sweep(
        partial(scenario, failure=0.0), {"pace": [1.0, 2.0]}, replications=5
    )
    one, two = (study.runs[study.runs["pace"] == pace] for pace in (1.0, 2.0))
    doubled = (2 * one["duration"]).tolist()
    assert two["duration"].tolist() == pytest.approx(doubled)


def test_a_list_of_points_and_named_values_are_points_too():
    slow = wfsim.Retry(limit=3, delay=60)
    fast = wfsim.Retry(limit=3, delay=1)
    named = wfsim.sweep(scenario, {"retry": {"slow": slow, "fast": fast}}, replications=1)
    assert named.points["retry"].tolist() == ["slow", "fast"]
    points = [{"pace": 1.0, "retry": slow}, {"pace": 2.0, "retry": fast}]
    listed = wfsim.sweep(scenario, points, replications=1)
    assert listed.points["retry"].tolist() == [repr(slow), repr(fast)]


def test_without_anything_to_vary_there_is_one_point():
    study = wfsim.sweep(scenario, replications=2)
    assert (study.over, len(study.points), len(study.replications)) == ((), 1, 2)
    assert len(study.summary()) == 1


def test_faults_happen_in_each_replication():
    crash = wfsim.CrashAt(t=5, restart_after=10)
    study = wfsim.sweep(scenario, replications=3, faults=[crash])
    assert (study.replications["restarts"] == 1).all()


def test_a_measure_of_ones_own_is_a_column():
    study = wfsim.sweep(
        scenario,
        replications=2,
        measure={"records": len, "times": lambda log: {"last": log.records[-1].time}},
    )
    assert study.replications["last"].tolist() == study.replications["makespan"].tolist()
    assert str(study.replications["records"].dtype) == "float64"
    assert {"records", "records_low", "last_high"} <= {*study.summary().columns}


@pytest.mark.parametrize("first", [{}, {"x": 1.0}, {"x": 1.0, "y": 2.0}])
def test_a_measure_says_the_same_things_of_each_replication(first):
    told = iter([first, {"y": 2.0}, {"y": 2.0}])
    with pytest.raises(UsageError, match=r"'[xy]' is not there in each replication"):
        wfsim.sweep(scenario, replications=3, measure=lambda log: next(told))


def test_runs_that_the_horizon_cuts_off_are_counted_as_unfinished():
    def make():
        flow = wfsim.Flow("F", (wfsim.Step("Only", duration=wfsim.Duration.parse(30)),))
        arrivals = wfsim.demand.Arrivals(
            wfsim.Resource("resource", "r-{n}"), wfsim.demand.Times(every=10.0, start=0.0)
        )
        return wfsim.Scenario.of_flow(flow).but(
            resources=(), arrivals=[arrivals], horizon=100.0
        )

    study = wfsim.sweep(make, replications=2, progress=False)
    row = study.summary().iloc[0]
    cut = study.runs["status"].eq("running").sum()
    assert (row["unfinished"], row["runs"], cut) == (6, 22, 6)
    assert row["success"] == 8 / 11


def test_the_frames_have_the_columns_and_dtypes_that_are_written_down():
    study = wfsim.sweep(
        scenario, {"pace": [1, 2.5], "retry": {"x": None}}, replications=1
    )
    dtypes = dict(zip(study.runs.columns, map(str, study.runs.dtypes), strict=True))
    assert dtypes == {
        "pace": "float64", "retry": "str", "replication": "int64", "resource": "str",
        "run": "str", "flow": "str", "class": "str", "status": "str", "error": "str",
        "called": "float64", "start": "float64", "end": "float64",
        "duration": "float64", "retries": "int64", "restarts": "int64",
        "queued": "float64", "pool_queue": "float64", "steps": "float64",
        "retries_seconds": "float64", "recovery": "float64", "waiting": "float64",
        "other": "float64", "total": "float64",
    }  # fmt: skip
    assert list(study.replications.columns) == [
        *("pace", "retry", "replication", "seed", "runs", "unfinished", "success"),
        *("mean", "p50", "p95", "total", "makespan", "retries", "restarts"),
    ]


def test_a_study_says_what_it_is_and_the_same_one_says_the_same():
    one, two = (wfsim.sweep(scenario, {"flows": [1, 2]}, replications=2) for _ in "ab")
    assert repr(one) == repr(two)
    assert repr(one).startswith("<Study over flows: 2 points, 4 replications, 6 runs [")
    assert one._repr_html_() == two._repr_html_()


def cell():
    """What a notebook defines: functions that no process could import."""
    names = {"wfsim": wfsim}
    exec(
        "def make(delay):\n"
        "    def Only(context):\n"
        "        yield from context.sleep(delay * context.draw('d'))\n"
        "    machine = wfsim.StateMachine('w').stable('Running', 'Interrupt')\n"
        "    machine.unstable('Creating', run='F')\n"
        "    flow = wfsim.Flow('F', (wfsim.Step('Only'),))\n"
        "    resources = [wfsim.Resource('w', 'r')]\n"
        "    return wfsim.Scenario(resources, machine, [flow], [Only])\n",
        names,
    )
    return names["make"]


def test_processes_give_byte_equal_frames_also_for_functions_of_a_cell():
    over = {"delay": [1.0, 2.0, 3.0]}
    serial, parallel = (
        wfsim.sweep(cell(), over, replications=40, jobs=jobs) for jobs in (1, 2)
    )
    assert texts(serial) == texts(parallel)


def test_what_joblib_is_configured_for_does_the_work():
    over = {"replicas": [1, 2]}
    serial = wfsim.sweep(polardb.scenario, over, replications=6)
    with joblib.parallel_config(backend="threading", n_jobs=2):
        configured = wfsim.sweep(polardb.scenario, over, replications=6, jobs=None)
    assert texts(serial) == texts(configured)


def test_a_sweep_that_nobody_draws_loads_no_library_of_pictures():
    probe = (
        "import sys, wfsim; from fake_resources import polardb;"
        "print(wfsim.sweep(polardb.scenario, replications=2).breakdown().size);"
        "print([it for it in ('matplotlib', 'scipy', 'joblib') if it in sys.modules])"
    )
    command = [sys.executable, "-c", probe]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout.splitlines() == ["9", "[]"]


def test_a_backend_that_hands_over_nothing_before_the_end_gives_the_same_study():
    with joblib.parallel_config(backend="multiprocessing"):
        parallel = wfsim.sweep(polardb.scenario, replications=20, jobs=2)
    assert parallel.digest == wfsim.sweep(polardb.scenario, replications=20).digest


def test_what_a_worker_that_dies_was_about_is_done_again(tmp_path):
    here, marker = os.getpid(), tmp_path / "died"

    def deadly(log):
        if os.getpid() != here and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 1.0

    over = {"replicas": [1, 2]}
    parallel, serial = (
        wfsim.sweep(
            polardb.scenario, over, replications=20, measure={"x": deadly}, jobs=jobs
        )
        for jobs in (2, 1)
    )
    assert marker.exists()
    assert texts(parallel) == texts(serial)


def test_a_point_at_which_workers_go_on_dying_is_named():
    here = os.getpid()

    def deadly(log):
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return 1.0

    with pytest.raises(wfsim.WfsimError, match=r"died 3 times.* of point 0"):
        wfsim.sweep(polardb.scenario, replications=9, measure={"x": deadly}, jobs=2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"make": 3}, "make is 3; give a function that returns a Scenario"),
        ({"make": lambda: 3}, r"make\(\{\}\) is 3; return a wfsim.Scenario"),
        ({"over": {"pca": [1]}}, "scenario has no parameter 'pca'; did you mean 'pace'"),
        ({"over": {"pace": 3}}, "pace is 3; give a list of values"),
        ({"over": {"pace": "ab"}}, "pace is 'ab'; give a list of values"),
        ({"over": {"pace": []}}, "pace has no value"),
        ({"over": {"pace": [1, 1]}}, r"the point \(pace 1\) is there twice"),
        ({"over": {"pace": [math.nan]}}, "pace is NaN"),
        ({"over": {"pace": [lambda: 1]}}, "<lambda> of pace has no lasting name"),
        ({"over": [{"pace": 1}, {"flows": 1}]}, "point 1 has the names"),
        ({"over": []}, "over has no point"),
        ({"over": {"steps": [("A",)]}}, "'steps' is a column that frames"),
        ({"over": dict.fromkeys("abc", range(50))}, "over has 125,000 combinations"),
        ({"over": {"pace": [1], "server": [2]}}, "'server' is a column that frames"),
        ({"over": {"pace": [1], "best": [2]}}, "'best' is a column that frames"),
        ({"over": {"pace": [1], "p99": [2]}}, "'p99' is a column that frames"),
        ({"over": {"pace": [1], "mean_low": [2]}}, "'mean_low' is a column that frames"),
        ({"replications": 10**9}, "is 1,000,000,000; give at most 1,000,000"),
        ({"replications": 0}, "replications is 0; give a whole number from 1 on"),
        ({"seed": 1.5}, "seed is 1.5; give a whole number"),
        ({"jobs": 0}, "jobs is 0"),
        ({"faults": ["crash"]}, "'crash' is not a fault"),
        ({"measure": 3}, "measure is 3; give a function of a log"),
        ({"measure": {"mean": len}}, "there is a column 'mean' already"),
        ({"measure": {"p99": lambda log: 1}}, "'p99', or an end of its interval, is"),
        ({"measure": {"mean_low": lambda log: 1}}, "'mean_low', or an end of its"),
        (
            {"over": {"pace": [1]}, "measure": {"pace": lambda log: 1}},
            "'pace', or an end",
        ),
        ({"measure": lambda log: {"x": 1, "x_low": 1}}, "'x', or an end of its interval"),
        ({"measure": {"x": str}}, "'x' is '<EventLog"),
        ({"precision": "soon"}, "write 'p95 within 5 %'"),
        ({"precision": "p9x within 5 %"}, "no measure 'p9x'"),
        ({"precision": "is 1 better than 9"}, "'1' names no point"),
        ({"key": "mine"}, "give cache='folder' too"),
    ],
)
def test_wrong_arguments_are_refused_with_what_to_give_instead(arguments, said):
    with pytest.raises(UsageError, match=said):
        wfsim.sweep(**{"make": scenario, "replications": 2, **arguments})


def test_a_service_is_swept_by_the_flows_that_it_is_asked_for():
    def make(operation_failure):
        once = wfsim.demand.Times(at=(0,))
        asked = wfsim.demand.Arrivals(
            wfsim.demand.FlowRequest("CreateCluster", "cluster-9"), once
        )
        return tiem.scenario(operation_failure=operation_failure).but(arrivals=[asked])

    over = {"operation_failure": [0.0, 1.0]}
    whole = wfsim.sweep(make, over, replications=2)
    assert whole.runs["flow"].unique().tolist()[:2] == [
        "CreateCluster",
        "ModifyParameters",
    ]
    study = wfsim.sweep(make, over, replications=2, flow="CreateCluster")
    assert study.runs["flow"].unique().tolist() == ["CreateCluster"]
    assert study.replications["success"].tolist() == [1.0, 1.0, 0.0, 0.0]
    with pytest.raises(UsageError, match="no flow 'CreatCluster'; did you mean"):
        wfsim.sweep(make, over, flow="CreatCluster")
    with pytest.raises(UsageError, match=r"nobody asks the service .* give it some"):
        wfsim.sweep(tiem.scenario, replications=2)


def test_a_point_at_which_there_is_no_scenario_is_named_before_anything_runs():
    ran = []
    with pytest.raises(wfsim.DefinitionError) as caught:
        wfsim.sweep(
            polardb.scenario, {"pod_failure": [0.0, 1.5]}, measure={"n": ran.append}
        )
    assert "pod_failure is 1.5" in str(caught.value)
    assert caught.value.__notes__ == ["at the point (pod_failure 1.5)"]
    assert ran == []


def test_an_error_in_a_replication_says_how_to_have_it_again():
    def broken(log):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        wfsim.sweep(scenario, replications=1, measure=broken)
    assert f"seed={seed_of(0, 0)}" in caught.value.__notes__[0]


def test_a_study_that_takes_seconds_shows_how_far_it_is_unless_told_not_to(capsys):
    def slow(log):
        threading.Event().wait(0.8)
        return 1.0

    wfsim.sweep(scenario, replications=1, measure=slow, progress=True)
    assert capsys.readouterr().err == ""
    wfsim.sweep(scenario, replications=3, measure=slow, progress=True)
    assert "3/3" in capsys.readouterr().err
    wfsim.sweep(scenario, replications=3, measure=slow, progress=False)
    assert capsys.readouterr().err == ""


def test_ctrl_c_keeps_what_is_complete_and_the_cache_goes_on_from_there(tmp_path):
    calls = []

    def impatient(log):
        calls.append(log)
        if len(calls) == 500:
            raise KeyboardInterrupt
        return 1.0

    over = {"pace": [1.0, 2.0]}
    arguments = {"replications": 300, "measure": {"x": impatient}, "key": "k"}
    cut = wfsim.sweep(scenario, over, cache=tmp_path, **arguments)
    kept = len(cut.replications)
    assert cut.interrupted
    assert "interrupted" in repr(cut)
    assert 0 < kept < 500
    calls.clear()
    calls.extend([None] * 1000)
    whole = wfsim.sweep(scenario, over, cache=tmp_path, **arguments)
    assert len(calls) - 1000 == 600 - kept
    assert not whole.interrupted
    assert texts(whole) == texts(
        wfsim.sweep(scenario, over, replications=300, measure={"x": lambda log: 1.0})
    )


@pytest.mark.parametrize(
    ("library", "call"),
    [
        ("joblib", lambda: wfsim.sweep(scenario, replications=2, jobs=2)),
        ("pyarrow", lambda: wfsim.sweep(scenario, replications=2, cache="never made")),
        ("scipy", lambda: wfsim.sweep(scenario, replications=2).summary()),
        ("scipy", lambda: wfsim.design.latin({"x": (0, 1)}, 2)),
        ("SALib.sample", lambda: wfsim.design.saltelli({"x": (0, 1)}, 2)),
    ],
)
def test_a_library_that_is_missing_is_named_with_its_extra(monkeypatch, library, call):
    for name in [name for name in sys.modules if name.startswith(library)]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError, match=r"the extra: pip install 'wfsim-lab\[study\]'"):
        call()


def test_without_intervals_a_study_still_shows_itself(monkeypatch):
    study = wfsim.sweep(scenario, replications=2)
    for name in [name for name in sys.modules if name.startswith("scipy")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "scipy", None)
    assert study._repr_html_().startswith("<p>&lt;Study: 1 point, 2 replications")


def test_ctrl_c_before_anything_is_complete_is_ctrl_c():
    def impatient(log):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wfsim.sweep(scenario, replications=2, measure=impatient)


@pytest.fixture(scope="module")
def policies():
    """Replications of two policies of retry, by whether their draws are independent."""
    over = {
        "steady": wfsim.Retry(limit=10, delay=10),
        "growing": wfsim.Retry(limit=10, delay=2, factor=2, cap=60),
    }
    make = partial(scenario, flows=30, workers=4)
    count = 150 if FULL else 60
    return {
        independent: wfsim.sweep(
            make, {"retry": over}, replications=count, independent=independent
        ).replications
        for independent in (False, True)
    }


@pytest.mark.parametrize("measure", ["mean", "makespan"])
def test_common_draws_need_fifty_times_fewer_replications_to_compare_policies(
    policies, measure
):
    spread = {}
    for independent, rows in policies.items():
        wide = rows.pivot(index="replication", columns="retry", values=measure)
        spread[independent] = (wide["growing"] - wide["steady"]).var()
    ratio = spread[True] / spread[False]
    print(f"{measure}: {ratio:.0f} times fewer replications")
    assert ratio >= 50


def test_a_run_that_was_called_for_in_the_warm_up_does_not_count():
    def make(warm_up):
        made = scenario(failure=0.0, workers=4)
        times = wfsim.demand.Times(every=10, count=20)
        job = wfsim.Resource("w", "job-{n}")
        return made.but(
            resources=(), arrivals=[wfsim.demand.Arrivals(job, times)], warm_up=warm_up
        )

    study = wfsim.sweep(make, {"warm_up": [0.0, 100.0]}, replications=1)
    assert study.replications["runs"].tolist() == [20, 10]
    late = study.runs[study.runs["warm_up"] == 100.0]
    assert late["resource"].iloc[0] == "job-10"


def test_some_points_of_a_study_are_a_study():
    over = {"flows": [1, 2], "retry": {"none": wfsim.Retry(limit=0), "usual": None}}
    study = wfsim.sweep(scenario, over, replications=4, precision="mean within 1 %")
    part = study.where(flows=2)
    alone = wfsim.sweep(scenario, {**over, "flows": [2]}, replications=4)
    assert texts(part) == texts(alone)
    assert part.settled == study.settled[2:]
    assert part.summary().to_csv() == alone.summary().to_csv()
    with pytest.raises(
        UsageError, match=r"no point has .*; flows is never 3; known: 1, 2"
    ):
        study.where(flows=3)


def test_frames_of_a_study_feed_the_charts():
    study = wfsim.sweep(
        scenario, {"failure": [0.0, 0.3], "flows": [1, 2]}, replications=4
    )
    assert "failure 0.3" in repr(wfsim.charts.ecdf(study, by="failure"))
    assert "4 cells" in repr(wfsim.charts.heatmap(study, "failure", "flows"))
    assert isinstance(wfsim.charts.breakdown(study).frame, pd.DataFrame)
