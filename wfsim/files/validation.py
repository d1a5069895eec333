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

import inspect
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import reduce
from operator import or_
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    TypeAlias,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import pydantic
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    RootModel,
    ValidationError,
    create_model,
)
from pydantic.alias_generators import to_camel

from wfsim.errors import DefinitionError, Location, Problem
from wfsim.files.document import Document
from wfsim.model.bounds import Doc
from wfsim.model.frozen import thaw
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


class Item(Strict):
    """A mapping of a file whose keys are those of a Python call."""

    model_config = ConfigDict(alias_generator=None)

    def given(self) -> dict[str, Any]:
        """Return what the file says, as keywords of that call."""
        return {name: getattr(self, name) for name in sorted(self.model_fields_set)}


def model_of(
    name: str,
    *kinds: type,
    base: type[Item] = Item,
    without: Collection[str] = (),
    partial: bool = False,
) -> type[Any]:
    """Return a model of a mapping that has the fields of the dataclasses *kinds*.

    Types, bounds, defaults and descriptions are those of the fields.  What may be left
    out may not be written without a value.  With *partial* everything may be left out,
    and what may be None may be null.
    """
    definitions: dict[str, Any] = {}
    for kind in kinds:
        hints = get_type_hints(kind, include_extras=True)
        for item in fields(kind):
            if item.name not in without:
                definitions[item.name] = _in_file(item, hints[item.name], partial)
    doc = inspect.getdoc(kinds[0] if base is Item else base) or ""
    summary = " ".join(doc.split("\n\n")[0].split())
    return create_model(name, __base__=base, __doc__=summary, **definitions)


def _in_file(item: Field[Any], hint: Any, partial: bool) -> tuple[Any, Any]:
    """Return the annotation and the default of a model for one field of a dataclass."""
    docs = [str(each) for each in get_args(hint)[1:] if isinstance(each, Doc)]
    hint, default = _type_in_file(hint, partial), item.default
    nullable = NoneType in get_args(hint)
    if item.default_factory is not MISSING:
        default = thaw(item.default_factory())
    if default is None and not (nullable or partial):
        default = MISSING
    if partial and nullable:
        default = None
    elif partial or default is None:
        inner = [each for each in get_args(hint) if each is not NoneType]
        hint = (inner[0] if nullable else hint) | None
        hint, default = Annotated[hint, BeforeValidator(_refuse_null)], None
    given = ... if default is MISSING else default
    return hint, pydantic.Field(given, description=next(iter(docs), None))


def _type_in_file(hint: Any, partial: bool) -> Any:
    """Return the type of a model that takes from a file what *hint* takes in Python."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        metadata = [each for each in args[1:] if not isinstance(each, Doc)]
        inner = _type_in_file(args[0], partial)
        return Annotated.__class_getitem__((inner, *metadata)) if metadata else inner
    if origin in (Union, UnionType):
        return reduce(or_, (_type_in_file(each, partial) for each in args))
    if origin is tuple:
        return list[_type_in_file(args[0], partial)]  # type: ignore[misc]
    if origin is Mapping:
        return dict[args[0], _type_in_file(args[1], partial)]  # type: ignore[misc, valid-type]
    if isinstance(hint, type) and is_dataclass(hint):
        name = f"{hint.__name__}Numbers" if partial else hint.__name__
        return model_of(name, hint, partial=partial)
    return hint


def validated(model: type[M], document: Document) -> M:
    """Return what *document* says as a *model*, or raise `DefinitionError`."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise DefinitionError(*problems_of(error, document, model)) from None


def problems_of(
    error: ValidationError, document: Document, model: type[BaseModel]
) -> list[Problem]:
    """Return what *error* found wrong with *document*, in the order of lines."""
    problems = []
    for detail in error.errors(include_url=False):
        path = _path(detail["loc"], document.data)
        problems.append(document.problem(path, _sentence(detail, path, model)))
    return sorted(problems, key=lambda problem: document.line_of(problem.path))


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


def _sentence(detail: ErrorDetails, path: Location, model: type[BaseModel]) -> str:
    culprit, value = _culprit(path), detail["input"]
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
        case "string_too_short" if not value:
            return f"{culprit} is empty; write a text"
        case "too_long":
            return f"{culprit} has more than {context['max_length']} items; split it"
        case "too_short":
            return (
                f"{culprit} has too few items; it takes {context['min_length']} or more"
            )
        case "string_type" if isinstance(value, (bool, int, float)):
            return f"{culprit} must be text, got {shown(value)}; put it in quotes"
        case kind if kind in _WANTED:
            return f"{culprit} must be {_WANTED[kind]}, got {shown(value)}"
    wanted = detail["msg"].replace("Input should", "must")
    return f"{culprit} {wanted}, got {shown(value)}"


def _culprit(path: Location) -> str:
    match path:
        case ():
            return "the file"
        case (*_, str(key)):
            return shown(key)
        case (*_, str(key), int(index)):
            return f"item {index + 1} of {shown(key)}"
    return f"item {int(path[-1]) + 1}"


def _path(loc: Iterable[str | int], data: Any) -> Location:
    """Return *loc* without the names that pydantic adds for the branches of a union."""
    path: Location = ()
    for part in loc:
        match data:
            case dict() if part in data:
                data = data[part]
            case list() if isinstance(part, int) and part < len(data):
                data = data[part]
            case _:
                continue
        path = (*path, part)
    return path


def _keys_at(loc: Iterable[str | int], model: type[BaseModel]) -> set[str]:
    """Return the keys that *model* takes in the mapping at *loc*."""
    models = [model]
    if issubclass(model, RootModel):
        models = [*_models_in(model.model_fields["root"].annotation)]
    for part in loc:
        inner = [
            inner_model
            for each in models
            for name, field in each.model_fields.items()
            if part in (field.alias, name)
            for inner_model in _models_in(field.annotation)
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
