"""In-memory stores: what outlives a controller, with the manners of an API server."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from operator import itemgetter
from typing import Any, NamedTuple

from wfsim.engine.ports import Clock, Effect, Grant, Listener, Nothing
from wfsim.errors import (
    AlreadyExists,
    Conflict,
    MementoError,
    NotFound,
    StoreError,
)
from wfsim.model import json_text
from wfsim.model.frozen import EMPTY, Frozen, freeze, is_json, thaw
from wfsim.model.journal import (
    OF_RESOURCES,
    Create,
    Delete,
    Edit,
    Journal,
    Move,
    Tokens,
    refuse_old,
)
from wfsim.model.memento import Memento, Quarantined
from wfsim.model.memento_json import MAX_BYTES
from wfsim.model.resource import Key, Resource
from wfsim.model.run import Begin, Change, Run
from wfsim.text import short


class InMemoryResources:
    """Resources with revisions, conflicts, finalizers and watches.

    Every change is an entry of *journal*, against whose tokens writes of the engine are
    checked.  *lag* is the age in seconds of what `cached` returns and watches tell.
    """

    is_local = True

    def __init__(self, clock: Clock, journal: Journal, *, lag: float = 0.0) -> None:
        self._clock = clock
        self._journal = journal
        # The hottest call of all: the journal's own, without one in between.
        self.append: Callable[[Run, Change, int], Nothing] = journal.append
        """Apply a change to a run and keep it, or raise `Fenced`; see the port."""
        self._tokens = journal.tokens
        self._lag = lag
        self._objects: dict[Key, Resource] = {}
        self.peek: Callable[[Key], Resource | None] = self._objects.get
        """Return the resource as it is now without asking a server."""
        self.seen = self.peek
        """Return the resource as `subscribe` last told of it; None if it is gone."""
        self._cache: dict[Key, Resource | None] = {}
        self._most: dict[Key, int] = {}
        """How many characters the parts of a resource have at most."""
        self._revision = 0
        self._uids = 0
        self._listeners: tuple[Listener, ...] = ()
        self._watchers: tuple[Listener, ...] = ()

    def get(self, key: Key) -> Effect[Resource]:
        """Return the resource as it is now, or raise `NotFound`."""
        try:
            return self._objects[key]
        except KeyError:
            raise NotFound(f"no resource {key}") from None
        yield

    def cached(self, key: Key) -> Effect[Resource]:
        """Return the resource as it was *lag* seconds ago, or raise `NotFound`.

        What is younger than that is shown as it is, as by a client that has just listed.
        """
        resource = self._objects.get(key)
        if self._lag:
            resource = self._cache.get(key, resource)
        if resource is None:
            raise NotFound(f"no resource {key}")
        return resource
        yield

    def create(self, resource: Resource) -> Effect[Resource]:
        """Keep a new resource and return it with uid and revision."""
        key = resource.key
        if key in self._objects:
            raise AlreadyExists(f"resource {key} exists")
        self._uids += 1
        uid, entered = f"uid-{self._uids}", self._revision + 1
        born = _frozen(resource)._replace(uid=uid, entered=entered, deleted=None)
        if born.spec or born.status or born.annotations:
            self._refuse_unfit(None, born)
        return self._put(None, born, 0)
        yield

    def update(self, resource: Resource, token: int | None = None) -> Effect[Resource]:
        """Replace the resource of that revision and return what is now there.

        What the store keeps itself (``entered``, ``deleted``) stays as it is.
        """
        key = resource.key
        refuse_old(token, key, self._tokens)
        before = self._objects.get(key)
        if before is None or before.uid != resource.uid:
            raise NotFound(f"no resource {key} with uid {resource.uid}")
        if before.revision != resource.revision:
            raise Conflict(
                f"{key} is at revision {before.revision}, not {resource.revision}"
            )
        stamps = before.entered, before.deleted
        if stamps != (resource.entered, resource.deleted):
            resource = resource._replace(entered=stamps[0], deleted=stamps[1])
        if resource == before:
            return before
        if resource.state != before.state:
            resource = resource._replace(entered=self._revision + 1)
        frozen = _frozen(resource)
        if (
            frozen.spec is not before.spec
            or frozen.status is not before.status
            or frozen.annotations is not before.annotations
        ):
            self._refuse_unfit(before, frozen)
        after = self._put(before, frozen, token or 0)
        if after.deleted is not None and not after.finalizers:
            self._take_away(after, token or 0)
        return after
        yield

    def _refuse_unfit(self, before: Resource | None, after: Resource) -> None:
        """Raise `StoreError` if what is new in *after* could not be read back.

        That is what JSON cannot hold, an annotation that is no text, and what makes the
        resource longer than 1 MiB, which is counted only near that.
        """
        key, new = after.key, 0
        for part in _PARTS:
            old: Mapping[str, Any] = EMPTY if before is None else getattr(before, part)
            whole: Mapping[str, Any] = getattr(after, part)
            if whole is old:
                continue
            for name, value in whole.items():
                if name in old and old[name] is value:
                    continue
                if not is_json({name: value}):
                    raise StoreError(f"{key}: {part} holds what JSON cannot, {name!r}")
                if part == "annotations" and not isinstance(value, str):
                    text = f"{key}: the annotation {name!r} is {short(value)}"
                    raise StoreError(f"{text}; give a text")
                new += 6 * (len(name) + len(str(value)))
        if not new:
            return
        most = new if before is None else self._most.get(key, 0) + new
        if most > MAX_BYTES:
            parts = {part: thaw(getattr(after, part)) for part in _PARTS}
            most = len(json_text.dump_as_go(parts))
            if most > MAX_BYTES:
                text = f"{key} has {most} characters; {MAX_BYTES} are kept"
                raise StoreError(text)
        self._most[key] = most

    def delete(self, key: Key) -> Effect[None]:
        """Remove the resource, or mark it as deleted while finalizers hold it."""
        before = self._objects.get(key)
        if before is None:
            raise NotFound(f"no resource {key}")
        if not before.finalizers:
            self._take_away(before, 0)
        elif before.deleted is None:
            self._put(before, before._replace(deleted=self._clock.now), 0)
        return
        yield

    def keys(self) -> list[Key]:
        """Return the keys of all resources, sorted."""
        return sorted(self._objects)

    def called_for(self, resource: Resource) -> float:
        """Return when its present state was asked for, as far back as the journal goes.

        It is looked for from the end, since it is asked of what has waited for a worker.
        """
        wanted, journal = resource.entered, self._journal
        for seq in range(len(journal) - 1, -1, -1):
            after = getattr(journal.change(seq), "after", None)
            if type(after) is Resource and after.key == resource.key:
                if after.revision < wanted:
                    break
                time = journal.time(seq)
                if after.revision == wanted:
                    if not journal.token(seq):
                        return time
                    wanted = -1  # a check led there: the change before is what called
                elif wanted < 0:
                    return time
        return self._clock.now

    def watch(self, listener: Listener) -> Callable[[], None]:
        """Tell *listener* of every change, *lag* late; return how to stop it."""
        self._watchers += (listener,)

        def stop() -> None:
            self._watchers = tuple(item for item in self._watchers if item != listener)

        return stop

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell *listener* of every change before any watch; return how to stop it."""
        self._listeners += (listener,)

        def stop() -> None:
            self._listeners = tuple(item for item in self._listeners if item != listener)

        return stop

    def go_on(self) -> None:
        """Stand where the journal has them; what *lag* holds back is told in its time."""
        for time, _, change, _ in self._journal.entries():
            if not isinstance(change, OF_RESOURCES):
                continue
            before, after = (
                getattr(change, "before", None),
                getattr(change, "after", None),
            )
            resource: Any = after or before
            self._revision += 1
            self._uids += before is None
            if after is None:
                del self._objects[resource.key]
            else:
                self._objects[resource.key] = after
            if self._lag:
                self._catch_up(resource.key, before, after, time + self._lag)

    def _put(self, before: Resource | None, after: Resource, token: int) -> Resource:
        self._revision += 1
        after = after._replace(revision=self._revision)
        key = after.key
        self._objects[key] = after
        if before is None:
            self._journal.write(Create(after), token)
        else:
            change = Edit if before.state == after.state else Move
            self._journal.write(change(before, after), token)
        self._tell(key, before, after)
        return after

    def _take_away(self, resource: Resource, token: int) -> None:
        key = resource.key
        del self._objects[key]
        self._revision += 1
        self._journal.write(Delete(resource), token)
        self._tell(key, resource, None)

    def _tell(self, key: Key, before: Resource | None, after: Resource | None) -> None:
        for listener in self._listeners:
            listener(before, after)
        if not self._lag:
            for watcher in self._watchers:
                watcher(before, after)
            return
        self._catch_up(key, before, after, self._clock.now + self._lag)

    def _catch_up(
        self, key: Key, before: Resource | None, after: Resource | None, due: float
    ) -> None:
        def catch_up() -> None:
            # A watch feeds the cache: neither is ahead of the other.
            if after is None:
                self._cache.pop(key, None)
            else:
                self._cache[key] = after
            for watcher in self._watchers:
                watcher(before, after)

        if due < self._clock.now:
            catch_up()
        else:
            self._clock.call(due - self._clock.now, catch_up)


