"""The search of a Debugger in a log: kinds of records, words, a number, or a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from wfsim.model.record import Kind, Record

Where = Callable[[Record], object]

_NUMBER = re.compile(r"#(?P<seq>\d+)|(?P<time>\d+(\.\d*)?)( ?s)?")
KINDS = {
    "failure": (
        Kind.STEP_FAILED, Kind.RUN_FAILED, Kind.RUN_INTERRUPTED, Kind.RUN_QUARANTINED,
        Kind.PASS_FAILED, Kind.CHECK_FAILED, Kind.HOOK_FAILED,
    ),
    "crash": (Kind.CONTROLLER_CRASHED,),
    "fault": (Kind.FAULT_FIRED,),
}  # fmt: skip
"""The kinds of records that one can go to."""


class Search(NamedTuple):
    """What is looked for from the record *here*: a *target*, and what *text* says.

    >>> Search("any", "#12", None).seq, Search("any", "40.5 s", None).time
    (12, 40.5)
    """

    target: str
    text: str
    here: Record | None
    breakpoints: Sequence[Where] = ()

    @property
    def seq(self) -> int | None:
        """The number of a record, if that is looked for."""
        match = _NUMBER.fullmatch(self.text)
        return int(match["seq"]) if match and match["seq"] else None

    @property
    def time(self) -> float | None:
        """A time in seconds, if that is looked for."""
        match = _NUMBER.fullmatch(self.text)
        return float(match["time"]) if match and match["time"] else None

    def accepts(self, record: Record) -> bool:
        """Whether *record* is of the target and holds each word of the text."""
        kinds, here, target = KINDS.get(self.target, ()), self.here, self.target
        if kinds and record.kind not in kinds:
            return False
        if target == "breakpoint" and not any(it(record) for it in self.breakpoints):
            return False
        if here and target == "step":
            same = (record.resource, record.run, record.step)
            if same != (here.resource, here.run, here.step):
                return False
        if here and target == "resource" and record.resource != here.resource:
            return False
        words = self.text.casefold().split()
        said = str(record).casefold() if words else ""
        return all(word in said for word in words)
