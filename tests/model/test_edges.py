"""Flows with edges: what follows what, and what is refused when a file is read."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wfsim
from wfsim.errors import DefinitionError
from wfsim.files.flow_loader import load_flow, load_flows
from wfsim.model.flow import Flow, Outcome, Polling, Step
from wfsim.model.policy import Retry

SUCCESS, FAILURE, CANCEL = Outcome


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of flows, with the short name `flows` in messages."""
    monkeypatch.chdir(tmp_path)
    Path("flows").mkdir()
    return Path("flows")


def load(*steps, name="a", head="flowName: A"):
    text = f"{head}\nsteps:\n" + "".join(f"- {step}\n" for step in steps)
    Path(f"flows/{name}.yaml").write_text(text)
    return load_flow(f"flows/{name}.yaml")


def refusals(load, *args, **kwargs):
    with pytest.raises(DefinitionError) as caught:
        load(*args, **kwargs)
    return [str(each) for each in caught.value.problems]


STOP = """\
flowName: StopCluster
bizType: cluster
steps:
- className: management.stopCluster
  stepName: clusterStop
  mode: polling
  interval: 5
  limit: 60
  toleratedErrors: 2
  undo: management.startCluster
  onSuccess: end
  onFailure: fail
  onCancel: unlock
- classNames: [management.persistCluster, management.endMaintenance]
  stepName: end
  onFailure: fail
- className: management.setClusterFailure
  stepName: fail
  onSuccess: unlock
- className: management.endMaintenance
  stepName: unlock
"""


def test_a_flow_with_edges_loads_with_all_that_it_says(folder):
    (folder / "stop.yaml").write_text(STOP)
    assert load_flows(folder)["StopCluster"] == Flow(
        "StopCluster",
        (
            Step(
                "clusterStop",
                "management.stopCluster",
                polling=Polling(interval=5.0, limit=60, tolerated_errors=2),
                undo="management.startCluster",
                on_success="end",
                on_failure="fail",
                on_cancel="unlock",
            ),
            Step(
                "end",
                "management.persistCluster+management.endMaintenance",
                on_failure="fail",
            ),
            Step("fail", "management.setClusterFailure", on_success="unlock"),
            Step("unlock", "management.endMaintenance"),
        ),
        biz_type="cluster",
    )


def test_each_outcome_has_an_edge_of_its_own(folder):
    (folder / "stop.yaml").write_text(STOP)
    flow = load_flow("flows/stop.yaml")
    assert {
        step: [flow.after(step, outcome) for outcome in (SUCCESS, FAILURE, CANCEL)]
        for step in flow.names
    } == {
        "clusterStop": ["end", "fail", "unlock"],
        "end": [None, "fail", None],
        "fail": ["unlock", None, None],
        "unlock": [None, None, None],
    }
    assert flow.start == "clusterStop"
    assert flow.main_path() == ("clusterStop", "end")
    assert flow.handlers() == ("fail", "unlock")
    assert not flow.is_linear


def test_a_flow_without_edges_goes_on_in_order(folder):
    flow = load("stepName: X", "stepName: Y")
    assert flow.is_linear
    assert flow.main_path() == flow.names == ("X", "Y")
    assert [flow.after("X", outcome) for outcome in Outcome] == ["Y", None, None]
    assert [flow.after("Y", outcome) for outcome in Outcome] == [None, None, None]
    assert flow.handlers() == ()


def test_an_empty_flow_has_no_start():
    flow = Flow("Empty", ())
    assert (flow.start, flow.main_path(), flow.handlers()) == (None, (), ())


def test_one_edge_is_enough_for_the_order_to_mean_nothing(folder):
    flow = load("{stepName: X, onFailure: Fail}", "stepName: Fail")
    assert flow.after("X", SUCCESS) is None
    assert (flow.main_path(), flow.handlers()) == (("X",), ("Fail",))


def test_a_handler_may_lead_back_to_the_main_path(folder):
    flow = load(
        "{stepName: X, onSuccess: Y, onFailure: Repair}",
        "stepName: Y",
        "{stepName: Repair, onSuccess: Y}",
    )
    assert (flow.main_path(), flow.handlers()) == (("X", "Y"), ("Repair",))


def test_a_polled_step_takes_the_numbers_of_the_reference(folder):
    (step,) = load("{stepName: X, mode: polling}").steps
    assert step.polling == Polling(interval=3.0, limit=864_000, tolerated_errors=0)
    (step,) = load("{stepName: X, mode: sync}").steps
    assert step.polling is None


