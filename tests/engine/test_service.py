"""What may be asked of the service, and what it answers."""

from __future__ import annotations

import pytest

import wfsim
from wfsim import Flow, Policy, Simulation, Step
from wfsim.engine.flow_status import Request, after, status_of
from wfsim.engine.service import MAX_PAGE_SIZE, WorkflowService
from wfsim.errors import ANSWERS, ServiceError
from wfsim.sim.storage import immediately
from wfsim.types import FlowStatus

STOP = Flow(
    "StopCluster",
    (
        Step("stop", on_success="end", on_failure="fail"),
        Step("end", on_failure="fail"),
        Step("fail"),
    ),
    biz_type="cluster",
)


def nothing(name):
    def body(ctx):
        return None

    body.__name__ = name
    return body


@pytest.fixture
def sim():
    """A service with a flow of three steps, and one of a single one."""
    flows = [STOP, Flow("Check", (Step("end"),))]
    bodies = map(nothing, ("stop", "end", "fail"))
    return Simulation(wfsim.Scenario(flows=flows, steps=bodies))


def refused(call, *args, **keywords):
    with pytest.raises(ServiceError) as caught:
        call(*args, **keywords)
    return caught.value


def stood(sim, status):
    """Return a flow that stands so."""
    service = sim.service
    flow = service.create("c1", "cluster", "StopCluster")
    if status == "Initializing":
        return flow
    service.start(flow)
    match status:
        case "Stopped":
            service.stop(flow)
        case "Canceling":
            service.cancel(flow)
        case "Canceled":
            service.cancel(flow)
            sim.run()
        case "Finished":
            sim.run()
    assert service.detail(flow).status == status
    return flow


def test_a_flow_that_was_created_is_initializing_and_nothing_happens_to_it(sim):
    flow = sim.service.create("c1", "cluster", "StopCluster")
    sim.run(until=60)
    found = sim.service.detail(flow)
    assert found.info[:7] == (
        "1-StopCluster", "StopCluster", "c1", "cluster", "Initializing", 0.0, 0.0,
    )  # fmt: skip
    assert (found.nodes, found.node_names) == ((), ("stop", "end"))


def test_a_start_returns_at_once_and_the_flow_runs_from_the_next_tick_on(sim):
    flow = sim.service.create("c1", "cluster", "StopCluster")
    sim.service.start(flow)
    assert (sim.now, sim.service.detail(flow).status) == (0.0, "Processing")
    sim.run()
    found = sim.service.detail(flow)
    assert (found.status, found.info.updated) == ("Finished", 15.0)
    assert [(n.name, n.status, n.result, n.started, n.finished) for n in found.nodes] == [
        ("stop", "Finished", "Completed.\n", 5.0, 5.0),
        ("end", "Finished", "Completed.\n", 10.0, 10.0),
    ]


_ANSWERS = {
    # status: start, stop, cancel
    "Initializing": ("Processing", "Stopped", "Canceling"),
    "Processing": ("Processing", "Stopped", "Canceling"),
    "Stopped": ("Processing", "Stopped", "Canceling"),
    "Canceling": (40103, 40106, "Canceling"),
    "Finished": (40103, 40106, 40107),
    "Error": (40103, 40106, 40107),
    "Canceled": (40103, 40106, 40107),
}


def test_the_table_of_transitions_is_this_one_and_whole():
    def answer(status, request):
        try:
            return after(FlowStatus(status), request).value
        except ServiceError as error:
            return error.code

    assert set(_ANSWERS) == {status.value for status in FlowStatus}
    for status, answers in _ANSWERS.items():
        assert tuple(answer(status, request) for request in Request) == answers


@pytest.mark.parametrize("status", sorted(set(_ANSWERS) - {"Error"}))
@pytest.mark.parametrize("request_", ["start", "stop", "cancel"])
def test_the_service_answers_as_the_table_says(sim, status, request_):
    flow = stood(sim, status)
    answer = _ANSWERS[status][["start", "stop", "cancel"].index(request_)]
    call = getattr(sim.service, request_)
    if isinstance(answer, int):
        assert refused(call, flow).code == answer
        answer = status
    else:
        call(flow)
    assert sim.service.detail(flow).status == answer


