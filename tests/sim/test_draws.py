"""Keyed draws: uniform, independent, and the same for ever."""

from __future__ import annotations

import pytest

import wfsim
from wfsim.sim.draws import KeyedDraws

# Pinned: a release that changes one of these changes every result anybody has kept.
GOLDEN = {
    (0, ()): 0.45830656992493324,
    (0, ("mpd-0", "InitMeta", 1)): 0.2658342139146752,
    (1, ("world", "pod", 2)): 0.5659570330198809,
    (-7, ("näme", "步", 100000000000000000000)): 0.7290967668393501,
    (10**80, ("a",)): 0.8621289531507649,
}


@pytest.mark.parametrize(("case", "value"), GOLDEN.items())
def test_a_draw_has_the_value_that_it_has_always_had(case, value):
    seed, purpose = case
    assert KeyedDraws(seed).uniform(*purpose) == value


def test_a_draw_depends_on_seed_and_purpose_and_not_on_earlier_draws():
    fresh, used = KeyedDraws(1), KeyedDraws(1)
    for number in range(10):
        used.uniform("other", number)
    assert used.uniform("mine", 3) == fresh.uniform("mine", 3)
    assert KeyedDraws(2).uniform("mine", 3) != fresh.uniform("mine", 3)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "bc"), ("ab", "c")),
        (("a", "b"), ("a, b",)),
        (("a', 'b",), ("a", "b")),
        ((1,), ("1",)),
        ((1, 23), (12, 3)),
        (("a",), ("a", "")),
        ((), ("",)),
        (("é",), ("\\xe9",)),
    ],
)
def test_different_purposes_have_different_draws(one, other):
    draws = KeyedDraws(0)
    assert draws.uniform(*one) != draws.uniform(*other)


def test_seeds_of_any_length_differ():
    seeds = [1, -1, 10**63, 10**64, 10**64 + 1, 10**200, 10**200 + 1]
    assert len({KeyedDraws(seed).uniform("a") for seed in seeds}) == len(seeds)


def chi_square(counts):
    expected = sum(counts) / len(counts)
    return sum((count - expected) ** 2 / expected for count in counts)


# Bounds: the 0.001 and 0.999 quantiles of chi-square with 99 degrees of freedom.
LOW, HIGH = 61.1, 148.2


@pytest.mark.parametrize("seed", [0, 1, 2**31])
def test_draws_are_uniform(seed):
    draws = KeyedDraws(seed)
    values = [draws.uniform("mpd-0", "step", n) for n in range(20_000)]
    assert all(0.0 <= value < 1.0 for value in values)
    counts = [0] * 100
    for value in values:
        counts[int(value * 100)] += 1
    assert LOW < chi_square(counts) < HIGH


@pytest.mark.parametrize(
    "neighbour",
    [lambda n: (1, ("step", n)), lambda n: (0, ("step", n + 1)), lambda n: (0, ("s", n))],
    ids=["next seed", "next attempt", "other name"],
)
def test_neighbouring_draws_are_independent(neighbour):
    draws = {seed: KeyedDraws(seed) for seed in (0, 1)}
    counts = [0] * 100
    for n in range(20_000):
        seed, purpose = neighbour(n)
        here, there = draws[0].uniform("step", n), draws[seed].uniform(*purpose)
        counts[int(here * 10) * 10 + int(there * 10)] += 1
    assert LOW < chi_square(counts) < HIGH


def test_what_has_been_drawn_leaves_purposes_that_only_equal_it_alone():
    # 1 == True and Kind.STEP_LOG == "step.log", but each is hashed as it is written.
    draws = KeyedDraws(seed=7)
    within = draws.within("mpd-0")
    for alike in ((1, True), (True, 1), ("step.log", wfsim.Kind.STEP_LOG)):
        found = [within.uniform("S", each) for each in alike]
        assert found == [draws.uniform("mpd-0", "S", each) for each in alike]
        assert found[0] != found[1]
