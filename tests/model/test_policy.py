"""Every number of the engine: its default, and what makes no sense."""

from __future__ import annotations

from math import inf, nan

import pytest

from wfsim.errors import DefinitionError
from wfsim.model.policy import Policy, Retry


def test_the_defaults_are_the_numbers_of_the_reference():
    policy = Policy()
    assert (policy.retry.limit, policy.redrive.after(7), policy.workers) == (10, 1.0, 26)
    assert (policy.cancel_tick, policy.lease, policy.renew) == (5.0, 15.0, 10.0)
    assert policy.timeout is policy.deadline is policy.retention is None


@pytest.mark.parametrize(
    ("retry", "waits"),
    [
        (Retry(), [1, 1, 1, 1]),
        (Retry(delay=0), [0, 0, 0, 0]),
        (Retry(delay=2, factor=3, cap=50), [2, 6, 18, 50]),
        (Retry(delay=9, cap=4), [4, 4, 4, 4]),
        (Retry(delay=0, factor=2), [0, 0, 0, 0]),
    ],
)
def test_each_wait_is_a_factor_longer_than_the_one_before_up_to_a_cap(retry, waits):
    assert [retry.after(failures) for failures in (1, 2, 3, 4)] == waits


@pytest.mark.parametrize("factor", [2, 1.5, 1000])
def test_the_waits_of_a_long_series_are_the_cap(factor):
    assert Retry(factor=factor).after(100_000) == 1000.0


@pytest.mark.parametrize(
    ("kind", "number", "text"),
    [
        (
            Retry,
            {"limit": -1},
            "a whole number from 0 to 1000000000",
        ),
        (
            Retry,
            {"restarts": -1},
            "a whole number from 0 to 1000000000",
        ),
        (Retry, {"delay": nan}, "seconds from 0 to 1e+12"),
        (Retry, {"cap": inf}, "seconds from 0 to 1e+12"),
        (Retry, {"factor": 0.5}, "a number from 1 to 1000"),
        (Policy, {"timeout": 0}, "seconds above 0 to 1e+12"),
        (
            Policy,
            {"deadline": inf},
            "seconds above 0 to 1e+12",
        ),
        (
            Policy,
            {"cancel_tick": -5},
            "seconds from 0 to 1e+12",
        ),
        (
            Policy,
            {"workers": 0},
            "a whole number from 1 to 1000000000",
        ),
        (
            Policy,
            {"retention": 0},
            "a whole number from 1 to 1000000000",
        ),
        (Policy, {"lease": -1}, "seconds above 0 to 1e+12"),
        (Policy, {"renew": 15}, "less than lease, 15"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused_by_name(kind, number, text):
    with pytest.raises(DefinitionError) as refused:
        kind(**number)
    (name,) = number
    assert str(refused.value) == f"{kind.__name__}: {name} is {number[name]}; give {text}"
