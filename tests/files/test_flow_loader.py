"""A folder of YAML files becomes flows, or one error with everything that is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from wfsim.errors import DefinitionError
from wfsim.files.document import read_document
from wfsim.files.flow_loader import MAX_STEPS, flow_schema, load_flow, load_flows
from wfsim.model.duration import Duration
from wfsim.model.flow import Flow, Source, Step
from wfsim.model.policy import Retry

SHIPPED = read_document(Path(__file__).with_name("polardb_flows.yaml")).data
SCHEMA = Path(__file__).parents[2] / "flows" / "flow.schema.json"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of flows, with the short name `flows` in messages."""
    monkeypatch.chdir(tmp_path)
    Path("flows").mkdir()
    return Path("flows")


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)


def refusals(load, *args, **kwargs):
    with pytest.raises(DefinitionError) as caught:
        load(*args, **kwargs)
    return [str(each) for each in caught.value.problems]


def flow_of(*steps, name="A"):
    return f"flowName: {name}\nsteps:\n" + "".join(f"- {step}\n" for step in steps)


def group_of(name, *steps):
    return f"groupName: {name}\nsteps:\n" + "".join(f"- {step}\n" for step in steps)


def names(flow):
    return [(step.class_name, step.name) for step in flow.steps]


def test_a_flow_of_the_reference_loads_as_it_is(folder):
    write(
        folder,
        wf1="""\
flowName: WF1
recoverFromFirstStep: true
steps:
  - className: dbclusterwf.CreateStep1
    stepName: CreateStep1
  - className: dbclusterwf.CreateStep2
    stepName: Second
""",
    )
    assert load_flows(folder) == {
        "WF1": Flow(
            "WF1",
            (
                Step("CreateStep1", "dbclusterwf.CreateStep1"),
                Step("Second", "dbclusterwf.CreateStep2"),
            ),
            recover_from_first_step=True,
        )
    }


def test_our_own_keys_load_too(folder):
    write(
        folder,
        nightly="""\
flowName: NightlyBackup
retry: {limit: 3, restarts: 5, delay: 2, factor: 1.5, cap: 60}
timeout: 120
deadline: 3600.5
steps:
- stepName: TakeSnapshot
  duration: {uniform: [2, 4]}
  failure: 0.1
  retry: {limit: 0}
- stepName: CopyAway
  timeout: 30
  duration: {percentiles: {p50: 3, p99: 40}}
""",
    )
    assert load_flow(folder / "nightly.yaml") == Flow(
        "NightlyBackup",
        (
            Step(
                "TakeSnapshot",
                retry=Retry(limit=0),
                duration=Duration("uniform", (2.0, 4.0)),
                failure=0.1,
            ),
            Step(
                "CopyAway",
                timeout=30.0,
                duration=Duration.parse({"percentiles": {"p50": 3, "p99": 40}}),
            ),
        ),
        retry=Retry(3, 5, 2.0, 1.5, 60.0),
        timeout=120.0,
        deadline=3600.5,
    )


def test_flows_come_in_the_order_of_their_files(folder):
    write(folder, b=flow_of(name="First"), c=flow_of(name="Second"), a=flow_of(name="Z"))
    for each in folder.iterdir():
        each.write_text(each.read_text().replace("steps:", "steps: []"))
    assert list(load_flows(folder)) == ["Z", "First", "Second"]


def test_only_yaml_files_of_the_folder_itself_are_read(folder):
    write(folder, a=flow_of("stepName: X"))
    (folder / "notes.txt").write_text("{")
    (folder / "deeper").mkdir()
    (folder / "deeper" / "b.yaml").write_text("{")
    (folder / "c.yaml").mkdir()
    assert list(load_flows(folder)) == ["A"]


