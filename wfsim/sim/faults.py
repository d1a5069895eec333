"""What can go wrong, as values: printable, comparable, written in YAML.

A fault enters in one of two ways: it wraps a port (see `injection`), or it acts from
outside on the clock.  The engine knows of neither.  Times are seconds of virtual time.

A plan in YAML is a list of faults, each a mapping of its name to its arguments; it
says what the call would say::

    - CrashAt: {t: 40, restart_after: 10}
    - FailStep: {step: CreateRwPod, times: 2}
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, TypeAlias

import yaml

from wfsim.errors import DefinitionError
from wfsim.files.document import Document, Place, read_document
from wfsim.model.frozen import EMPTY, freeze, is_json, thaw
from wfsim.text import shown, suggest

MAX_SECONDS = 1e12
MAX_COUNT = 1_000_000_000


_Rule: TypeAlias = tuple[Callable[[Any], bool], str]


def _seconds(least: str) -> _Rule:
    def good(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return (value >= 0 if least == "from" else value > 0) and value <= MAX_SECONDS

    return good, f"seconds {least} 0, at most {MAX_SECONDS:g}"


def _text(empty: bool) -> _Rule:
    def good(value: Any) -> bool:
        return isinstance(value, str) and is_json(value) and (empty or value != "")

    return good, "a text" if empty else "a text that is not empty"


def _is_count(value: Any) -> bool:
    # bool is an int to Python.
    return type(value) is int and 0 < value <= MAX_COUNT


def _is_share(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and 0.0 <= value < 1.0


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and is_json(value)


def _is_notes(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        is_json(key) and is_json(item) and isinstance(item, str | None)
        for key, item in value.items()
    )


_COUNT: _Rule = _is_count, f"a whole number from 1 to {MAX_COUNT}"
_FLAG: _Rule = _is_flag, "True or False"
_MAPPING: _Rule = _is_mapping, "a mapping of keys to what JSON can hold"
_RULES: dict[str, _Rule] = {
    **dict.fromkeys(("step", "resource", "controller", "reason"), _text(empty=False)),
    **dict.fromkeys(("error", "message"), _text(empty=True)),
    **dict.fromkeys(("t", "restart_after"), _seconds("from")),
    **dict.fromkeys(("by", "for_"), _seconds("above")),
    **dict.fromkeys(("times", "attempt", "write"), _COUNT),
    **dict.fromkeys(("after", "applied", "delete"), _FLAG),
    "draw": (_is_share, "a number from 0 to below 1"),
    **dict.fromkeys(("spec", "status"), _MAPPING),
    "annotations": (_is_notes, "a mapping of keys to texts, None to remove one"),
    "when": (("before", "after").__contains__, "'before' or 'after'"),
}
"""What every field of a fault may hold, by its name, and how to say so."""


class Fault:
    """Base class; prints as the call that makes it, defaults left out.

    >>> CrashAt(t=40.0, restart_after=10)
    CrashAt(t=40, restart_after=10)
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            good, wanted = _RULES[item.name]
            if not (good(value) or (value is None and item.default is None)):
                raise DefinitionError(
                    f"{type(self).__name__}: {item.name} is {value!r}; give {wanted}"
                )

    def __repr__(self) -> str:
        said = [f"{name}={value!r}" for name, value in self.arguments().items()]
        return f"{type(self).__name__}({', '.join(said)})"

    def arguments(self) -> dict[str, Any]:
        """Return what is not left to its default, as plain JSON values."""
        said = {}
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            if value == item.default or (not value and isinstance(value, Mapping)):
                continue
            whole = isinstance(value, float) and value.is_integer()
            said[item.name] = int(value) if whole else thaw(value)
        return said


@dataclass(frozen=True, repr=False)
class StepFault(Fault):
    """Base class of what happens in a step, for the first *times* attempts that match.

    *attempt* (from 1) and *resource* narrow down where.
    """

    step: str
    times: int = field(default=1, kw_only=True)
    attempt: int | None = field(default=None, kw_only=True)
    resource: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True, repr=False)
class FailStep(StepFault):
    """The step raises; with *after*, only when its work is done (an ambiguous result)."""

    error: str = "injected failure"
    after: bool = False


@dataclass(frozen=True, repr=False)
class DelayStep(StepFault):
    """The step begins its work *by* seconds late."""

    by: float = 60.0


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
        super().__post_init__()
        changes = ("spec", "status", "annotations")
        for name in changes:
            object.__setattr__(self, name, freeze(getattr(self, name)))
        if self.delete == any(getattr(self, name) for name in changes):
            raise DefinitionError(
                "EditAt: give either delete=True or what to set in "
                f"{', '.join(changes[:2])} or {changes[2]}"
            )

    def __hash__(self) -> int:
        # Equal mappings may differ in order, and 1 from 1.0; their keys will do.
        keys = (*self.spec, *self.status, *self.annotations)
        return hash((self.t, self.resource, self.delete, frozenset(keys)))


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
        super().__post_init__()
        if (self.t is None) == (self.write is None):
            raise DefinitionError("CrashAt: give either t or write")
        if self.t is not None and self.when != "after":
            raise DefinitionError("CrashAt: when goes with write; leave it out")


@dataclass(frozen=True, repr=False)
class FailSave(Fault):
    """The *write*-th write and the *times* - 1 that follow are answered with an error.

    *applied*: the write was done all the same, which its writer cannot know.
    """

    write: int
    applied: bool = False
    times: int = 1


