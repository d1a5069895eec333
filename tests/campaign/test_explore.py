"""Every interruption of a scenario: run, compared, shrunk, and kept as a plan."""

from __future__ import annotations

import json
from functools import partial

import pytest
from typer.testing import CliRunner

import wfsim
from fake_resources import polardb, tiem
from fake_resources.zoo import MUTANTS
from fake_resources.zoo import backup as scenario
from tests.golden.subjects import NAMES, PATHS, Subject, subjects
from tests.sizes import FULL
from wfsim.campaign.explore import POINTS
from wfsim.campaign.oracles import CODES, ORACLES
from wfsim.campaign.shrink import shrink
from wfsim.cli.main import app
from wfsim.sim.faults import load_plan

QUICK = (
    *("polardb Creating", "polardb AddRo"),
    *("tiem BackupCluster", "tiem ExportData", "tiem DeleteHosts"),
)
CHOSEN = [each for each in subjects() if FULL or each.name in QUICK]


PLAN = (
    '- CrashAt: {site: "orders/1-Backup/MakeVolume#1 step.completed", when: before, '
    "restart_after: 10}\n"
)
"""By which a volume is created twice."""


@pytest.mark.parametrize("subject", CHOSEN, ids=lambda each: each.name)
def test_no_crash_at_any_write_of_the_engine_raises_an_alarm(subject: Subject) -> None:
    report = wfsim.explore(
        subject.begin, ["CrashAt"], restart_after=7.0, but=PATHS, alike=NAMES
    )
    assert report.failures == []
    writes = sum(bool(site.write) for site in report.listed)
    calls = sum(site.call is not None for site in report.listed)
    assert report.counts["planned"] == len(report.listed) + writes + calls
    assert report.counts["void"] == 0


def test_a_node_that_asks_in_vain_while_the_api_is_down_raises_no_alarm() -> None:
    (subject,) = [each for each in subjects() if each.name == "tiem RestartCluster"]
    report = wfsim.explore(subject.begin, ["ApiDown"], but=PATHS, alike=NAMES)
    assert report.failures == []
    ends = {outcome.extra for outcome in report.outcomes if outcome.how == "ran"}
    assert len(ends) > 1  # some of its flows failed, and took another time


def test_every_kind_of_fault_at_every_write_of_a_cluster_raises_no_alarm() -> None:
    report = wfsim.explore(polardb.scenario(replicas=1), faults="all", depth=1, seed=1)
    assert report.failures == []
    assert sorted({point.fault for point, *_ in report.outcomes}) == [
        *("ApiDown", "BreakOne", "CancelAt", "CrashAt after", "CrashAt before"),
        *("CrashAt in", "DelayStep", "DropWatch", "FailSave", "FailSave applied"),
        *("FailStep", "FailStep after", "InterruptStep", "PauseController"),
        *("RefuseWrite", "RepeatCall", "StaleRead", "unobserved"),
    ]
    assert set(report.never) == {"HangStep", "EditAt", "LoseLease"}


def test_the_plan_of_a_failure_is_a_file_that_fails_again(tmp_path) -> None:
    failure = wfsim.explore(MUTANTS["creates_again"].subject, seed=1).failures[0]
    assert failure.plan == PLAN
    file = tmp_path / "plan.yaml"
    file.write_text(failure.plan)
    sim = wfsim.Simulation(
        MUTANTS["creates_again"].subject, seed=1, faults=load_plan(file)
    )
    sim.run()
    assert sim.world.volumes == {"vol-0": "empty", "vol-1": "full"}
    assert failure.ended().world.volumes == sim.world.volumes


def test_a_failure_is_a_test_that_can_be_kept() -> None:
    failure = wfsim.explore(MUTANTS["creates_again"].subject, seed=1).failures[0]
    given: dict[str, object] = {}
    exec(failure.as_test(), given)
    with pytest.raises(AssertionError):
        given["test_it_survives"](MUTANTS["creates_again"].subject)  # type: ignore[operator]
    given["test_it_survives"](scenario())  # type: ignore[operator]


def test_one_plan_is_judged_as_explore_would() -> None:
    plan = [wfsim.CancelAt(t=5.5)]

    def is_running(sim):
        return sim.resource().state == "Running"

    assert wfsim.testing.problems(scenario(), plan, seed=1) == []
    assert wfsim.testing.problems(scenario(), plan, eventually=[is_running]) == [
        "eventually: is_running does not hold"
    ]
    never = [wfsim.CrashAt(write=900)]
    assert wfsim.testing.problems(scenario(), never) == ["a fault of the plan never came"]


