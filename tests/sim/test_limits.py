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


@pytest.mark.parametrize("seconds", [0, 1e-12, 1e-9])
def test_a_step_that_sleeps_for_no_time_over_and_over_is_named(seconds, monkeypatch):
    monkeypatch.setattr("wfsim.sim.simulation.MAX_IDLE", 1 << 15)

    @wfsim.step
    def Spin(ctx):
        while True:
            yield from ctx.sleep(seconds)

    text = "step 'Spin' of resource-0 1-F sleeps for no time, over and over"
    with pytest.raises(UsageError, match=text):
        wfsim.simulate(Scenario.of_flow(Flow("F", (Step("Spin"),)), steps=[Spin]))


def test_a_step_that_writes_or_reads_over_and_over_in_no_time_is_named(monkeypatch):
    monkeypatch.setattr("wfsim.engine.context.MOST_AT_ONCE", 50)

    @wfsim.step
    def Write(ctx):
        while True:
            yield from ctx.update(status={"n": ctx.resource.status.get("n", 0) + 1})

    @wfsim.step
    def Read(ctx):
        while "ready" not in ctx.resource.status:
            yield from ctx.fetch()

    @wfsim.step
    def Tell(ctx):
        yield from ctx.sleep(1)
        while True:
            ctx.log("still here")

    for body, deed in ((Write, "written"), (Read, "fetched"), (Tell, "logged")):
        step = Step(body.__name__, retry=Retry(limit=0))
        log = wfsim.simulate(Scenario.of_flow(Flow("F", (step,)), steps=[body]))
        (ended,) = log.filter(Kind.RUN_INTERRUPTED)
        assert f"step {body.__name__!r} of resource-0 1-F has {deed}" in ended.text
        assert "without time passing; let it take time: ctx.sleep(seconds)" in ended.text


def test_a_step_that_writes_often_while_time_passes_is_left_alone(monkeypatch):
    monkeypatch.setattr("wfsim.engine.context.MOST_AT_ONCE", 50)

    @wfsim.step
    def Write(ctx):
        for number in range(200):
            yield from ctx.update(status={"n": number})
            yield from ctx.sleep(0.01)

    made = Scenario.of_flow(Flow("F", (Step("Write"),)), steps=[Write])
    assert wfsim.tables.runs(wfsim.simulate(made))["status"].tolist() == ["completed"]


class Ticking(wfsim.World):
    def begin(self):
        self.later(0.0, "begin")


@pytest.mark.parametrize("go", ["run", "step", "until"])
def test_a_world_in_which_something_is_due_again_and_again_is_named(go, monkeypatch):
    monkeypatch.setattr("wfsim.sim.simulation.MAX_IDLE", 1 << 15)

    @wfsim.step
    def Begin(ctx):
        ctx.world.begin()
        yield from ctx.sleep(1)

    made = Scenario.of_flow(Flow("F", (Step("Begin"),)), steps=[Begin])
    sim = Simulation(made.but(world=Ticking))
    until = wfsim.step_completed("Begin") if go == "until" else None
    steps = iter(sim.step, None)
    with pytest.raises(UsageError, match="the world's 'begin' is due again and again"):
        list(steps) if go == "step" else sim.run(until=until)


def test_so_many_records_in_no_time_are_named(monkeypatch):
    monkeypatch.setattr("wfsim.sim.standstill.MAX_AT_ONCE", 1000)
    monkeypatch.setattr("wfsim.sim.simulation.EVENTS", 64)
    flow = Flow("F", tuple(Step(f"S{number}", duration=0) for number in range(2000)))
    with pytest.raises(UsageError, match="records at 0 s without time passing, the last"):
        wfsim.simulate(Scenario.of_flow(flow))


def test_flows_that_start_each_other_in_no_time_are_named():
    flow = Flow("F", (Step("Again", child="F", waits=False),))
    sim = Simulation(Scenario(flows=[flow], policy=wfsim.Policy(watch_tick=0)))
    sim.service.begin("F")
    sim.run()
    (error,) = {each.error for each in sim.service.list(status="Stopped").flows}
    assert "flow 'F' was started 100 times in no time, each by the one before" in error


def test_a_finalizer_that_fails_at_once_is_named():
    def release(ctx):
        raise OSError("in use")

    machine = StateMachine("db").stable("Running", "Interrupt")
    machine.finalizer("volume", release)
    resource = Resource("db", "orders", state="Running", finalizers=("volume",))
    policy = wfsim.Policy(redrive=Retry(delay=0))
    sim = Simulation(Scenario([resource], machine, [], policy=policy))
    sim.delete("orders")
    with pytest.raises(UsageError, match="its finalizer 'volume' fails, and is called"):
        sim.run()


