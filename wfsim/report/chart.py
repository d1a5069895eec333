"""A chart: a picture, the frame that it shows, and a sentence that says what it shows.

The sentence and a digest of the frame are the chart's ``repr`` and its alt text, so a
changed number is seen by a test, and read out by a screen reader, without the picture.
"""

from __future__ import annotations

import base64
import functools
import html
import io
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch
from matplotlib.ticker import NullFormatter
from matplotlib.transforms import ScaledTranslation

from wfsim.errors import UsageError
from wfsim.report.text import distinct, frame_digest, plain, write
from wfsim.text import suggest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axis import XAxis, YAxis

DPI = 110

THINNEST, EDGED = 3.0, 7.0
"""In pixels: no bar over time is thinner, and from here on it has an edge and a hatch."""

# One colour for one meaning, in every chart.  The colours are those of Okabe and Ito,
# which colour-blind readers can tell apart; what went wrong has a hatch as well, so that
# it is seen in black and white.
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
        """The colour, black or white, in which a text on it has the higher contrast."""
        channels = (int(self.colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
        red, green, blue = (
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
        )
        # WCAG 2.2, relative luminance: above it black on the colour is at least 4.6 : 1.
        return (
            "black" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "white"
        )


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


Drawing = ParamSpec("Drawing")


def on_paper(draw: Callable[Drawing, Chart]) -> Callable[Drawing, Chart]:
    """Return *draw*, a function of `charts`, made to look alike in every style.

    A dark style of matplotlib is made for other colours than ours.  Axes that are given
    keep theirs.
    """

    @functools.wraps(draw)
    def drawn(*args: Drawing.args, **keywords: Drawing.kwargs) -> Chart:
        if any(isinstance(each, Axes) for each in (*args, *keywords.values())):
            return draw(*args, **keywords)
        with mpl.rc_context(_paper()):
            return draw(*args, **keywords)

    return drawn


@functools.cache
def _paper() -> Any:
    """Return what matplotlib's own style sets, without what is no matter of style."""
    return {
        key: value
        for key, value in mpl.rcParamsDefault.items()
        if key.partition(".")[0] in _STYLED
    }


_STYLED = {
    *("axes", "figure", "font", "grid", "hatch", "legend", "lines", "markers"),
    *("mathtext", "patch", "path", "savefig", "scatter", "svg", "text"),
    *("xaxis", "xtick", "yaxis", "ytick"),
}


class Chart:
    """What a function of `charts` returns.

    *axes* and *figure* are matplotlib's, to go on with; *frame* is the DataFrame that
    it was drawn from; *sentence* says with its numbers what the picture shows.  *drawn*
    are the frames of what is drawn and nothing else, if that is not all of *frame*, or
    more than it.  The picture brings its own white paper, so that it can be read on a
    dark page as well.
    """

    def __init__(
        self,
        axes: Axes,
        frame: pd.DataFrame,
        sentence: str,
        drawn: Sequence[pd.DataFrame] = (),
    ) -> None:
        self.axes = axes
        self.frame = frame
        self.sentence = sentence
        self._drawn = tuple(drawn) or (frame,)

    def __repr__(self) -> str:
        return f"{self.sentence} [{self.digest}]"

    def _repr_html_(self) -> str:
        caption = html.escape(repr(self))
        picture = base64.b64encode(self.png()).decode()
        return (
            '<figure style="margin:0">'
            f'<img alt="{caption}" style="max-width:100%;background:#fff" '
            f'src="data:image/png;base64,{picture}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )

    @property
    def figure(self) -> Figure:
        """The figure that it is drawn in."""
        return figure_of(self.axes)

    @property
    def digest(self) -> str:
        """Eight hex digits of all that is drawn: a change of any of it changes them."""
        return frame_digest(*self._drawn)

    def png(self) -> bytes:
        """Return the picture; it holds no date and no version."""
        return self._file("png", metadata={"Software": None})

    def svg(self) -> str:
        """Return the picture as SVG, the same text for the same chart."""
        with mpl.rc_context({"svg.hashsalt": "wfsim"}):
            return self._file("svg", metadata={"Date": None, "Creator": None}).decode()

    def save(self, path: str | Path) -> Path:
        """Write the picture to *path*, in the format that its suffix says.

        Raises `UsageError` for a format that there is not, and if it cannot be written.
        """
        match Path(path).suffix.lower():
            case ".svg":
                return write(path, self.svg())
            case ".png":
                return write(path, self.png())
            case suffix:
                kind = suffix.removeprefix(".") or "png"
        known = self.figure.canvas.get_supported_filetypes()
        if kind not in known:
            near = suggest(kind, known)
            raise UsageError(f"{path}: no format {kind!r}{near}")
        metadata = {"CreationDate": None} if kind == "pdf" else None
        return write(path, self._file(kind, metadata=metadata))

    def _file(self, kind: str, metadata: Any) -> bytes:
        file = io.BytesIO()
        with warnings.catch_warnings():
            # A name in a script that the font lacks is drawn as boxes.
            warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
            self.figure.savefig(
                file, format=kind, dpi=DPI, metadata=metadata,
                facecolor=self.figure.get_facecolor(),
            )  # fmt: skip
        return file.getvalue()


def figure_of(axes: Axes) -> Figure:
    """Return the whole figure that *axes* are a part of."""
    figure = axes.figure
    while isinstance(figure, SubFigure):
        figure = figure.figure
    return figure


def canvas(ax: Axes | None, width: float, height: float) -> Axes:
    """Return *ax*, or the axes of a new figure of so many inches.

    The figure is none of pyplot's: nothing shows it twice, or counts it as open.
    """
    if ax is not None:
        return ax
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def plot_width(axes: Axes) -> float:
    """Return about how many pixels wide *axes* will be drawn.

    It is not asked of matplotlib, which would have to lay the figure out first: beside
    the names of the rows there are about four fifths of it.
    """
    spec = axes.get_subplotspec()
    columns = spec.get_geometry()[1] if spec else 1
    return float(0.8 * figure_of(axes).get_figwidth() * DPI / columns)


def time_bar(
    axes: Axes,
    y: int,
    span: tuple[float, float],
    scale: float,
    style: Style,
    alpha: float = 1.0,
) -> float:
    """Draw a bar over *span*, at *scale* pixels a second, in row *y*.

    One that would be thinner than `THINNEST` is as thick as that, and one too thin for
    its hatch has a cross instead.  Returns how many pixels wide *span* is.
    """
    start, end = span
    pixels = (end - start) * scale
    edged = pixels >= EDGED
    width = max(end - start, THINNEST / scale)
    axes.barh(
        y, width, left=start, height=0.62, color=style.colour,
        hatch=style.hatch if edged else "", edgecolor="white" if edged else "none",
        linewidth=0.6 if edged else 0.0, alpha=alpha, zorder=3 if edged else 3.5,
    )  # fmt: skip
    if style.hatch and not edged:
        axes.plot(
            start + width / 2, y, "X", color=style.colour, markeredgecolor="white",
            markersize=7, markeredgewidth=0.6, zorder=4, clip_on=False,
        )  # fmt: skip
    return pixels


def row_axis(axes: Axes, labels: Sequence[str], under: str) -> None:
    """Name rows from the top on the y axis of *axes*; *under* stands below the other."""
    axes.set_yticks(range(len(labels)), distinct(labels), fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlabel(under)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", color=SHADE, linewidth=0.8)
    axes.set_axisbelow(True)


def in_decades(axis: XAxis | YAxis) -> None:
    """Make *axis* logarithmic, its numbers written as on any other: 10, 100, 1,000."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axis.set_minor_formatter(NullFormatter())


def inside(axes: Axes, x: float, y: float, text: str, style: Style) -> None:
    """Write *text* into the middle of what is drawn in *style* at (*x*, *y*)."""
    box = {"boxstyle": "round,pad=0.25", "fc": style.colour, "ec": "none"}
    axes.text(
        x, y, text, ha="center", va="center", fontsize=7.5, color=style.text, zorder=5,
        bbox=box if style.hatch else None,
    )  # fmt: skip


def legend(
    axes: Axes,
    handles: Sequence[Artist],
    gap: float = 0.5,
    title: str = "",
    most: int = 7,
) -> None:
    """Put a legend of *handles* *gap* inches below *axes*.

    It has as many columns as fit, *most* at the most.
    """
    if handles:
        longest = max(len(str(handle.get_label())) for handle in handles)
        columns = max(1, min(most, len(handles), 140 // (longest + 7)))
        below = ScaledTranslation(0.0, -gap, axes.figure.dpi_scale_trans)
        axes.legend(
            handles=list(handles),
            loc="upper left",
            bbox_to_anchor=(0.0, 0.0),
            bbox_transform=axes.transAxes + below,
            ncols=columns,
            title=title or None,
            title_fontsize=8,
            alignment="left",
            borderaxespad=0.0,
            frameon=False,
            fontsize=8,
            handlelength=1.6,
            columnspacing=1.2,
        )


def swatch(name: str, style: Style) -> Patch:
    """Return the entry of a legend for *name*."""
    return Patch(
        facecolor=style.colour, hatch=style.hatch, edgecolor="white", label=plain(name)
    )


def say_nothing(axes: Axes, text: str) -> None:
    """Write *text* into the middle of *axes* that have nothing else to show."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
