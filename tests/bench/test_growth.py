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
def test_a_million_steps_take_as_long_in_one_run_as_in_a_thousand_runs(capsys):
    # As many steps on both sides, and short ones before and after the long one: what
    # else the machine is busy with is spread over both.
    before = growth.of_a_step("seconds", 143, 500) * 1e6
    many = growth.of_a_step("seconds", 142_858) * 1e6
    after = growth.of_a_step("seconds", 143, 500) * 1e6
    few = (before + after) / 2
    with capsys.disabled():
        print(
            f"\nus a step: {before:.1f} and {after:.1f} in runs of 1,001, {many:.1f} in "
            f"one of 1,000,006: {many / few:.2f} times"
        )
    assert many <= 1.2 * few
