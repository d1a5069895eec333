"""Scenarios: a flow file without code, a flow of one's own, and what is refused."""

from __future__ import annotations

import pytest

import wfsim
from wfsim import Kind

FLOW = """\
flowName: NightlyBackup
recoverFromFirstStep: false
steps:
- className: backup.TakeSnapshot
  stepName: TakeSnapshot
  duration: 30
- className: backup.CopyAway
  stepName: CopyAway
  duration: {uniform: [10, 20]}
  failure: 0.0
- className: backup.Verify
  stepName: Verify
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "nightly.yaml"
    path.write_text(FLOW)
    return path


def starts(log):
    return [(r.step, r.time, r.attempt) for r in log.filter(Kind.STEP_STARTED)]


def test_a_flow_file_runs_without_code(file):
    sim = wfsim.Simulation(wfsim.Scenario.of_flow(file))
    log = sim.run()
    assert sim.resource().state == "Running"
    assert [r.step for r in log.filter(Kind.STEP_COMPLETED)] == [
        "TakeSnapshot",
        "CopyAway",
        "Verify",
    ]
    begun = {step: time for step, time, _ in starts(log)}
    assert begun["CopyAway"] == 30.0
    assert 10.0 <= begun["Verify"] - 30.0 <= 20.0
    assert log[-1].time == begun["Verify"] + 1.0


def test_a_step_that_the_file_says_nothing_of_takes_what_is_given(file):
    scenario = wfsim.Scenario.of_flow(file, duration={"exponential": 5})
    assert {name: str(took) for name, took in scenario.assumed.items()} == {
        "Verify": "exponential(5)"
    }
    log = wfsim.simulate(wfsim.Scenario.of_flow(file, duration=7), seed=1)
    assert log[-1].time == starts(log)[-1][1] + 7.0


def test_steps_fail_as_often_as_is_given_and_are_tried_again(file):
    log = wfsim.simulate(wfsim.Scenario.of_flow(file, failure=0.8), seed=1)
    failed = [record.step for record in log.filter(Kind.STEP_FAILED)]
    # What the file says of a step goes before what is given.
    assert failed
    assert "CopyAway" not in failed
    assert log.filter(Kind.RUN_COMPLETED)


def test_a_flow_file_crashes_restarts_and_resumes_like_any_other(file):
    scenario = wfsim.Scenario.of_flow(file)
    sim = wfsim.Simulation(scenario, faults=[wfsim.CrashAt(t=35, restart_after=5)])
    sim.run()
    assert starts(sim.log)[1:3] == [("CopyAway", 30.0, 1), ("CopyAway", 40.0, 2)]
    again = wfsim.Simulation.resume(scenario, sim.mementos()[:5])
    assert starts(again.run())[0] == ("CopyAway", 0.0, 3)


def test_a_step_with_code_runs_it(file):
    @wfsim.step
    def Verify(ctx):
        return {"of": ctx.resource.name}

    scenario = wfsim.Scenario.of_flow(file, steps=[Verify], resource="orders")
    sim = wfsim.Simulation(scenario)
    sim.run()
    assert sim.mementos("orders")[-1].steps[2].output == {"of": "orders"}
    assert scenario.assumed == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"failure": 1.5}, "failure is 1.5; give a probability from 0 to 1"),
        ({"failure": float("nan")}, "failure is nan; give a probability"),
        ({"failure": "0.1"}, "failure is '0.1'; give a probability"),
        ({"failure": True}, "failure is True; give a probability"),
        (
            {"duration": -1},
            "duration is -1; give seconds or a distribution (a duration is not neg",
        ),
        (
            {"duration": {"normal": 3}},
            "duration is {'normal': 3}; give seconds or a distribution (unknown",
        ),
        (
            {"duration": "long"},
            "duration is 'long'; give seconds or a distribution (a duration is a",
        ),
        ({"resource": ""}, "a resource has no name; give it one"),
        ({"policy": 3}, "policy is 3; give Policy(...)"),
    ],
)
def test_what_is_given_for_a_flow_file_is_checked(file, given, message):
    with pytest.raises(wfsim.DefinitionError) as caught:
        wfsim.Scenario.of_flow(file, **given)
    assert message in str(caught.value)


def test_what_is_wrong_with_the_file_is_named_with_its_line(file):
    file.write_text(FLOW.replace("className: backup.Verify", "clasName: backup.Verify"))
    with pytest.raises(wfsim.DefinitionError, match=r"nightly.yaml:11: .*'className'"):
        wfsim.Scenario.of_flow(file)


def wants_backup(resource):
    return resource.annotations.get("backup") == "now"


@wfsim.step
def TakeSnapshot(ctx):
    yield from ctx.sleep(30)
    return {"snapshot": f"{ctx.resource.name}-{ctx.attempt}"}


@wfsim.step
async def CopyAway(ctx):
    await ctx.sleep(60)
    return {"copy": f"s3://{ctx.inputs['snapshot']}"}


@wfsim.step
class Verify:
    def do_step(self, ctx):
        self.checked = ctx.inputs["copy"]
        yield from ctx.update(annotations={"backup": None})

    def output(self, ctx):
        return {"checked": self.checked}


def own_scenario(folder, **given):
    folder.mkdir(exist_ok=True)
    (folder / "nightly.yaml").write_text(
        "flowName: NightlyBackup\n"
        "recoverFromFirstStep: false\n"
        "steps:\n"
        "- className: TakeSnapshot\n"
        "- className: CopyAway\n"
        "- className: Verify\n"
    )
    machine = (
        wfsim.StateMachine("db")
        .stable("Running", "Interrupt")
        .transition("Running", "BackingUp", when=wants_backup, run="NightlyBackup")
    )
    arguments = {
        "resources": [
            wfsim.Resource("db", "orders", state="Running", annotations={"backup": "now"})
        ],
        "machine": machine,
        "flows": folder,
        "steps": [TakeSnapshot, CopyAway, Verify],
    }
    return wfsim.Scenario(**arguments | given)


def test_a_flow_of_ones_own_is_a_file_a_function_per_step_and_a_machine(tmp_path):
    sim = wfsim.Simulation(own_scenario(tmp_path / "backup"))
    log = sim.run()
    assert wfsim.tables.states(log)[["time", "before", "after"]].values.tolist() == [
        [0.0, "", "Running"],
        [0.0, "Running", "BackingUp"],
        [90.0, "BackingUp", "Running"],
    ]
    assert [step.output for step in sim.mementos()[-1].steps] == [
        {"snapshot": "orders-1"},
        {"copy": "s3://orders-1"},
        {"checked": "s3://orders-1"},
    ]
    assert sim.resource().annotations == {}


def test_a_flow_of_ones_own_survives_a_crash(tmp_path):
    scenario = own_scenario(tmp_path / "backup")
    log = wfsim.simulate(scenario, faults=[wfsim.CrashAt(t=40, restart_after=10)], seed=1)
    assert starts(log) == [
        ("TakeSnapshot", 0.0, 1),
        ("CopyAway", 30.0, 1),
        ("CopyAway", 50.0, 2),
        ("Verify", 110.0, 1),
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": [TakeSnapshot, CopyAway]}, "class 'Verify' is not registered"),
        ({"resources": []}, "a scenario needs at least one resource"),
        (
            {"resources": [wfsim.Resource("dbs", "x")]},
            "for the kind 'dbs'; did you mean 'db'",
        ),
        ({"resources": [wfsim.Resource("db", "x")] * 2}, "two resources are called 'x'"),
        (
            {"resources": [wfsim.Resource("db", "x", spec={"a": float("nan")})]},
            "x: spec holds what JSON cannot",
        ),
        (
            {
                "machine": [wfsim.StateMachine("db").stable("Running")] * 2
                + [wfsim.StateMachine("db").stable("Running")]
            },
            "two state machines for the kind 'db'; make them one",
        ),
        (
            {"flows": [wfsim.Flow("A", ()), wfsim.Flow("A", ())]},
            "two flows are called 'A'",
        ),
        (
            {"flows": [wfsim.Flow("NightlyBackup", (wfsim.Step("Verifi"),))]},
            "the class 'Verifi' has no code and no duration; did you mean 'Verify'?",
        ),
    ],
)
def test_a_scenario_that_cannot_run_is_refused_with_the_culprit(tmp_path, given, message):
    with pytest.raises(wfsim.DefinitionError) as caught:
        own_scenario(tmp_path / "backup", **given)
    assert message in str(caught.value)


def test_a_resource_cannot_be_changed_behind_the_back_of_a_scenario(tmp_path):
    spec = {"tags": ["a"]}
    resource = wfsim.Resource(
        "db", "orders", state="Running", spec=spec, annotations={"backup": "now"}
    )
    scenario = own_scenario(tmp_path / "backup", resources=[resource])
    first = wfsim.simulate(scenario).digest()
    spec["tags"].append("b")
    assert wfsim.simulate(scenario).digest() == first


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"flows": ["Backup"]}, "'Backup' is among the flows; give Flow(...)"),
        ({"resources": ["db"]}, "'db' is among the resources; give Resource(...)"),
        ({"horizon": float("nan")}, "horizon is nan; give seconds above 0 to 1e+12"),
        ({"lag": "1"}, "lag is '1'; give seconds from 0 to 1e+12"),
        ({"warm_up": 1e300}, "warm_up is 1e+300; give seconds from 0 to 1e+12"),
    ],
)
def test_a_keyword_of_the_wrong_type_is_refused_by_name(changes, problem):
    scenario = wfsim.Scenario.of_flow(wfsim.Flow("F", (wfsim.Step("S", duration=1),)))
    with pytest.raises(wfsim.DefinitionError) as refused:
        scenario.but(**changes)
    assert str(refused.value) == problem
