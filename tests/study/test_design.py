"""Designs: points that fill a space."""

from __future__ import annotations

from pathlib import Path

import pytest

import wfsim
from wfsim import design
from wfsim.errors import UsageError

NIGHTLY = Path(__file__).parents[2] / "flows/backup/nightly.yaml"
SPACE = {"mtbf": (60, 3600), "replicas": range(1, 5), "kind": ["slow", "fast"]}


@pytest.mark.parametrize("make", [design.latin, design.sobol, design.halton])
def test_points_are_inside_their_ranges_and_the_same_for_the_same_seed(make):
    made = make(SPACE, 16, seed=3)
    assert len(made) == 16
    assert all(60 <= row["mtbf"] < 3600 for row in made.rows)
    assert {row["replicas"] for row in made.rows} == {1, 2, 3, 4}
    assert {row["kind"] for row in made.rows} == {"slow", "fast"}
    assert make(SPACE, 16, seed=3).rows == made.rows
    assert make(SPACE, 16, seed=4).rows != made.rows


def test_each_point_of_a_latin_hypercube_has_a_slice_of_each_axis_for_itself():
    made = design.latin({"x": (0, 10), "y": (0, 10)}, 10, seed=1)
    for name in ("x", "y"):
        assert sorted(int(row[name]) for row in made.rows) == list(range(10))


def test_a_saltelli_design_has_so_many_points():
    made = design.saltelli({"x": (0, 1), "y": (0, 1), "z": (0, 1)}, 8)
    assert len(made) == 8 * (3 + 2)
    assert repr(made) == "<Design saltelli of x, y, z: 40 points>"


def test_one_at_a_time_is_a_base_and_two_points_for_each_parameter():
    made = design.one_at_a_time({"x": (1, 2, 3), "y": (10, 20, 30)})
    assert [tuple(row.values()) for row in made.rows] == [
        *((2, 20), (1, 20), (3, 20), (2, 10), (2, 30)),
    ]


def test_one_at_a_time_takes_values_of_any_kind():
    durations = [{"constant": seconds} for seconds in (1, 2, 3)]
    made = design.one_at_a_time({"steps.Copy.duration": tuple(durations)})
    found = [row["steps.Copy.duration"] for row in made.rows]
    assert found == [durations[1], durations[0], durations[2]]
    with pytest.raises(UsageError, match=r"give \(low, base, high\)"):
        design.one_at_a_time({"x": ({"constant": 1}, {"constant": 1}, 3)})


def test_points_that_coincide_are_simulated_once():
    made = design.latin({"resource": ["a", "b"]}, 6, seed=1)

    def make(resource):
        return wfsim.Scenario.of_flow(NIGHTLY, resource=resource)

    with pytest.raises(UsageError, match="'resource' is a column"):
        wfsim.sweep(make, made, replications=1)
    named = design.latin({"name": ["a", "b"]}, 6, seed=1)
    study = wfsim.sweep(lambda name: make(name), named, replications=1)
    assert sorted(study.points["name"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: design.latin({}, 4), "give {'name'"),
        (lambda: design.latin({"x": (1, 1)}, 4), r"x is \(1, 1\); give \(low, high\)"),
        (lambda: design.latin({"x": "ab"}, 4), "x is 'ab'"),
        (lambda: design.latin({"x": (0, 1)}, 0), "0 points; give a whole number"),
        (lambda: design.sobol({"x": (0, 1)}, 6), "give a power of 2, as 8"),
        (lambda: design.saltelli({"x": (0, 1)}, 5), "give a power of 2, as 4"),
        (lambda: design.one_at_a_time({"x": (0, 1)}), r"give \(low, base, high\)"),
        (lambda: design.one_at_a_time({}), "give at least one"),
    ],
)
def test_a_design_that_makes_no_sense_is_refused(call, said):
    with pytest.raises(UsageError, match=said):
        call()
