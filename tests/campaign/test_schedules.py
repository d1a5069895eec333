"""Two controllers at once: every schedule with up to two pre-emptions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Any

import wfsim
from fake_resources.zoo import backup, steps
from tests.sizes import FULL
from wfsim.campaign.lab import Lab
from wfsim.campaign.oracles import ORACLES
from wfsim.campaign.schedules import Preemptions, preempted_again, preemptions
from wfsim.campaign.sites import Surveyed, surveyed
from wfsim.sim.faults import Fault, LoseLease, PauseController

MADE = "orders/1-Backup/MakeVolume#1"
EACH = 1 if FULL else 12
"""Of so many pairs of pre-emptions one is run."""


def two(scenario: wfsim.Scenario, faults: Iterable[Fault]) -> wfsim.Simulation:
    return wfsim.Simulation(scenario, seed=1, faults=faults, controllers=2)


def lab_of(scenario: wfsim.Scenario) -> Lab:
    lab = Lab(partial(two, scenario), None, 10.0, (), (), dict(ORACLES))
    assert lab.reference() == ()
    return lab


def ended(scenario: wfsim.Scenario, plan: tuple[Fault, ...]) -> Surveyed:
    sim = two(scenario, plan)
    sim.run()
    return surveyed(sim)


def singles(scenario: wfsim.Scenario) -> tuple[Lab, Preemptions]:
    lab = lab_of(scenario)
    return lab, preemptions(lab.sites, scenario.policy)


def test_a_lease_is_lost_at_each_site_and_a_process_stands_still_where_it_waits() -> None:
    lab, found = singles(backup())
    kinds = Counter(type(point.plan[0]) for point in found.points)
    assert kinds[LoseLease] == len(lab.sites) == 16
    left_out = [why for name, why in found.pruned.items() if "as a zombie" in name]
    assert kinds[PauseController] == 2 * (len(lab.sites) - len(left_out))
    assert found.pruned[f"pre-empted as a zombie at {MADE} step.completed"] == (
        "a process is held where it waits: it is as at "
        "orders/1-Backup/CopyData#1 step.started"
    )


def test_what_is_left_out_would_have_gone_just_so() -> None:
    scenario = backup()

    def log(site: str) -> list[tuple[Any, ...]]:
        fault = PauseController(site=site, for_=16.0, zombie=True)
        sim = two(scenario, (fault,))
        sim.run()
        return [
            (each.time, each.kind, each.step, each.controller)
            for each in sim.log
            if not each.kind.value.startswith(("fault.", "controller."))
        ]

    later = log("orders/1-Backup/CopyData#1 step.started")
    assert log(f"{MADE} step.completed") == later


def test_no_schedule_with_up_to_two_preemptions_raises_an_alarm() -> None:
    scenario = backup()
    lab, found = singles(scenario)
    outcomes = [lab.afresh(point) for point in found.points]
    pairs = [
        pair
        for outcome in outcomes
        if outcome.how != "void"
        for pair in preempted_again(
            outcome.point, partial(ended, scenario), scenario.policy
        ).points
    ]
    assert len(pairs) > 500
    outcomes += [lab.afresh(pair) for pair in pairs[::EACH]]
    assert [each.violations for each in outcomes if each.violations] == []
    assert sum(each.how == "ran" for each in outcomes) > len(outcomes) / 2


def test_another_controller_does_take_over() -> None:
    sim = two(backup(), (LoseLease(site="orders/1-Backup/CopyData#1 step.started"),))
    sim.run()
    who = {each.controller for each in sim.log if each.kind is wfsim.Kind.STEP_STARTED}
    assert who == {"controller-0", "controller-1"}


def test_a_step_that_is_not_safe_against_its_own_zombie_is_found() -> None:
    lab, found = singles(backup(CopyData=steps.tidies_up_when_dead))
    failed = [point.fault for point in found.points if lab.afresh(point).violations]
    assert "pre-empted as a zombie" in failed
    assert "pre-empted by a lost lease" in failed


def test_explore_takes_turns_between_controllers_as_deep_as_it_is_asked() -> None:
    report = wfsim.explore(
        backup(), ["LoseLease"], depth=2, controllers=2, seed=1, budget=60
    )
    assert report.failures == []
    assert report.never == {}
    names = {point.point.fault for point in report.outcomes}
    once = "pre-empted by a lost lease"
    assert names == {once, f"{once}, {once}"}
    assert any("a process is held" in why for why in report.pruned.values())


def test_one_controller_is_pre_empted_by_nobody() -> None:
    report = wfsim.explore(backup(), ["LoseLease"], seed=1)
    assert report.counts["planned"] == 0
    assert "there is one controller" in report.never["LoseLease"]
