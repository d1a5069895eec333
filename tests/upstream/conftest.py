"""The two flows of the upstream tests, and a resource that runs one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import wfsim

FILES = {
    "wf1.yaml": """\
flowName: WF1
recoverFromFirstStep: true
steps:
- {className: main.Step1, stepName: Step1}
- {className: main.Step2, stepName: Step2}
""",
    "wf2.yaml": """\
flowName: WF2
steps:
- {className: main.Step1, stepName: Step1}
- {className: Group1, stepName: Group1}
""",
    "test_step_group.yaml": """\
groupName: Group1
steps:
- {className: main.GroupStep1, stepName: GroupStep1}
- {className: main.GroupStep2, stepName: GroupStep2}
""",
}
STEPS = ("Step1", "Step2", "GroupStep1", "GroupStep2")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def flows(folder: Path) -> Mapping[str, wfsim.Flow]:
    return wfsim.load_flows(folder)


def _body(name: str, deeds: list[Any]) -> Callable[..., Any]:
    """The n-th time it raises or returns the n-th of *deeds*, else the last."""
    left = list(deeds) or [None]

    def body(ctx: wfsim.StepContext) -> Any:
        yield from ctx.sleep(1.0)
        deed = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(deed, BaseException):
            raise deed
        return deed

    body.__name__ = name
    return body


def wants_rebuild(resource: wfsim.Resource) -> bool:
    return "rebuild" in resource.annotations


@pytest.fixture
def simulation(flows: Mapping[str, wfsim.Flow]) -> Callable[..., wfsim.Simulation]:
    """A simulation in which Creating runs *flow*; deeds of steps are given by name."""

    def build(
        *runs: wfsim.Memento,
        flow: str = "WF1",
        resource: wfsim.Resource | None = None,
        machine: wfsim.StateMachine | None = None,
        faults: tuple[Any, ...] = (),
        **given: Any,
    ) -> wfsim.Simulation:
        if machine is None:
            machine = wfsim.StateMachine("db").stable("Init", "Running", "Interrupt")
            machine.unstable("Creating", run=flow)
            machine.transition("Interrupt", "Rebuild", when=wants_rebuild, run="WF2")
        bodies = [_body(name, given.pop(name, [])) for name in STEPS]
        made = wfsim.Simulation(
            wfsim.Scenario(
                [resource or wfsim.Resource("db", "orders", state="Creating")],
                machine,
                given.pop("flows", list(flows.values())),
                bodies,
                **given,
            ),
            faults=faults,
        )
        for run in runs:
            made.stored.put(run)
        return made

    return build


def _subject(record: wfsim.types.Record) -> str:
    """What a row is about; a recovered run still has the error that it is rid of."""
    if record.kind is wfsim.Kind.RUN_RECOVERED:
        return record.run
    return record.text or record.step or record.run


@pytest.fixture
def rows() -> Callable[..., list[tuple[float, str, str]]]:
    """What happened, as (time, kind, text or step or run), without the beginnings."""

    def of(log: wfsim.EventLog, *kinds: str) -> list[tuple[float, str, str]]:
        return [
            (r.time, r.kind.value, _subject(r))
            for r in log
            if not r.kind.value.startswith(("controller.", "fault.", "resource.created"))
            and (not kinds or r.kind.value.startswith(kinds))
        ]

    return of
