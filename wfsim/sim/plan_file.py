"""Fault plans in YAML: a list of faults, each a mapping of its name to its arguments.

A file says what the call would say::

    - CrashAt: {t: 40, restart_after: 10}
    - FailStep: {step: CreateRwPod, times: 2}
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import MISSING, fields
from typing import Any

import yaml

from wfsim.errors import DefinitionError
from wfsim.model.document import Document, Place, hint, read_document, shown
from wfsim.sim.faults import FAULTS, Fault

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
        text = f"unknown fault {shown(name)}; {hint(name, FAULTS)}"
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
            text = f"{kind.__name__}: unknown argument {shown(name)}; {hint(name, known)}"
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


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if _WORD.fullmatch(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


def _number(dumper: yaml.SafeDumper, number: float) -> yaml.ScalarNode:
    text = repr(number)
    # PyYAML takes 1e-07 for text.
    text = text if "." in text else text.replace("e", ".0e")
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


_WORD = re.compile("[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, _number)
