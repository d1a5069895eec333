"""Places of a run that have a name, the same in every run that comes there.

A site is a write of a controller, a call that a step makes of the world, or a wait of a
step.  Its name is the resource, the run, the step and its attempt, what happens there,
and the how-manieth of these it is where there are several::

    mpd-0/1-CreateSharedStorageCluster/CreateRwPod#1 step.started
    mpd-0/1-CreateSharedStorageCluster/CreateRwPod#1 create_pod mpd-0-rw
    mpd-0/1-CreateSharedStorageCluster/CreateRwPod#1 wait ~2
    mpd-0/1-CreateSharedStorageCluster/CreateRwPod#1 step.waiting timer

A timer is the time after a write in which nobody does anything.
"""

from __future__ import annotations

import dis
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple, Protocol

from wfsim import errors
from wfsim.engine.context import StepContext
from wfsim.engine.ports import Effect
from wfsim.model.record import OF_RESOURCES, OF_RUNS, Kind
from wfsim.model.resource import Resource
from wfsim.model.run import Change, Run
from wfsim.sim.faults import (
    CrashAt,
    DelayStep,
    FailStep,
    HangStep,
    InterruptStep,
    MomentFault,
    RepeatCall,
)
from wfsim.sim.world_calls import Watch, WorldCall

WAIT, TIMER = "wait", " timer"

KINDS = frozenset(kind.value for kind in {*OF_RUNS, *OF_RESOURCES, Kind.RUN_PRUNED})
"""What the write of a controller may be called."""

_NAME = re.compile(r"(?P<place>.*?#\d+|\S+(?: \S+)*?) (?P<what>.+?)(?: ~\d+)?")


class Name(NamedTuple):
    """The parts of the name of a site: whose it is, and *what* happens there."""

    resource: str
    run: str = ""
    step: str = ""
    attempt: int = 0
    what: str = ""

    @classmethod
    def of(cls, site: str) -> Name | None:
        """Return the parts of the name *site*, None if it is none."""
        hit = _NAME.fullmatch(site)
        if hit is None:
            return None
        place, what = hit["place"], hit["what"]
        step, attempt = "", 0
        if "#" in place:
            place, _, number = place.rpartition("#")
            place, _, step = place.rpartition("/")
            attempt = int(number)
        resource, _, run = place.rpartition("/")
        return cls(resource or run, run if resource else "", step, attempt, what)

    @property
    def place(self) -> str:
        """What the name begins with: resource, run, step and attempt."""
        run = f"/{self.run}" if self.run else ""
        step = f"/{self.step}#{self.attempt}" if self.step else ""
        return f"{self.resource}{run}{step}"

    def __str__(self) -> str:
        return f"{self.place} {self.what}"


class Site(NamedTuple):
    """A site as it was reached: *name* and parts, when, what had been written before.

    *kind* is that of the record that a write makes, or ``call``, ``wait`` or ``timer``.
    *lasts* is how many seconds a wait or a timer takes.  *write* is the number of the
    write, 0 for what is none; *first* is the number of its first entry in the journal,
    *last* that of its last one.  *call* is the call of the world.  *controller* came
    there, by the lease with that *token*.
    """

    name: str
    resource: str
    run: str
    step: str
    attempt: int
    kind: str
    time: float
    lasts: float = 0.0
    write: int = 0
    first: int = 0
    last: int = 0
    call: WorldCall | None = None
    controller: str = ""
    token: int = 0


class Around(Protocol):
    """What sites need of the simulation that they are in."""

    def fired(self, fault: Any) -> None:
        """Record that a fault has fired."""

    def crash_in_write(self, fault: CrashAt, writer: str) -> None:
        """Kill the controller of that name, whose process this is."""

    def begin(self, fault: Any, controller: str) -> None:
        """Do what a fault of a moment does, after its `later` seconds.

        *controller* is who has come to its site.
        """

    def writer(self, context: StepContext) -> str:
        """Return which controller runs the attempt."""


