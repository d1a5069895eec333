"""A step takes as long in a long run as in a short one."""

from __future__ import annotations

import os

from tests.bench import growth

FULL = os.environ.get("WFSIM_FULL") == "1"
LENGTHS = (143, 142_858) if FULL else (143, 1_430)


def test_a_long_run_takes_as_long_as_short_ones_of_as_many_steps(capsys):
    # As many steps on both sides, and short runs before and after the long one: what
    # else the machine is busy with is spread over both.
    short, long = LENGTHS
    half = long // short // 2
    before = growth.of_a_step(short, half) * 1e6
    many = growth.of_a_step(long) * 1e6
    after = growth.of_a_step(short, half) * 1e6
    few = (before + after) / 2
    with capsys.disabled():
        print(
            f"\nus a step: {before:.1f} and {after:.1f} in runs of {7 * short:,} steps, "
            f"{many:.1f} in one of {7 * long:,}: {many / few:.2f} times"
        )
    assert many <= (1.2 if FULL else 2.0) * few
