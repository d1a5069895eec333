"""Logs for process miners: what the formats ask for, and what PM4Py makes of them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

import wfsim
from wfsim import Kind, export
from wfsim.types import Record

ROOT = Path(__file__).parents[2]
MINING = ROOT / ".venv-mining/bin/python"


def listed(properties, required):
    """Return the schema of a list of objects."""
    item = {"type": "object", "properties": properties, "required": required}
    return {"type": "array", "items": item}


TEXT, DATE = {"type": "string"}, {"type": "string", "format": "date-time"}
DECLARED = listed({"name": TEXT, "type": TEXT}, ["name", "type"])
TYPES = listed({"name": TEXT, "attributes": DECLARED}, ["name", "attributes"])
RELATED = listed({"objectId": TEXT, "qualifier": TEXT}, ["objectId", "qualifier"])
VALUE, CHANGING = (
    {"name": TEXT, "value": TEXT},
    {"name": TEXT, "value": TEXT, "time": DATE},
)
EVENT = {
    "id": TEXT,
    "type": TEXT,
    "time": DATE,
    "attributes": listed(VALUE, ["name", "value"]),
    "relationships": RELATED,
}
OBJECT = {
    "id": TEXT,
    "type": TEXT,
    "attributes": listed(CHANGING, ["name", "value", "time"]),
    "relationships": RELATED,
}
OCEL = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {
        "eventTypes": TYPES,
        "objectTypes": TYPES,
        "events": listed(EVENT, ["id", "type", "time"]),
        "objects": listed(OBJECT, ["id", "type"]),
    },
    "required": ["eventTypes", "objectTypes", "events", "objects"],
}
"""What the JSON schema in section 8.2 of the OCEL 2.0 specification demands."""


def ocel(log, folder):
    """Return the OCEL of *log*, after the schema and what it leaves to its text."""
    found = json.loads(export.to_ocel(log, folder / "log.json").read_text())
    jsonschema.Draft7Validator(OCEL).validate(found)
    types = {
        group: {
            each["name"]: {a["name"] for a in each["attributes"]} for each in found[group]
        }
        for group in ("eventTypes", "objectTypes")
    }
    objects = {each["id"] for each in found["objects"]}
    for group, declared in (("events", "eventTypes"), ("objects", "objectTypes")):
        ids = [each["id"] for each in found[group]]
        assert len({*ids}) == len(ids)
        for each in found[group]:
            names = {value["name"] for value in each["attributes"]}
            assert names <= types[declared][each["type"]]
            assert {to["objectId"] for to in each["relationships"]} <= objects
    return found


def test_every_record_is_an_event_of_its_objects(tmp_path, crashed):
    found = ocel(crashed, tmp_path)
    assert len(found["events"]) == len(crashed)
    of = {
        (event["type"], value["value"]): [
            (to["qualifier"], to["objectId"]) for to in event["relationships"]
        ]
        for event in found["events"]
        for value in event["attributes"]
        if value["name"] == "lifecycle"
    }
    related = [
        ("resource", "db:orders"),
        ("run", "run:orders 1-NightlyBackup"),
        ("controller", "controller:controller-0"),
    ]
    assert of["CopyAway", "start"] == of["CopyAway", "complete"] == related
    assert of["Verify", "ate_abort"] == related
    assert [
        event["type"] for event in found["events"] if not event["relationships"]
    ] == []


def test_an_object_has_what_it_was_and_when(tmp_path, crashed):
    objects = {each["id"]: each for each in ocel(crashed, tmp_path)["objects"]}
    states = [
        (value["time"][11:19], value["value"])
        for value in objects["db:orders"]["attributes"]
    ]
    assert states == [
        ("00:00:00", "Running"),
        ("00:00:00", "BackingUp"),
        ("00:01:17", "Running"),
    ]
    run = objects["run:orders 1-NightlyBackup"]
    assert run["relationships"] == [{"objectId": "db:orders", "qualifier": "of"}]
    assert run["attributes"][0]["value"] == "NightlyBackup"
    assert run["attributes"][-1]["value"] == "completed"


def test_ocel_is_valid_for_logs_of_any_kind(tmp_path, crashed, empty):
    odd = '"<&\x00\ud800'
    records = [
        Record(0, 0.0, Kind.FAULT_ARMED, text=odd),
        Record(3, 1.0, Kind.STEP_STARTED, "run", "1-F", "F", odd, 1),
    ]
    for log in (crashed[:1], crashed[7:], wfsim.EventLog(records), empty):
        assert len(ocel(log, tmp_path)["events"]) == len(log)


SPACE = "{http://www.xes-standard.org/}"
VALUES = {
    "string": r"(?s).*",
    "int": r"-?\d+",
    "date": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00",
}


def test_xes_is_as_the_schema_of_ieee_1849_has_it(tmp_path, crashed, empty):
    for log in (crashed, empty):
        root = ElementTree.parse(export.to_xes(log, tmp_path / "log.xes")).getroot()
        assert re.fullmatch(r"\d+\.\d+", root.attrib["xes.version"])  # xs:decimal
        names = [child.tag.removeprefix(SPACE) for child in root]
        assert names == sorted(names)  # extensions, then traces
        for each in root.findall(f"{SPACE}extension"):
            assert {*each.attrib} == {"name", "prefix", "uri"}
        for inner in (*root.iter(f"{SPACE}trace"), *root.iter(f"{SPACE}event")):
            tags = [child.tag.removeprefix(SPACE) for child in inner]
            is_event = [tag == "event" for tag in tags]
            assert is_event == sorted(is_event)  # attributes, then events
            for child, tag in zip(inner, tags, strict=True):
                if tag != "event":
                    assert re.fullmatch(VALUES[tag], child.attrib["value"])
                    assert re.fullmatch(r"[A-Za-z_:][\w:.-]*", child.attrib["key"])


@pytest.mark.skipif(
    not MINING.exists(), reason="PM4Py is not installed here: make mining installs it"
)
def test_pm4py_reads_xes_and_ocel_and_the_declared_flows_fit():
    done = subprocess.run(
        [MINING, "tests/smoke/mining.py"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    fits = re.findall(r"fits with fitness (\S+)", done.stdout)
    assert len(fits) > 5
    assert {*fits} == {"1.000"}
