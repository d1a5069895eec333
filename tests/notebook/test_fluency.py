"""The Debugger never blocks for long without a bar, whatever one clicks in a long log."""

from __future__ import annotations

import cProfile
from collections.abc import Callable

import pytest

import wfsim
from wfsim import Debugger

CALLS = 200_000
"""So many calls of functions take 100 ms or less; their number is the same anywhere."""

RESOURCES = 920


@pytest.fixture(scope="module")
def long():
    """A log of 10,000 records, in which a controller dies and steps fail."""
    from tests.notebook.conftest import small

    names = [f"db-{number}" for number in range(RESOURCES)]
    crash = wfsim.CrashAt(t=20, restart_after=5)
    return wfsim.simulate(small(*names), faults=[crash], seed=1)


@pytest.fixture(scope="module")
def debugger(long):
    return Debugger(long)


def unseen_work(debugger: Debugger, handler: Callable[[], object]) -> int:
    """How many calls of functions *handler* makes while no bar is shown."""
    profile, layout = cProfile.Profile(), debugger.controls.bar.layout

    def shown_or_hidden(change):
        profile.disable()
        if change["new"] == "none":
            profile.enable()

    layout.observe(shown_or_hidden, "display")
    profile.enable()
    try:
        handler()
    finally:
        profile.disable()
        layout.unobserve(shown_or_hidden, "display")
    return sum(each.callcount for each in profile.getstats())


def handlers(debugger: Debugger, records: int) -> dict[str, Callable[[], object]]:
    """Whatever one may do with the widgets, in an order in which it does something."""
    c = debugger.controls

    def setter(widget, name, value):
        return lambda: setattr(widget, name, value)

    made = {
        "slide to the end": setter(c.slider, "value", records),
        "step at the end": c.step_button.click,
        "step back at the end": c.back_button.click,
        "slide to the middle": setter(c.slider, "value", records // 2),
        "step in the middle": c.step_button.click,
        "play on": lambda: setattr(c.play, "value", c.play.value + 50),
        "zoom in": setter(c.zoom, "value", 64),
        "zoom out": setter(c.zoom, "value", 1),
        "rows named": setter(c.rows, "value", "db-1"),
        "all rows": setter(c.rows, "value", ""),
        "one status": setter(c.status, "value", "failed"),
        "any status": setter(c.status, "value", ""),
        "words that are nowhere": setter(c.search, "value", "no such words"),
        "no words": setter(c.search, "value", ""),
        "failures": setter(c.target, "value", "failure"),
        "next": c.next_button.click,
        "previous": c.previous_button.click,
        "a number": setter(c.search, "value", f"#{records - 3}"),
        "a time": setter(c.search, "value", "12.5 s"),
        "click": setter(c.clicked, "value", "0.5 700"),
    }
    for panel in c.panel.options:
        made[f"show {panel}"] = setter(c.panel, "value", panel)
        made[f"slide with {panel}"] = setter(c.slider, "value", 40 + records // 3)
        made[f"step with {panel}"] = c.step_button.click
        made[f"slide far with {panel}"] = setter(c.slider, "value", records - 40)
    made["memento again"] = setter(c.panel, "value", "memento")
    made["inject"] = c.inject_button.click
    made["beside"] = setter(c.beside, "value", 0)
    made["step beside"] = c.back_button.click
    made["another run"] = setter(c.run_choice, "value", 0)
    return made


def test_no_handler_works_long_without_a_bar(debugger, long):
    assert 10_000 <= len(long) < 11_000
    work = {
        name: unseen_work(debugger, handler)
        for name, handler in handlers(debugger, len(long)).items()
    }
    assert len(debugger.runs) == 2
    assert {name: calls for name, calls in work.items() if calls > CALLS} == {}
