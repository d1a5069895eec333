"""A memento that need not be written to be read back, against writing and reading it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wfsim.model.read_back import reads_back

import wfsim
from wfsim.model.frozen import EMPTY, Frozen, freeze, storable
from wfsim.model.memento import Memento, StepMemento

unhurried = settings(deadline=None, derandomize=True, max_examples=200)
MPD = wfsim.Key("mpd", "default", "mpd-0")
FLOW = wfsim.Flow("Create", (wfsim.Step("InitMeta"), wfsim.Step("StartPod")))

PLAIN = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["<&>", "\u2028", "reson: x, message: y"]
)
HALVES = st.sampled_from(["\ud83d\ude00", "\ud800"])
NUMBERS = st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False)


def values(leaves):
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3)
        ),
        max_leaves=6,
    )


def stored(value):
    try:
        return storable(value)
    except (TypeError, UnicodeError):
        return EMPTY


OUTPUTS = st.dictionaries(
    PLAIN, values(st.none() | st.booleans() | NUMBERS | PLAIN), max_size=3
).map(stored)
TIMES = st.none() | st.floats(0, 1e6)
COUNTS = st.integers(0, 12)
STEPS = st.builds(
    StepMemento,
    st.sampled_from(["InitMeta", "StartPod"]),
    st.sampled_from(list(wfsim.StepStatus)),
    *(COUNTS, COUNTS, st.integers(1, 12), TIMES, TIMES, OUTPUTS, PLAIN, PLAIN),
)
NOT_BEGUN = st.just(StepMemento("StartPod"))
RUNS = st.builds(
    Memento,
    st.sampled_from(["1-Create", "12-Create"]),
    st.just(MPD),
    st.just("Create"),
    st.sampled_from(list(wfsim.RunStatus)),
    st.lists(STEPS | NOT_BEGUN, min_size=2, max_size=3).map(tuple),
    OUTPUTS,
    *(TIMES, TIMES, PLAIN, PLAIN, COUNTS, COUNTS, st.integers(0, 1), TIMES),
    *(st.integers(-1, 9), st.just("0123456789ab"), PLAIN, TIMES, st.just(EMPTY)),
)

# One field in ten or so is something that hardly anybody would put there.
STATUS = st.sampled_from([wfsim.StepStatus.FAILED, wfsim.RunStatus.RUNNING])
ODD_TIMES = st.sampled_from([0, 7, True, float("inf"), float("nan"), 10**400])
ODD_COUNTS = st.sampled_from([-1, True, 2**62, 2**63])
ODD_LEAVES = HALVES | STATUS | ODD_TIMES | st.just(2**70)
ODD_MAPPINGS = st.dictionaries(
    PLAIN | HALVES | STATUS | st.just("_resourceName"),
    values(PLAIN | NUMBERS | ODD_LEAVES),
    max_size=3,
).map(freeze)
ODD = {
    "key": st.sampled_from(["x-Create", "1-Other", "1" * 10 + "-Create", "1"]),
    "flow": st.just(""),
    "context": ODD_MAPPINGS,
    "reason": HALVES | STATUS,
    "error": HALVES | STATUS,
    "owner": HALVES | STATUS,
    "digest": st.just(""),
    "extra": st.just(Frozen(more=1)),
    **dict.fromkeys(("started", "finished", "wake", "deadline"), ODD_TIMES),
    **dict.fromkeys(("retries", "restarts", "cursor"), ODD_COUNTS),
    "entered": st.sampled_from([-2, True, 2**63]),
}
ODD_STEP = {
    "name": st.just("") | HALVES,
    "output": ODD_MAPPINGS,
    "operation": HALVES | STATUS,
    "error": HALVES | STATUS,
    **dict.fromkeys(("started", "finished"), ODD_TIMES),
    **dict.fromkeys(("retries", "restarts", "attempts"), ODD_COUNTS | st.just(0)),
    "status": st.sampled_from(list(wfsim.StepStatus)),
}


def one_of(changes):
    return st.sampled_from(sorted(changes)).flatmap(
        lambda name: changes[name].map(lambda value: {name: value})
    )


@st.composite
def runs(draw):
    run = draw(RUNS)
    which = draw(st.integers(0, 3))
    if which == 1:
        run = run._replace(**draw(one_of(ODD)))
    if which == 2:
        step = run.steps[1]._replace(**draw(one_of(ODD_STEP)))
        run = run._replace(steps=(run.steps[0], step))
    return run


def written_and_read(run):
    again = Memento.from_json(run.key, run.to_json(), kind=run.resource.kind)
    return again._replace(resource=run.resource)


@unhurried
@given(runs())
def test_what_need_not_be_written_reads_back_as_it_is_to_the_last_character(run):
    if reads_back(run):
        # By its repr: it tells types apart, and in which order keys are.
        assert repr(written_and_read(run)) == repr(run)


@unhurried
@given(RUNS)
def test_whatever_the_engine_writes_need_not_be_written_to_be_read(run):
    assert repr(written_and_read(run)) == repr(run)
    assert reads_back(run)


@pytest.mark.parametrize(
    "change",
    [
        {"extra": Frozen(more=1)},
        {"digest": ""},
        {"cursor": 2},
        {"error": "half a character \ud800"},
        {"context": Frozen(b=1, a=2)},
        {"context": Frozen(_resourceName=7)},
        {"context": Frozen(a="x" * (1 << 18))},
        {"context": Frozen(a=wfsim.RunStatus.FAILED)},
        {"wake": float("inf")},
        {"started": 0},
        {"retries": True},
    ],
    ids=str,
)
def test_what_is_not_certain_is_written(change):
    run = Memento.new(1, FLOW, MPD, now=0.0).start_step(0, now=5.0)
    assert reads_back(run)
    assert not reads_back(run._replace(**change))
