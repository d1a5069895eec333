"""A scenario under way: stepped, run, broken, looked at."""

from __future__ import annotations

import math
import signal
import threading

import pytest

import wfsim
from wfsim import Kind


class Ledger(wfsim.World):
    """What steps did to the outside, in the order in which they did it."""

    def __init__(self):
        super().__init__()
        self.done = []

    def do(self, what):
        self.done.append(what)
        self.changed()


def working(name, seconds=10.0, also=None):
    @wfsim.step(name)
    def body(ctx):
        yield from ctx.sleep(seconds)
        if also is not None:
            also()
        ctx.world.do(name)
        return {name.lower(): ctx.attempt}

    return body


def scenario(*bodies, resources=("orders",), **given):
    bodies = bodies or [working(name) for name in "AB"]
    names = [wfsim.engine.steps.name_of(body) for body in bodies]
    return wfsim.Scenario(
        resources=[wfsim.Resource("db", name) for name in resources],
        machine=wfsim.StateMachine("db")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="Create"),
        flows=[wfsim.Flow("Create", tuple(map(wfsim.Step, names)))],
        steps=bodies,
        world=Ledger,
        **given,
    )


def row(record):
    return record and (record.time, record.kind.value, record.step)


WHOLE = [
    (0.0, "resource.created", ""),
    (0.0, "controller.started", ""),
    (0.0, "run.created", ""),
    (0.0, "step.started", "A"),
    (10.0, "step.completed", "A"),
    (10.0, "step.started", "B"),
    (20.0, "step.completed", "B"),
    (20.0, "run.completed", ""),
    (20.0, "resource.state", ""),
]


@pytest.fixture
def sim():
    return wfsim.Simulation(scenario())


def test_a_run_goes_on_until_nothing_is_left_to_happen(sim):
    assert [row(record) for record in sim.run()] == WHOLE
    assert (sim.now, sim.resource().state, sim.world.done) == (
        20.0,
        "Running",
        ["A", "B"],
    )


def test_to_run_again_when_nothing_is_left_changes_nothing(sim):
    digest = sim.run().digest()
    assert sim.run() is sim.log
    assert (sim.log.digest(), sim.step()) == (digest, None)


def test_simulate_is_the_same_in_one_call(sim):
    assert wfsim.simulate(scenario()).digest() == sim.run().digest()
    assert len(wfsim.simulate(scenario(), until=5)) == 4


def test_a_step_goes_on_to_the_next_record_and_returns_it(sim):
    seen = []
    while record := sim.step():
        seen.append(record)
    assert [row(record) for record in seen] == WHOLE
    assert seen == sim.log.records


def test_a_run_to_a_time_leaves_the_clock_there(sim):
    assert len(sim.run(until=5)) == 4
    assert sim.now == 5.0
    sim.run(for_=5)
    assert (sim.now, len(sim.log)) == (10.0, 6)
    sim.run(until=100.0)
    assert sim.now == 100.0
    sim.run(for_=0)
    assert sim.now == 100.0


def test_a_run_to_a_condition_stops_at_the_record_that_it_accepts(sim):
    sim.run(until=wfsim.step_started("B"))
    assert row(sim.log[-1]) == (10.0, "step.started", "B")
    assert row(sim.step()) == (20.0, "step.completed", "B")


def test_after_a_condition_stepping_goes_on_where_it_held_though_more_has_happened(sim):
    sim.run(until=wfsim.step_completed("A"))
    assert [row(sim.step()) for _ in range(2)] == WHOLE[5:7]


def test_the_same_condition_finds_the_next_record_the_next_time():
    fails = wfsim.FailStep("A", times=2)
    sim = wfsim.Simulation(scenario(), faults=[fails])
    times = []
    for _ in range(3):
        sim.run(until=wfsim.step_started("A"))
        times.append(sim.now)
    assert times == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (wfsim.step_started("A", resource="b"), (0.0, "b")),
        (wfsim.step_completed("B", resource="a"), (20.0, "a")),
        (wfsim.state_entered("Running"), (20.0, "a")),
        (wfsim.state_entered("Running", resource="b"), (20.0, "b")),
        (wfsim.state_entered(""), (0.0, "a")),
        (lambda record: record.time > 5, (10.0, "a")),
    ],
)
def test_a_condition_may_ask_for_a_step_a_state_or_anything(condition, expected):
    sim = wfsim.Simulation(scenario(resources=("a", "b")))
    sim.run(until=condition)
    seen = sim._shown - 1
    assert (sim.log[seen].time, sim.log[seen].resource) == expected


