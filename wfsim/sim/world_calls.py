"""Calls that a step makes of the world, seen from outside: neither has to do anything.

Python tells of each function that is called while a step goes on.  One of an object that
is part of the world, called from without, is a call of the world; so is what changes a
dictionary, a list or a set of it.  An assignment to a key of one is not seen.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Iterator
from inspect import CO_COROUTINE, CO_GENERATOR
from types import CodeType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple, Protocol

from wfsim.sim.pool import Pool, pools
from wfsim.sim.world import World, is_same
from wfsim.text import short


class WorldCall(NamedTuple):
    """A call of the world: *what* was called, with which *key* and *input*.

    *answer* or *error* is what came of it, *changed* whether the world is another one
    since (False where that was not asked), *removed* the ways to what is gone at once.
    *repeat* calls it again, None if that cannot be done.
    """

    what: str
    key: str
    input: str
    answer: str = ""
    error: str = ""
    changed: bool = False
    repeat: Callable[[], Any] | None = None
    removed: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What and key, as in the name of a site."""
        return f"{self.what} {self.key}".rstrip()

    def again(self) -> None:
        """Make the call once more; nobody hears what comes of it."""
        if self.repeat is not None:
            try:
                self.repeat()
            except Exception:
                return


class Hearer(Protocol):
    """Who is told of calls."""

    @property
    def is_kept(self) -> bool:
        """Whether it matters what a call has changed."""

    def begins(self, what: str) -> str:
        """A call begins; return its site, or raise what is to come instead."""

    def ends(self, site: str, call: WorldCall) -> None:
        """The call at *site* is over; what this raises is its answer."""


SILENT = frozenset({"attach", "changed", "copy", "draw", "essence", "heard", "state"})
"""What is called on a world that is no request."""

CHANGING = frozenset(
    {
        *("add", "append", "clear", "discard", "extend", "insert", "pop", "popitem"),
        *("remove", "reverse", "setdefault", "sort", "update"),
    }
)
"""What changes a dictionary, a list or a set."""

_PLAIN = (str, int, float, bool, type(None), bytes, complex)
_CODE = (type, FunctionType, MethodType, ModuleType)
_CONTAINERS = (dict, list, set)
_RETURNS = frozenset({"RETURN_VALUE", "RETURN_CONST"})


