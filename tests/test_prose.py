"""Prose is checked like code: plain words, each explained, none written twice."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = sorted([*ROOT.glob("wfsim/**/*.py"), *ROOT.glob("fake_resources/**/*.py")])
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NOTEBOOKS = sorted(ROOT.glob("notebooks/[0-9]*.ipynb"))
GLOSSARY = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")

# What a reader had to read twice, each with what is said in its place.
OBSCURE = {
    "what interrupts it do": "what interruptions do to it",
    "nothing was in its way": "it could have gone on",
    "cut short on purpose": "say what ended it",
    "is long in coming": "waits for a worker",
    "goes away if this": "is explained by this",
    "no plain value begins anew": "is no plain data",
    "come to some more": "add random ones",
    "those included that": "and those",
    "on its way out": "is being deleted",
    "live through": "be restarted",
    "come what may": "even if",
    "something ends so": "call this at the end",
    "its work undone": "before its code has run",
    "no change is told": "hear of no change",
    "hears what nobody": "affects no run",
    "whom nobody knows": "that does not exist",
    "known so well": "so precise",
    "nothing that a file could": "cannot be written",
    "given back;": "released",
    "let go of its tasks": "lost the tasks",
    "kept by then": "stored when",
    "what is new in the books": "register",
    "may come to nothing before": "may fail before",
    "what happens here already": "in the plan already",
    "give either t or write": "say whether both were given, or none",
}
FIRST_WORDS = re.compile(r"(Let|Have|Take it that|Take note|So often|What of) ")


def docstrings(path: Path) -> Iterator[str]:
    """The docstrings of *path*, also those of its constants."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for each in body if isinstance(body, list) else ():
            value = getattr(each, "value", None)
            if isinstance(each, ast.Expr) and isinstance(value, ast.Constant):
                yield str(value.value)


def prose(path: Path) -> str:
    """The text of a page or of a notebook, without code and without outputs."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        markdown = ["".join(c["source"]) for c in cells if c["cell_type"] == "markdown"]
        text = "\n\n".join(markdown)
    return re.sub(r"```.*?```|`[^`]*`", " ` ", text, flags=re.DOTALL)


def entries() -> dict[str, str]:
    """The words of the glossary, each with what it says of it."""
    found = re.findall(r"^(\*\*.+?\*\*)\n: (.+?)\n(?=\n|\Z)", GLOSSARY, re.M | re.S)
    return {
        word: text
        for names, text in found
        for word in re.findall(r"\*\*(.+?)\*\*", names)
    }


def test_what_had_to_be_read_twice_does_not_come_back():
    texts = {path: path.read_text(encoding="utf-8") for path in CODE}
    assert {
        f"{path.relative_to(ROOT)}: {phrase!r}; write {cure!r}"
        for path, text in texts.items()
        for phrase, cure in OBSCURE.items()
        if phrase in text
    } == set()


def test_a_docstring_begins_with_what_it_does_or_is():
    assert [
        f"{path.relative_to(ROOT)}: {text.splitlines()[0]}"
        for path in CODE
        for text in docstrings(path)
        if FIRST_WORDS.match(text)
    ] == []


@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS], ids=lambda path: path.stem)
def test_no_word_stands_twice_in_a_row_and_none_counts_one_as_many(path):
    text = prose(path)
    assert re.findall(r"\b([A-Za-z]{2,})[ \n]\1\b", text) == []
    assert re.findall(r"\b1 (?:steps|nodes|runs|mementos|faults)\b", text) == []


def test_an_operator_is_a_person_and_neither_he_nor_she():
    texts = {path.name: prose(path) for path in [*PAGES, *NOTEBOOKS]}
    assert [
        name for name, text in texts.items() if re.search(r"\b(he|she)\b", text)
    ] == []


def test_the_glossary_has_each_word_once_and_each_in_a_sentence():
    words = re.findall(r"\*\*(.+?)\*\*(?=[,\n])", GLOSSARY)
    assert len(words) == len(set(words)) > 35
    assert {
        *("flow", "run", "attempt", "pass", "record", "memento", "controller"),
        *("operator", "interrupted", "worker", "step", "world", "check", "digest"),
    } <= set(words)
    assert [word for word, text in entries().items() if not text.endswith(".")] == []


def test_a_word_that_the_glossary_refers_to_has_an_entry_of_its_own():
    referred = {
        word for text in entries().values() for word in re.findall(r"\*(\w+)\*", text)
    }
    known = set(re.findall(r"\*\*(.+?)\*\*", GLOSSARY))
    assert {word.removesuffix("s") for word in referred} - known == set()


def test_names_of_wfsim_in_the_glossary_are_there():
    import wfsim

    names = re.findall(r"`wfsim\.(\w+)", GLOSSARY)
    assert len(names) > 10
    assert [name for name in names if not hasattr(wfsim, name)] == []


def test_the_glossary_is_linked_where_a_reader_meets_its_words():
    pages = ["README.md", "docs/names.md", "docs/explanation/index.md"]
    for path in [*(ROOT / page for page in pages), *NOTEBOOKS[:6]]:
        assert "glossary.md" in path.read_text(encoding="utf-8"), path.name