def test_a_condition_that_never_holds_ends_with_the_run(sim):
    assert len(sim.run(until=lambda record: record.step == "Z")) == len(WHOLE)
    assert sim.step() is None


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"until": -1}, "is in the past .now 0 s"),
        ({"for_": -0.5}, "is in the past .now 0 s"),
        ({"until": float("nan")}, "give a finite number of seconds"),
        ({"for_": float("inf")}, "give a finite number of seconds"),
        ({"until": 10**400}, "give a finite number of seconds"),
        ({"until": "CreateRwPod"}, "give seconds, or as until a condition such as"),
        ({"until": True}, "give seconds, or as until a condition such as"),
        ({"for_": wfsim.step_started("A")}, "give seconds, or as until a condition"),
        ({"until": 5, "for_": 5}, "either until or for_; leave one out"),
        ({"until": wfsim.step_started("A"), "for_": 5}, "either until or for_"),
        ({"until": 1e9}, "the scenario ends at 604800 s; give it a later horizon"),
    ],
)
def test_a_time_that_makes_no_sense_is_refused(sim, keywords, message):
    with pytest.raises(wfsim.UsageError, match=message):
        sim.run(**keywords)
    assert [row(record) for record in sim.run()] == WHOLE


def test_nothing_happens_after_the_horizon():
    sim = wfsim.Simulation(scenario(horizon=15.0))
    assert [row(record) for record in sim.run()] == WHOLE[:6]
    assert sim.step() is None
    assert wfsim.simulate(scenario(horizon=15.0)).digest() == sim.log.digest()


@pytest.mark.parametrize(
    "given", [{"horizon": 0}, {"horizon": float("inf")}, {"lag": -1}]
)
def test_a_scenario_has_a_finite_horizon_and_lag(given):
    with pytest.raises(wfsim.DefinitionError, match="give seconds"):
        scenario(**given)


def test_a_controller_is_crashed_and_restarted_by_hand(sim):
    sim.run(until=wfsim.step_started("B"))
    sim.run(for_=3)
    sim.crash()
    sim.run(for_=4)
    sim.restart()
    assert [row(record) for record in sim.run()[6:]] == [
        (13.0, "controller.crashed", ""),
        (17.0, "controller.started", ""),
        (17.0, "step.started", "B"),
        (27.0, "step.completed", "B"),
        (27.0, "run.completed", ""),
        (27.0, "resource.state", ""),
    ]
    assert sim.world.done == ["A", "B"]


def test_every_record_is_stepped_to_once_those_of_calls_too(sim):
    first = [sim.step() for _ in range(4)]
    sim.crash()
    sim.restart()
    rest = []
    while record := sim.step():
        rest.append(record)
    assert first + rest == sim.log.records
    assert [record.kind for record in rest[:2]] == [
        Kind.CONTROLLER_CRASHED,
        Kind.CONTROLLER_STARTED,
    ]


def test_a_controller_is_paused_by_hand(sim):
    sim.run(until=5)
    sim.pause()
    sim.run(until=12)
    sim.unpause()
    assert [row(record) for record in sim.run()][4:7] == [
        (5.0, "controller.paused", ""),
        (12.0, "controller.resumed", ""),
        (12.0, "step.completed", "A"),
    ]


def test_a_resource_is_cancelled_and_recovered_by_hand(sim):
    sim.run(until=3)
    sim.cancel("orders")
    sim.run()
    assert (sim.resource().state, sim.log[-1].time) == ("Interrupt", 5.0)
    sim.uncancel()
    sim.recover()
    sim.run()
    assert (sim.resource("orders").state, sim.world.done) == ("Running", ["A", "B"])


def test_a_resource_is_edited_created_and_deleted_by_hand(sim):
    edited = sim.edit(spec={"size": [1, 2]}, annotations={"a": "b"})
    assert sim.resource() == edited
    assert edited.spec == {"size": (1, 2)}
    sim.create(wfsim.Resource("db", "more"))
    sim.run()
    assert sim.resource("more").state == "Running"
    sim.delete("orders")
    sim.run()
    with pytest.raises(wfsim.errors.NotFound, match="did you mean 'more'"):
        sim.resource("mor")
    assert sim.resource().name == "more"


