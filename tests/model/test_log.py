"""The log: fold, filter, digest, and JSON Lines there and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wfsim
from tests.changes import after, new
from wfsim import Kind
from wfsim.model.frozen import Frozen
from wfsim.model.log import MAX_BYTES
from wfsim.model.run import Complete, Start
from wfsim.types import Record

unhurried = settings(deadline=None, derandomize=True)
MPD = wfsim.types.Key("mpd", "default", "mpd-0")
FLOW = wfsim.Flow("Create", (wfsim.Step("InitMeta"), wfsim.Step("StartPod")))
META = {"title": "a log", "seed": 1}


def a_log():
    born = wfsim.Resource("mpd", "mpd-0", spec={"size": 1}, revision=1, entered=1)
    edited = born.edit(spec={"size": 1.0}, annotations={"a": "b"})._replace(revision=2)
    one = new(FLOW, MPD, params={"n": (1, None, {"x": True})})
    two = after(one, (0.0, Start(0)))
    three = after(two, (2.5, Complete(0, Frozen(id=7))))
    rows = [
        (0.0, Kind.RESOURCE_CREATED, "", "", "-> Creating", born),
        (0.0, Kind.CONTROLLER_STARTED, "", "", "controller-0", None),
        (0.0, Kind.RUN_CREATED, "1-Create", "", "", one),
        (0.0, Kind.STEP_STARTED, "1-Create", "InitMeta", "", two),
        (1.0, Kind.RESOURCE_EDITED, "", "", "spec", edited),
        (2.0, Kind.STEP_LOG, "1-Create", "InitMeta", "line\u2028end \ud800", None),
        (2.5, Kind.STEP_COMPLETED, "1-Create", "InitMeta", "", three),
        (3.0, Kind.RUN_PRUNED, "1-Create", "", "", None),
        (4.0, Kind.RESOURCE_DELETED, "", "", "", None),
    ]
    return wfsim.EventLog(
        [
            Record(seq, time, kind, "mpd-0", run, "", step, 1 if step else 0, text, value)
            for seq, (time, kind, run, step, text, value) in enumerate(rows)
        ],
        META,
    )


def test_a_log_has_a_length_iterates_and_slices_into_logs():
    log = a_log()
    assert len(log) == 9
    assert [record.seq for record in log[2:4]] == [2, 3]
    assert log[2:4].meta == META
    assert log[-1].kind is Kind.RESOURCE_DELETED
    assert str(log) == f"<EventLog 9 records, 4.000 s, digest {log.digest()}>"
    assert repr(log[:0]).startswith("<EventLog 0 records, 0.000 s, digest ")


def test_a_filter_takes_what_fits_all_that_is_given():
    log = a_log()
    assert [r.seq for r in log.filter(Kind.STEP_STARTED, Kind.STEP_LOG)] == [3, 5]
    assert [r.seq for r in log.filter(step="InitMeta")] == [3, 5, 6]
    assert [r.seq for r in log.filter(Kind.STEP_LOG, run="1-Create")] == [5]
    assert log.filter(resource="mpd-1") == []
    assert log.filter() == log.records


def test_the_fold_of_a_prefix_is_what_was_durable_then():
    log = a_log()
    assert log.fold(0) == (0.0, {}, {})
    middle = log.fold(5)
    assert (middle.time, middle.resources["mpd-0"].spec) == (1.0, {"size": 1.0})
    assert middle.mementos["mpd-0", "1-Create"].steps[0].status == "inited"
    assert log.fold(7).mementos["mpd-0", "1-Create"].steps[0].output == {"id": 7}
    assert log.fold() == (4.0, {}, {})


def test_a_log_comes_back_from_json_lines_as_it_was(tmp_path):
    log = a_log()
    back = wfsim.EventLog.from_jsonl(log.to_jsonl(tmp_path / "new" / "log.jsonl"))
    assert back.records == log.records
    assert (back.meta, back.digest()) == (log.meta, log.digest())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["log.jsonl"]


def test_a_line_tells_only_what_has_changed():
    lines = [json.loads(line) for line in a_log().lines()]
    assert lines[0] == {"format": "wfsim-log", "version": 1, "records": 9, "meta": META}
    assert lines[5] == {
        "seq": 4,
        "time": 1.0,
        "kind": "resource.edited",
        "resource": "mpd-0",
        "text": "spec",
        "object": {"spec": {"size": 1.0}, "annotations": {"a": "b"}, "revision": 2},
    }
    assert lines[7]["memento"] == {
        "steps": {"0": {"status": "completed", "finished": 2.5, "output": {"id": 7}}}
    }


def test_every_line_is_one_line_to_every_reader(tmp_path):
    path = a_log().to_jsonl(tmp_path / "log.jsonl")
    assert len(path.read_text(encoding="utf-8").splitlines()) == 10


def test_a_slice_comes_back_too(tmp_path):
    part = a_log()[3:8:2]
    back = wfsim.EventLog.from_jsonl(part.to_jsonl(tmp_path / "log.jsonl"))
    assert (back.records, back.digest()) == (part.records, part.digest())


def test_time_0_is_a_float_in_the_file(tmp_path):
    log = wfsim.EventLog([Record(0, 0, Kind.CONTROLLER_STARTED)])
    assert json.loads(list(log.lines())[1])["time"] == 0.0
    back = wfsim.EventLog.from_jsonl(log.to_jsonl(tmp_path / "log.jsonl"))
    assert back.digest() == log.digest()


@pytest.mark.parametrize("index", range(9))
def test_the_digest_changes_with_any_record(index):
    log = a_log()
    other = a_log()
    other.records[index] = other.records[index]._replace(time=2.25)
    missing = wfsim.EventLog([r for r in log if r.seq != index], META)
    assert len({log.digest(), other.digest(), missing.digest()}) == 3


def test_the_digest_tells_apart_numbers_that_are_equal_to_python():
    def digest(value):
        resource = wfsim.Resource("mpd", "mpd-0", spec={"n": value})
        record = Record(0, 0.0, Kind.RESOURCE_CREATED, "mpd-0", value=resource)
        return wfsim.EventLog([record]).digest()

    assert len({digest(1), digest(1.0), digest(True), digest("1")}) == 4
    assert digest(1) == digest(1)


def test_the_digest_follows_a_log_that_grows():
    log = wfsim.EventLog()
    first = log.digest()
    log.records.append(Record(0, 0.0, Kind.CONTROLLER_STARTED))
    assert log.digest() != first


def corrupt(path, number, change):
    lines = path.read_text().splitlines(keepends=True)
    lines[number - 1] = change(lines[number - 1])
    path.write_text("".join(lines))
    return path


def replaced(old, new):
    def change(line):
        assert old in line
        return line.replace(old, new)

    return change


@pytest.mark.parametrize(
    ("number", "change", "message"),
    [
        (1, lambda line: "", "1: not a line of a wfsim log: the head has no format"),
        (1, replaced("wfsim-log", "other"), "1: not a line of a wfsim log: the head has"),
        (
            1,
            replaced('"version":1', '"version":9'),
            "1: not a line of a wfsim log: it has",
        ),
        (1, replaced('"records":9', '"records":true'), "1: not a line of a wfsim log"),
        (1, replaced('"meta":{', '"meta":{"flows":{"F":[1]},'), "1: not a line of a wfs"),
        (1, replaced('"meta":{', '"meta":{"edges":{"F":[["a"]]},'), "1: not a line of a"),
        (3, lambda line: line[:20], "3: not a line of a wfsim log: Expecting"),
        (3, lambda line: "\n", "3: not a line of a wfsim log: Expecting value"),
        (3, lambda line: "[]\n", "3: not a line of a wfsim log: it is not an object"),
        (3, lambda line: "{}\n", "3: not a line of a wfsim log: 'seq'"),
        (3, replaced("controller.started", "no.kind"), "3: not a line of a wfsim log"),
        (3, replaced('"seq":1', '"seq":0'), "3: not a line of a wfsim log: record 0"),
        (
            3,
            replaced('"time":0.0', '"time":-1'),
            "3: not a line of a wfsim log: record 1",
        ),
        (
            3,
            replaced('"time":0.0', '"time":"0"'),
            "3: not a line of a wfsim log: time is",
        ),
        (
            3,
            replaced('"time":0.0', '"time":1e999'),
            "3: not a line of a wfsim log: 1e999",
        ),
        (
            3,
            replaced('"text"', '"txt"'),
            "3: not a line of a wfsim log: unknown key 'txt'",
        ),
        (
            4,
            replaced('"run":"1-Create"', '"run":3'),
            "4: not a line of a wfsim log: run is",
        ),
        (4, replaced('"InitMeta"', '["InitMeta"]'), "4: not a line of a wfsim log: na"),
        (4, replaced('"flow"', '"flew"'), "4: not a line of a wfsim log: unknown field"),
        (
            4,
            replaced('"started":0.0', '"started":"x"'),
            "4: not a line of a wfsim log: st",
        ),
        (8, replaced('"steps":{"0"', '"steps":{"7"'), "8: not a line of a wfsim log: no"),
        (8, replaced('"completed"', '"done"'), "8: not a line of a wfsim log: 'done' is"),
        (10, lambda line: "", "9: 8 of 9 records; the file was cut short"),
        (6, lambda line: "", "9: 8 of 9 records; the file was cut short"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path, number, change, message):
    path = a_log().to_jsonl(tmp_path / "log.jsonl")
    corrupt(path, number, change)
    with pytest.raises(wfsim.DefinitionError) as caught:
        wfsim.EventLog.from_jsonl(path)
    assert f"{path}:{message}" in str(caught.value)


def test_bytes_that_are_no_text_are_named(tmp_path):
    path = a_log().to_jsonl(tmp_path / "log.jsonl")
    path.write_bytes(path.read_bytes().replace(b"controller-0", b"\xff\xfe"))
    with pytest.raises(wfsim.DefinitionError, match=r"log.jsonl:3: not a line"):
        wfsim.EventLog.from_jsonl(path)


@pytest.mark.parametrize("name", ["missing.jsonl", ".", "no\0name"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(wfsim.DefinitionError, match=r":1: .*give what to_jsonl"):
        wfsim.EventLog.from_jsonl(tmp_path / name)


def test_an_empty_file_is_no_log(tmp_path):
    path = tmp_path / "log.jsonl"
    path.touch()
    with pytest.raises(wfsim.DefinitionError, match=r"log.jsonl:1: "):
        wfsim.EventLog.from_jsonl(path)


def tried(load, *args):
    """Return what *load* returns and how it refuses."""
    try:
        return load(*args), ""
    except wfsim.DefinitionError as error:
        return None, str(error)


@unhurried
@given(st.data())
def test_a_file_with_some_bytes_changed_is_read_or_refused_with_its_line(
    tmp_path_factory, data
):
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    text = a_log().to_jsonl(path).read_bytes()
    at = data.draw(st.integers(0, len(text) - 1))
    piece = data.draw(
        st.sampled_from([b'"', b"-1", b"[]", b"null", b"{", b"\n", b"\xff"])
    )
    path.write_bytes(text[:at] + piece + text[at + data.draw(st.integers(0, 4)) :])
    log, refusal = tried(wfsim.EventLog.from_jsonl, path)
    if log is None:
        assert refusal.startswith(f"{path}:")
    else:
        assert len(log) == 9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replaced('"version":1', '"version":99'), "it has version 99, not"),
        (replaced('"meta":{', '"meta":[],"more":{'), "meta is"),
    ],
)
def test_a_head_of_another_kind_is_refused(tmp_path, change, message):
    path = a_log().to_jsonl(tmp_path / "log.jsonl")
    corrupt(path, 1, change)
    with pytest.raises(wfsim.DefinitionError, match=rf"log\.jsonl:1: .*{message}"):
        wfsim.EventLog.from_jsonl(path)


def test_a_file_beyond_the_bound_is_refused_unread(tmp_path):
    path = tmp_path / "huge.jsonl"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(wfsim.DefinitionError, match="slice the log first"):
        wfsim.EventLog.from_jsonl(path)


def test_what_was_durable_shows_itself_by_name():
    shown = repr(a_log().fold(5))
    assert shown.startswith("<Snapshot at 1.000 s: 1 resource, 1 memento>\n  mpd-0 ")
    assert "snapshot.resources[NAME]" in shown
    assert "mpd-0" in a_log().fold(5)._repr_html_()
