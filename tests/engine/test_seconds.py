"""What is given as seconds must be a number that time can go on by."""

import math

import pytest

import wfsim
from tests.changes import many
from wfsim import Flow, Retry, Scenario, Step, Waiting

ODD = [math.nan, math.inf, -math.inf, -1, 1e13, "soon"]


def ending(body):
    """Return the record that ends a run of *body*, after at most 100 records."""
    flow = Flow("F", (Step("Nap", retry=Retry(limit=0)),))
    log = wfsim.simulate(Scenario.of_flow(flow, steps=[wfsim.step("Nap")(body)]))
    assert len(log) < 100
    assert all(record.time < 10 for record in log)
    (record,) = [each for each in log if each.kind == "run.interrupted"]
    return record


@pytest.mark.parametrize("value", ODD, ids=str)
def test_a_sleep_that_is_no_time_fails_the_step_and_names_the_line(value):
    def nap(ctx):
        yield from ctx.sleep(value)

    record = ending(nap)
    error = f"UsageError: ctx.sleep() is {value!r}; give seconds from 0 to 1e+12"
    text = many(error, step="Nap")
    assert record.text.replace("1e13", "10000000000000.0") == text.replace(
        "1e13", "10000000000000.0"
    )
    assert record.where == f"test_seconds.py:{nap.__code__.co_firstlineno + 1}"


@pytest.mark.parametrize("value", ODD, ids=str)
def test_a_timeout_of_the_clock_that_is_no_time_fails_the_step(value):
    def nap(ctx):
        yield ctx.clock.timeout(value)

    assert "give seconds from 0 to 1e+12" in ending(nap).text


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e13, "soon"], ids=str)
def test_a_wait_that_is_no_time_fails_the_step(value):
    def nap(ctx):
        raise Waiting(value)

    text = f"Waiting takes seconds, not {value!r}"
    assert ending(nap).text == many(text, step="Nap")


@pytest.mark.parametrize("value", ODD, ids=str)
def test_a_place_held_for_no_time_is_never_taken(value):
    pool = wfsim.Pool(1, "uplink")

    def nap(ctx):
        yield from pool.hold(ctx, value)

    assert "Pool.hold() is " in ending(nap).text
    assert pool.held == 0


@pytest.mark.parametrize("value", ODD, ids=str)
def test_a_world_plans_and_waits_for_real_seconds_only(value):
    world = wfsim.World()
    with pytest.raises(wfsim.UsageError, match=r"World.later\(\) is"):
        world.later(value, "changed")
    with pytest.raises(wfsim.UsageError, match=r"every of World.until\(\) is"):
        next(world.until(lambda: False, every=value))
    with pytest.raises(wfsim.UsageError, match=r"timeout of World.until\(\) is"):
        next(world.until(lambda: False, timeout=value))
