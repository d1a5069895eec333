"""A world as text: what is kept, what is not, and what a file may not choose."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

import pytest

import wfsim
from fake_resources import polardb, tiem
from wfsim.sim.world_text import dump, load


class Phase(StrEnum):
    WELL = "Well"


@dataclass
class Disk:
    name: str
    phase: Phase = Phase.WELL
    tags: dict = field(default_factory=dict)
    seen: int = field(default=0, init=False)


class Depot(wfsim.World):
    """A world of whatever it is given."""

    def __init__(self, **what):
        super().__init__()
        vars(self).update(what)

    def arrive(self, *what):
        pass


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        7,
        7.0,
        -0.0,
        1e300,
        float("inf"),
        "ä\u2028\x00",
        [1, [2.0, ("a", None)]],
        {"a": {"b": []}},
        {1: "a", ("b", 2): [3]},
        {"$": "tuple", "of": [1]},
        Counter({("a", "b"): 2}),
        {"a", "b"},
        frozenset({1}),
        Phase.WELL,
        {"sda": Disk("sda", tags={"size": (1, 2)})},
    ],
    ids=lambda value: str(sorted(value)) if type(value) is set else repr(value),
)
def test_a_plain_value_is_read_again_as_it_was(value):
    there = load(dump(Depot(value=value)), Depot()).value
    assert repr(there) == repr(value) or there == value
    assert type(there) is type(value)
    assert there == value


def test_a_field_that_is_not_given_to_make_a_thing_is_kept_too():
    disk = Disk("sda")
    disk.seen = 3
    assert load(dump(Depot(disk=disk)), Depot()).disk == disk


@pytest.mark.parametrize(
    "odd",
    [object(), len, b"x", "\ud800", {"a": [object()]}],
    ids=["object", "function", "bytes", "half a character", "object in a list"],
)
def test_what_is_no_plain_value_begins_anew(odd):
    assert not hasattr(load(dump(Depot(odd=odd, kept=1)), Depot()), "odd")
    assert load(dump(Depot(odd=odd, kept=1)), Depot()).kept == 1


def test_what_is_pending_is_due_as_it_was_and_numbers_go_on():
    simulation = wfsim.Simulation(tiem.scenario(), world=Depot())
    simulation.service.list()
    simulation.world.later(5.0, "arrive", ("a",), {"b": 1.5})
    simulation.world.later(2.0, "arrive")
    text = dump(simulation.world)
    there = load(text, Depot())
    assert there.pending == simulation.world.pending
    assert dump(there) == text


def test_what_is_pending_must_be_plain():
    simulation = wfsim.Simulation(tiem.scenario(), world=Depot())
    simulation.service.list()
    simulation.world.later(5.0, "arrive", len)
    with pytest.raises(wfsim.UsageError, match=r"pending in the world with <built-in"):
        dump(simulation.world)


WHOLE = {"pending": [], "numbers": 0, "state": {}}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting property name"),
        ("[]", "list indices"),
        (json.dumps({**WHOLE, "state": {"_clock": 1}}), "an attribute is private"),
        (json.dumps({**WHOLE, "pending": [[1, 1, "arrive"]]}), "not enough values"),
        (json.dumps({**WHOLE, "pending": [[1, 1, "_draw", []]]}), "no method '_draw'"),
        (json.dumps({**WHOLE, "pending": [[1, 1, "gone", []]]}), "no method 'gone'"),
        (json.dumps({**WHOLE, "numbers": "x"}), "invalid literal"),
    ],
)
def test_the_text_of_another_world_is_refused(text, why):
    with pytest.raises(
        wfsim.DefinitionError, match=rf"no Depot: .*{why}.*; give another"
    ):
        load(text, Depot())


@pytest.mark.parametrize(
    "place",
    ["os:system", "subprocess:Popen", "wfsim.sim.world:World", "builtins:eval", "x", ":"],
)
def test_a_text_does_not_choose_what_code_is_run(place):
    text = json.dumps({**WHOLE, "state": {"a": {"$": place, "of": {}}}})
    with pytest.raises(wfsim.DefinitionError, match="nothing that it may hold"):
        load(text, Depot())


@pytest.mark.parametrize("flow", ["CreateCluster", "BackupCluster", "SwitchoverNormal"])
def test_all_of_the_world_of_tiem_is_kept(flow):
    simulation = wfsim.Simulation(tiem.scenario(), seed=1)
    tiem.begin(simulation, flow)
    simulation.run(until=100)
    there = load(dump(simulation.world), tiem.scenario().world())
    assert there.state() == simulation.world.state()
    assert there.pending == simulation.world.pending


def test_all_of_the_world_of_polardb_is_kept():
    simulation = wfsim.Simulation(polardb.scenario(replicas=2), seed=1)
    for time in (20, 60, 100):
        simulation.run(until=time)
        there = load(dump(simulation.world), polardb.scenario(replicas=2).world())
        assert there.state() == simulation.world.state()
        assert there.pending == simulation.world.pending
