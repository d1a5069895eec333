"""Histories, whatever they are written in, are the same attempts."""

from __future__ import annotations

import csv
import json
import math
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wfsim
from fake_resources import polardb
from wfsim.history import tiem
from wfsim.history.attempts import COLUMNS, SEEN

COMPARED = ["resource", "step", "attempt", "status", "duration", "waited", "censored"]


def line(time, kind, step="", *, resource="mpd-0", error="", **more):
    """A line of the reference's recorder, *time* seconds after midnight."""
    row = {
        "resource_name": resource, "namespace": "default", "flow_name": "Create",
        "step_name": step, "workflow_id": 1767225600000,
        "step_id": 1767225600 * 10**9 + round(time * 10**9), "type": kind,
        "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-01T00:00:00Z",
        "step": 1, "step_count": 2, "retry": 0, "error": error, "extra_ctx": None,
        "level": "info", "msg": "", "time": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    return json.dumps(row | more)


def read(tmp_path, *lines):
    file = tmp_path / "shared_workflow.txt"
    file.write_text("\n".join(lines) + "\n")
    return wfsim.read_history(file)


def rows(past, *columns):
    frame = past.attempts[list(columns or ("step", "attempt", "status", "duration"))]
    return [tuple(row) for row in frame.itertuples(index=False)]


def test_lines_of_the_reference_become_attempts(tmp_path):
    past = read(
        tmp_path,
        line(0, "WorkFlowStart"),
        line(0, "StepInited", "A"),
        line(3.5, "StepError", "A", error="step A fail: disk full"),
        line(4.5, "WorkFlowStart"),
        line(4.5, "StepInited", "A"),
        line(6.5, "StepCompleted", "A"),
        line(6.5, "StepInited", "B"),
        line(7.5, "StepWaiting", "B"),
        line(37.5, "StepCompleted", "B"),
        line(37.5, "WorkFlowCompleted", start_time="0001-01-01T00:00:00Z"),
    )
    assert rows(past) == [
        ("A", 1, "failed", 3.5),
        ("A", 2, "completed", 2.0),
        ("B", 1, "completed", 1.0),
    ]
    assert past.attempts["waited"].tolist() == [0.0, 0.0, 30.0]
    assert past.attempts["case"].unique().tolist() == ["default/mpd-0/1767225600000"]
    assert past.attempts.dtypes.astype(str).to_dict() == {
        **dict.fromkeys(("case", "flow", "resource", "step", "status"), "str"),
        **dict.fromkeys(("start", "end", "duration", "waited"), "float64"),
        "attempt": "int64",
        "censored": "bool",
    }
    assert tuple(past.attempts.columns) == COLUMNS


def test_a_run_that_is_taken_up_again_tells_of_a_crash_of_all_that_was_under_way(
    tmp_path,
):
    past = read(
        tmp_path,
        line(0, "StepInited", "A"),
        line(1, "StepInited", "A", resource="mpd-1"),
        line(5, "StepInited", "B", resource="mpd-2"),
        line(60, "WorkFlowStart"),
        line(60, "StepInited", "A"),
        line(61, "WorkFlowStart", resource="mpd-1"),
        line(61, "StepInited", "A", resource="mpd-1"),
        line(70, "StepCompleted", "A"),
        line(90, "StepCompleted", "B", resource="mpd-2"),
    )
    # The last line before the crash is the last that is known of those who were lost;
    # B, whose process lived on, has come to its end.
    assert rows(past, "resource", "status", "duration", "censored") == [
        ("mpd-0", "crashed", 5.0, True),
        ("mpd-1", "crashed", 4.0, True),
        ("mpd-2", "completed", 85.0, False),
        ("mpd-0", "completed", 10.0, False),
        ("mpd-1", "running", 29.0, True),
    ]


def test_reasons_say_how_an_attempt_was_cut_short(tmp_path):
    past = read(
        tmp_path,
        line(0, "StepInited", "A"),
        line(5, "StepError", "A", error="reson: CANCELLED, message: stop"),
        line(5, "WorkFlowInterrupt", error="reson: CANCELLED, message: stop"),
        line(6, "StepInited", "A", resource="b"),
        line(8, "WorkFlowInterrupt", resource="b", error="reson: CAPACITY, message: x"),
        line(9, "StepInited", "A", resource="c"),
        line(10, "StepError", "A", resource="c", error="reson: MANY_RETRY, message: x"),
        line(11, "StepError", "A", resource="c", error="reson: MANY_RETRY, message: x"),
        line(12, "StepInited", "A", resource="d"),
        line(14, "StepError", "A", resource="d", error="slow", extra_ctx={"limit": 2.0}),
        line(15, "StepInited", "A", resource="e"),
        line(17, "StepError", "A", resource="e", error="step A fail: no end after 2 s"),
    )
    assert rows(past, "resource", "status", "duration", "censored") == [
        ("mpd-0", "cancelled", 5.0, True),
        ("b", "interrupted", 2.0, True),
        ("c", "failed", 1.0, False),
        ("d", "timed out", 2.0, True),
        ("e", "failed", 2.0, False),
    ]


def test_a_failing_hook_makes_a_failure_of_a_success(tmp_path):
    past = read(
        tmp_path,
        line(0, "StepInited", "A"),
        line(3, "StepCompleted", "A"),
        line(3, "StepError", "A", error="hook"),
    )
    assert rows(past) == [("A", 1, "failed", 3.0)]


def test_a_line_that_came_twice_counts_once(tmp_path):
    past = read(
        tmp_path,
        line(0, "StepInited", "A"),
        line(0, "StepInited", "A"),
        line(2, "StepCompleted", "A"),
        line(2, "StepCompleted", "A"),
        line(2, "StepInited", "B"),
    )
    assert rows(past) == [("A", 1, "completed", 2.0), ("B", 1, "running", 0.0)]
    assert past.problems == (
        f"{tmp_path / 'shared_workflow.txt'}:2: is like a line before, and not counted "
        "again; nor is any of 1 other",
    )


def test_lines_with_the_newest_first_are_read_as_if_they_were_turned_round(tmp_path):
    lines = (
        line(0, "StepInited", "A"),
        line(2, "StepCompleted", "A"),
        line(2, "StepInited", "B"),
        line(3, "StepCompleted", "B"),
    )
    told = [("A", 1, "completed", 2.0), ("B", 1, "completed", 1.0)]
    assert rows(read(tmp_path, *lines)) == rows(read(tmp_path, *lines[::-1])) == told


def test_a_failure_that_speaks_of_a_time_limit_is_a_failure(tmp_path):
    flow = wfsim.Flow("F", (wfsim.Step("A", duration=wfsim.Duration.parse(3)),))
    fault = wfsim.FailStep("A", error="no end after 5 s")
    log = wfsim.simulate(wfsim.Scenario.of_flow(flow), faults=[fault])
    file = wfsim.export.to_history(log, tmp_path / "shared_workflow.txt")
    for history in (log, file):
        assert rows(wfsim.read_history(history), "step", "status") == [
            ("A", "failed"),
            ("A", "completed"),
        ]
        assert wfsim.calibrate(history).frame["failures"].tolist() == [1]


def test_what_a_time_limit_cut_short_is_so_in_the_log_and_in_its_lines(tmp_path):
    flow = wfsim.Flow("F", (wfsim.Step("A", duration=wfsim.Duration.parse(9)),))
    policy = wfsim.Policy(timeout=5.0, retry=wfsim.Retry(limit=1))
    log = wfsim.simulate(wfsim.Scenario.of_flow(flow, policy=policy))
    file = wfsim.export.to_history(log, tmp_path / "shared_workflow.txt")
    for history in (log, file):
        assert rows(wfsim.read_history(history), "status", "duration", "censored") == [
            ("timed out", 5.0, True),
            ("timed out", 5.0, True),
        ]


def test_whatever_reason_a_step_gives_it_is_no_cancel():
    @wfsim.step
    def A(ctx):
        yield from ctx.sleep(1.0)
        raise wfsim.Interrupted("CANCELLED", "by me")

    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    machine = machine.unstable("Creating", run="F")
    flow = wfsim.Flow("F", (wfsim.Step("A"),))
    scenario = wfsim.Scenario([wfsim.Resource("db", "a")], machine, [flow], [A])
    past = wfsim.read_history(wfsim.simulate(scenario))
    assert rows(past, "status", "duration") == [("interrupted", 1.0)]


def test_an_end_without_a_beginning_counts_but_has_no_duration(tmp_path):
    past = read(tmp_path, line(3, "StepCompleted", "A"))
    assert rows(past, "step", "status", "censored") == [("A", "completed", False)]
    assert math.isnan(past.attempts["duration"].iloc[0])


def test_lines_that_cannot_be_read_are_passed_over_and_told_of(tmp_path):
    past = read(
        tmp_path,
        line(0, "StepInited", "A"),
        "{",
        "[]",
        line(1, "StepDone", "A"),
        line(1, "StepError"),
        line(1, "StepError", "A", workflow_id=None),
        line(1, "StepError", "A", step_id=0, end_time="yesterday"),
        json.dumps({"type": "StepInited"}),
        line(2, "StepCompleted", "A"),
        "",
    )
    assert rows(past) == [("A", 1, "completed", 2.0)]
    file = tmp_path / "shared_workflow.txt"
    assert [text.removeprefix(f"{file}:")[:60] for text in past.problems] == [
        "2: not a line of a history: Expecting property name enclosed",
        "3: not a line of a history: it is not an object",
        "4: not a line of a history: unknown type 'StepDone'; did you",
        "5: not a line of a history: step_name is empty",
        "6: not a line of a history: workflow_id is None",
        "7: not a line of a history: 'yesterday' is neither seconds n",
        "8: not a line of a history: 'resource_name' is missing",
    ]
    assert repr(past) == (
        "<PastRuns: 1 attempt of 1 step in 1 run: 1 completed; 7 problems>"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1: the file is empty"),
        ("hello\n", "1: not a line of a history: Expecting value"),
    ],
)
def test_a_file_without_any_line_of_a_history_is_refused(tmp_path, text, told):
    file = tmp_path / "shared_workflow.txt"
    file.write_text(text)
    with pytest.raises(wfsim.DefinitionError) as error:
        wfsim.read_history(file)
    assert str(error.value).startswith(f"{file}:{told}")
    with pytest.raises(wfsim.DefinitionError, match=r"none.txt:1: cannot be read: No su"):
        wfsim.read_history(tmp_path / "none.txt")


