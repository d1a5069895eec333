"""Fault plans in YAML."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wfsim
from wfsim.model.bounds import MAX_COUNT, MAX_SECONDS
from wfsim.sim.faults import FAULTS

unhurried = settings(deadline=None, derandomize=True)
TEXT = st.text(min_size=1, max_size=20)
COUNT = st.integers(1, MAX_COUNT)
FROM_0 = st.floats(0, MAX_SECONDS) | st.integers(0, 10**12)
ABOVE_0 = st.floats(0, MAX_SECONDS, exclude_min=True) | st.integers(1, 10**12)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**90), 10**90)
    | TEXT
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
MAPPING = st.dictionaries(st.text(), JSON, min_size=1, max_size=3)


def step_fault(kind, **more):
    common = {"times": COUNT, "attempt": st.none() | COUNT, "resource": st.none() | TEXT}
    return st.builds(kind, step=TEXT, **common, **more)


FAULT = st.one_of(
    step_fault(wfsim.FailStep, error=st.text(), after=st.booleans()),
    step_fault(wfsim.DelayStep, by=ABOVE_0),
    step_fault(wfsim.HangStep),
    step_fault(wfsim.InterruptStep, reason=TEXT, message=st.text()),
    st.builds(wfsim.CancelAt, t=FROM_0, resource=st.none() | TEXT),
    st.builds(wfsim.EditAt, t=FROM_0, delete=st.just(True)),
    st.builds(
        wfsim.EditAt,
        t=FROM_0,
        spec=MAPPING,
        status=MAPPING,
        annotations=st.dictionaries(TEXT, st.none() | TEXT),
    ),
    st.builds(wfsim.CrashAt, t=FROM_0, restart_after=st.none() | FROM_0),
    st.builds(
        wfsim.CrashAt,
        write=COUNT,
        when=st.sampled_from(["before", "after"]),
        controller=st.none() | TEXT,
    ),
    st.builds(wfsim.FailSave, write=COUNT, applied=st.booleans(), times=COUNT),
    st.builds(wfsim.RefuseWrite, write=COUNT, times=COUNT),
    st.builds(wfsim.StaleRead, t=FROM_0, for_=ABOVE_0),
    st.builds(wfsim.DropWatch, t=FROM_0, for_=ABOVE_0),
    st.builds(wfsim.PauseController, t=FROM_0, for_=ABOVE_0, zombie=st.booleans()),
    st.builds(wfsim.LoseLease, t=FROM_0, resource=st.none() | TEXT),
)


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    path = tmp_path_factory.mktemp("plan") / "plan.yaml"

    def written(text):
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return written


@unhurried
@given(faults=st.lists(FAULT, max_size=4))
def test_what_is_dumped_is_loaded_as_it_was(plan, faults):
    text = wfsim.dump_plan(faults)
    if not faults:
        assert text == "[]\n"
    again = wfsim.load_plan(plan(text))
    assert again == tuple(faults)
    assert wfsim.dump_plan(again) == text
    assert list(map(hash, again)) == list(map(hash, faults))


@unhurried
@given(fault=FAULT)
def test_a_fault_prints_as_the_call_that_makes_it(fault):
    assert eval(repr(fault), vars(wfsim) | dict(FAULTS)) == fault


def test_a_plan_reads_like_the_calls(plan):
    text = """\
# what broke it
- CrashAt: {t: 40, restart_after: 10}
- FailStep:
    step: CreateRwPod
    times: 2
