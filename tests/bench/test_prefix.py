"""A crash from a prefix beside the same crash from the start, in the same rounds."""

from __future__ import annotations

from fake_resources import polardb
from tests.bench import prefix


def test_each_way_runs_as_many_crashes():
    scenario = polardb.scenario(1)
    counts = {name: way(scenario) for name, way in prefix.WAYS.items()}
    assert set(counts.values()) == {counts["afresh"]}


def test_the_ratios_are_printed(capsys):
    found = prefix.measured(rounds=1, replicas=1)
    with capsys.disabled():
        print(f"\n{prefix.table(found)}")
    assert [*found] == [*prefix.WAYS]
