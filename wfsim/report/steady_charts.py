"""Charts of the steady state: Welch's plot, and measures over time with bands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator

from wfsim.report.chart import FAINT, Chart, canvas, legend, on_paper, say_nothing, series
from wfsim.report.grouping import FEW, Groups, amount, column, grouped, unit
from wfsim.report.study_charts import measured
from wfsim.report.text import count, plain, seconds

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

OVER_TIME = ("start", "end", "mean", "low", "high", "replications")
"""The columns of a measure over time; those before them say where it is so."""


@on_paper
def welch(frame: pd.DataFrame, measure: str = "", ax: Axes | None = None) -> Chart:
    """Draw Welch's plot: from where on the moving average is level is the steady state.

    *frame* is what `Study.welch` returns, and the chart's frame too; it knows its
    *measure*.  Faint is the mean over replications of each run.  Raises `UsageError` for
    a column that is missing.
    """
    for name in ("number", "mean", "moving"):
        column(frame, name)
    measure = measure or str(frame.attrs.get("measure", "total"))
    groups = _groups(frame, ("number", "mean", "moving"))
    axes = canvas(ax, 9.0, 4.4)
    if frame.empty:
        say_nothing(axes, "No run is over")
        return Chart(axes, frame, "Welch's plot without a run.")
    handles = []
    for number, (name, group) in enumerate(groups.of.items()):
        colour, line = series(number)
        if len(groups.of) <= FEW:
            faint = FAINT if len(groups.of) == 1 else colour
            axes.plot(group["number"], group["mean"], color=faint, lw=0.5, alpha=0.5)
        handles += axes.plot(
            group["number"], group["moving"], color=colour, ls=line, lw=1.8, label=name
        )
    if groups.by:
        legend(axes, handles, title=plain(groups.heading))
    measured(axes, False, "number of the run, in the order of calls")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(unit(measure))
    ends = [
        f"{groups.title(name)} {_to(measure, group)}"
        if groups.by
        else _to(measure, group)
        for name, group in groups.of.items()
    ]
    runs = count(int(frame["number"].max()), "run")
    return Chart(
        axes,
        frame,
        f"Welch's plot of {plain(measure)} over {runs}{groups.said}: the moving average "
        f"goes {'; '.join(_few(ends))}.",
        drawn=(frame[[*groups.by, "number", "mean", "moving"]],),
    )


@on_paper
def over_time(frame: pd.DataFrame, measure: str = "", ax: Axes | None = None) -> Chart:
    """Draw a measure over virtual time, its mean over replications with its band.

    *frame* is what `Study.over_time` returns, and the chart's frame too; it knows its
    *measure*.  Raises `UsageError` for a column that is missing.
    """
    for name in OVER_TIME:
        column(frame, name)
    measure = measure or str(frame.attrs.get("measure", "total"))
    groups = _groups(frame, OVER_TIME)
    axes = canvas(ax, 9.0, 4.4)
    if frame.empty:
        say_nothing(axes, "No time has passed")
        return Chart(axes, frame, f"{plain(measure)} over time without a run.")
    handles = []
    alpha = 0.18 if len(groups.of) <= FEW else 0.06
    for number, (name, group) in enumerate(groups.of.items()):
        colour, line = series(number)
        middle = (group["start"] + group["end"]) / 2
        axes.fill_between(
            middle, group["low"], group["high"], color=colour, alpha=alpha, lw=0
        )
        handles += axes.plot(
            middle, group["mean"], color=colour, ls=line, lw=1.6, label=name
        )
    if groups.by:
        legend(axes, handles, title=plain(groups.heading))
    measured(axes, False, "virtual time [s]")
    axes.set_xlim(0.0, float(frame["end"].max()))
    # An interval of two replications may be very wide, and none lies below zero.
    axes.set_ylim(0.0, 1.15 * float(min(_top(frame, "high"), 3 * _top(frame, "mean"))))
    axes.set_ylabel(_LABELS.get(measure) or unit(measure))
    level = {
        groups.title(name) if groups.by else "": _last_half(group)
        for name, group in groups.of.items()
    }
    said = [f"{name} {_amount(measure, value)}".strip() for name, value in level.items()]
    confidence = f"{frame.attrs.get('confidence', 0.95):.0%}"
    return Chart(
        axes,
        frame,
        f"{_NAMES.get(measure) or plain(measure).capitalize()} over "
        f"{seconds(float(frame['end'].max()))}{groups.said}, mean of "
        f"{count(int(frame['replications'].max()), 'replication')} with a {confidence} "
        f"band: in the second half {'; '.join(_few(said))} on average.",
        drawn=(frame[[*groups.by, "start", "end", "mean", "low", "high"]],),
    )


_NAMES = {
    "in_system": "Runs in the system",
    "arrivals": "Arrivals",
    "departures": "Departures",
}
_LABELS = {
    "in_system": "runs in the system",
    "arrivals": "arrivals per second",
    "departures": "departures per second",
}


def _groups(frame: pd.DataFrame, apart: tuple[str, ...]) -> Groups:
    """Return the rows of *frame* by the columns that are not *apart*."""
    return grouped(frame, [str(name) for name in frame.columns if name not in apart])


def _amount(measure: str, value: float) -> str:
    return f"{value:,.4g}" if measure in _NAMES else amount(measure, value)


def _to(measure: str, group: pd.DataFrame) -> str:
    ends = (float(group["moving"].iloc[at]) for at in (0, len(group) // 2, -1))
    first, middle, last = (amount(measure, each) for each in ends)
    return f"from {first} over {middle} to {last}"


def _few(texts: list[str]) -> list[str]:
    more = len(texts) - FEW
    return [*texts[:FEW], f"and {more} more"] if more > 0 else texts


def _top(frame: pd.DataFrame, name: str) -> float:
    finite = frame[name].replace(float("inf"), float("nan"))
    return float(finite.max()) or 1.0


def _last_half(group: pd.DataFrame) -> float:
    return float(group["mean"].iloc[len(group) // 2 :].mean())
