"""The log as the change feed of the stores: one change, one record."""

from __future__ import annotations

from wfsim.engine.ports import Clock
from wfsim.model.log import EventLog
from wfsim.model.memento import Memento, Quarantined
from wfsim.model.record import Kind, Record
from wfsim.model.resource import Resource
from wfsim.model.told import Told


class Recorder:
    """Begins *log* and appends to it; subscribe its methods to the stores."""

    def __init__(self, log: EventLog, clock: Clock) -> None:
        self.log = log
        self._clock = clock
        self._records = log.records = Told(clock)
        self.memento = self._records.of_run
        """Record that a memento took the place of another, or of none."""
        self.pool = self._records.of_pool
        """Record that a pool has changed."""

    def forget(self) -> None:
        """Let the log be empty: one that nobody reads would grow for ever."""
        self._records.clear()

    def removed(self, entry: Memento | Quarantined) -> None:
        """Record that *entry* was forgotten."""
        self.note(Kind.RUN_PRUNED, resource=str(entry.resource), run=entry.key)

    def quarantined(self, entry: Quarantined) -> None:
        """Record that *entry* cannot be read."""
        self.note(
            Kind.RUN_QUARANTINED,
            resource=str(entry.resource),
            run=entry.key,
            text=entry.reason,
        )

    def resource(self, before: Resource | None, after: Resource | None) -> None:
        """Record that *after* took the place of *before* (None: there is none)."""
        if after is not None:
            self._records.of_resource(before, after)
        elif before is not None:
            self.note(Kind.RESOURCE_DELETED, resource=str(before.key))

    def note(
        self,
        kind: Kind,
        *,
        resource: str = "",
        run: str = "",
        flow: str = "",
        step: str = "",
        attempt: int = 0,
        text: str = "",
    ) -> None:
        """Append what no store shows."""
        seq, now = len(self._records), self._clock.now
        self._records.append(
            Record(seq, now, kind, resource, run, flow, step, attempt, text)
        )
