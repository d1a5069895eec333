"""Times as they stand in files, as whole nanoseconds since 1970.

>>> stamp("2021-07-01T12:00:00.5Z") - stamp("2021-07-01 14:00:00+02:00")
500000000
>>> stamp("1.25"), stamp(2), stamp("0001-01-01T00:00:00Z"), stamp("")
(1250000000, 2000000000, None, None)
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"[-+]?\d{1,15}(\.\d*)?([eE][-+]?\d{1,2})?", re.ASCII)
_MICROSECOND = timedelta(microseconds=1)


def stamp(value: Any) -> int | None:
    """Return the time that *value* says: seconds, or a date and time of ISO 8601.

    A date without a zone is UTC.  Nothing, and the year 1, which Go writes for no time,
    give None.  Raises `ValueError`.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{value!r:.60} is not a time")
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        if not _NUMBER.fullmatch(text):
            return _date(text)
        value = float(text)
    if not math.isfinite(value) or abs(value) > 1e12:
        raise ValueError(f"{value!r:.60} is not a time in seconds")
    return round(float(value) * SECOND)


def _date(text: str) -> int | None:
    try:
        date = datetime.fromisoformat(text[:60])
    except ValueError:
        raise ValueError(
            f"{text[:60]!r} is neither seconds nor a date such as 2021-07-01T12:00:00Z"
        ) from None
    if date.year <= 1:
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return int((aware - _EPOCH) // _MICROSECOND) * 1000
