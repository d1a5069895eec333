"""Distributions: drawn by inverse CDF, compared with scipy.stats, read and written."""

from __future__ import annotations

import math
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from wfsim.errors import UsageError
from wfsim.model.duration import NAMES, Duration
from wfsim.sim.draws import KeyedDraws

# The first gamma loads scipy, and a mixture is drawn from by bisection.
slow = settings(deadline=None)
positive = st.floats(0.01, 1000.0)
# To a microsecond: the squares of what is below 1e-150 are no numbers any more.
lengths = st.floats(0.0, 1000.0).map(lambda x: round(x, 6))
rising = st.lists(lengths, min_size=3, max_size=3).map(sorted)
simple = st.one_of(
    lengths,
    rising.map(lambda v: {"uniform": v[:2]}),
    rising.map(lambda v: {"triangular": v}),
    positive.map(lambda v: {"exponential": v}),
    st.tuples(st.floats(-3.0, 5.0), st.floats(0.0, 2.0)).map(
        lambda v: {"lognormal": list(v)}
    ),
    st.tuples(st.floats(0.1, 50.0), positive).map(lambda v: {"gamma": list(v)}),
    st.tuples(st.floats(0.2, 20.0), positive).map(lambda v: {"weibull": list(v)}),
    st.lists(lengths, min_size=1, max_size=9).map(lambda v: {"empirical": v}),
    st.lists(positive, min_size=3, max_size=3)
    .map(sorted)
    .map(lambda v: {"percentiles": dict(zip(("p10", "p50", "p99.9"), v, strict=True))}),
)


def cut(value: object, share: float) -> object:
    """The distribution *value* without what lies above its quantile *share*."""
    high = Duration.parse(value).quantile(share)
    return {"truncated": {"of": value, "low": high / 4, "high": high}}


cuts = st.builds(cut, simple, st.floats(0.6, 0.99))
mixed = st.lists(
    st.fixed_dictionaries({"weight": positive, "of": simple}), min_size=1, max_size=3
).map(lambda v: {"mixture": v})
durations = st.one_of(simple, cuts, mixed).map(Duration.parse)
shares = st.floats(0.0, 1.0, exclude_max=True)

FAMILIES = [
    ({"uniform": [2, 5]}, stats.uniform(2, 3)),
    ({"triangular": [1, 2, 6]}, stats.triang(0.2, 1, 5)),
    ({"exponential": 7}, stats.expon(scale=7)),
    ({"lognormal": [1.5, 0.7]}, stats.lognorm(0.7, scale=math.exp(1.5))),
    ({"gamma": [0.4, 30]}, stats.gamma(0.4, scale=30)),
    ({"gamma": [9, 2]}, stats.gamma(9, scale=2)),
    ({"weibull": [0.6, 30]}, stats.weibull_min(0.6, scale=30)),
    ({"weibull": [3, 12]}, stats.weibull_min(3, scale=12)),
]


@pytest.mark.parametrize(("spec", "dist"), FAMILIES)
def test_a_family_is_that_of_scipy_to_nine_digits(spec, dist):
    duration = Duration.parse(spec)
    for u in (1e-6, 0.01, 0.2, 0.5, 0.9, 0.99, 1 - 1e-6):
        assert duration.draw(u) == pytest.approx(dist.ppf(u), rel=1e-9)
        x = float(dist.ppf(u))
        assert duration.cdf(x) == pytest.approx(u, rel=1e-9)
        assert duration.below(x) == pytest.approx(
            integrate.quad(dist.ppf, 0.0, u, epsabs=0.0)[0], rel=1e-6
        )
        assert duration.dist().ppf(u) == pytest.approx(dist.ppf(u), rel=1e-12)
    assert duration.mean == pytest.approx(dist.mean(), rel=1e-9)
    assert duration.quantile(1) == dist.support()[1]


def test_what_has_no_counterpart_in_scipy_says_so():
    for spec in (3, {"uniform": [2, 2]}, {"empirical": [1, 2]}, {"exponential": 0}):
        assert Duration.parse(spec).dist() is None


def test_values_that_were_seen_are_drawn_one_as_likely_as_the_other():
    seen = Duration.parse({"empirical": [30, 10, 20, 20]})
    shares = (0.0, 0.25, 0.26, 0.5, 0.75, 0.76, 0.99)
    assert [seen.draw(u) for u in shares] == [10, 10, 20, 20, 20, 30, 30]
    assert [seen.cdf(x) for x in (9, 10, 20, 30)] == [0.0, 0.25, 0.75, 1.0]
    assert (seen.mean, seen.quantile(1), str(seen)) == (
        20.0,
        30.0,
        "empirical(4 values from 10 to 30)",
    )


def test_a_mixture_draws_from_its_distribution_function_turned_round():
    mixture = Duration.parse(
        {"mixture": [{"weight": 9, "of": 3}, {"weight": 1, "of": {"uniform": [3, 13]}}]}
    )
    assert [mixture.draw(u) for u in (0.0, 0.5, 0.9)] == [3.0, 3.0, 3.0]
    assert mixture.draw(0.95) == pytest.approx(8.0, rel=1e-14)
    assert mixture.mean == 0.9 * 3 + 0.1 * 8
    assert str(mixture) == "mixture(0.9 of 3 s, 0.1 of uniform(3, 13))"


