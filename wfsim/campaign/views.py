"""Views of the past and missed events, by the rules of Sieve (Sun et al., OSDI 2022).

*Time travel*: a controller that starts anew sees the resources as they were at an earlier
event, after it has removed something of the world.  *Unobserved*: an event is not told
until a later one has overwritten it.  Sieve tests a pair of what was heard and what was
removed, or an event, only where the first led to the second, where it can be seen, and
where what comes of it would differ; each one left out has its reason here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from wfsim.campaign.sites import CALL, Point, Surveyed
from wfsim.model.journal import Create, Delete, Edit, Journal, Move
from wfsim.model.resource import Resource
from wfsim.sim.faults import CrashAt, DropWatch, StaleRead
from wfsim.sim.simulation import Simulation
from wfsim.sim.sites import Site
from wfsim.sim.world_calls import names_in

TRAVEL, MISSED = "time travel", "unobserved"
"""What the points are called."""

AWAY = 1.0
"""So many seconds a controller is away that comes back into the past."""

MARGIN = 0.001
"""So many seconds before an event, and after it, nothing is told."""

NOTHING = "nothing can be seen of it: the event changes no part of the resource"
NO_CAUSE = "it led nowhere: no controller wrote anything before the next event"
ANOTHER = "it did not lead there: it is of another resource"
GONE_FOR_GOOD = "what is removed there does not come back, so it is not removed twice"
LASTS = "no later event overwrites it, so it is seen in the end"
AT_FIRST = "there is no moment before it from which it could be kept"


class Event(NamedTuple):
    """What a controller can hear of a resource: it was *before*, and is *after*."""

    seq: int
    time: float
    before: Resource | None
    after: Resource | None

    @property
    def resource(self) -> str:
        """The name of the resource."""
        there = self.after or self.before
        assert there is not None
        return str(there.key)

    @property
    def parts(self) -> frozenset[str]:
        """What it sets, removes or changes, as dotted paths."""
        one, other = _flat(self.before), _flat(self.after)
        return frozenset(k for k in {*one, *other} if one.get(k) != other.get(k))

    def __str__(self) -> str:
        return f"event #{self.seq} of {self.resource}"


class Views(NamedTuple):
    """The *points*, and why the others are left out, by what they would be called."""

    points: list[Point]
    pruned: dict[str, str]


def views(calm: Surveyed, sites: Sequence[Site], lasts: float) -> Views:
    """Return what is to be tried of views in *calm*, a run at its end with those *sites*.

    A view of the past lasts so many seconds.
    """
    events = [*events_of(calm.journal)]
    found = Views([], {})
    for point in (*_travels(calm, events, sites, lasts), *_missed(calm, events)):
        if isinstance(point, Point):
            found.points.append(point)
        else:
            name, why = point
            found.pruned[name] = why
    return found


def events_of(journal: Journal) -> Iterator[Event]:
    """Yield what there was to hear of resources, in order."""
    for seq, (time, of, change, _) in enumerate(journal.entries()):
        if of is None and type(change) in (Create, Edit, Move, Delete):
            before, after = (
                getattr(change, "before", None),
                getattr(change, "after", None),
            )
            yield Event(seq, time, before, after)


def _travels(
    calm: Surveyed, events: Sequence[Event], sites: Sequence[Site], lasts: float
) -> Iterator[Point | tuple[str, str]]:
    """Yield each pair of an event and a later call that removes something."""
    there = set() if calm.world is None else names_in(calm.world)
    for site in sites:
        removed = removed_by(calm, site)
        if not removed:
            continue
        for event in events:
            if event.seq >= site.first:
                break
            name = f"{TRAVEL} to {event} at {site.name}"
            if event.resource != site.resource:
                yield name, ANOTHER
            elif not event.parts:
                yield name, NOTHING
            elif there.isdisjoint(removed):
                yield name, GONE_FOR_GOOD
            else:
                yield _travel(event, site, lasts)


def removed_by(calm: Surveyed, site: Site) -> frozenset[str]:
    """Return the ways to what the call at *site* removes from the world.

    That is what goes at once, and what is gone at the next entry of the journal if the
    call was made on it or names it: to remove something takes time.
    """
    if site.kind != CALL or site.call is None:
        return frozenset()
    removed = frozenset(site.call.removed)
    moments = calm.journal.moments
    if not 0 < site.first < len(moments):
        return removed
    before, after = (moments[at].world for at in (site.first - 1, site.first))
    if before is None or after is None:
        return removed
    owner, _, _ = site.call.what.rpartition(".")
    key = f".{site.call.key}"
    gone = names_in(before) - names_in(after)
    return removed | {
        name for name in gone if name == owner or (site.call.key and name.endswith(key))
    }


def _travel(event: Event, site: Site, lasts: float) -> Point:
    back = round(site.time + AWAY - event.time, 6)
    # The crash is not the last one of the plan: a run that branches off there would know
    # nothing of what is yet to come.
    plan = (
        CrashAt(site=site.name, restart_after=AWAY),
        StaleRead(site=site.name, later=AWAY, for_=lasts, back=back),
    )
    return Point(site.name, TRAVEL, plan, site.step, site.kind)


def _missed(
    calm: Simulation, events: Sequence[Event]
) -> Iterator[Point | tuple[str, str]]:
    """Yield each event that might go unobserved."""
    writes = [
        (seq, str(of.resource))
        for seq, (_, of, _, token) in enumerate(calm.journal.entries())
        if of is not None and token
    ]
    for number, event in enumerate(events):
        later = [it for it in events[number + 1 :] if it.resource == event.resource]
        end = later[0].seq if later else len(calm.journal)
        caused = any(
            event.seq < seq < end and name == event.resource for seq, name in writes
        )
        over = next((it for it in later if _overwrites(it, event)), None)
        name = f"{MISSED} {event}"
        if over is None:
            yield name, LASTS
        elif not event.parts:
            yield name, NOTHING
        elif not caused:
            yield name, NO_CAUSE
        elif event.time < MARGIN:
            yield name, AT_FIRST
        else:
            since = event.time - MARGIN
            deaf = DropWatch(t=since, for_=over.time - since + MARGIN)
            yield Point(str(event), MISSED, (deaf,))


def _overwrites(later: Event, event: Event) -> bool:
    """Whether nothing is left, after *later*, of something that *event* changed."""
    return later.after is None or not event.parts.isdisjoint(later.parts)


def _flat(resource: Resource | None) -> dict[str, Any]:
    if resource is None:
        return {}
    flat: dict[str, Any] = {"state": resource.state, "deleted": resource.deleted}
    for part in ("spec", "status", "annotations"):
        for name, value in getattr(resource, part).items():
            flat[f"{part}.{name}"] = value
    return flat


__all__ = ["Event", "Views", "events_of", "removed_by", "views"]