class Sites:
    """Names the sites as they are reached, and lets happen there what is to happen.

    *kept* are those that have been passed, once somebody has asked for them (`keep`).
    """

    def __init__(self, faults: Iterable[Any], around: Around, journal: Any) -> None:
        self._around = around
        self._journal = journal
        self._due: dict[str, list[Any]] = {}
        self._places: set[str] = set()
        self._seen: Counter[str] = Counter()
        self.kept: list[Site] | None = None
        self.mark: Callable[[str, str], None] | None = None
        """Is told before and after each call, and in each wait as soon as it begins.

        That is only where the step has nothing to do when its process dies.
        """
        self.add(faults)

    def add(self, faults: Iterable[Any]) -> None:
        """Add those of *faults* that have a site."""
        for fault in faults:
            site = getattr(fault, "site", None)
            if site is not None:
                self._due.setdefault(site.removesuffix(TIMER), []).append(fault)
                name = Name.of(site)
                self._places.add(name.place if name else site)

    def keep(self) -> list[Site]:
        """Keep every site that is passed from now on; return the list of them."""
        self.kept = [] if self.kept is None else self.kept
        return self.kept

    @property
    def is_on(self) -> bool:
        """Whether anybody wants to know of a site."""
        return self.kept is not None or bool(self._due)

    @property
    def seen(self) -> dict[str, int]:
        """How often each site has been reached, by its name without a number."""
        return dict(self._seen)

    def go_on(self, seen: Mapping[str, int]) -> None:
        """Go on as if each had been reached so often."""
        self._seen = Counter(seen)

    @property
    def entries(self) -> int:
        """How many entries the journal has."""
        return len(self._journal)

    def reached(self, name: Name) -> str:
        """Return what the site *name* is called that has just been reached."""
        base = str(name)
        count = self._seen[base] = self._seen[base] + 1
        return base if count == 1 else f"{base} ~{count}"

    def due(self, site: str, *kinds: type) -> list[Any]:
        """Return the faults of *kinds* that are due at *site*, and have not been yet."""
        return [fault for fault in self._due.get(site, ()) if isinstance(fault, kinds)]

    def forget(self, fault: Any) -> None:
        """Remove *fault* from those that are due."""
        self._due[fault.site.removesuffix(TIMER)].remove(fault)

    def over(self, fault: Any) -> None:
        """Remove *fault* from those that are due, and say that it has happened."""
        self.forget(fault)
        self._around.fired(fault)

    def passed(self, site: str, controller: str) -> None:
        """Begin what is to happen from *site* on, where *controller* has come."""
        for fault in self.due(site, MomentFault):
            if not (isinstance(fault, CrashAt) and is_at_once(fault)):
                self.forget(fault)
                self._around.begin(fault, controller)

    # -- writes ------------------------------------------------------------------------

    def of_run(self, run: Run, change: Change) -> Name | None:
        """Return the name of a write of a run; None if nobody wants to know."""
        key = str(run.resource)
        if self.kept is None and not any(it.startswith(key) for it in self._places):
            return None
        draft = run.copy()
        change.apply(draft, 0.0)
        step = None if change.kind in _OF_THE_RUN else draft.step
        if step is None:
            return Name(key, run.key, what=change.kind.value)
        return Name(key, run.key, step.name, step.attempts, change.kind.value)

    def of_resource(self, after: Resource, before: Resource | None) -> Name | None:
        """Return the name of a write of a resource; None if it changes nothing."""
        if before is None or after == before:
            return None
        kind = (
            Kind.RESOURCE_EDITED if before.state == after.state else Kind.RESOURCE_STATE
        )
        return Name(str(after.key), what=kind.value)

    def written(
        self, name: Name, site: str, number: int, first: int, writer: str
    ) -> None:
        """Carry out what follows the write of that *number*, made by *writer*."""
        last = self.entries - 1
        if self.kept is not None and last >= first:
            self.kept.append(
                Site(
                    site,
                    *name,
                    self._journal.time(last),
                    write=number,
                    first=first,
                    last=last,
                )
            )
        self.passed(site, writer)

    # -- steps -------------------------------------------------------------------------

    def looks_into(self, context: StepContext) -> bool:
        """Whether the body of that attempt is to be watched."""
        return self.kept is not None or _place(context).place in self._places

    def starts(self, context: StepContext, site: str) -> bool:
        """Whether *site* is the start of that attempt."""
        name = Name.of(site)
        return name == _place(context)._replace(what=Kind.STEP_STARTED.value)

    def driven(self, body: Effect[Any], context: StepContext) -> Effect[Any]:
        """Run *body*, an attempt of a step, and let happen what is to happen in it."""
        return _Attempt(self, self._around, body, context).driven()


def calm_sites(simulation: Any) -> list[str]:
    """Run *simulation*, which has no faults; return the names of its sites, in order."""
    sites = simulation.plan.ports.keep_sites()
    simulation.run()
    return [site.name for site in sites]


def is_at_once(crash: CrashAt) -> bool:
    """Whether *crash* comes in the middle of what its controller does at the site."""
    return not crash.later and not str(crash.site).endswith(TIMER)


_OF_THE_RUN = frozenset(
    {Kind.RUN_CREATED, Kind.RUN_COMPLETED, Kind.RUN_SUPERSEDED, Kind.RUN_RECOVERED}
)


def _place(context: StepContext) -> Name:
    return Name(str(context.resource.key), context.run, context.step, context.attempt)


