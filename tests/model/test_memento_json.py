"""The text of a memento, against what the reference engine really wrote."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import wfsim
from tests.changes import after, new
from wfsim.model.frozen import EMPTY, freeze, storable
from wfsim.model.json_text import MAX_DEPTH
from wfsim.model.memento_json import MAX_BYTES
from wfsim.model.run import (
    CancelRun,
    Cause,
    Close,
    Complete,
    CompleteRun,
    Fail,
    FailRun,
    Interrupt,
    Launch,
    Recover,
    Start,
    Supersede,
    Wait,
)

unhurried = settings(deadline=None, derandomize=True)
GOLDEN = Path(__file__).parents[1] / "golden" / "reference_engine.jsonl"
ROWS = [json.loads(line) for line in GOLDEN.read_text().rstrip("\n").split("\n")]
WRITTEN = [row for row in ROWS if row["op"] == "memento"]
MPD = wfsim.types.Key("mpd", "default", "mpd-0")
FLOW = wfsim.Flow("Create", (wfsim.Step("InitMeta"), wfsim.Step("StartPod")))

TEXT = """{"flowStatus":"running","flowName":"Create","runningSteps":[
  {"StepName":"InitMeta","stepStatus":"inited","stepStartTime":"2026-01-01 00:00:05"},
  {"StepName":"StartPod","stepStatus":"prepared"}]}"""


def reread(run):
    return wfsim.Memento.from_json(run.key, run.to_json(), kind=run.resource.kind)


def changed(**keys):
    return json.dumps(json.loads(TEXT) | keys)


def with_ours(**keys):
    ours = json.loads(ours_of(begun())) | keys
    return changed(wfsim={k: v for k, v in ours.items() if v is not ...})


def ours_of(run):
    return json.dumps(json.loads(run.to_json())["wfsim"])


def begun(*changes):
    run = new(FLOW, MPD, params={"size": 7}, owner="uid-1")
    return after(run, (5.0, Start(0)), *changes)


def interrupted(index, at, reason, error):
    return (at, Interrupt(index, reason, error, Cause.STEP))


def test_there_are_139_texts_of_the_reference():
    assert len(WRITTEN) == 139


@pytest.mark.parametrize("row", WRITTEN, ids=lambda row: f"{row['scenario']}-{row['n']}")
def test_what_the_reference_wrote_is_written_back_byte_for_byte(row):
    run = wfsim.Memento.from_json(row["key"], row["value"])
    assert run.to_json() == row["value"]
    assert reread(run) == run


def test_an_interrupted_run_of_the_reference_says_why_and_where():
    row = [row for row in WRITTEN if row["scenario"] == "interrupts"][-1]
    run = wfsim.Memento.from_json(row["key"], row["value"], kind="mpd")
    assert (run.resource, run.number, run.status) == (MPD, 1, "failedAndCompleted")
    assert (run.reason, run.error) == ("CM_LOST", "manager is lost & gone")
    assert (run.step.name, run.step.status) == ("CreateClusterManager", "failed")


def test_numbers_of_the_reference_keep_their_types():
    row = [row for row in WRITTEN if row["scenario"] == "clean_with_outputs"][-1]
    outputs = [
        step.output for step in wfsim.Memento.from_json(row["key"], row["value"]).steps
    ]
    assert [type(outputs[0][key]) for key in ("port", "ratio")] == [int, float]
    assert outputs[1]["tags"] == ("a", 1, True, None)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1e-7, "1e-7"),
        (0.00001, "0.00001"),
        (1.5e-5, "0.000015"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (123456789012345680000.0, "123456789012345680000.0"),
        (3.0, "3.0"),
        (-0.25, "-0.25"),
        (12345678901234567890, "12345678901234567890"),
    ],
)
def test_a_number_is_written_as_go_does_and_stays_a_float(number, text):
    run = begun((6.0, Complete(0, freeze({"x": number, "y": "1e-07"}))))
    assert f'"x":{text},"y":"1e-07"' in run.to_json()
    again = reread(run).steps[0].output["x"]
    assert (again, type(again)) == (number, type(number))


def test_text_is_escaped_as_go_does():
    odd = '<a> & b\u2028\u2029\b\f\n\t"\\b \x7f ü \U0001f600'
    run = begun((6.0, Complete(0, freeze({"odd": odd}))))
    assert (
        '"odd":"\\u003ca\\u003e \\u0026 b\\u2028\\u2029\\u0008\\u000c\\n\\t\\"\\\\b'
        ' \x7f ü \U0001f600"'
    ) in run.to_json()
    assert reread(run) == run


def test_what_a_step_has_launched_and_how_it_ended_is_kept_beside_the_reference():
    status = wfsim.types.StepStatus
    launched = begun(Launch(0, "op-1", freeze({"host": "h1"}), 8.0))
    closed = after(launched, (9.0, Close(0, status.CANCELLED, "no more", Cause.CANCEL)))
    failed = after(launched, (9.0, Close(0, status.FAILED, "full", Cause.RETRIES)))
    in_error = after(failed, (9.0, FailRun("full")))
    cancelled = after(closed, (9.0, CancelRun("no more")))
    for run in (launched, closed, failed, in_error, cancelled):
        assert reread(run) == run
    document = json.loads(cancelled.to_json())
    assert document["flowStatus"] == "failedAndCompleted"
    assert document["runningSteps"][0]["stepStatus"] == "failed"
    assert document["wfsim"]["status"] == "cancelled"
    assert document["wfsim"]["more"] == [
        {"of": 0, "operation": "op-1", "error": "no more", "status": "cancelled"}
    ]


def test_half_a_character_is_escaped_so_that_it_can_be_written_to_a_file():
    run = begun((6.0, Fail(0, "bad \ud800 name", 7.0)))
    assert b"bad \\ud800 name" in run.to_json().encode()
    assert reread(run) == run


def test_what_is_ours_is_one_object_that_the_reference_ignores():
    document = json.loads(begun().to_json())
    assert list(document) == [
        "flowStatus", "flowName", "startTime", "initContext", "runningSteps", "wfsim",
    ]  # fmt: skip
    assert document["wfsim"] == {
        "version": 1,
        "digest": FLOW.digest,
        "entered": -1,
        "restarts": 0,
        "cursor": 0,
        "owner": "uid-1",
        "times": [0.0, None],
        "steps": [[1, 0, 5.0, None]],
        "of": [0],
    }
    assert document["runningSteps"][0] == {
        "StepName": "InitMeta",
        "stepStatus": "inited",
        "stepStartTime": "2026-01-01 00:00:05",
        "lastStepCompleteTime": "2026-01-01 00:00:05",
    }


def test_a_superseded_run_is_over_to_the_reference_and_superseded_to_us():
    run = begun((9.0, Supersede()))
    assert json.loads(run.to_json())["flowStatus"] == "failedAndCompleted"
    assert reread(run).status is wfsim.types.RunStatus.SUPERSEDED


def test_every_status_that_we_write_is_one_of_the_reference():
    theirs = {
        "prepared",
        "running",
        "waiting",
        "failed",
        "failedAndCompleted",
        "completed",
    }
    runs = [
        begun(),
        begun(Wait(0, None)),
        begun((6.0, Fail(0, "no", 7.0))),
        begun(interrupted(0, 6.0, "R", "m")),
        begun((6.0, CompleteRun())),
        begun((6.0, Supersede())),
        new(FLOW, MPD),
    ]
    assert {json.loads(run.to_json())["flowStatus"] for run in runs} == theirs
    assert [reread(run) for run in runs] == runs


@pytest.mark.parametrize("change", ["supersede", "interrupt", "recover"])
def test_a_run_of_the_reference_that_we_change_reads_back_as_we_left_it(change):
    row = [row for row in WRITTEN if row["scenario"] == "fails_twice"][9]
    run = wfsim.Memento.from_json(row["key"], row["value"], kind="mpd")
    changed = {
        "supersede": after(run, (1.25, Supersede())),
        "interrupt": after(run, interrupted(2, 1.25, "CANCELLED", "gone")),
        "recover": after(run, interrupted(2, 1.25, "X", "y"), Recover(False)),
    }[change]
    assert reread(changed) == changed


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("A, message: b", "c"),
        ("", "reson: A, message: b"),
        ("R", ""),
        ("R", "line\nline"),
        ("", ""),
    ],
)
def test_reason_and_message_are_told_apart_whatever_they_say(reason, error):
    run = begun(interrupted(0, 6.0, reason, error))
    assert reread(run) == run


@pytest.mark.parametrize("seconds", [1e12, -1e12, 253402300800.0, 0.0004, 22.174])
def test_a_time_that_no_date_can_say_is_kept_all_the_same(seconds):
    run = begun()._replace(started=seconds)
    assert reread(run).started == seconds


def test_keys_that_nobody_knows_are_kept_also_those_of_a_step():
    text = changed(ignoreError=True, more={"b": [1, {"c": None}], "a": 2.0})
    document = json.loads(text)
    document["runningSteps"][1]["color"] = "blue"
    run = wfsim.Memento.from_json("1-Create", json.dumps(document))
    written = json.loads(run.to_json())
    assert (written["ignoreError"], written["more"]["b"]) == (True, [1, {"c": None}])
    assert written["runningSteps"][1]["color"] == "blue"
    ended = after(run, (3.0, CompleteRun()))
    assert reread(ended) == ended


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON: Expecting value"),
        (TEXT[:100], "not JSON: Unterminated string"),
        ("[]", "a memento is an object, not list"),
        ("{}", "flowName is null, not a string"),
        ('{"flowName":"Other"}', "the key '1-Create' is not <number>-Other"),
        (changed(flowStatus="paused"), 'flowStatus is "paused", not one of prepared,'),
        (changed(flowStatus="superseded"), "which no memento says there"),
        (changed(flowStatus=1), "flowStatus is 1, not a string"),
        (
            changed(retryTimes="3"),
            'retryTimes is "3", not a whole number from 0 to 1000000000',
        ),
        (
            changed(retryTimes=10**18),
            f"retryTimes is {10**18}, not a whole number from 0 to 1000000000",
        ),
        (changed(retryTimes=True), "retryTimes is true, not a whole number"),
        (changed(retryTimes=-1), "retryTimes is -1, not a whole number"),
        (changed(retryTimes=10**30), "not a whole number"),
        (changed(startTime=5), "startTime is 5, not a string"),
        (changed(startTime="yesterday"), 'startTime is "yesterday", not a time such as'),
        (changed(startTime="2026-02-30 00:00:00"), "not a time such as"),
        (changed(startTime="2026-1-1 0:0:0"), "not a time such as"),
        (changed(startTime="2026-01-01 00:00:00+01:00"), "not a time such as"),
        (changed(startTime="0000-01-01 00:00:00"), "not a time such as"),
        (changed(initContext=[1]), "initContext is [1], not an object"),
        (changed(initContext={"_resourceName": 5}), "_resourceName is 5, not a string"),
        (changed(runningSteps={}), "runningSteps is {}, not a list"),
        (
            changed(runningSteps=["InitMeta"]),
            'a running step is an object, not "InitMeta"',
        ),
        (changed(runningSteps=[{"StepName": "A"}]), "stepStatus is null, not a string"),
        (changed(errorMessage=None, x=math.nan), "NaN is no JSON number"),
        (changed(x=1).replace("1}", "1e999}"), "1e999 is beyond the range of numbers"),
        (f'{{"a":{"[" * 5000}{"]" * 5000}}}', f"nested more than {MAX_DEPTH} deep"),
        (f'{{"a":{"[" * 200}{"]" * 200}}}', f"nested more than {MAX_DEPTH} deep"),
        ("9" * 5000, "not JSON: Exceeds the limit"),
        (f'{{"a":"{"x" * MAX_BYTES}"}}', "a memento has 1048576 at most"),
        (changed(wfsim=3), "wfsim is 3, not an object"),
        (changed(wfsim={}), "written by no wfsim: version None"),
        (with_ours(version=2), "written by a newer wfsim: version 2, this reads 1"),
        (with_ours(version="2"), "written by no wfsim: version '2'"),
        (with_ours(cursor=2), "2 is not one of 2 steps"),
        (with_ours(cursor=-1), "-1 is not one of 2 steps"),
        (with_ours(of=[7]), "7 is not one of 2 steps"),
        (with_ours(of=[]), "1 rows of steps for 0 indices"),
        (with_ours(steps=[[1, 0]]), "[1,0] is not a list of 4"),
        (with_ours(steps=[[1, 9, 0.0, None]]), "retryTimes is 0, with 9 restarts in it"),
        (with_ours(steps=[["1", 0, 0.0, None]]), 'attempts is "1", not a whole number'),
        (with_ours(restarts=4), "retryTimes is 0, with 4 restarts in it"),
        (with_ours(times=...), "null is not a list of 2"),
        (with_ours(times=["0", None]), '"0" is not a time in seconds'),
        (with_ours(wake=10**400), "is not a time in seconds"),
        (with_ours(wake=True), "true is not a time in seconds"),
        (with_ours(digest=4), "digest is 4, not a string"),
        (with_ours(status=3), "status is 3, not a string"),
        (with_ours(more=[3]), "3 is not an object"),
        (with_ours(more=[{"of": 9}]), "9 is not one of 2 steps"),
        (with_ours(more=[{"of": 0, "error": 3}]), "error is 3, not a string"),
        (changed(flowStatus="error"), "flowStatus is 'error', which no memento says"),
    ],
)
def test_text_that_is_no_memento_is_refused_with_what_is_wrong(text, message):
    with pytest.raises(wfsim.errors.MementoError) as caught:
        wfsim.Memento.from_json("1-Create", text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "key", ["Create", "x-Create", "²-Create", f"{'9' * 5000}-Create", ""]
)
def test_a_key_that_is_no_number_and_flow_is_refused(key):
    with pytest.raises(wfsim.errors.MementoError, match="is not <number>-Create"):
        wfsim.Memento.from_json(key, TEXT)


def test_null_is_read_as_what_is_left_out():
    run = wfsim.Memento.from_json("1-Create", changed(initContext=None, retryTimes=None))
    assert (run.context, run.retries, run.resource.namespace) == ({}, 0, "default")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)


@unhurried
@given(
    params=st.dictionaries(st.text(), JSON, max_size=3),
    output=st.dictionaries(st.text(), JSON, max_size=3),
    now=st.floats(-1e13, 1e13),
    error=st.text(),
    moves=st.lists(
        st.sampled_from(["start", "complete", "wait", "fail", "interrupt", "recover"])
    ),
)
def test_a_run_reads_back_as_it_was_whatever_happened_to_it(
    params, output, now, error, moves
):
    changes = {
        "start": (now, Start(0)),
        "complete": (now, Complete(0, freeze(output))),
        "wait": Wait(0, now),
        "fail": (now, Fail(1, error, now)),
        "interrupt": interrupted(1, now, error, error),
        "recover": Recover(from_first_step=True),
    }
    run = new(FLOW, MPD, 3, now, params=params, deadline=now)
    run = after(run, *map(changes.get, moves))
    assert typed(reread(run)) == typed(run)


def typed(value):
    """Tell 1 from 1.0 and True, which are equal to Python; -0.0 is 0.0 here too."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [typed(item) for item in value]
    return (type(value), value)