- EditAt: {t: 5, annotations: {paused: 'yes', old: null}}
- HangStep: {step: InitMeta}
"""
    faults = wfsim.load_plan(plan(text))
    assert [repr(fault) for fault in faults] == [
        "CrashAt(t=40, restart_after=10)",
        "FailStep(step='CreateRwPod', times=2)",
        "EditAt(t=5, annotations={'paused': 'yes', 'old': None})",
        "HangStep(step='InitMeta')",
    ]
    assert wfsim.dump_plan(faults) == (
        "- CrashAt: {t: 40, restart_after: 10}\n"
        "- FailStep: {step: CreateRwPod, times: 2}\n"
        "- EditAt:\n"
        "    t: 5\n"
        "    annotations: {paused: 'yes', old: null}\n"
        "- HangStep: {step: InitMeta}\n"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("CrashAt: {t: 1}", "1: a plan is a list of faults, not {'CrashAt': {'t': 1}};"),
        ("3", "1: a plan is a list of faults, not 3;"),
        (
            "- CrashAt",
            "1: item 1 must be a mapping, got 'CrashAt'",
        ),
        (
            "- CrashAt: {t: 1}\n  FailStep: {step: A}",
            "1: item 1 is not one name with its arguments; indent the arguments",
        ),
        (
            "- CrashAt:\n  t: 1",
            "1: item 1 is not one name with its arguments; indent the arguments",
        ),
        ("- CrashAt:", "1: 'CrashAt' has no value; write one or remove the key"),
        ("- CrashAt: [1]", "1: 'CrashAt' must be a mapping, got [1]"),
        ("\n- CrashtAt: {t: 1}", "2: unknown key 'CrashtAt'; did you mean 'CrashAt'?"),
        (
            "- CrashAt:\n    t: 1\n    restart: 5",
            "3: unknown key 'restart'; did you mean 'restart_after'?",
        ),
        ("- FailStep: {times: 1}", "1: give step or site"),
        ("- CrashAt: {}", "1: give t, write or site"),
        ("- CrashAt: {t: 1, write: 2}", "1: give only one of t, write and site"),
        ("- CrashAt: {t: 1, when: before}", "1: when goes with write"),
        (
            "- CrashAt:\n    write: 1\n    when: during",
            "3: 'when' must be 'before' or 'after', got 'during'",
        ),
        ("- CrashAt: {t: '1'}", "1: 't' must be a number, got '1'"),
        ("- CrashAt: {t: true}", "1: 't' must be a number, got true"),
        ("- CrashAt: {t: -1}", "1: 't' must be greater than or equal to 0, got -1"),
        ("- CrashAt: {t: .nan}", "1: 't' must be a finite number, got nan"),
        ("- CrashAt: {t: .inf}", "1: 't' must be a finite number, got inf"),
        (
            "- CrashAt: {write: 1.0}",
            "1: 'write' must be a whole number, got 1.0",
        ),
        ("- CrashAt: {write: 0}", "1: 'write' must be greater than or equal to 1, got 0"),
        (
            f"- RefuseWrite: {{write: {10**60}}}",
            "'write' must be less than or equal to 1000000000, got 1000",
        ),
        ("- CancelAt: {t: null}", "1: 't' has no value; write one or remove"),
        (
            "- CancelAt: {t: 1, resource: 5}",
            "1: 'resource' must be text, got 5; put it in quotes",
        ),
        (
            "- FailStep: {step: ''}",
            "1: 'step' is empty; write a text",
        ),
        (
            "- FailStep: {step: A, after: 1}",
            "1: 'after' must be true or false, got 1",
        ),
        ("- DelayStep: {step: A, by: 0}", "1: 'by' must be greater than 0, got 0"),
        ("- EditAt: {t: 1}", "1: give either delete=True or what to set in spec"),
        ("- EditAt: {t: 1, delete: true, spec: {a: 1}}", "1: give either delete"),
        ("- EditAt: {t: 1, spec: 5}", "1: 'spec' must be a mapping, got 5"),
        (
            "- EditAt: {t: 1, spec: {a: .inf}}",
            "1: spec is {'a': inf}; give a map",
        ),
        (
            "- EditAt: {t: 1, annotations: {a: 5}}",
            "1: 'a' must be text, got 5",
        ),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(plan, text, problem):
    path = plan(text)
    with pytest.raises(wfsim.DefinitionError) as caught:
        wfsim.load_plan(path)
    assert str(caught.value).startswith(f"{path}:")
    assert problem in str(caught.value)


def test_all_that_is_wrong_is_named_at_once(plan):
    path = plan("- CrashAt: {T: 1, after: 2}\n- Fail: {}\n- CancelAt: {t: 5}\n- 4\n")
    with pytest.raises(wfsim.DefinitionError) as caught:
        wfsim.load_plan(path)
    lines = [str(it).removeprefix(f"{path}:")[:30] for it in caught.value.problems]
    assert lines == [
        "1: unknown key 'T'; known: 'co",
        "1: unknown key 'after'; did yo",
        "2: unknown key 'Fail'; did you",
        "4: item 4 must be a mapping, g",
    ]


def test_a_plan_too_long_is_refused(plan):
    path = plan("- CrashAt: {t: 1}\n" * 10_001)
    with pytest.raises(wfsim.DefinitionError, match="has more than 10000 items"):
        wfsim.load_plan(path)


def tried(load, *args):
    """Return what *load* returns and how it refuses."""
    try:
        return load(*args), ""
    except wfsim.DefinitionError as error:
        return None, str(error)


@unhurried
@given(text=st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_any_text_is_loaded_or_refused_with_its_line(plan, text):
    path = plan(text)
    faults, refusal = tried(wfsim.load_plan, path)
    assert faults == () or refusal.startswith(f"{path}:")


def test_a_fault_by_the_name_of_the_version_before_is_read_and_warns(plan):
    path = plan("- Conflict: {write: 3}\n")
    with pytest.warns(DeprecationWarning, match="Conflict is called RefuseWrite now"):
        assert wfsim.load_plan(path) == (wfsim.RefuseWrite(write=3),)
    with pytest.warns(DeprecationWarning, match=r"wfsim\.RefuseWrite now"):
        assert wfsim.Conflict is wfsim.RefuseWrite