def test_a_wish_of_the_user_is_asked_at_each_end() -> None:
    def one_volume(sim):
        return len(sim.world.volumes) == 1

    mutant = MUTANTS["creates_again"].subject
    quiet = [name for name in ORACLES if name != "all_ends"]
    report = wfsim.explore(
        mutant, ["CrashAt"], seed=1, without=quiet, eventually=[one_volume]
    )
    assert [each.cause for each in report.failures] == ["eventually one_volume"]
    assert report.counts["failed"] == 3
    assert report.without == dict.fromkeys(sorted(quiet), "")


def test_what_is_to_be_always_so_is_asked_at_each_record() -> None:
    def one_volume_at_most(sim):
        return len(sim.world.volumes) <= 1

    mutant = MUTANTS["creates_again"].subject
    report = wfsim.explore(
        mutant, ["CrashAt"], seed=1, without=[*ORACLES], always=[one_volume_at_most]
    )
    (failure,) = report.failures
    assert failure.cause == "always one_volume_at_most"
    record = failure.ended().log.records[failure.violation.seq]
    assert (record.time, record.kind) == (20.0, wfsim.Kind.STEP_STARTED)


def test_what_is_to_be_sometimes_so_is_counted_and_told_if_it_never_is() -> None:
    def is_filling(sim):
        return "empty" in sim.world.volumes.values()

    def is_interrupted(sim):
        return sim.resource().state == "Interrupt"

    report = wfsim.explore(
        scenario(), ["CrashAt"], seed=1, sometimes=[is_filling, is_interrupted]
    )
    assert report.failures == []
    assert report.sometimes == {"is_filling": 29, "is_interrupted": 0}
    assert "never so: is_interrupted" in repr(report)
    cancelled = wfsim.explore(
        scenario(), ["CancelAt"], seed=1, sometimes=[is_interrupted]
    )
    assert cancelled.sometimes["is_interrupted"] > 10


def test_an_invariant_is_switched_off_with_a_reason() -> None:
    why = "volumes are kept on purpose"
    report = wfsim.explore(
        MUTANTS["creates_again"].subject, ["CrashAt"], seed=1, without={"S27": why}
    )
    assert report.without == {"ends_as_the_reference": why}
    assert f"not asked: ends_as_the_reference: {why}" in repr(report)


def test_every_invariant_of_the_catalogue_has_a_name() -> None:
    assert [*CODES] == [f"S{n}" for n in range(1, 28)] + [f"L{n}" for n in range(1, 7)]
    assert [code for code, names in CODES.items() if not names] == []
    assert {name for names in CODES.values() for name in names} == {*ORACLES}


@pytest.mark.parametrize("name", ["sound", "creates_again", "copies_on_top"])
def test_what_joins_the_calm_run_would_have_ended_so(name: str) -> None:
    subject = scenario() if name == "sound" else MUTANTS[name].subject
    joined = wfsim.explore(subject, ["CrashAt"], seed=1)
    whole = wfsim.explore(subject, ["CrashAt"], seed=1, join=False)
    assert joined.counts["joined"] > 5
    assert whole.counts["joined"] == 0
    assert [each.cause for each in joined.failures] == [
        each.cause for each in whole.failures
    ]
    assert [bool(each.violations) for each in joined.outcomes] == [
        bool(each.violations) for each in whole.outcomes
    ]


def test_sites_are_called_the_same_whatever_the_seed() -> None:
    first, second = (
        wfsim.explore(scenario(), ["CrashAt"], seed=seed, budget=1) for seed in (1, 2)
    )
    assert list(first.sites["site"]) == list(second.sites["site"])
    assert list(first.sites["site"])[:6] == [
        "orders/1-Backup run.created",
        "orders/1-Backup/MakeVolume#1 step.started",
        "orders/1-Backup/MakeVolume#1 wait",
        "orders/1-Backup/MakeVolume#1 create orders-1-Backup",
        "orders/1-Backup/MakeVolume#1 wait ~2",
        "orders/1-Backup/MakeVolume#1 step.completed",
    ]


def test_processes_and_repetitions_give_the_same_report() -> None:
    subject = MUTANTS["refuses_what_is_there"].subject
    serial = wfsim.explore(subject, ["CrashAt", "FailStep"], seed=1)
    assert wfsim.explore(subject, ["FailStep", "CrashAt"], seed=1).digest() == (
        serial.digest()
    )
    parallel = wfsim.explore(
        partial(_in_a_simulation, subject), ["CrashAt", "FailStep"], jobs=2
    )
    assert parallel.digest() == serial.digest()


