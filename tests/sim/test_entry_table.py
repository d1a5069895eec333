"""The rows of a file: folds, files of the version before, and damage that is noticed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import wfsim
from fake_resources import tiem
from tests.changes import after, new
from tests.sim.test_sqlite import FLOW, ORDERS, USERS, Depot, Stores, run_sql, scenario
from wfsim import Kind
from wfsim.errors import AlreadyExists, DefinitionError
from wfsim.model.memento import Memento, Quarantined
from wfsim.model.memento_json import MAX_BYTES
from wfsim.model.run import Begin, Complete, CompleteRun, Fail, Run, Start
from wfsim.sim import entry_table
from wfsim.sim.database import Database
from wfsim.sim.storage import immediately as now

VERSION_1 = Path(__file__).parent / "version_1.sql"


@pytest.fixture
def db(tmp_path):
    return tmp_path / "stores.db"


def rows(db, columns="seq, name, run, change"):
    return run_sql(db, f"SELECT {columns} FROM entries ORDER BY seq")


def dropped(db, until):
    """Leave in *db* what a simulation that ran so long has written."""
    simulation = wfsim.Simulation(scenario(), db=db)
    simulation.run(until=until)
    simulation.database.close()
    return simulation


def rewritten(db, seq, fields):
    """Give a row another text as wfsim would have written it."""
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.text_factory = bytes
        execute = connection.execute
        found = execute(f"SELECT * FROM entries WHERE seq = {seq}").fetchone()
        own = entry_table.checksum(found[:11], fields)
        execute(
            "UPDATE entries SET fields = CAST(? AS TEXT), checksum = ? WHERE seq = ?",
            (fields, own, seq),
        )
        after = execute(f"SELECT * FROM entries WHERE seq = {seq + 1}").fetchone()
        assert after is None, "the next row says what was before it"
        head = execute("SELECT * FROM wfsim").fetchone()
        head = (*head[:7], own, head[8])
        put = "UPDATE wfsim SET last = ?, checksum = ?"
        execute(put, (own, entry_table.checksum(head)))


# What is in a file.


def test_each_entry_is_a_row_with_its_time_its_lease_and_who_had_that(db):
    dropped(db, until=1.5)
    assert rows(db, "seq, name, run, place, time, token, controller, change, fields") == [
        (1, "orders", None, 1, 0.0, 0, "", "Create", CREATED.replace("N", "1")),
        (2, "users", None, 1, 0.0, 0, "", "Create", CREATED.replace("N", "2")),
        (3, "orders", None, 2, 0.0, 1, "controller-0", "Acquire", "{}"),
        (4, "orders", "1-Build", 1, 0.0, 1, "controller-0", "Begin", BEGUN["orders"]),
        (5, "orders", "1-Build", 2, 0.0, 1, "controller-0", "Start", '{"index":0}'),
        (6, "users", None, 2, 0.0, 1, "controller-0", "Acquire", "{}"),
        (7, "users", "1-Build", 1, 0.0, 1, "controller-0", "Begin", BEGUN["users"]),
        (8, "users", "1-Build", 2, 0.0, 1, "controller-0", "Start", '{"index":0}'),
        (9, "orders", "1-Build", 3, 1.0, 1, "controller-0", "Complete", ALLOTTED),
        (10, "orders", "1-Build", 4, 1.0, 1, "controller-0", "Start", '{"index":1}'),
        (11, "users", "1-Build", 3, 1.0, 1, "controller-0", "Complete", ALLOTTED),
        (12, "users", "1-Build", 4, 1.0, 1, "controller-0", "Start", '{"index":1}'),
    ]


CREATED = (
    '{"state":"","spec":{},"status":{},"annotations":{},"finalizers":[],"deleted":null,'
    '"event":"","uid":"uid-N","revision":N,"entered":N}'
)
BEGUN = {
    name: '{"flowStatus":"prepared","flowName":"Build",'
    '"initContext":{"_flowSaveNumberKey":"1-Build",'
    f'"_flowSaveResourceNameKey":"{name}-workflow",'
    '"_flowSaveResourceNameSpaceKey":"default",'
    f'"_resourceName":"{name}","_resourceNameSpace":"default"'
    '},"runningSteps":[{"StepName":"Allot","stepStatus":"prepared"},'
    '{"StepName":"Copy","stepStatus":"prepared"},'
    '{"StepName":"Open","stepStatus":"prepared"}],"wfsim":{"version":1,'
    f'"digest":"55f8225aa104","entered":{number},"restarts":0,"cursor":0,'
    f'"owner":"uid-{number}","times":[null,null]}}}}'
    for number, name in enumerate(("orders", "users"), 1)
}
ALLOTTED = '{"index":0,"output":{"ratio":7.0,"volume":7}}'


def test_a_run_is_folded_when_it_ends_and_after_each_hundred_entries(db):
    stores = Stores(db)
    run = Run("1-Build", ORDERS)
    changes = [Begin(new(FLOW, ORDERS))]
    for number in range(120):
        changes += [Start(0), Fail(0, f"error {number}", 1.0)]
    for index in range(3):
        changes += [Start(index), Complete(index)]
    for change in [*changes, CompleteRun()]:
        stores.runs.append(run, change, 1)
    folds = [seq for seq, _, _, change in rows(db) if change == "Fold"]
    assert folds == [101, 202, len(changes) + 4]
    assert Stores(db).content()[ORDERS][1] == [run.memento()]


def test_a_run_that_is_too_long_for_a_fold_is_read_from_its_entries(db):
    stores = Stores(db)
    run = Run("1-Build", ORDERS)
    long = {"text": "x" * (MAX_BYTES // 2)}
    changes = [Begin(new(FLOW, ORDERS))]
    for index in range(3):
        changes += [Start(index), Complete(index, long)]
    for change in [*changes, CompleteRun()]:
        stores.runs.append(run, change, 1)
    assert [change for *_, change in rows(db)].count("Fold") == 0
    assert Stores(db).content()[ORDERS][1] == [run.memento()]


def test_a_run_that_was_forgotten_may_come_again_under_its_key(db):
    stores = Stores(db)
    first, again = Run("1-Build", ORDERS), Run("1-Build", ORDERS)
    stores.runs.append(first, Begin(new(FLOW, ORDERS)), 1)
    stores.runs.remove(ORDERS, "1-Build", 1)
    assert Stores(db).content() == {}
    other = Stores(db)
    other.runs.append(again, Begin(new(FLOW, ORDERS)), 1)
    other.runs.append(again, Start(0), 1)
    assert Stores(db).content()[ORDERS][1] == [again.memento()]
    places = rows(db, "place, change")
    assert places == [(1, "Begin"), (2, "Prune"), (1, "Begin"), (2, "Start")]


# Files of the version before.


@pytest.fixture
def version_1(db):
    """A file of version 1: a run in its last step, one in its second, one unreadable."""
    with closing(sqlite3.connect(db)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(VERSION_1.read_text())
    return db


def test_of_a_file_that_says_a_run_is_completed_and_it_is_not_nothing_is_begun(version_1):
    running, completed = '"flowStatus":"running"', '"flowStatus":"completed"'
    with closing(sqlite3.connect(version_1)) as file, file:
        file.execute(
            "UPDATE mementos SET text = replace(text, ?, ?) WHERE name = 'users'",
            (running, completed),
        )
    sim = wfsim.Simulation(scenario(world=Depot), db=version_1)
    sim.run()
    assert sim.resource("users").state == "Interrupt"
    assert sim.resource("users").annotations["interrupt.reason"] == "OPEN_STEPS"
    sim.recover("users")
    sim.run()
    assert sim.resource("users").state == "Running"


def test_a_file_of_version_1_is_taken_over_and_goes_on(version_1):
    stores = Stores(version_1)
    assert rows(version_1) == [
        (1, "orders", None, "Create"),
        (2, "users", None, "Create"),
        (3, "orders", None, "Acquire"),
        (4, "users", None, "Acquire"),
        (5, "orders", "0-Build", "Quarantine"),
        (6, "orders", "1-Build", "Begin"),
        (7, "users", "1-Build", "Begin"),
    ]
    live, entries = stores.content()[ORDERS]
    assert (live.uid, live.revision, stores.file.time) == ("uid-1", 1, 6.0)
    assert [type(entry) for entry in entries] == [Quarantined, Memento]
    assert now(stores.leases.acquire(ORDERS, "one", lambda: None)).token == 3
    stores.file.close()
    second = wfsim.Simulation(scenario(world=Depot), db=version_1)
    log = second.run()
    assert second.world.arrived
    started = log.filter(Kind.STEP_STARTED)
    assert [(row.resource, row.step, row.attempt) for row in started] == [
        ("orders", "Open", 2),
        ("users", "Copy", 3),
        ("users", "Open", 1),
    ]
    assert [second.resource(name).state for name in ("orders", "users")] == [
        "Running"
    ] * 2


def test_who_had_a_file_of_version_1_open_can_write_to_it_no_more(version_1):
    other = sqlite3.connect(version_1, isolation_level=None)
    Stores(version_1)
    write = other.execute(
        "UPDATE wfsim SET time = max(time, 9), revision = max(revision, 9), "
        "uids = max(uids, 9) WHERE generation = 1"
    )
    assert write.rowcount == 0
    other.close()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting property name"),
        ("[]", "not an object with state, spec"),
        (CREATED.replace("N", "1").replace('"spec":{}', '"spec":[]'), r"spec is \[\]"),
    ],
)
def test_a_resource_of_version_1_that_cannot_be_read_is_let_alone(version_1, text, why):
    run_sql(version_1, "UPDATE resources SET text = ? WHERE name = 'orders'", text)
    simulation = wfsim.Simulation(scenario(world=Depot), db=version_1)
    log = simulation.run()
    (noted,) = log.filter(Kind.RUN_QUARANTINED)
    assert (noted.resource, noted.run) == ("orders", "")
    with pytest.raises(AlreadyExists, match=f"cannot be read: .*({why})"):
        now(simulation.resources.create(wfsim.Resource("db", "orders")))
    assert simulation.resource("users").state == "Running"


def test_a_file_of_version_1_that_is_damaged_is_refused_as_it_is(version_1):
    run_sql(version_1, "DROP TABLE tokens")
    before = version_1.read_bytes()
    with pytest.raises(DefinitionError, match=r"stores.db: no such table: tokens"):
        Database(version_1)
    assert version_1.read_bytes() == before


# Damage.


@pytest.fixture
def used(db):
    """A file whose runs are in their second step; the number of its rows is twelve."""
    dropped(db, until=1.5)
    assert len(rows(db)) == 12
    return db


def test_a_damaged_row_quarantines_its_run_and_no_step_of_it_runs_again(used):
    run_sql(used, "UPDATE entries SET fields = '{\"index\":1}' WHERE seq = 5")
    simulation = wfsim.Simulation(scenario(), db=used)
    log = simulation.run()
    (noted,) = log.filter(Kind.RUN_QUARANTINED)
    assert (noted.resource, noted.run, noted.text) == (
        "orders",
        "1-Build",
        "row 5 is damaged: its checksum does not fit; restore the file from a copy to go "
        "on with it",
    )
    assert {row.resource for row in log.filter(Kind.STEP_STARTED)} == {"users"}
    assert simulation.resource("users").state == "Running"
    with pytest.raises(AlreadyExists, match="cannot be read: row 5 is damaged"):
        now(simulation.resources.create(wfsim.Resource("db", "orders")))
    # The next process finds it so again, and what was damaged may be mended.
    assert wfsim.Simulation(scenario(), db=used).run().filter(Kind.RUN_QUARANTINED)
    run_sql(used, "UPDATE entries SET fields = '{\"index\":0}' WHERE seq = 5")
    mended = wfsim.Simulation(scenario(), db=used)
    started = mended.run().filter(Kind.STEP_STARTED)
    assert [(row.step, row.attempt) for row in started] == [
        ("Copy", 2),
        ("Open", 1),
    ]


def test_a_row_that_is_missing_quarantines_the_run_that_goes_on_after_it(used):
    run_sql(used, "DELETE FROM entries WHERE seq = 9")
    kept = Database(used).kept
    (bad,) = kept.runs[ORDERS]
    assert isinstance(bad, Quarantined)
    assert bad.reason.startswith("row 9 is missing or damaged; restore")
    assert isinstance(kept.runs[USERS][0], Memento)


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("DELETE FROM entries WHERE seq = 12", "row 12 is missing or damaged"),
        ("DELETE FROM entries WHERE seq = 10", "row 10 is missing or damaged"),
        ("DELETE FROM entries WHERE seq > 3", "rows 4 to 12 are missing"),
        ("DELETE FROM entries", "rows 1 to 12 are missing"),
        ("UPDATE entries SET seq = 13 WHERE seq = 9", "row 13 .* not one of the 12"),
        ("UPDATE entries SET name = 'users' WHERE seq = 10", "row 10 is missing or"),
        ("UPDATE wfsim SET entries = 11", "row of its table wfsim is damaged"),
        ("UPDATE wfsim SET uids = 0", "row of its table wfsim is damaged"),
        ("DELETE FROM wfsim", "version None"),
        ("INSERT INTO wfsim SELECT * FROM wfsim", "row of its table wfsim is damaged"),
        ("INSERT INTO world VALUES (1, '{}')", "row of its table world is damaged"),
        ("DROP TABLE world", "its table world is not as wfsim made it"),
        ("ALTER TABLE entries ADD more", "its table entries is not as wfsim made it"),
        (
            "INSERT INTO entries SELECT 13, kind, namespace, name, run, 5, time, token, "
            "controller, 'Complete', before, fields, owner, checksum FROM entries "
            "WHERE seq = 11",
            "row 13 of its entries is not one of the 12",
        ),
    ],
)
def test_where_it_is_not_certain_whose_entry_was_lost_the_file_is_refused(used, sql, why):
    run_sql(used, sql)
    before = rows(used, "*"), run_sql(used, "SELECT * FROM wfsim")
    with pytest.raises(DefinitionError, match=f"stores.db: .*{why}"):
        Database(used)
    assert (rows(used, "*"), run_sql(used, "SELECT * FROM wfsim")) == before


def test_two_rows_that_were_swapped_are_noticed(used):
    run_sql(used, "UPDATE entries SET seq = -5 WHERE seq = 5")
    run_sql(used, "UPDATE entries SET seq = 5 WHERE seq = 9")
    run_sql(used, "UPDATE entries SET seq = 9 WHERE seq = -5")
    kept = Database(used).kept
    assert isinstance(kept.runs[ORDERS][0], Quarantined)
    assert isinstance(kept.runs[USERS][0], Memento)


def test_a_row_of_another_file_is_noticed_though_it_is_sound_there(used, tmp_path):
    other = tmp_path / "other.db"
    simulation = wfsim.Simulation(scenario(), seed=5, db=other)
    simulation.edit("orders", annotations={"zone": "z1"})
    simulation.run(until=1.5)
    simulation.database.close()
    run_sql(used, "DELETE FROM entries WHERE seq = 10")
    with closing(sqlite3.connect(used, isolation_level=None)) as connection:
        connection.execute("ATTACH ? AS other", (str(other),))
        connection.execute(
            "INSERT INTO entries SELECT * FROM other.entries WHERE seq = 10"
        )
    with pytest.raises(DefinitionError, match="row 10 does not follow row 9"):
        Database(used)


def test_a_resource_whose_row_is_damaged_is_let_alone_with_all_its_runs(used):
    run_sql(used, "UPDATE entries SET fields = 'x' WHERE seq = 1")
    before = rows(used, "*")
    simulation = wfsim.Simulation(scenario(), db=used)
    log = simulation.run()
    (noted,) = log.filter(Kind.RUN_QUARANTINED)
    assert (noted.resource, noted.run) == ("orders", "")
    assert simulation.resource("users").state == "Running"
    assert rows(used, "*")[:12] == before
    assert {row[1] for row in rows(used)[12:]} == {"users"}


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (b"{", "Expecting property name"),
        (b'{"index":7}', "index"),
        (b'{"index":-1}', "index is -1, not a whole number"),
        (b'{"step":1}', "not an object with index"),
        (b"\xff", "utf-8"),
    ],
)
def test_a_row_that_is_sound_and_means_nothing_quarantines_its_run(used, fields, why):
    rewritten(used, 12, fields)
    (bad,) = Database(used).kept.runs[USERS]
    assert isinstance(bad, Quarantined)
    assert bad.reason.startswith("row 12 is no Start that can be read: ")
    assert why in bad.reason


def test_a_flow_of_a_service_whose_run_is_damaged_ends_with_an_error_that_says_so(db):
    first = wfsim.Simulation(tiem.scenario(), seed=1, db=db)
    flow = tiem.begin(first, "CreateCluster", "orders")
    first.run(until=40)
    first.database.close()
    (seq,) = run_sql(db, "SELECT max(seq) FROM entries WHERE run IS NOT NULL")[0]
    run_sql(db, "UPDATE entries SET fields = '{}' WHERE seq = ?", seq)
    second = wfsim.Simulation(tiem.scenario(), seed=1, db=db)
    log = second.run()
    assert second.service.detail(flow).status == "Error"
    assert f"row {seq} is damaged" in second.resource(flow).status["error"]
    assert log.filter(Kind.STEP_STARTED) == []


def test_a_quarantined_run_that_is_forgotten_is_no_damage_any_more(used):
    run_sql(used, "UPDATE entries SET fields = '{}' WHERE seq = 5")
    stores = Stores(used)
    del stores.file.unreadable[ORDERS]
    stores.runs.recall(stores.file.kept.damaged[ORDERS])
    stores.runs.remove(ORDERS, "1-Build", 0)
    kept = Database(used).kept
    assert (ORDERS in kept.runs, kept.damaged) == (False, {})


def kept_or_refused(db):
    """What is read of the file: values, with what is quarantined; None if refused."""
    try:
        file = Database(db)
    except DefinitionError:
        return None
    kept, head = file.kept, (file.begun, file.time, file.revision, file.uids)
    world = file.world_as_left()
    file.close()
    return kept, head, world


@pytest.mark.parametrize("bit", [0, 3, 7])
def test_a_flipped_bit_anywhere_is_an_error_a_quarantine_or_nothing(used, tmp_path, bit):
    for side in ("-wal", "-shm"):
        Path(f"{used}{side}").unlink(missing_ok=True)
    whole, copy = used.read_bytes(), tmp_path / "copy.db"
    sound, head, world = kept_or_refused(used)
    outcomes = {"refused": 0, "quarantined": 0, "equal": 0}
    # A prime, so that another byte of each cell is met in each page.
    used_bytes = [at for at, byte in enumerate(whole) if byte][bit::7]
    for at in used_bytes:
        damaged = bytearray(whole)
        damaged[at] ^= 1 << bit
        copy.write_bytes(damaged)
        for side in ("-wal", "-shm"):
            Path(f"{copy}{side}").unlink(missing_ok=True)
        found = kept_or_refused(copy)
        if found is None:
            outcomes["refused"] += 1
            continue
        kept, *rest = found
        assert rest == [head, world], at
        lost = False
        for key, resource in sound.resources.items():
            assert kept.resources.get(key) == resource or key in kept.unreadable, at
            lost |= key in kept.unreadable
        for key, (run,) in sound.runs.items():
            (read,) = kept.runs[key]
            assert read == run or isinstance(read, Quarantined), at
            lost |= read != run
        assert kept.tokens == sound.tokens or kept.unreadable, at
        outcomes["quarantined" if lost else "equal"] += 1
    assert min(outcomes.values()) > 10


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6])
def test_a_file_that_is_cut_short_is_refused(used, share):
    whole = used.read_bytes()
    used.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DefinitionError, match=r"stores.db: "):
        Database(used)


def test_what_a_run_was_is_read_again_whatever_its_entries_are(db):
    stores = Stores(db)
    run = Run("1-Build", ORDERS)
    for change in (Begin(new(FLOW, ORDERS)), Start(0), Fail(0, "\ud800", 3.0), Start(0)):
        stores.runs.append(run, change, 1)
    assert Stores(db).content()[ORDERS][1] == [
        after(new(FLOW, ORDERS), Start(0), Fail(0, "\ud800", 3.0), Start(0))
    ]
