"""A simulation that goes on and on while no virtual time passes: noticed, and named."""

from __future__ import annotations

from wfsim.engine.ports import Clock
from wfsim.errors import UsageError
from wfsim.model.journal import Journal
from wfsim.model.log import EventLog
from wfsim.model.run import Run
from wfsim.sim.world import World

EVENTS = 1 << 14
"""After so many events of the clock, a quarter of a second or so, it is looked at."""

MAX_IDLE = 1 << 20
"""So many events may happen without a record or time passing before it is a bug."""

MAX_AT_ONCE = 1 << 20
"""So many records may be made without time passing before it is a bug."""

LEAST_TIME = 0.1
"""That time passes means so many seconds over that many events or records."""


class Standstill:
    """What has happened since time last passed, or since the last record was made."""

    def __init__(
        self,
        log: EventLog,
        journal: Journal,
        clock: Clock,
        world: World | None,
        most: int = MAX_IDLE,
    ) -> None:
        self._log = log
        self._world = world
        self._journal = journal
        self._clock = clock
        self._most = most
        self._idle = self._crowd = (len(log), float(clock.now))
        self._events = 0

    def after(self, events: int) -> None:
        """Raise `UsageError` if *events* more are too many."""
        now = float(self._clock.now)
        there = len(self._log), now
        if now > self._crowd[1] + LEAST_TIME:
            self._crowd = there
        elif there[0] > self._crowd[0] + MAX_AT_ONCE:
            raise UsageError(self._crowded(there[0] - self._crowd[0], now))
        if there[0] > self._idle[0]:
            self._idle, self._events = there, 0
            return
        self._events += events
        if self._events < self._most:
            return
        if now <= self._idle[1] + LEAST_TIME:
            raise UsageError(self._idling(now))
        self._idle, self._events = there, 0

    def _idling(self, now: float) -> str:
        """Return what is under way while events change nothing."""
        pending = [] if self._world is None else self._world.pending
        again = [each.action for each in pending if each.due <= now + LEAST_TIME]
        if again:
            return self._said(now, f"the world's {again[-1]!r} is due again and again")
        steps = [
            f"step {run.step.name!r} of {run.resource} {run.key}"
            for each in self._journal.runs.values()
            for run in each.values()
            if isinstance(run, Run) and not run.is_final and run.step
        ]
        more = f" and {len(steps) - 3} more" if len(steps) > 3 else ""
        at_work = f"{', '.join(steps[:3])}{more}" if steps else "the world"
        return self._said(now, f"{at_work} sleeps for no time, over and over")

    def _said(self, now: float, what: str) -> str:
        return (
            f"{self._events} events at {now:g} s without a record or time passing: "
            f"{what}; let it take time"
        )

    def _crowded(self, records: int, now: float) -> str:
        """Return what so many *records* in no time are of."""
        last = self._log.records[-1]
        whose = " ".join(filter(None, (last.step, last.resource, last.run)))
        return (
            f"{records} records at {now:g} s without time passing, the last of them "
            f"{last.kind.value} of {whose}; let something take time"
        )


__all__ = ["EVENTS", "MAX_IDLE", "Standstill"]
