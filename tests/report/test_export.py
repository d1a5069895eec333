"""Logs for other readers: pages, consoles, trace viewers, process miners."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

import wfsim
from fake_resources import polardb
from wfsim import Kind, export
from wfsim.types import Record

EVIL = "<script>alert('&\"')</script> [red]"


@pytest.fixture(scope="module")
def evil() -> wfsim.EventLog:
    records = [
        Record(0, 0.0, Kind.FAULT_ARMED, text=EVIL),
        Record(1, 0.0, Kind.STEP_STARTED, EVIL, EVIL, EVIL, EVIL, 1),
        Record(2, 1.0, Kind.STEP_FAILED, EVIL, EVIL, EVIL, EVIL, 1, EVIL + "\x00\ud800"),
    ]
    return wfsim.EventLog(records, {"title": EVIL})


class Reader(HTMLParser):
    """Collects the tags of a page, and what its images say."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))


def page(log: wfsim.EventLog, folder: Path) -> str:
    return export.to_html(log, folder / "report.html").read_text(encoding="utf-8")


def test_a_page_needs_nothing_but_itself(tmp_path, crashed):
    text = page(crashed, tmp_path)
    assert text.startswith("<!doctype html")
    without_images = re.sub(r"base64,[\w+/=]+", "", text)
    assert (
        re.findall(r"(?:src|href)=\"(?!data:)|https?://|@import|url\(", without_images)
        == []
    )
    for image in Reader(text).images:
        drawing = base64.b64decode((image["src"] or "").partition(",")[2])
        assert ElementTree.fromstring(drawing).tag.endswith("svg")


def test_a_page_says_what_happened(tmp_path, crashed):
    text = page(crashed, tmp_path)
    assert (
        "orders 1-NightlyBackup completed after 77 s with 2 retries and 1 restart. "
        "orders is Running. 1 of 3 faults never fired." in text
    )
    assert '<span class="badge never-fired">never fired</span>' in text
    assert crashed.digest() in text
    alts = [image["alt"] for image in Reader(text).images]
    assert alts[0] == wfsim.charts.gantt(crashed).sentence


def test_no_text_of_a_log_becomes_markup(tmp_path, evil):
    text = page(evil, tmp_path)
    # The data of the stepping and its script, and nothing of the log.
    assert Reader(text).tags.count("script") == 2
    assert text.count("&lt;script&gt;") >= 6
    assert EVIL not in text
    assert EVIL in stepped(text)["words"]


def stepped(text: str) -> dict[str, Any]:
    """Return the data that the script of the page steps through."""
    (data,) = re.findall(
        r'<script type="application/json" id="wf-log">(.*?)</script>', text
    )
    return json.loads(data)


def test_a_page_can_be_stepped_through(tmp_path, crashed):
    data = stepped(page(crashed, tmp_path))
    words = data["words"]
    assert [words[kind] for kind in data["kind"]] == [r.kind.value for r in crashed]
    assert data["time"] == [r.time for r in crashed]
    assert [words[text] for text in data["text"]] == [r.text for r in crashed]
    assert data["rows"] == ["TakeSnapshot", "CopyAway", "Verify"]
    assert [
        (data["rows"][row], words[status], attempt)
        for row, _, _, status, _, attempt in data["bars"]
    ] == [
        ("TakeSnapshot", "completed", 1),
        ("CopyAway", "crashed", 1),
        ("CopyAway", "completed", 2),
        ("Verify", "failed", 1),
        ("Verify", "failed", 2),
        ("Verify", "completed", 3),
    ]
    assert (data["crashes"], data["outages"]) == ([40.0], [[40.0, 50.0]])
    moved = [[words[part] for part in parts] for parts in data["changes"].values()]
    assert ["state", '"Running"', '"BackingUp"'] in [parts[:3] for parts in moved]


def test_the_rows_of_many_resources_are_in_natural_order(tmp_path, scenario):
    names = tuple(f"db-{n}" for n in range(12))
    data = stepped(page(wfsim.simulate(scenario(names)), tmp_path))
    assert (data["by"], data["rows"]) == ("resource", list(names))


