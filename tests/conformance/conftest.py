"""Every implementation of every port; a new one adds itself to its list.

A store is made from a clock and the tokens of the leases.  The wrappers that faults
use are in the lists too: without a fault they must behave as what they wrap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from wfsim.engine.ports import Clock, Leases, MementoStore, ResourceStore
from wfsim.sim.clock import VirtualClock, WallClock
from wfsim.sim.injection import FaultyMementos, FaultyResources, View, Writes
from wfsim.sim.stores import InMemoryLeases, InMemoryMementos, InMemoryResources, Tokens


def faultless():
    return Writes([], fired=_never, crash=_never)


def wrapped(inner, clock):
    return FaultyResources(inner, View(inner, clock), faultless(), "controller-0")


def _never(*fault):
    raise AssertionError(f"{fault} was never asked for")


CLOCKS: Mapping[str, Callable[[], Clock]] = {
    "virtual": VirtualClock,
    "wall": lambda: WallClock(factor=0.0),
}
RESOURCES: Mapping[str, Callable[[Clock, Tokens], ResourceStore]] = {
    "memory": InMemoryResources,
    "wrapped": lambda clock, tokens: wrapped(InMemoryResources(clock, tokens), clock),
}
MEMENTOS: Mapping[str, Callable[[Clock, Tokens], MementoStore]] = {
    "memory": lambda clock, tokens: InMemoryMementos(tokens),
    "wrapped": lambda clock, tokens: FaultyMementos(
        InMemoryMementos(tokens), faultless(), "controller-0"
    ),
}
LEASES: Mapping[str, Callable[[Clock], Leases]] = {
    "memory": lambda clock: InMemoryLeases(clock, length=15.0, renew=10.0),
}


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def tokens():
    """The newest token of each resource, as leases would keep them."""
    return {}


@pytest.fixture
def do(clock):
    """Run an effect in a process of its own and return its result."""

    def done(effect):
        def process():
            return (yield from effect)

        return clock.run(clock.process(process()))

    return done


@pytest.fixture(params=RESOURCES.values(), ids=RESOURCES)
def resources(request, clock, tokens):
    return request.param(clock, tokens)


@pytest.fixture(params=MEMENTOS.values(), ids=MEMENTOS)
def mementos(request, clock, tokens):
    return request.param(clock, tokens)


@pytest.fixture(params=LEASES.values(), ids=LEASES)
def leases(request, clock):
    return request.param(clock)


@pytest.fixture(params=CLOCKS.values(), ids=CLOCKS)
def any_clock(request):
    return request.param()
