"""The smallest value that meets an objective, found by replicating where it is open."""

from __future__ import annotations

import math
import pickle

import pytest

import wfsim
from tests.sizes import FULL
from wfsim.errors import DefinitionError, UsageError

SPEEDS = list(range(1, 11))


def policy(speed, wait=0.0):
    """Ten known policies: a service of 4 ** (8 - speed) seconds on average."""
    mean = 4.0 ** (8 - speed) + wait
    step = wfsim.Step("Serve", duration=wfsim.Duration.parse({"exponential": mean}))
    return wfsim.Scenario.of_flow(wfsim.Flow("Job", (step,)))


def begun(seed=0, **more):
    return wfsim.sweep(policy, {"speed": SPEEDS}, replications=10, seed=seed, **more)


def test_the_right_one_of_ten_known_policies_is_chosen_as_often_as_it_says():
    # Means of 16 s and 4 s lie on the two sides of 8 s.
    trials = 200 if FULL else 8
    chosen = [
        begun(seed).smallest("speed", "total <= 8", confidence=0.9)
        for seed in range(trials)
    ]
    right = sum(found.value == 7 and found.is_certain for found in chosen)
    print(f"right in {right} of {trials} studies at a confidence of 90 %")
    assert right >= 0.9 * trials


def test_replications_are_spent_where_the_answer_is_open():
    found = begun().smallest("speed", "total <= 8")
    points = found.points.set_index("speed")
    assert points["meets"].tolist()[:7] == ["no"] * 6 + ["yes"]
    assert points["replications"].to_dict()[1] < points["replications"].to_dict()[6]
    # What is quicker than the first that meets it need not be known any better.
    assert points["replications"].tolist()[-1] == 10
    assert found.study.counts() == found.points["replications"].tolist()


def test_a_quantile_is_known_to_lie_below_its_limit():
    # The 95 % quantile of an exponential is its mean times the logarithm of 20.
    limit = 8 * math.log(20)
    found = begun().smallest("speed", f"total_p95 <= {limit}")
    assert (found.value, found.is_certain) == (7, True)


def test_what_is_replicated_further_is_what_a_longer_sweep_makes(tmp_path):
    whole = wfsim.sweep(policy, {"speed": [3, 1]}, replications=30, seed=4)
    for folder in (None, tmp_path):
        part = wfsim.sweep(
            policy, {"speed": [3, 1]}, replications=7, seed=4, cache=folder
        )
        longer = part.extended({0: 30}).extended({0: 12, 1: 30})
        assert longer.digest == whole.digest
        assert longer.runs.equals(whole.runs)
        assert longer.steps.equals(whole.steps)
        assert longer.where(speed=1).extended({0: 40}).counts() == [40]
        assert part.counts() == [7, 7]


def test_where_none_meets_it_or_nothing_can_tell_that_is_what_it_says():
    study = wfsim.sweep(policy, {"speed": [1, 8]}, replications=10)
    never = study.smallest("speed", "total <= 0.01")
    assert (never.value, never.is_certain) == (None, True)
    open_ = study.smallest("speed", "total <= 16384", replications=40)
    assert (open_.value, open_.is_certain) == (8, False)
    assert open_.points["meets"].tolist() == ["open", "yes"]
    assert open_.points["replications"].tolist() == [40, 10]


def test_of_more_than_one_parameter_one_value_is_taken_first():
    study = wfsim.sweep(policy, {"speed": SPEEDS, "wait": [0.0, 8.0]}, replications=10)
    with pytest.raises(UsageError, match=r"wait varies too.*study.where\(wait=0.0\)"):
        study.smallest("speed", "total <= 8")
    assert study.where(wait=8.0).smallest("speed", "total <= 17").value == 7


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("sped", "total <= 1"), UsageError, "did you mean 'speed'"),
        (("speed", "total"), DefinitionError, "objective: 'total'; write a measure"),
        (("speed", "totl <= 1"), UsageError, "did you mean 'total'"),
        (("speed", "total_high <= 1"), UsageError, "write 'total'"),
    ],
)
def test_a_question_that_is_none_is_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        begun().smallest(*arguments)


def test_a_study_that_was_pickled_says_that_it_cannot_replicate_further():
    study = pickle.loads(pickle.dumps(begun()))
    assert study.smallest("speed", "total <= 100000").value == 1
    with pytest.raises(UsageError, match="cannot replicate further"):
        study.smallest("speed", "total <= 8")
