"""Charts: what they say, what they hold, and that they leave nothing behind."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import xml.dom.minidom
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import wfsim
from wfsim import Kind, charts, tables
from wfsim.errors import UsageError
from wfsim.report.chart import (
    DPI,
    STATUS_COLOURS,
    Chart,
    canvas,
    state_styles,
    status_style,
)
from wfsim.report.text import frame_digest
from wfsim.types import Record

OF_A_LOG = [
    charts.gantt, charts.states, charts.latency, charts.outcomes, charts.state_graph,
    charts.breakdown, charts.ecdf, charts.latencies, charts.queue, charts.utilisation,
]  # fmt: skip
TAKE_A_SIMULATION = [
    charts.gantt, charts.states, charts.latency, charts.queue, charts.utilisation,
    charts.state_graph,
]  # fmt: skip


def texts(chart: Chart) -> list[str]:
    found = chart.figure.findobj(lambda artist: hasattr(artist, "get_text"))
    return [text for artist in found if (text := artist.get_text())]


def test_a_gantt_says_what_happened(crashed):
    chart = charts.gantt(crashed)
    assert chart.sentence == (
        "Gantt chart of 1 run in 77.0 s: 6 attempts of 3 steps (3 completed, 2 failed, "
        "1 crashed); 1 controller crash, no controller for 10.0 s; faults fired 3 times."
    )
    assert chart.frame.equals(tables.steps(crashed))
    assert {"faults", "TakeSnapshot", "CopyAway", "Verify", "crash 40.0 s"} <= set(
        texts(chart)
    )
    assert {"controller crash", "no controller", "FailStep fired 2 times"} <= set(
        texts(chart)
    )


def test_a_gantt_of_several_runs_has_a_heading_for_each(interrupted):
    labels = [
        label.get_text() for label in charts.gantt(interrupted).axes.get_yticklabels()
    ]
    steps = ["TakeSnapshot", "CopyAway", "Verify"]
    first, second = "orders 1-NightlyBackup", "users 1-NightlyBackup"
    assert labels == ["faults", first, *steps, second, *steps]


def test_a_gantt_of_too_many_runs_says_which_it_shows(scenario):
    many = wfsim.simulate(scenario(tuple(f"db-{n}" for n in range(60))))
    chart = charts.gantt(many)
    assert chart.sentence.startswith("Gantt chart of the first 45 of 60 runs in ")
    assert len(chart.axes.get_yticks()) == 45
    assert len(chart.frame) == 45 * 3


def bars(chart: Chart) -> list[Rectangle]:
    return [patch for patch in chart.axes.patches if type(patch) is Rectangle]


def test_a_bar_too_short_for_the_axis_is_three_pixels_wide_and_has_no_edge():
    records = [
        Record(0, 0.0, Kind.STEP_STARTED, "db", "1-F", "F", "Long", 1),
        Record(1, 90_000.0, Kind.STEP_COMPLETED, "db", "1-F", "F", "Long", 1),
        Record(2, 90_000.0, Kind.STEP_STARTED, "db", "1-F", "F", "Short", 1),
        Record(3, 90_001.0, Kind.STEP_COMPLETED, "db", "1-F", "F", "Short", 1),
        Record(4, 99_000.0, Kind.STEP_LOG),
    ]
    chart = charts.gantt(wfsim.EventLog(records))
    chart.png()
    long, short = bars(chart)
    assert long.get_linewidth() > 0.0 == short.get_linewidth()
    assert 2.5 < short.get_window_extent().width * DPI / chart.figure.dpi < 4.5


def test_crashes_close_together_are_all_named(scenario):
    faults = [wfsim.CrashAt(t=t, restart_after=1.0) for t in (4.0, 6.0, 8.0)]
    chart = charts.gantt(wfsim.simulate(scenario(), [*faults, wfsim.HangStep("Verify")]))
    assert {"crash 4.0 s", "crash 6.0 s", "crash 8.0 s"} <= set(texts(chart))
    crowd = [
        Record(0, 0.0, Kind.STEP_STARTED, "db", "1-F", "F", "Long", 1),
        *(Record(n, 50.0 + n / 10, Kind.CONTROLLER_CRASHED) for n in range(1, 13)),
        Record(13, 99.0, Kind.STEP_LOG),
    ]
    assert "12 controller crashes, 4 named" in texts(charts.gantt(wfsim.EventLog(crowd)))


def test_a_run_that_is_its_own_resource_is_named_once():
    names = ("1-Create", "2-Create")
    records = [
        Record(n, 1.0, Kind.STEP_STARTED, name, name, "Create", "Deploy", 1)
        for n, name in enumerate(names)
    ]
    labels = charts.gantt(wfsim.EventLog(records)).axes.get_yticklabels()
    assert [label.get_text() for label in labels] == [
        "1-Create", "Deploy", "2-Create", "Deploy",
    ]  # fmt: skip


def test_the_steps_of_a_run_in_one_row_are_told_apart_by_shade(scenario):
    names = tuple(f"db-{n}" for n in range(16))
    chart = charts.gantt(wfsim.simulate(scenario(names)))
    assert [label.get_text() for label in chart.axes.get_yticklabels()][:3] == [
        "db-0 1-NightlyBackup", "db-1 1-NightlyBackup", "db-2 1-NightlyBackup",
    ]  # fmt: skip
    assert [bar.get_alpha() for bar in bars(chart)[:3]] == [1.0, 0.72, 1.0]


def test_runs_whose_steps_would_be_specks_have_a_row_each():
    names = [f"db-{n}" for n in range(6)]
    records = [
        record
        for n, name in enumerate(names)
        for step in range(4)
        for kind, time in ((Kind.STEP_STARTED, 0.0), (Kind.STEP_COMPLETED, 1.0))
        for record in [
            Record(0, 9_000.0 * n + step + time, kind, name, "1-F", "F", f"S{step}", 1)
        ]
    ]
    specks = wfsim.EventLog(records)
    close = wfsim.EventLog(
        [record._replace(time=record.time % 9_000) for record in records]
    )
    assert len(charts.gantt(specks).axes.get_yticks()) == 6
    assert len(charts.gantt(close).axes.get_yticks()) == 6 * 5
    assert "every other step paler" in texts(charts.gantt(specks))
    assert charts.gantt(specks).digest != charts.gantt(close).digest


def test_the_digest_of_a_chart_is_of_what_it_draws(crashed):
    assert charts.queue(crashed).frame.equals(charts.utilisation(crashed).frame)
    assert charts.queue(crashed).digest != charts.utilisation(crashed).digest
    records = [*crashed]
    at = next(n for n, r in enumerate(records) if r.kind is Kind.CONTROLLER_CRASHED)
    moved = [*records[:at], records[at]._replace(time=39.0), *records[at + 1 :]]
    digests = [charts.gantt(wfsim.EventLog(each)).digest for each in (records, moved)]
    assert digests[0] != digests[1]
    chart = charts.gantt(crashed)
    text = chart.frame.assign(error="said in another way")
    assert Chart(chart.axes, text, "").digest != chart.digest


@pytest.mark.parametrize("draw", TAKE_A_SIMULATION)
def test_a_chart_takes_a_simulation_for_its_log(draw, scenario):
    simulation = wfsim.Simulation(scenario())
    log = simulation.run()
    assert repr(draw(simulation)) == repr(draw(log))
    with pytest.raises(UsageError, match=r"^\w+ is no log; give one, such as"):
        draw(42)


def test_a_state_timeline_has_a_row_per_stay(crashed):
    chart = charts.states(crashed)
    stays = chart.frame[["state", "start", "end"]].itertuples(index=False, name=None)
    assert list(stays) == [
        ("Running", 0.0, 0.0),
        ("BackingUp", 0.0, 77.0),
        ("Running", 77.0, 77.0),
    ]
    assert chart.sentence == (
        "State timeline of 1 resource over 77.0 s: 2 changes of state; "
        "at the end 1 in Running."
    )
    assert "BackingUp" in texts(chart)


def test_latency_names_the_slowest_step(crashed):
    assert charts.latency(crashed).sentence == (
        "Latency of 3 steps, 3 completed attempts: the slowest is TakeSnapshot with a "
        "mean of 30.0 s, p50 30.0 s, p95 30.0 s."
    )


def test_outcomes_are_shares_of_the_runs(interrupted):
    chart = charts.outcomes(interrupted)
    assert list(chart.frame.itertuples(index=False, name=None)) == [
        ("NightlyBackup", "completed", 1, 0.5),
        ("NightlyBackup", "interrupted", 1, 0.5),
    ]
    assert chart.sentence == (
        "Outcomes of 2 runs of 1 flow: 1 completed (50.0%), 1 interrupted (50.0%)."
    )


def test_a_state_graph_is_drawn_from_a_machine_its_edges_or_a_log(crashed, scenario):
    machine = scenario().machines["db"]
    drawn = charts.state_graph(machine, current="BackingUp")
    assert drawn.sentence == "State graph of 3 states and 4 edges; now BackingUp."
    assert {"Running", "BackingUp", "Interrupt", "wants_backup"} <= set(texts(drawn))
    digests = {
        charts.state_graph(source).digest
        for source in (machine, machine.edges(), crashed, crashed[:0])
    }
    assert digests == {drawn.digest}
    assert charts.state_graph(crashed, kind="db").digest == drawn.digest
    with pytest.raises(UsageError, match="no kind 'pod'; known: db"):
        charts.state_graph(crashed, kind="pod")


def test_a_check_without_a_name_is_no_label():
    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    machine.transition("Running", "Growing", when=lambda r: True, run="Grow")
    chart = charts.state_graph(machine)
    assert [text for text in texts(chart) if "lambda" in text] == []
    assert chart.frame["label"].tolist()[0] == ""
    machine.transition("Running", "Shrinking", when=partial(is_due, 3), run="Shrink")
    assert "is_due" in charts.state_graph(machine).frame["label"].tolist()


def is_due(size, resource):
    return len(resource.name) > size


def test_a_graph_of_seventeen_states_has_no_box_on_another():
    machine = wfsim.StateMachine("db").stable("Init", "Running", "Interrupt")
    for number in range(14):
        machine.unstable(f"State{number}", run=f"Flow{number}")
    axes = charts.state_graph(machine).axes
    boxes = [
        patch.get_extents() for patch in axes.patches if hasattr(patch, "get_boxstyle")
    ]
    boxes = [box for box in boxes if box.width > 20 and box.height > 20]
    assert len(boxes) >= 17
    names = {f"State{n}" for n in range(14)} | {"Init", "Running", "Interrupt"}
    places = [t.get_position() for t in axes.texts if t.get_text() in names]
    assert len(set(places)) == 17


@pytest.mark.parametrize("draw", OF_A_LOG)
def test_a_chart_of_an_empty_log_says_so(draw, empty):
    chart = draw(empty)
    assert re.search(r"without|no \w+ has", chart.sentence)
    assert chart.frame.empty
    assert any(text.startswith("No ") for text in texts(chart))
    assert chart.png().startswith(b"\x89PNG")


@pytest.mark.parametrize("draw", OF_A_LOG)
def test_a_chart_speaks_in_its_repr_and_its_alt_text(draw, crashed):
    chart = draw(crashed)
    assert repr(chart) == f"{chart.sentence} [{chart.digest}]"
    page = chart._repr_html_()
    assert f'<img alt="{chart!r}"' in page
    assert "data:image/png;base64," in page


@pytest.mark.parametrize("draw", OF_A_LOG)
def test_a_chart_draws_in_the_axes_it_is_given(draw, crashed):
    figure = Figure()
    axes = figure.add_subplot()
    chart = draw(crashed, ax=axes)
    assert (chart.axes, chart.figure) == (axes, figure)
    assert axes.has_data()


@pytest.mark.parametrize("draw", OF_A_LOG)
def test_the_same_log_gives_the_same_picture(draw, crashed):
    one, other = draw(crashed), draw(crashed)
    assert one.svg() == other.svg()
    if draw is charts.gantt:  # it has all that a picture may have
        assert one.png() == other.png()


@pytest.mark.parametrize("draw", [charts.gantt, charts.ecdf, charts.state_graph])
def test_a_dark_style_changes_no_picture(draw, crashed):
    picture = draw(crashed).png()
    with style.context("dark_background"):
        assert draw(crashed).png() == picture


def test_every_chart_is_drawn_on_paper():
    folder = Path(wfsim.__file__).parent
    drawing = {
        f"{path.stem}.{function.name}": [ast.unparse(d) for d in function.decorator_list]
        for path in folder.glob("**/*.py")
        for function in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(function, ast.FunctionDef)
        and "ax" in [arg.arg for arg in (*function.args.args, *function.args.kwonlyargs)]
        and function.returns is not None
        and ast.unparse(function.returns) == "Chart"
    }
    assert len(drawing) > 20
    assert [name for name, marks in drawing.items() if "on_paper" not in marks] == []


def test_axes_that_are_given_keep_their_style(crashed):
    with style.context("dark_background"):
        figure = Figure()
        axes = figure.add_subplot()
        charts.gantt(crashed, axes)
    assert {label.get_color() for label in axes.get_xticklabels()} == {"white"}


def test_names_are_text_and_never_formulas():
    names = ("$a$", "$\\frac$", "<b>", "a\nb", "n" * 200, "集群")
    records = [
        Record(0, 1.0, Kind.STEP_STARTED, "$db$", "1-F", "$F$", name, 1) for name in names
    ]
    log = wfsim.EventLog([*records, Record(0, 9.0, Kind.STEP_LOG)])
    for draw in OF_A_LOG:
        chart = draw(log)
        xml.dom.minidom.parseString(chart.svg())
        assert "Traceback" not in chart._repr_html_()


def test_a_chart_is_saved_as_its_suffix_says(tmp_path, crashed):
    chart = charts.gantt(crashed)
    starts = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    for suffix, start in starts.items():
        path = chart.save(tmp_path / "new" / f"gantt{suffix}")
        assert path.read_bytes().startswith(start)
    assert b"Date" not in (tmp_path / "new" / "gantt.svg").read_bytes()


def test_a_digest_sees_a_small_change_and_no_noise():
    frame = pd.DataFrame({"step": ["A", "B"], "mean": [0.1 + 0.2, 5.0]})
    same = pd.DataFrame({"step": pd.Series(["A", "B"], dtype=object), "mean": [0.3, 5.0]})
    assert frame_digest(frame) == frame_digest(same) == "072908fa"
    assert frame_digest(frame) != frame_digest(frame.assign(mean=[0.3, 5.00015]))
    assert frame_digest(frame) != frame_digest(frame.rename(columns={"mean": "p50"}))


def test_charts_leave_pyplot_alone():
    probe = (
        "import sys, wfsim; wfsim.charts.gantt(wfsim.EventLog()).png();"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    )
    assert (told.stdout, told.stderr) == ("False\n", "")


def test_figures_are_not_kept():
    assert canvas(None, 4.0, 3.0).figure is not canvas(None, 4.0, 3.0).figure


def test_no_state_looks_like_another_one():
    names = [f"S{index:02}" for index in range(24)]
    styles = state_styles(["Running", "Interrupt", "Creating", "Init", *names])
    assert len(set(styles.values())) == len(styles)


def test_the_well_known_states_look_alike_in_every_chart():
    alone = state_styles(["Creating"])
    among = state_styles(["AddRo", "Creating", "Rebuild"])
    assert alone["Creating"] == among["Creating"]


def test_each_status_has_a_colour_of_its_own_and_trouble_has_a_hatch():
    assert len(set(STATUS_COLOURS.values())) == len(STATUS_COLOURS)
    trouble = ("failed", "interrupted", "cancelled", "crashed")
    hatches = [status_style(status).hatch for status in trouble]
    assert all(hatches)
    assert len(set(hatches)) == len(trouble)


def test_the_text_on_a_colour_is_the_one_that_is_easier_to_read():
    texts = {status: status_style(status).text for status in STATUS_COLOURS}
    assert [status for status, text in texts.items() if text == "white"] == [
        "running", "error", "crashed",
    ]  # fmt: skip


def test_a_state_keeps_its_style_whoever_else_is_there():
    few, many = state_styles(["Running"]), state_styles(["A", "Running", "Interrupt"])
    assert few["Running"] == many["Running"]
    styles = state_styles(f"State{number}" for number in range(17))
    assert len(set(styles.values())) == 17


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("folder", "folder is a folder; give the name of a file in it"),
        ("a.pngg", "no format 'pngg'; did you mean 'png'"),
        ("file/a.png", "cannot be written: .*; give another file"),
    ],
)
def test_a_picture_that_cannot_be_saved_is_told_and_no_half_is_left(
    tmp_path, name, problem
):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    chart = wfsim.charts.gantt(wfsim.EventLog())
    with pytest.raises(wfsim.UsageError, match=problem):
        chart.save(tmp_path / name)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder"]
