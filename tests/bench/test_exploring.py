"""What a crash costs by `explore` and afresh, in seconds of the processor.

Calls of functions would be exact, but who profiles a run does not see those that are
made while the calls of a world are listened to.
"""

from __future__ import annotations

import pytest

from tests.bench.exploring import cost, seconds, table
from tests.golden.subjects import subjects
from tests.sizes import FULL

FLOWS = ("tiem BackupCluster", *(["tiem CreateCluster"] if FULL else []), "nightly")


@pytest.mark.parametrize("name", FLOWS)
def test_a_crash_costs_less_than_half_of_what_it_costs_afresh(name, capsys) -> None:
    """Four times and more is measured; half of that a busy machine has, too."""
    subject = next(each for each in subjects() if each.name == name)
    found = cost(subject, seconds)
    with capsys.disabled():
        print(f"\n{table([found]).splitlines()[0]}")
    assert found.ratio > 2.0
