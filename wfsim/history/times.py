"""Times as they stand in files, as whole nanoseconds since 1970.

What is not given is worked out only where it is certain:

======================================== ============================================
``2021-07-01T12:00:00.5Z``               ISO 8601; without a zone it is UTC
``2021/07/01 12:00``, ``2021.07.01``     year first, as nobody writes day before month
``01.07.2021``                           day first: with points nobody writes another
``13/07/2021``, ``07/13/2021``           whichever of the two is no month is the day
``07/01/2021``                           as the other dates of its file, else refused
``1-Jul-2021``, ``Jul 1 2021 2:30 PM``   the English name of a month
``1.25``                                 seconds, since whatever the file counts from
``1625140800000``                        since 1970 in ms, us or ns: seconds would be
                                         beyond the year 5000
``1,25``                                 a decimal comma; before three digits it may
                                         separate thousands: as the other numbers of
                                         its file, else refused
======================================== ============================================
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from wfsim.errors import UsageError
from wfsim.text import suggest

SECOND = 1_000_000_000
UNITS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "min": 60 * SECOND,
    "h": 3_600 * SECOND,
    "d": 86_400 * SECOND,
}
"""The units that numbers may be in, in nanoseconds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NUMBER = re.compile(r"[-+]?\d{1,20}(\.\d*)?([eE][-+]?\d{1,2})?", re.ASCII)
_COMMA = re.compile(r"([-+]?\d{1,20}),(\d+)", re.ASCII)
_DATE = re.compile(
    r"(?P<first>\d{1,4}|[A-Za-z]{3,9})(?P<mark>[-/.]|\.? )"
    r"(?P<second>\d{1,2}|[A-Za-z]{3,9})(?:\.?(?P=mark)|, ?| )(?P<third>\d{2,4})"
    r"(?:(?:T|,? |:)(?P<hour>\d{1,2}):(?P<minute>\d\d)"
    r"(?::(?P<second_>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?"
    r" ?(?P<zone>Z|UTC|GMT|[-+]\d\d:?\d\d)?)?",
    re.ASCII,
)
_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august"),
    *("september", "october", "november", "december"),
)
_CURE = "give date_format, such as '%d/%m/%Y %H:%M'"


