"""Each notebook has one idea, says what the reader will know, and what to try."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("[0-9]*.ipynb"))


def prose(path: Path) -> str:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join(
        "".join(c["source"]) for c in cells if c["cell_type"] == "markdown"
    )


def test_the_numbers_of_the_notebooks_have_no_gap():
    numbers = [int(path.name[:2]) for path in NOTEBOOKS]
    assert numbers == list(range(1, len(NOTEBOOKS) + 1))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_says_what_one_will_know_concludes_and_sets_a_task(path):
    text = prose(path)
    assert text.startswith("# ")
    assert text.count("\n# ") == 0
    marks = ("*You will know*", "**So**", "**Try it**\n1. ")
    assert [mark for mark in marks if text.count(mark) != 1] == []
    assert "?" in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_leads_to_the_next_and_its_links_exist(path):
    text = prose(path)
    links = re.findall(r"\]\(([\w.]+\.ipynb)\)", text)
    assert [link for link in links if not (FOLDER / link).exists()] == []
    following = [*NOTEBOOKS[1:], NOTEBOOKS[0]][NOTEBOOKS.index(path)]
    assert links[-1] == following.name


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_number_in_the_prose_is_in_the_code_or_in_what_it_shows(path):
    """Else a sentence goes on saying what is no longer so; exercises may ask anything."""
    story = prose(path).partition("**Try it**")[0]
    said = numbers(re.sub(r"\]\([^)]*\)", "]", story))
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    shown = [cell["source"] for cell in code]
    for output in (output for cell in code for output in cell["outputs"]):
        shown += [output.get("text", []), output.get("data", {}).get("text/plain", [])]
    known = numbers("\n".join(map("".join, shown)))
    rounded = {f"{float(number):.0f}" for number in known}
    assert {n for n in said - known - rounded if float(n) >= 10} == set()


def numbers(text: str) -> set[str]:
    """The numbers in *text* that are no part of a name, without marks of thousands."""
    found = re.findall(r"(?<![\w.-])\d[\d,]*(?:\.\d+)?(?!\w)", text)
    return {number.replace(",", "") for number in found}
