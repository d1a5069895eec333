"""The Gantt chart: attempts of steps over time, crashes, outages and faults with them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from wfsim.model.log import EventLog, HasLog, log_of
from wfsim.model.record import Kind
from wfsim.report import frames, tables
from wfsim.report.chart import (
    DPI,
    EDGED,
    FAINT,
    INK,
    SHADE,
    STATUS_COLOURS,
    Chart,
    Style,
    canvas,
    inside,
    legend,
    on_paper,
    plot_width,
    say_nothing,
    status_style,
    swatch,
    time_bar,
)
from wfsim.report.history import outages
from wfsim.report.stretches import pool_queues
from wfsim.report.text import count, natural, plain, seconds

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

MOST_ROWS = 45
"""Beyond so many rows each run has one only; beyond so many runs the rest is left out."""

FEW_ROWS = 20
"""Beyond so many rows each run has one only if most bars would have no edge."""

WIDTH = 10.0
PLOT_WIDTH = 0.8 * WIDTH * DPI
"""About how many pixels wide the bars are in a figure of *WIDTH* inches."""

NUMBERED = 18.0
"""From so many pixels on a bar says which attempt it is."""

LEVELS = 4
"""How many lines of names stand above the crashes, so that near ones have one each."""

PALE = 0.72
"""How opaque every other step of a run in one row is."""

_LETTER, _LINE = 6.0, 9.0  # of a name of a crash: pixels wide, points high
_MARKERS = "v^Dsop*Xh<>d"
QUEUE_STYLE = Style("#d9d9d9", "---")
_DRAWN = ["resource", "run", "step", "attempt", "status", "start", "end"]


class Row(NamedTuple):
    """A line of the chart: a heading without attempts, a step, or a whole run."""

    label: str
    attempts: pd.DataFrame | None
    whole: bool = False


class Timeline(NamedTuple):
    """What a Gantt chart shows of a log, however it is painted.

    *frame* are the attempts of the runs that are drawn, *rows* its lines, *span* the
    first and the last second, *crashes* and *faults* when each was and its name.
    """

    log: EventLog
    frame: pd.DataFrame
    rows: tuple[Row, ...]
    span: tuple[float, float]
    crashes: tuple[tuple[float, str], ...]
    faults: tuple[tuple[float, str], ...]
    sentence: str

    @property
    def parts(self) -> list[pd.DataFrame]:
        """The frames of what is drawn, for the digest of the chart."""
        marks = [*self.crashes, *self.faults]
        return [self.frame[_DRAWN], frames.table(("time", "mark"), marks)]


class _Axis(NamedTuple):
    """The seconds from *begin* to *end*, *scale* pixels each."""

    begin: float
    end: float
    scale: float


def timeline(log: EventLog | HasLog, pixels: float) -> Timeline:
    """Return what a Gantt chart of *log* shows that is so many *pixels* wide."""
    log = log_of(log)
    frame = tables.steps(log)
    runs = frame[["resource", "run"]].drop_duplicates()
    drawn = runs.head(MOST_ROWS)
    is_cut = len(drawn) < len(runs)
    shown = frame.merge(drawn, on=["resource", "run"]) if is_cut else frame
    if shown.empty:
        nothing = "Gantt chart of a log in which no step has begun."
        return Timeline(log, shown, (), (0.0, 0.0), (), (), nothing)
    end = float(log.records[-1].time)
    if is_cut and shown["end"].notna().all():
        end = float(shown["end"].max())
    begin = min(0.0, float(shown["start"].min())) if shown["start"].notna().any() else 0.0
    crashes, faults = (
        tuple((r.time, r.text) for r in log.filter(kind) if r.time <= end)
        for kind in (Kind.CONTROLLER_CRASHED, Kind.FAULT_FIRED)
    )
    rows = tuple(_rows(log, shown, pixels / max(end - begin, 1e-9)))
    sentence = _sentence(log, shown, len(drawn), len(runs))
    return Timeline(log, shown, rows, (begin, end), crashes, faults, sentence)


@on_paper
def gantt(log: EventLog | HasLog, ax: Axes | None = None) -> Chart:
    """Draw attempts as bars by status, one row per step of each run.

    A log of many runs, or of several whose attempts would be specks, has one row per run
    instead, its steps as segments of it, every other one paler; and only as many runs as
    can be told apart; the sentence says so.
    An attempt too short for a bar is drawn 3 pixels wide, with a cross if it came to
    nothing.  The pale part of a bar is time in the queue of a pool.  Dashed lines are
    crashes of a controller, shaded is the time without one, and markers in the topmost
    row are faults that fired.  The frame is that of `tables.steps`, of the runs that are
    drawn.  `interactive_gantt` draws the same to hover over.
    """
    chart = timeline(log, plot_width(ax) if ax else PLOT_WIDTH)
    rows, (begin, end) = chart.rows, chart.span
    has_faults = bool(chart.faults)
    axes = canvas(ax, WIDTH, 1.5 + 0.3 * max(len(rows) + has_faults, 2))
    if not rows:
        say_nothing(axes, "No step has begun")
        return Chart(axes, chart.frame, chart.sentence)
    axis = _Axis(begin, end, plot_width(axes) / max(end - begin, 1e-9))
    _frame(axes, rows, has_faults, axis)
    handles = _bars(axes, rows, axis)
    queued = _queues(axes, chart.log, rows, axis)
    if queued:
        handles.append(swatch("in the queue of a pool", QUEUE_STYLE))
    if chart.crashes:
        handles += _outages(axes, chart.log, chart.crashes, axis)
    handles += _faults(axes, chart.faults)
    legend(axes, handles)
    parts = chart.parts
    if queued:
        parts.append(frames.table(("row", "start", "end"), queued))
    return Chart(axes, chart.frame, chart.sentence, drawn=parts)


def _rows(log: EventLog, frame: pd.DataFrame, scale: float) -> list[Row]:
    groups = {
        _name(str(resource), str(run)): group
        for (resource, run), group in frame.groupby(["resource", "run"], sort=False)
    }
    rows: list[Row] = []
    for name, group in groups.items():
        order = [*log.meta.get("flows", {}).get(group["flow"].iloc[0], ())]
        steps = sorted(
            group["step"].unique(),
            key=lambda step: order.index(step) if step in order else len(order),
        )
        if len(groups) > 1:
            rows.append(Row(name, None))
        by_step = dict(list(group.groupby("step", sort=False)))
        rows += [Row(step, by_step[step]) for step in steps]
    widths = frame["duration"] * scale
    specks = len(groups) > 1 and float((widths < EDGED).mean()) > 0.5
    if len(rows) <= (FEW_ROWS if specks else MOST_ROWS):
        return rows
    # In the order in which the runs began, mpd-2 before mpd-10.
    whole = sorted(
        groups.items(), key=lambda item: (item[1]["start"].min(), natural(item[0]))
    )
    return [Row(name, group, True) for name, group in whole]


def _name(resource: str, run: str) -> str:
    """Return how a run is called; a flow of a service is its own resource."""
    return run if resource in ("", run) else f"{resource}  {run}"


def _bars(axes: Axes, rows: Sequence[Row], axis: _Axis) -> list[Artist]:
    seen = set()
    for y, row in enumerate(rows):
        if row.attempts is None:
            continue
        number, last = -1, None
        for item in row.attempts.itertuples(index=False):
            bar: Any = item
            seen.add(bar.status)
            number, last = number + (bar.step != last), bar.step
            _bar(axes, y, bar, axis, pale=row.whole and number % 2 == 1)
    handles: list[Artist] = [
        swatch(status, status_style(status))
        for status in STATUS_COLOURS
        if status in seen
    ]
    if any(row.whole for row in rows):
        handles.append(Patch(facecolor=FAINT, alpha=PALE, label="every other step paler"))
    return handles


def _bar(axes: Axes, y: int, bar: Any, axis: _Axis, *, pale: bool) -> None:
    style = status_style(bar.status)
    start = axis.begin if math.isnan(bar.start) else bar.start
    end = axis.end if math.isnan(bar.end) else bar.end
    alpha = PALE if pale and not style.hatch else 1.0
    pixels = time_bar(axes, y, (start, end), axis.scale, style, alpha)
    if bar.attempt > 1 and pixels >= NUMBERED:
        inside(axes, (start + end) / 2, y, str(bar.attempt), style)


def _queues(
    axes: Axes, log: EventLog, rows: Sequence[Row], axis: _Axis
) -> list[tuple[int, float, float]]:
    """Draw the time in the queues of pools into the bars; return rows and seconds."""
    queues, drawn = pool_queues(log), []
    for y, row in enumerate(rows if queues else ()):
        for item in () if row.attempts is None else row.attempts.itertuples(index=False):
            bar: Any = item
            name = (bar.resource, bar.run, bar.step, bar.attempt)
            over = axis.end if math.isnan(bar.end) else bar.end
            for since, until in queues.get(name, ()):
                span = (since, over if math.isnan(until) else until)
                time_bar(axes, y, span, axis.scale, QUEUE_STYLE)
                drawn.append((y, *span))
    return drawn


def _outages(
    axes: Axes, log: EventLog, crashes: Sequence[tuple[float, str]], axis: _Axis
) -> list[Artist]:
    for outage in outages(log):
        if outage.since >= axis.end:
            break
        axes.axvspan(outage.since, min(outage.until, axis.end), color=SHADE, zorder=0)
    for time, _ in crashes:
        axes.axvline(time, color=INK, linestyle="--", linewidth=1.0, zorder=2)
    named = _name_crashes(axes, crashes, axis)
    times = count(len(crashes), "controller crash", "controller crashes")
    label = "controller crash" if named == len(crashes) else f"{times}, {named} named"
    return [
        Line2D([], [], color=INK, linestyle="--", linewidth=1.0, label=label),
        Patch(facecolor=SHADE, label="no controller"),
    ]


def _name_crashes(axes: Axes, crashes: Sequence[tuple[float, str]], axis: _Axis) -> int:
    """Write above the lines whose crash it is and when; return for how many."""
    several = len({name for _, name in crashes}) > 1
    used = [-math.inf] * LEVELS
    named = 0
    for time, name in crashes:
        label = f"{plain(name, 16)} {time:,.1f} s" if several else f"crash {time:,.1f} s"
        half = len(label) * _LETTER / 2
        middle = (time - axis.begin) * axis.scale
        level = next((n for n, used_to in enumerate(used) if used_to < middle - half), -1)
        if level < 0:
            continue
        used[level] = middle + half
        named += 1
        axes.annotate(
            label, (time, 1.0), (0, 3 + level * _LINE),
            xycoords=axes.get_xaxis_transform(), textcoords="offset points",
            ha="center", va="bottom", fontsize=7, color=INK, annotation_clip=False,
            bbox={"boxstyle": "square,pad=0.05", "fc": "white", "ec": "none"},
            arrowprops={"arrowstyle": "-", "lw": 0.5, "color": INK, "shrinkB": 0.0}
            if level
            else None,
            zorder=6 - level,
        )  # fmt: skip
    return named


def _faults(axes: Axes, fired: Iterable[tuple[float, str]]) -> list[Artist]:
    handles: list[Artist] = []
    by_name: dict[str, list[float]] = {}
    for time, text in fired:
        by_name.setdefault(text.partition("(")[0], []).append(time)
    for number, (name, times) in enumerate(by_name.items()):
        label = f"{name} fired" + (f" {len(times):,} times" if len(times) > 1 else "")
        handles += axes.plot(
            times, [-1.0] * len(times), _MARKERS[number % len(_MARKERS)], color=INK,
            ls="", markersize=6, markeredgecolor="white", label=plain(label), zorder=4,
            clip_on=False,
        )  # fmt: skip
    return handles


def _frame(axes: Axes, rows: Sequence[Row], fired: bool, axis: _Axis) -> None:
    labels = ["faults"] * fired + [plain(row.label) for row in rows]
    axes.set_yticks(range(-1 if fired else 0, len(rows)), labels, fontsize=8)
    for tick, row in zip(axes.get_yticklabels()[fired:], rows, strict=True):
        tick.set_fontweight("bold" if row.attempts is None else "normal")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(max(len(rows) - 0.4, 1.0), -1.6 if fired else -0.6)
    begin, end, _ = axis
    margin = max(end - begin, 1e-9) * 0.01
    axes.set_xlim(begin - margin, max(end, begin + 1e-9) + margin)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
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
    parts = [
        f"Gantt chart of {which} in {seconds(log.records[-1].time)}: "
        f"{count(len(frame), 'attempt')} of {count(steps, 'step')} ({outcome})"
    ]
    crashes = len(log.filter(Kind.CONTROLLER_CRASHED))
    if crashes:
        end = log.records[-1].time
        down = sum(min(outage.until, end) - outage.since for outage in outages(log))
        parts.append(
            f"{count(crashes, 'controller crash', 'controller crashes')}, "
            f"no controller for {seconds(down)}"
        )
    if queue := float(frame["pool_queue"].sum()):
        parts.append(f"{seconds(queue)} of it in the queues of pools")
    fired = len(log.filter(Kind.FAULT_FIRED))
    if fired:
        parts.append(f"faults fired {count(fired, 'time')}")
    return "; ".join(parts) + "."
