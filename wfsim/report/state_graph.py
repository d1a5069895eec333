"""The state graph of a machine: one layout, drawn as a chart or as SVG.

Stable states stand left as tall boxes, unstable ones in the middle, one a row, and
`Interrupt` stands right: so arrows run level, and seventeen states are as readable as
four.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from wfsim.errors import UsageError
from wfsim.model.log import EventLog, HasLog, log_of
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
    on_paper,
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
STABLE, UNSTABLE, INTERRUPTED = 0, 1, 2
_COLUMNS = (0.0, 4.6, 9.0)
# How far from the middle of its row an arrow runs, so that no two lie on each other.
_LANES = {"check": -0.14, "done": 0.14, "interrupt": -0.14, "recover": 0.14}


class Box(NamedTuple):
    """Where a state stands: its *column*, its middle *y* and *height* in rows."""

    column: int
    y: float
    height: float

    def near(self, y: float) -> float:
        """Return the height nearest to *y* at which an arrow may touch it."""
        reach = max(self.height / 2 - 0.14, 0.0)
        return min(max(y, self.y - reach), self.y + reach)


@on_paper
def state_graph(
    edges: Iterable[Edge] | StateMachine | EventLog | HasLog,
    current: str | None = None,
    ax: Axes | None = None,
    *,
    kind: str | None = None,
) -> Chart:
    """Draw the states of a machine and what leads from one to another.

    *edges* is what `StateMachine.edges` returns, a machine, or a log or Simulation, which
    knows the edges of the machine of each *kind* (None: the first one).  The state
    *current* is highlighted.  The frame has a row per edge: ``source``, ``target``,
    ``via``, ``label``, all text.  Raises `UsageError` for a kind that the log does not
    know.
    """
    arrows, more = _edges(edges, kind)
    table = frames.table(Edge._fields, arrows)
    boxes = layout(arrows, [*more, *([current] if current else [])])
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
    sentence = (
        f"State graph of {count(len(boxes), 'state')} and {count(len(arrows), 'edge')}"
    )
    return Chart(axes, table, f"{sentence}{f'; now {current}' if current else ''}.")


def _edges(
    of: Iterable[Edge] | StateMachine | EventLog | HasLog, kind: str | None
) -> tuple[list[Edge], tuple[str, ...]]:
    """Return the edges, and the states that may have none."""
    if isinstance(of, StateMachine):
        return of.edges(), (*of.stable_states, *of.actions)
    if isinstance(of, Iterable) and not isinstance(of, EventLog):
        return list(of), ()
    known: Mapping[str, Any] = log_of(of).meta.get("edges", {})
    if kind is not None and kind not in known:
        raise UsageError(f"the log knows no kind {kind!r}; known: {', '.join(known)}")
    name = next(iter(known), None) if kind is None else kind
    return [Edge(*edge) for edge in known.get(name, ())] if name else [], ()


def layout(edges: Iterable[Edge], more: Iterable[str] = ()) -> dict[str, Box]:
    """Place every state of *edges*, and those of *more*, in a column and in rows.

    Each unstable state stands beside the stable one that it comes from.
    """
    edges = list(edges)
    ends = [end for edge in edges for end in (edge.source, edge.target)]
    states = list(dict.fromkeys([*more, *ends]))
    unstable = {e.source for e in edges if e.via in ("done", "interrupt", "no event")}
    home = _homes(edges, unstable)
    boxes: dict[str, Box] = {}
    row = 0.0
    for hub in states:
        if hub in unstable or hub == INTERRUPT:
            continue
        guests = [state for state in states if home.get(state) == hub]
        for number, state in enumerate(guests):
            boxes[state] = Box(UNSTABLE, row + number + 0.5, 0.56)
        rows = max(len(guests), 1)
        boxes[hub] = Box(STABLE, row + rows / 2, rows - 0.2)
        row += rows
    for state in states:
        if state in unstable and state not in boxes:
            boxes[state] = Box(UNSTABLE, row + 0.5, 0.56)
            row += 1
    if INTERRUPT in states:
        tall = max(row, 1.0)
        boxes[INTERRUPT] = Box(INTERRUPTED, tall / 2, tall - 0.2)
    return boxes


def _homes(edges: Iterable[Edge], unstable: Collection[str]) -> dict[str, str]:
    """Return beside which stable state each unstable one stands."""
    moving = {*unstable, INTERRUPT}
    pairs = [(e.target, e.source) for e in edges if e.via == "check"]
    pairs += [(e.source, e.target) for e in edges if e.via == "done"]
    homes: dict[str, str] = {}
    for state, hub in pairs:
        if state in unstable and hub not in moving:
            homes.setdefault(state, hub)
    return homes


def arrow_ends(edge: Edge, begin: Box, end: Box) -> tuple[float, float]:
    """Return at which heights *edge* leaves *begin* and reaches *end*, in rows."""
    if begin is end:
        return begin.y - 0.1, begin.y + 0.1
    if begin.column == end.column:
        return begin.near(end.y), end.near(begin.y)
    row = begin if begin.column == UNSTABLE else end
    lane = _LANES.get(edge.via, 0.0)
    if edge.via == "check" and edge.source == INTERRUPT:
        lane = 0.0
    return begin.near(row.y + lane), end.near(row.y + lane)


def _draw_box(axes: Axes, state: str, box: Box, current: bool) -> None:
    x, unstable = _COLUMNS[box.column], box.column == UNSTABLE
    axes.add_patch(
        FancyBboxPatch(
            (x - _WIDTH / 2, box.y - box.height / 2),
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
        x, box.y, _two_lines(name), ha="center", va="center", zorder=4,
        fontsize=8 if len(name) <= 18 else 6.5,
        fontweight="bold" if current else "normal",
    )  # fmt: skip


def _draw_arrow(axes: Axes, edge: Edge, boxes: Mapping[str, Box]) -> None:
    begin, end = boxes[edge.source], boxes[edge.target]
    colour, line = _ARROWS.get(edge.via, (INK, "-"))
    left, right = _COLUMNS[begin.column], _COLUMNS[end.column]
    side = _WIDTH / 2 if right > left else -_WIDTH / 2
    leaves, reaches = arrow_ends(edge, begin, end)
    rad = 0.0
    if begin.column == end.column:
        # Around the left sides of both.
        a, b = (left + side, leaves), (left + side, reaches)
        rad = 0.6 if end.y >= begin.y else -0.6
    else:
        a, b = (left + side, leaves), (right - side, reaches)
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
        middle = _COLUMNS[UNSTABLE]
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
        bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none"},
    )


def _line(via: str) -> Line2D:
    colour, line = _ARROWS[via]
    return Line2D([], [], color=colour, linestyle=line, linewidth=1.3, label=via)


def _two_lines(name: str) -> str:
    """Return *name*, broken at a capital near its middle if it is long."""
    if len(name) <= 18:
        return name
    middle = len(name) // 2
    breaks = [at for at in range(4, len(name) - 3) if name[at].isupper()]
    at = min(breaks, key=lambda cut: abs(cut - middle), default=middle)
    return f"{name[:at]}\n{name[at:]}"


# -- the same graph as SVG, for a page that follows the reader's theme ------------------

_LETTER, _ROW, _GAP, _MARGIN = 7.3, 40.0, 88.0, 28.0
"""The width of a letter, the height of a row and the space around columns, in pixels."""


MOST_FLOWS = 6
"""Of more flows the names are on the arrows only, so that states can be read."""


class _Column(NamedTuple):
    """Where a column of boxes begins and how wide it is, in pixels."""

    x: float
    width: float


def graph_svg(edges: Sequence[Edge], now: str) -> str:
    """Return *edges* as SVG; the state *now*, and what leaves it, have a class each.

    Colours are the page's: classes ``wf-now``, ``wf-open``, ``wf-stable``,
    ``wf-unstable`` and ``wf-flow``.  Every text is escaped.
    """
    boxes = layout(edges, (now,))
    flows = {edge.source: edge.label for edge in edges if edge.via == "done"}
    if len(flows) > MOST_FLOWS:
        flows = {}
    columns = _columns(boxes, flows)
    width = max(column.x + column.width for column in columns) + 8
    height = _ROW * max(box.y + box.height / 2 for box in boxes.values()) + 8
    # What leaves the present state lies on top.
    drawn = sorted(edges, key=lambda edge: edge.source == now)
    arrows = "".join(_svg_arrow(edge, boxes, columns, now) for edge in drawn)
    states = "".join(
        _svg_state(state, box, columns[box.column], flows.get(state, ""), state == now)
        for state, box in boxes.items()
    )
    label = escape(f"state graph, now in {now}")
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'role="img" aria-label="{label}">'
        f"<defs>{_svg_head('')}{_svg_head('-open')}</defs>{arrows}{states}</svg>"
    )


def _columns(boxes: Mapping[str, Box], flows: Mapping[str, str]) -> list[_Column]:
    columns, x = [], _MARGIN
    for number in range(len(_COLUMNS)):
        letters = [
            max(len(state), 0.84 * len(flows.get(state, "")))
            for state, box in boxes.items()
            if box.column == number
        ]
        width = _LETTER * max(letters) + 22 if letters else 0.0
        columns.append(_Column(x, width))
        x += width + _GAP if letters else 0.0
    return columns


def _svg_state(state: str, box: Box, column: _Column, flow: str, now: bool) -> str:
    kind = "wf-unstable" if box.column == UNSTABLE else "wf-stable"
    middle, height = column.x + column.width / 2, _ROW * max(box.height, 0.8)
    y = _ROW * box.y + 4
    below = (
        f'<text class="wf-flow" x="{middle:.0f}" y="{y + 11:.0f}" '
        f'text-anchor="middle">{escape(flow)}</text>'
    )
    return (
        f'<g class="{kind}{" wf-now" if now else ""}">'
        f'<rect x="{column.x:.0f}" y="{y - height / 2:.0f}" rx="6" '
        f'width="{column.width:.0f}" height="{height:.0f}"/>'
        f'<text x="{middle:.0f}" y="{y + (-1 if flow else 4):.0f}" '
        f'text-anchor="middle">{escape(state)}</text>{below if flow else ""}</g>'
    )


def _svg_arrow(
    edge: Edge, boxes: Mapping[str, Box], columns: Sequence[_Column], now: str
) -> str:
    begin, end = boxes[edge.source], boxes[edge.target]
    left, right = columns[begin.column], columns[end.column]
    y, y2 = (_ROW * height + 4 for height in arrow_ends(edge, begin, end))
    if begin.column == end.column:
        x = x2 = left.x
        bend = bend2 = -26.0
    else:
        forth = begin.column < end.column
        x = left.x + left.width * forth
        x2 = right.x + right.width * (not forth)
        bend = (x2 - x) / 2
        bend2 = -bend
    path = f"M{x:.0f} {y:.0f} C{x + bend:.0f} {y:.0f} {x2 + bend2:.0f} {y2:.0f}"
    leaves = edge.source == now
    title = escape(f"{edge.source} → {edge.target}: {edge.via} {edge.label}".strip())
    return (
        f'<path class="{"wf-open" if leaves else ""}" d="{path} {x2:.0f} {y2:.0f}" '
        f'marker-end="url(#wfsim-head{"-open" if leaves else ""})">'
        f"<title>{title}</title></path>"
    )


def _svg_head(suffix: str) -> str:
    return (
        f'<marker id="wfsim-head{suffix}" class="wf{suffix}" viewBox="0 0 8 8" refX="7" '
        'refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" '
        'orient="auto"><path d="M0 0 L8 4 L0 8 z"/></marker>'
    )
