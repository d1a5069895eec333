"""The command ``wfsim reproduce``: what must have happened for a dump to look so.

Exit status: 0 when a plan fits exactly; 1 when the best one does not; 2 when the input
is wrong, before anything runs.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from wfsim.cli.explore import BizIdOption, FlowOption, begun, replay_line
from wfsim.cli.outcome import SeedOption, folder_for
from wfsim.cli.target import existing, find_target
from wfsim.errors import DefinitionError


def reproduce(
    dump: Annotated[
        Path,
        typer.Argument(help="What kubectl get configmap NAME-workflow -o yaml has."),
    ],
    target: Annotated[
        str, typer.Argument(help="The scenario that has its flows and steps.")
    ],
    state: Annotated[
        str | None, typer.Option(help="The state that the resource was in.")
    ] = None,
    faults: Annotated[
        list[str] | None,
        typer.Option(help="A kind of fault: CrashAt, FailStep, ...", metavar="KIND"),
    ] = None,
    depth: Annotated[int, typer.Option(min=1, max=2, help="Faults in a row.")] = 2,
    flow: FlowOption = None,
    biz_id: BizIdOption = None,
    seed: SeedOption = None,
    out: Annotated[Path | None, typer.Option(help="Where the plan goes: out.")] = None,
) -> None:
    """Find the smallest plan of faults that leads TARGET to what DUMP shows."""
    from wfsim.campaign.reproduce import reproduce as reproducing

    existing(dump)
    named = find_target(target)
    scenario = named.scenario()
    if flow is None and scenario.is_service and not scenario.arrivals:
        raise DefinitionError(f"{target!r} is a service: give --flow")
    folder = folder_for(named, out)
    reproduction = reproducing(
        scenario if flow is None else partial(begun, scenario, seed, flow, biz_id),
        dump,
        state=state,
        faults=faults or "all",
        depth=depth,
        seed=seed,
    )
    typer.echo(repr(reproduction))
    folder.mkdir(parents=True, exist_ok=True)
    plan = folder / "plan.yaml"
    plan.write_text(reproduction.plan, encoding="utf-8")
    typer.echo(replay_line(target, plan, flow, biz_id, seed))
    if not reproduction.is_exact:
        raise typer.Exit(1)