def test_the_first_resource_is_that_of_the_scenario():
    sim = wfsim.Simulation(scenario(resources=("z", "a")))
    assert sim.resource().name == "z"


def test_a_resource_of_another_namespace_is_found_by_its_name_too():
    simulation = wfsim.Simulation(scenario())
    simulation.create(wfsim.Resource("db", "far", namespace="prod"))
    assert simulation.resource("far").namespace == "prod"
    assert simulation.resource("prod/far").name == "far"


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda sim: sim.restart(), wfsim.UsageError, r"is running; crash\(\) it first"),
        (lambda sim: sim.unpause(), wfsim.UsageError, r"stand still; pause\(\) it first"),
        (lambda sim: sim.crash("c"), wfsim.UsageError, "known: 'controller-0'"),
        (lambda sim: sim.cancel("order"), wfsim.errors.NotFound, "did you mean 'orders'"),
        (lambda sim: sim.edit(spec={"a": {1}}), wfsim.UsageError, "what JSON can hold"),
        (lambda sim: sim.edit(status={1: 2}), wfsim.UsageError, "what JSON can hold"),
        (lambda sim: sim.edit(spec=[1]), wfsim.UsageError, "give a mapping"),
        (
            lambda sim: sim.create(wfsim.Resource("db", "orders")),
            wfsim.UsageError,
            r"there is a resource orders already; delete\(\) it first",
        ),
        (
            lambda sim: sim.create(wfsim.Resource("dbs", "more")),
            wfsim.DefinitionError,
            "no state machine for the kind 'dbs'; did you mean 'db'",
        ),
        (
            lambda sim: sim.create(wfsim.Resource("db", "")),
            wfsim.DefinitionError,
            "a resource has no name; give it one",
        ),
        (
            lambda sim: sim.create(wfsim.Resource("db", "x", spec={"a": object()})),
            wfsim.DefinitionError,
            "spec holds what JSON cannot",
        ),
    ],
)
def test_a_call_that_makes_no_sense_is_refused_and_nothing_has_happened(
    sim, act, error, message
):
    sim.step()
    with pytest.raises(error, match=message):
        act(sim)
    assert [row(record) for record in sim.run()] == WHOLE
    assert sim.fork().log.records == sim.log.records


def test_what_is_dead_cannot_die_or_stand_still(sim):
    sim.crash()
    for call in (sim.crash, sim.pause):
        with pytest.raises(wfsim.UsageError, match=r"not running; restart\(\) it first"):
            call()


def test_what_stands_still_cannot_be_paused_again(sim):
    sim.run(until=5)
    sim.pause()
    with pytest.raises(wfsim.UsageError, match=r"stands still already; unpause\(\)"):
        sim.pause()


@pytest.mark.parametrize("controllers", [0, -1, True, 1.5, math.nan, "2", None, 10**6])
def test_there_are_1_to_1000_controllers(controllers):
    with pytest.raises(wfsim.UsageError, match=r"controllers is .*; give a whole number"):
        wfsim.Simulation(scenario(), controllers=controllers)


@pytest.mark.parametrize(
    "call",
    [
        lambda sim: sim.pause(3),
        lambda sim: sim.crash(["controller-0"]),
        lambda sim: sim.cancel(math.nan),
        lambda sim: sim.edit({"a": 1}),
        lambda sim: sim.fork(3),
        lambda sim: sim.fork([3]),
    ],
)
def test_whoever_is_named_by_what_is_no_name_is_refused(sim, call):
    sim.run(until=5)
    with pytest.raises(wfsim.UsageError, match=r"(controller|resource) is .*text|fault"):
        call(sim)


@pytest.mark.parametrize("factor", [-1, math.nan, math.inf, "1", None])
def test_a_second_takes_some_seconds_on_a_clock_on_the_wall(factor):
    with pytest.raises(wfsim.UsageError, match=r"factor is .*; give seconds from 0"):
        wfsim.clock.WallClock(factor)