def test_without_an_exact_time_the_end_time_of_a_line_is_taken(tmp_path):
    past = read(
        tmp_path,
        line(0, "StepInited", "A", step_id=None, end_time="2026-01-01T00:00:05Z"),
        line(0, "StepCompleted", "A", step_id=None, end_time="2026-01-01T02:00:09+02:00"),
    )
    assert rows(past) == [("A", 1, "completed", 4.0)]


@pytest.fixture(scope="module")
def log():
    """Twelve clusters, one pod in five failing, two crashes, one cancel."""
    faults = [
        *(wfsim.CrashAt(t=t, restart_after=20) for t in (50, 110)),
        wfsim.CancelAt(t=90, resource="mpd-3"),
    ]
    scenario = polardb.scenario(replicas=2, clusters=12, pod_failure=0.2)
    return wfsim.simulate(scenario, faults, seed=1, until=300)


def test_a_log_is_read_from_memory_and_from_its_file(log, tmp_path):
    past = wfsim.read_history(log)
    again = wfsim.read_history(log.to_jsonl(tmp_path / "log.jsonl"))
    assert again.attempts.equals(past.attempts)
    assert {"completed", "failed", "crashed", "cancelled"} <= set(past.attempts["status"])
    steps = wfsim.tables.steps(log)
    assert past.attempts["start"].tolist() == steps["start"].tolist()
    assert (past.attempts["censored"] == ~past.attempts["status"].isin(SEEN)).all()


