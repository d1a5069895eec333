r"""A YAML file as plain data that remembers its lines.

The data are what JSON can say: mappings with text as keys, lists, text, numbers, true,
false and null.  Scalars are read as in YAML 1.2, so that ``on`` and ``2021-07-01`` are
text and nothing is counted to the base of sixty.  Tags, aliases and whatever else could
run code or grow without bound are refused, each with its line.

>>> document = parse_document("steps:\n- stepName: A\n- stepName: B\n", "f.yaml")
>>> document.data["steps"][1], document.line_of(("steps", 1, "stepName"))
({'stepName': 'B'}, 3)

Single values may be put in place of what the file says, by dotted paths:

>>> document = parse_document("steps: {Copy: {failure: 0.1}}\nseed: 3\n", "f.yaml")
>>> overridden(document, {"steps.Copy.failure": 0.2, "policy.timeout": 60}).data
{'steps': {'Copy': {'failure': 0.2}}, 'seed': 3, 'policy': {'timeout': 60}}
"""

from __future__ import annotations

import copy
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from wfsim.errors import DefinitionError, Location, Problem
from wfsim.model.frozen import is_json, thaw
from wfsim.text import shown

MAX_BYTES = 1 << 20
MAX_DEPTH = 50


@dataclass(frozen=True, slots=True)
class Document:
    """What one file says, and where it says it."""

    name: str
    data: Any
    lines: Mapping[Location, int]

    def line_of(self, path: Location) -> int:
        """Return the line, from 1, of the key or item at *path*.

        For something that is missing it is the line of what should hold it.
        """
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def problem(self, path: Location, text: str, cure: str = "") -> Problem:
        """Return the problem of what stands at *path*, with file and line."""
        return self.located(Problem(text, cure), path)

    def located(self, problem: Problem, path: Location = ()) -> Problem:
        """Return *problem*, that of the item at *path*, with file and line."""
        if problem.file:  # another one, which this one refers to
            problem = Problem(str(problem))
        path += problem.path
        line = self.line_of(path)
        return replace(problem, path=path, subject="", file=self.name, line=line)


def read_document(path: str | os.PathLike[str], most: int = MAX_BYTES) -> Document:
    """Return the one document of the YAML file at *path*, of at most *most* bytes.

    Raises `DefinitionError` with file and line for each problem.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            data = file.read(most + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        text, cure = f"cannot be read: {why}", "give the path of a file"
        raise DefinitionError(Problem(text, cure, file=name, line=1)) from None
    return parse_document(data, name, most)


def parse_document(text: str | bytes, name: str, most: int = MAX_BYTES) -> Document:
    """Return the one document in *text*, which came from *name*, or refuse it."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) > most:
        text, cure = f"larger than {most} bytes", "split it into several files"
        raise DefinitionError(Problem(text, cure, file=name, line=1))
    try:
        decoded = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        text = f"byte 0x{data[error.start]:02x} is not UTF-8"
        cure = "save the file as UTF-8"
        raise DefinitionError(Problem(text, cure, file=name, line=line)) from None
    return _Builder(decoded, name).document()


_CONSTANTS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", "+.inf", ".Inf", "+.Inf", ".INF", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
# 010 is eight to some and ten to others, so it stays text, as does what has no end.
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,99})")
_DECIMAL = re.compile(
    r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
)


