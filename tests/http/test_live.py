"""A service that goes on by itself, and is asked from other threads meanwhile."""

from __future__ import annotations

import math
import threading
from concurrent.futures import CancelledError

import pytest

import wfsim
from wfsim import Flow, Step, UsageError
from wfsim.errors import ServiceError
from wfsim.http.live import LiveService
from wfsim.sim.clock import WallClock
from wfsim.sim.sqlite import Database

SLOW, FAST = 3600.0, 1e-4
CHECK = Flow("Check", (Step("First"), Step("Last")))


def scenario(horizon=1e9, **bodies):
    """A flow of two steps which take 1 s, or do what is given."""

    def takes(name):
        def body(ctx):
            yield from ctx.sleep(1.0)

        return wfsim.step(name)(body)

    steps = [
        wfsim.step(name)(bodies[name]) if name in bodies else takes(name)
        for name in ("First", "Last")
    ]
    return wfsim.Scenario(flows=[CHECK], steps=steps, title="Two steps", horizon=horizon)


@pytest.fixture
def live():
    """Return a function that begins a service; each is closed when the test is over."""
    begun = []

    def begin(made=None, **more):
        begun.append(LiveService(made or scenario(), **more))
        return begun[-1]

    yield begin
    for service in begun:
        service.close()


def asked(service, *what, **more):
    return service.ask(*what, **more).result(timeout=20)


def test_a_clock_says_how_long_it_is_until_the_next_event_and_how_late_it_is():
    clock = WallClock(factor=100.0)
    assert clock.ahead() == math.inf
    clock.catch_up()
    first = clock.now
    assert 0.0 < first < 1.0
    clock.timeout(1.0)
    assert 90.0 < clock.ahead() < 101.0
    clock.catch_up()
    assert first < clock.now < first + 1.0


def test_a_clock_that_is_late_does_not_pass_over_an_event():
    clock = WallClock(factor=1e-9)
    clock.timeout(5.0)
    while clock.ahead():
        pass
    clock.catch_up()
    assert (clock.now, clock.ahead()) == (5.0, 0.0)


def test_flows_go_on_while_nobody_asks_and_are_as_they_would_be_in_virtual_time(live):
    ended = threading.Event()

    def first(ctx):
        yield from ctx.sleep(7.0)

    def last(ctx):
        ended.set()

    service = live(scenario(First=first, Last=last), factor=1e-3)
    flow = asked(service, "create", "c1", "", "Check")
    asked(service, "start", flow)
    assert ended.wait(20)
    while asked(service, "detail", flow).status != "Finished":
        pass
    nodes = asked(service, "detail", flow).nodes
    begun = nodes[0].started
    assert begun % 5.0 == 0.0
    assert [(node.name, node.started, node.finished) for node in nodes] == [
        ("First", begun, begun + 7.0),
        ("Last", begun + 10.0, begun + 10.0),
    ]


def test_a_request_does_not_wait_for_the_next_event(live):
    service = live(factor=SLOW)
    flow = asked(service, "create", "c1", "", "Check")
    asked(service, "start", flow)  # its first node is hours away
    assert asked(service, "detail", flow).status == "Processing"
    asked(service, "cancel", flow, "no time")
    assert asked(service, "detail", flow).status == "Canceling"


def test_what_is_asked_happens_when_it_is_asked(live):
    service = live(factor=1.0)
    first = asked(service, "create", "c1", "", "Check")
    threading.Event().wait(0.05)
    second = asked(service, "create", "c1", "", "Check")
    times = [asked(service, "detail", flow).info.created for flow in (first, second)]
    assert 0.05 <= times[1] - times[0] < 20.0


def test_many_may_ask_at_the_same_time_and_each_gets_an_answer_of_its_own(live):
    service = live(factor=FAST)
    made: dict[int, str] = {}

    def ask(number):
        made[number] = asked(service, "create", f"c{number}", "", "Check")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, flow in made.items():
        assert asked(service, "detail", flow).info.biz_id == f"c{number}"
    assert len({*made.values()}) == 20


