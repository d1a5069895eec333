"""Views of the past and missed events: what is tried, and why the rest is not."""

from __future__ import annotations

from collections import Counter

import pytest

import wfsim
from tests.golden.subjects import subjects
from wfsim.campaign.lab import Lab
from wfsim.campaign.oracles import ORACLES
from wfsim.campaign.sites import Surveyed
from wfsim.campaign.views import (
    ANOTHER,
    AT_FIRST,
    GONE_FOR_GOOD,
    LASTS,
    NO_CAUSE,
    Views,
    views,
)

BEGIN = {each.name: each.begin for each in subjects()}


def tried(name: str) -> tuple[Lab, Views]:
    lab = Lab(BEGIN[name], None, 7.0, ("managers.*.node",), (), dict(ORACLES))
    assert lab.reference() == ()
    assert isinstance(lab.calm, Surveyed)
    return lab, views(lab.calm, lab.sites, 20.0)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("polardb Rebuild", {"time travel": 12}),
        ("polardb FlushParams", {"unobserved": 1}),
    ],
)
def test_what_is_tried_raises_no_alarm(name: str, kinds: dict[str, int]) -> None:
    lab, found = tried(name)
    assert Counter(point.fault for point in found.points) == kinds
    outcomes = [lab.afresh(point) for point in found.points]
    assert [each.violations for each in outcomes if each.violations] == []
    assert [each.how for each in outcomes] == ["ran"] * len(found.points)


def test_each_point_that_is_left_out_has_its_reason() -> None:
    _, found = tried("polardb ModifyClass")
    assert set(found.pruned.values()) == {GONE_FOR_GOOD, NO_CAUSE, AT_FIRST, LASTS}
    _, children = tried("tiem ScaleOutCluster")
    assert ANOTHER in children.pruned.values()


def test_who_starts_anew_sees_the_resource_as_it_was_then() -> None:
    travel = wfsim.StaleRead(t=50, for_=10, back=45)
    sim = wfsim.Simulation(
        BEGIN["polardb Creating"](()).scenario, seed=1, faults=[travel]
    )
    key = sim.scenario.resources[0].key
    sim.run(until=4.9)
    then = sim.resource()
    sim.run(until=55)

    def cached() -> wfsim.Resource:
        try:
            effect = sim.plan.ports.view.cached(key)
            while True:
                next(effect)
        except StopIteration as stop:
            return stop.value

    assert cached() == then
    sim.run()
    assert cached() == sim.resource() != then
    assert then.status != sim.resource().status


def test_explore_tries_views_and_says_why_others_are_left_out() -> None:
    report = wfsim.explore(BEGIN["polardb FlushParams"], ["DropWatch"], budget=40)
    assert "unobserved" in {each.point.fault for each in report.outcomes}
    assert LASTS in report.pruned.values()
    assert report.to_dict()["pruned"] == report.pruned
    assert wfsim.explore(BEGIN["polardb FlushParams"], [], budget=0).pruned == {}
