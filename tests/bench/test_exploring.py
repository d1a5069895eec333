"""What a crash costs by `explore` and afresh, in calls of functions, which are exact."""

from __future__ import annotations

import pytest

from tests.bench.calls import calls
from tests.bench.exploring import cost, table
from tests.golden.subjects import subjects
from tests.sizes import FULL

FLOWS = ("polardb ModifyClass", *(["tiem CreateCluster"] if FULL else []), "nightly")


@pytest.mark.parametrize("name", FLOWS)
def test_a_crash_costs_a_third_of_the_calls_that_it_costs_afresh(name, capsys) -> None:
    subject = next(each for each in subjects() if each.name == name)
    found = cost(subject, calls)
    with capsys.disabled():
        print(f"\n{table([found]).splitlines()[0]}".replace(" s ", " calls "))
    assert found.ratio > 3.0
