"""Run a scenario or a flow file, and look at the outcome: the command wfsim.

Exit status: 0 when the run was made, whatever its outcome; 1 when ``--expect`` names a
state that a resource did not end in, or ``--strict`` meets a notice; 2 when the input is
wrong, before anything runs; 3 when the horizon has cut off what was under way.
"""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from wfsim.cli.calibrate import calibrate
from wfsim.cli.explore import explore
from wfsim.cli.new import new
from wfsim.cli.outcome import (
    ExpectOption,
    FaultsOption,
    HorizonOption,
    OutOption,
    SeedOption,
    UntilOption,
    exit_status,
    export,
    folder_for,
    limited,
    show,
)
from wfsim.cli.reproduce import reproduce
from wfsim.cli.resume import resume
from wfsim.cli.sweep import sweep
from wfsim.cli.target import Options, existing, find_target
from wfsim.errors import DefinitionError, WfsimError
from wfsim.sim.faults import CancelAt, CrashAt, FailStep, Fault
from wfsim.sim.scenario import Scenario
from wfsim.sim.simulation import Simulation
from wfsim.text import suggest

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help=__doc__.partition("\n")[0],
)


app.command()(calibrate)
app.command()(explore)
app.command()(export)
app.command()(new)
app.command()(reproduce)
app.command()(resume)
app.command()(sweep)


def _tell_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"wfsim {version('wfsim-lab')}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


@app.command()
def run(
    target: Annotated[
        str, typer.Argument(help="A scenario or flow: name, file, or job.py:scenario.")
    ],
    replicas: Annotated[
        int | None, typer.Option(min=0, max=1000, help="Read-only replicas.")
    ] = None,
    crash_at: Annotated[
        float | None, typer.Option(help="The controller dies at this second.")
    ] = None,
    restart_after: Annotated[
        float, typer.Option(help="It comes back so many seconds later.")
    ] = 10.0,
    cancel_at: Annotated[
        float | None, typer.Option(help="Somebody cancels the flow at this second.")
    ] = None,
    fail: Annotated[
        list[str] | None,
        typer.Option(help="A step that fails: NAME, or NAME:TIMES.", metavar="STEP"),
    ] = None,
    faults: FaultsOption = None,
    flow: Annotated[
        str | None, typer.Option(help="The flow to ask a service for.", metavar="NAME")
    ] = None,
    biz_id: Annotated[
        str | None, typer.Option(help="What that flow is to be about.", metavar="NAME")
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option(help="What a step without code takes: 30, '{uniform: [20, 40]}'."),
    ] = None,
    failure: Annotated[
        float | None, typer.Option(help="The probability that such a step fails.")
    ] = None,
    seed: SeedOption = None,
    until: UntilOption = None,
    horizon: HorizonOption = None,
    expect: ExpectOption = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if there are notices.")
    ] = False,
    out: OutOption = None,
) -> None:
    """Run TARGET; print states, steps and outcome; write log.jsonl and report.html."""
    named = find_target(target)
    scenario = named.scenario(Options(replicas, duration, failure))
    _check_flow(scenario, target, flow, biz_id)
    # Flows that it starts have steps of the same names; the first id is known.
    of = None if flow is None else f"1-{flow}"
    plan = _plan(crash_at, restart_after, cancel_at, fail or [], faults, of)
    _check_steps(scenario, plan)
    scenario = limited(scenario, until, horizon)
    folder = folder_for(named, out)
    sim = Simulation(scenario, seed=seed, faults=plan)
    flow_id = None if flow is None else sim.service.begin(flow, biz_id)
    sim.run(until)
    show(sim, named, folder, flow_id)
    if status := exit_status(sim, until, expect, strict):
        raise typer.Exit(status)


class Format(StrEnum):
    """Of what kind of file there is a schema."""

    FLOW = "flow"
    SCENARIO = "scenario"


@app.command()
def schema(
    of: Annotated[Format, typer.Option(help="The kind of file.")] = Format.FLOW,
) -> None:
    """Print the JSON Schema of flow or scenario files, for editors."""
    if of is Format.FLOW:
        from wfsim.files.flow_loader import flow_schema as make
    else:
        from wfsim.sim.scenario_schema import scenario_schema as make

    typer.echo(json.dumps(make(), indent=2, ensure_ascii=False))


