"""A log for other readers: a page, a console, a trace viewer, a process miner.

Each function takes a `Simulation` as well, and writes the log that it has so far.
"""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wfsim.model.log import EventLog, HasLog, log_of
from wfsim.report import tables
from wfsim.report.history_file import to_history
from wfsim.report.process_mining import EPOCH, to_ocel, to_xes
from wfsim.report.spans import to_chrome_trace, to_otlp
from wfsim.report.text import cells, outcome, write

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from wfsim.report.page import DecidedStudy, SummedStudy

BAR = 40
"""How many characters wide a time line is."""

MOST_LINES = 8
"""So many notices are printed."""

MOST_ROWS = 100
"""Of a longer table a console shows the first rows only, and says so."""

_STYLES = {
    "completed": "green",
    "failed": "red",
    "interrupted": "magenta",
    "cancelled": "yellow",
    "crashed": "bold",
    "never fired": "bold red",
}
_STEP_COLUMNS = ("resource", "flow", "step", "attempt", "start", "duration", "status")


def print_report(log: EventLog | HasLog, console: Console | None = None) -> None:
    """Print state transitions, steps, faults and the outcome to *console* (None: stdout).

    Columns that say the same in every row are left out.
    """
    from rich.console import Console
    from rich.text import Text

    out = console or Console()
    log = log_of(log)
    states, steps, faults = tables.states(log), tables.steps(log), tables.faults(log)
    out.print(_table("State transitions", _shorter(states, "resource")))
    out.print(_table("Steps", _shorter(steps, "resource", "flow")[_columns(steps)]))
    if len(faults):
        out.print(_table("Faults", faults))
    text = Text(outcome(log))
    text.highlight_regex(r"\bcompleted\b", "bold green")
    text.highlight_regex(r"\b(interrupted|failed|never fired)\b", "bold red")
    out.print(text)
    print_notices(log, out)


def print_notices(log: EventLog | HasLog, console: Console | None = None) -> None:
    """Print what would be noticed too late, one notice a line, the first `MOST_LINES`."""
    from rich.console import Console

    out, notices = console or Console(), log_of(log).notices
    for notice in notices[:MOST_LINES]:
        out.print(f"Notice: {notice}", markup=False, style="yellow")
    if len(notices) > MOST_LINES:
        out.print(f"And {len(notices) - MOST_LINES} more notices.", markup=False)


def print_timeline(
    nodes: Iterable[Any], title: str, now: float, console: Console | None = None
) -> None:
    """Print when each of *nodes* of a flow ran, as a bar; one that goes on does at *now*.

    A node is anything with ``name``, ``status``, ``started`` and ``finished`` (seconds,
    None as long as it has not), such as those of ``sim.service.detail(flow).nodes``.
    """
    import pandas as pd
    from rich.console import Console

    begun = [node for node in nodes if node.started is not None]
    last = max((_end(node, now) for node in begun), default=now)
    bars = [_bar(node.started, node.finished, last) for node in begun]
    table = {
        "node": [node.name for node in begun],
        "status": [str(node.status) for node in begun],
        "start": pd.Series([node.started for node in begun], dtype=float),
        "end": pd.Series([node.finished for node in begun], dtype=float),
        f"0 to {last:.3f} s": bars,
    }
    (console or Console()).print(_table(f"Nodes of {title}", pd.DataFrame(table)))


def _end(node: Any, now: float) -> float:
    return float(now if node.finished is None else node.finished)


def _bar(started: float, finished: float | None, last: float) -> str:
    scale = BAR / last if last else 0.0
    left = min(int(started * scale), BAR - 1)
    right = BAR if finished is None else max(int(finished * scale), left + 1)
    filled = "=" * (right - left)
    return "." * left + (filled[:-1] + ">" if finished is None else filled)


def text_report(log: EventLog | HasLog, width: int = 110) -> str:
    """Return what `print_report` prints, as plain text of *width* columns."""
    from rich.console import Console

    file = StringIO()
    print_report(
        log, Console(file=file, width=width, no_color=True, legacy_windows=False)
    )
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def to_html(log: EventLog | HasLog, path: str | Path) -> Path:
    """Write a page about *log* to *path*: summary, charts, tables; no other file needed.

    Every text of the log is escaped, and it needs no network.
    """
    from wfsim.report.page import page

    return write(path, page(log_of(log)))


def study_page(study: SummedStudy, path: str | Path) -> Path:
    """Write a page about *study* to *path*: summary, charts; no other file needed.

    Raises `UsageError` if scipy (the extra ``study``) is not installed.
    """
    from wfsim.report import page

    return write(path, page.study_page(study))


def decision_page(
    study: DecidedStudy,
    path: str | Path = "decision.html",
    objective: str | None = None,
    **more: Any,
) -> Path:
    """Write a page for whoever decides, and pays, to *path*; no other file needed.

    It has the question, the answer, how sure that is, what it costs, and three charts.
    *objective* and *more* (``cost``, ``question``, ``confidence``) are what
    `Study.decision` takes.  Raises `UsageError`, and `DefinitionError` for an objective
    that is none.
    """
    from wfsim.report import page

    return write(path, page.decision_page(study, objective, **more))


def _shorter(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Return *frame* without those of *columns* that hold one value only."""
    same = [name for name in columns if frame[name].nunique() <= 1]
    return frame.drop(columns=same)


def _columns(steps: pd.DataFrame) -> list[str]:
    """Return which columns of *steps* a console has room for."""
    shorter = _shorter(steps, "resource", "flow")
    names = [name for name in _STEP_COLUMNS if name in shorter.columns]
    return [*names, *(name for name in ("error", "where") if steps[name].any())]


def _table(title: str, frame: pd.DataFrame) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold"
    )
    for name in frame.columns:
        number = frame[name].dtype.kind in "if"
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    if len(frame) > MOST_ROWS:
        table.caption = f"the first {MOST_ROWS} of {len(frame):,} rows"
    columns = [cells(frame[name].head(MOST_ROWS).tolist()) for name in frame.columns]
    for row in zip(*columns, strict=True):
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    return table


FORMATS = {
    "chrome": to_chrome_trace,
    "history": to_history,
    "html": to_html,
    "ocel": to_ocel,
    "otlp": to_otlp,
    "xes": to_xes,
}
"""What writes a log for other readers, by the name of the format."""

__all__ = [
    "EPOCH",
    "FORMATS",
    "decision_page",
    "outcome",
    "print_notices",
    "print_report",
    "print_timeline",
    "study_page",
    "text_report",
    "to_chrome_trace",
    "to_history",
    "to_html",
    "to_ocel",
    "to_otlp",
    "to_xes",
]
