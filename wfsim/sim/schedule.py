"""Lets what a scenario asks for happen on the clock of a simulation, each in its time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice, takewhile
from typing import TYPE_CHECKING, TypeAlias

from wfsim.errors import NotFound, ServiceError, UsageError
from wfsim.model.record import Kind
from wfsim.model.resource import Resource
from wfsim.sim.demand import ANY, EACH, Arrivals, Demand, FlowRequest, Trigger, keyed
from wfsim.sim.service import BIZ_TYPE
from wfsim.sim.storage import immediately

if TYPE_CHECKING:
    from wfsim.sim.control_plane import ControlPlane

Purpose: TypeAlias = tuple[str | int, ...]


class Asking:
    """The arrivals and triggers of one simulation; only the next of each is scheduled.

    They are a function of scenario and seed, so whoever runs it again gets the same.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self.begun: dict[Purpose, int] = {}
        """How many of each have come, by what it is and its place in the scenario."""

    def start(self, over: float = -1.0) -> None:
        """Schedule the next of each; what was due up to the second *over* is past."""
        scenario, draws = self._plane.scenario, self._plane.draws
        last = math.inf if scenario.drain is None else scenario.drain
        for purpose, item in keyed((*scenario.arrivals, *scenario.triggers)):
            times = takewhile(lambda time: time <= last, item.times.each(draws, *purpose))
            first = self.begun.get(purpose, 0)
            left = (row for row in islice(enumerate(times), first, None) if row[1] > over)
            self._go_on(purpose, left, self._action(item, purpose))

        for name, shifts in scenario.shifts.items():
            self._plane.resize(name, shifts.at(self._plane.now))
            self._shift(name, shifts.changes(self._plane.now))

    def _shift(self, server: str, changes: Iterator[tuple[float, int]]) -> None:
        """Resize *server* at the next of *changes*, as long as anything else goes on."""
        time, places = next(changes)
        plane = self._plane
        if time > plane.scenario.horizon:
            return

        def happen() -> None:
            self._shift(server, changes)
            plane.resize(server, places)

        plane.clock.call(time - plane.now, happen)

    def _go_on(
        self,
        item: Purpose,
        left: Iterator[tuple[int, float]],
        act: Callable[[int], None],
    ) -> None:
        plane = self._plane
        number, time = next(left, (0, None))
        if time is None:
            return

        def happen() -> None:
            self.begun[item] = number + 1
            self._go_on(item, left, act)
            act(number)

        plane.clock.call(max(time - plane.now, 0.0), happen)

    def _action(self, item: Demand, purpose: Purpose) -> Callable[[int], None]:
        if isinstance(item, Trigger):
            return lambda number: self._change(item, purpose, number)
        if isinstance(item.what, FlowRequest):
            request = item.what
            return lambda number: self._request(request.numbered(number))
        return lambda number: self._create(item, purpose, number)

    def _create(self, arrivals: Arrivals, purpose: Purpose, number: int) -> None:
        resource = arrivals.resource(number)
        resources = self._plane.resources
        # It may stand there already, after resume() or by hand.
        if resources.peek(resource.key) is not None:
            return
        born = immediately(resources.create(resource))
        if arrivals.patience is not None:
            drawn = self._plane.draws.uniform(*purpose, "patience", number)
            leave = partial(self._leave, born)
            self._plane.clock.call(arrivals.patience.draw(drawn), leave)

    def _leave(self, resource: Resource) -> None:
        """Let *resource* go, if no worker has begun to serve it."""
        live = self._plane.resources.peek(resource.key)
        is_same = live is not None and live.uid == resource.uid
        if is_same and not self._plane.journal.runs.get(resource.key):
            immediately(self._plane.resources.delete(resource.key))

    def _request(self, asked: FlowRequest) -> None:
        service = self._plane.service
        try:
            if not (asked.biz_type or asked.context):
                service.begin(asked.flow, asked.biz_id)
                return
            kind = asked.biz_type or service.define(asked.flow).biz_type or BIZ_TYPE
            about = asked.biz_id or f"{kind}-0"
            flow = service.create(about, kind, asked.flow, context=asked.context)
            service.start(flow)
        except (ServiceError, UsageError) as error:
            whose = f" of {asked.biz_id}" if asked.biz_id else ""
            self._plane.journal.note(
                Kind.PASS_FAILED, text=f"{asked.flow}{whose}: {error}"
            )

    def _change(self, trigger: Trigger, purpose: Purpose, number: int) -> None:
        for name in self._names(trigger, purpose, number):
            try:
                self._plane.edit(name, **trigger.changes(number))
            except NotFound:
                continue

    def _names(self, trigger: Trigger, purpose: Purpose, number: int) -> list[str | None]:
        wanted = trigger.resource
        if wanted not in (EACH, ANY):
            return [wanted]
        keys = self._plane.resources.keys()
        if wanted == ANY and keys:
            # Each has a draw of its own: another resource more changes none of them.
            draws = self._plane.draws.within(*purpose, "any", number)
            keys = [min(keys, key=lambda key: draws.uniform(*key))]
        return [str(key) for key in keys]
