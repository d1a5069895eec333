"""In-memory stores: what outlives a controller, with the manners of an API server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from wfsim.engine.ports import Clock, Effect, Grant, Listener, Nothing
from wfsim.errors import AlreadyExists, Conflict, Fenced, MementoError, NotFound
from wfsim.model.memento import Memento, Quarantined
from wfsim.model.resource import Key, Resource

Tokens = defaultdict[Key, int]


class InMemoryResources:
    """Resources with revisions, conflicts, finalizers and watches.

    *lag* is the age in seconds of what `cached` returns; *tokens* are those of the
    leases, against which writes of the engine are checked.
    """

    def __init__(self, clock: Clock, tokens: Tokens, *, lag: float = 0.0) -> None:
        self._clock = clock
        self._tokens = tokens
        self._lag = lag
        self._objects: dict[Key, Resource] = {}
        self._past: dict[Key, list[tuple[float, Resource | None]]] = {}
        self._revision = 0
        self._uids = 0
        self._listeners: tuple[Listener, ...] = ()
        self._watchers: tuple[Listener, ...] = ()

    def get(self, key: Key) -> Effect[Resource]:
        """Return the resource as it is now, or raise `NotFound`."""
        found = self._objects.get(key)
        if found is None:
            raise NotFound(f"no resource {key}")
        return found
        yield

    def cached(self, key: Key) -> Effect[Resource]:
        """Return the resource as it was *lag* seconds ago, or raise `NotFound`."""
        found = self._objects.get(key)
        if self._lag:
            then = self._clock.now - self._lag
            for time, resource in self._past.get(key, ()):
                if time <= then:
                    found = resource
        if found is None:
            raise NotFound(f"no resource {key}")
        return found
        yield

    def create(self, resource: Resource) -> Effect[Resource]:
        """Keep a new resource and return it with uid and revision."""
        key = resource.key
        if key in self._objects:
            raise AlreadyExists(f"resource {key} exists")
        self._uids += 1
        born = resource._replace(uid=resource.uid or f"uid-{self._uids}")
        return self._put(None, born._replace(entered=self._revision + 1))
        yield

    def update(self, resource: Resource, token: int | None = None) -> Effect[Resource]:
        """Replace the resource of that revision and return what is now there."""
        key = resource.key
        refuse_old(token, key, self._tokens)
        before = self._objects.get(key)
        if before is None or before.uid != resource.uid:
            raise NotFound(f"no resource {key} with uid {resource.uid}")
        if before.revision != resource.revision:
            raise Conflict(
                f"{key} is at revision {before.revision}, the write at {resource.revision}"
            )
        if resource == before:
            return before
        if resource.state != before.state:
            resource = resource._replace(entered=self._revision + 1)
        after = self._put(before, resource)
        if after.deleted is not None and not after.finalizers:
            self._take_away(after)
        return after
        yield

    def delete(self, key: Key) -> Effect[None]:
        """Remove the resource, or mark it as deleted while finalizers hold it."""
        before = self._objects.get(key)
        if before is None:
            raise NotFound(f"no resource {key}")
        if not before.finalizers:
            self._take_away(before)
        elif before.deleted is None:
            self._put(before, before._replace(deleted=self._clock.now))
        return
        yield

    def keys(self) -> list[Key]:
        """Return the keys of all resources, sorted."""
        return sorted(self._objects)

    def peek(self, key: Key) -> Resource | None:
        """Return the resource as it is now without asking a server."""
        return self._objects.get(key)

    def watch(self, listener: Listener) -> Callable[[], None]:
        """Tell *listener* of every change; return how to stop it."""
        self._watchers += (listener,)

        def stop() -> None:
            self._watchers = tuple(item for item in self._watchers if item != listener)

        return stop

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell *listener* of every change before any watch does; return how to stop it."""
        self._listeners += (listener,)

        def stop() -> None:
            self._listeners = tuple(item for item in self._listeners if item != listener)

        return stop

    def _put(self, before: Resource | None, after: Resource) -> Resource:
        self._revision += 1
        after = after._replace(revision=self._revision)
        self._objects[after.key] = after
        self._tell(before, after)
        return after

    def _take_away(self, resource: Resource) -> None:
        del self._objects[resource.key]
        self._revision += 1
        self._tell(resource, None)

    def _tell(self, before: Resource | None, after: Resource | None) -> None:
        some = after or before
        if self._lag and some is not None:
            self._past.setdefault(some.key, []).append((self._clock.now, after))
            self._clock.call(self._lag, lambda: self._catch_up(before, after))
        for listener in self._listeners:
            listener(before, after)
        if not self._lag:
            self._catch_up(before, after)

    def _catch_up(self, before: Resource | None, after: Resource | None) -> None:
        # A watch feeds the cache: it cannot be ahead of what the cache shows.
        for watcher in self._watchers:
            watcher(before, after)


def refuse_old(token: int | None, key: Key, tokens: Tokens) -> None:
    """Raise `Fenced` if *token* is older than the newest lease of *key*."""
    if token is not None and token < tokens.get(key, 0):
        raise Fenced(f"{key}: token {token} is older than the lease, {tokens[key]}")


