"""What every store of runs does."""

from __future__ import annotations

import pytest

from tests.changes import after, new
from wfsim.errors import Fenced
from wfsim.model.flow import Flow, Step
from wfsim.model.frozen import freeze
from wfsim.model.journal import Journal
from wfsim.model.resource import Key
from wfsim.model.run import (
    Adopt,
    Adoption,
    Begin,
    Cause,
    Complete,
    Interrupt,
    Late,
    Recover,
    Run,
    Start,
)
from wfsim.sim.sqlite import Database, SqliteRuns

ORDERS = Key("db", "default", "orders")
NAMESAKE = Key("db", "test", "orders")
FLOW = Flow("Backup", (Step("Snapshot"), Step("Copy")))


@pytest.fixture
def append(runs, do, clock):
    """Append a change, and return when that was asked for."""

    def appended(run, change, token=1):
        at = float(clock.now)

        def effect():
            yield from runs.append(run, change, token)

        do(effect())
        return at

    return appended


@pytest.fixture
def begin(append):
    def begun(number, key=ORDERS, token=1):
        run = Run(f"{number}-Backup", key)
        append(run, Begin(new(FLOW, key, number)), token)
        return run

    return begun


@pytest.fixture
def remove(runs, do):
    def removed(run, token=1):
        def effect():
            yield from runs.remove(ORDERS, run, token)

        do(effect())

    return removed


@pytest.fixture
def kept(runs, do):
    """What the store keeps of a resource, as values."""

    def read(key=ORDERS, since=""):
        return [run.memento() for run in do(runs.entries(key, since))]

    return read


def kinds(journal):
    return [record.kind.value for record in journal]


def test_what_was_appended_is_there_with_the_types_it_had(append, begin, kept):
    output = freeze({"done": True, "of": ("a", None), "ratio": 3.0, "size": 3})
    run = begin(1)
    started = append(run, Start(0))
    completed = append(run, Complete(0, output))
    (entry,) = kept()
    changes = (started, Start(0)), (completed, Complete(0, output))
    assert entry == after(new(FLOW, ORDERS), *changes)
    assert repr(entry.steps[0].output) == repr(output)


def test_who_holds_a_run_sees_what_is_appended_to_it_and_so_does_who_reads(
    runs, do, append, begin
):
    run = begin(1)
    append(run, Start(0))
    (read,) = do(runs.entries(ORDERS))
    append(read, Complete(0))
    assert (read is run, run.steps[0].status) == (True, "completed")


def test_a_later_change_takes_nothing_away_and_is_no_second_run(append, begin, kept):
    run = begin(1)
    append(run, Start(0))
    assert kept() == [after(new(FLOW, ORDERS), Start(0))]


def test_each_change_is_one_entry_of_the_journal(append, begin, journal):
    run = begin(1)
    append(run, Start(0))
    append(run, Adopt(Adoption.of(run), Complete(0)))
    assert kinds(journal) == ["run.created", "step.started", "step.completed"]
    assert [record.value for record in journal][-1] == run.memento()


@pytest.mark.parametrize("first", [Start(0), Late(0.0, 1, Start(0))], ids=str)
def test_who_does_not_know_whether_a_change_was_kept_may_append_it_again(
    append, begin, journal, kept, clock, first
):
    run = begin(1)
    append(run, first)
    clock.run(until=5.0)
    for _ in range(3):
        append(run, Late(0.0, 1, Start(0)))
    assert kinds(journal) == ["run.created", "step.started"]
    assert kept() == [after(new(FLOW, ORDERS), Start(0))]


def test_a_late_change_that_was_not_kept_is_kept_as_of_when_it_was_decided(
    append, begin, journal, kept, clock
):
    run = begin(1)
    clock.run(until=5.0)
    append(run, Late(2.0, 1, Start(0)))
    assert kept() == [after(new(FLOW, ORDERS), (2.0, Start(0)))]
    assert journal[1].time == pytest.approx(5.0)


def test_the_beginning_said_again_is_one_run(append, journal, kept):
    run, beginning = Run("1-Backup", ORDERS), Begin(new(FLOW, ORDERS))
    append(run, beginning)
    append(run, Late(0.0, 0, beginning))
    assert kinds(journal) == ["run.created"]
    assert kept() == [new(FLOW, ORDERS)]


def test_an_equal_change_of_another_moment_is_another_entry(append, begin, journal, kept):
    run = begin(1)
    for _ in range(2):
        append(run, Start(0))
    assert kinds(journal) == ["run.created", "step.started", "step.started"]
    assert kept()[0].steps[0].restarts == 1


def test_a_recovery_said_again_after_a_restart_is_one_entry(append, begin, journal):
    run = begin(1)
    append(run, Interrupt(0, "LOST", "", Cause.STEP))
    for _ in range(2):
        append(run, Recover(from_first_step=False, deadline=9.0))
    assert kinds(journal) == ["run.created", "run.interrupted", "run.recovered"]


def test_runs_are_listed_from_the_oldest_to_the_newest(begin, kept):
    for number in (10, 9, 1, 2):
        begin(number)
    assert [run.number for run in kept()] == [1, 2, 9, 10]


