"""Crashes branch off a recorded run and join it again, and nothing is lost by that."""

from __future__ import annotations

import pytest

import wfsim
from fake_resources.zoo import MUTANTS, backup
from tests.sizes import FULL
from wfsim.campaign import trunk
from wfsim.campaign.lab import Lab
from wfsim.campaign.oracles import ORACLES
from wfsim.campaign.sites import Point, crashes

# Mutants of up to six steps, in which pairs of crashes do what one does not.
QUICK = ("creates_again", "Dormant", "LastOutput", "forgets_to_release")
CHOSEN = (
    *("named_after_the_time", "refuses_what_is_there", "acts_before_it_is_durable"),
    *("waits_for_ever", "copies_on_top", "KeylessRuns", "EternalLeases", "Timerless"),
    *("InterruptFirst", "NotesFirst", "OneBudget"),
)


def lab_of(name: str) -> Lab:
    subject = backup() if name == "sound" else MUTANTS[name].subject
    seed = None if callable(subject) else 1
    return Lab(subject, seed, 10.0, (), (), ORACLES)


def pairs(lab: Lab) -> list[Point]:
    singles = [*crashes(lab.sites, lab.away)]
    return [*singles, *(pair for each in singles for pair in lab.again(each))]


@pytest.mark.parametrize("name", ["sound", *QUICK, *(CHOSEN if FULL else ())])
def test_a_pair_of_crashes_fails_from_its_trunk_where_it_fails_from_the_start(name):
    lab = lab_of(name)
    listed = pairs(lab)
    for point in listed if FULL else listed[:: len(listed) // 25]:
        branch, whole = lab.outcome(point), lab.afresh(point)
        assert bool(branch.violations) == bool(whole.violations), point.plan
        assert whole.how == "ran"


@pytest.mark.parametrize("name", [*QUICK, *CHOSEN] if FULL else ["Dormant"])
def test_without_joining_the_same_pairs_fail(name):
    subject = backup() if name == "sound" else MUTANTS[name].subject
    seed = None if callable(subject) else 1
    pruned, whole = (
        wfsim.explore(subject, ["CrashAt"], depth=2, seed=seed, join=join)
        for join in (True, False)
    )
    assert pruned.counts["joined"] > 0 == whole.counts["joined"]
    assert [each.cause for each in pruned.failures] == [
        each.cause for each in whole.failures
    ]
    assert [(each.point.plan, bool(each.violations)) for each in pruned.outcomes] == [
        (each.point.plan, bool(each.violations)) for each in whole.outcomes
    ]


def test_what_comes_of_a_point_does_not_depend_on_those_before_it():
    lab = lab_of("creates_again")
    listed = pairs(lab)
    forth = {each.plan: lab.outcome(each) for each in listed}
    other = lab_of("creates_again")
    back = {each.plan: other.outcome(each) for each in reversed(listed)}
    assert forth == back


def test_no_more_runs_are_kept_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(trunk, "KEPT", 3)
    lab = lab_of("sound")
    for point in pairs(lab):
        lab.outcome(point)
    assert len(lab.branches.kept) == 3
