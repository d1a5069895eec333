"""Runs: what each change makes of one, by its literal value."""

from __future__ import annotations

import pytest

import wfsim
from tests.changes import Hand, after, new, standing
from wfsim import Kind
from wfsim.model.frozen import EMPTY, Frozen
from wfsim.model.journal import Journal
from wfsim.model.run import (
    Adopt,
    Adoption,
    Begin,
    CancelRun,
    Cause,
    Close,
    Complete,
    CompleteRun,
    Fail,
    FailRun,
    Interrupt,
    Late,
    Launch,
    Recover,
    Run,
    Start,
    Supersede,
    Wait,
)
from wfsim.types import RunStatus, StepMemento, StepStatus

MPD = wfsim.types.Key("mpd", "default", "mpd-0")
FLOW = wfsim.Flow("Create", tuple(map(wfsim.Step, "ABC")))
NEW = new(FLOW, MPD, 4, 2.0, params={"size": [1, 2]}, deadline=90.0)

PREPARED, INITED, COMPLETED = (
    StepStatus.PREPARED,
    StepStatus.INITED,
    StepStatus.COMPLETED,
)
FAILED, WAITING, CANCELLED = StepStatus.FAILED, StepStatus.WAITING, StepStatus.CANCELLED
A, B, C = map(StepMemento, "ABC")
DONE = StepMemento("A", COMPLETED, 0, 0, 1, 2.0, 3.0, Frozen(id=7))
BEGUN = StepMemento("B", INITED, 2, 1, 4, 8.0, operation="")
LAUNCHED = StepMemento("B", WAITING, 2, 1, 4, 8.0, None, Frozen(host="h1"), "op-1")
OVER = StepMemento("B", FAILED, 2, 1, 4, 8.0, 9.0)

# In the middle of B, with something in every field that a change may have to clear.
MIDDLE = NEW._replace(
    status=RunStatus.RUNNING,
    steps=(DONE, BEGUN, C),
    finished=1.0,
    reason="OLD",
    error="old",
    cursor=0,
    wake=5.0,
)
MIGRATED = Adoption(
    0, 0, 7, "d2", "u", Frozen(n=2), MIDDLE._replace(steps=(DONE,), cursor=0)
)
CLEAN = {"finished": None, "reason": "", "error": "", "wake": None, "cursor": 1}


def moved(run, **fields):
    return run._replace(**fields)


def apply(change, run):
    at, change = change if type(change) is tuple else (0.0, change)
    change.apply(run, at)


def statuses(run):
    return [run.status.value, *(step.status.value for step in run.steps)]


def test_a_run_begins_with_all_that_is_needed_to_take_it_up():
    assert (
        wfsim.Memento(
            key="4-Create",
            resource=MPD,
            flow="Create",
            status=RunStatus.PREPARED,
            steps=(A, B, C),
            context={
                "_flowSaveNumberKey": "4-Create",
                "_flowSaveResourceNameKey": "mpd-0-workflow",
                "_flowSaveResourceNameSpaceKey": "default",
                "_resourceName": "mpd-0",
                "_resourceNameSpace": "default",
                "size": (1, 2),
            },
            started=2.0,
            finished=None,
            reason="",
            error="",
            retries=0,
            restarts=0,
            cursor=0,
            wake=None,
            entered=-1,
            digest=FLOW.digest,
            owner="",
            deadline=90.0,
            extra=EMPTY,
        )
        == NEW
    )
    assert (NEW.number, NEW.is_final) == (4, False)


def test_a_run_that_is_found_begun_stands_as_it_was_found():
    found = after(NEW._replace(started=None), (5.0, Start(0)))
    run = Run(found.key, MPD)
    Begin(found).apply(run, 9.0)
    assert run.memento() == found
    assert repr(Run("4-Create", MPD)) == "<Run mpd-0 4-Create not begun>"


