"""One small scenario, in which a step waits, logs, fails once and is then done."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import wfsim


@wfsim.step("Prepare")
def prepare(ctx):
    ctx.log("not <b>bold</b>")
    return {"id": 7}


@wfsim.step("Attach")
def attach(ctx):
    yield from ctx.sleep(7.5)
    if ctx.attempt == 1:
        raise RuntimeError("no <i>volume</i> & none to come")
    return {"volume": "pv-7"}


def wants_backup(resource):
    return "backup" in resource.annotations


def small(*names: str) -> wfsim.Scenario:
    machine = (
        wfsim.StateMachine("db")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="Create")
        .transition("Running", "BackingUp", when=wants_backup, run="Backup")
    )
    flows = [
        wfsim.Flow("Create", (wfsim.Step("Prepare"), wfsim.Step("Attach"))),
        wfsim.Flow("Backup", (wfsim.Step("Prepare"),)),
    ]
    return wfsim.Scenario(
        resources=[wfsim.Resource("db", name, state="Creating") for name in names],
        machine=machine,
        flows=flows,
        steps=[prepare, attach],
        title="a small database",
    )


@pytest.fixture
def scenario() -> Callable[..., wfsim.Scenario]:
    """Return what makes the scenario for resources of the names given."""
    return small


@pytest.fixture
def log() -> wfsim.EventLog:
    return wfsim.simulate(small("orders"))
