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


def nbval(*paths: Path) -> subprocess.CompletedProcess[str]:
    settings = ("-c", ROOT / "pyproject.toml", "--rootdir", paths[0].parent)
    quiet = ("-p", "no:cacheprovider", "--quiet")
    return subprocess.run(
        [sys.executable, "-m", "pytest", *settings, *quiet, "--nbval", *paths],
        cwd=paths[0].parent,
        capture_output=True,
        text=True,
    )


def reseeded(path: Path) -> Path:
    """Another copy, of which each seed is one more."""
    saved, other = nbformat.read(path, as_version=4), path.with_name("reseeded.ipynb")
    for cell in saved.cells:
        if cell.cell_type == "code":
            cell.source = SEED.sub(lambda hit: f"seed={int(hit[1]) + 1}", cell.source)
    nbformat.write(saved, other)
    return other


def test_a_copied_notebook_is_green_and_turns_red_with_another_seed(
    notebook: Path,
) -> None:
    compared = nbval(notebook, reseeded(notebook))
    assert compared.returncode == pytest.ExitCode.TESTS_FAILED, compared.stdout
    assert "Cell outputs differ" in compared.stdout
    red = re.findall(r"^FAILED (\S+?)::", compared.stdout, re.M)
    assert {*red} == {"reseeded.ipynb"}, compared.stdout
    # Which sentence it was, what it is now, and what to do about it.
    assert re.search(r"^reseeded\.ipynb, cell \d+:\n-.+\n\+.+$", compared.stdout, re.M)
    assert "save it with `make notebooks`" in compared.stdout


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
