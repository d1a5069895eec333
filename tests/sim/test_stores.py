"""What the in-memory stores do beyond what every store does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfsim.errors import NotFound
from wfsim.model.flow import Flow, Step
from wfsim.model.frozen import freeze
from wfsim.model.memento import Memento, Quarantined, RunStatus
from wfsim.model.resource import Key, Resource
from wfsim.sim.clock import VirtualClock
from wfsim.sim.stores import InMemoryMementos, InMemoryResources

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
        self.store = InMemoryResources(self.clock, {}, lag=lag)
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


# Mementos, and their text.

OUTPUT = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=6,
)
OUTPUTS = st.dictionaries(st.text(), OUTPUT, max_size=3)
TIMES = st.floats(0, 1e7, allow_nan=False).filter(lambda time: time == 0 or time > 1e-6)


@st.composite
def runs(draw):
    """A memento that the engine can have written: transitions in any legal order."""
    run = Memento.new(
        draw(st.integers(1, 10**6)),
        FLOW,
        ORDERS,
        now=draw(TIMES),
        params=draw(OUTPUTS),
        entered=draw(st.integers(-1, 10**6)),
        owner=draw(st.sampled_from(["", "uid-1"])),
        deadline=draw(st.none() | TIMES),
    )
    for _ in range(draw(st.integers(0, 8))):
        run = draw(st.sampled_from(MOVES))(draw, run)
    return run


def start(draw, run):
    index = run.first_open()
    if run.is_final or index == len(run.steps):
        return run
    return run.start_step(index, draw(TIMES))


def resume(draw, run):
    return run if run.is_final else run.resume(draw(st.integers(0, 99)), run.digest)


def end(draw, run):
    begun = run.step is not None and run.step.status.value in ("inited", "waiting")
    if not begun or run.is_final:
        return run
    index, now = run.cursor, draw(TIMES)
    return draw(
        st.sampled_from(
            [
                lambda: run.complete_step(index, now, freeze(draw(OUTPUTS))),
                lambda: run.wait_step(index, draw(st.none() | TIMES)),
                lambda: run.fail_step(index, now, draw(st.text()), draw(TIMES)),
            ]
        )
    )()


def close(draw, run):
    if run.is_final:
        again = draw(st.none() | TIMES)
        return run.recover(draw(st.booleans()), again) if interrupted(run) else run
    if run.first_open() == len(run.steps):
        return run.complete(draw(TIMES))
    if draw(st.booleans()):
        return run.supersede(draw(TIMES))
    reason = draw(st.sampled_from(["CANCELLED", "POD_LOST"]))
    return run.interrupt(run.first_open(), draw(TIMES), reason, draw(st.text()))


def interrupted(run):
    return run.status is RunStatus.INTERRUPTED


MOVES = [start, start, end, end, resume, close]


def exact(value):
    """What tells 1, 1.0 and True apart, which compare as equal; keys in any order."""
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [exact(item) for item in value]
    return type(value), repr(value)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(runs())
def test_a_memento_read_back_from_its_text_is_the_same_in_value_and_type(run):
    store = InMemoryMementos({})
    store.save(run, 1)
    store.reload()
    (again,) = now(store.entries(ORDERS))
    assert again == run
    assert exact(again) == exact(run)
    assert again.to_json() == run.to_json()


@pytest.fixture
def store():
    """A store that writes down what it tells its listeners."""
    store = InMemoryMementos({})
    store.told = []
    store.on_save += (lambda before, after: store.told.append(("saved", after.key)),)
    store.on_remove += (lambda entry: store.told.append(("removed", entry.key)),)
    store.on_quarantine += (lambda entry: store.told.append(("odd", entry.key)),)
    return store


def text_of(number):
    return Memento.new(number, FLOW, ORDERS, now=0.0).start_step(0, 1.0).to_json()


UNREADABLE = {
    "empty": "",
    "truncated": text_of(2)[:-40],
    "no object": "[1, 2]",
    "newer": text_of(2).replace('"version":1', '"version":99'),
    "other status": text_of(2).replace("running", "dancing"),
    "not a number": text_of(2).replace('"version":1', '"version":NaN'),
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_a_text_that_cannot_be_read_is_quarantined_and_the_others_are_not(store, text):
    for number, content in enumerate([text_of(1), text, text_of(3)], start=1):
        store.load(ORDERS, f"{number}-Backup", content)
    entries = now(store.entries(ORDERS))
    assert [type(entry) for entry in entries] == [Memento, Quarantined, Memento]
    assert (entries[1].key, entries[1].text) == ("2-Backup", text)
    assert entries[1].reason
    assert store.told == [
        ("saved", "1-Backup"),
        ("odd", "2-Backup"),
        ("saved", "3-Backup"),
    ]


def test_a_quarantined_text_is_reported_once_and_kept_as_it_is(store):
    store.load(ORDERS, "2-Backup", "{")
    for _ in range(3):
        store.reload()
    assert store.told == [("odd", "2-Backup")]
    assert now(store.entries(ORDERS))[0].text == "{"


def test_an_entry_whose_key_is_no_run_is_quarantined_and_listed_first(store):
    store.load(ORDERS, "1-Backup", text_of(1))
    store.load(ORDERS, "lost+found", text_of(1))
    assert [entry.key for entry in now(store.entries(ORDERS))] == [
        "lost+found",
        "1-Backup",
    ]


def test_a_quarantined_entry_can_be_removed(store):
    store.load(ORDERS, "2-Backup", "{")
    store.remove(ORDERS, "2-Backup", 1)
    store.remove(ORDERS, "2-Backup", 1)
    assert now(store.entries(ORDERS)) == []
    assert store.told == [("odd", "2-Backup"), ("removed", "2-Backup")]


def test_saving_what_is_there_already_is_no_write(store):
    run = Memento.new(1, FLOW, ORDERS, now=0.0)
    store.save(run, 1)
    store.save(run._replace(), 1)
    assert store.told == [("saved", "1-Backup")]


def test_mementos_are_kept_by_reference_until_somebody_restarts(store):
    run = Memento.new(1, FLOW, ORDERS, now=0.0)
    store.save(run, 1)
    assert now(store.entries(ORDERS))[0] is run
    store.reload()
    again = now(store.entries(ORDERS))[0]
    assert again == run
    assert again is not run