def _plain(text: str) -> Any:
    """Return what a scalar without quotes stands for."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    return text


class _Builder:
    """Builds a document from the parser's events, which come with their lines.

    PyYAML's own constructors are not used: they follow tags, and they recurse as deep
    as the text does.
    """

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.text = text
        self.lines: dict[Location, int] = {}
        self.problems: list[Problem] = []

    def document(self) -> Document:
        try:
            self.parser: Any = yaml.SafeLoader(self.text)
            data = self.content()
        except yaml.YAMLError as error:
            self.report_invalid(error)
        except (ValueError, OverflowError):
            # PyYAML lets some numbers through to int() and chr(): "\UFFFFFFFF".  What
            # those say of it depends on the version of Python.
            text = "not valid YAML: a number or \\U that is out of range; correct it"
            self.report(self.parser.line + 1, text)
        if self.problems:
            raise DefinitionError(*self.problems)
        return Document(self.name, data, self.lines)

    def content(self) -> Any:
        data = None
        self.parser.get_event()
        if self.parser.check_event(yaml.DocumentStartEvent):
            self.parser.get_event()
            data = self.value(())
            self.parser.get_event()
        if not self.parser.check_event(yaml.StreamEndEvent):
            line = self.parser.peek_event().start_mark.line + 1
            self.report(line, "a second document; keep one in a file")
        elif data is None and not self.problems:
            self.report(1, "the file is empty; write a mapping")
        return data

    def value(self, path: Location) -> Any:
        event = self.parser.get_event()
        line = event.start_mark.line + 1
        self.lines.setdefault(path, line)
        if isinstance(event, yaml.AliasEvent):
            self.report(line, f"alias *{event.anchor}; write the value out instead")
            return None
        if event.tag is not None:
            self.report(line, f"tag {shown(event.tag)} is not taken; remove it")
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event, line)
        if len(path) >= MAX_DEPTH:
            self.report(line, f"nested more than {MAX_DEPTH} deep; flatten it")
            raise DefinitionError(*self.problems)
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(path)
        return self.mapping(path)

    def scalar(self, event: yaml.ScalarEvent, line: int) -> Any:
        text: str = event.value
        if event.implicit[0]:
            return _plain(text)
        try:
            # JSON writes an emoji as two escapes, which become one character here.
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self.report(line, f"{shown(text)} holds half a character; correct the escape")
            return text

    def sequence(self, path: Location) -> list[Any]:
        items: list[Any] = []
        while not self.parser.check_event(yaml.SequenceEndEvent):
            items.append(self.value((*path, len(items))))
        self.parser.get_event()
        return items

    def mapping(self, path: Location) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while not self.parser.check_event(yaml.MappingEndEvent):
            line = self.parser.peek_event().start_mark.line + 1
            key = self.value((*path, -1))
            del self.lines[*path, -1]
            if not isinstance(key, str):
                cure = (
                    "use a word" if isinstance(key, (list, dict)) else "put it in quotes"
                )
                self.report(line, f"key {shown(key)} is not text; {cure}")
            elif key in items:
                first = self.lines[*path, key]
                self.report(line, f"key {shown(key)} is on line {first} too; remove one")
            name = str(key)
            self.lines.setdefault((*path, name), line)
            value = self.value((*path, name))
            items.setdefault(name, value)
        self.parser.get_event()
        return items

    def report(self, line: int, text: str) -> None:
        self.problems.append(Problem(text, file=self.name, line=line))

    def report_invalid(self, error: yaml.YAMLError) -> None:
        if isinstance(error, yaml.MarkedYAMLError):
            mark = error.problem_mark or error.context_mark
            tab = "'\\t'" in str(error.problem)
            cure = "indent with spaces" if tab else "look at its indentation and quotes"
            line = mark.line + 1 if mark else 1
            self.report(line, f"not valid YAML: {error.problem or error.context}; {cure}")
        else:
            # The reader's: a character that may not be in YAML at all.
            at = getattr(error, "position", 0)
            line = self.text.count("\n", 0, at) + 1
            self.report(line, f"character {self.text[at]!r} is not text; remove it")


@dataclass(frozen=True, slots=True)
class Overridden(Document):
    """A document of which some items come from the caller, by their places."""

    paths: Mapping[Location, str]

    def located(self, problem: Problem, path: Location = ()) -> Problem:
        """Return *problem* with file and line, or the override that brought it in."""
        # super() without arguments does not know a class that has been given slots.
        located = Document.located(self, problem, path)
        for given, override in self.paths.items():
            inside = located.path[: len(given)] == given
            above = given[: len(located.path)] == located.path
            if inside or (above and located.path and located.path not in self.lines):
                return replace(located, subject=f"override {override!r}", line=0)
        return located


def overridden(document: Document, overrides: Mapping[str, Any]) -> Document:
    """Return *document* with the value of each dotted path put in its path.

    Mappings on the way that are not there are made; numbers lead into lists.  Raises
    `DefinitionError` for a path that leads through something else.
    """
    if not overrides:
        return document
    data = copy.deepcopy(document.data)
    given: dict[Location, str] = {}
    problems = []
    for path, value in overrides.items():
        try:
            given[_put(data, str(path), _as_data(value))] = str(path)
        except ValueError as error:
            subject = f"override {path!r}"
            problems.append(Problem(str(error), subject=subject, file=document.name))
    if problems:
        raise DefinitionError(*problems)
    return Overridden(document.name, data, document.lines, given)


def _as_data(value: Any) -> Any:
    """Return *value* as a document would hold it; a number of NumPy is a number."""
    item = getattr(value, "item", None)
    plain = thaw(item() if callable(item) else value)
    if not is_json(plain):
        raise ValueError(f"{value!r} cannot be written in YAML")
    return plain


def _put(data: Any, override: str, value: Any) -> Location:
    words = override.split(".")
    path: Location = ()
    while True:
        key, words = _next(data, words)
        path = (*path, key)
        if not words:
            data[key] = value
            return path
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