def test_runs_since_one_that_is_there_are_that_one_and_the_newer(begin, kept):
    for number in (9, 10, 1, 2):
        begin(number)

    def since(key):
        return [run.number for run in kept(since=key)]

    assert since("9-Backup") == [9, 10]
    assert since("10-Backup") == [10]
    assert since("7-Backup") == [1, 2, 9, 10]


def test_each_resource_has_runs_of_its_own(runs, begin, kept):
    mine, other = begin(1), begin(1, NAMESAKE)
    assert kept() == [mine.memento()]
    assert kept(NAMESAKE) == [other.memento()]
    assert runs.keys() == [ORDERS, NAMESAKE]


def test_nothing_is_kept_of_an_unknown_resource(runs, kept):
    assert kept() == []
    assert runs.keys() == []


def test_a_removed_run_is_forgotten_and_the_others_stay(
    runs, begin, remove, kept, journal
):
    begin(1)
    other = begin(2)
    remove("1-Backup")
    remove("7-Backup")
    assert kept() == [other.memento()]
    remove("2-Backup")
    assert kept() == []
    assert runs.keys() == []
    assert kinds(journal)[2:] == ["run.pruned", "run.pruned"]


def test_a_run_may_have_the_key_of_one_that_was_removed(begin, remove, kept):
    begin(1)
    remove("1-Backup")
    again = begin(1)
    assert kept() == [again.memento()]


def test_a_list_that_was_returned_is_the_readers_own(runs, do, begin, kept):
    run = begin(1)
    do(runs.entries(ORDERS)).clear()
    assert kept() == [run.memento()]


def test_a_writer_whose_lease_passed_on_is_refused_and_nothing_has_changed(
    append, begin, remove, kept, tokens, journal
):
    run = begin(1, token=1)
    before = run.memento()
    tokens[ORDERS] = 2
    with pytest.raises(Fenced, match="token 1 is older than the lease, 2"):
        append(run, Start(0), token=1)
    with pytest.raises(Fenced):
        begin(2, token=1)
    with pytest.raises(Fenced):
        remove("1-Backup", token=1)
    assert kept() == [before] == [run.memento()]
    assert kinds(journal) == ["run.created"]
    at = append(run, Start(0), token=2)
    assert kept() == [after(before, (at, Start(0)))]


def test_a_change_that_was_refused_may_be_appended_by_who_has_the_lease(
    append, begin, tokens, kept
):
    run = begin(1, token=1)
    tokens[ORDERS] = 2
    start = Start(0)
    with pytest.raises(Fenced):
        append(run, start, token=1)
    at = append(run, start, token=2)
    assert kept() == [after(new(FLOW, ORDERS), (at, start))]


def test_a_lease_of_one_resource_says_nothing_about_another(begin, kept, tokens):
    tokens[NAMESAKE] = 9
    run = begin(1, token=1)
    assert kept() == [run.memento()]


# A store with a file.


@pytest.fixture
def reopened(database, clock):
    """What the next process finds in the file."""
    files = []

    def read():
        files.append(Database(database.path))
        return SqliteRuns(files[-1], clock, Journal(clock, {})).loaded()

    yield read
    for file in files:
        file.close()


def test_another_process_that_opens_the_file_sees_what_was_kept(
    database, clock, journal, reopened
):
    store = SqliteRuns(database, clock, journal)
    first, other = Run("1-Backup", ORDERS), Run("1-Backup", NAMESAKE)
    second, gone = Run("2-Backup", ORDERS), Run("3-Backup", ORDERS)
    output = freeze({"done": True, "of": ("a", None), "ratio": 3.0, "size": 3})
    for run in (gone, second, first, other):
        store.append(run, Begin(new(FLOW, run.resource, run.number)), 1)
    for change in (Start(0), Complete(0, output)):
        store.append(first, change, 1)
    store.append(second, Adopt(Adoption(0, 1, 7, "d", "uid-2"), Start(1)), 1)
    store.remove(ORDERS, "3-Backup", 1)
    found = reopened()
    assert found == {
        ORDERS: [first.memento(), second.memento()],
        NAMESAKE: [other.memento()],
    }
    assert repr(found[ORDERS][0].steps[0].output) == repr(output)


def test_what_was_refused_is_not_in_the_file(database, clock, journal, tokens, reopened):
    store = SqliteRuns(database, clock, journal)
    run = Run("1-Backup", ORDERS)
    store.append(run, Begin(new(FLOW, ORDERS)), 1)
    tokens[ORDERS] = 2
    with pytest.raises(Fenced):
        store.append(run, Start(0), 1)
    with pytest.raises(Fenced):
        store.remove(ORDERS, "1-Backup", 1)
    assert reopened() == {ORDERS: [new(FLOW, ORDERS)]}


def test_a_change_appended_again_is_once_in_the_file(database, clock, journal, reopened):
    store = SqliteRuns(database, clock, journal)
    run = Run("1-Backup", ORDERS)
    store.append(run, Begin(new(FLOW, ORDERS)), 1)
    for change in (Start(0), Late(0.0, 1, Start(0)), Late(0.0, 1, Start(0))):
        store.append(run, change, 1)
    assert reopened() == {ORDERS: [after(new(FLOW, ORDERS), Start(0))]}
