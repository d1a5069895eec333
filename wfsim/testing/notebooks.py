"""Notebooks as tests, with nbval: each output compared, and none that would not be.

A ``conftest.py`` beside the notebooks imports two hooks, and ``pytest --nbval`` does it::

    from wfsim.testing.notebooks import pytest_collection_modifyitems, pytest_configure

What a notebook shows is saved, to be compared with, by
``python -m wfsim.testing.notebooks FILE...``.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping
from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "JUPYTER_PLATFORM_DIRS": "1",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
}
"""What kernels inherit: one hash order, no warning about paths, pictures inline."""

NOT_COMPARED = ("stderr", "image/svg+xml")
"""Beside PNG and JPEG; the sentence that a chart says of its picture is compared."""

SANITIZE = Path(__file__).with_name("sanitize.cfg")
"""What may differ from run to run: addresses of cells, temporary files, pixels."""


def pytest_configure(config: pytest.Config) -> None:
    """Set nbval to this Python, these rules and this environment, if it is on."""
    option = config.option
    if getattr(option, "nbval", False):
        option.nbval_current_env = True
        option.nbval_sanitize_with = option.nbval_sanitize_with or str(SANITIZE)
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        config.pluginmanager.register(_Changes())


class _Changes:
    """A hook that adds to the report of a red cell which lines of its text changed."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if isinstance(item, IPyNbCell) and report.when == "call" and report.failed:
            report.sections.append(("what it says now", _change_of(item)))
        return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Compare more than nbval would, and refuse what would not be compared.

    Raises `pytest.UsageError` naming the notebook and its cells.
    """
    cells: dict[IPyNbFile, list[IPyNbCell]] = defaultdict(list)
    for item in items:
        if isinstance(item, IPyNbCell):
            cells[item.parent].append(item)
    for notebook, its_cells in cells.items():
        notebook.skip_compare = (*notebook.skip_compare, *NOT_COMPARED)
        _refuse(notebook, "no saved run", filter(_never_ran, its_cells))
        _refuse(notebook, "an output that is not compared", filter(_ignored, its_cells))


def _change_of(cell: IPyNbCell) -> str:
    """Return which lines of a cell's text have gone (-) and come (+), and the cure."""
    file = os.path.relpath(cell.parent.path)
    saved, now = _lines_of(cell, cell.cell.outputs), _lines_of(cell, cell.test_outputs)
    changes = [*unified_diff(saved, now, lineterm="", n=0)][2:]
    lines = [line for line in changes if not line.startswith("@@")]
    return "\n".join(
        [
            f"{cell.parent.path.name}, cell {cell.cell_num}:",
            *(lines or ["something else than text"]),
            "If that is meant, save it with `make notebooks`, or with "
            f"`python -m wfsim.testing.notebooks {file}`, and look at the difference.",
        ]
    )


def _lines_of(cell: IPyNbCell, outputs: Iterable[Mapping[str, Any]] | None) -> list[str]:
    """Return the lines of text among *outputs*: what was printed, shown or raised."""
    texts = []
    for output in outputs or ():
        text = output.get("data", {}).get("text/plain", output.get("text", ""))
        error = f"{output['ename']}: {output['evalue']}" if "ename" in output else ""
        texts.append(cell.sanitize("".join(text) or error))
    return "\n".join(texts).splitlines()


def _never_ran(cell: IPyNbCell) -> bool:
    return bool(cell.cell.source.strip()) and cell.cell.execution_count is None


def _ignored(cell: IPyNbCell) -> bool:
    return bool(cell.options["skip"] or not cell.options["check"])


def _refuse(notebook: IPyNbFile, why: str, cells: Iterable[IPyNbCell]) -> None:
    if numbers := [cell.cell_num for cell in cells]:
        raise pytest.UsageError(f"{notebook.path.name}: cells {numbers} have {why}")


def execute(path: Path) -> None:
    """Run the notebook at *path* and save what it shows, to be compared with later.

    A cell that raises stops it, unless it has the tag ``raises-exception``.  Nothing is
    saved that changes from run to run: no timing, no widget state, no version of Python.
    """
    import nbformat
    from nbclient import NotebookClient

    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=300,
        record_timing=False,
        # Else how a text is cut into outputs would depend on the speed of the machine.
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    notebook.metadata.pop("widgets", None)
    notebook.metadata.get("language_info", {}).pop("version", None)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            # A widget's id is drawn anew each time; its text stays to be compared.
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    nbformat.write(notebook, path)


__all__ = ["execute", "pytest_collection_modifyitems", "pytest_configure"]

if __name__ == "__main__":
    for name in sys.argv[1:]:
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()
        execute(Path(name))
