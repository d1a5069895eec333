"""Recipes for studies: each block of code runs, and prints what the page says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
BLOCK = re.compile(r"```(python|text)\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", ["optimise.md", "downstream-api.md"])
def test_the_blocks_of_a_recipe_run_and_print_what_it_says(page):
    blocks = BLOCK.findall((PAGES / page).read_text(encoding="utf-8"))
    names: dict[str, object] = {}
    printed = ""
    for kind, text in blocks:
        if kind == "text":
            assert printed.rstrip() == text.rstrip()
            continue
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(text, page, "exec"), names)
        printed = out.getvalue()
