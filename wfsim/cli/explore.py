"""The command ``wfsim explore``: every interruption of a target within a bound.

Exit status: 0 when nothing fails; 1 when something does; 2 when the input is wrong,
before anything runs; 130 when Ctrl-C has cut it short.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wfsim.cli.outcome import SeedOption, folder_for, mark
from wfsim.cli.target import find_target
from wfsim.errors import DefinitionError
from wfsim.report.text import write
from wfsim.text import suggest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wfsim.campaign.report import Report
    from wfsim.sim.faults import Fault
    from wfsim.sim.scenario import Scenario
    from wfsim.sim.simulation import Simulation


FlowOption = Annotated[
    str | None, typer.Option(help="The flow to ask a service for.", metavar="NAME")
]
BizIdOption = Annotated[
    str | None, typer.Option(help="What that flow is to be about.", metavar="NAME")
]
ButOption = Annotated[
    list[str] | None,
    typer.Option(help="A path that may differ: 'managers.*.node'.", metavar="PATH"),
]
AlikeOption = Annotated[
    list[str] | None,
    typer.Option(help="A pattern of names that may: '-ins-[0-9]+'.", metavar="REGEX"),
]
WithoutOption = Annotated[
    list[str] | None,
    typer.Option(help="An invariant that is not asked.", metavar="NAME"),
]
JunitOption = Annotated[
    Path | None,
    typer.Option(help="Write JUnit XML, too.", metavar="FILE", dir_okay=False),
]
JsonOption = Annotated[
    Path | None,
    typer.Option(help="Write the report as JSON there, too.", metavar="FILE"),
]


def explore(
    target: Annotated[
        str, typer.Argument(help="A scenario or flow: name, file, or job.py:scenario.")
    ],
    faults: Annotated[
        list[str] | None,
        typer.Option(help="A kind of fault: CrashAt, FailStep, ...", metavar="KIND"),
    ] = None,
    depth: Annotated[int, typer.Option(min=1, max=2, help="Faults in a row.")] = 1,
    budget: Annotated[
        int | None, typer.Option(min=1, help="So many points at most.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Processes; -1 for all cores.")] = 1,
    flow: FlowOption = None,
    biz_id: BizIdOption = None,
    but: ButOption = None,
    alike: AlikeOption = None,
    without: WithoutOption = None,
    seed: SeedOption = None,
    junit: JunitOption = None,
    json: JsonOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where plans and report go: out, or out-NAME beside another."),
    ] = None,
) -> None:
    """Interrupt TARGET in every way; write report.json, explore.html and plans."""
    from wfsim.campaign.explore import explore as exploring

    named = find_target(target)
    scenario = named.scenario()
    if flow is None and scenario.is_service and not scenario.arrivals:
        raise DefinitionError(f"{target!r} is a service: give --flow")
    if flow is not None and flow not in scenario.flows:
        near = suggest(flow, scenario.flows)
        raise DefinitionError(f"--flow: no flow {flow!r}{near}")
    folder = folder_for(named, out)
    report = exploring(
        scenario if flow is None else partial(begun, scenario, seed, flow, biz_id),
        faults or "all",
        depth,
        budget,
        jobs,
        seed=seed,
        but=but or (),
        alike=alike or (),
        without=without or (),
    )
    typer.echo(repr(report))
    for plan in _write(report, folder):
        typer.echo(replay_line(target, plan, flow, biz_id, seed))
    _write_too(report, junit, json)
    mark(folder / "explore.html", named)
    if report.interrupted:
        raise typer.Exit(130)
    if report.failures:
        raise typer.Exit(1)


def _write(report: Report, folder: Path) -> list[Path]:
    """Write *report* into *folder*; return the files of its plans."""
    folder.mkdir(parents=True, exist_ok=True)
    page = f"<!doctype html><meta charset=utf-8>{report.to_html()}\n"
    (folder / "report.json").write_text(report.to_json() + "\n", encoding="utf-8")
    (folder / "explore.html").write_text(page, encoding="utf-8")
    plans = []
    for number, failure in enumerate(report.failures, start=1):
        plans.append(folder / f"plan-{number}.yaml")
        plans[-1].write_text(failure.plan, encoding="utf-8")
    return plans


def replay_line(
    target: str, plan: Path, flow: str | None, biz_id: str | None, seed: int | None
) -> str:
    """Return the command that runs *target* again with the faults of *plan*."""
    given = {"flow": flow, "biz-id": biz_id, "seed": seed}
    options = "".join(f" --{name} {it}" for name, it in given.items() if it is not None)
    return f"Replay: wfsim run {target}{options} --faults {plan}"


def _write_too(report: Report, junit: Path | None, json: Path | None) -> None:
    """Write *report* where else that is wanted."""
    for file, text in ((junit, report.to_junit), (json, report.to_json)):
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            write(file, text() + "\n")


def begun(
    scenario: Scenario,
    seed: int | None,
    flow: str,
    biz_id: str | None,
    faults: Iterable[Fault],
) -> Simulation:
    """Return a simulation of the service *scenario* in which *flow* was asked for."""
    from wfsim.sim.simulation import Simulation

    sim = Simulation(scenario, seed=seed, faults=faults)
    sim.service.begin(flow, biz_id)
    return sim
