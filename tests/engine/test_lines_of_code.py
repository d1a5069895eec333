"""What goes wrong in a step is told with the file and the line of whoever wrote it."""

import json
import signal
import threading

import pytest

import wfsim
from wfsim.engine.effects import drives_all


def ending(body, name="Work"):
    """Return log and record that ends a run of *body*, which is tried once."""
    wfsim.step(name)(body)
    machine = wfsim.StateMachine("w").stable("Running", "Interrupt")
    scenario = wfsim.Scenario(
        [wfsim.Resource("w", "r")],
        machine.unstable("Creating", run="W"),
        [wfsim.Flow("W", (wfsim.Step(name),), retry=wfsim.Retry(limit=0))],
        [body],
    )
    log = wfsim.simulate(scenario)
    return log, next((each for each in log if each.kind == "run.interrupted"), None)


def line(body, after):
    code = getattr(body, "do_step", body).__code__
    return f"test_lines_of_code.py:{code.co_firstlineno + after}"


class Odd(Exception):
    def __str__(self):
        raise ValueError("no text")


def fails(ctx):
    yield from ctx.sleep(1)
    raise LookupError("no pod")


def fails_in_a_library(ctx):
    yield from ctx.sleep(1)
    json.loads("{")


def fails_oddly(ctx):
    yield from ctx.sleep(1)
    raise Odd


def yields_a_number(ctx):
    yield 30


def yields_nothing(ctx):
    yield None


def yields_an_effect(ctx):
    yield ctx.sleep(30)


def yields_a_helper(ctx):
    yield fails(ctx)


def stops_itself(ctx):
    yield from ctx.sleep(1)
    raise wfsim.Interrupted("SPLIT_BRAIN", "two leaders")


async def awaits_nothing(ctx):
    await ctx.sleep(1)
    await None


FAILURES = [
    (fails, 2, "LookupError: no pod"),
    (fails_in_a_library, 2, "JSONDecodeError: Expecting property name"),
    (fails_oddly, 2, "Odd: (its __str__ raises ValueError)"),
    (
        yields_a_number,
        1,
        "it yields 30, which is no event; write yield from ctx.sleep(30)",
    ),
    (yields_nothing, 1, "it yields nothing, and so waits for nothing; write yield from"),
    (yields_an_effect, 1, "it yields sleep(...), which is never begun; write yield from"),
    (yields_a_helper, 1, "it yields fails(...), which is never begun; write yield from"),
    (stops_itself, 2, "SPLIT_BRAIN: two leaders"),
    (awaits_nothing, 2, "TypeError: object NoneType can't be used in 'await' expression"),
]


def named(value):
    """Return what a test of *value* is called, in whatever process it is."""
    return getattr(value, "__name__", str(value))


@pytest.mark.parametrize(("body", "after", "text"), FAILURES, ids=named)
def test_a_failure_names_the_line_of_the_user(body, after, text):
    log, record = ending(body)
    assert text in record.text
    assert record.where == line(body, after)
    assert wfsim.tables.steps(log)["where"].tolist() == [record.where]
    assert record.where in str(record)
    assert record.where in wfsim.export.text_report(log)


def test_a_line_of_code_survives_the_file_of_a_log_and_is_not_in_its_digest(tmp_path):
    log, record = ending(fails)
    read = wfsim.EventLog.from_jsonl(log.to_jsonl(tmp_path / "log.jsonl"))
    assert [each.where for each in read if each.where] == [record.where]
    bare = wfsim.EventLog([each._replace(where="") for each in read], read.meta)
    assert bare.digest() == read.digest() == log.digest()


def forgets_a_sleep(ctx):
    yield from ctx.sleep(1)
    ctx.sleep(30)
    yield from ctx.sleep(1)


async def forgets_an_update(ctx):
    ctx.update(annotations={"a": "b"})
    await ctx.sleep(1)


def keeps_it_for_nothing(ctx):
    later = ctx.sleep(30)
    return {"later": str(later is None)}


def setup(ctx):
    ctx.sleep(30)


def forgets_in_a_helper(ctx):
    setup(ctx)
    yield from ctx.sleep(1)


class ForgetsInAMethod:
    def do_step(self, ctx):
        ctx.fetch()


def forgets_in_a_list(ctx):
    [ctx.sleep(number) for number in range(2)]


@pytest.mark.parametrize(
    ("body", "where", "method"),
    [
        (forgets_a_sleep, line(forgets_a_sleep, 2), "sleep"),
        (forgets_an_update, line(forgets_an_update, 1), "update"),
        (keeps_it_for_nothing, line(keeps_it_for_nothing, 1), "sleep"),
        (forgets_in_a_helper, line(setup, 1), "sleep"),
        (ForgetsInAMethod, line(ForgetsInAMethod, 1), "fetch"),
        (forgets_in_a_list, line(forgets_in_a_list, 1), "sleep"),
    ],
    ids=named,
)
def test_what_is_made_and_never_driven_fails_the_attempt(body, where, method):
    _, record = ending(body)
    assert f"ctx.{method}(...) was made and never driven" in record.text
    assert record.where == where


