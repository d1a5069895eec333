"""Ten days in virtual time: every step is there, and none of them is slept through."""

from __future__ import annotations

import time

import wfsim
from tests.bench import waiting


def test_ten_steps_of_a_day_each_take_ten_days_and_no_time(capsys):
    scenario = waiting.scenario()
    spent = []
    for _ in range(20):
        began = time.process_time()
        log = waiting.by_wfsim(scenario)
        spent.append(time.process_time() - began)
    steps = wfsim.tables.steps(log)
    assert list(steps["step"]) == list(waiting.NAMES)
    assert list(steps["end"]) == [day * 86_400.0 for day in range(1, 11)]
    assert set(steps["status"]) == {"completed"}
    with capsys.disabled():
        print(f"\nten steps of a day each: {min(spent) * 1e3:.2f} ms, aim 8.4 ms")