ONE = Flow("F", (Step("A", duration=1),))


def test_checks_that_lead_to_and_fro_are_named():
    machine = StateMachine("db").stable("A", "B", "Interrupt")
    machine.transition("A", "B", when=lambda resource: True)
    machine.transition("B", "A", when=lambda resource: True)
    machine.unstable("Creating", run="F", then="A")
    made = Scenario([Resource("db", "orders", state="A")], machine, [ONE])
    with pytest.raises(UsageError, match="checks move it on, last to 'A' because of 'A'"):
        wfsim.simulate(made)


def test_a_look_at_a_flow_each_no_seconds_is_one_at_once_and_nan_is_refused():
    waits = {}

    @wfsim.step
    def Call(ctx):
        child = yield from ctx.flows.start("Child")
        yield from ctx.flows.wait(child, every=waits["every"])

    flows = [Flow("F", (Step("Call"),)), Flow("Child", (Step("A", duration=50),))]
    for waits["every"], end in ((0, "Finished"), (float("nan"), "Error")):
        sim = Simulation(Scenario(flows=flows, steps=[Call]))
        flow = sim.service.begin("F")
        sim.run()
        assert sim.service.detail(flow).status == end
    assert "every of flows.wait()" in sim.service.detail(flow).info.error


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


class Odd(Exception):
    """What no store keeps."""


ODD = [float("nan"), 10**5000, "\ud800", {1: 2}, {"a": {1}}, b"x", Odd(), "x" * 1_100_000]


@pytest.mark.parametrize("in_file", [False, True])
@pytest.mark.parametrize("part", ["spec", "status", "annotations"])
@pytest.mark.parametrize("odd", ODD, ids=[str(type(each).__name__) for each in ODD])
def test_what_a_step_writes_is_refused_alike_in_memory_and_in_a_file(
    odd, part, in_file, tmp_path
):
    @wfsim.step
    def Write(ctx):
        yield from ctx.update(**{part: {"k": odd}})

    flow = Flow("F", (Step("Write", retry=Retry(limit=0)),))
    file = tmp_path / "runs.db" if in_file else None
    sim = Simulation(Scenario.of_flow(flow, steps=[Write]), db=file)
    sim.run()
    (ended,) = sim.log.filter(Kind.RUN_INTERRUPTED)
    assert "err:[step Write fail: StoreError: resource-0" in ended.text
    with pytest.raises(wfsim.WfsimError):
        sim.edit(**{part: {"k": odd}})


@pytest.mark.parametrize("odd", [5, True, ("a", "b")])
def test_an_annotation_is_a_text(odd):
    sim = Simulation(slow())
    with pytest.raises(UsageError, match=r"the annotation .k. is .*; give a text"):
        sim.edit(annotations={"k": odd})
    with pytest.raises(wfsim.DefinitionError, match="the annotation 'k' is"):
        slow(resources=[Resource("resource", "r", annotations={"k": odd})])


@pytest.mark.parametrize("in_file", [False, True])
def test_what_a_run_is_to_begin_with_is_refused_alike(in_file, tmp_path):
    def check(resource):
        return wfsim.Event("large", {"text": "x" * 1_100_000})

    machine = StateMachine("db").stable("Running", "Interrupt")
    machine.transition("Running", "Adding", when=check, run="F")
    scenario = Scenario(
        [Resource("db", "orders", state="Running")],
        machine,
        [Flow("F", (Step("A", duration=1),))],
        horizon=60,
    )
    sim = Simulation(scenario, db=tmp_path / "runs.db" if in_file else None)
    log = sim.run()
    assert not log.filter(Kind.RUN_CREATED)
    assert "the ConfigMap of orders would have" in log.filter(Kind.CHECK_FAILED)[0].text


@pytest.mark.parametrize("in_file", [False, True])
def test_a_flow_that_is_asked_for_with_too_much_is_refused(in_file, tmp_path):
    scenario = Scenario(flows=[Flow("F", (Step("A", duration=1),))])
    sim = Simulation(scenario, db=tmp_path / "runs.db" if in_file else None)
    large = {"text": "x" * 1_100_000}
    with pytest.raises(wfsim.errors.ServiceError, match="1048576 are kept") as error:
        sim.service.create("c", "cluster", "F", context=large)
    assert error.value.code == 10001
    made = sim.service.create("c", "cluster", "F")
    with pytest.raises(wfsim.errors.ServiceError, match="1048576 are kept"):
        sim.service.init_context(made, "more", large)


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
