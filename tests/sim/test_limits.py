"""What a run is cut off by, and what stops one that would never end."""

from pathlib import Path

import pytest

import wfsim
from wfsim import (
    CrashAt,
    Duration,
    Flow,
    Resource,
    Retry,
    Scenario,
    Simulation,
    StateMachine,
    Step,
    UsageError,
    Waiting,
)
from wfsim.model.record import Kind


def slow(**more):
    flow = Flow("F", (Step("A", duration=Duration.parse(100)),))
    return Scenario.of_flow(flow).but(**more)


def test_a_simulation_and_its_log_say_that_the_horizon_cut_them_off():
    sim = Simulation(slow(horizon=60))
    assert not sim.is_cut_off
    log = sim.run()
    assert sim.is_cut_off
    assert log.is_cut_off
    assert str(sim).endswith("records, cut off by the horizon>")
    assert ", cut off by the horizon, digest " in repr(log)


def test_what_has_ended_or_goes_on_is_not_cut_off():
    sim = Simulation(slow())
    sim.run(until=50)
    assert not sim.is_cut_off
    log = sim.run()
    assert not log.is_cut_off
    assert "cut off" not in repr(sim) + repr(log)


def test_a_log_that_was_read_does_not_know(tmp_path):
    log = wfsim.simulate(slow(horizon=60))
    assert not log[:3].is_cut_off


def test_a_simulation_can_be_taken_from_event_to_event():
    sim = Simulation(slow())
    sim.begin()
    assert [str(record.kind) for record in sim.log] == [
        "resource.created",
        "controller.started",
    ]
    while sim.advance(50.0):
        pass
    assert [record.kind for record in sim.log][-1] == "step.started"


def test_retries_without_a_delay_are_named_when_they_never_end():
    step = Step(
        "A", duration=Duration.parse(0), failure=1.0, retry=Retry(limit=2000, delay=0)
    )
    with pytest.raises(UsageError) as error:
        wfsim.simulate(Scenario.of_flow(Flow("F", (step,))))
    assert "step 'A' has failed 1000 times and is retried without a delay" in str(
        error.value
    )


@pytest.mark.parametrize("after", [0, 1e-9])
def test_waits_for_no_time_are_named_when_they_never_end(after):
    @wfsim.step
    def Ask(ctx):
        raise Waiting(after)

    with pytest.raises(UsageError, match="step 'Ask' waits and is asked again at once"):
        wfsim.simulate(Scenario.of_flow(Flow("F", (Step("Ask"),)), steps=[Ask]))


@pytest.mark.parametrize("seconds", [0, 1e-12])
def test_a_step_that_sleeps_for_no_time_over_and_over_is_named(seconds, monkeypatch):
    monkeypatch.setattr("wfsim.sim.simulation.MAX_IDLE", 1 << 15)

    @wfsim.step
    def Spin(ctx):
        while True:
            yield from ctx.sleep(seconds)

    text = "step 'Spin' of resource-0 1-F sleeps for no time, over and over"
    with pytest.raises(UsageError, match=text):
        wfsim.simulate(Scenario.of_flow(Flow("F", (Step("Spin"),)), steps=[Spin]))


@pytest.mark.parametrize(
    "take",
    [
        Path.unlink,
        lambda file: file.rename(file.with_name("gone.db")),
        lambda file: file.write_bytes(b""),
    ],
)
def test_a_file_that_is_taken_away_is_an_error_at_once(tmp_path, take):
    file = tmp_path / "runs.db"
    sim = Simulation(slow(), db=file)
    sim.run(until=10)
    take(file)
    with pytest.raises(UsageError, match="has been taken away"):
        sim.run()
    assert sim.now == 100


def test_a_full_disk_is_an_error_at_once_with_its_cure(tmp_path):
    sim = Simulation(slow(), db=tmp_path / "runs.db")
    sim.run(until=10)
    connection = sim.database._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(UsageError, match="full; make room on the disk"):
        sim.edit(spec={"text": "x" * 100_000})


def dumping(size, **more):
    @wfsim.step
    def Dump(ctx):
        yield from ctx.sleep(1)
        return {"report": "x" * size}

    step = Step("Dump", retry=Retry(limit=0))
    return Scenario.of_flow(Flow("F", (step, Step("Next"))), steps=[Dump])


@pytest.mark.parametrize("faults", [(), [CrashAt(t=3, restart_after=1)]])
@pytest.mark.parametrize("in_file", [False, True])
def test_an_output_beyond_a_config_map_is_refused_when_it_is_written(
    faults, in_file, tmp_path
):
    file = tmp_path / "runs.db" if in_file else None
    sim = Simulation(dumping(1_100_000), faults=faults, db=file)
    sim.run()
    (ended,) = sim.log.filter(Kind.RUN_INTERRUPTED)
    assert "err:[step Dump fail: StoreError: the ConfigMap" in ended.text
    assert "Too long: must have at most 1048576 bytes" in ended.text


@pytest.mark.parametrize("in_file", [False, True])
def test_an_output_that_just_fits_is_kept(in_file, tmp_path):
    file = tmp_path / "runs.db" if in_file else None
    sim = Simulation(dumping(1_000_000), db=file)
    sim.run(until=3)
    assert sim.resource().state == "Running"


def test_all_runs_of_a_resource_share_one_config_map():
    machine = StateMachine("db").stable("Running", "Interrupt")
    machine.transition("Running", "Backup", when=lambda r: r.spec["n"] > 0, run="F")
    seen = []

    @wfsim.step
    def Dump(ctx):
        seen.append(1)
        yield from ctx.sleep(1)
        return {"report": "x" * 300_000}

    step = Step("Dump", retry=Retry(limit=0))
    made = Scenario(
        resources=[Resource("db", "o", state="Running", spec={"n": 1})],
        machine=machine,
        flows=[Flow("F", (step,))],
        steps=[Dump],
    )
    sim = Simulation(made)
    sim.run()
    assert len(seen) == 4
    (ended,) = sim.log.filter(Kind.RUN_INTERRUPTED)
    assert "must have at most 1048576 bytes; its 4 runs have 90" in ended.text


@pytest.mark.parametrize("number", [10**5000, -(10**400), 2**1024], ids="abc")
def test_an_integer_that_json_cannot_hold_is_refused_when_the_step_is_done(number):
    @wfsim.step
    def A(ctx):
        return {"n": [number]}

    step = Step("A", retry=Retry(limit=0))
    log = wfsim.simulate(Scenario.of_flow(Flow("F", (step,)), steps=[A]))
    (ended,) = log.filter(Kind.RUN_INTERRUPTED)
    assert "step 'A' returned what JSON cannot hold: an integer of " in ended.text


def test_what_is_not_interrupted_cannot_be_recovered():
    sim = Simulation(slow())
    sim.run(until=10)
    with pytest.raises(UsageError, match="is in state '', not interrupted"):
        sim.recover()
    assert "interrupt.recover" not in sim.resource().annotations