_PARTS = ("spec", "status", "annotations")


def _frozen(resource: Resource) -> Resource:
    """Return *resource* made of nothing that its writer could change later."""
    spec, status, annotations = resource.spec, resource.status, resource.annotations
    finalizers = resource.finalizers
    mappings = type(spec) is type(status) is type(annotations) is Frozen
    if mappings and type(finalizers) is tuple:
        return resource
    return resource._replace(
        spec=freeze(spec),
        status=freeze(status),
        annotations=freeze(annotations),
        finalizers=tuple(finalizers),
    )


class InMemoryRuns:
    """Runs as the journal has them; what it keeps is kept here."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        # The hottest call of all: the journal's own, without one in between.
        self.append: Callable[[Run, Change, int], Nothing] = journal.append
        """Apply a change to a run and keep it, or raise `Fenced`; see the port."""
        self._most: dict[Key, int] = {}
        """How many bytes the runs of a resource have at most, as one ConfigMap."""
        self._begun: dict[Key, str] = {}
        """The run of the resource that was counted last."""

    def refuse_large(self, run: Run, output: Mapping[str, Any]) -> None:
        """Raise `StoreError` if there is no room for *output* beside what is kept.

        Of a run that has not begun, that is what it is to begin with.
        As in the reference, the mementos of a resource are in one ConfigMap, of 1 MiB.
        They are only counted near that; before, a bound of them will do.
        """
        key = run.resource
        most = self._most.get(key, 0) + _most_bytes(output)
        if self._begun.get(key) != run.key and run.changes:
            self._begun[key] = run.key
            most += BYTES_OF_STEP * (len(run.steps) + 4) + _most_bytes(run.context)
        if most > MAX_BYTES:
            runs = self._journal.runs.get(key, {}).values()
            texts = (
                each.memento().to_json() if isinstance(each, Run) else each.text
                for each in runs
            )
            size = sum(len(text.encode()) for text in texts)
            most = size + len(json_text.dump_as_go(thaw(output)).encode())
            if most > MAX_BYTES:
                self._most[key] = size
                raise StoreError(
                    f"the ConfigMap of {key} would have {most} bytes: Too long: must "
                    f"have at most {MAX_BYTES} bytes; its {len(runs)} runs have {size}"
                )
        self._most[key] = most

    def entries(self, key: Key, since: str = "") -> Effect[list[Run | Quarantined]]:
        """Return what is kept for the resource, oldest run first.

        With the key of a run that is there, only that one and what is newer.
        """
        runs = self._journal.runs.get(key, {})
        if since not in runs:
            return list(runs.values())
        newer = []
        for run in reversed(runs):
            newer.append(runs[run])
            if run == since:
                break
        newer.reverse()
        return newer
        yield

    def keys(self) -> list[Key]:
        """Return the keys of all resources that something is kept for, sorted."""
        return sorted(key for key, runs in self._journal.runs.items() if runs)

    def remove(self, key: Key, run: str, token: int) -> Nothing:
        """Forget the run, if it is there, or raise `Fenced`."""
        refuse_old(token, key, self._tokens)
        entry = self._journal.runs.get(key, {}).get(run)
        if entry is not None:
            self._journal.remove(entry, token)
        return ()

    def load(self, key: Key, run: str, text: str) -> Memento | Quarantined:
        """Keep what *text* says under *run*; what cannot be read is quarantined."""
        entry = read_entry(key, run, text)
        self.put(entry)
        return entry

    def put(self, entry: Memento | Quarantined) -> None:
        """Keep *entry* as it was found, before anything runs."""
        self.recall(entry)

    def loaded(self) -> Mapping[Key, list[Memento | Quarantined]]:
        """Return what was there before anything ran: nothing, in memory."""
        return {}

    def recall(self, entry: Memento | Quarantined) -> None:
        """Make *entry*, which is kept already, known to the journal."""
        if isinstance(entry, Quarantined):
            self._journal.quarantine(entry)
        else:
            run = Run(entry.key, entry.resource)
            self._journal.append(run, Begin(entry), 0)

    @property
    def _tokens(self) -> Tokens:
        return self._journal.tokens


BYTES_OF_STEP = 600
"""What a step of a memento takes at most, beside its output and its name."""


def _most_bytes(value: Mapping[str, Any]) -> int:
    """Return a number of bytes that the JSON of *value* does not exceed."""
    # A character takes six bytes at most, as an escape.
    return 6 * len(str(value)) if value else 0


def read_entry(key: Key, run: str, text: str) -> Memento | Quarantined:
    """Return the memento that *text* describes, or the text and what is wrong with it."""
    try:
        memento = Memento.from_json(run, text, kind=key.kind)
    except MementoError as error:
        return Quarantined(run, key, text, str(error))
    return memento._replace(resource=key)


@dataclass(slots=True)
class _Lease:
    """The holder of a resource; *stopped* is the end of renewals, *lapsed* follows it."""

    holder: str
    token: int
    since: float
    stopped: object = None
    lapsed: bool = False
    lapses: float = inf

    def copy(self) -> _Lease:
        """Return one that is the same and may change by itself."""
        times = self.stopped, self.lapsed, self.lapses
        return _Lease(self.holder, self.token, self.since, *times)


class Leased(NamedTuple):
    """What there is of leases at one moment."""

    tokens: Tokens
    holders: dict[Key, list[tuple[int, str]]]
    held: dict[Key, _Lease]


_token = itemgetter(0)


class InMemoryLeases:
    """Leases that live as long as their holder renews them; nothing is polled.

    A holder that dies or stands still stops renewing: its leases lapse *length* seconds
    after the last renewal it made, one every *renew* seconds since it acquired them.
    A lapsed lease is there for the taking, and its holder's own until it is taken.
    """

    def __init__(self, clock: Clock, *, length: float, renew: float) -> None:
        self._clock = clock
        self._length = length
        self._renew = renew
        self.tokens: Tokens = {}
        self._holders: dict[Key, list[tuple[int, str]]] = {}
        self._held: dict[Key, _Lease] = {}
        self._waiting: dict[Key, dict[str, Callable[[], None]]] = {}
        self._changes = 0
        self._leased: tuple[int, Leased] | None = None

    def acquire(self, key: Key, holder: str, freed: Callable[[], None]) -> Effect[Grant]:
        """Return a new token, or call *freed* once when it is worth asking again."""
        held, tokens = self._held, self.tokens
        if key in held and held[key].holder != holder and not held[key].lapsed:
            self._waiting.setdefault(key, {})[holder] = freed
            return Grant(None)
        self._changes += 1
        token = tokens[key] = tokens[key] + 1 if key in tokens else 1
        self._held[key] = _Lease(holder, token, self._clock.now)
        holders = self._holders.setdefault(key, [])
        # A controller that gets its lease again is told from the first of its tokens on.
        if not holders or holders[-1][1] != holder:
            holders.append((token, holder))
        return Grant(token)
        yield

    def holder(self, key: Key, token: int) -> str:
        """Return who got *token*; "" if that was in a process that is no more."""
        holders = self._holders.get(key, [])
        at = bisect_right(holders, token, key=_token)
        return holders[at - 1][1] if at else ""

    def holds(self, key: Key, token: int) -> bool:
        """Whether *token* is still the newest of *key*."""
        return self.tokens.get(key) == token

    def release(self, key: Key, token: int) -> Nothing:
        """Give the lease back, if *token* is still the newest."""
        held = self._held.get(key)
        if held is not None and held.token == token:
            self._changes += 1
            del self._held[key]
            if self._waiting:
                self._free(key)
        return ()

    def stop_renewing(self, holder: str) -> None:
        """End the leases of *holder* in time, unless it wakes up before."""
        now = self._clock.now
        stopped = object()
        self._changes += 1
        for key, lease in sorted(self._held.items()):
            if lease.holder == holder and lease.stopped is None:
                lease.stopped = stopped
                renewed = (now - lease.since) // self._renew * self._renew
                left = lease.since + renewed + self._length - now
                lease.lapses = now + max(left, 0.0)
                self._clock.call(max(left, 0.0), partial(self._lapse, key, stopped))

    def held(self, holder: str | None, key: Key | None = None) -> list[Key]:
        """Return the keys of the leases that are *holder*'s own: all, or that of *key*.

        None is any holder.  What has lapsed is nobody's.
        """
        return sorted(
            its
            for its, lease in self._held.items()
            if holder in (None, lease.holder) and key in (None, its) and not lease.lapsed
        )

    def lose(self, keys: Sequence[Key]) -> None:
        """End the leases of *keys* though their holder is alive.

        What nobody has taken by the next renewal is the holder's own again.
        """
        now, renew = self._clock.now, self._renew
        for key in keys:
            lease = self._held[key]
            self._changes += 1
            lease.lapsed = True
            left = lease.since + ((now - lease.since) // renew + 1) * renew - now
            self._clock.call(left, partial(self._renew_lost, key, lease.token))
            self._free(key)

    def is_free(self, key: Key) -> bool:
        """Whether nobody has the lease of *key*, or it is there for the taking."""
        return key not in self._held or self._held[key].lapsed

    def as_they_are(self) -> Leased:
        """Return what there is, for `go_on`; the same object while nothing changes."""
        if self._leased is None or self._leased[0] != self._changes:
            holders = {key: list(each) for key, each in self._holders.items()}
            held = {key: lease.copy() for key, lease in self._held.items()}
            self._leased = self._changes, Leased(dict(self.tokens), holders, held)
        return self._leased[1]

    def go_on(self, leased: Leased) -> None:
        """Stand as they stood; nobody is alive to renew them."""
        self.tokens.update(leased.tokens)
        self._holders = {key: list(each) for key, each in leased.holders.items()}
        self._held = {key: lease.copy() for key, lease in leased.held.items()}
        for key, lease in sorted(self._held.items()):
            if lease.stopped is not None and not lease.lapsed:
                left = max(lease.lapses - self._clock.now, 0.0)
                self._clock.call(left, partial(self._lapse, key, lease.stopped))
        for holder in sorted({lease.holder for lease in self._held.values()}):
            self.stop_renewing(holder)

    def renew_again(self, holder: str) -> None:
        """Renew at once, and from now on, whatever *holder* still holds."""
        self._changes += 1
        for lease in self._held.values():
            if lease.holder == holder:
                lease.since, lease.stopped, lease.lapsed = self._clock.now, None, False

    def _lapse(self, key: Key, stopped: object) -> None:
        lease = self._held.get(key)
        if lease is not None and lease.stopped is stopped:
            self._changes += 1
            lease.lapsed = True
            self._free(key)

    def _renew_lost(self, key: Key, token: int) -> None:
        lease = self._held.get(key)
        if lease is not None and lease.token == token and lease.stopped is None:
            self._changes += 1
            lease.lapsed = False

    def _free(self, key: Key) -> None:
        for freed in self._waiting.pop(key, {}).values():
            freed()
