"""Charts of a decision: what each point measures, and what it costs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D

from wfsim.report.chart import (
    INK,
    STATUS_COLOURS,
    Chart,
    canvas,
    legend,
    on_paper,
    row_axis,
    say_nothing,
    series,
)
from wfsim.report.grouping import COST_PARTS, amount, column, unit
from wfsim.report.text import count, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

MOST_POINTS = 30
"""Of more points a chart shows the first ones only, and says so."""

_COLOURS = {
    "yes": STATUS_COLOURS["completed"],
    "no": STATUS_COLOURS["failed"],
    "open": STATUS_COLOURS["superseded"],
    "": STATUS_COLOURS["running"],
}
_VERDICTS = {"yes": "meets it", "no": "does not", "open": "open"}


@on_paper
def estimates(
    frame: pd.DataFrame,
    measure: str,
    limit: float = math.nan,
    *,
    chosen: int | None = None,
    ax: Axes | None = None,
) -> Chart:
    """Draw *measure* of each point with its interval, beside the *limit* of an objective.

    *frame* has a row per point: ``label``, *measure*, ``low`` and ``high``, the ends of
    its interval, and ``meets``: yes, no, open or nothing.  It is the chart's frame too.
    An interval without an end goes on to the edge.  The *chosen* row is in bold.  Raises
    `UsageError` for a column that is missing.
    """
    for name in ("label", measure, "low", "high", "meets"):
        column(frame, name)
    shown = frame.head(MOST_POINTS).reset_index(drop=True)
    axes = canvas(ax, 9.0, 1.5 + 0.36 * max(len(shown), 2))
    known = [
        value
        for name in (measure, "low", "high")
        for value in shown[name].tolist()
        if math.isfinite(value)
    ]
    if not known:
        say_nothing(axes, f"Nothing has a {plain(measure)}")
        return Chart(axes, shown, f"Estimates of {measure} without a value.")
    ends = [*known, limit] if math.isfinite(limit) else known
    low, high = min(0.0, *ends), max(ends)
    edge = high + 0.06 * (high - low or 1.0)
    _bars(axes, shown, measure, (low, edge))
    row_axis(axes, shown["label"].tolist(), unit(measure))
    _embolden(axes, chosen)
    axes.set_xlim(low, edge)
    handles = []
    if math.isfinite(limit):
        axes.axvline(limit, color=INK, lw=1.2, ls="--")
        handles.append(Line2D([], [], color=INK, lw=1.2, ls="--", label="limit"))
    present = [each for each in _VERDICTS if each in set(shown["meets"])]
    handles += [
        Line2D([], [], color=_COLOURS[each], marker="o", lw=2.5, label=_VERDICTS[each])
        for each in present
    ]
    legend(axes, handles)
    cut = _cut(frame)
    against = f" against a limit of {amount(measure, limit)}" * math.isfinite(limit)
    found = ", ".join(
        f"{int((frame['meets'] == each).sum())} {_VERDICTS[each]}" for each in present
    )
    return Chart(
        axes,
        shown,
        f"{plain(measure)} of {count(len(frame), 'point')}{cut} with intervals{against}: "
        f"{found or _span(frame, measure)}.",
        drawn=(shown[["label", measure, "low", "high", "meets"]],),
    )


@on_paper
def costs(
    frame: pd.DataFrame,
    labels: Sequence[str],
    *,
    currency: str = "",
    chosen: int | None = None,
    ax: Axes | None = None,
) -> Chart:
    """Draw what each point costs, in parts: workers, places, and what is not done.

    *frame* is what `Study.costs` returns, and the chart's frame too; *labels* are the
    names of its rows.  The *chosen* row is in bold.  Raises `UsageError` for a column
    that is missing.
    """
    for name in (*COST_PARTS, "cost", "low", "high"):
        column(frame, name)
    shown = frame.head(MOST_POINTS).reset_index(drop=True)
    axes = canvas(ax, 9.0, 1.5 + 0.36 * max(len(shown), 2))
    whole = shown["cost"].tolist()
    if not any(value > 0.0 for value in whole):
        say_nothing(axes, "Nothing costs anything")
        return Chart(axes, shown, "Costs of nothing.")
    left = [0.0] * len(shown)
    handles: list[Any] = []
    present = [part for part in COST_PARTS if (shown[part] > 0.0).any()]
    for part in present:
        number = COST_PARTS.index(part)
        widths = shown[part].tolist()
        handles.append(
            axes.barh(
                range(len(shown)), widths, left=left, height=0.62,
                color=series((0, 2, 1)[number])[0], edgecolor="white", linewidth=0.6,
                hatch="////" if part == "failure" else "", label=_NAMES[part],
            )
        )  # fmt: skip
        left = [before + width for before, width in zip(left, widths, strict=True)]
    places = range(len(shown))
    axes.hlines(places, shown["low"].clip(lower=0.0), shown["high"], color=INK, lw=1.2)
    row_axis(axes, list(labels)[: len(shown)], f"cost {currency}".strip())
    _embolden(axes, chosen)
    finite = [each for each in shown["high"].tolist() if math.isfinite(each)]
    axes.set_xlim(0.0, 1.04 * max(*left, *finite))
    legend(axes, handles)
    return Chart(
        axes,
        shown,
        f"Costs of {count(len(frame), 'point')}{_cut(frame)}, on average of a "
        f"replication: {_span(frame, 'cost')}.",
        drawn=(shown[[*COST_PARTS, "low", "high"]],),
    )


_NAMES = {"worker": "workers", "place": "places", "failure": "runs that are not done"}


def _bars(
    axes: Axes, frame: pd.DataFrame, measure: str, ends: tuple[float, float]
) -> None:
    """Draw each interval within *ends*, and *measure* as a dot, or as an arrow beyond."""
    least, most = ends
    for place, item in enumerate(frame.to_dict("records")):
        row: Any = item
        colour = _COLOURS.get(row["meets"], INK)
        if not math.isnan(row["low"]):
            span = [max(row["low"], least), min(row["high"], most)]
            axes.plot(span, [place, place], color=colour, lw=2.5)
        if math.isfinite(row[measure]):
            axes.plot(row[measure], place, "o", color=colour, ms=8, mec="white")
        elif row[measure] == math.inf:
            axes.plot(most, place, ">", color=colour, ms=8, mec="white", clip_on=False)


def _embolden(axes: Axes, chosen: int | None) -> None:
    labels = axes.get_yticklabels()
    if chosen is not None and chosen < len(labels):
        labels[chosen].set_fontweight("bold")


def _cut(frame: pd.DataFrame) -> str:
    return f", the first {MOST_POINTS} shown" * (len(frame) > MOST_POINTS)


def _span(frame: pd.DataFrame, measure: str) -> str:
    """Say from what to what the values of *measure* go."""
    least, most = float(frame[measure].min()), float(frame[measure].max())
    if measure == "cost":
        return f"from {least:,.2f} to {most:,.2f}"
    return f"from {amount(measure, least)} to {amount(measure, most)}"
