"""Every write becomes one record, told from what was there before and after."""

from __future__ import annotations

import pytest
from wfsim.sim.recording import Recorder

from wfsim.model.flow import Flow, Step
from wfsim.model.log import EventLog
from wfsim.model.memento import Memento, Quarantined
from wfsim.model.record import Kind
from wfsim.model.resource import Key, Resource
from wfsim.sim.clock import VirtualClock
from wfsim.sim.stores import InMemoryMementos, InMemoryResources

FLOW = Flow("Backup", (Step("Snapshot"), Step("Copy")))


class Scene:
    def __init__(self):
        self.clock = VirtualClock()
        self.log = EventLog()
        self.recorder = Recorder(self.log, self.clock)
        self.resources = InMemoryResources(self.clock, {})
        self.resources.subscribe(self.recorder.resource)
        self.mementos = InMemoryMementos({})
        self.mementos.on_save += (self.recorder.memento,)
        self.mementos.on_remove += (self.recorder.removed,)
        self.mementos.on_quarantine += (self.recorder.quarantined,)

    def rows(self):
        return [(row.time, row.kind.value, row.resource, row.text) for row in self.log]

    def now(self, effect):
        try:
            raise AssertionError(next(effect))
        except StopIteration as stop:
            return stop.value


@pytest.fixture
def scene():
    return Scene()


def test_the_life_of_a_resource_in_records(scene):
    store, now = scene.resources, scene.now
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
    assert scene.log.fold().resources == {}


def test_the_life_of_a_run_in_records(scene):
    key = Key("db", "prod", "orders")
    save = scene.mementos.save
    run = Memento.new(1, FLOW, key, now=0.0)
    moves = [
        lambda run: run,
        lambda run: run.start_step(0, 1.0),
        lambda run: run.wait_step(0, 9.0),
        lambda run: run.complete_step(0, 2.0, {"id": 1}),
        lambda run: run.start_step(1, 2.0),
        lambda run: run.fail_step(1, 3.0, "disk full", 4.0),
        lambda run: run.start_step(1, 4.0),
        lambda run: run.interrupt(1, 5.0, "POD_LOST", "by hand"),
        lambda run: run.recover(False),
        lambda run: run.start_step(1, 6.0),
        lambda run: run.complete_step(1, 7.0, {}),
        lambda run: run.complete(7.0),
    ]
    for move in moves:
        run = move(run)
        save(run, 1)
    scene.mementos.remove(key, "1-Backup", 1)
    rows = [(r.kind.value, r.run, r.step, r.attempt, r.text) for r in scene.log]
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
        ("step.completed", "1-Backup", "Copy", 3, ""),
        ("run.completed", "1-Backup", "", 0, ""),
        ("run.pruned", "1-Backup", "", 0, ""),
    ]
    assert {record.resource for record in scene.log} == {"prod/orders"}
    assert scene.log[0].value == Memento.new(1, FLOW, key, now=0.0)
    assert scene.log.fold(-1).mementos == {("prod/orders", "1-Backup"): run}
    assert scene.log.fold().mementos == {}


def test_a_quarantined_entry_is_a_record_with_its_reason(scene):
    scene.mementos.put(
        Quarantined("1-Backup", Key("db", "default", "a"), "{", "not JSON")
    )
    (record,) = scene.log
    assert record.kind is Kind.RUN_QUARANTINED
    assert (record.run, record.text, record.value) == ("1-Backup", "not JSON", None)


def test_records_are_numbered_in_order_whoever_writes_them(scene):
    scene.now(scene.resources.create(Resource("pod", "a")))
    scene.recorder.note(Kind.STEP_LOG, resource="a", step="Copy", attempt=2, text="hello")
    scene.mementos.save(Memento.new(1, FLOW, Key("db", "default", "a"), now=0.0), 1)
    assert [record.seq for record in scene.log] == [0, 1, 2]
    assert scene.log[1][2:] == (Kind.STEP_LOG, "a", "", "", "Copy", 2, "hello", None)


def test_a_log_that_was_forgotten_goes_on_in_the_middle_of_a_run(scene):
    run = Memento.new(1, FLOW, Key("db", "default", "orders"), now=0.0)
    scene.mementos.save(run, 1)
    scene.mementos.save(begun := run.start_step(0, 0.0), 1)
    scene.recorder.forget()
    scene.mementos.save(ended := begun.complete_step(0, 0.0, {}), 1)
    scene.mementos.save(ended.start_step(1, 0.0), 1)
    assert [(row.kind.value, row.step) for row in scene.log] == [
        ("step.completed", "Snapshot"),
        ("step.started", "Copy"),
    ]
    assert scene.log[1].value == ended.start_step(1, 0.0)