def test_a_flow_and_its_steps_know_where_they_are_written(folder):
    write(
        folder,
        a="# note\nflowName: A\nsteps:\n- stepName: X\n\n- groupName: G\n",
        g_step_group=group_of("G", "stepName: Y"),
    )
    flow = load_flows(folder)["A"]
    assert flow.source == Source("flows/a.yaml", 2)
    assert [str(step.source) for step in flow.steps] == [
        "flows/a.yaml:4",
        "flows/g_step_group.yaml:3",
    ]
    assert load_flow("flows/a.yaml").steps[1].source == flow.steps[1].source


def test_a_missing_step_name_is_the_last_part_of_the_class(folder):
    write(
        folder, a=flow_of("className: pkg.sub.Take", "className: Copy", "className: e.")
    )
    assert names(load_flows(folder)["A"]) == [
        ("pkg.sub.Take", "Take"),
        ("Copy", "Copy"),
        ("e.", "e."),
    ]


def test_a_missing_class_is_the_step_name(folder):
    write(folder, a=flow_of("stepName: Take"))
    assert names(load_flows(folder)["A"]) == [("Take", "Take")]


def test_an_empty_flow_is_legal_if_it_says_so(folder):
    write(folder, a="flowName: A\nsteps: []\n")
    assert load_flows(folder)["A"].steps == ()
    write(folder, a="flowName: A\n")
    assert refusals(load_flows, folder) == ["flows/a.yaml:1: 'steps' is missing; add it"]
    write(folder, a="flowName: A\nsteps:\n")
    assert refusals(load_flows, folder) == [
        "flows/a.yaml:2: 'steps' must be a list, got null"
    ]


def test_a_class_that_is_a_group_is_replaced_by_the_steps_of_the_group(folder):
    write(
        folder,
        wf2=flow_of(
            "{className: mock.Action, stepName: Step1}",
            "{className: Group1, stepName: Step2}",
            name="WF2",
        ),
        test_step_group=group_of(
            "Group1", "className: dbwf.GroupStep1", "className: dbwf.GroupStep2"
        ),
    )
    assert load_flows(folder, classes=["Action", "GroupStep1", "GroupStep2", "Group1"])[
        "WF2"
    ].names == ("Step1", "GroupStep1", "GroupStep2")


def test_groups_stand_in_groups_at_any_depth(folder):
    depth = 1500
    for n in range(depth):
        inner = f"groupName: G{n + 1}" if n + 1 < depth else "stepName: Innermost"
        text = group_of(f"G{n}", f"stepName: S{n}", inner)
        (folder / f"{n:04}_step_group.yaml").write_text(text)
    write(folder, a=flow_of("groupName: G0"))
    flow = load_flows(folder)["A"]
    assert flow.names == (*(f"S{n}" for n in range(depth)), "Innermost")


