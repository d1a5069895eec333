"""The map of the house names files and things that are there."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = ("ARCHITECTURE.md", "CONTRIBUTING.md")
REFERENCE = re.compile(
    r"`((?:wfsim|fake_resources|tests|notebooks|flows|docs)/[\w/.-]*)(?:: ([\w.]+))?`"
)


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@cache
def names(path: Path) -> frozenset[str]:
    """What a module defines at its top, and what its classes do, as ``Class.name``."""
    return frozenset(_names(ast.parse(path.read_text(encoding="utf-8")).body, ""))


def _names(body: list[ast.stmt], prefix: str) -> list[str]:
    found = []
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.append(prefix + name)
            case ast.ClassDef(name=name):
                found += [prefix + name, *_names(node.body, f"{prefix}{name}.")]
            case ast.Assign(targets=[ast.Name(id=name)]):
                found.append(prefix + name)
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.append(prefix + name)
    return found


def section(page: str, title: str) -> str:
    return text(page).partition(f"## {title}\n")[2].partition("\n## ")[0]


def rows(page: str, title: str) -> list[str]:
    """The rows of the first table of a section, without its head."""
    lines = [line for line in section(page, title).splitlines() if line[:1] == "|"]
    return lines[2:]


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_refers_to_is_there(page):
    references = REFERENCE.findall(text(page))
    assert len(references) > 20
    gone = [path for path, _ in references if not (ROOT / path).exists()]
    assert gone == [], f"say in {page} where it is now"
    unknown = [
        f"{path}: {name}"
        for path, name in references
        if name and name not in names(ROOT / path)
    ]
    assert unknown == [], f"say in {page} what it is called now"


def test_a_step_takes_ten_rows_and_there_are_twelve_types():
    assert len(rows("ARCHITECTURE.md", "Twelve types")) == 12
    assert (
        len(rows("ARCHITECTURE.md", "One step, from the queue to the row of a table"))
        == 10
    )


def test_each_of_twenty_questions_has_an_answer():
    questions = rows("ARCHITECTURE.md", "Twenty questions")
    assert len(questions) >= 20
    assert [row for row in questions if not REFERENCE.search(row)] == []


def test_the_page_has_the_layers_that_the_linter_has():
    linter = tomllib.loads(text("pyproject.toml"))["tool"]["importlinter"]
    layers = linter["contracts"][0]["layers"]
    (block,) = re.findall(r"```text\n(.*?)```", text("ARCHITECTURE.md"), re.DOTALL)
    assert block.splitlines() == layers, "copy them from pyproject.toml to the page"


def test_the_files_that_the_design_names_are_there():
    named = re.findall(r"`([\w/]+\.py)`", text("DESIGN.md"))
    assert named
    gone = [
        each
        for each in named
        if not (ROOT / each).exists() and not (ROOT / "wfsim" / each).exists()
    ]
    assert gone == [], "say in DESIGN.md where it is now"
