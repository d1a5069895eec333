"""Bounds of seconds, counts, shares and texts, for Python and for files alike.

A dataclass says it in its annotations, and `check` demands it of a new value; what reads
files makes a pydantic model of the same annotations (see `files.validation.model_of`).

>>> from dataclasses import dataclass
>>> @dataclass(frozen=True)
... class Nap:
...     length: Seconds = 1.0
...     snores: Annotated[Share | None, Doc("The probability of a noise.")] = None
...
...     def __post_init__(self):
...         check(self)
>>> Nap(length=-1, snores="often")
Traceback (most recent call last):
wfsim.errors.DefinitionError: Nap: length is -1; give seconds from 0 to 1e+12
Nap: snores is 'often'; give a probability from 0 to 1
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    NoReturn,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from wfsim.errors import DefinitionError, Problem, UsageError
from wfsim.model.frozen import freeze, is_json
from wfsim.text import plain, short

MAX_SECONDS = 1e12
MAX_COUNT = 1_000_000_000
LEAST_GAP = 0.001
"""Seconds: what happens more often is for a distribution to say, not for events."""

Accept: TypeAlias = Callable[[Any], Any]
"""Returns the value as it is kept, or raises `ValueError` that says what to give."""


class Doc(str):
    """What a field means, for the editors of files in which it may stand."""

    __slots__ = ()


class Number(NamedTuple):
    """A number that lies between two others; *noun* is what it is called in an error.

    It has a lower bound, *ge* or *gt*, and an upper one, *le* or *lt*.
    """

    noun: str
    ge: float | None = None
    le: float | None = None
    gt: float | None = None
    lt: float | None = None

    def accept(self, value: Any) -> Any:
        """Return *value* as an int or a float within the bounds."""
        if type(value) is not float and type(value) is not int:
            if isinstance(value, bool) or not isinstance(value, Real):
                raise ValueError(self.wanted)
            value = int(value) if isinstance(value, Integral) else float(value)
        _, ge, le, gt, lt = self
        # A comparison with NaN is false.
        if (value > gt if ge is None else value >= ge) and (
            value < lt if le is None else value <= le
        ):
            return value
        raise ValueError(self.wanted)

    @property
    def wanted(self) -> str:
        """What to give, as a phrase."""
        low = f"above {self.gt:.10g}" if self.ge is None else f"from {self.ge:.10g}"
        high = f"below {self.lt:.10g}" if self.le is None else f"{self.le:.10g}"
        return f"{self.noun} {low} to {high}"

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        bounds = {name: getattr(self, name) for name in ("ge", "le", "gt", "lt")}
        given = {name: bound for name, bound in bounds.items() if bound is not None}
        return {**handler(source), **given}


class Whole(Number):
    """A whole number that lies between two others."""

    def accept(self, value: Any) -> Any:
        """Return *value* as an int within the bounds."""
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise ValueError(self.wanted)
        return super().accept(operator.index(value))


class Words(NamedTuple):
    """A text of a certain length."""

    wanted: str
    min_length: int = 0
    max_length: int | None = None

    def accept(self, value: Any) -> Any:
        """Return *value*, a text that can be written down."""
        # Half a character can be written in JSON, but nowhere else.
        if not isinstance(value, str) or not is_json(value):
            raise ValueError(self.wanted)
        if not self.min_length <= len(value) <= (self.max_length or len(value)):
            raise ValueError(self.wanted)
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        given = {"min_length": self.min_length, "max_length": self.max_length}
        return {**handler(source), **{key: to for key, to in given.items() if to}}


class Keys(NamedTuple):
    """A mapping of keys to what *accept_item* accepts, or else to what JSON can hold."""

    wanted: str
    accept_item: Accept | None = None

    def accept(self, value: Any) -> Any:
        """Return *value* as a mapping that nobody can change."""
        if not isinstance(value, Mapping):
            raise ValueError(self.wanted)
        if self.accept_item is not None:
            try:
                value = {key: self.accept_item(item) for key, item in value.items()}
            except ValueError:
                raise ValueError(self.wanted) from None
        if not is_json(value):
            raise ValueError(self.wanted)
        return freeze(value)


def _accept_note(value: Any) -> Any:
    if value is not None and not isinstance(value, str):
        raise ValueError(_NOTES)
    return value


def _accept_places(value: Any) -> Any:
    return Whole("a whole number", ge=1, le=MAX_COUNT).accept(value)


_NOTES = "a mapping of keys to texts, None to remove one"

Seconds = Annotated[float, Number("seconds", ge=0, le=MAX_SECONDS)]
PositiveSeconds = Annotated[float, Number("seconds", gt=0, le=MAX_SECONDS)]
Gap = Annotated[float, Number("seconds", ge=LEAST_GAP, le=MAX_SECONDS)]
"""Seconds between two events."""
Share = Annotated[float, Number("a probability", ge=0, le=1)]
Draw = Annotated[float, Number("a number", ge=0, lt=1)]
Growth = Annotated[float, Number("a number", ge=1, le=1000)]
"""How many times longer each wait is than the one before."""
Priority = Annotated[float, Number("a number", ge=-MAX_SECONDS, le=MAX_SECONDS)]
PerSecond = Annotated[float, Number("a number", ge=1e-6, le=1e9)]
Count = Annotated[int, Whole("a whole number", ge=0, le=MAX_COUNT)]
PositiveCount = Annotated[int, Whole("a whole number", ge=1, le=MAX_COUNT)]
Text = Annotated[str, Words("a text")]
Word = Annotated[str, Words("a text that is not empty", min_length=1)]
Json = Annotated[Mapping[str, Any], Keys("a mapping of keys to what JSON can hold")]
Notes = Annotated[Mapping[str, str | None], Keys(_NOTES, _accept_note)]

Places = Annotated[
    Mapping[str, PositiveCount],
    Keys("a whole number from 1 on by the name of each pool", _accept_places),
]


def seconds(value: Any, what: str) -> float:
    """Return *value*, seconds of virtual time from now; *what* takes them, in an error.

    Raises `UsageError` for what is no number from 0 to `MAX_SECONDS`.
    """
    # Spelled out, since it is asked at each wait: 0.1 us.
    if type(value) is float and 0.0 <= value <= 1e12:
        return value
    try:
        return float(_SECONDS.accept(value))
    except ValueError as error:
        raise UsageError(f"{what} is {short(value)}; give {error}") from None


_SECONDS = Number("seconds", ge=0, le=MAX_SECONDS)


def argument(name: str, value: Any, hint: Any) -> Any:
    """Return *value* of the argument *name* as its type *hint* has it.

    >>> argument("workers", 0, Annotated[int, Whole("a whole number", ge=1, le=9)])
    Traceback (most recent call last):
    wfsim.errors.UsageError: workers is 0; give a whole number from 1 to 9
    """
    accept = accept_of(hint)
    try:
        return value if accept is None else accept(value)
    except ValueError as error:
        raise UsageError(f"{name} is {plain(value)}; give {error}") from None


def check(item: Any) -> None:
    """Demand of the dataclass *item* what its annotations say; to be called when made.

    What plainly means the same (a NumPy number, a list for a tuple) is put in its place.
    Raises `DefinitionError` with a problem for each field.
    """
    kind: Any = type(item)
    problems = []
    for name, accept in _accepts_of(kind):
        value = getattr(item, name)
        try:
            taken = accept(value)
        except ValueError as error:
            problems.append(_problem(name, value, str(error), kind.__name__))
        else:
            if taken is not value:
                object.__setattr__(item, name, taken)
    if problems:
        raise DefinitionError(*problems)


def ends_before(start: float, until: float, subject: str) -> Problem:
    """Return the problem of a time *until* that lies before *start*."""
    text = f"until is {until!r}, before start, {start!r}"
    return Problem(text, "give a later second", ("until",), subject)


def problems_in(values: Mapping[str, Any], hints: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with *values*, each of which is of the type *hints* say."""
    for name, hint in hints.items():
        accept = accept_of(hint)
        try:
            if accept is not None:
                accept(values[name])
        except ValueError as error:
            yield _problem(name, values[name], str(error))


