"""The widgets of the Debugger: what they are called, how large, and where they stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
    *panels* are what the third panel may show.
    """

    def __init__(self, panels: Iterable[str]) -> None:
        button, html = widgets.Button, _html
        self.play = widgets.Play(
            min=0, max=1, interval=500, show_repeat=False, tooltip="Play or pause; stop"
        )
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
        self.detail, self.compared = html("wfsim-memento"), html("wfsim-compared")
        self.plan_shown = html("wfsim-plan")
        self._build_forks(panels)
        self.notice = html("wfsim-remark")
        self.play.add_class("wfsim-play")
        self.slider.add_class("wfsim-slider")
        self.run_choice.add_class("wfsim-runs")
        self._size()
        self._arrange()

    def show_bar(self, share: float | None) -> None:
        """Show how far something has come, from 0 to 1; None when it is over."""
        self.bar.value = share or 0.0
        self.bar.layout.display = "none" if share is None else None

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Show the bar while something is done that says not how far it has come."""
        self.show_bar(0.0)
        try:
            yield
        finally:
            self.show_bar(None)

    def _build_forks(self, panels: Iterable[str]) -> None:
        """Make what injects faults, and what shows two runs side by side."""
        text, choice = widgets.Text, widgets.Dropdown
        self.fault = _classed(
            choice(options=[], tooltip="The fault to inject at the cursor"),
            "wfsim-fault",
        )
        self.arguments = _classed(
            text(tooltip="Arguments of the fault; here is the cursor"), "wfsim-arguments"
        )
        self.name = _classed(
            text(placeholder="name of the fork", tooltip="What the fork is called"),
            "wfsim-name",
        )
        self.inject_button = _classed(
            widgets.Button(description="Inject", icon="bolt", button_style="danger"),
            "wfsim-inject-button",
        )
        self.bar = _classed(
            widgets.FloatProgress(min=0.0, max=1.0, tooltip="How far it has come"),
            "wfsim-bar",
        )
        self.beside = _classed(
            choice(options=[("beside nothing", -1)], tooltip="The run to compare with"),
            "wfsim-beside",
        )
        self.panel = _classed(
            choice(options=tuple(panels), tooltip="What the third panel shows"),
            "wfsim-panel",
        )

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
                    ("breakpoint", "breakpoint"),
                    ("this step", "step"),
                    ("this resource", "resource"),
                ],
                tooltip="What to look for",
            ),
            "wfsim-target",
        )
        self.search = _classed(
            text(
                placeholder="words, #12 or 40.5",
                continuous_update=False,
                tooltip="Words of a record, its number, or a time in seconds",
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

    def _size(self) -> None:
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
        for field, width in (
            (self.fault, "130px"),
            (self.arguments, "290px"),
            (self.name, "130px"),
            (self.inject_button, "84px"),
            (self.beside, "150px"),
            (self.panel, "116px"),
        ):
            field.layout = size(width=width, flex="0 1 auto")
        self.bar.layout = size(width="110px", flex="0 0 auto", display="none")
        self.compared.layout = size(flex="1 1 100%", min_width="0", display="none")
        self.graph.layout = size(flex="1 1 310px", min_width="0")
        self.steps.layout = size(flex="1 1 310px", min_width="0")
        self.detail.layout = size(flex="1 1 310px", min_width="0")

    def _arrange(self) -> None:
        wrap = widgets.Layout(flex_flow="row wrap")
        controls = [
            *(self.play, self.back_button, self.step_button, self.slider),
            *(self.readout, self.speed, self.run_choice),
        ]
        look = [
            *(widgets.Label("strip"), self.rows, self.status, self.zoom),
            *(widgets.Label("go to"), self.target, self.search),
            *(self.previous_button, self.next_button, self.clicked),
            *(widgets.Label("show"), self.panel, self.beside),
        ]
        panels = [self.graph, self.steps, self.detail, self.compared]
        inject = [
            *(widgets.Label("inject here"), self.fault, self.arguments, self.name),
            *(self.inject_button, self.bar, self.notice),
        ]
        self.box = widgets.VBox(
            [
                widgets.HTML(f"<style>{STYLE.read_text(encoding='utf-8')}</style>"),
                _classed(widgets.HBox(controls, layout=wrap), "wfsim-controls"),
                _classed(widgets.HBox(look, layout=wrap), "wfsim-look"),
                _classed(widgets.Box([self.strip, self.cursor]), "wfsim-whole"),
                self.record,
                _classed(widgets.HBox(panels, layout=wrap), "wfsim-panels"),
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
