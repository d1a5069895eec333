"""Runs by what they have in common: the seam between a study, or a log, and its charts.

A study is whatever has ``over``, the names of the parameters that were varied, ``runs``,
a frame with a row per run, and ``replications``, one with a row per point and
replication.  Nothing else of it is known here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import pandas as pd

from wfsim.errors import UsageError
from wfsim.model.log import EventLog, HasLog
from wfsim.report import tables
from wfsim.report.text import count, percent, plain, seconds
from wfsim.text import suggest

MOST = 12
"""Beyond so many groups a chart shows the first ones only, and says so."""

FEW = 4
"""A sentence goes through so many groups one by one, else it names the extremes."""

DECADES = 100.0
"""An axis is logarithmic if the largest value is at least so many times the smallest."""

AMOUNTS = ("worker_seconds", "place_seconds", "undone")
"""What each replication has taken, whatever that costs, and what it has left undone."""

COST_PARTS = ("worker", "place", "failure")
"""What these come to."""


@runtime_checkable
class StudyFrames(Protocol):
    """What the charts know of a study."""

    @property
    def over(self) -> Sequence[str]:
        """The names of the parameters that were varied."""
        ...

    @property
    def runs(self) -> pd.DataFrame:
        """One row per run, with a column for each of these parameters."""
        ...

    @property
    def replications(self) -> pd.DataFrame:
        """One row per point and replication, with such columns too."""
        ...


Source = StudyFrames | EventLog | pd.DataFrame
"""What charts of runs are drawn from; a frame has a row per run."""


class Groups(NamedTuple):
    """The first of *total* groups of rows, by the columns *by*, as they appear."""

    by: tuple[str, ...]
    of: dict[str, pd.DataFrame]
    total: int

    @property
    def name(self) -> str:
        """What a column of a frame is called that names the groups."""
        return " ".join(self.by) or "group"

    @property
    def heading(self) -> str:
        """What a legend or an axis says above names that do not say it themselves."""
        return self.by[0] if len(self.by) == 1 else ""

    def title(self, name: object) -> str:
        """Return *name* of a group as a sentence calls it, with what it is a value of."""
        return f"{self.by[0]} {name}" if len(self.by) == 1 else str(name)

    @property
    def said(self) -> str:
        """What a sentence says of how it is grouped, and what is not shown."""
        if not self.by:
            return ""
        cut = f", the first {len(self.of)} of {self.total:,}" * (
            len(self.of) < self.total
        )
        return f" by {' and '.join(self.by)}{cut}"


def grouped(frame: pd.DataFrame, by: Iterable[str], most: int = MOST) -> Groups:
    """Return the rows of *frame* by the columns *by*, the first *most* groups.

    Raises `UsageError` for a column that *frame* has not.
    """
    names = tuple(by)
    for name in names:
        column(frame, name)
    if not names:
        return Groups((), {"all runs": frame} if len(frame) else {}, int(len(frame) > 0))
    labels = pd.Series(
        [
            ", ".join(map(label, row)) if len(names) == 1 else _pairs(names, row)
            for row in frame[list(names)].itertuples(index=False, name=None)
        ],
        index=frame.index,
        dtype=object,
    )
    found = dict(list(frame.groupby(labels, sort=False)))
    shown = {str(key): found[key] for key in list(found)[:most]}
    return Groups(names, shown, len(found))


def source_of(source: Source | HasLog) -> Source:
    """Return *source*, or the log that it keeps.

    Raises `UsageError` for anything else, naming what to give.
    """
    if isinstance(source, (EventLog, pd.DataFrame)):
        return source
    log = getattr(source, "log", None)
    if isinstance(log, EventLog):
        return log
    if isinstance(source, StudyFrames):
        return source
    raise UsageError(no_study(source, "a log, or a frame of runs"))


def no_study(value: Any, other: str) -> str:
    """Return what is wrong with *value* in place of a study, and what to give."""
    name = type(value).__name__
    return f"{name} is no study; give one, such as wfsim.sweep(...) returns, {other}"


def keys(source: Source, by: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return what runs are grouped by: *by*, or what *source* was varied over."""
    if isinstance(by, str):
        return (by,)
    if by is not None:
        return tuple(by)
    source = source_of(source)
    if isinstance(source, EventLog):
        return ("flow",)
    return () if isinstance(source, pd.DataFrame) else tuple(source.over)


def runs_of(source: Source) -> pd.DataFrame:
    """Return the frame of the runs of *source*."""
    source = source_of(source)
    if isinstance(source, EventLog):
        return tables.runs(source)
    return source if isinstance(source, pd.DataFrame) else source.runs


def replications_of(study: StudyFrames | pd.DataFrame) -> pd.DataFrame:
    """Return the frame of the replications of *study*, or that frame itself."""
    if isinstance(study, pd.DataFrame):
        return study
    if not isinstance(study, StudyFrames):
        raise UsageError(no_study(study, "or its frame of replications"))
    return study.replications


