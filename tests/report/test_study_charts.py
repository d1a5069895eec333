"""Charts of studies: what they say, what they hold, and that nothing is cut off."""

from __future__ import annotations

import itertools
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import wfsim
from fake_resources import polardb
from tests.sizes import FULL
from wfsim import Policy, charts
from wfsim.errors import UsageError
from wfsim.report.chart import Chart

if TYPE_CHECKING:
    from matplotlib.text import Text


def study(workers: tuple[object, ...] = (1, 2), replications: int = 3) -> SimpleNamespace:
    """Runs that take 100 s and 10 s more for each replication, shared among workers."""
    runs, means = [], []
    for place, replication in itertools.product(range(len(workers)), range(replications)):
        base = 100.0 / (place + 1) + 10.0 * replication
        for number, status in enumerate(("completed", "completed", "interrupted")):
            parts = {
                "queued": base / 2, "pool_queue": 0.0, "steps": base / 4,
                "retries_seconds": base / 4, "recovery": 0.0, "waiting": 0.0,
                "other": 0.0, "total": base,
            }  # fmt: skip
            row = {
                "workers": workers[place], "replication": replication,
                "resource": f"db-{number}", "run": "1-F", "flow": "F", "status": status,
                "duration": base + number, "retries": 1, "restarts": 0,
            }  # fmt: skip
            runs.append(row | parts)
        mean = {
            "workers": workers[place], "replication": replication, "runs": 3,
            "success": 2 / 3, "mean": base + 0.5, "p95": base + 0.95,
        }  # fmt: skip
        means.append(mean)
    return SimpleNamespace(
        over=("workers",), runs=pd.DataFrame(runs), replications=pd.DataFrame(means)
    )


TORNADO = pd.DataFrame(
    {
        "parameter": ["pod_failure", "workers"],
        "low": [0.0, 2],
        "high": [0.2, 8],
        "at_low": [100.0, 300.0],
        "at_high": [150.0, 110.0],
        "base": [120.0, 120.0],
    }
)
PAIRS = pd.DataFrame(
    {
        "a": ["workers 1", "workers 1"],
        "b": ["workers 2", "workers 4"],
        "difference": [-50.0, -1.0],
        "low": [-60.0, -4.0],
        "high": [-40.0, 2.0],
    }
)
OF_A_STUDY = {
    "ecdf": charts.ecdf,
    "box": charts.latencies,
    "violin": lambda of, **more: charts.latencies(of, kind="violin", **more),
    "outcomes": charts.outcomes,
    "breakdown": charts.breakdown,
    "convergence": charts.convergence,
}


def rows(frame: pd.DataFrame, *columns: str) -> list[tuple[object, ...]]:
    chosen = frame[list(columns)] if columns else frame
    return [
        tuple(round(value, 6) if isinstance(value, float) else value for value in row)
        for row in chosen.itertuples(index=False, name=None)
    ]