def test_a_request_that_is_repeated_writes_nothing(sim):
    flow = stood(sim, "Processing")
    count = len(sim.log)
    sim.service.start(flow)
    assert len(sim.log) == count


def test_the_reason_of_a_cancel_is_kept(sim):
    flow = sim.service.create("c1", "cluster", "StopCluster")
    sim.service.cancel(flow, "set-up failed")
    sim.service.cancel(flow, "again")
    sim.run()
    assert sim.service.detail(flow).info[-2:] == (
        "set-up failed", "canceled before it began",
    )  # fmt: skip


@pytest.mark.parametrize("call", ["detail", "start", "stop", "cancel"])
def test_an_unknown_flow_is_not_found(sim, call):
    error = refused(getattr(sim.service, call), "7-StopCluster")
    assert (error.code, error.name, error.http) == (9996, "FLOW_NOT_FOUND", 404)


def test_an_unknown_definition_is_not_found_and_the_nearest_is_named(sim):
    error = refused(sim.service.create, "c1", "cluster", "StopClustre")
    assert (error.code, error.http) == (40104, 404)
    assert "did you mean 'StopCluster'" in str(error)
    assert refused(sim.service.define, "x").code == 40104
    assert sim.service.define("StopCluster") is STOP


def test_a_flow_is_created_for_its_own_kind_of_business_and_for_a_tenant(sim):
    assert refused(sim.service.create, "h", "host", "StopCluster").code == 10001
    create = sim.service.create
    assert refused(create, "c", "cluster", "StopCluster", tenant="").code == 10001


def test_a_definition_may_be_registered_once_more_but_not_replaced(sim):
    sim.service.register(STOP)
    sim.service.register(Flow("Again", (Step("end"),)))
    other = Flow("StopCluster", (Step("end"),))
    assert refused(sim.service.register, other).code == 10001
    assert refused(sim.service.register, Flow("Empty", ())).code == 10001
    flow = sim.service.create("c1", "cluster", "Again")
    sim.service.start(flow)
    sim.run()
    assert sim.service.detail(flow).status == "Finished"


def launch(ctx):
    return {"operation": "op-1"}


def look(ctx, operation):
    return ctx.clock.now > 20.0 or None


def test_a_definition_comes_with_its_executors_and_a_fork_has_them_too(sim):
    warm = wfsim.step("cluster.warm")(launch)
    warm.poll(look)
    flow = Flow(
        "Warm",
        (
            Step("warm", "cluster.warm", polling=wfsim.Polling(), on_success="tell"),
            Step("tell", duration=7, on_success="end"),
            Step("end"),
        ),
    )
    sim.service.register(flow, steps=[warm])
    sim.service.register(flow, steps=[warm])
    made = sim.service.begin("Warm", "c1")
    sim.run(until=wfsim.step_started("tell"))
    sim.crash()
    sim.restart()
    twin = sim.fork()
    for each in (sim, twin):
        each.run()
        nodes = [(n.name, n.finished) for n in each.service.detail(made).nodes]
        assert nodes == [("warm", 23.0), ("tell", 37.0), ("end", 40.0)]


def test_a_definition_whose_executors_are_not_there_is_refused(sim):
    flow = Flow("Warm", (Step("warm", "cluster.warm"),))
    error = refused(sim.service.register, flow)
    assert error.code == 10001
    assert "the class 'cluster.warm' has no code and no duration" in str(error)
    other = wfsim.step("end")(launch)
    for wrong in ([other], [3], [wfsim.step("x")(lambda ctx: None)] * 2):
        assert refused(sim.service.register, flow, wrong).code == 10001
    assert refused(sim.service.define, "Warm").code == 40104


