"""The journal: each change said once, and everything else read off it.

What is durable is the entry.  A run is the fold of its entries, a log is the journal,
looked at: records, mementos and resources of any moment are made when somebody asks.

Measured: an entry takes 0.7 us and 120 bytes with its change; a record made at once
would take 1.6 us and 300 bytes more.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, count, islice
from operator import attrgetter
from typing import Any, ClassVar, Protocol, overload

from wfsim.errors import Fenced
from wfsim.model.memento import Memento, Quarantined, number_of
from wfsim.model.record import Kind, PoolState, Record
from wfsim.model.resource import Key, Resource
from wfsim.model.run import Begin, Change, Late, Recover, Run

AT_HAND = 1000
"""So many records, and runs as they were, are kept for who looks at one again soon."""

Tokens = dict[Key, int]


class Clock(Protocol):
    """What tells the time."""

    @property
    def now(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Create:
    """A resource came to be."""

    after: Resource

    kind: ClassVar[Kind] = Kind.RESOURCE_CREATED


@dataclass(frozen=True, slots=True)
class Move:
    """A resource entered another state."""

    before: Resource
    after: Resource

    kind: ClassVar[Kind] = Kind.RESOURCE_STATE


@dataclass(frozen=True, slots=True)
class Edit:
    """Something else of a resource changed."""

    before: Resource
    after: Resource

    kind: ClassVar[Kind] = Kind.RESOURCE_EDITED


@dataclass(frozen=True, slots=True)
class Delete:
    """A resource went away."""

    before: Resource

    kind: ClassVar[Kind] = Kind.RESOURCE_DELETED


OF_RESOURCES = (Create, Move, Edit, Delete)


@dataclass(frozen=True, slots=True)
class Prune:
    """A run was forgotten."""

    resource: Key
    run: str

    kind: ClassVar[Kind] = Kind.RUN_PRUNED


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A text that was found cannot be read."""

    entry: Quarantined

    kind: ClassVar[Kind] = Kind.RUN_QUARANTINED


