"""What seconds, counts, shares and texts may be: one definition for Python and files."""

from dataclasses import MISSING, fields
from typing import Literal

import numpy as np
import pytest
from pydantic import ValidationError

import wfsim
from wfsim.errors import DefinitionError, Problem, UsageError
from wfsim.files.validation import model_of
from wfsim.model.bounds import PositiveCount, argument, seconds
from wfsim.sim.faults import FAULTS

NAN, INF = float("nan"), float("inf")
PROBES = [
    *(NAN, INF, -INF, -1, -0.5, 0, 0.0, 1e-9, 0.001, 0.5, 1, 1.0, 2.5, 7, 1000, 1001),
    *(10**9, 10**9 + 1, 1e12, 1.1e12, 10**400, True, False, "", "5", "before"),
    *({}, {"a": 1}, {"a": "b"}, {"a": NAN}, {1: 2}, [1]),
]
LASTING = ("StaleRead", "DropWatch", "PauseController", "ApiDown")
KINDS = {
    **{name: (kind, {}) for name, kind in FAULTS.items()},
    **{name: (FAULTS[name], {"for_": 5}) for name in LASTING},
    "AskAt": (FAULTS["AskAt"], {"call": "cancel"}),
    "Retry": (wfsim.Retry, {}),
    "Rate": (wfsim.demand.Rate, {"mtbf": 60, "mttr": 5}),
    "Times": (wfsim.demand.Times, {"every": 5}),
    "ApiRate": (wfsim.demand.ApiRate, {"per_second": 5}),
    "StepSettings": (wfsim.demand.StepSettings, {}),
    "FlowRequest": (wfsim.demand.FlowRequest, {"flow": "Backup"}),
    "Policy": (wfsim.Policy, {}),
}
NEEDED = {
    "step": "Copy",
    "t": 5,
    "for_": 5,
    "write": 3,
    "delete": True,
    "mtbf": 60,
    "mttr": 5,
    "per_second": 5,
    "flow": "Backup",
}


def needed(kind, given):
    bare = [
        item.name
        for item in fields(kind)
        if item.default is MISSING and item.default_factory is MISSING
    ]
    return {name: NEEDED[name] for name in bare} | given


def refusals(kind, given):
    """Return the names of the fields that *kind* refuses when it is made in Python."""
    try:
        kind(**given)
    except DefinitionError as error:
        return {problem.path[0] for problem in error.problems if problem.path}
    return set()


@pytest.mark.parametrize("name", KINDS)
def test_python_and_files_refuse_the_same_values_of_each_field(name):
    kind, given = KINDS[name]
    model = model_of(name, kind, partial=kind is wfsim.Policy)
    for item in fields(kind):
        if item.name in ("retry", "redrive"):
            continue
        for probe in PROBES:
            values = needed(kind, given) | {item.name: probe}
            try:
                said = model.model_validate(values).given()
            except ValidationError:
                said = None
            in_file = said is None or item.name in refusals(kind, said)
            in_python = item.name in refusals(kind, values)
            assert in_file == in_python, f"{name}.{item.name} = {probe!r}"


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (
            lambda: wfsim.Step("S", timeout=NAN),
            "Step: timeout is nan; give seconds ab",
        ),
        (lambda: wfsim.Step("S", failure="5"), "Step: failure is '5'; give a prob"),
        (lambda: wfsim.Step("S", duration="long"), "Step: duration is 'long'; give sec"),
        (lambda: wfsim.Step(5), "Step: name is 5; give a text that is not empty"),
        (lambda: wfsim.Step("S", retry=3), r"Step: retry is 3; give Retry\(\.\.\.\)"),
        (lambda: wfsim.Flow("F", (), deadline=-1), "Flow: deadline is -1; give seconds"),
        (lambda: wfsim.Flow("F", ("S",)), "Flow: steps is .*; give a list, each item St"),
        (lambda: wfsim.Flow("F", "S"), "Flow: steps is 'S'; give a list"),
        (lambda: wfsim.Policy(workers=2.5), "Policy: workers is 2.5; give a whole num"),
        (lambda: wfsim.Policy(retry=3), "Policy: retry is 3; give Retry"),
        (
            lambda: wfsim.demand.Times(every=5, start=60, until=50),
            "Times: until is 50, before start, 60; give a later second",
        ),
        (
            lambda: wfsim.demand.Rate(60, 5, start=60, until=50),
            "Rate: until is 50, before start, 60; give a later second",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_given(make, problem):
    with pytest.raises(DefinitionError, match=problem):
        make()


def test_what_plainly_means_the_same_is_taken():
    step = wfsim.Step("S", duration=10, failure=np.float32(0.5))
    assert (step.duration, step.failure) == (wfsim.Duration.parse(10), 0.5)
    assert wfsim.Step("S", duration={"uniform": [1, 2]}).duration.mean == 1.5
    assert wfsim.Flow("F", [step]).steps == (step,)
    workers = wfsim.Policy(workers=np.int64(3)).workers
    assert (workers, type(workers)) == (3, int)


def test_every_wrong_field_is_a_problem_of_its_own():
    with pytest.raises(DefinitionError) as refused:
        wfsim.Retry(limit=-1, delay=NAN)
    assert refused.value.problems == (
        Problem(
            "limit is -1",
            "give a whole number from 0 to 1000000000",
            path=("limit",),
            subject="Retry",
        ),
        Problem(
            "delay is nan", "give seconds from 0 to 1e+12", ("delay",), subject="Retry"
        ),
    )


@pytest.mark.parametrize("value", [0.0, 0, 2.5, 7, 1e12, np.float64(3), np.int64(3)])
def test_seconds_that_can_be_waited_for_are_taken(value):
    taken = seconds(value, "ctx.sleep")
    assert (taken, isinstance(taken, float)) == (value, True)


@pytest.mark.parametrize("value", [NAN, INF, -1, -1e-9, 1e13, 10**400, True, "5", None])
def test_seconds_that_cannot_be_waited_for_are_refused_by_name(value):
    with pytest.raises(UsageError, match=r"ctx\.sleep is .*; give seconds from 0"):
        seconds(value, "ctx.sleep")


@pytest.mark.parametrize("value", [0, -1, 1.5, NAN, True, "5", None])
def test_an_argument_outside_its_bounds_is_refused_by_name(value):
    with pytest.raises(UsageError, match=r"workers is .*; give a whole number from 1 to"):
        argument("workers", value, PositiveCount)


@pytest.mark.parametrize("hint", [PositiveCount, Literal[1, 2]])
def test_an_argument_within_its_bounds_is_taken(hint):
    assert argument("depth", 2, hint) == 2
    with pytest.raises(UsageError, match="depth is True"):
        argument("depth", True, hint)
