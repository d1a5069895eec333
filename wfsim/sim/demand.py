"""Demand on a system over time: what arrives, and what is changed.

>>> jobs = Arrivals(Resource("job", "job-{n}"), Times(every=60), priority=1)
>>> jobs.resource(7).name
'job-7'
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, TypeAlias

from wfsim.errors import DefinitionError, Problem, UsageError
from wfsim.model.bounds import (
    Doc,
    Json,
    Notes,
    Priority,
    Word,
    check,
)
from wfsim.model.duration import PARSED, Duration
from wfsim.model.frozen import EMPTY, freeze
from wfsim.model.resource import PRIORITY, Key, Resource, key_called
from wfsim.sim.times import MAX_TIMES, Times
from wfsim.text import short, suggest

EACH, ANY = "each", "any"
MAX_COMPARED = 10_000
PLACE = "{n}"
"""What stands in a name or a text for the number of the arrival, from 0."""


@dataclass(frozen=True)
class FlowRequest:
    """A flow that somebody asks a service for.

    Without *biz_type* and *context* it is asked for as its caller does, with None as
    *biz_id* about what the scenario has: see `service.begin`.  With them it is created
    and started with that context.  ``{n}`` in a text is the number of the arrival.
    """

    flow: Annotated[Word, Doc("For a service: the flow that is created and started.")]
    biz_id: Annotated[
        Word | None,
        Doc(
            "What the flow is about; {n} is its number, from 0. Left out, it is "
            "something that the scenario has."
        ),
    ] = None
    biz_type: Annotated[str, Doc("The kind of business object.")] = ""
    context: Annotated[Json, Doc("What the context of the flow holds.")] = field(
        default_factory=lambda: EMPTY
    )

    def __post_init__(self) -> None:
        check(self)

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
    Of resources that wait for a worker those with a lower *priority* go first, and in the
    queues of pools too.  One that no worker has begun to serve after *patience* (seconds,
    drawn for each) goes away.  Raises `DefinitionError` if several would have the same
    name.
    """

    what: Resource | FlowRequest
    times: Times
    priority: Annotated[
        Priority, Doc("Who waits for a worker or a place with a lower one goes first.")
    ] = 0
    patience: Annotated[
        Annotated[Duration, PARSED] | None,
        Doc("Seconds after which one that no worker has begun to serve goes away."),
    ] = None

    def __post_init__(self) -> None:
        if not isinstance(self.what, (Resource, FlowRequest)):
            text, cure = f"{self.what!r} arrives", "give a Resource or a FlowRequest"
            raise DefinitionError(Problem(text, cure, ("what",), "Arrivals"))
        check(self)
        named = isinstance(self.what, Resource)
        for name in ("priority", "patience"):
            if not named and getattr(self, name):
                text = f"{name} goes with resources, and flows of a service arrive"
                raise DefinitionError(Problem(text, "leave it out", (name,), "Arrivals"))
        if named and PLACE not in self.what.name and not self.times.once:  # type: ignore[union-attr]
            name = self.what.name  # type: ignore[union-attr]
            text, cure = (
                f"{name!r} would come more than once",
                f"write a name such as '{name}-{PLACE}'",
            )
            raise DefinitionError(Problem(text, cure, subject="Arrivals"))

    @property
    def about(self) -> tuple[str, ...]:
        """What arrives: a kind of resource and its names, or a flow and its business."""
        if isinstance(self.what, Resource):
            return tuple(self.what.key)
        return self.what.flow, self.what.biz_type, self.what.biz_id or ""

    def resource(self, number: int) -> Resource:
        """Return the resource of that *number*."""
        assert isinstance(self.what, Resource)
        resource = numbered(self.what, number)
        if not self.priority:
            return resource
        return resource.annotate(**{PRIORITY: repr(self.priority)})

    @property
    def group(self) -> str:
        """What runs of these resources are called together: the name without number."""
        name = self.what.name if isinstance(self.what, Resource) else self.what.flow
        return name.replace(PLACE, "").strip("-_. ")

    def number_of(self, key: Key) -> int | None:
        """Return the number of the resource of that *key*, None if none arrives."""
        what = self.what
        if not isinstance(what, Resource) or what.key[:2] != key[:2]:
            return None
        before, mark, after = what.name.partition(PLACE)
        middle = key.name[len(before) : len(key.name) - len(after)]
        is_number = mark and middle.isascii() and middle.isdigit() and len(middle) < 19
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
    resource: Annotated[
        Word | None,
        Doc(
            "Its name, `each`, or `any` for one drawn at random. Left out, it is the "
            "first."
        ),
    ] = None
    annotations: Annotated[Notes, Doc("{n} in a text counts from 0.")] = field(
        default_factory=lambda: EMPTY
    )
    spec: Annotated[Json, Doc("Keys of the spec; null takes one away.")] = field(
        default_factory=lambda: EMPTY
    )
    status: Annotated[Json, Doc("Keys of the status; null takes one away.")] = field(
        default_factory=lambda: EMPTY
    )

    def __post_init__(self) -> None:
        check(self)
        if not (self.annotations or self.spec or self.status):
            text = "give annotations, spec or status to set"
            raise DefinitionError(Problem(text, subject="Trigger"))

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
) -> list[Problem]:
    """Return what is wrong with *demands*; *flows* are those of a service, else None."""
    problems = []
    for number, item in enumerate(demands):
        if not isinstance(item, (Arrivals, Trigger)):
            cure = "give Arrivals(...) or Trigger(...)"
            problems.append(Problem(cure, subject=short(item)))
            continue
        is_arrival, text, cure = isinstance(item, Arrivals), "", ""
        asks = isinstance(item, Arrivals) and isinstance(item.what, FlowRequest)
        if item.times.most(horizon) > MAX_TIMES:
            text, cure = f"more than {MAX_TIMES} times", "give until or count"
        elif asks and flows is None:
            text, cure = "no service", "let resources arrive, not flows"
        elif asks and item.what.flow not in flows:  # type: ignore[union-attr, operator]
            flow = item.what.flow  # type: ignore[union-attr]
            text = f"no flow {flow!r}{suggest(flow, flows or ())}"
        elif not asks and flows is not None:
            text, cure = "a service has flows alone", "let FlowRequests arrive"
        if text:
            kind = "arrivals" if is_arrival else "triggers"
            subject = f"{type(item).__name__} {number}"
            problems.append(Problem(text, cure, (kind, number), subject))
    return problems


