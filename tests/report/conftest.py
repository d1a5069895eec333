"""Logs to report on: a backup of three steps, on one resource or on several."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import wfsim
from wfsim.model.duration import Duration
from wfsim.model.policy import Policy, Retry

STEPS = {"TakeSnapshot": 30.0, "CopyAway": 20.0, "Verify": 5.0}


def wants_backup(resource: wfsim.Resource) -> bool:
    return "backup" in resource.annotations


def scenario(names: tuple[str, ...] = ("orders",), **more: object) -> wfsim.Scenario:
    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    machine.transition("Running", "BackingUp", when=wants_backup, run="NightlyBackup")

    @wfsim.step
    def Verify(ctx):
        yield from ctx.sleep(5.0)
        yield from ctx.update(annotations={"backup": None})

    steps = tuple(
        wfsim.Step(name, duration=Duration("constant", (seconds,)))
        for name, seconds in STEPS.items()
    )
    resources = [
        wfsim.Resource("db", name, state="Running", annotations={"backup": "now"})
        for name in names
    ]
    return wfsim.Scenario(
        resources=resources,
        machine=machine,
        flows=[wfsim.Flow("NightlyBackup", steps)],
        steps=[Verify, *map(body, ("TakeSnapshot", "CopyAway"))],
        **more,
    )


def body(name: str) -> Callable[..., object]:
    @wfsim.step(name)
    def sleep(ctx):
        yield from ctx.sleep(STEPS[name])

    return sleep


@pytest.fixture(name="scenario")
def the_scenario() -> Callable[..., wfsim.Scenario]:
    return scenario


@pytest.fixture(scope="session")
def plain() -> wfsim.EventLog:
    """Nothing went wrong."""
    return wfsim.simulate(scenario())


@pytest.fixture(scope="session")
def crashed() -> wfsim.EventLog:
    """The controller died at 40 s for 10 s, and the last step failed twice."""
    faults = [
        wfsim.CrashAt(t=40.0, restart_after=10.0),
        wfsim.FailStep("Verify", times=2),
        wfsim.FailStep("Verify", attempt=9),
    ]
    return wfsim.simulate(scenario(), faults=faults)


@pytest.fixture(scope="session")
def interrupted() -> wfsim.EventLog:
    """The last step failed until its one retry was used up, on two resources."""
    policy = Policy(retry=Retry(limit=1))
    faults = [wfsim.FailStep("Verify", times=9, resource="orders")]
    return wfsim.simulate(scenario(("orders", "users"), policy=policy), faults=faults)


@pytest.fixture(scope="session")
def empty() -> wfsim.EventLog:
    return wfsim.EventLog()
