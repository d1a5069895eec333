"""What wf_meta_loader_test asks, where no other test of ours answers it."""

from __future__ import annotations

import pytest

import wfsim
from wfsim.errors import DefinitionError


def test_the_flows_of_the_upstream_tests_load(flows):
    assert {name: flow.names for name, flow in flows.items()} == {
        "WF1": ("Step1", "Step2"),
        "WF2": ("Step1", "GroupStep1", "GroupStep2"),
    }
    assert flows["WF1"].recover_from_first_step
    assert not flows["WF2"].recover_from_first_step


@pytest.mark.parametrize("name", ["wf1.yaml", "test_step_group.yaml"])
def test_a_flow_or_group_that_is_no_yaml_is_refused_with_file_and_line(folder, name):
    (folder / name).write_text("flowName: [WF1\nsteps: }\n")
    with pytest.raises(DefinitionError, match=rf"{name}:2: "):
        wfsim.load_flows(folder)


def test_a_file_that_cannot_be_read_is_named(folder):
    (folder / "wf3.yaml").write_bytes(b"flowName: \xff")
    with pytest.raises(DefinitionError, match=r"wf3\.yaml:1: "):
        wfsim.load_flows(folder)
