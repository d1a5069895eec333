"""The gate: a step passes no more files than it did."""

from __future__ import annotations

import pytest

from tests.bench.way_of_a_step import WAYS, table

# Owed are 10, 24 and 32.  Notices, lines of code (`effects`), Ctrl-C (`terminal`), sites
# of faults and `standstill` came on the way since it was 31 and 36.
AT_MOST = {
    "an undisturbed step of a flow without code": 11,
    "simulate(nightly.yaml)": 33,
    "PolarDB with a crash": 41,
}


@pytest.mark.parametrize("name", WAYS)
def test_the_way_of_a_step_passes_no_more_files_than_it_may(name, capsys):
    calls = WAYS[name]()
    with capsys.disabled():
        print(f"\n{name}: {len(calls)} files (at most {AT_MOST[name]})")
    assert len(calls) <= AT_MOST[name], table(name, calls)


def test_the_steps_own_files_are_on_its_way():
    calls = WAYS["an undisturbed step of a flow without code"]()
    assert {"wfsim/sim/simulation.py", "wfsim/sim/clock.py"} <= {*calls}
