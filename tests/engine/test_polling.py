"""A step that launches an operation, and looks at it until it is over."""

from __future__ import annotations

import pytest

import wfsim
from tests.changes import many
from wfsim import CancelAt, CrashAt, Flow, Interrupted, Kind, Polling, Simulation, Step
from wfsim.errors import PollError  # fmt: skip


class Cloud(wfsim.World):
    """Operations that take *length* seconds; a look in *bad* comes to nothing."""

    def __init__(self, length=7.0, bad=(), fails=False):
        super().__init__()
        self.length, self.bad, self.fails = length, bad, fails
        self.looks, self.due = [], {}

    def launch(self):
        name = f"op-{len(self.due)}"
        self.due[name] = self.clock.now + self.length
        return name

    def poll(self, operation):
        self.looks.append(self.clock.now)
        if len(self.looks) in self.bad:
            raise PollError("half a file")
        if self.clock.now < self.due[operation]:
            return None
        if self.fails:
            raise OSError("exit 1")
        return {"result": "operation finished"}


def Launch(ctx):
    yield from ctx.sleep(1)
    return {"operation": ctx.world.launch(), "host": "h1"}


def Fail(ctx):
    return None


def polled(scenario, polling=None, launch=Launch, **cloud):
    step = Step("Launch", polling=polling or Polling(), on_failure="Fail")
    flow = Flow("Build", (step, Step("Fail")))
    return scenario(launch, Fail, flow=flow, world=lambda: Cloud(**cloud))


def test_the_first_look_is_one_interval_after_the_launch(scenario, rows):
    simulation = Simulation(polled(scenario))
    assert rows(simulation.run()) == [
        (0.0, "run.created", "1-Build"),
        (0.0, "step.started", "Launch"),
        (1.0, "step.waiting", "Launch"),
        (10.0, "step.completed", "Launch"),
        (10.0, "run.completed", "1-Build"),
        (10.0, "resource.state", "-> Running"),
    ]
    assert simulation.world.looks == [4.0, 7.0, 10.0]
    step = simulation.mementos()[-1].steps[0]
    assert step.operation == "op-0"
    assert step.output == {"host": "h1", "result": "operation finished"}


def test_the_operation_is_durable_before_the_first_look(scenario):
    simulation = Simulation(polled(scenario))
    simulation.run(until=2.0)
    run = simulation.mementos()[-1]
    again = wfsim.Memento.from_json(run.key, run.to_json(), kind="db")
    assert again.steps[0].operation == "op-0"
    assert simulation.world.looks == []


@pytest.mark.parametrize("returned", [None, {}, {"host": "h1"}])
def test_a_step_that_launches_nothing_is_over_at_once(scenario, body, returned):
    simulation = Simulation(polled(scenario, launch=body("Launch", returned)))
    simulation.run()
    assert simulation.mementos()[-1].finished == 1.0
    assert simulation.world.looks == []


def test_after_a_restart_the_looks_go_on_and_nothing_is_launched_again(scenario):
    crash = CrashAt(t=5.0, restart_after=3.5)
    simulation = Simulation(polled(scenario, length=20.0), faults=[crash])
    log = simulation.run()
    assert list(simulation.world.due) == ["op-0"]
    assert simulation.world.looks == [4.0, 10.0, 13.0, 16.0, 19.0, 22.0]
    assert [record.attempt for record in log.filter(Kind.STEP_STARTED)] == [1]


def test_an_operation_that_failed_fails_the_step(scenario, rows):
    log = wfsim.simulate(polled(scenario, fails=True))
    assert rows(log, "step.", "run.f") == [
        (0.0, "step.started", "Launch"),
        (1.0, "step.waiting", "Launch"),
        (10.0, "step.failed", "step Launch fail: OSError: exit 1"),
        (10.0, "step.started", "Fail"),
        (10.0, "step.completed", "Fail"),
        (10.0, "run.failed", "step Launch fail: OSError: exit 1"),
    ]


@pytest.mark.parametrize(
    ("bad", "status"),
    [((), "completed"), ((1, 3), "completed"), ((2,), "completed"), ((1, 2), "error")],
)
def test_so_many_looks_in_a_row_may_come_to_nothing_as_the_step_tolerates(
    scenario, bad, status
):
    simulation = Simulation(polled(scenario, Polling(tolerated_errors=1), bad=bad))
    simulation.run()
    assert simulation.mementos()[-1].status.value == status