def ticks(chart: Chart) -> list[list[Text]]:
    """The labels of the ticks of each axis that lie within its limits."""
    found = []
    for place, axis in enumerate((chart.axes.xaxis, chart.axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        labels = axis.get_ticklabels()
        found.append([t for t in labels if low <= t.get_position()[place] <= high])
    return found


def flaws(chart: Chart) -> list[str]:
    """The texts that lie partly outside of the picture, or on their neighbour."""
    figure, axes = chart.figure, chart.axes
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer, inside = canvas.get_renderer(), figure.bbox.padded(2.0)
    across, down = ticks(chart)
    legend = axes.get_legend()
    texts = [*axes.texts, *across, *down, axes.xaxis.label, axes.yaxis.label]
    texts += [] if legend is None else legend.get_texts()
    boxes = {text: text.get_window_extent(renderer) for text in texts if text.get_text()}
    found = [
        f"{text.get_text()} is cut off"
        for text, box in boxes.items()
        if not (inside.contains(box.x0, box.y0) and inside.contains(box.x1, box.y1))
    ]
    for one, other in [*itertools.pairwise(across), *itertools.pairwise(down)]:
        if one in boxes and other in boxes and boxes[one].overlaps(boxes[other]):
            found.append(f"{one.get_text()} lies on {other.get_text()}")
    return found


def test_an_ecdf_has_a_step_per_duration_and_its_band():
    """Half of the band: sqrt(ln(2 / 0.05) / (2 * 9)) = 0.452701; 3 of 9 never end."""
    chart = charts.ecdf(study(), value="duration")
    assert rows(chart.frame)[:7] == [
        ("1", 100.0, 0.111111, 0.0, 0.563812),
        ("1", 101.0, 0.222222, 0.0, 0.674923),
        ("1", 110.0, 0.333333, 0.0, 0.786034),
        ("1", 111.0, 0.444444, 0.0, 0.897145),
        ("1", 120.0, 0.555556, 0.102855, 1.0),
        ("1", 121.0, 0.666667, 0.213966, 1.0),
        ("2", 50.0, 0.111111, 0.0, 0.563812),
    ]
    assert list(chart.frame.columns) == ["workers", "seconds", "share", "low", "high"]
    assert chart.sentence == (
        "ECDF of the duration of 18 runs by workers, 6 of them not done, with a 95% "
        "band: workers 1: p50 120.0 s, p95 infinite; workers 2: p50 70.0 s, p95 infinite."
    )
    legend = chart.axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["1", "2"]
    assert legend.get_title().get_text() == "workers"


def test_the_band_of_an_ecdf_holds_the_true_curve_as_often_as_it_says():
    """Of samples of 50 from a uniform distribution; Massart's bound is a safe one."""
    import numpy as np

    draws = np.random.default_rng(1).uniform(0.0, 1.0, (200 if FULL else 60, 50))
    held = 0
    for sample in draws:
        runs = pd.DataFrame({"status": "completed", "duration": sample})
        frame = charts.ecdf(runs, confidence=0.9).frame
        # The curve jumps at each duration: what lies before is the band of the last.
        before = frame["high"].shift().fillna(frame["high"].iloc[0] - 1 / 50)
        x = frame["seconds"]
        held += bool(((frame["low"] <= x) & (x <= before)).all())
    assert held / len(draws) == pytest.approx(0.9, abs=0.06 if FULL else 0.1)


def test_an_axis_is_logarithmic_where_durations_span_decades():
    runs = pd.DataFrame({"status": "completed", "duration": [1.0, 10.0, 100.0]})
    chart = charts.ecdf(runs)
    assert chart.axes.get_xscale() == "log"
    assert chart.sentence == (
        "ECDF of the duration of 3 completed runs, with a 95% band, on a logarithmic "
        "axis: p50 10.0 s, p95 91.0 s."
    )
    assert charts.latencies(runs).axes.get_xscale() == "log"
    labels = [tick.get_text() for tick in ticks(chart)[0]]
    assert [label for label in labels if label] == ["1", "10", "100"]
    near = charts.ecdf(runs.assign(duration=[1.01, 10.0, 100.0]))
    assert near.axes.get_xscale() == "linear"
    assert (
        charts.ecdf(runs.assign(duration=[0.0, 1, 100.0])).axes.get_xscale() == "linear"
    )


def bands(chart: Chart) -> list[str]:
    labels = [str(each.get_label()) for each in chart.axes.collections]
    return [label.removeprefix("_band of ") for label in labels if "_band of" in label]


def test_of_many_curves_only_the_outermost_have_a_band():
    few, many = charts.ecdf(study((1, 2, 3, 4))), charts.ecdf(study((1, 2, 3, 4, 5)))
    assert bands(few) == ["1", "2", "3", "4"]
    assert bands(many) == ["1", "5"]
    assert (
        "with a 95% band of the quickest and the slowest: quickest workers 5: p50 "
    ) in many.sentence
    assert "; slowest workers 1: p50 " in many.sentence
    few, many = (charts.convergence(study((*range(size),))) for size in (4, 5))
    assert [len(bands(few)), len(bands(many))] == [4, 1]
    assert many.sentence.endswith(f" at its widest, workers {bands(many)[0]}.")


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        ("box", ["p25 to p75", "whiskers: p5 to p95", "median", "mean"]),
        ("violin", ["how many took so long", "p5 to p95", "p25 to p75", "median"]),
    ],
)
def test_the_parts_of_a_box_and_of_a_violin_are_explained(kind, parts):
    legend = charts.latencies(study(), kind=kind).axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == parts


