"""A player as HTML: pure functions of it; every text of a log is escaped."""

from __future__ import annotations

import json
from html import escape

from wfsim.model.memento import Memento, RunStatus, StepMemento, StepStatus
from wfsim.model.record import Kind, Record
from wfsim.model.resource import CREATING
from wfsim.notebook.details import card, player_changes
from wfsim.notebook.player import Player
from wfsim.report.chart import status_style
from wfsim.report.state_graph import graph_svg
from wfsim.report.text import natural

_GLYPHS = {
    "completed": "✓",
    "running": "▶",
    "waiting": "…",
    "failed": "✗",
    "crashed": "⚡",
    "prepared": "○",
}
_OBVIOUS = ("completed", "prepared")
_RUNS = {
    RunStatus.INTERRUPTED: "interrupted",
    RunStatus.PREPARED: "prepared",
}
_KINDS = {
    Kind.STEP_STARTED: "running",
    Kind.STEP_COMPLETED: "completed",
    Kind.STEP_WAITING: "waiting",
    Kind.STEP_FAILED: "failed",
    Kind.STEP_CANCELLED: "cancelled",
    Kind.RUN_FAILED: "failed",
    Kind.RUN_CANCELLED: "cancelled",
    Kind.RUN_COMPLETED: "completed",
    Kind.RUN_INTERRUPTED: "interrupted",
    Kind.RUN_SUPERSEDED: "superseded",
    Kind.RUN_QUARANTINED: "quarantined",
    Kind.CONTROLLER_CRASHED: "crashed",
    Kind.FAULT_FIRED: "failed",
    Kind.FAULT_ARMED: "cancelled",
    Kind.HOOK_FAILED: "failed",
    Kind.PASS_FAILED: "failed",
    Kind.CHECK_FAILED: "failed",
}
SHOWN_RESOURCES = 12
STILL_STEPS = 10

MOST_STATES = 8
"""Of a larger graph the Debugger shows the present state and its neighbours."""


def record_card(player: Player) -> str:
    """Show the record at the cursor, and what it changed in its run's memento."""
    record = player.record
    if record is None:
        return card("Record", '<span class="wf-none">before the first record</span>')
    status = _KINDS.get(record.kind, "prepared")
    where = [record.resource, record.run, record.step]
    if record.attempt:
        where.append(f"attempt {record.attempt}")
    path = "<i>/</i>".join(escape(item) for item in where if item)
    down = '<span class="wf-down">no controller is up</span>'
    return card(
        "",
        f"{'' if player.controllers else down}"
        f'<span class="wf-seq">#{record.seq}</span>'
        f'<span class="wf-time">{record.time:.3f} s</span>'
        f"{_badge(status, record.kind.value)}"
        f'<span class="wf-where">{path}</span>'
        f"{_text(record)}{player_changes(player)}",
    )


def graph_card(player: Player) -> str:
    """Show the states of the resource at the cursor, the present one and its ways out."""
    resource = player.resource
    title = "<h4>State</h4>"
    if resource is None:
        empty = '<span class="wf-none">no resource yet</span>'
        return f'<div class="wf-card wf-graph">{title}{empty}</div>'
    now = resource.state or CREATING
    edges = player.edges
    leaving = [edge for edge in edges if edge.source == now]
    if len({edge.source for edge in edges}) > MOST_STATES:
        edges = tuple(edge for edge in edges if now in (edge.source, edge.target))
    moves = "".join(
        f"<li>→ {escape(edge.target)} <i>{escape(edge.via)} {escape(edge.label)}</i></li>"
        for edge in leaving
    )
    title = f"<h4>State <b>{escape(str(resource.key))}: {escape(now)}</b></h4>"
    return (
        f'<div class="wf-card wf-graph">{title}{graph_svg(edges, now)}'
        f'<ul class="wf-moves">{moves}</ul>{_chips(player)}</div>'
    )


def steps_card(player: Player) -> str:
    """Show the steps of the run at the cursor: status, attempts, start, duration."""
    run = player.memento
    if run is None:
        return card("Steps", '<span class="wf-none">no run yet</span>')
    up = bool(player.controllers)
    rows = "".join(
        _step(step, index == _current(run), up) for index, step in enumerate(run.steps)
    )
    head = "<th>step</th><th>attempt</th><th>start</th><th>seconds</th>"
    status = _RUNS.get(run.status, run.status.value)
    error = f"{run.reason}: {run.error}" if run.reason else run.error
    return card(
        f"Steps <b>{escape(run.key)}</b> {_badge(status, status)}",
        f'<table class="wf-steps"><tr>{head}</tr>{rows}</table>'
        + (f'<div class="wf-error">{escape(error)}</div>' if error else ""),
    )