def test_mementos_are_every_version_made_durable_newest_last(sim):
    assert sim.mementos() == []
    sim.run()
    assert [(run.status, [s.status for s in run.steps]) for run in sim.mementos()] == [
        ("prepared", ["prepared", "prepared"]),
        ("running", ["inited", "prepared"]),
        ("running", ["completed", "prepared"]),
        ("running", ["completed", "inited"]),
        ("running", ["completed", "completed"]),
        ("completed", ["completed", "completed"]),
    ]
    with pytest.raises(wfsim.errors.NotFound, match="did you mean 'orders'"):
        sim.mementos("order")


def test_mementos_outlive_their_resource(sim):
    sim.run()
    sim.delete()
    sim.run()
    assert len(sim.mementos("orders")) == 6
    assert sim.mementos() == sim.mementos("orders")


@pytest.fixture
def heeding():
    """Ctrl-C is heeded, also where a script has begun the tests in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeding")
def test_ctrl_c_stops_between_two_events_and_the_run_can_go_on():
    def press():
        if not pressed:
            pressed.append(True)
            signal.raise_signal(signal.SIGINT)

    pressed = []
    sim = wfsim.Simulation(scenario(working("A", also=press), working("B")))
    with pytest.raises(KeyboardInterrupt):
        sim.run()
    assert sim.now == 10.0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert [row(record) for record in sim.run()] == WHOLE
    assert sim.world.done == ["A", "B"]


@pytest.mark.usefixtures("heeding")
def test_a_second_ctrl_c_does_not_wait():
    def hammer():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    sim = wfsim.Simulation(scenario(working("A", also=hammer)))
    with pytest.raises(KeyboardInterrupt):
        sim.run()
    assert sim.world.done == []


def test_a_simulation_runs_in_any_thread(sim):
    thread = threading.Thread(target=sim.run)
    thread.start()
    thread.join()
    assert [row(record) for record in sim.log] == WHOLE


def test_a_step_must_not_run_the_simulation():
    sim = wfsim.Simulation(scenario(working("A", also=lambda: sim.run())))
    sim.run(until=wfsim.step_completed("A"))
    assert "must not run() it" in sim.log.filter(Kind.STEP_FAILED)[0].text


def test_a_condition_that_raises_leaves_a_simulation_that_can_go_on(sim):
    def bad(record):
        return record.missing

    with pytest.raises(AttributeError):
        sim.run(until=bad)
    assert [row(record) for record in sim.run()] == WHOLE


def test_a_simulation_says_in_short_where_it_is(sim):
    sim.run()
    assert str(sim) == "<Simulation Create at 20.000 s, 9 records>"
    assert repr(sim).startswith(f"{sim}\n")


def test_a_world_that_is_given_is_left_as_it_was():
    given = Ledger()
    given.done.append("before")
    sim = wfsim.Simulation(scenario(), world=given)
    sim.run()
    assert (given.done, sim.world.done) == (["before"], ["before", "A", "B"])


def test_a_world_may_come_from_another_simulation(sim):
    sim.run(until=12)
    sim.world.later(5, "do", "late")
    other = wfsim.Simulation(scenario(), world=sim.world)
    other.run(until=6)
    assert (other.world.done, sim.world.done) == (["A", "late"], ["A"])


def test_the_same_scenario_runs_on_a_wall_clock():
    clock = wfsim.clock.WallClock(factor=0.0001)
    sim = wfsim.Simulation(scenario(), clock=clock)
    assert [row(record) for record in sim.run()] == WHOLE


def test_a_thousand_resources_are_run():
    names = [f"r{number}" for number in range(1000)]
    sim = wfsim.Simulation(scenario(resources=names))
    log = sim.run()
    assert {sim.resource(name).state for name in names} == {"Running"}
    assert len(log.filter(Kind.RUN_COMPLETED)) == 1000
    # 26 workers are a step at a time: 39 turns of 20 s.
    assert log[-1].time == 780.0


@pytest.mark.parametrize("seed", [0, 1])
def test_two_simulations_alike_have_logs_alike(seed):
    first, second = (
        wfsim.simulate(scenario(resources=("a", "b")), [wfsim.CrashAt(t=12)], seed)
        for _ in range(2)
    )
    assert list(first.lines()) == list(second.lines())