def drives_it_later(ctx):
    later = ctx.sleep(30)
    yield from later


def returns_it(ctx):
    return ctx.sleep(30)


def sleeps_beside(ctx):
    yield ctx.clock.process(ctx.sleep(30))


@pytest.mark.parametrize("body", [drives_it_later, returns_it, sleeps_beside])
def test_what_is_driven_in_another_way_is_driven(body):
    log, record = ending(body)
    assert record is None
    assert log.records[-1].time == 30.0


def waits_twice(ctx):
    yield from ctx.sleep(1)
    yield from ctx.update(annotations={"at": str(ctx.clock.now)})


async def awaits_twice(ctx):
    await ctx.sleep(1)
    await ctx.update(annotations={"at": str(ctx.clock.now)})


@pytest.mark.parametrize("body", [waits_twice, awaits_twice, fails])
def test_a_step_that_drives_all_that_it_makes_is_run_as_it_is(body):
    assert drives_all(body)


@pytest.mark.parametrize("body", [drives_it_later, forgets_in_a_helper, ForgetsInAMethod])
def test_a_step_of_which_that_cannot_be_read_is_watched(body):
    assert not drives_all(body)


def spins(ctx):
    yield from ctx.sleep(1)
    threading.Timer(0.05, signal.raise_signal, [signal.SIGINT]).start()
    while True:
        pass


def test_ctrl_c_fails_a_step_that_spins_at_its_line(monkeypatch):
    monkeypatch.setattr("wfsim.sim.terminal.PATIENCE", 0.05)
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    flow = wfsim.Flow("W", (wfsim.Step("Work"),), retry=wfsim.Retry(limit=0))
    scenario = wfsim.Scenario.of_flow(flow, steps=[wfsim.step("Work")(spins)])
    sim = wfsim.Simulation(scenario)
    try:
        with pytest.raises(KeyboardInterrupt):
            sim.run()
    finally:
        signal.signal(signal.SIGINT, usual)
    (record,) = sim.log.filter(wfsim.Kind.RUN_INTERRUPTED)
    assert "Halted: stopped by Ctrl-C in a step that did not end" in record.text
    assert record.where in (line(spins, 3), line(spins, 4))
    assert [each.state for each in sim.run().fold().resources.values()] == ["Interrupt"]


def test_a_check_that_raises_names_its_line_and_is_asked_less_and_less_often():
    def broken(resource):
        raise LookupError("no such pod")

    machine = wfsim.StateMachine("w").stable("Running", "Interrupt")
    scenario = wfsim.Scenario(
        [wfsim.Resource("w", "r", state="Running")],
        machine.transition("Running", "Busy", when=broken, run="W"),
        [wfsim.Flow("W", (wfsim.Step("Work"),))],
        [wfsim.step("Work")(waits_twice)],
        horizon=100,
    )
    failed = wfsim.simulate(scenario).filter(wfsim.Kind.CHECK_FAILED)
    assert [each.time for each in failed] == [0, 1, 3, 7, 15, 31, 63]
    assert {each.where for each in failed} == {line(broken, 1)}


def test_a_resource_in_a_state_that_its_machine_does_not_know_is_refused():
    machine = wfsim.StateMachine("w").stable("Running", "Interrupt")
    machine.unstable("Creating", run="W")
    with pytest.raises(wfsim.DefinitionError) as caught:
        wfsim.Scenario(
            [wfsim.Resource("w", "r", state="Runing")],
            machine,
            [wfsim.Flow("W", (wfsim.Step("Work"),))],
            [wfsim.step("Work")(waits_twice)],
        )
    assert str(caught.value) == "r: no state 'Runing'; did you mean 'Running'?"


def test_an_effect_that_is_made_and_kept_says_what_it_is_and_where_it_was_made():
    shown = []

    def keeps(ctx):
        effect = ctx.wait(ctx.clock.event()) if shown else ctx.sleep(1)
        shown.append(repr(effect))

    ending(keeps)
    assert shown == [f"<effect of ctx.sleep(...) made at {line(keeps, 1)}>"]
    ending(keeps)
    assert shown[1] == f"<effect of ctx.wait(...) made at {line(keeps, 1)}>"


class Waits:
    """A step that hands its work on to an object that can be called."""

    def __call__(self, ctx):
        yield from ctx.sleep(2)


waits = Waits()


def test_what_an_object_that_is_called_does_is_read_as_well():
    def Work(ctx):
        yield from waits(ctx)

    log, interrupted = ending(Work)
    assert interrupted is None
    assert log.records[-1].time == 2.0