def test_a_refusal_is_raised_by_the_answer_and_the_service_goes_on(live):
    service = live(factor=SLOW)
    with pytest.raises(ServiceError, match="9996"):
        asked(service, "start", "7-Check")
    with pytest.raises(TypeError, match="nobody"):
        asked(service, "create", "c1", "", "Check", nobody="x")
    assert asked(service, "create", "c1", "", "Check") == "1-Check"


def test_a_request_that_was_called_off_is_not_made(live):
    inside, go_on = threading.Event(), threading.Event()

    def first(ctx):
        inside.set()
        go_on.wait(20)

    service = live(scenario(First=first), factor=FAST)
    asked(service, "start", asked(service, "create", "c1", "", "Check"))
    assert inside.wait(20)
    unwanted = service.ask("create", "c2", "", "Check")
    wanted = service.ask("create", "c3", "", "Check")
    assert unwanted.cancel()
    go_on.set()
    assert wanted.result(timeout=20) == "2-Check"
    with pytest.raises(CancelledError):
        unwanted.result()


def test_it_goes_on_beyond_the_horizon_of_its_scenario(live):
    service = live(scenario(horizon=1.0), factor=FAST)
    flow = asked(service, "create", "c1", "", "Check")
    asked(service, "start", flow)
    while asked(service, "detail", flow).status != "Finished":
        pass
    assert asked(service, "detail", flow).info.updated > 1.0


def test_what_nobody_reads_is_not_kept_for_ever(live, monkeypatch):
    monkeypatch.setattr("wfsim.http.live.RECORDS", 20)
    service = live(factor=1e-6)
    for _ in range(10):
        asked(service, "start", asked(service, "create", "c1", "", "Check"))
    while asked(service, "list", status="Finished").total < 10:
        pass
    assert len(service._simulation.log) < 30


def test_what_was_answered_is_in_the_file_and_goes_on_with_the_next_one(live, tmp_path):
    db = tmp_path / "flows.db"
    first = live(factor=SLOW, db=db)
    flow = asked(first, "create", "c1", "", "Check")
    asked(first, "start", flow)
    second = live(factor=FAST, db=db, take_over=True)
    while asked(second, "detail", flow).status != "Finished":
        pass
    assert [node.name for node in asked(second, "detail", flow).nodes] == [
        "First",
        "Last",
    ]


def test_who_has_lost_the_file_fails_and_says_so_to_everybody(live, tmp_path):
    ended = threading.Event()
    service = live(factor=SLOW, db=tmp_path / "flows.db", on_end=ended.set)
    flow = asked(service, "create", "c1", "", "Check")
    Database(tmp_path / "flows.db").close()
    with pytest.raises(UsageError, match="opened by somebody else"):
        asked(service, "start", flow)
    assert ended.wait(20)
    assert isinstance(service.failure, UsageError)
    with pytest.raises(UsageError, match=r"has failed: .* start another one"):
        asked(service, "detail", flow)


def test_the_loss_of_the_file_is_noticed_by_a_flow_too(live, tmp_path):
    ended, go_on = threading.Event(), threading.Event()

    def first(ctx):
        go_on.wait(20)

    made = scenario(First=first)
    service = live(made, factor=FAST, db=tmp_path / "flows.db", on_end=ended.set)
    asked(service, "start", asked(service, "create", "c1", "", "Check"))
    Database(tmp_path / "flows.db").close()
    go_on.set()
    assert ended.wait(20)
    assert "opened by somebody else" in str(service.failure)


def test_a_closed_service_takes_nothing_and_may_be_closed_again(live):
    service = live(factor=SLOW)
    assert repr(service) == "<LiveService Two steps, open>"
    service.close()
    service.close()
    assert repr(service) == "<LiveService Two steps, closed>"
    with pytest.raises(UsageError, match="the service is closed; start another one"):
        service.ask("list")


def test_whoever_waits_when_it_is_closed_is_told(live):
    inside, go_on = threading.Event(), threading.Event()

    def first(ctx):
        inside.set()
        go_on.wait(20)

    service = live(scenario(First=first), factor=FAST)
    asked(service, "start", asked(service, "create", "c1", "", "Check"))
    assert inside.wait(20)
    closing = threading.Thread(target=service.close)
    before = service.ask("list")
    closing.start()
    go_on.set()
    closing.join()
    assert before.result(timeout=20).total == 1