@pytest.mark.parametrize("kind", ["lines", "xes"])
def test_what_a_log_is_exported_to_reads_back_as_the_log(log, tmp_path, kind):
    if kind == "xes":
        file = wfsim.export.to_xes(log, tmp_path / "log.xes")
    else:
        file = wfsim.export.to_history(log, tmp_path / "shared_workflow.txt")
    order = ["resource", "start", "step"]
    past, again = (
        wfsim.read_history(source).attempts.sort_values(order).reset_index(drop=True)
        for source in (log, file)
    )
    same = ["resource", "flow", "step", "attempt", "status", "censored"]
    assert again[same].equals(past[same])
    off = (again["duration"] - past["duration"]).abs()
    if kind == "lines":
        # No line tells of a crash: what was lost is known until the line before it.
        lost = past["status"] == "crashed"
        assert (again["duration"] <= past["duration"] + 1e-8)[lost].all()
        off = off[~lost]
    assert off.max() <= {"xes": 0.0011, "lines": 1e-8}[kind]


def test_logs_of_several_simulations_are_one_history(log):
    past = wfsim.read_history([log, log])
    assert len(past) == 2 * len(wfsim.read_history(log))
    assert past.attempts["case"].nunique() == 24
    with pytest.raises(wfsim.UsageError, match="a history is a path, a log or logs, no"):
        wfsim.read_history([3])


