"""The state graph of a resource, as SVG: stable states, the unstable ones, `Interrupt`.

Every arrow of a state machine goes between two of these columns, or stays among the
stable states; so there is nothing to lay out but the order of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from wfsim.model.machine import Edge
from wfsim.model.resource import CREATING, INTERRUPT
from wfsim.notebook.player import Player

WIDE, TALL = 7.3, 34.0  # of a letter, of a box, in pixels
GAP, ROW = 88.0, 52.0
SHOWN_RESOURCES = 24


class Box(NamedTuple):
    """Where one state is drawn, in pixels from the upper left; *flow* is what it runs."""

    state: str
    x: float
    y: float
    width: float
    column: int
    flow: str = ""


def graph_card(player: Player) -> str:
    """Show the states of the resource at the cursor, the present one and its ways out."""
    resource = player.resource
    title = "<h4>State</h4>"
    if resource is None:
        empty = '<span class="wf-none">no resource yet</span>'
        return f'<div class="wf-card wf-graph">{title}{empty}</div>'
    now = resource.state or CREATING
    edges = player.edges
    ways = [edge for edge in edges if edge.source == now]
    moves = "".join(
        f"<li>→ {escape(edge.target)} <i>{escape(edge.via)} {escape(edge.label)}</i></li>"
        for edge in ways
    )
    title = f"<h4>State <b>{escape(str(resource.key))}: {escape(now)}</b></h4>"
    return (
        f'<div class="wf-card wf-graph">{title}{svg(edges, now)}'
        f'<ul class="wf-moves">{moves}</ul>{_chips(player)}</div>'
    )


def svg(edges: Sequence[Edge], now: str) -> str:
    """Draw *edges*, the state *now* and the arrows that leave it in colour."""
    boxes = layout(edges, now)
    width = max(box.x + box.width for box in boxes.values()) + 8
    height = max(box.y for box in boxes.values()) + TALL + 8
    # What leaves the present state lies on top.
    drawn = sorted(edges, key=lambda edge: edge.source == now)
    arrows = "".join(_arrow(boxes[e.source], boxes[e.target], e, now) for e in drawn)
    states = "".join(_state(box, box.state == now) for box in boxes.values())
    label = f"state graph, now in {now}"
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'role="img" aria-label="{escape(label)}">'
        f"<defs>{_head('')}{_head('-open')}</defs>{arrows}{states}</svg>"
    )


def layout(edges: Sequence[Edge], now: str) -> dict[str, Box]:
    """Place every state of *edges*, and *now*, in its column."""
    flows = {edge.source: edge.label for edge in edges if edge.via == "done"}
    named = [state for edge in edges for state in (edge.source, edge.target)]
    columns: list[list[str]] = [[], [], []]
    for state in dict.fromkeys((*named, now)):
        column = 2 if state == INTERRUPT else 1 if state in flows else 0
        columns[column].append(state)
    rows = max(map(len, columns))
    boxes, x = {}, 28.0
    for number, states in enumerate(columns):
        letters = [max(len(s), 0.84 * len(flows.get(s, ""))) for s in states]
        width = WIDE * max(letters, default=0.0) + 22
        top = 8 + (rows - len(states)) * ROW / 2
        for row, state in enumerate(states):
            flow = flows.get(state, "")
            boxes[state] = Box(state, x, top + row * ROW, width, number, flow)
        if states:
            x += width + GAP
    return boxes


def _state(box: Box, now: bool) -> str:
    classes = f"{'wf-unstable' if box.flow else 'wf-stable'}{' wf-now' if now else ''}"
    middle = box.x + box.width / 2
    below = box.y + TALL / 2
    flow = (
        f'<text class="wf-flow" x="{middle:.0f}" y="{below + 11:.0f}" '
        f'text-anchor="middle">{escape(box.flow)}</text>'
    )
    return (
        f'<g class="{classes}"><rect x="{box.x:.0f}" y="{box.y:.0f}" rx="6" '
        f'width="{box.width:.0f}" height="{TALL:.0f}"/>'
        f'<text x="{middle:.0f}" y="{below + (-1 if box.flow else 4):.0f}" '
        f'text-anchor="middle">{escape(box.state)}</text>{flow if box.flow else ""}</g>'
    )


def _arrow(source: Box, target: Box, edge: Edge, now: str) -> str:
    leaves = edge.source == now
    if source.column == target.column:
        x = source.x
        y, end = source.y + TALL / 2, target.y + TALL / 2
        out = x - 26
        path = (
            f"M{x:.0f} {y:.0f} C{out:.0f} {y:.0f} {out:.0f} {end:.0f} {x:.0f} {end:.0f}"
        )
    else:
        right = source.column < target.column
        x = source.x + source.width if right else source.x
        x2 = target.x if right else target.x + target.width
        # There and back run side by side.
        y = source.y + TALL / 2 + (-5 if right else 5)
        y2 = target.y + TALL / 2 + (-5 if right else 5)
        bend = (x2 - x) / 2
        path = (
            f"M{x:.0f} {y:.0f} C{x + bend:.0f} {y:.0f} "
            f"{x2 - bend:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"
        )
    said = escape(f"{edge.source} → {edge.target}: {edge.via} {edge.label}".strip())
    return (
        f'<path class="{"wf-open" if leaves else ""}" d="{path}" '
        f'marker-end="url(#wfsim-head{"-open" if leaves else ""})">'
        f"<title>{said}</title></path>"
    )


def _head(suffix: str) -> str:
    return (
        f'<marker id="wfsim-head{suffix}" class="wf{suffix}" viewBox="0 0 8 8" refX="7" '
        'refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" '
        'orient="auto"><path d="M0 0 L8 4 L0 8 z"/></marker>'
    )


def _chips(player: Player) -> str:
    """Name the state of every resource, if there is more than one."""
    resources = player.state.resources
    if len(resources) < 2:
        return ""
    at = player.resource
    chips = [
        f'<span class="{"wf-now" if resource == at else ""}">'
        f"{escape(name)} {escape(resource.state or CREATING)}</span>"
        for name, resource in sorted(resources.items())[:SHOWN_RESOURCES]
    ]
    more = len(resources) - SHOWN_RESOURCES
    rest = [f"<span>and {more} more</span>"] if more > 0 else []
    return f'<div class="wf-chips">{"".join(chips + rest)}</div>'
