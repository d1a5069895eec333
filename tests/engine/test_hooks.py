"""The six hooks: when each is called, and that none of them can do harm."""

from __future__ import annotations

import pytest

import wfsim
from wfsim import Interrupted, Kind, Policy, Retry, Simulation, Waiting

SIX = (
    "on_run_init",
    "on_step_init",
    "on_step_waiting",
    "on_step_completed",
    "on_run_interrupt",
    "on_run_completed",
)


class Notebook(wfsim.Hooks):
    """Writes down every call, and what was durable when it came."""

    def __init__(self):
        self.calls = []
        self.simulation = None

    def note(self, hook, run, *step):
        assert self.simulation.mementos()[-1] == run
        self.calls.append(" ".join([hook, *(f"{s.name}/{s.status}" for s in step if s)]))

    def on_run_init(self, run):
        # On a resumed run nothing is written before its next transition.
        self.calls.append("run_init")

    def on_step_init(self, run, step):
        self.note("step_init", run, step)

    def on_step_waiting(self, run, step):
        self.note("step_waiting", run, step)

    def on_step_completed(self, run, step):
        self.note("step_completed", run, step)

    def on_run_interrupt(self, run):
        self.note(f"run_interrupt {run.reason}", run)

    def on_run_completed(self, run):
        self.note("run_completed", run)


@pytest.fixture
def calls(scenario):
    def run(*bodies, act=None, **rest):
        notebook = Notebook()
        notebook.simulation = Simulation(scenario(*bodies, hooks=[notebook], **rest))
        notebook.simulation.run()
        if act:
            act(notebook.simulation)
            notebook.simulation.run()
        return notebook.calls

    return run


def test_a_clean_run(calls, body):
    assert calls(body("A"), body("B")) == [
        "run_init",
        "step_init A/inited",
        "step_completed A/completed",
        "step_init B/inited",
        "step_completed B/completed",
        "run_completed",
    ]


def test_a_failure_and_its_retry(calls, body):
    assert calls(body("A", ValueError(), None)) == [
        "run_init",
        "step_init A/inited",
        "step_completed A/failed",
        "run_init",
        "step_init A/inited",
        "step_completed A/completed",
        "run_completed",
    ]


def test_an_interruption_and_the_recovery(calls, body):
    raises = body("A", Interrupted("LOST"), None)
    assert calls(raises, act=lambda simulation: simulation.recover()) == [
        "run_init",
        "step_init A/inited",
        "step_completed A/failed",
        "run_interrupt LOST",
        "run_init",
        "step_init A/inited",
        "step_completed A/completed",
        "run_completed",
    ]


def test_a_run_that_is_stopped_between_two_steps_has_no_step_to_tell_of(calls, body):
    def A(ctx):
        yield from ctx.update(annotations={"cancelled": "true"})

    assert calls(A, body("B")) == [
        "run_init",
        "step_init A/inited",
        "step_completed A/completed",
        "step_completed",
        "run_interrupt CANCELLED",
    ]


def test_a_wait_is_told_once_and_each_poll_only_as_the_run_being_taken_up(calls, body):
    assert calls(body("A", Waiting(1), Waiting(1), Waiting(1), None)) == [
        "run_init",
        "step_init A/inited",
        "step_waiting A/waiting",
        "run_init",
        "run_init",
        "run_init",
        "step_completed A/completed",
        "run_completed",
    ]


def test_a_crash_loses_the_calls_that_had_not_come_yet(scenario, body):
    notebook = Notebook()
    faults = [wfsim.CrashAt(write=3, restart_after=5.0)]
    notebook.simulation = Simulation(
        scenario(body("A"), body("B"), hooks=[notebook]), faults=faults
    )
    notebook.simulation.run()
    assert notebook.calls == [
        "run_init",
        "step_init A/inited",
        "run_init",
        "step_init B/inited",
        "step_completed B/completed",
        "run_completed",
    ]


class Broken(wfsim.Hooks):
    def __init__(self, hook):
        setattr(self, hook, self.fail)

    def fail(self, *args):
        raise RuntimeError("observer is broken")


@pytest.mark.parametrize("hook", SIX)
def test_a_failing_hook_is_recorded_and_changes_nothing_else(scenario, rows, body, hook):
    def run(hooks):
        bodies = (
            body("A", Waiting(1.0), None),
            body("B", ValueError(), None),
            body("C", Interrupted("LOST"), None),
        )
        simulation = Simulation(scenario(*bodies, hooks=hooks))
        simulation.run()
        simulation.recover()
        return simulation.run()

    log = run([Broken(hook)])
    failed = log.filter(Kind.HOOK_FAILED)
    assert {(r.resource, r.run, r.flow, r.text) for r in failed} == {
        ("orders", "1-Build", "Build", f"{hook}: RuntimeError('observer is broken')")
    }
    plain = [row for row in rows(log) if row[1] != "hook.failed"]
    assert plain == rows(run([]))
    assert plain[-1] == (8.0, "resource.state", "Creating -> Running")


def test_every_observer_is_told_even_after_one_that_fails(scenario, body):
    notebook = Notebook()
    hooks = [Broken("on_step_init"), notebook]
    notebook.simulation = Simulation(scenario(body("A"), hooks=hooks))
    notebook.simulation.run()
    assert notebook.calls[1] == "step_init A/inited"


def test_the_base_class_observes_all_and_does_nothing(scenario, rows, body):
    bodies = body("A", Waiting(1.0), ValueError(), None), body("B", Interrupted("X"))
    policy = Policy(retry=Retry(limit=1))
    log = wfsim.simulate(scenario(*bodies, hooks=[wfsim.Hooks()], policy=policy))
    assert log.filter(Kind.HOOK_FAILED) == []
    assert rows(log, "run.i") == [(6.0, "run.interrupted", "X")]
