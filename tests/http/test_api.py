"""Every operation over a real socket: what it answers, and what it refuses."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

import httpx
import pytest

import wfsim
from fake_resources import tiem
from tests.http.conftest import CHECK, FAST, FROZEN, Api, scenario
from wfsim import Server, Simulation
from wfsim.sim.storage import immediately

OK = {"code": 0, "message": "OK", "data": {}}
BORN = "2026-01-01T00:00:00Z"
NEVER = "0001-01-01T00:00:00Z"


def refused(code, message):
    return {"code": code, "message": message, "data": {}}


def flow(number, **more):
    """What is told of a flow that was created and no more."""
    return {
        "id": f"{number}-StopCluster",
        "name": "StopCluster",
        "bizId": "c1",
        "bizType": "cluster",
        "status": "Initializing",
        "createTime": BORN,
        "updateTime": BORN,
        "deleteTime": NEVER,
        **more,
    }


def test_a_flow_is_created_and_shown(api):
    body = {"bizId": "c1", "bizType": "cluster", "flowName": "StopCluster"}
    assert api.asked("POST", "/", json=body) == (
        200,
        {"code": 0, "message": "OK", "data": {"workFlowId": "1-StopCluster"}},
    )
    assert api.asked("GET", "/1-StopCluster") == (
        200,
        {
            "code": 0,
            "message": "OK",
            "data": {
                "info": flow(1),
                "nodes": [],
                "nodeNames": ["stop", "end"],
                "reason": "",
            },
        },
    )


def test_a_list_without_flows_is_a_page_without_flows(api):
    assert api.asked("GET", "/") == (
        200,
        {
            "code": 0,
            "message": "OK",
            "data": {"workFlows": []},
            "page": {"page": 1, "pageSize": 10, "total": 0},
        },
    )


def test_a_flow_that_has_finished_shows_its_nodes_and_a_cancelled_one_why(lived):
    def node(name, at):
        return {
            "id": f"1-StopCluster/{name}",
            "name": name,
            "parameters": "",
            "result": "Completed.\n",
            "status": "Finished",
            "startTime": at,
            "endTime": at,
        }

    finished = flow(1, status="Finished", updateTime="2026-01-01T00:00:15Z")
    assert lived.asked("GET", "/1-StopCluster")[1]["data"] == {
        "info": finished,
        "nodes": [
            node("stop", "2026-01-01T00:00:05Z"),
            node("end", "2026-01-01T00:00:10Z"),
        ],
        "nodeNames": ["stop", "end"],
        "reason": "",
    }
    canceled = {
        "id": "2-Check",
        "name": "Check",
        "bizId": "c2",
        "bizType": "host",
        "status": "Canceled",
        "createTime": "2026-01-01T00:00:02.5Z",
        "updateTime": "2026-01-01T00:00:05Z",
        "deleteTime": NEVER,
    }
    assert lived.asked("GET", "/2-Check")[1]["data"] == {
        "info": canceled,
        "nodes": [],
        "nodeNames": ["end"],
        "reason": "set-up failed",
    }
    assert lived.asked("GET", "/")[1] == {
        "code": 0,
        "message": "OK",
        "data": {"workFlows": [canceled, finished]},
        "page": {"page": 1, "pageSize": 10, "total": 2},
    }


def test_start_stop_and_cancel_answer_nothing_but_that_they_were_taken(api):
    created = api.create()
    seen = []
    for verb in ("start", "stop", "start", "cancel", "cancel"):
        assert api.told(verb, created) == (200, OK)
        seen.append(api.status(created))
    expected = ["Processing", "Stopped", "Processing", "Canceling", "Canceling"]
    assert seen == expected


def test_a_started_flow_finishes_without_anybody_asking(serve):
    with Api(serve(factor=FAST)) as api:
        created = api.create()
        api.told("start", created)
        while api.status(created) == "Processing":
            pass
        data = api.asked("GET", f"/{created}")[1]["data"]
    assert data["info"]["status"] == "Finished"
    assert [node["name"] for node in data["nodes"]] == data["nodeNames"]


def test_a_request_wakes_a_clock_that_has_nothing_else_to_wait_for(serve):
    with Api(serve(factor=3600.0)) as api:
        created = api.create()
        api.told("start", created)
        assert api.status(created) == "Processing"
        assert api.told("cancel", created, reason="no time") == (200, OK)
        data = api.asked("GET", f"/{created}")[1]["data"]
    assert (data["info"]["status"], data["reason"]) == ("Canceling", "no time")


def test_the_first_reason_of_a_cancel_is_kept(api):
    created = api.create()
    assert api.told("cancel", created, reason="set-up failed") == (200, OK)
    api.told("cancel", created, reason="again")
    assert api.asked("GET", f"/{created}")[1]["data"]["reason"] == "set-up failed"


def test_the_context_is_kept_with_the_flow_and_so_is_who_asked(serve, tmp_path):
    body = {
        "bizId": "c1",
        "bizType": "cluster",
        "flowName": "StopCluster",
        "context": {"ClusterMeta": {"id": "c1"}, "size": 2.0},
    }
    who = {"Em-X-Tenant-Id": "acme", "Em-X-User-Id": "eve", "Em-X-Trace-Id": "t-1"}
    with Api(serve(db=tmp_path / "flows.db"), headers=who) as api:
        assert api.asked("POST", "/", json=body)[0] == 200
        with closing(sqlite3.connect(tmp_path / "flows.db")) as file:
            created = "SELECT fields FROM entries WHERE change = 'Create'"
            ((text,),) = file.execute(created).fetchall()
    assert (
        '"context":{"ClusterMeta":{"id":"c1"},"Em-X-Tenant-Id":"acme",'
        '"Em-X-Trace-Id":"t-1","Em-X-User-Id":"eve","size":2.0}'
    ) in text


# Flows that are begun as their callers do.


def test_a_flow_is_begun_at_once_where_there_is_no_caller(api):
    body = {"flowName": "StopCluster", "bizId": "c7"}
    assert api.asked("POST", "/begin", json=body) == (
        200,
        {"code": 0, "message": "OK", "data": {"workFlowId": "1-StopCluster"}},
    )
    info = api.asked("GET", "/1-StopCluster")[1]["data"]["info"]
    assert (info["bizId"], info["status"]) == ("c7", "Processing")
    text = "no flow 'StopClustre'; did you mean 'StopCluster'?"
    assert api.asked("POST", "/begin", json={"flowName": "StopClustre"}) == (
        404,
        refused(40104, f"[40104]workflow define not found\t{text}"),
    )


@pytest.fixture(scope="module")
def em():
    """A client of TiUniManager, in which no time passes."""
    with Server(tiem.scenario(), factor=FROZEN) as server, Api(server) as client:
        yield client


def test_a_caller_takes_the_lock_and_another_one_is_told_who_has_it(em):
    body = {"flowName": "RestartCluster", "bizId": "cluster-1"}
    assert em.asked("POST", "/begin", json=body)[0] == 200
    text = "[20114]maintenance status conflict\tcluster-1 is Restarting"
    refusal = refused(20114, text)
    assert em.asked("POST", "/begin", json=body) == (409, refusal)
    total = em.asked("GET", "/")[1]["page"]["total"]
    assert total == 1


def test_a_caller_may_be_busy_with_another_batch(em):
    assert em.asked("POST", "/begin", json={"flowName": "ImportHosts"})[0] == 200
    status, answer = em.asked("POST", "/begin", json={"flowName": "DeleteHosts"})
    text = "[9993]task conflict\tImportHosts host-new is under way"
    assert (status, answer) == (400, refused(9993, text))


def test_what_nobody_can_ask_for_is_refused_and_the_service_goes_on(em):
    body = {"flowName": "StopCluster", "bizId": "cluster-9"}
    status, answer = em.asked("POST", "/begin", json=body)
    assert (status, answer["code"]) == (400, 10001)
    assert "there is no cluster cluster-9; one of cluster-1, " in answer["message"]
    assert em.asked("GET", "/")[0] == 200


def test_callers_are_of_one_tenant(em):
    body = {"flowName": "StopCluster", "bizId": "cluster-2"}
    other = {"Em-X-Tenant-Id": "acme"}
    text = "begin works for tenant 'default' alone; create the flow and start it"
    assert em.asked("POST", "/begin", json=body, headers=other) == (
        403,
        refused(70650, f"[70650]rbac permission check failed\t{text}"),
    )


# Refusals.


@pytest.mark.parametrize("verb", ["start", "stop", "cancel"])
def test_what_is_asked_of_an_unknown_flow_is_not_found(idle, verb):
    answer = refused(9996, "[9996]flow not found\tno flow '7-StopCluster'")
    assert idle.told(verb, "7-StopCluster") == (404, answer)
    assert idle.asked("GET", "/7-StopCluster") == (404, answer)


def test_an_unknown_definition_is_not_found_and_the_nearest_is_named(idle):
    body = {"bizId": "c1", "bizType": "cluster", "flowName": "StopClustre"}
    text = "no flow 'StopClustre'; did you mean 'StopCluster'?"
    assert idle.asked("POST", "/", json=body) == (
        404,
        refused(40104, f"[40104]workflow define not found\t{text}"),
    )


def test_a_flow_about_something_else_is_refused(idle):
    body = {"bizId": "h1", "bizType": "host", "flowName": "StopCluster"}
    text = "StopCluster is about a cluster, not a host"
    assert idle.asked("POST", "/", json=body) == (
        400,
        refused(10001, f"[10001]parameter is invalid\t{text}"),
    )


def test_a_flow_that_has_ended_can_be_neither_started_nor_stopped_nor_cancelled(lived):
    for verb, code in (("start", 40103), ("stop", 40106), ("cancel", 40107)):
        for ended, status in (("1-StopCluster", "Finished"), ("2-Check", "Canceled")):
            text = f"[{code}]workflow {verb} failed\tit is {status}"
            assert lived.told(verb, ended) == (500, refused(code, text))


@pytest.mark.parametrize(
    ("path", "body", "code", "said"),
    [
        ("/start", b"{", 10004, "body.1: JSON decode error"),
        ("/start", b"[]", 10004, "body: Input should be a valid dictionary"),
        ("/start", b"", 10001, "body: Field required"),
        ("/start", b"\xff", 10004, "There was an error parsing the body"),
        ("/start", b"[" * 60_000, 10004, "There was an error parsing the body"),
        ("/start", b"{}", 10001, "body.workFlowId: Field required"),
        ("/stop", b'{"workFlowId": 1}', 10004, "body.workFlowId: Input should be a"),
        ("/stop", b'{"workFlowId": null}', 10004, "body.workFlowId: Input should be a"),
        ("/stop", b'{"workFlowId": "\\ud800"}', 10004, "body.workFlowId: "),
        ("/stop", b'{"workFlowId": "' + b"x" * 257 + b'"}', 10001, "at most 256"),
        ("/stop", b'{"workFlowId": "x", "y": 1}', 10001, "body.y: Extra inputs are not"),
        ("/cancel", b'{"workFlowId": "x", "reason": 1}', 10004, "body.reason: "),
        ("/", b'{"bizId": "c", "bizType": "cluster"}', 10001, "body.flowName: Field"),
        (
            "/",
            b'{"bizId":"c","bizType":"","flowName":"Check","context":{"a":NaN}}',
            10001,
            "body.context: Value error, it holds what JSON cannot",
        ),
        (
            "/",
            b'{"bizId":"c","bizType":"","flowName":"Check","context":{"a":'
            + (b"[" * 50 + b"]" * 50)
            + b"}}",
            10001,
            "nested more than 40 deep",
        ),
    ],
)
def test_a_bad_body_is_a_400_that_says_what_is_wrong(idle, path, body, code, said):
    headers = {"Content-Type": "application/json"}
    status, answer = idle.asked("POST", path, content=body, headers=headers)
    assert (status, answer["code"], answer["data"]) == (400, code, {})
    assert said in answer["message"]


def test_a_body_that_does_not_say_that_it_is_json_is_not_taken_for_it(api):
    created = api.create()
    text = f'{{"workFlowId": "{created}"}}'
    headers = {"Content-Type": "text/plain"}
    said = "body: it is not said to be JSON; add 'Content-Type: application/json'"
    answer = api.asked("POST", "/start", content=text, headers=headers)
    assert answer == (400, refused(10004, f"[10004]marshal error\t{said}"))
    assert api.status(created) == "Initializing"


@pytest.mark.parametrize(
    ("query", "code", "said"),
    [
        ("page=x", 10004, "query.page: Input should be a valid integer"),
        ("pageSize=1.5", 10004, "query.pageSize: Input should be a valid integer"),
        ("page=" + "9" * 5000, 10004, "query.page: "),
        ("page=" + "9" * 20, 10001, "query.page: Input should be less than"),
        ("bizId=" + "x" * 257, 10001, "query.bizId: String should have at most 256"),
    ],
)
def test_a_bad_query_is_a_400_that_says_what_is_wrong(idle, query, code, said):
    status, answer = idle.asked("GET", f"/?{query}")
    assert (status, answer["code"], answer["data"]) == (400, code, {})
    assert said in answer["message"]


def test_a_path_or_method_that_there_is_not_is_refused_in_the_envelope(idle):
    text = "[10001]parameter is invalid\t{}: {}"
    deep = "GET /api/v1/workflow/a/b"
    assert idle.asked("GET", "/a/b") == (
        404,
        refused(10001, text.format(deep, "Not Found")),
    )
    put = "PUT /api/v1/workflow/"
    assert idle.asked("PUT", "/") == (
        405,
        refused(10001, text.format(put, "Method Not Allowed")),
    )
    for path, methods in (("/", "GET, POST"), ("/start", "POST"), ("/1-Check", "GET")):
        assert idle.request("PUT", path).headers["allow"] == methods


# Lists.


@pytest.fixture(scope="module")
def many():
    """A client of a service with twenty-five flows."""
    with Server(scenario(), factor=FROZEN) as server, Api(server) as api:
        for number in range(25):
            host = number % 5 == 4
            name, kind = ("Check", "host") if host else ("StopCluster", "cluster")
            api.create(name, f"b{number % 3}", kind)
        api.told("start", "3-StopCluster")
        yield api


def listed(api, query=""):
    status, answer = api.asked("GET", f"/?{query}")
    assert status == 200
    return [int(row["id"].partition("-")[0]) for row in answer["data"]["workFlows"]]


def paged(api, query):
    page = api.asked("GET", f"/?{query}")[1]["page"]
    return page["page"], page["pageSize"], page["total"]


def test_flows_are_listed_newest_first_ten_at_a_time(many):
    assert listed(many) == [*range(25, 15, -1)]
    assert listed(many, "page=2") == [*range(15, 5, -1)]
    assert listed(many, "page=3") == [5, 4, 3, 2, 1]
    assert listed(many, "page=4") == []
    assert paged(many, "page=3") == (3, 10, 25)
    assert listed(many, "page=2&pageSize=4") == [21, 20, 19, 18]


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("pageSize=0", (1, 10, 25)),
        ("pageSize=-1", (1, 10, 25)),
        ("pageSize=100000", (1, 100, 25)),
        ("page=0", (1, 10, 25)),
        ("page=-7", (1, 10, 25)),
        ("page=9223372036854775807&pageSize=100", (2**63 - 1, 100, 25)),
    ],
)
def test_the_size_of_a_page_is_bounded_and_the_first_page_is_the_first(many, query, page):
    assert paged(many, query) == page


def test_filters_are_combined_and_a_name_is_any_part_taken_as_it_is(many):
    assert listed(many, "flowName=heck") == [25, 20, 15, 10, 5]
    assert listed(many, "status=Processing") == [3]
    assert listed(many, "bizId=b1&flowName=Check") == [20, 5]
    assert listed(many, "bizType=host&bizId=b0") == [25, 10]
    for nothing in ("flowName=%25", "flowName=_", "flowName=' OR 1=1 --", "bizId=b"):
        assert listed(many, nothing) == []
    assert listed(many, "status=Unknown") == []


def test_nobody_sees_or_touches_the_flows_of_another_tenant(api):
    mine = api.create(headers={"Em-X-Tenant-Id": "acme"})
    theirs = {"headers": {"Em-X-Tenant-Id": "umbrella"}}
    assert api.asked("GET", "/", **theirs)[1]["page"]["total"] == 0
    assert api.asked("GET", f"/{mine}", **theirs)[0] == 404
    for verb in ("start", "stop", "cancel"):
        body = {"workFlowId": mine}
        assert api.asked("POST", f"/{verb}", json=body, **theirs)[0] == 404
    assert api.asked("GET", f"/{mine}")[0] == 404
    ours = {"headers": {"Em-X-Tenant-Id": "acme"}}
    told = api.asked("GET", f"/{mine}", **ours)[1]
    assert told["data"]["info"]["status"] == "Initializing"


@pytest.mark.parametrize("tenant", ["", "a/b", "x" * 65, "a b"])
def test_a_tenant_that_is_none_is_refused(idle, tenant):
    status, answer = idle.asked("GET", "/", headers={"Em-X-Tenant-Id": tenant})
    assert (status, answer["code"]) == (400, 10001)


# What outlives the process.


def test_what_was_answered_is_in_the_file_by_then(serve, tmp_path):
    db = tmp_path / "flows.db"
    with Api(serve(db=db)) as api:
        created = api.create()
        api.told("cancel", created, reason="why not")
    # Whoever takes the file over has it; nobody has closed it before.
    with Api(serve(db=db, take_over=True)) as later:
        data = later.asked("GET", f"/{created}")[1]["data"]
        assert (data["info"]["status"], data["reason"]) == ("Canceling", "why not")
        assert later.create() == "2-StopCluster"


@pytest.mark.parametrize(
    "asked",
    [
        ("POST", "/", {"bizId": "c1", "bizType": "cluster", "flowName": "StopCluster"}),
        ("GET", "/", None),
        ("GET", "/1-StopCluster", None),
    ],
)
def test_who_has_lost_the_file_answers_that_it_has_stopped(serve, tmp_path, asked):
    method, path, body = asked
    db = tmp_path / "flows.db"
    with Api(serve(db=db)) as api, Api(serve(db=db, take_over=True)) as later:
        later.create()
        text = "[9999]call cluster-Server failed\tthe service has stopped"
        assert api.asked(method, path, json=body) == (500, refused(9999, text))


def test_what_the_file_does_not_take_is_told_with_the_code_of_the_request(
    serve, tmp_path
):
    db = tmp_path / "flows.db"
    with Api(serve(db=db)) as api:
        created = api.create()
        with closing(sqlite3.connect(db)) as file:
            file.execute("ALTER TABLE entries RENAME TO away")
            status, answer = api.told("start", created)
            file.execute("ALTER TABLE away RENAME TO entries")
        text = "[40103]workflow start failed\tthe store did not take it"
        assert (status, answer) == (500, refused(40103, text))
        assert api.status(created) == "Initializing"
        assert api.told("start", created) == (200, OK)


def test_an_answer_that_does_not_come_is_not_waited_for_without_end(serve, monkeypatch):
    inside, go_on = threading.Event(), threading.Event()

    @wfsim.step
    def end(ctx):
        inside.set()
        go_on.wait(20)

    made = wfsim.Scenario(flows=[CHECK], steps=[end])
    with Api(serve(made, factor=FAST)) as api:
        api.told("start", api.create("Check"))
        assert inside.wait(20)
        monkeypatch.setattr("wfsim.http.app.PATIENCE", 0.05)
        answer = api.asked("GET", "/")
        monkeypatch.undo()
        go_on.set()
        text = "no answer within 0.05 s; it may have been done"
        refusal = refused(9999, f"[9999]call cluster-Server failed\t{text}")
        assert answer == (500, refusal)
        assert api.asked("GET", "/")[0] == 200


def test_what_nobody_thought_of_is_told_in_the_envelope_too(serve, tmp_path, caplog):
    db = tmp_path / "flows.db"
    simulation = Simulation(scenario(), db=db)
    simulation.service.create("c1", "cluster", "StopCluster")
    flow = simulation.resources.peek(simulation.resources.keys()[0])
    odd = {"x" if name == "bizId" else name: part for name, part in flow.spec.items()}
    immediately(simulation.resources.update(flow._replace(spec=odd)))
    simulation.database.close()
    with Api(serve(db=db)) as api:
        answer = refused(10000, "[10000]unrecognized error\tKeyError")
        assert api.asked("GET", "/1-StopCluster") == (500, answer)
        assert api.create("Check") == "2-Check"
    assert [row.message for row in caplog.records] == ["detail came to nothing"]


def test_the_answers_are_those_of_the_scenario_that_is_served(serve):
    server = serve()
    assert repr(server) == f"<Server {server.url}>"
    page = httpx.get(f"{server.url}/openapi.json").json()
    assert page["info"]["title"] == scenario().title == "Two flows"
