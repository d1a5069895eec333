"""Each of the faults: what it does to a run, and that nothing else changes."""

from __future__ import annotations

from typing import get_args

import pytest

import wfsim
from wfsim import Kind
from wfsim.sim.faults import FAULTS, TimedFault

FAULT_KINDS = (Kind.FAULT_ARMED, Kind.FAULT_FIRED)


class Ledger(wfsim.World):
    """What steps did to the outside, in the order in which they did it."""

    def __init__(self):
        super().__init__()
        self.done = []

    def do(self, what):
        self.done.append(what)
        self.changed()


def working(name, seconds):
    @wfsim.step(name)
    def body(ctx):
        yield from ctx.sleep(seconds)
        ctx.world.do(name)
        return {name.lower(): ctx.attempt}

    return body


def wants_backup(resource):
    return "backup" in resource.annotations


def scenario(policy=None, lag=0.0, resources=("orders",), timeout=None):
    flow = wfsim.Flow("Create", tuple(map(wfsim.Step, "ABC")), timeout=timeout)
    machine = (
        wfsim.StateMachine("db")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="Create")
        .transition("Running", "BackingUp", when=wants_backup, run="Backup")
    )
    return wfsim.Scenario(
        resources=[wfsim.Resource("db", name) for name in resources],
        machine=machine,
        flows=[flow, wfsim.Flow("Backup", (wfsim.Step("D"),))],
        steps=[working(name, 10.0) for name in "ABCD"],
        world=Ledger,
        policy=policy,
        lag=lag,
    )


def ran(*faults, controllers=1, until=None, **given):
    sim = wfsim.Simulation(scenario(**given), faults=faults, controllers=controllers)
    sim.run(until)
    return sim


def rows(sim, *kinds):
    """What a log says of steps, runs, states and faults, without its first record."""
    shown = kinds or [
        kind for kind in Kind if kind.value.split(".")[0] in ("run", "step")
    ]
    return [
        (record.time, record.kind.value, record.step or record.text)
        for record in sim.log
        if record.kind in shown
    ]


def fired(sim):
    return [(record.time, record.text) for record in sim.log.filter(Kind.FAULT_FIRED)]


NEVER = [
    wfsim.FailStep("A", attempt=7),
    wfsim.DelayStep("A", attempt=7),
    wfsim.HangStep("A", attempt=7),
    wfsim.InterruptStep("A", attempt=7),
    wfsim.CancelAt(t=1e9),
    wfsim.EditAt(t=1e9, delete=True),
    wfsim.CrashAt(write=1000),
    wfsim.FailSave(write=1000),
    wfsim.RefuseWrite(write=1000),
    wfsim.StaleRead(t=1e9, for_=1),
    wfsim.DropWatch(t=1e9, for_=1),
    wfsim.PauseController(t=1e9, for_=1),
    wfsim.LoseLease(t=1e9),
    wfsim.ApiDown(t=1e9, for_=1),
    wfsim.BreakOne(t=1, draw=0.5, for_=1),
    wfsim.RepeatCall(site="orders/1-Create/A#7 do A"),
    wfsim.AskAt(t=1e9, call="delete"),
]


def without_faults(log):
    return [record._replace(seq=0) for record in log if record.kind not in FAULT_KINDS]


@pytest.mark.parametrize("fault", NEVER, ids=repr)
def test_a_fault_that_does_not_fire_changes_nothing(fault):
    plain, armed = ran(), ran(fault)
    assert without_faults(armed.log) == without_faults(plain.log)
    assert [(r.kind, r.text) for r in armed.log if r.kind in FAULT_KINDS] == [
        (Kind.FAULT_ARMED, repr(fault))
    ]


def test_that_list_has_every_fault():
    assert {type(fault) for fault in NEVER} == set(FAULTS.values())


def test_every_fault_that_has_a_time_is_one_that_the_plan_carries_out():
    timed = {kind for kind in FAULTS.values() if "t" in kind.__dataclass_fields__}
    assert timed == set(get_args(TimedFault)), "name it in TimedFault of sim/faults.py"


@pytest.mark.parametrize("fault", NEVER, ids=repr)
def test_a_fault_is_a_value(fault):
    twin = eval(repr(fault), vars(wfsim) | dict(FAULTS))
    assert twin == fault
    assert len({fault, twin}) == 1
    with pytest.raises(AttributeError):
        fault.times = 3


