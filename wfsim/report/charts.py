"""Charts of a log or of a study: pure functions from what is drawn to a `Chart`.

Each takes the matplotlib axes to draw in as *ax*, or makes a figure of its own.  Without
what it is about it gives a chart that says so.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D

from wfsim.model.log import EventLog
from wfsim.report import frames, tables
from wfsim.report.chart import (
    Chart,
    canvas,
    inside,
    legend,
    row_axis,
    say_nothing,
    swatch,
)
from wfsim.report.fit_charts import qq
from wfsim.report.gantt import gantt
from wfsim.report.grid_charts import comparison, heatmap, tornado
from wfsim.report.load_charts import queue, utilisation
from wfsim.report.palette import (
    INK,
    state_styles,
    status_style,
)
from wfsim.report.state_graph import state_graph
from wfsim.report.study_charts import breakdown, convergence, ecdf, latencies, outcomes
from wfsim.report.wording import count, plain, seconds

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MOST_ROWS = 60
"""Beyond so many resources or steps a chart shows the first ones only, and says so."""


def states(log: EventLog, ax: Axes | None = None) -> Chart:
    """Draw the states of each resource over time, one row per resource.

    The frame has a row per stay in a state: ``resource``, ``state``, ``start``,
    ``end`` (of the log, where the resource is still in it), ``duration``.
    """
    frame = _stays(log)
    names = list(dict.fromkeys(frame["resource"]))
    drawn = names[:MOST_ROWS]
    shown = frame[frame["resource"].isin(drawn)].reset_index(drop=True)
    axes = canvas(ax, 10.0, 1.4 + 0.36 * max(len(drawn), 1))
    if not names:
        say_nothing(axes, "No resource has a state")
        return Chart(axes, shown, "State timeline of a log without resources.")
    end = float(shown["end"].max())
    styles = state_styles(shown["state"])
    for item in shown.itertuples(index=False):
        stay: Any = item
        _stay(axes, drawn.index(stay.resource), stay, styles[stay.state], end)
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
    )


def latency(log: EventLog, ax: Axes | None = None) -> Chart:
    """Draw how long completed attempts took, one row per step: points, median and p95.

    The frame is that of `tables.latency`.
    """
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
    for place, item in enumerate(shown.itertuples(index=False)):
        row: Any = item
        _points(axes, place, durations[row.flow, row.step], row)
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


def _stay(axes: Axes, place: int, stay: Any, style: Any, end: float) -> None:
    axes.barh(
        place, stay.duration, left=stay.start, height=0.62, color=style.colour,
        hatch=style.hatch, edgecolor="white", linewidth=0.6,
    )  # fmt: skip
    # Measured: a letter of this size takes about 0.7 % of the width.
    if stay.duration > end * (0.01 + 0.0072 * len(stay.state)):
        middle = stay.start + stay.duration / 2
        inside(axes, middle, place, plain(stay.state), style)
    elif stay.duration <= end * 0.002:
        axes.plot(
            stay.start, place, "d", color=style.colour, markeredgecolor="white",
            markersize=8, markeredgewidth=0.6, zorder=4, clip_on=False,
        )  # fmt: skip


def _points(axes: Axes, place: int, durations: list[float], row: Any) -> None:
    colour = status_style("completed").colour
    known = [duration for duration in durations if not math.isnan(duration)]
    # Spread over the height of the row in the order of the log: no draw is needed.
    spread = 0.09 if len(known) > 1 else 0.0
    places = [place + spread * (number % 5 - 2) for number in range(len(known))]
    axes.plot([row.p50] * 2, [place - 0.32, place + 0.32], color=INK, lw=2, zorder=3)
    axes.plot([row.p95] * 2, [place - 0.32, place + 0.32], color=INK, lw=1, ls=":")
    axes.scatter(
        known, places, s=18, color=colour, alpha=max(0.15, min(1.0, 20 / len(durations))),
        linewidths=0, zorder=4, clip_on=False,
    )  # fmt: skip


__all__ = [
    "breakdown",
    "comparison",
    "convergence",
    "ecdf",
    "gantt",
    "heatmap",
    "latencies",
    "latency",
    "outcomes",
    "qq",
    "queue",
    "state_graph",
    "states",
    "tornado",
    "utilisation",
]


def __dir__() -> list[str]:
    """Return what a notebook is to complete."""
    return __all__
