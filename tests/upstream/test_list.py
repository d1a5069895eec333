"""UPSTREAM.md names every row of the upstream lists, and only tests that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
TEXT = (TESTS / "UPSTREAM.md").read_text()

# How many rows each list has: 155 cases of the engine, and what the specification adds.
ENGINE = {
    "PolarDB: statemachine_test": 11,
    "PolarDB: wf_manager_test": 17,
    "PolarDB: resource_workflow_test": 33,
    "PolarDB: wf_runtime_test": 38,
    "PolarDB: wf_runtime_memento_test": 14,
    "PolarDB: memento_storage": 7,
    "PolarDB: wf_meta_loader": 7,
    "PolarDB: wf_recover": 7,
    "PolarDB: wf_hook": 7,
    "PolarDB: wf_history_recorder": 11,
    "PolarDB: integration": 3,
}
# The 32 cases of TiUniManager's flow module, and what the specification adds.
TIEM = {
    "TiEM: workflow_test (T1 to T14)": 14,
    "TiEM: meta_test (T15 to T22)": 8,
    "TiEM: models/workflow (T23 to T32)": 10,
    "TiEM: neighbours (specification 7.4)": 4,
    "TiEM: stop, start, cancel, panic, restart (specification 3.5)": 13,
    "TiEM: not tested upstream (A1 to A15)": 15,
}
LISTS = ENGINE | {
    "PolarDB: operator tests": 5,
    "PolarDB: retry arithmetic (specification 4.4)": 9,
    "PolarDB: crash points (specification 5.5)": 19,
    "PolarDB: not tested upstream": 21,
    **TIEM,
}
TODO = "To do"
ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+) \|$", re.M)
REFERENCE = re.compile(r"`([\w/]+\.py)::(\w+)`")
LEFT = re.compile(r"^- ([^:]+: [^:]+): ([\d, ]+)", re.M)


def sections():
    parts = re.split(r"^## (.+)$", TEXT, flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def defined_in(path):
    tree = ast.parse((TESTS / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def left_to_do():
    return {name: list(map(int, rows.split(","))) for name, rows in LEFT.findall(TEXT)}


def test_the_engines_lists_have_155_cases():
    assert sum(ENGINE.values()) == 155


def test_the_lists_of_the_flow_module_have_32_cases():
    assert sum(list(TIEM.values())[:3]) == 32


def test_every_list_is_there_and_no_other():
    assert [*LISTS, TODO] == list(sections())
    assert left_to_do().keys() - LISTS.keys() == set()


@pytest.mark.parametrize(("name", "count"), LISTS.items())
def test_every_row_is_answered_once_or_left_to_do(name, count):
    numbers = [int(row) for row, _, _ in ROW.findall(sections()[name])]
    assert sorted(numbers + left_to_do().get(name, [])) == list(range(1, count + 1))


@pytest.mark.parametrize("name", [name for name in sections() if name != TODO])
def test_an_answer_is_a_test_or_the_reason_why_there_is_none(name):
    for row, _, answer in ROW.findall(sections()[name]):
        reason = answer.removeprefix("not here: ")
        is_reason = reason != answer and len(reason.split()) > 2
        assert REFERENCE.search(answer) or is_reason, f"row {row}: {answer}"


def test_every_test_that_is_named_exists():
    named = REFERENCE.findall(TEXT)
    assert len(named) > 155 + 32
    known = {path: defined_in(path) for path in {path for path, _ in named}}
    assert [f"{path}::{test}" for path, test in named if test not in known[path]] == []


def test_every_test_of_this_folder_is_named_but_those_of_the_list():
    named = {
        test for path, test in REFERENCE.findall(TEXT) if path.startswith("upstream")
    }
    here = [
        path
        for path in Path(__file__).parent.glob("test_*.py")
        if "list" not in path.name
    ]
    found = {
        test for path in here for test in defined_in(path) if test.startswith("test_")
    }
    assert found - named == set()
