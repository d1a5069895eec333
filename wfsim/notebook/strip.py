"""The whole run as a strip: a row for each resource, or for each step if there is one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

from wfsim.model.log import EventLog
from wfsim.model.record import Kind
from wfsim.report import tables
from wfsim.report.chart import status_style
from wfsim.report.history import outages
from wfsim.report.text import natural

WIDTH, ROW = 1000.0, 15
"""The strip is so many units wide, and a row so many pixels high."""

# A click tells the Debugger where it was: by the input that it finds beside the strip.
_CLICK = escape(
    "var b=this.getBoundingClientRect(),"
    "i=this.closest('.wfsim-debugger').querySelector('.wfsim-clicked input');"
    "i.value=((event.clientX-b.left)/b.width).toFixed(5)+' '"
    f"+Math.floor((event.clientY-b.top)/{ROW});"
    "i.dispatchEvent(new Event('input',{bubbles:true}));"
    "i.dispatchEvent(new Event('change',{bubbles:true}));"
)

# The strip follows the cursor to its row, as soon as the mark of that has been put there.
_FOLLOW = escape(
    "var w=this.closest('.wfsim-whole'),t=this.previousSibling.offsetTop;"
    f"if(t<w.scrollTop||t+{2 * ROW}>w.scrollTop+w.clientHeight)"
    "w.scrollTop=t-w.clientHeight/2;"
)


class Bar(NamedTuple):
    """One attempt on the strip: in which row, from *start* to *end* in seconds."""

    row: str
    start: float
    end: float
    status: str
    title: str


class Window(NamedTuple):
    """The seconds that a strip shows."""

    begin: float
    end: float

    def share(self, time: float) -> float:
        """Return where *time* is in it: 0 at its begin, 1 at its end."""
        return (time - self.begin) / (self.end - self.begin)

    def time(self, share: float) -> float:
        """Return the time at *share* of it."""
        return self.begin + share * (self.end - self.begin)


class Strip:
    """The attempts of *log* in rows; `show` draws some rows of a window of time.

    *rows* are the names in natural order: of resources or, in a log of one resource, of
    its steps in order of appearance.
    """

    def __init__(self, log: EventLog) -> None:
        frame = tables.steps(log)
        self.end = max((record.time for record in log), default=0.0) or 1.0
        self.by_resource = frame["resource"].nunique() > 1
        self.bars = [self._bar(item) for item in frame.itertuples(index=False)]
        names = dict.fromkeys(bar.row for bar in self.bars)
        if self.by_resource:
            named = dict.fromkeys(r.resource for r in log if r.resource)
            names = dict.fromkeys(sorted(named, key=natural))
        self.rows = list(names)
        self.crashes = [r.time for r in log.filter(Kind.CONTROLLER_CRASHED)]
        self.outages = outages(log)

    def _bar(self, attempt: Any) -> Bar:
        start, end = (
            self.end if math.isnan(time) else time
            for time in (attempt.start, attempt.end)
        )
        title = f"{attempt.step} attempt {attempt.attempt}: {attempt.status}"
        row = attempt.resource if self.by_resource else attempt.step
        return Bar(row, start, end, attempt.status, title)

    @property
    def statuses(self) -> list[str]:
        """The statuses that some attempt has, in order of appearance."""
        return list(dict.fromkeys(bar.status for bar in self.bars))

    def chosen(self, search: str, status: str) -> list[str]:
        """Return the rows whose name holds *search* and that have a bar of *status*.

        An empty text chooses all.
        """
        having = {bar.row for bar in self.bars if status in ("", bar.status)}
        wanted = search.strip().casefold()
        return [
            row
            for row in self.rows
            if wanted in row.casefold() and (not status or row in having)
        ]

    def window(self, time: float, zoom: int) -> Window:
        """Return the one of *zoom* equal parts of the run that *time* is in."""
        wide = self.end / zoom
        number = min(int(time / wide), zoom - 1)
        return Window(number * wide, (number + 1) * wide)

    def show(self, rows: Sequence[str], window: Window) -> str:
        """Return *rows* in *window* as HTML: names, bars, crashes and a time axis."""
        if not rows:
            return '<span class="wf-none">no row has that name and status</span>'
        numbers = {row: number for number, row in enumerate(rows)}
        height = ROW * len(rows)
        names = "".join(
            f'<span title="{escape(row)}">{escape(row)}</span>' for row in rows
        )
        gaps = "".join(
            f'<rect class="wf-gap" y="0" height="{height}" '
            f"{self._spot(gap.since, min(gap.until, self.end), window)}/>"
            for gap in self.outages
            if gap.until >= window.begin and gap.since <= window.end
        )
        bars = "".join(
            self._drawn(bar, numbers[bar.row], window)
            for bar in self.bars
            if bar.row in numbers and bar.end >= window.begin and bar.start <= window.end
        )
        crashes = "".join(
            f'<line class="wf-crash" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height}" '
            'vector-effect="non-scaling-stroke"/>'
            for x in (WIDTH * window.share(time) for time in self.crashes)
            if 0.0 <= x <= WIDTH
        )
        what = "resources" if self.by_resource else "steps"
        label = (
            f"attempts of {len(rows)} {what} from {window.begin:.3f} s to "
            f"{window.end:.3f} s, {len(self.crashes)} crashes"
        )
        ticks = "".join(f"<span>{window.time(n / 4):,.5g} s</span>" for n in range(5))
        return (
            f'<div class="wf-rows"><div class="wf-names">{names}</div>'
            f'<svg viewBox="0 0 {WIDTH:.0f} {height}" height="{height}" '
            f'preserveAspectRatio="none" role="img" aria-label="{label}" '
            f'onclick="{_CLICK}">{gaps}{bars}{crashes}</svg></div>'
            f'<div class="wf-axis">{ticks}</div>'
        )

    def cursor(self, rows: Sequence[str], row: str, share: float) -> str:
        """Return the cursor at *share* of the window, and the mark of *row*, as HTML."""
        mark = ""
        if row in rows:
            top = ROW * rows.index(row)
            mark = (
                f'<i class="wf-row" style="top:{top}px;height:{ROW}px"></i>'
                f'<style onload="{_FOLLOW}"></style>'
            )
        tall = ROW * max(len(rows), 1)
        return f'{mark}<i class="wf-cursor" style="--at:{share:.5f};height:{tall}px"></i>'

    def _drawn(self, bar: Bar, number: int, window: Window) -> str:
        spot = self._spot(bar.start, bar.end, window)
        return (
            f'<rect {spot} y="{ROW * number + 2}" height="{ROW - 4}" '
            f'class="wf-{bar.status}" '
            f'fill="{status_style(bar.status).colour}">'
            f"<title>{escape(bar.title)}</title></rect>"
        )

    @staticmethod
    def _spot(start: float, end: float, window: Window) -> str:
        left = max(WIDTH * window.share(start), 0.0)
        right = min(WIDTH * window.share(end), WIDTH)
        return f'x="{left:.1f}" width="{max(right - left, 2.0):.1f}"'
