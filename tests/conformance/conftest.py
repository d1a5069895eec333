"""Every implementation of every port; a new one adds itself to its list.

A store is made from a clock, the journal that it writes and a database, if it needs one.
The wrappers that faults use are in the lists too: without a fault they must behave as
what they wrap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from wfsim.engine.ports import Clock, Leases, ResourceStore, RunStore
from wfsim.model.journal import Journal
from wfsim.sim.clock import VirtualClock, WallClock
from wfsim.sim.fault_wrappers import (
    Api,
    ApiRate,
    FaultyResources,
    FaultyRuns,
    LimitedResources,
    LimitedRuns,
    View,
    Writes,
)
from wfsim.sim.sqlite import Database, SqliteLeases, SqliteResources, SqliteRuns
from wfsim.sim.stores import InMemoryLeases, InMemoryResources, InMemoryRuns


def faultless():
    return Writes([], fired=_never, crash=_never)


def wrapped(inner, clock):
    return FaultyResources(inner, View(inner, clock), faultless(), "controller-0")


def _never(*fault):
    raise AssertionError(f"{fault} was never asked for")


class Reread:
    """A store that reads its file anew before every call, as the next process would."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        self._store.reload()
        return getattr(self._store, name)


CLOCKS: Mapping[str, Callable[[], Clock]] = {
    "virtual": VirtualClock,
    "wall": lambda: WallClock(factor=0.0),
}
RESOURCES: Mapping[str, Callable[[Clock, Journal, Database], ResourceStore]] = {
    "memory": lambda clock, journal, _: InMemoryResources(clock, journal),
    "wrapped": lambda clock, journal, _: wrapped(
        InMemoryResources(clock, journal), clock
    ),
    "limited": lambda clock, journal, _: LimitedResources(
        InMemoryResources(clock, journal), Api(clock, ApiRate(1e6))
    ),
    "sqlite": lambda clock, journal, file: SqliteResources(file, clock, journal),
    "reread": lambda clock, journal, file: Reread(SqliteResources(file, clock, journal)),
}
RUNS: Mapping[str, Callable[[Clock, Journal, Database], RunStore]] = {
    "memory": lambda clock, journal, _: InMemoryRuns(journal),
    "wrapped": lambda clock, journal, _: FaultyRuns(
        InMemoryRuns(journal), faultless(), "controller-0"
    ),
    "limited": lambda clock, journal, _: LimitedRuns(
        InMemoryRuns(journal), Api(clock, ApiRate(1e6))
    ),
    "sqlite": lambda clock, journal, file: SqliteRuns(file, clock, journal),
    "wrapped sqlite": lambda clock, journal, file: FaultyRuns(
        SqliteRuns(file, clock, journal), faultless(), "controller-0"
    ),
}
TERMS: Mapping[str, Any] = {"length": 15.0, "renew": 10.0}
LEASES: Mapping[str, Callable[[Clock, Database], Leases]] = {
    "memory": lambda clock, _: InMemoryLeases(clock, **TERMS),
    "sqlite": lambda clock, file: SqliteLeases(file, clock, **TERMS),
}


@pytest.fixture
def database(tmp_path):
    file = Database(tmp_path / "stores.db")
    yield file
    file.close()


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def tokens():
    """The newest token of each resource, as leases would keep them."""
    return {}


@pytest.fixture
def journal(clock, tokens):
    return Journal(clock, tokens)


@pytest.fixture
def do(clock):
    """Run an effect in a process of its own and return its result."""

    def done(effect):
        def process():
            return (yield from effect)

        return clock.run(clock.process(process()))

    return done


@pytest.fixture(params=RESOURCES.values(), ids=RESOURCES)
def resources(request, clock, journal, database):
    return request.param(clock, journal, database)


@pytest.fixture(params=RUNS.values(), ids=RUNS)
def runs(request, clock, journal, database):
    return request.param(clock, journal, database)


@pytest.fixture(params=LEASES.values(), ids=LEASES)
def leases(request, clock, database):
    return request.param(clock, database)


@pytest.fixture(params=CLOCKS.values(), ids=CLOCKS)
def any_clock(request):
    return request.param()
