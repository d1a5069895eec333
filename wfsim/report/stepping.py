"""The strip and the stepping of a page: a log as JSON, and what a script shows of it.

It is the Debugger without a kernel: one file, no network.  Texts are kept once each, and
a record is a number in each of eight lists, so that 10,000 records take less than 2 MB.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wfsim.model.log import EventLog
from wfsim.model.record import OF_RESOURCES, Kind, Record
from wfsim.model.resource import CREATING
from wfsim.report import tables
from wfsim.report.changes import changes
from wfsim.report.chart import STATUS_COLOURS
from wfsim.report.history import outages
from wfsim.report.text import natural

SCRIPT = Path(__file__).with_name("stepping.js")

MOST_TEXT = 4000
"""So many letters of a text, or of a value that changed, are kept."""

CSS = """
#wf-stepping { border: 1px solid var(--line); border-radius: 6px; padding: .5rem .75rem; }
.wf-bar { display: flex; flex-wrap: wrap; gap: .4rem; align-items: center;
  margin: .2rem 0; }
.wf-bar input[type=range] { flex: 1 1 160px; }
.wf-bar input[type=text] { width: 10rem; }
.wf-readout { font-variant-numeric: tabular-nums; white-space: pre; }
.wf-strip { max-height: 240px; overflow: auto; }
.wf-both { display: flex; }
.wf-names { width: 150px; flex: none; }
.wf-names span { display: block; height: 15px; line-height: 15px; font-size: 11px;
  text-align: right; padding-right: 8px; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; }
.wf-lanes { flex: 1; min-width: 0; display: block; background: var(--shade);
  cursor: pointer; }