EFFECTS = {
    "start a step for the first time": (
        MIDDLE,
        (12.0, Start(2)),
        CLEAN
        | {
            "steps": (DONE, BEGUN, StepMemento("C", INITED, 0, 0, 1, 12.0)),
            "cursor": 2,
        },
    ),
    "start a step that was cut short: a restart": (
        MIDDLE,
        (12.0, Start(1)),
        CLEAN | {"steps": (DONE, StepMemento("B", INITED, 2, 2, 5, 12.0), C)},
    ),
    "start a step that had failed: a retry": (
        moved(MIDDLE, steps=(DONE, OVER, C), status=RunStatus.FAILED),
        (12.0, Start(1)),
        CLEAN
        | {
            "steps": (DONE, StepMemento("B", INITED, 3, 1, 5, 12.0), C),
            "status": RunStatus.RUNNING,
        },
    ),
    "start a step that had waited: at no cost, its operation forgotten": (
        moved(MIDDLE, steps=(DONE, LAUNCHED, C), status=RunStatus.WAITING),
        (12.0, Start(1)),
        CLEAN
        | {
            "steps": (
                DONE,
                StepMemento("B", INITED, 2, 1, 5, 12.0, None, Frozen(host="h1")),
                C,
            ),
            "status": RunStatus.RUNNING,
        },
    ),
    "complete a step": (
        moved(MIDDLE, steps=(DONE, BEGUN._replace(error="odd"), C)),
        (9.0, Complete(1, Frozen(ip="a"))),
        CLEAN
        | {
            "steps": (
                DONE,
                StepMemento("B", COMPLETED, 2, 1, 4, 8.0, 9.0, Frozen(ip="a")),
                C,
            )
        },
    ),
    "complete a step that had launched an operation": (
        moved(MIDDLE, steps=(DONE, LAUNCHED, C), status=RunStatus.WAITING),
        (9.0, Complete(1)),
        CLEAN
        | {
            "steps": (
                DONE,
                StepMemento("B", COMPLETED, 2, 1, 4, 8.0, 9.0, EMPTY, "op-1"),
                C,
            ),
            "status": RunStatus.RUNNING,
        },
    ),
    "launch an operation": (
        MIDDLE,
        Launch(1, "op-1", Frozen(host="h1"), 11.0),
        CLEAN | {"steps": (DONE, LAUNCHED, C), "status": RunStatus.WAITING, "wake": 11.0},
    ),
    "wait until something changes": (
        MIDDLE,
        Wait(1, None),
        CLEAN
        | {
            "steps": (DONE, BEGUN._replace(status=WAITING), C),
            "status": RunStatus.WAITING,
        },
    ),
    "wait until it is time": (
        MIDDLE,
        Wait(1, 14.0),
        CLEAN
        | {
            "steps": (DONE, BEGUN._replace(status=WAITING), C),
            "status": RunStatus.WAITING,
            "wake": 14.0,
        },
    ),
    "fail, to be tried again": (
        MIDDLE,
        (9.0, Fail(1, "no", 14.0, Cause.TIMEOUT, 1.0)),
        CLEAN
        | {
            "steps": (DONE, OVER, C),
            "status": RunStatus.FAILED,
            "error": "no",
            "wake": 14.0,
        },
    ),
    "fail for good, the run going on": (
        MIDDLE,
        (9.0, Close(1, FAILED, "full", Cause.RETRIES)),
        CLEAN | {"steps": (DONE, OVER._replace(error="full"), C), "error": "full"},
    ),
    "be cancelled, the run going on": (
        moved(MIDDLE, steps=(DONE, LAUNCHED, C), status=RunStatus.WAITING),
        (9.0, Close(1, CANCELLED, "no more", Cause.CANCEL)),
        CLEAN
        | {
            "steps": (
                DONE,
                LAUNCHED._replace(status=CANCELLED, finished=9.0, error="no more"),
                C,
            ),
            "error": "no more",
            "status": RunStatus.RUNNING,
        },
    ),
    "interrupt a run in the middle of a step": (
        MIDDLE,
        (9.0, Interrupt(1, "LOST", "by all", Cause.STEP)),
        CLEAN
        | {
            "steps": (DONE, OVER, C),
            "status": RunStatus.INTERRUPTED,
            "reason": "LOST",
            "error": "by all",
        },
    ),
    "interrupt a run whose step waits": (
        moved(MIDDLE, steps=(DONE, LAUNCHED, C), status=RunStatus.WAITING),
        (9.0, Interrupt(1, "CANCELLED", "", Cause.CANCEL)),
        CLEAN
        | {
            "steps": (DONE, LAUNCHED._replace(status=FAILED, finished=9.0), C),
            "status": RunStatus.INTERRUPTED,
            "reason": "CANCELLED",
        },
    ),
    "interrupt a run before a step": (
        MIDDLE,
        (9.0, Interrupt(2, "LOST", "", Cause.STEP)),
        CLEAN | {"status": RunStatus.INTERRUPTED, "reason": "LOST", "cursor": 2},
    ),
    "interrupt a run after its last step": (
        MIDDLE,
        (9.0, Interrupt(3, "LOST", "", Cause.GONE)),
        CLEAN | {"status": RunStatus.INTERRUPTED, "reason": "LOST", "cursor": 3},
    ),
    "complete a run": (
        MIDDLE,
        (9.0, CompleteRun()),
        {
            "status": RunStatus.COMPLETED,
            "finished": 9.0,
            "reason": "",
            "error": "",
            "wake": None,
        },
    ),
    "end a run in error": (
        MIDDLE,
        (9.0, FailRun("full")),
        {
            "status": RunStatus.ERROR,
            "finished": 9.0,
            "reason": "",
            "error": "full",
            "wake": None,
        },
    ),
    "cancel a run": (
        MIDDLE,
        (9.0, CancelRun("no more")),
        {
            "status": RunStatus.CANCELLED,
            "finished": 9.0,
            "reason": "CANCELLED",
            "error": "no more",
            "wake": None,
        },
    ),
    "supersede a run": (
        MIDDLE,
        (9.0, Supersede()),
        {"status": RunStatus.SUPERSEDED, "finished": 9.0, "wake": None},
    ),
    "recover an interrupted run from where it failed": (
        moved(MIDDLE, steps=(DONE, OVER, C), status=RunStatus.INTERRUPTED, finished=None),
        Recover(from_first_step=False, deadline=50.0),
        {
            "steps": (DONE, OVER._replace(retries=0, restarts=0), C),
            "status": RunStatus.FAILED,
            "cursor": 1,
            "wake": None,
            "deadline": 50.0,
        },
    ),
    "recover an interrupted run from its first step": (
        moved(MIDDLE, steps=(DONE, OVER, C), status=RunStatus.INTERRUPTED, finished=None),
        Recover(from_first_step=True, entered=9),
        {
            "steps": (
                DONE._replace(status=PREPARED),
                OVER._replace(status=PREPARED, retries=0, restarts=0),
                C,
            ),
            "status": RunStatus.FAILED,
            "cursor": 0,
            "wake": None,
            "deadline": None,
            "entered": 9,
        },
    ),
    "recover a run in error, some of its steps afresh": (
        moved(
            MIDDLE,
            steps=(DONE, OVER._replace(error="full"), C),
            status=RunStatus.ERROR,
            finished=9.0,
        ),
        Recover(from_first_step=False, afresh=frozenset({1})),
        {
            "steps": (
                DONE,
                OVER._replace(status=PREPARED, retries=0, restarts=0, error="full"),
                C,
            ),
            "status": RunStatus.FAILED,
            "finished": None,
            "cursor": 1,
            "wake": None,
            "deadline": None,
        },
    ),
    "start a step when that was decided, however late": (
        MIDDLE,
        (40.0, Late(12.0, 7, Start(2))),
        CLEAN
        | {
            "steps": (DONE, BEGUN, StepMemento("C", INITED, 0, 0, 1, 12.0)),
            "cursor": 2,
        },
    ),
    "take a run up, and start a step": (
        MIDDLE,
        (12.0, Adopt(Adoption(3, 2, 7, "other", "uid-2"), Start(2))),
        CLEAN
        | {
            "steps": (DONE, BEGUN, StepMemento("C", INITED, 0, 0, 1, 12.0)),
            "cursor": 2,
            "retries": 3,
            "restarts": 2,
            "entered": 7,
            "digest": "other",
            "owner": "uid-2",
        },
    ),
    "take a run up in another context, migrated": (
        MIDDLE,
        (9.0, Adopt(MIGRATED, CompleteRun())),
        {
            "steps": (DONE,),
            "status": RunStatus.COMPLETED,
            "finished": 9.0,
            "reason": "",
            "error": "",
            "wake": None,
            "entered": 7,
            "digest": "d2",
            "owner": "u",
            "context": Frozen(n=2),
        },
    ),
}