class Journal(Sequence[Record]):
    """Every change of resources and runs in order, as records for who looks at it.

    *tokens* are the newest of the leases, against which each write is checked; *holder*
    says who got the lease of a token.  `runs` has what the entries of each run fold to.
    """

    def __init__(
        self,
        clock: Clock,
        tokens: Tokens | None = None,
        holder: Callable[[Key, int], str] | None = None,
    ) -> None:
        self.clock = clock
        self.tokens: Tokens = {} if tokens is None else tokens
        self.runs: dict[Key, dict[str, Run | Quarantined]] = {}
        self._holder = holder
        # Four items for each entry: time, run (None if it is of none), change, token.
        # Measured: a tuple for each takes 50 bytes more.
        self._items: list[Any] = []
        # As far as somebody has looked, where the entries of each run are, and what the
        # number of an entry is among those of its run.
        self._places: dict[Run, array[int]] = {}
        self._ordinals = array("L")
        self._names: dict[Key, str] = {}
        self._before: dict[Run, Memento] = {}
        self._past: dict[Run, tuple[int, Run]] = {}
        self._shown: dict[int, Record] = {}

    # -- writing -----------------------------------------------------------------------

    def append(self, run: Run, change: Change, token: int = 0) -> tuple[()]:
        """Apply *change* to *run* and keep it; `Fenced` if *token* is an old one.

        A token of 0 is a write from outside the engine.

        A `Late` one that is kept already is no entry.
        """
        tokens, key = self.tokens, run.resource
        if key in tokens and token < tokens[key]:
            refuse_old(token, key, tokens)
        if type(change) in _RARE:
            if self.keeps(run, change):
                return ()
            if not run.changes:
                self._put(run)
        now = self.clock.now
        change.apply(run, now)
        run.changes.append(change)
        self._items += (now, run, change, token)
        return ()

    def keeps(self, run: Run, change: Change) -> bool:
        """Whether *change* is kept already, though it is said once more."""
        if type(change) is Late:
            if len(run.changes) > change.entries:
                return True
            change = change.change
        if type(change) is not Recover:
            return False
        # To recover what was recovered just so is nothing new.
        last = run.changes[-1]
        return bool(change == (last.change if type(last) is Late else last))

    def write(self, change: Any, token: int = 0) -> None:
        """Keep a change that is not of a run."""
        self._items += (self.clock.now, None, change, token)

    def note(
        self,
        kind: Kind,
        *,
        resource: Key | None = None,
        run: str = "",
        flow: str = "",
        step: str = "",
        attempt: int = 0,
        text: str = "",
        controller: str = "",
        token: int = 0,
        where: str = "",
    ) -> None:
        """Keep what no store shows; *token* tells the *controller*, if it is given."""
        name = "" if resource is None else self.name(resource)
        if resource is not None:
            controller = controller or self._controller(resource, token)
        self.write(
            Record(
                0, 0.0, kind, name, run, flow, step, attempt, text,
                controller=controller, token=token, where=where,
            )
        )  # fmt: skip

    def pool(self, state: PoolState) -> None:
        """Keep what a pool tells of itself."""
        self.write(state)

    def remove(self, entry: Run | Quarantined, token: int = 0) -> None:
        """Forget a run; `Fenced` if *token* is an old one."""
        key = entry.resource
        refuse_old(token, key, self.tokens)
        del self.runs[key][entry.key]
        self.write(Prune(key, entry.key), token)

    def quarantine(self, entry: Quarantined) -> None:
        """Keep a text that cannot be read."""
        self._put(entry)
        self.write(Quarantine(entry))

    def clear(self) -> None:
        """Forget all records, but not where runs stand; numbers begin anew."""
        for runs in self.runs.values():
            for run in runs.values():
                if isinstance(run, Run):
                    run.forget()
                    # What is left of it was before the first entry.
                    self._before[run] = run.memento()
        self._items.clear()
        self._places.clear()
        del self._ordinals[:]
        self._past.clear()
        self._shown.clear()

    def go_on(self, other: Journal, upto: int) -> None:
        """Begin with the first *upto* entries of *other*, and runs of its own."""
        twins: dict[Run, Run] = {}
        for time, run, change, token in islice(other.entries(), upto):
            if run is None:
                self._items += (time, None, change, token)
                if isinstance(change, Prune):
                    del self.runs[change.resource][change.run]
                elif isinstance(change, Quarantine):
                    self._put(change.entry)
                continue
            twin = twins.get(run)
            if twin is None:
                twin = twins[run] = Run(run.key, run.resource)
                self._put(twin)
            change.apply(twin, time)
            twin.changes.append(change)
            self._items += (time, twin, change, token)

    def _put(self, entry: Run | Quarantined) -> None:
        runs = self.runs.setdefault(entry.resource, {})
        runs[entry.key] = entry
        if len(runs) > 1:
            keep_order(runs)

    # -- looking -----------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._items) // 4

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        if isinstance(index, slice):
            return [self._record(at) for at in range(*index.indices(len(self)))]
        return self._record(range(len(self))[index])

    def __iter__(self) -> Iterator[Record]:
        at = 0
        while at < len(self):
            yield self._record(at)
            at += 1

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (list, Journal)):
            return len(self) == len(other) and all(map(Record.__eq__, self, other))
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(list(self))

    def entries(self) -> Iterator[tuple[float, Run | None, Any, int]]:
        """Return each entry as it is kept: time, run, change, token.

        The run is None for what is not of a run; the change may be an `Adopt`.
        """
        items = iter(self._items)
        return zip(items, items, items, items, strict=True)

    def change(self, seq: int) -> Any:
        """Return the change of that entry, if it is of no run; else None."""
        run, change = self._items[4 * seq + 1 : 4 * seq + 3]
        return change if run is None else None

    def kinds(self, since: int) -> list[Kind]:
        """Return the kinds of the entries from the number *since* on, in order."""
        return [*map(_kind, self._items[4 * since + 2 :: 4])]

    def time(self, seq: int) -> float:
        """Return when the entry of that number was made, in seconds."""
        return float(self._items[4 * seq])

    def token(self, seq: int) -> int:
        """Return the token of an entry that is of no run; 0 for one from outside."""
        run, _, token = self._items[4 * seq + 1 : 4 * seq + 4]
        return int(token) if run is None else 0

    def of_kinds(self, kinds: Collection[Kind]) -> Iterator[Record]:
        """Return the records of one of *kinds*; no others are made."""
        # Written so that an entry of another kind takes no step of the interpreter.
        fits = map(kinds.__contains__, map(_kind, self._items[2::4]))
        return map(self.made, compress(count(), fits))

    def fold(
        self, upto: int | None = None
    ) -> tuple[float, dict[str, Resource], dict[tuple[str, str], Memento]]:
        """Return what was durable after the first *upto* entries (None: after all).

        That is the time of the last one, resources by name, mementos by name and run.
        """
        most = slice(upto).indices(len(self))[1]
        time = self.time(most - 1) if most else 0.0
        resources: dict[Key, Resource] = {}
        runs: dict[tuple[Key, str], tuple[Run, int]] = {}
        for seq, (_, run, change, _) in enumerate(islice(self.entries(), most)):
            if run is not None:
                runs[run.resource, run.key] = run, seq
            elif isinstance(change, (Create, Move, Edit)):
                resources[change.after.key] = change.after
            elif isinstance(change, Delete):
                resources.pop(change.before.key, None)
            elif isinstance(change, Prune):
                runs.pop((change.resource, change.run), None)
        is_all, mementos = most == len(self), {}
        for run, seq in runs.values():
            # After the last entry each run stands where that has led.
            then = run if is_all else self.run_after(seq)
            assert then is not None
            mementos[self.name(run.resource), run.key] = then.memento()
        return time, {self.name(key): resources[key] for key in resources}, mementos

    def run_after(self, seq: int) -> Run | None:
        """Return the run that the entry is of, as it was then; None if it is of none.

        It is for reading: the next call may change it.
        """
        run = self._items[4 * seq + 1]
        if run is None:
            return None
        self._look()
        ordinal = self._ordinals[seq]
        done, then = self._past.pop(run, (0, None))
        if then is None or done > ordinal + 1:
            done, then = 0, Run(run.key, run.resource)
            if run in self._before:
                then.load(self._before[run])
        items = self._items
        for at in self._places[run][done : ordinal + 1]:
            items[at + 2].apply(then, items[at])
        if len(self._past) >= AT_HAND:
            self._past.clear()
        self._past[run] = (ordinal + 1, then)
        return then

    def _look(self) -> None:
        """Find out of what run each entry is, as far as that is not known."""
        items, places, ordinals = self._items, self._places, self._ordinals
        for at in range(4 * len(ordinals), len(items), 4):
            run = items[at + 1]
            if run is None:
                ordinals.append(0)
                continue
            if run not in places:
                places[run] = array("L")
            ordinals.append(len(places[run]))
            places[run].append(at)

    def name(self, key: Key) -> str:
        """Return how records call the resource."""
        try:
            return self._names[key]
        except KeyError:
            return self._names.setdefault(key, str(key))

    def _record(self, seq: int) -> Record:
        shown = self._shown
        if seq in shown:
            return shown[seq]
        if len(shown) >= AT_HAND:
            shown.clear()
        record = shown[seq] = self.made(seq)
        return record

    def made(self, seq: int) -> Record:
        """Return the record of that number for who looks at each of them once."""
        time, run, change, token = self._items[4 * seq : 4 * seq + 4]
        if run is not None:
            return self._of_run(seq, time, run, change, token)
        kind = change.kind
        match change:
            case Record():
                return change._replace(seq=seq, time=time)
            case PoolState():
                return Record(seq, time, kind, text=str(change), value=change)
            case Create(after=after):
                text = f"-> {after.state}".strip()
                return self._of_resource(seq, time, kind, after, text, token)
            case Move(before=before, after=after):
                text = f"{before.state} -> {after.state}".strip()
                record = self._of_resource(seq, time, kind, after, text, token)
                return record._replace(before=before.state)
            case Edit(before=before, after=after):
                text = _changed_parts(before, after)
                return self._of_resource(seq, time, kind, after, text, token)
            case Delete(before=before):
                return Record(seq, time, kind, self.name(before.key))
            case Prune(resource=key, run=of):
                controller = self._controller(key, token)
                return Record(
                    seq,
                    time,
                    kind,
                    self.name(key),
                    of,
                    controller=controller,
                    token=token,
                )
            case Quarantine(entry=entry):
                name, reason = self.name(entry.resource), entry.reason
                return Record(seq, time, kind, name, entry.key, text=reason)
        raise AssertionError(f"no record says {change!r}")

    def _of_run(self, seq: int, time: float, run: Run, change: Any, token: int) -> Record:
        after = self.run_after(seq)
        assert after is not None
        kind: Kind = change.kind
        step, attempt = "", 0
        # Beyond the last step: an interruption when every step was complete.
        if kind not in _OF_THE_RUN and after.cursor < len(after.steps):
            at = after.steps[after.cursor]
            step, attempt = at.name, at.attempts
        text = after.error
        if after.reason:
            text = f"{after.reason}: {text}" if text else after.reason
        while hasattr(change, "change"):
            change = change.change
        key = run.resource
        return _new(Record, (
            seq, time, kind, self.name(key), run.key, after.flow, step, attempt, text,
            after.memento(), getattr(change, "cause", ""), getattr(change, "limit", None),
            self._controller(key, token), token, "", getattr(change, "where", ""),
        ))  # fmt: skip

    def _of_resource(
        self, seq: int, time: float, kind: Kind, after: Resource, text: str, token: int
    ) -> Record:
        key = after.key
        controller = self._controller(key, token)
        return Record(
            seq, time, kind, self.name(key), text=text, value=after,
            controller=controller, token=token,
        )  # fmt: skip

    def _controller(self, key: Key, token: int) -> str:
        return self._holder(key, token) if token and self._holder else ""