SAVED = """<style>
.jp-OutputArea:has(.wfsim-debugger) .jp-OutputArea-child:has(.wf-still),
.jp-OutputArea:has(.wf-still) .jp-OutputArea-output.jupyter-widgets { display: none }
</style><i class="wf-still"></i>"""
"""What hides a table while its widget lives, and else what says that this is gone."""


def still(player: Player) -> str:
    """Show the record at the cursor and the steps of its run as a plain table.

    It needs neither a kernel nor a style sheet, so that a saved notebook shows it.
    """
    record, run = player.record, player.memento
    line = escape(str(record)) if record else "before the first record"
    where = f"<b>{player.position} / {len(player)}</b> &nbsp; {line}"
    if run is None:
        return f"<p>{where}</p>"
    up, current = bool(player.controllers), _current(run)
    rows = [
        f"<tr><td>{'▸ ' if number == current else ''}{escape(step.name)}</td>"
        f"<td>{escape(step_status(step, up))}</td><td>{step.attempts or ''}</td>"
        f"<td>{'' if step.started is None else f'{step.started:.3f}'}</td></tr>"
        for number, step in enumerate(run.steps)
    ]
    # Those around the present step, if there are more than fit a screen.
    first = max(0, min(current - STILL_STEPS // 2, len(rows) - STILL_STEPS))
    title = f"{run.key}: {_RUNS.get(run.status, run.status.value)}"
    near = _still_table(rows[first : first + STILL_STEPS])
    more = (
        f"<details><summary>all {len(rows)} steps</summary>{_still_table(rows)}</details>"
        if len(rows) > STILL_STEPS
        else ""
    )
    return f"<p>{where}</p><p>{escape(title)}</p>{near}{more}"


def _still_table(rows: list[str]) -> str:
    head = "<tr><th>step</th><th>status</th><th>attempts</th><th>start [s]</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def plan_text(script: str) -> str:
    """Show the Python that runs it all again."""
    code = f"<pre><code>{escape(script)}</code></pre>"
    return (
        '<details class="wf-card wf-plan"><summary>This run as a script</summary>'
        f"{code}</details>"
    )


def notice(text: str) -> str:
    """Show a remark."""
    return f'<span class="wf-notice" role="status">{escape(text)}</span>'


def _badge(status: str, text: str) -> str:
    style = status_style(status)
    return (
        f'<span class="wf-badge" style="background:{style.colour};color:{style.text}">'
        f"{escape(text)}</span>"
    )


def _text(record: Record) -> str:
    if not record.text:
        return ""
    where = f" <b>{escape(record.where)}</b>" if record.where else ""
    return f'<div class="wf-text">{escape(record.text)}{where}</div>'


def _current(run: Memento) -> int:
    return -1 if run.is_final and run.status is not RunStatus.INTERRUPTED else run.cursor


def step_status(step: StepMemento, up: bool) -> str:
    """Return the word for where *step* stands while a controller is *up* or is not."""
    if step.status is StepStatus.INITED:
        return "running" if up else "crashed"
    return step.status.value


def _step(step: StepMemento, current: bool, up: bool) -> str:
    status = step_status(step, up)
    style = status_style(status)
    output = json.dumps(step.output, ensure_ascii=False) if step.output else "no output"
    started = "" if step.started is None else f"{step.started:.3f}"
    quiet = " wf-quiet" if status in _OBVIOUS else ""
    ended = step.finished is not None and step.started is not None
    seconds = f"{(step.finished or 0.0) - (step.started or 0.0):.3f}" if ended else ""
    return (
        f'<tr class="{"wf-at" if current else ""}" title="{escape(output)}"><td>'
        f'<span class="wf-glyph" style="background:{style.colour};color:{style.text}">'
        f"{_GLYPHS.get(status, '?')}</span>{escape(step.name)} "
        f'<span class="wf-status{quiet}">{escape(status)}</span></td>'
        f"<td>{step.attempts or ''}</td><td>{started}</td><td>{seconds}</td></tr>"
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
        for name, resource in sorted(resources.items(), key=lambda item: natural(item[0]))
    ]
    more = len(chips) - SHOWN_RESOURCES
    rest = "".join(chips[SHOWN_RESOURCES:])
    if more > 0:
        rest = f"<details><summary>and {more} more</summary>{rest}</details>"
    return f'<div class="wf-chips">{"".join(chips[:SHOWN_RESOURCES])}{rest}</div>'