def test_everything_wrong_in_a_folder_is_told_at_once(folder):
    write(
        folder,
        a="""\
flowName: A
recoverFromFirstStep: yes
retry: {limit: -1, dela: 3, factor: 0.5, cap: .inf}
timeout:
deadline: "3"
steps:
- className: pkg.InitMeta
  stepNam: x
-
- className: pkg.CreatRwPod
- {stepName: 3}
- {groupName: G, stepName: x}
- {groupName: H}
- {duration: {uniform: [4, 2]}, stepName: q}
- {stepName: "a b"}
- {className: G1, retry: {}}
- {stepName: ""}
- {failure: 1.5, stepName: q3}
- {}
""",
        b="flowName: A\nsteps: []\n",
        c="- x\n",
        d="{",
        g_step_group=group_of("G1", "className: Create"),
        h_step_group="groupName: G2\nsteps: []\n",
    )
    name = (
        "must be 1 to 200 letters, digits, '-', '_' or '.', "
        "as it becomes part of a ConfigMap key"
    )
    assert refusals(
        load_flows, folder, classes={"InitMeta", "CreateRwPod", "Create"}
    ) == [
        "flows/a.yaml:2: 'recoverFromFirstStep' must be true or false, got 'yes'",
        "flows/a.yaml:3: 'limit' must be greater than or equal to 0, got -1",
        "flows/a.yaml:3: 'factor' must be greater than or equal to 1, got 0.5",
        "flows/a.yaml:3: 'cap' must be a finite number, got inf",
        "flows/a.yaml:3: unknown key 'dela'; did you mean 'delay'?",
        "flows/a.yaml:4: 'timeout' has no value; write one or remove the key",
        "flows/a.yaml:5: 'deadline' must be a number, got '3'",
        "flows/a.yaml:8: unknown key 'stepNam'; did you mean 'stepName'?",
        "flows/a.yaml:9: item 2 of 'steps' must be a mapping, got null",
        "flows/a.yaml:10: class 'pkg.CreatRwPod' is not registered; "
        "did you mean 'CreateRwPod'?",
        "flows/a.yaml:11: 'stepName' must be text, got 3; put it in quotes",
        "flows/a.yaml:12: item 5 of 'steps' has a groupName, which stands alone; "
        "remove the other keys",
        "flows/a.yaml:13: group 'H' is not there; known: 'G1', 'G2'",
        "flows/a.yaml:14: 'duration' is wrong: "
        "uniform takes its numbers in rising order, got (4.0, 2.0)",
        f"flows/a.yaml:15: 'stepName' {name}, got 'a b'",
        "flows/a.yaml:16: 'retry' means nothing for group 'G1'; write it there",
        f"flows/a.yaml:17: 'stepName' {name}, got ''",
        "flows/a.yaml:18: 'failure' must be less than or equal to 1, got 1.5",
        "flows/a.yaml:19: item 12 of 'steps' has no name; "
        "add className, stepName or groupName",
        "flows/b.yaml:1: flow 'A' is in flows/a.yaml:1 too; rename one",
        "flows/c.yaml:1: the file must be a mapping, got ['x']",
        "flows/d.yaml:1: not valid YAML: expected the node content, "
        "but found '<stream end>'; look at its indentation and quotes",
        "flows/h_step_group.yaml:2: 'steps' has too few items; it takes 1 or more",
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("timeout: 0", "'timeout' must be greater than 0, got 0"),
        ("timeout: true", "'timeout' must be a number, got true"),
        ("deadline: -1", "'deadline' must be greater than 0, got -1"),
        ("deadline: .nan", "'deadline' must be a finite number, got nan"),
        ("deadline: 1e300", "'deadline' must be less than or equal to 1000000000000, "),
        ("retry: 3", "'retry' must be a mapping, got 3"),
        ("retry: {limit: 1.0}", "'limit' must be a whole number, got 1.0"),
        (
            "retry: {limit: 9999999999}",
            "'limit' must be less than or equal to 1000000000, ",
        ),
        ("retry: {restarts: '3'}", "'restarts' must be a whole number, got '3'"),
        ("retry: {delay: -0.1}", "'delay' must be greater than or equal to 0, got -0.1"),
        ("retry: {cap: null}", "'cap' must be a number, got null"),
        ("flowname: B", "unknown key 'flowname'; did you mean 'flowName'?"),
        ("flow_name: B", "unknown key 'flow_name'; did you mean 'flowName'?"),
        (
            "recoverFromFirstStep: 1",
            "'recoverFromFirstStep' must be true or false, got 1",
        ),
        (
            "recoverFromFirstStep:",
            "'recoverFromFirstStep' must be true or false, got null",
        ),
        ("flowName: B", "key 'flowName' is on line 1 too; remove one"),
        ("steps: {}", "key 'steps' is on line 2 too; remove one"),
    ],
)
def test_a_value_out_of_its_range_or_type_is_refused(folder, line, problem):
    write(folder, a=f"flowName: A\nsteps: []\n{line}\n")
    (told,) = refusals(load_flows, folder)
    assert told.startswith(f"flows/a.yaml:3: {problem}")


@pytest.mark.parametrize(
    "value",
    [
        *("-1", "'3'", "true", "[1, 2]", "{gauss: 3}", "{}", "{uniform: [1]}"),
        *("{percentiles: {p50: 1}}", "{percentiles: {p1: 1, p1.0000000000000002: 2}}"),
    ],
)
def test_what_is_no_duration_is_refused(folder, value):
    write(folder, a=flow_of(f"{{stepName: X, duration: {value}}}"))
    (told,) = refusals(load_flows, folder)
    assert told.startswith("flows/a.yaml:3: 'duration' is wrong: ")


