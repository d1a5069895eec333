"""An incident is led back to the smallest plan of faults and requests."""

from __future__ import annotations

from statistics import median
from time import perf_counter  # noqa: TID251  the median of real time is promised
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

import wfsim
from fake_resources import polardb
from fake_resources.zoo import MUTANTS, backup
from tests.golden.subjects import Subject, subjects
from tests.sizes import FULL
from wfsim.campaign.lab import Lab
from wfsim.campaign.reproduce import reproduce
from wfsim.cli.main import app
from wfsim.files.configmap import Caretaker

FLOWS = (
    *("polardb Creating", "polardb AddRo", "polardb SwitchRw", "polardb RestartIns"),
    *("tiem BackupCluster", "tiem ExportData", "tiem StopCluster", "tiem RestartCluster"),
)
SUBJECTS = {each.name: each for each in subjects()}


class Planted(NamedTuple):
    """What happened, and what is left of it."""

    subject: Subject
    plan: tuple[wfsim.types.Fault, ...]
    dump: Caretaker
    state: str


def planted(name: str, number: int) -> Planted:
    """Return an incident two faults deep in the flow, one of four."""
    subject = SUBJECTS[name]
    lab = Lab(subject.begin, None, 10.0, (), (), {})
    done = [site for site in lab.sites if site.kind == "step.completed"]
    one, other = done[len(done) // 4], done[len(done) // 2]
    crash = wfsim.CrashAt(write=one.write, when="before", restart_after=10.0)
    # By the first crash a step is begun once more: that is a write more.
    again = wfsim.CrashAt(write=other.write + 1, when="before", restart_after=10.0)
    plan = (
        (crash, again),
        (crash, wfsim.CancelAt(other.time + 10.001, other.resource)),
        (crash, wfsim.InterruptStep(other.step, "LOST")),
        (crash, wfsim.FailStep(other.step, times=20)),
    )[number]
    sim = subject.begin(plan)
    sim.run(for_=3600)
    there = sim.log.fold()
    key, resource = next(
        (key, item) for key, item in there.resources.items() if key == one.resource
    )
    mementos = [run for (of, _), run in there.mementos.items() if of == key]
    return Planted(subject, plan, Caretaker(resource.key, mementos), resource.state)


CASES = [(name, number) for name in FLOWS for number in range(4)]
QUICK = [("polardb AddRo", 0), ("polardb AddRo", 3), ("tiem ExportData", 2)]


def test_thirty_incidents_of_both_systems_are_led_back_to_two_faults_at_most():
    assert len(CASES) >= 30
    took = []
    for name, number in CASES if FULL else QUICK:
        case = planted(name, number)
        began = perf_counter()
        found = reproduce(case.subject.begin, case.dump, state=case.state)
        took.append(perf_counter() - began)
        print(f"{name} {number}: {took[-1]:.1f} s, {found.runs} runs, {found.faults}")
        assert found.is_exact, (case.plan, found)
        assert len(found.faults) <= 2
    print(f"{len(took)} incidents, median {median(took):.1f} s")
    assert median(took) < 10.0


def test_lines_of_a_history_are_led_back_to_what_made_them():
    lines = [
        "step.started MakeVolume #1",
        "step.started MakeVolume #2",
        "step.failed CopyData",
        "run.completed",
    ]
    found = wfsim.reproduce(backup(), lines, seed=1)
    assert found.is_exact
    kinds = {type(fault).__name__ for fault in found.faults}
    assert kinds == {"CrashAt", "FailStep"}
    ended = [record.kind for record in found.replay().log]
    assert ended[-2:] == [wfsim.Kind.RUN_COMPLETED, wfsim.Kind.RESOURCE_STATE]


def test_a_dump_of_a_cluster_is_led_back_to_what_its_step_asked_for():
    found = wfsim.reproduce(polardb.scenario(), "notebooks/mpd-0-workflow.yaml", seed=1)
    assert found.is_exact
    assert found.faults == (
        wfsim.InterruptStep(
            "CreateClusterManager", reason="CM_LOST", message="manager is lost & gone"
        ),
    )


def test_a_predicate_on_the_log_is_made_true():
    def interrupted_while_full(log):
        full = log.filter(wfsim.Kind.STEP_COMPLETED, step="CopyData")
        return full and log.fold().resources["orders"].state == "Interrupt"

    found = wfsim.reproduce(backup(), interrupted_while_full, seed=1)
    assert found.is_exact
    assert len(found.faults) == 1
    assert repr(found).startswith("Backup, Verify: reproduced exactly in ")


def test_a_request_of_an_operator_may_be_what_led_there():
    mutant = MUTANTS["drop_every_request"]

    def is_lost(log):
        asked = any("restartCluster" in record.text for record in log)
        made = {record.flow for record in log.filter(wfsim.Kind.RUN_CREATED)}
        return asked and not any("Restart" in flow for flow in made)

    found = wfsim.reproduce(mutant.subject, is_lost, faults=[], asks=mutant.asks)
    assert found.is_exact
    assert found.faults == (
        wfsim.EditAt(
            site="mpd-0/2-SharedStorageClusterFlushParams/DisableHA#1 step.started",
            resource="mpd-0",
            annotations={"restartCluster": "T"},
        ),
    )


def test_where_nothing_fits_exactly_it_says_what_is_not_so():
    dump = dumped([wfsim.FailStep("CopyData", times=2)])
    strange = dump[0]._replace(reason="ALIENS")
    found = wfsim.reproduce(backup(), strange, seed=1, depth=1, state="Running")
    assert not found.is_exact
    assert 0.9 < found.fit.share < 1.0
    assert found.fit.unlike == ("reason is '', not 'ALIENS'",)
    assert "not so: reason is '', not 'ALIENS'" in repr(found)


def test_a_dump_of_another_scenario_is_refused():
    dump = dumped([wfsim.FailStep("CopyData", times=2)])
    with pytest.raises(wfsim.UsageError, match="is of flow 'Backup', which Nap has not"):
        wfsim.reproduce(wfsim.Scenario.of_flow(wfsim.Flow("Nap", ())), dump)


def dumped(faults):
    sim = wfsim.Simulation(backup(), seed=1, faults=faults)
    sim.run()
    return Caretaker(sim.resource().key, sim.mementos()[-1:])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"what": [], "depth": 2}, "no line of a history was given"),
        ({"what": ["x"], "depth": 3}, "depth is 3; give 1 or 2"),
    ],
)
def test_what_is_no_incident_is_refused_before_anything_runs(arguments, text):
    with pytest.raises(wfsim.UsageError, match=text):
        wfsim.reproduce(backup(), **arguments)


def test_the_command_says_how_to_run_it_again(tmp_path):
    run = CliRunner().invoke(
        app,
        [
            *("reproduce", "notebooks/mpd-0-workflow.yaml", "polardb", "--depth", "1"),
            *("--seed", "1", "--out", str(tmp_path / "out")),
        ],
    )
    assert run.exit_code in (0, 1), run.output
    assert f"--faults {tmp_path / 'out' / 'plan.yaml'}" in run.output
