"""A player shows at each record what the fold of the log up to it gives."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import wfsim
from tests.changes import after, new
from wfsim import EventLog, Kind, Player, Resource
from wfsim.model.flow import Flow, Step
from wfsim.model.resource import Key
from wfsim.model.run import Start
from wfsim.notebook.player import Change
from wfsim.types import Record

FLOW = Flow("Create", (Step("Prepare"), Step("Attach")))


@st.composite
def logs(draw) -> EventLog:
    """Draw a log of some resources and runs that come, change and go."""
    records = []
    time = 0.0
    for seq in range(draw(st.integers(0, 40))):
        time += draw(st.sampled_from([0.0, 0.0, 1.0, 2.5]))
        name = draw(st.sampled_from(["a", "b", "c"]))
        number = draw(st.integers(1, 3))
        run = f"{number}-Create"
        match draw(st.integers(0, 5)):
            case 0:
                value = Resource("db", name, state=draw(st.sampled_from(["A", "B"])))
                records.append(Record(seq, time, Kind.RESOURCE_STATE, name, value=value))
            case 1:
                records.append(Record(seq, time, Kind.RESOURCE_DELETED, name))
            case 2:
                records.append(Record(seq, time, Kind.RUN_PRUNED, name, run))
            case 3:
                records.append(Record(seq, time, Kind.CONTROLLER_CRASHED))
            case _:
                memento = new(FLOW, Key("db", "default", name), number, time)
                memento = after(memento, (time, Start(draw(st.integers(0, 1)))))
                kind = Kind.STEP_STARTED
                records.append(Record(seq, time, kind, name, run, value=memento))
    return EventLog(records)


MOVES = st.lists(
    st.one_of(
        st.just("step"),
        st.just("back"),
        st.integers(-45, 45),
        st.floats(-1.0, 50.0, allow_nan=False),
    ),
    max_size=30,
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # a log is a simulation
@given(logs(), MOVES)
def test_whatever_moves_the_cursor_the_state_is_the_fold_of_the_prefix(log, moves):
    player = Player(log)
    position = 0
    for move in moves:
        match move:
            case "step":
                player.step()
                position = min(position + 1, len(log))
            case "back":
                player.back()
                position = max(position - 1, 0)
            case int() if not -len(log) <= move < len(log):
                with pytest.raises(wfsim.UsageError):
                    player.seek(move)
            case int():
                player.seek(log[move])
                position = move % len(log) + 1
            case float():
                player.seek(time=move)
                position = sum(record.time <= move for record in log)
        assert player.position == position
        assert player.record == (log[position - 1] if position else None)
        assert player.state == log.fold(position)


def test_it_steps_to_the_end_and_stays_there(log):
    player = Player(log)
    assert [player.step() for _ in range(len(log) + 2)] == [*log, None, None]
    assert player.position == len(player) == len(log)


def test_it_goes_back_to_before_the_first_record_and_stays_there(log):
    player = Player(log)
    player.seek(1)
    assert (player.back(), player.back(), player.back()) == (log[0], None, None)
    assert player.state == log.fold(0)


def test_the_states_of_both_directions_are_the_same(log):
    player = Player(log)
    forth = [player.state for _ in log if player.step()]
    back = [player.state]
    while player.back():
        back.append(player.state)
    assert forth == back[::-1] == [log.fold(n + 1) for n in range(len(log))]


def test_it_follows_a_log_that_grows(scenario):
    simulation = wfsim.Simulation(scenario("orders"))
    player = Player(simulation.log)
    assert player.step() is None
    record = simulation.step()
    assert player.step() == record
    simulation.run()
    player.seek(-1)
    assert player.state == simulation.log.fold()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ((99,), "no record 99 in a log of 2 records"),
        ((0.5,), r"0.5 is no index; for a time: seek\(time=...\)"),
        ((Record(0, 9.0, Kind.STEP_LOG),), "is not in this log"),
        ((Record(7, 9.0, Kind.STEP_LOG),), "is not in this log"),
    ],
)
def test_what_is_not_in_the_log_is_refused_by_name(asked, said):
    log = EventLog([Record(n, float(n), Kind.STEP_LOG) for n in range(2)])
    player = Player(log)
    player.seek(1)
    with pytest.raises(wfsim.UsageError, match=said):
        player.seek(*asked)
    assert player.position == 2


def test_a_record_and_a_time_at_once_are_refused(log):
    with pytest.raises(wfsim.UsageError, match="not both"):
        Player(log).seek(1, time=2.0)


def test_a_record_of_a_part_of_a_log_is_found_by_its_own_number(log):
    part = log[4:8]
    player = Player(part)
    assert player.seek(log[5]) == log[5]
    assert (player.position, player.seek(0)) == (2, log[4])


def test_the_run_at_a_record_about_none_is_the_newest_of_the_resource(log):
    player = Player(log)
    moved = log.filter(Kind.RESOURCE_STATE)[-1]
    player.seek(moved)
    assert player.memento.key == "1-Create"
    assert player.resource.state == "Running"


def test_a_record_about_no_resource_leaves_the_last_one_in_view(scenario):
    log = wfsim.simulate(
        scenario("orders", "users"), faults=[wfsim.CrashAt(t=3, restart_after=2)]
    )
    player = Player(log)
    before = player.seek(log.filter(Kind.FAULT_FIRED)[0].seq - 1)
    crashed = player.seek(log.filter(Kind.CONTROLLER_CRASHED)[0])
    assert crashed.resource == ""
    assert str(player.resource.key) == before.resource
    assert player.memento.key == before.run


def test_the_steps_show_where_each_of_them_stands(log):
    player = Player(log)
    player.seek(log.filter(Kind.STEP_FAILED)[0])
    assert [(s.name, s.status.value, s.attempts) for s in player.steps] == [
        ("Prepare", "completed", 1),
        ("Attach", "failed", 1),
    ]
    player.seek()
    assert player.steps == ()
    assert player.memento is None


def test_the_changes_are_what_the_record_wrote_anew(log):
    player = Player(log)
    player.seek(log.filter(Kind.STEP_STARTED, step="Attach")[0])
    changes = player.memento_changes
    assert Change("runningSteps.1.stepStatus", "prepared", "inited") in changes
    assert all(change.before != change.after for change in changes)
    assert "runningSteps.0.stepStatus" not in {change.path for change in changes}


def test_a_value_that_goes_away_is_a_change_too(log):
    player = Player(log)
    failed = log.filter(Kind.STEP_FAILED)[0]
    player.seek(log.filter(Kind.STEP_STARTED, step="Attach")[1])
    gone = next(c for c in player.memento_changes if c.path == "errorMessage")
    assert gone == Change("errorMessage", failed.value.error, None)


def test_a_record_that_wrote_no_memento_changed_none(log):
    player = Player(log)
    player.seek(log.filter(Kind.STEP_LOG)[0])
    assert player.memento_changes == ()


def test_the_state_graph_is_that_of_the_resource_in_view(log):
    player = Player(log)
    player.seek(0)
    assert ("Creating", "Running", "done", "Create") in player.edges
    assert EventLog([log[0]]).meta == {}
    assert Player(EventLog([log[0]])).edges == ()


def test_it_knows_which_controllers_are_up(scenario):
    faults = [wfsim.CrashAt(t=3, restart_after=2)]
    log = wfsim.simulate(scenario("orders"), faults=faults)
    player = Player(log)
    up = []
    while player.step():
        up.append(player.controllers)
    turns = [after for before, after in pairwise([(), *up]) if before != after]
    assert turns == [("controller-0",), (), ("controller-0",)]


def test_it_goes_to_the_next_and_the_previous_record_of_a_kind(log):
    player = Player(log)
    started = wfsim.step_started("Attach")
    first, second = log.filter(Kind.STEP_STARTED, step="Attach")
    assert [player.next(started), player.next(started)] == [first, second]
    assert player.next(started) is None
    assert player.record == second
    assert player.previous(started) == first
    assert player.previous(started) is None
    assert player.record == first


def test_a_page_of_it_fits_a_screen(scenario):
    steps = tuple(
        wfsim.Step(f"S{n}", duration=wfsim.Duration.parse(1.0)) for n in range(40)
    )
    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    long = wfsim.Scenario(
        resources=[wfsim.Resource("db", "orders", state="Creating")],
        machine=machine.unstable("Creating", run="Create"),
        flows=[wfsim.Flow("Create", steps)],
    )
    player = Player(wfsim.Simulation(long))
    assert player._repr_html_() == "<p><b>0 / 0</b> &nbsp; before the first record</p>"
    player = Player(wfsim.simulate(long))
    player.seek(player.log.filter(Kind.STEP_STARTED, step="S20")[0])
    page, _, folded = player._repr_html_().partition("<details>")
    assert page.count("<tr>") + page.count("<p>") <= 15
    assert "▸ S20" in page
    assert "<summary>all 40 steps</summary>" in folded
    assert folded.count("<tr>") == 41


def test_it_prints_where_it_stands(log):
    player = Player(log)
    assert repr(player) == f"<Player before the first of {len(log)} records>"
    player.step()
    assert repr(player) == f"<Player at 1 of {len(log)}: {log[0]}>"
