"""The widgets of the Debugger: what they are called, how large, and where they stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ipywidgets as widgets

STYLE = Path(__file__).with_name("debugger.css")
SPEEDS = (1, 2, 5, 10)
"""How many records a second may be played."""

WHOLE = 20
"""In so many seconds the whole log is played, if that is faster."""

ZOOMS = (1, 4, 16, 64)
"""Into how many parts the strip may cut the run; it shows the one with the cursor."""


class Controls:
    """The widgets of one Debugger in `box`; they do nothing until they are listened to.

    Each has a class of its own in the page and a tooltip, which is its label for a screen
    reader.  All of it fits 650 pixels, as much as a notebook shows on a small laptop.
    """

    def __init__(self) -> None:
        button, html = widgets.Button, _html
        self.play = widgets.Play(min=0, max=1, interval=500, show_repeat=False)
        self.back_button = _classed(
            button(
                description="Back", icon="step-backward", tooltip="To the record before"
            ),
            "wfsim-back",
        )
        self.step_button = _classed(
            button(description="Step", icon="step-forward", tooltip="To the next record"),
            "wfsim-step",
        )
        self.slider = widgets.IntSlider(min=0, max=1, readout=False, tooltip="Record")
        self.readout = html("wfsim-readout")
        self.speed = widgets.Dropdown(
            options=[
                *((f"{speed} / s", speed) for speed in SPEEDS),
                (f"all in {WHOLE} s", 0),
            ],
            value=2,
            tooltip="Records a second",
        )
        self.run_choice = widgets.Dropdown(options=[], tooltip="The run that is shown")
        self._build_search()
        self.strip, self.cursor = html("wfsim-strip"), html("wfsim-at")
        self.record = html("wfsim-record")
        self.graph, self.steps = html("wfsim-graph"), html("wfsim-steps")
        self.memento, self.plan_shown = html("wfsim-memento"), html("wfsim-plan")
        self.crash_button = _classed(
            button(
                description="Crash here and run on", icon="bolt", button_style="danger"
            ),
            "wfsim-crash",
        )
        self.restart_after = widgets.BoundedFloatText(
            value=10.0, min=0.0, max=1e6, step=1.0, tooltip="Seconds of virtual time"
        )
        self.notice = html("wfsim-remark")
        self.play.add_class("wfsim-play")
        self.slider.add_class("wfsim-slider")
        self.run_choice.add_class("wfsim-runs")
        self.restart_after.add_class("wfsim-restart-after")
        self._arrange()

    def _build_search(self) -> None:
        """Make what chooses the rows of the strip and the records to go to."""
        text, choice = widgets.Text, widgets.Dropdown
        self.rows = _classed(
            text(placeholder="rows named …", tooltip="Show rows whose name holds this"),
            "wfsim-rows",
        )
        self.status = _classed(
            choice(options=[("any status", "")], tooltip="Show rows with this status"),
            "wfsim-status",
        )
        self.zoom = _classed(
            choice(
                options=[("whole run" if n == 1 else f"1/{n} of it", n) for n in ZOOMS],
                tooltip="How much of the run the strip shows",
            ),
            "wfsim-zoom",
        )
        self.target = _classed(
            choice(
                options=[
                    ("any record", "any"),
                    ("failure", "failure"),
                    ("crash", "crash"),
                    ("fault", "fault"),
                    ("this step", "step"),
                    ("this resource", "resource"),
                ],
                tooltip="What to look for",
            ),
            "wfsim-target",
        )
        self.search = _classed(
            text(
                placeholder="text, #12 or 40.5",
                continuous_update=False,
                tooltip="Text of a record, its number, or a time in seconds",
            ),
            "wfsim-search",
        )
        self.previous_button = _classed(
            widgets.Button(icon="angle-double-left", tooltip="Previous such record"),
            "wfsim-previous",
        )
        self.next_button = _classed(
            widgets.Button(icon="angle-double-right", tooltip="Next such record"),
            "wfsim-next",
        )
        self.clicked = _classed(widgets.Text(tooltip="Click"), "wfsim-clicked")

    def _arrange(self) -> None:
        size = widgets.Layout
        for narrow in (self.back_button, self.step_button):
            narrow.layout = size(width="82px", flex="0 0 auto")
        self.play.layout = size(flex="0 0 auto")
        self.slider.layout = size(flex="1 1 160px", min_width="120px")
        self.readout.layout = size(flex="0 0 auto")
        self.speed.layout = size(width="100px", flex="0 0 auto")
        self.run_choice.layout = size(width="240px", flex="0 1 auto")
        for field, width in (
            (self.rows, "120px"),
            (self.status, "110px"),
            (self.zoom, "96px"),
            (self.target, "116px"),
            (self.search, "150px"),
            (self.previous_button, "36px"),
            (self.next_button, "36px"),
        ):
            field.layout = size(width=width, flex="0 0 auto")
        self.crash_button.layout = size(width="auto", flex="0 0 auto")
        self.restart_after.layout = size(width="84px", flex="0 0 auto")
        self.graph.layout = size(flex="1 1 310px", min_width="0")
        self.steps.layout = size(flex="1 1 310px", min_width="0")
        self.memento.layout = size(flex="1 1 310px", min_width="0")
        wrap = size(flex_flow="row wrap")
        controls = [
            *(self.play, self.back_button, self.step_button, self.slider),
            *(self.readout, self.speed, self.run_choice),
        ]
        look = [
            *(widgets.Label("strip"), self.rows, self.status, self.zoom),
            *(widgets.Label("go to"), self.target, self.search),
            *(self.previous_button, self.next_button, self.clicked),
        ]
        inject = [
            self.crash_button,
            widgets.Label("restart after"),
            self.restart_after,
            widgets.Label("s"),
            self.notice,
        ]
        self.box = widgets.VBox(
            [
                widgets.HTML(f"<style>{STYLE.read_text(encoding='utf-8')}</style>"),
                _classed(widgets.HBox(controls, layout=wrap), "wfsim-controls"),
                _classed(widgets.HBox(look, layout=wrap), "wfsim-look"),
                _classed(widgets.Box([self.strip, self.cursor]), "wfsim-whole"),
                self.record,
                _classed(
                    widgets.HBox([self.graph, self.steps, self.memento], layout=wrap),
                    "wfsim-panels",
                ),
                _classed(widgets.HBox(inject, layout=wrap), "wfsim-inject"),
                self.plan_shown,
            ]
        )
        self.box.add_class("wfsim-debugger")


def _classed(widget: Any, name: str) -> Any:
    widget.add_class(name)
    return widget


def _html(name: str) -> Any:
    return _classed(widgets.HTML(), name)
