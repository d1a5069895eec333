"""The pages of the reference name everything that there is, and nothing else."""

from __future__ import annotations

import ast
import inspect
import json
import re

import pytest
import typer

import wfsim
from tests.docs.pages import DOCS, blocks, dictionary
from wfsim.cli.main import app
from wfsim.sim.faults import FAULTS

ROOT = DOCS.parent
NAMESPACES = ("clock", "demand", "errors", "replay", "testing", "types")
MODULES = ("charts", "design", "export", "tables")
DESCRIBED = [
    name
    for page in sorted((DOCS / "reference/api").glob("*.md"))
    for block in blocks(page)
    if block.lang == "{api}"
    for name in block.body.split()
]
IN_WORDS = {"Digest.summary", "Study.by_point"}
"""Frames whose columns are a user's own: the end of the dictionary tells of them."""


def names() -> list[str]:
    """Every name at the door, with what is behind its modules and namespaces."""
    behind = []
    for home in (*NAMESPACES, *MODULES):
        module = getattr(wfsim, home)
        own = [
            name
            for name, value in vars(module).items()
            if name[0] != "_" and getattr(value, "__module__", "") == module.__name__
            if inspect.isclass(value) or home == "design"
        ]
        listed = getattr(module, "__all__", own)
        behind += [f"{home}.{name}" for name in listed if not name.isupper()]
    door = {name for name in wfsim.__all__ if name not in MODULES}
    at_the_door = {f"errors.{name}" for name in door}
    return [*door, *({*behind} - at_the_door)]


def test_every_name_of_the_door_is_on_one_page_of_the_api():
    assert sorted(DESCRIBED) == sorted({*names()})


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_name_of_the_api_has_a_first_line_that_says_what_it_is(name):
    home, _, attribute = f"wfsim.{name}".rpartition(".")
    module = getattr(wfsim, home.partition(".")[2]) if "." in home else wfsim
    first = (inspect.getdoc(getattr(module, attribute)) or "").partition("\n")[0]
    assert first.endswith((".", "?")), first
    assert not first.startswith(("Let ", "Have ", "Take it that")), first


def test_the_page_on_faults_leads_to_each_of_them():
    page = (DOCS / "how-to/inject-a-fault.md").read_text(encoding="utf-8")
    assert [name for name in FAULTS if f"`{name}`" not in page] == []


def test_every_command_has_a_section_with_its_options():
    page = (DOCS / "reference/command-line.md").read_text(encoding="utf-8")
    commands = typer.main.get_command(app).commands
    assert sorted(re.findall(r"^## wfsim (\w+)$", page, re.M)) == sorted(commands)
    assert sorted(re.findall(r"^```\{options\} (\w+)$", page, re.M)) == sorted(commands)


@pytest.mark.parametrize("kind", ["flow", "scenario"])
def test_a_page_of_keys_shows_definitions_that_the_schema_has(kind):
    page = (DOCS / f"reference/{kind}-files.md").read_text(encoding="utf-8")
    schema = json.loads((ROOT / f"flows/{kind}.schema.json").read_text("utf-8"))
    shown = re.findall(rf"^```\{{keys\}} {kind} (\w+)$", page, re.M)
    assert shown
    assert {*shown} - {*schema["$defs"], "root"} == set()


def test_every_public_frame_has_a_table_in_the_dictionary():
    frames = {
        f"{owner.name}.{member.name}"
        for path in (ROOT / "wfsim").rglob("*.py")
        for owner in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(owner, ast.ClassDef) and not is_protocol(owner)
        for member in owner.body
        if isinstance(member, ast.FunctionDef) and member.name[0] != "_"
        if member.returns is not None and ast.unparse(member.returns) == "pd.DataFrame"
    }
    within = {"Branch.workers", "Lineage.of"}  # what a panel and a table are made of
    assert frames - {*dictionary()} - IN_WORDS - within == {"Debugger.diff"}


def is_protocol(node: ast.ClassDef) -> bool:
    """Whether a class says only what others have."""
    return any(ast.unparse(base) == "Protocol" for base in node.bases)


def test_what_the_dictionary_tells_in_words_is_there():
    page = (DOCS / "reference/tables.md").read_text(encoding="utf-8")
    assert [name for name in IN_WORDS if f"`{name}(" not in page] == []
