"""Notebooks are tests: a cell that would not be compared is refused."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping
from difflib import unified_diff
from typing import Any

import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

# The kernels inherit these: one hash order, pictures inline, no warning about paths.
os.environ.setdefault("PYTHONHASHSEED", "0")
os.environ.setdefault("JUPYTER_PLATFORM_DIRS", "1")
os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")

NOT_COMPARED = ("stderr", "image/svg+xml")
"""Beside PNG and JPEG; the sentence that a chart says of its picture is compared."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    cells: dict[IPyNbFile, list[IPyNbCell]] = defaultdict(list)
    for item in items:
        if isinstance(item, IPyNbCell):
            cells[item.parent].append(item)
    for notebook, its_cells in cells.items():
        notebook.skip_compare = (*notebook.skip_compare, *NOT_COMPARED)
        refuse(notebook, "no saved run", filter(never_ran, its_cells))
        refuse(notebook, "an output that is not compared", filter(ignored, its_cells))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if isinstance(item, IPyNbCell) and report.when == "call" and report.failed:
        report.sections.append(("what it says now", change_of(item)))
    return report


def change_of(cell: IPyNbCell) -> str:
    """Return which lines of a cell's output have gone (-) and come (+), and the cure."""
    where = f"{cell.parent.path.name}, cell {cell.cell_num}"
    saved, shown = lines_of(cell, cell.cell.outputs), lines_of(cell, cell.test_outputs)
    changed = [*unified_diff(saved, shown, lineterm="", n=0)][2:]
    lines = [line for line in changed if not line.startswith("@@")]
    cure = "If that is meant, run `make notebooks` and look at the difference."
    return "\n".join(
        [f"{where}:", *(lines or ["not its text, but something else"]), cure]
    )


def lines_of(cell: IPyNbCell, outputs: Iterable[Mapping[str, Any]] | None) -> list[str]:
    """Return the lines of text among *outputs*: what was printed, shown or raised."""
    texts = []
    for output in outputs or ():
        shown = output.get("data", {}).get("text/plain", output.get("text", ""))
        raised = f"{output['ename']}: {output['evalue']}" if "ename" in output else ""
        texts.append(cell.sanitize("".join(shown) or raised))
    return "\n".join(texts).splitlines()


def never_ran(cell: IPyNbCell) -> bool:
    return bool(cell.cell.source.strip()) and cell.cell.execution_count is None


def ignored(cell: IPyNbCell) -> bool:
    return cell.options["skip"] or not cell.options["check"]


def refuse(notebook: IPyNbFile, why: str, cells: filter[IPyNbCell]) -> None:
    if numbers := [cell.cell_num for cell in cells]:
        raise pytest.UsageError(f"{notebook.path.name}: cells {numbers} have {why}")
