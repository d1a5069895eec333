"""Leases lapse fifteen seconds after the last renewal, computed and never polled."""

from __future__ import annotations

import pytest

from wfsim.model.resource import Key
from wfsim.sim.clock import VirtualClock
from wfsim.sim.stores import InMemoryLeases

ORDERS = Key("db", "default", "orders")
USERS = Key("db", "default", "users")


class Scene:
    """Leases on a clock, and who was told at what time that it is worth to ask."""

    def __init__(self):
        self.clock = VirtualClock()
        self.leases = InMemoryLeases(self.clock, length=15.0, renew=10.0)
        self.told = []

    def at(self, time, action):
        self.clock.call(time - self.clock.now, action)

    def acquire(self, holder, key=ORDERS):
        asked = self.leases.acquire(
            key, holder, lambda: self.told.append((self.clock.now, holder))
        )
        try:
            next(asked)
        except StopIteration as stop:
            return stop.value.token
        raise AssertionError("took time")

    def run(self, until=100):
        self.clock.run(until=until)
        return self.told


@pytest.fixture
def scene():
    return Scene()


@pytest.mark.parametrize(
    ("dies", "lapses"), [(0, 15), (9.9, 15), (10, 25), (14, 25), (20, 35), (29, 35)]
)
def test_the_lease_of_the_dead_lapses_after_its_last_renewal(scene, dies, lapses):
    scene.acquire("one")
    scene.at(dies, lambda: scene.leases.stop_renewing("one"))
    scene.at(dies, lambda: scene.acquire("two"))
    assert scene.run() == [(lapses, "two")]
    assert scene.acquire("two") == 2


def test_renewals_count_from_when_the_lease_was_acquired(scene):
    scene.at(7, lambda: scene.acquire("one"))
    scene.at(16, lambda: scene.leases.stop_renewing("one"))
    scene.at(17, lambda: scene.acquire("two"))
    assert scene.run() == [(22, "two")]


def test_the_lease_of_the_living_never_lapses(scene):
    scene.acquire("one")
    scene.acquire("two")
    assert scene.run(1e6) == []
    assert scene.acquire("two") is None


def test_who_wakes_up_in_time_keeps_the_lease(scene):
    token = scene.acquire("one")
    scene.acquire("two")
    scene.at(2, lambda: scene.leases.stop_renewing("one"))
    scene.at(14, lambda: scene.leases.renew_again("one"))
    assert scene.run() == []
    assert scene.leases.holds(ORDERS, token)
    assert scene.acquire("two") is None


def test_a_lapsed_lease_that_nobody_took_is_still_its_holders(scene):
    token = scene.acquire("one")
    scene.at(2, lambda: scene.leases.stop_renewing("one"))
    scene.at(40, lambda: scene.leases.renew_again("one"))
    scene.run()
    assert scene.leases.holds(ORDERS, token)
    assert scene.acquire("two") is None


def test_a_lapsed_lease_is_there_for_the_taking(scene):
    token = scene.acquire("one")
    scene.at(2, lambda: scene.leases.stop_renewing("one"))
    scene.run()
    assert scene.acquire("two") > token
    assert not scene.leases.holds(ORDERS, token)
    scene.leases.renew_again("one")
    assert scene.acquire("one") is None


def test_a_second_pause_counts_from_the_renewal_at_the_end_of_the_first(scene):
    scene.acquire("one")
    scene.acquire("two")
    scene.at(4, lambda: scene.leases.stop_renewing("one"))
    scene.at(8, lambda: scene.leases.renew_again("one"))
    scene.at(12, lambda: scene.leases.stop_renewing("one"))
    assert scene.run() == [(23, "two")]


def test_who_dies_in_a_pause_is_dead_since_the_pause_began(scene):
    scene.acquire("one")
    scene.acquire("two")
    scene.at(4, lambda: scene.leases.stop_renewing("one"))
    scene.at(12, lambda: scene.leases.stop_renewing("one"))
    assert scene.run() == [(15, "two")]


def test_the_timer_of_a_dead_lease_leaves_its_successor_of_the_same_name_alone(scene):
    scene.acquire("one")
    scene.at(4, lambda: scene.leases.stop_renewing("one"))
    scene.at(5, lambda: scene.acquire("one"))
    scene.at(6, lambda: scene.acquire("two"))
    assert scene.run() == []
    assert scene.acquire("two") is None


def test_what_the_successor_of_the_same_name_has_not_asked_for_lapses_all_the_same(scene):
    scene.acquire("one")
    scene.acquire("one", USERS)
    scene.at(4, lambda: scene.leases.stop_renewing("one"))
    scene.at(5, lambda: scene.acquire("one"))
    scene.at(6, lambda: scene.acquire("two", USERS))
    assert scene.run() == [(15, "two")]


def test_the_other_leases_do_not_lapse_with_those_of_the_dead(scene):
    scene.acquire("one")
    scene.acquire("two", USERS)
    scene.at(4, lambda: scene.leases.stop_renewing("one"))
    scene.run()
    assert scene.acquire("three") is not None
    assert scene.acquire("three", USERS) is None


def test_a_lease_given_back_does_not_lapse_later(scene):
    token = scene.acquire("one")
    scene.at(4, lambda: scene.leases.stop_renewing("one"))
    scene.at(6, lambda: scene.leases.release(ORDERS, token))
    scene.at(7, lambda: (scene.acquire("two"), scene.acquire("three")))
    assert scene.run() == []
    assert scene.acquire("three") is None