class TimeFormat:
    """How times are written in one file.

    *date_format* is that of `datetime.strptime`, *unit* (one of `UNITS`) that of
    numbers, *decimal* the mark before their fraction.  What is None is taken from the
    values that `learn` has looked at.  Raises `UsageError` for what is none of these.
    """

    def __init__(
        self,
        date_format: str | None = None,
        unit: str | None = None,
        decimal: str | None = None,
    ) -> None:
        if unit is not None and unit not in UNITS:
            raise UsageError(f"unit: unknown {unit!r}{suggest(str(unit), UNITS)}")
        if decimal not in (None, ".", ","):
            raise UsageError(f"decimal is {decimal!r}; give '.' or ','")
        if date_format is not None and "%" not in date_format:
            raise UsageError(f"date_format is {date_format!r:.60}; {_CURE}")
        self.date_format = date_format
        self.unit = unit
        self.decimal = decimal
        self.learned = False
        self._stamped = False
        self._since_1970 = ""
        self._orders: frozenset[str] = frozenset()
        self._decimal_comma = False

    def learn(self, text: str) -> None:
        """Take from *text* what it leaves no doubt about, for the others of its file.

        Sets *learned* if that is news of which earlier ones did not know.
        """
        text, before = text.strip(), self._learned_parts()
        if _NUMBER.fullmatch(text):
            unit = _unit_since_1970(Decimal(text))
            self._since_1970 = max(self._since_1970, unit, key=_RANK.index)
        elif comma := _COMMA.fullmatch(text):
            self._decimal_comma |= len(comma[2]) != 3
        elif (match := _DATE.fullmatch(text[:60])) and match["mark"] in "-/":
            self._orders |= _order(match["first"], match["second"])
        self.learned |= self._stamped and before != self._learned_parts()

    def _learned_parts(self) -> tuple[object, ...]:
        return self._since_1970, self._orders, self._decimal_comma

    def learned_stamp(self, text: str) -> int | None:
        """Return the `stamp` of *text* after having learnt from it."""
        self.learn(text)
        self._stamped = self._stamped or bool(text)
        return self.stamp(text)

    def stamp(self, value: Any) -> int | None:
        """Return *value*, a date or a number, in nanoseconds since 1970.

        Nothing, and the year 1, which Go writes for no time, give None.  Raises
        `ValueError` for what is no time, or may be two.
        """
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError(f"{value!r:.60} is not a time")
        text = str(value).strip()
        if not text:
            return None
        if self.date_format is not None and isinstance(value, str):
            try:
                return _nanoseconds(datetime.strptime(text, self.date_format))
            except ValueError:
                raise ValueError(
                    f"{text[:60]!r} is not a date as {self.date_format!r}"
                ) from None
        number = self._number(text)
        if number is None:
            return self._date(text)
        unit = self.unit or self._since_1970 or _unit_since_1970(number)
        return _whole(number * UNITS[unit or "s"])

    def seconds(self, value: Any) -> int | None:
        """Return *value*, a length of time in *unit* or else in seconds, in nanoseconds.

        Raises `ValueError` for what is no number.
        """
        text = str(value).strip()
        if not text:
            return None
        number = self._number(text)
        if number is None:
            raise ValueError(f"{text[:60]!r} is not a number of seconds")
        return _whole(number * UNITS[self.unit or "s"])

    def _number(self, text: str) -> Decimal | None:
        """Return the number that *text* is, None if it is none."""
        if comma := _COMMA.fullmatch(text):
            certain = len(comma[2]) != 3 or self._decimal_comma
            if self.decimal == "." or not (self.decimal or certain):
                raise ValueError(
                    f"{text[:60]!r} has a comma, for thousands or for decimals; give "
                    "decimal=','"
                )
            text = f"{comma[1]}.{comma[2]}"
        elif not _NUMBER.fullmatch(text):
            return None
        return Decimal(text)

    def _date(self, text: str) -> int | None:
        try:
            date = datetime.fromisoformat(text[:60])
        except ValueError:
            pass
        else:
            return None if date.year <= 1 else _nanoseconds(date)
        match = _DATE.fullmatch(text[:60])
        if match is None:
            raise ValueError(
                f"{text[:60]!r} is neither seconds nor a date such as "
                "2021-07-01T12:00:00Z"
            )
        try:
            return _nanoseconds(self._matched(match))
        except ValueError as error:
            raise ValueError(f"{text[:60]!r} is no date: {error}") from None

    def _matched(self, match: re.Match[str]) -> datetime:
        first, second, third = match["first"], match["second"], match["third"]
        if first.isalpha():  # Jul 1 2021
            year, month, day = third, _month(first), second
        elif second.isalpha():
            year, month, day = third, _month(second), first
        elif len(first) == 4:
            year, month, day = first, int(second), third
        else:
            year, day, month = third, first, int(second)
            orders = frozenset({"day"}) if match["mark"] == "." else _order(first, second)
            orders = orders or self._orders
            if len(orders) != 1 and int(first) != month:
                raise ValueError(f"the day may come first or second; {_CURE}")
            if orders == {"month"}:
                month, day = int(first), second
        if len(year) != 4:
            raise ValueError(f"its year has not four digits; {_CURE}")
        hour = int(match["hour"] or 0)
        if match["half"]:
            if not 1 <= hour <= 12:
                raise ValueError("its hour is not from 1 to 12")
            hour = hour % 12 + (12 if match["half"] in "Pp" else 0)
        micros = int((match["fraction"] or "")[:6].ljust(6, "0"))
        time = (hour, int(match["minute"] or 0), int(match["second_"] or 0), micros)
        return datetime(int(year), month, int(day), *time, _zone(match["zone"]))


_PLAIN = TimeFormat()


def stamp(value: Any) -> int | None:
    """Return *value*, seconds or a date, in nanoseconds since 1970; see `TimeFormat`.

    >>> stamp("2021-07-01T12:00:00.5Z") - stamp("2021-07-01 14:00:00+02:00")
    500000000
    >>> stamp("1.25"), stamp(2), stamp("0001-01-01T00:00:00Z"), stamp("")
    (1250000000, 2000000000, None, None)
    >>> stamp("1625140800000") == stamp("2021/07/01 12:00") == stamp("1.7.2021 12:00")
    True
    """
    return _PLAIN.stamp(value)


def _order(first: str, second: str) -> frozenset[str]:
    """Return which of day and month certainly comes first in a date with slashes."""
    if not (first.isdigit() and second.isdigit()) or len(first) > 2:
        return frozenset()
    if int(first) > 12:
        return frozenset({"day"})
    if int(second) > 12:
        return frozenset({"month"})
    return frozenset()


_RANK = ("", "ms", "us", "ns")


def _unit_since_1970(number: Decimal) -> str:
    """Return the unit in which *number* is a date of our time, "" for seconds."""
    size = abs(number)
    ranges = ((10**17, "ns"), (10**14, "us"), (10**11, "ms"))
    return next((unit for least, unit in ranges if size >= least), "")


def _whole(number: Decimal) -> int:
    if not number.is_finite() or abs(number) > 10**21:
        raise ValueError(f"{number!s:.60} is not a time")
    return round(number)


def _month(name: str) -> int:
    for number, month in enumerate(_MONTHS, start=1):
        if month.startswith(name.lower()):
            return number
    raise ValueError(f"{name!r} is no English month")


def _zone(text: str | None) -> timezone:
    if not text or text.isalpha():
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def _nanoseconds(date: datetime) -> int:
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return int((aware - _EPOCH) // _MICROSECOND) * 1000
