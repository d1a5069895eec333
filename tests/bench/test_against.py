"""Two checkouts in the same rounds; ``make bench OTHER=../before`` prints the ratios."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests import elsewhere
from tests.bench import against

ROOT, OTHER = elsewhere.HERE, os.environ.get("OTHER", "")
FEW = (
    "fresh world, one instance of seven steps, us",
    "W plain, us a step",
    "SimPy by hand, us a step",
    "calls of a step",
)


@pytest.fixture(scope="module")
def found():
    return against.compared(OTHER) if OTHER else against.compared(ROOT, 1, 100, FEW)


def test_each_figure_is_measured_of_both_checkouts(found, capsys):
    with capsys.disabled():
        print(f"\n{against.table(found)}" if OTHER else "")
    whole = (*against.TIMES, *against.EXACT, *against.BY_HAND)
    assert [*found] == [*(whole if OTHER else (*FEW, "W plain, ratio to SimPy by hand"))]
    assert all(there > 0 and here > 0 for there, here in found.values())


@pytest.mark.skipif(OTHER != "", reason="of two checkouts the calls may well differ")
def test_the_same_checkout_needs_as_many_calls(found):
    there, here = found["calls of a step"]
    assert there == here


def test_a_folder_without_the_packages_is_refused(tmp_path):
    command = elsewhere.command(tmp_path, "tests.bench.calls")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    child = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert child.returncode == 1
    package = ROOT / "wfsim" / "__init__.py"
    assert child.stderr == (f"{tmp_path} has no wfsim: {package} is what would be run\n")
    assert child.args[0] == sys.executable
