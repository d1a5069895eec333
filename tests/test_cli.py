"""The command line: what a newcomer types first, and every way to type it wrong."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

import wfsim
from fake_resources import polardb
from wfsim.cli import main as cli
from wfsim.cli.outcome import ENDINGS
from wfsim.report.export import FORMATS

ROOT = Path(__file__).parent.parent
CAPACITY = str(ROOT / "flows/scenarios/backup_capacity.yaml")
NIGHTLY = str(ROOT / "flows/backup/nightly.yaml")


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Return a function that runs the command and returns (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def command(*words):
        monkeypatch.setattr(sys, "argv", ["wfsim", *words])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        said = capsys.readouterr()
        return stop.value.code or 0, said.out, said.err

    return command


def test_the_main_job_prints_states_steps_and_outcome_and_writes_log_and_report(run):
    job = "run polardb --replicas 2 --crash-at 40 --restart-after 10 --seed 1"
    status, out, err = run(*shlex.split(job))
    assert (status, err) == (0, "")
    assert "Creating   Running" in out
    assert "CreateRwPod                  1     5.829     34.171   crashed" in out
    assert "CreateRwPod                  2    50.000     24.000   completed" in out
    assert "completed after 147.769 s with 1 restart. mpd-0 is Running." in out
    log = wfsim.EventLog.from_jsonl("out/log.jsonl")
    assert log.fold().resources["mpd-0"].state == "Running"
    page = Path("out/report.html").read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html")
    assert "CreateRoPods" in page


def test_a_flow_file_runs_without_code_and_says_what_its_steps_take(run):
    status, out, err = run("run", NIGHTLY, "--crash-at", "40", "--seed", "1")
    assert (status, err) == (0, "")
    said = "Step TakeSnapshot has no code: it takes 30 s and fails with probability 0."
    assert said in out
    assert "CopyAway             1   30.000     10.000   crashed" in out
    assert "resource-0 is Running." in out


def test_a_folder_of_flow_files_is_a_service_that_is_asked_for_one(run):
    words = [str(ROOT / "flows/tiem/cluster"), "--duration", "2"]
    status, out, err = run("run", *words, "--flow", "RestartCluster")
    assert (status, err) == (0, "")
    assert "Step restartCluster has no code: it takes 2 s (assumed)" in out
    assert "1-RestartCluster is Finished." in out
    assert "Step backup has no code" not in out  # of flows that did not run
    status, out, err = run("run", *words)
    assert (status, out) == (2, "")
    assert "is a service, which does what it is asked for: give --flow, one of" in err


def test_a_flow_file_without_durations_takes_those_of_the_command_line(run, tmp_path):
    flow = tmp_path / "mine.yaml"
    flow.write_text("flowName: Mine\nsteps: [{stepName: A}, {stepName: B}]\n")
    _, out, _ = run("run", str(flow), "--duration", "{uniform: [20, 20]}")
    assert "Step A has no code: it takes uniform(20, 20) (assumed) and fails with" in out
    assert "completed after 40 s" in out
    _, out, _ = run("run", str(flow))
    assert "Step A has no code: it takes 1 s (assumed) and fails with" in out
    _, out, _ = run("run", str(flow), "--failure", "1")
    assert "resource-0 is Interrupt" in out


def test_faults_of_the_command_line_and_of_a_file_happen(run, tmp_path):
    plan = tmp_path / "plan.yaml"
    plan.write_text("- DelayStep: {step: Verify, by: 100}\n")
    _, out, _ = run("run", NIGHTLY, "--fail", "TakeSnapshot:2", "--faults", str(plan))
    assert "FailStep(step='TakeSnapshot', times=2)" in out
    assert "DelayStep(step='Verify', by=100)" in out
    assert "never fired" not in out


def test_a_cancelled_run_ends_interrupted_and_expect_says_so(run):
    status, out, _ = run("run", NIGHTLY, "--cancel-at", "12", "--expect", "Running")
    assert status == 1
    assert "Expected Running; resource-0 is Interrupt\n" in out


def test_the_schema_that_is_printed_is_the_one_for_editors(run):
    status, out, _ = run("schema")
    assert status == 0
    assert json.loads(out) == json.loads((ROOT / "flows/flow.schema.json").read_text())


def test_check_loads_a_folder_and_names_each_flow(run):
    status, out, _ = run("check", str(ROOT / "flows/polardb/shared"))
    assert status == 0
    assert "CreateSharedStorageCluster, 7 steps" in out


def test_the_schema_of_scenarios_is_printed_too(run):
    status, out, _ = run("schema", "--of", "scenario")
    assert status == 0
    committed = (ROOT / "flows/scenario.schema.json").read_text()
    assert json.loads(out) == json.loads(committed)


def test_a_scenario_file_runs_with_its_own_seed_or_another(run):
    status, out, err = run("run", CAPACITY)
    assert (status, err) == (0, "")
    assert "40 runs: 40 completed." in out
    seeds = [wfsim.EventLog.from_jsonl("out/log.jsonl").meta["seed"]]
    run("run", CAPACITY, "--seed", "5", "--fail", "Verify")
    log = wfsim.EventLog.from_jsonl("out/log.jsonl")
    assert [*seeds, log.meta["seed"]] == [1, 5]
    assert len(log.filter(wfsim.Kind.FAULT_FIRED)) == 1


def test_check_knows_scenarios_plans_and_flows_apart(run, tmp_path):
    status, out, _ = run("check", CAPACITY)
    assert (status, out.strip()) == (
        0,
        f"{CAPACITY}: Nightly backups over few uplinks, 1 flow, 0 resources",
    )
    plan = tmp_path / "plan.yaml"
    plan.write_text("- CrashAt: {t: 3}\n")
    assert run("check", "plan.yaml")[1] == "plan.yaml: a plan of 1 fault\n"
    _, out, _ = run("check", str(ROOT / "flows/scenarios"))
    assert [Path(line.partition(":")[0]).name for line in out.splitlines()] == [
        "backup_capacity.yaml",
        "polardb_weather.yaml",
    ]


def test_check_of_a_folder_of_folders_checks_them_all(run):
    status, out, err = run("check", str(ROOT / "flows"))
    assert (status, err) == (0, "")
    files = {Path(line.partition(":")[0]) for line in out.splitlines()}
    there = {*(ROOT / "flows").rglob("*.yaml")}
    assert files == {path for path in there if "_step_group" not in path.name}


def test_check_takes_a_flow_and_its_scenario_side_by_side(run, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    flow, scenario = folder / "copy.yaml", folder / "scenario.yaml"
    flow.write_text("flowName: Copy\nsteps: [{className: x.A, stepName: A}]\n")
    scenario.write_text("flow: copy.yaml\n")
    whole = run("check", "mine")
    assert whole == run("check", "mine/copy.yaml", "mine/scenario.yaml")
    assert whole[0] == 0
    assert [line.partition(",")[0] for line in whole[1].splitlines()] == [
        "mine/copy.yaml: Copy",
        "mine/scenario.yaml: Copy",
    ]
    flow.write_text("flowName: Copy\nsteps: 3\n")
    status, _, err = run("check", "mine/copy.yaml", "nowhere.yaml")
    assert status == 2
    assert [line.split(":")[1] for line in err.splitlines()] == [
        " mine/copy.yaml",
        " nowhere.yaml",
    ]


def test_check_says_what_is_wrong_with_every_file_of_a_folder(run, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a.yaml").write_text("scenario: polardb\nhorizont: 3\n")
    (folder / "b.yaml").write_text("- CrashAt: {t: -1}\n")
    status, out, err = run("check", "mine")
    assert (status, out) == (2, "")
    assert err.splitlines() == [
        "wfsim: mine/a.yaml:2: unknown key 'horizont'; did you mean 'horizon'?",
        "wfsim: mine/b.yaml:1: 't' must be greater than or equal to 0, got -1",
    ]


CIRCLE = {
    "a.yaml": "flowName: A\nsteps:\n- {stepName: s, childFlow: B}\n",
    "b.yaml": "flowName: B\nsteps:\n- {stepName: t, childFlow: C}\n",
    "c.yaml": "flowName: C\nsteps:\n- {stepName: u, childFlow: A}\n"
    "- {stepName: v, childFlow: Bee}\n",
}


@pytest.mark.parametrize("more", [{}, {"plan.yaml": "- CrashAt: {t: 3}\n"}])
def test_check_refuses_flows_that_wait_in_a_circle_and_those_not_there(
    run, tmp_path, more
):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, text in {**CIRCLE, **more}.items():
        (folder / name).write_text(text)
    status, out, err = run("check", "mine")
    assert (status, out) == (2, "")
    turn = "in turn; add 'wait: false'"
    assert err.splitlines() == [
        f"wfsim: mine/a.yaml:3: step 's' of flow 'A' starts 'B', which waits for 'A' "
        f"{turn}",
        f"wfsim: mine/b.yaml:3: step 't' of flow 'B' starts 'C', which waits for 'B' "
        f"{turn}",
        f"wfsim: mine/c.yaml:3: step 'u' of flow 'C' starts 'A', which waits for 'C' "
        f"{turn}",
        "wfsim: mine/c.yaml:4: step 'v' of flow 'C' starts 'Bee', which is not there; "
        "did you mean 'B'?",
    ]


def test_check_of_one_flow_looks_for_what_it_starts_beside_it(run, tmp_path):
    for name, text in CIRCLE.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "c.yaml").write_text("flowName: C\nsteps: [{stepName: u, duration: 1}]\n")
    assert run("check", "a.yaml")[0] == 0
    (tmp_path / "c.yaml").write_text(CIRCLE["c.yaml"])
    status, _, err = run("check", "a.yaml")
    assert (status, err.count("\n")) == (2, 1)
    assert err.startswith("wfsim: a.yaml:3: step 's' of flow 'A' starts 'B', which waits")
    (tmp_path / "b.yaml").unlink()
    assert "starts 'B', which is not there; known: 'A', 'C'" in run("check", "a.yaml")[2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "polardbb"], "wfsim: no scenario 'polardbb'; did you mean 'polardb'?"),
        (["run", "mine.yaml"], "wfsim: mine.yaml: there is no such file or folder\n"),
        (["run", str(ROOT)], f"wfsim: {ROOT}:1: holds no flow; "),
        (["run", "polardb", "--duration", "3"], "wfsim: --duration: only a flow file"),
        (["run", NIGHTLY, "--replicas", "3"], "wfsim: --replicas: "),
        (["run", NIGHTLY, "--duration", "soon"], "--duration: a duration is a number"),
        (["run", NIGHTLY, "--failure", "2"], "wfsim: failure is 2.0; give a probability"),
        (["run", NIGHTLY, "--crash-at", "-1"], "wfsim: CrashAt: t is -1.0"),
        (["run", NIGHTLY, "--crash-at", "nan"], "wfsim: CrashAt: t is nan"),
        (["run", NIGHTLY, "--until", "-3"], "wfsim: --until: -3 is not a second"),
        (["run", NIGHTLY, "--fail", "Verify:x"], "wfsim: --fail: 'Verify:x' is not NAME"),
        (["run", NIGHTLY, "--fail", "Verfy"], "did you mean 'Verify'?"),
        (
            ["run", NIGHTLY, "--faults", "none.yaml"],
            "wfsim: none.yaml: there is no such file",
        ),
        (
            ["check", "nowhere"],
            "wfsim: no scenario 'nowhere'; known: 'polardb', 'tiem' (",
        ),
        (["check", "no/where"], "wfsim: no/where: there is no such file or folder\n"),
        (["run", CAPACITY, "--replicas", "3"], "wfsim: --replicas: write it into"),
        (["run", CAPACITY, "--failure", "1"], "wfsim: --failure: write it into"),
        (["run", CAPACITY, "--fail", "Verfy"], "did you mean 'Verify'?"),
    ],
)
def test_wrong_input_is_told_in_a_line_and_nothing_is_written(run, words, said):
    status, out, err = run(*words)
    assert (status, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert not Path("out").exists()


def test_a_history_is_calibrated_into_a_flow_that_runs(run):
    history = str(ROOT / "notebooks/shared_workflow.txt")
    flow = str(ROOT / "flows/polardb/shared/create_shared_storage_cluster.yaml")
    words = ("--resumed", "left out", "--flow", flow, "--out", "mine.yaml")
    status, out, err = run("calibrate", history, *words)
    assert (status, err) == (0, "")
    assert out.splitlines()[0] == (
        "<PastRuns: 309 attempts of 7 steps in 40 runs: 1 cancelled, 276 completed, "
        "26 crashed, 6 failed>"
    )
    assert (
        "CreateRwPod           7.0%     lognormal(3.9302, 0.26224)         78.4 s" in out
    )
    assert out.endswith("Written: mine.yaml\n")
    assert run("run", "mine.yaml", "--expect", "Running")[0] == 0
    status, out, _ = run(
        "calibrate", history, "--candidate", "gamma", "--failed", "observed"
    )
    assert (status, "CreateRwPod           7.0%     gamma(" in out) == (0, True)
    for words, said in (
        (("--candidate", "gama"), "candidates: unknown 'gama'; did you mean 'gamma'?"),
        (("--failed", "no"), "failed: unknown 'no'; known: 'censored', 'left out', "),
        (("--confidence", "95"), "confidence is 95.0; give a number between 0 and 1"),
    ):
        status, out, err = run("calibrate", history, *words)
        assert (status, out) == (2, "")
        assert said in err


def test_a_csv_is_calibrated_with_its_columns(run):
    Path("jobs.csv").write_text("id,what,from,to\n1,A,0,4\n2,A,1,5\n3,A,x,5\n")
    columns = ("case=id", "step=what", "start=from", "end=to")
    flags = [word for column in columns for word in ("--column", column)]
    status, out, err = run("calibrate", "jobs.csv", *flags)
    assert status == 0
    assert out.splitlines()[2].split() == ["A", "0.0%", "4", "s", "4.0", "s", "0.000"]
    assert err.startswith("wfsim: jobs.csv:4: 'x' is neither seconds nor a date such as")
    Path("excel.csv").write_text("id;what;from;to\n1;A;01/02/24 10:00;01/02/24 10:30\n")
    written = ("--delimiter", ";", "--date-format", "%d/%m/%y %H:%M")
    status, out, err = run("calibrate", "excel.csv", *flags, *written)
    assert (status, err) == (0, "")
    assert out.splitlines()[2].split()[2:4] == ["1800", "s"]
    status, _, err = run("calibrate", "jobs.csv", "--column", "case")
    assert (status, err) == (2, "wfsim: --column: 'case' is not KEY=COLUMN\n")


# A flow of a service.


def test_a_flow_of_a_service_runs_and_its_nodes_are_drawn_in_time(run):
    status, out, err = run("run", "tiem", "--flow", "CreateCluster", "--biz-id", "c-1")
    assert (status, err) == (0, "")
    assert "4 runs: 4 completed." in out
    assert "Nodes of 1-CreateCluster" in out
    lines = [line.split() for line in out[out.index("Nodes of") :].splitlines()]
    assert ["deployCluster", "Finished", "15", "60.169", "..======="] in lines
    log = wfsim.EventLog.from_jsonl("out/log.jsonl")
    assert log.fold().resources["1-CreateCluster"].spec["bizId"] == "c-1"


def test_what_a_flow_is_about_may_be_left_to_the_scenario(run):
    job = "run tiem --flow StopCluster --expect Finished"
    status, _, err = run(*shlex.split(job))
    assert (status, err) == (0, "")
    log = wfsim.EventLog.from_jsonl("out/log.jsonl")
    assert log.fold().resources["1-StopCluster"].spec["bizId"] == "cluster-1"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--cancel-at 7", "1-StopCluster is Canceled."),
        ("--fail setClusterOffline --crash-at 6", "1-StopCluster is Error."),
        ("--until 12", "1-StopCluster is Processing."),
    ],
)
def test_a_flow_of_a_service_can_be_broken_and_cut_off(run, words, said):
    job = f"run tiem --flow StopCluster {words}"
    status, out, err = run(*shlex.split(job))
    assert (status, err) == (0, "")
    assert said in out
    assert "never fired" not in out


def test_a_node_that_goes_on_is_drawn_up_to_now(run):
    _, out, _ = run(*shlex.split("run tiem --flow StopCluster --until 10"))
    lines = [line.split() for line in out[out.index("Nodes of") :].splitlines()]
    assert lines[4] == ["clusterStop", "Processing", "5", "." * 20 + "=" * 19 + ">"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run tiem", "'tiem' is a service, which does what it is asked for: give --flow"),
        (
            "run tiem --flow CreateClutser",
            "--flow: no flow 'CreateClutser'; did you mean 'CreateCluster'?",
        ),
        (
            "run tiem --flow StopCluster --biz-id c-1",
            "there is no cluster c-1; one of cluster-1, cluster-2, cluster-3",
        ),
        ("run tiem --biz-id c-1", "--biz-id: it says what a --flow is about; give one"),
        (
            "run polardb --flow StopCluster",
            "--flow: 'polardb' is no service; it runs what it has",
        ),
        ("run tiem --flow StopCluster --replicas 2", "--replicas: the scenario 'tiem'"),
        (
            "run tiem --flow StopCluster --fail clusterStpo",
            "no step 'clusterStpo'; did you mean 'clusterStop'?",
        ),
    ],
)
def test_what_a_service_cannot_be_asked_for_is_said_in_a_line(run, words, said):
    status, out, err = run(*shlex.split(words))
    assert (status, out) == (2, "")
    assert said in err
    assert err.startswith("wfsim: ")
    assert not Path("out").exists()


# Targets.

JOB = """
import wfsim

