"""Charts of a log or of a study: pure functions from what is drawn to a `Chart`.

Those of a log take a `Simulation` as well, and draw the log that it has so far.  Each
takes the matplotlib axes to draw in as *ax*, or makes a figure of its own.  With no data
it returns an empty chart whose sentence says so.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from wfsim.errors import UsageError
from wfsim.model.bounds import PositiveCount, argument
from wfsim.model.log import EventLog, HasLog, log_of
from wfsim.report import frames, tables
from wfsim.report.chart import (
    INK,
    SHADE,
    Chart,
    canvas,
    inside,
    legend,
    on_paper,
    plot_width,
    row_axis,
    say_nothing,
    series,
    state_styles,
    status_style,
    swatch,
    time_bar,
)
from wfsim.report.decision_charts import costs, estimates
from wfsim.report.diff_charts import diff, lineage
from wfsim.report.fit_charts import pit, qq
from wfsim.report.gantt import gantt
from wfsim.report.grid_charts import comparison, heatmap, tornado
from wfsim.report.grouping import MOST, StudyFrames
from wfsim.report.interactive import interactive_gantt
from wfsim.report.load import WORKERS, average
from wfsim.report.state_graph import state_graph
from wfsim.report.steady_charts import over_time, welch
from wfsim.report.study_charts import breakdown, convergence, ecdf, latencies, outcomes
from wfsim.report.text import count, natural, percent, plain, seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

MOST_ROWS = 60
"""Beyond so many resources or steps a chart shows the first ones only, and says so."""


@on_paper
def states(log: EventLog | HasLog, ax: Axes | None = None) -> Chart:
    """Draw the states of each resource over time, one row per resource.

    The frame has a row per stay in a state: ``resource``, ``state``, ``start``,
    ``end`` (of the log, where the resource is still in it), ``duration``.
    """
    frame = _stays(log_of(log))
    names = sorted(dict.fromkeys(frame["resource"]), key=natural)
    drawn = names[:MOST_ROWS]
    shown = frame[frame["resource"].isin(drawn)].reset_index(drop=True)
    axes = canvas(ax, 10.0, 1.4 + 0.36 * max(len(drawn), 1))
    if not names:
        say_nothing(axes, "No resource has a state")
        return Chart(axes, shown, "State timeline of a log without resources.")
    end = float(shown["end"].max())
    styles = state_styles(shown["state"])
    scale = plot_width(axes) / max(end, 1e-9)
    for item in shown.itertuples(index=False):
        stay: Any = item
        _stay(axes, drawn.index(stay.resource), stay, styles[stay.state], scale)
    row_axis(axes, drawn, "virtual time [s]")
    axes.set_xlim(-0.01 * end, 1.01 * end if end else 1.0)
    present = list(dict.fromkeys(shown["state"]))
    legend(axes, [swatch(state, styles[state]) for state in present])
    which = count(len(names), "resource")
    if len(drawn) < len(names):
        which = f"the first {len(drawn)} of {which}"
    finals = Counter(shown.groupby("resource", sort=False)["state"].last().tolist())
    ends = ", ".join(f"{times:,} in {state}" for state, times in finals.most_common())
    changes = len(shown) - len(drawn)
    return Chart(
        axes,
        shown,
        f"State timeline of {which} over {seconds(end)}: "
        f"{count(changes, 'change')} of state; at the end {ends}.",
        drawn=(shown[["resource", "state", "start", "end"]],),
    )


@on_paper
def latency(log: EventLog | HasLog, ax: Axes | None = None) -> Chart:
    """Draw how long completed attempts took, one row per step: points, median and p95.

    The frame is that of `tables.latency`.
    """
    log = log_of(log)
    frame = tables.latency(log)
    shown = frame[frame["completed"] > 0].head(MOST_ROWS).reset_index(drop=True)
    axes = canvas(ax, 10.0, 1.5 + 0.3 * max(len(shown), 2))
    if shown.empty:
        say_nothing(axes, "No step has completed")
        return Chart(
            axes, shown, "Step latencies of a log in which no step has completed."
        )
    attempts = tables.steps(log)
    attempts = attempts[attempts["status"] == "completed"]
    durations = {
        key: group["duration"].to_list()
        for key, group in attempts.groupby(["flow", "step"], sort=False)
    }
    for y, item in enumerate(shown.itertuples(index=False)):
        row: Any = item
        _points(axes, y, durations[row.flow, row.step], row)
    several = shown["flow"].nunique() > 1
    labels = [
        f"{row.flow}: {row.step}" if several else str(row.step)
        for row in shown.itertuples(index=False)
    ]
    row_axis(axes, labels, "duration of completed attempts [virtual s]")
    axes.set_xlim(0.0, max(float(shown["max"].max()) * 1.04, 1e-9))
    done = status_style("completed").colour
    legend(
        axes,
        [
            Line2D([], [], ls="", marker="o", color=done, label="completed attempt"),
            Line2D([], [], color=INK, lw=2, label="median"),
            Line2D([], [], color=INK, lw=1, ls=":", label="95th percentile"),
        ],
    )
    slowest = shown.sort_values("mean", ascending=False, kind="stable").iloc[0]
    return Chart(
        axes,
        shown,
        f"Latency of {count(len(shown), 'step')}, "
        f"{count(int(shown['completed'].sum()), 'completed attempt')}: the slowest is "
        f"{slowest['step']} with a mean of {seconds(slowest['mean'])}, "
        f"p50 {seconds(slowest['p50'])}, p95 {seconds(slowest['p95'])}.",
        drawn=(
            shown[["flow", "step", "p50", "p95"]],
            attempts[["flow", "step", "duration"]],
        ),
    )


def _stays(log: EventLog) -> pd.DataFrame:
    rows: list[list[Any]] = []
    last: dict[str, list[Any]] = {}
    for change in tables.states(log).itertuples(index=False):
        move: Any = change
        if move.resource in last:
            last.pop(move.resource)[3] = move.time
        if move.after:
            rows.append([move.resource, move.after, move.time, math.nan])
            last[move.resource] = rows[-1]
    for row in last.values():
        row[3] = log.records[-1].time
    stays = [(*row, row[3] - row[2]) for row in rows]
    return frames.table(("resource", "state", "start", "end", "duration"), stays)


def _stay(axes: Axes, y: int, stay: Any, style: Any, scale: float) -> None:
    pixels = time_bar(axes, y, (stay.start, stay.end), scale, style)
    # Measured: a letter of this size takes about 6.3 pixels.
    if pixels > 9 + 6.3 * len(stay.state):
        inside(axes, (stay.start + stay.end) / 2, y, plain(stay.state), style)


def _points(axes: Axes, y: int, durations: list[float], row: Any) -> None:
    colour = status_style("completed").colour
    known = [duration for duration in durations if not math.isnan(duration)]
    # Spread over the height of the row in the order of the log: no draw is needed.
    spread = 0.09 if len(known) > 1 else 0.0
    heights = [y + spread * (number % 5 - 2) for number in range(len(known))]
    axes.plot([row.p50] * 2, [y - 0.32, y + 0.32], color=INK, lw=2, zorder=3)
    axes.plot([row.p95] * 2, [y - 0.32, y + 0.32], color=INK, lw=1, ls=":")
    alpha = max(0.15, min(1.0, 20 / len(durations)))
    axes.scatter(
        known, heights, s=18, color=colour, alpha=alpha, linewidths=0, zorder=4,
        clip_on=False,
    )  # fmt: skip


@on_paper
def utilisation(
    log: EventLog | HasLog, *, workers: int | None = None, ax: Axes | None = None
) -> Chart:
    """Draw how many workers and how much of each pool are busy over time.

    If *workers* is given, which no log says, the axis is the share that is busy;
    otherwise the number.  Dotted is the mean over time.  The frame is that of
    `tables.utilisation`.  Raises `UsageError` for fewer than one worker.
    """
    frame = _of_log(log)
    if workers is not None:
        workers = argument("workers", workers, PositiveCount)
        frame.loc[frame["name"] == WORKERS, "capacity"] = float(workers)
    names, total = _first_names(frame)
    axes = canvas(ax, 10.0, 3.4)
    if not names:
        say_nothing(axes, "No time has passed")
        return Chart(axes, frame, "Utilisation in a log without time.")
    of = frame[frame["name"].isin(names)].reset_index(drop=True)
    is_share = bool(of["capacity"].gt(0.0).all())
    lines = {name: of[of["name"] == name] for name in names}
    for name, part in lines.items():
        part = part.assign(level=part["busy"] / (part["capacity"] if is_share else 1.0))
        lines[name] = part
    _draw_levels(axes, lines, "busy" if is_share else "number busy")
    if is_share:
        axes.set_ylim(0.0, 1.05)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    means = "; ".join(
        _busy(name, part, average(of, name, "busy")) for name, part in lines.items()
    )
    return Chart(
        axes,
        of,
        f"Utilisation over {_span(of)}{_cut(names, total)}: {means}.",
        drawn=(of[["name", "start", "end", "busy", "capacity"]],),
    )


def _of_log(source: EventLog | HasLog) -> pd.DataFrame:
    if isinstance(source, StudyFrames):
        raise UsageError(
            f"{type(source).__name__} is no log; give one, such as wfsim.simulate(...) "
            "returns; means over a study are study.utilisation()"
        )
    return tables.utilisation(log_of(source))


@on_paper
def queue(log: EventLog | HasLog, ax: Axes | None = None) -> Chart:
    """Draw how many runs wait for a worker, and how many requests for a pool, over time.

    Dotted is the mean over time.  The frame is that of `tables.utilisation`.
    """
    frame = _of_log(log)
    names, total = _first_names(frame)
    axes = canvas(ax, 10.0, 3.4)
    if not names:
        say_nothing(axes, "No time has passed")
        return Chart(axes, frame, "Queue in a log without time.")
    of = frame[frame["name"].isin(names)].reset_index(drop=True)
    lines = {
        name: of[of["name"] == name].assign(level=of["queue"].astype(float))
        for name in names
    }
    _draw_levels(axes, lines, "number waiting")
    means = "; ".join(
        _waiting(name, part, average(of, name, "queue")) for name, part in lines.items()
    )
    return Chart(
        axes,
        of,
        f"Queue over {_span(of)}{_cut(names, total)}: {means}.",
        drawn=(of[["name", "start", "end", "queue"]],),
    )


def _first_names(frame: pd.DataFrame) -> tuple[list[str], int]:
    names = [str(name) for name in dict.fromkeys(frame["name"])]
    return names[:MOST], len(names)


def _draw_levels(axes: Axes, lines: dict[str, pd.DataFrame], what: str) -> None:
    """Draw the ``level`` of each of *lines* over time, and its mean."""
    handles: list[Any] = []
    for number, (name, part) in enumerate(lines.items()):
        colour, line = series(number)
        edges = [float(part["start"].iloc[0]), *map(float, part["end"])]
        level = part["level"].tolist()
        handles.append(
            axes.stairs(level, edges, color=colour, ls=line, lw=1.4, label=plain(name))
        )
        if len(lines) == 1:
            axes.stairs(level, edges, color=colour, alpha=0.18, fill=True, linewidth=0)
        mean = float((part["level"] * part["duration"]).sum() / part["duration"].sum())
        axes.axhline(mean, color=colour, ls=(0, (1, 2)), lw=1.1)
    axes.set_xlabel("virtual time [s]")
    axes.set_ylabel(what)
    axes.set_xlim(*_limits(lines))
    axes.set_ylim(bottom=0.0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=SHADE, linewidth=0.8)
    axes.set_axisbelow(True)
    if what.startswith("number"):
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    handles += axes.plot(
        [], [], color=INK, ls=(0, (1, 2)), lw=1.1, label="mean over time"
    )
    legend(axes, handles)


def _limits(lines: dict[str, pd.DataFrame]) -> tuple[float, float]:
    start = min(float(part["start"].iloc[0]) for part in lines.values())
    return start, max(float(part["end"].iloc[-1]) for part in lines.values())


def _busy(name: str, part: pd.DataFrame, mean: float) -> str:
    most, capacity = int(part["busy"].max()), float(part["capacity"].iloc[0])
    if capacity > 0.0:
        full = _share_of_time(part, part["busy"] >= part["capacity"])
        return (
            f"{name} {mean:,.1f} of {capacity:,.0f} on average "
            f"({percent(mean / capacity)}), {most:,} at most, "
            f"all busy {percent(full)} of the time"
        )
    return f"{name} {mean:,.1f} on average, {most:,} at most"


def _waiting(name: str, part: pd.DataFrame, mean: float) -> str:
    who, what = ("run", "a worker") if name == WORKERS else ("request", name)
    most = int(part["queue"].max())
    if not most:
        return f"no {who} waited for {what}"
    some = _share_of_time(part, part["queue"] > 0)
    return (
        f"{mean:,.1f} {who}s waited for {what} on average, {most:,} at most, "
        f"some {percent(some)} of the time"
    )


def _share_of_time(part: pd.DataFrame, when: pd.Series[bool]) -> float:
    """Return the share of the time of *part* that the rows *when* make up."""
    return float(part["duration"][when].sum() / part["duration"].sum())


def _span(frame: pd.DataFrame) -> str:
    return seconds(float(frame["end"].max()) - float(frame["start"].min()))


def _cut(names: Sequence[str], total: int) -> str:
    return f", the first {len(names)} of {total:,}" if len(names) < total else ""


__all__ = [
    "breakdown",
    "comparison",
    "convergence",
    "costs",
    "diff",
    "ecdf",
    "estimates",
    "gantt",
    "heatmap",
    "interactive_gantt",
    "latencies",
    "latency",
    "lineage",
    "outcomes",
    "over_time",
    "pit",
    "qq",
    "queue",
    "state_graph",
    "states",
    "tornado",
    "utilisation",
    "welch",
]


def __dir__() -> list[str]:
    """Return what a notebook is to complete."""
    return __all__
