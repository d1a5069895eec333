"""Stores in a file: what outlives a process, however that ended."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

import wfsim
from fake_resources import polardb, tiem
from tests.changes import after, new
from tests.sim import flows_to_kill
from tests.sizes import FULL
from wfsim.errors import (
    AlreadyExists,
    DefinitionError,
    Fenced,
    NotFound,
    StoreError,
    Unavailable,
    UsageError,
)
from wfsim.model.flow import Flow, Step
from wfsim.model.frozen import freeze
from wfsim.model.journal import Journal
from wfsim.model.memento import Memento, Quarantined
from wfsim.model.memento_json import MAX_BYTES
from wfsim.model.resource import Key, Resource
from wfsim.model.run import Begin, Run, Start
from wfsim.sim.clock import VirtualClock, WallClock
from wfsim.sim.draws import KeyedDraws
from wfsim.sim.sqlite import Database, Lost, SqliteLeases, SqliteResources, SqliteRuns
from wfsim.sim.storage import immediately as now

ROOT = Path(__file__).parents[2]
ORDERS = Key("db", "default", "orders")
USERS = Key("db", "default", "users")
FLOW = Flow("Build", (Step("Allot"), Step("Copy"), Step("Open")))
RUN = new(FLOW, ORDERS)


class Stores:
    """All stores over one file, as a process that starts has them."""

    def __init__(self, path, **keywords):
        self.file = Database(path, **keywords)
        self.clock = VirtualClock()
        self.leases = SqliteLeases(self.file, self.clock, length=15.0, renew=10.0)
        self.journal = Journal(self.clock, self.leases.tokens)
        self.resources = SqliteResources(self.file, self.clock, self.journal)
        self.runs = SqliteRuns(self.file, self.clock, self.journal)
        for entries in self.runs.loaded().values():
            for entry in entries:
                self.runs.recall(entry)

    def begin(self, memento, token=1):
        """Keep a run that stands as *memento* says."""
        run = Run(memento.key, memento.resource)
        for _ in self.runs.append(run, Begin(memento), token):
            raise AssertionError("a file takes no virtual time")

    def content(self):
        return content(self.resources, self.runs)


def content(resources, runs):
    """All that two stores hold, as values: of each key the resource and its runs."""
    return {
        key: (resources.peek(key), list(map(value, now(runs.entries(key)))))
        for key in sorted({*resources.keys(), *runs.keys()})
    }


def value(entry):
    return entry.memento() if isinstance(entry, Run) else entry


@pytest.fixture
def db(tmp_path):
    return tmp_path / "stores.db"


@pytest.fixture
def stores(db):
    return Stores(db)


def run_sql(db, sql, *values):
    with closing(sqlite3.connect(db)) as connection, connection:
        return connection.execute(sql, values).fetchall()


def _allot(ctx):
    yield from ctx.sleep(1.0)
    return {"volume": 7, "ratio": 7.0}


def _copy(ctx):
    yield from ctx.sleep(2.0)
    if ctx.attempt == 1:
        raise OSError("disk full")


def _open(ctx):
    yield from ctx.sleep(1.0)


def scenario(**more):
    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    bodies = []
    for name, body in (("Allot", _allot), ("Copy", _copy), ("Open", _open)):

        def step(ctx, body=body):
            return (yield from body(ctx))

        step.__name__ = name
        bodies.append(step)
    return wfsim.Scenario(
        [Resource("db", "orders"), Resource("db", "users")],
        machine.unstable("Creating", run="Build"),
        [FLOW],
        bodies,
        **more,
    )


# What the next process finds.


def test_the_next_process_finds_all_that_was_written(db, stores):
    spec = {"size": 3, "ratio": 3.0, "on": True, "tags": ["ä", None], "odd": "\u2028\x00"}
    born = Resource("db", "orders", spec=spec, finalizers=("disk",))
    orders = now(stores.resources.create(born))
    orders = now(stores.resources.update(orders.annotate(zone="z1").move("Run", "made")))
    now(stores.resources.delete(ORDERS))
    stores.begin(after(RUN, (1.5, Start(0))))
    stores.begin(new(FLOW, USERS, 2, 0.25))
    found = Stores(db).content()
    assert found == stores.content()
    assert repr(found[ORDERS]) == repr(stores.content()[ORDERS])


def test_a_revision_a_uid_and_a_token_are_never_given_twice(db, stores):
    first = now(stores.resources.create(Resource("db", "orders")))
    token = now(stores.leases.acquire(ORDERS, "one", lambda: None)).token
    now(stores.resources.delete(ORDERS))
    later = Stores(db)
    second = now(later.resources.create(Resource("db", "orders")))
    assert second.uid != first.uid
    assert second.revision > first.revision + 1
    assert now(later.leases.acquire(ORDERS, "one", lambda: None)).token > token
    with pytest.raises(Fenced):
        later.begin(RUN, token)


def test_a_simulation_over_a_new_file_has_the_same_log_as_one_without(db):
    log = wfsim.simulate(scenario(), seed=1)
    assert wfsim.Simulation(scenario(), seed=1, db=db).run().digest() == log.digest()


def test_a_second_simulation_goes_on_where_the_first_was_dropped(db):
    wfsim.Simulation(scenario(), db=db).run(until=wfsim.step_started("Open"))
    second = wfsim.Simulation(scenario(), db=str(db))
    assert second.now == 6.0
    log = second.run()
    rows = [(row.time, row.kind.value, row.resource, row.step) for row in log]
    assert rows == [
        (6.0, "resource.created", "orders", ""),
        (6.0, "run.created", "orders", ""),
        (6.0, "resource.created", "users", ""),
        (6.0, "run.created", "users", ""),
        (6.0, "controller.started", "", ""),
        (6.0, "step.started", "orders", "Open"),
        (6.0, "step.started", "users", "Copy"),
        (7.0, "step.completed", "orders", "Open"),
        (7.0, "run.completed", "orders", ""),
        (7.0, "resource.state", "orders", ""),
        (8.0, "step.completed", "users", "Copy"),
        (8.0, "step.started", "users", "Open"),
        (9.0, "step.completed", "users", "Open"),
        (9.0, "run.completed", "users", ""),
        (9.0, "resource.state", "users", ""),
    ]
    assert [second.resource(name).state for name in ("orders", "users")] == [
        "Running"
    ] * 2


@pytest.mark.parametrize("applied", [True, False])
def test_faults_and_restarts_leave_in_the_file_what_is_in_memory(db, applied):
    faults = [
        wfsim.FailSave(write=3, applied=applied, times=2),
        wfsim.CrashAt(t=1.5, restart_after=2.0),
    ]
    simulation = wfsim.Simulation(scenario(), faults=faults, db=db, controllers=2)
    simulation.run()
    assert {simulation.resource(name).state for name in ("orders", "users")} == {
        "Running"
    }
    assert Stores(db).content() == acknowledged(simulation)
    folded = simulation.log.fold()
    assert {str(key): pair[0] for key, pair in acknowledged(simulation).items()} == dict(
        folded.resources
    )


def test_the_world_is_as_it_was_at_the_last_write(db):
    first = wfsim.Simulation(polardb.scenario(replicas=2), seed=1, db=db)
    first.run(until=wfsim.step_started("CreateRoPods"))
    second = wfsim.Simulation(polardb.scenario(replicas=2), seed=1, db=db)
    assert second.resource() == first.resource()
    engines = [pod.engine for pod in second.world.pods.values()]
    assert engines == ["running"]
    log = second.run()
    assert second.resource().state == "Running"
    started = [row.step for row in log if row.kind is wfsim.Kind.STEP_STARTED]
    assert started[0] == "CreateRoPods"
    whole = wfsim.Simulation(polardb.scenario(replicas=2), seed=1)
    whole.run()
    assert second.resource().status == whole.resource().status
    third = wfsim.Simulation(polardb.scenario(replicas=2), seed=1, db=db)
    third.resource()
    assert third.world.state() == second.world.state()


def test_what_the_file_did_not_take_has_no_part_in_the_world_it_keeps(db):
    @wfsim.step
    def Order(ctx):
        ctx.world.arrived = True
        ctx.world.changed()
        yield from ctx.sleep(3.0)

    def ordering():
        machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
        return wfsim.Scenario(
            [Resource("db", "orders")],
            machine.unstable("Creating", run="Fill"),
            [Flow("Fill", (Step("Order"),))],
            [Order],
            world=Depot,
        )

    first = wfsim.Simulation(ordering(), db=db)
    first.run(until=2.0)
    assert first.world.arrived
    # The step is run again, in the world in which it was begun.
    second = wfsim.Simulation(ordering(), db=db)
    second.resource()
    assert not second.world.arrived
    assert second.run().fold().resources["orders"].state == "Running"
    third = wfsim.Simulation(ordering(), db=db)
    third.resource()
    assert third.world.arrived


def test_the_world_of_another_scenario_is_refused_and_the_file_named(db):
    wfsim.Simulation(scenario(world=Depot), db=db).run(until=1.5)
    run_sql(db, "UPDATE world SET text = '{}'")
    with pytest.raises(DefinitionError, match=r"stores.db: what is kept is no Depot"):
        wfsim.Simulation(scenario(world=Depot), db=db).run()


def test_a_world_that_is_given_is_taken_as_it_is(db):
    wfsim.Simulation(scenario(world=Depot), db=db).run(until=1.5)
    given = Depot()
    given.arrived = True
    second = wfsim.Simulation(scenario(world=Depot), db=db, world=given)
    second.run()
    third = wfsim.Simulation(scenario(world=Depot), db=db)
    third.resource()
    assert third.world.arrived


def test_a_service_goes_on_with_all_that_was_under_way_in_its_world(db):
    first = wfsim.Simulation(tiem.scenario(), seed=1, db=db)
    flow = tiem.begin(first, "CreateCluster", "orders")
    first.run(until=40)
    assert first.service.detail(flow).nodes[-1].operation == "deploy-orders-1"
    second = wfsim.Simulation(tiem.scenario(), seed=1, db=db)
    second.run()
    found = second.service.detail(flow)
    assert found.status == "Finished"
    assert tuple(node.name for node in found.nodes) == found.node_names
    kinds = [operation.kind for operation in second.world.operations.values()]
    assert kinds.count("Deploy") == kinds.count("Start") == 1
    assert second.world.clusters["orders"].is_up
    assert second.world.clusters["orders"].maintenance == ""


def test_a_file_of_resources_is_not_opened_as_one_of_flows_nor_the_other_way_round(db):
    wfsim.Simulation(scenario(), db=db).run(until=1.0)
    with pytest.raises(DefinitionError, match="no state machine for the kind 'db'"):
        wfsim.Simulation(tiem.scenario(), db=db)
    other = db.with_name("flows.db")
    tiem.begin(wfsim.Simulation(tiem.scenario(), db=other), "RestartCluster")
    with pytest.raises(DefinitionError, match="no state machine for the kind 'workflow'"):
        wfsim.Simulation(scenario(), db=other)


class Depot(wfsim.World):
    """Somewhere disks arrive a while after they are ordered."""

    def __init__(self):
        super().__init__()
        self.arrived = False

    def arrive(self):
        self.arrived = True


def test_what_a_completed_step_has_under_way_in_the_world_takes_as_long_as_it_did(db):
    @wfsim.step
    def Order(ctx):
        yield from ctx.sleep(3.0)
        ctx.world.later(10.0, "arrive")

    @wfsim.step
    def Use(ctx):
        yield from ctx.world.until(lambda: ctx.world.arrived)

    def ordering():
        machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
        return wfsim.Scenario(
            [Resource("db", "orders")],
            machine.unstable("Creating", run="Fill"),
            [Flow("Fill", (Step("Order"), Step("Use")))],
            [Order, Use],
            world=Depot,
        )

    wfsim.Simulation(ordering(), db=db).run(until=5.0)
    log = wfsim.Simulation(ordering(), db=db).run()
    ends = [row for row in log if row.kind is wfsim.Kind.STEP_COMPLETED]
    assert [(row.time, row.step) for row in ends] == [(13.0, "Use")]


def test_what_was_deleted_is_not_created_again_by_the_next_process(db):
    first = wfsim.Simulation(scenario(), db=db)
    first.run()
    first.delete("users")
    second = wfsim.Simulation(scenario(), db=db)
    second.run()
    with pytest.raises(NotFound):
        second.resource("users")
    assert second.resource("orders").state == "Running"


def test_a_clock_that_goes_on_is_a_new_one_and_waits_no_longer_than_it_has_to(db):
    wfsim.Simulation(scenario(), db=db).run(until=100.0)
    simulation = wfsim.Simulation(scenario(), db=db, clock=WallClock(factor=1e-6))
    assert simulation.now == simulation.database.time == 7.0
    used = VirtualClock()
    used.timeout(1.0)
    with pytest.raises(UsageError, match="in use already"):
        wfsim.Simulation(scenario(), db=db, clock=used)


def test_a_simulation_that_found_its_file_filled_is_not_forked(db):
    first = wfsim.Simulation(scenario(), db=db)
    first.run(until=2.0)
    assert first.fork().log.records == first.log.records
    with pytest.raises(UsageError, match=r"resume\(\) from sim.mementos\(\)"):
        wfsim.Simulation(scenario(), db=db).fork()


def test_a_scenario_that_does_not_know_what_is_in_the_file_is_refused(db):
    wfsim.Simulation(scenario(), db=db).run(until=1.0)
    with pytest.raises(
        DefinitionError, match=r"stores.db: orders: no state machine .* 'db'"
    ):
        wfsim.Simulation(polardb.scenario(), db=db)


def test_an_entry_that_was_found_elsewhere_is_kept_as_it_is(db, stores):
    stores.runs.put(RUN)
    stores.runs.load(ORDERS, "2-Build", "{")
    _, entries = Stores(db).content()[ORDERS]
    assert entries == stores.content()[ORDERS][1]
    assert [type(entry) for entry in entries] == [Memento, Quarantined]


# Whoever opens a file takes it over.


def test_who_has_lost_the_file_to_another_can_write_nothing(db, stores):
    orders = now(stores.resources.create(Resource("db", "orders")))
    later = Stores(db)
    before = later.content()
    for write in (
        lambda: now(stores.resources.update(orders.move("Running"))),
        lambda: now(stores.resources.delete(ORDERS)),
        lambda: stores.begin(RUN),
        lambda: now(stores.leases.acquire(ORDERS, "one", lambda: None)),
    ):
        with pytest.raises(UsageError, match="opened by somebody else"):
            write()
    assert later.content() == Stores(db).content() == before


def test_a_simulation_that_has_lost_its_file_stops_at_its_next_write(db):
    first = wfsim.Simulation(scenario(), db=db)
    first.run(until=0.5)
    second = wfsim.Simulation(scenario(), db=db)
    with pytest.raises(UsageError, match="opened by somebody else"):
        first.run()
    assert first.now == 1.0
    second.run()
    assert second.resource("orders").state == "Running"


# A crash between every two writes.


class Dropped(BaseException):
    """The process is gone."""


@pytest.fixture
def dropping(monkeypatch):
    """Let a process over *db* be gone *when* (before or after) it makes a write."""
    real = Database.write

    def drop(db, number, when):
        count = 0

        def write(*args, **keywords):
            nonlocal count
            count += 1
            # Others who are at work at the same instant are gone too.
            if count > number or (count == number and when == "before"):
                raise Dropped
            real(*args, **keywords)
            if count == number:
                raise Dropped

        with monkeypatch.context() as patch:
            patch.setattr(Database, "write", write)
            simulation = wfsim.Simulation(scenario(), db=db)
            with suppress(Dropped):
                simulation.run()
                return simulation, False
        return simulation, True

    return drop


def acknowledged(simulation):
    return content(simulation.resources, simulation.stored)


def completed(found):
    return {
        (str(key), step.name)
        for key, (_, runs) in found.items()
        for run in runs
        for step in run.steps
        if step.status is wfsim.types.StepStatus.COMPLETED
    }


def test_a_crash_between_any_two_writes_loses_nothing_that_was_acknowledged(
    tmp_path, dropping
):
    known = []
    for number in range(1, 100):
        simulation, crashed = dropping(tmp_path / f"{number}.db", number, "before")
        known.append(acknowledged(simulation))
        if not crashed:
            break
    assert len(known) >= 30
    for number in range(1, len(known)):
        before = Stores(tmp_path / f"{number}.db").content()
        assert before == known[number - 1]
        dropping(tmp_path / f"after-{number}.db", number, "after")
        assert Stores(tmp_path / f"after-{number}.db").content() == known[number]
    assert known[-1] == acknowledged(simulation)


@pytest.mark.parametrize("when", ["before", "after"])
def test_after_a_crash_at_any_write_every_flow_ends_and_no_completed_step_runs_again(
    tmp_path, dropping, when
):
    for number in range(1 if FULL or when == "after" else 2, 100, 1 if FULL else 3):
        db = tmp_path / f"{number}.db"
        _, crashed = dropping(db, number, when)
        done = completed(Stores(db).content())
        again = wfsim.Simulation(scenario(), db=db)
        log = again.run()
        started = {
            (row.resource, row.step) for row in log if row.kind is wfsim.Kind.STEP_STARTED
        }
        assert not started & done
        found = Stores(db).content()
        assert [live.state for live, _ in found.values()] == ["Running", "Running"]
        assert {len(runs) for _, runs in found.values()} == {1}
        assert len(completed(found)) == 6
        if not crashed:
            break
    assert number >= 30


def test_the_end_of_a_deleted_resource_is_one_write(db, stores):
    now(stores.resources.create(Resource("db", "orders", finalizers=("disk",))))
    now(stores.resources.delete(ORDERS))
    marked = stores.resources.peek(ORDERS)
    told, writes = [], []
    stores.resources.subscribe(lambda before, after: told.append(after and after.key))
    real = stores.file.write
    stores.file.write = lambda *a, **k: (writes.append(a[1]), real(*a, **k))
    now(stores.resources.update(marked._replace(finalizers=())))
    assert [sql.split()[0] for sql in writes] == ["DELETE"]
    assert told == [ORDERS, None]
    assert Stores(db).content() == {}


# A process that is killed.


def test_flows_whose_process_is_killed_again_and_again_end_with_no_step_skipped(tmp_path):
    db, ledger = tmp_path / "flows.db", tmp_path / "ledger"
    command = [sys.executable, "-m", flows_to_kill.__name__, str(db), str(ledger)]
    draws, cut_short = KeyedDraws(seed=1), 0
    done: set[tuple[str, str]] = set()
    lives = 14 if FULL else 5
    for life in range(lives):
        begun = len(steps_of(ledger))
        child = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        with child:
            assert child.stdout.readline() == "ready\n"
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=0.1 * draws.uniform("life", life))
            child.kill()
        file = Stores(db)
        assert not set(steps_of(ledger)[begun:]) & done
        done = completed(file.content())
        cut_short += len(done) < len(flows_to_kill.NAMES) * len(flows_to_kill.STEPS)
        file.file.close()
    assert cut_short >= lives - 4 if FULL else cut_short == lives
    begun = len(steps_of(ledger))
    # With nobody at its other end, it ends when the flows do.
    last = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, timeout=20)
    assert last.returncode == 0
    assert not set(steps_of(ledger)[begun:]) & done
    found = Stores(db).content()
    assert [str(key) for key in found] == sorted(flows_to_kill.NAMES)
    assert {live.state for live, _ in found.values()} == {"Running"}
    assert {len(runs) for _, runs in found.values()} == {1}
    for name in flows_to_kill.NAMES:
        steps = [step for of, step in steps_of(ledger) if of == name]
        assert tuple(dict.fromkeys(steps)) == flows_to_kill.STEPS
        assert steps == sorted(steps, key=flows_to_kill.STEPS.index)


def steps_of(ledger):
    lines = ledger.read_text().splitlines() if ledger.exists() else []
    return [tuple(line.split()) for line in lines]


# Files that cannot be used.


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(
        DefinitionError, match=r"x.db: there is no folder .*gone; make it"
    ):
        Database(tmp_path / "gone" / "x.db")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(DefinitionError, match="may be read and written"):
        Database(tmp_path)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (
            lambda db: db.write_bytes(b"wfsim: flows\n" * 500),
            r"stores.db: file is not a database; give a file that wfsim has written",
        ),
        (
            lambda db: run_sql(db, "CREATE TABLE orders (id INTEGER)"),
            r"stores.db: a database of something else than wfsim; give another file",
        ),
        (
            lambda db: run_sql(db, "CREATE TABLE wfsim (id INTEGER)"),
            r"stores.db: no such column: version; give another file",
        ),
        (
            lambda db: run_sql(db, "CREATE TABLE wfsim AS SELECT 2 AS version"),
            r"stores.db: its schema has version 2, .* reads 1; open it with a newer",
        ),
    ],
    ids=["no database", "another's", "a namesake's", "newer"],
)
def test_what_is_not_ours_is_refused_and_left_as_it_is(db, make, why):
    make(db)
    before = db.read_bytes()
    with pytest.raises(DefinitionError, match=why):
        Database(db)
    assert db.read_bytes() == before
    assert list(db.parent.iterdir()) == [db]


def test_a_damaged_file_is_named_with_its_cure(db, stores):
    for number in range(50):
        now(stores.resources.create(Resource("db", f"r{number}", spec={"x": "y" * 999})))
    stores.file.close()
    size = db.stat().st_size
    with db.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * (size - 8192))
    with pytest.raises(DefinitionError, match=r"stores.db: .*malformed; restore it"):
        Stores(db)


@pytest.fixture
def locked(db):
    """Another process that writes to the file, and how it ends."""
    other = sqlite3.connect(db, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


def test_a_locked_file_is_named_with_its_cure(db, stores, locked):
    with pytest.raises(DefinitionError, match=r"stores.db: database is locked; stop"):
        Database(db, patience=0.0)


def test_a_write_that_fails_has_changed_nothing_and_is_told_to_nobody(db):
    stores, told = Stores(db, patience=0.0), []
    orders = now(stores.resources.create(Resource("db", "orders")))
    stores.resources.subscribe(lambda *pair: told.append(pair))
    before, entries = stores.content(), len(stores.journal)
    other = sqlite3.connect(db, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="database is locked"):
        now(stores.resources.update(orders.move("Running")))
    with pytest.raises(Unavailable):
        stores.begin(RUN)
    with pytest.raises(Unavailable):
        now(stores.resources.delete(ORDERS))
    other.close()
    assert (stores.content(), told) == (before, [])
    assert len(stores.journal) == entries
    now(stores.resources.update(orders.move("Running")))
    assert Stores(db).content() == stores.content() != before


def test_a_closed_file_takes_no_more(stores):
    stores.file.close()
    stores.file.close()
    with pytest.raises(Unavailable, match="closed"):
        stores.begin(RUN)


def test_what_is_too_large_to_be_read_again_is_not_written(db, stores):
    large = {"text": "x" * MAX_BYTES}
    with pytest.raises(StoreError, match=r"1-Build has .* characters; 1048576 are kept"):
        stores.begin(RUN._replace(context=large))
    with pytest.raises(StoreError, match=r"orders has .* characters"):
        now(stores.resources.create(Resource("db", "orders", spec=large)))
    assert stores.content() == Stores(db).content() == {}


@pytest.mark.parametrize(
    "odd",
    [{1, 2}, float("nan"), {1: 2}, "\ud800", json.loads("[" * 50 + "]" * 50), 10**5000],
    ids=["set", "nan", "key", "half", "deep", "digits"],
)
def test_what_could_not_be_read_again_is_not_written(db, stores, odd):
    with pytest.raises(StoreError, match="orders"):
        now(stores.resources.create(Resource("db", "orders", spec={"a": odd})))
    assert stores.content() == Stores(db).content() == {}


@pytest.mark.parametrize(
    "odd",
    ["ä" * 600_000, -0.0, 1e22, 10**30, [1, 1.0, True, None], {"": "\u2028\x7f\x00"}],
    ids=["long", "minus", "large", "larger", "types", "text"],
)
def test_whatever_is_written_is_read_again_as_it_is(db, stores, odd):
    spec = {"a": odd}
    now(stores.resources.create(Resource("db", "orders", spec=spec)))
    stores.begin(RUN._replace(context=spec))
    found, kept = Stores(db).content()[ORDERS], stores.content()[ORDERS]
    assert repr(found[0]) == repr(kept[0])
    assert repr(dict(found[1][0].context)) == repr(freeze(spec))


@pytest.mark.parametrize("name", ["x'); DROP TABLE mementos; --", '"', "a\x00b", "äöü"])
def test_a_name_is_never_read_as_sql(db, stores, name):
    key = Key(name, name, name)
    made = now(stores.resources.create(Resource(name, name, name)))
    run = new(Flow(name or "x", FLOW.steps), key)
    stores.begin(run)
    assert Stores(db).content() == {key: (made, [run])}


# Rows that cannot be read.


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not JSON"),
        (b"\xff", "utf-8"),
        ("x" * (MAX_BYTES + 9), "1048577 characters"),
    ],
)
def test_a_memento_that_cannot_be_read_is_quarantined_and_the_others_go_on(db, text, why):
    wfsim.Simulation(scenario(), db=db).run(until=1.5)
    run_sql(db, "UPDATE mementos SET text = ? WHERE name = 'orders'", text)
    simulation = wfsim.Simulation(scenario(), db=db)
    log = simulation.run()
    (noted,) = [row for row in log if row.kind is wfsim.Kind.RUN_QUARANTINED]
    assert (noted.resource, noted.run) == ("orders", "1-Build")
    assert why in noted.text
    bad, *_ = now(simulation.stored.entries(ORDERS))
    assert isinstance(bad, Quarantined)
    assert simulation.resource("users").state == "Running"


def test_a_controller_that_restarts_goes_on_from_what_its_process_has_kept(db):
    simulation = wfsim.Simulation(scenario(), db=db)
    simulation.run(until=1.5)
    for _ in range(2):
        simulation.crash()
        run_sql(db, "UPDATE mementos SET text = '{' WHERE name = 'orders'")
        simulation.restart()
    simulation.run()
    assert simulation.resource("orders").state == "Running"
    assert Stores(db).content() == acknowledged(simulation)


RESOURCE = (
    '{"state":"","spec":{},"status":{},"annotations":{},"finalizers":[],"deleted":null,'
    '"event":"","uid":"uid-1","revision":1,"entered":1}'
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting property name"),
        ("[]", "not an object with state, spec"),
        (b"\xff" * 9, "utf-8"),
        (RESOURCE.replace('"spec":{}', '"spec":{},"more":1'), "not an object with"),
        (RESOURCE.replace('"spec":{}', '"spec":[]'), r"spec is \[\]"),
        (RESOURCE.replace('"revision":1', '"revision":true'), "revision is true"),
        (RESOURCE.replace("[]", "[1]"), "a finalizer is not a string"),
        (RESOURCE.replace('ions":{}', 'ions":{"a":1}'), "an annotation is not a string"),
        (RESOURCE.replace("null", "1e999"), "1e999 is beyond"),
        (f"{RESOURCE}{' ' * MAX_BYTES}", "more than 1048576 characters"),
    ],
)
def test_a_resource_that_cannot_be_read_is_let_alone_with_all_its_runs(db, text, why):
    wfsim.Simulation(scenario(), db=db).run(until=1.5)
    run_sql(db, "UPDATE resources SET text = ? WHERE name = 'orders'", text)
    find = "SELECT text FROM mementos WHERE name = 'orders'"
    before = run_sql(db, find)
    simulation = wfsim.Simulation(scenario(), db=db)
    log = simulation.run()
    (noted,) = [row for row in log if row.kind is wfsim.Kind.RUN_QUARANTINED]
    assert (noted.resource, noted.run) == ("orders", "")
    with pytest.raises(AlreadyExists, match=f"cannot be read: .*{why}"):
        now(simulation.resources.create(Resource("db", "orders")))
    assert simulation.resource("users").state == "Running"
    assert run_sql(db, find) == before != []
    run_sql(db, "UPDATE resources SET text = ? WHERE name = 'orders'", RESOURCE)
    mended = wfsim.Simulation(scenario(), db=db)
    mended.run()
    assert mended.resource("orders").state == "Running"


# Several writes as one.


def test_what_is_written_together_is_there_at_once_or_not_at_all(db, stores):
    with stores.file.together():
        now(stores.resources.create(Resource("db", "orders")))
        stores.begin(RUN)
        assert stores.content() != {}
        # Whoever starts now finds what a crash would leave.
        assert run_sql(db, "SELECT * FROM resources") == []
    assert stores.content() == Stores(db).content()


def test_what_was_written_before_something_failed_counts(db, stores):
    def fail():
        with stores.file.together():
            now(stores.resources.create(Resource("db", "orders")))
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    now(stores.resources.create(Resource("db", "users")))
    assert {*stores.content()} == {*Stores(db).content()} == {ORDERS, USERS}


def test_what_cannot_be_committed_together_ends_it(db, stores):
    def write(then=lambda: None):
        with stores.file.together():
            now(stores.resources.create(Resource("db", "orders")))
            then()

    # SQLite does so by itself when the disk is full.
    taken_back = stores.file._connection.rollback
    with pytest.raises(Lost, match=r"rolled back; it has less than was told"):
        write(taken_back)
    other = Stores(db)
    with pytest.raises(Lost, match="opened by somebody else"), stores.file.together():
        now(stores.resources.create(Resource("db", "users")))
    stores.file.close()
    with pytest.raises(Unavailable, match=r"stores.db: .*closed"):
        write()
    assert other.content() == Stores(db).content() == {}
