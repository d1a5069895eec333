"""A step takes as long in a long run as in a short one."""

from __future__ import annotations

import pytest

from tests.bench import growth
from tests.sizes import FULL


@pytest.mark.skipif(not FULL, reason="minutes; the calls of a step are always counted")
def test_a_million_steps_take_as_long_in_one_run_as_in_a_thousand_runs(capsys):
    # As many steps on both sides, and short runs before and after the long one: what
    # else the machine is busy with is spread over both.
    before = growth.of_a_step(143, 500) * 1e6
    many = growth.of_a_step(142_858) * 1e6
    after = growth.of_a_step(143, 500) * 1e6
    few = (before + after) / 2
    with capsys.disabled():
        print(
            f"\nus a step: {before:.1f} and {after:.1f} in runs of 1,001 steps, "
            f"{many:.1f} in one of 1,000,006: {many / few:.2f} times"
        )
    assert many <= 1.2 * few
