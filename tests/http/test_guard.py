"""Who is let in, and with how much."""

from __future__ import annotations

import contextlib
import re
import socket

import httpx
import pytest

import wfsim
from tests.http.conftest import FROZEN, Api, scenario
from wfsim import Server
from wfsim.http.guard import LARGEST

TOKEN = "s3cret"
NO_TOKEN = {
    "code": 70600,
    "message": "[70600]unauthorized\tgive the token as a bearer",
    "data": {},
}
TOO_LARGE = {
    "code": 10001,
    "message": f"[10001]parameter is invalid\tthe body has more than {LARGEST} bytes",
    "data": {},
}


@pytest.fixture(scope="module")
def guarded():
    """A server that asks for a token."""
    with Server(scenario(), factor=FROZEN, token=TOKEN) as server:
        yield server


def bearer(text):
    return {"Authorization": text}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_who_shows_the_token_is_let_in(guarded, scheme):
    with Api(guarded, headers=bearer(f"{scheme} {TOKEN}")) as api:
        assert api.asked("GET", "/")[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(""),
        bearer("Bearer"),
        bearer("Bearer S3CRET"),
        bearer("Bearer s3cre"),
        bearer("Bearer s3cret "[:-1] + "x"),
        bearer("Basic s3cret"),
        bearer("s3cret"),
        {"Authorization": b"Bearer \xe4\xff"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/1-Check"), ("POST", "/"), ("POST", "/start"), ("PUT", "/x")],
)
def test_nobody_else_is_and_not_even_a_bad_body_is_looked_at(
    guarded, headers, method, path
):
    with Api(guarded, headers=headers) as api:
        assert api.asked(method, path, content=b"{") == (401, NO_TOKEN)
        answer = api.request(method, path)
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_may_be_any_text(serve):
    given = {"Authorization": "Bearer schlüssel é".encode()}
    server = serve(token="schlüssel é")
    with Api(server, headers=given) as api:
        assert api.asked("GET", "/")[0] == 200


def test_the_page_that_says_what_can_be_asked_needs_no_token_and_says_that_all_else_does(
    guarded,
):
    assert httpx.get(f"{guarded.url}/docs").status_code == 200
    page = httpx.get(f"{guarded.url}/openapi.json").json()
    assert page["components"]["securitySchemes"] == {
        "HTTPBearer": {"type": "http", "scheme": "bearer"}
    }
    for path in page["paths"].values():
        for operation in path.values():
            assert operation["security"] == [{"HTTPBearer": []}]
            assert "401" in operation["responses"]


def test_without_a_token_the_page_asks_for_none(idle):
    page = idle.get("http://" + idle.base_url.netloc.decode() + "/openapi.json").json()
    assert "securitySchemes" not in page["components"]
    listing = page["paths"]["/api/v1/workflow/"]["get"]
    assert sorted(listing["responses"]) == ["200", "400", "403", "404", "413", "500"]


@pytest.mark.parametrize(
    "name", ["localhost", "LOCALHOST:80", "127.0.0.1", "127.8.0.1:1", "[::1]:9", "::1"]
)
def test_without_a_token_the_names_of_this_machine_are_let_in(idle, name):
    name = "[::1]" if name == "::1" else name
    assert idle.asked("GET", "/", headers={"Host": name})[0] == 200


@pytest.mark.parametrize(
    "name",
    ["evil.example", "localhost.evil.example:8000", "192.0.2.1", "127.0.0.1.x", ""],
)
@pytest.mark.parametrize("path", ["/api/v1/workflow/", "/metrics", "/docs", "/"])
def test_without_a_token_any_other_name_is_refused_everywhere(idle, name, path):
    answer = idle.get(
        f"http://{idle.base_url.netloc.decode()}{path}", headers={"Host": name}
    )
    assert (answer.status_code, answer.json()) == (
        403,
        {
            "code": 70650,
            "message": f"[70650]rbac permission check failed\t{name!r} is no name of "
            "this machine; use localhost, or begin the server with a token",
            "data": {},
        },
    )


def test_with_a_token_any_name_is_let_in(guarded):
    headers = {"Host": "flows.example", **bearer(f"Bearer {TOKEN}")}
    with Api(guarded, headers=headers) as api:
        assert api.asked("GET", "/")[0] == 200


def body_of(size):
    start = b'{"bizId":"c1","bizType":"","flowName":"Check","context":{"a":"'
    return start + b"x" * (size - len(start) - 3) + b'"}}'


def test_a_body_may_be_so_large_and_no_larger(idle):
    json = {"Content-Type": "application/json"}
    fits, large = body_of(LARGEST), body_of(LARGEST + 1)
    assert len(fits) == LARGEST
    assert idle.asked("POST", "/", content=fits, headers=json)[0] == 200
    assert idle.asked("POST", "/", content=large, headers=json) == (413, TOO_LARGE)


def test_a_body_that_does_not_say_how_large_it_is_is_counted(idle):
    def pieces(number):
        yield from (b"x" * 1024 for _ in range(number))

    json = {"Content-Type": "application/json"}
    answer = idle.asked("POST", "/", content=pieces(64), headers=json)
    assert (answer[0], answer[1]["code"]) == (400, 10004)
    answer = idle.asked("POST", "/", content=pieces(65), headers=json)
    assert answer == (413, TOO_LARGE)


def test_a_client_that_leaves_in_the_middle_of_a_body_has_asked_for_nothing(idle):
    host, port = idle.base_url.host, idle.base_url.port
    head = (
        f"POST /api/v1/workflow/ HTTP/1.1\r\nHost: {host}\r\n"
        "Content-Type: application/json\r\nContent-Length: 9999\r\n\r\n"
    )
    before = idle.asked("GET", "/")[1]["page"]["total"]
    with socket.create_connection((host, port)) as leaving:
        leaving.sendall(head.encode() + body_of(200))
    totals = [idle.asked("GET", "/")[1]["page"]["total"] for _ in range(20)]
    assert totals == [before] * 20


def opened(server, number):
    """So many connections, on which nothing has been sent."""
    address = httpx.URL(server.url)
    return [socket.create_connection((address.host, address.port)) for _ in range(number)]


def closed(connections):
    """Whether the server has ended all of them, once it has."""
    for connection in connections:
        connection.settimeout(20)
        try:
            if connection.recv(4096) not in (b"", None):
                return False
        except ConnectionResetError:
            pass
        connection.close()
    return True


@pytest.mark.parametrize("part", [b"", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
def test_a_connection_on_which_no_whole_head_comes_is_ended(serve, monkeypatch, part):
    monkeypatch.setattr("wfsim.http.guard.HEAD_SECONDS", 0.2)
    connections = opened(serve(), 3)
    for connection in connections:
        connection.sendall(part)
    assert closed(connections)


def test_a_connection_that_was_answered_and_sends_half_a_head_is_ended(
    serve, monkeypatch
):
    monkeypatch.setattr("wfsim.http.guard.HEAD_SECONDS", 0.2)
    (connection,) = opened(serve(), 1)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HT")
    connection.settimeout(20)
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(4096):
            answer += piece
    connection.close()
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.count(b"HTTP/1.1") == 1


def test_a_body_that_does_not_come_is_refused_and_the_connection_ended(
    serve, monkeypatch
):
    monkeypatch.setattr("wfsim.http.guard.BODY_SECONDS", 0.2)
    (connection,) = opened(serve(), 1)
    head = (
        "POST /api/v1/workflow/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
    )
    connection.sendall(head.encode() + b"{")
    connection.settimeout(20)
    answer = b""
    while piece := connection.recv(4096):
        answer += piece
    connection.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.endswith(
        b'{"code":10001,"message":"[10001]parameter is invalid\\tthe body has not come '
        b'within 0.2 s","data":{}}'
    )


def test_however_many_connections_stand_half_open_others_are_answered(
    serve, monkeypatch, capfd
):
    monkeypatch.setattr("wfsim.http.guard.MOST", 20)
    server = serve()
    connections = opened(server, 60)
    with Api(server) as api:
        assert api.asked("GET", "/")[0] == 200
    # The oldest made room; the last ones may wait on.
    assert closed(connections[:35])
    for connection in connections[35:]:
        connection.close()
    assert capfd.readouterr() == ("", "")


def test_the_largest_context_that_is_taken_can_be_carried_by_a_flow(serve):
    # Escaped it is six times as long in the text of a memento.
    filler = "<" * (LARGEST - 200)
    with Api(serve(factor=1e-4)) as api:
        body = {
            "bizId": "c1",
            "bizType": "",
            "flowName": "Check",
            "context": {"a": filler},
        }
        status, answer = api.asked("POST", "/", json=body)
        assert status == 200
        created = answer["data"]["workFlowId"]
        api.told("start", created)
        while api.status(created) == "Processing":
            pass
        assert api.status(created) == "Finished"


def test_it_listens_to_this_machine_alone_unless_told_otherwise(serve):
    assert serve().url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("host", "said"), [("127.0.0.1", "in use"), ("192.0.2.1", "Cannot assign")]
)
def test_where_it_cannot_listen_is_said_in_a_line(serve, host, said):
    taken = httpx.URL(serve().url).port
    with pytest.raises(wfsim.UsageError, match=rf"{host}, port {taken}: .*{said}"):
        serve(host=host, port=taken)


def test_a_scenario_of_resources_is_not_served(serve):
    machine = wfsim.StateMachine("db").stable("Running")
    made = wfsim.Scenario([wfsim.Resource("db", "orders", state="Running")], machine)
    with pytest.raises(wfsim.UsageError, match="has no service; give one of flows alone"):
        serve(made)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_a_speed_that_makes_no_sense_is_refused(serve, factor):
    with pytest.raises(wfsim.UsageError, match=r"factor is .*; give real seconds above"):
        serve(factor=factor)


def test_the_page_that_says_what_can_be_asked_takes_nothing_from_elsewhere(guarded):
    page = httpx.get(f"{guarded.url}/docs").text
    taken = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert taken == [
        "/docs-files/swagger-ui.css",
        "/docs-files/favicon.png",
        "/docs-files/swagger-ui-bundle.js",
    ]
    assert [httpx.get(guarded.url + each).status_code for each in taken] == [200] * 3
