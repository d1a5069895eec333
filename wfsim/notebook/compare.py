"""Two runs side by side in the Debugger: two lanes over time, the rows that differ."""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import Any

from wfsim.model.log import EventLog
from wfsim.report.diff import CHANGED, MOVED, ONLY_A, ONLY_B, SAME, STATUSES, Pair, pairs

COLOURS = {
    SAME: "#8a8a8a",
    MOVED: "#0072B2",
    CHANGED: "#E69F00",
    ONLY_A: "#D55E00",
    ONLY_B: "#CC79A7",
}
WIDTH, LANE = 1000.0, 36

MOST_ROWS = 400
"""So many rows around the cursor are listed at a time; equal ones are folded."""


class Comparison:
    """The records of two logs, aligned; *names* are what the runs are called."""

    def __init__(self, a: EventLog, b: EventLog, names: tuple[str, str]) -> None:
        self.names = names
        self.pairs = pairs(a, b)
        times = [r.time for pair in self.pairs for r in pair[:2] if r is not None]
        self.end = max(times, default=0.0) or 1.0
        self._lanes = self._drawn()

    @property
    def sentence(self) -> str:
        """How many records are the same, moved, changed, or in one run only."""
        counts = Counter(pair.status for pair in self.pairs)
        a, b = self.names
        words = {ONLY_A: f"only in {a}", ONLY_B: f"only in {b}"}
        return ", ".join(
            f"{counts[status]:,} {words.get(status, status)}"
            for status in STATUSES
            if counts[status]
        )

    def show(self, seq: int) -> str:
        """Return the lanes and the rows around record *seq* of the first, as HTML."""
        a, b = (escape(name) for name in self.names)
        head = f"<th></th><th>record</th><th>{a} [s]</th><th>{b} [s]</th><th>what</th>"
        return (
            f'<div class="wf-card wf-compare"><h4>{a} <i>and</i> {b}</h4>'
            f'<div class="wf-sentence">{escape(self.sentence)}</div>{self._lanes}'
            f'<div class="wf-pairs" tabindex="0"><table><tr>{head}</tr>'
            f"{self._rows(seq)}</table></div></div>"
        )

    def _drawn(self) -> str:
        """Return both lanes as SVG, what both have joined; nothing is drawn twice."""
        lines: dict[str, None] = {}
        order = {status: number for number, status in enumerate(STATUSES)}
        for pair in sorted(self.pairs, key=lambda pair: order[pair.status]):
            xs = [None if r is None else self._x(r.time) for r in pair[:2]]
            colour = COLOURS[pair.status]
            top, bottom = xs
            if top is not None and bottom is not None:
                shape = f'<path d="M{top:.0f} 4L{bottom:.0f} {LANE - 4}"'
            else:
                x, y = (top, 4) if top is not None else (bottom, LANE - 4)
                shape = f'<path d="M{x:.0f} {y - 4}v8"'
            width = 1 if pair.status == SAME else 2
            lines[
                f'{shape} stroke="{colour}" stroke-width="{width}" '
                'vector-effect="non-scaling-stroke"/>'
            ] = None
        label = f"{self.names[0]} above, {self.names[1]} below: {self.sentence}"
        return (
            f'<svg class="wf-lanes" viewBox="0 0 {WIDTH:.0f} {LANE}" height="{LANE}" '
            f'preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
            f"{''.join(lines)}</svg>"
        )

    def _x(self, time: float) -> float:
        return 2 + (WIDTH - 4) * time / self.end

    def _rows(self, seq: int) -> str:
        at = next(
            (n for n, pair in enumerate(self.pairs) if pair.a and pair.a.seq >= seq), 0
        )
        first = max(0, min(at - MOST_ROWS // 2, len(self.pairs) - MOST_ROWS))
        shown = self.pairs[first : first + MOST_ROWS]
        rows: list[str] = []
        same: list[str] = []
        for number, pair in enumerate(shown, start=first):
            if pair.status == SAME and number != at:
                same.append(_row(pair, False))
                continue
            rows += [*_folded(same), _row(pair, number == at)]
            same = []
        rest = len(self.pairs) - len(shown)
        text = f"{rest:,} more before or after: move the cursor there"
        more = f'<tr><td colspan="5">{text}</td></tr>' if rest else ""
        return "".join([*rows, *_folded(same), more])


def _folded(rows: list[str]) -> list[str]:
    """Return *rows* as one that can be opened; none if there are none."""
    if not rows:
        return []
    return [
        f'<tr class="wf-same"><td colspan="5"><details><summary>{len(rows):,} the same'
        f"</summary><table>{''.join(rows)}</table></details></td></tr>"
    ]


def _row(pair: Pair, is_here: bool) -> str:
    one: Any = pair.a or pair.b
    times = ["" if r is None else f"{r.time:.3f}" for r in pair[:2]]
    where = " ".join(filter(None, (one.kind.value, one.resource, one.run, one.step)))
    attempt = f" attempt {one.attempt}" if one.attempt > 1 else ""
    what = ", ".join(pair.changed)
    if pair.status == MOVED and pair.a and pair.b:
        what = f"{pair.b.time - pair.a.time:+.3f} s"
    return (
        f'<tr class="{"wf-at" if is_here else ""}">'
        f'<td><span style="color:{COLOURS[pair.status]}">■</span> '
        f"{escape(pair.status)}</td>"
        f"<td>{escape(where + attempt)}</td><td>{times[0]}</td><td>{times[1]}</td>"
        f"<td>{escape(what)}</td></tr>"
    )
