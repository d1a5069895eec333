"""A time limit bounds an attempt, and one that waits is the same attempt all along."""

import pytest

import wfsim
from tests.changes import many
from wfsim import CrashAt, Flow, Retry, Scenario, Step, Waiting


def scenario(body):
    step = Step("Approve", timeout=600, retry=Retry(limit=0))
    return Scenario.of_flow(Flow("F", (step,)), steps=[wfsim.step("Approve")(body)])


def ends(log):
    kinds = ("step.waiting", "step.completed", "run.interrupted")
    return [(each.time, str(each.kind)) for each in log if each.kind in kinds]


@pytest.mark.parametrize("after", [None, 90, 600, 1000])
@pytest.mark.parametrize("faults", [(), [CrashAt(t=300, restart_after=20)]])
def test_a_step_that_waits_is_ended_by_its_timeout(after, faults):
    def approve(ctx):
        raise Waiting(after)

    log = wfsim.simulate(scenario(approve), faults, until=7200)
    assert ends(log) == [(0.0, "step.waiting"), (600.0, "run.interrupted")]
    assert log[-2].text == many("no end after 600 s", step="Approve")
    assert log[-2].limit == 600


def test_what_it_does_when_it_is_asked_again_counts_from_its_beginning():
    def approve(ctx):
        if ctx.clock.now < 500:
            raise Waiting(500)
        yield from ctx.sleep(200)

    log = wfsim.simulate(scenario(approve))
    assert ends(log) == [(0.0, "step.waiting"), (600.0, "run.interrupted")]


def test_a_step_that_is_done_when_it_is_asked_in_time_is_complete():
    def approve(ctx):
        if ctx.clock.now < 599:
            raise Waiting(599)

    log = wfsim.simulate(scenario(approve))
    assert ends(log) == [(0.0, "step.waiting"), (599.0, "step.completed")]
