"""The third panel of the Debugger: memento, resource, world, leases, or lineage."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from html import escape
from typing import Any

from wfsim.campaign.plain import plain
from wfsim.model.memento_json import to_dict
from wfsim.notebook.branch import Branch
from wfsim.notebook.player import Player
from wfsim.report.changes import Change, changes
from wfsim.report.lineage import FOLLOWED, NEEDED

DEPTH = 2
"""So many links away are the records of a lineage that are listed."""

MOST_LINKS = 40
"""Of more of them those after the first so many are folded."""


def memento(branch: Branch) -> str:
    """Show the memento at the cursor as a tree, what has just changed marked."""
    player = branch.player
    run = player.memento
    if run is None:
        return card("Memento", '<span class="wf-none">nothing is stored yet</span>')
    changed = [change.path for change in player.memento_changes]
    return card(f"Memento <b>{escape(run.key)}</b>", tree(to_dict(run), changed))


def resource(branch: Branch) -> str:
    """Show the resource at the cursor as a tree, and what the record changed in it."""
    player = branch.player
    here = player.resource
    if here is None:
        return card("Resource", '<span class="wf-none">no resource yet</span>')
    wrote = player.resource_changes
    body = tree(plain(here), [change.path for change in wrote])
    return card(f"Resource <b>{escape(str(here.key))}</b>", f"{listed(wrote)}{body}")


def world(branch: Branch) -> str:
    """Show the fake world right before the next record, and what has changed in it.

    That is since just before the record at the cursor: what appeared, what vanished, and
    what has another value.
    """
    position = branch.player.position
    now = branch.pasts.at(position)
    if now.world is None:
        return card("World", '<span class="wf-none">there is no world</span>')
    then = branch.pasts.at(position - 1) if position else None
    after = _of_world(now.world)
    found = changes({} if then is None else _of_world(then.world), after)
    groups = (
        ("appeared", [change for change in found if change.before is None]),
        ("vanished", [change for change in found if change.after is None]),
        ("changed", [c for c in found if None not in (c.before, c.after)]),
    )
    told = "".join(
        f"<h5>{name}</h5>{listed(group)}" for name, group in groups if group and then
    )
    quiet = "" if told else '<span class="wf-none">nothing has changed</span>'
    body = tree(after, [change.path for change in found] if then else ())
    return card("World", f"{told}{quiet}{body}")


def leases(branch: Branch) -> str:
    """Show who holds the lease of what, who is up, how many runs wait for a worker."""
    player = branch.player
    held = sorted(branch.pasts.at(player.position).held.items())
    rows = "".join(
        f"<tr><td>{escape(str(key))}</td><td>{escape(lease.holder)}</td>"
        f"<td>{lease.token}</td><td>{_standing(lease)}</td></tr>"
        for key, lease in held
    )
    head = "<tr><th>lease of</th><th>holder</th><th>token</th><th></th></tr>"
    table = f'<table class="wf-steps">{head}{rows}</table>'
    none = '<span class="wf-none">nobody holds a lease</span>'
    up = ", ".join(player.controllers) or "none"
    busy, queue = _load(branch, player.time)
    return card(
        "Queue and leases",
        f"<p>controllers up: <b>{escape(up)}</b></p>"
        f"<p>at work: <b>{busy}</b> &nbsp; in the queue: <b>{queue}</b></p>"
        f"{table if held else none}",
    )


def links(branch: Branch) -> str:
    """Show what the record at the cursor depends on, and what depended on it."""
    player = branch.player
    if player.record is None:
        return card("Lineage", '<span class="wf-none">before the first record</span>')
    frame = branch.lineage.of(player.record, DEPTH)
    parts = []
    for role in (NEEDED, FOLLOWED):
        rows = [
            f'<tr><td>#{row.record}</td><td class="wf-word">{escape(str(row.link))}</td>'
            f"<td>{escape(f'{row.kind} {row.resource} {row.step}'.rstrip())}</td>"
            f'<td class="wf-word">{row.time:.3f} s</td></tr>'
            for row in frame[frame["role"] == role].itertuples(index=False)
        ]
        word = "needed" if role == NEEDED else "led to"
        parts.append(f"<h5>{word}</h5>{folded(rows, MOST_LINKS)}")
    return card(f"Lineage <b>#{player.record.seq}</b>", "".join(parts))


PANELS: dict[str, Callable[[Branch], str]] = {
    "memento": memento,
    "resource": resource,
    "world": world,
    "queue, leases": leases,
    "lineage": links,
}
PAST = ("world", "queue, leases")
"""What needs the past of a run, which is run once more for it."""


def card(title: str, body: str) -> str:
    """Return *body* under *title*, which is HTML both."""
    head = f"<h4>{title}</h4>" if title else ""
    return f'<div class="wf-card">{head}{body}</div>'


def listed(found: Iterable[Change], most: int = 3) -> str:
    """Return what changed as rows; beyond *most* they are folded, and can be opened."""
    rows = [
        f"<tr><td>{escape(change.path)}</td>"
        f"<td>{escape(short(change.before))} → {escape(short(change.after))}</td></tr>"
        for change in found
    ]
    return folded(rows, most) if rows else ""


def folded(rows: Sequence[str], most: int) -> str:
    """Return *rows* as a table; those beyond *most* are folded, and can be opened."""
    table = '<table class="wf-changes">{}</table>'
    rest = (
        f"<details><summary>and {len(rows) - most} more</summary>"
        f"{table.format(''.join(rows[most:]))}</details>"
        if len(rows) > most
        else ""
    )
    return table.format("".join(rows[:most])) + rest


def short(value: Any) -> str:
    """Return *value* as JSON, cut to a preview."""
    text = "nothing" if value is None else _json(value)
    return text if len(text) <= SHOWN_PREVIEW else f"{text[:SHOWN_PREVIEW]}…"


SHOWN_PREVIEW = 60


def tree(value: dict[str, Any], changed: Collection[str]) -> str:
    """Return a JSON object as a tree; what holds a path of *changed* is unfolded."""
    inner = "".join(_branch(key, item, key, changed) for key, item in value.items())
    return f'<div class="wf-json" tabindex="0">{inner}</div>'


def _branch(key: str, value: Any, path: str, changed: Collection[str]) -> str:
    name = f'<span class="wf-key">{escape(key)}:</span> '
    if not isinstance(value, (dict, list)) or not value:
        mark = " wf-changed" if path in changed else ""
        return f'<div class="wf-leaf{mark}">{name}{escape(_json(value))}</div>'
    items = value.items() if isinstance(value, dict) else enumerate(value)
    inner = "".join(
        _branch(str(item), part, f"{path}.{item}", changed) for item, part in items
    )
    is_open = any(other.startswith(f"{path}.") for other in changed)
    preview = f'<span class="wf-short">{escape(short(value))}</span>'
    return (
        f"<details{' open' if is_open else ''}><summary>{name}{preview}</summary>"
        f"{inner}</details>"
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _of_world(world: Any) -> dict[str, Any]:
    found: dict[str, Any] = plain(world)
    return found


def _standing(lease: Any) -> str:
    if lease.lapsed:
        return "lapsed"
    return "" if lease.stopped is None else f"lapses at {lease.lapses:.1f} s"


def _load(branch: Branch, time: float) -> tuple[int, int]:
    """Return how many runs are at work and how many wait for a worker at *time*."""
    of = branch.workers[branch.workers["start"] <= time]
    return (0, 0) if of.empty else (int(of["busy"].iloc[-1]), int(of["queue"].iloc[-1]))


def player_changes(player: Player) -> str:
    """Return what the record at the cursor changed, in its memento or its resource.

    The part of a memento that says once more what the rest does is left out.
    """
    own = [c for c in player.memento_changes if not c.path.startswith("wfsim")]
    if all(change.before is None for change in own):
        own = []
    return listed([*own, *player.resource_changes])