def test_of_many_groups_the_shortest_and_the_longest_are_called_so():
    sentence = charts.breakdown(study((1, 2, 3, 4, 5))).sentence
    assert "by workers: shortest workers 5 30.0 s (" in sentence
    assert "; longest workers 1 110.0 s (" in sentence


def test_nothing_is_all_or_none_that_is_not():
    runs = pd.DataFrame({"flow": "F", "status": ["completed"] * 2999 + ["failed"]})
    sentence = charts.outcomes(runs, by="flow").sentence
    assert sentence.endswith("2,999 completed (>99.9%), 1 failed (<0.1%).")
    points = study().replications.assign(load=1, success=0.9999)
    chart = charts.heatmap(points, "workers", "load", "success")
    assert [text.get_text() for text in chart.axes.texts] == [">99%", ">99%"]
    assert chart.sentence.endswith(": >99.9% in all of them.")


def test_a_heat_map_says_in_how_many_cells_its_extremes_are():
    points = study((1, 2, 3, 4)).replications.assign(load=1)
    points["success"] = points["workers"].map({1: 0.5, 2: 1.0, 3: 1.0, 4: 1.0})
    assert charts.heatmap(points, "workers", "load", "success").sentence.endswith(
        "smallest 50.0% at workers 1, load 1; largest 100.0% in 3 of them, the first at "
        "workers 2, load 1."
    )


def test_latencies_are_boxes_of_quantiles():
    chart = charts.latencies(study(), value="duration")
    assert rows(chart.frame) == [
        ("1", 6, 110.5, 100.25, 103.25, 110.5, 117.75, 120.75, 121.0),
        ("2", 6, 60.5, 50.25, 53.25, 60.5, 67.75, 70.75, 71.0),
    ]
    assert chart.sentence == (
        "Box plot of the duration of 12 completed runs by workers: workers 1: p50 "
        "110.5 s, p95 120.8 s; workers 2: p50 60.5 s, p95 70.8 s."
    )
    violin = charts.latencies(study(), value="duration", kind="violin")
    assert violin.sentence == chart.sentence.replace("Box", "Violin")
    assert violin.digest == chart.digest


def test_another_time_than_the_duration_may_be_drawn():
    chart = charts.ecdf(study(), value="queued")
    assert chart.sentence == (
        "ECDF of the seconds 'queued' of 12 completed runs by workers, with a 95% band: "
        "workers 1: p50 55.0 s, p95 60.0 s; workers 2: p50 30.0 s, p95 35.0 s."
    )
    assert rows(charts.latencies(study(), value="queued").frame, "p50", "max") == [
        (55.0, 60.0),
        (30.0, 35.0),
    ]


def test_outcomes_of_a_study_are_by_what_it_was_varied_over():
    chart = charts.outcomes(study())
    assert rows(chart.frame) == [
        ("1", "completed", 6, 0.666667),
        ("1", "interrupted", 3, 0.333333),
        ("2", "completed", 6, 0.666667),
        ("2", "interrupted", 3, 0.333333),
    ]
    assert chart.sentence == (
        "Outcomes of 18 runs by workers: 12 completed (66.7%), 6 interrupted (33.3%)."
    )


