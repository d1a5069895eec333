"""The Debugger: a `Player` with buttons, and one that breaks what is being played."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from html import escape
from typing import TYPE_CHECKING, Any

from traitlets import link

from wfsim.campaign.failure import Failure
from wfsim.errors import UsageError
from wfsim.model.log import EventLog, HasLog, log_of
from wfsim.model.record import Kind, Record
from wfsim.notebook import details, view
from wfsim.notebook.branch import Branch, in_tree
from wfsim.notebook.compare import Comparison
from wfsim.notebook.controls import WHOLE, Controls
from wfsim.notebook.injection import fault_maker, injections
from wfsim.notebook.player import Player
from wfsim.notebook.search import Search, Where
from wfsim.sim.faults import Fault
from wfsim.sim.rerun import Fork, script
from wfsim.sim.simulation import Simulation

if TYPE_CHECKING:
    import pandas as pd

_NO_ORIGIN = (
    "This log was read from a file, or is a part of one: there is no simulation to run "
    "again."
)
_NO_RECORD = "The cursor is before the first record."
_NOTHING = "No fault of the catalogue applies at this record."
_READY = "The fault comes right after the record at the cursor; then the run goes on."


LOOKED = 1000
"""So many records are looked at before a bar shows how far that has come."""


class Debugger:
    """Shows *log*, or that of a Simulation, record by record: a cell's last line.

    *at* is the record (or its index) to begin with.  A Simulation is driven on: beyond
    its last record the buttons let it happen.  A failure that `wfsim.explore` has found
    is opened at the record that made it inevitable, and the run without faults is there
    to be set beside it.  *breakpoints* are functions of a record, such as
    `wfsim.step_started` returns: playing stops there, and ``breakpoint`` goes to them.

    `player` is the cursor, `runs` are the logs shown so far: *log* first, then one for
    each fault injected.  Where no kernel runs, as in a saved notebook, the record and
    the steps stand as a table.
    """

    def __init__(
        self,
        log: EventLog | HasLog | Failure,
        *,
        at: Record | int | None = None,
        breakpoints: Iterable[Where] = (),
    ) -> None:
        failure = log if isinstance(log, Failure) else None
        source = log.ended() if isinstance(log, Failure) else log
        if failure is not None and at is None:
            at = _first_wrong(failure)
        if isinstance(source, Simulation):
            source.begin()
        self.breakpoints = list(breakpoints)
        self._is_live = not isinstance(source, EventLog)
        self._branches: list[Branch] = []
        self._moving = False
        self._seen: Any = None
        self._kind = "CrashAt"
        self._offered: dict[str, str] = {}
        self._compared: tuple[Any, Comparison] | None = None
        self._task: asyncio.Task[None] | None = None
        self.controls = Controls(details.PANELS)
        self._listen()
        self._add(log_of(source), "as it was", None)
        if len(self.player):
            self.player.seek(0 if at is None else at)
        if failure is not None:
            self._branches.append(Branch(failure.calm.log, "without faults"))
        self.show()
        if failure is not None:
            self._say(failure.said)

    def __repr__(self) -> str:
        which = f"run {self._chosen + 1} of {len(self._branches)}"
        return f"<Debugger of {self.player.log}, {which}, {self.player!r}>"

    def _ipython_display_(self) -> None:
        """Show a table, and the widget, which hides the table as long as it lives.

        A notebook that was saved has no widget any more: there the table stands.
        """
        from IPython.display import publish_display_data

        publish: Callable[..., None] = publish_display_data
        table = view.SAVED + view.still(self.player)
        publish({"text/plain": repr(self), "text/html": table})
        shown = self.controls.box._repr_mimebundle_()
        publish({**shown, "text/plain": "Its buttons need a running kernel."})

    def _repr_mimebundle_(self, **keywords: Any) -> dict[str, Any]:
        shown: dict[str, Any] = self.controls.box._repr_mimebundle_(**keywords)
        return {**shown, "text/plain": repr(self), "text/html": view.still(self.player)}

    @property
    def _branch(self) -> Branch:
        return self._branches[self._chosen]

    @property
    def player(self) -> Player:
        """The cursor over the run that is shown; call `show` after moving it."""
        return self._branch.player

    @property
    def runs(self) -> list[EventLog]:
        """The logs shown so far, in order."""
        return [branch.log for branch in self._branches]

    @property
    def names(self) -> list[str]:
        """What the runs are called, in order."""
        return [branch.name for branch in self._branches]

    @property
    def plan(self) -> str:
        """The Python that makes the run shown; empty if its simulation is not known."""
        origin = self.player.log.origin
        return "" if origin is None else script(origin)

    # -- what the buttons do --------------------------------------------------------

    def step(self) -> None:
        """Move to the next record and show it; a live simulation may have to make it."""
        if self.player.position == len(self.player) and self._is_live:
            self._exhaust(self._branch.until(lambda record: True))
        self.player.step()
        self.show()

    def back(self) -> None:
        """Move to the record before and show it."""
        self.player.back()
        self.show()

    def go_on(self) -> Record | None:
        """Move to the next record that is looked for, and show it.

        What is looked for is chosen in `target`, and must hold each word in `search`,
        such as ``step.started Attach 1-Create``; a number of seconds or ``#12`` for a
        record do as well.  A live simulation goes on until there is such a record.
        """
        return self._go(self.player.next, forwards=True)

    def go_back(self) -> Record | None:
        """Move to the last record before that is looked for, as `go_on` does."""
        return self._go(self.player.previous, forwards=False)

    def inject(
        self, fault: Fault | str | None = None, arguments: str = "", *, name: str = ""
    ) -> EventLog | None:
        """Inject *fault* right after the record at the cursor, and run on as a fork.

        It is a fault, or the name of one with *arguments* in YAML, as in a plan, where
        ``here`` is the cursor; None takes those in the widgets.  The fork, called *name*,
        is shown, and its log returned; None, and a remark why, if that cannot be done.
        It runs no further than the run that it comes from has.
        """
        fork = self._fork(fault, arguments)
        if fork is None:
            return None
        if self._exhaust(iter(fork)):
            self._grown(fork, name)
            return self.player.log
        return None

    def crash(self) -> EventLog | None:
        """Kill the controller right after the record at the cursor, and run on."""
        return self.inject("CrashAt", "restart_after: 10")

    def diff(self, a: int | str = 0, b: int | str = -1) -> pd.DataFrame:
        """Return `wfsim.diff` of two runs, by number or name: the first and the last.

        Raises `UsageError` for a run that there is not.
        """
        from wfsim.report.diff import diff

        return diff(self._numbered(a).log, self._numbered(b).log)

    # -- doing it ---------------------------------------------------------------------

    def _numbered(self, which: int | str) -> Branch:
        if isinstance(which, str):
            if which not in self.names:
                known = ", ".join(map(repr, self.names))
                raise UsageError(f"no run {which!r}; there are {known}")
            return self._branches[self.names.index(which)]
        if not -len(self._branches) <= which < len(self._branches):
            raise UsageError(f"no run {which}; there are {len(self._branches)}")
        return self._branches[which]

    def _go(
        self, move: Callable[[Where], Record | None], *, forwards: bool
    ) -> Record | None:
        controls, player = self.controls, self.player
        text = controls.search.value.strip()
        search = Search(controls.target.value, text, player.record, self.breakpoints)
        goes_on = self._is_live and forwards
        found: Record | None
        if search.seq is not None:
            found = player.seek(seq=search.seq)
        elif (time := search.time) is not None:
            if goes_on and (not len(player) or player.log[-1].time < time):
                self._exhaust(self._branch.until(lambda record: record.time >= time))
            found = player.seek(time=time)
        else:
            found = move(self._counted(search.accepts))
            controls.show_bar(None)
            if found is None and goes_on:
                position = len(player)
                self._exhaust(self._branch.until(search.accepts))
                player.seek(position - 1 if position else None)
                found = player.next(search.accepts)
        if found is not None and (search.seq, search.time) != (None, None):
            controls.search.value = ""  # one is there; next goes by the target again
        self.show()
        if found is None:
            self._say(f"No such record: {text or controls.target.label}")
        return found

    def _counted(self, where: Where) -> Where:
        """Return *where*, which shows at how many records it has looked."""
        looked = 0

        def accepts(record: Record) -> object:
            nonlocal looked
            looked += 1
            if looked % LOOKED == 0:
                self.controls.show_bar(looked / len(self.player))
            return where(record)

        return accepts

    def _is_stop(self, record: Record) -> bool:
        return any(where(record) for where in self.breakpoints)

    def _fork(self, fault: Fault | str | None, arguments: str) -> Fork | None:
        """Return the fork to be made, or None with a remark why that cannot be."""
        refusal = self._refusal()
        sim = self._branch.simulation
        if refusal or sim is None:
            self._say(refusal)
            return None
        if fault is None:
            fault, arguments = self.controls.fault.value, self.controls.arguments.value
        position = self.player.position
        try:
            if isinstance(fault, Fault):
                chosen = fault
                return Fork(sim, position - 1, lambda place: chosen)
            return Fork(sim, position - 1, fault_maker(str(fault), arguments))
        except UsageError as error:
            self._say(str(error))
            return None

    def _exhaust(self, slices: Iterator[float]) -> bool:
        """Do all *slices*; return whether that went well, or say why it did not."""
        self.controls.show_bar(0.0)
        try:
            for share in slices:
                self.controls.show_bar(share)
        except Exception as error:  # a callback's exception would go unseen
            self._say(f"{type(error).__name__}: {error}")
            return False
        finally:
            self.controls.show_bar(None)
        return True

    def _clicked_inject(self) -> None:
        """Inject what the widgets say, or stop doing so; the kernel's loop goes on."""
        if self._task is not None:
            self._task.cancel()
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.inject()
            return
        fork = self._fork(None, "")
        if fork is not None:
            button = self.controls.inject_button
            button.description, button.icon = "Stop", "stop"
            self._task = loop.create_task(self._make(fork))
            self._task.add_done_callback(self._made)

    async def _make(self, fork: Fork) -> None:
        self.controls.show_bar(0.0)
        for share in fork:
            self.controls.show_bar(share)
            await asyncio.sleep(0)
        self._grown(fork, "")

    def _made(self, task: asyncio.Task[None]) -> None:
        """Be ready for another fork, and say why there is none if that is so."""
        self._task = None
        self.controls.show_bar(None)
        button = self.controls.inject_button
        button.description, button.icon = "Inject", "bolt"
        if task.cancelled():
            self._say("Stopped: there is no such fork.")
        elif error := task.exception():
            self._say(f"{type(error).__name__}: {error}")

    def _grown(self, fork: Fork, name: str) -> None:
        """Show what *fork* has made, at the first thing that its fault did."""
        sim = fork.simulation
        assert sim is not None
        parent, record = self._branch, self.player.record
        fault = sim.faults[-1]
        name = name or self.controls.name.value.strip()
        kind = type(fault).__name__
        seq = "" if record is None else f" after #{record.seq}"
        name = name or f"{kind}{seq}"
        again = sum(1 for other in self.names if other.split(" (")[0] == name)
        self._add(sim.log, f"{name} ({again + 1})" if again else name, parent)
        self.controls.name.value = ""
        fired = [r for r in sim.log.filter(Kind.FAULT_FIRED) if r.text == repr(fault)]
        if fired:
            self.player.seek(fired[0])
            self.player.step()
        elif record is not None:
            self.player.seek(time=record.time)
        self.show()
        if not fired:
            self._say(f"{fault!r} found nothing to do.")

    def _add(self, log: EventLog, name: str, parent: Branch | None) -> None:
        """Add *log* as one more run, and choose it."""
        self._branches.append(Branch(log, name, parent))
        self._chosen = len(self._branches) - 1

    def _refusal(self) -> str:
        if self._branch.simulation is None:
            return _NO_ORIGIN
        if self.player.record is None:
            return _NO_RECORD
        return ""

    # -- showing it -------------------------------------------------------------------

    def show(self) -> None:
        """Show what is so at the cursor of `player`."""
        player, controls = self.player, self.controls
        self._moving = True
        numbers = {branch: number for number, branch in enumerate(self._branches)}
        tree = tuple((b.label, numbers[b]) for b in in_tree(self._branches))
        if controls.run_choice.options != tree:
            controls.run_choice.options = tree
            controls.beside.options = (("beside nothing", -1), *tree)
        controls.run_choice.value = self._chosen
        controls.run_choice.disabled = controls.beside.disabled = len(tree) == 1
        controls.slider.max = controls.play.max = len(player)
        controls.slider.value = player.position
        self._moving = False
        controls.readout.value = (
            f"{player.position} / {len(player)} &nbsp; <b>{player.time:.3f} s</b>"
        )
        self._show_strip()
        controls.record.value = view.record_card(player)
        self._show_panels()
        controls.plan_shown.value = view.plan_text(self.plan) if self.plan else ""
        self._show_faults()
        controls.back_button.disabled = player.position == 0
        at_end = player.position == len(player)
        controls.step_button.disabled = at_end and not (
            self._is_live and self._branch.has_more
        )

    def _show_panels(self) -> None:
        """Show the three panels or, beside another run, what differs from it."""
        if self._moving:
            return
        player, controls = self.player, self.controls
        beside = controls.beside.value
        is_beside = beside is not None and 0 <= beside != self._chosen
        controls.compared.layout.display = "block" if is_beside else "none"
        for single in (controls.graph, controls.steps, controls.detail):
            single.layout.display = "none" if is_beside else None
        if is_beside:
            other = self._branches[beside]
            seen = (self._branch, other, len(player), len(other.log))
            if self._compared is None or self._compared[0] != seen:
                names = (self._branch.name, other.name)
                with controls.busy():
                    self._compared = seen, Comparison(player.log, other.log, names)
            seq = player.record.seq if player.record else 0
            controls.compared.value = self._compared[1].show(seq)
            return
        controls.graph.value = view.graph_card(player)
        controls.steps.value = view.steps_card(player)
        with controls.busy():
            controls.detail.value = self._detail(controls.panel.value)

    def _detail(self, name: str) -> str:
        """Return the panel of that *name*, or why it cannot be shown."""
        try:
            if name in details.PAST:
                for share in self._branch.loaded():
                    self.controls.show_bar(share)
            return details.PANELS[name](self._branch)
        except UsageError as error:
            text = escape(str(error))
            return details.card(name.capitalize(), f'<span class="wf-none">{text}</span>')

    def _show_faults(self) -> None:
        """Offer the faults that apply at the cursor, and say if there are none."""
        controls, sim = self.controls, self._branch.simulation
        offered: dict[str, str] = {}
        refusal = self._refusal()
        if sim is not None and not refusal:
            offered = injections(self.player, sim.world)
            refusal = "" if offered else _NOTHING
        self._moving = True
        controls.fault.options = tuple(offered)
        if self._kind in offered:
            controls.fault.value = self._kind
        self._moving = False
        self._offered = offered
        self._show_arguments()
        controls.inject_button.disabled = bool(refusal)
        controls.inject_button.tooltip = refusal or _READY
        self._say(refusal)

    def _choose_fault(self, change: dict[str, Any]) -> None:
        if not self._moving and change["new"]:
            self._kind = change["new"]
            self._show_arguments()

    def _show_arguments(self) -> None:
        chosen = self.controls.fault.value
        self.controls.arguments.value = self._offered.get(chosen, "")

    def _show_strip(self) -> None:
        """Move the cursor of the strip; draw its rows if others are to be seen."""
        if not self._branch.is_drawn:
            with self.controls.busy():
                _ = self._branch.strip
        strip, time = self._branch.strip, self.player.time
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

    def _say(self, text: str) -> None:
        self.controls.notice.value = view.notice(text)

    # -- what the widgets tell --------------------------------------------------------

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

    def _slid(self, change: dict[str, Any]) -> None:
        if self._moving:
            return
        before, after = change["old"], change["new"]
        # Playing moves by less than a jump; it stops at the first breakpoint on the way.
        if self.breakpoints and 0 < after - before <= max(self.controls.play.step, 1):
            for position in range(before, after):
                if self._is_stop(self.player.log[position]):
                    after = position + 1
                    self.controls.play.playing = False
                    break
        self.player.seek(after - 1 if after else None)
        self.show()

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
        controls.inject_button.on_click(lambda _: self._clicked_inject())
        controls.fault.observe(self._choose_fault, "value")
        controls.run_choice.observe(self._choose, "value")
        for panels in (controls.beside, controls.panel):
            panels.observe(lambda _: self._show_panels(), "value")
        controls.next_button.on_click(lambda _: self.go_on())
        controls.previous_button.on_click(lambda _: self.go_back())
        controls.search.observe(lambda change: change["new"] and self.go_on(), "value")
        controls.clicked.observe(self._clicked, "value")
        for field in (controls.rows, controls.status, controls.zoom):
            field.observe(lambda _: self._show_strip(), "value")


def _first_wrong(failure: Failure) -> int:
    """Return the index of the record that made it inevitable, or that was first wrong."""
    doomed, wrong = failure.inevitable.record, failure.violation.seq
    if doomed is not None:
        return doomed.seq
    return -1 if wrong is None else wrong