class _Attempt:
    """An attempt of a step whose *body* is driven; its waits and calls are sites."""

    def __init__(
        self, sites: Sites, around: Around, body: Effect[Any], context: StepContext
    ) -> None:
        self._sites = sites
        self._around = around
        self._body = body
        self._context = context
        self._place = _place(context)

    def driven(self) -> Effect[Any]:
        """Return what the body returns."""
        sites, context = self._sites, self._context
        body, watch = self._body, Watch(context.world, self)
        value: Any = None
        error: BaseException | None = None
        while True:
            with watch:
                try:
                    event = body.send(value) if error is None else body.throw(error)
                except StopIteration as stop:
                    return stop.value
            site = sites.reached(self._place._replace(what=WAIT))
            value, error = None, self._trouble(site, after=False)
            if error is not None:
                continue
            began, entries = context.clock.now, sites.entries
            if sites.mark is not None and is_bare(_delegates(body)):
                sites.mark(site, "in")
            sites.passed(site, self._writer)
            for crash in sites.due(site, CrashAt):
                if crash.when == "before":
                    sites.forget(crash)
                    self._around.begin(crash, self._writer)
            try:
                value = yield event
            except BaseException as thrown:
                error = thrown
            if sites.kept is not None and context.clock.now > began:
                lasts = context.clock.now - began
                place = self._place._replace(what=WAIT)
                sites.kept.append(Site(site, *place, began, lasts, first=entries))
            if error is None:
                for fault in sites.due(site, CrashAt, DelayStep, HangStep):
                    sites.over(fault)
                    if isinstance(fault, CrashAt):
                        error = self._killed(fault)
                    elif isinstance(fault, DelayStep):
                        yield context.clock.timeout(fault.by)
                    else:
                        yield context.clock.event()
                error = error or self._trouble(site, after=True)

    @property
    def _writer(self) -> str:
        return self._around.writer(self._context)

    def _killed(self, crash: CrashAt) -> BaseException | None:
        try:
            self._around.crash_in_write(crash, self._writer)
        except errors.Killed as killed:
            return killed
        return None

    def _trouble(self, site: str, after: bool) -> BaseException | None:
        """Return the error with which a fault ends the wait, or answers the call."""
        for fault in self._sites.due(site, FailStep, InterruptStep):
            if isinstance(fault, FailStep) and fault.after == after:
                self._sites.over(fault)
                return errors.StepFailed(fault.error)
            if isinstance(fault, InterruptStep) and not after:
                self._sites.over(fault)
                return errors.Interrupted(fault.reason, fault.message)
        return None

    # -- calls of the world, as `Watch` tells of them ------------------------------------

    def begins(self, what: str) -> str:
        """Return the site of a call, or raise what is to come before it."""
        sites = self._sites
        site = sites.reached(self._place._replace(what=what))
        if sites.mark is not None and is_bare(_callers()):
            sites.mark(site, "before")
        for crash in sites.due(site, CrashAt):
            if crash.when == "before":
                sites.over(crash)
                self._around.crash_in_write(crash, self._writer)
        error = self._trouble(site, after=False)
        if error is not None:
            raise error
        return site

    def ends(self, site: str, call: WorldCall) -> None:
        """Carry out what comes after the *call*, or raise it."""
        sites, context = self._sites, self._context
        if sites.kept is not None and (call.changed or call.error):
            entries = sites.entries
            place = self._place._replace(what="call")
            now = context.clock.now
            call_site = Site(site, *place, now, first=entries, call=call)
            who = {"controller": self._writer, "token": context.token}
            sites.kept.append(call_site._replace(**who))
            if sites.mark is not None and is_bare(_callers()):
                sites.mark(site, "after")
        for repetition in sites.due(site, RepeatCall):
            sites.over(repetition)
            call.again()
        sites.passed(site, self._writer)
        for crash in sites.due(site, CrashAt):
            sites.over(crash)
            self._around.crash_in_write(crash, self._writer)
        error = None if call.error else self._trouble(site, after=True)
        if error is not None:
            raise error

    @property
    def is_kept(self) -> bool:
        """Whether it matters what a call has changed."""
        return self._sites.kept is not None


def is_bare(codes: Iterable[CodeType]) -> bool:
    """Whether none of *codes*, but for ours, has an ``except``, ``finally`` or ``with``.

    Only then nothing is done where an exception is thrown in that stops it.
    """
    return not any(map(_handles, codes))


@cache
def _handles(code: CodeType) -> bool:
    return _HANDLER in code.co_code[::2] and not code.co_filename.startswith(_OURS)


_HANDLER = dis.opmap["PUSH_EXC_INFO"]
_OURS = str(Path(__file__).parents[1])


def _delegates(body: Any) -> Iterator[CodeType]:
    """Yield the code of *body*, and of what it delegates to, while all of it waits."""
    while body is not None:
        code = getattr(body, "gi_code", None) or getattr(body, "cr_code", None)
        if code is not None:
            yield code
        body = getattr(body, "gi_yieldfrom", None) or getattr(body, "cr_await", None)


def _callers() -> Iterator[CodeType]:
    """Yield the code of what is running, as far as the attempt of a step."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not _Attempt.driven.__code__:
        yield frame.f_code
        frame = frame.f_back  # type: ignore[assignment]


__all__ = ["Name", "Site", "Sites", "calm_sites"]
