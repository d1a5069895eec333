"""Frames of rows: each column has the dtype that goes with its name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from wfsim.model.frozen import EMPTY

TEXT: Any = pd.Series(["text"]).dtype
if isinstance(TEXT, pd.StringDtype):
    # Where pyarrow is installed pandas keeps text there, which refuses half characters:
    # a table must not depend on what else is installed.
    TEXT = pd.StringDtype("python", na_value=math.nan)
_FLOATS = {
    *("start", "end", "duration", "time", "armed", "fired"),
    *("share", "success", "mean", "p50", "p95", "max"),
}
_COUNTS = {
    *("attempt", "attempts", "runs", "retries", "restarts", "times"),
    *("completed", "interrupted", "errors", "cancelled", "superseded", "unfinished"),
}


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    dtypes: Mapping[str, Any] = EMPTY,
) -> pd.DataFrame:
    """Return *rows* as a frame, each column of the dtype that goes with its name."""
    values = zip(*rows, strict=True) if rows else ((),) * len(columns)
    return frame(dict(zip(columns, values, strict=True)), dtypes)


def frame(
    columns: Mapping[str, Sequence[Any]], dtypes: Mapping[str, Any] = EMPTY
) -> pd.DataFrame:
    """Return *columns* as a frame, each of the dtype that goes with its name.

    A name that *dtypes* has goes with that one instead.
    """
    return pd.DataFrame(
        {
            name: pd.Series(list(values), dtype=dtypes.get(name) or _dtype(name))
            for name, values in columns.items()
        }
    )


def _dtype(name: str) -> Any:
    return "float64" if name in _FLOATS else "int64" if name in _COUNTS else TEXT
