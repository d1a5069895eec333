"""The explorer finds every defect of the zoo, and nothing where there is none."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest

import wfsim
from fake_resources.zoo import (
    MUTANTS,
    backup,
    grounds,
    mutants,
    service,
    services,
    wishes,
)
from tests.sizes import FULL
from tests.zoo.table import rate, row
from wfsim.campaign.histories import HISTORIES
from wfsim.campaign.oracles import ORACLES

QUICK = (
    *("creates_again", "checks_the_first_of_two", "copies_on_top", "forgets_to_release"),
    *("swallows_the_cancel", "KeylessRuns", "BlamingRuns", "SnapshotResources"),
    *("InterruptFirst", "LastOutput", "Unfenced", "OpenRows", "LastFinished", "Paused"),
    *("LaxJournal", "SkewedJournal"),
)

WISHES = (*(wishes.is_full, wishes.is_obeyed, wishes.is_closed, wishes.is_done_once),)
GROUNDS = {
    "backup": backup(),
    "waits": backup(CopyData=grounds.wait_for_copy),
    "polls": backup(CopyData=grounds.restore, polling=True),
    "fails twice": backup(CopyData=grounds.fail_twice, policy=mutants.TWICE),
    "is recovered": backup(None, grounds.RECOVERY, CopyData=grounds.ask_for_an_operator),
    "is interrupted": backup(CopyData=grounds.ask_for_an_operator),
    "is verified": backup(None, grounds.VERIFY),
    "cannot be reached": backup(**mutants.FRAIL),
    "is observed": backup(hooks=(grounds.Fussy(),)),
    "two controllers": backup(None, controllers=2, policy=mutants.SHORT),
}
SERVICES = {
    "service": service(),
    "children": service(wfsim.Simulation, *mutants.PARENT, asked=("Nightly",)),
    "called off": service(wfsim.Simulation, mutants.CALLED_OFF),
    "handled": service(wfsim.Simulation, services.HANDLED),
    "paused": partial(grounds.started_again, *service().args),
}


def test_there_are_fifty_defects_each_with_a_sentence():
    assert len(MUTANTS) >= 50
    assert [name for name, each in MUTANTS.items() if not each.said.endswith(".")] == []


def test_each_invariant_is_broken_by_one_of_them():
    said = " ".join(str(check.__doc__).partition(":")[0] for check in ORACLES.values())
    codes = {*re.findall(r"\b[SL][0-9]+\b", said)}
    # Whatever an engine writes reads back: nothing that it is made of can spoil that.
    # The others are broken by hand, in tests/campaign/test_histories.py.
    ways = " ".join(str(check.__doc__).partition(":")[0] for check in HISTORIES)
    by_hand = {*re.findall(r"\b[SL][0-9]+\b", ways)}
    left = codes - by_hand - {each.invariant for each in MUTANTS.values()}
    assert left <= {"S11", "S25", "S26", "L4", "L6"}


def test_the_table_has_each_with_what_it_is_found_by():
    """``python -m tests.zoo.table`` prints it: write it anew when that changes."""
    lines = (Path(__file__).parent / "table.txt").read_text().splitlines()
    listed = dict(line.split()[:2] for line in lines)
    assert listed == {name: each.invariant for name, each in MUTANTS.items()}


@pytest.mark.parametrize("name", MUTANTS if FULL else QUICK)
def test_the_explorer_finds_the_defect_and_shrinks_it_to_two_faults(name):
    found = row(name)
    print(found)
    assert found.invariant == MUTANTS[name].invariant, found.others
    assert 1 <= found.faults <= 2
    assert found.is_replayed


def test_half_of_the_zoo_is_found_in_the_first_tenth_of_the_points():
    found = [row(name) for name in (MUTANTS if FULL else QUICK)]
    early = [each.name for each in found if each.runs <= each.of / 10]
    print(f"{len(early)} of {len(found)} in the first tenth")
    assert len(early) >= len(found) / 2


@pytest.mark.parametrize("name", GROUNDS if FULL else ["waits", "is interrupted"])
def test_where_there_is_no_defect_there_is_no_alarm(name):
    report = wfsim.explore(
        GROUNDS[name], asks=mutants.ASKED, eventually=WISHES, seed=None
    )
    assert report.failures == []
    assert report.counts["void"] < report.counts["ran"] / 4


@pytest.mark.parametrize("name", SERVICES if FULL else ["service"])
def test_where_a_service_has_no_defect_there_is_no_alarm(name):
    asked = (wishes.is_failed, wishes.is_closed, wishes.is_one_way)
    asks = {**services.REVIVED, **services.STOPPED} if name == "service" else {}
    if name == "called off":
        asked = (*asked, wishes.is_called_off)
    report = wfsim.explore(SERVICES[name], asks=asks, eventually=asked)
    assert report.failures == []


# One of them keeps something of its own from one exploration to the next.
TOLD = [name for name in MUTANTS if name != "reads_its_own_cache"]


@pytest.mark.parametrize("name", TOLD if FULL else ["creates_again", "LastOutput"])
def test_what_hypothesis_finds_beside_it_is_told(name):
    found = rate(name, 1000 if FULL else 100)
    print(found)
    assert found.explore > 0