def test_the_first_bad_look_fails_the_step_by_default(scenario, rows):
    log = wfsim.simulate(polled(scenario, bad=(1,)))
    (failed,) = log.filter(Kind.STEP_FAILED)
    assert (failed.time, failed.text) == (
        4.0, "step Launch fail: [9995]task failed\thalf a file",
    )  # fmt: skip


def test_an_operation_that_outlasts_the_limit_is_error_40105(scenario):
    log = wfsim.simulate(polled(scenario, Polling(limit=2), length=100.0))
    (failed,) = log.filter(Kind.STEP_FAILED)
    assert (failed.time, failed.text) == (
        10.0,
        "step Launch fail: [40105]workflow node polling time out\top-0 is "
        "under way after 2 polls",
    )


def test_a_restart_does_not_put_the_limit_off(scenario):
    crash = CrashAt(t=5.0, restart_after=20.0)
    log = wfsim.simulate(polled(scenario, Polling(limit=2), length=100.0), [crash])
    (failed,) = log.filter(Kind.STEP_FAILED)
    assert failed.time == 25.0


def test_a_cancel_reaches_the_looks(scenario, rows):
    log = wfsim.simulate(polled(scenario, length=1000.0), [CancelAt(t=11.0)])
    assert rows(log, "step.", "run.ca")[2:] == [
        (15.0, "step.cancelled", "the resource was cancelled"),
        (15.0, "run.cancelled", "CANCELLED: the resource was cancelled"),
    ]


def test_a_function_says_how_to_look_at_what_it_launches(scenario):
    @wfsim.step
    def Launch(ctx):
        return {"operation": "op-9"}

    @Launch.poll
    def look(ctx, operation):
        return {"seen": operation} if ctx.clock.now > 5 else None

    simulation = Simulation(polled(scenario, launch=Launch))
    simulation.run()
    assert simulation.mementos()[-1].steps[0].output == {"seen": "op-9"}
    assert simulation.mementos()[-1].finished == 6.0


def test_a_class_says_how_to_look_at_what_it_launches(scenario):
    class Launch:
        def do_step(self, ctx):
            return {"operation": "op-9"}

        def poll(self, ctx, operation):
            yield from ctx.sleep(0.5)
            return True

    simulation = Simulation(polled(scenario, launch=Launch))
    simulation.run()
    run = simulation.mementos()[-1]
    assert (run.finished, run.steps[0].output) == (3.5, {})


def test_an_undo_takes_back_what_a_failed_operation_has_done(scenario, rows, body):
    step = Step("Launch", polling=Polling(), undo="Undo")
    made = scenario(
        Launch, body("Undo"), flow=Flow("Build", (step, )),
        world=lambda: Cloud(fails=True), policy=wfsim.Policy(retry=wfsim.Retry(limit=0)),
    )  # fmt: skip
    assert rows(wfsim.simulate(made), "run.i") == [
        (11.0, "run.interrupted", many("OSError: exit 1", step="Launch", flow="Build")),
    ]


def test_a_look_may_ask_for_an_operator(scenario, rows):
    @wfsim.step
    def Launch(ctx):
        return {"operation": "op-9"}

    @Launch.poll
    def look(ctx, operation):
        raise Interrupted("ASK")

    log = wfsim.simulate(polled(scenario, launch=Launch))
    assert rows(log, "run.i") == [(3.0, "run.interrupted", "ASK")]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_write_ends_with_the_same_outputs(scenario, when):
    def end(log):
        values = [record.value for record in log]
        run = [value for value in values if isinstance(value, wfsim.Memento)][-1]
        return run.status, run.steps[0].output

    whole = wfsim.simulate(polled(scenario))
    writes = sum(record.value is not None for record in whole) - 1
    assert writes == 6
    for write in range(1, writes + 1):
        crash = CrashAt(write=write, when=when, restart_after=2.0)
        assert end(wfsim.simulate(polled(scenario), [crash])) == end(whole)


@pytest.mark.parametrize("operation", ["", None, 7])
def test_an_operation_without_a_name_fails_the_step(scenario, operation):
    def Nameless(ctx):
        return {"operation": operation}

    step = Step("Nameless", polling=Polling(), on_failure="Fail")
    flow = Flow("Build", (step, Step("Fail")))
    made = scenario(Nameless, Fail, flow=flow, world=Cloud)
    log = Simulation(made).run()
    (failed,) = log.filter(wfsim.Kind.STEP_FAILED)
    assert failed.text.endswith(
        f"launched {operation!r}; an operation's id is a text that is not empty"
    )
