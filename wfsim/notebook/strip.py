"""The whole run as a strip: each attempt of a step over time, and where the cursor is."""

from __future__ import annotations

import math
from html import escape

from wfsim.model.log import EventLog
from wfsim.notebook.player import Player
from wfsim.report.chart import status_style
from wfsim.report.history import Attempt, History

WIDTH, LANE, TOP = 1000.0, 9.0, 4.0


class Strip:
    """The attempts of *log*, drawn once; `show` draws those of one resource."""

    def __init__(self, log: EventLog) -> None:
        self._end = max((record.time for record in log), default=0.0) or 1.0
        self._lanes: dict[str, list[Attempt]] = {}
        for attempt in History(log).attempts:
            self._lanes.setdefault(attempt.of.resource, []).append(attempt)

    def show(self, player: Player) -> str:
        """Draw the attempts of the resource at the cursor of *player*, and the cursor."""
        resource = player.resource
        attempts = self._lanes.get(str(resource.key), []) if resource else []
        steps = list(dict.fromkeys(attempt.step for attempt in attempts))
        bars = "".join(self._bar(item, steps.index(item.step)) for item in attempts)
        height = TOP + LANE * max(len(steps), 1) + 3
        x = self._x(player.time)
        label = (
            f"attempts of steps over {self._end:.3f} s, the cursor at {player.time:.3f} s"
        )
        return (
            f'<svg viewBox="0 0 {WIDTH:.0f} {height:.0f}" height="{height:.0f}" '
            f'preserveAspectRatio="none" role="img" aria-label="{label}">{bars}'
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height:.0f}" '
            'stroke="var(--ink)" stroke-width="1.5" vector-effect="non-scaling-stroke"/>'
            "</svg>"
        )

    def _bar(self, attempt: Attempt, lane: int) -> str:
        start, end = self._x(attempt.start), self._x(attempt.end)
        said = f"{attempt.step} attempt {attempt.attempt}: {attempt.status}"
        return (
            f'<rect x="{start:.1f}" y="{TOP + lane * LANE:.0f}" height="{LANE - 2:.0f}" '
            f'width="{max(end - start, 2.0):.1f}" '
            f'fill="{status_style(attempt.status).colour}">'
            f"<title>{escape(said)}</title></rect>"
        )

    def _x(self, time: float) -> float:
        known = self._end if math.isnan(time) else time
        return known / self._end * (WIDTH - 4.0) + 1.0