@pytest.mark.parametrize("key", ["flowName", "groupName"])
def test_a_flow_or_group_without_a_name_is_refused(folder, key):
    write(folder, a=flow_of("stepName: X"), b_step_group=group_of("G", "stepName: Y"))
    for path in folder.iterdir():
        path.write_text(path.read_text().replace(key, "timeout"))
    assert f"1: {key!r} is missing; add it" in "\n".join(refusals(load_flows, folder))


def test_a_name_may_be_200_characters_long(folder):
    write(folder, a=flow_of("stepName: X", name="n" * 200))
    assert list(load_flows(folder)) == ["n" * 200]
    write(folder, a=flow_of("stepName: X", name="n" * 201))
    assert "'flowName' must be 1 to 200 letters" in refusals(load_flows, folder)[0]


def test_two_groups_of_one_name_are_refused(folder):
    write(
        folder,
        a=flow_of("stepName: X"),
        g_step_group=group_of("G", "stepName: Y"),
        h_step_group="\n" + group_of("G", "stepName: Z"),
    )
    assert refusals(load_flows, folder) == [
        "flows/h_step_group.yaml:2: group 'G' is in flows/g_step_group.yaml:1 too; "
        "rename one"
    ]


def test_a_step_name_is_used_once_in_a_flow(folder):
    write(folder, a=flow_of("stepName: X", "stepName: Y", "{className: q.X}"))
    assert refusals(load_flows, folder) == [
        "flows/a.yaml:5: step 'X' is there already, from flows/a.yaml:3; "
        "step names are unique in a flow"
    ]


def test_a_group_is_used_once_in_a_flow(folder):
    write(
        folder,
        a=flow_of("className: G", "groupName: G"),
        g_step_group=group_of("G", "stepName: X", "stepName: Y", "stepName: Z"),
    )
    assert refusals(load_flows, folder) == [
        "flows/a.yaml:4: step 'X' (and 2 more) is there already, "
        "from flows/g_step_group.yaml:3; step names are unique in a flow"
    ]


def test_a_circle_of_groups_is_refused_and_shown(folder):
    write(
        folder,
        a=flow_of("stepName: X"),
        g_step_group=group_of("A", "stepName: Y", "className: B"),
        h_step_group=group_of("B", "groupName: C"),
        i_step_group=group_of("C", "groupName: A"),
        j_step_group=group_of("D", "groupName: D"),
    )
    assert refusals(load_flows, folder) == [
        "flows/g_step_group.yaml:4: group 'A' contains itself: A -> B -> C -> A; "
        "break the circle",
        "flows/j_step_group.yaml:3: group 'D' contains itself: D -> D; break the circle",
    ]