def test_a_breakdown_says_where_the_time_goes():
    chart = charts.breakdown(study())
    assert rows(chart.frame)[:5] == [
        ("1", "queued", 55.0, 0.5),
        ("1", "pool_queue", 0.0, 0.0),
        ("1", "steps", 27.5, 0.25),
        ("1", "retries", 27.5, 0.25),
        ("1", "recovery", 0.0, 0.0),
    ]
    assert chart.sentence == (
        "Where the time of 18 runs goes by workers: workers 1 110.0 s (queued 50.0%, "
        "steps 25.0%, retries 25.0%); workers 2 60.0 s (queued 50.0%, steps 25.0%, "
        "retries 25.0%)."
    )


def test_a_breakdown_of_a_log_is_by_flow(crashed):
    assert charts.breakdown(crashed).sentence == (
        "Where the time of 1 run goes by flow: flow NightlyBackup 77.0 s (steps 71.4%, "
        "recovery 26.0%, retries 2.6%)."
    )


def test_a_mean_converges_within_the_interval_of_student():
    """Of 100.5, 110.5, 120.5: t(0.975, 2) * 10 / sqrt(3) = 24.841377."""
    chart = charts.convergence(study())
    assert rows(chart.frame)[:2] == [
        ("1", 2, 105.5, 41.968976, 169.031024),
        ("1", 3, 110.5, 85.658623, 135.341377),
    ]
    assert chart.sentence == (
        "Convergence of mean over 3 replications by workers: the 95% interval ends as "
        "110.5 s +- 24.8 s at its widest, workers 1."
    )


def test_a_heat_map_writes_its_values_into_its_cells():
    points = study().replications
    of = pd.concat([points.assign(load=1), points.assign(load=2, p95=points["p95"] * 4)])
    chart = charts.heatmap(of, "workers", "load", "p95")
    assert rows(chart.frame) == [
        (1, 1, 110.95, 3),
        (2, 1, 60.95, 3),
        (1, 2, 443.8, 3),
        (2, 2, 243.8, 3),
    ]
    texts = [text.get_text() for text in chart.axes.texts]
    assert texts == ["111", "60.95", "443.8", "243.8"]
    assert chart.sentence == (
        "Heat map of p95 over workers and load, 4 cells of 3 replications: smallest "
        "61.0 s at workers 2, load 1; largest 443.8 s at workers 1, load 2."
    )
    assert charts.heatmap(of, "workers", "load", "success").sentence.endswith(
        ": 66.7% in all of them."
    )


def test_a_heat_map_of_a_study_has_the_quantiles_of_its_summary():
    made = wfsim.sweep(
        polardb.scenario, {"replicas": [1, 2], "pod_failure": [0.0, 0.2]}, replications=9
    )
    summary = made.summary().sort_values(["pod_failure", "replicas"])
    for value in ("p95", "total_p95", "mean"):
        frame = charts.heatmap(made, "replicas", "pod_failure", value).frame
        assert frame[value].tolist() == pytest.approx(summary[value].tolist())
        assert frame["replications"].tolist() == [9, 9, 9, 9]
    p99 = charts.heatmap(made, "replicas", "pod_failure", "p99").frame["p99"]
    assert (p99 > summary["p95"].to_numpy()).all()


def test_a_heat_map_shows_the_first_values_only_and_says_so():
    of = study(tuple(range(25)), 1).replications.assign(load=1)
    chart = charts.heatmap(of, "workers", "load", "p95")
    assert len(chart.frame) == 20
    assert chart.sentence.startswith(
        "Heat map of p95 over workers and load, the first 20 of 25 values of workers, "
        "20 cells of 1 replication, in colours on a logarithmic scale: "
    )


def test_a_tornado_has_the_strongest_parameter_at_the_top():
    chart = charts.tornado(TORNADO, "p95")
    assert list(chart.frame["parameter"]) == ["workers", "pod_failure"]
    assert chart.sentence == (
        "Tornado chart of p95 around 120.0 s, 2 parameters: workers from 2 to 8: "
        "300.0 s to 110.0 s; pod_failure from 0 to 0.2: 100.0 s to 150.0 s."
    )


