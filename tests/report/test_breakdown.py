"""Where the time of runs goes: the parts, the steps, and how busy the workers are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wfsim
from tests.properties.test_service import DEEDS, act
from tests.properties.test_service import scenario as service
from tests.report.conftest import scenario as backups
from tests.sizes import FULL
from tests.tiem.begun import asked_for, simulation
from wfsim import Kind, Policy, Retry, tables
from wfsim.report.breakdown import PARTS
from wfsim.report.load import average
from wfsim.types import Record

if TYPE_CHECKING:
    import pandas as pd

TIMES = st.floats(0.0, 200.0, allow_nan=False)
STEP = st.sampled_from(["TakeSnapshot", "CopyAway", "Verify"])
NAME = st.sampled_from(["db-0", "db-1", None])
FAULTS = st.one_of(
    st.builds(wfsim.CrashAt, t=TIMES, restart_after=st.floats(0.0, 60.0)),
    st.builds(wfsim.CrashAt, write=st.integers(1, 30), restart_after=st.just(7.0)),
    st.builds(wfsim.FailStep, STEP, times=st.integers(1, 5), resource=NAME),
    st.builds(wfsim.FailStep, STEP, after=st.just(True), resource=NAME),
    st.builds(wfsim.DelayStep, STEP, by=st.floats(0.5, 90.0)),
    st.builds(wfsim.InterruptStep, STEP, resource=NAME),
    st.builds(wfsim.CancelAt, t=TIMES, resource=NAME),
    st.builds(wfsim.PauseController, t=TIMES, for_=st.floats(0.5, 60.0)),
    st.builds(wfsim.StaleRead, t=TIMES, for_=st.floats(0.5, 60.0)),
    st.builds(wfsim.ApiDown, t=TIMES, for_=st.floats(0.5, 60.0)),
    st.builds(wfsim.FailSave, write=st.integers(1, 30), applied=st.booleans()),
    st.builds(
        wfsim.EditAt, t=TIMES, resource=st.sampled_from(["db-0", "db-1"]),
        annotations=st.just({"interrupt.recover": "T"}),
    ),
)  # fmt: skip


def rows(frame: pd.DataFrame, *columns: str) -> list[tuple[object, ...]]:
    chosen = frame[list(columns)] if columns else frame
    return [
        tuple(round(value, 6) if isinstance(value, float) else value for value in row)
        for row in chosen.itertuples(index=False, name=None)
    ]


@settings(deadline=None, derandomize=True, max_examples=120 if FULL else 40)
@given(
    st.lists(FAULTS, max_size=5),
    st.integers(1, 3),
    st.integers(1, 2),
    st.integers(1, 2),
    st.integers(0, 120),
)
def test_the_parts_of_a_run_sum_to_all_of_its_time(
    faults, resources, workers, controllers, cut
):
    names = tuple(f"db-{number}" for number in range(resources))
    faults = [f for f in faults if getattr(f, "resource", None) in (None, *names)]
    policy = Policy(workers=workers, retry=Retry(limit=2, delay=3.0))
    fleet = backups(names, policy=policy)
    whole = wfsim.simulate(fleet, faults=faults, controllers=controllers)
    for log in (whole, whole[:cut], whole[cut:]):
        sums_up(log, crashed=any(isinstance(fault, wfsim.CrashAt) for fault in faults))


def sums_up(log, crashed):
    runs, parts = tables.runs(log), tables.breakdown(log)
    assert list(parts["run"]) == list(runs["run"])
    assert list(parts["resource"]) == list(runs["resource"])
    left = (parts[list(PARTS)].sum(axis=1) - parts["duration"]).abs()
    assert (left <= 1e-9).all()
    assert (parts[list(PARTS)] >= 0.0).all(axis=None)
    known = runs["duration"].notna()
    assert (parts["duration"] >= runs["duration"] - 1e-9)[known].all()
    steps = tables.critical(log)
    assert (steps.groupby("flow")["share"].sum() <= 1.0 + 1e-9).all()
    load = tables.utilisation(log)
    assert (load[["busy", "queue"]] >= 0).all(axis=None)
    assert (load["duration"] > 0.0).all()
    assert list(load["start"])[1:] == list(load["end"])[:-1]
    # What waits, summed over time, is what each waited, summed over runs.
    waited = float((load["queue"] * load["duration"]).sum())
    if not crashed:
        assert waited == pytest.approx(float(parts["queued"].sum()))
    assert waited >= float(parts["queued"].sum()) - 1e-6


@settings(deadline=None, derandomize=True, max_examples=40 if FULL else 15)
@given(
    st.lists(
        st.tuples(st.sampled_from([0, 0.5, 5, 7, 11]), st.sampled_from(DEEDS)), max_size=6
    ),
    st.sampled_from([0.0, 0.3]),
    st.sampled_from([1, None]),
    st.sampled_from([0.0, 5.0]),
    st.integers(0, 60),
)
def test_the_parts_of_a_flow_of_a_service_sum_up_whatever_is_asked_of_it(
    deeds, fails, nodes, tick, cut
):
    policy = Policy.service(nodes_per_tick=nodes, watch_tick=tick)
    takes = {"A": 3, "B": 5}
    sim = wfsim.Simulation(service(policy, takes, fails, {}))
    flow = sim.service.create("c1", "cluster", "W")
    sim.service.start(flow)
    for pause, deed in deeds:
        sim.run(for_=pause)
        act(sim, deed, flow)
    sim.run()
    for log in (sim.log, sim.log[:cut], sim.log[cut:]):
        sums_up(log, crashed=any(deed == "crash" for _, deed in deeds))


def test_a_crash_is_recovery_and_a_pause_belongs_to_the_retry(crashed):
    assert rows(tables.breakdown(crashed), "run", *PARTS, "duration") == [
        ("1-NightlyBackup", 0.0, 0.0, 55.0, 2.0, 20.0, 0.0, 0.0, 77.0)
    ]


def test_a_run_is_queued_while_the_only_worker_is_at_another(scenario):
    log = wfsim.simulate(scenario(("a", "b", "c"), policy=Policy(workers=1)))
    assert rows(tables.breakdown(log), "resource", "queued", "steps", "duration") == [
        ("a", 0.0, 55.0, 55.0),
        ("b", 55.0, 55.0, 110.0),
        ("c", 110.0, 55.0, 165.0),
    ]
    assert rows(tables.utilisation(log), "name", "start", "end", "busy", "queue") == [
        ("workers", 0.0, 55.0, 1, 2),
        ("workers", 55.0, 110.0, 1, 1),
        ("workers", 110.0, 165.0, 1, 0),
    ]


def test_after_its_pause_a_failed_step_is_queued_if_nobody_takes_it_up(scenario):
    """The first fails at 50 s; its pause ends at 51 s, its worker is free at 105 s."""
    faults = [wfsim.FailStep("Verify", resource="a")]
    log = wfsim.simulate(scenario(("a", "b"), policy=Policy(workers=1)), faults=faults)
    assert rows(tables.breakdown(log), "resource", "queued", "retries", "duration") == [
        ("a", 54.0, 1.0, 110.0),
        ("b", 50.0, 0.0, 105.0),
    ]


def test_a_run_is_recovering_from_its_interruption_until_an_operator_says_go_on(scenario):
    faults = [
        wfsim.InterruptStep("Verify"),
        wfsim.EditAt(
            t=80.0, resource="orders", annotations={"interrupt.recover": "T"}
        ),
    ]  # fmt: skip
    log = wfsim.simulate(scenario(), faults=faults)
    assert rows(tables.breakdown(log), *PARTS, "duration") == [
        (0.0, 0.0, 55.0, 0.0, 30.0, 0.0, 0.0, 85.0)
    ]


def test_the_time_without_a_controller_is_recovery_wherever_a_run_stands(scenario):
    faults = [wfsim.CrashAt(t=10.0, restart_after=25.0)]
    log = wfsim.simulate(scenario(("a", "b"), policy=Policy(workers=1)), faults=faults)
    assert rows(
        tables.breakdown(log), "resource", "queued", "steps", "recovery", "duration"
    ) == [("a", 0.0, 55.0, 35.0, 90.0), ("b", 120.0 - 55.0, 55.0, 25.0, 145.0)]


def test_a_run_that_the_api_holds_up_is_recovering_not_queued(scenario):
    """At 65 s `a` gives up to write, and `b` is taken up, in vain; it begins at 77 s."""
    faults = [wfsim.ApiDown(t=52.0, for_=20.0)]
    log = wfsim.simulate(scenario(("a", "b"), policy=Policy(workers=1)), faults=faults)
    assert rows(tables.breakdown(log), "resource", "queued", "steps", "recovery") == [
        ("a", 0.0, 55.0, 22.0),
        ("b", 65.0, 55.0, 12.0),
    ]


def test_until_another_controller_has_the_lease_a_run_is_recovering(scenario):
    """The lease that was renewed at 40 s lapses 15 s later."""
    crash = wfsim.CrashAt(t=40.0, controller="controller-1")
    log = wfsim.simulate(scenario(), faults=[crash], controllers=2)
    assert rows(tables.breakdown(log), "steps", "recovery", "duration") == [
        (55.0, 25.0, 80.0)
    ]


def test_a_step_that_is_polled_waits_and_a_service_is_queued_until_its_tick():
    run = asked_for(simulation(), "StopCluster").ended()
    table = tables.breakdown(run.sim.log)
    assert rows(table, "run", *PARTS, "duration") == [
        ("1-StopCluster", 16.182083, 0.0, 0.817917, 0.0, 0.0, 18.0, 0.0, 35.0)
    ]


def test_a_run_that_no_one_has_begun_is_queued_from_when_its_state_was_entered(scenario):
    log = wfsim.simulate(scenario(("a", "b"), policy=Policy(workers=1)))
    begun = log.filter(Kind.RUN_CREATED, resource="b")[0].seq
    assert rows(tables.breakdown(log[: begun + 1]), "resource", "queued", "duration") == [
        ("a", 0.0, 55.0),
        ("b", 55.0, 55.0),
    ]


def test_the_critical_step_is_the_one_that_runs_spend_most_time_in(crashed):
    assert rows(tables.critical(crashed)) == [
        ("NightlyBackup", "TakeSnapshot", 1, 30.0, 0.0, 0.38961, 0.38961, False),
        ("NightlyBackup", "CopyAway", 1, 40.0, 0.0, 0.519481, 0.519481, True),
        ("NightlyBackup", "Verify", 1, 7.0, 0.0, 0.090909, 0.090909, False),
    ]


def test_the_slowest_runs_may_have_another_critical_step(scenario):
    faults = [wfsim.DelayStep("Verify", by=300.0, resource="b")]
    log = wfsim.simulate(scenario(("a", "b", "c", "d", "e")), faults=faults)
    assert rows(tables.critical(log), "step", "mean", "share", "tail", "bottleneck") == [
        ("TakeSnapshot", 30.0, 0.26087, 0.084507, False),
        ("CopyAway", 20.0, 0.173913, 0.056338, False),
        ("Verify", 65.0, 0.565217, 0.859155, True),
    ]


def test_a_step_that_takes_no_time_is_listed_all_the_same():
    log = wfsim.EventLog(
        [
            Record(0, 0.0, Kind.RUN_CREATED, "db", "1-F", "F"),
            Record(1, 0.0, Kind.STEP_STARTED, "db", "1-F", "F", "A", 1),
            Record(2, 0.0, Kind.STEP_COMPLETED, "db", "1-F", "F", "A", 1),
            Record(3, 0.0, Kind.RUN_COMPLETED, "db", "1-F", "F"),
        ]
    )
    assert rows(tables.critical(log)) == [("F", "A", 1, 0.0, 0.0, 0.0, 0.0, False)]
    assert tables.utilisation(log).empty
    assert math.isnan(average(tables.utilisation(log), "workers", "busy"))


def test_the_average_load_is_that_of_the_pieces(scenario):
    log = wfsim.simulate(scenario(("a", "b", "c"), policy=Policy(workers=1)))
    load = tables.utilisation(log)
    assert average(load, "workers", "busy") == 1.0
    assert average(load, "workers", "queue") == pytest.approx((2 + 1 + 0) / 3)


class Uplink(wfsim.World):
    def __init__(self):
        super().__init__()
        self.uplink = wfsim.Pool(2)
        self.workers = wfsim.Pool(5)


def test_a_pool_is_told_of_beside_the_workers():
    """Three copies of 10 s by two uplinks, started at once."""

    @wfsim.step
    def Copy(ctx):
        yield from ctx.world.uplink.hold(ctx, 10.0)
        yield from ctx.world.workers.hold(ctx, 5.0)

    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    machine.unstable("Creating", run="Backup")
    log = wfsim.simulate(
        wfsim.Scenario(
            [wfsim.Resource("db", name) for name in "abc"],
            machine,
            [wfsim.Flow("Backup", (wfsim.Step("Copy"),))],
            [Copy],
            world=Uplink,
        )
    )
    assert rows(tables.utilisation(log).fillna(-1.0)) == [
        ("workers", 0.0, 15.0, 15.0, 3, 0, -1.0),
        ("workers", 15.0, 25.0, 10.0, 1, 0, -1.0),
        ("uplink", 0.0, 10.0, 10.0, 2, 1, 2.0),
        ("uplink", 10.0, 20.0, 10.0, 1, 0, 2.0),
        ("uplink", 20.0, 25.0, 5.0, 0, 0, 2.0),
        ("pool workers", 0.0, 10.0, 10.0, 0, 0, 5.0),
        ("pool workers", 10.0, 15.0, 5.0, 2, 0, 5.0),
        ("pool workers", 15.0, 20.0, 5.0, 0, 0, 5.0),
        ("pool workers", 20.0, 25.0, 5.0, 1, 0, 5.0),
    ]
    assert wfsim.charts.utilisation(log).sentence == (
        "Utilisation over 25.0 s: workers 2.2 on average, 3 at most; uplink 1.2 of 2 on "
        "average (60.0%), 2 at most, all busy 40.0% of the time; pool workers 0.6 of 5 "
        "on average (12.0%), 2 at most, all busy 0.0% of the time."
    )
    assert wfsim.charts.queue(log).sentence == (
        "Queue over 25.0 s: no run waited for a worker; 0.4 requests waited for uplink "
        "on average, 1 at most, some 40.0% of the time; no request waited for pool "
        "workers."
    )


def test_a_log_without_records_has_the_same_columns_and_dtypes(empty, crashed):
    for table in (tables.breakdown, tables.critical, tables.utilisation):
        assert table(empty).empty
        assert list(table(empty).dtypes) == list(table(crashed).dtypes)
        assert list(table(empty).columns) == list(table(crashed).columns)
