"""The dump of a ConfigMap, as kubectl prints it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import wfsim

unhurried = settings(deadline=None, derandomize=True)
ROOT = Path(__file__).parents[2]
DUMP = ROOT / "tests" / "golden" / "configmap-mpd-0-workflow.yaml"
KEYS = ["1-CreateSharedStorageCluster", "2-CreateSharedStorageCluster"]


def dumped(tmp_path, change=lambda item: None, name="dump.yaml"):
    item = yaml.safe_load(DUMP.read_text())
    change(item)
    path = tmp_path / name
    path.write_text(yaml.safe_dump(item, width=10**6))
    return path


def test_a_dump_has_the_runs_of_its_resource_newest_last():
    found = wfsim.load_mementos(DUMP)
    assert found.resource == ("MPDCluster", "default", "mpd-0")
    assert [(run.key, run.status) for run in found] == [
        (KEYS[0], "completed"),
        (KEYS[1], "failedAndCompleted"),
    ]
    assert {run.resource for run in found} == {found.resource}
    assert (found[-1].reason, found[:1][0].number, found.quarantined) == (
        "CM_LOST",
        1,
        (),
    )


def test_a_dump_says_in_short_what_is_in_it(tmp_path):
    assert repr(wfsim.load_mementos(DUMP)) == (
        f"<Caretaker of mpd-0: {KEYS[0]} completed, {KEYS[1]} failedAndCompleted>"
    )
    path = dumped(tmp_path, lambda item: item["data"].update({KEYS[0]: "{"}))
    assert repr(wfsim.load_mementos(path)) == (
        f"<Caretaker of mpd-0: {KEYS[1]} failedAndCompleted; quarantined: {KEYS[0]}>"
    )


def test_the_texts_of_a_dump_are_written_back_byte_for_byte():
    data = yaml.safe_load(DUMP.read_text())["data"]
    assert {run.key: run.to_json() for run in wfsim.load_mementos(DUMP)} == data


def test_the_dump_for_the_notebooks_has_the_same_runs_and_one_that_was_cut_off():
    dump = wfsim.load_mementos(ROOT / "notebooks" / "mpd-0-workflow.yaml")
    assert list(dump) == list(wfsim.load_mementos(DUMP))
    assert [entry.key for entry in dump.quarantined] == ["3-CreateSharedStorageCluster"]


@pytest.mark.parametrize("indent", [None, 4])
def test_a_dump_in_json_is_read_too(tmp_path, indent):
    path = tmp_path / "dump.json"
    path.write_text(json.dumps(yaml.safe_load(DUMP.read_text()), indent=indent))
    assert list(wfsim.load_mementos(path)) == list(wfsim.load_mementos(DUMP))


@pytest.mark.parametrize("kind", ["List", "ConfigMapList"])
def test_a_list_of_one_item_is_read_as_that_item(tmp_path, kind):
    item = yaml.safe_load(DUMP.read_text())
    path = tmp_path / "dump.yaml"
    path.write_text(yaml.safe_dump({"kind": kind, "items": [item]}))
    assert list(wfsim.load_mementos(path)) == list(wfsim.load_mementos(DUMP))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not JSON: Expecting property name"),
        ("", "not JSON: Expecting value"),
        ('{"flowName":"CreateSharedStorageCluster","flowStatus":"new"}', 'is "new", not'),
        (
            '{"flowName":"CreateSharedStorageCluster","flowStatus":"running",'
            '"wfsim":{"version":7}}',
            "written by a newer wfsim: version 7",
        ),
    ],
)
def test_an_entry_that_cannot_be_read_is_put_aside_and_the_others_go_on(
    tmp_path, text, reason
):
    path = dumped(tmp_path, lambda item: item["data"].update({KEYS[0]: text}))
    found = wfsim.load_mementos(path)
    assert [run.key for run in found] == [KEYS[1]]
    (bad,) = found.quarantined
    assert (bad.key, bad.resource, bad.text) == (KEYS[0], found.resource, text)
    assert reason in bad.reason


def test_the_flow_of_a_run_is_the_one_that_its_text_names(tmp_path):
    text = '{"flowName":"Other","flowStatus":"completed"}'
    found = wfsim.load_mementos(dumped(tmp_path, lambda it: it["data"].update(x=text)))
    assert [entry.key for entry in found.quarantined] == ["x"]
    change = {"7-CreateSharedStorageCluster": text}
    found = wfsim.load_mementos(dumped(tmp_path, lambda it: it["data"].update(change)))
    assert (found[-1].key, found[-1].flow, found.quarantined) == ("7-Other", "Other", ())


def test_a_configmap_may_be_as_large_as_an_api_server_lets_it_be(tmp_path):
    def filled(size):
        item = yaml.safe_load(DUMP.read_text())
        (text, *_) = item["data"].values()
        item["data"] = {f"{number}-{KEYS[0][2:]}": text for number in range(1, 5)}
        item["data"]["9-rest"] = '"' * (size - 4 * len(text))
        path = tmp_path / "large.json"
        path.write_text(json.dumps(item))
        assert path.stat().st_size > 1_500_000
        return path

    assert len(wfsim.load_mementos(filled(1 << 20))) == 4
    with pytest.raises(wfsim.DefinitionError, match=r":1: 1048577 bytes of data"):
        wfsim.load_mementos(filled((1 << 20) + 1))


def test_runs_are_in_the_order_of_their_numbers(tmp_path):
    def ten_more(item):
        (text, _) = item["data"].values()
        item["data"] = {f"{n}-CreateSharedStorageCluster": text for n in (10, 9, 2, 100)}

    found = wfsim.load_mementos(dumped(tmp_path, ten_more))
    assert [run.number for run in found] == [2, 9, 10, 100]


def test_the_resource_is_named_by_the_label_or_else_by_the_map(tmp_path):
    def strip(item):
        del item["metadata"]["labels"], item["metadata"]["ownerReferences"]
        item["metadata"] |= {"name": "pc-7-workflow", "namespace": "prod"}

    assert wfsim.load_mementos(dumped(tmp_path, strip)).resource == ("", "prod", "pc-7")
    path = dumped(tmp_path, lambda item: item["metadata"].update({"name": "renamed"}))
    assert wfsim.load_mementos(path).resource.name == "mpd-0"


def test_the_kind_is_that_of_the_owner_that_controls_the_map(tmp_path):
    def adopt(item):
        item["metadata"]["ownerReferences"].insert(0, {"kind": "Backup", "name": "b"})

    assert wfsim.load_mementos(dumped(tmp_path, adopt)).resource.kind == "MPDCluster"


@pytest.mark.parametrize("data", [{}, None, ...])
def test_a_map_without_entries_has_no_run(tmp_path, data):
    def empty(item):
        item["data"] = data
        if data is ...:
            del item["data"]

    found = wfsim.load_mementos(dumped(tmp_path, empty))
    assert (list(found), found.quarantined) == ([], ())
    assert repr(found) == "<Caretaker of mpd-0: no run>"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda item: item.update(kind="Secret"),
            "5: kind is 'Secret', not 'ConfigMap'; ",
        ),
        (
            lambda item: item.update(kind="List"),
            "1: 0 items; dump one ConfigMap: give what",
        ),
        (lambda item: item.update(data=["x"]), "2: data is not a mapping; give what"),
        (lambda item: item.update(metadata=3), "6: metadata is not a mapping; give what"),
        (
            lambda item: item["metadata"].update(labels=["x"]),
            "8: labels is not a mapping",
        ),
        (lambda item: item["metadata"].update(labels={"flowJobsDomain": 5}), "the label"),
        (lambda item: item["data"].update({KEYS[0]: {"a": 1}}), "3: '1-Create"),
        (
            lambda item: item["metadata"].update(labels={}, name="mine"),
            "9: whose mementos these are is not to be seen; add the label flowJobsDomain",
        ),
    ],
)
def test_what_is_no_dump_is_refused_with_file_and_line(tmp_path, change, message):
    path = dumped(tmp_path, change)
    with pytest.raises(wfsim.DefinitionError) as caught:
        wfsim.load_mementos(path)
    assert str(caught.value).startswith(f"{path}:")
    assert message in str(caught.value)


def test_several_maps_in_one_list_are_refused(tmp_path):
    item = yaml.safe_load(DUMP.read_text())
    path = tmp_path / "dump.yaml"
    path.write_text(json.dumps({"items": [item, item], "kind": "List"}))
    with pytest.raises(
        wfsim.DefinitionError, match=r"yaml:1: 2 items; dump one ConfigMap"
    ):
        wfsim.load_mementos(path)


@pytest.mark.parametrize("text", ["", "3", "[]", "kind: [", "kind: ConfigMap"])
def test_text_that_is_no_config_map_is_refused_with_a_cure(tmp_path, text):
    path = tmp_path / "dump.yaml"
    path.write_text(text)
    with pytest.raises(wfsim.DefinitionError) as caught:
        wfsim.load_mementos(path)
    assert str(caught.value).startswith(f"{path}:1: ")
    assert "; " in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(wfsim.DefinitionError, match=r"none.yaml:1: cannot be read"):
        wfsim.load_mementos(tmp_path / "none.yaml")


def tried(load, *args):
    """Return what *load* returns and how it refuses."""
    try:
        return load(*args), ""
    except wfsim.DefinitionError as error:
        return None, str(error)


@unhurried
@given(st.data())
def test_a_dump_with_some_characters_changed_is_read_or_refused_with_its_line(
    tmp_path_factory, data
):
    path = tmp_path_factory.mktemp("dump") / "dump.yaml"
    text = DUMP.read_text()
    at = data.draw(st.integers(0, len(text) - 1))
    piece = data.draw(
        st.sampled_from(["'", "-", "[", "{", "\n", "&a ", "\x00", "1: 2\n"])
    )
    path.write_text(text[:at] + piece + text[at + data.draw(st.integers(0, 4)) :])
    found, refusal = tried(wfsim.load_mementos, path)
    if found is None:
        assert refusal.startswith(f"{path}:")
    else:
        assert len(found) + len(found.quarantined) <= 3
