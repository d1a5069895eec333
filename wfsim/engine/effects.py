"""Effects that a step makes: each is to be driven, by ``yield from`` or ``await``.

What a step makes and never drives does nothing, and Python does not say so.  Steps whose
code drives all that it makes at once, as can be read off the code, run as they are; those
of which that cannot be read are given a context that takes note of what they make.
"""

from __future__ import annotations

import dis
import inspect
import sys
from collections.abc import Callable, Generator, Iterator
from functools import lru_cache, partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

from wfsim.engine.context import StepContext
from wfsim.engine.ports import Effect, StepFunction
from wfsim.errors import UsageError
from wfsim.text import place_of

METHODS = frozenset({"sleep", "wait", "fetch", "update"})
"""The methods of a context that make an effect."""

_DRIVES = ("GET_YIELD_FROM_ITER", "GET_AWAITABLE")
_LOADS = ("LOAD_ATTR", "LOAD_METHOD")
MOST_FUNCTIONS = 200
"""So many functions that a step may call are read; of more nothing is known."""


class Undriven(UsageError):
    """A step made an effect and did not drive it; *where* is the line that made it."""

    def __init__(self, method: str, where: str) -> None:
        super().__init__(method, where)
        self.where = where
        self._method = method

    def __str__(self) -> str:
        name = f"ctx.{self._method}(...)"
        return (
            f"{name} was made and never driven, so it did nothing; write yield from "
            f"{name}, or await {name} in an async def"
        )


class WatchedEffect(Generator[Any, Any, Any]):
    """An effect that is taken off the list of those *undriven* when it is begun."""

    def __init__(
        self, effect: Any, undriven: list[WatchedEffect], method: str, where: str
    ) -> None:
        self.effect = effect
        self.undriven = undriven
        self.method = self.__name__ = method
        self.where = where
        undriven.append(self)

    def __repr__(self) -> str:
        return f"<effect of ctx.{self.method}(...) made at {self.where}>"

    def send(self, value: Any) -> Any:
        """Go on with it."""
        self._begin()
        return self.effect.send(value)

    def throw(self, *error: Any) -> Any:
        """Raise an error in it."""
        self._begin()
        return self.effect.throw(*error)

    def __await__(self) -> Iterator[Any]:
        return self

    def _begin(self) -> None:
        if self in self.undriven:
            self.undriven.remove(self)


class WatchedContext(StepContext):
    """A context that takes note of the effects that are made of it."""

    __slots__ = ()

    def sleep(self, *args: Any, **keywords: Any) -> Any:
        """Wait, as `StepContext.sleep` does."""
        return self._watched("sleep", *args, **keywords)

    def wait(self, *args: Any, **keywords: Any) -> Any:
        """Wait for an event, as `StepContext.wait` does."""
        return self._watched("wait", *args, **keywords)

    def fetch(self, *args: Any, **keywords: Any) -> Any:
        """Return the resource, as `StepContext.fetch` does."""
        return self._watched("fetch", *args, **keywords)

    def update(self, *args: Any, **keywords: Any) -> Any:
        """Change the resource, as `StepContext.update` does."""
        return self._watched("update", *args, **keywords)

    def _watched(self, method: str, *args: Any, **keywords: Any) -> WatchedEffect:
        frame = sys._getframe(2)
        where = place_of(frame.f_code.co_filename, frame.f_lineno)
        effect = getattr(StepContext, method)(self, *args, **keywords)
        return WatchedEffect(effect, self.undriven, method, where)


def watched(body: Callable[..., Any], effect: StepFunction) -> StepFunction:
    """Return *effect*, which is *body* as one, to fail if it leaves something undriven.

    Returns *effect* itself if the code of *body* shows that it does not.
    """
    if drives_all(body):
        return effect

    def watching(context: StepContext) -> Effect[Any]:
        context.undriven = []
        context.__class__ = WatchedContext
        output = yield from effect(context)
        for each in context.undriven:
            raise Undriven(each.method, each.where)
        return output

    return watching


def drives_all(body: Callable[..., Any]) -> bool:
    """Whether all effects that *body* and what it calls make are driven at once."""
    known: set[Any] = set()
    waiting = _functions(body)
    while waiting:
        function = waiting.pop()
        if function in known or (function.__module__ or "").partition(".")[0] == "wfsim":
            continue
        known.add(function)
        reading = read(function.__code__)
        if not reading.drives_all or len(known) > MOST_FUNCTIONS:
            return False
        waiting += _called(function, reading.names)
    return True


def _functions(thing: Any) -> list[FunctionType]:
    """Return the functions that *thing* is made of, if it is something to call."""
    if isinstance(thing, partial):
        thing = thing.func
    if isinstance(thing, MethodType):
        thing = thing.__func__
    if isinstance(thing, FunctionType):
        return [inspect.unwrap(thing)]
    if inspect.isclass(thing):
        if (thing.__module__ or "").partition(".")[0] in _OTHERS:
            return []
        parts = [part for base in thing.__mro__ for part in vars(base).values()]
        return [part for part in parts if isinstance(part, FunctionType)]
    call = vars(type(thing)).get("__call__")
    return [call] if isinstance(call, FunctionType) else []


_OTHERS = frozenset(sys.stdlib_module_names) | {"wfsim", "simpy"}


def _called(function: FunctionType, names: frozenset[str]) -> list[FunctionType]:
    """Return the functions that *function*, which uses *names*, may call."""
    scope = function.__globals__
    things = [scope[name] for name in names if name in scope]
    for cell in function.__closure__ or ():
        try:
            things.append(cell.cell_contents)
        except ValueError:
            continue  # it has no value yet
    modules = [thing for thing in things if isinstance(thing, ModuleType)]
    things += [
        getattr(module, name)
        for module in modules
        if module.__name__.partition(".")[0] not in _OTHERS
        for name in names
        if hasattr(module, name)
    ]
    functions = []
    for thing in things:
        if isinstance(thing, (FunctionType, MethodType, partial)) or inspect.isclass(
            thing
        ):
            functions += _functions(thing)
    return functions


class Reading(NamedTuple):
    """What a piece of code says: whether it drives what it makes, names that it uses."""

    drives_all: bool
    names: frozenset[str]


@lru_cache(maxsize=4096)
def read(code: CodeType) -> Reading:
    """Read *code* and the functions that are defined in it."""
    parts = [each for each in code.co_consts if isinstance(each, CodeType)]
    inner = [read(each) for each in parts]
    names = frozenset(code.co_names).union(*(each.names for each in inner))
    drives_all = all(each.drives_all for each in inner) and _drives_all(code)
    return Reading(drives_all, names)


def _drives_all(code: CodeType) -> bool:
    if METHODS.isdisjoint(code.co_names):
        return True
    # The call of a method and the load of it begin at the same place of the text.
    loads, driven = set(), set()
    last: Any = None
    for each in dis.get_instructions(code):
        if each.opname in _LOADS and each.argval in METHODS:
            loads.add(_begin(each))
        elif each.opname in _DRIVES and last is not None and "CALL" in last.opname:
            driven.add(_begin(last))
        last = each
    return None not in loads and loads <= driven


def _begin(instruction: Any) -> tuple[int, int] | None:
    """Return line and column at which the text of *instruction* begins."""
    at = instruction.positions
    if at is None or at.lineno is None or at.col_offset is None:
        return None
    return at.lineno, at.col_offset