def test_a_frame_that_was_filtered_is_a_history(log):
    frame = wfsim.read_history(log).attempts
    part = wfsim.read_history(frame[frame["step"] == "CreateRwPod"])
    assert set(part.attempts["step"]) == {"CreateRwPod"}
    with pytest.raises(wfsim.UsageError, match="the frame has no column 'waited'"):
        wfsim.read_history(frame.drop(columns="waited"))


def test_a_wait_of_a_log_is_apart_from_its_work():
    @wfsim.step
    def Look(ctx):
        yield from ctx.sleep(2.0)
        if ctx.clock.now < 60.0:
            raise wfsim.Waiting(after=30.0)

    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    machine = machine.unstable("Creating", run="F")
    flow = wfsim.Flow("F", (wfsim.Step("Look"),))
    scenario = wfsim.Scenario([wfsim.Resource("db", "a")], machine, [flow], [Look])
    past = wfsim.read_history(wfsim.simulate(scenario))
    assert rows(past, "status", "duration", "waited") == [("completed", 2.0, 64.0)]


def table(path, head, *lines):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head.split(), *(line.split() for line in lines)])
    return path


def test_a_csv_of_attempts_is_read_through_a_mapping(tmp_path):
    file = table(
        tmp_path / "jobs.csv",
        "order activity began done outcome idle",
        "1 Copy 0 10.5 OK 2",
        "1 Check 10.5 12 broken 0",
        "2 Copy 5 20 stopped 0",
        "2 Check nonsense 20 OK 0",
    )
    columns = {"case": "order", "step": "activity", "start": "began", "end": "done"}
    past = wfsim.read_history(
        file,
        columns={**columns, "status": "outcome", "waited": "idle"},
        statuses={"broken": "failed", "stopped": "cancelled"},
    )
    assert rows(past, "case", "step", "status", "duration", "waited", "censored") == [
        ("1", "Copy", "completed", 8.5, 2.0, False),
        ("2", "Copy", "cancelled", 15.0, 0.0, True),
        ("1", "Check", "failed", 1.5, 0.0, False),
    ]
    assert past.problems == (
        f"{file}:5: 'nonsense' is neither seconds nor a date such as "
        "2021-07-01T12:00:00Z",
    )


def test_a_csv_of_events_is_read_through_a_mapping(tmp_path):
    file = table(
        tmp_path / "events.csv",
        "id what when how",
        "1 Copy 2021-07-01T12:00:00Z start",
        "1 Copy 2021-07-01T12:00:04Z suspend",
        "1 Copy 2021-07-01T12:01:04Z resume",
        "1 Copy 2021-07-01T12:01:06Z complete",
        "2 Copy 2021-07-01T12:01:06Z start",
        "1 Check 2021-07-01T12:01:16Z start",
    )
    columns = {"case": "id", "step": "what", "time": "when", "transition": "how"}
    past = wfsim.read_history(file, columns=columns)
    assert rows(past, "case", "step", "status", "duration", "waited") == [
        ("1", "Copy", "completed", 6.0, 60.0),
        ("2", "Copy", "running", 10.0, 0.0),
        ("1", "Check", "running", 0.0, 0.0),
    ]


