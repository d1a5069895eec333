"""The page of statuses says what a run, its steps and its resource are called when."""

from __future__ import annotations

from pathlib import Path

import pytest

import wfsim
from tests.docs import pages

ROWS = {row[0]: row[1:] for row in pages.tables("statuses.md")["Statuses"]}
FLOW = wfsim.Flow("F", (wfsim.Step("A", duration=10), wfsim.Step("B", duration=5)))


@wfsim.step
def Wait(ctx):
    raise wfsim.Waiting(after=5)


def of_a_resource(*faults, flow=FLOW, until=None, **more):
    """A simulation of one resource, and no flow of a service."""
    sim = wfsim.Simulation(wfsim.Scenario.of_flow(flow, **more), faults=faults)
    sim.run(until=until)
    return sim, ""


def of_a_service(failure=0, cancel=None, until=None):
    """A simulation of a service, and what its flow's status is."""
    Path("f.yaml").write_text(
        "{flowName: F, retry: {limit: 0}, steps: [{stepName: A, duration: 10, failure: "
        f"{failure}}}]}}"
    )
    sim = wfsim.Simulation(wfsim.Scenario.of_flows("f.yaml"))
    flow = sim.service.begin("F", "cluster-1")
    if cancel is not None:
        sim.run(until=cancel)
        sim.service.cancel(flow)
    sim.run(until=until)
    return sim, sim.service.detail(flow).info.status


SITUATIONS = {
    "an attempt is under way": [
        lambda: of_a_resource(until=3),
        lambda: of_a_service(until=8),
    ],
    "it waits, or is polled": [
        lambda: of_a_resource(
            flow=wfsim.Flow("F", (wfsim.Step("Wait"),)), steps=[Wait], until=3
        )
    ],
    "an attempt failed, to be tried again": [
        lambda: of_a_resource(wfsim.FailStep("A"), until=0.5)
    ],
    "its controller died": [lambda: of_a_resource(wfsim.CrashAt(t=3), until=4)],
    "it stops for an operator": [lambda: of_a_resource(wfsim.InterruptStep("A"))],
    "it was cancelled, on a resource": [lambda: of_a_resource(wfsim.CancelAt(t=3))],
    "it was cancelled, in a service": [lambda: of_a_service(cancel=8)],
    "it ended well": [of_a_resource, of_a_service],
    "it failed for good, in a service": [lambda: of_a_service(failure=1)],
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_situation_is_called_as_the_page_says(situation, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for make in SITUATIONS[situation]:
        sim, flow = make()
        durable = sim.log.fold()
        (run,) = durable.mementos.values()
        there = [
            run.status.value,
            run.step.status.value,
            wfsim.tables.runs(sim.log)["status"].iloc[-1],
            wfsim.tables.steps(sim.log)["status"].iloc[-1],
            "" if flow else state(sim.resource()),
            flow and flow.value,
        ]
        said = ROWS[situation]
        wrong = [
            (was, word)
            for was, word in zip(there, said, strict=True)
            if was and word not in ("any", was)
        ]
        assert wrong == []


def state(resource: wfsim.Resource) -> str:
    """What the page calls the state of *resource*."""
    return resource.state or "unstable"
