"""The command ``wfsim resume``: what a controller would do with a dump of mementos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wfsim.cli.outcome import (
    ExpectOption,
    FaultsOption,
    HorizonOption,
    OutOption,
    SeedOption,
    UntilOption,
    exit_status,
    folder_for,
    limited,
    show,
    wide_console,
)
from wfsim.cli.target import existing, find_target
from wfsim.errors import UsageError
from wfsim.model.memento import Memento, Quarantined, RunStatus, StepStatus
from wfsim.model.record import Kind
from wfsim.model.resource import INTERRUPT
from wfsim.sim.simulation import Simulation

if TYPE_CHECKING:
    from wfsim.files.configmap import Caretaker
    from wfsim.model.log import EventLog


def resume(
    dump: Annotated[
        Path,
        typer.Argument(help="What kubectl get configmap NAME-workflow -o yaml has."),
    ],
    target: Annotated[
        str, typer.Argument(help="The scenario that has its flows and steps.")
    ],
    faults: FaultsOption = None,
    seed: SeedOption = None,
    recover: Annotated[
        bool, typer.Option("--recover", help="An operator recovers what is interrupted.")
    ] = False,
    until: UntilOption = None,
    horizon: HorizonOption = None,
    expect: ExpectOption = None,
    out: OutOption = None,
) -> None:
    """Go on from the mementos in DUMP, as a controller of TARGET that starts would."""
    from wfsim.files.configmap import load_mementos
    from wfsim.sim.faults import load_plan

    existing(dump)
    named = find_target(target)
    scenario = limited(named.scenario(), until, horizon)
    plan = load_plan(faults) if faults is not None and existing(faults) else ()
    folder = folder_for(named, out)
    mementos = load_mementos(dump)
    if not (len(mementos) or mementos.quarantined):
        raise UsageError(f"{dump}: there is no run of a flow in it")
    simulation = Simulation.resume(scenario, mementos, seed=seed, faults=plan)
    if recover:
        for run in mementos[-1:]:
            if simulation.resource(str(run.resource)).state == INTERRUPT:
                simulation.recover(str(run.resource))
    simulation.run(until)
    _print_decisions(mementos, simulation.log)
    show(simulation, named, folder)
    if status := exit_status(simulation, until, expect):
        raise typer.Exit(status)


def _print_decisions(mementos: Caretaker, log: EventLog) -> None:
    """Print of each run of the dump where it stands, and what the controller does."""
    from rich import box
    from rich.table import Table

    table = Table(
        title=f"Runs of {mementos.resource} in the dump",
        box=box.SIMPLE_HEAD,
        title_justify="left",
    )
    for name in ("run", "status", "steps done"):
        table.add_column(name, no_wrap=True)
    table.add_column("what a controller does")
    for entry in (*mementos, *mementos.quarantined):
        if isinstance(entry, Quarantined):
            decision = f"is quarantined and left as it is: {entry.reason}"
            table.add_row(entry.key, "", "", decision)
            continue
        done = sum(step.status is StepStatus.COMPLETED for step in entry.steps)
        steps = f"{done} of {len(entry.steps)}"
        table.add_row(entry.key, entry.status.value, steps, _decision(entry, log))
    wide_console().print(table)


def _decision(run: Memento, log: EventLog) -> str:
    """Return what the controller did first with *run*, read off the *log*."""
    for record in log.filter(resource=str(run.resource), run=run.key):
        kind = record.kind
        if kind is Kind.RUN_QUARANTINED:
            return f"is quarantined and left as it is: {record.text}"
        if kind is Kind.STEP_STARTED:
            which = f" (attempt {record.attempt})" if record.attempt else ""
            return f"goes on with {record.step}{which}"
        if kind is Kind.RUN_COMPLETED and run.status is not RunStatus.COMPLETED:
            return "completes it: no step is left"
        if kind is Kind.RUN_INTERRUPTED and run.status is not RunStatus.INTERRUPTED:
            return f"interrupts it: {record.text}"
        if kind is Kind.RUN_SUPERSEDED and run.status is not RunStatus.SUPERSEDED:
            return "gives it up for a run of another flow"
        if kind is Kind.RUN_CANCELLED and run.status is not RunStatus.CANCELLED:
            return "cancels it"
    if run.status is RunStatus.INTERRUPTED:
        why = ": ".join(filter(None, (run.reason, run.error)))
        return f"waits for an operator (give --recover): {why}"
    if run.is_final:
        return "nothing: it has ended"
    return "nothing until something happens: see the report"
