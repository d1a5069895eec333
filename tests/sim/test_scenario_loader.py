"""Scenarios from files: what may stand there, and what is said of what may not."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import wfsim
from wfsim import DefinitionError, Kind, Scenario
from wfsim.files.document import read_document
from wfsim.sim.faults import FAULTS
from wfsim.sim.scenario_schema import scenario_schema

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "flows" / "scenarios").glob("*.yaml"))
FLOW = """\
flowName: Backup
steps:
- stepName: Snapshot
  duration: 10
- stepName: Copy
  duration: {uniform: [20, 40]}
- stepName: Verify
"""


@pytest.fixture
def write(tmp_path):
    (tmp_path / "flow.yaml").write_text(FLOW)

    def written(text, name="scenario.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return written


def refused(path, overrides=None):
    """What is said of a file, without the folder that it is in."""
    with pytest.raises(DefinitionError) as error:
        Scenario.load(path, overrides or {})
    return [str(it).replace(f"{path.parent}/", "") for it in error.value.problems]


def times(log, kind, step=None):
    return [r.time for r in log.filter(kind) if step in (None, r.step)]


SERVICE = """\
flowName: Release
steps:
- stepName: Build
  duration: 10
  onSuccess: Rollout
  onFailure: Tell
- stepName: Rollout
  childFlow: Backup
  onFailure: Tell
- stepName: Tell
  failure: 0
