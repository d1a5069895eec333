"""What every memento store does."""

from __future__ import annotations

import pytest

from wfsim.errors import Fenced
from wfsim.model.flow import Flow, Step
from wfsim.model.memento import Memento
from wfsim.model.resource import Key

ORDERS = Key("db", "default", "orders")
FLOW = Flow("Backup", (Step("Snapshot"), Step("Copy")))


def run(number, key=ORDERS):
    return Memento.new(number, FLOW, key, now=0.0)


@pytest.fixture
def save(mementos, do):
    def saved(memento, token=1):
        def effect():
            yield from mementos.save(memento, token)

        do(effect())
        return memento

    return saved


@pytest.fixture
def remove(mementos, do):
    def removed(run, token=1):
        def effect():
            yield from mementos.remove(ORDERS, run, token)

        do(effect())

    return removed


def test_what_was_saved_is_there_with_the_types_it_had(mementos, do, save):
    output = {"done": True, "of": ("a", None), "ratio": 3.0, "size": 3}
    memento = save(run(1).start_step(0, 1.5).complete_step(0, 2.0, output))
    (entry,) = do(mementos.entries(ORDERS))
    assert entry == memento
    assert repr(entry.steps[0].output) == repr(output)


def test_a_later_version_takes_the_place_of_an_earlier_one(mementos, do, save):
    first = save(run(1))
    second = save(first.start_step(0, 1.0))
    assert do(mementos.entries(ORDERS)) == [second]


def test_runs_are_listed_from_the_oldest_to_the_newest(mementos, do, save):
    runs = [save(run(number)) for number in (10, 9, 1, 2)]
    assert do(mementos.entries(ORDERS)) == [runs[2], runs[3], runs[1], runs[0]]


def test_runs_since_one_that_is_there_are_that_one_and_the_newer(mementos, do, save):
    runs = [save(run(number)) for number in (9, 10, 1, 2)]
    assert do(mementos.entries(ORDERS, "9-Backup")) == [runs[0], runs[1]]
    assert do(mementos.entries(ORDERS, "10-Backup")) == [runs[1]]
    assert do(mementos.entries(ORDERS, "7-Backup")) == [runs[2], runs[3], *runs[:2]]


def test_each_resource_has_runs_of_its_own(mementos, do, save):
    namesake = Key("db", "test", "orders")
    mine, other = save(run(1)), save(run(1, namesake))
    assert do(mementos.entries(ORDERS)) == [mine]
    assert do(mementos.entries(namesake)) == [other]
    assert mementos.keys() == [ORDERS, namesake]


def test_nothing_is_kept_of_an_unknown_resource(mementos, do):
    assert do(mementos.entries(ORDERS)) == []
    assert mementos.keys() == []


def test_a_removed_run_is_forgotten_and_the_others_stay(mementos, do, save, remove):
    save(run(1))
    kept = save(run(2))
    remove("1-Backup")
    remove("7-Backup")
    assert do(mementos.entries(ORDERS)) == [kept]
    remove("2-Backup")
    assert do(mementos.entries(ORDERS)) == []
    assert mementos.keys() == []


def test_a_list_that_was_returned_is_the_readers_own(mementos, do, save):
    memento = save(run(1))
    do(mementos.entries(ORDERS)).clear()
    assert do(mementos.entries(ORDERS)) == [memento]


def test_a_writer_whose_lease_passed_on_is_refused(mementos, do, save, remove, tokens):
    memento = save(run(1), token=1)
    tokens[ORDERS] = 2
    with pytest.raises(Fenced, match="token 1 is older than the lease, 2"):
        save(memento.start_step(0, 1.0), token=1)
    with pytest.raises(Fenced):
        remove("1-Backup", token=1)
    assert do(mementos.entries(ORDERS)) == [memento]
    newer = save(memento.start_step(0, 1.0), token=2)
    assert do(mementos.entries(ORDERS)) == [newer]


def test_a_lease_of_one_resource_says_nothing_about_another(mementos, do, save, tokens):
    tokens[Key("db", "test", "orders")] = 9
    memento = save(run(1), token=1)
    assert do(mementos.entries(ORDERS)) == [memento]
