"""Charts of shares: how runs ended, and where their time went."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from wfsim.model.log import EventLog
from wfsim.report import frames, tables
from wfsim.report.breakdown import PARTS
from wfsim.report.chart import (
    STATUS_COLOURS,
    Chart,
    Style,
    canvas,
    inside,
    legend,
    row_axis,
    say_nothing,
    status_style,
    swatch,
)
from wfsim.report.groups import FEW, Groups, Source, column, grouped, keys, runs_of
from wfsim.report.text import count, plain, seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

PART_STYLES = {
    "queued": status_style("prepared"),
    "steps": status_style("completed"),
    "retries": status_style("failed"),
    "recovery": status_style("crashed"),
    "waiting": status_style("waiting"),
    "other": status_style("superseded"),
}
"""How each part of a run's time is drawn: as the status that it goes with."""


def outcomes(
    source: Source,
    by: str | Iterable[str] | None = None,
    ax: Axes | None = None,
) -> Chart:
    """Draw how the runs of each group ended, as shares stacked to one bar.

    The frame has a row per group and status: the group, ``status``, ``runs``, ``share``
    (of the runs of the group, from 0 to 1).
    """
    runs = runs_of(source)
    groups = grouped(runs, keys(source, by))
    rows: list[tuple[Any, ...]] = []
    for name, group in groups.of.items():
        times = Counter(group["status"].tolist())
        rows += [
            (name, status, times[status], times[status] / len(group))
            for status in STATUS_COLOURS
            if times[status]
        ]
    frame = frames.table((groups.name, "status", "runs", "share"), rows)
    axes = canvas(ax, 10.0, 1.5 + 0.36 * max(len(groups.of), 1))
    if frame.empty:
        say_nothing(axes, "No flow has run")
        return Chart(axes, frame, "Outcomes without a run.")
    bars = [
        (name, status_style(status), share, f"{times:,}")
        for name, status, times, share in rows
    ]
    _stacked(axes, list(groups.of), bars, least=0.03)
    row_axis(axes, list(groups.of), "share of runs")
    axes.set_xlim(0.0, 1.0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    present = [status for status in STATUS_COLOURS if status in set(frame["status"])]
    legend(axes, [swatch(status, status_style(status)) for status in present])
    totals = Counter(runs["status"].tolist())
    shares = ", ".join(
        f"{totals[status]:,} {status} ({totals[status] / len(runs):.1%})"
        for status in STATUS_COLOURS
        if totals[status]
    )
    if groups.by == ("flow",):
        which = f"{count(len(runs), 'run')} of {count(groups.total, 'flow')}"
        if len(groups.of) < groups.total:
            which += f", the first {len(groups.of)} shown"
    else:
        which = f"{count(len(runs), 'run')}{groups.said}"
    return Chart(axes, frame, f"Outcomes of {which}: {shares}.")


def breakdown(
    source: Source,
    by: str | Iterable[str] | None = None,
    ax: Axes | None = None,
) -> Chart:
    """Draw where the time of a run goes on average, one stacked bar per group.

    The parts are those of `tables.breakdown`.  The frame has a row per group and part:
    the group, ``part``, ``mean`` (seconds per run), ``share`` (of the time of the runs
    of the group, from 0 to 1).
    """
    runs = tables.breakdown(source) if isinstance(source, EventLog) else runs_of(source)
    groups = grouped(runs, keys(source, by))
    rows: list[tuple[Any, ...]] = []
    for name, group in groups.of.items():
        spent = {part: float(_part(group, part).mean()) for part in PARTS}
        whole = math.fsum(spent.values())
        rows += [
            (name, part, mean, mean / whole if whole else 0.0)
            for part, mean in spent.items()
        ]
    frame = frames.table((groups.name, "part", "mean", "share"), rows)
    axes = canvas(ax, 10.0, 1.5 + 0.36 * max(len(groups.of), 1))
    if frame.empty:
        say_nothing(axes, "No flow has run")
        return Chart(axes, frame, "Where the time goes, without a run.")
    longest = float(frame.groupby(groups.name)["mean"].sum().max())
    bars = [
        (name, PART_STYLES[part], mean, f"{mean:,.0f}") for name, part, mean, _ in rows
    ]
    _stacked(axes, list(groups.of), bars, least=0.035 * longest)
    row_axis(axes, list(groups.of), "mean time of a run [virtual s]")
    axes.set_xlim(0.0, longest * 1.02 or 1.0)
    axes.set_ylabel(plain(groups.heading), fontsize=8)
    total = frame.groupby("part", sort=False)["mean"].sum()
    present = [part for part in PARTS if total[part] > 0.0]
    legend(axes, [swatch(part, PART_STYLES[part]) for part in present])
    number = sum(map(len, groups.of.values()))
    return Chart(
        axes,
        frame,
        f"Where the time of {count(number, 'run')} goes{groups.said}: "
        f"{_largest(frame, groups)}.",
    )


def _part(runs: pd.DataFrame, part: str) -> pd.Series[Any]:
    """Return the seconds of *part*; a study has a count of that name, too."""
    apart = f"{part}_seconds"
    return column(runs, apart if apart in runs.columns else part)


def _stacked(
    axes: Axes,
    names: Sequence[str],
    bars: Iterable[tuple[str, Style, float, str]],
    least: float,
) -> None:
    """Draw *bars* (row, style, width, text) end to end; text where there is room."""
    left = dict.fromkeys(names, 0.0)
    for name, style, width, text in bars:
        place = names.index(name)
        axes.barh(
            place, width, left=left[name], height=0.62, color=style.colour,
            hatch=style.hatch, edgecolor="white", linewidth=0.6,
        )  # fmt: skip
        if width > least:
            inside(axes, left[name] + width / 2, place, text, style)
        left[name] += width


def _largest(frame: pd.DataFrame, by: Groups) -> str:
    """Say of each group, or of the quickest and the slowest, what its time goes to."""
    groups = dict(list(frame.groupby(by.name, sort=False)))
    whole = {name: float(group["mean"].sum()) for name, group in groups.items()}
    names = list(groups)
    if len(names) > FEW:
        names = [min(names, key=whole.__getitem__), max(names, key=whole.__getitem__)]
    said = []
    for name in names:
        parts = groups[name][groups[name]["mean"] > 0.0]
        parts = parts.sort_values("mean", ascending=False, kind="stable")
        shares = ", ".join(
            f"{part} {share:.1%}"
            for part, share in zip(parts["part"], parts["share"], strict=True)
        )
        said.append(
            f"{by.title(name)} {seconds(whole[name])} ({shares or 'no time at all'})"
        )
    return "; ".join(said)
