"""Charts over parameters: what each does to a measure, and how sure that is."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from wfsim.errors import UsageError
from wfsim.report.chart import (
    FAINT,
    INK,
    Chart,
    Style,
    canvas,
    legend,
    on_paper,
    row_axis,
    say_nothing,
    swatch,
)
from wfsim.report.grouping import (
    FEW,
    StudyFrames,
    amount,
    column,
    is_of_completed,
    is_share,
    label,
    limit_of,
    quantile,
    replications_of,
    share_of,
    times_of,
    unit,
)
from wfsim.report.text import count, distinct, percent, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TENFOLD = 10.0
"""Colours are logarithmic if the largest value is at least so many times the smallest."""

MOST_VALUES = 20
"""Of a parameter with more values a heat map shows the first ones only, and says so."""


@on_paper
def heatmap(
    study: StudyFrames | pd.DataFrame,
    x: str,
    y: str,
    value: str = "total_p95",
    ax: Axes | None = None,
) -> Chart:
    """Draw the mean of *value* over replications, by the parameters *x* and *y*.

    *value* is a column of the study's ``replications``, a quantile such as ``p95`` or
    ``total_p99`` of all its runs, as in its ``summary()``, or a share ``within_2h``.
    The summary may be given instead, or ``replications``, of whose quantiles means are
    drawn.  Other parameters are averaged over.  The frame has a row per cell: *x*, *y*,
    *value* and ``replications``.  Raises `UsageError` for an unknown column.
    """
    frame, cut = _by_two(_measured(study, value), x, y, value)
    xs, ys = (list(dict.fromkeys(frame[name])) for name in (x, y))
    axes = canvas(ax, 2.4 + 0.75 * max(len(xs), 3), 1.6 + 0.5 * max(len(ys), 2))
    known = frame[frame[value].notna()]
    if known.empty:
        say_nothing(axes, f"Nothing has a {value}")
        return Chart(axes, frame, f"Heat map of {value} without a value.")
    cells = dict(zip(zip(frame[y], frame[x], strict=True), frame[value], strict=True))
    grid = [[cells.get((down, across), math.nan) for across in xs] for down in ys]
    # Half of a map in one colour says nothing.
    order = known.sort_values(value, kind="stable")
    finite = [each for each in order[value].tolist() if math.isfinite(each)]
    in_logarithms = bool(finite) and finite[-1] >= TENFOLD * finite[0] > 0.0
    _cells(axes, grid, value, in_logarithms)
    axes.set_xticks(range(len(xs)), [plain(label(each), 14) for each in xs], fontsize=8)
    axes.set_yticks(range(len(ys)), [plain(label(each), 24) for each in ys], fontsize=8)
    axes.set_xlabel(plain(x))
    axes.set_ylabel(plain(y))
    clauses = [f"Heat map of {value} over {x} and {y}", *cut]
    clauses.append(f"{count(len(known), 'cell')} of {_each(known['replications'])}")
    if in_logarithms:
        clauses.append("in colours on a logarithmic scale")
    return Chart(axes, frame, f"{', '.join(clauses)}: {_extremes(order, x, y, value)}.")


@on_paper
def tornado(frame: pd.DataFrame, measure: str = "", ax: Axes | None = None) -> Chart:
    """Draw what each parameter does to *measure* alone, the strongest at the top.

    *frame* has a row per parameter: ``parameter``, ``low`` and ``high``, its values, and
    ``at_low`` and ``at_high``, what *measure* then is, and ``base``, what it is where
    nothing is changed.  What `Study.tornado` returns knows its *measure*; else they are
    seconds.  The chart's frame is that, in the order drawn.  Raises `UsageError` for a
    column that is missing.
    """
    for name in ("parameter", "low", "high", "at_low", "at_high", "base"):
        column(frame, name)
    measure = measure or str(frame.attrs.get("measure", "total"))
    swing = (frame["at_high"] - frame["at_low"]).abs().reset_index(drop=True)
    order = swing.sort_values(ascending=False, kind="stable").index
    shown = frame.iloc[order[:MOST_VALUES]].reset_index(drop=True)
    axes = canvas(ax, 9.0, 1.5 + 0.42 * max(len(shown), 2))
    if shown.empty:
        say_nothing(axes, "No parameter was varied")
        return Chart(axes, shown, f"Tornado chart of {measure} without a parameter.")
    rows: list[Any] = list(shown.itertuples(index=False))
    base = float(rows[0].base)
    if math.isinf(base):
        say_nothing(axes, f"The {measure} is infinite to begin with")
        return Chart(axes, shown, f"Tornado chart of {measure} around infinity.")
    ends = [each for row in rows for each in (row.at_low, row.at_high)]
    # A bar that is infinite goes a little further than all others.
    most = max([base, *filter(math.isfinite, ends)])
    edge = most + 0.2 * (most - min([base, *ends]) or abs(most) or 1.0)
    for place, row in enumerate(rows):
        # Two bars on one side would hide each other.
        aside = (row.at_low - base) * (row.at_high - base) >= 0.0
        shift, height = (0.14, 0.26) if aside else (0.0, 0.55)
        for value, at, style, where in (
            (row.low, row.at_low, _LOW, place - shift),
            (row.high, row.at_high, _HIGH, place + shift),
        ):
            end = edge if at == math.inf else at
            text = label(value) + ": \N{INFINITY}" * (at == math.inf)
            axes.barh(where, end - base, left=base, height=height, color=style.colour)
            _beside(axes, where, end, base, text)
    axes.axvline(base, color=INK, lw=1)
    row_axis(axes, [str(row.parameter) for row in rows], unit(measure))
    axes.margins(x=0.14)
    legend(axes, [swatch("at its low value", _LOW), swatch("at its high value", _HIGH)])
    cut = f", the first {len(shown)} of {len(frame)}" * (len(shown) < len(frame))
    strongest = "; ".join(
        f"{row.parameter} from {label(row.low)} to {label(row.high)}: "
        f"{amount(measure, row.at_low)} to {amount(measure, row.at_high)}"
        for row in rows[:FEW]
    )
    return Chart(
        axes,
        shown,
        f"Tornado chart of {measure} around {amount(measure, base)}, "
        f"{count(len(frame), 'parameter')}{cut}: {strongest}.",
    )


@on_paper
def comparison(
    frame: pd.DataFrame, measure: str = "", by: str = "", ax: Axes | None = None
) -> Chart:
    """Draw differences with their intervals, a row each, against a line at zero.

    *frame* has a row per pair: ``a`` and ``b``, the two, ``difference`` (b less a) and
    ``low`` and ``high``, the ends of its interval; columns before ``a`` say where the two
    are compared, and a column ``p_holm`` is counted.  *by* names the parameter that ``a``
    and ``b`` are values of, if they do not.  What `Study.compare` returns knows its
    *measure* and *by*; else differences are in seconds.  One whose interval leaves zero
    out is drawn filled.  The chart's frame is *frame*, the rows that are drawn.  Raises
    `UsageError` for a column that is missing.
    """
    for name in ("a", "b", "difference", "low", "high"):
        column(frame, name)
    measure = measure or str(frame.attrs.get("measure", ""))
    shown = frame.head(MOST_VALUES).reset_index(drop=True)
    axes = canvas(ax, 9.0, 1.5 + 0.5 * max(len(shown), 2))
    if shown.empty:
        say_nothing(axes, "Nothing to compare")
        return Chart(axes, shown, "Comparison of nothing.")
    rows: list[Any] = list(shown.itertuples(index=False))
    sure = ((shown["low"] > 0.0) | (shown["high"] < 0.0)).tolist()
    for place, row in enumerate(rows):
        colour = (
            (_LOW if row.difference < 0.0 else _HIGH).colour if sure[place] else FAINT
        )
        axes.plot([row.low, row.high], [place, place], color=colour, lw=2.5)
        axes.plot(
            row.difference, place, "o", color=colour, ms=8, mew=1.6,
            mfc=colour if sure[place] else "white",
        )  # fmt: skip
    axes.axvline(0.0, color=INK, lw=1, ls="--")
    named = f"difference in {unit(measure)}" if measure else "difference [virtual s]"
    by = by or str(frame.attrs.get("by", ""))
    where, of = _where(shown), f"{by} " if by else ""
    pairs = [f"{at}{of}{row.b}" for at, row in zip(where, rows, strict=True)]
    row_axis(axes, pairs, named)
    seconds = distinct([f"less {of}{row.a}" for row in rows])
    labels = map("\n".join, zip(distinct(pairs), seconds, strict=True))
    axes.set_yticks(range(len(rows)), list(labels), fontsize=8)
    axes.margins(x=0.06)
    clear = int(((frame["low"] > 0.0) | (frame["high"] < 0.0)).sum())
    cut = f", the first {len(shown)}" * (len(shown) < len(frame))
    differences = "; ".join(
        f"{at}{of}{row.b} less {of}{row.a} {_signed(measure, row.difference)} "
        f"({_signed(measure, row.low)} to {_signed(measure, row.high)})"
        for at, row in zip(where[:FEW], rows, strict=False)
    )
    if len(frame) > FEW:
        differences += f"; and {count(len(frame) - FEW, 'more pair')}"
    named = f" of {measure}" if measure else ""
    return Chart(
        axes,
        shown,
        f"Comparison{named} of {count(len(frame), 'pair')}{cut}, "
        f"{clear} with an interval without zero{_corrected(frame)}: {differences}.",
    )


def _extremes(cells: pd.DataFrame, x: str, y: str, value: str) -> str:
    """Say what the smallest and the largest of *cells* are, and where, or in how many."""
    ends = {"smallest": cells[value].iloc[0], "largest": cells[value].iloc[-1]}
    texts = {name: amount(value, float(end)) for name, end in ends.items()}
    if ends["smallest"] == ends["largest"]:
        return f"{texts['smallest']} in {'all of them' if len(cells) > 1 else 'it'}"
    clauses = []
    for name, end in ends.items():
        alike = cells[cells[value] == end]
        first = alike.iloc[0]
        where = f"at {x} {label(first[x])}, {y} {label(first[y])}"
        if len(alike) > 1:
            where = f"in {len(alike)} of them, the first {where}"
        clauses.append(f"{name} {texts[name]} {where}")
    return "; ".join(clauses)


def _corrected(pairs: pd.DataFrame) -> str:
    """Say how many differences stand when it is counted how many were looked at."""
    if "p_holm" not in pairs.columns:
        return ""
    return f", {int((pairs['p_holm'] < 0.05).sum())} with a corrected p below 5%"


def _where(pairs: pd.DataFrame) -> list[str]:
    """Return at which point of the other parameters each of *pairs* is compared."""
    names = list(pairs.columns)[: list(pairs.columns).index("a")]
    return [
        "".join(
            f"{name} {label(value)}, " for name, value in zip(names, row, strict=True)
        )
        for row in pairs[names].itertuples(index=False, name=None)
    ] or [""] * len(pairs)


def _signed(measure: str, value: float) -> str:
    """Return a difference of *measure* in words; of no measure, of seconds."""
    sign = "+" if value >= 0.0 else ""
    return sign + amount(measure or "duration", value)


_LOW = Style("#56B4E9")
_HIGH = Style("#D55E00")


def _measured(study: StudyFrames | pd.DataFrame, value: str) -> pd.DataFrame:
    """Return a frame with a column *value*: if that is a quantile, a row per point.

    What was not done takes longer than all that was.  Of a replication that is a single
    run each quantile is its duration: their mean would be the mean.
    """
    share, rows, limit = share_of(value), replications_of(study), limit_of(value)
    if isinstance(study, pd.DataFrame) or not study.over:
        return rows
    names = list(study.over)
    is_done = study.runs["status"] == "completed"
    if limit is not None:
        return _within(study, value, is_done & (study.runs["total"] <= limit))
    if share is None:
        return rows
    of = study.runs[names].assign(times=study.runs[times_of(value)])
    of = of[is_done] if is_of_completed(value) else of
    of["times"] = of["times"].where(is_done, math.inf)
    points = rows.groupby(names, sort=False).size().to_frame("replications")
    at = partial(_quantile_of, share)
    quantiles = of.groupby(names, sort=False)["times"].agg(at)
    return points.join(quantiles.rename(value)).reset_index()


def _quantile_of(share: float, times: pd.Series[float]) -> float:
    return quantile(sorted(times.tolist()), share)


def _within(study: StudyFrames, value: str, is_inside: pd.Series[bool]) -> pd.DataFrame:
    """Return a row per point and replication with the share of its runs inside."""
    keys = [*study.over, "replication"]
    shares = study.runs[keys].assign(**{value: is_inside}).groupby(keys, sort=False)
    return shares[value].mean().reset_index()


def _by_two(
    rows: pd.DataFrame, x: str, y: str, value: str
) -> tuple[pd.DataFrame, list[str]]:
    """Return the frame of a heat map, and what it leaves out of *rows*."""
    if len({x, y, value}) < 3:
        raise UsageError(
            f"x, y and value are {x!r}, {y!r}, {value!r}; give three columns"
        )
    for name in (x, y, value):
        column(rows, name)
    xs, ys = (list(dict.fromkeys(rows[name])) for name in (x, y))
    cut = [
        f"the first {MOST_VALUES} of {len(values)} values of {name}"
        for name, values in ((x, xs), (y, ys))
        if len(values) > MOST_VALUES
    ]
    # A row of a summary tells of several.
    many = rows["replications"] if "replications" in rows.columns else 1
    rows = rows.assign(replications=rows[value].notna() * many)
    groups = dict(list(rows.groupby([y, x], sort=False)[[value, "replications"]]))
    cells = [
        (across, down, float(group[value].mean()), int(group["replications"].sum()))
        for down in ys[:MOST_VALUES]
        for across in xs[:MOST_VALUES]
        if (group := groups.get((down, across))) is not None
    ]
    return pd.DataFrame(cells, columns=[x, y, value, "replications"]), cut


def _each(numbers: pd.Series[int]) -> str:
    """Say how many replications a cell is the mean of."""
    least, most = int(numbers.min()), int(numbers.max())
    if least == most:
        return f"{count(most, 'replication')}"
    return f"{least:,} to {most:,} replications"


def _cells(axes: Axes, grid: list[list[float]], value: str, in_logarithms: bool) -> None:
    """Fill *axes* with the cells of *grid*, the number in each."""
    from matplotlib import colormaps

    scale = "log" if in_logarithms else "linear"
    # What is infinite has no colour, but says so.
    painted = [
        [each if math.isfinite(each) else math.nan for each in row] for row in grid
    ]
    picture: Any = axes.imshow(
        painted, cmap=colormaps["cividis"], norm=scale, aspect="auto"
    )
    for down, row in enumerate(grid):
        for across, number in enumerate(row):
            if math.isnan(number):
                continue
            dark = False
            if math.isfinite(number):
                red, green, blue, _ = picture.to_rgba([number])[0]
                dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
            text = percent(number, 0) if is_share(value) else f"{number:,.4g}"
            text = text if math.isfinite(number) else "\N{INFINITY}"
            axes.text(
                across, down, text, ha="center", va="center",
                fontsize=8 if len(row) <= 12 else 6,
                color="white" if dark else "black",
            )  # fmt: skip
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    # A single value is no scale; axes that were given keep their size.
    low, high = picture.get_clim()
    if (
        low is not None
        and low < high
        and isinstance(axes.figure, Figure)
        and len(axes.figure.axes) == 1
    ):
        bar = axes.figure.colorbar(
            picture, ax=axes, label=unit(value), pad=0.02,
            format="{x:.0%}" if is_share(value) else None,
        )  # fmt: skip
        bar.outline.set_visible(False)
        if in_logarithms:
            bar.ax.yaxis.set_major_formatter(LogFormatter())
            bar.ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))


def _beside(axes: Axes, place: float, at: float, base: float, text: str) -> None:
    """Write *text* at the outer end of a bar from *base* to *at*."""
    right = at >= base
    axes.annotate(
        plain(text, 16), (at, place), (4 if right else -4, 0), fontsize=8, va="center",
        textcoords="offset points", ha="left" if right else "right", color=INK,
    )  # fmt: skip
