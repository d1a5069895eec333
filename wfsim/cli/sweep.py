"""The command ``wfsim sweep``: what if, from a shell or from CI.

Exit status: 0 when all is well; 1 when a point fulfils a ``--fail-if``; 2 when the input
is wrong, before anything runs; 130 when Ctrl-C has cut the study short.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wfsim.errors import DefinitionError
from wfsim.model.document import parse_document
from wfsim.model.machine import did_you_mean
from wfsim.sim.scenario_loading import installed

if TYPE_CHECKING:
    import pandas as pd

    from wfsim.study.objective import Objective
    from wfsim.study.study import Study


def sweep(
    target: Annotated[str, typer.Argument(help="A scenario's name, or a file.")],
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
        typer.Option(help="Stop when known so well: 'p95 within 5 %'.", metavar="WHEN"),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Processes; -1 for all cores.")] = 1,
    cache: Annotated[
        Path | None, typer.Option(help="Keeps replications.", metavar="DIR")
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(help="Exit with 1 if so at a point: 'p95 > 300'.", metavar="WHAT"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where frames and report go.")] = Path("out"),
) -> None:
    """Simulate TARGET at many points; write frames, summary and a report."""
    from wfsim.sim.plan_file import load_plan
    from wfsim.study import sweep as sweeping

    gates = _checked(fail_if or (), out)
    study = sweeping.sweep(
        maker(target),
        _over(over or ()),
        replications=replications,
        seed=seed,
        faults=load_plan(faults) if faults is not None else (),
        flow=flow,
        precision=precision,
        jobs=jobs,
        cache=cache,
    )
    _tell(study, out)
    violations = [said for gate in gates for said in gate.violations(study)]
    for said in violations:
        typer.echo(f"Failed: {said}")
    if study.interrupted:
        raise typer.Exit(130)
    if violations:
        raise typer.Exit(1)


def _checked(fail_if: Sequence[str], out: Path) -> list[Objective]:
    """Return the gates, after a look at what is needed only when all has run."""
    from wfsim.model.distributions import stats
    from wfsim.report.files import check_folder
    from wfsim.study.cache import arrow
    from wfsim.study.objective import Objective
    from wfsim.study.replication import TALLY_DTYPES

    for needed in (arrow, stats):
        needed()
    check_folder(out, "--out")
    gates = [Objective.parse(text) for text in fail_if]
    for gate in gates:
        gate.check(list(TALLY_DTYPES))
    return gates


def maker(target: str) -> str | Callable[..., Any]:
    """Return what makes the scenarios of *target*, a file or a scenario's name.

    Raises `DefinitionError` for a name that no package has registered.
    """
    if target.endswith((".yaml", ".yml")) or Path(target).is_file():
        return target
    found = installed()
    if target not in found:
        near = did_you_mean(target, found)
        raise DefinitionError(f"no scenario {target!r}{near} (or give a file)")
    make: Callable[..., Any] = found[target].load()
    return make


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


def _tell(study: Study, out: Path) -> None:
    from rich.console import Console

    from wfsim.report import export

    summary = study.summary()
    typer.echo(repr(study))
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
            f"Not known so well yet at {study.settled.count(False)} of "
            f"{len(study.settled)} points; give more --replications"
        )
    frames = {
        "runs": study.runs,
        "replications": study.replications,
        "steps": study.critical(),
        "utilisation": study.utilisation(),
        "summary": summary,
    }
    written = [
        path for name, frame in frames.items() for path in _write(frame, out, name)
    ]
    written.append(export.study_page(study, out / "study.html"))
    typer.echo(f"Written: {', '.join(map(str, written))}")


def _write(frame: pd.DataFrame, out: Path, name: str) -> list[Path]:
    """Write *frame* as CSV and as Parquet, each whole or not at all."""
    found = []
    for kind, save in (("csv", frame.to_csv), ("parquet", frame.to_parquet)):
        draft, path = out / f"{name}.{kind}.part", out / f"{name}.{kind}"
        save(draft, index=False)
        found.append(draft.replace(path))
    return found


def _shown(summary: pd.DataFrame, study: Study) -> Any:
    """Return the summary as a table to print: estimates, each with its interval."""
    from rich import box
    from rich.table import Table

    from wfsim.report.grouping import label
    from wfsim.study.study import COUNTS

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
            number = "{:.1%}" if name == "success" else "{:,.1f}"
            ends = (row[f"{name}_low"], row[f"{name}_high"])
            low, high = map(number.format, ends)
            cells.append(f"{number.format(row[name])} ({low} to {high})")
        table.add_row(*cells)
    return table
