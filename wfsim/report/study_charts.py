"""Charts of many runs, of a study or of a log: how long they took, how they ended, why.

Each takes a study, a log or a frame with a row per run, and what to group it *by*: the
name of a column, or several; by default what the study was varied over, or the flow.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from wfsim.errors import UsageError
from wfsim.model.log import EventLog
from wfsim.report import frames, tables
from wfsim.report.breakdown import PARTS
from wfsim.report.chart import (
    INK,
    SHADE,
    STATUS_COLOURS,
    Chart,
    Style,
    canvas,
    in_decades,
    inside,
    legend,
    on_paper,
    row_axis,
    say_nothing,
    series,
    status_style,
    swatch,
)
from wfsim.report.grouping import (
    FEW,
    Groups,
    Source,
    StudyFrames,
    amount,
    column,
    grouped,
    keys,
    on_axis,
    quantile,
    replications_of,
    runs_of,
    runs_said,
    source_of,
    spans_decades,
    unit,
)
from wfsim.report.text import count, distinct, percent, plain, seconds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes


@on_paper
def ecdf(
    source: Source,
    by: str | Iterable[str] | None = None,
    *,
    value: str | None = None,
    confidence: float = 0.95,
    ax: Axes | None = None,
) -> Chart:
    """Draw which share of all runs was done within so long, with a confidence band.

    *value* is the column of what they took, in seconds of virtual time: ``total`` if not
    given, the time in system, or ``duration`` where there is no such column.  Of both
    runs that were not completed are right-censored: the curve ends below 100 % if there
    are any.  Of parts of these times it is that of completed runs.
    With probability *confidence* the band holds the whole true curve (Dvoretzky, Kiefer,
    Wolfowitz, with the constant of Massart, Ann. Probab. 18, 1990): it is the curve
    +- sqrt(ln(2 / (1 - confidence)) / (2 n)), if the n runs are independent.  Of more
    than four groups only the quickest and the slowest (by p95) have one drawn.
    The frame has a row per step of a curve: the group, ``seconds``, ``share``, ``low``,
    ``high``.  Raises `UsageError`.
    """
    if not 0.0 < confidence < 1.0:
        raise UsageError(
            f"confidence is {confidence!r}; give a number between 0 and 1, such as 0.95"
        )
    value = value or _default(source)
    to_the_end = value in ("duration", "total")
    groups = (_all if to_the_end else _completed)(source, by, value)
    axes = canvas(ax, 9.0, 4.6)
    rows = [
        (name, *step)
        for name, group in groups.of.items()
        for step in _steps(group[value], confidence)
    ]
    frame = frames.table(
        (groups.name, "seconds", "share", "low", "high"),
        rows,
        dict.fromkeys(("seconds", "low", "high"), "float64"),
    )
    if frame.empty:
        return _nothing(axes, frame, "ECDF")
    is_log = spans_decades(frame["seconds"])
    banded = list(groups.of) if len(groups.of) <= FEW else _extremes(groups, value)
    _curves(axes, frame, groups, "seconds", "share", banded, rising=True)
    measured(axes, is_log, f"{_WORDS.get(value, plain(value))} of runs [virtual s]")
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("share of runs")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    number = sum(map(len, groups.of.values()))
    undone = sum(int(np.isinf(each[value]).sum()) for each in groups.of.values())
    which = runs_said(number) if not undone else count(number, "run")
    but = f", {undone:,} of them not done" if undone else ""
    return Chart(
        axes,
        frame,
        f"ECDF of {_named(value)} of {which}{groups.said}{but}, with a {confidence:.0%} "
        f"band{' of the quickest and the slowest' * (len(banded) < len(groups.of))}"
        f"{on_axis(is_log)}: {_quantiles(groups, value)}.",
    )


@on_paper
def latencies(
    source: Source,
    by: str | Iterable[str] | None = None,
    *,
    value: str | None = None,
    kind: Literal["box", "violin"] = "box",
    ax: Axes | None = None,
) -> Chart:
    """Draw how long completed runs took, a box or a violin per group.

    *value* is the column of what they took, in seconds of virtual time, as in `ecdf`.
    A box reaches from the lower to the upper quartile, its line is the median, its
    whiskers end at p5 and p95, the dot is the mean.  The frame has a row per group: its
    name, ``runs``, ``mean``, ``p5``, ``p25``, ``p50``, ``p75``, ``p95``, ``max``.  Raises
    `UsageError`.
    """
    if kind not in ("box", "violin"):
        raise UsageError(f"kind is {kind!r}; give 'box' or 'violin'")
    value = value or _default(source)
    groups = _completed(source, by, value)
    axes = canvas(ax, 9.0, 1.5 + 0.42 * max(len(groups.of), 2))
    frame = _spreads(groups, value)
    if frame.empty:
        return _nothing(axes, frame, "Latencies")
    durations = [group[value] for group in groups.of.values()]
    is_log = spans_decades(pd.concat(durations))
    if kind == "box":
        _boxes(axes, frame)
    else:
        _violins(axes, [each.to_list() for each in durations], frame)
    name = _WORDS.get(value, plain(value))
    row_axis(axes, list(groups.of), f"{name} of completed runs [virtual s]")
    if is_log:
        in_decades(axes.xaxis)
    else:
        axes.set_xlim(left=0.0)
    axes.set_ylabel(plain(groups.heading), fontsize=8)
    legend(axes, _key(kind), most=2)
    what = "Box plot" if kind == "box" else "Violin plot"
    number = sum(map(len, groups.of.values()))
    return Chart(
        axes,
        frame,
        f"{what} of {_named(value)} of {runs_said(number)}{groups.said}"
        f"{on_axis(is_log)}: {_quantiles(groups, value)}.",
    )


@on_paper
def convergence(
    study: StudyFrames | pd.DataFrame,
    measure: str | None = None,
    by: str | Iterable[str] | None = None,
    *,
    confidence: float = 0.95,
    ax: Axes | None = None,
) -> Chart:
    """Draw the mean of *measure* over the first n replications, with its interval.

    Without one it is ``total``, the time in system, or ``mean`` where there is no such
    column.  The interval is Student's, at *confidence*; the points of a study, or what
    *by* says, have a curve each; of more than four only the widest interval is drawn.
    A curve begins at the second replication.  The frame has a row per curve and n: the
    group, ``replications``, ``mean``, ``low``, ``high``.  Raises
    `UsageError`, also if scipy (the extra ``study``) is not installed.
    """
    if not 0.0 < confidence < 1.0:
        raise UsageError(
            f"confidence is {confidence!r}; give a number between 0 and 1, such as 0.95"
        )
    rows = replications_of(study)
    measure = measure or ("total" if "total" in rows.columns else "mean")
    column(rows, measure)
    groups = grouped(rows, keys(study, by))
    shares = [
        (name, *each)
        for name, group in groups.of.items()
        for each in _running(group[measure].dropna(), confidence)
    ]
    frame = frames.table(
        (groups.name, "replications", "mean", "low", "high"),
        shares,
        {"replications": "int64", "low": "float64", "high": "float64"},
    )
    axes = canvas(ax, 9.0, 4.4)
    if frame.empty:
        say_nothing(axes, "Fewer than two replications")
        return Chart(axes, frame, f"Convergence of {measure}: fewer than 2 replications.")
    least_certain, ending = _widest(frame, groups, measure)
    banded = list(groups.of) if len(groups.of) <= FEW else [least_certain]
    _curves(axes, frame, groups, "replications", "mean", banded)
    _window(axes, frame)
    measured(axes, False, "replications")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    is_mean = measure in ("mean", "total")
    axes.set_ylabel(unit(measure) if is_mean else f"mean of {unit(measure)}")
    most = int(frame["replications"].max())
    return Chart(
        axes,
        frame,
        f"Convergence of {measure} over {count(most, 'replication')}{groups.said}: the "
        f"{confidence:.0%} interval ends as {ending}.",
    )


def _completed(source: Source, by: str | Iterable[str] | None, value: str) -> Groups:
    """Return the completed runs of *source* by group, those whose *value* is known."""
    runs = runs_of(source)
    done = runs[column(runs, "status") == "completed"]
    return grouped(done[column(done, value).notna()], keys(source, by))


def _all(source: Source, by: str | Iterable[str] | None, value: str) -> Groups:
    """Return the runs of *source* by group, *value* infinite where they are not done."""
    runs = runs_of(source)
    done = column(runs, "status") == "completed"
    times = column(runs, value).where(done, math.inf)
    return grouped(runs.assign(**{value: times})[times.notna()], keys(source, by))


def _named(value: str) -> str:
    """Return the column *value* as a sentence calls it."""
    word = _WORDS.get(value)
    return f"the {word}" if word else f"the seconds {plain(value)!r}"


_WORDS = {"duration": "duration", "total": "time in system"}


def _default(source: Source) -> str:
    """Return the column of the times that users wait, if *source* has it."""
    return "total" if "total" in runs_of(source).columns else "duration"


def _nothing(axes: Axes, frame: pd.DataFrame, what: str) -> Chart:
    say_nothing(axes, "No run has completed")
    return Chart(axes, frame, f"{what} without a completed run.")


def _steps(
    durations: pd.Series[float], confidence: float
) -> list[tuple[float, float, float, float]]:
    """Return the steps of the empirical distribution of *durations*, with its band."""
    number = len(durations)
    half = math.sqrt(math.log(2.0 / (1.0 - confidence)) / (2.0 * number))
    times = durations.value_counts(sort=False).sort_index()
    shares = times.cumsum() / number
    return [
        (float(value), share, max(share - half, 0.0), min(share + half, 1.0))
        for value, share in zip(shares.index, shares.tolist(), strict=True)
        if math.isfinite(value)
    ]


def _quantiles(groups: Groups, value: str) -> str:
    """Say how long the runs of each group took, or of the quickest and the slowest."""
    texts = {}
    for name, group in groups.of.items():
        p95, p50 = _p95_p50(group[value])
        texts[name] = f"p50 {amount(value, p50)}, p95 {amount(value, p95)}"
    if not groups.by:
        return next(iter(texts.values()))
    if len(texts) <= FEW:
        return "; ".join(f"{groups.title(name)}: {texts[name]}" for name in texts)
    quick, slow = _extremes(groups, value)
    return (
        f"quickest {groups.title(quick)}: {texts[quick]}; "
        f"slowest {groups.title(slow)}: {texts[slow]}"
    )


def _extremes(groups: Groups, value: str) -> tuple[str, str]:
    """Return the quickest and the slowest of *groups*, by p95, then by p50."""
    of = groups.of
    order = sorted(of, key=lambda name: _p95_p50(of[name][value]))
    return order[0], order[-1]


def _p95_p50(values: pd.Series[float]) -> tuple[float, float]:
    ordered = sorted(values.tolist())
    return quantile(ordered, 0.95), quantile(ordered, 0.5)


def _spreads(groups: Groups, value: str) -> pd.DataFrame:
    points = {"p5": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95, "max": 1.0}
    rows = []
    for name, group in groups.of.items():
        durations = group[value]
        quantiles = durations.quantile(list(points.values())).tolist()
        rows.append((name, len(group), float(durations.mean()), *quantiles))
    columns = (groups.name, "runs", "mean", *points)
    return frames.table(columns, rows, dict.fromkeys(points, "float64"))


def _boxes(axes: Axes, frame: pd.DataFrame) -> None:
    boxes: list[Any] = [
        {
            "med": row.p50,
            "q1": row.p25,
            "q3": row.p75,
            "whislo": row.p5,
            "whishi": row.p95,
            "mean": row.mean,
            "fliers": [],
        }
        for row in frame[["mean", "p5", "p25", "p50", "p75", "p95"]].itertuples()
    ]
    axes.bxp(
        boxes, positions=range(len(boxes)), orientation="horizontal", widths=0.5,
        patch_artist=True, showfliers=False, showmeans=True, manage_ticks=False,
        boxprops={"facecolor": COLOUR, "alpha": 0.75, "edgecolor": INK},
        medianprops={"color": INK, "lw": 2}, whiskerprops={"color": INK},
        capprops={"color": INK},
        meanprops={"marker": "o", "mfc": "white", "mec": INK, "ms": 5},
    )  # fmt: skip


def _violins(axes: Axes, durations: list[list[float]], frame: pd.DataFrame) -> None:
    places = range(len(durations))
    drawn: Any = axes.violinplot(
        durations, positions=places, orientation="horizontal", widths=0.8,
        showextrema=False,
    )  # fmt: skip
    for body in drawn["bodies"]:
        body.set(facecolor=COLOUR, edgecolor=INK, alpha=0.75)
    axes.hlines(places, frame["p5"], frame["p95"], color=INK, lw=1)
    axes.hlines(places, frame["p25"], frame["p75"], color=INK, lw=4)
    axes.plot(frame["p50"], places, "o", color="white", mec=INK, ms=5, zorder=4)


COLOUR = series(0)[0]


def _key(kind: str) -> list[Artist]:
    """Return the entries of a legend for the parts of a box or of a violin."""
    body = Patch(facecolor=COLOUR, edgecolor=INK, alpha=0.75)
    thin, thick = (Line2D([], [], color=INK, lw=width) for width in (1, 4))
    dot = Line2D([], [], ls="", marker="o", mfc="white", mec=INK, ms=5)
    if kind == "box":
        thick.set_linewidth(2)
        labels = "p25 to p75", "whiskers: p5 to p95", "median", "mean"
    else:
        labels = "how many took so long", "p5 to p95", "p25 to p75", "median"
    parts = [body, thin, thick, dot]
    for part, label in zip(parts, labels, strict=True):
        part.set_label(label)
    return parts


def _running(
    values: pd.Series[float], confidence: float
) -> list[tuple[int, float, float, float]]:
    """Return the mean of the first n of *values* and its interval, from n = 2 on."""
    try:
        from scipy.stats import t
    except ImportError as error:
        raise UsageError(
            "the interval of a mean needs scipy; install the extra 'study'"
        ) from error
    if len(values) < 2:
        return []
    of = values.reset_index(drop=True).astype(float).expanding(2)
    found = zip(of.mean().tolist(), of.std().tolist(), strict=True)
    rows = []
    for n, (mean, deviation) in enumerate(found, start=1):
        if n > 1:
            half = (
                float(t.ppf((1.0 + confidence) / 2.0, n - 1)) * deviation / math.sqrt(n)
            )
            rows.append((n, mean, mean - half, mean + half))
    return rows


def _window(axes: Axes, frame: pd.DataFrame) -> None:
    """Show what the curves settle to: the first intervals may be very wide."""
    settled = frame[frame["replications"] >= min(5, int(frame["replications"].max()))]
    low, high = float(settled["low"].min()), float(settled["high"].max())
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    axes.set_ylim(low - margin, high + margin)


def _widest(frame: pd.DataFrame, groups: Groups, measure: str) -> tuple[str, str]:
    """Return which curve is the least certain, and say how it ends."""
    last = frame.groupby(groups.name, sort=False).last()
    half: pd.Series[float] = (last["high"] - last["low"]) / 2
    name = str(half.idxmax())
    mean, width = float(last["mean"][name]), float(half[name])
    where = f" at its widest, {groups.title(name)}" if groups.by else ""
    return name, f"{amount(measure, mean)} +- {amount(measure, width)}{where}"


def _curves(
    axes: Axes,
    frame: pd.DataFrame,
    groups: Groups,
    x: str,
    y: str,
    banded: Collection[str],
    *,
    rising: bool = False,
) -> None:
    """Draw *y* over *x*, a curve per group; *rising* ones step up from 0.

    Those *banded* have their band; many bands on each other would hide the curves.
    """
    handles: list[Any] = []
    curves = {str(name): each for name, each in frame.groupby(groups.name, sort=False)}
    names = dict(zip(curves, distinct(list(curves)), strict=True))
    for number, (group, curve) in enumerate(curves.items()):
        colour, line = series(number)
        across, up, low, high = (curve[each].to_list() for each in (x, y, "low", "high"))
        if group in banded:
            axes.fill_between(
                across, low, high, step="post" if rising else None, color=colour,
                alpha=0.15, linewidth=0, label=f"_band of {group}",
            )  # fmt: skip
        if rising:
            across, up = [across[0], *across], [0.0, *up]
        handles += axes.plot(
            across, up, color=colour, ls=line, lw=1.6, label=names[group],
            drawstyle="steps-post" if rising else "default",
        )  # fmt: skip
    if groups.by:
        legend(axes, handles, title=plain(groups.heading))


def measured(axes: Axes, is_log: bool, under: str) -> None:
    """Draw the grid of *axes* with two scales; *under* stands below the lower one."""
    axes.set_xlabel(under)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=SHADE, linewidth=0.8)
    axes.set_axisbelow(True)
    if is_log:
        in_decades(axes.xaxis)


PART_STYLES = {
    "queued": status_style("prepared"),
    "pool_queue": status_style("quarantined"),
    "steps": status_style("completed"),
    "retries": status_style("failed"),
    "recovery": status_style("crashed"),
    "waiting": status_style("waiting"),
    "other": status_style("superseded"),
}
"""How each part of a run's time is drawn: as the status that it goes with."""


@on_paper
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
        f"{totals[status]:,} {status} ({percent(totals[status] / len(runs))})"
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


@on_paper
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
    source = source_of(source)
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
    heads = [""] * len(names)
    if len(names) > FEW:
        names = [min(names, key=whole.__getitem__), max(names, key=whole.__getitem__)]
        heads = ["shortest ", "longest "]
    clauses = []
    for head, name in zip(heads, names, strict=True):
        parts = groups[name][groups[name]["mean"] > 0.0]
        parts = parts.sort_values("mean", ascending=False, kind="stable")
        shares = ", ".join(
            f"{part} {percent(share)}"
            for part, share in zip(parts["part"], parts["share"], strict=True)
        )
        clauses.append(
            f"{head}{by.title(name)} {seconds(whole[name])} "
            f"({shares or 'no time at all'})"
        )
    return "; ".join(clauses)