PLAIN = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["<&>", "\u2028", "reson: x, message: y"]
)
NUMBERS = st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False)


def nested(leaves):
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
    PLAIN, nested(st.none() | st.booleans() | NUMBERS | PLAIN), max_size=3
).map(stored)
TIMES = st.none() | st.floats(0, 1e6)
COUNTS = st.integers(0, 12)
STEPS = st.builds(
    wfsim.types.StepMemento,
    st.sampled_from(["InitMeta", "StartPod"]),
    st.sampled_from(list(wfsim.types.StepStatus)),
    retries=COUNTS,
    restarts=COUNTS,
    attempts=st.integers(1, 12),
    started=TIMES,
    finished=TIMES,
    output=OUTPUTS,
    operation=PLAIN,
    error=PLAIN,
)
RUNS = st.builds(
    wfsim.Memento,
    st.sampled_from(["1-Create", "12-Create"]),
    st.just(MPD),
    st.just("Create"),
    st.sampled_from(list(wfsim.types.RunStatus)),
    st.lists(
        STEPS | st.just(wfsim.types.StepMemento("StartPod")), min_size=2, max_size=3
    ).map(tuple),
    OUTPUTS,
    started=TIMES,
    finished=TIMES,
    reason=PLAIN,
    error=PLAIN,
    retries=COUNTS,
    restarts=COUNTS,
    cursor=st.integers(0, 1),
    wake=TIMES,
    entered=st.integers(-1, 9),
    digest=st.just("0123456789ab"),
    extra=st.just(EMPTY),
    owner=PLAIN,
    deadline=TIMES,
)


