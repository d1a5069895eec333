"""The state graph of a machine, drawn with matplotlib alone.

Stable states stand left as tall boxes, unstable ones in the middle, one a row, and
`Interrupt` stands right: so arrows run level, and seventeen states are as readable as
four.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from wfsim.errors import UsageError
from wfsim.model.log import EventLog
from wfsim.model.machine import Edge, StateMachine
from wfsim.model.resource import INTERRUPT
from wfsim.report import frames
from wfsim.report.chart import (
    HIGHLIGHT,
    INK,
    STATUS_COLOURS,
    Chart,
    canvas,
    legend,
    say_nothing,
)
from wfsim.report.text import count, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ARROWS: dict[str, tuple[str, Any]] = {
    "check": (INK, "-"),
    "done": (STATUS_COLOURS["completed"], "-"),
    "no event": ("#8a8a8a", ":"),
    "interrupt": (STATUS_COLOURS["failed"], "--"),
    "recover": (STATUS_COLOURS["running"], "-."),
}
_WIDTH = 1.7
_COLUMNS = {"stable": 0.0, "unstable": 4.6, "interrupt": 9.0}
# How far from the middle of its row an arrow runs, so that no two lie on each other.
_LANES = {"check": -0.14, "done": 0.14, "interrupt": -0.14, "recover": 0.14}


class _Box(NamedTuple):
    """Where a state is drawn: *y* is its middle, *height* in rows."""

    x: float
    y: float
    height: float

    def near(self, y: float) -> float:
        """Return the height nearest to *y* at which an arrow may touch it."""
        reach = max(self.height / 2 - 0.14, 0.0)
        return min(max(y, self.y - reach), self.y + reach)


def state_graph(
    edges: Iterable[Edge] | StateMachine | EventLog,
    current: str | None = None,
    ax: Axes | None = None,
    *,
    kind: str | None = None,
) -> Chart:
    """Draw the states of a machine and what leads from one to another.

    *edges* is what `StateMachine.edges` returns, a machine, or a log, which knows the
    edges of the machine of each *kind* (None: the first one).  The state *current* is
    highlighted.  The frame has a row per edge: ``source``, ``target``, ``via``,
    ``label``, all text.  Raises `UsageError` for a kind that the log does not know.
    """
    arrows, more = _edges(edges, kind)
    table = frames.table(Edge._fields, arrows)
    boxes = _layout(arrows, [*more, *([current] if current else [])])
    height = max((box.y + box.height / 2 for box in boxes.values()), default=1.0)
    axes = canvas(ax, 10.0, 1.0 + 0.56 * max(height, 2.0))
    if not boxes:
        say_nothing(axes, "No states")
        return Chart(axes, table, "State graph without states.")
    for state, box in boxes.items():
        _draw_box(axes, state, box, state == current)
    for edge in arrows:
        _draw_arrow(axes, edge, boxes)
    axes.set_axis_off()
    axes.set_xlim(-2.0, 10.0 if INTERRUPT in boxes else 5.6)
    axes.set_ylim(height + 0.1, -0.1)
    legend(
        axes, [_line(via) for via in _ARROWS if via in {edge.via for edge in arrows}], 0.1
    )
    said = f"State graph of {count(len(boxes), 'state')} and {count(len(arrows), 'edge')}"
    return Chart(axes, table, f"{said}{f'; now {current}' if current else ''}.")


def _edges(
    of: Iterable[Edge] | StateMachine | EventLog, kind: str | None
) -> tuple[list[Edge], tuple[str, ...]]:
    """Return the edges, and the states that may have none."""
    if isinstance(of, StateMachine):
        return of.edges(), (*of.stable_states, *of.actions)
    if not isinstance(of, EventLog):
        return list(of), ()
    known: Mapping[str, Any] = of.meta.get("edges", {})
    if kind is not None and kind not in known:
        raise UsageError(f"the log knows no kind {kind!r}; known: {', '.join(known)}")
    name = next(iter(known), None) if kind is None else kind
    return [Edge(*edge) for edge in known.get(name, ())] if name else [], ()


def _layout(edges: Iterable[Edge], more: Iterable[str]) -> dict[str, _Box]:
    """Place every state: each unstable one beside the stable one that it comes from."""
    edges = list(edges)
    ends = [end for edge in edges for end in (edge.source, edge.target)]
    states = list(dict.fromkeys([*more, *ends]))
    unstable = {e.source for e in edges if e.via in ("done", "interrupt", "no event")}
    home: dict[str, str] = {}
    for via in ("check", "done"):
        for edge in edges:
            state, hub = (
                (edge.target, edge.source)
                if via == "check"
                else (edge.source, edge.target)
            )
            if (
                edge.via == via
                and state in unstable
                and hub not in {*unstable, INTERRUPT}
            ):
                home.setdefault(state, hub)
    boxes: dict[str, _Box] = {}
    row = 0.0
    for hub in [
        state for state in states if state not in unstable and state != INTERRUPT
    ]:
        guests = [state for state in states if home.get(state) == hub]
        for number, state in enumerate(guests):
            boxes[state] = _Box(_COLUMNS["unstable"], row + number + 0.5, 0.56)
        rows = max(len(guests), 1)
        boxes[hub] = _Box(_COLUMNS["stable"], row + rows / 2, rows - 0.2)
        row += rows
    for state in [s for s in states if s in unstable and s not in boxes]:
        boxes[state] = _Box(_COLUMNS["unstable"], row + 0.5, 0.56)
        row += 1
    if INTERRUPT in states:
        tall = max(row, 1.0)
        boxes[INTERRUPT] = _Box(_COLUMNS["interrupt"], tall / 2, tall - 0.2)
    return boxes


def _draw_box(axes: Axes, state: str, box: _Box, current: bool) -> None:
    unstable = box.x == _COLUMNS["unstable"]
    axes.add_patch(
        FancyBboxPatch(
            (box.x - _WIDTH / 2, box.y - box.height / 2),
            _WIDTH,
            box.height,
            boxstyle="round,pad=0,rounding_size=0.12",
            facecolor=HIGHLIGHT if current else "white" if unstable else "#eef3f7",
            edgecolor=INK,
            linewidth=2.4 if current else 1.1,
            zorder=3,
        )
    )
    name = plain(state, 40)
    axes.text(
        box.x, box.y, _two_lines(name), ha="center", va="center", zorder=4,
        fontsize=8 if len(name) <= 18 else 6.5,
        fontweight="bold" if current else "normal",
    )  # fmt: skip


def _draw_arrow(axes: Axes, edge: Edge, boxes: Mapping[str, _Box]) -> None:
    begin, end = boxes[edge.source], boxes[edge.target]
    colour, line = _ARROWS.get(edge.via, (INK, "-"))
    rad = 0.0
    if begin.x == end.x:
        a, b, rad = _aside(begin, end)
    else:
        side = _WIDTH / 2 if end.x > begin.x else -_WIDTH / 2
        row = begin if begin.x == _COLUMNS["unstable"] else end
        lane = _LANES.get(edge.via, 0.0)
        if edge.via == "check" and edge.source == INTERRUPT:
            lane = 0.0
        a = (begin.x + side, begin.near(row.y + lane))
        b = (end.x - side, end.near(row.y + lane))
    axes.add_patch(
        FancyArrowPatch(
            a,
            b,
            arrowstyle="-|>",
            mutation_scale=9,
            color=colour,
            linestyle=line,
            linewidth=1.1,
            shrinkA=0,
            shrinkB=0,
            zorder=2,
            connectionstyle=f"arc3,rad={rad:g}",
        )
    )
    if edge.label:
        _draw_label(axes, plain(edge.label, 34), a, b, colour)


def _draw_label(
    axes: Axes, label: str, a: tuple[float, float], b: tuple[float, float], colour: str
) -> None:
    """Write *label* at the end of the arrow where an unstable state is, if one is."""
    if a[0] == b[0]:
        x, y, across, up = a[0] - 0.15, (a[1] + b[1]) / 2, "right", 0
    else:
        middle = _COLUMNS["unstable"]
        x, y = min(a, b, key=lambda end: abs(end[0] - middle))
        left, up = x < middle, 1 if (x, y) == b else -1
        across = "right" if left else "left"
        x += -0.14 if left else 0.14
    axes.annotate(
        label,
        (x, y),
        (0, 2 * up),
        textcoords="offset points",
        ha=across,
        va={1: "bottom", -1: "top", 0: "center"}[up],
        fontsize=6.5,
        color=colour,
        zorder=5,
        bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.85},
    )


def _aside(
    begin: _Box, end: _Box
) -> tuple[tuple[float, float], tuple[float, float], float]:
    """Return an arrow between two boxes of a column, around their left sides."""
    down = end.y >= begin.y
    x = begin.x - _WIDTH / 2
    a = (x, begin.near(end.y))
    b = (x, end.near(begin.y))
    if begin is end:
        a, b = (x, begin.y - 0.1), (x, begin.y + 0.1)
    return a, b, 0.6 if down else -0.6


def _line(via: str) -> Line2D:
    colour, line = _ARROWS[via]
    return Line2D([], [], color=colour, linestyle=line, linewidth=1.3, label=via)


def _two_lines(name: str) -> str:
    """Return *name*, broken at a capital near its middle if it is long."""
    if len(name) <= 18:
        return name
    middle = len(name) // 2
    breaks = [at for at in range(4, len(name) - 3) if name[at].isupper()]
    at = min(breaks, key=lambda place: abs(place - middle), default=middle)
    return f"{name[:at]}\n{name[at:]}"
