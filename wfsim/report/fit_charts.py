"""Charts of what was fitted to a history: is it like it, and like what came next?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from wfsim.errors import UsageError
from wfsim.report.chart import (
    INK,
    SHADE,
    STATUS_COLOURS,
    Chart,
    canvas,
    in_decades,
    legend,
    on_paper,
    say_nothing,
)
from wfsim.report.grouping import on_axis, spans_decades
from wfsim.report.text import count, plain, seconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@on_paper
def qq(calibration: Any, step: str | tuple[str, str], ax: Axes | None = None) -> Chart:
    """Draw the durations of *step* against the quantiles of what was chosen for it.

    *calibration* is what `wfsim.calibrate` returns.  Points on the line agree with the
    distribution; those outside the band are further away than chance explains, one in
    twenty if the confidence of the calibration is 95 %.  The frame is that of
    `Calibration.quantiles`.
    """
    _refuse_other(calibration, "quantiles", "calibration", "wfsim.calibrate(...)")
    item = calibration.estimate(step)
    frame = calibration.quantiles(step)
    axes = canvas(ax, 6.4, 5.2)
    name = plain(item.step)
    if frame.empty:
        say_nothing(axes, f"{name}: {item.lack}")
        return Chart(axes, frame, f"Q-Q plot of step {item.step}: {item.lack}.")
    inside = (frame["observed"] >= frame["low"]) & (frame["observed"] <= frame["high"])
    _points(axes, frame, inside)
    duration, confidence = item.chosen.duration, f"{calibration.confidence:.0%}"
    axes.set_title(plain(f"{item.step}: {duration}", 70), fontsize=10, loc="left")
    axes.set_xlabel("quantile of the fitted distribution [s]")
    axes.set_ylabel("duration that was seen [s]")
    legend(
        axes,
        [
            Line2D([], [], ls="", marker="o", color=_INSIDE, label="inside the band"),
            Line2D([], [], ls="", marker="X", color=_OUTSIDE, label="outside"),
            Line2D([], [], color=INK, lw=1, label="agreement"),
            Patch(facecolor=SHADE, label=f"{confidence} band"),
        ],
        gap=0.62,
    )
    seen, cut = item.sample.seen, len(item.sample.cut)
    durations = count(len(seen), "duration")
    beside = f" and {cut:,} that were cut short" if cut else ""
    return Chart(
        axes,
        frame,
        f"Q-Q plot of step {item.step} against {duration}: {durations} "
        f"from {seconds(seen[0])} to {seconds(seen[-1])}{beside}; "
        f"{int((~inside).sum()):,} outside the {confidence} band"
        f"{on_axis(spans_decades(pd.concat([frame['fitted'], frame['observed']])))}; "
        f"KS distance {item.chosen.ks:.3f}.",
    )


@on_paper
def pit(
    validation: Any, step: str | tuple[str, str] | None = None, ax: Axes | None = None
) -> Chart:
    """Draw where in their forecast the durations lie that were held out.

    *validation* is what `Calibration.validate` returns; without *step* it is about all
    of its steps.  Of a right forecast all bars are equally high but for chance, which
    keeps them in the band.  A valley says that the forecast is too narrow, a hill that
    it is too wide, a slope that durations have become longer or shorter.  The frame is
    that of `Validation.histogram`.
    """
    _refuse_other(validation, "histogram", "validation", "calibration.validate(...)")
    frame = validation.histogram(step)
    axes = canvas(ax, 6.4, 3.6)
    name = "all steps" if step is None else step if isinstance(step, str) else step[1]
    size = round(float(frame["durations"].sum()))
    if not size:
        say_nothing(axes, f"{plain(name)}: no duration was held out")
        return Chart(axes, frame, f"PIT of {name}: no duration was held out.")
    inside = frame["durations"].between(frame["least"], frame["most"])
    colours = [_INSIDE if each else _OUTSIDE for each in inside]
    width = float(frame["high"].iloc[0])
    least, most, expected = (
        float(frame[column].iloc[0]) for column in ("least", "most", "expected")
    )
    axes.axhspan(least, most, color=SHADE, lw=0)
    axes.bar(
        frame["low"], frame["durations"], width=width, align="edge", color=colours,
        edgecolor="white", linewidth=1.0,
    )  # fmt: skip
    axes.axhline(expected, color=INK, lw=1)
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(bottom=0.0)
    axes.set_title(f"Forecast of {plain(name)}", fontsize=10, loc="left")
    axes.set_xlabel("probability that the forecast gives to shorter durations")
    axes.set_ylabel("durations")
    axes.spines[["top", "right"]].set_visible(False)
    confidence = f"{validation.confidence:.0%}"
    handles = [
        Patch(facecolor=_INSIDE, label="inside the band"),
        Patch(facecolor=_OUTSIDE, label="outside"),
        Line2D([], [], color=INK, lw=1, label="expected"),
        Patch(facecolor=SHADE, label=f"{confidence} band"),
    ]
    legend(axes, handles, gap=0.62)
    outside = count(int((~inside).sum()), "bin")
    return Chart(
        axes,
        frame,
        f"PIT of {name}: {count(size, 'duration')} held out, in {len(frame)} bins of "
        f"{expected:.1f} expected; {outside} outside the {confidence} band.",
    )


_INSIDE, _OUTSIDE = STATUS_COLOURS["running"], STATUS_COLOURS["failed"]


def _refuse_other(value: Any, method: str, what: str, call: str) -> None:
    """Raise `UsageError` for a *value* that is not *what* *call* returns."""
    if not callable(getattr(value, method, None)):
        raise UsageError(
            f"{type(value).__name__} is no {what}; give one, such as {call} returns"
        )


def _window(times: pd.Series[float]) -> tuple[float, float]:
    """Return the seconds that both axes go from and to: *times* and a margin.

    They begin at zero if that is no further from the shortest than this is from the
    longest time.
    """
    low, high = float(times.min()), float(times.max())
    if spans_decades(times):
        return low / 1.3, high * 1.3
    margin = 0.05 * (high - low) or 0.05 * high or 1.0
    return (0.0 if low <= high - low else low - margin), high + margin


def _points(axes: Axes, frame: Any, inside: Any) -> None:
    fitted, observed = frame["fitted"], frame["observed"]
    low, high = _window(pd.concat([fitted, observed]))
    axes.fill_between(fitted, frame["low"], frame["high"], color=SHADE, lw=0)
    axes.plot([low, high], [low, high], color=INK, lw=1)
    for which, marker, colour, size in (
        (inside, "o", _INSIDE, 22),
        (~inside, "X", _OUTSIDE, 34),
    ):
        axes.scatter(
            fitted[which], observed[which], marker=marker, s=size, color=colour,
            edgecolors="white", linewidths=0.5, zorder=3, clip_on=False,
        )  # fmt: skip
    if spans_decades(pd.concat([fitted, observed])):
        in_decades(axes.xaxis)
        in_decades(axes.yaxis)
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.spines[["top", "right"]].set_visible(False)
