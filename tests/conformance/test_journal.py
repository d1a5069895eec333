"""What every journal does, in memory or in a file, and what is there after a restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.changes import Hand, after, new
from wfsim.errors import Fenced
from wfsim.model.flow import Flow, Step
from wfsim.model.frozen import freeze
from wfsim.model.journal import Journal
from wfsim.model.memento import Memento, Quarantined
from wfsim.model.resource import Key, Resource
from wfsim.model.run import (
    Adopt,
    Adoption,
    Begin,
    Cause,
    Complete,
    CompleteRun,
    Fail,
    Interrupt,
    Late,
    Recover,
    Run,
    Start,
    Supersede,
)
from wfsim.sim.sqlite import Database, SqliteLeases, SqliteResources, SqliteRuns
from wfsim.sim.storage import immediately as now
from wfsim.sim.stores import InMemoryLeases, InMemoryResources, InMemoryRuns

ORDERS = Key("db", "default", "orders")
USERS = Key("db", "default", "users")
FLOW = Flow("Build", (Step("Allot"), Step("Copy")))
BEGUN = new(FLOW, ORDERS)
TERMS = {"length": 15.0, "renew": 10.0}


class Kept(NamedTuple):
    """A journal, and the stores whose writes are its entries."""

    clock: Hand
    leases: InMemoryLeases
    journal: Journal
    resources: InMemoryResources
    runs: InMemoryRuns

    def append(self, run: Run, *changes: Any, token: int = 0) -> None:
        for change in changes:
            at, change = change if type(change) is tuple else (self.clock.now, change)
            self.clock.now = at
            for _ in self.runs.append(run, change, token):
                raise AssertionError("a journal takes no virtual time")

    def begin(self, number: int = 1, key: Key = ORDERS) -> Run:
        run = Run(f"{number}-Build", key)
        self.append(run, Begin(new(FLOW, key, number)))
        return run

    def entries(self) -> list[tuple[Any, ...]]:
        """Each entry: time, key of its run, what it is, token."""
        return [
            (time, run and run.key, type(change).__name__, token)
            for time, run, change, token in self.journal.entries()
        ]

    def state(self) -> dict[Key, tuple[Resource | None, list[Memento | Quarantined]]]:
        """What the entries have led to."""
        return {
            key: (
                self.resources.peek(key),
                [
                    run.memento() if isinstance(run, Run) else run
                    for run in now(self.runs.entries(key))
                ],
            )
            for key in sorted({*self.resources.keys(), *self.runs.keys()})
        }


def in_memory(path: Any) -> Kept:
    clock = Hand()
    leases = InMemoryLeases(clock, **TERMS)
    journal = Journal(clock, leases.tokens, leases.holder)
    return Kept(
        clock, leases, journal, InMemoryResources(clock, journal), InMemoryRuns(journal)
    )


def in_a_file(path: Any) -> Kept:
    clock, file = Hand(), Database(path)
    clock.now = file.time
    leases = SqliteLeases(file, clock, **TERMS)
    journal = Journal(clock, leases.tokens, leases.holder)
    resources = SqliteResources(file, clock, journal)
    kept = Kept(clock, leases, journal, resources, SqliteRuns(file, clock, journal))
    for entries in kept.runs.loaded().values():
        for entry in entries:
            kept.runs.recall(entry)
    return kept


def memory_again(kept: Kept, path: Any) -> Kept:
    """Return what is there when the engine is dropped: the same stores."""
    return kept


def file_again(kept: Kept, path: Any) -> Kept:
    """Return what the next process finds."""
    return in_a_file(path)


JOURNALS: dict[str, tuple[Callable[..., Kept], Callable[..., Kept]]] = {
    "memory": (in_memory, memory_again),
    "sqlite": (in_a_file, file_again),
}


@pytest.fixture(params=JOURNALS.values(), ids=JOURNALS)
def kinds(request):
    return request.param


@pytest.fixture
def kept(kinds, tmp_path):
    return kinds[0](tmp_path / "stores.db")


@pytest.fixture
def reopened(kinds, tmp_path):
    return lambda kept: kinds[1](kept, tmp_path / "stores.db")


def test_entries_are_in_the_order_in_which_they_were_appended(kept):
    first, other = kept.begin(), kept.begin(key=USERS)
    kept.append(first, (1.0, Start(0)), token=3)
    kept.append(other, (1.0, Start(0)), token=5)
    kept.append(first, (2.5, Complete(0)), token=3)
    now(kept.resources.create(Resource("db", "orders")))
    kept.runs.remove(USERS, "1-Build", 5)
    assert kept.entries() == [
        (0.0, "1-Build", "Begin", 0),
        (0.0, "1-Build", "Begin", 0),
        (1.0, "1-Build", "Start", 3),
        (1.0, "1-Build", "Start", 5),
        (2.5, "1-Build", "Complete", 3),
        (2.5, None, "Create", 0),
        (2.5, None, "Prune", 5),
    ]
    assert [record.seq for record in kept.journal] == list(range(7))


def test_a_run_is_what_its_entries_come_to_and_so_it_is_after_a_restart(kept, reopened):
    run, output = kept.begin(), freeze({"volume": 7, "of": [1.0, None, "ä"]})
    changes = [
        (1.0, Start(0)),
        (2.0, Fail(0, "disk full", wake=4.0)),
        (4.0, Start(0)),
        (5.0, Late(4.5, 4, Complete(0, output))),
        (5.0, Adopt(Adoption(1, 2, 7, "d", "uid-1", freeze({"zone": "z"})), Start(1))),
        (6.0, Interrupt(1, "LOST", "by hand", Cause.STEP, 3.0)),
        (7.0, Recover(from_first_step=False, deadline=99.0, entered=8)),
        (8.0, Start(1)),
    ]
    kept.append(run, *changes)
    wanted = after(BEGUN, *changes)
    assert kept.state() == {ORDERS: (None, [wanted])}
    again = reopened(kept)
    assert again.state() == {ORDERS: (None, [wanted])}
    ((_, [read]),) = again.state().values()
    # Texts have their keys in order; 1.0 is still no 1.
    assert repr({**freeze({"of": 0}), **read.steps[0].output}) == repr(
        {"of": output["of"], "volume": 7}
    )
    # It goes on from there.
    (found,) = now(again.runs.entries(ORDERS))
    again.append(found, (9.0, Complete(1)), (9.0, CompleteRun()))
    ended = after(wanted, (9.0, Complete(1)), (9.0, CompleteRun()))
    assert reopened(again).state() == {ORDERS: (None, [ended])}


@pytest.mark.parametrize("count", [1, 99, 100, 101, 250])
def test_however_many_entries_a_run_has_a_restart_finds_where_it_stands(
    kept, reopened, count
):
    run = kept.begin()
    for number in range(count - 1):
        kept.append(run, (float(number), Start(number % 2)))
    assert len(kept.entries()) == count
    assert reopened(kept).state() == {ORDERS: (None, [run.memento()])}


def test_the_fold_of_any_prefix_is_what_the_run_was_then(kept):
    run, stages = kept.begin(), []
    changes = [Start(0), Complete(0), Start(1), Complete(1), CompleteRun()]
    for time, change in enumerate(changes):
        stages.append(run.memento())
        kept.append(run, (float(time), change))
    for upto, stage in enumerate(stages, start=1):
        _, _, mementos = kept.journal.fold(upto)
        assert mementos == {("orders", "1-Build"): stage}


def test_an_old_token_appends_nothing_here_or_after_a_restart(kept, reopened):
    run = kept.begin()
    old = now(kept.leases.acquire(ORDERS, "one", lambda: None)).token
    kept.leases.release(ORDERS, old)
    token = now(kept.leases.acquire(ORDERS, "other", lambda: None)).token
    before, entries = kept.state(), kept.entries()
    with pytest.raises(Fenced, match=f"token {old} is older than the lease, {token}"):
        kept.append(run, Start(0), token=old)
    with pytest.raises(Fenced):
        kept.runs.remove(ORDERS, "1-Build", old)
    assert (kept.state(), kept.entries()) == (before, entries)
    again = reopened(kept)
    assert again.state() == before
    (found,) = now(again.runs.entries(ORDERS))
    with pytest.raises(Fenced):
        again.append(found, Start(0), token=old)
    again.append(found, Start(0), token=token)
    assert reopened(again).state()[ORDERS][1] == [after(BEGUN, Start(0))]


def test_each_entry_knows_its_token_and_who_had_the_lease(kept):
    run = kept.begin()
    token = now(kept.leases.acquire(ORDERS, "controller-1", lambda: None)).token
    kept.append(run, Start(0), token=token)
    record = kept.journal[-1]
    assert (record.token, record.controller) == (1, "controller-1")


def test_what_is_said_again_with_late_is_one_entry_here_and_after_a_restart(
    kept, reopened
):
    run = kept.begin()
    kept.append(run, (1.0, Start(0)))
    for at in (2.0, 3.0):
        kept.append(run, (at, Late(1.0, 1, Start(0))))
    kept.append(run, (4.0, Late(3.5, 2, Complete(0))), (5.0, Late(3.5, 2, Complete(0))))
    assert [kind for _, _, kind, _ in kept.entries()] == ["Begin", "Start", "Late"]
    wanted = after(BEGUN, (1.0, Start(0)), (3.5, Complete(0)))
    assert kept.state() == reopened(kept).state() == {ORDERS: (None, [wanted])}


def test_a_recovery_said_again_is_one_entry_here_and_after_a_restart(kept, reopened):
    run = kept.begin()
    interrupted = Interrupt(0, "LOST", "", Cause.STEP)
    kept.append(run, interrupted, Recover(from_first_step=False))
    kept.append(run, Recover(from_first_step=False), Recover(from_first_step=False))
    wanted = after(BEGUN, interrupted, Recover(from_first_step=False))
    assert len(kept.entries()) == 3
    assert reopened(kept).state() == {ORDERS: (None, [wanted])}


def test_runs_that_were_forgotten_superseded_or_unreadable_are_so_after_a_restart(
    kept, reopened
):
    kept.runs.load(ORDERS, "1-Build", "{")
    gone, old, live = kept.begin(2), kept.begin(3), kept.begin(10)
    kept.append(old, (1.0, Supersede()))
    kept.append(live, (2.0, Start(0)))
    kept.runs.remove(ORDERS, gone.key, 0)
    again = kept.begin(2)
    state = kept.state()
    assert reopened(kept).state() == state
    bad, *others = state[ORDERS][1]
    assert (bad.key, bad.text) == ("1-Build", "{")
    assert others == [again.memento(), old.memento(), live.memento()]


def test_resources_are_after_a_restart_what_their_entries_have_made_of_them(
    kept, reopened
):
    for name in ("orders", "users", "gone"):
        now(kept.resources.create(Resource("db", name, finalizers=("disk",))))
    orders = kept.resources.peek(ORDERS)
    orders = now(kept.resources.update(orders.move("Running", "made")))
    now(kept.resources.update(orders.annotate(zone="z1")))
    now(kept.resources.delete(USERS))
    last = Key("db", "default", "gone")
    now(kept.resources.delete(last))
    marked = kept.resources.peek(last)
    now(kept.resources.update(marked._replace(finalizers=())))
    changes = [kind for _, _, kind, _ in kept.entries()]
    assert changes == ["Create"] * 3 + ["Move", "Edit", "Edit", "Edit", "Edit", "Delete"]
    state = kept.state()
    assert {key.name for key in state} == {"orders", "users"}
    again = reopened(kept)
    assert again.state() == state
    born = now(again.resources.create(Resource("db", "gone")))
    assert (born.uid, born.revision) == ("uid-4", 10)
