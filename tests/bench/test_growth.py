"""A step costs the same in a long run as in a short one, in time and in memory."""

from __future__ import annotations

import os

import pytest

from tests.bench import growth

FULL = os.environ.get("WFSIM_FULL") == "1"
BYTES = 2_000


def test_a_step_takes_a_bounded_amount_of_memory(capsys):
    few, many = (growth.of_a_step("bytes", instances) for instances in (143, 1_430))
    with capsys.disabled():
        print(f"\nbytes a step: {few:.0f} among 1,001, {many:.0f} among 10,010; aim 600")
    assert max(few, many) <= BYTES


@pytest.mark.skipif(not FULL, reason="minutes; the calls of a step are always counted")
def test_a_step_takes_as_long_among_a_million_as_among_a_thousand(capsys):
    rounds = [
        [growth.of_a_step("seconds", instances) * 1e6 for instances in (143, 14_300)]
        for _ in range(5)
    ]
    few, more = map(min, zip(*rounds, strict=True))
    many = growth.of_a_step("seconds", 142_858) * 1e6
    with capsys.disabled():
        print(
            f"\nus a step: {few:.1f} among 1,001, {more:.1f} among 100,100, "
            f"{many:.1f} among 1,000,006; {many / few:.2f} times"
        )
    assert many <= 1.2 * few
