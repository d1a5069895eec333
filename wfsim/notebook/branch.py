"""The runs that a Debugger shows: a tree of forks, each with a name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wfsim.errors import UsageError
from wfsim.model.log import EventLog
from wfsim.notebook.player import Player
from wfsim.notebook.search import Where
from wfsim.notebook.strip import Strip
from wfsim.sim.rerun import SLICE
from wfsim.sim.simulation import Simulation


class Branch:
    """One run: its *name*, its log under a cursor, and the run it was forked from."""

    def __init__(self, log: EventLog, name: str, parent: Branch | None = None) -> None:
        self.name = name
        self.parent = parent
        self.player = Player(log)
        self._strip: tuple[int, Strip] | None = None
        self._moments: Any = None

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
        if self._strip is None or self._strip[0] != len(self.log):
            self._strip = len(self.log), Strip(self.log)
        return self._strip[1]

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
    def moments(self) -> Any:
        """World and leases at each record, of a twin that is run for it once.

        Raises `UsageError` if there is none to be run.
        """
        from wfsim.sim.prefix import Tape

        sim = self.simulation
        if sim is None:
            raise UsageError("this log was read from a file: there is no simulation")
        if self._moments is None or len(self._moments) < len(self.log):
            self._moments = Tape.of(sim)
        return self._moments


def in_tree(branches: list[Branch], under: Branch | None = None) -> Iterator[Branch]:
    """Yield *branches* so that each is followed by those that were forked from it."""
    for branch in branches:
        if branch.parent is under:
            yield branch
            yield from in_tree(branches, branch)
