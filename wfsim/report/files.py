"""What a report writes: texts into files, whole or not at all, and values as texts."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wfsim.errors import UsageError


def check_folder(path: str | Path, what: str) -> Path:
    """Return *path*; raise `UsageError`, naming *what* it is for, if it can be no folder.

    Nothing is made.
    """
    target = Path(path)
    there = next((each for each in (target, *target.parents) if each.exists()), None)
    if there is not None and not (there.is_dir() and os.access(there, os.W_OK)):
        wrong = "cannot be written to" if there.is_dir() else "is a file"
        raise UsageError(f"{what}: {there} {wrong}; give another folder")
    return target


def write(path: str | Path, text: str) -> Path:
    """Write *text* to *path* by way of a draft, so that no reader sees half of it."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f"{target.name}.part")
    # What is half a character cannot be encoded; a report says so rather than fails.
    draft.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
    draft.replace(target)
    return target


def cells(values: Iterable[Any]) -> list[str]:
    """Return *values* of one column as texts, their numbers with equally many decimals.

    >>> cells([12.5, 3.0, float("nan"), 0.0625]), cells([1.0, 2000.0]), cells(["x", 1])
    (['12.500', '3.000', '', '0.062'], ['1', '2,000'], ['x', '1'])
    """
    values = list(values)
    texts = [shown(value) for value in values]
    pairs = zip(values, texts, strict=True)
    if not any(isinstance(value, float) and "." in text for value, text in pairs):
        return texts
    return [
        f"{value:,.3f}" if isinstance(value, float) and text else text
        for value, text in zip(values, texts, strict=True)
    ]


def shown(value: Any) -> str:
    """Return *value* as a cell of a printed table: a number to a thousandth.

    >>> shown(12.5), shown(3.0), shown(1234567.0001), shown(float("nan")), shown(True)
    ('12.5', '3', '1,234,567', '', 'yes')
    """
    if isinstance(value, bool):
        return "yes" if value else ""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    if math.isnan(value):
        return ""
    text = f"{value:,.3f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
