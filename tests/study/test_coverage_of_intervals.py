"""Intervals hold the truth about as often as they say; `coverage` is the full table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.sizes import FULL
from tests.study import coverage

WRITTEN = Path(__file__).with_name("coverage.txt").read_text(encoding="utf-8")
LINE = re.compile(r"(\w+) +(\d+)  (\w+) +([\d.]+)% +([\d.]+)%")


@pytest.mark.parametrize("system", coverage.SYSTEMS)
def test_intervals_hold_the_truth_about_as_often_as_they_say(system):
    studies, sizes = (300, (10, 20, 60)) if FULL else (40, (10,))
    found = list(coverage.rows(studies, sizes, [system]))
    print(coverage.table(found))
    written = {
        (name, int(size), measure): float(held) / 100
        for name, size, measure, held, _ in LINE.findall(WRITTEN)
    }
    # Binomial: of 40 studies 0.16 is three deviations at 88 %, of 300 it is 0.06.
    off = 0.06 if FULL else 0.16
    for row in found:
        expected = written[row.system, row.replications, row.measure]
        assert row.held == pytest.approx(expected, abs=off), row


def test_what_was_measured_is_written_down_in_full():
    rows = LINE.findall(WRITTEN)
    assert len(rows) == 2 * 3 * 4
    assert WRITTEN.rstrip().endswith("of 300 studies, at a confidence of 95%")
    held = {tuple(row[:3]): float(row[3]) for row in rows}
    assert min(held.values()) == held["single", "10", "total"] == 86.3
    assert min(each for (name, *_), each in held.items() if name == "queue") > 91.0
