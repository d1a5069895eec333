"""The runs that a Debugger shows: a tree of forks, each with a name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from wfsim.errors import UsageError
from wfsim.model.log import EventLog
from wfsim.notebook.player import Player
from wfsim.notebook.search import Where
from wfsim.notebook.strip import Strip
from wfsim.report import tables
from wfsim.report.lineage import Lineage
from wfsim.sim.rerun import SLICE, Pasts
from wfsim.sim.simulation import Simulation

if TYPE_CHECKING:
    import pandas as pd


class Branch:
    """One run: its *name*, its log under a cursor, and the run it was forked from."""

    def __init__(self, log: EventLog, name: str, parent: Branch | None = None) -> None:
        self.name = name
        self.parent = parent
        self.player = Player(log)
        self._strip: tuple[int, Strip] | None = None
        self._pasts: Pasts | None = None
        self._workers: tuple[int, pd.DataFrame] | None = None
        self._lineage: tuple[int, Lineage] | None = None

    def __repr__(self) -> str:
        return f"<Branch {self.name!r} of {self.log!r}>"

    @property
    def log(self) -> EventLog:
        """The log of this run; it may grow."""
        return self.player.log

    @property
    def simulation(self) -> Simulation | None:
        """The simulation that makes the log; None if that was read from a file."""
        origin: Simulation | None = self.log.origin
        return origin

    @property
    def depth(self) -> int:
        """How many forks away the first run is."""
        return 0 if self.parent is None else self.parent.depth + 1

    @property
    def label(self) -> str:
        """The name, set in by how deep it is in the tree."""
        return f"{'  ' * (self.depth - 1)}└ {self.name}" if self.depth else self.name

    @property
    def strip(self) -> Strip:
        """The strip of the log as it is now."""
        if self._strip is None or not self.is_drawn:
            self._strip = len(self.log), Strip(self.log)
        return self._strip[1]

    @property
    def is_drawn(self) -> bool:
        """Whether there is a strip of the log as it is now."""
        return self._strip is not None and self._strip[0] == len(self.log)

    @property
    def has_more(self) -> bool:
        """Whether the simulation can go on: something is due before its horizon."""
        sim = self.simulation
        if sim is None:
            return False
        sim.begin()
        return sim.clock.peek() <= sim.scenario.horizon

    def until(self, where: Where) -> Iterator[float]:
        """Run the simulation on, in slices, until *where* accepts a new record.

        Each item is which share of the time up to the horizon has passed.
        """
        sim, log = self.simulation, self.log
        if sim is None:
            return
        sim.begin()
        seen, horizon = len(log), sim.scenario.horizon
        while True:
            with sim.whole_events():
                for _ in range(SLICE):
                    while seen < len(log):
                        seen += 1
                        if where(log[seen - 1]):
                            return
                    if not sim.advance(horizon):
                        return
            yield min(1.0, sim.now / horizon)

    @property
    def pasts(self) -> Pasts:
        """World and leases just before each record, once they have been loaded.

        Raises `UsageError` if there is no simulation to be run for them.
        """
        sim = self.simulation
        if sim is None:
            raise UsageError("this log was read from a file: there is no simulation")
        if self._pasts is None:
            self._pasts = Pasts(sim)
        return self._pasts

    def loaded(self) -> Iterator[float]:
        """Load `pasts` around the cursor; each item is the share that is done."""
        for index in (self.player.position, self.player.position - 1):
            if index >= 0 and not self.pasts.has(index):
                yield from self.pasts.load(index)

    @property
    def workers(self) -> pd.DataFrame:
        """How many workers were busy and how many runs waited for one, from when on."""
        if self._workers is None or self._workers[0] != len(self.log):
            frame = tables.utilisation(self.log)
            self._workers = len(self.log), frame[frame["name"] == "workers"]
        return self._workers[1]

    @property
    def lineage(self) -> Lineage:
        """What depends on what in the log as it is now."""
        if self._lineage is None or self._lineage[0] != len(self.log):
            self._lineage = len(self.log), Lineage(self.log)
        return self._lineage[1]


def in_tree(branches: list[Branch], under: Branch | None = None) -> Iterator[Branch]:
    """Yield *branches* so that each is followed by those that were forked from it."""
    for branch in branches:
        if branch.parent is under:
            yield branch
            yield from in_tree(branches, branch)
