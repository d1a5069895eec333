"""Faults as values: printable, comparable, written in YAML.

A fault enters in one of two ways: it wraps a port (see `injection`), or it acts from
outside on the clock.  The engine knows of neither.  Times are seconds of virtual time.

A plan in YAML is a list of faults, each a mapping of its name to its arguments; it
says what the call would say::

    - CrashAt: {t: 40, restart_after: 10}
    - FailStep: {step: CreateRwPod, times: 2}
    - CancelAt: {site: "mpd-0/1-Create/CreateRwPod#1 wait", later: 5}

Each fault takes a *site* in the place of a time, a write or a step: see `sites`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Literal, TypeAlias

from wfsim.errors import DefinitionError, Problem
from wfsim.model.bounds import (
    Draw,
    Json,
    Notes,
    PositiveCount,
    PositiveSeconds,
    Seconds,
    Text,
    Word,
    check,
)
from wfsim.model.frozen import EMPTY, thaw

MAX_FAULTS = 10_000

PLACES = ("t", "write", "step", "site")
"""Of these fields of a fault just one says where it happens."""


_NEEDED: Any = None
"""The default of a field that has none, after one that has: `check` refuses it."""


class Fault:
    """Base class of faults; prints as the call that makes it, defaults left out.

    >>> CrashAt(t=40.0, restart_after=10)
    CrashAt(t=40, restart_after=10)
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        check(self)
        places = [name for name in PLACES if hasattr(self, name)]
        given = sum(getattr(self, name) is not None for name in places)
        if given != 1:
            *others, last = places
            names = f"{', '.join(others)} {'and' if given else 'or'} {last}"
            names = names if others else last
            text = f"give only one of {names}" if given else f"give {names}"
            raise DefinitionError(Problem(text, subject=type(self).__name__))

    def __repr__(self) -> str:
        arguments = [f"{name}={value!r}" for name, value in self.arguments().items()]
        return f"{type(self).__name__}({', '.join(arguments)})"

    def arguments(self) -> dict[str, Any]:
        """Return what is not left to its default, as plain JSON values."""
        changed = {}
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            if value == item.default or (not value and isinstance(value, Mapping)):
                continue
            whole = isinstance(value, float) and value.is_integer()
            changed[item.name] = int(value) if whole else thaw(value)
        return changed


@dataclass(frozen=True, repr=False)
class SitedFault(Fault):
    """Base class of what may happen at a *site*, the first time that it is reached."""

    site: Word | None = field(default=None, kw_only=True)


@dataclass(frozen=True, repr=False)
class MomentFault(SitedFault):
    """Base class of what happens at *t*, or *later* seconds after a site."""

    t: Seconds | None = None
    later: Seconds = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.later and self.site is None:
            text, cure = "later goes with site", "leave it out"
            raise DefinitionError(Problem(text, cure, ("later",), type(self).__name__))


@dataclass(frozen=True, repr=False)
class StepFault(SitedFault):
    """Base class of what happens in a step, for the first *times* attempts that match.

    *attempt* (from 1) and *resource* narrow down where.  Its site is the start of a step,
    a wait or, but for what takes time, a call of the world.
    """

    step: Word | None = None
    times: PositiveCount = field(default=1, kw_only=True)
    attempt: PositiveCount | None = field(default=None, kw_only=True)
    resource: Word | None = field(default=None, kw_only=True)


@dataclass(frozen=True, repr=False)
class FailStep(StepFault):
    """The step fails before doing its work; with *after*, when it has done it.

    Then the engine cannot know that it has.  The first *times* attempts fail, or the one
    numbered *attempt*; *resource* says whose (None: any); *error* is the failure.
    """

    error: Text = "injected failure"
    after: bool = False


@dataclass(frozen=True, repr=False)
class DelayStep(StepFault):
    """The step begins its work *by* seconds late."""

    by: PositiveSeconds = 60.0


@dataclass(frozen=True, repr=False)
class HangStep(StepFault):
    """The step never ends by itself: a timeout, a cancel or a crash must end it."""


@dataclass(frozen=True, repr=False)
class InterruptStep(StepFault):
    """The step asks for an operator instead of doing its work."""

    reason: Word = "INJECTED"
    message: Text = ""