.wf-lanes:focus-visible { outline: 2px solid #0072B2; }
.wf-gap { fill: var(--faint); opacity: .3; }
.wf-crash { stroke: var(--ink); stroke-dasharray: 3 2; }
@media (prefers-color-scheme: dark) { .wf-crashed { fill: #b0b0b0; } }
.wf-now { stroke: var(--ink); stroke-width: 2; }
.wf-axis { display: flex; justify-content: space-between; margin-left: 150px;
  font-size: 10px; color: var(--faint); }
.wf-record { min-height: 4rem; max-height: 9rem; overflow: auto; margin: .4rem 0; }
.wf-record pre { margin: .2rem 0; white-space: pre-wrap; }
.wf-change { font-family: monospace; font-size: .8rem; overflow-wrap: anywhere; }
.wf-states span { border: 1px solid var(--rule); border-radius: 10px; padding: 0 8px;
  margin: 0 4px 3px 0; font-size: .8rem; display: inline-block; }
.wf-states { max-height: 4rem; overflow: auto; }
#wf-stepping caption { text-align: left; padding: .3rem 0; color: var(--faint); }
"""


def stepping(log: EventLog) -> str:
    """Return the strip and the stepping of *log* as HTML, its data and script with it."""
    # Nothing in the data can end the element that it stands in.
    data = json.dumps(_data(log), ensure_ascii=False, separators=(",", ":"))
    safe = data.replace("<", "\\u003c").replace("\u2028", "\\u2028")
    script = SCRIPT.read_text(encoding="utf-8")
    return (
        f'<div id="wf-stepping">{_CONTROLS}</div>\n'
        f'<script type="application/json" id="wf-log">{safe}</script>\n'
        f"<script>{script}</script>"
    )


class _Words:
    """Each text once, by its number; 0 is no text."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {"": 0}

    def number(self, text: str) -> int:
        return self.numbers.setdefault(text, len(self.numbers))


def _data(log: EventLog) -> dict[str, Any]:
    words = _Words()
    columns: dict[str, list[Any]] = {
        name: []
        for name in (
            *("seq", "time", "kind", "resource", "run", "step", "attempt", "text"),
            "state",
        )
    }
    told: dict[str, list[int]] = {}
    known: dict[str, Any] = {}
    for number, record in enumerate(log.records):
        columns["seq"].append(record.seq)
        columns["time"].append(round(record.time, 4))
        columns["attempt"].append(record.attempt)
        for name in ("kind", "resource", "run", "step"):
            columns[name].append(words.number(str(getattr(record, name))))
        columns["text"].append(words.number(_cut(record.text)))
        columns["state"].append(words.number(_state(record)))
        if record.kind in OF_RESOURCES:
            parts = _changed(known.get(record.resource), record.value)
            known[record.resource] = record.value
            if parts:
                told[str(number)] = [words.number(part) for part in parts]
    strip = _strip(log, words)
    head = {"words": list(words.numbers), "changes": told, "colours": STATUS_COLOURS}
    return {**columns, **head, **strip}


def _state(record: Record) -> str:
    if record.kind is Kind.RESOURCE_DELETED:
        return "deleted"
    return (record.value.state or CREATING) if record.kind in OF_RESOURCES else ""


def _changed(before: Any, after: Any) -> list[str]:
    """Return path, value before and value after of each change, one after the other."""
    if before is None:
        return []
    return [
        part
        for change in changes(before, after)
        if change.path not in ("revision", "entered")
        for part in (change.path, _short(change.before), _short(change.after))
    ]


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}…"


def _strip(log: EventLog, words: _Words) -> dict[str, Any]:
    """Return the rows and their bars: of resources, or of steps if there is one alone."""
    frame = tables.steps(log)
    end = log.records[-1].time if log.records else 0.0
    by = "resource" if frame["resource"].nunique() > 1 else "step"
    names: Iterable[str] = dict.fromkeys(map(str, frame[by]))
    if by == "resource":
        names = sorted({r.resource for r in log.records if r.resource}, key=natural)
    rows = {name: number for number, name in enumerate(names)}
    bars = []
    for item in frame.itertuples(index=False):
        attempt: Any = item
        start, stop = (
            round(end if math.isnan(time) else time, 3)
            for time in (attempt.start, attempt.end)
        )
        named = words.number(attempt.status), words.number(attempt.step)
        row = rows[getattr(attempt, by)]
        bars.append([row, start, stop, *named, attempt.attempt])
    gaps = [
        [gap.since, None if math.isinf(gap.until) else gap.until] for gap in outages(log)
    ]
    crashes = [record.time for record in log.filter(Kind.CONTROLLER_CRASHED)]
    return {
        "rows": list(rows),
        "bars": bars,
        "by": by,
        "end": end or 1.0,
        "outages": gaps,
        "crashes": crashes,
    }


_CONTROLS = """
<div class="wf-bar">
  <button type="button" class="wf-play">Play</button>
  <button type="button" class="wf-back">Back</button>
  <button type="button" class="wf-step">Step</button>
  <input type="range" class="wf-slider" min="0" value="1" aria-label="Record">
  <output class="wf-readout"></output>
  <select class="wf-speed" aria-label="Records a second">
    <option value="2">2 / s</option><option value="10">10 / s</option>
    <option value="0">all in 20 s</option></select>
</div>
<div class="wf-bar">
  <input type="text" class="wf-rows" placeholder="rows named …"
    aria-label="Show rows whose name holds this">
  <select class="wf-status" aria-label="Show rows with this status">
    <option value="">any status</option></select>
  <select class="wf-zoom" aria-label="How much of the run the strip shows">
    <option value="1">whole run</option><option value="4">1/4 of it</option>
    <option value="16">1/16 of it</option><option value="64">1/64 of it</option></select>
  <select class="wf-target" aria-label="What to look for">
    <option value="any">any record</option><option value="failure">failure</option>
    <option value="crash">crash</option><option value="fault">fault</option>
    <option value="step">this step</option>
    <option value="resource">this resource</option></select>
  <input type="text" class="wf-search" placeholder="words, #12 or 40.5"
    aria-label="Words of a record, its number, or a time in seconds">
  <button type="button" class="wf-previous" aria-label="Previous such record">«</button>
  <button type="button" class="wf-next" aria-label="Next such record">»</button>
</div>
<div class="wf-strip"><div class="wf-both"><div class="wf-names"></div>
  <svg class="wf-lanes" preserveAspectRatio="none" role="img" tabindex="0"
    aria-label="Attempts over time; arrow keys step"></svg></div>
  <div class="wf-axis"></div></div>
<div class="wf-record" aria-live="polite" tabindex="0" aria-label="The record"></div>
<div class="wf-states" tabindex="0" aria-label="States of resources"></div>
<table><caption class="wf-run"></caption><thead><tr><th>step</th><th>status</th>
  <th>attempt</th><th>start [s]</th><th>seconds</th></tr></thead>
  <tbody class="wf-steps"></tbody></table>
"""
