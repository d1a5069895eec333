"""What is asked of a system as time goes by: what arrives, and what is changed.

>>> from wfsim.sim.draws import KeyedDraws
>>> list(Times(every=60, start=30, count=3).each(KeyedDraws(1)))
[30.0, 90.0, 150.0]
>>> [round(t) for t in Times(mean=60, count=3).each(KeyedDraws(1), "backups")]
[37, 66, 105]
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, islice
from typing import Any, TypeAlias

from wfsim.engine.ports import Draws
from wfsim.errors import DefinitionError
from wfsim.model.frozen import EMPTY, freeze, is_json
from wfsim.model.machine import did_you_mean
from wfsim.model.resource import Key, Resource

EACH, ANY = "each", "any"
LEAST_GAP = 0.001
"""Seconds: what happens more often is for a distribution to say, not for events."""
MAX_TIMES = 10_000_000
PLACE = "{n}"
"""What stands in a name or a text for the number of the arrival, from 0."""


@dataclass(frozen=True)
class Times:
    """When something happens, in seconds of virtual time, in one of four ways.

    ============ ==========================================================
    ``at``       at these times
    ``every``    at *start* and again after so many seconds each
    ``mean``     as a Poisson process, with so many seconds between two on average
    ``rate``     the same, with so many in a second on average
    ============ ==========================================================

    *until* (a second) and *count* end it, the first that is reached; without both it
    goes on until the horizon.  Raises `DefinitionError`.
    """

    at: tuple[float, ...] = ()
    every: float | None = None
    mean: float | None = None
    rate: float | None = None
    start: float = 0.0
    until: float | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        at = self.at
        if isinstance(at, str) or not all(_is_time(time) for time in at):
            raise DefinitionError(f"Times: at is {at!r}; give seconds from 0 on")
        object.__setattr__(self, "at", tuple(sorted(map(float, at))))
        ways = [
            name for name in ("every", "mean", "rate") if getattr(self, name) is not None
        ]
        if len(ways) + bool(at) != 1:
            raise DefinitionError("Times: give one of at, every, mean and rate")
        if not _is_time(self.start) or not (self.until is None or _is_time(self.until)):
            raise DefinitionError("Times: start and until are seconds from 0 on")
        if self.until is not None and self.until < self.start:
            raise DefinitionError(
                f"Times: until is {self.until:g} s, before the start, {self.start:g} s"
            )
        number = self.count
        if number is not None and not (type(number) is int and 0 < number <= MAX_TIMES):
            raise DefinitionError(
                f"Times: count is {number!r}; give a whole number from 1 to {MAX_TIMES}"
            )
        if ways and not LEAST_GAP <= self.gap < math.inf:
            raise DefinitionError(
                f"Times: {ways[0]} is {getattr(self, ways[0])!r}; give a number that "
                f"leaves {LEAST_GAP:g} s or more between two"
            )

    @property
    def gap(self) -> float:
        """The seconds between two, on average; infinity for times that are listed."""
        if self.rate is not None:
            return 1.0 / self.rate if _is_time(self.rate) and self.rate else math.nan
        wanted = self.mean if self.every is None else self.every
        if wanted is None:
            return math.inf
        return wanted if _is_time(wanted) else math.nan

    @property
    def once(self) -> bool:
        """Whether it is one time at most."""
        return len(self.at) == 1 or self.count == 1

    def is_endless(self, horizon: float) -> bool:
        """Whether nothing ends it but the *horizon*."""
        ends = self.at or self.count is not None
        return not ends and (self.until is None or self.until >= horizon)

    def most(self, horizon: float) -> float:
        """Return how many there are until *horizon*, on average, if nothing ends it."""
        if self.at:
            return len(self.at)
        end = min(horizon, math.inf if self.until is None else self.until)
        most = max(end - self.start, 0.0) / self.gap
        return most if self.count is None else min(most, self.count)

    def each(self, draws: Draws, *purpose: str | int) -> Iterator[float]:
        """Yield the times in order; the gaps of a Poisson process hang on *purpose*."""
        until = math.inf if self.until is None else self.until
        for time in islice(self._endless(draws, purpose), self.count):
            if time > until:
                return
            yield time

    def _endless(self, draws: Draws, purpose: tuple[str | int, ...]) -> Iterator[float]:
        if self.at:
            yield from (time for time in self.at if time >= self.start)
            return
        time, gap = float(self.start), self.gap
        if self.every is not None:
            yield from (time + number * gap for number in count())
        else:
            for number in count():
                time -= gap * math.log1p(-draws.uniform(*purpose, number))
                yield time


def _is_time(value: Any) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and 0 <= value <= 1e12
    )


@dataclass(frozen=True)
class FlowRequest:
    """A flow that somebody asks a service for.

    Without *biz_type* and *context* it is asked for as its caller does, with None as
    *biz_id* about what the scenario has: see `service.begin`.  With them it is created
    and started with that context.  ``{n}`` in a text is the number of the arrival.
    """

    flow: str
    biz_id: str | None = None
    biz_type: str = ""
    context: Mapping[str, Any] = field(default_factory=lambda: EMPTY)

    def __post_init__(self) -> None:
        if not isinstance(self.context, Mapping) or not is_json(self.context):
            raise DefinitionError(f"FlowRequest: context is {self.context!r}; give JSON")
        object.__setattr__(self, "context", freeze(self.context))

    def numbered(self, number: int) -> FlowRequest:
        """Return the request of that *number*."""
        return replace(
            self,
            biz_id=_numbered(self.biz_id, number),
            context=_numbered(self.context, number),
        )


@dataclass(frozen=True)
class Arrivals:
    """Resources that are created at *times*, or flows of a service that are started.

    The n-th has n, counted from 0, in the place of ``{n}`` in its name and its texts.
    Raises `DefinitionError` if several would have the same name.
    """

    what: Resource | FlowRequest
    times: Times

    def __post_init__(self) -> None:
        if not isinstance(self.what, (Resource, FlowRequest)):
            raise DefinitionError(
                f"Arrivals: {self.what!r} arrives; give a Resource or a FlowRequest"
            )
        if not isinstance(self.times, Times):
            raise DefinitionError(f"Arrivals: times is {self.times!r}; give Times(...)")
        named = isinstance(self.what, Resource)
        if named and PLACE not in self.what.name and not self.times.once:  # type: ignore[union-attr]
            name = self.what.name  # type: ignore[union-attr]
            raise DefinitionError(
                f"Arrivals: {name!r} would come more than once; "
                f"write a name such as '{name}-{PLACE}'"
            )

    @property
    def about(self) -> tuple[str, ...]:
        """What arrives: a kind of resource and its names, or a flow and its business."""
        if isinstance(self.what, Resource):
            return tuple(self.what.key)
        return self.what.flow, self.what.biz_type, self.what.biz_id or ""

    def resource(self, number: int) -> Resource:
        """Return the resource of that *number*."""
        assert isinstance(self.what, Resource)
        return numbered(self.what, number)

    def number_of(self, key: Key) -> int | None:
        """Return the number of the resource of that *key*, None if none arrives."""
        what = self.what
        if not isinstance(what, Resource) or what.key[:2] != key[:2]:
            return None
        before, place, after = what.name.partition(PLACE)
        middle = key.name[len(before) : len(key.name) - len(after)]
        is_number = place and middle.isascii() and middle.isdigit() and len(middle) < 19
        number = int(middle) if is_number else 0
        return number if self.resource(number).key == key else None

    def would_be(self, key: Key) -> Resource | None:
        """Return the resource of that *key*, if it is one that arrives."""
        number = self.number_of(key)
        return None if number is None else self.resource(number)


@dataclass(frozen=True)
class Trigger:
    """What somebody changes in a resource at *times*; a value of None removes a key.

    *resource* is a name, None for the first, ``"each"`` for all that there are at that
    time, or ``"any"`` for one of them, drawn for each time.  ``{n}`` in a text is the
    number of the time, from 0.  A resource that is not there is left alone.
    Raises `DefinitionError`.
    """

    times: Times
    resource: str | None = None
    annotations: Mapping[str, str | None] = field(default_factory=lambda: EMPTY)
    spec: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    status: Mapping[str, Any] = field(default_factory=lambda: EMPTY)

    def __post_init__(self) -> None:
        if not isinstance(self.times, Times):
            raise DefinitionError(f"Trigger: times is {self.times!r}; give Times(...)")
        for name in ("annotations", "spec", "status"):
            value = getattr(self, name)
            if not isinstance(value, Mapping) or not is_json(value):
                raise DefinitionError(f"Trigger: {name} is {value!r}; give a mapping")
            object.__setattr__(self, name, freeze(value))
        if any(type(note) not in (str, type(None)) for note in self.annotations.values()):
            raise DefinitionError(
                f"Trigger: annotations are {self.annotations!r}; give texts, None to "
                "remove one"
            )
        if not (self.annotations or self.spec or self.status):
            raise DefinitionError("Trigger: give annotations, spec or status to set")

    @property
    def about(self) -> tuple[str, ...]:
        """Which resources it changes, and what of them."""
        parts = (self.annotations, self.spec, self.status)
        return self.resource or "", *(name for part in parts for name in sorted(part))

    def changes(self, number: int) -> dict[str, Mapping[str, Any]]:
        """Return what the change of that *number* sets."""
        parts = ("annotations", "spec", "status")
        return {name: _numbered(getattr(self, name), number) for name in parts}


Demand: TypeAlias = Arrivals | Trigger


def keyed(demands: Iterable[Demand]) -> Iterator[tuple[tuple[str | int, ...], Demand]]:
    """Yield each of *demands* with what its draws are keyed by: what it is about.

    Where it stands among the others makes no difference, but for those that are about
    the same: they are counted.
    """
    known: Counter[tuple[str, ...]] = Counter()
    for item in demands:
        kind = "triggers" if isinstance(item, Trigger) else "arrivals"
        key = (kind, *item.about)
        yield (*key, known[key]), item
        known[key] += 1


def wrong_demand(
    demands: Sequence[Demand], flows: Collection[str] | None, horizon: float
) -> list[str]:
    """Return what is wrong with *demands*; *flows* are those of a service, else None."""
    problems = []
    for number, item in enumerate(demands):
        if not isinstance(item, (Arrivals, Trigger)):
            problems.append(f"{item!r}: give Arrivals(...) or Trigger(...)")
            continue
        said = f"{type(item).__name__} {number}"
        if item.times.most(horizon) > MAX_TIMES:
            problems.append(f"{said}: more than {MAX_TIMES} times; give until or count")
        asks = isinstance(item, Arrivals) and isinstance(item.what, FlowRequest)
        if asks and flows is None:
            problems.append(f"{said}: no service; let resources arrive, not flows")
        elif asks and item.what.flow not in flows:  # type: ignore[union-attr, operator]
            flow = item.what.flow  # type: ignore[union-attr]
            near = did_you_mean(flow, flows or ())
            problems.append(f"{said}: no flow {flow!r}{near}")
        elif not asks and flows is not None:
            problems.append(f"{said}: a service has flows alone; let FlowRequests arrive")
    return problems


def there_already(
    resources: Sequence[Resource], arrivals: Sequence[Arrivals], horizon: float
) -> list[str]:
    """Return which *resources* some of the *arrivals* would be, which then are lost."""
    found = (
        (resource, each, each.number_of(resource.key))
        for resource in resources
        for each in arrivals
    )
    return [
        f"{resource.key}: number {number} of the arrivals would be called so too; give "
        "either another name"
        for resource, each, number in found
        if number is not None and number < each.times.most(horizon)
    ]


def numbered(resource: Resource, number: int) -> Resource:
    """Return *resource* with *number* in the place of ``{n}`` in its texts."""
    return resource._replace(
        name=_numbered(resource.name, number),
        spec=_numbered(resource.spec, number),
        status=_numbered(resource.status, number),
        annotations=_numbered(resource.annotations, number),
    )


def _numbered(value: Any, number: int) -> Any:
    if isinstance(value, str):
        return value.replace(PLACE, str(number))
    if isinstance(value, Mapping):
        return freeze({key: _numbered(item, number) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return tuple(_numbered(item, number) for item in value)
    return value
