"""Whatever is asked of flows, and whenever the service dies: what always holds."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

import wfsim
from wfsim import Flow, Memento, Policy, Polling, Simulation, Step
from wfsim.errors import ServiceError

FLOW = Flow(
    "W",
    (
        Step("A", on_success="P", on_failure="F", on_cancel="C"),
        Step("P", polling=Polling(), on_success="B", on_failure="F"),
        Step("B", on_failure="F"),
        Step("F"),
        Step("C"),
    ),
)
DEEDS = ("start", "stop", "cancel", "crash", "set")
ENDED = ("Finished", "Error", "Canceled")


def scenario(policy, takes, fails, at_work):
    """A flow whose steps note in *at_work* that no other of their run is."""

    def body(name):
        @wfsim.step(name)
        def run(ctx):
            assert at_work.setdefault(ctx.run, name) == name, (ctx.run, at_work)
            try:
                yield from ctx.sleep(takes.get(name, 1.0))
            finally:
                del at_work[ctx.run]
            if ctx.draw("fails") < fails:
                raise OSError("full")
            return {"operation": "op"} if name == "P" else {"by": name}

        if name == "P":
            run.poll(lambda ctx, operation: ctx.clock.now % 17 > 9)
        return run

    return wfsim.Scenario(flows=[FLOW], steps=map(body, "APBFC"), policy=policy)


def act(sim, deed, flow):
    if deed == "crash":
        sim.crash()
        sim.run(for_=3)
        sim.restart()
    elif deed == "set":
        sim.service.init_context(flow, "now", sim.now)
    else:
        with suppress(ServiceError):
            getattr(sim.service, deed)(flow)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 0.5, 2.5, 5, 7, 11]),
            st.sampled_from(DEEDS),
            st.integers(0, 2),
        ),
        max_size=8,
    ),
    st.fixed_dictionaries(
        {"A": st.sampled_from([0, 3, 5, 12]), "B": st.sampled_from([0, 5, 20])}
    ),
    st.sampled_from([0.0, 0.3]),
    st.sampled_from([1, None]),
    st.sampled_from([0.0, 2.0, 5.0]),
    st.integers(1, 2),
)
def test_a_flow_that_is_started_ends_with_one_node_at_work_at_a_time(
    deeds, takes, fails, nodes, tick, controllers
):
    at_work = {}
    policy = Policy.service(nodes_per_tick=nodes, watch_tick=tick)
    sim = Simulation(scenario(policy, takes, fails, at_work), controllers=controllers)
    flows = [sim.service.create("c1", "cluster", "W") for _ in range(3)]
    for flow in flows:
        sim.service.start(flow)
    for pause, deed, index in deeds:
        sim.run(for_=pause)
        act(sim, deed, flows[index])
    for flow in flows:
        act(sim, "start", flow)
    sim.run()
    assert at_work == {}
    for flow in flows:
        found = sim.service.detail(flow)
        assert found.status in ENDED
        if found.status == "Finished":
            assert [node.status for node in found.nodes] == ["Finished"] * 3
        for run in sim.mementos(flow):
            assert Memento.from_json(run.key, run.to_json(), kind="workflow") == run
    assert list(sim.fork().log) == list(sim.log)
