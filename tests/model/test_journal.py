"""The journal: every change once, and the records, runs and logs that it folds to."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wfsim
from tests.changes import Hand, after, begin, following, new
from wfsim.errors import Fenced
from wfsim.model.flow import Flow, Step
from wfsim.model.frozen import Frozen
from wfsim.model.journal import Journal
from wfsim.model.log import EventLog, Snapshot
from wfsim.model.memento import Quarantined, number_of
from wfsim.model.record import Kind, PoolState, Record
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
    Launch,
    Recover,
    Run,
    Start,
    Wait,
)
from wfsim.sim.clock import VirtualClock
from wfsim.sim.stores import InMemoryResources, InMemoryRuns

FLOW = Flow("Backup", (Step("Snapshot"), Step("Copy")))
ORDERS = Key("db", "prod", "orders")
unhurried = settings(deadline=None, derandomize=True, max_examples=100)


def now(effect):
    """Return the result of an effect that takes no time."""
    try:
        raise AssertionError(next(effect))
    except StopIteration as stop:
        return stop.value


class Scene:
    """A journal, and the stores in memory that write it."""

    def __init__(self):
        self.clock = VirtualClock()
        self.journal = Journal(self.clock, {}, lambda key, token: f"controller-{token}")
        self.resources = InMemoryResources(self.clock, self.journal)
        self.runs = InMemoryRuns(self.journal)

    def rows(self):
        return [(r.time, r.kind.value, r.resource, r.text) for r in self.journal]


@pytest.fixture
def scene():
    return Scene()


@pytest.fixture
def hand():
    return Hand()


@pytest.fixture
def journal(hand):
    return Journal(hand, {}, lambda key, token: f"controller-{token}")


def begun(journal, key="1-Backup", resource=ORDERS, token=1):
    run = Run(key, resource)
    journal.append(run, Begin.of(FLOW, key, resource), token)
    return run


# Entries.


def test_a_change_is_applied_and_is_a_record_of_what_the_run_is_then(journal, hand):
    run = begun(journal)
    hand.now = 1.5
    journal.append(run, Start(0), 2)
    started = after(new(FLOW, ORDERS), (1.5, Start(0)))
    assert run.memento() == started
    assert journal.runs == {ORDERS: {"1-Backup": run}}
    assert journal[1] == Record(
        1, 1.5, Kind.STEP_STARTED, "prod/orders", "1-Backup", "Backup", "Snapshot", 1,
        "", started, "", None, "controller-2", 2, "",
    )  # fmt: skip


@pytest.mark.parametrize("first", [Start(0), Late(1.0, 1, Start(0))], ids=str)
def test_a_late_change_that_is_kept_already_is_no_entry(journal, hand, first):
    run = begun(journal)
    hand.now = 1.0
    journal.append(run, first, 1)
    for hand.now in (2.0, 3.0):
        assert journal.append(run, Late(1.0, 1, Start(0)), 1) == ()
    assert [(record.time, record.kind.value) for record in journal] == [
        (0.0, "run.created"),
        (1.0, "step.started"),
    ]
    assert (run.steps[0].attempts, run.steps[0].started) == (1, 1.0)


def test_a_late_change_that_is_not_kept_yet_is_an_entry_of_now_as_of_then(journal, hand):
    run = begun(journal)
    hand.now = 9.0
    journal.append(run, Late(1.0, 1, Adopt(Adoption.of(run), Start(0))), 1)
    assert (journal[1].time, journal[1].kind) == (9.0, Kind.STEP_STARTED)
    assert journal[1].value == after(new(FLOW, ORDERS), (1.0, Start(0)))
    assert (journal[1].step, journal[1].attempt, len(journal)) == ("Snapshot", 1, 2)


def test_a_step_that_begins_twice_at_one_moment_has_two_entries(journal):
    run = begun(journal)
    journal.append(run, Start(0), 1)
    journal.append(run, Start(0), 1)
    assert (len(journal), run.steps[0].attempts, run.steps[0].restarts) == (3, 2, 1)


def test_a_recovery_said_again_by_somebody_who_does_not_know_is_no_entry(journal):
    run = begun(journal)
    journal.append(run, Interrupt(0, "X", "", Cause.STEP), 1)
    for _ in range(2):
        journal.append(run, Recover(False, 50.0, frozenset({1}), 3), 1)
    assert [record.kind.value for record in journal] == [
        "run.created",
        "run.interrupted",
        "run.recovered",
    ]


@pytest.mark.parametrize("change", ["append", "begin", "remove"])
def test_who_has_an_old_token_changes_nothing(journal, change):
    run = begun(journal)
    journal.tokens[ORDERS] = 3
    before, count = run.memento(), len(journal)
    other = Run("2-Backup", ORDERS)
    doing = {
        "append": lambda: journal.append(run, Start(0), 2),
        "begin": lambda: journal.append(other, Begin.of(FLOW, "2-Backup", ORDERS), 2),
        "remove": lambda: journal.remove(run, 2),
    }[change]
    with pytest.raises(Fenced, match="prod/orders: token 2 is older than the lease, 3"):
        doing()
    assert (run.memento(), len(journal), other.changes) == (before, count, [])
    assert journal.runs == {ORDERS: {"1-Backup": run}}
    journal.append(run, Start(0), 3)
    journal.append(run, Start(0), 0)
    assert len(journal) == count + 2


def test_entries_are_what_was_appended_in_order(journal, hand):
    run = begun(journal)
    hand.now = 2.0
    journal.pool(PoolState("cpu", 1, 2, 0))
    journal.append(run, start := Start(0), 1)
    begin_, pool, started = journal.entries()
    assert begin_ == (0.0, run, Begin.of(FLOW, "1-Backup", ORDERS), 1)
    assert pool == (2.0, None, PoolState("cpu", 1, 2, 0), 0)
    assert started == (2.0, run, start, 1)
    assert [journal.time(seq) for seq in range(3)] == [0.0, 2.0, 2.0]


def test_a_pool_is_a_record_with_its_state_for_a_value(journal):
    journal.pool(PoolState("cpu", 1, 2, 3))
    assert journal[0] == Record(
        0, 0.0, Kind.POOL_CHANGED, text="cpu 1/2, queue 3",
        value=PoolState("cpu", 1, 2, 3),
    )  # fmt: skip


def test_a_pruned_run_is_a_record_of_who_forgot_it(journal):
    run = begun(journal)
    journal.remove(run, 4)
    assert journal[1] == Record(
        1, 0.0, Kind.RUN_PRUNED, "prod/orders", "1-Backup", controller="controller-4",
        token=4,
    )  # fmt: skip
    assert journal.runs == {ORDERS: {}}


def test_the_run_of_an_entry_is_as_it_was_then_in_whatever_order_one_asks(journal):
    run, other = begun(journal), begun(journal, "2-Backup")
    for change in (Start(0), Complete(0, Frozen(id=1)), Start(1)):
        journal.append(run, change, 1)
    journal.append(other, Start(0), 1)
    journal.note(Kind.STEP_LOG, text="hello")
    for seq in (4, 2, 5, 0, 3, 1, 4):
        assert journal.run_after(seq).memento() == journal[seq].value
    assert journal.run_after(6) is None
    assert [journal.run_after(seq).steps[0].attempts for seq in (0, 2, 3)] == [0, 1, 1]
    assert run.steps[1].status == "inited"


@pytest.mark.parametrize(
    ("change", "cause", "limit"),
    [
        (Start(0), "", None),
        (Fail(0, "no", 2.0), "error", None),
        (Fail(0, "no", 2.0, Cause.TIMEOUT, 0.5), "timeout", 0.5),
        (Interrupt(0, "DEADLINE", "late", Cause.DEADLINE, 9.0), "deadline", 9.0),
        (Interrupt(0, "CANCELLED", "", Cause.CANCEL), "cancel", None),
    ],
    ids=str,
)
@pytest.mark.parametrize("taken_up", [False, True])
def test_a_record_says_why_and_past_which_limit_taken_up_late_or_not(
    journal, change, cause, limit, taken_up
):
    run = begun(journal)
    if taken_up:
        change = Late(0.0, 1, Adopt(Adoption.of(run), change))
    journal.append(run, change, 1)
    assert (journal[1].cause, journal[1].limit) == (cause, limit)


# Any prefix.


@unhurried
@given(st.data())
def test_a_record_has_the_run_as_the_changes_up_to_it_have_made_it(data):
    journal = Journal(hand := Hand())
    run, folded = Run("1-Backup", ORDERS), Run("1-Backup", ORDERS)
    change = begin(data.draw, FLOW, ORDERS, 1)
    stood = []
    for _ in range(data.draw(st.integers(1, 12))):
        journal.append(run, change, 0)
        change.apply(folded, hand.now)
        stood.append(repr(folded.memento()))
        hand.now += data.draw(st.sampled_from([0.0, 1.5]))
        if (change := following(data.draw, run)) is None:
            break
    # By its repr: it tells types apart, and in which order keys are.
    for seq in data.draw(st.permutations(range(len(stood)))):
        assert repr(journal[seq].value) == stood[seq]
        assert repr(journal.made(seq).value) == stood[seq]
    assert repr(run.memento()) == stood[-1]


def happens(draw, scene):
    """Let something happen to some resource, or to one of its runs."""
    key = Key("db", "default", draw(st.sampled_from(["a", "b"])))
    runs = scene.journal.runs.get(key, {})
    scene.clock.run(until=scene.clock.now + draw(st.sampled_from([0, 1])) + 1e-9)
    there = scene.resources.peek(key)
    number = max(map(number_of, runs), default=0) + 1
    match draw(st.integers(0, 9)):
        case 0 if there is None:
            now(scene.resources.create(Resource(*key[::2])))
        case 1 if there is not None:
            now(scene.resources.delete(key))
        case 2 if there is not None:
            now(scene.resources.update(there.move(draw(st.sampled_from("ABC")))))
        case 3 if runs:
            scene.runs.remove(key, draw(st.sampled_from(sorted(runs))), 1)
        case 4:
            scene.runs.load(key, f"{number}-Backup", "{")
        case 5:
            scene.journal.note(Kind.STEP_LOG, resource=str(key), text="hello")
        case 6:
            run = Run(f"{number}-Backup", key)
            scene.runs.append(run, begin(draw, FLOW, key, number), 1)
        case _:
            live = [run for run in runs.values() if isinstance(run, Run)]
            run = draw(st.sampled_from(live)) if live else None
            if run and (change := following(draw, run)):
                scene.runs.append(run, change, 1)


@unhurried
@given(st.data())
def test_each_prefix_folds_to_what_the_stores_held_and_to_what_its_records_say(data):
    scene = Scene()
    held = [({}, {})]
    for _ in range(data.draw(st.integers(0, 25))):
        happens(data.draw, scene)
        while len(held) <= len(scene.journal):
            held.append(stores(scene))
    records = EventLog(list(scene.journal))
    for upto in data.draw(st.permutations(range(len(scene.journal) + 1))):
        fold = Snapshot(*scene.journal.fold(upto))
        assert fold == records.fold(upto)
        assert (fold.resources, fold.mementos) == held[upto]
    assert Snapshot(*scene.journal.fold()) == records.fold()


def stores(scene):
    keys, of_runs = scene.resources.keys(), scene.runs.keys()
    resources = {str(key): scene.resources.peek(key) for key in keys}
    mementos = {
        (str(key), run.key): run.memento()
        for key in of_runs
        for run in now(scene.runs.entries(key))
        if isinstance(run, Run)
    }
    return resources, mementos


# What stores write in it.


def test_the_life_of_a_resource_in_records(scene):
    store = scene.resources
    pod = now(store.create(Resource("pod", "a", state="Creating", finalizers=("disk",))))
    pod = now(store.update(pod.move("Running")))
    scene.clock.run(until=2)
    pod = now(store.update(pod.edit(status={"ready": True}, annotations={"a": "b"})))
    now(store.update(pod))
    now(store.delete(pod.key))
    now(store.update(store.peek(pod.key)._replace(finalizers=())))
    assert scene.rows() == [
        (0, "resource.created", "a", "-> Creating"),
        (0, "resource.state", "a", "Creating -> Running"),
        (2, "resource.edited", "a", "status, annotations"),
        (2, "resource.edited", "a", "deleted"),
        (2, "resource.edited", "a", "finalizers"),
        (2, "resource.deleted", "a", ""),
    ]
    assert EventLog(scene.journal).fold().resources == {}


def test_the_life_of_a_run_in_records(scene):
    key = ORDERS
    run = Run("1-Backup", key)
    changes = [
        Begin.of(FLOW, "1-Backup", key),
        Start(0),
        Wait(0, 9.0),
        Complete(0, Frozen(id=1)),
        Start(1),
        Fail(1, "disk full", 4.0),
        Start(1),
        Interrupt(1, "POD_LOST", "by hand", Cause.STEP),
        Recover(False),
        Start(1),
        Launch(1, "op-1", Frozen(), 6.5),
        Complete(1),
        CompleteRun(),
    ]
    for change in changes:
        scene.runs.append(run, change, 1)
    scene.runs.remove(key, "1-Backup", 1)
    rows = [(r.kind.value, r.run, r.step, r.attempt, r.text) for r in scene.journal]
    assert rows == [
        ("run.created", "1-Backup", "", 0, ""),
        ("step.started", "1-Backup", "Snapshot", 1, ""),
        ("step.waiting", "1-Backup", "Snapshot", 1, ""),
        ("step.completed", "1-Backup", "Snapshot", 1, ""),
        ("step.started", "1-Backup", "Copy", 1, ""),
        ("step.failed", "1-Backup", "Copy", 1, "disk full"),
        ("step.started", "1-Backup", "Copy", 2, ""),
        ("run.interrupted", "1-Backup", "Copy", 2, "POD_LOST: by hand"),
        ("run.recovered", "1-Backup", "", 0, "POD_LOST: by hand"),
        ("step.started", "1-Backup", "Copy", 3, ""),
        ("step.waiting", "1-Backup", "Copy", 3, ""),
        ("step.completed", "1-Backup", "Copy", 3, ""),
        ("run.completed", "1-Backup", "", 0, ""),
        ("run.pruned", "1-Backup", "", 0, ""),
    ]
    assert {record.resource for record in scene.journal} == {"prod/orders"}
    assert scene.journal[0].value == new(FLOW, key)
    assert EventLog(scene.journal).fold(-1).mementos == {
        ("prod/orders", "1-Backup"): run.memento()
    }
    assert EventLog(scene.journal).fold().mementos == {}


def test_a_quarantined_entry_is_a_record_with_its_reason(scene):
    scene.runs.put(Quarantined("1-Backup", Key("db", "default", "a"), "{", "not JSON"))
    (record,) = scene.journal
    assert record.kind is Kind.RUN_QUARANTINED
    assert (record.run, record.text, record.value) == ("1-Backup", "not JSON", None)


def test_records_are_numbered_in_order_whoever_writes_them(scene):
    now(scene.resources.create(Resource("pod", "a")))
    scene.journal.note(Kind.STEP_LOG, resource="a", step="Copy", attempt=2, text="hello")
    begun(scene.journal, resource=Key("db", "default", "a"))
    assert [record.seq for record in scene.journal] == [0, 1, 2]
    assert scene.journal[1] == Record(
        1, 0.0, Kind.STEP_LOG, "a", step="Copy", attempt=2, text="hello"
    )


def test_a_log_that_was_forgotten_goes_on_in_the_middle_of_a_run(journal):
    run = begun(journal)
    journal.append(run, Start(0), 1)
    journal.clear()
    assert (len(journal), run.steps[0].status) == (0, "inited")
    journal.append(run, Complete(0), 1)
    journal.append(run, Start(1), 1)
    assert [(row.seq, row.kind.value, row.step) for row in journal] == [
        (0, "step.completed", "Snapshot"),
        (1, "step.started", "Copy"),
    ]
    changes = Start(0), Complete(0), Start(1)
    assert journal[1].value == after(new(FLOW, ORDERS), *changes)
    assert journal.fold(1)[2]["prod/orders", "1-Backup"].steps[0].status == "completed"


# Simulations.

CAPACITY = Path(__file__).parents[2] / "flows/scenarios/backup_capacity.yaml"
STEPS = tuple(f"S{number}" for number in range(35))
HORIZON = 1000.0


def body(name):
    waited = set()

    def step(context):
        yield from context.sleep(1.0 + context.draw())
        if context.draw("luck") < 0.2:
            raise wfsim.errors.StepFailed("bad luck")
        if name == "S4" and context.resource.name not in waited:
            waited.add(context.resource.name)
            raise wfsim.Waiting(after=2.0)
        return {name: [context.attempt, {"b": 1, "a": None}]} if len(name) == 2 else None

    step.__name__ = name
    return step


def simulation(*faults, controllers=1, names=STEPS):
    machine = wfsim.StateMachine("w").stable("Running", "Interrupt")
    scenario = wfsim.Scenario(
        [wfsim.Resource("w", f"w-{number}") for number in range(3)],
        machine.unstable("Creating", run="Walk"),
        [wfsim.Flow("Walk", tuple(map(wfsim.Step, names)))],
        map(body, names),
        horizon=HORIZON,
    )
    sim = wfsim.Simulation(scenario, seed=2, faults=faults, controllers=controllers)
    sim.kept = []
    append = sim.stored.append

    def kept(run, change, token):
        before = len(sim.journal)
        written = append(run, change, token)
        if len(sim.journal) > before:
            sim.kept.append(repr(run.memento()))
        return written

    sim.stored.append = kept
    return sim


FAULTS = {
    "calm": (),
    "crashes": [wfsim.CrashAt(write=at, restart_after=1) for at in (4, 5, 30, 61, 90)],
    "saves": (wfsim.FailSave(write=9, times=3), wfsim.FailSave(write=31, applied=True)),
    "stops": (
        wfsim.InterruptStep("S9", resource="w-1"),
        wfsim.CancelAt(t=31, resource="w-2"),
        wfsim.EditAt(t=44, resource="w-0", delete=True),
    ),
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("controllers", [1, 2])
def test_every_memento_that_was_durable_is_told_again_to_the_last_character(
    faults, controllers
):
    sim = simulation(*faults, controllers=controllers)
    sim.run()
    for name in ("w-1", "w-2"):
        if sim.resource(name).state == "Interrupt":
            sim.recover(name)
    log = sim.run()
    told = [record.value for record in log if isinstance(record.value, wfsim.Memento)]
    assert list(map(repr, told)) == sim.kept
    assert len(told) > 100


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_a_log_that_was_looked_at_record_by_record_is_the_one_looked_at_in_the_end(
    faults,
):
    step_by_step, later = simulation(*faults), simulation(*faults)
    seen = [tuple(record) for record in iter(step_by_step.step, None)]
    assert list(map(repr, seen)) == [repr(tuple(record)) for record in later.run()]


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_the_fold_of_each_prefix_is_that_of_its_records(faults):
    sim = simulation(*faults, controllers=2)
    sim.run()
    records = sim.log.records
    whole = EventLog(list(records))
    for upto in (*range(0, len(records), 7), len(records), -1, None):
        assert sim.log.fold(upto) == whole.fold(upto)


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_tables_are_those_of_a_log_of_whole_records(faults):
    log = simulation(*faults).run()
    whole = EventLog(list(log), log.meta)
    for table in (
        *("runs", "steps", "states", "summary", "latency", "faults"),
        *("breakdown", "utilisation", "critical"),
    ):
        make = getattr(wfsim.tables, table)
        assert make(log).equals(make(whole))


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_records_of_some_kinds_are_those_of_all_records(faults):
    sim = simulation(*faults)
    sim.run(until=20.0)
    sim.edit("w-0", annotations={"a": "b"})
    log = sim.run()
    busy = wfsim.simulate(wfsim.Scenario.load(CAPACITY), seed=1)
    for each in (log, busy):
        for kind in wfsim.Kind:
            found = [record for record in each.records if record.kind is kind]
            assert each.filter(kind) == found
        assert each.filter(*wfsim.Kind) == list(each.records)
        assert each.filter(Kind.STEP_LOG, Kind.STEP_STARTED) == [
            record
            for record in each.records
            if record.kind in (Kind.STEP_LOG, Kind.STEP_STARTED)
        ]
    assert {record.kind for record in (*log, *busy)} >= {
        *(Kind.STEP_STARTED, Kind.STEP_WAITING, Kind.RUN_COMPLETED),
        *(Kind.RESOURCE_EDITED, Kind.POOL_CHANGED),
    }


def test_records_are_a_list_to_whoever_looks():
    log = simulation().run()
    records = log.records
    assert [record.seq for record in records] == list(range(len(log)))
    assert records[-1] == records[len(log) - 1] == list(records)[-1]
    assert records[3:9:2] == [records[3], records[5], records[7]]
    assert (records == list(records), records == simulation().run().records) == (
        True,
    ) * 2
    assert records != list(records)[:-1]
    with pytest.raises(IndexError):
        records[len(log)]


def test_a_text_that_cannot_be_read_is_not_forgotten_with_the_records(scene):
    bad = Quarantined("1-Backup", ORDERS, "{", "cut off")
    scene.journal.quarantine(bad)
    scene.journal.clear()
    assert len(scene.journal) == 0
    assert scene.journal.runs[ORDERS]["1-Backup"] == bad


def test_a_journal_equals_a_list_of_its_records_and_nothing_else(scene):
    scene.journal.note(Kind.STEP_LOG, text="line")
    records = list(scene.journal)
    assert scene.journal == records
    assert repr(scene.journal) == repr(records)
    assert scene.journal != records[0]