def test_bars_of_a_tornado_on_one_side_do_not_hide_each_other():
    chart = charts.tornado(
        TORNADO.assign(at_low=[130.0, 300.0], at_high=[130.0, 150.0]), "p95"
    )
    bars = [(bar.get_y(), bar.get_height()) for bar in chart.axes.patches]
    (low, height), (high, _) = bars[:2]
    assert low + height < high
    (low, height), (high, _) = bars[2:]
    assert low + height < high
    assert flaws(chart) == []


def test_a_comparison_says_which_intervals_leave_zero_out():
    chart = charts.comparison(PAIRS, "p95")
    assert chart.sentence == (
        "Comparison of p95 of 2 pairs, 1 with an interval without zero: workers 2 less "
        "workers 1 -50.0 s (-60.0 s to -40.0 s); workers 4 less workers 1 -1.0 s (-4.0 s "
        "to +2.0 s)."
    )
    labels = [label.get_text() for label in chart.axes.get_yticklabels()]
    assert labels == ["workers 2\nless workers 1", "workers 4\nless workers 1"]


def test_utilisation_and_queue_are_means_over_time(scenario):
    log = wfsim.simulate(scenario(("a", "b", "c"), policy=Policy(workers=2)))
    assert charts.utilisation(log, workers=2).sentence == (
        "Utilisation over 110.0 s: workers 1.5 of 2 on average (75.0%), 2 at most, "
        "all busy 50.0% of the time."
    )
    assert charts.utilisation(log).sentence == (
        "Utilisation over 110.0 s: workers 1.5 on average, 2 at most."
    )
    chart = charts.queue(log)
    assert chart.sentence == (
        "Queue over 110.0 s: 0.5 runs waited for a worker on average, 1 at most, some "
        "50.0% of the time."
    )
    assert rows(chart.frame, "start", "end", "busy", "queue") == [
        (0.0, 55.0, 2, 1),
        (55.0, 110.0, 1, 0),
    ]


def test_a_comparison_says_where_and_knows_no_interval_of_one_replication():
    pairs = PAIRS.assign(low=float("nan"), high=float("nan"), difference=[-0.5, 0.25])
    pairs.insert(0, "load", [1, 2])
    pairs["p_holm"] = [0.01, 1.0]
    chart = charts.comparison(pairs, "success")
    assert chart.sentence == (
        "Comparison of success of 2 pairs, 0 with an interval without zero, 1 with a "
        "corrected p below 5%: load 1, workers 2 less workers 1 -50.0% (unknown to "
        "unknown); load 2, workers 4 less workers 1 +25.0% (unknown to unknown)."
    )
    labels = [label.get_text() for label in chart.axes.get_yticklabels()]
    assert labels[0] == "load 1, workers 2\nless workers 1"


def test_a_comparison_names_its_parameter_and_says_how_many_pairs_it_leaves_out():
    pairs = pd.concat([PAIRS] * 3).reset_index(drop=True).assign(a="1", b="2")
    pairs.attrs["by"] = "workers"
    chart = charts.comparison(pairs)
    labels = [label.get_text() for label in chart.axes.get_yticklabels()]
    assert labels == ["workers 2\nless workers 1"] * 6
    assert chart.sentence.count("workers 2 less workers 1") == 4
    assert chart.sentence.endswith("; and 2 more pairs.")


@pytest.mark.parametrize("name", OF_A_STUDY)
@pytest.mark.parametrize("number", [1, 12])
def test_no_label_is_cut_off_or_lies_on_another(name, number):
    chart = OF_A_STUDY[name](study(tuple(range(number))))
    assert flaws(chart) == []
    assert len(set(chart.figure.canvas.buffer_rgba().cast("B").tobytes())) > 20
    assert len(chart.frame.iloc[:, 0].drop_duplicates()) == number


@pytest.mark.parametrize("name", OF_A_STUDY)
def test_names_that_are_long_are_cut_in_their_middle_not_at_the_edge(name):
    chart = OF_A_STUDY[name](study(tuple(f"{n} {'$long$' * 20}" for n in range(12))))
    assert flaws(chart) == []


