r"""Checking a document against a pydantic model; what is wrong comes with a cure.

>>> from wfsim.files.document import parse_document
>>> class Crash(Strict):
...     restart_after: float = 0.0
>>> document = parse_document("restartAfter: soon\nrestart: 3\n", "plan.yaml")
>>> validated(Crash, document)
Traceback (most recent call last):
wfsim.errors.DefinitionError: plan.yaml:1: 'restartAfter' must be a number, got 'soon'
plan.yaml:2: unknown key 'restart'; did you mean 'restartAfter'?
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from wfsim.errors import DefinitionError
from wfsim.files.document import Document, Place
from wfsim.text import shown, suggest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class Strict(BaseModel):
    """A mapping of a file: keys in camel case, none unknown, no type guessed."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        allow_inf_nan=False,
        extra="forbid",
        frozen=True,
        strict=True,
    )


def _refuse_null(value: Any) -> Any:
    if value is None:
        raise ValueError("has no value; write one or remove the key")
    return value


T = TypeVar("T")
Omissible: TypeAlias = Annotated[T | None, BeforeValidator(_refuse_null)]
"""What may be left out, and is None then, but not written without a value."""

M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], document: Document) -> M:
    """Return what *document* says as a *model*, or raise `DefinitionError`."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise DefinitionError(*problems_of(error, document, model)) from None


def problems_of(
    error: ValidationError, document: Document, model: type[BaseModel]
) -> list[str]:
    """Return what *error* found wrong with *document*, by line, each as a problem."""
    found = []
    for detail in error.errors(include_url=False):
        place = _place(detail["loc"], document.data)
        text = _sentence(detail, place, model)
        found.append((document.line_of(place), document.problem(place, text)))
    return [problem for _, problem in sorted(found, key=lambda item: item[0])]


_WANTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def _sentence(detail: ErrorDetails, place: Place, model: type[BaseModel]) -> str:
    culprit, got = _culprit(place), detail["input"]
    last = str(next(reversed(detail["loc"]), ""))
    context = detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            keys = _keys_at(detail["loc"][:-1], model)
            return f"unknown key {shown(last)}{suggest(last, keys)}"
        case "missing":
            return f"{last!r} is missing; add it"
        case "union_tag_not_found":
            return f"{context['discriminator']} is missing; add it"
        case "union_tag_invalid":
            tags = re.findall("'([^']*)'", context["expected_tags"])
            tag = context["tag"]
            return f"{context['discriminator']} is {shown(tag)}{suggest(tag, tags)}"
        case "value_error":
            return f"{culprit} {context['error']}"
        case "too_short":
            return (
                f"{culprit} has too few items; it takes {context['min_length']} or more"
            )
        case "string_type" if isinstance(got, (bool, int, float)):
            return f"{culprit} must be text, got {shown(got)}; put it in quotes"
        case kind if kind in _WANTED:
            return f"{culprit} must be {_WANTED[kind]}, got {shown(got)}"
    return f"{culprit} {detail['msg'].replace('Input should', 'must')}, got {shown(got)}"


def _culprit(place: Place) -> str:
    match place:
        case ():
            return "the file"
        case (*_, str(key)):
            return shown(key)
        case (*_, str(key), int(index)):
            return f"item {index + 1} of {shown(key)}"
    return f"item {int(place[-1]) + 1}"


def _place(loc: Iterable[str | int], data: Any) -> Place:
    """Return *loc* without the names that pydantic adds for the branches of a union."""
    place: Place = ()
    for part in loc:
        match data:
            case dict() if part in data:
                data = data[part]
            case list() if isinstance(part, int) and part < len(data):
                data = data[part]
            case _:
                continue
        place = (*place, part)
    return place


def _keys_at(loc: Iterable[str | int], model: type[BaseModel]) -> set[str]:
    """Return the keys that *model* takes in the mapping at *loc*."""
    models = [model]
    for part in loc:
        inner = [
            found
            for each in models
            for name, field in each.model_fields.items()
            if part in (field.alias, name)
            for found in _models_in(field.annotation)
        ]
        models = inner or [each for each in models if part in _tags(each)] or models
    return {
        field.alias or name
        for each in models
        for name, field in each.model_fields.items()
    }


def _tags(model: type[BaseModel]) -> set[Any]:
    """Return the names by which pydantic may tell *model* from others of a union."""
    kinds = (get_args(field.annotation) for field in model.model_fields.values())
    return {model.__name__}.union(*kinds)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
