"""The command ``wfsim calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from wfsim.errors import DefinitionError


def calibrate(
    history: Annotated[
        Path, typer.Argument(help="shared_workflow.txt, log.jsonl, .xes, .csv or SQLite.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Where the numbers go, as YAML.", metavar="FILE")
    ] = None,
    flow: Annotated[
        Path | None, typer.Option(help="A flow file that is written with them.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="Column of a CSV by key: step=activity.", metavar="KEY=COLUMN"),
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="Between the cells of a CSV.", metavar="MARK")
    ] = None,
    decimal: Annotated[
        str | None, typer.Option(help="The mark before fractions.", metavar="MARK")
    ] = None,
    date_format: Annotated[
        str | None, typer.Option(help="Such as '%d/%m/%Y %H:%M'.", metavar="FORMAT")
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="Of numbers that are times: ms, s, ...")
    ] = None,
    waiting: Annotated[str, typer.Option(help="apart or included")] = "apart",
    failed: Annotated[
        str, typer.Option(help="left out, observed or censored")
    ] = "left out",
    resumed: Annotated[str, typer.Option(help="observed or left out")] = "observed",
    candidate: Annotated[
        list[str] | None,
        typer.Option(help="Try only this distribution (repeatable).", metavar="NAME"),
    ] = None,
    confidence: Annotated[
        float, typer.Option(help="Confidence of the intervals.")
    ] = 0.95,
) -> None:
    """Fit durations and failures to what HISTORY tells; print them, write YAML."""
    from wfsim.history.calibration import calibrate as fitted
    from wfsim.history.read import read_history

    columns = _columns(column or [])
    marks: Any = {"delimiter": delimiter, "decimal": decimal}
    times: Any = {"date_format": date_format, "unit": unit}
    runs = read_history(history, columns=columns, **marks, **times)
    for problem in runs.problems:
        typer.echo(f"wfsim: {problem}", err=True)
    choices: Any = {"waiting": waiting, "failed": failed, "resumed": resumed}
    if candidate:
        choices["candidates"] = candidate
    calibration = fitted(runs, confidence=confidence, **choices)
    typer.echo(f"{runs!r}\n{calibration.text()}")
    if out is not None:
        typer.echo(f"Written: {calibration.to_yaml(out, flow)}")


def _columns(pairs: list[str]) -> dict[str, str] | None:
    """Return the columns that *pairs*, each KEY=COLUMN, name; None if there are none."""
    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise DefinitionError(f"--column: {wrong[0]!r} is not KEY=COLUMN")
    return dict(pair.split("=", 1) for pair in pairs) or None