class Watch:
    """Tells *hearer* of the calls of *world* that are made in ``with watch:``."""

    def __init__(self, world: Any, hearer: Hearer) -> None:
        self._world = world if isinstance(world, World) else None
        self._hearer = hearer
        self._parts: dict[int, tuple[Any, str]] | None = None
        # The frame, or the built-in function, of the call under way.
        self._outer: Any = None
        self._site: str | None = None
        self._call = WorldCall("", "", "")
        self._before: Any = None
        self._profile: Any = None

    def __enter__(self) -> None:
        if self._world is not None:
            self._parts, self._outer = None, None
            self._profile = sys.getprofile()
            sys.setprofile(self._happens)

    def __exit__(self, *_: object) -> None:
        if self._world is not None:
            sys.setprofile(self._profile)

    def _happens(self, frame: FrameType, event: str, arg: Any) -> None:
        outer = self._outer
        if outer is None:
            if event == "call":
                self._called(frame)
            elif event == "c_call" and getattr(arg, "__name__", "") in CHANGING:
                self._changes(arg)
        elif event == "return":
            if frame is outer:
                opcode = frame.f_code.co_code[frame.f_lasti]
                self._ended(dis.opname[opcode] in _RETURNS, arg)
        elif event[:2] == "c_" and arg is outer:
            self._ended(event == "c_return", None)

    def _called(self, frame: FrameType) -> None:
        code = frame.f_code
        if not code.co_argcount:
            return
        given = frame.f_locals
        owner = given.get(code.co_varnames[0])
        if isinstance(owner, (*_PLAIN, *_CODE)):
            return
        path = self._path(owner) if _is_method(owner, code) else None
        if path is None:
            return
        self._outer = frame
        name = code.co_name
        is_wait = code.co_flags & (CO_GENERATOR | CO_COROUTINE)
        if name in SILENT or is_wait or (name[:2] == "__" and name != "__setattr__"):
            self._site = None
            return
        count = code.co_argcount + code.co_kwonlyargcount
        args = {name: given[name] for name in code.co_varnames[1:count] if name in given}
        if name == "__setattr__" and len(args) == 2:
            attribute, value = args.values()
            what, key = f"{_dotted(path, str(attribute))} =", ""
            text = short(value)
        else:
            what = _dotted(path, name)
            key = next((_key(value) for value in args.values()), "")
            text = ", ".join(f"{name}={short(value)}" for name, value in args.items())
        positional = code.co_argcount - 1
        values = [*args.values()]
        keywords = dict([*args.items()][positional:])
        method = getattr(type(owner), name, None)

        def repeat() -> Any:
            return method(owner, *values[:positional], **keywords)  # type: ignore[misc]

        is_method = isinstance(method, FunctionType) or name == "__setattr__"
        repeatable = repeat if is_method and not code.co_flags & 0x0C else None
        self._begun(WorldCall(what, key, text, repeat=repeatable))

    def _changes(self, function: Any) -> None:
        owner = getattr(function, "__self__", None)
        if type(owner) in _CONTAINERS and (path := self._path(owner)) is not None:
            self._outer = function
            self._begun(WorldCall(_dotted(path, function.__name__), "", ""))

    def _begun(self, call: WorldCall) -> None:
        self._call = call
        if self._hearer.is_kept:
            self._before = self._as_it_is()
        self._site = self._hearer.begins(call.name)

    def _ended(self, well: bool, answer: Any) -> None:
        self._outer = None
        if self._site is None:
            return
        site, call, self._parts = self._site, self._call, None
        if self._hearer.is_kept:
            changed = not self._is_as(self._before)
            text = short(answer) if well and answer is not None else ""
            gone = self._removed(self._before) if changed else ()
            call = call._replace(answer=text, changed=changed, removed=gone)
        if not well:
            call = call._replace(error="it raised an error")
        self._hearer.ends(site, call)

    def _as_it_is(self) -> Any:
        world = self._world
        assert world is not None
        return world.copy(), [str(pool) for _, pool in pools(vars(world))]

    def _is_as(self, before: Any) -> bool:
        world = self._world
        held = [str(pool) for _, pool in pools(vars(world))]
        return is_same(world, before[0]) and held == before[1]

    def _removed(self, before: Any) -> tuple[str, ...]:
        return tuple(sorted(names_in(before[0]) - names_in(self._world)))

    def _path(self, thing: Any) -> str | None:
        """Return the way to *thing* from the world, None if it is no part of it."""
        if self._parts is None:
            self._parts = {id(part): (part, path) for path, part in parts(self._world)}
        known = self._parts.get(id(thing))
        return known[1] if known is not None and known[0] is thing else None


def _is_method(owner: Any, code: CodeType) -> bool:
    """Whether *code* is that of a method of *owner*, and not of what it was given to."""
    for kind in type(owner).__mro__:
        member = vars(kind).get(code.co_name)
        member = getattr(member, "fget", member)  # of a property
        member = getattr(member, "__wrapped__", member)
        if getattr(member, "__code__", None) is code:
            return True
    return False


def parts(world: Any) -> Iterator[tuple[str, Any]]:
    """Return whatever *world* is made of that can change, with the way there."""
    seen, left = {id(world)}, [("", world)]
    while left:
        path, thing = left.pop()
        yield path, thing
        if isinstance(thing, dict):
            inner = [(str(name), item) for name, item in thing.items()]
        elif isinstance(thing, (list, tuple)):
            inner = [(str(number), item) for number, item in enumerate(thing)]
        elif isinstance(thing, (Pool, set, frozenset)):
            continue
        else:
            own = getattr(thing, "__dict__", {})
            inner = [(name, item) for name, item in own.items() if name[0] != "_"]
        for name, item in inner:
            if not isinstance(item, (*_PLAIN, *_CODE)) and id(item) not in seen:
                seen.add(id(item))
                left.append((_dotted(path, name), item))


def names_in(world: Any) -> set[str]:
    """Return the ways to all that has a name in *world*: keys, and texts in lists."""
    names = set()
    for path, thing in parts(world):
        if path.partition(".")[0] in ("pending", "counts", "failed"):
            continue
        if isinstance(thing, dict):
            names |= {_dotted(path, str(name)) for name in thing}
        elif isinstance(thing, (list, set)):
            names |= {_dotted(path, name) for name in thing if isinstance(name, str)}
    return names


def _dotted(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _key(value: Any) -> str:
    """Return *value* as it stands in the name of a site."""
    name = value if isinstance(value, (str, int, float)) else getattr(value, "name", "")
    text = " ".join(str(name).split())
    return text if len(text) <= MOST else f"{text[:MOST]}..."


MOST = 60
"""So many characters of a key stand in the name of a site."""


__all__ = ["Hearer", "Watch", "WorldCall", "names_in", "parts"]
