"""What can go wrong, as values: printable, comparable, written in YAML.

A fault enters in one of two ways: it wraps a port (see `injection`), or it acts from
outside on the clock.  The engine knows of neither.  Times are seconds of virtual time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal

from wfsim.errors import DefinitionError
from wfsim.model.frozen import EMPTY


class Fault:
    """Base class; prints as the call that makes it, defaults left out."""

    __slots__ = ()

    def __repr__(self) -> str:
        said = []
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            default = item.default if item.default is not MISSING else None
            if value != default and not (value == {} and isinstance(value, Mapping)):
                said.append(f"{item.name}={value!r}")
        return f"{type(self).__name__}({', '.join(said)})"


@dataclass(frozen=True, repr=False)
class StepFault(Fault):
    """Base class of what happens in a step, for the first *times* attempts that match.

    *attempt* (from 1) and *resource* narrow down where.
    """

    step: str
    times: int = field(default=1, kw_only=True)
    attempt: int | None = field(default=None, kw_only=True)
    resource: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not self.step:
            raise DefinitionError(f"{type(self).__name__}: step is empty; name a step")
        _positive(self, "times")


@dataclass(frozen=True, repr=False)
class FailStep(StepFault):
    """The step raises; with *after*, only when its work is done (an ambiguous result)."""

    error: str = "injected failure"
    after: bool = False


@dataclass(frozen=True, repr=False)
class DelayStep(StepFault):
    """The step begins its work *by* seconds late."""

    by: float = 60.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive(self, "by")


@dataclass(frozen=True, repr=False)
class HangStep(StepFault):
    """The step never ends by itself: a timeout, a cancel or a crash must end it."""


@dataclass(frozen=True, repr=False)
class InterruptStep(StepFault):
    """The step asks for an operator instead of doing its work."""

    reason: str = "INJECTED"
    message: str = ""


@dataclass(frozen=True, repr=False)
class CancelAt(Fault):
    """Somebody cancels the resource (None: the first one) at *t*."""

    t: float
    resource: str | None = None

    def __post_init__(self) -> None:
        _not_negative(self, "t")


@dataclass(frozen=True, repr=False)
class EditAt(Fault):
    """Somebody edits the resource (None: the first one) at *t*, or deletes it.

    A value of None removes a key.
    """

    t: float
    resource: str | None = None
    spec: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    status: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    annotations: Mapping[str, str | None] = field(default_factory=lambda: EMPTY)
    delete: bool = False

    def __post_init__(self) -> None:
        _not_negative(self, "t")


@dataclass(frozen=True, repr=False)
class CrashAt(Fault):
    """The controller dies at *t*, or just before or after its *write*-th write.

    It comes back *restart_after* seconds later (None: never).
    """

    t: float | None = None
    write: int | None = None
    when: Literal["before", "after"] = "after"
    restart_after: float | None = None
    controller: str | None = None

    def __post_init__(self) -> None:
        if (self.t is None) == (self.write is None):
            raise DefinitionError("CrashAt: give either t or write")
        if self.when not in ("before", "after"):
            raise DefinitionError(
                f"CrashAt: when is 'before' or 'after', not {self.when!r}"
            )
        _not_negative(self, "t")
        _positive(self, "write")
        _not_negative(self, "restart_after")


@dataclass(frozen=True, repr=False)
class FailSave(Fault):
    """The *write*-th write and the *times* - 1 that follow are answered with an error.

    *applied*: the write was done all the same, which its writer cannot know.
    """

    write: int
    applied: bool = False
    times: int = 1

    def __post_init__(self) -> None:
        _positive(self, "write")
        _positive(self, "times")


@dataclass(frozen=True, repr=False)
class Conflict(Fault):
    """The *write*-th write is refused, as if someone else had been faster."""

    write: int
    times: int = 1

    def __post_init__(self) -> None:
        _positive(self, "write")
        _positive(self, "times")


@dataclass(frozen=True, repr=False)
class StaleRead(Fault):
    """From *t* on, for *for_* seconds, the cache shows what was there at *t*."""

    t: float
    for_: float

    def __post_init__(self) -> None:
        _not_negative(self, "t")
        _positive(self, "for_")


@dataclass(frozen=True, repr=False)
class DropWatch(Fault):
    """From *t* on, for *for_* seconds, no change is told; then everything is listed."""

    t: float
    for_: float

    def __post_init__(self) -> None:
        _not_negative(self, "t")
        _positive(self, "for_")


@dataclass(frozen=True, repr=False)
class PauseController(Fault):
    """The controller's process stands still from *t* on, for *for_* seconds."""

    t: float
    for_: float
    controller: str | None = None

    def __post_init__(self) -> None:
        _not_negative(self, "t")
        _positive(self, "for_")


FAULTS: dict[str, type[Fault]] = {
    kind.__name__: kind
    for kind in (
        FailStep,
        DelayStep,
        HangStep,
        InterruptStep,
        CancelAt,
        EditAt,
        CrashAt,
        FailSave,
        Conflict,
        StaleRead,
        DropWatch,
        PauseController,
    )
}


def _not_negative(fault: Fault, name: str) -> None:
    value = getattr(fault, name)
    if value is not None and not 0 <= value < float("inf"):
        raise DefinitionError(
            f"{type(fault).__name__}: {name} is {value!r}; give seconds from 0 on"
        )


def _positive(fault: Fault, name: str) -> None:
    value = getattr(fault, name)
    if value is not None and not 0 < value < float("inf"):
        raise DefinitionError(
            f"{type(fault).__name__}: {name} is {value!r}; it is above 0"
        )
