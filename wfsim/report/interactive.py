"""The interactive twin of the Gantt chart: to hover over and to zoom, with its sentence.

It is drawn by altair (the extra ``altair``), which JupyterLab shows without a network.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wfsim.errors import UsageError
from wfsim.model.log import EventLog, HasLog
from wfsim.report.chart import INK, SHADE, STATUS_COLOURS
from wfsim.report.gantt import PLOT_WIDTH, Timeline, timeline
from wfsim.report.history import outages
from wfsim.report.text import frame_digest

if TYPE_CHECKING:
    import pandas as pd

ROW = 24
"""Pixels from one row to the next."""

_COLUMNS = {
    **dict.fromkeys(("resource", "run", "step", "attempt", "status"), "N"),
    **dict.fromkeys(("start", "end", "duration", "pool_queue"), "Q"),
    **dict.fromkeys(("error", "where"), "N"),
}
"""What a bar says, by columns of `tables.steps`: a name (N) or a quantity (Q)."""


class InteractiveChart:
    """What `interactive_gantt` returns.

    *chart* is altair's, to go on with; *frame* is the DataFrame that it shows, *sentence*
    says what it shows, and *digest* is eight hex digits of all of it: as of a `Chart`.
    """

    def __init__(
        self, chart: Any, frame: pd.DataFrame, sentence: str, drawn: Sequence[Any]
    ) -> None:
        self.chart = chart
        self.frame = frame
        self.sentence = sentence
        self.digest = frame_digest(*drawn)

    def __repr__(self) -> str:
        return f"{self.sentence} [{self.digest}]"

    def _repr_mimebundle_(self, **keywords: Any) -> dict[str, Any]:
        """Return what a notebook shows: the chart, and the sentence in its place."""
        shown = self.chart.to_dict()
        kind = f"application/vnd.vegalite.v{_major(shown['$schema'])}.json"
        return {kind: shown, "text/plain": repr(self)}

    def save(self, path: str | Path) -> Path:
        """Write the chart to *path*: a page (.html) or its text (.json).

        The page loads its scripts from the network.  Raises `UsageError` for another
        suffix.
        """
        target = Path(path)
        if target.suffix.lower() not in (".html", ".json"):
            raise UsageError(
                f"{target.name}: an interactive chart is saved as .html or .json; a "
                "picture is wfsim.charts.gantt(log).save(...)"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        self.chart.save(str(target))
        return target


def interactive_gantt(log: EventLog | HasLog) -> InteractiveChart:
    """Draw what `charts.gantt` draws, with its rows and its sentence, to hover over.

    A bar says which attempt it is, when it began and ended and what it failed with; so do
    the lines of crashes and the marks of faults.  The wheel zooms, dragging moves.
    The frame is that of `tables.steps`, of the runs that are drawn.  Raises `UsageError`
    if altair (the extra ``altair``) is not installed.
    """
    try:
        import altair
    except ImportError as error:
        raise UsageError(
            "an interactive chart needs altair; pip install 'wfsim-lab[altair]'"
        ) from error
    of = timeline(log, PLOT_WIDTH)
    has_faults = bool(of.faults)
    labels = ["faults"] * has_faults + [row.label for row in of.rows]
    y = _rows(altair, labels)
    x = altair.X("start:Q", title="virtual time [s]").scale(domain=of.span, nice=False)
    outage = altair.Chart(_values(altair, _outages(of))).mark_rect(color=SHADE)
    crash = altair.Chart(_values(altair, _marks(of.crashes, "crash of")))
    fault = altair.Chart(_values(altair, _marks(of.faults, "fault")))
    zoom = altair.selection_interval(name="zoom", bind="scales", encodings=["x"])
    layers = {
        "outages": outage.encode(
            x=x, x2="end:Q", tooltip=["no controller from:Q", "to:Q"]
        ),
        "attempts": _bars(altair, of, has_faults, x, y).add_params(zoom),
        "crashes": crash.mark_rule(color=INK, strokeDash=[5, 3]).encode(
            x=x, tooltip=["crash of:N", "at:Q"]
        ),
        "faults": fault.mark_point(
            shape="triangle-down", color=INK, filled=True, size=60
        ).encode(x=x, y=y, tooltip=["fault:N", "at:Q"]),
    }
    chart = (
        # Without names altair numbers them, over all charts of a process.
        altair.layer(
            *(layer.properties(name=name) for name, layer in layers.items())
        ).properties(
            width=round(PLOT_WIDTH),
            height=ROW * max(len(labels), 2),
            background="white",
            description=of.sentence,
        )
    )
    return InteractiveChart(chart, of.frame, of.sentence, of.parts)


def _rows(altair: Any, labels: Sequence[str]) -> Any:
    """Return the axis of the rows: numbers, since several may have the same label."""
    named = f"{json.dumps(list(labels))}[datum.value]"
    axis = altair.Axis(labelExpr=named, title=None, labelLimit=320, ticks=False)
    return altair.Y("row:O", axis=axis).scale(domain=[*range(len(labels))])


def _bars(altair: Any, of: Timeline, has_faults: bool, x: Any, y: Any) -> Any:
    """Return the attempts, none of them thinner than its outline of two pixels."""
    rows = [
        {"row": number, **_finite(attempt, of.span)}
        for number, row in enumerate(of.rows, start=int(has_faults))
        if row.attempts is not None
        for attempt in row.attempts.to_dict("records")
    ]
    present = [s for s in STATUS_COLOURS if any(row["status"] == s for row in rows)]
    colours = altair.Scale(domain=present, range=[STATUS_COLOURS[s] for s in present])
    known = {name for row in rows for name, value in row.items() if value != ""}
    colour = altair.Color("status:N", scale=colours, title=None)
    return (
        altair.Chart(_values(altair, rows))
        .mark_bar(strokeWidth=2, height=ROW * 0.62)
        .encode(
            x=x,
            x2="end:Q",
            y=y,
            color=colour.legend(orient="bottom"),
            stroke=altair.Stroke("status:N", scale=colours, legend=None),
            tooltip=[
                f"{name}:{kind}" for name, kind in _COLUMNS.items() if name in known
            ],
        )
    )


def _finite(attempt: dict[Hashable, Any], span: tuple[float, float]) -> dict[str, Any]:
    """Return what a bar says of *attempt*; one that is open ends with the chart."""
    row = {name: attempt[name] for name in _COLUMNS}
    for name, otherwise in (("start", span[0]), ("end", span[1]), ("duration", None)):
        if math.isnan(row[name]):
            row[name] = otherwise
    return row


def _marks(marks: Sequence[tuple[float, str]], name: str) -> list[dict[str, Any]]:
    return [{"row": 0, "start": time, "at": time, name: text} for time, text in marks]


def _outages(of: Timeline) -> list[dict[str, Any]]:
    ends = [
        (outage.since, min(outage.until, of.span[1]))
        for outage in outages(of.log)
        if of.crashes and outage.since < of.span[1]
    ]
    return [
        {"start": since, "end": until, "no controller from": since, "to": until}
        for since, until in ends
    ]


def _values(altair: Any, rows: list[dict[str, Any]]) -> Any:
    """Return *rows* as the data of a chart; altair refuses frames beyond 5,000 rows."""
    return altair.Data(values=rows)


def _major(schema: str) -> str:
    """Return the version in the address of a schema, ``.../vega-lite/v5.20.1.json``."""
    return schema.rpartition("/v")[2].partition(".")[0]
