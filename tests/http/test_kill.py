"""A server that is killed again and again: what it has answered is true for ever."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from tests.sizes import FULL
from wfsim import load_flows
from wfsim.sim.draws import KeyedDraws

ROOT = Path(__file__).parents[2]
FLOWS = ROOT / "flows/tiem/cluster"
KILLS = 100 if FULL else 5
TWENTY = sorted(load_flows(FLOWS))[:20]
FACTOR = 0.04  # a node every 0.2 s
TAKES = 2.0  # seconds of virtual time

PAUSE = threading.Event()

NEXT = {
    "create": {"Initializing"},
    "begin": {"Processing", "Finished"},
    "start": {"Processing", "Finished"},
    "stop": {"Stopped"},
    "cancel": {"Canceling", "Canceled"},
}
"""Where a flow may be seen from an answer on, until something else is asked."""
ENDED = {"Finished", "Canceled"}


class Life:
    """One process, from its start until it is killed."""

    def __init__(self, db):
        command = [sys.executable, "-m", "wfsim.cli", "serve", str(FLOWS), "--port", "0"]
        options = {"--db": db, "--factor": FACTOR, "--duration": TAKES}
        words = [str(word) for pair in options.items() for word in pair]
        self.process = subprocess.Popen(
            command + words, cwd=ROOT, stdout=subprocess.PIPE, text=True
        )

    def url(self):
        """Where it listens; None if it was killed before it did."""
        said = re.search(r"http://\S+", self.process.stdout.readline())
        return said and f"{said[0]}/api/v1/workflow"


class Draws:
    """Numbers that are the same for the same seed."""

    def __init__(self, *purpose):
        self.keyed, self.purpose, self.number = KeyedDraws(0), purpose, 0

    def between(self, low, high):
        self.number += 1
        drawn = self.keyed.uniform(*self.purpose, self.number)
        return low + (high - low) * drawn

    def one_of(self, listed):
        return listed[int(self.between(0, len(listed)))]


class Client:
    """Keeps twenty flows under way, and knows what it has been answered of each."""

    def __init__(self, seed):
        self.draws = Draws("client", seed)
        self.allowed: dict[str, set[str]] = {}
        self.lost = 0  # flows whose creation was not answered
        self.kept = {"create": 0, "begin": 0, "start": 0, "stop": 0, "cancel": 0}
        self.begun = 0
        self.to_cancel: set[str] = set()

    def under_way(self):
        """The flows that nobody has seen to have ended."""
        return [flow for flow, allowed in self.allowed.items() if not allowed <= ENDED]

    def begin(self, http):
        """Create and start flows until twenty are under way, and some to be cancelled."""
        while len({*self.under_way()} - self.to_cancel) < len(TWENTY):
            at_once = self.begun % 3 == 0
            name = TWENTY[self.begun % len(TWENTY)]
            flow = self.create(http, name, "begin" if at_once else "create")
            self.begun += 1
            if not at_once:
                self.ask(http, flow, "start")
            if self.begun % 6 == 4:
                self.to_cancel.add(self.create(http, "StopCluster"))

    def stop_and_cancel_one(self, http):
        """Have a stop and a cancel kept, however few requests there is time for."""
        flows = (flow for flow in self.under_way() if flow not in self.to_cancel)
        while not self.kept["stop"]:
            self.ask(http, next(flows), "stop")
        if not self.kept["cancel"]:
            self.ask(http, min(self.to_cancel), "cancel")

    def go_on(self, http):
        """Ask this and that, and begin what is missing, until nobody answers."""
        while True:
            self.begin(http)
            flow = self.draws.one_of(self.under_way())
            if verb := self.verb(flow):
                self.ask(http, flow, verb)
            self.check(http, self.under_way())
            PAUSE.wait(0.01)

    def verb(self, flow):
        if flow in self.to_cancel:
            return "cancel"
        rests = self.allowed[flow] & {"Stopped", "Initializing"}
        return self.draws.one_of(["start", ""] if rests else ["stop", "", "", ""])

    def create(self, http, name, verb="create"):
        about = {"bizType": "cluster"} if verb == "create" else {}
        body = {"bizId": "c1", "flowName": name, **about}
        self.lost += 1
        answer = http.post("/begin" if verb == "begin" else "/", json=body)
        self.lost -= 1
        assert answer.status_code == 200
        flow = answer.json()["data"]["workFlowId"]
        assert flow not in self.allowed
        self.allowed[flow] = NEXT[verb]
        self.kept[verb] += 1
        return flow

    def ask(self, http, flow, verb):
        before = self.allowed[flow]
        # Until there is an answer, it may have been done or not.
        self.allowed[flow] = before | NEXT[verb]
        answer = http.post(f"/{verb}", json={"workFlowId": flow})
        if answer.status_code == 200:
            self.allowed[flow] = NEXT[verb]
            self.kept[verb] += 1
        else:
            # It had ended by then, and is to stay so.
            ended = re.search(r"it is (\w+)$", answer.json()["message"])[1]
            assert ended in before & {"Finished", "Canceling", "Canceled"}
            self.allowed[flow] = NEXT["cancel"] if ended[0] == "C" else {ended}

    def check(self, http, flows):
        """Each is where one of the answers has put it; one that has ended stays so."""
        for flow in flows:
            status, allowed = status_of(http, flow), self.allowed[flow]
            assert status in allowed, (flow, allowed, status)
            if status in ENDED:
                self.allowed[flow] = {status}


@contextmanager
def killed_after(process, seconds):
    """Kill *process* so many seconds from now, if it has not ended before."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.join()
        process.wait()
        process.stdout.close()


