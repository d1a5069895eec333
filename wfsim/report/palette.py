"""One colour for one meaning, in every chart.

The colours are those of Okabe and Ito, which colour-blind readers can tell apart; what
went wrong has a hatch as well, so that it is seen in black and white.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

INK = "#333333"
FAINT = "#8a8a8a"
SHADE = "#e6e6e6"
HIGHLIGHT = "#F0E442"


class Style(NamedTuple):
    """How something is drawn: the colour that fills it and the hatch over it."""

    colour: str
    hatch: str = ""

    @property
    def text(self) -> str:
        """The colour of a text on it that can be read."""
        red, green, blue = (int(self.colour[at : at + 2], 16) for at in (1, 3, 5))
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 140
        return "white" if dark else "black"


STATUS_COLOURS = {
    "completed": "#009E73",
    "running": "#0072B2",
    "waiting": "#56B4E9",
    "failed": "#D55E00",
    "error": "#A64900",
    "interrupted": "#CC79A7",
    "cancelled": "#E69F00",
    "crashed": "#4d4d4d",
    "superseded": "#999999",
    "prepared": "#d9d9d9",
    "quarantined": "#F0E442",
}
"""The colour of each status of a run or an attempt, in the order of legends."""

_HATCHES = {
    "failed": "////",
    "error": "////",
    "interrupted": "xxxx",
    "cancelled": "....",
    "crashed": "\\\\\\\\",
    "quarantined": "++++",
}

_STATES = {
    "Running": Style(STATUS_COLOURS["completed"]),
    "Interrupt": Style(STATUS_COLOURS["interrupted"], _HATCHES["interrupted"]),
    "Creating": Style(STATUS_COLOURS["running"]),
    "Init": Style(STATUS_COLOURS["prepared"]),
}
_OTHERS = tuple(
    Style(colour, hatch)
    for hatch in ("", "////", "....", "\\\\\\\\", "++")
    for colour in ("#56B4E9", "#E69F00", "#0072B2", "#F0E442", "#D55E00")
    if Style(colour, hatch) not in _STATES.values()
)


def status_style(status: str) -> Style:
    """Return how *status* of a run or an attempt is drawn."""
    return Style(STATUS_COLOURS.get(status, FAINT), _HATCHES.get(status, ""))


def state_styles(states: Iterable[str]) -> dict[str, Style]:
    """Return how each state of a resource is drawn, the well-known ones always alike."""
    named = sorted(set(states))
    others = [state for state in named if state not in _STATES]
    styles = {state: _STATES[state] for state in named if state in _STATES}
    for number, state in enumerate(others):
        styles[state] = _OTHERS[number % len(_OTHERS)]
    return styles


def series(number: int) -> tuple[str, str]:
    """Return the colour and the line style of the *number*-th of several lines.

    Beyond seven the colours come again, dashed, then dotted.
    """
    lines = ("-", "--", ":")
    return _SERIES[number % len(_SERIES)], lines[number // len(_SERIES) % len(lines)]


_SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)