@pytest.mark.parametrize(
    ("numbers", "cure"),
    [
        ({"interval": 0.0}, "interval is 0.0; give seconds above 0"),
        ({"interval": float("inf")}, "interval is inf; give seconds above 0"),
        ({"limit": 0}, "limit is 0; give a whole number from 1"),
        ({"tolerated_errors": -1}, "tolerated_errors is -1; give a whole number from 0"),
    ],
)
def test_polling_without_sense_is_refused(numbers, cure):
    with pytest.raises(DefinitionError, match=f"Polling: {cure}"):
        Polling(**numbers)


def test_classes_run_as_one_step_in_their_order(folder):
    (step,) = load("{stepName: end, classNames: [p.A, q.B, p.A]}").steps
    assert (step.name, step.class_names) == ("end", ("p.A", "q.B", "p.A"))
    assert Step("X").class_names == ("X",)


def test_every_class_and_every_undo_must_be_known(folder):
    load("{stepName: X, classNames: [p.Take, p.Cpy], undo: p.Tak}", "stepName: Take")
    assert refusals(load_flows, folder, classes=["Take", "Copy"]) == [
        "flows/a.yaml:3: class 'p.Cpy' is not registered; did you mean 'Copy'?",
        "flows/a.yaml:3: class 'p.Tak' is not registered; did you mean 'Take'?",
    ]


# What a run under way would do otherwise, and what it would not.
PLAIN = {"name": "A", "class_name": "p.A"}


def digest_of(**more):
    end = Step("B")
    return Flow("F", (Step(**PLAIN | {"on_success": "B"} | more), end)).digest


def test_the_digest_of_a_flow_without_new_keys_is_what_it_was():
    flow = Flow("F", (Step("A", "p.A"), Step("B")))
    assert flow.digest == "a7861c8c4f40"


@pytest.mark.parametrize(
    "more",
    [
        {"polling": Polling()},
        {"undo": "p.B"},
        {"class_name": "p.A+p.B"},
        {"on_success": None, "on_failure": "B"},
        {"on_failure": "B"},
        {"on_cancel": "B"},
    ],
)
def test_the_digest_changes_with_what_a_run_would_do(more):
    assert digest_of(**more) != digest_of()


def test_the_digest_stays_when_a_number_is_tuned():
    assert digest_of(polling=Polling(1.0, 5, 5)) == digest_of(polling=Polling())
    flow = Flow("F", (Step("A"),))
    assert Flow("F", (Step("A"),), biz_type="host").digest == flow.digest


def test_an_edge_to_no_step_is_refused_with_the_nearest_there_is(folder):
    told = refusals(
        load,
        "{stepName: clusterStop, onSuccess: setOfline, onFailure: fail}",
        "stepName: setOffline\n  onSuccess: ende",
        "stepName: end",
        "stepName: fail",
    )
    assert told == [
        "flows/a.yaml:3: 'onSuccess' of 'clusterStop' leads to 'setOfline', which is no "
        "step here; did you mean 'setOffline'?",
        "flows/a.yaml:5: 'onSuccess' of 'setOffline' leads to 'ende', which is no "
        "step here; did you mean 'end'?",
    ]


def test_of_many_edges_to_no_step_some_are_told(folder):
    steps = [f"{{stepName: S{n}, onFailure: none}}" for n in range(100)]
    assert len(refusals(load, *steps)) == 20


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        (
            ["{stepName: A, onSuccess: B}", "{stepName: B, onSuccess: A}"],
            "4: 'onSuccess' of 'B' closes the circle A -> B -> A; "
            "lead it to a step that comes later",
        ),
        (
            [
                "{stepName: A, onSuccess: B}",
                "{stepName: B, onSuccess: C, onFailure: Fix}",
                "stepName: C",
                "stepName: Fix\n  onSuccess: B",
            ],
            "7: 'onSuccess' of 'Fix' closes the circle B -> Fix -> B; "
            "lead it to a step that comes later",
        ),
        (
            ["{stepName: A, onFailure: A}"],
            "3: step 'A' is its own 'onFailure'; for another try write 'retry'",
        ),
        (
            ["{stepName: A, onCancel: A}"],
            "3: step 'A' is its own 'onCancel'; lead it to another step",
        ),
        (
            [f"{{stepName: S{n}, onSuccess: S{(n + 1) % 10}}}" for n in range(10)],
            "12: 'onSuccess' of 'S9' closes the circle "
            "S0 -> S1 -> S2 -> S3 -> S4 -> ... -> S9 -> S0; "
            "lead it to a step that comes later",
        ),
        (
            [
                "{stepName: A, onFailure: F}",
                "stepName: F",
                "{stepName: X, onSuccess: Y}",
                "{stepName: Y, onSuccess: X}",
            ],
            "6: 'onSuccess' of 'Y' closes the circle X -> Y -> X; "
            "lead it to a step that comes later",
        ),
    ],
)
def test_a_circle_is_refused_at_the_edge_that_closes_it(folder, steps, problem):
    assert refusals(load, *steps) == [f"flows/a.yaml:{problem}"]


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        (
            ["{stepName: A, onFailure: F}", "stepName: B", "stepName: F"],
            "4: step 'B' is never reached: in a flow with edges nothing follows by "
            "order; write 'onSuccess: B' at 'A', or remove it",
        ),
        (
            ["{stepName: A, onSuccess: B}", "stepName: C", "stepName: B"],
            "4: step 'C' is never reached; let an edge lead to it, or remove it",
        ),
        (
            ["stepName: End", "{stepName: A, onSuccess: End}"],
            "4: step 'A' is never reached: the flow starts with 'End', its first step; "
            "list it first",
        ),
    ],
)
def test_a_step_that_is_never_reached_is_refused(folder, steps, problem):
    assert refusals(load, *steps) == [f"flows/a.yaml:{problem}"]