def test_a_row_that_has_ended_nobody_knows_when_counts_but_has_no_duration(tmp_path):
    file = tmp_path / "tickets.csv"
    file.write_text("c,s,a,b,st\n1,A,0,,ok\n2,A,0,,failed\n3,A,5,,canceled\n4,A,5,9,ok\n")
    columns = {"case": "c", "step": "s", "start": "a", "end": "b", "status": "st"}
    past = wfsim.read_history(file, columns=columns)
    told = [("completed", "nan"), ("failed", "nan"), ("cancelled", "0.0")]
    found = [(status, str(each)) for status, each in rows(past, "status", "duration")]
    assert found == [*told, ("completed", "4.0")]
    calibration = wfsim.calibrate(past)
    assert calibration.frame[["attempts", "failures"]].values.tolist() == [[4, 1]]
    assert str(calibration.durations["A"]) == "4 s"


def test_steps_of_one_case_that_are_under_way_together_keep_their_durations(tmp_path):
    file = tmp_path / "events.txt"  # With columns it is a CSV, whatever it is called.
    file.write_text(
        "c,s,t,tr\n1,A,0,start\n1,B,1,start\n1,A,2,suspend\n1,C,3,start\n1,A,4,resume\n"
        "1,A,5,complete\n1,C,7,complete\n1,B,9,fail\n1,D,9,start\n1,D,11,start\n"
        "1,D,12,complete\n"
    )
    columns = {"case": "c", "step": "s", "time": "t", "transition": "tr"}
    past = wfsim.read_history(file, columns=columns)
    assert rows(past) == [
        ("A", 1, "completed", 3.0),
        ("B", 1, "failed", 8.0),
        ("C", 1, "completed", 4.0),
        ("D", 1, "crashed", 0.0),
        ("D", 2, "completed", 1.0),
    ]
    assert past.attempts["waited"].tolist() == [2.0, 0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("nothing", [None, 3])
def test_what_is_no_history_at_all_is_refused(nothing):
    with pytest.raises(wfsim.UsageError, match="a history is a path, a log or logs, not"):
        wfsim.calibrate(nothing)


def test_a_mapping_that_says_too_little_is_refused(tmp_path):
    file = table(tmp_path / "jobs.csv", "a b", "1 2")
    for columns, told in (
        (None, "say which column holds what: columns="),
        ({"case": "a"}, "columns says where to find 'case', 'step' and either 'start'"),
        ({"cas": "a"}, "columns: unknown 'cas'; did you mean 'case'"),
    ):
        with pytest.raises(wfsim.UsageError, match=told):
            wfsim.read_history(file, columns=columns)
    full = {"case": "a", "step": "b", "start": "c", "end": "b"}
    with pytest.raises(wfsim.DefinitionError, match=r"jobs.csv:1: no column 'c'"):
        wfsim.read_history(file, columns=full)
    with pytest.raises(wfsim.UsageError, match="statuses: 'x' is 'done'; known:"):
        wfsim.read_history(file, columns=full, statuses={"x": "done"})
    with pytest.raises(wfsim.UsageError, match="format: unknown 'xml'"):
        wfsim.read_history(file, format="xml")


FLOWS = [
    ("f1", "CreateCluster", "Finished", "c-1", None),
    ("f2", "CreateCluster", "Canceled", "c-2", None),
    ("f3", "CreateCluster", "Processing", "c-3", None),
    ("f4", "CreateCluster", "Processing", "c-4", "2021-07-01 12:00:00+00:00"),
]


def node(number, flow, name, status, start, updated, end):
    """A row of TiEM, its times in seconds after noon."""
    texts = [
        "0001-01-01 00:00:00+00:00" if t is None else f"2021-07-01 12:00:{t:012.9f}+00:00"
        for t in (start, updated, start, end)
    ]
    return (f"n{number}", flow, name, status, *texts, None)


NODES = [
    node(1, "f1", "prepare", "Finished", 0.0, 2.5, 2.5),
    node(2, "f1", "deploy", "Processing", 2.5, 4.0, None),
    node(3, "f1", "deploy", "Error", 10.0, 13.0, 13.0),
    node(4, "f1", "deploy", "Finished", 15.0, 20.0, 20.0),
    node(5, "f2", "prepare", "Processing", 1.0, 6.0, None),
    node(6, "f3", "prepare", "Processing", 2.0, 30.0, None),
    node(7, "f3", "deploy", "Done", 2.0, 30.0, None),
]
NODE_HEAD = (
    "id parent_id name status created_at updated_at start_time end_time deleted_at"
)
FLOW_HEAD = "id name status biz_id deleted_at"
TOLD = [
    ("f1", "c-1", "prepare", 1, "completed", 2.5),
    ("f2", "c-2", "prepare", 1, "cancelled", 5.0),
    ("f3", "c-3", "prepare", 1, "running", 28.0),
    ("f1", "c-1", "deploy", 1, "crashed", 1.5),
    ("f1", "c-1", "deploy", 2, "failed", 3.0),
    ("f1", "c-1", "deploy", 3, "completed", 5.0),
]


def database(path):
    connection = sqlite3.connect(path)
    with connection:
        for name, head, values in (
            (tiem.FLOWS, FLOW_HEAD, FLOWS),
            (tiem.NODES, NODE_HEAD, NODES),
        ):
            connection.execute(f"CREATE TABLE {name} ({head.replace(' ', ', ')})")
            marks = ", ".join("?" * len(head.split()))
            connection.executemany(f"INSERT INTO {name} VALUES ({marks})", values)
    connection.close()
    return path


def test_rows_of_tiem_are_attempts(tmp_path):
    file = database(tmp_path / "em.db")
    before = file.read_bytes()
    past = wfsim.read_history(file)
    names = ("case", "resource", "step", "attempt", "status", "duration")
    assert rows(past, *names) == TOLD
    assert set(past.attempts["flow"]) == {"CreateCluster"}
    assert [text.partition(": ")[2] for text in past.problems] == [
        "not a row of a node: status is 'Done', not one of Initializing, Processing, "
        "Finished, Error"
    ]
    assert file.read_bytes() == before


def test_a_dump_of_tiem_reads_as_its_database_does(tmp_path):
    paths = tmp_path / "nodes.csv", tmp_path / "flows.csv"
    for path, head, values in zip(
        paths, (NODE_HEAD, FLOW_HEAD), (NODES, FLOWS), strict=True
    ):
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([head.upper().split(), *values])
    past = wfsim.read_history(paths[0], flows=paths[1])
    assert rows(past, "case", "resource", "step", "attempt", "status", "duration") == TOLD


def test_of_two_rows_of_one_node_the_one_that_was_updated_last_counts(tmp_path):
    file = tmp_path / "nodes.csv"
    began = node(1, "f1", "prepare", "Processing", 0.0, 1.0, None)
    ended = node(1, "f1", "prepare", "Finished", 0.0, 2.5, 2.5)
    with file.open("w", newline="") as target:
        csv.writer(target).writerows([NODE_HEAD.split(), ended, began, ended])
    assert rows(wfsim.read_history(file)) == [("prepare", 1, "completed", 2.5)]


def test_what_is_no_database_of_tiem_is_refused(tmp_path):
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE things (id)")
    connection.execute("CREATE VIEW work_flows AS SELECT id FROM things")
    connection.close()
    with pytest.raises(wfsim.DefinitionError, match="has no table 'work_flows'; tables"):
        wfsim.read_history(other)
    (tmp_path / "text.db").write_text("x" * 2000)
    with pytest.raises(wfsim.DefinitionError, match="cannot be read: file is not a dat"):
        wfsim.read_history(tmp_path / "text.db")
    with pytest.raises(wfsim.DefinitionError, match="cannot be read: unable to open"):
        wfsim.read_history(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


XES = """<?xml version="1.0"?>
{doctype}<log xmlns="http://www.xes-standard.org/">
 <trace><string key="concept:name" value="order 7"/>
  <event><string key="concept:name" value="Pay"/>
   <string key="lifecycle:transition" value="start"/>
   <date key="time:timestamp" value="2021-07-01T12:00:00.000+02:00"/></event>
  <event><string key="concept:name" value="Pay"/>
   <string key="lifecycle:transition" value="complete"/>
   <date key="time:timestamp" value="2021-07-01T12:00:09.000+02:00"/>
   <list key="x"><string key="concept:name" value="hidden"/></list></event>
  <event><string key="concept:name" value="Ship"/>
   <date key="time:timestamp" value="2021-07-01T12:01:00.000+02:00"/></event>
  <event><string key="concept:name" value="Lost"/></event>
 </trace></log>
"""


def test_xes_of_others_is_read(tmp_path):
    file = tmp_path / "orders.xes"
    file.write_text(XES.format(doctype=""))
    past = wfsim.read_history(file)
    assert rows(past, "case", "step", "status") == [
        ("order 7", "Pay", "completed"),
        ("order 7", "Ship", "completed"),
    ]
    assert past.attempts["duration"].fillna(-1.0).tolist() == [9.0, -1.0]
    assert past.problems == (f"{file}:13: it has no time",)
    with pytest.raises(wfsim.UsageError, match="columns: unknown 'cost'"):
        wfsim.read_history(file, columns={"cost": "x"})


def test_what_says_nothing_of_a_history_is_refused_and_not_passed_over(tmp_path):
    file = tmp_path / "shared_workflow.log"
    file.write_text(line(0, "StepInited", "A") + "\n")
    for given_in_vain in ({"statuses": {"done": "completed"}}, {"flows": file}):
        with pytest.raises(wfsim.UsageError, match="says nothing of a history in 'lin"):
            wfsim.read_history(file, **given_in_vain)


def test_columns_make_a_file_of_any_name_a_csv_unless_it_begins_as_xes(tmp_path):
    xes = tmp_path / "orders.xml"
    xes.write_text(XES.format(doctype=""))
    past = wfsim.read_history(xes, columns={"step": "concept:name"})
    assert rows(past, "case", "step") == [("order 7", "Pay"), ("order 7", "Ship")]
    file = tmp_path / "orders.txt"
    file.write_text("order,activity,from,to\n7,Pay,1,4\n")
    columns = {"case": "order", "step": "activity", "start": "from", "end": "to"}
    past = wfsim.read_history(file, columns=columns)
    assert rows(past, "case", "step", "duration") == [("7", "Pay", 3.0)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            XES.format(doctype='<!DOCTYPE log [<!ENTITY a "aaaaaaaa">]>\n'),
            "2: has a document type, which is not taken; remove it",
        ),
        ("<log><trace></log>", "1: not XML: mismatched tag"),
        ("<a>" * 60, "1: nested more than 50 deep; flatten it"),
        ("<log></log>", "1: the file is empty"),
    ],
)
def test_xes_that_could_harm_or_says_nothing_is_refused(tmp_path, text, told):
    file = tmp_path / "bad.xes"
    file.write_text(text)
    with pytest.raises(wfsim.DefinitionError) as error:
        wfsim.read_history(file)
    assert str(error.value.problems[0]) == f"{file}:{told}"


