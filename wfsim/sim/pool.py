"""A counted number of equal places, and the line of those who wait for one.

>>> pool = Pool(2, "uplink")
>>> pool
<Pool uplink 0/2, queue 0>
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from wfsim.engine.ports import Clock, Effect, Notes
from wfsim.errors import UsageError
from wfsim.model import bounds
from wfsim.model.record import Kind, PoolState

if TYPE_CHECKING:
    from wfsim.engine.steps import StepContext


_new = tuple.__new__


class _Ticket:
    """A place in the line: what it waits for, and whether it is still wanted."""

    __slots__ = ("amount", "event", "gone", "served")

    def __init__(self, amount: int, event: Any) -> None:
        self.amount = amount
        self.event = event
        self.served = self.gone = False


class Claim:
    """What `Pool.acquire` returns: a context manager that gives back what it holds."""

    __slots__ = ("_amount", "_pool")

    def __init__(self, pool: Pool, amount: int) -> None:
        self._pool = pool
        self._amount = amount

    def release(self) -> None:
        """Give it back; a second time changes nothing."""
        amount, self._amount = self._amount, 0
        if amount:
            self._pool.release(amount)

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # A generator is closed when its whole simulation is: nobody is left to tell.
        if kind is not GeneratorExit:
            self.release()


class Pool:
    """*capacity* equal places that steps hold for a while; an attribute of a `World`.

    Who finds too few free waits in line: lower *priority* first, then who came first,
    and nobody overtakes.  An attempt that is cancelled, times out or dies leaves the
    line; what it holds it gives back where it used ``with`` or `hold`::

        with (yield from ctx.world.uplink.acquire()):
            yield from ctx.sleep(30)

    ``held`` places are taken and ``queue`` attempts wait.  Each change of either is a
    record ``pool.changed``; that an attempt whose *context* is known begins to wait and
    has waited are ``pool.queued`` and ``pool.granted``.  A copy is empty:
    who holds or waits is not in the other world.  Raises `UsageError` for a *capacity*
    that is no whole number from 1 on.
    """

    __slots__ = (
        "_clock",
        "_line",
        "_note",
        "_notes",
        "_number",
        "capacity",
        "held",
        "name",
        "queue",
    )

    def __init__(self, capacity: int, name: str = "") -> None:
        if type(capacity) is not int or capacity < 1:
            raise UsageError(
                f"a pool's capacity is {capacity!r}; give a whole number from 1 on"
            )
        self.capacity = capacity
        self.name = name
        self.held = 0
        self.queue = 0
        self._line: list[tuple[float, int, _Ticket]] = []
        self._number = 0
        self._clock: Clock | None = None
        self._notes: Notes | None = None
        self._note: Any = None

    def __repr__(self) -> str:
        return f"<Pool {self}>"

    def __str__(self) -> str:
        return str(PoolState(self.name, self.held, self.capacity, self.queue))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pool):
            return NotImplemented
        return (self.capacity, self.held, self.queue) == (
            *(other.capacity, other.held, other.queue),
        )

    __hash__ = None  # type: ignore[assignment]

    def __deepcopy__(self, _: Any) -> Pool:
        return Pool(self.capacity, self.name)

    def attach(self, clock: Clock, notes: Notes | None, name: str) -> None:
        """Live on *clock*, telling *notes* of each change; a world does this."""
        self._clock, self._notes = clock, notes
        self._note = None if notes is None else notes.pool
        self.name = self.name or name

    @types.coroutine
    def acquire(
        self, amount: int = 1, priority: float = 0, context: StepContext | None = None
    ) -> Effect[Claim]:
        """Take *amount* places, once there are so many (``yield from`` or ``await`` it).

        With the *context* of the attempt, what it waits counts as time in the queue of a
        pool, and not towards the timeout of its step unless that says so; otherwise as
        time in its step.  Raises `UsageError` for an amount that
        there will never be, and for a *priority* that is no number.
        """
        if priority != priority:
            raise UsageError(f"priority is {priority!r}; give a number")
        if not 0 < amount <= self.capacity:
            raise UsageError(
                f"{amount!r} of {self.name!r}; it has {self.capacity} places"
            )
        if self.queue or self.held + amount > self.capacity:
            yield from self._wait(amount, priority, context)
        else:
            self.held += amount
            self._tell()
        return Claim(self, amount)

    def release(self, amount: int = 1) -> None:
        """Give *amount* places back; who waits for them has them at once.

        Raises `UsageError` if fewer are held.
        """
        if not 0 < amount <= self.held:
            raise UsageError(f"{amount!r} of {self.name!r} given back; {self.held} held")
        self.held -= amount
        if self.queue:
            self._serve()
        self._tell()

    @types.coroutine
    def hold(
        self, context: StepContext, seconds: float, amount: int = 1, priority: float = 0
    ) -> Effect[None]:
        """Take *amount* places, keep them for *seconds* of virtual time, give them back.

        Whatever ends the attempt of *context* meanwhile gives them back too.  Raises
        `UsageError` for *seconds* that are no number from 0 to 1e12.
        """
        seconds = bounds.seconds(seconds, "Pool.hold()")
        with (yield from self.acquire(amount, priority, context)):
            yield context.clock.timeout(seconds)

    def _wait(
        self, amount: int, priority: float, context: StepContext | None
    ) -> Effect[None]:
        if self._clock is None:
            raise UsageError(
                f"{self!r} is in no world that lives; make it an attribute of the World"
            )
        ticket = _Ticket(amount, self._clock.event())
        self._number += 1
        heappush(self._line, (priority, self._number, ticket))
        self.queue += 1
        self._tell()
        self._about(Kind.POOL_QUEUED, context)
        limit = None
        if context is not None and not context.spec.timeout_counts_queue:
            limit = getattr(context, "time_limit", None)
        if limit is not None:
            limit.stand_still()
        try:
            yield ticket.event
        except GeneratorExit:
            raise
        except BaseException:
            self._leave(ticket)
            raise
        if limit is not None:
            limit.go_on()
        self._about(Kind.POOL_GRANTED, context)

    def _about(self, kind: Kind, context: StepContext | None) -> None:
        """Record what happens to the attempt of *context* in this pool."""
        if context is not None and self._notes is not None:
            self._notes.note(
                kind,
                resource=context.resource.key,
                run=context.run,
                flow=context.flow,
                step=context.step,
                attempt=context.attempt,
                text=self.name,
            )

    def _leave(self, ticket: _Ticket) -> None:
        if ticket.served:  # in the very instant in which its turn came
            self.release(ticket.amount)
            return
        ticket.gone = True
        self.queue -= 1
        self._serve()  # it may have stood before somebody who wants less
        self._tell()

    def _serve(self) -> None:
        """Let those at the head of the line have what is free."""
        line = self._line
        while line:
            ticket = line[0][2]
            if not ticket.gone:
                if self.held + ticket.amount > self.capacity:
                    return
                self.held += ticket.amount
                self.queue -= 1
                ticket.served = True
                ticket.event.succeed()
            heappop(line)

    def _tell(self) -> None:
        if self._note is not None:
            state = (self.name, self.held, self.capacity, self.queue)
            self._note(_new(PoolState, state))


def pools(attributes: Mapping[str, Any]) -> Iterator[tuple[str, Pool]]:
    """Yield the pools among *attributes*, and in mappings there, with their names."""
    for name, value in attributes.items():
        if isinstance(value, Pool):
            yield name, value
        elif isinstance(value, dict):
            for key, item in value.items():
                if isinstance(item, Pool):
                    yield str(key), item
