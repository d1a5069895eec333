"""The API between controllers and stores: so many requests a second, or none at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from wfsim.engine.ports import (
    Clock,
    Effect,
    Listener,
    ResourceStore,
    RunStore,
)
from wfsim.errors import Unavailable
from wfsim.model.bounds import PerSecond, PositiveCount, check
from wfsim.model.memento import Quarantined
from wfsim.model.resource import Key, Resource
from wfsim.model.run import Change, Late, Run


@dataclass(frozen=True)
class ApiRate:
    """How many requests the API takes *per_second*, and how many at once (*burst*).

    All controllers share it.  Raises `DefinitionError` for numbers that make no sense.
    """

    per_second: PerSecond
    burst: PositiveCount = 1

    def __post_init__(self) -> None:
        check(self)


class Api:
    """Admits requests: a token bucket whose waits are computed, and times without it."""

    def __init__(self, clock: Clock, rate: ApiRate | None) -> None:
        self.clock = clock
        self._gap = 0.0 if rate is None else 1.0 / rate.per_second
        self._ahead = 0.0 if rate is None else (rate.burst - 1) * self._gap
        self._next = -inf
        self._down_until = -1.0

    def down(self, seconds: float) -> None:
        """Refuse every request for so long."""
        self._down_until = max(self._down_until, self.clock.now + seconds)

    def admit(self) -> Effect[None]:
        """Wait until there is a token; raise `Unavailable` while the API is down."""
        clock = self.clock
        if self._gap:
            now = clock.now
            turn = max(self._next, now - self._ahead)
            self._next = turn + self._gap
            if turn > now:
                yield clock.timeout(turn - now)
        if clock.now < self._down_until:
            raise Unavailable("the API is down")


class LimitedRuns:
    """A store of runs whose requests go through an `Api`."""

    def __init__(self, inner: RunStore, api: Api) -> None:
        self._clock = api.clock
        self._inner = inner
        self._api = api
        self.keys = inner.keys

    def append(self, run: Run, change: Change, token: int) -> Effect[None]:
        """As the port says, once the API admits it."""
        began, entries = self._clock.now, len(run.history) // 3
        yield from self._api.admit()
        if self._clock.now != began and type(change) is not Late:
            change = Late(began, entries, change)
        yield from self._inner.append(run, change, token)

    def entries(self, key: Key, since: str = "") -> Effect[list[Run | Quarantined]]:
        """As the port says, once the API admits it."""
        yield from self._api.admit()
        return (yield from self._inner.entries(key, since))

    def remove(self, key: Key, run: str, token: int) -> Effect[None]:
        """As the port says, once the API admits it."""
        yield from self._api.admit()
        yield from self._inner.remove(key, run, token)


class LimitedResources:
    """A resource store whose requests go through an `Api`; its cache costs none."""

    is_local = False

    def __init__(self, inner: ResourceStore, api: Api) -> None:
        self._inner = inner
        self._api = api
        self.keys = inner.keys
        self.peek = inner.peek
        self.cached = inner.cached

    def get(self, key: Key) -> Effect[Resource]:
        """As the port says, once the API admits it."""
        yield from self._api.admit()
        return (yield from self._inner.get(key))

    def create(self, resource: Resource) -> Effect[Resource]:
        """As the port says, once the API admits it."""
        yield from self._api.admit()
        return (yield from self._inner.create(resource))

    def update(self, resource: Resource, token: int | None = None) -> Effect[Resource]:
        """As the port says, once the API admits it."""
        yield from self._api.admit()
        return (yield from self._inner.update(resource, token))

    def delete(self, key: Key) -> Effect[None]:
        """As the port says, once the API admits it."""
        yield from self._api.admit()
        yield from self._inner.delete(key)

    def watch(self, listener: Listener) -> Callable[[], None]:
        """As the port says."""
        return self._inner.watch(listener)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """As the port says."""
        return self._inner.subscribe(listener)