@pytest.mark.parametrize("name", OF_A_STUDY)
def test_long_names_that_differ_in_their_middle_can_be_told_apart(name):
    chart = OF_A_STUDY[name](study(tuple("a" * 40 + str(n) + "b" * 40 for n in "12")))
    legend = chart.axes.get_legend()
    texts = [*ticks(chart)[1], *(legend.get_texts() if legend else ())]
    named = [text.get_text() for text in texts if "aaa" in text.get_text()]
    assert len(named) == len(set(named)) == 2
    assert flaws(chart) == []


@pytest.mark.parametrize("number", [1, 20])
def test_no_label_of_parameters_is_cut_off(number):
    copies = pd.concat([TORNADO.head(1)] * number).reset_index(drop=True)
    pairs = pd.concat([PAIRS.head(1)] * number).reset_index(drop=True)
    cells = pd.concat(
        [study(tuple(range(number))).replications.assign(load=n) for n in range(number)]
    )
    for chart in (
        charts.tornado(copies.assign(parameter=[f"p{n}" for n in range(number)]), "p95"),
        charts.comparison(pairs),
        charts.heatmap(cells, "workers", "load", "p95"),
    ):
        assert flaws(chart) == []


@pytest.mark.parametrize("name", OF_A_STUDY)
def test_of_many_groups_the_first_twelve_are_shown(name):
    chart = OF_A_STUDY[name](study(tuple(range(15))))
    assert "by workers, the first 12 of 15" in chart.sentence
    assert chart.frame["workers"].nunique() == 12


@pytest.mark.parametrize("name", OF_A_STUDY)
def test_a_study_without_runs_gives_a_chart_that_says_so(name):
    full = study()
    bare = SimpleNamespace(
        over=full.over, runs=full.runs.head(0), replications=full.replications.head(0)
    )
    chart = OF_A_STUDY[name](bare)
    assert "without" in chart.sentence or "fewer than 2" in chart.sentence
    assert chart.frame.empty
    assert chart.png().startswith(b"\x89PNG")