def there_already(
    resources: Sequence[Resource], arrivals: Sequence[Arrivals], horizon: float
) -> list[Problem]:
    """Return which *resources* some of the *arrivals* would be, which then are lost."""
    clashes = (
        (resource, each, each.number_of(resource.key))
        for resource in resources
        for each in arrivals
    )
    return [
        Problem(
            f"number {number} of the arrivals would be called so too",
            "give either another name",
            subject=str(resource.key),
        )
        for resource, each, number in clashes
        if number is not None and number < each.times.most(horizon)
    ]


def called_the_same(arrivals: Sequence[Arrivals], horizon: float) -> list[Problem]:
    """Return which two of *arrivals* give one name to two resources."""
    problems = []
    for index, second in enumerate(arrivals):
        for first in arrivals[:index]:
            name = _shared_name(first, second, horizon) or _shared_name(
                second, first, horizon
            )
            if name:
                text = f"arrivals {arrivals.index(first)} would come as {name!r} too"
                path = ("arrivals", index)
                cure = "give either another name"
                problems.append(Problem(text, cure, path, f"Arrivals {index}"))
    return problems


def _shared_name(first: Arrivals, second: Arrivals, horizon: float) -> str:
    """Return a name of *first* that one of *second* has too, "" if there is none."""
    one, other = first.what, second.what
    if not isinstance(one, Resource) or not isinstance(other, Resource):
        return ""
    begins = [each.name.partition(PLACE)[0] for each in (one, other)]
    longer, shorter = sorted(begins, key=len, reverse=True)
    rest = longer[len(shorter) :]
    # Most patterns differ in what stands before the number.
    if not longer.startswith(shorter) or not (
        PLACE not in one.name or PLACE not in other.name or rest.isdigit() or not rest
    ):
        return ""
    most = second.times.most(horizon)
    for number in range(math.ceil(min(first.times.most(horizon), MAX_COMPARED))):
        key = first.resource(number).key
        # Logs do not tell kinds apart.
        twin = second.number_of(key._replace(kind=other.kind))
        if twin is not None and twin < most:
            return str(key)
    return ""


def ambiguous_triggers(
    triggers: Sequence[Trigger],
    resources: Sequence[Resource],
    arrivals: Sequence[Arrivals],
) -> list[Problem]:
    """Return which *triggers* give a name that fits several resources."""
    problems = []
    keys = [resource.key for resource in resources]
    for index, trigger in enumerate(triggers):
        wanted = trigger.resource
        if wanted is None or wanted in (EACH, ANY):
            continue
        arriving = keys_arriving(wanted, arrivals)
        try:
            key_called(wanted, [*keys, *arriving])
        except UsageError as error:
            path = ("triggers", index, "resource")
            problems.append(Problem(str(error), path=path, subject=f"Trigger {index}"))
    return problems


def keys_arriving(name: str, arrivals: Iterable[Arrivals]) -> list[Key]:
    """Return the keys of the resources among *arrivals* that *name* may mean."""
    bare = name.rpartition("/")[2]
    whats = ((each, each.what) for each in arrivals)
    keys = (
        (each, what.key._replace(name=bare))
        for each, what in whats
        if isinstance(what, Resource)
    )
    return [key for each, key in keys if each.would_be(key)]


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