def live(db, client, seconds, sure):
    """One life: the client asks until the process is killed.

    That is some *seconds* after it listens, or after twenty are under way for *sure*.
    """
    life = Life(db)
    with httpx.Client(base_url=life.url()) as http:
        client.check(http, [*client.allowed])
        if sure:
            client.begin(http)
            client.stop_and_cancel_one(http)
        with killed_after(life.process, seconds), pytest.raises(httpx.TransportError):
            client.go_on(http)
    assert life.process.returncode == -signal.SIGKILL


def be_stillborn(db, seconds):
    """One life that ends, *seconds* after it began, before anybody asks for anything."""
    with killed_after(Life(db).process, seconds):
        pass


def seconds_of(node):
    begin, end = (
        datetime.fromisoformat(node[key][:26].rstrip("Z"))
        for key in ("startTime", "endTime")
    )
    return (end - begin).total_seconds()


@pytest.mark.parametrize("seed", range(3 if FULL else 1))
def test_no_flow_and_no_answer_is_lost_by_a_server_that_is_killed(tmp_path, seed):
    db, client, draws = tmp_path / "flows.db", Client(seed), Draws("kills", seed)
    for number in range(KILLS):
        # On a machine that is slow enough, nothing would ever be begun otherwise.
        live(db, client, draws.between(0.0, 0.5), sure=number % 4 < 3)
        if number % 4 == 3:
            be_stillborn(db, draws.between(0.0, 0.8))
    when_killed, last = client.under_way(), Life(db)
    try:
        with httpx.Client(base_url=last.url()) as http:
            client.check(http, [*client.allowed])
            under_way = client.under_way()
            print(f"{len(under_way)} under way; {client.kept}; {client.lost} lost")
            for flow in under_way:
                client.ask(http, flow, "cancel" if flow in client.to_cancel else "start")
            for flow in client.allowed:
                wait_for_end(http, flow)
            found = {flow: http.get(f"/{flow}").json()["data"] for flow in client.allowed}
            total = http.get("/").json()["page"]["total"]
    finally:
        last.process.terminate()
        last.process.wait()
        last.process.stdout.close()
    assert last.process.returncode == 0
    ended = {flow: data["info"]["status"] for flow, data in found.items()}
    for flow, data in found.items():
        if flow in client.to_cancel:
            assert ended[flow] == "Canceled"
            continue
        assert ended[flow] == "Finished"
        assert [node["name"] for node in data["nodes"]] == data["nodeNames"]
        assert {node["status"] for node in data["nodes"]} == {"Finished"}
        assert min(map(seconds_of, data["nodes"])) >= TAKES - 1e-3
    assert 0 <= total - len(ended) <= client.lost
    # It was not all over when the last one was killed; each kind of answer was kept.
    assert len(when_killed) > len(TWENTY) // 2
    assert {data["info"]["name"] for data in found.values()} == {*TWENTY}
    assert min(client.kept.values()) > 0


def status_of(http, flow):
    return http.get(f"/{flow}").json()["data"]["info"]["status"]


def wait_for_end(http, flow):
    while status_of(http, flow) in ("Processing", "Canceling"):
        PAUSE.wait(0.05)