def test_frames_without_rows_give_charts_that_say_so():
    empty = study().replications.head(0).assign(load=1)
    assert charts.tornado(TORNADO.head(0), "p95").sentence == (
        "Tornado chart of p95 without a parameter."
    )
    assert charts.comparison(PAIRS.head(0)).sentence == "Comparison of nothing."
    assert charts.heatmap(empty, "workers", "load", "p95").sentence == (
        "Heat map of p95 without a value."
    )


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: charts.ecdf(study(), "worker"), "did you mean 'workers'?"),
        (lambda: charts.ecdf(study(), confidence=1.0), "confidence is 1.0"),
        (lambda: charts.latencies(study(), kind="pie"), "give 'box' or 'violin'"),
        (lambda: charts.convergence(study(), "p59"), "did you mean 'p95'?"),
        (lambda: charts.convergence(study(), confidence=0.0), "confidence is 0.0"),
        (lambda: charts.heatmap(study(), "workers", "load"), "no column 'load'"),
        (lambda: charts.heatmap(study(), "mean", "mean"), "give three columns"),
        (lambda: charts.tornado(PAIRS), "no column 'parameter'"),
        (lambda: charts.comparison(TORNADO), "no column 'a'"),
        (lambda: charts.tornado(study()), "is no frame; give one, such as study.torna"),
        (lambda: charts.comparison(study()), "is no frame; give one, such as"),
        (
            lambda: charts.qq(study(), "A"),
            "is no calibration; give one, such as wfsim.ca",
        ),
        (lambda: charts.pit(study()), "is no validation; give one, such as calibration."),
        (lambda: charts.utilisation(wfsim.EventLog(), workers=0), "workers is 0"),
        (lambda: charts.utilisation(study()), "is no log; give one, such as"),
        (lambda: charts.queue(study()), "is no log; give one, such as"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(draw, words):
    with pytest.raises(UsageError, match="(?s)" + words.replace("?", r"\?")):
        draw()


@pytest.mark.parametrize("name", OF_A_STUDY)
def test_the_same_study_gives_the_same_picture(name):
    assert OF_A_STUDY[name](study()).svg() == OF_A_STUDY[name](study()).svg()


def test_a_page_about_a_study_stands_alone(tmp_path):
    of = study(("<one>", "two"))
    of.summary = lambda: of.replications.groupby(list(of.over), as_index=False).agg(
        total_p95=("p95", "mean"), replications=("p95", "size")
    )
    of.critical = lambda: pd.DataFrame({"step": ["Copy"], "share": [0.75]})
    of.utilisation = lambda: pd.DataFrame({"name": ["uplink"], "busy": [1.5]})
    path = wfsim.export.study_page(of, tmp_path / "new" / "study.html")
    text = path.read_text(encoding="utf-8")
    headings = re.findall("<h2>(.*?)</h2>", text)
    assert headings == [
        *("Summary", "Time from when a run was called for", "Outcomes"),
        *("Where the time goes", "Load"),
        *("Convergence", "Replications"),
    ]
    assert "18 runs in 6 replications of 2 points" in text
    assert "<td class=s>Copy</td><td class=n>0.750</td>" in text
    assert "<td class=s>uplink</td><td class=n>1.500</td>" in text
    assert "&lt;one&gt;" in text
    assert "<one>" not in text
    assert re.findall(r'(?:src|href)="(?!data:)', text) == []
    of.over = ("workers", "load")
    of.runs["load"] = of.replications["load"] = 1
    again = wfsim.export.study_page(of, path).read_text(encoding="utf-8")
    assert "Heat map of total_p95 over workers and load, 2 cells of 3 " in again


def test_a_page_about_nothing_says_so(tmp_path):
    full = study()
    bare = SimpleNamespace(
        over=full.over, runs=full.runs.head(0), replications=full.replications.head(0),
        summary=lambda: full.replications.head(0),
        critical=lambda: pd.DataFrame({"step": []}),
        utilisation=lambda: pd.DataFrame({"name": []}),
    )  # fmt: skip
    text = wfsim.export.study_page(bare, tmp_path / "study.html").read_text()
    assert "0 runs in 0 replications of 0 points" in text


def test_a_sweep_is_drawn_as_it_is(scenario, tmp_path):
    def fleet(workers):
        return scenario(("a", "b", "c"), policy=Policy(workers=workers))

    found = wfsim.sweep(fleet, over={"workers": [1, 3]}, replications=2, progress=False)
    assert charts.breakdown(found).sentence == (
        "Where the time of 12 runs goes by workers: workers 1 110.0 s (queued 50.0%, "
        "steps 50.0%); workers 3 55.0 s (steps 100.0%)."
    )
    assert charts.ecdf(found, value="total").sentence == (
        "ECDF of the time in system of 12 completed runs by workers, with a 95% band: "
        "workers 1: p50 110.0 s, p95 165.0 s; workers 3: p50 55.0 s, p95 55.0 s."
    )
    pairs = found.compare(measure="makespan")
    assert charts.comparison(pairs, "makespan", "workers").sentence == (
        "Comparison of makespan of 1 pair, 1 with an interval without zero, 0 with a "
        "corrected p below 5%: workers 3 less workers 1 -110.0 s (-110.0 s to -110.0 s)."
    )
    assert charts.tornado(found.tornado("makespan"), "makespan").sentence == (
        "Tornado chart of makespan around 110.0 s, 1 parameter: workers from 1 to 3: "
        "165.0 s to 55.0 s."
    )
    for draw in OF_A_STUDY.values():
        assert draw(found).png().startswith(b"\x89PNG")
    page = wfsim.export.study_page(found, tmp_path / "study.html").read_text()
    assert "12 runs in 4 replications of 2 points" in page
