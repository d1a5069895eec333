"""Flows that steps of a file start: waited for or not, once whatever dies."""

from __future__ import annotations

import pytest

import wfsim
from wfsim import Kind

PARENT = """
flowName: Move
bizType: cluster
steps:
  - {stepName: Drain, duration: 2}
  - {stepName: CopyAll, childFlow: Copy}
  - {stepName: TellAll, childFlow: Tell, wait: false}
  - {stepName: End, duration: 1}
"""
COPY = "flowName: Copy\nbizType: cluster\nsteps: [{stepName: CopyPage, duration: 7}]\n"
TELL = "flowName: Tell\nsteps: [{stepName: Write, duration: 300}]\n"


@pytest.fixture
def folder(tmp_path):
    for name, text in {"move": PARENT, "copy": COPY, "tell": TELL}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def moved(scenario, faults=()):
    sim = wfsim.Simulation(scenario, faults=faults)
    flow = sim.service.create("c-1", "cluster", "Move")
    sim.service.start(flow)
    sim.run()
    return sim, flow


def listed(sim):
    page = sim.service.list(page_size=100)
    return sorted((info.name, info.biz_id, info.status.value) for info in page.flows)


def test_a_step_of_a_file_starts_a_flow_and_waits_for_it_or_does_not(folder):
    sim, flow = moved(wfsim.Scenario(flows=folder))
    assert listed(sim) == [
        ("Copy", "c-1", "Finished"),
        ("Move", "c-1", "Finished"),
        ("Tell", "c-1", "Finished"),
    ]
    ends = {r.flow: r.time for r in sim.log.filter(Kind.RUN_COMPLETED)}
    assert ends["Copy"] < ends["Move"] < ends["Tell"]
    node = sim.service.detail(flow).nodes[1]
    # A look every 10 s, as in the reference.
    assert (node.name, node.finished - node.started) == ("CopyAll", 20.0)


def test_the_step_fails_if_the_flow_that_it_waits_for_does(folder):
    (folder / "copy.yaml").write_text(COPY.replace("duration: 7", "failure: 1"))
    sim, flow = moved(wfsim.Scenario(flows=folder))
    assert listed(sim) == [("Copy", "c-1", "Error"), ("Move", "c-1", "Error")]
    assert "[40102]" in sim.service.detail(flow).nodes[1].result


def test_a_crash_at_any_write_starts_no_flow_twice(folder):
    scenario = wfsim.Scenario(flows=folder)
    calm, _ = moved(scenario)
    for when in ("before", "after"):
        write, fired = 0, True
        while fired:
            write += 1
            crash = wfsim.CrashAt(write=write, when=when, restart_after=3)
            sim, _ = moved(scenario, [crash])
            assert listed(sim) == listed(calm), (write, when)
            fired = bool(sim.log.filter(Kind.FAULT_FIRED))
        assert write > 20, "every write there is"


@pytest.mark.parametrize("t", range(1, 331, 11))
def test_a_crash_at_any_time_starts_no_flow_twice(folder, t):
    scenario = wfsim.Scenario(flows=folder)
    sim, _ = moved(scenario, [wfsim.CrashAt(t=t, restart_after=3)])
    assert listed(sim) == listed(moved(scenario)[0])


def test_what_takes_a_step_back_starts_no_flow(folder):
    (folder / "copy.yaml").write_text(COPY.replace("duration: 7", "failure: 1"))
    undone = "childFlow: Copy, undo: TakeBack"
    (folder / "move.yaml").write_text(PARENT.replace("childFlow: Copy", undone))
    sim, flow = moved(wfsim.Scenario(flows=folder))
    assert listed(sim) == [("Copy", "c-1", "Error"), ("Move", "c-1", "Error")]
    assert "its undo" not in sim.service.detail(flow).nodes[1].result


def test_another_child_is_another_definition(folder):
    scenario = wfsim.Scenario(flows=folder)
    whole = scenario.flows["Move"]
    (folder / "move.yaml").write_text(PARENT.replace(", wait: false", ""))
    assert wfsim.load_flow(folder / "move.yaml").digest != whole.digest


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("childFlow: Copy", "childFlow: Coppy", "not there; did you mean 'Copy'?"),
        ("childFlow: Copy", "childFlow: Move", "waits for 'Move' in turn"),
        ("duration: 1", "duration: 1, wait: true", "starts no flow; add a childFlow"),
        ("childFlow: Copy", "childFlow: Copy, mode: polling", "childFlow and mode"),
    ],
)
def test_what_cannot_be_started_is_refused_with_its_line(folder, old, new, problem):
    (folder / "move.yaml").write_text(PARENT.replace(old, new))
    with pytest.raises(wfsim.DefinitionError) as refused:
        wfsim.Scenario(flows=folder)
    (text,) = [str(it) for it in refused.value.problems if problem in str(it)]
    assert "move.yaml:" in text


def test_flows_that_wait_for_each_other_are_refused(folder):
    (folder / "copy.yaml").write_text(
        "flowName: Copy\nbizType: cluster\nsteps: [{stepName: Back, childFlow: Move}]\n"
    )
    with pytest.raises(wfsim.DefinitionError, match="waits for 'Copy' in turn"):
        wfsim.Scenario(flows=folder)


def test_a_flow_without_a_service_can_start_none(folder):
    with pytest.raises(wfsim.DefinitionError, match="takes a service"):
        wfsim.Scenario.of_flow(folder / "move.yaml")


def test_a_step_with_code_starts_its_flows_itself(folder):
    @wfsim.step
    def CopyAll(ctx):
        return {}

    with pytest.raises(wfsim.DefinitionError, match="has code; let that start it"):
        wfsim.Scenario(flows=folder, steps=[CopyAll])
