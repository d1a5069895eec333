"""Notebooks are tests: a cell that would not be compared is refused."""

from __future__ import annotations

import os
from collections import defaultdict

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


def never_ran(cell: IPyNbCell) -> bool:
    return bool(cell.cell.source.strip()) and cell.cell.execution_count is None


def ignored(cell: IPyNbCell) -> bool:
    return cell.options["skip"] or not cell.options["check"]


def refuse(notebook: IPyNbFile, why: str, cells: filter[IPyNbCell]) -> None:
    if numbers := [cell.cell_num for cell in cells]:
        raise pytest.UsageError(f"{notebook.path.name}: cells {numbers} have {why}")