def _problem(name: str, value: Any, wanted: str, subject: str = "") -> Problem:
    text = f"{name} is {short(value)}"
    return Problem(text, cure=f"give {wanted}", path=(name,), subject=subject)


@cache
def _accepts_of(kind: Any) -> tuple[tuple[str, Accept], ...]:
    hints = get_type_hints(kind, include_extras=True)
    accepts = ((name, accept_of(hint)) for name, hint in hints.items())
    return tuple((name, accept) for name, accept in accepts if accept is not None)


@cache
def accept_of(hint: Any) -> Accept | None:
    """Return what accepts a value of the type *hint*; None if anything will do."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        rules = (getattr(each, "accept", None) for each in args[1:])
        return next((rule for rule in rules if rule is not None), accept_of(args[0]))
    if origin in (Union, UnionType):
        inner = [accept_of(each) for each in args if each is not NoneType]
        return _optional(inner[0]) if len(inner) == 1 and inner[0] else None
    if origin is Literal:
        return _one_of(args, " or ".join(map(repr, args)))
    if origin is tuple:
        inside = accept_of(args[0])
        return _listed(inside, hint) if args[1:] == (...,) and inside else None
    if hint is bool:
        return _of_type(bool, "True or False")
    if hint is str:
        return Words("a text").accept
    return _of_type(hint, f"{hint.__name__}(...)") if isinstance(hint, type) else None


def _optional(accept: Accept) -> Accept:
    return lambda value: None if value is None else accept(value)


def _one_of(values: tuple[Any, ...], wanted: str) -> Accept:
    def accept(value: Any) -> Any:
        # True is 1, and is none of the numbers.
        if isinstance(value, bool) or value not in values:
            raise ValueError(wanted)
        return value

    return accept


def _of_type(kind: type, wanted: str) -> Accept:
    def accept(value: Any) -> Any:
        if not isinstance(value, kind):
            raise ValueError(wanted)
        return value

    return accept


def _listed(accept: Accept, hint: Any) -> Accept:
    def accept_all(value: Any) -> Any:
        if isinstance(value, (str, bytes, Mapping)):
            raise ValueError("a list")
        try:
            items = tuple(value)
        except TypeError:
            raise ValueError("a list") from None
        try:
            taken = tuple(map(accept, items))
        except ValueError as error:
            raise ValueError(f"a list, each item {error}") from None
        return value if taken == value else taken

    return accept_all


def listed(name: str, values: Any, item: str) -> tuple[Any, ...]:
    """Return *values* of the argument *name* as a tuple; refuse what is no list.

    >>> listed("hooks", 42, "Hooks()")
    Traceback (most recent call last):
    wfsim.errors.DefinitionError: hooks is 42; give a list: hooks=[Hooks()]
    """
    # A resource is a tuple, a state machine's class and a dict can be gone through.
    single = isinstance(values, (str, Path, Mapping, type)) or hasattr(values, "_fields")
    if single or not isinstance(values, Iterable):
        wrong(name, values, f"give a list: {name}=[{item}]")
    return tuple(values)


def mapped(given: Any, name: str) -> dict[str, Any]:
    """Return what the keyword *name* maps."""
    if not isinstance(given, Mapping):
        text, cure = f"{name} is {short(given)}", "give a mapping by name"
        raise DefinitionError(Problem(text, cure, (name,)))
    return dict(given)


def wrong(name: str, value: Any, cure: str) -> NoReturn:
    """Refuse *value* of the argument *name*."""
    raise DefinitionError(Problem(f"{name} is {plain(value)}", cure, (name,)))