def test_a_page_of_an_empty_log_says_so(tmp_path, empty):
    text = page(empty, tmp_path)
    assert "No flow has run." in text
    assert "No fault was armed." in text


def test_the_same_log_gives_the_same_page(tmp_path, crashed):
    first = page(crashed, tmp_path)
    assert page(crashed, tmp_path / "again") == first


def test_a_long_table_is_cut_and_says_so(tmp_path):
    records = [
        Record(n, 0.0, Kind.STEP_STARTED, "db", f"{n}-F", "F", "A", 1)
        for n in range(1500)
    ]
    text = page(wfsim.EventLog(records), tmp_path)
    assert text.count("The first 1,000 of 1,500 rows.") == 2


def test_a_write_that_fails_leaves_the_old_file(tmp_path, crashed, monkeypatch):
    target = export.to_html(crashed, tmp_path / "report.html")
    before = target.read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export.to_html(crashed[:5], target)
    assert target.read_bytes() == before


def test_the_console_shows_states_steps_faults_and_the_outcome(crashed):
    text = export.text_report(crashed)
    lines = [line.split() for line in text.splitlines()]
    assert ["0", "Running", "BackingUp", "BackingUp"] in lines
    assert ["CopyAway", "1", "30", "10", "crashed"] in lines
    assert ["CopyAway", "2", "50", "20", "completed"] in lines
    assert "never fired" in text
    words = " ".join(text.split())
    (notice,) = crashed.notices
    assert words.endswith(f"{export.outcome(crashed)} Notice: {notice}")


def test_a_console_shows_brackets_as_they_are(evil):
    out = io.StringIO()
    export.print_report(evil, Console(file=out, width=300))
    assert EVIL in out.getvalue()


def test_the_outcome_of_many_runs_is_counted(scenario):
    many = wfsim.simulate(scenario(("a", "b", "c", "d")))
    assert export.outcome(many) == "4 runs: 4 completed."


def test_the_outcome_tells_when_nobody_is_left_to_go_on(scenario):
    dead = wfsim.simulate(scenario(), faults=[wfsim.CrashAt(t=40.0)])
    assert export.outcome(dead) == (
        "orders 1-NightlyBackup running. orders is BackingUp. No controller is up."
    )


def test_xes_has_a_trace_per_run_and_dates(tmp_path, crashed):
    file = export.to_xes(crashed, tmp_path / "log.xes")
    root = ElementTree.parse(file).getroot()
    space = "{http://www.xes-standard.org/}"
    (trace,) = root.findall(f"{space}trace")
    told = [
        tuple(item.get("value") for item in event)[:3]
        for event in trace.findall(f"{space}event")
    ]
    assert told[:4] == [
        ("TakeSnapshot", "start", "2026-01-01T00:00:00.000+00:00"),
        ("TakeSnapshot", "complete", "2026-01-01T00:00:30.000+00:00"),
        ("CopyAway", "start", "2026-01-01T00:00:30.000+00:00"),
        ("CopyAway", "ate_abort", "2026-01-01T00:00:40.000+00:00"),
    ]


def test_xes_is_well_formed_whatever_the_names_are(tmp_path, evil):
    root = ElementTree.parse(export.to_xes(evil, tmp_path / "log.xes")).getroot()
    assert EVIL in {item.get("value") for item in root.iter()}


def test_a_history_in_a_folder_is_called_as_in_the_reference(tmp_path):
    for scenario in (polardb.scenario(replicas=0), polardb.local_scenario()):
        wfsim.export.to_history(wfsim.simulate(scenario, seed=1), tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["local_workflow.txt", "shared_workflow.txt"]
    assert len(wfsim.read_history(tmp_path / "local_workflow.txt")) > 0


@pytest.mark.parametrize(
    "write", [export.to_xes, export.to_chrome_trace, wfsim.EventLog.to_jsonl]
)
def test_where_no_file_can_be_written_is_said(tmp_path, write):
    log = wfsim.simulate(polardb.scenario(replicas=0), seed=1)
    with pytest.raises(wfsim.UsageError, match="is a folder; give the name of a file"):
        write(log, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(wfsim.UsageError, match=r"cannot be written: .*give another file"):
        write(log, tmp_path / "file" / "log")
