"""Logs for trace viewers: Chrome's trace events, and OpenTelemetry's spans."""

from __future__ import annotations

import base64
import json
from collections import Counter

import jsonschema
import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

import wfsim
from fake_resources import polardb
from wfsim import Kind, export
from wfsim.types import Record

ODD = "<script>'&\"\x00\ud800"


@pytest.fixture(scope="module")
def logs(crashed, empty):
    """Logs of any kind: calm, crashed, of many resources, cut, empty, odd."""
    records = [
        Record(0, 0.0, Kind.FAULT_ARMED, text=ODD),
        Record(1, 0.0, Kind.STEP_STARTED, ODD, ODD, ODD, ODD, 1),
        Record(2, 1.0, Kind.STEP_FAILED, ODD, ODD, ODD, ODD, 1, ODD),
    ]
    many = polardb.scenario(clusters=3, pod_failure=0.3)
    odd = wfsim.EventLog(records)
    big = wfsim.simulate(many, [wfsim.CrashAt(t=30, restart_after=5)], seed=2)
    return [crashed, crashed[5:], crashed[:9], big, odd, odd[:2], empty]


NUMBER, TEXT, ID = {"type": "number"}, {"type": "string"}, {"type": "integer"}
COMMON = {"name": TEXT, "ph": TEXT, "pid": ID, "tid": ID, "args": {"type": "object"}}


def phase(letter, required, **more):
    """Return the schema of the events of one phase."""
    properties = {**COMMON, **more, "ph": {"const": letter}}
    return {
        "type": "object",
        "properties": properties,
        "required": ["name", "ph", "pid", "tid", *required],
        "additionalProperties": False,
    }


TIME = {"type": "number", "minimum": 0}
TRACE = {
    "type": "object",
    "properties": {
        "displayTimeUnit": {"enum": ["ms", "ns"]},
        "traceEvents": {
            "type": "array",
            "items": {
                "oneOf": [
                    phase("X", ["ts", "dur"], ts=TIME, dur=TIME, cat=TEXT),
                    phase("i", ["ts"], ts=TIME, s={"enum": ["g", "p", "t"]}),
                    {
                        **phase("M", ["args"]),
                        "allOf": [
                            {
                                "properties": {
                                    "name": {"enum": ["process_name", "thread_name"]},
                                    "args": {"required": ["name"]},
                                }
                            }
                        ],
                    },
                ]
            },
        },
    },
    "required": ["traceEvents"],
}
"""What "Trace Event Format", which Perfetto reads, says of the phases that we write."""


def test_a_chrome_trace_is_as_the_format_has_it_for_logs_of_any_kind(tmp_path, logs):
    for log in logs:
        text = export.to_chrome_trace(log, tmp_path / "trace.json").read_text()
        jsonschema.Draft7Validator(TRACE).validate(json.loads(text))


def test_slices_of_one_thread_do_not_overlap_which_perfetto_would_drop(tmp_path, logs):
    for log in logs:
        text = export.to_chrome_trace(log, tmp_path / "trace.json").read_text()
        ends: dict[tuple[int, int], float] = {}
        for event in json.loads(text)["traceEvents"]:
            if event["ph"] == "X":
                thread = event["pid"], event["tid"]
                assert event["ts"] >= ends.get(thread, 0.0) - 1e-3
                ends[thread] = event["ts"] + event["dur"]


def test_a_chrome_trace_has_a_slice_per_attempt(tmp_path, crashed):
    file = export.to_chrome_trace(crashed, tmp_path / "trace.json")
    events = json.loads(file.read_text())["traceEvents"]
    slices = [(e["name"], e["ts"], e["dur"]) for e in events if e["ph"] == "X"]
    assert slices[:3] == [
        ("TakeSnapshot", 0.0, 30e6),
        ("CopyAway", 30e6, 10e6),
        ("CopyAway", 50e6, 20e6),
    ]
    instants = [e["name"] for e in events if e["ph"] == "i"]
    assert "controller.crashed: controller-0" in instants
    names = {e["args"]["name"] for e in events if e["ph"] == "M"}
    assert names == {"control plane", "orders", "1-NightlyBackup"}


def spans(log, folder):
    """Return the spans of *log*, after OpenTelemetry's protobuf has read them."""
    request = json.loads(export.to_otlp(log, folder / "spans.json").read_text())
    (of_resource,) = request["resourceSpans"]
    (of_scope,) = of_resource["scopeSpans"]
    found = of_scope["spans"]
    plain = json.loads(json.dumps(request))
    for span in plain["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        # OTLP has hex where the JSON of protobuf has base64; all else is as there.
        for name in ("traceId", "spanId", "parentSpanId"):
            if name in span:
                raw = bytes.fromhex(span[name])
                assert len(raw) == (16 if name == "traceId" else 8)
                span[name] = base64.b64encode(raw).decode()
    read = ParseDict(plain, ExportTraceServiceRequest())
    assert len(read.resource_spans[0].scope_spans[0].spans) == len(found)
    return found


def test_spans_are_as_opentelemetry_has_them_for_logs_of_any_kind(tmp_path, logs):
    for log in logs:
        found = spans(log, tmp_path)
        by_id = {(span["traceId"], span["spanId"]): span for span in found}
        assert len(by_id) == len(found)
        for span in found:
            start, end = (int(span[f"{n}TimeUnixNano"]) for n in ("start", "end"))
            assert start <= end
            assert all(start <= int(e["timeUnixNano"]) for e in span["events"])
            if "parentSpanId" in span:
                assert (span["traceId"], span["parentSpanId"]) in by_id


def test_a_run_is_a_trace_and_an_attempt_a_span_of_it(tmp_path, crashed):
    found = spans(crashed, tmp_path)
    root = found[0]
    told = [
        (
            span["name"],
            (int(span["startTimeUnixNano"]) - int(root["startTimeUnixNano"])) / 1e9,
            span.get("status", {}).get("code"),
            span.get("parentSpanId") == root["spanId"],
        )
        for span in found
    ]
    assert told == [
        ("NightlyBackup", 0.0, 1, False),
        ("TakeSnapshot", 0.0, 1, True),
        ("CopyAway", 30.0, 2, True),
        ("CopyAway", 50.0, 1, True),
        ("Verify", 70.0, 2, True),
        ("Verify", 71.0, 2, True),
        ("Verify", 72.0, 1, True),
        ("control plane", 0.0, None, False),
    ]
    happened = Counter(event["name"] for event in found[-1]["events"])
    assert happened["controller.crashed"] == 1
    assert found[2]["status"]["message"] == "crashed"
    attributes = {each["key"]: each["value"] for each in found[3]["attributes"]}
    assert attributes["wfsim.attempt"] == {"intValue": "2"}


def test_what_had_not_ended_ends_with_the_log_and_has_no_status(tmp_path, crashed):
    root, _, copying = spans(crashed[:9], tmp_path)[:3]
    assert "status" not in root
    assert "status" not in copying
    assert copying["endTimeUnixNano"] == root["endTimeUnixNano"]


def test_ids_are_those_of_the_log_and_no_others(tmp_path, crashed):
    ids = [span["spanId"] for span in spans(crashed, tmp_path)]
    assert ids == [span["spanId"] for span in spans(crashed, tmp_path)]
    assert not {*ids} & {span["spanId"] for span in spans(crashed[:9], tmp_path)}