def test_a_bomb_of_groups_is_refused(folder):
    items = [f"stepName: S{n}" for n in range(MAX_STEPS // 2)]
    write(
        folder,
        a=flow_of("groupName: Half", *(f"stepName: T{n}" for n in range(MAX_STEPS // 2))),
        g_step_group=group_of("Half", *items),
    )
    assert len(load_flows(folder)["A"].steps) == MAX_STEPS
    write(
        folder, b=flow_of("groupName: Half", "groupName: Other", "stepName: X", name="B")
    )
    write(folder, h_step_group=group_of("Other", *(item + "b" for item in items)))
    assert refusals(load_flows, folder) == [
        f"flows/b.yaml:5: more than {MAX_STEPS} steps with this one; split the flow"
    ]


def test_a_bomb_of_repeated_groups_is_told_in_few_lines(folder):
    write(folder, a=flow_of("groupName: G20"))
    write(folder, b_step_group=group_of("G0", "stepName: X", "stepName: Y"))
    for n in range(20):
        text = group_of(f"G{n + 1}", *[f"groupName: G{n}"] * 10)
        (folder / f"c{n}_step_group.yaml").write_text(text)
    assert len(refusals(load_flows, folder)) == 20 * 9


@pytest.mark.parametrize("classes", [["pkg.Take"], ["Take"], {"Take", "pkg.Take"}])
def test_a_class_is_known_with_or_without_its_package(folder, classes):
    write(folder, a=flow_of("className: pkg.Take"))
    assert load_flows(folder, classes=classes)["A"].names == ("Take",)


def test_an_unknown_class_is_refused_with_the_nearest_there_is(folder):
    write(folder, a=flow_of("className: pkg.Tak", "stepName: Copi", "stepName: Zzzz"))
    assert refusals(load_flows, folder, classes=["Take", "Copy"]) == [
        "flows/a.yaml:3: class 'pkg.Tak' is not registered; did you mean 'Take'?",
        "flows/a.yaml:4: class 'Copi' is not registered; did you mean 'Copy'?",
        "flows/a.yaml:5: class 'Zzzz' is not registered; known: 'Copy', 'Take'",
    ]
    assert refusals(load_flows, folder, classes=())[0] == (
        "flows/a.yaml:3: class 'pkg.Tak' is not registered; known: none"
    )


def test_a_step_that_says_how_it_goes_needs_no_class(folder):
    write(
        folder,
        a=flow_of("{stepName: X, duration: 3}", "{className: p.Y, failure: 0}"),
    )
    assert load_flows(folder, classes=[])["A"].names == ("X", "Y")


def test_a_file_that_the_reference_would_skip_is_refused(folder):
    write(folder, a=flow_of("stepName: X"))
    (folder / "b.yml").write_text(flow_of("stepName: X", name="B"))
    (folder / "c.YAML").write_text(flow_of("stepName: X", name="C"))
    write(folder, d="3")
    told = [
        "flows/b.yml:1: the reference engine skips this file; rename it to b.yaml",
        "flows/c.YAML:1: the reference engine skips this file; rename it to c.yaml",
    ]
    assert refusals(load_flows, folder) == [
        *told,
        "flows/d.yaml:1: the file must be a mapping, got 3",
    ]
    assert refusals(load_flow, "flows/b.yml") == told[:1]


def test_a_group_in_a_file_with_the_name_of_a_flow_is_told_to_be_renamed(folder):
    write(folder, a=flow_of("stepName: X"), pods="\n" + group_of("G", "stepName: Y"))
    assert refusals(load_flows, folder) == [
        "flows/pods.yaml:2: is a step group; rename the file to pods_step_group.yaml"
    ]


def test_a_folder_without_flows_is_refused(folder):
    write(folder, g_step_group=group_of("G", "stepName: Y"))
    assert refusals(load_flows, folder) == [
        "flows:1: holds no flow; write one into a file that ends in .yaml"
    ]
    write(folder, g_step_group=group_of("G", "3"))
    assert refusals(load_flows, folder) == [
        "flows/g_step_group.yaml:3: item 1 of 'steps' must be a mapping, got 3",
        "flows:1: holds no flow; write one into a file that ends in .yaml",
    ]


def test_a_folder_whose_flows_are_in_folders_of_it_names_those(folder):
    for inner in ("near/by", "empty", "far"):
        (folder / inner).mkdir(parents=True)
    write(folder / "near/by", a=flow_of("stepName: X"))
    write(folder / "far", b=flow_of("stepName: X"))
    assert refusals(load_flows, folder) == [
        "flows:1: holds no flow; give one of its folders: flows/far, flows/near"
    ]


@pytest.mark.parametrize(
    ("place", "why"),
    [("nowhere", "No such file or directory"), ("flows/a.yaml", "Not a directory")],
)
def test_what_is_no_folder_is_refused(folder, place, why):
    write(folder, a=flow_of("stepName: X"))
    assert refusals(load_flows, place) == [
        f"{place}:1: cannot be read: {why}; give the folder of the flow files"
    ]


def test_one_flow_loads_from_a_folder_of_which_the_rest_is_wrong(folder):
    write(
        folder,
        a=flow_of("groupName: G"),
        b="{",
        c=flow_of("stepName: X"),
        g_step_group=group_of("G", "groupName: H"),
        h_step_group=group_of("H", "stepName: Y"),
        i_step_group=group_of("Unused", "{}"),
    )
    (folder / "d.yml").write_text("")
    assert load_flow("flows/a.yaml", classes=["Y"]).names == ("Y",)


def test_one_flow_answers_for_the_groups_that_it_uses(folder):
    write(
        folder,
        a=flow_of("groupName: G"),
        g_step_group=group_of("G", "groupName: H"),
        h_step_group=group_of("H", "stepName: Y", "stepName: Y"),
        i_step_group="{",
    )
    assert refusals(load_flow, "flows/a.yaml") == [
        "flows/h_step_group.yaml:4: step 'Y' is there already, from "
        "flows/h_step_group.yaml:3; step names are unique in a flow",
        "flows/i_step_group.yaml:1: not valid YAML: expected the node content, "
        "but found '<stream end>'; look at its indentation and quotes",
    ]


def test_one_flow_beside_you_needs_no_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    Path("a.yaml").write_text(flow_of("groupName: G"))
    Path("g_step_group.yaml").write_text(group_of("G", "stepName: Y"))
    flow = load_flow("a.yaml")
    assert [str(flow.source), str(flow.steps[0].source)] == [
        "a.yaml:1",
        "g_step_group.yaml:3",
    ]


def test_a_single_file_must_be_there_and_be_a_flow(folder):
    write(folder, g_step_group=group_of("G", "stepName: Y"))
    assert refusals(load_flow, "flows/g_step_group.yaml") == [
        "flows/g_step_group.yaml:1: is a step group; give the file of a flow"
    ]
    assert refusals(load_flow, "flows/none.yaml") == [
        "flows/none.yaml:1: cannot be read: No such file or directory; "
        "give the path of a file"
    ]


def test_the_flows_that_the_operator_ships_load_to_the_same_steps(tmp_path):
    for name, flow in SHIPPED.items():
        package = flow["package"]
        steps = [
            {"className": f"{package}.{step}", "stepName": step} for step in flow["steps"]
        ]
        path = tmp_path / flow["file"]
        path.parent.mkdir(exist_ok=True)
        recover = flow["recoverFromFirstStep"]
        content = {"flowName": name, "recoverFromFirstStep": recover, "steps": steps}
        path.write_text(yaml.safe_dump(content, sort_keys=False))
    loaded = load_flows(tmp_path / "shared") | load_flows(tmp_path / "local")
    assert loaded == {
        name: Flow(
            name,
            tuple(Step(step, f"{flow['package']}.{step}") for step in flow["steps"]),
            flow["recoverFromFirstStep"],
        )
        for name, flow in SHIPPED.items()
    }
    assert len(loaded) == 15


def test_pause_is_no_step_but_what_a_failure_does(folder):
    pausing = "{stepName: a, onSuccess: b, onFailure: pause}"
    write(folder, stop=flow_of(pausing, "{stepName: b}"))
    flow = load_flow(folder / "stop.yaml")
    assert [step.pauses for step in flow.steps] == [True, False]
    assert (flow.main_path(), flow.handlers()) == (("a", "b"), ())
    write(folder, stop=flow_of(pausing, "{stepName: b}", "{stepName: pause}"))
    assert refusals(load_flows, folder) == [
        "flows/stop.yaml:5: step 'pause' is never reached: 'onFailure: pause' stops the "
        "flow; rename the step"
    ]


def test_the_loader_sleeps_until_something_is_loaded():
    probe = (
        "import sys, wfsim.files.flow_loader; "
        "print({'yaml', 'pydantic'} & {*sys.modules})"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", probe]
    told = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert told.stdout == "set()\n"


def test_the_schema_in_the_repository_is_current():
    assert json.loads(SCHEMA.read_text()) == flow_schema(), (
        "the format of flow files has changed: wfsim schema > flows/flow.schema.json"
    )


GOOD = [
    {"flowName": "A", "steps": []},
    {"flowName": "A", "recoverFromFirstStep": True, "steps": [{"className": "p.X"}]},
    {"flowName": "A", "steps": [{"stepName": "X"}, {"groupName": "G"}]},
    {"flowName": "A", "retry": {"limit": 0}, "timeout": 1, "deadline": 0.5, "steps": []},
    {"flowName": "A", "steps": [{"stepName": "X", "duration": 3, "failure": 1}]},
    {"flowName": "A", "steps": [{"stepName": "X", "duration": {"uniform": [1, 2]}}]},
    {"flowName": "A", "steps": [{"stepName": "X", "duration": {"exponential": 3}}]},
    {"flowName": "A", "steps": [{"stepName": "X", "duration": {"lognormal": [-1, 2]}}]},
    {
        "flowName": "A",
        "steps": [{"stepName": "X", "duration": {"percentiles": {"p50": 3, "p99.9": 4}}}],
    },
    {"flowName": "A", "steps": [{"stepName": "X", "duration": {"gamma": [2, 3]}}]},
    {"flowName": "A", "steps": [{"stepName": "X", "duration": {"weibull": [2, 3]}}]},
    {"flowName": "A", "steps": [{"stepName": "X", "duration": {"empirical": [2, 3, 1]}}]},
    {
        "flowName": "A",
        "steps": [
            {"stepName": "X", "duration": {"percentiles": {"p5": 3, "p50": 4, "p99": 9}}}
        ],
    },
    {
        "flowName": "A",
        "steps": [
            {
                "stepName": "X",
                "duration": {
                    "mixture": [
                        {
                            "weight": 2,
                            "of": {"truncated": {"of": {"exponential": 3}, "low": 1}},
                        }
                    ]
                },
            }
        ],
    },
    {"flowName": "A", "bizType": "host", "steps": [{"stepName": "X", "mode": "sync"}]},
    {"flowName": "A", "steps": [{"stepName": "X", "classNames": ["p.Y", "p.Z"]}]},
    {
        "flowName": "A",
        "steps": [
            {"stepName": "X", "onSuccess": "Y", "onFailure": "Z", "onCancel": "Z"},
            {"stepName": "Y", "mode": "polling", "undo": "p.Z"},
            {"stepName": "Z", "mode": "polling", "interval": 0.5, "limit": 1},
        ],
    },
    {"flowName": "A", "steps": [{"stepName": "X", "onFailure": "pause"}]},
]
BAD = [
    [],
    {},
    {"flowName": "A"},
    {"flowName": "", "steps": []},
    {"flowName": "a b", "steps": []},
    {"flowName": "A", "steps": None},
    {"flowName": "A", "steps": [], "timeout": None},
    {"flowName": "A", "steps": [], "timeout": 0},
    {"flowName": "A", "steps": [], "extra": 1},
    {"flowName": "A", "steps": [None]},
    {"flowName": "A", "steps": [{}]},
    {"flowName": "A", "steps": [{"retry": {}}]},
    {"flowName": "A", "steps": [{"groupName": "G", "stepName": "X"}]},
    {"flowName": "A", "steps": [{"groupName": "G", "retry": {}}]},
    {"flowName": "A", "steps": [{"stepName": "X", "failure": 2}]},
    {"flowName": "A", "steps": [{"stepName": "X", "duration": -1}]},
    {"flowName": "A", "steps": [{"stepName": "X", "duration": {"gauss": 1}}]},
    {"flowName": "A", "steps": [{"stepName": "X", "duration": {"uniform": [1]}}]},
    {"flowName": "A", "steps": [{"stepName": "X", "duration": {"gamma": [0, 3]}}]},
    {"flowName": "A", "steps": [{"stepName": "X", "duration": {"weibull": [1]}}]},
    {"flowName": "A", "steps": [{"stepName": "X", "duration": {"empirical": []}}]},
    {"flowName": "A", "steps": [{"stepName": "X", "duration": {"mixture": []}}]},
    {
        "flowName": "A",
        "steps": [{"stepName": "X", "duration": {"mixture": [{"weight": 0, "of": 3}]}}],
    },
    {
        "flowName": "A",
        "steps": [
            {
                "stepName": "X",
                "duration": {"mixture": [{"weight": 1, "of": {"gauss": 1}}]},
            }
        ],
    },
    {"flowName": "A", "steps": [{"stepName": "X", "duration": {"truncated": {"of": 3}}}]},
    {
        "flowName": "A",
        "steps": [{"stepName": "X", "duration": {"truncated": {"low": 3}}}],
    },
    {"flowName": "A", "retry": {"limit": -1}, "steps": []},
    {"flowName": "A", "retry": {"limit": 1.5}, "steps": []},
    {"flowName": "A", "bizType": "host", "steps": []},
    {"flowName": "A", "bizType": "db", "steps": [{"stepName": "X"}]},
    {"flowName": "A", "steps": [{"stepName": "X", "mode": "poll"}]},
    {"flowName": "A", "steps": [{"stepName": "X", "interval": 3}]},
    {"flowName": "A", "steps": [{"stepName": "X", "mode": "sync", "limit": 3}]},
    {"flowName": "A", "steps": [{"stepName": "X", "toleratedErrors": 0}]},
    {"flowName": "A", "steps": [{"stepName": "X", "mode": "polling", "limit": 0}]},
    {"flowName": "A", "steps": [{"classNames": ["Y", "Z"]}]},
    {"flowName": "A", "steps": [{"stepName": "X", "classNames": ["Y"]}]},
    {"flowName": "A", "steps": [{"className": "X", "classNames": ["Y", "Z"]}]},
    {"flowName": "A", "steps": [{"stepName": "X", "onSuccess": None}]},
    {"flowName": "A", "steps": [{"groupName": "G", "onSuccess": "OfG"}]},
]


def loads(folder, content):
    """Whether the loader takes what an editor with the schema would be shown."""
    write(folder, a=yaml.safe_dump(content))
    write(folder, g_step_group=group_of("G", "stepName: OfG"))
    try:
        return bool(load_flows(folder))
    except DefinitionError:
        return False


@pytest.mark.parametrize("content", GOOD)
def test_the_schema_takes_what_loads(folder, content):
    assert loads(folder, content)
    Draft202012Validator(flow_schema()).validate(content)


@pytest.mark.parametrize("content", BAD)
def test_the_schema_refuses_what_does_not_load(folder, content):
    assert not loads(folder, content)
    assert not Draft202012Validator(flow_schema()).is_valid(content)


@pytest.mark.parametrize(
    ("content", "valid"),
    [
        ({"groupName": "G", "steps": [{"stepName": "X"}]}, True),
        ({"groupName": "G", "steps": []}, False),
        ({"groupName": "G", "steps": [{"stepName": "X"}], "retry": {}}, False),
    ],
)
def test_the_schema_is_for_groups_too(folder, content, valid):
    write(folder, a=flow_of("stepName: Z"), x_step_group=yaml.safe_dump(content))
    assert Draft202012Validator(flow_schema()).is_valid(content) is valid
    if valid:
        load_flows(folder)
    else:
        refusals(load_flows, folder)


def test_the_schema_is_a_schema_and_its_examples_obey_it():
    schema = flow_schema()
    Draft202012Validator.check_schema(schema)
    for name, part in schema["$defs"].items():
        examples = Draft202012Validator({"$defs": schema["$defs"], **part})
        for example in part.get("examples", ()):
            assert examples.is_valid(example), (name, example)
    for example in schema["$defs"]["Duration"]["examples"]:
        Duration.parse(example)


def test_a_link_that_leads_nowhere_is_refused_rather_than_passed_over(tmp_path):
    (tmp_path / "good.yaml").write_text("flowName: Good\nsteps: []\n")
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere.yaml")
    with pytest.raises(DefinitionError, match=r"gone\.yaml:1: "):
        load_flows(tmp_path)
