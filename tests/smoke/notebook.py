"""A notebook that shows something else than it did is red: the comparison compares."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
SEED = re.compile(r"\bseed=(\d+)")


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """A copy of the first notebook that names a seed, with all that its test needs."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (folder / "conftest.py").write_text((ROOT / "notebooks/conftest.py").read_text())
    (tmp_path / "flows").symlink_to(ROOT / "flows")
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    seeded = next(path for path in paths if SEED.search(path.read_text()))
    copy = folder / seeded.name
    copy.write_text(seeded.read_text())
    return copy


def nbval(path: Path) -> subprocess.CompletedProcess[str]:
    settings = ("-c", ROOT / "pyproject.toml", "-p", "no:cacheprovider", "--quiet")
    return subprocess.run(
        [sys.executable, "-m", "pytest", *settings, "--nbval", path.name],
        cwd=path.parent,
        capture_output=True,
        text=True,
    )


def reseed(path: Path) -> None:
    saved = nbformat.read(path, as_version=4)
    for cell in saved.cells:
        if cell.cell_type == "code":
            cell.source = SEED.sub(lambda hit: f"seed={int(hit[1]) + 1}", cell.source)
    nbformat.write(saved, path)


def test_a_copied_notebook_is_green_and_turns_red_with_another_seed(
    notebook: Path,
) -> None:
    as_saved = nbval(notebook)
    assert as_saved.returncode == pytest.ExitCode.OK, as_saved.stdout
    reseed(notebook)
    changed = nbval(notebook)
    assert changed.returncode == pytest.ExitCode.TESTS_FAILED, changed.stdout
    assert "Cell outputs differ" in changed.stdout


@pytest.mark.parametrize("why", ["no saved run", "an output that is not compared"])
def test_a_cell_that_would_not_be_compared_is_refused(notebook: Path, why: str) -> None:
    saved = nbformat.read(notebook, as_version=4)
    cell = next(cell for cell in saved.cells if cell.cell_type == "code")
    if why == "no saved run":
        cell.execution_count = None
    else:
        cell.metadata["tags"] = ["nbval-ignore-output"]
    nbformat.write(saved, notebook)
    refused = nbval(notebook)
    assert refused.returncode == pytest.ExitCode.USAGE_ERROR, refused.stdout
    assert f"have {why}" in refused.stderr