def test_the_context_is_what_steps_see_besides_who_asked():
    seen = {}

    def end(ctx):
        seen.update(ctx.inputs)

    sim = Simulation(wfsim.Scenario(flows=[Flow("Check", (Step("end"),))], steps=[end]))
    service = sim.service
    flow = service.create("c1", "cluster", "Check", tenant="acme", user="eve", trace="t1")
    service.init_context(flow, "hosts", [1, 2.0], tenant="acme")
    service.init_context(flow, "deep", {"a": None}, tenant="acme")
    service.start(flow, tenant="acme")
    sim.run()
    assert {key: value for key, value in seen.items() if key[0] != "_"} == {
        "Em-X-Tenant-Id": "acme",
        "Em-X-User-Id": "eve",
        "Em-X-Trace-Id": "t1",
        "hosts": (1, 2.0),
        "deep": {"a": None},
    }


def test_a_context_that_is_set_while_the_flow_runs_is_seen_by_the_next_node():
    seen = []

    def first(ctx):
        seen.append(ctx.inputs.get("size"))

    def second(ctx):
        seen.append(ctx.inputs.get("size"))

    flow = Flow("Check", (Step("first"), Step("second")))
    sim = Simulation(wfsim.Scenario(flows=[flow], steps=[first, second]))
    made = sim.service.create("c1", "cluster", "Check")
    sim.service.start(made)
    sim.run(until=7)
    sim.service.init_context(made, "size", 9)
    sim.run()
    assert seen == [None, 9]


def test_what_json_cannot_hold_is_refused(sim):
    flow = sim.service.create("c1", "cluster", "StopCluster")
    assert refused(sim.service.init_context, flow, "k", object()).code == 10004
    assert refused(sim.service.init_context, "x", "k", 1).code == 9996


def test_a_list_is_filtered_newest_first_and_in_pages(sim):
    service = sim.service
    for number in range(12):
        service.create(f"c{number % 2}", "cluster", "StopCluster")
    check = service.create("c0", "host", "Check")
    service.start(check)

    def ids(*args, **keywords):
        return [flow.id for flow in service.list(*args, **keywords).flows]

    assert ids()[:3] == ["13-Check", "12-StopCluster", "11-StopCluster"]
    assert service.list()[1:] == (1, 10, 13)
    assert ids(page=2) == ["3-StopCluster", "2-StopCluster", "1-StopCluster"]
    assert ids(page=3) == []
    assert len(ids(biz_id="c0")) == 7
    assert ids(biz_type="host") == ids(status="Processing") == [check]
    assert ids(flow_name="hec") == [check]
    assert ids(flow_name="%") == ids(flow_name="_") == ids(status="Odd") == []
    assert service.list(page=0, page_size=0)[1:] == (1, 10, 13)
    assert service.list(page_size=10**6).page_size == MAX_PAGE_SIZE


def test_a_tenant_sees_its_own_flows_alone(sim):
    service = sim.service
    mine = service.create("c1", "cluster", "StopCluster", tenant="acme")
    assert service.list().total == 0
    assert [flow.id for flow in service.list(tenant="acme").flows] == [mine]
    assert refused(service.detail, mine).code == 9996
    assert refused(service.start, mine).code == 9996
    service.start(mine, tenant="acme")
    assert service.detail(mine, tenant="acme").status == "Processing"


def test_a_detail_shows_the_nodes_after_an_error_too():
    def stop(ctx):
        raise OSError("full")

    bodies = [stop, nothing("end"), nothing("fail")]
    sim = Simulation(wfsim.Scenario(flows=[STOP], steps=bodies))
    flow = sim.service.create("c1", "cluster", "StopCluster")
    sim.service.start(flow)
    sim.run()
    found = sim.service.detail(flow)
    assert [(node.name, node.status, node.result) for node in found.nodes] == [
        ("stop", "Error", "OSError: full\n"),
        ("fail", "Finished", "Completed.\n"),
    ]
    assert (found.status, found.info.error) == ("Error", "OSError: full")


def test_the_history_of_a_flow_whose_definition_is_gone_can_be_shown(sim):
    flow = stood(sim, "Finished")
    del sim.flows["StopCluster"]
    assert sim.service.detail(flow).node_names == ("stop", "end", "fail")


