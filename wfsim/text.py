"""Values and names as an error writes them: what was meant, what was given."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import PurePath
from typing import Any


class _Short(reprlib.Repr):
    """The standard library's own, but for functions, and integers beyond 4,300 digits."""

    def repr_int(self, value: int, level: int) -> str:
        """Say how long one is that Python does not write."""
        if value.bit_length() > 10_000:
            return f"an integer of {value.bit_length()} bits"
        return super().repr_int(value, level)

    def repr_instance(self, value: Any, level: int) -> str:
        """Call it by the first line of what it calls itself."""
        return super().repr_instance(value, level).partition("\n")[0]

    def repr_function(self, function: Any, level: int) -> str:
        """Call it by its name."""
        return called(function)


_SHORT = _Short()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80


def suggest(name: str, names: Iterable[str]) -> str:
    """Return the end of an error for somebody who wrote *name* for one of *names*.

    >>> suggest("stepNam", ["className", "stepName"])
    "; did you mean 'stepName'?"
    >>> suggest("pods.Create", ["Create", "Remove"])
    "; did you mean 'Create'?"
    >>> suggest("x", ["b", "a"])
    "; known: 'a', 'b'"
    """
    known = sorted(set(names))
    for wanted in (name[:200], name[:200].rpartition(".")[2]):
        for near in difflib.get_close_matches(wanted, known, n=1, cutoff=0.5):
            return f"; did you mean {near!r}?"
    more = ", ..." if len(known) > 10 else ""
    return f"; known: {', '.join(map(repr, known[:10])) or 'none'}{more}"


def called(function: Any) -> str:
    """Return how to call *function* in a message: one without a name by its line.

    >>> called(len), called(called)
    ('len', 'called')
    """
    function = getattr(function, "func", function)  # of a partial
    name: str = getattr(function, "__name__", type(function).__name__)
    if name != "<lambda>":
        return name
    code = function.__code__
    return f"the lambda at {place_of(code.co_filename, code.co_firstlineno)}"


def place_of(file: str, line: int) -> str:
    """Return how a line of code is called: not by its folder, which depends on where.

    >>> place_of("steps/job.py", 12), place_of("ipykernel_17/2938.py", 2)
    ('job.py:12', 'cell:2')
    """
    return f"{_file_name(file)}:{line}"


@lru_cache(maxsize=256)
def _file_name(file: str) -> str:
    path = PurePath(file)
    is_cell = path.parent.name.startswith("ipykernel_") or file.startswith("<ipython-")
    return "cell" if is_cell else path.name


def plain(value: Any) -> str:
    """Return *value* for a message: without its address in memory, and not too long.

    >>> plain(len), plain(object()), plain([1])
    ('len', 'an object of the class object', '[1]')
    """
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if callable(value) and hasattr(value, "__name__"):
        return called(value)
    if getattr(type(value), "__repr__", None) is object.__repr__:
        return f"an object of the class {type(value).__name__}"
    return short(value)


def short(value: Any) -> str:
    """Return what Python calls *value*, on one line and not too long.

    >>> short({"a": [1, None]}), len(short("a" * 200))
    ("{'a': [1, None]}", 80)
    """
    return _SHORT.repr(value)


def shown(value: Any) -> str:
    """Return *value* as it is written in YAML, on one line and not too long.

    >>> shown(None), shown(True), shown("a" * 200) == shown("a" * 300)
    ('null', 'true', True)
    """
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case _:
            return short(value)