FLOW = wfsim.Flow("Nap", (wfsim.Step("Sleep"),))


def scenario(replicas=1, nap=5):
    return wfsim.Scenario.of_flow(FLOW, duration=nap)


READY = scenario(nap=7)
NOT_ONE = 3


class Made:
    nap = staticmethod(scenario)


def needs(what):
    return scenario()


def wrong():
    return {}["gone"]


def other():
    return 3
"""


@pytest.fixture
def job(tmp_path):
    """A file and a package with scenarios of their own."""
    (tmp_path / "napping_job.py").write_text(JOB)
    (tmp_path / "napping").mkdir()
    (tmp_path / "napping/__init__.py").write_text("")
    (tmp_path / "napping/jobs.py").write_text(JOB)
    before = {*sys.modules}, [*sys.path]
    yield
    for name in {*sys.modules} - before[0]:
        if name.startswith("napping"):
            del sys.modules[name]
    sys.path[:] = before[1]


@pytest.mark.usefixtures("job")
@pytest.mark.parametrize(
    ("target", "seconds"),
    [
        ("napping_job.py:scenario", 5),
        ("./napping_job.py:READY", 7),
        ("napping_job.py:Made.nap", 5),
        ("napping.jobs:scenario", 5),
        ("napping.jobs:READY", 7),
    ],
)
def test_a_scenario_of_ones_own_is_run_and_checked_from_python(run, target, seconds):
    status, out, err = run("run", target)
    assert (status, err) == (0, "")
    assert f"completed after {seconds} s" in out
    assert run("check", target)[1] == f"{target}: Nap, 1 flow, 1 resource\n"


@pytest.mark.usefixtures("job")
def test_a_scenario_of_ones_own_is_swept(run):
    words = ("--over", "nap=1,2", "--replications", "2", "--out", "mine")
    status, out, _ = run("sweep", "napping_job.py:scenario", *words)
    assert status == 0
    assert "<Study over nap: 2 points, 4 replications" in out
    status, out, _ = run("sweep", "napping.jobs:READY", "--replications", "1")
    assert status == 0


@pytest.mark.usefixtures("job")
@pytest.mark.parametrize("command", ["run", "check", "sweep", "serve"])
@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("napping_job.py", "may have several scenarios; name what makes it: "),
        ("napping_job.py:scenari", "no 'scenari' in it; did you mean 'scenario'?"),
        ("napping_jb.py:scenario", "napping_jb.py: there is no such file or folder; did"),
        (
            "napping.jbs:scenario",
            "napping.jbs:scenario: there is no module 'napping.jbs'",
        ),
        ("napping_job.py:NOT_ONE", "3 is no scenario; give a wfsim.Scenario, or a func"),
        ("nightly.yml", "nightly.yml: there is no such file or folder"),
        ("flows/nightly", "flows/nightly: there is no such file or folder"),
    ],
)
def test_a_target_that_is_none_is_refused_by_every_command(run, command, target, said):
    status, out, err = run(command, target)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("job")
def test_what_ones_own_code_does_wrong_is_told_with_its_line(run, tmp_path):
    line = JOB.splitlines().index('    return {}["gone"]') + 1
    _, _, err = run("run", "napping_job.py:wrong")
    file = tmp_path / "napping_job.py"
    assert err == f"wfsim: napping_job.py:wrong: {file}:{line}: KeyError: 'gone'\n"
    _, _, err = run("run", "napping_job.py:other")
    assert err == "wfsim: napping_job.py:other: it returns 3; return a wfsim.Scenario\n"
    _, _, err = run("run", "napping_job.py:needs")
    assert "needs: missing a required argument: 'what'; name a function that" in err
    (tmp_path / "napping_bad.py").write_text("import wfsim\n\nx = (\n")
    _, _, err = run("run", "napping_bad.py:scenario")
    assert f"{tmp_path / 'napping_bad.py'}:3: SyntaxError: " in err
    (tmp_path / "json.py").write_text(JOB)
    _, _, err = run("run", "json.py:scenario")
    assert "json.py:scenario: another module is called 'json'; rename the file" in err


# The horizon, what is written where, and how much is printed.

LONG = "flowName: Long\nsteps: [{stepName: A}, {stepName: B}]\n"


def test_a_run_that_the_horizon_cuts_off_says_so_and_exits_with_3(run):
    words = ("run", NIGHTLY, "--horizon", "20")
    status, out, err = run(*words)
    assert (status, err) == (3, "")
    said = "Cut off by the horizon at 20 s, with resource-0 1-NightlyBackup under way; "
    assert said in out
    # Who has asked for it knows it.
    assert run(*words, "--until", "10")[0] == 0
    assert run("run", NIGHTLY, "--horizon", "10000")[0] == 0
    for second in ("-1", "nan"):
        _, _, err = run("run", NIGHTLY, "--horizon", second)
        assert err == f"wfsim: --horizon: {second} is not a second from 0 on\n"


def test_what_came_of_another_target_is_not_overwritten_unasked(run):
    run("run", NIGHTLY)
    first = Path("out/log.jsonl").read_bytes()
    _, out, _ = run("run", "polardb", "--replicas", "0")
    assert "Written: out-polardb/log.jsonl, out-polardb/report.html" in out
    assert "(out has what came of another target.)" in out
    assert Path("out/log.jsonl").read_bytes() == first
    # The same again, and a folder that is asked for.
    _, out, _ = run("run", NIGHTLY, "--seed", "2")
    assert "Written: out/log.jsonl" in out
    _, out, _ = run("run", "polardb", "--replicas", "0", "--out", "out")
    assert "Written: out/log.jsonl" in out
    assert wfsim.EventLog.from_jsonl("out/log.jsonl").meta["title"] != "NightlyBackup"


def test_a_run_of_many_resources_prints_a_page(run):
    _, out, _ = run("run", CAPACITY)
    assert len(out.splitlines()) <= 50
    lines = [line.split() for line in out.splitlines()]
    assert ["Running", "40"] in lines
    assert [line[:3] for line in lines if line[:2] == ["NightlyBackup", "completed"]] == [
        ["NightlyBackup", "completed", "40"]
    ]
    assert any(line[:3] == ["NightlyBackup", "Verify", "completed"] for line in lines)
    assert "40 runs: 40 completed." in out


# Going on from a dump.

DUMP = str(ROOT / "notebooks/mpd-0-workflow.yaml")


def test_a_file_called_out_is_left_alone(run, tmp_path):
    (tmp_path / "out").write_text("mine")
    status, out, err = run("run", NIGHTLY)
    assert (status, err) == (0, "")
    assert "Written: out-nightly/log.jsonl" in out
    assert (tmp_path / "out").read_text() == "mine"


def words_of(out):
    """What was printed, without the frames and the breaks of the lines of tables."""
    return " ".join(out.split())


def test_a_dump_says_what_becomes_of_each_run_and_what_is_quarantined_and_why(run):
    status, out, err = run("resume", DUMP, "polardb", "--expect", "Interrupt")
    assert (status, err) == (0, "")
    said = words_of(out)
    assert "Runs of mpd-0 in the dump" in said
    assert "1-CreateSharedStorageCluster completed 7 of 7 nothing: it has ended" in said
    assert (
        "waits for an operator (give --recover): CM_LOST: manager is lost & gone" in said
    )
    assert "is quarantined and left as it is: not JSON: Unterminated string" in said
    assert Path("out/report.html").exists()


def test_a_dump_with_a_run_cut_short_goes_on_with_the_next_step_to_the_end(run):
    simulation = wfsim.Simulation(polardb.scenario(replicas=2), seed=1)
    simulation.run(until=wfsim.step_started("CreateRoPods"))
    texts = {run.key: run.to_json() for run in simulation.mementos("mpd-0")}
    dump = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "mpd-0-workflow", "namespace": "default"},
        "data": texts,
    }
    Path("dump.json").write_text(json.dumps(dump))
    status, out, err = run("resume", "dump.json", "polardb", "--expect", "Running")
    assert (status, err) == (0, "")
    said = words_of(out)
    assert "running 3 of 7 goes on with CreateRoPods (attempt 2)" in said
    assert "mpd-0 is Running." in said


def test_an_operator_may_recover_what_is_interrupted(run):
    simulation = wfsim.Simulation(
        polardb.scenario(replicas=0), faults=[wfsim.InterruptStep("CreateRwPod")]
    )
    simulation.run()
    dump = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "mpd-0-workflow", "namespace": "default"},
        "data": {run.key: run.to_json() for run in simulation.mementos("mpd-0")},
    }
    Path("dump.json").write_text(json.dumps(dump))
    assert run("resume", "dump.json", "polardb", "--expect", "Running")[0] == 1
    words = ("resume", "dump.json", "polardb", "--recover", "--expect", "Running")
    status, out, err = run(*words)
    assert (status, err) == (0, "")
    assert "goes on with CreateRwPod (attempt 2)" in words_of(out)


def test_a_dump_of_another_namespace_is_told_of_and_recovered(run):
    text = """\