def test_every_code_of_the_reference_is_in_one_table():
    table = ANSWERS
    own = range(40100, 40200)
    assert {code: table[code].http for code in sorted(table) if code in own} == {
        40100: 500, 40101: 500, 40102: 500, 40103: 500, 40104: 404, 40105: 500,
        40106: 500, 40107: 500,
    }  # fmt: skip
    assert len({answer.name for answer in table.values()}) == len(table) == 25
    for code in table:
        error = ServiceError(code, "why")
        again = type(error)(*error.args)
        assert (again.code, again.http, str(again)) == (code, error.http, str(error))


def test_two_that_ask_at_once_are_served_one_after_the_other(sim):
    """A compare-and-set that comes late is done again on what is there by then."""
    flow = stood(sim, "Processing")
    service, resources = sim.plane.service, sim.resources
    slow = service.start(flow)
    update = resources.update
    once = []

    def overtaken(resource, token=None):
        if not once:
            once.append(resource)
            yield from service.cancel(flow, "first")
        return (yield from update(resource, token))

    sim.service.stop(flow)
    resources.update = overtaken
    with pytest.raises(ServiceError, match=r"\[40103\].*it is Canceling"):
        for _ in slow:
            pass
    resources.update = update
    assert sim.service.detail(flow).status == "Canceling"


def test_two_services_over_the_same_stores_never_give_the_same_id(sim):
    first = sim.service.create("c1", "cluster", "StopCluster")
    other = WorkflowService(sim.clock, sim.resources, sim.stored, sim.flows)
    second = immediately(other.create("c1", "cluster", "StopCluster"))
    third = sim.service.create("c1", "cluster", "StopCluster")
    assert [first, second, third] == [f"{n}-StopCluster" for n in (1, 2, 3)]


def test_a_fork_repeats_what_was_asked_of_the_service(sim):
    flow = stood(sim, "Processing")
    sim.run(until=7)
    sim.service.stop(flow)
    sim.service.start(flow)
    twin = sim.fork()
    assert list(twin.run()) == list(sim.run())


def test_a_scenario_with_resources_has_no_service(scenario, body):
    with pytest.raises(wfsim.UsageError, match="no service"):
        _ = Simulation(scenario(body("A"))).service


def test_a_run_that_goes_on_is_processing_whatever_it_waits_for(sim):
    flow = stood(sim, "Processing")
    sim.run(until=7)
    assert status_of(sim.mementos(flow)[-1]) is FlowStatus.PROCESSING


def test_the_policy_of_a_service_is_that_of_the_reference(sim):
    policy = sim.scenario.policy
    assert (policy.watch_tick, policy.nodes_per_tick, policy.retry.limit) == (5.0, 1, 0)
    assert Policy.service(watch_tick=1.0).retry.limit == 0
    with pytest.raises(wfsim.DefinitionError, match="nodes_per_tick is 0"):
        Policy(nodes_per_tick=0)


def test_a_flow_is_begun_as_its_caller_does_or_else_created_and_started(sim):
    flow = sim.service.begin("StopCluster", "c7")
    assert sim.service.detail(flow).info[2:5] == ("c7", "cluster", "Processing")
    other = sim.service.begin("Check")
    assert sim.service.detail(other).info[2:4] == ("cluster-0", "cluster")
    assert refused(sim.service.begin, "Stpo").code == 40104


def test_a_scenario_may_say_how_its_flows_are_asked_for():
    def begin(sim, flow, biz_id):
        flow_id = sim.service.create(biz_id or "mine", "cluster", flow, tenant="acme")
        sim.service.start(flow_id, tenant="acme")
        return flow_id

    made = wfsim.Scenario(flows=[Flow("Do", (Step("end"),))], steps=[nothing("end")],
                          begin=begin)  # fmt: skip
    sim = Simulation(made)
    flow = sim.service.begin("Do")
    sim.run()
    assert sim.service.detail(flow, tenant="acme").info[2:5] == (
        "mine", "cluster", "Finished",
    )  # fmt: skip
    assert sim.fork().log.digest() == sim.log.digest()
