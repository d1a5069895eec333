"""Times from a file: CSV with a column ``time``, or a YAML list of numbers."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

from wfsim.errors import DefinitionError
from wfsim.model.document import hint, read_document, shown

COLUMN = "time"
MAX_BYTES = 1 << 25
MAX_ROWS = 1_000_000
MAX_SECONDS = 1e12


def load_times(file: str | os.PathLike[str]) -> tuple[float, ...]:
    """Return the seconds in *file*, in its order: CSV, or YAML if its name says so.

    Raises `DefinitionError` with file and line for each of the first ten that is wrong.
    """
    name = os.fspath(file)
    if name.endswith((".yaml", ".yml")):
        return _of_yaml(name)
    return _of_csv(name)


def _of_yaml(name: str) -> tuple[float, ...]:
    document = read_document(name)
    if not isinstance(document.data, list) or not document.data:
        text = f"is {shown(document.data)}; write a list of seconds: [0, 60, 90]"
        raise DefinitionError(document.problem((), text))
    return _checked(
        [
            (item, f"{name}:{document.line_of((index,))}")
            for index, item in enumerate(document.data)
        ]
    )


def _of_csv(name: str) -> tuple[float, ...]:
    try:
        with Path(name).open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise DefinitionError(f"{name}:1: larger than {MAX_BYTES} bytes; split it")
        text = data.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DefinitionError(
            f"{name}:1: cannot be read: {why}; give the path of a CSV file"
        ) from None
    rows = csv.reader(io.StringIO(text, newline=""))
    found: list[tuple[Any, str]] = []
    try:
        header = [cell.strip() for cell in next(rows, [])]
        if COLUMN not in header:
            text = f"has no column {COLUMN!r}; {hint(COLUMN, header)}"
            raise DefinitionError(f"{name}:1: {text}")
        at = header.index(COLUMN)
        for row in rows:
            if row:
                cell = row[at] if at < len(row) else ""
                found.append((_number(cell), f"{name}:{rows.line_num}"))
            if len(found) > MAX_ROWS:
                text = f"more than {MAX_ROWS} times; split the file"
                raise DefinitionError(f"{name}:{rows.line_num}: {text}")
    except csv.Error as error:
        raise DefinitionError(
            f"{name}:{rows.line_num}: not valid CSV: {error}; look at its quotes"
        ) from None
    if not found:
        raise DefinitionError(f"{name}:1: holds no time; write one in a line")
    return _checked(found)


def _number(cell: str) -> Any:
    try:
        return float(cell)
    except ValueError:
        return cell


def _checked(found: list[tuple[Any, str]]) -> tuple[float, ...]:
    wrong = [
        f"{where}: {COLUMN} is {shown(value)}; give seconds from 0 to {MAX_SECONDS:g}"
        for value, where in found
        if isinstance(value, (bool, str, list, dict))
        or value is None
        or not 0 <= value <= MAX_SECONDS
    ]
    if wrong:
        raise DefinitionError(*wrong[:10])
    return tuple(float(value) for value, _ in found)
