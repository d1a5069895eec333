"""Charts of how records belong together: two logs in two lanes, a record's lineage."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from wfsim.model.log import EventLog, HasLog, log_of
from wfsim.model.record import Kind, Record
from wfsim.report.chart import (
    FAINT,
    HIGHLIGHT,
    INK,
    STATUS_COLOURS,
    Chart,
    canvas,
    legend,
    on_paper,
    row_axis,
    say_nothing,
)
from wfsim.report.diff import CHANGED, MOVED, ONLY_A, ONLY_B, SAME
from wfsim.report.diff import diff as diff_frame
from wfsim.report.lineage import FOLLOWED, NEEDED
from wfsim.report.lineage import lineage as lineage_frame
from wfsim.report.text import count, natural, plain, seconds

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_MARKS = {
    SAME: (FAINT, "o"),
    MOVED: (STATUS_COLOURS["running"], "D"),
    CHANGED: (STATUS_COLOURS["cancelled"], "s"),
    ONLY_A: (STATUS_COLOURS["failed"], "v"),
    ONLY_B: (STATUS_COLOURS["failed"], "^"),
}

MOST_ROWS = 40
"""Beyond so many rows the lineage of a record has one row for all further ones."""


@on_paper
def diff(
    a: EventLog | HasLog,
    b: EventLog | HasLog,
    ax: Axes | None = None,
    *,
    names: tuple[str, str] = ("a", "b"),
) -> Chart:
    """Draw two logs in two lanes over time, records that both have joined by a line.

    A line that leans is a record that has moved in time.  *names* stand beside the
    lanes.  The frame is that of `wfsim.diff`.
    """
    frame = diff_frame(a, b)
    axes = canvas(ax, 10.0, 3.0)
    if frame.empty:
        say_nothing(axes, "Neither log has a record")
        return Chart(axes, frame, "Diff of two logs without records.")
    joined = frame[frame["time_a"].notna() & frame["time_b"].notna()]
    for status, (colour, marker) in _MARKS.items():
        of = frame[frame["status"] == status]
        both = joined[joined["status"] == status]
        ends = zip(both["time_a"], both["time_b"], strict=True)
        lines = [[(before, 0.0), (after, 1.0)] for before, after in ends]
        axes.add_collection(
            LineCollection(lines, colors=colour, linewidths=0.8, alpha=0.6)
        )
        for lane, column in enumerate(("time_a", "time_b")):
            times = of[column].dropna()
            axes.plot(
                times, [float(lane)] * len(times), marker, color=colour, ls="",
                markersize=5, markeredgecolor="white", markeredgewidth=0.4, zorder=4,
                clip_on=False,
            )  # fmt: skip
    row_axis(axes, [plain(name) for name in names], "virtual time [s]")
    _ = axes.set_xlim(*_span(frame))
    seen = set(frame["status"])
    legend(
        axes,
        [
            Line2D([], [], color=colour, marker=marker, ls="-", label=status)
            for status, (colour, marker) in _MARKS.items()
            if status in seen
        ],
    )
    return Chart(axes, frame, _sentence(frame))


def _span(frame: pd.DataFrame) -> tuple[float, float]:
    times = frame[["time_a", "time_b"]]
    begin, end = float(times.min().min()), float(times.max().max())
    margin = max(end - begin, 1e-9) * 0.01
    return begin - margin, end + margin


def _sentence(frame: pd.DataFrame) -> str:
    here, there = (int((frame[name] >= 0).sum()) for name in ("record_a", "record_b"))
    statuses = Counter(frame["status"].tolist())
    counts = ", ".join(
        f"{statuses[status]:,} {status}" for status in _MARKS if statuses[status]
    )
    text = f"Diff of {count(here, 'record')} with {count(there, 'record')}: {counts}"
    other = frame[frame["status"] != SAME]
    if other.empty:
        return f"{text}."
    # That a fault is armed changes nothing yet.
    later = other[other["kind"] != Kind.FAULT_ARMED.value]
    first = (other if later.empty else later).iloc[0]
    time = first["time_b"] if first["status"] == ONLY_B else first["time_a"]
    text += f"; they part at {seconds(float(time))} with {first['kind']}"
    if first["step"]:
        text += f" of {first['step']}"
    moved = frame.loc[frame["status"] == MOVED, "shift"]
    if len(moved):
        most = max(moved.tolist(), key=abs)
        text += f"; moved by up to {most:+,.1f} s"
    return f"{text}."


@on_paper
def lineage(
    log: EventLog | HasLog,
    record: Record | int,
    ax: Axes | None = None,
    *,
    depth: int | None = 3,
) -> Chart:
    """Draw what *record* depends on (blue) and what depended on it (orange) over time.

    A row is a step of a run, a resource or a controller; an arrow is a link.  *depth*
    is how many links away they may be (None: all).  The frame is that of
    `tables.lineage`.
    """
    log = log_of(log)
    frame = lineage_frame(log, record, depth=depth)
    numbers = sorted({*frame["record"].tolist(), *frame["of"].tolist()})
    by_seq = {item.seq: item for item in log.records}
    centre = record if isinstance(record, Record) else log.records[record]
    shown = [by_seq[number] for number in numbers] or [centre]
    labels = sorted({_row(item) for item in shown}, key=natural)[:MOST_ROWS]
    rows = {label: number for number, label in enumerate(labels)}
    axes = canvas(ax, 10.0, 1.5 + 0.32 * max(len(labels), 2))
    spots = {
        item.seq: (item.time, rows.get(_row(item), len(labels) - 1)) for item in shown
    }
    for link in frame.itertuples(index=False):
        _arrow(axes, link, spots)
    colours = [INK if item.seq == centre.seq else FAINT for item in shown]
    times, ys = zip(*(spots[item.seq] for item in shown), strict=True)
    axes.scatter(times, ys, s=26, c=colours, zorder=4, clip_on=False)
    time, y = spots[centre.seq]
    axes.scatter([time], [y], s=90, c=HIGHLIGHT, edgecolors=INK, zorder=3, clip_on=False)
    row_axis(axes, labels, "virtual time [s]")
    needed, followed = (int((frame["role"] == role).sum()) for role in (NEEDED, FOLLOWED))
    legend(axes, [_line(role) for role in _ROLES])
    where = " ".join(filter(None, (centre.resource, centre.run, centre.step)))
    return Chart(
        axes,
        frame,
        f"Lineage of record #{centre.seq}, {centre.kind.value} {where}".rstrip()
        + f": {count(needed, 'link')} to what it needed, {count(followed, 'link')} to "
        f"what followed{'' if depth is None else f', at most {depth} links away'}.",
    )


_ROLES = {NEEDED: STATUS_COLOURS["running"], FOLLOWED: STATUS_COLOURS["cancelled"]}


def _line(role: str) -> Any:
    return Line2D([], [], color=_ROLES[role], label=role)


def _row(record: Record) -> str:
    if record.step or record.run:
        return f"{record.resource} {record.step or record.run}"
    return record.resource or record.controller or "faults"


def _arrow(axes: Axes, link: Any, spots: dict[int, tuple[float, int]]) -> None:
    ends = spots[link.record], spots[link.of]
    tail, head = ends if link.role == NEEDED else ends[::-1]
    arrow = {"arrowstyle": "->", "color": _ROLES[link.role], "lw": 1.1}
    arrow |= {"connectionstyle": "arc3,rad=0.12", "shrinkA": 4, "shrinkB": 4}
    axes.annotate("", xy=head, xytext=tail, arrowprops=arrow, zorder=2)


__all__ = ["diff", "lineage"]
