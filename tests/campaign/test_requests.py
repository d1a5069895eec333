"""Every request of an operator, at every site of every flow, raises no alarm.

``WFSIM_FULL=1`` asks all of it at all sites of all flows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import wfsim
from fake_resources import polardb, tiem
from tests.golden.subjects import NAMES, PATHS, Subject, running, subjects
from tests.sizes import FULL
from wfsim.campaign.lab import Lab
from wfsim.campaign.oracles import ORACLES
from wfsim.campaign.sites import requests
from wfsim.sim.faults import EditAt

QUICK = ("polardb Creating, local", "polardb SwitchRw", "tiem StopCluster")
ASKED = [each for each in subjects() if each.name != "nightly"]
CHOSEN = [each for each in ASKED if FULL or each.name in QUICK]
BUDGET = None if FULL else 40


def asks(subject: Subject) -> Mapping[str, Any]:
    """Return what may be asked while the flow of *subject* runs."""
    system, _, state = subject.name.partition(" ")
    if system == "tiem":
        known = tiem.asks(state)
    else:
        is_new = state.startswith("Creating")
        sim = subject.begin(()) if is_new else wfsim.Simulation(running(), seed=1)
        sim.run(until=0.0)
        known = polardb.asks(state.partition(",")[0], sim.resource(), sim.world)
    return {name: ask for name, ask in known.items() if name != "begin"}


@pytest.mark.parametrize("subject", CHOSEN, ids=lambda each: each.name)
def test_what_is_asked_at_any_site_of_a_flow_raises_no_alarm(subject: Subject) -> None:
    asked = asks(subject)
    report = wfsim.explore(
        subject.begin, [], asks=asked, but=PATHS, alike=NAMES, budget=BUDGET
    )
    assert report.failures == []
    assert report.never == {}
    assert report.counts["planned"] == len(asked) * len(report.listed)
    assert report.counts["void"] == 0


def test_a_request_and_a_crash_raise_no_alarm() -> None:
    subject = next(each for each in ASKED if each.name == "polardb Creating, local")
    asked = asks(subject) if FULL else {"cancel": asks(subject)["cancel"]}
    report = wfsim.explore(subject.begin, [], depth=2, asks=asked, but=PATHS)
    assert report.failures == []
    pairs = {each.point.fault for each in report.outcomes if len(each.point.plan) > 1}
    assert "ask cancel, CrashAt before" in pairs


def test_to_delete_and_create_again_is_to_replace() -> None:
    subject = next(each for each in ASKED if each.name == "polardb SwitchRw")
    sites = wfsim.explore(subject.begin, [], budget=0).listed
    replace = {"replace": asks(subject)["replace"]}
    points, never = requests(replace, sites, running())
    assert never == {}
    assert [type(point.plan[0]) for point in points] == [EditAt] * len(sites)
    assert all(point.plan[0].replace for point in points)


def test_what_is_created_again_is_there_after_a_crash_too() -> None:
    subject = next(each for each in ASKED if each.name == "polardb Creating, local")
    lab = Lab(subject.begin, None, 10.0, PATHS, NAMES, dict(ORACLES))
    assert lab.reference() == ()
    replace = {"replace": asks(subject)["replace"]}
    points, _ = requests(replace, lab.sites, lab.calm.scenario)
    pairs = [*lab.again(points[len(points) // 2])]
    assert len(pairs) == 36
    ends = [(lab.outcome(pair).extra, lab.afresh(pair).extra) for pair in pairs]
    assert [end for end in ends if end[0] != end[1]] == []
