"""The table of the field's words names what there is, and says what it includes."""

from __future__ import annotations

import inspect
import re

import pytest

import wfsim
from wfsim.study import estimates
from wfsim.study.replication import LOAD_DTYPES, PART_COLUMNS, TALLY_DTYPES
from wfsim.study.steady import LEVELS
from wfsim.study.study import Study

PARTS = [name for name in PART_COLUMNS if name != "total"]


def table():
    """The rows of the table: the field's word, our names, what each includes."""
    parts = re.split(r"^=+ =+ =+$", inspect.getdoc(estimates), flags=re.M)
    head, body = parts[-3:-1]
    assert head.split() == ["of", "the", "field", "here", "includes"]
    rows = []
    for line in body.strip("\n").splitlines():
        if not line.startswith(" "):
            rows.append(["", "", ""])
        cells = (line[:20], line[20:42], line[42:])
        rows[-1] = [
            f"{above} {cell.strip()}".strip()
            for above, cell in zip(rows[-1], cells, strict=True)
        ]
    return rows


@pytest.fixture(scope="module")
def study():
    """Jobs that wait for a worker and a place, fail, crash and are called for at once."""
    machine = wfsim.StateMachine("job").stable("Running", "Interrupt")
    machine.unstable("Creating", run="F")
    steps = (
        wfsim.Step("Copy", "Copy", duration=20, failure=0.3),
        wfsim.Step("Send", "Send", duration=10),
    )
    made = wfsim.Scenario(
        [wfsim.Resource("job", f"j{number}") for number in range(6)],
        machine,
        [wfsim.Flow("F", steps, retry=wfsim.Retry(limit=20))],
        settings={"Copy": wfsim.demand.StepSettings(uses={"disk": 1})},
        pools={"disk": 1},
        policy=wfsim.Policy(workers=2),
    )
    crash = wfsim.CrashAt(t=35, restart_after=7)
    return wfsim.sweep(lambda: made, replications=3, faults=[crash], progress=False)


def test_each_name_in_the_table_is_one_of_a_frame(study):
    names = {name for row in table() for name in re.findall(r"``([\w.]+)``", row[1])}
    frames = (study.runs, study.replications, study.loads, study.utilisation())
    there = {str(name) for frame in frames for name in frame.columns}
    assert names - there - {*LEVELS} == {"total_p95", "within_2h"}


def test_each_measure_is_in_the_table():
    rows = "".join(row[1] + row[2] for row in table())
    named = set(re.findall(r"``(\w+)``", rows))
    assert {*PART_COLUMNS, *LOAD_DTYPES, *LEVELS} <= named
    assert {*TALLY_DTYPES} - {"seed"} <= named


def test_the_time_in_system_includes_what_the_table_says(study):
    (row,) = (row for row in table() if row[0].startswith("time in system"))
    assert re.findall(r"``(\w+)``", row[2]) == PARTS
    runs = study.runs
    assert runs["total"].tolist() == pytest.approx(runs[PARTS].sum(axis=1).tolist())
    # Each of these was there to be counted.
    seen = runs[["queued", "pool_queue", "steps", "retries_seconds", "recovery"]].sum()
    assert (seen > 0).all()


def test_the_time_in_process_leaves_out_what_a_run_was_queued_before(study):
    runs = study.runs
    before = runs["start"] - runs["called"]
    assert (before <= runs["queued"] + runs["recovery"] + 1e-9).all()
    assert (before > 0).any()
    assert (runs["total"] - runs["duration"]).tolist() == pytest.approx(before.tolist())
    means = runs.groupby("replication")[["duration", "total"]].mean()
    tallies = study.replications
    assert tallies["success"].tolist() == [1.0] * 3
    assert tallies["mean"].tolist() == pytest.approx(means["duration"].tolist())
    assert tallies["total"].tolist() == pytest.approx(means["total"].tolist())


def test_the_queues_are_what_waits_for_workers_and_places(study):
    loads = study.loads.set_index("server")
    sums = study.runs[["queued", "pool_queue"]].sum()
    for server, part in (("workers", "queued"), ("disk", "pool_queue")):
        of = loads.loc[server]
        assert (of["queue"] * of["seconds"]).sum() == pytest.approx(sums[part], rel=0.1)


def test_the_measure_where_none_is_named_is_the_time_in_system():
    for call in ("compare", "rank", "tornado", "sensitivity", "welch", "batch_means"):
        parameters = inspect.signature(getattr(Study, call)).parameters
        assert parameters["measure"].default == "total", call
    assert wfsim.types.Precision(relative=0.1).measure == "total"


def test_a_chart_of_a_study_is_of_the_time_in_system(study):
    assert wfsim.charts.ecdf(study).sentence.startswith(
        "ECDF of the time in system of 18"
    )
    assert "of the time in system of 18" in wfsim.charts.latencies(study).sentence
    assert wfsim.charts.convergence(study).sentence.startswith("Convergence of total ")
