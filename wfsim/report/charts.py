"""Charts of a log: pure functions from a log to a `Chart`.

Each takes the matplotlib axes to draw in as *ax*, or makes a figure of its own, and
draws what a function of `tables` returns.  A log without what a chart is about gives a
chart that says so.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D

from wfsim.model.log import EventLog
from wfsim.report import tables
from wfsim.report.chart import (
    Chart,
    canvas,
    count,
    legend,
    plain,
    say_nothing,
    seconds,
    swatch,
)
from wfsim.report.fit_charts import qq
from wfsim.report.gantt import gantt
from wfsim.report.palette import (
    INK,
    SHADE,
    STATUS_COLOURS,
    state_styles,
    status_style,
)
from wfsim.report.state_graph import state_graph

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
    _rows(axes, drawn, "virtual time [s]")
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
    _rows(axes, labels, "duration of completed attempts [virtual s]")
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


def outcomes(log: EventLog, ax: Axes | None = None) -> Chart:
    """Draw how the runs of each flow ended, as shares stacked to one bar.

    The frame has a row per flow and status: ``flow``, ``status``, ``runs``, ``share``
    (of the runs of the flow, from 0 to 1).
    """
    runs = tables.runs(log)
    frame = _shares(runs)
    flows = list(dict.fromkeys(frame["flow"]))
    axes = canvas(ax, 10.0, 1.5 + 0.36 * max(len(flows), 1))
    if not flows:
        say_nothing(axes, "No flow has run")
        return Chart(axes, frame, "Outcomes of a log in which no flow has run.")
    left = dict.fromkeys(flows, 0.0)
    for item in frame.itertuples(index=False):
        part: Any = item
        style = status_style(part.status)
        axes.barh(
            flows.index(part.flow), part.share, left=left[part.flow], height=0.62,
            color=style.colour, hatch=style.hatch, edgecolor="white", linewidth=0.6,
        )  # fmt: skip
        if part.share > 0.03:
            _inside(
                axes, left[part.flow] + part.share / 2, flows.index(part.flow),
                f"{part.runs:,}", style.colour, style.text,
            )  # fmt: skip
        left[part.flow] += part.share
    _rows(axes, flows, "share of runs")
    axes.set_xlim(0.0, 1.0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    present = [status for status in STATUS_COLOURS if status in set(frame["status"])]
    legend(axes, [swatch(status, status_style(status)) for status in present])
    totals = Counter(runs["status"].tolist())
    shares = ", ".join(
        f"{totals[status]:,} {status} ({totals[status] / len(runs):.1%})"
        for status in present
    )
    which = f"{count(len(runs), 'run')} of {count(len(flows), 'flow')}"
    return Chart(axes, frame, f"Outcomes of {which}: {shares}.")


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
    return tables.table(("resource", "state", "start", "end", "duration"), stays)


def _shares(runs: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for flow, group in runs.groupby("flow", sort=False):
        times = Counter(group["status"].tolist())
        rows += [
            (flow, status, times[status], times[status] / len(group))
            for status in STATUS_COLOURS
            if times[status]
        ]
    return tables.table(("flow", "status", "runs", "share"), rows)


def _stay(axes: Axes, place: int, stay: Any, style: Any, end: float) -> None:
    axes.barh(
        place, stay.duration, left=stay.start, height=0.62, color=style.colour,
        hatch=style.hatch, edgecolor="white", linewidth=0.6,
    )  # fmt: skip
    # Measured: a letter of this size takes about 0.7 % of the width.
    if stay.duration > end * (0.01 + 0.0072 * len(stay.state)):
        middle = stay.start + stay.duration / 2
        _inside(axes, middle, place, plain(stay.state), style.colour, style.text)
    elif stay.duration <= end * 0.002:
        axes.plot(
            stay.start, place, "d", color=style.colour, markeredgecolor="white",
            markersize=8, markeredgewidth=0.6, zorder=4, clip_on=False,
        )  # fmt: skip


def _inside(axes: Axes, x: float, y: float, text: str, back: str, ink: str) -> None:
    axes.text(
        x, y, text, ha="center", va="center", fontsize=7.5, color=ink, zorder=5,
        bbox={"boxstyle": "round,pad=0.12", "fc": back, "ec": "none"},
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


def _rows(axes: Axes, labels: list[str], under: str) -> None:
    axes.set_yticks(range(len(labels)), [plain(label) for label in labels], fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlabel(under)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", color=SHADE, linewidth=0.8)
    axes.set_axisbelow(True)


__all__ = ["gantt", "latency", "outcomes", "qq", "state_graph", "states"]