def column(frame: pd.DataFrame, name: str) -> pd.Series[Any]:
    """Return the column *name* of *frame*.  Raises `UsageError` if there is none."""
    if not isinstance(frame, pd.DataFrame):
        raise UsageError(
            f"{type(frame).__name__} is no frame; give one, such as study.tornado(), "
            "study.compare() or study.summary()"
        )
    if name not in frame.columns:
        near = suggest(name, [str(known) for known in frame.columns])
        raise UsageError(f"no column {name!r}{near}")
    return frame[name]


def label(value: Any) -> str:
    """Return a value of a parameter as a reader writes it.

    >>> label(0.1 + 0.2), label(True), label("a")
    ('0.3', 'True', 'a')
    """
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


def amount(measure: str, value: float) -> str:
    """Return *value* of a measure in words: a share, or seconds, or a number.

    >>> amount("success", 0.985), amount("p95_of_all", 12.04), amount("retries", 3.0)
    ('98.5%', '12.0 s', '3')
    """
    if math.isnan(value):
        return "unknown"
    if math.isinf(value):
        return "infinite"
    if is_share(measure):
        return percent(value)
    return seconds(value) if in_seconds(measure) else f"{value:,.4g}"


def unit(measure: str) -> str:
    """Return the label of an axis of *measure*."""
    name = plain(measure.replace("_", " "))
    return f"{name} [virtual s]" if in_seconds(measure) else name


_QUANTILE = re.compile(r"(?:completed_)?(total_)?p(\d{1,2}(?:\.\d+)?)")

_SHARES = frozenset({"success", "share", "in_time"})
SECONDS = frozenset(
    {
        *("mean", "p50", "p95", "p99", "max", "makespan", "duration", "total"),
        *("queued", "pool_queue", "steps", "recovery", "waiting", "other"),
    }
)


def share_of(measure: str) -> float | None:
    """Return the share of the quantile that *measure* names, None for another.

    >>> share_of("p95"), share_of("completed_total_p50"), share_of("mean")
    (0.95, 0.5, None)
    """
    found = _QUANTILE.fullmatch(measure)
    share = float(found[2]) / 100.0 if found else 0.0
    return share if 0.0 < share < 1.0 else None


_WITHIN = re.compile(r"within_(\d+(?:\.\d+)?)(s|min|h)?")
_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, None: 1.0}


def limit_of(measure: str) -> float | None:
    """Return the seconds within which *measure* is the share of done runs, or None.

    >>> limit_of("within_7200"), limit_of("within_2h"), limit_of("p95")
    (7200.0, 7200.0, None)
    """
    found = _WITHIN.fullmatch(measure)
    return float(found[1]) * _UNITS[found[2]] if found else None


def times_of(measure: str) -> str:
    """Return the column of ``runs`` that *measure* is a quantile of.

    >>> times_of("p95"), times_of("completed_total_p95")
    ('duration', 'total')
    """
    return "total" if "total_" in measure else "duration"


def is_of_completed(measure: str) -> bool:
    """Whether *measure* is a quantile of completed runs alone, not of all."""
    return measure.startswith("completed_")


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the quantile of *ordered* values, linear between two as pandas has it.

    It is infinite where it lies among values that are, or before the first of them.

    >>> quantile([1.0, 2.0, 4.0], 0.75), quantile([], 0.5), quantile([1.0, math.inf], 0.5)
    (3.0, nan, inf)
    """
    if not ordered:
        return math.nan
    below, rest = divmod((len(ordered) - 1) * share, 1.0)
    low = ordered[int(below)]
    if not rest or math.isinf(low):
        return low
    return low + (ordered[int(below) + 1] - low) * rest


def is_share(measure: str) -> bool:
    """Whether *measure* is a share of one, by its name: measures of one's own, too.

    >>> is_share("success"), is_share("in_time"), is_share("late_share"), is_share("mean")
    (True, True, True, False)
    """
    named = measure in _SHARES or measure.endswith("_share")
    return named or limit_of(measure) is not None


def in_seconds(measure: str) -> bool:
    """Whether *measure* is a time: one of `SECONDS`, or named after one."""
    return (
        measure in SECONDS
        or measure.removeprefix("completed_").partition("_")[0] in SECONDS
        or share_of(measure) is not None
    )


def spans_decades(values: pd.Series[float]) -> bool:
    """Whether *values* are above zero and lie so far apart as to need a log axis."""
    if values.empty or not float(values.min()) > 0.0:
        return False
    return float(values.max()) >= DECADES * float(values.min())


def on_axis(is_log: bool) -> str:
    """Return what a sentence says of the axis."""
    return ", on a logarithmic axis" if is_log else ""


def runs_said(number: int) -> str:
    """Return how many completed runs there are, in words."""
    return count(number, "completed run")


def _pairs(names: Sequence[str], row: Sequence[Any]) -> str:
    pairs = zip(names, row, strict=True)
    return ", ".join(f"{name} {label(value)}" for name, value in pairs)
