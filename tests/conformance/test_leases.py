"""What every kind of lease does."""

from __future__ import annotations

import pytest

from wfsim.model.resource import Key

ORDERS = Key("db", "default", "orders")
USERS = Key("db", "default", "users")


@pytest.fixture
def freed():
    """Whom it was worth to ask again, in order."""
    return []


@pytest.fixture
def acquire(leases, do, freed):
    def acquired(holder, key=ORDERS):
        return do(leases.acquire(key, holder, lambda: freed.append(holder))).token

    return acquired


@pytest.fixture
def release(leases, do):
    def released(token, key=ORDERS):
        def effect():
            yield from leases.release(key, token)

        do(effect())

    return released


def test_a_free_resource_is_had_for_the_asking(acquire, leases):
    token = acquire("one")
    assert leases.holds(ORDERS, token)


def test_what_one_holds_another_does_not_get(acquire):
    acquire("one")
    assert acquire("two") is None


def test_resources_are_held_one_by_one(acquire, leases):
    first, second = acquire("one"), acquire("two", USERS)
    assert leases.holds(ORDERS, first)
    assert leases.holds(USERS, second)


def test_tokens_grow_with_every_lease(acquire, release):
    tokens = []
    for holder in ("one", "two", "one", "one"):
        tokens.append(acquire(holder))
        release(tokens[-1])
    assert tokens == sorted(set(tokens))


def test_who_comes_back_under_his_name_takes_over_from_himself(acquire, leases):
    old, new = acquire("one"), acquire("one")
    assert new > old
    assert not leases.holds(ORDERS, old)


def test_who_waits_is_told_once_when_the_lease_is_given_back(acquire, release, freed):
    token = acquire("one")
    for _ in range(3):
        assert acquire("two") is None
    assert freed == []
    release(token)
    assert freed == ["two"]
    release(acquire("two"))
    assert freed == ["two"]


def test_all_who_wait_are_told_in_the_order_of_asking(acquire, release, freed):
    token = acquire("one")
    acquire("three")
    acquire("two")
    release(token)
    assert freed == ["three", "two"]


def test_an_old_token_gives_nothing_back(acquire, release, freed, leases):
    old, new = acquire("one"), acquire("one")
    acquire("two")
    release(old)
    assert freed == []
    assert leases.holds(ORDERS, new)
    assert acquire("two") is None


def test_a_token_is_the_newest_until_there_is_a_newer_one(acquire, release, leases):
    token = acquire("one")
    release(token)
    assert leases.holds(ORDERS, token)
    acquire("two")
    assert not leases.holds(ORDERS, token)