@pytest.mark.parametrize(("run", "change", "fields"), EFFECTS.values(), ids=EFFECTS)
def test_a_change_leaves_the_run_as_literally_this_and_all_else_as_it_was(
    run, change, fields
):
    assert after(run, change) == run._replace(**fields)


@pytest.mark.parametrize(("run", "change", "fields"), EFFECTS.values(), ids=EFFECTS)
def test_a_memento_that_was_taken_of_a_run_does_not_change_with_it(run, change, fields):
    live = standing(run)
    taken = live.memento()
    apply(change, live)
    assert taken == run
    assert live.memento() == run._replace(**fields)


@pytest.mark.parametrize(("run", "change", "fields"), EFFECTS.values(), ids=EFFECTS)
def test_a_copy_of_a_run_goes_its_own_way(run, change, fields):
    live = Run(run.key, run.resource)
    journal = Journal(Hand())
    journal.append(live, Begin(run))
    twin = live.copy()
    apply(change, twin)
    begun = run if run.is_begun else run._replace(started=0.0)
    assert (live.memento(), twin.memento()) == (begun, run._replace(**fields))
    assert (len(live.changes), twin.changes) == (1, [])


KINDS = [
    (Begin(NEW), Kind.RUN_CREATED),
    (Recover(False), Kind.RUN_RECOVERED),
    (CompleteRun(), Kind.RUN_COMPLETED),
    (FailRun(""), Kind.RUN_FAILED),
    (CancelRun(""), Kind.RUN_CANCELLED),
    (Supersede(), Kind.RUN_SUPERSEDED),
    (Interrupt(0, "", "", Cause.STEP), Kind.RUN_INTERRUPTED),
    (Start(0), Kind.STEP_STARTED),
    (Complete(0), Kind.STEP_COMPLETED),
    (Launch(0, "op", EMPTY, 1.0), Kind.STEP_WAITING),
    (Wait(0, None), Kind.STEP_WAITING),
    (Fail(0, "", 2.0), Kind.STEP_FAILED),
    (Close(0, FAILED, "", Cause.RETRIES), Kind.STEP_FAILED),
    (Close(0, CANCELLED, "", Cause.CANCEL), Kind.STEP_CANCELLED),
]


