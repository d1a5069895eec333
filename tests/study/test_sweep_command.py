"""`wfsim sweep`: a study from a shell, and a gate in CI."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pandas as pd
import pytest

import wfsim
from fake_resources import polardb
from wfsim.cli import main as cli
from wfsim.study.objective import Objective

ROOT = Path(__file__).parents[2]
CAPACITY = str(ROOT / "flows/scenarios/backup_capacity.yaml")
NIGHTLY = str(ROOT / "flows/backup/nightly.yaml")
WEATHER = str(ROOT / "flows/scenarios/polardb_weather.yaml")


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Return a function that runs the command and returns (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")

    def command(line):
        monkeypatch.setattr(sys, "argv", ["wfsim", *shlex.split(line)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        said = capsys.readouterr()
        return stop.value.code or 0, said.out, said.err

    return command


def test_a_scenario_file_is_swept_over_paths_into_it(run):
    line = f"sweep {CAPACITY} --over steps.CopyAway.failure=0,0.5 --replications 2"
    status, out, _ = run(f"{line} --out mine")
    assert status == 0
    assert "<Study over steps.CopyAway.failure: 2 points, 4 replications" in out
    rows = pd.read_csv("mine/replications.csv")
    assert rows["steps.CopyAway.failure"].tolist() == [0.0, 0.0, 0.5, 0.5]
    assert rows["retries"].tolist()[:2] == [0, 0]
    assert rows["retries"].iloc[2] > 0


def test_a_sweep_over_the_failures_of_one_operation(run):
    Path("rough.yaml").write_text("scenario: polardb\narguments: {replicas: 0}\n")
    path = "operations.failures.create pod"
    status, out, _ = run(f"sweep rough.yaml --over '{path}=0,0.5' --replications 5")
    assert status == 0
    assert f"<Study over {path}: 2 points, 10 replications" in out
    rows = pd.read_csv("out/replications.csv")
    assert rows[path].tolist() == [0.0] * 5 + [0.5] * 5
    assert rows["retries"].tolist()[:5] == [0] * 5
    assert sum(rows["retries"]) > 0


def test_frames_are_written_as_csv_and_parquet_and_told_on_a_page(run):
    line = "sweep polardb --over pod_failure=0,0.05 --over replicas=1 --replications 3"
    status, out, _ = run(line)
    study = wfsim.sweep(
        polardb.scenario, {"pod_failure": [0, 0.05], "replicas": [1]}, replications=3
    )
    assert status == 0
    assert str(study) in out
    assert sorted(path.name for path in Path("out").iterdir()) == [
        *("replications.csv", "replications.parquet", "runs.csv", "runs.parquet"),
        *("steps.csv", "steps.parquet", "study.html", "summary.csv", "summary.parquet"),
        *("utilisation.csv", "utilisation.parquet"),
    ]
    kept = pd.read_parquet("out/runs.parquet").astype(study.runs.dtypes)
    pd.testing.assert_frame_equal(kept, study.runs)
    page = Path("out/study.html").read_text(encoding="utf-8")
    assert study.digest in page
    assert page.lower().startswith("<!doctype html")


def test_an_objective_gets_an_answer_and_a_page(run):
    line = f"sweep {CAPACITY} --over capacities.workers=2,8 --replications 5"
    status, out, _ = run(f"{line} --objective 'total <= 7200'")
    assert status == 0
    assert "Take workers 2: it is the least that meets total <= 7200." in out
    page = Path("out/decision.html").read_text(encoding="utf-8")
    assert "What is the least that meets total &lt;= 7200?" in page
    status, _, err = run(f"{line} --objective 'totl <= 7200'")
    assert status == 2
    assert "--objective: no measure 'totl'; did you mean 'total'" in err


def test_results_by_class_are_written_where_there_are_several(run):
    Path("serve.yaml").write_text(
        "flowName: Serve\nsteps: [{stepName: Serve, duration: 5}]\n", encoding="utf-8"
    )
    Path("two.yaml").write_text(
        "flow: serve.yaml\nresources: []\narrivals:\n"
        "  - {name: 'gold-{n}', mean: 20, count: 5}\n"
        "  - {name: 'tin-{n}', mean: 20, count: 5}\n",
        encoding="utf-8",
    )
    assert run("sweep two.yaml --replications 2")[0] == 0
    rows = pd.read_csv("out/summary_by_class.csv").sort_values("class")
    assert rows[["flow", "class", "runs"]].values.tolist() == [
        ["Serve", "gold", 10],
        ["Serve", "tin", 10],
    ]


def test_no_column_of_the_printed_summary_is_cut_off(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    line = f"sweep {CAPACITY} --over steps.CopyAway.failure=0 --replications 2"
    status, out, _ = run(f"{line} --over capacities.pools.uplink=1,2")
    assert status == 0
    assert "steps.CopyAway.failure   capacities.pools.uplink   runs" in out
    assert "…" not in out
    assert "total" not in out


def test_the_wait_for_a_worker_is_printed_where_there_is_one(run):
    status, out, _ = run("sweep polardb --over clusters=30 --replications 2")
    assert status == 0
    assert re.search(r"mean +p50 +p95 +total +total_p95 +success", out)
    status, out, _ = run(
        "sweep polardb --over clusters=30 --replications 2 --fail-if 'total_p95 > 1'"
    )
    assert status == 1
    assert "Failed: clusters 30: total_p95 is " in out


def test_a_gate_that_fails_names_point_and_value_and_ends_with_one(run):
    line = "sweep polardb --over replicas=1,4 --replications 5"
    gates = "--fail-if 'p95 > 200' --fail-if 'success < 0.9'"
    status, out, _ = run(f"{line} {gates}")
    failed = [text for text in out.splitlines() if text.startswith("Failed")]
    study = wfsim.sweep(polardb.scenario, {"replicas": [1, 4]}, replications=5)
    value = round(study.summary()["p95"].iloc[1], 3)
    assert status == 1
    assert failed == [f"Failed: replicas 4: p95 is {value:.6g}, which is > 200"]
    assert run(f"{line} --fail-if 'p95 > 20000'")[0] == 0


def test_a_flow_file_is_swept_as_if_it_were_a_scenario(run):
    line = f"sweep {NIGHTLY} --over steps.Verify.duration=1,101 --replications 2"
    assert run(line)[0] == 0
    mean = pd.read_csv("out/replications.csv")["mean"]
    assert (mean[2] - mean[0], mean[3] - mean[1]) == pytest.approx((100.0, 100.0))


def test_spaces_around_what_is_varied_are_no_part_of_its_name(run):
    line = f"sweep {NIGHTLY} --over 'steps.Verify.duration = 1, 101' --replications 1"
    assert run(line)[0] == 0
    found = pd.read_csv("out/summary.csv")["steps.Verify.duration"]
    assert found.tolist() == [1, 101]


def test_a_precision_and_a_cache_are_taken_too(run):
    line = "sweep polardb --replications 40 --precision 'mean within 20 %' --cache c"
    status, first, _ = run(line)
    assert status == 0
    assert "1 point, 40 replications" not in first
    assert run(line)[1] == first
    assert list(Path("c").iterdir()) != []
    assert "Not so precise" not in first
    status, out, _ = run("sweep polardb --replications 4 --precision 'mean within 1 s'")
    assert status == 0
    assert "Not so precise yet at 1 of 1 points; give more --replications" in out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("sweep polardv", "no scenario 'polardv'; did you mean 'polardb'?"),
        ("sweep none.yaml", "none.yaml"),
        ("sweep polardb --over pod_failur=1", "did you mean 'pod_failure'?"),
        ("sweep polardb --over pod_failure", "write NAME=VALUE,VALUE,..."),
        ("sweep polardb --over a=1 --over a=2", "'a' is there twice"),
        ("sweep polardb --over 'a={'", "--over a:"),
        ("sweep polardb --over pod_failure=7", "pod_failure is 7"),
        ("sweep polardb --fail-if 'p95'", "such as 'p95 > 300'"),
        ("sweep polardb --fail-if 'p95 > x'", "such as 'p95 > 300'"),
        ("sweep polardb --fail-if 'p95 > nan'", "such as 'p95 > 300'"),
        ("sweep polardb --fail-if 'maen > 1'", "did you mean 'mean'?"),
        ("sweep polardb --precision soon", "write 'p95 within 5 %'"),
        ("sweep polardb --jobs 0", "jobs is 0"),
        ("sweep polardb --over replicas=two", "replicas is 'two'; give a whole number"),
        (f"sweep polardb --out {NIGHTLY}/x", "nightly.yaml is a file; give another"),
        (f"sweep polardb --cache {NIGHTLY}", "nightly.yaml is a file; give another"),
        (
            f"sweep {NIGHTLY} --over steps.Verify.failur=1",
            "unknown key 'failur'; did you mean 'failure'?",
        ),
        (
            f"sweep {WEATHER} --over 'operations.failures.creat pod=0,1'",
            "did you mean 'create pod'?",
        ),
        (
            f"sweep {CAPACITY} --over steps.CopyAwa.failure=1",
            "no step 'CopyAwa'; did you mean 'CopyAway'?",
        ),
    ],
)
def test_wrong_input_is_refused_before_anything_runs(run, line, said):
    status, out, err = run(f"{line} --replications 1")
    assert (status, out) == (2, "")
    assert said in err
    assert not Path("out").exists()


def test_a_gate_may_be_about_any_quantile_and_what_is_unknown_does_not_pass():
    study = wfsim.sweep(
        wfsim.Scenario.of_flow, [{"file": NIGHTLY, "failure": 1.0}], replications=2
    )
    assert Objective.parse("p99.9>=1e3") == Objective("p99.9", ">=", 1000.0)
    study.replications["success"] = 1.0
    assert Objective.parse("success <= 1").violations(study) != []
    never = wfsim.sweep(
        polardb.scenario, {"pod_failure": [1.0]}, replications=1,
        faults=[wfsim.FailStep("InitMeta", times=100)],
    )  # fmt: skip
    assert Objective.parse("mean > 1e9").violations(never) == [
        "pod_failure 1: mean is unknown, since no run completed"
    ]