def test_an_edit_is_the_same_whatever_the_order_of_its_keys():
    one = wfsim.EditAt(t=1, spec={"a": 1, "b": [1, {"c": 2}]})
    two = wfsim.EditAt(t=1.0, spec={"b": (1, {"c": 2}), "a": 1.0})
    assert (one, hash(one)) == (two, hash(two))


@pytest.mark.parametrize(
    "make",
    [
        lambda: wfsim.FailStep(""),
        lambda: wfsim.FailStep("A", times=0),
        lambda: wfsim.DelayStep("A", by=float("nan")),
        lambda: wfsim.CrashAt(),
        lambda: wfsim.CrashAt(t=-1),
        lambda: wfsim.CrashAt(write=True),
        lambda: wfsim.EditAt(t=1, spec={1: 2}),
        lambda: wfsim.EditAt(t=1, spec={"a": object()}),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(make):
    with pytest.raises(wfsim.DefinitionError, match="give"):
        make()


def test_a_step_fails_before_its_work():
    sim = ran(wfsim.FailStep("B", times=2, error="disk full"))
    assert fired(sim) == [
        (10.0, "FailStep(step='B', times=2, error='disk full')"),
        (11.0, "FailStep(step='B', times=2, error='disk full')"),
    ]
    assert rows(sim, Kind.STEP_FAILED, Kind.RUN_COMPLETED) == [
        (10.0, "step.failed", "B"),
        (11.0, "step.failed", "B"),
        (32.0, "run.completed", ""),
    ]
    assert sim.log.filter(Kind.STEP_FAILED)[0].text == "step B fail: disk full"
    assert sim.world.done == ["A", "B", "C"]


def test_a_step_fails_after_its_work_which_is_then_done_twice():
    sim = ran(wfsim.FailStep("B", after=True))
    assert rows(sim, Kind.STEP_FAILED, Kind.RUN_COMPLETED) == [
        (20.0, "step.failed", "B"),
        (41.0, "run.completed", ""),
    ]
    assert sim.world.done == ["A", "B", "B", "C"]


def test_a_fault_of_one_attempt_lets_the_others_be():
    sim = ran(wfsim.FailStep("B"), wfsim.FailStep("B", attempt=3))
    assert [time for time, _ in fired(sim)] == [10.0]
    assert sim.resource().state == "Running"


def test_a_fault_of_one_resource_lets_the_others_be():
    sim = ran(wfsim.FailStep("A", times=9, resource="b"), resources=("a", "b"))
    assert {r.resource for r in sim.log.filter(Kind.STEP_FAILED)} == {"b"}


def test_a_step_begins_its_work_late():
    sim = ran(wfsim.DelayStep("B", by=100))
    assert rows(sim, Kind.STEP_COMPLETED) == [
        (10.0, "step.completed", "A"),
        (120.0, "step.completed", "B"),
        (130.0, "step.completed", "C"),
    ]


def test_a_step_that_hangs_never_ends_by_itself():
    sim = ran(wfsim.HangStep("B"))
    assert sim.log[-1].kind is Kind.FAULT_FIRED
    assert (sim.now, sim.resource().state) == (10.0, "")


def test_a_timeout_ends_a_step_that_hangs():
    sim = ran(wfsim.HangStep("B"), timeout=30.0)
    assert rows(sim, Kind.STEP_FAILED, Kind.RUN_COMPLETED) == [
        (40.0, "step.failed", "B"),
        (61.0, "run.completed", ""),
    ]


def test_a_cancel_ends_a_step_that_hangs_at_the_next_tick():
    sim = ran(wfsim.HangStep("B"), wfsim.CancelAt(t=22))
    assert rows(sim, Kind.RUN_INTERRUPTED) == [(25.0, "run.interrupted", "B")]
    assert sim.resource().state == "Interrupt"


def test_a_crash_ends_a_step_that_hangs():
    sim = ran(wfsim.HangStep("B"), wfsim.CrashAt(t=50, restart_after=5))
    assert rows(sim, Kind.STEP_STARTED, Kind.RUN_COMPLETED)[1:] == [
        (10.0, "step.started", "B"),
        (55.0, "step.started", "B"),
        (65.0, "step.started", "C"),
        (75.0, "run.completed", ""),
    ]
    assert sim.world.done == ["A", "B", "C"]


def test_a_step_asks_for_an_operator():
    sim = ran(wfsim.InterruptStep("B", reason="NO_NODE", message="none left"))
    assert sim.resource().state == "Interrupt"
    assert sim.resource().annotations["interrupt.reason"] == "NO_NODE"
    sim.recover()
    sim.run()
    assert (sim.resource().state, sim.world.done) == ("Running", ["A", "B", "C"])


def test_somebody_cancels():
    sim = ran(wfsim.CancelAt(t=12))
    assert fired(sim) == [(12.0, "CancelAt(t=12)")]
    assert rows(sim, Kind.RESOURCE_EDITED, Kind.RUN_INTERRUPTED) == [
        (12.0, "resource.edited", "annotations"),
        (15.0, "run.interrupted", "B"),
    ]


def test_somebody_edits_spec_and_annotations():
    sim = ran(
        wfsim.EditAt(t=5, spec={"size": 2}, annotations={"owner": "me"}),
        wfsim.EditAt(t=6, annotations={"owner": None}, status={"seen": True}),
        wfsim.EditAt(t=40, annotations={"backup": "now"}),
        wfsim.EditAt(t=45, annotations={"backup": None}),
    )
    assert rows(sim, Kind.RESOURCE_EDITED) == [
        (5.0, "resource.edited", "spec, annotations"),
        (6.0, "resource.edited", "status, annotations"),
        (40.0, "resource.edited", "annotations"),
        (45.0, "resource.edited", "annotations"),
    ]
    assert (sim.resource().spec, sim.resource().status) == ({"size": 2}, {"seen": True})
    assert sim.world.done == ["A", "B", "C", "D"]


def test_somebody_deletes():
    sim = ran(wfsim.EditAt(t=12, delete=True))
    assert rows(sim, Kind.RESOURCE_DELETED, Kind.RUN_INTERRUPTED, Kind.RUN_PRUNED) == [
        (12.0, "resource.deleted", ""),
        (15.0, "run.interrupted", "B"),
        (15.0, "run.pruned", ""),
    ]
    with pytest.raises(wfsim.errors.NotFound):
        sim.resource()


def test_the_controller_dies_at_a_time_and_comes_back():
    sim = ran(wfsim.CrashAt(t=15, restart_after=10))
    assert rows(sim, Kind.CONTROLLER_CRASHED, Kind.CONTROLLER_STARTED) == [
        (0.0, "controller.started", "controller-0"),
        (15.0, "controller.crashed", "controller-0"),
        (25.0, "controller.started", "controller-0"),
    ]
    assert sim.world.done == ["A", "B", "C"]


def test_a_controller_that_is_dead_already_cannot_die_again():
    sim = ran(
        wfsim.CrashAt(t=15), wfsim.CrashAt(t=16), wfsim.CrashAt(t=15, restart_after=9)
    )
    assert [time for time, _ in fired(sim)] == [15.0]
    assert sim.log[-1].kind is Kind.CONTROLLER_CRASHED


WRITES = (
    len(ran().log.filter(*[k for k in Kind if k.value.startswith(("run", "step"))])) + 1
)
"""The mementos of one run, and the state that it leads to."""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("write", range(1, WRITES + 1))
def test_the_controller_dies_at_any_write_and_no_completed_step_runs_again(write, when):
    plain = ran()
    sim = ran(wfsim.CrashAt(write=write, when=when, restart_after=7))
    assert len(fired(sim)) == 1
    crash = sim.log.filter(Kind.CONTROLLER_CRASHED)[0].seq
    made = (Kind.RESOURCE_CREATED, *FAULT_KINDS, Kind.CONTROLLER_STARTED)
    written = [record for record in sim.log[:crash] if record.kind not in made]
    assert len(written) == write - (when == "before")
    assert sim.resource().state == "Running"
    completed = [r.step for r in sim.log.filter(Kind.STEP_COMPLETED)]
    assert completed == ["A", "B", "C"]
    assert set(sim.world.done) == set(plain.world.done)


def test_there_are_no_more_writes_than_that():
    assert fired(ran(wfsim.CrashAt(write=WRITES + 1))) == []


def test_with_two_controllers_the_one_that_writes_dies():
    sim = ran(
        wfsim.CrashAt(write=5, restart_after=7), controllers=2, resources=("a", "b")
    )
    writer = sim.log.filter(Kind.CONTROLLER_CRASHED)[0].text
    sim.run()
    assert writer in ("controller-0", "controller-1")
    assert {sim.resource(name).state for name in "ab"} == {"Running"}


def test_a_crash_of_one_controller_counts_the_writes_of_that_one():
    names = [f"r{number}" for number in range(40)]
    sim = ran(
        wfsim.CrashAt(write=3, controller="controller-1"),
        controllers=2,
        resources=names,
        policy=wfsim.Policy(workers=20),
    )
    assert rows(sim, Kind.CONTROLLER_CRASHED) == [
        (0.0, "controller.crashed", "controller-1")
    ]
    assert {sim.resource(name).state for name in names} == {"Running"}


@pytest.mark.parametrize("write", range(1, WRITES + 1))
@pytest.mark.parametrize("applied", [False, True])
def test_a_save_that_fails_executes_no_step_twice_and_loses_none(write, applied):
    fault = wfsim.FailSave(write=write, applied=applied)
    sim = ran(fault)
    assert len(fired(sim)) == 1
    assert sim.world.done == ["A", "B", "C"]
    assert [r.step for r in sim.log.filter(Kind.STEP_COMPLETED)] == ["A", "B", "C"]
    assert sim.resource().state == "Running"


def test_a_save_that_fails_for_long_is_tried_until_it_succeeds():
    sim = ran(wfsim.FailSave(write=3, times=6))
    assert len(fired(sim)) == 6
    assert sim.world.done == ["A", "B", "C"]


@pytest.mark.parametrize("write", range(1, WRITES + 1))
def test_a_conflict_is_met_by_looking_again(write):
    sim = ran(wfsim.RefuseWrite(write=write, times=2))
    assert len(fired(sim)) == 2
    assert sim.world.done == ["A", "B", "C"]
    assert sim.resource().state == "Running"


def test_a_stale_read_delays_but_repeats_nothing():
    sim = ran(
        wfsim.StaleRead(t=25, for_=100),
        wfsim.EditAt(t=50, annotations={"backup": "now"}),
        wfsim.EditAt(t=126, annotations={"backup": None}),
    )
    assert [time for time, _ in fired(sim)] == [25.0, 50.0, 126.0]
    # What the cache shows is as it was at 25 s: being created, with no annotation.
    assert rows(sim, Kind.RESOURCE_STATE) == [
        (30.0, "resource.state", "-> Running"),
        (125.0, "resource.state", "Running -> BackingUp"),
        (135.0, "resource.state", "BackingUp -> Running"),
    ]
    assert sim.world.done == ["A", "B", "C", "D"]


def test_stale_reads_that_overlap_end_with_the_last():
    sim = ran(
        wfsim.StaleRead(t=35, for_=10),
        wfsim.StaleRead(t=40, for_=60),
        wfsim.EditAt(t=42, annotations={"backup": "now"}),
        wfsim.EditAt(t=101, annotations={"backup": None}),
    )
    assert rows(sim, Kind.RESOURCE_STATE)[1] == (
        100.0, "resource.state", "Running -> BackingUp",
    )  # fmt: skip


def test_a_change_missed_by_a_deaf_watch_is_found_when_it_lists_again():
    sim = ran(
        wfsim.DropWatch(t=40, for_=60),
        wfsim.EditAt(t=50, annotations={"backup": "now"}),
        wfsim.EditAt(t=101, annotations={"backup": None}),
    )
    assert rows(sim, Kind.RESOURCE_STATE)[1] == (
        100.0, "resource.state", "Running -> BackingUp",
    )  # fmt: skip
    assert sim.world.done == ["A", "B", "C", "D"]


def test_a_deletion_missed_by_a_deaf_watch_is_found_when_it_lists_again():
    sim = ran(wfsim.DropWatch(t=40, for_=60), wfsim.EditAt(t=50, delete=True))
    assert rows(sim, Kind.RUN_PRUNED) == [(100.0, "run.pruned", "")]


def test_a_cancel_is_noticed_once_the_watch_hears_again():
    sim = ran(wfsim.DropWatch(t=5, for_=8), wfsim.CancelAt(t=12))
    assert rows(sim, Kind.RUN_INTERRUPTED) == [(15.0, "run.interrupted", "B")]


def test_a_controller_stands_still_while_the_world_goes_on():
    sim = ran(wfsim.PauseController(t=5, for_=7))
    assert rows(sim, Kind.CONTROLLER_PAUSED, Kind.CONTROLLER_RESUMED) == [
        (5.0, "controller.paused", "controller-0"),
        (12.0, "controller.resumed", "controller-0"),
    ]
    assert rows(sim, Kind.STEP_COMPLETED)[0] == (12.0, "step.completed", "A")
    assert sim.world.done == ["A", "B", "C"]


def test_a_controller_that_stood_still_past_its_lease_may_not_write_any_more():
    sim = ran(wfsim.PauseController(t=5, for_=100), controllers=2)
    first = sim.log.filter(Kind.CONTROLLER_PAUSED)[0].text
    assert first == "controller-0"
    assert sim.resource().state == "Running"
    completed = [r.step for r in sim.log.filter(Kind.STEP_COMPLETED)]
    assert completed == ["A", "B", "C"]


@pytest.mark.parametrize(
    "more",
    [
        [wfsim.CancelAt(t=7)],
        [wfsim.CrashAt(t=7, restart_after=3)],
        [wfsim.PauseController(t=7, for_=30)],
        [wfsim.CrashAt(t=7, restart_after=3), wfsim.PauseController(t=10.5, for_=20)],
        [wfsim.EditAt(t=7, delete=True)],
        [wfsim.FailSave(write=2, times=3), wfsim.CancelAt(t=6)],
    ],
)
def test_what_happens_to_a_controller_that_stands_still_leaves_it_usable(more):
    sim = ran(wfsim.PauseController(t=5, for_=10), *more, timeout=8.0)
    assert not sim.log.filter(Kind.PASS_FAILED)
    try:
        assert sim.resource().state in ("Running", "Interrupt")
    except wfsim.errors.NotFound:
        assert rows(sim, Kind.RESOURCE_DELETED)


def test_a_fault_names_a_controller_that_there_is():
    with pytest.raises(wfsim.UsageError, match="known: controller-0, controller-1"):
        wfsim.Simulation(
            scenario(), faults=[wfsim.CrashAt(t=1, controller="c")], controllers=2
        )


@pytest.mark.parametrize("faults", [[5], "CrashAt", [{"CrashAt": {"t": 1}}]])
def test_what_is_no_fault_is_refused(faults):
    with pytest.raises(wfsim.UsageError, match="is not a fault; give some"):
        wfsim.Simulation(scenario(), faults=faults)


# A lease that is lost while its holder lives.


def slowly(name):
    @wfsim.step(name)
    def body(ctx):
        for part in range(4):
            yield from ctx.sleep(5)
            ctx.world.do((name, ctx.attempt, part))
        yield from ctx.update(status={name: ctx.attempt})

    return body


def two(*faults, name="controller-0", db=None):
    """Return a simulation of a flow of two slow steps under two controllers, run."""
    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    sc = wfsim.Scenario(
        resources=[wfsim.Resource("db", "orders")],
        machine=machine.unstable("Creating", run="Create"),
        flows=[wfsim.Flow("Create", (wfsim.Step("A"), wfsim.Step("B")))],
        steps=[slowly("A"), slowly("B")],
        world=Ledger,
    )
    sim = wfsim.Simulation(sc, faults=faults, controllers=2, db=db)
    sim.run()
    return sim


def overlap(sim):
    """Return what the first attempt at A has done after the second one had begun."""
    of_a = [(attempt, part) for step, attempt, part in sim.world.done if step == "A"]
    second = next((i for i, (attempt, _) in enumerate(of_a) if attempt == 2), len(of_a))
    return [part for attempt, part in of_a[second:] if attempt == 1]


@pytest.mark.parametrize(
    ("fault", "zombie", "refused"),
    [
        (wfsim.PauseController(t=7, for_=12, zombie=True), [2, 3], 29.0),
        (wfsim.PauseController(t=7, for_=25, zombie=True), [1, 2, 3], 42.0),
        (wfsim.PauseController(t=7, for_=25), [], 32.0),
        (wfsim.LoseLease(t=7), [2, 3], 20.0),
        (wfsim.LoseLease(t=7, controller="controller-0"), [2, 3], 20.0),
        (wfsim.LoseLease(t=7, resource="orders"), [2, 3], 20.0),
    ],
    ids=repr,
)
def test_who_has_lost_its_lease_goes_on_until_its_next_write_is_refused(
    fault, zombie, refused
):
    sim = two(fault)
    assert fired(sim) == [(7.0, repr(fault))]
    assert overlap(sim) == zombie
    assert sim.resource().state == "Running"
    assert sim.resource().status == {"A": 2, "B": 1}
    assert [r.attempt for r in sim.log.filter(Kind.STEP_COMPLETED)] == [2, 1]
    by = {r.controller for r in sim.log.filter(Kind.STEP_COMPLETED)}
    assert by == {"controller-1"}
    fences = sim.log.filter(Kind.PASS_FAILED)
    assert [r.time for r in fences] == [refused]
    assert all("Fenced" in r.text for r in fences)
    steps = wfsim.tables.steps(sim.log)
    assert steps["status"].tolist() == ["crashed", "completed", "completed"]


def test_a_lease_that_nobody_has_taken_is_its_holders_own_at_the_next_renewal():
    scene = scenario()
    sim = wfsim.Simulation(scene, faults=[wfsim.LoseLease(t=7)])
    sim.run()
    assert fired(sim) == [(7.0, "LoseLease(t=7)")]
    assert sim.world.done == ["A", "B", "C"]
    assert not sim.log.filter(Kind.PASS_FAILED)


@pytest.mark.parametrize(
    "fault",
    [
        wfsim.PauseController(t=7, for_=8, controller="controller-1"),
        wfsim.PauseController(t=7, for_=80, controller="controller-1"),
        wfsim.PauseController(t=7, for_=8, controller="controller-1", zombie=True),
        wfsim.PauseController(t=70, for_=8),
        wfsim.LoseLease(t=7, controller="controller-1"),
        wfsim.LoseLease(t=70),
    ],
    ids=repr,
)
def test_who_holds_nothing_has_nothing_to_lose(fault):
    calm, sim = two(), two(fault)
    assert fired(sim) == []
    assert sim.world.done == calm.world.done
    assert wfsim.tables.faults(sim.log).fired.isna().all()


def test_a_pause_that_has_kept_something_from_being_done_has_fired_when_it_is_over():
    retry = wfsim.Policy(retry=wfsim.Retry(delay=5))
    pause = wfsim.PauseController(t=12, for_=20)
    sim = ran(wfsim.FailStep("A", after=True), pause, policy=retry)
    assert fired(sim)[1:] == [(32.0, repr(pause))]
    assert rows(sim, Kind.STEP_STARTED)[:2] == [
        (0.0, "step.started", "A"),
        (32.0, "step.started", "A"),
    ]


def test_a_zombie_over_a_file_is_refused_there_too(tmp_path):
    sim = two(wfsim.PauseController(t=7, for_=25, zombie=True), db=tmp_path / "a.db")
    assert overlap(sim) == [1, 2, 3]
    assert [r.time for r in sim.log.filter(Kind.PASS_FAILED)] == [42.0]


def test_who_is_woken_by_hand_may_be_a_zombie():
    sim = two()
    again = wfsim.Simulation(sim.scenario, controllers=2)
    again.run(7)
    again.pause()
    again.run(30)
    again.unpause(zombie=True)
    again.run()
    assert overlap(again) == [1, 2, 3]


@pytest.mark.parametrize(
    "text",
    [
        "PauseController: {t: 7, for_: 25, zombie: true}",
        "LoseLease: {t: 7, resource: resource-0}",
    ],
)
def test_a_zombie_can_be_said_in_a_plan_and_in_a_scenario_file(tmp_path, text):
    (tmp_path / "flow.yaml").write_text(
        "flowName: Nap\nsteps: [{stepName: A, duration: 40}]\n"
    )
    (tmp_path / "scenario.yaml").write_text(f"flow: flow.yaml\nfaults:\n- {text}\n")
    (tmp_path / "plan.yaml").write_text(f"- {text}\n")
    scene = wfsim.Scenario.load(tmp_path / "scenario.yaml")
    assert scene.faults == wfsim.load_plan(tmp_path / "plan.yaml")
    log = wfsim.simulate(scene, controllers=2)
    assert [r.time for r in log.filter(Kind.FAULT_FIRED)] == [7.0]
    assert "Fenced" in log.filter(Kind.PASS_FAILED)[0].text