def test_a_mixture_of_two_bells_agrees_with_its_density():
    mixture = Duration.parse(
        {
            "mixture": [
                {"weight": 2, "of": {"gamma": [4, 1]}},
                {"weight": 1, "of": {"weibull": [3, 40]}},
            ]
        }
    )
    gamma, weibull = stats.gamma(4), stats.weibull_min(3, scale=40)
    for u in (0.01, 0.3, 0.6, 0.7, 0.99):
        x = mixture.draw(u)
        assert (2 * gamma.cdf(x) + weibull.cdf(x)) / 3 == pytest.approx(u, rel=1e-12)


def test_what_is_cut_off_is_spread_over_the_rest():
    spec = {"truncated": {"of": {"exponential": 5}, "low": 2, "high": 9}}
    dist = stats.truncexpon(b=7 / 5, loc=2, scale=5)
    for u in (0.0, 0.1, 0.5, 0.999):
        assert Duration.parse(spec).draw(u) == pytest.approx(dist.ppf(u), rel=1e-9)
    assert Duration.parse(spec).mean == pytest.approx(dist.mean(), rel=1e-9)
    assert Duration.parse(spec).quantile(1) == 9.0


def test_an_end_that_is_cut_at_is_kept():
    kept = Duration.parse({"truncated": {"of": {"empirical": [1, 2, 3, 4]}, "low": 3}})
    assert [kept.draw(u) for u in (0.0, 0.5, 0.51)] == [3.0, 3.0, 4.0]
    assert (kept.mean, kept.cdf(2.9), kept.cdf(3)) == (3.5, 0.0, 0.5)


def test_three_percentiles_are_met_and_have_a_tail():
    three = Duration.parse({"percentiles": {"p50": 3, "p90": 9, "p99": 40}})
    assert [three.draw(q) for q in (0.5, 0.9, 0.99)] == pytest.approx([3, 9, 40])
    assert three.draw(0.999) > 100.0
    first = Duration.parse({"percentiles": {"p50": 3, "p90": 9}})
    last = Duration.parse({"percentiles": {"p90": 9, "p99": 40}})
    for u in (0.001, 0.3, 0.89):
        assert three.draw(u) == pytest.approx(first.draw(u), rel=1e-12)
    assert three.draw(0.999) == pytest.approx(last.draw(0.999), rel=1e-12)
    assert three.mean == pytest.approx(
        integrate.quad(three.draw, 0, 1, points=[0.9, 0.99], limit=500)[0], rel=1e-4
    )


@slow
@given(durations, shares, shares)
def test_a_longer_duration_never_comes_of_a_smaller_number(duration, u, v):
    low, high = sorted((u, v))
    assert duration.draw(low) <= duration.draw(high) * (1 + 1e-12)
    assert duration.draw(low) >= 0.0


@slow
@example(Duration("lognormal", (3.0, 1e-16)), 0.3)
@example(
    Duration.parse({"percentiles": {"p1": 3, "p9": 3.0000000000000004, "p99": 9}}), 0.5
)
@given(durations, shares)
def test_a_quantile_holds_the_share_that_it_is_of(duration, u):
    x = duration.quantile(u)
    assert duration.cdf(x * (1 + 1e-9) + 1e-300) >= u - 1e-9
    assert duration.cdf(x * (1 - 1e-9)) <= u + 1e-6 or x == duration.quantile(0)


@slow
@given(durations)
def test_what_is_written_reads_back_the_same(duration):
    again = Duration.parse(duration.spec())
    assert again == duration
    assert hash(again) == hash(duration)
    assert str(again) == str(duration)


