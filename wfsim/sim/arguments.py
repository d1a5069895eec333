"""The keywords of an installed scenario, as a file gives them: known, typed, bounded."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

from wfsim.errors import DefinitionError
from wfsim.model.document import Document, Place, hint, shown

if TYPE_CHECKING:
    from wfsim.sim.scenario import Scenario
    from wfsim.sim.scenario_file import ScenarioFile

MAX_NUMBER = 1_000_000
"""What a whole number among the arguments may be: it often says how many to make."""

OWN = {
    "policy": "policy",
    "latencies": "operations.latencies",
    "failures": "operations.failures",
}
"""Keywords that have a key of their own in the file."""

_ODD = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def made_by(
    make: Callable[..., Scenario], document: Document, said: ScenarioFile
) -> Scenario:
    """Return what *make* makes of what the file *said*, or raise `DefinitionError`."""
    known = inspect.signature(make, eval_str=True).parameters
    given = dict(_given(said))
    problems = []
    for name, (place, value) in given.items():
        if name not in known:
            text = (
                f"{shown(name)} is no argument of {said.scenario!r}; {hint(name, known)}"
            )
        elif place[0] == "arguments" and name in OWN:
            text = f"write {name} as {OWN[name]}, outside arguments"
        else:
            text = _wrong(name, value, known[name].annotation)
        if text:
            problems.append(document.problem(place, text))
    if problems:
        raise DefinitionError(*problems)
    try:
        return make(**{name: value for name, (_, value) in given.items()})
    except DefinitionError as error:
        raise DefinitionError(
            *(document.problem(_place(text, given), text) for text in error.problems)
        ) from error
    except _ODD as error:
        text = f"{said.scenario} cannot be made: {type(error).__name__}: {error}"
        raise DefinitionError(document.problem(("arguments",), text)) from error


def _given(said: ScenarioFile) -> Iterator[tuple[str, tuple[Place, Any]]]:
    """Yield the keywords that the file gives, in all its parts, with their places."""
    for name, value in said.arguments.items():
        yield name, (("arguments", name), value)
    for name in ("nodes", "pods_per_node", "storage_gb"):
        value = getattr(said.capacities, name)
        if value is not None:
            yield name, (("capacities", name), value)
    for name in said.operations.model_fields_set:
        value = getattr(said.operations, name)
        yield name, (("operations", name), value)


def _wrong(name: str, value: Any, wanted: Any) -> str:
    """Return what is wrong with *value* as the argument *name*, "" if nothing."""
    if type(value) is int and abs(value) > MAX_NUMBER and name != "storage_gb":
        return f"{name} is {shown(value)}; give a number up to {MAX_NUMBER}"
    if wanted is inspect.Parameter.empty:
        return ""
    try:
        TypeAdapter(wanted).validate_python(value, strict=True)
    except PydanticSchemaGenerationError:
        return f"{name} cannot be given in a file; remove it"
    except ValidationError as error:
        why = error.errors(include_url=False)[0]["msg"].replace("Input should", "must")
        return f"{name} {why[0].lower()}{why[1:]}, got {shown(value)}"
    return ""


def _place(text: str, given: Mapping[str, tuple[Place, Any]]) -> Place:
    """Return the place of the argument that *text* begins with, or of an entry of it."""
    word, _, rest = text.partition(" ")
    word = word.strip(":")
    if word not in given:
        return ("arguments",)
    place, value = given[word]
    keys = value if isinstance(value, Mapping) else ()
    quoted = [(rest.find(repr(key)), key) for key in keys if repr(key) in rest]
    return (*place, min(quoted)[1]) if quoted else place
