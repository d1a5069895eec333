"""Schedules of two controllers: where one is pre-empted, and the other goes on.

A pre-emption is a lease that is lost at a site, or a process that stands still until
its lease has lapsed; as a zombie it goes on beside who took over.  Schedules with few
pre-emptions come first, since they show most of what goes wrong between two (Musuvathi
and Qadeer, *Iterative context bounding*, PLDI 2007).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from wfsim.campaign.sites import TIME, WAIT, Point, Surveyed, middle, sites_of
from wfsim.model.policy import Policy
from wfsim.model.record import Kind
from wfsim.sim.faults import Fault, LoseLease, PauseController
from wfsim.sim.sites import Site

PREEMPTED = "pre-empted"
"""What the names of these points begin with."""

LONGER = 1.0
"""So many seconds longer than a lease somebody stands still, so that another takes it."""


class Preemptions(NamedTuple):
    """The *points* of one pre-emption more, and why others are left out: *pruned*.

    That is by what the point would be called: ``pre-empted as a zombie at orders ...``.
    """

    points: list[Point]
    pruned: dict[str, str]


def preemptions(sites: Sequence[Site], policy: Policy) -> Preemptions:
    """Return every pre-emption at *sites*, of controllers by *policy*."""
    points: list[Point] = []
    pruned: dict[str, str] = {}
    for number, site in enumerate(sites):
        for label, fault in _faults(site, policy.lease + LONGER):
            name = f"{PREEMPTED} {label}"
            same = "" if isinstance(fault, LoseLease) else _same(sites, number)
            if same:
                reason = f"a process is held where it waits: it is as at {same}"
                pruned[f"{name} at {site.name}"] = reason
            else:
                points.append(Point(site.name, name, (fault,), site.step, site.kind))
    return Preemptions(points, pruned)


def _faults(site: Site, seconds: float) -> Iterator[tuple[str, Fault]]:
    at: dict[str, Any] = {"site": site.name}
    if site.kind in (WAIT, TIME):
        at["later"] = middle(site)
    yield "by a lost lease", LoseLease(**at, resource=site.resource)
    yield "standing still", PauseController(**at, for_=seconds)
    yield "as a zombie", PauseController(**at, for_=seconds, zombie=True)


def _same(sites: Sequence[Site], number: int) -> str:
    """Return the later site up to which the process of that one waits for nothing."""
    site, last = sites[number], ""
    if site.kind in (WAIT, TIME):
        return ""
    for later in sites[number + 1 :]:
        if later.time != site.time or later.kind in (WAIT, TIME):
            break
        if later.resource == site.resource:
            last = later.name
    return last


def preempted_again(
    point: Point, run: Callable[[tuple[Fault, ...]], Surveyed], policy: Policy
) -> Preemptions:
    """Return *point* with one pre-emption more at each site that follows it.

    *run* returns the run of a plan at its end.  A controller that stands still is not
    held once more: who is pre-empted is the one that has come to the site.
    """
    survey = run(point.plan)
    fired = [each.seq for each in survey.journal.of_kinds({Kind.FAULT_FIRED})]
    if not fired:
        return Preemptions([], {})
    points, pruned = preemptions(sites_of(survey.kept, fired[-1]), policy)
    first = f"{point.fault} at {point.site}, then "
    return Preemptions(
        [point.then(later) for later in points],
        {f"{first}{name}": why for name, why in pruned.items()},
    )


__all__ = ["Preemptions", "preempted_again", "preemptions"]
