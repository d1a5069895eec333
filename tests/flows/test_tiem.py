"""The flows that TiUniManager registers, compared with what is known of them."""

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from wfsim.files.document import read_document
from wfsim.files.flow_loader import flow_schema, load_flow, load_flows
from wfsim.model.flow import Outcome, Polling

FLOWS = Path(__file__).parents[2] / "flows"
FILES = sorted(FLOWS.glob("tiem/*/*.yaml"))
KNOWN = read_document(Path(__file__).with_name("tiem_main_paths.yaml")).data


@pytest.fixture(scope="module")
def shipped():
    """Every flow by its name; a name that is there twice would hide one."""
    flows = [
        flow
        for kind in ("cluster", "host", "platform")
        for flow in load_flows(FLOWS / "tiem" / kind).values()
    ]
    assert len({flow.name for flow in flows}) == len(flows)
    return {flow.name: flow for flow in flows}


def test_all_flows_are_there_and_no_others(shipped):
    assert shipped.keys() == KNOWN.keys()
    assert len(shipped) == 27


@pytest.mark.parametrize("name", KNOWN)
def test_a_run_without_a_failure_takes_the_main_path(shipped, name):
    flow, known = shipped[name], KNOWN[name]
    assert list(flow.main_path()) == known["mainPath"]
    assert flow.biz_type == known["bizType"]


@pytest.mark.parametrize("name", KNOWN)
def test_the_failure_of_each_step_leads_to_its_handler(shipped, name):
    flow, known = shipped[name], KNOWN[name]
    handler_of = {
        step: handler for handler, steps in known["failures"].items() for step in steps
    }
    for step in flow.main_path():
        handler = flow.after(step, Outcome.FAILURE)
        assert handler == handler_of.get(step)
    assert set(flow.handlers()) == set(known["failures"])
    for handler in flow.handlers():
        assert [flow.after(handler, outcome) for outcome in Outcome] == [None] * 3


@pytest.mark.parametrize("name", KNOWN)
def test_the_polled_steps_are_polled_as_in_the_reference(shipped, name):
    polled = {step.name: step.polling for step in shipped[name].steps if step.polling}
    assert polled == dict.fromkeys(KNOWN[name]["polling"], Polling())


def test_the_numbers_of_the_whole_are_those_of_the_reference(shipped):
    """Thirty-one composites in the reference, of which two are of one function."""
    steps = [step for flow in shipped.values() for step in flow.steps]
    assert {
        "steps": len(steps),
        "names": len({step.name for step in steps}),
        "polled": sum(step.polling is not None for step in steps),
        "composite": sum(len(step.class_names) > 1 for step in steps),
        "undone": sum(step.undo is not None for step in steps),
    } == {"steps": 207, "names": 100, "polled": 19, "composite": 29, "undone": 23}


def test_every_class_says_its_package(shipped):
    steps = [step for flow in shipped.values() for step in flow.steps]
    classes = [name for step in steps for name in (*step.class_names, step.undo) if name]
    assert {name.count(".") for name in classes} == {1}
    assert {name.partition(".")[0] for name in classes} == {
        *("backuprestore", "check", "importexport", "log", "management", "parameter"),
        *("resourcepool", "switchover"),
    }


def test_the_steps_of_one_flow_are_those_of_the_reference(shipped):
    flow = shipped["DeleteCluster"]
    assert [(step.name, step.class_names) for step in flow.steps] == [
        ("backupBeforeDelete", ("management.backupBeforeDelete",)),
        ("destroyCluster", ("management.destroyCluster",)),
        ("freedClusterResource", ("management.freedClusterResource",)),
        ("clearBackupData", ("management.clearBackupData",)),
        ("clearCDCLinks", ("management.clearCDCLinks",)),
        ("end", ("management.deleteCluster",)),
        ("fail", ("management.setClusterFailure", "management.endMaintenance")),
        ("revert", ("management.endMaintenance",)),
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_has_its_flow_s_name_its_schema_and_its_folder(file):
    schema = "# yaml-language-server: $schema=../../flow.schema.json\n"
    assert file.read_text().startswith(schema)
    flow = load_flow(file)
    assert file.stem.replace("_", "") == flow.name.lower()
    assert file.parent.name == flow.biz_type
    Draft202012Validator(flow_schema()).validate(read_document(file).data)
