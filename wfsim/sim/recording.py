"""The log as the change feed of the stores: one change, one record."""

from __future__ import annotations

from typing import Any

from wfsim.engine.ports import Clock
from wfsim.model.log import EventLog
from wfsim.model.memento import Memento, Quarantined
from wfsim.model.record import Kind, Record, resource_kind, run_kind
from wfsim.model.resource import Key, Resource

_new = tuple.__new__


class Recorder:
    """Appends to *log*; subscribe its methods to the stores."""

    def __init__(self, log: EventLog, clock: Clock) -> None:
        self.log = log
        self._clock = clock
        self._append = log.records.append
        self._seq = len(log.records)
        self._names: dict[Key, str] = {}

    def memento(self, before: Memento | None, after: Memento) -> None:
        """Record that *after* took the place of *before*."""
        kind = run_kind(before, after)
        try:
            name = self._names[after.resource]
        except KeyError:
            name = self._names[after.resource] = str(after.resource)
        step, attempt = "", 0
        if kind not in _OF_THE_RUN:
            try:
                at = after.steps[after.cursor]
            except IndexError:  # an interruption when every step was complete
                pass
            else:
                step, attempt = at.name, at.attempts
        text = after.error
        if after.reason:
            text = f"{after.reason}: {text}" if text else after.reason
        seq, now = self._seq, self._clock.now
        self._seq += 1
        row = (seq, now, kind, name, after.key, after.flow, step, attempt, text, after)
        self._append(_new(Record, row))

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
        if after is None:
            if before is not None:
                self.note(Kind.RESOURCE_DELETED, resource=str(before.key))
            return
        kind = resource_kind(before, after)
        if kind is Kind.RESOURCE_EDITED:
            text = _changes(before, after)
        else:
            text = f"{before.state if before else ''} -> {after.state}".strip()
        self.note(kind, resource=str(after.key), text=text, value=after)

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
        value: Any = None,
    ) -> None:
        """Append what no store shows."""
        seq, now = self._seq, self._clock.now
        self._seq += 1
        self._append(
            Record(seq, now, kind, resource, run, flow, step, attempt, text, value)
        )


_OF_THE_RUN = frozenset(
    {Kind.RUN_CREATED, Kind.RUN_COMPLETED, Kind.RUN_SUPERSEDED, Kind.RUN_RECOVERED}
)


def _changes(before: Resource | None, after: Resource) -> str:
    """Name the parts of a resource in which *after* differs from *before*."""
    if before is None:
        return ""
    parts = ("spec", "status", "annotations", "finalizers", "deleted")
    return ", ".join(
        part for part in parts if getattr(before, part) != getattr(after, part)
    )
