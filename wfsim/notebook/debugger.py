"""The Debugger: a `Player` with buttons, and one that breaks what is being played."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from traitlets import link

from wfsim.model.log import EventLog, HasLog, log_of
from wfsim.model.record import Kind, Record
from wfsim.notebook import view
from wfsim.notebook.controls import WHOLE, Controls
from wfsim.notebook.player import Player
from wfsim.notebook.strip import Strip
from wfsim.sim.rerun import crash_after, script

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
        self.controls = Controls()
        self._listen()
        self._add(log, "as it was")
        if len(log):
            self.player.seek(0 if at is None else at)
        self.show()

    def __repr__(self) -> str:
        which = f"run {self._chosen + 1} of {len(self._players)}"
        return f"<Debugger of {self.player.log}, {which}, {self.player!r}>"

    def _repr_mimebundle_(self, **keywords: Any) -> dict[str, Any]:
        shown: dict[str, Any] = self.controls.box._repr_mimebundle_(**keywords)
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
        text = self.controls.search.value.strip()
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
            self.controls.notice.value = view.notice(
                f"No such record: {text or self.controls.target.label}"
            )
        return record

    def _where(self, text: str) -> Where:
        """Return what accepts the records that `target` and *text* say."""
        here, target = self.player.record, self.controls.target.value
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
            self.controls.notice.value = view.notice(refusal)
            return None
        position, number = self.player.position, self._chosen + 1
        record, origin = self.player.record, self.player.log.origin
        self.controls.crash_button.disabled = True
        self.controls.notice.value = view.notice("Running …")
        try:
            seconds = float(self.controls.restart_after.value)
            simulation = crash_after(origin, position - 1, restart_after=seconds)
            log = simulation.run()
        except Exception as error:  # a callback's exception would go unseen
            self.controls.crash_button.disabled = False
            self.controls.notice.value = view.notice(f"{type(error).__name__}: {error}")
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
            self.controls.notice.value = view.notice(
                "The crash found no controller to kill."
            )
        return log

    def show(self) -> None:
        """Show what is so at the cursor of `player`."""
        player, controls = self.player, self.controls
        self._moving = True
        if len(controls.run_choice.options) < len(self._labels):
            controls.run_choice.options = [
                (label, n) for n, label in enumerate(self._labels)
            ]
        controls.run_choice.value = self._chosen
        controls.run_choice.disabled = len(self._labels) == 1
        controls.slider.max = controls.play.max = len(player)
        controls.slider.value = player.position
        self._moving = False
        controls.readout.value = (
            f"{player.position} / {len(player)} &nbsp; <b>{player.time:.3f} s</b>"
        )
        self._show_strip()
        controls.record.value = view.record_card(player)
        controls.graph.value = view.graph_card(player)
        controls.steps.value = view.steps_card(player)
        controls.memento.value = view.memento_card(player)
        controls.plan_shown.value = view.plan_text(self.plan) if self.plan else ""
        refusal = self._refusal()
        controls.crash_button.disabled = bool(refusal)
        controls.crash_button.tooltip = refusal or _READY
        controls.notice.value = view.notice(refusal)
        controls.back_button.disabled = player.position == 0
        controls.step_button.disabled = player.position == len(player)

    def _show_strip(self) -> None:
        """Move the cursor of the strip; draw its rows if others are to be seen."""
        strip, time = self._strips[self._chosen], self.player.time
        statuses = (("any status", ""), *((s, s) for s in strip.statuses))
        if self.controls.status.options != statuses:
            self.controls.status.options = statuses
        window = strip.window(time, self.controls.zoom.value)
        rows = strip.chosen(self.controls.rows.value, self.controls.status.value)
        if (seen := (strip, window, rows)) != self._seen:
            self._seen = seen
            self.controls.strip.value = strip.show(rows, window)
        record = self.player.record
        row = "" if record is None else record.step
        if strip.by_resource:
            row = str(self.player.resource.key) if self.player.resource else ""
        self.controls.cursor.value = strip.cursor(rows, row, window.share(time))

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
        play, a_second = self.controls.play, change["new"]
        play.interval = 1000 // (a_second or 10)
        play.step = 1 if a_second else max(1, len(self.player) // (WHOLE * 10))

    def _choose(self, change: dict[str, Any]) -> None:
        if not self._moving:
            self._chosen = change["new"]
            self.show()

    def _listen(self) -> None:
        controls = self.controls
        link((controls.play, "value"), (controls.slider, "value"))
        controls.speed.observe(self._speed_up, "value")
        controls.slider.observe(self._slid, "value")
        controls.back_button.on_click(lambda _: self.back())
        controls.step_button.on_click(lambda _: self.step())
        controls.crash_button.on_click(lambda _: self.crash())
        controls.run_choice.observe(self._choose, "value")
        controls.next_button.on_click(lambda _: self.go_on())
        controls.previous_button.on_click(lambda _: self.go_back())
        controls.search.observe(lambda change: change["new"] and self.go_on(), "value")
        controls.clicked.observe(self._clicked, "value")
        for field in (controls.rows, controls.status, controls.zoom):
            field.observe(lambda _: self._show_strip(), "value")
