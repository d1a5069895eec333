"""What every fake has in common: plain values, counted operations, a world to tell."""

from __future__ import annotations

import pytest

import wfsim
from fake_resources import polardb
from fake_resources.fakes import Fake
from fake_resources.pods import Phase
from fake_resources.polardb.cluster import PolarWorld


def running(t: float = 0.0) -> wfsim.Simulation:
    sim = wfsim.Simulation(polardb.scenario(1), seed=1)
    sim.run(until=t)
    return sim


def test_a_copy_is_equal_and_goes_its_own_way():
    world = running(200).world
    twin = world.copy()
    assert twin.state() == world.state()
    world.pods["mpd-0-rw"].fail()
    assert twin.pods["mpd-0-rw"].phase is Phase.RUNNING
    assert twin.state() != world.state()


def test_a_copy_goes_on_with_what_was_pending():
    sim = running(20)
    world = sim.world.copy()
    assert [item.args[1] for item in world.pending] == ["end_start"]
    other = wfsim.Simulation(polardb.scenario(1), seed=1, world=world)
    other.run()
    assert other.resource().state == "Running"
    assert other.world.counts["create pod", "mpd-0-rw"] == 1


def test_what_is_read_out_of_a_world_cannot_change_it():
    world = running(200).world
    world.state()["pods"]["mpd-0-rw"].fail()
    world.essence()["storage"]["volumes"].clear()
    assert world.pods["mpd-0-rw"].phase is Phase.RUNNING
    assert [*world.storage.volumes] == ["pv-mpd-0"]


def test_the_essence_is_plain_and_leaves_counters_out():
    world = running(200).world
    volume = world.essence()["storage"]["volumes"]["pv-mpd-0"]
    assert volume == {
        "name": "pv-mpd-0",
        "size": 100,
        "ready": True,
        "attached": ["mpd-0-ro-1", "mpd-0-rw"],
        "writer": "mpd-0-rw",
    }
    assert {*world.state()} - {*world.essence()} == {"counts", "failed"}
    assert "generation" not in world.essence()["pods"]["mpd-0-rw"]
    assert world.state()["pods"]["mpd-0-rw"].generation == 1


def test_setting_any_attribute_wakes_whoever_waits_for_it():
    sim = running(1)
    woken = []

    def wait():
        yield from sim.world.until(lambda: sim.world.nodes["node-2"].capacity == 1)
        woken.append(sim.now)

    sim.clock.process(wait())
    sim.run(until=3)
    sim.world.nodes["node-2"].capacity = 1
    sim.run(until=4)
    assert woken == [3.0]


def test_the_third_time_takes_what_was_drawn_for_the_third_time():
    one, other = running().world, running().world
    of_one = [one.takes("launch pod", "a") for _ in range(3)]
    other.takes("launch pod", "b")
    other.takes("stop pod", "a")
    assert [other.takes("launch pod", "a") for _ in range(3)] == of_one
    assert len(set(of_one)) == 3


def test_a_world_is_broken_before_it_lives_as_well():
    world = PolarWorld(nodes={"node-1": 8}, storage=200)
    world.nodes["node-1"].cordon()
    world.storage.fill()
    assert world.storage.full
    assert not world.nodes["node-1"].schedulable


def test_what_takes_time_needs_a_world_that_lives():
    world = PolarWorld(nodes={"node-1": 8}, storage=200)
    with pytest.raises(wfsim.UsageError, match=r"Storage.* is in no world that lives"):
        world.storage.prepare("pv-1", 10)
    assert isinstance(world.storage, Fake)


def test_what_is_gone_by_then_is_left_alone():
    sim = running(20)
    assert sim.world.pods["mpd-0-rw"].phase is Phase.PENDING
    del sim.world.pods["mpd-0-rw"]
    sim.run(until=60)
    assert "mpd-0-rw" not in sim.world.pods
