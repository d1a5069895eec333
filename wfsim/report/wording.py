"""Texts, numbers and digests as the sentences of charts and studies have them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def plain(text: str, most: int = 44) -> str:
    """Return *text* on one line, cut in its middle, and never read as a formula."""
    line = " ".join(text.split())
    if len(line) > most:
        half = (most - 1) // 2
        line = f"{line[:half]}…{line[-half:]}"
    return line.replace("$", r"\$")


def distinct(texts: Sequence[str]) -> list[str]:
    """Return *texts* as `plain` ones, cut less if they could not be told apart.

    >>> distinct(["a" * 50 + "b" + "c" * 50, "a" * 50 + "d" + "c" * 50])[0][50]
    'b'
    """
    short = [plain(text) for text in texts]
    if len(set(short)) == len(set(texts)):
        return short
    return [plain(text, 120) for text in texts]


def count(number: int, noun: str, plural: str = "") -> str:
    """Return *number* with its *noun*.

    >>> count(1, "run"), count(12000, "run"), count(0, "crash", "crashes")
    ('1 run', '12,000 runs', '0 crashes')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def seconds(number: float) -> str:
    """Return *number* of seconds, to a tenth.

    >>> seconds(77), seconds(float("nan"))
    ('77.0 s', 'unknown')
    """
    return "unknown" if math.isnan(number) else f"{number:,.1f} s"


def frame_digest(frame: pd.DataFrame) -> str:
    """Return eight hex digits of *frame*'s columns and values, floats to nine digits.

    They depend on neither the version of pandas nor its dtypes for text.
    """
    digest = hashlib.blake2b(digest_size=4)
    for name in frame.columns:
        values = [_canonical(value) for value in frame[name].tolist()]
        digest.update(json.dumps([str(name), values], ensure_ascii=True).encode())
    return digest.hexdigest()


def _canonical(value: Any) -> str:
    if isinstance(value, float):
        return "nan" if math.isnan(value) else f"{value + 0.0:.9g}"
    return str(value)