def test_a_business_flow_needs_a_step_to_start_with(folder):
    assert refusals(load, head="flowName: A\nbizType: host") == [
        "flows/a.yaml:3: 'steps' must be a list, got null"
    ]
    (folder / "a.yaml").write_text("flowName: A\nbizType: host\nsteps: []\n")
    assert refusals(load_flows, folder) == [
        "flows/a.yaml:1: the file has a bizType but no step to start with; add one"
    ]


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (
            "{stepName: X, interval: 3}",
            "item 1 of 'steps' has 'interval', which means nothing for a step that is "
            "not polled; add 'mode: polling' or remove it",
        ),
        (
            "{stepName: X, mode: sync, limit: 3}",
            "item 1 of 'steps' has 'limit', which means nothing for a step that is "
            "not polled; add 'mode: polling' or remove it",
        ),
        (
            "{stepName: X, toleratedErrors: 3}",
            "item 1 of 'steps' has 'toleratedErrors', which means nothing for a step "
            "that is not polled; add 'mode: polling' or remove it",
        ),
        ("{stepName: X, mode: poll}", "'mode' must be 'sync' or 'polling', got 'poll'"),
        (
            "{stepName: X, mode: polling, limit: 0}",
            "'limit' must be greater than or equal to 1, got 0",
        ),
        (
            "{stepName: X, mode: polling, interval: 0}",
            "'interval' must be greater than 0, got 0",
        ),
        (
            "{stepName: X, className: Y, classNames: [Z, Y]}",
            "item 1 of 'steps' has className and classNames; remove one",
        ),
        (
            "classNames: [Y, Z]",
            "item 1 of 'steps' has classNames, which make no name; add a stepName",
        ),
        (
            "{stepName: X, classNames: [Y]}",
            "'classNames' has too few items; it takes 2 or more",
        ),
        (
            "{stepName: X, classNames: [Y, a b]}",
            "item 2 of 'classNames' must be 1 to 200 letters, digits, '-', '_' or '.', "
            "as it becomes part of a ConfigMap key, got 'a b'",
        ),
        (
            "{stepName: X, onSuccess: }",
            "'onSuccess' has no value; write one or remove the key",
        ),
        (
            "{stepName: X, onSucess: X}",
            "unknown key 'onSucess'; did you mean 'onSuccess'?",
        ),
        (
            "{groupName: X, onSuccess: X}",
            "item 1 of 'steps' has a groupName, which stands alone; "
            "remove the other keys",
        ),
    ],
)
def test_a_step_that_makes_no_sense_is_refused(folder, step, problem):
    assert refusals(load, step) == [f"flows/a.yaml:3: {problem}"]


def test_a_kind_of_business_that_nobody_knows_is_refused(folder):
    assert refusals(load, "stepName: X", head="flowName: A\nbizType: hosts") == [
        "flows/a.yaml:2: 'bizType' must be 'cluster', 'host' or 'platform', got 'hosts'"
    ]


def test_a_misread_step_does_not_make_the_edges_around_it_look_wrong(folder):
    steps = ["{stepName: X, onSuccess: Y}", "{stepName: Y, duration: -1}"]
    (told,) = refusals(load, *steps)
    assert told.startswith("flows/a.yaml:4: 'duration' is wrong: ")


GROUP = "groupName: G\nsteps:\n- stepName: P\n- stepName: Q\n"


