"""The service does what its own OpenAPI page says, whatever it is asked."""

from __future__ import annotations

import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode

from tests.http.conftest import FROZEN, scenario
from tests.sizes import FULL
from wfsim import Server, Simulation
from wfsim.http.messages import LONGEST

BOUNDED = hypothesis.settings(
    max_examples=300 if FULL else 20,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
OPERATIONS = {
    "GET /api/v1/workflow/": (200,),
    "GET /api/v1/workflow/{workFlowId}": (200, 404),
    "POST /api/v1/workflow/": (200, 404),
    "POST /api/v1/workflow/begin": (200, 403, 404),
    "POST /api/v1/workflow/start": (200, 404, 500),
    "POST /api/v1/workflow/stop": (200, 404, 500),
    "POST /api/v1/workflow/cancel": (200, 404, 500),
}
REFUSED = (40103, 40106, 40107)
"""Start, stop and cancel of what has ended: 500, as in the reference."""


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    """The page of a service with flows that have ended and flows that have not."""
    db = tmp_path_factory.mktemp("fuzz") / "flows.db"
    simulation = Simulation(scenario(), db=db)
    for _ in range(2):
        simulation.service.start(simulation.service.create("c1", "cluster", "Check"))
    simulation.run()
    for _ in range(8):
        simulation.service.create("c1", "cluster", "Check")
    simulation.database.close()
    with Server(scenario(), db=db, factor=FROZEN) as server:
        yield schemathesis.openapi.from_url(f"{server.url}/openapi.json")


def test_the_page_has_these_operations_and_no_others(schema):
    found = {result.ok().label for result in schema.get_all_operations()}
    assert found == set(OPERATIONS)


def checked(case, answer, **more):
    """Raise unless *answer* is as the page says."""
    wanted = answer.status_code == 500 and answer.json()["code"] in REFUSED
    excluded = [not_a_server_error] if wanted else []
    case.validate_response(answer, excluded_checks=excluded, **more)


def answered(case):
    """The HTTP status of the answer, which is as the page says."""
    answer = case.call()
    checked(case, answer)
    return answer.status_code


def aimed(case, flow, name):
    """The case, but about a flow or a definition that there may well be."""
    if case.operation.label.endswith("{workFlowId}"):
        case.path_parameters["workFlowId"] = flow
    if isinstance(case.body, dict):
        keys = {"workFlowId": flow, "flowName": name}
        case.body |= {key: value for key, value in keys.items() if key in case.body}
    case.headers.pop("Em-X-Tenant-Id", None)
    return case


@pytest.mark.parametrize("label", OPERATIONS)
def test_what_the_page_allows_is_answered_as_it_says(schema, label):
    (operation,) = [
        result.ok()
        for result in schema.get_all_operations()
        if result.ok().label == label
    ]
    seen = set()

    @BOUNDED
    @hypothesis.given(
        case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
        aim=st.booleans(),
        number=st.integers(1, 12),
        name=st.sampled_from(["Check", "Chekc"]),
    )
    def ask(case, aim, number, name):
        seen.add(answered(aimed(case, f"{number}-Check", name) if aim else case))

    ask()
    assert seen == set(OPERATIONS[label])


@pytest.mark.parametrize("label", OPERATIONS)
def test_what_the_page_does_not_allow_is_refused_as_it_says(schema, label):
    (operation,) = [
        result.ok()
        for result in schema.get_all_operations()
        if result.ok().label == label
    ]
    seen = set()

    @BOUNDED
    @hypothesis.given(case=operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def ask(case):
        seen.add(answered(case))

    ask()
    assert 400 in seen
    assert seen <= {200, 400, 404, 405}


def test_flows_that_were_created_over_http_are_asked_for_all_that_the_page_links_to(
    schema,
):
    machine = schema.as_state_machine()

    seen = set()

    class Asked(machine):
        def before_call(self, case):
            # What is to be refused is left as it is.
            name = case.body.get("flowName") if isinstance(case.body, dict) else None
            if isinstance(name, str) and len(name) <= LONGEST:
                case.body["flowName"] = "Check"

        def validate_response(self, response, case, additional_checks=None, **told):
            checked(
                case,
                response,
                additional_checks=additional_checks,
                transport_kwargs=told,
            )
            seen.add((case.operation.label, response.status_code))

    hypothesis.stateful.run_state_machine_as_test(
        Asked,
        settings=hypothesis.settings(
            BOUNDED, max_examples=100 if FULL else 10, stateful_step_count=10
        ),
    )
    assert {(label, 200) for label in OPERATIONS if label[-1] != "/"} <= seen