class InMemoryMementos:
    """Mementos by reference; they are encoded when a restart or a reader needs them."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._entries: defaultdict[Key, dict[str, Any]] = defaultdict(dict)
        self.on_save: tuple[Callable[[Memento | None, Memento], None], ...] = ()
        self.on_remove: tuple[Callable[[Memento | Quarantined], None], ...] = ()
        self.on_quarantine: tuple[Callable[[Quarantined], None], ...] = ()

    def save(self, memento: Memento, token: int) -> Nothing:
        """Keep *memento* under its key, in place of an older one, or raise `Fenced`."""
        # The hottest lines of all: subscripts, since a call to get() costs more.
        key, run = memento.resource, memento.key
        if token < self._tokens[key]:
            refuse_old(token, key, self._tokens)
        runs = self._entries[key]
        before = runs[run] if run in runs else None  # noqa: SIM401
        if before == memento:
            return ()
        runs[run] = memento
        for listener in self.on_save:
            listener(before, memento)
        return ()

    def entries(self, key: Key) -> Effect[list[Memento | Quarantined]]:
        """Return what is kept for the resource, oldest run first."""
        return sorted(self._entries.get(key, {}).values(), key=_order)
        yield

    def remove(self, key: Key, run: str, token: int) -> Nothing:
        """Forget the run, if it is there."""
        refuse_old(token, key, self._tokens)
        gone = self._entries.get(key, {}).pop(run, None)
        if gone is not None:
            for listener in self.on_remove:
                listener(gone)
        return ()

    def load(self, key: Key, run: str, text: str) -> Memento | Quarantined:
        """Keep what *text* says under *run*; what cannot be read is quarantined."""
        entry = read_entry(key, run, text)
        self._entries.setdefault(key, {})[run] = entry
        if isinstance(entry, Quarantined):
            for listener in self.on_quarantine:
                listener(entry)
        return entry

    def put(self, entry: Memento | Quarantined) -> None:
        """Keep *entry* as it was found, before anything runs."""
        before = self._entries.setdefault(entry.resource, {}).get(entry.key)
        self._entries[entry.resource][entry.key] = entry
        if isinstance(entry, Quarantined):
            for listener in self.on_quarantine:
                listener(entry)
            return
        for tell in self.on_save:
            tell(before if isinstance(before, Memento) else None, entry)

    def reload(self) -> None:
        """Read everything back from its text, as a process that starts would."""
        for key, runs in self._entries.items():
            for run, entry in runs.items():
                if isinstance(entry, Memento):
                    runs[run] = read_entry(key, run, entry.to_json())


def read_entry(key: Key, run: str, text: str) -> Memento | Quarantined:
    """Return the memento that *text* describes, or the text and what is wrong with it."""
    try:
        memento = Memento.from_json(run, text, kind=key.kind)
    except MementoError as error:
        return Quarantined(run, key, text, str(error))
    return memento._replace(resource=key)


def _order(entry: Memento | Quarantined) -> tuple[int, str]:
    number = entry.key.partition("-")[0]
    return (int(number) if number.isascii() and number.isdigit() else 0, entry.key)


class InMemoryLeases:
    """Leases that live as long as their holder renews them; nothing is polled.

    A holder that dies or stands still stops renewing: its leases end *length* seconds
    after the last renewal it made, one every *renew* seconds since it acquired them.
    """

    def __init__(self, clock: Clock, *, length: float, renew: float) -> None:
        self._clock = clock
        self._length = length
        self._renew = renew
        self.tokens: Tokens = defaultdict(int)
        self._held: dict[Key, tuple[str, int, float]] = {}
        self._waiting: dict[Key, list[Callable[[], None]]] = {}
        self._still: set[str] = set()

    def acquire(self, key: Key, holder: str, freed: Callable[[], None]) -> Effect[Grant]:
        """Return a new token, or call *freed* once when it is worth asking again."""
        held = self._held.get(key)
        if held is not None and held[0] != holder:
            self._waiting.setdefault(key, []).append(freed)
            return Grant(None)
        token = self.tokens[key] = self.tokens.get(key, 0) + 1
        self._held[key] = (holder, token, self._clock.now)
        return Grant(token)
        yield

    def release(self, key: Key, token: int) -> Nothing:
        """Give the lease back, if *token* is still the newest."""
        held = self._held.get(key)
        if held is not None and held[1] == token:
            del self._held[key]
            for freed in self._waiting.pop(key, ()):
                freed()
        return ()

    def stop_renewing(self, holder: str) -> None:
        """Let the leases of *holder* run out, unless it comes back in time."""
        self._still.add(holder)
        now = self._clock.now
        for key, (who, token, since) in sorted(self._held.items()):
            if who == holder:
                renewed = since + (now - since) // self._renew * self._renew
                left = renewed + self._length - now
                self._clock.call(max(left, 0.0), self._expiry(key, holder, token))

    def renew_again(self, holder: str) -> None:
        """Take *holder* as alive again."""
        self._still.discard(holder)

    def _expiry(self, key: Key, holder: str, token: int) -> Callable[[], None]:
        def expire() -> None:
            if holder in self._still:
                for _ in self.release(key, token):
                    pass

        return expire


def all_done(effects: Iterable[Any]) -> None:
    """Run an effect that takes no time from outside the clock."""
    for event in effects:
        raise AssertionError(f"an in-memory store waited for {event!r}")
