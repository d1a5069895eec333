"""The pages under docs/: every block runs, every link leads somewhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.docs import pages

LINK = re.compile(r"(?<!!)\[[^\]]+\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")


@pytest.fixture
def a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("WFSIM_TOKEN", raising=False)
    loaded = {*sys.modules}
    yield
    for module in {*sys.modules} - loaded:
        if Path(getattr(sys.modules[module], "__file__", None) or "").parent == tmp_path:
            del sys.modules[module]


@pytest.mark.usefixtures("a_folder")
@pytest.mark.parametrize(
    "page", [each for each in pages.PAGES if pages.blocks(each)], ids=pages.name
)
def test_the_blocks_of_a_page_run_and_print_what_it_says(page):
    for printed in pages.run(page):
        assert printed.is_right, (
            f"line {printed.line}: it prints\n{printed.got}\nnot\n{printed.wanted}"
        )


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name)
def test_what_a_page_links_to_is_there(page):
    gone = [
        f"{path}#{anchor}" if anchor else path
        for path, anchor in LINK.findall(page.read_text(encoding="utf-8"))
        if not is_there((page.parent / path) if path else page, anchor)
    ]
    assert gone == []


def is_there(target: Path, anchor: str) -> bool:
    """Whether there is such a file, and in it a heading that *anchor* is made of."""
    if not anchor or not target.is_file():
        return target.exists()
    titles = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.M)
    return anchor in [
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles
    ]


def test_every_page_stands_in_one_table_of_contents():
    contents = [
        (page.parent / line).resolve().relative_to(pages.DOCS.parent).as_posix()
        for page in pages.PAGES
        for block in pages.blocks(page)
        if block.lang == "{toctree}"
        for line in block.body.split()
        if line != ":hidden:"
    ]
    there = [page.relative_to(pages.DOCS.parent) for page in pages.PAGES]
    wanted = {path.with_suffix("").as_posix() for path in there} - {"docs/index"}
    assert sorted(entry for entry in contents if entry.startswith("docs/")) == sorted(
        wanted
    )
    notebooks = {
        path.stem for path in (pages.DOCS.parent / "notebooks").glob("[0-9]*.ipynb")
    }
    assert sorted(
        Path(entry).name for entry in contents if "notebooks/" in entry
    ) == sorted(notebooks)


def test_a_page_of_the_how_to_fits_two_screens():
    long = {
        pages.name(page): count
        for page in pages.PAGES
        if page.parent.name == "how-to"
        and (count := len(page.read_text(encoding="utf-8").splitlines())) > 140
    }
    assert long == {}