def _in_a_simulation(subject, faults):
    return wfsim.Simulation(subject, seed=1, faults=faults)


def test_two_crashes_in_a_row_find_what_one_does_not() -> None:
    @wfsim.step("MakeVolume")
    def third_time_unlucky(ctx):
        yield from ctx.sleep(3)
        name = ctx.world.create(f"{ctx.resource.name}-{ctx.attempt // 3}")
        yield from ctx.sleep(2)
        return {"volume": name}

    subject = scenario(MakeVolume=third_time_unlucky)
    assert wfsim.explore(subject, ["CrashAt"], seed=1).failures == []
    failures = wfsim.explore(subject, ["CrashAt"], depth=2, seed=1).failures
    assert {len(each.faults) for each in failures} == {2}
    assert all(each.is_replayed for each in failures)


def test_what_an_operator_may_ask_is_asked_at_every_write() -> None:
    calm = wfsim.Simulation(polardb.scenario(replicas=2, nodes=4), seed=1)
    calm.run()
    asks = polardb.asks("SwitchRw", calm.resource(), calm.world)
    begin = next(each.begin for each in subjects() if each.name == "polardb SwitchRw")
    report = wfsim.explore(begin, ["RefuseWrite"], asks=asks)
    assert report.failures == []
    assert report.never == {}
    assert report.counts["void"] == 0
    asked = {each.point.fault for each in report.outcomes}
    assert asked >= {f"ask {name}" for name in asks}


def test_what_a_service_may_be_asked_is_asked_at_every_site() -> None:
    subject = next(each for each in subjects() if each.name == "tiem StopCluster")
    report = wfsim.explore(
        subject.begin, [], asks=tiem.asks("StopCluster"), alike=NAMES, budget=60
    )
    assert report.failures == []
    assert report.counts["void"] == 0
    asked = {each.point.fault for each in report.outcomes}
    assert asked == {f"ask {name}" for name in tiem.asks("StopCluster")}


def test_a_plan_of_two_hundred_faults_becomes_one_in_a_hundred_runs() -> None:
    plan = tuple(wfsim.CancelAt(float(t)) for t in range(200))
    runs = []

    def fails(smaller):
        runs.append(smaller)
        return wfsim.CancelAt(77.0) in smaller

    assert shrink(plan, fails) == (wfsim.CancelAt(77.0),)
    assert len(runs) <= 100


def test_two_that_fail_together_are_found_among_two_hundred() -> None:
    plan = tuple(wfsim.CancelAt(float(t)) for t in range(200))
    runs = []

    def fails(smaller):
        runs.append(smaller)
        return {wfsim.CancelAt(13.0), wfsim.CancelAt(177.0)} <= {*smaller}

    assert shrink(plan, fails) == (wfsim.CancelAt(13.0), wfsim.CancelAt(177.0))
    assert len(runs) <= 100


def test_no_fault_of_what_is_left_can_be_weaker_or_earlier() -> None:
    def fails(plan):
        late = any(f.t >= 21.5 for f in plan if isinstance(f, wfsim.CancelAt))
        long = any(f.for_ >= 5 for f in plan if isinstance(f, wfsim.ApiDown))
        return late and long

    plan = (wfsim.CancelAt(640.25), wfsim.ApiDown(300.5, 900.0), wfsim.CancelAt(3.0))
    runs = []
    smallest = shrink(plan, lambda each: runs.append(each) or fails(each))
    assert smallest == (wfsim.CancelAt(22.0), wfsim.ApiDown(0.0, 5.0))
    assert len(runs) <= 100


