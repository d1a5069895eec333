"""A service over a real socket, and a real client of it."""

from __future__ import annotations

import httpx
import pytest

import wfsim
from wfsim import Flow, Server, Simulation, Step

FROZEN = 1e12  # real seconds for each second of virtual time: none passes
FAST = 1e-4

STOP = Flow(
    "StopCluster",
    (
        Step("stop", on_success="end", on_failure="fail"),
        Step("end", on_failure="fail"),
        Step("fail"),
    ),
    biz_type="cluster",
)
CHECK = Flow("Check", (Step("end"),))


def nothing(name):
    def body(ctx):
        return None

    body.__name__ = name
    return body


def scenario():
    """A flow of three steps, and one of a single one, which take no time."""
    bodies = map(nothing, ("stop", "end", "fail"))
    return wfsim.Scenario(flows=[STOP, CHECK], steps=bodies, title="Two flows")


class Api(httpx.Client):
    """A client that says in a word what it asks for, and shows what it is answered."""

    def __init__(self, server, **more):
        super().__init__(base_url=f"{server.url}/api/v1/workflow", timeout=20, **more)

    def asked(self, method, path, **more):
        """The HTTP status and the envelope."""
        answer = self.request(method, path, **more)
        assert answer.headers["content-type"] == "application/json"
        return answer.status_code, answer.json()

    def create(self, name="StopCluster", biz="c1", kind="cluster", **more):
        """The id of a new flow."""
        body = {"bizId": biz, "bizType": kind, "flowName": name}
        status, answer = self.asked("POST", "/", json=body, **more)
        assert (status, answer["code"]) == (200, 0)
        return answer["data"]["workFlowId"]

    def told(self, verb, flow, **more):
        """The HTTP status and the envelope of what was asked of a flow."""
        return self.asked("POST", f"/{verb}", json={"workFlowId": flow, **more})

    def status(self, flow):
        return self.asked("GET", f"/{flow}")[1]["data"]["info"]["status"]


@pytest.fixture
def serve():
    """Return a function that serves, as often as it is called, until the test is over."""
    opened = []

    def begin(made=None, factor=FROZEN, **more):
        server = Server(made or scenario(), factor=factor, **more)
        opened.append(server.__enter__())
        return server

    yield begin
    for server in opened:
        server.close()


@pytest.fixture
def api(serve):
    """A client of a service whose time stands still."""
    with Api(serve()) as client:
        yield client


@pytest.fixture(scope="module")
def idle():
    """The same, for all tests of a module that leave nothing behind."""
    with Server(scenario(), factor=FROZEN) as server, Api(server) as client:
        yield client


@pytest.fixture
def lived(serve, tmp_path):
    """A client of a service in which one flow has finished and one was cancelled."""
    simulation = Simulation(scenario(), db=tmp_path / "flows.db")
    service = simulation.service
    done = service.create("c1", "cluster", "StopCluster")
    service.start(done)
    simulation.run(until=2.5)
    given_up = service.create("c2", "host", "Check")
    service.cancel(given_up, "set-up failed")
    simulation.run(until=60)
    simulation.database.close()
    with Api(serve(db=tmp_path / "flows.db")) as client:
        yield client