@app.command()
def check(
    targets: Annotated[
        list[str],
        typer.Argument(
            help="Flows, scenarios, plans, folders of them, job.py:scenario.",
            metavar="TARGET",
        ),
    ],
) -> None:
    """Load flows, scenarios and plans of faults, and say what is wrong where."""
    from wfsim.cli.check import checked

    for line in checked(targets):
        typer.echo(line)


@app.command()
def serve(
    target: Annotated[
        str,
        typer.Argument(help="A scenario: name, file, job.py:scenario; or flow files."),
    ] = "tiem",
    db: Annotated[
        Path | None, typer.Option(help="An SQLite file that outlives the process.")
    ] = None,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where to listen; 0: any that is free.")
    ] = 8000,
    token: Annotated[
        str, typer.Option(help="The bearer token to ask for.", envvar="WFSIM_TOKEN")
    ] = "",
    factor: Annotated[
        float, typer.Option(help="Real seconds for each second of virtual time.")
    ] = 1.0,
    duration: Annotated[
        str | None, typer.Option(help="What a step without code takes.")
    ] = None,
    failure: Annotated[
        float | None, typer.Option(help="The probability that such a step fails.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed of every random draw.")] = 0,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Take the file from who serves it.")
    ] = False,
) -> None:
    """Serve the flows of TARGET over HTTP, until SIGTERM or Ctrl-C."""
    from wfsim.http.server import Server

    options = Options(duration=duration, failure=failure)
    scenario = find_target(target).scenario(options, service=True)
    where: dict[str, Any] = {"db": db, "host": host, "port": port}
    more: dict[str, Any] = {"factor": factor, "seed": seed, "take_over": take_over}
    server = Server(scenario, **where, token=token, **more)
    if not (token or host in ("127.0.0.1", "::1", "localhost")):
        typer.echo(f"wfsim: whoever reaches {host} may ask; set a --token", err=True)
    typer.echo(f"Listening on {server.url} (what can be asked: {server.url}/docs)")
    sys.stdout.flush()
    server.run()


def _check_flow(
    scenario: Scenario, target: str, flow: str | None, biz_id: str | None
) -> None:
    """Refuse a flow that there is nobody to ask for, and a service not asked for any."""
    if flow is None and biz_id is not None:
        raise DefinitionError("--biz-id: it says what a --flow is about; give one")
    if flow is not None and not scenario.is_service:
        raise DefinitionError(f"--flow: {target!r} is no service; it runs what it has")
    if flow is None and scenario.is_service and not scenario.arrivals:
        one_of = ", ".join(sorted(scenario.flows))
        raise DefinitionError(
            f"{target!r} is a service, which does what it is asked for: give --flow, "
            f"one of {one_of}"
        )
    if flow is not None and flow not in scenario.flows:
        near = suggest(flow, scenario.flows)
        raise DefinitionError(f"--flow: no flow {flow!r}{near}")


def _plan(
    crash_at: float | None,
    restart_after: float,
    cancel_at: float | None,
    fail: list[str],
    faults: Path | None,
    resource: str | None = None,
) -> list[Fault]:
    plan: list[Fault] = []
    if crash_at is not None:
        plan.append(CrashAt(t=crash_at, restart_after=restart_after))
    if cancel_at is not None:
        plan.append(CancelAt(t=cancel_at))
    for item in fail:
        step, _, times = item.partition(":")
        if times and not (times.isascii() and times.isdigit()):
            raise DefinitionError(f"--fail: {item!r} is not NAME or NAME:TIMES")
        plan.append(FailStep(step, times=int(times or 1), resource=resource))
    if faults is not None and existing(faults):
        from wfsim.sim.faults import load_plan

        plan += load_plan(faults)
    return plan


def _check_steps(scenario: Scenario, plan: list[Fault]) -> None:
    """Refuse a fault in a step that no flow has: it could never fire."""
    known = {step.name for flow in scenario.flows.values() for step in flow.steps}
    known |= {step.class_name for flow in scenario.flows.values() for step in flow.steps}
    for fault in plan:
        step = getattr(fault, "step", None)
        if step is not None and step not in known:
            near = suggest(step, known)
            raise DefinitionError(f"{fault!r}: no step {step!r}{near}")


def main() -> None:
    """Run the command; wrong input ends in a line, not in a traceback."""
    try:
        app()
    except WfsimError as error:
        lines = str(error).splitlines()
        sys.stderr.write("".join(f"wfsim: {line}\n" for line in lines))
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("wfsim: stopped\n")
        sys.exit(130)