def test_a_report_is_text_html_json_and_frames() -> None:
    report = wfsim.explore(MUTANTS["creates_again"].subject, seed=1)
    assert repr(report).startswith("Backup, Verify: 16 sites, 174 of 174 points: ")
    assert "MakeVolume#1 step.completed" in report._repr_html_()
    assert json.loads(report.to_json())["counts"] == report.counts
    assert len(report.points) == 174
    assert report.chart().sentence.startswith(
        "Heat map of 16 faults at 16 sites: 4 points of 174 failed, the first by CrashAt "
        "before at orders/1-Backup/MakeVolume#1 step.completed (S13); what went well "
        "ended -36.0 s to "
    )
    assert 'href="#plan-1"' in report.to_html()
    assert report.points["invariant"].ne("").sum() == report.counts["failed"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"faults": ["CrasAt"]}, "no fault 'CrasAt'; did you mean 'CrashAt'?"),
        ({"depth": 3}, "depth is 3; give 1 or 2"),
        ({"depth": True}, "depth is True; give 1 or 2"),
        ({"budget": float("nan")}, f"budget is nan; give {POINTS.wanted}"),
        ({"budget": "5"}, f"budget is '5'; give {POINTS.wanted}"),
        ({"budget": -1}, f"budget is -1; give {POINTS.wanted}"),
        ({"jobs": "2"}, "jobs is '2'; give 1 or more, -1 for all cores, or None"),
        ({"jobs": 0}, "jobs is 0; give 1 or more, -1 for all cores, or None"),
        ({"without": ["all_end"]}, "no invariant 'all_end'; did you mean 'all_ends'?"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_runs(arguments, text) -> None:
    with pytest.raises(wfsim.UsageError) as refused:
        wfsim.explore(scenario(), **arguments)
    assert str(refused.value) == text


def test_the_command_ends_with_1_and_says_how_to_see_it_again(tmp_path) -> None:
    target = "tests/zoo/jobs.py:unsound"
    run = CliRunner().invoke(
        app, ["explore", target, "--faults", "CrashAt", "--out", str(tmp_path / "out")]
    )
    assert run.exit_code == 1, run.output
    plan = tmp_path / "out" / "plan-1.yaml"
    assert f"Replay: wfsim run {target} --faults {plan}" in run.output
    assert plan.read_text() == PLAN
    sound = CliRunner().invoke(
        app,
        ["explore", "tests/zoo/jobs.py:sound", "--out", str(tmp_path / "other")],
    )
    assert sound.exit_code == 0, sound.output


def test_a_report_says_what_was_reached_and_what_was_not() -> None:
    rows = wfsim.explore(scenario(), seed=1).coverage.set_index(["what", "name"])
    reached = rows["reached"]
    assert reached["transition", "Creating -> Running"] == 175
    assert reached["transition", "Creating -> Interrupt"] == 20
    assert reached["state", "Verifying"] == 0
    assert reached["step"].tolist() == [55, 45, 34]
    assert reached["fault", "HangStep"] == 0
    assert (reached["site"] > 0).all()


def test_no_fault_that_applies_is_left_out_of_a_step() -> None:
    report = wfsim.explore(scenario(), seed=1)
    cells, reasons = report.matrix(), report.reasons
    faults = {fault for fault, _ in cells}
    steps = ("MakeVolume", "CopyData", "Announce", "-")
    empty = {(f, s) for f in faults for s in steps} - {*cells}
    assert empty - {("CrashAt in", "-")} <= {*reasons}
    assert {*cells} & {*reasons} == set()
    assert reasons["RepeatCall", "Announce"] == "the world is not called there"
    assert {fault for fault, step in reasons if step == "-"} == {
        *("FailStep", "FailStep after", "DelayStep", "HangStep", "InterruptStep"),
        "RepeatCall",
    }


def test_a_report_is_junit_xml_with_a_case_for_each_fault_in_each_step() -> None:
    from xml.etree import ElementTree

    report = wfsim.explore(MUTANTS["creates_again"].subject, seed=1)
    suite = ElementTree.fromstring(report.to_junit().encode())
    assert suite.attrib == {
        "name": "Backup, Verify",
        "tests": "61",
        "failures": "4",
        "skipped": "4",
    }
    failure, *_ = suite.findall("testcase/failure")
    assert failure.attrib["message"] == report.failures[0].said
    assert PLAN.strip() in str(failure.text)
    assert "`name = ctx.world.create()` was run in two attempts" in str(failure.text)


def test_the_command_writes_junit_and_json_where_that_is_wanted(tmp_path) -> None:
    junit, found = tmp_path / "ci" / "junit.xml", tmp_path / "ci" / "report.json"
    arguments = ["--faults", "CrashAt", "--out", str(tmp_path / "out")]
    files = ["--junit", str(junit), "--json", str(found)]
    run = CliRunner().invoke(
        app, ["explore", "tests/zoo/jobs.py:unsound", *arguments, *files]
    )
    assert run.exit_code == 1, run.output
    assert 'failures="3"' in junit.read_text()
    assert json.loads(found.read_text())["counts"]["failed"] == 3
