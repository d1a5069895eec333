"""The Debugger: a `Player` with buttons, and one that breaks what is being played."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from traitlets import link

from wfsim.model.log import EventLog, HasLog, log_of
from wfsim.model.record import Kind, Record
from wfsim.notebook import view
from wfsim.notebook.player import Player
from wfsim.notebook.strip import Strip
from wfsim.sim.rerun import crash_after, script

STYLE = Path(__file__).with_name("debugger.css")
SPEEDS = (1, 2, 5, 10)
"""How many records a second may be played."""

WHOLE = 20
"""In so many seconds the whole log is played, if that is faster."""

ZOOMS = (1, 4, 16, 64)
"""Into how many parts the strip may cut the run; it shows the one with the cursor."""

Where = Callable[[Record], object]

_NUMBER = re.compile(r"#(?P<seq>\d+)|(?P<time>\d+(\.\d*)?)( ?s)?")
_TARGETS = {
    "failure": (
        Kind.STEP_FAILED, Kind.RUN_FAILED, Kind.RUN_INTERRUPTED, Kind.RUN_QUARANTINED,
        Kind.PASS_FAILED, Kind.CHECK_FAILED, Kind.HOOK_FAILED,
    ),
    "crash": (Kind.CONTROLLER_CRASHED,),
    "fault": (Kind.FAULT_FIRED,),
}  # fmt: skip
"""The kinds of records that one can go to."""

_NO_ORIGIN = (
    "This log was read from a file, or is a part of one: there is no simulation to run "
    "again."
)
_NO_RECORD = "The cursor is before the first record."
_NO_CONTROLLER = "No controller is up at this record: there is nothing to crash."
_READY = "The controller dies right after the record at the cursor."


class Debugger:
    """Shows *log*, or that of a Simulation, record by record: a cell's last line.

    *at* is the record (or its index) to begin with.  `player` is the cursor, `runs`
    are the logs shown so far: *log* first, then one for each crash injected.  Where no
    kernel runs, as in a saved notebook, the record and the steps stand as a table.
    """

    def __init__(self, log: EventLog | HasLog, *, at: Record | int | None = None) -> None:
        log = log_of(log)
        self._players: list[Player] = []
        self._strips: list[Strip] = []
        self._labels: list[str] = []
        self._moving = False
        self._seen: Any = None
        self._build()
        self._add(log, "as it was")
        if len(log):
            self.player.seek(0 if at is None else at)
        self.show()

    def __repr__(self) -> str:
        which = f"run {self._chosen + 1} of {len(self._players)}"
        return f"<Debugger of {self.player.log!r}, {which}, {self.player!r}>"

    def _repr_mimebundle_(self, **keywords: Any) -> dict[str, Any]:
        shown: dict[str, Any] = self.box._repr_mimebundle_(**keywords)
        return {**shown, "text/plain": repr(self), "text/html": view.still(self.player)}

    @property
    def player(self) -> Player:
        """The cursor over the run that is shown; call `show` after moving it."""
        return self._players[self._chosen]

    @property
    def runs(self) -> list[EventLog]:
        """The logs shown so far, in order."""
        return [player.log for player in self._players]

    @property
    def plan(self) -> str:
        """The Python that makes the run shown; empty if its simulation is not known."""
        origin = self.player.log.origin
        return "" if origin is None else script(origin)

    # -- what the buttons do --------------------------------------------------------

    def step(self) -> None:
        """Move to the next record and show it."""
        self.player.step()
        self.show()

    def back(self) -> None:
        """Move to the record before and show it."""
        self.player.back()
        self.show()

    def go_on(self) -> Record | None:
        """Move to the next record that is looked for, and show it.

        What is looked for is chosen in `target`, and may have to hold the text in
        `search`; a number of seconds, ``#12`` for a record, or a step do as well.
        """
        return self._go(self.player.next)

    def go_back(self) -> Record | None:
        """Move to the last record before that is looked for, as `go_on` does."""
        return self._go(self.player.previous)

    def _go(self, move: Callable[[Where], Record | None]) -> Record | None:
        text = self.search.value.strip()
        number = _NUMBER.fullmatch(text)
        if number and number["seq"]:
            seq = int(number["seq"])
            record = next((r for r in self.player.log if r.seq == seq), None)
            if record:
                self.player.seek(record)
        elif number:
            record = self.player.seek(time=float(number["time"]))
        else:
            record = move(self._where(text.casefold()))
        self.show()
        if record is None:
            self.notice.value = view.notice(
                f"No such record: {text or self.target.label}"
            )
        return record

    def _where(self, text: str) -> Where:
        """Return what accepts the records that `target` and *text* say."""
        here, target = self.player.record, self.target.value
        kinds = _TARGETS.get(target, ())

        def accepted(record: Record) -> bool:
            if kinds and record.kind not in kinds:
                return False
            if here and target == "step":
                same = (record.resource, record.run, record.step)
                if same != (here.resource, here.run, here.step):
                    return False
            if here and target == "resource" and record.resource != here.resource:
                return False
            return text in str(record).casefold()

        return accepted

    def crash(self) -> EventLog | None:
        """Kill the controller right after the record at the cursor, and run on.

        It comes back after the seconds in `restart_after`.  The new run is shown, and
        its log returned; None, and a remark why, if that cannot be done.
        """
        refusal = self._refusal()
        if refusal:
            self.notice.value = view.notice(refusal)
            return None
        position, number = self.player.position, self._chosen + 1
        record, origin = self.player.record, self.player.log.origin
        self.crash_button.disabled = True
        self.notice.value = view.notice("Running …")
        try:
            seconds = float(self.restart_after.value)
            simulation = crash_after(origin, position - 1, restart_after=seconds)
            log = simulation.run()
        except Exception as error:  # a callback's exception would go unseen
            self.crash_button.disabled = False
            self.notice.value = view.notice(f"{type(error).__name__}: {error}")
            return None
        assert record is not None
        fired = log.filter(Kind.FAULT_FIRED)
        mine = [one for one in fired if one.text == repr(simulation.faults[-1])]
        self._add(log, f"run {number}, crash after #{record.seq}")
        if mine:
            self.player.seek(mine[0])
            self.player.step()
        self.show()
        if not mine:
            self.notice.value = view.notice("The crash found no controller to kill.")
        return log

    def show(self) -> None:
        """Show what is so at the cursor of `player`."""
        player = self.player
        self._moving = True
        if len(self.run_choice.options) < len(self._labels):
            self.run_choice.options = [(label, n) for n, label in enumerate(self._labels)]
        self.run_choice.value = self._chosen
        self.run_choice.disabled = len(self._labels) == 1
        self.slider.max = self.play.max = len(player)
        self.slider.value = player.position
        self._moving = False
        self.readout.value = (
            f"{player.position} / {len(player)} &nbsp; <b>{player.time:.3f} s</b>"
        )
        self._show_strip()
        self.record.value = view.record_card(player)
        self.graph.value = view.graph_card(player)
        self.steps.value = view.steps_card(player)
        self.memento.value = view.memento_card(player)
        self.plan_shown.value = view.plan_text(self.plan) if self.plan else ""
        refusal = self._refusal()
        self.crash_button.disabled = bool(refusal)
        self.crash_button.tooltip = refusal or _READY
        self.notice.value = view.notice(refusal)
        self.back_button.disabled = player.position == 0
        self.step_button.disabled = player.position == len(player)

    def _show_strip(self) -> None:
        """Move the cursor of the strip; draw its rows if others are to be seen."""
        strip, time = self._strips[self._chosen], self.player.time
        statuses = (("any status", ""), *((s, s) for s in strip.statuses))
        if self.status.options != statuses:
            self.status.options = statuses
        window = strip.window(time, self.zoom.value)
        rows = strip.chosen(self.rows.value, self.status.value)
        if (seen := (strip, window, rows)) != self._seen:
            self._seen = seen
            self.strip.value = strip.show(rows, window)
        record = self.player.record
        row = "" if record is None else record.step
        if strip.by_resource:
            row = str(self.player.resource.key) if self.player.resource else ""
        self.cursor.value = strip.cursor(rows, row, window.share(time))

    def _clicked(self, change: dict[str, Any]) -> None:
        """Go to where the strip was clicked: ``share row``, as its script writes it."""
        strip, window, rows = self._seen
        share, _, number = str(change["new"]).partition(" ")
        try:
            time, row = window.time(float(share)), rows[int(number)]
        except (ValueError, IndexError):
            return
        player = self.player
        player.seek(time=time)

        def in_row(record: Record) -> bool:
            return bool(row == (record.resource if strip.by_resource else record.step))

        if player.record and not in_row(player.record):
            _ = player.previous(in_row) or player.next(in_row)
        self.show()

    def _refusal(self) -> str:
        if self.player.log.origin is None:
            return _NO_ORIGIN
        if self.player.record is None:
            return _NO_RECORD
        return "" if self.player.controllers else _NO_CONTROLLER

    def _slid(self, change: dict[str, Any]) -> None:
        if not self._moving:
            position = change["new"]
            self.player.seek(position - 1 if position else None)
            self.show()

    def _add(self, log: EventLog, label: str) -> None:
        """Add *log* as one more run, and choose it."""
        self._players.append(Player(log))
        self._strips.append(Strip(log))
        self._labels.append(f"run {len(self._players)}: {label}")
        self._chosen = len(self._players) - 1

    def _speed_up(self, change: dict[str, Any]) -> None:
        """Play so many records a second or, for 0, the whole log in `WHOLE` seconds."""
        a_second = change["new"]
        self.play.interval = 1000 // (a_second or 10)
        self.play.step = 1 if a_second else max(1, len(self.player) // (WHOLE * 10))

    def _choose(self, change: dict[str, Any]) -> None:
        if not self._moving:
            self._chosen = change["new"]
            self.show()

    # -- the widgets ------------------------------------------------------------------

    def _build(self) -> None:
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
        self._arrange()
        self._listen()

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

    def _listen(self) -> None:
        self.play.add_class("wfsim-play")
        self.slider.add_class("wfsim-slider")
        self.run_choice.add_class("wfsim-runs")
        self.restart_after.add_class("wfsim-restart-after")
        link((self.play, "value"), (self.slider, "value"))
        self.speed.observe(self._speed_up, "value")
        self.slider.observe(self._slid, "value")
        self.back_button.on_click(lambda _: self.back())
        self.step_button.on_click(lambda _: self.step())
        self.crash_button.on_click(lambda _: self.crash())
        self.run_choice.observe(self._choose, "value")
        self.next_button.on_click(lambda _: self.go_on())
        self.previous_button.on_click(lambda _: self.go_back())
        self.search.observe(lambda change: change["new"] and self.go_on(), "value")
        self.clicked.observe(self._clicked, "value")
        for field in (self.rows, self.status, self.zoom):
            field.observe(lambda _: self._show_strip(), "value")


def _classed(widget: Any, name: str) -> Any:
    widget.add_class(name)
    return widget


def _html(name: str) -> Any:
    return _classed(widgets.HTML(), name)
