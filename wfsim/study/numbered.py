"""The frames of a study, each row of which belongs to a point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from wfsim.report.frames import frame
from wfsim.study.grid import Grid
from wfsim.study.replication import TALLY_DTYPES, Rows

if TYPE_CHECKING:
    import pandas as pd


class Numbered(NamedTuple):
    """A frame, and for each of its rows the number of the point that it is *of*."""

    frame: pd.DataFrame
    of: Sequence[int]


def numbered(
    grid: Grid,
    ordered: Sequence[Rows],
    part: str,
    names: Sequence[str],
    dtypes: Mapping[str, str],
) -> Numbered:
    """Return the *part* of all rows that is called so as a frame."""
    parts = [(rows.point, getattr(rows, part)) for rows in ordered]
    of = [point for point, columns in parts for _ in columns["replication"]]
    columns: dict[str, Sequence[Any]] = dict(grid.columns(of))
    for name in ("replication", *names):
        columns[name] = [value for _, each in parts for value in each[name]]
    return Numbered(frame(columns, {**grid.dtypes, **dtypes, "replication": "int64"}), of)


def tallied(grid: Grid, ordered: Sequence[Rows]) -> Numbered:
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
    return Numbered(frame(columns, {**dtypes, **grid.dtypes}), of)