_new = tuple.__new__
_kind = attrgetter("kind")

_OF_THE_RUN = frozenset(
    {Kind.RUN_CREATED, Kind.RUN_COMPLETED, Kind.RUN_SUPERSEDED, Kind.RUN_RECOVERED}
)


def _changed_parts(before: Resource, after: Resource) -> str:
    """Name the parts of a resource in which *after* differs from *before*."""
    parts = ("spec", "status", "annotations", "finalizers", "deleted")
    return ", ".join(
        part for part in parts if getattr(before, part) != getattr(after, part)
    )


_RARE = frozenset({Begin, Recover, Late})


def refuse_old(token: int | None, key: Key, tokens: Tokens) -> None:
    """Raise `Fenced` if *token* is older than the newest lease of *key*.

    Leases have tokens from 1 on; 0 and None are a write from outside the engine.
    """
    if token and token < tokens.get(key, 0):
        raise Fenced(f"{key}: token {token} is older than the lease, {tokens[key]}")


def keep_order(runs: dict[str, Any]) -> None:
    """Put *runs* in order, oldest first, if the one added last is not the newest."""
    newest = [*islice(reversed(runs), 2)]
    if _order(newest[0]) < _order(newest[1]):
        ordered = sorted(runs.items(), key=lambda item: _order(item[0]))
        runs.clear()
        runs.update(ordered)


def _order(run: str) -> tuple[int, str]:
    return number_of(run), run


__all__ = ["OF_RESOURCES", "Journal", "Tokens", "refuse_old"]
