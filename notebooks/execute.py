"""Run notebooks and save what they show: the reference that the tests compare with.

A cell that raises stops it, unless it has the tag ``raises-exception``.  Nothing is saved
that changes from run to run: no timing, no widget state, no version of Python.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def execute(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(
        notebook,
        timeout=300,
        record_timing=False,
        # Else how a text is cut into outputs would depend on the speed of the machine.
        coalesce_streams=True,
        resources=where,
    )
    client.execute()
    notebook.metadata.pop("widgets", None)
    notebook.metadata.get("language_info", {}).pop("version", None)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            # A widget's id is drawn anew each time; its text stays to be compared.
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(name, flush=True)
        execute(Path(name))
