"""The command ``wfsim``: run a scenario or a flow file, look at the outcome.

Exit status: 0 when the run was made, whatever its outcome; 1 when ``--expect`` names a
state that a resource did not end in; 2 when the input is wrong, before anything runs.
"""

from __future__ import annotations

import inspect
import json
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer

from wfsim.errors import DefinitionError, WfsimError
from wfsim.model.duration import Duration
from wfsim.model.machine import did_you_mean
from wfsim.model.policy import Policy
from wfsim.sim.faults import CancelAt, CrashAt, FailStep, Fault
from wfsim.sim.scenario import Scenario
from wfsim.sim.simulation import simulate

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help=__doc__.partition("\n")[0],
)


@app.callback()
def _root() -> None:
    """Run a real workflow engine on a virtual clock, against fake resources."""


@app.command()
def run(
    target: Annotated[str, typer.Argument(help="A scenario's name, or a flow file.")],
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
    faults: Annotated[
        Path | None, typer.Option(help="A YAML file of faults.", metavar="FILE")
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option(help="What a step without code takes: 30, '{uniform: [20, 40]}'."),
    ] = None,
    failure: Annotated[
        float | None, typer.Option(help="The probability that such a step fails.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed of every random draw.")] = 0,
    until: Annotated[
        float | None, typer.Option(help="Stop at this second of virtual time.")
    ] = None,
    expect: Annotated[
        str | None, typer.Option(help="Exit with 1 unless every resource ends so.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where log and report go.")] = Path("out"),
) -> None:
    """Run TARGET; print states, steps and outcome; write log.jsonl and report.html."""
    from rich.console import Console

    from wfsim.report import export

    scenario = _scenario(target, replicas=replicas, duration=duration, failure=failure)
    plan = _plan(crash_at, restart_after, cancel_at, fail or [], faults)
    _check_steps(scenario, plan)
    if until is not None and not 0 <= until < float("inf"):
        raise DefinitionError(f"--until: {until:g} is not a second from 0 on")
    log = simulate(scenario, plan, seed, until=until)
    console = Console(width=max(Console().width, 100), highlight=False)
    for line in _told(scenario):
        console.print(line, markup=False)
    export.print_report(log, console)
    written = [log.to_jsonl(out / "log.jsonl"), export.to_html(log, out / "report.html")]
    console.print(f"Written: {', '.join(map(str, written))}", markup=False)
    ended = {name: item.state for name, item in log.fold().resources.items()}
    if expect is not None and any(state != expect for state in ended.values()):
        console.print(f"Expected {expect}; ended in {ended}", markup=False)
        raise typer.Exit(1)


@app.command()
def schema() -> None:
    """Print the JSON Schema of flow files, for editors."""
    from wfsim.model.loading import flow_schema

    typer.echo(json.dumps(flow_schema(), indent=2, ensure_ascii=False))


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(help="A folder of flow files, or one file.")],
) -> None:
    """Load flow files and say what is wrong where."""
    from wfsim.model.loading import load_flow, load_flows

    if folder.is_dir():
        flows = load_flows(folder)
    else:
        flow = load_flow(folder)
        flows = {flow.name: flow}
    for flow in flows.values():
        steps = f"{len(flow.steps)} steps, {flow.digest}"
        typer.echo(f"{flow.source.path}: {flow.name}, {steps}")


@app.command()
def calibrate(
    history: Annotated[
        Path, typer.Argument(help="mpd_workflow.txt, log.jsonl, .xes, .csv or SQLite.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Where the numbers go, as YAML.", metavar="FILE")
    ] = None,
    flow: Annotated[
        Path | None, typer.Option(help="A flow file that is written with them.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="What a CSV has where: step=activity.", metavar="KEY=COLUMN"),
    ] = None,
    waiting: Annotated[str, typer.Option(help="apart or included")] = "apart",
    resumed: Annotated[str, typer.Option(help="observed or left out")] = "observed",
) -> None:
    """Fit durations and failures to what HISTORY tells; print them, write YAML."""
    import wfsim

    wrong = [item for item in column or () if "=" not in item]
    if wrong:
        raise DefinitionError(f"--column: {wrong[0]!r} is not KEY=COLUMN")
    columns = dict(item.split("=", 1) for item in column or ()) or None
    past = wfsim.read_history(history, columns=columns)
    for problem in past.problems:
        typer.echo(f"wfsim: {problem}", err=True)
    choices: Any = {"waiting": waiting, "resumed": resumed}
    found = wfsim.calibrate(past, **choices)
    typer.echo(f"{past!r}\n{found.text()}")
    if out is not None:
        typer.echo(f"Written: {found.to_yaml(out, flow)}")


def _scenario(
    target: str, *, replicas: int | None, duration: str | None, failure: float | None
) -> Scenario:
    if target.endswith((".yaml", ".yml")) or Path(target).is_file():
        if replicas is not None:
            raise DefinitionError(f"--replicas: the flow file {target} has no replicas")
        return Scenario.of_flow(
            target, duration=_duration(duration), failure=failure or 0.0, policy=Policy()
        )
    for name, value in (("--duration", duration), ("--failure", failure)):
        if value is not None:
            raise DefinitionError(f"{name}: only a flow file has steps without code")
    found = {entry.name: entry for entry in entry_points(group="wfsim.scenarios")}
    if target not in found:
        raise DefinitionError(
            f"no scenario {target!r}{did_you_mean(target, found)} (or give a flow file)"
        )
    make = found[target].load()
    given: dict[str, Any] = {} if replicas is None else {"replicas": replicas}
    unknown = [name for name in given if name not in inspect.signature(make).parameters]
    if unknown:
        raise DefinitionError(f"--{unknown[0]}: the scenario {target!r} does not take it")
    scenario: Scenario = make(**given)
    return scenario


def _duration(text: str | None) -> Duration:
    from wfsim.engine.steps import DEFAULT_DURATION
    from wfsim.model.document import parse_document

    if text is None:
        return DEFAULT_DURATION
    try:
        return Duration.parse(parse_document(text, "--duration").data)
    except ValueError as error:
        raise DefinitionError(f"--duration: {error}") from error


def _plan(
    crash_at: float | None,
    restart_after: float,
    cancel_at: float | None,
    fail: list[str],
    faults: Path | None,
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
        plan.append(FailStep(step, times=int(times or 1)))
    if faults is not None:
        from wfsim.sim.plan_file import load_plan

        plan += load_plan(faults)
    return plan


def _check_steps(scenario: Scenario, plan: list[Fault]) -> None:
    """Refuse a fault in a step that no flow has: it could never fire."""
    known = {step.name for flow in scenario.flows.values() for step in flow.steps}
    known |= {step.class_name for flow in scenario.flows.values() for step in flow.steps}
    for fault in plan:
        step = getattr(fault, "step", None)
        if step is not None and step not in known:
            near = did_you_mean(step, known)
            raise DefinitionError(f"{fault!r}: no step {step!r}{near}")


def _told(scenario: Scenario) -> list[str]:
    """Say what steps without code take, since nobody wrote that down as code."""
    return [
        f"Step {step.name} has no code: it takes {step.duration}"
        f"{' (assumed)' if step.name in scenario.assumed else ''} and fails with "
        f"probability {step.failure or 0:g}."
        for flow in scenario.flows.values()
        for step in flow.steps
        if step.class_name not in scenario.steps
    ]


def main() -> None:
    """Run the command; wrong input is told in a line, not in a traceback."""
    try:
        app()
    except WfsimError as error:
        lines = str(error).splitlines()
        sys.stderr.write("".join(f"wfsim: {line}\n" for line in lines))
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("wfsim: stopped\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