@dataclass(frozen=True, repr=False)
class RepeatCall(SitedFault):
    """The call of the world at the site is made twice, as by a network that repeats it.

    Only the answer to the first one is heard.
    """


@dataclass(frozen=True, repr=False)
class CancelAt(MomentFault):
    """Somebody cancels the resource (None: the first one) at *t*."""

    resource: Word | None = None


@dataclass(frozen=True, repr=False)
class EditAt(MomentFault):
    """Somebody edits the resource (None: the first one) at *t*, or deletes it.

    A value of None removes a key.  With *replace* it is deleted and created again under
    its name, as the scenario has it but for what is set here: another resource, as after
    ``kubectl replace --force``.  What finalizers hold comes back when they let it go.
    """

    resource: Word | None = None
    spec: Json = field(default_factory=lambda: EMPTY)
    status: Json = field(default_factory=lambda: EMPTY)
    annotations: Notes = field(default_factory=lambda: EMPTY)
    delete: bool = False
    replace: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        changes = ("spec", "status", "annotations")
        is_changed = self.replace or any(getattr(self, name) for name in changes)
        if self.delete == is_changed:
            text = (
                f"give either delete=True or what to set in {', '.join(changes)}, "
                "with replace=True if it is to be another resource"
            )
            raise DefinitionError(Problem(text, subject="EditAt"))

    def __hash__(self) -> int:
        # Equal mappings may differ in order, and 1 from 1.0; their keys will do.
        keys = (*self.spec, *self.status, *self.annotations)
        kind = self.delete, self.replace
        return hash((self.t, self.site, self.resource, kind, frozenset(keys)))


@dataclass(frozen=True, repr=False)
class AskAt(MomentFault):
    """Somebody asks *call* of the resource or flow (None: the first one) at *t*.

    *call* is one of ``cancel, uncancel, recover, delete``, of a service ``cancel, stop,
    start``, or one of the scenario's `requests`, with *inputs*.  One that is
    refused has been asked all the same.
    """

    call: Word = _NEEDED
    resource: Word | None = None
    inputs: Json = field(default_factory=lambda: EMPTY)

    def __hash__(self) -> int:
        where = self.t, self.site, self.later, self.resource
        return hash((*where, self.call, frozenset(self.inputs)))


@dataclass(frozen=True, repr=False)
class CrashAt(MomentFault):
    """The controller dies at *t*, or just before or after its *write*-th write or a site.

    Before a wait is as soon as it has begun.  The controller comes back *restart_after*
    seconds later (None: never).
    """

    write: PositiveCount | None = None
    when: Literal["before", "after"] = "after"
    restart_after: Seconds | None = None
    controller: Word | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.when != "after" and (self.t is not None or self.later):
            text, cure = "when goes with write, or site without later", "leave it out"
            raise DefinitionError(Problem(text, cure, ("when",), "CrashAt"))


@dataclass(frozen=True, repr=False)
class FailSave(SitedFault):
    """The *write*-th write and the *times* - 1 that follow are answered with an error.

    *applied*: the write was done all the same, which its writer cannot know.
    """

    write: PositiveCount | None = None
    applied: bool = False
    times: PositiveCount = 1


@dataclass(frozen=True, repr=False)
class RefuseWrite(SitedFault):
    """The *write*-th write is refused, as if someone else had been faster."""

    write: PositiveCount | None = None
    times: PositiveCount = 1


@dataclass(frozen=True, repr=False)
class StaleRead(MomentFault):
    """From *t* on, for *for_* seconds, the cache shows what was there at *t*.

    With *back* it shows what was there so many seconds before: who starts then has
    travelled in time.
    """

    for_: PositiveSeconds = _NEEDED
    back: Seconds = 0.0


@dataclass(frozen=True, repr=False)
class DropWatch(MomentFault):
    """For *for_* seconds from *t* on controllers hear of no change, then list all."""

    for_: PositiveSeconds = _NEEDED