"""


@pytest.mark.parametrize("flows", [".", "release.yaml"])
def test_flow_files_make_a_service_that_is_asked_for_flows(write, tmp_path, flows):
    own = tmp_path / "own"
    own.mkdir()
    (own / "release.yaml").write_text(SERVICE)
    if flows == ".":
        (own / "backup.yaml").write_text(FLOW)
    else:
        (own / "release.yaml").write_text(SERVICE.replace("childFlow: Backup", ""))
    path = write(
        f"flows: own/{flows}\n"
        "duration: 3\n"
        "arrivals: [{flow: Release, biz_id: 'app-{n}', at: [0, 100]}]\n"
        "steps: {Build: {failure: 1}}\n"
        "policy: {watch_tick: 0, nodes_per_tick: null}\n"
    )
    scenario = Scenario.load(path)
    assert scenario.is_service
    assert scenario.title == ("own" if flows == "." else "release")
    log = wfsim.simulate(scenario)
    assert times(log, Kind.STEP_STARTED) == [0.0, 10.0, 100.0, 110.0]
    log = wfsim.simulate(Scenario.load(path, {"steps.Build.failure": 0}), seed=1)
    runs = wfsim.tables.runs(log)
    names = ["Release", "Backup"] * 2 if flows == "." else ["Release"] * 2
    assert runs["flow"].tolist() == names
    assert set(runs["status"]) == {"completed"}


def test_a_flow_file_runs_on_as_many_resources_as_are_wanted(write):
    path = write(
        "flow: flow.yaml\n"
        "title: Three at once\n"
        "resources: [{name: 'db-{n}', count: 2}, {name: extra, spec: {size: 3}}]\n"
        "steps: {Copy: {duration: 5}, Verify: {uses: {hands: 1}}}\n"
        "duration: 2\n"
        "capacities: {pools: {hands: 1}, workers: 2}\n"
        "seed: 7\n"
    )
    scenario = Scenario.load(path)
    assert str(scenario) == "<Scenario Three at once: db-0, db-1, extra>"
    assert scenario.resources[2].spec == {"size": 3}
    assert {name: str(took) for name, took in scenario.assumed.items()} == {
        "Verify": "2 s"
    }
    log = wfsim.simulate(scenario)
    assert log.meta["seed"] == 7
    # Two at a time; the second one waits for the hands of the first.
    assert times(log, Kind.RUN_COMPLETED) == [17.0, 19.0, 34.0]


def test_what_arrives_and_what_is_changed_is_as_the_calls_say(write):
    write("time,who\n5,a\n\n1,b\n", "come.csv")
    write("[7, 3.5]\n", "come.yaml")
    path = write(
        "flow: flow.yaml\n"
        "resources: []\n"
        "arrivals:\n"
        "- {name: 'csv-{n}', file: come.csv}\n"
        "- {name: 'list-{n}', file: come.yaml, spec: {number: '{n}'}}\n"
        "- {name: once, at: [50]}\n"
        "- {name: 'often-{n}', rate: 0.1, until: 60}\n"
        "triggers:\n"
        "- {resource: each, at: [45], annotations: {note: '{n}'}}\n"
        "- {resource: csv-0, every: 10, start: 20, count: 2, status: {seen: true}}\n"
    )
    scenario = Scenario.load(path)
    (csv, listed, once, often) = scenario.arrivals
    assert (csv.times.at, listed.times.at) == ((1.0, 5.0), (3.5, 7.0))
    assert once.what == wfsim.Resource("resource", "once")
    assert often.times == wfsim.demand.Times(rate=0.1, until=60)
    assert scenario.triggers == (
        wfsim.demand.Trigger(
            wfsim.demand.Times(at=(45,)), "each", annotations={"note": "{n}"}
        ),
        wfsim.demand.Trigger(
            wfsim.demand.Times(every=10, start=20, count=2),
            "csv-0",
            status={"seen": True},
        ),
    )
    log = wfsim.simulate(scenario)
    assert log.fold().resources["list-1"].spec == {"number": "1"}
    assert log.fold().resources["csv-0"].status == {"seen": True}


def test_an_installed_scenario_gets_its_arguments_capacities_and_latencies(write):
    path = write(
        "scenario: polardb\n"
        "arguments: {replicas: 1, pod_failure: 0.25}\n"
        "operations: {latencies: {launch pod: 60}}\n"
        "capacities: {nodes: 2, pods_per_node: 3, storage_gb: 500}\n"
        "policy: {retry: {limit: 3}, cancel_tick: 1, timeout: 900}\n"
        "horizon: 3600\n"
        "warm_up: 60\n"
        "lag: 2\n"
    )
    scenario = Scenario.load(path)
    world = scenario.world()
    assert {name: node.capacity for name, node in world.nodes.items()} == {
        "node-1": 3,
        "node-2": 3,
    }
    assert world.storage.capacity == 500
    assert str(world._latencies["launch pod"]) == "60 s"
    assert (world._failures["launch pod"], scenario.lag) == (0.25, 2)
    assert (scenario.horizon, scenario.warm_up) == (3600, 60)
    assert scenario.policy == wfsim.Policy(
        retry=wfsim.Retry(limit=3), cancel_tick=1.0, timeout=900.0
    )


def test_each_operation_may_fail_with_a_probability_of_its_own(write):
    path = write(
        "scenario: polardb\n"
        "operations:\n"
        "  failures: {format volume: 1, launch pod: 0}\n"
        "  pod_failure: 0.25\n"
    )
    scenario = Scenario.load(path)
    assert scenario.world()._failures == {
        "launch pod": 0,
        "restart pod": 0.25,
        "format volume": 1,
    }
    (first, *_) = wfsim.simulate(scenario, seed=1).filter(Kind.STEP_FAILED)
    assert first.text.endswith(": OperationFailed: format volume for pv-mpd-0 failed")
    path = write("scenario: tiem\noperations: {failures: {EM ScaleOut: 0.5}}\n")
    assert Scenario.load(path).world()._failures == {"EM ScaleOut": 0.5}


def test_a_service_is_asked_for_flows(write):
    path = write(
        "scenario: tiem\n"
        "arrivals:\n"
        "- {flow: BackupCluster, biz_id: 'cluster-{n}', at: [10, 500]}\n"
        "- {flow: StopCluster, at: [800]}\n"
        "policy: {nodes_per_tick: 2}\n"
    )
    scenario = Scenario.load(path)
    assert scenario.policy == wfsim.Policy.service(nodes_per_tick=2)
    log = wfsim.simulate(scenario)
    begun = [
        (r.time, r.value.spec["flow"], r.value.spec["bizId"])
        for r in log.filter(Kind.RESOURCE_CREATED)
    ]
    # There is no cluster-0, and a flow that says of nothing is about the first cluster.
    assert begun == [
        (500.0, "BackupCluster", "cluster-1"),
        (800.0, "StopCluster", "cluster-1"),
    ]
    (refused,) = log.filter(Kind.PASS_FAILED)
    assert refused.time == 10.0
    assert refused.text.startswith("BackupCluster of cluster-0: ")


def test_faults_and_rates_are_those_of_the_calls(write):
    path = write(
        "flow: flow.yaml\n"
        "faults:\n"
        "- CrashAt: {t: 4, restart_after: 2}\n"
        "- FailStep: {step: Copy}\n"
        "rates: {api: {mtbf: 50, mttr: 2, count: 1}, controller: {mtbf: 5e5, mttr: 1}}\n"
    )
    scenario = Scenario.load(path)
    assert scenario.faults == (
        wfsim.CrashAt(t=4, restart_after=2),
        wfsim.FailStep("Copy"),
    )
    assert scenario.rates == {
        "controller": wfsim.demand.Rate(500_000, 1),
        "api": wfsim.demand.Rate(50, 2, count=1),
    }


WRONG = [
    ("[]\n", "1: the file must be a mapping, got []"),
    (
        "title: x\n",
        "1: give exactly one of these keys: scenario (a name), flow (a file), flows (a",
    ),
    (
        "flow: flow.yaml\nscenario: polardb\n",
        "1: give exactly one of these keys: scenario (a name), flow (a file), flows (a",
    ),
    (
        "flow: flow.yaml\nflows: .\n",
        "1: give exactly one of these keys: scenario (a name), flow (a file), flows (a",
    ),
    ("flows: gone.yaml\n", "gone.yaml:1: there is no such folder or file; give one"),
    ("flows: flow.yaml\ncapacities: {nodes: 2}\n", "2: capacities.nodes goes with"),
    (
        "flow: flow.yaml\n\narivals: []\n",
        "3: unknown key 'arivals'; did you mean 'arrivals'?",
    ),
    ("scenario: polarbd\n", "1: no scenario 'polarbd'; did you mean 'polardb'?"),
    (
        "scenario: polardb\narguments:\n  replica: 2\n",
        "3: 'replica' is no argument of 'polardb'; did you mean 'replicas'?",
    ),
    (
        "scenario: polardb\narguments:\n  name: a\n  replicas: two\n",
        "4: replicas must be a valid integer, got 'two'",
    ),
    (
        "scenario: polardb\narguments:\n  replicas: -1\n",
        "3: replicas is -1; give a whole number from 0 on",
    ),
    (
        "scenario: polardb\narguments: {clusters: 1000000000}\n",
        "2: clusters is 1000000000; give a number up to 1000000",
    ),
    (
        "scenario: polardb\narguments: {policy: {workers: 3}}\n",
        "2: write policy as policy, outside arguments",
    ),
    (
        "scenario: polardb\noperations:\n  latencies: {lunch pod: 3}\n",
        "3: no operation 'lunch pod'; did you mean 'launch pod'?",
    ),
    (
        "scenario: polardb\noperations:\n  failures:\n    launch pod: 0.1\n"
        "    lunch pod: 0.1\n",
        "5: no operation 'lunch pod'; did you mean 'launch pod'?",
    ),
    (
        "scenario: tiem\noperations:\n  failures:\n    Stop: 0\n    Strat: 0.1\n",
        "5: no operation 'Strat'; did you mean 'Start'?",
    ),
    (
        "scenario: polardb\noperations:\n  failures:\n    stop pod: 1\n"
        "    create pod: 1.5\n",
        "5: 'create pod' must be less than or equal to 1, got 1.5",
    ),
    (
        "scenario: polardb\noperations:\n  failures: {create pod: -0.5}\n",
        "3: 'create pod' must be greater than or equal to 0, got -0.5",
    ),
    (
        "scenario: polardb\noperations:\n  failures: {create pod: true}\n",
        "3: 'create pod' must be a number, got true",
    ),
    (
        "scenario: polardb\noperations:\n  failures: {create pod: often}\n",
        "3: 'create pod' must be a number, got 'often'",
    ),
    (
        "scenario: polardb\noperations:\n  failures: {create pod: }\n",
        "3: 'create pod' must be a number, got null",
    ),
    (
        "scenario: polardb\noperations: {failures: 0.1}\n",
        "2: 'failures' must be a mapping, got 0.1",
    ),
    (
        "scenario: polardb\narguments: {failures: {create pod: 1}}\n",
        "2: write failures as operations.failures, outside arguments",
    ),
    (
        "flow: flow.yaml\noperations:\n  failures: {create pod: 1}\n",
        "2: operations goes with scenario; the steps of a flow file have no code",
    ),
    (
        "scenario: tiem\ncapacities: {nodes: 3}\n",
        "2: 'nodes' is no argument of 'tiem'; known: 'failures', 'latencies', ",
    ),
    (
        "scenario: tiem\nresources: [{name: a}]\n",
        "2: a service has no resources; let flows arrive",
    ),
    (
        "scenario: tiem\narrivals:\n- {name: a, at: [1]}\n",
        "3: a service has flows alone; write flow, not name",
    ),
    (
        "scenario: tiem\narrivals:\n- {flow: BackupClustr, at: [1]}\n",
        "3: no flow 'BackupClustr'; did you mean 'BackupCluster'?",
    ),
    (
        "scenario: tiem\nfailure: 0.5\n",
        "2: failure goes with flow files, whose steps have no code; remove it",
    ),
    ("flow: gone.yaml\n", "gone.yaml:1: cannot be read: No such file or directory; "),
    (
        "flow: flow.yaml\ncapacities:\n  nodes: 3\n",
        "3: capacities.nodes goes with scenario; the steps of a flow file have no code",
    ),
    (
        "flow: flow.yaml\nsteps:\n  Copy: {}\n  Copi: {failure: 0.5}\n",
        "4: no step 'Copi'; did you mean 'Copy'?",
    ),
    (
        "flow: flow.yaml\nsteps:\n  Copy: {failure: 1.5}\n",
        "3: 'failure' must be less than or equal to 1, got 1.5",
    ),
    (
        "flow: flow.yaml\nsteps:\n  Copy: {uses: {hands: 3}}\n"
        "capacities: {pools: {hands: 2}}\n",
        "3: uses 3 of the pool 'hands', which has 2",
    ),
    (
        "flow: flow.yaml\nsteps:\n  Copy: {uses: {hand: 1}}\n"
        "capacities: {pools: {hands: 2}}\n",
        "3: no pool 'hand'; did you mean 'hands'?",
    ),
    (
        "flow: flow.yaml\nresources:\n- {name: a}\n- {name: b, count: 2}\n",
        "4: 'b' would be there 2 times; write {n} in it",
    ),
    (
        "flow: flow.yaml\nresources:\n- {name: a}\n- {name: a}\n",
        "4: a resource before is called 'a' too; rename one",
    ),
    (
        "flow: flow.yaml\nresources:\n- {name: 'a-{n}', count: 60000}\n"
        "- {name: 'b-{n}', count: 60000}\n",
        "2: more than 100000 resources; give fewer",
    ),
    (
        "flow: flow.yaml\nresources:\n- {name: a, kind: recource}\n",
        "3: no state machine for the kind 'recource'; did you mean 'resource'?",
    ),
    (
        "flow: flow.yaml\narrivals:\n- name: late\n  every: 5\n",
        "3: 'late' would come more than once; write a name such as 'late-{n}'",
    ),
    (
        "flow: flow.yaml\narrivals:\n- name: late-{n}\n",
        "3: give one of at, every, mean, rate, between and rates",
    ),
    (
        "flow: flow.yaml\narrivals:\n- {name: late, at: [1], biz_id: x}\n",
        "3: biz_id goes with flow; remove it",
    ),
    (
        "flow: flow.yaml\narrivals:\n- {name: 'a-{n}', file: gone.csv}\n",
        "3: gone.csv:1: cannot be read: No such file or directory; ",
    ),
    (
        "flow: flow.yaml\ntriggers:\n- {resource: resource-1, at: [3], spec: {a: 1}}\n",
        "3: no resource 'resource-1'; did you mean 'resource-0'?",
    ),
    (
        "flow: flow.yaml\ntriggers:\n- {at: [3]}\n",
        "3: give annotations, spec or status to set",
    ),
    (
        "flow: flow.yaml\nfaults:\n- CrashAt: {t: 3}\n- FailStep: {step: Copi}\n",
        "4: no step 'Copi'; did you mean 'Copy'?",
    ),
    (
        "flow: flow.yaml\nfaults:\n- CrashAt: {t: 3}\n- ChrashAt: {t: 4}\n",
        "4: unknown key 'ChrashAt'; did you mean 'CrashAt'?",
    ),
    (
        "flow: flow.yaml\nrates:\n  api: {mtbf: 1, mttr: 1}\n",
        "3: 302400 failures until the horizon; give until, count or a lower horizon",
    ),
    (
        "flow: flow.yaml\narrivals:\n- {name: 'a-{n}', every: 0.01}\n",
        "3: more than 10000000 times; give until or count",
    ),
    (
        "flow: flow.yaml\npolicy: {lease: 3}\n",
        "2: renew is 10.0; give less than lease, 3",
    ),
    ("flow: flow.yaml\nhorizon: 0\n", "2: 'horizon' must be greater than 0, got 0"),
    (
        "flow: flow.yaml\nseed: 1.5\n",
        "2: 'seed' must be a whole number, got 1.5",
    ),
    (
        "flow: flow.yaml\nwarm_up:\n",
        "2: 'warm_up' has no value; write one or remove the key",
    ),
]


@pytest.mark.parametrize(("text", "said"), WRONG, ids=[said[:50] for _, said in WRONG])
def test_what_is_wrong_is_told_with_its_line_and_a_cure(write, text, said):
    (problem,) = refused(write(text))
    where = said if said.startswith("gone") else f"scenario.yaml:{said}"
    assert problem.startswith(where)


def test_a_low_horizon_allows_for_more_in_a_second(write):
    path = write(
        "flow: flow.yaml\nhorizon: 60\n"
        "arrivals: [{name: 'a-{n}', every: 0.01}]\n"
        "rates: {api: {mtbf: 1, mttr: 1}}\n"
    )
    assert Scenario.load(path).horizon == 60
    assert refused(path, {"horizon": 1e6}) == [
        "scenario.yaml:3: more than 10000000 times; give until or count"
    ]


def test_all_problems_of_a_kind_are_told_at_once(write):
    path = write(
        "flow: flow.yaml\n"
        "arrivals:\n"
        "- {name: late, every: 5}\n"
        "- {name: 'late-{n}', at: [1], mean: 3}\n"
        "steps:\n"
        "  Copi: {failure: 0.5}\n"
    )
    assert refused(path) == [
        "scenario.yaml:6: no step 'Copi'; did you mean 'Copy'?",
        "scenario.yaml:3: 'late' would come more than once; "
        "write a name such as 'late-{n}'",
        "scenario.yaml:4: give one of at, every, mean, rate, between and rates",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "come.csv:1: has no column 'time'; known: none"),
        ("tim\n1\n", "come.csv:1: has no column 'time'; did you mean 'tim'?"),
        ("time\n", "come.csv:1: holds no time; write one in a line"),
        ("a,time\n1,2\n3\n", "come.csv:3: time is ''; give seconds from 0 to 1e+12"),
        ("time\n1\n-2\nnan\n", "come.csv:3: time is -2.0; give seconds from 0 to 1e+12"),
        ("time\n1e400\n", "come.csv:2: time is inf; give seconds from 0 to 1e+12"),
    ],
)
def test_a_file_of_times_that_is_wrong_is_told_with_its_line(write, text, said):
    write(text, "come.csv")
    path = write("flow: flow.yaml\narrivals: [{name: 'a-{n}', file: come.csv}]\n")
    assert refused(path)[0] == f"scenario.yaml:2: {said}"


def test_a_yaml_list_of_times_that_is_wrong_is_told_with_its_line(write):
    write("- 1\n- soon\n- true\n", "come.yaml")
    path = write("flow: flow.yaml\narrivals: [{name: 'a-{n}', file: come.yaml}]\n")
    assert refused(path) == [
        "scenario.yaml:2: come.yaml:2: time is 'soon'; give seconds from 0 to 1e+12",
        "scenario.yaml:2: come.yaml:3: time is true; give seconds from 0 to 1e+12",
    ]
    write("{}\n", "come.yaml")
    assert refused(path) == [
        "scenario.yaml:2: come.yaml:1: is {}; write a list of seconds: [0, 60, 90]"
    ]


def test_overrides_take_the_place_of_what_the_file_says(write):
    path = write(
        "flow: flow.yaml\n"
        "steps: {Copy: {failure: 0.1}}\n"
        "arrivals: [{name: 'a-{n}', mean: 60}]\n"
    )
    scenario = Scenario.load(
        path,
        {
            "steps.Copy.failure": 0.5,
            "steps.Verify.duration": 3,
            "arrivals.0.mean": 30,
            "capacities.pools": {"hands": 2},
            "policy.retry.limit": 4,
        },
    )
    assert scenario.settings["Copy"].failure == 0.5
    assert str(scenario.settings["Verify"].duration) == "3 s"
    assert scenario.arrivals[0].times.mean == 30
    assert (scenario.pools, scenario.policy.retry.limit) == ({"hands": 2}, 4)
    assert Scenario.load(path).settings["Copy"].failure == 0.1


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"step.Copy.failure": 1}, "unknown key 'step'; did you mean 'steps'?"),
        ({"steps.Copy.failur": 1}, "unknown key 'failur'; did you mean 'failure'?"),
        ({"steps.Copi.failure": 1}, "no step 'Copi'; did you mean 'Copy'?"),
        ({"steps.Copy.failure": 2}, "'failure' must be less than or equal to 1, got 2"),
        ({"arrivals.1.mean": 2}, "'1' is no item; the list has 1"),
        ({"flow.name": 2}, "'name' cannot be set in 'flow.yaml'"),
        ({"steps..failure": 2}, "an empty name; write a path such as "),
        ({"seed": {1, 2}}, "{1, 2} cannot be written in YAML"),
    ],
)
def test_an_override_that_is_wrong_is_told_by_its_path(write, overrides, said):
    path = write(
        "flow: flow.yaml\nsteps: {Copy: {}}\narrivals: [{name: 'a-{n}', mean: 60}]\n"
    )
    (name,) = overrides
    (problem,) = refused(path, overrides)
    assert problem.startswith(f"scenario.yaml: override {name!r}: {said}")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            {"operations.failures.creat pod": 0.1},
            "no operation 'creat pod'; did you mean 'create pod'?",
        ),
        (
            {"operations.failures.create pod": 2},
            "'create pod' must be less than or equal to 1, got 2",
        ),
        ({"operations.failure": {}}, "unknown key 'failure'; did you mean 'failures'?"),
    ],
)
def test_an_override_of_an_operation_that_is_wrong_is_told_by_its_path(
    write, overrides, said
):
    path = write("scenario: polardb\noperations: {failures: {launch pod: 0.1}}\n")
    (name,) = overrides
    assert refused(path, overrides) == [f"scenario.yaml: override {name!r}: {said}"]
    found = Scenario.load(path, {"operations.failures.create pod": 0.25})
    assert found.world()._failures == {"launch pod": 0.1, "create pod": 0.25}


def test_numbers_of_numpy_are_numbers(write):
    numpy = pytest.importorskip("numpy")
    path = write("flow: flow.yaml\n")
    found = Scenario.load(
        path, {"seed": numpy.int64(3), "steps.Copy.failure": numpy.float64(0.25)}
    )
    assert (found.seed, found.settings["Copy"].failure) == (3, 0.25)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_as_its_file_says(path):
    Draft202012Validator(scenario_schema()).validate(read_document(path).data)
    scenario = Scenario.load(path)
    log = wfsim.simulate(scenario)
    ended = [r for r in log if r.kind.value in ("run.completed", "run.interrupted")]
    assert len(ended) >= 3
    assert log.meta["title"] == scenario.title


def test_more_uplinks_make_nightly_backups_faster():
    path = ROOT / "flows" / "scenarios" / "backup_capacity.yaml"

    def mean(uplinks):
        made = Scenario.load(path, {"capacities.pools.uplink": uplinks})
        runs = wfsim.tables.runs(wfsim.simulate(made, seed=2))
        assert list(runs.status.unique()) == ["completed"]
        return runs.duration.mean()

    assert mean(1) > mean(2) > mean(26)


def test_a_service_in_a_file_may_go_on_at_once(write):
    text = "scenario: tiem\narrivals:\n- {flow: BackupCluster, at: [0]}\n"
    ticking = Scenario.load(write(text))
    at_once = "policy: {nodes_per_tick: null, watch_tick: 0}\n"
    scenario = Scenario.load(write(text + at_once))
    assert scenario.policy == wfsim.Policy.service(nodes_per_tick=None, watch_tick=0)
    waited = [
        [*wfsim.tables.breakdown(wfsim.simulate(made)).queued]
        for made in (ticking, scenario)
    ]
    assert waited[0][0] > 5
    assert waited[1] == [0.0]


@pytest.mark.parametrize("key", ["nodes_per_tick", "retention", "timeout", "deadline"])
def test_what_is_without_bound_is_null_in_a_policy_and_to_editors(write, key):
    scenario = Scenario.load(write(f"flow: flow.yaml\npolicy: {{{key}: null}}\n"))
    assert getattr(scenario.policy, key) is None
    editor = Draft202012Validator(scenario_schema())
    assert editor.is_valid({"flow": "flow.yaml", "policy": {key: None}})
    assert not editor.is_valid({"flow": "flow.yaml", "policy": {"lease": None}})


def test_an_annotation_that_is_taken_away_is_null_to_editors_too():
    trigger = {"resource": "a", "at": [3], "annotations": {"backup": None}}
    editor = Draft202012Validator(scenario_schema())
    assert editor.is_valid({"flow": "flow.yaml", "triggers": [trigger]})


def test_the_schema_in_the_repository_is_current():
    file = ROOT / "flows" / "scenario.schema.json"
    assert json.loads(file.read_text()) == scenario_schema(), (
        "the format of scenario files has changed: "
        "wfsim schema --of scenario > flows/scenario.schema.json"
    )
    Draft202012Validator.check_schema(scenario_schema())


@pytest.mark.parametrize("kind", FAULTS)
def test_the_schema_types_every_field_of_every_fault(kind):
    schema = scenario_schema()["$defs"]
    reference = schema["Fault"]["properties"][kind]["$ref"]
    described = schema[reference.rpartition("/")[2]]
    assert set(described["properties"]) == {it.name for it in fields(FAULTS[kind])}
    for name, field in described["properties"].items():
        assert {"type", "anyOf", "enum"} & field.keys(), f"{kind}.{name}: {field}"
        if field.get("type") in ("number", "integer"):
            assert {"maximum", "exclusiveMaximum"} & field.keys(), f"{kind}.{name}"


def test_the_schema_says_what_a_duration_is():
    editor = Draft202012Validator(scenario_schema())
    said = {"flow": "f.yaml", "steps": {"Copy": {"duration": {"uniform": [1, 2]}}}}
    assert list(editor.iter_errors(said)) == []
    said["steps"]["Copy"]["duration"] = {"unifrom": [1, 2]}
    assert [list(it.absolute_path) for it in editor.iter_errors(said)] == [
        ["steps", "Copy", "duration"]
    ]


# Whatever is in a file, it is a scenario or it is refused.

unhurried = settings(
    deadline=None,
    derandomize=True,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
KEYS = sorted(
    key
    for definition in (scenario_schema(), *scenario_schema()["$defs"].values())
    for key in definition.get("properties", ())
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**12),
    st.floats(),
    st.sampled_from(["", "a", "a-{n}", "each", "polardb", "tiem", "flow.yaml", "Copy"]),
    st.text(max_size=5),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from([*KEYS, "Copy", "CrashAt", "t"]), inner, max_size=3
        ),
    ),
    max_leaves=8,
)
ROOTS = [
    {
        "flow": "flow.yaml",
        "resources": [{"name": "a-{n}", "count": 2}],
        "arrivals": [{"name": "late-{n}", "mean": 60.0, "count": 3}],
        "triggers": [{"resource": "any", "every": 9.0, "status": {"x": 1}}],
        "steps": {"Copy": {"failure": 0.1, "uses": {"hands": 1}}},
        "capacities": {"pools": {"hands": 1}, "api_rate": {"per_second": 5.0}},
        "faults": [{"CrashAt": {"t": 3}}],
        "rates": {"api": {"mtbf": 5e5, "mttr": 2.0, "count": 2}},
    },
    {
        "scenario": "polardb",
        "arguments": {"replicas": 1, "name": "x-3", "clusters": 2},
        "operations": {"latencies": {"launch pod": {"uniform": [1, 2]}}},
        "capacities": {"nodes": 2, "workers": 3},
        "policy": {"retry": {"limit": 3}},
    },
    {
        "scenario": "tiem",
        "arrivals": [{"flow": "BackupCluster", "at": [3], "context": {"a": 1}}],
    },
]


def places(value, place=()):
    """Every place in *value* that something else could take."""
    yield place
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, inner in items:
        yield from places(inner, (*place, key))


def changed(root, place, value):
    if not place:
        return value
    if isinstance(root, dict):
        return {**root, place[0]: changed(root.get(place[0]), place[1:], value)}
    return [
        changed(item, place[1:], value) if index == place[0] else item
        for index, item in enumerate(root)
    ]


def assert_told(path, overrides=None):
    """That the file is a scenario, or else what is wrong is told, file first."""
    problems = ()
    try:
        assert isinstance(Scenario.load(path, overrides or {}), Scenario)
    except DefinitionError as error:
        problems = [str(each) for each in error.problems]
    assert all(text.startswith(str(path.parent)) for text in problems)


@unhurried
@given(data=st.data())
def test_a_mutated_file_is_a_scenario_or_is_refused(write, data):
    root = data.draw(st.sampled_from(ROOTS))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from([*places(root)]))
        if data.draw(st.booleans()):
            place = (*place, data.draw(st.sampled_from(KEYS)))
        try:
            root = changed(root, place, data.draw(VALUES))
        except (TypeError, AttributeError):
            continue  # a key in what is no mapping
    path = write(json.dumps(root), "fuzz.yaml")
    assert_told(path)


@unhurried
@given(path=st.text("abc.0steps", max_size=12), value=VALUES)
def test_any_override_gives_a_scenario_or_is_refused(write, path, value):
    file = write(json.dumps(ROOTS[0]), "base.yaml")
    assert_told(file, {path: value})
