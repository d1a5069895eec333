"""The demand of a scenario on the clock of a simulation, each in its time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice, takewhile
from typing import TypeAlias

from wfsim.errors import NotFound, ServiceError, UsageError
from wfsim.model.record import Kind
from wfsim.model.resource import Resource
from wfsim.sim.control_plane import ControlPlane
from wfsim.sim.demand import ANY, EACH, Arrivals, Demand, FlowRequest, Trigger, keyed
from wfsim.sim.service import Desk, SimulatedService
from wfsim.sim.storage import immediately

Purpose: TypeAlias = tuple[str | int, ...]


class Schedule:
    """The arrivals and triggers of one simulation; only the next of each is scheduled.

    They are a function of scenario and seed, so whoever runs it again gets the same.
    Flows are asked for at *desk*, resources are edited by *plane*.
    """

    def __init__(self, plane: ControlPlane, desk: Desk) -> None:
        self._plane = plane
        self._storage = plane.storage
        self._desk = desk
        self.begun: dict[Purpose, int] = {}
        """How many of each have come, by what it is and its place in the scenario."""

    def start(self, over: float = -1.0) -> None:
        """Schedule the next of each; what was due up to the second *over* is past."""
        scenario, draws = self._storage.scenario, self._plane.draws
        demand = (*scenario.arrivals, *scenario.triggers)
        last = math.inf if scenario.drain is None else scenario.drain
        for purpose, item in keyed(demand) if demand else ():
            times = takewhile(lambda time: time <= last, item.times.each(draws, *purpose))
            first = self.begun.get(purpose, 0)
            left = (row for row in islice(enumerate(times), first, None) if row[1] > over)
            self._go_on(purpose, left, self._action(item, purpose))

        for name, shifts in scenario.shifts.items():
            now = self._storage.clock.now
            self._plane.resize(name, shifts.at(now))
            self._shift(name, shifts.changes(now))

    def _shift(self, server: str, changes: Iterator[tuple[float, int]]) -> None:
        """Resize *server* at the next of *changes*, as long as anything else goes on."""
        time, places = next(changes)
        storage = self._storage
        if time > storage.scenario.horizon:
            return

        def happen() -> None:
            self._shift(server, changes)
            self._plane.resize(server, places)

        storage.clock.call(time - storage.clock.now, happen)

    def _go_on(
        self,
        item: Purpose,
        left: Iterator[tuple[int, float]],
        act: Callable[[int], None],
    ) -> None:
        clock = self._storage.clock
        number, time = next(left, (0, None))
        if time is None:
            return

        def happen() -> None:
            self.begun[item] = number + 1
            self._go_on(item, left, act)
            act(number)

        clock.call(max(time - clock.now, 0.0), happen)

    def _action(self, item: Demand, purpose: Purpose) -> Callable[[int], None]:
        if isinstance(item, Trigger):
            return lambda number: self._change(item, purpose, number)
        if isinstance(item.what, FlowRequest):
            request = item.what
            return lambda number: self._request(request.numbered(number))
        return lambda number: self._create(item, purpose, number)

    def _create(self, arrivals: Arrivals, purpose: Purpose, number: int) -> None:
        resource = arrivals.resource(number)
        resources = self._storage.resources
        # It may stand there already, after resume() or by hand.
        if resources.peek(resource.key) is not None:
            return
        born = immediately(resources.create(resource))
        if arrivals.patience is not None:
            drawn = self._plane.draws.uniform(*purpose, "patience", number)
            leave = partial(self._leave, born)
            self._storage.clock.call(arrivals.patience.draw(drawn), leave)

    def _leave(self, resource: Resource) -> None:
        """Remove *resource*, if no worker has begun to serve it."""
        storage = self._storage
        live = storage.resources.peek(resource.key)
        is_same = live is not None and live.uid == resource.uid
        if is_same and not storage.journal.runs.get(resource.key):
            immediately(storage.resources.delete(resource.key))

    def _request(self, request: FlowRequest) -> None:
        try:
            SimulatedService(self._desk).serve(request)
        except (ServiceError, UsageError) as error:
            whose = f" of {request.biz_id}" if request.biz_id else ""
            self._storage.journal.note(
                Kind.PASS_FAILED, text=f"{request.flow}{whose}: {error}"
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
        keys = self._storage.resources.keys()
        if wanted == ANY and keys:
            # Each has a draw of its own: another resource more changes none of them.
            draws = self._plane.draws.within(*purpose, "any", number)
            keys = [min(keys, key=lambda key: draws.uniform(*key))]
        return [str(key) for key in keys]
