"""The points of a study: every combination of some values, or a list of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from wfsim.errors import UsageError
from wfsim.report.frames import TEXT, frame
from wfsim.study.design import Design
from wfsim.study.replication import TALLY_DTYPES, Rows

if TYPE_CHECKING:
    import pandas as pd

Label: TypeAlias = bool | int | float | str
Over: TypeAlias = Mapping[str, Any] | Iterable[Mapping[str, Any]] | Design | None


class Point(NamedTuple):
    """*values* is what a scenario is made with, *labels* what frames call them."""

    labels: tuple[Label, ...]
    values: dict[str, Any]

    def __str__(self) -> str:
        pairs = zip(self.values, self.labels, strict=True)
        return ", ".join(f"{name} {label}" for name, label in pairs) or "the only point"


class Grid(NamedTuple):
    """The *points* of a study, each once, and the *names* of what they vary."""

    names: tuple[str, ...]
    points: tuple[Point, ...]

    def columns(self, rows: Sequence[int]) -> dict[str, list[Label]]:
        """Return a column per name with the labels of the points numbered *rows*."""
        columns = {}
        for place, name in enumerate(self.names):
            labels = [point.labels[place] for point in self.points]
            if self.dtypes[name] is TEXT:
                labels = list(map(str, labels))
            columns[name] = [labels[row] for row in rows]
        return columns

    @property
    def dtypes(self) -> dict[str, Any]:
        """The dtype of each of these columns."""
        columns = zip(*(point.labels for point in self.points), strict=True)
        kinds = [{type(label) for label in column} for column in columns]
        return {
            name: _DTYPES.get(frozenset(kind), TEXT)
            for name, kind in zip(self.names, kinds, strict=True)
        }


_DTYPES = {
    frozenset({bool}): "bool",
    frozenset({int}): "int64",
    frozenset({float}): "float64",
    frozenset({int, float}): "float64",
}


MOST = 100_000
"""Points of a study; each has a scenario, which is made before anything runs."""


def grid_of(over: Over, is_taken: Callable[[str], bool]) -> Grid:
    """Return the points that *over* describes.

    A mapping of names to lists of values means each combination, the last name varying
    fastest; a mapping of labels to values may stand for such a list.  A list of mappings
    means those points, a `Design` its own.  *is_taken* says which names frames need.
    Raises `UsageError` with what is wrong and what to give instead.
    """
    points = _points(over)
    names = tuple(points[0].values)
    for name in names:
        if is_taken(name):
            raise UsageError(
                f"over: {name!r} is a column that frames of studies have anyway; give "
                f"it another name, as in lambda my_{name}: make({name}=my_{name})"
            )
    known: dict[tuple[tuple[type, Label], ...], Point] = {}
    for point in points:
        identity = tuple((type(label), label) for label in point.labels)
        if identity in known and not isinstance(over, Design):
            raise UsageError(f"over: the point ({point}) is there twice; give it once")
        known.setdefault(identity, point)
    return Grid(names, tuple(known.values()))


def _points(over: Over) -> list[Point]:
    if over is None:
        return [Point((), {})]
    if isinstance(over, Mapping):
        return _combinations(over)
    rows = over.rows if isinstance(over, Design) else over
    if isinstance(rows, (str, bytes)) or not isinstance(rows, Iterable):
        raise UsageError(
            f"over is {over!r}; give names with lists of values, such as "
            "{'replicas': [1, 2, 4]}, or a list of points, or a design"
        )
    listed = list(rows)
    if not listed:
        raise UsageError("over has no point; give one at least, or None")
    points = []
    for number, row in enumerate(listed):
        if not isinstance(row, Mapping):
            raise UsageError(f"over: point {number} is {row!r}; give a mapping")
        if row.keys() != listed[0].keys():
            raise UsageError(
                f"over: point {number} has the names {sorted(map(str, row))}, the first "
                f"one {sorted(map(str, listed[0]))}; give every point the same"
            )
        values = {_name(name): _plain(row[name]) for name in listed[0]}
        labels = tuple(label_of(name, value) for name, value in values.items())
        points.append(Point(labels, values))
    return points


def _combinations(over: Mapping[str, Any]) -> list[Point]:
    choices = []
    for name, values in over.items():
        _name(name)
        if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
            raise UsageError(f"over: {name} is {values!r}; give a list of values")
        if isinstance(values, Mapping):
            listed: list[tuple[Label, Any]] = [
                (str(label), each) for label, each in values.items()
            ]
        else:
            plain = map(_plain, values)
            listed = [(label_of(name, value), value) for value in plain]
        if not listed:
            raise UsageError(f"over: {name} has no value; give one at least")
        choices.append(listed)
    size = math.prod(map(len, choices))
    if size > MOST:
        raise UsageError(
            f"over has {size:,} combinations; a study has at most {MOST:,} points: give "
            "fewer values, or a design such as wfsim.design.latin({...}, 500)"
        )
    return [
        Point(
            tuple(label for label, _ in row),
            {name: value for name, (_, value) in zip(over, row, strict=True)},
        )
        for row in product(*choices)
    ]


def label_of(name: str, value: Any) -> Label:
    """Return what frames call *value* of the parameter *name*.

    Raises `UsageError` for one that has no lasting name.
    """
    if isinstance(value, (bool, int, float, str)):
        if isinstance(value, float) and math.isnan(value):
            raise UsageError(f"over: {name} is NaN, which is equal to nothing; leave it")
        return value
    text = str(getattr(value, "__name__", None) or repr(value))
    if " at 0x" in text or text == "<lambda>":
        raise UsageError(
            f"over: {text} of {name} has no lasting name; give it one, as in "
            f"{{{name!r}: {{'this': ..., 'that': ...}}}}"
        )
    return text


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise UsageError(f"over: {name!r} is no name of a parameter; give a text")
    return name


def _plain(value: Any) -> Any:
    """Return a number of numpy as one of Python, anything else as it is."""
    is_scalar = type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0
    return value.item() if is_scalar else value


class FrameByPoint(NamedTuple):
    """A frame, and for each of its rows the number of the point that it is *of*."""

    frame: pd.DataFrame
    of: Sequence[int]


def frame_by_point(
    grid: Grid,
    ordered: Sequence[Rows],
    part: str,
    names: Sequence[str],
    dtypes: Mapping[str, str],
) -> FrameByPoint:
    """Return the *part* of all rows that is called so as a frame."""
    parts = [(rows.point, getattr(rows, part)) for rows in ordered]
    of = [point for point, columns in parts for _ in columns["replication"]]
    columns: dict[str, Sequence[Any]] = dict(grid.columns(of))
    for name in ("replication", *names):
        columns[name] = [value for _, each in parts for value in each[name]]
    return FrameByPoint(
        frame(columns, {**grid.dtypes, **dtypes, "replication": "int64"}), of
    )


def replications_by_point(grid: Grid, ordered: Sequence[Rows]) -> FrameByPoint:
    """Return the tallies of all rows as a frame, a row per replication."""
    of = [rows.point for rows in ordered for _ in range(rows.size)]
    columns: dict[str, Sequence[Any]] = dict(grid.columns(of))
    columns["replication"] = [
        number for rows in ordered for number in range(rows.first, rows.stop)
    ]
    names = ordered[0].tallies if ordered else TALLY_DTYPES
    for name in names:
        columns[name] = [value for rows in ordered for value in rows.tallies[name]]
    dtypes = {**dict.fromkeys(names, "float64"), **TALLY_DTYPES, "replication": "int64"}
    return FrameByPoint(frame(columns, {**dtypes, **grid.dtypes}), of)
