"""The flow of ten one-day waits that the peers are measured with: nothing is missing."""

from __future__ import annotations

import wfsim
from tests.bench import waiting


def test_ten_steps_of_a_day_each_end_day_by_day():
    log = waiting.by_wfsim(waiting.scenario())
    steps = wfsim.tables.steps(log)
    assert list(steps["step"]) == list(waiting.NAMES)
    assert list(steps["end"]) == [day * 86_400.0 for day in range(1, 11)]
    assert set(steps["status"]) == {"completed"}
    assert waiting.outputs(log) == {name: name.lower() for name in waiting.NAMES}
