"""Operations in the background, and the status files by which one hears of them.

Whoever launches one gets its name at once and must look, by `OperationWorld.poll`, until
it is over.  Its process lives in the world: it goes on when the one who launched it dies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import wfsim
from fake_resources.fakes import Fake, FakeWorld, counter


class OperationStatus(StrEnum):
    """What a status file says; the values are those of the reference."""

    INIT = "init"
    PROCESSING = "processing"
    FINISHED = "finished"
    ERROR = "error"


@dataclass
class Operation(Fake):
    """A process of *kind* on *target* with its status file.

    The process is killed after *limit* seconds (0: never).  *launched* is when it was
    asked for, *unreadable* how many looks at the file will come to nothing, *stuck*
    whether the process hangs, *silent* whether nobody writes the file any more.
    """

    name: str
    kind: str
    target: str
    limit: float = 0.0
    arguments: dict[str, Any] = field(default_factory=dict)
    status: OperationStatus = OperationStatus.INIT
    result: str = ""
    error: str = ""
    stuck: bool = False
    silent: bool = False
    unreadable: int = 0
    launched: float = counter()

    @property
    def is_over(self) -> bool:
        """Whether its file says that it has ended, well or badly."""
        return self.status in (OperationStatus.FINISHED, OperationStatus.ERROR)

    # -- what breaks it, by hand -----------------------------------------------------

    def fail(self, error: str = "exit status 1") -> None:
        """End the process badly, now."""
        if not self.is_over and not self.silent:
            self.status, self.error = OperationStatus.ERROR, error

    def hang(self) -> None:
        """Hang the process: only its limit, if it has one, ends it."""
        self.stuck = True
        if self.limit:
            left = self.launched + self.limit - self.world.clock.now
            self.later(max(left, 0.0), "kill")

    def silence(self) -> None:
        """Stop writing the file: it says for ever what it says now."""
        self.silent = True

    def garble(self, times: int = 1) -> None:
        """Make the file unreadable for the next *times* looks: it is half written."""
        self.unreadable = times

    # -- what happens of itself ------------------------------------------------------

    def start(self) -> None:
        """Launch the process, which ends by itself or is killed, whichever is first."""
        self.launched = self.world.clock.now
        takes = self.world.takes(self.kind, self.target)
        self.later(0.0, "begin")
        killed = 0.0 < self.limit < takes
        self.later(self.limit if killed else takes, "kill" if killed else "end")

    def begin(self) -> None:
        """Mark the process as running."""
        if not self.is_over and not self.silent:
            self.status = OperationStatus.PROCESSING

    def end(self) -> None:
        """Do what it is for, or fail as the seed says."""
        if self.is_over or self.stuck:
            return
        if self.world.operation_fails(self):
            self.fail()
            return
        self.world.over(self)
        if not self.silent:
            self.status = OperationStatus.FINISHED
            self.result = "operation finished"

    def kill(self) -> None:
        """Kill the process, which takes too long."""
        self.fail(f"{self.kind} of {self.target}: killed after {self.limit:g} s")

    def read(self) -> OperationStatus:
        """Return what the file says; raises `PollError` if it cannot be read."""
        if self.unreadable:
            self.unreadable -= 1
            raise wfsim.errors.PollError(f"{self.name}: the status file is cut short")
        return self.status


class OperationWorld(FakeWorld):
    """A world of `operations` by name; none is ever forgotten.

    *operation_failure* is the probability that one ends badly, drawn for each, of the
    kinds of which *failures* says nothing.
    """

    def __init__(
        self,
        latencies: Mapping[str, wfsim.Duration],
        operation_failure: float = 0.0,
        failures: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(latencies, failures)
        self.operations: dict[str, Operation] = {}
        self._operation_failure = operation_failure

    def launch(
        self, kind: str, target: str, timeout: float = 0.0, **arguments: Any
    ) -> str:
        """Launch an operation that is killed after *timeout* seconds; return its name.

        Each launch is one of its own, however often the same was launched before.
        """
        number = self.counts[kind, target] + 1
        name = f"{kind}-{target}-{number}".lower().replace(" ", "-")
        operation = Operation(name, kind, target, timeout, arguments)
        self.operations[name] = self.adopt(operation, "operations", name)
        operation.start()
        return name

    def poll(self, operation: str) -> dict[str, Any] | None:
        """Look once: None while it is under way, what it says when it has gone well.

        Raises `ServiceError` 9995 if it has not, `PollError` if its status file cannot
        be read.
        """
        found = self.operations.get(operation)
        if found is None:
            raise wfsim.errors.PollError(f"no status file of an operation {operation!r}")
        match found.read():
            case OperationStatus.FINISHED:
                return {"result": found.result}
            case OperationStatus.ERROR:
                raise wfsim.errors.ServiceError(9995, found.error)
            case _:
                return None

    def break_one(self, draw: float) -> str:
        """End one of the processes under way badly and return its name."""
        names = sorted(name for name, each in self.operations.items() if not each.is_over)
        if not names:
            return ""
        name = names[int(draw * len(names))]
        self.operations[name].fail()
        return name

    def operation_fails(self, operation: Operation) -> bool:
        """Whether the seed says that *operation* ends badly."""
        chance = self._failures.get(operation.kind, self._operation_failure)
        return chance > 0.0 and self.draw("operation failure", operation.name) < chance

    def over(self, operation: Operation) -> None:
        """Change the world as *operation* does, which has gone well; here: nothing.

        A subclass does what the operation is for.
        """


__all__ = ["Operation", "OperationStatus", "OperationWorld"]