@unhurried
@given(RUNS)
def test_what_an_engine_can_write_reads_back_as_it_is_to_the_last_character(run):
    # By its repr: it tells types apart, and in which order keys are.
    assert repr(reread(run)._replace(resource=MPD)) == repr(run)


def tried(text):
    """Return the run that *text* is, or why it is none."""
    try:
        return wfsim.Memento.from_json("1-Create", text), ""
    except wfsim.errors.MementoError as error:
        return None, str(error)


@unhurried
@given(JSON, JSON, JSON)
@example({"flowStatus": "running"}, [], {})
def test_a_document_either_loads_or_raises_memento_error(status, steps, ours):
    document = json.loads(TEXT) | {"initContext": status, "extra": steps}
    for keys in (
        {"flowStatus": status},
        {"runningSteps": steps},
        {"runningSteps": [steps]},
        {"wfsim": ours},
        {"wfsim": {"version": 1, "times": steps, "steps": status, "of": ours}},
        {"startTime": status, "retryTimes": steps, "errorMessage": ours},
    ):
        run, refusal = tried(json.dumps(document | keys))
        assert refusal if run is None else reread(run) == run


@unhurried
@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_any_text_either_loads_or_raises_memento_error(text):
    with pytest.raises(wfsim.errors.MementoError):
        wfsim.Memento.from_json("1-Create", text)


@unhurried
@given(st.data())
def test_a_text_with_some_characters_changed_loads_or_raises_memento_error(data):
    text = begun((6.5, Complete(0, freeze({"n": 1.5})))).to_json()
    at = data.draw(st.integers(0, len(text) - 1))
    piece = data.draw(
        st.sampled_from(['"', "-1", "1e400", "null", "{", "\\", "\ud800", ""])
    )
    length = data.draw(st.integers(0, 5))
    broken = text[:at] + piece + text[at + length :]
    run, refusal = tried(broken)
    assert refusal if run is None else reread(run) == run