def test_groups_and_edges_do_not_mix(folder):
    (folder / "g_step_group.yaml").write_text(GROUP)
    steps = ["{stepName: X, onFailure: P}", "groupName: G"]
    text = "group 'G' is in a flow with edges, where order means nothing"
    assert refusals(load, *steps) == [f"flows/a.yaml:4: {text}; write its steps out"]
    steps = ["{className: G, onFailure: X}", "stepName: X"]
    assert refusals(load, *steps) == [f"flows/a.yaml:3: {text}; write its steps out"]


def test_a_group_has_no_edges(folder):
    (folder / "g_step_group.yaml").write_text(GROUP + "  onFailure: P\n")
    assert refusals(load, "stepName: X", "groupName: G") == [
        "flows/g_step_group.yaml:5: 'onFailure' means nothing in a group, whose steps "
        "run in order; write its steps into the flow instead"
    ]


def test_a_group_is_no_part_of_a_step(folder):
    (folder / "g_step_group.yaml").write_text(GROUP)
    assert refusals(load, "stepName: X\n  classNames: [p.A, G]") == [
        "flows/a.yaml:4: 'G' in 'classNames' is a group; give it an item of its own"
    ]
    assert refusals(load, "{className: G, undo: p.A}") == [
        "flows/a.yaml:3: 'undo' means nothing for group 'G'; write it there"
    ]


def test_steps_of_a_group_may_be_polled_composed_and_undone(folder):
    more = (
        "- {stepName: R, mode: polling, undo: p.A}\n- {stepName: S, classNames: [A, B]}\n"
    )
    (folder / "g_step_group.yaml").write_text(GROUP + more)
    assert load("groupName: G").steps[2:] == (
        Step("R", polling=Polling(), undo="p.A"),
        Step("S", "A+B"),
    )


def test_a_flow_made_in_python_is_checked_too():
    assert refusals(
        Flow,
        "A",
        (
            Step("X", on_success="Y", on_failure="Fial"),
            Step("Y", on_success="X"),
            Step("Fail"),
            Step("Fail"),
        ),
    ) == [
        "flow 'A': two steps are called 'Fail'; rename one",
        "flow 'A': 'onFailure' of 'X' leads to 'Fial', which is no step here; "
        "did you mean 'Fail'?",
        "flow 'A': 'onSuccess' of 'Y' closes the circle X -> Y -> X; "
        "lead it to a step that comes later",
    ]


@pytest.mark.parametrize(
    ("steps", "classes"),
    [
        ((Step("X", on_success="Y"), Step("Y")), "XY"),
        ((Step("X", polling=Polling()),), "X"),
        ((Step("X", undo="Y"),), "XY"),
        ((Step("X", "A+B"),), "AB"),
    ],
)
def test_a_scenario_names_every_class_that_has_no_code(steps, classes):
    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    told = refusals(
        wfsim.Scenario,
        resources=[wfsim.Resource("db", "db-0", state="Running")],
        machine=machine,
        flows=[Flow("A", steps, retry=Retry(limit=0))],
    )
    assert [line.partition("the class ")[2].partition(" has")[0] for line in told] == [
        repr(name) for name in classes
    ]


def test_a_long_flow_is_checked_in_one_go(folder):
    last = 9_999
    steps = [Step(f"S{n}", on_success=f"S{n + 1}") for n in range(last)]
    flow = Flow("Long", (*steps, Step(f"S{last}")))
    assert len(flow.main_path()) == last + 1


NAMES = "ABCDE"
TARGETS = st.sampled_from([None, *NAMES])
GRAPHS = st.lists(st.tuples(TARGETS, TARGETS, TARGETS), min_size=5, max_size=5)


def reached_from(name, graph):
    """Every step that a run may come to after *name*."""
    reached, more = set(), {name}
    while more:
        more = {t for n in more for t in graph[n] if t is not None} - reached
        reached |= more
    return reached


@given(GRAPHS)
def test_a_flow_is_taken_if_every_step_is_reached_and_none_leads_back_to_itself(edges):
    graph = dict(zip(NAMES, edges, strict=True))
    linear = not any(any(targets) for targets in edges)
    sound = not any(name in reached_from(name, graph) for name in NAMES)
    whole = {"A"} | reached_from("A", graph) == set(NAMES)
    keys = ("on_success", "on_failure", "on_cancel")
    steps = [Step(n, **dict(zip(keys, graph[n], strict=True))) for n in NAMES]
    try:
        flow = Flow("F", tuple(steps))
    except DefinitionError:
        assert not linear
        assert not (sound and whole)
    else:
        assert linear or (sound and whole)
        assert {*flow.main_path(), *flow.handlers()} == set(NAMES)
