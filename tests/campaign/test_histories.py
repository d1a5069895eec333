"""Each invariant of how a run came to where it is, broken by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import wfsim
from fake_resources.zoo import backup
from wfsim.campaign import oracles
from wfsim.campaign.histories import HISTORIES, entries_of
from wfsim.campaign.verdict import Checked, End
from wfsim.model.journal import Create, Edit, Journal, Move, Prune
from wfsim.model.memento import StepStatus
from wfsim.model.record import Kind, PoolState
from wfsim.model.resource import Key, Resource
from wfsim.model.run import (
    Begin,
    Cause,
    Close,
    Complete,
    CompleteRun,
    Fail,
    Run,
    Start,
    Wait,
)

KEY = Key("db", "default", "orders")
LINE = wfsim.Flow("F", tuple(wfsim.Step(name) for name in "AB"))
ONCE = wfsim.Flow(
    "E",
    (
        wfsim.Step("A", on_success="B", on_failure="C"),
        *(wfsim.Step("B"), wfsim.Step("C")),
    ),
)
QUICK = wfsim.Flow("Q", (wfsim.Step("A", timeout=5.0),))


class History:
    """A journal written by hand, of runs of one resource."""

    def __init__(self, flow: wfsim.Flow = LINE) -> None:
        self.clock = SimpleNamespace(now=0.0)
        self.journal = Journal(self.clock)  # type: ignore[arg-type]
        self.flow = flow
        self.runs: dict[str, Run] = {}

    def at(self, time: float) -> History:
        self.clock.now = time
        return self

    def run(self, key: str, *changes: Any, token: int = 1) -> History:
        if key not in self.runs:
            self.runs[key] = Run(key, KEY)
            begin = Begin.of(self.flow, key, KEY)
            self.journal.append(self.runs[key], begin, token)
        for change in changes:
            self.journal.append(self.runs[key], change, token)
        return self

    def wrote(self, *changes: Any, token: int = 1) -> History:
        for change in changes:
            self.journal.write(change, token)
        return self

    def codes(self, *faults: Any, **more: Any) -> list[str]:
        """Return the codes of the invariants that do not hold."""
        scenario = backup().but(policy=wfsim.Policy(retry=wfsim.Retry(limit=1)))
        flows = {self.flow.name: self.flow}
        sim = SimpleNamespace(
            journal=self.journal,
            scenario=scenario,
            **{"flows": flows, "now": self.clock.now, "kept": (), **more},
        )
        _, resources, mementos = self.journal.fold()
        entries = entries_of(self.journal)
        run = Checked(  # type: ignore[arg-type]
            sim, None, None, True, faults, resources, mementos, {}, entries
        )
        return [broken.invariant for check in HISTORIES for broken in check(run)]


def resource(state: str, revision: int) -> Resource:
    return Resource("db", "orders", state=state)._replace(revision=revision, uid="u")


def call(attempt: int, text: str) -> SimpleNamespace:
    named = {"resource": "orders", "run": "1-F", "step": "A", "attempt": attempt}
    made = SimpleNamespace(name="create x", input=text)
    return SimpleNamespace(name=f"A#{attempt} create x", call=made, first=0, **named)


WELL = (Start(0), Complete(0), Start(1), Complete(1), CompleteRun())
FAILED = Fail(0, "lost", wake=10.0)


def test_a_run_that_went_well_breaks_none() -> None:
    assert History().run("1-F", *WELL).codes() == []


@pytest.mark.parametrize(
    ("code", "history"),
    [
        ("S2", lambda: History().run("1-F", Start(0), Start(1), token=2)),
        ("S4", lambda: History().run("1-F", Start(0)).run("2-F", Start(0))),
        ("S9", lambda: History().run("1-F", *WELL, Complete(1))),
        ("S12", lambda: History().run("1-F", Start(0), FAILED, CompleteRun())),
        ("S18", lambda: History().run("1-F", Start(0), Start(0))),
        ("S22", lambda: _edges(Start(0), Complete(0), Start(2))),
    ],
)
def test_changes_of_a_run_in_a_wrong_order_break_it(code: str, history: Any) -> None:
    assert code in history().codes()


def test_s5_a_line_that_is_written_after_the_end() -> None:
    history = History().run("1-F", *WELL)
    history.journal.note(Kind.STEP_LOG, resource=KEY, run="1-F", step="A", text="late")
    assert history.codes() == ["S5"]


def test_s6_another_attempt_that_calls_with_something_else() -> None:
    history = History().run("1-F", *WELL)
    assert history.codes(kept=[call(1, "size=1"), call(2, "size=1")]) == []
    assert history.codes(kept=[call(1, "size=1"), call(2, "size=2")]) == ["S6"]


def test_s7_another_attempt_that_is_given_something_else() -> None:
    history = History().run("1-F", Start(0), Complete(0), Start(1))
    history.runs["1-F"].context = {"size": 2}
    steps = history.runs["1-F"].steps
    steps[0] = steps[0]._replace(output={"size": 2})
    history.run("1-F", Complete(0, {"size": 2}), Start(1), token=2)
    assert "S7" in history.codes()


def test_s8_a_move_along_no_arrow() -> None:
    first, second = resource("Creating", 1), resource("Verified", 2)
    history = History().wrote(Create(first), Move(first, second))
    assert history.codes() == ["S8"]


def test_s14_a_write_over_one_that_was_not_seen() -> None:
    first, second, third = (resource("Running", number) for number in (1, 2, 3))
    history = History().wrote(Create(first), Edit(first, second), Edit(first, third))
    assert history.codes() == ["S14"]


def test_s15_and_s24_what_is_completed_by_no_definition_or_another_one() -> None:
    history = History().run("1-F", *WELL)
    assert history.codes(flows={}) == ["S15"]
    changed = wfsim.Flow("F", (*LINE.steps, wfsim.Step("C")))
    assert history.codes(flows={"F": changed}) == ["S24"]


def test_s17_a_step_that_starts_though_it_was_cancelled_long_ago() -> None:
    history = History().run("1-F", Start(0), Complete(0))
    cancel = wfsim.CancelAt(t=0)
    history.journal.note(Kind.FAULT_FIRED, text=repr(cancel))
    history.at(5.0).run("1-F", Start(1))
    assert history.codes(cancel) == []
    history.run("1-F", Complete(1)).at(11.0).run("1-F", Start(1), token=2)
    assert history.codes(cancel) == ["S17"]


def test_s19_failures_beyond_the_budget_and_a_pause_cut_short() -> None:
    history = History().run("1-F", Start(0), FAILED).at(10).run("1-F", Start(0), FAILED)
    assert history.codes() == []
    history.at(20).run("1-F", Start(0), FAILED)
    assert history.codes() == ["S19"]
    early = History().run("1-F", Start(0), FAILED).at(9.0).run("1-F", Start(0))
    assert early.codes() == ["S19"]


def test_s20_a_timer_that_never_rang() -> None:
    history = History().wrote(Create(resource("Creating", 1)), token=0)
    history.run("1-F", Start(0), Wait(0, wake=3.0)).at(60.0)
    assert history.codes() == ["S20"]


def test_s21_an_attempt_that_took_longer_than_it_may() -> None:
    history = History(QUICK).run("1-Q", Start(0)).at(5.0).run("1-Q", Complete(0))
    assert history.codes() == []
    late = History(QUICK).run("1-Q", Start(0)).at(7.0).run("1-Q", Complete(0))
    assert late.codes() == ["S21"]


def test_s22_a_failed_step_is_followed_by_what_its_edge_says() -> None:
    closed = Close(0, StepStatus.FAILED, "lost", Cause.ERROR)
    assert _edges(Start(0), closed, Start(2)).codes() == []
    assert _edges(Start(0), closed, Start(1)).codes() == ["S22"]


def test_s23_more_places_than_there_are() -> None:
    history = History().wrote(PoolState("uplink", 1, 1, 0), PoolState("uplink", 2, 1, 0))
    assert history.codes() == ["S23"]


def test_what_was_pruned_is_gone_without_a_word() -> None:
    history = History().run("1-F", *WELL).wrote(Prune(KEY, "1-F"))
    assert history.codes() == []


def ended(**more: Any) -> Checked:
    """Return a run that has settled, of one resource of two, beside the calm one."""
    states = {"orders": "Running", "users": "Running"}
    calm = End({name: {"state": state} for name, state in states.items()}, {}, None)
    scenario = SimpleNamespace(is_service=False, horizon=1000.0)
    given = {"sim": SimpleNamespace(scenario=scenario, now=50.0), "end": calm}
    given |= {"calm": calm, "settled": True, "faults": (), "resources": {}}
    return Checked(**{**given, "mementos": {}, "readable": {}, **more})


def other(**states: str) -> End:
    return End({name: {"state": state} for name, state in states.items()}, {}, None)


def said(check: Any, run: Checked) -> list[str]:
    return [broken.invariant for broken in check(run)]


def test_s25_and_s26_an_old_view_or_a_missed_event_that_leads_elsewhere() -> None:
    stale, deaf = wfsim.StaleRead(t=1, for_=2), wfsim.DropWatch(t=1, for_=2)
    elsewhere = other(orders="Interrupt", users="Running")
    for check, fault, code in (
        (oracles.only_what_is_live_is_touched, stale, "S25"),
        (oracles.decisions_are_level_triggered, deaf, "S26"),
    ):
        assert said(check, ended(faults=(fault,))) == []
        assert said(check, ended(faults=(fault,), end=elsewhere)) == [code]
        assert said(check, ended(faults=(stale, deaf), end=elsewhere)) == []


def test_l4_what_hits_one_resource_and_stops_another() -> None:
    hit = wfsim.FailStep("A", times=20, resource="orders")
    own = other(orders="Interrupt", users="Running")
    both = other(orders="Interrupt", users="Creating")
    assert said(oracles.others_go_on, ended(faults=(hit,), end=own)) == []
    assert said(oracles.others_go_on, ended(faults=(hit,), end=both)) == ["L4"]


def test_l6_an_operator_whom_nobody_hears() -> None:
    heard = wfsim.Simulation(backup(), seed=1, faults=[wfsim.CancelAt(t=4)])
    heard.run()
    deaf = wfsim.Simulation(backup(), seed=1, faults=[wfsim.CancelAt(t=4)])
    deaf.run()
    deaf.crash()
    for sim, codes in ((heard, []), (deaf, ["L6"])):
        assert sim.resource().state == "Interrupt"
        run = ended(sim=sim, resources=sim.log.fold().resources)
        assert said(oracles.operators_are_heard, run) == codes


def _edges(*changes: Any) -> History:
    return History(ONCE).run("1-E", *changes)
