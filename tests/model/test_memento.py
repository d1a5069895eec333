"""Mementos as values: whatever a simulation keeps reads back from its text."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

import wfsim
from wfsim.types import RunStatus, StepStatus

unhurried = settings(deadline=None, derandomize=True, max_examples=60)
FLOW = wfsim.Flow("Create", tuple(map(wfsim.Step, "ABC")))

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=6,
)
FAULT = st.one_of(
    st.builds(wfsim.FailStep, st.sampled_from("ABC"), times=st.integers(1, 12)),
    st.builds(
        wfsim.FailStep, st.sampled_from("ABC"), error=st.text(), after=st.booleans()
    ),
    st.builds(wfsim.InterruptStep, st.sampled_from("ABC"), reason=st.text(min_size=1)),
    st.builds(wfsim.HangStep, st.sampled_from("ABC")),
    st.builds(wfsim.CancelAt, t=st.floats(0, 40)),
    st.builds(wfsim.CrashAt, t=st.floats(0, 40), restart_after=st.floats(0, 10)),
    st.builds(
        wfsim.CrashAt,
        write=st.integers(1, 20),
        when=st.sampled_from(["before", "after"]),
        restart_after=st.floats(0, 10),
    ),
    st.builds(wfsim.FailSave, write=st.integers(1, 20), applied=st.booleans()),
    st.builds(wfsim.RefuseWrite, write=st.integers(1, 20)),
    st.builds(wfsim.PauseController, t=st.floats(0, 40), for_=st.floats(0.1, 40)),
)


def simulation(faults, outputs, asked_again):
    def A(ctx):
        yield from ctx.sleep(5.3)
        return outputs[0]

    def B(ctx):
        if asked_again and ctx.clock.now < 30:
            raise wfsim.Waiting(after=asked_again)
        yield from ctx.sleep(7.1)
        return outputs[1]

    def C(ctx):
        yield from ctx.update(status=outputs[2])

    scenario = wfsim.Scenario(
        [wfsim.Resource("mpd", "mpd-0")],
        wfsim.StateMachine("mpd")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="Create"),
        [wfsim.Flow("Create", FLOW.steps, timeout=20.0, deadline=500.0)],
        [A, B, C],
    )
    sim = wfsim.Simulation(scenario, faults=faults)
    sim.run(until=60)
    sim.uncancel()
    if sim.resource().state == "Interrupt":
        sim.recover()
    sim.run(until=400)
    return sim


def typed(value):
    """Tell 1 from 1.0 and True, which are equal to Python."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [typed(item) for item in value]
    return (type(value), value)


@unhurried
@given(
    faults=st.lists(FAULT, max_size=3),
    outputs=st.lists(
        st.dictionaries(st.text(), JSON, max_size=3), min_size=3, max_size=3
    ),
    asked_again=st.none() | st.floats(0.5, 20),
)
def test_whatever_an_engine_makes_durable_reads_back_as_it_was(
    tmp_path_factory, faults, outputs, asked_again
):
    sim = simulation(faults, outputs, asked_again)
    runs = sim.mementos("mpd-0")
    assert runs
    for run in runs:
        again = wfsim.Memento.from_json(run.key, run.to_json(), kind="mpd")
        assert typed(again) == typed(run)
        assert again.to_json() == run.to_json()
    path = sim.log.to_jsonl(tmp_path_factory.mktemp("log") / "log.jsonl")
    back = wfsim.EventLog.from_jsonl(path)
    assert back.records == sim.log.records
    assert back.digest() == sim.log.digest()
    assert back.fold() == sim.log.fold()


def test_statuses_are_those_of_the_reference_and_those_of_ours():
    assert [status.value for status in StepStatus] == [
        "prepared", "inited", "waiting", "failed", "completed", "cancelled",
    ]  # fmt: skip
    assert [status.value for status in RunStatus] == [
        "prepared", "running", "waiting", "failed", "failedAndCompleted", "completed",
        "superseded", "error", "cancelled",
    ]  # fmt: skip
