r"""Single values of a document in place of what its file says, by dotted paths.

>>> from wfsim.model.document import parse_document
>>> document = parse_document("steps: {Copy: {failure: 0.1}}\nseed: 3\n", "f.yaml")
>>> overridden(document, {"steps.Copy.failure": 0.2, "policy.timeout": 60}).data
{'steps': {'Copy': {'failure': 0.2}}, 'seed': 3, 'policy': {'timeout': 60}}
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wfsim.errors import DefinitionError
from wfsim.model.document import Document, Place, shown
from wfsim.model.frozen import is_json, thaw


@dataclass(frozen=True, slots=True)
class Overridden(Document):
    """A document of which some items come from the caller, by their places."""

    paths: Mapping[Place, str]

    def problem(self, place: Place, text: str) -> str:
        """Return *text* with file and line, or with the override that brought it in."""
        for given, path in self.paths.items():
            inside = place[: len(given)] == given
            above = given[: len(place)] == place and place and place not in self.lines
            if inside or above:
                return f"{self.name}: override {path!r}: {text}"
        # super() without arguments does not know a class that has been given slots.
        return Document.problem(self, place, text)


def overridden(document: Document, overrides: Mapping[str, Any]) -> Document:
    """Return *document* with the value of each dotted path put in its place.

    Mappings on the way that are not there are made; numbers lead into lists.  Raises
    `DefinitionError` for a path that leads through something else.
    """
    if not overrides:
        return document
    data = copy.deepcopy(document.data)
    paths: dict[Place, str] = {}
    problems = []
    for path, value in overrides.items():
        try:
            paths[_put(data, str(path), _plain(value))] = str(path)
        except ValueError as error:
            problems.append(f"{document.name}: override {path!r}: {error}")
    if problems:
        raise DefinitionError(*problems)
    return Overridden(document.name, data, document.lines, paths)


def _plain(value: Any) -> Any:
    """Return *value* as a document would hold it; a number of NumPy is a number."""
    item = getattr(value, "item", None)
    plain = thaw(item() if callable(item) else value)
    if not is_json(plain):
        raise ValueError(f"{value!r} is nothing that a file could say")
    return plain


def _put(data: Any, path: str, value: Any) -> Place:
    words = path.split(".")
    place: Place = ()
    while True:
        key, words = _next(data, words)
        place = (*place, key)
        if not words:
            data[key] = value
            return place
        if isinstance(data, dict) and key not in data:
            data[key] = {}
        data = data[key]


def _next(data: Any, words: list[str]) -> tuple[str | int, list[str]]:
    """Return the key that *words* begin with, and the others; keys may hold dots."""
    if isinstance(data, list):
        index = int(words[0]) if words[0].isascii() and words[0].isdigit() else -1
        if not 0 <= index < len(data):
            raise ValueError(f"{words[0]!r} is no item; the list has {len(data)}")
        return index, words[1:]
    if not isinstance(data, dict):
        raise ValueError(f"{words[0]!r} cannot be set in {shown(data)}")
    for end in range(len(words), 1, -1):
        key = ".".join(words[:end])
        if key in data:
            return key, words[end:]
    if not words[0]:
        raise ValueError("an empty name; write a path such as 'steps.Copy.failure'")
    return words[0], words[1:]
