"""What the in-memory stores do beyond what every store does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.changes import TIMES, Hand, after, begin, following, new
from wfsim.errors import NotFound
from wfsim.model.flow import Flow, Step
from wfsim.model.journal import Journal
from wfsim.model.memento import Quarantined
from wfsim.model.record import Kind
from wfsim.model.resource import Key, Resource
from wfsim.model.run import Complete, Run, Start
from wfsim.sim.clock import VirtualClock
from wfsim.sim.stores import InMemoryResources, InMemoryRuns

ORDERS = Key("db", "default", "orders")
FLOW = Flow("Backup", (Step("Snapshot"), Step("Copy"), Step("Verify")))


def now(effect):
    """Return the result of an effect that takes no time."""
    try:
        raise AssertionError(next(effect))
    except StopIteration as stop:
        return stop.value


class Lagging:
    """A store whose cache and watches are late, and what they showed when."""

    def __init__(self, lag):
        self.clock = VirtualClock()
        self.store = InMemoryResources(self.clock, Journal(self.clock), lag=lag)
        self.seen = []
        self.store.watch(lambda before, after: self.seen.append(self.shown()))

    def shown(self):
        try:
            state = now(self.store.cached(ORDERS)).state
        except NotFound:
            state = None
        return float(self.clock.now), state

    def at(self, time, action):
        self.clock.call(time - self.clock.now, action)

    def move(self, state):
        now(self.store.update(self.store.peek(ORDERS).move(state)))


@pytest.mark.parametrize("lag", [0.1, 0.3, 1.7, 20.0])
def test_a_late_watch_shows_what_the_cache_shows_at_that_moment(lag):
    scene = Lagging(lag)
    scene.at(0.1, lambda: now(scene.store.create(Resource("db", "orders", state="A"))))
    scene.at(0.2, lambda: scene.move("B"))
    scene.at(0.7, lambda: scene.move("C"))
    scene.at(1.1, lambda: now(scene.store.delete(ORDERS)))
    scene.clock.run()
    times = [time + lag for time in (0.1, 0.2, 0.7, 1.1)]
    assert scene.seen == list(zip(times, ["A", "B", "C", None], strict=True))


def test_a_cache_shows_the_past_and_a_read_the_present():
    scene = Lagging(2.0)
    now(scene.store.create(Resource("db", "orders", state="A")))
    scene.at(5, lambda: scene.move("B"))
    scene.clock.run(until=6)
    assert scene.shown() == (6, "A")
    assert now(scene.store.get(ORDERS)).state == "B"
    scene.clock.run(until=8)
    assert scene.shown() == (8, "B")


def test_a_cache_that_has_never_been_told_shows_what_it_has_just_listed():
    scene = Lagging(2.0)
    now(scene.store.create(Resource("db", "orders", state="A")))
    assert scene.shown() == (0, "A")


def test_subscribers_are_told_at_once_however_late_the_watches_are():
    scene, told = Lagging(2.0), []
    scene.store.subscribe(lambda before, after: told.append(scene.clock.now))
    scene.at(1, lambda: now(scene.store.create(Resource("db", "orders"))))
    scene.clock.run()
    assert told == [1]
    assert [time for time, _ in scene.seen] == [3]


def test_a_namesake_shows_in_the_cache_when_its_creation_has_arrived_at_the_latest():
    scene = Lagging(2.0)
    now(scene.store.create(Resource("db", "orders", state="old")))
    scene.at(4, lambda: now(scene.store.delete(ORDERS)))
    scene.at(5, lambda: now(scene.store.create(Resource("db", "orders", state="new"))))
    scene.clock.run()
    assert scene.seen[0] == (2, "old")
    assert scene.seen[-1] == (7, "new")


# Runs, and their text.


@st.composite
def runs(draw):
    """A run that an engine can have written: changes in any order that it can make."""
    number = draw(st.integers(1, 10**6))
    run = Run(f"{number}-Backup", ORDERS)
    begin(draw, FLOW, ORDERS, number).apply(run, draw(TIMES))
    for _ in range(draw(st.integers(0, 8))):
        if (change := following(draw, run)) is None:
            break
        change.apply(run, draw(TIMES))
    return run.memento()


def exact(value):
    """What tells 1, 1.0 and True apart, which compare as equal; keys in any order."""
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [exact(item) for item in value]
    return type(value), repr(value)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(runs())
def test_a_run_loaded_from_its_text_is_the_same_in_value_and_type(run):
    store = InMemoryRuns(Journal(Hand()))
    store.load(ORDERS, run.key, run.to_json())
    (entry,) = now(store.entries(ORDERS))
    again = entry.memento()
    assert again == run
    assert exact(again) == exact(run)
    assert again.to_json() == run.to_json()


@pytest.fixture
def journal():
    return Journal(Hand())


@pytest.fixture
def store(journal):
    return InMemoryRuns(journal)


def told(journal):
    return [(record.kind.value, record.run) for record in journal]


def text_of(number):
    return after(new(FLOW, ORDERS, number), (1.0, Start(0))).to_json()


UNREADABLE = {
    "empty": "",
    "truncated": text_of(2)[:-40],
    "no object": "[1, 2]",
    "newer": text_of(2).replace('"version":1', '"version":99'),
    "other status": text_of(2).replace("running", "dancing"),
    "not a number": text_of(2).replace('"version":1', '"version":NaN'),
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_a_text_that_cannot_be_read_is_quarantined_and_the_others_are_not(
    store, journal, text
):
    for number, content in enumerate([text_of(1), text, text_of(3)], start=1):
        store.load(ORDERS, f"{number}-Backup", content)
    entries = now(store.entries(ORDERS))
    assert [type(entry) for entry in entries] == [Run, Quarantined, Run]
    assert (entries[1].key, entries[1].text) == ("2-Backup", text)
    assert entries[1].reason
    assert told(journal) == [
        ("run.created", "1-Backup"),
        ("run.quarantined", "2-Backup"),
        ("run.created", "3-Backup"),
    ]


def test_an_entry_whose_key_is_no_run_is_quarantined_and_listed_first(store):
    store.load(ORDERS, "1-Backup", text_of(1))
    store.load(ORDERS, "lost+found", text_of(1))
    assert [entry.key for entry in now(store.entries(ORDERS))] == [
        "lost+found",
        "1-Backup",
    ]


def test_a_quarantined_entry_can_be_removed_and_that_is_said_once(store, journal):
    store.load(ORDERS, "2-Backup", "{")
    store.remove(ORDERS, "2-Backup", 1)
    store.remove(ORDERS, "2-Backup", 1)
    assert now(store.entries(ORDERS)) == []
    assert told(journal) == [("run.quarantined", "2-Backup"), ("run.pruned", "2-Backup")]


def test_what_was_there_before_anything_ran_is_nothing_in_memory(store):
    assert store.loaded() == {}


def test_a_run_that_was_found_elsewhere_stands_as_it_was_found(store, journal):
    found = after(new(FLOW, ORDERS, 3), (1.0, Start(0)), (2.0, Complete(0)))
    store.put(found)
    (run,) = now(store.entries(ORDERS))
    assert run.memento() == journal[0].value == found
    assert journal[0].kind is Kind.RUN_CREATED
