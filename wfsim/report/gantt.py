"""The Gantt chart of a log: when each attempt of each step ran, and what struck it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from wfsim.model.log import EventLog
from wfsim.model.record import Kind
from wfsim.report import tables
from wfsim.report.chart import (
    INK,
    SHADE,
    STATUS_COLOURS,
    Chart,
    canvas,
    legend,
    say_nothing,
    status_style,
    swatch,
)
from wfsim.report.history import outages
from wfsim.report.text import count, plain, seconds

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

MOST_ROWS = 45
"""Beyond so many rows each run has one only; beyond so many runs the rest is left out."""

_MARKERS = "v^Dsop*Xh<>d"


class _Row(NamedTuple):
    label: str
    heading: bool
    attempts: pd.DataFrame | None


def gantt(log: EventLog, ax: Axes | None = None) -> Chart:
    """Draw attempts as bars by status, one row per step of each run.

    A log of many runs has one row per run instead, and only as many runs as can be
    told apart; the sentence says so.  Dashed lines are crashes of a controller, shaded
    is the time without one, and markers in the topmost row are faults that fired.
    The frame is that of `tables.steps`, of the runs that are drawn.
    """
    frame = tables.steps(log)
    runs = frame[["resource", "run"]].drop_duplicates()
    drawn = runs.head(MOST_ROWS)
    shown = (
        frame.merge(drawn, on=["resource", "run"]) if len(drawn) < len(runs) else frame
    )
    rows = _rows(log, shown, drawn)
    fired = log.filter(Kind.FAULT_FIRED)
    axes = canvas(ax, 10.0, 1.5 + 0.3 * max(len(rows) + bool(fired), 2))
    if not rows:
        say_nothing(axes, "No step has begun")
        return Chart(axes, shown, "Gantt chart of a log in which no step has begun.")
    end = float(log.records[-1].time)
    if len(drawn) < len(runs) and shown["end"].notna().all():
        end = float(shown["end"].max())
    begin = min(0.0, float(shown["start"].min())) if shown["start"].notna().any() else 0.0
    handles = _bars(axes, rows, begin, end)
    handles += _outages(axes, log, end)
    handles += _faults(axes, [(r.time, r.text) for r in fired if r.time <= end])
    _frame(axes, rows, bool(fired), begin, end)
    legend(axes, handles)
    return Chart(axes, shown, _sentence(log, shown, len(drawn), len(runs)))


def _rows(log: EventLog, frame: pd.DataFrame, runs: pd.DataFrame) -> list[_Row]:
    groups = {
        (str(resource), str(run)): group
        for (resource, run), group in frame.groupby(["resource", "run"], sort=False)
    }
    rows: list[_Row] = []
    for (resource, run), group in groups.items():
        order = [*log.meta.get("flows", {}).get(group["flow"].iloc[0], ())]
        names = sorted(
            group["step"].unique(),
            key=lambda name: order.index(name) if name in order else len(order),
        )
        if len(groups) > 1:
            rows.append(_Row(f"{resource}  {run}", True, None))
        by_step = dict(list(group.groupby("step", sort=False)))
        rows += [_Row(name, False, by_step[name]) for name in names]
    if len(rows) <= MOST_ROWS:
        return rows
    return [_Row(f"{name}  {run}", False, group) for (name, run), group in groups.items()]


def _bars(axes: Axes, rows: Sequence[_Row], begin: float, end: float) -> list[Artist]:
    span = max(end - begin, 1e-9)
    seen = set()
    for place, row in enumerate(rows):
        if row.attempts is None:
            continue
        for item in row.attempts.itertuples(index=False):
            bar: Any = item
            seen.add(bar.status)
            start = begin if math.isnan(bar.start) else bar.start
            until = end if math.isnan(bar.end) else bar.end
            _bar(axes, place, bar, start, until, span)
    return [
        swatch(status, status_style(status))
        for status in STATUS_COLOURS
        if status in seen
    ]


def _bar(
    axes: Axes, place: int, bar: Any, start: float, until: float, span: float
) -> None:
    style = status_style(bar.status)
    width = until - start
    if width < span * 0.002:
        # Too short to be seen as a bar: an attempt that failed at once, for one.
        marker = "X" if style.hatch else "d"
        axes.plot(
            start, place, marker, color=style.colour, markeredgecolor="white",
            markersize=8, markeredgewidth=0.6, zorder=4, clip_on=False,
        )  # fmt: skip
        return
    is_open = math.isnan(bar.end)
    axes.barh(
        place, width, left=start, height=0.62, color=style.colour, hatch=style.hatch,
        edgecolor="white", linewidth=0.6, alpha=0.65 if is_open else 1.0, zorder=3,
    )  # fmt: skip
    if bar.attempt > 1 and width > span * 0.02:
        axes.text(
            start + width / 2, place, str(bar.attempt), ha="center", va="center",
            fontsize=7, color=style.text, zorder=5,
            bbox={"boxstyle": "round,pad=0.12", "fc": style.colour, "ec": "none"},
        )  # fmt: skip


def _outages(axes: Axes, log: EventLog, end: float) -> list[Artist]:
    crashes = [r for r in log.filter(Kind.CONTROLLER_CRASHED) if r.time <= end]
    if not crashes:
        return []
    for outage in outages(log):
        if outage.since >= end:
            break
        axes.axvspan(outage.since, min(outage.until, end), color=SHADE, zorder=0)
    for record in crashes:
        axes.axvline(record.time, color=INK, linestyle="--", linewidth=1.0, zorder=2)
    _name_crashes(axes, [(record.time, record.text) for record in crashes], end)
    return [
        Line2D(
            [], [], color=INK, linestyle="--", linewidth=1.0, label="controller crash"
        ),
        Patch(facecolor=SHADE, label="no controller"),
    ]


def _name_crashes(axes: Axes, crashes: Sequence[tuple[float, str]], end: float) -> None:
    """Write above the lines whose crash it is, as far as there is room."""
    several = len({name for _, name in crashes}) > 1
    last = -math.inf
    for time, name in crashes:
        label = f"{plain(name, 16)} {time:,.1f} s" if several else f"crash {time:,.1f} s"
        if time - last >= end * (0.2 if several else 0.1):
            axes.annotate(
                label, (time, 1.0), (0, 3), xycoords=axes.get_xaxis_transform(),
                textcoords="offset points", ha="center", va="bottom", fontsize=7,
                color=INK, annotation_clip=False,
            )  # fmt: skip
            last = time


def _faults(axes: Axes, fired: Sequence[tuple[float, str]]) -> list[Artist]:
    handles: list[Artist] = []
    names = Counter(text.partition("(")[0] for _, text in fired)
    for number, (name, times) in enumerate(names.items()):
        at = [time for time, text in fired if text.partition("(")[0] == name]
        label = f"{name} fired" if times == 1 else f"{name} fired {times} times"
        handles += axes.plot(
            at, [-1.0] * len(at), _MARKERS[number % len(_MARKERS)], color=INK,
            markersize=6, markeredgecolor="white", label=plain(label), zorder=4,
            clip_on=False,
        )  # fmt: skip
    return handles


def _frame(
    axes: Axes, rows: Sequence[_Row], fired: bool, begin: float, end: float
) -> None:
    labels = ["faults"] * fired + [plain(row.label) for row in rows]
    axes.set_yticks(range(-1 if fired else 0, len(rows)), labels, fontsize=8)
    for tick, row in zip(axes.get_yticklabels()[fired:], rows, strict=True):
        tick.set_fontweight("bold" if row.heading else "normal")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(max(len(rows) - 0.4, 1.0), -1.6 if fired else -0.6)
    margin = max(end - begin, 1e-9) * 0.01
    axes.set_xlim(begin - margin, max(end, begin + 1e-9) + margin)
    axes.set_xlabel("virtual time [s]")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", color=SHADE, linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)


def _sentence(log: EventLog, frame: pd.DataFrame, drawn: int, runs: int) -> str:
    statuses = Counter(frame["status"].tolist())
    outcome = ", ".join(
        f"{statuses[status]:,} {status}" for status in STATUS_COLOURS if statuses[status]
    )
    steps = len(frame[["resource", "run", "step"]].drop_duplicates())
    which = count(runs, "run") if drawn == runs else f"the first {drawn} of {runs:,} runs"
    said = [
        f"Gantt chart of {which} in {seconds(log.records[-1].time)}: "
        f"{count(len(frame), 'attempt')} of {count(steps, 'step')} ({outcome})"
    ]
    crashes = len(log.filter(Kind.CONTROLLER_CRASHED))
    if crashes:
        end = log.records[-1].time
        down = sum(min(outage.until, end) - outage.since for outage in outages(log))
        said.append(
            f"{count(crashes, 'controller crash', 'controller crashes')}, "
            f"{seconds(down)} without one"
        )
    fired = len(log.filter(Kind.FAULT_FIRED))
    if fired:
        said.append(f"faults fired {count(fired, 'time')}")
    return "; ".join(said) + "."