@dataclass(frozen=True, repr=False)
class PauseController(MomentFault):
    """The controller's process stands still from *t* on, for *for_* seconds.

    It wakes up as one that looks at its lease before anything else: what somebody has
    taken over meanwhile is dropped.  A *zombie* does not look: its steps go on, beside
    those of who has the lease now, until the first write that a store refuses.

    It fires if it keeps something from being done: at once for a controller that holds
    a lease, else when the pause is over, if there is something to do that nobody else
    was there for.
    """

    for_: PositiveSeconds = _NEEDED
    controller: Word | None = None
    zombie: bool = False


@dataclass(frozen=True, repr=False)
class LoseLease(MomentFault):
    """The leases of *controller* (None: whoever has one) are free at *t*; it lives on.

    It knows nothing of it: its steps go on until the first write that a store refuses,
    if somebody else has taken the lease by its next renewal; with that, it is its own
    again.  With *resource* only the lease of that one is lost.
    """

    controller: Word | None = None
    resource: Word | None = None


@dataclass(frozen=True, repr=False)
class ApiDown(MomentFault):
    """From *t* on, for *for_* seconds, the stores refuse every request of a controller.

    They tell of no change either; then everything is listed.  Leases stay as they are,
    and so does what a cache holds.
    """

    for_: PositiveSeconds = _NEEDED


@dataclass(frozen=True, repr=False)
class BreakOne(MomentFault):
    """One thing of the fake world breaks at *t*, and is mended *for_* seconds later.

    *draw* (0 <= draw < 1) says which of those that could: see `World.break_one`.
    With None as *for_* nobody mends it.
    """

    draw: Draw = 0.0
    for_: PositiveSeconds | None = None


FAULTS: dict[str, type[Fault]] = {
    kind.__name__: kind
    for kind in (
        FailStep,
        DelayStep,
        HangStep,
        InterruptStep,
        RepeatCall,
        CancelAt,
        EditAt,
        AskAt,
        CrashAt,
        FailSave,
        RefuseWrite,
        StaleRead,
        DropWatch,
        PauseController,
        LoseLease,
        ApiDown,
        BreakOne,
    )
}


AnyStepFault: TypeAlias = FailStep | DelayStep | HangStep | InterruptStep
"""A fault of a step: what it does to an attempt is in `fault_wrappers`."""

TimedFault: TypeAlias = (
    CancelAt
    | EditAt
    | AskAt
    | CrashAt
    | StaleRead
    | DropWatch
    | PauseController
    | LoseLease
    | ApiDown
    | BreakOne
)
"""A fault that may happen at a time: what it does then is in `fault_plan`."""

RENAMED = {"Conflict": "RefuseWrite"}
"""What a fault is called whose name of the version before still works, and warns."""


def load_plan(file: str | os.PathLike[str]) -> tuple[Fault, ...]:
    """Return the faults in the YAML *file*, in its order.

    Raises `DefinitionError` with one line, file and line number first, for each
    problem there is.
    """
    from wfsim.files.document import read_document
    from wfsim.sim.scenario_schema import plan_in

    return plan_in(read_document(file))


def dump_plan(faults: Iterable[Fault]) -> str:
    """Return *faults* as the YAML that `load_plan` reads."""
    import yaml

    plan = [{type(fault).__name__: fault.arguments()} for fault in faults]
    text: str = yaml.dump(
        plan,
        Dumper=_dumper(),
        default_flow_style=None,
        sort_keys=False,
        allow_unicode=True,
        width=10_000,
    )
    return text


@cache
def _dumper() -> Any:
    """Return what writes text so that a `Document` reads text: a word, or in quotes."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

        def represent_mapping(self, *args: Any, **more: Any) -> yaml.MappingNode:
            """Write a fault on one line, its texts in quotes or not."""
            node = super().represent_mapping(*args, **more)
            if all(isinstance(value, yaml.ScalarNode) for _, value in node.value):
                node.flow_style = True
            return node

    def text_node(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        style = None if _WORD.fullmatch(text) else '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)

    def number_node(dumper: yaml.SafeDumper, number: float) -> yaml.ScalarNode:
        text = repr(number)
        # PyYAML takes 1e-07 for text.
        text = text if "." in text else text.replace("e", ".0e")
        return dumper.represent_scalar("tag:yaml.org,2002:float", text)

    Dumper.add_representer(str, text_node)
    Dumper.add_representer(float, number_node)
    return Dumper


_WORD = re.compile("[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
