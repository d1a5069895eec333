"""Rows of TiUniManager's tests of its service that nothing else answers."""

from __future__ import annotations

import pytest

import wfsim
from wfsim import Flow, Simulation, Step
from wfsim.engine.service import WorkflowService
from wfsim.errors import ServiceError, Unavailable
from wfsim.sim.storage import immediately


@wfsim.step
def Look(ctx):
    return None


@pytest.fixture
def sim():
    """A service with one flow of one node."""
    return Simulation(
        wfsim.Scenario(flows=[Flow("Check", (Step("Look"),))], steps=[Look])
    )


class Deaf:
    """A store of flows that does not answer."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    def get(self, key):
        raise Unavailable("no answer")
        yield


@pytest.mark.parametrize("verb", ["start", "stop", "cancel"])
def test_a_request_whose_store_does_not_answer_says_so_and_changes_nothing(sim, verb):
    flow = sim.service.create("c1", "cluster", "Check")
    deaf = WorkflowService(sim.clock, Deaf(sim.resources), sim.stored, sim.flows)
    before = sim.resource(flow)
    with pytest.raises(Unavailable, match="no answer"):
        immediately(getattr(deaf, verb)(flow))
    assert sim.resource(flow) == before


@pytest.mark.parametrize("verb", ["detail", "start", "stop", "cancel"])
@pytest.mark.parametrize("name", ["", "1-Chekc"])
def test_an_empty_id_is_as_unknown_as_any_other(sim, verb, name):
    sim.service.create("c1", "cluster", "Check")
    with pytest.raises(ServiceError, match=f"no flow '{name}'") as caught:
        getattr(sim.service, verb)(name)
    assert (caught.value.code, caught.value.http) == (9996, 404)


def test_a_flow_without_nodes_is_shown_with_the_names_of_those_to_come(sim):
    flow = sim.service.create("c1", "cluster", "Check")
    found = sim.service.detail(flow)
    assert (found.info.id, found.nodes, found.node_names) == (flow, (), ("Look",))


def test_two_that_write_into_one_context_at_once_lose_nothing(sim):
    flow = sim.service.create("c1", "cluster", "Check", tenant="acme")
    update, once = sim.resources.update, []

    def overtaken(resource, token=None):
        if not once:
            once.append(resource)
            other = sim.plane.service.init_context(flow, "second", 2, tenant="acme")
            yield from other
        return (yield from update(resource, token))

    sim.resources.update = overtaken
    sim.service.init_context(flow, "first", 1, tenant="acme")
    assert sim.resource().spec["context"] == {
        "Em-X-Tenant-Id": "acme",
        "first": 1,
        "second": 2,
    }


def test_a_key_that_is_not_in_the_context_is_missing_and_not_zero():
    seen = []

    @wfsim.step("Look")
    def look(ctx):
        seen.append("hosts" in ctx.inputs)
        return {"hosts": ctx.inputs["hosts"]}

    made = wfsim.Scenario(flows=[Flow("Check", (Step("Look"),))], steps=[look])
    sim = Simulation(made)
    flow = sim.service.begin("Check")
    sim.run()
    assert seen == [False]
    assert sim.service.detail(flow).info.error == "KeyError: 'hosts'"


def test_an_operation_is_looked_at_864000_times_and_then_it_is_too_late():
    looks = []

    @wfsim.step("Look")
    def launch(ctx):
        return {"operation": "op-1"}

    @launch.poll
    def look(ctx, operation):
        looks.append(ctx.clock.now)

    # The limit is tested with its last ten looks: a restart after 30 days skips the rest.
    month = 3.0 * 864_000
    flow = Flow("Check", (Step("Look", polling=wfsim.Polling()),))
    made = wfsim.Scenario(flows=[flow], steps=[launch], horizon=2 * month)
    crash = wfsim.CrashAt(t=6.0, restart_after=month - 31.0)
    sim = Simulation(made, faults=[crash])
    flow_id = sim.service.begin("Check")
    sim.run()
    (node,) = sim.service.detail(flow_id).nodes
    # Launched at 5 s; the first look would be 3 s later, and this one the 864,001st.
    assert node.finished == 5.0 + month + 3.0
    assert looks[-1] == 5.0 + month
    assert "[40105]" in node.result
    assert "is under way after 864000 polls" in node.result
