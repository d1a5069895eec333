"""What is set does something, and what nothing reads is told."""

from __future__ import annotations

import shlex
import sys

import pytest

import wfsim
from wfsim import tables
from wfsim.cli import main as cli
from wfsim.errors import DefinitionError


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Two versions of a flow with retries of its own, and a scenario of the first."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(
            f"flowName: Nightly-{name}\nretry: {{limit: 3, delay: 10}}\nsteps:\n"
            "- {stepName: Copy, duration: {exponential: 10}, failure: 0.5}\n"
        )
    (tmp_path / "s.yaml").write_text("flow: a.yaml\nresources: [{name: x}]\n")
    return tmp_path


def run(monkeypatch, line):
    monkeypatch.setattr(sys, "argv", ["wfsim", *shlex.split(line)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert not stop.value.code


def sweep(over, **more):
    return wfsim.sweep("s.yaml", over, replications=40, progress=False, **more)


def test_the_retry_of_the_flow_is_swept_and_its_other_numbers_stay(files):
    study = sweep({"retry.limit": [0, 10]})
    # Half of the attempts fail: of 40 runs about 20 are done at once, and then all.
    assert study.summary()["success"].tolist() == pytest.approx([0.5, 1.0], abs=0.16)
    retry = next(iter(wfsim.Scenario.load("s.yaml", {"retry.limit": 0}).flows.values()))
    assert retry.retry == wfsim.Retry(limit=0, delay=10)


@pytest.mark.parametrize("path", ["steps.Copy.timeout", "timeout"])
def test_the_timeout_of_a_step_is_swept(files, path):
    study = sweep({path: [0.001, 1e6]})
    assert study.summary()["success"].iloc[0] == 0.0
    assert study.summary()["success"].iloc[1] > 0.5


def test_the_retry_of_one_step_is_that_of_its_flow_but_for_what_is_given(files):
    made = wfsim.Scenario.load("s.yaml", {"steps.Copy.retry.limit": 7})
    (step,) = made.flows["Nightly-a"].steps
    assert step.retry == wfsim.Retry(limit=7, delay=10)
    (step,) = (
        made.but(settings={"Copy": {"retry": {"delay": 1}}}).flows["Nightly-a"].steps
    )
    assert step.retry == wfsim.Retry(limit=3, delay=1)


def test_a_deadline_for_all_flows(files):
    made = wfsim.Scenario.load("s.yaml", {"deadline": 0.01, "steps.Copy.duration": 5})
    (row,) = tables.runs(wfsim.simulate(made)).to_dict("records")
    assert row["error"] == "DEADLINE: not complete by 0.01 s"


def test_numbers_that_make_no_sense_are_refused_where_they_are_given(files):
    with pytest.raises(DefinitionError, match=r"limit"):
        wfsim.Scenario.load("s.yaml", {"retry.limit": -1})
    with pytest.raises(DefinitionError, match=r"retry is .*numbers of Retry"):
        wfsim.demand.StepSettings(retry={"limit": -1})
    with pytest.raises(DefinitionError, match=r"retry is 3; give Retry"):
        wfsim.demand.StepSettings(retry=3)


def test_flow_files_are_swept_and_what_differs_by_a_name_alone_differs_by_exactly_0(
    files,
):
    study = sweep({"flow": ["a.yaml", "b.yaml"]})
    assert study.points["flow_file"].tolist() == ["a.yaml", "b.yaml"]
    assert study.compare("total")["difference"].tolist() == [0.0]
    alone = sweep(None)
    assert alone.runs["total"].tolist() == study.runs["total"].tolist()[:40]
    of_flows = wfsim.sweep("a.yaml", {"flow": ["b.yaml"]}, replications=4)
    of_flow = wfsim.sweep("a.yaml", replications=4)
    assert of_flow.runs["total"].tolist() == of_flows.runs["total"].tolist()


def test_a_shell_sweeps_flow_files_their_retries_and_timeouts(files, monkeypatch, capsys):
    line = "sweep s.yaml --over flow=a.yaml,b.yaml --over retry.limit=0,9 --out out"
    run(monkeypatch, f"{line} --over steps.Copy.timeout=1,99 --replications 2")
    assert "8 points, 16 replications" in capsys.readouterr().out


def unread(files, overrides=None, **more):
    return wfsim.Scenario.load("s.yaml", overrides or {}).but(**more).notices


def test_what_nothing_reads_is_told_of_a_scenario_and_of_a_study(files, monkeypatch):
    assert unread(files) == ()
    (notice,) = unread(files, {"policy.retry.limit": 1})
    assert notice.startswith("policy.retry is read by no step: each of Nightly-a has its")
    notices = sweep({"policy.retry.limit": [1, 2]}).notices
    assert notices[0] == notice
    assert notices[1].startswith("policy.retry.limit makes no difference")
    assert unread(files, {"capacities.pools.hands": 2}) == (
        "the pool 'hands' is used by no step; name it in uses",
    )
    assert unread(files, {"steps.Copy.priority": 2}) == (
        "the priority of 'Copy' is read by no pool: it uses none",
    )
    assert unread(files, {"policy.watch_tick": 2}) == (
        "policy.watch_tick is read by services alone, and this is none",
    )
    assert unread(files, {"drain": 20}) == ("drain is read by nothing: nothing arrives",)
    assert unread(files, {"policy.timeout": 9, "steps.Copy.timeout": 9}) == (
        "policy.timeout is read by no step: each of Nightly-a has its own timeout",
    )
    assert unread(files, {"policy.deadline": 9, "deadline": 9}) == (
        "policy.deadline is read by no flow: each of Nightly-a has its own deadline",
    )


def test_a_sensitivity_of_exactly_0_is_explained(files):
    def make(pace, unused):
        return wfsim.Scenario.load("s.yaml", {"steps.Copy.duration": pace})

    def point(**labels):
        return wfsim.design.saltelli(labels, 4)

    design = point(pace=(5, 50), unused=(0, 1))
    table = wfsim.sweep(make, design, replications=2).sensitivity()
    assert table["notice"].tolist() == ["", "unused makes no difference at all"]
    assert table["total"].iloc[1] == 0.0
    nothing = wfsim.sweep(
        lambda one, two: make(5, two), point(one=(0, 1), two=(0, 1)), replications=2
    )
    assert nothing.sensitivity("success")["notice"].tolist() == [
        "one makes no difference at all",
        "two makes no difference at all",
    ]
