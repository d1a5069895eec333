"""The command ``wfsim sweep``: what if, from a shell or from CI.

Exit status: 0 when all is well; 1 when a point fulfils a ``--fail-if``; 2 when the input
is wrong, before anything runs; 130 when Ctrl-C has cut the study short.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wfsim.cli.outcome import folder_for, mark
from wfsim.cli.target import existing, find_target
from wfsim.errors import DefinitionError
from wfsim.files.document import parse_document

if TYPE_CHECKING:
    import pandas as pd

    from wfsim.study.objective import Objective
    from wfsim.study.study import Study


def sweep(
    target: Annotated[
        str, typer.Argument(help="A scenario: name, file, or job.py:scenario.")
    ],
    over: Annotated[
        list[str] | None,
        typer.Option(help="What to vary: NAME=VALUE,VALUE,...", metavar="NAME=VALUES"),
    ] = None,
    replications: Annotated[int, typer.Option(min=1, help="Of each point.")] = 100,
    seed: Annotated[int, typer.Option(help="The seed of every random draw.")] = 0,
    faults: Annotated[
        Path | None, typer.Option(help="A YAML file of faults.", metavar="FILE")
    ] = None,
    flow: Annotated[
        str | None, typer.Option(help="Only runs of this flow count.", metavar="NAME")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="Stop when as precise as: 'p95 within 5 %'.", metavar="WHEN"),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Processes; -1 for all cores.")] = 1,
    cache: Annotated[
        Path | None, typer.Option(help="Keeps replications.", metavar="DIR")
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(help="Exit 1 if it holds at a point: 'p95 > 300'.", metavar="WHAT"),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(help="Say what to decide: 'total_p95 <= 7200'.", metavar="WHAT"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where frames and report go: out, or out-NAME beside another."),
    ] = None,
) -> None:
    """Simulate TARGET at many points; write frames, summary and a report."""
    from wfsim.sim.faults import load_plan
    from wfsim.study import sweep as sweeping

    named = find_target(target)
    folder = folder_for(named, out)
    gates = _checked(fail_if or (), objective)
    study = sweeping.sweep(
        named.maker(),
        _over(over or ()),
        replications=replications,
        seed=seed,
        faults=load_plan(plan) if (plan := existing(faults)) is not None else (),
        flow=flow,
        precision=precision,
        jobs=jobs,
        cache=cache,
    )
    _tell(study, folder, objective)
    mark(folder / "study.html", named)
    _exit(study, [violation for gate in gates for violation in gate.violations(study)])


def _exit(study: Study, violations: Sequence[str]) -> None:
    for violation in violations:
        typer.echo(f"Failed: {violation}")
    if study.interrupted:
        raise typer.Exit(130)
    if violations:
        raise typer.Exit(1)


def _checked(fail_if: Sequence[str], objective: str | None) -> list[Objective]:
    """Return the gates, after a look at what is needed only when all has run."""
    from wfsim.model.distributions import stats
    from wfsim.study.cache import arrow
    from wfsim.study.objective import Objective
    from wfsim.study.replication import TALLY_DTYPES

    for needed in (arrow, stats):
        needed()
    gates = [Objective.parse(text, "--fail-if") for text in fail_if]
    for gate in gates:
        gate.check(list(TALLY_DTYPES), "--fail-if")
    if objective is not None:
        Objective.parse(objective, "--objective").check(list(TALLY_DTYPES), "--objective")
    return gates


def _over(texts: Sequence[str]) -> dict[str, list[Any]] | None:
    over: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not (equals and name.strip() and values.strip()):
            raise DefinitionError(f"--over: {text!r}; write NAME=VALUE,VALUE,...")
        name = name.strip()
        if name in over:
            raise DefinitionError(f"--over: {name!r} is there twice; give it once")
        over[name] = parse_document(f"[{values}]", f"--over {name}").data
    return over or None


def _tell(study: Study, out: Path, objective: str | None) -> None:
    from rich.console import Console

    from wfsim.report import export
    from wfsim.study.summary import GROUPS

    summary = study.summary()
    typer.echo(str(study))
    out.mkdir(parents=True, exist_ok=True)
    table = _shown(summary, study)
    # A column that is cut off says nothing: a narrow terminal breaks the lines instead.
    wide = Console(width=10_000).measure(table).maximum
    console = Console(width=max(Console().width, wide), highlight=False)
    console.print(table, markup=False)
    for notice in study.notices:
        typer.echo(f"Note: {notice}")
    if study.settled is not None and not all(study.settled):
        typer.echo(
            f"Not so precise yet at {study.settled.count(False)} of "
            f"{len(study.settled)} points; give more --replications"
        )
    frames = {
        "runs": study.runs,
        "replications": study.replications,
        "steps": study.critical(),
        "utilisation": study.utilisation(),
        "summary": summary,
    }
    if len(study.runs[list(GROUPS)].drop_duplicates()) > 1:
        frames["summary_by_class"] = study.summary(by=GROUPS)
    written = [
        path for name, frame in frames.items() for path in _write(frame, out, name)
    ]
    written.append(export.study_page(study, out / "study.html"))
    if objective is not None:
        decision = study.decision(objective)
        typer.echo("\n".join((decision.answer, *decision.reasons)))
        written.append(export.decision_page(study, out / "decision.html", objective))
    typer.echo(f"Written: {', '.join(map(str, written))}")


def _write(frame: pd.DataFrame, out: Path, name: str) -> list[Path]:
    """Write *frame* as CSV and as Parquet, each whole or not at all."""
    gates = []
    for kind, save in (("csv", frame.to_csv), ("parquet", frame.to_parquet)):
        draft, path = out / f"{name}.{kind}.part", out / f"{name}.{kind}"
        save(draft, index=False)
        gates.append(draft.replace(path))
    return gates


def _shown(summary: pd.DataFrame, study: Study) -> Any:
    """Return the summary as a table to print: estimates, each with its interval."""
    from rich import box
    from rich.table import Table

    from wfsim.report.grouping import label
    from wfsim.report.text import percent
    from wfsim.study.summary import COUNTS

    measures = [name for name in summary.columns if f"{name}_low" in summary.columns]
    if summary["total"].equals(summary["mean"]):  # nobody waited for a worker
        measures = [name for name in measures if not name.startswith("total")]
    # Of what is under way at the horizon nobody knows how it ends.
    counts = [name for name in COUNTS if name == "runs" or summary[name].any()]
    table = Table(box=box.SIMPLE_HEAD)
    for name in (*study.over, *counts, *measures):
        table.add_column(name, justify="right", no_wrap=True)
    for row in summary.to_dict("records"):
        cells = [label(row[name]) for name in study.over]
        cells += [f"{row[name]:,}" for name in counts]
        for name in measures:
            number = percent if name == "success" else "{:,.1f}".format
            ends = (row[f"{name}_low"], row[f"{name}_high"])
            low, high = map(number, ends)
            cells.append(f"{number(row[name])} ({low} to {high})")
        table.add_row(*cells)
    return table
