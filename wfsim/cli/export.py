"""The command ``wfsim export``: a log for other readers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wfsim.cli.target import existing
from wfsim.errors import UsageError
from wfsim.text import suggest

ENDINGS = {
    "chrome": ".trace.json",
    "history": ".txt",
    "html": ".html",
    "ocel": ".ocel.json",
    "otlp": ".otlp.json",
    "xes": ".xes",
}
"""What the name of a file ends with, by the name of its format."""


def export(
    log: Annotated[Path, typer.Argument(help="A log that wfsim has written: log.jsonl.")],
    to: Annotated[
        list[str],
        typer.Option(
            help=f"The format, one of {', '.join(ENDINGS)}; may be given again.",
            metavar="FORMAT",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write, for one format; else it is beside LOG."),
    ] = None,
) -> None:
    """Write LOG for other readers.

    They are trace viewers (chrome: Perfetto; otlp: OpenTelemetry), process miners (xes,
    ocel: OCEL 2.0; history: the reference engine's recorder) and browsers (html).
    """
    from wfsim.model.log import EventLog
    from wfsim.report.export import FORMATS

    for name in to:
        if name not in FORMATS:
            raise UsageError(
                f"--to: no format {name!r}{suggest(name, FORMATS)}; there are "
                f"{', '.join(FORMATS)}"
            )
    if out is not None and len(to) > 1:
        raise UsageError("--out: it names one file; give one --to, or leave it out")
    existing(log)
    read = EventLog.from_jsonl(log)
    for name in to:
        target = log.with_name(f"{log.stem}{ENDINGS[name]}") if out is None else out
        typer.echo(FORMATS[name](read, target))
