"""A failure as a test for pytest, which fails for as long as the failure is there."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from textwrap import dedent
from types import FunctionType
from typing import Any, NamedTuple

from wfsim.campaign.lab import Lab
from wfsim.campaign.oracles import ORACLES
from wfsim.sim.faults import Fault

Wish = Callable[..., Any]

WIDE = 90
"""So many characters a line may have."""


class Named(NamedTuple):
    """A function of the user as a test names it: imported, written out, or a fixture."""

    name: str
    imported: str = ""
    source: str = ""

    @classmethod
    def of(cls, wish: Wish) -> Named:
        """Return how a test may name *wish*."""
        name = getattr(wish, "__name__", "").strip("<>") or type(wish).__name__.lower()
        if not isinstance(wish, FunctionType) or name == "lambda":
            return cls("wish" if name == "lambda" else name)
        if wish.__qualname__ == name and wish.__module__ != "__main__":
            return cls(name, f"from {wish.__module__} import {name}")
        names = inspect.getclosurevars(wish)
        if names.nonlocals or not {*names.globals} <= {"wfsim"}:
            return cls(name)
        try:
            return cls(name, source=dedent(inspect.getsource(wish)))
        except OSError:
            return cls(name)

    @property
    def is_fixture(self) -> bool:
        """Whether whoever keeps the test has to give it, as ``scenario``."""
        return not (self.imported or self.source)


def regression(name: str, said: str, faults: Iterable[Fault], lab: Lab) -> str:
    """Return the test *name* that the run by *faults* is as *lab* wants it.

    It takes the fixture ``scenario``, and one for each function that is neither in a
    module nor complete in itself.  *said* is what is wrong now.
    """
    wishes = {
        field: [*map(Named.of, getattr(lab, field))] for field in ("eventually", "always")
    }
    named = [each for listed in wishes.values() for each in listed]
    fixtures = [each.name for each in named if each.is_fixture]
    imports = sorted({each.imported for each in named if each.imported})
    sources = [f"\n\n{each.source.rstrip()}\n" for each in named if each.source]
    given = {
        "seed": None if lab.calm.seed is None else repr(lab.calm.seed),
        **{
            field: f"[{', '.join(each.name for each in listed)}]"
            for field, listed in wishes.items()
            if listed
        },
        "without": _listed(each for each in ORACLES if each not in lab.checks),
        "but": _listed(lab.but),
        "alike": _listed(lab.alike),
    }
    rows = "".join(f"        {key}={it},\n" for key, it in given.items() if it)
    plan = "".join(f"        wfsim.{fault!r},\n" for fault in faults)
    taken = ", ".join(dict.fromkeys(["scenario", *fixtures]))
    head = "\n".join(["import wfsim", *imports])
    return (
        f"{head}\n{''.join(sources)}\n\n"
        f"def {name}({taken}):\n"
        f"    {_quoted(said)}\n"
        f"    plan = [\n{plan}    ]\n"
        f"    wrong = wfsim.testing.problems(\n        scenario,\n        plan,\n{rows}"
        "    )\n"
        "    assert wrong == []\n"
    )


def _listed(names: Iterable[str]) -> str:
    listed = [*names]
    return repr(listed) if listed else ""


def _quoted(said: str) -> str:
    """Return *said* as a docstring, whatever is in it."""
    short = said if len(said) < WIDE else f"{said[: WIDE - 3]}..."
    plain = '"' not in short and "\\" not in short and short.isprintable()
    return f'"""{short}"""' if plain else repr(short)


__all__ = ["regression"]