@dataclass(frozen=True, repr=False)
class Conflict(Fault):
    """The *write*-th write is refused, as if someone else had been faster."""

    write: int
    times: int = 1


@dataclass(frozen=True, repr=False)
class StaleRead(Fault):
    """From *t* on, for *for_* seconds, the cache shows what was there at *t*."""

    t: float
    for_: float


@dataclass(frozen=True, repr=False)
class DropWatch(Fault):
    """From *t* on, for *for_* seconds, no change is told; then everything is listed."""

    t: float
    for_: float


@dataclass(frozen=True, repr=False)
class PauseController(Fault):
    """The controller's process stands still from *t* on, for *for_* seconds."""

    t: float
    for_: float
    controller: str | None = None


@dataclass(frozen=True, repr=False)
class ApiDown(Fault):
    """From *t* on, for *for_* seconds, the stores refuse every request of a controller.

    They tell of no change either; then everything is listed.  Leases stay as they are,
    and so does what a cache holds.
    """

    t: float
    for_: float


@dataclass(frozen=True, repr=False)
class BreakOne(Fault):
    """One thing of the fake world breaks at *t*, and is mended *for_* seconds later.

    *draw* (0 <= draw < 1) says which of those that could: see `World.break_one`.
    With None as *for_* nobody mends it.
    """

    t: float
    draw: float = 0.0
    for_: float | None = None


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
        ApiDown,
        BreakOne,
    )
}


MAX_FAULTS = 10_000


def load_plan(file: str | os.PathLike[str]) -> tuple[Fault, ...]:
    """Return the faults in the YAML *file*, in its order.

    Raises `DefinitionError` with one line, file and line number first, for each
    problem there is.
    """
    document = read_document(file)
    return plan_in(document, document.data, ())


def plan_in(document: Document, items: Any, place: Place) -> tuple[Fault, ...]:
    """Return the faults in *items*, which stand at *place* of *document*."""
    if not isinstance(items, list):
        text = f"a plan is a list of faults, not {shown(items)}"
        raise DefinitionError(
            document.problem(place, f"{text}; write '- CrashAt: {{t: 40}}'")
        )
    if len(items) > MAX_FAULTS:
        text = f"more than {MAX_FAULTS} faults; split the plan"
        raise DefinitionError(document.problem((*place, MAX_FAULTS), text))
    plan: list[Fault] = []
    problems: list[str] = []
    for index, item in enumerate(items):
        try:
            plan.append(_fault(document, (*place, index), item))
        except DefinitionError as error:
            problems += error.problems
    if problems:
        raise DefinitionError(*problems)
    return tuple(plan)


def dump_plan(faults: Iterable[Fault]) -> str:
    """Return *faults* as the YAML that `load_plan` reads."""
    plan = [{type(fault).__name__: fault.arguments()} for fault in faults]
    text: str = yaml.dump(
        plan,
        Dumper=_Dumper,
        default_flow_style=None,
        sort_keys=False,
        allow_unicode=True,
        width=10_000,
    )
    return text


def _fault(document: Document, at: Place, item: Any) -> Fault:
    if not isinstance(item, dict) or len(item) != 1:
        text = f"a fault is a mapping of one name to its arguments, not {shown(item)}"
        raise DefinitionError(document.problem(at, f"{text}; indent the arguments"))
    ((name, arguments),) = item.items()
    place: Place = (*at, name)
    kind = FAULTS.get(name)
    if kind is None:
        text = f"unknown fault {shown(name)}{suggest(name, FAULTS)}"
        raise DefinitionError(document.problem(place, text))
    if not isinstance(arguments, dict):
        text = f"{name} takes a mapping of arguments, not {shown(arguments)}"
        raise DefinitionError(document.problem(place, f"{text}; write {{name: value}}"))
    problems = list(_wrong_names(document, place, kind, arguments))
    if not problems:
        try:
            return kind(**arguments)
        except DefinitionError as error:
            culprit = (*place, _culprit(error, arguments))
            problems = [document.problem(culprit, text) for text in error.problems]
    raise DefinitionError(*problems)


def _wrong_names(
    document: Document, place: Place, kind: type[Fault], arguments: dict[str, Any]
) -> Iterable[str]:
    known = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    for name in arguments:
        if name not in known:
            text = (
                f"{kind.__name__}: unknown argument {shown(name)}{suggest(name, known)}"
            )
            yield document.problem((*place, name), text)
    for name, item in known.items():
        required = item.default is MISSING and item.default_factory is MISSING
        if required and name not in arguments:
            yield document.problem(place, f"{kind.__name__}: {name!r} is missing; add it")


def _culprit(error: DefinitionError, arguments: dict[str, Any]) -> str:
    """Return the argument that the message of a fault begins with."""
    word = error.problems[0].partition(": ")[2].partition(" ")[0]
    return word if word in arguments else ""


class _Dumper(yaml.SafeDumper):
    """Writes text so that a `Document` reads text: in quotes, unless it is a word."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text_node(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if _WORD.fullmatch(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


def _number_node(dumper: yaml.SafeDumper, number: float) -> yaml.ScalarNode:
    text = repr(number)
    # PyYAML takes 1e-07 for text.
    text = text if "." in text else text.replace("e", ".0e")
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


_WORD = re.compile("[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
_Dumper.add_representer(str, _text_node)
_Dumper.add_representer(float, _number_node)
