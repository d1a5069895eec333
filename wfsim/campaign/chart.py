"""The heat map of a campaign: which fault at which site came to what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from wfsim.report.chart import (
    Chart,
    Style,
    canvas,
    inside,
    legend,
    on_paper,
    say_nothing,
    swatch,
)
from wfsim.report.text import count, plain, seconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLES = {
    "failed": Style("#D55E00", "////"),
    "ran": Style("#009E73"),
    "joined": Style("#B7DFC8"),
    "void": Style("#999999", "...."),
}
"""How what a point came to is drawn; of several the first one here."""

MOST_SITES = 48
"""Beyond so many sites there is a column a step."""


@on_paper
def heat_map(points: pd.DataFrame, sites: Sequence[str], ax: Axes | None = None) -> Chart:
    """Draw *points*, those of a report: a row per fault, a column per site or step.

    The columns of *sites* are in that order.

    The frame has a row per cell: ``fault``, ``where`` (str), ``points``, ``failed``
    (int), ``outcome`` (one of failed, ran, joined, void), ``extra`` (float, the most
    seconds that a point took longer than the calm run; NaN if none ran to its end).
    """
    several = points["site"].nunique() > MOST_SITES
    where = points["step"].where(points["step"] != "", "-") if several else points["site"]
    frame = _cells(points.assign(where=where))
    faults, columns = (list(dict.fromkeys(frame[name])) for name in ("fault", "where"))
    if not several:
        there = [name for name in sites if name in columns]
        columns = [*there, *(name for name in columns if name not in there)]
    wide, high = 3.0 + 0.3 * max(len(columns), 8), 1.9 + 0.27 * max(len(faults), 2)
    axes = canvas(ax, min(wide, 14.0), high)
    if frame.empty:
        say_nothing(axes, "No point was run")
        return Chart(axes, frame, "Heat map of a campaign without points.")
    for cell in frame.itertuples(index=False):
        _draw(axes, cell, faults, columns)
    _axes(axes, faults, [_short(name, several) for name in columns])
    present = [name for name in STYLES if name in set(frame["outcome"])]
    legend(axes, [swatch(name, STYLES[name]) for name in present], gap=1.9)
    return Chart(axes, frame, _sentence(points, frame, "step" if several else "site"))


def _cells(points: pd.DataFrame) -> pd.DataFrame:
    rows = []
    rank = {name: number for number, name in enumerate(STYLES)}
    for (fault, where), cell in points.groupby(["fault", "where"], sort=False):
        failed = cell["invariant"] != ""
        how = [
            "failed" if bad else str(h)
            for bad, h in zip(failed, cell["how"], strict=True)
        ]
        rows.append(
            {
                "fault": fault,
                "where": where,
                "points": len(cell),
                "failed": int(failed.sum()),
                "outcome": min(how, key=rank.__getitem__),
                "extra": cell["extra"].max(),
            }
        )
    columns = ["fault", "where", "points", "failed", "outcome", "extra"]
    return pd.DataFrame(rows, columns=columns)


def _draw(axes: Axes, cell: Any, faults: Sequence[str], columns: Sequence[str]) -> None:
    from matplotlib.patches import Rectangle

    style = STYLES[cell.outcome]
    x, y = columns.index(cell.where), faults.index(cell.fault)
    axes.add_patch(
        Rectangle(
            (x - 0.47, y - 0.44),
            0.94,
            0.88,
            facecolor=style.colour,
            hatch=style.hatch,
            edgecolor="white",
            linewidth=0.6,
        )
    )
    if cell.failed and cell.points > 1:
        inside(axes, x, y, f"{cell.failed}/{cell.points}", style)


def _axes(axes: Axes, faults: Sequence[str], columns: Sequence[str]) -> None:
    axes.set_xlim(-0.6, len(columns) - 0.4)
    axes.set_ylim(len(faults) - 0.4, -0.6)
    axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize=7)
    axes.set_yticks(range(len(faults)), [plain(each, 34) for each in faults], fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _short(name: str, is_step: bool) -> str:
    """Return what stands below a column: step, attempt and what is written."""
    return plain(name if is_step else name.rpartition("/")[2], 30)


def _sentence(points: pd.DataFrame, frame: pd.DataFrame, unit: str) -> str:
    failed = points[points["invariant"] != ""]
    ran = points[(points["how"] == "ran") & (points["invariant"] == "")]["extra"].dropna()
    across, down = frame["where"].nunique(), frame["fault"].nunique()
    said = (
        f"Heat map of {count(down, 'fault')} at {count(across, unit)}: "
        f"{count(len(failed), 'point')} of {len(points):,} failed"
    )
    if len(failed):
        first = failed.iloc[0]
        said += (
            f", the first by {first['fault']} at {first['site']} ({first['invariant']})"
        )
    if len(ran):
        least, most = seconds(float(ran.min())), seconds(float(ran.max()))
        said += f"; what went well ended {least} to {most} after the calm run"
    return f"{said}."


__all__ = ["heat_map"]
