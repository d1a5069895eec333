"""A state graph as text, for the programs that draw such texts: Mermaid and Graphviz.

>>> edge = Edge("Running", "BackingUp", "check", "wants_backup")
>>> print(to_mermaid([edge], current="Running"))
stateDiagram-v2
    direction LR
    state "Running" as s0
    state "BackingUp" as s1
    s0 --> s1 : wants_backup
    classDef current fill:#F0E442,color:#000
    class s0 current
>>> print(to_dot([edge]))
digraph {
    rankdir=LR
    node [shape=box, style="rounded,filled", fillcolor=white]
    "Running"
    "BackingUp"
    "Running" -> "BackingUp" [label="wants_backup"]
}
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from wfsim.model.machine import Edge

_DOT_STYLES = {"interrupt": "dashed", "recover": "dashed", "no event": "dotted"}


def to_mermaid(
    edges: Iterable[Edge], current: str = "", states: Iterable[str] = ()
) -> str:
    """Return *edges* as a Mermaid state diagram.

    The state *current* is highlighted; *states* are drawn though no edge touches them.
    """
    edges = list(edges)
    ids = {state: f"s{n}" for n, state in enumerate(_states(edges, current, states))}
    lines = ["stateDiagram-v2", "    direction LR"]
    lines += [f'    state "{_entities(state)}" as {ids[state]}' for state in ids]
    lines += [
        f"    {ids[edge.source]} --> {ids[edge.target]} : {_entities(_label(edge))}"
        for edge in edges
    ]
    if current:
        lines.append("    classDef current fill:#F0E442,color:#000")
        lines.append(f"    class {ids[current]} current")
    return "\n".join(lines)


def to_dot(edges: Iterable[Edge], current: str = "", states: Iterable[str] = ()) -> str:
    """Return *edges* as Graphviz source.

    The state *current* is highlighted; *states* are drawn though no edge touches them.
    """
    edges = list(edges)
    lines = ["digraph {", "    rankdir=LR"]
    lines.append('    node [shape=box, style="rounded,filled", fillcolor=white]')
    for state in _states(edges, current, states):
        mark = ' [fillcolor="#F0E442", penwidth=2]' if state == current else ""
        lines.append(f"    {_quoted(state)}{mark}")
    for edge in edges:
        style = _DOT_STYLES.get(edge.via)
        more = f", style={style}" if style else ""
        label = _quoted(_label(edge))
        ends = f"{_quoted(edge.source)} -> {_quoted(edge.target)}"
        lines.append(f"    {ends} [label={label}{more}]")
    lines.append("}")
    return "\n".join(lines)


def _states(edges: Iterable[Edge], current: str, states: Iterable[str]) -> list[str]:
    ends = [end for edge in edges for end in (edge.source, edge.target)]
    return list(dict.fromkeys([*states, *ends, *([current] if current else [])]))


def _label(edge: Edge) -> str:
    return f"{edge.label} done" if edge.via == "done" else edge.label or edge.via


def _entities(text: str) -> str:
    """Return *text* with all that could mean something to Mermaid as a character code."""
    line = " ".join(text.split()) or " "
    return re.sub(r"[^\w .,()/+=*?!-]", lambda match: f"#{ord(match[0])};", line)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