@pytest.mark.parametrize(("change", "kind"), KINDS, ids=str)
def test_each_change_says_what_kind_of_record_it_is_taken_up_late_or_not(change, kind):
    taken_up = Adopt(Adoption(0, 0, 1, "", ""), change)
    kinds = (
        change.kind,
        taken_up.kind,
        Late(1.0, 2, change).kind,
        Late(1.0, 2, taken_up).kind,
    )
    assert kinds == (kind,) * 4


def test_a_step_begins_and_completes():
    run = after(NEW, (3.0, Start(0)))
    assert statuses(run) == ["running", "inited", "prepared", "prepared"]
    assert (run.step.name, run.step.attempts, run.step.started) == ("A", 1, 3.0)
    run = after(run, (5.0, Complete(0, Frozen(id=7))))
    assert statuses(run) == ["running", "completed", "prepared", "prepared"]
    assert (run.step.finished, run.step.output) == (5.0, {"id": 7})


def test_a_run_knows_its_number_its_names_and_its_first_step_that_is_not_complete():
    run = standing(NEW)
    opened = []
    for index in range(3):
        opened.append(run.first_open())
        Complete(index).apply(run, 1.0)
    assert [*opened, run.first_open()] == [0, 1, 2, 3]
    assert (run.number, run.names) == (4, ("A", "B", "C"))
    assert repr(run) == "<Run mpd-0 4-Create running>"


def test_failures_and_crashes_are_counted_apart():
    run = after(NEW, (0.0, Start(0)), (1.0, Fail(0, "no", 2.0)), (2.0, Start(0)))
    counts = [(run.steps[0].retries, run.steps[0].restarts, run.steps[0].attempts)]
    run = after(run, (9.0, Start(0)))
    counts.append((run.steps[0].retries, run.steps[0].restarts, run.steps[0].attempts))
    assert counts == [(1, 0, 2), (1, 1, 3)]
    assert (run.error, run.wake) == ("", None)


@pytest.mark.parametrize(
    ("run", "retries", "restarts"),
    [
        (NEW, 0, 0),
        (after(NEW, (0.0, Start(0))), 0, 1),
        (after(NEW, (0.0, Start(0)), (1.0, Fail(0, "no", 2.0))), 1, 0),
        (after(NEW, (0.0, Start(0)), Wait(0, None)), 0, 0),
    ],
)
def test_taking_a_run_up_costs_a_retry_or_a_restart_as_in_the_reference(
    run, retries, restarts
):
    live = Run(run.key, run.resource)
    Journal(Hand()).append(live, Begin(run))
    resumed = Adoption.once_more(live, 9, "uid-2").draft(live)
    assert (resumed.retries, resumed.restarts) == (retries, restarts)
    assert (resumed.entered, resumed.digest, resumed.owner) == (9, FLOW.digest, "uid-2")
    assert live.memento() == run


def test_taking_a_run_up_as_it_is_changes_nothing():
    live = Run(MIDDLE.key, MPD)
    Journal(Hand()).append(live, Begin(MIDDLE))
    assert Adoption.of(live).draft(live).memento() == MIDDLE


@pytest.mark.parametrize(
    ("change", "final"),
    [
        ((3.0, CompleteRun()), True),
        ((3.0, Supersede()), True),
        ((3.0, FailRun("full")), True),
        ((3.0, CancelRun("no more")), True),
        ((3.0, Interrupt(0, "X", "", Cause.STEP)), True),
        ((1.0, Start(0)), False),
        ((1.0, Fail(0, "no", 2.0)), False),
        (Wait(0, None), False),
    ],
    ids=str,
)
def test_a_run_that_is_over_is_final(change, final):
    live = standing(NEW)
    apply(change, live)
    assert (live.is_final, live.memento().is_final) == (final, final)
