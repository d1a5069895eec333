"""Charts of the load over time: what is busy, and what waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.ticker import MaxNLocator

from wfsim.errors import UsageError
from wfsim.model.log import EventLog
from wfsim.report import tables
from wfsim.report.chart import Chart, canvas, legend, say_nothing
from wfsim.report.grouping import MOST
from wfsim.report.load import WORKERS, average
from wfsim.report.palette import INK, SHADE, series
from wfsim.report.wording import plain, seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes


def utilisation(
    log: EventLog, *, workers: int | None = None, ax: Axes | None = None
) -> Chart:
    """Draw how many workers and how much of each pool are busy over time.

    A log does not say how many *workers* there are; told so, and for pools, which say
    it, what is drawn is the share that is busy.  Dotted is the mean over time.  The
    frame is that of `tables.utilisation`.  Raises `UsageError`.
    """
    frame = _of_log(log)
    if workers is not None:
        if workers < 1:
            raise UsageError(f"workers is {workers!r}; give 1 or more")
        frame.loc[frame["name"] == WORKERS, "capacity"] = float(workers)
    names, total = _first(frame)
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
    _draw(axes, lines, "busy" if is_share else "number busy")
    if is_share:
        axes.set_ylim(0.0, 1.05)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    said = "; ".join(
        _busy(name, part, average(of, name, "busy")) for name, part in lines.items()
    )
    return Chart(axes, of, f"Utilisation over {_span(of)}{_cut(names, total)}: {said}.")


def _of_log(log: EventLog) -> pd.DataFrame:
    if not isinstance(log, EventLog):
        raise UsageError(
            f"{log!r:.80} is no log; give one, such as wfsim.simulate(...) returns; "
            "means over a study are study.utilisation()"
        )
    return tables.utilisation(log)


def queue(log: EventLog, ax: Axes | None = None) -> Chart:
    """Draw how many runs wait for a worker, and how many requests for a pool, over time.

    Dotted is the mean over time.  The frame is that of `tables.utilisation`.
    """
    frame = _of_log(log)
    names, total = _first(frame)
    axes = canvas(ax, 10.0, 3.4)
    if not names:
        say_nothing(axes, "No time has passed")
        return Chart(axes, frame, "Queue in a log without time.")
    of = frame[frame["name"].isin(names)].reset_index(drop=True)
    lines = {
        name: of[of["name"] == name].assign(level=of["queue"].astype(float))
        for name in names
    }
    _draw(axes, lines, "number waiting")
    said = "; ".join(
        f"for {name} {average(of, name, 'queue'):,.1f} on average, "
        f"at most {int(part['queue'].max()):,}, "
        f"{_time(part, part['queue'] > 0):.1%} of the time somebody"
        for name, part in lines.items()
    )
    return Chart(axes, of, f"Queue over {_span(of)}{_cut(names, total)}: {said}.")


def _first(frame: pd.DataFrame) -> tuple[list[str], int]:
    names = [str(name) for name in dict.fromkeys(frame["name"])]
    return names[:MOST], len(names)


def _draw(axes: Axes, lines: dict[str, pd.DataFrame], what: str) -> None:
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
        full = _time(part, part["busy"] >= part["capacity"])
        return (
            f"{name} {mean:,.1f} of {capacity:,.0f} on average ({mean / capacity:.1%}), "
            f"at most {most:,}, {full:.1%} of the time all"
        )
    return f"{name} {mean:,.1f} on average, at most {most:,}"


def _time(part: pd.DataFrame, when: pd.Series[bool]) -> float:
    """Return the share of the time of *part* that the rows *when* make up."""
    return float(part["duration"][when].sum() / part["duration"].sum())


def _span(frame: pd.DataFrame) -> str:
    return seconds(float(frame["end"].max()) - float(frame["start"].min()))


def _cut(names: Sequence[str], total: int) -> str:
    return f", the first {len(names)} of {total:,}" if len(names) < total else ""