@slow
@example(Duration("lognormal", (1.5e-94, 1.5e-187)), 0)
@example(Duration("lognormal", (3.0, 1e-16)), 0)
@example(
    Duration.parse({"percentiles": {"p1": 3, "p9": 3.0000000000000004, "p99": 9}}), 0
)
@example(Duration.parse({"percentiles": {"p1": 7.3, "p9": 7.3, "p99": 7.3}}), 0)
@given(durations, st.integers(0, 2**32))
def test_the_mean_of_many_draws_is_the_mean_within_its_interval(duration, seed):
    draws = KeyedDraws(seed)
    # A tail that 400 draws do not see has no interval that can be taken from them.
    high = duration.quantile(0.95)
    cut = Duration.parse({"truncated": {"of": duration, "high": high}})
    seen = [cut.draw(draws.uniform(number)) for number in range(400)]
    mean = math.fsum(seen) / len(seen)
    # 400 draws from 0 to high: by Hoeffding, off by 0.16 high once in 7e8 times.
    assert abs(mean - cut.mean) <= 0.16 * high + 1e-9


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"gamma": [0, 3]}, "gamma takes a shape from 0.001 to 1e6 and a scale above 0"),
        ({"weibull": [2, 0]}, "weibull takes a shape from 0.05 to 1000 and a scale abov"),
        (
            {"weibull": [2]},
            r"weibull takes \[shape, scale\], numbers in a list, got \[2\]",
        ),
        (
            {"exponential": {"mean": 3}},
            r"exponential takes \[mean\], numbers in a list, got \{'mean': 3\}",
        ),
        ({"empirical": []}, "empirical takes 1 to 100000 values, got 0"),
        ({"empirical": [1, "2"]}, "a duration is a number of seconds, got '2'"),
        ({"empirical": [1, -2]}, "a duration is not negative, got -2"),
        ({"mixture": 3}, r"mixture takes a list such as \[\{weight: 9, of: 3\}"),
        ({"mixture": [{"of": 3}]}, r"a part of a mixture has a weight and an 'of', got"),
        ({"mixture": [{"weight": -1, "of": 3}]}, "a weight is a number above 0, got -1"),
        (
            {"mixture": [{"weight": 1, "of": {"x": 1}}]},
            "unknown distribution 'x'; known: 'constant'",
        ),
        ({"truncated": {"of": 3}}, "truncated takes {of: a duration, low: seconds, hig"),
        (
            {"truncated": {"of": 3, "lo": 1}},
            "truncated takes {of: a duration, low: secon",
        ),
        ({"truncated": {"of": 3, "low": 2, "high": 1}}, "from low to high, got 2 and 1"),
        ({"truncated": {"of": 3, "low": 5}}, "nothing of 3 s lies between 5 and inf; mo"),
        ({"percentiles": {"p50": 3}}, "percentiles takes two or more, such as {p50: 3"),
        ({"percentiles": {"p9": 3, "p5": 4, "p99": 9}}, "the higher percentile must hav"),
        ({"percentiles": {"p5": 3, "p5.0": 3, "p99": 9}}, "the higher percentile must h"),
        ({"percentiles": {"50": 3, "p5": 3}}, "a percentile is written p50 or p99.9, go"),
        (
            {"percentiles": {"p50": 1, "p50.1": 2, "p60": 1e12}},
            "the longest times of perc",
        ),
        ({1: 2}, "unknown distribution 1; known: "),
    ],
)
def test_a_wrong_distribution_is_refused_with_what_is_wrong(spec, told):
    with pytest.raises(ValueError, match=told):
        Duration.parse(spec)


def test_distributions_are_not_nested_without_end():
    spec: object = 3
    for _ in range(20):
        spec = {"mixture": [{"weight": 1, "of": spec}]}
    with pytest.raises(ValueError, match="nested more than 10 deep"):
        Duration.parse(spec)


def test_a_quantile_is_of_a_share():
    with pytest.raises(
        ValueError, match=r"a quantile is of a share from 0 to 1, got 1\.5"
    ):
        Duration.parse(3).quantile(1.5)


def test_every_name_is_in_the_table_that_readers_see():
    documented = [line.split("``")[1] for line in str(Duration.__doc__).split("\n") if
                  line.strip().startswith("``") and ":" in line]  # fmt: skip
    assert sorted(item.partition(":")[0] for item in documented if ":" in item) == sorted(
        NAMES
    )


def test_without_scipy_a_gamma_is_refused_when_it_is_read(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "scipy"]:
        monkeypatch.setitem(sys.modules, name, None)
    assert Duration.parse({"weibull": [2, 3]}).draw(0.5) > 0.0
    for call in (
        lambda: Duration.parse({"gamma": [2, 3]}),
        Duration.parse({"weibull": [2, 3]}).dist,
    ):
        with pytest.raises(UsageError, match=r"needs scipy; .* 'wfsim-lab\[study\]'"):
            call()


def test_the_longest_that_a_distribution_of_distributions_takes_is_that_of_its_parts():
    mixture = [{"weight": 9, "of": 3}, {"weight": 1, "of": {"uniform": [2, 40]}}]
    duration = Duration.parse({"mixture": mixture})
    assert duration.quantile(1.0) == 40.0
    assert Duration.parse(duration.spec()) == duration
    assert Duration.parse(7).quantile(1.0) == 7.0


def test_what_always_takes_the_same_adds_all_of_it_or_nothing_to_the_mean():
    assert [Duration.parse(5).below(x) for x in (4.9, 5.0)] == [0.0, 5.0]


def test_a_lognormal_that_does_not_vary_is_a_step():
    duration = Duration.parse({"lognormal": [0.0, 0.0]})
    assert [duration.cdf(x) for x in (0.0, 0.9, 1.0, math.inf)] == [0.0, 0.0, 1.0, 1.0]
    assert Duration.parse({"lognormal": [0.0, 1.0]}).cdf(math.inf) == 1.0


@pytest.mark.parametrize("name", ["p0", "p100", "p50"])
def test_a_percentile_that_no_time_above_0_can_have_is_refused(name):
    given = {name: 0 if name == "p50" else 3, "p90": 9}
    with pytest.raises(ValueError, match=f"{name}: .* is not a percentile with a posit"):
        Duration.parse({"percentiles": given})
