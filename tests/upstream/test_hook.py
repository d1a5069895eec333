"""What wf_hook_test asks."""

from __future__ import annotations

import pytest

import wfsim
from tests.changes import new

CALLS = [
    ("on_run_init", ()),
    ("on_step_init", ("step",)),
    ("on_step_waiting", ("step",)),
    ("on_step_completed", ("step",)),
    ("on_step_completed", (None,)),
    ("on_run_interrupt", ()),
    ("on_run_completed", ()),
]


@pytest.mark.parametrize(("name", "args"), CALLS)
def test_each_hook_of_the_base_class_takes_what_there_is_and_returns_nothing(
    flows, name, args
):
    run = new(flows["WF1"], wfsim.types.Key("db", "default", "x"))
    steps = [run.steps[0] if arg == "step" else arg for arg in args]
    assert getattr(wfsim.Hooks(), name)(run, *steps) is None