KINDS = ["WorkFlowStart", "StepInited", "StepWaiting", "StepError", "StepCompleted"]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 50), st.sampled_from(KINDS), st.sampled_from("AB"),
            st.sampled_from(["r", "s"]),
        ),
        min_size=1,
        unique=True,
    )
)  # fmt: skip
def test_whatever_the_order_of_lines_no_attempt_takes_less_than_no_time(
    tmp_path_factory, lines
):
    folder = tmp_path_factory.mktemp("history")
    told = [line(t, kind, step, resource=name) for t, kind, step, name in lines]
    frame = read(folder, *told).attempts
    known = frame["duration"].notna()
    assert (frame.loc[known, ["duration", "waited"]] >= 0.0).all(axis=None)
    total = (frame["duration"] + frame["waited"])[known]
    assert (total - (frame["end"] - frame["start"])[known]).abs().max() <= 1e-6 or (
        frame.loc[known].empty
    )
    begun = [kind for _, kind, _, _ in lines].count("StepInited")
    assert frame["start"].notna().sum() == begun


@given(st.binary(max_size=200))
def test_no_file_makes_a_reader_fail_in_any_other_way(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("any")
    for name in ("a.txt", "a.jsonl", "a.xes", "a.db", "a.csv"):
        (folder / name).write_bytes(content)
        columns = {"case": "a", "step": "b", "start": "c", "end": "d"}
        given_columns = columns if name == "a.csv" else None
        with pytest.raises(wfsim.DefinitionError):
            wfsim.read_history(folder / name, columns=given_columns)