import wfsim

def scenario():
    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    machine.unstable("Creating", run="F")
    return wfsim.Scenario(
        [wfsim.Resource("db", "orders", "prod", state="Creating")],
        machine,
        [wfsim.Flow("F", (wfsim.Step("A", duration=1), wfsim.Step("B", duration=1)))],
    )
"""
    Path("job.py").write_text(text)
    spec = {"flowName": "F", "flowStatus": "failedAndCompleted", "initContext": {}}
    steps = [
        {"StepName": "A", "stepStatus": "completed"},
        {"StepName": "B", "stepStatus": "failed"},
    ]
    dump = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "orders-workflow", "namespace": "prod"},
        "data": {"1-F": json.dumps({**spec, "runningSteps": steps})},
    }
    Path("dump.json").write_text(json.dumps(dump))
    words = ("resume", "dump.json", "job.py:scenario", "--recover", "--expect", "Running")
    status, out, err = run(*words)
    assert (status, err) == (0, "")
    assert "goes on with B (attempt 1)" in words_of(out)


def test_a_dump_that_is_not_there_is_told_to_be_missing(run):
    status, _, err = run("resume", "dump.yaml", "polardb")
    assert (status, err) == (2, "wfsim: dump.yaml: there is no such file or folder\n")


def test_a_log_is_written_for_other_readers(run):
    run("run", NIGHTLY, "--out", "out")
    words = [word for name in FORMATS for word in ("--to", name)]
    status, out, err = run("export", "out/log.jsonl", *words)
    assert (status, err) == (0, "")
    written = out.splitlines()
    assert written == [f"out/log{ENDINGS[name]}" for name in FORMATS]
    assert all(Path(name).stat().st_size for name in written)
    status, out, err = run("export", "out/log.jsonl", "--to", "ocel", "--out", "a.json")
    assert (status, out, err) == (0, "a.json\n", "")
    assert Path("a.json").read_text() == Path("out/log.ocel.json").read_text()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("no.jsonl", "--to", "xes"), "no.jsonl: there is no such file or folder"),
        (("log.jsonl", "--to", "ocl"), "--to: no format 'ocl'; did you mean 'ocel'?"),
        (("log.jsonl", "--to", "xes"), "log.jsonl:1: not a line of a wfsim log"),
        (
            ("log.jsonl", "--to", "xes", "--to", "ocel", "--out", "a"),
            "--out: it names one file; give one --to",
        ),
    ],
)
def test_what_cannot_be_exported_is_told(run, words, why):
    Path("log.jsonl").write_text("{}\n")
    status, out, err = run("export", *words)
    assert (status, out) == (2, "")
    assert why in err


def test_it_tells_its_version_and_what_it_does(run):
    status, out, err = run("--version")
    assert (status, err) == (0, "")
    assert re.fullmatch(r"wfsim \d+\.\d+\.\d+\n", out)
    assert "`" not in run("--help")[1]


def test_a_state_that_nobody_knows_is_told_when_it_is_expected(run):
    status, out, _ = run("run", NIGHTLY, "--expect", "Runing")
    assert status == 1
    assert "Expected Runing; resource-0 is Running; did you mean 'Running'?\n" in out
