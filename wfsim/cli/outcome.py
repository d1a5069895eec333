"""The outcome of a run on the command line: a page, the files, the exit status.

The command ``wfsim export`` writes more files of a log, for other readers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from wfsim.cli.target import Target, existing
from wfsim.errors import DefinitionError, UsageError
from wfsim.model.memento import Memento
from wfsim.model.record import Kind
from wfsim.report.text import check_folder
from wfsim.sim.scenario import Scenario
from wfsim.sim.simulation import Simulation
from wfsim.text import suggest

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from wfsim.model.log import EventLog

ROWS = 40
"""With more rows than so many in its tables a run is summed up instead."""
GROUPS = 12
"""How many rows a table of the summary has at most."""
ENDINGS = {
    "chrome": ".trace.json",
    "history": ".txt",
    "html": ".html",
    "ocel": ".ocel.json",
    "otlp": ".otlp.json",
    "xes": ".xes",
}
"""What the name of a file ends with, by the name of its format."""
OUT = Path("out")
CUT_OFF = 3
"""The exit status if the horizon has cut off runs that were under way."""
OutOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Where log and report go: out, or out-NAME beside another."),
]
SeedOption: TypeAlias = Annotated[
    int | None, typer.Option(help="In place of the scenario's.")
]
UntilOption: TypeAlias = Annotated[
    float | None, typer.Option(help="Stop at this second of virtual time.")
]
HorizonOption: TypeAlias = Annotated[
    float | None, typer.Option(help="The last second, in place of the scenario's.")
]
ExpectOption: TypeAlias = Annotated[
    str | None,
    typer.Option(help="State that every resource must end in; otherwise exit with 1."),
]
FaultsOption: TypeAlias = Annotated[
    Path | None, typer.Option(help="A YAML file of faults.", metavar="FILE")
]
PAGES = ("report.html", "study.html")
"""The pages that runs and sweeps write; each ends with the target that it is of."""


def folder_for(target: Target, out: Path | None) -> Path:
    """Return where what comes of *target* is written: *out*, or a folder of its own.

    Without *out* that is ``out``, or ``out-NAME`` if that has what came of another one
    or is a file.  Raises `UsageError` if it can be no folder.
    """
    if out is not None:
        return check_folder(out, "--out")
    name = re.sub(r"\W+", "-", Path(target.text).stem.rpartition(":")[2]).strip("-")
    candidates = [OUT, *(Path(f"{OUT}-{name}{end}") for end in ("", *_ENDINGS))]
    for folder in candidates:
        if folder.is_file():
            continue  # somebody else's, and no reason to do nothing
        if check_folder(folder, "--out") and not _is_of_another(folder, target):
            return folder
    raise UsageError(f"--out: {OUT} has what came of other targets; give another folder")


_ENDINGS = tuple(f"-{number}" for number in range(2, 10))


def _is_of_another(folder: Path, target: Target) -> bool:
    pages = [folder / name for name in PAGES if (folder / name).exists()]
    if not pages:
        return (folder / "log.jsonl").exists()
    comment = _comment(target).encode()
    return any(not page.read_bytes().endswith(comment) for page in pages)


def limited(scenario: Scenario, until: float | None, horizon: float | None) -> Scenario:
    """Return *scenario* with *horizon*, if one is given.

    Raises `DefinitionError` for a time that is no second from 0 on.
    """
    for name, second in (("until", until), ("horizon", horizon)):
        if second is not None and not 0 <= second < float("inf"):
            raise DefinitionError(f"--{name}: {second:g} is not a second from 0 on")
    return scenario if horizon is None else scenario.but(horizon=horizon)


def mark(page: Path, target: Target) -> None:
    """Write at the end of *page* whose outcome it shows, for `folder_for`."""
    with page.open("a", encoding="utf-8", newline="\n") as file:
        file.write(_comment(target))


def _comment(target: Target) -> str:
    text = target.text.replace("--", "- -")  # what would end the comment
    return f"<!-- of {text} -->\n"


def show(
    sim: Simulation, target: Target, folder: Path, flow_id: str | None = None
) -> None:
    """Print what has happened on a page, and write log and report into *folder*."""
    from wfsim.report import export

    console = wide_console()
    log = sim.log
    ran = {record.flow for record in log.filter(Kind.RUN_CREATED)}
    _print_some(console, _assumptions(sim.scenario, ran), "steps without code")
    _print_log(log, console)
    if flow_id is not None:
        nodes = sim.service.detail(flow_id).nodes
        export.print_timeline(nodes, flow_id, sim.now, console)
    written = [
        log.to_jsonl(folder / "log.jsonl"),
        export.to_html(log, folder / "report.html"),
    ]
    mark(folder / "report.html", target)
    console.print(f"Written: {', '.join(map(str, written))}", markup=False)
    if folder != OUT and folder.name.startswith(f"{OUT}-"):
        console.print(f"({OUT} has what came of another target.)", markup=False)


def wide_console() -> Console:
    """Return a console that is wide enough for a table of steps."""
    from rich.console import Console

    return Console(width=max(Console().width, 100), highlight=False)


def exit_status(
    sim: Simulation, until: float | None, expect: str | None, strict: bool = False
) -> int:
    """Return the status to exit with, after saying why it is not 0.

    1 if there were notices in a *strict* run, or a resource is not in the state *expect*;
    `CUT_OFF` if the horizon, rather than *until*, has cut off runs or resources that were
    under way.
    """
    if expect is not None:
        resources = sim.log.fold().resources
        ended = {name: item.state for name, item in resources.items()}
        if any(state != expect for state in ended.values()):
            known = {each for of in sim.scenario.machines.values() for each in of.states}
            known |= set(ended.values())
            near = "" if expect in known else suggest(expect, known)
            typer.echo(f"Expected {expect}; {_some_states(ended)}{near}")
            return 1
    if strict and sim.log.notices:
        typer.echo("--strict: there were notices")
        return 1
    if until is not None or not sim.is_cut_off:
        return 0
    horizon, unfinished = sim.scenario.horizon, _unfinished(sim)
    names = ", ".join(unfinished[:3])
    more = f" and {len(unfinished) - 3} more" if len(unfinished) > 3 else ""
    typer.echo(
        f"Cut off by the horizon at {horizon:g} s, with {names}{more} under way; give a "
        "later --horizon, or --until to stop there"
    )
    return CUT_OFF


def _some_states(ended: dict[str, str]) -> str:
    """Return where resources stand, or how many stand where."""
    if len(ended) <= 3:
        return ", ".join(f"{name} is {state}" for name, state in ended.items())
    counts = Counter(ended.values())
    return ", ".join(f"{number:,} are {state}" for state, number in counts.items())


def _unfinished(sim: Simulation) -> list[str]:
    """Return the runs that have not ended, as ``resource run``."""
    runs: Iterable[Memento] = sim.log.fold().mementos.values()
    return [f"{run.resource} {run.key}" for run in runs if not run.is_final]


def _print_log(log: EventLog, console: Console) -> None:
    from wfsim.report import export, tables

    states, steps, faults = tables.states(log), tables.steps(log), tables.faults(log)
    if len(states) + len(steps) + len(faults) <= ROWS:
        export.print_report(log, console)
        return
    from wfsim.report.text import outcome

    runs = tables.runs(log)
    last = states.groupby("resource", sort=False)["after"].last()
    _print_table(console, "Resources", ("state", "resources"), _counted(last))
    _print_table(
        console,
        "Runs",
        ("flow", "status", "runs", "mean s", "longest s"),
        _durations(runs, ["flow", "status"]),
    )
    _print_table(
        console,
        "Attempts of steps",
        ("flow", "step", "status", "attempts", "mean s", "longest s"),
        _durations(steps, ["flow", "step", "status"]),
    )
    if len(faults):
        rows = _counted(faults["status"])
        _print_table(console, "Faults", ("status", "faults"), rows)
    console.print(outcome(log), markup=False)
    export.print_notices(log, console)
    console.print("Each row is in report.html and in wfsim.tables of the log.")


def _counted(column: pd.Series[Any]) -> list[list[str]]:
    counts = Counter(str(value) or "deleted" for value in column)
    return [[value, f"{number:,}"] for value, number in counts.most_common()]


def _durations(frame: pd.DataFrame, by: list[str]) -> list[list[str]]:
    """Return how many rows of *frame* there are *by* columns, and how long they took."""
    frame = frame.assign(**{name: frame[name].astype(str) for name in by})
    groups = frame.groupby(by, sort=False)["duration"]
    return [
        [*map(str, key), f"{len(group):,}", *map(_seconds, (group.mean(), group.max()))]
        for key, group in groups
    ]


def _seconds(value: float) -> str:
    return "" if value != value else f"{value:,.3f}"


def _print_table(
    console: Console, title: str, columns: Sequence[str], rows: list[list[str]]
) -> None:
    from rich import box
    from rich.table import Table

    more = len(rows) - GROUPS
    caption = f"and {more} more" if more > 0 else None
    table = Table(title=title, caption=caption, box=box.SIMPLE_HEAD, title_justify="left")
    for index, name in enumerate(columns):
        is_number = all(row[index][:1].isdigit() or not row[index] for row in rows)
        table.add_column(name, justify="right" if is_number else "left")
    for row in rows[:GROUPS]:
        table.add_row(*row)
    console.print(table)


def _print_some(console: Console, lines: Sequence[str], what: str) -> None:
    for line in lines[:GROUPS]:
        console.print(line, markup=False)
    if len(lines) > GROUPS:
        console.print(f"And {len(lines) - GROUPS} more {what}.", markup=False)


def _assumptions(scenario: Scenario, ran: Collection[str]) -> list[str]:
    """Return a line for each step without code: nobody wrote its duration as code."""
    return [
        f"Step {step.name} has no code: it takes {step.duration}"
        f"{' (assumed)' if step.name in scenario.assumed else ''} and fails with "
        f"probability {step.failure or 0:g}."
        for flow in scenario.flows.values()
        if flow.name in ran
        for step in flow.steps
        if not all(name in scenario.steps for name in step.class_names)
    ]


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
